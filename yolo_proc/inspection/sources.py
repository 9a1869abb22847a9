"""Where inspected pictures come from: a data set on disk, or a generator's stream, which is timed and checked."""

import pickle
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any, Protocol

import numpy as np

from yolo_proc.annotations.binary import read_picture_record, record_folder
from yolo_proc.annotations.records import Annotation, DataSet, ReadOptions
from yolo_proc.annotations.scredit.project import is_omitted
from yolo_proc.boxes import RgbImage, as_boxes, clip_xyxy
from yolo_proc.data.augment import Plan
from yolo_proc.data.fingerprint import scene_digest
from yolo_proc.data.stream import Stream
from yolo_proc.drawing.canvas import Canvas
from yolo_proc.errors import AnnotationError, YoloProcError
from yolo_proc.imaging.pictures import read_picture
from yolo_proc.inspection.measure import Sample
from yolo_proc.scene import Scene, SceneObject

OMITTED = "omit"  # the reason of a picture that its annotator took out of the set


class SampleSource(Protocol):
    """Pictures to inspect.

    Attributes:
        classes: names by class index.
    """

    @property
    def classes(self) -> tuple[str, ...]: ...

    def __len__(self) -> int:
        """Return how many pictures `samples` goes through, unreadable ones too."""
        ...

    def samples(self) -> Iterator[Sample | None]:
        """Return the pictures in order; None for one that cannot be read."""
        ...

    def sample(self, number: int) -> Sample:
        """Return the picture that came as the `number`-th readable one, once more."""
        ...


class DataSetSource:
    """The pictures of a data set.

    Args:
        data: what was read.
        options: it was read with; `problems` counts the unreadable pictures too, `binary` is there for a binary set.
    """

    def __init__(self, data: DataSet, options: ReadOptions) -> None:
        self._options = options
        self._root = data.root
        self.classes = data.classes
        several = len(data.splits) > 1
        self._listed = [
            (f"{split}/{one.name}" if several else one.name, split, one)
            for split, part in data.splits.items()
            for one in part
        ]
        self._read: list[int] = []

    def __len__(self) -> int:
        return len(self._listed)

    def samples(self) -> Iterator[Sample | None]:
        """See `SampleSource`."""
        self._read = []
        for place, (name, split, one) in enumerate(self._listed):
            try:
                if is_omitted(one):
                    raise AnnotationError(
                        one.path or name, "", "a picture in use", "one that its annotator omitted", reason=OMITTED
                    )
                sample = sample_of(name, split, one, self._pixels(split, one))
            except AnnotationError as error:
                self._options.problems.met(error)
                yield None
                continue
            self._read.append(place)
            yield sample

    def sample(self, number: int) -> Sample:
        """See `SampleSource`."""
        name, split, one = self._listed[self._read[number]]
        return sample_of(name, split, one, self._pixels(split, one))

    def _pixels(self, split: str, one: Annotation) -> RgbImage:
        if one.path is not None:
            pixels = read_picture(one.path, max_pixels=self._options.max_pixels, reading=self._options.reading)
        else:
            assert one.record is not None, one.name
            assert self._options.binary is not None, one.name
            pixels = read_picture_record(record_folder(self._root, split), one.record, self._options.binary)
        height, width = pixels.shape[:2]
        if (width, height) != (one.width, one.height):
            expected = f"{one.width} x {one.height} pixels, as its annotation says"
            raise AnnotationError(one.path or one.name, "", expected, f"{width} x {height}", reason="size")
        return pixels


def sample_of(name: str, split: str, one: Annotation, image: RgbImage) -> Sample:
    """Return an annotated picture as a sample."""
    labels = [item for item in one.items if item.is_label]
    ignored = [item for item in one.items if item.ignore]

    def shares(values: Sequence[float | None]) -> np.ndarray[Any, np.dtype[np.float64]]:
        return np.array([np.nan if value is None else value for value in values], dtype=np.float64)

    return Sample(
        name=name,
        split=split,
        image=image,
        box_xyxy=as_boxes([item.xyxy for item in labels]),
        class_ids=np.array([item.class_id for item in labels], dtype=np.int64),
        visible=shares([item.visible for item in labels]),
        in_frame=shares([item.in_frame for item in labels]),
        confidence=shares([item.confidence for item in labels]),
        ignore_xyxy=as_boxes([item.xyxy for item in ignored]),
        others=len(one.items) - len(labels) - len(ignored),
    )


