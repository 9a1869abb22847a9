"""Result of a classifier for an image. Needs no torch.

C classes
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo_proc.boxes import FloatArray
from yolo_proc.errors import DataError


def softmax(logits: NDArray[Any]) -> FloatArray:
    """Return probabilities (..., C) float64 of raw logits (..., C)."""
    raw = np.asarray(logits, dtype=np.float64)
    powers = np.exp(raw - raw.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


@dataclass(frozen=True, eq=False)
class Classification:
    """The classes of one image, the most confident first.

    Attributes:
        class_ids: (C,) int64; of equal ones the lower index comes first.
        confidence: (C,) float64 probabilities, descending; they sum to 1.
        logits: (C,) float64 raw, in the order of `class_ids`; NaN where a model gives probabilities alone.
    """

    class_ids: NDArray[np.int64]
    confidence: FloatArray
    logits: FloatArray

    @classmethod
    def of(cls, outputs: NDArray[Any], *, activated: bool = False) -> "Classification":
        """Return what the outputs (C,) of one image say: raw logits, or probabilities if `activated`.

        Raises:
            DataError: NaN among them.
        """
        values = np.asarray(outputs, dtype=np.float64)
        if np.isnan(values).any():
            raise DataError(
                f"expected numbers from the network, found NaN: class {int(np.isnan(values).argmax())}; "
                "its weights are damaged or its training diverged"
            )
        order = np.argsort(-values, kind="stable")
        probabilities = values if activated else softmax(values)
        logits = np.full(len(values), np.nan) if activated else values[order]
        return cls(order.astype(np.int64), probabilities[order], logits)

    @property
    def class_id(self) -> int:
        """The most likely class."""
        return int(self.class_ids[0])

    @property
    def margin(self) -> float:
        """How far the first class is ahead of the second: the difference of their logits, ln(p1 / p2)."""
        if not np.isnan(self.logits).any():
            return float(self.logits[0] - self.logits[1])
        with np.errstate(divide="ignore"):
            return float(np.log(self.confidence[0]) - np.log(self.confidence[1]))
