"""YOLO: a text file for each picture, a line for each object, `data.yaml` for the set.

    images/{train,val}/NAME.jpg   labels/{train,val}/NAME.txt   data.yaml

A line is `class cx cy w h`, the last four divided by the upright picture's width and height. Read besides: a sixth
field as the confidence, and the polygons of segmentation sets, `class x0 y0 x1 y1 x2 y2 ...`. `data.yaml` has its own
module, `yolo_yaml`.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from yolo_proc.annotations.classes import MAX_CLASSES, known_classes, resolve_classes
from yolo_proc.annotations.common import Folder, check_stems, checked_name, lost_details, read_text, shown
from yolo_proc.annotations.layout import Layout, Listed
from yolo_proc.annotations.records import Annotation, AnnotationError, Box, DataSet, Item, ReadOptions, checked_box
from yolo_proc.annotations.yolo_yaml import Description, description_to_yaml, find_description, read_description
from yolo_proc.boxes import cxcywh_to_xyxy
from yolo_proc.pictures import SUFFIXES, picture_size

# What label programs leave among the label files.
NO_LABEL_FILES = frozenset({"classes.txt"})


def looks_like(root: Path) -> bool:
    """Whether the folder holds a YOLO set (or whether the file is its `data.yaml`)."""
    return find_description(root) is not None or ((root / "images").is_dir() and (root / "labels").is_dir())


def read(root: Path, options: ReadOptions) -> DataSet:
    """A YOLO set with `data.yaml`, or with `images/` and `labels/` alone.

    Args:
        root: the folder, or the file `data.yaml` in it, which may have another name then.
        options: see `ReadOptions`.

    Raises:
        AnnotationError: a damaged `data.yaml`, or a bad picture where they are not skipped.
        ConfigError: too few names were given.
    """
    file = find_description(root)
    folder = Folder(file.parent if file is not None else root)
    description = read_description(file, folder) if file is not None else _description_of(folder)
    known = known_classes(folder.path, options, description.names)
    limit = MAX_CLASSES if known is None else len(known)
    notes = list(description.notes)
    splits: dict[str, tuple[Annotation, ...]] = {}
    for split, sources in description.sources.items():
        pictures = _pictures(folder, description, split, sources, options)
        splits[split] = tuple(_annotations(folder, pictures, limit, options))
        if pictures and not any(_label_path(folder, picture).is_file() for picture in pictures):
            expected = _label_path(folder, pictures[0])
            notes.append(f"{folder.path}: no picture of {split} has a label file ({expected} would be the first)")
    highest = max(
        (item.class_id for part in splits.values() for one in part for item in one.items), default=description.count - 1
    )
    classes, lines = resolve_classes(folder.path, options, description.names, max(highest, description.count - 1))
    return DataSet(folder.path, "yolo", classes, splits, (*notes, *lines))


def parse_labels(
    text: str, path: Path | str, width: int, height: int, classes: int = MAX_CLASSES, options: ReadOptions | None = None
) -> tuple[Item, ...]:
    """The objects of one label file.

    Args:
        text: of the file.
        path: of the file, for messages.
        width, height: pixels of the upright picture.
        classes: how many there are.
        options: see `ReadOptions`.

    Raises:
        AnnotationError: a line that is no object of the picture.
    """
    options = options or ReadOptions()
    items = []
    for number, line in enumerate(text.split("\n"), start=1):
        fields = line.split()
        if fields:
            items.append(_parse_line(fields, path, f"line {number}", (width, height), classes, options))
    return tuple(item for item in items if item is not None)


def _parse_line(
    fields: list[str], path: Path | str, place: str, size: tuple[int, int], classes: int, options: ReadOptions
) -> Item | None:
    if len(fields) < 5 or (len(fields) > 6 and len(fields) % 2 == 0):
        expected = "`class cx cy w h`, the same with a confidence, or a class and at least three points"
        raise AnnotationError(path, place, expected, f"{len(fields)} fields", reason="syntax")
    category = _parse_class(fields[0], path, place, classes)
    try:
        numbers = [float(field) for field in fields[1:]]
    except ValueError:
        raise AnnotationError(path, place, "numbers", shown(" ".join(fields)), reason="syntax") from None
    if not all(math.isfinite(value) for value in numbers):
        raise AnnotationError(path, place, "finite numbers", shown(" ".join(fields)), reason="not-finite")
    width, height = size
    if len(numbers) > 5:
        points = tuple((x * width, y * height) for x, y in zip(numbers[::2], numbers[1::2], strict=True))
        box = checked_box(_bounds_xyxy(points), width, height, path, place, options)
        return box and Item(box, category, points=points)
    cx, cy, w, h = (value * side for value, side in zip(numbers, (width, height) * 2, strict=False))
    x0, y0, x1, y1 = (float(value) for value in cxcywh_to_xyxy([cx, cy, w, h])[0])
    confidence = numbers[4] if len(numbers) == 5 else None
    if confidence is not None and not 0 <= confidence <= 1:
        raise AnnotationError(path, place, "a confidence from 0 to 1 as the sixth field", fields[5], reason="value")
    box = checked_box((x0, y0, x1, y1), width, height, path, place, options)
    return box and Item(box, category, confidence=confidence)


def _parse_class(field: str, path: Path | str, place: str, classes: int) -> int:
    """A class index; programs that save a whole table as floats write 3 as `3.000000e+00`."""
    try:
        value = float(field)
    except ValueError:
        value = math.nan
    if not 0 <= value < classes or value != int(value):
        expected = f"a class from 0 to {classes - 1}" if classes else "no object, because there are no class names"
        raise AnnotationError(path, place, expected, shown(field), reason="class")
    return int(value)


def _bounds_xyxy(points: Sequence[tuple[float, float]]) -> Box:
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return min(xs), min(ys), max(xs), max(ys)


def _description_of(folder: Folder) -> Description:
    """Of a set without `data.yaml`: the folders in `images/` are its splits, or `images/` is all of it."""
    images = folder.path / "images"
    if not images.is_dir():
        found = "neither"
        raise AnnotationError(folder.path, "", "data.yaml, or the folders images and labels", found, reason="value")
    names = {"train": ("train",), "val": ("val", "valid")}
    parts = {
        split: tuple(images / name for name in spellings if (images / name).is_dir())
        for split, spellings in names.items()
    }
    if not parts["train"]:
        return Description(folder.path, None, {"train": (images,)})
    return Description(folder.path, None, {split: sources for split, sources in parts.items() if sources})


def _pictures(
    folder: Folder, description: Description, split: str, sources: Iterable[Path], options: ReadOptions
) -> list[Path]:
    """The pictures of a split, each once, by name."""
    found: dict[Path, None] = {}
    for source in sources:
        if source.suffix.lower() == ".txt" and not source.is_dir():
            found |= dict.fromkeys(_listed_pictures(folder, description, source, options))
        elif source.is_dir():
            pictures = [path for path in folder.files(source) if path.suffix.lower() in SUFFIXES]
            _report_orphans(folder, source, pictures, options)
            found |= dict.fromkeys(pictures)
        elif not description.may_lack_folders:
            expected = "a folder of pictures, or a list of them"
            raise AnnotationError(
                description.file or folder.path, split, expected, f"no {shown(str(source))}", reason="value"
            )
    return sorted(found, key=lambda path: (path.name, path))


def _listed_pictures(folder: Folder, description: Description, file: Path, options: ReadOptions) -> list[Path]:
    """The pictures of a list with one path a line, relative to the set, or to the list itself."""
    found = []
    for number, line in enumerate(read_text(folder.checked(file)).split("\n"), start=1):
        name, place = line.strip().replace("\\", "/"), f"line {number}"
        if not name:
            continue
        try:
            bases = [file.parent] if name.startswith("./") else [description.base, file.parent]
            candidates = [folder.named(name, base, file, place) for base in bases]
            existing = [path for path in candidates if path.is_file()]
            if not existing:
                raise AnnotationError(file, place, "a picture", f"no file {shown(name)}", reason="missing-image")
            if existing[0].suffix.lower() not in SUFFIXES:
                expected = f"a picture ({', '.join(sorted(SUFFIXES))})"
                raise AnnotationError(file, place, expected, shown(name), reason="picture")
            found.append(existing[0])
        except AnnotationError as error:
            options.problems.met(error)
    return found


def _label_path(folder: Folder, picture: Path) -> Path:
    """The label file of a picture: in `labels` instead of the last `images` of its path, else beside the picture."""
    return _label_folder(folder, picture.parent) / f"{_stem(picture)}.txt"


def _label_folder(folder: Folder, pictures: Path) -> Path:
    parts = list(pictures.relative_to(folder.path).parts)
    if "images" in parts:
        parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    return folder.path.joinpath(*parts)


def _stem(path: Path) -> str:
    return path.name.rpartition(".")[0]


def _report_orphans(folder: Folder, source: Path, pictures: Sequence[Path], options: ReadOptions) -> None:
    """Label files whose picture is missing: their objects would be lost in silence."""
    labels = _label_folder(folder, source)
    if labels == source or not labels.is_dir():
        return
    expected = {_label_path(folder, picture) for picture in pictures}
    for path in folder.files(labels):
        if path.suffix.lower() == ".txt" and path not in expected and path.name not in NO_LABEL_FILES:
            picture = source / path.relative_to(labels).with_suffix("")
            wanted = f"a picture {picture} with one of the suffixes {', '.join(sorted(SUFFIXES))}"
            options.problems.met(AnnotationError(path, "", wanted, "none", reason="missing-image"))


def _annotations(folder: Folder, pictures: Sequence[Path], classes: int, options: ReadOptions) -> Iterable[Annotation]:
    shares = Counter(_label_path(folder, picture) for picture in pictures)
    for picture in pictures:
        label = _label_path(folder, picture)
        try:
            if shares[label] > 1:
                found = f"{shares[label]} that share {label}"
                raise AnnotationError(picture, "", "one picture of this base name", found, reason="duplicate-name")
            yield _annotation(folder, picture, label, classes, options)
        except AnnotationError as error:
            options.problems.met(error)


def _annotation(folder: Folder, picture: Path, label: Path, classes: int, options: ReadOptions) -> Annotation:
    width, height = picture_size(folder.checked(picture), max_pixels=options.max_pixels)
    items: tuple[Item, ...] = ()
    if folder.checked(label).exists():
        items = parse_labels(read_text(label), label, width, height, classes, options)
    return Annotation(picture.name, width, height, items, picture)


class YoloLayout(Layout):
    """`images/SPLIT/NAME`, `labels/SPLIT/STEM.txt`, `data.yaml`; only rectangles are written."""

    name: ClassVar[str] = "yolo"

    def picture_file(self, split: str, name: str) -> str:
        """`images/SPLIT/NAME`.

        Raises:
            DataError: the name is no plain file name, or has no suffix of a picture.
        """
        return f"images/{split}/{checked_name(name)}"

    def label_file(self, split: str, annotation: Annotation) -> tuple[str, bytes]:
        """`labels/SPLIT/STEM.txt`; empty for a picture without objects."""
        checked_name(annotation.name)
        lines = [_line(item, annotation.width, annotation.height) + "\n" for item in annotation.items if item.is_label]
        return f"labels/{split}/{annotation.stem}.txt", "".join(lines).encode()

    def set_files(self, splits: Mapping[str, Sequence[Listed]]) -> dict[str, bytes]:
        """`data.yaml`. Its `val` equals its `train` where there are no other pictures.

        Raises:
            DataError: two pictures of a split share a base name, and so a label file.
        """
        for split, part in splits.items():
            check_stems(f"labels/{split}", part)
        val = "images/val" if splits.get("val") else "images/train"
        return {"data.yaml": description_to_yaml("images/train", val, self.classes)}

    def losses(self, item: Item) -> Sequence[str]:
        """All but the class and the box."""
        if item.kind != "rectangle":
            return (item.kind,)
        if item.ignore:
            return ("ignore",)
        return lost_details(item)


def _line(item: Item, width: int, height: int) -> str:
    x0, y0, x1, y1 = item.xyxy
    cx, cy, w, h = (x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0  # an array of one box costs ten times as much
    return f"{item.class_id} {cx / width:.9g} {cy / height:.9g} {w / width:.9g} {h / height:.9g}"
