"""Training on a terminal: a progress bar, a line an epoch, and the signals.

A consumer of the trainer's events; whatever it prints, the run is the same without it.
"""

import io
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from types import FrameType
from typing import TYPE_CHECKING, Any, TextIO

from yolo_proc.errors import number_of
from yolo_proc.system.output import encodable, silence
from yolo_proc.system.progress import can_have_bar, progress_bar
from yolo_proc.training.events import (
    Checked,
    CheckpointSaved,
    EpochEnd,
    Event,
    Note,
    RunStarted,
    Step,
    Stopped,
    TargetTried,
)
from yolo_proc.training.outcomes import tally

if TYPE_CHECKING:
    from yolo_proc.system.progress import Bar


def epoch_line(event: EpochEnd) -> str:
    """Return `Epoch: 12  Loss:  0.061  Loss_class:  0.003  ...`: the total, each weighted term where there are
    several, and the figures besides.
    """
    images = "" if event.share == 1 else f" ({number_of(event.images, 'image')})"
    several = event.terms if len(event.terms) > 1 else {}
    terms = "".join(f"  Loss_{name}: {value:6.3f}" for name, value in several.items())
    figures = "".join(f"  {name}: {value:6.3f}" for name, value in event.figures.items())
    return f"Epoch: {event.epoch}{images}  Loss: {event.loss:6.3f}{terms}{figures}"


def elapsed_text(seconds: float) -> str:
    """Return `0:02:57`: hours, minutes, seconds; below ten seconds with a tenth."""
    return f"{seconds:.1f} s" if seconds < 10 else str(timedelta(seconds=round(seconds)))


