"""One process at a time in a folder: a lock that ends with the process that holds it, however that ends."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from yolo_proc.errors import DataError, UserError
from yolo_proc.system.files import open_own

try:
    import fcntl
except ImportError:
    KEEPS_OUT = False  # Windows has no `flock`
else:
    KEEPS_OUT = True

_held: set[int] = set()  # file descriptors


@contextmanager
def locked(path: Path, owner: Path, doing: str) -> Iterator[bool]:
    """Holds the lock of a file, which is made, and stays; where the system knows no such locks, nobody is kept out.

    Yields whether others are kept out.

    A lock of the whole system, not of this process: two that want the same file in one process are kept apart too.

    Args:
        path: the file, in a folder that is there; it says which process has the lock.
        owner: for the message, what the lock is of: a run's folder.
        doing: for the message, what the one that holds it does: "trains this run".

    Raises:
        UserError: another one holds it.
        DataError: the file cannot be made, or a link lies there.
    """
    if not KEEPS_OUT:
        yield False
        return
    try:
        file = open_own(path, os.O_RDWR)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror}") from error
    _held.add(file)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            number = os.read(file, 20).decode("ascii", "replace").strip()
            who = f"process {number}" if number.isdecimal() else "another process"
            raise UserError(f"{owner}: {who} {doing}; wait until it has ended, or stop it") from None
        except OSError:
            yield False  # no locks there, as on some network file systems
            return
        with suppress(OSError):  # on a full disk others are kept out all the same, and are not told by whom
            os.truncate(file, 0)
            os.write(file, f"{os.getpid()}\n".encode())
        yield True
    finally:
        if file in _held:  # not in a process that was forked meanwhile
            _held.remove(file)
            os.close(file)


def _let_go() -> None:
    """In a forked process: a lock is held as long as anybody has its file open, and a worker may outlive its parent."""
    while _held:
        os.close(_held.pop())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)
