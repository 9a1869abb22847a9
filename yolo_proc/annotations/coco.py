"""COCO: one JSON file for each part of a data set, pictures in folders beside it.

Ours: `annotations/instances_{train,val}.json`, the pictures in `train/` and `val/`. Read as well: any names of the JSON
files that tell train from val (`instances_train2017.json`), files in the root or beside the pictures of a part, and
pictures in `train2017/`, `images/`, `images/train/` and the root itself.

What others' files say and we do not read: keypoints, licences, URLs, and the pixels of RLE masks.
"""

import itertools
import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from yolo_proc.annotations.checked_json import Entry, read_object
from yolo_proc.annotations.classes import NOTES_FILE, SET_FILE, resolve_classes
from yolo_proc.annotations.common import Folder, checked_name, lost_details
from yolo_proc.annotations.layout import Layout, Listed
from yolo_proc.annotations.polygons import Points, areas_and_texts, box_rle
from yolo_proc.annotations.records import (
    SPLITS,
    Annotation,
    AnnotationError,
    DataSet,
    Item,
    ReadOptions,
    checked_box,
)
from yolo_proc.errors import DataError
from yolo_proc.pictures import picture_size

FOLDER = "annotations"
PREFIX = "instances"  # COCO's folders hold files of captions and keypoints as well
# What a COCO file begins with. Other formats have JSON files in a folder `annotations` too.
_BEGINNING = re.compile(rb'(\xef\xbb\xbf)?\s*\{\s*"(images|annotations|categories|info|licenses|type)"')
_PLACES = ((FOLDER,), (".",), ("train", "val", "valid"))  # where files are looked for; the first with any is taken


_WORDS = {"train": "train", "val": ("val", "minival"), "test": "test"}  # beginnings of words that name a part


# ---- finding files


def looks_like(root: Path) -> bool:
    """Whether there are COCO files where `read` looks for them; opens at most three files a folder."""
    folders = [root / folder for place in _PLACES for folder in place]
    return any(_begins_like_coco(path) for folder in folders for path in _json_files(folder)[:3])


def _json_files(folder: Path) -> list[Path]:
    """By name, those called `instances...` first."""
    files = [path for path in folder.glob("*.json") if path.name not in (SET_FILE, NOTES_FILE) and path.is_file()]
    return sorted(files, key=lambda path: (not path.name.startswith(PREFIX), path.name))


def _begins_like_coco(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return _BEGINNING.match(file.read(256)) is not None
    except OSError:
        return False


def _find_files(root: Path) -> tuple[dict[str, Path], list[str]]:
    """The file of each part, and lines on those that were left."""
    found: list[Path] = []
    for place in _PLACES:
        files = [path for folder in place for path in _json_files(root / folder)]
        found = [path for path in files if path.name.startswith(PREFIX) or _begins_like_coco(path)]
        if found:
            break
    found = [path for path in found if path.name.startswith(PREFIX)] or found
    parts: dict[str, list[Path]] = {}
    for path in found:
        parts.setdefault(_part_of(path, root), []).append(path)
    if "train" not in parts and len(parts.get("", ())) == 1:
        parts["train"] = parts.pop("")  # `annotations.json`, `instances_default.json`
    files_of = {split: parts[split] for split in SPLITS if split in parts}
    left = [path.name for part in parts if part not in SPLITS for path in parts[part]]
    if not files_of or any(len(paths) > 1 for paths in files_of.values()):
        names = ", ".join(str(path.relative_to(root)) for path in found)
        raise DataError(
            f"{root}: expected one COCO file of train and one of val, or one in all, in annotations/, in the folder "
            f"itself or in train/ and val/, for example annotations/instances_train.json; found {names or 'none'}"
        )
    notes = [f"not read, because only train and val are: {', '.join(left)}"] if left else []
    return {split: paths[0] for split, paths in files_of.items()}, notes


def _part_of(path: Path, root: Path) -> str:
    """`train`, `val`, `test`, or nothing, by the file's name or else its folder's."""
    folder = path.parent.name if path.parent != root else ""
    for name in (path.stem, folder):
        for word in re.findall("[a-z]+", name.lower()):
            for part, beginnings in _WORDS.items():
                if word.startswith(beginnings):
                    return part
    return ""


# ---- reading


@dataclass
class _Part:
    """One JSON file: its lists, the folders that its pictures may lie in, and what its reading leaves behind."""

    folder: Folder
    path: Path
    categories: dict[int, str]
    images: dict[int, Entry]
    annotations: list[Entry]
    places: list[Path]
    seen: set[int] = field(default_factory=set)  # the ids of annotations so far
    notes: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, folder: Folder, split: str, path: Path) -> "_Part":
        """The file, its structure checked.

        Raises:
            AnnotationError: not a COCO file, or an id twice.
        """
        top = Entry(path, "", read_object(folder.checked(path)))
        categories: dict[int, str] = {}
        for entry in top.objects("categories"):
            number = entry.whole("id")
            if number in categories:
                raise entry.error("id", "every id once", "class")
            categories[number] = entry.text("name")
        images: dict[int, Entry] = {}
        for entry in top.objects("images"):
            number = entry.whole("id")
            if number in images:
                raise entry.error("id", "every id once", "value")
            images[number] = entry
        tag = path.stem.removeprefix(PREFIX).strip("_-")
        beside = str(path.parent.relative_to(folder.path))
        names = [tag, split, f"images/{tag}", f"images/{split}", "images", ".", beside]
        places = list(dict.fromkeys(folder.path / name for name in names))
        return cls(folder, path, categories, images, list(top.objects("annotations")), places)


