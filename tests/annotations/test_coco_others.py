"""COCO files as other programs write them: what they mean is read, and what is not kept is counted."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_sets import put_picture

from yolo_proc.annotations.coco.reader import read
from yolo_proc.annotations.formats import find_format
from yolo_proc.annotations.polygons import box_rle, read_rle
from yolo_proc.annotations.records import DataSet, ReadOptions, Tally
from yolo_proc.errors import AnnotationError, DataError

NUT, BOLT = {"id": 1, "name": "nut"}, {"id": 2, "name": "bolt"}
IMAGE = {"id": 1, "file_name": "a.jpg", "width": 64, "height": 48}
BOX = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [8, 6, 32, 24], "iscrowd": 0}
FOUND = (8, 6, 40, 30)


def put_json(
    root: Path,
    *,
    images: Any = (IMAGE,),
    annotations: Any = (BOX,),
    categories: Any = (NUT, BOLT),
    name: str = "annotations/instances_train.json",
    picture: str | None = "train/a.jpg",
) -> Path:
    """A set of one picture of 64 x 48 pixels."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    if picture is not None:
        put_picture(root / picture)
    return root


def read_told(root: Path, **options: Any) -> tuple[DataSet, dict[str, int]]:
    tally = Tally()
    found = read(root, ReadOptions(tally=tally, **options))
    return found, dict(tally.counts)


def the_item(data: DataSet) -> Any:
    ((item,),) = [one.items for one in data.annotations]
    return item


# ---- boxes and masks


def mask_of(xyxy: tuple[int, int, int, int], width: int = 64, height: int = 48) -> Any:
    return box_rle(tuple(map(float, xyxy)), width, height)  # type: ignore[arg-type]


def compressed(mask: Any) -> Any:
    tool = pytest.importorskip("pycocotools.mask")
    found = tool.frPyObjects(mask, *mask["size"])
    return {"size": mask["size"], "counts": found["counts"].decode()}


KEPT = "objects have masks (RLE), which are not kept; their boxes are"
NO_BOX = "objects have no bbox; that of their outline is taken"


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("crowd", [{"iscrowd": 0}, {}, {"iscrowd": None}, {"iscrowd": False}, {"IsCrowd": "0"}])
def test_a_mask_is_no_crowd(tmp_path: Path, crowd: dict[str, Any], packed: bool) -> None:
    mask = mask_of(FOUND)
    one = {**{key: value for key, value in BOX.items() if key != "iscrowd"}, **crowd}
    put_json(tmp_path, annotations=[{**one, "segmentation": compressed(mask) if packed else mask}])
    data, told = read_told(tmp_path)
    assert (the_item(data).xyxy, the_item(data).ignore) == (FOUND, False)
    assert told == {KEPT: 1}


@pytest.mark.parametrize("crowd", [{"iscrowd": 1}, {"iscrowd": True}, {"ISCROWD": 1}, {"iscrowd": "1"}])
def test_a_crowd_is_one(tmp_path: Path, crowd: dict[str, Any]) -> None:
    one = {**{key: value for key, value in BOX.items() if key != "iscrowd"}, **crowd}
    put_json(tmp_path, annotations=[{**one, "segmentation": mask_of(FOUND)}])
    data, told = read_told(tmp_path)
    assert (the_item(data).xyxy, the_item(data).ignore, told) == (FOUND, True, {})
    corner = {"size": [48, 64], "counts": [0, 1, 48 * 64 - 2, 1]}  # two corners of its box alone
    put_json(tmp_path, annotations=[{**one, "segmentation": corner}])
    assert list(read_told(tmp_path)[1]) == [
        "regions to ignore have masks (RLE) of other shapes than boxes; their boxes are kept"
    ]


