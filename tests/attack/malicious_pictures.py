"""Pictures that cost much, or that are something else."""

import io
import struct
import zlib
from collections.abc import Callable, Mapping

from picture_files import SIGNATURE, chunk, exif_of, png_by_hand, smooth, with_app1
from PIL import Image


def _jpeg(**options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(smooth(1600, 1200)).save(stream, "JPEG", **options)  # type: ignore[arg-type]
    return stream.getvalue()


def many_scans() -> bytes:
    """A progressive JPEG whose last scan comes a thousand times: each goes over the whole picture."""
    data = _jpeg(progressive=True, quality=30)
    last = data.rindex(b"\xff\xda")
    end = data.rindex(b"\xff\xd9")
    return data[:last] + data[last:end] * 1000 + data[end:]


def _jpeg_of(width: int, height: int) -> bytes:
    data = _jpeg()
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


def _png_of(width: int, height: int, rows: bytes = b"\0") -> bytes:
    return png_by_hand((width, height), 8, 2, rows)


def _packed(count: int) -> bytes:
    """`count` zeros, compressed in pieces."""
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(count >> 20)) + packer.flush()


def _text_png() -> bytes:
    data = _png_of(4, 2, (b"\0" + bytes(12)) * 2)
    at = data.index(b"IDAT") - 4
    return (
        data[:at]
        + chunk(b"zTXt", b"a\0\0" + _packed(100 << 20))
        + chunk(b"iCCP", b"a\0\0" + _packed(100 << 20))
        + data[at:]
    )


def _chunks_png() -> bytes:
    data = _png_of(4, 2, (b"\0" + bytes(12)) * 2)
    at = data.index(b"IDAT") - 4
    return data[:at] + chunk(b"tEXt", b"a\0b") * 100_000 + data[at:]


def _zeros_png() -> bytes:
    """A picture of 9,999 x 9,999 in grey of which all rows are there, in few bytes."""
    header = struct.pack(">IIBBBBB", 9999, 9999, 1, 0, 0, 0, 0)
    return SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", _packed(13 << 20)) + chunk(b"IEND", b"")


def _tiff(width: int, height: int, next_directory: int = 0, count: int = 8) -> bytes:
    tags = ((256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 8), (278, height), (279, width))
    rows = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, count) + rows + struct.pack("<I", next_directory)


def _bmp(width: int, height: int, bits: int = 24) -> bytes:
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + info


def _webp(width: int, height: int) -> bytes:
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + sides
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _circular_exif() -> bytes:
    exif = exif_of(6)
    return with_app1(_jpeg(), b"Exif\0\0" + exif[:-4] + struct.pack("<I", 8))


PICTURES: Mapping[str, Callable[[], bytes]] = {
    "1,000 scans": many_scans,
    "a JPEG of 65,500 squared": lambda: _jpeg_of(65_500, 65_500),
    "a JPEG of 9,999 squared": lambda: _jpeg_of(9_999, 9_999),
    "a PNG of 30,000 squared": lambda: _png_of(30_000, 30_000),
    "a PNG of 9,999 squared": lambda: _png_of(9_999, 9_999),
    "a PNG of 2^31": lambda: _png_of(2**31 - 1, 2**31 - 1),
    "9,999 squared in few bytes": _zeros_png,
    "text of 100 MB in a PNG": _text_png,
    "100,000 chunks in a PNG": _chunks_png,
    "a chunk of 4 GB": lambda: SIGNATURE + struct.pack(">I4s", 2**32 - 1, b"IHDR"),
    "a TIFF of 65,000 squared": lambda: _tiff(65_000, 65_000),
    "a TIFF of 9,000 squared": lambda: _tiff(9_000, 9_000),
    "a TIFF in a circle": lambda: _tiff(3, 2, 8),
    "a TIFF of 65,535 tags": lambda: _tiff(3, 2, 0, 65_535),
    "a BMP of 2^31": lambda: _bmp(2**31 - 1, -(2**31)),
    "a BMP of 9,999 squared": lambda: _bmp(9_999, 9_999),
    "a BMP of 0": lambda: _bmp(0, 0),
    "a WebP of 16 million": lambda: _webp(1 << 24, 1 << 24),
    "a WebP of 9,999 squared": lambda: _webp(9_999, 9_999),
    "EXIF in a circle": _circular_exif,
    "PostScript": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 24 32\n(touch ran) (w) file\n",
    "SVG": lambda: b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
    "a program": lambda: b"#!/bin/sh\ntouch ran\n",
    "a GIF": lambda: b"GIF89a\xff\xff\xff\xff\0\0\0;",
    "an HLS list": lambda: b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
}
