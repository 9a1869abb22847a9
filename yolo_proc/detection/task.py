"""What the training loop knows of its task: labels to targets, outputs and targets to terms of a loss.

Detection is one task; another (classification) gives the same four things and trains in the same loop.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from yolo_proc.batch import Batch
from yolo_proc.config.schema import LabelConfig, LossConfig
from yolo_proc.detection.codec import LabelCodec
from yolo_proc.detection.label_checks import require_sound_labels, require_sound_targets
from yolo_proc.detection.loss import TERMS, auxiliary_loss, blame, detection_terms, overlap_loss, term_weights


class Task(Protocol):
    """The border between the loop and what is learned."""

    terms: Sequence[str]
    weights: Mapping[str, float]

    def targets(self, batch: Batch, device: torch.device) -> tuple[Any, Mapping[str, int]]:
        """A batch's targets on the device, and how many objects are no label, by reason.

        Raises:
            LabelError: labels that break their contract.
        """

    def loss(self, outputs: Tensor, targets: Any) -> Mapping[str, tuple[Tensor, Tensor]]:
        """For each term its sum and how many values the sum is over, as scalars."""

    def beside(self, outputs: Tensor, values: Tensor | None, targets: Any) -> Tensor:
        """What training minimises beside the loss, a scalar; `values` are of the network's auxiliary output."""

    def blame(self, outputs: Tensor, targets: Any) -> Sequence[tuple[str, int]]:
        """For a loss that is not finite: the terms, and the images of the batch that made them so."""


class DetectionTask:
    """Objects in slots, and the loss of `loss.py`."""

    terms: Sequence[str] = TERMS

    def __init__(self, codec: LabelCodec, limits: LabelConfig, loss: LossConfig) -> None:
        self.codec = codec
        self.limits = limits
        self.weights: Mapping[str, float] = term_weights(loss)
        self.weight_overlap = loss.weight_overlap
        self.weight_auxiliary = loss.weight_auxiliary

    def targets(self, batch: Batch, device: torch.device) -> tuple[Any, Mapping[str, int]]:
        """See `Task`."""
        require_sound_labels(batch, self.codec.class_count)
        assigned = self.codec.assign(batch, self.limits)
        require_sound_targets(batch, assigned, self.codec.slots, self.codec.class_count)
        return assigned.to(device), assigned.dropped

    def loss(self, outputs: Tensor, targets: Any) -> Mapping[str, tuple[Tensor, Tensor]]:
        """See `Task`."""
        return detection_terms(outputs, targets)

    def beside(self, outputs: Tensor, values: Tensor | None, targets: Any) -> Tensor:
        """See `Task`."""
        whole = outputs.new_zeros(())
        if self.weight_overlap:
            whole = whole + self.weight_overlap * overlap_loss(outputs, targets)
        if self.weight_auxiliary and values is not None:
            whole = whole + self.weight_auxiliary * auxiliary_loss(values.float(), targets, self.codec.grids)
        return whole

    def blame(self, outputs: Tensor, targets: Any) -> Sequence[tuple[str, int]]:
        """See `Task`."""
        return blame(outputs, targets)
