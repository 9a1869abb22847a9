"""The progress of long work on stderr: a bar where that is a terminal, elsewhere a line now and then."""

import os
import sys
import time
from typing import TYPE_CHECKING, Any, Never, TextIO

if TYPE_CHECKING:
    from tqdm import tqdm

    Bar = tqdm[Never]


def can_have_bar(file: TextIO) -> bool:
    """Return whether a bar can be seen there: on a terminal that has columns."""
    try:
        if not file.isatty():
            return False
        return os.get_terminal_size(file.fileno()).columns > 0
    except (OSError, ValueError):  # not a real file, as in tests, or closed
        return not file.closed and file.isatty()


def progress_bar(total: int | None, unit: str = "img", *, file: TextIO | None = None, **options: Any) -> "Bar":
    """Return a bar of tqdm that vanishes at the end and follows the terminal's width.

    It has no thread: tqdm's would be one more thing to fork beside.

    Args:
        total: units in all; None where that is not known.
        file: to draw on; stderr unless given.
        options: others of tqdm.
    """
    from tqdm import tqdm

    class WithoutThread(tqdm):  # type: ignore[type-arg]  # it cannot be subscripted when it runs
        monitor_interval = 0

    place = sys.stderr if file is None else file
    shown = {"leave": False, "dynamic_ncols": True, "disable": not can_have_bar(place), **options}
    return WithoutThread(total=total, unit=unit, file=place, **shown)


class Progress:
    """A bar that is told how much is done, and makes room for lines of text. A context manager.

    Where no bar can be seen, it is a line every `seconds`.

    Args:
        total, unit: see `progress_bar`.
    """

    def __init__(self, total: int | None = None, unit: str = "img", *, seconds: float = 30.0) -> None:
        self._bar = progress_bar(total, unit)
        self._unit = unit
        self._seconds = seconds
        self._name = ""
        self._done = 0
        self._told_at = time.monotonic()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def show(self, done: int, of: int | None = None, /) -> None:
        """Set the bar: `done` units `of` so many; None: as many as before."""
        self._bar.total = self._bar.total if of is None else of
        self._bar.update(done - self._done)
        self._done = done
        self._tell()

    def add(self) -> None:
        """Count one more unit."""
        self.show(self._done + 1)

    def name(self, text: str) -> None:
        """Say before the bar what is being done."""
        self._bar.set_description_str(text)
        self._name = f"{text}: "

    def _tell(self) -> None:
        """Print a line, where there is no bar and nothing was said for a while."""
        if not self._bar.disable or time.monotonic() - self._told_at < self._seconds:
            return
        self._told_at = time.monotonic()
        of = "" if self._bar.total is None else f" of {self._bar.total:,}"
        print(f"{self._name}{self._done:,}{of} {self._unit}", file=sys.stderr, flush=True)

    def make_room(self) -> None:
        """Take the bar off its line; the next `show` may bring it back."""
        self._bar.clear()

    def say(self, line: str) -> None:
        """Print a line for the user on stderr."""
        self.make_room()
        self._told_at = time.monotonic()
        print(line, file=sys.stderr)
