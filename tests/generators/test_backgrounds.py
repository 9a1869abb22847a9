"""Pictures with objects on them as backgrounds, and what is told of those objects."""

import numpy as np
import pytest

from yolo_proc.drawing.canvas import Canvas, rectangle
from yolo_proc.errors import GeneratorError


def test_a_picture_with_a_colour_beyond_its_edges() -> None:
    picture = np.random.default_rng(0).integers(0, 100, (24, 40, 3), dtype=np.uint8)
    canvas = Canvas(40 / 24, 1)
    canvas.background(picture, beyond=(200, 210, 220))
    assert np.array_equal(canvas.render(40, 24, None, ()).image, picture)
    shift = np.array([[1, 0, 10 / 24], [0, 1, 0]])  # ten pixels to the right
    moved = canvas.render(40, 24, shift, ()).image
    assert np.array_equal(moved[:, 10:], picture[:, :30])
    assert (moved[:, :10] == (200, 210, 220)).all()
    half = canvas.render(20, 12, np.array([[0.25, 0, 0], [0, 0.25, 0]]), ()).image  # shrunk to 5 x 3 in a corner
    assert np.allclose(half[1, 1:4].mean(axis=0), picture[8:16, 8:32].mean(axis=(0, 1)), atol=20)
    assert (half[5:, 8:] == (200, 210, 220)).all()
    canvas.background(picture)
    assert not (canvas.render(40, 24, shift, ()).image[:, :10] == (200, 210, 220)).any()  # the last call counts
    with pytest.raises(GeneratorError, match="expected a picture where `beyond` is given"):
        canvas.background((1, 2, 3), beyond=(1, 2, 3))
    with pytest.raises(GeneratorError, match="expected a colour"):
        canvas.background(picture, beyond=(1, 2, 300))


def test_a_copy_of_a_canvas_keeps_the_colour_beyond() -> None:
    canvas = Canvas()
    canvas.background(np.zeros((8, 8, 3), np.uint8), beyond=(9, 9, 9))
    canvas.annotate((0.2, 0.2, 0.4, 0.4), "a")
    shift = np.array([[1, 0, 0.5], [0, 1, 0]])
    assert (canvas.without(0).render(8, 8, shift, ("a",)).image[:, 0] == 9).all()


def test_annotations_carry_what_their_source_says() -> None:
    canvas = Canvas()
    canvas.annotate((-0.1, 0.2, 0.1, 0.4), "a", confidence=0.5, visible=0.5, in_frame=0.5)
    canvas.draw(rectangle(0, 0.2, 0.1, 0.3), (1, 2, 3))
    (thing,) = canvas.render(100, 100, None, ("a",)).objects
    assert thing.confidence == 0.5
    assert thing.visible == pytest.approx(0.25, abs=0.03)  # half of it was to be seen, and half of that is covered
    assert thing.in_frame == pytest.approx(0.25, abs=0.03)
    for wrong in (-0.1, 1.1, float("nan"), "x"):
        with pytest.raises(GeneratorError, match="annotate: expected shares from 0 to 1"):
            canvas.annotate((0, 0, 1, 1), "a", visible=wrong)  # type: ignore[arg-type]
