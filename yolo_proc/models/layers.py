"""Layers that backbones and necks are made of."""

import torch
from torch import Tensor, nn


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
        """Make what is added to x zero at first (Goyal et al., "Accurate, large minibatch SGD", 2017, section 5.1)."""
        scale = self.second[1] if len(self.second) == 3 else self.second[0]  # the normalisation, or the filters
        assert isinstance(scale, nn.BatchNorm2d | nn.Conv2d)
        nn.init.zeros_(scale.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, K, rows, columns) -> the same shape."""
        return self.act(self.second(self.first(x)) + x)  # type: ignore[no-any-return]


def initialise_for_relu(module: nn.Module) -> None:
    """Give all convolutions and matrices inside He's initialisation for ReLU; residual blocks begin as the identity.

    All chance comes from torch's generator, module by module in their order.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, mode="fan_in", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    for layer in module.modules():
        if isinstance(layer, Residual):
            layer.start_as_identity()


def space_to_depth(images: Tensor, size: int) -> Tensor:
    """Return bytes (B, H, W, 3) -> (B, H / F, W / F, 3 F^2), F = `size`: F x F pixels become channels (pixel
    unshuffle).

    A concatenation moves 3 F bytes at once where a transposition moves each alone.
    """
    height, width = images.shape[1] // size, images.shape[2] // size
    cells = images.reshape(-1, height, size, width, 3 * size)
    return torch.cat(cells.unbind(2), dim=-1).view(-1, height, width, 3 * size**2)


def normalise(rows: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Return (B, H, W, 3 F^2) bytes -> (B, 3 F^2, H, W) normalised floats, channels_last.

    A whole row at once, because three channels alone are too few for vector units.
    """
    _, height, width, channels = rows.shape
    repeats = channels // 3 * width
    scale = (1 / std).flatten().repeat(repeats)  # (W * 3 F^2,)
    offset = -mean.flatten().repeat(repeats) * scale
    x = torch.mul(rows.reshape(-1, height, width * channels).to(scale.dtype), scale).add_(offset)
    return x.view(-1, height, width, channels).permute(0, 3, 1, 2)
