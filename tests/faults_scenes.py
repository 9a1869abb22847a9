"""Generators with faults of their own."""

from dataclasses import dataclass

import numpy as np

from yolo_proc.config.options import option
from yolo_proc.data.generator import Generator
from yolo_proc.drawing.canvas import Canvas, polygon, rectangle

_ARROW = np.array([[-1, 0], [0, -0.8], [0, -0.3], [1, -0.3], [1, 0.3], [0, 0.3], [0, 0.8]])  # to the left


@dataclass(frozen=True)
class Arrows(Generator):
    """Arrows to four sides, and scenes that may be mirrored."""

    flip_x = 0.5
    kinds: int = option(4, help="left, right, up, down: so many of them", low=1, high=4)

    @property
    def classes(self) -> tuple[str, ...]:
        return ("left", "right", "up", "down")[: self.kinds]

    def draw(self, canvas: Canvas, rng: np.random.Generator) -> None:
        canvas.background(rng.integers(0, 256, 3).astype(np.uint8))
        for place in rng.permutation(4)[: 1 + int(rng.integers(3))].tolist():
            kind, size = int(rng.integers(self.kinds)), rng.uniform(0.08, 0.16)
            angle = np.deg2rad((0, 180, 90, 270)[kind] + rng.uniform(-8, 8))
            turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            middle = (np.array(divmod(place, 2)) + rng.uniform(0.4, 0.6, 2)) / 2
            canvas.draw(polygon(middle + size * _ARROW @ turn.T), rng.integers(0, 256, 3).astype(np.uint8), kind)


@dataclass(frozen=True)
class Cartons(Generator):
    """Boxes that are drawn 0.8 px beside their label, at a frame of 96 px."""

    classes = ("carton",)
    size: float = option(0.4, help="side of a carton, units", low=0.05, high=0.6)

    def draw(self, canvas: Canvas, rng: np.random.Generator) -> None:
        canvas.background((30, 60, 90))
        x, y = rng.uniform(0.05, 0.9 - self.size, 2)
        off = 0.8 / 96
        with canvas.object("carton", outline=rectangle(x, y, x + self.size, y + self.size)):
            canvas.draw(rectangle(x + off, y + off, x + off + self.size, y + off + self.size), (200, 160, 90))
