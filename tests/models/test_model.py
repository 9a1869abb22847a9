"""The networks: shapes, parameters, and what the start of a training relies on."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from yolo_proc.config.schema import LossConfig, ModelConfig, OptimConfig
from yolo_proc.detection.codec import LabelCodec
from yolo_proc.detection.grids import grids_for
from yolo_proc.detection.task import DetectionTask, constant_object_logit
from yolo_proc.errors import ConfigError
from yolo_proc.models.network import Yolo
from yolo_proc.training.optim import Ema


def make(
    config: ModelConfig | None = None, size: int = 64, classes: int = 3, anchors: int = 1, bias: float = 0.0
) -> Yolo:
    config = config or ModelConfig(width=0.5, depth=1)
    sizes = [(8.0 * (k + 1), 10.0 * (k + 1)) for k in range(anchors * len(config.strides))]
    codec = LabelCodec(grids_for(size, size, config.strides, sizes), classes)
    torch.manual_seed(0)
    return Yolo(config, DetectionTask(codec))


def images(count: int, size: int = 64) -> torch.Tensor:
    return torch.randint(0, 256, (count, size, size, 3), dtype=torch.uint8)


def test_the_original_has_the_parameters_that_its_notes_state() -> None:
    config = ModelConfig(name="original", strides=(32,))
    codec = LabelCodec(grids_for(416, 416, [32], [(100.0, 100.0)]), 3)
    model = Yolo(config, DetectionTask(codec))
    assert sum(parameter.numel() for parameter in model.parameters()) == 15_530_088
    assert model.eval()(images(1, 416)).shape == (1, 169, 8)


def test_the_original_refuses_another_stride() -> None:
    codec = LabelCodec(grids_for(64, 64, [16], [(10.0, 10.0)]), 3)
    with pytest.raises(ConfigError, match="network original has strides 32, found 16"):
        Yolo(ModelConfig(name="original", strides=(16,)), DetectionTask(codec))


@pytest.mark.parametrize("strides", [(4,), (8,), (16,), (32,), (64,), (8, 16), (8, 32), (4, 8, 16, 32, 64)])
@pytest.mark.parametrize("anchors", [1, 2])
def test_every_choice_of_grids_gives_a_logit_for_each_slot(strides: tuple[int, ...], anchors: int) -> None:
    model = make(ModelConfig(width=0.25, depth=1, strides=strides), anchors=anchors).eval()
    cells = sum((64 // stride) ** 2 for stride in strides)
    assert model(images(2)).shape == (2, cells * anchors, 8)
    assert model.task.codec.slots == cells * anchors


def test_a_picture_that_is_no_multiple_of_the_coarsest_stage_is_fine() -> None:
    assert make(ModelConfig(width=0.25, strides=(8,)), size=72).eval()(images(1, 72)).shape == (1, 81, 8)


@pytest.mark.parametrize("strides", [(8,), (16,), (8, 32)])
def test_the_same_network_at_another_size(strides: tuple[int, ...]) -> None:
    model = make(ModelConfig(width=0.25, depth=1, strides=strides)).eval()
    for layer in model.head.layers:
        nn.init.normal_(layer.weight)  # type: ignore[arg-type]
    wide = model.at(96, 32)
    expected = Yolo(model.config, DetectionTask(wide.task.codec)).eval()
    expected.load_state_dict(model.state_dict())
    pictures = torch.randint(0, 256, (2, 32, 96, 3), dtype=torch.uint8)
    assert wide.task.codec.frame == (96, 32)
    assert torch.equal(wide(pictures), expected(pictures))
    assert wide(pictures).shape == (2, wide.task.codec.slots, 8)
    # One set of weights, and the first keeps its size.
    assert all(a is b for a, b in zip(model.parameters(), wide.parameters(), strict=True))
    assert model.task.codec.frame == (64, 64)
    assert model.at(64, 64) is model
    assert wide.at(64, 64).task.codec == model.task.codec


def test_a_slot_is_the_cell_it_is_numbered_for() -> None:
    """The gradient of a slot's logits lies around its own cell: a view for a permute would scatter it."""
    model = make(ModelConfig(width=0.5, depth=0, strides=(16,)), size=128, anchors=2).double().eval()
    for row, column, anchor in [(0, 0, 0), (2, 5, 1), (7, 7, 0), (4, 1, 1)]:
        x = torch.rand(1, 128, 128, 3, dtype=torch.float64, requires_grad=True)
        model(x)[0, (row * 8 + column) * 2 + anchor].sum().backward()
        assert x.grad is not None
        energy = x.grad[0].abs().sum(-1)
        rows, columns = energy.sum(1), energy.sum(0)
        place = torch.arange(128) + 0.5
        assert abs(float((rows * place).sum() / rows.sum()) / 16 - row - 0.5) < 0.75
        assert abs(float((columns * place).sum() / columns.sum()) / 16 - column - 0.5) < 0.75


