"""10, 12 and 14 bits in files of 16: what is sure is scaled, what is likely is told, and the user can say it."""

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from picture_files import chunk, png_by_hand, saved
from PIL import Image

from yolo_proc.annotations.records import ReadOptions
from yolo_proc.cli.main import main
from yolo_proc.data.folder import Folder
from yolo_proc.errors import AnnotationError
from yolo_proc.export.sources import MediaSource, frames_of
from yolo_proc.imaging.pictures import is_deep, read_picture
from yolo_proc.imaging.reading import PictureReading

RNG = np.random.default_rng(3)


def samples(bits: int, size: tuple[int, int] = (40, 30)) -> np.ndarray:
    """(H, W) uint16 of a camera with some bits: noise over all of them."""
    values = RNG.integers(0, 1 << bits, (size[1], size[0]), dtype=np.uint16)
    values[0, :2] = (0, (1 << bits) - 1)
    return values


def png_16(values: np.ndarray, said: int | tuple[int, ...] | None = None, colour: int = 0) -> bytes:
    """A PNG of (H, W) or (H, W, channels) samples, whose sBIT says how many bits count."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    says = said if isinstance(said, tuple) or said is None else (said,) * {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    before = b"" if says is None else chunk(b"sBIT", bytes(says))
    return png_by_hand((values.shape[1], values.shape[0]), 16, colour, rows, before=before)


def grey_of(picture: np.ndarray) -> np.ndarray:
    assert (picture == picture[:, :, :1]).all()
    return picture[:, :, 0]


def read(data: bytes, bits: int | None = None) -> tuple[np.ndarray, list[str]]:
    reading = PictureReading(bits)
    return grey_of(read_picture(data, reading=reading, name="a.png")), list(reading.notes())


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_what_is_likely_is_told_and_not_done(bits: int) -> None:
    """A dark picture of 16 bits has the same samples; the picture is what v >> 8 says."""
    values = samples(bits)
    found, notes = read(png_16(values))
    assert np.array_equal(found, values >> 8)
    assert notes == [
        f"1 of 1 pictures of 16 bits a sample use {bits} of them or fewer (first: a.png) and are read dark; if their "
        f"camera has {bits} bits, say so: --bit-depth {bits}"
    ]


@pytest.mark.parametrize("bits", [8, 9, 10, 12, 14, 15, 16])
def test_what_the_user_says_is_done(bits: int) -> None:
    values = samples(bits)
    found, notes = read(png_16(values), bits)
    assert np.array_equal(found, values >> (bits - 8))
    assert (found.min(), found.max()) == (0, 255)
    assert notes == []
    found, _ = read(png_16(samples(bits) // 4), bits)  # a dark one of the same camera has the same scale
    assert found.max() == 63


def test_more_bits_than_the_user_says_are_refused() -> None:
    values = samples(12)
    values[5, 5] = 4096
    with pytest.raises(AnnotationError, match=r"a\.png: expected samples of at most 4,095, as a bit depth of 12 has"):
        read(png_16(values), 12)
    colour = np.repeat(samples(10)[:, :, None], 3, axis=2)
    colour[3, 4, 1] = 1024
    with pytest.raises(AnnotationError, match="found 1,024"):
        read_picture(png_16(colour, colour=2), reading=PictureReading(10))


def test_pictures_of_8_bits_do_not_mind() -> None:
    grey = RNG.integers(0, 256, (8, 9), dtype=np.uint8)
    found, notes = read(saved(Image.fromarray(grey), "PNG"), 12)
    assert np.array_equal(found, grey)
    assert notes == []


@pytest.mark.parametrize("bits", [9, 10, 12, 14])
@pytest.mark.parametrize("colour", [0, 2, 4, 6])
def test_what_a_png_says_and_shows_is_done(bits: int, colour: int) -> None:
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    values = RNG.integers(0, 1 << bits, (30, 40, channels), dtype=np.uint16)
    if colour in (4, 6):
        values[:, :, -1] = 65535  # alpha has no say
    reading = PictureReading()
    found = read_picture(png_16(values, bits, colour), reading=reading, name="b.png")
    expected = (values[:, :, : 3 if channels > 2 else 1] >> (bits - 8)).astype(np.uint8)
    assert np.array_equal(found, np.broadcast_to(expected, found.shape))
    assert list(reading.notes()) == [
        f"1 pictures of 16 bits a sample say and show that they use {bits}: read so (first: b.png)"
    ]


@pytest.mark.parametrize("how", ["shifted", "replicated", "linear"])
@pytest.mark.parametrize("bits", [10, 12, 14])
@pytest.mark.parametrize("share", [1, 16, 64])
def test_samples_that_are_scaled_as_the_standard_wants_stay(bits: int, how: str, share: int) -> None:
    """Dark pictures too: none of them has lower bits that only samples as they were taken have."""
    values = (samples(bits) // share).astype(np.uint32)
    scaled = {
        "shifted": values << (16 - bits),
        "replicated": values << (16 - bits) | values >> (2 * bits - 16),
        "linear": (values * 65535 * 2 + ((1 << bits) - 1)) // (2 * ((1 << bits) - 1)),
    }[how].astype(np.uint16)
    found, notes = read(png_16(scaled, bits))
    assert np.array_equal(found, scaled >> 8)
    assert not any("say and show" in note for note in notes)


def test_what_a_png_says_counts_only_where_its_samples_agree() -> None:
    for said in (8, 15, 16, 0, 200):
        found, _ = read(png_16(samples(10), said))
        assert found.max() == 1023 >> 8, said
    bright = samples(12)
    bright[0, 0] = 4096
    assert read(png_16(bright, 12))[0].max() == 4096 >> 8
    short = png_by_hand((4, 4), 16, 2, b"".join(b"\0" + bytes(24) for _ in range(4)), before=chunk(b"sBIT", b"\x0c"))
    assert read_picture(short).max() == 0
    assert read(png_16(samples(12), 12), 16)[0].max() == 15  # the user's word is stronger


def test_the_largest_of_the_channels_counts() -> None:
    values = np.stack([samples(10), samples(12), samples(10)], axis=2)
    found = read_picture(png_16(values, (10, 12, 10), 2))
    assert np.array_equal(found, values >> 4)


def test_exif_in_front_does_not_hide_what_is_said() -> None:
    data = png_16(samples(12), 12)
    exif = chunk(b"eXIf", b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0")
    turned = data[:33] + exif + data[33:]
    assert read_picture(turned).shape == (40, 30, 3)
    assert np.array_equal(read_picture(turned), np.rot90(read_picture(data), 3))


def packed(row: np.ndarray, bits: int) -> bytes:
    text = "".join(format(int(value), f"0{bits}b") for value in row)
    text += "0" * (-len(text) % 8)
    return bytes(int(text[at : at + 8], 2) for at in range(0, len(text), 8))


@pytest.mark.parametrize("packing", [1, 8])
def test_tiffs_of_12_bits_say_it(packing: int) -> None:
    """With samples of 12 bits there is nothing to guess."""
    values = samples(12, (7, 5))
    data = b"".join(packed(row, 12) for row in values)
    data = zlib.compress(data) if packing == 8 else data
    tags = {256: 7, 257: 5, 258: 12, 259: packing, 262: 1, 273: 122, 277: 1, 278: 5, 279: len(data)}
    entries = b"".join(struct.pack("<HHIHH", tag, 3, 1, value, 0) for tag, value in tags.items())
    found, notes = read(b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + b"\0" * 4 + data)
    assert np.array_equal(found, values >> 4)
    assert notes == []


def test_tiffs_of_16_bits() -> None:
    values = samples(12)
    data = saved(Image.fromarray(values), "TIFF")
    assert np.array_equal(read(data)[0], values >> 8)
    assert "use 12 of them or fewer" in read(data)[1][0]
    assert np.array_equal(read(data, 12)[0], values >> 4)
    colour = np.stack([samples(12), samples(12), samples(12)], axis=2)
    data = cv2.imencode(".tiff", colour)[1].tobytes()
    reading = PictureReading()
    assert np.array_equal(read_picture(data, reading=reading), colour[:, :, ::-1] >> 8)
    assert "use 12 of them or fewer" in next(reading.notes())
    with pytest.raises(AnnotationError, match="a TIFF in grey or a PNG, where a bit depth is given, found"):
        read_picture(data, reading=PictureReading(12))


def test_notes_count_over_a_set() -> None:
    reading = PictureReading()
    assert list(reading.notes()) == []
    for number, bits in enumerate((16, 10, 11, 16, 15)):
        read_picture(png_16(samples(bits)), reading=reading, name=f"{number}.png")
    read_picture(png_16(np.zeros((4, 4), np.uint16)), reading=reading, name="black.png")
    assert list(reading.notes("--depth")) == [
        "3 of 6 pictures of 16 bits a sample use 11 of them or fewer (first: 1.png) and are read dark; if their camera "
        "has 12 bits, say so: --depth 12"
    ]


def test_which_files_are_deep() -> None:
    assert is_deep(png_16(samples(12)))
    assert not is_deep(saved(Image.fromarray(samples(8).astype(np.uint8)), "PNG"))
    assert not is_deep(b"")


# ------------------------------------------------------------------------------------------ commands


@pytest.fixture
def camera(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A YOLO set of 12 bits in 16: a bright square on a grey ground, of which no sample uses the 12th bit."""
    monkeypatch.chdir(tmp_path)
    for name in ("images/train", "labels/train"):
        (tmp_path / "set" / name).mkdir(parents=True)
    for number in range(4):
        values = RNG.integers(1020, 1060, (48, 64), dtype=np.uint16)
        values[10:30, 10 + number : 40 + number] += 760
        (tmp_path / f"set/images/train/{number}.png").write_bytes(png_16(values))
        x = (25 + number) / 64
        (tmp_path / f"set/labels/train/{number}.txt").write_text(f"0 {x} {20 / 48} {30 / 64} {20 / 48}\n")
    (tmp_path / "set/data.yaml").write_text("train: images/train\nval: images/train\nnames: {0: thing}\n")
    return tmp_path / "set"


