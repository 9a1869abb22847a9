"""Samples whose contents are known, for the tests of `inspect`."""

from typing import Any

import numpy as np

from yolo_proc.boxes import as_boxes
from yolo_proc.detection.grids import Grid
from yolo_proc.inspection.measure import Collector, Measured, Sample
from yolo_proc.inspection.statistics import Statistics, statistics

CLASSES = ("cat", "dog", "emu")
Box = tuple[float, float, float, float]
GRID = Grid(16, 4, 4, ((20.0, 20.0),))  # of 64 x 64 pixels


def sample(name: str, *things: tuple[Box, int], size: tuple[int, int] = (64, 64), **given: Any) -> Sample:
    """A picture of noise, different for each name, with objects."""
    rng = np.random.default_rng(list(name.encode()))
    count = len(things)
    values: dict[str, Any] = {
        "split": "train",
        "image": rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8),
        "visible": np.ones(count),
        "in_frame": np.ones(count),
        "confidence": np.ones(count),
        **given,
    }
    boxes = as_boxes([box for box, _ in things])
    return Sample(name=name, box_xyxy=boxes, class_ids=np.array([k for _, k in things], dtype=np.int64), **values)


def collected(*samples: Sample) -> Measured:
    collector = Collector()
    for one in samples:
        collector.add(one)
    return collector.measured()


def summed(*samples: Sample, **given: Any) -> Statistics:
    return statistics(collected(*samples), CLASSES, **given)
