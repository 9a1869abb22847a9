"""The original's binary sets: every byte by hand, the slots as the codec gives them, damage by a line."""

import json
import random
import shutil
import struct
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yolo_proc.annotations.binary import (
    LOST_ITEMS,
    codec_of,
    label_records,
    looks_like,
    picture_record,
    read,
    read_picture_record,
    record_folder,
    set_info,
)
from yolo_proc.annotations.checked_json import Entry
from yolo_proc.annotations.records import Annotation, BinaryLayout, Item, Problems, ReadOptions, Tally
from yolo_proc.config.schema import LabelConfig
from yolo_proc.errors import AnnotationError, ConfigError, DataError

GOLDEN = Path(__file__).parents[1] / "golden" / "binary"
LAYOUT = BinaryLayout(8, 8, 4, ((2.0, 4.0), (4.0, 2.0)))
FLOATS = replace(LAYOUT, value_type="float32")
OPTIONS = ReadOptions(binary=LAYOUT)

# What the golden set's first picture has, worked by hand: a box at 0 of anchor 0's size in the first cell, one at the
# far edge of anchor 1's size in the last, and between them half pixels; the second picture has nothing.
CORNER = Item((0.0, 0.0, 2.0, 4.0), 0)
HALF = Item((4.5, 0.5, 7.5, 2.0), 1)
FAR = Item((4.0, 6.0, 8.0, 8.0), 1)
IMAGE = np.empty((8, 8, 3), dtype=np.uint8)
IMAGE[...] = (0, 100, 200)
IMAGE[..., 0] = np.arange(64).reshape(8, 8)
BLACK = np.zeros((8, 8, 3), dtype=np.uint8)


def annotation(*items: Item, name: str = "a.png", size: tuple[int, int] = (8, 8)) -> Annotation:
    return Annotation(name, *size, items)


