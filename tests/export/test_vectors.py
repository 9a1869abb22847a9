"""The golden vectors that every language reads: replayed here, made anew, and able to see plausible bugs."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from make_vectors import COMMITTED, make
from vector_model import MODEL, logits_of
from vector_pictures import blocks, pattern

from yolo_proc.detection import codec, nms
from yolo_proc.detection.codec import J, LabelCodec, activate
from yolo_proc.errors import DataError
from yolo_proc.export import stages
from yolo_proc.export.stages import DEFAULT_TOLERANCES, Case, Stages, Vectors, difference, replay
from yolo_proc.export.vectors import read_vectors, save_vectors, write_vectors
from yolo_proc.imaging import letterbox, pictures

STAGES = ("picture", "letterbox", "model", "activate", "decode", "nms", "picture_boxes", "deactivate", "assign")


@pytest.fixture(scope="module")
def golden() -> Vectors:
    return read_vectors(COMMITTED)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The committed set, to be damaged."""
    shutil.copytree(COMMITTED, tmp_path / "v1")
    return tmp_path / "v1"


def session_run(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    return lambda images: session.run(None, {session.get_inputs()[0].name: images})[0]


# ---- the committed set


def test_every_case_is_what_this_package_gives(golden: Vectors) -> None:
    assert replay(golden, session_run(golden.onnx)) == []


def test_the_set_is_as_large_as_it_must_be(golden: Vectors) -> None:
    assert {case.stage for case in golden.cases} == set(STAGES)
    assert sum(any(sign in case.comment for sign in "=*/>") for case in golden.cases) >= 20  # arithmetic
    for stage in ("decode", "nms", "assign", "activate", "deactivate", "picture_boxes"):
        empty = [case for case in golden.cases if case.name == f"{stage}_empty"]
        assert len(empty) == 1
    files = list(COMMITTED.iterdir())
    assert sum(path.stat().st_size for path in files) <= 2_000_000
    index = json.loads((COMMITTED / "index.json").read_bytes().decode("ascii"))
    assert {path.name for path in files} == {
        "index.json",
        "model.onnx",
        *(entry["file"] for entry in index["files"].values()),
    }


def test_the_network_carries_its_description(golden: Vectors) -> None:
    model = onnx.load(golden.onnx)
    properties = {entry.key: entry.value for entry in model.metadata_props}
    assert properties["yolo_proc"].isascii()
    assert json.loads(properties["yolo_proc"]) == golden.model == MODEL
    assert model.ir_version == 10
    assert model.opset_import[0].version == 20


def test_made_again_they_are_the_same_bytes(tmp_path: Path) -> None:
    make(tmp_path)
    made, kept = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in (tmp_path, COMMITTED))
    assert made.keys() == kept.keys()
    assert [name for name in made if made[name] != kept[name]] == []


# The comments' results once more: the cases come from a reference, which could be wrong as well.
BY_HAND: dict[str, dict[str, Any]] = {
    "letterbox_by_hand": {"left": 0, "top": 1, "nw": 2, "nh": 1},
    "decode_by_hand": {"slots": [21, 131], "boxes": [[4, 8, 36, 16], [46, 20, 66, 60]], "class_ids": [0, 2]},
    "decode_empty": {"slots": [], "class_ids": []},
    "decode_tie": {"slots": [40, 7, 95, 96, 100]},
    "decode_tie_at_the_cut": {"slots": [3, 50]},
    "decode_limit_is_met": {"slots": [10, 11], "confidences": [0.5, 0.5]},
    "decode_limit_is_a_double": {"slots": [12, 11]},
    "decode_everything": {"slots": [5, 0, 1, 2]},
    "decode_saturated_j": {"slots": [80, 4, 120], "confidences": [1, 1, 1]},
    "decode_class_ties": {"class_ids": [1, 0, 2, 2]},
    "decode_predictions": {"slots": [4, 100, 9]},
    "nms_iou_is_max_iou": {"slots": [113], "boxes": [[14, 4, 34, 44]]},
    "nms_iou_below_max_iou": {"slots": [113, 111]},
    "nms_no_division": {"slots": [113, 112]},
    "nms_two_classes": {"slots": [113, 111], "class_ids": [0, 1]},
    "nms_two_classes_agnostic": {"slots": [113]},
    "nms_chain": {"slots": [37, 45], "boxes": [[4, 16, 36, 24], [36, 16, 64, 24]]},
    "nms_compared_unclipped": {"slots": [15, 13], "boxes": [[44, 0, 64, 8], [40, 0, 64, 8]]},
    "nms_equal_boxes": {"slots": [37, 41], "boxes": [[8, 16, 40, 24], [20, 16, 52, 24]]},
    "nms_saturated_j": {"slots": [113], "confidences": [1]},
    "picture_boxes_by_hand": {"boxes": [[20, 16, 60, 36], [0, 0, 128, 48], [0, 0, 128, 0]]},
}
# slots and their J; the rest are 0
ASSIGNED_BY_HAND = {
    "assign_by_hand": {111: 1},
    "assign_anchors_tie": {20: 1},
    "assign_slot_taken": {20: 1, 21: -1},
    "assign_slot_taken_by_the_first": {20: 1, 21: -1, 99: -1, 100: -1, 101: -1},
    "assign_below_the_limits": {10: 1, 0: -1, 1: -1, 72: -1, 73: -1, 28: -1, 29: -1, 96: -1, 97: -1, 98: -1},
    "assign_ignore_regions": {76: 1, 77: -1, 0: -1, 1: -1, 96: -1, 97: -1, 98: -1},
    "assign_far_edge": {119: 1},
    "assign_empty": {},
}


