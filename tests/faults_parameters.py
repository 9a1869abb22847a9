"""Faults in what is trained, and in which mode."""

from collections.abc import Callable
from typing import Any

import torch
from faults import Fault
from faults_network import bent, changed, no_output_bias, with_model
from torch import Tensor, nn
from torch.nn import functional

from yolo_proc.checks.bench import Bench
from yolo_proc.models.network import Yolo


def frozen(model: Yolo, layers: int) -> None:
    """The first convolutions of the body, with their normalisations."""
    parameters = list(model.backbone.parameters())
    for parameter in parameters[: 3 * layers]:
        parameter.requires_grad_(False)


class DetachedBackbone(nn.Module):
    """A backbone whose features are taken as they are."""

    def __init__(self, backbone: Any) -> None:
        super().__init__()
        self.inner, self.space_to_depth = backbone, backbone.space_to_depth

    def forward(self, x: Tensor) -> list[Tensor]:
        return [feature.detach() for feature in self.inner(x)]


def cut_off(model: Yolo) -> None:
    model.backbone = DetachedBackbone(model.backbone)  # type: ignore[assignment]


def unused_layer(model: Yolo) -> None:
    model.backbone.forgotten = nn.Conv2d(8, 8, 3)


def biased(model: Yolo, layers: int) -> None:
    """Biases of the first convolutions, each before a normalisation."""
    convolutions = [module for module in model.backbone.modules() if isinstance(module, nn.Conv2d)]
    for one in convolutions[:layers]:
        one.bias = nn.Parameter(torch.zeros(one.out_channels))


@torch.no_grad()
def dead_units(model: Yolo, share: float) -> None:
    """The first of the stem's units are off for any picture."""
    normalisation = model.backbone.stem[1]  # type: ignore[union-attr, index]
    normalisation.bias[: round(share * len(normalisation.bias))] = -1e3


@torch.no_grad()
def nothing_to_begin_with(model: Yolo) -> None:
    model.backbone.stages["8"][0][0].weight.zero_()  # type: ignore[union-attr, index]


@torch.no_grad()
def constant_start(model: Yolo) -> None:
    for module in model.backbone.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.fill_(0.01)


def with_optimizer(bench: Bench, change: Callable[[Any, Yolo], None]) -> Bench:
    """The bench of states whose optimizer, and network, are changed in place."""

    def build(*given: Any, **named: Any) -> Any:
        state = bench.parts.build_state(*given, **named)
        change(state.optimizer, state.model)
        return state

    return bench.with_parts(build_state=build)


def forget_body(optimizer: Any, model: Yolo, tensors: int) -> None:
    """The first parameters of the body are not given to the optimizer."""
    left_out = {id(parameter) for parameter in list(model.backbone.parameters())[:tensors]}
    for group in optimizer.param_groups:
        group["params"] = [parameter for parameter in group["params"] if id(parameter) not in left_out]


def decay_everything(optimizer: Any, _: Yolo) -> None:
    for group in optimizer.param_groups:
        group["weight_decay"] = max(one["weight_decay"] for one in optimizer.param_groups)


PARAMETER_FAULTS = (
    Fault(
        "a frozen backbone",
        "parameters",
        "frozen",
        lambda bench, size: with_model(bench, lambda model: frozen(model, int(size))),
        sizes=(1, 2, 100),
        unit="layers",
    ),
    Fault("features that are detached", "parameters", "detached", lambda bench, _: with_model(bench, cut_off)),
    Fault(
        "a backbone that the optimizer does not have",
        "parameters",
        "not in the optimizer",
        lambda bench, size: with_optimizer(bench, lambda *both: forget_body(*both, int(size))),
        sizes=(1, 3, 100),
        unit="tensors",
    ),
    Fault("a layer that is never used", "parameters", "never used", lambda bench, _: with_model(bench, unused_layer)),
    Fault(
        "conv bias before normalisation",
        "parameters",
        "a bias before a normalisation",
        lambda bench, size: with_model(bench, lambda model: biased(model, int(size))),
        sizes=(1, 3, 100),
        unit="layers",
    ),
    Fault(
        "an output layer without bias",
        "parameters",
        "has no bias",
        lambda bench, _: with_model(bench, no_output_bias),
    ),
    Fault(
        "units that start dead",
        "parameters",
        "units of backbone.stem",
        lambda bench, size: with_model(bench, lambda model: dead_units(model, size)),
        sizes=(0.0625, 0.125, 0.25, 0.5, 1),
        must=0.125,
        unit="of the stem's",
    ),
    Fault(
        "a layer that starts with zeros",
        "parameters",
        "all units of backbone.stages.8.0.0",
        lambda bench, _: with_model(bench, nothing_to_begin_with),
    ),
    Fault(
        "units that start alike", "parameters", "copies of others", lambda bench, _: with_model(bench, constant_start)
    ),
    Fault(
        "classes that are detached",
        "parameters",
        "the outputs for classes",
        lambda bench, _: bent(bench, 5, None, Tensor.detach),
    ),
    Fault(
        "decay of biases",
        "parameters",
        "another weight decay",
        lambda bench, _: with_optimizer(bench, decay_everything),
    ),
)