def write(
    root: Path, pictures: list[tuple[Annotation, np.ndarray]], layout: BinaryLayout = LAYOUT, classes: int = 2
) -> Counter[str]:
    """The set's three files; what was lost."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "images.bin").write_bytes(b"".join(picture_record(image, layout) for _, image in pictures))
    labels, lost = label_records([one for one, _ in pictures], layout, classes)
    (root / "labels.bin").write_bytes(labels)
    (root / "image_set_info.json").write_bytes(set_info(len(pictures), layout, classes))
    return lost


def golden(root: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(GOLDEN, root, dirs_exist_ok=True))


def slots_of(data: bytes, classes: int = 2) -> np.ndarray:
    return np.frombuffer(data, dtype="<f4").reshape(-1, 5 + classes)


# ---- by hand


def test_the_golden_files_are_written_byte_for_byte(tmp_path):
    lost = write(tmp_path, [(annotation(CORNER, FAR, HALF), IMAGE), (annotation(), BLACK)])
    for name in ("images.bin", "labels.bin"):
        assert (tmp_path / name).read_bytes() == (GOLDEN / name).read_bytes()
    assert (tmp_path / "image_set_info.json").read_text() == (GOLDEN / "image_set_info.json").read_text()
    assert not lost


def test_the_golden_files_say_what_was_worked_out():
    slots = [[0.0] * 7 for _ in range(8)]
    slots[0] = [0.25, 0.5, 1, 1, 1, 1, 0]  # centre 1, 2 in the cell of 4 x 4 at 0, 0
    slots[3] = [0.5, 0.3125, 0.75, 0.75, 1, 0, 1]  # centre 6, 1.25; 3 x 1.5 is .56 of anchor 1 and .32 of anchor 0
    slots[7] = [0.5, 0.75, 1, 1, 1, 0, 1]  # centre 6, 7
    expected = b"".join(struct.pack("<7f", *slot) for slot in slots) + bytes(8 * 7 * 4)
    assert (GOLDEN / "labels.bin").read_bytes() == expected
    assert (GOLDEN / "images.bin").read_bytes()[:6] == bytes([200, 100, 0, 200, 100, 1])  # BGR


def test_the_golden_set_is_read():
    assert looks_like(GOLDEN)
    data = read(GOLDEN, OPTIONS)
    assert (data.format, data.classes) == ("binary", ("class_0", "class_1"))
    first = Annotation("image_00000.png", 8, 8, (CORNER, HALF, FAR), record=0)
    assert data.splits == {"train": (first, Annotation("image_00001.png", 8, 8, record=1))}
    np.testing.assert_array_equal(read_picture_record(GOLDEN, 0, LAYOUT), IMAGE)
    assert not read_picture_record(GOLDEN, 1, LAYOUT).any()


def test_float32_pictures_are_rgb_by_255(tmp_path):
    image = np.arange(192, dtype=np.uint8).reshape(8, 8, 3) + np.uint8(64)
    write(tmp_path, [(annotation(), BLACK), (annotation(), image)], FLOATS)
    data = (tmp_path / "images.bin").read_bytes()
    assert data[768:780] == struct.pack("<3f", 64 / 255, 65 / 255, 66 / 255)
    np.testing.assert_array_equal(read_picture_record(tmp_path, 1, FLOATS), image)
    assert len(read(tmp_path, ReadOptions(binary=FLOATS)).annotations) == 2


def test_every_level_comes_back_from_float32(tmp_path):
    layout = BinaryLayout(16, 16, 16, ((4.0, 4.0),), "float32")
    image = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=2)
    write(tmp_path, [(annotation(size=(16, 16)), image)], layout, 1)
    np.testing.assert_array_equal(read_picture_record(tmp_path, 0, layout), image)


# ---- slots


def test_the_surest_object_keeps_the_slot_and_the_others_are_counted():
    boxes = [(0.0, 0.0, 2.0, 4.0), (0.5, 0.0, 2.5, 4.0), (1.0, 0.0, 3.0, 4.0)]
    items = [Item(xyxy, 0, confidence=sure) for xyxy, sure in zip(boxes, (0.5, None, 1.0), strict=True)]
    labels, lost = label_records([annotation(*items)], LAYOUT, 2)
    assert slots_of(labels)[0, :2].tolist() == [0.375, 0.5]  # the second: None is sure, and it comes before the third
    assert lost == {"slot_taken": 2, "confidence": 1}
    assert (slots_of(labels)[:, 4] >= 0).all()  # what the codec ignores is 0 here
    assert slots_of(labels)[:, 4].sum() == 1


def test_equal_anchors_take_the_lower_index():
    layout = replace(LAYOUT, anchors=((4.0, 4.0), (2.0, 2.0), (4.0, 4.0)))
    labels, _ = label_records([annotation(Item((0.0, 0.0, 4.0, 4.0), 1))], layout, 2)
    assert np.flatnonzero(slots_of(labels)[:, 4]).tolist() == [0]


def test_what_cannot_be_said_is_counted():
    box = (0.0, 0.0, 2.0, 4.0)
    full = replace(FAR, confidence=0.5, rotation=9.0, anchor=0, visible=0.5, in_frame=0.5, points=((0.0, 0.0),))
    kinds = [Item(box, 0, kind) for kind in ("mask", "polygon", "point", "text")]
    labels, lost = label_records([annotation(*kinds, Item(box, 0, ignore=True), full)], LAYOUT, 2)
    details = {"confidence", "rotation", "anchor", "visible", "in_frame", "outline"}
    assert lost == dict.fromkeys((*details, "mask", "polygon", "point", "text", "ignore"), 1)
    assert LOST_ITEMS & set(lost) == {"mask", "polygon", "point", "text", "ignore"}
    assert np.flatnonzero(slots_of(labels)[:, 4]).tolist() == [7]


def test_a_small_object_is_written_and_one_without_area_is_not():
    labels, lost = label_records([annotation(Item((7.9, 7.9, 8.0, 8.0), 0))], LAYOUT, 2)
    assert (slots_of(labels)[:, 4].sum(), lost) == (1, {})
    labels, lost = label_records([annotation(Item((3.0, 3.0, 3.0, 4.0), 0))], LAYOUT, 2)
    assert (slots_of(labels)[:, 4].sum(), lost) == (0, {"min_box_px": 1})


def test_a_centre_just_before_a_cell_stays_in_its_own():
    """In float32 it would be the border itself, which is the next cell's."""
    near = 4 - 2.0**-40
    labels, _ = label_records([annotation(Item((near - 1, 0.0, near + 1, 4.0), 0))], LAYOUT, 2)
    (slot,) = np.flatnonzero(slots_of(labels)[:, 4])
    assert slot == 0
    assert 0.999 < slots_of(labels)[slot, 0] < 1


@st.composite
def pictures(draw: st.DrawFn) -> Annotation:
    def side() -> tuple[float, float]:
        low = draw(st.floats(0, 31))
        return low, min(low + draw(st.floats(0.01, 20)), 32.0)

    items = []
    for _ in range(draw(st.integers(0, 6))):
        (x0, x1), (y0, y1) = side(), side()
        sure = draw(st.sampled_from([None, 0.25, 1.0]))
        items.append(Item((x0, y0, x1, y1), draw(st.integers(0, 2)), confidence=sure))
    return annotation(*items, size=(32, 32))


