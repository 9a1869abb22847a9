"""The pictures that stand out, by name: how far each lies from the middle of all, in robust deviations.

B. Iglewicz and D. Hoaglin, "How to detect and handle outliers", 1993: z = 0.6745 (x - median) / MAD, an outlier from
3.5 on; where more than half of the values are equal, the mean absolute deviation takes the place of the median one.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from yolo_proc.boxes import FloatArray

if TYPE_CHECKING:
    from yolo_proc.inspection.measure import Measured

UNUSUAL = 3.5
NAMED = 3  # pictures of each kind
_LEAST_SIDE = 0.01  # pixels; a box without an area has a logarithm too
_LEAST_CONTRAST = 0.1  # grey levels


@dataclass(frozen=True)
class Outlier:
    """One picture that lies at an end.

    Attributes:
        kind: which end: "most objects", "smallest object", ...
        image: name of the picture.
        number: its place among the readable pictures.
        found: the value, in words.
        z: robust deviations from the middle, larger is stranger; from 3.5 on it is unusual.
    """

    kind: str
    image: str
    number: int
    found: str
    z: float

    @property
    def unusual(self) -> bool:
        """Whether it lies as far out as chance alone would hardly put it."""
        return self.z >= UNUSUAL


def robust_z(values: FloatArray) -> FloatArray:
    """Return (K,) deviations from the median; 0 where all values are equal."""
    if not len(values):
        return np.zeros(0)
    away = values - np.median(values)
    spread = float(np.median(np.abs(away))) / 0.6745
    if spread <= 0:
        spread = float(np.abs(away).mean()) * 1.2533
    return np.asarray(away / spread) if spread > 0 else np.zeros(len(values))


@dataclass(frozen=True)
class _End:
    """One end of a measure: `values` (K,) of pictures or objects, of which `images` (K,) says the picture."""

    kind: str
    values: FloatArray
    sign: int
    images: NDArray[np.int64]
    tell: Callable[[int], str]


def find_outliers(found: "Measured") -> tuple[Outlier, ...]:
    """Tell of each kind the few pictures that are farthest out, the strangest kind first."""
    kinds = [list(_farthest(end, found.names)) for end in _ends(found)]
    kinds.sort(key=lambda kind: -kind[0].z if kind else 0.0)
    return tuple(one for kind in kinds for one in kind)


def _farthest(end: _End, names: Sequence[str]) -> Iterator[Outlier]:
    z = end.sign * robust_z(end.values)
    seen: set[int] = set()
    for row in np.argsort(-z, kind="stable").tolist():
        image = int(end.images[row])
        if z[row] <= 0 or len(seen) == NAMED:
            return
        if image not in seen:
            seen.add(image)
            yield Outlier(end.kind, names[image], image, end.tell(row), round(float(z[row]), 2))


def _ends(found: "Measured") -> list[_End]:
    """Return every measure with the ends of it that are worth a look."""
    pictures = np.arange(len(found), dtype=np.int64)
    sides, of_object = found.sides, found.image_ids
    share = np.sqrt(np.maximum(sides.prod(axis=1), _LEAST_SIDE**2) / found.sizes[of_object].prod(axis=1))
    long = np.maximum(sides, _LEAST_SIDE)
    ratio = np.log2(long[:, 0] / long[:, 1])
    area = np.log2(found.sizes.prod(axis=1).astype(np.float64))
    seen = np.flatnonzero(np.isfinite(found.visible))

    def objects(kind: str, values: FloatArray, sign: int, tell: Callable[[int], str]) -> _End:
        return _End(kind, values, sign, of_object, tell)

    def whole(kind: str, values: NDArray[Any], sign: int, tell: Callable[[int], str]) -> _End:
        return _End(kind, np.asarray(values, dtype=np.float64), sign, pictures, tell)

    def size(row: int) -> str:
        return f"{sides[row, 0]:.3g} x {sides[row, 1]:.3g} px"

    def picture(row: int) -> str:
        return f"{found.sizes[row, 0]} x {found.sizes[row, 1]} px"

    def mean(row: int) -> str:
        return f"mean {found.brightness[row]:.0f} of 255"

    counts = found.counts
    return [
        whole("most objects", counts, 1, lambda row: f"{counts[row]} objects"),
        objects("smallest object", np.log2(share), -1, size),
        objects("largest object", np.log2(share), 1, size),
        objects("extreme aspect", np.abs(ratio), 1, lambda row: f"{_ratio(ratio[row])}, {size(row)}"),
        objects("most overlapped", found.overlap, 1, lambda row: f"IoU {found.overlap[row]:.2f}"),
        _End(
            "most hidden",
            found.visible[seen],
            -1,
            of_object[seen],
            lambda row: f"{100 * found.visible[seen[row]]:.0f} % visible",
        ),
        whole("darkest", found.brightness, -1, mean),
        whole("brightest", found.brightness, 1, mean),
        whole(
            "least contrast",
            np.log2(np.maximum(found.contrast, _LEAST_CONTRAST)),
            -1,
            lambda row: f"deviation {found.contrast[row]:.1f} of 255",
        ),
        whole("smallest picture", area, -1, picture),
        whole("largest picture", area, 1, picture),
    ]


def _ratio(log2_ratio: float) -> str:
    factor = 2.0 ** abs(log2_ratio)
    return f"{factor:.3g} : 1" if log2_ratio >= 0 else f"1 : {factor:.3g}"
