"""A user's albumentations pipeline: pixels, labels that stay tight, streams that stay pure, and what is refused."""

import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from yolo_proc.cli.main import main
from yolo_proc.config.schema import AugmentConfig, Config, GeneratorConfig
from yolo_proc.config.values import as_given
from yolo_proc.data.fingerprint import changed_parts, fingerprint, scene_digest
from yolo_proc.data.run_config import config_from_values
from yolo_proc.data.stream import Stream, batches
from yolo_proc.data.transforms import import_albumentations
from yolo_proc.errors import ConfigError, GeneratorError, OptionError
from yolo_proc.scene import Scene

pytestmark = pytest.mark.slow  # the import of albumentations takes seconds
PLAIN = AugmentConfig(
    translate_p=0, scale_p=0, rotate_p=0, shear_p=0, colour_p=0, hue_p=0, blur_p=0, noise_p=0, compression_p=0,
    letterbox_p=0,
)  # fmt: skip

GENERATOR = '''
import numpy as np
from yolo_proc import Generator, circle, polygon, rectangle

COLOURS = ((250, 20, 20), (20, 250, 20), (20, 20, 250))


class Solid(Generator):
    """Three plain shapes on black, each of a colour of its own, one cut by the border now and then."""

    classes = ("red", "green", "blue")

    def draw(self, canvas, rng):
        canvas.background((0, 0, 0))
        for number, (x, y) in enumerate(((0.25, 0.3), (0.75, 0.35), (0.45, 0.75))):
            x, y = x + rng.uniform(-0.08, 0.08), y + rng.uniform(-0.05, 0.05)
            shape = (
                circle(x, y, 0.1),
                polygon([(x - 0.12, y), (x, y - 0.1), (x + 0.1, y + 0.12)]),
                rectangle(x - 0.11, y - 0.06, x + 0.11, y + 0.06),
            )[number]
            canvas.draw(shape, COLOURS[number], self.classes[number])


class Boxes(Generator):
    """A label without an outline."""

    classes = ("thing",)

    def draw(self, canvas, rng):
        canvas.background(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8))
        canvas.annotate((0.2, 0.3, 0.6, 0.7), "thing")


class Nothing(Generator):
    classes = ("thing",)

    def draw(self, canvas, rng):
        canvas.background(tuple(rng.integers(0, 255, 3)))
'''

PIPELINES = """
import albumentations as A

MOVES = {
    "flip": A.HorizontalFlip(p=1),
    "quarter": A.RandomRotate90(p=1),
    "transpose": A.Transpose(p=1),
    "affine": A.Affine(rotate=(-40, 40), scale=(0.6, 1.4), shear=(-12, 12), translate_percent=(-0.1, 0.1), p=1),
    "rotate": A.SafeRotate(limit=60, p=1),
    "perspective": A.Perspective(scale=(0.05, 0.15), p=1),
    "elastic": A.ElasticTransform(alpha=60, sigma=7, p=1),
    "crop": A.RandomResizedCrop(size=(160, 160), scale=(0.5, 1.0), p=1),
    "resize": A.Resize(80, 120, p=1),
    "pad": A.PadIfNeeded(200, 260, p=1),
    "grid": A.GridDistortion(distort_limit=0.3, p=1),
    "optical": A.OpticalDistortion(distort_limit=0.3, p=1),
    "spline": A.ThinPlateSpline(scale_range=(0.03, 0.08), p=1),
}
globals().update(MOVES)
gamma = A.RandomGamma(gamma_limit=(40, 60), p=1)
holes = A.GridDropout(ratio=0.5, p=1)
turned = A.OneOf([A.Rotate(30, p=1), A.VerticalFlip(p=1)], p=0.8)
mixed = A.Compose([turned, A.MotionBlur(p=0.5), A.CoarseDropout(p=0.5)])
some = [A.GaussNoise(p=0.5), A.ColorJitter(p=0.5)]
never = A.Compose([A.VerticalFlip(p=1)], p=0)


def made():
    return mixed


def broken():
    raise ValueError("not today")


shuffled = A.Compose([A.Rotate(), A.RandomGridShuffle()])
piecewise = A.PiecewiseAffine(scale=(0.02, 0.04), p=1)
folded = A.ThinPlateSpline(scale_range=(0.4, 0.6), p=1)
normalised = A.Normalize()
strange = [A.HorizontalFlip(), 3]
boxes_wanted = A.BBoxSafeRandomCrop()


class Own(A.ImageOnlyTransform):
    def apply(self, img, **params):
        import numpy as np
        return (img.astype(int) + np.random.default_rng().integers(0, 9)).clip(0, 255).astype("uint8")


impure = Own(p=1)


class Failing(A.ImageOnlyTransform):
    def apply(self, img, **params):
        if img.shape[0] > 150:
            raise RuntimeError("too large")
        return img


late = Failing(p=1)
"""


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    Path("solid.py").write_text(GENERATOR)
    Path("pipelines.py").write_text(PIPELINES)


