"""Where the files of a Pascal VOC set are: the XML files of each split, and the pictures that belong to them.

    JPEGImages/NAME.jpg   Annotations/NAME.xml   ImageSets/Main/{train,val}.txt

Read as well: folders by other names (`annotations/` and `images/`), XML files beside their pictures, and a split into
folders `train`, `valid` and the like, each of which is such a set, or in the folder of the annotations.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from yolo_proc.annotations.common import SPLIT_WORDS, Folder, read_text, shown, split_of
from yolo_proc.annotations.records import SPLITS, ReadOptions
from yolo_proc.annotations.voc.layout import LISTS
from yolo_proc.annotations.voc.xml import VocFile
from yolo_proc.errors import AnnotationError
from yolo_proc.imaging.pictures import SUFFIXES
from yolo_proc.system.files import UnreadableFileError, read_start

# By what people call them, in small letters, the usual first.
_XML_FOLDERS = ("annotations", "annotation", "xmls", "xml", "labels")
_PICTURE_FOLDERS = ("jpegimages", "images", "image", "imgs", "img", "pictures")


@dataclass(frozen=True)
class Place:
    """The folders of XML files and of pictures; one and the same where they lie beside each other."""

    annotations: Path
    pictures: Path


def find_places(root: Path) -> dict[str, list[Place]]:
    """Return the places of each part; "" for a set that is not split into folders; empty where there is no such set."""
    here = _place_in(root)
    if here is not None:
        return {"": [here]}
    found: dict[str, list[Place]] = defaultdict(list)
    for path in _folders(root):
        split = split_of(path.name)
        place = None if split is None else _place_in(path)
        if split is not None and place is not None:
            found[split].append(place)
    return dict(found) if set(found) & {*SPLITS} else {}


def _place_in(root: Path) -> Place | None:
    folders = {path.name.lower(): path for path in reversed(_folders(root))}
    pictures = next((folders[name] for name in _PICTURE_FOLDERS if name in folders), root)
    for name in _XML_FOLDERS:
        if name not in folders:
            continue
        for folder in (*(path for path in _folders(folders[name]) if path.name.lower() == "xmls"), folders[name]):
            if _xml_in(folder) or any(_xml_in(inner) for inner in _folders(folder)):
                return Place(folder, pictures)
    if {"annotations", "jpegimages"} <= folders.keys() or (root / LISTS).is_dir():  # empty
        return Place(root / "Annotations", root / "JPEGImages")
    beside = _xml_in(root)
    if beside and any(_begins_like_voc(path) for path in beside[:3]):
        return Place(root, pictures)
    return None


def _folders(root: Path) -> list[Path]:
    try:
        return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError:
        return []


def _xml_in(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix.lower() == ".xml")
    except OSError:
        return []


def _begins_like_voc(path: Path) -> bool:
    try:
        start = read_start(path, 1024, "XML").replace(b"\0", b"").lower()  # in UTF-16 as well
    except UnreadableFileError:
        return False
    return b"<annotation>" in start or b"<annotation " in start


# ---- pictures


class PictureIndex:
    """The pictures of a folder, by their names.

    Args:
        paths: of all of them.
    """

    def __init__(self, place: Place, paths: Iterable[Path]) -> None:
        self.place = place
        self.by_stem: dict[str, list[Path]] = defaultdict(list)
        self.by_name: dict[str, list[Path]] = defaultdict(list)
        for path in paths:
            self.by_stem[path.stem].append(path)
            self.by_name[path.name].append(path)

    def find(self, path: Path, file: VocFile, options: ReadOptions) -> Path:
        """Return the picture of an XML file: the one of its own name, else the one that it names.

        Files that were renamed or copied keep their `filename`, so a name of its own is the surer sign; where both
        pictures are there that is told.

        Raises:
            AnnotationError: none ("missing-image"), or several ("duplicate-name").
        """
        name = PurePosixPath(file.filename.replace("\\", "/")).name
        named = self.by_name.get(name) or self.by_stem.get(name, [])
        found = self.by_stem.get(path.stem) or self._by_small_stem.get(path.stem.lower(), [])
        if found and named and not set(found) & set(named):
            what = (
                "(annotation names|annotations name) another picture that is there too; that of (its|their) own name "
                "is taken"
            )
            options.tally.add(what, path)
        found = found or named
        if len(found) > 1:  # by the folder that it lies in, or by the suffix
            inner = path.parent.relative_to(self.place.annotations)
            found = [one for one in found if one.parent.relative_to(self.place.pictures) == inner] or found
            found = [one for one in found if one in named] or found
        if len(found) > 1:
            both = f"{found[0].name} and {found[1].name}"
            raise AnnotationError(path, "filename", "one picture of this base name", both, reason="duplicate-name")
        if not found:
            none = f"no {shown(file.filename or path.stem)}"
            expected = f"a picture in {self.place.pictures}"
            raise AnnotationError(path, "filename", expected, none, reason="missing-image")
        return found[0]

    @cached_property
    def _by_small_stem(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = defaultdict(list)
        for stem, paths in self.by_stem.items():
            found[stem.lower()] += paths
        return found


# ---- splits


@dataclass
class Part:
    """One part of a set: its XML files, and where their pictures are."""

    files: list[Path]
    index: PictureIndex
    source: Path = field(default_factory=Path)


def find_parts(folder: Folder, options: ReadOptions) -> dict[str, Part]:
    """Return the XML files of each part, "test" among them, whose pictures are not read.

    Raises:
        AnnotationError: two files of one base name, a list that names what is not there; unless it is skipped.
    """
    parts: dict[str, Part] = {}
    places = find_places(folder.path)
    for split, several in places.items():
        for place in several:
            index = PictureIndex(place, _pictures(folder, place))
            files = _xml_files(folder, place, options)
            found = {split: Part(files, index, place.annotations)} if split else _split(folder, files, index, options)
            for name, part in found.items():
                if name in parts:
                    expected = f"one folder of {name}"
                    both = f"{parts[name].source} and {part.source}"
                    raise AnnotationError(folder.path, "", expected, both, reason="duplicate-name")
                parts[name] = part
    return parts


def _pictures(folder: Folder, place: Place) -> list[Path]:
    there = folder.files(place.pictures) if place.pictures.is_dir() else []
    return [path for path in there if path.suffix.lower() in SUFFIXES]


def _xml_files(folder: Folder, place: Place, options: ReadOptions) -> list[Path]:
    there = folder.files(place.annotations) if place.annotations.is_dir() else []
    if place.annotations != place.pictures and folder.path != place.annotations:
        for path in there:
            if path.suffix.lower() not in (".xml", *SUFFIXES):
                options.tally.add(
                    f"(file in {place.annotations.name} is|files in {place.annotations.name} are) no XML and "
                    "(is|are) not read",
                    path,
                )
    return [path for path in there if path.suffix.lower() == ".xml"]


def _split(folder: Folder, files: list[Path], index: PictureIndex, options: ReadOptions) -> dict[str, Part]:
    """Return the parts of a set that is not split into folders at its root: by lists, by folders of XML files, or
    one.
    """
    lists = {split: path for split, path in _lists(folder.path).items() if split in SPLITS}
    if lists:
        return _by_lists(folder, files, index, options)
    by_folder: dict[str, list[Path]] = defaultdict(list)
    for path in files:
        inner = path.relative_to(index.place.annotations).parent.parts
        by_folder[next((split for split in map(split_of, inner) if split is not None), "")].append(path)
    if "" in by_folder or not set(by_folder) & {*SPLITS}:
        by_folder = defaultdict(list, {"train": files})
    found = {}
    for split, paths in by_folder.items():
        found[split] = Part(list(_by_stem(paths, options).values()), index, index.place.annotations)
    return found


def _by_stem(files: Iterable[Path], options: ReadOptions) -> dict[str, Path]:
    """Return the annotations by their name without suffix."""
    found: dict[str, Path] = {}
    for path in files:
        other = found.setdefault(path.stem, path)
        if other is not path:
            error = AnnotationError(path, "", "one file of this base name", f"{other} too", reason="duplicate-name")
            options.problems.met(error)
    return found


def _lists(root: Path) -> dict[str, Path]:
    """Return the list of each part."""
    found = {
        split: next((path for name in names if (path := root / LISTS / f"{name}.txt").is_file()), None)
        for split, names in SPLIT_WORDS.items()
    }
    there = {split: path for split, path in found.items() if path is not None}
    both = root / LISTS / "trainval.txt"
    if not {*SPLITS} & there.keys() and both.is_file():
        there["train"] = both
    return there


def _by_lists(folder: Folder, files: list[Path], index: PictureIndex, options: ReadOptions) -> dict[str, Part]:
    by_stem = _by_stem(files, options)
    found = {}
    for split, file in _lists(folder.path).items():
        found[split] = Part(_listed(folder, file, by_stem, index.place, options), index, file)
    listed = {path for part in found.values() for path in part.files}
    rest = [path for path in by_stem.values() if path not in listed]
    if rest:
        options.tally.add("(annotation is|annotations are) in none of the lists that are read", rest[0], len(rest))
    return found


def _listed(folder: Folder, file: Path, files: dict[str, Path], place: Place, options: ReadOptions) -> list[Path]:
    """Return the annotations that a list names; the lists of one class have a flag behind each name."""
    found: dict[Path, None] = {}
    for number, line in enumerate(read_text(folder.checked(file)).split("\n"), start=1):
        name, where = line.strip(), f"line {number}"
        known = next((one for one in _spellings(name) if one in files), None)
        if known is not None and files[known] in found:
            options.tally.add("(line of a list names|lines of lists name) a picture again", f"{file}: {where}")
        elif known is not None:
            found[files[known]] = None
        elif name:
            try:
                folder.named(f"{name}.xml", place.annotations, file, where)
                expected = f"a picture with an XML file in {place.annotations}"
                raise AnnotationError(file, where, expected, shown(name), reason="value")
            except AnnotationError as error:
                options.problems.met(error)
    return list(found)


def _spellings(line: str) -> Sequence[str]:
    """Return what a line may mean: the whole, its first word, and a path's file without its suffix."""
    if not line:
        return ()
    found = [line, line.split()[0]]
    for text in (line, line.split()[0]):
        path = PurePosixPath(text.replace("\\", "/"))
        if path.suffix.lower() in (".xml", *SUFFIXES) and ".." not in path.parts:
            found.append(path.stem)
    return found
