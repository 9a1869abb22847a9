"""Scenes under a camera that tilts and bends: boxes against every point of the frame, looked up the other way round."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from yolo_proc import Canvas, Shape, circle, ellipse, line, polygon, quadrilateral, rectangle, star, text
from yolo_proc.drawing.view import MOST_LENS, Camera

WHITE = (255, 255, 255)
SIDE, FINE = 48, 4
AROUND = 0.75  # sides of the frame that are looked at on each side of it
SPRITE = np.zeros((24, 24, 4), np.uint8)
cv2.ellipse(SPRITE, (12, 11), (9, 6), 30, 0, 360, (255, 255, 255, 255), -1)


def tilt(rng: np.random.Generator, strength: float = 0.6) -> NDArray[np.float64]:
    """A camera above a table: turned, tilted, not far away."""
    a, b = rng.uniform(-strength, strength, 2)
    cos, sin = (f(rng.uniform(-math.pi, math.pi)) for f in (math.cos, math.sin))
    to_middle, back = np.eye(3), np.eye(3)
    to_middle[:2, 2], back[:2, 2] = -0.5, 0.5
    zoom = rng.uniform(0.6, 1.4)
    turn = np.array([[cos * zoom, -sin * zoom, 0], [sin * zoom, cos * zoom, 0], [0, 0, 1]])
    if abs(np.linalg.det(turn)) < 0.1:
        turn = np.eye(3)
    lean = np.array([[math.cos(b), 0, 0], [0, math.cos(a), 0], [math.sin(b) / 1.5, math.sin(a) / 1.5, 1]])
    matrix: NDArray[np.float64] = back @ turn @ lean @ to_middle
    return matrix


@dataclass
class Thing:
    """What is drawn: even-odd shapes, or a picture in a box or between corners."""

    shapes: list[Shape]
    corners: NDArray[np.float64] | None = None

    def holds(self, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether each of (N, 2) points, units, is inside."""
        if self.corners is not None:
            place = np.linalg.inv(quadrilateral((0, 0, 24, 24), self.corners))
            moved = np.concatenate([points, np.ones((len(points), 1))], axis=1) @ place.T
            x, y = np.floor(moved[:, :2] / moved[:, 2:]).astype(int).T
            inside = (x >= 0) & (x < 24) & (y >= 0) & (y < 24) & (moved[:, 2] > 0)
            return inside & (SPRITE[y.clip(0, 23), x.clip(0, 23), 3] >= 128)
        found = np.zeros(len(points), bool)
        for shape in self.shapes:
            odd = np.zeros(len(points), bool)
            for ring in shape.contours:
                for (x0, y0), (x1, y1) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
                    if y0 != y1:
                        crosses = (y0 <= points[:, 1]) != (y1 <= points[:, 1])
                        odd ^= crosses & (points[:, 0] < x0 + (points[:, 1] - y0) * (x1 - x0) / (y1 - y0))
            found |= odd
        return found


def random_scene(rng: np.random.Generator) -> tuple[Canvas, list[Thing]]:
    """Every kind of item, near the frame or across its border."""
    canvas, things = Canvas(), []
    for kind in rng.permutation(8)[:3].tolist():
        x, y = rng.uniform(0, 1, 2).tolist()
        r = float(rng.uniform(0.08, 0.25))
        shape = [
            circle(x, y, r),
            ellipse(x, y, r, r / 2),
            rectangle(x, y, width=2 * r, height=r),
            star(x, y, r, int(rng.integers(3, 8)), 0.5, float(rng.uniform(0, 90))),
            text("&", size=2 * r).rotated(float(rng.uniform(-40, 40))).shifted(x, y),
            polygon([(x, y), (x + r, y + r / 3), (x + r / 4, y + r), (x - r / 3, y + r / 2)]),
        ][kind % 6]
        if kind < 5:
            canvas.draw(shape, WHITE, "thing")
            things.append(Thing([shape]))
        elif kind == 5:
            canvas.annotate(shape.points, "thing")
            things.append(Thing([shape]))
        elif kind == 6:
            corners = np.array([(x - r, y - r), (x + r, y - r), (x + r, y + r), (x - r, y + r)])
            corners += rng.uniform(-r / 4, r / 4, (4, 2))
            canvas.paste(SPRITE, corners, "thing")
            things.append(Thing([], corners))
        else:
            parts = [shape, line(x - r, y, x + r, y + r / 2, r / 5)]
            with canvas.object("thing"):
                for part in parts:
                    canvas.draw(part, WHITE)
            things.append(Thing(parts))
    return canvas, things


