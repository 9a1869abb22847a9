"""The loss as `loss.py` declares it, written again in NumPy with its derivatives, for checks to compare with.

Letters: B images, S slots of an image, C classes, N objects with a slot.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo_proc.detection.codec import Grid
from yolo_proc.detection.loss import LEAST_REACH, MOST_LOG, REACH

Array = NDArray[np.float64]
CERTAIN = 20.0  # what a sure logit of J or of a class is
EDGE = 2.0**-20  # how far from its cell's border a centre is kept, so that its logit is finite


@dataclass(frozen=True)
class Aims:
    """Targets as NumPy arrays, all as in `codec.TensorTargets`.

    Attributes:
        image, slot, class_id: (N,).
        xy, wh, scale: (N, 2).
        ignored: (K, 2), image and slot.
    """

    image: NDArray[np.int64]
    slot: NDArray[np.int64]
    class_id: NDArray[np.int64]
    xy: Array
    wh: Array
    scale: Array
    ignored: NDArray[np.int64]

    @classmethod
    def of(cls, targets: Any) -> "Aims":
        """Return those of `TensorTargets`."""
        image, slot, class_id = (part.cpu().numpy() for part in (targets.image, targets.slot, targets.class_id))
        xy, wh, scale = (part.double().cpu().numpy() for part in (targets.xy, targets.wh, targets.stride_over_size))
        ignored = np.stack([targets.ignored_image.cpu().numpy(), targets.ignored_slot.cpu().numpy()], axis=1)
        return cls(image, slot, class_id, xy, wh, scale, ignored)

    def __post_init__(self) -> None:
        assert all(isinstance(getattr(self, one.name), np.ndarray) for one in fields(self))


def terms_by_hand(logits: Array, aims: Aims) -> dict[str, tuple[float, Array]]:
    """Return {term: (its mean, the derivatives of the mean with respect to the logits)}.

    Args:
        logits: (B, S, 5 + C); the derivatives have its shape.
    """
    found = {}
    at = (aims.image, aims.slot)
    objects = logits[at]  # (N, 5 + C)
    count = max(len(objects), 1)

    shifted = objects[:, 5:] - objects[:, 5:].max(axis=1, keepdims=True, initial=-np.inf)
    logarithms = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    own = np.zeros_like(logarithms)
    own[np.arange(len(own)), aims.class_id] = 1
    found["class"] = _placed(logits, at, slice(5, None), (-own * logarithms).sum() / count,
                             (np.exp(logarithms) - own) / count)  # fmt: skip

    empty = np.ones(logits.shape[:2], dtype=bool)
    empty[at] = False
    empty[aims.ignored[:, 0], aims.ignored[:, 1]] = False
    nothing = logits[..., 4]
    empties = max(int(empty.sum()), 1)
    derivative = np.zeros_like(logits)
    derivative[..., 4] = np.where(empty, sigmoid(nothing), 0.0) / empties
    found["obj_f"] = float(np.logaddexp(0, nothing)[empty].sum()) / empties, derivative

    j = objects[:, 4:5]
    found["obj_t"] = _placed(logits, at, slice(4, 5), np.logaddexp(0, -j).sum() / count, -sigmoid(-j) / count)

    off = objects[:, 2:4] - np.log(aims.wh)
    found["wh"] = _placed(logits, at, slice(2, 4), (off**2).sum() / (2 * count), off / count)

    place = sigmoid(objects[:, :2])
    away = (place - aims.xy) * aims.scale
    slope = away * aims.scale * place * (1 - place) / count
    found["xy"] = _placed(logits, at, slice(0, 2), (away**2).sum() / (2 * count), slope)
    return found


def overlap_by_hand(logits: Array, aims: Aims) -> tuple[float, Array]:
    """Return what `loss.overlap_loss` declares, object by object, and its derivatives (B, S, 5 + C)."""
    total, derivative = 0.0, np.zeros_like(logits)
    for number, (image, slot) in enumerate(zip(aims.image, aims.slot, strict=True)):
        row = logits[image, slot]
        v = sigmoid(row[:2])
        place, log = (v - aims.xy[number]) * aims.scale[number], row[2:4] - np.log(aims.wh[number])
        value, by_place, by_log = one_minus_giou_by_hand(place, log)
        total += value / len(aims.image)
        slopes = np.concatenate([by_place * aims.scale[number] * v * (1 - v), by_log])
        derivative[image, slot, :4] += slopes / len(aims.image)
    return total, derivative


def auxiliary_by_hand(values: Array, aims: Aims, grids: Sequence[Grid]) -> tuple[float, Array]:
    """Return what `loss.auxiliary_loss` declares, object by object and cell by cell, and its derivatives.

    Args:
        values: (B, M, 4) of each cell; the derivatives have its shape.
    """
    total, derivative = 0.0, np.zeros_like(values)
    for image, slot, xy, wh in zip(aims.image, aims.slot, aims.xy, aims.wh, strict=True):
        first = 0
        for grid in grids:
            if slot < grid.columns * grid.rows * len(grid.anchors):
                break
            slot -= grid.columns * grid.rows * len(grid.anchors)
            first += grid.columns * grid.rows
        cell, anchor = divmod(int(slot), len(grid.anchors))
        row, column = divmod(cell, grid.columns)
        anchors = np.array(grid.anchors) / grid.stride  # (A, 2) cells
        reference, size = np.exp(np.log(anchors).mean(axis=0)), wh * anchors[anchor]  # (2,)
        centre, reach = np.array([column, row]) + xy, np.maximum(REACH * size, LEAST_REACH)
        near = []
        for down in range(grid.rows):
            for across in range(grid.columns):
                away = centre - np.array([across + 0.5, down + 0.5])
                if (np.abs(away) < reach).all():
                    near.append((first + down * grid.columns + across, away))
        for number, away in near:
            said = values[image, number]
            place, log = (said[:2] * reference - away) / size, said[2:] - np.log(size / reference)
            value, by_place, by_log = one_minus_giou_by_hand(place, log)
            share = 1 / (len(near) * len(aims.image))
            total += share * value
            derivative[image, number] += share * np.concatenate([by_place * reference / size, by_log])
    return total, derivative


def one_minus_giou_by_hand(place: Array, log: Array) -> tuple[float, Array, Array]:
    """Return what `loss.one_minus_giou` declares of one box, and its derivatives by place (2,) and by log (2,).

    It is 2 - I / U - U / H. Each side of the box is a bound of the shared area where it lies inside the object, and of
    the hull where it lies outside: there and only there do these change with it.
    """
    half = np.exp(np.clip(log, -MOST_LOG, MOST_LOG)) / 2
    low, high = place - half, place + half
    shared = np.maximum(np.minimum(high, 0.5) - np.maximum(low, -0.5), 0)  # (2,) lengths along x and y
    hull = np.maximum(high, 0.5) - np.minimum(low, -0.5)
    i, h = float(shared.prod()), float(hull.prod())
    u = float((2 * half).prod()) + 1 - i
    inside, outside = (low > -0.5, high < 0.5), (low < -0.5, high > 0.5)
    # By each side's coordinate, (2,) along x and y: the lengths, then the areas, then the whole.
    i_sides = [sign * side * (shared > 0) * shared[::-1] for sign, side in zip((-1, 1), inside, strict=True)]
    h_sides = [sign * side * hull[::-1] for sign, side in zip((-1, 1), outside, strict=True)]
    b_sides = [sign * 2 * half[::-1] for sign in (-1, 1)]  # the box's own area
    u_sides = [b - one for b, one in zip(b_sides, i_sides, strict=True)]
    by_sides = [
        -di / u + i * du / u**2 - du / h + u * dh / h**2 for di, du, dh in zip(i_sides, u_sides, h_sides, strict=True)
    ]
    moves = np.abs(log) < MOST_LOG
    return 2 - i / u - u / h, by_sides[0] + by_sides[1], (by_sides[1] - by_sides[0]) * half * moves


def _placed(
    logits: Array, at: tuple[NDArray[np.int64], NDArray[np.int64]], part: slice, mean: float, of_objects: Array
) -> tuple[float, Array]:
    """Return a term's mean, and its derivatives put into the slots of the objects."""
    derivative = np.zeros_like(logits)
    rows = np.zeros((len(of_objects), logits.shape[2]))
    rows[:, part] = of_objects
    derivative[at] = rows
    return float(mean), derivative


