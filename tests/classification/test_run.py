"""Classification from a generator to a class: training, stopping, resuming, evaluating, predicting."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_run import STEPS_PER_EPOCH, differing, run_tiny, tiny_config

from yolo_proc import Classifier, Detector, Stream
from yolo_proc.cli.main import main
from yolo_proc.config.schema import Config, GeneratorConfig, LossConfig, ModelConfig
from yolo_proc.errors import CheckpointError, ConfigError, TrainingError
from yolo_proc.evaluation.accuracy import evaluate_classifier, judge
from yolo_proc.models import checkpoint
from yolo_proc.training.events import EpochEnd, Step, Stopped

pytestmark = pytest.mark.slow

# Scenes without an object: their brightness is their class, so that a few steps are enough.
SCENES = """
from dataclasses import dataclass
from yolo_proc import Generator

@dataclass(frozen=True)
class Lights(Generator):
    classes = ("dark", "bright")

    def draw(self, canvas, rng):
        bright = bool(rng.integers(2))
        canvas.background(rng.integers(150, 256, 3) if bright else rng.integers(0, 100, 3))
        canvas.label_scene("bright" if bright else 0)

class Mixed(Generator):
    classes = ("grey", "bright", "dark")

    def draw(self, canvas, rng):
        kind = int(rng.integers(3))
        canvas.background([(128, 128, 128), (220, 220, 220), (40, 40, 40)][kind])
        canvas.label_scene(kind)

class Several(Generator):
    classes = ("a", "b")

    def draw(self, canvas, rng):
        for place in (0.3, 0.7):
            from yolo_proc import circle
            canvas.draw(circle(place, place, 0.1), (255, 0, 0), "a")
