"""One annotation of a COCO file: its box, its outline, and what of it is not kept."""

from array import array
from collections.abc import Iterable, Mapping
from typing import Any

from yolo_proc.annotations.checked_json import Entry
from yolo_proc.annotations.common import shown
from yolo_proc.annotations.polygons import Points, Rle, kept_polygon, read_rle
from yolo_proc.annotations.records import TOLERANCE, Box, Item, ReadOptions, checked_box

# detectron2's `BoxMode`, by number.
_MODES = ("XYXY_ABS", "XYWH_ABS", "XYXY_REL", "XYWH_REL", "XYWHA_ABS")
_SHARES = 1.05  # what shares of a picture's sides reach at most, a little over the border
_FLAGS: Mapping[Any, bool] = {0: False, 1: True, "0": False, "1": True, "false": False, "true": True, None: False}


def item_of(entry: Entry, index: Mapping[int | str, int], size: tuple[int, int], options: ReadOptions) -> Item | None:
    """Return the item that an annotation says; None where `options.clip` leaves nothing of it.

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
    masks = [_mask(entry, rle) for rle in rles]
    xyxy = _box(entry, polygons, masks, size, options)
    is_crowd = _flag(entry, "iscrowd")
    is_ignored = is_crowd or _flag(entry, "ignore")
    confidence = _confidence(entry)
    if xyxy is None:
        return None
    where = f"{entry.path}: {entry.place}"

    def tell(what: str, count: bool = True) -> None:
        options.tally.add(what, where, int(count))

    tell(
        "(annotation says|annotations say) `ignore`, and (is read as a region|are read as regions) to ignore",
        is_ignored and not is_crowd,
    )
    tell("(object has|objects have) keypoints, which are not kept", any(_values(entry, "keypoints")))
    tell(
        "(object has a mask|objects have masks) (RLE), which (is|are) not kept; (its box is|their boxes are)",
        bool(masks) and not is_ignored,
    )
    tell(
        "(region to ignore has a mask|regions to ignore have masks) (RLE) of (another shape than a box; its box "
        "is|other shapes than boxes; their boxes are) kept",
        is_ignored and not all(map(_is_box, masks)),
    )
    tell(
        "(object is marked as turned; its box is read as it stands|objects are marked as turned; their boxes are "
        "read as they stand)",
        _is_turned(entry),
    )
    points: Points = ()
    if len(polygons) == 1:
        points = tuple(zip(polygons[0][::2], polygons[0][1::2], strict=True))
        points = kept_polygon(points, size, options)
    tell(
        "(outline has|outlines have) pieces of fewer than three points, which are left out",
        len(polygons) < sum(map(bool, pieces)),
    )
    tell(
        "(object has an outline|objects have outlines) of several pieces, which (is|are) not kept; (its box "
        "is|their boxes are)",
        len(polygons) > 1,
    )
    return Item(xyxy, index[category], points=points, confidence=confidence, ignore=is_ignored)


def check_units(entries: Iterable[Entry]) -> None:
    """Refuse a file whose boxes, or whose outlines, are all shares of the pictures' sides, 0 to 1, and no pixels.

    Raises:
        AnnotationError: "outside".
    """
    first: dict[str, Entry] = {}
    pixels: set[str] = set()
    for entry in entries:
        for key in {"bbox", "segmentation"} - pixels:
            numbers = _flat(entry.fields.get(key))
            if len(numbers) >= 4 and any(numbers):
                first.setdefault(key, entry)
                if not all(abs(one) <= _SHARES for one in numbers):  # NaN too: who asks for the numbers refuses it
                    pixels.add(key)
        if len(pixels) == 2:
            return
    for key in sorted(first.keys() - pixels):
        listed = shown(_listed(first[key].fields[key]))
        found = f"{listed}, and no {key} of the file has a number above 1: they look like shares of width and height"
        raise first[key].error(key, "pixels", "outside", f"{found}; multiply them by those")


def _flat(value: Any) -> list[float]:
    """Return all numbers of a list, or of the lists in it; empty where it is anything else."""
    if not isinstance(value, list | array):
        return []
    inner = [one for each in value for one in (each if isinstance(each, list | array) else [each])]
    return inner if all(isinstance(one, int | float) for one in inner) else []


def _listed(value: Any) -> Any:
    return [list(one) if isinstance(one, array) else one for one in value]


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
    entry: Entry, polygons: list[list[float]], masks: list[Rle], size: tuple[int, int], options: ReadOptions
) -> Box | None:
    """Return the box, of the outline or the mask where the annotation has no other.

    Raises:
        AnnotationError: none, or none inside of the picture.
    """
    given = entry.fields.get("bbox")
    if given is None or given in ([], [0, 0, 0, 0]):
        box, key = _bounds(entry, polygons, masks, size), "segmentation"
        if box is None and given:
            key, box = "bbox", (0.0, 0.0, 0.0, 0.0)
        if box is None:
            found = "`segments_info`, as panoptic files have" if "segments_info" in entry.fields else None
            raise entry.error("bbox", "[x, y, width, height], or a segmentation to take it from", "value", found)
        options.tally.add(
            "(object has|objects have) no bbox; that of (its|their) outline is taken", f"{entry.path}: {entry.place}"
        )
        return checked_box(box, *size, entry.path, f"{entry.place}.{key}", options)
    numbers = entry.floats("bbox", given)
    if len(numbers) == 5:
        found = "5 numbers, a turned box; export upright ones"
        raise entry.error("bbox", "[x, y, width, height]", "value", found)
    if len(numbers) != 4:
        raise entry.error("bbox", "[x, y, width, height]", "value")
    if _mode(entry) == 0:
        x0, y0, x1, y1 = numbers
        return checked_box((x0, y0, x1, y1), *size, entry.path, f"{entry.place}.bbox", options)
    x, y, w, h = numbers
    reaches_over = x + w > size[0] + TOLERANCE or y + h > size[1] + TOLERANCE
    if reaches_over and not options.clip and 0 <= x < w <= size[0] and 0 <= y < h <= size[1]:
        found = f"{given}, which reaches over the border, and would be inside as x0, y0, x1, y1; which is meant?"
        mend = "[x, y, width, height] inside the picture (--clip clips it)"
        raise entry.error("bbox", mend, "outside", found)
    return checked_box((x, y, x + w, y + h), *size, entry.path, f"{entry.place}.bbox", options)


def _mode(entry: Entry) -> int:
    """Return what the four numbers are: 0 for x0, y0, x1, y1, 1 for x, y, w, h (COCO's own).

    Raises:
        AnnotationError: another mode of detectron2, or none.
    """
    given = entry.fields.get("bbox_mode", 1)
    said = given.rpartition(".")[2].upper() if isinstance(given, str) else given
    number = _MODES.index(said) if said in _MODES else int(said) if said in ("0", "1") else said
    if number in (0, 1) and not isinstance(number, bool):
        return int(number)
    name = f" ({_MODES[number]})" if isinstance(number, int) and 2 <= number < len(_MODES) else ""
    raise entry.error("bbox_mode", "0 (XYXY_ABS) or 1 (XYWH_ABS)", "value", f"{shown(given)}{name}")


def _mask(entry: Entry, rle: Any) -> Rle:
    try:
        return read_rle(rle)
    except ValueError as error:
        raise entry.error("segmentation", "an RLE mask", "value", str(error)) from None


def _bounds(entry: Entry, polygons: list[list[float]], masks: list[Rle], size: tuple[int, int]) -> Box | None:
    boxes = [(min(one[::2]), min(one[1::2]), max(one[::2]), max(one[1::2])) for one in polygons]
    for mask in masks:
        if (mask.width, mask.height) != size:
            expected = f"a mask of the picture's size, {size[0]} x {size[1]}"
            raise entry.error("segmentation", expected, "size", f"{mask.width} x {mask.height}")
        boxes += [] if mask.bounds is None else [mask.bounds]
    if not boxes:
        return None
    x0s, y0s, x1s, y1s = zip(*boxes, strict=True)
    return min(x0s), min(y0s), max(x1s), max(y1s)


def _is_box(mask: Rle) -> bool:
    """Return whether a mask is all of its bounds."""
    if mask.bounds is None:
        return True
    x0, y0, x1, y1 = mask.bounds
    return mask.area == (x1 - x0) * (y1 - y0)


def _pieces(entry: Entry) -> tuple[list[list[float]], list[Any]]:
    """Return the polygons of a segmentation, x and y in turn, and its RLE masks, unread.

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
