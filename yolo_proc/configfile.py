"""A configuration as flat names with values, and as a TOML file.

The flat name of an option is what a user types: `batch-size`, `augment.flip-x`, `generator.max-objects`. The same
names are the flags (`--augment.flip-x 0.5`) and the keys of the file (`[augment]` and `flip-x = 0.5`).
"""

import dataclasses
import itertools
import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from yolo_proc.config import Config, ModelConfig
from yolo_proc.config_digest import check_digest, with_digest
from yolo_proc.errors import ConfigError, GeneratorError
from yolo_proc.files import MIB, UnreadableFileError, read_bytes
from yolo_proc.options import Declared, Option, check_value, declared_options, nearest, shown

MAX_BYTES = MIB  # of a TOML file: all options together have some kilobytes
HEADER = (
    "# Every option of this run. `python -m yolo_proc train --config FILE` reads it;\n"
    "# an option that is not here has no value, which is its default.\n\n"
)
# A key, or the beginning of one, of more than 32 parts with dots between.
_DEEP_KEY = re.compile(
    r"""(?:^|[\[{,])[ \t]*(?:(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*){32}""", re.MULTILINE
)

# `generator = "glyphs"` stands for `generator.name = "glyphs"`, in a file as on the command line.
SHORTHANDS: Mapping[str, str] = {"generator": "generator.name", "model": "model.name"}

# A named configuration is a set of defaults: what the user gives wins. The original's task, the category
# AOM, is what `glyphs` draws by default.
NAMED_CONFIGURATIONS: Mapping[str, Mapping[str, Any]] = {
    "original": {
        "image-size": 416,
        "model.strides": (32,),
        "model.anchors": "100x100",
        "model.anchors-per-grid": 1,
    },
}


@dataclass(frozen=True)
class Given:
    """A value as the user gave it, and how the user would name it: `--batch-size`, `run.toml: batch-size`.

    Attributes:
        of_file: it stands in a file, which somebody else may have written; see `trust.py`.
    """

    value: Any
    where: str
    of_file: bool = False


@cache
def config_options() -> Mapping[str, Declared]:
    """All options of a `Config` by flat name, in order; the generator's parameters are not among them."""
    options = {declared.spelling: declared for declared in declared_options(Config).values()}
    for name, section in sections().items():
        options |= {f"{name}.{declared.spelling}": declared for declared in declared_options(section).values()}
    return options


@cache
def sections() -> Mapping[str, type]:
    """The sections of a `Config` by name: the tables of the file, the prefixes of the flags."""
    found = {}
    for field in fields(Config):
        if dataclasses.is_dataclass(field.type):
            assert isinstance(field.type, type)
            found[field.name] = field.type
    return found


def generator_options(spec: str) -> Mapping[str, Declared]:
    """The parameters of the generator that `spec` names, by flat name.

    Raises:
        GeneratorError: there is no such generator.
    """
    # Here, because it imports the canvas, which `--help` does not need.
    from yolo_proc.generator import find_generator_class

    declared = declared_options(find_generator_class(spec))
    if "name" in declared:
        raise GeneratorError(f"generator {spec}: a parameter cannot be called name; generator.name is the generator's")
    return {f"generator.{parameter.spelling}": parameter for parameter in declared.values()}


def config_values(config: Config) -> dict[str, Any]:
    """The values of `config` by flat name, in order, None among them; its inverse is `config_from_values`."""
    values: dict[str, Any] = {}
    for flat in config_options():
        holder, name = _place(config, flat)
        values[flat] = getattr(holder, name)
    for name, value in config.generator.parameters.items():
        values[f"generator.{name.replace('_', '-')}"] = value
    return values


def _place(config: Config, flat: str) -> tuple[Any, str]:
    """The dataclass that holds an option, and the option's name in it."""
    section, _, name = flat.rpartition(".")
    return (getattr(config, section) if section else config), name.replace("-", "_")


def as_given(values: Mapping[str, Any], where: str = "", *, of_file: bool = False) -> dict[str, Given]:
    """Values by flat name as `Given`; each is named `where` + its flat name."""
    return {flat: Given(value, f"{where}{flat}", of_file) for flat, value in values.items()}


def config_from_values(given: Mapping[str, Given], *, trust: bool = False) -> Config:
    """The validated configuration that the given values make; what is not given is the named configuration's or
    the declared default.

    Args:
        trust: run the code of a generator that is named in a file, whatever it is.

    Raises:
        ConfigError: an unknown name, with the nearest valid spelling; a wrong type; a value out of range.
        GeneratorError: the generator cannot be found, or stands in a file and is not trusted.
    """
    options = config_options()
    checked = {flat: check_value(options[flat], one.value, one.where) for flat, one in given.items() if flat in options}
    spec = checked.get("generator.name", options["generator.name"].default)
    if not trust and "generator.name" in given and given["generator.name"].of_file:
        from yolo_proc.trust import require_trust  # here, because it imports the canvas, see `generator_options`

        require_trust(spec, given["generator.name"].where)
    parameters = _check_parameters(given, spec)
    named = NAMED_CONFIGURATIONS.get(checked.get("model.name", ""), {})
    return validate(_assemble({**named, **checked}, parameters))


