"""Faults in the step, the optimizer and the schedule."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from broken_data import with_the_codec
from faults import Fault, blank_in, with_scenes, with_task
from faults_loss import SigmoidFirst, with_model
from torch import Tensor, nn

from yolo_proc.batch import Batch
from yolo_proc.checks.bench import Bench
from yolo_proc.detection.codec import LabelCodec
from yolo_proc.detection.task import DetectionTask
from yolo_proc.models.network import Yolo
from yolo_proc.rng import rng_for
from yolo_proc.training.optim import set_lr
from yolo_proc.training.state import TrainingState
from yolo_proc.training.step import StepResult, autocast_dtype, forward_objective

LossChange = Callable[[Tensor, float], Tensor]


def with_state(bench: Bench, change: Callable[[TrainingState], None]) -> Bench:
    """The bench of states that `change` has changed in place."""

    def build(*given: Any, **named: Any) -> TrainingState:
        state = bench.parts.build_state(*given, **named)
        change(state)
        return state

    return bench.with_parts(build_state=build)


def hand_written(
    *,
    zero: bool = True,
    set_rate: bool = True,
    count: bool = True,
    update: bool = True,
    clip_loss: LossChange | None = None,
    clip: Callable[[nn.Module, float], object] | None = None,
) -> Callable[..., tuple[StepResult, Mapping[str, int]]]:
    """A step as somebody would write it again, with a mistake.

    Args:
        clip_loss: (loss, limit) -> loss, in place of clipping the gradients.
        clip: (model, limit), other than by the norm.
    """

    def learn(
        state: TrainingState, task: DetectionTask, batch: Batch, device: torch.device
    ) -> tuple[StepResult, Mapping[str, int]]:
        limit = state.config.optim.clip_norm
        if set_rate:
            set_lr(state.optimizer, state.schedule.lr(state.step))
        targets, dropped = task.targets(batch, device)
        autocast = autocast_dtype(state.precision)
        images = batch.images.to(device)
        objective, loss, _, _ = forward_objective(state.model, task, images, targets, autocast=autocast)
        if clip_loss is not None:
            objective, loss = clip_loss(objective, limit), clip_loss(loss, limit)
        if zero:
            state.optimizer.zero_grad(set_to_none=True)
        objective.backward()  # type: ignore[no-untyped-call]
        if clip is not None:
            clip(state.model, limit)
        elif clip_loss is None:
            nn.utils.clip_grad_norm_(state.model.parameters(), limit)
        if update:
            state.optimizer.step()
        state.ema.update()
        state.step += count
        return StepResult(loss.item(), [], [], 0.0, False), dropped

    return learn


def louder_rate(state: TrainingState, factor: float) -> None:
    """A rate in the optimizer that is not the schedule's."""
    declared = state.schedule.lr
    state.schedule.lr = lambda step: factor * declared(step)  # type: ignore[method-assign]


