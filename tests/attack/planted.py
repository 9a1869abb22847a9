"""Readers with bugs that the attack must find: what it cannot see here it would not see elsewhere. In no table."""

import mmap
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from attack.engine import ACCEPTED, Target
from attack.trees import Room, Tree
from yolo_proc.errors import DataError


def _raise() -> None:
    raise KeyError("x")


def _say() -> None:
    os.write(2, b"a library speaks\n")


class _PlainError(DataError):
    """Tells its words as they are; those of the project are made one line of bounded length."""

    def __str__(self) -> str:
        return str(self.args[0])


def _two_lines() -> None:
    raise _PlainError("a\nb")


def _no_end() -> None:
    raise _PlainError("a" * 5000)


def _unsound() -> None:
    raise AssertionError("a box without an area")


def _spend() -> None:
    end = time.process_time() + 0.12
    while time.process_time() < end:
        pass


def _hoard() -> None:
    # Of the system: what is free in the heap of a process that has done much already is no more memory.
    with mmap.mmap(-1, 64 << 20) as block:
        for page in range(0, len(block), mmap.PAGESIZE):
            block[page] = 1


def _die() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def _refuse() -> None:
    raise DataError("line 3: expected a number, found 'x'")


BUGS: Mapping[str, Callable[[], object]] = {
    "none": _refuse,
    "traceback": _raise,
    "on the screen": _say,
    "printed": lambda: print("hello", file=sys.stderr),
    "a warning": lambda: warnings.warn("take care", UserWarning, stacklevel=1),
    "two lines": _two_lines,
    "a message without end": _no_end,
    "not sound": _unsound,
    "slow": _spend,
    "much memory": _hoard,
    "the end": _die,
}


class PlantedTarget(Target):
    """Accepts what begins with a letter, and has a bug where the first byte was made another."""

    about, memory, edits = "a reader with a bug", 40 << 20, 2

    def __init__(self, bug: str) -> None:
        super().__init__()
        self.name, self.bug = f"planted-{bug.replace(' ', '-')}", BUGS[bug]
        if bug == "slow":
            self.seconds = 0.08

    def prepare(self, room: Path) -> Sequence[Tree]:
        return [{"a.bin": bytes(range(97, 123)) * 4}]

    def read(self, tree: Tree, room: Room) -> str:
        path = room.put(tree) / "a.bin"
        if not path.is_file() or path.stat().st_size > 1 << 20:
            raise DataError("a.bin: expected a file")
        if path.read_bytes()[:1] != b"a":
            self.bug()
        return ACCEPTED


def targets() -> list[Target]:
    """All of this module."""
    return [PlantedTarget(bug) for bug in BUGS]
