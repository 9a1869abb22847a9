"""Which format a folder holds, and what `yolo_proc.json` says of it."""

import json
import os
import random
from pathlib import Path

import pytest
from tiny_sets import BINARY, SIDE, read_options, write_set

from yolo_proc.annotations.about import about_bytes, binary_from_about, binary_to_about, read_about
from yolo_proc.annotations.classes import names_of_set
from yolo_proc.annotations.formats import FORMATS, find_format, read_data_set
from yolo_proc.annotations.records import Annotation, BinaryLayout, Item, ReadOptions
from yolo_proc.cli.set_flags import FORMAT_NAMES
from yolo_proc.errors import AnnotationError, ConfigError, DataError, YoloProcError

PICTURES = {
    "train": [
        Annotation("a.png", SIDE, SIDE, (Item((2, 3, 12, 9), 1), Item((16, 16, 32, 32), 0))),
        Annotation("b.png", SIDE, SIDE),
    ]
}


def test_the_command_line_knows_every_format() -> None:
    assert tuple(FORMATS) == FORMAT_NAMES


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("split", [False, True])
def test_a_folder_is_known_by_what_is_in_it(tmp_path: Path, name: str, split: bool) -> None:
    splits = {**PICTURES, "val": [Annotation("c.png", SIDE, SIDE, (Item((0, 0, 5, 6), 1),))]} if split else PICTURES
    write_set(tmp_path, name, splits, None)
    fitting = [other for other in FORMATS if FORMATS[other].looks_like(tmp_path)]
    assert fitting == [name]
    data = read_data_set(tmp_path, read_options(name))
    assert (data.format, list(data.splits)) == (name, list(splits))
    assert [len(part) for part in data.splits.values()] == [len(part) for part in splits.values()]


@pytest.mark.parametrize("name", FORMATS)
def test_a_set_without_pictures_is_read(tmp_path: Path, name: str) -> None:
    write_set(tmp_path, name, {"train": []}, ("a", "b"))
    data = read_data_set(tmp_path, read_options(name), name)
    assert data.annotations == ()
    assert data.classes == ("a", "b")


def test_yolo_proc_json_decides_before_looks(tmp_path: Path) -> None:
    write_set(tmp_path, "yolo", PICTURES, None)
    (tmp_path / "yolo_proc.json").write_text('{"version":1,"format":"scredit"}')
    assert find_format(tmp_path) == "scredit"
    for other in ('"of tomorrow"', '["yolo"]'):
        (tmp_path / "yolo_proc.json").write_text(f'{{"version":1,"format":{other}}}')
        assert find_format(tmp_path) == "yolo"


def test_a_folder_of_two_formats_is_refused_until_one_is_named(tmp_path: Path) -> None:
    write_set(tmp_path, "yolo", PICTURES, None)
    write_set(tmp_path, "voc", PICTURES, None)
    with pytest.raises(DataError, match="looks like yolo and like voc; the format must be given"):
        read_data_set(tmp_path, ReadOptions())
    assert read_data_set(tmp_path, ReadOptions(), "voc").format == "voc"


