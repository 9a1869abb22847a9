"""A scene: pixels and what is in them. The one container that crosses borders.

What a box is: the tight box of the object's whole shape, occluded parts included, clipped to the frame;
half-open float pixels xyxy. What is a label is decided here, once, by `label_states`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from yolo_proc.boxes import FloatArray, RgbImage, as_boxes
from yolo_proc.config.schema import LabelConfig
from yolo_proc.errors import DataError


@dataclass(frozen=True, slots=True)
class SceneObject:
    """One object of a scene.

    Attributes:
        box: x0, y0, x1, y1 in pixels, clipped to the frame.
        class_id: index into the generator's `classes`.
        outline: (K, 2) float64 pixels, unclipped; None where only a box is known.
        visible: share of the object's in-frame pixels that nothing drawn later covers, 0 to 1.
        in_frame: share of the object's area that lies inside the frame, 0 to 1.
        confidence: how sure the source is of this label, 0 to 1.
    """

    box: tuple[float, float, float, float]
    class_id: int
    outline: FloatArray | None = None
    visible: float = 1.0
    in_frame: float = 1.0
    confidence: float = 1.0


def _no_boxes() -> FloatArray:
    return np.zeros((0, 4))


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """uint8 RGB pixels with the objects on them, validated when made.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        objects: in drawn order.
        ignore: (M, 4) float64 xyxy pixels: regions of which no loss term and no metric speaks.
        class_id: the class of the whole scene, where its generator labelled it; None where it did not.

    Raises:
        DataError: an image of another type, a box that is not finite, reversed or outside the frame.
    """

    image: RgbImage
    objects: tuple[SceneObject, ...] = ()
    ignore: FloatArray = field(default_factory=_no_boxes)
    class_id: int | None = None

    def __post_init__(self) -> None:
        image = self.image
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise DataError(f"a scene needs a uint8 image (H, W, 3), found {image.dtype} {image.shape}")
        height, width = image.shape[:2]
        for number, thing in enumerate(self.objects):
            x0, y0, x1, y1 = thing.box
            # Written so that a NaN fails too.
            if not (0 <= x0 <= x1 <= width and 0 <= y0 <= y1 <= height):
                raise DataError(
                    f"object {number} of class {thing.class_id}: box {thing.box} is not an ordered xyxy box "
                    f"inside the {width} x {height} frame; boxes are clipped pixels (x0, y0, x1, y1)"
                )

    @property
    def boxes(self) -> FloatArray:
        """(N, 4) xyxy pixels."""
        return as_boxes([thing.box for thing in self.objects])

    @property
    def class_ids(self) -> NDArray[np.int64]:
        """(N,) class indices."""
        return np.array([thing.class_id for thing in self.objects], dtype=np.int64)


LABELLED = "labelled"  # the state of an object that is a label
LABEL_STATES = (LABELLED, "min_in_frame", "min_visible", "min_box_px")  # the first limit that applies, in this order


def label_state_codes(
    box_xyxy: FloatArray, visible: FloatArray, in_frame: FloatArray, limits: LabelConfig
) -> NDArray[np.int64]:
    """Return for each of N objects the index of its state in `LABEL_STATES`: the one rule that decides what is a label.

    A box without area is below `min_box_px` whatever the limit is: it has no size to learn.

    Args:
        box_xyxy: (N, 4) pixels, clipped to the frame.
        visible, in_frame: (N,) shares, 0 to 1.
    """
    side = (box_xyxy[:, 2:] - box_xyxy[:, :2]).min(axis=1)  # (N,)
    below = [in_frame < limits.min_in_frame, visible < limits.min_visible, (side < limits.min_box_px) | (side <= 0)]
    return np.select(below, [1, 2, 3], default=0).astype(np.int64)


def label_states(objects: Sequence[SceneObject], limits: LabelConfig) -> list[str]:
    """Return for each object `LABELLED`, or the name of the limit that it is below.

    An object below a limit is not background: the codec ignores its slots, and evaluation ignores its box.
    Returns "min_in_frame", "min_visible" or "min_box_px" otherwise, the first that applies in this order.
    """
    visible = np.array([thing.visible for thing in objects], dtype=np.float64)
    in_frame = np.array([thing.in_frame for thing in objects], dtype=np.float64)
    codes = label_state_codes(as_boxes([thing.box for thing in objects]), visible, in_frame, limits)
    return [LABEL_STATES[code] for code in codes]
