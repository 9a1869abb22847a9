"""Where class names and their order come from.

First found: the names that the user gives (`--classes FILE`), `yolo_proc.json` in the data set, the format's own list,
`class_0 ...` with a line that says so.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from yolo_proc.annotations.common import MAX_TEXT_BYTES, Folder, read_file, read_text
from yolo_proc.annotations.records import SPLITS, ReadOptions
from yolo_proc.errors import AnnotationError, ConfigError
from yolo_proc.system.files import UnreadableFileError, read_bytes

SET_FILE = "yolo_proc.json"
VERSION = 1  # of that file
NAME_FILES = frozenset({"classes.txt", "obj.names", "_darknet.labels"})  # one name a line, in the order of the indices
NOTES_FILE = "notes.json"  # Label Studio's
_OWN_PARTS = ("scredit", "binary")  # formats whose `train/` and `val/` are data sets themselves
MAX_NAMES = 65_536  # what a checkpoint can have; a list of more is another kind of file
MAX_CLASSES = 10_000  # made up at most: a damaged index must not make a billion names


def resolve_classes(
    root: Path, options: ReadOptions, own: Sequence[str] | None, highest: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the class names of a data set, and lines for the user.

    Args:
        root: the data set's folder.
        options: `classes` are the names that the user gave.
        own: what the format says itself; None where it has no names.
        highest: the largest class index in the data set; -1 where there is none.

    Returns:
        (names, notes): names by class index, at least `highest + 1`; notes say that names were made up.

    Raises:
        ConfigError: the user gave too few names, or one twice.
        AnnotationError: the data set has too few names ("class"), or its `yolo_proc.json` is damaged.
    """
    known = known_classes(root, options, own)
    if known is None:
        if highest >= MAX_CLASSES:
            found = f"class {highest} and no names"
            raise AnnotationError(root, "", f"class names, or indices below {MAX_CLASSES}", found, reason="class")
        names = tuple(f"class_{index}" for index in range(highest + 1))
        called = {0: "it has no objects either", 1: "its class is called class_0"}
        called_so = called.get(len(names), f"its classes are called class_0 to class_{highest}")
        return names, (f"{root}: no class names found, {called_so} (names are given by --classes FILE)",)
    if len(known) <= highest:
        found = f"{len(known)}"
        expected = f"at least {highest + 1} class names, because class {highest} occurs"
        if options.classes is not None:
            raise ConfigError(f"--classes: expected {expected} in {root}, found {found}")
        place = "classes" if names_of_set(root) is not None else "class names"
        path = set_file(root) if place == "classes" else root
        raise AnnotationError(path, place, expected, found, reason="class")
    return known, ()


def known_classes(root: Path, options: ReadOptions, own: Sequence[str] | None) -> tuple[str, ...] | None:
    """Return the names that somebody gave, by the rule of this module; None where nobody did.

    Raises:
        ConfigError: the user gave a name twice, or an empty one.
        AnnotationError: `yolo_proc.json` is damaged, or the data set has a name twice.
    """
    if options.classes is not None:
        wrong = wrong_names(options.classes)
        if wrong:
            raise ConfigError(f"--classes: expected class names that differ, found {wrong}")
        return options.classes
    names = names_of_set(root)
    if names is None and own is not None:
        names = tuple(own)
    wrong = wrong_names(names or ())
    if wrong:
        raise AnnotationError(root, "class names", "names that differ", wrong, reason="class")
    return names


def wrong_names(names: Sequence[str]) -> str:
    """Return what is wrong with class names; empty where nothing is."""
    if len(names) > MAX_NAMES:
        return f"{len(names):,} of them, more than {MAX_NAMES:,}"
    seen: set[str] = set()
    for name in names:
        if not name.strip() or not name.isprintable():
            return f"{name!r}"
        if name in seen:
            return f"{name!r} twice"
        seen.add(name)
    return ""


def set_file(root: Path) -> Path:
    """Return where `yolo_proc.json` is: in the data set, or above a part that is a data set itself; it need not
    exist.
    """
    path = root / SET_FILE
    above = root.parent / SET_FILE
    if root.name in SPLITS and not path.exists() and above.is_file():
        try:
            if _content(above).get("format") in _OWN_PARTS:
                return above
        except AnnotationError:
            return path
    return path


def read_set_file(path: Path) -> dict[str, Any] | None:
    """Return what a `yolo_proc.json` says; None where there is none.

    Raises:
        AnnotationError: it is no JSON object, is of another version, or lies outside of the folder ("escape").
    """
    if not path.is_file():
        return None
    if not path.resolve().is_relative_to(path.parent.resolve()):
        raise AnnotationError(path, "", "a file in the data set's folder", "a link that leads out", reason="escape")
    content = _content(path)
    version = content.get("version")
    if version != VERSION or isinstance(version, bool):
        raise AnnotationError(path, "version", f"{VERSION}", f"{version!r}"[:60], reason="value")
    return content


