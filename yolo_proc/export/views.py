"""Words and pictures for one frame's result: detections, or the classes of the image."""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from yolo_proc.classification.results import Classification
from yolo_proc.detection.nms import Detections
from yolo_proc.drawing.typefaces import find_face
from yolo_proc.export.sources import Frame
from yolo_proc.plotting.preview import class_colour
from yolo_proc.system.output import encodable


class View(Protocol):
    """Words and pictures for one frame's result."""

    def to_dict(self, frame: Frame, found: Any) -> dict[str, Any]:
        """Return what JSON says of a frame, besides the frame itself."""

    def words(self, found: Any) -> str:
        """Return the result in a few words."""

    def drawn(self, rgb: NDArray[np.uint8], found: Any) -> NDArray[np.uint8]:
        """Return a copy of an image (H, W, 3) with the result on it."""


@dataclass(frozen=True)
class DetectionView:
    """Detections: boxes with classes and confidences.

    Attributes:
        classes: names by class index.
    """

    classes: Sequence[str]

    def to_dict(self, frame: Frame, found: Detections) -> dict[str, Any]:
        """See `View`."""
        return detections_to_dict(frame, found, self.classes)

    def words(self, found: Detections) -> str:
        """See `View`."""
        pairs = zip(found.class_ids.tolist(), found.confidence.tolist(), strict=True)
        return ", ".join(f"{self.classes[class_id]} {confidence:.2f}" for class_id, confidence in pairs) or "nothing"

    def drawn(self, rgb: NDArray[np.uint8], found: Detections) -> NDArray[np.uint8]:
        """See `View`."""
        return annotated(rgb, found, self.classes)


@dataclass(frozen=True)
class ClassView:
    """The classes of an image.

    Attributes:
        classes: names by class index.
        top: how many of them are told.
    """

    classes: Sequence[str]
    top: int

    def to_dict(self, frame: Frame, found: Classification) -> dict[str, Any]:
        """See `View`."""
        entry = frame_to_dict(frame)
        entry["classes"] = [
            {"class_id": class_id, "label": self.classes[class_id], "confidence": round(confidence, 6)}
            for class_id, confidence in self._first(found)
        ]
        entry["margin"] = round(found.margin, 4) if math.isfinite(found.margin) else None
        return entry

    def words(self, found: Classification) -> str:
        """See `View`."""
        told = ", ".join(f"{self.classes[class_id]} {confidence:.4f}" for class_id, confidence in self._first(found))
        return f"{told} (margin {found.margin:.2f})"

    def drawn(self, rgb: NDArray[np.uint8], found: Classification) -> NDArray[np.uint8]:
        """See `View`."""
        picture = Image.fromarray(rgb)
        class_id = found.class_id
        words = f"{self.classes[class_id]} {found.confidence[0]:.2f}"
        font = _font(max(10, round(max(picture.size) / 40)))
        _write_words(ImageDraw.Draw(picture), (0, 0), words, font, class_colour(class_id))
        return np.asarray(picture)

    def _first(self, found: Classification) -> Iterator[tuple[int, float]]:
        pairs = zip(found.class_ids.tolist(), found.confidence.tolist(), strict=True)
        return itertools.islice(pairs, self.top)


def frame_to_dict(frame: Frame) -> dict[str, Any]:
    """Return what JSON says of a frame that was read: file, number of the frame, size."""
    assert frame.rgb is not None, "only a frame that was read has a size"
    entry: dict[str, Any] = {"file": encodable(frame.source.name)}
    if frame.number is not None:
        entry["frame"] = frame.number
    entry["width"], entry["height"] = frame.rgb.shape[1], frame.rgb.shape[0]
    return entry


def detections_to_dict(frame: Frame, found: Detections, classes: Sequence[str]) -> dict[str, Any]:
    """Return what JSON says of a frame: boxes in thousandths of its pixels."""
    entry = frame_to_dict(frame)
    entry["detections"] = [
        {
            "class_id": class_id,
            "label": classes[class_id],
            "confidence": round(confidence, 6),
            "box": [round(corner, 3) for corner in box],
        }
        for box, confidence, class_id in zip(
            found.box_xyxy.tolist(), found.confidence.tolist(), found.class_ids.tolist(), strict=True
        )
    ]
    return entry


def annotated(rgb: NDArray[np.uint8], found: Detections, classes: Sequence[str]) -> NDArray[np.uint8]:
    """Return a copy of a picture (H, W, 3) with its boxes, their classes and confidences."""
    picture = Image.fromarray(rgb)
    draw = ImageDraw.Draw(picture)
    longest = max(picture.size)
    line, font = max(1, round(longest / 400)), _font(max(10, round(longest / 60)))
    boxes, class_ids = found.box_xyxy.tolist(), found.class_ids.tolist()
    for (x0, y0, x1, y1), class_id, confidence in zip(boxes, class_ids, found.confidence.tolist(), strict=True):
        colour = class_colour(class_id)
        corners = (int(x0), int(y0), max(int(x0), int(np.ceil(x1)) - 1), max(int(y0), int(np.ceil(y1)) - 1))
        draw.rectangle(corners, outline=colour, width=line)
        words = f"{classes[class_id]} {confidence:.2f}"
        left, top, right, bottom = font.getbbox(words)
        x = min(corners[0], max(0, picture.width - (right - left) - 4))
        y = corners[1] - (bottom - top) - 4
        y = y if y >= 0 else corners[1]  # inside, where there is no room above
        _write_words(draw, (int(x), int(y)), words, font, colour)
    return np.asarray(picture)


def _write_words(
    draw: ImageDraw.ImageDraw,
    place: tuple[int, int],
    words: str,
    font: ImageFont.FreeTypeFont,
    colour: tuple[int, int, int],
) -> None:
    """Write black words on the colour, their upper left corner at `place` (x, y)."""
    x, y = place
    left, top, right, bottom = font.getbbox(words)
    draw.rectangle((x, y, x + right - left + 3, y + bottom - top + 3), fill=colour)
    draw.text((x + 2 - left, y + 2 - top), words, fill=(0, 0, 0), font=font)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(find_face("DejaVu Sans").path, size)
