"""Rules that every batch of labels keeps to, so that wrong labels stop a run and never just spoil it.

    objects   arrays of one length; boxes finite, ordered and inside the frame, in pixels; classes that exist;
              shares between 0 and 1; images that are in the batch
    targets   every object in a slot of its own, or counted as dropped; centres inside their cells; sizes above 0;
              no more objects of a class than the batch has

A whole batch is judged by a few operations on arrays: the contract stays on while training, at less than a hundredth
of a step. Only a broken one is looked into. A box of no area is no wrong label: it is counted as dropped.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from yolo_proc.errors import TrainingError

if TYPE_CHECKING:
    from yolo_proc.batch import Batch
    from yolo_proc.detection.codec import Targets

Flags = NDArray[np.bool_]

# A run learns from what is left; more than this is no accident of crowded scenes (checks/labels.py has figures).
LARGEST_DROPPED_SHARE = 0.2
# Fewer boxes than this may all lie in a corner of the frame by chance.
ENOUGH_FOR_UNITS = 8
# Coordinates in units of the frame's sides reach 1, in units of its shorter side its aspect ratio.
LARGEST_UNIT = 2.0
_ROUNDING = 1e-6  # of a share


@dataclass(frozen=True)
class LabelProblem:
    """One object, or one batch, that breaks the contract.

    Attributes:
        kind: "finite", "order", "frame", "units", "class", "share", "shape", "slot" or "count".
        scene: index of the scene in its stream; None where no single one is to blame.
        words: what was found, and what is expected.
    """

    kind: str
    scene: int | None
    words: str

    def __str__(self) -> str:
        return self.words if self.scene is None else f"scene {self.scene}: {self.words}"


class LabelError(TrainingError):
    """A batch whose labels break the contract.

    Attributes:
        problems: the first ones found.
    """

    def __init__(self, problems: list[LabelProblem]) -> None:
        more = f" (and {len(problems) - 1} more like it in this batch)" if len(problems) > 1 else ""
        super().__init__(
            f"{problems[0]}{more}; look at it with the command `preview`, and let the generator label what it draws"
        )
        self.problems = tuple(problems)


def require_sound_labels(batch: "Batch", class_count: int) -> None:
    """Raise `LabelError` unless the objects of a batch keep to the contract."""
    problems = label_problems(batch, class_count)
    if problems:
        raise LabelError(problems)


def require_sound_targets(batch: "Batch", targets: "Targets", slots: int, class_count: int) -> None:
    """Raise `LabelError` unless the targets of a batch keep to the contract."""
    problems = target_problems(batch, targets, slots, class_count)
    if problems:
        raise LabelError(problems)


# ------------------------------------------------------------------------------------------------- objects


def label_problems(batch: "Batch", class_count: int) -> list[LabelProblem]:
    """Return each object of a batch that breaks the contract, one kind of problem at a time: the gravest that there
    is.
    """
    objects, images = len(batch.class_ids), len(batch.indices)
    lengths = {len(batch.box_xyxy), objects, len(batch.image_ids), len(batch.confidence)}
    lengths |= {len(batch.visible), len(batch.in_frame)}
    if lengths != {objects} or batch.box_xyxy.shape != (objects, 4) or len(batch.images) != images:
        return [LabelProblem("shape", None, f"the arrays of a batch differ in length: {sorted(lengths)} objects")]
    if not objects:
        return []
    ids = batch.image_ids
    if ids[0] < 0 or ids[-1] >= images or (ids[1:] < ids[:-1]).any():
        return [
            LabelProblem("shape", None, f"expected the objects image by image, 0 to {images - 1}, found other images")
        ]
    return next((found for found in _label_rules(batch, class_count) if found), [])


def _label_rules(batch: "Batch", class_count: int) -> Iterator[list[LabelProblem]]:
    boxes, classes = batch.box_xyxy, batch.class_ids
    height, width = batch.images.shape[1:3]
    finite: Flags = np.asarray(np.isfinite(boxes).all(axis=1))
    yield _told(batch, ~finite, "finite", "its box {box} is not finite (NaN or infinite); expected pixels")
    x0, y0, x1, y1 = boxes.T
    yield _told(
        batch,
        (x0 > x1) | (y0 > y1),
        "order",
        "its box {box} is not ordered; expected (x0, y0, x1, y1), x0 < x1, y0 < y1",
    )
    outside = (x0 < 0) | (y0 < 0) | (x1 > width) | (y1 > height)
    yield _told(
        batch,
        outside,
        "frame",
        f"its box {{box}} leaves the frame; expected pixels, x 0 to {width} and y 0 to {height}",
    )
    if len(boxes) >= ENOUGH_FOR_UNITS and boxes.max() <= LARGEST_UNIT:
        words = (
            f"all {len(boxes)} boxes lie between 0 and {boxes.max():g}; expected pixels of a frame of {width} x "
            f"{height}, found what looks like normalised units"
        )
        yield [LabelProblem("units", None, words)]
    yield _told(
        batch,
        (classes < 0) | (classes >= class_count),
        "class",
        f"its class id is {{class_id}}; expected 0 to {class_count - 1}, counted from 0",
    )
    shares = np.stack([batch.confidence, batch.visible, batch.in_frame])  # (3, N)
    sound: Flags = np.asarray(((shares >= -_ROUNDING) & (shares <= 1 + _ROUNDING)).all(axis=0))  # false for NaN too
    yield _told(
        batch, ~sound, "share", "confidence, visible and in_frame are {shares}; expected shares between 0 and 1"
    )


def _told(batch: "Batch", wrong: Flags, kind: str, words: str) -> list[LabelProblem]:
    """Return a problem for each row that is wrong."""
    if not wrong.any():
        return []
    found = []
    for row in np.flatnonzero(wrong).tolist():
        image = int(batch.image_ids[row])
        facts = {
            "box": f"({', '.join(f'{value:g}' for value in batch.box_xyxy[row].tolist())})",
            "class_id": int(batch.class_ids[row]),
            "shares": ", ".join(f"{part[row]:g}" for part in (batch.confidence, batch.visible, batch.in_frame)),
        }
        number = row - batch.objects_of(image).start
        found.append(LabelProblem(kind, int(batch.indices[image]), f"object {number}: {words.format(**facts)}"))
    return found


# ------------------------------------------------------------------------------------------------- targets


def target_problems(batch: "Batch", targets: "Targets", slots: int, class_count: int) -> list[LabelProblem]:
    """Return what of a batch's targets breaks the contract, one kind of problem at a time: the gravest that there
    is.
    """
    return next((found for found in _target_rules(batch, targets, slots, class_count) if found), [])


def _target_rules(batch: "Batch", targets: "Targets", slots: int, class_count: int) -> Iterator[list[LabelProblem]]:
    images, kept = targets.batch_size, len(targets.slot)
    dropped = sum(targets.dropped.values())
    if kept + dropped != len(batch.class_ids) or images != len(batch.indices):
        words = f"{len(batch.class_ids)} objects, of which {kept} have a slot and {dropped} are counted as dropped"
        yield [LabelProblem("count", None, f"{words}; expected each of them in a slot or counted")]
    if kept:
        known = (targets.image >= 0) & (targets.image < images) & (targets.slot >= 0) & (targets.slot < slots)
        yield _of_target(batch, targets, ~known, "slot", f"it has no slot of the {slots} of its image")
        yield from _value_rules(batch, targets, class_count)
    taken = np.zeros(images * slots, dtype=bool)
    taken[targets.image * slots + targets.slot] = True
    if int(taken.sum()) != kept:
        yield [
            LabelProblem("slot", None, f"{kept} objects lie in {int(taken.sum())} slots; expected one object a slot")
        ]
    if taken[targets.ignored_image * slots + targets.ignored_slot].any():
        yield [LabelProblem("slot", None, "a slot with an object is ignored; expected one or the other")]


def _value_rules(batch: "Batch", targets: "Targets", class_count: int) -> Iterator[list[LabelProblem]]:
    inside: Flags = np.asarray(((targets.xy >= 0) & (targets.xy < 1)).all(axis=1))  # false for NaN too
    yield _of_target(batch, targets, ~inside, "slot", "its centre lies outside of its cell; expected 0 <= v < 1")
    sizes = np.concatenate([targets.wh, targets.stride_over_size], axis=1)
    sound: Flags = np.asarray(((sizes > 0) & (sizes < np.inf)).all(axis=1))
    yield _of_target(batch, targets, ~sound, "finite", "its size is not a finite number above 0")
    known = (targets.class_id >= 0) & (targets.class_id < class_count)
    yield _of_target(
        batch, targets, ~known, "class", f"its class id left the range; expected 0 to {class_count - 1}, counted from 0"
    )
    encoded = np.bincount(targets.class_id, minlength=class_count)
    drawn = np.bincount(batch.class_ids, minlength=class_count)
    more = np.flatnonzero(encoded[:class_count] > drawn[:class_count])
    if len(more):
        words = (
            f"{encoded[more[0]]} slots have class id {more[0]}, of {drawn[more[0]]} objects of that class in the batch"
        )
        yield [LabelProblem("class", None, f"{words}; expected the class ids that were drawn, counted from 0")]


def _of_target(batch: "Batch", targets: "Targets", wrong: Flags, kind: str, words: str) -> list[LabelProblem]:
    """Return a problem for each target that is wrong; a target does not say which object of its scene it is."""
    if not wrong.any():
        return []
    found = []
    for row in np.flatnonzero(wrong).tolist():
        image = int(targets.image[row])
        scene = int(batch.indices[image]) if 0 <= image < len(batch.indices) else None
        found.append(LabelProblem(kind, scene, f"an object of class id {int(targets.class_id[row])}: {words}"))
    return found
