"""How an option is declared: once, as a dataclass field, with type, default, range, help and `on_resume`.

    @dataclass(frozen=True)
    class Cards:
        max_cards: int = option(5, help="cards on a table", low=1, high=52)

The command line (`--generator.max-cards 5`), the TOML file (`max-cards = 5`), the run's own `config.toml` and
the check of every value come from that line.
"""

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, time
from typing import Any, Literal, TypeVar

from yolo_proc.errors import ConfigError

OnResume = Literal["free", "inexact", "refused"]
T = TypeVar("T")
_LARGEST = 2**63 - 1  # of a whole number, where the option says nothing else
SWITCH_WORDS = {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}


@dataclass(frozen=True)
class Option:
    """Declaration of an option besides its name, type and default.

    Attributes:
        help: one line for `--help`.
        low, high: the closed range of a number, or of each number of a tuple; None where there is no bound.
        choices: the values allowed; empty where any is.
        on_resume: "free": a resumed run may change it and stays what it would have been; "inexact": it may,
            but the run is no longer bit for bit the uninterrupted one; "refused": it may not.
        reason: why, for "refused".
    """

    help: str
    low: float | None = None
    high: float | None = None
    choices: tuple[Any, ...] = ()
    on_resume: OnResume = "refused"
    reason: str = "it defines what is learned"


def option(
    default: Any,
    *,
    help: str,  # noqa: A002 the name that argparse users know
    low: float | None = None,
    high: float | None = None,
    choices: Iterable[Any] = (),
    on_resume: OnResume = "refused",
    reason: str = "it defines what is learned",
) -> Any:
    """Return a dataclass field that is an option; see `Option` for the arguments."""
    declared = Option(help, low, high, tuple(choices), on_resume, reason)
    return dataclasses.field(default=default, metadata={"option": declared})


@dataclass(frozen=True)
class Declared:
    """An option as it stands in a dataclass: `name` in snake case, its type, default and declaration."""

    name: str
    type: Any
    default: Any
    option: Option

    @property
    def spelling(self) -> str:
        """The name as a user types it: kebab case."""
        return self.name.replace("_", "-")


def declared_options(cls: type) -> dict[str, Declared]:
    """Return the options of a dataclass by name, in order; fields without `option(...)` are not options.

    A class that is no dataclass has none.
    """
    if not dataclasses.is_dataclass(cls):
        return {}
    hints = typing.get_type_hints(cls)
    return {
        field.name: Declared(field.name, hints[field.name], field.default, field.metadata["option"])
        for field in dataclasses.fields(cls)
        if "option" in field.metadata
    }


_LONGEST_SHOWN = 60


def shown(value: Any, longest: int = _LONGEST_SHOWN) -> str:
    """Return a value that a user or a file gave, for a message: short and on one line, whatever it is.

    Args:
        longest: text is cut behind so many characters.
    """
    if isinstance(value, str | bytes):
        rest = f"... of {len(value)} characters" if len(value) > longest else ""
        return f"{value[:longest]!r}{rest}"
    if value is None or isinstance(value, bool | float):
        return repr(value)
    if isinstance(value, int):
        digits = round(value.bit_length() * math.log10(2))
        return repr(value) if digits <= _LONGEST_SHOWN else f"a number of about {digits} digits"
    if isinstance(value, list | tuple) and len(value) <= 8 and not any(map(_holds_others, value)):
        return f"[{', '.join(map(shown, value))}]"
    if isinstance(value, list | tuple | dict):
        return f"a {type(value).__name__} of {len(value)}"
    return f"a value of type {type(value).__name__}" if _holds_others(value) else str(value)[:_LONGEST_SHOWN]


