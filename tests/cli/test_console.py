"""What a run prints, its exit codes, and the signals."""

import io
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from yolo_proc.cli.console import Console, Interrupt, elapsed_text, epoch_line, run_training, signals_to
from yolo_proc.config.schema import Config
from yolo_proc.errors import TrainingError
from yolo_proc.training.events import (
    EXIT_CODES,
    Checked,
    CheckpointSaved,
    EpochEnd,
    Event,
    Note,
    RunStarted,
    Step,
    Stopped,
    StopReason,
    TargetTried,
)
from yolo_proc.training.outcomes import Finding, Outcome

TERMS = {"class": 0.003, "obj_f": 0.004, "obj_t": 0.031, "wh": 0.009, "xy": 0.014}
LINE = (
    "Epoch: 12  Loss:  0.061  Loss_class:  0.003  Loss_obj_f:  0.004  Loss_obj_t:  0.031  Loss_wh:  0.009"
    "  Loss_xy:  0.014"
)


def started() -> RunStarted:
    config = Config(batch_size=30, epoch_images=100)
    return RunStarted(Path("checkpoints/a"), config, "cpu", "float32", 760_008, "Slots: 256", ("a note",))


def step(number: int, epoch: int = 1) -> Step:
    return Step(epoch, number, 30 * number, 0.5, TERMS, 0.004, 1.0, False, 100.0)


def epoch_end(epoch: int = 12) -> EpochEnd:
    return EpochEnd(epoch, 4, 120, 1.0, 0.061, TERMS, 0.07, 0.004, 0.06, 1.0, 0.0)


def stopped(reason: StopReason, message: str = "why") -> Stopped:
    return Stopped(reason, EXIT_CODES[reason], message, 177.4, 12, 49152)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_line_of_an_epoch() -> None:
    assert epoch_line(epoch_end()) == LINE


def test_the_line_of_a_part_of_an_epoch_says_so_and_of_one_term_nothing_twice() -> None:
    part = EpochEnd(1, 4, 120, 1.0, 0.5, {"class": 0.5}, 0.07, 0.004, 0.06, 1.0, 0.0, share=0.25, figures={"acc": 1.0})
    assert epoch_line(part) == "Epoch: 1 (120 images)  Loss:  0.500  acc:  1.000"


def test_progress_without_a_terminal_is_a_line_after_a_while() -> None:
    out = io.StringIO()
    console = Console(out, io.StringIO(), seconds_between_lines=0.0)
    console.progress("scenes for anchors", 50, 2000)
    console.progress("timing steps", 0, None)
    assert out.getvalue().splitlines() == ["scenes for anchors: 50 of 2,000", "timing steps"]
    quiet = Console(out, io.StringIO(), seconds_between_lines=3600.0)
    quiet.progress("scenes for anchors", 100, 2000)
    assert len(out.getvalue().splitlines()) == 2


def test_progress_on_a_terminal_is_a_bar_of_its_own() -> None:
    bar = Terminal()
    console = Console(io.StringIO(), bar)
    console.progress("scenes for anchors", 50, 100)
    assert "scenes for anchors:  50%" in bar.getvalue()
    console.consume(step(1))
    assert "Epoch 1" in bar.getvalue().rpartition("scenes for anchors")[2]
    console.progress("calibrating", 10, 10)
    console.close()


def test_elapsed_time() -> None:
    assert [elapsed_text(seconds) for seconds in (0, 9.94, 177.4, 3725)] == ["0.0 s", "9.9 s", "0:02:57", "1:02:05"]


