"""The page of all options, made from their declarations."""

from yolo_proc.config.environment import variable_of
from yolo_proc.config.options import Declared
from yolo_proc.config.values import config_options, sections, value_text

_HEAD = """# Options

Every option of a run: a flag `--name`, a key of the TOML file, and an environment variable. The tables are made from
the declarations in `yolo_proc/config/schema.py`; `yolo_proc COMMAND --help` lists those of one command.

On resume an option is *free* to change, or the run goes on but is no longer bit for bit the same (*inexact*), or it is
*refused*.
"""


def options_page() -> str:
    """Return the page as Markdown, a table for each section."""
    parts = [_HEAD]
    for section in ("", *sections()):
        own = {flat: one for flat, one in config_options().items() if flat.rpartition(".")[0] == section}
        about = (sections()[section].__doc__ or "").partition("\n")[0] if section else "Options of the run itself."
        parts.append(f"## {section or 'run'}\n\n{about}\n")
        parts.append("| option | default | range | on resume | |\n|---|---|---|---|---|")
        parts += [_row(flat, declared) for flat, declared in own.items()]
        parts.append("")
    return "\n".join(parts) + f"\nThe variable of `batch-size` is `{variable_of('batch-size')}`.\n"


def _row(flat: str, declared: Declared) -> str:
    rule = declared.option
    low, high = ("" if bound is None else f"{bound:g}" for bound in (rule.low, rule.high))
    allowed = ", ".join(map(str, rule.choices)) or (f"{low} to {high}" if low and high else low and f"from {low}")
    return (
        f"| `{flat}` | {value_text(declared.default)} | {allowed} | {rule.on_resume} | {rule.help.replace('|', '/')} |"
    )
