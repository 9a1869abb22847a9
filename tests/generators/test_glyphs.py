"""The generator `glyphs`: what its scenes promise, and which parameters are refused."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from yolo_proc.boxes import area_xyxy, intersection_xyxy
from yolo_proc.data.generator import Generator, load_generator
from yolo_proc.drawing.canvas import Canvas
from yolo_proc.errors import ConfigError, GeneratorError
from yolo_proc.rng import rng_for
from yolo_proc.scene import Scene
from yolo_proc_generators import backdrops
from yolo_proc_generators.backdrops import LUMA, Backdrop
from yolo_proc_generators.glyphs import Glyphs
from yolo_proc_generators.placing import Placed, choose_colour, place_boxes


def canvas_of(generator: Generator, index: int, width: float = 1.0, height: float = 1.0) -> Canvas:
    canvas = Canvas(width, height)
    generator.draw(canvas, rng_for(0, "train", index, "draw"))
    return canvas


def scene_of(generator: Generator, index: int) -> Scene:
    return canvas_of(generator, index).render(416, 416, None, generator.classes)


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    generator = load_generator("glyphs")
    return [scene_of(generator, index) for index in range(150)]


def test_a_scene_is_a_function_of_its_index() -> None:
    generator = load_generator("glyphs")
    scene_of(generator, 3)
    a, b = scene_of(generator, 7), scene_of(load_generator("glyphs"), 7)
    np.testing.assert_array_equal(a.image, b.image)
    np.testing.assert_array_equal(a.boxes, b.boxes)
    assert not np.array_equal(a.image, scene_of(generator, 8).image)


def test_numbers_classes_and_sizes(scenes: list[Scene]) -> None:
    counts = [len(scene.objects) for scene in scenes]
    assert set(counts) == {1, 2, 3}
    ids = np.concatenate([scene.class_ids for scene in scenes])
    assert (np.bincount(ids, minlength=3) > len(ids) / 5).all()
    boxes = np.concatenate([scene.boxes for scene in scenes])
    longer = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    assert longer.min() >= 55  # turned and sheared, a side may become a little shorter
    assert longer.max() <= 150 * (1.05 + 0.25 + 0.15)
    assert longer.min() < 75
    assert longer.max() > 135


def test_objects_are_whole_and_hardly_cover_each_other(scenes: list[Scene]) -> None:
    overlaps = 0
    for scene in scenes:
        assert all(thing.in_frame == 1 for thing in scene.objects)
        boxes = scene.boxes
        shares = intersection_xyxy(boxes, boxes) / area_xyxy(boxes)[:, None]  # share of the row's box
        for later in range(len(boxes)):
            assert (shares[:later, later] <= 0.25 + 1e-9).all()
            overlaps += int((shares[:later, later] > 0).sum())
    assert overlaps > 10, "some do overlap"


def test_contrast_is_never_nil_and_sometimes_poor() -> None:
    """Each glyph's colour against the backdrop's, as a glyph on a plain canvas and without lines shows them."""
    generator = load_generator("glyphs", {"max-lines": 0, "max-objects": 1})
    distances = []
    for index in range(120):
        canvas = canvas_of(generator, index)
        with_glyph = canvas.render(104, 104, None, generator.classes).image.astype(float)
        without = canvas.without(0).render(104, 104, None, generator.classes).image.astype(float)
        distance = np.sqrt((((with_glyph - without) * LUMA) ** 2).sum(axis=-1))
        distances.append(np.percentile(distance[distance > 0], 75))  # the rest is the glyph's rim
    assert min(distances) >= 27  # 30, less the rounding of colours
    assert np.mean(np.array(distances) < 60) > 0.05


def test_lines_lie_under_and_over_the_objects(scenes: list[Scene]) -> None:
    visible = [thing.visible for scene in scenes for thing in scene.objects]
    assert 0.05 < np.mean(np.array(visible) == 1) < 0.9
    assert min(visible) > 0.4
    bare = load_generator("glyphs", {"max-lines": 0, "max-objects": 1})
    assert all(scene_of(bare, index).objects[0].visible == 1 for index in range(10))


def test_wide_canvases_are_used_in_full() -> None:
    generator = load_generator("glyphs")
    centres = []
    for index in range(60):
        scene = canvas_of(generator, index, 1.75, 1.0).render(350, 200, None, generator.classes)
        centres += [(box[0] + box[2]) / 2 for box in scene.boxes]
        assert all(thing.in_frame == 1 for thing in scene.objects)
    assert min(centres) < 70
    assert max(centres) > 280


def test_other_categories_and_fonts() -> None:
    generator = load_generator("glyphs", {"category": "Жλ8☃", "fonts": "DejaVu Sans"})
    assert generator.classes == ("Ж", "λ", "8", "☃")
    ids = [thing.class_id for index in range(40) for thing in scene_of(generator, index).objects]
    assert set(ids) == {0, 1, 2, 3}
    lato = Glyphs(category="AB", fonts=("Lato",))
    assert {face.name for face in lato._faces["A"]} == {"Lato", "Lato Bold"}
    assert len(Glyphs()._faces["A"]) >= 8


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"category": ""}, "at least one character"),
        ({"category": "ABA"}, "'A' twice"),
        ({"category": "A B"}, "blank"),
        ({"category": "A\uf8d0"}, r"U\+F8D0.*fonts tried"),
        ({"category": "Ae\u0301"}, "composed"),
        ({"category": "A\u0410", "fonts": "DejaVu Sans"}, "look the same"),
        ({"fonts": "Latto"}, "did you mean Lato"),
        ({"size": "150,60"}, "smallest before the largest"),
        ({"backgrounds": "no/such/folder"}, "no folder"),
    ],
)
def test_impossible_parameters(parameters: dict[str, str], message: str) -> None:
    with pytest.raises(GeneratorError, match=message):
        load_generator("glyphs", parameters)


def test_parameters_out_of_range() -> None:
    with pytest.raises(ConfigError, match="max-objects"):
        load_generator("glyphs", {"max-objects": "0"})
    with pytest.raises(ConfigError, match="did you mean max-objects"):
        load_generator("glyphs", {"max-object": "5"})


def test_photographs_are_used(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    for name, colour in (("b.png", (10, 200, 30)), ("a.jpg", (200, 10, 30))):
        Image.new("RGB", (900, 700), colour).save(tmp_path / name)
    generator = Glyphs(backgrounds=str(tmp_path))
    assert [path.name for path in generator._photos] == ["a.jpg", "b.png"]
    corners = {tuple(np.round(scene_of(generator, index).image[2, 2] / 10).astype(int)) for index in range(60)}
    assert {(20, 1, 3), (1, 20, 3)} <= corners


def test_photographs_are_kept_small_and_upright(tmp_path: Path) -> None:
    picture = Image.new("RGB", (1600, 1300))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    picture.save(tmp_path / "a.jpg", exif=exif)
    pixels, _ = backdrops.read_photo(str(tmp_path / "a.jpg"))
    assert pixels.shape == (788, 640, 3)


def test_bad_photographs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(GeneratorError, match="expected pictures"):
        Glyphs(backgrounds=str(tmp_path))
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(GeneratorError, match="cannot be read"):
        backdrops.read_photo(str(tmp_path / "a.png"))
    Image.new("L", (50, 40)).save(tmp_path / "large.png")
    with pytest.raises(GeneratorError, match="50 x 40"):
        backdrops.read_photo(str(tmp_path / "large.png"), 1000)


def test_placing_keeps_boxes_apart_and_the_first_always() -> None:
    box = (-0.2, -0.2, 0.2, 0.2)
    same = np.full((3, 4, 2), 0.5)
    assert [index for index, _, _ in place_boxes([box] * 3, same, 1, 1, 0.25)] == [0]
    apart = same.copy()
    apart[1, 3] = (0, 0)  # covers a sixteenth of the first
    found = [(index, round(x, 9), round(y, 9)) for index, x, y in place_boxes([box] * 3, apart, 1, 1, 0.25)]
    assert found == [(0, 0.5, 0.5), (1, 0.2, 0.2)]
    assert [index for index, _, _ in place_boxes([box] * 3, apart, 1, 1, 0.05)] == [0]
    large = (-1.0, -0.1, 1.0, 0.1)
    ((_, x, _),) = place_boxes([large], same[:1], 1, 1, 0.25)
    assert x == 0.5, "what is too large is centred"


def test_colours_keep_their_distance_where_no_candidate_does() -> None:
    grey = Backdrop(np.full((1, 1, 3), 120, np.float32) * LUMA)
    candidates = np.full((3, 3), 121, np.uint8)
    colour = choose_colour(candidates, grey, (0, 0, 1, 1), [], 30)
    assert np.linalg.norm((np.array(colour) - 120) * LUMA) >= 30
    neighbour = Placed((0, 0, 1, 1), colour)
    other = choose_colour(np.array([colour] * 3, np.uint8), grey, (0.5, 0, 1.5, 1), [neighbour], 30)
    assert np.linalg.norm((np.array(other) - colour) * LUMA) >= 30
    assert choose_colour(np.array([colour] * 3, np.uint8), grey, (1, 0, 2, 1), [neighbour], 30) == colour
