"""Files that are none, or are huge: every reader refuses them in one line; no writer follows a planted link."""

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from yolo_proc.annotations import formats
from yolo_proc.annotations.about import read_about
from yolo_proc.annotations.checked_json import read_object
from yolo_proc.annotations.classes import names_of_set, read_class_file
from yolo_proc.annotations.common import read_text
from yolo_proc.annotations.records import ReadOptions
from yolo_proc.data.configfile import read_config_file
from yolo_proc.datasets.setwriter import write_whole
from yolo_proc.detection.nms import Detections
from yolo_proc.errors import DataError, UserError
from yolo_proc.export.findings import AnnotatedWriter
from yolo_proc.export.session import OnnxDetector
from yolo_proc.export.sources import Frame, MediaSource, count_frames, find_sources, frames_of
from yolo_proc.export.vectors import read_vectors
from yolo_proc.export.views import DetectionView
from yolo_proc.imaging.pictures import picture_bytes, picture_size, read_picture
from yolo_proc.models import checkpoint
from yolo_proc.plotting.preview import write_png
from yolo_proc.system.files import (
    MIB,
    UnreadableFileError,
    check_regular,
    create,
    half_written,
    open_own,
    read_bytes,
    read_start,
    replace_whole,
)
from yolo_proc.system.locking import locked
from yolo_proc.training.runs import mend, write_metrics

POSIX = pytest.mark.skipif(os.name == "nt", reason="no pipes and no links there")


def frame_of(path: Path) -> None:
    """Reads a video, and raises what `frames_of` tells."""
    source = MediaSource("video", str(path))
    assert count_frames([source]) == 1
    told = next(frames_of(source)).error
    if told:
        raise DataError(told)


READERS: dict[str, Callable[[Path], Any]] = {
    "config.toml": read_config_file,
    "classes.txt": read_class_file,
    "a.pt": checkpoint.load,
    "model.onnx": OnnxDetector.load,
    "coco.json": read_object,
    "label.txt": read_text,
    "a.png": read_picture,
    "b.png": picture_size,
    "c.png": picture_bytes,
    "clip.mp4": frame_of,
    "index.json": lambda path: read_vectors(path.parent),
}


# Named, and the file made in a folder that is given.
def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(3 << 30)


KINDS = {
    "a named pipe": _pipe,
    "a socket": _socket,
    "a device": _device,
    "a folder": Path.mkdir,
    "no such file": lambda path: None,
}


@POSIX
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", READERS)
def test_what_is_no_plain_file_is_refused(name: str, kind: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)  # the path of a socket has to be short
    path = Path(name)
    KINDS[kind](path)
    found = "no such checkpoint" if (name, kind) == ("a.pt", "no such file") else kind
    with pytest.raises(UserError, match=f"{name}.*{found}") as caught:
        READERS[name](path)
    assert "\n" not in str(caught.value)


@POSIX
@pytest.mark.parametrize("name", READERS)
def test_sparse_files_do_not_fill_the_memory(name: str, tmp_path: Path) -> None:
    """3 GB each, in an address space that holds 1 GB more than there is: who reads it fails."""
    import resource

    path = tmp_path / name
    _sparse(path)
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else None
    before = resource.getrlimit(resource.RLIMIT_AS)
    if pages is not None:
        resource.setrlimit(resource.RLIMIT_AS, (pages * os.sysconf("SC_PAGE_SIZE") + (1 << 30), before[1]))
    try:
        with pytest.raises(UserError) as caught:
            READERS[name](path)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    assert "\n" not in str(caught.value)


