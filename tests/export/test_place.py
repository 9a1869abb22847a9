"""The folder of an export: one whole export under its name, whenever a process is killed, and whoever else writes."""

import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from killed_exports import FILES, found, names, write

from yolo_proc.cli.predict_command import _onnx_file
from yolo_proc.errors import ConfigError, DataError, UserError
from yolo_proc.export import place
from yolo_proc.export.place import check_place, exchange, recover, replacing

pytestmark = pytest.mark.slow

HERE = Path(__file__).parents[1]
needs_kills = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")


def kills(folder: Path, *words: str) -> Counter[tuple[str, str]]:
    """How often (what lay there after a kill, what after the next one opened it)."""
    (folder / "root").mkdir()
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    command = [sys.executable, str(HERE / "killed_exports.py"), str(folder / "root"), *words]
    run = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert run.returncode == 0, run.stderr
    rows = [line.split() for line in run.stdout.splitlines()]
    assert [int(row[0]) for row in rows] == list(range(len(rows))), "every operation has its kill"
    return Counter((row[1], row[2]) for row in rows)


@needs_kills
@pytest.mark.skipif(sys.platform != "linux", reason="other systems may have no exchange")
def test_killed_at_any_operation_there_is_always_one_whole_export(tmp_path: Path) -> None:
    seen = kills(tmp_path, "exchange", "old")
    assert set(seen) == {("old", "old"), ("new", "new")}
    assert min(seen.values()) > 5


@needs_kills
def test_where_two_renames_are_needed_the_next_one_gives_the_old_one_its_name_back(tmp_path: Path) -> None:
    seen = kills(tmp_path, "renames", "old")
    assert set(seen) == {("old", "old"), ("none", "old"), ("new", "new")}


@needs_kills
def test_the_one_that_finds_what_a_kill_left_may_be_killed_too(tmp_path: Path) -> None:
    seen = kills(tmp_path, "renames", "old", "second")
    assert set(seen) == {("none", "old"), ("none", "next")}
    assert min(seen.values()) > 10


@needs_kills
def test_a_first_export_that_is_killed_leaves_none_or_a_whole_one(tmp_path: Path) -> None:
    assert set(kills(tmp_path, "exchange", "none")) == {("none", "none"), ("new", "new")}


def test_a_second_export_to_the_same_place_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "letters"
    with replacing(out) as folder:
        with pytest.raises(UserError, match=rf"letters: process {os.getpid()} exports to this folder; wait until"):
            replacing(out).__enter__()
        with replacing(tmp_path / "others") as other:
            write(other, "others")
        write(folder, "first")
        recover(out)  # somebody looks for it meanwhile
    assert (found(out), found(tmp_path / "others")) == ("first", "others")
    assert names(tmp_path) == ["letters", "others"]


def test_a_lock_whose_file_was_removed_meanwhile_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = place.locked, []

    def late(path: Path, owner: Path, doing: str) -> object:
        calls.append(path)
        holder = real(path, owner, doing)
        if len(calls) == 1:  # the one before ends between the opening of the file and the lock
            holder.__enter__()
            path.unlink()

            class Entered:
                __enter__ = lambda self: True  # noqa: E731
                __exit__ = lambda self, *what: holder.__exit__(*what)  # noqa: E731

            return Entered()
        if len(calls) == 2:
            path.parent.rmdir()  # the same, a moment before
        return holder

    monkeypatch.setattr(place, "locked", late)
    with replacing(tmp_path / "letters") as folder:
        write(folder, "new")
    assert len(calls) == 3
    assert found(tmp_path / "letters") == "new"


def fail(out: Path, kind: type[BaseException]) -> None:
    with replacing(out) as folder:
        write(folder, "new")
        raise kind


