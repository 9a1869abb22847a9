"""`resnet18` of torchvision, its weights untrained."""

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor
from torchvision.models import resnet18
from torchvision.models.feature_extraction import create_feature_extractor

from yolo_proc.config.schema import ModelConfig
from yolo_proc.models.registry import Backbone, register_backbone


@register_backbone("resnet18", strides=(4, 8, 16, 32))
class ResNet18(Backbone):
    """He et al., "Deep residual learning for image recognition", 2016: 11.2 million parameters."""

    LAYERS: ClassVar[Mapping[int, tuple[str, int]]] = {
        4: ("layer1", 64),
        8: ("layer2", 128),
        16: ("layer3", 256),
        32: ("layer4", 512),
    }

    def __init__(self, _config: ModelConfig, strides: tuple[int, ...]) -> None:
        super().__init__()
        chosen = {stride: layer for stride, layer in self.LAYERS.items() if stride >= min(strides)}
        self.strides = tuple(chosen)
        self.channels = tuple(channels for _, channels in chosen.values())
        nodes = {name: str(stride) for stride, (name, _) in chosen.items()}
        self.features = create_feature_extractor(resnet18(weights=None, zero_init_residual=True), nodes)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) -> for each stride (B, K, H / stride, W / stride)."""
        maps = self.features(x)
        return [maps[str(stride)] for stride in self.strides]

    def initialise(self) -> None:
        """Keep torchvision's own initialisation, which was drawn when it was made."""
