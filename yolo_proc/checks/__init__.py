"""Checks that a training is sound before it is believed: training fails silently, so it is asked aloud.

One idea a file. Its docstring says the hypothesis, its source, and the reason of each threshold. A check asserts
something of the code that trains, run on this configuration, and never of a copy of it.

How to write a check, `yolo_proc/checks/GROUP/NAME.py`:

1.  `def run(bench: Bench) -> Finding` measures, judges and explains. It takes all that it touches from the bench
    (`bench.py`): scenes, batches, targets, networks, states, one step of learning. What it takes by an import, a fault
    cannot be put into, and a bug there would not be noticed. Networks and states are made anew (`new_model`,
    `new_state`): a check may ruin them. It draws no random number but from `rng_for(config.seed, "checks", ...)`;
    torch's global generator is put back by the runner.
2.  What is expected is worked out here, from the configuration and the formulas as they are declared, by other means
    than the code under test: a number that is compared with itself finds nothing.
3.  `Finding.judged(sound, expected=..., measured=..., figures=..., causes=..., remedy=...)`. `causes` begins with
    the one that the measurement points at: look for what sets it apart (a test demands that the first names the fault).
    `Finding.not_applicable(reason)` where the question makes no sense for this configuration. Errors of the pipeline
    (`YoloProcError`) need no care: the runner makes a failure of them.
4.  `evidence` are pictures that are drawn only when they are written: `{"name": lambda: uint8 RGB array}`.
    `plotting/charts.py` plots, `plotting/preview.py` draws scenes.
5.  `CHECK = Check("name", group=..., asserted=..., quick=..., run=run)`, and a line in `registry.py`. Quick ones
    are run by `train` before its first step, all of them together in the time that the original's network takes for
    250 images; so no more than some 40 images through the default network each.
6.  Thresholds must not cry wolf: measure the figure on healthy variants (both generators, several seeds, one class,
    empty scenes, small objects, grey pictures, no batch normalisation, `--model original`), and write what was found
    beside the threshold.

How to write a fault, `tests/faults_GROUP.py`:

    Fault("class ids off by one", check="labels", cause="class id", inject=lambda bench, size: ...)

`inject(bench, size)` gives a bench with one part replaced (`bench.with_parts(build_task=...)`, or the helpers of
`tests/faults.py`), as small as the bug would be in real code; of a fault that has a size, `sizes` lists those that are
tried, ascending, and `must` is the smallest one that has to be caught at the tests' small pictures. `cause` are words
that the first cause must contain. `tests/test_checks.py` runs every fault against its check.
"""
