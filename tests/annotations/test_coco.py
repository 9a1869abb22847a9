"""COCO files: ours byte for byte, those of others leniently, and damaged ones by a line."""

import json
import math
import random
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from small_sets import set_files

from yolo_proc.annotations.checked_json import Entry
from yolo_proc.annotations.coco.reader import CocoLayout, looks_like, read
from yolo_proc.annotations.records import Annotation, DataSet, Item, Problems, ReadOptions
from yolo_proc.errors import AnnotationError, ConfigError, DataError

GOLDEN = Path(__file__).parents[1] / "golden" / "coco"
CLASSES = ("A", "Ö", "M")
PLAIN = ReadOptions()

# What `instances_train.json` says, by hand: a box at 0, one at the far edge, half pixels with an outline, a crowd.
ITEMS = (
    Item((0.0, 0.0, 3.0, 2.0), 0),
    Item((12.0, 5.0, 16.0, 8.0), 2),
    Item((4.5, 1.5, 6.5, 6.0), 1, points=((4.5, 1.5), (6.5, 6.0), (4.5, 6.0))),
    Item((7.25, 6.5, 8.75, 8.0), 0, ignore=True),
)
GOLDEN_SET = (Annotation("image_00000.png", 16, 8, ITEMS), Annotation("image_00001.png", 16, 8))


def picture(path: Path, width: int = 16, height: int = 8) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height)).save(path)
    return path


def write(root: Path, splits: dict[str, tuple[Annotation, ...]], classes: tuple[str, ...] = CLASSES) -> None:
    """The set as the layout says, with black pictures."""
    layout = CocoLayout(classes, tuple(splits))
    for split, annotations in splits.items():
        for one in annotations:
            assert layout.label_file(split, one) is None
            picture(root / layout.picture_file(split, one.name), one.width, one.height)
    for path, data in set_files(layout, splits).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)


def document(root: Path, content: object, name: str = "annotations/instances_train.json") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def small(**changes: object) -> dict[str, object]:
    """Two pictures, two classes, an object each."""
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": 16, "height": 8}, {"id": 2, "file_name": "b.png"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 4, 4]},
            {"id": 2, "image_id": 2, "category_id": 2, "bbox": [1, 1, 4, 4]},
        ],
        "categories": [{"id": 1, "name": "A"}, {"id": 2, "name": "O"}],
    }
    return {**content, **changes}


def small_set(root: Path, content: object = None) -> Path:
    for name in ("a.png", "b.png"):
        picture(root / "train" / name)
    return document(root, content or small())


def said(data: DataSet) -> dict[str, list[tuple[str, tuple[Item, ...]]]]:
    return {split: [(one.name, one.items) for one in part] for split, part in data.splits.items()}


# ---- ours


def test_the_golden_file_is_written_byte_for_byte():
    files = set_files(CocoLayout(CLASSES, ("train",)), {"train": GOLDEN_SET})
    assert {str(path): data for path, data in files.items()} == {
        "annotations/instances_train.json": (GOLDEN / "instances_train.json").read_bytes()
    }


def test_the_golden_file_is_read(tmp_path):
    for one in GOLDEN_SET:
        picture(tmp_path / "train" / one.name, 16, 8)
    (tmp_path / "annotations").mkdir()
    shutil.copy(GOLDEN / "instances_train.json", tmp_path / "annotations")
    assert looks_like(tmp_path)
    data = read(tmp_path, PLAIN)
    assert (data.format, data.classes, data.notes) == ("coco", CLASSES, ())
    expected = tuple(replace(one, path=tmp_path / "train" / one.name) for one in GOLDEN_SET)
    assert data.splits == {"train": expected}


@pytest.mark.parametrize("classes", [(), ("A",)])
def test_an_empty_set_comes_back_empty(tmp_path, classes):
    write(tmp_path, {"train": (), "val": ()}, classes)
    with pytest.raises(DataError, match=r"expected pictures of train, found none: .*instances_train.json lists none"):
        read(tmp_path, PLAIN)
    document(tmp_path, {"version": 1, "classes": list(classes)}, "yolo_proc.json")  # ours may be empty
    data = read(tmp_path, PLAIN)
    assert (data.classes, data.splits) == (classes, {"train": (), "val": ()})


SIDES = st.integers(1, 40)


