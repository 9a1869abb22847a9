"""What goes into a reader comes out or is told, to the object: random sets against a reference loop for each format.

Files are written by the loops here, as other programs write them; what must be read and told is computed beside it.
"""

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_sets import put_picture, put_text, told_as_many

from yolo_proc.annotations.formats import read_data_set
from yolo_proc.annotations.polygons import box_rle
from yolo_proc.annotations.records import ReadOptions, _forms
from yolo_proc.annotations.voc.reader import _FROM_ZERO

WIDTH, HEIGHT = 64, 48
CLASSES = ("nut", "bolt", "pin")
CLIPPED = "boxes reach over the border of their pictures and are clipped"
OUTSIDE = "boxes lie outside of their pictures and are left out"
EXTRA = "pictures belong to no split and are not read"
TEST = "pictures of test are not read, because only train and val are"
OTHER_NAME = "annotations name another picture that is there too; that of their own name is taken"
SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

Rng = np.random.Generator
Box = tuple[float, float, float, float]


@dataclass
class Expected:
    """What a reader must say: of each picture (class, box, whether ignored, confidence), and what it must tell."""

    root: Path
    pictures: dict[str, list[tuple[int, Box, bool, float | None]]] = field(default_factory=dict)
    told: Counter[str] = field(default_factory=Counter)

    def check(self, format_name: str) -> None:
        """Reads the set and compares everything."""
        with told_as_many():
            data = read_data_set(self.root, ReadOptions(classes=CLASSES, clip=True), format_name)
        found = {
            f"{split}/{one.name}": [(i.class_id, i.xyxy, i.ignore, i.confidence) for i in one.items]
            for split, part in data.splits.items()
            for one in part
        }
        assert found.keys() == self.pictures.keys()
        for name, items in found.items():
            assert [(a, c, d) for a, _, c, d in items] == [(a, c, d) for a, _, c, d in self.pictures[name]]
            for (_, box, _, _), (_, other, _, _) in zip(items, self.pictures[name], strict=True):
                assert box == pytest.approx(other, abs=1e-9)
        told = Counter[str]()
        for note in data.notes:
            number, _, what = note.rpartition(" (first: ")[0].partition(" ")
            told[what] += int(number.replace(",", ""))
        assert told == self.told

    def box(self, xyxy: Box) -> Box | None:
        """What `--clip` makes of a box, and counts it."""
        x0, y0, x1, y1 = xyxy
        kept = max(x0, 0.0), max(y0, 0.0), min(x1, float(WIDTH)), min(y1, float(HEIGHT))
        if kept[0] >= kept[2] or kept[1] >= kept[3]:
            self.told[OUTSIDE] += 1
            return None
        self.told[CLIPPED] += kept != xyxy
        return kept


def random_box(rng: Rng, *, whole: bool = False, inside: bool = False) -> Box:
    """Mostly inside, some over the border, a few outside; at least 2 pixels wide."""
    reach = 0 if inside or rng.random() < 0.7 else 30
    x0, y0 = rng.integers(-reach, WIDTH - 3 + reach), rng.integers(-reach, HEIGHT - 3 + reach)
    x1 = x0 + rng.integers(2, max(3, (WIDTH - x0 if not reach else 40) + 1))
    y1 = y0 + rng.integers(2, max(3, (HEIGHT - y0 if not reach else 40) + 1))
    half = 0.0 if whole or rng.random() < 0.5 else 0.5
    return float(x0), float(y0), float(x1 - half), float(y1 - half)


def extra_pictures(rng: Rng, expected: Expected, folder: str) -> None:
    """Pictures that nothing names, and some of a part that is not read."""
    for number in range(rng.integers(0, 3)):
        put_picture(expected.root / folder / f"extra{number}.png", 2, 2)
        expected.told[EXTRA] += 1
    for number in range(rng.integers(0, 3)):
        put_picture(expected.root / "test" / f"t{number}.png", 2, 2)
        expected.told[TEST] += 1
    expected.told = +expected.told


def splits_of(rng: Rng) -> dict[str, list[str]]:
    """Names of pictures, at least one in each part."""
    names = {"train": [f"p{number}.png" for number in range(rng.integers(1, 4))]}
    if rng.random() < 0.5:
        names["val"] = [f"v{number}.png" for number in range(rng.integers(1, 3))]
    return names


