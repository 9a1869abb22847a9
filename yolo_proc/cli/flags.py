"""Flags from declarations: a parser whose every mistake is one line with the nearest spelling.

Values stay text here: `options.check_value` gives them their type, so that a flag, a TOML key and a value
from Python are checked by the same lines.
"""

import argparse
import itertools
import os
import re
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from yolo_proc.config.environment import environment_values
from yolo_proc.config.options import SWITCH_WORDS, Declared, check_value, declared_options, nearest, shown
from yolo_proc.config.values import SHORTHANDS, Given, config_options, sections, value_text
from yolo_proc.errors import ConfigError

T = TypeVar("T")
GENERATOR_PREFIX = "--generator."
TRUST_HELP = "run the code of a generator that only a file names; see docs/safety.md"
INPUT_SIZE_HELP = (
    "size of the network's input, WxH, multiples of every stride; none: the image's own shape, or as trained"
)


@dataclass(frozen=True)
class Parsed:
    """A command line as values by flat name, those of the command's own options apart."""

    given: Mapping[str, Given]
    own: Mapping[str, Given]


class _Keep(argparse.Action):
    """Keeps a value together with the flag as the user typed it."""

    def __call__(
        self, _parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, flag: str | None = None
    ) -> None:
        namespace.given[self.dest] = Given(values, flag or self.dest)


class FlagParser(argparse.ArgumentParser):
    """The parser of one command.

    Args:
        command: its name.
        about: what it does, for `--help`.
        own: a dataclass of options that only this command has.
        names: flat names of the options of a `Config` that it takes.
        parameters: whether the generator's parameters are taken too.
        bare: by flat name, the value of a flag that stands alone; `on` for every bool.
        positional: name and help of a word without dashes that the command takes, as `own[name]`; it may be left out.
    """

    def __init__(
        self,
        command: str,
        about: str,
        own: type,
        names: Iterable[str],
        *,
        parameters: bool = False,
        bare: Mapping[str, str] | None = None,
        positional: tuple[str, str] | None = None,
    ) -> None:
        place = ""
        if positional is not None:
            place = f" [{positional[0].upper()}]"
            about = f"{about} {positional[0].upper()}: {positional[1]}."
        super().__init__(
            prog=f"yolo_proc {command}",
            usage=f"yolo_proc {command}{place} [options]",
            description=about,
            allow_abbrev=False,
            add_help=False,
            formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=30),
            epilog="--generator NAME --help shows that generator's parameters too." if parameters else None,
        )
        self.own = {declared.spelling: declared for declared in declared_options(own).values()}
        self.names = list(names)
        self.parameters = parameters
        self.bare = bare or {}
        self.positional = positional
        self._fill()

    def _fill(self) -> None:
        general = self.add_argument_group("command")
        general.add_argument("-h", "--help", action="help", help="show this and exit")
        for flat, declared in self.own.items():
            self._add(general, flat, declared)
        known = config_options()
        groups: dict[str, argparse._ArgumentGroup] = {}
        for flat in self.names:
            section = flat.rpartition(".")[0]
            if section not in groups:
                about = (sections()[section].__doc__ or "").partition("\n")[0] if section else None
                groups[section] = self.add_argument_group(section or "run", about)
            self._add(groups[section], flat, known[flat])

    def _add(self, group: argparse._ArgumentGroup, flat: str, declared: Declared) -> None:
        short = [f"--{name}" for name, meant in SHORTHANDS.items() if meant == flat]
        alone = self.bare.get(flat, "on" if declared.type is bool else None)
        group.add_argument(
            *short,
            f"--{flat}",
            dest=flat,
            action=_Keep,
            default=argparse.SUPPRESS,
            metavar=_metavar(declared),
            help=_help_text(declared).replace("%", "%%"),
            nargs=None if alone is None else "?",
            const=alone,
        )

    def read(self, argv: Sequence[str]) -> Parsed:
        """Return the values that a command line gives, and those of the environment that it does not.

        Raises:
            ConfigError: an unknown flag or variable, or a flag without its value.
            SystemExit: after `--help`.
        """
        rest, parameters = self._split_parameters(argv)
        if self.parameters and {"-h", "--help"} & set(rest):
            self._show_parameters(rest)
        if self.positional is not None:
            rest = self._switches_alone(rest)
        namespace, unknown = self.parse_known_args(rest, argparse.Namespace(given={}))
        places = self._places(unknown)
        around = environment_values(os.environ, self.names, parameters=self.parameters)
        given: dict[str, Given] = {**around, **namespace.given, **parameters}
        return Parsed(
            given={flat: one for flat, one in given.items() if flat not in self.own},
            own={flat: one for flat, one in given.items() if flat in self.own} | places,
        )

    def _places(self, unknown: Sequence[str]) -> dict[str, Given]:
        """Return the positional among the words that belong to no flag.

        Raises:
            ConfigError: an unknown flag, or a word too many.
        """
        allowed = 0 if self.positional is None else 1
        # A word behind an unknown flag may be its value, so the flag is told first.
        wrong = [word for word in unknown if word.startswith("-") and word != "-"] or unknown[allowed:]
        if wrong:
            raise ConfigError(self._unknown_line(wrong[0].partition("=")[0]))
        if self.positional is None or not unknown:
            return {}
        return {self.positional[0]: Given(unknown[0], self.positional[0])}

    def _switches_alone(self, words: Sequence[str]) -> list[str]:
        """Return `--json data` as `--json=on data`: a switch takes only a word that means on or off."""
        switches = {f"--{flat}" for flat, one in {**config_options(), **self.own}.items() if one.type is bool}
        return [
            f"{word}=on" if word in switches and after.lower() not in SWITCH_WORDS else word
            for word, after in itertools.pairwise([*words, ""])
        ]

    def _split_parameters(self, argv: Sequence[str]) -> tuple[list[str], dict[str, Given]]:
        """Return the generator's parameters apart from the flags that are declared; they are not known before it is."""
        rest: list[str] = []
        given: dict[str, Given] = {}
        words = list(argv)
        while words:
            word = words.pop(0)
            flag, equals, value = word.partition("=")
            if not self.parameters or not flag.startswith(GENERATOR_PREFIX) or flag == "--generator.name":
                rest.append(word)
                continue
            if not equals:
                if words and words[0].startswith("--"):
                    value = "on"  # a switch that stands alone
                elif words:
                    value = words.pop(0)
                else:
                    value = "on"
            given[flag.removeprefix("--")] = Given(value, flag)
        return rest, given

    def _show_parameters(self, words: Sequence[str]) -> None:
        """Add the parameters of the generator that the line names to the help."""
        from yolo_proc.data.run_config import generator_options

        for index, word in enumerate(words):
            flag, equals, value = word.partition("=")
            if flag in ("--generator", "--generator.name"):
                spec = value if equals else "".join(words[index + 1 : index + 2])
                group = self.add_argument_group(f"parameters of generator {spec}")
                for flat, declared in generator_options(spec).items():
                    self._add(group, flat, declared)

    def _unknown_line(self, word: str) -> str:
        if not word.startswith("-"):
            if self.positional is not None:
                return f"{word}: expected one {self.positional[0]} at most; an option starts with --"
            return f"{word}: expected an option, which starts with --"
        known = [flag for action in self._actions for flag in action.option_strings]
        begun = [flag for flag in known if len(word) > len("--xx") and flag.startswith(word)]
        if word.removeprefix("--") in config_options():
            return f"{word}: no such option here; train has it"
        # Without the dashes, which all flags have in common.
        meant = begun or [flag for flag in known if nearest(word.strip("-"), [flag.strip("-")])]
        return f"{word}: no such option{nearest(word, meant)}; --help lists them"

    def _print_message(self, message: str, file: Any = None) -> None:
        """Print the help; argparse passes over a system that refuses to take it."""
        print(message, end="", file=file)

    def error(self, message: str) -> NoReturn:
        """argparse's own complaint as our one line."""
        raise ConfigError(message.removeprefix("argument ").replace(": expected one argument", ": expected a value"))