def saved_config(values: Mapping[str, Any], path: Path, *, trust: bool = False) -> Config:
    """The configuration that a checkpoint holds; for `trust` and what is raised see `config_from_values`."""
    return config_from_values(as_given(values, f"{path}: ", of_file=True), trust=trust)


def _check_parameters(given: Mapping[str, Given], spec: str) -> dict[str, Any]:
    """The generator's parameters among `given`, checked, in snake case; any other unknown name is refused."""
    options = config_options()
    unknown = [flat for flat in given if flat not in options]
    if not unknown:
        return {}
    for flat in unknown:
        if not flat.startswith("generator."):
            raise ConfigError(f"{given[flat].where}: no such option{_nearest_name(flat, given[flat].where, options)}")
    known = generator_options(spec)
    parameters = {}
    for flat in unknown:
        where = given[flat].where
        if flat not in known:
            listed = ", ".join(name.removeprefix("generator.") for name in known) or "none"
            if spec.startswith("mix:"):
                listed = "none, and those of its members keep their defaults"
            hint = _nearest_name(flat, where, [*known, "generator.name"])
            raise ConfigError(f"{where}: generator {spec} has no such parameter{hint}; it has: {listed}")
        parameters[known[flat].name] = check_value(known[flat], given[flat].value, where)
    return parameters


def _nearest_name(flat: str, where: str, known: Sequence[str] | Mapping[str, Any]) -> str:
    """` (did you mean --batch-size?)`, with dashes if the user's name has them."""
    return nearest(flat, known).replace("mean ", "mean --") if where.startswith("--") else nearest(flat, known)


def _assemble(values: Mapping[str, Any], parameters: Mapping[str, Any]) -> Config:
    by_section: dict[str, dict[str, Any]] = {name: {} for name in sections()}
    top: dict[str, Any] = {}
    for flat, value in values.items():
        section, _, name = flat.rpartition(".")
        (by_section[section] if section else top)[name.replace("-", "_")] = value
    by_section["generator"]["parameters"] = dict(parameters)
    return Config(**top, **{name: cls(**by_section[name]) for name, cls in sections().items()})


# ---------------------------------------------------------------------------------------------- the file


