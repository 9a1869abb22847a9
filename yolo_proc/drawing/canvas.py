"""The canvas: it records what is drawn, and rasterises once.

Coordinates are units of the frame's shorter side, origin top left, y down. Everything handed over is checked at
once. Drawing draws no random numbers, so a scene can be moved by a matrix, or redrawn without one of its objects,
and stays itself otherwise; boxes come from the outlines after the matrix, not from pixels.
"""

from __future__ import annotations  # so that `help` shows ArrayLike by its name

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from yolo_proc.boxes import FloatArray
from yolo_proc.config.options import nearest
from yolo_proc.drawing import raster
from yolo_proc.drawing.outlines import (
    Shape,
    as_affine,
    circle,
    ellipse,
    line,
    polygon,
    rectangle,
    star,
)
from yolo_proc.drawing.painter import Item, Label, Painter
from yolo_proc.drawing.raster import Bytes, Colour, Stroke, Texture, gradient
from yolo_proc.drawing.typefaces import text
from yolo_proc.errors import GeneratorError
from yolo_proc.scene import Scene

__all__ = [
    "Canvas",
    "Shape",
    "Texture",
    "circle",
    "ellipse",
    "gradient",
    "line",
    "polygon",
    "rectangle",
    "star",
    "text",
]


class Canvas:
    """A display list of shapes, pictures and labels.

    Attributes:
        width, height: units; the smaller is 1.
    """

    def __init__(self, width: float = 1.0, height: float = 1.0) -> None:
        if not (math.isfinite(width) and math.isfinite(height) and abs(min(width, height) - 1) < 1e-9):
            raise GeneratorError(f"a canvas: expected sides of which the shorter is 1, found {width} x {height}")
        self.width = float(width)
        self.height = float(height)
        self._background: Colour | Texture | Bytes = (0, 0, 0)
        self._beyond: Colour | None = None
        self._items: list[Item | list[Stroke]] = []
        self._ignored: list[Shape] = []
        self._scene_label: Label | None = None

    @property
    def labelled(self) -> int:
        """How many labelled objects were drawn."""
        return sum(isinstance(item, Item) and item.label is not None for item in self._items)

    @property
    def has_loose_boxes(self) -> bool:
        """Whether an object is known by a box only, which grows loose when rotated or sheared."""
        return any(isinstance(item, Item) and item.label is not None and not item.outlined for item in self._items)

    @property
    def painted(self) -> tuple[bool, ...]:
        """For each labelled object, in drawn order, whether it was drawn or pasted here and not annotated alone."""
        labelled = (item for item in self._items if isinstance(item, Item) and item.label is not None)
        return tuple(item.colour is not None or item.rgba is not None for item in labelled)

    def without(self, number: int) -> Canvas:
        """Return a canvas that lacks labelled object `number` (0 is the first drawn) and is the same otherwise.

        Raises:
            GeneratorError: there is no such object.
        """
        places = [at for at, item in enumerate(self._items) if isinstance(item, Item) and item.label is not None]
        if not 0 <= number < len(places):
            raise GeneratorError(f"without({number}): expected an object from 0 to {len(places) - 1}")
        return self._with_items(self._items[: places[number]] + self._items[places[number] + 1 :])

    def bare(self) -> Canvas:
        """Return a canvas that lacks all labelled objects and is the same otherwise."""
        return self._with_items([item for item in self._items if not isinstance(item, Item) or item.label is None])

    def _with_items(self, items: Sequence[Item | list[Stroke]]) -> Canvas:
        copy = Canvas(self.width, self.height)
        copy._background, copy._beyond = self._background, self._beyond
        copy._items = list(items)
        copy._ignored = list(self._ignored)
        copy._scene_label = self._scene_label
        return copy

    def background(self, fill: ArrayLike | Texture, *, beyond: ArrayLike | None = None) -> None:
        """Set what lies behind everything; the last call counts, and without one it is black.

        Args:
            fill: a colour (3,), a uint8 RGB picture (h, w, 3), or `gradient(...)` or `Texture(...)`. A picture
                covers the canvas and moves with the matrix, mirrored beyond its edges; the others fill the frame.
            beyond: the colour beyond the edges of a picture, for one with objects on it: mirrored, they would have
                no label. Such a picture is stretched over the canvas; of the frame's size and unmoved it shows
                exactly its pixels.

        Raises:
            GeneratorError: anything else.
        """
        is_picture = isinstance(fill, np.ndarray) and fill.ndim == 3
        if beyond is not None and not is_picture:
            raise GeneratorError(f"background: expected a picture where `beyond` is given, found {fill!r}")
        self._beyond = None if beyond is None else _checked_colour(beyond, "background")
        if isinstance(fill, Texture):
            self._background = fill
        elif isinstance(fill, np.ndarray) and fill.ndim == 3:
            if fill.dtype != np.uint8 or fill.shape[2] != 3 or min(fill.shape) == 0:
                raise GeneratorError(
                    f"background: expected a uint8 RGB picture (h, w, 3), found {fill.dtype} of shape {fill.shape}"
                )
            self._background = fill
        else:
            self._background = _checked_colour(fill, "background")

    def draw(self, shape: Shape, colour: ArrayLike, label: Label | None = None, *, opacity: float = 1.0) -> None:
        """Fill a shape.

        Args:
            colour: (r, g, b), 0 to 255.
            label: class name or index; None for decoration.
            opacity: 0 to 1. What is drawn at less than half covers nothing, as far as `visible` is concerned.

        Raises:
            GeneratorError: a wrong type, a value out of range.
        """
        if not isinstance(shape, Shape):
            raise GeneratorError(f"draw: expected a Shape (circle, polygon, text, ...), found {shape!r}")
        if not math.isfinite(shape.points.sum()):
            raise GeneratorError("draw: the shape has coordinates that are not finite")
        item = Item(
            _checked_label(label, "draw"), shape, _checked_colour(colour, "draw"), _checked_share(opacity, "draw")
        )
        self._items.append(item)

    def strokes(self, ends: ArrayLike, widths: ArrayLike, colours: ArrayLike) -> None:
        """Draw many unlabelled straight lines, quicker than `draw(line(...))` does one by one.

        Args:
            ends: (N, 4) x0, y0, x1, y1.
            widths: (N,) above 0.
            colours: (N, 3), 0 to 255.

        Raises:
            GeneratorError: shapes that do not fit, a value that is not finite or out of range.
        """
        try:
            boxes, thick = np.asarray(ends, dtype=np.float64), np.asarray(widths, dtype=np.float64).tolist()
            paints = np.asarray(colours)
            low, high = (paints.min(), paints.max()) if paints.dtype != np.uint8 and paints.size else (0, 255)
        except (TypeError, ValueError) as error:
            raise GeneratorError(f"strokes: expected numbers: {error}") from None
        count = len(boxes) if boxes.ndim else 0
        if boxes.shape != (count, 4) or np.shape(thick) != (count,) or paints.shape != (count, 3):
            raise GeneratorError(
                "strokes: expected ends (N, 4), widths (N,) and colours (N, 3), "
                f"found {boxes.shape}, {np.shape(thick)} and {paints.shape}"
            )
        if not (math.isfinite(boxes.sum()) and all(0 < width < math.inf for width in thick)):
            raise GeneratorError("strokes: expected finite ends, and widths that are finite and above 0")
        if not (low >= 0 and high <= 255):
            raise GeneratorError(f"strokes: expected colours of 0 to 255, found {low} to {high}")
        triples = (paints if paints.dtype == np.uint8 else np.rint(paints).astype(np.uint8)).tolist()
        rows = zip(boxes.tolist(), thick, triples, strict=True)
        self._items.append([(x0, y0, x1, y1, width, colour) for (x0, y0, x1, y1), width, colour in rows])

    def paste(
        self, rgba: Bytes, box_xyxy: ArrayLike, label: Label | None = None, *, outline: ArrayLike | None = None
    ) -> None:
        """Put a picture with alpha into a box; it is stretched to fill it.

        Args:
            rgba: (h, w, 4) uint8, red first, colours not multiplied by alpha.
            box_xyxy: x0, y0, x1, y1 in units.
            label: class name or index; None for decoration.
            outline: (K, 2) the thing's outline, units. Without one the label's box is that of the opaque pixels
                (alpha of 128 and more), and the scene is not rotated or sheared unless the user asks.

        Raises:
            GeneratorError: a wrong type or shape, or a labelled picture without an opaque pixel.
        """
        if not isinstance(rgba, np.ndarray) or rgba.dtype != np.uint8 or rgba.ndim != 3 or rgba.shape[2] != 4:
            raise GeneratorError(f"paste: expected a uint8 RGBA picture (h, w, 4), found {_kind(rgba)}")
        if min(rgba.shape) == 0:
            raise GeneratorError(f"paste: expected a picture with pixels, found shape {rgba.shape}")
        x0, y0, x1, y1 = _checked_box(box_xyxy, "paste")
        height, width = rgba.shape[:2]
        place = np.array([[(x1 - x0) / width, 0, x0], [0, (y1 - y0) / height, y0]])
        label = _checked_label(label, "paste")
        if outline is not None:
            shape = polygon(outline)
        elif label is None:
            shape = rectangle(x0, y0, x1, y1)
        else:
            left, top, right, bottom = raster.opaque_bounds(rgba)
            if left == right:
                raise GeneratorError("paste: expected a labelled picture with opaque pixels, found alpha below 128")
            shape = rectangle(left, top, right, bottom).transformed(place)
        painted = raster.premultiply(rgba)
        self._items.append(Item(label, shape, rgba=painted, place=place, outlined=outline is not None))

    def annotate(
        self,
        box_xyxy_or_polygon: ArrayLike,
        label: Label,
        *,
        confidence: float = 1.0,
        visible: float = 1.0,
        in_frame: float = 1.0,
    ) -> None:
        """Labels what other means have painted (a background picture, a renderer): a box (4,) or a polygon (K, 2).

        It paints and covers nothing.

        Args:
            confidence: how sure the label is, 0 to 1.
            visible, in_frame: the shares that are to be seen before anything is drawn over it or moves it.

        Raises:
            GeneratorError: neither a box nor a polygon, no label, or a share out of range.
        """
        try:
            array = np.asarray(box_xyxy_or_polygon, dtype=np.float64)
        except (TypeError, ValueError):
            raise GeneratorError(f"annotate: expected a box or a polygon, found {box_xyxy_or_polygon!r}") from None
        if label is None:
            raise GeneratorError("annotate: expected a label, found None")
        is_box = array.shape == (4,)
        shape = rectangle(*_checked_box(array, "annotate")) if is_box else polygon(array)
        shares = (_checked_share(share, "annotate", "shares") for share in (confidence, visible, in_frame))
        self._items.append(Item(_checked_label(label, "annotate"), shape, None, 1.0, None, None, not is_box, *shares))

    def name_labels(self, classes: Sequence[str]) -> None:
        """Replaces labels that are indices by the names they mean, so that the canvas suits a longer list of classes.

        Raises:
            GeneratorError: a label that is not in `classes`.
        """
        for item in self._items:
            if isinstance(item, Item) and item.label is not None:
                item.label = classes[_class_id(item.label, classes)]
        if self._scene_label is not None:
            self._scene_label = classes[_class_id(self._scene_label, classes)]

    def label_scene(self, label: Label) -> None:
        """Say of what class the whole scene is, for the task classification; the last call counts.

        Without it the class is that of the scene's only object.

        Raises:
            GeneratorError: neither a name nor an index.
        """
        if label is None:
            raise GeneratorError("label_scene: expected a class name or index, found None")
        self._scene_label = _checked_label(label, "label_scene")

    def ignore(self, box_xyxy: ArrayLike) -> None:
        """Mark a region of which no loss term and no metric speaks.

        Raises:
            GeneratorError: not an ordered box of finite numbers.
        """
        self._ignored.append(rectangle(*_checked_box(box_xyxy, "ignore")))

    def render(self, width_px: int, height_px: int, matrix: ArrayLike | None, classes: Sequence[str]) -> Scene:
        """Return the pixels and the objects that are in the frame.

        Args:
            matrix: affine (3, 3) or (2, 3) in units, applied to all coordinates; None for none.
            classes: the names to which labels refer.

        Raises:
            GeneratorError: a label that is not in `classes`.
        """
        painter = self._painted(width_px, height_px, matrix, classes)
        ignored = [painter.clipped_box(shape) for shape in self._ignored]
        kept = [box for box in ignored if box[0] < box[2] and box[1] < box[3]]
        class_id = None if self._scene_label is None else _class_id(self._scene_label, classes)
        return Scene(painter.image, painter.objects(), np.array(kept, dtype=np.float64).reshape(-1, 4), class_id)

    def numbers_in_frame(
        self, width_px: int, height_px: int, matrix: ArrayLike | None, classes: Sequence[str]
    ) -> tuple[int, ...]:
        """Return for each object of the scene that `render` gives, its number for `without`."""
        return self._painted(width_px, height_px, matrix, classes).numbers()

    def _painted(self, width_px: int, height_px: int, matrix: ArrayLike | None, classes: Sequence[str]) -> Painter:
        assert width_px > 0, width_px
        assert height_px > 0, height_px
        to_px = np.array([[width_px / self.width, 0, 0], [0, height_px / self.height, 0]], dtype=np.float64)
        if matrix is not None:
            to_px = raster.compose(to_px, as_affine(matrix))
        painter = Painter(self._paint_background(to_px, width_px, height_px), to_px)
        for item in self._items:
            if isinstance(item, list):
                painter.add_strokes(item)
            else:
                painter.add_item(item, None if item.label is None else _class_id(item.label, classes))
        return painter

    def _paint_background(self, to_px: FloatArray, width: int, height: int) -> Bytes:
        fill = self._background
        if isinstance(fill, Texture):
            return raster.texture_background(fill, width, height)
        if isinstance(fill, tuple):
            return raster.plain_background(fill, width, height)
        if self._beyond is not None:
            place = np.array([[self.width / fill.shape[1], 0, 0], [0, self.height / fill.shape[0], 0]])
            return raster.framed_background(fill, raster.compose(to_px, place), (width, height), self._beyond)
        return raster.picture_background(fill, to_px, (self.width, self.height), (width, height))


