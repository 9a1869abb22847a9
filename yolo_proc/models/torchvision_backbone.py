"""Backbones of torchvision, through its feature extractor. Their weights are drawn, not downloaded.

torchvision is imported when one is built: it takes long, and `small` does without.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from yolo_proc.config.schema import ModelConfig
from yolo_proc.models.registry import Backbone


class TorchvisionBackbone(Backbone):
    """Some layers of a torchvision network. A subclass names the network and the layers.

    Attributes:
        MAPS: by stride the layer that gives the map, and its channels.
        OPTIONS: what the network is built with.
    """

    MAPS: ClassVar[Mapping[int, tuple[str, int]]]
    OPTIONS: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, config: ModelConfig, strides: tuple[int, ...]) -> None:
        super().__init__()
        from torchvision.models.feature_extraction import create_feature_extractor

        maps = {stride: named for stride, named in self.MAPS.items() if stride >= min(strides)}
        self.strides = tuple(maps)
        self.channels = tuple(channels for _, channels in maps.values())
        network = _network(config.name, self.OPTIONS)
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                # Some remember a hundred batches, for runs of hundreds of epochs; a short run would be judged by the
                # statistics that its network had at first.
                layer.momentum = 0.1
        nodes = {name: str(stride) for stride, (name, _) in maps.items()}
        self.features: Callable[[Tensor], dict[str, Tensor]] = create_feature_extractor(network, nodes)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return (B, 3, H, W) -> for each stride (B, K, H / stride, W / stride)."""
        maps = self.features(x)
        return [maps[str(stride)] for stride in self.strides]

    def initialise(self) -> None:
        """Keep the values that torchvision drew when the network was made."""


def _network(name: str, options: Mapping[str, Any]) -> nn.Module:
    """Return a network of torchvision on torch's default device."""
    from torchvision.models import get_model

    device = torch.get_default_device()
    if device.type != "meta":
        return get_model(name, weights=None, **options)  # type: ignore[no-any-return]
    # Some compute their widths with tensors, which have no values there.
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        return get_model(name, weights=None, **options).to(device)  # type: ignore[no-any-return]