class WordsParser(FlagParser):
    """Takes any number of words without dashes, as `own[name of the positional]`."""

    def _places(self, unknown: Sequence[str]) -> dict[str, Given]:
        wrong = [word for word in unknown if word.startswith("-")]
        if wrong:
            raise ConfigError(self._unknown_line(wrong[0].partition("=")[0]))
        assert self.positional is not None, "words need a name"
        name = self.positional[0]
        return {name: Given(list(unknown), name)} if unknown else {}


def build_own(cls: type[T], own: Mapping[str, Given]) -> T:
    """Return the command's own options as an instance of its dataclass.

    Raises:
        ConfigError: a wrong type or a value out of range.
    """
    known = {declared.spelling: declared for declared in declared_options(cls).values()}
    return cls(**{known[flat].name: check_value(known[flat], one.value, one.where) for flat, one in own.items()})


def _metavar(declared: Declared) -> str:
    if declared.option.choices:
        return "|".join(str(choice) for choice in declared.option.choices)
    kind = declared.type
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        kind = next(member for member in typing.get_args(kind) if member is not type(None))
    several = typing.get_origin(kind) is tuple
    word = {bool: "on|off", int: "N", float: "X", str: "TEXT"}[typing.get_args(kind)[0] if several else kind]
    return f"{word},{word}" if several else word


def _help_text(declared: Declared) -> str:
    """Return `images a step (default 64; 1 to 65536)`."""
    rule = declared.option
    facts = [f"default {value_text(declared.default)}"]
    if rule.low is not None and rule.high is not None and rule.high < 1e15:
        facts.append(f"{rule.low:g} to {rule.high:g}")
    elif rule.low is not None:
        facts.append(f"at least {rule.low:g}")
    elif rule.high is not None:
        facts.append(f"at most {rule.high:g}")
    return f"{rule.help} ({'; '.join(facts)})"


def parse_size(text: str, where: str, low: int, high: int) -> tuple[int, int]:
    """Return width and height from `416x320`.

    Raises:
        ConfigError: another form, or a side out of range.
    """
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    width, height = (int(match[1]), int(match[2])) if match else (0, 0)
    if not (low <= width <= high and low <= height <= high):
        raise ConfigError(
            f"{where}: expected WIDTHxHEIGHT such as 416x416, sides from {low} to {high}, found {shown(text)}"
        )
    return width, height


def read_picture_size(text: str | None) -> tuple[int, int] | None:
    """Return what `--picture-size` says, if it is given."""
    return None if text is None else parse_size(text, "--picture-size", 16, 16384)


def read_input_size(text: str | None) -> tuple[int, int] | None:
    """Return what `--input-size` says, if it is given."""
    return None if text is None else parse_size(text, "--input-size", 32, 8192)
