"""Faults in the loss, the targets' encoding and the network at its start."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from faults import Fault, with_task
from faults_network import DEPENDENCE_FAULTS, bent, no_output_bias, with_model
from faults_parameters import MODE_FAULTS, PARAMETER_FAULTS
from torch import Tensor, nn

from yolo_proc.checks.bench import Bench
from yolo_proc.detection.heads import OUTPUT_STD
from yolo_proc.detection.task import DetectionTask
from yolo_proc.models.network import Yolo


class SigmoidFirst(DetectionTask):
    """A loss that is given probabilities."""

    def loss(self, outputs: Tensor, targets: object) -> dict[str, tuple[Tensor, Tensor]]:
        return dict(super().loss(outputs.sigmoid(), targets))


class SigmoidOutput(nn.Module):
    """An output layer that activates what it gives."""

    def __init__(self, output: nn.Module) -> None:
        super().__init__()
        self.inner = output
        self.layers = output.layers

    def forward(self, features: list[Tensor]) -> Tensor:
        return torch.sigmoid(self.inner(features))


class SumsAsMeans(DetectionTask):
    """A term of which the sum is not divided by its number."""

    def loss(self, outputs: Tensor, targets: object) -> dict[str, tuple[Tensor, Tensor]]:
        terms = dict(super().loss(outputs, targets))
        total, count = terms["wh"]
        return {**terms, "wh": (total, torch.ones_like(count))}


class Scaled(torch.autograd.Function):
    """x as it is, with a gradient that is `factor` times too large."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return ctx.factor * gradient, None


def with_logits(bench: Bench, change: Callable[[Tensor], Tensor]) -> Bench:
    """The bench of a loss that changes the logits before it looks at them."""

    class Changed(DetectionTask):
        def loss(self, outputs: Tensor, targets: Any) -> dict[str, tuple[Tensor, Tensor]]:
            return dict(super().loss(change(outputs), targets))

    return with_task(bench, Changed)


def with_fields(bench: Bench, first: int, last: int | None, change: Callable[[Tensor], Tensor]) -> Bench:
    """The same of some of the fields."""

    def changed(outputs: Tensor) -> Tensor:
        parts = outputs[..., :first], change(outputs[..., first:last])
        return torch.cat([*parts, outputs[..., last:]] if last is not None else parts, dim=-1)

    return with_logits(bench, changed)


def with_targets(bench: Bench, change: Callable[[Any], Any]) -> Bench:
    """The bench of a loss that compares with other targets (`TensorTargets`)."""

    class Changed(DetectionTask):
        def loss(self, outputs: Tensor, targets: Any) -> dict[str, tuple[Tensor, Tensor]]:
            return dict(super().loss(outputs, change(targets)))

    return with_task(bench, Changed)


def with_auxiliary_loss(
    bench: Bench,
    of_outputs: Callable[[Tensor], Tensor] = lambda outputs: outputs,
    of_values: Callable[[Tensor, Any], Tensor] = lambda values, grids: values,
) -> Bench:
    """The bench of a task that changes logits or auxiliary values before its auxiliary loss."""

    class Changed(DetectionTask):
        def auxiliary_loss(self, outputs: Tensor, values: Tensor | None, targets: Any) -> Tensor:
            values = None if values is None else of_values(values, self.codec.grids)
            return super().auxiliary_loss(of_outputs(outputs), values, targets)

    return with_task(bench, Changed)


def with_weight(bench: Bench, name: str, factor: float) -> Bench:
    """The bench of a task that gives a part of the auxiliary loss another weight than declared."""

    task, loss = bench.task, bench.task.loss_config
    changed = replace(loss, **{name: factor * getattr(loss, name)})
    other = DetectionTask(task.codec, task.limits, changed, task.classes)
    return bench.with_parts(build_task=lambda *_: other)


def in_columns(values: Tensor, grids: Any) -> Tensor:
    """Values of cells that are numbered column by column."""
    sizes = [grid.columns * grid.rows for grid in grids]
    parts = [
        part.unflatten(1, (grid.columns, grid.rows)).transpose(1, 2).flatten(1, 2)
        for part, grid in zip(values.split(sizes, dim=1), grids, strict=True)
    ]
    return torch.cat(parts, dim=1)


def without_ignored(targets: Any) -> Any:
    none = targets.ignored_image[:0]
    return targets._replace(ignored_image=none, ignored_slot=none)


