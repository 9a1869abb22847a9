"""Headers of picture files, read without decoding: format, size, EXIF orientation, bits.

JPEG, PNG, WebP, BMP and TIFF. A stream is at its start when it is handed over, and anywhere afterwards.
"""

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from yolo_proc.imaging.costs import least_bmp, least_jpeg, least_png, least_tiff, least_webp

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
ORIENTATION = 0x0112  # the tag of EXIF and TIFF

_LARGEST_EXIF = 1 << 20  # bytes; in a JPEG there is room for 65,533


class WrongFileError(Exception):
    """A picture that is not as expected; becomes an `AnnotationError` with the picture's path."""

    def __init__(self, expected: str, found: str, reason: str = "picture") -> None:
        super().__init__(expected, found, reason)
        self.expected, self.found, self.reason = expected, found, reason


@dataclass(frozen=True, slots=True)
class Header:
    """The facts about a picture that are known without decoding.

    Attributes:
        width, height: as stored.
        orientation: of EXIF, 1 to 8.
        bits: of a PNG's sample; of other formats 0.
        significant: how many of them a PNG says that it uses; 0 where it says nothing.
        least_bytes: that a file of this kind and size has.
    """

    format: str
    width: int
    height: int
    orientation: int = 1
    bits: int = 0
    significant: int = 0
    least_bytes: int = 0

    @property
    def upright_size(self) -> tuple[int, int]:
        """(w, h) of the picture as it is meant to be seen."""
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)


def read_header(stream: BinaryIO, max_pixels: int) -> Header:
    """Return the header of a picture of any of the formats.

    Raises:
        WrongFileError: not a picture, an impossible size, more than `max_pixels` or than the file can hold, or a JPEG
            that is not grey or RGB.
    """
    length = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    start = stream.read(12)
    stream.seek(0)
    if start[:3] == b"\xff\xd8\xff":
        header = _read_jpeg_header(stream)
    elif start[:8] == PNG_SIGNATURE:
        header = _read_png_header(stream)
    elif start[:4] in (b"II*\0", b"MM\0*"):
        header = _read_tiff_header(stream)
    elif start[:4] == b"RIFF" and start[8:] == b"WEBP":
        header = _read_webp_header(stream)
    elif start[:2] == b"BM":
        header = _read_bmp_header(stream)
    else:
        found = f"a file that begins with {start!r}" if start else "an empty file"
        raise WrongFileError("a picture (JPEG, PNG, BMP, WebP or TIFF)", found)
    if header.width < 1 or header.height < 1:
        raise WrongFileError("sides of at least 1 pixel", f"{header.width} x {header.height}")
    if header.width * header.height > max_pixels:
        limit = f"at most {max_pixels / 1e6:g} megapixels"
        raise WrongFileError(limit, f"{header.width} x {header.height}; make it smaller", "bomb")
    if length < header.least_bytes:
        least = f"at least {header.least_bytes:,} bytes for {header.width} x {header.height} pixels"
        raise WrongFileError(least, f"{length:,}")
    return header


def _take(stream: BinaryIO, count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise WrongFileError("a whole header", "a file that ends inside it")
    return data


def _read_jpeg_header(stream: BinaryIO) -> Header:
    size: tuple[int, int] | None = None
    orientation: int | None = None
    least = 0
    for marker, length in jpeg_segments(stream):
        if marker == 0xE1 and orientation is None:
            content = _take(stream, length)
            if content[:5] == b"Exif\0":
                orientation = _exif_orientation(content[6:])
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC) and size is None:
            precision, height, width, components = struct.unpack(">BHHB", _take(stream, 6))
            if precision != 8:
                raise WrongFileError("a JPEG of 8 bits", f"one of {precision} bits")
            if components not in (1, 3):
                kind = "CMYK" if components == 4 else f"{components} channels"
                raise WrongFileError("a JPEG in grey or RGB", f"{kind}; convert it to RGB")
            size = (width, height)
            least = least_jpeg(width, height, arithmetic=marker >= 0xC9)
    if size is None:
        raise WrongFileError("a JPEG with its size", "none")
    return Header("JPEG", *size, orientation or 1, least_bytes=least)


def jpeg_segments(stream: BinaryIO) -> Iterator[tuple[int, int]]:
    """Yield (marker, length of the content) of the segments before the first scan, the stream being at the content."""
    at = 2
    while True:
        stream.seek(at)
        if _take(stream, 1) != b"\xff":
            raise WrongFileError("a JPEG segment", f"something else at byte {at}")
        at += 1
        marker = 0xFF
        while marker == 0xFF:  # any number of fill bytes
            marker = _take(stream, 1)[0]
            at += 1
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:  # these have no content
            continue
        if marker in (0xD9, 0xDA):
            return
        length = int.from_bytes(_take(stream, 2), "big")
        if length < 2:
            raise WrongFileError("a JPEG segment", f"one of {length} bytes at byte {at}")
        yield marker, length - 2
        at += length


