"""Faults in the step, the optimizer and the schedule."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from faults import Fault
from torch import Tensor, nn

from yolo_proc.checks.bench import Bench
from yolo_proc.optim import set_lr
from yolo_proc.runtime import autocast_dtype
from yolo_proc.state import TrainingState
from yolo_proc.step import StepResult, forward_objective
from yolo_proc.stream import Batch
from yolo_proc.task import DetectionTask

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
)
