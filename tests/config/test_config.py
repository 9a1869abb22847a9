"""The declarations of a run's options are sound."""

import dataclasses
import types
import typing

import pytest

from yolo_proc.config.options import check_value
from yolo_proc.config.schema import Config
from yolo_proc.config.validation import validate
from yolo_proc.config.values import config_options, config_values

OPTIONS = config_options()


def test_the_defaults_are_valid() -> None:
    assert validate(Config()) == Config()


@pytest.mark.parametrize("flat", OPTIONS)
def test_a_default_passes_its_own_check(flat: str) -> None:
    declared = OPTIONS[flat]
    assert check_value(declared, declared.default, flat) == declared.default
    assert config_values(Config())[flat] == declared.default


@pytest.mark.parametrize("flat", OPTIONS)
def test_a_declaration_is_whole(flat: str) -> None:
    declared = OPTIONS[flat]
    assert declared.option.help
    assert declared.option.reason
    optional = typing.get_origin(declared.type) in (typing.Union, types.UnionType)
    # TOML has no null: a None that is not the default would be lost in a run's config.toml.
    assert optional == (declared.default is None)


def test_names_are_unique_and_hold_every_field() -> None:
    sections = [field for field in dataclasses.fields(Config) if dataclasses.is_dataclass(field.type)]
    fields = len(dataclasses.fields(Config)) - len(sections)
    fields += sum(len(dataclasses.fields(section.type)) for section in sections)
    assert len(OPTIONS) == fields - 1  # generator.parameters is no option
    assert not any("_" in flat for flat in OPTIONS)