def _read_png_header(stream: BinaryIO) -> Header:
    length, kind, width, height, bits, colour = struct.unpack(">8xI4sIIBB", _take(stream, 26))
    if (length, kind) != (13, b"IHDR"):
        raise WrongFileError("a PNG that begins with IHDR", repr(kind))
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colour, 1)
    orientation: int | None = None
    significant: int | None = None
    at = 8 + 12 + 13
    while kind != b"IEND":  # eXIf may stand before or behind the pixels
        stream.seek(at)
        found = stream.read(8)
        if len(found) < 8:
            break  # truncated: decoding will tell
        length, kind = struct.unpack(">I4s", found)
        if kind == b"eXIf" and orientation is None:
            orientation = _exif_orientation(stream.read(min(length, _LARGEST_EXIF)))
        elif kind == b"sBIT" and significant is None:  # of each channel; alpha is the last
            said = stream.read(channels) if length == channels else b""
            significant = max(said[: channels - (colour in (4, 6))], default=0)
        at += 12 + length
    least = least_png(width, height, bits * channels)
    return Header("PNG", width, height, orientation or 1, bits, significant or 0, least)


def _read_webp_header(stream: BinaryIO) -> Header:
    kind, length = struct.unpack("<12x4sI", _take(stream, 20))
    if kind == b"VP8 ":
        code, width, height = struct.unpack("<3x3sHH", _take(stream, 10))
        if code != b"\x9d\x01\x2a":
            raise WrongFileError("a WebP key frame", repr(code))
        width, height = width & 0x3FFF, height & 0x3FFF
        return Header("WEBP", width, height, least_bytes=least_webp(width, height))
    if kind == b"VP8L":
        bits = int.from_bytes(_take(stream, 5)[1:], "little")
        return Header("WEBP", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if kind != b"VP8X":
        raise WrongFileError("a WebP chunk VP8, VP8L or VP8X", repr(kind))
    content = _take(stream, 10)
    width, height = (int.from_bytes(content[at : at + 3], "little") + 1 for at in (4, 7))
    at, least = 20, 0
    while True:
        at += length + length % 2
        stream.seek(at)
        found = stream.read(8)
        if len(found) < 8:
            return Header("WEBP", width, height, least_bytes=least)
        kind, length = struct.unpack("<4sI", found)
        at += 8
        if kind == b"VP8 ":
            least = least_webp(width, height)
        if kind == b"EXIF":
            exif = stream.read(min(length, _LARGEST_EXIF))
            return Header("WEBP", width, height, _exif_orientation(exif), least_bytes=least)


def _read_bmp_header(stream: BinaryIO) -> Header:
    (length,) = struct.unpack("<14xI", _take(stream, 18))
    packing = 0
    if length == 12:
        width, height, bits = struct.unpack("<HH2xH", _take(stream, 8))
    else:
        width, height, bits, packing = struct.unpack("<ii2xHI", _take(stream, 16))
    height = abs(height)  # a negative height: rows from above
    return Header("BMP", width, height, least_bytes=least_bmp(width, height, bits, packing))


def _read_tiff_header(stream: BinaryIO) -> Header:
    tags = {tag: value for tag, value, _ in ifd0(stream)}
    if 256 not in tags or 257 not in tags:
        raise WrongFileError("a TIFF with its width and height", f"only tags {sorted(tags)}")
    bits = tags.get(258, 1) * tags.get(277, 1)  # where each channel has bits of its own, one at least
    least = least_tiff(tags[256], tags[257], bits, tags.get(259, 1))
    return Header("TIFF", tags[256], tags[257], _valid(tags.get(ORIENTATION, 1)), least_bytes=least)


def ifd0(stream: BinaryIO) -> Iterator[tuple[int, int, int]]:
    """Yield (tag, value, place in the file) of the single whole numbers of the first directory of a TIFF or of EXIF."""
    mark = _take(stream, 4)
    if mark not in (b"II*\0", b"MM\0*"):
        raise WrongFileError("a TIFF header", repr(mark))
    order = "<" if mark[:1] == b"I" else ">"
    (at,) = struct.unpack(order + "I", _take(stream, 4))
    stream.seek(at)
    (count,) = struct.unpack(order + "H", _take(stream, 2))
    entries = _take(stream, 12 * count)
    for place in range(0, 12 * count, 12):
        tag, kind, length = struct.unpack_from(order + "HHI", entries, place)
        letter = {1: "B", 3: "H", 4: "I"}.get(kind)
        if letter is not None and length == 1:
            yield tag, struct.unpack_from(order + letter, entries, place + 8)[0], at + 2 + place


def _exif_orientation(exif: bytes) -> int:
    """Return 1 to 8; 1 where EXIF is damaged: it has no say about the pixels."""
    try:
        for tag, value, _ in ifd0(io.BytesIO(exif.removeprefix(b"Exif\0\0"))):  # some writers' PNG and WebP
            if tag == ORIENTATION:
                return _valid(value)
    except WrongFileError:
        pass
    return 1


def _valid(orientation: int) -> int:
    return orientation if 1 <= orientation <= 8 else 1
