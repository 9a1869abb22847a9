"""Runs every fault against its check and every check on healthy runs, at default size; writes docs/checks.md.

Run: make prove                                  all of it, for hours; it goes on where it was stopped
     make prove ARGS="--only overfit,memory"     some checks
     make prove ARGS="--small --minutes 10"      at 96 px, as the tests do, for so long

Rows land in build/prove/SIZE/rows.jsonl as they are made, pictures beside them. A row holds for one state of the code
that it depends on: after a change of yolo_proc or the generators (of comments: no) all is made anew, after one of a
check or of a file of faults what these rows are of. What there is so far is always told in build/prove/SIZE/checks.md;
docs/checks.md is written of a whole table at default size of committed code, and of nothing else.

Two may run at once on different checks (`taskset -c 0 make prove ARGS="--only ..."`); the next call tells of both.
"""

import argparse
import ast
import functools
import hashlib
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from faults import Fault, catalogue
from tqdm import tqdm
from variants import base_config, healthy_variants

from yolo_proc.checks.bench import Bench
from yolo_proc.checks.check import run_checks
from yolo_proc.checks.registry import CHECKS, checks_named
from yolo_proc.config.schema import Config
from yolo_proc.system.device import processors

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build" / "prove"
DOCS = ROOT / "docs"
CODE = ("yolo_proc/**/*.py", "generators/*.py", "tests/variant*.py", "tests/tiny_run.py")
FAULT_CODE = ("tests/faults*.py", "tests/broken_data.py")
NEVER_FAILS = {"capacity"}
TOLD = ("fail", "warning")


@dataclass(frozen=True)
class Row:
    """One run of one check.

    Attributes:
        code: digest of the code that it holds for.
        kind: "fault" or "healthy".
        name: of the fault or of the healthy run.
        size: of the fault; 1 where it has none.
        named: whether the first cause says what was injected.
        picture: of the evidence, in the folder of the rows; empty for none.
    """

    code: str
    kind: str
    name: str
    check: str
    size: float
    verdict: str
    named: bool
    measured: str
    cause: str
    seconds: float
    picture: str = ""

    @property
    def key(self) -> tuple[str, str, str, float]:
        """What it answers."""
        return self.kind, self.name, self.check, self.size

    @property
    def caught(self) -> bool:
        """Whether the check told of the fault, and named it."""
        return self.verdict in TOLD and self.named


@dataclass(frozen=True)
class Job:
    """One run that is to be made."""

    kind: str
    name: str
    check: str
    size: float
    fault: Fault | None = None
    config: Config | None = None

    @property
    def key(self) -> tuple[str, str, str, float]:
        """As that of its row."""
        return self.kind, self.name, self.check, self.size


@functools.cache
def _statements(path: Path, root: Path) -> str:
    """Of a file, without comments and docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = [*node.body[1:], ast.Pass()]
    return f"{path.relative_to(root)}\0{ast.dump(tree)}\0"


@functools.cache
def code_digest(check: str, kind: str, root: Path = ROOT) -> str:
    """Of all that a row depends on in this repository: statements, not comments and docstrings."""
    patterns = (*CODE, *FAULT_CODE) if kind == "fault" else CODE
    paths = {path for pattern in patterns for path in root.glob(pattern)}
    # What another check does is nothing to this one: none imports another (`test_prove.py` looks).
    paths -= {root / f"{other.run.__module__.replace('.', '/')}.py" for other in CHECKS if other.name != check}
    return hashlib.sha256("".join(_statements(path, root) for path in sorted(paths)).encode()).hexdigest()[:16]


def commit_and_state() -> tuple[str, bool]:
    """The commit, and whether the code is as it is there."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()

    changed = git("status", "--porcelain", "--", "yolo_proc", "generators", "tests")
    return git("rev-parse", "--short=12", "HEAD"), not changed


def jobs(names: Sequence[str], healthy: Iterable[tuple[str, Config]]) -> Iterator[Job]:
    """All runs of some checks: the faults at each of their sizes, then the healthy runs."""
    for fault in catalogue():
        if fault.check in names:
            for size in fault.sizes or (1.0,):
                yield Job("fault", fault.name, fault.check, size, fault=fault)
    for name, config in healthy:
        for check in names:
            yield Job("healthy", name, check, 1.0, config=config)