class ProbabilityTask(DetectionTask):
    """A loss that is meant for probabilities, and gets logits: it undoes a sigmoid that nobody has applied."""

    def loss(self, outputs: Tensor, targets: Any) -> dict[str, tuple[Tensor, Tensor]]:
        probabilities = outputs[..., 4:5].clamp(1e-7, 1 - 1e-7)
        logits = torch.cat([outputs[..., :4], probabilities.logit(), outputs[..., 5:]], dim=-1)
        return dict(super().loss(logits, targets))


class SmoothedTask(DetectionTask):
    """A loss whose class targets are smoothed."""

    smoothing = 0.1

    def loss(self, outputs: Tensor, targets: Any) -> dict[str, tuple[Tensor, Tensor]]:
        terms = dict(super().loss(outputs, targets))
        objects = outputs[targets.image, targets.slot, 5:]
        values = F.cross_entropy(objects, targets.class_id, label_smoothing=self.smoothing, reduction="sum")
        return {**terms, "class": (values, terms["class"][1])}


def smoothed(bench: Bench, size: float) -> Bench:
    return with_task(bench, type("Smoothed", (SmoothedTask,), {"smoothing": size}))


def next_slots(targets: Any) -> Any:
    return targets._replace(slot=(targets.slot - 1).clamp(min=0))


def without_weight(bench: Bench, term: str) -> Bench:
    """The weight of one term is zeroed on its way to the loss."""

    task = DetectionTask(bench.codec, bench.task.limits, bench.task.loss_config, bench.task.classes)
    task.weights = {**task.weights, term: 0.0}
    return bench.with_parts(build_task=lambda *_: task)


@torch.no_grad()
def louder_output(model: Yolo, factor: float) -> None:
    for layer in model.head.layers:
        layer.weight *= factor


def activated_output(model: Yolo) -> None:
    model.head = SigmoidOutput(model.head)


