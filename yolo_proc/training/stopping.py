"""When the training ends: at the target, surely; or when nothing moves any more.

The loss is a weighted sum of ratios: each term is a sum over slots divided by how many they are. Its standard error is
that of a ratio estimator (Cochran, "Sampling Techniques", 1977, section 2.11): with G groups (a step, or a few
images), group g adds the residual z_g = sum over terms of w * (sum_g - R * count_g) / mean count, and the variance
of the total is var(z) / G.

    T terms of the loss, G groups
"""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

T = TypeVar("T")
LEVEL = 0.05  # the level of the bounds


@dataclass(frozen=True)
class Estimate:
    """A loss that was measured: its value and standard error, and the number of groups behind them."""

    mean: float
    error: float
    groups: int

    def upper(self, level: float = LEVEL) -> float:
        """Return the upper confidence bound at 1 - level; infinite with fewer than two groups.

        Student's quantile by the first term of its expansion (Abramowitz and Stegun, 26.7.5): z + (z^3 + z) / 4 nu.
        """
        if self.groups < 2:
            return math.inf
        z = NormalDist().inv_cdf(1 - level)
        return self.mean + (z + (z**3 + z) / (4 * (self.groups - 1))) * self.error


def estimate_loss(sums: ArrayLike, counts: ArrayLike, weights: ArrayLike) -> Estimate:
    """Return the weighted total of the terms and its standard error.

    Args:
        sums: (G, T) each group's sum of each term.
        counts: (G, T) how many slots each sum is over.
        weights: (T,) of the terms.

    A term that no group speaks of counts for nothing.
    """
    s = np.asarray(sums, dtype=np.float64)  # (G, T)
    n = np.asarray(counts, dtype=np.float64)  # (G, T)
    w = np.asarray(weights, dtype=np.float64)  # (T,)
    groups = len(s)
    if groups == 0:
        return Estimate(math.inf, math.inf, 0)
    mean_count = n.mean(axis=0)  # (T,)
    spoken = mean_count > 0
    ratio = np.divide(s.mean(axis=0), mean_count, out=np.zeros_like(w), where=spoken)  # (T,)
    residual = np.divide(s - ratio * n, mean_count, out=np.zeros_like(s), where=spoken) @ w  # (G,)
    error = float(residual.std(ddof=1) / math.sqrt(groups)) if groups > 1 else math.inf
    return Estimate(float(ratio @ w), error, groups)


class LossWindow:
    """The terms of the last steps, as many as an epoch has: what the stopping rule judges before it tries.

    Args:
        size: steps of the window.
        terms: how many terms a step has.
    """

    def __init__(self, size: int, terms: int) -> None:
        self.size = size
        self._rows: NDArray[np.float64] = np.zeros((0, 2, terms))  # (G, sums and counts, T)

    def add(self, sums: ArrayLike, counts: ArrayLike) -> None:
        """Take one step in; the oldest falls out of a full window."""
        row = np.stack([np.asarray(sums, dtype=np.float64), np.asarray(counts, dtype=np.float64)])  # (2, T)
        self._rows = np.concatenate([self._rows[-(self.size - 1) :] if self.size > 1 else self._rows[:0], row[None]])

    def estimate(self, weights: ArrayLike) -> Estimate:
        """Return the loss over the window."""
        return estimate_loss(self._rows[:, 0], self._rows[:, 1], weights)

    def means(self) -> NDArray[np.float64]:
        """Return (T,) unweighted mean of each term; 0 where nothing was counted."""
        sums, counts = self._rows[:, 0].sum(axis=0), self._rows[:, 1].sum(axis=0)
        means: NDArray[np.float64] = np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0)
        return means

    def state_dict(self) -> list[list[list[float]]]:
        """Return plain numbers; Python's floats keep every bit of them."""
        rows: list[list[list[float]]] = self._rows.tolist()
        return rows

    def load_state_dict(self, rows: list[list[list[float]]]) -> None:
        """Restore what `state_dict` gave."""
        self._rows = np.asarray(rows, dtype=np.float64).reshape(-1, *self._rows.shape[1:])


class TargetRule:
    """Tries at a target. The k-th (from 1) is judged at level 0.05 / 2^k: all together stop falsely in under 5 %."""

    def __init__(self, target: float | None, tries: int = 0) -> None:
        self.target = target
        self.tries = tries

    def worth_a_try(self, training: Estimate) -> bool:
        """Return whether the training loss over the last epoch is surely at or below the target."""
        return self.target is not None and training.upper() <= self.target

    @property
    def level(self) -> float:
        """The level of the last try."""
        return float(LEVEL / 2**self.tries)

    def judge(self, shipped: Estimate) -> bool:
        """Return whether the try that `tries` counts as the last reached the target."""
        assert self.target is not None
        return shipped.upper(self.level) <= self.target


# The bound falls if it is below so much of the lowest one so far.
FALL = 0.99


class Patience:
    """Counts epochs since the loss's upper bound fell by 1 %."""

    def __init__(self, epochs: int, best: float = math.inf, waited: int = 0) -> None:
        self.epochs = epochs
        self.best = best
        self.waited = waited

    def add(self, upper: float) -> bool:
        """Take an epoch's bound in; True when `epochs` in a row brought no fall by 1 %. 0 epochs: never."""
        if upper < FALL * self.best:
            self.best, self.waited = upper, 0
        else:
            self.waited += 1
        return 0 < self.epochs <= self.waited


def agree(local: T) -> T:
    """Return what all processes of a run decide, given this one's opinion: on one process, that opinion.

    Every decision that ends or alters the loop passes here, so that several processes can never part ways.
    """
    return local
