"""An ONNX graph as it is built: nodes and weights by their names."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from yolo_proc.export.spec import ModelSpec

# By the version of the file's form (IR), the set of operators. The graph means the same in all of them. Older forms
# get the oldest set that has everything (before, a split took no sizes): ONNX Runtime 1.15 takes IR 9 but has no opset
# 19, and 1.14 crashes on opset 15 in float16.
OPSETS: Mapping[int, int] = {7: 13, 8: 13, 9: 13, 10: 20}


class GraphBuilder:
    """Nodes and weights as they are added; a value is known by its name.

    Args:
        half: weights, and what computes with them, in float16.
    """

    def __init__(self, half: bool) -> None:
        self.half = half
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[TensorProto] = []

    @property
    def float_type(self) -> int:
        """The type that the network's body computes in."""
        return TensorProto.FLOAT16 if self.half else TensorProto.FLOAT

    def add(self, kind: str, inputs: str | Sequence[str], name: str, **attributes: Any) -> str:
        """Add a node, and return its output, which has its name."""
        given = [inputs] if isinstance(inputs, str) else list(inputs)
        self.nodes.append(helper.make_node(kind, given, [name], name=name, **attributes))
        return name

    def split(self, x: str, sizes: Sequence[int], names: Sequence[str], name: str) -> None:
        """Add a node that cuts the last axis into pieces of these sizes."""
        lengths = self.constant(np.array(sizes, np.int64), f"{name}.sizes")
        self.nodes.append(helper.make_node("Split", [x, lengths], list(names), name=name, axis=-1))

    def constant(self, values: NDArray[Any], name: str) -> str:
        """Add an array as it is."""
        self.weights.append(numpy_helper.from_array(np.asarray(values, order="C"), name))
        return name

    def weight(self, values: NDArray[np.float64], name: str) -> str:
        """Add an array in the type that the network's body computes in."""
        return self.constant(values.astype(np.float16 if self.half else np.float32), name)

    def late_weight(self, values: NDArray[np.float64], name: str) -> str:
        """Add an array that is stored as the others are, and computed with in float32."""
        if not self.half:
            return self.weight(values, name)
        return self.add("Cast", self.weight(values, f"{name}.half"), name, to=TensorProto.FLOAT)

    def model(self, spec: ModelSpec, ir_version: int) -> onnx.ModelProto:
        """Return the whole graph."""
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
