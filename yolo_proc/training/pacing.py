"""When the learning rate's decay begins: near the target, when the budget asks for it, or when nothing moves.

Decisions are made at the end of an epoch, from recorded figures; the decision is an event of the schedule, so a
resumed run reads it instead of making it again.
"""

from dataclasses import dataclass

from yolo_proc.training.optim import Decay

# The decay takes this share of all steps, its own included, but never less than `optim.decay_steps`.
DECAY_SHARE = 0.65
# The averaged weights foretell what a decay brings: it begins when their loss is this near to the target.
NEAR = 1.3
# With half of the patience gone, a decay is the one thing that was not tried.
IMPATIENT = 0.5
# A target that is met, but not surely, is tried again with new images at the decay's last rate, so many epochs more:
# each costs one, and another decay many.
HELD_EPOCHS = 3
BUDGET_ENDS = "the budget ends"  # the reason of a decay after which nothing comes


@dataclass(frozen=True)
class Pace:
    """Where a run stands at the end of an epoch.

    Attributes:
        step: updates so far; since: how many of them came before the learning rate rose for the last time.
        steps_per_epoch: updates of an epoch.
        val_loss: of the averaged weights on the validation stream.
        target: the target loss, None without one.
        epochs: the budget in epochs, None without one.
        seconds, steps: of this process so far, its start included; max_seconds: its budget, None without one.
        waited, patience: epochs without a fall of the bound, and how many may pass.
    """

    step: int
    since: int
    steps_per_epoch: int
    val_loss: float
    target: float | None
    epochs: int | None
    seconds: float
    steps: int
    max_seconds: float | None
    waited: int
    patience: int


def decay_to_begin(pace: Pace, least_steps: int) -> Decay | None:
    """The decay that begins with the next update, or None.

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


def rise_again(decay: Decay, step: int, steps_per_epoch: int, loss: float, target: float | None) -> bool:
    """Whether the learning rate rises after a decay, before update `step`: it has ended, and more is to be learned.

    Args:
        loss: the training loss over the last epoch.
    """
    if step < decay.end or decay.reason == BUDGET_ENDS:
        return False
    met = target is not None and loss <= target
    return not met or step >= decay.end + HELD_EPOCHS * steps_per_epoch


def _steps_left(pace: Pace) -> int | None:
    """Updates until the first budget ends, at the speed so far; None without a budget."""
    lefts = []
    if pace.epochs is not None:
        lefts.append(pace.epochs * pace.steps_per_epoch - pace.step)
    if pace.max_seconds is not None and pace.seconds > 0 and pace.steps > 0:
        lefts.append(int(pace.steps * (pace.max_seconds - pace.seconds) / pace.seconds))
    return max(0, min(lefts)) if lefts else None
