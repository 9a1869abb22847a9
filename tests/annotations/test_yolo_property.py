"""Random YOLO sets: what goes in comes out, or is told, to the picture and to the object.

A set is put on disk at random, with a list of what is in it. A plain loop over that list says what must come out, and
how often each line must be told.
"""

import math
import random
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from small_sets import put_picture, put_text, told_as_many

from yolo_proc.annotations.formats import read_data_set
from yolo_proc.annotations.records import Box, DataSet, ReadOptions
from yolo_proc.cli.main import main

SIZES = ((64, 48), (33, 50), (8, 8))
FOLDERS = ("train", "val", "valid", "test", "hard", "train2")
_PARTS = {"train": "train", "val": "val", "valid": "val", "test": "test", "hard": "", "train2": "train"}


@dataclass
class Put:
    """A picture that is put on disk.

    Attributes:
        part: "train", "val", "test", or nothing.
        objects: class and box in pixels; None: there is no label file.
        keypoints: of how many objects.
        is_read: whether its kind is one that is read.
    """

    path: str
    part: str
    objects: list[tuple[int, Box]] | None
    keypoints: int
    is_read: bool


@dataclass
class Truth:
    """Everything that was put."""

    pictures: list[Put] = field(default_factory=list)
    comments: int = 0
    over: int = 0


def put_random_set(root: Path, rng: random.Random) -> Truth:
    """A set of one kind of lines, in one of the usual layouts."""
    truth = Truth()
    lines = rng.choice(["box", "pose2", "pose3", "segments"])
    keypoints = rng.randint(1, 5)
    layout = rng.choice(["images/*", "*/images"])
    folders = sorted({"train", *rng.sample(FOLDERS, rng.randint(0, 4))})
    for folder in folders:
        for number in range(rng.randint(1, 4)):
            name = f"{rng.choice('ab')}{number}"  # the same name in several folders
            inner = rng.choice(["", "", "x/", "x/y/"])
            is_read = number == 0 or rng.random() < 0.8
            suffix = rng.choice([".png", ".PNG", ".jpg", ".bmp"]) if is_read else rng.choice([".heic", ".GIF"])
            place = layout.replace("*", folder)
            picture = Put(f"{place}/{inner}{name}{suffix}", _PARTS[folder], None, 0, is_read)
            width, height = rng.choice(SIZES)
            if is_read:
                put_picture(root / picture.path, width, height)
            else:
                put_text(root / picture.path, b"of another kind")
            if rng.random() < 0.8:
                text = _labels(rng, picture, truth, lines, keypoints, width, height)
                label = f"{place.replace('images', 'labels')}/{inner}{name}{rng.choice(['.txt', '.txt', '.TXT'])}"
                put_text(root / label, text)
            truth.pictures.append(picture)
    parts = {
        part: [layout.replace("*", one) for one in folders if _PARTS[one] == part] for part in ("train", "val", "test")
    }
    shape = {"pose2": f"kpt_shape: [{keypoints}, 2]\n", "pose3": f"kpt_shape: [{keypoints}, 3]\n"}.get(lines, "")
    named = "".join(f"{part}: {places}\n" for part, places in parts.items() if places)
    if shape or rng.random() < 0.5:
        put_text(root / "data.yaml", f"{named}{shape}names: [a, b, c]\n".replace("'", ""))
    else:
        put_text(root / "classes.txt", "a\nb\nc\n")
        (root / "labels").mkdir(exist_ok=True)
    return truth


def _labels(rng: random.Random, picture: Put, truth: Truth, lines: str, keypoints: int, width: int, height: int) -> str:
    """The text of a label file, after its objects have been noted."""
    picture.objects = []
    texts = []
    for _ in range(rng.randint(0, 3)):
        category = rng.randrange(3)
        if lines == "segments" and rng.random() < 0.8:
            corners = rng.randint(5, 9)
            turns = sorted(rng.uniform(0, 2 * math.pi) for _ in range(corners))
            points = [(0.5 + 0.4 * math.cos(turn), 0.5 + 0.3 * math.sin(turn)) for turn in turns]
            points += [(0.777, 0.111)] if corners == 5 else []
            fields = [f"{value:.7f}" for point in points for value in point]
            xs, ys = [float(one) * width for one in fields[::2]], [float(one) * height for one in fields[1::2]]
            box = (min(xs), min(ys), max(xs), max(ys))
        else:
            w, h = rng.uniform(0.2, 0.5), rng.uniform(0.2, 0.5)
            cx, cy = rng.uniform(w / 2, 1 - w / 2), rng.uniform(h / 2, 1 - h / 2)
            if rng.random() < 0.1:  # reaches over the border
                cx, truth.over = 1.0, truth.over + (picture.is_read and picture.part in ("train", "val"))
            fields = [f"{value:.7f}" for value in (cx, cy, w, h)]
            cx, cy, w, h = (float(one) for one in fields)
            box = ((cx - w / 2) * width, (cy - h / 2) * height, min(cx + w / 2, 1) * width, (cy + h / 2) * height)
            if lines.startswith("pose") and rng.random() < 0.8:
                picture.keypoints += 1
                for _ in range(keypoints):
                    fields += [f"{rng.random():.4f}", f"{rng.random():.4f}"] + [rng.choice("012")] * (lines == "pose3")
            elif rng.random() < 0.3:
                fields.append(f"{rng.random():.2f}")
        picture.objects.append((category, box))
        text = " ".join([rng.choice([str(category), f"{category}.0", "abc"[category]]), *fields])
        if rng.random() < 0.1:
            text, truth.comments = (
                f"{text} # seen",
                truth.comments + (picture.is_read and picture.part in ("train", "val")),
            )
        texts.append(text)
    return rng.choice(["\n", "\r\n"]).join([*texts, ""] if rng.random() < 0.5 else texts)