def stream(name: str | None, generator: str = "Solid", **changes: object) -> Stream:
    augment = replace(PLAIN, pipeline=None if name is None else f"pipelines.py:{name}", **changes)  # type: ignore[arg-type]
    return Stream(f"solid.py:{generator}", 3, "train", image_size=160, augment=augment)


def shown_box(scene: Scene, class_id: int) -> np.ndarray | None:
    """The tight box of the pixels of a colour."""
    others = [channel for channel in range(3) if channel != class_id]
    mask = (scene.image[..., class_id] > 120) & (scene.image[..., others] < 100).all(axis=-1)
    rows, columns = np.nonzero(mask)
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]) if len(rows) else None


@pytest.mark.parametrize(
    "name",
    [
        "flip",
        "quarter",
        "transpose",
        "affine",
        "rotate",
        "perspective",
        "elastic",
        "crop",
        "resize",
        "pad",
        "grid",
        "optical",
        "spline",
    ],
)
def test_boxes_stay_tight(name: str) -> None:
    source, plain = stream(name), stream(None)
    moved = 0
    for index in range(12):
        scene = source[index]
        assert scene.image.shape == (160, 160, 3)
        moved += not np.array_equal(scene.image, plain[index].image)
        for thing in scene.objects:
            pixels = shown_box(scene, thing.class_id)
            assert pixels is not None
            apart = pixels - thing.box
            if thing.in_frame == 1:
                assert np.abs(apart).max() < 2.5, (name, index, thing, pixels)
            # Of an object that the frame cuts the box is that of the whole, clipped.
            assert apart[:2].min() > -2.5 and apart[2:].max() < 2.5, (name, index, thing, pixels)  # noqa: PT018
        for class_id in {0, 1, 2} - {thing.class_id for thing in scene.objects}:
            assert shown_box(scene, class_id) is None
    assert moved >= 6


def test_pixels_change_and_labels_stay() -> None:
    changed, plain = stream("gamma")[0], stream(None)[0]
    assert np.array_equal(changed.boxes, plain.boxes)
    assert not np.array_equal(changed.image, plain.image)


def test_what_is_covered_is_less_visible_and_what_is_cropped_less_in_the_frame() -> None:
    holes = stream("holes")[0]
    assert np.allclose(holes.boxes, stream(None)[0].boxes, atol=1e-4)
    for thing in holes.objects:
        x0, y0, x1, y1 = (round(side) for side in thing.box)
        assert 0.3 < thing.visible < 0.95
        assert (holes.image[y0:y1, x0:x1] == 0).all(axis=-1).any()
    cropped = [thing for index in range(20) for thing in stream("crop")[index].objects]
    assert min(thing.in_frame for thing in cropped) < 0.9
    assert max(thing.in_frame for thing in cropped) == 1.0
    assert all(0 < thing.in_frame <= 1 for thing in cropped)


def test_scenes_depend_on_their_address_alone() -> None:
    source = stream("mixed")
    expected = [scene_digest(source[index]) for index in range(12)]
    again = stream("mixed")
    assert [scene_digest(again[index]) for index in reversed(range(12))] == expected[::-1]
    assert len(set(expected)) == 12
    for workers, method in ((2, "fork"), (1, "spawn")):
        drawn = batches(source, 0, 4, count=3, workers=workers, start_method=method)
        images = np.concatenate([batch.images.numpy() for batch in drawn])
        assert all(np.array_equal(images[index], source[index].image) for index in range(12))


