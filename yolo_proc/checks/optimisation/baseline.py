"""Hypothesis: pictures say something of their labels, so that with them more is learned than without them.

Source: Karpathy, "A recipe for training neural networks", 2019: "input-independent baseline".

Two networks that begin alike are trained on the same eight labelled scenes, one with their pictures and one with grey
in place of them, 80 steps each, at the declared rate, which falls to nothing in the last 30. Grey can teach what is
common to all labels (how many, how large, where) and no more. It is a question of whether pictures reach the loss at
all, not of whether the labels are right: eight scenes with labels of others can be learned by heart too.

Threshold: at 96 px the loss with pictures is 0.00 to 0.44 of that without on healthy networks of all kinds (the
largest: two grids), and 1 where the pictures are blank.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from yolo_proc.batch import Batch
from yolo_proc.checks.bench import Bench
from yolo_proc.checks.check import Check
from yolo_proc.checks.optimisation.trial import Trial, changes_by_itself, goes_uphill, learnable, repeat
from yolo_proc.plotting.charts import BLUE, MUTED, RED, Axis, Page
from yolo_proc.plotting.preview import preview_sheet
from yolo_proc.training.outcomes import Figure, Finding

IMAGES = 8
STEPS, DECAY = 80, 30
LIMIT = 0.8
GREY = 114
FLAT = 2.0  # grey levels: a picture with a smaller deviation shows nothing
ALIKE = 1e-4  # of the logits' own deviation
OTHER_RATE = 30.0


@dataclass(frozen=True)
class _Trials:
    """The two trials, and pictures that show nothing."""

    real: Trial
    blank: Trial
    flat: int

    @property
    def ratio(self) -> float:
        """The final loss with pictures, as a share of that without."""
        return self.real.final / self.blank.final if self.blank.final > 0 else float("inf")


def run(bench: Bench) -> Finding:
    """See the module."""
    batch = learnable(bench, IMAGES)
    if batch is None:
        return Finding.not_applicable("the first scenes have no object with a slot")
    deviations = batch.images.float().std(dim=(1, 2)).amax(dim=1)  # (B,)
    seen = _Trials(
        repeat(bench, batch, STEPS, DECAY),
        repeat(bench, blank(batch), STEPS, DECAY),
        int((deviations < FLAT).sum()),
    )
    sound = seen.ratio <= LIMIT
    figures: dict[str, Figure] = {
        "first loss": seen.real.losses[0],
        "loss with pictures": seen.real.final,
        "loss without": seen.blank.final,
        "ratio": seen.ratio,
        "pictures that show nothing": seen.flat,
    }
    return Finding.judged(
        sound,
        expected=f"with pictures at most {LIMIT:g} x the loss without",
        measured=f"{seen.real.final:.3f} with pictures, {seen.blank.final:.3f} without: {seen.ratio:.2f} x",
        figures=figures,
        causes=[] if sound else _causes(bench, batch, seen),
        remedy="see what reaches the network (preview.png of a run, the picture of this check), and whether its output "
        "changes with it",
        evidence={"loss": lambda: _curves(seen, sound), "pictures": lambda: _pictures(bench, batch)},
    )


def blank(batch: Batch) -> Batch:
    """Return the same labels, and grey in place of the pictures."""
    return replace(batch, images=torch.full_like(batch.images, GREY))


@torch.no_grad()
def ignores_pictures(bench: Bench, trial: Trial, batch: Batch) -> bool:
    """Return whether a network gives (nearly) the same for every picture of a batch and for grey ones."""
    model = trial.state.model
    was = model.training
    model.eval()
    shown, grey = bench.forward_loss(model, batch)[2], bench.forward_loss(model, blank(batch))[2]
    model.train(was)
    return bool((shown - grey).abs().max() <= ALIKE * shown.std().clamp(min=1e-6))


def _causes(bench: Bench, batch: Batch, seen: _Trials) -> list[str]:
    if seen.flat:
        return [f"blank images: {seen.flat} of {len(batch)} pictures are of one colour, yet they have labels"]
    if ignores_pictures(bench, seen.real, batch):
        return ["the network does not see its input: pictures and plain grey give the same output"]
    if changes_by_itself(bench, seen.real.state, batch):
        return ["the same pictures give another loss each time: labels or pictures are changed on their way to it"]
    if goes_uphill(bench, batch):
        return ["small steps make the loss larger: the update goes uphill, or the gradient is of something else"]
    for factor, words in ((1 / OTHER_RATE, "high"), (OTHER_RATE, "low")):
        other = repeat(bench, batch, STEPS, DECAY, factor=factor)
        if other.final <= LIMIT * seen.real.final and other.final <= LIMIT * seen.blank.final:
            return [
                f"the learning rate is too {words} ({bench.config.optim.peak_lr:g}): with {factor:.3g} times as much "
                f"the loss with pictures goes to {other.final:.3g}"
            ]
    return [
        "the pictures say nothing of their labels, or what they say is lost on the way to the loss: objects that "
        "cannot be seen, layers that are frozen or dead"
    ]


def _curves(seen: _Trials, sound: bool) -> NDArray[np.uint8]:
    page = Page(1, 1, (760, 400), 0)
    plot = page.panel("Trained with pictures, and without")
    curves = [[min(max(loss, 1e-4), 1e4) for loss in trial.losses] for trial in (seen.blank, seen.real)]
    every = [loss for curve in curves for loss in curve]
    plot.axes(
        Axis("step", 0, float(STEPS - 1)),
        Axis("loss", 0.8 * min(every), 3 * max(every), log=True, tell="{:.3g}".format),
    )
    colour = BLUE if sound else RED
    for curve, shade in zip(curves, (MUTED, colour), strict=True):
        plot.curve(range(len(curve)), curve, shade)
    plot.legend([("with pictures", colour), ("grey in place of them", MUTED)])
    return page.finished()


def _pictures(bench: Bench, batch: Batch) -> NDArray[np.uint8]:
    scenes = [replace(bench.scene(int(index)), image=np.asarray(image.numpy()))
              for index, image in zip(batch.indices, batch.images, strict=True)]  # fmt: skip
    return preview_sheet(scenes, bench.classes, columns=4, limits=bench.config.labels)


CHECK = Check(
    "baseline",
    group="optimisation",
    asserted="training with the pictures does clearly better than training on plain grey in place of them",
    quick=False,
    run=run,
    any_task=True,
)
