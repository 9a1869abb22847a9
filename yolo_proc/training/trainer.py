"""The training loop: an iterator of events that obeys a queue of commands.

    for event in Trainer(config).run():
        print(event)

An epoch's end makes every decision (decay, target, patience, budgets) from recorded figures, then saves them, so that
a resumed run never decides twice. What the loop is made of: `step.py` changes weights, `state.py` is what is saved,
`stopping.py` and `schedule.py` judge, `shipping.py` keeps the best weights, `session.py` builds it all.
"""

import queue
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, NoReturn

from yolo_proc.batch import Batch
from yolo_proc.config.schema import Config
from yolo_proc.data.stream import Stream, batches
from yolo_proc.detection.label_checks import LabelError
from yolo_proc.errors import CheckpointError, TrainingError, UserError, YoloProcError, number_of
from yolo_proc.models import checkpoint
from yolo_proc.system.workers import portable_class
from yolo_proc.training.consumers import Consumer, Consumers, standard_consumers
from yolo_proc.training.events import (
    EXIT_CODES,
    Checked,
    CheckpointSaved,
    EpochEnd,
    Event,
    FirstBatch,
    Note,
    RunStarted,
    SaveReason,
    Step,
    Stopped,
    StopReason,
    TargetTried,
)
from yolo_proc.training.outcomes import Outcome, failure_line
from yolo_proc.training.report import Drops, dominant_term, metrics_row, not_finite_line, weighted_terms
from yolo_proc.training.schedule import BUDGET_ENDS, Pace, decay_in_time, decay_to_begin, rise_again
from yolo_proc.training.session import BEFORE_DECAY, OnProgress, Session, nobody, open_session
from yolo_proc.training.shipping import ship
from yolo_proc.training.step import NotFiniteError, StepResult, training_step
from yolo_proc.training.stopping import Estimate, agree
from yolo_proc.training.validation import VALIDATION_BATCH, Measured, means_of, measure

Checks = Callable[[Session], Iterator[Outcome]]


class Command(Enum):
    """Requests to a running trainer; it obeys after the step at hand."""

    STOP = "stop"
    SAVE = "save"


