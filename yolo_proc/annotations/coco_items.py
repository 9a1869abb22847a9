"""One annotation of a COCO file: its box, its outline, and what of it is not kept."""

from array import array
from collections.abc import Mapping
from typing import Any

from yolo_proc.annotations.checked_json import Entry
from yolo_proc.annotations.polygons import Points, clipped_polygon, read_rle
from yolo_proc.annotations.records import TOLERANCE, Box, Item, ReadOptions, checked_box

_FLAGS: Mapping[Any, bool] = {0: False, 1: True, "0": False, "1": True, "false": False, "true": True, None: False}


def item_of(entry: Entry, index: Mapping[int | str, int], size: tuple[int, int], options: ReadOptions) -> Item | None:
    """The item that an annotation says; None where `options.clip` leaves nothing of it.

    Args:
        index: class indices by category id.
        size: (width, height) pixels of the upright picture.

    Raises:
        AnnotationError: no box inside of the picture, an unknown category, a value that is none.
    """
    category = entry.identity("category_id")
    if category not in index:
        raise entry.error("category_id", "the id of a category of this file", "class")
    pieces, rles = _pieces(entry)
    polygons = [piece for piece in pieces if len(piece) >= 6]
    xyxy = _box(entry, polygons, rles, size, options)
    is_crowd = _flag(entry, "iscrowd")
    is_ignored = is_crowd or _flag(entry, "ignore")
    confidence = _confidence(entry)
    if xyxy is None:
        return None
    where = f"{entry.path}: {entry.place}"

    def tell(what: str, count: bool = True) -> None:
        options.tally.add(what, where, int(count))

    tell("annotations say `ignore`, and are read as regions to ignore", is_ignored and not is_crowd)
    tell("objects have keypoints, which are not kept", any(_values(entry, "keypoints")))
    tell("objects have masks (RLE), which are not kept; their boxes are", bool(rles) and not is_ignored)
    tell(
        "regions to ignore have masks (RLE) of other shapes than boxes; their boxes are kept",
        is_ignored and not all(map(_is_box, rles)),
    )
    tell("objects are marked as turned; their boxes are read as they stand", _is_turned(entry))
    points: Points = ()
    if len(polygons) == 1:
        points = tuple(zip(polygons[0][::2], polygons[0][1::2], strict=True))
        points = clipped_polygon(points, *size) if options.clip else points
    tell("outlines have pieces of fewer than three points, which are left out", len(polygons) < sum(map(bool, pieces)))
    tell("objects have outlines of several pieces, which are not kept; their boxes are", len(polygons) > 1)
    return Item(xyxy, index[category], points=points, confidence=confidence, ignore=is_ignored)


def _values(entry: Entry, key: str) -> list[Any]:
    values = entry.fields.get(key)
    return values if isinstance(values, list) else []


def _is_turned(entry: Entry) -> bool:
    attributes = entry.fields.get("attributes")
    rotation = attributes.get("rotation") if isinstance(attributes, Mapping) else None
    return isinstance(rotation, int | float) and rotation % 360 != 0


def _flag(entry: Entry, key: str) -> bool:
    value = entry.fields.get(key)
    plain = value.lower() if isinstance(value, str) else value
    if isinstance(plain, list | dict) or plain not in _FLAGS:
        raise entry.error(key, "0 or 1", "value")
    return _FLAGS[plain]


def _confidence(entry: Entry) -> float | None:
    score = entry.fields.get("score")
    if score is None or score == []:
        return None
    numbers = entry.floats("score", score if isinstance(score, list) else [score])
    if len(numbers) != 1 or not 0 <= numbers[0] <= 1:
        raise entry.error("score", "a number from 0 to 1", "value")
    return numbers[0]


def _box(
    entry: Entry, polygons: list[list[float]], rles: list[Any], size: tuple[int, int], options: ReadOptions
) -> Box | None:
    """The box, of the outline or the mask where the annotation has no other.

    Raises:
        AnnotationError: none, or none inside of the picture.
    """
    given = entry.fields.get("bbox")
    if given is None or given in ([], [0, 0, 0, 0]):
        box, key = _bounds(entry, polygons, rles, size), "segmentation"
        if box is None and given:
            key, box = "bbox", (0.0, 0.0, 0.0, 0.0)
        if box is None:
            found = "`segments_info`, as panoptic files have" if "segments_info" in entry.fields else None
            raise entry.error("bbox", "[x, y, width, height], or a segmentation to take it from", "value", found)
        options.tally.add("objects have no bbox; that of their outline is taken", f"{entry.path}: {entry.place}")
        return checked_box(box, *size, entry.path, f"{entry.place}.{key}", options)
    numbers = entry.floats("bbox", given)
    if len(numbers) == 5:
        found = "5 numbers, a turned box; export upright ones"
        raise entry.error("bbox", "[x, y, width, height]", "value", found)
    if len(numbers) != 4:
        raise entry.error("bbox", "[x, y, width, height]", "value")
    x, y, w, h = numbers
    reaches_over = x + w > size[0] + TOLERANCE or y + h > size[1] + TOLERANCE
    if reaches_over and not options.clip and 0 <= x < w <= size[0] and 0 <= y < h <= size[1]:
        found = f"{given}, which reaches over the border, and would be inside as x0, y0, x1, y1; which is meant?"
        mend = "[x, y, width, height] inside the picture (--clip clips it)"
        raise entry.error("bbox", mend, "outside", found)
    return checked_box((x, y, x + w, y + h), *size, entry.path, f"{entry.place}.bbox", options)


def _bounds(entry: Entry, polygons: list[list[float]], rles: list[Any], size: tuple[int, int]) -> Box | None:
    boxes = [(min(one[::2]), min(one[1::2]), max(one[::2]), max(one[1::2])) for one in polygons]
    for rle in rles:
        try:
            mask = read_rle(rle)
        except ValueError as error:
            raise entry.error("segmentation", "an RLE mask", "value", str(error)) from None
        if (mask.width, mask.height) != size:
            expected = f"a mask of the picture's size, {size[0]} x {size[1]}"
            raise entry.error("segmentation", expected, "size", f"{mask.width} x {mask.height}")
        boxes += [] if mask.bounds is None else [mask.bounds]
    if not boxes:
        return None
    x0s, y0s, x1s, y1s = zip(*boxes, strict=True)
    return min(x0s), min(y0s), max(x1s), max(y1s)


def _is_box(rle: Any) -> bool:
    """Whether a mask is all of its bounds."""
    try:
        mask = read_rle(rle)
    except ValueError:
        return False
    if mask.bounds is None:
        return True
    x0, y0, x1, y1 = mask.bounds
    return mask.area == (x1 - x0) * (y1 - y0)


def _pieces(entry: Entry) -> tuple[list[list[float]], list[Any]]:
    """The polygons of a segmentation, x and y in turn, and its RLE masks, unread.

    Raises:
        AnnotationError: neither.
    """
    given = entry.fields.get("segmentation")
    if not given:
        return [], []
    if isinstance(given, dict):
        return [], [given] * bool(given.get("counts"))
    if not isinstance(given, list):
        raise entry.error("segmentation", "a list of polygons or an RLE", "value")
    if all(isinstance(piece, dict) for piece in given):
        return [], given
    if not isinstance(given[0], list | array):
        given = [given]  # one polygon without brackets of its own
    polygons = [entry.floats("segmentation", piece) for piece in given]
    if any(len(polygon) % 2 for polygon in polygons):
        raise entry.error("segmentation", "polygons of x and y in turn", "value")
    return polygons, []
