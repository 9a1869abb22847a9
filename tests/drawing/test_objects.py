"""Objects of many parts, groups, and what homographies do to shapes and pictures."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from yolo_proc import Canvas, circle, line, polygon, quadrilateral, rectangle, text
from yolo_proc.errors import GeneratorError
from yolo_proc.scene import SceneObject

WHITE, RED, BLUE = (255, 255, 255), (255, 0, 0), (0, 0, 255)
CLASSES = ("card", "icon", "ball")
SIDE = 200
TILT = quadrilateral((0, 0, 1, 1), [(0.1, 0.2), (0.8, 0.1), (0.95, 0.9), (0.15, 0.7)])
ROUND = np.zeros((40, 40, 4), np.uint8)
cv2.circle(ROUND, (20, 20), 12, (200, 160, 20, 255), -1)


def found(canvas: Canvas, size: int = SIDE) -> list[SceneObject]:
    return list(canvas.render(size, size, None, CLASSES).objects)


def draw_card(canvas: Canvas) -> None:
    canvas.draw(rectangle(0.2, 0.2, 0.5, 0.6), WHITE)
    canvas.draw(circle(0.35, 0.4, 0.1), RED)
    canvas.draw(text("A", size=0.1).shifted(0.3, 0.3), BLUE)


def test_parts_do_not_hide_their_object_and_scenery_does() -> None:
    canvas = Canvas()
    with canvas.object("card"):
        draw_card(canvas)
    (whole,) = found(canvas)
    assert (whole.visible, whole.in_frame) == (1.0, 1.0)
    assert whole.box == pytest.approx((40, 40, 100, 120))
    canvas.draw(rectangle(0.2, 0.2, 0.5, 0.3), RED)
    assert found(canvas)[0].visible == pytest.approx(0.75, abs=0.01)


def test_a_label_inside_of_an_object_is_an_object_of_its_own() -> None:
    canvas = Canvas()
    canvas.draw(circle(0.8, 0.8, 0.1), RED, "ball")
    with canvas.object("card"):
        draw_card(canvas)
        canvas.draw(circle(0.4, 0.5, 0.05), BLUE, "icon")
        canvas.draw(rectangle(0.4, 0.4, 0.45, 0.6), WHITE)  # a part that hides half of what lies on the object
    things = found(canvas)
    assert [CLASSES[thing.class_id] for thing in things] == ["ball", "card", "icon"]
    assert things[1].visible == 1
    assert things[2].visible == pytest.approx(0.5, abs=0.05)
    assert canvas.labelled == 3
    assert canvas.painted == (True, True, True)


@pytest.mark.parametrize(("number", "left"), [(0, ["card", "icon"]), (1, ["ball"]), (2, ["ball", "card"])])
def test_an_object_is_left_out_with_all_that_lies_on_it(number: int, left: list[str]) -> None:
    def scene(skip: int | None) -> Canvas:
        canvas = Canvas()
        if skip != 0:
            canvas.draw(circle(0.8, 0.8, 0.1), RED, "ball")
        if skip != 1:
            with canvas.object("card"):
                draw_card(canvas)
                if skip != 2:
                    canvas.draw(circle(0.4, 0.5, 0.05), BLUE, "icon")
        return canvas

    with_it = scene(None).without(number)
    assert [CLASSES[thing.class_id] for thing in found(with_it)] == left
    images = [one.render(SIDE, SIDE, None, CLASSES).image for one in (with_it, scene(number))]
    np.testing.assert_array_equal(*images)
    assert scene(None).bare().render(SIDE, SIDE, None, CLASSES).image.max() == 0


def test_an_object_of_which_the_only_part_is_left_out_is_gone() -> None:
    canvas = Canvas()
    with canvas.object("card"):
        canvas.draw(circle(0.5, 0.5, 0.1), RED, "icon")
    assert len(found(canvas)) == 2
    assert found(canvas.without(1)) == []


def test_the_outline_is_that_of_all_parts() -> None:
    canvas = Canvas()
    with canvas.object("card"):
        draw_card(canvas)
    with canvas.object("ball"):
        canvas.draw(rectangle(0.6, 0.1, 0.7, 0.2), RED)
        canvas.draw(rectangle(0.8, 0.3, 0.9, 0.4), RED)
        canvas.draw(circle(0.75, 0.25, 0.2), WHITE, opacity=0.4)  # a glow: no part
    card, ball = found(canvas)
    assert card.outline is not None
    assert ball.outline is not None
    assert {tuple(point) for point in card.outline.round(6).tolist()} == {(40, 40), (100, 40), (100, 120), (40, 120)}
    assert ball.box == pytest.approx((120, 20, 180, 80))
    corners = {(120, 20), (140, 20), (180, 60), (180, 80), (160, 80), (120, 40)}
    assert {tuple(point) for point in ball.outline.round(6).tolist()} == corners


def test_an_outline_can_be_named() -> None:
    canvas = Canvas()
    with canvas.object("ball", outline=circle(0.5, 0.5, 0.2)):
        canvas.draw(circle(0.5, 0.5, 0.3), RED)  # with its halo
        canvas.draw(circle(0.5, 0.5, 0.2), WHITE)
    with canvas.object("card", outline=[(0, 0), (0.1, 0), (0, 0.1)], transform=[[1, 0, 0.5], [0, 1, 0]]):
        canvas.draw(rectangle(0, 0, 0.3, 0.3), RED)
    ball, card = found(canvas)
    assert ball.box == pytest.approx((60, 60, 140, 140))
    assert card.box == pytest.approx((100, 0, 120, 20))
    canvas.draw(rectangle(0, 0.5, 1, 1), BLUE)
    assert found(canvas)[0].visible == pytest.approx(0.5, abs=0.01)


def test_a_group_moves_what_is_drawn_in_it_as_shapes_are_moved_by_hand() -> None:
    matrix = np.array([[0.8, -0.5, 0.3], [0.4, 0.9, -0.1]])
    inner = np.array([[1, 0, 0.05], [0, 1, 0.1]])
    grouped, by_hand = Canvas(), Canvas()
    with grouped.group(matrix):
        grouped.draw(circle(0.3, 0.3, 0.1), RED, "ball")
        with grouped.group(inner):
            grouped.draw(rectangle(0.5, 0.5, 0.6, 0.7), BLUE, "card")
        grouped.paste(ROUND, (0.1, 0.6, 0.3, 0.8), "icon")
        grouped.strokes([(0.1, 0.1, 0.9, 0.2)], [0.02], [WHITE])
        grouped.annotate([(0, 0), (0.1, 0), (0, 0.1)], "ball")
    grouped.draw(circle(0.3, 0.3, 0.05), WHITE)  # the block has ended
    by_hand.draw(circle(0.3, 0.3, 0.1).transformed(matrix), RED, "ball")
    by_hand.draw(rectangle(0.5, 0.5, 0.6, 0.7).transformed(inner).transformed(matrix), BLUE, "card")
    by_hand.paste(ROUND, (0.1, 0.6, 0.3, 0.8), "icon", transform=matrix)
    zoom = np.sqrt(abs(np.linalg.det(matrix[:, :2])))
    ends = matrix @ np.array([(0.1, 0.1, 1), (0.9, 0.2, 1)]).T
    by_hand.strokes([ends.T.reshape(-1)], [0.02 * zoom], [WHITE])
    by_hand.annotate(polygon([(0, 0), (0.1, 0), (0, 0.1)]).transformed(matrix).points, "ball")
    by_hand.draw(circle(0.3, 0.3, 0.05), WHITE)
    one, other = (canvas.render(SIDE, SIDE, None, CLASSES) for canvas in (grouped, by_hand))
    np.testing.assert_array_equal(one.image, other.image)
    np.testing.assert_allclose(one.boxes, other.boxes)
    assert [thing.visible for thing in one.objects] == [thing.visible for thing in other.objects]


def mask_box(image: NDArray[np.uint8], size: int) -> list[float]:
    """The box of what is not black, in parts of `image`'s side times size."""
    rows, columns = (np.flatnonzero((image.max(axis=2) >= 128).any(axis=axis)) for axis in (1, 0))
    scale = size / len(image)
    return [columns[0] * scale, rows[0] * scale, (columns[-1] + 1) * scale, (rows[-1] + 1) * scale]