@pytest.mark.parametrize(
    "shape",
    [
        {"segmentation": [[8, 6, 40, 6, 40, 30, 8, 30]]},
        {"segmentation": [8, 6, 40, 6, 40, 30, 8, 30]},
        {"segmentation": [[8, 6, 20, 6, 20, 30], [30, 30, 40, 30, 40, 10]]},
        {"segmentation": mask_of(FOUND)},
        {"segmentation": [mask_of((8, 6, 10, 10)), mask_of((30, 20, 40, 30))]},
        {"segmentation": mask_of(FOUND), "iscrowd": 1},
    ],
)
@pytest.mark.parametrize("bbox", ["none", None, [], [0, 0, 0, 0], [0.0, 0, 0, 0]])
def test_a_box_of_the_outline(tmp_path: Path, shape: dict[str, Any], bbox: Any) -> None:
    one = {**BOX, **shape, "bbox": bbox}
    if bbox == "none":
        del one["bbox"]
    data, told = read_told(put_json(tmp_path, annotations=[one]))
    assert the_item(data).xyxy == FOUND
    assert told[NO_BOX] == 1


@given(st.integers(1, 9), st.integers(1, 9), st.randoms(use_true_random=False))
def test_bounds_and_area_of_a_mask_are_those_of_its_pixels(width: int, height: int, random: Any) -> None:
    share = random.choice([0.0, 0.1, 0.5, 1.0])
    pixels = np.array([[random.random() < share for _ in range(width)] for _ in range(height)])
    counts, last = [0], False
    for value in pixels.T.ravel().tolist():  # column by column
        counts += [0] * (value != last)
        counts[-1] += 1
        last = value
    rle = {"size": [height, width], "counts": counts}
    ys, xs = np.nonzero(pixels)
    expected = (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1) if len(xs) else None
    for one in (rle, compressed(rle)):
        found = read_rle(one)
        assert (found.width, found.height, found.area, found.bounds) == (width, height, pixels.sum(), expected)


@pytest.mark.parametrize(
    "mask",
    [
        None,
        {},
        {"size": [48], "counts": [1]},
        {"size": [48, 64], "counts": [1, 2]},
        {"size": [48, 64], "counts": [-1, 48 * 64 + 1]},
        {"size": [48, 64], "counts": [[48 * 64]]},
        {"size": [48, 64], "counts": ["x"]},
        {"size": [48, 64], "counts": {}},
        {"size": [0, 64], "counts": []},
        {"size": [10**9, 64], "counts": [1]},
        {"size": ["48", 64], "counts": [48 * 64]},
        {"size": [48, 64], "counts": "\u0000"},
        {"size": [48, 64], "counts": "o" * 99},
        {"size": [48, 64], "counts": "é"},
        {"size": [48, 64], "counts": [float("nan")]},
        {"size": [48, 64], "counts": [1e308, 1e308]},
    ],
)
def test_no_mask(mask: Any) -> None:
    with pytest.raises(ValueError, match=r"no `size`|a size|counts"):
        read_rle(mask)


def test_boxes_over_the_border(tmp_path: Path) -> None:
    one = {**BOX, "bbox": [-12, 6, 42, 24], "segmentation": [[-12, 6, 30, 6, 30, 30, -12, 30]]}
    put_json(tmp_path, annotations=[one, {**BOX, "id": 2, "bbox": [70, 0, 9, 9]}])
    with pytest.raises(AnnotationError, match=r"annotations\[0\].bbox: .*--clip clips such boxes"):
        read(tmp_path, ReadOptions())
    data, told = read_told(tmp_path, clip=True)
    assert the_item(data).xyxy == (0, 6, 30, 30)
    assert sorted(the_item(data).points) == [(0, 6), (0, 30), (30, 6), (30, 30)]
    assert told == {
        "boxes reach over the border of their pictures and are clipped": 1,
        "boxes lie outside of their pictures and are left out": 1,
    }


def test_corners_in_place_of_sizes_are_named(tmp_path: Path) -> None:
    put_json(tmp_path, annotations=[{**BOX, "bbox": [40, 6, 60, 30]}])
    with pytest.raises(AnnotationError, match=r"found \[40, 6, 60, 30\], .* would be inside as x0, y0, x1, y1"):
        read(tmp_path, ReadOptions())


