"""Layers and their translation to ONNX, each compared with torch; and torch's own exporter for the rest."""

from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper
from tiny_export import ONE, SIZE, network, pictures, spec_of
from torch import Tensor, nn

from yolo_proc.errors import ConfigError
from yolo_proc.export import torch_exporter
from yolo_proc.export.convolution import UntranslatedError
from yolo_proc.export.graph_builder import OPSETS, GraphBuilder
from yolo_proc.export.onnx_graph import to_onnx
from yolo_proc.export.session import OnnxDetector
from yolo_proc.export.torch_exporter import add_by_torch
from yolo_proc.export.translation import translate
from yolo_proc.models.layers import space_to_depth
from yolo_proc.models.network import network_outputs


class Calls(nn.Module):
    """A function as a module that gives a list, as a neck does."""

    def __init__(self, function: Callable[[Tensor], Tensor], *layers: nn.Module) -> None:
        super().__init__()
        self.function = function
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> list[Tensor]:
        for layer in self.layers:
            x = layer(x)
        return [self.function(x)]


def of(*layers: nn.Module) -> nn.Module:
    return Calls(lambda x: x, *layers)


LAYERS: dict[str, Callable[[], nn.Module]] = {
    "convolution": lambda: of(nn.Conv2d(6, 5, 3, padding=1)),
    "wide convolution": lambda: of(nn.Conv2d(6, 5, (3, 5), stride=(2, 1), padding=(0, 2), bias=False)),
    "grouped convolution": lambda: of(nn.Conv2d(6, 8, 3, groups=2)),
    "a filter a channel": lambda: of(nn.Conv2d(6, 6, 3, groups=6), nn.BatchNorm2d(6)),
    "dilated convolution": lambda: of(nn.Conv2d(6, 5, 3, dilation=2, padding=2)),
    "normalisation alone": lambda: of(nn.BatchNorm2d(6), nn.ReLU()),
    "convolution that two read": lambda: Calls(lambda x: x, Forked()),
    "relu": lambda: of(nn.ReLU()),
    "relu6": lambda: of(nn.ReLU6()),
    "leaky relu": lambda: of(nn.LeakyReLU(0.2)),
    "sigmoid": lambda: of(nn.Sigmoid()),
    "tanh": lambda: of(nn.Tanh()),
    "silu": lambda: of(nn.SiLU()),
    "hardswish": lambda: of(nn.Hardswish()),
    "hardsigmoid": lambda: of(nn.Hardsigmoid()),
    "dropout": lambda: of(nn.Dropout(0.9)),
    "maximum": lambda: of(nn.MaxPool2d(3, stride=2, padding=1)),
    "maximum, rounded up": lambda: of(nn.MaxPool2d(2, ceil_mode=True)),
    "average": lambda: of(nn.AvgPool2d(3, stride=2, padding=1)),
    "average without padding": lambda: of(nn.AvgPool2d(3, padding=1, count_include_pad=False)),
    "global average": lambda: of(nn.AdaptiveAvgPool2d(1)),
    "global maximum": lambda: of(nn.AdaptiveMaxPool2d((1, 1))),
    "fully connected": lambda: of(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3)),
    "fully connected without a bias": lambda: of(nn.Flatten(), nn.Linear(6 * 7 * 9, 3, bias=False)),
    "enlarged": lambda: of(nn.Upsample(scale_factor=2)),
    "enlarged to an odd size": lambda: Calls(lambda x: F.interpolate(x, size=(13, 20))),
    "sum and product": lambda: Calls(lambda x: (x + x * 2 - 1) / 4),
    "attention": lambda: Calls(lambda x: x * torch.sigmoid(x.mean((2, 3), keepdim=True))),
    "peaks": lambda: Calls(lambda x: torch.cat([x.amax((2, 3)), x.mean((-1, -2))], dim=1)),
    "shapes": lambda: Calls(lambda x: x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, 3).flatten(1).view(2, -1)),
    "clamped": lambda: Calls(lambda x: x.clamp(-0.5, 0.5)),
    "functions": lambda: Calls(lambda x: F.hardswish(F.silu(torch.relu(x) + F.relu(x.add(1))))),
}


