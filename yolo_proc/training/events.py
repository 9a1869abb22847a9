"""Events of a training run; progress bar, tables, pictures and loggers are consumers of them.

`train(config)` is an iterator of events. `terms` are always the weighted values, by term of the loss, that sum
to `loss`. Seconds are those of this process, not of the interrupted ones before it; `images` and `epoch` count
from the run's first step.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from yolo_proc.batch import Batch
from yolo_proc.config.schema import Config
from yolo_proc.training.outcomes import Outcome

if TYPE_CHECKING:
    from yolo_proc.models.network import Network

StopReason = Literal["target", "done", "failed", "plateau", "budget", "signal"]
SaveReason = Literal["epoch", "minutes", "signal", "asked", "decay"]

# The exit code of `train` by reason; "signal" is 128 + the signal's number, which only the command line knows.
EXIT_CODES: Mapping[StopReason, int] = {"target": 0, "done": 0, "failed": 1, "plateau": 3, "budget": 4, "signal": 130}


@dataclass(frozen=True)
class RunStarted:
    """The first event: what is trained, where, on what.

    Attributes:
        device: "cpu", "cuda:0".
        precision: "float32" or "bf16", as chosen.
        parameters: how many the network has.
        output: what the network's output consists of, in words: `Slots: 256`; `obj_f` depends on it.
        epochs_done, images_done, steps_done: what a resumed run has behind it.
        resumed_from: the checkpoint, or None for a new run.
        classes: names by class index.
        notes: lines for the user (an option that makes the resumed run inexact).
    """

    run_dir: Path
    config: Config
    device: str
    precision: str
    parameters: int
    output: str
    notes: tuple[str, ...] = ()
    epochs_done: int = 0
    images_done: int = 0
    resumed_from: Path | None = None
    steps_done: int = 0
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step:
    """One training step.

    Attributes:
        epoch: the one it belongs to, from 1.
        step: from the run's first, from 1.
        images: seen by the run so far.
        loss: before the update, on images never seen before.
        lr: learning rate of this step.
        grad_norm: global norm before clipping.
        images_per_second: over the last steps.
        figures: what people read besides the loss (accuracy), means over the batch, by name.
        wait_seconds: that the step waited for its batch; step_seconds: that it took then.
    """

    epoch: int
    step: int
    images: int
    loss: float
    terms: Mapping[str, float]
    lr: float
    grad_norm: float
    clipped: bool
    images_per_second: float
    figures: Mapping[str, float] = field(default_factory=dict)
    wait_seconds: float = 0.0
    step_seconds: float = 0.0


@dataclass(frozen=True, eq=False)
class FirstBatch:
    """The batch that a new run was first trained on."""

    batch: Batch


@dataclass(frozen=True)
class EpochEnd:
    """The means over an epoch.

    Attributes:
        epoch: from 1; the checkpoint bears its number.
        seconds: of this process since its start.
        loss_upper: upper 95 % confidence bound of the mean loss.
        val_loss: of the averaged weights on the validation stream.
        grad_norm: mean of the global norms before clipping.
        clipped_share: of the epoch's steps, 0 to 1.
        share: how much of the epoch was trained; less than 1 where the time was over before the first epoch was.
        dropped: objects that are no labels, by reason.
        figures: what people read besides the loss (accuracy), on the epoch's images and, as `val_...`, on the
            validation stream.
    """

    epoch: int
    step: int
    images: int
    seconds: float
    loss: float
    terms: Mapping[str, float]
    loss_upper: float
    lr: float
    val_loss: float
    grad_norm: float
    clipped_share: float
    images_per_second: float = 0.0
    share: float = 1.0
    dropped: Mapping[str, int] = field(default_factory=dict)
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class CheckpointSaved:
    """A checkpoint is complete on the disk.

    Attributes:
        history: a row of `metrics.csv` for each epoch so far.
    """

    path: Path
    reason: SaveReason
    history: Sequence[Mapping[str, float]] = ()


@dataclass(frozen=True, eq=False)
class Shipped:
    """The run ends, and these weights are in `best.pt`.

    Attributes:
        model: in evaluation mode, its confidence calibrated.
    """

    model: "Network[Any]"


@dataclass(frozen=True)
class TargetTried:
    """The training loss met the target, so the weights to be shipped were judged on fresh images.

    Attributes:
        k: number of the try, from 1.
        level: its error level, 0.05 / 2^k.
        train_upper: upper bound of the mean training loss of the last epoch.
        ema_mean, ema_upper: mean loss of the averaged weights in evaluation mode, and its bound at `level`.
        reached: whether `ema_upper` <= `target` too, which stops the run.
    """

    k: int
    level: float
    train_upper: float
    ema_mean: float
    ema_upper: float
    target: float
    reached: bool


@dataclass(frozen=True)
class Checked:
    """The quick checks before the first step; after a failure comes `Stopped`."""

    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True)
class Note:
    """A line for the user."""

    text: str


@dataclass(frozen=True)
class Stopped:
    """The last event.

    Attributes:
        reason: "target" reached; "done": the budget ended and no target was set; "failed": a check did; "plateau": the
            bound has not fallen; "budget" ended before the target; "signal": a stop command.
        exit_code: of the reason, see `EXIT_CODES`.
        message: one line.
        seconds: of this process; epochs and images are of the whole run.
    """

    reason: StopReason
    exit_code: int
    message: str
    seconds: float
    epochs: int
    images: int


Event = RunStarted | Checked | FirstBatch | Step | EpochEnd | CheckpointSaved | TargetTried | Shipped | Note | Stopped
