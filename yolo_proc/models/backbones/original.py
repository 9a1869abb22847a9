"""`original`: the network of the Java project that this one grew from."""

import itertools
from typing import ClassVar

from torch import Tensor, nn

from yolo_proc.config.schema import ModelConfig
from yolo_proc.models.layers import ConvNormAct
from yolo_proc.models.registry import Backbone, register_backbone


@register_backbone("original", options={"batch_norm"}, strides=(32,))
class Original(Backbone):
    """3 x 3 convolutions of stride 2 with 32, 64, 128, 192, 256 filters, then one of 64.

    With its fully connected head it has 15,530,088 parameters at 416 x 416 with one 100 x 100 anchor and 3 classes.
    """

    dense_head: ClassVar[bool] = True

    def __init__(self, config: ModelConfig, strides: tuple[int, ...]) -> None:
        super().__init__()
        filters = (3, 32, 64, 128, 192, 256)
        norm = config.batch_norm
        self.layers = nn.Sequential(
            *(
                ConvNormAct(a, b, stride=2, norm=norm, act=nn.LeakyReLU(0.1, inplace=True))
                for a, b in itertools.pairwise(filters)
            ),
            ConvNormAct(filters[-1], 64, norm=norm, act=nn.LeakyReLU(0.1, inplace=True)),
        )
        self.strides = strides
        self.channels = (64,)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return (B, 3, H, W) -> one map (B, 64, H / 32, W / 32)."""
        return [self.layers(x)]
