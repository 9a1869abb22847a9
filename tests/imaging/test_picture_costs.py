"""What a picture may cost: files that claim more than they hold, JPEGs of endless scans. No honest file is refused."""

import io
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from picture_files import SIGNATURE, chunk, png_by_hand, refused, saved, smooth
from PIL import Image

from yolo_proc.imaging import pictures
from yolo_proc.imaging.costs import MAX_PIXELS, MAX_SCANS
from yolo_proc.imaging.headers import read_header
from yolo_proc.imaging.pictures import read_picture

pytestmark = pytest.mark.slow

SIDE = 2500
ONE_COLOUR = np.full((SIDE, SIDE, 3), (200, 100, 50), np.uint8)
WHITE = Image.new("1", (SIDE, SIDE), 1)
PLAIN = Image.new("RGB", (SIDE, SIDE), (200, 100, 50))


def by_opencv(suffix: str, *options: int, grey: bool = False) -> bytes:
    return cv2.imencode(suffix, ONE_COLOUR[:, :, 0] if grey else ONE_COLOUR, options)[1].tobytes()


# The smallest files that three encoders make of one colour.
SMALLEST: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: by_opencv(".jpg", cv2.IMWRITE_JPEG_QUALITY, 1, cv2.IMWRITE_JPEG_OPTIMIZE, 1),
    "grey jpeg": lambda: by_opencv(".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_OPTIMIZE, 1, grey=True),
    "progressive jpeg": lambda: saved(PLAIN, "JPEG", quality=1, progressive=True, optimize=True, subsampling=2),
    "png": lambda: by_opencv(".png", cv2.IMWRITE_PNG_COMPRESSION, 9),
    "grey png": lambda: by_opencv(".png", cv2.IMWRITE_PNG_COMPRESSION, 9, grey=True),
    "1-bit png": lambda: saved(WHITE, "PNG", compress_level=9),
    "palette png": lambda: saved(PLAIN.quantize(2), "PNG", compress_level=9),
    "bmp": lambda: saved(PLAIN, "BMP"),
    "1-bit bmp": lambda: saved(WHITE, "BMP"),
    "webp": lambda: saved(PLAIN, "WEBP", quality=0),
    "webp with alpha": lambda: saved(PLAIN.convert("RGBA"), "WEBP", quality=0, exact=True),
    "lossless webp": lambda: saved(PLAIN, "WEBP", lossless=True),
    "tiff": lambda: saved(PLAIN, "TIFF"),
    "tiff lzw": lambda: saved(PLAIN, "TIFF", compression="tiff_lzw"),
    "tiff deflate": lambda: saved(PLAIN, "TIFF", compression="tiff_adobe_deflate"),
    "tiff packbits": lambda: saved(PLAIN, "TIFF", compression="packbits"),
    "tiff fax": lambda: saved(WHITE, "TIFF", compression="group4"),
    "tiff jpeg": lambda: saved(PLAIN, "TIFF", compression="jpeg"),
}


@pytest.mark.parametrize("kind", SMALLEST)
def test_one_colour_is_read_in_every_kind(kind: str) -> None:
    data = SMALLEST[kind]()
    header = read_header(io.BytesIO(data), MAX_PIXELS)
    assert (header.width, header.height) == (SIDE, SIDE)
    assert header.least_bytes <= len(data)
    pixels = read_picture(data)
    assert pixels.shape == (SIDE, SIDE, 3)
    assert np.ptp(pixels, axis=(0, 1)).max() <= 40  # a WebP of the worst quality changes some


def with_size(data: bytes, kind: str, width: int, height: int) -> bytes:
    """The same file with another size in its header."""
    changed = bytearray(data)
    match kind:
        case "jpeg":
            at = re.search(rb"\xff[\xc0\xc2]", data).start() + 5  # type: ignore[union-attr]
            changed[at : at + 4] = struct.pack(">HH", height, width)
        case "png":
            content = struct.pack(">II", width, height) + data[24:29]
            changed[8:33] = chunk(b"IHDR", content)
        case "bmp":
            changed[18:26] = struct.pack("<ii", width, height)
        case "webp":
            changed[26:30] = struct.pack("<HH", width, height)
        case "tiff":
            for tag, value in ((256, width), (257, height)):
                at = data.index(struct.pack("<HH", tag, 4 if struct.pack("<HH", tag, 4) in data else 3))
                changed[at : at + 12] = struct.pack("<HHII", tag, 4, 1, value)
    return bytes(changed)


TINY = {
    "jpeg": saved(Image.fromarray(smooth()), "JPEG"),
    "png": saved(Image.fromarray(smooth()), "PNG"),
    "bmp": saved(Image.fromarray(smooth()), "BMP"),
    "webp": saved(Image.fromarray(smooth()), "WEBP"),
    "tiff": saved(Image.fromarray(smooth()), "TIFF"),
}


