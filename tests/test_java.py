"""The Java library on what Python exports: the same pictures give the same boxes. `make test` builds its jar first."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from tiny_run import run_tiny, tiny_config

ROOT = Path(__file__).parents[1]
JAR = ROOT / "export/java/target/yolo-proc.jar"
PRECISIONS = ("", "-fp16", "-int8")


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
    """A network that was trained for seconds, exported in all precisions by the command."""
    assert JAR.is_file(), f"{JAR} is missing: `make test` builds it (cd export/java && mvn -q -B package)"
    runs = tmp_path_factory.mktemp("runs")
    run_tiny(tiny_config(runs, epochs=8))
    out = runs / "letters"
    words = ("--checkpoint", runs / "tiny", "--out", out, "--precision", "all", "--images", "200", "--threads", "1")
    done = python("export", *words)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def pictures(exported: Path) -> Path:
    """Pictures that both have to read alike: of other sizes than the network's, grey, with alpha, one pixel high."""
    folder = exported.parent / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name, size in {
        "small.png": (31, 40, 3),
        "wide.jpg": (120, 333, 3),
        "grey.png": (64, 64),
        "alpha.png": (90, 70, 4),
        "line.png": (1, 50, 3),
    }.items():
        coarse = rng.integers(0, 256, [-(-side // 8) for side in size[:2]] + list(size[2:]), dtype=np.uint8)
        image = coarse.repeat(8, axis=0).repeat(8, axis=1)[: size[0], : size[1]]
        assert cv2.imwrite(str(folder / name), image)
    return folder


def test_the_vectors_of_the_model_hold_in_the_jvm(exported: Path) -> None:
    done = java("verify", exported)
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


@pytest.mark.parametrize("precision", PRECISIONS)
def test_both_find_the_same_boxes(exported: Path, pictures: Path, precision: str) -> None:
    model = exported / f"model{precision}.onnx"
    low = ("--confidence", "1e-6")  # of a network that hardly learnt, all slots
    theirs = java("detect", model, pictures, "--json", *low)
    ours = python("predict", pictures, "--model", model, "--json", *low)
    assert theirs.returncode == ours.returncode == 0, theirs.stderr + ours.stderr
    found, expected = (by_name(json.loads(one.stdout)) for one in (theirs, ours))
    assert found.keys() == expected.keys() == {path.name for path in pictures.iterdir()}
    assert sum(len(one["detections"]) for one in expected.values()) > 0
    for name, one in expected.items():
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
