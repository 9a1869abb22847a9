"""How right the logits of images are: class, confidence, and how far from the cut-off.

    N images, C classes

The margin is the logit of the true class less the largest other one: the image is right where it is above 0, and its
size says how far. A loss can fall for long while every margin is below 0 and no image is right.
"""

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

# A calibration changes no confidence by more than this factor on its logits.
LARGEST_SCALE = 20.0
_GOLDEN = (5**0.5 - 1) / 2


def margins_of(logits: Tensor, class_ids: Tensor) -> Tensor:
    """Return the margin (N,) of raw logits (N, C); C is 2 or more."""
    own = logits.gather(1, class_ids[:, None])  # (N, 1)
    others = logits.scatter(1, class_ids[:, None], -torch.inf)
    return own[:, 0] - others.amax(1)


def fit_temperature(outputs: Iterable[tuple[NDArray[np.float32], NDArray[np.int64]]]) -> float:
    """Return the factor on the logits with the least cross-entropy (Guo et al., "On calibration", 2017, section 4.2).

    It lies between 1 / 20 and 20; 1 where there is nothing to fit on. N images that are all right do not make a
    network certain: its targets are 1 - 1 / (N + 2) for the true class, the others share the rest (Platt,
    "Probabilistic outputs for support vector machines", 1999, section 2.2).

    Args:
        outputs: raw logits (N, C) with the classes (N,) of the images; -1 for an image that does not count.
    """
    pairs = [(logits[classes >= 0], classes[classes >= 0]) for logits, classes in outputs]
    if not sum(len(classes) for _, classes in pairs):
        return 1.0
    logits = np.concatenate([one for one, _ in pairs]).astype(np.float64)  # (N, C)
    classes = np.concatenate([one for _, one in pairs])
    logits -= logits.max(axis=1, keepdims=True)
    doubt = 1 / (len(classes) + 2)
    targets = np.full(logits.shape, doubt / (logits.shape[1] - 1))
    targets[np.arange(len(classes)), classes] = 1 - doubt

    def cost(log_scale: float) -> float:
        scaled = np.exp(log_scale) * logits
        return float((np.log(np.exp(scaled).sum(axis=1)) - (targets * scaled).sum(axis=1)).mean())

    # Golden-section search: the cost is convex in the factor, so it has one valley.
    low, high = -np.log(LARGEST_SCALE), np.log(LARGEST_SCALE)
    for _ in range(60):
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        low, high = (low, right) if cost(left) <= cost(right) else (left, high)
    return float(np.exp((low + high) / 2))
