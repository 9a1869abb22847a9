import dataclasses
import math
import subprocess
import sys

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from yolo_proc.config.schema import AugmentConfig
from yolo_proc.data import augment
from yolo_proc.data.augment import GEOMETRY, PIXELS, Augmenter, Plan
from yolo_proc.rng import Addresses, rng_for

OFF = AugmentConfig(**{f"{part}_p": 0.0 for part in (*GEOMETRY[2:], *PIXELS)})
EVERYTHING = dataclasses.replace(
    AugmentConfig(flip_x=0.5, flip_y=0.5), **{f"{part}_p": 0.5 for part in (*GEOMETRY[2:], *PIXELS)}
)


def only(**options):
    return dataclasses.replace(OFF, **options)


def picture(height=40, width=56):
    """Smooth colours, none near black or white: JPEG and blur change them little."""
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([60 + 2 * columns, 80 + 2 * rows, 150 - columns], axis=-1).astype(np.uint8)


def test_addresses_give_the_draws_of_rng_for():
    addresses = Addresses(7, "train")
    for index, op in [(0, "draw"), (2**64 - 1, "blur"), (3, "draw"), (3, "draw")]:
        addresses.at(1, "left behind").integers(0, 9, 3, dtype=np.uint32)  # half a word is still in the buffer
        expected = rng_for(7, "train", index, op)
        got = addresses.at(index, op)
        assert got.integers(0, 99, 3, dtype=np.uint32).tolist() == expected.integers(0, 99, 3, dtype=np.uint32).tolist()
        assert got.random(9).tolist() == expected.random(9).tolist()


# ---------------------------------------------------------------------------------------------------------------
# Plans


def test_default_shares():
    augmenter = Augmenter(AugmentConfig(), 0, "train")
    plans = [augmenter.plan(index, 256) for index in range(4000)]
    shares = {part: sum(part in plan.parts() for plan in plans) / len(plans) for part in (*GEOMETRY, *PIXELS)}
    assert min(shares["translate"], shares["scale"], shares["colour"]) >= 0.5
    assert min(shares["blur"], shares["noise"], shares["compression"]) >= 0.1
    assert abs(shares["letterbox"] - 0.2) < 0.03
    assert shares["flip_x"] == shares["flip_y"] == 0
    assert max(shares.values()) < 0.7  # and many scenes lack any one of them


def test_parts_are_independent_of_each_other():
    augmenter = Augmenter(EVERYTHING, 0, "train")
    acts = np.array(
        [[part in augmenter.plan(index, 256).parts() for part in (*GEOMETRY, *PIXELS)] for index in range(500)]
    )
    correlation = np.corrcoef(acts.T) - np.eye(acts.shape[1])
    assert np.abs(correlation).max() < 0.2


@pytest.mark.parametrize("part", [*GEOMETRY, *PIXELS])
def test_switching_a_part_off_leaves_the_others(part):
    without = dataclasses.replace(EVERYTHING, **{part if part.startswith("flip") else f"{part}_p": 0.0})
    full, less = Augmenter(EVERYTHING, 3, "train"), Augmenter(without, 3, "train")
    seen = set()
    for index in range(40):
        one, two = full.plan(index, 256), less.plan(index, 256)
        seen |= one.parts()
        assert part not in two.parts()
        assert dict(two.pixels) == {name: seed for name, seed in one.pixels if name != part}
        for name in ("flip_x", "flip_y", "translate", "scale", "rotate", "shear", "width", "height"):
            if name != part and not (part == "letterbox" and name in ("width", "height")):
                assert getattr(one, name) == getattr(two, name), name
    assert part in seen


def test_plans_depend_on_the_address_only():
    one, two = Augmenter(EVERYTHING, 3, "train"), Augmenter(EVERYTHING, 3, "train")
    forwards = [one.plan(index, 256) for index in range(20)]
    assert [two.plan(index, 256) for index in reversed(range(20))] == forwards[::-1]
    assert [Augmenter(EVERYTHING, 4, "train").plan(index, 256) for index in range(20)] != forwards
    assert [Augmenter(EVERYTHING, 3, "test").plan(index, 256) for index in range(20)] != forwards


def test_disabled_is_nothing_at_all():
    augmenter = Augmenter(dataclasses.replace(EVERYTHING, enabled=False), 0, "train", flip_x=1)
    assert all(augmenter.plan(index, 96) == Plan(96, 96) for index in range(50))
    assert Plan(96, 96).matrix() is None


