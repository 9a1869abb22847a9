"""Pictures measured one by one; no pixels are kept.

    Sample      one picture with its boxes, from wherever
    Collector   takes samples
    Measured    what was collected, as arrays

N objects, M ignore regions, P pictures
"""

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from yolo_proc.boxes import FloatArray, RgbImage, as_boxes, iou_xyxy
from yolo_proc.inspection.duplicates import Look, look_of

HEAT = 24  # cells of the heat map each way
DARK = 63  # level of 255 that hardly a pixel of a dark picture exceeds: a quarter of the brightness
FLAT = 8  # levels that a flat picture spans: noise, and JPEG's
_HARDLY = 1e-3  # share of the pixels, so that stars and broken pixels do not make a picture bright
ROWS_AT_ONCE = 512  # of a picture's overlaps: a crowd of 10,000 would fill the memory


@dataclass(frozen=True, eq=False)
class Sample:
    """One picture as it is inspected. Boxes are float64 xyxy pixels of it.

    Attributes:
        name: how the user finds it again.
        split: "train", "val", or the name of a stream.
        image: (H, W, 3) uint8 RGB.
        box_xyxy: (N, 4) of the objects, ignore regions not among them.
        class_ids: (N,) int64.
        visible, in_frame: (N,) shares; NaN where the source does not say.
        confidence: (N,) 0 to 1.
        ignore_xyxy: (M, 4).
        others: how many items are neither: masks, points, polygons, text.
    """

    name: str
    split: str
    image: RgbImage
    box_xyxy: FloatArray
    class_ids: NDArray[np.int64]
    visible: FloatArray
    in_frame: FloatArray
    confidence: FloatArray
    ignore_xyxy: FloatArray = field(default_factory=lambda: np.zeros((0, 4)))
    others: int = 0


@dataclass(frozen=True, eq=False)
class Measured:
    """Measurements, before they are summed up.

    Attributes:
        names, splits: of the P pictures.
        sizes: (P, 2) int64 width and height, pixels.
        image_ids: (N,) int64, ascending: the picture of each object.
        box_xyxy, class_ids, visible, in_frame, confidence: of the objects, as in `Sample`.
        overlap: (N,) the largest IoU with another object of the same picture; 0 where there is none.
        ignore_xyxy, ignore_image_ids: of the ignore regions, (M, 4) and (M,).
        others: items that are neither.
        levels: (3, 256) int64: how often each channel has each value, over all pixels.
        brightness, contrast: (P,) mean and deviation of the grey picture, levels.
        highlights: (P,) the level that all but a thousandth of the pixels do not exceed, of the brightest channel.
        spans: (P,) from the least to the largest level, of the channel where that is most.
        looks: of the pictures, to find duplicates.
    """

    names: tuple[str, ...]
    splits: tuple[str, ...]
    sizes: NDArray[np.int64]
    image_ids: NDArray[np.int64]
    box_xyxy: FloatArray
    class_ids: NDArray[np.int64]
    visible: FloatArray
    in_frame: FloatArray
    confidence: FloatArray
    overlap: FloatArray
    ignore_xyxy: FloatArray
    ignore_image_ids: NDArray[np.int64]
    others: int
    levels: NDArray[np.int64]
    brightness: FloatArray
    contrast: FloatArray
    highlights: NDArray[np.int64]
    spans: NDArray[np.int64]
    looks: tuple[Look, ...]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def dark(self) -> NDArray[np.bool_]:
        """(P,) whether a picture is nearly black."""
        return self.highlights <= DARK

    @property
    def flat(self) -> NDArray[np.bool_]:
        """(P,) whether a picture is of one colour, but for noise."""
        return self.spans <= FLAT

    @property
    def counts(self) -> NDArray[np.int64]:
        """(P,) objects of each picture."""
        return np.bincount(self.image_ids, minlength=len(self)).astype(np.int64)

    @property
    def sides(self) -> FloatArray:
        """(N, 2) width and height of the boxes, picture pixels."""
        return self.box_xyxy[:, 2:] - self.box_xyxy[:, :2]

    @property
    def centres(self) -> FloatArray:
        """(N, 2) centres of the boxes as shares of the picture's width and height."""
        return (self.box_xyxy[:, :2] + self.box_xyxy[:, 2:]) / 2 / self.sizes[self.image_ids]

    @property
    def aspects(self) -> FloatArray:
        """(K,) width / height of the boxes that have an area."""
        sides = self.sides[(self.sides > 0).all(axis=1)]
        return np.asarray(sides[:, 0] / sides[:, 1])

    def heat(self, cells: int = HEAT) -> NDArray[np.int64]:
        """Return (cells, cells) objects by the place of their centre, rows from the top."""
        place = np.clip((self.centres * cells).astype(np.int64), 0, cells - 1)
        flat = np.bincount(place[:, 1] * cells + place[:, 0], minlength=cells * cells)
        return flat.reshape(cells, cells).astype(np.int64)


