"""Damage that knows a format: to values of JSON and YAML, keys of TOML, elements of XML; the file is still one."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import yaml

from attack.mutate import NUMBERS, TEXTS, Damaged, Rng, damage_bytes, damage_labels, damage_text, one_of, short


class Raw(str):
    """A text that stands in the file as it is: `1e400`, 5,000 digits, brackets in brackets."""

    __slots__ = ()


def damage_value(root: Any, rng: Rng) -> tuple[Any, str]:
    """A copy of a tree of dicts and lists with one node missing, renamed, repeated, elsewhere or of another kind."""
    root = _copied(root)
    places = _places(root) if isinstance(root, dict | list) else []
    if not places:
        return _other_value(rng), "another root"
    holder, key = one_of(places, rng)
    kind = int(rng.integers(10))
    where = f"{key!r}"
    if kind == 0:
        del holder[key]
        return root, f"{where} is missing"
    if kind == 1 and isinstance(holder, dict):
        name = one_of(places, rng)[1] if rng.random() < 0.6 else one_of(TEXTS, rng)
        holder[str(name)] = holder.pop(key)
        return root, f"{where} is called {short(str(name))}"
    if kind == 2 and isinstance(holder, list):
        times = int(one_of((2, 3, 300), rng))
        holder[key:key] = [holder[key]] * times
        return root, f"{where} {times} times more"
    if kind == 3:
        other, name = one_of(places, rng)
        holder[key] = _copied(other[name])
        return root, f"{where} is what {name!r} is"
    if kind == 4:
        depth = int(one_of((1, 2, 60, 700, 5000), rng))
        opening, closing = one_of((("[", "]"), ('{"a":', "}")), rng)
        holder[key] = Raw(opening * depth + "1" + closing * depth)
        return root, f"{where} nested {depth} deep"
    if kind == 5 and isinstance(holder[key], str):
        holder[key] = one_of(TEXTS, rng)
        return root, f"{where} is {short(holder[key])}"
    if kind == 6 and isinstance(holder[key], int | float):
        holder[key] = Raw(one_of(NUMBERS, rng) or "0")
        return root, f"{where} is {short(str(holder[key]))}"
    if kind == 7 and isinstance(holder[key], list | dict):
        holder[key] = list(holder[key].items() if isinstance(holder[key], dict) else holder[key])[:-1]
        return root, f"{where} is a shorter list"
    holder[key] = _other_value(rng)
    return root, f"{where} is {short(holder[key])}"


def _other_value(rng: Rng) -> Any:
    return one_of(
        (None, True, False, 0, -1, 1.5, "", "a", [], {}, [None], [[]], {"": None}, {"a": 1}, [1, 2], [0] * 4, "0",
         10**9,          Raw(one_of(NUMBERS, rng) or "0"), str(one_of(TEXTS, rng)), [1.0, "x"], -(10**9), 1e308),
        rng,
    )  # fmt: skip


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(inner) for key, inner in value.items()}
    return [_copied(inner) for inner in value] if isinstance(value, list) else value


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every (holder, key) below."""
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        holder = waiting.pop()
        inside = holder.items() if isinstance(holder, dict) else enumerate(holder)
        for key, inner in inside:
            found.append((holder, key))
            if isinstance(inner, dict | list):
                waiting.append(inner)
    return found


def to_json(value: Any, rng: Rng) -> bytes:
    """JSON with what is raw in it; laid out in one of the ways that writers have."""
    raw: list[str] = []
    indent = one_of((None, None, 1), rng)
    text = json.dumps(_with_marks(value, raw), indent=indent, ensure_ascii=bool(rng.random() < 0.5))
    return _without_marks(text, raw).encode("utf-8", "surrogatepass")


def _with_marks(value: Any, raw: list[str]) -> Any:
    if isinstance(value, Raw):
        raw.append(str(value))
        return f"@raw{len(raw) - 1}@"
    if isinstance(value, dict):
        return {str(key): _with_marks(inner, raw) for key, inner in value.items()}
    return [_with_marks(inner, raw) for inner in value] if isinstance(value, list) else value


