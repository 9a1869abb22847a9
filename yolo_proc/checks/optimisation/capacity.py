"""Question, and no hypothesis: would a wider network learn more in this time, and does the decay of weights matter?

Source: Karpathy, "A recipe for training neural networks", 2019, "overfit" and "regularize": first a network that is
large enough for a low training loss, then less of a gap between what was trained on and what was not.

The network as it is configured, one of half the width, one of one and a half, one without and one with ten times the
decay of weights are trained alike on the same 32 scenes, 40 steps of eight, at the declared rate, which falls to
nothing in the last 15. Of each: the loss on those scenes and on 32 new ones, in evaluation mode.

It never fails: in short healthy runs a wider network was worse in 1 of 20, and a decay of weights lowered the loss in
13 of 20, so a verdict would cry wolf. A training loss that falls with the width says that there is room for more
capacity; a gap that narrows with the decay says that there is room for more regularisation, or for more variety.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from yolo_proc.checks.bench import Bench
from yolo_proc.checks.check import Check
from yolo_proc.checks.optimisation.trial import begin, evaluated, follow
from yolo_proc.config.schema import Config
from yolo_proc.plotting.charts import BLUE, ORANGE, Page
from yolo_proc.training.outcomes import Figure, Finding
from yolo_proc.training.schedule import Decay

IMAGES = 8
TRAINED = 4  # batches that are trained on, and as many new ones
DECAY = 15  # steps at the end of a trial
LESS, MORE = 0.5, 1.5
MORE_DECAY = 10.0
CONFIGURED = "as configured"


@dataclass(frozen=True)
class _Arm:
    """One network after its training: its size and the two losses."""

    name: str
    parameters: int
    trained: float
    fresh: float

    @property
    def gap(self) -> float:
        """How much worse it does on scenes that it was not trained on."""
        return self.fresh - self.trained


def run(bench: Bench) -> Finding:
    """See the module."""
    arms = [_train(bench, name, config) for name, config in variants(bench.config)]
    figures: dict[str, Figure] = {}
    for arm in arms:
        figures |= {
            f"parameters, {arm.name}": arm.parameters,
            f"loss, {arm.name}": arm.trained,
            f"loss on new scenes, {arm.name}": arm.fresh,
        }
    one = next(arm for arm in arms if arm.name == CONFIGURED)
    best = min(arms, key=lambda arm: arm.trained)
    return Finding.judged(
        True,
        expected="nothing: it is a figure to look at",
        measured=f"{one.parameters:,} parameters: {one.trained:.3f} on what was trained on, {one.fresh:.3f} on new "
        f"scenes (gap {one.gap:.3f}); the lowest training loss is that of: {best.name} ({best.trained:.3f})",
        figures=figures,
        causes=[],
        remedy="",
        evidence={"losses": lambda: _picture(arms)},
    )


def variants(config: Config) -> Iterator[tuple[str, Config]]:
    """Yield the networks and optimizers that are compared; the network `original` has no width."""
    model, optim = config.model, config.optim
    widths = [(f"width x {factor:g}", factor) for factor in (LESS, 1.0, MORE)] if model.name != "original" else []
    for name, factor in widths or [(CONFIGURED, 1.0)]:
        width = min(max(factor * model.width, 0.125), 8.0)
        yield CONFIGURED if factor == 1 else name, replace(config, model=replace(model, width=width))
    yield "no decay of weights", replace(config, optim=replace(optim, weight_decay=0.0))
    more = min(MORE_DECAY * optim.weight_decay, 10.0) or 0.02
    yield f"decay of weights {more:g}", replace(config, optim=replace(optim, weight_decay=more))


def _train(bench: Bench, name: str, config: Config) -> _Arm:
    arm = Bench(config, bench.parts, task=bench.task, precision=bench.precision)
    state = begin(arm)
    state.schedule.begin_decay(Decay(max(0, bench.parts.trial_steps - DECAY), DECAY))
    size = min(IMAGES, bench.batch_size)
    known = [bench.batch(k, size) for k in range(TRAINED)]
    new = [bench.batch(k, size) for k in range(TRAINED, 2 * TRAINED)]
    follow(arm, state, (known[step % TRAINED] for step in range(bench.parts.trial_steps)))
    losses = [sum(evaluated(arm, state, batch)[0] for batch in batches) / TRAINED for batches in (known, new)]
    return _Arm(name, sum(parameter.numel() for parameter in state.model.parameters()), *losses)


def _picture(arms: list[_Arm]) -> NDArray[np.uint8]:
    page = Page(1, 1, (900, 120 + 56 * len(arms)), 0)
    panel = page.panel("Loss on scenes that were trained on (blue), and on new ones (orange)")
    names = [name for arm in arms for name in (arm.name, "")]
    values = [loss for arm in arms for loss in (arm.trained, arm.fresh)]
    words = [f"{loss:.3f}" for loss in values]
    panel.rows(names, [min(loss, 1e6) for loss in values], words, [BLUE, ORANGE] * len(arms), alarm=False)
    return page.finished()


CHECK = Check(
    "capacity",
    group="optimisation",
    asserted="(a figure) what more width and what another decay of weights would change",
    quick=False,
    run=run,
    any_task=True,
)
