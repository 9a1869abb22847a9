"""Pascal VOC: an XML file for each picture, and lists of the pictures of each split.

    JPEGImages/NAME.jpg   Annotations/NAME.xml   ImageSets/Main/{train,val}.txt

Corners are pixels counted from 1, both inclusive, so that a half-open box loses 1 at its minima only:
xmin = floor(x0 + 0.5) + 1, xmax = max(floor(x1 + 0.5), xmin), and back x0 = xmin - 1, x1 = xmax.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar
from xml.etree.ElementTree import Element, ParseError
from xml.sax.saxutils import escape

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from yolo_proc.annotations.classes import resolve_classes, wrong_names
from yolo_proc.annotations.common import Folder, check_stems, checked_name, lost_details, read_text, shown
from yolo_proc.annotations.layout import Layout, Listed
from yolo_proc.annotations.records import Annotation, AnnotationError, Box, DataSet, Item, ReadOptions, checked_box
from yolo_proc.errors import DataError
from yolo_proc.pictures import SUFFIXES, picture_size

LISTS = PurePosixPath("ImageSets/Main")


@dataclass(frozen=True)
class VocObject:
    """One `<object>`: its class by name, its box as the file counts it, and whether it is `difficult`."""

    name: str
    corners: Box
    difficult: bool


@dataclass(frozen=True)
class VocFile:
    """One XML file.

    Attributes:
        filename: of the picture; empty where the file says none.
        size: (width, height) pixels; None where the file says none.
        objects: in the file's order.
    """

    filename: str
    size: tuple[int, int] | None
    objects: tuple[VocObject, ...]


def looks_like(root: Path) -> bool:
    """Whether the folder holds a Pascal VOC set."""
    annotations = root / "Annotations"
    if not annotations.is_dir():
        return (root / LISTS).is_dir()
    return (root / "JPEGImages").is_dir() or any(path.suffix.lower() == ".xml" for path in annotations.iterdir())


def read(root: Path, options: ReadOptions) -> DataSet:
    """A Pascal VOC set; without lists of splits all of it is `train`.

    Raises:
        AnnotationError: a bad picture where they are not skipped, or no such folder.
        ConfigError: too few names were given.
    """
    folder = Folder(root)
    if not looks_like(root):
        raise AnnotationError(root, "", "the folders Annotations and JPEGImages", "neither", reason="value")
    files = _xml_files(folder, options)
    splits, notes = _splits(folder, files, options)
    parsed = {}
    for path in sorted({path for paths in splits.values() for path in paths}):
        try:
            parsed[path] = parse_voc(read_text(folder.checked(path)), path)
        except AnnotationError as error:
            options.problems.met(error)
    # The names of all splits together, before pictures are looked at: a split alone may lack a class.
    own = sorted({thing.name for file in parsed.values() for thing in file.objects})
    classes, lines = resolve_classes(root, options, own or None, -1)
    by_stem = _pictures_by_stem(folder)
    annotations = dict(_annotations(folder, parsed, by_stem, classes, options))
    found = {
        split: tuple(sorted((annotations[path] for path in paths if path in annotations), key=lambda one: one.name))
        for split, paths in splits.items()
    }
    known = {*files, *(Path(file.filename).stem for file in parsed.values())}
    bare = sum(stem not in known for stem in by_stem)
    if bare:
        notes.append(f"{root}: {bare} pictures have no annotation and are left out")
    return DataSet(root, "voc", classes, found, (*notes, *lines))


def parse_voc(text: str, path: Path | str) -> VocFile:
    """The content of one XML file.

    Raises:
        AnnotationError: no XML ("syntax"), XML with a document type ("bomb"), or not what VOC demands.
    """
    try:
        root = fromstring(text, forbid_dtd=True)  # where entities and references to other files would stand
    except DefusedXmlException:
        raise AnnotationError(path, "", "XML without a document type", "one", reason="bomb") from None
    except ParseError as error:
        line = error.position[0]
        raise AnnotationError(path, f"line {line}", "XML", str(error).partition(":")[0], reason="syntax") from None
    if root.tag != "annotation":
        raise AnnotationError(path, "", "an element <annotation>", shown(f"<{root.tag}>"), reason="syntax")
    things = enumerate(root.findall("object"))
    objects = tuple(_parse_object(element, path, f"object {number}") for number, element in things)
    size = root.find("size")
    sides = None
    if size is not None:
        sides = (_whole(size, "width", path, "size"), _whole(size, "height", path, "size"))
    return VocFile(_text(root, "filename"), sides, objects)


def _parse_object(element: Element, path: Path | str, place: str) -> VocObject:
    name = _text(element, "name")
    if wrong_names([name]):
        raise AnnotationError(path, place, "a class in <name>", shown(name), reason="class")
    box = element.find("bndbox")
    if box is None:
        raise AnnotationError(path, place, "a <bndbox>", "none", reason="value")
    x0, y0, x1, y1 = (_number(box, tag, path, place) for tag in ("xmin", "ymin", "xmax", "ymax"))
    difficult = _text(element, "difficult") or "0"
    if difficult not in ("0", "1"):
        raise AnnotationError(path, place, "0 or 1 in <difficult>", shown(difficult), reason="value")
    return VocObject(name, (x0, y0, x1, y1), difficult == "1")


def _text(element: Element, tag: str) -> str:
    return (element.findtext(tag) or "").strip()


def _number(element: Element, tag: str, path: Path | str, place: str) -> float:
    text = _text(element, tag)
    try:
        return float(text)
    except ValueError:
        raise AnnotationError(path, place, f"a number in <{tag}>", shown(text), reason="value") from None


def _whole(element: Element, tag: str, path: Path | str, place: str) -> int:
    value = _number(element, tag, path, place)
    if not (math.isfinite(value) and value == int(value)):
        raise AnnotationError(path, place, f"a whole number in <{tag}>", f"{value:g}", reason="value")
    return int(value)


def _xml_files(folder: Folder, options: ReadOptions) -> dict[str, Path]:
    """The annotations by their name without suffix."""
    annotations = folder.path / "Annotations"
    files: dict[str, Path] = {}
    for path in folder.files(annotations) if annotations.is_dir() else ():
        if path.suffix.lower() != ".xml":
            continue
        if path.stem in files:
            found = f"{files[path.stem]} too"
            options.problems.met(
                AnnotationError(path, "", "one file of this base name", found, reason="duplicate-name")
            )
        files.setdefault(path.stem, path)
    return files


def _splits(folder: Folder, files: Mapping[str, Path], options: ReadOptions) -> tuple[dict[str, list[Path]], list[str]]:
    """The annotations of each split, and lines for the user."""
    lists = {split: folder.path / LISTS / f"{split}.txt" for split in ("train", "val")}
    there = {split: path for split, path in lists.items() if path.is_file()}
    both = folder.path / LISTS / "trainval.txt"
    if not there and both.is_file():
        there = {"train": both}
    if not there:
        return {"train": list(files.values())}, []
    splits = {"train": [], **{split: _listed(folder, path, files, options) for split, path in there.items()}}
    rest = len(set(files.values()) - {path for paths in splits.values() for path in paths})
    notes = [f"{folder.path}: {rest} annotations are in none of the lists that are read"] if rest else []
    return splits, notes


def _listed(folder: Folder, file: Path, files: Mapping[str, Path], options: ReadOptions) -> list[Path]:
    """The annotations that a list names; the lists of one class have a flag behind each name."""
    found: dict[Path, None] = {}
    for number, line in enumerate(read_text(folder.checked(file)).split("\n"), start=1):
        name, place = line.strip(), f"line {number}"
        if name and name not in files:
            name = name.split()[0]
        if name in files:
            found[files[name]] = None
        elif name:
            try:
                folder.named(f"{name}.xml", folder.path / "Annotations", file, place)
                expected = "a picture with a file in Annotations"
                raise AnnotationError(file, place, expected, shown(name), reason="value")
            except AnnotationError as error:
                options.problems.met(error)
    return list(found)


def _pictures_by_stem(folder: Folder) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = defaultdict(list)
    directory = folder.path / "JPEGImages"
    for picture in folder.files(directory) if directory.is_dir() else ():
        if picture.suffix.lower() in SUFFIXES:
            found[picture.stem].append(picture)
    return found


def _annotations(
    folder: Folder,
    parsed: Mapping[Path, VocFile],
    by_stem: Mapping[str, Sequence[Path]],
    classes: Sequence[str],
    options: ReadOptions,
) -> Iterator[tuple[Path, Annotation]]:
    pictures = {}
    for path, file in parsed.items():
        try:
            pictures[path] = _picture(folder, path, file.filename, by_stem)
        except AnnotationError as error:
            options.problems.met(error)
    shares = Counter(pictures.values())
    indices = {name: index for index, name in enumerate(classes)}
    for path, picture in pictures.items():
        try:
            if shares[picture] > 1:
                found = f"{shares[picture]} of {picture}"
                raise AnnotationError(path, "", "one annotation of a picture", found, reason="duplicate-name")
            yield path, _annotation(path, parsed[path], picture, indices, options)
        except AnnotationError as error:
            options.problems.met(error)


def _picture(folder: Folder, path: Path, filename: str, by_stem: Mapping[str, Sequence[Path]]) -> Path:
    """The picture that the file names, or the one of its own name: files that were renamed keep their `filename`."""
    directory = folder.path / "JPEGImages"
    if filename:
        named = folder.named(filename, directory, path, "filename")
        if named.is_file():
            return named
    same = by_stem.get(path.stem, ())
    if len(same) > 1:
        found = f"{same[0].name} and {same[1].name}"
        raise AnnotationError(path, "filename", "one picture of this base name", found, reason="duplicate-name")
    if not same:
        found = f"no {shown(filename or path.stem)}"
        raise AnnotationError(path, "filename", f"a picture in {directory}", found, reason="missing-image")
    return folder.checked(same[0])


def _annotation(
    path: Path, file: VocFile, picture: Path, indices: Mapping[str, int], options: ReadOptions
) -> Annotation:
    width, height = picture_size(picture, max_pixels=options.max_pixels)
    if file.size not in (None, (width, height)):
        assert file.size is not None
        expected = f"{width} x {height}, the size of {picture}"
        raise AnnotationError(path, "size", expected, f"{file.size[0]} x {file.size[1]}", reason="size")
    items = []
    for number, thing in enumerate(file.objects):
        place = f"object {number}"
        if thing.name not in indices:
            known = ", ".join(indices)
            raise AnnotationError(path, place, f"a class of {shown(known)}", shown(thing.name), reason="class")
        x0, y0, x1, y1 = thing.corners
        shift = 0 if options.voc_from_zero else 1
        xyxy = checked_box((x0 - shift, y0 - shift, x1, y1), width, height, path, place, options)
        if xyxy is not None:
            items.append(Item(xyxy, indices[thing.name], ignore=thing.difficult))
    return Annotation(picture.name, width, height, tuple(items), picture)


class VocLayout(Layout):
    """`JPEGImages/NAME`, `Annotations/STEM.xml`, `ImageSets/Main/SPLIT.txt`; whole pixels.

    Raises:
        DataError: class names that the reader could not tell apart, or that XML cannot have.
    """

    name: ClassVar[str] = "voc"

    def __init__(self, classes: Sequence[str], splits: Sequence[str]) -> None:
        super().__init__(classes, splits)
        wrong = wrong_names(self.classes) or next((repr(one) for one in self.classes if one != one.strip()), "")
        if wrong:
            raise DataError(f"Pascal VOC: expected class names that differ and have no blanks at an end, found {wrong}")

    def picture_file(self, split: str, name: str) -> str:  # noqa: ARG002 one folder for all splits
        """`JPEGImages/NAME`, of all splits alike.

        Raises:
            DataError: the name is no plain file name, or has no suffix of a picture.
        """
        return f"JPEGImages/{checked_name(name)}"

    def label_file(self, split: str, annotation: Annotation) -> tuple[str, bytes]:  # noqa: ARG002
        """`Annotations/STEM.xml`, of all splits alike."""
        checked_name(annotation.name)
        return f"Annotations/{annotation.stem}.xml", self._xml(annotation).encode()

    def set_files(self, splits: Mapping[str, Sequence[Listed]]) -> dict[str, bytes]:
        """The lists of the splits: names without suffix, one a line.

        Raises:
            DataError: two pictures share a base name, and so an annotation; the splits share one folder.
        """
        check_stems("Annotations", (one for part in splits.values() for one in part))
        return {
            f"{LISTS}/{split}.txt": "".join(f"{one.stem}\n" for one in splits.get(split, ())).encode()
            for split in self.splits
        }

    def losses(self, item: Item) -> Sequence[str]:
        """All but the class, the box and `ignore`; of the shares a flag is left that says `not all`."""
        return (item.kind,) if item.kind != "rectangle" else lost_details(item)

    def _xml(self, annotation: Annotation) -> str:
        lines = [
            "<annotation>",
            "\t<folder>JPEGImages</folder>",
            f"\t<filename>{escape(annotation.name)}</filename>",
            "\t<size>",
            f"\t\t<width>{annotation.width}</width>",
            f"\t\t<height>{annotation.height}</height>",
            "\t\t<depth>3</depth>",
            "\t</size>",
            "\t<segmented>0</segmented>",
        ]
        for item in annotation.items:
            if item.kind == "rectangle":
                lines += self._object(item, annotation.width, annotation.height)
        return "\n".join([*lines, "</annotation>", ""])

    def _object(self, item: Item, width: int, height: int) -> list[str]:
        name = self.classes[item.class_id] if self.classes else f"class_{item.class_id}"
        xmin, ymin, xmax, ymax = corners_from_one(item.xyxy, width, height)
        return [
            "\t<object>",
            f"\t\t<name>{escape(name)}</name>",
            "\t\t<pose>Unspecified</pose>",
            f"\t\t<truncated>{int(item.in_frame is not None and item.in_frame < 1)}</truncated>",
            f"\t\t<occluded>{int(item.visible is not None and item.visible < 1)}</occluded>",
            f"\t\t<difficult>{int(item.ignore)}</difficult>",
            "\t\t<bndbox>",
            f"\t\t\t<xmin>{xmin}</xmin>",
            f"\t\t\t<ymin>{ymin}</ymin>",
            f"\t\t\t<xmax>{xmax}</xmax>",
            f"\t\t\t<ymax>{ymax}</ymax>",
            "\t\t</bndbox>",
            "\t</object>",
        ]


def corners_from_one(xyxy: Box, width: int, height: int) -> tuple[int, int, int, int]:
    """xmin, ymin, xmax, ymax: whole pixels counted from 1, both inclusive, at least one pixel of the picture."""
    x0, y0, x1, y1 = xyxy
    # A box thinner than half a pixel at the far edge would begin behind the last pixel.
    xmin, ymin = min(math.floor(x0 + 0.5) + 1, width), min(math.floor(y0 + 0.5) + 1, height)
    return xmin, ymin, max(math.floor(x1 + 0.5), xmin), max(math.floor(y1 + 0.5), ymin)
