"""A configuration as a TOML file. Its keys are the flat names of `config_values`."""

import re
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from yolo_proc.config.digest import check_digest, with_digest
from yolo_proc.config.options import nearest, shown
from yolo_proc.config.schema import Config
from yolo_proc.config.values import SHORTHANDS, Given, config_options, config_values, sections
from yolo_proc.errors import ConfigError
from yolo_proc.system.files import MIB, UnreadableFileError, read_bytes

MAX_BYTES = MIB  # of a TOML file: all options together have some kilobytes


HEADER = (
    "# Every option that this run reads. `python -m yolo_proc train --config FILE` takes it;\n"
    "# an option that is not here has its default.\n\n"
)
# A key, or the beginning of one, of more than 32 parts with dots between.
_DEEP_KEY = re.compile(
    r"""(?:^|[\[{,])[ \t]*(?:(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*){32}""", re.MULTILINE
)


def read_config_file(path: Path) -> dict[str, Given]:
    """Return what a TOML file gives, by flat name; names and values are checked by `config_from_values`.

    Raises:
        ConfigError: no such file, a damaged one, no TOML, an unknown table.
    """
    try:
        text = read_bytes(path, MAX_BYTES, "a TOML file with options").decode("utf-8-sig")
        check_digest(text, path)
        if _DEEP_KEY.search(text):  # tomllib takes the square of a key's depth in memory
            raise RecursionError
        tree = tomllib.loads(text)
    except UnreadableFileError as error:
        raise ConfigError(f"--config {error}") from error
    except RecursionError:
        raise ConfigError(
            f"{path}: expected TOML with tables of options, found keys or brackets nested too deep"
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path}: expected TOML in UTF-8, found another encoding (byte {error.start}); save it as UTF-8"
        ) from None
    except tomllib.TOMLDecodeError as error:
        if "\0" in text:
            raise ConfigError(
                f"{path}: expected TOML in UTF-8, found zero bytes, as in UTF-16; save it as UTF-8"
            ) from None
        raise ConfigError(f"{path}: expected TOML: {error}") from error
    except ValueError as error:
        raise ConfigError(f"{path}: expected TOML, found a number of thousands of digits") from error
    given: dict[str, Given] = {}
    for key, value in tree.items():
        where = f"{path}: {key}"
        if isinstance(value, dict):
            if key not in sections() and key not in config_options():
                raise ConfigError(f"{where}: no such table{nearest(key, sections())}; known: {', '.join(sections())}")
            _flatten(key, value, path, given)
        elif key in SHORTHANDS:
            given[SHORTHANDS[key]] = Given(value, where, of_file=True)
        elif key in sections():
            raise ConfigError(f"{where}: expected a table [{key}] with options, found {shown(value)}")
        else:
            given[key] = Given(value, where, of_file=True)
    return given


def _flatten(prefix: str, table: Mapping[str, Any], path: Path, into: dict[str, Given]) -> None:
    for key, value in table.items():
        flat = f"{prefix}.{key}"
        if isinstance(value, dict) and "." not in prefix:
            _flatten(flat, value, path, into)
        else:  # no option lies deeper: its name is refused
            into[flat] = Given(value, f"{path}: {flat}", of_file=True)


def config_to_toml(config: Config, unread: Collection[str] = ()) -> str:
    """Return the whole configuration as TOML, so that reading it gives an equal one; None is left out.

    Args:
        unread: flat names of options that are left out too, because they have their defaults and nothing reads them.
    """
    import tomli_w

    tree: dict[str, Any] = {}
    for flat, value in config_values(config).items():
        if value is None or flat in unread:
            continue
        section, _, name = flat.rpartition(".")
        table = tree.setdefault(section, {}) if section else tree
        table[name] = list(value) if isinstance(value, tuple) else value
    return with_digest(HEADER + tomli_w.dumps(tree))