class Table:
    """The rows of one size, in a file that only grows."""

    def __init__(self, small: bool, build: Path = BUILD, digest: Callable[[str, str], str] = code_digest) -> None:
        self.folder = build / ("small" if small else "default")
        self.path = self.folder / "rows.jsonl"
        self.rows: dict[tuple[str, str, str, float], Row] = {}
        for line in self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []:
            if line.endswith("}"):  # the last one may have been cut off
                row = Row(**json.loads(line))
                if row.code == digest(row.check, row.kind):
                    self.rows[row.key] = row

    def add(self, row: Row) -> None:
        """Keeps a row."""
        self.rows[row.key] = row
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(row)) + "\n")


class Prover:
    """Makes rows; benches are kept from one job to the next of the same run."""

    def __init__(self, small: bool, table: Table) -> None:
        self.table = table
        self.healthy = Bench(base_config(small))
        self._last: tuple[str, Bench] | None = None

    def run(self, job: Job) -> None:
        """One row."""
        bench = job.fault.inject(self.healthy, job.size) if job.fault is not None else self._bench(job)
        (check,) = checks_named(job.check)
        out = self.table.folder / "evidence" / hashlib.sha256(repr(job.key).encode()).hexdigest()[:12]
        (outcome,) = run_checks(bench, [check], out, pictures="failures")
        cause = next(iter(outcome.finding.causes), outcome.finding.reason)
        named = job.fault is not None and job.fault.names(cause)
        picture = str(outcome.pictures[0].relative_to(self.table.folder)) if outcome.pictures else ""
        self.table.add(
            Row(code_digest(job.check, job.kind), *job.key, verdict=outcome.finding.verdict, named=named,
                measured=outcome.finding.measured, cause=cause, seconds=round(outcome.seconds, 2), picture=picture)
        )  # fmt: skip

    def _bench(self, job: Job) -> Bench:
        assert job.config is not None
        if self._last is None or self._last[0] != job.name:
            self._last = job.name, Bench(job.config)
        return self._last[1]


# --------------------------------------------------------------------------------------------------- report


def report(table: Table, wanted: Sequence[Job], small: bool, commit: str, committed: bool) -> str:
    """What the rows say, as Markdown."""
    rows = [table.rows[job.key] for job in wanted if job.key in table.rows]
    missing = len(wanted) - len(rows)
    base = base_config(small)
    lines = [
        "# What the checks catch",
        "",
        f"Commit {commit}{'' if committed else ' with changes that are not committed'}; pictures of {base.image_size} "
        f"px, batches of {base.batch_size}. Made by `make prove`.",
        "",
    ]
    if missing:
        lines += [f"**Not whole: {missing} of {len(wanted)} runs are missing.**", ""]
    lines += ["| check | asserted | caught / injected | false alarms / runs | seconds | a failure |",
              "|---|---|---|---|---|---|"]  # fmt: skip
    lines += [_check_line(name, rows) for name in dict.fromkeys(job.check for job in wanted)]
    lines += ["", "## Faults", "", "| fault | check | sizes caught | smallest | sizes missed | first cause |",
              "|---|---|---|---|---|---|"]  # fmt: skip
    lines += [line for fault in catalogue() for line in _fault_lines(fault, rows)]
    lines += ["", "## False alarms", ""]
    alarms = [row for row in rows if row.kind == "healthy" and row.verdict in TOLD]
    lines += [f"- {row.name}: {row.check}: {row.measured}: {row.cause}" for row in alarms] or ["None."]
    idle = [row for row in rows if row.kind == "healthy" and row.verdict == "not applicable"]
    lines += ["", "## Not applicable", ""]
    lines += [f"- {row.name}: {row.check}: {row.cause}" for row in idle] or ["None."]
    return "\n".join(lines) + "\n"


