"""The JSON of scredit's scripts: text to values, and values to the bytes that its editor writes.

More lenient than JSON: trailing commas, `//`, `/* */` and `#` comments, null for a missing key, the last of equal keys.
Stricter too, where the editor's own reader breaks: no `\\uXXXX` escapes, single quotes, NaN, byte order mark.
Time is linear in the text's length, and depth is bounded, whatever the text is.
"""

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, NoReturn

from yolo_proc.annotations.common import shown
from yolo_proc.errors import AnnotationError

MAX_DEPTH = 64  # braces and brackets inside each other
LONG_MAX = 2**63 - 1

_SKIPPED = frozenset(" \t\n\r\f/#")
_SPACE = re.compile(r"[ \t\n\r\f]*+")
_STRING = re.compile(r'"([^"\\\x00-\x1f]*+(?:\\["\\/bfnrt][^"\\\x00-\x1f]*+)*+)"')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?")
_ESCAPED = re.compile(r"\\(.)")
_PLAIN = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_ESCAPES = {ord(char): f"\\{letter}" for letter, char in _PLAIN.items() if letter != "/"}
_WORDS = (("true", True), ("false", False), ("null", None))


def loads(text: str, path: Path | str) -> Any:
    """Return the value of a script's text: dict, list, str, int, float, bool or None.

    A number that is whole is an int (of at most 64 bits, as the editor's), any other a float; keys with null are
    left out of dicts.

    Args:
        path: for messages.

    Raises:
        AnnotationError: "syntax" with line and column, "value" for a number too large.
    """
    reader = _Reader(text, path)
    reader.skip()
    value = reader.value(0)
    if reader.at < len(text):
        reader.fail("the end of the file")
    return value


class _Reader:
    """A place in a text; each method reads on from there, with the blanks and comments that follow."""

    __slots__ = ("at", "path", "text")

    def __init__(self, text: str, path: Path | str) -> None:
        self.text = text
        self.path = path
        self.at = 0

    def value(self, depth: int) -> Any:
        first = self.text[self.at : self.at + 1]
        if first == "{":
            return self.members(depth + 1)
        if first == "[":
            return self.elements(depth + 1)
        if first == '"':
            return self.string()
        if first in ("t", "f", "n"):
            for word, meant in _WORDS:
                if self.text.startswith(word, self.at):
                    self.at += len(word)
                    self.skip()
                    return meant
        return self.number()

    def members(self, depth: int) -> dict[str, Any]:
        self.open(depth)
        found: dict[str, Any] = {}
        while not self.accept("}"):
            if not self.text.startswith('"', self.at):
                self.fail('a key in "double quotes" or }')
            key = self.string()
            if not self.accept(":"):
                self.fail("a colon")
            value = self.value(depth)
            if value is not None:
                found[key] = value
            if not self.accept(","):
                if not self.accept("}"):
                    self.fail("a comma or }")
                break
        return found

    def elements(self, depth: int) -> list[Any]:
        self.open(depth)
        found: list[Any] = []
        while not self.accept("]"):
            found.append(self.value(depth))
            if not self.accept(","):
                if not self.accept("]"):
                    self.fail("a comma or ]")
                break
        return found

    def open(self, depth: int) -> None:
        if depth > MAX_DEPTH:
            self.fail(f"at most {MAX_DEPTH} braces and brackets inside each other")
        self.at += 1
        self.skip()

    def accept(self, char: str) -> bool:
        if not self.text.startswith(char, self.at):
            return False
        self.at += 1
        self.skip()
        return True

    def string(self) -> str:
        match = _STRING.match(self.text, self.at)
        if match is None:
            self.fail_string()
        self.at = match.end()
        self.skip()
        inside = match[1]
        return _ESCAPED.sub(lambda escape: _PLAIN[escape[1]], inside) if "\\" in inside else inside

    def number(self) -> int | float:
        match = _NUMBER.match(self.text, self.at)
        if match is None:
            self.fail("a value")
        number = float(match[0])
        if math.isinf(number):
            raise AnnotationError(self.path, self.place(), "a number of 64 bits", shown(match[0]), reason="value")
        self.at = match.end()
        self.skip()
        # The editor reads every number as a double, and takes those that are whole for integers.
        if number.is_integer() and abs(number) <= 2.0**63:
            return min(int(number), LONG_MAX)
        return number

    def skip(self) -> None:
        """Go on behind blanks and comments."""
        text = self.text
        while text[self.at : self.at + 1] in _SKIPPED:  # mostly not: the editor writes none
            match = _SPACE.match(text, self.at)
            assert match is not None
            self.at = match.end()
            if text.startswith(("//", "#"), self.at):
                end = text.find("\n", self.at)
                self.at = len(text) if end < 0 else end
            elif text.startswith("/*", self.at):
                end = text.find("*/", self.at + 2)
                if end < 0:
                    self.fail("a comment that ends with */")
                self.at = end + 2
            elif text.startswith("/", self.at) or self.at == len(text):
                return

    def place(self) -> str:
        line = self.text.count("\n", 0, self.at) + 1
        return f"line {line}, column {self.at - self.text.rfind(chr(10), 0, self.at)}"

    def fail(self, expected: str) -> NoReturn:
        rest = self.text[self.at : self.at + 24].split("\n")[0].rstrip()
        found = shown(rest) if self.at < len(self.text) else "the end of the file"
        raise AnnotationError(self.path, self.place(), expected, found, reason="syntax")

    def fail_string(self) -> NoReturn:
        """Say what is wrong inside the string that begins here."""
        self.at += 1
        while self.at < len(self.text) and self.text[self.at] >= " ":
            pair = self.text[self.at : self.at + 2]
            if pair[0] == "\\":
                if pair == "\\u":
                    self.fail("the character itself in UTF-8 (scredit's reader breaks on \\u escapes)")
                if pair[1:] not in _PLAIN:
                    self.fail('one of the escapes \\" \\\\ \\/ \\b \\f \\n \\r \\t')
                self.at += 1
            self.at += 1
        self.fail("a closing double quote on the same line, and no control characters")


