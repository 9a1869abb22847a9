"""Polygons as files have them: cut to a picture, their areas, their numbers as text; and run-length masks (RLE).

N points of K polygons stand one after another in the arrays.
"""

import itertools
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from yolo_proc.annotations.records import Box, ReadOptions
from yolo_proc.boxes import FloatArray

Points = tuple[tuple[float, float], ...]

_Signs = NDArray[np.uint32]  # four characters each, zero bytes where there are fewer
_WHOLES = 10_000  # pixels, to which the tables reach


def clipped_polygon(points: Sequence[tuple[float, float]], width: float, height: float) -> Points:
    """Return the part of a closed polygon that is inside of [0, width] x [0, height]; empty if it has no area.

    Sutherland and Hodgman, "Reentrant polygon clipping", CACM 1974: cut along one border after another. Of a polygon
    that is not convex parts may stay joined along the border; the area is right all the same.
    """
    for axis, limit, sign in ((0, 0.0, 1.0), (0, float(width), -1.0), (1, 0.0, 1.0), (1, float(height), -1.0)):
        inside = [sign * (point[axis] - limit) >= 0 for point in points]
        if all(inside):
            continue
        cut = []
        for number, point in enumerate(points):
            before = points[number - 1]
            if inside[number] != inside[number - 1]:
                share = (limit - before[axis]) / (point[axis] - before[axis])
                other = before[1 - axis] + share * (point[1 - axis] - before[1 - axis])
                cut.append((limit, other) if axis == 0 else (other, limit))
            if inside[number]:
                cut.append(point)
        points = cut
    return tuple(points) if len(points) >= 3 else ()


def kept_polygon(points: Points, size: tuple[int, int], options: ReadOptions) -> Points:
    """Return a polygon as it is kept beside its box: clipped to a picture of (width, height) where `options.clip` says
    so.
    """
    return clipped_polygon(points, *size) if options.clip and points else points


