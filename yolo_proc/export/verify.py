"""Whether an exported model does what the network does: both on the same fresh pictures.

Compared are the raw outputs on the same letterboxed bytes, the decoded boxes by their slots, and the mAP in the
pictures' own pixels. Half of the pictures have the network's size, the others go through the letterbox.
"""

import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray

from yolo_proc.batch import Batch
from yolo_proc.config.schema import Config
from yolo_proc.data.stream import Stream
from yolo_proc.detection.codec import DecodeConfig, Detections, activate
from yolo_proc.detection.matching import Truth, truths_of
from yolo_proc.errors import YoloProcError
from yolo_proc.evaluation.evaluate import FLOOR, judge
from yolo_proc.export.session import OnnxDetector
from yolo_proc.imaging.letterbox import Letterbox
from yolo_proc.models.network import Yolo, network_outputs

STREAM = "test"  # of a folder's pictures it has some that were not trained on
BATCH = 10
# Width and height of the pictures that are not of the network's size, in its own: wide, high, small, large.
SHAPES = ((1.5, 0.84), (0.75, 1.3), (0.5, 0.41), (2.0, 1.1))
NEAR = 1e-4  # a box that one side alone has lies so near to the least confidence
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
        map_drop: how much lower the mAP50-95 may be.
    """

    outputs: float
    boxes: bool
    map_drop: float


GATES = {
    "fp32": Gate(1e-3, True, 5e-4),
    "fp16": Gate(0.05, False, 2e-3),
    "int8": Gate(math.inf, False, 0.01),
}


@dataclass
class Comparison:
    """The largest differences between the network and one exported model.

    Attributes:
        images: compared so far.
        outputs: of a raw logit, or of a prediction (relative above 1).
        box_pixels: of a corner of a box that both have, network pixels; box_share: that over what is allowed.
        matched: boxes that both have; near: those that one alone has, as near its threshold as rounding is;
            one_sided: the other ones that one alone has.
        map50_95: of the model; reference_map50_95: of the network, on the same pictures.
        size_bytes: of the file.
        milliseconds: of a picture.
    """

    images: int = 0
    outputs: float = 0.0
    box_pixels: float = 0.0
    box_share: float = 0.0
    matched: int = 0
    near: int = 0
    one_sided: int = 0
    map50: float = math.nan
    map50_95: float = math.nan
    reference_map50_95: float = math.nan
    size_bytes: int = 0
    milliseconds: float = math.nan
    found: list[Detections] = field(default_factory=list, repr=False)

    @property
    def map_drop(self) -> float:
        """How much lower the mAP50-95 is; 0 where there was no object to find."""
        drop = self.reference_map50_95 - self.map50_95
        return 0.0 if math.isnan(drop) else drop

    def problems(self, precision: str) -> list[str]:
        """What lies beyond the gate of a precision, a line each."""
        gate = GATES[precision]
        lines = []
        if not self.outputs <= gate.outputs:
            lines.append(f"outputs: expected within {gate.outputs:g} of the network's, found {self.outputs:.3g} apart")
        if gate.boxes and not self.box_share <= 1:
            lines.append(f"boxes: expected within 0.01 px + 0.001 of the side, found {self.box_pixels:.3g} px apart")
        if gate.boxes and self.one_sided:
            lines.append(f"boxes: expected the same ones, found {self.one_sided} that one alone has")
        if not self.map_drop <= gate.map_drop:
            lines.append(f"mAP50-95: expected at most {gate.map_drop:g} lower, found {self.map_drop:.4f}")
        return lines


def compare(
    model: Yolo,
    exported: dict[str, OnnxDetector],
    config: Config,
    count: int,
    *,
    on_images: Callable[[int], None] = lambda _: None,
) -> dict[str, Comparison]:
    """The network and its exported models, by precision, on `count` fresh pictures, half not of the network's size.

    Args:
        model: in evaluation mode, on the CPU.
        config: of the run, for its generator and limits.
        on_images: called with the number of pictures done.
    """
    results = {name: Comparison() for name in exported}
    truths: list[Truth] = []
    reference: list[Detections] = []
    decoding = next(iter(exported.values())).spec.defaults
    for batch in fresh_batches(config, model.task.codec.frame, count):
        height, width = batch.images.shape[1:3]
        box = Letterbox.of(width, height, *model.task.codec.frame)
        letterboxed = np.stack([box.apply(image) for image in batch.images.numpy()])  # (B, H, W, 3)
        logits = network_outputs(model, torch.from_numpy(letterboxed), "cpu")
        truths += truths_of(batch, config.labels, box.r)
        reference += _in_picture(model.task.codec.decode(logits, replace(decoding, confidence=FLOOR)), box)
        for name, detector in exported.items():
            _compare_batch(results[name], detector, detector.run(letterboxed), logits, box, decoding)
        on_images(len(truths))
    classes = next(iter(exported.values())).classes
    expected = judge(truths, reference, classes, decoding)
    for result in results.values():
        evaluation = judge(truths, result.found, classes, decoding)
        result.map50, result.map50_95 = evaluation.map50, evaluation.map50_95
        result.reference_map50_95 = expected.map50_95
        result.found.clear()
    return results


def fresh_batches(config: Config, frame: tuple[int, int], count: int, stream: str = STREAM) -> Iterator[Batch]:
    """Batches with `count` pictures in all, in turn of the network's size and of another."""
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


