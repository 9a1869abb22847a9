"""All targets by name."""

from functools import cache

from attack import planted, targets_files, targets_java, targets_sets
from attack.engine import Target


@cache
def target_names() -> tuple[str, ...]:
    """In the order of the tables; without the planted ones."""
    return tuple(target.name for target in _readers())


def _readers() -> list[Target]:
    return [*targets_sets.targets(), *targets_files.targets(), *targets_java.targets()]


def target_named(name: str) -> Target:
    """A new one."""
    return next(target for target in [*_readers(), *planted.targets()] if target.name == name)
