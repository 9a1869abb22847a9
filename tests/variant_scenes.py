"""Generators of healthy scenes that checks must not complain of."""

from dataclasses import dataclass

import numpy as np

from yolo_proc.config.options import option
from yolo_proc.data.generator import Generator
from yolo_proc.drawing.canvas import Canvas, circle, rectangle
from yolo_proc_generators.shapes import Shapes


@dataclass(frozen=True)
class HalfEmpty(Shapes):
    """Shapes, and no object in 40 % of the scenes."""

    def draw(self, canvas: Canvas, rng: np.random.Generator) -> None:
        if rng.random() < 0.4:
            canvas.background(rng.integers(0, 256, 3).astype(np.uint8))
        else:
            super().draw(canvas, rng)


@dataclass(frozen=True)
class Small(Generator):
    """Sixty small shapes on a lattice that is moved and shaken a little."""

    flip_x = 0.5
    flip_y = 0.5
    count: int = option(60, help="objects", low=1, high=60)

    @property
    def classes(self) -> tuple[str, ...]:
        return ("circle", "square")

    def draw(self, canvas: Canvas, rng: np.random.Generator) -> None:
        canvas.background(rng.integers(0, 80, 3).astype(np.uint8))
        for place in rng.permutation(64)[: self.count].tolist():
            row, column = divmod(place, 8)
            x, y = (np.array([column, row]) + rng.uniform(0.25, 0.75, 2)) / 8
            kind, radius = int(rng.integers(2)), rng.uniform(0.018, 0.03)
            shape = circle(x, y, radius) if kind == 0 else rectangle(x - radius, y - radius, x + radius, y + radius)
            canvas.draw(shape, rng.integers(140, 256, 3).astype(np.uint8), kind)


@dataclass(frozen=True)
class Grey(Generator):
    """One to four shapes; pictures have no colour."""

    flip_x = 0.5

    @property
    def classes(self) -> tuple[str, ...]:
        return ("circle", "square", "frame")

    def draw(self, canvas: Canvas, rng: np.random.Generator) -> None:
        canvas.background([int(rng.integers(0, 110))] * 3)
        for place in rng.permutation(4)[: 1 + int(rng.integers(4))].tolist():
            x, y = (np.array(divmod(place, 2)) + rng.uniform(0.35, 0.65, 2)) / 2
            kind, radius, level = int(rng.integers(3)), rng.uniform(0.06, 0.14), int(rng.integers(150, 256))
            box = rectangle(x - radius, y - radius, x + radius, y + radius)
            canvas.draw(circle(x, y, radius) if kind == 0 else box, [level] * 3, kind)
            if kind == 2:
                inner = 0.6 * radius
                canvas.draw(rectangle(x - inner, y - inner, x + inner, y + inner), [level // 2] * 3)