class Collector:
    """Takes samples one by one."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._splits: list[str] = []
        self._rows: list[Sample] = []
        self._overlaps: list[FloatArray] = []
        self._sizes: list[tuple[int, int]] = []
        self._greys: list[tuple[float, float]] = []
        self._ranges: list[tuple[int, int]] = []
        self._looks: list[Look] = []
        self._levels = np.zeros((3, 256), dtype=np.int64)

    def add(self, sample: Sample) -> None:
        """Measure one picture."""
        image = np.ascontiguousarray(sample.image)
        height, width = image.shape[:2]
        levels = [cv2.calcHist([image], [channel], None, [256], [0, 256]).ravel() for channel in range(3)]
        of_channels = np.stack(levels).astype(np.int64)  # (3, 256)
        self._levels += of_channels
        self._ranges.append(_range_of(of_channels))
        mean, deviation = cv2.meanStdDev(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
        self._greys.append((float(mean[0, 0]), float(deviation[0, 0])))
        self._looks.append(look_of(image))
        self._sizes.append((width, height))
        self._names.append(sample.name)
        self._splits.append(sample.split)
        self._overlaps.append(largest_overlaps(sample.box_xyxy))
        self._rows.append(_without_pixels(sample))

    def measured(self) -> Measured:
        """Return all that was measured so far."""
        rows = self._rows
        numbers = np.arange(len(rows), dtype=np.int64)
        none = np.zeros(0)
        ranges = np.array(self._ranges, dtype=np.int64).reshape(-1, 2)
        greys = np.array(self._greys, dtype=np.float64).reshape(-1, 2)
        return Measured(
            names=tuple(self._names),
            splits=tuple(self._splits),
            sizes=np.array(self._sizes, dtype=np.int64).reshape(-1, 2),
            image_ids=np.repeat(numbers, [len(row.box_xyxy) for row in rows]),
            box_xyxy=as_boxes(np.concatenate([np.zeros((0, 4)), *(row.box_xyxy for row in rows)])),
            class_ids=np.concatenate([none.astype(np.int64), *(row.class_ids for row in rows)]),
            visible=np.concatenate([none, *(row.visible for row in rows)]),
            in_frame=np.concatenate([none, *(row.in_frame for row in rows)]),
            confidence=np.concatenate([none, *(row.confidence for row in rows)]),
            overlap=np.concatenate([none, *self._overlaps]),
            ignore_xyxy=as_boxes(np.concatenate([np.zeros((0, 4)), *(row.ignore_xyxy for row in rows)])),
            ignore_image_ids=np.repeat(numbers, [len(row.ignore_xyxy) for row in rows]),
            others=sum(row.others for row in rows),
            levels=self._levels.copy(),
            brightness=greys[:, 0],
            contrast=greys[:, 1],
            highlights=ranges[:, 0],
            spans=ranges[:, 1],
            looks=tuple(self._looks),
        )


def _range_of(levels: NDArray[np.int64]) -> tuple[int, int]:
    """Return `Measured.highlights` and `spans` of one picture, from (3, 256) counts of its values."""
    below = np.cumsum(levels, axis=1)
    enough = np.ceil(below[:, -1:] * (1 - _HARDLY))
    there = levels > 0
    spans = 255 - there[:, ::-1].argmax(axis=1) - there.argmax(axis=1)
    return int((below >= enough).argmax(axis=1).max()), int(spans.max())


def _without_pixels(sample: Sample) -> Sample:
    return Sample(**{**vars(sample), "image": np.zeros((0, 0, 3), dtype=np.uint8)})


def largest_overlaps(box_xyxy: FloatArray, *, rows_at_once: int = ROWS_AT_ONCE) -> FloatArray:
    """Return (N,) for each box the largest IoU with another one; 0 where there is none."""
    largest = np.zeros(len(box_xyxy))
    for first in range(0, len(box_xyxy), rows_at_once):
        overlaps = iou_xyxy(box_xyxy[first : first + rows_at_once], box_xyxy)
        rows = np.arange(len(overlaps))
        overlaps[rows, first + rows] = 0.0  # itself
        largest[first : first + rows_at_once] = overlaps.max(axis=1)
    return largest
