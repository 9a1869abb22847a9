"""Projects of the scredit editor: pictures in a folder, their scripts in `annotations/` beside them.

`annotations/a.json` is the script of `a.jpg`. What the editor's reader accepts is accepted, what it breaks on is
refused with a line. Base names have no further dot, and no two pictures share one. A split is two projects.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from yolo_proc.annotations.classes import MAX_CLASSES, known_classes, resolve_classes
from yolo_proc.annotations.common import Folder, has_fractions, read_file, split_of, tell_missing
from yolo_proc.annotations.layout import Layout, Listed
from yolo_proc.annotations.passed_over import check_has_pictures, tell_unread_pictures
from yolo_proc.annotations.records import SPLITS, Annotation, Box, DataSet, Item, ReadOptions, checked_box
from yolo_proc.annotations.scredit.script import parse, write
from yolo_proc.errors import AnnotationError, DataError
from yolo_proc.imaging.pictures import picture_size

__all__ = ["ScreditLayout", "is_omitted", "looks_like", "parse", "read", "write"]

SCRIPTS = "annotations"  # the folder of the scripts, beside the pictures
SUFFIXES = (".jpg", ".jpeg", ".png")  # the pictures that the editor lists


def is_omitted(annotation: Annotation) -> bool:
    """Return whether the editor's user left the picture out: it is kept for the way back, and is no training data."""
    return annotation.extra.get("usage") == "omit" or annotation.extra.get("omit") is True


def looks_like(root: Path) -> bool:
    """Return whether the folder, or its `train` or `val`, has a script beside a picture of that name."""
    return _has_script(root) or any(_has_script(folder) for part in _parts(root).values() for folder in part)


def _has_script(project: Path) -> bool:
    try:
        stems = {Path(name).stem for name in os.listdir(project) if _suffix(name) in SUFFIXES}  # noqa: PTH208
        scripts = os.listdir(project / SCRIPTS)  # noqa: PTH208 names are all that is needed
    except OSError:
        return False
    return any(_suffix(name) == ".json" and name[:-5] in stems for name in scripts)


def _parts(root: Path) -> dict[str, list[Path]]:
    """Return the projects of each part: folders called `train` and `val`, or by another word that means them."""
    try:
        folders = sorted(path for path in root.iterdir() if (path / SCRIPTS).is_dir())
    except OSError:
        return {}
    parts = {split: [path for path in folders if split_of(path.name) == split] for split in SPLITS}
    return {split: part for split, part in parts.items() if part}


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def read(root: Path, options: ReadOptions) -> DataSet:
    """Return a project, or two of them in the folders `train` and `val`; pictures by name.

    A picture without script has no items. Pictures that the editor's user omitted are there too: see `is_omitted`.

    Raises:
        DataError: no such project.
        AnnotationError: a bad script, picture or name, unless `options.problems` skips it.
        ConfigError: too few class names were given.
    """
    projects = {SPLITS[0]: root}
    if not (root / SCRIPTS).is_dir():
        parts = _parts(root)
        for split, part in parts.items():
            if len(part) > 1:
                called = " and ".join(path.name for path in part)
                raise DataError(f"{root}: expected one project of {split}, found {called}")
        projects = {split: part[0] for split, part in parts.items()}
    if not projects:
        raise DataError(
            f"{root}: expected a scredit project, a folder of pictures with a folder {SCRIPTS} of scripts, "
            f"or two of them called {' and '.join(SPLITS)}; found neither"
        )
    known = known_classes(root, options, None)
    limit = MAX_CLASSES if known is None else len(known)
    real = Path(os.path.realpath(root))
    seen: set[Path] = set()
    splits = {}
    for split, folder in projects.items():
        before = len(seen)
        splits[split] = tuple(_project(folder, real, limit, options, split, seen))
        check_has_pictures(root, split, len(seen) - before, f"{folder} has none ({', '.join(SUFFIXES)})")
    unread = tell_unread_pictures(Folder(root), seen, options.tally)
    highest = max((item.class_id for part in splits.values() for one in part for item in one.items), default=-1)
    classes, notes = resolve_classes(root, options, None, highest)
    return DataSet(root, "scredit", classes, splits, (*notes, *unread))


def _project(
    folder: Path, root: Path, limit: int, options: ReadOptions, split: str, seen: set[Path]
) -> Iterator[Annotation]:
    """Yield the pictures of one project, all of which `seen` takes; `root` has no links, class indices are below
    `limit`.
    """
    for inner in (folder, folder / SCRIPTS):
        if _leads_out(inner, root):
            raise _escape(inner)
    pictures = [
        entry
        for entry in _entries(folder)
        if _suffix(entry.name) in SUFFIXES and not entry.name.startswith(".") and not _is_folder(entry)
    ]
    seen.update(map(Path, pictures))
    scripts = _scripts(folder, options)
    without = [Path(entry) for entry in pictures if PurePosixPath(entry.name).stem not in scripts]
    tell_missing(options.tally, split, without, len(pictures))
    by_stem: dict[str, list[str]] = {}
    for entry in pictures:
        by_stem.setdefault(PurePosixPath(entry.name).stem, []).append(entry.name)
    for entry in pictures:
        stem = PurePosixPath(entry.name).stem
        try:
            _check_name(Path(entry))
            if len(by_stem[stem]) > 1:
                raise _twice(folder, stem, by_stem[stem])
            one = _annotation(Path(entry), scripts.get(stem), root, limit, options)
        except AnnotationError as error:
            options.problems.met(error)
        else:
            yield one
    for stem in sorted(scripts.keys() - by_stem.keys()):
        expected = f"a picture {folder / stem}{SUFFIXES[0]} (or {', '.join(SUFFIXES[1:])})"
        options.problems.met(AnnotationError(scripts[stem], "", expected, "none", reason="missing-image"))


