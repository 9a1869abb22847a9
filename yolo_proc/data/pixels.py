"""Changes of a rendered picture: colour, hue, blur, noise, JPEG. None of them moves a box.

Each is one or two calls of OpenCV on uint8 RGB (H, W, 3) and gives a new array. What is drawn at random is drawn by
the caller's generator; see `augment.py`.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from yolo_proc.boxes import FloatArray, RgbImage

_LEVELS = np.arange(256, dtype=np.float64)


def change_colour(image: RgbImage, contrast: float, brightness: float) -> RgbImage:
    """Return level * (1 + contrast) + 255 * brightness of each value, saturating."""
    table = np.clip(np.rint(_LEVELS * (1 + contrast) + 255 * brightness), 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(image, table), dtype=np.uint8)


def change_hue(image: RgbImage, degrees: float, saturation: float) -> RgbImage:
    """Return a picture with its hue turned, and its saturation moved by a share of the range; grey stays grey."""
    hue, chroma, value = cv2.split(cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL))
    turned = np.mod(np.rint(_LEVELS + degrees * 256 / 360), 256).astype(np.uint8)
    moved = np.clip(np.rint(_LEVELS + 255 * saturation), 0, 255).astype(np.uint8)
    moved[0] = 0  # grey has no hue: with a saturation it would turn red
    merged = cv2.merge((cv2.LUT(hue, turned), cv2.LUT(chroma, moved), value))
    return np.asarray(cv2.cvtColor(merged, cv2.COLOR_HSV2RGB_FULL), dtype=np.uint8)


def blur(image: RgbImage, deviation: float) -> RgbImage:
    """Return a picture under a Gaussian of this deviation in pixels; the picture is mirrored at its border."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), deviation), dtype=np.uint8)


def compress(image: RgbImage, quality: int) -> RgbImage:
    """Return a picture as JPEG of this quality, 1 to 95, leaves it."""
    # JPEG weighs red and blue differently, and OpenCV's encoder expects BGR.
    _, stored = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.cvtColor(cv2.imdecode(stored, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB), dtype=np.uint8)


# The middle of each of 256 equal shares of the standard normal distribution, by bisection of its integral;
# scaled so that the deviation is exactly 1.
def _normal_table() -> FloatArray:
    shares = (np.arange(256) + 0.5) / 256
    low, high = np.full(256, -4.0), np.full(256, 4.0)
    for _ in range(60):
        middle = (low + high) / 2
        below = np.array([0.5 * (1 + math.erf(value / math.sqrt(2))) for value in middle]) < shares
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    table = (low + high) / 2
    return np.asarray(table / table.std())


_NORMAL = _normal_table()


def _random_bytes(shape: tuple[int, ...], bits: np.random.BitGenerator) -> NDArray[np.uint8]:
    size = math.prod(shape)
    words = bits.random_raw((size + 7) // 8)  # (ceil(H * W * 3 / 8),) uint64
    return words.view(np.uint8)[:size].reshape(shape)


def normal_noise(shape: tuple[int, ...], bits: np.random.BitGenerator) -> NDArray[np.int16]:
    """Return values of the normal distribution, int16 in 64ths of its deviation; see `add_noise`."""
    return np.asarray(cv2.LUT(_random_bytes(shape, bits), np.rint(64 * _NORMAL).astype(np.int16)), dtype=np.int16)


def add_noise(image: RgbImage, deviation: float, bits: np.random.BitGenerator) -> RgbImage:
    """Return gaussian noise on a picture (H, W, 3) uint8 RGB, independent in each pixel and channel, saturating.

    A random byte picks one of 256 equally likely values of the normal distribution. Drawing them as floats costs
    several times a JPEG decode.

    Args:
        deviation: standard deviation in grey levels, up to 44; beyond that the table's ends saturate.
    """
    picks = _random_bytes(image.shape, bits)
    table = np.clip(np.rint(128 + deviation * _NORMAL), 0, 255).astype(np.uint8)
    noise = cv2.LUT(picks, table)
    return np.asarray(cv2.addWeighted(image, 1.0, noise, 1.0, -128.0), dtype=np.uint8)
