"""Scene i of a stream, and batches of scenes, drawn in this process or in others.

`Stream[i]` is a pure function of (generator with parameters, seed, stream, i): not of what was drawn before, nor of
the number of processes. Worker processes get the spec and the parameters of the generator, never an object.
"""

import itertools
from collections.abc import Generator as Yields
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from yolo_proc.batch import Batch
from yolo_proc.config.schema import AugmentConfig, Config
from yolo_proc.data.augment import Augmenter, Plan
from yolo_proc.data.generator import Generator, Place, Source, load_generator, user_frame
from yolo_proc.data.pipeline import Moved
from yolo_proc.drawing.canvas import Canvas
from yolo_proc.drawing.view import Camera
from yolo_proc.errors import ConfigError, GeneratorError, YoloProcError
from yolo_proc.imaging.letterbox import Letterbox
from yolo_proc.rng import Addresses
from yolo_proc.scene import Scene
from yolo_proc.system.workers import check_start_method, in_processes, portable_class

_OF_THIS_PROCESS = ("generator", "classes", "_addresses", "_augmenter")  # of a Stream


class Stream:
    """The scenes of one stream, by index: `Stream("glyphs", 0, "train")[17]` is a `Scene`.

    Args:
        generator: spec of the generator: built-in name, module:Name, file.py:Name, folder:PATH or mix:A=0.8,B=0.2.
        seed, stream: the address of the scenes; "train", "validation", "target", "calibration", "test" or any name.
        parameters: of the generator.
        image_size: side of the scenes in pixels.
        augment: how they vary.
        picture_size: (width, height): draw every scene at this size instead and letterbox none.

    Raises:
        GeneratorError, ConfigError: the generator or its parameters, as in `load_generator`; a source that has nothing
            to draw in this stream.
    """

    def __init__(
        self,
        generator: str,
        seed: int,
        stream: str,
        *,
        parameters: Mapping[str, Any] | None = None,
        image_size: int = 256,
        augment: AugmentConfig | None = None,
        picture_size: tuple[int, int] | None = None,
    ) -> None:
        if image_size < 1 or (picture_size is not None and min(picture_size) < 1):
            found = picture_size or image_size
            raise ConfigError(f"stream {stream}: expected sides of at least 1 pixel, found {found}")
        self.spec = generator
        self.seed = seed
        self.stream = stream
        self.parameters = dict(parameters or {})
        self.image_size = image_size
        self.augment = augment or AugmentConfig()
        self.picture_size = picture_size
        self._load()

    @classmethod
    def from_config(cls, config: Config, stream: str, *, picture_size: tuple[int, int] | None = None) -> "Stream":
        """Return the stream of that name of a run."""
        return cls(
            config.generator.name,
            config.seed,
            stream,
            parameters=config.generator.parameters,
            image_size=config.image_size,
            augment=config.augment,
            picture_size=picture_size,
        )

    def _load(self) -> None:
        self.generator: Generator = load_generator(self.spec, self.parameters)
        self.classes: tuple[str, ...] = tuple(self.generator.classes)
        self._addresses = Addresses(self.seed, self.stream)
        self._augmenter = Augmenter(
            self.augment, self.seed, self.stream, flip_x=self.generator.flip_x, flip_y=self.generator.flip_y
        )
        if isinstance(self.generator, Source):
            self.generator.check(self.stream, self._augmenter.acts)

    def __getstate__(self) -> dict[str, Any]:
        # A class from a file does not unpickle in another process, so the other process loads it from the spec.
        return {key: value for key, value in vars(self).items() if key not in _OF_THIS_PROCESS}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._load()

    @property
    def scene_size(self) -> tuple[int, int]:
        """(width, height) in pixels of every scene."""
        return self.picture_size or (self.image_size, self.image_size)

    @property
    def notes(self) -> tuple[str, ...]:
        """Lines for the user on where the scenes come from: what of a folder is left out, or changed."""
        return self.generator.notes() if isinstance(self.generator, Source) else ()

    def __getitem__(self, index: int) -> Scene:
        """Return scene `index`, from 0; there is no last one.

        Raises:
            GeneratorError: the generator failed; the message names it, the scene and the place in its source.
        """
        return self._scene(index)

    def without(self, index: int, number: int) -> Scene:
        """Return scene `index` drawn again without its object `number` (of `self[index].objects`), the same otherwise.

        What is known by a label alone, without pixels of its own (`Canvas.annotate`), leaves the pixels as they were.

        Raises:
            GeneratorError: there is no such object.
        """
        return self._scene(index, left_out=number)

    def bare(self, index: int) -> Scene:
        """Return scene `index` drawn again without all that its generator labelled, the same otherwise."""
        return self._scene(index, bare=True)

    def painted(self, index: int) -> tuple[bool, ...]:
        """Return for each object of scene `index`, whether it has pixels of its own; what is annotated has none."""
        canvas, plan, camera = self._drawn(index)
        own = canvas.painted
        return tuple(own[number] for number in self._numbers(canvas, plan, camera))

    def _numbers(self, canvas: Canvas, plan: Plan, camera: Camera | None) -> tuple[int, ...]:
        """Return for each object of a scene, which of the canvas's labelled items it is."""
        numbers = canvas.numbers_in_frame(plan.width, plan.height, camera, self.classes)
        if plan.pipeline is None:
            return numbers
        kept = self._piped(self._painted(canvas, plan, camera), plan).kept
        return tuple(numbers[place] for place in kept)

    def _drawn(self, index: int) -> tuple[Canvas, Plan, Camera | None]:
        """Return the display list of scene `index`, its plan, and how it is seen."""
        if index < 0:
            raise IndexError(f"stream {self.stream}: scenes count from 0, found {index}")
        source = self.generator if isinstance(self.generator, Source) else None
        flips = source.flips(Place(self.seed, self.stream, index)) if source is not None else None
        plan = self._augmenter.plan(index, self.image_size, self.picture_size, flips)
        shorter = min(plan.width, plan.height)
        canvas = Canvas(plan.width / shorter, plan.height / shorter)
        self._draw(canvas, index, (plan.width, plan.height))
        return canvas, plan, plan.camera(loose=canvas.has_loose_boxes and not self.augment.loose_boxes)

    def _scene(self, index: int, *, left_out: int | None = None, bare: bool = False) -> Scene:
        canvas, plan, camera = self._drawn(index)
        try:
            if bare:
                canvas = canvas.bare()
            if left_out is not None:
                numbers = self._numbers(canvas, plan, camera)
                if not 0 <= left_out < len(numbers):
                    raise GeneratorError(f"without({left_out}): expected an object from 0 to {len(numbers) - 1}")
                canvas = canvas.without(numbers[left_out])
            scene = self._painted(canvas, plan, camera)
            if plan.pipeline is not None:
                scene = self._piped(scene, plan).scene
        except YoloProcError as error:
            raise self._named(error, index) from error
        return self._letterbox(scene) if plan.letterboxed else scene

    def _painted(self, canvas: Canvas, plan: Plan, camera: Camera | None) -> Scene:
        """Return the scene with the built-in changes."""
        scene = canvas.render(plan.width, plan.height, camera, self.classes)
        if plan.pixels:
            scene = replace(scene, image=self._augmenter.change_pixels(scene.image, plan))
        return scene

    def _piped(self, scene: Scene, plan: Plan) -> Moved:
        """Return the scene with what the user's pipeline changes, in the size that was planned."""
        assert self._augmenter.pipeline is not None
        assert plan.pipeline is not None
        moved = self._augmenter.pipeline.apply(scene, plan.pipeline)
        height, width = moved.scene.image.shape[:2]
        if (width, height) != (plan.width, plan.height):
            moved = replace(moved, scene=letterboxed(moved.scene, plan.width, plan.height))
        return moved

    def _letterbox(self, scene: Scene) -> Scene:
        return letterboxed(scene, self.image_size, self.image_size)

    def _draw(self, canvas: Canvas, index: int, size: tuple[int, int]) -> None:
        try:
            if isinstance(self.generator, Source):
                self.generator.draw_at(canvas, Place(self.seed, self.stream, index), size)
            else:
                users: Any = self.generator
                given = users.draw(canvas, self._addresses.at(index, "draw"))
                if given is not None and given is not canvas:
                    raise GeneratorError(
                        f"draw() returned {type(given).__name__}; expected that it draws on the canvas and returns "
                        "nothing"
                    )
        except YoloProcError as error:
            where = _place(error)
            told = portable_class(error)(f"{error} ({where})") if where else error
            raise self._named(told, index) from error
        except Exception as error:
            # The border to code that is not ours: whatever it raises is told with its scene, so that it can be redrawn.
            what = str(error).strip().partition("\n")[0]
            where = _place(error)
            told = GeneratorError(
                f"{type(error).__name__}{f': {what}' if what else ''}{f' ({where})' if where else ''}"
            )
            raise self._named(told, index) from error

    def _named(self, error: YoloProcError, index: int) -> YoloProcError:
        where = f"generator {self.spec} failed on scene {index} of stream {self.stream}"
        if isinstance(self.generator, Source):
            where += f" ({self.generator.title(Place(self.seed, self.stream, index))})"
        return portable_class(error)(f"{where}: {error}")


