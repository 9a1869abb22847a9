"""The canvas: boxes from outlines, masks against a point-by-point reference, what is covered, what is refused."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from yolo_proc.drawing.canvas import (
    Canvas,
    Shape,
    Texture,
    circle,
    ellipse,
    gradient,
    line,
    polygon,
    rectangle,
    star,
    text,
)
from yolo_proc.errors import GeneratorError
from yolo_proc.scene import Scene

WHITE, RED = (255, 255, 255), (255, 0, 0)
SIDE = 200


def drawn(shape: Shape, matrix: object = None, size: int = SIDE) -> Scene:
    """White on black."""
    canvas = Canvas()
    canvas.draw(shape, WHITE, "thing")
    return canvas.render(size, size, matrix, ["thing"])  # type: ignore[arg-type]


def turn(degrees: float, x: float = 0.5, y: float = 0.5) -> NDArray[np.float64]:
    """(2, 3) a rotation around (x, y)."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[cos, -sin, x - cos * x + sin * y], [sin, cos, y - sin * x - cos * y]])


def even_odd_coverage(shape: Shape, size: int, rows: int = 16) -> NDArray[np.float64]:
    """The reference: `rows` scan lines a pixel, exact along each, from sorted crossings with all edges."""
    starts = np.concatenate([contour * size for contour in shape.contours])
    stops = np.concatenate([np.roll(contour, -1, axis=0) * size for contour in shape.contours])
    columns = np.arange(size)
    found = np.zeros((size * rows, size))
    for row in range(size * rows):
        y = (row + 0.5) / rows
        (crossed,) = np.nonzero((starts[:, 1] <= y) != (stops[:, 1] <= y))
        (x0, y0), (x1, y1) = starts[crossed].T, stops[crossed].T
        crossings = np.sort(x0 + (y - y0) * (x1 - x0) / (y1 - y0))
        for left, right in zip(crossings[::2], crossings[1::2], strict=True):
            found[row] += np.clip(right - columns, 0, 1) - np.clip(left - columns, 0, 1)
    return found.reshape(size, rows, size).mean(axis=1)


SHAPES: dict[str, Shape] = {
    "circle": circle(0.5, 0.5, 0.31),
    "ellipse": ellipse(0.52, 0.47, 0.35, 0.08),
    "rectangle": rectangle(0.2131, 0.3177, 0.7093, 0.4419),
    "star": star(0.5, 0.5, 0.4, angle=11),
    "ring": Shape([circle(0.5, 0.5, 0.4).points, circle(0.5, 0.5, 0.3).points]),
    "crossing": polygon([(0.5, 0.1), (0.74, 0.83), (0.12, 0.38), (0.88, 0.38), (0.26, 0.83)]),
    "glyph": text("R", "Liberation Serif", size=0.8).shifted(0.5, 0.5),
    "line": line(0.1, 0.13, 0.87, 0.6, 0.031),
}


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("degrees", [0.0, 17.0])
def test_masks_equal_the_reference(name: str, degrees: float) -> None:
    shape = SHAPES[name].transformed(turn(degrees))
    found = drawn(shape).image[..., 0] / 255
    wanted = even_odd_coverage(shape, SIDE)
    # Corners are rounded to eighths of a pixel, which is more than 1 % of the width of a line.
    assert found.sum() == pytest.approx(wanted.sum(), rel=0.02 if name == "line" else 0.01)
    assert np.abs(found - wanted).max() < 0.4  # a shift of half a pixel along any edge would be 0.5
    assert np.abs(found - wanted)[(wanted > 0) & (wanted < 1)].mean() < 0.1


