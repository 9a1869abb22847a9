"""The JSON Schema of the TOML file, against jsonschema and against what is read."""

import tomllib
from typing import Any

import jsonschema
import pytest

from yolo_proc.config.json_schema import config_schema
from yolo_proc.config.schema import AugmentConfig, Config, ModelConfig
from yolo_proc.config.values import config_options
from yolo_proc.data.configfile import config_to_toml

VALIDATOR = jsonschema.Draft202012Validator(config_schema())


def errors(tree: dict[str, Any]) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(tree)]


def test_it_is_a_schema_and_has_every_option() -> None:
    schema = config_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    found = set()
    for name, one in schema["properties"].items():
        table = one["oneOf"][0] if "oneOf" in one else one
        found |= {f"{name}.{key}" for key in table["properties"]} if "properties" in table else {name}
    assert found == set(config_options())


@pytest.mark.parametrize(
    "config",
    [
        Config(),
        Config(target_loss=0.05, model=ModelConfig(strides=(8, 16), anchors="20x20,9x9")),
        Config(augment=AugmentConfig(letterbox_size=(0.5, 2.0), flip_x=0.5)),
    ],
)
def test_what_is_written_is_valid(config: Config) -> None:
    assert errors(tomllib.loads(config_to_toml(config))) == []


@pytest.mark.parametrize(
    "text",
    [
        "batch-size = 8",
        'generator = "shapes"',
        '[generator]\nname = "shapes"\nmax-objects = 3',
        'model = "resnet18"',
        "",
    ],
)
def test_what_a_user_may_write_is_valid(text: str) -> None:
    assert errors(tomllib.loads(text)) == []


@pytest.mark.parametrize(
    "text",
    [
        "batch-sise = 8",
        "batch-size = 0",
        'batch-size = "8"',
        'precision = "fp32"',
        "[augment]\nflip-z = 1.0",
        "[augment]\nletterbox-size = [1.0]",
        "[model]\nstrides = [2]",
        "generator = 3",
    ],
)
def test_what_is_refused_is_invalid(text: str) -> None:
    assert errors(tomllib.loads(text)) != []
