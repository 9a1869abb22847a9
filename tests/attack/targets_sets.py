"""Data sets in every format, their single files, and what is made of them."""

import contextlib
import io
import itertools
import json
import math
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import ClassVar
from unittest.mock import patch

import numpy as np
from small_sets import GOLDEN
from tiny_sets import read_options, write_set

from attack.engine import ACCEPTED, Target
from attack.mutate import damage_labels, damage_text
from attack.trees import Content, Room, Tree, damage_tree, tree_of
from yolo_proc.annotations.classes import read_class_file
from yolo_proc.annotations.formats import read_data_set
from yolo_proc.annotations.records import Annotation, DataSet, Item, Problems, ReadOptions
from yolo_proc.cli import main as cli
from yolo_proc.errors import UserError
from yolo_proc.inspection import plots

Rng = np.random.Generator

CLASSES = ("disc", "b\u00e4r", "a c")
_POLYGON = ((4.0, 2.0), (20.5, 3.0), (12.0, 21.0), (5.0, 12.25))


def some_annotations() -> dict[str, list[Annotation]]:
    """Five small pictures with what formats can say: outlines, confidences, ignore regions, and without objects."""
    things = [
        Item((4.0, 2.0, 20.5, 21.0), 0, points=_POLYGON, confidence=0.5),
        Item((0.0, 0.0, 32.0, 24.0), 1),
        Item((1.5, 3.25, 9.0, 8.0), 2, ignore=True),
        Item((28.0, 20.0, 32.0, 24.0), 1, rotation=10.0, visible=0.5, in_frame=0.75),
    ]
    return {
        "train": [
            Annotation("a.jpg", 32, 24, tuple(things)),
            Annotation("b.png", 24, 32, (Item((0.0, 0.0, 24.0, 32.0), 1), Item((2.0, 3.0, 4.5, 9.0), 0))),
            Annotation("c.png", 32, 24),
        ],
        "val": [Annotation("d.jpg", 32, 24, tuple(things[::3])), Annotation("e.png", 16, 16, ())],
    }


def check_sound(data: DataSet, root: Path) -> None:
    """Sees to it that what was accepted can be trained on, and comes from the folder.

    Raises:
        AssertionError: a box that is none, a class that there is not, a picture elsewhere.
    """
    real = root.resolve()
    for one in data.annotations:
        assert one.width > 0, f"{one.name}: {one.width} x {one.height}"
        assert one.height > 0, f"{one.name}: {one.width} x {one.height}"
        assert one.path is None or one.path.resolve().is_relative_to(real), f"{one.path} is outside"
        for item in one.items:
            assert all(map(math.isfinite, itertools.chain(item.xyxy, *item.points))), f"{one.name}: {item}"
            if item.kind == "rectangle":
                x0, y0, x1, y1 = item.xyxy
                assert 0 <= x0 < x1 <= one.width, f"{one.name}: {item}"
                assert 0 <= y0 < y1 <= one.height, f"{one.name}: {item}"
                assert not item.is_label or 0 <= item.class_id < len(data.classes), f"{one.name}: {item}"
    for name in data.classes:
        assert name.isprintable(), repr(name)
        assert name.strip(), repr(name)
    assert len(set(data.classes)) == len(data.classes), data.classes
    assert all(note.encode("utf-8", "replace").decode().isprintable() for note in data.notes), data.notes


class SetTarget(Target):
    """A whole data set.

    Args:
        only: a part of the path of the one file that is damaged; the whole set where it is empty.
    """

    def __init__(self, format_name: str, name: str, about: str, only: str = "") -> None:
        super().__init__()
        self.format, self.name, self.about, self.only = format_name, name, about, only

    def prepare(self, room: Path) -> Sequence[Tree]:
        seeds = []
        for number, classes in enumerate((CLASSES, None)):
            root = room / f"{number}"
            root.mkdir(parents=True)
            splits = some_annotations()
            if self.format == "binary":
                splits = {"train": [Annotation(f"{n}", 32, 32, one.items[:2]) for n, one in enumerate(splits["train"])]}
            write_set(root, self.format, splits, classes)
            seeds.append(self._with_about(root, classes))
        seeds += _foreign(self.format, seeds[1])
        return [tree for tree in seeds if any(self.only in path for path in tree)]

    def _with_about(self, root: Path, classes: Sequence[str] | None) -> Tree:
        """The set; one of its files says of the set what `generate` says, so that it is damaged too."""
        if classes is not None and self.format != "binary":
            about = {"version": 1, "classes": list(classes), "format": self.format, "complete": True}
            (root / "yolo_proc.json").write_text(json.dumps(about), encoding="utf-8")
        return tree_of(root)

    def damage(self, tree: Tree, rng: Rng) -> tuple[dict[str, Content], str]:
        return damage_tree(tree, rng, only=self.only, whole=0.0 if self.only else 0.3)

    def read(self, tree: Tree, room: Room) -> str:
        root = room.put(tree)
        problems = Problems(skip=len(tree) % 2 == 0)
        wanted = None if len(tree) % 3 else self.format
        data = read_data_set(root, read_options(self.format, problems=problems), wanted)
        check_sound(data, root)
        for error in problems.errors:
            assert str(error).encode("utf-8", "replace").decode().isprintable(), repr(str(error))
        return ACCEPTED


