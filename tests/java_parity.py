"""What the Java library is compared on: a picture file of every kind that is read, those that both refuse, and the rule
by which boxes of two implementations are the same."""

import struct
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from picture_files import SIGNATURE, chunk, exif_of, png_by_hand, saved, with_app1
from PIL import Image, ImageCms

from yolo_proc.data.stream import Stream
from yolo_proc.detection.codec import LabelCodec
from yolo_proc.detection.nms import DecodeConfig, Detections

NEAR = 1e-4  # so near to a threshold may a confidence or an IoU be that two implementations decide differently
ODD_SIZES = ((1, 37), (37, 1), (1, 1), (5000, 3), (3, 5000), (20, 15), (64, 20), (20, 64), (63, 65), (1237, 713))


# ---- picture files


def scene(width: int, height: int, index: int = 0) -> NDArray[np.uint8]:
    """What the network has learnt to find (height, width, 3), again and again along a side that is very long."""
    side = min(max(width, height), 700)
    image = Stream("shapes", 1, "test", picture_size=(side, side))[index].image
    return np.ascontiguousarray(image[np.arange(height)[:, None] % side, np.arange(width) % side])


def picture_files(frame: tuple[int, int]) -> dict[str, bytes]:
    """A file of every kind, by its name; `frame` is the size of the network's pictures."""
    files = _jpegs() | _pngs() | _bitmaps()
    for number, (width, height) in enumerate((*ODD_SIZES, frame, (2 * frame[0], 2 * frame[1]))):
        files[f"size_{width}x{height}.png"] = saved(Image.fromarray(scene(width, height, number)), "PNG")
    files["jpeg_by_another_name.JFIF"] = files["jpeg_420.jpg"]
    files["size_1237x713.jpg"] = saved(Image.fromarray(scene(1237, 713, 3)), "JPEG", quality=90)
    return files


def _jpegs() -> dict[str, bytes]:
    image = Image.fromarray(scene(203, 151, 20))  # odd sides: the last block and the last colour are cut
    kinds = {f"jpeg_{name}.jpg": {"subsampling": kind} for kind, name in enumerate(("444", "422", "420"))}
    kinds |= {
        f"jpeg_{name}_progressive.jpg": {"subsampling": kind, "progressive": True}
        for kind, name in enumerate(("444", "422", "420"))
    }
    kinds["jpeg_optimized.jpg"] = {"optimize": True, "quality": 97}
    kinds["jpeg_coarse.jpg"] = {"quality": 15}
    kinds["jpeg_restarts.jpg"] = {"restart_marker_blocks": 3}
    kinds["jpeg_profile.jpg"] = {"icc_profile": _profile()}
    kinds["jpeg_rgb.jpg"] = {"keep_rgb": True}
    files = {name: saved(image, "JPEG", **how) for name, how in kinds.items()}
    files["jpeg_grey.jpg"] = saved(image.convert("L"), "JPEG")
    files["jpeg_grey_progressive.jpg"] = saved(image.convert("L"), "JPEG", progressive=True)
    files["jpeg_grey_profile.jpg"] = saved(image.convert("L"), "JPEG", icc_profile=_profile())
    for orientation in range(1, 9):
        exif = b"Exif\0\0" + exif_of(orientation, "<" if orientation % 2 else ">")
        files[f"exif_{orientation}.jpg"] = with_app1(files["jpeg_420.jpg"], exif)
        files[f"exif_{orientation}_progressive_grey.jpg"] = with_app1(files["jpeg_grey_progressive.jpg"], exif)
    return files


