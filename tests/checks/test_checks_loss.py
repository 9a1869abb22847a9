"""What the checks of the loss and of the network are worked out with, and where they do not apply."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from faults import with_batches
from tiny_run import tiny_config

from yolo_proc.batch import Batch
from yolo_proc.checks.bench import Bench
from yolo_proc.checks.loss import dependence, gradients, logits_in, modes, parameters
from yolo_proc.checks.loss.loss_by_hand import Aims, activated, perfect_logits, terms_by_hand
from yolo_proc.checks.loss.reach import coarsest_stride, reached
from yolo_proc.config.schema import Config, LossConfig, ModelConfig, OptimConfig
from yolo_proc.detection.codec import activate
from yolo_proc.scene import Scene

SIDE = 96


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> None:
    torch.set_num_threads(1)


def small_config(**changes: object) -> Config:
    config = replace(tiny_config(Path("nowhere"), image_size=SIDE, batch_size=8), **changes)  # type: ignore[arg-type]
    return replace(config, model=replace(config.model, anchor_scenes=200))


@pytest.fixture(scope="module")
def healthy() -> Bench:
    return Bench(small_config())


def emptied(batch: Batch) -> Batch:
    return Batch.of([Scene(np.zeros((SIDE, SIDE, 3), np.uint8))] * len(batch))


# ------------------------------------------------------------------------------------------------- by hand


def aims(*, objects: int) -> Aims:
    """Of two images of five slots and three classes."""
    rows = [(0, 1, 2), (1, 0, 0), (1, 4, 1)][:objects]
    image, slot, class_id = np.array(rows, dtype=np.int64).reshape(-1, 3).T
    values = np.linspace(0.1, 0.9, 6).reshape(3, 2)[:objects]
    return Aims(image, slot, class_id, values, values + 1, 2 * values, np.array([[0, 0], [1, 2]]))


@pytest.mark.parametrize("objects", [3, 0])
def test_derivatives_by_hand_are_slopes(objects: int) -> None:
    logits = np.random.default_rng(5).normal(0, 2, (2, 5, 8))
    meant = aims(objects=objects)
    for term, (_, slopes) in terms_by_hand(logits, meant).items():
        for place in np.ndindex(logits.shape):
            ends = []
            for sign in (1, -1):
                moved = logits.copy()
                moved[place] += sign * 1e-5
                ends.append(terms_by_hand(moved, meant)[term][0])
            assert slopes[place] == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=1e-8), (term, place)
    assert terms_by_hand(logits, meant)["obj_f"][0] > 0  # of images without objects too


def test_perfect_logits_are_the_targets_once_they_are_activated() -> None:
    meant = aims(objects=3)
    logits = perfect_logits(meant, (2, 5, 8))
    predictions = activated(logits)
    assert predictions == pytest.approx(activate(logits), abs=1e-12)
    found = predictions[meant.image, meant.slot]
    assert found[:, :2] == pytest.approx(meant.xy)
    assert found[:, 2:4] == pytest.approx(meant.wh)
    assert found[:, 5:].argmax(axis=1).tolist() == meant.class_id.tolist()
    assert (predictions[..., 4] > 0.5).sum() == 3 + 2  # an ignored slot may say what it likes
    assert all(mean < 1e-8 for mean, _ in terms_by_hand(logits, meant).values())


def test_pixels_that_a_cell_reaches() -> None:
    # Cell 5 at stride 16 is made of 9 to 12 at stride 8, 17 to 24 at 4, 33 to 48 of pairs of pixels.
    assert reached(ModelConfig(), 16, 5, 256, residuals=False) == (66, 96)
    # A block at stride 16 adds 2 cells at either side, the one at stride 8 that leads there 2 of its own.
    assert reached(ModelConfig(depth=1), 16, 8, 512, residuals=True) == (16 * 6 - 14 - 16, 16 * 10 + 16 + 16)
    assert reached(ModelConfig(), 16, 0, 256, residuals=False) == (0, 16)  # clipped to the picture
    # At stride 8 the coarser cell that is added says how far: cell 11 stands on cell 5 at stride 16.
    fine = reached(ModelConfig(strides=(8,)), 8, 11, 256, residuals=False)
    assert fine == (66, 96)
    assert reached(ModelConfig("original", strides=(32,)), 32, 1, 416, residuals=True) == (0, 416)
    assert [coarsest_stride(ModelConfig(strides=strides)) for strides in ((4,), (8, 32))] == [16, 32]


# -------------------------------------------------------------------------------------------- applicability


def test_batches_without_objects_say_nothing_of_the_loss(healthy: Bench) -> None:
    none = with_batches(healthy, emptied)
    none = Bench(none.config, none.parts, task=healthy.task, precision="float32")
    assert gradients.run(none).verdict == "not applicable"
    assert logits_in.run(none).verdict == "not applicable"
    # All but what objects alone teach is there all the same.
    assert parameters.run(none).verdict == "pass"
    assert modes.run(none).verdict == "pass"
    assert dependence.run(none).verdict == "pass"


def test_what_is_declared_to_stand_still_is_not_asked_to_move() -> None:
    assert parameters.run(Bench(small_config(optim=OptimConfig(lr=0.0)))).verdict == "not applicable"
    silent = LossConfig(weight_obj_f=0.0)
    model = ModelConfig(width=0.25, depth=1, strides=(8, 16), anchors="1x1,40x40")
    assert parameters.run(Bench(small_config(loss=silent, model=model))).verdict == "not applicable"
    assert parameters.run(Bench(small_config(loss=LossConfig(weight_auxiliary=0.0)))).verdict == "pass"


@pytest.mark.parametrize("check", [modes, parameters])
def test_a_run_that_trains_in_parts_is_sound(check: object) -> None:
    bench = Bench(small_config(threads=2, batch_size=16))
    assert bench.new_state().replicas == 2
    finding = check.run(bench)  # type: ignore[attr-defined]
    assert finding.verdict == "pass", finding.causes


def test_a_network_without_normalisation_is_asked_for_its_losses_alone() -> None:
    found = modes.run(Bench(small_config(model=ModelConfig(width=0.25, depth=1, batch_norm=False))))
    assert found.verdict == "pass"
    assert found.figures["layers with statistics"] == 0
    assert 0 <= found.figures["losses' difference"] < 2e-5  # type: ignore[operator]
