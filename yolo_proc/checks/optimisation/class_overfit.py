"""The check `overfit` for classification: a few images of different classes can be learned by heart.

A network from its start takes as many steps as for detection, on eight images. Then the loss of the last steps must be
at most a twentieth of the first one, at most a quarter of it in evaluation mode, and every image must be called by its
class.
"""

import numpy as np
from numpy.typing import NDArray

from yolo_proc.batch import Batch
from yolo_proc.checks.bench import Bench
from yolo_proc.checks.optimisation.trial import changes_by_itself, evaluated, goes_uphill, repeat
from yolo_proc.plotting.preview import preview_sheet
from yolo_proc.training.outcomes import Figure, Finding

IMAGES = 8
STEPS, DECAY = 400, 160
SGD_SLOWER = 2
LIMIT, LIMIT_EVALUATED = 0.05, 0.25
TRIED = 16  # batches, until one has two classes
TRIES = 4
OTHER_RATE = 30.0


def run(bench: Bench) -> Finding:
    """See the module."""
    batch = _varied(bench)
    if batch is None:
        return Finding.not_applicable("the first scenes have no two classes")
    slow = SGD_SLOWER if bench.config.optim.name == "sgd" else 1
    steps, decay = slow * STEPS, slow * DECAY
    trial = repeat(bench, batch, steps, decay)
    loss, logits = evaluated(bench, trial.state, batch)
    targets = bench.targets(batch)
    known = targets.known.cpu().numpy()
    right = int((logits.argmax(axis=1) == targets.class_ids.cpu().numpy())[known].sum())
    share, of_evaluation = trial.final / trial.losses[0], loss / trial.losses[0]
    sound = share <= LIMIT and of_evaluation <= LIMIT_EVALUATED and right == known.sum()
    figures: dict[str, Figure] = {
        "first loss": trial.losses[0],
        "last loss": trial.final,
        "share left": share,
        "share left in evaluation": of_evaluation,
        "images": int(known.sum()),
        "right": right,
    }
    return Finding.judged(
        sound,
        expected=f"after {steps} steps at most {LIMIT:.0%} of the first loss, {LIMIT_EVALUATED:.0%} in evaluation "
        f"mode, and {known.sum()} of {known.sum()} images right",
        measured=f"{trial.losses[0]:.3f} to {trial.final:.3f} ({share:.1%}), in evaluation mode {loss:.3f}, {right} "
        "images right",
        figures=figures,
        causes=[] if sound else _causes(bench, batch, trial.final, share, of_evaluation, (steps, decay)),
        remedy="mend what the cause says, and do not train before a few images can be learned",
        evidence={"pictures": lambda: _pictures(bench, batch)},
    )


def _varied(bench: Bench) -> Batch | None:
    """Return the first batch whose images have two classes or more; None where the first ones have none."""
    for k in range(TRIED):
        batch = bench.batch(k, IMAGES)
        targets = bench.targets(batch)
        if len(targets.class_ids[targets.known].unique()) > 1:
            return batch
    return None


def _causes(
    bench: Bench, batch: Batch, final: float, share: float, of_evaluation: float, lengths: tuple[int, int]
) -> list[str]:
    state = repeat(bench, batch, 1, 0).state
    if any(changes_by_itself(bench, state, batch) for _ in range(TRIES)):
        return ["the same images give another loss each time: labels or images are changed on their way to it"]
    if share <= LIMIT and of_evaluation > LIMIT_EVALUATED:
        return ["evaluation mode is another network than training mode: statistics of the normalisation do not follow"]
    if share <= LIMIT:
        return ["the loss is nearly zero and images are called wrongly: classes are compared in another order"]
    if goes_uphill(bench, batch):
        return ["small steps make the loss larger: the update goes uphill, or the gradient is of something else"]
    for factor, words in ((1 / OTHER_RATE, "high"), (OTHER_RATE, "low")):
        other = repeat(bench, batch, *lengths, factor=factor)
        if other.final < 0.5 * final:
            return [f"the learning rate is too {words} ({bench.config.optim.peak_lr:g}): with {factor:.3g} times as "
                    f"much the loss goes to {other.final:.3g}"]  # fmt: skip
    return [
        f"the loss stops at {final:.3g} whatever the learning rate is: frozen or dead layers, a softmax before the "
        "loss, or equal images with different classes"
    ]


def _pictures(bench: Bench, batch: Batch) -> NDArray[np.uint8]:
    return preview_sheet([bench.scene(int(index)) for index in batch.indices], bench.classes, columns=4)
