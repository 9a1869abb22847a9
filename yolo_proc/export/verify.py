"""Whether an exported model does what the network does: both on the same fresh pictures. What all tasks share.

Compared are the raw outputs on the same letterboxed bytes, and what they mean: `verify_boxes.py`, `verify_classes.py`.
Half of the pictures have the network's size, the others go through the letterbox.
"""

import itertools
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from yolo_proc.batch import Batch
from yolo_proc.config.schema import Config
from yolo_proc.data.stream import Stream
from yolo_proc.errors import YoloProcError
from yolo_proc.export.session import OnnxModel

STREAM = "test"  # of a folder's pictures it has some that were not trained on
BATCH = 10
# Width and height of the pictures that are not of the network's size, in its own: wide, high, small, large.
SHAPES = ((1.5, 0.84), (0.75, 1.3), (0.5, 0.41), (2.0, 1.1))
TIMED_RUNS = 15


class VerificationError(YoloProcError):
    """An exported model that does not do what the network does; nothing is left of it."""

    exit_code = 1


@dataclass(frozen=True)
class Gate:
    """How far a model may be from the network.

    Attributes:
        outputs: largest difference of a raw output, absolute up to 1 and relative above for predictions.
        boxes: whether each box must be within 0.01 pixels and a thousandth of its longer side.
        drop: how much lower the mAP50-95, or the top-1 accuracy, may be.
    """

    outputs: float
    boxes: bool
    drop: float


GATES: Mapping[str, Gate] = {
    "fp32": Gate(1e-3, True, 5e-4),
    "fp16": Gate(0.05, False, 2e-3),
    "int8": Gate(math.inf, False, 0.01),
}


@dataclass
class Comparison(ABC):
    """The largest differences between the network and one exported model.

    Attributes:
        images: compared so far.
        outputs: largest difference of a raw logit, or of a prediction (relative above 1).
        size_bytes: of the file.
        milliseconds: of a picture.
    """

    HEADER: ClassVar[str]  # the columns of a task's own figures
    images: int = 0
    outputs: float = 0.0
    size_bytes: int = 0
    milliseconds: float = math.nan

    @property
    @abstractmethod
    def columns(self) -> str:
        """The task's own figures, under `HEADER`."""

    @property
    @abstractmethod
    def doubt(self) -> str:
        """Why the comparison says little; empty where it says much."""

    @abstractmethod
    def own_problems(self, gate: Gate) -> list[str]:
        """Return what of the task's own figures lies beyond a gate, a line each."""

    def problems(self, gate: Gate) -> list[str]:
        """Return what lies beyond a gate, a line each."""
        lines = []
        if not self.outputs <= gate.outputs:
            lines.append(f"outputs: expected within {gate.outputs:g} of the network's, found {self.outputs:.3g} apart")
        return lines + self.own_problems(gate)

    def compare_outputs(self, outputs: NDArray[np.float32], expected: NDArray[np.float64], *, activated: bool) -> None:
        """Take the outputs of some pictures (B, ...) in, and what the network gave for them."""
        apart = np.abs(outputs - expected)
        if activated:
            apart /= np.maximum(1.0, np.abs(expected))
        self.images += len(outputs)
        largest = float(apart.max(initial=0.0))
        # NaN where one is: it must not look like a small difference.
        self.outputs = math.nan if math.isnan(largest) or math.isnan(self.outputs) else max(self.outputs, largest)


def fresh_batches(config: Config, frame: tuple[int, int], count: int, stream: str = STREAM) -> Iterator[Batch]:
    """Yield batches with `count` pictures in all, in turn of the network's size and of another."""
    width, height = frame
    sizes = [(width, height), *((round(width * wide), round(height * high)) for wide, high in SHAPES)]
    own, *others = [Stream.from_config(config, stream, picture_size=size) for size in sizes]
    done = 0
    for number in itertools.count():
        if done >= count:
            return
        source = own if number % 2 == 0 else others[number // 2 % len(others)]
        wanted = range(done, min(done + min(BATCH, -(-count // 2)), count))
        yield Batch.of([source[index] for index in wanted], wanted)
        done = wanted.stop


def measure(exported: Mapping[str, OnnxModel], sizes: Mapping[str, int], results: Mapping[str, Comparison]) -> None:
    """Fill in the size of each file and the median time of a picture, taken in turn."""
    taken: dict[str, list[float]] = {name: [] for name in exported}
    width, height = next(iter(exported.values())).picture_size
    picture = np.random.default_rng(0).integers(0, 256, (1, height, width, 3), dtype=np.uint8)
    for _ in range(1 + TIMED_RUNS):
        for name, detector in exported.items():
            start = time.perf_counter()
            detector.run(picture)
            taken[name].append(time.perf_counter() - start)
    for name, result in results.items():
        result.size_bytes = sizes[name]
        result.milliseconds = 1000 * float(np.median(taken[name][1:]))


def table(results: Mapping[str, Comparison]) -> str:
    """Return the precisions side by side, a line each."""
    header = next(iter(results.values())).HEADER
    lines = [f"precision   file size  a picture    outputs  {header}"]
    for name, one in results.items():
        size = f"{one.size_bytes / 1e6:,.2f} MB"
        lines.append(f"{name:9}  {size:>10}  {one.milliseconds:6.2f} ms  {one.outputs:9.3g}  {one.columns}")
    return "\n".join(lines)


def figure(value: float) -> str:
    """Return a share for a table: a dash where there is none."""
    return "-" if math.isnan(value) else f"{value:.4f}"