def perfect_logits(aims: Aims, shape: tuple[int, int, int]) -> Array:
    """Return the raw logits (B, S, 5 + C) of a network that is sure and right; ignored slots say object."""
    logits = np.zeros(shape)
    logits[..., 4] = -CERTAIN
    logits[aims.ignored[:, 0], aims.ignored[:, 1], 4] = CERTAIN
    rows = np.full((len(aims.image), shape[2]), -CERTAIN)
    v = np.clip(aims.xy, EDGE, 1 - EDGE)
    rows[:, :2] = np.log(v) - np.log1p(-v)
    rows[:, 2:4] = np.log(aims.wh)
    rows[:, 4] = CERTAIN
    rows[np.arange(len(rows)), 5 + aims.class_id] = CERTAIN
    logits[aims.image, aims.slot] = rows
    return logits


def activated(logits: Array) -> Array:
    """Return logits as predictions: what an output would be if the network itself applied the inverse functions."""
    classes = np.exp(logits[..., 5:] - logits[..., 5:].max(axis=-1, keepdims=True))
    classes /= classes.sum(axis=-1, keepdims=True)
    parts = [sigmoid(logits[..., :2]), np.exp(logits[..., 2:4]), sigmoid(logits[..., 4:5]), classes]
    return np.concatenate(parts, axis=-1)


def sigmoid(t: Array) -> Array:
    """Return 1 / (1 + e^-t), without overflow."""
    return np.exp(-np.logaddexp(0, -t))
