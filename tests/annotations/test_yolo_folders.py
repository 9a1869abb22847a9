"""Where YOLO sets of other tools have their pictures, labels and names, and what is told of the rest."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from small_sets import fuzz, put_picture, put_text

from yolo_proc.annotations.formats import find_format, read_data_set
from yolo_proc.annotations.records import DataSet, Problems, ReadOptions
from yolo_proc.annotations.yolo import reader as yolo_txt
from yolo_proc.cli.main import main
from yolo_proc.errors import AnnotationError

LINE = "0 0.375 0.375 0.5 0.5\n"
B1 = (8.0, 6.0, 40.0, 30.0)  # of 64 x 48 pixels
TEST = "pictures of test are not read, because only train and val are"
NOWHERE = "pictures belong to no split and are not read"
ONE_TEST = "1 picture of test is not read, because only train and val are"
ONE_NOWHERE = "1 picture belongs to no split and is not read"


def make(root: Path, files: Mapping[str, str | bytes | None]) -> Path:
    """Pictures where the content is None; a label file beside the name, or in `labels`, where it begins with `+`."""
    for name, content in files.items():
        plain = name.removeprefix("+")
        if content is None:
            put_picture(root / plain)
            if name != plain:
                head, images, tail = f"/{plain}".rpartition("/images/")
                place = f"{head}/labels/{tail}" if images else plain
                put_text(root / Path(place.strip("/")).with_suffix(".txt"), LINE)
        else:
            put_text(root / plain, content)
    return root


def read(root: Path, **options: Any) -> DataSet:
    return read_data_set(root, ReadOptions(**options))


def pictures(data: DataSet) -> dict[str, list[str]]:
    """The places of the pictures by split; every one has its box, or none where its name begins with `empty`."""
    for one in data.annotations:
        assert [item.xyxy for item in one.items] == ([] if one.name.startswith("empty") else [B1]), one.name
    return {
        split: [one.path.relative_to(data.root).as_posix() for one in part if one.path is not None]
        for split, part in data.splits.items()
    }


def notes(data: DataSet) -> list[str]:
    """The lines, without the root, and without that on names that are made up."""
    return [note.replace(f"{data.root}/", "") for note in data.notes if "no class names found" not in note]


def refused(root: Path, reason: str, **options: Any) -> str:
    with pytest.raises(AnnotationError) as caught:
        read(root, **options)
    assert caught.value.reason == reason, str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(f"{root}/", "")


# Folders


FOLDERS: list[tuple[dict[str, str | None], dict[str, list[str]], list[str]]] = [
    (
        dict.fromkeys(["+images/train/a.png", "+images/val/b.png", "+images/test/c.png"]),
        {"train": ["images/train/a.png"], "val": ["images/val/b.png"]},
        [f"{ONE_TEST} (first: images/test/c.png)"],
    ),
    (
        dict.fromkeys(["+images/Train/a.png", "+images/validation/b.png", "+images/testing/x/c.png"]),
        {"train": ["images/Train/a.png"], "val": ["images/validation/b.png"]},
        [f"{ONE_TEST} (first: images/testing/x/c.png)"],
    ),
    (
        dict.fromkeys(["+images/train2017/a.png", "+images/val2017/b.png", "+images/test-dev/c.png"]),
        {"train": ["images/train2017/a.png"], "val": ["images/val2017/b.png"]},
        [f"{ONE_TEST} (first: images/test-dev/c.png)"],
    ),
    (
        dict.fromkeys(["+images/train/x/a.png", "+images/dev/b.png", "+images/valid/c.png", "+images/d.png"]),
        {"train": ["images/train/x/a.png"], "val": ["images/dev/b.png", "images/valid/c.png"]},
        [f"{ONE_NOWHERE} (first: images/d.png)"],
    ),
    (
        dict.fromkeys(["+images/train/a.png", "+images/trainval/b.png", "+images/hard/c.png", "d.png"]),
        {"train": ["images/train/a.png"]},
        [f"3 {NOWHERE} (first: d.png)"],
    ),
    (
        dict.fromkeys(["+images/trainval/a.png", "+images/test/b.png", "+images/c.png"]),
        {"train": ["images/trainval/a.png", "images/c.png"]},
        [f"{ONE_TEST} (first: images/test/b.png)"],
    ),
    (
        dict.fromkeys(["+images/val/a.png", "+images/b.png"]),
        {"train": ["images/b.png"], "val": ["images/val/a.png"]},
        [],
    ),
    (dict.fromkeys(["+images/val/a.png"]), {"train": [], "val": ["images/val/a.png"]}, []),
    (dict.fromkeys(["+images/test/a.png"]), {"train": ["images/test/a.png"]}, []),
    (dict.fromkeys(["+images/cats/a.png", "+images/b.png"]), {"train": ["images/cats/a.png", "images/b.png"]}, []),
    (
        dict.fromkeys(["+train/images/a.png", "+valid/images/b.png", "+test/images/c.png"]),
        {"train": ["train/images/a.png"], "val": ["valid/images/b.png"]},
        [f"{ONE_TEST} (first: test/images/c.png)"],
    ),
    (
        dict.fromkeys(["+train/a.png", "+val/b.png", "+test/c.png", "other/d.png"]),
        {"train": ["train/a.png"], "val": ["val/b.png"]},
        [f"{ONE_NOWHERE} (first: other/d.png)", f"{ONE_TEST} (first: test/c.png)"],
    ),
    (
        dict.fromkeys(["+a.png", "+b.PNG", "empty.png"]),
        {"train": ["a.png", "b.PNG", "empty.png"]},
        ["1 of 3 pictures of train has no label file and is taken as showing no object (first: empty.png)"],
    ),
]


@pytest.mark.parametrize(("files", "right", "lines"), FOLDERS)
def test_folders_are_known_by_their_names(
    files: dict[str, str | None], right: dict[str, list[str]], lines: list[str], tmp_path: Path
) -> None:
    make(tmp_path, files)
    assert find_format(tmp_path) == "yolo"
    data = read(tmp_path)
    assert pictures(data) == right
    assert notes(data) == lines


def test_pictures_without_labels_anywhere_are_no_yolo_set(tmp_path: Path) -> None:
    make(tmp_path, {"train/a.png": None, "b.png": None, "b.txt": "a picture of a nut on a table", "c.txt": LINE})
    assert not yolo_txt.looks_like(tmp_path)


def test_images_alone_are_read_where_the_user_says_the_format(tmp_path: Path) -> None:
    make(tmp_path, {"images/train/empty.png": None})
    assert not yolo_txt.looks_like(tmp_path)
    data = read_data_set(tmp_path, ReadOptions(), "yolo")
    assert pictures(data) == {"train": ["images/train/empty.png"]}
    expected = "no picture of train has a label file (labels/train/empty.txt would be the first)"
    assert expected in notes(data)[0]


@pytest.mark.parametrize(
    ("test", "lines"),
    [
        ("images/test", [f"2 {TEST} (first: images/test/c.png)"]),
        ("test.txt", [f"{ONE_NOWHERE} (first: images/test/d.png)", f"{ONE_TEST} (first: images/test/c.png)"]),
        ("[images/test, images/train]", [f"2 {TEST} (first: images/test/c.png)"]),
        ("images/val", [f"2 {NOWHERE} (first: images/test/c.png)"]),
        ("''", [f"2 {NOWHERE} (first: images/test/c.png)"]),
        (
            "images/gone",
            ["data.yaml: `test` names images/gone, which is not there", f"2 {NOWHERE} (first: images/test/c.png)"],
        ),
    ],
)
def test_the_test_split_of_data_yaml(test: str, lines: list[str], tmp_path: Path) -> None:
    files = dict.fromkeys(["+images/train/a.png", "+images/val/b.png", "+images/test/c.png", "+images/test/d.png"])
    text = f"train: images/train\nval: images/val\ntest: {test}\nnames: [nut]\n"
    make(tmp_path, {**files, "test.txt": "./images/test/c.png\ngone.png\n", "data.yaml": text})
    data = read(tmp_path)
    assert pictures(data) == {"train": ["images/train/a.png"], "val": ["images/val/b.png"]}
    assert notes(data) == lines


@pytest.mark.parametrize("key", ["val", "valid", "validation"])
def test_data_yaml_may_spell_val_out(key: str, tmp_path: Path) -> None:
    files = dict.fromkeys(["+images/a/a.png", "+images/b/b.png"])
    make(tmp_path, {**files, "data.yaml": f"train: images/a\n{key}: images/b\nnames: [nut]\n"})
    assert pictures(read(tmp_path)) == {"train": ["images/a/a.png"], "val": ["images/b/b.png"]}


def test_links_to_the_same_pictures_are_not_pictures_of_no_split(tmp_path: Path) -> None:
    make(tmp_path, {"+store/images/a.png": None, "data.yaml": "train: linked/images\nnames: [nut]\n"})
    (tmp_path / "linked").symlink_to(tmp_path / "store")
    data = read(tmp_path)
    assert (pictures(data), notes(data)) == ({"train": ["linked/images/a.png"]}, [])


# Label files that are not there, or have another name


def test_pictures_without_a_label_file_are_counted_and_an_empty_one_is_what_it_says(tmp_path: Path) -> None:
    files = dict.fromkeys(["+partA/a0.png", "+partA/a1.png", "partB/images/empty1.png", "partB/images/empty2.png"])
    beside = {"partB/images/empty1.txt": LINE, "partA/empty3.txt": ""}
    text = "train: [partA, partB/images]\nval: partA\nnames: [nut]\n"
    make(tmp_path, {**files, "partA/empty3.png": None, **beside, "data.yaml": text})
    data = read(tmp_path)
    pictures(data)
    assert notes(data) == [
        f"1 label file lies beside its picture and is not read; it belongs into {tmp_path.name}/partB/labels "
        "(first: partB/images/empty1.txt)".replace(f"{tmp_path.name}/", ""),
        "2 of 5 pictures of train have no label file and are taken as showing no object "
        "(first: partB/images/empty1.png)",
        "3 pictures of val are pictures of train too (first: partA/a0.png)",
    ]


def test_inspect_and_convert_tell_missing_label_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = dict.fromkeys(["+images/train/a.png", "images/train/b.png"])
    root = make(tmp_path / "set", {**files, "data.yaml": "train: images/train\nnames: [nut]\n"})
    line = "1 of 2 pictures of train has no label file and is taken as showing no object"
    line += f" (first: {root}/images/train/b.png)"
    assert main(["inspect", str(root), "--out", str(tmp_path / "pictures")]) == 0
    assert line in capsys.readouterr().out
    assert main(["convert", str(root), "--to", "voc", "--out", str(tmp_path / "out")]) == 0
    assert line in capsys.readouterr().err


@pytest.mark.parametrize(
    ("files", "reason", "line"),
    [
        (
            {"images/train/a.png": None, "labels/train/a.png.txt": LINE},
            "missing-image",
            "labels/train/a.png.txt: expected a label file to be called after its picture without the suffix, a.txt",
        ),
        (
            {"images/train/a.png": None, "labels/train/a.txt": LINE, "labels/train/a.TXT": ""},
            "duplicate-name",
            "labels/train/a.TXT: expected one label file for a picture, found a.txt beside it; delete one",
        ),
        (
            {"+images/train/a.png": None, "labels/train/b.jpg.txt": LINE},
            "missing-image",
            "labels/train/b.jpg.txt: expected a picture images/train/b.jpg with one of the suffixes",
        ),
    ],
)
def test_a_label_file_without_a_picture_names_the_mend(
    files: dict[str, str | None], reason: str, line: str, tmp_path: Path
) -> None:
    make(tmp_path, {**files, "data.yaml": "train: images/train\nnames: [nut]\n"})
    assert line in refused(tmp_path, reason)


def test_labels_beside_pictures_that_are_gone_are_no_other_text(tmp_path: Path) -> None:
    make(
        tmp_path, {"+a.png": None, "README.txt": "Exported by a tool.\n", "train.txt": "a.png\n", "classes.txt": "nut"}
    )
    assert pictures(read(tmp_path)) == {"train": ["a.png"]}
    put_text(tmp_path / "b.txt", LINE)
    assert "b.txt: expected a picture b with" in refused(tmp_path, "missing-image").replace(f"{tmp_path}/", "")


def test_suffixes_in_capitals(tmp_path: Path) -> None:
    files = {
        "images/train/A.PNG": None,
        "labels/train/A.TXT": LINE,
        "images/train/b.Jpg": None,
        "labels/train/b.Txt": LINE,
    }
    data = read(make(tmp_path, {**files, "data.yaml": "train: images/train\nnames: [nut]\n"}))
    assert pictures(data) == {"train": ["images/train/A.PNG", "images/train/b.Jpg"]}


def test_pictures_of_kinds_that_are_not_read_are_counted(tmp_path: Path) -> None:
    files = {"+images/train/a.png": None, "images/train/b.heic": b"", "labels/train/b.txt": LINE, "images/c.gif": b""}
    data = read(make(tmp_path, {**files, "data.yaml": "train: images/train\nnames: [nut]\n"}))
    assert pictures(data) == {"train": ["images/train/a.png"]}
    assert len(data.notes) == 1
    assert "2 files are pictures of a kind that is not read: .gif 1, .heic 1" in data.notes[0]


# Splits without pictures


@pytest.mark.parametrize(
    ("files", "text", "line"),
    [
        (
            {"+images/train/a.png": None},
            "train: labels/train",
            "none: that is the folder of the label files, train names that of the pictures (images/train)",
        ),
        (
            {"+images/a.png": None, "images/val/notes.md": b""},
            "train: images\nval: images/val",
            "val: expected pictures",
        ),
        (
            {"images/train/a.heic": b""},
            "train: images/train",
            "1 of a kind that is not read (first: images/train/a.heic)",
        ),
        (
            {"+images/a.png": None, "list.txt": "\n"},
            "train: images\nval: list.txt",
            "val: expected pictures in list.txt",
        ),
    ],
)
def test_a_split_without_pictures_is_refused(files: dict[str, Any], text: str, line: str, tmp_path: Path) -> None:
    make(tmp_path, {**files, "data.yaml": f"{text}\nnames: [nut]\n"})
    assert line in refused(tmp_path, "value")
    assert main(["convert", str(tmp_path), "--to", "coco", "--out", str(tmp_path.parent / "out")]) == 2


def test_a_split_of_label_files_is_refused_where_bad_pictures_are_skipped_too(tmp_path: Path) -> None:
    make(tmp_path, {"+images/train/a.png": None, "data.yaml": "train: labels/train\nnames: [nut]\n"})
    refused(tmp_path, "value", problems=Problems(skip=True))


def test_an_empty_split_of_ours_is_fine(tmp_path: Path) -> None:
    files = {"+images/train/a.png": None, "images/val/.keep": b"", "yolo_proc.json": '{"version":1,"classes":["nut"]}'}
    data = read(make(tmp_path, {**files, "data.yaml": "train: images/train\nval: images/val\nnames: [nut]\n"}))
    assert pictures(data) == {"train": ["images/train/a.png"], "val": []}


# Darknet, CVAT


def test_cvat_and_darknet_lists(tmp_path: Path) -> None:
    data_file = "classes = 2\ntrain = data/train.txt\nvalid = data/valid.txt\n# the names\nnames = data/obj.names\n"
    files = dict.fromkeys(["+obj_train_data/a.PNG", "+obj_valid_data/b.png", "+obj_train_data/c.png"])
    lists = {"train.txt": "data/obj_train_data/a.PNG\r\n", "valid.txt": "data/obj_valid_data/b.png\n"}
    root = make(tmp_path, {**files, **lists, "obj.data": data_file, "obj.names": "nut\nbolt\n"})
    assert find_format(root) == "yolo"
    data = read(root)
    assert pictures(data) == {"train": ["obj_train_data/a.PNG"], "val": ["obj_valid_data/b.png"]}
    assert data.classes == ("nut", "bolt")
    assert notes(data) == [f"{ONE_NOWHERE} (first: obj_train_data/c.png)"]
    (root / "valid.txt").unlink()
    assert notes(read(root))[0] == "obj.data: `valid` names data/valid.txt, which is not there"
    (root / "train.txt").unlink()
    assert pictures(read(root))["train"] == ["obj_train_data/a.PNG", "obj_train_data/c.png"]


def test_a_darknet_list_for_training_and_validation_alike_is_no_split(tmp_path: Path) -> None:
    text = "train = data/train.txt\nvalid = data/train.txt\ntest = data/train.txt\n"
    make(tmp_path, {"+obj/a.png": None, "train.txt": "data/obj/a.png\n", "obj.data": text})
    data = read(tmp_path)
    line = "obj.data: `valid` names the pictures of `train`: they are read as train, and there are none of val"
    assert (pictures(data), notes(data)) == ({"train": ["obj/a.png"]}, [line])


@pytest.mark.parametrize("place", ["data/obj.data", "cfg/obj.data", "cfg/voc.data", "data"])
def test_darknets_own_folders(place: str, tmp_path: Path) -> None:
    text = "classes= 1\ntrain  = data/train.txt\nvalid  = data/test.txt\nnames = data/obj.names\nbackup = backup"
    files = dict.fromkeys(["+data/obj/a.png", "+data/obj/b.png"])
    lists = {"data/train.txt": "data/obj/a.png", "data/test.txt": "/home/me/darknet/build/x64/data/obj/b.png\n"}
    at = place if place != "data" else "data/obj.data"
    make(tmp_path, {**files, **lists, at: text, "data/obj.names": "nut\n"})
    data = read(tmp_path / "data" if place == "data" else tmp_path)
    assert [one.name for one in data.splits["train"]] == ["a.png"]
    assert [one.name for one in data.splits["val"]] == ["b.png"]
    assert (data.classes, [item.xyxy for one in data.annotations for item in one.items]) == (("nut",), [B1, B1])
    assert read(tmp_path / at if place.startswith("data/") else tmp_path).classes == ("nut",)


@pytest.mark.parametrize(
    ("text", "names", "reason", "line"),
    [
        ("classes=1\ntrain=data/gone.txt\nnames=data/obj.names", "nut", "value", "train: expected a list of pictures"),
        (
            "classes=2\ntrain=data/train.txt\nnames=data/obj.names",
            "nut",
            "class",
            "classes: expected 1, as obj.names has",
        ),
        (
            "train=data/train.txt\nnames=data/obj.names",
            "nut\n\nbolt",
            "class",
            "obj.names: line 2: expected a class name",
        ),
        ("train=../out.txt\nnames=data/obj.names", "nut", "escape", "train: expected a path inside"),
        ("classes=99999\ntrain=data/train.txt", "nut", "value", "classes: expected a number up to"),
    ],
)
def test_bad_darknet_files(text: str, names: str, reason: str, line: str, tmp_path: Path) -> None:
    lists = {"train.txt": "data/obj/a.png\n", "obj.data": text, "obj.names": names}
    make(tmp_path, {"+obj/a.png": None, **lists})
    assert line in refused(tmp_path, reason)


def test_bad_lines_of_a_list_are_named_or_skipped(tmp_path: Path) -> None:
    lists = {"train.txt": "data/obj/a.png\ndata/obj/b.png\n", "obj.data": "train=data/train.txt"}
    make(tmp_path, {"+obj/a.png": None, **lists})
    assert "train.txt: line 2: expected a picture, found no file 'data/obj/b.png'" in refused(tmp_path, "missing-image")
    problems = Problems(skip=True)
    assert pictures(read(tmp_path, problems=problems)) == {"train": ["obj/a.png"]}
    assert problems.by_reason == {"missing-image": 1}


def test_damaged_descriptions_and_lists_give_the_typed_error_alone(tmp_path: Path) -> None:
    files = dict.fromkeys(["+obj/a.png", "+obj/b.png", "+images/train/c.png"])
    darknet = "classes = 2\ntrain = data/train.txt\nvalid = data/val.txt\ntest = data/val.txt\nnames = data/obj.names\n"
    lists = {"train.txt": "data/obj/a.png\n", "val.txt": "data/obj/b.png\n", "obj.names": "nut\nbolt\n"}
    root = make(tmp_path / "darknet", {**files, **lists, "obj.data": darknet})
    refusals = fuzz([root / name for name in ("obj.data", *lists)], lambda: read(root), rounds=110)
    assert 10 < refusals < 108
    text = "train: images/train\ntest: [obj, C:/x]\nkpt_shape: [2, 3]\nnames: [a, b]\n"
    root = make(
        tmp_path / "described", {**files, "dataset.yaml": text, "labels/train/c.txt": f"{LINE[:-1]} 0 0 1 1 1 2\n"}
    )
    refusals = fuzz([root / "dataset.yaml", root / "labels/train/c.txt"], lambda: read(root), rounds=110)
    assert 10 < refusals < 108


# Names


@pytest.mark.parametrize(
    "place", ["classes.txt", "labels/classes.txt", "labels/train/classes.txt", "images/train/obj.names"]
)
def test_the_list_of_a_label_program_is_used(place: str, tmp_path: Path) -> None:
    make(tmp_path, {"+images/train/a.png": None, place: "\ufeffnut\r\nbolt\r\n\r\n"})
    data = read(tmp_path)
    assert (data.classes, notes(data)) == (("nut", "bolt"), [])
    assert read(tmp_path, classes=("x",)).classes == ("x",)
    put_text(tmp_path / "data.yaml", "train: images/train\nnames: [a, b, c]\n")
    assert read(tmp_path).classes == ("a", "b", "c")
    put_text(tmp_path / "data.yaml", "train: images/train\nnc: 2\n")
    assert read(tmp_path).classes == ("nut", "bolt")
    put_text(tmp_path / "data.yaml", "train: images/train\nnc: 3\n")
    data = read(tmp_path)
    assert data.classes == ("class_0", "class_1", "class_2")
    assert any("2 class names in it, though" in note for note in data.notes)


def test_label_studios_export(tmp_path: Path) -> None:
    content = {"categories": [{"id": 1, "name": "bolt"}, {"id": 0, "name": "nut"}], "info": {"year": 2024}}
    make(tmp_path, {"+images/a.png": None, "notes.json": json.dumps(content), "classes.txt": "nut\nbolt\n"})
    assert find_format(tmp_path) == "yolo"
    assert read(tmp_path).classes == ("nut", "bolt")
    (tmp_path / "classes.txt").unlink()
    assert read(tmp_path).classes == ("nut", "bolt")
    for broken in ("{", "[]", '{"categories":[{"id":3,"name":"a"}]}', '{"categories":[{"id":0,"name":7}]}', "[" * 9999):
        put_text(tmp_path / "notes.json", broken)
        assert read(tmp_path).classes == ("class_0",)


def test_two_lists_that_differ_are_refused(tmp_path: Path) -> None:
    files = dict.fromkeys(["+images/train/a.png", "+images/val/b.png"])
    make(tmp_path, {**files, "labels/train/classes.txt": "nut\nbolt\n", "labels/val/classes.txt": "nut\n"})
    assert read(tmp_path).classes == ("nut", "bolt")
    put_text(tmp_path / "labels/val/classes.txt", "bolt\nnut\n")
    line = refused(tmp_path, "class")
    assert "labels/val/classes.txt: expected the class names of labels/train/classes.txt" in line
    assert "--classes FILE says which" in line
    assert read(tmp_path, classes=("nut", "bolt")).classes == ("nut", "bolt")


def test_a_description_of_another_name(tmp_path: Path) -> None:
    text = "path: .\ntrain: ./images/train\nnames: [nut]\n"
    make(tmp_path, {"+images/train/a.png": None, "dataset.yaml": text, "hyp.yaml": "lr0: 0.01\nnames: x\n"})
    assert read(tmp_path).classes == ("nut",)
    put_text(tmp_path / "other.yaml", text.replace("nut", "bolt"))
    data = read(tmp_path)
    assert data.classes == ("class_0",)
    assert "dataset.yaml and other.yaml are not used; name the one that is meant" in data.notes[0]
    assert read(tmp_path / "other.yaml").classes == ("bolt",)


# Pictures of one name


def test_pictures_of_one_name_get_names_of_their_own(tmp_path: Path) -> None:
    files = dict.fromkeys(
        ["+a/images/x.png", "+b/images/x.png", "+b/images/y.png", "+c/images/y.bmp", "+c/images/z.png"]
    )
    text = "train: [a/images, b/images, c/images]\nnames: [nut]\n"
    root = make(tmp_path / "set", {**files, "data.yaml": text})
    data = read(root)
    names = ["a_images_x.png", "b_images_x.png", "c_images_y.bmp", "b_images_y.png", "z.png"]
    assert [one.name for one in data.annotations] == names
    first = "set: a/images/x.png becomes a_images_x.png"
    line = f"4 pictures have the name of one in another folder, and are renamed (first: {tmp_path}/{first})"
    assert notes(data) == [line]
    for to in ("yolo", "coco", "voc", "scredit"):
        assert (
            main(["convert", str(root), "--to", to, "--out", str(tmp_path / to), "--images", "copy"])
            == (to == "scredit") * 2
        )
        if to != "scredit":  # which has no .bmp
            assert sum(len(one.items) for one in read(tmp_path / to).annotations) == 5


# Paths of other machines


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            'path: "C:\\data\\set"\ntrain: images/train',
            "line 1: expected YAML, found unknown escape character 'd' (in double",
        ),
        ("train: C:\\data\\set\\images\\train", "a path of another machine (is images/train meant?)"),
        ("train: \\\\server\\set\\images\\train", "'//server/set/images/train' (is images/train meant?)"),
        ("train: /content/set/images/train", "'/content/set/images/train' (is images/train meant?)"),
        ("train: images/train\nnames:\n\t- nut", "YAML allows no tabs at the beginning of a line"),
    ],
)
def test_paths_of_other_machines_are_named_with_what_is_meant(text: str, line: str, tmp_path: Path) -> None:
    make(tmp_path, {"+images/train/a.png": None, "data.yaml": f"{text}\n"})
    with pytest.raises(AnnotationError) as caught:
        read(tmp_path)
    assert line in str(caught.value)
    assert "found found" not in str(caught.value)


def test_a_windows_path_of_the_set_is_told(tmp_path: Path) -> None:
    make(
        tmp_path,
        {"+images/train/a.png": None, "data.yaml": "path: C:\\data\\set\ntrain: images\\train\nnames: [nut]\n"},
    )
    data = read(tmp_path)
    assert pictures(data) == {"train": ["images/train/a.png"]}
    assert "lies outside" in data.notes[0]


# Objects that are there twice


def test_points_and_texts_that_are_there_twice_are_no_objects(tmp_path: Path) -> None:
    point = '{"":"pt","loc":[3,4]}'
    put_text(tmp_path / "annotations/a.json", f'{{"items":[{point},{point}],"usage":"nominal"}}')
    put_picture(tmp_path / "a.png")
    data = read(tmp_path, classes=("nut",))
    assert (len(data.annotations[0].items), data.notes) == (2, ())


def test_objects_that_are_there_twice_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = f"{LINE}{LINE}1 0.375 0.375 0.5 0.5\n0 0.375 0.375 0.5 0.25\n{LINE}"
    make(tmp_path, {"images/a.png": None, "labels/a.txt": text, "classes.txt": "nut\nbolt\n"})
    data = read(tmp_path)
    assert len(data.annotations[0].items) == 5
    line = "2 objects are there twice, with the same class and box; delete the copies"
    assert notes(data) == [f"{line} (first: images/a.png)"]
    assert main(["inspect", str(tmp_path), "--out", str(tmp_path.parent / "pictures")]) == 0
    assert line in capsys.readouterr().out
