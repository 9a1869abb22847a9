"""What the readers of all formats say of pictures without labels, and of pictures that are passed over."""

from pathlib import Path, PurePosixPath

import pytest

from yolo_proc.annotations.common import split_of, tell_missing, tell_passed_over, tell_unread_split, with_names
from yolo_proc.annotations.records import Annotation, Tally


@pytest.mark.parametrize(
    ("name", "split"),
    [
        *[(name, "train") for name in ("train", "Train", "training", "train2017", "train_1", "instances_train")],
        *[(name, "val") for name in ("val", "valid", "validation", "VAL", "dev", "val2017", "instances_minival2014")],
        *[(name, "test") for name in ("test", "testing", "test-dev2017", "image_info_test")],
        *[(name, None) for name in ("", "images", "trainval", "latest", "pretrained", "value", "device", "2017")],
    ],
)
def test_the_part_that_a_name_means(name: str, split: str | None) -> None:
    assert split_of(name) == split


def test_what_is_told() -> None:
    tally = Tally()
    tell_missing(tally, "val", [], 4)
    tell_passed_over(tally, [])
    tell_unread_split(tally, "test", "x", 0)
    assert tally.lines() == ()
    tell_missing(tally, "train", [Path("b.jpg"), Path("a.jpg")], 2000)
    tell_passed_over(tally, [Path("c.jpg")])
    tell_unread_split(tally, "test", Path("d/e.jpg"), 12)
    assert tally.lines() == (
        "2 of 2,000 pictures of train have no label file and are taken as showing no object (first: b.jpg)",
        "1 picture belongs to no split and is not read (first: c.jpg)",
        "12 pictures of test are not read, because only train and val are (first: d/e.jpg)",
    )


def test_a_line_on_one_thing_is_in_the_singular() -> None:
    tally = Tally()
    what = "(box reaches|boxes reach) over the border (of a picture) and (is|are) clipped"
    tally.add(what, "a.txt: line 3")
    assert tally.lines() == ("1 box reaches over the border (of a picture) and is clipped (first: a.txt: line 3)",)
    tally.add(what, "b.txt", 1499)
    assert tally.lines() == ("1,500 boxes reach over the border (of a picture) and are clipped (first: a.txt: line 3)",)
    tally.add(what, "c.txt", 0)
    assert tally.counts == {"boxes reach over the border (of a picture) and are clipped": 1500}


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (["a.png", "b.png"], ["a.png", "b.png"]),
        (["x/a.png", "y/b.png"], ["a.png", "b.png"]),
        (["x/a.png", "y/a.png"], ["x_a.png", "y_a.png"]),
        (["x_a.png", "x/a.png", "y/a.png"], ["x_a.png", "_x_a.png", "y_a.png"]),
        (["x/a.png", "y/a.png", "x_a.jpg"], ["_x_a.png", "y_a.png", "x_a.jpg"]),
        (["x/a.png", "y/a.jpg"], ["x_a.png", "y_a.jpg"]),
        (["a.png", "x/a.png"], ["a.png", "x_a.png"]),
        (["a.png", "a.jpg"], ["a.png", "a.jpg"]),
        (["x/y/a.png", "x_y/a.png"], ["x_y_a.png", "_x_y_a.png"]),
    ],
)
def test_pictures_get_names_of_their_own(files: list[str], names: list[str]) -> None:
    tally = Tally()
    placed = [(PurePosixPath(file), Annotation(file.rpartition("/")[2], 4, 4)) for file in files]
    found = [one.name for one in with_names(placed, Path("set"), tally)]
    assert found == names
    renamed = [(old, new) for old, new in zip(files, names, strict=True) if old.rpartition("/")[2] != new]
    assert tally.counts.total() == len(renamed)
    if renamed:
        assert f"renamed (first: set: {renamed[0][0]} becomes {renamed[0][1]})" in tally.lines()[0]
