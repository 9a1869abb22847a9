"""Pictures for tests: by hand, by Pillow and by OpenCV."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from yolo_proc.errors import AnnotationError
from yolo_proc.imaging.pictures import read_picture

SIGNATURE = b"\x89PNG\r\n\x1a\n"
SIXTEEN = np.array([[0x0000, 0x00FF, 0x0100], [0x12FF, 0x8000, 0xFFFF]], np.uint16)
PIXELS = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)  # no two alike: a turn cannot hide


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_by_hand(
    size: tuple[int, int],
    bits: int,
    colour: int,
    rows: bytes,
    before: bytes = b"",
    after: bytes = b"",
    interlaced: int = 0,
) -> bytes:
    """A PNG of rows that begin with their filter's number; `before` and `after` are chunks beside IDAT."""
    header = struct.pack(">IIBBBBB", *size, bits, colour, 0, 0, interlaced)
    data = chunk(b"IDAT", zlib.compress(rows))
    return SIGNATURE + chunk(b"IHDR", header) + before + data + after + chunk(b"IEND", b"")


def png_of(pixels: np.ndarray, before: bytes = b"", after: bytes = b"") -> bytes:
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    return png_by_hand((pixels.shape[1], pixels.shape[0]), 8, 2, rows, before, after)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def smooth(width: int = 48, height: int = 32) -> np.ndarray:
    noise = np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 2)


def exif_of(orientation: int, order: str = "<", kind: int = 3) -> bytes:
    """EXIF with two tags, by hand."""
    value = struct.pack(order + ("HH" if kind == 3 else "I"), *((orientation, 0) if kind == 3 else (orientation,)))
    entries = struct.pack(order + "HHI4s", 0x0100, 3, 1, b"\1\0\0\0") + struct.pack(
        order + "HHI4s", 0x0112, kind, 1, value
    )
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return mark + struct.pack(order + "IH", 8, 2) + entries + b"\0" * 4


def with_app1(jpeg: bytes, content: bytes) -> bytes:
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content + jpeg[2:]


def turned(stored: np.ndarray, orientation: int) -> np.ndarray:
    """Upright, pixel by pixel, from the standard's table: which side the 0th row and the 0th column are seen at."""
    h, w = stored.shape[:2]
    upright = np.zeros((w, h, 3) if orientation >= 5 else (h, w, 3), np.uint8)
    row0, column0 = {
        1: ("top", "left"),
        2: ("top", "right"),
        3: ("bottom", "right"),
        4: ("bottom", "left"),
        5: ("left", "top"),
        6: ("right", "top"),
        7: ("right", "bottom"),
        8: ("left", "bottom"),
    }[orientation]
    for r in range(h):
        for c in range(w):
            place = {}
            for side, distance in ((row0, r), (column0, c)):
                axis = "y" if side in ("top", "bottom") else "x"
                extent = upright.shape[0] if axis == "y" else upright.shape[1]
                place[axis] = extent - 1 - distance if side in ("bottom", "right") else distance
            upright[place["y"], place["x"]] = stored[r, c]
    return upright


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def tiff_by_hand(order: str, **changed: int) -> bytes:
    """`SIXTEEN` in grey; tags in ascending order."""
    tags = {"width": 3, "height": 2, "bits": 16, "packed": 1, "black_is_0": 1, "place": 122, "rows": 2, "bytes": 12}
    values = zip((256, 257, 258, 259, 262, 273, 278, 279), (tags | changed).values(), strict=True)
    directory = b"".join(struct.pack(order + "HHIHH", tag, 3, 1, value, 0) for tag, value in values)
    data = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(tags)) + directory
    return data.ljust(122, b"\0") + SIXTEEN.astype(order + "u2").tobytes()


def refused(source: Path | str | bytes, match: str, reason: str = "picture", **options: int) -> None:
    with pytest.raises(AnnotationError, match=match) as caught:
        read_picture(source, **options)
    assert caught.value.reason == reason
    assert "\n" not in str(caught.value)


ORIENTED: dict[str, Callable[[int], bytes]] = {
    "png": lambda k: png_of(PIXELS, before=chunk(b"eXIf", exif_of(k))),
    "png behind": lambda k: png_of(PIXELS, after=chunk(b"eXIf", exif_of(k, ">"))),
    "png prefixed": lambda k: png_of(PIXELS, before=chunk(b"eXIf", b"Exif\0\0" + exif_of(k))),
    "webp": lambda k: saved(Image.fromarray(PIXELS), "WEBP", lossless=True, exif=exif_of(k)),
    "tiff": lambda k: saved(Image.fromarray(PIXELS), "TIFF", tiffinfo={0x0112: k}),
    "tiff packed": lambda k: saved(Image.fromarray(PIXELS), "TIFF", tiffinfo={0x0112: k}, compression="tiff_deflate"),
}

WHOLE: dict[str, bytes] = {
    "jpeg": saved(Image.fromarray(smooth(16, 16)), "JPEG"),
    "progressive jpeg": saved(Image.fromarray(smooth(16, 16)), "JPEG", progressive=True),
    "png": png_of(PIXELS),
    "palette png": saved(Image.fromarray(PIXELS).quantize(8), "PNG"),
    "webp": saved(Image.fromarray(smooth(16, 16)), "WEBP"),
    "lossless webp": saved(Image.fromarray(PIXELS), "WEBP", lossless=True),
    "bmp": saved(Image.fromarray(PIXELS[:, :8]), "BMP"),  # of 8 columns: rows without padding
    "tiff": saved(Image.fromarray(PIXELS), "TIFF"),
    "packed tiff": saved(Image.fromarray(PIXELS), "TIFF", compression="tiff_lzw"),
}
