"""The loss on images never trained on: for the validation stream, and for tries at the target."""

from collections.abc import Iterable

import torch
from torch import nn

from yolo_proc.batch import Batch
from yolo_proc.detection.task import Task
from yolo_proc.training.stopping import Estimate, estimate_loss

# Images a group: small enough for many groups, so that the bound is tight; large enough for a quick forward pass.
JUDGE_BATCH = 20


@torch.inference_mode()
def measure_loss(model: nn.Module, task: Task, groups: Iterable[Batch], device: torch.device) -> Estimate:
    """The weighted loss of a model in evaluation mode and float32, as it is shipped; each batch is a group."""
    assert not model.training
    rows_of_sums, rows_of_counts = [], []
    for batch in groups:
        targets, _ = task.targets(batch, device)
        terms = task.loss(model(batch.images.to(device)), targets)
        rows_of_sums.append([float(terms[name][0]) for name in task.terms])
        rows_of_counts.append([float(terms[name][1]) for name in task.terms])
    return estimate_loss(rows_of_sums, rows_of_counts, [task.weights[name] for name in task.terms])
