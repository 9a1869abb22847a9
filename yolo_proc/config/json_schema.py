"""The TOML file of a configuration as JSON Schema, for editors: made from the declarations of the options."""

import types
import typing
from typing import Any

from yolo_proc.config.options import Declared
from yolo_proc.config.values import SHORTHANDS, config_options, sections

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}


def config_schema() -> dict[str, Any]:
    """Return the schema (draft 2020-12): a property for each option, an object for each table."""
    tables: dict[str, dict[str, Any]] = {}
    top: dict[str, Any] = {}
    for flat, declared in config_options().items():
        section, _, name = flat.rpartition(".")
        (tables.setdefault(section, {}) if section else top)[name] = _property(declared)
    for name, properties in tables.items():
        table: dict[str, Any] = {
            "type": "object",
            "description": (sections()[name].__doc__ or "").partition("\n")[0],
            "properties": properties,
            # The parameters of a generator are declared by its own class.
            "additionalProperties": name == "generator",
        }
        short = next((properties[flat.rpartition(".")[2]] for key, flat in SHORTHANDS.items() if key == name), None)
        top[name] = table if short is None else {"oneOf": [table, short]}
    return {
        "$schema": DIALECT,
        "title": "A configuration of yolo_proc",
        "type": "object",
        "properties": top,
        "additionalProperties": False,
    }


def _property(declared: Declared) -> dict[str, Any]:
    rule = declared.option
    kind, limits = declared.type, _limits(declared)
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        kind = next(member for member in typing.get_args(kind) if member is not type(None))
    found: dict[str, Any]
    if typing.get_origin(kind) is tuple:
        members = typing.get_args(kind)
        found = {"type": "array", "items": {"type": _TYPES[members[0]], **limits}}
        if members[-1] is not Ellipsis:
            found |= {"minItems": len(members), "maxItems": len(members)}
    else:
        found = {"type": _TYPES[kind], **limits}
    if rule.choices:
        found["enum"] = list(rule.choices)
    if declared.default is not None:
        found["default"] = list(declared.default) if isinstance(declared.default, tuple) else declared.default
    return {"description": rule.help, **found}


def _limits(declared: Declared) -> dict[str, Any]:
    bounds = {"minimum": declared.option.low, "maximum": declared.option.high}
    return {name: bound for name, bound in bounds.items() if bound is not None}
