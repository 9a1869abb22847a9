"""A trained network as an ONNX graph, written node by node from its modules.

The network is a short chain of few kinds of layers, so a builder of our own needs no exporter beside torch, names
every node after what it does, and carries nothing of the machine that it runs on. What it makes is compared with the
network itself on hundreds of pictures before anybody gets it (`verify.py`).

    B images, S slots, C classes, K channels; maps are (B, K, rows, columns)

    images -> input.* (bytes to normalised floats) -> body.* -> output.* (raw logits, or predictions)
"""

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from yolo_proc.detection.codec import SIZE_LOGIT_HIGH, SIZE_LOGIT_LOW
from yolo_proc.detection.heads import DenseDetectionHead
from yolo_proc.export.digest import METADATA_KEY, sealed, sealed_text
from yolo_proc.export.spec import ModelSpec
from yolo_proc.models.backbones.original import Original
from yolo_proc.models.backbones.small import Small
from yolo_proc.models.layers import ConvNormAct, Residual
from yolo_proc.models.network import Yolo

# By the version of the file's form (IR), the set of operators. The graph means the same in all of them. Older forms
# get the oldest set that has everything (before, a split took no sizes): ONNX Runtime 1.15 takes IR 9 but has no opset
# 19, and 1.14 crashes on opset 15 in float16.
OPSETS = {7: 13, 8: 13, 9: 13, 10: 20}
# What ONNX Runtime's released Java library reads, and all runtimes since 1.18.
IR_VERSION = 10
OPSET = OPSETS[IR_VERSION]
OUTPUT_NODES = "output."  # the prefix of the nodes that always compute in float32
INPUT_NODES = "input."


def to_onnx(model: Yolo, spec: ModelSpec, *, half: bool = False, ir_version: int = IR_VERSION) -> bytes:
    """The network as the content of an ONNX file, batch normalisation folded into the convolutions.

    Args:
        model: in evaluation mode.
        spec: of the input and the output; goes into the file's metadata.
        half: weights and body in float16; the output layer computes in float32 all the same.
        ir_version: of the file, of `OPSETS`; older runtimes read only older ones.
    """
    assert not model.training, "normalisation is folded as it is in evaluation mode"
    assert spec.codec.grids == model.task.codec.grids, "the spec is of another network"
    graph = _Graph(half)
    maps = _body(graph, _normalised(graph, model, spec), model)
    logits = _output(graph, maps, model)
    graph.add("Identity" if not spec.activated else "Concat", _fields(graph, logits, spec), spec.output_name)
    return finished(graph.model(spec, ir_version), spec, ir_version)


def finished(model: onnx.ModelProto, spec: ModelSpec, ir_version: int = IR_VERSION) -> bytes:
    """The file's content: checked, our metadata in it, and nothing else that is not the network.

    Args:
        ir_version: of `OPSETS`.

    Raises:
        AssertionError: a graph that no released runtime takes.
    """
    model.producer_name, model.producer_version = "yolo_proc", ""
    model.ir_version = min(model.ir_version, ir_version)
    model.doc_string = model.graph.doc_string = ""
    del model.metadata_props[:], model.graph.metadata_props[:], model.graph.value_info[:]
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    for tensor in model.graph.initializer:
        tensor.doc_string = ""
        assert tensor.data_location == TensorProto.DEFAULT, f"{tensor.name} lies in another file"
    model.metadata_props.add(key=METADATA_KEY, value=sealed_text(spec.to_json()))
    assert {one.domain: one.version for one in model.opset_import} == {"": OPSETS[ir_version]}, model.opset_import
    assert not any(node.op_type == "BatchNormalization" for node in model.graph.node)
    onnx.checker.check_model(model, full_check=True)
    return sealed(model.SerializeToString(deterministic=True))


