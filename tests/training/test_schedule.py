"""The decay begins when it should, and the schedule is a function of the step and recorded events."""

from dataclasses import replace

import pytest

from yolo_proc.config.schema import OptimConfig
from yolo_proc.training.schedule import (
    BUDGET_ENDS,
    FLOOR,
    Decay,
    Pace,
    Schedule,
    decay_in_time,
    decay_to_begin,
    rise_again,
)

FAR = Pace(
    step=1000,
    since=0,
    steps_per_epoch=100,
    val_loss=1.0,
    target=0.05,
    epochs=None,
    seconds=100.0,
    speed=10.0,
    max_seconds=None,
    waited=0,
    patience=20,
)


def test_far_from_everything_nothing_begins() -> None:
    assert decay_to_begin(FAR, 100) is None
    assert decay_to_begin(replace(FAR, target=None, patience=0, waited=99), 100) is None


def test_the_decay_begins_near_the_target_and_not_before_there_is_one() -> None:
    near = replace(FAR, val_loss=0.051)
    begun = decay_to_begin(near, 100)
    assert begun is not None
    assert begun.start == 1000
    assert begun.steps >= 100
    assert decay_to_begin(replace(near, target=None), 100) is None


@pytest.mark.parametrize("budget", [{"epochs": 12}, {"max_seconds": 120.0}])
def test_a_budget_leaves_room_for_the_decay(budget: dict[str, float]) -> None:
    begun = decay_to_begin(replace(FAR, **budget), 150)  # type: ignore[arg-type]
    assert begun is not None
    assert begun.steps == 200  # all that is left
    assert decay_to_begin(replace(FAR, **{name: 100 * value for name, value in budget.items()}), 150) is None  # type: ignore[arg-type]


def test_a_decay_to_the_end_of_the_time_follows_the_clock() -> None:
    """Others worked on the machine while it was planned: 100 steps were foreseen, and 400 fit in."""
    timed = replace(FAR, max_seconds=200.0)
    slow = replace(timed, speed=1.0)
    begun = decay_to_begin(slow, 150)
    assert begun is not None
    assert begun.steps == 100
    schedule = Schedule(OptimConfig(warmup_steps=10))
    schedule.begin_decay(begun)
    later = replace(timed, step=1050, seconds=160.0)  # 40 s at 10 steps a second
    changed = decay_in_time(begun, later)
    assert changed is not None
    assert (changed.start, changed.steps) == (1050, 400)
    before = [schedule.lr(step) for step in (1048, 1049)]
    schedule.change_decay(changed)
    after = [schedule.lr(step) for step in (1050, 1051)]
    assert before[1] > after[0] > after[1] > 0.99 * after[0]
    assert schedule.lr(1049 + 400) == pytest.approx(FLOOR * schedule.config.peak_lr)
    resumed = Schedule(OptimConfig(warmup_steps=10))
    resumed.load_state_dict(schedule.state_dict())
    assert resumed.lr(1234) == schedule.lr(1234)
    # Near enough, another reason, or no time to follow: nothing changes.
    assert decay_in_time(changed, replace(later, step=1150, seconds=170.5)) is None
    assert decay_in_time(replace(begun, reason="the target is near"), later) is None
    assert decay_in_time(begun, replace(later, max_seconds=None, epochs=12)) is None
    assert decay_in_time(begun, replace(later, seconds=300.0)) is None


def test_a_decay_of_an_earlier_release_is_read() -> None:
    schedule = Schedule(OptimConfig())
    schedule.load_state_dict({"since": 0, "longest": 0, "decay": {"start": 5, "steps": 10, "reason": "x", "more": 1}})
    assert schedule.decay == Decay(5, 10, "x", 1.0)


def test_a_decay_is_tried_before_patience_runs_out() -> None:
    assert decay_to_begin(replace(FAR, waited=10), 100) is not None
    assert decay_to_begin(replace(FAR, waited=5), 100) is None


def test_a_decay_after_a_restart_counts_the_steps_since_then() -> None:
    first = decay_to_begin(replace(FAR, val_loss=0.01), 1)
    later = decay_to_begin(replace(FAR, step=2000, since=1000, val_loss=0.01), 1)
    assert first is not None
    assert later is not None
    assert first.steps == later.steps


def test_the_rate_warms_up_stays_decays_and_rises_again() -> None:
    config = OptimConfig(lr=1.0, warmup_steps=9)
    schedule = Schedule(config)
    assert schedule.lr(0) == pytest.approx(0.1)
    assert schedule.lr(9) == schedule.lr(500) == 1.0
    schedule.begin_decay(Decay(500, 100, "near"))
    assert schedule.lr(499) == 1.0
    assert schedule.lr(549) == pytest.approx(1 - 0.5 * (1 - FLOOR))
    assert schedule.lr(599) == schedule.lr(10_000) == pytest.approx(FLOOR)
    assert schedule.decay is not None
    assert schedule.decay.end == 600
    schedule.restart(600)
    assert schedule.lr(600) == pytest.approx(0.1)
    assert schedule.lr(700) == 1.0


def test_recorded_events_give_the_same_rates_after_a_resume() -> None:
    schedule = Schedule(OptimConfig())
    schedule.begin_decay(Decay(10, 30, "the target is near"))
    schedule.restart(50)
    schedule.begin_decay(Decay(200, 20, "the budget ends"))
    copy = Schedule(OptimConfig())
    copy.load_state_dict(schedule.state_dict())
    assert [schedule.lr(step) for step in range(300)] == [copy.lr(step) for step in range(300)]
    assert schedule.longest == copy.longest == 30
    copy.restart(300)
    assert copy.longest == 30  # the longest that has ended, not the last


def test_after_a_decay_the_rate_rises_unless_the_target_is_nearly_met() -> None:
    decay = Decay(100, 50, "the target is near")
    assert not rise_again(decay, 149, 10, 0.2, 0.1)  # it has not ended
    assert rise_again(decay, 150, 10, 0.2, 0.1)
    assert rise_again(decay, 150, 10, 0.2, None)
    held = [rise_again(decay, step, 10, 0.1, 0.1) for step in (150, 160, 170, 179, 180)]
    assert held == [False, False, False, False, True]
    assert not rise_again(Decay(100, 50, BUDGET_ENDS), 200, 10, 0.2, 0.1)
