"""`data.yaml` of a YOLO set: where the pictures are, and what the classes are called.

Every scalar is read as text: YAML 1.1 makes False of a class called `no`. Nothing in the file is executed, downloaded,
or followed out of the folder; aliases, with which a short file becomes a long one, are refused.
"""

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from yolo_proc.annotations.classes import MAX_CLASSES, SET_FILE
from yolo_proc.annotations.common import SPLIT_WORDS, Folder, read_text, shown
from yolo_proc.errors import AnnotationError

MAX_YAML_BYTES = 1 << 20
MAX_DEPTH = 20  # of brackets in brackets; 2 are needed
NAMES = ("data.yaml", "data.yml")
_SUFFIXES = (".yaml", ".yml")
VAL_IS_TRAIN = "`{}` names the pictures of `train`: they are read as train, and there are none of val"
_ELSEWHERE = re.compile(r"[A-Za-z]:[\\/]|\\\\")  # a path on a Windows machine


@dataclass(frozen=True)
class Description:
    """Content of `data.yaml`.

    Attributes:
        base: the folder that paths in lists are relative to.
        file: `data.yaml` itself; None in a set without it.
        sources: for each split folders of pictures, or text files that list them.
        names: by class index; None where there are none.
        count: of the classes, where only that is said; else 0.
        may_lack_folders: we wrote the set, and make no folder for a split without pictures.
        unread: folders and lists of the test split, which is not read.
        keypoints: (K, D) of `kpt_shape`: a line has K keypoints of D numbers behind its box.
        notes: lines for the user.
    """

    base: Path
    file: Path | None
    sources: Mapping[str, tuple[Path, ...]]
    names: tuple[str, ...] | None = None
    count: int = 0
    may_lack_folders: bool = False
    unread: tuple[Path, ...] = ()
    keypoints: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()


def find_description(root: Path) -> Path | None:
    """Return the `data.yaml` of a folder, or the file itself where the user named one; None where there is none."""
    if root.suffix.lower() in _SUFFIXES and root.is_file():
        return root
    usual = next((root / name for name in NAMES if (root / name).is_file()), None)
    if usual is not None or not root.is_dir():
        return usual
    others = other_descriptions(root)
    return others[0] if len(others) == 1 else None


def other_descriptions(root: Path) -> list[Path]:
    """Return files beside the pictures that say what `data.yaml` says and have names of their own: `dataset.yaml`."""
    try:
        files = [path for path in sorted(root.iterdir()) if path.suffix.lower() in _SUFFIXES and path.name not in NAMES]
        return [path for path in files if _describes(path)]
    except OSError:
        return []


def _describes(path: Path) -> bool:
    try:
        text = read_text(path, MAX_YAML_BYTES)
    except AnnotationError:
        return False
    keys = set(re.findall(r"^(\w+)[ \t]*:", text, re.MULTILINE))
    return bool(keys & {"train", "val"}) and bool(keys & {"names", "nc"})


def read_description(file: Path, folder: Folder) -> Description:
    """Return what `data.yaml` says of the set in `folder`.

    Raises:
        AnnotationError: no YAML, not what a set needs, or paths that lead out of the folder ("escape").
    """
    values = load_yaml(read_text(folder.checked(file), MAX_YAML_BYTES), file)
    if not isinstance(values, dict):
        raise AnnotationError(file, "", "`train:`, `val:` and `names:`", shown(str(values)), reason="syntax")
    base, refused = _base(values, file, folder)
    notes = []
    if refused is not None:
        notes.append(f"{file}: path {shown(str(values['path']))} lies outside, {folder.path} is read in its place")
    val = next((key for key in SPLIT_WORDS["val"] if values.get(key)), "val")
    keys = {"train": "train", "val": val}
    sources = {split: _sources(values, key, base, file, folder) for split, key in keys.items()}
    unread, lines = _unread(values, base, file, folder)
    notes += lines
    if refused is not None and not any(path.exists() for paths in sources.values() for path in paths):
        raise refused
    if not sources["train"]:
        raise AnnotationError(file, "train", "a folder of pictures, or a list of them", "nothing", reason="value")
    names, count = _classes(values, file)
    ours = (folder.path / SET_FILE).is_file()
    if sources["val"] == sources["train"] and not ours:  # ours say so where there is no split
        notes.append(f"{file}: {VAL_IS_TRAIN.format(val)}")
    if sources["val"] in ((), sources["train"]):
        del sources["val"]
    keypoints = _keypoints(values.get("kpt_shape", ""), file)
    return Description(base, file, sources, names, count, ours, unread, keypoints, tuple(notes))


