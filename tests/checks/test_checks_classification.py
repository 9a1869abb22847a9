"""Checks of a classification: a sound pipeline passes all, each planted fault is caught by the check that names it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_run import run_tiny, tiny_config
from torch import Tensor, nn

from yolo_proc.batch import Batch
from yolo_proc.checks.bench import Bench
from yolo_proc.checks.check import run_checks
from yolo_proc.checks.registry import CHECKS, checks_named, quick_checks
from yolo_proc.classification.task import ClassificationTask
from yolo_proc.config.schema import GeneratorConfig, ModelConfig
from yolo_proc.data.stream import batches
from yolo_proc.training.outcomes import Outcome
from yolo_proc.training.session import first_model

pytestmark = pytest.mark.slow

SCENES = """
from dataclasses import dataclass
from yolo_proc import Generator, circle, rectangle

@dataclass(frozen=True)
class One(Generator):
    classes = ("circle", "square")

    def draw(self, canvas, rng):
        canvas.background(rng.integers(0, 100, 3))
        x, y = rng.uniform(0.35, 0.65, 2)
        colour = rng.integers(150, 256, 3)
        if rng.integers(2):
            canvas.draw(circle(x, y, 0.25), colour, "circle")
        else:
            canvas.draw(rectangle(x - 0.25, y - 0.25, x + 0.25, y + 0.25), colour, "square")

class Never(One):
    classes = ("circle", "square", "star")

class Bare(One):
    def draw(self, canvas, rng):
        canvas.background(rng.integers(0, 100, 3))
        if rng.random() < 0.5:
            canvas.draw(circle(0.5, 0.5, 0.3), (255, 255, 255), "circle")
        elif rng.random() < 0.3:
            canvas.draw(circle(0.5, 0.5, 0.1), (255, 255, 255), "square")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("scenes")
    (folder / "one.py").write_text(SCENES)
    return folder


def bench_of(folder: Path, generator: str = "One") -> Bench:
    config = tiny_config(folder, task="classification", batch_size=8, model=ModelConfig(width=0.25, depth=1))
    return Bench(replace(config, generator=GeneratorConfig(f"{folder / 'one.py'}:{generator}")))


@pytest.fixture(scope="module")
def healthy(folder: Path) -> Bench:
    return bench_of(folder)


def outcome_of(bench: Bench, name: str, out: Path | None = None) -> Outcome:
    (outcome,) = run_checks(bench, checks_named(name), out)
    return outcome


@pytest.mark.parametrize("name", [check.name for check in CHECKS])
def test_a_sound_pipeline_passes(healthy: Bench, name: str, tmp_path: Path) -> None:
    outcome = outcome_of(healthy, name, tmp_path)
    expected = "not applicable" if name == "round-trip" else "pass"
    assert outcome.finding.verdict == expected, outcome.lines()


class Tampered(ClassificationTask):
    """A task with another loss."""

    change: Callable[[Tensor, Any], tuple[Tensor, Any]] = staticmethod(lambda logits, targets: (logits, targets))

    def loss(self, logits: Tensor, targets: Any) -> Any:
        return super().loss(*type(self).change(logits, targets))


def with_loss(bench: Bench, change: Callable[[Tensor, Any], tuple[Tensor, Any]]) -> Bench:
    task = bench.task
    kind = type("Changed", (Tampered,), {"change": staticmethod(change)})
    other = kind(task.classes, task.frame, task.limits, task.loss_config)
    return bench.with_parts(build_task=lambda *_: other)


