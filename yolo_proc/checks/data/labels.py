"""Hypothesis: what the network is told is true in form: every label is a box in pixels that can be learned.

Source: a wrong unit, swapped corners, a NaN or a class id off by one raise nothing in a training loop: they become
targets like others (Karpathy, "A recipe for training neural networks", 2019: "become one with the data").

The contract itself is exact (`detection/label_checks.py`) and stays on while training. The one threshold here is the
share of objects that get no slot: 20 %. Of 256 scenes the default run drops 0.2 %, `shapes` at 96 px (36 cells) 1.7
%; 60 small objects in 256 cells drop 11 % by chance alone (60 draws are 53.6 distinct cells). Above a fifth, what is
learned is not what was drawn: a failure. Objects that are left out because too little of them is to be seen, or because
they are too small, are ignored by every loss term, and harm nothing as long as others are left to learn from: above a
fifth that is a warning, and a failure above a half.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from yolo_proc.batch import Batch
from yolo_proc.checks.bench import Bench
from yolo_proc.checks.check import Check
from yolo_proc.checks.data import class_labels
from yolo_proc.detection.codec import SLOT_TAKEN
from yolo_proc.detection.label_checks import LARGEST_DROPPED_SHARE, LabelProblem, label_problems, target_problems
from yolo_proc.plotting.preview import preview_sheet
from yolo_proc.scene import Scene, SceneObject
from yolo_proc.training.outcomes import Figure, Finding

SCENES = 256  # enough that a class drawn once in a hundred scenes is met (1 - 0.99^256 = 0.92)
MOST_IGNORED = 0.5  # share of objects
SHOWN = 16

_CAUSES = {
    "finite": "a NaN or infinite box: a division by 0 or a logarithm in the code that makes labels",
    "order": "boxes whose corners are swapped or no corners: (x, y, w, h) or (cx, cy, w, h) for (x0, y0, x1, y1)",
    "frame": "boxes that are not clipped to the frame, of a picture of another size, or with x and y swapped",
    "units": "normalised units in place of pixels: boxes divided by the picture's size",
    "class": "class ids off by one: counted from 1 in place of 0, or of another list of classes",
    "share": "shares in percent in place of 0 to 1",
    "shape": "labels of another picture: the parts of a batch do not belong together",
    "slot": "an encoder that puts objects where their centre is not, or two into one slot",
    "count": "objects lost in silence between the scene and the targets",
}
_DROPPED = {
    SLOT_TAKEN: (
        "objects share a slot: their centres lie in one cell, or lie there because of a wrong unit",
        "smaller --model.strides, more --model.anchors-per-grid or a larger --image-size give more slots",
    ),
    "min_in_frame": (
        "objects lie outside of the frame: coordinates in another unit than the canvas's, or too strong augmentation",
        "look at the picture; lower --augment.translate and --augment.scale, or --labels.min-in-frame",
    ),
    "min_visible": (
        "objects are covered by what is drawn after them: by their own parts (pips on a card, text on a button), or by "
        "other things",
        "draw an object with its parts inside of `with canvas.object(label):`; else draw objects further apart, or "
        "lower --labels.min-visible",
    ),
    "min_box_px": (
        "objects are too small in pixels: coordinates in another unit than the canvas's, or a small picture",
        "raise --image-size, draw larger, or lower --labels.min-box-px",
    ),
}


@dataclass
class _Survey:
    """Counts over the scenes that were looked at."""

    scenes: int = 0
    objects: int = 0
    problems: list[LabelProblem] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    shown: list[Scene] = field(default_factory=list)

    @property
    def lost(self) -> int:
        return sum(self.dropped.values())

    @property
    def share(self) -> float:
        return self.lost / self.objects if self.objects else 0.0

    @property
    def is_mild(self) -> bool:
        """Whether most of what is lost is ignored, and enough is left to learn from."""
        taken = self.dropped[SLOT_TAKEN] / max(self.objects, 1)
        clean = self.objects > 0 and not self.problems
        return clean and taken <= LARGEST_DROPPED_SHARE and self.share <= MOST_IGNORED


def run(bench: Bench) -> Finding:
    """See the module."""
    seen = _survey(bench)
    sound = not seen.problems and seen.objects > 0 and seen.share <= LARGEST_DROPPED_SHARE
    causes, remedy = _explained(seen)
    reasons = {f"dropped {reason}": count for reason, count in seen.dropped.items() if count}
    figures: dict[str, Figure] = {"scenes": seen.scenes, "objects": seen.objects, "wrong labels": len(seen.problems)}
    figures |= {"dropped share": seen.share, **reasons}
    return Finding.judged(
        sound,
        expected=f"no wrong label in {SCENES} scenes, at most {100 * LARGEST_DROPPED_SHARE:.0f} % without a slot",
        measured=_measured(seen),
        figures=figures,
        causes=causes,
        remedy=remedy,
        evidence={"scenes": lambda: preview_sheet(seen.shown, bench.classes, limits=bench.config.labels)},
        mild=seen.is_mild,
    )


def _survey(bench: Bench) -> _Survey:
    """Go through the scenes; the codec is asked for only while the scenes keep to the contract."""
    seen = _Survey()
    for batch in bench.drawn(SCENES):
        seen.scenes += len(batch)
        seen.objects += len(batch.class_ids)
        problems = label_problems(batch, len(bench.classes))
        if not problems and not seen.problems:
            codec = bench.task.codec
            targets = codec.assign(batch, bench.config.labels)
            problems = target_problems(batch, targets, codec.slots, codec.class_count)
            seen.dropped.update(targets.dropped)
        if problems and not seen.problems:
            seen.shown.clear()  # the broken ones are worth more
        if problems or not seen.problems:
            blamed = {problem.scene for problem in problems} - {None} or set(batch.indices.tolist())
            images = [image for image, scene in enumerate(batch.indices.tolist()) if scene in blamed]
            seen.shown += [_drawable(batch, image) for image in images[: SHOWN - len(seen.shown)]]
        seen.problems += problems
    return seen


def _measured(seen: _Survey) -> str:
    if seen.problems:
        return f"{len(seen.problems)} wrong labels in {seen.scenes} scenes, the first: {seen.problems[0]}"
    reasons = ", ".join(f"{reason} {count}" for reason, count in seen.dropped.most_common() if count)
    words = f"no wrong label, {100 * seen.share:.1f} % of {seen.objects} objects without a slot"
    return f"{words} ({reasons})" if reasons else words


def _explained(seen: _Survey) -> tuple[Sequence[str], str]:
    """Return causes and what to do."""
    if seen.problems:
        kinds = [kind for kind, _ in Counter(problem.kind for problem in seen.problems).most_common()]
        return [_CAUSES[kind] for kind in kinds], "mend the generator or what reads its labels; `preview` shows them"
    if not seen.objects:
        return ["nothing that is drawn has a label"], "give the objects a label: canvas.draw(shape, colour, label)"
    ordered = [_DROPPED[reason] for reason, count in seen.dropped.most_common() if count and reason in _DROPPED]
    return [cause for cause, _ in ordered], ordered[0][1] if ordered else ""


def _drawable(batch: Batch, image: int) -> Scene:
    """Return an image of a batch with those of its labels that can be drawn, put into the frame."""
    height, width = batch.images.shape[1:3]
    objects = []
    for row in range(*batch.objects_of(image).indices(len(batch.class_ids))):
        box = batch.box_xyxy[row]
        if not np.isfinite(box).all() or batch.class_ids[row] < 0:
            continue
        x0, x1 = np.clip(sorted((box[0], box[2])), 0, width).tolist()
        y0, y1 = np.clip(sorted((box[1], box[3])), 0, height).tolist()
        shares = (float(part[row]) for part in (batch.visible, batch.in_frame, batch.confidence))
        objects.append(SceneObject((x0, y0, x1, y1), int(batch.class_ids[row]), None, *shares))
    return Scene(np.asarray(batch.images[image].numpy()), tuple(objects))


CHECK = Check(
    "labels",
    group="data",
    asserted="every label is a finite, ordered box in pixels inside the frame, of a known class, in a slot of its own "
    "or counted as dropped",
    quick=True,
    run=run,
    other_tasks={"classification": class_labels.run},
)
