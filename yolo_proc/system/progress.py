"""The progress bar of long work, on a terminal's stderr; elsewhere there is none."""

import sys
from typing import TYPE_CHECKING, Any, Never, TextIO

if TYPE_CHECKING:
    from tqdm import tqdm

    Bar = tqdm[Never]


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
    shown = {"leave": False, "dynamic_ncols": True, "disable": not place.isatty(), **options}
    return WithoutThread(total=total, unit=unit, file=place, **shown)


class Progress:
    """A bar that is told how much is done, and makes room for lines of text. A context manager.

    Args:
        total, unit: see `progress_bar`.
    """

    def __init__(self, total: int | None = None, unit: str = "img") -> None:
        self._bar = progress_bar(total, unit)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def show(self, done: int, of: int | None = None, /) -> None:
        """Set the bar: `done` units `of` so many; None: as many as before."""
        self._bar.total = self._bar.total if of is None else of
        self._bar.update(done - self._bar.n)

    def add(self) -> None:
        """Count one more unit."""
        self._bar.update()

    def name(self, text: str) -> None:
        """Say before the bar what is being done."""
        self._bar.set_description_str(text)

    def make_room(self) -> None:
        """Take the bar off its line; the next `show` may bring it back."""
        self._bar.clear()

    def say(self, line: str) -> None:
        """Print a line for the user on stderr."""
        self.make_room()
        print(line, file=sys.stderr)
