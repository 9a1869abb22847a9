"""Where objects go and which colours they get: rejection from candidates that were drawn beforehand."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .backdrops import LUMA, Backdrop

Box = tuple[float, float, float, float]  # xyxy, units

_LAST_RESORTS = np.array([[0, 0, 0], [255, 255, 255], [255, 0, 255], [0, 255, 0]], dtype=np.uint8)


@dataclass(frozen=True)
class Placed:
    """An object that has its place: its box and colour."""

    box: Box
    colour: tuple[int, int, int]


def place_boxes(
    boxes: Sequence[Box], candidates: NDArray[np.float64], width: float, height: float, max_overlap: float
) -> Iterator[tuple[int, float, float]]:
    """Yields index, x and y for the boxes that find a place: by how much to move each.

    Boxes stay inside the canvas; one that is too large for it is centred. No box covers more than `max_overlap`
    of the area of an earlier box. The first box always finds a place.

    Args:
        boxes: where they are now.
        candidates: (N, T, 2) from 0 to 1, places to try for each.
    """
    taken: list[Box] = []
    for index, (x0, y0, x1, y1) in enumerate(boxes):
        free_x, free_y = width - (x1 - x0), height - (y1 - y0)
        for u, v in candidates[index].tolist():
            left = free_x * u if free_x > 0 else free_x / 2
            top = free_y * v if free_y > 0 else free_y / 2
            box = (left, top, left + x1 - x0, top + y1 - y0)
            if all(_covered(earlier, box) <= max_overlap for earlier in taken):
                taken.append(box)
                yield index, left - x0, top - y0
                break


def _covered(earlier: Box, later: Box) -> float:
    """The share of the earlier box that the later one covers."""
    width = min(earlier[2], later[2]) - max(earlier[0], later[0])
    height = min(earlier[3], later[3]) - max(earlier[1], later[1])
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / ((earlier[2] - earlier[0]) * (earlier[3] - earlier[1]))


def choose_colour(
    candidates: NDArray[np.uint8], backdrop: Backdrop, box: Box, placed: Sequence[Placed], min_contrast: float
) -> tuple[int, int, int]:
    """The first candidate that is at least `min_contrast` from everything under the box; else the farthest one.

    The distance is Euclidean over R, G, B weighted by luma, 0 to 255. What counts as under the box: the backdrop's
    samples, and the colours of earlier objects whose boxes it meets.

    Args:
        candidates: (T, 3) colours, 0 to 255.
    """
    under = backdrop.under(*box)
    met = [thing.colour for thing in placed if _covered(thing.box, box) > 0]
    if met:
        under = np.concatenate([under, np.array(met, dtype=np.float32) * LUMA])
    choices = np.concatenate([candidates, _LAST_RESORTS])  # (T + 4, 3)
    apart, _ = cv2.batchDistance(choices * LUMA, under, cv2.CV_32F, K=1)  # (T + 4, 1) to the nearest under it
    distances = apart[:, 0].tolist()
    far = (index for index, distance in enumerate(distances) if distance >= min_contrast)
    red, green, blue = choices[next(far, distances.index(max(distances)))].tolist()
    return red, green, blue