def test_what_was_worked_by_hand_stands_there(golden: Vectors) -> None:
    outputs = {case.name: case.outputs for case in golden.cases}
    for name, expected in BY_HAND.items():
        for key, values in expected.items():
            assert np.array_equal(outputs[name][key], values), (name, key, outputs[name][key])
    for name, objectness in ASSIGNED_BY_HAND.items():
        found = outputs[name]["targets"][:, J]
        assert {int(slot): int(found[slot]) for slot in np.flatnonzero(found)} == objectness, name
    assert outputs["letterbox_by_hand"]["letterboxed"][:, :, 0].tolist() == [[114, 114], [50, 160], [114, 114]]
    assert outputs["assign_by_hand"]["targets"][111] == pytest.approx([0.25, 0, 0.8, 1, 1, 0, 0, 1])
    assert outputs["activate_by_hand"]["predictions"][1] == pytest.approx(
        [1, 0, 9897.129058743927, 2.061153622438558e-09, 1, 0.5, 0.5, 0]
    )
    assert outputs["deactivate_by_hand"]["logits"][1] == pytest.approx(
        [-13.862942657, 13.862942657, -20, 9.2, 20, 0, 20, 0]
    )


# ---- what they see


def sigmoid_dropped(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(codec, "_sigmoid", lambda t: t)


def w_and_h_swapped(patch: pytest.MonkeyPatch) -> None:
    boxes_xyxy = LabelCodec._boxes_xyxy
    order = [0, 1, 3, 2, 4, 5, 6, 7]
    patch.setattr(LabelCodec, "_boxes_xyxy", lambda self, rows, slots: boxes_xyxy(self, rows[:, order], slots))


def blue_first(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(cv2, "cvtColor", lambda image, code: image)


def classes_and_agnostic_swapped(patch: pytest.MonkeyPatch) -> None:
    given = codec.DecodeConfig
    other = {"class": "agnostic", "agnostic": "class"}
    patch.setattr(stages, "DecodeConfig", lambda nms="class", **rest: given(nms=other[nms], **rest))


def orientation_ignored(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(pictures, "_upright", lambda pixels, orientation: pixels)


def softmax_dropped(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(stages, "activate", lambda logits: activate(logits) * [1, 1, 1, 1, 1, 2, 2, 2])


def equal_overlap_stays(patch: pytest.MonkeyPatch) -> None:
    given = codec.nms
    patch.setattr(codec, "nms", lambda boxes, ids, limit, most: given(boxes, ids, np.nextafter(limit, 2), most))


def divided(patch: pytest.MonkeyPatch) -> None:
    def overlaps(boxes: np.ndarray, areas: np.ndarray, ids: np.ndarray | None, limit: float, a: Any, b: Any) -> Any:
        shared = nms.intersection_xyxy(boxes[a], boxes[b])
        found = shared / (areas[a, None] + areas[b] - shared) >= limit
        return found if ids is None else found & (ids[a, None] == ids[b])

    patch.setattr(nms, "_overlaps", overlaps)


def compared_clipped(patch: pytest.MonkeyPatch) -> None:
    given = codec.nms
    patch.setattr(codec, "nms", lambda boxes, *rest: given(codec.clip_xyxy(boxes, 64, 48), *rest))


def ordered_by_confidence(patch: pytest.MonkeyPatch) -> None:
    candidates = LabelCodec.candidates

    def ordered(self: LabelCodec, outputs: np.ndarray, *rest: Any, **options: Any) -> Any:
        if not options.get("activated"):
            outputs = outputs.copy()
            outputs[:, J] = np.minimum(outputs[:, J], 36)  # beyond, 1 / (1 + e^-J) is 1 in doubles
        return candidates(self, outputs, *rest, **options)

    patch.setattr(LabelCodec, "candidates", ordered)


def limit_in_float32(patch: pytest.MonkeyPatch) -> None:
    given = codec.logit_of
    patch.setattr(codec, "logit_of", lambda confidence: float(np.float32(given(confidence))))


def sizes_not_clamped(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(codec, "SIZE_LOGIT_HIGH", 20.0)


def padding_rounded_up(patch: pytest.MonkeyPatch) -> None:
    given = letterbox.Letterbox.of.__func__

    def of(cls: type, w: int, h: int, width: int, height: int) -> letterbox.Letterbox:
        box = given(cls, w, h, width, height)
        return replace(box, left=(width - box.nw + 1) // 2)

    patch.setattr(letterbox.Letterbox, "of", classmethod(of))


def resized_by_opencv(patch: pytest.MonkeyPatch) -> None:
    def resize(image: np.ndarray, length: int, axis: int) -> np.ndarray:
        size = (length, image.shape[0]) if axis == 1 else (image.shape[1], length)
        return cv2.resize(image, size, interpolation=cv2.INTER_LINEAR).reshape(size[1], size[0], 3)

    patch.setattr(letterbox, "_resize_axis", resize)


# Which stages must notice; the others must not.
MUTATIONS: tuple[tuple[Callable[[pytest.MonkeyPatch], None], tuple[str, ...]], ...] = (
    (sigmoid_dropped, ("activate", "decode", "nms")),
    (w_and_h_swapped, ("decode", "nms")),
    (blue_first, ("picture",)),
    (classes_and_agnostic_swapped, ("nms",)),
    (orientation_ignored, ("picture",)),
    (softmax_dropped, ("activate",)),
    (equal_overlap_stays, ("nms",)),
    (divided, ("nms",)),
    (compared_clipped, ("nms",)),
    (ordered_by_confidence, ("decode", "nms")),
    (limit_in_float32, ("decode",)),
    (sizes_not_clamped, ("activate", "decode", "deactivate")),
    (padding_rounded_up, ("letterbox", "picture_boxes")),
    (resized_by_opencv, ("letterbox",)),
)


@pytest.mark.parametrize(("mutate", "seen_by"), MUTATIONS, ids=[mutate.__name__ for mutate, _ in MUTATIONS])
def test_a_bug_is_seen(golden: Vectors, mutate: Callable[[pytest.MonkeyPatch], None], seen_by: tuple[str, ...]) -> None:
    stage_of = {case.name: case.stage for case in golden.cases}
    with pytest.MonkeyPatch.context() as patch:
        mutate(patch)
        lines = replay(golden)
    assert {stage_of[line.split(":")[0]] for line in lines} == set(seen_by)


def test_a_network_fed_blue_first_is_seen(golden: Vectors) -> None:
    lines = replay(golden, lambda images: logits_of(images[..., ::-1]))
    assert [line.split(":")[0] for line in lines] == ["model_of_one", "model_of_many"]  # grey has no order


def test_differences_are_told() -> None:
    def told(expected: Any, found: Any, key: str = "predictions", stage: str = "activate") -> str:
        return difference(expected, found, key, stage, DEFAULT_TOLERANCES)

    ones = np.ones((2, 3))
    assert told(ones, ones + 9e-7) == ""
    assert told(ones * 1000, ones * 1000 + 9e-4) == ""  # relative above 1
    assert told(ones, ones + 9e-4, "logits", "model") == ""
    assert told(ones * 1000, ones * 1000 + 2e-3, "boxes", "decode") != ""  # pixels
    wrong = ones.copy()
    wrong[1, 2] = np.nan
    assert told(ones, wrong) == "expected 1.0 at [1, 2], found nan (1 of 6 values are wrong, tolerance 1e-06)"
    assert told(ones, ones[:1]) == "expected shape (2, 3), found (1, 3)"
    assert told(np.array([1, 2], np.int32), np.array([2, 1])) != ""
    assert told(np.zeros((0, 4)), np.zeros((0, 4))) == ""
    assert told(3, 4, "left", "letterbox") == "expected 3, found 4"


# ---- reading


def change_index(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    index = json.loads((folder / "index.json").read_text(encoding="ascii"))
    change(index)
    (folder / "index.json").write_text(json.dumps(index), encoding="ascii")


def test_a_missing_file_is_told(copied: Path) -> None:
    (copied / "decode_tie.logits.f32").unlink()
    with pytest.raises(DataError, match=r"decode_tie\.logits\.f32: expected a file .* no such file"):
        read_vectors(copied)
    with pytest.raises(DataError, match=r"index\.json: expected a file .* no such file"):
        read_vectors(copied / "nowhere")


@pytest.mark.parametrize("name", ["decode_tie.logits.f32", "model.onnx", "picture_jpeg_420.bytes.jpg"])
def test_one_changed_bit_is_told(copied: Path, name: str) -> None:
    data = bytearray((copied / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copied / name).write_bytes(data)
    with pytest.raises(DataError, match=f"{name}: expected SHA-256"):
        read_vectors(copied)


BROKEN: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "version": (lambda index: index.update(version=2), "expected version 1, found 2"),
    "shape": (lambda index: index["files"]["decode_tie.logits"].update(shape=[1, 8]), r"expected f32 \[1, 8\], found"),
    "type": (lambda index: index["files"]["decode_tie.logits"].update(type="f16"), "contents do not fit"),
    "elsewhere": (
        lambda index: index["files"]["decode_tie.logits"].update(file="../v1/decode_tie.logits.f32"),
        "expected a file beside it",
    ),
    "unknown array": (lambda index: index["cases"][0]["in"].update(bytes="nothing"), "contents do not fit"),
    "no cases": (lambda index: index.pop("cases"), "contents do not fit"),
}


@pytest.mark.parametrize(("change", "match"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_index_is_told(copied: Path, change: Callable[[dict[str, Any]], None], match: str) -> None:
    change_index(copied, change)
    with pytest.raises(DataError, match=match) as caught:
        read_vectors(copied)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b"\xff\xfe{}", b'{"version": 1}'])
def test_what_is_no_index_is_told(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "index.json").write_bytes(text)
    with pytest.raises(DataError, match="contents do not fit"):
        read_vectors(tmp_path)


def test_an_unknown_stage_is_a_difference(golden: Vectors) -> None:
    case = Case("a", "guess", {}, {})
    [line] = replay(Vectors(golden.model, golden.onnx, (case,)))
    assert line.startswith("a: golden vectors: expected a stage of picture, ")


# ---- writing


@pytest.fixture
def beside(tmp_path: Path) -> Iterator[Path]:
    """A folder for vectors beside a model."""
    shutil.copy(COMMITTED / "model.onnx", tmp_path)
    return tmp_path / "vectors"


def test_an_exported_models_vectors_replay(beside: Path) -> None:
    run = session_run(beside.parent / "model.onnx")
    write_vectors(beside, MODEL, run, [blocks(90, 50), pattern(64, 48)], tolerances={"logits": 0.05})
    found = read_vectors(beside)
    assert found.onnx.resolve() == (beside.parent / "model.onnx").resolve()
    assert found.model == MODEL
    assert found.tolerances == {**DEFAULT_TOLERANCES, "logits": 0.05}
    assert {case.stage for case in found.cases} == set(STAGES)
    assert replay(found, run) == []
    boxes = {case.name: case.outputs["boxes"] for case in found.cases if case.stage in ("nms", "picture_boxes")}
    assert len(boxes["nms_0"]) == len(boxes["picture_boxes_0"]) > 0


def test_a_model_with_its_activations_inside(beside: Path) -> None:
    model = {**MODEL, "output": {"name": "predictions", "activated": True}}

    def run(images: np.ndarray) -> np.ndarray:
        return activate(logits_of(images)).astype(np.float32)

    write_vectors(beside, model, run, [blocks(90, 50)])
    found = read_vectors(beside)
    assert Stages.of_model(found.model).outputs_key == "predictions"
    assert {case.stage for case in found.cases} == set(STAGES) - {"activate", "deactivate"}
    assert replay(found, run) == []
    [boxes] = [case.outputs["boxes"] for case in found.cases if case.name == "nms_0"]
    assert len(boxes) > 0


def test_no_pictures_give_an_empty_set(beside: Path) -> None:
    write_vectors(beside, MODEL, logits_of, [])
    assert read_vectors(beside).cases == ()


def test_equal_arrays_share_a_file(beside: Path) -> None:
    same, other = np.arange(6, dtype=np.float32).reshape(2, 3), np.arange(6, dtype=np.float32).reshape(3, 2)
    cases = [Case("a", "activate", {"logits": same}, {"predictions": same}), Case("b", "x", {"logits": other}, {})]
    save_vectors(beside, MODEL, cases)
    assert sorted(path.name for path in beside.iterdir()) == ["a.logits.f32", "b.logits.f32", "index.json"]
    first, second = read_vectors(beside).cases
    assert np.array_equal(first.outputs["predictions"], same)
    assert np.array_equal(second.inputs["logits"], other)
