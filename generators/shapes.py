"""Circles, triangles, squares and stars, plain or on a background: the smallest full example of a generator."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from yolo_proc.config.options import option
from yolo_proc.data.generator import Generator
from yolo_proc.drawing.canvas import Canvas, Shape, circle, polygon, rectangle, star
from yolo_proc.errors import GeneratorError

from .backdrops import NoiseLines, find_photos, paint_backdrop
from .placing import Placed, choose_colour, place_boxes

_TRIES = 12  # places and colours that are tried for an object

# Each fits a circle of radius 1/2 around the origin.
_OUTLINES: dict[str, Shape] = {
    "circle": circle(0, 0, 0.5),
    "triangle": polygon([(0, -0.5), (0.4330127, 0.25), (-0.4330127, 0.25)]),
    "square": rectangle(-0.3535534, -0.3535534, 0.3535534, 0.3535534),
    "star": star(0, 0, 0.5, inner=0.45),
}


@dataclass(frozen=True)
class Shapes(Generator):
    """Circles, triangles, squares and stars in any turn; sizes are diameters, for a shorter side of 416 px."""

    flip_x = 0.5
    flip_y = 0.5

    max_objects: int = option(4, help="most objects in a scene", low=1, high=100)
    size: tuple[float, float] = option((40.0, 150.0), help="smallest and largest diameter, px at 416", low=4, high=416)
    max_overlap: float = option(0.25, help="most of an earlier object's box that one covers", low=0, high=1)
    max_lines: int = option(10, help="most stray lines in a scene", low=0, high=1000)
    min_contrast: float = option(30.0, help="least distance of a colour from what is under it", low=1, high=120)
    backgrounds: str | None = option(None, help="folder of photographs for a quarter of the scenes; none: none")

    _photos: tuple[Path, ...] = field(init=False, repr=False, compare=False, default=())

    def __post_init__(self) -> None:
        if self.size[0] > self.size[1]:
            raise GeneratorError(f"size: expected the smallest before the largest, found {self.size}")
        object.__setattr__(self, "_photos", find_photos(self.backgrounds) if self.backgrounds else ())

    @property
    def classes(self) -> tuple[str, ...]:
        """circle, triangle, square, star."""
        return tuple(_OUTLINES)

    def draw(self, canvas: Canvas, rng: np.random.Generator) -> None:
        """One scene; see the class."""
        backdrop = paint_backdrop(canvas, rng, self._photos)
        lines = NoiseLines.of(canvas, rng, self.max_lines)
        lines.draw(canvas, 0, len(lines.ends))
        count = 1 + int(rng.integers(self.max_objects))
        kinds = rng.integers(0, len(_OUTLINES), count).tolist()
        sizes = rng.uniform(*self.size, count) / 416
        angles = rng.uniform(0, 2 * np.pi, count)
        places = rng.random((count, _TRIES, 2))
        colours = (rng.random((count, _TRIES, 3)) * 256).astype(np.uint8)
        shapes = []
        for kind, cos, sin in zip(kinds, np.cos(angles) * sizes, np.sin(angles) * sizes, strict=True):
            shapes.append(_OUTLINES[self.classes[kind]].transformed([[cos, -sin, 0], [sin, cos, 0]]))
        boxes = [shape.bounds for shape in shapes]
        placed: list[Placed] = []
        for index, x, y in place_boxes(boxes, places, canvas.width, canvas.height, self.max_overlap):
            x0, y0, x1, y1 = boxes[index]
            box = (x0 + x, y0 + y, x1 + x, y1 + y)
            colour = choose_colour(colours[index], backdrop, box, placed, self.min_contrast)
            placed.append(Placed(box, colour))
            canvas.draw(shapes[index].shifted(x, y), colour, kinds[index])