def _unread(values: Mapping[str, Any], base: Path, file: Path, folder: Folder) -> tuple[tuple[Path, ...], list[str]]:
    """Return the folders and lists of `test`, and lines on those that are not there."""
    if not values.get("test"):
        return (), []
    try:
        found = _sources(values, "test", base, file, folder)
    except AnnotationError as error:
        return (), [f"{error}; the pictures of `test` are not read anyway"]
    return found, [f"{file}: `test` names {path}, which is not there" for path in found if not path.exists()]


def _keypoints(given: Any, file: Path) -> tuple[int, int] | None:
    """Return (K, D) of `kpt_shape`."""
    if given == "":
        return None
    if isinstance(given, list) and len(given) == 2 and all(isinstance(one, str) and one.isascii() for one in given):
        number, each = (int(one) if one.isdigit() and len(one) < 5 else 0 for one in given)
        if number > 0 and each in (2, 3):
            return number, each
    expected = "how many keypoints an object has, and 2 or 3 numbers for each: [17, 3]"
    raise AnnotationError(file, "kpt_shape", expected, shown(str(given)), reason="value")


def description_to_yaml(train: str, val: str, classes: Sequence[str]) -> bytes:
    """Return `data.yaml` in bytes. It has no `path`: readers resolve a relative one against folders of their own."""
    content = {"train": train, "val": val, "names": dict(enumerate(classes))}
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=1 << 30).encode()


def load_yaml(text: str, path: Path | str) -> Any:
    """Return the dictionaries, lists and texts of a YAML file; all scalars are texts.

    Raises:
        AnnotationError: no YAML ("syntax"), aliases or deep nesting ("bomb").
    """
    try:
        # Safer than `yaml.safe_load`: this loader makes no dates and no numbers either.
        return yaml.load(text, Loader=_TextLoader)
    except yaml.MarkedYAMLError as error:
        place = f"line {error.problem_mark.line + 1}" if error.problem_mark is not None else ""
        raise AnnotationError(path, place, "YAML", _yaml_trouble(error, text), reason="syntax") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # the last two: escapes beyond the last character
        raise AnnotationError(path, "", "YAML", _one_line(error), reason="syntax") from None
    except _BombError as error:
        raise AnnotationError(path, f"line {error.line}", error.expected, error.found, reason="bomb") from None


class _BombError(Exception):
    def __init__(self, line: int, expected: str, found: str) -> None:
        super().__init__(expected)
        self.line, self.expected, self.found = line, expected, found


class _TextLoader(yaml.BaseLoader):
    """Knows text, lists and dictionaries; no tags, no aliases, no key twice."""

    _depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        line = event.start_mark.line + 1
        if getattr(event, "anchor", None) is not None:  # of an alias too: its anchor is the name that it repeats
            raise _BombError(line, "no anchors and aliases", shown(event.anchor))
        if self._depth == MAX_DEPTH:
            raise _BombError(line, f"at most {MAX_DEPTH} levels", "more")
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        made: dict[Hashable, Any] = super().construct_mapping(node, deep=deep)
        if len(made) != len(node.value):
            raise yaml.constructor.ConstructorError(None, None, "a key that stands there twice", node.start_mark)
        return made


def _yaml_trouble(error: yaml.MarkedYAMLError, text: str) -> str:
    """Return what is wrong, as the end of a sentence that has said "found", with the mend where it is known."""
    trouble = _one_line(error.problem).removeprefix("found ")
    lines = text.split("\n")
    line = lines[error.problem_mark.line] if error.problem_mark and error.problem_mark.line < len(lines) else ""
    if re.search(r'"[^"]*\\', line):
        trouble += r" (in double quotes a backslash begins a special character: write a Windows path with / or without "
        trouble += "the quotes)"
    elif "\t" in line:
        trouble += " (YAML allows no tabs at the beginning of a line)"
    return trouble


def _one_line(error: object) -> str:
    return " ".join(str(error).split())[:120]


