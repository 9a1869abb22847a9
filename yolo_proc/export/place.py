"""The folder of an export: there is always one whole export under its name, the old one or the new one.

What is written lies in a hidden folder beside it, `.NAME.part`, with the lock that keeps a second export out. When all
of it is on the disk, the two folders exchange their names in one operation of the system (Linux, macOS). Where the
system has none, there are two renames, and a process that is killed between them leaves the old one in the hidden
folder: whoever opens the folder next gives it its name back.
"""

import ctypes
import errno
import os
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from yolo_proc.errors import ConfigError, DataError, UserError
from yolo_proc.system.files import UnreadableFileError, read_start
from yolo_proc.system.locking import locked

MODEL, SPEC, VECTORS, README = "model.onnx", "model.json", "vectors", "README.md"
PRECISIONS = ("fp32", "fp16", "int8")
_OURS = {MODEL, SPEC, VECTORS, README, *(f"model-{name}.onnx" for name in PRECISIONS)}

_LOCK, _NEW, _OLD, _GONE = "lock", "new", "old", "gone"  # in the hidden folder
_PARTS = (_NEW, _OLD, _GONE)
_EXCHANGE = {"linux": ("renameat2", 2), "darwin": ("renamex_np", 2)}  # function, flag
_AT_FDCWD = -100
_NOT_HERE = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EPERM}
_TRIES = 20  # to get a lock whose file its last owner removes at this moment


def check_place(out: Path) -> None:
    """Raise `ConfigError` if the folder holds anything but an earlier export, or cannot be replaced."""
    if out.resolve() in (Path.cwd(), *Path.cwd().parents):
        raise ConfigError(f"--out {out}: expected a folder of its own, found the one that the command runs in")
    if not out.exists():
        return
    if not out.is_dir():
        raise ConfigError(f"--out {out}: expected a folder, found a file")
    other = _of_others(out)
    if other is not None:
        raise ConfigError(
            f"--out {out}: expected a new folder, or that of an earlier export, found {other.name} in it; give another"
        )


@contextmanager
def replacing(out: Path) -> Iterator[Path]:
    """Return an empty folder to write to, which takes the place of `out` at the end, and is removed after an error.

    Args:
        out: not a link.

    Raises:
        UserError: another process exports to the same place.
        DataError: the hidden folder cannot be made, is a link that somebody put there, or has files of others in it.
        OSError: the system refuses to rename.
    """
    hidden = _hidden(out)
    _check_hidden(hidden)
    with _locked(out, hidden):
        try:
            _give_back(out, hidden)
            _empty(hidden)
            new = hidden / _NEW
            new.mkdir()
            yield new
            _sync(new)
            _put_in_place(new, out, hidden)
        finally:
            _remove(hidden)


def recover(out: Path) -> None:
    """Give an export its name back, if a process was killed between two renames; else does nothing."""
    try:
        out = out.resolve()
        hidden = _hidden(out)
        if os.path.lexists(out) or not any(map(_is_whole, (hidden / _OLD, _legacy(out)))):
            return
    except (OSError, ValueError):  # ValueError: a path without a name, such as /
        return
    with suppress(UserError, OSError), _locked(out, hidden):  # one that is being written comes to its name by itself
        try:
            _give_back(out, hidden)
        finally:
            _remove(hidden)


def _hidden(out: Path) -> Path:
    return out.with_name(f".{out.name}.part")


def _legacy(out: Path) -> Path:
    """Return where earlier releases put the old export for the time of two renames."""
    return out.with_name(f".{out.name}.old")


def _of_others(folder: Path) -> Path | None:
    """Return the first thing in the folder of an export that no export writes."""
    return next((one for one in sorted(folder.iterdir()) if one.name not in _OURS), None)


def _left_by_others(hidden: Path) -> Path | None:
    """Return the first thing in the hidden folder, which is emptied, that no export writes there."""
    # Earlier releases wrote the export itself there.
    other = next((one for one in sorted(hidden.iterdir()) if one.name not in {*_OURS, *_PARTS, _LOCK}), None)
    for part in (hidden / name for name in _PARTS):
        if other is None and part.is_dir() and not part.is_symlink():
            other = _of_others(part)
    return other


