"""Makes J's sigmoid a probability: that a box, after NMS, matches an object of its class at an IoU of 0.5 or more.

The loss takes separate means over object and empty slots, so sigmoid(J) is no probability. Two numbers repair it,
J' = scale * J + bias, fitted by logistic regression on images of a stream used for nothing else (Platt,
"Probabilistic outputs for support vector machines", 1999).
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from yolo_proc.batch import Batch
from yolo_proc.boxes import FloatArray
from yolo_proc.config.schema import LabelConfig
from yolo_proc.detection.codec import DecodeConfig, J, LabelCodec
from yolo_proc.detection.matching import IGNORED, RIGHT, match, truths_of

FLOOR = 0.001  # least uncalibrated confidence of the detections that are looked at
# A scale of 0 or less would turn the order of the detections round, or make all equal.
MIN_SCALE = 0.05
_NEWTON_STEPS = 50


def fit_calibration(
    codec: LabelCodec, outputs: Iterable[tuple[NDArray[np.float32], Batch]], limits: LabelConfig
) -> tuple[float, float]:
    """Return (scale, bias) for a network that is not calibrated yet.

    Detections that match an ignored object or region are left out.

    Args:
        outputs: raw logits (B, S, 5 + C) in evaluation mode, with the batches of the stream "calibration".
        limits: what is a label; objects below are ignored.
    """
    decoding = DecodeConfig(confidence=FLOOR)
    logits: list[FloatArray] = []
    outcomes: list[NDArray[np.int64]] = []
    for values, batch in outputs:
        truths = truths_of(batch, limits)
        for image, found in enumerate(codec.decode(values, decoding)):
            logits.append(values[image, found.slots, J].astype(np.float64))
            outcomes.append(match(found, truths[image]))
    if not logits:
        return fit_logistic([], [])
    outcome = np.concatenate(outcomes)
    counts = outcome != IGNORED
    return fit_logistic(np.concatenate(logits)[counts], outcome[counts] == RIGHT)


def fit_logistic(logits: ArrayLike, right: ArrayLike) -> tuple[float, float]:
    """Return (scale, bias) that make sigmoid(scale * t + bias) the probability of being right; scale > 0.

    Maximum likelihood with Platt's smoothed targets, (R + 1) / (R + 2) for R right ones and 1 / (W + 2) for W
    wrong ones, so that data that a threshold separates has a finite answer. Without both kinds there is nothing to
    tell a scale from: it stays 1, and only a bias is fitted; without any data the answer is (1, 0).

    Args:
        logits: (N,) raw J.
        right: (N,) bool.
    """
    t = np.asarray(logits, dtype=np.float64).reshape(-1)
    y = np.asarray(right, dtype=bool).reshape(-1)
    assert t.shape == y.shape, (t.shape, y.shape)
    if not len(t):
        return 1.0, 0.0
    hits, misses = int(y.sum()), int((~y).sum())
    target = np.where(y, (hits + 1) / (hits + 2), 1 / (misses + 2))
    if hits and misses:
        # Centred and scaled, so that Newton's matrix is well conditioned whatever the range of J.
        centre, spread = float(t.mean()), float(t.std()) or 1.0
        slope, offset = _newton(np.stack([(t - centre) / spread, np.ones_like(t)], axis=1), target, np.zeros_like(t))
        scale = float(slope / spread)
        if scale >= MIN_SCALE:
            return scale, float(offset - scale * centre)
        fixed = MIN_SCALE
    else:
        fixed = 1.0
    return fixed, float(_newton(np.ones((len(t), 1)), target, fixed * t)[0])


def _newton(features: FloatArray, target: FloatArray, offset: FloatArray) -> FloatArray:
    """Return the weights (K,) with the least cross-entropy of sigmoid(features @ weights + offset) to `target`.

    Args:
        features: (N, K).
        target: (N,) in the open interval 0 to 1, so that the minimum exists.
        offset: (N,).
    """

    def cost(weights: FloatArray) -> float:
        z = features @ weights + offset
        return float((np.logaddexp(0, z) - target * z).sum())

    weights = np.zeros(features.shape[1])
    least = cost(weights)
    for _ in range(_NEWTON_STEPS):
        z = features @ weights + offset
        p = np.exp(-np.logaddexp(0, -z))
        gradient = features.T @ (p - target)
        # The small number keeps the matrix invertible where all logits are equal or all p are 0 or 1.
        curvature = (features * (p * (1 - p))[:, None]).T @ features + 1e-9 * np.eye(len(weights))
        step = np.linalg.solve(curvature, gradient)
        shorter = 1.0
        while (now := cost(weights - shorter * step)) > least and shorter > 1e-10:
            shorter /= 2  # a whole step may overshoot where the curve is flat
        weights = weights - shorter * step
        if abs(least - now) <= 1e-12 * max(1.0, abs(least)):
            break
        least = now
    return weights
