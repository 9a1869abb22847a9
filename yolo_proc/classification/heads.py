"""The heads of classification: the coarsest feature map to a logit a class.

B images, K channels, C classes
"""

import torch
from torch import Tensor, nn

from yolo_proc.task import Head

# The last layer's weights start this small, so that all classes are equally likely at first.
OUTPUT_STD = 1e-4


class ClassificationHead(Head):
    """Global average pooling, or nothing, and one fully connected layer.

    Args:
        channels: K of the map.
        classes: C.
        cells: of the map, for a layer that is connected to all of them; None: their average is taken.
    """

    def __init__(self, channels: int, classes: int, cells: int | None = None) -> None:
        super().__init__()
        self.pool: nn.Module = nn.AdaptiveAvgPool2d(1) if cells is None else nn.Identity()
        self.layers = nn.ModuleList([nn.Linear(channels * (cells or 1), classes)])
        self.resizable = cells is None

    def forward(self, features: list[Tensor]) -> Tensor:
        """One map (B, K, rows, columns) -> (B, C)."""
        return self.layers[0](self.pool(features[0]).flatten(1))  # type: ignore[no-any-return]

    def initialise(self) -> None:
        """Make all logits nearly 0."""
        nn.init.normal_(self._layer.weight, std=OUTPUT_STD)
        nn.init.zeros_(self._layer.bias)

    @torch.no_grad()
    def calibrate(self, scale: float, bias: float) -> None:
        """Fold `scale` into the layer; a bias for all classes changes no probability."""
        self._layer.weight *= scale
        self._layer.bias.mul_(scale).add_(bias)

    @property
    def _layer(self) -> nn.Linear:
        layer = self.layers[0]
        assert isinstance(layer, nn.Linear)
        return layer
