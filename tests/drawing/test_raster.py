"""Pictures with alpha, compared with plain numpy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from yolo_proc.drawing.raster import opaque_hull, premultiply

PICTURES = arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12), st.just(4)))


@given(PICTURES)
def test_colours_are_multiplied_by_their_alpha(rgba: np.ndarray) -> None:
    exact = rgba[..., :3].astype(float) * rgba[..., 3:] / 255
    found = premultiply(rgba)
    assert np.abs(found[..., :3] - exact).max() <= 0.5 + 1e-6
    assert np.array_equal(found[..., 3], rgba[..., 3])


@given(PICTURES)
def test_the_hull_is_that_of_all_opaque_pixels_corners(rgba: np.ndarray) -> None:
    rows, columns = np.nonzero(rgba[..., 3] >= 128)
    hull = opaque_hull(rgba)
    corners = {(x + i, y + j) for x, y in zip(columns, rows, strict=True) for i in (0, 1) for j in (0, 1)}
    assert {tuple(point) for point in hull.tolist()} <= corners
    after = np.roll(hull, -1, axis=0)
    for x, y in corners:  # each on the same side of all lines: inside of the hull
        turns = (after - hull)[:, 0] * (y - hull[:, 1]) - (after - hull)[:, 1] * (x - hull[:, 0])
        assert (turns >= 0).all()
        assert len(hull) >= 4


@pytest.mark.parametrize("view", [np.s_[::2, ::-1], np.s_[:, 1:3]])
def test_a_view_is_a_picture_too(view: tuple[slice, ...]) -> None:
    rgba = np.random.default_rng(0).integers(0, 256, (6, 8, 4), dtype=np.uint8)
    assert np.array_equal(premultiply(rgba[view]), premultiply(rgba[view].copy()))
    assert np.array_equal(opaque_hull(rgba[view]), opaque_hull(rgba[view].copy()))
