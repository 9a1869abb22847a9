"""Files that others may have put there: what is no plain file, or is too large, is refused before it is read.

A named pipe would wait for ever and a sparse file fills the memory, so every reader of a whole file reads it here.
Files of our own are made here too: a symbolic link that somebody planted under their name is not written through.
"""

import errno
import os
import re
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from yolo_proc.errors import DataError

MIB, GIB = 1 << 20, 1 << 30
# As `replace_whole` calls a file that is not whole yet; `.pt.tmp` were those of earlier releases.
HALF_WRITTEN = re.compile(r"\..+\.(pt|\d+)\.tmp")

_CHUNK = MIB
_NO_WAIT = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class UnreadableFileError(DataError):
    """A file that is not read.

    Attributes:
        path, expected, found: the parts of the message.
        reason: "missing", "kind" (a folder, pipe, socket or device), "bomb" (too large) or "system".
    """

    def __init__(self, path: Path | str, expected: str, found: str, reason: str) -> None:
        super().__init__(f"{path}: expected {expected}, found {found}")
        self.path, self.expected, self.found, self.reason = path, expected, found, reason


def open_regular(path: Path | str, what: str) -> BinaryIO:
    """Return a plain file, opened for reading its bytes; links are followed.

    Args:
        what: it is expected to be, with its article, for the message: "a picture".

    Raises:
        UnreadableFileError: there is none, it is no plain file, or the system refuses.
    """
    try:
        _check_kind(os.stat(path).st_mode, path, what)  # noqa: PTH116 before opening: a device may do something then
        file = os.fdopen(os.open(path, os.O_RDONLY | _NO_WAIT), "rb")
        try:
            _check_kind(os.fstat(file.fileno()).st_mode, path, what)  # it may be another one meanwhile
        except UnreadableFileError:
            file.close()
            raise
        return file
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a name that no file can have
        raise UnreadableFileError(path, what, "no such file", "missing") from None
    except OSError as error:
        raise _refused(path, what, error) from error


def check_regular(path: Path | str, what: str) -> None:
    """Refuse what is no plain file, for what opens the file itself.

    Raises:
        UnreadableFileError: as of `open_regular`.
    """
    open_regular(path, what).close()


def read_bytes(path: Path | str, limit: int, what: str, *, text: bool = False) -> bytes:
    """Return the bytes of a plain file.

    Args:
        limit: bytes; a longer file is refused unread.
        what: see `open_regular`.
        text: it holds no byte 0. For large limits: a sparse file is refused before it fills the memory.

    Raises:
        UnreadableFileError: as of `open_regular`, and too many bytes ("bomb").
    """
    with open_regular(path, what) as file:
        try:
            size = os.fstat(file.fileno()).st_size
            if size > limit:
                raise _too_large(path, what, limit, f"{size:,}")
            if text:
                _check_text(file, path, what)
            data = file.read(size + 1)  # of a file that the system makes up, size 0, all that there is
            if len(data) > size:
                data += file.read(limit + 1 - len(data))
        except OSError as error:
            raise _refused(path, what, error) from error
    if len(data) > limit:
        raise _too_large(path, what, limit, "more")
    return data


def read_start(path: Path | str, count: int, what: str) -> bytes:
    """Return at most the first `count` bytes of a plain file.

    Raises:
        UnreadableFileError: as of `open_regular`.
    """
    with open_regular(path, what) as file:
        try:
            return file.read(count)
        except OSError as error:
            raise _refused(path, what, error) from error


def _check_kind(mode: int, path: Path | str, what: str) -> None:
    if not stat.S_ISREG(mode):
        found = next((name for is_it, name in _KINDS if is_it(mode)), "no plain file")
        raise UnreadableFileError(path, what, found, "kind")


def _check_text(file: BinaryIO, path: Path | str, what: str) -> None:
    at = 0
    while chunk := file.read(_CHUNK):
        if (place := chunk.find(0)) >= 0:
            raise UnreadableFileError(path, what, f"a byte 0 at offset {at + place}, which is no text", "bomb")
        at += len(chunk)
    file.seek(0)


def _too_large(path: Path | str, what: str, limit: int, found: str) -> UnreadableFileError:
    return UnreadableFileError(path, f"{what} of at most {limit:,} bytes", found, "bomb")


def _refused(path: Path | str, what: str, error: OSError) -> UnreadableFileError:
    return UnreadableFileError(path, what, (error.strerror or str(error)).lower(), "system")


# ------------------------------------------------------------------------------------------ files of our own


def create(path: Path | str) -> int:
    """Return a descriptor for writing a new file. What lies there goes: a killed process left it, or it is a link.

    Raises:
        OSError: the system refuses, or a folder lies there.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        return os.open(path, flags, 0o666)
    except FileExistsError:
        os.unlink(path)  # noqa: PTH108 a text, for every picture; of a link the link itself
        return os.open(path, flags, 0o666)


def write_new(path: Path | str, *content: bytes | memoryview, durable: bool = False) -> None:
    """Write a new file; see `create`.

    Args:
        content: parts, one after the other.
        durable: it is on the disk when this returns.
    """
    file = create(path)
    try:
        for part in content:
            left = memoryview(part)
            while left:
                left = left[os.write(file, left) :]
        if durable:
            os.fsync(file)
    finally:
        os.close(file)


def replace_whole(path: Path, *content: bytes | memoryview, durable: bool = False) -> None:
    """Write a file so that a reader, or a process killed at any moment, find the old one or the new one whole.

    Args:
        path: in a folder that is there.
        content: parts, one after the other.
        durable: the new one outlives a power cut from here on.

    Raises:
        OSError: the system refuses; an older file at `path` is as it was.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.tmp")  # see `HALF_WRITTEN`
    replace_by(path, part, lambda file: write_new(file, *content, durable=durable))
    if durable:
        _sync_folder(path.parent)


def replace_by(path: Path | str, part: Path | str, save: Callable[[str], None]) -> None:
    """As `replace_whole`, of what `save` puts under the name that it is given: `part`, in the same folder.

    Raises:
        OSError: the system refuses; an older file at `path` is as it was, and `part` is gone.
    """
    # Texts and no paths: this is done for every picture of a set.
    part = str(part)
    try:
        save(part)
        os.replace(part, path)  # noqa: PTH105
    except BaseException:
        with suppress(OSError):
            os.unlink(part)  # noqa: PTH108
        raise


def half_written(folder: Path) -> list[Path]:
    """Return what `replace_whole` is writing in a folder, or a killed process left there."""
    try:
        return [path for path in folder.iterdir() if HALF_WRITTEN.fullmatch(path.name) and not path.is_dir()]
    except OSError:
        return []


def _sync_folder(folder: Path) -> None:
    """Make a rename in `folder` durable, where folders can be opened."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_own(path: Path | str, access: int) -> int:
    """Return a descriptor of a file that several processes share, made if it is not there and left as it is if it is.

    Args:
        access: `os.O_RDWR` or `os.O_WRONLY`.

    Raises:
        OSError: the system refuses, or a link, a pipe or a folder lies there.
    """
    planted = OSError(errno.ELOOP, "a link or no plain file lies there; remove it")
    try:
        file = os.open(path, access | os.O_CREAT | _NO_LINK | _NO_WAIT, 0o666)
    except OSError as error:
        raise planted if error.errno in (errno.ELOOP, errno.ENXIO) else error from None
    about = os.fstat(file)
    if not stat.S_ISREG(about.st_mode) or about.st_nlink > 1:  # 0: it was removed just now; its name is of another file
        os.close(file)
        raise planted
    return file
