"""Faults: each a small patch of a healthy pipeline, with the check that must fail and words its cause must contain.

The catalogue is put together here from a file a group of checks; `test_checks.py` runs each fault at small pictures.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from yolo_proc.batch import Batch
from yolo_proc.checks.bench import Bench
from yolo_proc.config.schema import Config
from yolo_proc.data.stream import Stream
from yolo_proc.detection.task import DetectionTask
from yolo_proc.scene import Scene


@dataclass(frozen=True)
class Fault:
    """A fault that is injected.

    Attributes:
        name: what is wrong.
        check: that must fail.
        cause: words that its first cause must contain, any of them where there are several.
        inject: (healthy bench, size) -> the bench with the fault; of a fault without a size the second is 1.
        sizes: that are tried, ascending; empty for a fault without a size.
        must: the smallest size that has to be caught at small pictures.
        unit: of the sizes.
    """

    name: str
    check: str
    cause: str | tuple[str, ...]
    inject: Callable[[Bench, float], Bench]
    sizes: tuple[float, ...] = ()
    must: float = 1.0
    unit: str = ""

    def __post_init__(self) -> None:
        assert not self.sizes or self.must in self.sizes, f"{self.name}: {self.must} is none of {self.sizes}"

    def names(self, cause: str) -> bool:
        """Whether a cause says what was injected."""
        words = (self.cause,) if isinstance(self.cause, str) else self.cause
        return any(word.lower() in cause.lower() for word in words)


# ------------------------------------------------------------------------------------------- injection points


def with_task(bench: Bench, kind: type[DetectionTask]) -> Bench:
    """The bench of another kind of task, grids and weights as they were."""
    task = bench.task
    other = kind(task.codec, task.limits, task.loss_config, task.classes)
    return bench.with_parts(build_task=lambda *_: other)


class ChangedStream(Stream):
    """A stream whose scenes go through `change(scene, index)`, those without an object too."""

    change: Callable[[Scene, int], Scene]

    def _scene(self, index: int, **changes: Any) -> Scene:
        return self.change(super()._scene(index, **changes), index)


def with_stream(bench: Bench, kind: type[Stream], **attributes: object) -> Bench:
    """The bench of another kind of stream, with attributes of its own."""

    def open_stream(config: Config, name: str) -> Stream:
        stream = kind.from_config(config, name)
        for attribute, value in attributes.items():
            setattr(stream, attribute, value)
        return stream

    return bench.with_parts(open_stream=open_stream)


def with_scenes(bench: Bench, change: Callable[[Scene, int], Scene]) -> Bench:
    """The bench of a generator (or augmentation) that makes other scenes."""
    return with_stream(bench, ChangedStream, change=change)


def chosen(index: int, share: float) -> bool:
    """Whether a scene is of some share of all; steps of the golden ratio, so that any few have nearly their share."""
    return (index * 0.618034) % 1.0 < share


def blank(scene: Scene, index: int) -> Scene:
    return Scene(np.full_like(scene.image, 114), scene.objects, scene.ignore)


def blank_in(share: float) -> Callable[[Scene, int], Scene]:
    """Blank images, in a share of the scenes."""
    return lambda scene, index: blank(scene, index) if chosen(index, share) else scene


def with_boxes(bench: Bench, change: Callable[[np.ndarray], np.ndarray]) -> Bench:
    """The bench of a generator whose boxes, (N, 4) of a scene, are changed; the scene's own check stays."""

    def changed(scene: Scene, index: int) -> Scene:
        boxes = change(scene.boxes).tolist()
        objects = tuple(replace(one, box=tuple(box)) for one, box in zip(scene.objects, boxes, strict=True))
        return Scene(scene.image, objects, scene.ignore)

    return with_scenes(bench, changed)


def with_batches(bench: Bench, change: Callable[[Batch], Batch]) -> Bench:
    """The bench of a pipeline that puts batches together otherwise, behind the check that a scene makes of itself."""

    def changed(*given: Any, **named: Any) -> Iterator[Batch]:
        return map(change, bench.parts.batches(*given, **named))

    return bench.with_parts(batches=changed)


def catalogue() -> tuple[Fault, ...]:
    """All faults."""
    from faults_data import DATA_FAULTS
    from faults_loss import LOSS_FAULTS
    from faults_optimisation import OPTIMISATION_FAULTS
    from faults_picture import PICTURE_FAULTS
    from faults_updates import UPDATE_FAULTS

    return (*DATA_FAULTS, *PICTURE_FAULTS, *LOSS_FAULTS, *OPTIMISATION_FAULTS, *UPDATE_FAULTS)