@st.composite
def annotations(draw: st.DrawFn, name: str) -> Annotation:
    width, height = draw(SIDES), draw(SIDES)

    def side(length: int) -> st.SearchStrategy[tuple[float, float]]:
        ends = st.floats(0, length, allow_subnormal=False)
        return st.tuples(ends, ends).map(sorted).filter(lambda pair: pair[1] - pair[0] > 1e-3)

    point = st.tuples(st.floats(-9, 99), st.floats(-9, 99))
    items = []
    for _ in range(draw(st.integers(0, 3))):
        (x0, x1), (y0, y1) = draw(side(width)), draw(side(height))
        ignore = draw(st.booleans())
        points = () if ignore else tuple(draw(st.one_of(st.just([]), st.lists(point, min_size=3, max_size=6))))
        items.append(Item((x0, y0, x1, y1), draw(st.integers(0, 2)), points=points, ignore=ignore))
    return Annotation(name, width, height, tuple(items))


@settings(max_examples=25)
@given(train=annotations("ä b.png"), val=annotations("c.JPG"))
def test_what_is_written_comes_back(tmp_path_factory, train, val):
    root = tmp_path_factory.mktemp("set")
    write(root, {"train": (train,), "val": (val,)})
    data = read(root, PLAIN)
    assert (data.classes, list(data.splits)) == (CLASSES, ["train", "val"])
    for before, (after,) in zip((train, val), data.splits.values(), strict=True):
        assert (after.name, after.width, after.height) == (before.name, before.width, before.height)
        rest = {"xyxy": (), "points": ()}
        assert [replace(item, **rest) for item in after.items] == [replace(item, **rest) for item in before.items]
        for left, right in zip(after.items, before.items, strict=True):
            assert left.xyxy == pytest.approx(right.xyxy, abs=1e-12)
            assert np.array(left.points) == pytest.approx(np.array(right.points), rel=5e-9)


def test_what_cannot_be_said_is_told_and_items_of_other_kinds_are_not_written():
    box, corners = (1.0, 1.0, 5.0, 5.0), ((1.0, 1.0), (5.0, 1.0), (5.0, 5.0))
    layout = CocoLayout(CLASSES, ("train",))
    full = Item(box, None, confidence=0.5, rotation=3.0, anchor=1, visible=0.5, in_frame=0.9, points=corners)
    assert layout.losses(full) == ("confidence", "rotation", "visible", "in_frame", "anchor", "class")
    assert layout.losses(Item(box, 1, points=corners, confidence=1.0, visible=1.0)) == ()
    assert layout.losses(Item(box, 1, points=corners, ignore=True)) == ("outline",)
    assert layout.losses(Item(box, 1, points=corners[:2])) == ("outline",)
    kinds = [Item(box, 0, kind, points=corners) for kind in ("polygon", "mask", "point", "text")]
    assert [layout.losses(item) for item in kinds] == [("polygon",), ("mask",), ("point",), ("text",)]
    (data,) = set_files(layout, {"train": (Annotation("a.png", 8, 8, (*kinds, full)),)}).values()
    assert [record["bbox"] for record in json.loads(data)["annotations"]] == [[1, 1, 4, 4]]


def test_area_is_of_the_outline_whichever_way_it_runs():
    hexagon = ((2.0, 0.0), (4.0, 0.0), (6.0, 3.0), (4.0, 6.0), (2.0, 6.0), (0.0, 3.0))
    items = [Item((0, 0, 6, 6), 0, points=hexagon), Item((0, 0, 6, 6), 0, points=hexagon[::-1]), Item((0, 0, 6, 6), 0)]
    (data,) = set_files(CocoLayout(CLASSES, ("train",)), {"train": (Annotation("a.png", 8, 8, tuple(items)),)}).values()
    assert [record["area"] for record in json.loads(data)["annotations"]] == [24, 24, 36]


@pytest.mark.parametrize("name", ["", "..", "a/b.png", "/a.png", "a\\b.png", "a.txt"])
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises(DataError, match="picture"):
        CocoLayout(CLASSES, ("train",)).picture_file("train", name)


# ---- by others