def _in_picture(found: Sequence[Detections], box: Letterbox) -> list[Detections]:
    return [replace(one, box_xyxy=box.boxes_to_picture(one.box_xyxy)) for one in found]


def _compare_batch(
    result: Comparison,
    detector: OnnxDetector,
    outputs: NDArray[np.float32],
    logits: NDArray[np.float32],
    box: Letterbox,
    decoding: DecodeConfig,
) -> None:
    codec, activated = detector.spec.codec, detector.spec.activated
    expected = activate(logits) if activated else logits.astype(np.float64)
    apart = np.abs(outputs - expected)
    if activated:
        apart /= np.maximum(1.0, np.abs(expected))
    result.images += len(outputs)
    result.outputs = _larger(result.outputs, float(apart.max(initial=0.0)))
    floor = replace(decoding, confidence=FLOOR)
    result.found += _in_picture(codec.decode(outputs, floor, activated=activated), box)
    for mine, theirs in zip(logits, outputs, strict=True):
        # Before suppression: it is the same code for both, and one box less may bring another.
        one, other = codec.candidates(mine, decoding), codec.candidates(theirs, decoding, activated=activated)
        _compare_boxes(result, one, other, decoding.confidence)


def _larger(one: float, other: float) -> float:
    """The larger; NaN where one is: it must not look like a small difference."""
    return math.nan if math.isnan(one) or math.isnan(other) else max(one, other)


def _compare_boxes(result: Comparison, one: Detections, other: Detections, least: float) -> None:
    """Boxes by their slots: how far apart, and those that one side alone has."""
    _, mine, theirs = np.intersect1d(one.slots, other.slots, return_indices=True)
    corners = np.abs(one.box_xyxy[mine] - other.box_xyxy[theirs]).max(axis=1, initial=0.0)  # (N,)
    x0, y0, x1, y1 = one.box_xyxy[mine].T
    allowed = 0.01 + 1e-3 * np.maximum(x1 - x0, y1 - y0)
    result.matched += len(mine)
    result.box_pixels = max(result.box_pixels, float(corners.max(initial=0.0)))
    result.box_share = max(result.box_share, float((corners / allowed).max(initial=0.0)))
    for side, known in ((one, mine), (other, theirs)):
        alone = np.delete(side.confidence, known)
        near = int((np.abs(alone - least) <= NEAR).sum())
        result.near += near
        result.one_sided += len(alone) - near


def measure(exported: dict[str, OnnxDetector], sizes: dict[str, int], results: dict[str, Comparison]) -> None:
    """Fills in the size of each file and the median time of a picture, taken in turn."""
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


def table(results: dict[str, Comparison]) -> str:
    """The precisions side by side, a line each."""
    lines = ["precision   file size  a picture  outputs apart  boxes apart  one-sided  mAP50-95    lower by"]
    for name, one in results.items():
        size = f"{one.size_bytes / 1e6:,.2f} MB"
        lines.append(
            f"{name:9}  {size:>10}  {one.milliseconds:6.2f} ms  {one.outputs:13.3g}  {one.box_pixels:8.3g} px  "
            f"{one.near + one.one_sided:9d}  {_figure(one.map50_95):>8}  {one.map_drop:10.5f}"
        )
    return "\n".join(lines)


def _figure(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4f}"
