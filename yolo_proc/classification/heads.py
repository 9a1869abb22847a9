"""The heads of classification: the coarsest feature map to a logit a class.

B images, K channels, C classes
"""

import torch
from torch import Tensor, nn

from yolo_proc.task import Head

# The last layer's weights start this small, so that all classes are equally likely at first.
OUTPUT_STD = 1e-4


class ClassificationHead(Head):
    """The maximum and the average of each channel over the map, or the whole map, and one fully connected layer.

    The average alone learns nothing for long where the object is small in its image: its gradient is spread over all
    cells. The maximum finds the object; both together learn as well as it and sooner (docs/log.md).

    Args:
        channels: K of the map.
        classes: C.
        cells: of the map, for a layer that is connected to all of them; None: the channels are pooled.
    """

    def __init__(self, channels: int, classes: int, cells: int | None = None) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(channels * (cells or 2), classes)])
        self.resizable = cells is None

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return one map (B, K, rows, columns) -> (B, C)."""
        x = features[0]
        if self.resizable:
            x = torch.cat([x.amax((2, 3)), x.mean((2, 3))], dim=1)  # (B, 2 K)
        return self.layers[0](x.flatten(1))  # type: ignore[no-any-return]

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
