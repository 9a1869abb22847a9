"""`resnet18` of torchvision."""

from collections.abc import Mapping
from typing import Any, ClassVar

from yolo_proc.models.registry import register_backbone
from yolo_proc.models.torchvision_backbone import TorchvisionBackbone


@register_backbone("resnet18", strides=(4, 8, 16, 32))
class ResNet18(TorchvisionBackbone):
    """He et al., "Deep residual learning for image recognition", 2016: 11.2 million parameters, plain layers."""

    MAPS: ClassVar[Mapping[int, tuple[str, int]]] = {
        4: ("layer1", 64),
        8: ("layer2", 128),
        16: ("layer3", 256),
        32: ("layer4", 512),
    }
    OPTIONS: ClassVar[Mapping[str, Any]] = {"zero_init_residual": True}  # as our own residual blocks begin
