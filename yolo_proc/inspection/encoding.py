"""Follows the objects of a set through the encoder: which have a slot, which are dropped, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from yolo_proc.batch import Batch
from yolo_proc.boxes import FloatArray
from yolo_proc.config.schema import LabelConfig
from yolo_proc.detection.codec import SLOT_TAKEN, LabelCodec
from yolo_proc.detection.grids import Grid, mean_best_iou
from yolo_proc.imaging.letterbox import Letterbox
from yolo_proc.scene import LABEL_STATES, label_state_codes

if TYPE_CHECKING:
    from yolo_proc.inspection.measure import Measured

IMAGES_AT_ONCE = 256
EXAMPLES = 3


@dataclass(frozen=True)
class Encoding:
    """Counts of objects by what the encoder does with them.

    Attributes:
        image_size: (width, height) of the network's pictures; other pictures are letterboxed.
        grids: what the objects are offered to.
        anchors_from: where the anchors come from, in words.
        anchor_fit: mean IoU of shapes of the labelled boxes with their best anchor.
        encoded: objects that have a slot.
        dropped: how many have none, by reason; such an object is ignored, neither object nor background.
        examples: for each reason pictures in which it occurs, by name.
    """

    image_size: tuple[int, int]
    grids: tuple[Grid, ...]
    anchors_from: str
    anchor_fit: float | None
    encoded: int
    dropped: Mapping[str, int]
    examples: Mapping[str, tuple[str, ...]]


def boxes_in_network(found: "Measured", width: int, height: int, *, ignored: bool = False) -> FloatArray:
    """Return (N, 4) xyxy network pixels of all objects, or of all ignore regions."""
    boxes = found.ignore_xyxy if ignored else found.box_xyxy
    sizes = found.sizes[found.ignore_image_ids if ignored else found.image_ids]
    moved = np.array(boxes, dtype=np.float64)
    for w, h in np.unique(sizes, axis=0).tolist():
        rows = (sizes == (w, h)).all(axis=1)
        moved[rows] = Letterbox.of(w, h, width, height).boxes_to_network(boxes[rows])
    return moved


def labelled_sizes(found: "Measured", width: int, height: int, limits: LabelConfig) -> FloatArray:
    """Return (K, 2) network pixels: the sizes of what is a label, to find anchors from."""
    boxes = boxes_in_network(found, width, height)
    return np.asarray((boxes[:, 2:] - boxes[:, :2])[_states(found, boxes, limits) == 0])


def _states(found: "Measured", box_xyxy: FloatArray, limits: LabelConfig) -> NDArray[np.int64]:
    return label_state_codes(box_xyxy, _known(found.visible), _known(found.in_frame), limits)


def _known(shares: FloatArray) -> FloatArray:
    """Return what a file does not say counts as whole."""
    return np.where(np.isfinite(shares), shares, 1.0)


def encode(
    found: "Measured",
    grids: Sequence[Grid],
    class_count: int,
    limits: LabelConfig,
    anchors_from: str,
    *,
    images_at_once: int = IMAGES_AT_ONCE,
) -> Encoding:
    """Offer all objects to the grids."""
    codec = LabelCodec(tuple(grids), class_count)
    width, height = codec.frame
    boxes = boxes_in_network(found, width, height)
    ignore = boxes_in_network(found, width, height, ignored=True)
    codes = _states(found, boxes, limits)
    dropped = dict.fromkeys((SLOT_TAKEN, *LABEL_STATES[1:]), 0)
    kept = np.zeros(len(found), dtype=np.int64)
    for first in range(0, len(found), images_at_once):
        end = min(first + images_at_once, len(found))
        targets = codec.assign(_batch(found, boxes, ignore, first, end, (width, height)), limits)
        kept[first:end] = np.bincount(targets.image, minlength=end - first)
        for reason, count in targets.dropped.items():
            dropped[reason] += count
    labels = np.bincount(found.image_ids[codes == 0], minlength=len(found))
    examples = {SLOT_TAKEN: np.flatnonzero(labels > kept)}
    for code, reason in enumerate(LABEL_STATES[1:], 1):
        examples[reason] = np.unique(found.image_ids[codes == code])
    sizes = (boxes[:, 2:] - boxes[:, :2])[codes == 0]
    return Encoding(
        image_size=(width, height),
        grids=codec.grids,
        anchors_from=anchors_from,
        anchor_fit=mean_best_iou(sizes, codec.anchors_wh) if len(sizes) else None,
        encoded=int(kept.sum()),
        dropped=dropped,
        examples={
            reason: tuple(found.names[number] for number in numbers[:EXAMPLES])
            for reason, numbers in examples.items()
            if len(numbers)
        },
    )


def _batch(
    found: "Measured", boxes: FloatArray, ignore: FloatArray, first: int, end: int, frame: tuple[int, int]
) -> Batch:
    """Return pictures `first` to `end` as the encoder takes them; it asks their pixels for nothing but the shape."""
    rows = slice(*np.searchsorted(found.image_ids, [first, end]).tolist())
    regions = slice(*np.searchsorted(found.ignore_image_ids, [first, end]).tolist())
    pixels: Any = np.broadcast_to(np.uint8(0), (end - first, frame[1], frame[0], 3))
    return Batch(
        images=pixels,
        box_xyxy=boxes[rows],
        class_ids=found.class_ids[rows],
        image_ids=found.image_ids[rows] - first,
        confidence=_known(found.confidence[rows]),
        visible=_known(found.visible[rows]),
        in_frame=_known(found.in_frame[rows]),
        ignore_xyxy=ignore[regions],
        ignore_image_ids=found.ignore_image_ids[regions] - first,
        indices=np.arange(first, end, dtype=np.int64),
    )