def dumps(value: Any, path: Path | str) -> bytes:
    """The bytes that the editor writes for a value: keys sorted, no blanks, no line end, UTF-8 without escapes.

    Integers as they are, floats as Java's `Double.toString` has them (1.0, 1.0E-5).

    Args:
        path: for messages.

    Raises:
        AnnotationError: "value" for text that no script can have: control characters other than \\b \\f \\n \\r \\t.
    """
    parts: list[str] = []
    _dump(value, parts)
    text = "".join(parts)
    # Strings are escaped and everything else is ASCII, so a control character left over is one that has no escape.
    bad = re.search("[\x00-\x1f\ud800-\udfff]", text)
    if bad is not None:
        raise AnnotationError(path, "", "text that can be written", f"the character {bad[0]!r}", reason="value")
    return text.encode("utf-8")


def _dump(value: Any, parts: list[str]) -> None:
    if isinstance(value, str):
        parts.append(f'"{value}"' if value.isalnum() else f'"{value.translate(_ESCAPES)}"')
    elif value is None or isinstance(value, bool):
        parts.append("null" if value is None else str(value).lower())
    elif isinstance(value, int):
        parts.append(str(value))
    elif isinstance(value, float):
        parts.append(_java_double(value))
    elif isinstance(value, Mapping):
        # Java sorts strings by their UTF-16 units.
        plain = all(map(str.isascii, value))
        keys = sorted(value) if plain else sorted(value, key=lambda key: key.encode("utf-16-be", "surrogatepass"))
        _dump_between(("{", "}"), [(key, value[key]) for key in keys], parts)
    else:
        assert isinstance(value, list | tuple), f"{type(value).__name__} in a script"
        _dump_between(("[", "]"), [(None, inner) for inner in value], parts)


def _dump_between(ends: tuple[str, str], members: list[tuple[str | None, Any]], parts: list[str]) -> None:
    parts.append(ends[0])
    for number, (key, value) in enumerate(members):
        if number:
            parts.append(",")
        if key is not None:
            _dump(key, parts)
            parts.append(":")
        _dump(value, parts)
    parts.append(ends[1])


def _java_double(number: float) -> str:
    """Return `Double.toString`: plain from 1e-3 to below 1e7, else with an exponent, at least one digit after the
    point.
    """
    assert math.isfinite(number), "a script has no NaN"
    if number == 0 or 1e-3 <= abs(number) < 1e7:
        return repr(number)
    # repr has the shortest digits that give the number back, as Java has.
    decimal = Decimal(repr(number))
    digits = "".join(map(str, decimal.as_tuple().digits)).rstrip("0")
    return f"{'-' if number < 0 else ''}{digits[0]}.{digits[1:] or '0'}E{decimal.adjusted()}"
