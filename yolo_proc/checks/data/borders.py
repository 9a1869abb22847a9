"""Whether boxes begin and end where a picture changes, of annotated pictures that cannot be redrawn.

Used by the check `picture`. Along a tight box the picture is busier inside than outside: strips at both sides of each
border differ in the mean gradient. One box says nothing. Over hundreds of them, the boxes where they are must beat the
same boxes moved, mirrored, turned over, and laid over other pictures of the set: the difference between scenes. Each
alternative is compared object by object, so what all pictures have in common cancels.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from yolo_proc.boxes import FloatArray
from yolo_proc.checks.data.redraw import HYPOTHESES, Placement
from yolo_proc.scene import Scene

STRIP = 0.2  # width of a strip, as a share of the box's side
LEAST_STRIP = 2.0  # px
SHIFTS = (1, 2, 4, 8, 16)  # px
LEAST_OBJECTS = 20
# Of differences between two placements, in their own deviations: of 44 alternatives, one is beyond it by chance in
# some 80,000 runs, where such means are normal.
SIGNIFICANT = 5.0


def _moved(dx: int, dy: int) -> Placement:
    return lambda boxes, _: boxes + np.array([dx, dy, dx, dy], dtype=np.float64)


def _alternatives() -> Mapping[str, Placement]:
    found = dict(HYPOTHESES)
    for pixels, right, down in itertools.product(SHIFTS, (-1, 0, 1), (-1, 0, 1)):
        if right or down:
            dx, dy = right * pixels, down * pixels
            found[f"boxes are shifted by ({-dx}, {-dy}) px against the image"] = _moved(dx, dy)
    return found


ALTERNATIVES = _alternatives()


@dataclass(frozen=True)
class Compared:
    """Boxes against alternatives.

    Attributes:
        objects: that were compared.
        strange: how much better the boxes fit their own picture than another, in deviations of that difference.
        better: alternatives that fit better than the boxes as they are, with how much, the best first.
    """

    objects: int
    strange: float
    better: Sequence[tuple[str, float]]

    @property
    def wrong(self) -> bool:
        """Whether another placement fits surely better."""
        return bool(self.better) and self.better[0][1] >= SIGNIFICANT

    @property
    def decided(self) -> bool:
        """Whether the pictures say anything about the boxes."""
        return self.wrong or self.strange >= SIGNIFICANT


def compare(scenes: Sequence[Scene], boxes: Sequence[FloatArray]) -> Compared:
    """Compare the boxes (N, 4) of each of some scenes of one size with alternatives."""
    maps = [_Gradients(scene.image) for scene in scenes]
    count = sum(map(len, boxes))
    if count < LEAST_OBJECTS or len(scenes) < 2:
        return Compared(count, 0.0, ())
    height, width = scenes[0].image.shape[:2]
    own = np.concatenate([one.fit(part) for one, part in zip(maps, boxes, strict=True)])
    turned = [*maps[1:], maps[0]]
    others = np.concatenate([one.fit(part) for one, part in zip(turned, boxes, strict=True)])
    better = []
    for words, change in ALTERNATIVES.items():
        fits = [one.fit(change(part, (width, height))) for one, part in zip(maps, boxes, strict=True)]
        better.append((words, _deviations(np.concatenate(fits) - own)))
    better.sort(key=lambda pair: -pair[1])
    return Compared(count, _deviations(own - others), [pair for pair in better if pair[1] > 0])


def _deviations(differences: FloatArray) -> float:
    """Return the mean in units of its own deviation; what lies outside of the frame (NaN) is left out."""
    known = differences[np.isfinite(differences)]
    if len(known) < LEAST_OBJECTS:
        return 0.0
    deviation = float(known.std(ddof=1)) / math.sqrt(len(known))
    return float(known.mean()) / max(deviation, 1e-12)


class _Gradients:
    """Sums over rectangles of how much a picture changes from pixel to pixel."""

    def __init__(self, image: NDArray[np.uint8]) -> None:
        levels = image.astype(np.float64).mean(axis=2)
        change = np.abs(np.diff(levels, axis=1, append=levels[:, -1:]))
        change += np.abs(np.diff(levels, axis=0, append=levels[-1:]))
        change = np.minimum(change, 32.0)  # one sharp line is not all there is
        self._sums = np.zeros((change.shape[0] + 1, change.shape[1] + 1))
        self._sums[1:, 1:] = change.cumsum(axis=0).cumsum(axis=1)
        self._mean = max(float(change.mean()), 1e-6)

    def _means(self, boxes: FloatArray) -> FloatArray:
        """Return (N,) the mean change in boxes of whole pixels; NaN for one that has none in the frame."""
        height, width = self._sums.shape
        whole = np.clip(np.rint(boxes), 0, [width - 1, height - 1, width - 1, height - 1]).astype(int)
        x0, y0, x1, y1 = whole.T
        area = (x1 - x0) * (y1 - y0)
        sums = self._sums[y1, x1] - self._sums[y0, x1] - self._sums[y1, x0] + self._sums[y0, x0]
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(area > 0, sums / area, np.nan)

    def fit(self, boxes: FloatArray) -> FloatArray:
        """Return (N,) how much busier the strips inside of the borders are than those outside; NaN where none can be
        said.
        """
        if not len(boxes):
            return np.zeros(0)
        x0, y0, x1, y1 = boxes.T
        across = np.maximum(LEAST_STRIP, STRIP * (x1 - x0))
        down = np.maximum(LEAST_STRIP, STRIP * (y1 - y0))
        pairs = [
            ((x0, y0, x0 + across, y1), (x0 - across, y0, x0, y1)),
            ((x1 - across, y0, x1, y1), (x1, y0, x1 + across, y1)),
            ((x0, y0, x1, y0 + down), (x0, y0 - down, x1, y0)),
            ((x0, y1 - down, x1, y1), (x0, y1, x1, y1 + down)),
        ]
        gains = [self._means(np.stack(one, axis=1)) - self._means(np.stack(two, axis=1)) for one, two in pairs]
        known = np.isfinite(gains).sum(axis=0)
        total = np.nansum(gains, axis=0) / np.maximum(known, 1) / self._mean
        return np.asarray(np.where(known >= 2, total, np.nan))
