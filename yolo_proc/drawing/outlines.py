"""Shapes: closed polygons, filled even-odd, in units of the frame's shorter side (origin top left, y down).

Curves are flattened when a shape is made, so that every shape, glyphs too, is a list of points that a matrix moves.
"""

from __future__ import annotations  # so that `help` shows ArrayLike by its name

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, overload

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from yolo_proc.boxes import FloatArray
from yolo_proc.errors import GeneratorError

# Vertices of a full ellipse: at a radius of 100 px the polygon stays within 0.06 px of the curve.
_CIRCLE_POINTS = 96
_LARGEST = 1e4  # units; what lies further out is a mistake, and would overflow the rasteriser
_NEAREST = 1e-3  # of the camera's distance; what a homography brings nearer to it is drawn a thousand times as large
_FLAT = 1e-12  # of a determinant


class Shape:
    """Closed contours, filled even-odd. Immutable.

    Attributes:
        points: (K, 2) float64, the contours' points one contour after the other.
        splits: where in `points` each contour begins, and K at the end.
    """

    __slots__ = ("_outline_index", "points", "splits")

    points: FloatArray
    splits: tuple[int, ...]
    _outline_index: NDArray[np.intp] | None

    def __init__(self, contours: Sequence[ArrayLike]) -> None:
        """Take contours of (K, 2) numbers each, K >= 3.

        Raises:
            GeneratorError: no contour, another shape, a coordinate that is not finite.
        """
        if len(contours) == 0:
            raise GeneratorError("a shape needs at least one contour, found none")
        arrays = [_checked_points(contour) for contour in contours]
        self.points = np.concatenate(arrays)
        self.points.setflags(write=False)
        self.splits = (0, *np.cumsum([len(array) for array in arrays]).tolist())
        self._outline_index = None

    @property
    def contours(self) -> tuple[FloatArray, ...]:
        """The contours, (K, 2) float64 each."""
        return tuple(self.points[a:b] for a, b in pairwise(self.splits))

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """The tight box xyxy of all points."""
        return bounds_of(self.points)

    @property
    def outline_index(self) -> NDArray[np.intp]:
        """Which points form the outline: one polygon around the whole shape.

        It is the contour that encloses all others (an "O" without its hole), or the convex hull where there are
        several parts (an "i").
        """
        if self._outline_index is None:
            self._outline_index = self._find_outline()
        return self._outline_index

    def _find_outline(self) -> NDArray[np.intp]:
        low, high = self.points.min(axis=0), self.points.max(axis=0)
        for start, stop in pairwise(self.splits):
            contour = self.points[start:stop]
            if np.array_equal(contour.min(axis=0), low) and np.array_equal(contour.max(axis=0), high):
                return np.arange(start, stop)
        return hull_index(self.points)

    @property
    def outline(self) -> FloatArray:
        """(K, 2) one polygon around the whole shape; see `outline_index`."""
        return self.points[self.outline_index]

    def transformed(self, matrix: ArrayLike) -> Shape:
        """Return the shape moved by a matrix that acts on columns (x, y, 1): affine, (2, 3) or (3, 3), or a homography.

        Raises:
            GeneratorError: another shape, an entry that is not finite, or a homography that throws a point behind the
                camera or beyond all bounds.
        """
        return self._with(apply_matrix(as_matrix(matrix), self.points))

    def shifted(self, x: float, y: float) -> Shape:
        """Return the shape moved by (x, y); NaN and infinity are found when it is drawn."""
        return self._with(self.points + np.array([x, y], dtype=np.float64))

    def rotated(self, degrees: float) -> Shape:
        """Return the shape turned clockwise about (0, 0)."""
        turn = math.radians(_number(degrees, "rotated"))
        cos, sin = math.cos(turn), math.sin(turn)
        return self.transformed([[cos, -sin, 0], [sin, cos, 0]])

    def scaled(self, x: float, y: float | None = None) -> Shape:
        """Return the shape scaled about (0, 0) by x across and y down; without y by x both ways.

        Raises:
            GeneratorError: a factor that is not finite or not above 0.
        """
        x = _number(x, "scaled: x", positive=True)
        y = x if y is None else _number(y, "scaled: y", positive=True)
        return self.transformed([[x, 0, 0], [0, y, 0]])

    def _with(self, points: FloatArray) -> Shape:
        """Return the same shape at other points, which a matrix made; that keeps a hull a hull."""
        moved: Shape = object.__new__(Shape)
        points.setflags(write=False)
        moved.points = points
        moved.splits = self.splits
        moved._outline_index = self.outline_index
        return moved


def hull_index(points: FloatArray) -> NDArray[np.intp]:
    """Return which of (K, 2) points form their convex hull, in order."""
    low, high = points.min(axis=0), points.max(axis=0)
    scaled = (points - low) / max(float((high - low).max()), 1e-12)  # hulls are found in float32
    hull = cv2.convexHull(scaled.astype(np.float32), returnPoints=False)
    return np.asarray(hull.reshape(-1), dtype=np.intp)


