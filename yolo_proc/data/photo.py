"""What light, a lens, a sensor and a file do to a rendered picture. None of it moves a box by as much as a pixel.

Each takes uint8 RGB (H, W, 3), how strong it may be, and the chance that it draws from, and gives a new array. They are
models of what a camera does, in the order of light's way through it; see `augment.py` for when they act.
"""

import math
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from yolo_proc.boxes import RgbImage
from yolo_proc.data.pixels import compress, normal_noise

_LEVELS = np.arange(256, dtype=np.float64)
_GAMMA = 2.2  # of the screen for which a picture's levels are made; light adds up in its 2.2th power
_COARSE = 17  # points each way at which a light is computed, before it is stretched over the picture


def _looked_up(image: RgbImage, tables: NDArray[np.float64]) -> RgbImage:
    """Return a picture with its levels replaced: tables (256,) for all channels, or (256, 3)."""
    levels = np.clip(np.rint(tables), 0, 255).astype(np.uint8)
    table = levels if levels.ndim == 1 else levels.reshape(256, 1, 3)
    return np.asarray(cv2.LUT(image, table), dtype=np.uint8)


def _dimmed(image: RgbImage, shares: NDArray[np.uint8]) -> RgbImage:
    """Return a picture multiplied by shares in 255ths; in bytes, which takes a tenth of the time of floats."""
    return np.asarray(cv2.multiply(image, shares, scale=1 / 255), dtype=np.uint8)


# ------------------------------------------------------------------------------------------------------- light


def light(image: RgbImage, strength: float, draws: np.random.Generator) -> RgbImage:
    """Light that falls from one side, in a colour of its own, and a lens that is darker to its corners.

    Args:
        strength: the largest share by which a place is darker than the brightest, 0 to 1.
    """
    height, width = image.shape[:2]
    fall, corner = draws.uniform(0, strength, 2).tolist()
    angle = draws.uniform(0, 2 * math.pi)
    tints = 1 + draws.uniform(-0.3, 0.3, 3) * strength  # the far side against the near one
    x = np.linspace(-1, 1, _COARSE)[None]
    y = np.linspace(-1, 1, _COARSE)[:, None]
    side = (x * math.cos(angle) + y * math.sin(angle)) / (abs(math.cos(angle)) + abs(math.sin(angle)))  # -1 to 1
    share = (side + 1) / 2
    dark = (1 - fall * share) * (1 - corner * (x * x + y * y) / 2)
    field = dark[..., None] * (1 + share[..., None] * (tints - 1))
    brightest = float(field.max())
    levels = np.rint(field * (255 / brightest)).astype(np.uint8)
    whole = cv2.resize(levels, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.multiply(image, whole, scale=brightest / 255), dtype=np.uint8)


def exposure(image: RgbImage, strength: float, draws: np.random.Generator) -> RgbImage:
    """More or less light, in stops, and another gamma; what is brighter than white is cut off.

    Args:
        strength: the largest change each way, stops; a gamma of 1 +- a fourth of that.
    """
    stops, bend = draws.uniform(-strength, strength, 2).tolist()
    lit = np.minimum((_LEVELS / 255) ** _GAMMA * 2**stops, 1.0) ** (1 / _GAMMA)
    return _looked_up(image, 255 * lit ** (2 ** (bend / 4)))


def balance(image: RgbImage, strength: float, draws: np.random.Generator) -> RgbImage:
    """A white balance that is off: from blue to yellow, and from green to magenta.

    Args:
        strength: by what share red and blue differ from right at most.
    """
    warm, green = draws.uniform(-strength, strength, 2).tolist()
    gains = np.exp(np.array([warm, green / 2, -warm]))
    gains /= gains.max()
    return _looked_up(image, _LEVELS[:, None] * gains)


# -------------------------------------------------------------------------------------------------------- lens


