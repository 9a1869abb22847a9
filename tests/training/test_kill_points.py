"""Killed before any file operation: what is left is whole, and whoever opens the run next puts the rest right."""

import shutil
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from kill_points import command_killed_at, killed_at, operations
from tiny_run import differing, run_tiny, timeless, tiny_config

from yolo_proc.cli.main import main
from yolo_proc.config.schema import Config
from yolo_proc.models import checkpoint
from yolo_proc.training import runs

pytestmark = pytest.mark.slow

EVERY = 11  # of the kill points, those whose number is a multiple of it are tried here


def plain_work(folder: Path) -> None:
    with (folder / "a.tmp").open("w") as file:
        file.write("0123456789")
    (folder / "a.tmp").replace(folder / "a")
    (folder / "b").mkdir()
    (folder / "a").read_text()
    (folder / "b").rmdir()


def test_operations_are_found_in_order_and_each_kill_comes_before_its_own(tmp_path: Path) -> None:
    work = partial(plain_work, tmp_path)
    found = operations(work, tmp_path)
    assert found == ["open a.tmp", "rename a.tmp -> a", "mkdir b", "rmdir b"]
    left = []
    for number in range(len(found) + 1):
        shutil.rmtree(tmp_path)
        tmp_path.mkdir()
        assert killed_at(work, tmp_path, number) == (number < len(found))
        left.append(sorted(path.name for path in tmp_path.iterdir()))
    assert left == [[], ["a.tmp"], ["a"], ["a", "b"], ["a"]]
    shutil.rmtree(tmp_path)
    tmp_path.mkdir()
    assert killed_at(work, tmp_path, 1, torn=True)
    assert (tmp_path / "a.tmp").read_text() == "01234"


def test_a_command_is_killed_too(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "zipfile", "-c", str(tmp_path / "a.zip"), __file__]
    whole = command_killed_at(command, tmp_path, -1)
    assert whole.returncode == 0
    assert whole.stderr.splitlines()[0] == "kill point: open a.zip"
    (tmp_path / "a.zip").unlink()
    assert command_killed_at(command, tmp_path, 0).returncode == -9
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------------------------------------ a run


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def config_in(place: Path) -> Config:
    return tiny_config(place, epochs=2, keep=1, save_minutes=1e-9)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("whole")
    run_tiny(config_in(place))
    return place / "tiny"


def state_of(folder: Path) -> dict[str, Any]:
    state = checkpoint.newest_valid(folder)[1]
    return {**state, "config": {name: value for name, value in state["config"].items() if name != "runs-dir"}}


def half_written(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.endswith(".tmp")]


def kills(work: Callable[[], object], place: Path, every: int) -> Iterator[int]:
    """Kills `work` at every so manieth operation, each in an empty folder."""
    found = operations(work, place)
    assert len(found) > 20
    for number in range(0, len(found), every):
        shutil.rmtree(place)
        place.mkdir()
        assert killed_at(work, place, number, torn=number % 2 == 1), found[number]
        yield number


def test_a_run_killed_anywhere_is_the_same_run_after_its_resume(whole: Path, tmp_path: Path) -> None:
    config = config_in(tmp_path)
    folder = tmp_path / "tiny"
    for number in kills(partial(run_tiny, config), tmp_path, EVERY):
        begun = bool(checkpoint.list_checkpoints(folder))
        run_tiny(config, folder if begun else None)
        assert list(differing(state_of(whole), state_of(folder))) == [], number
        assert (folder / "metrics.csv").read_bytes() == (whole / "metrics.csv").read_bytes(), number
        assert timeless(folder) == timeless(whole), number
        assert half_written(folder) == [], number


def test_whoever_opens_a_run_mends_it(whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "tiny"
    shutil.copytree(whole, folder)
    lines = (folder / "metrics.csv").read_bytes().splitlines(keepends=True)
    for content in (lines[:-1], [], None):
        (folder / "metrics.csv").unlink()
        if content is not None:
            (folder / "metrics.csv").write_bytes(b"".join(content))
        for name in (".000009.pt.tmp", ".metrics.csv.123.tmp", ".preview.png.9.tmp", ".turn.pt.tmp"):
            (folder / name).write_bytes(b"x")
        mine = folder / ".notes.tmp"
        mine.write_text("of the user")
        assert main(["describe", "--run", str(folder)]) == 0
        assert (folder / "metrics.csv").read_bytes() == b"".join(lines)
        assert half_written(folder) == [mine.name]


def test_a_run_that_is_trained_is_left_alone(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    shutil.copytree(whole, folder)
    (folder / ".000009.pt.tmp").write_bytes(b"x")
    with runs.locked_run(folder):
        runs.mend(folder)
        assert half_written(folder) == [".000009.pt.tmp"]
    runs.mend(folder)
    assert half_written(folder) == []


def test_nothing_is_written_where_nothing_is_wrong(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    shutil.copytree(whole, folder)
    (folder / ".lock").unlink()
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    runs.mend(folder)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    runs.mend(tmp_path / "nowhere")
