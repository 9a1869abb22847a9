"""Hypothesis: scene i is a function of its index: the same bytes whenever, in whatever order, wherever it is drawn.

Source: worker processes that are forked inherit one random state, and each then draws the same images; it has been
found in most PyTorch projects that draw numbers with numpy (Tanel Parnamaa, "Using PyTorch + NumPy? You're making a
mistake", 2021). A run goes on, on a fraction of the data. And a stream that judges must not show what was trained on.

Everything here is exact: bytes are equal, or they are not; there is no threshold. Scenes are drawn in this process in
order, anew in the opposite order, and by two worker processes. Streams are compared without augmentation, and scenes
without objects are left out of that: an empty scene may well be the same in two streams.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from yolo_proc.batch import Batch
from yolo_proc.checks.bench import STREAM, Bench
from yolo_proc.checks.check import Check
from yolo_proc.config.schema import Config
from yolo_proc.plotting.preview import preview_sheet
from yolo_proc.scene import Scene
from yolo_proc.training.outcomes import Finding

SCENES = 32
GROUP = 4  # scenes of a batch: small ones, so that the workers take turns
WORKERS = 2
_REMEDY = "draw all chance from the `rng` that `draw` is given, and keep nothing from one scene to the next"


def judging_streams(config: Config) -> tuple[str, ...]:
    """Return the streams that a run is judged by."""
    return ("validation", "calibration", *(["target"] if config.target_loss is not None else []))


@dataclass(frozen=True)
class _Mark:
    """Identity of a scene: digests of its pixels and of its labels."""

    pixels: bytes
    labels: bytes

    @classmethod
    def of(cls, batch: Batch, image: int) -> "_Mark":
        rows = batch.objects_of(image)
        parts = (batch.box_xyxy, batch.class_ids, batch.confidence, batch.visible, batch.in_frame)
        ignored = batch.ignore_xyxy[batch.ignore_image_ids == image]
        labels = b"".join(np.ascontiguousarray(part[rows]).tobytes() for part in parts) + ignored.tobytes()
        return cls(_digest(batch.images[image].numpy().tobytes()), _digest(labels))


@dataclass
class _Drawn:
    """The scenes that were drawn.

    Attributes:
        first, again: marks by index, drawn here; workers: in the order in which the workers' batches came.
        indices: that those batches say they hold.
        shared: by stream that judges, how many of its scenes are scenes of the training stream too.
        shown: scenes of the workers.
    """

    first: list[_Mark]
    again: list[_Mark]
    workers: list[_Mark]
    indices: list[int]
    shared: dict[str, int]
    shown: list[Scene] = field(default_factory=list)

    def differing(self, others: Sequence[_Mark], part: str) -> int:
        """Return in how many scenes pixels or labels differ from those that were drawn first."""
        return sum(getattr(a, part) != getattr(b, part) for a, b in zip(self.first, others, strict=False))

    @property
    def repeated(self) -> int:
        """How many images of the workers are there already, beyond those that are the same here too."""
        return _repeats(self.workers) - _repeats(self.first)

    @property
    def once(self) -> bool:
        """Whether each index came once, in order."""
        return self.indices == list(range(SCENES)) and len(self.workers) == SCENES


def run(bench: Bench) -> Finding:
    """See the module."""
    seen = _survey(bench)
    here = sum(a != b for a, b in zip(seen.first, seen.again, strict=True))
    there = sum(a != b for a, b in zip(seen.first, seen.workers, strict=False))
    words = f"{SCENES} scenes: {here} differ when drawn again, {there} when drawn by workers"
    if not seen.once:
        words += f", indices of the workers {_told(seen.indices)}"
    words += "".join(f", {count} of stream {name} are trained on" for name, count in seen.shared.items() if count)
    return Finding.judged(
        not here and not there and seen.once and not any(seen.shared.values()),
        expected=f"equal bytes each time, indices 0 to {SCENES - 1} once, no scene that judges in training",
        measured=words,
        figures={
            "scenes": SCENES,
            "differ here": here,
            "differ in workers": there,
            "repeated by workers": seen.repeated,
            **{f"shared with {name}": count for name, count in seen.shared.items()},
        },
        causes=_causes(seen),
        remedy=_REMEDY,
        evidence={
            "workers": lambda: preview_sheet(seen.shown, bench.classes, columns=GROUP, limits=bench.config.labels)
        },
    )


def _survey(bench: Bench) -> _Drawn:
    first = [_mark(bench.scene(index)) for index in range(SCENES)]
    # Another stream, so that nothing that the first one keeps is there; and backwards, so that order shows.
    other = bench.parts.open_stream(bench.config, STREAM)
    again = [_mark(other[index]) for index in reversed(range(SCENES))][::-1]
    workers: list[_Mark] = []
    indices: list[int] = []
    shown: list[Scene] = []
    for batch in bench.drawn(SCENES, GROUP, workers=WORKERS):
        indices += batch.indices.tolist()
        for image in range(len(batch)):
            workers.append(_Mark.of(batch, image))
            if len(shown) < 4 * GROUP:
                shown.append(Scene(batch.images[image].numpy().copy()))
    return _Drawn(first, again, workers, indices, _shared(bench), shown)


def _shared(bench: Bench) -> dict[str, int]:
    plain = replace(bench.config, augment=replace(bench.config.augment, enabled=False))
    trained = _pixels_of(bench, plain, STREAM)
    return {name: len(_pixels_of(bench, plain, name) & trained) for name in judging_streams(bench.config)}


def _pixels_of(bench: Bench, config: Config, name: str) -> set[bytes]:
    """Return digests of a stream's first scenes that have objects."""
    stream = bench.parts.open_stream(config, name)
    scenes = (stream[index] for index in range(SCENES // 2))
    return {_digest(scene.image.tobytes()) for scene in scenes if scene.objects}


def _causes(seen: _Drawn) -> list[str]:
    """Return the likeliest first; empty where all is sound."""
    causes = []
    if seen.repeated > SCENES // 8:
        causes.append(
            f"the same seed in every worker: {seen.repeated} of {len(seen.workers)} images are drawn more than once"
        )
    if not seen.once:
        more = sorted(index for index, count in Counter(seen.indices).items() if count > 1)
        lost = sorted(set(range(SCENES)) - set(seen.indices))
        causes.append(
            f"scenes are shared out wrongly among the workers: {len(more)} indices come twice, {len(lost)} never"
        )
    here = {part: seen.differing(seen.again, part) for part in ("pixels", "labels")}
    there = {part: seen.differing(seen.workers, part) for part in ("pixels", "labels")}
    if any(here.values()):
        what = "images" if here["pixels"] else "labels"
        causes.append(
            f"{what} depend on chance outside of the scene's index (a global random generator, the time) or on what "
            "was drawn before"
        )
    elif any(there.values()):
        causes.append(
            "scenes depend on the process that draws them: its id, hash() of a text, a state that it inherits"
        )
    causes += [
        f"stream {name} shows scenes that are trained on: the stream's name is not part of what is drawn"
        for name, count in seen.shared.items()
        if count
    ]
    return causes


def _mark(scene: Scene) -> _Mark:
    return _Mark.of(Batch.of([scene]), 0)


def _repeats(marks: Sequence[_Mark]) -> int:
    return len(marks) - len({mark.pixels for mark in marks})


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


def _told(indices: Sequence[int]) -> str:
    head = ", ".join(map(str, indices[:8]))
    return f"{head}, ..." if len(indices) > 8 else head or "none"


CHECK = Check(
    "determinism",
    group="data",
    asserted="a scene is a function of its index: the same bytes in any order and process, every index once, and no "
    "scene that judges is trained on",
    quick=True,
    run=run,
    any_task=True,
)