def evaluating_steps(bench: Bench, _: float) -> Bench:
    """Steps of a network that was left in evaluation mode."""

    def learn(state: Any, *given: Any) -> Any:
        state.model.eval()
        return bench.parts.learn(state, *given)

    return bench.with_parts(learn=learn)


class StaysInEvaluation(nn.BatchNorm2d):
    """A normalisation that is frozen, as in fine-tuning."""

    def train(self, mode: bool = True) -> "StaysInEvaluation":
        super().train(False)
        return self


def stay_in_evaluation(model: Yolo, layers: int) -> None:
    for module in [one for one in model.modules() if isinstance(one, nn.BatchNorm2d)][-layers:]:
        module.__class__ = StaysInEvaluation
        module.eval()


def judging_in_training(bench: Bench, layers: float) -> Bench:
    """A measured loss in which normalisations are in training mode, though the network says that it is not."""

    def measure(model: Yolo, *given: Any) -> Any:
        for module in [one for one in model.modules() if isinstance(one, nn.BatchNorm2d)][-int(layers) :]:
            module.train()
        return bench.parts.measure_loss(model, *given)

    return bench.with_parts(measure_loss=measure)


def never_back(bench: Bench, _: float) -> Bench:
    """An evaluation after which the network that trains is left in evaluation mode."""
    made: list[Any] = []

    def build(*given: Any, **named: Any) -> Any:
        made.append(bench.parts.build_state(*given, **named))
        return made[-1]

    def measure(model: Yolo, *given: Any) -> Any:
        for state in made:
            state.model.eval()
        return bench.parts.measure_loss(model, *given)

    return bench.with_parts(build_state=build, measure_loss=measure)


def with_average(bench: Bench, change: Callable[[Any], None]) -> Bench:
    def build(*given: Any, **named: Any) -> Any:
        state = bench.parts.build_state(*given, **named)
        change(state)
        return state

    return bench.with_parts(build_state=build)


def weights_alone(state: Any) -> None:
    """An average of the parameters, but not of the buffers."""
    state.ema._pairs = ([*state.ema.model.parameters()], [*state.model.parameters()])


def momentum(model: Yolo, value: float) -> None:
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = value


def no_statistics(model: Yolo) -> None:
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean = module.running_var = None


MODE_FAULTS = (
    Fault("evaluation mode during training", "modes", "evaluation mode during training", evaluating_steps),
    Fault(
        "normalisations that are frozen",
        "modes",
        "evaluation mode during training",
        lambda bench, size: with_model(bench, lambda model: stay_in_evaluation(model, int(size))),
        sizes=(1, 2, 4),
        unit="layers",
    ),
    Fault(
        "training mode during evaluation",
        "modes",
        "training mode during evaluation",
        judging_in_training,
        sizes=(1, 2, 100),
        unit="layers",
    ),
    Fault("never back in training mode", "modes", "after the first evaluation", never_back),
    Fault(
        "an average in training mode",
        "modes",
        "left in training mode",
        lambda bench, _: with_average(bench, lambda state: state.ema.model.train()),
    ),
    Fault(
        "an average of weights alone",
        "modes",
        "leaves out the statistics",
        lambda bench, _: with_average(bench, weights_alone),
    ),
    Fault(
        "statistics that hardly move",
        "modes",
        "hardly move",
        lambda bench, size: with_model(bench, lambda model: momentum(model, 0.1 / size)),
        sizes=(2, 4, 10, 100),
        must=10,
        unit="x too slowly",
    ),
    Fault(
        "statistics that forget at once",
        "modes",
        "forget at once",
        lambda bench, size: with_model(bench, lambda model: momentum(model, 0.1 * size)),
        sizes=(2, 4, 6, 9.9),
        must=6,
        unit="x too quickly",
    ),
    Fault("no running statistics", "modes", "no running statistics", lambda bench, _: with_model(bench, no_statistics)),
    Fault(
        "dropout in evaluation",
        "modes",
        "drawn at random",
        lambda bench, size: changed(bench, outputs=lambda y: functional.dropout(y, size, training=True)),
        sizes=(0.001, 0.01, 0.1, 0.5),
        must=0.01,
        unit="of the logits",
    ),
    Fault(
        "outputs less the batch's mean",
        "modes",
        "influence each other",
        lambda bench, size: changed(bench, outputs=lambda y: y - size * y.mean(dim=0)),
        sizes=(0.001, 0.01, 0.1, 1),
        must=0.1,
        unit="of the mean",
    ),
)
