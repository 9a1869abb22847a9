"""What files say of a scene."""

import math
from typing import Any

import numpy as np
import pathops
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from yolo_proc.config import LabelConfig
from yolo_proc.datasets.scenefiles import Drawn, clipped_polygon, items_of
from yolo_proc.scene import SceneObject


def test_items_say_what_is_not_whole() -> None:
    outline = np.array([[-2.0, 1.0], [4.0, 1.0], [4.0, 5.0], [-2.0, 5.0]])
    scene = Drawn(
        (
            SceneObject((0.0, 1.0, 4.0, 5.0), 1, outline, visible=0.75, in_frame=2 / 3, confidence=0.5),
            SceneObject((0.0, 0.0, 9.5, 10.0), 0),
            SceneObject((2.0, 0.0, 2.0, 10.0), 0, outline[:3]),  # nothing of it is in the picture
            SceneObject((5.0, 5.0, 9.0, 9.0), 0, np.array([[5.00049, 5], [9, 5], [9, 9]]), visible=0.1),
        ),
        np.array([[1.0, 2.0, 3.0, 4.0]]),
    )
    (items, nothing), below, _ = items_of([scene, Drawn((), np.zeros((0, 4)))], (10, 10), LabelConfig())
    first, second, hidden, region = items
    assert nothing == []
    assert (first.xyxy, first.category) == ((0, 1, 4, 5), 1)
    assert (first.visible, first.in_frame, first.confidence) == (0.75, 2 / 3, 0.5)
    assert sorted(first.points) == [(0, 1), (0, 5), (4, 1), (4, 5)]
    assert (second.visible, second.in_frame, second.confidence, second.points) == (None, None, None, ())
    assert hidden.ignore
    assert hidden.category == 0
    assert hidden.points == ((5.0, 5.0), (9.0, 5.0), (9.0, 9.0))  # its own, to a thousandth
    assert (region.xyxy, region.category, region.ignore) == ((1, 2, 3, 4), None, True)
    assert below == {"min_visible": 1}
    assert items_of([], (10, 10), LabelConfig()) == ([], {}, 0)
    (plain,), _, left = items_of([scene], (10, 10), LabelConfig(), outlines=False)
    assert [item.points for item in plain] == [()] * 4
    assert left == 1


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