@pytest.mark.parametrize("kind", TINY)
def test_more_pixels_than_the_bytes_can_hold_are_refused_undecoded(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read_picture(TINY[kind])
    for decoder in ("_decode_with_opencv", "_decode_with_pillow"):
        monkeypatch.setattr(pictures, decoder, lambda *_: pytest.fail("decoded"))
    lying = with_size(TINY[kind], kind, 9999, 9999)
    assert len(lying) < 10_000
    refused(lying, r"expected at least [\d,]+ bytes for 9999 x 9999 pixels, found [\d,]+$")


def test_a_progressive_jpeg_that_lies_is_refused() -> None:
    data = saved(Image.fromarray(smooth()), "JPEG", progressive=True)
    refused(with_size(data, "jpeg", 9999, 9999), "expected at least 97,636 bytes for 9999 x 9999 pixels")


def test_the_arithmetic_of_the_limits() -> None:
    """A byte less than what the header asks for is refused; deflate's best is a little more than the bound."""
    width = height = 3000
    zeros = bytes((1 + 3 * width) * height)
    best = zlib.compressobj(9, zlib.DEFLATED, 15, 9, zlib.Z_DEFAULT_STRATEGY)
    packed = best.compress(zeros) + best.flush()
    assert len(zeros) / 1032 < len(packed) < len(zeros) / 1020
    data = png_by_hand((width, height), 8, 2, zeros)
    least = read_header(io.BytesIO(data), MAX_PIXELS).least_bytes
    assert least == (height + width * height * 3) // 1032
    read_header(io.BytesIO(data[:least]), MAX_PIXELS)
    refused(data[: least - 1], f"expected at least {least:,} bytes for 3000 x 3000 pixels, found {least - 1:,}")


# ------------------------------------------------------------------------------------------ scans


def with_scans(count: int) -> bytes:
    """A progressive JPEG of grey whose last scan, of the highest frequency alone, comes again and again."""
    data = saved(Image.fromarray(smooth()[:, :, 0]), "JPEG", progressive=True)
    starts = [match.start() for match in re.finditer(rb"\xff\xda", data)]
    last, end = starts[-1], data.rindex(b"\xff\xd9")
    return data[:last] + data[last:end] * (count - len(starts) + 1) + data[end:]


def test_too_many_scans_are_refused_undecoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert np.array_equal(read_picture(with_scans(MAX_SCANS)), read_picture(with_scans(MAX_SCANS)))
    monkeypatch.setattr(pictures, "_decode_with_opencv", lambda *_: pytest.fail("decoded"))
    for count in (MAX_SCANS + 1, 1000, 5000):
        (tmp_path / "a.jpg").write_bytes(with_scans(count))
        refused(tmp_path / "a.jpg", "expected a JPEG of at most 100 scans, found more; write it anew", "bomb")


def test_only_scans_count_as_scans() -> None:
    """Their marker in comments and tables, in a thumbnail, and behind the end (a film that phones append) is none."""
    data = saved(Image.fromarray(smooth()), "JPEG")
    many = b"\xff\xda" * 500
    comment = b"\xff\xfe" + struct.pack(">H", len(many) + 2) + many
    scan = data.index(b"\xff\xda")
    quantization = b"\xff\xdb\x00\x43\x03" + b"\xff\xda" * 32  # a table that no channel uses
    for odd in (
        data[:2] + comment + data[2:],
        data[:scan] + comment + quantization * 20 + data[scan:],
        data[:-2] + comment + quantization * 200 + data[-2:],
        data + many,
    ):
        assert np.array_equal(read_picture(odd), read_picture(data))


def test_an_end_inside_of_a_comment_does_not_hide_scans() -> None:
    data = with_scans(1000)
    at = data.index(b"\xff\xda")
    end = data.index(b"\xff", data.index(b"\xff\xda", at + 2) - 1)
    hidden = data[:end] + b"\xff\xfe\x00\x06\xff\xd9\xff\xd9" + data[end:]
    refused(hidden, "at most 100 scans", "bomb")


def test_bombs_inside_of_a_png_are_not_unpacked() -> None:
    """A text of 50 MB, and pixels without end behind those that there are."""
    text = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(50_000_000)))
    rows = bytes((1 + 3 * 4) * 4)
    header = SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 2, 0, 0, 0))
    data = header + text + chunk(b"IDAT", zlib.compress(rows + bytes(1_000_000))) + chunk(b"IEND", b"")
    assert read_picture(data).shape == (4, 4, 3)
