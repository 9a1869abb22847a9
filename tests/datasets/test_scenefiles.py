"""What files say of a scene."""

import numpy as np

from yolo_proc.config.schema import LabelConfig
from yolo_proc.datasets.scenefiles import Drawn, items_of
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
    (items, nothing), below, _, outside = items_of([scene, Drawn((), np.zeros((0, 4)))], (10, 10), LabelConfig())
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
    assert (below, outside) == ({"min_visible": 1}, 1)
    assert items_of([], (10, 10), LabelConfig()) == ([], {}, 0, 0)
    (plain,), _, left, _ = items_of([scene], (10, 10), LabelConfig(), outlines=False)
    assert [item.points for item in plain] == [()] * 4
    assert left == 1


def test_an_outline_is_cut_at_the_frame_to_a_thousandth() -> None:
    outline = np.array([[-1.0, 2.0], [2.0, 1.0], [2.0, 3.3333]])
    scene = Drawn((SceneObject((0.0, 1.0, 2.0, 3.3333), 0, outline),), np.zeros((0, 4)))
    ((item,),), _, _, _ = items_of([scene], (10, 10), LabelConfig())
    assert sorted(item.points) == [(0.0, 1.667), (0.0, 2.444), (2.0, 1.0), (2.0, 3.333)]