def _place(error: BaseException) -> str:
    """Return `cards.py:12 in draw`: where the mistake is to be sought; empty where no code of the user ran."""
    frame = user_frame(error)
    return f"{Path(frame.filename).name}:{frame.lineno} in {frame.name}" if frame is not None else ""


def letterboxed(scene: Scene, width: int, height: int) -> Scene:
    """Return the scene in a frame of another size by rule 1; boxes, outlines and ignore regions move along."""
    picture_height, picture_width = scene.image.shape[:2]
    box = Letterbox.of(picture_width, picture_height, width, height)
    boxes = box.boxes_to_network(scene.boxes).tolist()
    objects = tuple(
        replace(
            thing,
            box=tuple(moved),
            outline=None if thing.outline is None else box.points_to_network(thing.outline),
        )
        for thing, moved in zip(scene.objects, boxes, strict=True)
    )
    return Scene(box.apply(scene.image), objects, box.boxes_to_network(scene.ignore), scene.class_id)


def batches(
    stream: Stream,
    first_batch: int,
    batch_size: int,
    *,
    count: int | None = None,
    workers: int = 0,
    start_method: str | None = None,
    rank: int = 0,
    ranks: int = 1,
) -> Yields[Batch, None, None]:
    """Return batches of consecutive scenes: batch k of the stream holds scenes k * batch_size and the following.

    The bytes depend on none of `workers`, `start_method` and `ranks`: the shares of ranks 0 ... R - 1 one after
    another are the whole batch. Workers begin at once; closing the iterator (or dropping it) ends them.

    Args:
        first_batch: k of the first batch.
        count: how many batches; None: without end.
        workers: processes that draw; 0: this one, when the next batch is asked for.
        start_method: "fork", "spawn" or "forkserver"; None: fork where there is one on Linux, else spawn.
        rank, ranks: which part of each batch is wanted.

    Raises:
        ConfigError: an argument out of range.
        YoloProcError: (from `next`) what drawing a scene raised, here or in a worker.
        TrainingError: (from `next`) a worker died.
    """
    if batch_size < 1 or first_batch < 0 or workers < 0 or not 0 <= rank < ranks <= batch_size:
        raise ConfigError(
            f"batches: expected batch_size >= ranks > rank >= 0, first_batch >= 0 and workers >= 0; found batch_size "
            f"{batch_size}, ranks {ranks}, rank {rank}, first_batch {first_batch}, workers {workers}"
        )
    shares = _Shares(first_batch, batch_size, count, rank, ranks)
    if workers == 0:
        return (Batch.of([stream[index] for index in share], share) for share in shares)
    return _received(_start_workers(stream, shares, workers, start_method))