def read(root: Path, options: ReadOptions) -> DataSet:
    """The COCO data set in `root`; classes are numbered by ascending category id.

    Raises:
        AnnotationError: a damaged file; with `options.problems` not skipping a bad picture or annotation too.
        DataError: no COCO file, or several of one part.
        ConfigError: too few class names.
    """
    files, notes = _find_files(root)
    folder = Folder(root)
    parts = {split: _Part.of(folder, split, path) for split, path in files.items()}
    categories: dict[int, str] = {}
    for part in parts.values():
        for number, name in part.categories.items():
            if categories.setdefault(number, name) != name:
                expected = f"category {number} to be {categories[number]!r} as in the other file"
                raise AnnotationError(part.path, "categories", expected, repr(name), reason="class")
    own = [categories[number] for number in sorted(categories)]
    names, lines = resolve_classes(root, options, own, len(own) - 1)
    # A file may list fewer classes than there are, for example without the first: then the names say which they are.
    by_name = set(own) <= set(names) and len(set(own)) == len(own)
    places = dict(zip(sorted(categories), map(names.index, own) if by_name else itertools.count(), strict=False))
    splits = {split: _annotations(part, places, options) for split, part in parts.items()}
    splits = {"train": (), **splits}  # a set of val alone has an empty train
    counts = sum((part.notes for part in parts.values()), Counter[str]())
    counted = [f"{count} {what}" for what, count in sorted(counts.items())]
    return DataSet(root, "coco", names, splits, (*lines, *notes, *counted))


def _annotations(part: _Part, index: Mapping[int, int], options: ReadOptions) -> tuple[Annotation, ...]:
    """The pictures of a part, by name, without those that are bad."""
    items: dict[int, list[Entry]] = {number: [] for number in part.images}
    for entry in part.annotations:
        number = entry.whole("image_id")
        if number in items:
            items[number].append(entry)
        else:
            options.problems.met(entry.error("image_id", "the id of an image of this file", "value"))
    found: list[tuple[PurePosixPath, Annotation]] = []
    for number, image in part.images.items():
        try:
            found.append(_annotation(part, image, items[number], index, options))
        except AnnotationError as error:
            options.problems.met(error)
    return tuple(sorted(_with_names(part, found, options), key=lambda annotation: annotation.name))


def _with_names(
    part: _Part, found: Sequence[tuple[PurePosixPath, Annotation]], options: ReadOptions
) -> Iterator[Annotation]:
    """Every picture with a name of its own: files of two folders that are called alike get their folders before it."""
    alike = Counter(file.name for file, _ in found)
    taken: set[str] = set()
    for file, annotation in found:
        name = file.name if alike[file.name] == 1 else "_".join(file.parts)
        if name in taken:
            found_name = repr(str(file))
            error = AnnotationError(part.path, "images", "every name once", found_name, reason="duplicate-name")
            options.problems.met(error)
            continue
        taken.add(name)
        yield replace(annotation, name=name)