def _check_line(name: str, rows: Sequence[Row]) -> str:
    """Of faults with sizes that are not all to be caught, each counts once: caught where the required size is."""
    (check,) = checks_named(name)
    faults = [fault for fault in catalogue() if fault.check == name]
    own = {(row.name, row.size): row for row in rows if row.kind == "fault" and row.check == name}
    injected = [fault for fault in faults if _required(fault) in own]
    caught = sum(own[_required(fault)].caught for fault in injected)
    healthy = [row for row in rows if row.kind == "healthy" and row.check == name]
    alarms = sum(row.verdict in TOLD for row in healthy)
    spent = sum(row.seconds for row in healthy) / len(healthy) if healthy else 0.0
    picture = next((row.picture for row in own.values() if row.picture), "")
    shown = f"![{name}](checks/{name}.png)" if picture else ""
    told = "never fails" if name in NEVER_FAILS else f"{caught} / {len(injected)}"
    return f"| {name} | {check.asserted} | {told} | {alarms} / {len(healthy)} | {spent:.1f} | {shown} |"


def _required(fault: Fault) -> tuple[str, float]:
    return fault.name, fault.must if fault.sizes else 1.0


def _fault_lines(fault: Fault, rows: Sequence[Row]) -> Iterator[str]:
    own = [row for row in rows if row.kind == "fault" and row.name == fault.name and row.check == fault.check]
    if not own:
        return
    cause = next((row.cause for row in own if row.caught), own[-1].cause).replace("|", "/")
    if not fault.sizes:
        yield f"| {fault.name} | {fault.check} | {'yes' if own[0].caught else '**no**'} | | | {cause} |"
        return
    caught, missed = ([row.size for row in own if row.caught == which] for which in (True, False))
    told = [", ".join(f"{size:g}" for size in sizes) for sizes in (caught, missed)]
    smallest = f"{min(caught):g} {fault.unit}" if caught else "**none**"
    yield f"| {fault.name} | {fault.check} | {told[0]} | {smallest} | {told[1]} | {cause} |"


def write_report(
    table: Table, wanted: Sequence[Job], small: bool, whole: bool, docs: Path, code: tuple[str, bool]
) -> Path:
    """Writes what there is; into docs where it is the whole table at default size of committed code.

    Args:
        code: the commit, and whether all of it is committed.
    """
    commit, committed = code
    complete = whole and not small and committed and all(job.key in table.rows for job in wanted)
    folder = docs if complete else table.folder
    pictures = folder / "checks"
    pictures.mkdir(parents=True, exist_ok=True)
    for name in {job.check for job in wanted}:
        shown = [row for row in table.rows.values() if row.check == name and row.kind == "fault" and row.picture]
        if shown:
            shutil.copyfile(table.folder / shown[0].picture, pictures / f"{name}.png")
    path = folder / "checks.md"
    path.write_text(report(table, wanted, small, commit, committed), encoding="utf-8")
    return path


def _make(prover: Prover, wanted: Sequence[Job], end: float) -> None:
    """Makes the rows that are missing, until the time is over."""
    for job in tqdm(wanted, unit="run"):
        if job.key not in prover.table.rows:
            if time.monotonic() > end:
                return
            prover.run(job)


def main() -> int:
    """Runs what is missing; 1 where a required fault was not caught or a healthy run failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", help="names of checks with commas between")
    parser.add_argument("--small", action="store_true", help="at the tests' size")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after so long; the next call goes on")
    arguments: Any = parser.parse_args()
    small = arguments.small
    torch.set_num_threads(1 if small else processors())
    names = [check.name for check in checks_named(arguments.only)]
    table = Table(small)
    wanted = list(jobs(names, healthy_variants(small, BUILD)))
    prover, end = Prover(small, table), time.monotonic() + 60 * arguments.minutes
    try:
        _make(prover, wanted, end)
    except KeyboardInterrupt:
        print("interrupted; the next call goes on")
    path = write_report(table, wanted, small, len(names) == len(CHECKS), DOCS, commit_and_state())
    made = sum(job.key in table.rows for job in wanted)
    required = {fault.name: _required(fault)[1] for fault in catalogue()}
    missed = [row for row in table.rows.values()
              if row.kind == "fault" and not row.caught and row.size == required.get(row.name)]  # fmt: skip
    alarms = [row for row in table.rows.values() if row.kind == "healthy" and row.verdict in TOLD]
    for row in (*missed, *alarms):
        print(f"{'missed' if row.kind == 'fault' else 'false alarm'}: {row.check}: {row.name}: {row.measured}")
    print(f"{made} of {len(wanted)} runs; {len(missed)} missed, {len(alarms)} false alarms; {path}")
    return 1 if missed or alarms else 0


if __name__ == "__main__":
    raise SystemExit(main())
