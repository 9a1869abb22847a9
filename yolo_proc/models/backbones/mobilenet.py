"""`mobilenet_v3_small` of torchvision."""

from collections.abc import Mapping
from typing import ClassVar

from yolo_proc.models.registry import register_backbone
from yolo_proc.models.torchvision_backbone import TorchvisionBackbone


@register_backbone("mobilenet_v3_small", strides=(4, 8, 16, 32))
class MobileNetV3Small(TorchvisionBackbone):
    """Howard et al., "Searching for MobileNetV3", 2019: 0.9 million parameters, a filter a channel, few operations."""

    MAPS: ClassVar[Mapping[int, tuple[str, int]]] = {
        4: ("features.1", 16),
        8: ("features.3", 24),
        16: ("features.8", 48),
        32: ("features.12", 576),
    }
