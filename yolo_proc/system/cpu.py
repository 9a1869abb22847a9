"""The processors at hand."""

import os


def processors() -> int:
    """How many processors this process may use (a container may be given fewer than the machine has)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
