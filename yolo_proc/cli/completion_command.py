"""The command `completion`: a script that lets a shell complete commands, options and their values.

The script is plain text made from the declarations, so that a shell starts no Python while somebody types.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points

from yolo_proc.cli.flags import FlagParser
from yolo_proc.config.options import nearest
from yolo_proc.errors import ConfigError

_RUNS = frozenset({"run", "resume"})  # options whose values are folders of runs
_HOW = {
    "bash": 'add to ~/.bashrc: eval "$(yolo_proc completion bash)"',
    "zsh": 'add to ~/.zshrc, after compinit: eval "$(yolo_proc completion zsh)"',
    "fish": "write to ~/.config/fish/completions/yolo_proc.fish",
}


@dataclass(frozen=True)
class CompletionFlags:
    """There are none."""


@dataclass(frozen=True)
class Flag:
    """One option of a command, as a shell sees it.

    Attributes:
        names: with their dashes.
        values: those that can be told; empty where any is possible.
        alone: whether it may stand without a value.
        runs: whether its values are names of runs.
    """

    names: tuple[str, ...]
    help: str
    values: tuple[str, ...] = ()
    alone: bool = False
    runs: bool = False


def completion_parser() -> FlagParser:
    """Return flags of `completion`."""
    about = "Prints a script that lets a shell complete commands, options and values."
    return FlagParser("completion", about, CompletionFlags, [], positional=("shell", ", ".join(_HOW)))


def completion(
    commands: Mapping[str, tuple[str, Callable[[], FlagParser]]], parser: FlagParser, argv: Sequence[str]
) -> int:
    """Print the script of a shell.

    Args:
        commands: by name, what each is about, and what makes its parser.
    """
    parsed = parser.read(argv)
    shell = str(parsed.own["shell"].value) if "shell" in parsed.own else ""
    if shell not in _HOW:
        raise ConfigError(f"expected a shell, one of {', '.join(_HOW)}, found {shell or 'none'}{nearest(shell, _HOW)}")
    flags = {name: tuple(_flags(make())) for name, (_, make) in commands.items()}
    abouts = {name: about for name, (about, _) in commands.items()}
    print(f"# Completion of yolo_proc for {shell}; {_HOW[shell]}")
    print(_SCRIPTS[shell](abouts, flags), end="")
    return 0


def _flags(parser: FlagParser) -> Iterator[Flag]:
    for action in parser._actions:
        if not action.option_strings:
            continue
        flat = action.dest
        shown = action.metavar if isinstance(action.metavar, str) else ""
        values = tuple(shown.split("|")) if "|" in shown else ()
        if flat == "generator.name":
            values = tuple(sorted({entry.name for entry in entry_points(group="yolo_proc.generators")}))
        alone = action.nargs in ("?", 0) or isinstance(action, argparse._HelpAction)
        help_text = (action.help or "").partition(" (default")[0].replace("%%", "%")
        yield Flag(tuple(action.option_strings), help_text, values, alone, flat in _RUNS)


Abouts = Mapping[str, str]
Flags = Mapping[str, Sequence[Flag]]


def _bash(abouts: Abouts, flags: Flags) -> str:
    lines = [
        "_yolo_proc() {",
        "    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} words=''",
        '    if [[ $before == "=" ]]; then before=${COMP_WORDS[COMP_CWORD-2]}; fi',
        '    if [[ $current == "=" ]]; then before=${COMP_WORDS[COMP_CWORD-1]} current=""; fi',
        "    if [[ $COMP_CWORD -eq 1 ]]; then",
        f'        COMPREPLY=($(compgen -W "{" ".join(abouts)} --help --version" -- "$current"))',
        "        return",
        "    fi",
        '    case "${COMP_WORDS[1]} $before" in',
    ]
    for command, own in flags.items():
        for flag in own:
            pattern = "|".join(f'"{command} {name}"' for name in flag.names)
            if flag.runs:
                lines.append(f'        {pattern}) words="$(ls -1 checkpoints 2>/dev/null)" ;;')
            elif flag.values:
                lines.append(f'        {pattern}) words="{" ".join(flag.values)}" ;;')
    lines += ["    esac", "    if [[ -z $words && $current == -* ]]; then", '        case "${COMP_WORDS[1]}" in']
    for command, own in flags.items():
        names = " ".join(name for flag in own for name in flag.names)
        lines.append(f'            {command}) words="{names}" ;;')
    lines += [
        "        esac",
        "    fi",
        '    if [[ -n $words ]]; then COMPREPLY=($(compgen -W "$words" -- "$current"))',
        '    else COMPREPLY=($(compgen -f -- "$current")); fi',
        "}",
        "complete -o filenames -F _yolo_proc yolo_proc",
    ]
    return "\n".join(lines) + "\n"


def _zsh(abouts: Abouts, flags: Flags) -> str:
    def quoted(text: str, special: str) -> str:
        for sign in "\\" + special:
            text = text.replace(sign, f"\\{sign}")
        return "'" + text.replace("'", "'\\''") + "'"

    lines = ["_yolo_proc() {", "    local -a commands", "    commands=("]
    lines += [f"        {quoted(f'{name}:{about}', '')}" for name, about in abouts.items()]
    lines += [
        "    )",
        "    if (( CURRENT == 2 )); then _describe command commands; return; fi",
        "    local command=$words[2]",
        "    shift words; (( CURRENT-- ))",
        "    case $command in",
    ]
    for command, own in flags.items():
        lines.append(f"        {command}) _arguments \\")
        for flag in own:
            told = f"({' '.join(flag.values)})" if flag.values else "_files"
            values = "{compadd -- $(ls -1 checkpoints 2>/dev/null)}" if flag.runs else told
            for name in flag.names:
                head = f"*{name}[" if flag.alone else f"*{name}=["
                middle = "" if flag.alone and not flag.values else f"{':' if flag.alone else ''}:value:{values}"
                inner = flag.help.replace("[", "(").replace("]", ")").replace(":", " -")
                lines.append(f"            {quoted(f'{head}{inner}]{middle}', '')} \\")
        lines.append("            '*:file:_files' ;;")
    lines += ["    esac", "}", "compdef _yolo_proc yolo_proc"]
    return "\n".join(lines) + "\n"


def _fish(abouts: Abouts, flags: Flags) -> str:
    def quoted(text: str) -> str:
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

    lines = [
        f"complete -c yolo_proc -n __fish_use_subcommand -xa {name} -d {quoted(about)}"
        for name, about in abouts.items()
    ]
    for command, own in flags.items():
        for flag in own:
            words = ["complete -c yolo_proc", "-n", quoted(f"__fish_seen_subcommand_from {command}")]
            words += [f"-{'l' if name.startswith('--') else 's'} {name.lstrip('-')}" for name in flag.names]
            if flag.runs:
                words += ["-xa", quoted("(ls -1 checkpoints 2>/dev/null)")]
            elif flag.values:
                words += ["-xa", quoted(" ".join(flag.values))]
            elif not flag.alone:
                words.append("-r")
            lines.append(" ".join([*words, "-d", quoted(flag.help)]))
    return "\n".join(lines) + "\n"


_SCRIPTS: Mapping[str, Callable[[Abouts, Flags], str]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}