@settings(max_examples=60)
@given(
    corners=st.lists(st.floats(-0.12, 0.12), min_size=8, max_size=8),
    kind=st.sampled_from(["circle", "letter", "picture", "object"]),
)
def test_boxes_under_a_homography_are_those_of_the_pixels(corners: list[float], kind: str) -> None:
    ends = np.array([(0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8)]) + np.array(corners).reshape(4, 2)
    matrix = quadrilateral((0, 0, 1, 1), ends)
    canvas = Canvas()
    opaque = ROUND.copy()
    opaque[..., :3] = 255
    if kind == "circle":
        canvas.draw(circle(0.5, 0.5, 0.4), WHITE, "ball", transform=matrix)
    elif kind == "letter":
        canvas.draw(text("R", size=0.8).shifted(0.5, 0.5), WHITE, "ball", transform=matrix)
    elif kind == "picture":
        canvas.paste(opaque, (0.1, 0.1, 0.9, 0.9), "ball", transform=matrix)
    else:
        with canvas.object("ball", transform=matrix):
            canvas.draw(circle(0.4, 0.4, 0.3), WHITE)
            canvas.draw(line(0.2, 0.9, 0.9, 0.5, 0.05), WHITE)
    (thing,) = found(canvas, 100)
    brute = canvas.render(400, 400, None, CLASSES).image
    # A picture's own pixels are 2 px wide here, and their edges are smooth.
    assert mask_box(brute, 100) == pytest.approx(thing.box, abs=1.3 if kind == "picture" else 0.4)