def areas_and_texts(polygons: Sequence[Points]) -> tuple[list[float], list[str]]:
    """Tell of each polygon its area in square pixels, by the shoelace formula, and `x0,y0,x1,y1,...`.

    Numbers have 9 significant digits: the shortest digits that give a float back cost twice as much. All polygons are
    done together, because one costs as much as many.

    Args:
        polygons: of one point at least, finite.
    """
    if not polygons:
        return [], []
    flat = np.fromiter(itertools.chain.from_iterable(itertools.chain.from_iterable(polygons)), np.float64)  # (2 N,)
    assert np.isfinite(flat).all(), "an outline has no NaN"
    ends = np.cumsum([len(points) for points in polygons])  # (K,)
    following = np.arange(1, len(flat) // 2 + 1)
    starts = np.concatenate([[0], ends[:-1]])
    following[ends - 1] = starts  # the last point's is the first one
    x, y = flat[::2], flat[1::2]  # (N,)
    areas = np.abs(np.add.reduceat(x * y[following] - x[following] * y, starts)) / 2
    return areas.tolist(), _texts(flat, 2 * ends)


def _texts(flat: FloatArray, ends: NDArray[np.int64]) -> list[str]:
    """Return the numbers up to each end, (K,), with commas between."""
    thousandths = np.rint(flat * 1000)
    if not (0 <= thousandths.min() <= thousandths.max() < 1000 * _WHOLES and (thousandths / 1000 == flat).all()):
        parts = np.split(flat, ends[:-1])
        return [("%.9g," * len(part) % tuple(part.tolist()))[:-1] for part in parts]
    # The same digits from tables, four characters at a time, without the zero bytes: a tenth of the time.
    wholes, fractions, comma, semicolon = _tables()
    number = thousandths.astype(np.int64)
    whole = number // 1000
    signs = np.empty((len(flat), 3), dtype=np.uint32)
    signs[:, 0], signs[:, 1], signs[:, 2] = wholes[whole], fractions[number - 1000 * whole], comma
    signs[ends - 1, 2] = semicolon
    return signs.tobytes().translate(None, b"\0").decode("ascii").split(";")[:-1]


@lru_cache(maxsize=1)
def _tables() -> tuple[_Signs, _Signs, np.uint32, np.uint32]:
    """Return the digits before the point, (10000,), the point with those after it, (1000,), a comma and a semicolon."""
    wholes = [str(number) for number in range(_WHOLES)]
    fractions = [f".{number:03d}".rstrip("0").rstrip(".") for number in range(1000)]
    before, after, ends = (np.array(texts, dtype="S4").view(np.uint32) for texts in (wholes, fractions, [",", ";"]))
    return before, after, ends[0], ends[1]


def box_rle(xyxy: Box, width: int, height: int) -> dict[str, list[int]]:
    """Return the pixels that a box touches as COCO's uncompressed RLE: runs of 0 and 1 in turn, column by column."""
    x0, y0 = max(math.floor(xyxy[0]), 0), max(math.floor(xyxy[1]), 0)
    x1, y1 = min(math.ceil(xyxy[2]), width), min(math.ceil(xyxy[3]), height)
    counts = [x0 * height + y0]
    for _ in range(x0, x1):
        counts += [y1 - y0, height - (y1 - y0)]
    counts[-1] += (width - x1) * height - y0  # the last column has none to begin after it
    return {"size": [height, width], "counts": counts}


class Rle(NamedTuple):
    """A run-length mask: its size, how many pixels it has, and their bounds; None: it has none."""

    width: int
    height: int
    area: int
    bounds: Box | None


def read_rle(mask: Any) -> Rle:
    """Return a mask in COCO's RLE, `{"size": [h, w], "counts": ...}`, the counts as numbers or as text.

    Raises:
        ValueError: it is none; the text says what is wrong.
    """
    try:
        height, width = mask["size"]
        counts = mask["counts"]
        runs = np.array(_counts_of_text(counts) if isinstance(counts, str) else counts, dtype=np.float64)
    except (TypeError, KeyError, ValueError, OverflowError, IndexError):
        raise ValueError("no `size` and `counts`") from None
    if not all(isinstance(side, int) and 0 < side < 1 << 20 for side in (height, width)):
        raise ValueError("a size that no picture has")
    if not isinstance(counts, str) and {type(one) for one in counts} - {int, float}:
        raise ValueError("counts that are no numbers")
    if (runs != np.floor(runs)).any():
        raise ValueError("counts with fractions")
    if runs.ndim != 1 or not (runs >= 0).all() or runs.sum() != height * width:
        raise ValueError(f"counts that are not those of {width} x {height} pixels")
    ends = np.cumsum(runs).astype(np.int64)  # (K,), column by column
    first, last = ends[:-1:2], ends[1::2]  # of the runs of 1: the first pixel, and the one behind the last
    first, last = first[last > first], last[last > first] - 1
    if not len(first):
        return Rle(width, height, 0, None)
    whole = last // height > first // height  # goes over the end of a column
    top = np.where(whole, 0, first % height).min()
    bottom = np.where(whole, height, last % height + 1).max()
    box = float(first[0] // height), float(top), float(last[-1] // height + 1), float(bottom)
    return Rle(width, height, int((last - first + 1).sum()), box)


def _counts_of_text(text: str) -> list[int]:
    """Return the runs of a compressed RLE: five bits a sign, from the third number on as differences to the last but
    one.

    Raises:
        ValueError: signs that no writer puts there.
    """
    counts: list[int] = []
    number = shift = 0
    for sign in text:
        value = ord(sign) - 48
        if not 0 <= value < 64 or shift > 60:
            raise ValueError("a sign that is none of an RLE")
        number |= (value & 31) << shift
        shift += 5
        if value & 32:
            continue
        if value & 16:
            number -= 1 << shift
        counts.append(number + (counts[-2] if len(counts) > 2 else 0))
        number = shift = 0
    return counts
