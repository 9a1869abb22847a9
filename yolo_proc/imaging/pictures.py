"""The one reader of picture files; nobody else decodes.

A picture is upright RGB of 8 bits, whatever its file holds: EXIF orientation is applied, grey becomes three equal
channels, 16 bits v become v >> 8 (but see `reading.py`), alpha is dropped and not composited, profiles are
ignored, of an animation the first frame counts. CMYK, damaged and truncated files are refused, and so is a file that
costs too much (`costs.py`), before anything is decoded. What a file is says its content, not its suffix.

OpenCV decodes JPEG and PNG, Pillow the rest. Headers are read here: both libraries look at more than is meant
(profiles, text, XMP), and at different things in different versions.
"""

import contextlib
import io
import logging
import struct
import warnings
import zlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import BmpImagePlugin, Image, ImageFile, TiffImagePlugin, WebPImagePlugin

from yolo_proc.boxes import RgbImage
from yolo_proc.errors import AnnotationError
from yolo_proc.imaging.costs import MAX_PIXELS
from yolo_proc.imaging.headers import (
    ORIENTATION,
    PNG_SIGNATURE,
    Header,
    WrongFileError,
    ifd0,
    read_header,
)
from yolo_proc.imaging.jpeg_scans import check_scans, first_scan
from yolo_proc.imaging.reading import MOST, PictureReading
from yolo_proc.system.files import GIB, UnreadableFileError, open_regular, read_bytes
from yolo_proc.system.native_stderr import caught

# In lower case. The second row are other names of the same kinds: browsers save `.jfif`, cameras `.mpo`.
SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"}
    | {".jpe", ".jfif", ".jif", ".jfi", ".mpo", ".dib", ".apng"}
)
# Of pictures that are not read: who looks for pictures in a folder says how many of these lie there.
OTHER_SUFFIXES = frozenset(
    {".gif", ".heic", ".heif", ".avif", ".jxl", ".jp2", ".j2k", ".jpf", ".jpx", ".jxr"}
    | {".tga", ".ppm", ".pgm", ".pbm", ".pnm", ".pfm", ".exr", ".hdr"}
    | {".dng", ".cr2", ".cr3", ".crw", ".nef", ".arw", ".raf", ".orf", ".rw2", ".pef", ".srw"}
    | {".psd", ".svg", ".ico", ".pcx", ".dds", ".sgi", ".xcf", ".dcm"}
)
MAX_BYTES = 2 * GIB  # of a file; Java's arrays end there


# Pillow logs what it refuses, which Python prints where nobody listens; we say it.
logging.getLogger("PIL").addHandler(logging.NullHandler())

_ROWS = 256  # at once, where a picture is copied, so that only a part is there twice

# What Pillow's plugins let through when a file is damaged; warnings, where they are errors.
_PILLOW_ERRORS = (
    *(OSError, SyntaxError, ValueError, EOFError, TypeError, LookupError, ArithmeticError, AttributeError),
    *(RuntimeError, struct.error, zlib.error, Image.DecompressionBombError, Warning),
)


def unread_pictures(paths: Iterable[Path | str]) -> str | None:
    """Return a line for the user on files whose suffixes are of pictures that are not read; None where there are none.

    Hidden files do not count.
    """
    found = [path for path in map(Path, paths) if path.suffix.lower() in OTHER_SUFFIXES and path.name[0] != "."]
    if not found:
        return None
    kinds = Counter(path.suffix.lower() for path in found)
    named = ", ".join(f"{kind} {count:,}" for kind, count in sorted(kinds.items()))
    files, them = (f"{len(found):,} files are pictures", "them") if len(found) > 1 else ("1 file is a picture", "it")
    return f"{files} of a kind that is not read: {named} (first: {found[0]}); convert {them} to PNG or JPEG"