@POSIX
@pytest.mark.parametrize("make", [_pipe, _sparse])
def test_sets_with_such_files_are_refused(make: Callable[[Path], None], tmp_path: Path) -> None:
    """As scripts, labels, lists, VOC files and what a set says of itself."""
    picture = cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    for root, files, bad in (
        ("scredit", ["a.png"], "annotations/a.json"),
        ("yolo", ["images/train/a.png"], "labels/train/a.txt"),
        ("voc", ["JPEGImages/a.png"], "Annotations/a.xml"),
        ("coco", ["a.png"], "annotations/instances_train.json"),
    ):
        for file in (*files, bad):
            (tmp_path / root / file).parent.mkdir(parents=True, exist_ok=True)
        for file in files:
            (tmp_path / root / file).write_bytes(picture)
        make(tmp_path / root / bad)
        with pytest.raises(UserError):
            formats.read_data_set(tmp_path / root, ReadOptions(), root)
    make(tmp_path / "yolo_proc.json")
    if make is _sparse:
        for read in (read_about, names_of_set):
            with pytest.raises(UserError, match=r"yolo_proc\.json: expected a file of at most 16,777,216 bytes"):
                read(tmp_path)


def test_plain_files_are_read_up_to_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for content in (b"", b"x" * 10, b"y" * (MIB + 1)):
        path.write_bytes(content)
        assert read_bytes(path, max(len(content), 1), "a file", text=True) == content
        assert read_start(str(path), 5, "a file") == content[:5]
    with pytest.raises(UnreadableFileError, match=r"a: expected a file of at most 1,048,576 bytes, found 1,048,577"):
        read_bytes(path, MIB, "a file")
    path.write_bytes(b"z" * MIB + b"\0")
    assert len(read_bytes(path, 2 * MIB, "a file")) == MIB + 1
    with pytest.raises(UnreadableFileError, match="found a byte 0 at offset 1048576, which is no text"):
        read_bytes(path, 2 * MIB, "a file", text=True)
    check_regular(path, "a file")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="Linux alone has such files")
def test_files_that_the_system_makes_up_are_read() -> None:
    """Their size is 0 before they are read."""
    assert read_bytes("/proc/self/statm", 1000, "a file").endswith(b"\n")
    with pytest.raises(UnreadableFileError, match="of at most 2 bytes, found more"):
        read_bytes("/proc/self/statm", 2, "a file")


@POSIX
def test_links_are_read_through(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    (tmp_path / "link").symlink_to("a")
    assert read_bytes(tmp_path / "link", 100, "a file") == b"content"
    (tmp_path / "lost").symlink_to("nowhere")
    (tmp_path / "round").symlink_to("round")
    for name in ("lost", "round"):
        with pytest.raises(UnreadableFileError, match=name):
            read_bytes(tmp_path / name, 100, "a file")


# ------------------------------------------------------------------------------------------ writing


WRITERS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "data set": (".a.json.part", lambda folder: write_whole(folder / "a.json", b"new")),
    "run": (f".metrics.csv.{os.getpid()}.tmp", lambda folder: write_metrics(folder, [{"loss": 1.0}])),
    "turn": (f"..turn.{os.getpid()}.tmp", checkpoint.take_turn),
    "sheet": (f".a.png.{os.getpid()}.tmp", lambda folder: write_png(folder / "a.png", np.zeros((2, 2, 3), np.uint8))),
    "checkpoint": (f".000001.pt.{os.getpid()}.tmp", lambda folder: checkpoint.save(folder / "000001.pt", {"epoch": 1})),
}


@POSIX
@pytest.mark.parametrize("how", ["symbolic", "hard", "stale", "pipe", "to nothing"])
@pytest.mark.parametrize("writer", WRITERS)
def test_a_planted_link_is_not_written_through(writer: str, how: str, tmp_path: Path) -> None:
    part, write = WRITERS[writer]
    victim = tmp_path / "victim"
    folder = tmp_path / "folder"
    folder.mkdir()
    if how != "to nothing":
        victim.write_bytes(b"precious")
    place = folder / part
    match how:
        case "symbolic" | "to nothing":
            place.symlink_to(victim)
        case "hard":
            place.hardlink_to(victim)
        case "stale":
            place.write_bytes(b"what a killed process left, longer than what is written")
        case _:
            os.mkfifo(place)
    write(folder)
    assert not victim.exists() if how == "to nothing" else victim.read_bytes() == b"precious"
    (made,) = folder.iterdir()
    assert made.is_file()
    assert not made.is_symlink()
    assert b"killed" not in made.read_bytes()


