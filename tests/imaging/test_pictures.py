"""The one reader of pictures: what odd pictures give."""

import io
import struct
import zlib
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
    tiff_by_hand,
    turned,
    with_app1,
    write,
)
from PIL import Image, ImageCms, ImageOps

from yolo_proc.imaging.pictures import SUFFIXES, picture_size, read_picture, unread_pictures
from yolo_proc_generators.backdrops import read_photo

# Plain pictures


def test_pixels_of_lossless_files_are_the_files(tmp_path: Path) -> None:
    image = Image.fromarray(PIXELS)
    for name, options in (("a.png", {}), ("a.bmp", {}), ("a.tif", {}), ("b.tiff", {"compression": "tiff_lzw"})):
        image.save(tmp_path / name, **options)
        assert np.array_equal(read_picture(tmp_path / name), PIXELS), name
        assert picture_size(tmp_path / name) == (9, 6)
    image.save(tmp_path / "a.webp", lossless=True)
    assert np.array_equal(read_picture(tmp_path / "a.webp"), PIXELS)
    assert {path.suffix for path in tmp_path.iterdir()} < SUFFIXES


@pytest.mark.parametrize("name", ["a.jfif", "a.JPE", "a.jif", "a.mpo", "a.dib", "a.apng", "a.JPG", "a.PnG"])
def test_other_names_of_the_same_kinds_are_read(name: str, tmp_path: Path) -> None:
    kind = {"dib": "bmp", "apng": "png", "png": "png"}.get(name[2:].lower(), "jpeg")
    path = write(tmp_path / name, WHOLE[kind])
    assert path.suffix.lower() in SUFFIXES
    assert np.array_equal(read_picture(path), read_picture(WHOLE[kind]))


def test_pictures_of_kinds_that_are_not_read_are_counted() -> None:
    assert unread_pictures([]) is None
    assert unread_pictures([f"a{suffix}" for suffix in SUFFIXES] + ["notes.txt", "a.mp4", "a", ".b.gif"]) is None
    assert unread_pictures(["in/a.heic"]) == (
        "1 file is a picture of a kind that is not read: .heic 1 (first: in/a.heic); convert it to PNG or JPEG"
    )
    assert unread_pictures(Path(name) for name in ("b.HEIC", "a.jpg", "a.heic", "c.gif")) == (
        "3 files are pictures of a kind that is not read: .gif 1, .heic 2 (first: b.HEIC); convert them to PNG or JPEG"
    )


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_jpeg_pixels_are_those_of_the_reference_decoder(subsampling: int, progressive: bool) -> None:
    data = saved(Image.fromarray(smooth()), "JPEG", quality=90, subsampling=subsampling, progressive=progressive)
    assert np.array_equal(read_picture(data), np.array(Image.open(io.BytesIO(data))))


def test_what_is_returned_is_writable_and_contiguous() -> None:
    upside_down = saved(Image.fromarray(PIXELS), "PNG", exif=b"Exif\0\0" + exif_of(3))
    for data in (png_of(PIXELS), saved(Image.fromarray(PIXELS), "BMP"), upside_down):
        picture = read_picture(data)
        assert picture.dtype == np.uint8
        assert picture.flags.c_contiguous
        assert picture.flags.writeable


def test_the_smallest_picture() -> None:
    assert read_picture(png_of(np.full((1, 1, 3), 7, np.uint8))).tolist() == [[[7, 7, 7]]]


def test_names_need_not_be_ascii_and_suffixes_need_not_be_true(tmp_path: Path) -> None:
    path = tmp_path / "Grün 画像 é" / "фото.PNG"
    path.parent.mkdir()
    path.write_bytes(saved(Image.fromarray(PIXELS), "BMP"))
    assert np.array_equal(read_picture(path), PIXELS)
    assert np.array_equal(read_picture(str(path)), PIXELS)
    assert picture_size(str(path)) == (9, 6)


# Orientation


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ORIENTED)
def test_orientation_is_applied(kind: str, orientation: int, tmp_path: Path) -> None:
    data = ORIENTED[kind](orientation)
    expected = turned(PIXELS, orientation)
    assert np.array_equal(read_picture(data), expected)
    path = tmp_path / "a.png"
    path.write_bytes(data)
    assert np.array_equal(read_picture(path), expected)
    assert picture_size(path) == (expected.shape[1], expected.shape[0])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("order", "kind"), [("<", 3), (">", 3), ("<", 4)])
def test_orientation_of_jpeg(orientation: int, order: str, kind: int, tmp_path: Path) -> None:
    plain = saved(Image.fromarray(smooth(24, 16)), "JPEG")
    data = with_app1(plain, b"Exif\0\0" + exif_of(orientation, order, kind))
    picture = read_picture(data)
    assert np.array_equal(picture, turned(read_picture(plain), orientation))
    assert np.array_equal(picture, np.array(ImageOps.exif_transpose(Image.open(io.BytesIO(data)))))
    (tmp_path / "a.jpg").write_bytes(data)
    assert picture_size(tmp_path / "a.jpg") == picture.shape[1::-1]


