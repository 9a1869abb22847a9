"""Every backbone of the registry: maps, first weights, export, training, resuming."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_export import CLASSES, ONE, pictures, spec_of
from tiny_run import differing, run_tiny, tiny_config
from torch import nn

from yolo_proc import Detector
from yolo_proc.classification.task import ClassificationTask
from yolo_proc.config.schema import ModelConfig, OptimConfig
from yolo_proc.detection.codec import LabelCodec
from yolo_proc.detection.grids import grids_for
from yolo_proc.detection.task import DetectionTask
from yolo_proc.export.onnx_graph import to_onnx
from yolo_proc.export.quantize import to_int8
from yolo_proc.export.session import OnnxDetector
from yolo_proc.models import checkpoint
from yolo_proc.models.network import Network, Yolo, build_model, network_outputs
from yolo_proc.models.registry import backbone_names, build_backbone, find_backbone
from yolo_proc.models.summary import describe
from yolo_proc.models.weights import model_from_checkpoint
from yolo_proc.training.muon import Muon
from yolo_proc.training.optim import build_optimizer

pytestmark = pytest.mark.slow

NAMES = backbone_names()
OF_TORCHVISION = ("mobilenet_v3_small", "regnet_y_400mf", "resnet18")
SIZE = (96, 64)


def detector(name: str, strides: tuple[int, ...] | None = None, size: tuple[int, int] = SIZE) -> Yolo:
    """A network whose statistics have seen images, and whose outputs differ."""
    config = ModelConfig(name=name, width=0.25 if name == "small" else 1.0)
    config = replace(config, strides=strides or ((32,) if name == "original" else (8, 16)))
    anchors = [(10.0, 12.0), (30.0, 20.0)][: len(config.strides)]
    torch.manual_seed(0)
    model = Yolo(config, DetectionTask(LabelCodec(grids_for(*size, config.strides, anchors), len(CLASSES))))
    with torch.no_grad():
        for seed in range(2):
            model(torch.from_numpy(pictures(4, size, seed)))
        for layer in model.head.layers:
            nn.init.normal_(layer.weight, std=0.1)  # type: ignore[arg-type]
    return model.eval()


def test_the_registry_has_what_the_documents_name() -> None:
    assert set(NAMES) == {"small", "original", *OF_TORCHVISION}


@pytest.mark.parametrize("name", NAMES)
def test_a_backbone_has_the_maps_that_it_declares(name: str) -> None:
    strides = find_backbone(ModelConfig(name=name)).head_strides
    for stride in {strides[0], strides[-1]}:
        backbone = build_backbone(ModelConfig(name=name), (stride,)).eval()
        size = backbone.space_to_depth
        maps = backbone(torch.zeros(2, 3 * size**2, 128 // size, 128 // size))
        assert stride in backbone.strides
        expected = [(2, k, 128 // s, 128 // s) for k, s in zip(backbone.channels, backbone.strides, strict=True)]
        assert [tuple(one.shape) for one in maps] == expected


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_gives_the_weights(name: str) -> None:
    one, other = detector(name, (32,)), detector(name, (32,))
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_it_is_exported_in_every_precision(name: str) -> None:
    model = detector(name)
    images = pictures(3, SIZE, seed=9)
    expected = network_outputs(model, torch.from_numpy(images), "cpu")
    assert expected.std() > 0.05
    spec = spec_of(model)
    whole = to_onnx(model, spec)
    assert OnnxDetector(whole, settings=ONE).run(images) == pytest.approx(expected, abs=2e-4)
    old = to_onnx(model, spec, ir_version=7)
    assert OnnxDetector(old, settings=ONE).run(images) == pytest.approx(expected, abs=2e-4)
    half = to_onnx(model, spec, half=True)
    assert OnnxDetector(half, settings=ONE).run(images) == pytest.approx(expected, abs=0.05)
    small = to_int8(whole, spec, [pictures(8, SIZE, seed) for seed in range(3)])
    apart = np.abs(OnnxDetector(small, settings=ONE).run(images) - expected).mean()
    assert apart < 0.3 * expected.std()


@pytest.mark.parametrize("name", NAMES)
def test_it_serves_classification_too(name: str) -> None:
    torch.manual_seed(0)
    model = build_model(ModelConfig(name=name), ClassificationTask(CLASSES, (64, 64)))
    assert model(torch.from_numpy(pictures(2))).shape == (2, 4)
    assert describe(model).macs > 0


@pytest.mark.parametrize("name", NAMES)
def test_it_is_described(name: str) -> None:
    model = detector(name, (32,), (64, 64))
    found = describe(model)
    trained_only = [] if model.auxiliary_head is None else list(model.auxiliary_head.parameters())
    assert found.parameters == sum(one.numel() for one in model.parameters()) - sum(one.numel() for one in trained_only)
    assert [(grid.stride, grid.whole_picture) for grid in found.grids] == [(32, True)]


@pytest.mark.parametrize("name", NAMES)
def test_an_interrupted_run_is_the_same_bit_for_bit(name: str, tmp_path: Path) -> None:
    width = 0.25 if name == "small" else 1.0
    model = ModelConfig(name=name, width=width, strides=(32,), anchor_scenes=20)
    config = tiny_config(tmp_path, model=model, epochs=2, epoch_images=8, validation_images=4, target_images=8)
    if name in ("resnet18", "regnet_y_400mf"):  # their matrices take Muon seconds a step
        config = replace(config, optim=replace(config.optim, name="adamw"))
    run_tiny(replace(config, run="whole"))
    run_tiny(replace(config, run="half"), stop_after=1)
    run_tiny(replace(config, run="half"), tmp_path / "half")
    whole, half = (checkpoint.load(tmp_path / run / "000002.pt") for run in ("whole", "half"))
    assert [place for place in differing(whole, half) if not place.startswith("/config/run")] == []
    first = model_from_checkpoint(whole, "raw", path=tmp_path)
    assert first.config.name == name
    images = pictures(1, (64, 64))
    assert Detector.load(tmp_path / "whole").detect(images[0]).class_ids.ndim == 1


def test_small_does_without_torchvision() -> None:
    code = (
        "import sys\n"
        "from yolo_proc.config.schema import ModelConfig\n"
        "from yolo_proc.models.registry import build_backbone\n"
        "build_backbone(ModelConfig(), (16,))\n"
        "print('torchvision' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


def test_the_normalisation_of_a_backbone_follows_a_short_run() -> None:
    for name in OF_TORCHVISION:
        backbone = build_backbone(ModelConfig(name=name), (16,))
        momenta = {layer.momentum for layer in backbone.modules() if isinstance(layer, nn.BatchNorm2d)}
        assert momenta == {0.1}, name


def test_grouped_filters_are_no_matrix_for_muon() -> None:
    model = detector("mobilenet_v3_small")
    optimizer = build_optimizer(model, OptimConfig(name="muon"))
    assert isinstance(optimizer, Muon)
    grouped = {id(layer.weight) for layer in model.modules() if isinstance(layer, nn.Conv2d) and layer.groups > 1}
    filters = {id(parameter) for parameter in optimizer.param_groups[0]["params"]}
    assert len(grouped) == 11
    assert not grouped & filters
    everything = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    assert everything == {id(parameter) for parameter in model.parameters()}


@pytest.mark.parametrize("name", NAMES)
def test_a_network_without_values_has_shapes_and_draws_nothing(name: str) -> None:
    task = detector(name, (32,)).task
    before = torch.get_rng_state()
    with torch.device("meta"):
        model = Network(ModelConfig(name=name, strides=(32,)), task)
    assert all(parameter.is_meta for parameter in model.parameters())
    assert torch.equal(torch.get_rng_state(), before)
