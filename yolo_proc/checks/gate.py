"""A run with the quick checks before its first step."""

from collections.abc import Iterator

from yolo_proc.checks.bench import Bench
from yolo_proc.checks.check import run_checks
from yolo_proc.checks.registry import quick_checks
from yolo_proc.config.schema import Config
from yolo_proc.training.events import Event
from yolo_proc.training.outcomes import Outcome
from yolo_proc.training.session import Session
from yolo_proc.training.trainer import Trainer

EVIDENCE = "checks"  # folder in a run's folder; it is made only for a failure


def train(config: Config) -> Iterator[Event]:
    """Check and train a new run, and yield what happens; see `events.py`. The last event is `Stopped`.

    Raises:
        UserError: a configuration that cannot be run.
        TrainingError: a loss or gradient that is not finite.
    """
    yield from Trainer(config, checks=quick_outcomes).run()


def quick_outcomes(session: Session) -> Iterator[Outcome]:
    """Yield the outcomes of the quick checks on what a session will train; the session itself stays as it is."""
    bench = Bench.of_session(session)
    yield from run_checks(bench, quick_checks(), session.folder / EVIDENCE, pictures="failures")