def test_a_file_by_somebody_else(tmp_path):
    for name in ("sub/b.png", "c.png", "a.png"):
        picture(tmp_path / "images" / name)
    (tmp_path / "annotations").mkdir()
    shutil.copy(GOLDEN / "foreign.json", tmp_path / "annotations" / "instances_default.json")
    options = ReadOptions()
    data = read(tmp_path, options)
    assert data.classes == ("person", "cat", "toothbrush")  # ids 1, 17, 90
    assert said(data) == {
        "train": [
            ("a.png", ()),
            ("b.png", (Item((1, 2, 4, 6), 2), Item((0, 0, 16, 8), 0, confidence=0.25))),
            (
                "c.png",
                (
                    Item((2.5, 1, 5, 6), 1, points=((2.5, 1), (5, 1), (5, 6))),
                    Item((8, 1, 12, 6), 1),
                    Item((0, 0, 4, 4), 0, ignore=True),
                    Item((4, 4, 8, 8), 0),
                ),
            ),
        ]
    }
    assert data.notes == ()
    assert options.tally.counts == {
        "objects have keypoints, which are not kept": 1,
        "objects have masks (RLE), which are not kept; their boxes are": 1,
        "objects have outlines of several pieces, which are not kept; their boxes are": 1,
        "regions to ignore have masks (RLE) of other shapes than boxes; their boxes are kept": 1,
    }


@pytest.mark.parametrize(
    "folder", ["train2017", "train", "images/train2017", "images/train", "images", ".", "annotations"]
)
def test_places_of_pictures(tmp_path, folder):
    for name in ("a.png", "b.png"):
        picture(tmp_path / folder / name)
    document(tmp_path, small(), "annotations/instances_train2017.json")
    assert [one.path for one in read(tmp_path, PLAIN).annotations] == [
        tmp_path / folder / "a.png",
        tmp_path / folder / "b.png",
    ]


def test_the_places_are_told_where_a_picture_is_missing(tmp_path):
    document(tmp_path, small(), "annotations/instances_train2017.json")
    with pytest.raises(AnnotationError, match=re.escape("train2017/, train/, images/train2017/, images/train/")) as met:
        read(tmp_path, PLAIN)
    assert met.value.reason == "missing-image"


@pytest.mark.parametrize(
    ("files", "splits"),
    [
        (["annotations/instances_train2017.json", "annotations/instances_val2017.json"], ["train", "val"]),
        (["annotations/instances_train.json", "annotations/captions_train.json"], ["train"]),
        (["annotations/train.json", "annotations/validation.json", "annotations/test.json"], ["train", "val"]),
        (["annotations/instances_minival2014.json"], ["train", "val"]),
        (["annotations/interval.json"], ["train"]),
        (["result.json"], ["train"]),
        (["train/_annotations.coco.json", "valid/_annotations.coco.json"], ["train", "val"]),
    ],
)
def test_names_of_files(tmp_path, files, splits):
    for name in ("a.png", "b.png"):
        picture(tmp_path / "images" / name)
    for name in files:
        document(tmp_path, small(), name)
    assert looks_like(tmp_path)
    options = ReadOptions()
    data = read(tmp_path, options)
    assert list(data.splits) == splits
    assert len(data.splits[splits[-1]]) == 2
    assert [note for note in data.notes if "captions" in note] == [note for note in data.notes if "not read" in note]
    tests = {what: count for what, count in options.tally.counts.items() if "of test" in what}
    assert list(tests.values()) == [2] * ("annotations/test.json" in files)


@pytest.mark.parametrize(
    "files", [[], ["annotations/train_a.json", "annotations/train_b.json"], ["annotations/test.json"]]
)
def test_no_file_or_too_many(tmp_path, files):
    for name in files:
        document(tmp_path, small(), name)
    with pytest.raises(DataError, match=f"found {', '.join(files) or 'none'}"):
        read(tmp_path, PLAIN)


def test_other_formats_do_not_look_like_it(tmp_path):
    assert not looks_like(tmp_path / "nowhere")
    document(tmp_path, {"items": [], "usage": "nominal", "widgets": {}}, "annotations/instances_1.json")
    document(tmp_path, {"images": [], "version": 1}, "yolo_proc.json")
    (tmp_path / "x.json").mkdir()
    assert not looks_like(tmp_path)


def test_a_byte_order_mark_and_windows_line_ends(tmp_path):
    path = small_set(tmp_path)
    plain = read(tmp_path, PLAIN)
    text = json.dumps(small(), indent=1).replace("\n", "\r\n")
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert looks_like(tmp_path)
    assert read(tmp_path, PLAIN) == plain


