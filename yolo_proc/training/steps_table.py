"""`steps.csv`: a row for every training step, appended while the epoch runs, cut back exactly on a resume.

After any interruption it holds what an uninterrupted run would have written, but for the columns of time: a row is
handed to the system before the trainer goes on, a resumed run removes the rows after its checkpoint, and a row that was
torn by a crash is one of them.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from yolo_proc.training.events import Event, RunStarted, Step

STEPS = "steps.csv"
TIMES = ("wait_seconds", "step_seconds")  # the only columns that differ between two equal runs


class StepsTable:
    """The consumer that writes the table."""

    name = STEPS

    def __init__(self) -> None:
        self._file: BinaryIO | None = None
        self._path = Path()
        self._empty = True

    def consume(self, event: Event) -> Sequence[str]:
        """Open and cut the table when a run starts, and append a row a step."""
        if isinstance(event, RunStarted):
            return self._begin(event)
        if isinstance(event, Step) and self._file is not None:
            row = row_of(event)
            if self._empty:
                self._file.write((",".join(row) + "\n").encode())
                self._empty = False
            # Unbuffered: one call a step costs microseconds, and no row is lost that a checkpoint counts.
            self._file.write((",".join(row.values()) + "\n").encode())
        return ()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _begin(self, event: RunStarted) -> Sequence[str]:
        self._path = event.run_dir / STEPS
        rows = cut_back(self._path, event.steps_done)
        self._file = self._path.open("ab", buffering=0)
        self._empty = self._path.stat().st_size == 0
        if rows < event.steps_done:
            return [f"{self._path} has {rows} of the {event.steps_done} steps so far; it goes on with the next one"]
        return ()


def row_of(event: Step) -> dict[str, str]:
    """Return the cells of a step by column. Numbers are written so that reading them gives every bit back."""
    return {
        "epoch": str(event.epoch),
        "step": str(event.step),
        "images": str(event.images),
        "loss": repr(event.loss),
        **{f"loss_{term}": repr(value) for term, value in event.terms.items()},
        **{name: repr(value) for name, value in event.figures.items()},
        "lr": repr(event.lr),
        "grad_norm": repr(event.grad_norm),
        "clipped": str(int(event.clipped)),
        "wait_seconds": f"{event.wait_seconds:.6f}",
        "step_seconds": f"{event.step_seconds:.6f}",
    }


def cut_back(path: Path, steps: int) -> int:
    """Remove the rows after step `steps` from a table, and a row that was torn. Return how many rows are left.

    What does not begin as a table of steps is emptied.

    Raises:
        OSError: it cannot be read or written.
    """
    if not path.exists():
        return 0
    rows, end = 0, 0
    with path.open("rb") as file:
        header = file.readline()
        column = _step_column(header)
        if column is not None and steps > 0:
            end = len(header)
            for line in file:
                cells = line.rstrip(b"\n").split(b",")
                if not line.endswith(b"\n") or len(cells) <= column or not cells[column].isdigit():
                    break
                if int(cells[column]) > steps:
                    break
                rows, end = rows + 1, end + len(line)
    if end < path.stat().st_size:
        os.truncate(path, end)
    return rows


def _step_column(header: bytes) -> int | None:
    """Return the place of the column `step` in a whole header line; None where it is none."""
    names = header.rstrip(b"\n").split(b",")
    return names.index(b"step") if header.endswith(b"\n") and b"step" in names else None