class After(nn.Module):
    """A head with something behind it."""

    def __init__(self, head: nn.Module, then: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.head, self.then, self.layers = head, then, head.layers

    def forward(self, features: list[Tensor]) -> Tensor:
        return self.then(self.head(features))


def with_output(bench: Bench, then: Callable[[Tensor], Tensor]) -> Bench:
    def build(*given: Any) -> Any:
        model = first_model(*given)
        model.head = After(model.head, then)
        return model

    return bench.with_parts(build_model=build)


def with_head_weights(bench: Bench, std: float) -> Bench:
    def build(*given: Any) -> Any:
        model = first_model(*given)
        nn.init.normal_(model.head.layers[0].weight, std=std)
        return model

    return bench.with_parts(build_model=build)


def with_frozen_head(bench: Bench) -> Bench:
    def build(*given: Any) -> Any:
        model = first_model(*given)
        model.head.requires_grad_(False)
        return model

    return bench.with_parts(build_model=build)


def with_batches(bench: Bench, change: Callable[[Batch], Batch]) -> Bench:
    def changed(*given: Any, **named: Any) -> Any:
        return (change(batch) for batch in batches(*given, **named))

    return bench.with_parts(batches=changed)


def shuffled(batch: Batch) -> Batch:
    """Images whose labels belong to others, another way each time."""
    order = torch.randperm(len(batch))
    return replace(batch, images=batch.images[order])


def leaking(logits: Tensor) -> Tensor:
    return logits + 0.01 * logits.mean(0, keepdim=True)


FAULTS: dict[str, tuple[str, str, Callable[[Bench], Bench]]] = {
    "softmax in the network": ("logits", "softmax in the network", lambda b: with_output(b, lambda x: x.softmax(1))),
    "clipped logits": ("logits", "clips or bends", lambda b: with_output(b, lambda x: x.clamp(-1, 1))),
    "softmax before the loss": ("logits", "softmax before", lambda b: with_loss(b, lambda x, t: (x.softmax(1), t))),
    "logarithm of what it is given": (
        "logits",
        "takes probabilities",
        lambda b: with_loss(b, lambda x, t: (x.clamp(1e-9).log(), t)),
    ),
    "the next class": (
        "gradients",
        "another function than the mean cross-entropy",
        lambda b: with_loss(b, lambda x, t: (x.roll(1, dims=1), t)),
    ),
    "a detached loss": (
        "gradients",
        "is not the slope",
        lambda b: with_loss(b, lambda x, t: (x.detach() + 0 * x, t)),
    ),
    "weights that start large": ("initial-loss", "weights start too large", lambda b: with_head_weights(b, 3.0)),
    "images that leak": ("dependence", "leak into each other", lambda b: with_output(b, leaking)),
    "no image": ("dependence", "do not depend on the picture", lambda b: with_output(b, lambda x: x * 0)),
    "a frozen head": ("parameters", "requires_grad is off", lambda b: with_frozen_head(b)),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_caught_by_name(healthy: Bench, name: str, tmp_path: Path) -> None:
    check, cause, inject = FAULTS[name]
    outcome = outcome_of(inject(healthy), check, tmp_path)
    assert outcome.failed, outcome.finding.measured
    assert any(cause in one for one in outcome.finding.causes), outcome.finding.causes


def test_labels_of_other_images_cannot_be_learned(healthy: Bench) -> None:
    outcome = outcome_of(with_batches(healthy, lambda batch: replace(batch, images=batch.images.flip(0))), "picture")
    assert outcome.finding.verdict in ("pass", "not applicable")  # it looks at scenes, which are sound
    grey = with_batches(healthy, lambda batch: replace(batch, images=torch.zeros_like(batch.images)))
    outcome = outcome_of(grey, "overfit")
    assert outcome.failed
    assert "equal images with different classes" in outcome.finding.causes[0]


@pytest.mark.parametrize(
    ("generator", "cause"), [("Never", "never drawn: star"), ("Bare", "show nothing that has a label")]
)
def test_labels_that_cannot_be_learned_from_are_told(folder: Path, generator: str, cause: str, tmp_path: Path) -> None:
    outcome = outcome_of(bench_of(folder, generator), "labels", tmp_path)
    assert outcome.failed
    assert cause in outcome.finding.causes[0]


def test_a_class_that_is_not_clear_is_a_breach(healthy: Bench) -> None:
    def doubled(batch: Batch) -> Batch:
        return replace(
            batch,
            box_xyxy=np.repeat(batch.box_xyxy, 2, axis=0),
            class_ids=np.repeat(batch.class_ids, 2),
            image_ids=np.repeat(batch.image_ids, 2),
            confidence=np.repeat(batch.confidence, 2),
            visible=np.repeat(batch.visible, 2),
            in_frame=np.repeat(batch.in_frame, 2),
        )

    outcome = outcome_of(with_batches(healthy, doubled), "labels")
    assert outcome.failed
    assert "2 objects and no label" in outcome.finding.causes[0]


def test_a_run_is_checked_before_its_first_step(folder: Path) -> None:
    config = bench_of(folder).config
    events = run_tiny(replace(config, no_check=False, run="checked", epochs=1))
    outcomes = next(event.outcomes for event in events if hasattr(event, "outcomes"))
    assert [outcome.check for outcome in outcomes] == [check.name for check in quick_checks()]
    assert not any(outcome.failed for outcome in outcomes)
