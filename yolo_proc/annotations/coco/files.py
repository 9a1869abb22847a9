"""Where the files of a COCO data set are: the JSON file of each part, and the pictures that it names.

Ours: `annotations/instances_{train,val}.json`, the pictures in `train/` and `val/`. Read as well: any names of the JSON
files that tell train from val (`instances_train2017.json`), files in the root (`labels.json` beside `data/`) or beside
the pictures of a part, and pictures in `train2017/`, `images/`, `images/train/`, `data/` and the root itself.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from urllib.parse import unquote, urlsplit

from yolo_proc.annotations.checked_json import Entry
from yolo_proc.annotations.classes import NOTES_FILE, SET_FILE
from yolo_proc.annotations.common import SPLIT_WORDS, Folder, split_of
from yolo_proc.annotations.foreign import MEND, format_in
from yolo_proc.annotations.records import SPLITS, Tally
from yolo_proc.errors import DataError
from yolo_proc.system.files import UnreadableFileError, read_start

FOLDER = "annotations"
PREFIX = "instances"  # COCO's folders hold files of captions and keypoints as well

# What a COCO file begins with, or has early. Other formats have JSON files in a folder `annotations` too.
_BEGINNING = re.compile(rb'(\xef\xbb\xbf)?\s*\{\s*"(images|annotations|categories|info|licenses|type)"', re.IGNORECASE)
_EARLY = re.compile(rb'(\xef\xbb\xbf)?\s*\{.*"(images|categories)"\s*:\s*\[', re.IGNORECASE | re.DOTALL)
_LOOKED_AT = 4096  # bytes
_SHOWN_PLACES = 7
# Where files are looked for; the first with any is taken.
_PLACES = ((FOLDER, "Annotations"), (".",), ("train", "val", "valid", "validation", "test"))


def looks_like(root: Path) -> bool:
    """Return whether there are COCO files where `read` looks for them; opens at most three files a folder."""
    folders = [root / folder for place in _PLACES for folder in place]
    return any(_begins_like_coco(path) for folder in folders for path in _json_files(folder)[:3])


def _json_files(folder: Path) -> list[Path]:
    """Return, by name, those called `instances...` first."""
    try:
        files = [
            path
            for path in folder.iterdir()
            if path.suffix.lower() == ".json" and path.name not in (SET_FILE, NOTES_FILE) and path.is_file()
        ]
    except OSError:
        return []
    return sorted(files, key=lambda path: (not path.name.startswith(PREFIX), path.name))


def _is_new(path: Path, seen: set[tuple[str, int, int]]) -> bool:
    """Return whether a file is there for the first time, which `seen` takes.

    `annotations` and `Annotations` are one folder where the file system ignores case, or where one is a link.
    """
    status = path.stat()
    known = (path.name.lower(), status.st_dev, status.st_ino)
    is_new = known not in seen
    seen.add(known)
    return is_new


def _begins_like_coco(path: Path) -> bool:
    try:
        start = read_start(path, _LOOKED_AT, "JSON")
    except UnreadableFileError:
        return False
    return _BEGINNING.match(start) is not None or _EARLY.match(start) is not None


@dataclass
class Found:
    """The JSON files of a data set.

    Attributes:
        parts: that of each split.
        tests: those of a test part, which is not read.
        others: those that are of no part, or say something else of one.
    """

    parts: dict[str, Path] = field(default_factory=dict)
    tests: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)


def find_files(root: Path) -> Found:
    """Return the file of each part.

    Raises:
        DataError: no file of train or val, or several of one.
    """
    taken: list[Path] = []
    every: list[Path] = []
    seen: set[tuple[str, int, int]] = set()
    for place in _PLACES:
        files = [path for folder in place for path in _json_files(root / folder) if _is_new(path, seen)]
        like = [path for path in files if path.name.startswith(PREFIX) or _begins_like_coco(path)]
        taken = taken or like
        every += like
    taken = [path for path in taken if path.name.startswith(PREFIX)] or taken
    by_part: dict[str, list[Path]] = {}
    for path in taken:
        by_part.setdefault(_part_of(path, root), []).append(path)
    if "train" not in by_part and len(by_part.get("", ())) == 1:
        by_part["train"] = by_part.pop("")  # `annotations.json`, `instances_default.json`
    parts = {split: by_part[split] for split in SPLITS if split in by_part}
    if not parts or any(len(paths) > 1 for paths in parts.values()):
        raise _no_files(root, taken)
    tests = by_part.get("test", [])
    read = [*tests, *(path for paths in parts.values() for path in paths)]
    return Found({split: paths[0] for split, paths in parts.items()}, tests, [one for one in every if one not in read])


def _no_files(root: Path, taken: Sequence[Path]) -> DataError:
    expected = (
        f"{root}: expected one COCO file of train and one of val, or one in all, in annotations/, in the folder "
        f"itself or in train/ and val/, for example annotations/instances_train.json"
    )
    if taken:
        names = ", ".join(str(path.relative_to(root)) for path in taken)
        only_test = all(_part_of(path, root) == "test" for path in taken)
        return DataError(f"{expected}; found {names}{', and test is not read' if only_test else ''}")
    foreign = format_in(root)
    return DataError(f"{expected}; found {'none' if foreign is None else f'{foreign[0]} ({foreign[1]}); {MEND}'}")


def _part_of(path: Path, root: Path) -> str:
    """Return `train`, `val`, `test`, or nothing, by the file's name or else its folder's."""
    folder = path.parent.name if path.parent != root else ""
    return split_of(path.stem) or split_of(folder) or ""


# ---- pictures


class Pictures:
    """Finds the pictures that one JSON file names.

    Args:
        folder: of the data set.
        split: of the file.
        path: of the file.

    Attributes:
        places: folders that names are relative to, the likely ones first.
    """

    def __init__(self, folder: Folder, split: str, path: Path, tally: Tally) -> None:
        self.folder = folder
        self.tally = tally
        tag = path.stem.removeprefix(PREFIX).strip("_-")
        beside = str(path.parent.relative_to(folder.path))
        names = [tag, split, f"images/{tag}", f"images/{split}", "images", ".", beside]
        names += ["data", f"{beside}/data", f"{beside}/images"]
        for spelling in SPLIT_WORDS.get(split, ()):
            names += [spelling, f"images/{spelling}", f"{spelling}/images", f"{spelling}/data"]
        self.places = list(dict.fromkeys(folder.path / name for name in names))

    def find(self, image: Entry) -> tuple[PurePosixPath, Path]:
        """Return what a picture is called, with those folders that count, and where it lies.

        A name that leads out of the data set, or an address, stands for the picture of that name in it.

        Raises:
            AnnotationError: nowhere, or outside of the data set.
        """
        text = image.text("file_name")
        whole, endings, leads_out = _names(text)
        for name in (*([] if whole is None else [whole]), *endings):
            for place in self.places:
                path = place / name
                if not _is_file(path):
                    continue
                if not self.folder.holds(path):
                    found = f"{path}, a link that leads out"
                    raise image.error("file_name", "a file inside the data set", "escape", found)
                if name is not whole:
                    what = (
                        "(picture is|pictures are) named with an address or another folder, and (is that|are those) "
                        "of the same name here"
                    )
                    self.tally.add(what, f"{image.path}: {image.place}")
                return name, path
        if leads_out:
            raise image.error("file_name", "a path inside the data set, or the name of a picture in it", "escape")
        places = ", ".join(f"{place.relative_to(self.folder.path)}/" for place in self.places[:_SHOWN_PLACES])
        expected = f"a picture in {self.folder.path}, in one of {places} or the like"
        raise image.error("file_name", expected, "missing-image")


def _names(text: str) -> tuple[PurePosixPath | None, list[PurePosixPath], bool]:
    """Return what a picture may be called here: the name as it stands, its endings, and whether it leads out of the
    data set.

    No name as it stands for an address, and for one that leads out.
    """
    is_address = "://" in text
    try:
        plain = urlsplit(text).path if is_address else text
    except ValueError:  # brackets that hold no address
        plain = text
    whole = PurePosixPath(plain.replace("\\", "/"))
    leads_out = whole.is_absolute() or PureWindowsPath(text).is_absolute() or ".." in whole.parts
    endings = _endings(whole)
    if "%" in plain:
        decoded = PurePosixPath(unquote(plain).replace("\\", "/"))
        endings += [decoded] * (not decoded.is_absolute() and ".." not in decoded.parts) + _endings(decoded)
    return (None if is_address or leads_out else whole), endings, leads_out and not is_address


def _endings(name: PurePosixPath) -> list[PurePosixPath]:
    """Return a path without its first folder, without its first two, and so on; none with `..` in it."""
    parts = name.parts
    starts = [first for first in range(1, len(parts)) if ".." not in parts[first:]]
    return [PurePosixPath(*parts[first:]) for first in starts]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False
