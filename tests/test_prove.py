"""A row of the proof holds as long as the code that it depends on."""

import ast
import inspect
from pathlib import Path

import prove
import pytest

from yolo_proc.checks.registry import CHECKS

FILES = {inspect.getmodule(check.run).__name__: check.name for check in CHECKS}  # type: ignore[union-attr]


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the code, of which digests are taken in place of the real one's."""
    for pattern in (*prove.CODE, *prove.FAULT_CODE):
        for path in prove.ROOT.glob(pattern):
            place = tmp_path / path.relative_to(prove.ROOT)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(path.read_bytes())
    monkeypatch.setattr(prove, "ROOT", tmp_path)
    return tmp_path


def digests() -> dict[tuple[str, str], str]:
    prove.code_digest.cache_clear()
    prove._statements.cache_clear()
    return {
        (check.name, kind): prove.code_digest(check.name, kind) for check in CHECKS for kind in ("fault", "healthy")
    }


@pytest.mark.parametrize(
    ("place", "added", "changed"),
    [
        ("yolo_proc/loss.py", "X = 1\n", {(name, kind) for name in FILES.values() for kind in ("fault", "healthy")}),
        ("yolo_proc/checks/updates.py", "X = 1\n", {("updates", "fault"), ("updates", "healthy")}),
        ("tests/faults_loss.py", "X = 1\n", {(name, "fault") for name in FILES.values()}),
        ("yolo_proc/loss.py", "# a comment\n", set()),
    ],
)
def test_a_row_is_made_anew_where_its_code_changes(
    copied: Path, place: str, added: str, changed: set[tuple[str, str]]
) -> None:
    before = digests()
    path = copied / place
    path.write_text(path.read_text(encoding="utf-8") + added, encoding="utf-8")
    after = digests()
    assert {key for key in before if before[key] != after[key]} == changed


def test_no_check_imports_another() -> None:
    for check in CHECKS:
        path = Path(inspect.getfile(check.run))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert node.module not in FILES, f"{path}: {node.module}"
                modules = {f"{node.module}.{name.name}" for name in node.names}
                assert not modules & FILES.keys(), f"{path}: {modules}"


def test_an_unfinished_line_and_rows_of_other_code_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prove, "BUILD", tmp_path)
    table = prove.Table(small=True)
    assert table.rows == {}
    good = prove.Row(
        prove.code_digest("labels", "healthy"), "healthy", "one", "labels", 1.0, "pass", False, "", "", 0.1
    )
    other = prove.Row("0" * 16, "healthy", "two", "labels", 1.0, "pass", False, "", "", 0.1)
    table.add(good)
    table.add(other)
    table.path.write_text(table.path.read_text(encoding="utf-8") + '{"code": "12', encoding="utf-8")
    assert list(prove.Table(small=True).rows.values()) == [good]