class _Graph:
    """Nodes and weights as they are added; a value is known by its name."""

    def __init__(self, half: bool) -> None:
        self.half = half
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[TensorProto] = []

    @property
    def float_type(self) -> int:
        """What the body computes in."""
        return TensorProto.FLOAT16 if self.half else TensorProto.FLOAT

    def add(self, kind: str, inputs: str | Sequence[str], name: str, **attributes: Any) -> str:
        """A node whose output has its name."""
        given = [inputs] if isinstance(inputs, str) else list(inputs)
        if kind == "Concat":
            attributes.setdefault("axis", -1)
        self.nodes.append(helper.make_node(kind, given, [name], name=name, **attributes))
        return name

    def constant(self, values: NDArray[Any], name: str) -> str:
        """An array as it is."""
        self.weights.append(numpy_helper.from_array(np.asarray(values, order="C"), name))
        return name

    def weight(self, values: NDArray[np.float64], name: str) -> str:
        """An array in the type that the body computes in."""
        return self.constant(values.astype(np.float16 if self.half else np.float32), name)

    def late_weight(self, values: NDArray[np.float64], name: str) -> str:
        """An array that is stored like the others and computed with in float32."""
        if not self.half:
            return self.weight(values, name)
        return self.add("Cast", self.weight(values, f"{name}.half"), name, to=TensorProto.FLOAT)

    def model(self, spec: ModelSpec, ir_version: int) -> onnx.ModelProto:
        """The whole graph."""
        value_type = TensorProto.UINT8 if spec.value_type == "uint8" else TensorProto.FLOAT
        graph = helper.make_graph(
            self.nodes,
            "yolo_proc",
            [helper.make_tensor_value_info(spec.input_name, value_type, ["batch", *spec.input_shape])],
            [helper.make_tensor_value_info(spec.output_name, TensorProto.FLOAT, ["batch", *spec.output_shape])],
            self.weights,
        )
        operators = [helper.make_opsetid("", OPSETS[ir_version])]
        return helper.make_model(graph, opset_imports=operators, ir_version=ir_version)


def _normalised(graph: _Graph, model: Yolo, spec: ModelSpec) -> str:
    """A picture's values -> (B, 3, H, W) normalised floats."""
    assert list(spec.value_range) == [0, 255], "the network's mean and deviation are of a picture's own values"
    x = spec.input_name
    if spec.layout == "nhwc":
        x = graph.add("Transpose", x, f"{INPUT_NODES}transpose", perm=[0, 3, 1, 2])  # of bytes, before they grow
    if graph.half or spec.value_type == "uint8":
        x = graph.add("Cast", x, f"{INPUT_NODES}cast", to=graph.float_type)
    # One number each for all channels: runtimes are ten times slower where there are three of them, last in memory.
    mean, std = _array(model.mean), _array(model.std)
    assert (mean == mean.flat[0]).all(), "one mean for all channels"
    assert (std == std.flat[0]).all(), "one deviation for all channels"
    centre = graph.weight(np.array(mean.flat[0]), f"{INPUT_NODES}mean")
    scale = graph.weight(np.array(1 / std.flat[0]), f"{INPUT_NODES}scale")
    x = graph.add("Sub", [x, centre], f"{INPUT_NODES}subtract")
    return graph.add("Mul", [x, scale], f"{INPUT_NODES}multiply")


