"""Broken streams, codecs, batches and exports: what the faults of `faults_data.py` inject."""

import copy
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from faults import chosen, with_batches, with_boxes, with_stream
from PIL import Image
from torch import nn

from yolo_proc.batch import Batch
from yolo_proc.boxes import FloatArray
from yolo_proc.checks.bench import Bench
from yolo_proc.config.schema import Config, LabelConfig
from yolo_proc.data.stream import Stream
from yolo_proc.detection.codec import CLASSES, LabelCodec, Targets
from yolo_proc.detection.task import DetectionTask
from yolo_proc.export.session import OnnxDetector, Settings
from yolo_proc.imaging.letterbox import Letterbox
from yolo_proc.models.network import Yolo
from yolo_proc.scene import Scene


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

    return with_the_codec(bench, kind(bench.codec.grids, bench.codec.class_count))


def with_the_codec(bench: Bench, codec: LabelCodec) -> Bench:
    task = bench.task
    other = DetectionTask(codec, task.limits, task.loss_config, task.classes)
    return bench.with_parts(build_task=lambda *_: other)


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


# --------------------------------------------------------------------------------------------- round trip


def with_decoder(bench: Bench, change: Callable[[FloatArray], FloatArray]) -> Bench:
    """The bench of a decoder whose boxes, (K, 4) xyxy, are changed."""

    class Changed(LabelCodec):
        def _boxes_xyxy(self, predictions: FloatArray, slots: Any) -> FloatArray:
            return change(super()._boxes_xyxy(predictions, slots))

    return with_codec(bench, Changed)


def with_targets(bench: Bench, change: Callable[[Targets, LabelCodec], Targets]) -> Bench:
    """The bench of an encoder whose targets are changed."""

    class Changed(LabelCodec):
        def assign(self, batch: Batch, limits: LabelConfig) -> Targets:
            return change(super().assign(batch, limits), self)

    return with_codec(bench, Changed)


class SwappedFields(LabelCodec):
    """Reads y where x stands."""

    def _boxes_xyxy(self, predictions: FloatArray, slots: Any) -> FloatArray:
        swapped = predictions.copy()
        swapped[:, :2] = predictions[:, 1::-1]
        return super()._boxes_xyxy(swapped, slots)


class SizesNotActivated(LabelCodec):
    """Takes the logits of w and h for their values."""

    def _boxes_xyxy(self, predictions: FloatArray, slots: Any) -> FloatArray:
        linear = predictions.copy()
        linear[:, 2:4] = np.abs(np.log(predictions[:, 2:4])) + 1e-3
        return super()._boxes_xyxy(linear, slots)


class ClassesOneOn(LabelCodec):
    """Looks for the class one field too early."""

    def candidates(self, outputs: Any, *given: Any, **named: Any) -> Any:
        found = super().candidates(outputs, *given, **named)
        raw = outputs[found.slots][:, CLASSES - 1 : -1]
        return replace(found, class_ids=raw.argmax(axis=1))


def columns_for_rows(targets: Targets, codec: LabelCodec) -> Targets:
    """Slots numbered column by column."""
    (grid,) = codec.grids

    def turned(slots: Any) -> Any:
        row, column = np.divmod(slots, grid.columns)
        return column * grid.rows + row

    return replace(targets, slot=turned(targets.slot), ignored_slot=turned(targets.ignored_slot))


# -------------------------------------------------------------------------------------------- determinism


class OwnState(Stream):
    """Scenes by how many were drawn before, as if chance had a state of its own; it is copied into each worker."""

    drawn = 0

    def __getitem__(self, index: int) -> Scene:
        self.drawn += 1
        return super().__getitem__(self.drawn)


class OneStream(Stream):
    """A stream that does not look at its name."""

    @classmethod
    def from_config(cls, config: Config, stream: str, **named: Any) -> Stream:
        return Stream.from_config(config, "train", **named)


def of_this_process(scene: Scene, index: int) -> Scene:
    image = scene.image.copy()
    image[0, 0] = os.getpid() % 251
    return Scene(image, scene.objects, scene.ignore)


class Jitter:
    """Labels that tremble, by a generator that is nobody's."""

    def __init__(self, pixels: float) -> None:
        self.pixels, self.rng = pixels, np.random.default_rng()

    def __call__(self, boxes: np.ndarray) -> np.ndarray:
        moved = boxes + self.rng.uniform(0, self.pixels, boxes.shape)
        return np.asarray(np.clip(moved, boxes.min(initial=0), boxes.max(initial=0)))


def with_other_indices(bench: Bench, change: Callable[[int], int]) -> Bench:
    """The bench of a sampler whose k-th batch is another one."""

    def other(stream: Stream, first: int, size: int, *, count: int, workers: int = 0) -> Iterator[Batch]:
        for k in range(first, first + count):
            yield from bench.parts.batches(stream, change(k), size, count=1, workers=0)

    return bench.with_parts(batches=other)