def _content(path: Path) -> dict[str, Any]:
    try:
        content: Any = json.loads(read_file(path).decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise AnnotationError(path, "", "JSON in UTF-8", _one_line(error), reason="syntax") from None
    if not isinstance(content, dict):
        raise AnnotationError(path, "", "an object in braces", type(content).__name__, reason="value")
    return content


def names_of_set(root: Path) -> tuple[str, ...] | None:
    """Return the classes of a data set's `yolo_proc.json`; None without the file, or without the key.

    Raises:
        AnnotationError: the file is damaged, of another version, or lies outside of the folder ("escape").
    """
    path = set_file(root)
    names = (read_set_file(path) or {}).get("classes")
    if names is None:
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise AnnotationError(path, "classes", "a list of names", f"{names!r}"[:40], reason="class")
    return tuple(names)


def read_class_file(path: Path) -> tuple[str, ...]:
    """Return the class names of a text file in UTF-8, one a line, in the order of their indices.

    Blanks around a name do not count, and neither do empty lines at the end.

    Raises:
        ConfigError: no such file, no names, an empty line between them, a name twice.
    """
    try:
        text = read_bytes(path, MAX_TEXT_BYTES, "class names, one a line").decode("utf-8-sig")
    except UnreadableFileError as error:
        raise ConfigError(str(error)) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: expected class names, one a line, found {_one_line(error)}") from None
    names = _lines_of(text)
    wrong = _wrong_line(names)
    if wrong is not None:
        number, expected, found = wrong
        raise ConfigError(f"{path}: line {number}: expected {expected}{f', found {found}' if found else ''}")
    return names


def read_name_list(path: Path) -> tuple[str, ...]:
    """Return the class names in a file of the data set: as `read_class_file`.

    Raises:
        AnnotationError: see there.
    """
    names = _lines_of(read_text(path))
    wrong = _wrong_line(names)
    if wrong is not None:
        number, expected, found = wrong
        raise AnnotationError(path, f"line {number}", expected, found or repr(names[number - 1]), reason="class")
    return names


def _lines_of(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.rstrip().split("\n"))


def _wrong_line(names: Sequence[str]) -> tuple[int, str, str] | None:
    """Return the first line that is no class name, what is expected there, and what is found unless the former says
    it.
    """
    if len(names) > MAX_NAMES:
        return MAX_NAMES + 1, f"the end of the file: a data set has at most {MAX_NAMES:,} classes", ""
    seen: dict[str, int] = {}
    for number, name in enumerate(names, start=1):
        if wrong_names([name]):
            found = repr(name) if name else "an empty line" if len(names) > 1 else "an empty file"
            return number, "a class name", found
        if name in seen:
            return number, f"another name than {name!r}, that of line {seen[name]}", ""
        seen[name] = number
    return None


def find_name_list(folder: Folder) -> tuple[str, ...] | None:
    """Return the class names that a label program has left in a data set: `classes.txt` and the like; None: there are
    none.

    Raises:
        AnnotationError: a damaged list, two that name other classes, or one that lies outside ("escape").
    """
    found: tuple[tuple[str, ...], Path] | None = None
    for path in _name_files(folder.path):
        names = read_name_list(folder.checked(path))
        if found is not None:
            shorter, longer = sorted((found[0], names), key=len)
            if longer[: len(shorter)] != shorter:
                expected = f"the class names of {found[1]}, because one of them holds for all label files"
                raise AnnotationError(path, "", expected, "others; --classes FILE says which", reason="class")
            names = longer
        found = names, path
    return _names_in_notes(folder) if found is None else found[0]


def _name_files(root: Path) -> Iterator[Path]:
    """Yield files of class names in the folders where label programs leave them."""
    places = [root]
    for name in ("labels", "images", "obj_train_data", *SPLITS, "valid", "test"):
        places.append(root / name)
        places += [root / name / inner for inner in ("labels", *SPLITS, "valid", "test")]
    for place in places:
        yield from (place / name for name in sorted(NAME_FILES) if (place / name).is_file())


def _names_in_notes(folder: Folder) -> tuple[str, ...] | None:
    """Return the names in Label Studio's `notes.json`, in the order of their ids; None where it does not say them."""
    path = folder.path / NOTES_FILE
    if not path.is_file():
        return None
    try:
        categories = json.loads(read_text(folder.checked(path)))["categories"]
        named = {one["id"]: one["name"] for one in categories}
        names = tuple(named[index] for index in range(len(categories)))
    except (ValueError, RecursionError, KeyError, TypeError, IndexError):
        return None
    return names if names and all(isinstance(name, str) for name in names) and not wrong_names(names) else None


def _one_line(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "brackets nested too deep"
    return " ".join(str(error).split())[:120]
