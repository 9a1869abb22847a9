"""Grids of cells over the picture, and their anchors: the sizes that boxes are measured against."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from yolo_proc.boxes import FloatArray, iou_wh
from yolo_proc.errors import ConfigError, GeneratorError

Anchors = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Grid:
    """One grid of cells over the picture.

    Attributes:
        stride: side of a cell, pixels.
        columns, rows: cells across and down.
        anchors: (w, h) pixels, one slot each in every cell.
    """

    stride: int
    columns: int
    rows: int
    anchors: Anchors

    def to_dict(self) -> dict[str, Any]:
        """Return the form of a model file and a checkpoint."""
        return {
            "stride": self.stride,
            "columns": self.columns,
            "rows": self.rows,
            "anchors": [list(anchor) for anchor in self.anchors],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Grid":
        """Return the inverse of `to_dict`; unknown keys are ignored."""
        anchors = tuple((float(width), float(height)) for width, height in values["anchors"])
        return cls(int(values["stride"]), int(values["columns"]), int(values["rows"]), anchors)


def grids_for(width: int, height: int, strides: Sequence[int], anchors_wh: ArrayLike) -> tuple[Grid, ...]:
    """Return the grids of a network for pictures of `width` x `height`, the anchors (A, 2) shared out over them by
    size.

    Raises:
        ConfigError: a side that is not a multiple of every stride, or fewer anchors than strides.
    """
    for stride in strides:
        if stride < 1 or width % stride or height % stride:
            raise ConfigError(
                f"image size {width} x {height}: expected multiples of the stride {stride}; choose another image size"
            )
    shared = share_anchors(anchors_wh, len(strides))
    ordered = sorted(strides)
    return tuple(Grid(s, width // s, height // s, anchors) for s, anchors in zip(ordered, shared, strict=True))


def side_multiple(grids: Sequence[Grid]) -> int:
    """Return what both sides of a frame are multiples of: the least common multiple of the strides."""
    return math.lcm(*(grid.stride for grid in grids))


def grids_over(grids: Sequence[Grid], width: int, height: int) -> tuple[Grid, ...]:
    """Return the same grids, strides and anchors, over another frame.

    Raises:
        ConfigError: a side that is not a multiple of every stride.
    """
    multiple = side_multiple(grids)
    if min(width, height) < multiple or width % multiple or height % multiple:
        near = "x".join(str(max(round(side / multiple), 1) * multiple) for side in (width, height))
        raise ConfigError(
            f"input-size: expected multiples of the stride {multiple}, found {width}x{height}; the nearest is {near}"
        )
    return tuple(replace(grid, columns=width // grid.stride, rows=height // grid.stride) for grid in grids)


def share_anchors(anchors_wh: ArrayLike, grid_count: int) -> tuple[Anchors, ...]:
    """Return the anchors (A, 2) by area in `grid_count` shares, small ones first: for the grids in ascending stride.

    Where they cannot be shared evenly, the first grids have one more.

    Raises:
        ConfigError: fewer anchors than grids.
    """
    anchors = _by_area(np.asarray(anchors_wh, dtype=np.float64).reshape(-1, 2))
    if len(anchors) < grid_count:
        raise ConfigError(
            f"anchors: expected at least one for each of {grid_count} strides, found {len(anchors)}; "
            "give more anchors or fewer strides"
        )
    shares = np.array_split(anchors, grid_count)
    return tuple(tuple((float(width), float(height)) for width, height in share) for share in shares)


def kmeans_anchors(
    sizes_wh: ArrayLike, k: int, rng: np.random.Generator, *, tries: int = 4, rounds: int = 60
) -> FloatArray:
    """Return (k, 2) anchors for boxes of the sizes (N, 2), by ascending area: k-means with the distance 1 - IoU of
    shapes.

    Redmon and Farhadi, "YOLO9000: better, faster, stronger", 2017, section 2. Of several tries, each begun by
    k-means++ (Arthur and Vassilvitskii, 2007), the one with the largest mean IoU is taken. Where there are no more
    than k distinct sizes, they are the anchors, and the last repeats: no object ever chooses a repeated one.

    Raises:
        GeneratorError: no size, or one that is not positive.
    """
    sizes = np.asarray(sizes_wh, dtype=np.float64).reshape(-1, 2)
    if not len(sizes) or not (sizes > 0).all() or not np.isfinite(sizes).all():
        raise GeneratorError(
            "anchors: expected boxes with positive sides to find them from, "
            f"found {len(sizes)} boxes; draw labelled objects, or give the anchors"
        )
    distinct = _by_area(np.unique(sizes, axis=0))
    if len(distinct) <= k:
        return np.concatenate([distinct, np.repeat(distinct[-1:], k - len(distinct), axis=0)])
    found = [_kmeans(sizes, _spread_sizes(sizes, k, rng), rounds) for _ in range(tries)]
    return _by_area(max(found, key=lambda anchors: mean_best_iou(sizes, anchors)))


def mean_best_iou(sizes_wh: ArrayLike, anchors_wh: ArrayLike) -> float:
    """Return the mean over sizes (N, 2) of the IoU of shapes with the best of the anchors (A, 2): how well they fit."""
    return float(iou_wh(sizes_wh, anchors_wh).max(axis=1).mean())


def _by_area(sizes_wh: FloatArray) -> FloatArray:
    """Return (N, 2) by ascending area, then width."""
    return sizes_wh[np.lexsort((sizes_wh[:, 0], sizes_wh.prod(axis=1)))]


def _spread_sizes(sizes_wh: FloatArray, k: int, rng: np.random.Generator) -> FloatArray:
    """Return (k, 2) of the sizes, each drawn in proportion to its squared distance from those before."""
    chosen: FloatArray = sizes_wh[[rng.integers(len(sizes_wh))]]
    while len(chosen) < k:
        distance = (1 - iou_wh(sizes_wh, chosen).max(axis=1)) ** 2  # (N,)
        # Distinct sizes may be equal to within rounding; then any will do.
        share = distance / distance.sum() if distance.sum() > 0 else None
        chosen = np.concatenate([chosen, sizes_wh[[rng.choice(len(sizes_wh), p=share)]]])
    return chosen


def _kmeans(sizes_wh: FloatArray, anchors_wh: FloatArray, rounds: int) -> FloatArray:
    """Run Lloyd's iteration; a cluster that loses its last member keeps its centre."""
    k = len(anchors_wh)
    nearest = np.full(len(sizes_wh), -1)
    for _ in range(rounds):
        before, nearest = nearest, iou_wh(sizes_wh, anchors_wh).argmax(axis=1)
        if (before == nearest).all():
            break
        members = np.bincount(nearest, minlength=k)
        sums = np.stack([np.bincount(nearest, sizes_wh[:, side], k) for side in (0, 1)], axis=1)  # (k, 2)
        anchors_wh = np.where(members[:, None] > 0, sums / np.maximum(members, 1)[:, None], anchors_wh)
    return anchors_wh
