"""Faults in how labels follow the picture."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from faults import Fault, blank, chosen, with_boxes, with_scenes, with_stream

from yolo_proc.checks.bench import Bench
from yolo_proc.config.schema import GeneratorConfig
from yolo_proc.data.augment import Plan
from yolo_proc.data.stream import Stream
from yolo_proc.scene import Scene


class LabelsOfAnotherPlan(Stream):
    """Images as they are, with the labels of the same scene under another plan of its geometry."""

    change: Callable[[Plan, int], Plan]

    def _scene(self, index: int, **changes: Any) -> Scene:
        scene = super()._scene(index, **changes)
        planned = self._augmenter.plan
        self._augmenter.plan = lambda *given: self.change(planned(*given), given[0])  # type: ignore[method-assign]
        try:
            labels = super()._scene(index, **changes)
        finally:
            self._augmenter.plan = planned  # type: ignore[method-assign]
        same = len(labels.objects) == len(scene.objects)
        return Scene(scene.image, labels.objects, labels.ignore) if same else scene


def with_plan_of_labels(bench: Bench, change: Callable[[Plan, int], Plan]) -> Bench:
    """The bench of an augmentation that moves labels by another matrix than images."""

    return with_stream(bench, LabelsOfAnotherPlan, change=change)


def unmirrored(bench: Bench, share: float) -> Bench:
    """Labels that are not mirrored, in a share of the scenes."""

    def change(plan: Plan, index: int) -> Plan:
        return replace(plan, flip_x=False) if chosen(index, share) else plan

    return with_plan_of_labels(bench, change)


def in_frame(boxes: np.ndarray, side: float) -> np.ndarray:
    """Boxes clipped to the frame, none without area."""
    clipped = np.clip(boxes, 0, side)
    clipped[:, :2] = np.minimum(clipped[:, :2], side - 1)
    clipped[:, 2:] = np.maximum(clipped[:, 2:], clipped[:, :2] + 1)
    return np.minimum(clipped, side)


def with_boxes_inside(bench: Bench, change: Callable[[np.ndarray], np.ndarray]) -> Bench:
    side = bench.config.image_size
    return with_boxes(bench, lambda boxes: in_frame(change(boxes), side))


def grown(boxes: np.ndarray, degrees: float) -> np.ndarray:
    """The boxes of boxes that were turned, in place of those of turned objects."""
    sides = boxes[:, 2:] - boxes[:, :2]
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    more = (sides * cos + sides[:, ::-1] * sin - sides) / 2
    return np.concatenate([boxes[:, :2] - more, boxes[:, 2:] + more], axis=1)


class LabelsOfTheNext(Stream):
    """Image i with the labels of scene i + 1."""

    def _scene(self, index: int, **changes: Any) -> Scene:
        scene, after = super()._scene(index, **changes), super()._scene(index + 1)
        return Scene(scene.image, after.objects, after.ignore)


class WithoutCutLabels(Stream):
    """Objects that are not so much in the frame are drawn, but are no objects of the scene."""

    least: float

    def _kept(self, scene: Scene) -> list[int]:
        return [number for number, thing in enumerate(scene.objects) if thing.in_frame >= self.least]

    def _scene(self, index: int, **changes: Any) -> Scene:
        if changes.get("left_out") is not None:
            changes["left_out"] = self._kept(super()._scene(index))[changes["left_out"]]
        scene = super()._scene(index, **changes)
        return Scene(scene.image, tuple(scene.objects[number] for number in self._kept(scene)), scene.ignore)

    def painted(self, index: int) -> tuple[bool, ...]:
        painted = super().painted(index)
        return tuple(painted[number] for number in self._kept(super()._scene(index)))


def without_cut_labels(bench: Bench, least: float) -> Bench:
    return with_stream(bench, WithoutCutLabels, least=least)


def arrows(bench: Bench) -> Bench:
    """The bench of a generator whose classes are not those of its mirrored scenes."""
    spec = f"{Path(__file__).with_name('faults_scenes.py')}:Arrows"
    return Bench(replace(bench.config, generator=GeneratorConfig(spec)), bench.parts, precision="float32")


def turned_over(boxes: np.ndarray) -> np.ndarray:
    """The boxes of a scene in the opposite order."""
    return boxes[::-1].copy()


def mirrored_images(scene: Scene, index: int) -> Scene:
    """Images that are mirrored without their labels."""
    return Scene(np.ascontiguousarray(scene.image[:, ::-1]), scene.objects, scene.ignore)


PICTURE_FAULTS = (
    Fault(
        "labels not flipped with the image",
        "picture",
        "not mirrored with the image",
        lambda bench, size: unmirrored(bench, size),
        sizes=(0.02, 0.1, 0.3, 1),
        must=0.3,
        unit="of mirrored scenes",
    ),
    Fault(
        "x and y of labels swapped",
        "picture",
        "x and y of the boxes are swapped",
        lambda bench, _: with_boxes(bench, lambda boxes: boxes[:, [1, 0, 3, 2]]),
    ),
    Fault(
        "labels shifted",
        "picture",
        "boxes are shifted",
        lambda bench, size: with_boxes_inside(bench, lambda boxes: boxes + size),
        sizes=(0.25, 0.5, 1, 2, 4, 8, 16),
        must=1,
        unit="px",
    ),
    Fault(
        "labels shifted by half a cell",
        "picture",
        "boxes are shifted",
        lambda bench, _: with_boxes_inside(bench, lambda boxes: boxes - bench.codec.grids[0].stride / 2),
    ),
    Fault(
        "labels of a picture of another size",
        "picture",
        "of another size",
        lambda bench, size: with_boxes_inside(bench, lambda boxes: boxes / size),
        sizes=(1.02, 1.05, 1.1, 1.3, 2),
        must=1.3,
        unit="x",
    ),
    Fault(
        "boxes of turned boxes",
        "picture",
        "boxes are too large",
        lambda bench, size: with_boxes_inside(bench, lambda boxes: grown(boxes, size)),
        sizes=(2, 5, 10, 20, 45),
        must=5,
        unit="degrees",
    ),
    Fault(
        "labels of the next scene",
        "picture",
        "another scene",
        lambda bench, _: bench.with_parts(open_stream=LabelsOfTheNext.from_config),
    ),
    Fault(
        "boxes in another order",
        "picture",
        "in another order",
        lambda bench, _: with_boxes(bench, turned_over),
    ),
    Fault(
        "labels left where they were by the augmentation",
        "picture",
        ("boxes do not lie", "another size", "too large", "too small", "shifted"),
        lambda bench, _: with_plan_of_labels(
            bench, lambda plan, index: replace(plan, scale=1.0, translate=(0.0, 0.0), rotate=0.0, shear=(0.0, 0.0))
        ),
    ),
    Fault(
        "no label for what the border cuts",
        "picture",
        "drawn without a label",
        lambda bench, size: without_cut_labels(bench, size),
        sizes=(0.5, 0.7, 0.9, 1),
        must=0.9,
        unit="in the frame",
    ),
    Fault(
        "a mirror that turns classes", "picture", "mirrored, a class becomes another", lambda bench, _: arrows(bench)
    ),
    Fault("labels on blank images", "picture", "change no pixel", lambda bench, _: with_scenes(bench, blank)),
)
