"""COCO files as we write them: `annotations/instances_{train,val}.json`, the pictures in `train/` and `val/`."""

import json
import math
from collections.abc import Mapping, Sequence

from yolo_proc.annotations.coco.files import FOLDER, PREFIX
from yolo_proc.annotations.common import checked_name, lost_details
from yolo_proc.annotations.layout import Layout, Listed
from yolo_proc.annotations.polygons import areas_and_texts, box_rle
from yolo_proc.annotations.records import Annotation, Item

DESCRIPTION = "made with yolo_proc"  # in `info`: a reader knows our files by it


class CocoLayout(Layout):
    """`{train,val}/` with pictures, `annotations/instances_{train,val}.json`."""

    name = "coco"

    def picture_file(self, split: str, name: str) -> str:
        """Return `train/image_00001.jpg`.

        Raises:
            DataError: a name with folders, or without the suffix of a picture.
        """
        return f"{split}/{checked_name(name)}"

    def label_file(self, split: str, annotation: Annotation) -> None:  # noqa: ARG002 it has none
        """Return none: the labels of all pictures stand in one file."""
        return

    def listed(self, annotations: Sequence[Annotation]) -> list[Listed]:
        """Return the picture's record and those of its items, one a line, each without its beginning: the ids."""
        outlines = [item.points for one in annotations for item in one.items if _has_outline(item)]
        polygons = zip(*areas_and_texts(outlines), strict=True)
        found = []
        for one in annotations:
            lines = [f'"file_name":{_json(one.name)},"width":{one.width},"height":{one.height}}}']
            for item in one.items:
                if item.kind == "rectangle":
                    lines.append(self._record(item, one, next(polygons) if _has_outline(item) else None))
            found.append(Listed(one.name, "\n".join(lines)))
        return found

    def has_listed(self, picture: Listed) -> bool:
        """Return whether the text has the beginnings and ends of records; numbers are not looked at."""
        image, *items = picture.text.split("\n")
        begins = image.startswith(f'"file_name":{_json(picture.name)},') and image.endswith("}")
        are_items = all(item.startswith('"category_id":') and item.endswith("}") for item in items)
        return begins and are_items and picture.text.isascii()

    def set_files(self, splits: Mapping[str, Sequence[Listed]]) -> dict[str, bytes]:
        """Return the JSON file of each part."""
        return {f"{FOLDER}/{PREFIX}_{split}.json": self._file(splits.get(split, ())) for split in self.splits}

    def losses(self, item: Item) -> Sequence[str]:
        """Return what of an item COCO cannot say; an item that is no rectangle is lost as a whole, as its kind."""
        if item.kind != "rectangle":
            return (item.kind,)
        return tuple(word for word in lost_details(item) if word != "outline" or not _has_outline(item))

    def _file(self, pictures: Sequence[Listed]) -> bytes:
        """Return one record a line, ids from 1; ASCII, because some readers open the file in whatever encoding they are
        in.
        """
        images: list[str] = []
        records: list[str] = []
        for number, picture in enumerate(pictures, 1):
            image, *items = picture.text.split("\n")
            images.append(f'{{"id":{number},{image}')
            records += [
                f'{{"id":{first},"image_id":{number},{item}' for first, item in enumerate(items, len(records) + 1)
            ]
        categories = [
            _json({"id": number, "name": name, "supercategory": "object"})
            for number, name in enumerate(self.classes, 1)
        ]
        lists = {"images": images, "annotations": records, "categories": categories}
        head = f'{{"info":{{"description":"{DESCRIPTION}"}},\n"licenses":[],\n'
        return (head + ",\n".join(_list_text(key, lines) for key, lines in lists.items()) + "}\n").encode("ascii")

    def _record(self, item: Item, annotation: Annotation, polygon: tuple[float, str] | None) -> str:
        """Return what is said of an item, behind the ids.

        Args:
            polygon: area and numbers of its outline.
        """
        assert 0 <= item.class_id < len(self.classes), f"class {item.class_id} of {len(self.classes)}"
        x0, y0, x1, y1 = map(float, item.xyxy)  # a float's repr is its JSON
        area, segmentation = (x1 - x0) * (y1 - y0), "[]"
        assert math.isfinite(area), f"box {item.xyxy}"
        if polygon is not None:
            area, segmentation = polygon[0], f"[[{polygon[1]}]]"
        elif item.ignore:  # what COCO demands of a crowd
            segmentation = _json(box_rle(item.xyxy, annotation.width, annotation.height))
        return (
            f'"category_id":{item.class_id + 1},"bbox":[{x0!r},{y0!r},{x1 - x0!r},{y1 - y0!r}],"area":{area!r},'
            f'"iscrowd":{int(item.ignore)},"segmentation":{segmentation}}}'
        )


def _has_outline(item: Item) -> bool:
    return item.kind == "rectangle" and not item.ignore and len(item.points) >= 3


# On one line: `_json` escapes the line ends in a text.
_json = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def _list_text(key: str, lines: Sequence[str]) -> str:
    return f'"{key}":[\n' + ",\n".join(lines) + "\n]" if lines else f'"{key}":[]'
