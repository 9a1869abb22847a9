"""How units of the canvas come to pixels of the frame: by a matrix, and by a camera that tilts and bends it.

A canvas that lies under a camera is seen through a homography. A lens bends that about the middle of the frame, by the
division model (Fitzgibbon, "Simultaneous linear estimation of multiple view geometry and lens distortion", 2001), with
r the distance from the middle in half diagonals of the frame:

    r_straight = r_bent / (1 + lens r_bent^2)

Below 0 that is a barrel, above 0 a pincushion. Both directions are explicit: outlines go from straight to bent, pixels
are looked up from bent to straight. Straight lines bend, so outlines get points along their edges first.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from yolo_proc.boxes import FloatArray
from yolo_proc.drawing import raster
from yolo_proc.drawing.outlines import Shape, apply_affine, as_matrix, hull_index
from yolo_proc.drawing.raster import Bytes, Colour, Region, Stroke
from yolo_proc.errors import GeneratorError

MOST_LENS = 0.3  # either way
_NEAR = 0.05  # depth; what is nearer to the camera's plane, or behind it, is far outside of the frame, and cut off
_EDGE = 8.0  # px; a longer edge gets points on it where a lens bends it: it stays within 0.05 px of the curve
_PIECE = 16.0  # px of a stroke that is taken for straight
_UNMOVED = np.array([[1.0, 0, 0], [0, 1.0, 0]])


@dataclass(frozen=True, eq=False)
class Camera:
    """How a scene is seen.

    Attributes:
        matrix: (2, 3) affine or (3, 3) homography, units to units, acting on columns (x, y, 1); None moves nothing.
        lens: how much the lens bends, -0.3 (barrel) to 0.3 (pincushion), 0 for straight.
    """

    matrix: ArrayLike | None = None
    lens: float = 0.0

    def __post_init__(self) -> None:
        if not abs(self.lens) <= MOST_LENS:
            raise GeneratorError(f"a camera: expected a lens from {-MOST_LENS} to {MOST_LENS}, found {self.lens!r}")


@dataclass(slots=True)
class Placed:
    """A shape on the frame.

    Attributes:
        points, splits: its contours, pixels, as those of `Shape`.
        outline: which points form its outline.
    """

    points: FloatArray
    splits: tuple[int, ...]
    outline: NDArray[np.intp]


class View:
    """Maps units to the pixels of one frame.

    Args:
        units: width, height of the canvas.
        size: width, height of the frame, pixels.
    """

    def __init__(self, camera: Camera, units: tuple[float, float], size: tuple[int, int]) -> None:
        to_px = np.array([[size[0] / units[0], 0, 0], [0, size[1] / units[1], 0]], dtype=np.float64)
        if camera.matrix is not None:
            to_px = raster.compose(to_px, as_matrix(camera.matrix))
        self.to_px = to_px
        self.size = size
        self._units = units
        self._lens = camera.lens
        self._middle = np.array(size, dtype=np.float64) / 2
        self._radius = math.hypot(*size) / 2
        self._is_affine = camera.lens == 0 and len(to_px) == 2

    # ------------------------------------------------------------------------------------------------ outlines

    def place(self, shape: Shape) -> Placed:
        """Return where a shape is seen; nothing of it where all of it is behind the camera."""
        if self._is_affine:
            return Placed(apply_affine(self.to_px, shape.points), shape.splits, shape.outline_index)
        contours = [self._seen_ring(contour) for contour in shape.contours]
        splits = (0, *np.cumsum([len(contour) for contour in contours]).tolist())
        points = np.concatenate(contours)
        outer = shape.outline_index
        for number, (start, stop) in enumerate(pairwise(shape.splits)):
            if len(outer) == stop - start and outer[0] == start and outer[-1] == stop - 1:
                return Placed(points, splits, np.arange(splits[number], splits[number + 1]))
        return Placed(points, splits, hull_index(points) if len(points) else np.zeros(0, np.intp))

    def _seen_ring(self, ring: FloatArray) -> FloatArray:
        """Return a closed polygon (K, 2) on the frame."""
        if len(self.to_px) == 3:
            ring = _before_camera(ring, self.to_px[2])
            if not len(ring):
                return ring
        straight = self._straight(ring)
        return straight if self._lens == 0 else self._bent(dense(straight))

    def _straight(self, points: FloatArray) -> FloatArray:
        """Return (K, 2) points on the frame of a camera whose lens bends nothing."""
        if len(self.to_px) == 2:
            return apply_affine(self.to_px, points)
        moved: FloatArray = cv2.perspectiveTransform(points[None], self.to_px)[0]
        return moved

    def _bent(self, straight: FloatArray) -> FloatArray:
        away = (straight - self._middle) / self._radius
        return np.asarray(self._middle + away * self._bending(np.linalg.norm(away, axis=1))[:, None] * self._radius)

    def _bending(self, radius: FloatArray) -> FloatArray:
        """Return r_bent / r_straight for each r_straight (K,).

        A pincushion has no image of what lies beyond 1 / (2 sqrt(lens)); that is far outside of the frame, and goes on
        as it does there.
        """
        root = 1 - 4 * self._lens * radius * radius
        factor: FloatArray = 2 / (1 + np.sqrt(np.maximum(root, 0.0)))
        return factor

    # ------------------------------------------------------------------------------------------------- pixels

    def warp_rgba(self, rgba: Bytes, place: FloatArray) -> tuple[Region, Bytes] | None:
        """Return where in the frame a premultiplied picture is seen, and its pixels there; None where it is not.

        Args:
            place: the matrix from its pixels to units.
        """
        height, width = rgba.shape[:2]
        corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float64)
        seen = self._of_picture(place)
        ring = seen._seen_ring(corners)
        if not len(ring):
            return None
        low, high = ring.min(axis=0).tolist(), ring.max(axis=0).tolist()
        region = raster.region_of((low[0], low[1], high[0], high[1]))
        shared = raster.intersect(region, (0, 0, *self.size))
        if shared is None:
            return None
        return shared, raster.warp(rgba, seen.to_px, shared, (0, 0, 0, 0), self._looked_up(shared))

    def _of_picture(self, place: FloatArray) -> "View":
        """Return the view of a picture's own pixels."""
        view = object.__new__(View)
        vars(view).update(vars(self))
        view.to_px = raster.compose(self.to_px, place)
        return view

    def _looked_up(self, region: Region) -> FloatArray | None:
        """Return where without a lens each pixel's centre of a region would be seen (h, w, 2); None without a lens."""
        if self._lens == 0:
            return None
        x = (np.arange(region[0], region[2]) + (0.5 - self._middle[0])) / self._radius
        y = (np.arange(region[1], region[3]) + (0.5 - self._middle[1])) / self._radius
        shrink = self._radius / (1 + self._lens * (x[None] ** 2 + y[:, None] ** 2))
        return np.stack([x[None] * shrink + self._middle[0], y[:, None] * shrink + self._middle[1]], axis=2)

    def background(self, picture: Bytes, beyond: Colour | None) -> Bytes:
        """Return a picture that covers the canvas as it is seen; beyond its edges is one colour, or its mirror."""
        frame: Region = (0, 0, *self.size)
        if beyond is None:
            return raster.picture_background(picture, self.to_px, self._units, self.size, self._looked_up(frame))
        place = np.array([[self._units[0] / picture.shape[1], 0, 0], [0, self._units[1] / picture.shape[0], 0]])
        to_px = raster.compose(self.to_px, place)
        return raster.framed_background(picture, to_px, self.size, beyond, self._looked_up(frame))

    # ------------------------------------------------------------------------------------------------- strokes

    def strokes(self, rows: Sequence[Stroke]) -> tuple[Sequence[Stroke], FloatArray]:
        """Return strokes and the affine matrix (2, 3) that brings them to the frame."""
        if self._is_affine or not rows:
            return rows, self.to_px[:2]
        ends = np.array([row[:4] for row in rows], dtype=np.float64).reshape(-1, 2, 2)  # (N, 2, 2)
        number = np.arange(len(rows))
        if len(self.to_px) == 3:
            ends, number = _segments_before_camera(ends, self.to_px[2])
        if self._lens and len(number):
            straight = self._straight(ends.reshape(-1, 2)).reshape(-1, 2, 2)
            pieces = np.ceil(np.linalg.norm(straight[:, 1] - straight[:, 0], axis=1) / _PIECE).clip(1, 512).astype(int)
            first = _shares(pieces)[:, None]
            step = 1 / np.repeat(pieces, pieces)[:, None]
            start, way = np.repeat(ends[:, 0], pieces, axis=0), np.repeat(ends[:, 1] - ends[:, 0], pieces, axis=0)
            ends = np.stack([start + way * first, start + way * (first + step)], axis=1)
            number = np.repeat(number, pieces)
        if not len(number):
            return [], _UNMOVED
        onto = self._straight(ends.reshape(-1, 2))
        onto = onto if self._lens == 0 else self._bent(onto)
        widths = np.array([rows[row][4] for row in number.tolist()]) * self.zooms(ends.mean(axis=1))
        seen = zip(onto.reshape(-1, 4).tolist(), widths.tolist(), number.tolist(), strict=True)
        return [(x0, y0, x1, y1, width, rows[row][5]) for (x0, y0, x1, y1), width, row in seen], _UNMOVED

    def zooms(self, points: FloatArray) -> FloatArray:
        """Return by how much small things are enlarged at each of (K, 2) points, in units: pixels a unit."""
        straight = raster.zooms(self.to_px, points)
        if self._lens == 0:
            return straight
        away = np.linalg.norm((self._straight(points) - self._middle) / self._radius, axis=1)
        tangential = self._bending(away)
        root = np.sqrt(np.maximum(1 - 4 * self._lens * away * away, 1e-3))
        return np.asarray(straight * tangential / np.sqrt(root))


