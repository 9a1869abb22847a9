"""The checks in the order in which they run: what others build on comes first."""

from yolo_proc.checks.check import Check
from yolo_proc.checks.data import determinism, exported, labels, picture, round_trip, variety
from yolo_proc.checks.loss import dependence, gradients, initial_loss, logits_in, modes, parameters
from yolo_proc.checks.optimisation import baseline, capacity, memory, overfit, step, updates
from yolo_proc.config.options import nearest
from yolo_proc.errors import ConfigError

DATA: tuple[Check, ...] = (
    labels.CHECK,
    round_trip.CHECK,
    picture.CHECK,
    determinism.CHECK,
    variety.CHECK,
    exported.CHECK,
)
LOSS: tuple[Check, ...] = (
    initial_loss.CHECK,
    gradients.CHECK,
    logits_in.CHECK,
    dependence.CHECK,
    parameters.CHECK,
    modes.CHECK,
)
OPTIMISATION: tuple[Check, ...] = (
    step.CHECK,
    overfit.CHECK,
    baseline.CHECK,
    updates.CHECK,
    capacity.CHECK,
    memory.CHECK,
)
CHECKS: tuple[Check, ...] = (*DATA, *LOSS, *OPTIMISATION)


def quick_checks() -> tuple[Check, ...]:
    """Return those that `train` runs before its first step."""
    return tuple(check for check in CHECKS if check.quick)


def checks_named(names: str | None) -> tuple[Check, ...]:
    """Return the checks of some names with commas between; all for None.

    Raises:
        ConfigError: a name that no check has.
    """
    if names is None:
        return CHECKS
    known = {check.name: check for check in CHECKS}
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    for name in wanted:
        if name not in known:
            raise ConfigError(f"--only: no check {name!r}{nearest(name, known)}; there are: {', '.join(known)}")
    if not wanted:
        raise ConfigError(f"--only: expected names with commas between, of: {', '.join(known)}")
    return tuple(check for check in CHECKS if check.name in wanted)
