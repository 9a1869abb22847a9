"""Pixels: antialiased masks of outlines, blending, backgrounds. Used by `canvas.py` only.

Lengths are pixels; (0, 0) is the corner of the frame, and the centre of the first pixel is (0.5, 0.5).
A region is (left, top, right, bottom), whole pixels, half-open.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from yolo_proc.boxes import FloatArray
from yolo_proc.drawing.outlines import apply_affine
from yolo_proc.errors import GeneratorError

Bytes = NDArray[np.uint8]
Region = tuple[int, int, int, int]
Colour = tuple[int, int, int]

_SUB = 4  # sub-pixels a pixel, each way
_OPAQUE = 128  # from this coverage on a pixel counts as covered


@dataclass(frozen=True, eq=False)
class Texture:
    """A background made of a few coloured cells with smooth passages between: `cells` (h, w, 3) uint8."""

    cells: Bytes

    def __post_init__(self) -> None:
        cells = self.cells
        if not isinstance(cells, np.ndarray) or cells.dtype != np.uint8 or cells.ndim != 3 or cells.shape[2] != 3:
            raise GeneratorError(f"a texture: expected cells (h, w, 3) of uint8, found {_describe(cells)}")
        if min(cells.shape) == 0 or max(cells.shape) > 256:
            raise GeneratorError(f"a texture: expected 1 to 256 cells each way, found {cells.shape[:2]}")


def gradient(start: Sequence[float], end: Sequence[float], angle: float = 0.0) -> Texture:
    """Return a background that passes from one colour to another in a straight line.

    Args:
        start, end: colours (r, g, b), 0 to 255.
        angle: where it goes: 0 to the right, 90 down.
    """
    colours = np.array([start, end], dtype=np.float64)
    if colours.shape != (2, 3) or not (colours.min() >= 0 and colours.max() <= 255) or not math.isfinite(angle):
        raise GeneratorError(
            "a gradient: expected two colours of three values 0 to 255 and an angle in degrees, "
            f"found {start!r}, {end!r} and {angle!r}"
        )
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    along = _RAMP * (cos / (abs(cos) + abs(sin))) + _RAMP.T * (sin / (abs(cos) + abs(sin)))  # (8, 8), -0.5 to 0.5
    middle, span = (colours[0] + colours[1]) / 2, colours[1] - colours[0]
    return Texture((along[..., None] * span + (middle + 0.5)).astype(np.uint8))


_RAMP = np.repeat(np.linspace(-0.5, 0.5, 8)[None], 8, axis=0)  # (8, 8), from left to right


def _describe(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} of shape {value.shape}"
    return repr(value)


# ---------------------------------------------------------------------------------------------------------------
# Backgrounds: a new (H, W, 3) picture each


def plain_background(colour: Colour, width: int, height: int) -> Bytes:
    """Return one colour everywhere."""
    image = np.empty((height, width, 3), np.uint8)
    image[0] = colour
    image[1:] = image[0]  # copying rows is much quicker than copying triples
    return image


def texture_background(texture: Texture, width: int, height: int) -> Bytes:
    """Return the cells stretched over the frame, in two steps: smooth at a sixteenth of the size, then linear."""
    rows, columns = texture.cells.shape[:2]
    coarse = (max(width // 16, columns), max(height // 16, rows))
    cells = cv2.resize(texture.cells, coarse, interpolation=cv2.INTER_CUBIC)
    return np.asarray(cv2.resize(cells, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def picture_background(
    picture: Bytes,
    to_px: FloatArray,
    units: tuple[float, float],
    size: tuple[int, int],
    looked_up: FloatArray | None = None,
) -> Bytes:
    """Return a picture that covers the canvas, moved by the matrix; beyond its edges it is mirrored.

    Args:
        picture: (h, w, 3) uint8 RGB.
        to_px: units -> pixels of the frame.
        units: width, height of the canvas.
        size: width, height of the frame, pixels.
        looked_up: as in `warp`.
    """
    height, width = picture.shape[:2]
    zoom = max(units[0] / width, units[1] / height)  # units a picture pixel
    place = np.array([[zoom, 0, (units[0] - zoom * width) / 2], [0, zoom, (units[1] - zoom * height) / 2]])
    whole = compose(to_px, place)
    shrink = float(zooms(whole, np.array([[width / 2, height / 2]]))[0])
    if shrink < 0.5:  # a linear warp looks at four pixels only, so make it smaller first
        smaller = (max(round(width * shrink), 1), max(round(height * shrink), 1))
        resized = cv2.resize(picture, smaller, interpolation=cv2.INTER_AREA)
        return picture_background(np.asarray(resized, dtype=np.uint8), to_px, units, size, looked_up)
    return _resampled(picture, whole, (0, 0, *size), None, looked_up)


def framed_background(
    picture: Bytes, to_px: FloatArray, size: tuple[int, int], beyond: Colour, looked_up: FloatArray | None = None
) -> Bytes:
    """Return a picture moved by a matrix, with one colour beyond its edges; unmoved, exactly its pixels.

    Args:
        picture: (h, w, 3) uint8 RGB.
        to_px: the picture's pixel corners -> pixels of the frame.
        size: width, height of the frame, pixels.
        looked_up: as in `warp`.
    """
    is_still = len(to_px) == 2 and np.allclose(to_px, np.eye(2, 3), rtol=0, atol=1e-9)
    if picture.shape[1::-1] == size and is_still and looked_up is None:
        return picture.copy()
    return warp(picture, to_px, (0, 0, *size), beyond, looked_up)


def compose(second: FloatArray, first: FloatArray) -> FloatArray:
    """Return `first`, then `second`: (2, 3), or (3, 3) where one of the two is a homography."""
    if len(first) == 2 and len(second) == 2:
        out = second[:, :2] @ first
        out[:, 2] += second[:, 2]
        return out
    product: FloatArray = _square(second) @ _square(first)
    return product


def _square(matrix: FloatArray) -> FloatArray:
    return matrix if len(matrix) == 3 else np.concatenate([matrix, [[0.0, 0.0, 1.0]]])


# ---------------------------------------------------------------------------------------------------------------
# Masks: (h, w) uint8 over a region, 255 times the share of each pixel that is covered


def region_of(box_xyxy: tuple[float, float, float, float]) -> Region:
    """Return the whole pixels that hold what fills a box, and an eighth more: vertices are rounded to sub-pixels."""
    x0, y0, x1, y1 = box_xyxy
    return math.floor(x0 - 0.125), math.floor(y0 - 0.125), math.ceil(x1 + 0.125), math.ceil(y1 + 0.125)


def intersect(a: Region, b: Region) -> Region | None:
    """Return what two regions share; None if nothing."""
    left, top, right, bottom = max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])
    return (left, top, right, bottom) if left < right and top < bottom else None


def crop(mask: Bytes, region: Region, part: Region) -> Bytes:
    """Return the view of `mask`, which covers `region`, on `part` of it."""
    left, top = region[:2]
    return mask[part[1] - top : part[3] - top, part[0] - left : part[2] - left]


def view(image: Bytes, region: Region) -> Bytes:
    """Return the part of an (H, W, 3) picture in a region, to be painted in place."""
    return image[region[1] : region[3], region[0] : region[2]]


def coverage(points: FloatArray, splits: Sequence[int], region: Region) -> Bytes:
    """Return the mask of even-odd filled contours; parts outside the region are cut off.

    Filled on a grid of 4 x 4 sub-pixels. cv2 fills the pixels under the border line too, which makes every
    stroke one sub-pixel too thick; painted over at half weight, the area comes out right.
    """
    left, top, right, bottom = region
    # The centre of sub-pixel 0 is at 0.5.
    grid = np.array([[_SUB, 0, -_SUB * left - 0.5], [0, _SUB, -_SUB * top - 0.5]], dtype=np.float64)
    corners = np.rint(apply_affine(grid, points)).astype(np.int32)
    contours = [corners[a:b] for a, b in pairwise(splits)]
    height, width = bottom - top, right - left
    fine = np.zeros((height * _SUB, width * _SUB), np.uint8)
    cv2.fillPoly(fine, contours, 255)
    cv2.polylines(fine, contours, True, 128)
    # Halving twice takes a fifth of the time of one step to a quarter.
    half = cv2.resize(fine, (width * 2, height * 2), interpolation=cv2.INTER_AREA)
    return _as_bytes(cv2.resize(half, (width, height), interpolation=cv2.INTER_AREA))


def coverage_of_all(shapes: Sequence[tuple[FloatArray, Sequence[int]]], region: Region) -> Bytes:
    """Return the mask of what any of some shapes (points, splits) covers."""
    mask = coverage(*shapes[0], region)
    for points, splits in shapes[1:]:
        cv2.max(mask, coverage(points, splits, region), dst=mask)
    return mask


def _as_bytes(array: Any) -> Bytes:
    """For the type checker: cv2 gives no types."""
    assert array.dtype == np.uint8
    return array  # type: ignore[no-any-return]


def solid(mask: Bytes) -> Bytes:
    """Return 255 where the mask covers at least half of a pixel, else 0."""
    return _as_bytes(cv2.threshold(mask, _OPAQUE - 1, 255, cv2.THRESH_BINARY)[1])


def share_inside(shapes: Sequence[tuple[FloatArray, Sequence[int]]], frame: Region) -> float:
    """Return the share of the shapes' area that lies inside the frame, for shapes too large to be drawn whole."""
    low = np.min([points.min(axis=0) for points, _ in shapes], axis=0)
    high = np.max([points.max(axis=0) for points, _ in shapes], axis=0)
    scale = 512 / float((high - low).max())
    region = (0, 0, *(np.ceil((high - low) * scale).astype(int) + 1).tolist())
    mask = coverage_of_all([((points - low) * scale, splits) for points, splits in shapes], region)
    bounds = np.array(frame, dtype=np.float64).reshape(2, 2)
    (x0, y0), (x1, y1) = np.clip(np.rint((bounds - low) * scale), 0, 513).astype(int).tolist()
    total = int(mask.sum())
    return int(mask[y0:y1, x0:x1].sum()) / total if total else 0.0


