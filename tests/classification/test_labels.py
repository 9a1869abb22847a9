"""The class of an image: the scene's own label, or its only object."""

from dataclasses import replace

import numpy as np
import pytest

from yolo_proc.batch import Batch
from yolo_proc.classification.labels import image_classes
from yolo_proc.config.schema import LabelConfig
from yolo_proc.detection.label_checks import LabelError
from yolo_proc.scene import Scene, SceneObject

LIMITS = LabelConfig()
PIXELS = np.zeros((32, 32, 3), np.uint8)
NOTHING = {"min_in_frame": 0, "min_visible": 0, "min_box_px": 0, "no_object": 0}


def thing(class_id: int, **changes: float) -> SceneObject:
    return SceneObject((2.0, 2.0, 20.0, 20.0), class_id, **changes)  # type: ignore[arg-type]


def batch_of(*scenes: Scene) -> Batch:
    return Batch.of(scenes, range(100, 100 + len(scenes)))


def test_the_only_object_says_the_class() -> None:
    classes, dropped = image_classes(batch_of(Scene(PIXELS, (thing(2),)), Scene(PIXELS, (thing(0),))), LIMITS, 3)
    assert classes.tolist() == [2, 0]
    assert dropped == NOTHING


def test_the_scenes_own_label_counts_whatever_is_in_it() -> None:
    scenes = Scene(PIXELS, (thing(0), thing(1)), class_id=2), Scene(PIXELS, class_id=1), Scene(PIXELS, (thing(2),))
    classes, dropped = image_classes(batch_of(*scenes), LIMITS, 3)
    assert classes.tolist() == [2, 1, 2]
    assert dropped == NOTHING


def test_an_object_that_is_no_label_leaves_the_image_without_a_class() -> None:
    hidden, gone = Scene(PIXELS, (thing(1, visible=0.1),)), Scene(PIXELS)
    classes, dropped = image_classes(batch_of(hidden, Scene(PIXELS, (thing(1),)), gone), LIMITS, 3)
    assert classes.tolist() == [-1, 1, -1]
    assert dropped == {**NOTHING, "min_visible": 1, "no_object": 1}


def test_several_objects_without_a_label_are_refused_with_the_scene() -> None:
    scenes = Scene(PIXELS, (thing(0),)), Scene(PIXELS, (thing(0), thing(0), thing(1)))
    with pytest.raises(LabelError, match=r"scene 101: 3 objects and no label; expected one object, or a scene that"):
        image_classes(batch_of(*scenes), LIMITS, 3)


@pytest.mark.parametrize("class_id", [-2, 3, 100])
def test_a_class_that_does_not_exist_is_refused(class_id: int) -> None:
    with pytest.raises(LabelError, match=rf"scene 100: its class id is {class_id}; expected 0 to 2"):
        image_classes(batch_of(Scene(PIXELS, class_id=class_id)), LIMITS, 3)
    with pytest.raises(LabelError, match="expected 0 to 2"):
        image_classes(batch_of(Scene(PIXELS, (thing(3),))), LIMITS, 3)


def test_a_batch_of_which_no_image_has_a_class_is_refused() -> None:
    with pytest.raises(LabelError, match="no object and no label"):
        image_classes(batch_of(Scene(PIXELS), Scene(PIXELS)), LIMITS, 3)
    batch = replace(batch_of(Scene(PIXELS, class_id=1)), scene_class_ids=np.zeros(2, np.int64))
    with pytest.raises(LabelError, match="class id is missing"):
        image_classes(batch, LIMITS, 3)
