"""Grounds that look like something: noise at several scales, paper, wood, cloth. Each a picture from a `rng`.

    canvas.background(wood(rng))

All are uint8 RGB of `side` x `side` pixels, for `Canvas.background`, which stretches them over the canvas.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from yolo_proc.boxes import RgbImage

SIDE = 256
_OCTAVES = 5


def fractal(rng: np.random.Generator, side: int = SIDE, cells: int = 3, roughness: float = 0.55) -> NDArray[np.float32]:
    """Return smooth noise at several scales (side, side), 0 to 1: each scale has twice the cells of the one before.

    Args:
        cells: of the coarsest scale, each way.
        roughness: how much of the amplitude the next finer scale has, 0 to 1.
    """
    total = np.zeros((side, side), np.float32)
    weight = 1.0
    for octave in range(_OCTAVES):
        grid = rng.random((cells * 2**octave + 2,) * 2, dtype=np.float32)
        layer = cv2.resize(grid, (side, side), interpolation=cv2.INTER_CUBIC)
        total += np.float32(weight) * layer
        weight *= roughness
    low, high = float(total.min()), float(total.max())
    return np.asarray((total - low) / max(high - low, 1e-6), dtype=np.float32)


def clouds(rng: np.random.Generator, side: int = SIDE) -> RgbImage:
    """Return two colours that pass into each other in clouds."""
    share = fractal(rng, side, int(rng.integers(2, 7)), float(rng.uniform(0.35, 0.75)))
    return _between(share, rng.uniform(0, 255, 3), rng.uniform(0, 255, 3))


def paper(rng: np.random.Generator, side: int = SIDE) -> RgbImage:
    """Return paper: nearly white or yellowish, with fibres and stains."""
    base = rng.uniform(200, 250) - np.array([0, rng.uniform(0, 10), rng.uniform(0, 40)])
    share = 0.7 * fractal(rng, side, 2, 0.4) + 0.3 * rng.random((side, side), dtype=np.float32)
    return _between(share, base - rng.uniform(5, 25), base)


def wood(rng: np.random.Generator, side: int = SIDE) -> RgbImage:
    """Return a board: rings of a trunk cut lengthwise, along x or y."""
    light = np.array([rng.uniform(140, 220), rng.uniform(100, 170), rng.uniform(60, 120)])
    y = np.linspace(0, rng.uniform(3, 9), side, dtype=np.float32)[:, None]
    bent = y + np.float32(rng.uniform(0.5, 2)) * cv2.resize(fractal(rng, 64, 2), (side, side))
    rings = 0.5 + 0.5 * np.sin(2 * math.pi * bent)
    grain = cv2.resize(rng.random((side, max(side // 32, 2)), dtype=np.float32), (side, side))
    board = _between((0.7 * rings + 0.3 * grain).astype(np.float32), light * rng.uniform(0.5, 0.8), light)
    return board if rng.random() < 0.5 else np.ascontiguousarray(board.transpose(1, 0, 2))


def cloth(rng: np.random.Generator, side: int = SIDE) -> RgbImage:
    """Return woven threads, over and under, with folds."""
    threads = int(rng.integers(16, 64))
    turns = np.linspace(0, math.pi * threads, side, dtype=np.float32)
    over = np.abs(np.sin(turns))[:, None] * np.float32(0.5) + np.abs(np.cos(turns))[None] * np.float32(0.5)
    share = np.clip(over + 0.5 * (fractal(rng, side, 2, 0.4) - 0.5), 0, 1).astype(np.float32)
    colour = rng.uniform(40, 255, 3)
    return _between(share, colour * rng.uniform(0.3, 0.7), colour)


def tiles(rng: np.random.Generator, side: int = SIDE) -> RgbImage:
    """Return a wall or a floor of tiles with joints, each of a slightly other colour."""
    rows, columns = rng.integers(3, 10, 2).tolist()
    colour, joint = rng.uniform(60, 240, 3), rng.uniform(30, 230, 3)
    cells = np.clip(colour + rng.normal(0, 12, (rows, columns, 3)), 0, 255).astype(np.uint8)
    wall = np.asarray(cv2.resize(cells, (side, side), interpolation=cv2.INTER_NEAREST), dtype=np.uint8)
    thick = int(rng.integers(1, max(side // 64, 2) + 1))
    for count, axis in ((rows, 0), (columns, 1)):
        for place in np.rint(np.arange(1, count) * side / count).astype(int).tolist():
            cut = slice(place - thick // 2, place - thick // 2 + thick)
            wall[(cut, slice(None)) if axis == 0 else (slice(None), cut)] = joint
    return wall


GROUNDS = (clouds, paper, wood, cloth, tiles)


def ground(rng: np.random.Generator, side: int = SIDE) -> RgbImage:
    """Return one of them all."""
    return GROUNDS[int(rng.integers(len(GROUNDS)))](rng, side)


def _between(share: NDArray[np.float32], low: NDArray[np.float64], high: NDArray[np.float64]) -> RgbImage:
    """Return (H, W, 3) the colours from `low` (3,) to `high` (3,) by a share (H, W)."""
    colours = low + (high - low) * np.arange(256)[:, None] / 255  # (256, 3)
    table = np.clip(np.rint(colours), 0, 255).astype(np.uint8).reshape(256, 1, 3)
    picks = np.clip(np.rint(share * 255), 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(cv2.merge([picks] * 3), table), dtype=np.uint8)
