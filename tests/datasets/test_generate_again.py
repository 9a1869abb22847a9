"""No interruption harms a set, and whoever writes it, the bytes are the same."""

import errno
import json
import os
import pickle
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from tiny_sets import GENERATOR, stream_of, tiny_config, tiny_generator, tiny_request, tree

from yolo_proc.annotations import binary
from yolo_proc.annotations.formats import FORMATS
from yolo_proc.config.schema import GeneratorConfig, LabelConfig
from yolo_proc.data.stream import Stream
from yolo_proc.datasets import setwriter
from yolo_proc.datasets.chunk_records import signed
from yolo_proc.datasets.chunks import CHUNK, RECORDS, WriteChunk
from yolo_proc.datasets.generate import generate
from yolo_proc.errors import DataError, GeneratorError
from yolo_proc.scene import Scene


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_generator(tmp_path_factory.mktemp("generator"))


# ------------------------------------------------------------------------------------ workers, going on, refusing


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, spec: str) -> dict[str, dict[str, bytes]]:
    """For each format the files of a set that was written without a pause, in this process."""
    found = {}
    for name in FORMATS:
        out = tmp_path_factory.mktemp("whole") / name
        generate(tiny_request(spec, out, name, split=0.65))
        found[name] = tree(out)
    return found


@pytest.mark.parametrize("name", FORMATS)
def test_two_workers_write_the_same_bytes(
    tmp_path: Path, spec: str, name: str, whole: dict[str, dict[str, bytes]]
) -> None:
    told: list[int] = []
    summary = generate(tiny_request(spec, tmp_path / "set", name, split=0.65, workers=2), on_pictures=told.append)
    assert tree(tmp_path / "set") == whole[name]
    assert summary.complete
    assert (told[0], told[-1], sorted(told)) == (0, 20, told)


def test_a_task_that_is_pickled_writes_the_same(tmp_path: Path, spec: str, whole: dict[str, dict[str, bytes]]) -> None:
    order = tiny_request(spec, tmp_path / "set", "yolo", split=0.65)
    task = pickle.loads(pickle.dumps(WriteChunk(order, stream_of(order))))  # as a spawned process gets it
    assert task(1) == order.count - CHUNK
    written = {name: content for name, content in tree(tmp_path / "set").items() if not name.startswith(RECORDS)}
    assert len(written) == 2 * (order.count - CHUNK)
    assert written.items() <= whole["yolo"].items()


