"""Kills a process at every file operation with which an export takes the place of an older one; prints what is left.

    python tests/killed_exports.py FOLDER exchange|renames old|none [second]

Every line: the number of the operation, what lies under the name ("old", "new", "none" or "broken"), and what does
after the next one opened it. `second`: the process that finds what a kill has left is killed too, at each of its
operations.
"""

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from yolo_proc.export import place

EVENTS = {"open", "os.mkdir", "os.rename", "os.rmdir", "os.remove", "os.listdir", "os.scandir", "shutil.rmtree"}
FILES = ("model.onnx", "model.json", "README.md", "vectors/index.json")
_left: list[int] = []  # operations until the kill; empty: none are counted


def watch(event: str, _: object) -> None:
    if _left and event in EVENTS:
        _left[0] -= 1
        if _left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)


def write(folder: Path, mark: str) -> None:
    for name in FILES:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(mark)


def found(out: Path) -> str:
    """The mark of all files alike, else what is wrong."""
    if not out.exists():
        return "none"
    marks = {(out / name).read_text() if (out / name).exists() else "" for name in FILES}
    return marks.pop() if len(marks) == 1 and len(list(out.iterdir())) == len(FILES) else "broken"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def killed(work: Callable[[], None]) -> bool:
    """Whether a child process was killed at its work."""
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, status
    return os.WIFSIGNALED(status)


def export(out: Path, mark: str, *, kill_at: int | None = None, from_start: bool = False) -> None:
    if from_start and kill_at is not None:
        _left[:] = [kill_at]
    with place.replacing(out) as folder:
        write(folder, mark)
        if kill_at is not None and not from_start:
            _left[:] = [kill_at]


def main(root: Path, way: str, before: str, second: bool) -> None:
    sys.addaudithook(watch)
    if way == "renames":
        place.exchange = lambda *_: False
    out = root / "letters"
    for number in range(1000):
        shutil.rmtree(root)
        root.mkdir()
        if before == "old":
            write(out, "old")
        if not killed(lambda number=number: export(out, "new", kill_at=number)):  # type: ignore[misc]
            return
        left = found(out)
        if not second:
            killed(lambda: place.recover(out))
            print(number, left, found(out))
            killed(lambda: export(out, "next"))
            assert (found(out), names(root)) == ("next", ["letters"]), (number, found(out), names(root))
            continue
        if left != "none":
            continue
        kept = root.with_name("kept")
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(root, kept)
        for again in range(1000):
            shutil.rmtree(root)
            shutil.copytree(kept, root)
            if not killed(lambda again=again: export(out, "next", kill_at=again, from_start=True)):  # type: ignore[misc]
                break
            place.recover(out)
            print(again, left, found(out))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:] == ["second"])
