"""The command `config`: the configuration that a command line, the environment and a file make."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from yolo_proc.cli.flags import TRUST_HELP, FlagParser, build_own
from yolo_proc.config.json_schema import config_schema
from yolo_proc.config.options import option
from yolo_proc.config.values import Given, config_options, config_values, value_text
from yolo_proc.data.configfile import config_to_toml, read_config_file
from yolo_proc.data.run_config import config_from_values, named_configuration
from yolo_proc.errors import ConfigError


@dataclass(frozen=True)
class ConfigFlags:
    """Options of `config`."""

    config: str | None = option(None, help="TOML file with options; flags override it")
    origin: bool = option(False, help="print each value with where it comes from, instead of TOML")
    schema: bool = option(False, help="print the JSON Schema of the TOML file, for editors, and nothing else")
    json: bool = option(False, help="print the result as JSON")
    trust: bool = option(False, help=TRUST_HELP)


def config_parser() -> FlagParser:
    """Return flags of `config`."""
    about = "Prints the configuration that flags, environment variables and a file make, ready for --config."
    return FlagParser("config", about, ConfigFlags, list(config_options()), parameters=True)


def config(parser: FlagParser, argv: Sequence[str]) -> int:
    """Print a configuration."""
    parsed = parser.read(argv)
    flags = build_own(ConfigFlags, parsed.own)
    if flags.schema:
        print(json.dumps(config_schema(), indent=2))
        return 0
    if flags.origin and flags.json:
        raise ConfigError("--origin and --json: JSON has the origins too; give --json alone")
    given = {**(read_config_file(Path(flags.config)) if flags.config is not None else {}), **parsed.given}
    made = config_from_values(given, trust=flags.trust)
    values = config_values(made)
    origins = {flat: _origin(flat, given, made.model.name, made.task) for flat in values}
    if flags.json:
        rows = {flat: {"value": value, "origin": origins[flat]} for flat, value in values.items()}
        print(json.dumps(rows))
    elif flags.origin:
        width = max(map(len, values))
        texts = {flat: value_text(value) for flat, value in values.items()}
        middle = max(map(len, texts.values()))
        for flat, text in texts.items():
            print(f"{flat:{width}}  {text:{middle}}  {origins[flat]}")
    else:
        print(config_to_toml(made).partition("\n\n")[2], end="")
    return 0


def _origin(flat: str, given: Mapping[str, Given], model: str, task: str) -> str:
    """Return where a value comes from, in the user's words."""
    if flat in given:
        return given[flat].where
    return f"--model {model}" if flat in named_configuration(model, task) else "default"
