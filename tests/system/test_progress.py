"""Progress: a bar on a terminal, a line now and then elsewhere."""

import os
import pty

import pytest

from yolo_proc.system.progress import Progress, can_have_bar


def test_without_a_terminal_there_is_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(2000, "scenes", seconds=0.0) as progress:
        progress.show(1)
        progress.name("drawing")
        progress.show(1500)
        progress.add()
    assert capsys.readouterr().err.splitlines() == [
        "1 of 2,000 scenes",
        "drawing: 1,500 of 2,000 scenes",
        "drawing: 1,501 of 2,000 scenes",
    ]


def test_the_line_waits_for_its_time(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(None, seconds=3600.0) as progress:
        for done in range(100):
            progress.show(done)
        progress.say("a note")
    assert capsys.readouterr().err == "a note\n"


def test_a_terminal_without_columns_has_no_bar() -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal:
        assert not can_have_bar(terminal)  # a fresh one has 0 columns
        import fcntl
        import struct
        import termios

        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        assert can_have_bar(terminal)
    os.close(ours)
    assert not can_have_bar(terminal)  # it is closed
