"""The heads of detection: feature maps to slots, and what training alone asks of the same maps.

B images, K channels, S slots, C classes, A anchors of a grid, Gy x Gx cells of a grid, M cells of all grids
"""

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from yolo_proc.detection.codec import J, LabelCodec
from yolo_proc.task import Head

# The last layer's weights start this small, so that the first logits are its biases.
OUTPUT_STD = 1e-4


class SlotHead(Head):
    """A head whose outputs are the fields of slots.

    Args:
        object_bias: the first logit of J.

    Attributes:
        layers: one a grid.
    """

    def __init__(self, codec: LabelCodec, object_bias: float) -> None:
        super().__init__()
        self.fields = codec.fields
        self.object_bias = object_bias
        self.layers = nn.ModuleList()

    @abstractmethod
    def slot_rows(self, layer: nn.Module) -> Tensor:
        """Return the indices of a layer's outputs as (slots, 5 + C)."""

    def initialise(self) -> None:
        """See `Head`: logits of 0, but for J."""
        for layer in self.layers:
            assert isinstance(layer, nn.Conv2d | nn.Linear)
            # Drawn over below: so a seed gives the weights that it always gave.
            nn.init.kaiming_normal_(layer.weight, mode="fan_in", nonlinearity="relu")
        for layer in self.layers:
            assert isinstance(layer, nn.Conv2d | nn.Linear)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
            nn.init.normal_(layer.weight, std=OUTPUT_STD)
            with torch.no_grad():
                layer.bias[self.slot_rows(layer)[:, J]] = self.object_bias

    @torch.no_grad()
    def calibrate(self, scale: float, bias: float) -> None:
        """Fold J' = scale * J + bias into the last layer, so that sigmoid(J') is a probability."""
        for layer in self.layers:
            assert isinstance(layer, nn.Conv2d | nn.Linear)
            assert layer.bias is not None
            rows = self.slot_rows(layer)[:, J]
            layer.weight[rows] *= scale
            layer.bias[rows] = layer.bias[rows] * scale + bias


class DetectionHead(SlotHead):
    """A 1 x 1 convolution a grid."""

    def __init__(self, channels: Sequence[int], codec: LabelCodec, object_bias: float) -> None:
        super().__init__(codec, object_bias)
        self.layers = nn.ModuleList(
            nn.Conv2d(k, len(grid.anchors) * codec.fields, 1) for k, grid in zip(channels, codec.grids, strict=True)
        )

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return for each grid (B, K, Gy, Gx) -> (B, S, 5 + C), slots row by row, then anchor by anchor."""
        flat = []
        for layer, x in zip(self.layers, features, strict=True):
            y = layer(x).permute(0, 2, 3, 1)  # (B, Gy, Gx, A * (5 + C))
            flat.append(y.reshape(y.shape[0], -1, self.fields))
        return torch.cat(flat, dim=1) if len(flat) > 1 else flat[0]

    def slot_rows(self, layer: nn.Module) -> Tensor:
        """Return the indices of a layer's output channels as (slots of a cell, 5 + C)."""
        assert isinstance(layer, nn.Conv2d)
        return torch.arange(layer.out_channels).view(-1, self.fields)


class DenseDetectionHead(SlotHead):
    """The original's head: one fully connected layer from the whole map to all slots."""

    resizable = False

    def __init__(self, channels: int, codec: LabelCodec, object_bias: float) -> None:
        super().__init__(codec, object_bias)
        grid = codec.grids[0]
        self.layers = nn.ModuleList([nn.Linear(channels * grid.columns * grid.rows, codec.slots * codec.fields)])

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return one map (B, K, Gy, Gx) -> (B, S, 5 + C)."""
        flat = features[0].flatten(1)
        return self.layers[0](flat).view(flat.shape[0], -1, self.fields)  # type: ignore[no-any-return]

    def slot_rows(self, layer: nn.Module) -> Tensor:
        """Return the indices of the layer's outputs as (slots, 5 + C)."""
        assert isinstance(layer, nn.Linear)
        return torch.arange(layer.out_features).view(-1, self.fields)


class AuxiliaryHead(nn.Module):
    """Head of the auxiliary loss, for training alone: a 1 x 1 convolution a grid, four values a cell.

    They say where the centre of the object around a cell lies and how large it is, see `loss.auxiliary_loss`. In an
    untrained network all are 0.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_Silent(k, 4, 1) for k in channels)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return for each grid (B, K, Gy, Gx) -> (B, M, 4), the M cells grid by grid, row by row."""
        cells = [layer(x).flatten(2) for layer, x in zip(self.layers, features, strict=True)]  # (B, 4, Gy * Gx)
        return torch.cat(cells, dim=2).transpose(1, 2)


class _Silent(nn.Conv2d):
    """A convolution that says 0 at first; it draws nothing, so the other weights are the same with it or without."""

    def reset_parameters(self) -> None:
        """Called when it is made."""
        for parameter in self.parameters():
            nn.init.zeros_(parameter)