def test_none_leaves_flips_to_the_generator():
    plans = [Augmenter(OFF, 0, "train", flip_x=0.5).plan(index, 96) for index in range(200)]
    assert 70 < sum(plan.flip_x for plan in plans) < 130
    assert not any(plan.flip_y for plan in plans)
    forced = Augmenter(only(flip_x=0.0, flip_y=1.0), 0, "train", flip_x=0.5)
    assert not any(forced.plan(index, 96).flip_x for index in range(50))
    assert all(forced.plan(index, 96).flip_y for index in range(50))


def test_values_stay_in_their_ranges_and_fill_them():
    augmenter = Augmenter(only(translate_p=1, scale_p=1, rotate_p=1, shear_p=1), 0, "train")
    plans = [augmenter.plan(index, 96) for index in range(400)]
    limits = AugmentConfig()
    for name, limit in [("translate", limits.translate), ("shear", limits.shear), ("rotate", limits.rotate)]:
        values = np.array([getattr(plan, name) for plan in plans])
        assert np.abs(values).max() <= limit
        assert values.min(axis=0).max() < -0.9 * limit
        assert values.max(axis=0).min() > 0.9 * limit
    scales = np.log([plan.scale for plan in plans]) / math.log(limits.scale)
    assert scales.min() >= -1
    assert scales.max() <= 1
    assert abs(scales.mean()) < 0.1


def test_letterboxed_sizes():
    config = only(letterbox_p=1, letterbox_size=(0.75, 1.125))
    sizes = np.array(
        [(plan.width, plan.height) for plan in (Augmenter(config, 0, "t").plan(i, 256) for i in range(400))]
    )
    longer, shorter = sizes.max(axis=1), sizes.min(axis=1)
    assert sorted(set(longer.tolist())) == [192, 224, 256, 288]
    assert (longer / shorter).max() <= 1.78 * 1.04
    assert (longer / shorter).max() > 1.6
    assert 100 < (sizes[:, 0] < sizes[:, 1]).sum() < 300
    plan = Augmenter(config, 0, "train").plan(0, 256, picture_size=(64, 32))
    assert (plan.width, plan.height, plan.letterboxed) == (64, 32, False)
    tiny = Augmenter(only(letterbox_p=1, letterbox_aspect=10, letterbox_size=(0.125, 0.125)), 0, "train")
    assert min(min(tiny.plan(index, 9).width, tiny.plan(index, 9).height) for index in range(50)) >= 1


@given(
    st.booleans(),
    st.booleans(),
    st.tuples(st.floats(-1, 1), st.floats(-1, 1)),
    st.floats(0.2, 5),
    st.floats(-180, 180),
    st.tuples(st.floats(-0.9, 0.9), st.floats(-0.9, 0.9)),
    st.sampled_from([(100, 100), (200, 100), (90, 120)]),
)
def test_matrix_is_the_product_of_its_parts(flip_x, flip_y, translate, scale, rotate, shear, size):
    plan = Plan(*size, False, flip_x, flip_y, translate, scale, rotate, shear)
    x, y = size[0] / min(size) / 2, size[1] / min(size) / 2
    turn = math.radians(rotate)
    steps = [
        [[1, 0, -x], [0, 1, -y], [0, 0, 1]],
        [[-1 if flip_x else 1, 0, 0], [0, -1 if flip_y else 1, 0], [0, 0, 1]],
        [[scale, 0, 0], [0, scale, 0], [0, 0, 1]],
        [[1, shear[0], 0], [shear[1], 1, 0], [0, 0, 1]],
        [[math.cos(turn), -math.sin(turn), 0], [math.sin(turn), math.cos(turn), 0], [0, 0, 1]],
        [[1, 0, x + translate[0]], [0, 1, y + translate[1]], [0, 0, 1]],
    ]
    product = np.eye(3)
    for step in steps:
        product = np.array(step) @ product
    matrix = plan.matrix()
    assert np.allclose(np.eye(3) if matrix is None else matrix, product, atol=1e-9)
    rigid = Plan(*size, False, flip_x, flip_y, translate, scale).matrix()
    loose = plan.matrix(loose=True)
    assert (loose is None and rigid is None) or np.array_equal(loose, rigid)
    assert not plan.parts(loose=True) & {"rotate", "shear"}


