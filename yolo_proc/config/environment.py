"""Options from the environment: `YOLO_PROC_BATCH_SIZE=8` is `--batch-size 8`, unless a flag says otherwise.

The name is the option's flat name in capitals, with `_` for dashes and dots: `augment.flip-x` is
`YOLO_PROC_AUGMENT_FLIP_X`. What stands behind `YOLO_PROC_GENERATOR_` and is no option is a parameter of the generator.
"""

from collections.abc import Collection, Iterable, Mapping
from functools import cache

from yolo_proc.config.options import nearest
from yolo_proc.config.values import SHORTHANDS, Given, config_options
from yolo_proc.errors import ConfigError

PREFIX = "YOLO_PROC_"
_PARAMETER = f"{PREFIX}GENERATOR_"
_OTHERS = ("YOLO_PROC_TRUST",)  # which are no options of a run; see docs/safety.md


def variable_of(flat: str) -> str:
    """Return the name of the variable that gives an option."""
    return PREFIX + flat.upper().replace("-", "_").replace(".", "_")


def environment_values(
    environment: Mapping[str, str], names: Collection[str], *, parameters: bool = False
) -> dict[str, Given]:
    """Return what the environment gives of the options `names`, by flat name.

    Args:
        parameters: whether parameters of the generator are among them.

    Raises:
        ConfigError: a variable that is no option of any command, with the nearest that is.
    """
    given = {}
    for variable in sorted(name for name in environment if name.startswith(PREFIX)):
        if variable in _OTHERS:
            continue
        flat = _options().get(variable)
        if flat is None and variable.startswith(_PARAMETER):
            flat = f"generator.{variable.removeprefix(_PARAMETER).lower().replace('_', '-')}"
            wanted = parameters
        elif flat is None:
            raise ConfigError(f"{variable}: no option has such a variable{nearest(variable, _known())}; unset it")
        else:
            wanted = flat in names
        if wanted:
            given[flat] = Given(environment[variable], variable, of_environment=True)
    return given


@cache
def _options() -> Mapping[str, str]:
    """Return the flat names of options by variable."""
    plain = {variable_of(flat): flat for flat in config_options()}
    return {**plain, **{variable_of(short): flat for short, flat in SHORTHANDS.items()}}


def _known() -> Iterable[str]:
    return (*_options(), *_OTHERS)
