"""From every format to every format, and back."""

import errno
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from picture_files import saved
from PIL import Image as Pillow
from tiny_sets import BINARY, SIDE, labels, noise, pixels, read_options, tree, write_set

from yolo_proc.annotations.binary import read_picture_record
from yolo_proc.annotations.formats import FORMATS, read_data_set
from yolo_proc.annotations.records import Annotation, Item, Problems, ReadOptions
from yolo_proc.annotations.yolo import reader as yolo_txt
from yolo_proc.cli.main import main
from yolo_proc.datasets.convert import Conversion, Converted, convert
from yolo_proc.datasets.setwriter import FileSet, WriteError
from yolo_proc.errors import AnnotationError, ConfigError, DataError
from yolo_proc.imaging.reading import PictureReading

CLASSES = ("A", "Ö", "M")
# Whole pixels, because two of the formats have no others; no two objects in one slot of a binary set.
SPLITS = {
    "train": [
        Annotation("a.png", SIDE, SIDE, (Item((0, 0, 6, 8), 1), Item((20, 24, 32, 32), 2), Item((9, 1, 15, 7), 1))),
        Annotation("b.png", SIDE, SIDE),
    ],
    "val": [Annotation("c.png", SIDE, SIDE, (Item((31, 0, 32, 1), 2),))],
}
# How far a box may move.
PRECISION = {"scredit": 0.5, "voc": 0.5, "yolo": 1e-6, "coco": 1e-9, "binary": 1e-5}


def run(source: Path, out: Path, to: str, **changes: Any) -> Converted:
    return convert(replace(Conversion(source=source, out=out, to=to, binary=BINARY), **changes))


def assert_same_labels(one: Mapping[str, Sequence[Any]], other: Mapping[str, Sequence[Any]], atol: float) -> None:
    assert list(one) == list(other)
    for name, boxes in one.items():
        assert len(boxes) == len(other[name])
        for (class_id, xyxy), (other_id, moved) in zip(sorted(boxes), sorted(other[name]), strict=True):
            assert class_id == other_id
            np.testing.assert_allclose(xyxy, moved, rtol=0, atol=atol)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("to", FORMATS)
def test_any_format_becomes_any_other(tmp_path: Path, name: str, to: str) -> None:
    write_set(tmp_path / "set", name, SPLITS, CLASSES)
    source = read_data_set(tmp_path / "set", read_options(name))
    done = run(tmp_path / "set", tmp_path / "out", to, options=read_options(name))
    # Without any option: what a binary set's files do not say stands beside them.
    data = read_data_set(tmp_path / "out", ReadOptions())
    assert (data.format, data.classes, list(data.splits)) == (to, CLASSES, ["train", "val"])
    renamed = labels(data)
    if name == "binary" and to == "voc":  # each split of a binary set counts from 0, but VOC has one folder for all
        renamed["val/image_00000"] = renamed.pop("val/val_image_00000")
        assert any("renamed, such as val_image_00000.png" in note for note in done.notes)
    if to == "binary":
        renamed = dict(zip(labels(source), renamed.values(), strict=True))
    assert_same_labels(labels(source), renamed, 1e-5)
    assert done.before.objects == done.after.objects == {"A": 0, "Ö": 2, "M": 2}  # type: ignore[union-attr]
    assert done.before.pictures == done.after.pictures == {"train": 2, "val": 1}  # type: ignore[union-attr]
    assert not done.lost
    if to != "binary":
        for part in data.splits.values():
            for number, one in enumerate(part):
                assert one.path is not None
                np.testing.assert_array_equal(pixels(one.path), noise(SIDE, SIDE, number))


sides = st.floats(0, 64, allow_subnormal=False)


@st.composite
def items(draw: st.DrawFn) -> Item:
    x0, x1 = sorted((draw(sides), draw(sides)))
    y0, y1 = sorted((draw(sides), draw(sides)))
    # Of less than a pixel whole pixels make one, which is tested format by format.
    x0, y0 = min(x0, 62.5), min(y0, 62.5)
    xyxy = (x0, y0, max(x1, x0 + 1.01), max(y1, y0 + 1.01))
    return Item(xyxy, draw(st.integers(0, 2)), ignore=draw(st.booleans()))


