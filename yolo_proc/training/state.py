"""The state of a training run: everything that a bit-exact resume needs, and nothing that can be derived."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import torch

from yolo_proc.config.schema import Config
from yolo_proc.config.values import config_values
from yolo_proc.errors import CheckpointError
from yolo_proc.models.network import Network
from yolo_proc.models.versions import VERSION
from yolo_proc.models.weights import load_weights
from yolo_proc.training.optim import Ema, load_optimizer
from yolo_proc.training.replicas import Replicated, replicated
from yolo_proc.training.schedule import Schedule
from yolo_proc.training.stopping import LossWindow, Patience, TargetRule


@dataclass
class TrainingState:
    """State of a run: the content of a checkpoint.

    Attributes:
        step: updates so far; update k is made on batch k of the train stream, so this is the data's cursor too.
        epoch: whole epochs so far.
        history: a row of `metrics.csv` an epoch.
        clipped: updates of this epoch whose gradients were clipped; norms: the sum of this epoch's norms.
        dropped: this epoch's objects that are no label, by reason.
        figures: this epoch's sums and counts of what people read besides the loss, by name.
        best_loss: lowest loss of the averaged weights on the validation stream.
        finished: why the run ended by itself ("target", "plateau", ...); empty while it goes on.
        calibration: scale and bias of the confidence's logit, once fitted.
        precision, threads: as chosen at the start, kept for the whole run.
        replicas: over how many data-parallel replicas a batch is trained and judged here, see `replicas.py`.
        environment: what bit-exactness depends on, see `device.environment`.
        fingerprint: what the scenes depend on, see `fingerprint.py`.
        own_shape: whether pictures are shown to the network in their own shape, see `predict.Detector`.
        started_in: the folder from which relative paths in the options count, relative to the run's; empty: not known.
    """

    config: Config
    classes: tuple[str, ...]
    model: Network[Any]
    ema: Ema
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    rule: TargetRule
    patience: Patience
    window: LossWindow
    precision: str
    threads: int
    environment: dict[str, str]
    fingerprint: dict[str, str]
    own_shape: bool = False
    started_in: str = ""
    replicas: int = 1
    step: int = 0
    epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    clipped: int = 0
    norms: float = 0.0
    dropped: dict[str, int] = field(default_factory=dict)
    figures: dict[str, tuple[float, float]] = field(default_factory=dict)
    best_loss: float = float("inf")
    finished: str = ""
    calibration: tuple[float, float] | None = None

    @cached_property
    def network(self) -> Network[Any] | Replicated:
        """The network as it is trained here."""
        return replicated(self.model, self.replicas)

    @cached_property
    def averaged(self) -> Network[Any] | Replicated:
        """The network of the averaged weights as it is judged here."""
        return replicated(self.ema.model, self.replicas)

    @property
    def steps_per_epoch(self) -> int:
        """Updates of an epoch."""
        return -(-self.config.epoch_images // self.config.batch_size)

    @property
    def step_in_epoch(self) -> int:
        """Updates since the last whole epoch."""
        return self.step - self.epoch * self.steps_per_epoch

    @property
    def images(self) -> int:
        """Images trained on so far."""
        return self.step * self.config.batch_size

    def state_dict(self) -> dict[str, Any]:
        """Return plain values and tensors, as `checkpoint.save` takes them."""
        return {
            "version": VERSION,
            "task": self.model.task.name,
            # What rebuilds the model alone.
            "classes": list(self.classes),
            "image_size": self.config.image_size,
            "model": asdict(self.config.model),
            **self.model.task.state_dict(),
            "weights": self.model.state_dict(),
            "ema": self.ema.model.state_dict(),
            "calibration": self.calibration,
            "own_shape": self.own_shape,
            "started_in": self.started_in,
            # What goes on.
            "config": config_values(self.config),
            "optimizer": self.optimizer.state_dict(),
            "ema_updates": self.ema.updates,
            "schedule": self.schedule.state_dict(),
            "tries": self.rule.tries,
            "patience": {"best": self.patience.best, "waited": self.patience.waited},
            "window": self.window.state_dict(),
            "torch_random": torch.get_rng_state(),
            "precision": self.precision,
            "threads": self.threads,
            "environment": self.environment,
            "fingerprint": self.fingerprint,
            "step": self.step,
            "epoch": self.epoch,
            "images": self.images,
            "history": [*self.history],
            "clipped": self.clipped,
            "norms": self.norms,
            "dropped": dict(self.dropped),
            "figures": {name: list(pair) for name, pair in self.figures.items()},
            "best_loss": self.best_loss,
            "finished": self.finished,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave, and `fields.check_training` passed.

        Raises:
            CheckpointError: it belongs to another network or run.
        """
        load_weights(self.model, state["weights"])
        load_weights(self.ema.model, state["ema"])
        load_optimizer(self.optimizer, state["optimizer"])
        self.ema.updates = state["ema_updates"]
        self.schedule.load_state_dict(state["schedule"])
        self.rule.tries = state["tries"]
        self.patience.best = state["patience"]["best"]
        self.patience.waited = state["patience"]["waited"]
        self.window.load_state_dict(state["window"])
        _set_random(state["torch_random"])
        self.step = state["step"]
        self.epoch = state["epoch"]
        if not 0 <= self.step_in_epoch <= self.steps_per_epoch:
            raise CheckpointError(
                f"step: expected one of the epoch after {self.epoch} whole ones of {self.steps_per_epoch} steps, found "
                f"{self.step}; use a checkpoint that yolo_proc wrote"
            )
        self.history = [dict(row) for row in state["history"]]
        self.clipped = state["clipped"]
        self.norms = state["norms"]
        self.dropped = dict(state["dropped"])
        self.figures = {name: (pair[0], pair[1]) for name, pair in state["figures"].items()}
        self.best_loss = state["best_loss"]
        self.finished = state["finished"]
        calibration = state["calibration"]
        self.calibration = None if calibration is None else (calibration[0], calibration[1])


def _set_random(saved: torch.Tensor) -> None:
    own = torch.get_rng_state()
    try:
        if saved.shape != own.shape or saved.dtype != own.dtype:
            raise RuntimeError
        torch.set_rng_state(saved)
    except RuntimeError as error:
        raise CheckpointError("torch_random: expected the state of torch's random numbers, found another") from error
