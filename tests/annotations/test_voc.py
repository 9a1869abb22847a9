"""Pascal VOC: annotations and lists of ours and of others, bad input, other people's readers."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
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

from yolo_proc.annotations.formats import find_format, read_data_set
from yolo_proc.annotations.records import Annotation, DataSet, Item, Problems, ReadOptions, Tally
from yolo_proc.annotations.voc import reader as voc
from yolo_proc.annotations.voc import xml as voc_xml
from yolo_proc.annotations.voc.layout import VocLayout, corners_from_one
from yolo_proc.annotations.voc.reader import looks_like
from yolo_proc.annotations.voc.xml import VocFile, VocObject, parse_voc
from yolo_proc.errors import AnnotationError, DataError

NAMES = ("A", "O & M")
BY_HAND = Annotation(
    "by_hand.png",
    64,
    48,
    (
        Item((0.0, 0.0, 16.0, 12.0), 0),
        Item((48.0, 36.0, 64.0, 48.0), 1, visible=0.5),
        Item((10.5, 7.5, 21.0, 18.0), 0, in_frame=0.75),
        Item((20.6, 30.2, 20.9, 30.4), 0, ignore=True),
    ),
)
BY_HAND_BACK = (
    Item((0.0, 0.0, 16.0, 12.0), 0),
    Item((48.0, 36.0, 64.0, 48.0), 1),
    Item((11.0, 8.0, 21.0, 18.0), 0),
    Item((21.0, 30.0, 22.0, 31.0), 0, ignore=True),
)


def read(root: Path, **options: Any) -> DataSet:
    return voc.read(root, ReadOptions(**options))


def thing(name: str = "A", corners: str = "17 13 48 36", more: str = "") -> str:
    tags = ("xmin", "ymin", "xmax", "ymax")
    box = "".join(f"<{tag}>{value}</{tag}>" for tag, value in zip(tags, corners.split(), strict=True))
    return f"<object><name>{name}</name>{more}<bndbox>{box}</bndbox></object>"


ONE_ITEM = (Item((16.0, 12.0, 48.0, 36.0), 0),)
SIZE = "<size><width>64</width><height>48</height><depth>3</depth></size>"


def put_one(root: Path, name: str = "a", content: str = f"{SIZE}{thing()}", picture: bool = True) -> Path:
    """A picture of 64 x 48 pixels and its annotation."""
    if picture:
        put_picture(root / f"JPEGImages/{name}.jpg")
    put_text(root / f"Annotations/{name}.xml", f"<annotation>{content}</annotation>")
    return root


def refused(root: Path, reason: str, **options: Any) -> str:
    with pytest.raises(AnnotationError) as caught:
        read(root, **options)
    assert caught.value.reason == reason, str(caught.value)
    assert str(caught.value).isprintable()
    return str(caught.value)


# Ours


def test_the_case_by_hand(tmp_path: Path) -> None:
    golden = (GOLDEN / "voc/by_hand.xml").read_bytes()
    layout = VocLayout(NAMES, ("train",))
    path, data = layout.label_file("train", BY_HAND)
    assert (str(path), data) == ("Annotations/by_hand.xml", golden)
    found = read(put_set(tmp_path, layout, {"train": [BY_HAND]}))
    assert plain(found) == {"train": [("by_hand.png", 64, 48, BY_HAND_BACK)]}
    assert (found.classes, found.format, found.notes) == (NAMES, "voc", ())
    assert found.annotations[0].path == tmp_path / "JPEGImages/by_hand.png"


@pytest.mark.parametrize(
    ("xyxy", "corners"),
    [
        ((0.0, 0.0, 64.0, 48.0), (1, 1, 64, 48)),
        ((0.49, 0.5, 1.49, 1.5), (1, 2, 1, 2)),
        ((0.0, 0.0, 0.25, 0.25), (1, 1, 1, 1)),  # at least a pixel
        ((63.75, 47.75, 64.0, 48.0), (64, 48, 64, 48)),  # not behind the last one
    ],
)
def test_corners(xyxy: tuple[float, float, float, float], corners: tuple[int, ...]) -> None:
    assert corners_from_one(xyxy, 64, 48) == corners


@given(annotations())
def test_items_survive_to_whole_pixels(annotation: Annotation) -> None:
    names = ("c", "a", "b")
    data = VocLayout(names, ("train",)).label_file("train", annotation)[1]
    found = parse_voc(data.decode(), "x")
    assert (found.filename, found.size) == (annotation.name, (annotation.width, annotation.height))
    assert len(found.objects) == len(annotation.items)
    for item, got in zip(annotation.items, found.objects, strict=True):
        assert (got.name, got.difficult) == (names[item.class_id], item.ignore)
        x0, y0, x1, y1 = got.corners
        back = (x0 - 1, y0 - 1, x1, y1)
        assert 0 <= back[0] < back[2] <= annotation.width
        assert 0 <= back[1] < back[3] <= annotation.height
        thin = min(item.xyxy[2] - item.xyxy[0], item.xyxy[3] - item.xyxy[1]) < 1
        # A corner moves by half a pixel at most; a box thinner than a pixel grows to a whole one.
        assert np.abs(np.subtract(back, item.xyxy)).max() <= (1.5 if thin else 0.5)


@pytest.mark.parametrize("splits", [("train",), ("train", "val")])
def test_a_set_survives_the_disk(splits: tuple[str, ...], tmp_path: Path) -> None:
    parts = {split: [Annotation(f"{split}.{n}.png", 64, 48, ONE_ITEM * n) for n in range(3)] for split in splits}
    root = put_set(tmp_path, VocLayout(("A",), splits), parts)
    found = read(root)
    assert plain(found) == {split: [(one.name, 64, 48, one.items) for one in part] for split, part in parts.items()}
    assert (root / f"ImageSets/Main/{splits[-1]}.txt").read_bytes() == "".join(
        f"{splits[-1]}.{n}\n" for n in range(3)
    ).encode()


@pytest.mark.parametrize("splits", [("train",), ("train", "val")])
def test_a_set_without_pictures_is_empty(splits: tuple[str, ...], tmp_path: Path) -> None:
    root = put_set(tmp_path, VocLayout(("A",), splits), {split: [] for split in splits})
    assert looks_like(root)
    with pytest.raises(DataError, match=r"expected pictures of train, found none: .*train.txt has no annotations"):
        read(root)
    put_text(root / "yolo_proc.json", '{"version":1,"classes":["A"]}')  # ours may be empty
    assert plain(read(root)) == {split: [] for split in splits}
    assert read(root).classes == ("A",)


def test_a_split_without_pictures_and_a_picture_without_objects(tmp_path: Path) -> None:
    root = put_set(tmp_path, VocLayout(("A",), ("train", "val")), {"train": [], "val": [Annotation("a.png", 8, 8)]})
    put_text(root / "yolo_proc.json", '{"version":1,"classes":["A"]}')
    assert plain(read(root)) == {"train": [], "val": [("a.png", 8, 8, ())]}


def test_what_an_object_cannot_say_is_lost() -> None:
    layout = VocLayout(("A",), ("train",))
    box = (0.0, 0.0, 4.0, 4.0)
    rich = Item(box, None, points=((0.0, 0.0),), confidence=0.5, rotation=3.0, anchor=0, visible=0.5, in_frame=0.9)
    assert set(layout.losses(rich)) == {"class", "outline", "confidence", "rotation", "anchor", "visible", "in_frame"}
    assert layout.losses(Item(box, 0, visible=1.0, in_frame=1.0, ignore=True)) == ()
    polygon = Item(box, 0, kind="polygon", points=((0.0, 0.0),))
    assert layout.losses(polygon) == ("polygon",)
    data = layout.label_file("train", Annotation("a.png", 8, 8, (polygon, rich)))[1]
    assert len(parse_voc(data.decode(), "x").objects) == 1


def test_names_that_voc_cannot_tell_apart_are_refused() -> None:
    for names in (("A", "A"), ("A", " B"), ("",), ("A\n",)):
        with pytest.raises(DataError, match="class names"):
            VocLayout(names, ("train",))
    layout = VocLayout(("A",), ("train", "val"))
    with pytest.raises(DataError, match="file name"):
        layout.picture_file("train", "../a.png")
    with pytest.raises(DataError, match="share a base name"):  # the splits share one folder
        set_files(layout, {"train": [Annotation("a.png", 8, 8)], "val": [Annotation("a.jpg", 8, 8)]})


# Other people's


def test_an_annotation_of_others() -> None:
    text = """\ufeff<?xml version="1.0" encoding="utf-8"?>\r