def _annotation(
    part: _Part, image: Entry, entries: Sequence[Entry], index: Mapping[int, int], options: ReadOptions
) -> tuple[PurePosixPath, Annotation]:
    """One picture, with what the file calls it."""
    file, path = _picture(part, image)
    width, height = picture_size(path, max_pixels=options.max_pixels)
    said = tuple(image.whole(key, 1) for key in ("width", "height") if key in image.fields)
    if len(said) == 2 and said != (width, height):
        shown = f"{said[0]} x {said[1]}"
        raise image.error("width", f"the upright picture's size, {width} x {height}", "size", shown)
    items = []
    for entry in entries:
        if "id" in entry.fields:
            number = entry.whole("id")
            if number in part.seen:
                raise entry.error("id", "every id once", "value")
            part.seen.add(number)
        item = _item(entry, part, index, (width, height), options)
        items += [] if item is None else [item]
    return file, Annotation(file.name, width, height, tuple(items), path)


def _picture(part: _Part, image: Entry) -> tuple[PurePosixPath, Path]:
    """What a picture is called, and where it lies.

    Raises:
        AnnotationError: nowhere, or outside of the data set.
    """
    text = image.text("file_name")
    file = PurePosixPath(text.replace("\\", "/"))
    if file.is_absolute() or PureWindowsPath(text).is_absolute() or ".." in file.parts:
        raise image.error("file_name", "a path inside the data set", "escape")
    for place in part.places:
        path = place / file
        if not _is_file(path):
            continue
        if not part.folder.holds(path):
            raise image.error("file_name", "a file inside the data set", "escape", f"{path}, a link that leads out")
        return file, path
    places = ", ".join(f"{place.relative_to(part.folder.path)}/" for place in part.places)
    raise image.error("file_name", f"a picture in {part.folder.path}, in one of {places}", "missing-image")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _item(
    entry: Entry, part: _Part, index: Mapping[int, int], size: tuple[int, int], options: ReadOptions
) -> Item | None:
    category = entry.whole("category_id")
    if category not in index:
        raise entry.error("category_id", "the id of a category of this file", "class")
    bbox = entry.floats("bbox", entry.fields.get("bbox"))
    if len(bbox) != 4:
        raise entry.error("bbox", "[x, y, width, height]", "value")
    x, y, w, h = bbox
    xyxy = checked_box((x, y, x + w, y + h), *size, entry.path, f"{entry.place}.bbox", options)
    crowd = entry.fields.get("iscrowd", 0)
    if crowd not in (0, 1):
        raise entry.error("iscrowd", "0 or 1", "value")
    segmentation = entry.fields.get("segmentation")
    is_rle = isinstance(segmentation, dict)
    if is_rle and not crowd:
        part.notes["annotations with an RLE mask, though not iscrowd, are read as regions to ignore"] += 1
    points = () if segmentation is None or is_rle else _outline(entry, segmentation, part)
    confidence = None
    if entry.fields.get("score") is not None:
        (confidence,) = entry.floats("score", [entry.fields["score"]])
        if not 0 <= confidence <= 1:
            raise entry.error("score", "a number from 0 to 1", "value")
    return xyxy and Item(xyxy, index[category], points=points, confidence=confidence, ignore=bool(crowd) or is_rle)


def _outline(entry: Entry, segmentation: Any, part: _Part) -> Points:
    """The corners of a segmentation of one polygon; nothing where there are several: no outline says both."""
    if not isinstance(segmentation, list):
        raise entry.error("segmentation", "a list of polygons or an RLE", "value")
    polygons = [entry.floats("segmentation", polygon) for polygon in segmentation]
    if any(len(polygon) % 2 for polygon in polygons):
        raise entry.error("segmentation", "polygons of x and y in turn", "value")
    polygons = [polygon for polygon in polygons if len(polygon) >= 6]
    if len(polygons) > 1:
        part.notes["outlines of several pieces are not kept, their boxes are"] += 1
    if len(polygons) != 1:
        return ()
    return tuple(zip(polygons[0][::2], polygons[0][1::2], strict=True))


