"""Makes the golden vectors anew: the same bytes each time (docs/java.md says what they are).

python tests/make_vectors.py [FOLDER]
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import vector_cases
import vector_reference
from letterbox_reference import apply_by_rule
from vector_model import HEIGHT, MODEL, WIDTH, logits_of, write_onnx
from vector_pictures import Sample, noise, pattern, samples

from yolo_proc.export.stages import Case
from yolo_proc.export.vectors import save_vectors

COMMITTED = Path(__file__).parents[1] / "export" / "vectors" / "v1"
FRAME = (WIDTH, HEIGHT)
# Those that go through the network: enlarged, turned, made smaller, and of its own size.
SEEN = ("jpeg_blocks", "jpeg_exif_6", "png_small", "png_own_size")


def picture_cases(pictures: dict[str, Sample]) -> Iterator[Case]:
    for name, sample in pictures.items():
        given = {"bytes": np.frombuffer(sample.data, np.uint8)}
        yield Case(f"picture_{name}", "picture", given, {"rgb": sample.rgb}, sample.comment)


def _letterbox_case(name: str, rgb: np.ndarray, frame: tuple[int, int] = FRAME, comment: str = "") -> Case:
    place = vector_reference.letterbox_place((rgb.shape[1], rgb.shape[0]), frame)
    given = {"rgb": rgb, "width": frame[0], "height": frame[1]}
    return Case(f"letterbox_{name}", "letterbox", given, {"letterboxed": apply_by_rule(rgb, *frame), **place}, comment)


def letterbox_cases(pictures: dict[str, Sample]) -> Iterator[Case]:
    row = np.repeat(np.array([[0, 70, 140, 210]], np.uint8)[:, :, None], 3, axis=2)
    yield _letterbox_case(
        "by_hand",
        row,
        (2, 3),
        "4 x 1 into 2 x 3: r = min(2/4, 3/1) = 0.5, nw = 2, nh = floor(0.5 + 0.5) = 1, left 0, top (3 - 1) div 2 = 1. "
        "Output 0: s = f = 2, c = 1, lo 0, hi 3, weights 0.75 0.75 0.25 over 1.75: (0.75 * 0 + 0.75 * 70 + 0.25 * "
        "140) / 1.75 = 50; output 1 the mirror image, (0.25 * 70 + 0.75 * 140 + 0.75 * 210) / 1.75 = 160; 114 above "
        "and below",
    )
    for name in (*SEEN, "png_1x37", "png_37x1", "png_1x1", "png_5000x3", "jpeg_420", "png_rgb"):
        yield _letterbox_case(name, pictures[name].rgb, comment=pictures[name].comment)
    yield _letterbox_case("down", noise(150, 100), comment="black and white, made smaller: the sums are clamped")
    yield _letterbox_case("up", noise(21, 15), comment="black and white, enlarged by a fraction")
    yield _letterbox_case("narrow", noise(3, 70), comment="made smaller until it is 2 wide")
    yield _letterbox_case("odd_padding", pattern(31, 48), comment="33 columns of padding: 16 left, 17 right")
    yield _letterbox_case("to_40x50", pattern(30, 90), (40, 50), "another frame")
    yield _letterbox_case("to_1x1", noise(2, 4), (1, 1), "one pixel: the horizontal pass comes first")


def network_cases(pictures: dict[str, Sample]) -> Iterator[Case]:
    """The network and all behind it, on the pictures of `SEEN`."""
    images = np.stack([apply_by_rule(pictures[name].rgb, *FRAME) for name in SEEN])
    logits = logits_of(images)
    yield Case("model_of_one", "model", {"images": images[:1]}, {"logits": logits[:1]}, "N = 1")
    yield Case("model_of_many", "model", {"images": images}, {"logits": logits}, f"N = {len(images)}")
    grey = np.full((2, HEIGHT, WIDTH, 3), 114, np.uint8)
    yield Case("model_of_grey", "model", {"images": grey}, {"logits": logits_of(grey)}, "two pictures of padding alone")
    for name, values in zip(SEEN, logits, strict=True):
        yield from _boxes_cases(name, pictures[name].rgb, values)


def _boxes_cases(name: str, rgb: np.ndarray, logits: np.ndarray) -> Iterator[Case]:
    predictions = vector_reference.activate(logits)
    yield Case(f"activate_{name}", "activate", {"logits": logits}, {"predictions": predictions})
    back = vector_reference.deactivate(predictions)
    yield Case(f"deactivate_{name}", "deactivate", {"predictions": predictions}, {"logits": back})
    given: dict[str, Any] = {"logits": logits, "max_candidates": 1000}
    for label, confidence in (("", 0.65), ("_low", 0.001)):
        candidates = vector_reference.decode(logits, confidence, 1000)
        sure = {**given, "confidence": confidence}
        yield Case(f"decode_{name}{label}", "decode", sure, candidates)
        for nms in ("class", "agnostic"):
            options = {"nms": nms, "max_iou": 0.4, "max_detections": 300}
            found = vector_reference.suppress(candidates, **options)
            yield Case(f"nms_{name}_{nms}{label}", "nms", {**sure, **options}, found)
    yield _picture_boxes_case(name, found["boxes"], (rgb.shape[1], rgb.shape[0]), FRAME)


def _picture_boxes_case(
    name: str, boxes: np.ndarray, picture: tuple[int, int], frame: tuple[int, int], comment: str = ""
) -> Case:
    given = {"boxes": boxes, "picture_width": picture[0], "picture_height": picture[1]}
    given |= {"width": frame[0], "height": frame[1]}
    found = vector_reference.boxes_to_picture(boxes, picture, frame)
    return Case(f"picture_boxes_{name}", "picture_boxes", given, {"boxes": found}, comment)


def picture_boxes_cases() -> Iterator[Case]:
    yield _picture_boxes_case(
        "by_hand",
        np.array([[10, 20, 30, 30], [-5, 3, 70, 40], [0, 0, 64, 10]], np.float64),
        (128, 48),
        FRAME,
        "128 x 48 into 64 x 48: r = 0.5, nw 64, nh 24, left 0, top 12. 10 20 30 30 becomes 20 16 60 36; -5 3 70 40 is "
        "clipped to 0 0 128 48; 0 0 64 10 lies in the padding and is left without height: 0 0 128 0",
    )
    yield _picture_boxes_case("empty", np.zeros((0, 4)), (10, 10), FRAME, "no boxes")
    boxes = np.array([[15.5, 0, 47, 48], [20.25, 10, 40, 30.75]])
    yield _picture_boxes_case("odd_padding", boxes, (31, 48), FRAME, "left is 33 div 2 = 16")
    yield _picture_boxes_case("wide", np.array([[0, 23, 64, 24.0]]), (5000, 3), FRAME, "nh is kept at 1")


def all_cases(kept: Path) -> tuple[list[Case], dict[str, Sample]]:
    """Every case; JPEG files are taken from `kept` if they are there."""
    pictures = samples(kept)
    cases = [
        *picture_cases(pictures),
        *letterbox_cases(pictures),
        *vector_cases.activate_cases(),
        *vector_cases.decode_cases(),
        *vector_cases.nms_cases(),
        *picture_boxes_cases(),
        *vector_cases.deactivate_cases(),
        *vector_cases.assign_cases(),
        *network_cases(pictures),
    ]
    return cases, pictures


def make(folder: Path, kept: Path = COMMITTED) -> None:
    """Writes the set into a folder."""
    cases, pictures = all_cases(kept)
    folder.mkdir(parents=True, exist_ok=True)
    write_onnx(folder / "model.onnx")
    suffixes = {f"picture_{name}": "jpg" if name.startswith("jpeg") else "png" for name in pictures}
    save_vectors(folder, MODEL, cases, onnx="model.onnx", suffixes=suffixes)


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else COMMITTED
    make(target)
    files = list(target.iterdir())
    print(f"{target}: {len(files)} files, {sum(path.stat().st_size for path in files) / 1e6:.2f} MB")
