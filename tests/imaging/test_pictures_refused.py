"""The one reader of pictures: what it refuses, and by what error."""

import io
import os
import struct
import warnings
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest
from picture_files import (
    ORIENTED,
    PIXELS,
    SIXTEEN,
    WHOLE,
    chunk,
    exif_of,
    png_by_hand,
    png_of,
    refused,
    saved,
    smooth,
    with_app1,
    write,
)
from PIL import Image

from yolo_proc.errors import AnnotationError
from yolo_proc.imaging import pictures
from yolo_proc.imaging.costs import MAX_PIXELS
from yolo_proc.imaging.pictures import picture_size, read_picture

# What is refused


def test_cmyk_is_refused(tmp_path: Path) -> None:
    image = Image.fromarray(smooth()).convert("CMYK")
    for name in ("a.jpg", "a.tif"):
        image.save(tmp_path / name)
        refused(tmp_path / name, rf"{name}: expected .*grey or RGB, found CMYK; convert it to RGB")
    with pytest.raises(AnnotationError, match="CMYK"):
        picture_size(tmp_path / "a.jpg")


@pytest.mark.parametrize("mode", ["F", "I", "LAB"])
def test_tiffs_that_are_no_pictures_are_refused(mode: str) -> None:
    refused(saved(Image.new(mode, (8, 8)), "TIFF"), f"(grey or RGB|bits), found .*({mode}|32)")


def test_sixteen_bits_in_separate_planes_are_refused() -> None:
    _, stored = cv2.imencode(".tif", np.dstack([SIXTEEN] * 3), [cv2.IMWRITE_TIFF_COMPRESSION, 1])
    data = stored.tobytes()
    at = data.index(struct.pack("<HHIH", 284, 3, 1, 1))
    refused(data[: at + 8] + b"\2" + data[at + 9 :], "one plane")


def test_what_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "animation.gif").write_bytes(saved(Image.fromarray(PIXELS), "GIF"))
    os.mkfifo(tmp_path / "pipe.png")
    for name, match in (
        ("text.png", r"text.png: expected a picture \(.*\), found a file that begins with b'no picture'"),
        ("empty.jpg", "found an empty file"),
        ("folder.png", "found a folder"),
        ("animation.gif", "begins with b'GIF"),
        ("pipe.png", "found a named pipe"),
    ):
        refused(tmp_path / name, match)
        with pytest.raises(AnnotationError, match=match):
            picture_size(tmp_path / name)
    refused(b"", r"\(bytes\): expected a picture .*, found an empty file")


@pytest.mark.parametrize("name", ["none.png", "no/such.png", "none.png/behind.png", "nul\0.png"])
def test_missing_files(name: str, tmp_path: Path) -> None:
    if "behind" in name:
        (tmp_path / "none.png").write_text("a file where a folder is expected")
    refused(f"{tmp_path}/{name}", "no such file", "missing-image")
    with pytest.raises(AnnotationError, match="no such file"):
        picture_size(tmp_path / name)


def test_a_link_in_a_circle_and_a_name_that_is_too_long(tmp_path: Path) -> None:
    (tmp_path / "a.png").symlink_to(tmp_path / "a.png")
    refused(tmp_path / "a.png", "expected a picture, found too many levels")
    refused(tmp_path / ("a" * 300 + ".png"), "expected a picture, found file name too long")


def jpeg_of_size(width: int, height: int, precision: int = 8, components: int = 3) -> bytes:
    data = bytearray(saved(Image.fromarray(smooth()), "JPEG"))
    at = data.index(b"\xff\xc0") + 4
    data[at : at + 6] = struct.pack(">BHHB", precision, height, width, components)
    return bytes(data)


