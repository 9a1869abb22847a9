"""The checks that stand before and in a training run: they stop it, they name the scene, and they change nothing."""

from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from tiny_run import differing, run_tiny, tiny_config

from yolo_proc.batch import Batch
from yolo_proc.checks.gate import quick_outcomes
from yolo_proc.checks.registry import quick_checks
from yolo_proc.config.schema import Config, LabelConfig, ModelConfig
from yolo_proc.detection.heads import SlotHead
from yolo_proc.errors import TrainingError
from yolo_proc.models import checkpoint
from yolo_proc.training.events import Checked, Event, Note, RunStarted, Step, Stopped
from yolo_proc.training.trainer import Command, Trainer

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> None:
    torch.set_num_threads(1)


def checked_config(runs_dir: Path, **changes: Any) -> Config:
    return tiny_config(runs_dir, epochs=1, no_check=False, **changes)


def of_kind(events: list[Event], kind: type) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def weights(folder: Path) -> Any:
    return checkpoint.newest_valid(folder)[1]["weights"]


def test_a_sound_run_is_checked_once_and_trains_as_if_it_had_not_been(tmp_path: Path) -> None:
    events = run_tiny(checked_config(tmp_path))
    assert isinstance(events[0], RunStarted)
    (checked,) = of_kind(events, Checked)
    assert events.index(checked) < events.index(of_kind(events, Step)[0])
    assert [one.check for one in checked.outcomes] == [check.name for check in quick_checks()]
    assert [one.finding.verdict for one in checked.outcomes if one.failed] == []
    assert not (tmp_path / "tiny" / "checks").exists()
    unchecked = run_tiny(replace(checked_config(tmp_path / "unchecked"), no_check=True))
    assert of_kind(unchecked, Checked) == []
    assert list(differing(weights(tmp_path / "tiny"), weights(tmp_path / "unchecked" / "tiny"))) == []
    resumed = run_tiny(replace(checked_config(tmp_path), epochs=2), tmp_path / "tiny")
    assert of_kind(resumed, Step)
    assert of_kind(resumed, Checked) == []


def test_a_failed_check_stops_a_run_before_its_first_step(tmp_path: Path) -> None:
    model = ModelConfig(width=0.25, depth=1, anchors="30x30")
    config = checked_config(tmp_path, labels=LabelConfig(min_box_px=30.0), model=model)
    events = run_tiny(config)
    assert of_kind(events, Step) == []
    (checked,) = of_kind(events, Checked)
    assert "labels" in [one.check for one in checked.outcomes if one.failed]
    last = events[-1]
    assert isinstance(last, Stopped)
    assert (last.reason, last.exit_code, last.images) == ("failed", 1, 0)
    assert "labels" in last.message
    assert "--no-check" in last.message
    assert (tmp_path / "tiny" / "checks" / "labels.png").exists()
    assert checkpoint.list_checkpoints(tmp_path / "tiny") == []
    # The same run without the checks trains, and says at each epoch's end that too much is dropped.
    events = run_tiny(replace(config, no_check=True, epochs=2))
    notes = [note.text for note in of_kind(events, Note) if "are not learned" in note.text]
    assert len(notes) == 2
    assert "min_box_px" in notes[0]


def test_a_sound_run_says_nothing_of_what_it_drops(tmp_path: Path) -> None:
    events = run_tiny(tiny_config(tmp_path, epochs=1))
    assert [note.text for note in of_kind(events, Note) if "are not learned" in note.text] == []


def test_a_stop_that_is_asked_for_while_checking_is_obeyed(tmp_path: Path) -> None:
    trainer = Trainer(checked_config(tmp_path), checks=quick_outcomes)
    events = []
    for event in trainer.run():
        events.append(event)
        if isinstance(event, Note):
            trainer.commands.put(Command.STOP)
    (checked,) = of_kind(events, Checked)
    assert len(checked.outcomes) == 1
    assert isinstance(events[-1], Stopped)
    assert (events[-1].reason, len(of_kind(events, Step))) == ("signal", 1)


@pytest.mark.parametrize("step", [1, 3])
def test_the_contract_of_labels_stays_on_while_training(tmp_path: Path, step: int) -> None:
    """A batch that breaks it stops the run with the scene's index, whatever was checked before; no weight changes."""
    broken = 4 * (step - 1) + 2
    of = Batch.of.__func__  # type: ignore[attr-defined]

    def spoilt(cls: type[Batch], scenes: Any, indices: Any = None, **named: Any) -> Batch:
        batch: Batch = of(cls, scenes, indices, **named)
        if batch.indices[0] != 4 * (step - 1) or len(batch) != 4:
            return batch
        boxes = batch.box_xyxy.copy()
        boxes[batch.objects_of(2).start, 0] = np.nan
        return replace(batch, box_xyxy=boxes)

    with (
        mock.patch.object(Batch, "of", classmethod(spoilt)),
        mock.patch.object(SlotHead, "calibrate"),
        pytest.raises(TrainingError, match=rf"^step {step}, stream train, scene {broken}: .*not finite.*no weight"),
    ):
        run_tiny(tiny_config(tmp_path, epochs=1))
    assert checkpoint.list_checkpoints(tmp_path / "tiny") == []
