"""What training alone learns: against torchvision and a plain loop, and apart from the loss."""

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
from torchvision.ops import generalized_box_iou_loss

from yolo_proc.config.schema import LabelConfig, LossConfig, ModelConfig, OptimConfig
from yolo_proc.detection.codec import LabelCodec
from yolo_proc.detection.grids import grids_for
from yolo_proc.detection.loss import LEAST_REACH, REACH, auxiliary_loss, one_minus_giou, overlap_loss
from yolo_proc.detection.task import DetectionTask
from yolo_proc.models.network import Yolo
from yolo_proc.training.optim import build_optimizer
from yolo_proc.training.replicas import Replicated
from yolo_proc.training.step import forward_objective

LIMITS = LabelConfig()


def cells_of(grids) -> int:
    return sum(grid.columns * grid.rows for grid in grids)


def box_of(centre, size) -> Tensor:
    """(4,) xyxy."""
    centre, half = np.asarray(centre), np.asarray(size) / 2
    return torch.tensor(np.concatenate([centre - half, centre + half]), dtype=torch.float64)


def giou_loss(box: Tensor, other: Tensor) -> float:
    return generalized_box_iou_loss(box, other, eps=0.0).item()


def objects_of(targets, grids):
    """(image, slot, grid, the grid's first cell, (column, row), anchor, centre, size), the last three in pixels."""
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
        yield image, slot, grid, first_cell, (column, row), grid.anchors[anchor], centre, size


def overlap_reference(logits, targets, grids) -> float:
    """The docstring of `overlap_loss` as a loop over objects: their boxes in pixels, as they are decoded."""
    found = []
    for image, slot, grid, _, cell, anchor, centre, size in objects_of(targets, grids):
        t = logits[image, slot]
        middle = [(cell[a] + 1 / (1 + math.exp(-t[a]))) * grid.stride for a in (0, 1)]
        said = box_of(middle, [math.exp(t[2 + a]) * anchor[a] for a in (0, 1)])
        found.append(giou_loss(said, box_of(centre, size)))
    return float(np.mean(found)) if found else 0.0


