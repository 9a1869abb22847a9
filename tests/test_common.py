"""What the readers of all formats say of pictures without labels, and of pictures that are passed over."""

from pathlib import Path

import pytest

from yolo_proc.annotations.common import split_of, tell_missing, tell_passed_over, tell_unread_split
from yolo_proc.annotations.records import Tally


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
        "1 pictures belong to no split and are not read (first: c.jpg)",
        "12 pictures of test are not read, because only train and val are (first: d/e.jpg)",
    )
