"""One script of the scredit editor: bytes to items, and items to the bytes that its writer produces.

    {"items":[{"bounds":[120,48,96,110],"p":{"category":2}}],"usage":"nominal","widgets":{}}

The tag of an item stands under the empty key; a rectangle has none. Bounds are whole pixels: left, top, width, height.
Polygons, masks, points and texts are no labels of a detector, but they survive.
"""

import math
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from yolo_proc.annotations.common import shown
from yolo_proc.annotations.foreign import json_format, shown_json
from yolo_proc.annotations.records import Annotation, Box, Item, Kind, Tally
from yolo_proc.annotations.scredit.script_json import dumps, loads
from yolo_proc.errors import AnnotationError

USAGES = ("nominal", "omit", "retain")
_KINDS: dict[str, Kind] = {
    "box": "rectangle",
    "object": "rectangle",  # legacy
    "mask": "mask",
    "pt": "point",
    "polygon": "polygon",
    "t": "text",
}
_TAGS: dict[Kind, str] = {"mask": "mask", "point": "pt", "polygon": "polygon", "text": "t"}  # a rectangle has none
_INT = 2**31 - 1  # the largest number of the editor
_KEYS = {"items", "usage", "widgets", "metadata", "omit", "retain"}
_ITEM_KEYS = {"", "bounds", "loc", "pt", "p", "open", "b", "s", "x0", "y0", "x1", "y1", "rot"}
_RANGES = {"category": (0, _INT), "confidence": (0, 100), "rotation": (-90, 90), "anchor": (0, _INT)}


def parse(data: bytes | str, path: Path | str, tally: Tally | None = None) -> tuple[tuple[Item, ...], dict[str, Any]]:
    """Return the items of a script, and what else it says.

    Boxes are taken as they stand: `read` checks the rectangles against the picture.

    Args:
        data: the file; text or bytes in UTF-8.
        path: for messages.
        tally: takes what no script has and is not kept.

    Returns:
        (items, extra): extra has those of "usage" (where it is not "nominal"), "metadata", "omit", "retain" and
        "widgets" (where there are any) that the script has.

    Raises:
        AnnotationError: "syntax", or "value" and "class" with the place: "items[2].bounds".
    """
    try:
        text = data.decode("utf-8") if isinstance(data, bytes) else data
    except UnicodeDecodeError as error:
        raise AnnotationError(path, f"byte {error.start}", "UTF-8", error.reason, reason="syntax") from None
    if text.startswith("\ufeff"):
        raise AnnotationError(path, "", "no byte order mark (scredit's reader breaks on it)", "one", reason="syntax")
    root = loads(text, path)
    if not isinstance(root, dict):
        raise AnnotationError(path, "", "a script, an object in braces", shown_json(root), reason="syntax")
    _check_keys(root, path, tally or Tally())
    extra = _extra(root, path)
    items = _typed(root, "items", list, path, "items") or []
    found = tuple(_item(fields, path, f"items[{number}]") for number, fields in enumerate(items))
    if tally is not None:
        for number, fields in enumerate(items):
            _tell_left(fields, f"{path}: items[{number}]", tally)
    return found, extra


def _check_keys(root: dict[str, Any], path: Path | str, tally: Tally) -> None:
    """Tell other formats, whose keys no script has, from scripts; count single keys that are not known.

    Raises:
        AnnotationError: "syntax": it is no script.
    """
    unknown = root.keys() - _KEYS
    if not unknown:
        return
    # Without `items`, and with something else that holds much, nothing of it would be read.
    holds_much = any(isinstance(root[key], dict | list) and root[key] for key in unknown)
    if json_format(root) is not None or unknown == root.keys() or ("items" not in root and holds_much):
        raise AnnotationError(path, "", 'a script, {"items":[...]}', shown_json(root), reason="syntax")
    tally.add(
        f"(key of a script is|keys of scripts are) not known and not kept, such as {shown(min(unknown))}",
        path,
        len(unknown),
    )


def _tell_left(fields: dict[str, Any], where: str, tally: Tally) -> None:
    """Count the keys of an item that no item has, and fractions."""
    properties = fields.get("p")
    given = properties if isinstance(properties, dict) else {}
    unknown = [*(fields.keys() - _ITEM_KEYS), *(given.keys() - _RANGES.keys())]
    values = [*given.values(), *fields.values()]
    values += [value for inner in fields.values() if isinstance(inner, list) for value in inner]
    if any(isinstance(value, float) for value in values):
        tally.add("(item has|items have) numbers with fractions, which are cut off as the editor does", where)
    if unknown:
        tally.add(
            f"(key of an item is|keys of items are) not known and not kept, such as {shown(min(unknown))}",
            where,
            len(unknown),
        )


