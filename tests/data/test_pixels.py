"""Changes of pixels, compared with albumentations, with colorsys and with their formulas."""

import colorsys

import cv2
import numpy as np
import pytest

from yolo_proc.data.pixels import add_noise, blur, change_colour, change_hue, compress
from yolo_proc.data.transforms import import_albumentations


def picture(height=40, width=56):
    """Smooth colours, none near black or white."""
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([60 + 2 * columns, 80 + 2 * rows, 150 - columns], axis=-1).astype(np.uint8)


@pytest.mark.slow
@pytest.mark.parametrize(("contrast", "brightness"), [(0.15, -0.1), (-0.15, 0.1), (0.0, 0.3), (0.0, 0.0)])
def test_colour_is_that_of_albumentations(contrast, brightness):
    module = import_albumentations()
    transform = module.RandomBrightnessContrast((brightness, brightness), (contrast, contrast), p=1)
    expected = transform(image=picture())["image"].astype(int)
    assert np.abs(change_colour(picture(), contrast, brightness).astype(int) - expected).max() <= 1  # it truncates


def test_colour_saturates():
    assert change_colour(np.full((2, 2, 3), 200, np.uint8), 1.0, 0.0).min() == 255
    assert change_colour(np.full((2, 2, 3), 20, np.uint8), 0.0, -0.5).max() == 0


@pytest.mark.parametrize(("degrees", "saturation"), [(12.0, 0.0), (-180.0, 0.0), (0.0, 0.1), (-12.0, -0.1)])
def test_hue_is_that_of_colorsys(degrees, saturation):
    found = change_hue(picture(), degrees, saturation)
    for row, column in [(0, 0), (20, 38), (39, 55), (5, 50)]:
        hue, chroma, value = colorsys.rgb_to_hsv(*(picture()[row, column] / 255))
        moved = colorsys.hsv_to_rgb((hue + degrees / 360) % 1, min(max(chroma + saturation, 0), 1), value)
        assert np.abs(found[row, column] / 255 - moved).max() < 0.02


def test_grey_stays_grey():
    grey = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=2)
    assert np.array_equal(change_hue(grey, 50, 0.3), grey)


@pytest.mark.parametrize("deviation", [0.7, 1.0, 2.5])
def test_blur_has_its_deviation(deviation):
    step = np.zeros((9, 81, 3), np.uint8)
    step[:, 40:] = 200
    edge = np.diff(blur(step, deviation)[4, :, 0].astype(float)) / 200
    place = np.arange(len(edge))
    mean = (edge * place).sum()
    assert np.sqrt((edge * (place - mean) ** 2).sum()) == pytest.approx(deviation, abs=0.12)


def test_compression_is_jpeg_of_rgb():
    image = np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8)
    stored = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 60])[1]
    assert np.array_equal(compress(image, 60), cv2.imdecode(stored, cv2.IMREAD_COLOR)[..., ::-1])


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 7, 3), (3, 1, 3)])
def test_the_smallest_pictures(shape):
    image = np.full(shape, 77, np.uint8)
    for changed in (change_colour(image, 0.1, 0.1), change_hue(image, 9, 0.1), blur(image, 1.0), compress(image, 50)):
        assert changed.shape == shape
        assert changed.dtype == np.uint8
    assert image.min() == image.max() == 77


def test_noise_is_normal_and_independent():
    image = np.full((200, 200, 3), 128, dtype=np.uint8)
    noise = add_noise(image, 12.0, np.random.SFC64(1)).astype(float) - 128
    assert abs(noise.mean()) < 0.15
    assert abs(noise.std() - 12) < 0.2
    flat = np.sort(noise.ravel())
    for share, deviations in [(0.1587, -1), (0.5, 0), (0.8413, 1), (0.9772, 2)]:
        assert abs(flat[int(share * len(flat))] - 12 * deviations) <= 1
    for moved in (noise[1:] * noise[:-1], noise[:, 1:] * noise[:, :-1], noise[..., 1:] * noise[..., :-1]):
        assert abs(moved.mean()) < 0.03 * 144


@pytest.mark.parametrize("shape", [(1, 1, 3), (5, 7, 3), (2, 4, 3)])  # sizes that are no multiple of 8 bytes too
def test_noise_saturates(shape):
    for level in (0, 5, 250, 255):
        image = np.full(shape, level, dtype=np.uint8)
        got = add_noise(image, 40.0, np.random.SFC64(2)).astype(int)
        free = add_noise(np.full(shape, 128, dtype=np.uint8), 40.0, np.random.SFC64(2)).astype(int) - 128
        assert np.array_equal(got, np.clip(level + free, 0, 255))


def test_noise_of_no_strength_is_none():
    image = picture()
    assert np.array_equal(add_noise(image, 0.0, np.random.SFC64(3)), image)
