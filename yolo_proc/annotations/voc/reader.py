"""Pascal VOC: an XML file for each picture, and lists of the pictures of each split.

`voc_files` finds the files, `voc_xml` reads one of them, `voc_layout` writes ours. Corners are pixels counted from 1,
both inclusive, so that a half-open box loses 1 at its minima only: x0 = xmin - 1, x1 = xmax.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from yolo_proc.annotations.classes import resolve_classes
from yolo_proc.annotations.common import Folder, shown, tell_unread_split
from yolo_proc.annotations.passed_over import check_has_pictures, tell_unread_pictures
from yolo_proc.annotations.records import SPLITS, Annotation, DataSet, Item, ReadOptions, Tally, checked_box
from yolo_proc.annotations.voc.files import Part, find_parts, find_places
from yolo_proc.annotations.voc.layout import VocLayout
from yolo_proc.annotations.voc.xml import VocFile, read_voc
from yolo_proc.errors import AnnotationError
from yolo_proc.imaging.pictures import picture_size

__all__ = ["VocLayout", "looks_like", "read"]

_FROM_ZERO = (
    "(box begins|boxes begin) at pixel 0, and Pascal VOC counts from 1: if the writer counted from 0, all boxes of the "
    "set are a pixel too large at the left and at the top, and --voc-from-zero mends that"
)


def looks_like(root: Path) -> bool:
    """Return whether the folder holds a Pascal VOC set."""
    return bool(find_places(root))


def read(root: Path, options: ReadOptions) -> DataSet:
    """Return a Pascal VOC set; without lists of splits, or folders for them, all of it is `train`.

    Raises:
        AnnotationError: a bad picture where they are not skipped, or no such folder.
        DataError: a split without pictures.
        ConfigError: too few names were given.
    """
    folder = Folder(root)
    if not looks_like(root):
        raise AnnotationError(root, "", "XML files in Annotations, or beside their pictures", "none", reason="value")
    parts = find_parts(folder, options)
    read_parts = {split: parts[split] for split in SPLITS if split in parts}
    parsed = {split: dict(_parsed(folder, part, options)) for split, part in read_parts.items()}
    if not options.voc_from_zero:
        _tell_zeros(parsed, options.tally)
    # The names of all splits together, before pictures are looked at: a split alone may lack a class.
    own = sorted({thing.name for files in parsed.values() for file in files.values() for thing in file.objects})
    classes, notes = resolve_classes(root, options, own or None, -1)
    seen: set[Path] = set()
    splits: dict[str, tuple[Annotation, ...]] = {"train": ()}
    for split, part in read_parts.items():
        check_has_pictures(root, split, len(part.files), f"{part.source} has no annotations")
        found = _annotations(folder, parsed[split], part, classes, options, seen)
        splits[split] = tuple(sorted(found, key=lambda one: one.name))
    if "test" in parts:
        seen |= _tell_test(parts["test"], options.tally)
    notes += tell_unread_pictures(folder, seen, options.tally)
    return DataSet(root, "voc", classes, splits, notes)


def _parsed(folder: Folder, part: Part, options: ReadOptions) -> Iterator[tuple[Path, VocFile]]:
    for path in sorted(part.files):
        try:
            yield path, read_voc(folder.checked(path))
        except AnnotationError as error:
            options.problems.met(error)


def _tell_zeros(parsed: Mapping[str, Mapping[Path, VocFile]], tally: Tally) -> None:
    """Count the boxes that begin before pixel 1. One is enough to doubt all: writers count alike everywhere."""
    for files in parsed.values():
        for path, file in files.items():
            for number, thing in enumerate(file.objects):
                if 0 <= min(thing.corners[:2]) < 1:
                    tally.add(_FROM_ZERO, f"{path}: object {number}")


def _tell_test(part: Part, tally: Tally) -> set[Path]:
    """Count the pictures of test, which is not read, and return them."""
    found = [path for file in part.files for path in part.index.by_stem.get(file.stem, ())]
    tell_unread_split(tally, "test", found[0] if found else part.source, len(part.files))
    return set(found)


def _annotations(
    folder: Folder,
    parsed: Mapping[Path, VocFile],
    part: Part,
    classes: Sequence[str],
    options: ReadOptions,
    seen: set[Path],
) -> Iterator[Annotation]:
    """Yield the pictures of a part; `seen` takes all that it has, bad ones too."""
    pictures = {}
    for path, file in parsed.items():
        try:
            pictures[path] = folder.checked(part.index.find(path, file, options))
        except AnnotationError as error:
            options.problems.met(error)
    seen.update(pictures.values())
    bad = [path for path in part.files if path not in pictures]
    seen.update(picture for path in bad for picture in part.index.by_stem.get(path.stem, ()))
    shares = Counter(pictures.values())
    indices = {name: index for index, name in enumerate(classes)}
    for path, picture in pictures.items():
        try:
            if shares[picture] > 1:
                found = f"{shares[picture]} of {picture}"
                raise AnnotationError(path, "", "one annotation of a picture", found, reason="duplicate-name")
            yield _annotation(path, parsed[path], picture, indices, options)
        except AnnotationError as error:
            options.problems.met(error)


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
        if not options.voc_from_zero:
            # Of 0 nothing is left to subtract; `_tell_zeros` has counted it.
            x0, y0 = (0.0 if 0 <= low < 1 else low - 1 for low in (x0, y0))
        xyxy = checked_box((x0, y0, x1, y1), width, height, path, place, options)
        if xyxy is not None:
            items.append(Item(xyxy, indices[thing.name], ignore=thing.difficult))
    for what, count in file.left.items():
        options.tally.add(what, path, count)
    return Annotation(picture.name, width, height, tuple(items), picture)
