"""`yolo_proc.json` at the root of every data set that we write: what its format cannot say."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from yolo_proc.annotations.classes import SET_FILE, VERSION, read_set_file, set_file
from yolo_proc.annotations.records import BinaryLayout
from yolo_proc.errors import AnnotationError

__all__ = ["VERSION", "about_bytes", "binary_from_about", "binary_to_about", "read_about"]

VALUE_TYPES = ("unsigned_byte", "float32")


def about_bytes(about: Mapping[str, Any]) -> bytes:
    """Return the file, for a reader of files as for a program."""
    return (json.dumps(about, ensure_ascii=False, indent=1, allow_nan=False) + "\n").encode()


def read_about(root: Path, *, above: bool = True) -> dict[str, Any] | None:
    """Return what the file of a data set says; None where there is none.

    Args:
        root: the folder; or a file in it, as a YOLO set may be named.
        above: of a part that is a data set itself, take the file in the folder above.

    Raises:
        AnnotationError: it is no JSON object, is of another version, or lies outside of the folder.
    """
    folder = root.parent if root.is_file() else root
    return read_set_file(set_file(folder) if above else folder / SET_FILE)


def binary_to_about(layout: BinaryLayout) -> dict[str, Any]:
    """Return the value of "binary": what a binary set's own files do not say."""
    return {
        "size": [layout.width, layout.height],
        "stride": layout.stride,
        "anchors": [list(anchor) for anchor in layout.anchors],
        "type": layout.value_type,
    }


def binary_from_about(about: Mapping[str, Any], root: Path) -> BinaryLayout | None:
    """Return the inverse of `binary_to_about`; None where nothing is said.

    Raises:
        AnnotationError: a value that no binary set has.
    """
    said = about.get("binary")
    if said is None:
        return None
    try:
        width, height = said["size"]
        numbers = (width, height, said["stride"])
        anchors = tuple((float(w), float(h)) for w, h in said["anchors"])
        if not all(isinstance(number, int) and 0 < number < 1 << 20 for number in numbers):
            raise ValueError
        if not anchors or not all(0 < side < 1e6 for anchor in anchors for side in anchor):
            raise ValueError
        if said["type"] not in VALUE_TYPES:
            raise ValueError
    except (KeyError, TypeError, ValueError, OverflowError):
        expected = '{"size":[w,h],"stride":n,"anchors":[[w,h],...],"type":"unsigned_byte" or "float32"}'
        raise AnnotationError(root / SET_FILE, "binary", expected, repr(said)[:60], reason="value") from None
    return BinaryLayout(width, height, said["stride"], anchors, said["type"])