def looked_up(points: NDArray[np.float64], matrix: NDArray[np.float64], lens: float) -> NDArray[np.float64]:
    """Units that are seen at (N, 2) places of the frame, by the formula of the lens and the inverse matrix."""
    away = (points - SIDE / 2) / (SIDE / math.sqrt(2))
    straight = away / (1 + lens * (away**2).sum(axis=1, keepdims=True)) * (SIDE / math.sqrt(2)) + SIDE / 2
    units = np.concatenate([straight / SIDE, np.ones((len(points), 1))], axis=1) @ np.linalg.inv(matrix).T
    result: NDArray[np.float64] = units[:, :2] / units[:, 2:]
    return result


def seen_box(thing: Thing, matrix: NDArray[np.float64], lens: float) -> list[float] | None:
    """The box of all points, sixteen a pixel, where a thing is seen, in the frame and around it; clipped to it.

    NaN where a thing reaches further than is looked at.
    """
    ticks = np.arange(-AROUND * SIDE, (1 + AROUND) * SIDE, 1 / FINE) + 0.5 / FINE
    points = np.stack(np.meshgrid(ticks, ticks), axis=2).reshape(-1, 2)
    inside = thing.holds(looked_up(points, matrix, lens)).reshape(len(ticks), len(ticks))
    if not inside.any():
        return None
    if np.concatenate([inside[0], inside[-1], inside[:, 0], inside[:, -1]]).any():
        return [math.nan] * 4
    rows, columns = (ticks[np.flatnonzero(inside.any(axis=axis))] for axis in (1, 0))
    half = 0.5 / FINE
    box = np.array([columns[0] - half, rows[0] - half, columns[-1] + half, rows[-1] + half]).clip(0, SIDE)
    return box.tolist() if box[0] < box[2] and box[1] < box[3] else None


def worst_of(seed: int) -> float:
    """By how many pixels a box of a random scene is beside what every point of the frame says, at most."""
    rng = np.random.default_rng(seed)
    canvas, things = random_scene(rng)
    matrix = tilt(rng)
    lens = float(rng.uniform(-MOST_LENS, MOST_LENS)) if seed % 3 else 0.0
    objects = list(canvas.render(SIDE, SIDE, Camera(matrix, lens), ["thing"]).objects)
    numbers = canvas.numbers_in_frame(SIDE, SIDE, Camera(matrix, lens), ["thing"])
    boxes = dict(zip(numbers, (thing.box for thing in objects), strict=True))
    worst = 0.0
    for number, thing in enumerate(things):
        wanted = seen_box(thing, matrix, lens)
        if wanted is None:  # a corner thinner than a quarter of a pixel at most
            box = boxes.get(number)
            worst = max(worst, 0.0 if box is None else min(box[2] - box[0], box[3] - box[1]))
            continue
        if math.isnan(wanted[0]):
            continue
        assert number in boxes, (seed, number, wanted)
        worst = max(worst, float(np.abs(np.array(boxes[number]) - wanted).max()))
    return worst


@pytest.mark.parametrize("start", [0, 40, 80])
def test_boxes_of_random_scenes_are_those_of_every_point(start: int) -> None:
    """1,000 scenes were tried: see `docs/log.md`."""
    found = [worst_of(seed) for seed in range(start, start + 40)]
    assert max(found) < 0.5, (start + int(np.argmax(found)), max(found))
