"""Shapes from their numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolo_proc import rectangle
from yolo_proc.drawing.outlines import bounds_of
from yolo_proc.errors import GeneratorError

PLACES = st.floats(-2, 2)
SIZES = st.floats(1e-3, 2)


@given(PLACES, PLACES, SIZES, SIZES)
def test_a_rectangle_around_a_centre_is_that_between_its_corners(x: float, y: float, w: float, h: float) -> None:
    around = rectangle(x, y, width=w, height=h)
    between = rectangle(x - w / 2, y - h / 2, x + w / 2, y + h / 2)
    assert np.array_equal(around.points, between.points)
    assert bounds_of(around.points) == pytest.approx((x - w / 2, y - h / 2, x + w / 2, y + h / 2))


@pytest.mark.parametrize(
    ("numbers", "named"),
    [
        ((0.1, 0.2), {}),
        ((0.1, 0.2, 0.3), {}),
        ((0.1, 0.2), {"width": 0.1}),
        ((0.1, 0.2, 0.3, 0.4), {"width": 0.1, "height": 0.1}),
        ((0.1, 0.2), {"width": 0.0, "height": 0.1}),
        ((0.1, 0.2), {"width": 0.1, "height": float("nan")}),
        ((0.1, "x", 0.3, 0.4), {}),
    ],
)
def test_a_rectangle_of_other_numbers_is_refused(numbers: tuple[float, ...], named: dict[str, float]) -> None:
    with pytest.raises(GeneratorError, match="rectangle"):
        rectangle(*numbers, **named)  # type: ignore[call-overload]


@given(PLACES, PLACES, st.floats(-360, 360))
def test_a_turn_is_clockwise_and_comes_back(x: float, y: float, degrees: float) -> None:
    shape = rectangle(x, y, width=0.2, height=0.1)
    assert np.allclose(shape.rotated(degrees).rotated(-degrees).points, shape.points, atol=1e-9)
    right = rectangle(1, 0, width=0.2, height=0.1).rotated(90)  # y goes down, so what is right goes there
    assert np.allclose(right.points.mean(axis=0), (0, 1), atol=1e-9)


@given(SIZES, SIZES)
def test_scaling_is_about_the_origin(x: float, y: float) -> None:
    shape = rectangle(1, 1, width=0.2, height=0.1)
    assert np.allclose(shape.scaled(x, y).points, shape.points * (x, y))
    assert np.array_equal(shape.scaled(x).points, shape.scaled(x, x).points)


def test_a_factor_that_is_none_is_refused() -> None:
    for factor in (0.0, -1.0, float("inf")):
        with pytest.raises(GeneratorError, match="scaled"):
            rectangle(0, 0, 1, 1).scaled(factor)