# ---------------------------------------------------------------------------------------------------------------
# Checks of what a generator hands over


def _kind(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} of shape {value.shape}"
    # A picture of Pillow, which this module need not know.
    is_picture = hasattr(value, "mode") and hasattr(value, "convert")
    return 'a PIL image; take np.array(picture.convert("RGBA"))' if is_picture else repr(value)


def _checked_colour(colour: Any, where: str) -> Colour:
    values = colour.tolist() if isinstance(colour, np.ndarray) else colour
    try:
        red, green, blue = values
        if 0 <= red <= 255 and 0 <= green <= 255 and 0 <= blue <= 255:
            return round(red), round(green), round(blue)
    except (TypeError, ValueError):
        pass
    raise GeneratorError(f"{where}: expected a colour of three values 0 to 255 (r, g, b), found {colour!r}")


def _checked_label(label: Label | None, where: str) -> Label | None:
    if label is None or isinstance(label, str):
        return label
    if isinstance(label, int | np.integer) and not isinstance(label, bool):
        return int(label)
    raise GeneratorError(f"{where}: expected a class name or index as label, found {label!r}")


def _checked_share(share: float, where: str, what: str = "an opacity") -> float:
    if isinstance(share, int | float | np.number) and 0 <= share <= 1:
        return float(share)
    raise GeneratorError(f"{where}: expected {what} from 0 to 1, found {share!r}")


def _checked_box(box_xyxy: ArrayLike, where: str) -> tuple[float, float, float, float]:
    try:
        x0, y0, x1, y1 = np.asarray(box_xyxy, dtype=np.float64).tolist()
    except (TypeError, ValueError):
        raise GeneratorError(f"{where}: expected a box x0, y0, x1, y1, found {box_xyxy!r}") from None
    if not (math.isfinite(x0 + y0 + x1 + y1) and x0 < x1 and y0 < y1):
        found = ", ".join(f"{value:g}" for value in (x0, y0, x1, y1))
        raise GeneratorError(
            f"{where}: expected a finite box x0, y0, x1, y1 with x0 < x1 and y0 < y1 (corners, not a corner and a "
            f"size), found {found}"
        )
    return x0, y0, x1, y1


def _class_id(label: Label, classes: Sequence[str]) -> int:
    if isinstance(label, str):
        if label in classes:
            return classes.index(label)
        raise GeneratorError(
            f"label {label!r} is no class of this generator{nearest(label, classes)}; classes: {', '.join(classes)}"
        )
    if 0 <= label < len(classes):
        return label
    raise GeneratorError(f"label {label}: expected an index from 0 to {len(classes) - 1} ({', '.join(classes)})")
