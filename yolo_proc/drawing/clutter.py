"""Things that are no objects: what a detector has to learn to leave alone, and what lies before its objects.

A network that has only seen its own objects on plain grounds takes everything else for one of them. These parts draw
from `rng` alone, so that a scene stays a function of its index:

    distractors(canvas, rng, 8)          # shapes, letters and patches, without a label
    cover(canvas, rng, box, 0.3)         # something before a box that hides about so much of it
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from yolo_proc.boxes import RgbImage
from yolo_proc.drawing.canvas import Canvas
from yolo_proc.drawing.outlines import Shape, circle, ellipse, line, polygon, rectangle, star
from yolo_proc.drawing.typefaces import bundled_families, text
from yolo_proc.errors import GeneratorError

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789&%$?!@#"


def distractors(
    canvas: Canvas,
    rng: np.random.Generator,
    count: int,
    *,
    size: tuple[float, float] = (0.03, 0.3),
    pictures: Sequence[RgbImage] = (),
) -> None:
    """Draw things without a label: shapes, outlines, lines, words, and patches of pictures.

    Args:
        count: how many.
        size: smallest and largest, units; small ones are likelier.
        pictures: uint8 RGB that patches are cut from.
    """
    for _ in range(count):
        x, y = rng.uniform(0, 1, 2) * (canvas.width, canvas.height)
        side = float(size[0] * (size[1] / size[0]) ** rng.random())
        colour, opacity = rng.integers(0, 256, 3), float(rng.choice((1.0, 1.0, 0.8, 0.5)))
        if pictures and rng.random() < 0.4:
            canvas.paste(_patch(pictures[int(rng.integers(len(pictures)))], rng), _around(x, y, side, rng))
            continue
        shape = _any_shape(rng, side).rotated(float(rng.uniform(0, 360))).shifted(x, y)
        canvas.draw(shape, colour, opacity=opacity)


def cover(canvas: Canvas, rng: np.random.Generator, box_xyxy: ArrayLike, share: float) -> None:
    """Draw something without a label before a box, that hides about a share of it from one side.

    Args:
        box_xyxy: x0, y0, x1, y1, units.
        share: 0 to 1.

    Raises:
        GeneratorError: no box, or a share out of range.
    """
    box = np.asarray(box_xyxy, dtype=np.float64)
    if box.shape != (4,) or not 0 <= share <= 1:
        raise GeneratorError(f"cover: expected a box and a share from 0 to 1, found {box_xyxy!r} and {share!r}")
    if share == 0:
        return
    x0, y0, x1, y1 = box.tolist()
    width, height, far = x1 - x0, y1 - y0, 0.5 * max(x1 - x0, y1 - y0)
    sides = (
        (x0 - far, y0 - far, x0 + share * width, y1 + far),
        (x1 - share * width, y0 - far, x1 + far, y1 + far),
        (x0 - far, y0 - far, x1 + far, y0 + share * height),
        (x0 - far, y1 - share * height, x1 + far, y1 + far),
    )
    canvas.draw(rectangle(*sides[int(rng.integers(4))]), rng.integers(0, 256, 3))


def _any_shape(rng: np.random.Generator, side: float) -> Shape:
    """Return a shape around (0, 0) of about that size."""
    half = side / 2
    kind = int(rng.integers(8))
    if kind == 0:
        return circle(0, 0, half)
    if kind == 1:
        return ellipse(0, 0, half, half * float(rng.uniform(0.2, 0.8)))
    if kind == 2:
        return rectangle(0, 0, width=side, height=side * float(rng.uniform(0.1, 1)))
    if kind == 3:
        return star(0, 0, half, int(rng.integers(3, 9)), float(rng.uniform(0.2, 0.8)))
    if kind == 4:
        return line(-half, 0, half, 0, side * float(rng.uniform(0.02, 0.15)))
    if kind == 5:  # a frame: two contours, filled between them
        inner = float(rng.uniform(0.4, 0.9)) * half
        outer = rectangle(-half, -half, half, half)
        return Shape([*outer.contours, *rectangle(-inner, -inner, inner, inner).contours])
    if kind == 6:
        angles = np.sort(rng.uniform(0, 2 * math.pi, int(rng.integers(3, 8))))
        ring = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        return polygon(ring * half * rng.uniform(0.4, 1, (len(angles), 1)))
    word = "".join(rng.choice(list(_LETTERS), int(rng.integers(1, 6))))
    family = bundled_families()[int(rng.integers(len(bundled_families())))]
    return text(word, family, bool(rng.random() < 0.5), side / max(len(word) * 0.6, 1))


def _around(x: float, y: float, side: float, rng: np.random.Generator) -> tuple[float, float, float, float]:
    width, height = side, side * float(rng.uniform(0.4, 1))
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def _patch(picture: RgbImage, rng: np.random.Generator) -> RgbImage:
    """Return an opaque piece of a picture, uint8 RGBA."""
    rows, columns = picture.shape[:2]
    height, width = (max(1, int(side * rng.uniform(0.1, 0.5))) for side in (rows, columns))
    top, left = int(rng.integers(rows - height + 1)), int(rng.integers(columns - width + 1))
    piece = picture[top : top + height, left : left + width]
    return np.dstack([piece, np.full(piece.shape[:2], 255, np.uint8)])
