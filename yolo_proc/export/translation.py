"""torch modules to ONNX nodes: a module is traced by torch.fx, and each step of the trace becomes a node.

So the topology stands in the module alone. A step without a translation raises `UntranslatedError`; then
`onnx_graph.py` asks torch's own exporter.

    B images, K channels; maps are (B, K, rows, columns)
"""

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, fx, nn

from yolo_proc.export.convolution import Convolution, UntranslatedError, array_of, factor_and_summand
from yolo_proc.export.graph_builder import GraphBuilder

Weight = Callable[[NDArray[np.float64], str], str]


class _Listed(nn.Module):
    """A module that takes a list of so many maps: a trace must know how many there are."""

    def __init__(self, module: nn.Module, count: int) -> None:
        super().__init__()
        self.module = module
        self.count = count

    def forward(self, maps: Any) -> Any:
        """As the module."""
        return self.module([maps[number] for number in range(self.count)])


def translate_maps(
    graph: GraphBuilder, module: nn.Module, maps: Sequence[str], examples: Sequence[Tensor], prefix: str, weight: Weight
) -> str:
    """Add a module that takes a list of maps and gives one tensor; return its output.

    Args:
        maps: the graph's values that the module gets.
        examples: for each a tensor of its shape.
        prefix: of the names of all nodes.
        weight: adds an array to the graph.

    Raises:
        UntranslatedError: a step without a translation.
    """
    walk = _Walk(_traced(_Listed(module, len(maps))), graph, prefix, weight)
    (output,) = walk.outputs(list(maps), list(examples))
    return output


def translate(
    graph: GraphBuilder, module: nn.Module, x: str, example: Tensor, prefix: str, *, unfolded: int = 1
) -> tuple[list[str], list[Tensor]]:
    """Add a module that takes one map and gives a list of them; return its outputs, and examples of them.

    Args:
        x: the graph's value that the module gets.
        example: a tensor (B, K, rows, columns) of its shape; B is 2 or more.
        prefix: of the names of all nodes.
        unfolded: F, where `x` holds pixels and the module expects F x F of them in one (`layers.space_to_depth`).

    Raises:
        UntranslatedError: a step without a translation.
    """
    walk = _Walk(_traced(module), graph, prefix, graph.weight, unfolded)
    names = walk.outputs(x, example)
    return names, walk.results


def _traced(module: nn.Module) -> fx.GraphModule:
    try:
        return fx.symbolic_trace(module)
    except (TypeError, ValueError, AttributeError, fx.proxy.TraceError) as error:
        raise UntranslatedError(f"{type(module).__name__} cannot be traced: {error}") from error


