"""JSON files by others: every field is checked as it is asked for, and an error says where it stands."""

import json
import math
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yolo_proc.annotations.common import read_file, shown
from yolo_proc.annotations.foreign import shown_json
from yolo_proc.errors import AnnotationError
from yolo_proc.system.files import GIB

MAX_BYTES = 2 * GIB  # COCO files of a million pictures have 1.5 GB; read, they take some times their size of memory

_MOST_DIGITS = 18  # of a number that stands there as text


def read_object(path: Path) -> dict[str, Any]:
    """Return the object that a JSON file holds; UTF-8, with or without a byte order mark. Its keys are in small
    letters.

    `NaN` and `Infinity`, which are no JSON, come out as such: who asks for a number refuses them, and can say where.

    Raises:
        AnnotationError: a file that cannot be read ("value"), has more than `MAX_BYTES` ("bomb"), is not UTF-8, not
            JSON, a key twice in an object, or not an object ("syntax").
    """
    twice: list[str] = []

    def made(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        fields = dict(pairs)
        if len(fields) != len(pairs) and not twice:
            twice.extend(_differing(pairs))
        return _compact(fields)

    try:
        text = read_file(path, MAX_BYTES, "JSON", text=True).decode("utf-8-sig")
        value = json.loads(text, object_pairs_hook=made)
    except UnicodeDecodeError as error:
        found = f"byte {error.object[error.start]:#04x} at offset {error.start}"
        raise AnnotationError(path, "", "text in UTF-8", found, reason="syntax") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise AnnotationError(path, place, "JSON", error.msg, reason="syntax") from None
    except (RecursionError, ValueError) as error:  # brackets in brackets in brackets; a number of thousands of digits
        raise AnnotationError(path, "", "JSON", str(error), reason="syntax") from None
    if twice:
        key, found = twice
        raise AnnotationError(path, key, "every key once in an object", f"two in {found}", reason="syntax")
    if not isinstance(value, dict):
        raise AnnotationError(path, "", "an object in braces", shown_json(value), reason="syntax")
    return _small_keys(value, path, "")


def _differing(pairs: list[tuple[str, Any]]) -> list[str]:
    """Return a key that stands in an object with two values, and the object; empty where all values of a key are
    equal.
    """
    fields: dict[str, Any] = {}
    for key, value in pairs:
        if fields.setdefault(key, value) != value:
            return [key, shown(dict(pairs))]
    return []


def _compact(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the same, with the polygons of COCO as arrays: a list of floats takes four times the memory."""
    pieces = fields.get("segmentation")
    if pieces.__class__ is list:
        with suppress(TypeError, OverflowError):  # no numbers: whoever asks for them says so
            fields["segmentation"] = [array("d", piece) if piece.__class__ is list else piece for piece in pieces]
    return fields


def _small_keys(fields: dict[str, Any], path: Path, place: str) -> dict[str, Any]:
    """Return the same with keys in small letters: `IsCrowd` means `iscrowd`.

    Raises:
        AnnotationError: two keys that are one then, with different values.
    """
    if all(map(str.islower, fields)):
        return fields
    found: dict[str, Any] = {}
    for key, value in fields.items():
        small = key.lower()
        if small in found and found[small] != value:
            where = f"{place}.{small}".lstrip(".")
            raise AnnotationError(path, where, "one value", f"{key} with another", reason="value")
        found[small] = value
    return found


@dataclass(frozen=True, slots=True)
class Entry:
    """One object of a JSON file.

    Attributes:
        path: of the file.
        place: in the file: "images[3]"; empty for the whole.
        fields: as they stand there, with keys in small letters.
    """

    path: Path
    place: str
    fields: Mapping[str, Any]

    def error(self, key: str, expected: str, reason: str, found: str | None = None) -> AnnotationError:
        """Return what to raise about a field; `found` is the field's value unless given."""
        found = found or (shown(self.fields[key]) if key in self.fields else "no such key")
        return AnnotationError(self.path, f"{self.place}.{key}".lstrip("."), expected, found, reason=reason)

    def whole(self, key: str, low: int | None = None) -> int:
        """Return a whole number, at least `low`; 5.0 is 5 too.

        Raises:
            AnnotationError: anything else ("value"), a string of digits too.
        """
        value = self.fields.get(key)
        value = None if isinstance(value, str) else _as_whole(value)
        if value is None or (low is not None and value < low):
            raise self.error(key, "a whole number" if low is None else f"a whole number from {low}", "value")
        return value

    def identity(self, key: str) -> int | str:
        """Return a whole number, however it is written (1.0 and "1" are 1), or text that is not empty: an id.

        Raises:
            AnnotationError: anything else ("value").
        """
        value = self.fields.get(key)
        number = _as_whole(value)
        if number is not None:
            return number
        if not isinstance(value, str) or not value:
            raise self.error(key, "a whole number or a text", "value")
        return value

    def text(self, key: str) -> str:
        """Return text that is not empty.

        Raises:
            AnnotationError: anything else ("value").
        """
        value = self.fields.get(key)
        if not isinstance(value, str) or not value:
            raise self.error(key, "text", "value")
        return value

    def floats(self, key: str, values: Any) -> list[float]:
        """Return `values`, which stand under `key`, as finite floats.

        Raises:
            AnnotationError: no list of numbers ("value"), or not finite ("not-finite").
        """
        numbers: Sequence[Any] = values if isinstance(values, list | array) else [None]
        if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in numbers):
            raise self.error(key, "a list of numbers", "value")
        try:
            found = [float(value) for value in numbers]
        except OverflowError:  # whole numbers of hundreds of digits
            found = [math.inf]
        if not all(map(math.isfinite, found)):
            raise self.error(key, "finite numbers", "not-finite", shown(values))
        return found

    def objects(self, key: str) -> Iterator["Entry"]:
        """Yield the objects of a list.

        Raises:
            AnnotationError: no list, or something else in it ("syntax").
        """
        values = self.fields.get(key)
        if not isinstance(values, list):
            raise self.error(key, "a list", "syntax")
        for number, value in enumerate(values):
            place = f"{self.place}.{key}[{number}]".lstrip(".")
            if not isinstance(value, dict):
                raise AnnotationError(self.path, place, "an object in braces", shown(value), reason="syntax")
            yield Entry(self.path, place, _small_keys(value, self.path, place))


def _as_whole(value: Any) -> int | None:
    """Return the whole number that a value is; None: it is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and len(value) <= _MOST_DIGITS and value.isascii() and value.lstrip("-").isdigit():
        number = int(value) if value.count("-") == value.startswith("-") else None
        return number if f"{number}" == value else None  # "007" is a name
    return None