def inspected(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert main(["inspect", "set", "--json", "--out", "sheets", *words]) == 0
    return json.loads(capsys.readouterr().out)


def test_inspect_tells_it_and_takes_it(camera: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = inspected(capsys)
    (note,) = [note for note in found["notes"] if "16 bits" in note]
    assert note.startswith(
        "4 of 4 pictures of 16 bits a sample use 11 of them or fewer (first: set/images/train/0.png)"
    )
    assert note.endswith("say so: --bit-depth 12")
    assert found["statistics"]["brightness"]["most"] < 8
    found = inspected(capsys, "--bit-depth", "12")
    assert [note for note in found["notes"] if "16 bits" in note] == []
    assert found["statistics"]["brightness"]["least"] > 64
    assert main(["inspect", "set", "--bit-depth", "10", "--out", "sheets"]) == 2  # nothing is left
    assert "samples of at most 1,023, as a bit depth of 10 has them" in capsys.readouterr().out


def test_convert_copies_files_and_scales_pixels(camera: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", "set", "--to", "coco", "--out", "coco"]) == 0
    assert (camera.parent / "coco/train/0.png").read_bytes() == (camera / "images/train/0.png").read_bytes()
    assert "say so: where the copies are read, with --bit-depth 12" in capsys.readouterr().err
    size = ("--binary.size", "64x48", "--binary.stride", "16")
    assert main(["convert", "set", "--to", "binary", "--out", "dark", *size]) == 0
    assert "4 of 4 pictures of 16 bits a sample use 11 of them or fewer" in capsys.readouterr().err
    assert main(["convert", "set", "--to", "binary", "--out", "right", *size, "--bit-depth", "12"]) == 0
    assert "16 bits" not in capsys.readouterr().err
    dark, right = (np.fromfile(next(Path(name).rglob("images.bin")), np.uint8) for name in ("dark", "right"))
    assert dark.max() == 7
    assert np.array_equal(right >> 4, dark)


def test_a_folder_tells_it_and_takes_it(camera: Path) -> None:
    (note,) = [note for note in Folder(str(camera)).notes() if "16 bits" in note]
    assert note.endswith("say so: --generator.bit-depth 12")
    right = Folder(str(camera), bit_depth=12)
    assert not any("16 bits" in note for note in right.notes())
    assert right._set.pictures[0].read(12).max() > 100
    assert Folder(str(camera))._set.pictures[0].read(None).max() == 7


def test_predict_takes_it(camera: Path) -> None:
    name = str(camera / "images/train/0.png")
    for bits, most in ((None, 7), (12, 113)):
        reading = PictureReading(bits)
        frame = next(frames_of(MediaSource("picture", name), reading=reading))
        assert frame.rgb is not None
        assert frame.rgb.max() == most
        assert len(list(reading.notes())) == (bits is None)


def test_options_carry_it() -> None:
    """Each reading has a count of its own."""
    assert ReadOptions().reading is not ReadOptions().reading