class _Walk:
    """The steps of a trace in their order.

    Attributes:
        results: what the last one gave for the example.
    """

    def __init__(
        self, traced: fx.GraphModule, graph: GraphBuilder, prefix: str, weight: Weight, unfolded: int = 1
    ) -> None:
        self.traced = traced
        self.modules = dict(traced.named_modules())
        self.graph = graph
        self.prefix = prefix
        self.weight = weight
        self.unfolded = unfolded
        self.values: dict[fx.Node, Any] = {}  # of the example, by step
        self.names: dict[fx.Node, str | list[str]] = {}  # of the graph's values
        self.own_names: dict[fx.Node, str] = {}
        self.waiting: dict[fx.Node, Convolution] = {}  # for the normalisation behind it
        self.results: list[Tensor] = []

    def outputs(self, given: str | list[str], example: Any) -> list[str]:
        """Add all steps; return the names of what the last one gives."""
        recorder = _Recorder(self.traced)
        with torch.inference_mode():
            recorder.run(example)
        self.values = recorder.values
        for step in self.traced.graph.nodes:
            if step.op == "placeholder":
                self.names[step] = given
            elif step.op == "output":
                last = step.args[0]
                steps = list(last) if isinstance(last, list | tuple) else [last]
                self.results = [self.values[one] for one in steps]
                return [self.name(one) for one in steps]
            elif isinstance(self.values[step], Tensor):
                self.names[step] = self._added(step)
        raise AssertionError("a trace ends with its output")

    def _added(self, step: fx.Node) -> str:
        if step.op == "call_module":
            module = self.modules[str(step.target)]
            rule: Any = _MODULES.get(type(module))
            if rule is None:
                raise UntranslatedError(f"{step.target}: no translation of the layer {type(module).__name__}")
            return str(rule(self, step, module))
        if step.op == "get_attr":
            return self.weight(array_of(self.values[step]), self.own(step))
        rule = (_METHODS if step.op == "call_method" else _FUNCTIONS).get(step.target)
        if rule is None:
            raise UntranslatedError(f"{step.name}: no translation of {getattr(step.target, '__name__', step.target)}")
        return str(rule(self, step))

    # ---- what rules ask

    def own(self, step: fx.Node) -> str:
        """Return the name of the node that the step becomes: that of its module in the network."""
        if step not in self.own_names:
            own = name = self._place(step)
            calls = 1
            while own in self.own_names.values():  # a module that is called again
                calls += 1
                own = f"{name}.{calls}"
            self.own_names[step] = own
        return self.own_names[step]

    def _place(self, step: fx.Node) -> str:
        if step.op in ("call_module", "get_attr"):
            return f"{self.prefix}{str(step.target).removeprefix('module.')}"
        inside = [str(path).removeprefix("module") for path in step.meta.get("nn_module_stack", {})]
        place = inside[-1].strip(".") if inside else ""
        return f"{self.prefix}{place}.{step.name}" if place else f"{self.prefix}{step.name}"

    def name(self, step: Any) -> str:
        """Return the graph's value of a step."""
        if step in self.waiting:
            convolution = self.waiting.pop(step)
            self.names[step] = self.convolved(convolution, self.own(step))
        name = self.names[step]
        assert isinstance(name, str), step
        return name

    def value(self, argument: Any) -> Any:
        """Return what an argument was for the example; shapes of it are whole numbers."""
        return fx.node.map_arg(argument, lambda step: self.values[step])

    def argument(self, step: fx.Node, position: int, name: str, usual: Any = None) -> Any:
        """Return an argument of a call, by its position or name."""
        return step.args[position] if len(step.args) > position else step.kwargs.get(name, usual)

    def operand(self, argument: Any, name: str) -> str:
        """Return the graph's value of a tensor or a number."""
        if isinstance(argument, fx.Node) and isinstance(self.values[argument], Tensor):
            return self.name(argument)
        return self.weight(np.asarray(self.value(argument), dtype=np.float64), name)

    def convolved(self, convolution: Convolution, name: str) -> str:
        """Add a convolution."""
        return self.graph.add(
            "Conv",
            [
                convolution.x,
                self.weight(convolution.weight, f"{name}.weight"),
                self.weight(convolution.bias, f"{name}.bias"),
            ],
            name,
            kernel_shape=convolution.weight.shape[2:],
            strides=convolution.stride,
            dilations=convolution.dilation,
            group=convolution.groups,
            pads=convolution.pads,
        )


class _Recorder(fx.Interpreter):
    """Runs a trace and keeps what each step gave."""

    def __init__(self, traced: fx.GraphModule) -> None:
        super().__init__(traced)
        self.values: dict[fx.Node, Any] = {}

    def run_node(self, n: fx.Node) -> Any:
        """See `fx.Interpreter`."""
        self.values[n] = super().run_node(n)
        return self.values[n]


# ---- rules: layers


def _convolution(walk: _Walk, step: fx.Node, module: nn.Conv2d) -> str:
    source = step.args[0]
    assert isinstance(source, fx.Node)
    folded = walk.unfolded > 1 and source.op == "placeholder"
    convolution = Convolution.of(module, walk.name(source))
    if folded:
        if module.groups > 1 or module.dilation != (1, 1) or len(source.users) > 1:
            raise UntranslatedError(f"{step.target}: the first layer is no plain convolution")
        convolution = convolution.over_pixels(walk.unfolded, *walk.values[source].shape[2:])
    users = list(step.users)
    if len(users) == 1 and users[0].op == "call_module" and type(walk.modules[str(users[0].target)]) is nn.BatchNorm2d:
        walk.waiting[step] = convolution
        return walk.own(step)
    return walk.convolved(convolution, walk.own(step))


