"""Catches the output of C libraries on standard error, so that damage is known, and no screen is filled.

libjpeg, libpng and libtiff print "Corrupt JPEG data: 118 extraneous bytes before marker 0xd9" and decode on. Whoever
decodes knows nothing of it, and the words stand in the middle of a progress bar without the file's name.
"""

import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_STDERR = 2
_LONGEST = 4096  # bytes that are looked at; a damaged file can make a library print without end
_lock = threading.Lock()
_inside = 0  # threads that are within `caught`
_saved = -1
_file = -1


@contextmanager
def caught() -> Iterator[list[str]]:
    """Catch what is printed on the process's standard error meanwhile.

    Threads that are inside at the same time share one file: each gets what came since it began, so that a line of one
    may be told of another's picture too, and none is lost.

    Yields:
        A list that holds the lines when the block has ended.
    """
    lines: list[str] = []
    start = _enter()
    try:
        yield lines
    finally:
        lines += _leave(start)


def _enter() -> int:
    """Return the offset in the file from which on lines count; -1 where nothing can be caught."""
    global _inside, _saved, _file
    with _lock:
        try:
            if _inside == 0:
                if sys.stderr is not None:
                    sys.stderr.flush()
                _saved = os.dup(_STDERR)
                _file = _new_file()
                os.dup2(_file, _STDERR)
            start = os.fstat(_file).st_size
        except OSError:  # it is closed
            if _inside == 0:
                _restore()
            return -1
        _inside += 1
        return start


def _leave(start: int) -> list[str]:
    global _inside
    if start < 0:
        return []
    data = b""
    with _lock:
        _inside -= 1
        try:
            data = _read(start)
        except OSError:  # what was caught is lost; the standard error must not be
            pass
        finally:
            if _inside == 0:
                _restore()
    return [line.strip() for line in data.decode("utf-8", "replace").splitlines() if line.strip()]


def _read(start: int) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(_file, _LONGEST, start)
    end = os.lseek(_file, 0, os.SEEK_CUR)  # the standard error writes there, with the same offset
    try:
        os.lseek(_file, start, os.SEEK_SET)
        return os.read(_file, _LONGEST)
    finally:
        os.lseek(_file, end, os.SEEK_SET)


def _restore() -> None:
    """Give the standard error back."""
    try:
        if _saved >= 0:
            os.dup2(_saved, _STDERR)
    finally:
        _close()


def _close() -> None:
    global _saved, _file
    for number in (_saved, _file):
        if number >= 0:
            os.close(number)
    _saved = _file = -1


def _new_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("stderr", os.MFD_CLOEXEC)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
