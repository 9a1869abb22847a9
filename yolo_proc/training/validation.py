"""The loss on images never trained on: for the validation stream, and for tries at the target."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import nn

from yolo_proc.batch import Batch
from yolo_proc.task import Task
from yolo_proc.training.stopping import Estimate, estimate_loss

# Images a group: small enough for many groups, so that the bound is tight; large enough for a quick forward pass.
VALIDATION_BATCH = 20


@dataclass(frozen=True)
class Measured:
    """Figures of a model on some images.

    Attributes:
        loss: weighted, with its standard error.
        figures: what people read besides, by name: (sum, count).
    """

    loss: Estimate
    figures: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@torch.inference_mode()
def measure(model: nn.Module, task: Task, groups: Iterable[Batch], device: torch.device) -> Measured:
    """Return the weighted loss, and the figures, of a model in evaluation mode and float32, as it is shipped.

    Args:
        groups: each batch is a group of the standard error.
    """
    assert not model.training
    rows_of_sums, rows_of_counts = [], []
    figures: dict[str, tuple[float, float]] = defaultdict(lambda: (0.0, 0.0))
    for batch in groups:
        targets, _ = task.targets(batch, device)
        logits = model(batch.images.to(device))
        terms = task.loss(logits, targets)
        rows_of_sums.append([float(terms[name][0]) for name in task.terms])
        rows_of_counts.append([float(terms[name][1]) for name in task.terms])
        for name, (total, count) in task.figures(logits, targets).items():
            figures[name] = (figures[name][0] + float(total), figures[name][1] + float(count))
    loss = estimate_loss(rows_of_sums, rows_of_counts, [task.weights[name] for name in task.terms])
    return Measured(loss, dict(figures))


def means_of(figures: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    """Return {figure: sum / count}; 0 where nothing was counted."""
    return {name: total / count if count else 0.0 for name, (total, count) in figures.items()}


def measure_loss(model: nn.Module, task: Task, groups: Iterable[Batch], device: torch.device) -> Estimate:
    """Return the loss alone; see `measure`."""
    return measure(model, task, groups, device).loss
