"""All targets by name."""

from functools import cache

from attack.engine import Target

PLANTED = "planted-"


@cache
def target_names() -> tuple[str, ...]:
    """In the order of the tables; without the planted ones."""
    return tuple(target.name for target in _readers())


def _readers() -> list[Target]:
    # Here, because they import torch and much else, which the planted ones do without.
    from attack import targets_files, targets_java, targets_runs, targets_sets

    readers = targets_sets.targets() + targets_files.targets() + targets_runs.targets()
    return readers + targets_java.targets()


def target_named(name: str) -> Target:
    """A new one."""
    if name.startswith(PLANTED):
        from attack import planted

        return next(target for target in planted.targets() if target.name == name)
    return next(target for target in _readers() if target.name == name)
