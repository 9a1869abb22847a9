"""One training step: the only place where weights change.

The loop, the timing of precisions and the checks share it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from yolo_proc.batch import Batch
from yolo_proc.errors import TrainingError
from yolo_proc.task import Sums, Task, mean_terms, total
from yolo_proc.training.optim import set_lr
from yolo_proc.training.state import TrainingState


class Network(Protocol):
    """The network that is trained: a `models.network.Network`, whole or in replicas."""

    def with_auxiliary(self, images: Tensor, /) -> tuple[Tensor, Tensor | None]:
        """Return uint8 RGB (B, H, W, 3) -> raw logits (B, ...), and what the auxiliary head says if there is one."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """Return all that is trained."""


@dataclass(frozen=True)
class StepResult:
    """Measurements of a step, on images not trained on before.

    Attributes:
        loss: the weighted total, before the update.
        sums, counts: of each term of the task, in its order.
        figures: what people read besides (accuracy), by name as (sum, count).
        grad_norm: global norm of the gradients before clipping.
        clipped: whether the norm was above the limit.
    """

    loss: float
    sums: Sequence[float]
    counts: Sequence[float]
    grad_norm: float
    clipped: bool
    figures: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def training_step(
    state: TrainingState, task: Task, batch: Batch, device: torch.device
) -> tuple[StepResult, Mapping[str, int]]:
    """Set the rate, make targets, update the weights, average them, count the step.

    Returns:
        What the step measured, and how many objects are no label, by reason.

    Raises:
        TrainingError: labels that break their contract, a loss or a gradient that is not finite; no weight was changed.
    """
    set_lr(state.optimizer, state.schedule.lr(state.step))
    targets, dropped = task.targets(batch, device)
    result = update_weights(
        state.network,
        state.optimizer,
        task,
        batch.images.to(device, non_blocking=True),
        targets,
        clip_norm=state.config.optim.clip_norm,
        autocast=autocast_dtype(state.precision),
    )
    state.ema.update()
    state.step += 1
    return result, dropped


def autocast_dtype(precision: str) -> torch.dtype | None:
    """Return the dtype for `torch.autocast`, None for float32."""
    return torch.bfloat16 if precision == "bf16" else None


def update_weights(
    model: Network,
    optimizer: torch.optim.Optimizer,
    task: Task,
    images: Tensor,
    targets: Any,
    *,
    clip_norm: float,
    autocast: torch.dtype | None,
) -> StepResult:
    """Do one step: forward, loss, backward, clipped gradients, update. The auxiliary loss is learned on the way.

    Args:
        images: (B, H, W, 3) uint8 on the model's device.
        targets: as `task.targets` gives them, on the same device.
        clip_norm: largest global norm of the gradients (not of the loss); 0 for no limit.
        autocast: the dtype of the network's arithmetic, None for float32; the loss is float32 always.

    Raises:
        TrainingError: a loss or gradient that is not finite; no weight was changed.
    """
    objective, loss, terms, logits = forward_objective(model, task, images, targets, autocast=autocast)
    if not torch.isfinite(objective):
        raise NotFiniteError("loss", task.blame(logits.detach(), targets))
    optimizer.zero_grad(set_to_none=True)
    objective.backward()  # type: ignore[no-untyped-call]
    norm = nn.utils.clip_grad_norm_(model.parameters(), clip_norm if clip_norm > 0 else float("inf"))
    if not torch.isfinite(norm):
        raise NotFiniteError("gradient", task.blame(logits.detach(), targets))
    optimizer.step()
    figures = task.figures(logits.detach(), targets)
    pairs = [*terms.values(), *figures.values()]
    measured = torch.stack([loss.detach(), norm, *(part.detach().float() for pair in pairs for part in pair)])
    value, grad_norm, *values = measured.tolist()  # not one wait for the device a term
    sums, counts = values[0::2], values[1::2]
    count = len(terms)
    told = dict(zip(figures, zip(sums[count:], counts[count:], strict=True), strict=True))
    return StepResult(value, sums[:count], counts[:count], grad_norm, 0 < clip_norm < grad_norm, told)


def forward_loss(
    model: nn.Module, task: Task, images: Tensor, targets: Any, *, autocast: torch.dtype | None
) -> tuple[Tensor, Sums, Tensor]:
    """Return the loss: a scalar, its terms as (sum, count), and the raw logits (B, ...) in float32."""
    with torch.autocast(images.device.type, dtype=autocast, enabled=autocast is not None):
        logits = model(images)  # (B, ...)
    logits = logits.float()
    terms = task.loss(logits, targets)
    return total(mean_terms(terms), task.weights), terms, logits


def forward_objective(
    model: Network, task: Task, images: Tensor, targets: Any, *, autocast: torch.dtype | None
) -> tuple[Tensor, Tensor, Sums, Tensor]:
    """Return what training minimises, the loss and the auxiliary loss; then what `forward_loss` gives."""
    with torch.autocast(images.device.type, dtype=autocast, enabled=autocast is not None):
        logits, values = model.with_auxiliary(images)  # of detection (B, S, 5 + C), (B, M, 4)
    logits = logits.float()
    terms = task.loss(logits, targets)
    loss = total(mean_terms(terms), task.weights)
    return loss + task.auxiliary_loss(logits, values, targets), loss, terms, logits


class NotFiniteError(TrainingError):
    """A loss or gradient that is not finite, before any weight was changed.

    Attributes:
        what: "loss" or "gradient".
        blamed: (term, image of the batch) pairs; empty where the loss itself was finite.
    """

    def __init__(self, what: str, blamed: Sequence[tuple[str, int]]) -> None:
        super().__init__(f"the {what} is not finite")
        self.what = what
        self.blamed = tuple(blamed)