@pytest.mark.parametrize(
    "content",
    [
        b"Exif\0\0",
        b"Exif\0\0" + exif_of(6)[:20],  # cut inside the tags
        b"Exif\0\0" + exif_of(0),
        b"Exif\0\0" + exif_of(9),
        b"Exif\0\0XX*\0" + exif_of(6)[4:],
        b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x='adobe:ns:meta/' tiff:Orientation='6'/>",  # not EXIF
    ],
)
def test_damaged_exif_does_not_turn(content: bytes) -> None:
    plain = saved(Image.fromarray(smooth(24, 16)), "JPEG")
    assert np.array_equal(read_picture(with_app1(plain, content)), read_picture(plain))


def test_the_first_exif_counts() -> None:
    plain = saved(Image.fromarray(smooth(24, 16)), "JPEG")
    twice = with_app1(with_app1(plain, b"Exif\0\0" + exif_of(6)), b"Exif\0\0" + exif_of(3))
    assert np.array_equal(read_picture(twice), read_picture(plain)[::-1, ::-1])


# Channels and bits


def test_grey_becomes_three_equal_channels() -> None:
    grey = PIXELS[..., 0]
    expected = np.stack([grey] * 3, axis=2)
    for kind in ("PNG", "BMP", "TIFF"):
        assert np.array_equal(read_picture(saved(Image.fromarray(grey), kind)), expected), kind
    jpeg = saved(Image.fromarray(smooth()[..., 0]), "JPEG")
    assert np.array_equal(read_picture(jpeg), np.stack([np.array(Image.open(io.BytesIO(jpeg)))] * 3, axis=2))


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_few_bits_of_grey_reach_from_black_to_white(bits: int) -> None:
    levels = 1 << bits
    values = np.arange(16).reshape(2, 8) % levels
    rows = b"".join(b"\0" + pack_bits(row, bits) for row in values)
    expected = values * 255 // (levels - 1)
    assert read_picture(png_by_hand((8, 2), bits, 0, rows))[..., 1].tolist() == expected.tolist()


def pack_bits(values: np.ndarray, bits: int) -> bytes:
    digits = "".join(f"{value:0{bits}b}" for value in values.tolist())
    digits += "0" * (-len(digits) % 8)
    return bytes(int(digits[at : at + 8], 2) for at in range(0, len(digits), 8))


EIGHT = [[0x00, 0x00, 0x01], [0x12, 0x80, 0xFF]]  # cut, not rounded


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_are_cut_to_the_upper_eight(suffix: str) -> None:
    _, grey = cv2.imencode(suffix, SIXTEEN)
    assert read_picture(grey.tobytes())[..., 2].tolist() == EIGHT
    bgr = np.stack([SIXTEEN, SIXTEEN * 0, 0xFFFF - SIXTEEN], axis=2)
    _, colour = cv2.imencode(suffix, bgr)
    picture = read_picture(colour.tobytes())
    assert picture[..., 2].tolist() == EIGHT
    assert not picture[..., 1].any()
    assert picture[..., 0].tolist() == [[0xFF, 0xFF, 0xFE], [0xED, 0x7F, 0x00]]


@pytest.mark.parametrize("order", ["<", ">"])
def test_tiffs_of_both_byte_orders(order: str) -> None:
    assert read_picture(tiff_by_hand(order))[..., 0].tolist() == EIGHT
    refused(tiff_by_hand(order, bits=32), "TIFF")
    refused(tiff_by_hand(order, black_is_0=0), "TIFF")


def test_tiffs_that_pillow_would_give_wrong_levels_for() -> None:
    refused(tiff_by_hand("<", black_is_0=0), "0 for black, found another kind")
    refused(tiff_by_hand("<", bits=32), "a TIFF of 1, 2, 4, 8, 12 or 16 bits|Pillow refuses")


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_alpha_is_dropped_and_not_composited(kind: str) -> None:
    alpha = np.arange(54, dtype=np.uint8).reshape(6, 9) * 3  # fully transparent in one corner
    assert np.array_equal(read_picture(saved(Image.fromarray(np.dstack([PIXELS, alpha])), kind)), PIXELS)
    grey = np.dstack([PIXELS[..., 0], alpha])
    picture = read_picture(saved(Image.fromarray(grey, "LA"), kind))
    assert np.array_equal(picture, PIXELS[..., [0, 0, 0]])


def test_alpha_of_sixteen_bits_is_dropped() -> None:
    grey = b"\0" + struct.pack(">4H", 0x12FF, 0x0000, 0xFF00, 0x0001)  # value, alpha, value, alpha
    assert read_picture(png_by_hand((2, 1), 16, 4, grey)).tolist() == [[[0x12] * 3, [0xFF] * 3]]
    colour = b"\0" + struct.pack(">4H", 0x12FF, 0x34FF, 0x56FF, 0x0000)
    assert read_picture(png_by_hand((1, 1), 16, 6, colour)).tolist() == [[[0x12, 0x34, 0x56]]]


