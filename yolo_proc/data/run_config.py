"""The configuration of a run, the parameters of its generator among it: what is given, saved, and changed on resume."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from yolo_proc.config.options import Declared, Option, check_value, declared_options, nearest
from yolo_proc.config.schema import Config
from yolo_proc.config.validation import validate
from yolo_proc.config.values import Given, as_given, assemble, config_options, config_values, value_text
from yolo_proc.data.configfile import read_config_file
from yolo_proc.errors import ConfigError, GeneratorError, OptionError

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


def named_configuration(model: str, task: str) -> Mapping[str, Any]:
    """Return the defaults that a model brings along, by flat name."""
    named = NAMED_CONFIGURATIONS.get(model, {})
    if task == "detection":
        return named
    return {flat: value for flat, value in named.items() if not flat.startswith("model.")}  # its grids


def generator_options(spec: str) -> Mapping[str, Declared]:
    """Return the parameters of the generator that `spec` names, by flat name.

    Raises:
        GeneratorError: there is no such generator.
    """
    # Here, because it imports the canvas, which `--help` does not need.
    from yolo_proc.data.generator import find_generator_class

    declared = declared_options(find_generator_class(spec))
    if "name" in declared:
        raise GeneratorError(f"generator {spec}: a parameter cannot be called name; generator.name is the generator's")
    return {f"generator.{parameter.spelling}": parameter for parameter in declared.values()}


def config_from_values(given: Mapping[str, Given], *, trust: bool = False) -> Config:
    """Return the validated configuration that the given values make; what is not given is the named configuration's or
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
        from yolo_proc.data.trust import require_trust  # here, because it imports the canvas, see `generator_options`

        require_trust(spec, given["generator.name"].where)
    pipeline = checked.get("augment.pipeline")
    if not trust and pipeline is not None and given["augment.pipeline"].of_file:
        from yolo_proc.data.transforms import is_code
        from yolo_proc.data.trust import require_trust

        if is_code(pipeline):
            require_trust(pipeline, given["augment.pipeline"].where, "pipeline")
    parameters = _check_parameters(given, spec)
    named = named_configuration(checked.get("model.name", ""), checked.get("task", options["task"].default))
    try:
        return validate(assemble({**named, **checked}, parameters))
    except OptionError as error:
        raise error.named(given[error.option].where) if error.option in given else error from None


def saved_config(values: Mapping[str, Any], path: Path, *, trust: bool = False) -> Config:
    """Return the configuration that a checkpoint holds; for `trust` and what is raised see `config_from_values`."""
    return config_from_values(as_given(values, f"{path}: ", of_file=True), trust=trust)


def start_folder(path: Path, started_in: str | None) -> Path:
    """Return the folder from which a run was started: relative paths in its options count from there.

    Args:
        path: one of its checkpoints; started_in: what that says, relative to the run's folder; empty or None: nothing,
            as of an earlier release.
    """
    return (path.absolute().parent / started_in).resolve() if started_in else Path.cwd()


def values_from_here(values: Mapping[str, Any], path: Path, started_in: str | None) -> Mapping[str, Any]:
    """Return a checkpoint's options with the generator and the pipeline named so that they are found from here.

    For `path` and `started_in` see `start_folder`.
    """
    base = start_folder(path, started_in)
    if base == Path.cwd().resolve():
        return values
    from yolo_proc.data.generator import rebased

    named = {flat: values.get(flat) for flat in ("generator.name", "augment.pipeline")}
    return {**values, **{flat: rebased(name, base) for flat, name in named.items() if isinstance(name, str)}}


def _check_parameters(given: Mapping[str, Given], spec: str) -> dict[str, Any]:
    """Return the generator's parameters among `given`, checked, in snake case; any other unknown name is refused."""
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
    """Return ` (did you mean --batch-size?)`, with dashes if the user's name has them."""
    return nearest(flat, known).replace("mean ", "mean --") if where.startswith("--") else nearest(flat, known)


def read_config(path: Path) -> Config:
    """Return the configuration in a TOML file; for what is raised see `read_config_file` and `config_from_values`."""
    return config_from_values(read_config_file(path))


def resumed_config(old: Mapping[str, Any], path: Path, given: Mapping[str, Given], *, trust: bool = False) -> Config:
    """Return the configuration of a resumed run: the one that the checkpoint `path` holds, but for what is given now.

    The old generator's parameters are dropped where another generator is given; for `trust` see `config_from_values`.
    A variable of the environment is a default for new runs: here it counts only for what a resume is free to change.
    """
    given = {flat: one for flat, one in given.items() if not one.of_environment or _is_free(flat)}
    values = as_given(old, f"{path}: ", of_file=True)
    name = given.get("generator.name")
    if name is not None and name.value != old.get("generator.name"):
        values = {flat: one for flat, one in values.items() if flat in config_options()}
    return config_from_values({**values, **given}, trust=trust)


def _is_free(flat: str) -> bool:
    return flat in config_options() and config_options()[flat].option.on_resume == "free"


def compare_on_resume(
    old: Config, new: Config, *, accept_changed_data: bool = False
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what speaks against going on with `new` from a checkpoint of `old`.

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
