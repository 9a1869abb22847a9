"""The neck: coarse features added to finer ones, so that every cell of a head sees whole objects."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from yolo_proc.models.layers import ConvNormAct, Residual, initialise_for_relu


class TopDown(nn.Module):
    """From the coarsest map down: enlarged, its channels matched, added to the finer map, a residual block.

    Lin et al., "Feature pyramid networks for object detection", 2017, with nearest neighbours.

    Args:
        strides, channels: of the backbone's maps, ascending.
        wanted: the strides that the head reads; from the finest of them on all maps are merged.
        norm: batch normalisation on or off.

    Attributes:
        channels: K of each map that it gives.
    """

    def __init__(
        self, strides: Sequence[int], channels: Sequence[int], wanted: Sequence[int], *, norm: bool = True
    ) -> None:
        super().__init__()
        self.strides = tuple(strides)
        self.wanted = tuple(wanted)
        k = dict(zip(strides, channels, strict=True))
        self.laterals = nn.ModuleDict()
        self.merges = nn.ModuleDict()
        for fine, coarse in zip(strides[-2::-1], strides[:0:-1], strict=True):
            self.laterals[str(fine)] = ConvNormAct(k[coarse], k[fine], size=1, norm=norm)
            self.merges[str(fine)] = Residual(k[fine], norm=norm)
        self.channels = tuple(k[stride] for stride in wanted)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Return for each stride of the backbone (B, K, rows, columns) -> for each wanted stride the same."""
        merged = dict(zip(self.strides, maps, strict=True))
        coarse = self.strides[-1]
        for name, lateral in self.laterals.items():
            finer = merged[int(name)]
            enlarged = F.interpolate(lateral(merged[coarse]), size=finer.shape[-2:], mode="nearest")
            merged[int(name)] = self.merges[name](finer + enlarged)
            coarse = int(name)
        return [merged[stride] for stride in self.wanted]

    def initialise(self) -> None:
        """Give the weights their first values."""
        initialise_for_relu(self)
