"""One picture in the making: paints the items of a display list in order, and finds what is left to see of each."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from yolo_proc.boxes import FloatArray
from yolo_proc.drawing import raster
from yolo_proc.drawing.outlines import Shape, apply_affine, bounds_of
from yolo_proc.drawing.raster import Bytes, Colour, Region, Stroke
from yolo_proc.scene import SceneObject

Label = str | int
Box = tuple[float, float, float, float]  # xyxy

_FAR = 1e6  # pixels; what is further away is brought there, because cv2 takes 32-bit corners


@dataclass(slots=True)
class Item:
    """One entry of the display list, in units.

    Attributes:
        label: class name or index; None for decoration.
        shape: what is filled, or where the label is.
        colour: None where the item fills no shape.
        rgba, place: a premultiplied picture, and the (2, 3) matrix from its pixels to units.
        outlined: the shape is the thing's own outline, not just a box around it.
        confidence, visible, in_frame: what its source says of it, shares; how it lies in the scene comes on top.
    """

    label: Label | None
    shape: Shape
    colour: Colour | None = None
    opacity: float = 1.0
    rgba: Bytes | None = None
    place: FloatArray | None = None
    outlined: bool = True
    confidence: float = 1.0
    visible: float = 1.0
    in_frame: float = 1.0


@dataclass(slots=True)
class _InFrame:
    """Measures of an object that is in the frame.

    Attributes:
        item: of the display list.
        number: of the item among the labelled ones of the list, from 0.
        region: where it may have pixels.
        left: mask over the region; once something has met it, 255 where it is still to be seen and 0 elsewhere.
        total: its pixels before anything covered them; -1 until something has met it.
    """

    item: Item
    number: int
    class_id: int
    box: Box
    outline: FloatArray | None
    in_frame: float
    region: Region
    left: Bytes
    total: int = -1

    def cover(self, region: Region, solid_mask: Bytes) -> None:
        """Take away the pixels that are 255 in a mask over `region`."""
        shared = raster.intersect(self.region, region)
        if shared is None:
            return
        if self.total < 0:
            # A thing thinner than half a pixel has no solid pixel; there every touched one counts.
            solid = raster.solid(self.left)
            self.total = cv2.countNonZero(solid)
            if self.total == 0:
                solid = np.where(self.left > 0, 255, 0).astype(np.uint8)
                self.total = cv2.countNonZero(solid)
            self.left = solid
        part = raster.crop(self.left, self.region, shared)
        cv2.subtract(part, raster.crop(solid_mask, region, shared), dst=part)

    @property
    def visible(self) -> float:
        return cv2.countNonZero(self.left) / self.total if self.total > 0 else 1.0

    def as_object(self) -> SceneObject:
        item = self.item
        visible, in_frame = self.visible * item.visible, self.in_frame * item.in_frame
        return SceneObject(self.box, self.class_id, self.outline, visible, in_frame, item.confidence)


class Painter:
    """Paints items on a background that is there already.

    Attributes:
        image: (H, W, 3) uint8 RGB, painted in place.
    """

    def __init__(self, image: Bytes, to_px: FloatArray) -> None:
        """`to_px` (2, 3) maps units to pixels of the frame."""
        self.image = image
        self._to_px = to_px
        self._frame: Region = (0, 0, image.shape[1], image.shape[0])
        self._seen: list[_InFrame] = []
        self._labelled = 0

    def objects(self) -> tuple[SceneObject, ...]:
        """Return the labelled things in the frame, in drawn order."""
        return tuple(thing.as_object() for thing in self._seen)

    def numbers(self) -> tuple[int, ...]:
        """Return for each of `objects()`, which of the labelled items it is, from 0; those outside of the frame are
        none.
        """
        return tuple(thing.number for thing in self._seen)

    def clipped_box(self, shape: Shape) -> Box:
        """Return the tight box of the moved shape, xyxy pixels, clipped; of no size where it is outside."""
        return self._clip(bounds_of(apply_affine(self._to_px, shape.points)))

    def _clip(self, box: Box) -> Box:
        width, height = float(self._frame[2]), float(self._frame[3])
        x0, y0, x1, y1 = box
        return (
            min(max(x0, 0.0), width),
            min(max(y0, 0.0), height),
            min(max(x1, 0.0), width),
            min(max(y1, 0.0), height),
        )

    def add_strokes(self, strokes: Sequence[Stroke]) -> None:
        """Paint straight lines, which cover what came before."""
        mask = np.zeros(self.image.shape[:2], np.uint8) if self._seen else None
        raster.paint_strokes(self.image, strokes, self._to_px, mask)
        if mask is not None:
            for thing in self._seen:
                thing.cover(self._frame, mask)

    def add_item(self, item: Item, class_id: int | None) -> None:
        """Paint an item, let it cover what came before, and keep it if it is labelled and in the frame."""
        self._labelled += class_id is not None
        painted = self._paint_picture(item) if item.rgba is not None else None
        if item.rgba is not None and class_id is None:
            return
        points = apply_affine(self._to_px, item.shape.points)
        box = bounds_of(points)
        region = raster.region_of(box)
        shared = raster.intersect(region, self._frame)
        if shared is None:
            return
        if max(map(abs, box)) > _FAR:
            points = points.clip(-_FAR, _FAR)
        mask, in_frame = self._mask(points, item.shape.splits, region, shared)
        if item.colour is not None:
            raster.blend_colour(raster.view(self.image, shared), mask, item.colour, item.opacity)
            if item.opacity >= 0.5 or class_id is not None:
                self._cover(shared, mask)
        if class_id is None or in_frame <= 0:
            return
        x0, y0, x1, y1 = clipped = self._clip(box)
        if x0 < x1 and y0 < y1:
            outline = points[item.shape.outline_index] if item.outlined else None
            where, pixels = painted or (shared, mask)
            self._seen.append(_InFrame(item, self._labelled - 1, class_id, clipped, outline, in_frame, where, pixels))

    def _mask(self, points: FloatArray, splits: tuple[int, ...], region: Region, shared: Region) -> tuple[Bytes, float]:
        """Return the mask of a shape over the part of its region in the frame, and the share of its area there."""
        if region == shared:
            return raster.coverage(points, splits, region), 1.0
        width, height = self._frame[2:]
        if region[2] - region[0] > 2 * width or region[3] - region[1] > 2 * height:
            return raster.coverage(points, splits, shared), raster.share_inside(points, splits, self._frame)
        whole = raster.coverage(points, splits, region)
        part = np.ascontiguousarray(raster.crop(whole, region, shared))
        total = int(whole.sum())
        return part, int(part.sum()) / total if total else 0.0

    def _paint_picture(self, item: Item) -> tuple[Region, Bytes] | None:
        """Paint a picture; return where in the frame, and its alpha there."""
        assert item.rgba is not None
        assert item.place is not None
        height, width = item.rgba.shape[:2]
        to_px = raster.compose(self._to_px, item.place)
        corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float64)
        shared = raster.intersect(raster.region_of(bounds_of(apply_affine(to_px, corners))), self._frame)
        if shared is None:
            return None
        painted = raster.warp_rgba(item.rgba, to_px, shared)
        raster.blend_premultiplied(raster.view(self.image, shared), painted)
        alpha = np.ascontiguousarray(painted[..., 3])
        self._cover(shared, alpha)
        return shared, alpha

    def _cover(self, region: Region, mask: Bytes) -> None:
        touched = [thing for thing in self._seen if raster.intersect(thing.region, region)]
        if touched:
            solid = raster.solid(mask)
            for thing in touched:
                thing.cover(region, solid)