# ---- writing


class CocoLayout(Layout):
    """`{train,val}/` with pictures, `annotations/instances_{train,val}.json`."""

    name = "coco"

    def picture_file(self, split: str, name: str) -> str:
        """`train/image_00001.jpg`.

        Raises:
            DataError: a name with folders, or without the suffix of a picture.
        """
        return f"{split}/{checked_name(name)}"

    def label_file(self, split: str, annotation: Annotation) -> None:  # noqa: ARG002 it has none
        """None: the labels of all pictures stand in one file."""
        return

    def listed(self, annotations: Sequence[Annotation]) -> list[Listed]:
        """The picture's record and those of its items, one a line, each without its beginning: the ids."""
        outlines = [item.points for one in annotations for item in one.items if _has_outline(item)]
        polygons = zip(*areas_and_texts(outlines), strict=True)
        found = []
        for one in annotations:
            lines = [f'"file_name":{_json(one.name)},"width":{one.width},"height":{one.height}}}']
            for item in one.items:
                if item.kind == "rectangle":
                    lines.append(self._record(item, one, next(polygons) if _has_outline(item) else None))
            found.append(Listed(one.name, "\n".join(lines)))
        return found

    def set_files(self, splits: Mapping[str, Sequence[Listed]]) -> dict[str, bytes]:
        """The JSON file of each part."""
        return {f"{FOLDER}/{PREFIX}_{split}.json": self._file(splits.get(split, ())) for split in self.splits}

    def losses(self, item: Item) -> Sequence[str]:
        """What of an item COCO cannot say; an item that is no rectangle is lost as a whole, as its kind."""
        if item.kind != "rectangle":
            return (item.kind,)
        return tuple(word for word in lost_details(item) if word != "outline" or not _has_outline(item))

    def _file(self, pictures: Sequence[Listed]) -> bytes:
        """One record a line, ids from 1; ASCII, because some readers open the file in whatever encoding they are in."""
        images: list[str] = []
        records: list[str] = []
        for number, picture in enumerate(pictures, 1):
            image, *items = picture.text.split("\n")
            images.append(f'{{"id":{number},{image}')
            records += [
                f'{{"id":{first},"image_id":{number},{item}' for first, item in enumerate(items, len(records) + 1)
            ]
        categories = [
            _json({"id": number, "name": name, "supercategory": "object"})
            for number, name in enumerate(self.classes, 1)
        ]
        lists = {"images": images, "annotations": records, "categories": categories}
        head = '{"info":{"description":"made with yolo_proc"},\n"licenses":[],\n'
        return (head + ",\n".join(_list_text(key, lines) for key, lines in lists.items()) + "}\n").encode("ascii")

    def _record(self, item: Item, annotation: Annotation, polygon: tuple[float, str] | None) -> str:
        """What is said of an item, behind the ids.

        Args:
            polygon: area and numbers of its outline.
        """
        assert 0 <= item.class_id < len(self.classes), f"class {item.class_id} of {len(self.classes)}"
        x0, y0, x1, y1 = map(float, item.xyxy)  # a float's repr is its JSON
        area, segmentation = (x1 - x0) * (y1 - y0), "[]"
        assert math.isfinite(area), f"box {item.xyxy}"
        if polygon is not None:
            area, segmentation = polygon[0], f"[[{polygon[1]}]]"
        elif item.ignore:  # what COCO demands of a crowd
            segmentation = _json(box_rle(item.xyxy, annotation.width, annotation.height))
        return (
            f'"category_id":{item.class_id + 1},"bbox":[{x0!r},{y0!r},{x1 - x0!r},{y1 - y0!r}],"area":{area!r},'
            f'"iscrowd":{int(item.ignore)},"segmentation":{segmentation}}}'
        )


def _has_outline(item: Item) -> bool:
    return item.kind == "rectangle" and not item.ignore and len(item.points) >= 3


# On one line: `_json` escapes the line ends in a text.
_json = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def _list_text(key: str, lines: Sequence[str]) -> str:
    return f'"{key}":[\n' + ",\n".join(lines) + "\n]" if lines else f'"{key}":[]'