def scene_of(sample: Sample) -> Scene:
    """Return a sample as a scene, for a sheet."""
    height, width = sample.image.shape[:2]
    known = np.nan_to_num(np.stack([sample.visible, sample.in_frame, sample.confidence]), nan=1.0).T.tolist()  # (N, 3)
    boxes = clip_xyxy(sample.box_xyxy, width, height).tolist()
    objects = tuple(
        SceneObject((box[0], box[1], box[2], box[3]), class_id, None, *rest)
        for box, class_id, rest in zip(boxes, sample.class_ids.tolist(), known, strict=True)
    )
    return Scene(sample.image, objects, clip_xyxy(sample.ignore_xyxy, width, height))


# ------------------------------------------------------------------------------------------- a generator


@dataclass(frozen=True)
class Stage:
    """The time of one stage.

    Attributes:
        name: "plan", "draw", "render", "pixel changes" or "letterbox".
        seconds: over all scenes.
        scenes: on how many it acted.
    """

    name: str
    seconds: float
    scenes: int


@dataclass(frozen=True)
class Timing:
    """How long scenes took in one process.

    Attributes:
        scenes: how many were timed; the first one is not, because it loads what is loaded once.
        seconds: for all of them.
        stages: what they went into.
    """

    scenes: int
    seconds: float
    stages: tuple[Stage, ...]

    @property
    def images_per_second(self) -> float:
        """Scenes a second."""
        return self.scenes / self.seconds if self.seconds > 0 else 0.0


class StageClock:
    """Gives the time since the last mark to a stage.

    Attributes:
        seconds, scenes: of each stage, so far.
        acted: the stages of the scene in hand.
    """

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(("plan", "draw", "render", "pixel changes", "letterbox"), 0.0)
        self.scenes = dict.fromkeys(self.seconds, 0)
        self._last = time.perf_counter()
        self.acted: set[str] = set()

    def begin(self) -> None:
        """Note that a scene begins."""
        self._last = time.perf_counter()
        self.acted = set()

    def mark(self, stage: str) -> None:
        """Note that what was done since the last mark was this stage's."""
        now = time.perf_counter()
        self.seconds[stage] += now - self._last
        self._last = now
        if stage not in self.acted:
            self.acted.add(stage)
            self.scenes[stage] += 1

    def timing(self) -> Timing:
        """Return what was marked so far."""
        stages = tuple(Stage(name, seconds, self.scenes[name]) for name, seconds in self.seconds.items())
        return Timing(self.scenes["render"], sum(self.seconds.values()), stages)


class TimedStream(Stream):
    """A stream that times its stages; its scenes are those of the stream."""

    def _load(self) -> None:
        super()._load()
        self.clock = StageClock()
        inner = self._augmenter.change_pixels

        def change_pixels(image: RgbImage, plan: Plan) -> RgbImage:
            self.clock.mark("render")
            changed = inner(image, plan)
            self.clock.mark("pixel changes")
            return changed

        # The augmenter is this stream's own, so nobody else sees the change.
        self._augmenter.change_pixels = change_pixels  # type: ignore[method-assign]

    def __getitem__(self, index: int) -> Scene:
        self.clock.begin()
        scene = super().__getitem__(index)
        if "letterbox" not in self.clock.acted:
            self.clock.mark("render")
        return scene

    def _draw(self, canvas: Canvas, *rest: Any, **named: Any) -> None:
        self.clock.mark("plan")
        super()._draw(canvas, *rest, **named)
        self.clock.mark("draw")

    def _letterbox(self, scene: Scene) -> Scene:
        self.clock.mark("render")
        boxed = super()._letterbox(scene)
        self.clock.mark("letterbox")
        return boxed