@given(
    pictures=st.lists(st.lists(items(), max_size=4), max_size=3),
    names=st.permutations(["yolo", "coco", "voc", "scredit"]),
)
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_labels_survive_a_journey_through_all_formats(
    tmp_path_factory: pytest.TempPathFactory, pictures: list[list[Item]], names: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("journey")
    part = [Annotation(f"p{number}.png", 64, 64, tuple(said)) for number, said in enumerate(pictures)]
    write_set(folder / "0", names[0], {"train": part}, CLASSES)
    place = folder / "0"
    atol = PRECISION[names[0]]
    for number, name in enumerate([*names[1:], names[0]], start=1):
        # Of a set without pictures nobody sees what it is, unless we wrote it.
        done = run(place, folder / str(number), name, source_format=names[0] if number == 1 else None)
        place = folder / str(number)
        assert done.before.objects == done.after.objects  # type: ignore[union-attr]
        atol = max(atol, PRECISION[name])
        given_labels = {
            f"train/p{i}": [(o.class_id, o.xyxy) for o in one.items if o.is_label] for i, one in enumerate(part)
        }
        assert_same_order(given_labels, labels(read_data_set(place, ReadOptions())), atol + 1e-5)


def assert_same_order(one: Mapping[str, Sequence[Any]], other: Mapping[str, Sequence[Any]], atol: float) -> None:
    assert list(one) == list(other)
    for name, boxes in one.items():
        assert [class_id for class_id, _ in boxes] == [class_id for class_id, _ in other[name]]
        for (_, xyxy), (_, moved) in zip(boxes, other[name], strict=True):
            np.testing.assert_allclose(xyxy, moved, rtol=0, atol=atol)


# ------------------------------------------------------------------------------------------------- class names


@pytest.mark.parametrize("to", FORMATS)
def test_a_set_without_class_0_keeps_its_names(tmp_path: Path, to: str) -> None:
    splits = {"train": [Annotation("a.png", SIDE, SIDE, (Item((4, 4, 12, 12), 2),))]}
    write_set(tmp_path / "set", "yolo", splits, CLASSES)
    (tmp_path / "set" / "yolo_proc.json").unlink()  # data.yaml has the names
    run(tmp_path / "set", tmp_path / "out", to)
    run(tmp_path / "out", tmp_path / "back", "coco")
    data = read_data_set(tmp_path / "back", ReadOptions())
    assert data.classes == CLASSES
    assert [item.category for item in data.annotations[0].items] == [2]


@pytest.mark.parametrize("to", FORMATS)
def test_coco_ids_become_indices_in_their_order(tmp_path: Path, to: str) -> None:
    write_set(tmp_path / "set", "coco", {"train": SPLITS["train"]}, None)
    path = tmp_path / "set" / "annotations" / "instances_train.json"
    coco = json.loads(path.read_text())
    coco["categories"] = [{"id": 90, "name": "toothbrush"}, {"id": 1, "name": "person"}, {"id": 17, "name": "cat"}]
    for one in coco["annotations"]:
        one["category_id"] = {2: 17, 3: 90}[one["category_id"]]
    path.write_text(json.dumps(coco))
    done = run(tmp_path / "set", tmp_path / "out", to)
    data = read_data_set(tmp_path / "out", ReadOptions())
    assert data.classes == ("person", "cat", "toothbrush")
    assert Counter(class_id for boxes in labels(data).values() for class_id, _ in boxes) == {1: 2, 2: 1}
    assert done.after is not None
    assert done.after.objects == {"person": 0, "cat": 2, "toothbrush": 1}


def test_given_names_are_written(tmp_path: Path) -> None:
    write_set(tmp_path / "set", "scredit", SPLITS, None)
    assert run(tmp_path / "set", tmp_path / "a", "voc").notes[0].endswith("(names are given by --classes FILE)")
    run(tmp_path / "set", tmp_path / "b", "voc", options=ReadOptions(classes=("x", "y", "z", "unused")))
    assert read_data_set(tmp_path / "b", ReadOptions()).classes == ("x", "y", "z", "unused")
    with pytest.raises(DataError, match="expected a class below 2, found 2"):
        run(tmp_path / "set", tmp_path / "c", "voc", options=ReadOptions(classes=("x", "y")))
    assert not (tmp_path / "c").exists()


def test_what_is_known_of_a_set_goes_along(tmp_path: Path) -> None:
    write_set(tmp_path / "set", "yolo", SPLITS, CLASSES)
    about = {"version": 1, "classes": [*CLASSES], "augmented": True, "generator": {"name": "glyphs", "seed": 3}}
    (tmp_path / "set" / "yolo_proc.json").write_text(json.dumps(about))
    run(tmp_path / "set", tmp_path / "out", "coco")
    written = json.loads((tmp_path / "out" / "yolo_proc.json").read_text())
    assert written == {
        "version": 1, "format": "coco", "classes": [*CLASSES], "generator": {"name": "glyphs", "seed": 3},
        "augmented": True, "complete": True, "converted_from": "yolo",
    }  # fmt: skip


def test_what_becomes_of_omitted_pictures_and_of_names_is_told(tmp_path: Path) -> None:
    said = [Annotation("a.png", SIDE, SIDE, extra={"usage": "omit"}), Annotation("b.png", SIDE, SIDE)]
    write_set(tmp_path / "set", "scredit", {"train": said}, CLASSES)
    assert run(tmp_path / "set", tmp_path / "same", "scredit").notes == ()
    done = run(tmp_path / "set", tmp_path / "yolo", "yolo")
    assert done.notes == ("1 pictures are omitted in the editor, and are ordinary ones in yolo",)
    assert done.lost == {"usage": 1}
    assert run(tmp_path / "set", tmp_path / "binary", "binary").notes[1:] == (
        "2 pictures lose their names: a binary set numbers them, by name in each part",
    )


def test_a_suffix_that_becomes_small_is_told(tmp_path: Path) -> None:
    write_set(tmp_path / "set", "yolo", {"train": [Annotation("a.PNG", SIDE, SIDE)]}, CLASSES)
    done = run(tmp_path / "set", tmp_path / "out", "scredit")
    assert done.notes == ("scredit has suffixes in small letters alone: 1 pictures are renamed, such as a.png",)


# ----------------------------------------------------------------------------------------------------- pictures


def test_pictures_are_copied_linked_or_left(tmp_path: Path) -> None:
    write_set(tmp_path / "set", "yolo", SPLITS, CLASSES)
    source = tmp_path / "set" / "images" / "train" / "a.png"
    for images in ("copy", "link", "none"):
        done = run(tmp_path / "set", tmp_path / images, "voc", images=images)
        path = tmp_path / images / "JPEGImages" / "a.png"
        assert path.exists() == (images != "none")
        assert (done.after is None) == (images == "none")
        if path.exists():
            assert path.read_bytes() == source.read_bytes()
            assert path.samefile(source) == (images == "link")
    assert sorted(tree(tmp_path / "copy")) == sorted(tree(tmp_path / "link"))
    assert not [name for name in tree(tmp_path / "none") if name.endswith("png")]


def test_a_link_that_the_system_refuses_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_set(tmp_path / "set", "yolo", SPLITS, CLASSES)

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(DataError, match=r"a\.png: cannot be linked from .*: Invalid cross-device link; --images copy"):
        run(tmp_path / "set", tmp_path / "out", "voc", images="link")


def test_a_picture_that_is_turned_by_exif_keeps_its_bytes_and_its_boxes(tmp_path: Path) -> None:
    write_set(tmp_path / "set", "scredit", {"train": [Annotation("a.jpg", 24, 16, (Item((1, 2, 9, 15), 0),))]}, ("x",))
    path = tmp_path / "set" / "a.jpg"
    exif = Pillow.Exif()
    exif[0x0112] = 6  # a quarter turn: the upright picture is 16 x 24
    Pillow.fromarray(noise(24, 16)).save(path, exif=exif)
    done = run(tmp_path / "set", tmp_path / "out", "yolo")
    assert (tmp_path / "out" / "images" / "train" / "a.jpg").read_bytes() == path.read_bytes()
    assert done.source.annotations[0].height == 24
    text = (tmp_path / "out" / "labels" / "train" / "a.txt").read_text()
    assert text == f"0 {5 / 16:.9g} {8.5 / 24:.9g} {8 / 16:.9g} {13 / 24:.9g}\n"


def test_pictures_of_one_name_in_two_splits_are_renamed_where_there_is_one_folder(tmp_path: Path) -> None:
    splits = {name: [Annotation("a.png", SIDE, SIDE, (Item((0, 0, 8, 8), i),))] for i, name in enumerate(SPLITS)}
    write_set(tmp_path / "set", "yolo", splits, CLASSES)
    done = run(tmp_path / "set", tmp_path / "out", "voc")
    assert done.notes[-1] == "voc has one folder for all splits: 1 pictures are renamed, such as val_a.png"
    data = read_data_set(tmp_path / "out", ReadOptions())
    assert [one.items[0].category for one in data.splits["val"]] == [1]
    assert run(tmp_path / "out", tmp_path / "coco", "coco").notes == ()


# ------------------------------------------------------------------------------------------------- what is refused


def test_only_an_empty_folder_is_written_to(tmp_path: Path) -> None:
    write_set(tmp_path / "set", "yolo", SPLITS, CLASSES)
    before = tree(tmp_path)
    with pytest.raises(DataError, match="expected an empty folder or none, found files in it"):
        run(tmp_path / "set", tmp_path / "set", "coco")
    with pytest.raises(DataError, match="expected a folder outside of the data set"):
        run(tmp_path / "set", tmp_path / "set" / "coco", "coco")
    with pytest.raises(DataError, match="no such folder"):
        run(tmp_path / "sat", tmp_path / "out", "coco")
    for changes in ({"to": "kokko"}, {"source_format": "kokko"}):
        with pytest.raises(ConfigError, match="format kokko: expected one of"):
            run(tmp_path / "set", tmp_path / "out", **{"to": "coco", **changes})
    assert tree(tmp_path) == before


def test_pictures_of_binary_sets_are_no_files(tmp_path: Path) -> None:
    write_set(tmp_path / "yolo", "yolo", SPLITS, CLASSES)
    write_set(tmp_path / "binary", "binary", SPLITS, CLASSES)
    options = read_options("binary")
    for images in ("link", "none"):
        with pytest.raises(ConfigError, match=f"--images {images}: a binary set holds its pictures itself"):
            run(tmp_path / "yolo", tmp_path / "out", "binary", images=images)
    with pytest.raises(ConfigError, match="--images link: the pictures of a binary set are no files"):
        run(tmp_path / "binary", tmp_path / "out", "yolo", images="link", options=options)
    assert run(tmp_path / "binary", tmp_path / "out", "yolo", images="none", options=options).after is None


def test_a_binary_set_has_pictures_of_one_size(tmp_path: Path) -> None:
    splits = {"train": [Annotation("a.png", 32, 32), Annotation("b.png", 32, 24)]}
    write_set(tmp_path / "set", "yolo", splits, CLASSES)
    own = replace(BINARY, width=0, height=0)
    with pytest.raises(
        AnnotationError, match=r"b\.png: expected a picture of 32 x 32 like all others .* found 32 x 24"
    ):
        run(tmp_path / "set", tmp_path / "out", "binary", binary=own)
    assert not (tmp_path / "out").exists()
    write_set(tmp_path / "empty", "yolo", {"train": []}, CLASSES)
    with pytest.raises(ConfigError, match=r"--binary\.size: a data set without pictures does not say it"):
        run(tmp_path / "empty", tmp_path / "out", "binary", binary=own)
    assert run(tmp_path / "empty", tmp_path / "out", "binary").after.pictures == {"train": 0}  # type: ignore[union-attr]


def test_what_a_binary_set_loses_is_counted(tmp_path: Path) -> None:
    said = (
        Item((0, 0, 8, 8), 0),
        Item((1, 1, 9, 9), 1),
        Item((16, 16, 24, 24), 2),
        Item((0, 24, 8, 32), 0, ignore=True),
    )
    write_set(tmp_path / "set", "coco", {"train": [Annotation("a.png", SIDE, SIDE, said)]}, CLASSES)
    done = run(tmp_path / "set", tmp_path / "out", "binary")
    assert done.before.text() == "1 pictures, 3 objects (A 1, Ö 1, M 1), 1 ignore regions"
    assert done.after is not None
    assert done.after.text() == "1 pictures, 2 objects (A 1, Ö 0, M 1)"
    assert done.lost == {"slot_taken": 1, "ignore": 1}


def test_names_that_a_format_cannot_have_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    write_set(tmp_path / "set", "yolo", {"train": [Annotation("a.1.png", SIDE, SIDE)]}, CLASSES)
    with pytest.raises(DataError, match=r"a\.1\.png"):
        run(tmp_path / "set", tmp_path / "out", "scredit")
    write_set(tmp_path / "twins", "coco", {"train": [Annotation("a.png", 8, 8), Annotation("a.jpg", 8, 8)]}, CLASSES)
    with pytest.raises(DataError, match="a name of its own in yolo") as caught:
        run(tmp_path / "twins", tmp_path / "out", "yolo")
    assert isinstance(caught.value, AnnotationError)
    assert caught.value.reason == "duplicate-name"
    assert not (tmp_path / "out").exists()


def test_bad_pictures_are_left_out_if_asked_for(tmp_path: Path) -> None:
    write_set(tmp_path / "set", "yolo", SPLITS, CLASSES)
    (tmp_path / "set/labels/train/b.txt").write_text("0 0.5 0.5 nan 0.1\n")
    with pytest.raises(AnnotationError, match=r"b\.txt: line 1"):
        run(tmp_path / "set", tmp_path / "out", "coco")
    assert not (tmp_path / "out").exists()
    done = run(tmp_path / "set", tmp_path / "out", "coco", options=ReadOptions(problems=Problems(skip=True)))
    assert done.problems.by_reason == {"not-finite": 1}
    assert done.after is not None
    assert done.after.pictures == {"train": 1, "val": 1}


@pytest.mark.parametrize("images", ["copy", "link"])
def test_a_picture_that_costs_too_much_is_not_handed_on(tmp_path: Path, images: Any) -> None:
    parts = {"train": [replace(one, name=f"{one.name[0]}.jpg") for one in SPLITS["train"]]}
    write_set(tmp_path / "set", "yolo", parts, CLASSES)
    jpeg = saved(Pillow.fromarray(noise(SIDE, SIDE)[:, :, 0]), "JPEG", progressive=True)
    last, end = jpeg.rindex(b"\xff\xda"), jpeg.rindex(b"\xff\xd9")
    (tmp_path / "set/images/train/b.jpg").write_bytes(jpeg[:last] + jpeg[last:end] * 200 + jpeg[end:])
    with pytest.raises(AnnotationError, match=r"b\.jpg: expected a JPEG of at most 100 scans"):
        run(tmp_path / "set", tmp_path / "out", "coco", images=images)
    skip = ReadOptions(problems=Problems(skip=True))
    done = run(tmp_path / "set", tmp_path / "skipped", "coco", images=images, options=skip)
    assert done.problems.by_reason == {"bomb": 1}
    assert done.after is not None
    assert sum(done.after.pictures.values()) == 1
    assert not list((tmp_path / "skipped").rglob("b.jpg"))


@pytest.mark.parametrize(
    ("to", "kind"), [("coco", "PNG"), ("yolo", "PNG"), ("voc", "PNG"), ("scredit", "PNG"), ("coco", "TIFF")]
)
def test_12_bits_in_files_of_16_are_told(tmp_path: Path, to: str, kind: str) -> None:
    name = f"a.{kind.lower()}"
    write_set(tmp_path / "set", "yolo", {"train": [replace(SPLITS["train"][0], name=name)]}, CLASSES)
    values = (noise(SIDE, SIDE)[:, :, 0].astype(np.uint16) << 4) | 1
    (tmp_path / "set/images/train" / name).write_bytes(saved(Pillow.fromarray(values), kind))
    notes = run(tmp_path / "set", tmp_path / "out", to).notes
    assert [line for line in notes if "1 of 1 pictures of 16 bits a sample use 12" in line] != []
    assert any("say so: where the copies are read, with --bit-depth 12" in line for line in notes)
    said = run(tmp_path / "set", tmp_path / "said", to, options=ReadOptions(reading=PictureReading(12)))
    assert not any("16 bits" in line for line in said.notes)


@pytest.mark.parametrize("to", ["coco", "binary"])
def test_a_set_of_bad_pictures_alone_is_refused(to: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_set(tmp_path / "set", "yolo", SPLITS, CLASSES)
    for path in (tmp_path / "set/labels").rglob("*.txt"):
        path.write_text("0 0.5 0.5 nan 0.1\n")
    words = ["convert", str(tmp_path / "set"), "--to", to, "--out", str(tmp_path / "out"), "--skip-bad"]
    assert main(words) == 2
    line = capsys.readouterr().err
    assert "labels/train/a.txt: line 1: expected finite numbers" in line
    assert "; nothing is left of the set, 3 are bad" in line
    assert not (tmp_path / "out").exists()


def test_a_set_of_damaged_pictures_alone_is_not_complete(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The damage lies behind the headers, and is met where pixels are needed."""
    write_set(tmp_path / "set", "yolo", {"train": SPLITS["train"]}, CLASSES)
    for path in (tmp_path / "set/images").rglob("*.png"):
        path.write_bytes(path.read_bytes()[:60])
    words = ["convert", str(tmp_path / "set"), "--to", "binary", "--out", str(tmp_path / "out"), "--skip-bad"]
    assert main(words) == 2
    assert "nothing is left of the set, 2 are bad" in capsys.readouterr().err
    about = tmp_path / "out/yolo_proc.json"
    assert not about.exists() or '"complete": false' in about.read_text()


def test_voc_that_counts_from_0_is_shifted(tmp_path: Path) -> None:
    write_set(tmp_path / "set", "voc", {"train": SPLITS["train"]}, CLASSES)
    moved = run(tmp_path / "set", tmp_path / "out", "coco", options=ReadOptions(voc_from_zero=True)).source
    plain = read_data_set(tmp_path / "set", ReadOptions())
    first, shifted = plain.annotations[0].items[1].xyxy, moved.annotations[0].items[1].xyxy
    assert (shifted[0] - first[0], shifted[1] - first[1]) == (1, 1)


def test_an_object_that_does_not_come_back_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_set(tmp_path / "set", "coco", SPLITS, CLASSES)
    line = yolo_txt._line
    monkeypatch.setattr(yolo_txt, "_line", lambda item, *size: line(replace(item, category=0), *size))
    with pytest.raises(DataError, match=r"reads back as 3 pictures .*A 4, Ö 0.*; expected 3 pictures .*A 0, Ö 2"):
        run(tmp_path / "set", tmp_path / "out", "yolo")
    monkeypatch.setattr(yolo_txt, "_line", lambda *_: "1 2 3")
    with pytest.raises(DataError, match=r"was written, but does not read back: .*txt: line 1"):
        run(tmp_path / "set", tmp_path / "out2", "yolo")


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_set(tmp_path / "set", "yolo", SPLITS, CLASSES)

    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(DataError, match=r"yolo_proc\.json: cannot be written: No space left on device$"):
        run(tmp_path / "set", tmp_path / "out", "scredit")


def test_an_unfinished_conversion_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_set(tmp_path / "set", "yolo", SPLITS, CLASSES)
    put = FileSet.put

    def full(*_: Any) -> Any:
        raise WriteError("a.png: cannot be written: No space left on device")

    def stopped(*_: Any) -> Any:
        raise KeyboardInterrupt

    for error, fail in ((DataError, full), (KeyboardInterrupt, stopped)):
        later = iter([put, fail])
        out = tmp_path / error.__name__
        with monkeypatch.context() as patched:
            patched.setattr(FileSet, "put", lambda *said, later=later: next(later)(*said))
            with pytest.raises(error, match=f"; {out} is not complete; delete it before you convert again$"):
                run(tmp_path / "set", out, "scredit")
        with pytest.raises(DataError, match="expected an empty folder"):
            run(tmp_path / "set", out, "scredit")
        data = read_data_set(out, ReadOptions())
        assert data.classes == CLASSES
        assert data.notes == (f"{out}: not complete, the command that wrote it was interrupted",)


@pytest.mark.parametrize("skip", [True, False])
def test_a_picture_that_is_damaged_further_in_is_left_out_of_a_binary_set(tmp_path: Path, skip: bool) -> None:
    write_set(tmp_path / "set", "yolo", SPLITS, CLASSES)
    picture = tmp_path / "set/images/train/a.png"
    picture.write_bytes(picture.read_bytes()[:-40])
    problems = Problems(skip=skip)
    if not skip:
        with pytest.raises(AnnotationError, match=r"a\.png: expected a whole PNG.*out is not complete; delete it"):
            run(tmp_path / "set", tmp_path / "out", "binary", options=ReadOptions(problems=problems))
        return
    done = run(tmp_path / "set", tmp_path / "out", "binary", options=ReadOptions(problems=problems))
    assert done.problems.by_reason == {"picture": 1}
    assert done.before.pictures == {"train": 1, "val": 1}
    assert done.before.objects == {"A": 0, "Ö": 0, "M": 1}
    data = read_data_set(tmp_path / "out", ReadOptions())
    assert [one.record for one in data.annotations] == [0, 0]
    found = read_picture_record(tmp_path / "out/train", 0, BINARY)
    np.testing.assert_array_equal(found, noise(SIDE, SIDE, 1))  # the second one's


def test_every_picture_is_counted(tmp_path: Path) -> None:
    write_set(tmp_path / "set", "yolo", SPLITS, CLASSES)
    told: list[tuple[int, int]] = []
    convert(
        Conversion(source=tmp_path / "set", out=tmp_path / "out", to="coco"),
        on_pictures=lambda *said: told.append(said),
    )
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]