# ------------------------------------------------------------------------------------------------------ COCO


def coco_object(rng: Rng, expected: Expected) -> tuple[dict[str, Any], tuple[int, Box, bool, float | None] | None]:
    """An annotation, and what must be read of it."""
    kind = str(rng.choice(["box", "crowd", "crowd_mask", "polygon", "pieces", "mask", "no_box", "mask_alone", "score"]))
    category = int(rng.integers(0, 3))
    # A mask cannot reach over the border.
    box = random_box(rng, whole="mask" in kind, inside="mask" in kind or kind == "crowd")
    x0, y0, x1, y1 = box
    corners = [x0, y0, x1, y0, x1, y1, x0, y1]
    mask = box_rle(box, WIDTH, HEIGHT) if "mask" in kind else None
    said: dict[str, Any] = {"category_id": category + 1, "bbox": [x0, y0, x1 - x0, y1 - y0]}
    said |= {"iscrowd": 1} if "crowd" in kind else {"iscrowd": 0} if rng.random() < 0.5 else {}
    if kind in ("polygon", "no_box"):
        said["segmentation"] = [corners]
    if kind == "pieces":
        said["segmentation"] = [corners, corners]
    if mask is not None:
        said["segmentation"] = mask
    if kind in ("no_box", "mask_alone"):
        del said["bbox"]
        expected.told["objects have no bbox; that of their outline is taken"] += 1
    if kind == "score":
        said["score"] = 0.25
    kept = expected.box(box)
    if kept is None:
        return said, None
    if kind == "pieces":
        expected.told["objects have outlines of several pieces, which are not kept; their boxes are"] += 1
    if kind in ("mask", "mask_alone"):
        expected.told["objects have masks (RLE), which are not kept; their boxes are"] += 1
    return said, (category, kept, "crowd" in kind, 0.25 if kind == "score" else None)


