"""The generator `shapes`: its classes look like what they are called, and its boxes are tight."""

import numpy as np
import pytest

from yolo_proc.data.generator import load_generator
from yolo_proc.drawing.canvas import Canvas
from yolo_proc.errors import GeneratorError
from yolo_proc.rng import rng_for
from yolo_proc.scene import SceneObject
from yolo_proc_generators.shapes import Shapes


def objects(count: int) -> list[SceneObject]:
    generator = load_generator("shapes")
    found: list[SceneObject] = []
    for index in range(count):
        canvas = Canvas()
        generator.draw(canvas, rng_for(0, "train", index, "draw"))
        found += canvas.render(208, 208, None, generator.classes).objects
    return found


def polygon_area(points: np.ndarray) -> float:
    x, y = points.T
    return float(abs((x * np.roll(y, -1) - y * np.roll(x, -1)).sum()) / 2)


def test_every_class_has_its_form() -> None:
    """The share of the circle around it that each fills, whatever its turn and size."""
    shares: dict[int, set[float]] = {}
    for thing in objects(60):
        assert thing.outline is not None
        middle = thing.outline.mean(axis=0)
        radius = np.linalg.norm(thing.outline - middle, axis=1).max()
        shares.setdefault(thing.class_id, set()).add(round(polygon_area(thing.outline) / (np.pi * radius**2), 2))
    classes = load_generator("shapes").classes
    assert classes == ("circle", "triangle", "square", "star")
    found = {classes[key]: values for key, values in shares.items()}
    assert found["circle"] == {1.0}
    assert found["triangle"] == {0.41}
    assert found["square"] == {0.64}
    assert found["star"] == {0.42}


def test_boxes_are_tight_and_whole() -> None:
    things = objects(40)
    for thing in things:
        assert thing.outline is not None
        np.testing.assert_allclose(thing.box, [*thing.outline.min(axis=0), *thing.outline.max(axis=0)], atol=1e-6)
        assert thing.in_frame == 1
    assert len(things) > 60


def test_shapes_may_be_mirrored_and_letters_not() -> None:
    assert load_generator("shapes").flip_x > 0
    assert load_generator("glyphs").flip_x == 0


def test_sizes_in_the_wrong_order() -> None:
    with pytest.raises(GeneratorError, match="smallest before"):
        Shapes(size=(100.0, 50.0))
