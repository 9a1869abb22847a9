"""YOLO: a text file for each picture, a line for each object, `data.yaml` for the set.

    images/{train,val}/NAME.jpg   labels/{train,val}/NAME.txt   data.yaml

A line is `class cx cy w h`, the last four divided by the upright picture's width and height. Lines of other kinds have
their own module, `yolo_lines`; so have the folders, `yolo_folders`, and what describes a set: `yolo_yaml` and
`yolo_darknet`.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import ClassVar

from yolo_proc.annotations.classes import MAX_CLASSES, find_name_list, known_classes, resolve_classes
from yolo_proc.annotations.common import (
    Folder,
    check_stems,
    checked_name,
    is_not_finite,
    lost_details,
    parse_number,
    read_text,
    shown,
    with_names,
)
from yolo_proc.annotations.layout import Layout, Listed
from yolo_proc.annotations.polygons import kept_polygon
from yolo_proc.annotations.records import Annotation, Box, DataSet, Item, ReadOptions, checked_box
from yolo_proc.annotations.yolo.darknet import find_darknet, read_darknet
from yolo_proc.annotations.yolo.data_yaml import (
    Description,
    description_to_yaml,
    find_description,
    other_descriptions,
    read_description,
)
from yolo_proc.annotations.yolo.folders import LabelFiles, describe_folders, find_pictures
from yolo_proc.annotations.yolo.lines import LineReader, split_fields
from yolo_proc.errors import AnnotationError
from yolo_proc.imaging.pictures import picture_size

# Shares of a picture from which on they are no shares: pixels, or percent. A whole object may be larger than a picture.
_NO_SHARE = 4
_NO_PIXELS = 1e6  # from here on it is damage


def looks_like(root: Path) -> bool:
    """Return whether the folder holds a YOLO set (or whether the file is its `data.yaml`, or its `obj.data`)."""
    if find_description(root) is not None or find_darknet(root) is not None:
        return True
    return root.is_dir() and describe_folders(root) is not None


def read(root: Path, options: ReadOptions) -> DataSet:
    """Return a YOLO set with `data.yaml` or `obj.data`, or one whose folders say what they are.

    Args:
        root: the folder, or the file `data.yaml` in it, which may have another name then.
        options: see `ReadOptions`.

    Raises:
        AnnotationError: a damaged `data.yaml`, a split without pictures, or a bad picture where they are not skipped.
        ConfigError: too few names were given.
    """
    folder, description = _describe(root)
    labels = LabelFiles(folder)
    names, notes = _own_names(folder, description, options)
    known = known_classes(folder.path, options, names)
    pictures = find_pictures(labels, description, options)
    files = [labels.of(one) for part in pictures.of.values() for one in part if labels.exists(one)]
    lines = LineReader(files, options.yolo_lines, description.keypoints, description.file is not None)
    reader = _Reader(labels, lines, known, options)
    splits = {split: _named(folder.path, reader.annotations(part), options) for split, part in pictures.of.items()}
    highest = max(
        (item.class_id for part in splits.values() for one in part for item in one.items), default=description.count - 1
    )
    classes, more = resolve_classes(folder.path, options, names, max(highest, description.count - 1))
    return DataSet(folder.path, "yolo", classes, splits, (*description.notes, *pictures.notes, *notes, *more))


def _describe(root: Path) -> tuple[Folder, Description]:
    """Return the folder of a set, and what it says of its pictures and classes."""
    file = find_description(root)
    if file is not None:
        folder = Folder(file.parent)
        return folder, read_description(file, folder)
    file = find_darknet(root)
    if file is not None:
        folder = Folder(root if root.is_dir() else file.parent)
        return folder, read_darknet(file, folder)
    found = describe_folders(root, labelled=False)
    if found is None:
        expected = "data.yaml, obj.data, the folders images and labels, or pictures with label files beside them"
        raise AnnotationError(root, "", expected, "none of them", reason="value")
    others = [path.name for path in other_descriptions(root)]
    if others:
        line = f"{root}: {' and '.join(others)} are not used; name the one that is meant in place of the folder"
        found = replace(found, notes=(*found.notes, line))
    return Folder(root), found


def _own_names(
    folder: Folder, description: Description, options: ReadOptions
) -> tuple[tuple[str, ...] | None, list[str]]:
    """Return the names that the set has itself, and lines for the user."""
    if options.classes is not None or description.names is not None:
        return description.names, []
    names = find_name_list(folder)
    if names is not None and description.count > len(names):
        line = f"{folder.path}: {len(names)} class names in it, though {description.file} says {description.count}"
        return None, [line]
    return names, []


def _named(root: Path, found: Iterable[Annotation], options: ReadOptions) -> tuple[Annotation, ...]:
    """Return the pictures of a part, each with a name of its own."""
    placed = [(PurePosixPath(one.path.relative_to(root)), one) for one in found if one.path is not None]
    return tuple(with_names(placed, root, options.tally))


class _Reader:
    """Reads the pictures of a set with their label files.

    Args:
        known: the class names; None: nobody says them.
    """

    def __init__(
        self, labels: LabelFiles, lines: LineReader, known: Sequence[str] | None, options: ReadOptions
    ) -> None:
        self.labels, self.lines, self.options = labels, lines, options
        self.classes = MAX_CLASSES if known is None else len(known)
        self.names = tuple(known or ())

    def annotations(self, pictures: Sequence[Path]) -> Iterator[Annotation]:
        """Yield the pictures, without the bad ones."""
        labels = [self.labels.of(picture) for picture in pictures]
        shares = Counter(labels)
        for picture, label in zip(pictures, labels, strict=True):
            try:
                if shares[label] > 1:
                    found = f"{shares[label]} that share {label}"
                    raise AnnotationError(picture, "", "one picture of this base name", found, reason="duplicate-name")
                yield self._annotation(picture, label)
            except AnnotationError as error:
                self.options.problems.met(error)

    def _annotation(self, picture: Path, label: Path) -> Annotation:
        folder, options = self.labels.folder, self.options
        width, height = picture_size(folder.checked(picture), max_pixels=options.max_pixels)
        items: tuple[Item, ...] = ()
        if self.labels.exists(picture):
            text = read_text(folder.checked(label))
            items = parse_labels(text, label, width, height, self.classes, options, self.lines, self.names)
        return Annotation(picture.name, width, height, items, picture)


def parse_labels(
    text: str,
    path: Path | str,
    width: int,
    height: int,
    classes: int = MAX_CLASSES,
    options: ReadOptions | None = None,
    lines: LineReader | None = None,
    names: Sequence[str] = (),
) -> tuple[Item, ...]:
    """Return the objects of one label file.

    Args:
        text: of the file.
        path: of the file, for messages.
        width, height: pixels of the upright picture.
        classes: how many there are.
        options: see `ReadOptions`.
        lines: says what the fields of a line are; None: an odd number from 7 on is a polygon.
        names: of the classes, which may stand in place of the indices.

    Raises:
        AnnotationError: a line that is no object of the picture.
    """
    options = options or ReadOptions()
    lines = lines or LineReader(lines="segments" if options.yolo_lines == "auto" else options.yolo_lines)
    parser = _LineParser(lines, path, (width, height), classes, options, names)
    items = [parser.item(line, f"line {number}") for number, line in enumerate(text.split("\n"), start=1)]
    return tuple(item for item in items if item is not None)


class _LineParser:
    """The lines of one label file."""

    def __init__(
        self,
        lines: LineReader,
        path: Path | str,
        size: tuple[int, int],
        classes: int,
        options: ReadOptions,
        names: Sequence[str],
    ) -> None:
        self.lines, self.path, self.size, self.classes, self.options = lines, path, size, classes, options
        self.indices = {name: index for index, name in enumerate(names)}

    def item(self, line: str, place: str) -> Item | None:
        """Return the object of a line; None where it has none."""
        fields, is_cut = split_fields(line)
        tally, where = self.options.tally, f"{self.path}: {place}"
        if is_cut:
            tally.add("(comment in a label file is|comments in label files are) not read", where)
        if not fields:
            return None
        if len(fields) < 5 and any(sign in line for sign in ",;"):
            expected = "fields with blanks between, and numbers with points"
            raise AnnotationError(self.path, place, expected, shown(line.strip()), reason="syntax")
        meaning = self.lines.fields(len(fields), self.path, place)
        category = _parse_class(fields[0], self.path, place, self.classes, self.indices)
        numbers = self._numbers(fields, place)
        confidence = None if meaning.confidence is None else numbers[meaning.confidence - 1]
        if confidence is not None and not 0 <= confidence <= 1:
            assert meaning.confidence is not None
            expected = f"a confidence from 0 to 1 as field {meaning.confidence + 1}"
            found = f"{fields[meaning.confidence]}; --yolo-lines box leaves out what follows the box"
            raise AnnotationError(self.path, place, expected, found, reason="value")
        shares = numbers[: meaning.end - 1]
        if _NO_SHARE < max(map(abs, shares)) < _NO_PIXELS:
            expected = "shares of the picture's width and height, 0 to 1"
            found = (
                f"{shown(' '.join(fields))}, which looks like pixels; divide them by {self.size[0]} and {self.size[1]}"
            )
            raise AnnotationError(self.path, place, expected, found, reason="outside")
        points, xyxy = self._shape(shares, meaning.is_box)
        box = checked_box(xyxy, *self.size, self.path, place, self.options)
        if box is None:
            return None
        if meaning.left_out:
            tally.add(meaning.left_out, where)
        return Item(box, category, points=kept_polygon(points, self.size, self.options), confidence=confidence)

    def _numbers(self, fields: Sequence[str], place: str) -> list[float]:
        try:
            return [parse_number(field) for field in fields[1:]]
        except ValueError:
            if any(map(is_not_finite, fields[1:])):
                shows = shown(" ".join(fields))
                raise AnnotationError(self.path, place, "finite numbers", shows, reason="not-finite") from None
            expected = "numbers with points" if any("," in field for field in fields) else "numbers"
            raise AnnotationError(self.path, place, expected, shown(" ".join(fields)), reason="syntax") from None

    def _shape(self, shares: Sequence[float], is_box: bool) -> tuple[tuple[tuple[float, float], ...], Box]:
        """Return the corners of a polygon, or none of a box, and the bounds; pixels."""
        width, height = self.size
        if is_box:
            cx, cy, w, h = shares  # an array of one box costs ten times as much
            cx, cy, half_w, half_h = cx * width, cy * height, w * width / 2, h * height / 2
            return (), (cx - half_w, cy - half_h, cx + half_w, cy + half_h)
        points = tuple((x * width, y * height) for x, y in zip(shares[::2], shares[1::2], strict=True))
        return points, _bounds_xyxy(points)


def _parse_class(
    field: str, path: Path | str, place: str, classes: int, indices: Mapping[str, int] | None = None
) -> int:
    """Return a class index; programs that save a whole table as floats write 3 as `3.000000e+00`, others write the
    name.
    """
    try:
        value = parse_number(field)
    except ValueError:
        value = float((indices or {}).get(field, math.nan))
    if not 0 <= value < classes or value != int(value):
        expected = f"a class from 0 to {classes - 1}" if classes else "no object, because there are no class names"
        found = shown(field)
        if not indices and field.isalpha() and field.lower() != "nan":
            found = f"{found}; names are read where --classes FILE says which classes there are"
        raise AnnotationError(path, place, expected, found, reason="class")
    return int(value)


def _bounds_xyxy(points: Sequence[tuple[float, float]]) -> Box:
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return min(xs), min(ys), max(xs), max(ys)


class YoloLayout(Layout):
    """`images/SPLIT/NAME`, `labels/SPLIT/STEM.txt`, `data.yaml`; only rectangles are written."""

    name: ClassVar[str] = "yolo"

    def picture_file(self, split: str, name: str) -> str:
        """Return `images/SPLIT/NAME`.

        Raises:
            DataError: the name is no plain file name, or has no suffix of a picture.
        """
        return f"images/{split}/{checked_name(name)}"

    def label_file(self, split: str, annotation: Annotation) -> tuple[str, bytes]:
        """Return `labels/SPLIT/STEM.txt`; empty for a picture without objects."""
        checked_name(annotation.name)
        lines = [_line(item, annotation.width, annotation.height) + "\n" for item in annotation.items if item.is_label]
        return f"labels/{split}/{annotation.stem}.txt", "".join(lines).encode()

    def set_files(self, splits: Mapping[str, Sequence[Listed]]) -> dict[str, bytes]:
        """Return `data.yaml`. Its `val` equals its `train` where there are no other pictures.

        Raises:
            DataError: two pictures of a split share a base name, and so a label file.
        """
        for split, part in splits.items():
            check_stems(f"labels/{split}", part)
        val = "images/val" if splits.get("val") else "images/train"
        return {"data.yaml": description_to_yaml("images/train", val, self.classes)}

    def losses(self, item: Item) -> Sequence[str]:
        """Return all but the class and the box."""
        if item.kind != "rectangle":
            return (item.kind,)
        if item.ignore:
            return ("ignore",)
        return lost_details(item)


def _line(item: Item, width: int, height: int) -> str:
    x0, y0, x1, y1 = item.xyxy
    cx, cy, w, h = (x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0  # an array of one box costs ten times as much
    return f"{item.class_id} {cx / width:.9g} {cy / height:.9g} {w / width:.9g} {h / height:.9g}"
