"""Consumers of a run's events: the tables, the pictures and TensorBoard. The trainer writes its state alone.

A consumer is told every event before anybody else. One that cannot write any more (a full disk) is left out from then
on, and the run goes on: what it has learned is worth more than a table. An exception of another kind is a bug, and ends
the run.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from yolo_proc.config.schema import Config
from yolo_proc.errors import UserError
from yolo_proc.training.events import CheckpointSaved, EpochEnd, Event, FirstBatch, Note, RunStarted, Shipped, Step
from yolo_proc.training.runs import write_metrics
from yolo_proc.training.sheets import write_predictions, write_preview
from yolo_proc.training.steps_table import StepsTable


class Consumer(Protocol):
    """A taker of events. It passes over those that it does not know."""

    name: str

    def consume(self, event: Event) -> Sequence[str]:
        """Take one event; return lines for the user.

        Raises:
            UserError, OSError: it cannot write any more.
        """

    def close(self) -> None:
        """Let go of files; called once, after the last event or an error."""


class Consumers:
    """Several consumers, each told every event.

    Args:
        consumers: in the order in which they are told.
    """

    def __init__(self, consumers: Sequence[Consumer]) -> None:
        self._consumers = list(consumers)

    def told(self, events: Iterator[Event]) -> Iterator[Event]:
        """Yield the events after the consumers were told them, and what the consumers have to say as notes."""
        try:
            for event in events:
                notes = [line for consumer in [*self._consumers] for line in self._tell(consumer, event)]
                yield event
                yield from map(Note, notes)
        finally:
            for consumer in self._consumers:
                consumer.close()

    def _tell(self, consumer: Consumer, event: Event) -> Sequence[str]:
        try:
            return consumer.consume(event)
        except (UserError, OSError) as error:
            self._consumers.remove(consumer)
            consumer.close()
            told = error if isinstance(error, UserError) else error.strerror or error
            return [f"{consumer.name} cannot be written any more, the run goes on without it: {told}"]


class MetricsTable:
    """`metrics.csv`: a row an epoch. It is written whole from what the checkpoint holds, so no row is ever doubled."""

    name = "metrics.csv"

    def __init__(self) -> None:
        self._folder = Path()

    def consume(self, event: Event) -> Sequence[str]:
        """Write the table when an epoch's checkpoint is on the disk."""
        if isinstance(event, RunStarted):
            self._folder = event.run_dir
        elif isinstance(event, CheckpointSaved) and event.reason == "epoch":
            write_metrics(self._folder, event.history)
        return ()

    def close(self) -> None:
        """Nothing is open."""


class Pictures:
    """`preview.png`: what the network was trained on; `predictions.png`: what it finds on fresh images.

    Args:
        images: on a sheet.
    """

    name = "the pictures of the run"

    def __init__(self, images: int = 16) -> None:
        self._images = images
        self._started: RunStarted | None = None

    def consume(self, event: Event) -> Sequence[str]:
        """Draw when there is something to be seen."""
        if isinstance(event, RunStarted):
            self._started = event
        elif isinstance(event, FirstBatch):
            assert self._started is not None, "a run starts before its first batch"
            write_preview(self._started, event.batch, self._images)
        elif isinstance(event, Shipped):
            assert self._started is not None, "a run starts before it ships"
            write_predictions(self._started, event.model, self._images)
        return ()

    def close(self) -> None:
        """Nothing is open."""


class TensorBoard:
    """Scalars of every step and epoch for TensorBoard, in the run's folder `tensorboard`.

    A resumed run tells TensorBoard to forget the steps after its checkpoint, so that none is there twice.

    Raises:
        ConfigError: TensorBoard is not installed.
    """

    name = "tensorboard"

    def __init__(self) -> None:
        from yolo_proc.training.tensorboard import SummaryWriter, require_tensorboard

        require_tensorboard()
        self._open = SummaryWriter
        self._writer: SummaryWriter | None = None

    def consume(self, event: Event) -> Sequence[str]:
        """Write the scalars of a step or an epoch."""
        if isinstance(event, RunStarted):
            self._writer = self._open(event.run_dir / "tensorboard", purge_step=event.steps_done + 1)
        elif self._writer is not None and isinstance(event, Step):
            scalars = {"loss": event.loss, "lr": event.lr, "grad_norm": event.grad_norm}
            terms = {f"loss_{name}": value for name, value in event.terms.items()}
            self._writer.add("step", {**scalars, **terms}, event.step)
        elif self._writer is not None and isinstance(event, EpochEnd):
            scalars = {"loss": event.loss, "loss_upper": event.loss_upper, "val_loss": event.val_loss, "lr": event.lr}
            terms = {f"loss_{name}": value for name, value in event.terms.items()}
            self._writer.add("epoch", {**scalars, **terms, **event.figures}, event.step)
        return ()

    def close(self) -> None:
        """Write what waits."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def standard_consumers(config: Config, *, images: int = 16) -> tuple[Consumer, ...]:
    """Return the consumers that write into a run's folder.

    Args:
        images: on a sheet of pictures.

    Raises:
        ConfigError: `--tensorboard` is on and TensorBoard is not installed.
    """
    always = (StepsTable(), MetricsTable(), Pictures(images))
    return (*always, TensorBoard()) if config.tensorboard else always