WIDE = BinaryLayout(32, 32, 16, ((12.0, 10.0), (6.0, 14.0), (3.0, 3.0)))


@settings(max_examples=40)
@given(pictures())
def test_the_slots_are_those_of_the_codec(one):
    """The same array that `LabelCodec` gives the loss for the scene, without its ignored slots."""
    count = len(one.items)
    batch = SimpleNamespace(
        images=np.zeros((1, 32, 32, 3), dtype=np.uint8),
        box_xyxy=np.array([item.xyxy for item in one.items]).reshape(-1, 4),
        class_ids=np.array([item.category for item in one.items], dtype=np.int64),
        image_ids=np.zeros(count, dtype=np.int64),
        confidence=np.array([item.confidence or 1.0 for item in one.items]),
        visible=np.ones(count),
        in_frame=np.ones(count),
        ignore_xyxy=np.zeros((0, 4)),
        ignore_image_ids=np.zeros(0, dtype=np.int64),
    )
    codec = codec_of(WIDE, 3)
    targets = codec.assign(batch, LabelConfig(0.0, 0.0, 0.0))
    expected = codec.dense(targets)[0].clip(min=0)
    labels, lost = label_records([one], WIDE, 3)
    np.testing.assert_allclose(slots_of(labels, 3), expected, atol=1e-7)
    assert lost["slot_taken"] == targets.dropped["slot_taken"]


@settings(max_examples=25)
@given(st.lists(pictures(), min_size=1, max_size=3))
def test_what_gets_a_slot_comes_back_in_float32(tmp_path_factory, made):
    root = tmp_path_factory.mktemp("set")
    lost = write(
        root, [(one, np.full((32, 32, 3), number, dtype=np.uint8)) for number, one in enumerate(made)], WIDE, 3
    )
    data = read(root, ReadOptions(binary=WIDE))
    assert [one.record for one in data.annotations] == list(range(len(made)))
    assert sum(len(one.items) for one in made) - lost["slot_taken"] == sum(len(one.items) for one in data.annotations)
    for before, after in zip(made, data.annotations, strict=True):
        assert read_picture_record(root, after.record, WIDE)[0, 0, 0] == after.record
        left = [(item.category, item.xyxy) for item in before.items]
        for item in after.items:
            near = [pair for pair in left if pair[0] == item.category and pair[1] == pytest.approx(item.xyxy, abs=1e-5)]
            assert near
            left.remove(near[0])


# ---- sets


def test_an_empty_set(tmp_path):
    write(tmp_path, [])
    with pytest.raises(DataError, match=r"expected pictures of train, found none: .*image_set_info.json counts none"):
        read(tmp_path, OPTIONS)
    (tmp_path / "yolo_proc.json").write_text('{"version":1}')  # ours may be empty
    assert read(tmp_path, OPTIONS).splits == {"train": ()}


def test_what_lies_beside_the_sets_is_counted(tmp_path):
    write(tmp_path / "train", [(annotation(CORNER), BLACK)])
    write(tmp_path / "test", [(annotation(), BLACK)] * 3)
    (tmp_path / "train/a.png").write_bytes(b"")
    options = replace(OPTIONS, tally=Tally())
    assert len(read(tmp_path, options).annotations) == 1
    assert options.tally.lines() == (
        f"1 picture belongs to no split and is not read (first: {tmp_path}/train/a.png)",
        f"3 pictures of test are not read, because only train and val are (first: {tmp_path}/test)",
    )


def test_two_parts(tmp_path):
    write(tmp_path / "train", [(annotation(CORNER), BLACK)])
    write(tmp_path / "val", [(annotation(), BLACK), (annotation(FAR), IMAGE)])
    assert looks_like(tmp_path)
    data = read(tmp_path, OPTIONS)
    assert [len(part) for part in data.splits.values()] == [1, 2]
    assert data.splits["val"][1].items == (FAR,)
    np.testing.assert_array_equal(read_picture_record(record_folder(tmp_path, "val"), 1, LAYOUT), IMAGE)
    assert record_folder(tmp_path / "val", "train") == tmp_path / "val"
    write(tmp_path / "val", [(annotation(), BLACK)], classes=3)
    with pytest.raises(AnnotationError, match="one number of classes"):
        read(tmp_path, OPTIONS)