@SETTINGS
@given(st.integers(0, 2**32 - 1))
def test_coco(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    rng = np.random.default_rng(seed)
    expected = Expected(tmp_path_factory.mktemp("coco"))
    as_text = rng.random() < 0.3
    for split, names in splits_of(rng).items():
        images, annotations = [], []
        for number, name in enumerate(names):
            put_picture(expected.root / split / name, WIDTH, HEIGHT)
            images.append({"id": f"{number}" if as_text else number, "file_name": name})
            items = expected.pictures[f"{split}/{name}"] = []
            for _ in range(rng.integers(0, 5)):
                said, item = coco_object(rng, expected)
                annotations.append({"id": len(annotations), "image_id": number, **said})
                items += [] if item is None else [item]
        rng.shuffle(images)  # type: ignore[arg-type]
        categories = [{"id": number, "name": name} for number, name in enumerate(CLASSES, 1)]
        content = {"images": images, "annotations": annotations, "categories": categories}
        put_text(expected.root / f"annotations/instances_{split}.json", json.dumps(content))
    extra_pictures(rng, expected, "train")
    expected.check("coco")


# ------------------------------------------------------------------------------------------------------- VOC


@SETTINGS
@given(st.integers(0, 2**32 - 1))
def test_voc(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    rng = np.random.default_rng(seed)
    expected = Expected(tmp_path_factory.mktemp("voc"))
    told = expected.told
    splits = splits_of(rng)
    every = [name for names in splits.values() for name in names]
    flags = {
        "truncated": "objects are marked truncated, which is not kept, because it is no share",
        "occluded": "objects are marked occluded, which is not kept, because it is no share",
        "polygon": "objects have outlines, which are not kept; their boxes are",
        "part": "objects have parts with boxes of their own, which are left out",
    }
    for split, names in splits.items():
        for name in names:
            put_picture(expected.root / "JPEGImages" / name, WIDTH, HEIGHT)
            items = expected.pictures[f"{split}/{name}"] = []
            called = str(rng.choice(every))
            told[OTHER_NAME] += called != name
            lines = [f"<filename>{called}</filename>"]
            for _ in range(rng.integers(0, 5)):
                category, (x0, y0, x1, y1) = int(rng.integers(0, 3)), random_box(rng)
                difficult = rng.random() < 0.3
                zeros = {"truncated": "1", "occluded": "1", "polygon": "<x1>1</x1>", "part": "<name>p</name>"}
                more = {tag: value for tag, value in zeros.items() if rng.random() < 0.2}
                told.update(flags[tag] for tag in more)
                inner = "".join(f"<{tag}>{value}</{tag}>" for tag, value in more.items())
                corners = {"xmin": x0 + 1, "ymin": y0 + 1, "xmax": x1, "ymax": y1}
                box = "".join(f"<{tag}>{value}</{tag}>" for tag, value in corners.items())
                tag = "Difficult" if rng.random() < 0.5 else "difficult"
                lines.append(
                    f"<object><name>{CLASSES[category]}</name>{inner}<{tag}>{int(difficult)}</{tag}>"
                    f"<bndbox>{box}</bndbox></object>"
                )
                # A minimum of 0 is what a writer from 0 has: it is told, and read as the border.
                if 0 <= min(x0 + 1, y0 + 1) < 1:
                    told["from zero"] += 1
                x0, y0 = (0.0 if 0 <= low + 1 < 1 else low for low in (x0, y0))
                kept = expected.box((x0, y0, x1, y1))
                items += [] if kept is None else [(category, kept, difficult, None)]
            put_text(expected.root / f"Annotations/{name[:-4]}.xml", f"<annotation>{''.join(lines)}</annotation>")
        put_text(expected.root / f"ImageSets/Main/{split}.txt", "".join(f"{name[:-4]}\n" for name in names))
    from_zero = _forms(_FROM_ZERO)[1]
    told[from_zero] = told.pop("from zero", 0)
    extra_pictures(rng, expected, "JPEGImages")
    expected.check("voc")


# --------------------------------------------------------------------------------------------------- scredit


@SETTINGS
@given(st.integers(0, 2**32 - 1))
def test_scredit(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    rng = np.random.default_rng(seed)
    expected = Expected(tmp_path_factory.mktemp("scredit"))
    splits = splits_of(rng)
    for split, names in splits.items():
        project = expected.root / split if len(splits) > 1 else expected.root
        (project / "annotations").mkdir(parents=True)
        without = 0
        for name in names:
            put_picture(project / name, WIDTH, HEIGHT)
            items = expected.pictures[f"{split}/{name}"] = []
            if rng.random() < 0.25:
                without += 1
                continue
            said: list[dict[str, Any]] = []
            for _ in range(rng.integers(0, 5)):
                one, item = scredit_item(rng, expected)
                said.append(one)
                items += [] if item is None else [item]
            put_text(project / "annotations" / f"{name[:-4]}.json", json.dumps({"items": said}))
        what = f"of {len(names)} pictures of {split} have no label file and are taken as showing no object"
        expected.told[what] += without
    extra_pictures(rng, expected, "more")
    expected.check("scredit")


def scredit_item(rng: Rng, expected: Expected) -> tuple[dict[str, Any], tuple[int, Box, bool, float | None] | None]:
    category = int(rng.integers(0, 3))
    properties: dict[str, Any] = {"category": category}
    percent = int(rng.integers(0, 101)) if rng.random() < 0.3 else None
    if percent is not None:
        properties["confidence"] = percent
    confidence = None if percent is None else percent / 100
    kind = str(rng.choice(["rectangle", "rectangle", "mask", "pt", "polygon", "t"]))
    x0, y0, x1, y1 = random_box(rng, whole=True)
    bounds = [x0, y0, x1 - x0, y1 - y0]
    if kind == "rectangle":
        if rng.random() < 0.2:
            bounds[2] += 0.25  # cut off, as the editor does
            expected.told["items have numbers with fractions, which are cut off as the editor does"] += 1
        if rng.random() < 0.2:
            properties["label"] = "x"
            expected.told["keys of items are not known and not kept, such as 'label'"] += 1
        kept = expected.box((x0, y0, x1, y1))
        return {"bounds": bounds, "p": properties}, None if kept is None else (category, kept, False, confidence)
    shape: dict[str, Any] = {"": kind, "p": properties}
    shape |= {"mask": {"bounds": bounds}, "pt": {"loc": [x0, y0]}, "t": {"b": bounds, "s": "x"}}.get(
        kind, {"pt": [x0, y0, x1, y0, x1, y1]}
    )
    return shape, (category, (x0, y0, x0, y0) if kind == "pt" else (x0, y0, x1, y1), False, confidence)
