"""Detection as a task: objects in slots, and the loss of `loss.py`."""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from yolo_proc.batch import Batch
from yolo_proc.boxes import FloatArray
from yolo_proc.config.options import shown
from yolo_proc.config.schema import Config, LabelConfig, LossConfig
from yolo_proc.config.validation import require_multiple
from yolo_proc.config.values import parse_anchors, value_text
from yolo_proc.detection.calibration import fit_calibration
from yolo_proc.detection.codec import LabelCodec
from yolo_proc.detection.grids import Grid, grids_for, grids_over, kmeans_anchors
from yolo_proc.detection.heads import AuxiliaryHead, DenseDetectionHead, DetectionHead, SlotHead
from yolo_proc.detection.label_checks import require_sound_labels, require_sound_targets
from yolo_proc.detection.loss import TERMS, auxiliary_loss, blame, detection_terms, overlap_loss, term_weights
from yolo_proc.errors import CheckpointError, GeneratorError, OptionError
from yolo_proc.rng import rng_for
from yolo_proc.scene import label_state_codes
from yolo_proc.task import Calibration, Sample, Sums

_HINTS = {
    "class": "are the classes told apart by what is drawn? try a wider or deeper --model, or less augmentation",
    "obj_f": "boxes are seen where there are none; try a smaller stride (--model.strides 8), or a deeper --model",
    "obj_t": "objects are missed; look at preview.png for hidden or tiny ones, raise --labels.min-visible or "
    "--image-size",
    "wh": "sizes are off; try more anchors (--model.anchors-per-grid 2) or a deeper --model",
    "xy": "places are off; try a smaller stride (--model.strides 8) or a lower --optim.lr",
}