def as_affine(matrix: ArrayLike) -> FloatArray:
    """Return `matrix` as float64 (2, 3).

    Raises:
        GeneratorError: neither (2, 3) nor (3, 3), not finite, or a last row other than 0 0 1.
    """
    array = _as_floats(matrix, "a matrix")
    if array.shape == (3, 3) and array[2].tolist() == [0.0, 0.0, 1.0]:
        array = array[:2]
    if array.shape != (2, 3) or not math.isfinite(array.sum()):
        raise GeneratorError(
            f"a matrix: expected finite numbers (2, 3), or (3, 3) with the last row 0 0 1, found {array.tolist()}"
        )
    return array


def as_matrix(matrix: ArrayLike) -> FloatArray:
    """Return `matrix` as float64: (2, 3) where it is affine, (3, 3) where it is a homography.

    Raises:
        GeneratorError: neither (2, 3) nor (3, 3), not finite, or one that cannot be undone.
    """
    array = _as_floats(matrix, "a matrix")
    if array.shape == (2, 3) or (array.shape == (3, 3) and array[2].tolist() == [0.0, 0.0, 1.0]):
        return as_affine(array)
    if array.shape != (3, 3) or not math.isfinite(array.sum()):
        raise GeneratorError(f"a matrix: expected finite numbers (2, 3) or (3, 3), found {array.tolist()}")
    if abs(float(np.linalg.det(array))) <= _FLAT * float(np.abs(array).max()) ** 3:
        raise GeneratorError(f"a homography: it lays everything on one line, {array.tolist()}")
    return array


def bounds_of(points: FloatArray) -> tuple[float, float, float, float]:
    """Return the tight box xyxy of (K, 2) points."""
    x0, y0 = cv2.reduce(points, 0, cv2.REDUCE_MIN)[0].tolist()  # a third of the time of numpy's
    x1, y1 = cv2.reduce(points, 0, cv2.REDUCE_MAX)[0].tolist()
    return x0, y0, x1, y1


def apply_affine(affine: FloatArray, points: FloatArray) -> FloatArray:
    """Return (K, 2) points moved by a (2, 3) matrix."""
    moved: FloatArray = cv2.transform(points[None], affine)[0]  # a third of the time of a matrix product
    return moved


def apply_matrix(matrix: FloatArray, points: FloatArray) -> FloatArray:
    """Return (K, 2) points moved by a (2, 3) or (3, 3) matrix; straight lines stay straight.

    Raises:
        GeneratorError: a homography throws a point behind the camera, or beyond what the rasteriser can draw.
    """
    if len(matrix) == 2:
        return apply_affine(matrix, points)
    depth = points @ matrix[2, :2] + matrix[2, 2]
    if depth.min() < _NEAREST * float(np.abs(depth).max()):
        x, y = points[int(depth.argmin())]
        where = "behind the camera" if depth.min() <= 0 else "to infinity"
        raise GeneratorError(
            f"a homography: it throws the point ({x:.3g}, {y:.3g}) {where}; tilt less, or move what is drawn nearer to "
            "the middle"
        )
    moved: FloatArray = apply_affine(matrix[:2], points) / depth[:, None]
    if np.abs(moved).max() > _LARGEST:
        raise GeneratorError(
            f"a homography: it throws a point to {np.abs(moved).max():.3g} units, farther than {_LARGEST:g}"
        )
    return moved


def quadrilateral(box_xyxy: ArrayLike, corners: ArrayLike) -> FloatArray:
    """Return the homography (3, 3) that brings a box to four corners.

    Args:
        box_xyxy: x0, y0, x1, y1.
        corners: (4, 2) where its upper left, upper right, lower right and lower left corner come to lie.

    Raises:
        GeneratorError: not four finite corners, or corners whose lines cross, or that are dented or flat: no camera
            sees a rectangle like that.
    """
    ends = _as_floats(corners, "a quadrilateral")
    if ends.shape != (4, 2) or not (np.abs(ends) <= _LARGEST).all():
        raise GeneratorError(
            "a quadrilateral: expected four corners (x, y): upper left, upper right, lower right, lower left; "
            f"found {ends.tolist()}"
        )
    sides = np.roll(ends, -1, axis=0) - ends
    after = np.roll(sides, -1, axis=0)
    turns = sides[:, 0] * after[:, 1] - sides[:, 1] * after[:, 0]
    if not ((turns > _FLAT).all() or (turns < -_FLAT).all()):
        raise GeneratorError(
            "a quadrilateral: its lines cross, or it is dented or flat; expected corners in the order upper left, "
            f"upper right, lower right, lower left, found {ends.tolist()}"
        )
    x0, y0, x1, y1 = _as_floats(box_xyxy, "a box").tolist()
    to_unit = np.array([[1 / (x1 - x0), 0, -x0 / (x1 - x0)], [0, 1 / (y1 - y0), -y0 / (y1 - y0)], [0, 0, 1]])
    unit = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], dtype=np.float32)
    return as_matrix(cv2.getPerspectiveTransform(unit, ends.astype(np.float32)) @ to_unit)


def _as_floats(values: ArrayLike, what: str) -> FloatArray:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise GeneratorError(f"{what}: expected numbers, found {values!r}") from None