def test_what_an_annotation_says_besides_is_counted(tmp_path: Path) -> None:
    many = [
        {"keypoints": [9, 9, 2], "num_keypoints": 1},
        {"keypoints": [0, 0, 0], "num_keypoints": 0},
        {"attributes": {"rotation": 30.0, "occluded": False}},
        {"attributes": {"rotation": 0.0}},
        {"ignore": 1},
        {"score": [0.5]},
        {"segmentation": [[8, 6, 40, 30]]},
        {"segmentation": [[]]},
        {"segmentation": []},
        {"segmentation": {"size": [48, 64], "counts": ""}},
    ]
    put_json(tmp_path, annotations=[{**BOX, "id": number, **one} for number, one in enumerate(many)])
    data, told = read_told(tmp_path)
    (one,) = data.annotations
    assert [item.xyxy for item in one.items] == [FOUND] * len(many)
    assert [item.ignore for item in one.items] == ["ignore" in said for said in many]
    assert [item.confidence for item in one.items] == [0.5 if "score" in said else None for said in many]
    assert told == {
        "objects have keypoints, which are not kept": 1,
        "objects are marked as turned; their boxes are read as they stand": 1,
        "annotations say `ignore`, and are read as regions to ignore": 1,
        "outlines have pieces of fewer than three points, which are left out": 1,
    }


# ---- ids and keys


@pytest.mark.parametrize(
    ("image_id", "named"), [(1.0, 1), (1, 1.0), ("1", 1), (1, "1"), ("a7f", "a7f"), ("007", "007"), (-1, "-1"), (0, 0)]
)
@pytest.mark.parametrize("category_id", [1, 1.0, "1", "x", 0])
def test_ids_are_numbers_or_texts(tmp_path: Path, image_id: Any, named: Any, category_id: Any) -> None:
    put_json(
        tmp_path,
        images=[{**IMAGE, "id": image_id, "width": "64", "height": 48.0}],
        annotations=[{**BOX, "image_id": named, "category_id": category_id}],
        categories=[{"id": category_id, "name": "nut"}],
    )
    data, told = read_told(tmp_path)
    assert (data.classes, the_item(data).xyxy, the_item(data).category, told) == (("nut",), FOUND, 0, {})


def test_keys_count_without_regard_to_case(tmp_path: Path) -> None:
    path = tmp_path / "Annotations/instances_train.JSON"
    path.parent.mkdir()
    put_picture(tmp_path / "train/a.jpg")
    text = json.dumps({"Images": [IMAGE], "Annotations": [{**BOX, "iscrowd": 1}], "Categories": [NUT]})
    path.write_text(text.replace("iscrowd", "IsCrowd").replace("bbox", "Bbox").replace("category_id", "Category_ID"))
    assert find_format(tmp_path) == "coco"
    data, told = read_told(tmp_path)
    assert (the_item(data).xyxy, the_item(data).ignore, told) == (FOUND, True, {})


def test_what_is_there_twice(tmp_path: Path) -> None:
    other = {**BOX, "bbox": [44, 20, 16, 24]}
    put_json(tmp_path, images=[IMAGE, IMAGE], annotations=[BOX, BOX, other])
    data, told = read_told(tmp_path)
    assert [item.xyxy for item in data.annotations[0].items] == [FOUND, (44, 20, 60, 44)]
    assert told == {
        "images are listed twice, word for word, and read once": 1,
        "annotations are there twice, word for word, and are read once": 1,
        "annotations have the id of another, and all are read": 1,
    }
    put_json(tmp_path, images=[IMAGE, {**IMAGE, "id": 2, "file_name": "train/a.jpg"}])
    with pytest.raises(AnnotationError, match=r"images\[1\].file_name: expected every picture once"):
        read(tmp_path, ReadOptions())


# ---- categories