@POSIX
@pytest.mark.parametrize("how", ["symbolic", "hard", "pipe", "folder"])
def test_a_lock_and_a_shared_file_do_not_follow_a_link(how: str, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    place = tmp_path / ".lock"
    {
        "symbolic": lambda: place.symlink_to(victim),
        "hard": lambda: place.hardlink_to(victim),
        "pipe": lambda: os.mkfifo(place),
        "folder": place.mkdir,
    }[how]()
    with (
        pytest.raises(DataError, match=r"\.lock: cannot be written: [\w ]+") as caught,
        locked(place, tmp_path, "works"),
    ):
        pass
    assert ("a link or no plain file lies there; remove it" in str(caught.value)) == (how != "folder")
    with pytest.raises(OSError, match=r"plain file|folder|directory"):
        open_own(place, os.O_WRONLY)
    assert victim.read_bytes() == b"precious"


def test_a_shared_file_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for content in (b"one", b"two"):
        with os.fdopen(open_own(path, os.O_WRONLY), "wb") as file:
            file.seek(path.stat().st_size)
            file.write(content)
    assert path.read_bytes() == b"onetwo"
    with os.fdopen(create(path), "wb") as file:
        file.write(b"3")
    assert path.read_bytes() == b"3"


@POSIX
def test_a_video_is_not_written_through_a_link(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    out = tmp_path / "out"
    out.mkdir()
    (out / ".clip.part.mp4").symlink_to(victim)
    writer = AnnotatedWriter(out, DetectionView(("cat",)))
    rgb = np.zeros((32, 32, 3), np.uint8)
    writer.add(Frame(MediaSource("video", "clip.mp4"), rgb, 0), _nothing())
    writer.close()
    assert victim.read_bytes() == b"precious"
    assert (out / "clip.mp4").stat().st_size > 0
    assert not (out / "clip.mp4").is_symlink()


def _nothing() -> Detections:
    return Detections(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64), np.zeros(0, np.int64))


@POSIX
def test_pipes_in_a_folder_of_pictures_are_told(tmp_path: Path) -> None:
    for name in ("a.png", "b.mp4"):
        os.mkfifo(tmp_path / name)
    told = [next(frames_of(source)).error for source in find_sources([str(tmp_path)])]
    assert [line.endswith("found a named pipe") for line in told] == [True, True]


def test_what_a_killed_process_left_is_known_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is killed before the rename leaves a file that `half_written` finds."""

    def killed(*_: object) -> None:
        raise SystemExit

    for name in ("000001.pt", "metrics.csv", ".turn", "a"):
        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", killed)
            patch.setattr(os, "unlink", lambda _: None)
            with pytest.raises(SystemExit):
                replace_whole(tmp_path / name, b"con", b"tent")
    (tmp_path / ".notes.tmp").touch()
    left = half_written(tmp_path)
    assert len(left) == 4
    assert {path.read_bytes() for path in left} == {b"content"}
    assert half_written(tmp_path / "missing") == []


@POSIX
def test_pipes_in_the_folders_of_runs_are_passed_over(tmp_path: Path) -> None:
    for name in ("a", "b"):
        checkpoint.save(tmp_path / name / "000001.pt", {"epoch": 1})
    checkpoint.take_turn(tmp_path / "b")
    os.mkfifo(tmp_path / "a" / ".turn")
    os.mkfifo(tmp_path / "a" / "metrics.csv")
    assert checkpoint.newest_run(tmp_path).name == "b"
    mend(tmp_path / "a")
    assert (tmp_path / "a" / "metrics.csv").is_fifo()


@POSIX
def test_a_lock_that_was_removed_meanwhile_is_no_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its last owner removed it after it was opened; the caller sees that the file of that name is another."""
    look = os.fstat

    def removed(file: int) -> os.stat_result:
        (tmp_path / "lock").unlink(missing_ok=True)
        return look(file)

    monkeypatch.setattr(os, "fstat", removed)
    os.close(open_own(tmp_path / "lock", os.O_RDWR))
