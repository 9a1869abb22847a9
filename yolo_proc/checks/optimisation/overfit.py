"""Hypothesis: what cannot learn two pictures by heart cannot learn; the loss of two pictures goes to (nearly) zero.

Source: Karpathy, "A recipe for training neural networks", 2019: "overfit one batch", and look at label and prediction
side by side.

A network from its start takes 400 steps on two pictures, at the declared rate, which falls to nothing in the last 160
(after 240 a network of a quarter of the width still saw up to 28 objects too many); plain SGD takes twice as many.
Then three things must hold: the loss of the last steps is at most a twentieth of the first one; in evaluation mode it
is at most a quarter of it; and the detections are the labels (class, and an IoU of 0.7) for 9 of 10 objects with a
slot, with half as many false ones at most. Where a term of the loss is declared to weigh nothing, detections are not
judged. They are asked for because a loss with separate means forgives false ones. Plain SGD is slow to learn where
nothing is (at 256 px it saw up to 1.4 times as many false objects as there are, after twice as many steps still 1.1
times): it may see twice as many.

Thresholds: at 96 px healthy networks of all kinds (both generators, three optimizers, one class, two grids, no batch
normalisation, `original`) leave 0 % to 2.5 % of the first loss, in both modes, and find every object. Labels of either
picture at random leave 4 % to 28 %, mostly 5 % to 7 %, and with them objects are found where none are.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from yolo_proc.batch import Batch
from yolo_proc.boxes import iou_xyxy
from yolo_proc.checks.bench import Bench
from yolo_proc.checks.check import Check
from yolo_proc.checks.optimisation import class_overfit
from yolo_proc.checks.optimisation.trial import Trial, changes_by_itself, evaluated, goes_uphill, learnable, repeat
from yolo_proc.detection.nms import DecodeConfig, Detections
from yolo_proc.plotting.charts import BLUE, ORANGE, RED, Axis, Page
from yolo_proc.plotting.preview import predictions_sheet, preview_sheet, side_by_side
from yolo_proc.scene import Scene
from yolo_proc.training.outcomes import Figure, Finding

IMAGES = 2
STEPS, DECAY = 400, 160
SGD_SLOWER = 2
LIMIT = 0.05
LIMIT_EVALUATED = 0.25
MUCH_MORE = 3.0  # times the loss of training: evaluation mode is what detections are wrong by
MIN_IOU = 0.7
FOUND = 0.9
ON_A_LABEL = 0.5  # the least IoU with a label of a detection that is not false
FALSE, FALSE_SGD = 0.5, 2.0
TRIES = 4  # to see that a loss changes by itself: a shuffle may leave two pictures in their places
OTHER_RATE = 30.0
DECODING = DecodeConfig(confidence=0.5, max_iou=1.0)  # no suppression: labels may overlap


@dataclass(frozen=True)
class _Learned:
    """Result of a trial.

    Attributes:
        first, last: terms of the loss in training mode, before the first step and after the last.
        evaluated: the loss in evaluation mode.
        objects: labels with a slot; found: of them detected.
        false: detections that lie on no label, and in no slot of which no term speaks; most_false: that may be.
        whole: whether all that a detection consists of is declared to be learned.
    """

    trial: Trial
    first: Mapping[str, float]
    last: Mapping[str, float]
    evaluated: float
    objects: int
    found: int
    false: int
    most_false: float
    detections: Sequence[Detections]
    whole: bool

    @property
    def share(self) -> float:
        """The last loss as a share of the first."""
        return self.trial.final / self.trial.losses[0]

    @property
    def evaluated_share(self) -> float:
        """The same in evaluation mode."""
        return self.evaluated / self.trial.losses[0]

    @property
    def learned(self) -> bool:
        """Whether the loss of training went down."""
        return self.share <= LIMIT

    @property
    def sound(self) -> bool:
        """Whether all three hold."""
        found = not self.whole or (self.found >= FOUND * self.objects and self.false <= self.most_false)
        return self.learned and self.evaluated_share <= LIMIT_EVALUATED and found


def run(bench: Bench) -> Finding:
    """See the module."""
    batch = learnable(bench, IMAGES)
    if batch is None:
        return Finding.not_applicable("the first scenes have no object with a slot")
    seen = _learn_by_heart(bench, batch)
    causes = [] if seen.sound else _causes(bench, batch, seen)
    figures: dict[str, Figure] = {
        "first loss": seen.trial.losses[0],
        "last loss": seen.trial.final,
        "share left": seen.share,
        "share left in evaluation": seen.evaluated_share,
        "objects": seen.objects,
        "found": seen.found,
        "false": seen.false,
    }
    figures |= {f"last {term}": value for term, value in seen.last.items()}
    return Finding.judged(
        seen.sound,
        expected=f"after {_lengths(bench)[0]} steps at most {LIMIT:.0%} of the first loss, {LIMIT_EVALUATED:.0%} in "
        f"evaluation mode, {FOUND:.0%} of the objects found, and {seen.most_false:g} false detections at most",
        measured=f"{seen.trial.losses[0]:.3f} to {seen.trial.final:.3f} ({seen.share:.1%}), in evaluation mode "
        f"{seen.evaluated:.3f}, {seen.found} of {seen.objects} objects found, {seen.false} false",
        figures=figures,
        causes=causes,
        remedy="look at the picture: labels, predictions and the loss; mend what the cause says, and do not train "
        "before two pictures can be learned",
        evidence={"pictures": lambda: _pictures(bench, batch, seen), "loss": lambda: _curve(seen)},
    )


# --------------------------------------------------------------------------------------------- measurement


def _learn_by_heart(bench: Bench, batch: Batch) -> _Learned:
    first = _terms(bench, bench.new_model(), batch)
    trial = repeat(bench, batch, *_lengths(bench))
    last = _terms(bench, trial.state.model, batch)
    loss, logits = evaluated(bench, trial.state, batch)
    finite = bool(np.isfinite(logits).all())
    detections = bench.codec.decode(logits, DECODING) if finite else [_nothing()] * len(batch)
    objects = len(bench.targets(batch).slot)
    found = min(objects, sum(_found(batch, image, one) for image, one in enumerate(detections)))
    false = _false(bench, batch, detections)
    most_false = objects * (FALSE_SGD if _is_slow(bench) else FALSE)
    weights = bench.config.loss
    whole = min(getattr(weights, f"weight_{term}") for term in first) > 0
    return _Learned(trial, first, last, loss, objects, found, false, most_false, detections, whole)


@torch.no_grad()
def _terms(bench: Bench, model: torch.nn.Module, batch: Batch) -> dict[str, float]:
    return {term: float(value) for term, value in bench.forward_loss(model, batch)[1].items()}  # type: ignore[arg-type]


def _nothing() -> Detections:
    none = np.zeros(0, dtype=np.int64)
    return Detections(np.zeros((0, 4)), np.zeros(0), none, none)


def _found(batch: Batch, image: int, detections: Detections) -> int:
    """Return how many labels of an image have a detection of their class on their place."""
    rows = batch.objects_of(image)
    labels, classes = batch.box_xyxy[rows], batch.class_ids[rows]
    if not len(labels) or not len(detections.box_xyxy):
        return 0
    right = iou_xyxy(labels, detections.box_xyxy) >= MIN_IOU
    return int((right & (classes[:, None] == detections.class_ids[None])).any(axis=1).sum())


def _false(bench: Bench, batch: Batch, detections: Sequence[Detections]) -> int:
    """Return how many detections of a batch are false."""
    targets = bench.targets(batch)
    ignored = set(zip(targets.ignored_image.tolist(), targets.ignored_slot.tolist(), strict=True))
    count = 0
    for image, found in enumerate(detections):
        labels = batch.box_xyxy[batch.objects_of(image)]
        best = iou_xyxy(labels, found.box_xyxy).max(axis=0, initial=0.0)
        slots = found.slots.tolist()
        count += sum(
            iou < ON_A_LABEL and (image, slot) not in ignored for iou, slot in zip(best.tolist(), slots, strict=True)
        )
    return count


def _is_slow(bench: Bench) -> bool:
    return bench.config.optim.name == "sgd"


def _lengths(bench: Bench) -> tuple[int, int]:
    """Return steps of a trial, and how many of them the decay takes."""
    slow = SGD_SLOWER if _is_slow(bench) else 1
    return slow * STEPS, slow * DECAY


# -------------------------------------------------------------------------------------------------- causes


def _causes(bench: Bench, batch: Batch, seen: _Learned) -> list[str]:
    """Return why two pictures were not learned; the likeliest first. Other trainings are tried to tell causes apart."""
    state = seen.trial.state
    if any(changes_by_itself(bench, state, batch) for _ in range(TRIES)):
        return ["the same pictures give another loss each time: labels or pictures are changed on their way to it"]
    if seen.learned:
        apart = seen.evaluated > MUCH_MORE * seen.trial.final and seen.evaluated_share > LIMIT
        if seen.evaluated_share > LIMIT_EVALUATED or apart:
            return [
                f"evaluation mode is another network than training mode: its loss is {seen.evaluated:.3g}, that of "
                f"training {seen.trial.final:.3g}; statistics of the normalisation do not follow the weights, perhaps"
            ]
        if seen.found >= FOUND * seen.objects:
            return [
                f"it sees objects where there are none ({seen.false} false detections): it has learned places and not "
                "pictures, or empty slots weigh too little"
            ]
        return ["decoding is not the inverse of encoding: the loss is nearly zero, the detections are not the labels"]
    first, last = _terms(bench, state.model, batch), _terms(bench, state.model, batch)
    if any(not math.isclose(first[term], last[term], rel_tol=1e-4, abs_tol=1e-6) for term in first):
        return ["the network answers at random in training mode (dropout, noise): it cannot learn by heart"]
    if goes_uphill(bench, batch):
        return ["small steps make the loss larger: the update goes uphill, or the gradient is of something else"]
    unheard = _without_gradient(bench, batch)
    if unheard:
        return [f"of the loss only a part is learned: no gradient of {', '.join(unheard)} arrives at the weights"]
    for factor, words in ((1 / OTHER_RATE, "high"), (OTHER_RATE, "low"), (OTHER_RATE**2, "low")):
        other = repeat(bench, batch, *_lengths(bench), factor=factor)
        if other.final < 0.5 * seen.trial.final:
            return [
                f"the learning rate is too {words} ({bench.config.optim.peak_lr:g}): with {factor:.3g} times as much "
                f"the loss goes to {other.final:.3g}"
            ]
    return [
        f"the loss stops at {seen.trial.final:.3g} whatever the learning rate is: what the network can say is limited "
        "(an activation before the loss, frozen or dead layers), or the loss has a floor",
    ]


def _without_gradient(bench: Bench, batch: Batch) -> list[str]:
    """Return the terms that weigh something, and whose gradient in every weight of a network at its start is zero."""
    model = bench.new_model()
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    found = []
    for term, value in bench.forward_loss(model, batch)[1].items():
        if getattr(bench.config.loss, f"weight_{term}") == 0 or (term == "class" and len(bench.classes) == 1):
            continue
        gradients: tuple[torch.Tensor | None, ...] = ()
        if value.requires_grad:
            gradients = torch.autograd.grad(value, parameters, retain_graph=True, allow_unused=True)
        if not any(gradient is not None and bool(gradient.any()) for gradient in gradients):
            found.append(term)
    return found


# ------------------------------------------------------------------------------------------------- evidence


def _pictures(bench: Bench, batch: Batch, seen: _Learned) -> NDArray[np.uint8]:
    """Return labels in the left column, what the network says in the right one."""
    scenes = [Scene(np.asarray(batch.images[image].numpy())) for image in range(len(batch))]
    drawn = [bench.scene(int(index)) for index in batch.indices]
    limits = bench.config.labels
    labels = preview_sheet(drawn, bench.classes, columns=1, limits=limits)
    predictions = predictions_sheet(scenes, seen.detections, bench.classes, columns=1, limits=limits)
    return side_by_side(labels, predictions)


def _curve(seen: _Learned) -> NDArray[np.uint8]:
    page = Page(1, 1, (760, 400), 0)
    plot = page.panel("Two pictures learned by heart")
    losses = [min(max(loss, 1e-4), 1e4) for loss in seen.trial.losses]
    plot.axes(
        Axis("step", 0, float(max(len(losses) - 1, 1))),
        Axis("loss", 0.8 * min(*losses, LIMIT * losses[0]), 1.2 * max(*losses, 1e-3), log=True, tell="{:.3g}".format),
    )
    plot.curve(range(len(losses)), losses, BLUE if seen.learned else RED)
    plot.curve([0, max(len(losses) - 1, 1)], [LIMIT * losses[0]] * 2, ORANGE)
    plot.legend([("loss", BLUE if seen.learned else RED), ("limit", ORANGE)])
    return page.finished()


CHECK = Check(
    "overfit",
    group="optimisation",
    asserted="two pictures can be learned by heart: the loss goes to nearly zero, predictions become the labels",
    quick=False,
    run=run,
    other_tasks={"classification": class_overfit.run},
)