class DrawnTwiceError(Exception):
    """A scene was drawn that was written before."""


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("workers", [0, 2])
def test_an_interrupted_run_goes_on_where_it_stopped(
    tmp_path: Path, spec: str, name: str, workers: int, whole: dict[str, dict[str, bytes]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    order = tiny_request(spec, tmp_path / "set", name, split=0.65, workers=0)
    asked = iter([False, True])
    summary = generate(order, stop=lambda: next(asked))
    assert not summary.complete
    assert summary.pictures.total() == CHUNK
    assert summary.lines() == [f"{order.out}: {CHUNK} of 20 pictures are written; the same command goes on from there"]
    assert json.loads((order.out / "yolo_proc.json").read_text())["complete"] is False
    draw = Stream.__getitem__

    def draw_once(stream: Stream, index: int) -> Scene:
        if stream.stream == "train" and index < CHUNK:
            raise DrawnTwiceError(index)
        return draw(stream, index)

    monkeypatch.setattr(Stream, "__getitem__", draw_once)
    assert generate(tiny_request(spec, order.out, name, split=0.65, workers=workers)).complete
    assert tree(order.out) == whole[name]


def test_what_a_killed_process_leaves_is_drawn_again_and_gone_at_the_end(
    tmp_path: Path, spec: str, whole: dict[str, dict[str, bytes]]
) -> None:
    order = tiny_request(spec, tmp_path / "set", "yolo", split=0.65)
    asked = iter([False, True])
    generate(order, stop=lambda: next(asked))
    record = order.out / RECORDS / "chunk_0000000.json"
    record.write_bytes(record.read_bytes()[:-5])  # as if it were half-written, which it never is
    (order.out / "images/train/.image_00009.png.part").write_bytes(b"half a picture")
    (order.out / "labels/train/image_00008.txt").write_bytes(b"")
    assert generate(order).complete
    assert tree(order.out) == whole["yolo"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda record: {"pictures": record["pictures"][:8]},
        lambda record: {"pictures": [[0, []] for _ in record["pictures"]]},
        lambda record: {"pictures": [[name, None] for name, _ in record["pictures"]]},
        lambda record: {"pictures": [[name, f"{text}\x85"] for name, text in record["pictures"]]},
        lambda record: {"pictures": [[name, ""] for name, _ in record["pictures"]]},
        lambda _: {"pictures": None},
        lambda _: {"objects": [[2, 1]]},  # there are two classes
        lambda _: {"objects": [[-1, 1]]},
        lambda _: {"objects": [[True, 1]]},
        lambda _: {"objects": [[0, -1]]},
        lambda _: {"objects": [[0, 1.5]]},
        lambda _: {"below": {"min_box_px": "1"}},
        lambda _: {"below": [["min_box_px", 1]]},
        lambda _: {"lost": {"ignore": [[1]]}},
        lambda _: {"lost": {"\x1b[31m": 1}},
        lambda _: {"lost": {"ignore": 10**30}},
        lambda record: {"lengths": record["lengths"][1:]},
        lambda record: {"lengths": [[picture + 1, label] for picture, label in record["lengths"]]},
    ],
)
def test_a_record_that_says_what_none_says_counts_for_nothing(
    tmp_path: Path,
    spec: str,
    whole: dict[str, dict[str, bytes]],
    damage: Callable[[dict[str, Any]], dict[str, Any]],
) -> None:
    order = tiny_request(spec, tmp_path / "set", "coco", split=0.65)
    asked = iter([False, True])
    generate(order, stop=lambda: next(asked))
    path = order.out / RECORDS / "chunk_0000000.json"
    record = json.loads(path.read_bytes().partition(b"\n")[2])
    path.write_bytes(signed(json.dumps(record | damage(record)).encode()))
    assert not WriteChunk(order, stream_of(order)).is_done(0)
    assert generate(order).complete
    assert tree(order.out) == whole["coco"]


def _with_a_digit(data: bytes) -> bytes:
    return data[:-20] + data[-20:].replace(b"[", b"[1", 1)


@pytest.mark.parametrize(
    "damage",
    [_with_a_digit, lambda data: b"", lambda data: b"\0" * len(data), lambda data: data.partition(b"\n")[2],
     lambda _: signed(b"[]"),
     lambda _: signed(b"[" * 100_000), lambda _: signed(b"\xff"), lambda _: signed(b"9" * 5000)],
)  # fmt: skip
def test_a_record_with_other_bytes_counts_for_nothing(
    tmp_path: Path, spec: str, whole: dict[str, dict[str, bytes]], damage: Callable[[bytes], bytes]
) -> None:
    order = tiny_request(spec, tmp_path / "set", "yolo", split=0.65)
    asked = iter([False, True])
    generate(order, stop=lambda: next(asked))
    path = order.out / RECORDS / "chunk_0000000.json"
    assert WriteChunk(order, stream_of(order)).is_done(0)
    path.write_bytes(damage(path.read_bytes()))
    assert not WriteChunk(order, stream_of(order)).is_done(0)
    assert generate(order).complete
    assert tree(order.out) == whole["yolo"]


@pytest.mark.parametrize(
    ("name", "file"),
    [("yolo", "images/train/image_00003.png"), ("yolo", "labels/train/image_00003.txt"),
     ("coco", "train/image_00003.png"), ("voc", "Annotations/image_00003.xml"),
     ("scredit", "train/annotations/image_00003.json"),
     ("binary", "train/.images.bin.part"), ("binary", "val/.labels.bin.part")],
)  # fmt: skip
@pytest.mark.parametrize(
    "damage", [lambda data: data[: len(data) // 2], lambda _: b"", None], ids=["half", "empty", "gone"]
)
def test_files_that_a_disk_without_power_lost_are_written_again(
    tmp_path: Path,
    spec: str,
    whole: dict[str, dict[str, bytes]],
    name: str,
    file: str,
    damage: Callable[[bytes], bytes] | None,
) -> None:
    order = tiny_request(spec, tmp_path / "set", name, split=0.65)
    asked = iter([False, True])
    generate(order, stop=lambda: next(asked))
    path = order.out / file
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage(path.read_bytes()))
    asked = iter([True])
    generate(order, stop=lambda: next(asked))  # it does nothing but forget the record
    assert generate(order).complete
    assert tree(order.out) == whole[name]


def test_a_named_file_of_a_binary_set_that_lost_its_end_is_written_again(
    tmp_path: Path, spec: str, whole: dict[str, dict[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    order = tiny_request(spec, tmp_path / "set", "binary", split=0.65)
    with monkeypatch.context() as patched:
        patched.setattr(setwriter.BinarySet, "finish", _named_and_killed)
        with pytest.raises(DrawnTwiceError):
            generate(order)
    images = order.out / "train/images.bin"
    images.write_bytes(images.read_bytes()[:-1])
    assert generate(order).complete
    assert tree(order.out) == whole["binary"]


def _named_and_killed(records: setwriter.BinarySet) -> None:
    part = records.folders["train"] / ".images.bin.part"
    part.replace(part.with_name("images.bin"))
    raise DrawnTwiceError


def test_a_binary_set_that_was_killed_while_it_was_named_is_finished(
    tmp_path: Path, spec: str, whole: dict[str, dict[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    order = tiny_request(spec, tmp_path / "set", "binary", split=0.65)

    def fail(*_: Any) -> bytes:
        raise DrawnTwiceError

    with monkeypatch.context() as patched:
        patched.setattr(binary, "set_info", lambda *_: b"" if not order.out.exists() else fail())
        with pytest.raises(DrawnTwiceError):
            generate(order)
    assert not (order.out / "train" / binary.SET_INFO).exists()
    assert generate(order).complete
    assert tree(order.out) == whole["binary"]


def test_a_finished_set_is_not_done_again(tmp_path: Path, spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    order = tiny_request(spec, tmp_path / "set", "coco")
    generate(order)
    before = {path: path.stat().st_mtime_ns for path in order.out.rglob("*")}
    monkeypatch.setattr(WriteChunk, "__call__", None)
    summary = generate(order)
    assert summary.made_before
    assert summary.lines() == [f"{order.out}: complete already, 20 pictures; nothing is done again"]
    assert {path: path.stat().st_mtime_ns for path in order.out.rglob("*")} == before


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"count": 21}, "count 20, now 21"),
        ({"split": 0.5}, "split 1.0, now 0.5"),
        ({"picture_type": "jpg"}, "picture-type png, now jpg"),
        ({"picture_size": (40, 40)}, "picture-size none, now 40x40"),
        ({"stream": "test"}, "stream train, now test"),
    ],
)
def test_other_options_are_refused_by_name(tmp_path: Path, spec: str, changes: dict[str, Any], told: str) -> None:
    order = tiny_request(spec, tmp_path / "set", "yolo")
    generate(order, stop=lambda: True)
    before = tree(order.out)
    with pytest.raises(DataError, match=f"set: was begun with {told}.*; give another --out"):
        generate(tiny_request(spec, order.out, "yolo", **changes))
    assert tree(order.out) == before


def test_another_seed_parameter_or_source_is_refused_by_name(tmp_path: Path) -> None:
    spec = tiny_generator(tmp_path)
    order = tiny_request(spec, tmp_path / "set", "yolo", count=4)
    generate(order)
    for config, told in (
        (tiny_config(spec, seed=4), "was made with seed 3, now 4"),
        (tiny_config(spec, generator=GeneratorConfig(spec, {"discs": 3})), r"was made with generator\.discs 2, now 3"),
        (tiny_config(spec, image_size=64), "was made with image-size 32, now 64"),
        (tiny_config(spec, labels=LabelConfig(min_visible=0.5)), r"was made with labels\.min-visible 0\.4, now 0\.5"),
    ):
        with pytest.raises(DataError, match=told):
            generate(tiny_request(spec, order.out, "yolo", count=4, config=config))
    # A parameter that is given as its default is no change.
    same = tiny_config(spec, generator=GeneratorConfig(spec, {"discs": 2}))
    about = json.loads((order.out / "yolo_proc.json").read_text())
    assert tiny_request(spec, order.out, "yolo", count=4, config=same).values() == about["options"]
    about["fingerprint"]["generator source"] = "that of last week"
    (order.out / "yolo_proc.json").write_text(json.dumps(about))
    with pytest.raises(DataError, match="was made with generator source that of last week, now "):
        generate(order)


def test_another_library_is_refused_only_while_pictures_are_missing(tmp_path: Path, spec: str) -> None:
    order = tiny_request(spec, tmp_path / "set", "yolo")
    for stop in (True, False):
        generate(order, stop=lambda stop=stop: stop)
        about = json.loads((order.out / "yolo_proc.json").read_text())
        old = {**about, "versions": {**about["versions"], "numpy": "1.0"}}
        (order.out / "yolo_proc.json").write_text(json.dumps(old))
        if stop:
            with pytest.raises(DataError, match=r"was begun with numpy 1\.0, now "):
                generate(order)
            (order.out / "yolo_proc.json").write_text(json.dumps(about))
        else:
            assert generate(order).made_before


def test_a_folder_with_anything_else_is_left_alone(tmp_path: Path, spec: str) -> None:
    (tmp_path / "thesis.txt").write_text("all of it")
    with pytest.raises(DataError, match="expected an empty folder, or one where this command began"):
        generate(tiny_request(spec, tmp_path, "yolo"))
    assert tree(tmp_path) == {"thesis.txt": b"all of it"}
    (tmp_path / "yolo_proc.json").write_text('{"version":1,"format":"yolo","classes":["a"]}')
    with pytest.raises(DataError, match="that `generate` did not make"):
        generate(tiny_request(spec, tmp_path, "yolo"))
    with pytest.raises(DataError, match="expected a folder to write to: Not a directory"):
        generate(tiny_request(spec, tmp_path / "thesis.txt", "yolo"))


# ------------------------------------------------------------------------------------------------ what goes wrong


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Lets so many files be renamed, then the disk is full."""
    left = [10**9]
    rename = os.replace

    def refuse(path: Any, target: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        rename(path, target)

    monkeypatch.setattr(os, "replace", refuse)

    def fill(files: int) -> None:
        left[0] = files

    return fill


@pytest.mark.parametrize("name", FORMATS)
def test_a_full_disk_is_one_line_and_harms_nothing(
    tmp_path: Path, spec: str, name: str, full_disk: Callable[[int], None], whole: dict[str, dict[str, bytes]]
) -> None:
    order = tiny_request(spec, tmp_path / "set", name, split=0.65)
    # A binary set has few files, and each of the others one or two a picture.
    for files in (0, 1, 2, 1, 0) if name == "binary" else (0, 1, 2, 12, 13, 2, 1, 0):
        full_disk(files)
        with pytest.raises(DataError) as caught:
            generate(order)
        assert str(caught.value).startswith(f"{order.out}/")
        assert "cannot be written: No space left on device" in str(caught.value)
        assert "\n" not in str(caught.value)
        # What has its final name is what it will be; but what says what the set is about.
        final = {path: content for path, content in tree(order.out).items() if not is_unfinished(path)}
        assert final.items() <= whole[name].items() if order.out.exists() else True
        assert [path for path in tree(order.out) if path.endswith(".part") and not path.endswith(".bin.part")] == []
        # No labels lie there without their picture: a reader would refuse them.
        assert stems(final, ".txt", ".xml", "image_*.json") <= stems(final, ".png")
    full_disk(10**9)
    assert generate(order).complete
    assert tree(order.out) == whole[name]


def stems(paths: Iterable[str], *patterns: str) -> set[str]:
    return {Path(path).stem for path in paths for pattern in patterns if Path(path).match(f"*{pattern}")}


def is_unfinished(path: str) -> bool:
    return path == "yolo_proc.json" or path.startswith(RECORDS) or path.endswith(".part")


def test_a_real_full_disk_is_told(tmp_path: Path, spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """/dev/full refuses every byte."""
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    order = tiny_request(spec, tmp_path / "set", "binary")
    monkeypatch.setattr(setwriter, "open_own", lambda _, access: os.open("/dev/full", access))
    with pytest.raises(DataError, match=r"images\.bin: cannot be written: No space left on device; what was written"):
        generate(order)


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path: Path, spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "mkdir", refuse)
    with pytest.raises(DataError, match=r"yolo_proc\.json: cannot be written: Read-only file system$"):
        generate(tiny_request(spec, tmp_path / "set", "yolo"))


def test_a_file_in_the_way_of_a_folder_is_told(tmp_path: Path, spec: str) -> None:
    order = tiny_request(spec, tmp_path / "set", "yolo", workers=2)
    generate(order, stop=lambda: True)
    (order.out / "labels").write_text("in the way")
    with pytest.raises(DataError, match="cannot be written: Not a directory; what was written stays"):
        generate(order)


def test_a_generator_that_fails_is_told_from_a_worker(tmp_path: Path) -> None:
    path = tmp_path / "tiny_generator.py"
    # Seldom, so that the scenes that identify the data do not fail.
    path.write_text(GENERATOR.replace("        out = ", "        if rng.random() < 0.02: self.nothing\n        out = "))
    order = tiny_request(f"{path}:Tiny", tmp_path / "set", "yolo", workers=2, count=400)
    with pytest.raises(GeneratorError, match=r"failed on scene \d+ of stream train: AttributeError: .*nothing"):
        generate(order)


def test_nothing_is_left_of_a_set_that_is_removed(tmp_path: Path, spec: str) -> None:
    order = tiny_request(spec, tmp_path / "set", "scredit", count=1)
    generate(order)
    shutil.rmtree(order.out)
    assert generate(order).complete
    assert sorted(tree(order.out)) == ["annotations/image_00000.json", "image_00000.png", "yolo_proc.json"]
