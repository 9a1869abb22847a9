"""A scene as what a data set's files say: items, and the bytes of its picture."""

import itertools
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from yolo_proc.annotations.polygons import Points, clipped_polygon
from yolo_proc.annotations.records import Item
from yolo_proc.boxes import FloatArray, RgbImage
from yolo_proc.config.schema import LabelConfig
from yolo_proc.scene import LABELLED, SceneObject, label_states


class Drawn(NamedTuple):
    """A scene without its pixels."""

    objects: Sequence[SceneObject]
    ignore: FloatArray


class Said(NamedTuple):
    """Content of the files of some scenes.

    Attributes:
        items: of each scene.
        below: how many objects are below a limit of what is a label, by the limit.
        outlines_left: of how many labels an outline is known that was not asked for.
        outside: how many objects have nothing in the picture, and are not there.
    """

    items: list[list[Item]]
    below: Counter[str]
    outlines_left: int
    outside: int = 0


def items_of(drawn: Sequence[Drawn], size: tuple[int, int], limits: LabelConfig, *, outlines: bool = True) -> Said:
    """Return what files say of some scenes: their labels, then what is to be ignored.

    An object of which nothing is in the picture is not there, and is counted. Outlines are rounded to a thousandth
    of a pixel.

    Args:
        drawn: several, because the state of many objects costs as much as that on one.
        size: (width, height) pixels of every scene.
        outlines: whether items have them.
    """
    things = [thing for scene in drawn for thing in scene.objects]
    states = iter(label_states(things, limits))
    corners = iter(_rounded_outlines(things) if outlines else [()] * len(things))
    said = Said([], Counter(), 0)
    left = outside = 0
    for scene in drawn:
        labels: list[Item] = []
        ignored: list[Item] = []
        for thing in scene.objects:
            state = next(states)
            item = _item(thing, size, next(corners), ignore=state != LABELLED)
            if item is None:
                outside += 1
                continue
            if item.ignore:
                ignored.append(item)
                said.below[state] += 1
            else:
                labels.append(item)
                left += thing.outline is not None and not outlines
        regions = [
            Item((x0, y0, x1, y1), ignore=True) for x0, y0, x1, y1 in scene.ignore.tolist() if x0 < x1 and y0 < y1
        ]
        said.items.append([*labels, *ignored, *regions])
    return said._replace(outlines_left=left, outside=outside)


def _rounded_outlines(things: Sequence[SceneObject]) -> list[Points]:
    """Return the outline of each object to a thousandth of a pixel; empty where none is known."""
    known = [thing.outline for thing in things if thing.outline is not None]
    xs, ys = np.concatenate(known).round(3).T.tolist() if known else ([], [])
    points = zip(xs, ys, strict=True)
    return [() if thing.outline is None else tuple(itertools.islice(points, len(thing.outline))) for thing in things]


def _item(thing: SceneObject, size: tuple[int, int], points: Points, *, ignore: bool) -> Item | None:
    x0, y0, x1, y1 = map(float, thing.box)
    if x0 >= x1 or y0 >= y1:
        return None
    if points and not (x0 > 0 and y0 > 0 and x1 < size[0] and y1 < size[1]):
        points = tuple((round(x, 3), round(y, 3)) for x, y in clipped_polygon(points, *size))
    return Item(
        (x0, y0, x1, y1),
        thing.class_id,
        points=points,
        # What is sure, or whole, needs no word: that is what a file without one means.
        confidence=float(thing.confidence) if thing.confidence < 1 else None,
        visible=float(thing.visible) if thing.visible < 1 else None,
        in_frame=float(thing.in_frame) if thing.in_frame < 1 else None,
        ignore=ignore,
    )


def encode_picture(image: RgbImage, picture_type: str, quality: int) -> bytes:
    """Return the bytes of `cv2.imencode` of a (H, W, 3) uint8 RGB image as "png" or "jpg"."""
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if picture_type == "jpg" else []
    encoded, content = cv2.imencode(f".{picture_type}", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    assert encoded, f"OpenCV encodes {image.shape} as {picture_type}"
    return content.tobytes()
