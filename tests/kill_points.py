"""Kills a process right before any one of its file operations, to see what it leaves.

    found = operations(work, root)              # beneath root: ["open a.tmp", "fsync", "rename a.tmp -> a"]
    for number in range(len(found)):
        assert killed_at(work, root, number)    # the same again, ended by SIGKILL just before operation `number`
        ...                                     # look at root, resume, compare

`work` is called in a forked child, so that a kill costs no new imports; it may end by returning or raising. A command
of its own process: `command_killed_at([sys.executable, "-m", "yolo_proc", ...], root, number)`.

An operation is what changes the file system: opening for writing (which makes or empties a file), making, renaming,
removing, linking, truncating, and fsync. Python tells of them before they happen (`sys.addaudithook`), whoever calls
them; fsync is wrapped. Between two operations only bytes are written to a file that is open: `torn=True` cuts the file
that was opened last to half before the kill, as if the disk had the first half alone.

With forked processes in `work` only the first process counts and is killed.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

# Audit events, and how many of their arguments are paths.
_EVENTS = {
    "os.rename": 2, "os.remove": 1, "os.mkdir": 1, "os.rmdir": 1, "os.link": 2, "os.symlink": 2, "os.truncate": 1,
    "os.chmod": 1, "os.utime": 1,
}  # fmt: skip
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
SECONDS = 120.0  # after which a child hangs


class _Counter:
    """Counts operations beneath a folder, writes each to a pipe, and kills at one.

    Args:
        at: the number of the operation, -1 for none.
        report: descriptor for the names, -1 for none.
    """

    def __init__(self, root: Path, at: int, report: int, torn: bool) -> None:
        self.root = os.path.realpath(root)
        self.at = at
        self.report = report
        self.torn = torn
        self.count = 0
        self.owner = os.getpid()
        self.last = ""

    def begin(self) -> None:
        fsync = os.fsync

        def counted(file: Any) -> None:
            self.met("fsync", ())
            fsync(file)

        os.fsync = counted
        sys.addaudithook(self.hook)

    def hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, str | bytes) and flags & _WRITING:
                self.met("open", (path,))
        elif event in _EVENTS:
            self.met(event.removeprefix("os."), arguments[: _EVENTS[event]])

    def met(self, what: str, paths: Sequence[Any]) -> None:
        names = [os.path.realpath(os.fsdecode(path)) for path in paths if isinstance(path, str | bytes | os.PathLike)]
        if os.getpid() != self.owner or (paths and not any(f"{name}/".startswith(f"{self.root}/") for name in names)):
            return
        if self.count == self.at:
            self.at = -1  # this operation is told of too
            if self.torn and self.last:
                with suppress(OSError):  # it has another name by now
                    os.truncate(self.last, Path(self.last).stat().st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        self.count += 1
        self.last = names[0] if what == "open" else self.last
        if self.report >= 0:
            shown = " -> ".join(os.path.relpath(name, self.root) for name in names)
            os.write(self.report, f"{what} {shown}".rstrip().encode(errors="replace") + b"\n")


def operations(work: Callable[[], object], root: Path) -> list[str]:
    """The operations beneath `root` of `work`, called in a forked child.

    Raises:
        AssertionError: it was killed, or hangs.
    """
    reader, writer = os.pipe()
    child = _forked(work, root, -1, writer, torn=False, unused=reader)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as lines:
        found = lines.read().splitlines()
    assert os.WIFEXITED(_ended(child)), "it was killed by another signal"
    return found


def killed_at(work: Callable[[], object], root: Path, number: int, *, torn: bool = False) -> bool:
    """Calls `work` in a forked child that is killed right before operation `number`, from 0.

    Returns whether it came so far; False where it ended before.
    """
    status = _ended(_forked(work, root, number, -1, torn=torn))
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def _forked(work: Callable[[], object], root: Path, at: int, report: int, *, torn: bool, unused: int = -1) -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child:
        return child
    try:
        if unused >= 0:
            os.close(unused)
        torch = sys.modules.get("torch")
        if torch is not None:
            torch.set_num_threads(1)  # a forked child has no thread pool
        _Counter(root, at, report, torn).begin()
        work()
        os._exit(0)
    finally:
        os._exit(1)


def _ended(child: int) -> int:
    """The status of a child; one that hangs is killed.

    Raises:
        AssertionError: it hung.
    """
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    raise AssertionError(f"it did not end in {SECONDS:.0f} s")


def command_killed_at(
    words: Sequence[str | Path], root: Path, number: int, *, torn: bool = False, **how: Any
) -> subprocess.CompletedProcess[str]:
    """Runs `[python, "-m", module, ...]`, killed right before operation `number`; its return code is then -SIGKILL.

    Args:
        number: -1 for no kill: the operations are then the last lines of stderr, each after `kill point: `.
        how: for `subprocess.run`.
    """
    python, flag, module, *rest = map(str, words)
    assert flag == "-m", "expected [python, '-m', module, ...]"
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import kill_points\n"
        f"kill_points.run_module({module!r}, {rest!r}, {str(root)!r}, {number}, {torn})"
    )
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=False, **how)


def run_module(module: str, arguments: list[str], root: str, number: int, torn: bool) -> None:
    """The body of `command_killed_at`'s process."""
    import atexit
    import runpy

    reader, writer = os.pipe() if number < 0 else (-1, -1)
    if number < 0:
        os.set_blocking(writer, False)
        atexit.register(lambda: _print_operations(reader, writer))
    sys.argv = [module, *arguments]
    _Counter(Path(root), number, writer, torn).begin()
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _print_operations(reader: int, writer: int) -> None:
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as lines:
        for line in lines:
            print(f"kill point: {line.rstrip()}", file=sys.stderr)
