"""A convolution on its way to ONNX: what follows it is folded in, in double precision.

B images, K channels; maps are (B, K, rows, columns)
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from yolo_proc.errors import YoloProcError


class UntranslatedError(YoloProcError):
    """A step of a module that has no translation here."""


@dataclass(frozen=True, eq=False)
class Convolution:
    """A convolution, to which what follows it can be added; weight (K, K_in / groups, rows, columns), bias (K,).

    Attributes:
        x: the graph's value that it reads.
        pads: top, left, bottom, right.
    """

    x: str
    weight: NDArray[np.float64]
    bias: NDArray[np.float64]
    stride: tuple[int, int]
    pads: tuple[int, int, int, int]
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    @classmethod
    def of(cls, conv: nn.Conv2d, x: str) -> "Convolution":
        """Return the convolution of a module."""
        if conv.padding_mode != "zeros" or isinstance(conv.padding, str):
            raise UntranslatedError(f"no translation of a convolution padded as {conv.padding_mode}, {conv.padding}")
        weight = array_of(conv.weight)
        bias = array_of(conv.bias) if conv.bias is not None else np.zeros(len(weight))
        (top, left), stride, dilation = conv.padding, conv.stride, conv.dilation
        return cls(
            x, weight, bias, (stride[0], stride[1]), (top, left, top, left), (dilation[0], dilation[1]), conv.groups
        )

    def normalised(self, norm: nn.BatchNorm2d) -> "Convolution":
        """Return it with the normalisation behind it: a factor and a summand a channel."""
        factor, summand = factor_and_summand(norm)
        return Convolution(
            self.x,
            self.weight * factor[:, None, None, None],
            self.bias * factor + summand,
            self.stride,
            self.pads,
            self.dilation,
            self.groups,
        )

    def over_pixels(self, size: int, rows: int, columns: int) -> "Convolution":
        """Return it for pixels, where it was for F x F pixels in one: n x n becomes n F x n F.

        So the graph needs no reordering, and runtimes know convolutions of three channels.

        Args:
            size: F; rows, columns: of the map that it reads.
        """
        k, k_in, high, wide = self.weight.shape
        parts = self.weight.reshape(k, size, size, k_in // size**2, high, wide)  # channels are (y, x, colour)
        weight = parts.transpose(0, 3, 4, 1, 5, 2).reshape(k, k_in // size**2, high * size, wide * size)
        top, left, bottom, right = self.pads
        # Of the padding behind, only what is reached: with a stride of 2 it often is not.
        bottom = _reached(rows, high, self.stride[0], top, bottom)
        right = _reached(columns, wide, self.stride[1], left, right)
        pads = (top * size, left * size, bottom * size, right * size)
        return Convolution(self.x, weight, self.bias, (self.stride[0] * size, self.stride[1] * size), pads)


def _reached(length: int, kernel: int, stride: int, before: int, behind: int) -> int:
    """Return how much of the padding behind a convolution's windows touch."""
    last = (length + before + behind - kernel) // stride * stride + kernel  # where the last one ends
    return max(0, last - before - length)


def factor_and_summand(norm: nn.BatchNorm2d) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what a normalisation in evaluation mode multiplies with and adds, each (K,)."""
    assert norm.running_mean is not None, "the normalisation has its own figures"
    assert norm.running_var is not None, "the normalisation has its own figures"
    factor = array_of(norm.weight) / np.sqrt(array_of(norm.running_var) + norm.eps)
    return factor, array_of(norm.bias) - factor * array_of(norm.running_mean)


def array_of(tensor: Tensor) -> NDArray[np.float64]:
    """Return the values in double precision, so that what is folded is rounded once."""
    values: NDArray[np.float64] = tensor.detach().double().cpu().numpy()
    return values
