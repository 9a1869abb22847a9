"""The command line: `python -m yolo_proc COMMAND [options]`. Thin: it finds the command, and prints what went wrong.

Nothing here or in the commands' modules imports torch or OpenCV before a command needs it, so that `--help` answers
at once.
"""

import errno
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from yolo_proc.cli import (
    check_command,
    commands,
    completion_command,
    config_command,
    cutout_command,
    data_commands,
    doctor_command,
    evaluate_command,
    export_command,
    inspect_command,
    new_command,
    predict_command,
)
from yolo_proc.cli.flags import FlagParser
from yolo_proc.config.options import nearest
from yolo_proc.errors import ConfigError, OptionError, YoloProcError, one_line
from yolo_proc.system import output

# What the system says of a name that a user gave, wherever it is looked at first.
_OF_NAMES = (errno.ENAMETOOLONG, errno.EACCES)


@dataclass(frozen=True)
class CommandLine:
    """One command: a line for the list of commands, its parser, and what it does."""

    about: str
    parser: Callable[[], FlagParser]
    run: Callable[[FlagParser, Sequence[str]], int]


COMMANDS: dict[str, CommandLine] = {
    "train": CommandLine("train a detector or a classifier on generated scenes", commands.train_parser, commands.train),
    "check": CommandLine(
        "find what would spoil a training before it begins", check_command.check_parser, check_command.check
    ),
    "evaluate": CommandLine(
        "evaluate a model on fresh scenes, and on labelled pictures",
        evaluate_command.evaluate_parser,
        evaluate_command.evaluate,
    ),
    "export": CommandLine(
        "write a model as ONNX, for Java and others", export_command.export_parser, export_command.export
    ),
    "predict": CommandLine(
        "find objects in images and videos, or classify them",
        predict_command.predict_parser,
        predict_command.predict,
    ),
    "cutout": CommandLine(
        "cut things out of photographs, for sprites:FOLDER", cutout_command.cutout_parser, cutout_command.cutout
    ),
    "new": CommandLine("write a generator to begin from", new_command.new_parser, new_command.new),
    "preview": CommandLine("draw scenes with their labels on a sheet", commands.preview_parser, commands.preview),
    "describe": CommandLine(
        "describe a network: layers, operations, receptive field", commands.describe_parser, commands.describe
    ),
    "generate": CommandLine(
        "write scenes as a data set on disk", data_commands.generate_parser, data_commands.generate
    ),
    "convert": CommandLine(
        "write a data set in another annotation format", data_commands.convert_parser, data_commands.convert
    ),
    "inspect": CommandLine(
        "show what is in a data set, or in what a generator draws",
        inspect_command.inspect_parser,
        inspect_command.inspect,
    ),
    "config": CommandLine(
        "print the configuration, and where each value comes from", config_command.config_parser, config_command.config
    ),
    "completion": CommandLine(
        "print the completion of a shell",
        completion_command.completion_parser,
        lambda parser, argv: completion_command.completion(
            {name: (one.about, one.parser) for name, one in COMMANDS.items()}, parser, argv
        ),
    ),
    "doctor": CommandLine(
        "say what this machine has, and what is missing", doctor_command.doctor_parser, doctor_command.doctor
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return the exit code; a user's mistake is one line on stderr."""
    words = list(sys.argv[1:] if argv is None else argv)
    name = words[0] if words else ""
    try:
        if name in ("-h", "--help", "help", "--version"):
            print(_version() if name == "--version" else _overview())
            return 0
        if name not in COMMANDS:
            found = f"{name}: no such command{nearest(name, COMMANDS)}" if name else "no command given"
            name = ""
            raise ConfigError(f"{found}; expected one of {', '.join(COMMANDS)}, or --help")
        return COMMANDS[name].run(COMMANDS[name].parser(), words[1:])
    except YoloProcError as error:
        if isinstance(error, OptionError):
            error = error.as_flag()
        print(f"{f'yolo_proc {name}'.rstrip()}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt as stopped:
        if str(stopped):
            print(f"yolo_proc {name}: {stopped}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `yolo_proc describe | head`
        return output.CLOSED_PIPE
    except OSError as error:
        if error.filename == output.OUTPUT:
            return output.failed(error)
        if error.errno not in _OF_NAMES or error.filename is None:
            raise
        shown = one_line(os.fsdecode(error.filename))
        print(f"yolo_proc {name}: {shown}: cannot be looked at: {error.strerror}", file=sys.stderr)
        return 2
    except SystemExit as end:  # argparse, after --help
        return int(end.code or 0)


def entry() -> NoReturn:
    """Run the installed `yolo_proc` and `python -m yolo_proc`."""
    output.prepare()
    sys.exit(output.finish(main()))


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {command.about}" for name, command in COMMANDS.items()]
    return "\n".join(
        ["usage: yolo_proc COMMAND [options]", "", *lines, "", "yolo_proc COMMAND --help lists its options."]
    )


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"yolo_proc {version('yolo-proc')}"
    except PackageNotFoundError:
        return "yolo_proc, not installed"