def test_pictures_of_one_name_in_two_folders_get_the_folders_names(tmp_path):
    images = [{"id": 1, "file_name": "x/a.png"}, {"id": 2, "file_name": "y\\a.png"}, {"id": 3, "file_name": "y/b.png"}]
    for name in ("x/a.png", "y/a.png", "y/b.png"):
        picture(tmp_path / "images" / name)
    document(tmp_path, small(images=images, annotations=[]))
    assert [one.name for one in read(tmp_path, PLAIN).annotations] == ["b.png", "x_a.png", "y_a.png"]
    document(tmp_path, small(images=[images[0], {"id": 2, "file_name": "x/./a.png"}], annotations=[]))
    with pytest.raises(AnnotationError) as met:
        read(tmp_path, PLAIN)
    assert met.value.reason == "duplicate-name"


def test_a_turned_picture_counts_upright(tmp_path):
    """Its file is 16 x 8 and shown 8 x 16: boxes of a tool that did not turn it lie elsewhere, so it is an error."""
    path = small_set(tmp_path, small(annotations=[]))
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (16, 8)).save(tmp_path / "train" / "a.png", exif=exif)
    with pytest.raises(AnnotationError, match=r"images\[0\].*8 x 16, found 16 x 8") as met:
        read(tmp_path, PLAIN)
    assert met.value.reason == "size"
    images = [{"id": 1, "file_name": "a.png", "width": 8, "height": 16}]
    box = {"image_id": 1, "category_id": 1, "bbox": [1, 9, 7, 7]}
    path.write_text(json.dumps(small(images=images, annotations=[box])))
    (one,) = read(tmp_path, PLAIN).annotations
    assert (one.width, one.height, one.items[0].xyxy) == (8, 16, (1, 9, 8, 16))


# ---- class names


def test_names_say_which_classes_a_file_without_the_first_means(tmp_path):
    small_set(tmp_path, small(categories=[{"id": 7, "name": "O"}, {"id": 9, "name": "M"}], annotations=[]))
    assert read(tmp_path, PLAIN).classes == ("O", "M")
    content = json.loads((tmp_path / "annotations/instances_train.json").read_text())
    content["annotations"] = [{"image_id": 1, "category_id": 9, "bbox": [0, 0, 2, 2]}]
    document(tmp_path, content)
    document(tmp_path, {"version": 1, "classes": ["A", "O", "M"]}, "yolo_proc.json")
    data = read(tmp_path, PLAIN)
    assert (data.classes, data.annotations[0].items[0].category) == (("A", "O", "M"), 2)
    renamed = read(tmp_path, ReadOptions(classes=("x", "y")))  # other names: by order
    assert (renamed.classes, renamed.annotations[0].items[0].category) == (("x", "y"), 1)
    with pytest.raises(ConfigError, match="2 class names"):
        read(tmp_path, ReadOptions(classes=("x",)))


def test_categories_of_two_files_are_joined_by_id(tmp_path):
    small_set(tmp_path, small(categories=[{"id": 2, "name": "O"}], annotations=[]))
    val = [{"image_id": 2, "category_id": 5, "bbox": [0, 0, 2, 2]}]
    document(
        tmp_path,
        small(categories=[{"id": 5, "name": "A"}, {"id": 2, "name": "O"}], annotations=val),
        "annotations/instances_val.json",
    )
    for name in ("a.png", "b.png"):
        picture(tmp_path / "val" / name)
    data = read(tmp_path, PLAIN)
    assert (data.classes, data.splits["val"][1].items[0].category) == (("O", "A"), 1)
    document(tmp_path, small(), "annotations/instances_val.json")
    document(tmp_path, small(categories=[{"id": 2, "name": "other"}], annotations=[]))
    with pytest.raises(AnnotationError, match="category 2 to be 'other'"):
        read(tmp_path, PLAIN)


# ---- bad input


def box(**changes: object) -> dict[str, object]:
    """What is changed of the first annotation."""
    return {"annotations": changes}


