"""YOLO: label lines, `data.yaml` of ours and of others, bad input, other people's readers."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from PIL import Image
from small_sets import (
    GOLDEN,
    annotations,
    fuzz,
    link,
    only_typed_errors,
    plain,
    put_picture,
    put_set,
    put_text,
    set_files,
)

from yolo_proc.annotations.records import Annotation, DataSet, Item, Problems, ReadOptions
from yolo_proc.annotations.yolo import reader as yolo_txt
from yolo_proc.annotations.yolo.data_yaml import load_yaml
from yolo_proc.annotations.yolo.reader import YoloLayout, looks_like, parse_labels
from yolo_proc.errors import AnnotationError, ConfigError, DataError

NAMES = ("A", "no", "Größe: 1")
BY_HAND = (
    Item((0.0, 0.0, 16.0, 12.0), 0),
    Item((48.0, 36.0, 64.0, 48.0), 1),
    Item((10.5, 7.5, 21.0, 18.0), 2),
    Item((1.0, 1.0, 2.0, 2.0), 0),
)
ONE_LINE = "0 0.5 0.5 0.5 0.5\n"  # of a picture of 64 x 48 pixels: 16, 12, 48, 36
ONE_ITEM = (Item((16.0, 12.0, 48.0, 36.0), 0),)


def read(root: Path, **options: Any) -> DataSet:
    return yolo_txt.read(root, ReadOptions(**options))


def put_one(root: Path, data_yaml: str | None = None, picture: str = "images/train/a.png") -> Path:
    """A set of one picture with one object of class 0."""
    put_picture(root / picture)
    put_text(root / picture.replace("images/", "labels/").replace(".png", ".txt"), ONE_LINE)
    if data_yaml is not None:
        put_text(root / "data.yaml", data_yaml)
    return root


def refused(root: Path, reason: str, **options: Any) -> str:
    with pytest.raises(AnnotationError) as caught:
        read(root, **options)
    assert caught.value.reason == reason, str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Ours


def test_the_case_by_hand() -> None:
    golden = (GOLDEN / "yolo/by_hand.txt").read_bytes()
    path, data = YoloLayout(NAMES, ("train",)).label_file("train", Annotation("by_hand.png", 64, 48, BY_HAND))
    assert (str(path), data) == ("labels/train/by_hand.txt", golden)
    items = parse_labels(golden.decode(), "by_hand.txt", 64, 48, 3)
    assert [item.category for item in items] == [0, 1, 2, 0]
    # Nine digits of 1 / 48 are off by 3e-11, which is 2e-9 pixels.
    np.testing.assert_allclose([item.xyxy for item in items], [item.xyxy for item in BY_HAND], rtol=0, atol=2e-9)


def test_data_yaml_by_hand() -> None:
    files = set_files(YoloLayout(NAMES, ("train", "val")), {"train": [], "val": [Annotation("a.png", 8, 8)]})
    assert {str(path): data for path, data in files.items()} == {"data.yaml": (GOLDEN / "yolo/data.yaml").read_bytes()}


@pytest.mark.parametrize(
    "names", [(), ("yes", "1", "null", "~", "a: b", "#", "- x", "'", '"', "😀", "x" * 300, "2020-01-01")]
)
def test_every_class_name_survives_yaml(names: tuple[str, ...]) -> None:
    (data,) = set_files(YoloLayout(names, ("train",)), {"train": []}).values()
    assert yaml.safe_load(data) == {"train": "images/train", "val": "images/train", "names": dict(enumerate(names))}
    assert load_yaml(data.decode(), "x")["names"] == {str(index): name for index, name in enumerate(names)}


@given(annotations())
def test_items_survive(annotation: Annotation) -> None:
    data = YoloLayout(NAMES, ("train",)).label_file("train", annotation)[1]
    found = parse_labels(data.decode(), "x", annotation.width, annotation.height, 3)
    expected = [item for item in annotation.items if not item.ignore]
    assert [item.category for item in found] == [item.category for item in expected]
    boxes = np.array([item.xyxy for item in found]).reshape(-1, 4)
    # Half a unit of the ninth digit, of a centre and of half a size, times at most 64 pixels.
    np.testing.assert_allclose(boxes, np.array([item.xyxy for item in expected]).reshape(-1, 4), rtol=0, atol=1e-7)


@pytest.mark.parametrize("splits", [("train",), ("train", "val")])
def test_a_set_survives_the_disk(splits: tuple[str, ...], tmp_path: Path) -> None:
    parts = {split: [Annotation(f"{split}_{n}.png", 64, 48, ONE_ITEM * n) for n in range(3)] for split in splits}
    found = read(put_set(tmp_path, YoloLayout(NAMES, splits), parts))
    assert plain(found) == {split: [(one.name, 64, 48, one.items) for one in part] for split, part in parts.items()}
    same = "data.yaml: `val` names the pictures of `train`: they are read as train, and there are none of val"
    notes = () if len(splits) == 2 else (f"{tmp_path}/{same}",)
    assert (found.classes, found.format, found.notes) == (NAMES, "yolo", notes)
    put_text(tmp_path / "yolo_proc.json", '{"version":1}')  # ours always name both
    assert read(tmp_path).notes == ()
    assert found.annotations[1].path == tmp_path / "images/train/train_1.png"


@pytest.mark.parametrize("splits", [("train",), ("train", "val")])
def test_a_set_of_ours_without_pictures_is_empty(splits: tuple[str, ...], tmp_path: Path) -> None:
    put_set(tmp_path, YoloLayout(NAMES, splits), {split: [] for split in splits})
    refused(tmp_path, "value")  # somebody else's would lack its folders
    put_text(tmp_path / "yolo_proc.json", '{"version":1,"classes":["A"]}')
    assert plain(read(tmp_path)) == {"train": []}
    assert read(tmp_path).classes == ("A",)


def test_a_set_of_ours_may_have_validation_alone(tmp_path: Path) -> None:
    put_set(tmp_path, YoloLayout(NAMES, ("train", "val")), {"train": [], "val": [Annotation("a.png", 8, 8)]})
    put_text(tmp_path / "yolo_proc.json", '{"version":1}')
    assert plain(read(tmp_path)) == {"train": [], "val": [("a.png", 8, 8, ())]}


def test_what_a_line_cannot_say_is_lost() -> None:
    layout = YoloLayout(NAMES, ("train",))
    box = (0.0, 0.0, 4.0, 4.0)
    rich = Item(box, None, points=((0.0, 0.0),), confidence=0.5, rotation=3.0, anchor=0, visible=0.5, in_frame=0.9)
    assert set(layout.losses(rich)) == {"class", "outline", "confidence", "rotation", "anchor", "visible", "in_frame"}
    assert layout.losses(Item(box, 0, confidence=1.0, rotation=0.0, visible=1.0, in_frame=1.0)) == ()
    ignored, text = Item(box, 1, ignore=True), Item(box, 0, kind="text", text="A")
    assert (layout.losses(ignored), layout.losses(text)) == (("ignore",), ("text",))
    annotation = Annotation("a.png", 8, 8, (ignored, text, rich))
    assert layout.label_file("val", annotation)[1] == b"0 0.25 0.25 0.5 0.5\n"


@pytest.mark.parametrize(
    "name", ["", "a", ".png", "../a.png", "b/a.png", "b\\a.png", "a\n.png", " a.png", "a .png", "a.gif"]
)
def test_a_name_that_no_reader_would_find_again_is_refused(name: str) -> None:
    with pytest.raises(DataError, match="file name"):
        YoloLayout(NAMES, ("train",)).picture_file("train", name)


def test_two_pictures_cannot_share_a_label_file() -> None:
    pictures = [Annotation("a.png", 8, 8), Annotation("a.jpg", 8, 8)]
    with pytest.raises(DataError, match="share a base name"):
        set_files(YoloLayout(NAMES, ("train",)), {"train": pictures})
    assert set_files(YoloLayout(NAMES, ("train", "val")), {"train": pictures[:1], "val": pictures[1:]})


# Other people's


@pytest.mark.parametrize(
    "text",
    [
        "path: {root}\ntrain: images/train\nval: images/train\nnames: [A, B]",
        "path: .\ntrain: images/train\nnames: {{1: B, 0: A}}\nnc: 2",
        "path: images\ntrain: train\nval:\nnames: [A, B]\nnc: 2",
        "path: no/such/folder\ntrain: images/train/\nnames: [A, B]",
        "train: {root}/images/train\nnames: [A, B]\ndownload: import os; os.abort()",
        "train: [images/train]\nval: []\nnames:\n- A\n- B",
        "train: ../images/train\nval: ./images/train\nnames: [A, B]",
        "train: images\\train\r\nnames: ['A', \"B\"]\r\n",
        "\ufefftrain: list.txt\nnames: !!python/object/apply:os.abort [A, B]",
        "train: sub/list.txt\nnames: [A, B]",
        "train: [list.txt, sub/list.txt, images]\nnames: [A, B]",
    ],
)
def test_data_yaml_of_others(text: str, tmp_path: Path) -> None:
    put_one(tmp_path, text.format(root=tmp_path))
    put_text(tmp_path / "list.txt", "\ufeffimages\\train\\a.png\r\n\r\n./images/train/a.png\r\n")
    put_text(tmp_path / "sub/list.txt", f"{tmp_path}/images/train/a.png\n./../images/train/a.png")
    found = read(tmp_path)
    assert plain(found) == {"train": [("a.png", 64, 48, ONE_ITEM)]}
    assert found.classes == ("A", "B")
    assert len(found.notes) == ("val: images/train" in text or "val: ./images/train" in text)
    assert all("`val` names the pictures of `train`" in note for note in found.notes)


@pytest.mark.parametrize("path", ["/elsewhere/set", "../datasets/set"])
def test_a_path_on_another_machine_is_not_followed_and_said(path: str, tmp_path: Path) -> None:
    root = put_one(tmp_path / "set", f"path: {path}\ntrain: images/train\ntest: images/test\nnames: [A]")
    found = read(root)
    assert len(found.splits["train"]) == 1
    assert path in found.notes[0]
    assert "test" in found.notes[1]
    (root / "images").rename(root / "pictures")
    refused(root, "escape")


def test_the_user_may_name_the_file(tmp_path: Path) -> None:
    file = put_one(tmp_path, "train: images/train\nnames: [A]") / "letters.yaml"
    (tmp_path / "data.yaml").rename(file)
    assert looks_like(file)
    assert (read(file).root, read(file).classes) == (tmp_path, ("A",))


def test_the_root_may_be_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_one(tmp_path, "train: images/train\nnames: [A]")
    monkeypatch.chdir(tmp_path)
    assert read(Path()).annotations[0].path == Path("images/train/a.png")
    assert read(Path("data.yaml")).annotations[0].items == ONE_ITEM


@pytest.mark.parametrize(
    "folders", [{"train": "images"}, {"train": "images/train"}, {"train": "images/train", "val": "images/val"}]
)
def test_folders_without_data_yaml(folders: dict[str, str], tmp_path: Path) -> None:
    assert not looks_like(tmp_path)
    for split, folder in folders.items():
        put_one(tmp_path, picture=f"{folder}/{split}.png")
    assert looks_like(tmp_path)
    found = read(tmp_path)
    assert plain(found) == {split: [(f"{split}.png", 64, 48, ONE_ITEM)] for split in folders}
    assert found.classes == ("class_0",)
    assert "class_0" in found.notes[0]


def test_labels_stand_for_the_last_images_of_a_path(tmp_path: Path) -> None:
    root = tmp_path / "images"  # what lies above the set does not count
    put_picture(root / "images/images/sub/a.PNG")
    put_text(root / "images/labels/sub/a.txt", ONE_LINE)
    put_picture(root / "beside/b.jpeg")
    put_text(root / "beside/b.txt", ONE_LINE)
    put_text(root / "data.yaml", "train: images/images\nval: beside\nnc: 4")
    found = read(root)
    assert [one.items for one in found.annotations] == [ONE_ITEM, ONE_ITEM]
    assert found.classes == ("class_0", "class_1", "class_2", "class_3")


def test_pictures_come_by_name_and_may_lack_a_label_file(tmp_path: Path) -> None:
    for name in ("c.png", "a.JPG", "b.webp", ".hidden.png", "readme.md"):
        put_text(tmp_path / "images/train" / name, b"")
        if name in ("c.png", "a.JPG", "b.webp"):
            put_picture(tmp_path / "images/train" / name)
    put_text(tmp_path / "data.yaml", "train: images/train\nnames: [A]")
    found = read(tmp_path)
    assert [(one.name, one.items) for one in found.annotations] == [("a.JPG", ()), ("b.webp", ()), ("c.png", ())]
    assert "no picture of train has a label file" in found.notes[0]


def test_lines_with_more_than_a_box() -> None:
    text = "\ufeff0 .5 .5 .5 .5 0.25\r\n\r\n   \n1.000000e+00\t0.25 0.5 0.5 0.75 0.125 1\r\n"
    with_confidence, polygon = parse_labels(text.removeprefix("\ufeff"), "x", 64, 48, 2)
    assert with_confidence == Item((16.0, 12.0, 48.0, 36.0), 0, confidence=0.25)
    assert polygon == Item((8.0, 24.0, 32.0, 48.0), 1, points=((16.0, 24.0), (32.0, 36.0), (8.0, 48.0)))
    assert parse_labels("", "x", 64, 48) == ()


def test_a_box_a_pixel_outside_is_clipped() -> None:
    (item,) = parse_labels("0 0.5 0.5 1.03125 1", "x", 64, 48)  # 1 pixel at the left and at the right
    assert item.xyxy == (0.0, 0.0, 64.0, 48.0)


def test_boxes_refer_to_the_upright_picture(tmp_path: Path) -> None:
    put_one(tmp_path, "train: images/train\nnames: [A]", "images/train/a.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    data = io.BytesIO()
    Image.new("RGB", (48, 64)).save(data, "JPEG", exif=exif)
    (tmp_path / "images/train/a.png").unlink()
    put_text(tmp_path / "images/train/a.jpg", data.getvalue())
    assert plain(read(tmp_path)) == {"train": [("a.jpg", 64, 48, ONE_ITEM)]}


def test_where_class_names_come_from(tmp_path: Path) -> None:
    put_one(tmp_path, "train: images/train\nnames: [A, B]")
    assert read(tmp_path).classes == ("A", "B")
    put_text(tmp_path / "yolo_proc.json", '{"version":1,"classes":["X","Y"]}')
    assert read(tmp_path).classes == ("X", "Y")
    assert read(tmp_path, classes=("U",)).classes == ("U",)
    with pytest.raises(ConfigError, match="twice"):
        read(tmp_path, classes=("U", "U"))


# Bad input


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("0 0.5 0.5 0.5", "syntax"),
        ("0 0.5 0.5 0.5 0.5 0.5 0.5 0.5", "syntax"),
        ("0 0.5 0.5 0.5 half", "syntax"),
        ("0,0.5,0.5,0.5,0.5", "syntax"),
        ("0 nan 0.5 0.5 0.5", "not-finite"),
        ("0 0.5 0.5 1e999 0.5", "not-finite"),
        ("0 0.5 0.5 1e308 0.5", "not-finite"),  # it overflows on the way to pixels
        ("0 nan 0.5 0.5 0.5 0.1 0.1", "not-finite"),
        ("0 0.5 0.5 -0.5 0.5", "swapped"),
        ("0 0.5 0.5 0 0.5", "degenerate"),
        ("0 0.1 0.1 0.5 0.5 0.9 1.9", "outside"),
        ("0 32 24 16 12", "outside"),  # pixels
        ("0 1.2 0.5 0.1 0.1", "outside"),
        ("2 0.5 0.5 0.5 0.5", "class"),
        ("-1 0.5 0.5 0.5 0.5", "class"),
        ("0.5 0.5 0.5 0.5 0.5", "class"),
        ("nan 0.5 0.5 0.5 0.5", "class"),
        ("Z 0.5 0.5 0.5 0.5", "class"),
        ("0 0.5 0.5 0.5 0.5 87", "value"),
        ("0 0.5 0.5 0.5 0.5 nan", "not-finite"),
    ],
)
def test_a_bad_line_is_named_or_its_picture_is_left_out(line: str, reason: str, tmp_path: Path) -> None:
    root = put_one(tmp_path, "train: images/train\nnames: [A, B]")
    put_picture(root / "images/train/b.png")
    label = put_text(root / "labels/train/b.txt", f"{ONE_LINE}\n{line}\n")
    assert f"{label}: line 3: expected" in refused(root, reason)
    problems = Problems(skip=True)
    assert [one.name for one in read(root, problems=problems).annotations] == ["a.png"]
    assert problems.by_reason == {reason: 1}


def aliases() -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    return "\n".join([*lines, "names: *a9", "train: images/train"])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "syntax"),
        ("- train", "syntax"),
        ("train: images/train\nnames: [A", "syntax"),
        ("train: images/train\n---\nnames: [A]", "syntax"),
        ("train: images/train\ntrain: images/val\nnames: [A]", "syntax"),
        ("train: images/train\nnames: {0: A, 0: B}", "syntax"),
        ("train: images/train\nnames: {[0]: A}", "syntax"),
        ('train: images/train\nnames: ["\\UFFFFFFFF"]', "syntax"),
        ("train: images/train\nnames: [\x01]", "syntax"),
        (b"train: images/train\nnames: [\xe4]", "syntax"),
        (aliases(), "bomb"),
        ("train: &here images/train\nnames: [A]", "bomb"),
        ("train: " + "[" * 100_000, "bomb"),
        ("names: [A]\ntrain: images/train\n" + "# much\n" * 200_000, "bomb"),
        ("names: [A]", "value"),
        ("train: {a: b}\nnames: [A]", "value"),
        ("train: [[images/train]]\nnames: [A]", "value"),
        ("train: images/nowhere\nnames: [A]", "value"),
        ("train: [images/train, images/nowhere]\nnames: [A]", "value"),
        ("train: nowhere.txt\nnames: [A]", "value"),
        ('train: "images/\\0"\nnames: [A]', "value"),
        ('train: "images/\\uD800"\nnames: [A]', "value"),
        (f"train: {'x' * 5000}\nnames: [A]", "value"),
        ("path: [a]\ntrain: images/train\nnames: [A]", "value"),
        ("train: images/train\nnames: A", "class"),
        ("train: images/train\nnames: [[A]]", "class"),
        ("train: images/train\nnames: [A, A]", "class"),
        ("train: images/train\nnames: {1: A, 2: B}", "class"),
        ("train: images/train\nnames: {0: A, 2: B}", "class"),
        ("train: images/train\nnames: [A]\nnc: 2", "class"),
        ("train: images/train\nnames: []", "class"),
        ("train: images/train\nnc: many", "value"),
        ("train: images/train\nnc: 1000000000000", "value"),
    ],
)
def test_bad_data_yaml(text: str | bytes, reason: str, tmp_path: Path) -> None:
    put_one(tmp_path)
    put_text(tmp_path / "data.yaml", text)
    assert str(tmp_path) in refused(tmp_path, reason)


@pytest.mark.parametrize(
    "train", ["..", "../other/images", "{other}/images", "images/out", "images/../../other/images"]
)
def test_nothing_outside_of_the_folder_is_read(train: str, tmp_path: Path) -> None:
    other = put_one(tmp_path / "other", picture="images/a.png")
    root = put_one(tmp_path / "set", f"train: {train}\nnames: [A]".format(other=other))
    link(root / "images/out", other / "images")
    refused(root, "escape")
    refused(root, "escape", problems=Problems(skip=True))


@pytest.mark.parametrize("name", ["images/train/b.png", "labels/train/b.txt", "list.txt", "images/train/more"])
def test_a_link_that_leads_out_is_refused(name: str, tmp_path: Path) -> None:
    other = put_one(tmp_path / "other", picture="images/train/b.png")
    put_text(other / "list.txt", "images/train/a.png")
    put_picture(other / "images/train/more/c.png")
    root = put_one(tmp_path / "set", "train: [images/train, list.txt]\nnames: [A]")
    put_text(root / "list.txt", "")
    if name.startswith("labels"):
        put_picture(root / "images/train/b.png")
    (root / name).unlink(missing_ok=True)
    link(root / name, other / name)
    refused(root, "escape")


def test_links_inside_of_the_folder_are_followed(tmp_path: Path) -> None:
    put_one(tmp_path, "train: images/train\nnames: [A]")
    link(tmp_path / "images/train/round", tmp_path / "images")
    link(tmp_path / "images/train/b.png", tmp_path / "images/train/a.png")
    link(tmp_path / "link", tmp_path)
    assert [one.name for one in read(tmp_path / "link").annotations] == ["a.png", "b.png"]


def test_bad_lists_are_named_by_line(tmp_path: Path) -> None:
    put_one(tmp_path / "set", "train: list.txt\nnames: [A]")
    for line, reason in {
        "images/train/b.png": "missing-image",
        "data.yaml": "picture",
        "../set2/a.png": "escape",
        "/etc/passwd": "escape",
        "a\0b.png": "value",
        "x" * 5000: "value",
    }.items():
        put_text(tmp_path / "set/list.txt", f"images/train/a.png\n{line}\n")
        assert "list.txt: line 2: expected" in refused(tmp_path / "set", reason)
        problems = Problems(skip=True)
        assert len(read(tmp_path / "set", problems=problems).annotations) == 1
        assert problems.by_reason == {reason: 1}


def test_pictures_and_labels_that_do_not_belong_together(tmp_path: Path) -> None:
    root = put_one(tmp_path, "train: images/train\nnames: [A]")
    put_text(root / "labels/classes.txt", "A\n")
    put_text(root / "labels/train/classes.txt", "A\n")
    assert len(read(root).annotations) == 1
    put_text(root / "labels/train/b.txt", ONE_LINE)
    assert "images/train/b" in refused(root, "missing-image")
    put_picture(root / "images/train/b.png")
    put_picture(root / "images/train/b.jpg")
    assert "labels/train/b.txt" in refused(root, "duplicate-name")
    problems = Problems(skip=True)
    assert [one.name for one in read(root, problems=problems).annotations] == ["a.png"]
    assert problems.by_reason == {"duplicate-name": 2}


def test_bad_pictures_are_named(tmp_path: Path) -> None:
    root = put_one(tmp_path, "train: images/train\nnames: [A]")
    refused(root, "bomb", max_pixels=64 * 48 - 1)
    assert len(read(root, max_pixels=64 * 48).annotations) == 1
    put_text(root / "images/train/a.png", "no picture")
    refused(root, "picture")
    problems = Problems(skip=True)
    assert plain(read(root, problems=problems)) == {"train": []}
    assert problems.by_reason == {"picture": 1}


def test_a_label_file_that_is_none(tmp_path: Path) -> None:
    root = put_one(tmp_path, "train: images/train\nnames: [A]")
    label = root / "labels/train/a.txt"
    label.write_bytes(b"\xff\xfe0\0")
    assert "UTF-8" in refused(root, "syntax")
    label.unlink()
    label.mkdir()
    refused(root, "value")


def test_a_folder_that_holds_nothing(tmp_path: Path) -> None:
    refused(tmp_path, "value")


def damaged_set(tmp_path: Path) -> tuple[list[Path], Path]:
    """A set in every notation, and its files."""
    root = put_one(tmp_path, "path: .\ntrain: [images/train]\nval: list.txt\nnames:\n  0: A\n  1: 'no'\nnc: 2\n")
    label = put_text(
        root / "labels/train/a.txt", "0 0.5 0.5 0.5 0.5\n1 0.25 0.25 0.125 0.5 0.75\n0 .1 .1 .2 .1 .2 .2\n"
    )
    listed = put_text(root / "list.txt", "./images/train/a.png\nimages/train/a.png\n")
    return [label, root / "data.yaml", listed], root


def test_damaged_files_give_the_typed_error_alone(tmp_path: Path) -> None:
    files, root = damaged_set(tmp_path)
    assert len(read(root).annotations) == 2
    refusals = fuzz(files, lambda: read(root), rounds=240)
    assert 80 < refusals < 238  # a fuzz that damages nothing, or that never gets past the first line, shows nothing


def test_the_fuzz_sees_another_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = damaged_set(tmp_path)[1]
    only_typed_errors(lambda: read(root))

    def broken(*_: object) -> None:
        raise KeyError("train")

    monkeypatch.setattr(yolo_txt, "_parse_class", broken)
    with pytest.raises(KeyError):
        only_typed_errors(lambda: read(root))


# Other people's readers


def shown_set(tmp_path: Path) -> dict[str, list[Annotation]]:
    parts = {
        "train": [Annotation("hand.png", 64, 48, BY_HAND), Annotation("none.png", 32, 32)],
        "val": [Annotation("other.png", 40, 30, (Item((0.25, 1.0, 39.0, 29.5), 2),))],
    }
    put_set(tmp_path / "set", YoloLayout(NAMES, ("train", "val")), parts)
    return parts


def test_data_yaml_leads_to_the_pictures_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = shown_set(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    file = Path("../set/data.yaml")
    said = yaml.safe_load(file.read_text(encoding="utf-8"))
    # The rule of the trainers that read it: `path`, or else the folder of data.yaml, stands before `train` and `val`.
    base = Path(said.get("path") or file.parent)
    for split, part in parts.items():
        pictures = (base / said[split]).resolve()
        assert sorted(path.name for path in pictures.iterdir()) == [one.name for one in part]
        labels = Path("/labels/".join(str(pictures).rsplit("/images/", 1)))
        assert sorted(path.stem for path in labels.iterdir()) == [one.stem for one in part]
    assert list(said["names"].items()) == list(enumerate(NAMES))


def test_supervision_reads_the_same_boxes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import supervision

    parts = shown_set(tmp_path)
    monkeypatch.chdir(tmp_path)
    for split, part in parts.items():
        found = supervision.DetectionDataset.from_yolo(f"set/images/{split}", f"set/labels/{split}", "set/data.yaml")
        assert found.classes == list(NAMES)
        by_name = {Path(path).name: detections for path, _, detections in found}
        assert sorted(by_name) == [one.name for one in part]
        for one in part:
            detections = by_name[one.name]
            expected = np.array([item.xyxy for item in one.items]).reshape(-1, 4)
            # It computes in float32.
            np.testing.assert_allclose(detections.xyxy, expected, rtol=0, atol=1e-5)
            assert list(detections.class_id) == [item.category for item in one.items]