def _without_marks(text: str, raw: Sequence[str]) -> str:
    return re.sub(r"[\"']?@raw(\d+)@[\"']?", lambda match: raw[int(match[1])], text)


def damage_json(data: bytes, rng: Rng) -> Damaged:
    """One damage to a JSON file: mostly to its values, so that it is still JSON."""
    if rng.random() < 0.3:
        return damage_text(data, rng)
    try:
        damaged, note = damage_value(json.loads(data), rng)
        return to_json(damaged, rng), note
    except (ValueError, RecursionError):  # an earlier damage
        return damage_text(data, rng)


_YAML = (
    *(
        "&a [*a, *a]",
        "*a",
        "!!python/object/apply:os.system [id]",
        "!!binary aGk=",
        "!!set {a, b}",
        "!x 1",
        "!!float 1",
    ),
    *(
        "? [1]\n: 2",
        "<<: {a: 1}",
        "|\n  a\n  b",
        ">-\n  a",
        "2001-01-01",
        "2001-13-41",
        "0o17",
        "0b2",
        "1:30",
        "on",
        "~",
    ),
    *(
        "%YAML 9.9\n---",
        "---\n---",
        "...",
        "\t",
        "{a: 1",
        "[1",
        "'a",
        '"\\x"',
        "@a",
        "`a",
        "a: b: c",
        "- - -",
        "=",
        "<<",
    ),
)


def damage_yaml(data: bytes, rng: Rng) -> Damaged:
    """One damage to a YAML file."""
    kind = rng.random()
    if kind < 0.35:
        return damage_text(data, rng)
    if kind < 0.6:
        lines = data.split(b"\n")
        at, word = int(rng.integers(len(lines))), one_of(_YAML, rng).encode()
        name, colon, _ = lines[at].partition(b":")
        lines[at] = name + colon + b" " + word if colon and rng.random() < 0.7 else word
        return b"\n".join(lines), f"line {at + 1} is {short(lines[at])}"
    if data.count(b"[") + data.count(b"{") > 200:  # takes the square of it
        return damage_text(data, rng)
    try:
        value = yaml.safe_load(data)
        if not isinstance(value, dict | list):
            return damage_text(data, rng)
        raw: list[str] = []
        damaged, note = damage_value(value, rng)
        flow = one_of((None, False, True), rng)
        marked = _yaml_marks(damaged, raw)
        text = yaml.safe_dump(marked, default_flow_style=flow, allow_unicode=True, sort_keys=False)
        return _without_marks(text, raw).encode("utf-8", "surrogatepass"), note
    except (yaml.YAMLError, ValueError, RecursionError, TypeError, LookupError, OverflowError, AttributeError):
        return damage_text(data, rng)


def _yaml_marks(value: Any, raw: list[str]) -> Any:
    """As `_with_marks`, but for keys, which need not be text."""
    if isinstance(value, dict):
        return {key: _yaml_marks(inner, raw) for key, inner in value.items()}
    if isinstance(value, list):
        return [_yaml_marks(inner, raw) for inner in value]
    return _with_marks(value, raw)


_TOML = (
    *(
        "[]",
        "[1, 2]",
        "{}",
        "{a = 1}",
        "true",
        "'a'",
        '"a"',
        '""',
        "1",
        "-1",
        "0.5",
        "inf",
        "nan",
        "1979-05-27",
        "07:32:00",
    ),
    *("1979-05-27T07:32:00Z", "0xDEADBEEF", "0b1", "1_000", '"""a\nb"""', '"\\u0000"', '"\\UFFFFFFFF"', "[[1], ['a']]"),
    *(
        "[" * 200 + "]" * 200,
        "[" * 5000 + "]" * 5000,
        "{a = " * 300 + "1" + "}" * 300,
        "9" * 401,
        "9" * 5000,
        "1e400",
        "",
    ),
)


