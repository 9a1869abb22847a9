"""The Java library on what Python exports: the same pictures give the same boxes. `make test` builds its jar first."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from java_parity import Matches, margins, match, picture_files, refused_files, scene
from PIL import Image
from tiny_run import run_tiny, tiny_config

from yolo_proc.detection.codec import DecodeConfig, Detections, Grid, LabelCodec
from yolo_proc.export.session import OnnxDetector
from yolo_proc.imaging.letterbox import Letterbox
from yolo_proc.imaging.pictures import read_picture

pytestmark = pytest.mark.java

ROOT = Path(__file__).parents[2]
JAR = ROOT / "export/java/target/yolo-proc.jar"
WIDE = "wide"  # an input that is not square
MODELS = ("model.onnx", "model-fp16.onnx", "model-int8.onnx", f"../{WIDE}/model.onnx")


def java(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["java", "-jar", str(JAR), *map(str, words)], capture_output=True, text=True, encoding="utf-8", check=False
    )


def python(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "yolo_proc", *map(str, words)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that was trained for seconds, exported in all precisions by the command, and beside it for `WIDE`."""
    assert JAR.is_file(), f"{JAR} is missing: `make test` builds it (cd export/java && mvn -q -B package)"
    runs = tmp_path_factory.mktemp("runs")
    run_tiny(tiny_config(runs, epochs=30, epoch_images=800, batch_size=8))  # finds the first objects
    out = runs / "letters"
    words = ("--checkpoint", runs / "tiny", "--images", "200", "--threads", "1")
    for options in (("--out", out, "--precision", "all"), ("--out", runs / WIDE, "--input-size", "112x64")):
        done = python("export", *words, *options)
        assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def pictures(exported: Path) -> Path:
    """A folder with a picture file of every kind, and with such as both refuse."""
    folder = exported.parent / "pictures"
    folder.mkdir()
    files = picture_files(OnnxDetector.load(exported / "model.onnx").picture_size)
    for name, content in (files | refused_files()).items():
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize("folder", [".", f"../{WIDE}"])
def test_the_vectors_of_the_model_hold_in_the_jvm(exported: Path, folder: str) -> None:
    done = java("verify", exported / folder)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("signed_anew", [False, True])