PALETTE = bytes([10, 20, 30, 200, 100, 50, 7, 8, 9, 255, 254, 253])


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("transparency", [b"", chunk(b"tRNS", b"\0\x80\xff\0")])
def test_palettes_with_and_without_transparency(bits: int, transparency: bytes) -> None:
    values = np.array([3, 0, 1, 2, 0])
    data = png_by_hand((5, 1), bits, 3, b"\0" + pack_bits(values, bits), chunk(b"PLTE", PALETTE) + transparency)
    assert read_picture(data).tolist() == [[list(PALETTE[3 * value : 3 * value + 3]) for value in values]]


def test_palettes_of_other_formats() -> None:
    image = Image.fromarray(PIXELS).quantize(8)
    expected = np.array(image.convert("RGB"))
    for kind in ("BMP", "TIFF"):
        assert np.array_equal(read_picture(saved(image, kind)), expected), kind


def test_a_transparent_colour_stays_what_it_is() -> None:
    key = struct.pack(">HHH", *PIXELS[2, 3].tolist())
    assert np.array_equal(read_picture(png_of(PIXELS, before=chunk(b"tRNS", key))), PIXELS)


@pytest.mark.parametrize(("colour", "channels"), [(0, 1), (2, 3), (6, 4)])
def test_interlaced_png(colour: int, channels: int) -> None:
    values = np.random.default_rng(2).integers(0, 256, (6, 9, channels), dtype=np.uint8)
    rows = b""
    for x, y, dx, dy in (
        *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
        *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
    ):
        rows += b"".join(b"\0" + row.tobytes() for row in values[y::dy, x::dx] if row.size)
    picture = read_picture(png_by_hand((9, 6), 8, colour, rows, interlaced=1))
    assert np.array_equal(picture, values[..., [0, 0, 0] if channels == 1 else [0, 1, 2]])


def test_colour_profiles_are_ignored(tmp_path: Path) -> None:
    # A profile that no picture of these bytes can have: whoever applies it changes them or fails.
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    image = Image.fromarray(smooth())
    for kind, options in (("PNG", {}), ("JPEG", {}), ("TIFF", {}), ("WEBP", {"lossless": True})):
        plain = saved(image, kind, **options)
        profiled = saved(image, kind, icc_profile=profile, **options)
        assert len(profiled) > len(plain) + 100
        assert np.array_equal(read_picture(profiled), read_picture(plain)), kind


def test_what_stands_beside_the_pixels_of_a_png_cannot_spoil_them() -> None:
    text = zlib.compress(b"x" * 3_000_000)  # Pillow refuses such a picture
    beside = chunk(b"gAMA", struct.pack(">I", 100_000)) + chunk(b"zTXt", b"k\0\0" + text)
    beside += chunk(b"iCCP", b"broken") + chunk(b"cICP", b"\x09\x10\x00\x01")
    beside += chunk(b"tEXt", b"key\0value")[:-1] + b"!"  # a wrong checksum
    assert np.array_equal(read_picture(png_of(PIXELS, before=beside)), PIXELS)
    assert np.array_equal(read_picture(png_of(PIXELS) + b"behind the end"), PIXELS)


# Several pictures in one file


def test_the_first_frame_counts() -> None:
    first, second = Image.fromarray(PIXELS), Image.fromarray(255 - PIXELS)
    for kind, options in (("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {})):
        data = saved(first, kind, save_all=True, append_images=[second], **options)
        assert len(data) > len(saved(first, kind, **options)) + 50
        assert np.array_equal(read_picture(data), PIXELS), kind
    jpegs = [Image.fromarray(image) for image in (smooth(), 255 - smooth())]
    data = saved(jpegs[0], "MPO", save_all=True, append_images=jpegs[1:])
    assert np.array_equal(read_picture(data), np.array(Image.open(io.BytesIO(data))))


def test_of_an_animation_without_it_the_default_picture_counts() -> None:
    frames = [Image.fromarray(255 - PIXELS), Image.fromarray(PIXELS // 2)]
    data = saved(Image.fromarray(PIXELS), "PNG", save_all=True, append_images=frames, default_image=True)
    assert data.index(b"IDAT") < data.index(b"fcTL")
    assert np.array_equal(read_picture(data), PIXELS)


# The backgrounds of the built-in generators


def test_photographs_have_the_pixels_that_are_read_here(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jpg", with_app1(WHOLE["jpeg"], b"Exif\0\0" + exif_of(6)))
    assert np.array_equal(read_photo(str(path))[0], read_picture(path))
    _, sixteen = cv2.imencode(".png", np.full((8, 8), 0x7FFF, np.uint16))
    path = write(tmp_path / "b.png", sixteen.tobytes())
    assert set(read_photo(str(path))[0].ravel().tolist()) == {0x7F}
