"""torch's own exporter, for layers that `translation.py` does not know. It needs onnxscript."""

import copy
import importlib.util
import io
import logging
import warnings
from contextlib import redirect_stderr, redirect_stdout

import onnx
import torch
from onnx import inliner
from torch import Tensor, nn

from yolo_proc.errors import ConfigError
from yolo_proc.export.graph_builder import OPSETS, GraphBuilder

OPSET = max(OPSETS.values())
_PREFIX = "body."


def add_by_torch(
    graph: GraphBuilder, module: nn.Module, x: str, example: Tensor, why: str
) -> tuple[list[str], list[Tensor]]:
    """Add a module to a graph as `torch.onnx.export` writes it; return its outputs, and examples of them.

    Args:
        module: takes one map and gives a list of them; in evaluation mode.
        x: the graph's value that the module gets.
        example: a tensor of its shape; the first axis is free in the graph.
        why: our own translation does not do it, for the message.

    Raises:
        ConfigError: onnxscript is not installed, or torch cannot export the module.
    """
    if importlib.util.find_spec("onnxscript") is None:
        raise ConfigError(f"{why}; torch's own exporter may do it: pip install onnxscript")
    kind = torch.float16 if graph.half else torch.float32
    copied = copy.deepcopy(module).cpu().to(kind)
    try:
        made = _exported(copied, example.cpu().to(kind))
    except Exception as error:  # of many kinds, none of them documented
        line = " ".join(str(error).split())[:200]
        raise ConfigError(f"{why}; torch's own exporter refuses it too: {line}") from error
    with torch.inference_mode():
        results = list(module(example))
    return _spliced(graph, made.graph, x), results


def _exported(module: nn.Module, example: Tensor) -> onnx.ModelProto:
    """Return torch's ONNX model, with all functions written out; what it prints is not for our users."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            free = {0: torch.export.Dim("batch")}
            program = torch.onnx.export(
                module, (example,), dynamo=True, dynamic_shapes=(free,), opset_version=OPSET, verbose=False
            )
    finally:
        logging.disable(level)
    assert program is not None
    return inliner.inline_local_functions(program.model_proto)


def _spliced(graph: GraphBuilder, made: onnx.GraphProto, x: str) -> list[str]:
    """Add the nodes and weights of a graph, its input joined to `x`, all names with a prefix."""
    (given,) = made.input
    names = {"": "", given.name: x}

    def renamed(name: str) -> str:
        return names.setdefault(name, f"{_PREFIX}{name}")

    for tensor in made.initializer:
        own = onnx.TensorProto()
        own.CopyFrom(tensor)
        own.name = renamed(tensor.name)
        graph.weights.append(own)
    for number, node in enumerate(made.node):
        own_node = onnx.NodeProto()
        own_node.CopyFrom(node)
        own_node.name = f"{_PREFIX}{node.name or number}"
        for side in (own_node.input, own_node.output):
            changed = [renamed(name) for name in side]
            del side[:]
            side.extend(changed)
        graph.nodes.append(own_node)
    return [renamed(output.name) for output in made.output]