def _foreign(format_name: str, ours: Tree) -> list[Tree]:
    """What other programs write."""
    pictures = {path: content for path, content in ours.items() if path.endswith((".jpg", ".png"))}
    if format_name == "coco":
        return [{**pictures, "annotations/instances_train.json": _foreign_coco(pictures)}]
    if format_name == "yolo":
        lines = b"0 0.1 0.1 0.5 0.1 0.5 0.6 0.2 0.7\n1 0.5 0.5 0.25 0.5\n"
        yaml = b"path: .\ntrain: images/train\nval: [images/val]\nnc: 2\nnames: ['a', \"b\"]  # two\n"
        return [{**pictures, "labels/train/a.txt": lines, "data.yaml": yaml}, {**pictures, "labels/train/b.txt": lines}]
    if format_name == "scredit":
        scripts = sorted((GOLDEN / "scredit").glob("[0-3]?_*.json"))
        picture = next(iter(pictures.values()))
        return [{"a.jpg": picture, "annotations/a.json": script.read_bytes()} for script in scripts]
    if format_name == "voc":
        picture = next(iter(pictures.values()))
        xml = (GOLDEN / "voc" / "by_hand.xml").read_bytes()
        return [{"JPEGImages/by_hand.png": picture, "Annotations/by_hand.xml": xml}]
    return []


def _foreign_coco(pictures: Tree) -> bytes:
    """COCO with what ours never writes: run lengths, several polygons, keypoints, keys that nobody knows."""
    common = {"image_id": 7, "category_id": 3, "iscrowd": 0, "area": 30.5, "bbox": [2, 3, 10.5, 9]}
    polygons = [[2, 3, 12.5, 3, 12.5, 12], [3, 4, 5, 6, 7, 8, 3, 9]]
    annotations = [
        {**common, "id": 1, "segmentation": polygons},
        {**common, "id": 2, "iscrowd": 1, "segmentation": {"size": [24, 32], "counts": [100, 20, 648]}},
        {**common, "id": 3, "iscrowd": 1, "segmentation": {"size": [24, 32], "counts": "T3d0d7"}},
        {**common, "id": 4, "category_id": 90, "keypoints": [3, 4, 2] * 17, "num_keypoints": 17, "score": 0.5},
    ]
    name = next(path for path in pictures if path.endswith("a.jpg")).rpartition("/")[2]
    return json.dumps({
        "info": {"year": 2017}, "licenses": [],
        "images": [{"id": 7, "file_name": name, "width": 32, "height": 24, "license": 1, "coco_url": "http://x/a.jpg"}],
        "categories": [{"id": 3, "name": "a", "supercategory": "s"}, {"id": 90, "name": "b", "skeleton": [[1, 2]]}],
        "annotations": annotations,
    }).encode()  # fmt: skip


class LineTarget(Target):
    """The lines of one label file of a YOLO set."""

    name, about, edits = "yolo-lines", "YOLO label lines", 4

    def prepare(self, room: Path) -> Sequence[Tree]:
        write_set(room / "0", "yolo", {"train": some_annotations()["train"][1:2]}, CLASSES)
        tree = tree_of(room / "0")
        lines = (
            b"0 0.5 0.5 0.25 0.5\n1 0.25 0.25 0.125 0.125 0.75\n",
            b"2 0.1 0.1 0.5 0.1 0.5 0.6 0.2 0.7\n0 0.5 0.5 1 1\n",
            b"",
        )
        return [{**tree, "labels/train/b.txt": text} for text in lines]

    def damage(self, tree: Tree, rng: Rng) -> tuple[dict[str, Content], str]:
        content = tree["labels/train/b.txt"]
        assert isinstance(content, bytes)
        damaged, note = damage_labels(content, rng)
        return {**tree, "labels/train/b.txt": damaged}, note

    def read(self, tree: Tree, room: Room) -> str:
        root = room.put(tree)
        check_sound(read_data_set(root, ReadOptions(), "yolo"), root)
        return ACCEPTED