# ---------------------------------------------------------------------------------------------------------------
# Blending, in place


def blend_colour(view: Bytes, mask: Bytes, colour: Colour, opacity: float) -> None:
    """Paint one colour over an (h, w, 3) view through an (h, w) mask."""
    if opacity < 1:
        mask = _as_bytes(cv2.convertScaleAbs(mask, alpha=opacity))
    alpha = cv2.cvtColor(mask, cv2.COLOR_GRAY2RGB)
    paint = cv2.merge([cv2.convertScaleAbs(mask, alpha=value / 255) for value in colour])
    kept = cv2.multiply(view, cv2.bitwise_not(alpha), scale=1 / 255)
    cv2.add(kept, paint, dst=view)


def blend_premultiplied(view: Bytes, rgba: Bytes) -> None:
    """Paint an (h, w, 4) picture, its colours multiplied by its alpha, over an (h, w, 3) view."""
    alpha = cv2.bitwise_not(np.ascontiguousarray(rgba[..., 3]))
    kept = cv2.multiply(view, cv2.cvtColor(alpha, cv2.COLOR_GRAY2RGB), scale=1 / 255)
    cv2.add(kept, np.ascontiguousarray(rgba[..., :3]), dst=view)


def premultiply(rgba: Bytes) -> Bytes:
    """Return (h, w, 4) with its colours multiplied by its alpha, so that it can be interpolated."""
    pixels = np.ascontiguousarray(rgba)
    factors = cv2.cvtColor(cv2.extractChannel(pixels, 3), cv2.COLOR_GRAY2RGBA)  # alpha by 255 / 255
    return np.asarray(cv2.multiply(pixels, factors, scale=1 / 255), dtype=np.uint8)


