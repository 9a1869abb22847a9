"""The ONNX graph: the network itself, in every precision, for every kind of network, input and output."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from tiny_export import ONE, SIZE, exported, network, pictures, spec_of
from torch import nn

from yolo_proc.config.schema import ModelConfig
from yolo_proc.detection.codec import activate
from yolo_proc.export.digest import DIGEST_KEY, sealed_text
from yolo_proc.export.onnx_graph import to_onnx
from yolo_proc.export.quantize import to_int8
from yolo_proc.export.session import OnnxDetector
from yolo_proc.export.spec import METADATA_KEY
from yolo_proc.models.network import Yolo, network_outputs

TWO, THREE = ((9.0, 8.0), (30.0, 20.0)), ((9.0, 8.0), (30.0, 20.0), (50.0, 60.0))
NETWORKS: dict[str, Callable[[], Yolo]] = {
    "one grid": network,
    "two grids": lambda: network(ModelConfig(width=0.25, depth=1, strides=(8, 16)), (64, 96), THREE),
    "three grids": lambda: network(ModelConfig(width=0.25, depth=0, strides=(4, 16, 32)), (64, 32), THREE),
    "odd sides": lambda: network(ModelConfig(width=0.25, depth=1, strides=(4,)), (36, 52), TWO),
    "without normalisation": lambda: network(ModelConfig(width=0.25, batch_norm=False, strides=(8, 16)), SIZE, TWO),
    "original": lambda: network(ModelConfig(name="original", strides=(32,)), (96, 64), TWO),
    "original without normalisation": lambda: network(
        ModelConfig(name="original", strides=(32,), batch_norm=False), (32, 64)
    ),
}


def graph_of(content: bytes) -> onnx.ModelProto:
    return onnx.load_from_string(content)


def kinds(content: bytes) -> set[str]:
    return {node.op_type for node in graph_of(content).graph.node}


# ---- the graph


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("count", [1, 2, 7])
def test_the_graph_is_the_network(name: str, count: int) -> None:
    model = NETWORKS[name]()
    images = pictures(count, model.task.codec.frame)
    expected = network_outputs(model, torch.from_numpy(images), "cpu")
    assert expected.std() > 0.1
    assert exported(model).run(images) == pytest.approx(expected, abs=2e-4)
    floats = {"layout": "nchw", "value_type": "float32"}
    assert exported(model, **floats).run(images) == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize("name", ["two grids", "original"])
def test_activations_can_be_in_the_graph(name: str) -> None:
    model = NETWORKS[name]()
    images = pictures(2, model.task.codec.frame)
    predictions = {"activated": True, "output_name": "predictions"}
    found = exported(model, **predictions).detect_batch(images)
    for one, other in zip(found, exported(model).detect_batch(images), strict=True):
        assert one.slots.tolist() == other.slots.tolist()
        assert one.box_xyxy == pytest.approx(other.box_xyxy, abs=0.01)
    for layer in model.head.layers:
        assert isinstance(layer.bias, nn.Parameter)
        layer.bias.data[:5] = torch.tensor([60.0, -60.0, 30.0, -30.0, 200.0])  # what sigmoid and exp saturate at
    expected = activate(network_outputs(model, torch.from_numpy(images), "cpu"))
    assert exported(model, **predictions).run(images) == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert expected.max() > 9000  # e^9.2: the clip is there


@pytest.mark.parametrize("name", NETWORKS)
def test_a_file_for_an_older_runtime_computes_the_same(name: str) -> None:
    model = NETWORKS[name]()
    images = pictures(2, model.task.codec.frame)
    for predictions in ({}, {"activated": True, "output_name": "predictions"}):
        spec = spec_of(model, **predictions)
        newest, oldest = to_onnx(model, spec), to_onnx(model, spec, ir_version=7)
        graph = graph_of(oldest)
        assert (graph.ir_version, graph.opset_import[0].version) == (7, 13)
        onnx.checker.check_model(oldest, full_check=True)
        expected = OnnxDetector(newest, settings=ONE).run(images)
        assert OnnxDetector(oldest, settings=ONE).run(images) == pytest.approx(expected, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("name", ["two grids", "original"])
def test_half_precision_is_near_and_half_as_large(name: str) -> None:
    model = NETWORKS[name]()
    images = pictures(2, model.task.codec.frame)
    whole, half = to_onnx(model, spec_of(model)), to_onnx(model, spec_of(model), half=True)
    assert len(half) < 0.7 * len(whole)
    apart = OnnxDetector(half, settings=ONE).run(images) - OnnxDetector(whole, settings=ONE).run(images)
    assert 1e-6 < np.abs(apart).max() < 0.05
    tensors = graph_of(half).graph.initializer
    assert {tensor.data_type for tensor in tensors if "weight" in tensor.name} == {onnx.TensorProto.FLOAT16}
    assert graph_of(half).graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8


@pytest.mark.parametrize("name", ["two grids", "original"])
def test_int8_is_near_and_leaves_the_last_layer_alone(name: str) -> None:
    model = NETWORKS[name]()
    spec = spec_of(model)
    whole = to_onnx(model, spec)
    small = to_int8(whole, spec, [pictures(4, model.task.codec.frame, seed) for seed in range(3)])
    graph = graph_of(small).graph
    made_by = {output: node for node in graph.node for output in node.output}
    kind = "Gemm" if name == "original" else "Conv"
    for node in graph.node:
        if node.name.startswith("head.") and node.op_type == kind:
            assert made_by.get(node.input[1]) is None, "the weight is a float32 as it stands"
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds(small)
    scales = {tensor.name: tensor for tensor in graph.initializer if tensor.name.endswith("weight_scale")}
    assert scales
    assert all(numpy_helper.to_array(scale).size > 1 for scale in scales.values()), "a scale a channel"
    images = pictures(4, model.task.codec.frame, 9)
    expected = OnnxDetector(whole, settings=ONE).run(images)
    apart = np.abs(OnnxDetector(small, settings=ONE).run(images) - expected).mean()
    assert 0 < apart < 0.2 * expected.std()
    assert graph_of(small).metadata_props[0].value == sealed_text(spec.to_json())


def test_it_is_what_released_runtimes_take() -> None:
    for content in (to_onnx(network(), spec_of(network())), to_onnx(network(), spec_of(network()), half=True)):
        model = graph_of(content)
        assert model.ir_version == 10
        assert [(one.domain, one.version) for one in model.opset_import] == [("", 20)]
        assert "BatchNormalization" not in kinds(content)
        assert [one.dim_param for one in model.graph.input[0].type.tensor_type.shape.dim] == ["batch", "", "", ""]


def test_nothing_of_this_machine_is_in_it() -> None:
    model = network()
    content = to_onnx(model, spec_of(model))
    for word in (str(Path(__file__).parents[2]), str(Path.home()), "/usr", ".py", "torch"):
        assert word.encode() not in content
    read = graph_of(content)
    assert [one.key for one in read.metadata_props] == [METADATA_KEY, DIGEST_KEY]
    assert not any(node.doc_string or node.metadata_props for node in read.graph.node)
    assert all(not tensor.external_data for tensor in read.graph.initializer)


def test_it_is_the_same_bytes_again() -> None:
    model = network()
    assert to_onnx(model, spec_of(model)) == to_onnx(model, spec_of(model))