def test_a_picture_between_four_corners() -> None:
    quarters = np.zeros((20, 20, 4), np.uint8)
    quarters[..., 3] = 255
    quarters[:10, :10, 0] = quarters[:10, 10:, 1] = quarters[10:, 10:, 2] = 255
    canvas = Canvas()
    canvas.paste(quarters, [(0.8, 0.1), (0.9, 0.8), (0.2, 0.9), (0.1, 0.3)], "card")
    scene = canvas.render(SIDE, SIDE, None, CLASSES)
    assert scene.objects[0].box == pytest.approx((20, 20, 180, 180), abs=1e-4)
    assert scene.image[40, 150].tolist() == [255, 0, 0]  # near its upper left corner, on the right in the picture
    assert scene.image[140, 160].tolist() == [0, 255, 0]
    assert scene.image[160, 60].tolist() == [0, 0, 255]


def test_a_pasted_picture_keeps_a_tight_box_when_it_is_turned() -> None:
    cos = np.sqrt(0.5)
    canvas = Canvas()
    canvas.paste(ROUND, (0.3, 0.3, 0.7, 0.7), "ball")
    assert not canvas.has_loose_boxes
    upright = canvas.render(SIDE, SIDE, None, CLASSES).boxes
    turned = canvas.render(SIDE, SIDE, [[cos, -cos, 0.5], [cos, cos, 0.5 - 2 * cos * 0.5]], CLASSES).boxes
    np.testing.assert_allclose(turned[0, 2:] - turned[0, :2], upright[0, 2:] - upright[0, :2], atol=4)


def test_strokes_are_parts_too() -> None:
    canvas = Canvas()
    with canvas.object("card"):
        canvas.strokes([(0.2, 0.3, 0.6, 0.3), (0.3, 0.2, 0.3, 0.8)], [0.02, 0.04], [WHITE, RED])
        canvas.strokes(np.zeros((0, 4)), [], np.zeros((0, 3)))
    (thing,) = found(canvas)
    assert thing.box == pytest.approx((40, 40, 120, 160))
    assert thing.visible == 1