def reference(values, targets, grids) -> float:
    """The docstring of `auxiliary_loss` as a loop over objects and cells, in pixels."""
    found = []
    for image, _, grid, first_cell, _, _, centre, size in objects_of(targets, grids):
        mean = [math.exp(np.mean([math.log(one[axis]) for one in grid.anchors])) for axis in (0, 1)]
        errors = []
        for number in range(grid.columns * grid.rows):
            middle = ((number % grid.columns + 0.5) * grid.stride, (number // grid.columns + 0.5) * grid.stride)
            away = [centre[axis] - middle[axis] for axis in (0, 1)]
            if all(abs(away[a]) < max(REACH * size[a], LEAST_REACH * grid.stride) for a in (0, 1)):
                said = values[image, first_cell + number]
                place = [middle[a] + said[a] * mean[a] for a in (0, 1)]
                box = box_of(place, [math.exp(said[2 + a]) * mean[a] for a in (0, 1)])
                errors.append(giou_loss(box, box_of(centre, size)))
        found.append(np.mean(errors))
    return float(np.mean(found)) if found else 0.0


@settings(max_examples=200, deadline=None)
@given(
    place=st.tuples(*[st.floats(-20, 20)] * 2),
    log=st.tuples(*[st.floats(-4, 4)] * 2),
    size=st.tuples(*[st.floats(1, 500)] * 2),
)
def test_giou_is_that_of_torchvision(place, log, size) -> None:
    true = box_of((3.0, -7.0), size)
    said = box_of([3.0 + place[0] * size[0], -7.0 + place[1] * size[1]], [math.exp(log[a]) * size[a] for a in (0, 1)])
    found = one_minus_giou(torch.tensor(place, dtype=torch.float64), torch.tensor(log, dtype=torch.float64)).item()
    assert found == pytest.approx(giou_loss(said, true), rel=1e-9, abs=1e-9)
    assert -1e-12 <= found <= 2


def test_giou_is_finite_and_slopes_towards_the_object_wherever_the_box_is() -> None:
    places = torch.tensor([[0.0, 0.0], [30.0, 0.0], [0.0, 0.0], [0.0, 0.0]], requires_grad=True)
    logs = torch.tensor([[0.0, 0.0], [0.0, 0.0], [80.0, 80.0], [-80.0, -80.0]], requires_grad=True)
    values = one_minus_giou(places, logs)
    assert values[0].item() == 0.0
    values.sum().backward()  # type: ignore[no-untyped-call]
    assert places.grad is not None
    assert logs.grad is not None
    assert values.isfinite().all()
    assert places.grad.isfinite().all()
    assert logs.grad.isfinite().all()
    assert places.grad[1, 0] > 0  # nothing is shared, and yet it knows the way


@pytest.mark.parametrize("grids", ALL_GRIDS.values(), ids=ALL_GRIDS.keys())
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_overlap_is_that_of_the_decoded_boxes(grids, seed) -> None:
    codec = LabelCodec(grids, 3)
    targets = codec.assign(random_batch(seed, count=2), LIMITS)
    logits = np.random.default_rng(seed).normal(0, 1, (2, codec.slots, codec.fields))
    found = overlap_loss(torch.tensor(logits), targets.to("cpu", torch.float64))
    assert found.item() == pytest.approx(overlap_reference(logits, targets, grids), rel=1e-9, abs=1e-12)


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
    logits = torch.ones(2, LabelCodec(ONE_GRID, 3).slots, 8, requires_grad=True)
    overlap_loss(logits, targets.to("cpu")).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert not logits.grad.any()


def objective_and_loss(setup: Setup, overlap: float, auxiliary: float) -> tuple[Tensor, Tensor]:
    weights = replace(LossConfig(), weight_overlap=overlap, weight_auxiliary=auxiliary)
    task = DetectionTask(setup.task.codec, LIMITS, weights)
    objective, loss, _, _ = forward_objective(setup.model, task, setup.batch.images, setup.targets, autocast=None)
    return objective, loss


def test_the_loss_that_is_told_and_judged_is_free_of_it() -> None:
    setup = Setup()
    assert objective_and_loss(setup, 0.0, 0.0)[0].item() == objective_and_loss(setup, 0.0, 0.0)[1].item()
    for weights in ((2.0, 0.0), (0.0, 5.0)):
        objective, loss = objective_and_loss(setup, *weights)
        assert objective.item() > loss.item() + 0.1
    assert setup.step().loss == pytest.approx(loss.item(), rel=1e-6)


def test_where_it_weighs_nothing_a_scalar_of_the_same_kind_is_added() -> None:
    setup = Setup(weight_overlap=0.0, weight_auxiliary=0.0)
    for dtype in (torch.float32, torch.float64):
        outputs = torch.zeros(8, setup.task.codec.slots, setup.task.codec.fields, dtype=dtype)
        nothing = setup.task.auxiliary_loss(outputs, None, setup.targets)
        assert (nothing.shape, nothing.dtype, nothing.item()) == ((), dtype, 0)


def test_what_it_teaches_is_forgotten_after_training() -> None:
    setup = Setup()
    assert setup.model.auxiliary_head is not None
    with torch.no_grad():
        logits, values = setup.model.eval().with_auxiliary(setup.batch.images)
        assert values is not None
        assert values.shape == (8, 16, 4)
        assert not values.any()  # it begins at nothing
        torch.nn.init.ones_(setup.model.auxiliary_head.layers[0].weight)
        assert torch.equal(setup.model(setup.batch.images), logits)


@pytest.mark.slow
def test_it_learns_and_the_optimizer_takes_it_as_an_output() -> None:
    setup = Setup()
    before = objective_and_loss(setup, 0.0, 5.0)
    for _ in range(60):
        setup.step()
    after = objective_and_loss(setup, 0.0, 5.0)
    assert (after[0] - after[1]).item() < 0.5 * (before[0] - before[1]).item()
    assert setup.model.auxiliary_head is not None
    weight = setup.model.auxiliary_head.layers[0].weight
    groups = build_optimizer(setup.model, OptimConfig()).param_groups
    assert [group["orthogonal"] for group in groups if any(p is weight for p in group["params"])] == [False]


def test_the_original_network_has_none() -> None:
    codec = LabelCodec(grids_for(64, 64, [32], [(30.0, 30.0)]), 2)
    model = Yolo(ModelConfig(name="original", strides=(32,)), DetectionTask(codec))
    images = torch.zeros(16, 64, 64, 3, dtype=torch.uint8)
    assert model.with_auxiliary(images)[1] is None
    logits, values = Replicated(model, 2).with_auxiliary(images)
    assert values is None
    logits.sum().backward()  # type: ignore[no-untyped-call]
    assert all(parameter.grad is not None for parameter in model.parameters())
