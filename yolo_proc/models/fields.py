"""The fields of a checkpoint, declared once: what is in each, and within which limits.

A checkpoint comes from anybody, so its fields are checked before one of them is used. `MODEL` is what makes a network,
`TRAINING` what a resume needs besides. What depends on the network (the shapes of tensors) is compared where the
network is known: `weights.load_weights`, `optim.checked_state`.

A check is called with a value and the value's name; it returns, or raises `FieldError`. Containers are measured before
they are walked through, since a pickle may hold one list a million times.
"""

import math
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from yolo_proc.config.options import build, shown
from yolo_proc.config.schema import ModelConfig
from yolo_proc.errors import CheckpointError, ConfigError
from yolo_proc.models.tasks import task_class
from yolo_proc.models.versions import VERSION

MOST_SLOTS = 2**23  # of an image; 8192 px in cells of 4 px have half as many
_MOST_STEPS = 2**40
_MOST = 1_000_000  # of rows, names, tensors

Check = Callable[[Any, str], None]


class FieldError(Exception):
    """A field that is not what it is declared to be, in words that name it."""


def _wrong(name: str, expected: str, value: Any) -> FieldError:
    return FieldError(f"{name}: expected {expected}, found {'none' if value is None else shown(value)}")


def check_state(state: Mapping[str, Any]) -> None:
    """Refuse a checkpoint that makes no network.

    Raises:
        CheckpointError: another task or version, or the first field that is missing or wrong.
    """
    version, task = state.get("version"), state.get("task")
    if type(version) is not int or version != VERSION:
        raise CheckpointError(
            f"expected a checkpoint of version 1 to {VERSION}, found version {shown(version)}: use the release that "
            "wrote it"
        )
    if not isinstance(task, str):
        raise CheckpointError(f"task: expected a name, found {shown(task)}; use a checkpoint that yolo_proc wrote")
    try:
        task_class(task)
    except ConfigError as error:
        raise CheckpointError(f"{error}; a task of your own is registered before its checkpoint is read") from error
    own = TASK_FIELDS.get(task, {})
    _check(_record(MODEL | own, _OPTIONAL - set(own)), state)


def check_training(state: Mapping[str, Any]) -> None:
    """Refuse a checkpoint that no run can go on from.

    Raises:
        CheckpointError: see `check_state`.
    """
    check_state(state)
    terms = len(task_class(state["task"]).terms)
    window = _list(_list(_list(_number(infinite=True), terms, terms), 2, 2), 0, _MOST)
    _check(_record(TRAINING | {"window": window}), state)


def saved_values(state: Mapping[str, Any], path: str | Path) -> Mapping[str, Any]:
    """Return the run's configuration in a checkpoint that was checked.

    Raises:
        CheckpointError: it has none.
    """
    if "config" not in state:
        raise CheckpointError(f"{path}: config: expected the options of a run, found none; use one that `train` wrote")
    values: Mapping[str, Any] = state["config"]
    return values


def _check(fields: Check, state: Mapping[str, Any]) -> None:
    try:
        fields(state, "")
    except FieldError as error:
        raise CheckpointError(f"{error}; use a checkpoint that yolo_proc wrote") from error


# ---------------------------------------------------------------------------------------------- kinds of values


def _whole(low: int, high: int) -> Check:
    def check(value: Any, name: str) -> None:
        if type(value) is not int or not low <= value <= high:
            raise _wrong(name, f"a whole number from {low} to {high}", value)

    return check


def _number(low: float = -math.inf, high: float = math.inf, *, infinite: bool = False) -> Check:
    """Return a float, or a whole number that is one; never NaN."""

    def check(value: Any, name: str) -> None:
        most = math.inf if infinite and type(value) is float else 1e300
        if type(value) not in (int, float) or not (low <= value <= high and abs(value) <= most):
            raise _wrong(name, "a finite number" if low == -math.inf else f"a number from {low:g} to {high:g}", value)

    return check


def _one_of(*choices: Any) -> Check:
    def check(value: Any, name: str) -> None:
        if type(value) not in {type(choice) for choice in choices} or value not in choices:
            raise _wrong(name, f"one of {', '.join(map(repr, choices))}", value)

    return check


def _switch(value: Any, name: str) -> None:
    if type(value) is not bool:
        raise _wrong(name, "True or False", value)


def _text(longest: int, *, empty: bool = True) -> Check:
    """Return it without control characters: it is printed."""

    def check(value: Any, name: str) -> None:
        if not isinstance(value, str) or len(value) > longest or not (value or empty):
            raise _wrong(name, f"text of at most {longest} characters", value)
        if any(unicodedata.category(sign) == "Cc" for sign in value):
            raise _wrong(name, "text without control characters", value)

    return check


def _scalar(value: Any, name: str) -> None:
    """Check the value of an option; `options.check_value` says more of it."""
    if isinstance(value, list | tuple):
        if len(value) > _MOST or not all(type(one) in (bool, int, float, str) for one in value):
            raise _wrong(name, "plain values", value)
    elif value is not None and type(value) not in (bool, int, float, str):
        raise _wrong(name, "a plain value", value)


def _mapping(value: Any, name: str) -> None:
    if not isinstance(value, dict) or len(value) > _MOST:
        raise _wrong(name, f"at most {_MOST} values by number", value)


def _tensor(value: Any, name: str) -> None:
    if not isinstance(value, torch.Tensor):
        raise _wrong(name, "a tensor", value)


def _none_or(check: Check) -> Check:
    def either(value: Any, name: str) -> None:
        if value is not None:
            check(value, name)

    return either