def opaque_hull(rgba: Bytes) -> FloatArray:
    """Return the convex hull (K, 2), pixel corners, of the pixels of (h, w, 4) with an alpha of 128 and more.

    K is 0 where there is none. However the picture is turned or tilted, the hull's box is that of these pixels.
    """
    alpha = cv2.extractChannel(np.ascontiguousarray(rgba), 3)
    opaque = cv2.threshold(alpha, _OPAQUE - 1, 255, cv2.THRESH_BINARY)[1]
    borders = cv2.findContours(opaque, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]
    if not borders:
        return np.zeros((0, 2))
    pixels = np.concatenate(borders)  # (N, 1, 2) their upper left corners
    corners = (pixels + np.array([(0, 0), (1, 0), (0, 1), (1, 1)], dtype=np.int32)).reshape(-1, 2)
    return np.asarray(cv2.convexHull(corners)[:, 0], dtype=np.float64)


def warp(
    picture: Bytes, to_px: FloatArray, region: Region, beyond: Sequence[int], looked_up: FloatArray | None = None
) -> Bytes:
    """Return a picture moved into a region of the frame, one colour beyond its edges.

    Args:
        to_px: the picture's pixel corners -> pixels of the frame.
        looked_up: (h, w, 2) for each pixel of the region the place in the frame whose colour it gets, where a lens
            bends the frame; None: its own centre.
    """
    height, width = picture.shape[:2]
    shrink = _zoom(to_px, width, height)  # frame pixels a picture pixel, along x and y
    if shrink.min() < 0.5:
        small = (max(round(width * min(shrink[0], 1)), 1), max(round(height * min(shrink[1], 1)), 1))
        if small != (width, height):
            resized = cv2.resize(picture, small, interpolation=cv2.INTER_AREA)
            stretch = np.array([[width / small[0], 0, 0], [0, height / small[1], 0]])
            return warp(np.asarray(resized, dtype=np.uint8), compose(to_px, stretch), region, beyond, looked_up)
    return _resampled(picture, to_px, region, beyond, looked_up)


