"""A classifier, and a network of torchvision, out of Python: gates, files, and the Java library on them."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from java_parity import scene
from PIL import Image
from tiny_run import run_tiny, tiny_config

from yolo_proc.classification.results import softmax
from yolo_proc.cli.main import main
from yolo_proc.config.schema import GeneratorConfig, ModelConfig
from yolo_proc.errors import DataError
from yolo_proc.evaluation.classifier import Classifier
from yolo_proc.export.session import OnnxClassifier, OnnxDetector, Settings, load_model
from yolo_proc.export.spec import CLASSIFICATION, ModelError, ModelSpec
from yolo_proc.export.stages import replay
from yolo_proc.export.vectors import read_vectors
from yolo_proc.export.verify import GATES
from yolo_proc.export.verify_classes import ClassComparison
from yolo_proc.imaging.pictures import read_picture

pytestmark = pytest.mark.java

ROOT = Path(__file__).parents[2]
JAR = ROOT / "export/java/target/yolo-proc.jar"
SCENES = """
from dataclasses import dataclass
from yolo_proc import Generator

@dataclass(frozen=True)
class Colours(Generator):
    classes = ("red", "green", "blue")

    def draw(self, canvas, rng):
        which = int(rng.integers(3))
        colour = rng.integers(0, 90, 3)
        colour[which] += 150
        canvas.background(colour)
        canvas.label_scene(which)
"""


def java(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["java", "-jar", str(JAR), *map(str, words)], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier that was trained for seconds, exported in all precisions by the command."""
    assert JAR.is_file(), f"{JAR} is missing: `make test` builds it (cd export/java && mvn -q -B package)"
    folder = tmp_path_factory.mktemp("classifier")
    (folder / "colours.py").write_text(SCENES)
    config = tiny_config(folder, task="classification", epochs=20, model=ModelConfig(width=0.25, depth=1))
    run_tiny(replace(config, generator=GeneratorConfig(f"{folder / 'colours.py'}:Colours")))
    out = folder / "exported"
    words = ["export", "--checkpoint", str(folder / "tiny"), "--images", "200", "--threads", "1", "--trust"]
    assert main([*words, "--out", str(out), "--precision", "all"]) == 0
    predictions = ["--out", str(folder / "predictions"), "--outputs", "predictions", "--input", "float-nchw"]
    assert main([*words, *predictions]) == 0
    return out


def test_the_exported_classifier_is_the_network(exported: Path) -> None:
    network = Classifier.load(exported.parent / "tiny", device="cpu")
    models = {name: OnnxClassifier.load(exported / name) for name in ("model.onnx", "model-fp16.onnx")}
    shares = OnnxClassifier.load(exported.parent / "predictions" / "model.onnx", settings=Settings(threads=1))
    for index, size in enumerate(((64, 64), (90, 41), (17, 200))):
        rgb = scene(*size, index)
        expected = network.classify(rgb)
        for name, model in models.items():
            found = model.classify(rgb)
            assert found.class_ids.tolist() == expected.class_ids.tolist(), name
            assert found.logits == pytest.approx(expected.logits, abs=0.05 if "fp16" in name else 1e-3)
        activated = shares.classify(rgb)
        assert activated.confidence == pytest.approx(softmax(expected.logits), abs=1e-4)
        assert np.isnan(activated.logits).all()
    assert models["model.onnx"].classify_batch(np.zeros((0, 64, 64, 3), np.uint8)) == []
    with pytest.raises(DataError, match="classify: expected a uint8 RGB picture"):
        models["model.onnx"].classify(np.zeros((4, 4), np.uint8))


def test_what_it_says_of_itself(exported: Path) -> None:
    said = json.loads((exported / "model.json").read_text())
    assert said["task"] == "classification"
    assert not {"grids", "defaults"} & set(said)
    assert isinstance(load_model(exported / "model.onnx"), OnnxClassifier)
    with pytest.raises(ModelError, match="expected a model of the task detection, found one of classification; OnnxC"):
        OnnxDetector.load(exported / "model.onnx")
    assert replay(read_vectors(exported / "vectors"), OnnxClassifier.load(exported / "model.onnx").run) == []
    text = (exported / "README.md").read_text()
    assert "N x 3" in text
    assert "slot" not in text


def test_the_readmes_python_is_true(exported: Path, tmp_path: Path) -> None:
    Image.fromarray(scene(64, 64)).save(tmp_path / "photo.jpg")
    code = re.search(r"```python\n(.*?)```", (exported / "README.md").read_text(), re.DOTALL)
    assert code is not None
    (tmp_path / "model.onnx").write_bytes((exported / "model.onnx").read_bytes())
    done = subprocess.run([sys.executable, "-c", code[1]], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] in ("red", "green", "blue")


@pytest.mark.parametrize("place", [".", "../predictions"])
def test_java_verifies_it(exported: Path, place: str) -> None:
    done = java("verify", exported / place)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "classify: 3 of 3 as expected" in done.stdout


