"""Detectors that were trained on drawn scenes alone, judged on real photographs.

    make real                                       # all tasks, three seeds each
    make real ARGS="--only coins --seeds 1"

A task is a generator, `NAME.py:Class`, and `NAME.json`: which picture of which installed package, its SHA-256, and the
boxes on it, with how they were made. The picture is used for judging alone: no option was chosen by it.
"""

import argparse
import hashlib
import importlib.util
import json
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build" / "real"


@dataclass(frozen=True)
class Task:
    """What is trained for a picture.

    Attributes:
        about: for the table.
        options: of `train`, beside generator, seed and folder.
    """

    name: str
    generator: str
    about: str
    options: tuple[str, ...]


TASKS = (
    Task(
        "coins",
        "Coins",
        "24 Greek coins from Pompeii, photographed in grey",
        ("--image-size", "256", "--epochs", "8", "--augment.camera", "phone", "--augment.hue-p", "0"),
    ),
)


def picture_of(about: dict[str, Any]) -> Path:
    """The picture in the installed package, which must be the one that the boxes are of."""
    package, _, inside = about["picture"].partition("/")
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        sys.exit(f"{about['package']} is not installed: pip install {about['package']}")
    path = Path(spec.submodule_search_locations[0]) / inside
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != about["sha256"]:
        sys.exit(
            f"{path}: expected the picture with SHA-256 {about['sha256']}; take another release of {about['package']}"
        )
    return path


def written(task: Task, about: dict[str, Any]) -> Path:
    """A YOLO data set of the one picture."""
    root = BUILD / task.name / "photo"
    for folder in ("images", "labels"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    image = cv2.imread(str(picture_of(about)))
    assert image is not None
    height, width = image.shape[:2]
    cv2.imwrite(str(root / "images" / "photo.png"), image)
    rows = [
        f"{k} {(x0 + x1) / 2 / width:.6f} {(y0 + y1) / 2 / height:.6f} {(x1 - x0) / width:.6f} {(y1 - y0) / height:.6f}"
        for k, x0, y0, x1, y1 in about["boxes"]
    ]
    (root / "labels" / "photo.txt").write_text("\n".join(rows) + "\n")
    (root / "data.yaml").write_text(f"train: images\nnames: {json.dumps(about['classes'])}\n")
    return root


def call(*words: str) -> str:
    """What `yolo_proc` prints."""
    command = [sys.executable, "-m", "yolo_proc", *words]
    done = subprocess.run(command, cwd=HERE, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode not in (0, 4):
        sys.exit(f"yolo_proc {' '.join(words)}: exit code {done.returncode}")
    return done.stdout


def judged(task: Task, photo: Path, seed: int) -> dict[str, Any]:
    """Train with one seed, and judge on the photograph."""
    run = f"{task.name}-{seed}"
    runs = BUILD / "runs"
    if not (runs / run / "best.pt").is_file():
        spec = f"{task.name}.py:{task.generator}"
        call("train", "--generator", spec, "--seed", str(seed), "--run", run, "--runs-dir", str(runs), *task.options)
    place = ["--run", run, "--runs-dir", str(runs)]
    found: dict[str, Any] = json.loads(call("evaluate", *place, "--images", "500", "--on", f"folder:{photo}", "--json"))
    call("predict", str(photo / "images"), "--model", str(runs / run), "--out", str(BUILD / task.name / f"seed-{seed}"))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Trained on drawn scenes, judged on photographs")
    parser.add_argument("--only", default="", help="tasks, with commas between")
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    wanted = set(filter(None, arguments.only.split(",")))
    print("| task | seed | objects | found | false | precision | recall | mAP50 | mAP50-95 | own scenes mAP50 |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for task in [task for task in TASKS if not wanted or task.name in wanted]:
        about = json.loads((HERE / f"{task.name}.json").read_text())
        photo = written(task, about)
        recalls = []
        for seed in range(arguments.seeds):
            result = judged(task, photo, seed)
            there = result["on"]
            right = round(there["recall"] * there["objects"])
            recalls.append(there["recall"])
            figures = " | ".join(f"{there[name]:.3f}" for name in ("precision", "recall", "map50", "map50_95"))
            counts = f"{there['objects']} | {right} | {there['detections'] - right}"
            print(f"| {task.name} | {seed} | {counts} | {figures} | {result['map50']:.3f} |")
        print(f"{task.name}: recall {statistics.mean(recalls):.3f}", file=sys.stderr)


if __name__ == "__main__":
    main()