def test_a_changed_vector_is_found_in_the_jvm(exported: Path, tmp_path: Path, signed_anew: bool) -> None:
    copy = tmp_path / "letters"
    shutil.copytree(exported, copy)
    index = copy / "vectors/index.json"
    listed = json.loads(index.read_text())
    changed = next(one for name, one in listed["files"].items() if name.startswith("activate") and one["type"] == "f64")
    file = copy / "vectors" / changed["file"]
    file.write_bytes(np.array([0.123]).tobytes() + file.read_bytes()[8:])
    if signed_anew:
        changed["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
        index.write_text(json.dumps(listed))
    done = java("verify", copy)
    assert done.returncode == (1 if signed_anew else 2), done.stdout + done.stderr
    assert signed_anew or f"{file.name}: expected SHA-256" in done.stderr


@pytest.fixture
def letters(exported: Path, tmp_path: Path) -> Path:
    """What somebody has who was given the folder: the jar and a photo are in it."""
    place = tmp_path / "letters"
    shutil.copytree(exported, place)
    (place / "yolo-proc.jar").symlink_to(JAR)
    detector = OnnxDetector.load(exported / "model.onnx")
    scenes = (scene(120, 90, index) for index in range(200))  # the network is sure of a few objects only
    Image.fromarray(next(one for one in scenes if len(detector.detect(one)))).save(place / "photo.jpg", quality=98)
    return place


def run_in(place: Path, *words: object) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        list(map(str, words)), cwd=place, capture_output=True, text=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr
    return done


def test_the_readme_of_the_model_is_true(letters: Path) -> None:
    readme = (letters / "README.md").read_text(encoding="utf-8")
    program, python_program = re.findall(r"```(?:java|python)\n(.*?)```", readme, re.DOTALL)
    (letters / "Find.java").write_text(program, encoding="utf-8")
    commands = [line.split() for line in readme.splitlines() if line.startswith("    java ")]
    assert [words[1] for words in commands] == ["-cp", "-jar", "-jar"]
    ran = [run_in(letters, *words) for words in (*commands, [sys.executable, "-c", python_program])]
    detections = json.loads(ran[1].stdout)[0]["detections"]
    assert detections != []
    shown = [
        f"{one['label']} {one['confidence']:.2f} [{', '.join(f'{corner:.1f}' for corner in one['box'])}]"
        for one in detections
    ]
    assert [re.sub(r"\d", "#", line) for line in ran[0].stdout.splitlines()] == [
        re.sub(r"\d", "#", one) for one in shown
    ]
    assert len(ran[3].stdout.splitlines()) == len(detections)
    assert "verified" in ran[2].stdout
    version = re.search(r"yolo-proc-detector:([\d.]+)`", readme)
    assert version is not None
    assert f"<version>{version[1]}</version>" in (ROOT / "export/java/pom.xml").read_text()


def test_the_readme_of_the_format_is_true(letters: Path) -> None:
    readme = (ROOT / "docs/java.md").read_text(encoding="utf-8")
    java_program = re.search(r"```java\n(.*?)\n(try.*?)```", readme, re.DOTALL)
    python_program = re.search(r"```python\n(.*?)```", readme, re.DOTALL)
    assert java_program is not None
    assert python_program is not None
    body = f"class Ten {{ public static void main(String[] words) throws Exception {{ {java_program[2]} }} }}"
    (letters / "Ten.java").write_text(f"{java_program[1]}\n{body}", encoding="utf-8")
    assert run_in(letters, "java", "-cp", "yolo-proc.jar", "Ten.java").stdout
    traced = run_in(letters, "java", "-jar", "yolo-proc.jar", "trace", "model.onnx", "photo.jpg", "--outputs", ".")
    told = json.loads(traced.stdout)[0]
    rgb, letterboxed, apart = run_in(letters, sys.executable, "-c", python_program[1]).stdout.split()
    assert (rgb, letterboxed) == (told["rgb"], told["letterboxed"])
    assert float(apart) <= 1e-3


LOW = 0.02  # of a network that learnt for seconds: about one slot in five


@pytest.mark.parametrize("file", MODELS)
def test_both_find_the_same_boxes(exported: Path, pictures: Path, file: str) -> None:
    """The commands as users have them; stage by stage see below."""
    model = exported / file
    theirs = java("detect", model, pictures, "--json", "--confidence", LOW)
    ours = python("predict", pictures, "--model", model, "--json", "--confidence", LOW)
    assert theirs.returncode == ours.returncode == 0, theirs.stderr + ours.stderr
    found, expected = (by_name(json.loads(one.stdout)) for one in (theirs, ours))
    assert found.keys() == expected.keys() == {path.name for path in pictures.iterdir()}
    assert {name for name, one in found.items() if "error" in one} == refused_files().keys()
    assert {name for name, one in expected.items() if "error" in one} == refused_files().keys()
    assert sum(len(one.get("detections", [])) for one in expected.values()) > 100
    for name, one in expected.items():
        if "error" in one:
            continue
        other = found[name]
        assert (one["width"], one["height"]) == (other["width"], other["height"]), name
        assert len(one["detections"]) == len(other["detections"]), name
        for a, b in zip(one["detections"], other["detections"], strict=True):
            assert (a["class_id"], a["label"]) == (b["class_id"], b["label"])
            assert a["confidence"] == pytest.approx(b["confidence"], abs=1e-4)
            side = max(a["box"][2] - a["box"][0], a["box"][3] - a["box"][1])
            assert a["box"] == pytest.approx(b["box"], abs=0.01 + 1e-3 * side)


def by_name(results: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {Path(one["file"]).name: one for one in results}


def test_every_stage_agrees_on_every_kind_of_picture(exported: Path, pictures: Path, tmp_path: Path) -> None:
    """Decoded and letterboxed bytes are equal, logits within 1e-3, boxes the same by their slots."""
    model = exported / "model.onnx"
    ran = java("trace", model, pictures, "--outputs", tmp_path / "outputs", "--confidence", LOW)
    assert ran.returncode == 0, ran.stderr
    told = by_name(json.loads(ran.stdout))
    detector = OnnxDetector.load(model)
    config = detector.decoding(LOW)
    files = picture_files(detector.picture_size)
    assert told.keys() == files.keys() | refused_files().keys()
    total = Matches(0, 0, [])
    for name in files:
        theirs = told[name]
        rgb = read_picture(pictures / name)
        box = Letterbox.of(rgb.shape[1], rgb.shape[0], *detector.picture_size)
        frame = box.apply(rgb)
        assert (theirs["width"], theirs["height"]) == (rgb.shape[1], rgb.shape[0]), name
        assert theirs["rgb"] == hashlib.sha256(rgb.tobytes()).hexdigest(), f"{name}: decoded bytes"
        assert theirs["letterboxed"] == hashlib.sha256(frame.tobytes()).hexdigest(), f"{name}: letterboxed bytes"
        logits = detector.run(frame[None])[0]
        stored = np.fromfile(tmp_path / "outputs" / theirs["outputs"], "<f4").reshape(logits.shape)
        assert np.abs(stored - logits).max() <= 1e-3, f"{name}: logits"
        unit = max(rgb.shape[1] / box.nw, rgb.shape[0] / box.nh)
        ours = detector.detect(rgb, LOW)
        matches = match(ours, detections_of(theirs["detections"]), unit, margins(detector.spec.codec, logits, config))
        assert matches.wrong == [], name
        total.both += matches.both
        total.near += matches.near
    print(f"{len(files)} pictures, {total.both} boxes in both, {total.near} in one alone that lie near a threshold")
    assert total.both > 100
    assert total.near <= total.both // 20


def detections_of(told: list[dict[str, Any]]) -> Detections:
    return Detections(
        np.array([one["box"] for one in told], np.float64).reshape(-1, 4),
        np.array([one["confidence"] for one in told], np.float64),
        np.array([one["class_id"] for one in told], np.int64),
        np.array([one["slot"] for one in told], np.int64),
    )


@pytest.mark.parametrize("name", ["tiff", "webp"])
def test_two_kinds_are_read_by_python_alone(exported: Path, tmp_path: Path, name: str) -> None:
    file = tmp_path / f"a.{name}"
    Image.fromarray(scene(90, 70)).save(file)
    assert python("predict", file, "--model", exported / "model.onnx").returncode == 0
    ran = java("detect", exported / "model.onnx", file)
    assert ran.returncode == 2
    assert "convert it to PNG or JPEG" in ran.stderr


def test_the_comparison_of_boxes_sees_what_is_wrong() -> None:
    logits = np.full((16, 7), -9.0, np.float32)
    logits[:, :4] = 0.0
    logits[[0, 5, 10], 4] = 2.0
    logits[15, 4] = np.log(0.02 / 0.98) + 1e-4  # a hair above the threshold
    codec = LabelCodec((Grid(16, 4, 4, ((16.0, 16.0),)),), 2)
    config = DecodeConfig(confidence=LOW)
    one = codec.decode(logits[None], config)[0]
    assert one.slots.tolist() == [0, 5, 10, 15]
    margin = margins(codec, logits, config)

    def changed(**how: Any) -> Matches:
        return match(one, replace(one, **how), 2.0, margin)

    def without(place: int) -> Matches:
        rest = np.delete(np.arange(4), place)
        return match(
            one,
            Detections(*(values[rest] for values in vars(one).values() if isinstance(values, np.ndarray))),
            2.0,
            margin,
        )

    assert changed() == Matches(4, 0, [])
    assert changed(box_xyxy=one.box_xyxy + 0.03).wrong == []  # 0.01 of two pixels each, and a thousandth of 16
    assert len(changed(box_xyxy=one.box_xyxy + 0.05).wrong) == 4
    assert len(changed(class_ids=1 - one.class_ids).wrong) == 4
    assert len(changed(confidence=one.confidence + 2e-4).wrong) == 4
    assert len(changed(slots=one.slots + 1).wrong) == 8 - 1  # slot 15 is near, 16 is none
    assert without(3) == Matches(3, 1, [])
    assert len(without(1).wrong) == 1
