"""What a command prints: on every console, for every file name, and where nothing can be written."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_export import network, pictures, spec_of

from yolo_proc.errors import one_line
from yolo_proc.export.onnx_graph import to_onnx
from yolo_proc.system import output
from yolo_proc.system.output import encodable

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
MODEL = network()
full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no device that is always full")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, and a folder of pictures whose names are not what a console likes."""
    folder = tmp_path_factory.mktemp("names")
    (folder / "model.onnx").write_bytes(to_onnx(MODEL, spec_of(MODEL)))
    (folder / "in").mkdir()
    names = [b"a.png", "é.png".encode(), b"\xe9.png", b"line\nend.png", b"z.png"]
    for name in names:
        try:
            with (folder / "in" / os.fsdecode(name)).open("wb") as file:
                Image.fromarray(pictures(1, (40, 30))[0]).save(file, "PNG")
        except OSError:
            pytest.skip("the file system takes only names in UTF-8")
    (folder / "in" / os.fsdecode(b"clip\xff.mp4")).write_bytes(b"no video")
    return folder


def command(place: Path, *words: str, **environment: str) -> tuple[list[str], dict[str, object]]:
    """The words of a process, and how it is started."""
    given = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return [sys.executable, "-m", "yolo_proc", *words], {"cwd": place, "env": given}


def predict(place: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    line, how = command(place, "predict", "in", "--model", "model.onnx", "--threads", "1", *words, **environment)
    return subprocess.run(line, capture_output=True, **how)  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "utf-8"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    ],
)
def test_no_name_ends_a_command_and_two_stay_two(place: Path, environment: dict[str, str]) -> None:
    ended = predict(place, **environment)
    assert ended.returncode == 0, ended.stderr
    assert b"Traceback" not in ended.stderr
    assert b"5 pictures, " in ended.stderr
    assert len({line.partition(b".png: ")[0] for line in ended.stdout.splitlines()}) == 5
    assert b"clip" in ended.stderr
    assert b"OpenCV cannot take" in ended.stderr
    ended = predict(place, "--json", **environment)
    assert ended.returncode == 0
    entries = json.loads(ended.stdout.decode("ascii"))
    assert len({entry["file"] for entry in entries}) == 6
    json.dumps(entries, ensure_ascii=False).encode("utf-8")  # no halves of characters


@full
def test_an_output_that_cannot_be_written_is_one_line(place: Path) -> None:
    for words in (["--help"], ["train", "--help"], ["predict", "in", "--model", "model.onnx", "--json"]):
        line, how = command(place, *words)
        with Path("/dev/full").open("wb") as device:
            ended = subprocess.run(line, stdout=device, stderr=subprocess.PIPE, **how)  # type: ignore[call-overload]
        assert ended.returncode == 2
        last = ended.stderr.splitlines()[-1]
        assert last == b"yolo_proc: standard output: cannot be written: No space left on device"
        assert b"Traceback" not in ended.stderr
        assert b"Exception" not in ended.stderr


def test_a_reader_that_has_gone_ends_it_quietly(place: Path) -> None:
    for words in (["--help"], ["predict", "in", "--model", "model.onnx"]):
        line, how = command(place, *words)
        with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **how) as running:  # type: ignore[call-overload]
            running.stdout.close()  # before it has written a line
            said = running.stderr.read()
        assert (running.returncode, said) == (141, b"")


@full
def test_the_work_goes_on_where_nothing_can_be_said(place: Path, tmp_path: Path) -> None:
    line, how = command(place, "predict", "in", "--model", "model.onnx", "--json")
    with Path("/dev/full").open("wb") as device:
        ended = subprocess.run(line, stdout=subprocess.PIPE, stderr=device, **how)  # type: ignore[call-overload]
    assert ended.returncode == 0
    assert len(json.loads(ended.stdout)) == 6


def test_streams_that_are_closed_are_no_streams(place: Path) -> None:
    line, how = command(place, "predict", "in", "--model", "model.onnx", "--json")
    quoted = " ".join(f"'{word}'" for word in line)
    for closed, expected in ((">&-", b""), ("2>&-", b"[\n"), (">&- 2>&-", b"")):
        ended = subprocess.run(["sh", "-c", f"{quoted} {closed}"], capture_output=True, **how)  # type: ignore[call-overload]
        assert ended.returncode == 0, ended
        assert ended.stdout[:2] == expected
        assert b"Traceback" not in ended.stderr


class Broken(io.RawIOBase):
    """A device that fails."""

    def writable(self) -> bool:
        return True

    def write(self, _: object) -> int:
        raise OSError(5, "Input/output error")


def test_an_error_names_the_output_and_keeps_its_kind() -> None:
    for number, kind in ((5, OSError), (32, BrokenPipeError), (28, OSError)):
        named = output._named(OSError(number, "words"))
        assert type(named) is kind
        assert (named.errno, named.strerror, named.filename) == (number, "words", output.OUTPUT)
    stream = output._Output(Broken(), encoding="utf-8", write_through=True)  # type: ignore[type-var]
    with pytest.raises(OSError, match="Input/output error: 'standard output'"):
        stream.write("x")
    assert output._Errors(Broken(), encoding="utf-8", write_through=True).write("x") == 1  # type: ignore[type-var]


def test_what_is_shown_is_utf_8() -> None:
    for name in ("", "a.png", "é", "😀", "\udce9", "a\ud800b", "\\udce9"):
        encodable(name).encode("utf-8")
    assert encodable("é😀") == "é😀"
    assert encodable("\udce9") == "\\udce9"
    assert np.unique([encodable("é"), encodable("\udce9"), encodable("\udcc3\udca9")]).size == 3
    assert one_line("a\nb\x1b[2J\x9b\udce9é") == "a\\nb\\x1b[2J\\x9b\\udce9é"
