"""Files that somebody made on purpose, each given to the command line once, in a process of its own.

What must hold: the exit code is 2 (or 0 where a bad part is only told), every line is printable and none is a
traceback, nothing is run, nothing outside of the folder is read into the output or changed, and it ends soon and in
little memory.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from attack.once import Once, Trial
from attack.worker import memory_folder

SECRET = b"secret-4711-of-another-user"
SECONDS = 25.0  # of processor time, the imports among them
MIB = 1500.0  # torch takes 400 of them
WALL = 90.0  # seconds on a busy machine, until it counts as hanging
TESTS = Path(__file__).parents[1]


@dataclass(frozen=True)
class Malicious:
    """One attack.

    Attributes:
        name, group: for the table.
        make: writes the files to a folder. Beside it lies `outside/secret.txt`; code that is run makes `ran` there.
        words: of the command; `{in}` is that folder, `{out}` one beside it, `{model}` and `{run}` are sound.
        codes: exit codes that are right.
    """

    name: str
    group: str
    make: Callable[[Path], None]
    words: tuple[str, ...]
    codes: tuple[int, ...] = (2,)


def run(case: Malicious, sound: Callable[[], Path], module: str = "yolo_proc") -> list[Once]:
    """Gives it to the command line, which is `python -m module`."""
    place = Path(tempfile.mkdtemp(prefix="malicious-", dir=memory_folder()))
    try:
        (place / "outside").mkdir()
        (place / "outside" / "secret.txt").write_bytes(SECRET)
        (place / "in").mkdir()
        case.make(place / "in")
        before = _state(place)
        where = {"{in}": place / "in", "{out}": place / "out"}
        if any("{model}" in word or "{run}" in word for word in case.words):
            where |= {"{model}": sound() / "model.onnx", "{run}": sound() / "run.pt"}
        words = [_filled(word, where) for word in case.words]
        code, said, seconds, mib = _run(module, words, place)
        wrong = list(_wrong(case, code, said, seconds, mib, place, before))
    finally:
        shutil.rmtree(place, ignore_errors=True)
    line = (said.strip().split("\n") or [""])[-1]
    return [Once(case.group, case.name, not wrong, "; ".join([*wrong, line[-300:]]), seconds, mib)]


def _filled(word: str, where: Mapping[str, Path]) -> str:
    for name, path in where.items():
        word = word.replace(name, str(path))
    return word


def _run(module: str, words: list[str], place: Path) -> tuple[int, str, float, float]:
    """Exit code (negative: a signal), stderr, processor seconds, MiB at most."""
    environment = {**os.environ, "PYTHONPATH": str(TESTS.parent), "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as usage:
        words = [sys.executable, "-S", "-c", _LAUNCHER, str(usage.fileno()), sys.executable, "-m", module, *words]
        process = subprocess.Popen(
            words,
            cwd=place,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            env=environment,
            pass_fds=[usage.fileno()],
            start_new_session=True,
        )
        try:
            process.wait(WALL)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        said.seek(0)
        usage.seek(0)
        text = said.read(100_000).decode("utf-8", "backslashreplace")
        code, seconds, kib = (usage.read().decode().split() or ["-9", f"{WALL}", "0"])[:3]
    return int(code), text, float(seconds), float(kib) / 1024


# Between us and the command, because the peak of a process begins with that of the one that starts it.
_LAUNCHER = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_DATA, (4 << 30, 4 << 30))
process = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(process, 0)
code = os.waitstatus_to_exitcode(status)
os.write(int(sys.argv[1]), f"{code} {usage.ru_utime + usage.ru_stime} {usage.ru_maxrss}".encode())
"""


def _wrong(
    case: Malicious, code: int, said: str, seconds: float, mib: float, place: Path, before: Mapping[str, object]
) -> Iterator[str]:
    if (place / "ran").exists():
        yield "CODE WAS RUN"
    if code == -9:
        yield f"did not end within {WALL:g} s"
    elif code not in case.codes:
        yield f"exit code {code}"
    if "Traceback" in said:
        yield "a traceback"
    lines = said.rstrip("\n").split("\n")
    if not all(line.isprintable() for line in lines):
        yield f"a line that is not printable: {said[-200:]!r}"
    if code == 2 and not lines[-1].startswith("yolo_proc") and "skipped" not in said:
        yield "the last line is not ours"
    if len(lines) > 20:
        yield f"{len(lines)} lines"
    if seconds > SECONDS:
        yield f"{seconds:.0f} s of processor time"
    if mib > MIB:
        yield f"{mib:.0f} MiB"
    if any(SECRET in path.read_bytes() for path in (place / "out").rglob("*") if path.is_file()):
        yield "a file from outside is in the output"
    if SECRET.decode() in said:
        yield "a file from outside is shown"
    after = _state(place)
    changed = {path for path in {*before, *after} if before.get(path) != after.get(path)} - {"ran"}
    if "--out" in case.words and case.words[case.words.index("--out") + 1] == "{in}":
        changed = {path for path in changed if not path.startswith("in/")}
    if changed:
        yield f"changed: {', '.join(sorted(changed))}"


def _state(place: Path) -> dict[str, object]:
    """Of all files but the output's: what they are, and the content of those outside."""
    found: dict[str, object] = {}
    for path in place.rglob("*"):
        name = str(path.relative_to(place))
        if name.split("/")[0] != "out" and "__pycache__" not in name:
            found[name] = path.read_bytes() if name == "outside/secret.txt" else path.lstat().st_mode
    return found


def malicious_trials() -> dict[str, Trial]:
    """All of them by name."""
    from attack import malicious_files, malicious_sets

    sound = malicious_files.Sound()
    cases = [*malicious_sets.cases(), *malicious_files.cases()]
    names = [case.name for case in cases]
    assert len(set(names)) == len(names), [name for name in names if names.count(name) > 1]
    return {case.name: partial(run, case, sound) for case in cases}
