"""A trained network as an ONNX graph, made from its modules.

    images -> input.* (bytes to normalised floats) -> backbone.*, neck.* -> head.* (raw logits) -> output.*

Our own translation of layers names every node after its module, folds normalisation in double precision, and carries
nothing of the machine that it runs on. Layers that it does not know go through torch's own exporter, which needs
`pip install onnxscript`. Either way the result is compared with the network itself on hundreds of images
before anybody gets it (`verify.py`).

    B images, S slots, C classes, K channels; maps are (B, K, rows, columns)
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto
from torch import Tensor, nn

from yolo_proc.detection.codec import SIZE_LOGIT_HIGH, SIZE_LOGIT_LOW
from yolo_proc.errors import ConfigError
from yolo_proc.export.convolution import UntranslatedError, array_of
from yolo_proc.export.digest import METADATA_KEY, sealed, sealed_text
from yolo_proc.export.graph_builder import OPSETS, GraphBuilder
from yolo_proc.export.spec import CLASSIFICATION, ModelSpec
from yolo_proc.export.torch_exporter import add_by_torch
from yolo_proc.export.translation import translate, translate_maps
from yolo_proc.models.network import Network

# What ONNX Runtime's released Java library reads, and all runtimes since 1.18.
IR_VERSION = 10
OPSET = OPSETS[IR_VERSION]
INPUT_NODES = "input."
# The prefixes of the nodes that always compute in float32.
HEAD_NODES, OUTPUT_NODES = "head.", "output."


def to_onnx(model: Network[Any], spec: ModelSpec, *, half: bool = False, ir_version: int = IR_VERSION) -> bytes:
    """Return the network as the content of an ONNX file, batch normalisation folded into the convolutions.

    Args:
        model: in evaluation mode.
        spec: of the input and the output; goes into the file's metadata.
        half: weights, backbone and neck in float16; the head computes in float32 all the same.
        ir_version: of the file, of `OPSETS`; older runtimes read only older ones.

    Raises:
        ConfigError: layers that only torch's own exporter knows, and it is not installed or makes no older form.
    """
    assert not model.training, "normalisation is folded as it is in evaluation mode"
    assert (spec.task, spec.output_shape) == (model.task.name, model.task.output_shape), "of another network"
    graph = GraphBuilder(half)
    maps, examples = _features(graph, _normalised(graph, model, spec), model, ir_version)
    logits = _head(graph, model.head, maps, examples)
    _add_output(graph, logits, spec)
    return finished(graph.model(spec, ir_version), spec, ir_version)


def finished(model: onnx.ModelProto, spec: ModelSpec, ir_version: int = IR_VERSION) -> bytes:
    """Return the file's content: checked, our metadata in it, and nothing else that is not the network.

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
    onnx.checker.check_model(model, full_check=True)
    return sealed(model.SerializeToString(deterministic=True))


def _normalised(graph: GraphBuilder, model: Network[Any], spec: ModelSpec) -> str:
    """Add what makes normalised floats (B, 3, H, W) of an image's values."""
    assert list(spec.value_range) == [0, 255], "the network's mean and deviation are of a picture's own values"
    x = spec.input_name
    if spec.layout == "nhwc":
        x = graph.add("Transpose", x, f"{INPUT_NODES}transpose", perm=[0, 3, 1, 2])  # of bytes, before they grow
    if graph.half or spec.value_type == "uint8":
        x = graph.add("Cast", x, f"{INPUT_NODES}cast", to=graph.float_type)
    # One number each for all channels: runtimes are ten times slower where there are three of them, last in memory.
    mean, std = array_of(model.mean), array_of(model.std)
    assert (mean == mean.flat[0]).all(), "one mean for all channels"
    assert (std == std.flat[0]).all(), "one deviation for all channels"
    centre = graph.weight(np.array(mean.flat[0]), f"{INPUT_NODES}mean")
    scale = graph.weight(np.array(1 / std.flat[0]), f"{INPUT_NODES}scale")
    x = graph.add("Sub", [x, centre], f"{INPUT_NODES}subtract")
    return graph.add("Mul", [x, scale], f"{INPUT_NODES}multiply")


class _Features(nn.Module):
    """Backbone and neck of a network."""

    def __init__(self, model: Network[Any]) -> None:
        super().__init__()
        self.backbone, self.neck = model.backbone, model.neck

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return (B, 3 F^2, H / F, W / F) normalised floats -> for each stride of the head a map."""
        return self.neck(self.backbone(x))  # type: ignore[no-any-return]


def _features(graph: GraphBuilder, x: str, model: Network[Any], ir_version: int) -> tuple[list[str], list[Tensor]]:
    """Add backbone and neck: (B, 3, H, W) -> the map of each stride of the head, and examples of them."""
    size = model.backbone.space_to_depth
    width, height = model.frame
    device = model.mean.device
    example = torch.zeros(2, 3 * size**2, height // size, width // size, device=device)
    module = _Features(model).eval()
    nodes, weights = len(graph.nodes), len(graph.weights)
    try:
        return translate(graph, module, x, example, "", unfolded=size)
    except UntranslatedError as error:
        del graph.nodes[nodes:], graph.weights[weights:]
        if ir_version != IR_VERSION:
            raise ConfigError(
                f"ir-version: the network {model.config.name} is written by torch's own exporter ({error}), which "
                f"makes files of IR {IR_VERSION}, found {ir_version}; leave the option out"
            ) from error
        if size > 1:
            x = graph.add("SpaceToDepth", x, f"{INPUT_NODES}space_to_depth", blocksize=size)
        return add_by_torch(graph, module, x, example, f"the network {model.config.name}: {error}")


def _head(graph: GraphBuilder, head: nn.Module, maps: Sequence[str], examples: Sequence[Tensor]) -> str:
    """Add the head: the maps -> raw logits in float32."""
    given = list(maps)
    if graph.half:
        given = [
            graph.add("Cast", x, f"{HEAD_NODES}cast.{number}", to=TensorProto.FLOAT) for number, x in enumerate(given)
        ]
    try:
        return translate_maps(graph, head, given, examples, HEAD_NODES, graph.late_weight)
    except UntranslatedError as error:
        raise ConfigError(
            f"task: the head {type(head).__name__} cannot be exported ({error}); build it of layers that "
            "yolo_proc/export/translation.py knows, or add them there"
        ) from error


def _add_output(graph: GraphBuilder, logits: str, spec: ModelSpec) -> None:
    """Add the graph's output: the logits, or what the inverse functions make of them."""
    if not spec.activated:
        graph.add("Identity", logits, spec.output_name)
        return
    if spec.task == CLASSIFICATION:
        graph.add("Softmax", logits, spec.output_name, axis=-1)
        return
    xy, wh, j, classes = names = [f"{OUTPUT_NODES}{field}" for field in ("xy", "wh", "j", "classes")]
    graph.split(logits, [2, 2, 1, len(spec.classes)], names, f"{OUTPUT_NODES}split")
    limits = [
        graph.constant(np.array(limit, np.float32), f"{OUTPUT_NODES}{word}")
        for word, limit in (("low", SIZE_LOGIT_LOW), ("high", SIZE_LOGIT_HIGH))
    ]
    clipped = graph.add("Clip", [wh, *limits], f"{wh}.clip")
    fields = [
        graph.add("Sigmoid", xy, f"{xy}.sigmoid"),
        graph.add("Exp", clipped, f"{wh}.exp"),
        graph.add("Sigmoid", j, f"{j}.sigmoid"),
        graph.add("Softmax", classes, f"{classes}.softmax", axis=-1),
    ]
    graph.add("Concat", fields, spec.output_name, axis=-1)