def _holds_others(value: object) -> bool:
    return not isinstance(value, str | bytes | int | float | date | time | None)


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ` (did you mean X?)` for the nearest of the known words, or an empty string."""
    likely = [one for one in known if 2 * len(one) > len(word)]  # `on` is no slip of `config`
    found = difflib.get_close_matches(word[:_LONGEST_SHOWN], likely, n=1, cutoff=0.5)
    return f" (did you mean {found[0]}?)" if found else ""


def check_value(declared: Declared, value: Any, where: str) -> Any:
    """Return `value` as the option's type, from a string (command line) or a TOML value.

    Args:
        where: how the user named the option, for the message: "--batch-size", "run.toml: batch-size".

    Raises:
        ConfigError: another type, or out of range; the message has the nearest valid spelling of a choice.
    """
    converted = _convert(declared.type, value, where)
    rule = declared.option
    if rule.choices and converted is not None and converted not in rule.choices:
        known = [str(choice) for choice in rule.choices]
        hint = nearest(value if isinstance(value, str) else shown(value), known)
        raise ConfigError(f"{where}: expected one of {', '.join(known)}, found {shown(value)}{hint}")
    numbers = converted if isinstance(converted, tuple) else (converted,)
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int | float):
            continue
        low, high = rule.low, rule.high
        if isinstance(number, int) and not -_LARGEST <= number <= _LARGEST:
            low, high = (-_LARGEST if low is None else low), (_LARGEST if high is None else high)
        if not _within(number, low, high):
            raise ConfigError(f"{where}: expected a number {_range_text(low, high)}, found {shown(value)}")
    return converted


def _within(number: float, low: float | None, high: float | None) -> bool:
    if isinstance(number, float) and not math.isfinite(number):
        return False
    return (low is None or number >= low) and (high is None or number <= high)


def _range_text(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f"from {low:g} to {high:g}"
    if low is not None:
        return f"of at least {low:g}"
    return f"of at most {high:g}" if high is not None else "that is finite"


def _convert(kind: Any, value: Any, where: str) -> Any:
    """Return `value` as `kind`: bool, int, float, str, X | None, tuple[X, ...] or tuple[X, Y]."""
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        members = [member for member in typing.get_args(kind) if member is not type(None)]
        if value is None or (isinstance(value, str) and value.lower() == "none"):
            return None
        assert len(members) == 1, f"{where}: only X | None is supported"
        return _convert(members[0], value, where)
    if origin is tuple:
        items = (value.split(",") if value else []) if isinstance(value, str) else value
        if not isinstance(items, list | tuple):
            raise ConfigError(f"{where}: expected values with commas between, found {shown(value)}")
        members = list(typing.get_args(kind))
        if len(members) == 2 and members[1] is Ellipsis:
            members = [members[0]] * len(items)
        if len(members) != len(items):
            raise ConfigError(f"{where}: expected {len(members)} values, found {len(items)} in {shown(value)}")
        return tuple(_convert(member, item, where) for member, item in zip(members, items, strict=True))
    if kind is bool:
        return _to_bool(value, where)
    if kind is str:
        if not isinstance(value, str):
            raise ConfigError(f"{where}: expected text, found {shown(value)}")
        if "\0" in value:  # no file and no name has one
            raise ConfigError(f"{where}: expected text without the character 0, found {shown(value)}")
        return value
    return _to_number(kind, value, where)


def _to_bool(value: Any, where: str) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in SWITCH_WORDS:
        return SWITCH_WORDS[value.lower()]
    raise ConfigError(f"{where}: expected on or off, found {shown(value)}")


def _to_number(kind: Any, value: Any, where: str) -> Any:
    assert kind in (int, float), f"{where}: no conversion to {kind}"
    wanted = "a whole number" if kind is int else "a number"
    error = ConfigError(f"{where}: expected {wanted}, found {shown(value)}")
    if isinstance(value, bool):
        raise error
    try:
        number = kind(value)
    except (TypeError, ValueError, OverflowError):
        raise error from None
    if kind is int and isinstance(value, float) and number != value:
        raise error
    return number


def build(cls: type[T], values: Mapping[str, Any], where: str = "", **given: Any) -> T:
    """Return an instance of the dataclass `cls` from checked values; the keys are snake or kebab case.

    Args:
        given: fields that are no options, as they are.

    Raises:
        ConfigError: an unknown key (with the nearest known one), a wrong type, a value out of range.
    """
    known = declared_options(cls)
    arguments = {}
    for key, value in values.items():
        name = key.replace("-", "_")
        if name not in known:
            spellings = [declared.spelling for declared in known.values()]
            listed = f"; known: {', '.join(spellings)}" if spellings else "; there are none to set"
            raise ConfigError(f"{where}{key}: no such option{nearest(key, spellings)}{listed}")
        arguments[name] = check_value(known[name], value, f"{where}{key}")
    return cls(**given, **arguments)
