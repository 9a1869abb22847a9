"""The precision to train in, chosen by timing."""

import copy
import math
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch

from yolo_proc.models.network import Network
from yolo_proc.task import Task
from yolo_proc.training.optim import leave_compiler_out
from yolo_proc.training.replicas import Replicated, replicated
from yolo_proc.training.step import autocast_dtype, update_weights

# bf16 must win clearly: it is 4 x quicker with matrix units, but a sixth without, and costs accuracy.
BF16_GAIN = 1.3
TIMED_STEPS = 5


def pick_precision(
    name: str, model: Network[Any], task: Task, make_batch: Callable[[], tuple[torch.Tensor, object]], replicas: int = 1
) -> tuple[str, str]:
    """Return the precision to train in, and a line that says why.

    "auto" times a training step in both (`time_steps`). float32 stays unless bf16 is 1.3 x quicker.

    Args:
        make_batch: gives uint8 images (B, H, W, 3) and targets on the model's device.
        replicas: over how many it will be trained.
    """
    if name != "auto":
        return name, f"precision {name}, as asked"
    return choose(time_steps(model, task, make_batch(), replicas))


def time_steps(
    model: Network[Any], task: Task, batch: tuple[torch.Tensor, object], replicas: int = 1
) -> Mapping[str, float]:
    """Return the seconds of a training step of a copy of the model by precision: a warm-up, then the median of five.

    Args:
        batch: uint8 images (B, H, W, 3) and targets on the model's device.
    """
    copies = {precision: replicated(copy.deepcopy(model), replicas) for precision in ("float32", "bf16")}
    timed = {precision: _TimedStep(network, precision) for precision, network in copies.items()}
    for _ in range(1 + TIMED_STEPS):
        for one in timed.values():  # in turn, so that a drift of the machine's speed meets both
            one.step(task, *batch)
    return {precision: statistics.median(one.taken[1:]) for precision, one in timed.items()}


def choose(seconds: Mapping[str, float]) -> tuple[str, str]:
    """Return the precision that seconds a step speak for, and a line that says why."""
    gain = seconds["float32"] / seconds["bf16"]
    chosen = "bf16" if gain >= BF16_GAIN else "float32"
    shown = math.floor(100 * gain) / 100  # not rounded up to the limit
    why = f"a step in bf16 runs at {shown:.2f} x the speed of one in float32, and is taken from {BF16_GAIN} x on"
    return chosen, f"precision {chosen}: {why}"


class _Idle(torch.optim.Optimizer):
    """An optimizer that changes nothing: what an update costs is the same in both."""

    def __init__(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        leave_compiler_out()
        super().__init__(parameters, {})

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Do nothing."""
        return None if closure is None else closure()


class _TimedStep:
    """Steps that change nothing, timed."""

    def __init__(self, model: Network[Any] | Replicated, precision: str) -> None:
        self.model = model
        self.autocast = autocast_dtype(precision)
        self.optimizer = _Idle(model.parameters())
        self.taken: list[float] = []

    def step(self, task: Task, images: torch.Tensor, targets: object) -> None:
        start = time.perf_counter()
        # It waits for the device by itself.
        update_weights(self.model, self.optimizer, task, images, targets, clip_norm=1.0, autocast=self.autocast)
        self.taken.append(time.perf_counter() - start)