@pytest.mark.parametrize("can_exchange", [True, False])
def test_an_error_leaves_the_old_one(tmp_path: Path, can_exchange: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "letters"
    write(out, "old")
    if not can_exchange:
        monkeypatch.setattr(place, "exchange", lambda *_: False)
        renames = []

        def refused(self: Path, target: Path) -> Path:
            renames.append(target)
            if len(renames) == 2:
                raise OSError(28, "No space left on device")
            return real(self, target)

        real = Path.rename
        monkeypatch.setattr(Path, "rename", refused)
        with pytest.raises(OSError, match="No space"), replacing(out) as folder:
            write(folder, "new")
        assert len(renames) == 3
    for kind in (OSError, KeyboardInterrupt, ValueError):
        with pytest.raises(kind):
            fail(out, kind)
    assert found(out) == "old"
    assert names(tmp_path) == ["letters"]


def test_what_an_earlier_release_left_is_given_back_if_it_is_whole(tmp_path: Path) -> None:
    out, old = tmp_path / "letters", tmp_path / ".letters.old"
    write(old, "old")
    recover(out)
    assert found(out) == "old"
    assert names(tmp_path) == ["letters"]
    write(old, "older")  # beside one that has the name
    with replacing(out) as folder:
        write(folder, "new")
    assert found(out) == "new"
    assert names(tmp_path) == ["letters"]
    out.rename(old)
    (old / FILES[1]).unlink()  # half removed
    recover(out)
    assert not out.exists()


def test_whoever_opens_a_folder_gives_it_back(tmp_path: Path) -> None:
    for name in ("letters", "letters/model.onnx"):
        write(tmp_path / ".letters.part" / "old", "old")
        assert _onnx_file(str(tmp_path / name)) == tmp_path / "letters" / "model.onnx"
        assert found(tmp_path / "letters") == "old"
        shutil.rmtree(tmp_path / "letters")


def test_links_that_somebody_put_there_are_not_written_through(tmp_path: Path) -> None:
    treasure = tmp_path / "treasure"
    treasure.mkdir()
    (treasure / "mine").write_text("mine")
    out, hidden = tmp_path / "letters", tmp_path / ".letters.part"
    hidden.symlink_to(treasure)
    with pytest.raises(DataError, match=r"\.letters\.part: expected a name that is free, found a link or another"):
        replacing(out).__enter__()
    hidden.unlink()
    hidden.write_text("mine")
    with pytest.raises((DataError, FileExistsError)):
        replacing(out).__enter__()
    hidden.unlink()
    hidden.mkdir()
    (hidden / "lock").symlink_to(treasure / "mine")
    with pytest.raises(DataError, match=r"lock: expected a name that is free, found a link"):
        replacing(out).__enter__()
    (hidden / "lock").unlink()
    for name in ("new", "old", "gone"):
        (hidden / name).symlink_to(treasure)
    (tmp_path / ".letters.old").symlink_to(treasure)
    recover(out)
    with replacing(out) as folder:
        write(folder, "new")
    assert (found(out), out.is_symlink()) == ("new", False)
    assert names(treasure) == ["mine"]
    assert (treasure / "mine").read_text() == "mine"


@pytest.mark.parametrize("where", [".letters.part", ".letters.part/new", ".letters.part/old", ".letters.part/sub/sub"])
def test_files_of_others_in_the_hidden_folder_are_not_removed(where: str, tmp_path: Path) -> None:
    out, mine = tmp_path / "letters", tmp_path / where / "mine.txt"
    write(out, "old")
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(
        DataError, match=r"\.letters\.part/.*: expected nothing but what an export leaves, found a file of"
    ):
        replacing(out).__enter__()
    recover(out)
    assert (found(out), mine.read_text()) == ("old", "mine")
    assert not (tmp_path / ".letters.part/lock").exists()
    shutil.rmtree(out)
    write(tmp_path / ".letters.part" / "old", "kept")
    recover(out)
    assert found(out) == ("broken" if where.endswith("old") else "kept")
    assert mine.exists() or (out / "mine.txt").exists()


def test_what_comes_into_the_hidden_folder_meanwhile_is_not_removed(tmp_path: Path) -> None:
    with replacing(tmp_path / "letters") as folder:
        write(folder, "new")
        (tmp_path / ".letters.part" / "mine.txt").write_text("mine")
    assert found(tmp_path / "letters") == "new"
    assert (tmp_path / ".letters.part" / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("whole", [True, False])
def test_a_folder_of_others_with_the_name_of_the_old_one_stays(whole: bool, tmp_path: Path) -> None:
    out, old = tmp_path / "letters", tmp_path / ".letters.old"
    write(out, "old")
    if whole:
        write(old, "older")
    old.mkdir(exist_ok=True)
    (old / "mine.txt").write_text("mine")
    with replacing(out) as folder:
        write(folder, "new")
    recover(out)
    assert found(out) == "new"
    assert (old / "mine.txt").read_text() == "mine"


def test_names_are_exchanged_at_once_or_an_error_says_why_not(tmp_path: Path) -> None:
    write(tmp_path / "a", "a")
    write(tmp_path / "b", "b")
    if exchange(tmp_path / "a", tmp_path / "b"):
        assert (found(tmp_path / "a"), found(tmp_path / "b")) == ("b", "a")
        with pytest.raises(OSError, match="No such file"):
            exchange(tmp_path / "a", tmp_path / "none")


def test_files_of_others_are_seen_before_anything_is_replaced(tmp_path: Path) -> None:
    out = tmp_path / "letters"
    write(out, "old")
    check_place(out)

    def meanwhile() -> None:
        with replacing(out) as folder:
            write(folder, "new")
            (out / "notes.txt").write_text("mine")
            check_place(out)

    with pytest.raises(ConfigError, match=r"found notes\.txt in it"):
        meanwhile()
    assert (out / "notes.txt").read_text() == "mine"
    assert (out / "model.onnx").read_text() == "old"
