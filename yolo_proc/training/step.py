"""One training step: the only place where weights change."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from yolo_proc.detection.loss import mean_terms, total
from yolo_proc.detection.task import Task
from yolo_proc.errors import TrainingError

Terms = Mapping[str, tuple[Tensor, Tensor]]


class Network(Protocol):
    """What is trained: `model.Yolo`, whole or in parts."""

    def with_auxiliary(self, images: Tensor, /) -> tuple[Tensor, Tensor | None]:
        """uint8 RGB (B, H, W, 3) -> raw logits (B, S, 5 + C), and the auxiliary output if there is one."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """All that is trained."""


@dataclass(frozen=True)
class StepResult:
    """What a step measured, on images not trained on before.

    Attributes:
        loss: the weighted total, before the update.
        sums, counts: of each term of the task, in its order.
        grad_norm: global norm of the gradients before clipping.
        clipped: whether the norm was above the limit.
    """

    loss: float
    sums: Sequence[float]
    counts: Sequence[float]
    grad_norm: float
    clipped: bool


def train_step(
    model: Network,
    optimizer: torch.optim.Optimizer,
    task: Task,
    images: Tensor,
    targets: Any,
    *,
    clip_norm: float,
    autocast: torch.dtype | None,
) -> StepResult:
    """Forward, loss, backward, clipped gradients, update. What stands beside the loss is learned on the way.

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
    measured = torch.stack([loss.detach(), norm, *(part.detach().float() for pair in terms.values() for part in pair)])
    value, grad_norm, *values = measured.tolist()  # not one wait for the device a term
    return StepResult(value, values[0::2], values[1::2], grad_norm, 0 < clip_norm < grad_norm)


def forward_loss(
    model: nn.Module, task: Task, images: Tensor, targets: Any, *, autocast: torch.dtype | None
) -> tuple[Tensor, Terms, Tensor]:
    """The loss: a scalar, its terms as (sum, count), and the raw logits (B, S, 5 + C) in float32."""
    with torch.autocast(images.device.type, dtype=autocast, enabled=autocast is not None):
        logits = model(images)  # (B, S, 5 + C)
    logits = logits.float()
    terms = task.loss(logits, targets)
    return total(mean_terms(terms), task.weights), terms, logits


def forward_objective(
    model: Network, task: Task, images: Tensor, targets: Any, *, autocast: torch.dtype | None
) -> tuple[Tensor, Tensor, Terms, Tensor]:
    """What training minimises, the loss and what stands beside it; then what `forward_loss` gives."""
    with torch.autocast(images.device.type, dtype=autocast, enabled=autocast is not None):
        logits, values = model.with_auxiliary(images)  # (B, S, 5 + C), (B, M, 4)
    logits = logits.float()
    terms = task.loss(logits, targets)
    loss = total(mean_terms(terms), task.weights)
    return loss + task.beside(logits, values, targets), loss, terms, logits


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
