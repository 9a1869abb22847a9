"""Many inputs, in worker processes: what is done is on disk, so that it is never done twice and nothing is left out.

A folder holds, for each target, which ranges of inputs are done and what came of them, and beside them the findings. It
is of one state of the code and one seed: other code gives another folder.
"""

import json
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from attack.engine import FINDING, WALL
from attack.worker import Mark, memory_folder

RANGE = 2000  # inputs that a worker is given at most
SECONDS = 4.0  # that it works before it reports
PREPARING = 180.0  # seconds that it may take to get ready
STUCK = WALL + 30.0  # on one input, before it is killed


@dataclass
class Progress:
    """What is done of one target.

    Attributes:
        next: the first index that nobody was given yet.
        open: ranges that were given to a worker and of which something is still to be reported.
        findings: by signature, how often and the first three indices.
    """

    next: int = 0
    open: list[list[int]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    findings: dict[str, tuple[int, list[int]]] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def inputs(self) -> int:
        """How many were read."""
        return self.counts.total()

    def take(self, end: int | None, busy: Collection[int]) -> tuple[int, int] | None:
        """A range to read: one that a run left behind, else the next; None where there is none below `end`.

        Args:
            busy: where ranges begin that are being read.
        """
        for first, last in self.open:
            if first not in busy:
                return first, last
        if end is not None and self.next >= end:
            return None
        first, self.next = self.next, self.next + RANGE if end is None else min(self.next + RANGE, end)
        self.open.append([first, self.next])
        return first, self.next

    def report(self, first: int, end: int, counts: Mapping[str, int], findings: Mapping[str, Sequence[int]]) -> None:
        """The inputs from `first` to `end`, which are of one open range, are read."""
        left = []
        for low, high in self.open:
            parts = [[low, min(first, high)], [max(end, low), high]] if low <= first < high else [[low, high]]
            left += [part for part in parts if part[0] < part[1]]
        self.open = left
        self.counts += Counter(counts)
        for signature, indices in findings.items():
            times, some = self.findings.get(signature, (0, []))
            self.findings[signature] = times + len(indices), [*some, *indices][:3]


class Campaign:
    """The progress of some targets in a folder."""

    def __init__(self, folder: Path, names: Sequence[str], seed: int = 0) -> None:
        self.folder, self.seed = folder, seed
        self.findings = folder / "findings"
        self.findings.mkdir(parents=True, exist_ok=True)
        self.progress = {name: self._read(name) for name in names}

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.json"

    def _read(self, name: str) -> Progress:
        if not self._path(name).exists():
            return Progress()
        values = json.loads(self._path(name).read_text())
        values["counts"] = Counter(values["counts"])
        values["findings"] = {key: (times, some) for key, (times, some) in values["findings"].items()}
        return Progress(**values)

    def save(self, name: str) -> None:
        """Keeps the progress of a target."""
        part = self._path(name).with_suffix(".part")
        part.write_text(json.dumps(vars(self.progress[name])))
        part.replace(self._path(name))

    def run(
        self, *, workers: int, inputs: int | None, seconds: float, on_report: Callable[[], None] = lambda: None
    ) -> None:
        """Gives inputs to the targets until each has had its share, or the time is over.

        Args:
            inputs: of each target; None: as many as the time allows, each target for the same time.
            seconds: at most, of the wall.
        """
        end = time.monotonic() + seconds
        crew = [_Worker(self.folder, number) for number in range(workers)]
        try:
            while True:
                for worker in crew:
                    if worker.job is None and time.monotonic() < end:
                        self._give(worker, [one.job for one in crew if one.job is not None], inputs, end)
                busy = [worker for worker in crew if worker.job is not None]
                if not busy:
                    return
                for worker in busy:
                    self._collect(worker)
                on_report()
        finally:
            for worker in crew:
                worker.stop()

    def _give(self, worker: "_Worker", jobs: Sequence["Job"], inputs: int | None, end: float) -> None:
        """Gives a worker a range of the target that had least so far; nothing where all had their share."""

        def had(name: str) -> tuple[int, float]:
            found = self.progress[name]
            mine = [job for job in jobs if job.name == name]
            # Two workers at one target only where there is no other.
            return len(mine), found.seconds if inputs is None else found.counts.total()

        for name in sorted(self.progress, key=had):
            taken = self.progress[name].take(inputs, {job.first for job in jobs if job.name == name})
            if taken is not None:
                self.save(name)
                seconds = max(0.0, min(SECONDS, end - time.monotonic()))
                worker.give(Job(name, *taken), self.seed, self.findings, seconds)
                return

    def _collect(self, worker: "_Worker") -> None:
        """Takes what a worker reports, or what is known of one that died."""
        job, reply = worker.job, worker.reply()
        if job is None or reply is None:
            return
        found = self.progress[job.name]
        found.seconds += time.monotonic() - worker.began
        found.report(reply["first"], reply["end"], reply["counts"], reply["findings"])
        self.save(job.name)
        worker.job = None
        for signature in reply["findings"] if reply["died"] else ():
            parts = [job.name, str(self.seed), str(reply["first"])]
            (self.findings / f"{'-'.join(parts)}.txt").write_text(f"{':'.join(parts)}\n{signature}\n")


@dataclass(frozen=True)
class Job:
    """A range of inputs of one target."""

    name: str
    first: int
    end: int


class _Worker:
    """One worker process, begun anew when it dies."""

    def __init__(self, folder: Path, number: int) -> None:
        self._place = tempfile.NamedTemporaryFile(prefix=f"attack-mark{number}-")  # noqa: SIM115 as long as the worker
        self._mark_path = Path(self._place.name)
        self._mark_path.write_bytes(bytes(8))
        self.mark = Mark(self._mark_path)
        self._room = tempfile.TemporaryDirectory(prefix="attack-", dir=memory_folder(), ignore_cleanup_errors=True)
        self.log = folder / f"worker{number}.log"
        self.process: subprocess.Popen[str] | None = None
        self.job: Job | None = None
        self.began = self._moved = 0.0
        self._seen = -1

    def give(self, job: Job, seed: int, out: Path, seconds: float) -> None:
        """Sends a job."""
        if self.process is None:
            words = [sys.executable, str(Path(__file__).parent), "--worker", str(self._mark_path), self._room.name]
            with self.log.open("ab") as log:
                self.process = subprocess.Popen(
                    words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, bufsize=1
                )
        values = {
            "target": job.name,
            "first": job.first,
            "end": job.end,
            "seed": seed,
            "out": str(out),
            "seconds": seconds,
        }
        self.job, self.began, self._moved, self._seen = job, time.monotonic(), time.monotonic(), -1
        self.mark.index = -1
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(values) + "\n")
        self.process.stdin.flush()

    def reply(self) -> dict[str, Any] | None:
        """The answer; None where there is none yet."""
        assert self.process is not None
        assert self.process.stdout is not None
        assert self.job is not None
        ready, _, _ = select.select([self.process.stdout], [], [], 0.2)
        line = self.process.stdout.readline() if ready else ""
        if line:
            return {"died": False, "first": self.job.first, **json.loads(line)}
        if self.process.poll() is None and not ready:
            return self._watch()
        return self._of_dead(f"killed by {_signal_name(self.process.wait())}")

    def _watch(self) -> dict[str, Any] | None:
        """Kills a worker that does not move on."""
        at = self.mark.index
        if at != self._seen:
            self._seen, self._moved = at, time.monotonic()
        if time.monotonic() - self._moved < (STUCK if at >= 0 else PREPARING):
            return None
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        return self._of_dead(f"stuck for {STUCK:g} s")

    def _of_dead(self, signature: str) -> dict[str, Any]:
        """What is known of a worker that died of an input. What it read before is read again: it told nobody."""
        assert self.job is not None
        self.process = None
        at = self.mark.index
        if at < 0:
            raise RuntimeError(f"{self.job.name}: {signature} while it was prepared; see {self.log}")
        return {"died": True, "first": at, "end": at + 1, "counts": {FINDING: 1}, "findings": {signature: [at]}}

    def stop(self) -> None:
        """Ends the process."""
        if self.process is not None:
            assert self.process.stdin is not None
            self.process.stdin.close()
            try:
                self.process.wait(timeout=2)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._place.close()
        self._room.cleanup()


def _signal_name(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
