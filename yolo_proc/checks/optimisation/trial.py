"""Short trainings that several checks make: a network from its start, some batches, what its loss did."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from yolo_proc.batch import Batch
from yolo_proc.checks.bench import Bench
from yolo_proc.config.schema import OptimConfig
from yolo_proc.detection.task import DetectionTask
from yolo_proc.training.schedule import Decay
from yolo_proc.training.state import TrainingState
from yolo_proc.training.step import NotFiniteError

WARMUP = 10  # steps at most: a trial has no time for a hundred
TRIED = 8  # batches, until one has what is asked of it
AVERAGED = 5  # last losses of which the mean is a trial's final loss
PROBE = 1e-3  # of the rate, for a step that is too small to be too large
PROBE_STEPS = 5


@dataclass(frozen=True)
class Trial:
    """A short training.

    Attributes:
        state: after its last step.
        losses: of each step, before its update; where one was not finite the training ended, with infinity.
    """

    state: TrainingState
    losses: Sequence[float]

    @property
    def final(self) -> float:
        """The mean of the last losses."""
        last = self.losses[-AVERAGED:]
        return sum(last) / len(last)

    @property
    def diverged(self) -> bool:
        """Whether the training ended early, or ended clearly above where it began."""
        return not math.isfinite(self.final) or self.final > 1.5 * self.losses[0]


def learnable(bench: Bench, size: int) -> Batch | None:
    """Return the first batch of `size` scenes in which each scene has an object with a slot, or a class; else that with
    most.

    None where the first ones have none at all.
    """
    best, most = None, 0
    for batch in (bench.batch(k, size) for k in range(TRIED)):
        targets = bench.targets(batch)
        detects = bench.config.task == DetectionTask.name
        with_labels = len(targets.image.unique()) if detects else int(targets.known.sum())
        if with_labels > most:
            best, most = batch, with_labels
        if most == size:
            break
    return best


def begin(bench: Bench, *, factor: float = 1.0, **changes: Any) -> TrainingState:
    """Return a run's state with a warm-up of 10 steps at most.

    Args:
        factor: on the declared learning rate.
        changes: of the options of the optimizer.
    """
    optim: OptimConfig = bench.config.optim
    optim = replace(optim, lr=factor * optim.peak_lr, warmup_steps=min(WARMUP, optim.warmup_steps), **changes)
    return bench.new_state(replace(bench.config, optim=optim))


def follow(bench: Bench, state: TrainingState, batches: Iterable[Batch]) -> Trial:
    """Train on the batches, one after another."""
    losses = []
    try:
        for batch in batches:
            losses.append(bench.learn(state, batch).loss)
    except NotFiniteError:
        losses.append(math.inf)
    return Trial(state, losses)


def repeat(bench: Bench, batch: Batch, steps: int, decay: int, *, factor: float = 1.0) -> Trial:
    """Train on one batch again and again; the rate falls in the last `decay` steps."""
    state = begin(bench, factor=factor)
    state.schedule.begin_decay(Decay(steps - decay, decay))
    return follow(bench, state, [batch] * steps)


def goes_uphill(bench: Bench, batch: Batch) -> bool:
    """Return whether the loss rises with steps that are too small to overshoot."""
    trial = follow(bench, begin(bench, factor=PROBE), [batch] * PROBE_STEPS)
    return trial.losses[-1] > trial.losses[0]


def changes_by_itself(bench: Bench, state: TrainingState, batch: Batch) -> bool:
    """Return whether one network in evaluation mode gives another loss for the same batch the next time."""
    first, second, third = (evaluated(bench, state, batch)[0] for _ in range(3))
    return math.isfinite(first) and not first == second == third


@torch.no_grad()
def evaluated(bench: Bench, state: TrainingState, batch: Batch) -> tuple[float, NDArray[np.float32]]:
    """Return the loss on a batch in evaluation mode, and the raw logits (B, S, 5 + C)."""
    model = state.model
    was = model.training
    model.eval()
    loss, _, logits = bench.forward_loss(model, batch)
    model.train(was)
    return loss.item(), logits.cpu().numpy()
