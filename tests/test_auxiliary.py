"""What training alone learns: against a plain loop, and apart from the loss."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from codec_reference import ALL_GRIDS, ONE_GRID, make_batch, random_batch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_step import Setup
from torch import Tensor

from yolo_proc.codec import LabelCodec
from yolo_proc.config import LabelConfig, LossConfig, ModelConfig, OptimConfig
from yolo_proc.grids import grids_for
from yolo_proc.loss import LEAST_REACH, REACH, auxiliary_loss
from yolo_proc.model import Yolo
from yolo_proc.optim import build_optimizer
from yolo_proc.parts import InParts
from yolo_proc.step import forward_objective
from yolo_proc.task import DetectionTask

LIMITS = LabelConfig()


def cells_of(grids) -> int:
    return sum(grid.columns * grid.rows for grid in grids)


def reference(values, targets, grids) -> float:
    """The docstring of `auxiliary_loss` as a loop over objects and cells, in pixels."""
    found = []
    for image, slot, xy, wh in zip(targets.image, targets.slot, targets.xy, targets.wh, strict=True):
        first_slot = first_cell = 0
        for grid in grids:
            count, each = grid.columns * grid.rows, len(grid.anchors)
            if first_slot <= slot < first_slot + count * each:
                break
            first_slot, first_cell = first_slot + count * each, first_cell + count
        cell, anchor = divmod(slot - first_slot, each)
        row, column = divmod(cell, grid.columns)
        centre = ((column + xy[0]) * grid.stride, (row + xy[1]) * grid.stride)
        size = (wh[0] * grid.anchors[anchor][0], wh[1] * grid.anchors[anchor][1])
        mean = [math.exp(np.mean([math.log(one[axis]) for one in grid.anchors])) for axis in (0, 1)]
        errors = []
        for number in range(count):
            middle = ((number % grid.columns + 0.5) * grid.stride, (number // grid.columns + 0.5) * grid.stride)
            away = [centre[axis] - middle[axis] for axis in (0, 1)]
            if all(abs(away[a]) < max(REACH * size[a], LEAST_REACH * grid.stride) for a in (0, 1)):
                said = values[image, first_cell + number]
                parts = [((said[a] * mean[a] - away[a]) / size[a]) ** 2 for a in (0, 1)]
                parts += [(said[2 + a] - math.log(size[a] / mean[a])) ** 2 for a in (0, 1)]
                errors.append(np.mean(parts))
        found.append(np.mean(errors))
    return float(np.mean(found)) if found else 0.0


@pytest.mark.parametrize("grids", ALL_GRIDS.values(), ids=ALL_GRIDS.keys())
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_it_is_the_plain_loop(grids, seed) -> None:
    targets = LabelCodec(grids, 3).assign(random_batch(seed, count=2), LIMITS)
    values = np.random.default_rng(seed).normal(0, 1, (2, cells_of(grids), 4))
    found = auxiliary_loss(torch.tensor(values), targets.to("cpu", torch.float64), grids)
    assert found.item() == pytest.approx(reference(values, targets, grids), rel=1e-6, abs=1e-12)


def test_it_speaks_of_the_cells_around_an_object_only() -> None:
    """A box of 40 x 40 about (35, 32), stride 16: cells whose centres are within 14 pixels of that, each way."""
    targets = LabelCodec(ONE_GRID, 3).assign(make_batch(2, [(1, (15.0, 12.0, 55.0, 52.0), 0)]), LIMITS)
    columns = ONE_GRID[0].columns
    values = torch.zeros(2, cells_of(ONE_GRID), 4, dtype=torch.float64, requires_grad=True)
    auxiliary_loss(values, targets.to("cpu", torch.float64), ONE_GRID).backward()  # type: ignore[no-untyped-call]
    assert values.grad is not None
    touched = {(image, cell) for image, cell in values.grad.abs().sum(2).nonzero().tolist()}
    middles = [(x, y) for x in range(columns) for y in range(ONE_GRID[0].rows)]
    expected = {(1, y * columns + x) for x, y in middles if abs(16 * x + 8 - 35) < 14 and abs(16 * y + 8 - 32) < 14}
    assert touched == expected
    assert len(expected) == 4


def test_without_objects_it_is_nothing() -> None:
    targets = LabelCodec(ONE_GRID, 3).assign(make_batch(2, []), LIMITS)
    values = torch.ones(2, cells_of(ONE_GRID), 4, requires_grad=True)
    assert auxiliary_loss(values, targets.to("cpu"), ONE_GRID).item() == 0.0


def objective_and_loss(setup: Setup, weight: float) -> tuple[Tensor, Tensor]:
    task = DetectionTask(setup.task.codec, LIMITS, replace(LossConfig(), weight_auxiliary=weight))
    objective, loss, _, _ = forward_objective(setup.model, task, setup.batch.images, setup.targets, autocast=None)
    return objective, loss


def test_the_loss_that_is_told_and_judged_is_free_of_it() -> None:
    setup = Setup()
    objective, loss = objective_and_loss(setup, 20.0)
    assert objective.item() > loss.item() + 0.1
    assert objective_and_loss(setup, 0.0)[0].item() == loss.item()
    assert setup.step().loss == pytest.approx(loss.item(), rel=1e-6)


def test_what_it_teaches_is_forgotten_after_training() -> None:
    setup = Setup()
    assert setup.model.auxiliary is not None
    with torch.no_grad():
        logits, values = setup.model.eval().with_auxiliary(setup.batch.images)
        assert values is not None
        assert values.shape == (8, 16, 4)
        assert not values.any()  # it begins at nothing
        torch.nn.init.ones_(setup.model.auxiliary.layers[0].weight)
        assert torch.equal(setup.model(setup.batch.images), logits)


def test_it_learns_and_the_optimizer_takes_it_as_an_output() -> None:
    setup = Setup()
    before = objective_and_loss(setup, 20.0)
    for _ in range(60):
        setup.step()
    after = objective_and_loss(setup, 20.0)
    assert (after[0] - after[1]).item() < 0.3 * (before[0] - before[1]).item()
    assert setup.model.auxiliary is not None
    weight = setup.model.auxiliary.layers[0].weight
    groups = build_optimizer(setup.model, OptimConfig()).param_groups
    assert [group["orthogonal"] for group in groups if any(p is weight for p in group["params"])] == [False]


def test_the_original_network_has_none() -> None:
    codec = LabelCodec(grids_for(64, 64, [32], [(30.0, 30.0)]), 2)
    model = Yolo(ModelConfig(name="original", strides=(32,)), codec)
    images = torch.zeros(16, 64, 64, 3, dtype=torch.uint8)
    assert model.with_auxiliary(images)[1] is None
    logits, values = InParts(model, 2).with_auxiliary(images)
    assert values is None
    logits.sum().backward()  # type: ignore[no-untyped-call]
    assert all(parameter.grad is not None for parameter in model.parameters())
