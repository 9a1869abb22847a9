"""Pascal VOC as we write it: `JPEGImages/`, `Annotations/`, `ImageSets/Main/`; corners in whole pixels counted from 1.

xmin = floor(x0 + 0.5) + 1, xmax = max(floor(x1 + 0.5), xmin), and back x0 = xmin - 1, x1 = xmax.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import ClassVar
from xml.sax.saxutils import escape

from yolo_proc.annotations.classes import wrong_names
from yolo_proc.annotations.common import check_stems, checked_name, has_fractions, lost_details
from yolo_proc.annotations.layout import Layout, Listed
from yolo_proc.annotations.records import Annotation, Box, Item
from yolo_proc.errors import DataError

LISTS = PurePosixPath("ImageSets/Main")


class VocLayout(Layout):
    """`JPEGImages/NAME`, `Annotations/STEM.xml`, `ImageSets/Main/SPLIT.txt`; whole pixels.

    Raises:
        DataError: class names that the reader could not tell apart, or that XML cannot have.
    """

    name: ClassVar[str] = "voc"

    def __init__(self, classes: Sequence[str], splits: Sequence[str]) -> None:
        super().__init__(classes, splits)
        wrong = wrong_names(self.classes) or next((repr(one) for one in self.classes if one != one.strip()), "")
        if wrong:
            raise DataError(f"Pascal VOC: expected class names that differ and have no blanks at an end, found {wrong}")

    def picture_file(self, split: str, name: str) -> str:  # noqa: ARG002 one folder for all splits
        """Return `JPEGImages/NAME`, of all splits alike.

        Raises:
            DataError: the name is no plain file name, or has no suffix of a picture.
        """
        return f"JPEGImages/{checked_name(name)}"

    def label_file(self, split: str, annotation: Annotation) -> tuple[str, bytes]:  # noqa: ARG002
        """Return `Annotations/STEM.xml`, of all splits alike."""
        checked_name(annotation.name)
        return f"Annotations/{annotation.stem}.xml", self._xml(annotation).encode()

    def set_files(self, splits: Mapping[str, Sequence[Listed]]) -> dict[str, bytes]:
        """Return the lists of the splits: names without suffix, one a line.

        Raises:
            DataError: two pictures share a base name, and so an annotation; the splits share one folder.
        """
        check_stems("Annotations", (one for part in splits.values() for one in part))
        return {
            f"{LISTS}/{split}.txt": "".join(f"{one.stem}\n" for one in splits.get(split, ())).encode()
            for split in self.splits
        }

    def losses(self, item: Item) -> Sequence[str]:
        """Return all but the class, the box to whole pixels and `ignore`; of the shares a flag is left that says `not
        all`.
        """
        if item.kind != "rectangle":
            return (item.kind,)
        return lost_details(item) + (("pixel fractions",) if has_fractions(*item.xyxy) else ())

    def _xml(self, annotation: Annotation) -> str:
        lines = [
            "<annotation>",
            "\t<folder>JPEGImages</folder>",
            f"\t<filename>{escape(annotation.name)}</filename>",
            "\t<size>",
            f"\t\t<width>{annotation.width}</width>",
            f"\t\t<height>{annotation.height}</height>",
            "\t\t<depth>3</depth>",
            "\t</size>",
            "\t<segmented>0</segmented>",
        ]
        for item in annotation.items:
            if item.kind == "rectangle":
                lines += self._object(item, annotation.width, annotation.height)
        return "\n".join([*lines, "</annotation>", ""])

    def _object(self, item: Item, width: int, height: int) -> list[str]:
        name = self.classes[item.class_id] if self.classes else f"class_{item.class_id}"
        xmin, ymin, xmax, ymax = corners_from_one(item.xyxy, width, height)
        return [
            "\t<object>",
            f"\t\t<name>{escape(name)}</name>",
            "\t\t<pose>Unspecified</pose>",
            f"\t\t<truncated>{int(item.in_frame is not None and item.in_frame < 1)}</truncated>",
            f"\t\t<occluded>{int(item.visible is not None and item.visible < 1)}</occluded>",
            f"\t\t<difficult>{int(item.ignore)}</difficult>",
            "\t\t<bndbox>",
            f"\t\t\t<xmin>{xmin}</xmin>",
            f"\t\t\t<ymin>{ymin}</ymin>",
            f"\t\t\t<xmax>{xmax}</xmax>",
            f"\t\t\t<ymax>{ymax}</ymax>",
            "\t\t</bndbox>",
            "\t</object>",
        ]


def corners_from_one(xyxy: Box, width: int, height: int) -> tuple[int, int, int, int]:
    """Return xmin, ymin, xmax, ymax: whole pixels counted from 1, both inclusive, at least one pixel of the picture."""
    x0, y0, x1, y1 = xyxy
    # A box thinner than half a pixel at the far edge would begin behind the last pixel.
    xmin, ymin = min(math.floor(x0 + 0.5) + 1, width), min(math.floor(y0 + 0.5) + 1, height)
    return xmin, ymin, max(math.floor(x1 + 0.5), xmin), max(math.floor(y1 + 0.5), ymin)
