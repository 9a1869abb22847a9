"""The learning-rate schedule, and when its decay begins: near the target, at the budget's end, or when nothing moves.

The schedule is warm-up, a constant part, then a decay ("warmup-stable-decay", Hu et al., MiniCPM, 2024, section 4; the
linear decay to zero after Bergsma et al., "Straight to zero", 2025). It reads the step and recorded events only, so
that it is the same function after a resume.

Decisions are made at the end of an epoch, from recorded figures; the decision is an event of the schedule, so a
resumed run reads it instead of making it again.
"""

from dataclasses import asdict, dataclass
from typing import Any

from yolo_proc.config.schema import OptimConfig

# What is left of the learning rate when a decay has ended.
FLOOR = 0.01
# The decay takes this share of all steps, its own included, but never less than `optim.decay_steps`.
DECAY_SHARE = 0.65
# The averaged weights foretell what a decay brings: it begins when their loss is this near to the target.
NEAR = 1.3
# With half of the patience gone, a decay is the one thing that was not tried.
IMPATIENT = 0.5
# A target that is met, but not surely, is tried again with new images at the decay's last rate, so many epochs more:
# each costs one, and another decay many.
HELD_EPOCHS = 3
# By this share the updates that are left of a time may differ from those that were foreseen, before a decay is changed.
STRAYED = 0.1
BUDGET_ENDS = "the budget ends"  # the reason of a decay after which nothing comes


@dataclass(frozen=True)
class Decay:
    """A recorded event: the decay begins with update `start` and takes `steps` updates.

    Attributes:
        left: the share of the rate with which it begins: less than 1 where the rest of a decay is stretched or
            shortened, because the time that is left turned out to be another than was foreseen.
    """

    start: int
    steps: int
    reason: str = ""
    left: float = 1.0

    @property
    def end(self) -> int:
        """The first update after it."""
        return self.start + self.steps

    def share(self, step: int) -> float:
        """Return which share of the rate update `step` has, from `start` on."""
        passed = min(1.0, (step - self.start + 1) / self.steps)
        return self.left - (self.left - FLOOR) * passed


class Schedule:
    """The learning rate at a step: warm-up from `since`, constant, then the decay where one was recorded.

    Attributes:
        since: the update with which this rise began: 0, or where a decay had ended above the target.
        decay: None until the decay begins.
        longest: updates of the longest decay that has ended; the next one is to be as long at least.
    """

    def __init__(self, config: OptimConfig) -> None:
        self.config = config
        self.since = 0
        self.longest = 0
        self.decay: Decay | None = None

    def lr(self, step: int) -> float:
        """Return the rate of update `step`, counted from 0."""
        rate = self.config.peak_lr * min(1.0, (step - self.since + 1) / (self.config.warmup_steps + 1))
        if self.decay is None or step < self.decay.start:
            return rate
        return rate * self.decay.share(step)

    def begin_decay(self, decay: Decay) -> None:
        """Records the decay."""
        assert self.decay is None, "a decay has begun already"
        self.decay = decay

    def change_decay(self, decay: Decay) -> None:
        """Records how the decay goes on."""
        assert self.decay is not None, "no decay has begun"
        self.decay = decay

    def restart(self, step: int) -> None:
        """Records that the rate rises again with update `step`."""
        if self.decay is not None:
            self.longest = max(self.longest, self.decay.steps)
        self.since, self.decay = step, None

    def state_dict(self) -> dict[str, Any]:
        """Return the recorded events."""
        return {
            "since": self.since,
            "longest": self.longest,
            "decay": None if self.decay is None else asdict(self.decay),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        self.since, self.longest = state["since"], state["longest"]
        saved = state["decay"]
        known = ("start", "steps", "reason", "left")  # of a later release there may be more, of an earlier one less
        self.decay = None if saved is None else Decay(**{name: saved[name] for name in known if name in saved})


@dataclass(frozen=True)
class Pace:
    """Where a run stands at the end of an epoch.

    Attributes:
        step: updates so far; since: how many of them came before the learning rate rose for the last time.
        steps_per_epoch: updates of an epoch.
        val_loss: of the averaged weights on the validation stream.
        target: the target loss, None without one.
        epochs: the budget in epochs, None without one.
        seconds: of this process so far; max_seconds: its budget, None without one.
        speed: updates a second over the last epoch.
        waited, patience: epochs without a fall of the bound, and how many may pass.
    """

    step: int
    since: int
    steps_per_epoch: int
    val_loss: float
    target: float | None
    epochs: int | None
    seconds: float
    speed: float
    max_seconds: float | None
    waited: int
    patience: int


def decay_to_begin(pace: Pace, least_steps: int) -> Decay | None:
    """Return the decay that begins with the next update, or None.

    Args:
        least_steps: `optim.decay_steps`, or the length of a decay that has ended above the target: the next one begins
            with weights that were trained longer, so it pays only if it is as long.
    """
    wanted = max(least_steps, round((pace.step - pace.since) * DECAY_SHARE / (1 - DECAY_SHARE)))
    left = _steps_left(pace)
    # One epoch early rather than too late: the next chance comes an epoch from now.
    if left is not None and left - pace.steps_per_epoch < wanted:
        return Decay(pace.step, max(1, min(wanted, left)), BUDGET_ENDS)
    if pace.target is not None and pace.val_loss <= NEAR * pace.target:
        return Decay(pace.step, wanted, "the target is near")
    if pace.patience and pace.waited >= IMPATIENT * pace.patience:
        return Decay(pace.step, wanted, "the loss stands still")
    return None


def decay_in_time(decay: Decay, pace: Pace) -> Decay | None:
    """Return how a decay to the budget's end goes on, where the time that is left is another than was foreseen; else
    None.

    The speed of a machine changes when others work on it too. A decay that ended long before the time is over would
    leave the rest of it to a rate that learns nothing; one that ends after it would be cut off.
    """
    if decay.reason != BUDGET_ENDS or pace.max_seconds is None:
        return None
    left, planned = _steps_left(pace) or 0, decay.end - pace.step
    if left < 1 or abs(left - planned) <= max(STRAYED * planned, pace.steps_per_epoch / 4):
        return None
    return Decay(pace.step, left, decay.reason, decay.share(pace.step - 1))


def rise_again(decay: Decay, step: int, steps_per_epoch: int, loss: float, target: float | None) -> bool:
    """Return whether the learning rate rises after a decay, before update `step`: it has ended, and more is to be
    learned.

    Args:
        loss: the training loss over the last epoch.
    """
    if step < decay.end or decay.reason == BUDGET_ENDS:
        return False
    met = target is not None and loss <= target
    return not met or step >= decay.end + HELD_EPOCHS * steps_per_epoch


def _steps_left(pace: Pace) -> int | None:
    """Return the updates until the first budget ends, at the last epoch's speed; None without a budget."""
    lefts = []
    if pace.epochs is not None:
        lefts.append(pace.epochs * pace.steps_per_epoch - pace.step)
    if pace.max_seconds is not None:
        lefts.append(int(pace.speed * (pace.max_seconds - pace.seconds)))
    return max(0, min(lefts)) if lefts else None