def webp_canvas(width: int, height: int) -> bytes:
    body = b"WEBPVP8X" + struct.pack("<IB3x", 10, 0)
    body += (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF" + struct.pack("<I", len(body)) + body


def bmp_of_size(width: int, height: int) -> bytes:
    data = bytearray(saved(Image.fromarray(PIXELS), "BMP"))
    data[18:26] = struct.pack("<ii", width, height)
    return bytes(data)


def tiff_of_size(width: int, height: int) -> bytes:
    entries = b"".join(
        struct.pack("<HHII", tag, 4, 1, value)
        for tag, value in ((256, width), (257, height), (258, 8), (262, 1), (273, 8))
    )
    return b"II*\0" + struct.pack("<IH", 8, 5) + entries + b"\0" * 4


def vp8l_of_size(width: int, height: int) -> bytes:
    content = b"\x2f" + ((width - 1) | (height - 1) << 14).to_bytes(4, "little")
    return b"RIFF" + struct.pack("<I", 24) + b"WEBPVP8L" + struct.pack("<I", 5) + content + b"\0"


def vp8_of_size(width: int, height: int) -> bytes:
    content = b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", width, height)
    return b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8 " + struct.pack("<I", 10) + content


BOMBS: dict[str, bytes] = {
    # A few KB that are 1.2 GB of pixels, valid as far as they go.
    "png": png_by_hand((20000, 20000), 8, 2, bytes(5_000_000)),
    "jpeg": jpeg_of_size(60000, 60000),
    "webp canvas": webp_canvas(16_000_000, 16_000_000),
    "webp lossless": vp8l_of_size(16384, 16384),
    "webp lossy": vp8_of_size(16383, 16383),
    "bmp": bmp_of_size(20000, 20000),
    "bmp from above": bmp_of_size(20000, -20000),
    "tiff": tiff_of_size(4_000_000_000, 4_000_000_000),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_bombs_are_refused_by_their_header(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def must_not_decode(*arguments: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(pictures, "_decode_with_opencv", must_not_decode)
    monkeypatch.setattr(pictures, "_decode_with_pillow", must_not_decode)
    path = tmp_path / "bomb.png"
    path.write_bytes(BOMBS[kind])
    assert path.stat().st_size < 10_000
    for source in (path, BOMBS[kind]):
        refused(source, r"expected at most 200 megapixels, found \d+ x \d+; make it smaller", "bomb")
    with pytest.raises(AnnotationError, match="200 megapixels") as caught:
        picture_size(path)
    assert caught.value.reason == "bomb"


def test_the_limit_itself_is_allowed(tmp_path: Path) -> None:
    assert MAX_PIXELS == 200_000_000
    (tmp_path / "a.png").write_bytes(png_of(PIXELS))
    assert read_picture(tmp_path / "a.png", max_pixels=54).shape == (6, 9, 3)
    assert picture_size(tmp_path / "a.png", max_pixels=54) == (9, 6)
    refused(tmp_path / "a.png", "found 9 x 6", "bomb", max_pixels=53)
    with pytest.raises(AnnotationError, match="found 9 x 6"):
        picture_size(tmp_path / "a.png", max_pixels=53)
    largest = write(tmp_path / "b.png", png_by_hand((20_000, 10_000), 1, 0, bytes(2501 * 10_000)))
    assert picture_size(largest) == (20_000, 10_000)


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (0, 0)])
def test_zero_sizes_are_refused(size: tuple[int, int]) -> None:
    for data in (png_by_hand(size, 8, 2, b""), jpeg_of_size(*size), bmp_of_size(*size), tiff_of_size(*size)):
        refused(data, rf"expected sides of at least 1 pixel, found {size[0]} x {size[1]}")


def test_headers_that_lie_are_refused() -> None:
    second = chunk(b"IHDR", struct.pack(">IIBBBBB", 40000, 40000, 8, 2, 0, 0, 0))
    refused(png_of(PIXELS, before=second), "a PNG of the standard's chunks, found b'IHDR'")
    inner = saved(Image.fromarray(smooth()), "WEBP")[12:]
    body = b"WEBPVP8X" + struct.pack("<IB3x", 10, 0) + b"\x03\0\0\x03\0\0" + inner  # a canvas of 4 x 4
    refused(b"RIFF" + struct.pack("<I", len(body)) + body, "(WEBP|48)")
    refused(bmp_of_size(-9, 6), "at least 1 pixel")


def test_jpegs_of_other_kinds_are_refused() -> None:
    refused(jpeg_of_size(48, 32, precision=12), "a JPEG of 8 bits, found one of 12 bits")
    refused(jpeg_of_size(48, 32, components=2), "found 2 channels")
    refused(b"\xff\xd8\xff\xd9", "a JPEG with its size")
    refused(b"\xff\xd8\xff\xe0\0\1\xff\xd9", "segment, found one of 1 bytes")
    refused(b"\xff\xd8\xff\xe0\0\2JFIF", "something else at byte 6")


@pytest.mark.filterwarnings("error")
def test_warnings_of_pillow_do_not_reach_the_user() -> None:
    data = bytearray(WHOLE["tiff"])
    entries = int.from_bytes(data[4:8], "little") + 2
    warned = 0
    for at in range(entries, len(data) - 4, 4):
        changed = bytes(data[:at]) + b"\xff\xff\xff\xff" + bytes(data[at + 4 :])
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            with suppress(Exception):
                Image.open(io.BytesIO(changed)).load()
        warned += bool(told)
        with suppress(AnnotationError):
            read_picture(changed)
    assert warned


@pytest.mark.parametrize("kind", WHOLE)
def test_a_file_that_ends_early_is_refused_wherever_it_ends(kind: str) -> None:
    data = WHOLE[kind]
    read_picture(data)
    for end in range(0, len(data), max(1, len(data) // 150)):
        refused(data[:end], "expected")
    for end in range(len(data) - 12, len(data)):
        refused(data[:end], "expected")


def test_a_thumbnail_does_not_end_a_jpeg() -> None:
    thumbnail = saved(Image.fromarray(smooth(16, 16)), "JPEG")
    data = with_app1(saved(Image.fromarray(smooth()), "JPEG"), b"Exif\0\0" + exif_of(1) + thumbnail)
    assert read_picture(data).shape == (32, 48, 3)
    refused(data[:-100], "a whole JPEG, found one that ends early")


def test_damaged_content_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    data = bytearray(png_of(PIXELS))
    data[data.index(b"IDAT") + 20] ^= 1
    refused(bytes(data), "a wrong checksum of b'IDAT'")
    rows = b"".join(b"\0" + row.tobytes() for row in PIXELS)
    refused(png_by_hand((9, 6), 8, 2, rows[:-1]), "a readable PNG, found damaged content")  # one byte too few
    refused(png_by_hand((9, 6), 8, 2, b"\x09" + rows[1:]), "a readable PNG")  # no such filter
    refused(png_by_hand((9, 6), 8, 3, rows), "a readable PNG")  # a palette, but none there
    refused(png_of(PIXELS, before=chunk(b"CgBI", b"\0" * 4)), "standard's chunks, found b'CgBI' at byte 33")


def test_a_size_is_had_from_the_header_alone(tmp_path: Path) -> None:
    for kind, end in (("jpeg", -20), ("png", 33), ("webp", 40), ("bmp", -20), ("tiff", -20)):
        path = write(tmp_path / "a.png", WHOLE[kind][:end])
        assert picture_size(path) == read_picture(WHOLE[kind]).shape[1::-1], kind
    for end in (0, 1, 11, 12, 20):
        with pytest.raises(AnnotationError):
            picture_size(write(tmp_path / "a.png", WHOLE["png"][:end]))


# Anything at all


def check_a_mutation(data: bytes, path: Path) -> bool:
    """Whether it is read; what is neither a picture nor the typed error comes out."""
    path.write_bytes(data)
    try:
        picture = read_picture(data, max_pixels=1_000_000)
    except AnnotationError:
        return False
    assert picture.dtype == np.uint8
    assert picture_size(path, max_pixels=1_000_000) == (picture.shape[1], picture.shape[0])
    return True


def mutations(data: bytes, count: int) -> list[bytes]:
    rng = np.random.default_rng(len(data))
    made: list[bytes] = []
    for _ in range(count):
        changed = bytearray(data)
        for at in rng.integers(0, len(data) if rng.random() < 0.5 else min(len(data), 200), rng.integers(1, 5)):
            changed[at] = rng.choice([0, 0xFF, rng.integers(256), changed[at] ^ (1 << rng.integers(8))])
        start, stop = sorted(rng.integers(0, len(data), 2).tolist())
        if rng.random() < 0.2:
            del changed[start:stop]
        if rng.random() < 0.1:
            changed[start:start] = changed[start:stop]
        made.append(bytes(changed))
    return made


@pytest.mark.parametrize("kind", [*WHOLE, "oriented jpeg", "oriented tiff", "oriented webp"])
def test_mutated_files_give_a_picture_or_the_typed_error(kind: str, tmp_path: Path) -> None:
    exif = b"Exif\0\0" + exif_of(6)
    data = {
        **WHOLE,
        "oriented jpeg": with_app1(WHOLE["jpeg"], exif),
        "oriented tiff": ORIENTED["tiff"](6),
        "oriented webp": ORIENTED["webp"](6),
    }[kind]
    assert check_a_mutation(data, tmp_path / "a.png")
    read = [check_a_mutation(changed, tmp_path / "a.png") for changed in mutations(data, 100)]
    assert not all(read)


def test_the_check_of_mutations_sees_other_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise KeyError("own bug")

    monkeypatch.setattr(pictures, "_upright", fail)
    with pytest.raises(KeyError):
        check_a_mutation(WHOLE["png"], tmp_path / "a.png")
