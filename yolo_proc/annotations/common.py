"""Shared parts of the formats with a text file a picture: reading text, the border of the folder, names, losses."""

import codecs
import math
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from yolo_proc.annotations.layout import Listed
from yolo_proc.annotations.records import Annotation, Item, Tally, stem_of
from yolo_proc.errors import AnnotationError, DataError
from yolo_proc.imaging.pictures import SUFFIXES
from yolo_proc.system.files import MIB, UnreadableFileError, read_bytes

_WHOLE = 0.01  # from a whole number
MAX_TEXT_BYTES = 16 * MIB  # of one picture's annotation, or of a list: more is an attack or another kind of file


def read_file(path: Path, max_bytes: int = MAX_TEXT_BYTES, what: str = "a file", *, text: bool = False) -> bytes:
    """Return the bytes of a file of a data set; see `files.read_bytes`.

    Raises:
        AnnotationError: it cannot be read, is no plain file ("value"), or is longer than `max_bytes` ("bomb").
    """
    try:
        return read_bytes(path, max_bytes, what, text=text)
    except UnreadableFileError as error:
        reason = "bomb" if error.reason == "bomb" else "value"
        raise AnnotationError(path, "", error.expected, error.found, reason=reason) from None


# The parts of a data set by what people call them, usual first. `train2017`, `val_1`, `test-dev` are such names too.
SPLIT_WORDS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev", "minival"),
    "test": ("test", "testing"),
}


def read_text(path: Path, max_bytes: int = MAX_TEXT_BYTES) -> str:
    """The text of a UTF-8 file, without a byte order mark and with "\\n" for every line end.

    Raises:
        AnnotationError: it cannot be read, is no plain file ("value"), is longer than `max_bytes` ("bomb"), or is
            not UTF-8 ("syntax").
    """
    data = read_file(path, max_bytes)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        is_utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        found = "UTF-16; save it as UTF-8" if is_utf16 else f"byte {data[error.start]:#04x} at offset {error.start}"
        raise AnnotationError(path, "", "text in UTF-8", found, reason="syntax") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


class Folder:
    """A data set's folder: what lies in it, with all symbolic links followed.

    Attributes:
        path: as the user named it; every path that comes from here begins with it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._absolute = Path(os.path.abspath(path))  # noqa: PTH100 `..` is taken away, links are not followed
        self._real = Path(os.path.realpath(path))
        self._real_parents: dict[Path, bool] = {}

    def holds(self, path: Path) -> bool:
        """Return whether the path lies inside, with symbolic links followed; it need not exist."""
        if not path.is_symlink():
            parent = path.parent
            if parent not in self._real_parents:
                self._real_parents[parent] = self._is_inside(parent)
            if self._real_parents[parent]:
                return True
        return self._is_inside(path)

    def checked(self, path: Path) -> Path:
        """Return the path, which was found in the folder or below.

        Raises:
            AnnotationError: "escape": a symbolic link that leads out.
        """
        if not self.holds(path):
            real = os.path.realpath(path)
            raise AnnotationError(path, "", f"a place inside {self.path}", f"a link to {real}", reason="escape")
        return path

    def named(self, text: str, base: Path, file: Path, place: str) -> Path:
        """Return the path that a file names, without `..`; it need not exist.

        Args:
            text: the name, absolute or relative to `base`.
            base: a folder inside.
            file, place: where it is named, for the message.

        Raises:
            AnnotationError: "escape": it leads out of the folder; "value": no path at all.
        """
        try:
            normal = Path(os.path.normpath(Path(self._absolute, base.relative_to(self.path), text)))
            for start in (self._absolute, self._real):
                if normal.is_relative_to(start):
                    found = self.path / normal.relative_to(start)
                    if self.holds(found):
                        found.lstat()
                        return found
        except (FileNotFoundError, NotADirectoryError):
            return found
        except (OSError, ValueError):
            raise AnnotationError(file, place, "a path", shown(text), reason="value") from None
        raise AnnotationError(file, place, f"a path inside {self.path}", shown(text), reason="escape")

    def files(self, folder: Path) -> list[Path]:
        """Return the files of a folder and of the folders in it, by name; hidden ones are left out.

        Raises:
            AnnotationError: "escape": a folder that is a link out of the data set; "value": one that cannot be read.
        """
        found: list[Path] = []
        waiting, seen = [folder], set()
        while waiting:
            current = self.checked(waiting.pop())
            real = os.path.realpath(current)
            if real in seen:  # a link to a folder above would lead round and round
                continue
            seen.add(real)
            try:
                with os.scandir(current) as entries:
                    for entry in entries:
                        if not entry.name.startswith("."):
                            (waiting if entry.is_dir() else found).append(current / entry.name)
            except OSError as error:
                raise AnnotationError(
                    current, "", "a folder that can be read", f"{error.strerror}", reason="value"
                ) from None
        return sorted(found, key=lambda path: (path.name, path))

    def _is_inside(self, path: Path) -> bool:
        return Path(os.path.realpath(path)).is_relative_to(self._real)


def split_of(name: str) -> str | None:
    """Return the part of a data set that a folder or a file is called after: "train", "val", "test"; None: none of
    them.

    Args:
        name: without suffix and folders: `train`, `valid`, `instances_val2017`, `test-dev`.
    """
    words = re.findall("[a-z]+", name.lower())
    return next((split for word in words for split, known in SPLIT_WORDS.items() if word in known), None)


def tell_missing(tally: Tally, split: str, without: Sequence[Path], total: int) -> None:
    """Count the pictures of a split that have no label file: objects that were never labelled teach background.

    Args:
        without: the pictures that have none.
        total: how many pictures the split has.
    """
    if without:
        what = f"of {total:,} pictures of {split} (has|have) no label file and (is|are) taken as showing no object"
        tally.add(what, without[0], len(without))


def tell_unread_split(tally: Tally, split: str, first: Path | str, count: int) -> None:
    """Count the pictures of a part that is neither train nor val; `first` is one of them, or the part's folder."""
    tally.add(f"(picture of {split} is|pictures of {split} are) not read, because only train and val are", first, count)


