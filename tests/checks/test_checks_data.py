"""The checks of data on healthy variants, pictures that cannot be redrawn among them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from faults import with_boxes, with_scenes
from faults_picture import in_frame, mirrored_images
from tiny_run import tiny_config
from variants import SCENES

from yolo_proc.checks.bench import Bench
from yolo_proc.checks.check import run_checks
from yolo_proc.checks.registry import DATA
from yolo_proc.config.schema import AugmentConfig, Config, GeneratorConfig, LabelConfig, ModelConfig
from yolo_proc.datasets.chunks import SetRequest
from yolo_proc.datasets.generate import generate
from yolo_proc.scene import Scene
from yolo_proc.training.outcomes import Finding

pytestmark = pytest.mark.slow

SIDE = 96
SPARSE = """
from yolo_proc import Generator, circle, rectangle


class Sparse(Generator):
    classes = ("disc", "bar")
    flip_x = 0.5

    def draw(self, canvas, rng):
        canvas.background(rng.integers(0, 256, 3))
        if rng.random() < 0.4:
            return
        x, y = rng.uniform(0.2, 0.8, 2)
        if rng.random() < 0.5:
            canvas.draw(circle(x, y, 0.12), rng.integers(0, 256, 3), "disc")
        else:
            canvas.draw(rectangle(x - 0.1, y - 0.05, x + 0.1, y + 0.05), rng.integers(0, 256, 3), "bar")
"""


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> None:
    torch.set_num_threads(1)


def small_config(**changes: object) -> Config:
    config = replace(tiny_config(Path("nowhere"), image_size=SIDE, batch_size=8), **changes)  # type: ignore[arg-type]
    return replace(config, model=replace(config.model, anchor_scenes=200))


def findings(bench: Bench, *names: str) -> dict[str, Finding]:
    checks = [check for check in DATA if not names or check.name in names]
    return {one.check: one.finding for one in run_checks(bench, checks)}


def told(found: dict[str, Finding]) -> list[str]:
    return [
        f"{name}: {one.verdict}: {one.measured} {one.reason} {one.causes}"
        for name, one in found.items()
        if one.verdict != "pass"
    ]


# ------------------------------------------------------------------------------------------------- healthy

STRIDE_8 = ModelConfig(width=0.25, depth=1, strides=(8,))
SMALL_OBJECTS = {"max_objects": 60, "size": (16.0, 30.0)}
HEALTHY = {
    **{f"shapes {seed}": {"seed": seed} for seed in range(1, 5)},
    **{f"glyphs {seed}": {"seed": seed, "generator": GeneratorConfig("glyphs")} for seed in range(1, 5)},
    "60 small objects": {"generator": GeneratorConfig("shapes", SMALL_OBJECTS), "image_size": 160},
    # Its parameter has the name of a method that sources of pictures have.
    "a parameter named count": {"generator": GeneratorConfig(f"{SCENES}:Small"), "model": STRIDE_8, "image_size": 256},
    "no augmentation": {"augment": AugmentConfig(enabled=False)},
    "every augmentation": {
        "augment": AugmentConfig(compression_p=0.5, blur_p=0.5, noise_p=0.5, rotate_p=0.5, shear_p=0.5, colour_p=0.5)
    },
}


@pytest.mark.parametrize("changes", HEALTHY.values(), ids=HEALTHY)
def test_no_check_of_data_fails_on_a_healthy_variant(changes: dict[str, object]) -> None:
    assert told(findings(Bench(small_config(**changes)))) == []


def test_empty_scenes_are_healthy(tmp_path: Path) -> None:
    (tmp_path / "sparse.py").write_text(SPARSE)
    assert told(findings(Bench(small_config(generator=GeneratorConfig(f"{tmp_path / 'sparse.py'}:Sparse"))))) == []


def test_grey_images_are_healthy() -> None:
    def grey(scene: Scene, index: int) -> Scene:
        levels = scene.image.mean(axis=2, keepdims=True).astype(np.uint8)
        return Scene(np.repeat(levels, 3, axis=2), scene.objects, scene.ignore)

    assert told(findings(with_scenes(Bench(small_config()), grey))) == []


# ------------------------------------------------------------------------------------- annotated pictures


@pytest.fixture(scope="module")
def annotated(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """150 annotated pictures of shapes."""
    out = tmp_path_factory.mktemp("annotated") / "set"
    config = small_config(augment=AugmentConfig(enabled=False))
    generate(SetRequest(config=config, count=150, format="yolo", out=out, picture_type="png"))
    return Bench(small_config(generator=GeneratorConfig(f"folder:{out}")))


def test_annotated_pictures_are_healthy(annotated: Bench) -> None:
    found = findings(annotated)
    assert told(found) == []
    assert found["picture"].figures["redrawn"] == 0
    assert found["picture"].figures["annotated"] > 50  # type: ignore[operator]
    pictures = annotated.stream.generator.count("train")  # type: ignore[attr-defined]
    assert found["variety"].figures["scenes"] == pictures, "each picture once, though the stream has no end"
    assert found["variety"].figures["repeated"] == 0


@pytest.mark.parametrize("pixels", [1, 2, 4, 8, 16])
def test_boxes_beside_annotated_objects_are_found(annotated: Bench, pixels: float) -> None:
    found = findings(with_boxes(annotated, lambda boxes: in_frame(boxes + pixels, SIDE)), "picture")["picture"]
    assert found.verdict == "fail"
    assert "shifted" in found.causes[0]


def test_annotated_pictures_that_are_mirrored_alone_are_found(annotated: Bench) -> None:
    found = findings(with_scenes(annotated, mirrored_images), "picture")["picture"]
    assert found.verdict == "fail"
    assert "not mirrored" in found.causes[0]


def test_pictures_that_say_nothing_of_their_boxes_are_not_judged(annotated: Bench) -> None:
    def noise(scene: Scene, index: int) -> Scene:
        image = np.random.default_rng(index).integers(0, 256, scene.image.shape, dtype=np.uint8)
        return Scene(image, scene.objects, scene.ignore)

    found = findings(with_scenes(annotated, noise), "picture")["picture"]
    assert found.verdict == "not applicable"
    assert "no better than others" in found.reason


# ------------------------------------------------------------------------------------- what costs a little


def test_large_objects_a_little_beside_their_boxes_are_a_warning() -> None:
    """A shift of 0.8 px costs objects of 50 px an IoU of 0.03, and those of 9 px one of 0.3."""

    def shifted(size: float) -> Finding:
        own = GeneratorConfig(f"{Path(__file__).parents[1] / 'faults_scenes.py'}:Cartons", {"size": size})
        return findings(Bench(small_config(generator=own, augment=AugmentConfig(enabled=False))), "picture")["picture"]

    large, small = shifted(0.5), shifted(0.09)
    assert (large.verdict, small.verdict) == ("warning", "fail")
    assert "boxes are shifted" in large.causes[0]
    assert "IoU of 0.9" in large.causes[0]
    assert large.remedy


def test_hidden_objects_are_a_warning_while_enough_are_left() -> None:
    def hidden(least: float) -> Finding:
        own, still = GeneratorConfig("glyphs"), AugmentConfig(enabled=False)
        bench = Bench(small_config(generator=own, augment=still, labels=LabelConfig(min_visible=least)))
        return findings(bench, "labels")["labels"]

    some, most = hidden(0.95), hidden(0.99)
    assert 0.2 < some.figures["dropped share"] < 0.5 < most.figures["dropped share"]  # type: ignore[operator]
    assert (some.verdict, most.verdict) == ("warning", "fail")
    assert "parts" in some.causes[0]
    assert "canvas.object" in some.remedy