def _normalisation(walk: _Walk, step: fx.Node, module: nn.BatchNorm2d) -> str:
    source = step.args[0]
    assert isinstance(source, fx.Node)
    if source in walk.waiting:
        return walk.convolved(walk.waiting.pop(source).normalised(module), walk.own(source))
    factor, summand = (values[:, None, None] for values in factor_and_summand(module))
    name = walk.own(step)
    scaled = walk.graph.add("Mul", [walk.name(source), walk.weight(factor, f"{name}.factor")], f"{name}.scaled")
    return walk.graph.add("Add", [scaled, walk.weight(summand, f"{name}.summand")], name)


def _linear(walk: _Walk, step: fx.Node, module: nn.Linear) -> str:
    if walk.values[step].ndim != 2:
        raise UntranslatedError(f"{step.target}: a fully connected layer over {walk.values[step].ndim} dimensions")
    name = walk.own(step)
    bias = array_of(module.bias) if module.bias is not None else np.zeros(module.out_features)
    given = [walk.name(step.args[0])]
    given += [walk.weight(array_of(module.weight), f"{name}.weight"), walk.weight(bias, f"{name}.bias")]
    return walk.graph.add("Gemm", given, name, transB=1)


def _same(walk: _Walk, step: fx.Node, *_: Any) -> str:
    """Return what does nothing in evaluation mode."""
    return walk.name(step.args[0])


def _activation(kind: str, **attributes: float) -> Callable[..., str]:
    def rule(walk: _Walk, step: fx.Node, *_: Any) -> str:
        return walk.graph.add(kind, walk.name(step.args[0]), walk.own(step), **attributes)

    return rule


def _leaky(walk: _Walk, step: fx.Node, module: nn.LeakyReLU) -> str:
    return walk.graph.add("LeakyRelu", walk.name(step.args[0]), walk.own(step), alpha=module.negative_slope)


def _relu6(walk: _Walk, step: fx.Node, *_: Any) -> str:
    name = walk.own(step)
    limits = [walk.weight(np.array(limit), f"{name}.{word}") for word, limit in (("low", 0.0), ("high", 6.0))]
    return walk.graph.add("Clip", [walk.name(step.args[0]), *limits], name)


def _gated(kind: str, **attributes: float) -> Callable[..., str]:
    """Return x times a function of x: SiLU, hard swish."""

    def rule(walk: _Walk, step: fx.Node, *_: Any) -> str:
        x, name = walk.name(step.args[0]), walk.own(step)
        return walk.graph.add("Mul", [x, walk.graph.add(kind, x, f"{name}.gate", **attributes)], name)

    return rule


def _pool(walk: _Walk, step: fx.Node, module: nn.MaxPool2d | nn.AvgPool2d) -> str:
    own = {"kernel": module.kernel_size, "stride": module.stride, "padding": module.padding}
    sides = {key: (value, value) if isinstance(value, int) else tuple(value) for key, value in own.items()}
    attributes: dict[str, Any] = {
        "kernel_shape": sides["kernel"],
        "strides": sides["stride"],
        "pads": (*sides["padding"], *sides["padding"]),
        "ceil_mode": int(module.ceil_mode),
    }
    if isinstance(module, nn.MaxPool2d):
        if module.dilation not in (1, (1, 1)) or module.return_indices:
            raise UntranslatedError(f"{step.target}: no translation of a dilated maximum")
        return walk.graph.add("MaxPool", walk.name(step.args[0]), walk.own(step), **attributes)
    if module.ceil_mode or module.divisor_override:
        raise UntranslatedError(f"{step.target}: no translation of an average with ceil_mode or divisor_override")
    attributes["count_include_pad"] = int(module.count_include_pad)
    return walk.graph.add("AveragePool", walk.name(step.args[0]), walk.own(step), **attributes)