NAN = math.nan
PICTURE_ERRORS = [
    (box(bbox=[1, 1, 4, "4"]), "value", "annotations[0].bbox"),
    (box(bbox="1 1 4 4"), "value", "annotations[0].bbox"),
    (box(bbox=None), "value", "annotations[0].bbox"),
    (box(bbox=[1, 1, 4]), "value", "annotations[0].bbox"),
    (box(bbox=[1, 1, 4, True]), "value", "annotations[0].bbox"),
    (box(bbox=[1, 1, 4, NAN]), "not-finite", "annotations[0].bbox"),
    (box(bbox=[1, 1, math.inf, 4]), "not-finite", "annotations[0].bbox"),
    (box(bbox=[1, 1, 10**400, 4]), "not-finite", "annotations[0].bbox"),
    (box(bbox=[1e308, 1, 1e308, 4]), "not-finite", "annotations[0].bbox"),
    (box(bbox=[1, 1, 4, 0]), "degenerate", "annotations[0].bbox"),
    (box(bbox=[5, 5, -4, -4]), "swapped", "annotations[0].bbox"),
    (box(bbox=[13, 1, 4.5, 4]), "outside", "annotations[0].bbox"),
    (box(bbox=[-2, 1, 4, 4]), "outside", "annotations[0].bbox"),
    (box(category_id=3), "class", "annotations[0].category_id"),
    (box(category_id="01"), "class", "annotations[0].category_id"),
    (box(category_id=1.5), "value", "annotations[0].category_id"),
    (box(category_id=True), "value", "annotations[0].category_id"),
    (box(bbox=[1, 1, 4, 4, 30]), "value", "annotations[0].bbox"),
    (box(bbox=[]), "value", "annotations[0].bbox"),
    (box(bbox=[0, 0, 0, 0]), "degenerate", "annotations[0].bbox"),
    (box(score=[0.1, 0.9]), "value", "annotations[0].score"),
    (box(bbox=None, segmentation={"size": [8, 16], "counts": "x"}), "value", "annotations[0].segmentation"),
    (box(bbox=None, segmentation={"size": [16, 8], "counts": [0, 128]}), "size", "annotations[0].segmentation"),
    (box(iscrowd=2), "value", "annotations[0].iscrowd"),
    (box(score="0.5"), "value", "annotations[0].score"),
    (box(score=NAN), "not-finite", "annotations[0].score"),
    (box(score=1.5), "value", "annotations[0].score"),
    (box(segmentation="text"), "value", "annotations[0].segmentation"),
    (box(segmentation=[[0, 0, 1]]), "value", "annotations[0].segmentation"),
    (box(segmentation=[[0, 0, 1, 1, 2, NAN]]), "not-finite", "annotations[0].segmentation"),
    (box(segmentation=[0, 0, 1, 1, 2]), "value", "annotations[0].segmentation"),
    ({"images": {"file_name": "none.png"}}, "missing-image", "images[0].file_name"),
    ({"images": {"file_name": ""}}, "value", "images[0].file_name"),
    ({"images": {"file_name": "."}}, "missing-image", "images[0].file_name"),
    ({"images": {"file_name": 7}}, "value", "images[0].file_name"),
    ({"images": {"file_name": "a\0.png"}}, "missing-image", "images[0].file_name"),
    ({"images": {"file_name": "\ud800" + "a" * 300}}, "missing-image", "images[0].file_name"),
    ({"images": {"file_name": "../train/none.png"}}, "escape", "images[0].file_name"),
    ({"images": {"file_name": "..\\train\\none.png"}}, "escape", "images[0].file_name"),
    ({"images": {"file_name": "/etc/hostname"}}, "escape", "images[0].file_name"),
    ({"images": {"file_name": "C:\\none.png"}}, "escape", "images[0].file_name"),
    ({"images": {"file_name": "http://127.0.0.1:9/none.png"}}, "missing-image", "images[0].file_name"),
    ({"images": {"width": 17}}, "size", "images[0].width"),
    ({"images": {"width": "16.5"}}, "value", "images[0].width"),
    ({"images": {"height": -1}}, "value", "images[0].height"),
]


@pytest.mark.parametrize(("changes", "reason", "place"), PICTURE_ERRORS)
def test_a_bad_picture_is_told_or_left_out(tmp_path, changes, reason, place):
    content = small()
    for key, fields in changes.items():
        content[key][0].update(fields)
    path = small_set(tmp_path, content)
    with pytest.raises(AnnotationError) as met:
        read(tmp_path, PLAIN)
    assert (met.value.reason, met.value.path, met.value.place) == (reason, path, place)
    problems = Problems(skip=True)
    data = read(tmp_path, ReadOptions(problems=problems))
    assert [one.name for one in data.annotations] == ["b.png"]
    assert problems.by_reason == {reason: 1}


