"""The quick checks before a run's first step."""

from collections.abc import Iterator, Sequence

from yolo_proc.checks.bench import Bench
from yolo_proc.checks.check import run_checks
from yolo_proc.checks.registry import quick_checks
from yolo_proc.finding import Outcome
from yolo_proc.setup import Session

EVIDENCE = "checks"  # folder in a run's folder; it is made only for a failure


def quick_outcomes(session: Session) -> Iterator[Outcome]:
    """The outcomes of the quick checks on what a session will train; the session itself stays as it is."""
    bench = Bench.of_session(session)
    yield from run_checks(bench, quick_checks(), session.folder / EVIDENCE, pictures="failures")


def failure_line(outcomes: Sequence[Outcome]) -> str:
    """Why a run stops before its first step; empty where no check failed."""
    failed = ", ".join(outcome.check for outcome in outcomes if outcome.failed)
    line = f"nothing was trained, because a check failed: {failed}; --no-check trains all the same"
    return line if failed else ""
