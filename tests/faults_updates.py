"""Faults in the size of updates, in units and in memory."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from faults import Fault
from faults_loss import with_model
from faults_optimisation import configured_rate, with_optim, with_state
from torch import Tensor, nn

from yolo_proc.batch import Batch
from yolo_proc.checks.bench import Bench
from yolo_proc.detection.codec import LabelCodec
from yolo_proc.detection.grids import grids_for
from yolo_proc.detection.task import DetectionTask
from yolo_proc.models.backbones.small import Small
from yolo_proc.models.network import Yolo
from yolo_proc.training.state import TrainingState
from yolo_proc.training.step import StepResult, forward_loss, training_step


def freeze(model: Yolo, share: float) -> None:
    """The first layers of the backbone are not trained."""
    filters = [parameter for parameter in model.backbone.parameters() if parameter.ndim > 1]
    for parameter in filters[: max(1, round(share * len(filters)))]:
        parameter.requires_grad_(False)


def forget_filters(state: TrainingState) -> None:
    """The optimizer has been given half of the filters."""
    group = state.optimizer.param_groups[0]
    group["params"] = group["params"][::2]


@torch.no_grad()
def scale_filters(model: Yolo, factor: float) -> None:
    for parameter in model.backbone.parameters():
        if parameter.ndim > 1:
            parameter *= factor


def _first_activation(model: Yolo) -> nn.Sequential:
    return model.backbone.stem if isinstance(model.backbone, Small) else model.backbone.layers[0]


@torch.no_grad()
def kill(model: Yolo, share: float) -> None:
    """A share of the first layer's units is far below zero."""
    bias = _first_activation(model)[1].bias
    bias[: round(share * len(bias))] = -100.0


@torch.no_grad()
def saturate(model: Yolo, share: float) -> None:
    """A share of the first layer's units is far above what its activation can say."""
    layer = _first_activation(model)
    layer[2] = nn.Tanh()
    bias = layer[1].bias
    bias[: round(share * len(bias))] = 100.0


class Keeping:
    """A step that keeps the loss with its history, of every `every`th step."""

    def __init__(self, every: int) -> None:
        self.every = every
        self.losses: list[Tensor] = []

    def __call__(
        self, state: TrainingState, task: DetectionTask, batch: Batch, device: torch.device
    ) -> tuple[StepResult, Mapping[str, int]]:
        if state.step % self.every == 0:
            targets = task.targets(batch, device)[0]
            self.losses.append(forward_loss(state.model, task, batch.images, targets, autocast=None)[0])
        return training_step(state, task, batch, device)


UPDATE_FAULTS = (
    Fault(
        "learning rate x",
        "updates",
        "rate is too high",
        configured_rate,
        sizes=(2, 5, 10, 30, 100),
        must=100,
        unit="x the default",
    ),
    Fault(
        "learning rate /",
        "updates",
        "rate is too low",
        lambda bench, size: configured_rate(bench, 1 / size),
        sizes=(2, 5, 10, 30, 100),
        must=100,
        unit="times lower than the default",
    ),
    Fault(
        "AdamW's learning rate x",
        "updates",
        "rate is too high",
        lambda bench, size: configured_rate(with_optim(bench, name="adamw"), size),
        sizes=(2, 5, 10, 30, 100),
        must=100,
        unit="x the default",
    ),
    Fault(
        "AdamW's learning rate /",
        "updates",
        "rate is too low",
        lambda bench, size: configured_rate(with_optim(bench, name="adamw"), 1 / size),
        sizes=(2, 5, 10, 30, 100),
        must=100,
        unit="times lower than the default",
    ),
    Fault(
        "SGD's learning rate x",
        "updates",
        "rate is too high",
        lambda bench, size: configured_rate(with_optim(bench, name="sgd"), size),
        sizes=(2, 5, 10, 30, 100),
        must=100,
        unit="x the default",
    ),
    Fault(
        "SGD's learning rate /",
        "updates",
        "rate is too low",
        lambda bench, size: configured_rate(with_optim(bench, name="sgd"), 1 / size),
        sizes=(2, 5, 10, 30, 100),
        must=100,
        unit="times lower than the default",
    ),
    Fault(
        "frozen backbone",
        "updates",
        "stand still (backbone.stem",
        lambda bench, size: with_model(bench, lambda model: freeze(model, size)),
        sizes=(0.01, 0.5, 1),
        must=0.01,
        unit="of its layers, one at least",
    ),
    Fault(
        "layers that the optimizer was not given",
        "updates",
        "stand still",
        lambda bench, _: with_state(bench, forget_filters),
    ),
    Fault(
        "weights that start too large",
        "updates",
        "weights start",
        lambda bench, size: with_model(bench, lambda model: scale_filters(model, size)),
        sizes=(10, 30, 100),
        must=100,
        unit="x",
    ),
    Fault(
        "dead units",
        "updates",
        "dead of",
        lambda bench, size: with_model(bench, lambda model: kill(model, size)),
        sizes=(0.25, 0.5, 0.75, 1),
        must=0.75,
        unit="of the units of one layer",
    ),
    Fault(
        "saturated units",
        "updates",
        "saturated of",
        lambda bench, size: with_model(bench, lambda model: saturate(model, size)),
        sizes=(0.25, 0.5, 0.75, 1),
        must=0.75,
        unit="of the units of one layer",
    ),
    # ---- memory
    Fault(
        "a batch that does not fit",
        "memory",
        "batch is too large",
        lambda bench, _: Bench(
            replace(bench.config, batch_size=65536, image_size=256),
            bench.parts,
            task=DetectionTask(LabelCodec(grids_for(256, 256, [16], [(60.0, 60.0)]), bench.codec.class_count)),
            precision=bench.precision,
        ),
    ),
    Fault(
        "the graph of each step kept",
        "memory",
        "memory grows",
        lambda bench, size: bench.with_parts(learn=Keeping(round(1 / size))),
        sizes=(0.125, 0.5, 1),
        must=1,
        unit="of the steps",
    ),
)
