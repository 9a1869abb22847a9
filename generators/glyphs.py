"""Characters of a category string on all kinds of backgrounds, among stray lines.

Each character of the category is a class. A scene has 1 to `max_objects` of them in random faces, sizes, turns and
places; colours are random too, as long as they stand out by `min_contrast` from what lies under them.
"""

import math
import unicodedata
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from yolo_proc.config.options import option
from yolo_proc.data.generator import Generator
from yolo_proc.drawing.canvas import Canvas, Shape
from yolo_proc.drawing.typefaces import (
    Face,
    blank_character,
    describe_character,
    faces_of,
    glyph_shape,
    has_character,
    is_blank,
    missing_character,
)
from yolo_proc.errors import GeneratorError

from .backdrops import Backdrop, NoiseLines, find_photos, paint_backdrop
from .placing import Placed, choose_colour, place_boxes

_TRIES = 12  # places and colours that are tried for an object


@dataclass(frozen=True)
class Glyphs(Generator):
    """Characters of a string; sizes are for a shorter side of 416 px.

    The size is the longer side of the upright character's box, before it is turned and sheared. No box covers more
    than `max_overlap` of the box of an earlier object; one that finds no place is left out (never the first).
    """

    category: str = option("AOM", help="the characters to find; each is a class")
    max_objects: int = option(3, help="most objects in a scene", low=1, high=100)
    size: tuple[float, float] = option((60.0, 150.0), help="smallest and largest size, px at 416", low=4, high=416)
    rotate: float = option(8.0, help="largest rotation, degrees", low=0, high=180)
    shear: float = option(0.25, help="largest shear", low=0, high=2)
    max_overlap: float = option(0.25, help="most of an earlier object's box that one covers", low=0, high=1)
    max_lines: int = option(30, help="most stray lines in a scene", low=0, high=1000)
    min_contrast: float = option(30.0, help="least distance of a colour from what is under it", low=1, high=120)
    backgrounds: str | None = option(None, help="folder of photographs for a quarter of the scenes; none: none")
    fonts: tuple[str, ...] = option((), help="families, font files or system:FAMILY; empty: all that come with it")

    _faces: dict[str, tuple[Face, ...]] = field(init=False, repr=False, compare=False, default_factory=dict)
    _photos: tuple[Path, ...] = field(init=False, repr=False, compare=False, default=())

    def __post_init__(self) -> None:
        if self.size[0] > self.size[1]:
            raise GeneratorError(f"size: expected the smallest before the largest, found {self.size}")
        object.__setattr__(self, "_faces", _faces_by_character(self.category, self.fonts))
        object.__setattr__(self, "_photos", find_photos(self.backgrounds) if self.backgrounds else ())

    @property
    def classes(self) -> tuple[str, ...]:
        """The characters of the category, in order."""
        return tuple(self.category)

    def draw(self, canvas: Canvas, rng: np.random.Generator) -> None:
        """One scene; see the class."""
        backdrop = paint_backdrop(canvas, rng, self._photos)
        # Half of the lines lie behind the characters, half before them.
        lines = NoiseLines.of(canvas, rng, self.max_lines)
        count = len(lines.ends)
        lines.draw(canvas, 0, count // 2)
        self._draw_characters(canvas, rng, backdrop)
        lines.draw(canvas, count // 2, count)

    def _draw_characters(self, canvas: Canvas, rng: np.random.Generator, backdrop: Backdrop) -> None:
        count = 1 + int(rng.integers(self.max_objects))
        picks = rng.random((count, 5)).tolist()
        places = rng.random((count, _TRIES, 2))
        colours = (rng.random((count, _TRIES, 3)) * 256).astype(np.uint8)
        shapes: list[tuple[str, Shape]] = []
        for which, face, size, turn, lean in picks:
            character = self.category[int(which * len(self.category))]
            faces = self._faces[character]
            matrix = self._matrix(size, turn * 2 - 1, lean * 2 - 1)
            shapes.append((character, glyph_shape(faces[int(face * len(faces))], character).transformed(matrix)))
        boxes = [shape.bounds for _, shape in shapes]
        placed: list[Placed] = []
        for index, x, y in place_boxes(boxes, places, canvas.width, canvas.height, self.max_overlap):
            character, shape = shapes[index]
            x0, y0, x1, y1 = boxes[index]
            box = (x0 + x, y0 + y, x1 + x, y1 + y)
            colour = choose_colour(colours[index], backdrop, box, placed, self.min_contrast)
            placed.append(Placed(box, colour))
            canvas.draw(shape.shifted(x, y), colour, character)

    def _matrix(self, size: float, turn: float, lean: float) -> NDArray[np.float64]:
        """(2, 3) shear, then rotation, then scale; size from 0 to 1, turn and lean from -1 to 1."""
        low, high = self.size
        scale = (low + (high - low) * size) / 416
        angle = math.radians(turn * self.rotate)
        cos, sin, shear = math.cos(angle) * scale, math.sin(angle) * scale, lean * self.shear
        return np.array([[cos, cos * shear - sin, 0], [sin, sin * shear + cos, 0]])


def _faces_by_character(category: str, fonts: tuple[str, ...]) -> dict[str, tuple[Face, ...]]:
    """For each character the faces that draw it.

    Raises:
        GeneratorError: no character, one twice, one that no face draws, or two that look the same everywhere.
    """
    if not category:
        raise GeneratorError("category: expected at least one character, found none")
    return dict(_checked_faces(category, fonts))


@lru_cache(maxsize=16)
def _checked_faces(category: str, fonts: tuple[str, ...]) -> tuple[tuple[str, tuple[Face, ...]], ...]:
    faces = faces_of(fonts)
    found: dict[str, tuple[Face, ...]] = {}
    for character in category:
        if character in found:
            raise GeneratorError(f"category {category!r}: expected distinct characters, found {character!r} twice")
        if unicodedata.combining(character):
            raise GeneratorError(
                f"category: {describe_character(character)} is a mark on another character; "
                "write the two as one composed character"
            )
        having = tuple(face for face in faces if has_character(face, character))
        if not having:
            raise missing_character(character, faces)
        drawing = tuple(face for face in having if not is_blank(face, character))
        if not drawing:
            raise blank_character(character, having[0])
        found[character] = drawing
    _refuse_twins(found)
    return tuple(found.items())


def _refuse_twins(found: dict[str, tuple[Face, ...]]) -> None:
    """Refuses two characters that are drawn alike in all their faces: no network can tell them apart."""
    first_with: dict[tuple[tuple[Face, bytes], ...], str] = {}
    for character, faces in found.items():
        looks = tuple((face, glyph_shape(face, character).points.tobytes()) for face in faces)
        twin = first_with.setdefault(looks, character)
        if twin != character:
            raise GeneratorError(
                f"category: {describe_character(twin)} and {describe_character(character)} look the same "
                "in every font used; keep one of them"
            )