class ClassListTarget(Target):
    """A file of class names."""

    name, about = "class-list", "class lists (--classes)"

    def prepare(self, room: Path) -> Sequence[Tree]:
        texts = (
            "a\nb\nc d\n",
            "\ufeffone\r\ntwo\r\n",
            "\u00e9\n\U0001f600\n\n\n",
            "\n".join(f"c{n}" for n in range(90)),
        )
        return [{"classes.txt": text.encode()} for text in texts]

    def damage(self, tree: Tree, rng: Rng) -> tuple[dict[str, Content], str]:
        content = tree.get("classes.txt")
        if not isinstance(content, bytes) or rng.random() < 0.03:
            return damage_tree(tree, rng, whole=1.0)
        damaged, note = damage_text(content, rng)
        return {"classes.txt": damaged}, note

    def read(self, tree: Tree, room: Room) -> str:
        names = read_class_file(room.put(tree) / "classes.txt")
        assert names, "no names"
        assert all(name.isprintable() and name.strip() == name and name for name in names), names
        assert len(set(names)) == len(names), names
        return ACCEPTED


class CommandTarget(Target):
    """Base of targets that give a tree to a command, in this process, as a user does."""

    codes: ClassVar[frozenset[int]] = frozenset({0, 2})

    def words(self, root: Path, out: Path) -> list[str]:
        """The command line."""
        raise NotImplementedError

    def read(self, tree: Tree, room: Room) -> str:
        root, out = room.put(tree), room.place / "out"
        shutil.rmtree(out, ignore_errors=True)
        code, told = command(self.words(root, out))
        assert code in self.codes, f"exit code {code}: {told}"
        if code:
            raise UserError(told.strip().rpartition("\n")[2])
        return ACCEPTED


def command(words: Sequence[str]) -> tuple[int, str]:
    """The exit code of a command and what it said on stderr.

    Raises:
        AssertionError: a refusal that says nothing, or something that is no text.
    """
    told, printed = _Console(), _Console()
    with contextlib.redirect_stderr(told), contextlib.redirect_stdout(printed):
        code = cli.main(list(words))
    text = told.getvalue()
    assert "Traceback" not in text, text
    lines = text.rstrip("\n").split("\n")
    assert all(line.encode("utf-8", "replace").decode().isprintable() for line in lines), repr(text)
    assert code == 0 or lines[-1].strip(), f"exit code {code} without a line"
    assert len(lines) < 60, f"{len(lines)} lines"
    return code, text


class _Console(io.StringIO):
    """Text that a console could show: what it could not encode is a traceback there too."""

    def write(self, text: str) -> int:
        text.encode("utf-8", "backslashreplace")
        return super().write(text)


class ConvertTarget(CommandTarget):
    """`convert` and `inspect` of a damaged set: reading, writing, reading back, counting."""

    about = "whole commands on damaged sets"
    seconds = 20.0

    def __init__(self, name: str, *words: str) -> None:
        super().__init__()
        self.name, self.command = name, words

    def prepare(self, room: Path) -> Sequence[Tree]:
        return [tree for target in _formats(room) for tree in target]

    def words(self, root: Path, out: Path) -> list[str]:
        to = ("coco", "voc", "yolo", "scredit")[len(list(root.rglob("*"))) % 4]
        where = {"{in}": str(root), "{out}": str(out), "{to}": to}
        return [where.get(word, word) for word in self.command]


class InspectTarget(ConvertTarget):
    """`inspect`; its page of plots, which costs ten times as much as all that it reads, is drawn now and then."""

    def read(self, tree: Tree, room: Room) -> str:
        small = np.full((8, 8, 3), 255, np.uint8)
        with ExitStack() as stack:
            if len(repr(tree)) % 64:
                stack.enter_context(patch.object(plots, "plots_page", lambda *_: small))
            return super().read(tree, room)


def _formats(room: Path) -> Iterator[Sequence[Tree]]:
    for name in ("yolo", "coco", "voc", "scredit"):
        yield SetTarget(name, name, "").prepare(room / name)


def targets() -> list[Target]:
    """All of this module."""
    return [
        LineTarget(),
        SetTarget("yolo", "yolo-yaml", "data.yaml", "data.yaml"),
        SetTarget("yolo", "yolo-set", "whole YOLO sets"),
        SetTarget("coco", "coco-json", "COCO JSON", ".json"),
        SetTarget("coco", "coco-set", "whole COCO sets"),
        SetTarget("voc", "voc-xml", "Pascal VOC XML", ".xml"),
        SetTarget("voc", "voc-set", "whole Pascal VOC sets"),
        SetTarget("scredit", "scredit-script", "scredit scripts", "annotations/"),
        SetTarget("scredit", "scredit-set", "whole scredit projects"),
        SetTarget("binary", "binary-set", "binary sets"),
        SetTarget("yolo", "set-json", "yolo_proc.json", "yolo_proc.json"),
        ClassListTarget(),
        ConvertTarget("convert", "convert", "{in}", "--to", "{to}", "--out", "{out}", "--skip-bad"),
        InspectTarget("inspect", "inspect", "{in}", "--out", "{out}"),
    ]