@pytest.mark.parametrize("name", ["circle", "ellipse", "rectangle", "ring", "glyph"])
@pytest.mark.parametrize("degrees", [0.0, -23.0])
def test_boxes_are_those_of_the_drawn_pixels(name: str, degrees: float) -> None:
    scene = drawn(SHAPES[name].transformed(turn(degrees)), size=400)
    rows, columns = (np.flatnonzero((scene.image[..., 0] > 25).any(axis=axis)) for axis in (1, 0))
    pixels = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    assert np.abs(np.array(pixels) - scene.boxes[0]).max() <= 1.0  # the box ends anywhere inside its last pixel


def test_edges_lie_where_the_outline_is() -> None:
    """Sub-pixel places, from the coverage of an upright rectangle's rim."""
    for start in np.linspace(50, 51, 9):
        image = drawn(rectangle(start / SIDE, 0.3, (start + 20.3) / SIDE, 0.6)).image[100, :, 0] / 255
        assert 51 - image[:51].sum() == pytest.approx(start, abs=0.14)
        assert image.sum() == pytest.approx(20.3, abs=0.26)


def test_the_matrix_moves_what_is_drawn() -> None:
    matrix = np.array([[0.9, -0.2, 0.1], [0.15, 0.8, 0.05], [0, 0, 1]])
    moved, placed = drawn(SHAPES["glyph"], matrix), drawn(SHAPES["glyph"].transformed(matrix))
    np.testing.assert_allclose(moved.boxes, placed.boxes)
    assert np.abs(moved.image.astype(int) - placed.image).max() <= 32  # rounding of single vertices


def test_a_mirror_image_is_the_mirrored_picture() -> None:
    flip = [[-1, 0, 1], [0, 1, 0]]
    scene, mirrored = drawn(SHAPES["glyph"]), drawn(SHAPES["glyph"], flip)
    x0, y0, x1, y1 = scene.objects[0].box
    assert mirrored.objects[0].box == pytest.approx((SIDE - x1, y0, SIDE - x0, y1))
    assert np.abs(mirrored.image[:, ::-1].astype(float) - scene.image).mean() < 2


def test_a_wide_canvas_keeps_squares_square() -> None:
    canvas = Canvas(2.0, 1.0)
    canvas.draw(rectangle(1.5, 0.5, 1.75, 0.75), WHITE, 0)
    assert canvas.render(400, 200, None, ["a"]).objects[0].box == pytest.approx((300, 100, 350, 150))


def test_the_outline_is_not_clipped_and_the_box_is() -> None:
    scene = drawn(circle(0.0, 0.5, 0.2))
    thing = scene.objects[0]
    assert thing.box == pytest.approx((0, 60, 40, 140), abs=0.1)
    assert thing.outline is not None
    assert thing.outline[:, 0].min() == pytest.approx(-40, abs=0.1)
    assert thing.in_frame == pytest.approx(0.5, abs=0.01)


def test_outlines_go_around_the_whole_shape() -> None:
    assert len(SHAPES["ring"].outline) == len(SHAPES["circle"].points)
    dotted = text("i", size=0.5)
    assert len(dotted.contours) == 2
    assert dotted.outline[:, 1].min() == dotted.bounds[1]
    assert dotted.outline[:, 1].max() == dotted.bounds[3]
    np.testing.assert_array_equal(dotted.shifted(1, 2).outline, dotted.outline + np.array([1, 2]))


@pytest.mark.parametrize(
    ("shape", "share"),
    [
        (rectangle(0.8, 0.8, 1.2, 1.2), 0.25),
        (rectangle(-0.9, 0.2, 0.1, 0.4), 0.1),
        (rectangle(-5, -5, 5, 5), 0.01),  # too large to be drawn whole
        (rectangle(0.1, 0.1, 0.9, 0.9), 1.0),
        (Shape([circle(1, 0.5, 0.3).points, circle(1, 0.5, 0.2).points]), 0.5),
    ],
)
def test_in_frame_is_the_share_of_the_area(shape: Shape, share: float) -> None:
    assert drawn(shape).objects[0].in_frame == pytest.approx(share, rel=0.03)


