"""A process that gives inputs to targets: it is told a target and a range, and may die of an input.

It talks in lines of JSON over its first stdin and stdout. Where it is stands in a small file of shared memory, so that
whoever started it knows which input killed it.
"""

import json
import mmap
import os
import shutil
import struct
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from attack.catalogue import target_named
from attack.engine import FINDING, Judge, Outcome, Target
from attack.trees import Room, put_tree

_PLACE = struct.Struct("<q")


class Mark:
    """The index of the input that is being read, in a file that outlives the process; -1 between ranges."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(_PLACE.size))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _PLACE.size)

    @property
    def index(self) -> int:
        """Where the worker is."""
        return int(_PLACE.unpack_from(self._memory)[0])

    @index.setter
    def index(self, index: int) -> None:
        _PLACE.pack_into(self._memory, 0, index)


def memory_folder() -> str | None:
    """A folder in memory, where the system has one: inputs are written by the million."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def save_finding(out: Path, target: Target, seed: int, index: int, outcome: Outcome) -> None:
    """Keeps an input with what came of it."""
    name = f"{target.name}-{seed}-{index}"
    given = target.input(seed, index)
    out.mkdir(parents=True, exist_ok=True)
    folder = out / name
    shutil.rmtree(folder, ignore_errors=True)
    small = {path: content for path, content in given.tree.items() if content not in target.seeds[0].values()}
    put_tree(folder, small)
    steps = [*given.steps, *target.told(given.tree)]
    text = [f"{target.name}:{seed}:{index}", outcome.signature, "", *steps, "", outcome.text, ""]
    (out / f"{name}.txt").write_bytes("\n".join(text).encode("utf-8", "backslashreplace"))


class _Desk:
    """A target that is ready, with its folder."""

    def __init__(self, name: str, room: str) -> None:
        self.place = Path(tempfile.mkdtemp(dir=room))
        self.target = target_named(name)
        prepared = self.place / "prepared"
        prepared.mkdir()
        self.target.seeds = list(self.target.prepare(prepared))
        self.judge = Judge(self.target, Room(self.place))

    def close(self) -> None:
        self.target.close()
        shutil.rmtree(self.place, ignore_errors=True)


def work(job: dict[str, object], desk: _Desk, mark: Mark, kept: Counter[str]) -> dict[str, object]:
    """Reads the inputs of a range until its end or for some seconds; what came of them."""
    first, end, seed = int(str(job["first"])), int(str(job["end"])), int(str(job["seed"]))
    until = time.monotonic() + float(str(job["seconds"]))
    counts: Counter[str] = Counter()
    findings: dict[str, list[int]] = {}
    index = first
    with desk.judge.listening():
        while index < end and (index == first or time.monotonic() < until):
            mark.index = index
            outcome = desk.judge.judge(desk.target.input(seed, index).tree)
            counts[outcome.kind] += 1
            if outcome.kind == FINDING:
                findings.setdefault(outcome.signature, []).append(index)
                kept[outcome.signature] += 1
                if kept[outcome.signature] <= 3:
                    save_finding(Path(str(job["out"])), desk.target, seed, index, outcome)
            index += 1
    mark.index = -1
    return {"end": index, "counts": counts, "findings": findings}


def main(mark_path: str, room: str) -> None:
    """Works until stdin ends.

    Args:
        mark_path: file of the `Mark`.
        room: folder for all that is written; whoever started this removes it.
    """
    talk = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    mark = Mark(Path(mark_path))
    desks: dict[str, _Desk] = {}
    kept: Counter[str] = Counter()
    try:
        for line in sys.stdin:
            job = json.loads(line)
            name = str(job["target"])
            if name not in desks:
                desks[name] = _Desk(name, room)
                kept.clear()
            print(json.dumps(work(job, desks[name], mark, kept)), file=talk, flush=True)
    finally:
        for desk in desks.values():
            desk.close()