def test_an_annotation_of_no_image(tmp_path):
    content = small()
    content["annotations"].append({**content["annotations"][0], "id": 3, "image_id": 99})
    small_set(tmp_path, content)
    with pytest.raises(AnnotationError, match=r"annotations\[2\].image_id: .*, found 99"):
        read(tmp_path, PLAIN)
    problems = Problems(skip=True)
    assert len(read(tmp_path, ReadOptions(problems=problems)).annotations) == 2
    assert len(problems.errors) == 1


def without(key: str) -> dict[str, object]:
    content = small()
    del content[key]
    return content


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([], "syntax"),
        (without("images"), "syntax"),
        (without("annotations"), "syntax"),
        (without("categories"), "syntax"),
        (small(images={}), "syntax"),
        (small(images=[None]), "syntax"),
        (small(annotations=[[]]), "syntax"),
        (small(images=[{"file_name": "a.png"}]), "value"),
        (small(images=[{"id": 1.5, "file_name": "a.png"}]), "value"),
        (small(images=[{"id": 1, "file_name": "a.png"}, {"id": 1, "file_name": "b.png"}]), "value"),
        (small(annotations=[{"image_id": [1], "category_id": 1, "bbox": [1, 1, 4, 4]}]), "value"),
        (small(annotations=[{"category_id": 1, "bbox": [1, 1, 4, 4]}]), "value"),
        (small(categories=[{"id": 1, "name": "A"}, {"id": 1, "name": "O"}]), "class"),
        (small(categories=[{"id": 1, "name": "A"}, {"id": 2, "name": "A"}]), "class"),
        ({**small(), "IMAGES": []}, "value"),
        (small(annotations=[{"image_id": 1, "category_id": 1, "bbox": [1, 1, 4, 4], "Bbox": [1, 1, 4, 5]}]), "value"),
        (small(categories=[{"id": 1}]), "value"),
        (small(categories=[{"id": True, "name": "A"}]), "value"),
    ],
)
def test_damage_of_the_whole_file_is_never_skipped(tmp_path, content, reason):
    path = small_set(tmp_path)
    path.write_text(json.dumps(content))
    with pytest.raises(AnnotationError) as met:
        read(tmp_path, ReadOptions(problems=Problems(skip=True)))
    assert met.value.reason == reason


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (b"", "line 1, column 1"),
        (b'{"images":\n[,]}', "line 2, column 2"),
        (b'{"images": "\xff"}', ""),
        (b"[" * 100_000, ""),
        (b'{"images": ' + b"1" * 5000 + b"}", ""),
    ],
)
def test_no_json(tmp_path, data, place):
    small_set(tmp_path).write_bytes(data)
    with pytest.raises(AnnotationError) as met:
        read(tmp_path, PLAIN)
    assert (met.value.reason, met.value.place) == ("syntax", place)


def test_links_that_lead_out_are_refused(tmp_path):
    root = tmp_path / "set"
    small_set(root)
    outside = picture(tmp_path / "outside" / "a.png")
    (root / "train" / "a.png").unlink()
    (root / "train" / "a.png").symlink_to(outside)
    with pytest.raises(AnnotationError, match="leads out") as met:
        read(root, PLAIN)
    assert met.value.reason == "escape"
    (root / "train" / "a.png").unlink()
    (root / "train" / "a.png").symlink_to("b.png")  # inside is fine
    assert len(read(root, PLAIN).annotations) == 2
    file = root / "annotations" / "instances_train.json"
    file.rename(tmp_path / "outside.json")
    file.symlink_to(tmp_path / "outside.json")
    with pytest.raises(AnnotationError, match="a link to") as met:
        read(root, PLAIN)
    assert met.value.reason == "escape"