def _resampled(
    picture: Bytes, to_px: FloatArray, region: Region, beyond: Sequence[int] | None, looked_up: FloatArray | None
) -> Bytes:
    """Return what `warp` does, from four pixels each; without a colour `beyond` the edges are mirrored."""
    left, top = region[:2]
    size = (region[2] - region[0], region[3] - region[1])
    border = cv2.BORDER_REFLECT if beyond is None else cv2.BORDER_CONSTANT
    ways: dict[str, Any] = {"borderMode": border, "borderValue": tuple(beyond or (0, 0, 0))}
    if looked_up is not None:
        places = _moved_back(to_px, looked_up) - 0.5
        x, y = np.ascontiguousarray(places[..., 0]), np.ascontiguousarray(places[..., 1])
        return np.asarray(cv2.remap(picture, x, y, cv2.INTER_LINEAR, **ways), dtype=np.uint8)
    # cv2 counts pixel centres as whole numbers, on both sides.
    matrix = compose(to_px, np.array([[1, 0, 0.5], [0, 1, 0.5]]))
    matrix = compose(np.array([[1, 0, -left - 0.5], [0, 1, -top - 0.5]]), matrix)
    if len(matrix) == 2:
        return np.asarray(cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_LINEAR, **ways), dtype=np.uint8)
    return np.asarray(cv2.warpPerspective(picture, matrix, size, flags=cv2.INTER_LINEAR, **ways), dtype=np.uint8)


def _moved_back(to_px: FloatArray, places: FloatArray) -> NDArray[np.float32]:
    """Return which places of a picture (h, w, 2) come to places of the frame."""
    back = np.linalg.inv(_square(to_px))
    moved: NDArray[np.float32] = cv2.perspectiveTransform(places.astype(np.float32), back)
    return moved


def _zoom(to_px: FloatArray, width: int, height: int) -> FloatArray:
    """Return how many frame pixels a picture's pixel is wide and high (2,): of a homography, in the middle."""
    slopes = _slopes(to_px, np.array([[width / 2, height / 2]]))[0]
    return np.asarray(np.hypot(slopes[0], slopes[1]))


def zooms(matrix: FloatArray, points: FloatArray) -> FloatArray:
    """Return by how much a matrix enlarges small things at each of (N, 2) points."""
    return np.asarray(np.sqrt(np.abs(np.linalg.det(_slopes(matrix, points)))))


