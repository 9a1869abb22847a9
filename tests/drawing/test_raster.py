"""Pictures with alpha, compared with plain numpy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from yolo_proc.drawing.raster import opaque_bounds, premultiply

PICTURES = arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12), st.just(4)))


@given(PICTURES)
def test_colours_are_multiplied_by_their_alpha(rgba: np.ndarray) -> None:
    exact = rgba[..., :3].astype(float) * rgba[..., 3:] / 255
    found = premultiply(rgba)
    assert np.abs(found[..., :3] - exact).max() <= 0.5 + 1e-6
    assert np.array_equal(found[..., 3], rgba[..., 3])


@given(PICTURES)
def test_opaque_bounds_are_those_of_the_pixels(rgba: np.ndarray) -> None:
    rows, columns = np.nonzero(rgba[..., 3] >= 128)
    x0, y0, x1, y1 = opaque_bounds(rgba)
    if len(rows):
        assert (x0, y0, x1, y1) == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    else:
        assert x0 == x1


@pytest.mark.parametrize("view", [np.s_[::2, ::-1], np.s_[:, 1:3]])
def test_a_view_is_a_picture_too(view: tuple[slice, ...]) -> None:
    rgba = np.random.default_rng(0).integers(0, 256, (6, 8, 4), dtype=np.uint8)
    assert np.array_equal(premultiply(rgba[view]), premultiply(rgba[view].copy()))
    assert opaque_bounds(rgba[view]) == opaque_bounds(rgba[view].copy())