class DetectionTask:
    """Objects as boxes. See `task.Task` for what the methods promise.

    Args:
        codec: grids, anchors and number of classes.
        limits: what is a label.
        loss: weights of the terms.
        classes: names by class index; numbers where none are given.
    """

    name: ClassVar[str] = "detection"
    terms: ClassVar[Sequence[str]] = TERMS
    options: ClassVar[frozenset[str]] = frozenset(
        {"model.strides", "model.anchors", "model.anchors-per-grid", "model.anchor-scenes"}
        | {f"loss.weight-{term}" for term in ("obj-f", "obj-t", "wh", "xy", "overlap", "auxiliary")}
    )

    def __init__(
        self,
        codec: LabelCodec,
        limits: LabelConfig | None = None,
        loss: LossConfig | None = None,
        classes: Sequence[str] | None = None,
    ) -> None:
        self.codec = codec
        self.limits = limits or LabelConfig()
        self.loss_config = loss or LossConfig()
        self.classes = tuple(map(str, range(codec.class_count))) if classes is None else tuple(classes)
        assert len(self.classes) == codec.class_count, (self.classes, codec.class_count)
        self.weights: Mapping[str, float] = term_weights(self.loss_config)

    @classmethod
    def check_config(cls, config: Config) -> Sequence[int]:
        """See `Task`."""
        model, side = config.model, config.image_size
        strides = model.strides
        if not strides or any(a >= b for a, b in itertools.pairwise(strides)):
            raise OptionError(
                "model.strides", f"expected distinct strides in ascending order, found {value_text(strides)}"
            )
        if any(stride & (stride - 1) for stride in strides):
            raise OptionError("model.strides", f"expected powers of two, found {value_text(strides)}")
        require_multiple(side, strides[-1])
        sizes = parse_anchors(model.anchors)
        if sizes is not None and max(max(size) for size in sizes) > side:
            raise OptionError(
                "model.anchors",
                f"expected sizes of at most the picture's side {side}, found {shown(model.anchors)}; give smaller "
                "ones, `auto`, or a larger --image-size",
            )
        if sizes is not None and len(sizes) < len(strides):
            raise OptionError(
                "model.anchors",
                f"expected at least one size a grid, {len(strides)} grids, found {len(sizes)}: {shown(model.anchors)}",
            )
        return strides

    @classmethod
    def begin(cls, config: Config, classes: tuple[str, ...], sample: Sample) -> Self:
        """See `Task`. Anchors that are to be found are found among the labels of a few thousand scenes.

        Raises:
            GeneratorError: scenes without a label.
        """
        side, strides = config.image_size, config.model.strides
        grids = grids_for(side, side, strides, _anchors(config, sample))
        return cls(LabelCodec(grids, len(classes)), config.labels, config.loss, classes)

    @classmethod
    def restore(cls, state: Mapping[str, Any], config: Config | None = None) -> Self:
        """See `Task`.

        Raises:
            CheckpointError: other grids than the run's options say.
        """
        grids = tuple(Grid.from_dict(grid) for grid in state["grids"])
        codec = LabelCodec(grids, len(state["classes"]))
        if config is None:
            return cls(codec, classes=state["classes"])
        side, strides = config.image_size, config.model.strides
        if codec.frame != (side, side) or tuple(grid.stride for grid in grids) != strides:
            raise CheckpointError(
                f"grids: expected strides {value_text(strides)} over {side} x {side} pixels, found others; use a "
                "checkpoint that yolo_proc wrote"
            )
        return cls(codec, config.labels, config.loss, state["classes"])

    @property
    def frame(self) -> tuple[int, int]:
        """See `Task`."""
        return self.codec.frame

    @property
    def strides(self) -> tuple[int, ...]:
        """See `Task`."""
        return tuple(grid.stride for grid in self.codec.grids)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """(S, 5 + C)."""
        return self.codec.slots, self.codec.fields

    @property
    def summary(self) -> str:
        """See `Task`."""
        return f"Slots: {self.codec.slots}"

    def state_dict(self) -> dict[str, Any]:
        """See `Task`."""
        return {"grids": [grid.to_dict() for grid in self.codec.grids]}

    def resized(self, width: int, height: int) -> Self:
        """See `Task`."""
        codec = LabelCodec(grids_over(self.codec.grids, width, height), self.codec.class_count)
        return type(self)(codec, self.limits, self.loss_config, self.classes)

    def head(self, channels: Sequence[int], *, dense: bool = False) -> SlotHead:
        """See `Task`."""
        bias = constant_object_logit(self.loss_config)
        if dense:
            return DenseDetectionHead(channels[0], self.codec, bias)
        return DetectionHead(channels, self.codec, bias)

    def auxiliary_head(self, channels: Sequence[int]) -> nn.Module | None:
        """See `Task`."""
        return AuxiliaryHead(channels)

    def labels_in(self, batch: Batch) -> int:
        """See `Task`: the objects."""
        return len(batch.class_ids)

    def targets(self, batch: Batch, device: torch.device) -> tuple[Any, Mapping[str, int]]:
        """See `Task`."""
        require_sound_labels(batch, self.codec.class_count)
        assigned = self.codec.assign(batch, self.limits)
        require_sound_targets(batch, assigned, self.codec.slots, self.codec.class_count)
        return assigned.to(device), assigned.dropped

    def loss(self, logits: Tensor, targets: Any) -> Sums:
        """See `Task`."""
        return detection_terms(logits, targets)

    def auxiliary_loss(self, logits: Tensor, values: Tensor | None, targets: Any) -> Tensor:
        """See `Task`: the overlap of boxes, and what the auxiliary head says."""
        whole = logits.new_zeros(())
        if self.loss_config.weight_overlap:
            whole = whole + self.loss_config.weight_overlap * overlap_loss(logits, targets)
        if self.loss_config.weight_auxiliary and values is not None:
            cells = auxiliary_loss(values.float(), targets, self.codec.grids)
            whole = whole + self.loss_config.weight_auxiliary * cells
        return whole

    def figures(self, logits: Tensor, targets: Any) -> Sums:  # noqa: ARG002
        """See `Task`: mAP needs more than sums, so `evaluate` alone tells it."""
        return {}

    def blame(self, logits: Tensor, targets: Any) -> Sequence[tuple[str, int]]:
        """See `Task`."""
        return blame(logits, targets)

    def hint(self, term: str) -> str:
        """See `Task`."""
        return _HINTS.get(term, "try a lower --optim.lr")

    def fit_calibration(self, outputs: Iterable[tuple[NDArray[np.float32], Batch]]) -> Calibration:
        """See `Task`."""
        return fit_calibration(self.codec, outputs, self.limits)


def constant_object_logit(loss: LossConfig) -> float:
    """Return the J at which a constant answer costs least.

    The loss of a constant J is w_t * softplus(-J) + w_f * softplus(J), with separate means over object and empty
    slots; its minimum is J = ln(w_t / w_f).
    """
    if loss.weight_obj_t <= 0 or loss.weight_obj_f <= 0:
        return 0.0
    return math.log(loss.weight_obj_t / loss.weight_obj_f)


def _anchors(config: Config, sample: Sample) -> FloatArray:
    """Return (A, 2) anchor sizes in pixels: as given, or found among the labels of scenes."""
    given = parse_anchors(config.model.anchors)
    if given is not None:
        return np.asarray(given, dtype=np.float64)
    sizes = []
    for batch in sample(config.model.anchor_scenes):
        labelled = label_state_codes(batch.box_xyxy, batch.visible, batch.in_frame, config.labels) == 0
        sizes.append(batch.box_xyxy[labelled, 2:] - batch.box_xyxy[labelled, :2])
    found = np.concatenate(sizes)
    if not len(found):
        raise GeneratorError(
            f"generator {config.generator.name}: {config.model.anchor_scenes} scenes have no label; expected labelled "
            "objects inside the frame, whose coordinates are in units of its shorter side "
            "(canvas.draw(shape, colour, label))"
        )
    wanted = config.model.anchors_per_grid * len(config.model.strides)
    return kmeans_anchors(found, wanted, rng_for(config.seed, "anchors", 0, "kmeans"))
