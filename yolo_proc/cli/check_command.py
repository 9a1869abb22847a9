"""The command `check`: whether scenes, labels, loss, network and optimisation are sound, in minutes.

As in `commands.py`, imports of torch stand inside of functions.
"""

import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from yolo_proc.cli.flags import TRUST_HELP, FlagParser, build_own
from yolo_proc.config.options import option
from yolo_proc.config.schema import Config
from yolo_proc.config.values import config_options
from yolo_proc.data.configfile import read_config_file
from yolo_proc.data.run_config import config_from_values
from yolo_proc.errors import number_of
from yolo_proc.system.progress import Progress, can_have_bar

if TYPE_CHECKING:
    from yolo_proc.checks.check import Check
    from yolo_proc.training.outcomes import Outcome

# Options of a run that say nothing about what is checked.
_OF_RUNNING: tuple[str, ...] = (
    "run",
    "runs-dir",
    "no-check",
    "target-loss",
    "epochs",
    "epoch-images",
    "max-time",
    "patience",
)
_OF_RUNNING += ("keep", "save-minutes")


@dataclass(frozen=True)
class CheckFlags:
    """Options of `check`."""

    config: str | None = option(None, help="TOML file with options, such as a run's config.toml; flags override it")
    only: str | None = option(
        None, help="run only these checks, names with commas between, such as labels,step; none: all"
    )
    quick: bool = option(False, help="run only the quick checks, those that `train` runs before its first step")
    verbose: bool = option(False, help="print a row for each check, with what is expected and what was measured")
    out: str | None = option(
        None, help="output folder for the pictures that show what was found; none: checks/NAME, after the generator"
    )
    trust: bool = option(False, help=TRUST_HELP)
    json: bool = option(False, help="print the result as JSON")


def check_parser() -> FlagParser:
    """Return flags of `check`."""
    about = "Checks that scenes, labels, loss, network and optimisation are sound, and says what is wrong."
    names = [flat for flat in config_options() if flat not in _OF_RUNNING]
    return FlagParser("check", about, CheckFlags, names, parameters=True)


def check(parser: FlagParser, argv: Sequence[str]) -> int:
    """Print what was found; return 0, or 1 where a check failed."""
    parsed = parser.read(argv)
    flags = build_own(CheckFlags, parsed.own)
    file = read_config_file(Path(flags.config)) if flags.config is not None else {}
    config = config_from_values({**file, **parsed.given}, trust=flags.trust)
    from yolo_proc.checks.registry import checks_named
    from yolo_proc.models.tasks import check_task

    check_task(config)
    checks = [check for check in checks_named(flags.only) if check.quick or not flags.quick]
    outcomes: list[Outcome] = []
    interrupted = False
    folder = _folder(flags, config)
    try:
        for outcome in _outcomes(config, checks, folder):
            outcomes.append(outcome)
    except KeyboardInterrupt:
        interrupted = True
    _print(config, outcomes, flags, folder)
    if interrupted:
        return 130
    return 1 if any(outcome.failed for outcome in outcomes) else 0


def _folder(flags: CheckFlags, config: Config) -> Path:
    """Return where pictures go; those of an earlier check of the same generator are taken away."""
    if flags.out is not None:
        return Path(flags.out)
    from yolo_proc.checks.registry import CHECKS
    from yolo_proc.data.generator import file_stem

    folder = Path("checks") / file_stem(config.generator.name)
    names = tuple(check.name for check in CHECKS)
    old = [path for path in folder.glob("*.png") if path.stem.startswith(names)] if folder.is_dir() else []
    for path in old:
        with suppress(OSError):
            path.unlink()
    return folder


def _outcomes(config: Config, checks: "Sequence[Check]", out: Path) -> "Iterator[Outcome]":
    """Run the checks and show how far they are."""
    from yolo_proc.checks.bench import Bench
    from yolo_proc.checks.check import run_checks
    from yolo_proc.system.device import pick_device
    from yolo_proc.training.session import use_threads

    use_threads(config.threads, pick_device(config.device), config.batch_size)
    bench = Bench(config)
    bench.stream  # noqa: B018 a generator that is not found is a mistake of the user, and no finding
    slow = sum(not check.quick for check in checks)
    if slow:
        print(
            f"{number_of(len(checks), 'check')}; {slow} train a little and take minutes (--quick leaves them out)",
            file=sys.stderr,
        )
    done = 0
    with Progress(len(checks), "check") as progress:
        for outcome in run_checks(bench, checks, out, on_start=lambda check: progress.name(check.name)):
            progress.add()
            done += 1
            if not can_have_bar(sys.stderr):  # a line a check in place of the bar
                line = f"{done}/{len(checks)} {outcome.check}: {outcome.finding.verdict} ({outcome.seconds:.1f} s)"
                print(line, file=sys.stderr, flush=True)
            yield outcome


def _print(config: Config, outcomes: "Sequence[Outcome]", flags: CheckFlags, folder: Path) -> None:
    if flags.json:
        failed = any(outcome.failed for outcome in outcomes)
        found = [outcome.to_dict() for outcome in outcomes]
        print(json.dumps({"generator": config.generator.name, "failed": failed, "checks": found}, allow_nan=False))
        return
    from yolo_proc.checks.table import summary_text, table_text

    width = shutil.get_terminal_size((140, 24)).columns
    print(table_text(outcomes, width) if flags.verbose or flags.only else summary_text(outcomes, width))
    pictures = [path for outcome in outcomes if not outcome.is_told for path in outcome.pictures]
    if pictures and flags.verbose:
        print(f"Pictures: {', '.join(map(str, pictures))}")
    elif pictures:
        print(f"{number_of(len(pictures), 'picture')} of what was looked at: {folder}")
