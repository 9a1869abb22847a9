"""One process at a time in a folder: a lock that ends with the process that holds it, however that ends."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from yolo_proc.errors import DataError, UserError
from yolo_proc.system.files import UnreadableFileError, open_own, read_start

# What a file system without locks answers, such as some of a network.
_NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOLCK)


@contextmanager
def locked(path: Path, owner: Path, doing: str) -> Iterator[bool]:
    """Hold the lock of a file, which is made, and stays; where the system knows no such locks, nobody is kept out.

    Yields whether others are kept out.

    A lock of the whole system, not of this process: two that want the same file in one process are kept apart too. A
    forked process does not have it.

    Args:
        path: the file, in a folder that is there; it says which process has the lock.
        owner: for the message, what the lock is of: a run's folder.
        doing: for the message, what the one that holds it does: "trains this run".

    Raises:
        UserError: another one holds it.
        DataError: the file cannot be made, or a link lies there.
    """
    lock = FileLock(path, timeout=0, thread_local=False, preserve_lock_file=True, on_acquired=_sign)
    try:
        os.close(open_own(path, os.O_RDWR))  # no link, and a line of our own where the folder is not there
        lock.acquire()
    except Timeout:
        raise UserError(f"{owner}: {_holder(path)} {doing}; wait until it has ended, or stop it") from None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise DataError(f"{path}: cannot be written: {error.strerror}") from error
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _sign(file: int) -> None:
    """Write into the file who has the lock; on a full disk others are kept out all the same."""
    with suppress(OSError):
        os.ftruncate(file, 0)
        os.write(file, f"{os.getpid()}\n".encode())


def _holder(path: Path) -> str:
    """Return who has the lock, in words."""
    try:
        number = read_start(path, 20, "a lock").decode("ascii", "replace").strip()
    except UnreadableFileError:
        number = ""
    return f"process {number}" if number.isdecimal() else "another process"