def aberration(image: RgbImage, strength: float, draws: np.random.Generator) -> RgbImage:
    """Red and blue that are imaged a little larger or smaller than green.

    Args:
        strength: by how many pixels at the corners, at most.
    """
    height, width = image.shape[:2]
    reach = math.hypot(width, height) / 2
    channels = list(cv2.split(image))
    for channel, shift in zip((0, 2), draws.uniform(-strength, strength, 2).tolist(), strict=True):
        zoom = 1 + shift / reach
        matrix = np.array([[zoom, 0, (1 - zoom) * (width - 1) / 2], [0, zoom, (1 - zoom) * (height - 1) / 2]])
        channels[channel] = cv2.warpAffine(
            channels[channel], matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
    return np.asarray(cv2.merge(channels), dtype=np.uint8)


def defocus(image: RgbImage, strength: float, draws: np.random.Generator) -> RgbImage:
    """A lens that is out of focus: each point becomes a disc.

    Args:
        strength: the largest radius, pixels.
    """
    radius = draws.uniform(min(0.4, strength), strength)
    side = 2 * math.ceil(radius) + 1
    fine = np.zeros((side * 8, side * 8), np.float32)
    cv2.circle(fine, (side * 4, side * 4), max(round(radius * 8), 1), 1.0, -1)
    return _filtered(image, cv2.resize(fine, (side, side), interpolation=cv2.INTER_AREA))


def motion(image: RgbImage, strength: float, draws: np.random.Generator) -> RgbImage:
    """A camera that moved in a straight line while it looked.

    Args:
        strength: the longest way, pixels.
    """
    length, angle = draws.uniform(min(1.0, strength), strength), draws.uniform(0, math.pi)
    side = 2 * math.ceil(length / 2) + 1
    fine = np.zeros((side * 8, side * 8), np.float32)
    middle = side * 4
    ahead = (math.cos(angle) * length * 4, math.sin(angle) * length * 4)
    ends = [(round(middle + way * ahead[0]), round(middle + way * ahead[1])) for way in (-1, 1)]
    cv2.line(fine, ends[0], ends[1], 1.0, 8)
    return _filtered(image, cv2.resize(fine, (side, side), interpolation=cv2.INTER_AREA))


def _filtered(image: RgbImage, kernel: NDArray[np.float32]) -> RgbImage:
    weights = kernel / kernel.sum()
    return np.asarray(cv2.filter2D(image, -1, weights, borderType=cv2.BORDER_REFLECT), dtype=np.uint8)


# ------------------------------------------------------------------------------------------------------ sensor


def grain(image: RgbImage, strength: float, draws: np.random.Generator) -> RgbImage:
    """The noise of a sensor: that of counted photons, which grows with the light, and that of its reading.

    Args:
        strength: the largest deviation at middle grey, levels.
    """
    deviation = draws.uniform(min(1.0, strength), strength)
    share = draws.uniform(0.2, 0.8)  # of the variance at middle grey that is read noise
    levels = deviation * np.sqrt(share + (1 - share) * _LEVELS / 128)
    # In sixteen bits, which takes a third of the time of floats: noise in 64ths, the deviation in 16ths of a level.
    scale = cv2.LUT(image, np.minimum(np.rint(16 * levels), 2047).astype(np.int16))
    noise = cv2.multiply(normal_noise(image.shape, draws.bit_generator), scale, scale=1 / 1024)
    return np.asarray(cv2.add(image, noise, dtype=cv2.CV_8U), dtype=np.uint8)


def mosaic(image: RgbImage, _strength: float, draws: np.random.Generator) -> RgbImage:
    """A sensor that sees one colour a pixel, and guesses the others from its neighbours (a Bayer pattern)."""
    rows, columns = draws.integers(0, 2, 2).tolist()
    height, width = image.shape[:2]
    padded = cv2.copyMakeBorder(image, 2 + rows, 2, 2 + columns, 2, cv2.BORDER_REFLECT)
    red, seen, blue = cv2.split(padded)
    seen[0::2, 0::2] = red[0::2, 0::2]
    seen[1::2, 1::2] = blue[1::2, 1::2]
    whole = cv2.cvtColor(seen, cv2.COLOR_BAYER_RGGB2RGB)
    return np.ascontiguousarray(whole[2 + rows : 2 + rows + height, 2 + columns : 2 + columns + width])


def sharpen(image: RgbImage, strength: float, draws: np.random.Generator) -> RgbImage:
    """Edges that a camera makes steeper than they are, with their halos.

    Args:
        strength: how much of what a blur takes away is added, at most.
    """
    amount = draws.uniform(0.2 * strength, strength)
    soft = cv2.GaussianBlur(image, (0, 0), draws.uniform(0.6, 1.4))
    return np.asarray(cv2.addWeighted(image, 1 + amount, soft, -amount, 0), dtype=np.uint8)


def moire(image: RgbImage, strength: float, draws: np.random.Generator) -> RgbImage:
    """The pattern that the grid of a screen, or the raster of a print, makes with the grid of a sensor.

    Args:
        strength: its largest amplitude, as a share of the brightness.
    """
    height, width = image.shape[:2]
    period, angle = draws.uniform(3, 24), draws.uniform(0, math.pi)
    # A whole turn has 256 steps, so that bytes wrap around as the pattern does.
    across = np.rint(np.arange(width) * (256 / period * math.cos(angle))).astype(np.int64).astype(np.uint8)
    down = np.rint(np.arange(height) * (256 / period * math.sin(angle))).astype(np.int64).astype(np.uint8)
    turn = across[None] + down[:, None]
    phases = draws.uniform(0, 2 * math.pi, 3)  # the colours lie side by side on a screen
    amplitude = draws.uniform(strength / 4, strength)
    wave = 1 - amplitude / 2 + amplitude / 2 * np.sin(2 * math.pi / 256 * _LEVELS[:, None] + phases)  # (256, 3)
    return _dimmed(image, _looked_up(cv2.merge([turn] * 3), 255 * wave))


def banding(image: RgbImage, strength: float, draws: np.random.Generator) -> RgbImage:
    """Stripes of a lamp that flickers while the rows are read one after another.

    Args:
        strength: their largest amplitude, as a share of the brightness.
    """
    height, width = image.shape[:2]
    cycles, phase = draws.uniform(1, 12), draws.uniform(0, 2 * math.pi)
    amplitude = draws.uniform(strength / 4, strength)
    rows = np.linspace(0, 2 * math.pi * cycles, height, dtype=np.float32) + phase
    levels = np.rint(255 * (1 - amplitude / 2 + amplitude / 2 * np.sin(rows))).astype(np.uint8)
    return _dimmed(image, np.repeat(levels, 3 * width).reshape(image.shape))


# -------------------------------------------------------------------------------------------------------- file

_ENLARGED = (cv2.INTER_NEAREST_EXACT, cv2.INTER_LINEAR, cv2.INTER_CUBIC)


def resample(image: RgbImage, strength: float, draws: np.random.Generator) -> RgbImage:
    """A picture that was stored smaller, and enlarged again.

    Args:
        strength: the smallest size, as a share of the side.
    """
    height, width = image.shape[:2]
    share = draws.uniform(strength, 1)
    size = (max(round(width * share), 1), max(round(height * share), 1))
    way = _ENLARGED[int(draws.integers(len(_ENLARGED)))]
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height), interpolation=way), dtype=np.uint8)


def recompress(image: RgbImage, strength: float, draws: np.random.Generator) -> RgbImage:
    """JPEG once more, with its blocks at another place.

    Args:
        strength: the lowest quality, 1 to 95.
    """
    rows, columns = draws.integers(0, 8, 2).tolist()
    quality = int(draws.integers(int(strength), 96))
    height, width = image.shape[:2]
    moved = cv2.copyMakeBorder(image, rows, 0, columns, 0, cv2.BORDER_REPLICATE)
    stored = compress(np.asarray(moved, dtype=np.uint8), quality)
    return np.ascontiguousarray(stored[rows : rows + height, columns : columns + width])


PARTS: dict[str, Callable[[RgbImage, float, np.random.Generator], RgbImage]] = {
    "light": light,
    "exposure": exposure,
    "balance": balance,
    "aberration": aberration,
    "defocus": defocus,
    "motion": motion,
    "grain": grain,
    "mosaic": mosaic,
    "sharpen": sharpen,
    "moire": moire,
    "banding": banding,
    "resample": resample,
    "recompress": recompress,
}