def test_an_unknown_folder_is_told_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no data set found in it; looked for scredit: .*; yolo: data\.yaml"):
        read_data_set(tmp_path, ReadOptions())
    with pytest.raises(DataError, match="no such folder"):
        read_data_set(tmp_path / "nowhere", ReadOptions())
    with pytest.raises(ConfigError, match=r"format coca: expected one of scredit, .*\(did you mean coco\?\)"):
        read_data_set(tmp_path, ReadOptions(), "coca")


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("a.json", '{"shapes":[],"imagePath":"a.png"}', "LabelMe"),
        ("ann/a.png.json", '{"size":{"height":1,"width":1},"objects":[]}', "Supervisely"),
        ("via.json", '{"_via_img_metadata":{}}', "VIA (VGG Image Annotator)"),
        ("export.json", '[{"id":1,"data":{"image":"a"},"annotations":[]}]', "Label Studio JSON"),
        ("annotations.xml", "<?xml version='1.0'?><annotations><version>1.1</version></annotations>", "CVAT's XML"),
        ("train/_annotations.csv", "filename,width\n", "a table (CSV)"),
        ("train.tfrecord", "", "TFRecord files"),
        ("export.ndjson", "{}", "JSON lines (Labelbox and others)"),
    ],
)
def test_a_format_that_is_none_of_ours_is_named(tmp_path: Path, name: str, content: str, found: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    with pytest.raises(DataError) as caught:
        read_data_set(tmp_path, ReadOptions())
    assert f"no data set found in it; {path} is {found}, which is not read: export it as COCO" in str(caught.value)


@pytest.mark.parametrize("name", FORMATS)
def test_a_set_in_one_more_folder_is_pointed_at(tmp_path: Path, name: str) -> None:
    write_set(tmp_path / "VOC2012", name, {"train": PICTURES["train"]}, ("a", "b"))
    with pytest.raises(DataError) as caught:
        read_data_set(tmp_path, ReadOptions())
    assert f"no data set found in it itself, but {tmp_path}/VOC2012 looks like {name}: name that" in str(caught.value)


def test_what_cannot_be_looked_at_does_no_harm(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.json")
    (tmp_path / "b.json").write_bytes(b"\xff{")
    (tmp_path / "c.json").write_text("[" * 100_000)
    (tmp_path / "d.json").write_text('{"_via_settings":{}}' + " " * (2 << 20))
    with pytest.raises(DataError, match="no data set found in it; looked for scredit"):
        read_data_set(tmp_path, ReadOptions())


def test_a_binary_set_of_ours_says_its_layout(tmp_path: Path) -> None:
    write_set(tmp_path, "binary", PICTURES, None)
    with pytest.raises(ConfigError, match=r"--binary\.size"):
        read_data_set(tmp_path, ReadOptions())
    about = {"version": 1, "classes": [*"abcdefghij"], "binary": binary_to_about(BINARY)}
    (tmp_path / "yolo_proc.json").write_bytes(about_bytes(about))
    first, second = sorted(item.xyxy for item in read_data_set(tmp_path, ReadOptions()).annotations[0].items)
    assert first == pytest.approx((2, 3, 12, 9), abs=1e-5)
    assert second == pytest.approx((16, 16, 32, 32), abs=1e-5)


def test_a_set_that_is_not_complete_says_so(tmp_path: Path) -> None:
    write_set(tmp_path, "yolo", PICTURES, None)
    about = {"version": 1, "classes": ["a", "b"], "complete": True}
    for complete, notes in ((True, 0), (False, 1)):
        (tmp_path / "yolo_proc.json").write_bytes(about_bytes({**about, "complete": complete}))
        assert sum("not complete" in note for note in read_data_set(tmp_path, ReadOptions()).notes) == notes
    (tmp_path / "images/train/a.png").unlink()
    with pytest.raises(DataError, match=r"^\S+: .* \(\S+: not complete, the command that wrote it was interrupted\)$"):
        read_data_set(tmp_path, ReadOptions())


@pytest.mark.parametrize("name", ["scredit", "binary", "voc"])
def test_a_part_that_is_a_set_itself_has_the_file_above(tmp_path: Path, name: str) -> None:
    write_set(tmp_path, name, {**PICTURES, "val": [Annotation("c.png", SIDE, SIDE)]}, None)
    about = {"version": 1, "format": name, "classes": [*"abcdefghij"], "augmented": True}
    if name == "binary":
        about["binary"] = binary_to_about(BINARY)
    (tmp_path / "yolo_proc.json").write_bytes(about_bytes(about))
    (tmp_path / "train").mkdir(exist_ok=True)
    if name == "voc":  # there a folder `train` is something else
        assert read_about(tmp_path / "train") is None
        return
    data = read_data_set(tmp_path / "train", ReadOptions())
    assert (data.classes, data.notes, list(data.splits)) == (tuple("abcdefghij"), (), ["train"])
    assert read_about(tmp_path / "train") == about
    assert read_about(tmp_path / "train", above=False) is None
    (tmp_path / "train/yolo_proc.json").write_bytes(about_bytes(about | {"classes": [*"0123456789"]}))
    assert read_data_set(tmp_path / "train", ReadOptions()).classes == tuple("0123456789")


# ------------------------------------------------------------------------------------------ yolo_proc.json


def test_the_layout_goes_through_the_file() -> None:
    layout = BinaryLayout(416, 320, 32, ((100.0, 50.5), (0.1, 3.0)), "float32")
    about = json.loads(about_bytes({"binary": binary_to_about(layout)}))
    assert binary_from_about(about, Path()) == layout
    assert binary_from_about({}, Path()) is None


@pytest.mark.parametrize(
    "text",
    [
        '"words"', "7", "[]", "{}", '{"size":[4,4],"stride":0,"anchors":[[1,1]],"type":"float32"}',
        '{"size":[4.5,4],"stride":4,"anchors":[[1,1]],"type":"float32"}',
        '{"size":[4,4],"stride":4,"anchors":[],"type":"float32"}',
        '{"size":[4,4],"stride":4,"anchors":[[1,NaN]],"type":"float32"}',
        '{"size":[4,4],"stride":4,"anchors":[[1]],"type":"float32"}',
        '{"size":[4,4],"stride":4,"anchors":[[1,1]],"type":"float64"}',
    ],
)  # fmt: skip
def test_a_layout_that_no_set_has_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(AnnotationError, match=r"yolo_proc\.json: binary: expected "):
        binary_from_about({"binary": json.loads(text)}, tmp_path)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "expected JSON"),
        (b"{", "expected JSON"),
        (b"[]", "an object in braces, found list"),
        (b'{"version":2}', "version: expected 1, found 2"),
        (b"{}", "version: expected 1, found None"),
        (b"\xff\xfe", "expected JSON"),
        (b"[" * 100_000, "nested too deep|expected JSON"),
    ],
)
def test_a_damaged_file_is_one_line(tmp_path: Path, content: bytes, found: str) -> None:
    (tmp_path / "yolo_proc.json").write_bytes(content)
    with pytest.raises(AnnotationError, match=found):
        read_about(tmp_path)