def test_a_category_without_objects_that_is_called_like_another_is_left_out(tmp_path: Path) -> None:
    group = {"id": 0, "name": "nut", "supercategory": "none"}
    put_json(tmp_path, categories=[group, NUT, BOLT])
    data, told = read_told(tmp_path)
    assert (data.classes, the_item(data).category) == (("nut", "bolt"), 0)
    assert told == {"categories have the name of another and no objects, and are left out": 1}
    data, told = read_told(tmp_path, classes=("nut", "bolt"))
    assert (data.classes, the_item(data).category) == (("nut", "bolt"), 0)
    data, told = read_told(tmp_path, classes=("group", "nuts", "bolts"))  # a name for each id, as ever
    assert (data.classes, the_item(data).category, told) == (("group", "nuts", "bolts"), 1, {})
    put_json(tmp_path, categories=[group, NUT, BOLT], annotations=[])
    assert read_told(tmp_path)[0].classes == ("nut", "bolt")
    put_json(tmp_path, categories=[group, NUT, BOLT], annotations=[BOX, {**BOX, "id": 2, "category_id": 0}])
    with pytest.raises(
        AnnotationError, match=r"found 'nut' for the ids 0 and 1, both with objects; rename .*--classes"
    ):
        read(tmp_path, ReadOptions())
    assert read_told(tmp_path, classes=("a", "b", "c"))[0].classes == ("a", "b", "c")


# ---- where things are

MOVED = "pictures are named with an address or another folder, and are those of the same name here"


@pytest.mark.parametrize(
    ("name", "picture", "moved"),
    [
        ("a.jpg", "data/a.jpg", 0),
        ("train/a.jpg", "train/a.jpg", 0),
        ("sub\\a.jpg", "train/sub/a.jpg", 0),
        ("/home/me/set/images/a.jpg", "train/a.jpg", 1),
        ("C:\\data\\a.jpg", "images/a.jpg", 1),
        ("../../data/upload/1/a.jpg", "images/a.jpg", 1),
        ("https://example.com/x/a.jpg?token=1#f", "train/a.jpg", 1),
        ("s3://bucket/x/a%20b.jpg", "images/a b.jpg", 1),
        ("a%20b.jpg", "train/a b.jpg", 1),
        ("100%.jpg", "train/100%.jpg", 0),
        ("http://[broken/a.jpg", "train/a.jpg", 1),
        ("old/sub/a.jpg", "train/sub/a.jpg", 1),
    ],
)
def test_what_pictures_are_called(tmp_path: Path, name: str, picture: str, moved: int) -> None:
    put_json(tmp_path, images=[{**IMAGE, "file_name": name}], picture=picture)
    data, told = read_told(tmp_path)
    assert [one.path for one in data.annotations] == [tmp_path / picture]
    assert told == ({MOVED: moved} if moved else {})


@pytest.mark.parametrize("name", ["../a.jpg", "/etc/hostname", "..", "../../../../etc/passwd", "C:\\x", "//x/y"])
def test_names_that_lead_out_name_nothing_outside(tmp_path: Path, name: str) -> None:
    root = put_json(tmp_path / "set", images=[{**IMAGE, "file_name": name}], picture="train/b.jpg")
    put_picture(tmp_path / "a.jpg")
    with pytest.raises(AnnotationError) as caught:
        read(root, ReadOptions())
    assert caught.value.reason == "escape"


@pytest.mark.parametrize(
    ("name", "picture"),
    [
        ("labels.json", "data/a.jpg"),
        ("train/labels.json", "train/data/a.jpg"),
        ("result.json", "images/a.jpg"),
        ("annotations/instances_default.json", "images/default/a.jpg"),
        ("annotations/train.json", "images/training/a.jpg"),
        ("train/_annotations.coco.json", "train/a.jpg"),
    ],
)
def test_layouts_of_others(tmp_path: Path, name: str, picture: str) -> None:
    put_json(tmp_path, name=name, picture=picture)
    assert find_format(tmp_path) == "coco"
    assert [one.path for one in read(tmp_path, ReadOptions()).splits["train"]] == [tmp_path / picture]


def test_a_file_whose_first_key_is_another(tmp_path: Path) -> None:
    put_json(tmp_path)
    path = tmp_path / "annotations/instances_train.json"
    path.rename(tmp_path / "annotations/all.json")
    path = tmp_path / "annotations/all.json"
    path.write_text(path.read_text().replace("{", '{"contributor": "x", ', 1))
    assert find_format(tmp_path) == "coco"
    assert len(read(tmp_path, ReadOptions()).annotations) == 1


