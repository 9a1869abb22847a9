"""A model on labelled pictures and on scenes that are not its own."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from oracle import SIDE, Oracle, Scenes, scene_of
from PIL import Image
from tiny_export import tiny_checkpoint

from yolo_proc.cli.main import main
from yolo_proc.config.schema import LabelConfig
from yolo_proc.data.folder import Folder
from yolo_proc.data.generator import load_generator
from yolo_proc.data.stream import Stream
from yolo_proc.detection.codec import H, J, W
from yolo_proc.errors import DataError
from yolo_proc.evaluation.elsewhere import Comparison, evaluate_folder, unknown_classes, wilson
from yolo_proc.evaluation.evaluate import evaluate, matched_classes
from yolo_proc.evaluation.predict import Detector
from yolo_proc.models.network import Yolo
from yolo_proc.scene import Scene

LIMITS = LabelConfig(min_visible=0.4, min_in_frame=0.5, min_box_px=4)
OWN = ("A", "B", "C")
SCENES = [
    scene_of(0, [((10, 10, 40, 40), 0), ((60, 60, 100, 90), 1)]),
    scene_of(1, []),
    scene_of(2, [((5, 50, 20, 95), 2)]),
    scene_of(3, [((70, 10, 100, 44), 0), ((20, 80, 50, 110), 0)]),
]


class Reader:
    """Looks like a Detector."""

    classes = OWN
    device = torch.device("cpu")

    def __init__(self, model: Oracle) -> None:
        self.model = model

    def model_for(self, width: int, height: int) -> Oracle:
        assert (width, height) == (SIDE, SIDE)
        return self.model


def written(root: Path, scenes: Sequence[Scene], names: Sequence[str], extra: str = "") -> Folder:
    """A YOLO data set of scenes, its classes in an order of their own."""
    (root / "images").mkdir(parents=True)
    (root / "labels").mkdir()
    (root / "data.yaml").write_text(f"train: images\nnames: {json.dumps(list(names))}\n")
    for number, scene in enumerate(scenes):
        Image.fromarray(scene.image).save(root / "images" / f"{number}.png")
        lines = []
        for thing in scene.objects:
            x0, y0, x1, y1 = (side / SIDE for side in thing.box)
            name = OWN[thing.class_id]
            lines.append(f"{names.index(name)} {(x0 + x1) / 2} {(y0 + y1) / 2} {x1 - x0} {y1 - y0}")
        (root / "labels" / f"{number}.txt").write_text("\n".join([*lines, extra]) + "\n")
    return cast(Folder, load_generator(f"folder:{root}"))


def spoilt(number: int, logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Boxes too large, a wrong class, and a miss."""
    logits[:, W : H + 1] += math.log(1.1)
    if number == 2:
        logits[:, 5:] = np.roll(logits[:, 5:], 1, axis=1)
    if number == 3:
        logits[:, J] = -20
    return logits


def on_folder(folder: Folder, model: Oracle, **options: Any) -> Any:
    return evaluate_folder({"only": cast(Detector, Reader(model))}, folder, LIMITS, **options)["only"]


@pytest.mark.parametrize("names", [OWN, ("C", "dog", "B", "A")])
def test_a_folder_is_judged_as_a_stream_of_the_same_pictures(tmp_path: Path, names: Sequence[str]) -> None:
    done: list[int] = []
    found = on_folder(written(tmp_path / "set", SCENES, names), Oracle(SCENES, spoilt), on_images=done.append)
    wanted = evaluate({"only": cast(Yolo, Oracle(SCENES, spoilt))}, cast(Stream, Scenes(SCENES)), 4, LIMITS)["only"]
    assert 0 < found.map50 < 1
    for one, other in zip((found.overall, *found.classes), (wanted.overall, *wanted.classes), strict=True):
        assert one.name == other.name
        assert (one.ap50, one.ap50_95, one.precision, one.recall) == pytest.approx(
            (other.ap50, other.ap50_95, other.precision, other.recall), nan_ok=True
        )
        assert (one.objects, one.detections) == (other.objects, other.detections)
    assert done == [1, 2, 3, 4]


def test_objects_of_other_classes_are_left_out_and_what_is_said_of_them_is_wrong(tmp_path: Path) -> None:
    dog = "3 0.8 0.8 0.2 0.2"
    model = Oracle(SCENES)
    found = on_folder(written(tmp_path / "set", SCENES, (*OWN, "dog"), dog), model)
    assert (found.overall.objects, found.overall.precision, found.map50) == (5, 1, pytest.approx(1))
    shown = [
        replace(scene, objects=(*scene.objects, *scene_of(0, [((90, 90, 115, 115), 1)]).objects)) for scene in SCENES
    ]
    found = on_folder(written(tmp_path / "other", SCENES, (*OWN, "dog"), dog), Oracle(shown))
    assert found.overall.precision == pytest.approx(5 / 9)


