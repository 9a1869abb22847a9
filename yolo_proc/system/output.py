"""Standard output and error of the command line: what a console cannot show is escaped, what cannot be written is told.

A file name that is no UTF-8, or an `é` on an ASCII console, must not end a command in the middle of a folder: such
characters are written as Python writes them, `\\xe9` and `\\udce9`, so that two names stay two. And a command that
cannot write its output ends with one line, not with a traceback; one whose reader has gone, as that of `| head -1`, in
silence.
"""

import io
import os
import sys
from contextlib import suppress
from typing import Any, TextIO

OUTPUT = "standard output"  # the file's name in the errors of what is printed
CLOSED_PIPE = 141  # 128 + SIGPIPE, as a shell has it
_NEVER_FAIL = ("backslashreplace", "ignore", "namereplace", "replace", "xmlcharrefreplace")


class _Output(io.TextIOWrapper):
    """Names itself in the errors of the system."""

    def write(self, text: str, /) -> int:
        try:
            return super().write(text)
        except OSError as error:
            raise _named(error) from error

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            raise _named(error) from error


class _Errors(io.TextIOWrapper):
    """Passes over the errors of the system: there is no place left to tell them, and the work can go on."""

    def write(self, text: str, /) -> int:
        with suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            super().flush()


def _named(error: OSError) -> OSError:
    return OSError(error.errno, error.strerror, OUTPUT)  # of the same class: Python chooses it by the number


def prepare() -> None:
    """Put streams in place of the process's own that fail for no character, and say what failed."""
    sys.stdout = _stream(sys.stdout, 1, _Output)
    sys.stderr = _stream(sys.stderr, 2, _Errors)


def _stream(old: TextIO | None, number: int, kind: type[io.TextIOWrapper]) -> TextIO:
    how: dict[str, Any] = {"encoding": "utf-8", "errors": "backslashreplace"}
    if old is None:  # closed before the start
        return kind(io.FileIO(os.open(os.devnull, os.O_WRONLY), "w"), line_buffering=True, **how)
    if not isinstance(old, io.TextIOWrapper):  # somebody's own
        return old
    how |= {"encoding": old.encoding, "line_buffering": old.line_buffering, "write_through": old.write_through}
    if old.errors in _NEVER_FAIL:
        how["errors"] = old.errors
    with suppress(OSError):
        old.flush()
    stream = kind(old.detach(), **how)
    setattr(sys, "__stdout__" if number == 1 else "__stderr__", stream)  # the old one has no file any more
    return stream


def finish(code: int) -> int:
    """Write what waits in the streams; the exit code, another one if that fails."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = CLOSED_PIPE
    except OSError as error:
        if code != CLOSED_PIPE:
            code = failed(error)
    else:
        return code
    silence(sys.stdout)  # else Python tries again at its end, and complains
    return code


def silence(file: TextIO) -> None:
    """Leads what is written to a file that takes nothing any more nowhere, what waits to be written too."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, file.fileno())
        finally:
            os.close(nowhere)


def failed(error: OSError) -> int:
    """Say in a line that the output cannot be written; the exit code."""
    print(f"yolo_proc: {OUTPUT}: cannot be written: {error.strerror}", file=sys.stderr)
    return 2


def encodable(text: str, encoding: str = "utf-8") -> str:
    """A text as a file or console of that encoding can hold it: what it has besides, as in `\\udce9`, is escaped."""
    return text.encode(encoding, "backslashreplace").decode(encoding)
