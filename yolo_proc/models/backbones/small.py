"""`small`, the default: made to learn quickly on a plain processor."""

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn

from yolo_proc.config.schema import ModelConfig
from yolo_proc.models.layers import ConvNormAct, Residual
from yolo_proc.models.registry import Backbone, register_backbone


@register_backbone("small", options={"width", "depth", "batch_norm"})
class Small(Backbone):
    """2 x 2 pixels in one, then one stage a stride: a 3 x 3 convolution of stride 2 and residual blocks.

    The stem is one layer: 3 x 3 over 2 x 2 pixels in one, which is 6 x 6 pixels, at stride 4. It learns as much from an
    image as two thin layers at higher resolution, and is quicker; patches of 4 x 4 that do not overlap learn much less
    (docs/log.md).

    `width` is a factor on the channels 24, 48, 96, 128, 160 at strides 4, 8, 16, 32, 64, at least 8; `depth` is the
    number of residual blocks in each stage that a head reads (a stage in between has one).
    """

    CHANNELS: ClassVar[Mapping[int, int]] = {4: 24, 8: 48, 16: 96, 32: 128, 64: 160}
    # A head finer than this still needs features that see a whole object.
    COARSEST_AT_LEAST: ClassVar[int] = 16
    space_to_depth: ClassVar[int] = 2

    def __init__(self, config: ModelConfig, strides: tuple[int, ...]) -> None:
        super().__init__()
        norm = config.batch_norm
        coarsest = max(*strides, self.COARSEST_AT_LEAST)
        k = {stride: max(8, 8 * round(base * config.width / 8)) for stride, base in self.CHANNELS.items()}
        self.stem = ConvNormAct(3 * self.space_to_depth**2, k[4], stride=2, norm=norm)
        self.stages = nn.ModuleDict()
        stride = 8
        while stride <= coarsest:
            blocks = config.depth if stride in strides or stride == coarsest else 1
            self.stages[str(stride)] = nn.Sequential(
                ConvNormAct(k[stride // 2], k[stride], stride=2, norm=norm),
                *(Residual(k[stride], norm=norm) for _ in range(blocks)),
            )
            stride *= 2
        self.strides = tuple(stride for stride in k if min(strides) <= stride <= coarsest)
        self.channels = tuple(k[stride] for stride in self.strides)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return (B, 12, H / 2, W / 2) -> for each stride (B, K, H / stride, W / stride)."""
        x = self.stem(x)
        maps = {4: x}
        for name, stage in self.stages.items():
            x = stage(x)
            maps[int(name)] = x
        return [maps[stride] for stride in self.strides]