class Trainer:
    """One process's share of a run.

    Args:
        config: of the run; of a resumed one, with the options that the user changed.
        resume_from: the run's folder or one of its checkpoints, None for a new run.
        accept_changed_data: go on although the scenes are not the same any more.
        checks: of a new run, before its first step; `config.no_check` leaves them out. None: there are none.
        consumers: are told every event; None: those that write tables and pictures into the run's folder.
        on_progress: told how far work is that brings no event for a while; see `session.OnProgress`.

    Attributes:
        commands: put a `Command` there, from any thread or signal handler.
        on_progress: may be set until `run` is called.
    """

    def __init__(
        self,
        config: Config,
        resume_from: Path | None = None,
        accept_changed_data: bool = False,
        *,
        checks: Checks | None = None,
        consumers: Sequence[Consumer] | None = None,
        on_progress: OnProgress = nobody,
    ) -> None:
        self.commands: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self._config = config
        self._resume_from = resume_from
        self._accept_changed_data = accept_changed_data
        self._checks = checks
        self.on_progress = on_progress
        self._consumers = Consumers(standard_consumers(config) if consumers is None else consumers)

    def run(self) -> Iterator[Event]:
        """Yield what happens; see `events.py`. The last event is `Stopped`.

        Raises:
            UserError: a configuration that cannot be run.
            TrainingError: a loss or gradient that is not finite.
        """
        yield from self._consumers.told(self._events())

    def _events(self) -> Iterator[Event]:
        self._start = self._trained_from = self._saved_at = time.monotonic()
        with open_session(self._config, self._resume_from, self._accept_changed_data, self.on_progress) as session:
            self.session = session
            self.state = session.state
            self._config = session.config
            self._first_step = self.state.step
            self._paced_at = (self.state.step, 0.0)  # updates and seconds of training at the last epoch's end
            # Where a resumed run goes on from, until its first checkpoint says that it has another future.
            self._position = (self.state.epoch, self.state.step_in_epoch) if session.resumed_from is not None else None
            self._written: Path | None = None  # the last checkpoint of this process
            self._speeds: deque[float] = deque(maxlen=20)
            self._drops = Drops()
            yield RunStarted(
                session.folder,
                self._config,
                str(session.device),
                self.state.precision,
                sum(parameter.numel() for parameter in self.state.model.shipped_parameters()),
                session.task.summary,
                tuple(session.notes),
                self.state.epoch,
                self.state.images,
                session.resumed_from,
                self.state.step,
                self.state.classes,
            )
            stopped = yield from self._before(session)
            yield from self._loop(session) if stopped is None else [stopped]

    def _before(self, session: Session) -> Generator[Event, None, Stopped | None]:
        """Run a new run's quick checks, until a command waits; return `Stopped` where there is nothing to train."""
        if session.nothing_left is not None:
            return self._stopped(*session.nothing_left)
        if session.resumed_from is not None or self._config.no_check or self._checks is None:
            return None
        yield Note("Checking scenes, labels, loss and step; --no-check leaves this out")
        outcomes: list[Outcome] = []
        for outcome in self._checks(session):
            outcomes.append(outcome)
            self.on_progress("checks", len(outcomes), None)
            if not self.commands.empty():
                break
        yield Checked(tuple(outcomes))
        line = agree(failure_line(outcomes))
        return self._stopped("failed", line) if line else None

    def _loop(self, session: Session) -> Iterator[Event]:
        config, state = self._config, self.state
        self._trained_from = time.monotonic()
        if state.step_in_epoch >= state.steps_per_epoch:  # the process before was stopped while it judged the epoch
            stop = yield from self._end_epoch(session)
            if stop is not None:
                yield stop
                return
        source = Stream.from_config(config, "train")
        stream = batches(source, state.step, config.batch_size, workers=session.workers)
        try:
            began = time.perf_counter()
            while True:
                batch = self._drawn(stream)
                drawn = time.perf_counter()
                result = self._step(session, batch)
                ended = time.perf_counter()
                if state.step == 1:  # after the step, which says better what is wrong with labels that cannot be drawn
                    yield FirstBatch(batch)
                self._speeds.append(ended - began)  # with the wait for the batch
                yield self._step_event(result, drawn - began, ended - drawn)
                stop = None
                if state.step_in_epoch >= state.steps_per_epoch:
                    stop = yield from self._end_epoch(session)
                stop = stop or (yield from self._obey(session))
                if stop is not None:
                    yield stop
                    return
                began = time.perf_counter()
        finally:
            stream.close()

    def _drawn(self, stream: Iterator[Batch]) -> Batch:
        """Return the next batch. Where there is none, because a process that draws was killed or a scene fails, the
        state is saved: nothing is wrong with it.
        """
        try:
            return next(stream)
        except Exception as error:  # noqa: BLE001 it is raised again
            self._save_and_raise(error, self.state.state_dict(), self._path_now())

    def _save_and_raise(self, error: Exception, state: dict[str, Any], path: Path) -> NoReturn:
        """Save the state before a failure that left it sound, and say so with the failure."""
        if self.state.step == self._first_step or isinstance(error, CheckpointError):
            raise error  # nothing was learned since, or it is the saving that fails
        told = f"the state is saved in {path}, and {self._resume_hint()}"
        try:
            if path != self._written:
                self._write(path, state)
        except UserError as failed:
            told = f"the state could not be saved either: {failed}"
        if isinstance(error, YoloProcError):
            raise portable_class(error)(f"{error}; {told}") from error
        error.add_note(told)
        raise error

    def _resume_hint(self) -> str:
        place = "" if self._config.runs_dir == Config().runs_dir else f" --runs-dir {self._config.runs_dir}"
        return f"the run goes on with: python -m yolo_proc train --resume {self.session.folder.name}{place}"

    def _step(self, session: Session, batch: Batch) -> StepResult:
        state = self.state
        try:
            result, dropped = training_step(state, session.task, batch, session.device)
        except NotFiniteError as error:
            kept = checkpoint.list_checkpoints(session.folder)
            line = not_finite_line(error, batch, state.step + 1, kept[0] if kept else None, self._config.optim)
            raise TrainingError(line) from error
        except LabelError as error:
            raise TrainingError(f"step {state.step + 1}, stream train, {error}; no weight was changed") from error
        self._drops.add(session.task.labels_in(batch), dropped)
        state.window.add(result.sums, result.counts)
        state.clipped += result.clipped
        state.norms += result.grad_norm
        for name, (total, count) in result.figures.items():
            before = state.figures.get(name, (0.0, 0.0))
            state.figures[name] = (before[0] + total, before[1] + count)
        for reason, count in dropped.items():
            state.dropped[reason] = state.dropped.get(reason, 0) + count
        return result

    def _step_event(self, result: StepResult, wait_seconds: float, step_seconds: float) -> Step:
        state = self.state
        terms = {
            name: self.session.task.weights[name] * total / max(count, 1.0)
            for name, total, count in zip(self.session.task.terms, result.sums, result.counts, strict=True)
        }
        return Step(
            state.epoch + 1,
            state.step,
            state.images,
            result.loss,
            terms,
            state.schedule.lr(state.step - 1),
            result.grad_norm,
            result.clipped,
            self._config.batch_size * len(self._speeds) / sum(self._speeds),
            means_of(result.figures),
            wait_seconds,
            step_seconds,
        )

    # What happens between steps.

    def _obey(self, session: Session) -> Generator[Event, None, Stopped | None]:
        """Yield obeys waiting commands and the clock."""
        state = self.state
        stop = False
        save: SaveReason | None = None
        while not self.commands.empty():
            command = self.commands.get()
            stop = stop or command is Command.STOP
            save = "signal" if command is Command.STOP else save or "asked"
        if agree(time.monotonic() - self._saved_at >= 60 * self._config.save_minutes > 0):
            save = save or "minutes"
        if save is not None and state.step_in_epoch > 0:
            yield self._save(self._path_now(), save)
        if agree(stop):
            return self._stopped("signal", f"stopped by a signal; {self._resume_hint()}")
        if agree(self._is_over_time()) and state.step_in_epoch > 0:
            return (yield from self._end_inside_epoch(session))
        return None

    def _end_inside_epoch(self, session: Session) -> Generator[Event, None, Stopped]:
        """End the run because its time is over."""
        before, path = self.state.state_dict(), self._path_now()
        try:
            return (yield from self._judge_the_end(session))
        except Exception as error:  # noqa: BLE001 it is raised again
            self._save_and_raise(error, before, path)

    def _judge_the_end(self, session: Session) -> Generator[Event, None, Stopped]:
        state = self.state
        measured = measure(state.averaged, session.task, session.validation, session.device)
        stop = self._time_is_up()
        state.finished = stop.reason
        if state.epoch == 0:  # it is all that there is to be told
            training = state.window.estimate([session.task.weights[term] for term in session.task.terms])
            event = self._epoch_event(session, training, measured, epoch=1)
            state.history.append(metrics_row(event))
            yield event
        yield from ship(session, measured.loss, stop)
        yield self._save(self._path_now(), "epoch")
        return stop

    def _end_epoch(self, session: Session) -> Generator[Event, None, Stopped | None]:
        """Judge the epoch, decide, save; return `Stopped` where the run ends by itself.

        Where images that it is judged on cannot be drawn, the state before the first decision is saved, and a resumed
        run judges the epoch anew.
        """
        before, path = self.state.state_dict(), self._path_now()
        try:
            return (yield from self._judge_epoch(session))
        except Exception as error:
            if self._written == self._path_now():
                raise  # the epoch's own checkpoint is there already
            self._save_and_raise(error, before, path)

    def _judge_epoch(self, session: Session) -> Generator[Event, None, Stopped | None]:
        state = self.state
        training = state.window.estimate([session.task.weights[term] for term in session.task.terms])
        measured = measure(session.state.averaged, session.task, session.validation, session.device)
        validation = measured.loss
        state.epoch += 1
        event = self._epoch_event(session, training, measured, epoch=state.epoch)
        state.history = [row for row in state.history if row["epoch"] < state.epoch]  # no row of a part of this one
        state.history.append(metrics_row(event))
        state.clipped, state.norms, state.dropped, state.figures = 0, 0.0, {}, {}
        yield event
        yield from map(Note, self._drops.lines())
        impatient = state.patience.add(training.upper())
        tried = self._try_target(session, training)
        if tried is not None:
            yield tried
        stop = self._decision(tried, impatient)
        if stop is None:
            yield from self._pace(session, training, validation)
        else:
            state.finished = stop.reason
        yield from ship(session, validation, stop)
        yield self._save(self._path_now(), "epoch")
        return stop

    def _epoch_event(self, session: Session, training: Estimate, validation: Measured, *, epoch: int) -> EpochEnd:
        state = self.state
        steps = state.step - (epoch - 1) * state.steps_per_epoch  # fewer than an epoch has, where time was over
        return EpochEnd(
            epoch=epoch,
            step=state.step,
            images=state.images,
            seconds=self._seconds(),
            loss=training.mean,
            terms=weighted_terms(session.task, state.window.means()),
            loss_upper=training.upper(),
            lr=state.schedule.lr(state.step - 1),
            val_loss=validation.loss.mean,
            grad_norm=state.norms / steps,
            clipped_share=state.clipped / steps,
            images_per_second=(state.step - self._first_step) * self._config.batch_size / self._training_seconds(),
            share=steps / state.steps_per_epoch,
            dropped=dict(state.dropped),
            figures={
                **means_of(state.figures),
                **{f"val_{name}": mean for name, mean in means_of(validation.figures).items()},
            },
        )

    def _try_target(self, session: Session, training: Estimate) -> TargetTried | None:
        """Judge the weights that would be shipped, on images that no try had before."""
        rule, target = self.state.rule, self._config.target_loss
        if target is None or not agree(rule.worth_a_try(training)):
            return None
        rule.tries += 1
        count = -(-self._config.target_images // VALIDATION_BATCH) * VALIDATION_BATCH
        fresh = session.batches("target", (rule.tries - 1) * count, count)
        shipped = measure(session.state.averaged, session.task, fresh, session.device).loss
        return TargetTried(
            k=rule.tries,
            level=rule.level,
            train_upper=training.upper(),
            ema_mean=shipped.mean,
            ema_upper=shipped.upper(rule.level),
            target=target,
            reached=agree(rule.judge(shipped)),
        )

    def _decision(self, tried: TargetTried | None, impatient: bool) -> Stopped | None:
        """Return whether the run ends with this epoch, and why."""
        config, state = self._config, self.state
        if tried is not None and tried.reached:
            return self._stopped("target", "Target loss reached, stopping training")
        if agree(config.epochs is not None and state.epoch >= config.epochs):
            return self._budget_ended(f"{number_of(state.epoch, 'epoch')} {'is' if state.epoch == 1 else 'are'}")
        if agree(self._is_over_time()):
            return self._time_is_up()
        if agree(impatient):
            task = self.session.task
            term = dominant_term(weighted_terms(task, state.window.means()))
            return self._stopped(
                "plateau",
                f"the loss has not fallen by 1 % in {config.patience} epochs; its largest term is {term}: "
                f"{task.hint(term)}",
            )
        return None

    def _is_over_time(self) -> bool:
        return self._config.max_time is not None and self._training_seconds() >= 60 * self._config.max_time

    def _time_is_up(self) -> Stopped:
        minutes = self._config.max_time or 0.0
        return self._budget_ended(f"{number_of(minutes, 'minute')} of training {'is' if minutes == 1 else 'are'}")

    def _budget_ended(self, used: str) -> Stopped:
        """Return the end of a run whose budget is used up: `30 minutes are`."""
        target = self._config.target_loss
        if target is None:
            return self._stopped("done", f"{used} over, as was asked")
        reached = ""
        if self.state.history:
            last = self.state.history[-1]
            reached = (
                f": training loss {last['loss']:.4f}, averaged weights on validation images {last['val_loss']:.4f}; "
                "--resume goes on with a larger budget, or take a --target-loss that suits these scenes"
            )
        return self._stopped("budget", f"{used} over, and the target loss {target:g} is not reached{reached}")

    def _pace(self, session: Session, training: Estimate, validation: Estimate) -> Iterator[Event]:
        """Begin or end the learning rate's decay where it is time to; the state before a decay is kept."""
        config, state = self._config, self.state
        decay = state.schedule.decay
        pace = self._pace_now(validation)
        if decay is not None:
            changed = agree(decay_in_time(decay, pace))
            if changed is not None:
                state.schedule.change_decay(changed)
                fit, planned = number_of(changed.steps, "step"), max(decay.end - state.step, 0)
                yield Note(
                    f"{fit} fit into the time that is left, and not {planned}: the learning rate decays over them"
                )
            elif agree(rise_again(decay, state.step, state.steps_per_epoch, training.mean, config.target_loss)):
                state.schedule.restart(state.step)
                yield Note("the decay has ended: the learning rate rises again")
            return
        decay = agree(decay_to_begin(pace, max(config.optim.decay_steps, state.schedule.longest)))
        if decay is not None:
            checkpoint.save(session.folder / BEFORE_DECAY, state.state_dict())
            yield CheckpointSaved(session.folder / BEFORE_DECAY, "decay")
            state.schedule.begin_decay(decay)
            steps = number_of(decay.steps, "step")
            to_the_end = f"the learning rate decays to the end of the budget, over {steps}"
            yield Note(
                to_the_end if decay.reason == BUDGET_ENDS else f"{decay.reason}: the learning rate decays over {steps}"
            )

    def _pace_now(self, validation: Estimate) -> Pace:
        config, state = self._config, self.state
        seconds = self._training_seconds()
        before, self._paced_at = self._paced_at, (state.step, seconds)
        return Pace(
            step=state.step,
            since=state.schedule.since,
            steps_per_epoch=state.steps_per_epoch,
            val_loss=validation.mean,
            target=config.target_loss,
            epochs=config.epochs,
            seconds=seconds,
            speed=(state.step - before[0]) / max(seconds - before[1], 1e-9),
            max_seconds=None if config.max_time is None else 60 * config.max_time,
            waited=state.patience.waited,
            patience=config.patience,
        )

    def _path_now(self) -> Path:
        return checkpoint.checkpoint_path(self.session.folder, self.state.epoch, self.state.step_in_epoch)

    def _save(self, path: Path, reason: SaveReason) -> CheckpointSaved:
        """Write a numbered checkpoint; remove the old ones, and move away what a run begun earlier left."""
        self._write(path, self.state.state_dict())
        return CheckpointSaved(path, reason, tuple(self.state.history))

    def _write(self, path: Path, state: dict[str, Any]) -> None:
        checkpoint.save(path, state)
        self._written = path
        if self._position is not None:
            checkpoint.set_aside(self.session.folder, self._position, path)
            self._position = None
        checkpoint.prune(self.session.folder, self._config.keep)
        self._saved_at = time.monotonic()

    def _stopped(self, reason: StopReason, message: str) -> Stopped:
        state = self.state
        return Stopped(reason, EXIT_CODES[reason], message, self._seconds(), state.epoch, state.images)

    def _seconds(self) -> float:
        return time.monotonic() - self._start

    def _training_seconds(self) -> float:
        """Since the first step was about to be taken."""
        return time.monotonic() - self._trained_from
