"""Whether an exported detector does what the network does: outputs, boxes by their slots, and mAP.

The mAP is that in the pictures' own pixels.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from yolo_proc.config.schema import Config
from yolo_proc.detection.codec import DecodeConfig, Detections, activate
from yolo_proc.detection.matching import Truth, truths_of
from yolo_proc.evaluation.evaluate import FLOOR, judge
from yolo_proc.export.session import OnnxDetector
from yolo_proc.export.verify import Comparison, Gate, figure, fresh_batches
from yolo_proc.imaging.letterbox import Letterbox
from yolo_proc.models.network import Yolo, network_outputs

NEAR = 1e-4  # a box that one side alone has lies so near to the least confidence
LITTLE = 0.1  # mAP50-95 of a network that has hardly learnt: it has none to lose


@dataclass
class BoxComparison(Comparison):
    """How far the boxes of an exported detector are from the network's.

    Attributes:
        box_pixels: of a corner of a box that both have, network pixels; box_share: that over what is allowed.
        matched: boxes that both have; near: those that one alone has, as near its threshold as rounding is;
            one_sided: the other ones that one alone has.
        map50_95: of the model; reference_map50_95: of the network, on the same pictures.
    """

    HEADER: ClassVar[str] = "      boxes  one-sided  mAP50-95      drop"
    box_pixels: float = 0.0
    box_share: float = 0.0
    matched: int = 0
    near: int = 0
    one_sided: int = 0
    map50: float = math.nan
    map50_95: float = math.nan
    reference_map50_95: float = math.nan
    found: list[Detections] = field(default_factory=list, repr=False)

    @property
    def map_drop(self) -> float:
        """How much lower the mAP50-95 is; 0 where there was no object to find."""
        drop = self.reference_map50_95 - self.map50_95
        return 0.0 if math.isnan(drop) else drop

    @property
    def columns(self) -> str:
        """See `Comparison`."""
        return (
            f"{self.box_pixels:8.3g} px  {self.near + self.one_sided:9d}  {figure(self.map50_95):>8}  "
            f"{self.map_drop:8.5f}"
        )

    @property
    def doubt(self) -> str:
        """See `Comparison`."""
        reached = self.reference_map50_95
        return "" if reached >= LITTLE else f"the network itself reaches mAP50-95 {reached:.3f} here"

    def own_problems(self, gate: Gate) -> list[str]:
        """See `Comparison`."""
        lines = []
        if gate.boxes and not self.box_share <= 1:
            lines.append(f"boxes: expected within 0.01 px + 0.001 of the side, found {self.box_pixels:.3g} px apart")
        if gate.boxes and self.one_sided:
            lines.append(f"boxes: expected the same ones, found {self.one_sided} that one alone has")
        if not self.map_drop <= gate.drop:
            lines.append(f"mAP50-95: expected at most {gate.drop:g} lower, found {self.map_drop:.4f}")
        return lines


def compare_boxes(
    model: Yolo,
    exported: Mapping[str, OnnxDetector],
    config: Config,
    count: int,
    *,
    on_images: Callable[[int], None] = lambda _: None,
) -> dict[str, BoxComparison]:
    """Return the network and its exported models, by precision, on `count` fresh pictures, half not of the network's
    size.

    Args:
        model: in evaluation mode, on the CPU.
        config: of the run, for its generator and limits.
        on_images: called with the number of pictures done.
    """
    results = {name: BoxComparison() for name in exported}
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


def _in_picture(found: Sequence[Detections], box: Letterbox) -> list[Detections]:
    return [replace(one, box_xyxy=box.boxes_to_picture(one.box_xyxy)) for one in found]


def _compare_batch(
    result: BoxComparison,
    detector: OnnxDetector,
    outputs: NDArray[np.float32],
    logits: NDArray[np.float32],
    box: Letterbox,
    decoding: DecodeConfig,
) -> None:
    codec, activated = detector.spec.codec, detector.spec.activated
    expected = activate(logits) if activated else logits.astype(np.float64)
    result.compare_outputs(outputs, expected, activated=activated)
    floor = replace(decoding, confidence=FLOOR)
    result.found += _in_picture(codec.decode(outputs, floor, activated=activated), box)
    for mine, theirs in zip(logits, outputs, strict=True):
        # Before suppression: it is the same code for both, and one box less may bring another.
        one, other = codec.candidates(mine, decoding), codec.candidates(theirs, decoding, activated=activated)
        _compare_slots(result, one, other, decoding.confidence)


def _compare_slots(result: BoxComparison, one: Detections, other: Detections, least: float) -> None:
    """Compare boxes by their slots: how far apart, and those that one side alone has."""
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
