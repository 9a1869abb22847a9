"""Polygons: cut, measured, and as text."""

import math
import re
from typing import Any

import numpy as np
import pathops
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from yolo_proc.annotations.polygons import Points, areas_and_texts, clipped_polygon


@given(st.lists(st.tuples(st.floats(1, 30), st.floats(0.1, 0.9)), min_size=3, max_size=9), st.data())
@settings(max_examples=60)
def test_a_clipped_outline_has_the_area_inside(spokes: list[tuple[float, float]], data: st.DataObject) -> None:
    middle = data.draw(st.tuples(st.floats(-10, 30), st.floats(-10, 20)))
    shares = [share for _, share in spokes]
    assume(max(shares) < 0.49 * sum(shares))  # a turn of more than half goes round the middle, and may cross itself
    turns = np.cumsum(shares)
    angles = turns / turns[-1] * 2 * math.pi
    points = [
        (middle[0] + radius * math.cos(angle), middle[1] + radius * math.sin(angle))
        for (radius, _), angle in zip(spokes, angles.tolist(), strict=True)
    ]
    found = clipped_polygon(points, 20, 12)
    assert all(-1e-9 <= x <= 20 + 1e-9 and -1e-9 <= y <= 12 + 1e-9 for x, y in found)
    frame = [(0, 0), (20, 0), (20, 12), (0, 12)]
    reference = pathops.op(path_of(points), path_of(frame), pathops.PathOp.INTERSECTION)
    assert shoelace(found) == pytest.approx(abs(reference.area), abs=0.02)


def path_of(points: Any) -> Any:
    path = pathops.Path()
    pen = path.getPen()
    pen.moveTo(points[0])
    for point in points[1:]:
        pen.lineTo(point)
    pen.closePath()
    return path


def shoelace(points: Any) -> float:
    if not points:
        return 0.0
    x, y = np.array(points).T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


# ------------------------------------------------------------------------------------------- numbers and areas


thousandths = st.integers(0, 9_999_999).map(lambda number: number / 1000)
any_number = st.floats(-1e6, 1e6) | st.sampled_from([0.0, -0.0, 9999.999, 10000.0, 0.0005, -0.001, 123456.789])


def polygons_of(number: st.SearchStrategy[float]) -> st.SearchStrategy[list[Points]]:
    points = st.lists(st.tuples(number, number), min_size=1, max_size=6).map(tuple)
    return st.lists(points, max_size=5)


def fit_the_tables(polygons: list[Points]) -> bool:
    """Whether the numbers are put together from tables, which have no -0."""
    numbers = [value for points in polygons for point in points for value in point]
    return all(0 <= value < 10_000 and value == round(value * 1000) / 1000 for value in numbers)


@given(polygons_of(thousandths) | polygons_of(any_number) | polygons_of(thousandths | any_number))
@settings(max_examples=200)
def test_texts_have_9_digits_and_areas_are_those_of_a_loop(polygons: list[Points]) -> None:
    areas, texts = areas_and_texts(polygons)
    expected = [",".join(f"{value:.9g}" for point in points for value in point) for points in polygons]
    assert texts == [re.sub(r"-0(?=,|$)", "0", text) if fit_the_tables(polygons) else text for text in expected]
    for points, area in zip(polygons, areas, strict=True):
        twice = math.fsum(
            x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(points, (*points[1:], points[0]), strict=True)
        )
        assert area == pytest.approx(abs(twice) / 2, rel=1e-9, abs=1e-15 * max(abs(v) for p in points for v in p) ** 2)


def test_known_polygons() -> None:
    square = ((0.0, 0.0), (2.5, 0.0), (2.5, 4.0), (0.0, 4.0))
    assert areas_and_texts([square, ((1.0, 1.0),), square[::-1]]) == (
        [10.0, 0.0, 10.0],
        ["0,0,2.5,0,2.5,4,0,4", "1,1", "0,4,2.5,4,2.5,0,0,0"],
    )
    assert areas_and_texts([((0.001, 0.01), (0.1, 1.0), (9999.999, 120.34))])[1] == ["0.001,0.01,0.1,1,9999.999,120.34"]
    assert areas_and_texts([]) == ([], [])


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_no_file_gets_a_nan(bad: float) -> None:
    with pytest.raises(AssertionError):
        areas_and_texts([((0.0, 0.0), (1.0, bad))])