def test_the_first_answer_is_the_constant_that_costs_least() -> None:
    loss = LossConfig()
    logit = constant_object_logit(loss)
    first = make(bias=logit)(images(4))
    assert torch.allclose(first[..., 4], torch.full_like(first[..., 4], math.log(2)), atol=0.05)
    assert first[..., [0, 1, 2, 3, 5, 6, 7]].abs().max() < 0.05

    def cost(j: float) -> float:
        return loss.weight_obj_t * math.log1p(math.exp(-j)) + loss.weight_obj_f * math.log1p(math.exp(j))

    assert cost(logit) < min(cost(logit - 0.01), cost(logit + 0.01))
    assert constant_object_logit(replace(loss, weight_obj_f=0.0)) == 0.0


@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize("name", ["small", "original"])
def test_only_convolutions_without_a_normalisation_have_a_bias(name: str, batch_norm: bool) -> None:
    config = ModelConfig(name=name, strides=(32,), batch_norm=batch_norm)
    model = make(config)
    body = [layer for layer in model.backbone.modules() if isinstance(layer, nn.Conv2d)]
    assert body
    assert all((layer.bias is None) == batch_norm for layer in body)
    assert any(isinstance(layer, nn.BatchNorm2d) for layer in model.modules()) == batch_norm
    assert all(layer.bias is not None for layer in model.head.layers)


def test_only_matrices_decay_and_every_parameter_is_in_one_group() -> None:
    model = make()
    decayed, spared = (group["params"] for group in model.parameter_groups(0.1))
    assert [group["weight_decay"] for group in model.parameter_groups(0.1)] == [0.1, 0.0]
    assert all(parameter.ndim > 1 for parameter in decayed)
    assert {id(p) for p in [*decayed, *spared]} == {id(p) for p in model.parameters()}
    assert len(decayed) + len(spared) == len(list(model.parameters()))


def test_calibration_changes_objectness_alone_and_exactly() -> None:
    for config in (ModelConfig(width=0.5, strides=(8, 16)), ModelConfig(name="original", strides=(32,))):
        model = make(config, anchors=1).eval()
        with torch.no_grad():
            for parameter in model.head.parameters():
                parameter.normal_()
        x = images(2)
        before = model(x)
        model.head.calibrate(0.7, -1.3)
        after = model(x)
        assert torch.allclose(after[..., 4], 0.7 * before[..., 4] - 1.3, atol=1e-3, rtol=1e-4)
        assert torch.equal(after[..., :4], before[..., :4])
        assert torch.equal(after[..., 5:], before[..., 5:])


def test_averaged_weights_follow_the_declared_rule() -> None:
    model = make()
    ema = Ema(model, 0.99, make())
    name = "head.layers.0.bias"
    expected = model.state_dict()[name].clone()
    for t in range(12):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter))
        ema.update()
        decay = min(0.99, (1 + t) / (10 + t))
        expected = decay * expected + (1 - decay) * model.state_dict()[name]
    assert torch.allclose(ema.model.state_dict()[name], expected, atol=1e-5)
    assert not any(parameter.requires_grad for parameter in ema.model.parameters())


def test_no_decay_means_the_live_weights() -> None:
    model = make()
    ema = Ema(model, 0.0, make())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
    ema.update()
    assert all(torch.equal(a, b) for a, b in zip(ema.model.parameters(), model.parameters(), strict=True))


def test_the_optimizer_gets_the_schedule_and_the_decay_of_its_configuration() -> None:
    from yolo_proc.training.optim import build_optimizer

    for name in ("adamw", "sgd"):
        optimizer = build_optimizer(make(), OptimConfig(name=name, lr=0.123, weight_decay=0.456))
        assert [group["lr"] for group in optimizer.param_groups] == [0.123, 0.123]
        assert [group["weight_decay"] for group in optimizer.param_groups] == [0.456, 0.0]