class Forked(nn.Module):
    """A convolution whose output is read before its normalisation too: they cannot be one."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(6, 5, 1), nn.BatchNorm2d(5)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return self.norm(y) + y  # type: ignore[no-any-return]


def lively(module: nn.Module) -> nn.Module:
    """Statistics and weights that are neither 0 nor 1."""
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            for values in (layer.running_mean, layer.running_var, layer.weight, layer.bias):
                assert values is not None
                nn.init.uniform_(values, 0.3, 1.5)
    return module.eval()


def run(graph: GraphBuilder, outputs: list[str], x: Tensor, ir_version: int) -> list[np.ndarray]:
    made = helper.make_graph(
        graph.nodes,
        "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", *x.shape[1:]])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        graph.weights,
    )
    operators = [helper.make_opsetid("", OPSETS[ir_version])]
    model = helper.make_model(made, opset_imports=operators, ir_version=ir_version)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found: list[np.ndarray] = session.run(outputs, {"x": x.numpy()})
    return found


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("ir_version", [7, 10])
def test_a_layer_computes_what_it_computes_in_torch(name: str, ir_version: int) -> None:
    torch.manual_seed(0)
    module = lively(LAYERS[name]())
    graph = GraphBuilder(half=False)
    example = torch.randn(2, 6, 7, 9)
    outputs, results = translate(graph, module, "x", example, "")
    x = torch.randn(2, 6, 7, 9) * 3
    with torch.inference_mode():
        expected = module(x)
    assert [one.shape for one in results] == [one.shape for one in expected]
    if "x" in outputs:  # nothing was to be done
        outputs = [graph.add("Identity", "x", "same")]
    (found,) = run(graph, outputs, x, ir_version)
    assert found == pytest.approx(expected[0].numpy(), abs=1e-5)


@pytest.mark.parametrize("kernel", [1, 3, 4])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", [2, 4])
def test_a_layer_over_pixels_in_one_becomes_a_layer_over_pixels(kernel: int, stride: int, size: int) -> None:
    torch.manual_seed(0)
    module = of(nn.Conv2d(3 * size**2, 5, kernel, stride, padding=kernel // 2)).eval()
    images = torch.randint(0, 256, (2, 8 * size, 11 * size, 3), dtype=torch.uint8)
    cells = space_to_depth(images, size).permute(0, 3, 1, 2).float()  # (B, 3 F^2, 8, 11)
    graph = GraphBuilder(half=False)
    outputs, _ = translate(graph, module, "x", cells, "", unfolded=size)
    with torch.inference_mode():
        expected = module(cells)[0].numpy()
    (found,) = run(graph, outputs, images.permute(0, 3, 1, 2).float().contiguous(), 10)
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-2)
    assert [node.op_type for node in graph.nodes] == ["Conv"]


UNKNOWN: dict[str, Callable[[], nn.Module]] = {
    "no translation of the layer GroupNorm": lambda: of(nn.GroupNorm(2, 6)),
    "no translation of tanh": lambda: Calls(torch.tanh),
    "cannot be traced": lambda: Calls(lambda x: x if x.sum() > 0 else -x),
    "mixes images": lambda: Calls(lambda x: x.reshape(-1, 3)),
    "a part of a tensor": lambda: Calls(lambda x: x[:, :2]),
    "padded as reflect": lambda: of(nn.Conv2d(6, 6, 3, padding=1, padding_mode="reflect")),
    "by bilinear": lambda: of(nn.Upsample(scale_factor=2, mode="bilinear")),
    "to more than one value": lambda: of(nn.AdaptiveAvgPool2d(2)),
    "with a factor": lambda: Calls(lambda x: torch.add(x, x, alpha=2)),
}


@pytest.mark.parametrize("why", UNKNOWN)
def test_what_has_no_translation_is_said_and_never_left_out(why: str) -> None:
    with pytest.raises(UntranslatedError, match=why):
        translate(GraphBuilder(half=False), UNKNOWN[why]().eval(), "x", torch.randn(2, 6, 7, 9), "")


# ---- torch's own exporter


@pytest.mark.slow
@pytest.mark.parametrize("half", [False, True])
def test_other_layers_go_through_torchs_own_exporter(half: bool) -> None:
    pytest.importorskip("onnxscript")
    model = network()
    model.backbone.stem.append(nn.GroupNorm(4, model.backbone.stem[0].out_channels))  # type: ignore[operator, union-attr, index]
    content = to_onnx(model.eval(), spec_of(model), half=half)
    assert "SpaceToDepth" in {node.op_type for node in onnx.load_from_string(content).graph.node}
    for count in (1, 3):  # the batch is free
        images = pictures(count, SIZE)
        expected = network_outputs(model, torch.from_numpy(images), "cpu")
        found = OnnxDetector(content, settings=ONE).run(images)
        assert found == pytest.approx(expected, abs=0.05 if half else 2e-4)


def test_what_nobody_translates_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    model = network()
    model.backbone.stem.append(nn.GroupNorm(4, model.backbone.stem[0].out_channels))  # type: ignore[operator, union-attr, index]
    with pytest.raises(ConfigError, match=r"ir-version: the network small is written by torch's own exporter"):
        to_onnx(model.eval(), spec_of(model), ir_version=7)
    monkeypatch.setattr(torch_exporter.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"GroupNorm; torch's own exporter may do it: pip install onnxscript"):
        to_onnx(model.eval(), spec_of(model))


def test_what_torch_refuses_is_one_line() -> None:
    pytest.importorskip("onnxscript")
    chooser = Calls(lambda x: x if x.sum() > 0 else -x)
    with pytest.raises(ConfigError, match="torch's own exporter refuses it too") as caught:
        add_by_torch(GraphBuilder(half=False), chooser, "x", torch.randn(2, 6, 7, 9), "the layer")
    assert "\n" not in str(caught.value)