def mutated(data: bytes, rng: random.Random) -> bytes:
    """A few bytes changed, cut out or doubled; or a value replaced by one of another type."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(changed))
        kind = rng.randrange(4)
        if kind == 0:
            changed[at] = rng.randrange(256)
        elif kind == 1:
            del changed[at : at + rng.randint(1, 20)]
        elif kind == 2:
            changed[at:at] = changed[at : at + rng.randint(1, 20)]
        else:
            values = list(re.finditer(rb'(?<=:)(\[[^\[\]]*\]|"[^"]*"|[-\d.]+)', bytes(changed)))
            word = rng.choice([b"null", b"NaN", b"-1e999", b"{}", b"[]", b'"x"', b"true", b"1" * 400, b"[[[]]]"])
            if values:
                start, end = rng.choice(values).span()
                changed[start:end] = word
    return bytes(changed)


def only_the_typed_error(root: Path, path: Path, data: bytes, rng: random.Random) -> int:
    """Reads 150 mutations; the number of those that are refused."""
    refused = 0
    for round_ in range(150):
        path.write_bytes(mutated(data, rng))
        problems = Problems(skip=round_ % 2 == 0)
        try:
            read(root, ReadOptions(problems=problems))
        except DataError:
            refused += 1
    return refused


def fuzzed_set(root: Path) -> tuple[Path, bytes]:
    write(root, {"train": GOLDEN_SET})
    path = root / "annotations" / "instances_train.json"
    return path, path.read_bytes()


def test_mutated_files_raise_the_typed_error_alone(tmp_path):
    path, data = fuzzed_set(tmp_path)
    assert 50 < only_the_typed_error(tmp_path, path, data, random.Random(7)) < 150


def test_the_fuzz_test_would_see_a_key_error(tmp_path, monkeypatch):
    path, data = fuzzed_set(tmp_path)
    identity = Entry.identity

    def careless(self: Entry, key: str) -> int | str:
        self.fields[key]
        return identity(self, key)

    monkeypatch.setattr(Entry, "identity", careless)
    with pytest.raises(KeyError):
        only_the_typed_error(tmp_path, path, data, random.Random(7))


# ---- other people's readers


def test_pycocotools_reads_ours(tmp_path):
    coco = pytest.importorskip("pycocotools.coco").COCO
    write(tmp_path, {"train": GOLDEN_SET})
    theirs = coco(str(tmp_path / "annotations" / "instances_train.json"))
    assert [theirs.cats[number]["name"] for number in theirs.getCatIds()] == list(CLASSES)
    records = theirs.loadAnns(theirs.getAnnIds(imgIds=[1], iscrowd=None))
    for record, item in zip(records, ITEMS, strict=True):
        x, y, w, h = record["bbox"]
        assert (x, y, x + w, y + h) == item.xyxy
        assert (record["category_id"] - 1, bool(record["iscrowd"])) == (item.category, item.ignore)
    assert theirs.getAnnIds(imgIds=[2]) == []
    outline, crowd = (theirs.annToMask(record) for record in records[2:])
    assert outline[5, 5] == 1
    assert 2 <= outline.sum() <= 9
    expected = np.zeros((8, 16), dtype=np.uint8)
    expected[6:8, 7:9] = 1  # the pixels that 7.25 to 8.75 and 6.5 to 8 touch
    np.testing.assert_array_equal(crowd, expected)


@pytest.mark.parametrize(
    "xyxy", [(0, 0, 16, 8), (0, 0, 0.5, 0.5), (15.5, 7.5, 16, 8), (3, 0, 9, 8), (0, 2, 16, 3), (15.9, 0, 16, 8)]
)
def test_the_mask_of_a_region_is_its_pixels(xyxy):
    mask = pytest.importorskip("pycocotools.mask")
    one = Annotation("a.png", 16, 8, (Item(xyxy, 0, ignore=True),))
    (data,) = set_files(CocoLayout(("A",), ("train",)), {"train": (one,)}).values()
    rle = json.loads(data)["annotations"][0]["segmentation"]
    expected = np.zeros((8, 16), dtype=np.uint8)
    expected[int(xyxy[1]) : math.ceil(xyxy[3]), int(xyxy[0]) : math.ceil(xyxy[2])] = 1
    np.testing.assert_array_equal(mask.decode(mask.frPyObjects(rle, 8, 16)), expected)


@pytest.mark.filterwarnings("ignore")
def test_supervision_reads_ours(tmp_path):
    supervision = pytest.importorskip("supervision")
    write(tmp_path, {"train": GOLDEN_SET})
    paths = (str(tmp_path / "train"), str(tmp_path / "annotations" / "instances_train.json"))
    for masks in (False, True):
        theirs = supervision.DetectionDataset.from_coco(*paths, force_masks=masks)
        assert theirs.classes == list(CLASSES)
        found = {Path(path).name: detections for path, _, detections in theirs}
        assert len(found["image_00001.png"]) == 0
        detections = found["image_00000.png"]
        np.testing.assert_allclose(detections.xyxy, [item.xyxy for item in ITEMS], atol=1e-6)
        assert detections.class_id.tolist() == [item.category for item in ITEMS]
