"""Detections, and which of them stay: of boxes that overlap, the surest (non-maximum suppression)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from yolo_proc.boxes import FloatArray, IntArray, area_xyxy, intersection_xyxy
from yolo_proc.config.options import check_value, declared_options, option
from yolo_proc.errors import DataError

_CHUNK = 128  # boxes compared at once: few calls, small tables


@dataclass(frozen=True)
class DecodeConfig:
    """Which slots become detections.

    Raises:
        ConfigError: a value out of range.
    """

    confidence: float = option(0.65, help="least confidence of a detection", low=0, high=1, on_resume="free")
    max_iou: float = option(
        0.4, help="a box that overlaps a more confident one by so much is dropped", low=0, high=1, on_resume="free"
    )
    nms: str = option(
        "class", help="compare boxes of one class or of all", choices=("class", "agnostic"), on_resume="free"
    )
    max_candidates: int = option(1000, help="slots compared in a picture", low=1, on_resume="free")
    max_detections: int = option(300, help="boxes left in a picture", low=1, on_resume="free")

    def __post_init__(self) -> None:
        for name, declared in declared_options(type(self)).items():
            check_value(declared, getattr(self, name), f"decoding: {declared.spelling}")


@dataclass(frozen=True, eq=False)
class Detections:
    """Detections of one picture, the most confident first.

    Attributes:
        box_xyxy: (N, 4) float64 network pixels, clipped to the network's frame.
        confidence: (N,) float64, 0 to 1.
        class_ids: (N,) int64.
        slots: (N,) int64, where each came from.
        uncompared: slots of enough confidence that were not looked at: there were more than `max_candidates`.
        cut: whether more than `max_detections` would have stayed.
    """

    box_xyxy: FloatArray
    confidence: FloatArray
    class_ids: IntArray
    slots: IntArray
    uncompared: int = 0
    cut: bool = False

    def __len__(self) -> int:
        return len(self.slots)


def nms(
    box_xyxy: FloatArray, class_ids: NDArray[np.int64] | None, max_iou: float, max_detections: int
) -> NDArray[np.int64]:
    """Return indices of the boxes that stay, ascending: greedy, in the order given.

    A box is dropped if `intersection >= max_iou * union` with one that stays, of its class; of any class if
    `class_ids` is None. Written without a division, so that every language rounds alike.

    Args:
        box_xyxy: (K, 4) pixels, the surest first.
        class_ids: (K,), or None for class-agnostic suppression.
        max_detections: how many stay at most.

    Raises:
        DataError: NaN among the boxes.
    """
    if np.isnan(box_xyxy).any():
        raise DataError("expected boxes of numbers, found NaN; the network's outputs are damaged")
    areas = area_xyxy(box_xyxy)
    kept = np.zeros(0, dtype=np.int64)
    for start in range(0, len(box_xyxy), _CHUNK):
        chunk = np.arange(start, min(start + _CHUNK, len(box_xyxy)))
        chunk = chunk[~_overlaps(box_xyxy, areas, class_ids, max_iou, chunk, kept).any(axis=1)]
        apart = ~_overlaps(box_xyxy, areas, class_ids, max_iou, chunk, chunk)  # (M, M)
        np.fill_diagonal(apart, True)
        stays = np.ones(len(chunk), dtype=bool)
        for number in range(len(chunk)):
            if stays[number]:
                stays &= apart[number]  # of those before it, none that stays overlaps it
        kept = np.concatenate([kept, chunk[stays]])
        if len(kept) >= max_detections:
            break
    return kept[:max_detections]


def _overlaps(
    box_xyxy: FloatArray, areas: FloatArray, class_ids: IntArray | None, max_iou: float, a: IntArray, b: IntArray
) -> NDArray[np.bool_]:
    """Return (N, M): whether box a[n] (a: indices, (N,)) and box b[m] (b: (M,)) cannot both stay."""
    intersection = intersection_xyxy(box_xyxy[a], box_xyxy[b])
    overlaps: NDArray[np.bool_] = intersection >= max_iou * (areas[a, None] + areas[b] - intersection)
    if class_ids is not None:
        overlaps &= class_ids[a, None] == class_ids[b]
    return overlaps