def test_what_a_run_prints_without_a_terminal() -> None:
    out, bar = io.StringIO(), io.StringIO()
    console = Console(out, bar)
    events: list[Event] = [
        started(),
        step(1),
        epoch_end(),
        CheckpointSaved(Path("000012.pt"), "epoch"),
        TargetTried(1, 0.025, 0.0499, 0.048, 0.0492, 0.05, True),
        Note("a line"),
        stopped("target"),
    ]
    for event in events:
        console.consume(event)
    assert bar.getvalue() == ""
    assert out.getvalue().splitlines() == [
        "Run: checkpoints/a  Generator: glyphs  Device: cpu, float32  Parameters: 760,008  Slots: 256",
        "a note",
        LINE,
        "Target 0.05 reached: training loss at most 0.0499 (95 %), averaged weights on fresh images 0.0480, "
        "at most 0.0492 (try 1, 97.5 %)",
        "a line",
        stopped("target").message,
        "Elapsed time: 0:02:57  Epochs: 12  Images: 49152",
    ]


def test_of_the_checks_the_failures_are_told_in_full() -> None:
    good = Finding.judged(True, expected="1", measured="1", figures={}, causes=["never told"], remedy="")
    bad = Finding.judged(False, expected="1", measured="2", figures={}, causes=["a cause"], remedy="mend it")
    out = io.StringIO()
    outcomes = [Outcome(name, "data", "it is 1", one, 1.5) for name, one in (("good", good), ("bad", bad))]
    Console(out, io.StringIO()).consume(Checked(tuple(outcomes)))
    assert out.getvalue().splitlines() == [
        "bad: fail: it is 1",
        "  expected: 1",
        "  measured: 2",
        "  likely cause: a cause",
        "  what to do: mend it",
        "Checks: 1 passed, 1 failed (3.0 s)",
    ]


def test_without_a_terminal_there_is_a_sign_of_life_now_and_then() -> None:
    out = io.StringIO()
    Console(out, io.StringIO()).consume(step(1))
    assert out.getvalue() == ""
    Console(out, io.StringIO(), seconds_between_lines=0.0).consume(step(2))
    assert out.getvalue().startswith("Epoch ")
    assert "images/s, loss" in out.getvalue()


def test_other_ends_print_their_message() -> None:
    out = io.StringIO()
    Console(out).consume(stopped("plateau", "the dominant term is xy"))
    assert out.getvalue().startswith("the dominant term is xy\n")


def test_the_bar_of_a_terminal_counts_the_epoch() -> None:
    out, bar = Terminal(), Terminal()
    console = Console(out, bar)
    console.consume(started())
    for number in range(1, 5):
        console.consume(step(number))
    assert console._bar is not None
    assert (console._bar.n, console._bar.total) == (120, 120)  # whole batches, so more than 100
    console.consume(epoch_end(1))
    console.consume(step(5, epoch=2))
    assert console._bar is not None
    assert console._bar.n == 30
    console.close()
    console.close()
    assert "Epoch 1" in bar.getvalue()
    assert "loss 0.500" in bar.getvalue()
    assert "img/s" in bar.getvalue()


class Script:
    """A trainer that yields what it is told; an int is a signal that it gets."""

    def __init__(self, *steps: Event | int | Exception) -> None:
        self.steps = steps
        self.asked = 0
        self.closed = False

    def run(self) -> Iterator[Event]:
        try:
            for one in self.steps:
                if isinstance(one, int):
                    os.kill(os.getpid(), one)
                elif isinstance(one, Exception):
                    raise one
                else:
                    yield one
        finally:
            self.closed = True

    def stop(self) -> None:
        self.asked += 1


@pytest.mark.parametrize(("reason", "code"), [("target", 0), ("done", 0), ("failed", 1), ("plateau", 3), ("budget", 4)])
def test_exit_codes(reason: StopReason, code: int) -> None:
    script = Script(started(), stopped(reason))
    assert run_training(script, script.stop) == code


