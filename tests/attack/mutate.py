"""Damage to a file's bytes: what disks, editors, other programs and attackers make of it.

Every function takes an explicit generator and gives the damaged bytes with a note of what was done, so that an input
is a function of its address and says what is wrong with it. What knows a format is in `mutate_formats.py`.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Rng = np.random.Generator
Damaged = tuple[bytes, str]

NUMBERS = (
    *(
        "0",
        "-0",
        "-0.0",
        "1",
        "-1",
        "+1",
        "2",
        "3",
        "0.5",
        "1.0",
        "1e0",
        "1E+2",
        "1.",
        ".5",
        "00",
        "01",
        "0x10",
        "1_000",
    ),
    *("1e400", "-1e400", "1e-400", "1e308", "-1e308", "5e-324", "1e22", "0.1e-3", "1e999999999999"),
    *("NaN", "nan", "-nan", "Infinity", "-Infinity", "inf", "-inf", ".inf", ".nan"),
    *("2147483647", "2147483648", "-2147483649", "4294967296", "1000000", "1048577", "100000000000"),
    *("9007199254740993", "9223372036854775807", "9223372036854775808", "-9223372036854775809", "18446744073709551616"),
    *("9" * 401, "-" + "9" * 401, "1" + "0" * 308, "0." + "0" * 400 + "1", "9" * 5000, "1" * 4301),
    *("\u0663", "\uff11", "\u00bd", "\u2212" + "1", "1,5", "1 2", "", " ", "true", "null", "~", "None"),
)
TEXTS = (
    *("", " ", "\t", "a", "..", ".", "/", "\\", "../../x", "/etc/passwd", "C:\\x", "~", "$HOME", "%s%n", "{0}", "CON"),
    *("a\nb", "a\rb", "a\0b", "\x1b[31mred", "\x7f", "\u202eabc", "\u2028", "\u0085", "\ufeff", "\ufffd", "\u00e9"),
    *("e\u0301", "\U0001f600", "\u00df", "\u0130", "\u200b", "x" * 300, "x" * 70_000, "/" * 300, "a/" * 2000, "-v"),
    *("true", "null", "yes", "no", "1", "1e3", "NaN", "train", "val", "names", "classes", "__class__", "<b>", "&amp;"),
)
BYTES = (
    *(b"\0", b"\xff", b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"\x80", b"\xc3", b"\xed\xa0\x80", b"\r", b"\r\n"),
    *(
        b"\n\n\n",
        b"\x1a",
        b"\x1b]0;x\x07",
        b"\0" * 64,
        b"\xff" * 64,
        b"\xff\xd8\xff",
        b"\xff\xd9",
        b"\x89PNG",
        b"PK\3\4",
    ),
    *(
        b"\x1f\x8b",
        b"..",
        b"<",
        b">",
        b"&a;",
        b'"',
        b"'",
        b"{",
        b"}",
        b"[",
        b"]",
        b":",
        b",",
        b"#",
        b"%",
        b"!!",
        b"---\n",
    ),
    *(b"\x00\x00\x00\x00", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\x00\x00\x00", b"\xff\xff\xff\x7f"),
)


def one_of(choices: Sequence[Any], rng: Rng) -> Any:
    """An element, each as likely."""
    return choices[int(rng.integers(len(choices)))]


def short(value: Any) -> str:
    """A value for a note."""
    text = repr(value)
    return text if len(text) <= 48 else f"{text[:40]}... ({len(value) if hasattr(value, '__len__') else '?'})"


# ------------------------------------------------------------------------------------------------- bytes


def flip_bit(data: bytes, rng: Rng) -> Damaged:
    """One bit is the other."""
    if not data:
        return b"\1", "a byte in an empty file"
    at = int(rng.integers(8 * len(data)))
    return flipped(data, at), f"bit {at % 8} of byte {at // 8} flipped"


def flipped(data: bytes, bit: int) -> bytes:
    """The bytes with one bit flipped."""
    damaged = bytearray(data)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


def set_bytes(data: bytes, rng: Rng) -> Damaged:
    """Some bytes are others."""
    at, count = int(rng.integers(len(data) + 1)), int(rng.integers(1, 9))
    return data[:at] + rng.bytes(len(data[at : at + count])) + data[at + count :], f"{count} bytes at {at} by chance"


def truncate(data: bytes, rng: Rng) -> Damaged:
    """The end is missing."""
    at = int(rng.integers(len(data) + 1))
    return data[:at], f"cut at {at} of {len(data)}"


def cut_out(data: bytes, rng: Rng) -> Damaged:
    """Something is missing."""
    at, count = int(rng.integers(len(data) + 1)), int(rng.integers(1, 65))
    return data[:at] + data[at + count :], f"{count} bytes cut out at {at}"


def repeat(data: bytes, rng: Rng) -> Damaged:
    """Something is there more than once."""
    at, count, times = int(rng.integers(len(data) + 1)), int(rng.integers(1, 257)), int(one_of((2, 3, 50), rng))
    return data[:at] + data[at : at + count] * times + data[at + count :], f"{count} bytes at {at} x {times}"


def insert(data: bytes, rng: Rng) -> Damaged:
    """Something is put in, or over what is there."""
    at, word = int(rng.integers(len(data) + 1)), one_of(BYTES, rng)
    over = rng.random() < 0.5
    return data[:at] + word + data[at + len(word) * over :], f"{short(word)} {'over' if over else 'put in at'} {at}"


def splice(data: bytes, rng: Rng) -> Damaged:
    """The beginning of the file and another part of it."""
    at, other = (int(rng.integers(len(data) + 1)) for _ in range(2))
    return data[:at] + data[other:], f"up to {at}, then from {other}"


def zeros(data: bytes, rng: Rng) -> Damaged:
    """A block that a disk lost."""
    at, count = int(rng.integers(len(data) + 1)), int(one_of((1, 16, 512, 4096), rng))
    return data[:at] + bytes(len(data[at : at + count])) + data[at + count :], f"{count} zeros at {at}"


ON_BYTES = (flip_bit, flip_bit, set_bytes, truncate, cut_out, repeat, insert, insert, splice, zeros)


def damage_bytes(data: bytes, rng: Rng) -> Damaged:
    """One damage to any file."""
    damage: Callable[[bytes, Rng], Damaged] = one_of(ON_BYTES, rng)
    return damage(data, rng)


# -------------------------------------------------------------------------------------------------- text

_NUMBER = re.compile(rb"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_WORD = re.compile(rb"[A-Za-z_][\w.-]*")


def other_number(data: bytes, rng: Rng) -> Damaged:
    """A number is one that readers stumble over."""
    places = list(_NUMBER.finditer(data))
    if not places:
        return insert(data, rng)
    place, number = one_of(places, rng), one_of(NUMBERS, rng)
    return data[: place.start()] + number.encode() + data[place.end() :], f"{short(place[0])} is {short(number)}"


def other_word(data: bytes, rng: Rng) -> Damaged:
    """A word is another one, of the file or not."""
    places = list(_WORD.finditer(data))
    if not places:
        return insert(data, rng)
    place = one_of(places, rng)
    word = one_of(places, rng)[0] if rng.random() < 0.5 else one_of(TEXTS, rng).encode("utf-8")
    return data[: place.start()] + word + data[place.end() :], f"{short(place[0])} is {short(word)}"


def on_lines(data: bytes, rng: Rng) -> Damaged:
    """A line is missing, there twice, elsewhere, or joined with the next."""
    lines = data.splitlines(keepends=True)
    if not lines:
        return insert(data, rng)
    at, kind = int(rng.integers(len(lines))), int(rng.integers(7))
    if kind == 0:
        lines[at : at + 1] = []
    elif kind == 1:
        lines[at : at + 1] = [lines[at]] * int(one_of((2, 3, 400), rng))
    elif kind == 2:
        lines.insert(int(rng.integers(len(lines))), lines.pop(at))
    elif kind == 3:
        lines[at] = lines[at].rstrip(b"\r\n")
    elif kind == 4:
        lines[at] = one_of((b" ", b"\t", b"        ", b"\xc2\xa0", b"#", b"- ", b"//"), rng) + lines[at]
    elif kind == 5:
        lines[at] = lines[at].rstrip(b"\r\n") + one_of((b"\r\n", b"\r", b"\x0b", b"\xe2\x80\xa8", b" \n", b"#\n"), rng)
    else:
        lines[at] = bytes(lines[at].swapcase())
    done = (
        "is missing",
        "is repeated",
        "is elsewhere",
        "is joined",
        "is moved in",
        "ends otherwise",
        "is in other case",
    )
    return b"".join(lines), f"line {at + 1} {done[kind]}"


def recode(data: bytes, rng: Rng) -> Damaged:
    """The text in another encoding."""
    codec = one_of(("utf-16", "utf-16-le", "utf-32", "latin-1", "cp1252", "utf-8-sig", "utf-7"), rng)
    return data.decode("utf-8", "replace").encode(codec, "replace"), f"in {codec}"


ON_TEXT = (other_number, other_number, other_number, other_word, other_word, on_lines, on_lines, recode, damage_bytes)


def damage_text(data: bytes, rng: Rng) -> Damaged:
    """One damage to a text."""
    damage: Callable[[bytes, Rng], Damaged] = one_of(ON_TEXT, rng)
    return damage(data, rng)


def damage_labels(data: bytes, rng: Rng) -> Damaged:
    """One damage to lines of numbers with blanks between: a word less, more, repeated, or another."""
    lines = [line.split(b" ") for line in data.split(b"\n")]
    full = [line for line in lines if len(line) > 1]
    if not full or rng.random() < 0.5:
        return damage_text(data, rng)
    line, kind = one_of(full, rng), int(rng.integers(6))
    at = int(rng.integers(len(line)))
    if kind == 0:
        del line[at]
    elif kind == 1:
        line[at:at] = [one_of(NUMBERS, rng).encode()] * int(one_of((1, 2, 3, 12, 51, 3000), rng))
    elif kind == 2:
        line[at] = one_of(NUMBERS, rng).encode()
    elif kind == 3:
        line[:] = line * int(one_of((2, 3, 9), rng))
    elif kind == 4:
        line[at] = line[at] + one_of((b"\t", b",", b";", b"\xc2\xa0", b"\0", b"%", b"px", b"#"), rng)
    else:
        rng.shuffle(line)
    done = ("a word less", "words more", "another word", "repeated", "a sign more", "in another order")
    return b"\n".join(b" ".join(line) for line in lines), f"a line: {done[kind]}"