def _list(item: Check, low: int, high: int) -> Check:
    def check(value: Any, name: str) -> None:
        if not isinstance(value, list | tuple) or not low <= len(value) <= high:
            many = f"{low}" if low == high else f"{low} to {high}"
            raise _wrong(name, f"a list of {many}", value)
        for number, one in enumerate(value):
            item(one, f"{name}[{number}]")

    return check


def _table(item: Check, most: int = _MOST) -> Check:
    """Return values of one kind by name."""
    key = _text(1000, empty=False)

    def check(value: Any, name: str) -> None:
        if not isinstance(value, dict) or len(value) > most:
            raise _wrong(name, f"at most {most} values by name", value)
        for one, inner in value.items():
            key(one, f"{name}: a name")
            item(inner, f"{name}.{one}")

    return check


def _record(fields: Mapping[str, Check], optional: frozenset[str] = frozenset()) -> Check:
    """Return a mapping with these fields; others are ignored, as a later release may write them."""

    def check(value: Any, name: str) -> None:
        if not isinstance(value, Mapping):
            raise _wrong(name, "fields by name", value)
        for field, inner in fields.items():
            full = f"{name}.{field}" if name else field
            if field in value:
                inner(value[field], full)
            elif field not in optional:
                raise _wrong(full, "a value", None)

    return check


# ------------------------------------------------------------------------------------------- fields of our own


def _model(value: Any, name: str) -> None:
    _table(_scalar, 1000)(value, name)
    try:
        build(ModelConfig, value, where=f"{name}.")
    except ConfigError as error:
        raise FieldError(str(error)) from error


def _classes(value: Any, name: str) -> None:
    _list(_text(1000, empty=False), 1, 65536)(value, name)
    if len(set(value)) != len(value):
        raise _wrong(name, "distinct names", value)


_SIDE = _number(1e-6, 1e6)
_GRID = _record(
    {
        "stride": _one_of(1, 2, 4, 8, 16, 32, 64, 128),
        "columns": _whole(1, 8192),
        "rows": _whole(1, 8192),
        "anchors": _list(_list(_SIDE, 2, 2), 1, 1024),
    }
)


def _grids(value: Any, name: str) -> None:
    _list(_GRID, 1, 16)(value, name)
    strides = [grid["stride"] for grid in value]
    frames = {(grid["columns"] * grid["stride"], grid["rows"] * grid["stride"]) for grid in value}
    if strides != sorted(set(strides)) or len(frames) > 1:
        raise _wrong(name, "grids of ascending strides over one frame", strides)
    slots = sum(grid["columns"] * grid["rows"] * len(grid["anchors"]) for grid in value)
    if slots > MOST_SLOTS:
        raise _wrong(name, f"at most {MOST_SLOTS} slots", slots)


def _figure(value: Any, name: str) -> None:
    """Check a cell of the table of metrics, which is written and never computed with."""
    if type(value) not in (int, float) or (type(value) is int and abs(value) > _MOST_STEPS):
        raise _wrong(name, "a number", value)


def _history(value: Any, name: str) -> None:
    _list(_table(_figure, 100), 0, _MOST)(value, name)
    if any(list(row) != list(value[0]) for row in value):
        raise _wrong(name, "rows of the same columns", value)


_STEPS = _whole(0, _MOST_STEPS)
_GROUP = _record({"params": _list(_whole(0, _MOST), 0, _MOST)})  # of an optimizer; `optim.load_optimizer` knows more
_DECAY = _record(
    {"start": _STEPS, "steps": _whole(1, _MOST_STEPS), "reason": _text(1000), "left": _number(0, 1)},
    frozenset({"left"}),
)

MODEL: dict[str, Check] = {
    "classes": _classes,
    "image_size": _whole(1, 8192),
    "model": _model,
    "weights": _table(_tensor),
    "ema": _none_or(_table(_tensor)),
    "calibration": _none_or(_list(_number(-1e6, 1e6), 2, 2)),
    "own_shape": _switch,
    "started_in": _text(4096),
    "config": _table(_scalar, 10_000),
}
# What a task stores besides, by its name.
TASK_FIELDS: dict[str, dict[str, Check]] = {
    "detection": {"grids": _grids},
    "classification": {"image_size": _whole(1, 8192)},
}
# Not in every checkpoint that was ever written, or needed by some readers alone, who say so.
_OPTIONAL = frozenset({"image_size", "ema", "calibration", "own_shape", "started_in", "config"})

TRAINING: dict[str, Check] = {
    "config": _table(_scalar, 10_000),
    "ema": _table(_tensor),
    "calibration": _none_or(_list(_number(-1e6, 1e6), 2, 2)),
    "optimizer": _record({"state": _mapping, "param_groups": _list(_GROUP, 1, 1000)}),
    "ema_updates": _STEPS,
    "schedule": _record({"since": _STEPS, "longest": _STEPS, "decay": _none_or(_DECAY)}),
    "tries": _whole(0, 1000),  # the k-th is judged at a level of 2^-k
    "patience": _record({"best": _number(infinite=True), "waited": _STEPS}),
    "torch_random": _tensor,
    "precision": _one_of("float32", "bf16"),
    "threads": _whole(1, 65536),
    "environment": _table(_text(10_000), 1000),
    "fingerprint": _table(_text(10_000_000), 10_000),
    "step": _STEPS,
    "epoch": _STEPS,
    "history": _history,
    "clipped": _STEPS,
    "norms": _number(0),
    "dropped": _table(_STEPS, 1000),
    "figures": _table(_list(_number(), 2, 2), 100),
    "best_loss": _number(infinite=True),
    "finished": _one_of("", "target", "done", "failed", "plateau", "budget", "signal"),
}