def _slopes(matrix: FloatArray, points: FloatArray) -> FloatArray:
    """Return the derivative (N, 2, 2) of a (2, 3) or (3, 3) matrix's map at (N, 2) points."""
    if len(matrix) == 2:
        return np.repeat(matrix[None, :, :2], len(points), axis=0)
    moved = np.concatenate([points, np.ones((len(points), 1))], axis=1) @ matrix.T
    depth = moved[:, 2, None, None]
    return np.asarray((matrix[None, :2, :2] - moved[:, :2, None] * matrix[None, 2:, :2] / depth) / depth)


# ---------------------------------------------------------------------------------------------------------------
# Strokes: many straight lines in one pass, drawn by cv2 directly


# cv2 paints the rim of a polygon outside of it; so much narrower, a stroke covers what it should.
_RIM_SMOOTH, _RIM_HARD = 1.4, 1.0
_THIN = 2.0  # up to this width a stroke is an antialiased hairline, 1.7 px wide, which takes half the time

Stroke = tuple[float, float, float, float, float, Sequence[int]]  # x0, y0, x1, y1, width in units, and the colour


def paint_strokes(image: Bytes, strokes: Sequence[Stroke], to_px: FloatArray, mask: Bytes | None) -> None:
    """Draw straight lines, antialiased and in order; set an (H, W) mask, if there is one, to 255 where they cover.

    In plain Python: for a few lines that is quicker than numpy. Lengths are sixteenths of a pixel, as cv2 takes them.
    """
    (a, b, c), (d, e, f) = (to_px * 16).tolist()
    zoom = math.sqrt(abs(a * e - b * d))
    for x0, y0, x1, y1, width, colour in strokes:
        # cv2 counts pixel centres as whole numbers: half a pixel is 8 sixteenths.
        px0, py0 = a * x0 + b * y0 + c - 8, d * x0 + e * y0 + f - 8
        px1, py1 = a * x1 + b * y1 + c - 8, d * x1 + e * y1 + f - 8
        length = math.hypot(px1 - px0, py1 - py0)
        if width * zoom <= _THIN * 16 or length == 0:
            start, stop = (round(px0), round(py0)), (round(px1), round(py1))
            cv2.line(image, start, stop, colour, 1, cv2.LINE_AA, 4)
            if mask is not None:
                cv2.line(mask, start, stop, 255, 1, cv2.LINE_8, 4)
            continue
        nx, ny = -(py1 - py0) / length, (px1 - px0) / length
        smooth, hard = (width * zoom - _RIM_SMOOTH * 16) / 2, (width * zoom - _RIM_HARD * 16) / 2
        cv2.fillConvexPoly(image, _quad(px0, py0, px1, py1, nx * smooth, ny * smooth), colour, cv2.LINE_AA, 4)
        if mask is not None:
            cv2.fillConvexPoly(mask, _quad(px0, py0, px1, py1, nx * hard, ny * hard), 255, cv2.LINE_8, 4)


def stroke_corners(strokes: Sequence[Stroke], to_px: FloatArray) -> FloatArray:
    """Return the corners (4 N, 2) of N strokes, pixels."""
    rows = np.array([row[:5] for row in strokes], dtype=np.float64).reshape(-1, 5)
    starts, ends = apply_affine(to_px, rows[:, :2]), apply_affine(to_px, rows[:, 2:4])
    along = ends - starts
    length = np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    half = rows[:, 4:] * math.sqrt(abs(float(np.linalg.det(to_px[:, :2])))) / 2
    across = np.stack([-along[:, 1], along[:, 0]], axis=1) / length * half
    return np.stack([starts + across, ends + across, ends - across, starts - across], axis=1).reshape(-1, 2)


def _quad(x0: float, y0: float, x1: float, y1: float, ax: float, ay: float) -> NDArray[np.int32]:
    """Return (4, 2) the corners of a stroke; (ax, ay) leads from its centre line to its border."""
    corners = ((x0 + ax, y0 + ay), (x1 + ax, y1 + ay), (x1 - ax, y1 - ay), (x0 - ax, y0 - ay))
    return np.array([(round(x), round(y)) for x, y in corners], dtype=np.int32)
