"""What a reader may do with an input: return, or raise a `UserError` of one printable line. All else is a finding.

A finding is another exception, a line on the screen (of Python, or of a library in C), a warning, a message that is no
line, more time or memory than an input is worth, or a result that is not sound (an `AssertionError` of the target).
"""

import os
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import numpy as np

from attack.trees import Content, Room, Tree, damage_tree
from yolo_proc.errors import UserError
from yolo_proc.rng import rng_for

LONGEST = 1500  # characters of a message; paths of test folders are long
SECONDS = 5.0  # of processor time for one input
WALL = 60  # seconds; a reader that waits (for a pipe) uses no processor
MEMORY = 700 << 20  # bytes that one input may add
LIMIT = 3 << 30  # bytes at which there is no more: an input must not take the machine's
ACCEPTED, REFUSED, FINDING = "accepted", "refused", "finding"

Rng = np.random.Generator


@dataclass(frozen=True)
class Input:
    """What a reader is given, and what was done to it."""

    tree: Tree
    steps: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """What came of one input.

    Attributes:
        kind: "accepted", "refused", "finding", or a word of the target's own.
        signature: of a finding, the same for what has the same cause.
        text: of a finding, for people; of a refusal its message.
    """

    kind: str
    signature: str = ""
    text: str = ""


class Target(ABC):
    """A reader with valid inputs.

    Attributes:
        name: in addresses and tables.
        about: what is read, for people.
        group: targets of one group are one line of the table.
        edits: most damages of one input.
        seconds: of processor time that one input may take.
    """

    name: str
    about: str
    group: str = ""
    edits = 3
    seconds = SECONDS
    memory = MEMORY

    def __init__(self) -> None:
        self.seeds: list[Tree] = []

    @abstractmethod
    def prepare(self, room: Path) -> Sequence[Tree]:
        """The valid inputs; `room` is an empty folder for whatever is needed."""

    @abstractmethod
    def read(self, tree: Tree, room: Room) -> str:
        """Gives the input to the reader; "accepted" or another word for what came of it.

        Raises:
            UserError: it is refused.
            AssertionError: the reader accepted it, and what it gave is not sound.
        """

    def damage(self, tree: Tree, rng: Rng) -> tuple[dict[str, Content], str]:
        """One damage."""
        return damage_tree(tree, rng)

    def input(self, seed: int, index: int) -> Input:
        """The input of an address: one of the seeds, with one or more damages."""
        rng = rng_for(seed, self.name, index, "attack")
        tree: Tree = self.seeds[int(rng.integers(len(self.seeds)))]
        steps = []
        for _ in range(1 + min(int(rng.geometric(0.6)) - 1, self.edits - 1)):
            tree, step = self.damage(tree, rng)
            steps.append(step)
        return Input(tree, tuple(steps))

    def told(self, tree: Tree) -> Sequence[str]:
        """What more there is to say of an input, for people."""
        return ()

    def close(self) -> None:  # noqa: B027 most have nothing to end
        """Ends what `prepare` began."""


class TooLongError(BaseException):
    """Raised in a reader that does not come to an end; no `except Exception` holds it."""