def tell_passed_over(tally: Tally, pictures: Sequence[Path]) -> None:
    """Count pictures that lie in the data set's folder, though nothing in it says which part they belong to."""
    if pictures:
        tally.add("(picture belongs|pictures belong) to no split and (is|are) not read", pictures[0], len(pictures))


def shown(value: Any, longest: int = 80) -> str:
    """Return a value from a file as a message shows it: on one line, and short."""
    text = repr(value)
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def checked_name(name: str) -> str:
    """Return the name of a picture's file, if a file can have it and a reader finds it again.

    Raises:
        DataError: a folder in it, signs that are not printable, blanks at an end, no stem, or no suffix of a picture.
    """
    stem, _, suffix = name.rpartition(".")
    plain = name.isprintable() and "/" not in name and "\\" not in name
    if not (plain and stem.strip() == stem and not stem.startswith(".") and stem and f".{suffix.lower()}" in SUFFIXES):
        expected = f"a file name with one of the suffixes {', '.join(sorted(SUFFIXES))}"
        raise DataError(f"picture {name!r}: expected {expected}, found none (rename the picture)")
    return name


def check_stems(where: str, pictures: Iterable[Listed]) -> None:
    """Sees to it that no two pictures share a label file.

    Args:
        where: the place of the label files, for the message.

    Raises:
        DataError: two names that differ only in their suffix, or not at all.
    """
    seen: dict[str, str] = {}
    for picture in pictures:
        other = seen.get(picture.stem)
        seen[picture.stem] = picture.name
        if other is not None:
            raise DataError(f"{where}: {other!r} and {picture.name!r} share a base name (rename one of them)")


def parse_number(text: str) -> float:
    """The finite number that a text says, in the digits 0 to 9: Python would take `1_0`, `\u0663` and `nan` as well.

    Raises:
        ValueError: it says none.
    """
    value = float(text)
    if not math.isfinite(value) or "_" in text or not text.isascii():
        raise ValueError(f"no number: {text!r}")
    return value


def is_not_finite(text: str) -> bool:
    """Return whether a text says NaN, infinity, or a number that is too large."""
    try:
        return not math.isfinite(float(text))
    except ValueError:
        return False


def with_names(found: Sequence[tuple[PurePosixPath, Annotation]], where: Path, tally: Tally) -> Iterator[Annotation]:
    """Yield every picture of a part with a name of its own, as a folder for all of them needs it; in the same order.

    Pictures whose names differ in their suffix alone, or not at all, get the folders that they lie in before it, and
    underscores where such a name is taken. Those without folders keep theirs.

    Args:
        found: each with its path in the set.
        where: the set, for the line on those that are renamed.
        tally: counts them.
    """
    alike = Counter(stem_of(file.name) for file, _ in found)
    stays = [len(file.parts) == 1 or alike[stem_of(file.name)] == 1 for file, _ in found]
    taken = {stem_of(file.name) for (file, _), one in zip(found, stays, strict=True) if one}
    for (file, annotation), one in zip(found, stays, strict=True):
        name = file.name if one else "_".join(file.parts)
        while not one and stem_of(name) in taken:
            name = f"_{name}"
        taken.add(stem_of(name))
        if not one:
            what = "(picture has|pictures have) the name of one in another folder, and (is|are) renamed"
            tally.add(what, f"{where}: {file} becomes {name}")
        yield replace(annotation, name=name)


def has_fractions(*values: float) -> bool:
    """Return whether any of some finite numbers is not whole, but for what single precision makes of a whole one."""
    return any(abs(value - round(value)) > _WHOLE for value in values)


def lost_details(item: Item) -> tuple[str, ...]:
    """Return what a class and an upright box do not say of a rectangle; what holds anyway (a share of 1) is no loss."""
    lost = []
    if item.confidence not in (None, 1):
        lost.append("confidence")
    if item.rotation not in (None, 0):
        lost.append("rotation")
    if item.visible not in (None, 1):
        lost.append("visible")
    if item.in_frame not in (None, 1):
        lost.append("in_frame")
    if item.points:
        lost.append("outline")
    if item.anchor is not None:
        lost.append("anchor")
    if item.category is None:
        lost.append("class")
    return tuple(lost)
