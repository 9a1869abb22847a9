"""The canvas: it records what is drawn, and rasterises once.

Coordinates are units of the frame's shorter side, origin top left, y down. Everything handed over is checked at
once. Drawing draws no random numbers, so a scene can be moved by a matrix, or redrawn without one of its objects,
and stays itself otherwise; boxes come from the outlines after the matrix, not from pixels.
"""

from __future__ import annotations  # so that `help` shows ArrayLike by its name

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from yolo_proc.boxes import FloatArray
from yolo_proc.config.options import nearest
from yolo_proc.drawing import raster
from yolo_proc.drawing.outlines import (
    Shape,
    apply_matrix,
    as_matrix,
    circle,
    ellipse,
    line,
    polygon,
    quadrilateral,
    rectangle,
    star,
)
from yolo_proc.drawing.painter import Compound, Entry, Item, Label, Painter, Strokes
from yolo_proc.drawing.raster import Bytes, Colour, Texture, gradient
from yolo_proc.drawing.typefaces import text
from yolo_proc.drawing.view import Camera, View
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
        self._entries: list[Entry] = []
        self._open: list[list[Entry]] = [self._entries]  # where what is drawn goes: the entries, and objects' parts
        self._matrix: FloatArray | None = None  # of the groups that are open
        self._ignored: list[Shape] = []
        self._scene_label: Label | None = None

    @property
    def labelled(self) -> int:
        """How many labelled objects were drawn."""
        return sum(1 for _ in _labelled(self._entries))

    @property
    def has_loose_boxes(self) -> bool:
        """Whether an object is known by a box only, which grows loose when rotated or sheared."""
        return any(isinstance(thing, Item) and not thing.outlined for thing in _labelled(self._entries))

    @property
    def painted(self) -> tuple[bool, ...]:
        """For each labelled object, in drawn order, whether it was drawn or pasted here and not annotated alone."""
        return tuple(
            isinstance(thing, Compound) or thing.colour is not None or thing.rgba is not None
            for thing in _labelled(self._entries)
        )

    def without(self, number: int) -> Canvas:
        """Return a canvas that lacks labelled object `number` (0 is the first drawn), with all that is drawn inside of
        it, and is the same otherwise.

        Raises:
            GeneratorError: there is no such object.
        """
        things = list(_labelled(self._entries))
        if not 0 <= number < len(things):
            raise GeneratorError(f"without({number}): expected an object from 0 to {len(things) - 1}")
        return self._with_entries(_pruned(self._entries, things[number]))

    def bare(self) -> Canvas:
        """Return a canvas that lacks all labelled objects and is the same otherwise."""
        return self._with_entries([one for one in self._entries if isinstance(one, Strokes) or one.label is None])

    def _with_entries(self, entries: list[Entry]) -> Canvas:
        copy = Canvas(self.width, self.height)
        copy._background, copy._beyond = self._background, self._beyond
        copy._entries = entries
        copy._open = [entries]
        copy._ignored = list(self._ignored)
        copy._scene_label = self._scene_label
        return copy

    @contextmanager
    def object(
        self, label: Label, *, transform: ArrayLike | None = None, outline: Shape | ArrayLike | None = None
    ) -> Iterator[None]:
        """Make one object of all that is drawn inside of the block.

            with canvas.object("card"):
                canvas.draw(rectangle(0.2, 0.2, 0.4, 0.5), (255, 255, 255))
                canvas.draw(text("A", size=0.1).shifted(0.3, 0.35), (0, 0, 0))

        Its parts never hide it, and its outline is theirs together: that of the part that reaches as far as all of
        them, or their convex hull. What is drawn at less than half opacity (a glow, a soft shadow) is none of its
        parts. A label inside of the block makes an object of its own that lies on this one.

        Args:
            label: class name or index.
            transform: moves all that is drawn inside; see `group`.
            outline: a Shape or (K, 2) points: its outline, where that of all parts is not the right one.

        Raises:
            GeneratorError: no label, a matrix or an outline that is none, or a block in which nothing was drawn.
        """
        checked = _checked_label(label, "object")
        if checked is None:
            raise GeneratorError("object: expected a class name or index as label, found None")
        shape = outline if isinstance(outline, Shape) or outline is None else polygon(outline)
        with self.group(transform):
            compound = Compound(checked, [], None if shape is None else self._moved(shape))
            self._open[-1].append(compound)
            self._open.append(compound.entries)
            try:
                yield
            finally:
                self._open.pop()
        if shape is None and not any(map(_has_part, compound.entries)):
            raise GeneratorError(f"object {label!r}: nothing is drawn inside of its block, at half opacity or more")

    @contextmanager
    def group(self, transform: ArrayLike | None = None) -> Iterator[None]:
        """Move all that is drawn inside of the block.

            with canvas.group([[1, -0.2, 0], [0.2, 1, 0]]): ...

        Args:
            transform: acts on columns (x, y, 1): affine, (2, 3) or (3, 3), or a homography (3, 3), such as
                `quadrilateral` gives. That of a block outside acts after it.

        Raises:
            GeneratorError: no such matrix; a homography that throws what is drawn behind the camera or to infinity.
        """
        before = self._matrix
        if transform is not None:
            matrix = as_matrix(transform)
            self._matrix = matrix if before is None else raster.compose(before, matrix)
        try:
            yield
        finally:
            self._matrix = before

    def _moved(self, shape: Shape) -> Shape:
        """Return the shape where the open groups bring it."""
        return shape if self._matrix is None else shape.transformed(self._matrix)

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

    def draw(
        self,
        shape: Shape,
        colour: ArrayLike,
        label: Label | None = None,
        *,
        opacity: float = 1.0,
        transform: ArrayLike | None = None,
    ) -> None:
        """Fill a shape.

        Args:
            colour: (r, g, b), 0 to 255.
            label: class name or index; None for decoration.
            opacity: 0 to 1. What is drawn at less than half covers nothing, as far as `visible` is concerned.
            transform: moves the shape; see `group`.

        Raises:
            GeneratorError: a wrong type, a value out of range.
        """
        if not isinstance(shape, Shape):
            raise GeneratorError(f"draw: expected a Shape (circle, polygon, text, ...), found {shape!r}")
        if not math.isfinite(shape.points.sum()):
            raise GeneratorError("draw: the shape has coordinates that are not finite")
        label, colour = _checked_label(label, "draw"), _checked_colour(colour, "draw")
        opacity = _checked_share(opacity, "draw")
        with self.group(transform):
            self._open[-1].append(Item(label, self._moved(shape), colour, opacity))

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
        if self._matrix is not None:
            moved = apply_matrix(self._matrix, boxes.reshape(-1, 2)).reshape(-1, 4)
            # A stroke has one width: that of its middle, where a homography makes things smaller along its way.
            zooms = raster.zooms(self._matrix, boxes.reshape(-1, 2, 2).mean(axis=1))
            boxes, thick = moved, (zooms * thick).tolist()
        rows = zip(boxes.tolist(), thick, triples, strict=True)
        self._open[-1].append(Strokes([(*ends, width, colour) for ends, width, colour in rows]))

    def paste(
        self,
        rgba: Bytes,
        place: ArrayLike,
        label: Label | None = None,
        *,
        outline: ArrayLike | None = None,
        transform: ArrayLike | None = None,
    ) -> None:
        """Put a picture with alpha into a box, or between four corners; it is stretched to fill it.

        Args:
            rgba: (h, w, 4) uint8, red first, colours not multiplied by alpha.
            place: a box x0, y0, x1, y1, units, or a quadrilateral (4, 2): where the picture's upper left, upper right,
                lower right and lower left corner come to lie.
            label: class name or index; None for decoration.
            outline: (K, 2) the thing's outline where it is put, units. Without one it is the convex hull of the
                picture's opaque pixels (alpha of 128 and more).
            transform: moves the picture, and its outline, once it is in its place; see `group`.

        Raises:
            GeneratorError: a wrong type or shape, a quadrilateral that crosses itself, or a labelled picture without an
                opaque pixel.
        """
        if not isinstance(rgba, np.ndarray) or rgba.dtype != np.uint8 or rgba.ndim != 3 or rgba.shape[2] != 4:
            raise GeneratorError(f"paste: expected a uint8 RGBA picture (h, w, 4), found {_kind(rgba)}")
        if min(rgba.shape) == 0:
            raise GeneratorError(f"paste: expected a picture with pixels, found shape {rgba.shape}")
        height, width = rgba.shape[:2]
        matrix = _placed(place, width, height)
        label = _checked_label(label, "paste")
        shape: Shape | None = None
        if outline is not None:
            shape = polygon(outline)
        elif label is not None or len(self._open) > 1:
            hull = raster.opaque_hull(rgba)
            if len(hull):
                shape = polygon(hull).transformed(matrix)
            elif label is not None:
                raise GeneratorError("paste: expected a labelled picture with opaque pixels, found alpha below 128")
        painted = raster.premultiply(rgba)
        with self.group(transform):
            if self._matrix is not None:
                matrix = raster.compose(self._matrix, matrix)
                shape = None if shape is None else self._moved(shape)
            apply_matrix(matrix, np.array([(0, 0), (width, 0), (width, height), (0, height)], dtype=np.float64))
            if len(matrix) == 3:  # so that its middle is at a depth of 1
                matrix = matrix / float(matrix[2] @ (width / 2, height / 2, 1.0))
            self._open[-1].append(Item(label, shape, rgba=painted, place=matrix))

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
        item = Item(_checked_label(label, "annotate"), self._moved(shape), None, 1.0, None, None, not is_box, *shares)
        self._open[-1].append(item)

    def name_labels(self, classes: Sequence[str]) -> None:
        """Replaces labels that are indices by the names they mean, so that the canvas suits a longer list of classes.

        Raises:
            GeneratorError: a label that is not in `classes`.
        """
        for thing in _labelled(self._entries):
            assert thing.label is not None
            thing.label = classes[_class_id(thing.label, classes)]
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
        self._ignored.append(self._moved(rectangle(*_checked_box(box_xyxy, "ignore"))))

    def render(self, width_px: int, height_px: int, camera: Camera | ArrayLike | None, classes: Sequence[str]) -> Scene:
        """Return the pixels and the objects that are in the frame.

        Args:
            camera: how the scene is seen; a matrix alone, (2, 3) or (3, 3) in units, is a camera without a lens; None
                moves nothing.
            classes: the names to which labels refer.

        Raises:
            GeneratorError: a label that is not in `classes`.
        """
        painter = self._painted(width_px, height_px, camera, classes)
        ignored = [painter.clipped_box(shape) for shape in self._ignored]
        kept = [box for box in ignored if box[0] < box[2] and box[1] < box[3]]
        class_id = None if self._scene_label is None else _class_id(self._scene_label, classes)
        return Scene(painter.image, painter.objects(), np.array(kept, dtype=np.float64).reshape(-1, 4), class_id)

    def numbers_in_frame(
        self, width_px: int, height_px: int, camera: Camera | ArrayLike | None, classes: Sequence[str]
    ) -> tuple[int, ...]:
        """Return for each object of the scene that `render` gives, its number for `without`."""
        return self._painted(width_px, height_px, camera, classes).numbers()

    def _painted(
        self, width_px: int, height_px: int, camera: Camera | ArrayLike | None, classes: Sequence[str]
    ) -> Painter:
        assert width_px > 0, width_px
        assert height_px > 0, height_px
        seen = camera if isinstance(camera, Camera) else Camera(camera)
        view = View(seen, (self.width, self.height), (width_px, height_px))
        painter = Painter(self._paint_background(view), view, lambda label: _class_id(label, classes))
        for entry in self._entries:
            painter.add(entry)
        return painter

    def _paint_background(self, view: View) -> Bytes:
        fill = self._background
        if isinstance(fill, Texture):
            return raster.texture_background(fill, *view.size)
        if isinstance(fill, tuple):
            return raster.plain_background(fill, *view.size)
        return view.background(fill, self._beyond)


