"""The stopping rule does what it claims: bounds that hold, false stops that are as rare as promised."""

import math

import numpy as np
import pytest
from scipy import stats

from yolo_proc.training.stopping import Estimate, LossWindow, Patience, TargetRule, estimate_loss


def test_the_estimate_is_the_weighted_sum_of_ratios_not_the_mean_of_batch_losses() -> None:
    sums, counts = [[8.0, 1.0], [1.0, 3.0]], [[8.0, 10.0], [2.0, 10.0]]
    found = estimate_loss(sums, counts, [1.0, 0.5])
    assert found.mean == pytest.approx(9 / 10 + 0.5 * 4 / 20)


def test_a_term_nobody_speaks_of_counts_for_nothing() -> None:
    assert estimate_loss([[1.0, 0.0], [1.0, 0.0]], [[1, 0], [1, 0]], [1.0, 5.0]).mean == pytest.approx(1.0)


def test_without_groups_nothing_is_sure() -> None:
    nothing = estimate_loss(np.zeros((0, 2)), np.zeros((0, 2)), [1.0, 1.0])
    assert nothing.upper() == math.inf
    assert estimate_loss([[1.0]], [[1.0]], [1.0]).upper() == math.inf


@pytest.mark.parametrize("groups", [20, 50, 128])
@pytest.mark.parametrize("level", [0.05, 0.025, 0.0125])
def test_the_quantile_is_students(groups: int, level: float) -> None:
    factor = Estimate(0.0, 1.0, groups).upper(level)
    assert factor == pytest.approx(stats.t.ppf(1 - level, groups - 1), rel=0.03)


def simulated_groups(rng: np.random.Generator, groups: int, mean: float) -> tuple[np.ndarray, np.ndarray]:
    """Heavy-tailed values in groups of random size: exponential, as per-object losses are."""
    counts = rng.integers(20, 60, (groups, 1)).astype(float)
    return rng.gamma(counts, mean), counts


def test_bounds_cover_the_truth_as_often_as_they_claim() -> None:
    rng = np.random.default_rng(1)
    missed = sum(estimate_loss(*simulated_groups(rng, 50, 0.05), [1.0]).upper() < 0.05 for _ in range(2000))
    # 5 % of 2,000 is 100, its standard deviation 9.7; skewed data add a little.
    assert 65 <= missed <= 145


def test_tries_at_a_target_that_is_not_met_stop_falsely_in_less_than_5_percent_of_runs() -> None:
    rng = np.random.default_rng(2)
    false_stops = 0
    for _ in range(1500):
        rule = TargetRule(0.05)
        for _ in range(6):  # tries in a row, the loss being just above the target each time
            rule.tries += 1
            if rule.judge(estimate_loss(*simulated_groups(rng, 50, 0.0501), [1.0])):
                false_stops += 1
                break
    assert 20 <= false_stops <= 0.05 * 1500 * 1.35  # it tries in earnest, and it keeps its promise


def test_a_loss_surely_below_the_target_is_accepted() -> None:
    rule = TargetRule(0.05)
    estimate = estimate_loss(*simulated_groups(np.random.default_rng(3), 50, 0.03), [1.0])
    assert rule.worth_a_try(estimate)
    rule.tries += 1
    assert rule.judge(estimate)
    assert not TargetRule(None).worth_a_try(estimate)


def test_each_try_is_judged_more_strictly() -> None:
    assert [TargetRule(0.05, k).level for k in (1, 2, 3)] == pytest.approx([0.025, 0.0125, 0.00625])


def test_the_window_forgets_the_oldest_step_and_survives_a_checkpoint_bit_for_bit() -> None:
    rng = np.random.default_rng(4)
    window = LossWindow(3, 2)
    rows = rng.random((5, 2, 2))
    for sums, counts in rows:
        window.add(sums, counts)
    expected = estimate_loss(rows[-3:, 0], rows[-3:, 1], [1.0, 2.0])
    assert window.estimate([1.0, 2.0]) == expected
    copy = LossWindow(3, 2)
    copy.load_state_dict(window.state_dict())
    for one in (window, copy):
        one.add([0.1, 0.2], [1.0, 2.0])
    assert window.estimate([1.0, 2.0]) == copy.estimate([1.0, 2.0])
    assert LossWindow(1, 2).means().tolist() == [0.0, 0.0]


def test_a_window_of_one_step_holds_one_step() -> None:
    window = LossWindow(1, 1)
    window.add([1.0], [1.0])
    window.add([3.0], [1.0])
    assert window.means().tolist() == [3.0]


def test_patience_runs_out_only_without_a_fall_of_1_percent() -> None:
    patience = Patience(3)
    assert [patience.add(bound) for bound in (1.0, 0.995, 0.9899)] == [False, False, False]
    assert patience.waited == 0  # 0.9899 is a fall by more than 1 % of 1.0
    assert [patience.add(bound) for bound in (0.985, 2.0, 0.981)] == [False, False, True]
    assert not any(Patience(0).add(1.0) for _ in range(100))
