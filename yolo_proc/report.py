"""Figures of a run for people: the weighted terms, a row of `metrics.csv`, the term that is in the way."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from yolo_proc.events import EpochEnd
from yolo_proc.task import Task


def weighted_terms(task: Task, means: NDArray[np.float64]) -> dict[str, float]:
    """{term: weighted mean}; they sum to the loss."""
    weights = task.weights
    return {term: weights[term] * float(mean) for term, mean in zip(task.terms, means, strict=True)}


def metrics_row(event: EpochEnd) -> dict[str, float]:
    """A row of `metrics.csv`: nothing that depends on the clock."""
    terms = {f"loss_{term}": value for term, value in event.terms.items()}
    return {
        "epoch": event.epoch,
        "step": event.step,
        "images": event.images,
        "loss": event.loss,
        "loss_upper": event.loss_upper,
        **terms,
        "val_loss": event.val_loss,
        "lr": event.lr,
        "grad_norm": event.grad_norm,
        "clipped_share": event.clipped_share,
        "dropped": sum(event.dropped.values()),
    }


_HINTS = {
    "class": "are the classes told apart by what is drawn? try a wider or deeper --model, or less augmentation",
    "obj_f": "boxes are seen where there are none; try a smaller stride (--model.strides 8), or a deeper --model",
    "obj_t": "objects are missed; look at preview.png for hidden or tiny ones, raise --labels.min-visible or "
    "--image-size",
    "wh": "sizes are off; try more anchors (--model.anchors-per-grid 2) or a deeper --model",
    "xy": "places are off; try a smaller stride (--model.strides 8) or a lower --optim.lr",
}


def dominant_term(terms: Mapping[str, float]) -> tuple[str, str]:
    """The largest term and what to try against it."""
    term = max(terms, key=lambda name: terms[name])
    return term, _HINTS.get(term, "try a lower --optim.lr")
