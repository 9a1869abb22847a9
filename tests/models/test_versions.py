"""Checkpoints of earlier releases are read, used and gone on from."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_run import run_tiny

from yolo_proc.data.run_config import resumed_config
from yolo_proc.models import checkpoint
from yolo_proc.models.versions import VERSION, upgraded
from yolo_proc.models.weights import model_from_checkpoint
from yolo_proc.training.events import EpochEnd, Stopped

SAVED = Path(__file__).parents[1] / "golden" / "checkpoint_v1" / "000001.pt"


def test_a_network_of_version_1_gives_the_logits_that_it_gave() -> None:
    """Two grids, so that the neck is in it too; the numbers were printed by the release that wrote the file."""
    model = model_from_checkpoint(checkpoint.load(SAVED))
    levels = (np.indices((64, 64)).sum(axis=0) * 3 % 256).astype(np.uint8)
    images = torch.from_numpy(np.repeat(levels[None, ..., None], 3, axis=3))  # (1, 64, 64, 3)
    with torch.inference_mode():
        logits = model(images).numpy()
    assert logits.shape == (1, 80, 9)
    first = [-0.033292443, -0.013088707, -0.012954995, 0.00759466, 0.598128438, -0.076125108, 0.060444523]
    assert logits[0, 0, :7] == pytest.approx(first, abs=1e-5)
    assert float(np.abs(logits).sum()) == pytest.approx(80.14937, rel=1e-5)


@pytest.mark.slow
def test_a_run_of_version_1_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "v1"
    folder.mkdir()
    path = Path(shutil.copy(SAVED, folder / SAVED.name))
    config = resumed_config(checkpoint.load(path)["config"], path, {}, trust=True)
    events = run_tiny(config, folder, accept_changed_data=True)
    ends = [event for event in events if isinstance(event, EpochEnd)]
    assert [end.epoch for end in ends] == [2]
    # Another processor, and scenes that other libraries draw, give a loss nearby.
    assert ends[0].loss == pytest.approx(2.9603, rel=0.02)
    assert isinstance(events[-1], Stopped)
    assert checkpoint.load(folder / "000002.pt")["version"] == VERSION


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"version": 1},
        {"version": True, "task": "detect"},
        {"version": 1, "task": "other", "weights": {"body.x": 1}},
        {"version": VERSION, "task": "detection", "weights": {"body.x": 1}},
    ],
)
def test_what_is_no_state_of_version_1_stays_as_it_is(state: dict[str, object]) -> None:
    assert upgraded(state) == state


def test_the_parts_of_a_network_get_their_present_names() -> None:
    names = ["mean", "body.stem.0.weight", "body.laterals.8.0.weight", "body.merges.8.first.0.weight"]
    names += ["output.layers.0.bias", "auxiliary.layers.0.bias"]
    found = upgraded({"version": 1, "task": "detect", "weights": dict.fromkeys(names, 0), "ema": None})
    assert list(found["weights"]) == [
        "mean",
        "backbone.stem.0.weight",
        "neck.laterals.8.0.weight",
        "neck.merges.8.first.0.weight",
        "head.layers.0.bias",
        "auxiliary_head.layers.0.bias",
    ]
    assert found["ema"] is None
