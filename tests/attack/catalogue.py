"""All targets by name."""

from functools import cache

from attack import targets_files, targets_java, targets_sets
from attack.engine import Target


@cache
def target_names() -> tuple[str, ...]:
    """In the order of the tables."""
    return tuple(target.name for target in all_targets())


def all_targets() -> list[Target]:
    """A new one of each."""
    return [*targets_sets.targets(), *targets_files.targets(), *targets_java.targets()]


def target_named(name: str) -> Target:
    """A new one."""
    return next(target for target in all_targets() if target.name == name)