@pytest.fixture
def _heard_hang_up() -> Iterator[None]:
    """A SIGHUP that is not ignored, even if the tests run under `nohup`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
@pytest.mark.usefixtures("_heard_hang_up")
def test_the_first_signal_asks_and_the_second_stops_at_once(
    number: int, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    script = Script(started(), int(number), CheckpointSaved(Path("a/000001+00007.pt"), "signal"), stopped("signal"))
    assert run_training(script, script.stop) == code
    assert script.asked == 1
    assert "Saved a/000001+00007.pt" in capsys.readouterr().out
    script = Script(started(), int(number), int(signal.SIGINT), Note("never shown"))
    assert run_training(script, script.stop) == code
    assert script.asked == 1
    assert script.closed
    printed = capsys.readouterr().out
    assert "never shown" not in printed
    assert "Stopped at once; nothing had been saved yet" in printed
    saved = CheckpointSaved(Path("a/000001.pt"), "epoch")
    script = Script(started(), saved, int(number), int(signal.SIGINT), Note("never shown"))
    assert run_training(script, script.stop) == code
    assert "Stopped at once; the last saved checkpoint stands" in capsys.readouterr().out


def test_the_second_signal_ends_the_process_where_an_exception_might_be_passed_over(
    capfd: pytest.CaptureFixture[str],
) -> None:
    ended: list[int] = []

    def end(code: int) -> None:
        ended.append(code)
        raise SystemExit(code)  # in place of the end of the process

    script = Script(started(), int(signal.SIGTERM), int(signal.SIGINT), Note("never shown"))
    with pytest.raises(SystemExit):
        run_training(script, script.stop, end)
    assert ended == [143]
    assert "Stopped at once; nothing had been saved yet\n" in capfd.readouterr().out


def test_a_signal_that_comes_with_the_end_does_not_change_it() -> None:
    script = Script(started(), int(signal.SIGTERM), stopped("target"))
    assert run_training(script, script.stop) == 0


def test_before_anything_was_trained_the_first_signal_stops_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    script = Script(int(signal.SIGTERM), Note("never shown"))
    assert run_training(script, script.stop) == 143
    assert (script.asked, script.closed) == (0, True)
    assert capsys.readouterr().out.splitlines()[1:] == ["Stopped at once, before the first step"]


def test_a_hang_up_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        script = Script(started(), int(signal.SIGHUP), stopped("done"))
        assert run_training(script, script.stop) == 0
        assert script.asked == 0
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


class Gone(io.StringIO):
    """A terminal that closes after some writes."""

    def __init__(self, writes: int, error: Exception) -> None:
        super().__init__()
        self.writes = writes
        self.error = error

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.writes -= 1
        if self.writes < 0:
            raise self.error
        return super().write(text)


@pytest.mark.parametrize("writes", [0, 1, 2, 3, 5, 8])
@pytest.mark.parametrize(
    "error",
    [BrokenPipeError(), OSError(28, "No space left on device"), OSError(5, "Input/output error"), ValueError("closed")],
    ids=["pipe", "full", "hung up", "closed"],
)
def test_a_run_goes_on_without_its_console(error: Exception, writes: int) -> None:
    out, bar = Gone(writes, error), Gone(writes, error)
    console = Console(out, bar)
    for event in (started(), step(1), step(2), step(3), epoch_end(1), step(5, epoch=2), Note("a"), stopped("done")):
        console.consume(event)
    console.close()
    assert out.writes < 0 or writes > 8
    assert bar.writes < 0


def test_a_real_pipe_that_closed_is_not_written_to_at_the_end() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as out:
        console = Console(out, io.StringIO())
        console.line("lost")
        out.write("later, by somebody else")  # and flushed when it is closed, without an error
    console.line("no more")


@pytest.mark.parametrize(("encoding", "expected"), [("ascii", "Gr\\xf6\\xdfe \\u2603"), ("latin-1", "Größe \\u2603")])
def test_a_console_of_another_encoding(encoding: str, expected: str) -> None:
    content = io.BytesIO()
    Console(io.TextIOWrapper(content, encoding=encoding), io.StringIO()).line("Größe ☃")
    assert content.getvalue().decode(encoding) == f"{expected}\n"


def test_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    asked: list[int] = []

    def ask() -> bool:
        asked.append(1)
        return True

    def two_signals() -> None:
        with signals_to(ask):
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupt):
        two_signals()
    assert asked == [1]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    script = Script(TrainingError("not finite"))
    with pytest.raises(TrainingError):
        run_training(script, script.stop)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
