"""The record of a chunk that is done, as a file of its own.

Whatever damaged the pictures of an unfinished set may have damaged its records: a digest finds that, and what has a
right digest is checked all the same. A record that is not believed is none, and its chunk is drawn again.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from yolo_proc.annotations.layout import Listed

_MOST = 1 << 40  # of anything counted
_MOST_WORDS, _LONGEST_WORD = 100, 100  # reasons are few and short; they are printed

Lengths = tuple[int, int]  # bytes of a picture's file and of its label file; 0 where it has none of its own


class _BadRecordError(Exception):
    """It says what no record says."""


@dataclass(frozen=True)
class Record:
    """A chunk that is done.

    Attributes:
        pictures: as the files of the whole set speak of them.
        objects: of each class index.
        below, lost: see `generate.Summary`.
        lengths: of each picture's files; empty for a set whose pictures have no files of their own.
    """

    pictures: Sequence[Listed]
    objects: Counter[int]
    below: Counter[str]
    lost: Counter[str]
    lengths: Sequence[Lengths] = ()

    def to_bytes(self) -> bytes:
        """Return the file: a digest, and the rest as JSON on one line."""
        values = {
            "pictures": self.pictures,
            "objects": sorted(self.objects.items()),
            "below": self.below,
            "lost": self.lost,
            "lengths": self.lengths,
        }
        return signed(json.dumps(values, separators=(",", ":")).encode("ascii"))

    @classmethod
    def from_bytes(cls, data: bytes, classes: int) -> "Record | None":
        """Return the inverse of `to_bytes`; None for a file that nobody wrote so.

        Args:
            classes: how many there are.
        """
        body = data.partition(b"\n")[2]
        if data != signed(body):
            return None
        try:
            return cls._of(json.loads(body), classes)
        except (_BadRecordError, ValueError, RecursionError):
            return None

    @classmethod
    def _of(cls, values: Any, classes: int) -> "Record":
        fields = values if isinstance(values, dict) else {}
        pictures = [tuple(_list(one, 2)) for one in _list(fields.get("pictures"))]
        if not all(isinstance(name, str) and isinstance(text, str) for name, text in pictures):
            raise _BadRecordError
        objects = [_list(one, 2) for one in _list(fields.get("objects"))]
        lengths = [_list(one, 2) for one in _list(fields.get("lengths"))]
        return cls(
            pictures=tuple(Listed(name, text) for name, text in pictures),
            objects=Counter({_whole(number, classes - 1): _whole(count) for number, count in objects}),
            below=_counts(fields.get("below")),
            lost=_counts(fields.get("lost")),
            lengths=tuple((_whole(picture), _whole(label)) for picture, label in lengths),
        )


def signed(body: bytes) -> bytes:
    """Return the bytes of a record's file with this JSON."""
    return hashlib.sha256(body).hexdigest().encode("ascii") + b"\n" + body


def _list(value: Any, count: int | None = None) -> list[Any]:
    if not isinstance(value, list) or (count is not None and len(value) != count):
        raise _BadRecordError
    return value


def _whole(value: Any, most: int = _MOST) -> int:
    if type(value) is not int or not 0 <= value <= most:
        raise _BadRecordError
    return value


def _counts(value: Any) -> Counter[str]:
    if not isinstance(value, Mapping) or len(value) > _MOST_WORDS:
        raise _BadRecordError
    if not all(word.isprintable() and len(word) <= _LONGEST_WORD for word in value):
        raise _BadRecordError
    return Counter({word: _whole(count) for word, count in value.items()})
