"""A network small enough for tests of what is exported: no training, yet every layer does something."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tiny_run import tiny_config
from torch import nn

from yolo_proc.config.schema import ModelConfig
from yolo_proc.config.values import config_values
from yolo_proc.detection.codec import LabelCodec
from yolo_proc.detection.grids import grids_for
from yolo_proc.detection.task import DetectionTask
from yolo_proc.export.onnx_graph import to_onnx
from yolo_proc.export.session import OnnxDetector, Settings
from yolo_proc.export.spec import ModelSpec
from yolo_proc.models.checkpoint import save
from yolo_proc.models.network import Yolo

CLASSES = ("A", "Ö", "😀", "four")
SIZE = (64, 64)
ONE = Settings(threads=1)  # several wait for each other longer than they compute


def network(
    config: ModelConfig | None = None,
    size: tuple[int, int] = SIZE,
    anchors: tuple[tuple[float, float], ...] = ((20.0, 24.0),),
    *,
    seed: int = 0,
) -> Yolo:
    """Random weights, normalisation and outputs: nothing is 0 or 1 that an exporter could leave out unseen."""
    config = config or ModelConfig(width=0.25, depth=1)
    torch.manual_seed(seed)
    model = Yolo(config, DetectionTask(LabelCodec(grids_for(*size, config.strides, anchors), len(CLASSES))))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1)
            nn.init.normal_(module.bias, std=0.3)
    for layer in model.head.layers:
        nn.init.normal_(layer.weight, std=0.1)  # type: ignore[arg-type]
        nn.init.normal_(layer.bias, std=0.5)  # type: ignore[arg-type]
    return model.eval()


def spec_of(model: Yolo, **changes: Any) -> ModelSpec:
    """The spec of a network with `CLASSES`."""
    width, height = model.task.codec.frame
    return ModelSpec(CLASSES, width, height, model.task.codec.grids, **changes)


def exported(model: Yolo, *, half: bool = False, **changes: Any) -> OnnxDetector:
    """The network on ONNX Runtime."""
    return OnnxDetector(to_onnx(model, spec_of(model, **changes), half=half), settings=ONE)


def pictures(count: int, size: tuple[int, int] = SIZE, seed: int = 0) -> np.ndarray:
    """uint8 (count, H, W, 3): blocks of colour, so that neighbours are alike as in a picture."""
    width, height = size
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, -(-height // 8), -(-width // 8), 3), dtype=np.uint8)
    return np.ascontiguousarray(coarse.repeat(8, axis=1).repeat(8, axis=2)[:, :height, :width])


def tiny_checkpoint(path: Path, model: Yolo | None = None, **changes: Any) -> Path:
    """A checkpoint of the generator `shapes`, which draws four classes; `changes` of its state."""
    model = model or network()
    state = {
        "version": 1,
        "task": "detect",
        "classes": list(CLASSES),
        "image_size": model.task.codec.frame[0],
        "model": asdict(model.config),
        "grids": [grid.to_dict() for grid in model.task.codec.grids],
        "weights": model.state_dict(),
        "ema": model.state_dict(),
        "calibration": None,
        "config": config_values(tiny_config(path.parent)),
        "epoch": 3,
        "images": 48,
    }
    save(path, {**state, **changes})
    return path