def picture_size(path: Path | str, *, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """Return the size (w, h) of the upright picture, from its header alone. Damage behind the header is not seen.

    Raises:
        AnnotationError: no such file ("missing-image"), more than `max_pixels` ("bomb"), not a picture ("picture").
    """
    try:
        with open_regular(path, "a picture") as stream:
            return read_header(stream, max_pixels).upright_size
    except (WrongFileError, UnreadableFileError, OSError) as error:
        raise _told(path, error) from error


def orientation_of(data: bytes) -> int:
    """Return how a picture file's bytes want to be turned by EXIF, 1 to 8; 1 is as they are stored.

    Raises:
        AnnotationError: as of `picture_size`.
    """
    try:
        return read_header(io.BytesIO(data), MAX_PIXELS).orientation
    except (WrongFileError, OSError) as error:
        raise _told("(bytes)", error) from error


def read_picture(
    source: Path | str | bytes,
    *,
    max_pixels: int = MAX_PIXELS,
    reading: PictureReading | None = None,
    name: str = "(bytes)",
) -> RgbImage:
    """Return the upright picture (H, W, 3), uint8 RGB, writable, of a file or of a file's bytes.

    Args:
        reading: how 16 bits become 8; it learns what was seen.
        name: of bytes, for messages.

    Raises:
        AnnotationError: no such file ("missing-image"), more than `max_pixels` or than the bytes can hold, or too many
            scans ("bomb"), not a picture, a damaged or truncated one, or one of a kind that is not read ("picture"),
            a sample that the bit depth does not allow ("value").
    """
    where = name if isinstance(source, bytes) else str(source)
    reading = reading or PictureReading()
    try:
        if isinstance(source, bytes):
            data = source
        else:
            with open_regular(source, "a picture") as stream:
                read_header(stream, max_pixels)  # before the rest is read
            data = read_bytes(source, MAX_BYTES, "a picture")
        header = read_header(io.BytesIO(data), max_pixels)
        if header.format == "JPEG":
            stored = _decode_with_opencv(_checked_jpeg(data), header, where, reading)
        elif header.format == "PNG":
            stored = _decode_with_opencv(_essential_png(data), header, where, reading)
        else:
            stored = _decode_with_pillow(data, header, where, reading)
        if stored.dtype == np.uint16:
            stored = _eight_bits(stored, header.significant, where, reading)
        if stored.ndim == 2:
            stored = np.repeat(stored[:, :, None], 3, axis=2)
        return _upright(stored, header.orientation)
    except (WrongFileError, UnreadableFileError, OSError) as error:
        raise _told(where, error) from error


def is_deep(data: bytes) -> bool:
    """Return whether a picture file's bytes are a PNG of 16 bits a sample."""
    return data[:8] == PNG_SIGNATURE and data[24:25] == bytes([MOST])


def check_unread(data: bytes, where: Path, reading: PictureReading) -> None:
    """Look at a picture that is handed on as it is: at its costs, and at how many of 16 bits it uses.

    Only pictures of 16 bits are decoded, and none if the user has said how many bits count. Damage is not looked for.

    Args:
        reading: it learns what was seen.

    Raises:
        AnnotationError: too many scans ("bomb"), which whoever decodes the picture would refuse.
    """
    try:
        if data[:3] == b"\xff\xd8\xff":
            check_scans(data, first_scan(data))
    except WrongFileError as error:
        if error.reason == "bomb":
            raise _told(where, error) from error
    if reading.bits is None and (is_deep(data) or _is_deep_tiff(data)):
        with contextlib.suppress(AnnotationError):
            read_picture(data, reading=reading, name=str(where))


def _is_deep_tiff(data: bytes) -> bool:
    if data[:4] not in (b"II*\0", b"MM\0*"):
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return MOST in TiffImagePlugin.TiffImageFile(io.BytesIO(data)).tag_v2.get(258, ())
    except _PILLOW_ERRORS:
        return False


def picture_bytes(path: Path) -> bytes:
    """Return the bytes of a picture's file, as they are.

    Raises:
        AnnotationError: no such file ("missing-image"), or one that cannot be read ("picture").
    """
    try:
        return read_bytes(path, MAX_BYTES, "a picture")
    except UnreadableFileError as error:
        raise _told(path, error) from None


def _told(path: Path | str, error: WrongFileError | UnreadableFileError | OSError) -> AnnotationError:
    if isinstance(error, UnreadableFileError):
        reason = "missing-image" if error.reason == "missing" else "picture"
        return AnnotationError(path, "", error.expected, error.found, reason=reason)
    if isinstance(error, OSError):
        return AnnotationError(path, "", "a readable file", error.strerror or str(error), reason="picture")
    return AnnotationError(path, "", error.expected, error.found, reason=error.reason)


# Decoding


def _checked_jpeg(data: bytes) -> bytes:
    """Return the file, if it is whole and has no more than `MAX_SCANS`.

    Some decoders fill with grey what is missing and say nothing.
    """
    at = first_scan(data)
    # The end marker cannot occur inside a scan; the one of a thumbnail stands in front of it.
    if data.find(b"\xff\xd9", at) < 0:
        raise WrongFileError("a whole JPEG", "one that ends early")
    check_scans(data, at)
    return data


def _essential_png(data: bytes) -> bytes:
    """Return the chunks that make the pixels, and no others: profiles, animations and text cannot change or spoil
    them.
    """
    parts, at, kind = [PNG_SIGNATURE], 8, b""
    view = memoryview(data)
    while kind != b"IEND":
        if at + 12 > len(data) or at + 12 + int.from_bytes(view[at : at + 4], "big") > len(data):
            raise WrongFileError("a whole PNG", "one that ends early")
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if not kind[0] & 0x20:  # a critical chunk, by the standard
            if kind not in (b"IHDR", b"PLTE", b"IDAT", b"IEND") or (kind == b"IHDR" and at > 8):
                raise WrongFileError("a PNG of the standard's chunks", f"{kind!r} at byte {at}")
            if zlib.crc32(view[at + 4 : end - 4]).to_bytes(4, "big") != view[end - 4 : end]:
                raise WrongFileError("a PNG that is not damaged", f"a wrong checksum of {kind!r} at byte {at}")
            parts.append(data[at:end])
        at = end
    return b"".join(parts)


def _decode_with_opencv(data: bytes, header: Header, where: str, reading: PictureReading) -> NDArray[Any]:
    """Return (H, W, 3) uint8, or uint16 of a PNG that has 16 bits."""
    # Colour drops alpha and repeats grey; the orientation is ours to apply.
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION | (cv2.IMREAD_ANYDEPTH if header.bits == MOST else 0)
    try:
        with caught() as complaints:
            found = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise WrongFileError(f"a readable {header.format}", f"what OpenCV refuses: {_one_line(error.err)}") from error
    if found is None:
        raise WrongFileError(f"a readable {header.format}", "; ".join(["damaged content", *complaints[:1]]))
    damage = [line for line in complaints if not line.startswith("Warning")]  # of a version's number, for example
    if damage:
        reading.is_damaged(where, damage[0])
    _check_size(found.shape[1], found.shape[0], header)
    for row in range(0, len(found), _ROWS):  # in place
        part = found[row : row + _ROWS]
        part[...] = cv2.cvtColor(part, cv2.COLOR_BGR2RGB)
    return np.asarray(found)


def _decode_with_pillow(data: bytes, header: Header, where: str, reading: PictureReading) -> NDArray[Any]:
    """Return BMP, WebP and TIFF; by their plugins, as `Image.open` has limits of its own for the whole process.

    Returns (H, W, 3) uint8, or grey (H, W) of uint8 or uint16.
    """
    plugins: dict[str, type[ImageFile.ImageFile]] = {
        "BMP": BmpImagePlugin.BmpImageFile,
        "WEBP": WebPImagePlugin.WebPImageFile,
        "TIFF": TiffImagePlugin.TiffImageFile,
    }
    if header.format == "WEBP" and len(data) < 8 + int.from_bytes(data[4:8], "little"):
        raise WrongFileError("a whole WebP", "one that ends early")
    if header.format == "TIFF":
        data = _with_orientation_1(data)
    try:
        # What spoils pixels is an error; libtiff complains of tags that we do not use, too.
        with caught(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = plugins[header.format](io.BytesIO(data))
            size = image.size
            bits = 0
            if size == (header.width, header.height):
                bits = _check_tiff(image)
                image.load()
                pixels = _pixels_of(image)
    except _PILLOW_ERRORS as error:
        raise WrongFileError(f"a readable {header.format}", f"what Pillow refuses: {_one_line(error)}") from error
    _check_size(*size, header)
    if pixels.dtype == np.uint16 and bits < MOST:  # the file says how many there are
        return np.asarray(pixels >> (bits - 8), dtype=np.uint8)
    if bits == MOST and pixels.dtype == np.uint8:  # Pillow gives the upper halves
        if reading.bits not in (None, MOST):
            raise WrongFileError("a TIFF in grey or a PNG, where a bit depth is given", "a TIFF in RGB; convert it")
        largest = int(pixels.max(initial=0))
        reading.saw(where, 8 + largest.bit_length())
    return pixels


def _one_line(text: object) -> str:
    return " ".join(str(text).split())


def _check_size(width: int, height: int, header: Header) -> None:
    if (width, height) != (header.width, header.height):
        raise WrongFileError(f"{header.width} x {header.height} pixels, as the header says", f"{width} x {height}")


def _with_orientation_1(data: bytes) -> bytes:
    """Return a TIFF that is stored upright: some versions of Pillow turn it on their own, others do not."""
    changed = bytearray(data)
    one = struct.pack("<HHIHH" if data[:1] == b"I" else ">HHIHH", ORIENTATION, 3, 1, 1, 0)
    for tag, _, place in ifd0(io.BytesIO(data)):
        if tag == ORIENTATION:
            changed[place : place + 12] = one
    return bytes(changed)


def _check_tiff(image: ImageFile.ImageFile) -> int:
    """Return the bits of a sample, of which 12 are the case of grey alone; refuses what Pillow would give wrong pixels
    for.
    """
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return 8
    bits = image.tag_v2.get(258, (1,))
    if not set(bits) <= {1, 2, 4, 8, 12, 16}:
        raise WrongFileError("a TIFF of 1, 2, 4, 8, 12 or 16 bits", f"one of {bits} bits")
    if max(bits) > 8 and (image.tag_v2.get(284) == 2 or image.tag_v2.get(262) == 0):
        raise WrongFileError("a TIFF of 16 bits in one plane with 0 for black", "another kind; convert it to PNG")
    return int(max(bits))


def _pixels_of(image: Image.Image) -> NDArray[Any]:
    """Return (H, W, 3) uint8, or grey (H, W) of uint8 or uint16."""
    if image.mode in ("P", "PA", "RGB", "RGBA", "RGBX"):
        width, height = image.size
        pixels = np.empty((height, width, 3), np.uint8)
        for row in range(0, height, _ROWS):
            part = image.crop((0, row, width, min(row + _ROWS, height)))
            pixels[row : row + _ROWS] = np.asarray(part if part.mode == "RGB" else part.convert("RGB"))
        return pixels
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)
    if image.mode in ("1", "L", "LA"):
        return np.asarray(image.convert("L") if image.mode == "1" else image.getchannel(0))
    raise WrongFileError("a picture in grey or RGB", f"{image.mode}; convert it to RGB")


def _eight_bits(values: NDArray[np.uint16], significant: int, where: str, reading: PictureReading) -> RgbImage:
    """Sample (H, W) or (H, W, 3) with 8 bits; `significant` are those that the file says it uses, or 0."""
    largest = int(values.max(initial=0))
    if reading.bits is not None:
        bits = reading.bits
        if largest >> bits:
            expected = f"samples of at most {(1 << bits) - 1:,}, as a bit depth of {bits} has them"
            raise WrongFileError(expected, f"{largest:,}", "value")
    elif _are_unscaled(values, largest, significant):
        bits = significant
        reading.is_sure(where, bits)
    else:
        bits = MOST
        reading.saw(where, largest.bit_length())
    found = np.empty(values.shape, np.uint8)
    for row in range(0, len(values), _ROWS):
        found[row : row + _ROWS] = values[row : row + _ROWS] >> (bits - 8)
    return found


def _are_unscaled(values: NDArray[np.uint16], largest: int, significant: int) -> bool:
    """Return whether samples, of which the file says that `significant` bits count, surely stand in the lowest bits.

    Scaled to 16 bits, in whatever way, a sample below 2^n has 0 or 1 in its lowest 16 - n bits.
    """
    if not 8 < significant < MOST - 1 or largest >> significant:
        return False
    lower = np.uint16((1 << (MOST - significant)) - 1)
    return any(bool(((values[row : row + _ROWS] & lower) > 1).any()) for row in range(0, len(values), _ROWS))


def _upright(pixels: RgbImage, orientation: int) -> RgbImage:
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