def test_an_object_is_left_out_by_its_number_after_the_pipeline() -> None:
    source = stream("crop", translate_p=1.0, translate=0.4)
    lost = 0
    for index in range(20):
        scene = source[index]
        lost += len(scene.objects) < 3
        for number, thing in enumerate(scene.objects):
            without = source.without(index, number)
            assert shown_box(without, thing.class_id) is None
            assert len(without.objects) == len(scene.objects) - 1
        assert len(source.painted(index)) == len(scene.objects)
        with pytest.raises(GeneratorError, match="expected an object from 0"):
            source.without(index, len(scene.objects))
    assert lost > 0


def test_saved_pipelines_do_the_same_as_the_code() -> None:
    module = import_albumentations()
    pipeline = module.Compose([module.HorizontalFlip(p=0.5), module.RandomGamma(p=0.5), module.Rotate(20, p=0.5)])
    module.save(pipeline, "saved.yaml", data_format="yaml")
    module.save(pipeline, "saved.json", data_format="json")
    Path("code.py").write_text(
        "import albumentations as A\n"
        "same = A.Compose([A.HorizontalFlip(p=0.5), A.RandomGamma(p=0.5), A.Rotate(20, p=0.5)])"
    )
    scenes = [
        Stream("solid.py:Solid", 3, "train", image_size=96, augment=replace(PLAIN, pipeline=spec))
        for spec in ("saved.yaml", "saved.json", "code.py:same")
    ]
    for index in range(6):
        assert len({scene_digest(one[index]) for one in scenes}) == 1


@pytest.mark.parametrize("name", ["made", "some", "never"])
def test_forms_of_a_pipeline(name: str) -> None:
    changed = [not np.array_equal(stream(name)[index].image, stream(None)[index].image) for index in range(12)]
    assert any(changed) == (name != "never")


def test_switched_off_it_is_not_even_loaded() -> None:
    off = replace(PLAIN, enabled=False, pipeline="nowhere.yaml")
    scene = Stream("solid.py:Solid", 3, "train", image_size=160, augment=off)[0]
    assert np.array_equal(scene.image, stream(None)[0].image)


def test_a_scene_without_objects() -> None:
    for name in ("affine", "gamma", "mixed"):
        scene = stream(name, "Nothing")[1]
        assert scene.objects == ()
        assert scene.ignore.shape == (0, 4)


def test_boxes_without_outlines_are_not_turned_unless_allowed() -> None:
    with pytest.raises(GeneratorError, match=r"Affine turns or bends objects .*--augment.loose-boxes on"):
        stream("affine", "Boxes")[0]
    assert len(stream("affine", "Boxes", loose_boxes=True)[0].objects) == 1
    (plain,), (flipped,) = stream(None, "Boxes")[0].objects, stream("flip", "Boxes")[0].objects
    x0, y0, x1, y1 = plain.box
    assert flipped.box == pytest.approx((160 - x1, y0, 160 - x0, y1), abs=1e-3)
    assert flipped.outline is None


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("shuffled", "RandomGridShuffle does not keep labels"),
        ("folded", "ThinPlateSpline does not keep labels"),
        ("piecewise", "PiecewiseAffine does not keep labels: it folds the picture in 8 of 8 draws; weaken it"),
        ("normalised", "Normalize gives float32 of shape"),
        ("strange", "expected transforms of albumentations, found 3"),
        ("boxes_wanted", "BBoxSafeRandomCrop cannot be used on generated scenes"),
        ("impure", "Own draws chance of its own"),
        ("broken", "failed: ValueError: not today"),
        ("absent", "pipelines.py has no absent"),
    ],
)
def test_a_transform_that_cannot_be_used_is_refused_by_name(name: str, complaint: str) -> None:
    with pytest.raises(OptionError, match=f"augment.pipeline: .*{complaint}"):
        stream(name)


def test_a_transform_that_fails_on_a_scene_is_named_with_it() -> None:
    complaint = r"failed on scene 2 .*--augment.pipeline pipelines.py:late: RuntimeError: too"
    with pytest.raises(GeneratorError, match=complaint):
        stream("late")[2]