def _check_hidden(hidden: Path) -> None:
    """Raise `DataError` if the hidden folder holds what no export writes there."""
    if hidden.is_symlink() or not hidden.is_dir():
        return
    try:
        other = _left_by_others(hidden)
    except OSError as error:
        raise DataError(f"{hidden}: cannot be read: {error.strerror}") from error
    if other is not None:
        raise DataError(
            f"{other}: expected nothing but what an export leaves, found a file of somebody else in a folder that is "
            "removed; move it away, or give another --out"
        )


def _is_whole(folder: Path) -> bool:
    return not folder.is_symlink() and all((folder / name).exists() for name in (MODEL, SPEC, VECTORS, README))


@contextmanager
def _locked(out: Path, hidden: Path) -> Iterator[None]:
    """Hold the lock in the hidden folder, which is made; both are gone at the end, as nobody wants to see them."""
    lock = hidden / _LOCK
    for last in (attempt == _TRIES - 1 for attempt in range(_TRIES)):
        hidden.mkdir(parents=True, exist_ok=True)
        for path, is_kind in ((hidden, stat.S_ISDIR), (lock, stat.S_ISREG)):
            with suppress(FileNotFoundError):
                if not is_kind(os.lstat(path).st_mode):
                    raise DataError(f"{path}: expected a name that is free, found a link or another thing; remove it")
        try:
            holder = locked(lock, out, "exports to this folder")
            keeps_out = holder.__enter__()
        except DataError:
            if last or hidden.is_dir():
                raise
            continue  # its last owner has just removed it
        try:
            if last or not keeps_out or _is_ours(lock):
                yield
                return
        finally:
            holder.__exit__(*sys.exc_info())


def _is_ours(lock: Path) -> bool:
    """Return whether the file that is locked is still the one of that name."""
    try:
        return read_start(lock, 20, "a lock") == f"{os.getpid()}\n".encode()
    except UnreadableFileError:
        return False


def _give_back(out: Path, hidden: Path) -> None:
    """Give an old export its name back: after a kill between two renames the old export has no name, and gets it
    back.
    """
    legacy = _legacy(out)
    for old in (hidden / _OLD, legacy):
        if not os.path.lexists(out) and _is_whole(old):
            old.rename(out)
    if _is_whole(legacy) and _of_others(legacy) is None:
        shutil.rmtree(legacy, ignore_errors=True)


def _empty(hidden: Path) -> None:
    """Remove what a killed process left."""
    for one in hidden.iterdir():
        if one.is_dir() and not one.is_symlink():
            shutil.rmtree(one)
        elif one.name != _LOCK:
            one.unlink()


def _remove(hidden: Path) -> None:
    """Remove the hidden folder, unless somebody has put something into it meanwhile."""
    with suppress(OSError):
        if _left_by_others(hidden) is not None:
            (hidden / _LOCK).unlink()
            return
    shutil.rmtree(hidden, ignore_errors=True)


def _sync(folder: Path) -> None:
    """Wait until everything in a folder is on the disk: a name that outlives a power cut must have its content."""
    for place, _, names in os.walk(folder):
        for name in (*names, ""):
            with suppress(OSError):  # not every system does it for folders
                file = os.open(Path(place, name), os.O_RDONLY)
                try:
                    os.fsync(file)
                finally:
                    os.close(file)


def _put_in_place(new: Path, out: Path, hidden: Path) -> None:
    """Give the folder its name, and whatever had it another one, in the hidden folder."""
    if not out.exists():
        new.rename(out)
    elif not exchange(new, out):
        old = hidden / _OLD
        out.rename(old)
        try:
            new.rename(out)
        except OSError:
            old.rename(out)
            raise
        old.rename(hidden / _GONE)  # what is half removed is not given back


def exchange(one: Path, other: Path) -> bool:
    """Let two folders exchange their names at once; False where the system cannot.

    Raises:
        OSError: it can, and refuses.
    """
    name, flag = _EXCHANGE.get(sys.platform, ("", 0))
    function = getattr(ctypes.CDLL(None, use_errno=True), name, None) if name else None
    if function is None:
        return False
    names = os.fsencode(one), os.fsencode(other)
    linux = name == "renameat2"
    failed = function(_AT_FDCWD, names[0], _AT_FDCWD, names[1], flag) if linux else function(*names, flag)
    if not failed:
        return True
    number = ctypes.get_errno()
    if number in _NOT_HERE:
        return False
    raise OSError(number, os.strerror(number), str(other))