def dense(ring: FloatArray) -> FloatArray:
    """Return a closed polygon (K, 2) with points added to its long edges."""
    after = np.roll(ring, -1, axis=0)
    parts = np.clip(np.ceil(np.linalg.norm(after - ring, axis=1) / _EDGE), 1, 512).astype(np.int64)
    shares = _shares(parts)[:, None]
    filled: FloatArray = np.repeat(ring, parts, axis=0) * (1 - shares) + np.repeat(after, parts, axis=0) * shares
    return filled


def _shares(parts: NDArray[np.int64]) -> FloatArray:
    """Return for each part of something that is cut into `parts` equal ones, where it begins: 0, 1/n, ... of each."""
    begun = np.arange(int(parts.sum())) - np.repeat(np.cumsum(parts) - parts, parts)
    return np.asarray(begun / np.repeat(parts, parts))


def _before_camera(ring: FloatArray, row: FloatArray) -> FloatArray:
    """Return the part of a closed polygon (K, 2) that is before the camera (Sutherland and Hodgman's cut by a line).

    Args:
        row: (3,) the last of a homography, which gives a point's depth.
    """
    depth = ring @ row[:2] + row[2] - _NEAR
    if (depth >= 0).all():
        return ring
    after, depth_after = np.roll(ring, -1, axis=0), np.roll(depth, -1)
    kept: list[FloatArray] = []
    for point, following, own, other in zip(ring, after, depth.tolist(), depth_after.tolist(), strict=True):
        if own >= 0:
            kept.append(point)
        if (own >= 0) != (other >= 0):
            kept.append(point + (following - point) * (own / (own - other)))
    return np.array(kept).reshape(-1, 2)


def _segments_before_camera(ends: FloatArray, row: FloatArray) -> tuple[FloatArray, NDArray[np.intp]]:
    """Return the parts of lines (N, 2, 2) that are before the camera (M, 2, 2), and which line each is of (M,)."""
    depth = ends @ row[:2] + row[2] - _NEAR  # (N, 2)
    kept = np.flatnonzero((depth >= 0).any(axis=1))
    ends, depth = ends[kept].copy(), depth[kept]
    cut = np.flatnonzero((depth < 0).any(axis=1))
    if len(cut):
        share = depth[cut, :1] / (depth[cut, :1] - depth[cut, 1:])
        meeting = ends[cut, 0] + (ends[cut, 1] - ends[cut, 0]) * share
        ends[cut, np.where(depth[cut, 0] < 0, 0, 1)] = meeting
    return ends, kept