@pytest.mark.parametrize(
    ("spec", "content", "complaint"),
    [
        ("a.yaml", None, "expected an albumentations pipeline, found no such file"),
        ("a.yaml", "a: [", "a.yaml: expected a pipeline as albumentations.save writes it"),
        ("a.json", '{"a": 1}', "a.json: expected a pipeline as albumentations.save writes it: KeyError"),
        ("a.json", '{"transform": {"__class_fullname__": "os.system", "p": 1}}', "expected a pipeline as"),
        ("a.yaml", "!!python/object/apply:os.system ['touch pwned']", "expected a pipeline as"),
        ("a.txt", "", r"expected FILE.yaml, FILE.json .* or file.py:name, found 'a.txt'"),
        ("b.py:x", "x = 1 +", "b.py cannot be imported: .*b.py:1"),
    ],
)
def test_a_file_that_is_none_is_one_line(spec: str, content: str | None, complaint: str) -> None:
    if content is not None:
        Path(spec.partition(":")[0]).write_text(content)
    with pytest.raises((ConfigError, GeneratorError), match=complaint):
        Stream("solid.py:Solid", 0, "train", augment=replace(PLAIN, pipeline=spec))
    assert not Path("pwned").exists()


def test_the_pipeline_is_part_of_the_data() -> None:
    shutil.copy("pipelines.py", "other.py")
    config = Config(generator=GeneratorConfig("solid.py:Solid"), image_size=64, augment=PLAIN)
    plain = fingerprint(config)
    assert "library albumentations" not in plain
    piped = replace(config, augment=replace(PLAIN, pipeline="other.py:flip"))
    first = fingerprint(piped)
    assert {line.partition(":")[0] for line in changed_parts(plain, first)} >= {"augment pipeline", "probe scenes"}
    Path("other.py").write_text(PIPELINES + "\n# changed\n")
    assert [line.partition(":")[0] for line in changed_parts(first, fingerprint(piped))] == ["augment pipeline"]


def test_a_file_may_not_name_code_that_nobody_allowed() -> None:
    code = as_given({"augment.pipeline": "pipelines.py:flip"}, "run.toml: ", of_file=True)
    with pytest.raises(GeneratorError, match=r"run.toml: augment.pipeline: names the pipeline .*add --trust"):
        config_from_values(code)
    assert config_from_values(code, trust=True).augment.pipeline == "pipelines.py:flip"
    assert config_from_values(as_given({"augment.pipeline": "pipelines.py:flip"}, "--")).augment.pipeline is not None
    data = as_given({"augment.pipeline": "a.yaml"}, "run.toml: ", of_file=True)
    assert config_from_values(data).augment.pipeline == "a.yaml"


def test_outlines_are_cut_to_what_the_picture_shows() -> None:
    """An object that the frame cuts has nothing beyond it that a transform could move in."""
    Path("cut.py").write_text(
        "from yolo_proc import Generator, circle\n"
        "class Cut(Generator):\n"
        "    classes = ('red',)\n"
        "    def draw(self, canvas, rng):\n"
        "        canvas.background((0, 0, 0))\n"
        "        canvas.draw(circle(0.0, 0.5, 0.2), (250, 20, 20), 'red')\n"
        "import albumentations as A\n"
        "shifted = A.Affine(translate_px={'x': 60, 'y': 0}, p=1)\n"
    )
    augment = replace(PLAIN, pipeline="cut.py:shifted")
    scene = Stream("cut.py:Cut", 0, "train", image_size=160, augment=augment)[0]
    (thing,) = scene.objects
    assert np.abs(np.array(thing.box) - shown_box(scene, 0)).max() < 1.5
    assert thing.in_frame == pytest.approx(0.5, abs=0.02)
    assert cv2.contourArea(thing.outline.astype(np.float32)) == pytest.approx(np.pi * 32**2 / 2, rel=0.05)  # type: ignore[union-attr]


def test_the_check_of_pictures_passes_under_a_transform_that_looks_at_the_whole_picture() -> None:
    Path("whole.py").write_text(
        "import albumentations as A\neq = A.Compose([A.Equalize(p=1), A.Affine(rotate=(-20, 20), p=1)])\n"
    )
    words = ["check", "--generator", "solid.py:Solid", "--image-size", "128", "--only", "picture", "--workers", "0"]
    assert main([*words, "--augment.pipeline", "whole.py:eq"]) == 0
