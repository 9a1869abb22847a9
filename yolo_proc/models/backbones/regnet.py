"""`regnet_y_400mf` of torchvision."""

from collections.abc import Mapping
from typing import ClassVar

from yolo_proc.models.registry import register_backbone
from yolo_proc.models.torchvision_backbone import TorchvisionBackbone


@register_backbone("regnet_y_400mf", strides=(4, 8, 16, 32))
class RegNetY400MF(TorchvisionBackbone):
    """Radosavovic et al., "Designing network design spaces", 2020: 3.9 million parameters, grouped filters."""

    MAPS: ClassVar[Mapping[int, tuple[str, int]]] = {
        4: ("trunk_output.block1", 48),
        8: ("trunk_output.block2", 104),
        16: ("trunk_output.block3", 208),
        32: ("trunk_output.block4", 440),
    }