def counts(data: DataSet) -> Counter[str]:
    """How often each line is told, by its words; those that have no number at the beginning are left out."""
    found: Counter[str] = Counter()
    for note in data.notes:
        match = re.match(r"(?:\S*: )?([\d,]+) (.*?)(?: \(first: |: \.|$)", note)
        if match:
            words = re.sub("^file is a picture", "files are pictures", match[2])
            found[re.sub(r"^of [\d,]+ ", "", words)] += int(match[1].replace(",", ""))
    return found


def expected(truth: Truth) -> Counter[str]:
    """The same, by a loop over what was put."""
    found: Counter[str] = Counter()
    stems: dict[str, Counter[str]] = {"train": Counter(), "val": Counter()}
    for one in truth.pictures:
        if not one.is_read:
            found["files are pictures of a kind that is not read"] += 1
        elif one.part == "test":
            found["pictures of test are not read, because only train and val are"] += 1
        elif not one.part:
            found["pictures belong to no split and are not read"] += 1
        else:
            stems[one.part][one.path.rpartition("/")[2].rpartition(".")[0]] += 1
            found["objects have keypoints, which are left out"] += one.keypoints
            if one.objects is None:
                words = f"pictures of {one.part} have no label file and are taken as showing no object"
                found[words] += 1
    again = sum(count for part in stems.values() for count in part.values() if count > 1)
    found["pictures have the name of one in another folder, and are renamed"] += again
    found["comments in label files are not read"] += truth.comments
    found["boxes reach over the border of their pictures and are clipped"] += truth.over
    for part in ("train", "val"):  # where no picture has a label file, that is said in other words
        mine = [one for one in truth.pictures if one.is_read and one.part == part]
        if all(one.objects is None for one in mine):
            del found[f"pictures of {part} have no label file and are taken as showing no object"]
    return +found


@pytest.mark.parametrize("seed", range(120))
def test_what_goes_in_comes_out_or_is_told(seed: int, tmp_path: Path) -> None:
    truth = put_random_set(tmp_path, random.Random(seed))
    with told_as_many():
        data = read_data_set(tmp_path, ReadOptions(clip=True))
    told = counts(data)
    assert told == expected(truth)
    right = {one.path: one for one in truth.pictures if one.is_read and one.part in ("train", "val")}
    found = {one.path.relative_to(tmp_path).as_posix(): one for one in data.annotations if one.path is not None}
    assert found.keys() == right.keys()
    assert len(data.annotations) == len(found)
    for split, part in data.splits.items():
        assert len({one.name for one in part}) == len(part)
        for one in part:
            assert one.path is not None
            put = right[one.path.relative_to(tmp_path).as_posix()]
            assert put.part == split
            assert [item.category for item in one.items] == [category for category, _ in put.objects or ()]
            for item, (_, box) in zip(one.items, put.objects or (), strict=True):
                assert item.xyxy == pytest.approx(box, abs=1e-5)
    for part in data.splits:
        mine = [one for one in right.values() if one.part == part]
        if mine and all(one.objects is None for one in mine):
            assert any(f"no picture of {part} has a label file" in note for note in data.notes)


@pytest.mark.parametrize("to", ["yolo", "coco", "voc"])
@pytest.mark.parametrize("seed", range(8))
def test_what_is_read_is_what_convert_writes(seed: int, to: str, tmp_path: Path) -> None:
    put_random_set(tmp_path / "set", random.Random(seed))
    before = read_data_set(tmp_path / "set", ReadOptions(clip=True))
    assert main(["convert", str(tmp_path / "set"), "--to", to, "--out", str(tmp_path / "out"), "--clip"]) == 0
    after = read_data_set(tmp_path / "out", ReadOptions())
    for split, part in before.splits.items():
        right = sorted((item.category or 0, *item.xyxy) for one in part for item in one.items)
        found = sorted((item.category or 0, *item.xyxy) for one in after.splits[split] for item in one.items)
        assert len(found) == len(right)
        assert np.abs(np.array(found) - np.array(right)).max(initial=0) <= (1 if to == "voc" else 1e-4)
        assert len(after.splits[split]) == len(part)


def test_the_random_sets_have_everything_in_them(tmp_path: Path) -> None:
    total: Counter[str] = Counter()
    for seed in range(120):
        truth = put_random_set(tmp_path / str(seed), random.Random(seed))
        total += expected(truth)
        total["objects"] += sum(len(one.objects or ()) for one in truth.pictures)
    assert len(total) == 10
    assert min(total.values()) >= 15