def noisy_pixel(scene: Scene, index: int) -> Scene:
    image = scene.image.copy()
    image[0, 0] = np.random.default_rng().integers(0, 256, 3)
    return Scene(image, scene.objects, scene.ignore)


# ------------------------------------------------------------------------------------------------- variety


def without_class(share: float, class_id: int = 1) -> Callable[[Scene, int], Scene]:
    """One class loses its labels and becomes the first, but for a share of its scenes."""

    def change(scene: Scene, index: int) -> Scene:
        if chosen(index, share):
            return scene
        objects = [replace(one, class_id=0) if one.class_id == class_id else one for one in scene.objects]
        return Scene(scene.image, tuple(objects), scene.ignore)

    return change


class FewScenes(Stream):
    """A generator that has only so many scenes."""

    count: int

    def __getitem__(self, index: int) -> Scene:
        return super().__getitem__(index % self.count)


def with_few_scenes(bench: Bench, count: int) -> Bench:
    return with_stream(bench, FewScenes, count=count)


def with_anchors(bench: Bench, factor: float) -> Bench:
    """The bench of anchors that are too large by a factor."""

    grids = [
        replace(grid, anchors=tuple((factor * width, factor * height) for width, height in grid.anchors))
        for grid in bench.codec.grids
    ]
    return with_the_codec(bench, LabelCodec(tuple(grids), bench.codec.class_count))


def shrunk(boxes: np.ndarray, factor: float) -> np.ndarray:
    """Boxes made smaller about their centres."""
    middle, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2 / factor
    return np.concatenate([middle - half, middle + half], axis=1)


def small_objects(bench: Bench, factor: float) -> Bench:
    """Small labels that are learned from all the same; their anchors are found from them."""
    labels = replace(bench.config.labels, min_box_px=0.5)
    faulty = with_boxes(bench, lambda boxes: shrunk(boxes, factor))
    return Bench(replace(bench.config, labels=labels), faulty.parts, precision="float32")


def one_place(boxes: np.ndarray) -> np.ndarray:
    return np.tile([30.0, 30.0, 60.0, 60.0], (len(boxes), 1))


# -------------------------------------------------------------------------------------------------- export


class ChangedReader(OnnxDetector):
    """A reader that changes pictures on their way to the network."""

    change: Callable[[Any], Any]

    def run(self, pictures: Any) -> Any:
        return super().run(np.ascontiguousarray(self.change(pictures)))


def with_reader(bench: Bench, change: Callable[[Any], Any]) -> Bench:
    def open_onnx(content: bytes) -> OnnxDetector:
        detector = ChangedReader(content, settings=Settings(threads=1))
        detector.change = change  # type: ignore[method-assign]
        return detector

    return bench.with_parts(open_onnx=open_onnx)


def with_exported(bench: Bench, change: Callable[[Yolo], None]) -> Bench:
    """The bench of an export that writes another network than it was given."""

    def export(model: Yolo, classes: tuple[str, ...]) -> bytes:
        other = copy.deepcopy(model)
        with torch.no_grad():
            change(other)
        return bench.parts.export_onnx(other, classes)

    return bench.with_parts(export_onnx=export)


def with_classes_written(bench: Bench, change: Callable[[tuple[str, ...]], tuple[str, ...]]) -> Bench:
    """The bench of an export that names the classes otherwise."""
    return bench.with_parts(export_onnx=lambda model, classes: bench.parts.export_onnx(model, change(classes)))


def other_anchors(model: Yolo, factor: float) -> None:
    """Other anchors in the file than those that were trained."""
    grids = [
        replace(grid, anchors=tuple((factor * width, factor * height) for width, height in grid.anchors))
        for grid in model.task.codec.grids
    ]
    model.task.codec = LabelCodec(tuple(grids), model.task.codec.class_count)


def divided_twice(model: Yolo) -> None:
    model.std.mul_(255)
    model.mean.mul_(255)


def forget_statistics(model: Yolo) -> None:
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()


class StretchingReader(OnnxDetector):
    """A reader that stretches pictures over the frame in place of the letterbox."""

    def detect(self, rgb: Any, *given: Any, **named: Any) -> Any:
        width, height = self.picture_size
        stretched = np.asarray(Image.fromarray(rgb).resize((width, height)))
        found = super().detect(stretched, *given, **named)
        scale = np.tile([rgb.shape[1] / width, rgb.shape[0] / height], 2)
        return replace(found, box_xyxy=found.box_xyxy * scale)


class ShiftedBoxes(OnnxDetector):
    """A reader that forgets the letterbox's border when it maps boxes back."""

    def detect(self, rgb: Any, *given: Any, **named: Any) -> Any:
        box = Letterbox.of(rgb.shape[1], rgb.shape[0], *self.picture_size)
        found = super().detect(rgb, *given, **named)
        return replace(found, box_xyxy=found.box_xyxy + np.tile([box.left, box.top], 2) / box.r)


def opened_as(bench: Bench, kind: type[OnnxDetector]) -> Bench:
    return bench.with_parts(open_onnx=lambda content: kind(content, settings=Settings(threads=1)))