class Console:
    """Prints events as they come; where nothing can be printed any more (a closed pipe, a full disk), no more.

    Args:
        out: where lines go; the bar goes to `bar`, and only if that is a terminal.
        seconds_between_lines: without a terminal there is no bar, but a sign of life.
    """

    name = "the console"

    def __init__(
        self, out: TextIO | None = None, bar: TextIO | None = None, *, seconds_between_lines: float = 30.0
    ) -> None:
        self._seconds_between_lines = seconds_between_lines
        self._out: TextIO | None = out if out is not None else sys.stdout
        self._bar_file: TextIO = bar if bar is not None else sys.stderr
        self._bar: Bar | None = None
        self._stage = ""  # what the bar is of, where it is not of an epoch
        self._epoch_images = 0
        self._told_at = time.monotonic()
        self._handlers: Mapping[type, Callable[[Any], None]] = {
            RunStarted: self._run_started,
            Checked: self._checked,
            Step: self._step,
            EpochEnd: self._epoch_end,
            CheckpointSaved: self._checkpoint_saved,
            TargetTried: self._target_tried,
            Note: lambda event: self.line(event.text),
            Stopped: self._stopped,
        }

    def consume(self, event: Event) -> Sequence[str]:
        """Print one event."""
        handler = self._handlers.get(type(event))
        if handler is not None:
            handler(event)
        return ()

    def line(self, text: str) -> None:
        """Print a line, above the bar where there is one."""
        self._told_at = time.monotonic()
        if self._bar is not None:
            with self._for_the_bar():
                self._bar.clear()
        if self._out is not None:
            try:
                encoding = getattr(self._out, "encoding", None) or "utf-8"
                print(encodable(text, encoding), file=self._out, flush=True)
            except OSError:
                silence(self._out)
                self._out = None
            except ValueError:  # closed
                self._out = None
        if self._bar is not None:
            with self._for_the_bar():
                self._bar.refresh()

    def progress(self, what: str, done: int, of: int | None) -> None:
        """Show how far work is that brings no event: on the bar, or as a line where there is none and time has gone."""
        if self._has_bar:
            with self._for_the_bar():
                self._draw_stage(what, done, of)
        elif time.monotonic() - self._told_at >= self._seconds_between_lines:
            count = f": {done:,} of {of:,}" if of is not None else f": {done:,}" if done else ""
            self.line(f"{what}{count}")

    def _draw_stage(self, what: str, done: int, of: int | None) -> None:
        if self._stage != what or self._bar is None:
            self.close()
            self._bar = progress_bar(of, file=self._bar_file, initial=done, desc=what)
            self._stage = what
        self._bar.update(done - self._bar.n)
        if done == of:
            self.close()

    @property
    def _has_bar(self) -> bool:
        return can_have_bar(self._bar_file)

    def close(self) -> None:
        """Take the bar away."""
        self._stage = ""
        if self._bar is not None:
            with self._for_the_bar():
                self._bar.close()
            self._bar = None

    @contextmanager
    def _for_the_bar(self) -> Iterator[None]:
        """Return where the bar is drawn no more, because its terminal has gone, there is none from now on."""
        try:
            yield
        except (OSError, ValueError):
            silence(self._bar_file)
            self._bar_file = io.StringIO()  # no terminal
            self._bar = None

    def _run_started(self, event: RunStarted) -> None:
        batch = event.config.batch_size
        self._epoch_images = -(-event.config.epoch_images // batch) * batch  # whole batches
        done = f", from {event.resumed_from.name} on" if event.resumed_from is not None else ""
        self.line(
            f"Run: {event.run_dir}{done}  Generator: {event.config.generator.name}  Device: {event.device}, "
            f"{event.precision}  Parameters: {event.parameters:,}  {event.output}"
        )
        for note in event.notes:
            self.line(note)

    def _step(self, event: Step) -> None:
        if not self._has_bar:
            if time.monotonic() - self._told_at >= self._seconds_between_lines:
                self.line(
                    f"Epoch {event.epoch}: {event.images} images, {event.images_per_second:.0f} images/s, "
                    f"loss {event.loss:.3f}"
                )
            return
        with self._for_the_bar():
            self._draw_bar(event)

    def _draw_bar(self, event: Step) -> None:
        if self._stage:
            self.close()
        in_epoch = min(event.images - (event.epoch - 1) * self._epoch_images, self._epoch_images)
        fresh = self._bar is None
        if self._bar is None:
            self._bar = progress_bar(
                self._epoch_images,
                file=self._bar_file,
                initial=in_epoch,  # a resumed run begins inside an epoch
                desc=f"Epoch {event.epoch}",
                miniters=1,
            )
        self._bar.set_postfix_str(f"loss {event.loss:.3f}", refresh=fresh)
        self._bar.update(in_epoch - self._bar.n)

    def _checked(self, event: Checked) -> None:
        for outcome in event.outcomes:
            if outcome.is_told:
                self.line("\n".join(outcome.lines()))
        seconds = sum(outcome.seconds for outcome in event.outcomes)
        self.line(f"Checks: {tally(event.outcomes)} ({elapsed_text(seconds)})")

    def _epoch_end(self, event: EpochEnd) -> None:
        self.close()
        self.line(epoch_line(event))

    def _checkpoint_saved(self, event: CheckpointSaved) -> None:
        if event.reason == "signal":
            self.line(f"Saved {event.path}")

    def _target_tried(self, event: TargetTried) -> None:
        verdict = "reached" if event.reached else "not yet reached"
        self.line(
            f"Target {event.target:g} {verdict}: training loss at most {event.train_upper:.4f} (95 %), "
            f"averaged weights on fresh images {event.ema_mean:.4f}, at most {event.ema_upper:.4f} "
            f"(try {event.k}, {100 * (1 - event.level):.6g} %)"
        )

    def _stopped(self, event: Stopped) -> None:
        self.close()
        self.line(event.message)
        self.line(f"Elapsed time: {elapsed_text(event.seconds)}  Epochs: {event.epochs}  Images: {event.images}")


class Interrupt(KeyboardInterrupt):
    """Stop at once: a second signal, or one that came before anything was trained."""


@contextmanager
def signals_to(
    stop: Callable[[], bool],
    promise: str = "saves a checkpoint and stops; once more stops at once",
    leave: Callable[[int], None] | None = None,
) -> Iterator[Callable[[], int | None]]:
    """Return while inside, the first SIGINT, SIGTERM or SIGHUP calls `stop`, a second one raises `Interrupt`.

    A SIGHUP that is ignored (`nohup`) stays so.

    A `stop` that gives False has nothing to wait for: then the first one raises too.

    `promise` is printed at the first one. `stop` runs in the handler, in the midst of anything: it may take no lock
    that the interrupted code could hold.

    `leave` ends the process, at a second signal that the first one's number is given to: an exception may be raised in
    a destructor, or in a library that passes over it.

    Yields a function that gives the number of the signal that came first, or None. The handlers that were there
    before come back at the end. Only the main thread may enter.
    """
    received: list[int] = []

    def handle(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        if len(received) > 1 or not stop():
            # One more kills the process the way the system does.
            for one in before:
                signal.signal(one, signal.SIG_DFL)
            if len(received) > 1 and leave is not None:
                leave(received[0])
            raise Interrupt
        # Not print: a buffered stream that is being written to cannot be entered again.
        with suppress(OSError):  # the terminal may have gone, and said so by this signal
            os.write(2, f"\n{signal.Signals(number).name}: {promise}\n".encode())

    before = {number: signal.signal(number, handle) for number in _stopping_signals()}
    try:
        yield lambda: received[0] if received else None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stopping_signals() -> list[int]:
    if not hasattr(signal, "SIGHUP") or signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        return [signal.SIGINT, signal.SIGTERM]
    return [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def run_training(trainer: Any, stop: Callable[[], None], end_process: Callable[[int], None] | None = None) -> int:
    """Run a trainer to its end and print what happens; return the exit code.

    Args:
        trainer: has `run()`, an iterator of events, and `on_progress`.
        stop: asks it to save a checkpoint and stop, from a signal handler.
        end_process: called with the exit code at a second signal, and does not return: `os._exit`. What a killed
            process leaves is cleared up by the next one. None: an exception ends the training.
    """
    console = Console()
    console.line("Preparing: scenes are drawn, steps are timed")
    trainer.on_progress = console.progress
    code = 1
    started = saved = False

    def last_words() -> str:
        if not started:
            return "Stopped at once, before the first step"
        return f"Stopped at once; {'the last saved checkpoint stands' if saved else 'nothing had been saved yet'}"

    def leave(number: int) -> None:
        if end_process is not None:
            with suppress(OSError):
                os.write(1, f"{last_words()}\n".encode())
            end_process(128 + number)

    def ask() -> bool:
        if started:
            stop()
        return started

    with signals_to(ask, leave=leave) as signal_number:
        try:
            with closing(trainer.run()) as events:
                for event in events:
                    started = True
                    saved = (
                        saved or isinstance(event, CheckpointSaved) or getattr(event, "resumed_from", None) is not None
                    )
                    console.consume(event)
                    if isinstance(event, Stopped):
                        number = signal_number()
                        code = 128 + number if event.reason == "signal" and number is not None else event.exit_code
        except Interrupt:
            console.close()
            console.line(last_words())
            return 128 + (signal_number() or signal.SIGINT)
        finally:
            console.close()
    return code


def _is_resumed(event: Event) -> bool:
    return isinstance(event, RunStarted) and event.resumed_from is not None
