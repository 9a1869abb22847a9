"""`generate` and `convert` as a user meets them: what they print, on which stream, and their exit codes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_sets import GENERATOR, tree

from yolo_proc.cli.main import main

ROOT = Path(__file__).parents[2]
SMALL = ("--generator", "tiny_generator.py:Tiny", "--image-size", "32", "--seed", "3")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny_generator.py").write_text(GENERATOR)
    return tmp_path


def files(place: Path) -> list[str]:
    return sorted(path.name for path in place.iterdir() if path.name != "__pycache__")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["generate"], "yolo_proc generate: --out: expected a folder to write to"),
        (["generate", "--out", "a", "--count", "0"], "yolo_proc generate: --count: expected a number from 1 to"),
        (
            ["generate", "--out", "a", "--format", "cocco"],
            "yolo_proc generate: --format: expected one of scredit, yolo,",
        ),
        (["generate", "--out", "a", "--split", "90"], "yolo_proc generate: --split: expected a number from 0 to 1"),
        (
            ["generate", "--out", "a", "--quality", "0"],
            "yolo_proc generate: --quality: expected a number from 1 to 100",
        ),
        (
            ["generate", "--out", "a", "--picture-size", "12"],
            "yolo_proc generate: --picture-size: expected WIDTHxHEIGHT",
        ),
        (["generate", "--out", "a", "--augment.rotate", "9"], "yolo_proc generate: --augment.rotate: has no effect"),
        (
            ["generate", "--out", "a", "--augment.enabled", "on"],
            "yolo_proc generate: --augment.enabled: no such option",
        ),
        (["generate", "--out", "a", "--binary.stride", "8"], "yolo_proc generate: --binary.stride: only a binary set"),
        (["generate", "--out", "a", "--binary-stride", "8"], "yolo_proc generate: --binary-stride: no such option"),
        (
            ["generate", "--out", "a", "--format", "binary", "--binary.anchors", "auto"],
            "yolo_proc generate: --binary.anchors: expected sizes in pixels such as 60x60,120x90, found 'auto'",
        ),
        (
            ["generate", "--out", "a", "--format", "binary", "--image-size", "48"],
            "yolo_proc generate: --binary.size: expected multiples of the stride 32, found 48 x 48",
        ),
        (["generate", "--out", "tiny_generator.py"], "yolo_proc generate: tiny_generator.py: expected a folder"),
        (
            ["generate", "--out", "."],
            "yolo_proc generate: .: expected an empty folder, or one where this command began",
        ),
        (["generate", "--out", "a", "--generator.x", "1"], "yolo_proc generate: --generator.x: generator"),
        (["convert"], "yolo_proc convert: expected the folder of a data set: yolo_proc convert FOLDER --to"),
        (["convert", "a", "--out", "b"], "yolo_proc convert: --to: expected a format, one of scredit, yolo, coco,"),
        (["convert", "a", "--to", "coco"], "yolo_proc convert: --out: expected a folder to write to"),
        (["convert", "a", "--to", "coco", "--out", "b"], "yolo_proc convert: a: no such folder"),
        (["convert", ".", "--to", "coco", "--out", "b"], "yolo_proc convert: b: expected a folder outside of the data"),
        (["convert", "a", "b", "--to", "coco"], "yolo_proc convert: b: expected one folder at most"),
        (["convert", "a", "--to", "kokko", "--out", "b"], "yolo_proc convert: --to: expected one of scredit, yolo,"),
        (["convert", "a", "--from", "x", "--to", "coco", "--out", "b"], "yolo_proc convert: --from: expected one of"),
        (
            ["convert", "a", "--to", "yolo", "--out", "b", "--classes", "c"],
            "yolo_proc convert: c: expected class names,",
        ),
        (
            ["convert", "a", "--to", "binary", "--out", "b", "--binary.size", "416"],
            "yolo_proc convert: --binary.size: expected WIDTHxHEIGHT such as 416x416",
        ),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else "",
)
def test_a_users_mistake_is_one_line(
    place: Path, capsys: pytest.CaptureFixture[str], words: list[str], line: str
) -> None:
    small = [] if words[0] == "convert" or "--image-size" in words else [*SMALL]
    assert main([words[0], *small, *words[1:]]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (found,) = printed.err.splitlines()
    assert found.startswith(line)
    assert files(place) == ["tiny_generator.py"]  # nothing is left behind


def test_help_shows_how_binary_sets_are_described(capsys: pytest.CaptureFixture[str]) -> None:
    for command, flags in (
        ("generate", ("--augment ", "--binary.stride N")),
        ("convert", ("--from ", "--binary.size")),
    ):
        assert main([command, "--help"]) == 0
        printed = capsys.readouterr().out
        for flag in flags:
            assert flag in printed


def test_generate_prints_what_it_wrote(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*SMALL, "--count", "10", "--split", "0.9", "--format", "coco", "--workers", "0", "--out", "sets/a"]
    words += ["--generator.discs", "1", "--labels.min-in-frame", "0.9"]
    assert main(["generate", *words]) == 0
    first, second, *more = capsys.readouterr().out.splitlines()
    assert first == "sets/a: 10 pictures (9 train, 1 val) in the format coco"
    objects = json.loads((place / "sets/a/yolo_proc.json").read_text())["objects"]
    assert second == f"Objects: {sum(objects.values())} (disc {objects['disc']}, bar {objects['bar']})"
    assert objects["disc"] > 0
    assert any(line.startswith("Below a limit of what is a label: min_in_frame ") for line in more)
    assert any(line.startswith("What coco cannot say: ") for line in more)
    assert main(["generate", *words]) == 0
    assert capsys.readouterr().out == "sets/a: complete already, 10 pictures; nothing is done again\n"
    assert main(["generate", *words, "--seed", "4"]) == 2
    assert "sets/a: was made with seed 3, now 4; give another --out" in capsys.readouterr().err


def test_generate_reads_a_file_of_options(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "run.toml").write_text(
        'seed = 3\nimage-size = 32\n[generator]\nname = "tiny_generator.py:Tiny"\ndiscs = 0\n'
    )
    assert main(["generate", "--config", "run.toml", "--trust", "--count", "2", "--workers", "0", "--out", "a"]) == 0
    assert json.loads((place / "a/yolo_proc.json").read_text())["options"]["generator.discs"] == "0"
    assert capsys.readouterr().err == ""


def test_convert_prints_counts_before_and_after(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", *SMALL, "--count", "4", "--format", "coco", "--workers", "0", "--out", "a"]) == 0
    (place / "names.txt").write_text("disk\nbeam\n")
    capsys.readouterr()
    assert main(["convert", "a", "--to", "yolo", "--out", "b", "--classes", "names.txt", "--images", "link"]) == 0
    printed = capsys.readouterr()
    before, after, lost = printed.out.splitlines()
    assert before.startswith("Before: a: coco, 4 pictures, ")
    assert "(disk " in before
    assert before.removeprefix("Before: a: coco, ").startswith(after.removeprefix("After:  b: yolo, "))
    assert lost.startswith("What yolo cannot say: ")
    assert printed.err == ""
    words = [
        "--to",
        "binary",
        "--out",
        "c",
        "--binary.stride",
        "16",
        "--binary.anchors",
        "9x9",
        "--binary.type",
        "float32",
    ]
    assert main(["convert", "b", *words]) == 0
    assert "\nLost: slot_taken " in capsys.readouterr().out
    about = json.loads((place / "c/yolo_proc.json").read_text())
    assert about["binary"] == {"size": [32, 32], "stride": 16, "anchors": [[9.0, 9.0]], "type": "float32"}
    (place / "c/yolo_proc.json").unlink()  # as the original writes it
    assert main(["convert", "c", "--to", "yolo", "--out", "d"]) == 2
    assert "c: a binary set says neither sizes nor classes; give --binary.size" in capsys.readouterr().err
    size = ["--binary.size", "32x32", *words[4:]]
    assert main(["convert", "c", "--to", "yolo", "--out", "d", "--classes", "names.txt", *size]) == 0
    assert main(["convert", "d", "--to", "voc", "--out", "e", "--images", "none"]) == 0
    assert "After:  e: voc, annotations alone" in capsys.readouterr().out


def test_convert_tells_what_it_leaves_out(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", *SMALL, "--count", "4", "--format", "yolo", "--workers", "0", "--out", "a"]) == 0
    (place / "a/labels/train/image_00002.txt").write_text("0 0.5 0.5 nan 0.1\n")
    capsys.readouterr()
    assert main(["convert", "a", "--to", "coco", "--out", "b"]) == 2
    assert "image_00002.txt: line 1" in capsys.readouterr().err
    assert main(["convert", "a", "--to", "coco", "--out", "b", "--skip-bad"]) == 0
    printed = capsys.readouterr()
    assert printed.err.startswith("left out: a/labels/train/image_00002.txt: line 1: ")
    assert printed.out.startswith("Left out because they are bad: 1 (not-finite 1)\nBefore: a: yolo, 3 pictures, ")


# -------------------------------------------------------------------------------------------------- processes


SLOW = ("--count", "40000", "--format", "yolo", "--workers", "2", "--out", "a", *SMALL)


def start(place: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "yolo_proc", "generate", *SLOW]
    return subprocess.Popen(
        command, cwd=place, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


@pytest.fixture
def running(place: Path) -> Iterator[subprocess.Popen[str]]:
    """A command that has written some pictures and will write many more."""
    process = start(place)
    records = place / "a" / ".yolo_proc.partial"
    while process.poll() is None and not (records.is_dir() and len(list(records.glob("*.json"))) > 3):
        time.sleep(0.02)
    yield process
    process.kill()
    process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_cleanly(place: Path, running: subprocess.Popen[str], number: int, code: int) -> None:
    running.send_signal(number)
    out, err = running.communicate(timeout=120)
    assert running.returncode == code, err
    assert out.startswith("a: ")
    assert out.endswith(" of 40,000 pictures are written; the same command goes on from there\n")
    assert err == f"\n{signal.Signals(number).name}: finishes the pictures in hand and stops; once more stops at once\n"
    names = tree(place / "a")
    assert not [name for name in names if name.endswith(".part")]
    pictures = {Path(name).stem for name in names if name.startswith("images/")}
    assert pictures == {Path(name).stem for name in names if name.startswith("labels/")}
    assert len(pictures) == int(out.split()[1].replace(",", ""))


@pytest.mark.slow
def test_the_same_command_beside_it_is_refused(place: Path, running: subprocess.Popen[str]) -> None:
    second = start(place)
    assert second.communicate(timeout=120) == (
        "",
        f"yolo_proc generate: a: process {running.pid} writes this data set; wait until it has ended, or stop it\n",
    )
    assert second.returncode == 2
    assert running.poll() is None


@pytest.mark.slow
def test_a_killed_command_leaves_no_process_and_no_half_file(place: Path, running: subprocess.Popen[str]) -> None:
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children")
    workers = children.read_text().split() if children.exists() else []
    running.kill()
    running.wait()
    deadline = time.monotonic() + 60
    while any(map(runs, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [worker for worker in workers if runs(worker)]
    for name, content in tree(place / "a").items():
        if name.startswith("images/") and not name.endswith(".part"):
            assert content.endswith(b"\xff\xd9"), name  # a whole JPEG


def runs(process: str) -> bool:
    """Whether a process is there, and no zombie that nobody has asked for."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
