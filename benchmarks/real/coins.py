"""Old coins, photographed in grey from above: discs that are not quite round, with a relief, on a dark ground."""

import cv2
import numpy as np

from yolo_proc import Generator, Texture, circle, distractors, ellipse, line
from yolo_proc.drawing.textures import fractal

SIDE = 96


def coin(rng):
    """A picture with alpha (96, 96, 4): an uneven disc, its relief lit from one side."""
    angles = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    bumps = sum(rng.normal(0, 0.05 / k) * np.cos(k * angles + rng.uniform(0, 6.3)) for k in (2, 3, 4, 6))
    radius = 0.44 * SIDE * np.clip(1 + bumps, 0.8, 1.08)
    outline = np.stack([SIDE / 2 + radius * np.cos(angles), SIDE / 2 + radius * np.sin(angles)], axis=1)
    alpha = np.zeros((4 * SIDE, 4 * SIDE), np.uint8)
    cv2.fillPoly(alpha, [np.int32(outline * 4)], 255)
    alpha = cv2.resize(alpha, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    # Height: a rim, and a figure of smooth noise; light falls on its slopes.
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    away = np.hypot(x, y) / (0.44 * SIDE)
    figure = fractal(rng, SIDE, int(rng.integers(2, 6)), 0.6) > rng.uniform(0.4, 0.6)
    height = cv2.GaussianBlur(figure.astype(np.float32), (0, 0), 1.5)
    height = rng.uniform(2, 10) * height * (away < 0.8) + rng.uniform(0, 8) * np.exp(-(((away - 0.92) / 0.06) ** 2))
    height = height + rng.uniform(0, 6) * fractal(rng, SIDE, 8, 0.8)
    down, across = np.gradient(cv2.GaussianBlur(height.astype(np.float32), (0, 0), 0.8))
    turn = rng.uniform(0, 2 * np.pi)
    lit = rng.uniform(90, 190) + rng.uniform(20, 60) * (across * np.cos(turn) + down * np.sin(turn))
    lit -= rng.uniform(0, 40) * np.clip(away - 0.85, 0, 1) / 0.15 * (0.5 + 0.5 * np.cos(np.arctan2(y, x) - turn))
    grey = np.clip(lit, 5, 255).astype(np.uint8)
    return np.dstack([grey, grey, grey, alpha])


class Coins(Generator):
    classes = ("coin",)
    flip_x = flip_y = 0.5

    def draw(self, canvas, rng):
        dark = rng.uniform(5, 110)
        cells = np.clip(dark + rng.normal(0, 14, (5, 5, 1)), 0, 255).repeat(3, axis=2)
        canvas.background(Texture(cells.astype(np.uint8)))
        for _ in range(rng.integers(0, 5)):  # scratches, dirt, borders: no coins
            grey = np.full(3, rng.integers(0, 200))
            x, y, r = rng.uniform(0, 1), rng.uniform(0, 1), rng.uniform(0.003, 0.02)
            canvas.draw(ellipse(x, y, r, r * rng.uniform(0.3, 1)), grey)
            if rng.random() < 0.3:
                canvas.draw(line(x, y, *rng.uniform(0, 1, 2), rng.uniform(0.002, 0.03)), grey)
        if rng.random() < 0.3:
            distractors(canvas, rng, 3)
        size = rng.uniform(0.1, 0.3)
        taken = []
        for _ in range(rng.integers(0, 16)):
            side = size * rng.uniform(0.75, 1.35)
            x, y = rng.uniform(-0.02, 1.02 - side, 2) * (canvas.width, canvas.height)
            if any(abs(x - a) < 0.9 * max(side, s) and abs(y - b) < 0.9 * max(side, s) for a, b, s in taken):
                continue
            taken.append((x, y, side))
            if rng.random() < 0.3:  # its shadow
                canvas.draw(circle(x + side * 0.53, y + side * 0.53, side * 0.45), (0, 0, 0), opacity=0.4)
            canvas.paste(coin(rng), (x, y, x + side, y + side), "coin")
