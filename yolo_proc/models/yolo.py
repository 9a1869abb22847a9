"""The networks: pictures in, raw logits out. They know no targets and apply no sigmoid.

    B images, H x W pixels, S slots, C classes, A anchors a grid, Gy x Gx cells of a grid, K channels

`small` (the default): 2 x 2 pixels folded into channels, then 3 x 3 convolutions of stride 2, one a stride, with
residual blocks from stride 8 on; a coarser stage's features are added to a finer grid's from above. `original`: the
network of the Java project that this one grew from, 15,530,088 parameters at 416 x 416 with one 100 x 100 anchor and
3 classes.
"""

import copy
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from yolo_proc.config.schema import LossConfig, ModelConfig
from yolo_proc.detection.codec import LabelCodec
from yolo_proc.detection.grids import grids_over
from yolo_proc.errors import ConfigError

# Pixels of any source: mid grey and a broad deviation. Fixed, so that a picture means the same in every run.
PIXEL_MEAN = 127.5
PIXEL_STD = 64.0
# The output layer's weights start this small, so that the first logits are its biases.
OUTPUT_STD = 1e-4


class ConvNormAct(nn.Sequential):
    """Convolution, batch normalisation, activation. The convolution has a bias only without the normalisation."""

    def __init__(
        self, k_in: int, k_out: int, size: int = 3, stride: int = 1, *, norm: bool = True, act: nn.Module | None = None
    ) -> None:
        layers: list[nn.Module] = [nn.Conv2d(k_in, k_out, size, stride, size // 2, bias=not norm)]
        if norm:
            layers.append(nn.BatchNorm2d(k_out))
        layers.append(act if act is not None else nn.ReLU(inplace=True))
        super().__init__(*layers)


class Residual(nn.Module):
    """x + two 3 x 3 convolutions of x (He et al., "Identity mappings in deep residual networks", 2016, post-norm)."""

    def __init__(self, channels: int, *, norm: bool) -> None:
        super().__init__()
        self.first = ConvNormAct(channels, channels, norm=norm)
        self.second = ConvNormAct(channels, channels, norm=norm, act=nn.Identity())
        self.act = nn.ReLU(inplace=True)

    def start_as_identity(self) -> None:
        """Makes what is added to x zero at first (Goyal et al., "Accurate, large minibatch SGD", 2017, section 5.1)."""
        scale = self.second[1] if len(self.second) == 3 else self.second[0]  # the normalisation, or the filters
        assert isinstance(scale, nn.BatchNorm2d | nn.Conv2d)
        nn.init.zeros_(scale.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.second(self.first(x)) + x)  # type: ignore[no-any-return]


class SmallBody(nn.Module):
    """One stage a stride; gives a feature map for each grid, coarse features added to finer ones.

    The stem is one layer: 3 x 3 over pixels that were folded 2 x 2 into channels, which is 6 x 6 pixels, at stride 4.
    It learns as much from an image as two thin layers at higher resolution, and is quicker; patches of 4 x 4 that do
    not overlap learn much less (docs/log.md).

    Args:
        strides: of the grids, ascending powers of two from 4 to 64.
        width: factor on the channels: 24, 48, 96, 128, 160 at strides 4, 8, 16, 32, 64; at least 8.
        depth: residual blocks in each stage that a grid reads (a stage in between has one).
        norm: batch normalisation on or off.

    Attributes:
        channels: of the map of each grid.
    """

    CHANNELS: Mapping[int, int] = {4: 24, 8: 48, 16: 96, 32: 128, 64: 160}
    FOLD = 2
    # A grid finer than this still needs features that see a whole object.
    COARSEST_AT_LEAST = 16

    def __init__(self, strides: Sequence[int], *, width: float, depth: int, norm: bool) -> None:
        super().__init__()
        self.strides = tuple(strides)
        coarsest = max(*strides, self.COARSEST_AT_LEAST)
        k = {stride: max(8, 8 * round(base * width / 8)) for stride, base in self.CHANNELS.items()}
        self.stem = ConvNormAct(3 * self.FOLD**2, k[4], stride=2, norm=norm)
        self.stages = nn.ModuleDict()
        stride = 8
        while stride <= coarsest:
            blocks = depth if stride in strides or stride == coarsest else 1
            self.stages[str(stride)] = nn.Sequential(
                ConvNormAct(k[stride // 2], k[stride], stride=2, norm=norm),
                *(Residual(k[stride], norm=norm) for _ in range(blocks)),
            )
            stride *= 2
        self.laterals = nn.ModuleDict()
        self.merges = nn.ModuleDict()
        stride = coarsest // 2
        while stride >= min(strides):
            self.laterals[str(stride)] = ConvNormAct(k[stride * 2], k[stride], size=1, norm=norm)
            self.merges[str(stride)] = Residual(k[stride], norm=norm)
            stride //= 2
        self.channels = [k[stride] for stride in strides]

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 12, H / 2, W / 2) -> for each grid (B, K, Gy, Gx)."""
        features = {4: self.stem(x)}
        stride = 4
        for name, stage in self.stages.items():
            features[int(name)] = stage(features[stride])
            stride = int(name)
        for name, lateral in self.laterals.items():
            finer = features[int(name)]
            coarse = F.interpolate(lateral(features[int(name) * 2]), size=finer.shape[-2:], mode="nearest")
            features[int(name)] = self.merges[name](finer + coarse)
        return [features[stride] for stride in self.strides]


class ConvOutput(nn.Module):
    """The output layer of a convolutional body: a 1 x 1 convolution a grid."""

    def __init__(self, channels: Sequence[int], codec: LabelCodec) -> None:
        super().__init__()
        self.fields = codec.fields
        self.layers = nn.ModuleList(
            nn.Conv2d(k, len(grid.anchors) * codec.fields, 1) for k, grid in zip(channels, codec.grids, strict=True)
        )

    def forward(self, features: list[Tensor]) -> Tensor:
        """For each grid (B, K, Gy, Gx) -> (B, S, 5 + C), slots row by row, then anchor by anchor."""
        flat = []
        for layer, x in zip(self.layers, features, strict=True):
            y = layer(x).permute(0, 2, 3, 1)  # (B, Gy, Gx, A * (5 + C))
            flat.append(y.reshape(y.shape[0], -1, self.fields))
        return torch.cat(flat, dim=1) if len(flat) > 1 else flat[0]

    def slot_rows(self, layer: nn.Module) -> Tensor:
        """The indices of a layer's output channels as (slots of a cell, 5 + C)."""
        assert isinstance(layer, nn.Conv2d)
        return torch.arange(layer.out_channels).view(-1, self.fields)


class AuxiliaryOutput(nn.Module):
    """What training alone asks of the features: a 1 x 1 convolution a grid, four values a cell.

    They say where the centre of the object around a cell lies and how large it is, see `loss.auxiliary_loss`. In an
    untrained network all are 0.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_Silent(k, 4, 1) for k in channels)

    def forward(self, features: list[Tensor]) -> Tensor:
        """For each grid (B, K, Gy, Gx) -> (B, M, 4), the M cells grid by grid, row by row."""
        cells = [layer(x).flatten(2) for layer, x in zip(self.layers, features, strict=True)]  # (B, 4, Gy * Gx)
        return torch.cat(cells, dim=2).transpose(1, 2)


class _Silent(nn.Conv2d):
    """A convolution that says 0 at first; it draws nothing, so the other weights are the same with it or without."""

    def reset_parameters(self) -> None:
        """Called when it is made."""
        for parameter in self.parameters():
            nn.init.zeros_(parameter)


class OriginalBody(nn.Module):
    """The Java project's convolutions: 3 x 3 of stride 2 with 32, 64, 128, 192, 256 filters, then one of 64."""

    STRIDE = 32
    FOLD = 1

    def __init__(self, *, norm: bool) -> None:
        super().__init__()
        channels = (3, 32, 64, 128, 192, 256)
        pairs = itertools.pairwise(channels)
        self.layers = nn.Sequential(
            *(ConvNormAct(a, b, stride=2, norm=norm, act=nn.LeakyReLU(0.1, inplace=True)) for a, b in pairs),
            ConvNormAct(channels[-1], 64, norm=norm, act=nn.LeakyReLU(0.1, inplace=True)),
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) -> one map (B, 64, H / 32, W / 32)."""
        return [self.layers(x)]


class DenseOutput(nn.Module):
    """The original's output layer: one fully connected layer from the whole picture to all slots."""

    def __init__(self, channels: int, codec: LabelCodec) -> None:
        super().__init__()
        grid = codec.grids[0]
        self.fields = codec.fields
        self.layers = nn.ModuleList([nn.Linear(channels * grid.columns * grid.rows, codec.slots * codec.fields)])

    def forward(self, features: list[Tensor]) -> Tensor:
        """One map (B, K, Gy, Gx) -> (B, S, 5 + C)."""
        flat = features[0].flatten(1)
        return self.layers[0](flat).view(flat.shape[0], -1, self.fields)  # type: ignore[no-any-return]

    def slot_rows(self, layer: nn.Module) -> Tensor:
        """The indices of the layer's outputs as (slots, 5 + C)."""
        assert isinstance(layer, nn.Linear)
        return torch.arange(layer.out_features).view(-1, self.fields)


class Yolo(nn.Module):
    """Pictures to raw logits: normalisation, body, output layer.

    Args:
        config: which body, how wide and deep.
        codec: grids, anchors and classes; says the shape of the output.
        object_bias: the initial logit of J (see `constant_object_logit`).

    Raises:
        ConfigError: a named network that does not fit the grids.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: ModelConfig, codec: LabelCodec, *, object_bias: float = 0.0) -> None:
        super().__init__()
        self.config = config
        self.codec = codec
        self.register_buffer("mean", torch.full((3, 1, 1), PIXEL_MEAN))
        self.register_buffer("std", torch.full((3, 1, 1), PIXEL_STD))
        self.body: SmallBody | OriginalBody
        self.output: ConvOutput | DenseOutput
        self.auxiliary: AuxiliaryOutput | None
        if config.name == "original":
            if [grid.stride for grid in codec.grids] != [OriginalBody.STRIDE]:
                raise ConfigError(
                    f"model.strides: the network `original` has one grid of stride 32, found {list(config.strides)}"
                )
            self.body = OriginalBody(norm=config.batch_norm)
            self.output = DenseOutput(64, codec)
        else:
            strides = [grid.stride for grid in codec.grids]
            self.body = SmallBody(strides, width=config.width, depth=config.depth, norm=config.batch_norm)
            self.output = ConvOutput(self.body.channels, codec)
        self._initialise(object_bias)
        # A fully connected output sees the whole picture from every slot, and needs no such help.
        self.auxiliary = AuxiliaryOutput(self.body.channels) if isinstance(self.body, SmallBody) else None
        self.to(memory_format=torch.channels_last)

    def _initialise(self, object_bias: float) -> None:
        if self.mean.is_meta:  # it has shapes and no values
            return
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for module in self.modules():
            if isinstance(module, Residual):
                module.start_as_identity()
        for layer in self.output.layers:
            assert isinstance(layer, nn.Conv2d | nn.Linear)
            assert layer.bias is not None
            nn.init.normal_(layer.weight, std=OUTPUT_STD)
            with torch.no_grad():
                layer.bias[self.output.slot_rows(layer)[:, 4]] = object_bias

    def forward(self, images: Tensor) -> Tensor:
        """uint8 RGB (B, H, W, 3) -> raw logits (B, S, 5 + C)."""
        return self.output(self.body(self._normalised(images)))  # type: ignore[no-any-return]

    def with_auxiliary(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """As `forward`, and beside the logits what `AuxiliaryOutput` says, (B, M, 4); None where there is none."""
        features = self.body(self._normalised(images))
        return self.output(features), None if self.auxiliary is None else self.auxiliary(features)

    def shipped_parameters(self) -> list[nn.Parameter]:
        """All but those of the auxiliary output, which training alone needs."""
        apart = set() if self.auxiliary is None else {id(parameter) for parameter in self.auxiliary.parameters()}
        return [parameter for parameter in self.parameters() if id(parameter) not in apart]

    def output_parameters(self) -> list[nn.Parameter]:
        """Those whose rows mean different things, each on its own."""
        return [*self.output.parameters(), *([] if self.auxiliary is None else self.auxiliary.parameters())]

    def _normalised(self, images: Tensor) -> Tensor:
        """uint8 (B, H, W, 3) -> float (B, 3 F^2, H / F, W / F), channels_last; F x F pixels are folded into channels.

        Folded as bytes, because they are a quarter of the floats, by a concatenation, which moves 3 F of them at once
        where a transposition moves each alone; normalised a whole row at once, because three channels alone are too few
        for vector units.
        """
        fold = self.body.FOLD
        height, width = images.shape[1] // fold, images.shape[2] // fold
        cells = images.reshape(-1, height, fold, width, 3 * fold)
        rows = torch.cat(cells.unbind(2), dim=-1).view(-1, height, 3 * fold**2 * width)
        scale = (1 / self.std).flatten().repeat(fold**2 * width)  # (3 F^2 W / F,)
        offset = -self.mean.flatten().repeat(fold**2 * width) * scale
        x = torch.mul(rows.to(scale.dtype), scale).add_(offset)  # (B, H / F, 3 F^2 W / F)
        return x.view(-1, height, width, 3 * fold**2).permute(0, 3, 1, 2)

    @property
    def resizable(self) -> bool:
        """Whether it takes pictures of other sizes: a fully connected output layer has weights for one alone."""
        return isinstance(self.output, ConvOutput)

    def at(self, width: int, height: int) -> "Yolo":
        """The same network for pictures of another size: it shares all weights, and has its own codec.

        Raises:
            ConfigError: a side that is not a multiple of every stride, or a network that is not `resizable`.
        """
        if (width, height) == self.codec.frame:
            return self
        if not self.resizable:
            own = "{}x{}".format(*self.codec.frame)
            raise ConfigError(
                f"input-size: the network {self.config.name} has a fully connected output layer: expected {own}, "
                f"found {width}x{height}; only `--model small` takes other sizes"
            )
        other = copy.copy(self)
        other.codec = replace(self.codec, grids=grids_over(self.codec.grids, width, height))
        return other

    def parameter_groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """Two groups: matrices and filters decay; biases and the normalisation's own parameters do not."""
        parameters = [parameter for parameter in self.parameters() if parameter.requires_grad]
        return [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]

    @torch.no_grad()
    def calibrate(self, scale: float, bias: float) -> None:
        """Folds J' = scale * J + bias into the output layer, so that sigmoid(J') is a probability."""
        for layer in self.output.layers:
            assert isinstance(layer, nn.Conv2d | nn.Linear)
            assert layer.bias is not None
            rows = self.output.slot_rows(layer)[:, 4]
            layer.weight[rows] *= scale
            layer.bias[rows] = layer.bias[rows] * scale + bias


def constant_object_logit(loss: LossConfig) -> float:
    """The J at which a constant answer costs least.

    The loss of a constant J is w_t * softplus(-J) + w_f * softplus(J), with separate means over object and empty
    slots; its minimum is J = ln(w_t / w_f).
    """
    if loss.weight_obj_t <= 0 or loss.weight_obj_f <= 0:
        return 0.0
    return math.log(loss.weight_obj_t / loss.weight_obj_f)