def test_fractions_of_the_original_are_passed_over_and_told(tmp_path):
    path = golden(tmp_path) / "labels.bin"
    labels = np.frombuffer(path.read_bytes(), dtype="<f4").reshape(2, 8, 7).copy()
    labels[0, 1] = [0.25, 0.5, 1, 1, 0.49, 1, 0]
    labels[1, 2] = [0.25, 0.5, 1, 1, 0.9, 1, 0]
    labels[0, 3, 4] = 1 - 5e-7  # still an object
    path.write_bytes(labels.tobytes())
    options = replace(OPTIONS, tally=Tally())
    data = read(tmp_path, options)
    assert [len(one.items) for one in data.annotations] == [3, 0]
    what = "slots with a J between 0 and 1, boxes beside an object, are passed over"
    assert options.tally.lines() == (f"2 {what} (first: {path}: record 0)",)


def test_class_names(tmp_path):
    golden(tmp_path)
    assert read(tmp_path, replace(OPTIONS, classes=("A", "O"))).classes == ("A", "O")
    (tmp_path / "yolo_proc.json").write_text('{"version": 1, "classes": ["x", "y"]}')
    assert read(tmp_path, OPTIONS).classes == ("x", "y")
    for names in (("A",), ("A", "O", "M")):
        with pytest.raises(AnnotationError, match=rf"the {len(names)} classes .* found labels for 2; set --binary"):
            read(tmp_path, replace(OPTIONS, classes=names))


# ---- bad input


def test_nothing_there_and_nothing_given(tmp_path):
    assert not looks_like(tmp_path)
    with pytest.raises(DataError, match=r"image_set_info.json with images.bin"):
        read(tmp_path, OPTIONS)
    with pytest.raises(ConfigError, match=r"--binary.size, --binary.stride and --binary.anchors"):
        read(GOLDEN, ReadOptions())


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        (replace(LAYOUT, width=9), "--binary.size: expected multiples of the stride 4, found 9 x 8"),
        (replace(LAYOUT, height=0), "--binary.size"),
        (replace(LAYOUT, stride=0), "stride 0"),
        (replace(LAYOUT, anchors=()), "anchors"),
        (replace(LAYOUT, anchors=((1.0, -2.0),)), "anchors"),
        (replace(LAYOUT, value_type="float64"), "--binary.type: expected one of unsigned_byte, float32"),
    ],
)
def test_a_layout_that_is_none(layout, message):
    for use in (lambda: read(GOLDEN, ReadOptions(binary=layout)), lambda: set_info(1, layout, 2)):
        with pytest.raises(ConfigError, match=message):
            use()


@pytest.mark.parametrize(
    ("layout", "option"),
    [
        (replace(LAYOUT, width=12), "--binary.size"),
        (FLOATS, "--binary.type"),
        (replace(LAYOUT, stride=8), "--binary.stride"),  # 28 values a slot, which could be 23 classes
        (replace(LAYOUT, anchors=((2.0, 4.0),) * 3), "--binary.anchors"),
    ],
)
def test_lengths_that_do_not_fit_name_the_option(layout, option):
    with pytest.raises(AnnotationError, match="set .*" + option) as met:
        read(GOLDEN, ReadOptions(binary=layout, classes=("A", "O")))
    assert met.value.reason == ("class" if layout.stride == 8 else "size")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"image_count": "2"}, "value"),
        ({"image_count": -1}, "value"),
        ({"image_count": True}, "value"),
        ({"image_count": None}, "value"),
        ({"image_count": 3}, "size"),
        ({"image_count": 10**30}, "size"),
        ({"image_length_bytes": 191}, "size"),
        ({"label_length_bytes": 225}, "size"),
        ({"label_length_bytes": 160}, "size"),  # room for no class
        ({"image_count": 0, "label_length_bytes": 2**60}, "size"),
    ],
)
def test_a_bad_description(tmp_path, changes, reason):
    path = golden(tmp_path) / "image_set_info.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(AnnotationError) as met:
        read(tmp_path, replace(OPTIONS, problems=Problems(skip=True)))
    assert met.value.reason == reason


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"\xff", b'{"image_count": NaN}'])
def test_no_description(tmp_path, data):
    (golden(tmp_path) / "image_set_info.json").write_bytes(data)
    with pytest.raises(AnnotationError, match=r"image_set_info\.json"):
        read(tmp_path, OPTIONS)


