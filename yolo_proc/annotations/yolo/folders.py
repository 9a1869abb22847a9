"""Where a YOLO set has its pictures and their label files, and which of them nobody reads.

The label file of a picture lies in `labels` instead of the last `images` of its path, else beside the picture. Without
`data.yaml` or `obj.data` the folders say what they are: `images/train`, `train/images`, `train`, or all of it.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from yolo_proc.annotations.classes import NAME_FILES
from yolo_proc.annotations.common import (
    Folder,
    parse_number,
    read_text,
    shown,
    split_of,
    tell_missing,
    tell_passed_over,
    tell_unread_split,
)
from yolo_proc.annotations.records import ReadOptions
from yolo_proc.annotations.yolo.data_yaml import Description, after_data
from yolo_proc.errors import AnnotationError
from yolo_proc.imaging.pictures import OTHER_SUFFIXES, SUFFIXES, unread_pictures

_LOOKED_AT = 20  # label files beside pictures, to find out whether they are such


# ---- sets without a description


def describe_folders(root: Path, *, labelled: bool = True) -> Description | None:
    """Return what the folders of a set are, by their names; None where there is nothing like a YOLO set.

    Args:
        labelled: a folder `images` alone is no sign of one.
    """
    images = root / "images"
    if images.is_dir() and _has_labels(root):
        return _described(root, _folders(images), everything=images)
    for inside in ("images", "."):
        parts = [folder for folder in _folders(root) if split_of(folder.name) and _is_part(folder, inside)]
        if any(_has_labels(folder) if inside == "images" else _has_labels_beside(folder) for folder in parts):
            return _described(root, parts, everything=None, inside=inside)
    if _has_labels_beside(root):
        return Description(root, None, {"train": (root,)})
    if images.is_dir() and not labelled:
        return _described(root, _folders(images), everything=images)
    return None


def _has_labels(root: Path) -> bool:
    return (root / "labels").is_dir()


def _is_part(folder: Path, inside: str) -> bool:
    return (folder / "images").is_dir() if inside == "images" else any(_is_picture(path) for path in _entries(folder))


def _described(root: Path, folders: Sequence[Path], everything: Path | None, inside: str = ".") -> Description:
    """Return the splits that folders are called after.

    Args:
        everything: the folder that they lie in, which is all for training where none is called so.
        inside: the folder of the pictures in each.
    """
    parts: dict[str, list[Path]] = {"train": [], "val": [], "test": [], "": []}
    for folder in folders:
        parts[split_of(folder.name) or ""].append(folder / inside)
    train = parts["train"]
    if not train and everything is not None:  # beside folders for other things the rest is for training
        train = [*parts[""], *(path for path in _entries(everything) if _is_picture(path))]
        if not parts["val"] and not parts["test"]:
            train = [everything]
    if not train and not parts["val"]:
        train, parts["test"] = parts["test"], []
    sources = {"train": tuple(train), "val": tuple(parts["val"])}
    if not sources["val"]:
        del sources["val"]
    return Description(root, None, sources, unread=tuple(parts["test"]))


def _folders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return sorted(folder / one.name for one in entries if one.is_dir() and not one.name.startswith("."))
    except OSError:
        return []


def _entries(folder: Path) -> list[Path]:
    """Return what a folder holds, by name, without what is hidden."""
    try:
        return [folder / name for name in sorted(os.listdir(folder)) if not name.startswith(".")]  # noqa: PTH208
    except OSError:
        return []


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.is_dir()


def _has_labels_beside(folder: Path) -> bool:
    """Return whether pictures have text files beside them that begin like label files."""
    entries = _entries(folder)
    texts = [path for path in entries if path.suffix.lower() == ".txt"]
    if not texts:
        return False
    stems = {path.stem for path in entries if path.suffix.lower() in SUFFIXES}
    return any(begins_like_labels(path) for path in [path for path in texts if path.stem in stems][:_LOOKED_AT])


def begins_like_labels(path: Path) -> bool:
    """Return whether the first line that says something has a class and four numbers at least."""
    try:
        lines = read_text(path).split("\n")
        first = next((line.split() for line in lines if line.strip() and not line.lstrip().startswith("#")), [])
        return len(first) >= 5 and all(isinstance(parse_number(one), float) for one in first[1:5])
    except (AnnotationError, ValueError):
        return False


# ---- the label files of pictures


@dataclass
class LabelFiles:
    """Finds the label files of pictures; every folder is listed once.

    Attributes:
        folder: the set's.
    """

    folder: Folder
    _places: dict[Path, Path] = field(default_factory=dict)
    _listed: dict[Path, dict[str, str]] = field(default_factory=dict)

    def of(self, picture: Path) -> Path:
        """Return the label file of a picture, which need not exist."""
        place, stem = self.place(picture.parent), stem_of_picture(picture)
        return place / self._names(place).get(stem, f"{stem}.txt")

    def exists(self, picture: Path) -> bool:
        """Return whether a picture has a label file."""
        return stem_of_picture(picture) in self._names(self.place(picture.parent))

    def place(self, pictures: Path) -> Path:
        """Return the folder of the label files of a folder of pictures."""
        if pictures not in self._places:
            parts = list(pictures.relative_to(self.folder.path).parts)
            if "images" in parts:
                parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
            self._places[pictures] = self.folder.path.joinpath(*parts)
        return self._places[pictures]

    def _names(self, place: Path) -> dict[str, str]:
        """Return the text files of a folder by their stems; `a.txt` goes before `a.TXT`."""
        if place not in self._listed:
            texts = [path.name for path in _entries(place) if path.suffix.lower() == ".txt"]
            # Of two of one stem the last stays, and capitals come first.
            self._listed[place] = {name.rpartition(".")[0]: name for name in texts}
        return self._listed[place]


def stem_of_picture(path: Path) -> str:
    """Return the name of a picture without its suffix."""
    return path.name.rpartition(".")[0]


# ---- the pictures of a set


@dataclass
class Pictures:
    """The pictures of a set.

    Attributes:
        of: of each split, each picture once, by name.
        notes: lines for the user.
    """

    of: Mapping[str, list[Path]]
    notes: tuple[str, ...]


def find_pictures(labels: LabelFiles, description: Description, options: ReadOptions) -> Pictures:
    """Return the pictures of every split; what is passed over is counted in `options.tally`.

    Raises:
        AnnotationError: a split without a folder, or without a picture; bad lists and label files without pictures,
            where they are not skipped.
    """
    finder = _Finder(labels, description, options)
    of = {split: finder.pictures(split, sources) for split, sources in description.sources.items()}
    if not any(description.sources.values()):
        of = {"train": []}
    notes = [*finder.tell_unread(of)]
    for split, pictures in of.items():
        without = [picture for picture in pictures if not labels.exists(picture)]
        if pictures and len(without) == len(pictures):
            expected = labels.of(pictures[0])
            notes.append(
                f"{labels.folder.path}: no picture of {split} has a label file ({expected} would be the first)"
            )
        else:
            tell_missing(options.tally, split, without, len(pictures))
        _tell_beside(labels, without, options)
    return Pictures(of, tuple(notes))


def _tell_beside(labels: LabelFiles, without: Sequence[Path], options: ReadOptions) -> None:
    """Tell of label files that lie where nobody looks for them."""
    for picture in without:
        beside = picture.with_name(f"{stem_of_picture(picture)}.txt")
        place = labels.place(picture.parent)
        if place != picture.parent and beside.is_file():
            options.tally.add(
                "(label file lies beside its picture and is not read; it belongs|label files lie beside pictures "
                f"and are not read; they belong) into {place}",
                beside,
            )


@dataclass
class _Finder:
    labels: LabelFiles
    description: Description
    options: ReadOptions
    unread: list[Path] = field(default_factory=list)  # pictures of a kind that is not read

    @property
    def folder(self) -> Folder:
        return self.labels.folder

    def pictures(self, split: str, sources: Sequence[Path]) -> list[Path]:
        """Return the pictures of a split, each once, by name."""
        found: dict[Path, None] = {}
        folders: dict[Path, list[Path]] = {}  # with the files in each
        before, is_there = len(self.unread), False
        for source in sources:
            if source.is_dir():
                files = folders[source] = self.folder.files(source)
                self.unread += [path for path in files if path.suffix.lower() in OTHER_SUFFIXES]
                found |= dict.fromkeys(path for path in files if path.suffix.lower() in SUFFIXES)
            elif _is_picture(source) and source.is_file():
                found[self.folder.checked(source)] = None
            elif source.suffix.lower() == ".txt":
                found |= dict.fromkeys(self._listed(source))
            elif self.description.may_lack_folders:
                continue
            else:
                expected = "a folder of pictures, or a list of them"
                raise self._error(split, expected, f"no {shown(str(source))}")
            is_there = True
        if not found and is_there and not self.description.may_lack_folders:
            error = self._without_pictures(split, sources, self.unread[before:])
            if any(folders.values()):
                raise error
            self.options.problems.met(error)  # nothing at all is nothing lost: `inspect` may show it
        for source, files in folders.items():
            self._report_orphans(source, files)
        return sorted(found, key=lambda path: (path.name, path))

    def _without_pictures(self, split: str, sources: Sequence[Path], unread: Sequence[Path]) -> AnnotationError:
        where = ", ".join(str(source) for source in sources)
        found = "none"
        if unread:
            found = f"{len(unread):,} of a kind that is not read (first: {unread[0]}); convert them to PNG or JPEG"
        else:
            meant = next((path for path in map(self._pictures_of_labels, sources) if path is not None), None)
            if meant is not None:
                found = f"none: that is the folder of the label files, {split} names that of the pictures ({meant})"
        return self._error(split, f"pictures in {where}", found)

    def _pictures_of_labels(self, source: Path) -> Path | None:
        """Return the folder of pictures that belongs to a folder of label files."""
        parts = list(source.relative_to(self.folder.path).parts)
        if "labels" not in parts:
            return None
        parts[len(parts) - 1 - parts[::-1].index("labels")] = "images"
        found = self.folder.path.joinpath(*parts)
        return found if found.is_dir() else None

    def _error(self, place: str, expected: str, found: str) -> AnnotationError:
        file = self.description.file
        return AnnotationError(file or self.folder.path, place, expected, found, reason="value")

    def _listed(self, file: Path) -> Iterator[Path]:
        """Yield the pictures of a list with one path a line, relative to the set, or to the list itself."""
        for number, line in enumerate(read_text(self.folder.checked(file)).split("\n"), start=1):
            name, place = line.strip().replace("\\", "/"), f"line {number}"
            if not name:
                continue
            try:
                path = self._named(name, file, place)
            except AnnotationError as error:
                self.options.problems.met(error)
                continue
            if path is not None:
                yield path

    def _named(self, name: str, file: Path, place: str) -> Path | None:
        bases = [file.parent] if name.startswith("./") else [self.description.base, file.parent]
        inner = after_data(name)
        try:
            candidates = [self.folder.named(name, base, file, place) for base in bases]
        except AnnotationError:
            if inner is None:
                raise
            candidates = []
        if inner is not None:
            candidates += [self.folder.named(inner, base, file, place) for base in bases]
        existing = next((path for path in candidates if path.is_file()), None)
        if existing is None:
            raise AnnotationError(file, place, "a picture", f"no file {shown(name)}", reason="missing-image")
        if existing.suffix.lower() in OTHER_SUFFIXES:
            self.unread.append(existing)
            return None
        if existing.suffix.lower() not in SUFFIXES:
            expected = f"a picture ({', '.join(sorted(SUFFIXES))})"
            raise AnnotationError(file, place, expected, shown(name), reason="picture")
        return existing

    def _report_orphans(self, source: Path, files: Sequence[Path]) -> None:
        """Tell of label files whose picture is missing: their objects would be lost in silence."""
        place = self.labels.place(source)
        if place != source and not place.is_dir():
            return
        expected = {self.labels.of(path) for path in files if path.suffix.lower() in SUFFIXES}
        stems = {path.with_suffix(""): path for path in expected}
        others = {self.labels.of(path): path for path in files if path.suffix.lower() in OTHER_SUFFIXES}
        for path in files if place == source else self.folder.files(place):
            if path.suffix.lower() != ".txt" or path in expected or path.name in NAME_FILES or path in others:
                continue
            if place == source and not begins_like_labels(path):
                continue  # a list, or something for people to read
            self.options.problems.met(self._orphan(path, source / path.relative_to(place), stems))

    def _orphan(self, path: Path, beside: Path, stems: Mapping[Path, Path]) -> AnnotationError:
        twin = stems.get(path.with_suffix(""))
        if twin is not None:
            wanted = "one label file for a picture"
            return AnnotationError(path, "", wanted, f"{twin.name} beside it; delete one", reason="duplicate-name")
        inner = Path(stem_of_picture(path))
        right = stems.get(path.with_name(inner.stem))
        if right is not None and inner.suffix.lower() in SUFFIXES:
            wanted = f"a label file to be called after its picture without the suffix, {right.name}"
            return AnnotationError(path, "", wanted, f"{path.name}; rename it", reason="missing-image")
        wanted = f"a picture {beside.with_suffix('')} with one of the suffixes {', '.join(sorted(SUFFIXES))}"
        return AnnotationError(path, "", wanted, "none", reason="missing-image")

    def tell_unread(self, of: Mapping[str, list[Path]]) -> Iterator[str]:
        """Count the pictures that no split has; the lines on those of kinds that are not read."""
        read = {path for pictures in of.values() for path in pictures}
        test: dict[Path, None] = {}
        for source in self.description.unread:
            test |= dict.fromkeys(self._pictures_in(source))
        only_test = [path for path in test if path not in read]
        if only_test:
            tell_unread_split(self.options.tally, "test", only_test[0], len(only_test))
        rest = [path for path in _walk(self.folder.path) if path not in read and path not in test]
        self.unread += [path for path in rest if path.suffix.lower() in OTHER_SUFFIXES]
        left = [path for path in rest if path.suffix.lower() in SUFFIXES]
        if left:  # a picture may have been found by another way that leads to it
            real = {os.path.realpath(path) for path in (*read, *test)}
            left = [path for path in left if os.path.realpath(path) not in real]
        tell_passed_over(self.options.tally, left)
        line = unread_pictures(sorted(set(self.unread)))
        return iter([] if line is None else [f"{self.folder.path}: {line}"])

    def _pictures_in(self, source: Path) -> list[Path]:
        """Return the pictures of a part that is not read; what is wrong with it does not matter."""
        if source.is_dir():
            return [path for path in _walk(source) if path.suffix.lower() in SUFFIXES]
        try:
            lines = read_text(source).split("\n")
        except AnnotationError:
            return []
        listed = []
        for line in lines:
            name = line.strip().replace("\\", "/")
            try:
                path = self._named(name, source, "") if name else None
            except AnnotationError:
                continue
            listed += [] if path is None else [path]
        return listed


def _walk(folder: Path) -> Iterator[Path]:
    """Yield the files in a folder and below, by name, without what is hidden; links to folders are not followed."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith("."):
                yield Path(place, name)