def _global_pool(kind: str) -> Callable[..., str]:
    def rule(walk: _Walk, step: fx.Node, *_: Any) -> str:
        if tuple(walk.values[step].shape[2:]) != (1, 1):
            raise UntranslatedError(f"{step.name}: no translation of an adaptive pooling to more than one value")
        return walk.graph.add(kind, walk.name(step.args[0]), walk.own(step))

    return rule


def _upsample(walk: _Walk, step: fx.Node, module: nn.Upsample) -> str:
    if module.mode != "nearest":
        raise UntranslatedError(f"{step.target}: no translation of an enlargement by {module.mode}")
    return _enlarged(walk, step)


# ---- rules: functions and methods


def _arithmetic(kind: str) -> Callable[..., str]:
    def rule(walk: _Walk, step: fx.Node) -> str:
        name = walk.own(step)
        if walk.argument(step, 2, "alpha", 1) != 1:
            raise UntranslatedError(f"{step.name}: no translation of a sum with a factor")
        pair = [walk.argument(step, 0, "input"), walk.argument(step, 1, "other")]
        return walk.graph.add(kind, [walk.operand(one, f"{name}.{n}") for n, one in enumerate(pair)], name)

    return rule


def _joined(walk: _Walk, step: fx.Node) -> str:
    parts, axis = walk.argument(step, 0, "tensors"), walk.argument(step, 1, "dim", 0)
    return walk.graph.add("Concat", [walk.name(one) for one in parts], walk.own(step), axis=axis)


def _interpolated(walk: _Walk, step: fx.Node) -> str:
    if step.kwargs.get("mode", "nearest") != "nearest":
        raise UntranslatedError(f"{step.name}: no translation of an interpolation by {step.kwargs['mode']}")
    return _enlarged(walk, step)


def _enlarged(walk: _Walk, step: fx.Node) -> str:
    """Return a map at a larger size: each value that of the nearest."""
    source, name, graph = step.args[0], walk.own(step), walk.graph
    x = walk.name(source)
    old, new = walk.value(source).shape[2:], walk.values[step].shape[2:]
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


def _reshaped(walk: _Walk, step: fx.Node, *_: Any) -> str:
    """Return any change of shape that leaves the images apart: flatten, reshape, view, squeeze, unsqueeze."""
    source, result = walk.value(step.args[0]), walk.values[step]
    if result.shape[:1] != source.shape[:1]:
        raise UntranslatedError(f"{step.name}: no translation of a shape that mixes images: {tuple(result.shape)}")
    name = walk.own(step)
    shape = np.array([0, *result.shape[1:]], np.int64)  # 0: as it is, so that the batch is free
    return walk.graph.add("Reshape", [walk.name(step.args[0]), walk.graph.constant(shape, f"{name}.shape")], name)


def _permuted(walk: _Walk, step: fx.Node) -> str:
    order = step.args[1] if isinstance(step.args[1], list | tuple) else step.args[1:]
    return walk.graph.add("Transpose", walk.name(step.args[0]), walk.own(step), perm=list(order))


def _over_cells(kind: str) -> Callable[..., str]:
    """Return the mean or the maximum of each channel over the whole map."""

    def rule(walk: _Walk, step: fx.Node) -> str:
        source, axes = walk.value(step.args[0]), walk.argument(step, 1, "dim")
        whole = isinstance(axes, list | tuple) and {axis % source.ndim for axis in axes} == {2, 3}
        if source.ndim != 4 or not whole:
            raise UntranslatedError(f"{step.name}: no translation of a {step.target} over {axes}")
        name = walk.own(step)
        pooled = walk.graph.add(kind, walk.name(step.args[0]), f"{name}.pool")
        shape = walk.graph.constant(np.array([0, *walk.values[step].shape[1:]], np.int64), f"{name}.shape")
        return walk.graph.add("Reshape", [pooled, shape], name)

    return rule