def _body(graph: _Graph, x: str, model: Yolo) -> list[str]:
    """(B, 3, H, W) -> the map of each grid."""
    body, neck = model.backbone, model.neck
    if isinstance(body, Original):
        return [_chain(graph, x, body.layers, "body")]
    assert isinstance(body, Small), type(body)
    width, height = model.frame
    features = {4: _stem(graph, x, body)}
    sides = {4: (height // 4, width // 4)}
    stride = 4
    for name, stage in body.stages.items():
        features[int(name)] = _chain(graph, features[stride], [stage], f"body.{name}")
        sides[int(name)] = (-(-sides[stride][0] // 2), -(-sides[stride][1] // 2))
        stride = int(name)
    for name, lateral in neck.laterals.items():
        fine, coarse = int(name), int(name) * 2
        up = _chain(graph, features[coarse], [lateral], f"body.lateral.{name}")
        up = _enlarged(graph, up, sides[coarse], sides[fine], f"body.enlarge.{name}")
        joined = graph.add("Add", [features[fine], up], f"body.join.{name}")
        features[fine] = _chain(graph, joined, [neck.merges[name]], f"body.merge.{name}")
    return [features[stride] for stride in neck.wanted]


def _stem(graph: _Graph, x: str, body: Small) -> str:
    """The first layer, taken apart: n x n over pixels folded F x F into channels is n F x n F over the pixels.

    So the graph needs no folding, and runtimes know convolutions of three channels.
    """
    fold = body.space_to_depth
    conv, *rest = _folded(body.stem)
    assert isinstance(conv, _Conv), type(conv)
    k, _, rows, columns = conv.weight.shape
    parts = conv.weight.reshape(k, fold, fold, 3, rows, columns)  # channels are (y, x, colour)
    weight = parts.transpose(0, 3, 4, 1, 5, 2).reshape(k, 3, rows * fold, columns * fold)
    assert conv.stride == 2, "with it, the last row that a whole padding would add is never reached"
    pads = (conv.padding * fold, conv.padding * fold, 0, 0)
    whole = _Conv(weight, conv.bias, conv.stride * fold, 0, pads)
    return _chain(graph, x, [whole, *rest], "body.stem")


def _chain(graph: _Graph, x: str, modules: "Iterable[nn.Module | _Conv]", name: str) -> str:
    """Layers one after another."""
    for number, layer in enumerate(_folded(modules)):
        own = f"{name}.{number}"
        if isinstance(layer, _Conv):
            x = _convolved(graph, x, layer, own, graph.weight)
        elif isinstance(layer, Residual):
            inner = _chain(graph, _chain(graph, x, layer.first, f"{own}.first"), layer.second, f"{own}.second")
            x = _chain(graph, graph.add("Add", [inner, x], f"{own}.add"), [layer.act], f"{own}.act")
        elif isinstance(layer, nn.ReLU):
            x = graph.add("Relu", x, own)
        elif isinstance(layer, nn.LeakyReLU):
            x = graph.add("LeakyRelu", x, own, alpha=layer.negative_slope)
        else:
            assert isinstance(layer, nn.Identity), f"no ONNX for {type(layer).__name__}"
    return x


@dataclasses.dataclass(frozen=True, eq=False)
class _Conv:
    """A convolution with what followed it folded in; weight (K, K_in, rows, columns) and bias (K,) float64."""

    weight: NDArray[np.float64]
    bias: NDArray[np.float64]
    stride: int
    padding: int
    pads: tuple[int, int, int, int] | None = None  # top, left, bottom, right, where they differ

    @classmethod
    def of(cls, conv: nn.Conv2d, norm: nn.BatchNorm2d | None) -> "_Conv":
        """The convolution, and the normalisation behind it as a factor and a summand a channel."""
        assert conv.groups == 1, "no network here has groups"
        assert conv.stride[0] == conv.stride[1], conv.stride
        assert isinstance(conv.padding, tuple), conv.padding
        weight = _array(conv.weight)
        bias = _array(conv.bias) if conv.bias is not None else np.zeros(len(weight))
        if norm is not None:
            assert norm.running_mean is not None, "the normalisation has its own figures"
            assert norm.running_var is not None, "the normalisation has its own figures"
            factor = _array(norm.weight) / np.sqrt(_array(norm.running_var) + norm.eps)
            weight = weight * factor[:, None, None, None]
            bias = (bias - _array(norm.running_mean)) * factor + _array(norm.bias)
        return cls(weight, bias, conv.stride[0], conv.padding[0])


def _folded(modules: "Iterable[nn.Module | _Conv]") -> "list[nn.Module | _Conv]":
    """The layers in order, chains inside of chains taken apart, each convolution with its normalisation."""
    layers: list[nn.Module | _Conv] = []
    waiting: nn.Conv2d | None = None
    for module in _flat(modules):
        if waiting is not None:
            norm = module if isinstance(module, nn.BatchNorm2d) else None
            layers.append(_Conv.of(waiting, norm))
            waiting = None
            if norm is not None:
                continue
        assert not isinstance(module, nn.BatchNorm2d), "a normalisation that follows no convolution"
        if isinstance(module, nn.Conv2d):
            waiting = module
        else:
            layers.append(module)
    if waiting is not None:
        layers.append(_Conv.of(waiting, None))
    return layers


def _flat(modules: "Iterable[nn.Module | _Conv]") -> "Iterable[nn.Module | _Conv]":
    for module in modules:
        if isinstance(module, nn.Sequential | ConvNormAct):
            yield from _flat(module)
        else:
            yield module


def _convolved(graph: _Graph, x: str, conv: _Conv, name: str, weight: Callable[[NDArray[np.float64], str], str]) -> str:
    return graph.add(
        "Conv",
        [x, weight(conv.weight, f"{name}.weight"), weight(conv.bias, f"{name}.bias")],
        name,
        kernel_shape=conv.weight.shape[2:],
        strides=[conv.stride] * 2,
        pads=conv.pads or [conv.padding] * 4,
    )


def _enlarged(graph: _Graph, x: str, old: tuple[int, int], new: tuple[int, int], name: str) -> str:
    """A map of the size (rows, columns) `old` at the size `new`: each value that of the nearest."""
    if all(after == 2 * before for before, after in zip(old, new, strict=True)):
        scales = graph.constant(np.array([1, 1, 2, 2], np.float32), f"{name}.scales")
        ways = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return graph.add("Resize", [x, "", scales], name, **ways)
    for axis, before, after in ((2, old[0], new[0]), (3, old[1], new[1])):
        # An odd side: runtimes round here each in their own way, so the rows are named one by one, as torch takes them.
        scale = np.float32(before) / np.float32(after)
        rows = np.minimum(np.floor(np.arange(after, dtype=np.float32) * scale).astype(np.int64), before - 1)
        x = graph.add("Gather", [x, graph.constant(rows, f"{name}.{axis}.rows")], f"{name}.{axis}", axis=axis)
    return x


def _output(graph: _Graph, maps: Sequence[str], model: Yolo) -> str:
    """The maps of the grids -> raw logits (B, S, 5 + C) in float32."""
    fields = model.task.codec.fields
    flat = []
    for number, (x, grid, layer) in enumerate(zip(maps, model.task.codec.grids, model.head.layers, strict=True)):
        name = f"{OUTPUT_NODES}{number}"
        if graph.half:
            x = graph.add("Cast", x, f"{name}.cast", to=TensorProto.FLOAT)
        slots = math.prod((grid.rows, grid.columns, len(grid.anchors)))
        if isinstance(model.head, DenseDetectionHead):
            assert isinstance(layer, nn.Linear), type(layer)
            weight = graph.late_weight(_array(layer.weight), f"{name}.weight")
            bias = graph.late_weight(_array(layer.bias), f"{name}.bias")
            x = graph.add("Flatten", x, f"{name}.flatten", axis=1)
            x = graph.add("Gemm", [x, weight, bias], f"{name}.dense", transB=1)
        else:
            assert isinstance(layer, nn.Conv2d), type(layer)
            x = _convolved(graph, x, _Conv.of(layer, None), f"{name}.conv", graph.late_weight)
            x = graph.add("Transpose", x, f"{name}.transpose", perm=[0, 2, 3, 1])  # (B, rows, columns, A (5 + C))
        shape = graph.constant(np.array([0, slots, fields], np.int64), f"{name}.shape")
        flat.append(graph.add("Reshape", [x, shape], f"{name}.slots"))
    return flat[0] if len(flat) == 1 else graph.add("Concat", flat, f"{OUTPUT_NODES}grids", axis=1)


def _fields(graph: _Graph, logits: str, spec: ModelSpec) -> list[str]:
    """What the graph's output consists of: the logits, or the activated fields, which are put side by side."""
    if not spec.activated:
        return [logits]
    sizes = graph.constant(np.array([2, 2, 1, len(spec.classes)], np.int64), f"{OUTPUT_NODES}split.sizes")
    names = [f"{OUTPUT_NODES}{field}" for field in ("xy", "wh", "j", "classes")]
    split = helper.make_node("Split", [logits, sizes], names, name=f"{OUTPUT_NODES}split", axis=-1)
    graph.nodes.append(split)
    xy, wh, j, classes = names
    limits = [
        graph.constant(np.array(limit, np.float32), f"{OUTPUT_NODES}{word}")
        for word, limit in (("low", SIZE_LOGIT_LOW), ("high", SIZE_LOGIT_HIGH))
    ]
    clipped = graph.add("Clip", [wh, *limits], f"{wh}.clip")
    return [
        graph.add("Sigmoid", xy, f"{xy}.sigmoid"),
        graph.add("Exp", clipped, f"{wh}.exp"),
        graph.add("Sigmoid", j, f"{j}.sigmoid"),
        graph.add("Softmax", classes, f"{classes}.softmax", axis=-1),
    ]


def _array(tensor: Tensor) -> NDArray[np.float64]:
    """In double precision, so that what is folded is rounded once."""
    values: NDArray[np.float64] = tensor.detach().double().cpu().numpy()
    return values