def test_it_must_lie_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "outside.json").write_text('{"version":1}')
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "yolo_proc.json").symlink_to(tmp_path / "outside.json")
    with pytest.raises(AnnotationError) as caught:
        read_about(tmp_path / "set")
    assert caught.value.reason == "escape"
    assert read_about(tmp_path) is None


def mistakes_of(mutated: list[bytes], folder: Path, read: object = read_about) -> list[str]:
    """What comes out of reading damaged files besides the typed error."""
    wrong = []
    for content in mutated:
        (folder / "yolo_proc.json").write_bytes(content)
        try:
            about = read(folder)  # type: ignore[operator]
            find_format(folder)
            binary_from_about(about or {}, folder)
        except YoloProcError:
            continue
        except Exception as error:  # noqa: BLE001 that is what is sought
            wrong.append(repr(error))
    return wrong


def test_only_typed_errors_come_from_damaged_files(tmp_path: Path) -> None:
    whole = about_bytes({"version": 1, "classes": ["a"], "complete": True, "binary": binary_to_about(BINARY)})
    rng = random.Random(5)
    mutated = []
    for _ in range(300):
        content = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            place = rng.randrange(len(content))
            content[place : place + rng.randint(0, 3)] = bytes(rng.choices(b'0[]{},":-e\xff\x00', k=rng.randint(0, 3)))
        mutated.append(bytes(content))
    assert mistakes_of(mutated, tmp_path) == []

    def careless(folder: Path) -> dict[str, object]:
        raise KeyError("classes")

    assert mistakes_of(mutated[:1], tmp_path, careless) == ["KeyError('classes')"]


@pytest.mark.parametrize("version", ["true", "2", '"1"', "null"])
def test_all_readers_of_the_set_file_want_its_version(version: str, tmp_path: Path) -> None:
    (tmp_path / "yolo_proc.json").write_text(f'{{"version":{version},"classes":["A"],"format":"yolo"}}')
    for read in (read_about, names_of_set):
        with pytest.raises(AnnotationError, match="version: expected 1, found"):
            read(tmp_path)