def _scripts(folder: Path, options: ReadOptions) -> dict[str, Path]:
    """Return the scripts of a project by the base name of their pictures; other files beside them are counted."""
    found: dict[str, Path] = {}
    for entry in _entries(folder / SCRIPTS):
        path = Path(entry)
        if _suffix(entry.name) == ".json":
            other = found.setdefault(entry.name[:-5], path)
            if other is not path:
                expected = "one script of a picture"
                error = AnnotationError(path, "", expected, f"{other.name} too", reason="duplicate-name")
                options.problems.met(error)
        elif not (entry.name.startswith(".") or _is_folder(entry) or _suffix(entry.name) in SUFFIXES):
            options.tally.add(
                f"(file in {SCRIPTS} is no script|files in {SCRIPTS} are no scripts) (.json) and (is|are) not read",
                path,
            )
    return found


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return what a folder holds, by name."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{folder}: expected a folder that can be read, found: {error.strerror}") from None


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether it is one; a link that leads to itself is none, and is refused where it is read."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _annotation(picture: Path, script: Path | None, root: Path, limit: int, options: ReadOptions) -> Annotation:
    for path in (picture, script):
        if path is not None and _leads_out(path, root):
            raise _escape(path)
    width, height = picture_size(picture, max_pixels=options.max_pixels)
    if script is None:
        return Annotation(picture.name, width, height, path=picture)
    items, extra = parse(read_file(script, what="a script"), script, options.tally)
    checked = []
    for number, item in enumerate(items):
        if item.class_id >= limit:
            place = f"items[{number}].p.category"
            raise AnnotationError(script, place, f"a class below {limit}", f"{item.category}", reason="class")
        box: Box | None = item.xyxy
        if item.kind == "rectangle":
            box = checked_box(item.xyxy, width, height, script, f"items[{number}]", options)
        if box is not None:
            checked.append(item if box == item.xyxy else replace(item, xyxy=box))
    return Annotation(picture.name, width, height, tuple(checked), path=picture, extra=extra)


def _leads_out(path: Path, root: Path) -> bool:
    """Return whether a link leads out of the data set; `root` has no links. Only the last part can be one."""
    return path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(root)


def _escape(path: Path) -> AnnotationError:
    return AnnotationError(path, "", "a file in the data set's folder", "a link that leads out", reason="escape")


def _check_name(path: Path) -> None:
    stem = path.stem
    if "." in stem:
        expected = f"a name without a dot inside (scredit would look for {SCRIPTS}/{stem.split('.')[0]}.json)"
        raise AnnotationError(path, "", expected, path.name, reason="name")


def _twice(folder: Path, stem: str, names: Sequence[str]) -> AnnotationError:
    expected = f"one picture for {SCRIPTS}/{stem}.json"
    return AnnotationError(folder, "", expected, " and ".join(names), reason="duplicate-name")


class ScreditLayout(Layout):
    """A project; two in the folders `train` and `val` where there is a split."""

    name = "scredit"

    def picture_file(self, split: str, name: str) -> str:
        """Return `name` with its suffix in small letters, which alone the editor lists."""
        stem, suffix = _checked_parts(name)
        return f"{self._project(split)}{stem}{suffix}"

    def label_file(self, split: str, annotation: Annotation) -> tuple[str, bytes]:
        """Return the script; a picture without items has one too."""
        stem, _ = _checked_parts(annotation.name)
        return f"{self._project(split)}{SCRIPTS}/{stem}.json", write(annotation)

    def set_files(self, splits: Mapping[str, Sequence[Listed]]) -> dict[str, bytes]:
        """Return none: a project has no files of its own.

        Raises:
            AnnotationError: two pictures of a project with one base name.
        """
        for split, part in splits.items():
            names: dict[str, str] = {}
            for one in part:
                if one.stem in names:
                    raise _twice(Path(self._project(split)), one.stem, [names[one.stem], one.name])
                names[one.stem] = one.name
        return {}

    def losses(self, item: Item) -> Sequence[str]:
        """Return shares of visibility, ignore regions (left out as a whole), outlines of rectangles, and all
        fractions.
        """
        if item.ignore:
            return ("ignore",)
        lost = []
        if has_fractions(*item.xyxy, *(value for point in item.points for value in point)):
            lost.append("pixel fractions")
        if item.confidence is not None and has_fractions(item.confidence * 100):
            lost.append("percent fractions")
        if item.rotation is not None and has_fractions(item.rotation):
            lost.append("degree fractions")
        if item.visible is not None and item.visible < 1:
            lost.append("visible")
        if item.in_frame is not None and item.in_frame < 1:
            lost.append("in_frame")
        if item.kind == "rectangle" and item.points:
            lost.append("outline")
        return lost

    def picture_losses(self, annotation: Annotation) -> Sequence[str]:  # noqa: ARG002
        """Return none: `extra` is its own."""
        return ()

    def _project(self, split: str) -> str:
        return f"{split}/" if len(self.splits) > 1 else ""


def _checked_parts(name: str) -> tuple[str, str]:
    """Return stem and suffix of a picture's name, if a project can have it."""
    stem, dot, suffix = name.rpartition(".")
    suffix = f"{dot}{suffix.lower()}"
    if not stem or suffix not in SUFFIXES or "/" in name or "\\" in name:
        expected = f"a picture's name that ends with {', '.join(SUFFIXES)}"
        raise AnnotationError(name, "", expected, name, reason="name")
    if "." in stem:
        _check_name(Path(name))
    return stem, suffix