<!-- made by hand -->\r
<annotation verified="yes">\r
  <source><database>x</database></source>\r
  <filename> b.jpg </filename>\r
  <size><width>64.0</width><height>48</height></size>\r
  <object>\r
    <name> A </name><pose>Left</pose><truncated>1</truncated><difficult></difficult>\r
    <part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part>\r
    <bndbox><ymax>36.25</ymax><xmax>48.5</xmax><xmin>17.5</xmin><ymin>1.3e1</ymin></bndbox>\r
  </object>\r
  <object><name>&#66;&lt;</name><difficult> 1 </difficult>\r
    <bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></object>\r
</annotation>"""
    assert parse_voc(text.removeprefix("\ufeff"), "x") == VocFile(
        "b.jpg",
        (64, 48),
        (VocObject("A", (17.5, 13.0, 48.5, 36.25), False), VocObject("B<", (1.0, 1.0, 2.0, 2.0), True)),
        {
            "(object has|objects have) parts with boxes of their own, which are left out": 1,
            "(object is|objects are) marked truncated, which is not kept, because it is no share": 1,
        },
    )
    assert parse_voc("<annotation/>", "x") == VocFile("", None, ())


def test_windows_line_ends_and_a_mark_at_the_beginning(tmp_path: Path) -> None:
    put_one(tmp_path)
    text = (tmp_path / "Annotations/a.xml").read_text()
    put_text(tmp_path / "Annotations/a.xml", "\ufeff" + text.replace("><", ">\r\n<"))
    put_text(tmp_path / "ImageSets/Main/train.txt", "\ufeffa\r\n\r\n")
    assert plain(read(tmp_path)) == {"train": [("a.jpg", 64, 48, ONE_ITEM)]}


def test_a_writer_that_counts_from_0(tmp_path: Path) -> None:
    put_one(tmp_path, content=thing(corners="0 0 64 48"))
    assert read(tmp_path, voc_from_zero=True).annotations[0].items[0].xyxy == (0.0, 0.0, 64.0, 48.0)
    put_one(tmp_path, content=thing(corners="16 12 48 36"))
    assert read(tmp_path, voc_from_zero=True).annotations[0].items == ONE_ITEM
    assert read(tmp_path).annotations[0].items[0].xyxy == (15.0, 11.0, 48.0, 36.0)


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        ({}, {"train": ["a", "b", "c"]}),
        ({"trainval": "b\na\n"}, {"train": ["a", "b"]}),
        ({"train": "c  1\nb -1\nc", "trainval": "a\nb\nc"}, {"train": ["b", "c"]}),
        ({"train": "c\n", "val": "a"}, {"train": ["c"], "val": ["a"]}),
        ({"val": "a", "test": "b"}, {"train": [], "val": ["a"]}),
        ({"train": "a.jpg 1\n/data/JPEGImages/b.png\n", "valid": "c.xml"}, {"train": ["a", "b"], "val": ["c"]}),
    ],
)
def test_lists_of_splits(lists: dict[str, str], expected: dict[str, list[str]], tmp_path: Path) -> None:
    for name in "cab":
        put_one(tmp_path, name)
    for name, text in lists.items():
        put_text(tmp_path / f"ImageSets/Main/{name}.txt", text)
    tally = Tally()
    found = read(tmp_path, tally=tally)
    assert {split: [one.stem for one in part] for split, part in found.splits.items()} == expected
    tests = len(lists.get("test", "").split())
    rest = 3 - sum(len(part) for part in expected.values()) - tests
    assert tally.counts["annotations are in none of the lists that are read"] == rest
    assert tally.counts["pictures belong to no split and are not read"] == rest
    assert tally.counts["pictures of test are not read, because only train and val are"] == tests


def test_where_class_names_come_from(tmp_path: Path) -> None:
    put_one(tmp_path, "a", thing("Z") + thing("b"))
    put_one(tmp_path, "b", thing("B"))
    put_text(tmp_path / "ImageSets/Main/train.txt", "a")
    put_text(tmp_path / "ImageSets/Main/val.txt", "b")
    found = read(tmp_path)
    assert found.classes == ("B", "Z", "b")  # of both splits, in one order
    assert [item.category for one in found.annotations for item in one.items] == [1, 2, 0]
    put_text(tmp_path / "yolo_proc.json", '{"version":1,"classes":["b","Z","B","never drawn"]}')
    found = read(tmp_path)
    assert found.classes == ("b", "Z", "B", "never drawn")
    assert [item.category for one in found.annotations for item in one.items] == [1, 0, 2]
    assert "'B'" in refused(tmp_path, "class", classes=("b", "Z"))
    problems = Problems(skip=True)
    assert [one.stem for one in read(tmp_path, classes=("b", "Z"), problems=problems).annotations] == ["a"]
    assert problems.by_reason == {"class": 1}


def test_which_picture_an_annotation_means(tmp_path: Path) -> None:
    put_one(tmp_path, "a", "<filename>old_name.jpg</filename>")  # renamed since
    put_one(tmp_path, "b", "<filename>c.PNG</filename>", picture=False)
    put_picture(tmp_path / "JPEGImages/c.PNG")
    put_one(tmp_path, "d", "", picture=False)
    put_picture(tmp_path / "JPEGImages/d.jpeg")
    assert [one.name for one in read(tmp_path).annotations] == ["a.jpg", "c.PNG", "d.jpeg"]
    tally = Tally()
    read(tmp_path, tally=tally)
    assert tally.lines() == ()
    put_picture(tmp_path / "JPEGImages/e.png")
    read(tmp_path, tally=tally)
    assert tally.lines() == (f"1 picture belongs to no split and is not read (first: {tmp_path}/JPEGImages/e.png)",)


def test_the_picture_of_its_own_name_comes_first(tmp_path: Path) -> None:
    """As where a file was copied or renamed, and its `filename` was left."""
    put_one(tmp_path, "1", f"<filename>2.jpg</filename>{thing()}")
    put_picture(tmp_path / "JPEGImages/2.jpg")
    put_one(tmp_path, "3", "<filename>/home/somebody/1.jpg</filename>")
    put_one(tmp_path, "4", "<filename>C:\\x\\4.jpg</filename>")
    put_one(tmp_path, "5", "<filename>../../outside.jpg</filename>")
    put_one(tmp_path, "6", "<filename>sub/p.png</filename>", picture=False)
    put_picture(tmp_path / "JPEGImages/more/p.png")
    put_one(tmp_path, "A7", "", picture=False)
    put_picture(tmp_path / "JPEGImages/a7.JPG")
    put_picture(tmp_path.parent / "outside.jpg")
    tally = Tally()
    found = read(tmp_path, tally=tally)
    assert [(one.name, len(one.items)) for one in found.annotations] == [
        ("1.jpg", 1), ("3.jpg", 0), ("4.jpg", 0), ("5.jpg", 0), ("a7.JPG", 0), ("p.png", 0),
    ]  # fmt: skip
    assert tally.lines() == (
        "2 annotations name another picture that is there too; that of their own name is taken "
        f"(first: {tmp_path}/Annotations/1.xml)",
        f"1 picture belongs to no split and is not read (first: {tmp_path}/JPEGImages/2.jpg)",
    )


@pytest.mark.parametrize(
    ("xml", "picture", "splits"),
    [
        ("a.xml", "a.jpg", ["train"]),
        ("a.xml", "images/a.jpg", ["train"]),
        ("annotations/a.xml", "images/a.jpg", ["train"]),
        ("annotations/xmls/a.xml", "images/a.jpg", ["train"]),
        ("Annotations/a.XML", "a.jpg", ["train"]),
        ("train/a.xml", "train/a.jpg", ["train"]),
        ("valid/a.xml", "valid/a.jpg", ["train", "val"]),
        ("train/Annotations/a.xml", "train/JPEGImages/a.jpg", ["train"]),
        ("Annotations/val/a.xml", "JPEGImages/val/a.jpg", ["train", "val"]),
        ("Annotations/more/a.xml", "JPEGImages/more/a.jpg", ["train"]),
    ],
)
def test_layouts_of_others(xml: str, picture: str, splits: list[str], tmp_path: Path) -> None:
    put_text(tmp_path / xml, f"<annotation>{thing()}</annotation>")
    put_picture(tmp_path / picture)
    assert find_format(tmp_path) == "voc"
    found = read(tmp_path)
    assert list(found.splits) == splits
    assert [(one.path, one.items) for one in found.splits[splits[-1]]] == [(tmp_path / picture, ONE_ITEM)]


def test_a_split_of_folders_where_names_repeat(tmp_path: Path) -> None:
    for split in ("train", "valid", "test"):
        put_text(tmp_path / split / "a.xml", f"<annotation><filename>a.jpg</filename>{thing()}</annotation>")
        put_picture(tmp_path / split / "a.jpg")
    tally = Tally()
    found = read(tmp_path, tally=tally)
    assert {split: len(part) for split, part in found.splits.items()} == {"train": 1, "val": 1}
    first = tmp_path / "test/a.jpg"
    assert tally.lines() == (f"1 picture of test is not read, because only train and val are (first: {first})",)


SCHLUESSEL = f"{SIZE}{thing('Schlüssel')}"


@pytest.mark.parametrize("encoding", ["ISO-8859-1", "latin1", "windows-1252", "UTF-8", "utf-16", "utf-16-le", "cp850"])
def test_the_encoding_that_a_file_declares(encoding: str, tmp_path: Path) -> None:
    put_one(tmp_path)
    text = f'<?xml version="1.0" encoding="{encoding}"?>\r\n<annotation>{SCHLUESSEL}</annotation>'
    mark = b"\xff\xfe" if encoding == "utf-16-le" else b""
    put_text(tmp_path / "Annotations/a.xml", mark + text.encode(encoding))
    assert read(tmp_path).classes == ("Schlüssel",)


@pytest.mark.parametrize("encoding", ["gb2312", "shift_jis", "euc-kr"])
def test_encodings_of_several_bytes(encoding: str, tmp_path: Path) -> None:
    put_one(tmp_path)
    text = f'<?xml version="1.0" encoding="{encoding}"?><annotation>{thing("A一")}</annotation>'
    put_text(tmp_path / "Annotations/a.xml", text.encode(encoding))
    assert read(tmp_path).classes == ("A一",)


def test_tags_count_without_regard_to_case(tmp_path: Path) -> None:
    body = (
        "<Size><Width>64</Width><HEIGHT>48</HEIGHT></Size><Object><Name>A</Name><Difficult>1</Difficult>"
        "<BndBox><XMin>17</XMin><yMin>13</yMin><XMAX>48</XMAX><ymax>36</ymax></BndBox></Object>"
    )
    put_picture(tmp_path / "JPEGImages/a.jpg")
    put_text(tmp_path / "Annotations/a.xml", f'<Annotation xmlns="http://x">{body}</Annotation>')
    assert read(tmp_path).annotations[0].items == (replace(ONE_ITEM[0], ignore=True),)


@pytest.mark.parametrize(
    ("difficult", "ignore"), [("0", False), ("", False), ("1", True), ("True", True), ("false", False), ("no", False)]
)
def test_words_for_difficult(difficult: str, ignore: bool) -> None:
    (found,) = parse_voc(f"<annotation>{thing(more=f'<difficult>{difficult}</difficult>')}</annotation>", "x").objects
    assert found.difficult == ignore


@pytest.mark.parametrize("size", ["<size/>", "<size><width>0</width><height>0</height></size>", ""])
def test_a_size_that_is_not_said_is_the_pictures(size: str, tmp_path: Path) -> None:
    found = read(put_one(tmp_path, content=size + thing())).annotations[0]
    assert (found.width, found.height, found.items) == (64, 48, ONE_ITEM)


def test_what_an_object_says_besides_is_counted(tmp_path: Path) -> None:
    corners = ((17, 13), (48, 13), (30, 36))
    points = "".join(f"<pt><x>{x}</x><y>{y}</y></pt>" for x, y in corners)
    flat = "".join(f"<x{n}>{x}</x{n}><y{n}>{y}</y{n}>" for n, (x, y) in enumerate(corners, 1))
    turned = "<attributes><attribute><name>rotation</name><value>30.0</value></attribute></attributes>"
    bare = f"<object><name>A</name><polygon>{points}</polygon></object>"
    content = thing(more=f"<polygon>{flat}</polygon><occluded>1</occluded>") + bare + bare.replace(points, flat)
    put_one(tmp_path, content=content + thing(more=turned + "<truncated>1</truncated>"))
    put_text(tmp_path / "Annotations/b.txt", "0 1 1 1 1")
    tally = Tally()
    assert read(tmp_path, tally=tally).annotations[0].items == ONE_ITEM * 4
    assert tally.counts == {
        "files in Annotations are no XML and are not read": 1,
        "objects have outlines, which are not kept; their boxes are": 1,
        "objects have outlines, which are not kept; their bounds are the boxes": 2,
        "objects are marked occluded, which is not kept, because it is no share": 1,
        "objects are marked truncated, which is not kept, because it is no share": 1,
        "objects are marked as turned; their boxes are read as they stand": 1,
    }


def test_a_writer_that_seems_to_count_from_0_is_told(tmp_path: Path) -> None:
    put_one(tmp_path, "a", thing(corners="8 6 40 30"))
    for zero in ("0 6 40 30", "0.0 0.0 64 48", "8 0.5 40 30"):
        put_one(tmp_path, "b", thing(corners=zero))
        tally = Tally()
        found = read(tmp_path, tally=tally)
        (line,) = tally.lines()
        assert line.startswith("1 box begins at pixel 0")
        assert "--voc-from-zero" in line
        assert line.endswith(f"(first: {tmp_path}/Annotations/b.xml: object 0)")
        assert min(found.annotations[1].items[0].xyxy) == 0
        tally = Tally()
        assert read(tmp_path, tally=tally, voc_from_zero=True).annotations[0].items[0].xyxy == (8, 6, 40, 30)
        assert tally.lines() == ()
    put_one(tmp_path, "b", thing(corners="1 1 64 48"))
    tally = Tally()
    read(tmp_path, tally=tally)
    assert tally.lines() == ()


def test_xml_of_another_program_is_named(tmp_path: Path) -> None:
    put_one(tmp_path)
    put_text(tmp_path / "Annotations/a.xml", '<annotations><version>1.1</version><image id="0"/></annotations>')
    assert "CVAT's XML; export it as COCO, YOLO or Pascal VOC" in refused(tmp_path, "syntax")


# Bad input


@pytest.mark.parametrize(
    ("content", "reason", "place"),
    [
        (thing(corners="nan 13 48 36"), "not-finite", "object 0"),
        (thing() + thing(corners="17 13 inf 36"), "not-finite", "object 1"),
        (thing(corners="48 13 17 36"), "swapped", "object 0"),
        (thing(corners="17 13 16 36"), "degenerate", "object 0"),
        (thing(corners="17 13 70 36"), "outside", "object 0"),
        (thing(corners="-5 13 48 36"), "outside", "object 0"),
        (thing(corners="a 13 48 36"), "value", "object 0"),
        (thing(name=""), "class", "object 0"),
        (thing(name="a\x85b"), "class", "object 0"),
        (thing(more="<difficult>2</difficult>"), "value", "object 0"),
        ("<object><name>A</name></object>", "value", "object 0"),
        ("<object><name>A</name><bndbox><xmin>1</xmin></bndbox></object>", "value", "object 0"),
        ("<size><width>48</width><height>64</height></size>", "size", "size"),
        ("<size><width>64.5</width><height>48</height></size>", "value", "size"),
        ("<size><width>inf</width><height>48</height></size>", "not-finite", "size"),
        (f"{SIZE}<size><width>48</width><height>64</height></size>", "value", ""),
        (thing(more="<difficult>0</difficult><Difficult>1</Difficult>"), "value", "object 0"),
        (thing(more="<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"), "value", "object 0"),
        ("<object><name>A</name><robndbox><cx>9</cx></robndbox></object>", "value", "object 0"),
        ("<object><name>A</name><polygon><x1>9</x1><y1>9</y1></polygon></object>", "value", "object 0"),
    ],
)
def test_a_bad_annotation_is_named_or_its_picture_is_left_out(
    content: str, reason: str, place: str, tmp_path: Path
) -> None:
    put_picture(tmp_path / "outside.jpg")
    root = put_one(tmp_path / "set", "b", content)
    assert f"{root}/Annotations/b.xml: {place}: expected".replace(": :", ":") in refused(root, reason)
    put_one(root, "a")
    problems = Problems(skip=True)
    assert [one.name for one in read(root, problems=problems).annotations] == ["a.jpg"]
    assert problems.by_reason == {reason: 1}


ENTITIES = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
BOMB = (
    f'<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a0 "ha">{ENTITIES}]><annotation><filename>&a9;</filename></annotation>'
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "syntax"),
        ("<annotation>", "syntax"),
        ("<annotation><object></annotation>", "syntax"),
        ("<annotations/>", "syntax"),
        ("<annotation>&b;</annotation>", "syntax"),
        ("<annotation>\0</annotation>", "syntax"),
        ("<annotation/><annotation/>", "syntax"),
        ("{}", "syntax"),
        ("<annotation>ä</annotation>".encode("latin-1"), "syntax"),
        ('<?xml version="1.0" encoding="utf-8"?><annotation>ä</annotation>'.encode("latin-1"), "syntax"),
        ('<?xml version="1.0" encoding="klingon"?><annotation/>', "syntax"),
        ('<?xml version="1.0" encoding="zlib"?><annotation/>', "syntax"),
        ('<?xml version="1.0" encoding="punycode"?><annotation/>', "syntax"),
        (BOMB, "bomb"),
        ('<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><annotation>&b;</annotation>', "bomb"),
        ('<!DOCTYPE a [<!ENTITY % b SYSTEM "http://127.0.0.1/b">%b;]><annotation/>', "bomb"),
        ('<!DOCTYPE a SYSTEM "http://127.0.0.1/b"><annotation/>', "bomb"),
        (b"<annotation>" + b" " * (16 << 20) + b"</annotation>", "bomb"),
    ],
)
def test_bad_xml(text: str | bytes, reason: str, tmp_path: Path) -> None:
    root = put_one(tmp_path)
    put_text(root / "Annotations/a.xml", text)
    assert "a.xml" in refused(root, reason)


def test_deep_xml_is_only_deep() -> None:
    depth = 20_000
    assert parse_voc("<annotation>" + "<a>" * depth + "</a>" * depth + "</annotation>", "x").objects == ()


def test_pictures_and_annotations_that_do_not_belong_together(tmp_path: Path) -> None:
    root = put_one(tmp_path, "a", "<filename>gone.jpg</filename>", picture=False)
    assert "'gone.jpg'" in refused(root, "missing-image")
    put_picture(root / "JPEGImages/a.jpg")
    put_picture(root / "JPEGImages/a.png")
    assert "a.jpg and a.png" in refused(root, "duplicate-name")
    put_one(root, "a", "<filename>a.png</filename>")
    assert plain(read(root)) == {"train": [("a.png", 64, 48, ())]}
    put_one(root, "b", "<filename>a.png</filename>", picture=False)
    refused(root, "duplicate-name")
    put_text(root / "JPEGImages/a.png", "no picture")
    (root / "Annotations/b.xml").unlink()
    refused(root, "picture")
    put_picture(root / "JPEGImages/a.png")
    refused(root, "bomb", max_pixels=64 * 48 - 1)
    put_text(root / "Annotations/a.XML", "<annotation/>")
    refused(root, "duplicate-name")


def test_bad_lists_are_named_by_line(tmp_path: Path) -> None:
    root = put_one(tmp_path)
    for line, reason in {"gone": "value", "../../x": "escape", "/etc/passwd": "escape", "a\0": "value"}.items():
        put_text(root / "ImageSets/Main/train.txt", f"a\n{line}\n")
        assert "train.txt: line 2: expected" in refused(root, reason)
        problems = Problems(skip=True)
        assert len(read(root, problems=problems).annotations) == 1
        assert problems.by_reason == {reason: 1}
    put_text(root / "ImageSets/Main/train.txt", b"\xff")
    refused(root, "syntax", problems=Problems(skip=True))  # a file of the whole set


@pytest.mark.parametrize("name", ["JPEGImages/a.jpg", "Annotations/a.xml", "ImageSets/Main/train.txt", "Annotations"])
def test_a_link_that_leads_out_is_refused(name: str, tmp_path: Path) -> None:
    other, root = put_one(tmp_path / "other"), put_one(tmp_path / "set")
    for folder in (other, root):
        put_text(folder / "ImageSets/Main/train.txt", "a")
    assert len(read(root).annotations) == 1
    (root / name).rename(tmp_path / "away")
    link(root / name, other / name)
    refused(root, "escape")


def test_a_folder_that_holds_nothing(tmp_path: Path) -> None:
    assert not looks_like(tmp_path)
    refused(tmp_path, "value")


def damaged_set(tmp_path: Path) -> tuple[list[Path], Path]:
    root = put_one(tmp_path, content=f"<filename>a.jpg</filename>{SIZE}{thing()}{thing('B', '1 1 64 48')}")
    listed = put_text(root / "ImageSets/Main/train.txt", "a\n")
    return [root / "Annotations/a.xml", root / "Annotations/a.xml", listed], root


def test_damaged_files_give_the_typed_error_alone(tmp_path: Path) -> None:
    files, root = damaged_set(tmp_path)
    assert len(read(root).annotations[0].items) == 2
    refusals = fuzz(files, lambda: read(root), rounds=240)
    assert 80 < refusals < 238  # a fuzz that damages nothing, or that never gets past the first sign, shows nothing


def test_the_fuzz_sees_another_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = damaged_set(tmp_path)[1]
    only_typed_errors(lambda: read(root))

    def broken(*_: object) -> None:
        raise KeyError("name")

    monkeypatch.setattr(voc_xml, "_parse_object", broken)
    with pytest.raises(KeyError):
        only_typed_errors(lambda: read(root))


# Other people's readers


def parts_shown() -> dict[str, list[Annotation]]:
    by_hand = Annotation("by_hand.jpg", 64, 48, BY_HAND.items)
    return {
        "train": [Annotation("all.jpg", 8, 6, (Item((0, 0, 8, 6), 1),)), by_hand],
        "val": [Annotation("none.jpg", 8, 6)],
    }


def boxes_said(annotation: Annotation) -> list[tuple[float, ...]]:
    """The boxes to whole pixels."""
    return [item.xyxy for item in (BY_HAND_BACK if annotation.stem == "by_hand" else annotation.items)]


def test_supervision_reads_the_same_boxes(tmp_path: Path) -> None:
    import supervision

    parts = parts_shown()
    root = put_set(tmp_path, VocLayout(NAMES, ("train", "val")), parts)
    found = supervision.DetectionDataset.from_pascal_voc(str(root / "JPEGImages"), str(root / "Annotations"))
    by_name = {Path(path).name: detections for path, _, detections in found}
    annotated = [one for part in parts.values() for one in part]
    assert sorted(by_name) == sorted(one.name for one in annotated)
    for one in annotated:
        detections = by_name[one.name]
        assert detections.xyxy.tolist() == [list(box) for box in boxes_said(one)]
        assert [found.classes[index] for index in detections.class_id] == [NAMES[item.class_id] for item in one.items]


def test_torchvision_reads_the_same_boxes(tmp_path: Path) -> None:
    from torchvision.datasets import VOCDetection

    parts = parts_shown()
    put_set(tmp_path / "VOCdevkit/VOC2012", VocLayout(NAMES, ("train", "val")), parts)
    for split, part in parts.items():
        dataset = VOCDetection(tmp_path, year="2012", image_set=split, download=False)
        assert len(dataset) == len(part)
        for one, (picture, target) in zip(part, dataset, strict=True):
            said = target["annotation"]
            assert picture.size == (int(said["size"]["width"]), int(said["size"]["height"]))
            boxes = [
                [float(thing["bndbox"][tag]) for tag in ("xmin", "ymin", "xmax", "ymax")] for thing in said["object"]
            ]
            # It hands the numbers on as they stand: pixels counted from 1, both ends inclusive.
            assert [(x0 - 1, y0 - 1, x1, y1) for x0, y0, x1, y1 in boxes] == boxes_said(one)
            assert [thing["name"] for thing in said["object"]] == [NAMES[item.class_id] for item in one.items]
            assert [thing["difficult"] == "1" for thing in said["object"]] == [item.ignore for item in one.items]


# Pictures that no annotation reads


@pytest.mark.parametrize(("said", "other"), [("a.png", "a.jpg"), ("a.jpg", "a.png")])
def test_the_other_picture_of_a_base_name_is_told(said: str, other: str, tmp_path: Path) -> None:
    put_one(tmp_path, content=f"<filename>{said}</filename>{SIZE}{thing()}")
    put_picture(tmp_path / "JPEGImages/a.png")
    tally = Tally()
    data = read(tmp_path, tally=tally)
    assert [one.name for one in data.annotations] == [said]
    what = "pictures belong to no split and are not read"
    assert (tally.counts[what], tally.first[what]) == (1, f"{tmp_path}/JPEGImages/{other}")


def test_the_picture_of_a_bad_annotation_is_not_told_again(tmp_path: Path) -> None:
    put_text(put_one(put_one(tmp_path, "b")) / "Annotations/a.xml", "<annotation>")
    tally = Tally()
    assert len(read(tmp_path, tally=tally, problems=Problems(skip=True)).annotations) == 1
    assert not tally.counts


def test_pictures_of_kinds_that_are_not_read_are_named(tmp_path: Path) -> None:
    put_one(tmp_path)
    put_text(tmp_path / "JPEGImages/b.heic", "x")
    tally = Tally()
    notes = read(tmp_path, tally=tally).notes
    assert notes[-1].endswith(f".heic 1 (first: {tmp_path}/JPEGImages/b.heic); convert it to PNG or JPEG")
    assert not tally.counts


# Objects and boxes that stand elsewhere


@pytest.mark.parametrize("holder", ["objects", "Objects", "annotations", "instances"])
def test_objects_in_an_element_of_their_own_are_read(holder: str, tmp_path: Path) -> None:
    put_one(tmp_path, content=f"{SIZE}<{holder}>{thing()}{thing('B')}</{holder}>")
    data = read(tmp_path)
    assert [item.xyxy for item in data.annotations[0].items] == [ONE_ITEM[0].xyxy] * 2
    assert data.classes == ("A", "B")


BNDBOX = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (f"{thing()}<objects>{thing('B')}</objects>", "<object> in <objects>"),
        (f"<front>{thing()}</front><back>{thing()}</back>", "<object> in <back>"),
        (thing(more=thing("B")), "<object> in <object>"),
        (f"<a><b>{thing()}</b></a>", "<object> in <b>"),
        (f"<item><name>A</name>{BNDBOX}</item>", "<bndbox> in <item>"),
        (f"{thing()}{BNDBOX}", "<bndbox> in <annotation>"),
    ],
)
def test_objects_that_would_be_lost_are_refused(content: str, found: str, tmp_path: Path) -> None:
    put_one(tmp_path, content=SIZE + content)
    with pytest.raises(AnnotationError, match=f"expected every <object> in <annotation>.*found {found}") as caught:
        read(tmp_path)
    assert caught.value.reason == "syntax"


def test_boxes_of_parts_belong_to_their_object(tmp_path: Path) -> None:
    put_one(tmp_path, content=SIZE + thing(more=f"<part><name>head</name>{BNDBOX}</part>"))
    assert read(tmp_path).annotations[0].items == ONE_ITEM


# Encodings and numbers


@pytest.mark.parametrize("name", sorted({*voc_xml._NO_ENCODINGS, "unicode_escape", "raw_unicode_escape", "UTF_7"}))
def test_encodings_of_python_are_none_of_files(name: str) -> None:
    data = f'<?xml version="1.0" encoding="{name}"?><annotation/>'.encode()
    with pytest.raises(AnnotationError, match="expected an encoding of texts") as caught:
        voc_xml.decoded(data, "a.xml")
    assert caught.value.reason == "syntax"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1_7", "value"),
        ("\u0661\u0667", "value"),
        ("nan", "not-finite"),
        ("-Infinity", "not-finite"),
        ("1e999", "not-finite"),
        ("0x11", "value"),
    ],
)
def test_what_python_alone_takes_for_a_number_is_none(text: str, reason: str, tmp_path: Path) -> None:
    put_one(tmp_path, content=SIZE + thing(corners=f"{text} 13 48 36"))
    with pytest.raises(AnnotationError, match="in <xmin>") as caught:
        read(tmp_path)
    assert caught.value.reason == reason


def test_a_picture_in_both_lists_is_told(tmp_path: Path) -> None:
    put_one(put_one(tmp_path), "b")
    put_text(tmp_path / "ImageSets/Main/train.txt", "a\nb\n")
    put_text(tmp_path / "ImageSets/Main/val.txt", "b\n")
    notes = read_data_set(tmp_path, ReadOptions()).notes
    assert notes == (f"1 picture of val is a picture of train too (first: {tmp_path}/JPEGImages/b.jpg)",)