def _checked_points(points: ArrayLike) -> FloatArray:
    array = _as_floats(points, "a polygon")
    if array.ndim != 2 or array.shape[1] != 2 or len(array) < 3:
        raise GeneratorError(f"a polygon: expected points (K, 2) with K of at least 3, found shape {array.shape}")
    if not (np.abs(array) <= _LARGEST).all():  # written so that a NaN fails too
        raise GeneratorError(
            f"a polygon: expected finite coordinates within {_LARGEST:g} units (1 is the frame's shorter side), "
            f"found {array.min():g} to {array.max():g}"
        )
    return array


def _number(value: Any, what: str, *, positive: bool = False) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise GeneratorError(f"{what}: expected a number, found {value!r}") from None
    if not abs(number) <= _LARGEST or (positive and number <= 0):
        raise GeneratorError(f"{what}: expected a finite number{' above 0' if positive else ''}, found {value!r}")
    return number


def polygon(points: ArrayLike) -> Shape:
    """Return a polygon of (K, 2) points."""
    return Shape([points])


@overload
def rectangle(x0: float, y0: float, x1: float, y1: float) -> Shape: ...
@overload
def rectangle(x0: float, y0: float, *, width: float, height: float) -> Shape: ...
def rectangle(
    x0: float,
    y0: float,
    x1: float | None = None,
    y1: float | None = None,
    *,
    width: float | None = None,
    height: float | None = None,
) -> Shape:
    """Return an upright rectangle between two opposite corners, `rectangle(x0, y0, x1, y1)`.

    Or around a centre, as `circle` is: `rectangle(x, y, width=0.2, height=0.1)`.

    Raises:
        GeneratorError: neither of these, or a value that is not finite; a width or height that is not above 0.
    """
    if width is not None and height is not None and x1 is None and y1 is None:
        x, y = _number(x0, "rectangle: x"), _number(y0, "rectangle: y")
        half_width = _number(width, "rectangle: width", positive=True) / 2
        half_height = _number(height, "rectangle: height", positive=True) / 2
        x0, y0, x1, y1 = x - half_width, y - half_height, x + half_width, y + half_height
    elif x1 is None or y1 is None or width is not None or height is not None:
        raise GeneratorError(
            "rectangle: expected two corners, rectangle(x0, y0, x1, y1), or a centre and a size, "
            "rectangle(x, y, width=..., height=...)"
        )
    else:
        x0, y0, x1, y1 = (_number(value, "rectangle") for value in (x0, y0, x1, y1))
    return Shape([[(x0, y0), (x1, y0), (x1, y1), (x0, y1)]])


def ellipse(x: float, y: float, rx: float, ry: float) -> Shape:
    """Return an upright ellipse around (x, y) with half axes rx and ry."""
    x, y = _number(x, "ellipse: x"), _number(y, "ellipse: y")
    rx, ry = _number(rx, "ellipse: rx", positive=True), _number(ry, "ellipse: ry", positive=True)
    return Shape([_UNIT_CIRCLE * (rx, ry) + (x, y)])


def circle(x: float, y: float, r: float) -> Shape:
    """Return a circle around (x, y)."""
    return ellipse(x, y, _number(r, "circle: r", positive=True), r)


def line(x0: float, y0: float, x1: float, y1: float, width: float) -> Shape:
    """Return a straight stroke with square ends.

    Raises:
        GeneratorError: the ends are one point, or the width is not above 0.
    """
    x0, y0, x1, y1 = (_number(value, "line") for value in (x0, y0, x1, y1))
    half = _number(width, "line: width", positive=True) / 2
    length = math.hypot(x1 - x0, y1 - y0)
    if length == 0:
        raise GeneratorError(f"line: expected two different ends, found ({x0:g}, {y0:g}) twice")
    nx, ny = -(y1 - y0) / length * half, (x1 - x0) / length * half
    return Shape([[(x0 + nx, y0 + ny), (x1 + nx, y1 + ny), (x1 - nx, y1 - ny), (x0 - nx, y0 - ny)]])


def star(x: float, y: float, r: float, tips: int = 5, inner: float = 0.5, angle: float = 0.0) -> Shape:
    """Return a star around (x, y): `tips` tips at radius r, dents at `inner` * r, turned clockwise by `angle`
    degrees.
    """
    x, y, r = _number(x, "star: x"), _number(y, "star: y"), _number(r, "star: r", positive=True)
    inner = _number(inner, "star: inner", positive=True)
    if not isinstance(tips, int | np.integer) or tips < 2:
        raise GeneratorError(f"star: expected at least 2 tips, found {tips!r}")
    turn = math.radians(_number(angle, "star: angle")) - math.pi / 2  # the first tip points up
    angles = turn + np.arange(2 * tips) * (math.pi / tips)
    radii = np.where(np.arange(2 * tips) % 2 == 0, r, r * inner)
    return Shape([np.stack([x + radii * np.cos(angles), y + radii * np.sin(angles)], axis=1)])


def _unit_circle() -> FloatArray:
    angles = np.arange(_CIRCLE_POINTS) * (2 * math.pi / _CIRCLE_POINTS)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


_UNIT_CIRCLE = _unit_circle()
