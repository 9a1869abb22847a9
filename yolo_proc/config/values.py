"""A configuration as flat names with values.

The flat name of an option is what a user types: `batch-size`, `augment.flip-x`, `generator.max-objects`. The same
names are the flags (`--augment.flip-x 0.5`) and the keys of a file (`[augment]` and `flip-x = 0.5`).
"""

import dataclasses
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

from yolo_proc.config.options import Declared, declared_options, shown
from yolo_proc.config.schema import Config
from yolo_proc.errors import OptionError

# `generator = "glyphs"` stands for `generator.name = "glyphs"`, in a file as on the command line.
SHORTHANDS: Mapping[str, str] = {"generator": "generator.name", "model": "model.name"}


@dataclass(frozen=True)
class Given:
    """A value as the user gave it, and how the user would name it: `--batch-size`, `run.toml: batch-size`.

    Attributes:
        of_file: it stands in a file, which somebody else may have written; see `trust.py`.
        of_environment: it stands in a variable, as a default of the user's own for new runs.
    """

    value: Any
    where: str
    of_file: bool = False
    of_environment: bool = False


@cache
def config_options() -> Mapping[str, Declared]:
    """Return all options of a `Config` by flat name, in order; the generator's parameters are not among them."""
    options = {declared.spelling: declared for declared in declared_options(Config).values()}
    for name, section in sections().items():
        options |= {f"{name}.{declared.spelling}": declared for declared in declared_options(section).values()}
    return options


@cache
def sections() -> Mapping[str, type]:
    """Return the sections of a `Config` by name: the tables of the file, the prefixes of the flags."""
    found = {}
    for field in fields(Config):
        if dataclasses.is_dataclass(field.type):
            assert isinstance(field.type, type)
            found[field.name] = field.type
    return found


def config_values(config: Config) -> dict[str, Any]:
    """Return the values of `config` by flat name, in order, None among them; see `run_config.config_from_values`."""
    values: dict[str, Any] = {}
    for flat in config_options():
        holder, name = _place(config, flat)
        values[flat] = getattr(holder, name)
    for name, value in config.generator.parameters.items():
        values[f"generator.{name.replace('_', '-')}"] = value
    return values


def _place(config: Config, flat: str) -> tuple[Any, str]:
    """Return the dataclass that holds an option, and the option's name in it."""
    section, _, name = flat.rpartition(".")
    return (getattr(config, section) if section else config), name.replace("-", "_")


def as_given(values: Mapping[str, Any], where: str = "", *, of_file: bool = False) -> dict[str, Given]:
    """Return values by flat name as `Given`; each is named `where` + its flat name."""
    return {flat: Given(value, f"{where}{flat}", of_file) for flat, value in values.items()}


def assemble(values: Mapping[str, Any], parameters: Mapping[str, Any]) -> Config:
    """Return the configuration of values by flat name, and of the generator's parameters; nothing is checked."""
    by_section: dict[str, dict[str, Any]] = {name: {} for name in sections()}
    top: dict[str, Any] = {}
    for flat, value in values.items():
        section, _, name = flat.rpartition(".")
        (by_section[section] if section else top)[name.replace("-", "_")] = value
    by_section["generator"]["parameters"] = dict(parameters)
    return Config(**top, **{name: cls(**by_section[name]) for name, cls in sections().items()})


def parse_anchors(text: str) -> tuple[tuple[float, float], ...] | None:
    """Return anchor sizes (width, height) in pixels from `60x60,120x90`; None for `auto`.

    Raises:
        OptionError: neither auto nor positive sizes.
    """
    if text == "auto":
        return None
    sizes = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)x(\d+(?:\.\d+)?)\s*", part)
        width, height = (float(match[1]), float(match[2])) if match else (0.0, 0.0)
        if not (0 < width < math.inf and 0 < height < math.inf):
            raise OptionError("model.anchors", f"expected auto, or sizes such as 60x60,120x90, found {shown(text)}")
        sizes.append((width, height))
    return tuple(sizes)


def value_text(value: Any) -> str:
    """Return a value as a user types it."""
    if isinstance(value, tuple):
        return ",".join(value_text(item) for item in value)
    if isinstance(value, bool):
        return "on" if value else "off"
    return "none" if value is None else f"{value}"
