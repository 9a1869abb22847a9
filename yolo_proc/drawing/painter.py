"""One picture in the making: paints the entries of a display list in order, and finds what is left to see of each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from yolo_proc.boxes import FloatArray
from yolo_proc.drawing import raster
from yolo_proc.drawing.outlines import Shape, bounds_of, hull_index
from yolo_proc.drawing.raster import Bytes, Colour, Region, Stroke
from yolo_proc.drawing.view import View
from yolo_proc.scene import SceneObject

Label = str | int
Box = tuple[float, float, float, float]  # xyxy

_FAR = 1e6  # pixels; what is further away is brought there, because cv2 takes 32-bit corners
_SOLID = 0.5  # opacity from which on something hides what is behind it


@dataclass(slots=True)
class Item:
    """One entry of the display list, in units.

    Attributes:
        label: class name or index; None for decoration.
        shape: what is filled, or where the label is; None of a picture without a label, or without opaque pixels.
        colour: None where the item fills no shape.
        rgba, place: a premultiplied picture, and the (2, 3) matrix from its pixels to units.
        outlined: the shape is the thing's own outline, not just a box around it.
        confidence, visible, in_frame: what its source says of it, shares; how it lies in the scene comes on top.
    """

    label: Label | None
    shape: Shape | None
    colour: Colour | None = None
    opacity: float = 1.0
    rgba: Bytes | None = None
    place: FloatArray | None = None
    outlined: bool = True
    confidence: float = 1.0
    visible: float = 1.0
    in_frame: float = 1.0

    @property
    def is_solid(self) -> bool:
        """Whether it hides what is behind it, and is a part of the object that it is drawn for."""
        hides = self.rgba is not None or (self.colour is not None and self.opacity >= _SOLID)
        return hides and self.shape is not None


@dataclass(slots=True)
class Strokes:
    """Unlabelled straight lines, an entry of the display list."""

    rows: list[Stroke]


@dataclass(slots=True)
class Compound:
    """One object of many parts, an entry of the display list.

    Attributes:
        label: class name or index.
        entries: its parts, and objects that lie on it, in drawn order.
        shape: the outline that the user named, units; None: that of all parts.
    """

    label: Label
    entries: "list[Entry]"
    shape: Shape | None = None


Entry = Item | Strokes | Compound


@dataclass(slots=True)
class _Part:
    """Something solid that was drawn for a compound.

    Attributes:
        points, splits: its contours, pixels of the frame.
        outline: which points form its outline; None where that is not known.
        pixels: where in the frame, and its coverage there; None outside of the frame.
    """

    points: FloatArray
    splits: tuple[int, ...]
    outline: NDArray[np.intp] | None
    pixels: tuple[Region, Bytes] | None


@dataclass(slots=True)
class _InFrame:
    """Measures of an object that is in the frame.

    Attributes:
        shares: confidence, visible and in frame, as its source says them.
        number: of the item among the labelled ones of the list, from 0.
        region: where it may have pixels.
        left: mask over the region; once something has met it, 255 where it is still to be seen and 0 elsewhere.
        total: its pixels before anything covered them; -1 until something has met it.
    """

    shares: tuple[float, float, float]
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
        confidence, visible, in_frame = self.shares
        return SceneObject(
            self.box, self.class_id, self.outline, self.visible * visible, self.in_frame * in_frame, confidence
        )


class Painter:
    """Paints entries on a background that is there already.

    Attributes:
        image: (H, W, 3) uint8 RGB, painted in place.
    """

    def __init__(self, image: Bytes, view: View, class_id: Callable[[Label], int]) -> None:
        """Args:
        view: of the frame that is painted.
        class_id: what a label means.
        """
        self.image = image
        self._view = view
        self._class_id = class_id
        self._parts: list[list[_Part]] = []  # of the compounds that are being painted, the outer one first
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
        points = self._view.place(shape).points
        return self._clip(bounds_of(points)) if len(points) else (0.0, 0.0, 0.0, 0.0)

    def _clip(self, box: Box) -> Box:
        width, height = float(self._frame[2]), float(self._frame[3])
        x0, y0, x1, y1 = box
        return (
            min(max(x0, 0.0), width),
            min(max(y0, 0.0), height),
            min(max(x1, 0.0), width),
            min(max(y1, 0.0), height),
        )

    def add(self, entry: Entry) -> None:
        """Paint an entry, let it cover what came before, and keep it if it is labelled and in the frame."""
        if isinstance(entry, Strokes):
            self._add_strokes(entry.rows)
        elif isinstance(entry, Item):
            self._add_item(entry, None if entry.label is None else self._class_id(entry.label))
        else:
            self._add_compound(entry, self._class_id(entry.label))

    def _add_strokes(self, strokes: Sequence[Stroke]) -> None:
        mask = np.zeros(self.image.shape[:2], np.uint8) if self._seen or self._parts else None
        rows, to_px = self._view.strokes(strokes)
        raster.paint_strokes(self.image, rows, to_px, mask)
        if mask is None:
            return
        for thing in self._seen:
            thing.cover(self._frame, mask)
        if self._parts and rows:
            quads = raster.stroke_corners(rows, to_px)  # (4 N, 2)
            splits = tuple(range(0, len(quads) + 1, 4))
            self._parts[-1].append(_Part(quads, splits, hull_index(quads), (self._frame, mask)))

    def _add_item(self, item: Item, class_id: int | None) -> None:
        self._labelled += class_id is not None
        is_part = bool(self._parts) and item.is_solid
        painted = self._paint_picture(item) if item.rgba is not None else None
        if item.shape is None or (item.rgba is not None and class_id is None and not is_part):
            return
        placed = self._view.place(item.shape)
        points = placed.points
        if not len(points):
            return
        box = bounds_of(points)
        region = raster.region_of(box)
        shared = raster.intersect(region, self._frame)
        if max(map(abs, box)) > _FAR:
            points = points.clip(-_FAR, _FAR)
        part = _Part(points, placed.splits, placed.outline if item.outlined else None, None)
        if is_part:
            self._parts[-1].append(part)
        if shared is None:
            return
        if item.rgba is not None and class_id is None:
            part.pixels = painted
            return
        mask, in_frame = self._mask([part], region, shared)
        part.pixels = painted or (shared, mask)
        if item.colour is not None:
            raster.blend_colour(raster.view(self.image, shared), mask, item.colour, item.opacity)
            if item.opacity >= _SOLID or class_id is not None:
                self._cover(shared, mask)
        if class_id is None:
            return
        outline = points[placed.outline] if item.outlined else None
        shares = (item.confidence, item.visible, item.in_frame)
        self._keep(len(self._seen), self._labelled - 1, class_id, shares, box, outline, in_frame, *part.pixels)

    def _add_compound(self, compound: Compound, class_id: int) -> None:
        """Paint all parts; only then the whole is there to be covered, so that no part hides it."""
        place, number = len(self._seen), self._labelled
        self._labelled += 1
        self._parts.append([])
        for entry in compound.entries:
            self.add(entry)
        parts = self._parts.pop()
        if self._parts:
            self._parts[-1].extend(parts)
        shape = compound.shape
        if shape is not None:
            placed = self._view.place(shape)
            parts = [_Part(placed.points, placed.splits, placed.outline, None)] if len(placed.points) else []
        if not parts:  # the only one of them was left out, or all are behind the camera
            return
        box = bounds_of(np.concatenate([part.points for part in parts]))
        region = raster.region_of(box)
        shared = raster.intersect(region, self._frame)
        if shared is None:
            return
        mask, in_frame = self._mask(parts, region, shared)
        if shape is None:  # the coverage of pictures is that of their alpha
            mask = _merged([part.pixels for part in parts if part.pixels is not None], shared)
        outline = _outline_of(parts, box)
        self._keep(place, number, class_id, (1.0, 1.0, 1.0), box, outline, in_frame, shared, mask)

    def _keep(
        self,
        place: int,
        number: int,
        class_id: int,
        shares: tuple[float, float, float],
        box: Box,
        outline: FloatArray | None,
        in_frame: float,
        region: Region,
        mask: Bytes,
    ) -> None:
        x0, y0, x1, y1 = clipped = self._clip(box)
        if in_frame > 0 and x0 < x1 and y0 < y1:
            self._seen.insert(place, _InFrame(shares, number, class_id, clipped, outline, in_frame, region, mask))

    def _mask(self, parts: Sequence[_Part], region: Region, shared: Region) -> tuple[Bytes, float]:
        """Return the mask of shapes over the part of their region in the frame, and the share of their area there."""
        shapes = [(part.points, part.splits) for part in parts]
        if region == shared:
            return raster.coverage_of_all(shapes, region), 1.0
        width, height = self._frame[2:]
        if region[2] - region[0] > 2 * width or region[3] - region[1] > 2 * height:
            return raster.coverage_of_all(shapes, shared), raster.share_inside(shapes, self._frame)
        whole = raster.coverage_of_all(shapes, region)
        part = np.ascontiguousarray(raster.crop(whole, region, shared))
        total = int(whole.sum())
        return part, int(part.sum()) / total if total else 0.0

    def _paint_picture(self, item: Item) -> tuple[Region, Bytes] | None:
        """Paint a picture; return where in the frame, and its alpha there."""
        assert item.rgba is not None
        assert item.place is not None
        seen = self._view.warp_rgba(item.rgba, item.place)
        if seen is None:
            return None
        shared, painted = seen
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


def _merged(pixels: Sequence[tuple[Region, Bytes]], region: Region) -> Bytes:
    """Return the mask over `region` of all that parts cover."""
    width, height = region[2] - region[0], region[3] - region[1]
    whole = np.zeros((height, width), np.uint8)
    for own, mask in pixels:
        shared = raster.intersect(own, region)
        if shared is not None:
            there = raster.crop(whole, region, shared)
            cv2.max(there, raster.crop(mask, own, shared), dst=there)
    return whole


def _outline_of(parts: Sequence[_Part], box: Box) -> FloatArray | None:
    """Return one polygon (K, 2) around all parts, whose box is given; None where the outline of one is not known.

    It is that of the part that reaches as far as all of them, as with a card and what is printed on it, or their hull.
    """
    for part in parts:
        if part.outline is not None and bounds_of(part.points) == box:
            return part.points[part.outline]
    if any(part.outline is None for part in parts):
        return None
    rings = np.concatenate([part.points[part.outline] for part in parts if part.outline is not None])
    hull: FloatArray = rings[hull_index(rings)]
    return hull