def rate_of_one_group(state: TrainingState, factor: float) -> None:
    """The last group of the optimizer has a rate of its own at each update."""

    def before(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        optimizer.param_groups[-1]["lr"] *= factor

    state.optimizer.register_step_pre_hook(before)


def decay_plainly(state: TrainingState) -> None:
    """Weights that shrink by the declared share at each update, whatever the rate is."""

    @torch.no_grad()
    def before(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                if parameter.ndim > 1:
                    parameter *= 1 - state.config.optim.weight_decay

    state.optimizer.register_step_pre_hook(before)


def with_optim(bench: Bench, **changes: Any) -> Bench:
    """The bench of a run whose optimizer was configured otherwise."""
    config = replace(bench.config, optim=replace(bench.config.optim, **changes))
    return Bench(config, bench.parts, task=bench.task, precision=bench.precision)


def configured_rate(bench: Bench, factor: float) -> Bench:
    """Another learning rate, and declared so: no comparison with the declaration finds it."""
    return with_optim(bench, lr=factor * bench.config.optim.peak_lr)


class BlankForward(nn.Module):
    """A backbone that is given zeros in place of pictures."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.inner = backbone
        self.space_to_depth = backbone.space_to_depth

    def forward(self, x: Tensor) -> list[Tensor]:
        return list(self.inner(torch.zeros_like(x)))


def without_input(model: Yolo) -> None:
    model.backbone = BlankForward(model.backbone)  # type: ignore[assignment]


class ShuffledTargets(DetectionTask):
    """Targets of any picture of a batch, another one each time."""

    turn = 0

    def targets(self, batch: Batch, device: torch.device) -> tuple[Any, Mapping[str, int]]:
        found, dropped = super().targets(batch, device)
        self.turn += 1
        places = torch.from_numpy(rng_for(0, "fault", self.turn, "permute").permutation(len(batch))).to(device)
        return found._replace(image=places[found.image]), dropped


class Detached(DetectionTask):
    """A loss of which one term passes no gradient on."""

    term: str

    def loss(self, outputs: Tensor, targets: object) -> dict[str, tuple[Tensor, Tensor]]:
        terms = dict(super().loss(outputs, targets))
        value, count = terms[self.term]
        return {**terms, self.term: (value.detach(), count)}


def detached(term: str) -> type[DetectionTask]:
    return type("Detached", (Detached,), {"term": term})


class BoundOutput(nn.Module):
    """An output layer between -1 and 1."""

    def __init__(self, output: nn.Module) -> None:
        super().__init__()
        self.inner = output
        self.layers = output.layers

    def forward(self, features: list[Tensor]) -> Tensor:
        return torch.tanh(self.inner(features))


def bound_output(model: Yolo) -> None:
    model.head = BoundOutput(model.head)  # type: ignore[assignment]


class RandomOutput(BoundOutput):
    """An output layer behind dropout."""

    def forward(self, features: list[Tensor]) -> Tensor:
        return torch.as_tensor(self.inner([nn.functional.dropout(one, 0.8, self.training) for one in features]))


def random_output(model: Yolo) -> None:
    model.head = RandomOutput(model.head)  # type: ignore[assignment]


def uphill(state: TrainingState) -> None:
    """An update with the wrong sign."""

    def before(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.grad.neg_()

    state.optimizer.register_step_pre_hook(before)


def still_statistics(model: Yolo) -> None:
    """Normalisation whose statistics hardly follow, as with a momentum that means the share that is kept."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.001


class SwappingCodec(LabelCodec):
    """Decodes x as y."""

    def _boxes_xyxy(self, predictions: np.ndarray, slots: np.ndarray) -> np.ndarray:
        return np.asarray(super()._boxes_xyxy(predictions, slots)[:, [1, 0, 3, 2]])


def swapping(bench: Bench, _: float) -> Bench:
    return with_the_codec(bench, SwappingCodec(bench.codec.grids, bench.codec.class_count))


def learning(**mistake: Any) -> Callable[[Bench, float], Bench]:
    return lambda bench, _: bench.with_parts(learn=hand_written(**mistake))


OPTIMISATION_FAULTS = (
    Fault("no zero_grad", "step", "zero_grad", learning(zero=False)),
    Fault(
        "the loss clipped in place of the gradients",
        "step",
        "loss is clipped",
        learning(clip_loss=lambda loss, limit: loss.clamp(max=limit)),
    ),
    Fault(
        "the loss scaled down to the limit",
        "step",
        "loss is clipped",
        learning(clip_loss=lambda loss, limit: loss * min(1.0, limit / loss.item())),
    ),
    Fault("gradients not clipped", "step", "not clipped", learning(clip=lambda model, limit: None)),
    Fault(
        "gradients clipped by value",
        "step",
        "value by value",
        learning(clip=lambda model, limit: nn.utils.clip_grad_value_(model.parameters(), limit / 1e3)),
    ),
    Fault("schedule never stepped", "step", "schedule is never stepped", learning(set_rate=False)),
    Fault("steps not counted", "step", "schedule is never stepped", learning(count=False)),
    Fault("no update", "step", "never called", learning(update=False)),
    Fault(
        "learning rate too high",
        "step",
        "x the declared one",
        lambda bench, size: with_state(bench, lambda state: louder_rate(state, size)),
        sizes=(1.1, 2, 10, 100),
        must=1.1,
        unit="x",
    ),
    Fault(
        "learning rate too low",
        "step",
        "x the declared one",
        lambda bench, size: with_state(bench, lambda state: louder_rate(state, 1 / size)),
        sizes=(1.1, 2, 10, 100),
        must=1.1,
        unit="times lower",
    ),
    Fault(
        "learning rate of one group too high",
        "step",
        "a group without it",
        lambda bench, size: with_state(bench, lambda state: rate_of_one_group(state, size)),
        sizes=(1.1, 2, 10, 100),
        must=1.1,
        unit="x",
    ),
    Fault(
        "decay of weights without the learning rate",
        "step",
        "not multiplied by the learning rate",
        lambda bench, _: with_state(bench, decay_plainly),
    ),
    # ---- two pictures by heart
    Fault(
        "sigmoid before the loss, and learned from",
        "overfit",
        "an activation before the loss",
        lambda bench, _: with_task(bench, SigmoidFirst),
    ),
    Fault(
        "an output between -1 and 1",
        "overfit",
        "an activation before the loss",
        lambda bench, _: with_model(bench, bound_output),
    ),
    Fault("dropout of 0.8", "overfit", "at random in training mode", lambda bench, _: with_model(bench, random_output)),
    *(
        Fault(
            f"no gradient of {term}",
            "overfit",
            f"a part is learned: no gradient of {term}",
            lambda bench, _, term=term: with_task(bench, detached(term)),
        )
        for term in ("class", "obj_f", "obj_t")  # `wh` is learned from the overlap too; `gradients` sees its loss
    ),
    Fault(
        "labels of another picture each time",
        "overfit",
        "another loss each time",
        lambda bench, _: with_task(bench, ShuffledTargets),
    ),
    Fault("uphill", "overfit", "goes uphill", lambda bench, _: with_state(bench, uphill)),
    Fault("x for y in decoding", "overfit", "not the inverse of encoding", swapping),
    Fault(
        "statistics that do not follow",
        "overfit",
        "evaluation mode is another network",
        lambda bench, _: with_model(bench, still_statistics),
    ),
    Fault(
        "a learning rate too high for anything",
        "overfit",
        "rate is too high",
        configured_rate,
        sizes=(10, 30, 100, 1000),
        must=1000,
        unit="x the default",
    ),
    Fault(
        "a learning rate too low for anything",
        "overfit",
        "rate is too low",
        lambda bench, size: configured_rate(bench, 1 / size),
        sizes=(10, 30, 100, 1000),
        must=100,
        unit="times lower than the default",
    ),
    # ---- pictures against none
    Fault(
        "blank images to learn from",
        "baseline",
        "blank images",
        lambda bench, size: with_scenes(bench, blank_in(size)),
        sizes=(0.25, 0.5, 0.75, 1.0),
        must=0.75,
        unit="of the scenes",
    ),
    Fault(
        "a network that is given no pictures",
        "baseline",
        "does not see its input",
        lambda bench, _: with_model(bench, without_input),
    ),
    Fault(
        "labels of other pictures, others each time",
        "baseline",
        "another loss each time",
        lambda bench, _: with_task(bench, ShuffledTargets),
    ),
)
