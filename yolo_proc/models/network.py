"""A network: images in, raw logits out. It knows no targets and applies no sigmoid.

    images (B, H, W, 3) uint8 -> normalise -> backbone -> neck -> head -> raw logits

The backbone comes from the registry, the head from the task, so every backbone serves every task. `Network` with a
`DetectionTask` is the detector: a YOLO.

    B images, H x W pixels, S slots, C classes, K channels
"""

import copy
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from yolo_proc.config.schema import ModelConfig
from yolo_proc.detection.task import DetectionTask
from yolo_proc.errors import ConfigError
from yolo_proc.models.layers import normalise, space_to_depth
from yolo_proc.models.necks import TopDown
from yolo_proc.models.registry import build_backbone
from yolo_proc.task import Task

TaskT = TypeVar("TaskT", bound=Task)

# Pixels of any source: mid grey and a broad deviation. Fixed, so that a picture means the same in every run.
PIXEL_MEAN = 127.5
PIXEL_STD = 64.0


class Network(nn.Module, Generic[TaskT]):
    """Normalisation, backbone, neck and head.

    Args:
        config: which backbone, how wide and deep.
        task: says the size of the images and builds the head.

    Raises:
        ConfigError: no such backbone, or one that does not fit the options or the task.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: ModelConfig, task: TaskT) -> None:
        super().__init__()
        self.config = config
        self.task = task
        self.register_buffer("mean", torch.full((3, 1, 1), PIXEL_MEAN))
        self.register_buffer("std", torch.full((3, 1, 1), PIXEL_STD))
        self.backbone = build_backbone(config, task.strides)
        strides, channels = self.backbone.strides, self.backbone.channels
        self.neck = TopDown(strides, channels, task.strides, norm=config.batch_norm)
        dense = self.backbone.dense_head
        self.head = task.head(self.neck.channels, dense=dense)
        if not self.mean.is_meta:  # there it has shapes and no values
            for part in (self.backbone, self.neck, self.head):
                part.initialise()
        # A fully connected head sees the whole picture from every output, and needs no such help.
        self.auxiliary_head = None if dense else task.auxiliary_head(self.neck.channels)
        self.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        """Return uint8 RGB (B, H, W, 3) -> raw logits (B, ...); of detection (B, S, 5 + C)."""
        return self.head(self.features(images))  # type: ignore[no-any-return]

    def features(self, images: Tensor) -> list[Tensor]:
        """Return uint8 RGB (B, H, W, 3) -> for each stride of the task a map (B, K, H / stride, W / stride)."""
        # As bytes, because they are a quarter of the floats.
        cells = space_to_depth(images, self.backbone.space_to_depth)
        return self.neck(self.backbone(normalise(cells, self.mean, self.std)))  # type: ignore[no-any-return]

    def with_auxiliary(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Do as `forward`, with what the auxiliary head says, (B, M, 4); None where there is none."""
        features = self.features(images)
        return self.head(features), None if self.auxiliary_head is None else self.auxiliary_head(features)

    def shipped_parameters(self) -> list[nn.Parameter]:
        """Return all but those of the auxiliary head, which training alone needs."""
        apart = set() if self.auxiliary_head is None else {id(one) for one in self.auxiliary_head.parameters()}
        return [parameter for parameter in self.parameters() if id(parameter) not in apart]

    def head_parameters(self) -> list[nn.Parameter]:
        """Return those of the heads, whose rows mean different things, each on its own."""
        return [
            *self.head.parameters(),
            *([] if self.auxiliary_head is None else self.auxiliary_head.parameters()),
        ]

    @property
    def frame(self) -> tuple[int, int]:
        """Width and height of the images."""
        return self.task.frame

    @property
    def resizable(self) -> bool:
        """Whether it takes images of other sizes: a fully connected head has weights for one alone."""
        return self.head.resizable

    def at(self, width: int, height: int) -> "Network[TaskT]":
        """Return the same network for images of another size: it shares all weights, and has its own task.

        Raises:
            ConfigError: a side that is not a multiple of every stride, or a network that is not `resizable`.
        """
        if (width, height) == self.frame:
            return self
        if not self.resizable:
            own = "{}x{}".format(*self.frame)
            raise ConfigError(
                f"input-size: the network {self.config.name} has a fully connected head: expected {own}, "
                f"found {width}x{height}; other networks, such as `--model small`, take other sizes"
            )
        other = copy.copy(self)
        other.task = self.task.resized(width, height)
        return other

    def parameter_groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """Return two groups: matrices and filters decay; biases and the normalisation's own parameters do not."""
        parameters = [parameter for parameter in self.parameters() if parameter.requires_grad]
        return [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]


Yolo = Network[DetectionTask]


def build_model(config: ModelConfig, task: TaskT) -> Network[TaskT]:
    """Build the network of a task. Its first weights come from torch's generator.

    Raises:
        ConfigError: see `Network`.
    """
    return Network(config, task)


@torch.inference_mode()
def network_outputs(model: Network[Any], images: Tensor, device: torch.device | str) -> NDArray[np.float32]:
    """Return raw logits float32 (B, ...) of uint8 images (B, H, W, 3); none for no images."""
    if not len(images):
        return np.zeros((0, *model.task.output_shape), dtype=np.float32)
    outputs: NDArray[np.float32] = model(images.to(device)).float().cpu().numpy()
    return outputs