def test_an_object_that_the_frame_cuts() -> None:
    canvas = Canvas()
    with canvas.object("card"):
        canvas.draw(rectangle(-0.3, 0.2, 0.1, 0.4), WHITE)
        canvas.draw(rectangle(-0.3, 0.4, -0.1, 0.6), WHITE)
    (thing,) = found(canvas)
    assert thing.box == pytest.approx((0, 40, 20, 120))
    assert thing.in_frame == pytest.approx(1 / 6, abs=0.01)
    canvas = Canvas()
    with canvas.object("card"):
        canvas.draw(rectangle(1.1, 0, 1.2, 1), WHITE)
    assert found(canvas) == []


def test_a_block_that_raises_leaves_nothing_open() -> None:
    canvas = Canvas()
    with pytest.raises(GeneratorError), canvas.object("card", transform=[[2, 0, 0], [0, 2, 0]]):
        canvas.draw(rectangle(0, 0, 0.1, 0.1), (300, 0, 0))
    canvas.draw(circle(0.5, 0.5, 0.1), RED, "ball")
    assert [thing.box for thing in found(canvas)] == [pytest.approx((80, 80, 120, 120))]


def nothing_inside(canvas: Canvas) -> None:
    with canvas.object("card"):
        canvas.draw(circle(0.5, 0.5, 0.1), RED, opacity=0.3)


def unknown_matrix(canvas: Canvas) -> None:
    with canvas.group([[1, 0], [0, 1]]):
        pass


def no_label(canvas: Canvas) -> None:
    with canvas.object(None):  # type: ignore[arg-type]
        pass


def wrong_label(canvas: Canvas) -> None:
    with canvas.object("cart"):
        canvas.draw(circle(0.5, 0.5, 0.1), RED)
    canvas.render(SIDE, SIDE, None, CLASSES)


BEHIND = [[1, 0, 0], [0, 1, 0], [-2, 0, 1]]  # what lies right of 0.5 is behind the camera
MISTAKES = {
    "nothing inside": (nothing_inside, "object 'card': nothing is drawn"),
    "no label": (no_label, "class name or index"),
    "wrong label": (wrong_label, "'cart' .*did you mean card"),
    "no matrix": (unknown_matrix, "2, 3"),
    "behind": (lambda one: one.draw(circle(0.5, 0.5, 0.1), RED, transform=BEHIND), "behind the camera"),
    "a picture behind": (lambda one: one.paste(ROUND, (0.4, 0, 0.8, 1), transform=BEHIND), "behind the camera"),
    "infinity": (lambda one: one.draw(rectangle(0.1, 0.1, 0.4999, 0.4), RED, transform=BEHIND), "to infinity"),
    "crossed": (lambda one: one.paste(ROUND, [(0, 0), (1, 1), (1, 0), (0, 1)]), "its lines cross"),
    "dented": (lambda one: one.paste(ROUND, [(0, 0), (1, 0), (0.2, 0.2), (0, 1)]), "dented"),
    "flat": (lambda one: one.paste(ROUND, [(0, 0), (1, 0), (2, 0), (3, 0)]), "flat"),
    "three corners": (lambda one: one.paste(ROUND, [(0, 0), (1, 0), (0, 1)]), "four corners"),
    "no corners": (lambda one: one.paste(ROUND, [(0, 0), (1, 0), (1, float("nan")), (0, 1)]), "four corners"),
    "on one line": (lambda one: one.draw(circle(0, 0, 1), RED, transform=[[1, 1, 0], [1, 1, 0], [0, 0.1, 1]]), "line"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_told(name: str) -> None:
    mistake, message = MISTAKES[name]
    with pytest.raises(GeneratorError, match=message) as caught:
        mistake(Canvas())  # type: ignore[no-untyped-call]
    assert "\n" not in str(caught.value)


def test_points_under_a_homography_lie_where_opencv_puts_them() -> None:
    points = np.random.default_rng(0).uniform(0, 1, (50, 2))
    wanted = cv2.perspectiveTransform(points[None], TILT)[0]
    np.testing.assert_allclose(polygon(points).transformed(TILT).points, wanted, atol=1e-9)
