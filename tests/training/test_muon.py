"""Muon against singular value decompositions, torch's own Muon, and torch's AdamW."""

import copy

import numpy as np
import pytest
import torch
from torch import Tensor

from yolo_proc.config.schema import ModelConfig, OptimConfig
from yolo_proc.detection.codec import LabelCodec
from yolo_proc.detection.grids import grids_for
from yolo_proc.detection.task import DetectionTask
from yolo_proc.models.network import Yolo
from yolo_proc.training.muon import Muon, orthogonalised
from yolo_proc.training.optim import ADAM_SHARE, build_optimizer, set_lr


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


@pytest.mark.parametrize(("rows", "columns"), [(16, 108), (108, 16), (24, 24), (1, 9)])
def test_singular_values_come_near_one_and_the_vectors_stay(rows: int, columns: int) -> None:
    matrices = random(3, rows, columns)
    result = orthogonalised(matrices)
    assert result.shape == matrices.shape
    for before, after in zip(matrices, result, strict=True):
        u, s, vh = torch.linalg.svd(before, full_matrices=False)
        inside = u.T @ after @ vh.T  # diagonal if the singular vectors are the same
        assert torch.allclose(inside, inside.diag().diag(), atol=1e-4)
        # Values that are small against the norm are not pulled up all the way in five rounds.
        large = s > 0.01 * before.norm()
        assert (inside.diag()[large] > 0.65).all()
        assert (inside.diag()[large] < 1.25).all()


def test_size_does_not_matter_and_zeros_stay_zeros() -> None:
    matrix = random(1, 8, 30)
    assert torch.allclose(orthogonalised(matrix), orthogonalised(matrix * 1e4), atol=1e-5)
    assert torch.equal(orthogonalised(torch.zeros(2, 4, 9)), torch.zeros(2, 4, 9))


@pytest.mark.parametrize("shape", [(8, 30), (30, 8)])
def test_matrices_move_as_with_torchs_own(shape: tuple[int, int]) -> None:
    if not hasattr(torch.optim, "Muon"):
        pytest.skip("torch has Muon from 2.9 on")
    ours, theirs = (torch.nn.Parameter(random(*shape)) for _ in range(2))
    optimizer = Muon([ours], [], lr=0.1, adam_lr=0.0, weight_decay=0.3)
    other = torch.optim.Muon([theirs], lr=0.1, weight_decay=0.3, momentum=0.95, nesterov=True)
    for step in range(4):
        ours.grad, theirs.grad = random(*shape, seed=step), random(*shape, seed=step)
        optimizer.step()
        other.step()
    moved = (theirs - random(*shape)).norm()
    assert (ours - theirs).norm() < 0.02 * moved  # theirs is rounded to bfloat16


def test_what_is_no_filter_moves_as_with_adamw() -> None:
    ours, theirs = (torch.nn.Parameter(random(5)) for _ in range(2))
    optimizer = Muon([], [([ours], 0.3)], lr=1.0, adam_lr=0.1, weight_decay=1.0)
    other = torch.optim.AdamW([theirs], lr=0.1, betas=(0.9, 0.99), weight_decay=0.3)
    for step in range(5):
        ours.grad, theirs.grad = random(5, seed=step), random(5, seed=step)
        optimizer.step()
        other.step()
    assert torch.allclose(ours, theirs, atol=1e-6)


def test_a_parameter_without_a_gradient_stays() -> None:
    still, moving = (torch.nn.Parameter(random(4, 3, 3, 3)) for _ in range(2))
    optimizer = Muon([still, moving], [], lr=0.1, adam_lr=0.1, weight_decay=0.1)
    moving.grad = random(4, 3, 3, 3, seed=1)
    optimizer.step()
    assert torch.equal(still, random(4, 3, 3, 3))
    assert not torch.equal(moving, random(4, 3, 3, 3))


def model() -> Yolo:
    torch.manual_seed(0)
    return Yolo(ModelConfig(), DetectionTask(LabelCodec(grids_for(64, 64, (16,), [(20.0, 20.0)]), 3)))


def with_gradients(network: Yolo, seed: int) -> None:
    for number, parameter in enumerate(network.parameters()):
        parameter.grad = random(*parameter.shape, seed=100 * seed + number)


def test_all_filters_but_the_output_layers_are_orthogonal() -> None:
    network = model()
    optimizer = build_optimizer(network, OptimConfig(name="muon"))
    filters = {id(p) for group in optimizer.param_groups if group["orthogonal"] for p in group["params"]}
    assert filters == {id(p) for p in network.backbone.parameters() if p.ndim == 4}
    everything = [p for group in optimizer.param_groups for p in group["params"]]
    assert len(everything) == len({id(p) for p in everything}) == len(list(network.parameters()))


def test_the_rate_reaches_both_parts() -> None:
    optimizer = build_optimizer(model(), OptimConfig(name="muon"))
    set_lr(optimizer, 0.5)
    assert {group["orthogonal"]: group["lr"] for group in optimizer.param_groups} == {
        True: 0.5,
        False: 0.5 * ADAM_SHARE,
    }


def test_a_saved_state_goes_on_bit_for_bit() -> None:
    network = model()
    optimizer = build_optimizer(network, OptimConfig(name="muon"))
    with_gradients(network, 1)
    optimizer.step()
    other = model()
    other.load_state_dict(network.state_dict())
    resumed = build_optimizer(other, OptimConfig(name="muon"))
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for one, its in ((network, optimizer), (other, resumed)):
        with_gradients(one, 2)
        its.step()
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), other.parameters(), strict=True))
