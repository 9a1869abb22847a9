"""Checkpoints of earlier releases, as this one writes them.

Version 1 knew one task and called the network's parts otherwise; the weights are the same.
"""

from collections.abc import Mapping
from typing import Any

VERSION = 2
# Version 1: the name of the task, and the names of the network's parts.
_TASK_1 = "detect"
_PARTS_1 = {
    "body.laterals.": "neck.laterals.",
    "body.merges.": "neck.merges.",
    "body.": "backbone.",
    "output.": "head.",
    "auxiliary.": "auxiliary_head.",
}


def upgraded(state: dict[str, Any]) -> dict[str, Any]:
    """Return the state of a checkpoint as this release writes it. What is no state of version 1 stays as it is."""
    if type(state.get("version")) is not int or state["version"] != 1 or state.get("task") != _TASK_1:
        return state
    renamed: dict[str, Any] = {key: _renamed(state[key]) for key in ("weights", "ema") if key in state}
    return {"figures": {}, **state, **renamed, "version": VERSION, "task": "detection"}


def _renamed(weights: Any) -> Any:
    """Return tensors by their present names; anything but a mapping is left to the check of the fields."""
    if not isinstance(weights, Mapping):
        return weights
    return {_present(name): tensor for name, tensor in weights.items()}


def _present(name: Any) -> Any:
    for then, now in _PARTS_1.items():
        if isinstance(name, str) and name.startswith(then):
            return now + name.removeprefix(then)
    return name