def test_a_tilt_leaves_the_middle_where_it_is_and_brings_one_side_nearer() -> None:
    plan = Plan(160, 80, tilt=(30.0, 0.0), lens=0.1)
    matrix = plan.matrix()
    assert matrix is not None

    def seen(x: float, y: float) -> NDArray[np.float64]:
        moved = matrix @ (x, y, 1)
        return np.asarray(moved[:2] / moved[2])

    assert seen(1, 0.5) == pytest.approx((1, 0.5))
    zoom = (seen(1, 0.501) - seen(1, 0.499))[1] / 0.002
    assert zoom == pytest.approx(1)
    left, right = (np.linalg.norm(seen(x, 1) - seen(x, 0)) for x in (0, 2))
    assert right < 0.95 < 1.1 < left
    camera = plan.camera()
    assert camera is not None
    assert camera.lens == 0.1
    assert plan.camera(loose=True) is None
    assert plan.parts() == {"tilt", "lens"}
    only_lens = Plan(96, 96, lens=-0.2).camera()
    assert only_lens is not None
    assert (only_lens.matrix, only_lens.lens) == (None, -0.2)


def test_the_strongest_tilt_keeps_the_frame_before_the_camera() -> None:
    for sides in ((100, 100), (1000, 100), (100, 1000)):
        matrix = Plan(*sides, tilt=(45.0, 45.0)).matrix()
        assert matrix is not None
        back = np.linalg.inv(matrix)
        width, height = (side / 100 for side in sides)
        for corner in ((0, 0), (width, 0), (0, height), (width, height)):
            x, y, depth = back @ (*corner, 1)
            assert matrix[2] @ (x / depth, y / depth, 1) > 0.05


# ---------------------------------------------------------------------------------------------------------------
# Pixels


@pytest.mark.parametrize("part", PIXELS)
def test_each_part_changes_pixels_and_not_its_input(part):
    augmenter = Augmenter(AugmentConfig(), 0, "train")
    image = picture()
    changed = augmenter.change_pixels(image, Plan(56, 40, pixels=((part, 5),)))
    assert changed.shape == image.shape
    assert changed.dtype == np.uint8
    assert np.array_equal(image, picture())
    difference = np.abs(changed.astype(int) - image)
    assert difference.max() > 0
    assert difference.mean() < 60  # it is still that picture


def test_pixels_depend_on_the_seed_only():
    config = AugmentConfig()
    plans = [Plan(56, 40, pixels=tuple((part, seed) for part in PIXELS)) for seed in range(6)]
    one, two = Augmenter(config, 0, "train"), Augmenter(config, 0, "train")
    forwards = [one.change_pixels(picture(), plan) for plan in plans]
    backwards = [two.change_pixels(picture(), plan) for plan in reversed(plans)][::-1]
    for index, (a, b) in enumerate(zip(forwards, backwards, strict=True)):
        assert np.array_equal(a, b)
        assert not any(np.array_equal(a, other) for other in forwards[:index])


def test_nothing_planned_changes_nothing():
    image = picture()
    assert Augmenter(AugmentConfig(), 0, "train").change_pixels(image, Plan(56, 40)) is image


def test_compression_is_jpeg_of_rgb():
    config = only(compression_p=1, compression=95)  # one quality only
    image = np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8)
    got = Augmenter(config, 0, "train").change_pixels(image, Plan(56, 40, pixels=(("compression", 1),)))
    stored = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
    assert np.array_equal(got, cv2.imdecode(stored, cv2.IMREAD_COLOR)[..., ::-1])


def test_the_default_changes_need_neither_torch_nor_albumentations():
    code = """
import sys, numpy as np
from yolo_proc.data.augment import *
image = np.zeros((8, 8, 3), dtype=np.uint8)
augmenter = Augmenter(AugmentConfig(), 0, "train")
augmenter.change_pixels(image, Plan(8, 8, pixels=tuple((part, 1) for part in PIXELS)))
assert not {"torch", "albumentations"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize(("part", "changes"), [("blur", {"blur": 0.0}), ("noise", {"noise": 0.0})])
def test_a_change_of_no_strength_changes_nothing(part, changes):
    augmenter = Augmenter(dataclasses.replace(AugmentConfig(), **changes), 0, "train")
    assert np.array_equal(augmenter.change_pixels(picture(), Plan(56, 40, pixels=((part, 1),))), picture())


@pytest.mark.parametrize(
    ("part", "name", "low", "high"),
    [("blur", "blur", 0.3, 1.0), ("compression", "compress", 40, 90), ("colour", "change_colour", -0.15, 0.15)],
)
def test_strengths_fill_their_range(part, name, low, high, monkeypatch):
    drawn = []
    monkeypatch.setattr(augment, name, lambda image, *values: drawn.append(values) or image)
    augmenter = Augmenter(AugmentConfig(), 0, "train")
    for seed in range(300):
        augmenter.change_pixels(picture(), Plan(56, 40, pixels=((part, seed),)))
    values = np.array(drawn)
    assert low <= values.min() < low + 0.05 * (high - low)
    assert high >= values.max() > high - 0.05 * (high - low)
    if part == "compression":
        assert {40, 90} <= set(values[:, 0].tolist())
