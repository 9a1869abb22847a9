"""COCO: one JSON file for each part of a data set, pictures in folders beside it.

`coco_files` finds the files, `coco_layout` writes ours. What others' files say and we do not keep is counted: outlines
of several pieces, the pixels of masks, keypoints. Licences and addresses say nothing of a picture.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from yolo_proc.annotations.checked_json import Entry, read_object
from yolo_proc.annotations.classes import known_classes, resolve_classes
from yolo_proc.annotations.coco.files import Found, Pictures, find_files, looks_like
from yolo_proc.annotations.coco.items import check_units, item_of
from yolo_proc.annotations.coco.layout import DESCRIPTION, CocoLayout
from yolo_proc.annotations.common import Folder, shown, tell_unread_split, with_names
from yolo_proc.annotations.foreign import shown_json
from yolo_proc.annotations.passed_over import check_has_pictures, tell_unread_pictures
from yolo_proc.annotations.records import Annotation, DataSet, ReadOptions, Tally
from yolo_proc.errors import AnnotationError
from yolo_proc.imaging.pictures import OTHER_SUFFIXES, SUFFIXES, picture_size

__all__ = ["CocoLayout", "looks_like", "read"]

Id = int | str


@dataclass
class _Part:
    """One JSON file: its lists, and where its pictures may lie.

    Attributes:
        categories: names by id.
        images: by id.
        annotations: of each image, by its id.
        used: the categories that occur.
        seen: every picture that it names, found, bad or not.
    """

    path: Path
    pictures: Pictures
    categories: dict[Id, str]
    images: dict[Id, Entry]
    annotations: dict[Id, list[Entry]]
    used: set[Id]
    seen: set[Path] = field(default_factory=set)

    @classmethod
    def of(cls, folder: Folder, split: str, path: Path, options: ReadOptions) -> "_Part":
        """Return the file, its structure checked.

        Raises:
            AnnotationError: not a COCO file, or an id twice.
        """
        top = _top(folder.checked(path))
        tally = options.tally
        categories: dict[Id, str] = {}
        for entry in top.objects("categories"):
            number = entry.identity("id")
            if number in categories:
                raise entry.error("id", "every id once", "class")
            categories[number] = entry.text("name")
        images: dict[Id, Entry] = {}
        for entry in top.objects("images"):
            number = entry.identity("id")
            if images.setdefault(number, entry).fields != entry.fields:
                raise entry.error("id", "every id once, or the same picture", "value")
            if images[number] is not entry:
                tally.add("(image is|images are) listed twice, word for word, and read once", f"{path}: {entry.place}")
        if not _is_ours(top):
            check_units(top.objects("annotations"))
        by_image, used = _by_image(top.objects("annotations"), images, options)
        return cls(path, Pictures(folder, split, path, tally), categories, images, by_image, used)


def _top(path: Path) -> Entry:
    """Return the whole of a file.

    Raises:
        AnnotationError: it is no COCO file.
    """
    top = Entry(path, "", read_object(path))
    absent = [key for key in ("images", "annotations", "categories") if key not in top.fields]
    if absent:
        found = f"no {' and no '.join(absent)}: {shown_json(top.fields)}"
        raise AnnotationError(path, "", "COCO's lists images, annotations and categories", found, reason="syntax")
    return top


def _is_ours(top: Entry) -> bool:
    """Return whether we wrote the file: a set of ours may have boxes of less than a pixel alone."""
    info = top.fields.get("info")
    return isinstance(info, Mapping) and info.get("description") == DESCRIPTION


def _by_image(
    annotations: Iterable[Entry], images: Mapping[Id, Entry], options: ReadOptions
) -> tuple[dict[Id, list[Entry]], set[Id]]:
    """Return the annotations of each image, and the categories that they have."""
    found: dict[Id, list[Entry]] = {number: [] for number in images}
    used: set[Id] = set()
    seen: dict[Id, Entry] = {}
    for entry in annotations:
        number = entry.identity("image_id")
        if number not in found:
            options.problems.met(entry.error("image_id", "the id of an image of this file", "value"))
            continue
        own = entry.fields.get("id")
        if isinstance(own, int | str):  # nothing hangs on it; a wrong one does no harm
            first = seen.setdefault(own, entry)
            if first is not entry:
                same = first.fields == entry.fields
                what = "(annotation has|annotations have) the id of another, and all are read"
                what = (
                    "(annotation is|annotations are) there twice, word for word, and (is|are) read once"
                    if same
                    else what
                )
                options.tally.add(what, f"{entry.path}: {entry.place}")
                if same:
                    continue
        found[number].append(entry)
        with suppress(AnnotationError):  # its picture will say so
            used.add(entry.identity("category_id"))
    return found, used


def read(root: Path, options: ReadOptions) -> DataSet:
    """Return the COCO data set in `root`; classes are numbered by ascending category id.

    Raises:
        AnnotationError: a damaged file; with `options.problems` not skipping a bad picture or annotation too.
        DataError: no COCO file, or several of one part, or a part without pictures.
        ConfigError: too few class names.
    """
    files = find_files(root)
    folder = Folder(root)
    parts = {split: _Part.of(folder, split, path, options) for split, path in files.parts.items()}
    names, index, notes = _classes(root, parts, options)
    splits = {split: _annotations(part, index, options) for split, part in parts.items()}
    for split, part in parts.items():
        check_has_pictures(root, split, len(part.images), f"{part.path} lists none")
    tests = _tell_tests(folder, files, options)
    seen = {*tests, *(path for part in parts.values() for path in part.seen)}
    notes += tell_unread_pictures(folder, seen, options.tally)
    if files.others:
        named = ", ".join(str(path.relative_to(root)) for path in files.others)
        notes += (f"{root}: not read, because they are neither the file of train nor that of val: {named}",)
    splits = {"train": (), **splits}  # a set of val alone has an empty train
    return DataSet(root, "coco", names, splits, notes)


def _tell_tests(folder: Folder, files: Found, options: ReadOptions) -> set[Path]:
    """Count the pictures of test, which is not read; where they lie, as far as they do."""
    found: set[Path] = set()
    for path in files.tests:
        try:
            images = list(Entry(path, "", read_object(folder.checked(path))).objects("images"))
        except AnnotationError:
            options.tally.add("(file of test is|files of test are) not read, because only train and val are", path)
            continue
        # Where its pictures lie is no matter: nothing is told of them, and the places are only looked at.
        pictures = Pictures(folder, "test", path, Tally())
        here: list[Path] = []
        for image in images:
            try:
                here.append(pictures.find(image)[1])
            except AnnotationError:
                continue
        tell_unread_split(options.tally, "test", here[0] if here else path, len(images))
        found.update(here)
    return found


# ---- classes


def _classes(
    root: Path, parts: Mapping[str, _Part], options: ReadOptions
) -> tuple[tuple[str, ...], dict[Id, int], tuple[str, ...]]:
    """Return class names, the class index of each category id, and lines for the user.

    Raises:
        AnnotationError: two files that call one category by two names, or two categories of one name.
        ConfigError: too few class names.
    """
    categories: dict[Id, str] = {}
    for part in parts.values():
        for number, name in part.categories.items():
            if categories.setdefault(number, name) != name:
                expected = f"category {number} to be {categories[number]!r} as in the other file"
                raise AnnotationError(part.path, "categories", expected, repr(name), reason="class")
    ids = sorted(categories, key=lambda number: (isinstance(number, str), number))
    used = {number for part in parts.values() for number in part.used}
    kept = _without_empty_twins(ids, categories, used)
    known = known_classes(root, options, None)
    if known is None or {categories[number] for number in kept} <= set(known):
        left = [f"{root}: category {number} {categories[number]!r}" for number in ids if number not in kept]
        options.tally.add(
            "(category has|categories have) the name of another and no objects, and (is|are) left out",
            left[0] if left else root,
            len(left),
        )
        ids = kept
    own = [categories[number] for number in ids]
    if known is None:
        _check_names(next(iter(parts.values())).path, ids, categories)
    names, lines = resolve_classes(root, options, own, len(own) - 1)
    # A file may list fewer classes than there are, for example without the first: then the names say which they are.
    by_name = set(own) <= set(names) and len(set(own)) == len(own)
    places = {name: place for place, name in enumerate(names)}
    index = {
        number: places[name] if by_name else place for place, (number, name) in enumerate(zip(ids, own, strict=True))
    }
    return names, index, lines


def _without_empty_twins(ids: Sequence[Id], categories: Mapping[Id, str], used: set[Id]) -> list[Id]:
    """Return the categories without those that have no objects and the name of another: exporters put the group there
    too.
    """
    shares = Counter(categories.values())
    kept: list[Id] = []
    for number in reversed(ids):  # of several without objects the last stays
        name = categories[number]
        if shares[name] > 1 and number not in used:
            shares[name] -= 1
        else:
            kept.append(number)
    return kept[::-1]


def _check_names(path: Path, ids: Sequence[Id], categories: Mapping[Id, str]) -> None:
    first: dict[str, Id] = {}
    for number in ids:
        other = first.setdefault(categories[number], number)
        if other != number:
            found = (
                f"{categories[number]!r} for the ids {other} and {number}, both with objects; rename one in the file, "
                f"or give {len(ids)} names in the order of the ids with --classes FILE"
            )
            raise AnnotationError(path, "categories", "names that differ", found, reason="class")


# ---- pictures


def _annotations(part: _Part, index: Mapping[Id, int], options: ReadOptions) -> tuple[Annotation, ...]:
    """Return the pictures of a part, by name, without those that are bad."""
    found: list[tuple[PurePosixPath, Annotation]] = []
    for number, image in part.images.items():
        try:
            found.append(_annotation(part, image, part.annotations.pop(number), index, options))  # frees memory
        except AnnotationError as error:
            options.problems.met(error)
    return tuple(sorted(with_names(found, part.path, options.tally), key=lambda annotation: annotation.name))


def _annotation(
    part: _Part, image: Entry, entries: Sequence[Entry], index: Mapping[Id, int], options: ReadOptions
) -> tuple[PurePosixPath, Annotation]:
    """Return one picture, with what the file calls it."""
    file, path = part.pictures.find(image)
    if path in part.seen:
        raise image.error("file_name", "every picture once", "duplicate-name")
    part.seen.add(path)
    if path.suffix.lower() in OTHER_SUFFIXES:
        found = f"{shown(image.fields['file_name'])}; convert it to PNG or JPEG"
        raise image.error("file_name", f"a picture ({', '.join(sorted(SUFFIXES))})", "picture", found)
    width, height = picture_size(path, max_pixels=options.max_pixels)
    said = tuple(_side(image, key) for key in ("width", "height"))
    if None not in said and said != (width, height):
        found = f"{said[0]} x {said[1]}"
        if said == (height, width):
            found += (
                ", as where the tool did not turn the picture by its EXIF orientation; its boxes lie elsewhere then"
            )
        raise image.error("width", f"the upright picture's size, {width} x {height}", "size", found)
    items = [item_of(entry, index, (width, height), options) for entry in entries]
    return file, Annotation(file.name, width, height, tuple(item for item in items if item is not None), path)


def _side(image: Entry, key: str) -> int | None:
    """Return a picture's side as the file says; None where it says none, or 0."""
    value: Any = image.fields.get(key)
    if value is None or value in (0, ""):
        return None
    number = image.identity(key)
    if not isinstance(number, int) or number < 0:
        raise image.error(key, "a whole number", "value")
    return number
