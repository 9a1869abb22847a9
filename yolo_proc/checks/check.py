"""A check as a value, and the function that runs checks."""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch

from yolo_proc.checks.bench import Bench
from yolo_proc.detection.task import DetectionTask
from yolo_proc.errors import ConfigError, YoloProcError
from yolo_proc.plotting.preview import write_png
from yolo_proc.training.outcomes import Finding, Group, Outcome

Pictures = Literal["all", "failures"]


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        asserted: what is to hold, a sentence without a full stop.
        quick: whether `train` runs it before its first step.
        run: for detection.
        other_tasks: its form for other tasks, by their names; where there is none it is not applicable to them.
        any_task: whether `run` is right for every task.
    """

    name: str
    group: Group
    asserted: str
    quick: bool
    run: Callable[[Bench], Finding]
    other_tasks: Mapping[str, Callable[[Bench], Finding]] = field(default_factory=dict, hash=False)
    any_task: bool = False

    def find(self, bench: Bench) -> Finding:
        """Run it in its form for the bench's task."""
        task = bench.config.task
        if task == DetectionTask.name or self.any_task:
            return self.run(bench)
        if task not in self.other_tasks:
            return Finding.not_applicable(f"it speaks of boxes, and the task is {task}")
        return self.other_tasks[task](bench)


def run_checks(
    bench: Bench,
    checks: Iterable[Check],
    out: Path | None = None,
    *,
    pictures: Pictures = "all",
    on_start: Callable[[Check], None] = lambda _: None,
) -> Iterator[Outcome]:
    """Yield the outcomes, as the checks end. torch's global random state is afterwards as it was.

    Args:
        out: folder for the pictures of the evidence, `NAME.png` or `NAME-PICTURE.png`; None: none are drawn.
        pictures: "failures": of failed checks and warnings only.
        on_start: told of each check before it runs.

    Raises:
        ConfigError: options that no pipeline can be made of, or no such device.
    """
    stopped: dict[str, str] = {}
    for check in checks:
        on_start(check)
        start = time.perf_counter()
        devices = [bench.device] if bench.device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            finding = _run(check, bench, stopped)
        seconds = time.perf_counter() - start
        wanted = out is not None and (pictures == "all" or finding.verdict in ("fail", "warning"))
        files = _write(check, finding, out) if wanted and out is not None else ()
        yield Outcome(check.name, check.group, check.asserted, finding, seconds, files)


def _run(check: Check, bench: Bench, stopped: dict[str, str]) -> Finding:
    """Return the finding; an error of the pipeline is a failure of the first check that meets it.

    Args:
        stopped: the errors so far, and which check met each.
    """
    try:
        return check.find(bench)
    except ConfigError:
        raise
    except YoloProcError as error:
        line = " ".join(str(error).split())
        # The same mistake meets another check on another scene.
        first = stopped.setdefault(re.sub(r"scene \d+ of stream \w+", "", line), check.name)
        if first != check.name:
            return Finding.not_applicable(f"needs what stopped the check {first}")
        return Finding.judged(
            False,
            expected="a pipeline that gives scenes, targets and steps",
            measured="it stopped",
            figures={},
            causes=[line],
            remedy="mend what the line says, then run the checks again",
        )


def _write(check: Check, finding: Finding, out: Path) -> tuple[Path, ...]:
    files = []
    for name, draw in finding.evidence.items():
        stem = check.name if len(finding.evidence) == 1 else f"{check.name}-{name}"
        files.append(out / f"{stem}.png")
        write_png(files[-1], draw())
    return tuple(files)