def _extra(root: dict[str, Any], path: Path | str) -> dict[str, Any]:
    extra: dict[str, Any] = {}
    usage = (_typed(root, "usage", str, path, "usage") or USAGES[0]).lower()
    if usage not in USAGES:
        raise AnnotationError(path, "usage", " or ".join(USAGES), shown(usage), reason="value")
    if usage != USAGES[0]:
        extra["usage"] = usage
    for key, kind in (("metadata", dict), ("omit", bool), ("retain", bool), ("widgets", dict)):
        value = _typed(root, key, kind, path, key)
        if value is not None:
            extra[key] = value
    if "metadata" in extra:
        extra["metadata"] = _metadata(extra["metadata"], path)
    if not extra.get("widgets"):
        extra.pop("widgets", None)
    return extra


def _metadata(fields: dict[str, Any], path: Path | str) -> dict[str, Any]:
    kinds = (("source_image_file", str), ("source_transform", list), ("user_map", dict))
    values = {key: _typed(fields, key, kind, path, f"metadata.{key}") for key, kind in kinds}
    transform = values["source_transform"]
    if transform is not None:
        place = "metadata.source_transform"
        if len(transform) != 6 or not all(isinstance(value, float | int) for value in transform):
            raise AnnotationError(path, place, "six numbers [a,b,c,d,tx,ty]", shown(transform), reason="value")
        try:
            # The editor keeps them in single precision, and writes them as doubles.
            values["source_transform"] = list(struct.unpack("<6f", struct.pack("<6f", *transform)))
        except OverflowError:
            expected = "six numbers in single precision"
            raise AnnotationError(path, place, expected, shown(transform), reason="value") from None
    return {key: value for key, value in values.items() if value is not None}


def _item(fields: Any, path: Path | str, place: str) -> Item:
    if not isinstance(fields, dict):
        raise AnnotationError(path, place, "an object in braces", shown(fields), reason="value")
    tag = fields.get("", "box")
    if not isinstance(tag, str) or tag not in _KINDS:
        raise AnnotationError(path, place, 'a tag "" of mask, pt, polygon, t, or none', shown(tag), reason="value")
    kind = _KINDS[tag]
    if kind == "polygon" and "pt" not in fields and isinstance(fields.get("p"), list):
        fields = {"pt": fields["p"], "open": fields.get("open")}  # legacy: the key that properties have now
    properties = _properties(fields, path, place)
    if kind == "rectangle":
        return Item(_rectangle(fields, path, place), kind=kind, **properties)
    if kind == "mask":
        return Item(_bounds(fields, "bounds", path, place), kind=kind, **properties)
    if kind == "text":
        text = _typed(fields, "s", str, path, f"{place}.s")
        if text is None:
            raise AnnotationError(path, f"{place}.s", "a text", "none", reason="value")
        return Item(_bounds(fields, "b", path, place), kind=kind, text=text, **properties)
    if kind == "point":
        x, y = _wholes(fields, "loc", 2, path, place)
        return Item((x, y, x, y), kind=kind, points=((x, y),), **properties)
    flat = _wholes(fields, "pt", None, path, place)
    xs, ys = flat[0::2], flat[1::2]
    box = (min(xs), min(ys), max(xs), max(ys)) if xs else (0.0, 0.0, 0.0, 0.0)
    is_open = bool(_typed(fields, "open", bool, path, f"{place}.open"))
    return Item(box, kind=kind, points=tuple(zip(xs, ys, strict=True)), open=is_open, **properties)


def _properties(fields: dict[str, Any], path: Path | str, place: str) -> dict[str, Any]:
    """Return the arguments of an `Item` that stand under "p"."""
    given = dict(_typed(fields, "p", dict, path, f"{place}.p") or {})
    if "rot" in fields and fields.get("", "box") in ("box", "object"):
        given["rotation"] = fields["rot"]  # legacy
    found: dict[str, Any] = {}
    for key, (low, high) in _RANGES.items():
        if key in given:
            where = f"{place}.p.{key}"
            number = _whole(given[key], path, where)
            if not low <= number <= high:
                expected = f"{low} to {high}" if high < _INT else f"at least {low}"
                reason = "class" if key == "category" else "value"
                raise AnnotationError(path, where, expected, f"{number}", reason=reason)
            found[key] = number / 100 if key == "confidence" else number
    return found