def _pngs() -> dict[str, bytes]:
    rgb = scene(90, 70, 21)
    image = Image.fromarray(rgb)
    alpha = np.add.outer(np.arange(70), np.arange(90)).astype(np.uint8)
    deep = rgb.astype(np.uint16) * 256 + np.arange(90, dtype=np.uint16)[None, :, None]
    files = {
        "png_rgb.png": saved(image, "PNG"),
        "png_grey.png": saved(image.convert("L"), "PNG"),
        "png_alpha.png": saved(Image.fromarray(np.dstack([rgb, alpha])), "PNG"),
        "png_grey_alpha.png": saved(Image.fromarray(np.dstack([rgb[:, :, 0], alpha])), "PNG"),
        "png_palette.png": saved(image.quantize(200), "PNG"),
        "png_palette_4_bits.png": saved(image.quantize(11), "PNG", bits=4),
        "png_palette_transparent.png": saved(image.quantize(16), "PNG", transparency=bytes(range(16))),
        "png_1_bit.png": saved(image.convert("1"), "PNG"),
        "png_colour_key.png": saved(image, "PNG", transparency=tuple(rgb[0, 0].tolist())),
        "png_profile.png": saved(image, "PNG", icc_profile=_profile()),
        "png_interlaced.png": _interlaced(rgb),
    }
    gamma = chunk(b"gAMA", struct.pack(">I", 100000))
    for name, colour, values in (
        ("grey_16", 0, deep[:, :, :1]),
        ("rgb_16", 2, deep),
        ("grey_alpha_16", 4, np.dstack([deep[:, :, 0], alpha.astype(np.uint16) * 256])),
        ("alpha_16", 6, np.dstack([deep, alpha.astype(np.uint16) * 256])),
    ):
        rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
        files[f"png_{name}.png"] = png_by_hand((90, 70), 16, colour, rows, before=gamma)
    twelve = rgb.astype(np.uint16) * 16 + 9
    for name, bits in (("12_said", 12), ("12_untold", None), ("14_said_for_12", 14)):
        said = b"" if bits is None else chunk(b"sBIT", bytes([bits] * 3))
        rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in twelve)
        files[f"png_rgb_{name}.png"] = png_by_hand((90, 70), 16, 2, rows, before=said)
    for bits in (2, 4):
        grey = rgb[:, :88, 1] >> (8 - bits)  # (70, 88)
        packed = sum(grey[:, place :: 8 // bits] << (8 - bits * (place + 1)) for place in range(8 // bits))
        rows = b"".join(b"\0" + row.astype(np.uint8).tobytes() for row in np.asarray(packed))
        files[f"png_grey_{bits}_bits.png"] = png_by_hand((88, 70), bits, 0, rows)
    plain = files["png_rgb.png"]
    for orientation in range(1, 9):
        turn = chunk(b"eXIf", exif_of(orientation))
        files[f"exif_{orientation}.png"] = plain[:33] + turn + plain[33:]  # behind IHDR
    return files


def _bitmaps() -> dict[str, bytes]:
    image = Image.fromarray(scene(75, 62, 22))  # rows that are filled up to whole words
    return {
        "bitmap_rgb.bmp": saved(image, "BMP"),
        "bitmap_grey.bmp": saved(image.convert("L"), "BMP"),
        "bitmap_palette.bmp": saved(image.quantize(100), "BMP"),
        "bitmap_1_bit.bmp": saved(image.convert("1"), "BMP"),
    }


def refused_files() -> dict[str, bytes]:
    """Files that both languages name and pass over."""
    rgb = scene(90, 70, 23)
    image = Image.fromarray(rgb)
    whole = {"jpg": saved(image, "JPEG"), "png": saved(image, "PNG")}
    bomb = chunk(b"IHDR", struct.pack(">IIBBBBB", 20000, 20000, 8, 2, 0, 0, 0))
    lying = chunk(b"IHDR", struct.pack(">IIBBBBB", 9999, 9999, 8, 2, 0, 0, 0))
    scans = saved(image.convert("L"), "JPEG", progressive=True)
    last = scans.rindex(b"\xff\xda")
    none = chunk(b"IHDR", struct.pack(">IIBBBBB", 0, 20, 8, 2, 0, 0, 0))
    files = {
        "cmyk.jpg": saved(image.convert("CMYK"), "JPEG"),
        "cmyk_progressive.jpg": saved(image.convert("CMYK"), "JPEG", progressive=True),
        "bomb.png": SIGNATURE + bomb + whole["png"][33:],
        "zero.png": SIGNATURE + none + whole["png"][33:],
        "lying.png": SIGNATURE + lying + whole["png"][33:],
        "scans.jpg": scans[:last] + scans[last:-2] * 200 + scans[-2:],
        "empty.png": b"",
        "text.jpg": b"no picture",
        "gif.png": saved(image.quantize(20), "GIF"),
    }
    return files | {f"cut.{kind}": data[: len(data) * 2 // 3] for kind, data in whole.items()}


def _profile() -> bytes:
    """sRGB with the primaries of red and blue exchanged: whoever applies it has other colours."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"rXYZ", b"....", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"....", b"bXYZ", 1)


def _interlaced(rgb: NDArray[np.uint8]) -> bytes:
    """By Adam7, which neither Pillow nor OpenCV writes."""
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    rows = [b"\0" + row.tobytes() for x, y, across, down in passes for row in rgb[y::down, x::across] if row.size]
    return png_by_hand((rgb.shape[1], rgb.shape[0]), 8, 2, b"".join(rows), interlaced=1)


# ---- boxes


@dataclass
class Matches:
    """Boxes of two implementations, by their slots.

    Attributes:
        both: how many both have.
        near: how many one alone has, as its confidence or an IoU lies within `NEAR` of the threshold.
        wrong: a line each: boxes that lie apart, and the others that one alone has.
    """

    both: int
    near: int
    wrong: list[str]


def match(one: Detections, other: Detections, unit: float, margin: Callable[[int], float]) -> Matches:
    """Compares detections of one picture.

    Args:
        unit: picture pixels in a network pixel, in which the tolerance is meant.
        margin: how far a slot is from being decided differently; see `margins`.
    """
    _, mine, theirs = np.intersect1d(one.slots, other.slots, return_indices=True)
    found = Matches(len(mine), 0, [])
    for a, b in zip(mine, theirs, strict=True):
        x0, y0, x1, y1 = one.box_xyxy[a]
        apart = float(np.abs(one.box_xyxy[a] - other.box_xyxy[b]).max())
        if not apart <= 0.01 * unit + 1e-3 * max(x1 - x0, y1 - y0):
            found.wrong.append(f"slot {one.slots[a]}: {apart:.3g} pixels apart")
        if one.class_ids[a] != other.class_ids[b]:
            found.wrong.append(f"slot {one.slots[a]}: classes {one.class_ids[a]} and {other.class_ids[b]}")
        if not abs(one.confidence[a] - other.confidence[b]) <= NEAR:
            found.wrong.append(f"slot {one.slots[a]}: confidences {one.confidence[a]} and {other.confidence[b]}")
    for slot in np.setxor1d(one.slots, other.slots).tolist():
        if margin(slot) <= NEAR:
            found.near += 1
        else:
            found.wrong.append(f"slot {slot}: one alone has it, {margin(slot):.3g} from the nearest threshold")
    return found


def margins(codec: LabelCodec, logits: NDArray[np.float32], config: DecodeConfig) -> Callable[[int], float]:
    """How far a slot's confidence, and its IoU with any box that may stay, are from the thresholds.

    Args:
        logits: of one picture (S, 5 + C).
    """
    low = replace(config, confidence=max(0.0, config.confidence - 2 * NEAR))
    candidates = codec.candidates(logits, low)

    def margin(slot: int) -> float:
        place = np.flatnonzero(candidates.slots == slot)
        if not len(place):
            return np.inf
        box = candidates.box_xyxy[place[0]]
        ious = [iou(box, other) for other in np.delete(candidates.box_xyxy, place[0], axis=0)]
        confidence = float(candidates.confidence[place[0]])
        return min(abs(confidence - config.confidence), *(abs(value - config.max_iou) for value in ious), np.inf)

    return margin


def iou(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Of two boxes xyxy; 0 of boxes without area."""
    inside = np.maximum(np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]), 0).prod()
    union = (one[2:] - one[:2]).prod() + (other[2:] - other[:2]).prod() - inside
    return float(inside / union) if union > 0 else 0.0
