"""Figures of a run for people: the weighted terms, a row of `metrics.csv`, the term that is in the way, what broke."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from yolo_proc.batch import Batch
from yolo_proc.config.schema import OptimConfig
from yolo_proc.detection.label_checks import LARGEST_DROPPED_SHARE
from yolo_proc.task import Task
from yolo_proc.training.events import EpochEnd
from yolo_proc.training.step import NotFiniteError


def weighted_terms(task: Task, means: NDArray[np.float64]) -> dict[str, float]:
    """Return {term: weighted mean}; they sum to the loss."""
    weights = task.weights
    return {term: weights[term] * float(mean) for term, mean in zip(task.terms, means, strict=True)}


def metrics_row(event: EpochEnd) -> dict[str, float]:
    """Return a row of `metrics.csv`: nothing that depends on the clock."""
    terms = {f"loss_{term}": value for term, value in event.terms.items()}
    return {
        "epoch": event.epoch,
        "step": event.step,
        "images": event.images,
        "loss": event.loss,
        "loss_upper": event.loss_upper,
        **terms,
        "val_loss": event.val_loss,
        **event.figures,
        "lr": event.lr,
        "grad_norm": event.grad_norm,
        "clipped_share": event.clipped_share,
        "dropped": sum(event.dropped.values()),
    }


def dominant_term(terms: Mapping[str, float]) -> str:
    """Return the largest term."""
    return max(terms, key=lambda name: terms[name])


def not_finite_line(error: NotFiniteError, batch: Batch, step: int, kept: Path | None, optim: OptimConfig) -> str:
    """Return one line: the term, the step, the scenes, and what to do.

    Args:
        step: of the run, from 1.
        kept: the last checkpoint, None where there is none.
    """
    terms = sorted({term for term, _ in error.blamed}) or ["none alone"]
    scenes = sorted({int(batch.indices[image]) for _, image in error.blamed})
    where = f"scenes {', '.join(map(str, scenes[:8]))} of stream train" if scenes else "no single scene"
    return (
        f"the {error.what} is not finite at step {step}: term {', '.join(terms)}, {where}; no weight was changed, "
        f"{'nothing was saved' if kept is None else f'the last checkpoint stays, {kept}'}; "
        f"try a lower --optim.lr (now {optim.peak_lr:g}) or --optim.clip-norm (now {optim.clip_norm:g})"
    )


class Drops:
    """How many of an epoch's objects are no labels, as far as this process has seen."""

    def __init__(self) -> None:
        self._objects = 0
        self._lost: Counter[str] = Counter()

    def add(self, objects: int, dropped: Mapping[str, int]) -> None:
        """Take a batch in: its objects, and those of them that were dropped, by reason."""
        self._objects += objects
        self._lost.update(dropped)

    def lines(self) -> Iterator[str]:
        """Yield a line where they are too many; the counts begin anew."""
        share = self._lost.total() / max(self._objects, 1)
        reasons = ", ".join(f"{reason} {count}" for reason, count in self._lost.most_common() if count)
        self._objects, self._lost = 0, Counter()
        if share > LARGEST_DROPPED_SHARE:
            yield (
                f"{100 * share:.0f} % of the epoch's objects are no labels and are not learned ({reasons}); "
                "`check --only labels` says what to do"
            )