# ---------------------------------------------------------------------------------------------------------------
# The display list


def _labelled(entries: Sequence[Entry]) -> Iterator[Item | Compound]:
    """Yield the labelled things in drawn order: an object before what lies on it."""
    for entry in entries:
        if isinstance(entry, Compound):
            yield entry
            yield from _labelled(entry.entries)
        elif isinstance(entry, Item) and entry.label is not None:
            yield entry


def _pruned(entries: Sequence[Entry], gone: Item | Compound) -> list[Entry]:
    """Return the entries without one of them, wherever it is."""
    kept = [entry for entry in entries if entry is not gone]
    return [
        replace(entry, entries=_pruned(entry.entries, gone)) if isinstance(entry, Compound) else entry for entry in kept
    ]


def _has_part(entry: Entry) -> bool:
    """Return whether an entry gives its object an outline."""
    if isinstance(entry, Item):
        return entry.is_solid
    return bool(entry.rows) if isinstance(entry, Strokes) else entry.shape is None or any(map(_has_part, entry.entries))


# ---------------------------------------------------------------------------------------------------------------
# Checks of what a generator hands over


def _placed(place: ArrayLike, width: int, height: int) -> FloatArray:
    """Return the matrix from a picture's pixels to a box (4,) or a quadrilateral (4, 2)."""
    try:
        array = np.asarray(place, dtype=np.float64)
    except (TypeError, ValueError):
        raise GeneratorError(f"paste: expected a box or four corners, found {place!r}") from None
    if array.ndim == 2:
        return quadrilateral((0, 0, width, height), array)
    x0, y0, x1, y1 = _checked_box(array, "paste")
    return np.array([[(x1 - x0) / width, 0, x0], [0, (y1 - y0) / height, y0]])


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