def test_pictures_that_are_not_listed_are_counted(tmp_path: Path) -> None:
    put_json(tmp_path)
    for name in ("train/b.jpg", "train/c.gif", "other/d.png", "test/e.jpg", "test/f.jpg", ".cache/g.jpg"):
        path = put_picture(tmp_path / name) if not name.endswith("gif") else tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    put_json(tmp_path, name="annotations/captions_val.json", picture=None)
    data, told = read_told(tmp_path)
    assert [one.name for one in data.annotations] == ["a.jpg"]
    assert told == {
        "pictures belong to no split and are not read": 2,
        "pictures of test are not read, because only train and val are": 2,
    }
    line = f"of a kind that is not read: .gif 1 (first: {tmp_path}/train/c.gif); convert it to PNG or JPEG"
    assert f"{tmp_path}: 1 file is a picture {line}" in data.notes
    assert data.notes[-1].endswith("neither the file of train nor that of val: annotations/captions_val.json")


def test_the_test_file_says_how_many_pictures_it_has(tmp_path: Path) -> None:
    put_json(tmp_path)
    many = [{"id": number, "file_name": f"t{number}.jpg"} for number in range(3)]
    for one in many[:2]:
        put_picture(tmp_path / "test2017" / str(one["file_name"]))
    put_json(tmp_path, images=many, name="annotations/image_info_test2017.json", picture=None)
    put_json(tmp_path, images=many, name="annotations/instances_test2017.json", picture=None)
    tally = Tally()
    read(tmp_path, ReadOptions(tally=tally))
    what = "pictures of test are not read, because only train and val are"
    assert tally.lines() == (f"3 {what} (first: {tmp_path}/test2017/t0.jpg)",)


def test_a_folder_link_does_not_count_twice(tmp_path: Path) -> None:
    put_json(tmp_path, picture="real/a.jpg")
    (tmp_path / "train").symlink_to("real")
    assert read_told(tmp_path)[1] == {}


# ---- what is none


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ({"images": [{"labels": []}], "project_name": "x"}, "no annotations and no categories: Hasty"),
        ({"annotations": [{"caption": "x"}], "images": []}, "no categories: COCO captions"),
        ({"info": {}, "licenses": []}, "no images and no annotations and no categories: the keys 'info', 'licenses'"),
        ([{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}], "COCO results"),
        ([{"image": "a.jpg", "annotations": [{"label": "nut", "coordinates": {}}]}], "CreateML"),
        ([], "a list"),
    ],
)
def test_other_json_is_named(tmp_path: Path, content: Any, found: str) -> None:
    put_json(tmp_path)
    (tmp_path / "annotations/instances_train.json").write_text(json.dumps(content))
    with pytest.raises(AnnotationError) as caught:
        read(tmp_path, ReadOptions())
    assert f"found {found}" in str(caught.value)


def test_panoptic_segments_have_no_box(tmp_path: Path) -> None:
    put_json(tmp_path, annotations=[{"image_id": 1, "category_id": 1, "segments_info": []}])
    with pytest.raises(AnnotationError, match="found `segments_info`, as panoptic files have"):
        read(tmp_path, ReadOptions())


def test_a_part_without_pictures_is_refused(tmp_path: Path) -> None:
    put_json(tmp_path)
    put_json(tmp_path, images=[], annotations=[], name="annotations/instances_val.json", picture=None)
    with pytest.raises(DataError, match="expected pictures of val, found none"):
        read(tmp_path, ReadOptions())


def test_a_picture_of_one_name_in_two_folders_is_counted(tmp_path: Path) -> None:
    images = [{"id": number, "file_name": f"{folder}/a.jpg"} for number, folder in enumerate("xy")]
    for folder in "xy":
        (tmp_path / "train" / folder).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "train" / folder / "a.jpg"), np.zeros((4, 4, 3), np.uint8))
    data, told = read_told(put_json(tmp_path, images=images, annotations=[], picture=None))
    assert [one.name for one in data.annotations] == ["x_a.jpg", "y_a.jpg"]
    assert told == {"pictures have the name of one in another folder, and are renamed": 2}


