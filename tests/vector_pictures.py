"""The picture files of the golden vectors, and what they must give.

PNG files are made byte by byte, their pixels packed without compression, so that no version of zlib changes them. JPEG
files are kept once they are there: encoders differ. What they must give is what two decoders agree on.
"""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from picture_files import SIGNATURE, chunk, exif_of, turned, with_app1
from PIL import Image, ImageCms


class Sample(NamedTuple):
    """A picture file, its pixels upright in RGB, and what is odd about it."""

    data: bytes
    rgb: np.ndarray
    comment: str


def pattern(width: int, height: int) -> np.ndarray:
    """Smooth, colourful, no two sides alike; whole numbers only."""
    x, y = np.meshgrid(np.arange(width) * 255 // max(width - 1, 1), np.arange(height) * 255 // max(height - 1, 1))
    return np.stack([x, y, 255 - (x + y) // 2], axis=2).astype(np.uint8)


def blocks(width: int, height: int) -> np.ndarray:
    """Coloured rectangles on a dark ground."""
    rgb = np.full((height, width, 3), (30, 40, 60), np.uint8)
    for number, colour in enumerate([(250, 240, 20), (220, 30, 60), (20, 200, 90), (240, 250, 255)]):
        x, y = (number * width * 5 // 16 + 3) % width, (number * height * 7 // 16 + 2) % height
        rgb[y : y + height // 3, x : x + width // 4] = colour
    return rgb


def noise(width: int, height: int) -> np.ndarray:
    """Black and white by a fixed rule: the largest sums that resampling meets."""
    count = np.arange(width * height * 3, dtype=np.uint64)
    bits = (count * np.uint64(2654435761) >> np.uint64(17)) & np.uint64(1)
    return (bits * np.uint64(255)).astype(np.uint8).reshape(height, width, 3)


# ---- PNG


def _stored(data: bytes) -> bytes:
    """zlib's format without compression."""
    parts = [data[at : at + 65535] for at in range(0, len(data), 65535)]
    packed = b"".join(
        struct.pack("<BHH", number == len(parts) - 1, len(part), 65535 - len(part)) + part
        for number, part in enumerate(parts)
    )
    return b"\x78\x01" + packed + struct.pack(">I", zlib.adler32(data))


def png(size: tuple[int, int], bits: int, colour: int, rows: list[bytes], before: bytes = b"") -> bytes:
    """A PNG of unfiltered rows; `before` are chunks in front of the pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, bits, colour, 0, 0, 0))
    data = chunk(b"IDAT", _stored(b"".join(b"\0" + row for row in rows)))
    return SIGNATURE + header + before + data + chunk(b"IEND", b"")


def png_of(rgb: np.ndarray, before: bytes = b"") -> bytes:
    """An ordinary PNG of RGB pixels."""
    return png((rgb.shape[1], rgb.shape[0]), 8, 2, [row.tobytes() for row in rgb], before)


def _grey_of(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey.astype(np.uint8)[:, :, None], 3, axis=2)


def _png_samples() -> dict[str, Sample]:
    rgb = pattern(13, 9)
    grey = rgb[:, :, 0] // 2 + rgb[:, :, 1] // 4
    alpha = np.arange(13 * 9).reshape(9, 13, 1) * 2 % 256
    deep = rgb.astype(np.uint16) * 256 + 200  # the lower byte is cut off, not rounded
    palette = np.array([[200, 10, 30], [0, 90, 250], [17, 18, 19], [255, 255, 0]], np.uint8)
    numbers = np.add.outer(np.arange(9), np.arange(13)) % 4
    long_numbers = np.arange(3 * 5000).reshape(3, 5000) // 7 % 4
    colours = chunk(b"PLTE", palette.tobytes())

    def of(bits: int, colour: int, values: np.ndarray, before: bytes = b"") -> bytes:
        return png((values.shape[1], values.shape[0]), bits, colour, [row.tobytes() for row in values], before)

    with_alpha = np.concatenate([rgb, alpha], axis=2).astype(np.uint8)
    grey_alpha = np.stack([grey, alpha[:, :, 0]], axis=2).astype(np.uint8)
    deep_alpha = np.concatenate([deep, alpha.astype(np.uint16) * 256], axis=2).astype(">u2")
    twelve = rgb.astype(np.uint16) * 16 + 9  # of a camera of 12 bits, as it took them
    says_12 = chunk(b"sBIT", bytes([12, 12, 12]))
    packed = np.packbits(numbers % 2 == 1, axis=1)
    gamma = chunk(b"gAMA", struct.pack(">I", 100000))
    return {
        "png_rgb": Sample(png_of(rgb), rgb, "8 bits, RGB"),
        "png_grey": Sample(of(8, 0, grey), _grey_of(grey), "8 bits, grey: three equal channels, as they are"),
        "png_grey_16": Sample(
            of(16, 0, deep[:, :, 0].astype(">u2")), _grey_of(rgb[:, :, 0]), "16 bits, grey: v >> 8, so 0x12C8 is 0x12"
        ),
        "png_rgb_16": Sample(of(16, 2, deep.astype(">u2")), rgb, "16 bits, RGB: v >> 8"),
        "png_rgb_12_in_16": Sample(
            of(16, 2, twelve.astype(">u2"), says_12), rgb, "sBIT says 12 bits and the samples show them: v >> 4"
        ),
        "png_rgb_12_scaled": Sample(
            of(16, 2, (twelve * 16).astype(">u2"), says_12),
            rgb,
            "sBIT says 12 bits, scaled to 16 as the standard wants",
        ),
        "png_rgb_12_untold": Sample(
            of(16, 2, twelve.astype(">u2")), rgb // 16, "12 bits in 16 of which the file says nothing: v >> 8"
        ),
        "png_alpha": Sample(of(8, 6, with_alpha), rgb, "alpha is dropped; the first pixel has 0 and keeps its colour"),
        "png_alpha_16": Sample(of(16, 6, deep_alpha), rgb, "16 bits with alpha"),
        "png_grey_alpha": Sample(of(8, 4, grey_alpha), _grey_of(grey), "grey with alpha"),
        "png_palette": Sample(of(8, 3, numbers.astype(np.uint8), colours), palette[numbers], "a palette of 4"),
        "png_palette_alpha": Sample(
            of(8, 3, numbers.astype(np.uint8), colours + chunk(b"tRNS", b"\0\x80")),
            palette[numbers],
            "a palette with transparent colours, which keep their colour",
        ),
        "png_1_bit": Sample(
            png((13, 9), 1, 0, [row.tobytes() for row in packed]), _grey_of(numbers % 2 * 255), "black and white"
        ),
        "png_gamma": Sample(png_of(rgb, gamma), rgb, "a gamma of 1.0, which is ignored"),
        "png_exif_6": Sample(
            png_of(rgb, chunk(b"eXIf", exif_of(6, ">"))), turned(rgb, 6), "orientation 6 in an eXIf chunk"
        ),
        "png_1x37": Sample(png_of(pattern(1, 37)), pattern(1, 37), "one column"),
        "png_37x1": Sample(png_of(pattern(37, 1)), pattern(37, 1), "one row"),
        "png_1x1": Sample(png_of(np.array([[[1, 2, 3]]], np.uint8)), np.array([[[1, 2, 3]]], np.uint8), "one pixel"),
        "png_5000x3": Sample(of(8, 3, long_numbers.astype(np.uint8), colours), palette[long_numbers], "very wide"),
        "png_own_size": Sample(png_of(blocks(64, 48)), blocks(64, 48), "of the network's own size"),
        "png_small": Sample(png_of(blocks(32, 24)), blocks(32, 24), "half the network's size"),
    }


# ---- JPEG


def _encoded(image: Image.Image, **options: object) -> Callable[[], bytes]:
    def encode() -> bytes:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=85, **options)
        return buffer.getvalue()

    return encode


def _profile_with_swapped_colours() -> bytes:
    """sRGB with the primaries of red and blue exchanged: whoever applies it shows other colours."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"rXYZ", b"....", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"....", b"bXYZ", 1)


def _decoded(data: bytes) -> np.ndarray:
    by_pillow = np.array(Image.open(io.BytesIO(data)).convert("RGB"))
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    by_opencv = cv2.imdecode(np.frombuffer(data, np.uint8), flags)[:, :, ::-1]
    assert np.array_equal(by_pillow, by_opencv), "Pillow and OpenCV disagree about this JPEG"
    return by_pillow


def _jpeg_samples(kept: Path) -> dict[str, Sample]:
    image, even = Image.fromarray(pattern(23, 17)), Image.fromarray(blocks(80, 64))
    kinds: dict[str, tuple[Callable[[], bytes], str]] = {
        "jpeg_420": (_encoded(image, subsampling=2), "4:2:0, odd sides"),
        "jpeg_422": (_encoded(image, subsampling=1), "4:2:2, odd sides"),
        "jpeg_444": (_encoded(image, subsampling=0), "4:4:4, odd sides"),
        "jpeg_progressive": (_encoded(image, subsampling=2, progressive=True), "progressive, 4:2:0"),
        "jpeg_grey": (_encoded(image.convert("L")), "one channel"),
        "jpeg_blocks": (_encoded(even, subsampling=2), "4:2:0, sharp edges, larger than the network's pictures"),
        "jpeg_profile": (
            _encoded(image, subsampling=0, icc_profile=_profile_with_swapped_colours()),
            "a colour profile that exchanges red and blue, and is ignored",
        ),
    }
    samples = {}
    for name, (encode, comment) in kinds.items():
        path = kept / f"picture_{name}.bytes.jpg"
        data = path.read_bytes() if path.exists() else encode()
        samples[name] = Sample(data, _decoded(data), comment)
    base = samples["jpeg_444"]
    for orientation in range(1, 9):
        order = "<" if orientation % 2 else ">"
        data = with_app1(base.data, b"Exif\0\0" + exif_of(orientation, order))
        comment = f"orientation {orientation}, {'little' if order == '<' else 'big'}-endian EXIF"
        samples[f"jpeg_exif_{orientation}"] = Sample(data, turned(base.rgb, orientation), comment)
    return samples


def samples(kept: Path) -> dict[str, Sample]:
    """All of them; JPEG files are taken from `kept` if they are there."""
    return {**_jpeg_samples(kept), **_png_samples()}