def damage_toml(data: bytes, rng: Rng) -> Damaged:
    """One damage to a TOML file."""
    if rng.random() < 0.3:
        return damage_text(data, rng)
    lines = data.split(b"\n")
    pairs = [at for at, line in enumerate(lines) if b" = " in line]
    if not pairs:
        return damage_text(data, rng)
    at, kind = one_of(pairs, rng), int(rng.integers(6))
    name, _, value = lines[at].partition(b" = ")
    if kind < 3:
        word = one_of(_TOML if kind else NUMBERS, rng)
        lines[at] = name + b" = " + word.encode()
    elif kind == 3:
        lines[at] = lines[one_of(pairs, rng)].partition(b" = ")[0] + b" = " + value
    elif kind == 4:
        lines[at] = name + b" = " + lines[one_of(pairs, rng)].partition(b" = ")[2]
    else:
        header = one_of(
            (b"[a]", b"[[a]]", b"[model]", b"[model.a]", b"[generator]", b"['']", b"[a.b.c]", b"[]", b"[a"), rng
        )
        depth = int(one_of((1, 1, 3000), rng))
        lines.insert(at, header if depth == 1 else b"[" + b"a." * depth + b"a]")
    return b"\n".join(lines), f"line {at + 1} is {short(lines[at])}"


_ELEMENT = re.compile(rb"<([\w.-]++)[^<>/]*+>[^<]*+</\1>")  # a tag of 70,000 signs is no search without end
_XML = (
    *(b"<![CDATA[1]]>", b"<!-- a -- b -->", b"<?php a ?>", b"&lt;", b"&#0;", b"&#x110000;", b"&x;", b"&#49;", b"<a/>"),
    *(b"<!DOCTYPE a [<!ENTITY x 'y'>]>", b"<!DOCTYPE a SYSTEM 'file:///etc/passwd'>", b"<x:a xmlns:x='y'>1</x:a>"),
    *(b"<object/>", b"<object><bndbox/></object>", b"<bndbox><xmin>1</xmin></bndbox>", b"<size/>", b"<a b='1' b='2'/>"),
    *(b"<a>" * 300 + b"</a>" * 300, b"<a>" * 9000 + b"</a>" * 9000, b"<part><name>a</name></part>"),
)


def damage_xml(data: bytes, rng: Rng) -> Damaged:
    """One damage to an XML file: mostly to an element, so that it is still XML."""
    places = list(_ELEMENT.finditer(data))
    if not places or rng.random() < 0.3:
        return damage_text(data, rng)
    place, kind = one_of(places, rng), int(rng.integers(7))
    tag, found = place[1], place[0]
    if kind == 0:
        new = b""
    elif kind == 1:
        new = found * int(one_of((2, 3, 200), rng))
    elif kind == 2:
        new = b"<" + tag + b">" + one_of(NUMBERS, rng).encode() + b"</" + tag + b">"
    elif kind == 3:
        text = one_of(TEXTS, rng).replace("&", "&amp;").replace("<", "&lt;")
        new = b"<" + tag + b">" + text.encode() + b"</" + tag + b">"
    elif kind == 4:
        new = found.replace(tag, one_of(places, rng)[1])
    elif kind == 5:
        new = b"<" + tag + b">" + one_of(_XML, rng) + b"</" + tag + b">"
    else:
        new = one_of(_XML, rng) + found
    if kind == 6 and rng.random() < 0.3:
        encoding = one_of(("utf-16", "latin-1", "x", "utf-7", "cp1252", "idna", "rot13", "hex", "utf-8"), rng)
        return f"<?xml version='1.0' encoding='{encoding}'?>".encode() + data, f"declared as {encoding}"
    return data[: place.start()] + new + data[place.end() :], f"{short(found)} is {short(new)}"


KINDS: Mapping[str, Callable[[bytes, Rng], Damaged]] = {
    "json": damage_json,
    "yaml": damage_yaml,
    "yml": damage_yaml,
    "toml": damage_toml,
    "xml": damage_xml,
    "txt": damage_labels,
    "csv": damage_text,
}


def damage_file(name: str, data: bytes, rng: Rng) -> Damaged:
    """One damage of the kind that a file of this name suffers."""
    return KINDS.get(name.rpartition(".")[2].lower(), damage_bytes)(data, rng)