def read_config_file(path: Path) -> dict[str, Given]:
    """What a TOML file gives, by flat name; names and values are checked by `config_from_values`.

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


def config_to_toml(config: Config) -> str:
    """The whole configuration as TOML, so that reading it gives an equal one; None is left out."""
    import tomli_w

    tree: dict[str, Any] = {}
    for flat, value in config_values(config).items():
        if value is None:
            continue
        section, _, name = flat.rpartition(".")
        table = tree.setdefault(section, {}) if section else tree
        table[name] = list(value) if isinstance(value, tuple) else value
    return with_digest(HEADER + tomli_w.dumps(tree))


def read_config(path: Path) -> Config:
    """The configuration in a TOML file; for what is raised see `read_config_file` and `config_from_values`."""
    return config_from_values(read_config_file(path))


# ------------------------------------------------------------------------------------------- validation


def validate(config: Config) -> Config:
    """`config` with every value checked and of its declared type, and options checked against each other.

    Raises:
        ConfigError: names the option, what is expected and what was found.
    """
    values = config_values(config)
    checked = {flat: check_value(declared, values[flat], flat) for flat, declared in config_options().items()}
    config = _assemble(checked, config.generator.parameters)
    _check_run(config)
    _check_model(config.model, config.image_size)
    if config.epoch_images <= config.batch_size:
        # The bound of a mean, which target and patience are judged by, needs two steps.
        raise ConfigError(
            f"epoch-images: expected more than one batch of {config.batch_size}, found {config.epoch_images}; "
            "raise epoch-images or lower batch-size"
        )
    if config.augment.letterbox_size[0] > config.augment.letterbox_size[1]:
        raise ConfigError(
            "augment.letterbox-size: expected the smallest before the largest, found "
            f"{value_text(config.augment.letterbox_size)}"
        )
    weights = dataclasses.asdict(config.loss)
    del weights["weight_overlap"], weights["weight_auxiliary"]  # what stands beside the loss is not it
    if not any(weights.values()):
        raise ConfigError("loss: expected at least one weight above 0, found none; nothing would be learned")
    return config


def _check_run(config: Config) -> None:
    if config.run is not None and not re.fullmatch(r"[\w+][\w.+ -]*", config.run):
        raise ConfigError(
            f"run: expected a plain folder name of letters, digits and .-_+, found {shown(config.run)}; "
            "runs-dir says where the folder lies"
        )
    if not re.fullmatch(r"auto|cpu|cuda(:\d{1,3})?", config.device):
        hint = nearest(config.device, ("auto", "cpu", "cuda"))
        raise ConfigError(f"device: expected auto, cpu, cuda or cuda:N, found {shown(config.device)}{hint}")


def _check_model(model: ModelConfig, image_size: int) -> None:
    strides = model.strides
    if not strides or any(a >= b for a, b in itertools.pairwise(strides)):
        raise ConfigError(f"model.strides: expected distinct strides in ascending order, found {value_text(strides)}")
    for stride in strides:
        if stride & (stride - 1):
            raise ConfigError(f"model.strides: expected powers of two, found {value_text(strides)}")
        if image_size % stride:
            below = max(image_size // stride * stride, stride)
            raise ConfigError(
                f"image-size: expected a multiple of the stride {stride}, found {image_size}; "
                f"{below} and {below + stride} are"
            )
    sizes = parse_anchors(model.anchors)
    if sizes is not None and max(max(size) for size in sizes) > image_size:
        raise ConfigError(
            f"model.anchors: expected sizes of at most the picture's side {image_size}, found {shown(model.anchors)}; "
            "give smaller ones, `auto`, or a larger --image-size"
        )
    if sizes is not None and len(sizes) < len(strides):
        raise ConfigError(
            f"model.anchors: expected at least one size a grid, {len(strides)} grids, found {len(sizes)}: "
            f"{shown(model.anchors)}"
        )
    if model.name == "original":
        _check_original(model)


def _check_original(model: ModelConfig) -> None:
    if model.strides != (32,):
        raise ConfigError(
            f"model.strides: the original's network has the stride 32, found {value_text(model.strides)}; "
            "leave model.strides out, or take --model small"
        )
    plain = ModelConfig()
    for name in ("width", "depth"):
        if getattr(model, name) != getattr(plain, name):
            raise ConfigError(f"model.{name}: the original's layers are fixed; leave it out, or take --model small")


def parse_anchors(text: str) -> tuple[tuple[float, float], ...] | None:
    """Anchor sizes (width, height) in pixels from `60x60,120x90`; None for `auto`.

    Raises:
        ConfigError: neither auto nor positive sizes.
    """
    if text == "auto":
        return None
    sizes = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)x(\d+(?:\.\d+)?)\s*", part)
        width, height = (float(match[1]), float(match[2])) if match else (0.0, 0.0)
        if not (0 < width < math.inf and 0 < height < math.inf):
            raise ConfigError(f"model.anchors: expected auto, or sizes such as 60x60,120x90, found {shown(text)}")
        sizes.append((width, height))
    return tuple(sizes)


# ----------------------------------------------------------------------------------------------- resume


def resumed_config(old: Mapping[str, Any], path: Path, given: Mapping[str, Given], *, trust: bool = False) -> Config:
    """The configuration of a resumed run: the one that the checkpoint `path` holds, but for what is given now.

    The old generator's parameters are dropped where another generator is given; for `trust` see `config_from_values`.
    """
    values = as_given(old, f"{path}: ", of_file=True)
    name = given.get("generator.name")
    if name is not None and name.value != old.get("generator.name"):
        values = {flat: one for flat, one in values.items() if flat in config_options()}
    return config_from_values({**values, **given}, trust=trust)


def compare_on_resume(
    old: Config, new: Config, *, accept_changed_data: bool = False
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What speaks against going on with `new` from a checkpoint of `old`.

    Returns:
        Refusals and notes, a line for each option that differs and is not free to: a refusal says why, a note that
        the run is no longer bit for bit the uninterrupted one. With `accept_changed_data` the refusals of
        what defines the scenes are notes.
    """
    refusals, notes = [], []
    before, after = config_values(old), config_values(new)
    if old.generator != new.generator and old.generator.name == new.generator.name:
        # A parameter that is given as its default is no change.
        defaults = {flat: declared.default for flat, declared in generator_options(old.generator.name).items()}
        before, after = {**defaults, **before}, {**defaults, **after}
    for flat in dict.fromkeys([*before, *after]):
        was, now = before.get(flat), after.get(flat)
        if was == now:
            continue
        rule = config_options()[flat].option if flat in config_options() else _PARAMETER_RULE
        change = f"{flat}: was {value_text(was)}, now {value_text(now)}"
        if rule.on_resume == "inexact":
            notes.append(f"{change}: the run goes on, but no longer bit for bit as it would have uninterrupted")
        elif rule.on_resume == "refused" and rule.reason == DATA_REASON and accept_changed_data:
            notes.append(f"{change}: the run goes on with other scenes")
        elif rule.on_resume == "refused":
            way_out = "--accept-changed-data, or " if rule.reason == DATA_REASON else ""
            refusals.append(f"{change}: refused, because {rule.reason}; {way_out}start a new run, or leave it out")
    return tuple(refusals), tuple(notes)


DATA_REASON: str = config_options()["generator.name"].option.reason
# Any parameter of a generator may change what it draws.
_PARAMETER_RULE = Option("a parameter of the generator", on_resume="refused", reason=DATA_REASON)


def value_text(value: Any) -> str:
    """A value as a user types it."""
    if isinstance(value, tuple):
        return ",".join(value_text(item) for item in value)
    if isinstance(value, bool):
        return "on" if value else "off"
    return "none" if value is None else f"{value}"
