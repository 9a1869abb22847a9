"""Faults in the loss, the targets' encoding and the network at its start."""

import torch
from faults import Fault
from torch import Tensor, nn

from yolo_proc.checks.bench import Bench
from yolo_proc.codec import LabelCodec
from yolo_proc.config import Config
from yolo_proc.model import OUTPUT_STD, Yolo
from yolo_proc.task import DetectionTask


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


def without_weight(bench: Bench, term: str) -> Bench:
    """The weight of one term is zeroed on its way to the loss."""

    def build(*given: object) -> DetectionTask:
        task = bench.parts.build_task(*given)
        task.weights = {**task.weights, term: 0.0}
        return task

    return bench.with_parts(build_task=build)


def with_model(bench: Bench, change: object) -> Bench:
    """The bench of networks that `change` has changed in place."""

    def build(config: Config, codec: LabelCodec, device: torch.device) -> Yolo:
        model = bench.parts.build_model(config, codec, device)
        change(model)  # type: ignore[operator]
        return model

    return bench.with_parts(build_model=build)


@torch.no_grad()
def louder_output(model: Yolo, factor: float) -> None:
    for layer in model.output.layers:
        layer.weight *= factor


@torch.no_grad()
def no_output_bias(model: Yolo) -> None:
    for layer in model.output.layers:
        layer.bias = None


def activated_output(model: Yolo) -> None:
    model.output = SigmoidOutput(model.output)


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
        lambda bench, _: bench.with_parts(build_task=SigmoidFirst),
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
        sizes=(3, 10, 30, 100),
        must=100,
        unit=f"x {OUTPUT_STD:g}",
    ),
    Fault("no bias in the output", "initial-loss", "has no bias", lambda bench, _: with_model(bench, no_output_bias)),
    Fault(
        "a sum in place of a mean",
        "initial-loss",
        "divides by another number",
        lambda bench, _: bench.with_parts(build_task=SumsAsMeans),
    ),
)
