"""A run small enough for tests: seconds, one thread, no other process."""

import csv
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from yolo_proc.checks.gate import quick_outcomes
from yolo_proc.config.schema import AugmentConfig, Config, GeneratorConfig, ModelConfig, OptimConfig
from yolo_proc.training.consumers import standard_consumers
from yolo_proc.training.events import Event, Step, Stopped
from yolo_proc.training.steps_table import TIMES
from yolo_proc.training.trainer import Command, Trainer

STEPS_PER_EPOCH = 4


def tiny_config(runs_dir: Path, **changes: Any) -> Config:
    """Three epochs of four steps; the learning rate decays in the last two."""
    # What needs no albumentations, which takes seconds to import.
    augment = AugmentConfig(colour_p=0.0, blur_p=0.0, compression_p=0.0)
    config = Config(
        run="tiny",
        runs_dir=str(runs_dir),
        device="cpu",
        precision="float32",
        threads=1,
        workers=0,
        batch_size=4,
        image_size=64,
        epoch_images=4 * STEPS_PER_EPOCH,
        epochs=3,
        no_check=True,  # tests of checks switch them on
        generator=GeneratorConfig("shapes"),
        augment=augment,
        validation_images=20,
        target_images=40,
        calibration_images=20,
        model=ModelConfig(width=0.25, depth=1, anchor_scenes=50),
        optim=OptimConfig(warmup_steps=2, decay_steps=2),
    )
    return replace(config, **changes)


def tiny_trainer(config: Config, resume_from: Path | None = None, accept_changed_data: bool = False) -> Trainer:
    """A trainer as the command line makes it, with few images on its sheets."""
    consumers = standard_consumers(config, images=4)
    return Trainer(config, resume_from, accept_changed_data, checks=quick_outcomes, consumers=consumers)


def run_tiny(
    config: Config, resume_from: Path | None = None, *, stop_after: int | None = None, accept_changed_data: bool = False
) -> list[Event]:
    """Runs to the end, or asks it to stop after the step `stop_after`; gives all events."""
    trainer = tiny_trainer(config, resume_from, accept_changed_data)
    events: list[Event] = []
    for event in trainer.run():
        events.append(event)
        if isinstance(event, Step) and event.step == stop_after:
            trainer.commands.put(Command.STOP)
    assert isinstance(events[-1], Stopped)
    return events


def child(runs_dir: Path, resume: bool, marks: Path) -> None:
    """The body of a process that will be killed: goes on from what is there and says each step it took."""
    torch.set_num_threads(1)
    folder = runs_dir / "tiny"
    trainer = tiny_trainer(tiny_config(runs_dir, save_minutes=1e-9), folder if resume else None)
    with marks.open("a") as log:
        for event in trainer.run():
            if isinstance(event, Step):
                print(event.step, file=log, flush=True)


def rows(folder: Path) -> list[dict[str, str]]:
    """The table of a run's steps."""
    return list(csv.DictReader(io.StringIO((folder / "steps.csv").read_text())))


def timeless(folder: Path) -> list[dict[str, str]]:
    """The same without its columns of time, which alone may differ."""
    return [{name: value for name, value in row.items() if name not in TIMES} for row in rows(folder)]


def differing(a: Any, b: Any, where: str = "") -> Iterator[str]:
    """The places at which two states differ, bit for bit."""
    if isinstance(a, torch.Tensor):
        if not (isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)):
            yield where
    elif isinstance(a, dict):
        if not isinstance(b, dict) or list(a) != list(b):
            yield where
        else:
            for key in a:
                yield from differing(a[key], b[key], f"{where}/{key}")
    elif isinstance(a, list | tuple):
        if not isinstance(b, list | tuple) or len(a) != len(b):
            yield where
        else:
            for number, (one, other) in enumerate(zip(a, b, strict=True)):
                yield from differing(one, other, f"{where}/{number}")
    elif not (a == b or (a != a and b != b)):
        yield where