"""


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    path = tmp_path / "lights.py"
    path.write_text(SCENES)
    return path


def config_of(scenes: Path, **changes: object) -> Config:
    model = ModelConfig(width=0.25, depth=1)
    config = tiny_config(scenes.parent / "runs", task="classification", epochs=4, model=model)
    return replace(config, generator=GeneratorConfig(f"{scenes}:Lights"), **changes)  # type: ignore[arg-type]


def test_a_scene_is_labelled_and_stays_so(scenes: Path) -> None:
    stream = Stream(f"{scenes}:Lights", 0, "train", image_size=64)
    labels = [stream[index].class_id for index in range(20)]
    assert set(labels) == {0, 1}
    plain = [int(stream[index].image.mean() > 125) for index in range(20)]
    assert labels == plain  # whatever the augmentation was
    assert stream.bare(0).class_id == labels[0]


def test_it_trains_to_a_target_and_tells_accuracy_beside_the_loss(scenes: Path) -> None:
    events = run_tiny(config_of(scenes, epochs=30, target_loss=0.3))
    ends = [event for event in events if isinstance(event, EpochEnd)]
    assert list(ends[0].terms) == ["class"]
    assert list(ends[0].figures) == ["accuracy", "margin", "val_accuracy", "val_margin"]
    assert ends[-1].figures["val_accuracy"] == 1.0
    assert ends[-1].figures["val_margin"] > ends[0].figures["val_margin"]
    last = events[-1]
    assert isinstance(last, Stopped)
    assert (last.reason, last.exit_code) == ("target", 0)
    folder = scenes.parent / "runs" / "tiny"
    rows = list(csv.DictReader(io.StringIO((folder / "metrics.csv").read_text())))
    assert float(rows[-1]["val_accuracy"]) == 1.0
    assert {"accuracy", "margin"} <= set(rows[0])
    steps = list(csv.DictReader(io.StringIO((folder / "steps.csv").read_text())))
    assert len(steps) == sum(isinstance(event, Step) for event in events)
    accuracies = [float(row["accuracy"]) for row in steps[:STEPS_PER_EPOCH]]
    assert float(rows[0]["accuracy"]) == pytest.approx(sum(accuracies) / STEPS_PER_EPOCH)
    assert (folder / "preview.png").exists()
    assert (folder / "predictions.png").exists()


@pytest.mark.parametrize("stop_after", [1, STEPS_PER_EPOCH + 3])
def test_an_interrupted_run_is_the_same_bit_for_bit(scenes: Path, stop_after: int) -> None:
    config = config_of(scenes)
    run_tiny(replace(config, run="whole"))
    run_tiny(replace(config, run="half"), stop_after=stop_after)
    runs = scenes.parent / "runs"
    run_tiny(replace(config, run="half"), runs / "half")
    whole, half = (checkpoint.load(runs / name / "000004.pt") for name in ("whole", "half"))
    assert [place for place in differing(whole, half) if not place.startswith("/config/run")] == []
    assert (runs / "whole" / "metrics.csv").read_bytes() == (runs / "half" / "metrics.csv").read_bytes()


def test_scenes_whose_class_is_not_clear_stop_the_run(scenes: Path) -> None:
    config = replace(config_of(scenes), generator=GeneratorConfig(f"{scenes}:Several"))
    with pytest.raises(TrainingError, match=r"scene \d+: 2 objects and no label; .* no weight was changed"):
        run_tiny(config)


@pytest.mark.parametrize(
    ("changes", "option"),
    [
        ({"model": ModelConfig(strides=(8,))}, "model.strides"),
        ({"loss": LossConfig(weight_wh=1.0)}, "loss.weight-wh"),
        ({"model": ModelConfig(anchors="30x30")}, "model.anchors"),
    ],
)
def test_options_of_detection_are_refused(scenes: Path, changes: dict[str, object], option: str) -> None:
    with pytest.raises(ConfigError, match=f"{option}: the task classification does not read it, detection does"):
        run_tiny(config_of(scenes, **changes))


@pytest.fixture
def trained(scenes: Path) -> Path:
    run_tiny(config_of(scenes, epochs=12))
    return scenes.parent / "runs" / "tiny"


def test_from_a_checkpoint_to_classes_from_python_and_from_the_command_line(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YOLO_PROC_TRUST", "on")
    classifier = Classifier.load(trained)
    assert classifier.classes == ("dark", "bright")
    bright = np.full((40, 100, 3), 220, np.uint8)
    found = classifier.classify(bright)
    assert classifier.classes[found.class_id] == "bright"
    assert found.margin > 0
    assert classifier.classify_batch([]) == []
    with pytest.raises(CheckpointError, match="expected a checkpoint of the task detection, found one of classificat"):
        Detector.load(trained)
    Image.fromarray(bright).save(tmp_path / "bright.png")
    Image.fromarray(bright // 8).save(tmp_path / "dark.png")
    words = ["predict", str(tmp_path / "bright.png"), str(tmp_path / "dark.png"), "--model", str(trained)]
    capsys.readouterr()
    assert main([*words, "--json", "--top", "1", "--out", str(tmp_path / "found")]) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert [one["label"] for one in first["classes"]] == ["bright"]
    assert [one["label"] for one in second["classes"]] == ["dark"]
    assert first["margin"] == pytest.approx(found.margin, abs=1e-3)
    assert sorted(path.name for path in (tmp_path / "found").iterdir()) == ["bright.png", "dark.png"]
    assert main(words) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith(f"{tmp_path}/bright.png: bright ")
    assert "(margin " in out[0]
    assert main([*words, "--nms", "class"]) == 2
    assert "--nms: the model is a classifier" in capsys.readouterr().err
    assert main(["evaluate", "--run", str(trained), "--images", "30", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["top1"] == 1.0
    assert np.array(figures["confusion"]).sum() == figures["images"] == 30
    assert main(["evaluate", "--run", str(trained), "--images", "10"]) == 0
    assert "top-1 accuracy 1.0000, cross-entropy" in capsys.readouterr().out
    other = ["--on", f"{trained.parents[1] / 'lights.py'}:Mixed"]
    assert main(["evaluate", "--run", str(trained), "--images", "30", "--json", *other]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["on"]["top1"] == 1.0
    assert 10 < figures["on"]["images"] < 30  # without the grey ones
    assert figures["difference"] == {"top1": 0.0}
    assert main(["evaluate", "--run", str(trained), "--images", "30", *other]) == 0
    captured = capsys.readouterr()
    assert "top-1 accuracy: own scenes 1.000" in captured.out
    assert "the model does not know grey" in captured.err
    assert main(["describe", "--run", str(trained)]) == 0
    assert "2 logits, of the whole image" in capsys.readouterr().out


def test_accuracy_by_hand() -> None:
    logits = np.array([[2, 1, 0], [0, 1, 3], [0, 2, 1], [5, 0, 0], [9, 9, 9]], np.float32)
    found = judge(np.array([0, 1, 1, 2, -1]), logits, ("a", "b", "c"), {"no_object": 1})
    assert (found.images, found.top1, found.k, found.top_k) == (4, 0.5, 2, 0.75)
    assert found.confusion == ((1, 0, 0), (0, 1, 1), (1, 0, 0))
    assert [one.recall for one in found.classes] == [1.0, 0.5, 0.0]
    assert [one.precision for one in found.classes] == [0.5, 1.0, 0.0]
    assert found.margins["50 %"] == pytest.approx(np.median([1, -2, 1, -5]))
    assert "1 no_object" in found.table()


def test_nothing_to_judge(scenes: Path) -> None:
    found = judge(np.zeros(0, np.int64), np.zeros((0, 2), np.float32), ("a", "b"), {})
    assert found.images == 0
    assert json.loads(json.dumps(found.to_dict()))["top1"] is None
    assert "0 images" in found.table()
    stream = Stream(f"{scenes}:Lights", 0, "test", image_size=64)
    assert evaluate_classifier({}, stream, 4, tiny_config(Path()).labels) == {}
