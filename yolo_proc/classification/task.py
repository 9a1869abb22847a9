"""Classification as a task: one class for the whole image, cross-entropy of its logits."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from yolo_proc.batch import Batch
from yolo_proc.classification.heads import ClassificationHead
from yolo_proc.classification.labels import IGNORED, image_classes
from yolo_proc.classification.metrics import fit_temperature, margins_of
from yolo_proc.config.schema import Config, LabelConfig, LossConfig
from yolo_proc.config.validation import require_multiple
from yolo_proc.errors import ConfigError
from yolo_proc.task import Calibration, Head, Sample, Sums

STRIDE = 32  # of the feature map that is pooled


class ImageClasses(NamedTuple):
    """The targets of a batch.

    Attributes:
        class_ids: (B,) int64, -1 for an image that no loss speaks of.
    """

    class_ids: Tensor

    @property
    def known(self) -> Tensor:
        """(B,) bool: the images that count."""
        return self.class_ids != IGNORED


class ClassificationTask:
    """The class of an image. See `task.Task` for what the methods promise.

    Args:
        classes: names by class index.
        frame: (width, height) of the network's images, multiples of 32.
        limits: what is a label, for images that are known by their only object.
        loss: weight of the term.
    """

    name: ClassVar[str] = "classification"
    terms: ClassVar[Sequence[str]] = ("class",)
    options: ClassVar[frozenset[str]] = frozenset()

    def __init__(
        self,
        classes: Sequence[str],
        frame: tuple[int, int],
        limits: LabelConfig | None = None,
        loss: LossConfig | None = None,
    ) -> None:
        if len(classes) < 2:
            raise ConfigError(
                f"task: classification tells at least 2 classes apart, found {len(classes)}; give the generator more"
            )
        if frame[0] % STRIDE or frame[1] % STRIDE or min(frame) < STRIDE:
            raise ConfigError(f"frame: expected multiples of {STRIDE}, found {frame[0]}x{frame[1]}; choose another")
        self.classes = tuple(classes)
        self._frame = frame
        self.limits = limits or LabelConfig()
        self.loss_config = loss or LossConfig()
        self.weights: Mapping[str, float] = {"class": self.loss_config.weight_class}

    @classmethod
    def check_config(cls, config: Config) -> Sequence[int]:
        """See `Task`."""
        require_multiple(config.image_size, STRIDE)
        return (STRIDE,)

    @classmethod
    def begin(cls, config: Config, classes: tuple[str, ...], sample: Sample) -> Self:  # noqa: ARG003 nothing is sought
        """See `Task`."""
        return cls(classes, (config.image_size, config.image_size), config.labels, config.loss)

    @classmethod
    def restore(cls, state: Mapping[str, Any], config: Config | None = None) -> Self:
        """See `Task`."""
        side = state["image_size"]
        if config is None:
            return cls(state["classes"], (side, side))
        return cls(state["classes"], (side, side), config.labels, config.loss)

    @property
    def frame(self) -> tuple[int, int]:
        """See `Task`."""
        return self._frame

    @property
    def strides(self) -> tuple[int, ...]:
        """See `Task`."""
        return (STRIDE,)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """(C,)."""
        return (len(self.classes),)

    @property
    def summary(self) -> str:
        """See `Task`."""
        return f"Classes: {len(self.classes)}"

    def state_dict(self) -> dict[str, Any]:
        """See `Task`: the classes and the image size say all."""
        return {}

    def resized(self, width: int, height: int) -> Self:
        """See `Task`."""
        if width % STRIDE or height % STRIDE or min(width, height) < STRIDE:
            near = "x".join(str(max(round(side / STRIDE), 1) * STRIDE) for side in (width, height))
            raise ConfigError(
                f"input-size: expected multiples of the stride {STRIDE}, found {width}x{height}; the nearest is {near}"
            )
        return type(self)(self.classes, (width, height), self.limits, self.loss_config)

    def head(self, channels: Sequence[int], *, dense: bool = False) -> Head:
        """See `Task`."""
        width, height = self.frame
        cells = (width // STRIDE) * (height // STRIDE) if dense else None
        return ClassificationHead(channels[0], len(self.classes), cells)

    def auxiliary_head(self, channels: Sequence[int]) -> nn.Module | None:  # noqa: ARG002 there is none
        """See `Task`: every image teaches its class already."""
        return None

    def labels_in(self, batch: Batch) -> int:
        """See `Task`: one an image."""
        return len(batch)

    def targets(self, batch: Batch, device: torch.device) -> tuple[Any, Mapping[str, int]]:
        """See `Task`."""
        classes, dropped = image_classes(batch, self.limits, len(self.classes))
        return ImageClasses(torch.from_numpy(classes).to(device)), dropped

    def loss(self, logits: Tensor, targets: Any) -> Sums:
        """See `Task`: cross-entropy over the images that count."""
        values = _cross_entropy(logits, targets)
        return {"class": (values.sum(), values.new_full((), len(values)))}

    def auxiliary_loss(self, logits: Tensor, values: Tensor | None, targets: Any) -> Tensor:  # noqa: ARG002 none
        """See `Task`: nothing."""
        return logits.new_zeros(())

    def figures(self, logits: Tensor, targets: Any) -> Sums:
        """See `Task`: accuracy, and the margin: how far each image is from being wrong, or right."""
        known = targets.known
        margins = margins_of(logits[known].float(), targets.class_ids[known])
        count = margins.new_full((), len(margins))
        return {"accuracy": ((margins > 0).float().sum(), count), "margin": (margins.sum(), count)}

    def blame(self, logits: Tensor, targets: Any) -> Sequence[tuple[str, int]]:
        """See `Task`."""
        images = torch.nonzero(targets.known).flatten()
        wrong = images[~_cross_entropy(logits, targets).isfinite()]
        return [("class", image) for image in wrong.tolist()]

    def hint(self, term: str) -> str:  # noqa: ARG002 there is one
        """See `Task`."""
        return "are the classes told apart by what is drawn? try a wider or deeper --model, or less augmentation"

    def fit_calibration(self, outputs: Iterable[tuple[NDArray[np.float32], Batch]]) -> Calibration:
        """See `Task`: one temperature for all classes."""
        pairs = ((logits, image_classes(batch, self.limits, len(self.classes))[0]) for logits, batch in outputs)
        return fit_temperature(pairs), 0.0


def _cross_entropy(logits: Tensor, targets: ImageClasses) -> Tensor:
    """Return (N,) of the images that count; float32, or float64 for logits in float64."""
    known = targets.known
    with torch.autocast(logits.device.type, enabled=False):
        logits = logits if logits.dtype == torch.float64 else logits.float()
        return F.cross_entropy(logits[known], targets.class_ids[known], reduction="none")