def test_java_and_python_tell_the_same_classes(
    exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, size in enumerate(((64, 64), (90, 41), (17, 200), (1, 1), (640, 480))):
        Image.fromarray(scene(*size, number)).save(tmp_path / f"{number}.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    for file in (exported / "model.onnx", exported / "model-int8.onnx", exported.parent / "predictions/model.onnx"):
        done = java("classify", file, tmp_path, "--json", "--top", "3")
        assert done.returncode == 0, done.stderr
        capsys.readouterr()
        assert main(["predict", str(tmp_path), "--model", str(file), "--json"]) == 0
        theirs, ours = json.loads(done.stdout), json.loads(capsys.readouterr().out)
        assert len(ours) == 6
        assert [one["file"] for one in theirs] == [one["file"] for one in ours]
        for one, other in zip(ours, theirs, strict=True):
            assert set(one) == set(other)
            if "error" in one:
                continue
            assert [entry["label"] for entry in one["classes"]] == [entry["label"] for entry in other["classes"]]
            for mine, its in zip(one["classes"], other["classes"], strict=True):
                assert its["confidence"] == pytest.approx(mine["confidence"], abs=1e-4)
            assert other["margin"] == pytest.approx(one["margin"], abs=1e-2)


def test_options_of_boxes_are_refused(exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(scene(64, 64)).save(tmp_path / "photo.png")
    words = ["predict", str(tmp_path / "photo.png"), "--model", str(exported)]
    assert main([*words, "--confidence", "0.5"]) == 2
    assert "--confidence: the model is a classifier" in capsys.readouterr().err
    assert main([*words, "--top", "1"]) == 0


def test_gates_of_a_classifier() -> None:
    fine = {"outputs": 1e-3, "judged": 1000, "right": 900, "reference_right": 900, "images": 1000}
    assert ClassComparison(**fine).problems(GATES["fp32"]) == []
    assert "outputs" in ClassComparison(**{**fine, "outputs": 0.002}).problems(GATES["fp32"])[0]
    assert "outputs" in ClassComparison(**{**fine, "outputs": float("nan")}).problems(GATES["fp16"])[0]
    assert "found 1 pictures with another" in ClassComparison(**fine, differing=1).problems(GATES["fp32"])[0]
    assert ClassComparison(**fine, near=3).problems(GATES["fp32"]) == []
    lower: dict[str, Any] = {**fine, "right": 889, "outputs": 9.0, "differing": 11}
    assert "top-1: expected at most 0.01 lower, found 0.0110" in ClassComparison(**lower).problems(GATES["int8"])[0]
    assert ClassComparison(**{**lower, "right": 891}).problems(GATES["int8"]) == []
    assert ClassComparison().problems(GATES["fp32"]) == []
    assert ClassComparison().drop == 0
    assert "the network itself reaches top-1 0.400" in ClassComparison(judged=10, reference_right=4).doubt
    assert ClassComparison(judged=10, reference_right=9).doubt == ""
    assert set(GATES) == {"fp32", "fp16", "int8"}


def test_a_classifier_describes_itself_without_grids() -> None:
    spec = ModelSpec(("a", "b"), 64, 32, task=CLASSIFICATION)
    assert ModelSpec.from_json(spec.to_json()) == spec
    assert spec.output_shape == (2,)
    with pytest.raises(ModelError, match="expected a classifier of two classes or more without grids, found 1 classes"):
        ModelSpec(("a",), 64, 32, task=CLASSIFICATION)
    with pytest.raises(ModelError, match="task: expected 'detection' or 'classification', found \"other\""):
        ModelSpec.from_dict({**spec.to_dict(), "task": "other"})
    with pytest.raises(ModelError, match="grids"):
        ModelSpec.from_dict({**spec.to_dict(), "task": "detection"})


def test_java_runs_a_network_of_torchvision(tmp_path: Path) -> None:
    model = ModelConfig(name="mobilenet_v3_small", anchor_scenes=20)
    run_tiny(tiny_config(tmp_path, model=model, epochs=1, epoch_images=8))
    out = tmp_path / "exported"
    words = ["export", "--checkpoint", str(tmp_path / "tiny"), "--images", "200", "--threads", "1", "--out", str(out)]
    assert main(words) == 0
    done = java("verify", out)
    assert done.returncode == 0, done.stdout + done.stderr
    Image.fromarray(scene(90, 41)).save(tmp_path / "photo.png")
    traced = java("trace", out / "model.onnx", tmp_path / "photo.png", "--outputs", tmp_path / "raw")
    assert traced.returncode == 0, traced.stderr
    detector = OnnxDetector.load(out / "model.onnx")
    expected = detector.run(detector.fitted(read_picture(tmp_path / "photo.png"))[1][None]).ravel()
    assert np.fromfile(tmp_path / "raw" / "photo.png.f32", "<f4") == pytest.approx(expected, abs=1e-4)