def _rectangle(fields: dict[str, Any], path: Path | str, place: str) -> Box:
    legacy = ("x0", "y0", "x1", "y1")
    if "bounds" not in fields and any(key in fields for key in legacy):
        x0, y0, x1, y1 = (float(_whole(fields.get(key), path, f"{place}.{key}")) for key in legacy)
        return x0, y0, x1, y1
    return _bounds(fields, "bounds", path, place)


def _bounds(fields: dict[str, Any], key: str, path: Path | str, place: str) -> Box:
    x, y, width, height = _wholes(fields, key, 4, path, place)
    return x, y, x + width, y + height


def _wholes(fields: dict[str, Any], key: str, count: int | None, path: Path | str, place: str) -> list[float]:
    """Return the whole numbers of a list; `count` of them, or any even number."""
    where = f"{place}.{key}"
    values = _typed(fields, key, list, path, where)
    wanted = f"a list of {count} numbers" if count else "a list of coordinates x0, y0, x1, y1, ..."
    if values is None or (len(values) != count if count else len(values) % 2):
        raise AnnotationError(path, where, wanted, "none" if values is None else shown(values), reason="value")
    return [float(_whole(value, path, where)) for value in values]


def _whole(value: Any, path: Path | str, place: str) -> int:
    """Return a number, its fraction cut off, as the editor's reader does."""
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > _INT:
        found = "none" if value is None else shown(value)
        raise AnnotationError(path, place, "a whole number of 32 bits", found, reason="value")
    return int(value)


def _typed(fields: dict[str, Any], key: str, kind: type, path: Path | str, place: str) -> Any:
    """Return the value of a key, None where it is missing."""
    value = fields.get(key)
    if value is not None and not isinstance(value, kind):
        names: dict[type, str] = {dict: "an object in braces", list: "a list", str: "a text", bool: "true or false"}
        raise AnnotationError(path, place, names[kind], shown(value), reason="value")
    return value


def write(annotation: Annotation) -> bytes:
    """Return the script of one picture, as the editor writes it: compact, keys sorted, no line end.

    Ignore regions are left out: a script cannot say them, and as rectangles they would be labels.

    Raises:
        AnnotationError: "value" for text with control characters that no script can have.
    """
    path = annotation.path or annotation.name
    items = [_fields(item, annotation) for item in annotation.items if not item.ignore]
    kept = {key: value for key, value in annotation.extra.items() if key in ("metadata", "omit", "retain")}
    widgets = annotation.extra.get("widgets", {})
    usage = annotation.extra.get("usage", USAGES[0])
    return dumps({"items": items, "usage": usage, "widgets": widgets, **kept}, path)


def _fields(item: Item, annotation: Annotation) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if item.kind in _TAGS:
        fields[""] = _TAGS[item.kind]
    if item.kind == "point":
        fields["loc"] = _flat(item.points or ((item.xyxy[0], item.xyxy[1]),))
    elif item.kind == "polygon":
        fields["pt"] = _flat(item.points)
        if item.open:
            fields["open"] = True
    else:
        least = 1 if item.kind == "rectangle" else 0
        x, width = _span(item.xyxy[0], item.xyxy[2], annotation.width, least)
        y, height = _span(item.xyxy[1], item.xyxy[3], annotation.height, least)
        fields["b" if item.kind == "text" else "bounds"] = [x, y, width, height]
    if item.kind == "text":
        fields["s"] = item.text or ""
    confidence = None if item.confidence is None else item.confidence * 100
    values = (
        ("category", item.category),
        ("confidence", confidence),
        ("rotation", item.rotation),
        ("anchor", item.anchor),
    )
    properties = {key: _rounded(value) for key, value in values if value is not None}
    if properties:
        fields["p"] = properties
    return fields


def _span(low: float, high: float, limit: int, least: int) -> tuple[int, int]:
    """Return (start, length) in whole pixels: both ends rounded, then subtracted; at least `least` long.

    A side that rounds to nothing at the picture's far edge begins one pixel earlier, so that it stays inside.
    """
    start, end = _rounded(low), _rounded(high)
    if end - start < least:
        if 0 < limit == start:
            start = limit - 1
        end = start + least
    return start, end - start


def _flat(points: Sequence[tuple[float, float]]) -> list[int]:
    return [_rounded(value) for point in points for value in point]


def _rounded(value: float) -> int:
    return math.floor(value + 0.5)
