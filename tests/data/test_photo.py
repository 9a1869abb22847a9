"""What light, a lens, a sensor and a file do to a picture: nothing at no strength, and never moving it."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from yolo_proc.boxes import RgbImage
from yolo_proc.config.cameras import CAMERAS, camera_value
from yolo_proc.config.cameras import PARTS as VALUES
from yolo_proc.config.schema import AugmentConfig
from yolo_proc.data import photo
from yolo_proc.data.augment import Augmenter
from yolo_proc.data.stream import Stream
from yolo_proc.drawing.view import MOST_LENS

STRONG = {
    "light": 0.8,
    "exposure": 1.0,
    "balance": 0.3,
    "aberration": 2.0,
    "defocus": 3.0,
    "motion": 9.0,
    "grain": 20.0,
    "mosaic": 1.0,
    "sharpen": 1.5,
    "moire": 0.4,
    "banding": 0.5,
    "resample": 0.4,
    "recompress": 20.0,
}
_AT_ZERO = ("light", "exposure", "balance", "aberration", "sharpen", "moire", "banding")
AS_IT_WAS = {**dict.fromkeys(_AT_ZERO, 0.0), "resample": 1.0}


def draws(seed: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.SFC64(seed))


def texture(side: int = 96) -> RgbImage:
    """Smooth noise: every place is unlike its neighbours."""
    coarse = np.random.default_rng(0).integers(40, 216, (side // 6, side // 6, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def shift_of(image: RgbImage, changed: RgbImage) -> NDArray[np.float64]:
    """(2,) by how many pixels a picture was moved: the least-squares fit of brightness, contrast and slopes."""
    soft, other = (cv2.GaussianBlur(one.mean(axis=2), (0, 0), 2.0)[8:-8, 8:-8] for one in (image, changed))
    down, across = np.gradient(soft)
    terms = np.stack([np.ones(soft.size), soft.ravel(), across.ravel(), down.ravel()], axis=1)
    fit = np.linalg.lstsq(terms, other.ravel(), rcond=None)[0]
    return np.asarray(-fit[2:] / fit[1])


def test_there_is_a_strength_for_each_part() -> None:
    assert set(STRONG) == set(photo.PARTS)
    assert {*photo.PARTS, "tilt", "lens"} == {name.removesuffix("_p") for name in VALUES}


@pytest.mark.parametrize("part", AS_IT_WAS)
def test_without_strength_a_picture_stays_as_it_was(part: str) -> None:
    for seed in range(5):
        changed = photo.PARTS[part](texture(), AS_IT_WAS[part], draws(seed))
        assert np.abs(changed.astype(int) - texture()).max() <= 1


# The others change each pixel by itself.
@pytest.mark.parametrize(
    "part", ["aberration", "defocus", "motion", "grain", "mosaic", "sharpen", "resample", "recompress"]
)
def test_no_part_moves_the_picture(part: str) -> None:
    for seed in range(12):
        changed = photo.PARTS[part](texture(240), STRONG[part], draws(seed))
        assert np.abs(shift_of(texture(240), changed)).max() < 0.3, seed
    moved = np.roll(texture(240), (1, -2), axis=(0, 1))
    assert shift_of(texture(240), moved) == pytest.approx((-2, 1), abs=0.4)


@pytest.mark.parametrize("part", photo.PARTS)
@pytest.mark.parametrize("size", [(1, 1), (7, 3), (64, 33)])
def test_pictures_of_any_size(part: str, size: tuple[int, int]) -> None:
    for level in (0, 255):
        image = np.full((*size, 3), level, np.uint8)
        image.setflags(write=False)
        one, other = (photo.PARTS[part](image, STRONG[part], draws()) for _ in range(2))
        assert (one.shape, one.dtype) == (image.shape, np.uint8)
        assert one.flags.c_contiguous
        np.testing.assert_array_equal(one, other)


def test_grain_grows_with_the_light() -> None:
    ramp = np.repeat(np.array([10, 128, 240], np.uint8), 20000).reshape(3, -1, 1).repeat(3, axis=2)
    spreads = []
    for seed in range(10):
        noise = photo.grain(ramp, 8.0, draws(seed)).astype(float) - ramp
        assert np.abs(noise.mean(axis=(1, 2))).max() < 0.6
        spreads.append(noise.std(axis=(1, 2)))
        assert spreads[-1][1] < 8.5
    assert (np.diff(np.mean(spreads, axis=0)) > 0.2).all()


def test_light_is_brightest_on_one_side_and_never_brightens_grey_by_much() -> None:
    plain = np.full((64, 64, 3), 128, np.uint8)
    for seed in range(20):
        lit = photo.light(plain, 0.6, draws(seed))
        assert lit.max() <= 128 * 1.19
        assert lit.min() >= 128 * 0.4 * 0.4 * 0.8
        assert lit.std() > 0.5


def test_motion_smears_along_a_line_and_keeps_the_sum() -> None:
    point = np.zeros((41, 41, 3), np.uint8)
    point[20, 20] = 255
    for seed in range(10):
        smeared = photo.motion(point, 11.0, draws(seed))[..., 0]
        assert int(smeared.sum()) == pytest.approx(255, abs=12)
        ys, xs = np.nonzero(smeared)
        assert np.hypot(ys - 20, xs - 20).max() <= 11 / 2 + 1.5


def test_the_mosaic_is_a_bayer_pattern() -> None:
    image = texture()
    assert np.array_equal(photo.mosaic(np.full_like(image, 77), 1.0, draws()), np.full_like(image, 77))
    sharp = np.indices((64, 64)).sum(axis=0) % 2
    board = np.where(sharp[..., None] == 0, 255, 0).astype(np.uint8).repeat(3, axis=2)
    coloured = photo.mosaic(board, 1.0, draws())
    assert np.ptp(coloured[8:-8, 8:-8].astype(int), axis=2).max() > 100  # colours that were not there


@pytest.mark.parametrize("camera", CAMERAS)
def test_cameras_know_their_parts_and_are_drawn(camera: str) -> None:
    assert set(CAMERAS[camera]) <= set(VALUES)
    assert CAMERAS[camera].get("lens", 0) <= MOST_LENS
    for name, value in CAMERAS[camera].items():
        assert not name.endswith("_p") or 0 < value <= 1
        AugmentConfig(**{name: value})  # type: ignore[arg-type]
    stream = Stream("shapes", 3, "train", image_size=64, augment=AugmentConfig(camera=camera))
    again = Stream("shapes", 3, "train", image_size=64, augment=AugmentConfig(camera=camera))
    for index in range(12):
        scene = stream[index]
        assert np.array_equal(scene.image, again[index].image)
        assert scene.image.shape == (64, 64, 3)


def test_what_is_given_is_stronger_than_the_camera() -> None:
    assert camera_value("grain_p", None, "none") == 0
    assert camera_value("grain_p", None, "cctv") == CAMERAS["cctv"]["grain_p"]
    assert camera_value("grain_p", 0.0, "cctv") == 0
    assert camera_value("moire", None, "cctv") == VALUES["moire"]
    quiet = AugmentConfig(camera="cctv", **{name: 0.0 for name in VALUES if name.endswith("_p")})  # type: ignore[arg-type]
    plans = [Augmenter(quiet, 0, "train").plan(index, 64) for index in range(50)]
    assert not any(plan.parts() & {*photo.PARTS, "tilt", "lens"} for plan in plans)


def test_a_camera_changes_no_other_part() -> None:
    plain, seen = (Augmenter(AugmentConfig(camera=camera), 5, "train") for camera in ("none", "phone"))
    for index in range(60):
        one, other = plain.plan(index, 64), seen.plan(index, 64)
        assert other.parts() - {*photo.PARTS, "tilt", "lens"} == one.parts()
        assert (one.translate, one.scale, one.rotate, one.width) == (
            other.translate,
            other.scale,
            other.rotate,
            other.width,
        )
        assert set(one.pixels) <= set(other.pixels)