@pytest.mark.parametrize(
    "shape",
    [
        rectangle(1.1, 0.1, 1.2, 0.2),
        rectangle(1.0, 0.1, 1.2, 0.2),  # touches the frame
        polygon([(0.2, 0.2), (0.4, 0.2), (0.3, 0.2)]),  # flat
        polygon([(-3, 0.5), (0.5, -3), (-3, -3)]),  # only its box reaches in
    ],
)
def test_what_cannot_be_seen_is_no_object(shape: Shape) -> None:
    assert drawn(shape).objects == ()


def test_an_empty_canvas() -> None:
    scene = Canvas().render(32, 16, None, ["a"])
    assert scene.image.shape == (16, 32, 3)
    assert scene.image.max() == 0
    assert scene.objects == ()
    assert scene.ignore.shape == (0, 4)


def half_covered(cover: Callable[[Canvas], None]) -> tuple[float, ...]:
    """The visible shares after something was drawn over an upright square from 0.2 to 0.6."""
    canvas = Canvas()
    canvas.draw(rectangle(0.2, 0.2, 0.6, 0.6), RED, "a")
    cover(canvas)
    return tuple(thing.visible for thing in canvas.render(SIDE, SIDE, None, ["a"]).objects)


LEFT_HALF = rectangle(0.1, 0.1, 0.4, 0.9)


def test_what_is_drawn_later_covers() -> None:
    assert half_covered(lambda canvas: None) == (1.0,)
    assert half_covered(lambda canvas: canvas.draw(LEFT_HALF, WHITE)) == (pytest.approx(0.5, abs=0.02),)
    assert half_covered(lambda canvas: canvas.draw(LEFT_HALF, WHITE, "a")) == (pytest.approx(0.5, abs=0.02), 1.0)
    assert half_covered(lambda canvas: canvas.draw(LEFT_HALF, WHITE, opacity=0.4)) == (1.0,)
    assert half_covered(lambda canvas: canvas.annotate((0.1, 0.1, 0.4, 0.9), "a")) == (1.0, 1.0)
    assert half_covered(lambda canvas: canvas.draw(rectangle(0, 0, 1, 1), WHITE)) == (0.0,)
    picture = np.full((4, 4, 4), 255, np.uint8)
    assert half_covered(lambda canvas: canvas.paste(picture, (0.1, 0.1, 0.4, 0.9))) == (pytest.approx(0.5, abs=0.02),)


def test_two_covers_count_once() -> None:
    def twice(canvas: Canvas) -> None:
        canvas.draw(LEFT_HALF, WHITE)
        canvas.draw(LEFT_HALF, RED)

    assert half_covered(twice) == (pytest.approx(0.5, abs=0.02),)


@pytest.mark.parametrize("width", [0.005, 0.02, 0.08])  # a hairline, and strokes with a width
def test_noise_lines_cover_too(width: float) -> None:
    (visible,) = half_covered(lambda canvas: canvas.strokes([(0, 0.4, 1, 0.4)], [width], [WHITE]))
    assert visible == pytest.approx(1 - width / 0.4, abs=0.006)


def test_a_hairline_is_an_object_that_can_be_covered() -> None:
    canvas = Canvas()
    canvas.draw(line(0.1, 0.503, 0.9, 0.503, 0.001), WHITE, "a")
    canvas.draw(rectangle(0, 0, 0.5, 1), RED)
    assert canvas.render(SIDE, SIDE, None, ["a"]).objects[0].visible == pytest.approx(0.5, abs=0.02)


def test_strokes_paint_about_what_lines_do() -> None:
    ends, widths = [(0.1, 0.2, 0.8, 0.7), (0.3, 0.9, 0.9, 0.1)], [0.02, 0.03]
    many, single = Canvas(), Canvas()
    many.strokes(ends, widths, [WHITE, RED])
    for end, width, colour in zip(ends, widths, [WHITE, RED], strict=True):
        single.draw(line(*end, width), colour)
    turned = turn(30)
    a, b = (canvas.render(SIDE, SIDE, turned, []).image.astype(float) for canvas in (many, single))
    assert a.sum() == pytest.approx(b.sum(), rel=0.06)
    assert np.abs(a - b).mean() < 2
    many.strokes(np.zeros((0, 4)), [], np.zeros((0, 3)))
    np.testing.assert_array_equal(many.render(SIDE, SIDE, turned, []).image, a)