@pytest.mark.parametrize("name", ["images.bin", "labels.bin"])
def test_files_that_are_cut_or_missing_or_outside(tmp_path, name):
    path = golden(tmp_path / "set") / name
    data = path.read_bytes()
    path.write_bytes(data[:-1])
    with pytest.raises(AnnotationError, match=f"{len(data)} bytes, 2 records of .*, found {len(data) - 1}") as met:
        read(tmp_path / "set", OPTIONS)
    assert met.value.reason == "size"
    path.unlink()
    with pytest.raises(AnnotationError, match=f"{name}: expected a file, found none"):
        read(tmp_path / "set", OPTIONS)
    (tmp_path / "outside").write_bytes(data)
    path.symlink_to(tmp_path / "outside")
    with pytest.raises(AnnotationError) as met:
        read(tmp_path / "set", OPTIONS)
    assert met.value.reason == "escape"


@pytest.mark.parametrize(
    ("slot", "field", "value", "reason"),
    [
        (3, 0, np.nan, "not-finite"),
        (5, 2, np.inf, "not-finite"),  # in an empty slot too
        (3, 4, 1.5, "value"),
        (5, 4, -1.0, "value"),
        (3, 0, 1.25, "value"),
        (3, 1, -0.25, "value"),
        (3, 2, 0.0, "degenerate"),
        (3, 3, -1.0, "degenerate"),
        (3, 2, 3.0, "outside"),
        (3, 5, 1.0, "class"),  # two classes
        (3, 6, 0.5, "class"),
    ],
)
def test_a_bad_slot_is_told_or_its_picture_left_out(tmp_path, slot, field, value, reason):
    path = golden(tmp_path) / "labels.bin"
    labels = np.frombuffer(path.read_bytes(), dtype="<f4").reshape(2, 8, 7).copy()
    labels[0, slot, field] = value
    path.write_bytes(labels.tobytes())
    with pytest.raises(AnnotationError) as met:
        read(tmp_path, OPTIONS)
    assert (met.value.reason, met.value.place) == (reason, f"record 0, slot {slot}")
    problems = Problems(skip=True)
    (one,) = read(tmp_path, replace(OPTIONS, problems=problems)).annotations
    assert (one.name, one.record) == ("image_00001.png", 1)
    assert problems.by_reason == {reason: 1}


def test_a_picture_of_another_size_is_refused():
    with pytest.raises(AnnotationError, match=r"a picture of 8 x 8 \(--binary.size\), found 16 x 8") as met:
        label_records([annotation(), annotation(size=(16, 8))], LAYOUT, 2)
    assert met.value.reason == "size"
    with pytest.raises(AnnotationError, match="found 8 x 4"):
        picture_record(BLACK[:4], LAYOUT)


def test_pictures_that_are_not_there(tmp_path):
    with pytest.raises(AnnotationError, match="record 2: expected 192 bytes, found 0"):
        read_picture_record(GOLDEN, 2, LAYOUT)
    with pytest.raises(AnnotationError, match="no such file"):
        read_picture_record(tmp_path, 0, LAYOUT)
    write(tmp_path, [(annotation(), BLACK)], FLOATS)
    for value, reason in ((np.nan, "not-finite"), (200.0, "value"), (-0.1, "value")):
        levels = np.zeros(192, dtype="<f4")
        levels[7] = value
        (tmp_path / "images.bin").write_bytes(levels.tobytes())
        with pytest.raises(AnnotationError, match="record 0") as met:
            read_picture_record(tmp_path, 0, FLOATS)
        assert met.value.reason == reason


def only_the_typed_error(root: Path, rng: random.Random) -> int:
    """Reads 120 mutations of the golden set's files; the number of those that are refused."""
    refused = 0
    for _ in range(120):
        golden(root)
        path = root / rng.choice(["labels.bin", "image_set_info.json"])
        data = bytearray(path.read_bytes())
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(data))
            if rng.random() < 0.3:
                del data[at : at + rng.randint(1, 9)]
            else:
                data[at] = rng.randrange(256)
        path.write_bytes(data)
        try:
            read(root, replace(OPTIONS, problems=Problems(skip=rng.random() < 0.5)))
        except DataError:
            refused += 1
    return refused


def test_mutated_files_raise_the_typed_error_alone(tmp_path):
    assert 40 < only_the_typed_error(tmp_path, random.Random(3)) < 120


def test_the_fuzz_test_would_see_a_key_error(tmp_path, monkeypatch):
    whole = Entry.whole

    def careless(self: Entry, key: str, low: int | None = None) -> int:
        self.fields[key]
        return whole(self, key, low)

    monkeypatch.setattr(Entry, "whole", careless)
    with pytest.raises(KeyError):
        only_the_typed_error(tmp_path, random.Random(3))