def _base(values: Mapping[str, Any], file: Path, folder: Folder) -> tuple[Path, AnnotationError | None]:
    """Return the folder that `train` and `val` are relative to, and why it is not the one of `path`.

    `path` names the place that the set had on its writer's machine. Where that is no folder in the set, the set's own
    folder stands for it.
    """
    text = values.get("path", "")
    if not isinstance(text, str):
        raise AnnotationError(file, "path", "a folder", shown(str(text)), reason="value")
    if _ELSEWHERE.match(text):
        found = f"{shown(text)}, a path of another machine"
        return folder.path, AnnotationError(file, "path", f"a path inside {folder.path}", found, reason="escape")
    try:
        named = folder.named(text, folder.path, file, "path")
    except AnnotationError as error:
        if error.reason != "escape":
            raise
        return folder.path, error
    return (named if named.is_dir() else folder.path), None


def _sources(values: Mapping[str, Any], split: str, base: Path, file: Path, folder: Folder) -> tuple[Path, ...]:
    given = values.get(split, "")
    entries = given if isinstance(given, list) else [given] if given else []
    found = []
    for number, entry in enumerate(entries):
        place = f"{split}[{number}]" if isinstance(given, list) else split
        if not isinstance(entry, str) or not entry:
            raise AnnotationError(
                file, place, "a folder of pictures, or a list of them", shown(str(entry)), reason="value"
            )
        found.append(_source(entry.replace("\\", "/"), place, base, file, folder))
    return tuple(found)


def _source(entry: str, place: str, base: Path, file: Path, folder: Folder) -> Path:
    if _ELSEWHERE.match(entry):
        expected = f"a path relative to {base}"
        found = f"{shown(entry)}, a path of another machine{_meant(entry, base, folder)}"
        raise AnnotationError(file, place, expected, found, reason="escape")
    try:
        return folder.named(entry, base, file, place)
    except AnnotationError as error:
        # A well-known exporter writes `../train/images` for `train/images`, and its readers know that.
        inner = entry
        while inner.startswith("../"):
            inner = inner[3:]
        found_inner = folder.named(inner, base, file, place) if inner != entry else None
        if found_inner is None or not found_inner.exists():
            error.args = (f"{error}{_meant(entry, base, folder)}",)
            raise
        return found_inner


def _meant(entry: str, base: Path, folder: Folder) -> str:
    """Return the end of a path of another machine that is a path in the set, as advice; empty where there is none."""
    parts = Path(entry).parts
    for first in range(1, len(parts)):
        inner = Path(*parts[first:])
        try:
            if ".." not in inner.parts and folder.holds(base / inner) and (base / inner).exists():
                return f" (is {inner} meant?)"
        except (OSError, ValueError):  # no name that a file can have
            return ""
    return ""


def after_data(name: str) -> str | None:
    """Return what follows the last folder `data` of a path: Darknet's and CVAT's lists begin there; None: no such
    folder.
    """
    _, between, inner = f"/{name}".rpartition("/data/")
    return inner if between and inner else None


def _classes(values: Mapping[str, Any], file: Path) -> tuple[tuple[str, ...] | None, int]:
    """Return the names and, where there are none, the number of the classes."""
    count = _count(values.get("nc", ""), file)
    given = values.get("names", "")
    if given == "":
        return None, count or 0
    if isinstance(given, dict):
        given = _names_in_order(given, file)
    if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
        raise AnnotationError(file, "names", "class names, as a list or by index", shown(str(given)), reason="class")
    if count is not None and count != len(given):
        raise AnnotationError(file, "names", f"{count} names, as `nc` says", f"{len(given)}", reason="class")
    return tuple(given), 0


def _count(given: Any, file: Path) -> int | None:
    if given == "":
        return None
    if isinstance(given, str) and given.isascii() and given.isdigit() and len(given) < 9 and int(given) <= MAX_CLASSES:
        return int(given)
    raise AnnotationError(file, "nc", f"a number from 0 to {MAX_CLASSES}", shown(str(given)), reason="value")


def _names_in_order(given: Mapping[Hashable, Any], file: Path) -> list[Any]:
    expected = [str(index) for index in range(len(given))]
    if set(given) != set(expected):
        wrong = next(key for key in given if key not in expected)
        between = f"the indices 0 to {len(given) - 1} before the names"
        raise AnnotationError(file, "names", between, shown(str(wrong)), reason="class")
    return [given[index] for index in expected]