class StreamSource:
    """The first scenes of a stream, timed."""

    def __init__(self, stream: Stream, count: int) -> None:
        self._stream = TimedStream(
            stream.spec,
            stream.seed,
            stream.stream,
            parameters=stream.parameters,
            image_size=stream.image_size,
            augment=stream.augment,
            picture_size=stream.picture_size,
        )
        self._count = count
        self.classes = stream.classes

    def __len__(self) -> int:
        return self._count

    def samples(self) -> Iterator[Sample]:
        """See `SampleSource`."""
        for number in range(self._count):
            yield self.sample(number)
            if number == 0 and self._count > 1:
                self._stream.clock = StageClock()

    def sample(self, number: int) -> Sample:
        """See `SampleSource`."""
        scene = self._stream[number]
        return Sample(
            name=f"scene {number}",
            split=self._stream.stream,
            image=scene.image,
            box_xyxy=scene.boxes,
            class_ids=scene.class_ids,
            visible=np.array([thing.visible for thing in scene.objects], dtype=np.float64),
            in_frame=np.array([thing.in_frame for thing in scene.objects], dtype=np.float64),
            confidence=np.array([thing.confidence for thing in scene.objects], dtype=np.float64),
            ignore_xyxy=as_boxes(scene.ignore),
        )

    @property
    def timing(self) -> Timing:
        """Of the scenes drawn so far."""
        return self._stream.clock.timing()


@dataclass(frozen=True)
class Determinism:
    """Whether a scene is a function of its index alone.

    Attributes:
        scenes: how many were compared, pixels and labels.
        again: how many differ when the same process draws them again; numbers of scenes.
        other_order: those that differ when drawn backwards, by a generator made anew.
        other_process: those that differ when drawn in a process of its own.
        not_checked: why the other process gave no answer; empty where it did.
    """

    scenes: int
    again: tuple[int, ...]
    other_order: tuple[int, ...]
    other_process: tuple[int, ...]
    not_checked: str = ""

    @property
    def holds(self) -> bool:
        """Whether nothing differed."""
        return not (self.again or self.other_order or self.other_process)


def check_determinism(stream: Stream, scenes: int) -> Determinism:
    """Draw the first scenes of a stream in four ways and compare them.

    Raises:
        GeneratorError: the generator failed on a scene.
    """
    numbers = list(range(scenes))
    first, again = [], []
    for number in numbers:
        first.append(scene_digest(stream[number]))
        again.append(scene_digest(stream[number]))
    fresh: Stream = pickle.loads(pickle.dumps(stream))
    backwards = scene_digests(fresh, numbers[::-1])[::-1]
    elsewhere = _in_another_process(stream, numbers)

    def differing(found: Sequence[bytes]) -> tuple[int, ...]:
        return tuple(number for number, a, b in zip(numbers, first, found, strict=True) if a != b)

    if isinstance(elsewhere, str):
        return Determinism(scenes, differing(again), differing(backwards), (), elsewhere)
    return Determinism(scenes, differing(again), differing(backwards), differing(elsewhere))


def _in_another_process(stream: Stream, numbers: Sequence[int]) -> list[bytes] | str:
    """Return the digests from a new process, or why there are none. Spawned: it shares no state, and salts `hash`
    anew.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(_digests_or_line, stream, numbers).result()
        except BrokenProcessPool:
            return "the process died, or could not be started from here"


def _digests_or_line(stream: Stream, numbers: Sequence[int]) -> list[bytes] | str:
    try:
        return scene_digests(stream, numbers)
    except YoloProcError as error:  # some of them cannot be pickled
        return str(error)


def scene_digests(stream: Stream, numbers: Sequence[int]) -> list[bytes]:
    """Return the digest of each of the scenes, drawn in this order."""
    return [scene_digest(stream[number]) for number in numbers]
