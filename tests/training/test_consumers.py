"""The consumers of a run's events: tables, pictures, TensorBoard."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from tiny_run import STEPS_PER_EPOCH, rows, run_tiny, timeless, tiny_config, tiny_trainer

from yolo_proc.errors import ConfigError, DataError
from yolo_proc.models import checkpoint
from yolo_proc.training.consumers import Consumers, standard_consumers
from yolo_proc.training.events import EpochEnd, Event, Note, Step, Stopped
from yolo_proc.training.steps_table import cut_back
from yolo_proc.training.trainer import Trainer


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Event]]:
    """An uninterrupted run of three epochs, and what it said."""
    runs = tmp_path_factory.mktemp("whole")
    return runs / "tiny", run_tiny(tiny_config(runs))


def test_every_step_has_a_row_with_every_bit(whole: tuple[Path, list[Event]]) -> None:
    folder, events = whole
    steps = [event for event in events if isinstance(event, Step)]
    found = rows(folder)
    assert len(found) == len(steps) == 3 * STEPS_PER_EPOCH
    for row, step in zip(found, steps, strict=True):
        assert (int(row["step"]), int(row["epoch"]), int(row["images"])) == (step.step, step.epoch, step.images)
        assert float(row["loss"]) == step.loss
        assert {name: float(row[f"loss_{name}"]) for name in step.terms} == dict(step.terms)
        assert (float(row["lr"]), float(row["grad_norm"])) == (step.lr, step.grad_norm)
        assert row["clipped"] == ("1" if step.clipped else "0")
        assert float(row["wait_seconds"]) >= 0
        assert float(row["step_seconds"]) > 0
    assert sum(float(row[f"loss_{name}"]) for row in found for name in steps[0].terms) == pytest.approx(
        sum(float(row["loss"]) for row in found), rel=1e-5
    )


@pytest.mark.parametrize("stop_after", [1, STEPS_PER_EPOCH, STEPS_PER_EPOCH + 2])
def test_a_resumed_run_leaves_the_same_table(whole: tuple[Path, list[Event]], tmp_path: Path, stop_after: int) -> None:
    config = tiny_config(tmp_path)
    run_tiny(config, stop_after=stop_after)
    assert len(rows(tmp_path / "tiny")) == stop_after
    run_tiny(config, tmp_path / "tiny")
    assert timeless(tmp_path / "tiny") == timeless(whole[0])


def test_a_run_that_goes_on_from_an_older_checkpoint_cuts_the_rows_after_it(
    whole: tuple[Path, list[Event]], tmp_path: Path
) -> None:
    config = tiny_config(tmp_path)
    run_tiny(config)
    table = tmp_path / "tiny" / "steps.csv"
    table.write_bytes(table.read_bytes() + b"3,13,5")  # torn by a crash
    events = tiny_trainer(config, tmp_path / "tiny" / "000001.pt").run()
    next(events)
    assert len(rows(tmp_path / "tiny")) == STEPS_PER_EPOCH
    assert isinstance([*events][-1], Stopped)
    assert timeless(tmp_path / "tiny") == timeless(whole[0])


def test_a_table_that_is_gone_or_short_is_told_and_goes_on(tmp_path: Path) -> None:
    config = tiny_config(tmp_path)
    run_tiny(config, stop_after=STEPS_PER_EPOCH)
    (tmp_path / "tiny" / "steps.csv").unlink()
    events = run_tiny(config, tmp_path / "tiny")
    (note,) = [event.text for event in events if isinstance(event, Note) and "steps.csv" in event.text]
    assert f"has 0 of the {STEPS_PER_EPOCH} steps so far" in note
    assert [int(row["step"]) for row in rows(tmp_path / "tiny")] == [*range(STEPS_PER_EPOCH + 1, 13)]


@pytest.mark.parametrize(
    ("content", "steps", "left"),
    [
        (b"", 3, b""),
        (b"epoch,step", 3, b""),  # a torn header
        (b"something else\n1,2\n", 3, b""),
        (b"epoch,step\n1,1\n1,2\n", 0, b""),
        (b"epoch,step\n1,1\n1,2\n", 2, b"epoch,step\n1,1\n1,2\n"),
        (b"epoch,step\n1,1\n1,2\n", 1, b"epoch,step\n1,1\n"),
        (b"epoch,step\n1,1\n1,2", 2, b"epoch,step\n1,1\n"),  # a torn row
        (b"epoch,step\n1,1\n1\n1,3\n", 3, b"epoch,step\n1,1\n"),
        (b"epoch,step\n1,1\n1,x\n", 3, b"epoch,step\n1,1\n"),
    ],
)
def test_what_is_left_of_a_table(tmp_path: Path, content: bytes, steps: int, left: bytes) -> None:
    path = tmp_path / "steps.csv"
    path.write_bytes(content)
    assert cut_back(path, steps) == max(0, left.count(b"\n") - 1)
    assert path.read_bytes() == left
    assert cut_back(tmp_path / "none.csv", steps) == 0


class Failing:
    """A consumer that cannot write from its second event on."""

    name = "a table"

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.events: list[Event] = []
        self.closed = 0

    def consume(self, event: Event) -> Sequence[str]:
        self.events.append(event)
        if len(self.events) > 1:
            raise self.error
        return ()

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), DataError("a.csv: cannot be written")])
def test_a_consumer_that_cannot_write_does_not_end_the_run(tmp_path: Path, error: Exception) -> None:
    failing = Failing(error)
    events = [*Trainer(tiny_config(tmp_path, epochs=1), consumers=[failing]).run()]
    assert isinstance(events[-1], Stopped)
    assert events[-1].exit_code == 0
    notes = [event.text for event in events if isinstance(event, Note) and event.text.startswith("a table cannot be")]
    assert len(notes) == 1
    assert "No space left" in notes[0] or "a.csv" in notes[0]
    assert (len(failing.events), failing.closed) == (2, 1)
    # The state is the trainer's, and it alone is written where nobody else listens.
    assert checkpoint.list_checkpoints(tmp_path / "tiny")
    assert not (tmp_path / "tiny" / "metrics.csv").exists()
    assert not (tmp_path / "tiny" / "preview.png").exists()


def test_a_bug_of_a_consumer_is_no_note(tmp_path: Path) -> None:
    failing = Failing(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        [*Trainer(tiny_config(tmp_path, epochs=1), consumers=[failing]).run()]
    assert failing.closed == 1


def test_consumers_are_closed_where_nobody_listens_to_the_end() -> None:
    failing = Failing(ZeroDivisionError())
    events = Consumers([failing]).told(iter([Note("a"), Note("b")]))
    assert next(events) == Note("a")
    events.close()  # type: ignore[attr-defined]
    assert failing.closed == 1
    assert list(Consumers([]).told(iter([]))) == []


def test_tensorboard_has_each_step_once_after_a_resume(tmp_path: Path) -> None:
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    config = tiny_config(tmp_path, tensorboard=True)
    first = run_tiny(config, stop_after=STEPS_PER_EPOCH + 2)
    # From the epoch before: two steps are taken again, and must not stand there twice.
    resumed = [*tiny_trainer(config, tmp_path / "tiny" / "000001.pt").run()]
    steps = {event.step: event for event in [*first, *resumed] if isinstance(event, Step)}
    board = event_accumulator.EventAccumulator(str(tmp_path / "tiny" / "tensorboard"))
    board.Reload()
    scalars = board.Scalars("step/loss")
    assert [one.step for one in scalars] == [*range(1, 3 * STEPS_PER_EPOCH + 1)]
    assert [one.value for one in scalars] == [np.float32(steps[one.step].loss) for one in scalars]
    ends = [event for event in [*first, *resumed] if isinstance(event, EpochEnd)]
    assert [one.value for one in board.Scalars("epoch/val_loss")] == [np.float32(end.val_loss) for end in ends]


def test_tensorboard_that_is_not_installed_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("yolo_proc.training.tensorboard.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"install it: pip install tensorboard"):
        standard_consumers(tiny_config(tmp_path, tensorboard=True))
    assert len(standard_consumers(tiny_config(tmp_path))) == 3
