"""What training does with one batch. The loop, and the checks of the loop, share it."""

from collections.abc import Mapping

import torch

from yolo_proc.batch import Batch
from yolo_proc.detection.task import Task
from yolo_proc.training.optim import set_lr
from yolo_proc.training.precision import autocast_dtype
from yolo_proc.training.state import TrainingState
from yolo_proc.training.step import StepResult, train_step


def learn(state: TrainingState, task: Task, batch: Batch, device: torch.device) -> tuple[StepResult, Mapping[str, int]]:
    """Sets the rate, makes targets, takes one step, averages the weights, counts the step.

    Returns:
        What the step measured, and how many objects are no label, by reason.

    Raises:
        TrainingError: labels that break their contract, a loss or a gradient that is not finite; no weight was changed.
    """
    set_lr(state.optimizer, state.schedule.lr(state.step))
    targets, dropped = task.targets(batch, device)
    result = train_step(
        state.network,
        state.optimizer,
        task,
        batch.images.to(device, non_blocking=True),
        targets,
        clip_norm=state.config.optim.clip_norm,
        autocast=autocast_dtype(state.precision),
    )
    state.ema.update()
    state.step += 1
    return result, dropped