LOSS_FAULTS = (
    *(
        Fault(
            f"the weight of {term} zeroed",
            "initial-loss",
            f"{term} 0 in place of",
            lambda bench, _, term=term: without_weight(bench, term),
        )
        for term in ("class", "obj_f", "obj_t", "wh", "xy")
    ),
    Fault(
        "sigmoid before the loss",
        "initial-loss",
        "sigmoid before the loss",
        lambda bench, _: with_task(bench, SigmoidFirst),
    ),
    Fault(
        "sigmoid in the network",
        "initial-loss",
        "sigmoid before the loss",
        lambda bench, _: with_model(bench, activated_output),
    ),
    Fault(
        "output weights too large",
        "initial-loss",
        "weights start too large",
        lambda bench, size: with_model(bench, lambda model: louder_output(model, size)),
        sizes=(10, 30, 100, 300),
        must=100,
        unit=f"x {OUTPUT_STD:g}",
    ),
    Fault("no bias in the output", "initial-loss", "has no bias", lambda bench, _: with_model(bench, no_output_bias)),
    Fault(
        "a sum in place of a mean",
        "initial-loss",
        "divides by another number",
        lambda bench, _: with_task(bench, SumsAsMeans),
    ),
    Fault(
        "auxiliary cells in columns",
        "gradients",
        "rows and columns swapped",
        lambda bench, _: with_auxiliary_loss(bench, of_values=in_columns),
    ),
    Fault(
        "overlap of activated sizes",
        "gradients",
        "the overlap loss is another function",
        lambda bench, _: with_auxiliary_loss(
            bench, lambda outputs: torch.cat([outputs[..., :2], outputs[..., 2:4].exp(), outputs[..., 4:]], dim=-1)
        ),
    ),
    Fault(
        "overlap of the slots one further on",
        "gradients",
        "the overlap loss speaks of other slots",
        lambda bench, _: with_auxiliary_loss(bench, lambda outputs: outputs.roll(1, dims=1)),
    ),
    *(
        Fault(
            f"{name} loss detached",
            "gradients",
            f"the {name} loss gives no gradient",
            lambda bench, _, detached=detached: with_auxiliary_loss(bench, **detached),
        )
        for name, detached in (
            ("overlap", {"of_outputs": torch.detach}),
            ("auxiliary", {"of_values": lambda values, grids: values.detach()}),
        )
    ),
    *(
        Fault(
            f"another weight of the {name} loss",
            "gradients",
            f"x the declared {name} loss",
            lambda bench, size, name=name: with_weight(bench, f"weight_{name}", size),
            sizes=(1.0001, 1.001, 1.01, 2),
            must=1.001,
            unit="x",
        )
        for name in ("overlap", "auxiliary")
    ),
    # What a first loss of equal logits does not show.
    Fault(
        "softmax before the loss",
        "gradients",
        "softmax before the loss",
        lambda bench, _: with_fields(bench, 5, None, lambda classes: classes.softmax(dim=-1)),
    ),
    Fault(
        "places that are detached",
        "gradients",
        "the gradient of xy stops",
        lambda bench, _: with_fields(bench, 0, 2, Tensor.detach),
    ),
    Fault(
        "a loss under no_grad",
        "gradients",
        "no gradient at all",
        lambda bench, _: with_logits(bench, Tensor.detach),
    ),
    Fault(
        "a gradient scaled on its way back",
        "gradients",
        "x its slope",
        lambda bench, size: with_logits(bench, lambda outputs: Scaled.apply(outputs, size)),
        sizes=(1.00001, 1.0001, 1.001, 1.01, 1.1, 2),
        must=1.0001,
        unit="x",
    ),
    Fault(
        "a loss in half precision",
        "gradients",
        ("less than float64", "flat, or not a number", "not its slope"),
        lambda bench, _: with_logits(bench, lambda outputs: outputs.to(torch.bfloat16).double()),
    ),
    Fault(
        "a loss in single precision",
        "gradients",
        "less than float64",
        lambda bench, _: with_logits(bench, Tensor.float),
    ),
    Fault(
        "clipped logits",
        "gradients",
        "clipped before the loss",
        lambda bench, size: with_logits(bench, lambda outputs: outputs.clamp(-1 / size, 1 / size)),
        sizes=(0.05, 0.1, 0.2, 0.5, 1),
        must=0.1,
        unit="of 1 / the largest logit",
    ),
    Fault(
        "ignored slots taken for empty ones",
        "gradients",
        ("speaks of ignored slots", "speaks of slots"),
        lambda bench, _: with_targets(bench, without_ignored),
    ),
    Fault(
        "a loss that reads the slot before",
        "gradients",
        "an index is off",
        lambda bench, _: with_targets(bench, next_slots),
    ),
    Fault(
        "x and y swapped in the targets",
        "gradients",
        "compares with other targets",
        lambda bench, _: with_targets(bench, lambda targets: targets._replace(xy=targets.xy.flip(1))),
    ),
    Fault(
        "a sigmoid of J alone before the loss",
        "logits",
        "a sigmoid before the loss",
        lambda bench, _: with_fields(bench, 4, 5, Tensor.sigmoid),
    ),
    Fault(
        "a softmax of the classes before the loss",
        "logits",
        "a softmax before the loss",
        lambda bench, _: with_fields(bench, 5, None, lambda classes: classes.softmax(dim=-1)),
    ),
    Fault(
        "an exp of the sides before the loss",
        "logits",
        "an exp before the loss",
        lambda bench, _: with_fields(bench, 2, 4, Tensor.exp),
    ),
    Fault(
        "a loss that wants probabilities",
        "logits",
        "takes probabilities for",
        lambda bench, _: with_task(bench, ProbabilityTask),
    ),
    Fault(
        "smoothed classes",
        "logits",
        "clips or smooths",
        smoothed,
        sizes=(1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1),
        must=1e-4,
        unit="smoothing",
    ),
    Fault(
        "logits clipped before the loss",
        "logits",
        ("clips or smooths", "clipped"),
        lambda bench, size: with_logits(bench, lambda outputs: outputs.clamp(-1 / size, 1 / size)),
        sizes=(0.04, 0.06, 0.08, 0.1, 0.2, 1),
        must=0.06,
        unit="of 1 / the largest logit",
    ),
    Fault(
        "a softmax in the network",
        "logits",
        "a softmax in the network",
        lambda bench, _: bent(bench, 5, None, lambda classes: classes.softmax(dim=-1)),
    ),
    Fault(
        "a sigmoid of J in the network",
        "logits",
        "a sigmoid before the loss, in the network",
        lambda bench, _: bent(bench, 4, 5, Tensor.sigmoid),
    ),
    Fault(
        "an exp of the sides in the network",
        "logits",
        "an exp, or a rectifier",
        lambda bench, _: bent(bench, 2, 4, Tensor.exp),
    ),
    Fault(
        "a rectified output",
        "logits",
        "a rectifier",
        lambda bench, _: bent(bench, 0, None, Tensor.relu),
    ),
    *DEPENDENCE_FAULTS,
    *PARAMETER_FAULTS,
    *MODE_FAULTS,
)