def test_a_folder_without_objects(tmp_path: Path) -> None:
    found = on_folder(written(tmp_path / "set", [SCENES[1]], OWN), Oracle(SCENES))
    assert (found.images, found.overall.objects) == (1, 0)
    assert math.isnan(found.map50)
    comparison = Comparison(found, found, "there")
    assert json.loads(json.dumps(comparison.to_dict(), allow_nan=False))["difference"]["mAP50"] is None
    assert all("nan" not in line for line in comparison.lines())


def test_classes_are_matched_by_name() -> None:
    assert matched_classes(OWN, ("C", "x", "A"), "there").tolist() == [2, -1, 0]
    with pytest.raises(DataError, match=r"there: expected a class of the model \(A, B, C\), found a, dog"):
        matched_classes(OWN, ("a", "dog"), "there")
    assert unknown_classes(OWN, ("C", "A", "B"), "there") == ()
    assert unknown_classes(OWN, ("C", "x", "A"), "there") == (
        "there: the model does not know x; such objects are left out",
        "there: there is no B to be found",
    )


def test_wilsons_interval() -> None:
    # Agresti and Coull, "Approximate is better than exact", 1998: 0 of 10, and the usual example 8 of 10.
    assert wilson(0, 10) == pytest.approx((0, 0.2775), abs=1e-4)
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson(1000, 1000)[0] > 0.99
    assert all(map(math.isnan, wilson(0, 0)))


def test_the_comparison_says_what_is_wrong_there(tmp_path: Path) -> None:
    own = evaluate({"only": cast(Yolo, Oracle(SCENES))}, cast(Stream, Scenes(SCENES)), 4, LIMITS)["only"]
    many = [scene_of(number, SCENES[number % 4].objects and [((10, 10, 40, 40), 0)]) for number in range(60)]

    def misses(number: int, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        if number % 3:
            logits[:, J] = -20
        return logits

    missed = on_folder(written(tmp_path / "set", many, OWN), Oracle(many, misses))
    lines = Comparison(own, missed, "folder:real").lines()
    assert lines[0].split() == ["own", "scenes", "folder:real", "difference", "95", "%"]
    rows = {line.split()[0]: line.split()[1:] for line in lines[1:5]}
    share = missed.overall.recall
    low, high = wilson(round(share * missed.overall.objects), missed.overall.objects)
    assert rows["recall"] == ["1.000", f"{share:.3f}", f"{share - 1:+.3f}", f"{low:.2f}", "to", f"{high:.2f}"]
    assert "objects are not found there" in lines[-1]
    assert len(Comparison(own, own, "folder:real").lines()) == 5
    wrong = on_folder(written(tmp_path / "blank", [scene_of(0, []), scene_of(3, [])], OWN), Oracle(SCENES))
    assert Comparison(own, wrong, "there").lines()[-1].startswith("4 of 4 boxes are wrong there")


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = str(tiny_checkpoint(tmp_path / "a.pt"))
    written(tmp_path / "set", SCENES, OWN)
    generator = tmp_path / "other.py"
    generator.write_text(
        "from yolo_proc import Generator, circle\n\n\nclass Other(Generator):\n    classes = ('dog', 'A')\n\n"
        "    def draw(self, canvas, rng):\n        canvas.draw(circle(0.5, 0.5, 0.2), (255, 0, 0), 'A')\n"
    )
    words = ["evaluate", "--checkpoint", checkpoint, "--images", "3", "--workers", "0"]
    assert main([*words, "--on", f"folder:{tmp_path / 'set'}", "--json"]) == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert (found["images"], found["on"]["images"], found["on"]["objects"]) == (3, 4, 3)
    assert set(found["difference"]) == {"mAP50", "mAP50-95", "precision", "recall"}
    assert "there is no Ö, 😀, four to be found" in captured.err
    assert main([*words, "--on", f"{generator}:Other", "--weights", "both"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("own scenes") == 2
    assert main([*words, "--on", "shapes"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines()[-1].startswith("yolo_proc evaluate: shapes: expected a class of the model")
    assert main([*words, "--on", f"folder:{tmp_path / 'nowhere'}"]) == 2