def test_a_scene_without_one_object_is_else_the_same() -> None:
    def scene(skip: int | None) -> Canvas:
        canvas = Canvas()
        canvas.background((9, 9, 9))
        canvas.ignore((0.1, 0.1, 0.2, 0.2))
        for number, x in enumerate((0.2, 0.3, 0.4)):
            if number != skip:
                canvas.draw(circle(x, 0.5, 0.1), (50 * number, 200, 0), number)
            canvas.strokes([(0, x, 1, x)], [0.01], [RED])
        return canvas

    assert scene(None).labelled == 3
    found = scene(None).without(1).render(64, 64, None, "abc")
    wanted = scene(1).render(64, 64, None, "abc")
    np.testing.assert_array_equal(found.image, wanted.image)
    assert [thing.box for thing in found.objects] == [thing.box for thing in wanted.objects]
    np.testing.assert_array_equal(found.ignore, wanted.ignore)
    with pytest.raises(GeneratorError, match="0 to 2"):
        scene(None).without(3)


def test_objects_in_the_frame_know_their_number_on_the_list() -> None:
    canvas = Canvas()
    for x in (-0.5, 0.3, 1.5, 0.7):
        canvas.draw(circle(x, 0.5, 0.1), RED)  # scenery has no number
        canvas.draw(circle(x, 0.5, 0.05), RED, "a")
    assert canvas.numbers_in_frame(64, 64, None, "a") == (1, 3)
    assert canvas.numbers_in_frame(64, 64, [[1, 0, -0.5], [0, 1, 0]], "a") == (2, 3)
    assert Canvas().numbers_in_frame(64, 64, None, "a") == ()


# ---------------------------------------------------------------------------------------------------------------
# Pictures


def ball(size: int = 40, margin: int = 10) -> NDArray[np.uint8]:
    """A green disc on nothing, with a transparent margin."""
    ticks = np.arange(size + 2 * margin) - (size / 2 + margin - 0.5)
    disc = ticks[:, None] ** 2 + ticks[None] ** 2 <= (size / 2) ** 2
    rgba = np.zeros((*disc.shape, 4), np.uint8)
    rgba[..., 1] = 200
    rgba[..., 3] = disc * 255
    return rgba


def test_a_pasted_picture_has_the_box_of_its_opaque_pixels() -> None:
    canvas = Canvas()
    canvas.background((100, 0, 0))
    canvas.paste(ball(), (0.2, 0.3, 0.5, 0.6), "a")
    assert not canvas.has_loose_boxes
    scene = canvas.render(SIDE, SIDE, None, ["a"])
    assert scene.objects[0].box == pytest.approx((50, 70, 90, 110))
    assert scene.image[90, 70].tolist() == [0, 200, 0]
    assert scene.image[65, 45].tolist() == [100, 0, 0]
    shares = scene.image[..., 1].sum() / 200
    assert shares == pytest.approx(math.pi * 20**2, rel=0.02)


def test_a_pasted_picture_shrinks_without_aliasing() -> None:
    stripes = np.zeros((64, 64, 4), np.uint8)
    stripes[..., 3] = 255
    stripes[:, ::2, :3] = 255
    canvas = Canvas()
    canvas.paste(stripes, (0.25, 0.25, 0.75, 0.75))
    inner = canvas.render(32, 32, None, []).image[10:22, 10:22]
    assert np.abs(inner.astype(int) - 127).max() < 12


