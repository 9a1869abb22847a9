"""The checks of the optimisation: their measurements, and the table that proves them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from variants import base_config

from yolo_proc.batch import Batch
from yolo_proc.boxes import FloatArray
from yolo_proc.checks.bench import Bench
from yolo_proc.checks.check import run_checks
from yolo_proc.checks.optimisation import memory, step, trial, updates
from yolo_proc.checks.optimisation.capacity import CHECK as CAPACITY
from yolo_proc.checks.optimisation.capacity import variants
from yolo_proc.checks.optimisation.memory import MIB, Exhausted, Measured, MemoryRequest
from yolo_proc.checks.optimisation.overfit import _found
from yolo_proc.checks.registry import checks_named
from yolo_proc.config.schema import Config, ModelConfig, OptimConfig
from yolo_proc.detection.nms import Detections
from yolo_proc.scene import Scene, SceneObject
from yolo_proc.training.muon import Muon

pytestmark = pytest.mark.slow

GIB = 2.0**30


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench(base_config(small=True))


# --------------------------------------------------------------------------------------------------- trials


def test_a_trial_warms_up_shortly_and_ends_where_the_loss_is_not_finite(bench: Bench) -> None:
    state = trial.begin(bench, factor=3.0)
    assert state.config.optim.peak_lr == pytest.approx(3 * bench.config.optim.peak_lr)
    assert state.config.optim.warmup_steps == min(trial.WARMUP, bench.config.optim.warmup_steps)
    batch = bench.batch(0, 2)
    with torch.no_grad():
        state.model.head.layers[0].weight[0, 0, 0, 0] = float("nan")
    broken = trial.follow(bench, state, [batch] * 3)
    assert list(broken.losses) == [float("inf")]
    assert broken.diverged


def test_scenes_without_objects_are_passed_over_while_there_are_others(bench: Bench) -> None:
    empty = Batch.of([Scene(image.numpy()) for image in bench.batch(0, 2).images])
    real = bench.batch(1, 2)
    with mock.patch.object(Bench, "batch", lambda self, k, size: real if k == 3 else empty):
        assert trial.learnable(bench, 2) is real
    with mock.patch.object(Bench, "batch", return_value=empty):
        assert trial.learnable(bench, 2) is None
        for outcome in run_checks(bench, checks_named("overfit,baseline")):
            assert outcome.finding.verdict == "not applicable"


def test_a_label_is_found_by_its_place_and_its_class() -> None:
    scene = Scene(np.zeros((32, 32, 3), np.uint8), (SceneObject((4, 4, 20, 20), 1), SceneObject((22, 22, 30, 30), 0)))
    batch = Batch.of([Scene(scene.image), scene])

    def found(boxes: list[list[float]], classes: list[int]) -> int:
        rows: FloatArray = np.array(boxes, dtype=np.float64).reshape(-1, 4)
        ids = np.array(classes, dtype=np.int64)
        return _found(batch, 1, Detections(rows, np.ones(len(ids)), ids, ids))

    assert found([], []) == 0
    assert found([[4, 4, 20, 20], [22, 22, 30, 30]], [1, 0]) == 2
    assert found([[4, 4, 20, 20]], [0]) == 0
    assert found([[4, 4, 20, 20], [4, 4, 20, 19]], [1, 1]) == 1
    assert found([[4, 4, 20, 12]], [1]) == 0
    assert _found(batch, 0, Detections(np.array([[4.0, 4, 20, 20]]), np.ones(1), np.ones(1, int), np.ones(1, int))) == 0


# -------------------------------------------------------------------------------------------------- updates


@pytest.mark.parametrize("decay", [0.0, 0.02])
@pytest.mark.parametrize("name", ["muon", "adamw", "sgd"])
def test_weights_decay_by_rate_times_decay(bench: Bench, name: str, decay: float) -> None:
    finding = step.run(Bench(replace(bench.config, optim=OptimConfig(name, weight_decay=decay))))
    assert finding.verdict == "pass", finding.causes
    expected = decay * OptimConfig(name).peak_lr * (1.9 if name == "sgd" else 1)
    assert finding.figures["declared there"] in (pytest.approx(expected), pytest.approx(expected / 10))


@pytest.mark.parametrize(
    ("harm", "cause"),
    [
        (lambda group, p: p.ndim > 1 and p.mul_(0.98), "not multiplied by the learning rate"),
        (lambda group, p: p.ndim > 1 and p.mul_(1 - 0.02 * group["lr"]), "another than declared"),
        (lambda group, p: p.ndim == 1 and p.mul_(1 - 0.02 * group["lr"]), "they decay too"),
    ],
)
def test_another_decay_of_weights_is_named(
    bench: Bench, harm: Callable[[dict[str, Any], torch.Tensor], object], cause: str
) -> None:
    sound = Muon.step

    def wrong(self: Muon, *arguments: Any) -> Any:
        result = sound(self, *arguments)
        with torch.no_grad():
            for group in self.param_groups:
                for parameter in group["params"]:
                    harm(group, parameter)
        return result

    with mock.patch.object(Muon, "step", wrong):
        finding = step.run(bench)
    assert finding.verdict == "fail"
    assert cause in finding.causes[0]


def test_units_that_do_not_vary_are_dead_or_saturated() -> None:
    answers = torch.rand(4, 5, 3, 3)
    answers[:, 1] = 0.0
    answers[:, 3] = 7.0
    layer = updates._layer("one", answers)
    assert (layer.units, layer.dead, layer.saturated, layer.share) == (5, 1, 1, 0.4)
    assert layer.counts.sum() == answers.numel()
    nothing = updates._layer("all", torch.zeros(2, 3, 4, 4))
    assert (nothing.dead, nothing.saturated) == (3, 0)


def test_the_ratio_is_of_the_weights_at_the_start() -> None:
    before, after = torch.full((2, 2), 2.0), torch.full((2, 2), 3.0)
    assert updates._ratio(before, after, 4.0) == pytest.approx(0.5)
    assert updates._ratio(before, before, 4.0) == 0.0
    assert updates._ratio(torch.zeros(2, 2), after, 0.0) == pytest.approx(1.0)
    assert updates._ratio(torch.zeros(2, 2), torch.zeros(2, 2), 0.0) == 0.0


def test_activations_are_found_and_nothing_else(bench: Bench) -> None:
    names = [name for name, module in bench.new_model().named_modules() if updates._activates(module)]
    assert "backbone.stem.2" in names
    assert not any(name.startswith("output") or name.endswith("second.2") for name in names)


# --------------------------------------------------------------------------------------------------- memory


def test_the_peak_of_a_larger_batch_lies_on_the_line() -> None:
    # A small batch may hide below what something else took; only the last three are on the line.
    found = Measured((4, 8, 16, 32), (1.8 * GIB, 1.8 * GIB, 2.6 * GIB, 4.2 * GIB), 0.0)
    assert found.peak(16) == 2.6 * GIB
    assert found.peak(64) == pytest.approx(7.4 * GIB)
    assert found.largest(7.4 * GIB + 1) == 64
    assert found.largest(0.5 * GIB) == 0
    assert found.largest(1e18) == memory.LARGEST
    assert Measured((1,), (GIB,), 0.0).peak(3) == 3 * GIB


def test_batches_are_doubled_until_their_memory_shows(bench: Bench) -> None:
    request = MemoryRequest(bench.config, bench.parts, bench.task, "float32", 1, (1, 2))
    peaks = [5 * MIB, 6 * MIB, 7 * MIB, 60 * MIB, 60 * MIB]
    with mock.patch.object(memory, "_peak", side_effect=peaks):
        found = memory.measure(request)
    assert list(found.sizes) == [1, 2, 4, 8]
    assert list(found.peaks) == [5 * MIB, 6 * MIB, 7 * MIB, 60 * MIB]
    assert found.growth == 0.0


def test_a_process_that_runs_out_of_memory_is_a_batch_too_large(bench: Bench) -> None:
    with mock.patch.object(memory, "in_process", return_value=Exhausted()):
        finding = memory.run(bench)
    assert finding.verdict == "fail"
    assert "batch is too large" in finding.causes[0]


def test_parts_that_cannot_be_sent_make_the_check_not_applicable(bench: Bench) -> None:
    closure = bench.with_parts(learn=lambda *given: bench.parts.learn(*given))
    assert "cannot be sent" in memory.run(closure).reason


def test_free_memory_is_that_of_this_machine() -> None:
    assert 2.0**24 < memory.free_bytes(torch.device("cpu")) < 2.0**50


# ------------------------------------------------------------------------------------------------- capacity


def test_variants_of_the_network_differ_in_one_thing() -> None:
    config = Config(optim=OptimConfig(weight_decay=0.0))
    found = dict(variants(config))
    assert [one.model.width for one in found.values()] == [0.5, 1.0, 1.5, 1.0, 1.0]
    assert [one.optim.weight_decay for one in found.values()] == [0.0, 0.0, 0.0, 0.0, 0.02]
    original = replace(config, model=ModelConfig("original", strides=(32,)))
    assert next(iter(variants(original))) == ("as configured", original)
    assert dict(variants(replace(config, model=ModelConfig(width=8.0))))["width x 1.5"].model.width == 8.0


def test_more_width_is_more_parameters(bench: Bench) -> None:
    (outcome,) = run_checks(bench.with_parts(trial_steps=1), [CAPACITY])
    figures = outcome.finding.figures
    assert figures["parameters, width x 0.5"] < figures["parameters, as configured"]  # type: ignore[operator]
    assert figures["parameters, as configured"] < figures["parameters, width x 1.5"]  # type: ignore[operator]
    assert not outcome.failed
