"""Scenes of cut-out pictures: what is read, placed and refused; and the grounds and clutter they lie on."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from yolo_proc import Canvas, rectangle
from yolo_proc.config.schema import AugmentConfig
from yolo_proc.data.generator import load_generator, rebased
from yolo_proc.data.sprites import Sprites, _covered, _shrunk
from yolo_proc.data.stream import Stream
from yolo_proc.drawing import textures
from yolo_proc.drawing.clutter import cover, distractors
from yolo_proc.errors import GeneratorError

STILL = AugmentConfig(enabled=False)


def blob(colour: tuple[int, int, int], side: int = 40, margin: int = 6) -> NDArray[np.uint8]:
    """An upright ellipse of one colour with a transparent margin."""
    rgba = np.zeros((side, side, 4), np.uint8)
    rgba[..., :3] = colour
    alpha = np.zeros((side, side), np.uint8)
    cv2.ellipse(alpha, (side // 2, side // 2), (side // 4, side // 2 - margin), 0, 0, 360, 255, -1)
    rgba[..., 3] = alpha
    return rgba


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "spr ü"
    for name, colour in (("red", (230, 10, 10)), ("blue", (20, 30, 240))):
        (folder / name).mkdir(parents=True)
        Image.fromarray(blob(colour)).save(folder / name / "a.png")
    rgba = blob((20, 30, 240))
    Image.fromarray(rgba[..., :3]).save(folder / "blue" / "b.jpg", quality=95)
    Image.fromarray(rgba[..., 3]).save(folder / "blue" / "b.mask.png")
    (folder / ".hidden").mkdir()
    return folder


def stream_of(root: Path, **parameters: object) -> Stream:
    return Stream(f"sprites:{root}", 1, "train", parameters=parameters, image_size=128, augment=STILL)


def test_a_class_for_each_folder_and_masks_beside_photographs(root: Path) -> None:
    generator = load_generator(f"sprites:{root}")
    assert isinstance(generator, Sprites)
    assert generator.classes == ("blue", "red")
    assert "blue 2, red 1" in generator.notes()[0]
    alpha, masked = (one.rgba for one in generator._sprites["blue"])
    assert alpha.shape == masked.shape == (29, 21, 4)  # cut to what is opaque
    np.testing.assert_array_equal(alpha[..., 3], masked[..., 3])
    assert Stream(f"sprites:{root}", 0, "train").spec == f"sprites:{root}"
    assert rebased(f"sprites:{root.name}", root.parent) == f"sprites:{root}"


@pytest.mark.parametrize("placing", ["anywhere", "line", "grid", "table"])
def test_boxes_are_those_of_what_is_seen(root: Path, placing: str) -> None:
    quiet = {"clutter": 0, "hidden": 0.0, "empty": 0.0, "edges": "hard", "overlap": 0.0}
    stream = stream_of(root, placing=placing, turn=180.0, tilt=30.0, mirror=0.5, size=(0.2, 0.3), **quiet)
    seen = 0
    for index in range(25):
        scene = stream[index]
        bare = stream.bare(index)
        assert bare.objects == ()
        changed = (np.abs(scene.image.astype(int) - bare.image).max(axis=2) > 60) * np.uint8(1)
        for thing in scene.objects:
            if thing.in_frame < 1:
                continue
            x0, y0, x1, y1 = thing.box
            part = changed[max(int(y0) - 4, 0) : int(y1) + 5, max(int(x0) - 4, 0) : int(x1) + 5]
            rows, columns = np.flatnonzero(part.any(axis=1)), np.flatnonzero(part.any(axis=0))
            if len(scene.objects) == 1 and len(rows):
                assert (x1 - x0, y1 - y0) == pytest.approx((np.ptp(columns) + 1, np.ptp(rows) + 1), abs=2.6)
                seen += 1
    assert seen or placing == "line"


def test_how_many_how_large_and_how_close(root: Path) -> None:
    stream = stream_of(root, objects=(3, 6), size=(0.1, 0.12), overlap=0.0, empty=0.0, hidden=0.0, turn=0.0)
    for index in range(20):
        scene = stream[index]
        assert len(scene.objects) <= 6
        for number, thing in enumerate(scene.objects):
            if thing.in_frame == 1:
                assert 0.1 * 128 - 0.1 <= thing.box[3] - thing.box[1] <= 0.12 * 128 + 0.1
            for other in scene.objects[:number]:
                assert _covered(other.box, thing.box) < 0.01
    assert sum(len(stream[index].objects) >= 3 for index in range(20)) > 15
    assert not any(stream_of(root, empty=1.0)[index].objects for index in range(10))


def test_a_scene_is_a_function_of_its_address(root: Path) -> None:
    one, other = stream_of(root), stream_of(root)
    backwards = [other[index] for index in reversed(range(10))][::-1]
    for index, again in enumerate(backwards):
        np.testing.assert_array_equal(one[index].image, again.image)
        np.testing.assert_array_equal(one[index].boxes, again.boxes)
    assert not np.array_equal(one[0].image, one[1].image)


def test_other_pictures_are_other_data(root: Path) -> None:
    before = load_generator(f"sprites:{root}").contents()  # type: ignore[attr-defined]
    Image.fromarray(blob((230, 10, 11))).save(root / "red" / "a.png")
    after = load_generator(f"sprites:{root}").contents()  # type: ignore[attr-defined]
    assert before["sprites"] != after["sprites"]
    assert before["grounds"] == after["grounds"]


def test_photographs_as_grounds(root: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.fromarray(np.full((1, 1, 3), (1, 250, 2), np.uint8)).save(photos / "pixel.png")
    Image.fromarray(np.full((30, 900, 3), (1, 250, 2), np.uint8)).save(photos / "wide.png")
    stream = stream_of(root, backgrounds=str(photos), clutter=0, empty=1.0)
    green = [np.abs(stream[index].image.astype(int) - (1, 250, 2)).max() < 3 for index in range(30)]
    assert 15 < sum(green) < 30
    assert load_generator(f"sprites:{root}", {"backgrounds": str(photos)}).contents()["grounds"]  # type: ignore[attr-defined]


def test_large_pictures_are_shrunk_without_a_halo() -> None:
    rgba = np.zeros((1200, 900, 4), np.uint8)
    rgba[..., :3] = (0, 255, 0)  # what lies behind the transparent pixels
    rgba[300:900, 300:600] = (255, 0, 0, 255)
    small = _shrunk(rgba)
    assert small.shape == (512, 384, 4)
    assert (small[small[..., 3] > 200][:, :3] == (255, 0, 0)).all()


def emptied(root: Path) -> None:
    for path in (root / "red").iterdir():
        path.unlink()


def saved(mode: str, *place: str) -> Callable[[Path], object]:
    return lambda root: Image.new(mode, (9, 9)).save(root.joinpath(*place))


def moved_out(root: Path) -> None:
    for one in list(root.iterdir()):
        one.rename(root.parent / one.name)


MISTAKES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no folder": (lambda root: root.rename(root.with_name("gone")), "expected a folder with a folder for each class"),
    "no classes": (moved_out, "for each class in it"),
    "an empty class": (emptied, "red: expected pictures"),
    "no alpha": (saved("RGB", "red", "a.png"), "a.png: expected a picture with alpha"),
    "nothing opaque": (saved("RGBA", "red", "a.png"), "a.png: expected opaque pixels"),
    "another mask": (saved("L", "blue", "b.mask.png"), "expected the size of b.jpg, 40 x 40"),
    "only masks": (lambda root: (root / "red/a.png").rename(root / "red/a.mask.png"), "beside the masks"),
    "damaged": (lambda root: (root / "red/a.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing"), "red/a.png"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_what_cannot_be_used_is_told_with_its_file(name: str, root: Path) -> None:
    change, message = MISTAKES[name]
    change(root)
    with pytest.raises(GeneratorError) as caught:
        load_generator(f"sprites:{root}")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_options_that_make_no_sense(root: Path, tmp_path: Path) -> None:
    with pytest.raises(GeneratorError, match="smallest before the largest"):
        load_generator(f"sprites:{root}", {"size": (0.3, 0.1)})
    with pytest.raises(GeneratorError, match=r"backgrounds: .*expected a folder"):
        load_generator(f"sprites:{root}", {"backgrounds": str(tmp_path / "none")})


# ------------------------------------------------------------------------------------- grounds and clutter


@pytest.mark.parametrize("make", [*textures.GROUNDS, textures.ground], ids=lambda make: make.__name__)
def test_grounds_are_pictures_by_their_rng(make: Callable[..., NDArray[np.uint8]]) -> None:
    for seed in range(8):
        one, again, other = (make(np.random.default_rng(number), 96) for number in (seed, seed, seed + 1))
        assert (one.shape, one.dtype) == ((96, 96, 3), np.uint8)
        assert one.flags.c_contiguous
        np.testing.assert_array_equal(one, again)
        assert not np.array_equal(one, other)
        assert one.std(axis=(0, 1)).max() > 0.5


def test_noise_is_smooth_and_uses_its_range() -> None:
    share = textures.fractal(np.random.default_rng(0), 128)
    assert (share.min(), share.max()) == (0, 1)
    assert np.abs(np.diff(share, axis=0)).max() < 0.5


def test_distractors_have_no_label() -> None:
    canvas = Canvas(1.5, 1)
    pictures = [np.full((20, 30, 3), 77, np.uint8), np.zeros((1, 1, 3), np.uint8)]
    distractors(canvas, np.random.default_rng(0), 60, pictures=pictures)
    scene = canvas.render(150, 100, None, ["thing"])
    assert scene.objects == ()
    assert len(np.unique(scene.image.reshape(-1, 3), axis=0)) > 30
    empty = Canvas()
    distractors(empty, np.random.default_rng(0), 0)
    assert empty.render(8, 8, None, []).image.max() == 0


@pytest.mark.parametrize("share", [0.0, 0.3, 0.8, 1.0])
def test_a_cover_hides_the_share_that_is_asked_for(share: float) -> None:
    for seed in range(8):
        canvas = Canvas()
        box = (0.3, 0.4, 0.7, 0.6)
        canvas.draw(rectangle(*box), (255, 0, 0), "thing")
        cover(canvas, np.random.default_rng(seed), box, share)
        (thing,) = canvas.render(200, 200, None, ["thing"]).objects
        assert thing.visible == pytest.approx(1 - share, abs=0.02)
    with pytest.raises(GeneratorError, match="a share from 0 to 1"):
        cover(Canvas(), np.random.default_rng(0), (0, 0, 1, 1), 1.5)