def test_a_pasted_picture_with_an_outline_turns_tightly() -> None:
    ring = circle(0.35, 0.45, 0.1).points
    canvas = Canvas()
    canvas.paste(ball(), (0.2, 0.3, 0.5, 0.6), "a", outline=ring)
    assert not canvas.has_loose_boxes
    scene = canvas.render(SIDE, SIDE, turn(45, 0.35, 0.45), ["a"])
    assert scene.objects[0].box == pytest.approx((50, 70, 90, 110), abs=0.1)
    rows, columns = (np.flatnonzero((scene.image[..., 1] > 100).any(axis=axis)) for axis in (1, 0))
    assert (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1) == pytest.approx((50, 70, 90, 110), abs=1.5)


def test_annotations_paint_nothing() -> None:
    canvas = Canvas()
    canvas.annotate((0.1, 0.2, 0.3, 0.5), 0)
    assert canvas.has_loose_boxes
    canvas.annotate([(0.5, 0.5), (0.9, 0.5), (0.7, 0.9)], 1)
    scene = canvas.render(100, 100, None, ["a", "b"])
    assert scene.image.max() == 0
    np.testing.assert_allclose(scene.boxes, [(10, 20, 30, 50), (50, 50, 90, 90)])
    assert scene.class_ids.tolist() == [0, 1]
    assert scene.objects[0].outline is None
    assert scene.objects[1].outline is not None


def test_ignore_regions_are_moved_and_clipped() -> None:
    canvas = Canvas()
    canvas.ignore((-0.1, 0.2, 0.3, 0.5))
    canvas.ignore((0.9, 0.9, 1.0, 1.0))
    scene = canvas.render(100, 100, [[1, 0, 0.2], [0, 1, 0]], [])
    np.testing.assert_allclose(scene.ignore, [(10, 20, 50, 50)])


# ---------------------------------------------------------------------------------------------------------------
# Backgrounds


def test_plain_gradient_and_texture_fill_the_frame_whatever_the_matrix() -> None:
    away = [[0.1, 0, 5], [0, 0.1, 5]]
    canvas = Canvas()
    canvas.background((10, 20.4, 30))
    assert (canvas.render(20, 20, away, []).image == (10, 20, 30)).all()
    canvas.background(gradient((0, 0, 0), (255, 128, 0), 0))
    image = canvas.render(64, 64, away, []).image
    assert image[32, 0, 0] < 25
    assert image[32, -1, 0] > 230
    assert (np.diff(image[32, :, 0].astype(int)) >= 0).all()
    assert np.ptp(image[:, 5, 0].astype(int)) <= 1
    canvas.background(Texture(np.full((3, 5, 3), 77, np.uint8)))
    assert (canvas.render(33, 47, away, []).image == 77).all()


def test_a_gradient_goes_where_the_angle_says() -> None:
    canvas = Canvas()
    canvas.background(gradient((0, 0, 0), (200, 200, 200), 90))
    image = canvas.render(64, 64, None, []).image[..., 0].astype(int)
    assert image[0].mean() < 20
    assert image[-1].mean() > 180


def corner_picture() -> NDArray[np.uint8]:
    """(40, 80, 3): red in the left half, blue in the right."""
    picture = np.zeros((40, 80, 3), np.uint8)
    picture[:, :40, 0] = 255
    picture[:, 40:, 2] = 255
    return picture


def test_a_background_picture_covers_the_frame_and_moves_with_the_matrix() -> None:
    canvas = Canvas()
    picture = corner_picture()
    canvas.background(picture)
    image = canvas.render(80, 80, None, []).image
    assert (image[:, :38] == (255, 0, 0)).all()
    assert (image[:, 42:] == (0, 0, 255)).all()
    assert image[40, 39:41, 0].tolist() == pytest.approx([191, 64], abs=3)  # the seam lies in the very middle
    shifted = canvas.render(80, 80, [[1, 0, 0.25], [0, 1, 0]], []).image
    assert (shifted[:, 2:58] == (255, 0, 0)).all()
    assert (shifted[:, 62:] == (0, 0, 255)).all()
    assert shifted.any(axis=2).all()  # mirrored beyond its edges, not black
    np.testing.assert_array_equal(picture, corner_picture())


