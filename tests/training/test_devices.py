"""What a step computes stays on its device, seen without that device: torch's fake tensors know where they would be.

A number made on the processor and mixed with those of a GPU is a mistake that no run on a processor shows.
"""

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import ShapeEnv

from yolo_proc.config.schema import Config, ModelConfig
from yolo_proc.data.stream import Stream, batches
from yolo_proc.detection.codec import LabelCodec, TensorTargets
from yolo_proc.detection.grids import grids_for
from yolo_proc.detection.task import DetectionTask
from yolo_proc.models.network import Yolo
from yolo_proc.training.optim import Ema, build_optimizer
from yolo_proc.training.step import forward_objective

pytestmark = pytest.mark.slow

CONFIG = Config(model=ModelConfig(width=0.5, depth=1, strides=(8, 16)))
GPU = torch.device("cuda", 0)


def on_gpu(model: Yolo) -> Yolo:
    """The network with fake tensors of the same shapes on a GPU."""
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            shape = torch.channels_last if parameter.ndim == 4 else torch.contiguous_format
            there = torch.empty(parameter.shape, device=GPU).to(memory_format=shape)
            module.register_parameter(name, nn.Parameter(there))
        for name, buffer in module.named_buffers(recurse=False):
            module.register_buffer(name, torch.empty(buffer.shape, dtype=buffer.dtype, device=GPU))
    return model


@pytest.mark.parametrize("optimizer", ["muon", "adamw", "sgd"])
def test_a_step_mixes_no_devices(optimizer: str) -> None:
    codec = LabelCodec(grids_for(64, 64, (8, 16), [(15.0, 15.0), (30.0, 30.0)]), 3)
    task = DetectionTask(codec, CONFIG.labels, CONFIG.loss)
    batch = next(iter(batches(Stream("glyphs", 0, "train", image_size=64), 0, 8, count=1, workers=0)))
    here = codec.assign(batch, CONFIG.labels).to("cpu")
    assert len(here.image) > 0
    model = Yolo(CONFIG.model, DetectionTask(codec))
    average = copy.deepcopy(model).eval()
    with FakeTensorMode(shape_env=ShapeEnv(allow_dynamic_output_shape_ops=True)) as mode:
        on_gpu(model)
        on_gpu(average)
        there = [mode.from_tensor(one, static_shapes=True).to(GPU) if isinstance(one, Tensor) else one for one in here]
        targets = TensorTargets(*there)  # type: ignore[arg-type]
        images = mode.from_tensor(batch.images, static_shapes=True).to(GPU)
        objective, loss, terms, logits = forward_objective(model, task, images, targets, autocast=None)
        assert {one.device for one in (objective, loss, logits)} == {GPU}
        assert {part.device for pair in terms.values() for part in pair} == {GPU}
        assert objective.ndim == 0
        assert logits.dtype == objective.dtype == torch.float32
        trainer = build_optimizer(model, replace(CONFIG.optim, name=optimizer))
        for parameter in model.parameters():  # no backward pass without the device
            parameter.grad = torch.empty_like(parameter)
        norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        trainer.step()
        assert norm.device == GPU
        states = [one for state in trainer.state.values() for one in state.values() if isinstance(one, Tensor)]
        assert all(one.device == GPU or one.ndim == 0 for one in states)
        Ema(model, 0.99, average).update()
        assert {parameter.device for parameter in average.parameters()} == {GPU}
