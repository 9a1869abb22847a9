"""The table that proves the checks: what it tells, and how long a row of it holds."""

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import prove
import pytest
from faults import catalogue
from prove import Job, Row, Table, jobs, report
from variants import base_config

from yolo_proc.checks.registry import CHECKS

pytestmark = pytest.mark.slow

FILES = {inspect.getmodule(check.run).__name__: check.name for check in CHECKS}  # type: ignore[union-attr]


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the code, of which digests are taken in place of the real one's."""
    for pattern in (*prove.CODE, *prove.FAULT_CODE):
        for path in prove.ROOT.glob(pattern):
            place = tmp_path / path.relative_to(prove.ROOT)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(path.read_bytes())
    return tmp_path


def digests(root: Path) -> dict[tuple[str, str], str]:
    prove.code_digest.cache_clear()
    prove._statements.cache_clear()
    return {
        (check.name, kind): prove.code_digest(check.name, kind, root)
        for check in CHECKS
        for kind in ("fault", "healthy")
    }


@pytest.mark.parametrize(
    ("place", "added", "changed"),
    [
        (
            "yolo_proc/detection/loss.py",
            "X = 1\n",
            {(name, kind) for name in FILES.values() for kind in ("fault", "healthy")},
        ),
        ("yolo_proc/checks/optimisation/updates.py", "X = 1\n", {("updates", "fault"), ("updates", "healthy")}),
        ("tests/faults_loss.py", "X = 1\n", {(name, "fault") for name in FILES.values()}),
        ("yolo_proc/detection/loss.py", "# a comment\n", set()),
    ],
)
def test_a_row_is_made_anew_where_its_code_changes(
    copied: Path, place: str, added: str, changed: set[tuple[str, str]]
) -> None:
    before = digests(copied)
    path = copied / place
    path.write_text(path.read_text(encoding="utf-8") + added, encoding="utf-8")
    after = digests(copied)
    assert {key for key in before if before[key] != after[key]} == changed


def test_no_check_imports_another() -> None:
    for check in CHECKS:
        path = Path(inspect.getfile(check.run))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert node.module not in FILES, f"{path}: {node.module}"
                modules = {f"{node.module}.{name.name}" for name in node.names}
                assert not modules & FILES.keys(), f"{path}: {modules}"


def a_row(job: Job, verdict: str, named: bool) -> Row:
    return Row(prove.code_digest(job.check, job.kind), *job.key, verdict, named, "measured", "a cause | b", 1.0)


def test_the_proof_counts_what_was_run_and_says_what_is_missing(tmp_path: Path) -> None:
    healthy = [("one", base_config(small=True)), ("two", base_config(small=True))]
    table = Table(True, tmp_path)
    wanted = list(jobs(["step"], healthy))
    faults = [fault for fault in catalogue() if fault.check == "step"]
    for job in wanted[:-1]:
        table.add(a_row(job, "fail" if job.kind == "fault" else "pass", job.name != faults[0].name))
    text = report(table, wanted, True, "abc", committed=True)
    assert f"| {len(faults) - 1} / {len(faults)} | 0 / 1 |" in text
    assert f"1 of {len(wanted)} runs are missing" in text
    assert f"| {faults[0].name} | step | **no** |" in text
    table.add(a_row(wanted[-1], "fail", False))
    text = report(table, wanted, True, "abc", committed=False)
    assert "missing" not in text
    assert "| 1 / 2 |" in text
    assert "- two: step: measured: a cause" in text
    assert "not committed" in text


def test_the_proof_goes_on_from_whole_rows_of_the_same_code(tmp_path: Path) -> None:
    table = Table(True, tmp_path)
    first, second = list(jobs_of_step())[:2]
    table.add(a_row(first, "fail", True))
    with table.path.open("a", encoding="utf-8") as file:
        file.write('{"code": "12')  # cut off in the middle
    assert set(Table(True, tmp_path).rows) == {first.key}
    assert Table(True, tmp_path, lambda _check, _kind: "other").rows == {}
    assert second.key not in Table(True, tmp_path).rows


def jobs_of_step() -> Iterator[Job]:
    for fault in catalogue():
        if fault.check == "step":
            for size in fault.sizes or (1.0,):
                yield Job("fault", fault.name, fault.check, size, fault=fault)


def test_docs_are_written_of_a_whole_table_alone(tmp_path: Path) -> None:
    code, docs = ("abc", True), tmp_path / "docs"
    wanted = list(jobs_of_step())
    for small, whole, made in ((False, True, -1), (True, True, None), (False, False, None)):
        table = Table(small, tmp_path / "build")
        for job in wanted[:made]:
            table.add(a_row(job, "fail", True))
        assert prove.write_report(table, wanted, small, whole, docs, code).parent == table.folder
    assert not docs.exists()
    assert prove.write_report(table, wanted, False, True, docs, code) == docs / "checks.md"