def test_a_background_picture_shrinks_without_aliasing() -> None:
    picture = np.zeros((400, 400, 3), np.uint8)
    picture[:, ::2] = 255
    canvas = Canvas()
    canvas.background(picture)
    image = canvas.render(50, 50, None, []).image
    assert image.shape == (50, 50, 3)
    assert np.abs(image.astype(int) - 127).max() < 12


# ---------------------------------------------------------------------------------------------------------------
# What is refused


NAN = float("nan")
SQUARE = rectangle(0.1, 0.1, 0.2, 0.2)
MISTAKES: dict[str, tuple[Callable[[Canvas], object], str]] = {
    "canvas": (lambda canvas: Canvas(0.5, 0.5), "shorter is 1"),
    "colour": (lambda canvas: canvas.draw(SQUARE, (0, 0, 256)), "0 to 255"),
    "colour of two": (lambda canvas: canvas.draw(SQUARE, (0, 0)), "three values"),
    "colour nan": (lambda canvas: canvas.draw(SQUARE, (0, 0, NAN)), "0 to 255"),
    "no shape": (lambda canvas: canvas.draw((1, 2, 3), WHITE), "expected a Shape"),  # type: ignore[arg-type]
    "shifted away": (lambda canvas: canvas.draw(SQUARE.shifted(NAN, 0), WHITE), "not finite"),
    "opacity": (lambda canvas: canvas.draw(SQUARE, WHITE, opacity=1.5), "opacity"),
    "label": (lambda canvas: canvas.draw(SQUARE, WHITE, 1.5), "class name or index"),  # type: ignore[arg-type]
    "label bool": (lambda canvas: canvas.draw(SQUARE, WHITE, True), "class name or index"),
    "background": (lambda canvas: canvas.background("red"), "colour"),
    "background type": (lambda canvas: canvas.background(np.zeros((4, 4, 3))), "uint8"),
    "background grey": (lambda canvas: canvas.background(np.zeros((4, 4, 1), np.uint8)), r"\(4, 4, 1\)"),
    "texture": (lambda canvas: Texture(np.zeros((4, 4), np.uint8)), "cells"),
    "gradient": (lambda canvas: gradient((0, 0, 0), (0, 0, 300)), "0 to 255"),
    "paste rgb": (lambda canvas: canvas.paste(np.zeros((4, 4, 3), np.uint8), (0, 0, 1, 1)), "RGBA"),
    "paste floats": (lambda canvas: canvas.paste(np.zeros((4, 4, 4)), (0, 0, 1, 1)), "uint8"),  # type: ignore[arg-type]
    "paste nothing": (lambda canvas: canvas.paste(np.zeros((0, 4, 4), np.uint8), (0, 0, 1, 1)), "pixels"),
    "paste clear": (lambda canvas: canvas.paste(np.zeros((4, 4, 4), np.uint8), (0, 0, 1, 1), "a"), "opaque"),
    "paste box": (lambda canvas: canvas.paste(ball(), (0.5, 0, 0.5, 1)), "x0 < x1"),
    "paste outline": (lambda canvas: canvas.paste(ball(), (0, 0, 1, 1), "a", outline=[(0, 0), (1, 1)]), r"\(K, 2\)"),
    "annotate": (lambda canvas: canvas.annotate((0, 0, 1), "a"), "K, 2"),
    "annotate words": (lambda canvas: canvas.annotate("box", "a"), "found 'box'"),
    "annotate nothing": (lambda canvas: canvas.annotate((0, 0, 1, 1), None), "label"),  # type: ignore[arg-type]
    "annotate reversed": (lambda canvas: canvas.annotate((1, 0, 0, 1), "a"), "x0 < x1"),
    "ignore": (lambda canvas: canvas.ignore((0, 0, NAN, 1)), "finite"),
    "strokes": (lambda canvas: canvas.strokes([(0, 0, 1, 1)], [0.1, 0.2], [WHITE]), r"\(N,\)"),
    "strokes width": (lambda canvas: canvas.strokes([(0, 0, 1, 1)], [0], [WHITE]), "above 0"),
    "strokes nan": (lambda canvas: canvas.strokes([(0, 0, 1, NAN)], [0.1], [WHITE]), "finite"),
    "strokes colour": (lambda canvas: canvas.strokes([(0, 0, 1, 1)], [0.1], [(0, 0, -1)]), "0 to 255"),
    "no contour": (lambda canvas: Shape([]), "at least one"),
    "polygon of two": (lambda canvas: polygon([(0, 0), (1, 1)]), "at least 3"),
    "polygon nan": (lambda canvas: polygon([(0, 0), (1, 1), (NAN, 0)]), "finite"),
    "polygon in pixels": (lambda canvas: polygon([(0, 0), (1e6, 1), (0, 1)]), "units"),
    "polygon words": (lambda canvas: polygon(["a", "b", "c"]), "numbers"),
    "circle": (lambda canvas: circle(0, 0, 0), "above 0"),
    "circle words": (lambda canvas: circle("a", 0, 1), "number"),  # type: ignore[arg-type]
    "line": (lambda canvas: line(0.5, 0.5, 0.5, 0.5, 0.1), "two different ends"),
    "star": (lambda canvas: star(0, 0, 1, tips=1), "at least 2"),
    "matrix": (lambda canvas: SQUARE.transformed([[1, 0], [0, 1]]), "2, 3"),
    "matrix nan": (lambda canvas: SQUARE.transformed([[1, 0, NAN], [0, 1, 0]]), "finite"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_told_at_once(name: str) -> None:
    mistake, message = MISTAKES[name]
    with pytest.raises(GeneratorError, match=message) as caught:
        mistake(Canvas())
    assert "\n" not in str(caught.value)


def test_unknown_labels_name_the_nearest_class() -> None:
    canvas = Canvas()
    canvas.draw(SQUARE, WHITE, "circel")
    with pytest.raises(GeneratorError, match="did you mean circle"):
        canvas.render(10, 10, None, ("circle", "square"))
    canvas = Canvas()
    canvas.draw(SQUARE, WHITE, 2)
    with pytest.raises(GeneratorError, match="0 to 1"):
        canvas.render(10, 10, None, ("circle", "square"))


coordinates = st.floats(-3, 3)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(coordinates, coordinates), min_size=3, max_size=8),
    st.lists(coordinates, min_size=6, max_size=6),
)
def test_any_polygon_under_any_matrix_gives_valid_objects(
    points: list[tuple[float, float]], matrix: list[float]
) -> None:
    canvas = Canvas()
    canvas.draw(polygon(points), WHITE, 0)
    canvas.strokes([(0, 0, 1, 1)], [0.1], [RED])
    affine = np.reshape(matrix, (2, 3))
    for thing in canvas.render(40, 40, affine, ["a"]).objects:  # the scene checks its boxes itself
        x0, y0, x1, y1 = thing.box
        assert x0 < x1
        assert y0 < y1
        assert 0 < thing.in_frame <= 1
        assert 0 <= thing.visible <= 1


def test_what_reaches_very_far_is_drawn_where_the_frame_is() -> None:
    canvas = Canvas()
    canvas.draw(rectangle(-9999, -9999, 0.5, 9999), WHITE, 0)
    scene = canvas.render(SIDE, SIDE, [[1e6, 0, 0.5 - 5e5], [0, 1e6, 0]], ["a"])
    assert (scene.image[:, : SIDE // 2] == 255).all()
    assert (scene.image[:, SIDE // 2 + 1 :] == 0).all()
