"""Faults in the network: what an output depends on."""

from collections.abc import Callable
from typing import Any

import torch
from faults import Fault
from torch import Tensor, nn

from yolo_proc.checks.bench import Bench
from yolo_proc.config.schema import Config
from yolo_proc.detection.task import DetectionTask
from yolo_proc.models.network import Yolo

Change = Callable[[Tensor], Tensor]


def with_model(bench: Bench, change: Callable[[Yolo], object]) -> Bench:
    """The bench of networks that `change` has changed in place."""

    def build(config: Config, task: DetectionTask, device: torch.device) -> Yolo:
        model = bench.parts.build_model(config, task, device)
        change(model)
        return model

    return bench.with_parts(build_model=build)


class Changed(Yolo):
    """A network that changes its pixels, the maps before they become slots, or its outputs."""

    pixels: Change
    outputs: Change

    def forward(self, images: Tensor) -> Tensor:
        return type(self).outputs(super().forward(type(self).pixels(images)))


def changed(bench: Bench, *, pixels: Change = lambda x: x, outputs: Change = lambda y: y) -> Bench:
    kind = type("ChangedYolo", (Changed,), {"pixels": staticmethod(pixels), "outputs": staticmethod(outputs)})

    def put(model: Yolo) -> None:
        model.__class__ = kind

    return with_model(bench, put)


class OtherSlots(nn.Module):
    """An output layer that makes slots of its map (B, A * (5 + C), Gy, Gx) otherwise."""

    def __init__(self, output: Any, slots: Change) -> None:
        super().__init__()
        self.layers, self.fields, self.slots, self.slot_rows = output.layers, output.fields, slots, output.slot_rows

    def forward(self, features: list[Tensor]) -> Tensor:
        maps = [layer(x) for layer, x in zip(self.layers, features, strict=True)]
        return torch.cat([self.slots(one).reshape(len(one), -1, self.fields) for one in maps], dim=1)


def other_slots(bench: Bench, slots: Change) -> Bench:
    def put(model: Yolo) -> None:
        model.head = OtherSlots(model.head, slots)  # type: ignore[assignment]

    return with_model(bench, put)


def dilated(model: Yolo, factor: int) -> None:
    """The strided convolutions of the stages."""
    for stage in model.backbone.stages.values():  # type: ignore[union-attr]
        stage[0][0].dilation, stage[0][0].padding = (factor, factor), (factor, factor)


@torch.no_grad()
def pointwise(model: Yolo) -> None:
    """Filters of which the middle alone is left."""
    for module in model.backbone.modules():
        if isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3):
            middle = module.weight[..., 1, 1].clone()
            module.weight.zero_()
            module.weight[..., 1, 1] = middle


class StaysTraining(nn.BatchNorm2d):
    """A normalisation that cannot be put into evaluation mode."""

    def train(self, mode: bool = True) -> "StaysTraining":
        super().train(True)
        return self


def stay_in_training(model: Yolo) -> None:
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.__class__ = StaysTraining


@torch.no_grad()
def no_output_bias(model: Yolo) -> None:
    for layer in model.head.layers:
        layer.bias = None


class Bent(nn.Module):
    """An output layer of which some fields go through a function."""

    def __init__(self, output: nn.Module, first: int, last: int | None, change: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.inner, self.layers = output, output.layers
        self.first, self.last, self.change = first, last, change

    def forward(self, features: list[Tensor]) -> Tensor:
        outputs = self.inner(features)
        last = outputs.shape[-1] if self.last is None else self.last
        parts = outputs[..., : self.first], self.change(outputs[..., self.first : last]), outputs[..., last:]
        return torch.cat(parts, dim=-1)


def bent(bench: Bench, first: int, last: int | None, change: Callable[[Tensor], Tensor]) -> Bench:
    def put(model: Yolo) -> None:
        model.head = Bent(model.head, first, last, change)  # type: ignore[assignment]

    return with_model(bench, put)


DEPENDENCE_FAULTS = (
    Fault(
        "view for permute",
        "dependence",
        "view or reshape in place of a permute",
        lambda bench, _: other_slots(bench, lambda y: y.contiguous()),
    ),
    Fault(
        "rows and columns swapped in the output",
        "dependence",
        "rows and columns are swapped",
        lambda bench, _: other_slots(bench, lambda y: y.permute(0, 3, 2, 1)),
    ),
    Fault(
        "outputs turned upside down",
        "dependence",
        "slots look at places that are not theirs",
        lambda bench, _: other_slots(bench, lambda y: y.flip(2).permute(0, 2, 3, 1)),
    ),
    Fault(
        "slots shifted by cells",
        "dependence",
        ("slots are shifted", "is moved by", "places that are not theirs"),
        lambda bench, size: other_slots(bench, lambda y: y.roll(int(size), dims=3).permute(0, 2, 3, 1)),
        sizes=(1, 2, 3),
        unit="cells",
    ),
    Fault(
        "pixels shifted before the network",
        "dependence",
        ("is moved by", "slots are shifted", "more than its layers reach", "places that are not theirs"),
        lambda bench, size: changed(bench, pixels=lambda x: x.roll(int(size), dims=2)),
        sizes=(1, 2, 4, 8, 16),
        unit="px",
    ),
    Fault(
        "batch leakage through a wrong reshape",
        "dependence",
        "images leak into each other",
        lambda bench, _: other_slots(bench, lambda y: y.permute(2, 3, 0, 1).contiguous()),
    ),
    Fault(
        "images mixed up in the batch",
        "dependence",
        "images are mixed up",
        lambda bench, _: changed(bench, outputs=lambda y: y.roll(1, dims=0)),
    ),
    Fault(
        "pixels normalised over the batch",
        "dependence",
        "statistics of the whole batch",
        lambda bench, size: changed(bench, pixels=lambda x: x - size * x.double().mean(dim=0).to(x.dtype)),
        sizes=(1e-9, 1e-6, 1e-3, 1),
        must=1e-9,
        unit="of the mean",
    ),
    Fault(
        "batch statistics in evaluation",
        "dependence",
        "stays in training mode",
        lambda bench, _: with_model(bench, stay_in_training),
    ),
    Fault(
        "pixels normalised over the picture",
        "dependence",
        "more than its layers reach",
        lambda bench, _: changed(bench, pixels=lambda x: x - x.double().mean(dim=(1, 2), keepdim=True).to(x.dtype)),
    ),
    Fault(
        "pixels cut off from the outputs",
        "dependence",
        "do not depend on the picture",
        lambda bench, _: changed(bench, pixels=Tensor.detach),
    ),
    Fault(
        "dilated filters",
        "dependence",
        "more than its layers reach",
        lambda bench, size: with_model(bench, lambda model: dilated(model, int(size))),
        sizes=(2, 3),
        must=2,
        unit="x",
    ),
    Fault(
        "filters of one pixel",
        "dependence",
        "of what its layers reach",
        lambda bench, _: with_model(bench, pointwise),
    ),
)
