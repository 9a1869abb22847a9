import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from yolo_proc.boxes import RgbImage
from yolo_proc.cli.main import main
from yolo_proc.datasets.scenefiles import encode_picture
from yolo_proc.imaging.pictures import read_picture
from yolo_proc.imaging.reading import PictureReading
from yolo_proc.system import native_stderr
from yolo_proc.system.native_stderr import caught


def noisy() -> RgbImage:
    return np.random.default_rng(3).integers(0, 256, (48, 64, 3), dtype=np.uint8)


def damaged_jpeg() -> bytes:
    """Two markers of no meaning inside of the scan: libjpeg complains and decodes on."""
    data = encode_picture(noisy(), "jpg", 90)
    middle = len(data) * 2 // 3
    return data[:middle] + b"\xff\xd3" * 2 + data[middle + 40 :]


def test_what_is_printed_meanwhile_is_caught_and_the_rest_is_not(capfd: pytest.CaptureFixture[str]) -> None:
    os.write(2, b"before\n")
    with caught() as lines:
        os.write(2, b"Corrupt\n\n  data \n")
    os.write(2, b"after\n")
    with caught() as none:
        pass
    assert (lines, none) == (["Corrupt", "data"], [])
    assert capfd.readouterr().err == "before\nafter\n"


def test_threads_that_are_inside_together_lose_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    inner_is_in, inner_may_go = threading.Event(), threading.Event()
    found: list[str] = []

    def inner() -> None:
        with caught() as lines:
            inner_is_in.set()
            assert inner_may_go.wait(20)
        found.extend(lines)

    thread = threading.Thread(target=inner)
    with caught() as outer:
        os.write(2, b"first\n")
        thread.start()
        assert inner_is_in.wait(20)
        os.write(2, b"second\n")
    inner_may_go.set()
    thread.join(20)
    os.write(2, b"third\n")
    assert (outer, found) == (["first", "second"], ["second"])
    assert capfd.readouterr().err == "third\n"


def test_a_damaged_picture_is_told_and_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    reading = PictureReading()
    assert read_picture(damaged_jpeg(), reading=reading, name="a.jpg").shape == (48, 64, 3)
    read_picture(damaged_jpeg(), reading=reading, name="b.jpg")
    read_picture(encode_picture(noisy(), "jpg", 90), reading=reading, name="c.jpg")
    (note,) = reading.notes()
    assert note.startswith(
        "2 pictures are damaged inside, so that parts of them may be wrong (first: a.jpg: Corrupt JPEG"
    )
    assert capfd.readouterr().err == ""


def test_without_a_standard_error_pictures_are_read_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(damaged_jpeg())
    code = "import sys; from yolo_proc.imaging.pictures import read_picture; print(read_picture(sys.argv[1]).shape)"
    command = f'exec "{sys.executable}" -c "{code}" "{tmp_path / "a.jpg"}" 2>&-'
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stdout == "(48, 64, 3)\n"


def test_inspect_tells_of_damage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in ("images/train", "labels/train"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "images/train/a.jpg").write_bytes(damaged_jpeg())
    (tmp_path / "labels/train/a.txt").write_text("0 0.5 0.5 0.5 0.5\n", encoding="utf-8")
    assert main(["inspect", str(tmp_path), "--out", str(tmp_path / "sheets")]) == 0
    assert "1 pictures are damaged inside" in capsys.readouterr().out


def test_it_is_caught_and_given_back_on_a_system_without_pread(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "pread", raising=False)  # as on Windows
    with caught() as outer:
        os.write(2, b"first\n")
        with caught() as inner:
            os.write(2, b"second\n")
        os.write(2, b"third\n")
    os.write(2, b"after\n")
    assert (outer, inner) == (["first", "second", "third"], ["second"])
    assert capfd.readouterr().err == "after\n"


def test_it_is_given_back_where_what_was_caught_cannot_be_read(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: int) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(native_stderr, "_read", broken)
    with caught() as lines:
        os.write(2, b"lost\n")
    os.write(2, b"after\n")
    assert lines == []
    assert capfd.readouterr().err == "after\n"
