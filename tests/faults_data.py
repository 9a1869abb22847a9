"""Faults in scenes, labels and batches."""

from dataclasses import replace
from typing import Any

import numpy as np
from faults import Fault, with_batches, with_boxes

from yolo_proc.checks.bench import Bench
from yolo_proc.codec import LabelCodec, Targets
from yolo_proc.config import Config, LabelConfig
from yolo_proc.stream import Batch, Stream


def class_ids_off_by_one(batch: Batch) -> Batch:
    return replace(batch, class_ids=batch.class_ids + 1)


class OffByOneCodec(LabelCodec):
    """Encodes each class as the next one, the last as the first."""

    def assign(self, batch: Batch, limits: LabelConfig) -> Targets:
        targets = super().assign(batch, limits)
        return replace(targets, class_id=(targets.class_id + 1) % self.class_count)


class LosingCodec(LabelCodec):
    """Loses the last object of a batch in silence."""

    def assign(self, batch: Batch, limits: LabelConfig) -> Targets:
        targets = super().assign(batch, limits)
        rows = ("image", "slot", "class_id", "xy", "wh", "stride_over_size")
        return replace(targets, **{name: getattr(targets, name)[:-1] for name in rows})


def with_codec(bench: Bench, kind: type[LabelCodec]) -> Bench:
    """The bench with a codec of another class, grids and anchors as they were."""

    def build(config: Config, source: Stream, workers: int) -> LabelCodec:
        return kind(bench.codec.grids, bench.codec.class_count)

    return bench.with_parts(build_codec=build)


def nan_box(batch: Batch, count: int) -> Batch:
    boxes = batch.box_xyxy.copy()
    boxes[:count, 2] = np.nan
    return replace(batch, box_xyxy=boxes)


def corners_and_sizes(batch: Batch) -> Batch:
    boxes = batch.box_xyxy.copy()
    boxes[:, 2:] -= boxes[:, :2]
    return replace(batch, box_xyxy=boxes)


def divided(boxes: np.ndarray, side: int) -> np.ndarray:
    return np.asarray(boxes / side)


def moved_out(batch: Batch, pixels: float) -> Batch:
    return replace(batch, box_xyxy=batch.box_xyxy + pixels)


def in_one_cell(boxes: np.ndarray) -> np.ndarray:
    """All centres in one cell, near the frame's own centre."""
    sizes = (boxes[:, 2:] - boxes[:, :2]).min(axis=1, keepdims=True, initial=8.0) / 2
    return np.asarray(np.repeat(np.concatenate([40 - sizes, 40 + sizes], axis=1), 2, axis=1))


def units(bench: Bench, _: float) -> Bench:
    """Boxes in shares of the picture's side; the anchors are those of a healthy run, as if they had been given."""
    anchors = ",".join(f"{width:.2f}x{height:.2f}" for width, height in bench.codec.anchors_wh)
    given = replace(bench.config, model=replace(bench.config.model, anchors=anchors))
    faulty = with_boxes(bench, lambda boxes: divided(boxes, bench.config.image_size))
    return Bench(given, faulty.parts, precision="float32")


def percents(batch: Batch) -> Batch:
    return replace(batch, visible=100 * batch.visible)


def batches_of(change: Any) -> Any:
    return lambda bench, size: with_batches(bench, change)


DATA_FAULTS = (
    Fault("class ids off by one", "labels", "class ids off by one", batches_of(class_ids_off_by_one)),
    Fault(
        "class ids off by one in the encoder",
        "labels",
        "class ids off by one",
        lambda bench, _: with_codec(bench, OffByOneCodec),
    ),
    Fault(
        "a NaN box",
        "labels",
        "NaN",
        lambda bench, size: with_batches(bench, lambda batch: nan_box(batch, int(size))),
        sizes=(1, 4, 16),
        unit="boxes a batch",
    ),
    Fault("a size in place of the second corner", "labels", "(x, y, w, h)", batches_of(corners_and_sizes)),
    Fault("normalised units", "labels", ("normalised units", "another unit"), units),
    Fault(
        "normalised units, and anchors found from them",
        "labels",
        "normalised units",
        lambda bench, _: with_boxes(bench, lambda boxes: divided(boxes, bench.config.image_size)),
    ),
    Fault(
        "boxes of a larger picture",
        "labels",
        "not clipped to the frame",
        lambda bench, size: with_batches(bench, lambda batch: moved_out(batch, size)),
        sizes=(1, 2, 4, 8, 16),
        unit="px",
    ),
    Fault("shares in percent", "labels", "percent", batches_of(percents)),
    Fault("all objects in one cell", "labels", "share a slot", lambda bench, _: with_boxes(bench, in_one_cell)),
    Fault("an object lost in silence", "labels", "lost in silence", lambda bench, _: with_codec(bench, LosingCodec)),
)
