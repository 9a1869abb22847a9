"""The two numbers that make a confidence a probability."""

import math
from collections.abc import Iterator
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray
from oracle import CODEC, Oracle, scene_of
from scipy.optimize import minimize

from yolo_proc.batch import Batch
from yolo_proc.config.schema import LabelConfig
from yolo_proc.detection.calibration import MIN_SCALE, fit_calibration, fit_logistic
from yolo_proc.detection.codec import J
from yolo_proc.models.network import Yolo, network_outputs

LIMITS = LabelConfig()


def answers_of(oracle: Oracle, groups: list[Batch]) -> Iterator[tuple[NDArray[np.float32], Batch]]:
    """What it gives for each batch, with the batch."""
    model = cast(Yolo, oracle)
    return ((network_outputs(model, batch.images, "cpu"), batch) for batch in groups)


def simulated(scale: float, bias: float, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    logits = rng.normal(1.0, 4.0, count)
    right = rng.uniform(0, 1, count) < 1 / (1 + np.exp(-(scale * logits + bias)))
    return logits, right


@pytest.mark.parametrize(("scale", "bias"), [(1.0, 0.0), (0.5, -1.5), (2.0, 3.0), (0.8, -6.0)])
def test_known_numbers_come_back(scale: float, bias: float) -> None:
    found = fit_logistic(*simulated(scale, bias, 200_000))
    assert found == pytest.approx((scale, bias), rel=0.05, abs=0.05)


@pytest.mark.parametrize(("offset", "spread"), [(0.0, 1.0), (500.0, 1.0), (-3.0, 1e-3), (0.0, 100.0)])
def test_the_minimum_is_the_one_scipy_finds(offset: float, spread: float) -> None:
    logits, right = simulated(0.7, -1.0, 400, seed=1)
    t = offset + spread * logits
    target = np.where(right, (right.sum() + 1) / (right.sum() + 2), 1 / ((~right).sum() + 2))

    def cost(w: np.ndarray) -> float:
        z = w[0] * logits + w[1]
        return float((np.logaddexp(0, z) - target * z).sum())

    best = minimize(cost, [1.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12, "maxiter": 2000}).x
    scale, bias = fit_logistic(t, right)
    if scale > MIN_SCALE:
        assert scale * spread == pytest.approx(best[0], rel=1e-4)
        assert scale * t[0] + bias == pytest.approx(best[0] * logits[0] + best[1], rel=1e-3, abs=1e-4)
    else:
        assert spread == 100.0  # the true scale, 0.007, is below what is allowed


def test_data_that_a_threshold_separates_stays_finite_and_ordered() -> None:
    scale, bias = fit_logistic([-3, -2, -1, 1, 2, 3], [False] * 3 + [True] * 3)
    assert 0.3 < scale < 50
    assert bias == pytest.approx(0, abs=1e-6)
    wide = fit_logistic([-1e4, 1e4], [False, True])
    assert all(math.isfinite(number) for number in wide)


def test_no_detections_change_nothing() -> None:
    assert fit_logistic([], []) == (1.0, 0.0)


def test_all_right_or_all_wrong_fit_a_bias_only() -> None:
    logits = np.linspace(2, 8, 300)
    scale, bias = fit_logistic(logits, np.ones(300, dtype=bool))
    assert scale == 1.0
    # The mean answer is the smoothed target.
    assert float((1 / (1 + np.exp(-(logits + bias)))).mean()) == pytest.approx(301 / 302, abs=1e-6)
    scale, bias = fit_logistic(logits, np.zeros(300, dtype=bool))
    assert scale == 1.0
    assert float((1 / (1 + np.exp(-(logits + bias)))).mean()) == pytest.approx(1 / 302, abs=1e-6)


def test_logits_that_say_nothing_or_the_opposite_keep_their_order() -> None:
    logits, right = simulated(1.0, 0.0, 2000)
    scale, bias = fit_logistic(logits, ~right)
    assert scale == MIN_SCALE
    assert float((1 / (1 + np.exp(-(scale * logits + bias)))).mean()) == pytest.approx((~right).mean(), abs=1e-3)
    scale, bias = fit_logistic(np.full(100, 3.0), np.arange(100) < 30)
    assert scale > 0
    assert scale * 3 + bias == pytest.approx(math.log(0.3 / 0.7), abs=0.05)


def test_detections_of_a_network_are_matched_before_the_fit() -> None:
    rng = np.random.default_rng(3)
    scenes, shown, answers = [], [], []
    for number in range(200):
        x, y = rng.uniform(0, 90, 2)
        thing = ((x, y, x + 30, y + 30), int(rng.integers(3)))
        # J has the truth about a shown box: right with probability sigmoid(J / 2 - 1).
        answers.append(float(rng.uniform(-6, 10)))
        right = rng.uniform() < 1 / (1 + math.exp(1 - answers[-1] / 2))
        hidden = number % 10 == 0  # these are left out, whatever is found
        scenes.append(scene_of(number, [thing] if right or hidden else [], visible=[0.1] if hidden else None))
        shown.append(scene_of(number, [thing]))

    def say(number: int, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        logits[:, J] = np.where(logits[:, J] > 0, answers[number], -20)
        return logits

    groups = [Batch.of(scenes[start : start + 50]) for start in range(0, 200, 50)]
    found = fit_calibration(CODEC, answers_of(Oracle(shown, say), groups), LIMITS)
    kept = [number for number in range(200) if number % 10]
    expected = fit_logistic(
        np.array([answers[number] for number in kept], dtype=np.float32),
        [len(scenes[number].objects) == 1 for number in kept],
    )
    assert found == pytest.approx(expected, rel=1e-9)


def test_no_images_and_nothing_found() -> None:
    assert fit_calibration(CODEC, [], LIMITS) == (1.0, 0.0)
    assert fit_calibration(CODEC, answers_of(Oracle([]), [Batch.of([scene_of(0, [])])]), LIMITS) == (1.0, 0.0)