@pytest.mark.parametrize("name", ["a.gif", "a.HEIC", "sub/a.avif"])
def test_a_picture_of_a_kind_that_is_not_read_is_named(name: str, tmp_path: Path) -> None:
    put_json(tmp_path, images=[{**IMAGE, "file_name": name}], picture=None)
    (tmp_path / "train/sub").mkdir(parents=True)
    (tmp_path / "train" / name).write_bytes(b"GIF89a")
    with pytest.raises(AnnotationError, match=r"convert it to PNG or JPEG") as caught:
        read(tmp_path, ReadOptions())
    assert caught.value.reason == "picture"
    assert "images[0].file_name: expected a picture (" in str(caught.value)


# ---- units, modes, keys that stand twice, masks beside a box


@pytest.mark.parametrize(
    "said",
    [
        {"bbox": [0.125, 0.125, 0.5, 0.5]},
        {"bbox": [0, 0, 1, 1]},
        {"bbox": [-0.01, 0.5, 0.5, 0.52]},
        {"bbox": None, "segmentation": [[0.1, 0.1, 0.5, 0.1, 0.5, 0.9]]},
        {"bbox": [8, 6, 32, 24], "segmentation": [[0.1, 0.1, 0.5, 0.1, 0.5, 0.9]]},
    ],
)
def test_shares_of_the_picture_are_no_pixels(said: dict[str, Any], tmp_path: Path) -> None:
    other = {**BOX, "id": 2, "bbox": said["bbox"]} if said["bbox"] else {**BOX, **said, "id": 2}
    put_json(tmp_path, annotations=[{**BOX, **said}, other])
    with pytest.raises(AnnotationError, match="they look like shares of width and height; multiply them by") as caught:
        read(tmp_path, ReadOptions())
    assert caught.value.reason == "outside"
    assert caught.value.place == f"annotations[0].{'segmentation' if 'segmentation' in said else 'bbox'}"
    put_json(tmp_path, annotations=[{**BOX, **said}, {**BOX, "id": 3, "segmentation": [[8, 6, 9, 6, 9, 9]]}])
    assert len(read(tmp_path, ReadOptions(clip=True)).annotations[0].items) == 2  # small ones beside larger ones


@pytest.mark.parametrize("mode", [0, "0", 0.0, "XYXY_ABS", "BoxMode.XYXY_ABS"])
def test_the_box_mode_of_detectron2_counts(mode: Any, tmp_path: Path) -> None:
    put_json(tmp_path, annotations=[{**BOX, "bbox": [8, 6, 40, 30], "bbox_mode": mode}])
    assert the_item(read(tmp_path, ReadOptions())).xyxy == FOUND


@pytest.mark.parametrize("mode", [1, "XYWH_ABS"])
def test_the_box_mode_of_coco(mode: Any, tmp_path: Path) -> None:
    put_json(tmp_path, annotations=[{**BOX, "bbox_mode": mode}])
    assert the_item(read(tmp_path, ReadOptions())).xyxy == FOUND


