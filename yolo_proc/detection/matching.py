"""Which detections are right: the rule of COCO's evaluation, for one picture at one IoU.

    N objects, D detections, M ignore regions of a picture

In the order of confidence a detection takes the free object of its class with which it has the largest IoU, if
that is at least `min_iou`; it is right. Else, if at least that share of the detection's own area lies in an ignored
object of its class or in an ignore region, nothing speaks of it (COCO's `iscrowd`: intersection over the detection's
area, and any number of detections may lie in one). Else it is wrong. As the order is by confidence, what becomes of
a detection does not depend on the less sure ones: one pass holds for every threshold.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from yolo_proc.batch import Batch
from yolo_proc.boxes import FloatArray, area_xyxy, intersection_xyxy, iou_xyxy
from yolo_proc.config.schema import LabelConfig
from yolo_proc.detection.nms import Detections
from yolo_proc.scene import LABEL_STATES, label_state_codes

WRONG, RIGHT, IGNORED = 0, 1, -1
MIN_IOU = 0.5


@dataclass(frozen=True, eq=False)
class Truth:
    """Objects of a picture, before any encoding.

    Attributes:
        box_xyxy: (N, 4) float64 pixels of the picture.
        class_ids: (N,) int64.
        states: (N,) int64, indices into `scene.LABEL_STATES`; 0 is a label, the others are ignored.
        ignore_xyxy: (M, 4) float64 pixels: regions ignored for every class.
    """

    box_xyxy: FloatArray
    class_ids: NDArray[np.int64]
    states: NDArray[np.int64]
    ignore_xyxy: FloatArray

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """(N,): which objects count."""
        return np.asarray(self.states == 0)

    def of_classes(self, own: NDArray[np.int64]) -> "Truth":
        """Return the same with the class numbers of a model: `own` has one for each class; -1 leaves objects out."""
        mapped = own[self.class_ids]
        known = mapped >= 0
        return Truth(self.box_xyxy[known], mapped[known], self.states[known], self.ignore_xyxy)


def truths_of(batch: Batch, limits: LabelConfig, shrink: float = 1.0) -> list[Truth]:
    """Return the truth of each picture of a batch.

    Args:
        shrink: network pixels a picture pixel (a letterbox's r); `limits.min_box_px` is in network pixels.
    """
    scaled = replace(limits, min_box_px=limits.min_box_px / shrink)
    codes = label_state_codes(batch.box_xyxy, batch.visible, batch.in_frame, scaled)
    truths = []
    for image in range(len(batch)):
        own = batch.objects_of(image)
        regions = batch.ignore_xyxy[batch.ignore_image_ids == image]
        truths.append(Truth(batch.box_xyxy[own], batch.class_ids[own], codes[own], regions))
    return truths


def ignored_by_reason(truths: Sequence[Truth]) -> dict[str, int]:
    """Return how many objects are ignored, by the limit that they are below."""
    codes = np.concatenate([np.zeros(0, dtype=np.int64), *(truth.states for truth in truths)])
    tallies = np.bincount(codes, minlength=len(LABEL_STATES))
    return {LABEL_STATES[code]: int(tallies[code]) for code in range(1, len(LABEL_STATES))}


def match(found: Detections, truth: Truth, min_iou: float = MIN_IOU) -> NDArray[np.int64]:
    """Return (D,) `RIGHT`, `WRONG` or `IGNORED` for each detection, which stand the surest first."""
    outcomes = np.full(len(found), WRONG, dtype=np.int64)
    excused = _share_ignored(found, truth) >= min_iou
    outcomes[excused] = IGNORED
    same_class = found.class_ids[:, None] == truth.class_ids[None, :]  # (D, N)
    overlaps = np.where(same_class & truth.labelled, iou_xyxy(found.box_xyxy, truth.box_xyxy), 0.0)
    for number in np.flatnonzero((overlaps >= min_iou).any(axis=1)):
        best = int(overlaps[number].argmax())
        if overlaps[number, best] >= min_iou:
            outcomes[number] = RIGHT
            overlaps[:, best] = 0.0  # taken
    return outcomes


def _share_ignored(found: Detections, truth: Truth) -> FloatArray:
    """Return (D,): the largest share of each detection's area inside one thing that is ignored for its class."""
    ignored = ~truth.labelled
    boxes = np.concatenate([truth.box_xyxy[ignored], truth.ignore_xyxy])  # (K, 4)
    any_class = np.full(len(truth.ignore_xyxy), -1, dtype=np.int64)
    classes = np.concatenate([truth.class_ids[ignored], any_class])
    applies = (classes == -1) | (found.class_ids[:, None] == classes)  # (D, K)
    inside = np.where(applies, intersection_xyxy(found.box_xyxy, boxes), 0.0).max(axis=1, initial=0.0)
    areas = area_xyxy(found.box_xyxy)
    shares: FloatArray = np.divide(inside, areas, out=np.zeros_like(areas), where=areas > 0)
    return shares
