"""What new users met in their first hour: mistakes in a generator, another working directory, an edit afterwards."""

import os
from pathlib import Path

import pytest
from tiny_run import run_tiny, tiny_config

from yolo_proc.cli.main import main
from yolo_proc.config.schema import AugmentConfig, GeneratorConfig
from yolo_proc.data.generator import rebased
from yolo_proc.plotting.preview import _lines
from yolo_proc.training.events import Stopped

DOTS = """
import numpy as np
from yolo_proc import Generator, circle

BEFORE


class Dots(Generator):
    classes = ("dot", "spot")

    def draw(self, canvas, rng):
        canvas.background((20, 40, 60))
        for name, x in zip(self.classes, (0.3, 0.7)):
            canvas.draw(circle(x, rng.uniform(0.3, 0.7), 0.12), rng.integers(90, 256, 3), name)
        LAST
"""


def written(folder: Path, last: str = "pass", before: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "dots.py"
    path.write_text(DOTS.replace("LAST", last).replace("BEFORE", before))
    return path


MISTAKES = {
    "an undeclared label": ("canvas.draw(circle(0.5, 0.5, 0.1), (0, 0, 0), 'dto')", "did you mean dot"),
    "a size for a corner": (
        "canvas.paste(np.full((8, 8, 4), 255, np.uint8), (0.5, 0.6, 0.2, 0.2), 'dot')",
        "(corners, not a corner and a size), found 0.5, 0.6, 0.2, 0.2 (dots.py:15 in draw)",
    ),
    "a picture of Pillow": (
        "from PIL import Image; canvas.paste(Image.new('RGBA', (8, 8)), (0, 0, 1, 1), 'dot')",
        'found a PIL image; take np.array(picture.convert("RGBA")) (dots.py:15 in draw)',
    ),
    "an array given back": (
        "return np.zeros((8, 8, 3))",
        "draw() returned ndarray; expected that it draws on the canvas",
    ),
    "an error inside of a library": ("np.linalg.inv(np.zeros((2, 2)))", "Singular matrix (dots.py:15 in draw)"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_of_a_generator_is_told_with_its_line(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    last, message = MISTAKES[name]
    spec = f"{written(tmp_path, last)}:Dots"
    assert main(["preview", "--generator", spec, "--count", "1", "--out", str(tmp_path / "a.png")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (tmp_path / "a.png").exists()


def test_a_sprite_that_is_missing_is_told_with_the_line_that_wants_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, before="from PIL import Image\nHEART = Image.open('hart.png')")
    assert main(["preview", "--generator", f"{path}:Dots", "--out", str(tmp_path / "a.png")]) == 2
    assert f"({path}:6)" in capsys.readouterr().err


def test_a_preview_without_a_label_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path)
    path.write_text(path.read_text().replace("circle(x,", "circle(100 * x,"))
    words = ["preview", "--generator", f"{path}:Dots", "--count", "1"]
    assert main([*words, "--out", str(tmp_path / "a.png")]) == 0
    assert "coordinates are units of its shorter side" in capsys.readouterr().err
    assert main([*words, "--out", str(tmp_path / "a.xyz")]) == 2
    assert "expected the name of a PNG file" in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_is_used_from_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home, other = tmp_path / "my game ü", tmp_path / "other"
    written(home)
    monkeypatch.chdir(home)
    still = AugmentConfig(enabled=False)
    config = tiny_config(Path("checkpoints"), epochs=1, augment=still, generator=GeneratorConfig("dots.py:Dots"))
    run_tiny(config)
    other.mkdir()
    monkeypatch.chdir(other)
    run = os.path.relpath(home / "checkpoints" / "tiny", other)
    assert main(["evaluate", "--run", run, "--images", "4", "--workers", "0"]) == 0
    assert "scenes are not those" not in capsys.readouterr().err
    # Another file of that name here is not taken for it.
    written(other, "return 3")
    assert main(["evaluate", "--run", run, "--images", "4", "--workers", "0"]) == 0
    capsys.readouterr()
    assert main(["train", "--resume", run, "--epochs", "2"]) == 2
    assert capsys.readouterr().err.splitlines()[-1].endswith(f"go on there: cd '{home}'")
    # Run and generator may move together.
    home.rename(tmp_path / "moved")
    (other / "dots.py").unlink()
    moved = str(tmp_path / "moved" / "checkpoints" / "tiny")
    assert main(["evaluate", "--run", moved, "--images", "4", "--workers", "0"]) == 0
    # The run alone: it says what is missing.
    (tmp_path / "moved" / "dots.py").rename(tmp_path / "gone.py")
    capsys.readouterr()
    assert main(["evaluate", "--run", moved, "--images", "4", "--workers", "0"]) == 2
    assert "there is no file" in capsys.readouterr().err


@pytest.mark.slow
def test_scenes_that_changed_since_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("YOLO_PROC_TRUST", "on")
    path = written(tmp_path)
    config = tiny_config(tmp_path / "runs", epochs=1, target_loss=1e-6, generator=GeneratorConfig(f"{path}:Dots"))
    events = run_tiny(config)
    last = events[-1]
    assert isinstance(last, Stopped)
    assert "target loss 1e-06 is not reached: training loss" in last.message
    assert "--resume goes on with a larger budget" in last.message
    changed = written(tmp_path / "changed")
    changed.write_text(changed.read_text().replace("0.12", "0.2"))
    run = str(tmp_path / "runs" / "tiny")
    # Loaded anew: a module is kept by its path.
    monkeypatch.setattr("yolo_proc.data.generator.load_file", _other_file(changed))
    assert main(["evaluate", "--run", run, "--images", "4", "--workers", "0"]) == 0
    assert "not those that the run was trained on; what changed:" in capsys.readouterr().err


def _other_file(path: Path):  # type: ignore[no-untyped-def]
    from yolo_proc.data import generator

    load = generator.load_file
    return lambda spec, _, what="generator": load(spec, path, what)


def test_a_start_that_fails_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = written(tmp_path, "1 / 0")
    assert main(["train", "--generator", f"{path}:Dots", "--runs-dir", "runs", "--workers", "0"]) == 2
    assert list((tmp_path / "runs").glob("*")) == []


def test_paths_are_named_from_another_folder(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for name in ("a.py", "blur.yaml", "b=c.py"):
        (tmp_path / name).touch()
    assert rebased("a.py:Name", tmp_path) == f"{tmp_path / 'a.py'}:Name"
    assert rebased("folder:data", tmp_path) == f"folder:{tmp_path / 'data'}"
    assert rebased("blur.yaml", tmp_path) == str(tmp_path / "blur.yaml")
    mixed = f"mix:{tmp_path / 'a.py'}:X=0.5,glyphs=0.25,{tmp_path / 'b=c.py'}:Y=0.25"
    assert rebased("mix:a.py:X=0.5,glyphs=0.25,b=c.py:Y=0.25", tmp_path) == mixed
    for same in (
        "glyphs",
        "a.module:Name",
        "nowhere.py:Name",
        f"{tmp_path / 'a.py'}:Name",
        "folder:none",
        "\0.py:X",
        "",
    ):
        assert rebased(same, tmp_path) == same


def test_a_legend_keeps_inside_of_its_sheet() -> None:
    phrases = ("grey dashes: ignored, because hidden, cut off or too small", "hatched: ignored")
    assert _lines(phrases, 10_000) == ["    ".join(phrases)]
    narrow = _lines(phrases, 150)
    assert len(narrow) > 2
    assert " ".join(narrow).split() == " ".join(phrases).split()
    assert _lines((), 10) == []
