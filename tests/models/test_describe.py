"""The description of a network against figures worked out by hand."""

import json

import pytest
import torch
from torch import Tensor, nn

from yolo_proc.config.schema import ModelConfig
from yolo_proc.detection.codec import LabelCodec
from yolo_proc.detection.grids import grids_for
from yolo_proc.detection.task import DetectionTask
from yolo_proc.models.network import Yolo
from yolo_proc.models.summary import describe, layers_of, receptive_field


class Plain(nn.Module):
    """Layers on normalised pictures, their output flattened to slots of one value."""

    def __init__(self, *layers: nn.Module, fold: int = 1) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.fold = fold

    def forward(self, images: Tensor) -> Tensor:
        x = images.permute(0, 3, 1, 2).to(self.layers[0].weight.dtype) / 255
        if self.fold > 1:
            x = nn.functional.pixel_unshuffle(x, self.fold)
        return self.layers(x).flatten(1)[..., None]  # (B, S, 1)


def conv(k_in: int, k_out: int, size: int, stride: int = 1, **more: int) -> nn.Conv2d:
    return nn.Conv2d(k_in, k_out, size, stride, padding=more.pop("padding", size // 2), **more)


def middle(model: nn.Module, images: Tensor) -> range:
    """The slot of the middle cell of a one-channel output."""
    side = int(model(images).shape[1] ** 0.5)
    return range(side // 2 * side + side // 2, side // 2 * side + side // 2 + 1)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (Plain(conv(3, 1, 1)), 1),
        (Plain(conv(3, 1, 3)), 3),
        (Plain(conv(3, 4, 3), conv(4, 1, 5)), 3 + 4),
        (Plain(conv(3, 4, 3, 2), nn.ReLU(), conv(4, 4, 3, 2), nn.ReLU(inplace=True), conv(4, 1, 3)), 3 + 4 + 8),
        (Plain(conv(3, 4, 4, 4, padding=0), nn.BatchNorm2d(4), conv(4, 1, 3)), 4 + 8),
        (Plain(conv(3, 1, 3, dilation=2, padding=2)), 5),
        (Plain(conv(3, 2, 3), nn.MaxPool2d(2), conv(2, 1, 3)), 3 + 1 + 4),
        (Plain(conv(48, 4, 1), conv(4, 1, 3), fold=4), 12),
    ],
    ids=["1x1", "3x3", "3x3 5x5", "strides", "patches", "dilation", "pooling", "folded pixels"],
)
def test_receptive_field_of_a_chain(model: nn.Module, expected: int) -> None:
    images = torch.zeros(1, 64, 64, 3, dtype=torch.uint8)
    seen = receptive_field(model, images, middle(model, images))
    assert seen == (expected, expected)


def test_a_fully_connected_layer_sees_the_whole_picture() -> None:
    model = Plain(conv(3, 2, 3, 2), nn.Flatten(), nn.Linear(2 * 16 * 8, 7))
    images = torch.zeros(1, 32, 16, 3, dtype=torch.uint8)
    assert receptive_field(model, images, range(3, 4)) == (16, 32)


def test_dead_units_and_zero_weights_hide_nothing() -> None:
    model = Plain(conv(3, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), conv(2, 1, 3))
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    images = torch.zeros(1, 16, 16, 3, dtype=torch.uint8)
    assert receptive_field(model, images, middle(model, images)) == (5, 5)


def test_layers_in_order_with_shapes_parameters_and_operations() -> None:
    model = Plain(
        conv(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU(), conv(8, 8, 3, groups=4), nn.Flatten(), nn.Linear(128, 5)
    )
    layers = layers_of(model, torch.zeros(1, 8, 8, 3, dtype=torch.uint8))
    assert [layer.kind for layer in layers] == ["Conv2d", "BatchNorm2d", "ReLU", "Conv2d", "Flatten", "Linear"]
    assert [layer.output_shape for layer in layers] == [(8, 4, 4)] * 4 + [(128,), (5,)]
    assert [layer.parameters for layer in layers] == [3 * 8 * 9 + 8, 16, 0, 8 * 2 * 9 + 8, 0, 128 * 5 + 5]
    assert [layer.macs for layer in layers] == [16 * 8 * 27, 0, 0, 16 * 8 * 18, 0, 128 * 5]


def test_a_module_that_runs_twice_has_its_parameters_once() -> None:
    shared = conv(3, 3, 3)
    layers = layers_of(Plain(shared, shared), torch.zeros(1, 8, 8, 3, dtype=torch.uint8))
    assert [layer.parameters for layer in layers] == [84, 0]
    assert layers[0].macs == layers[1].macs == 64 * 3 * 27


def yolo(config: ModelConfig, size: int, anchors: int = 1) -> Yolo:
    sizes = [(20.0 + 10 * i, 20.0 + 10 * i) for i in range(anchors * len(config.strides))]
    codec = LabelCodec(grids_for(size, size, config.strides, sizes), 3)
    return Yolo(config, DetectionTask(codec))


def test_the_original() -> None:
    found = describe(yolo(ModelConfig(name="original", strides=(32,)), 416))
    assert found.parameters == 15_530_088
    assert found.slots == 169
    assert found.grids[0].whole_picture
    assert "15,530,088" in found.text()


def test_the_default_network() -> None:
    model = yolo(ModelConfig(), 256)
    found = describe(model)
    # 3 x 3 throughout. Stride 4, folded: 6; stride 8: + 2 * 4; a block: + 4 * 8; stride 16: + 2 * 8; two: + 8 * 16.
    assert found.grids[0].receptive_field == (190, 190)
    assert not found.grids[0].whole_picture
    assert found.parameters == sum(parameter.numel() for parameter in model.shipped_parameters())
    assert sum(layer.parameters for layer in found.layers) == found.parameters
    assert found.flops == 2 * found.macs > 0


def test_several_grids_and_anchors() -> None:
    found = describe(yolo(ModelConfig(strides=(8, 16), width=0.5, depth=0), 64, anchors=2))
    assert [grid.slots for grid in found.grids] == [128, 32]
    assert sum(grid.slots for grid in found.grids) == found.slots
    assert json.loads(json.dumps(found.as_dict()))["slots"] == 160


def test_the_network_is_left_as_it_was() -> None:
    model = yolo(ModelConfig(width=0.5, depth=1), 64)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    describe(model.train())
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