def _item(walk: _Walk, step: fx.Node) -> str:
    """Return one of the maps that the module was given."""
    names = walk.names[step.args[0]]  # type: ignore[index]
    if not isinstance(names, list):
        raise UntranslatedError(f"{step.name}: no translation of a part of a tensor")
    return names[int(walk.value(step.args[1]))]


def _clipped(walk: _Walk, step: fx.Node) -> str:
    low, high = (walk.argument(step, n, word) for n, word in ((1, "min"), (2, "max")))
    if low is None or high is None or math.isnan(float(low)):
        raise UntranslatedError(f"{step.name}: no translation of a clamp with one limit")
    name = walk.own(step)
    limits = [walk.weight(np.array(float(one)), f"{name}.{word}") for word, one in (("low", low), ("high", high))]
    return walk.graph.add("Clip", [walk.name(step.args[0]), *limits], name)


_SIXTH = 1 / 6
_MODULES: Mapping[type[nn.Module], Callable[..., str]] = {
    nn.Conv2d: _convolution,
    nn.BatchNorm2d: _normalisation,
    nn.Linear: _linear,
    nn.Identity: _same,
    nn.Dropout: _same,
    nn.Dropout2d: _same,
    nn.Flatten: _reshaped,
    nn.ReLU: _activation("Relu"),
    nn.ReLU6: _relu6,
    nn.LeakyReLU: _leaky,
    nn.Sigmoid: _activation("Sigmoid"),
    nn.Tanh: _activation("Tanh"),
    nn.SiLU: _gated("Sigmoid"),
    nn.Hardswish: _gated("HardSigmoid", alpha=_SIXTH, beta=0.5),
    nn.Hardsigmoid: _activation("HardSigmoid", alpha=_SIXTH, beta=0.5),
    nn.MaxPool2d: _pool,
    nn.AvgPool2d: _pool,
    nn.AdaptiveAvgPool2d: _global_pool("GlobalAveragePool"),
    nn.AdaptiveMaxPool2d: _global_pool("GlobalMaxPool"),
    nn.Upsample: _upsample,
}
_FUNCTIONS: Mapping[Any, Callable[..., str]] = {
    operator.add: _arithmetic("Add"),
    operator.iadd: _arithmetic("Add"),
    torch.add: _arithmetic("Add"),
    operator.sub: _arithmetic("Sub"),
    operator.mul: _arithmetic("Mul"),
    operator.imul: _arithmetic("Mul"),
    torch.mul: _arithmetic("Mul"),
    operator.truediv: _arithmetic("Div"),
    operator.getitem: _item,
    torch.cat: _joined,
    torch.flatten: _reshaped,
    torch.relu: _activation("Relu"),
    torch.sigmoid: _activation("Sigmoid"),
    torch.clamp: _clipped,
    F.relu: _activation("Relu"),
    F.silu: _gated("Sigmoid"),
    F.hardswish: _gated("HardSigmoid", alpha=_SIXTH, beta=0.5),
    F.hardsigmoid: _activation("HardSigmoid", alpha=_SIXTH, beta=0.5),
    F.interpolate: _interpolated,
    F.adaptive_avg_pool2d: _global_pool("GlobalAveragePool"),
    F.adaptive_max_pool2d: _global_pool("GlobalMaxPool"),
}
_METHODS: Mapping[Any, Callable[..., str]] = {
    "add": _arithmetic("Add"),
    "mul": _arithmetic("Mul"),
    "clamp": _clipped,
    "contiguous": _same,
    "flatten": _reshaped,
    "reshape": _reshaped,
    "view": _reshaped,
    "squeeze": _reshaped,
    "unsqueeze": _reshaped,
    "permute": _permuted,
    "relu": _activation("Relu"),
    "sigmoid": _activation("Sigmoid"),
    "mean": _over_cells("GlobalAveragePool"),
    "amax": _over_cells("GlobalMaxPool"),
}