@dataclass
class Judge:
    """Gives inputs to one target and says what came of them. Owns stdout, stderr, the alarm and the limit of memory."""

    target: Target
    room: Room
    wall: int = WALL
    screen: int = field(init=False)

    def __post_init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 as long as the judge
        self.screen = self._file.fileno()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Whatever is written to the screen meanwhile is kept; warnings are as users see them, each time."""
        streams = sys.stdout, sys.stderr
        for stream in streams:
            stream.flush()
        kept = os.dup(1), os.dup(2)
        os.dup2(self.screen, 1)
        os.dup2(self.screen, 2)
        # Python's own, which may lead elsewhere (to pytest).
        sys.stdout = sys.stderr = os.fdopen(os.dup(self.screen), "w", encoding="utf-8", errors="backslashreplace")
        before, limits = signal.signal(signal.SIGALRM, _too_long), resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (_data() + LIMIT, limits[1]))
        _forget_peak()  # of what this process did before
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("always")
                for hidden in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
                    warnings.simplefilter("ignore", hidden)
                warnings.showwarning = _show  # whoever else listens to warnings (pytest) does not get them
                yield
        finally:
            signal.signal(signal.SIGALRM, before)
            resource.setrlimit(resource.RLIMIT_DATA, limits)
            sys.stdout.close()
            sys.stdout, sys.stderr = streams
            for number, descriptor in enumerate(kept, start=1):
                os.dup2(descriptor, number)
                os.close(descriptor)

    def judge(self, tree: Tree) -> Outcome:
        """What came of one input; to be called inside of `listening`."""
        began, peak = time.process_time(), _peak()
        signal.alarm(self.wall)
        try:
            outcome = Outcome(self.target.read(tree, self.room))
        except UserError as error:
            outcome = _of_message(error)
        except TooLongError:
            outcome = Outcome(FINDING, f"hangs in {_place(sys.exc_info()[2])}", traceback.format_exc())
        except Exception as error:  # noqa: BLE001 the finding itself
            name = type(error).__name__
            outcome = Outcome(FINDING, f"{name} in {_place(error.__traceback__)}", traceback.format_exc())
        finally:
            signal.alarm(0)
        said = self._said()
        if outcome.kind == FINDING:
            return outcome
        if said:
            return Outcome(FINDING, f"on the screen: {' '.join(said.split())[:80]}", said)
        spent, grown = time.process_time() - began, _peak() - peak
        if spent > self.target.seconds:
            text = f"{spent:.1f} s of processor time\n{outcome.text}"
            return Outcome(FINDING, f"slow: over {self.target.seconds:g} s", text)
        if grown > self.target.memory:
            _forget_peak()
            text = f"{grown >> 20} MiB more memory\n{outcome.text}"
            return Outcome(FINDING, f"memory: over {self.target.memory >> 20} MiB", text)
        return outcome

    def _said(self) -> str:
        sys.stderr.flush()
        size = os.fstat(self.screen).st_size
        if not size:
            return ""
        said = os.pread(self.screen, 20_000, 0)
        os.ftruncate(self.screen, 0)
        os.lseek(self.screen, 0, os.SEEK_SET)
        return said.decode("utf-8", "replace")


def _of_message(error: UserError) -> Outcome:
    told = str(error)
    # A path of bytes that are no text has surrogates in it: the message is one line all the same.
    plain = told.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    where = _place(error.__traceback__)
    if not plain.replace("\ufffd", "?").isprintable():
        return Outcome(FINDING, f"a message that is no printable line, from {where}", repr(told))
    if len(plain) > LONGEST:
        return Outcome(FINDING, f"a message of over {LONGEST} characters, from {where}", told[:LONGEST])
    if not plain.strip():
        return Outcome(FINDING, f"an empty message, from {where}")
    return Outcome(REFUSED, text=told)


def _place(trace: object) -> str:
    """The last function of ours in a traceback, as `file.py:function`."""
    frames = traceback.extract_tb(trace)  # type: ignore[arg-type]
    ours = [frame for frame in frames if "yolo_proc" in Path(frame.filename).parts] or frames
    return f"{Path(ours[-1].filename).name}:{ours[-1].name}" if ours else "?"


def _show(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
    print(f"{category.__name__}: {message}", file=sys.stderr)


def _too_long(_signal: int, _frame: FrameType | None) -> None:
    raise TooLongError


def _peak() -> int:
    """Bytes of memory at most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def _data() -> int:
    """Bytes of the process's own memory."""
    return int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()


def _forget_peak() -> None:
    """Begins to measure the peak anew, where the system can; the next large input would not show otherwise."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def attacked(
    target: Target, room: Path, seed: int, indices: range, *, wall: int = WALL
) -> tuple[Counter[str], dict[int, Outcome]]:
    """Gives inputs to a target in this process: how often each kind came, and the findings by index.

    Args:
        wall: seconds that an input may take.
    """
    prepared = room / "prepared"
    prepared.mkdir()
    target.seeds = list(target.prepare(prepared))
    judge = Judge(target, Room(room), wall)
    counts: Counter[str] = Counter()
    findings = {}
    try:
        with judge.listening():
            for index in indices:
                outcome = judge.judge(target.input(seed, index).tree)
                counts[outcome.kind] += 1
                if outcome.kind == FINDING:
                    findings[index] = outcome
    finally:
        target.close()
    return counts, findings