@dataclass(frozen=True)
class _Shares:
    """The scene indices of this rank's part of each batch, batch by batch."""

    first_batch: int
    batch_size: int
    count: int | None
    rank: int
    ranks: int

    def __iter__(self) -> Iterator[range]:
        low = self.batch_size * self.rank // self.ranks
        high = self.batch_size * (self.rank + 1) // self.ranks
        numbers: Iterable[int] = itertools.count(self.first_batch)
        if self.count is not None:
            numbers = range(self.first_batch, self.first_batch + self.count)
        return (range(k * self.batch_size + low, k * self.batch_size + high) for k in numbers)


@dataclass(frozen=True)
class _DrawBatch:
    """The task of a worker: the indices of a share -> its batch."""

    stream: Stream

    def __call__(self, share: range, shared: bool, /) -> Batch:
        batch = Batch.of([self.stream[index] for index in share], share, shared=shared)
        # An array goes through the pipe by value; a tensor would go to shared memory, of which there is too little.
        pixels: Any = batch.images if shared else batch.images.numpy()
        return replace(batch, images=pixels)


def _start_workers(stream: Stream, shares: _Shares, workers: int, start_method: str | None) -> Iterator[Any]:
    method = check_start_method(start_method)
    preload = [__name__]
    if stream.augment.enabled and stream.augment.pipeline is not None:
        # The stream has imported it, so that workers that are forked need not; the others find the variable it set.
        preload.append("albumentations")
    width, height = stream.scene_size
    result_bytes = -(-shares.batch_size // shares.ranks) * width * height * 3
    return in_processes(_DrawBatch(stream), shares, workers, method, result_bytes=result_bytes, preload=preload)


def _received(results: Iterator[Any]) -> Yields[Batch, None, None]:
    import torch

    for batch in results:
        pixels = batch.images
        yield batch if isinstance(pixels, torch.Tensor) else replace(batch, images=torch.from_numpy(pixels))