@pytest.mark.parametrize(
    ("mode", "shown"),
    [
        (2, "2 (XYXY_REL)"),
        (3, "3 (XYWH_REL)"),
        ("XYWHA_ABS", "(XYWHA_ABS)"),
        (9, "9"),
        (None, "None"),
        ([], "[]"),
        (True, "True"),
    ],
)
def test_other_box_modes_are_refused_by_name(mode: Any, shown: str, tmp_path: Path) -> None:
    put_json(tmp_path, annotations=[{**BOX, "bbox_mode": mode}])
    with pytest.raises(AnnotationError, match=r"bbox_mode: expected 0 \(XYXY_ABS\) or 1 \(XYWH_ABS\)") as caught:
        read(tmp_path, ReadOptions())
    assert str(caught.value).endswith(shown)


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('"bbox": [8, 6, 32, 24]', '"bbox": [8, 6, 32, 24], "bbox": [0, 0, 4, 4]', "bbox"),
        ('"file_name": "a.jpg"', '"file_name": "a.jpg", "file_name": "b.jpg"', "file_name"),
        ('"categories": [', '"categories": [], "categories": [', "categories"),
        ('"name": "nut"', '"name": "bolt", "name": "nut"', "name"),
        ('"annotations": [', '"annotations": [{}], "annotations": [', "annotations"),
    ],
)
def test_a_key_that_stands_twice_is_refused(old: str, new: str, key: str, tmp_path: Path) -> None:
    path = put_json(tmp_path) / "annotations/instances_train.json"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(AnnotationError, match="expected every key once in an object, found two in") as caught:
        read(tmp_path, ReadOptions())
    assert (caught.value.place, caught.value.reason) == (key, "syntax")


def test_a_key_that_stands_twice_with_one_value_loses_nothing(tmp_path: Path) -> None:
    path = put_json(tmp_path) / "annotations/instances_train.json"
    path.write_text(path.read_text().replace('"iscrowd": 0', '"iscrowd": 0, "iscrowd": 0'))
    assert the_item(read(tmp_path, ReadOptions())).xyxy == FOUND


@pytest.mark.parametrize("counts", [[0.5, 3071.5], [True, 3071], [0, 3071], "never decoded", ["0", "3072"]])
@pytest.mark.parametrize("crowd", [0, 1])
def test_a_wrong_mask_beside_a_box_is_refused(counts: Any, crowd: int, tmp_path: Path) -> None:
    mask = {"size": [48, 64], "counts": counts}
    put_json(tmp_path, annotations=[{**BOX, "iscrowd": crowd, "segmentation": mask}])
    with pytest.raises(AnnotationError, match="expected an RLE mask, found") as caught:
        read(tmp_path, ReadOptions())
    assert caught.value.place == "annotations[0].segmentation"


@pytest.mark.parametrize("is_link", [True, False])
def test_one_file_that_is_found_in_two_places_is_one(is_link: bool, tmp_path: Path) -> None:
    """As on file systems that ignore case, where `Annotations` is `annotations`."""
    put_json(tmp_path)
    file = tmp_path / "annotations/instances_train.json"
    if is_link:
        (tmp_path / "Annotations").symlink_to("annotations")
    else:
        (tmp_path / "Annotations").mkdir()
        (tmp_path / "Annotations/instances_train.json").hardlink_to(file)
    data = read(tmp_path, ReadOptions())
    assert (the_item(data).xyxy, data.notes) == (FOUND, ())


def test_two_files_of_one_part_are_refused_as_ever(tmp_path: Path) -> None:
    put_json(tmp_path)
    put_json(tmp_path, name="Annotations/instances_train.json", picture=None)
    with pytest.raises(DataError, match=r"found annotations/instances_train\.json, Annotations/instances_train\.json"):
        read(tmp_path, ReadOptions())


def test_an_empty_category_of_the_name_of_another_is_named(tmp_path: Path) -> None:
    put_json(tmp_path, categories=[{"id": 0, "name": "nut"}, NUT, BOLT])
    tally = Tally()
    read(tmp_path, ReadOptions(tally=tally))
    (line,) = tally.lines()
    assert line.startswith("1 category has the name of another and no objects, and is left out (first: ")
    assert line.endswith("category 0 'nut')")


def test_names_of_pictures_are_freed(tmp_path: Path) -> None:
    names = ["x_a.png", "x/a.png", "y/a.png"]
    images = [{"id": number, "file_name": name} for number, name in enumerate(names)]
    for name in names:
        put_picture(tmp_path / "train" / name)
    data = read(put_json(tmp_path, images=images, annotations=[], picture=None), ReadOptions())
    assert {one.path.relative_to(tmp_path / "train").as_posix(): one.name for one in data.annotations if one.path} == {
        "x_a.png": "x_a.png",
        "x/a.png": "_x_a.png",
        "y/a.png": "y_a.png",
    }
