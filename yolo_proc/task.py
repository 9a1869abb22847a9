"""The contract of a task: what the training loop, the networks and the checkpoints know of what is learned.

Detection is one task, classification another; a task of your own is a class with these members, named to
`models.tasks.register_task`. The loop draws a batch, asks the task for targets and for the terms of a loss, and knows
neither boxes nor classes of images.

Letters of the shapes: B images of a batch, H x W pixels, K channels of a feature map.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from yolo_proc.batch import Batch
from yolo_proc.config.schema import Config

Sums = Mapping[str, tuple[Tensor, Tensor]]  # name: (sum, count), two scalars; one function divides
Sample = Callable[[int], Iterator[Batch]]  # batches with so many scenes in all
Calibration = tuple[float, float]  # a confidence's logit becomes scale * logit + bias


class Head(nn.Module, ABC):
    """The last layers of a network: feature maps to raw logits.

    Attributes:
        layers: the last ones, whose outputs are logits.
        resizable: whether it takes feature maps of any size.
    """

    layers: nn.ModuleList
    resizable: bool = True

    @abstractmethod
    def forward(self, features: list[Tensor]) -> Tensor:
        """Return for each stride of the task a map (B, K, rows, columns) -> raw logits (B, ...)."""

    @abstractmethod
    def initialise(self) -> None:
        """Give the weights their first values. All chance comes from torch's generator."""

    @abstractmethod
    def calibrate(self, scale: float, bias: float) -> None:
        """Fold scale * logit + bias of the confidence into the last layer."""


class Task(Protocol):
    """A kind of thing to learn.

    Attributes:
        name: of `--task`, and in checkpoints.
        terms: names of the loss's terms, in order.
        options: flat names of the options that this task alone reads, such as `loss.weight-wh`. Another task
            refuses them.
        classes: names by class index.
        frame: (width, height) of the network's images, pixels.
        strides: of the feature maps that the head reads, ascending.
        weights: of the terms; the loss is exactly their weighted sum.
    """

    name: ClassVar[str]
    terms: ClassVar[Sequence[str]]
    options: ClassVar[frozenset[str]]
    classes: tuple[str, ...]
    weights: Mapping[str, float]

    @classmethod
    def check_config(cls, config: Config) -> Sequence[int]:
        """Return the strides of the feature maps that the head will read.

        Raises:
            ConfigError: options that do not fit the task; what only its scenes can tell, `begin` says.
        """

    @classmethod
    def begin(cls, config: Config, classes: tuple[str, ...], sample: Sample) -> Self:
        """Return the task of a new run; what is found among scenes (anchors) is found in what `sample` gives.

        Raises:
            UserError: options or scenes that do not fit the task.
        """

    @classmethod
    def restore(cls, state: Mapping[str, Any], config: Config | None = None) -> Self:
        """Return the task of a checkpoint.

        Args:
            state: has what `state_dict` gave, "classes" and "image_size".
            config: of the run, where it goes on; None where the network is only used.

        Raises:
            UserError: they do not fit each other.
        """

    @property
    def frame(self) -> tuple[int, int]:
        """Width and height of the network's images, pixels."""

    @property
    def strides(self) -> tuple[int, ...]:
        """The strides of the feature maps that the head reads, ascending."""

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Of one image's raw logits."""

    @property
    def summary(self) -> str:
        """The content of the output, in words: `Slots: 256`."""

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint stores of the task besides its name and classes: plain values."""

    def resized(self, width: int, height: int) -> Self:
        """Return the same task for images of another size.

        Raises:
            ConfigError: a side that does not suit the strides.
        """

    def head(self, channels: Sequence[int], *, dense: bool = False) -> Head:
        """Build the head.

        Args:
            channels: K of the map of each stride.
            dense: fully connected to the whole map, as the original network is.
        """

    def auxiliary_head(self, channels: Sequence[int]) -> nn.Module | None:
        """Build what training alone asks of the same feature maps; None where there is nothing."""

    def labels_in(self, batch: Batch) -> int:
        """Return how many things of a batch could be labels: objects, or images."""

    def targets(self, batch: Batch, device: torch.device) -> tuple[Any, Mapping[str, int]]:
        """Return a batch's targets on the device, and how many objects are no label, by reason.

        Raises:
            LabelError: labels that break their contract.
        """

    def loss(self, logits: Tensor, targets: Any) -> Sums:
        """Return for each term its sum and how many values the sum is over."""

    def auxiliary_loss(self, logits: Tensor, values: Tensor | None, targets: Any) -> Tensor:
        """Return what training minimises besides the loss, a scalar.

        Args:
            values: of the auxiliary head, None without one.
        """

    def figures(self, logits: Tensor, targets: Any) -> Sums:
        """Return what people read besides the loss (accuracy), each as sum and count; empty where there is nothing."""

    def blame(self, logits: Tensor, targets: Any) -> Sequence[tuple[str, int]]:
        """Return the terms, and the images of the batch, that made a loss not finite."""

    def hint(self, term: str) -> str:
        """Return what to try where this term is the largest and falls no more."""

    def fit_calibration(self, outputs: Iterable[tuple[NDArray[np.float32], Batch]]) -> Calibration:
        """Return scale and bias that make the confidence a probability.

        Args:
            outputs: raw logits (B, ...) of a network that is not calibrated, with their batches.
        """


def mean_terms(sums_and_counts: Mapping[str, tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    """Return {term: sum / count}, 0 where the count is 0.

    Sums and counts travel and this alone divides: several processes then give the same loss as one.
    """
    return {term: total / count.clamp(min=1) for term, (total, count) in sums_and_counts.items()}


def total(means: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """Return the scalar loss: exactly the weighted sum of the terms, added in the order of `weights`."""
    first, *others = (weight * means[term] for term, weight in weights.items())
    for other in others:
        first = first + other
    return first
