"""Hypothesis: a step of the configured batch fits into memory, and the next step needs no more than the last one.

Source: PyTorch's documentation, "Frequently asked questions": memory that grows from step to step is history that is
kept across the loop; activations grow with the number of images, everything else does not, so that a peak is
base + batch * (what one image takes). Counted is the process that trains; those that draw come on top.

A process of its own (the peak of this one would hide what is asked for) takes two steps each with a quarter, a half and
all of the run's batch, but no more than 32 images, and goes on doubling until the peak has grown by 16 MiB, since what
comes before the first step may take more than a small batch. It reads the peak after each size: of the process's
resident memory on a processor, of what torch has reserved on a CUDA device. A straight line through the last three
gives the peak of the configured batch and the largest batch that fits what is free now. Eight more steps of the largest
size follow.

Thresholds: the configured batch must fit; where even the measurement runs out of memory, that is the failure. Memory
may grow by 5 % of what the largest batch takes a step: allocators gave 0 % to 2 % in healthy runs, a step that keeps
each second loss with its history 12 % (of batches that seem larger for the same reason).
"""

import math
import multiprocessing
import os
import pickle
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from yolo_proc.batch import Batch
from yolo_proc.checks.bench import Bench, Parts
from yolo_proc.checks.check import Check
from yolo_proc.config.schema import Config
from yolo_proc.errors import YoloProcError
from yolo_proc.plotting.charts import BLUE, ORANGE, RED, Axis, Page
from yolo_proc.scene import Scene
from yolo_proc.system.workers import portable_class
from yolo_proc.task import Task
from yolo_proc.training.outcomes import Figure, Finding

STEPS = 2  # of each size: the first makes the optimizer's averages, the second needs room beside them
VISIBLE = 16 * 2.0**20  # bytes by which the peak has to grow
MOST_DOUBLED = 256  # images that are not exceeded by doubling
MORE_STEPS = 8
FITTED = 3
GROWTH = 0.05
PATIENCE = 300.0  # seconds, for a machine that swaps
MIB = 2.0**20
LARGEST = 65536  # images that a batch may have
DISTINCT = 4  # scenes that are drawn; a batch is these again and again


@dataclass(frozen=True)
class MemoryRequest:
    """Request to the process that measures; all of it can be sent.

    Attributes:
        sizes: of the batches, ascending; larger ones may follow.
    """

    config: Config
    parts: Parts
    task: Task
    precision: str
    threads: int
    sizes: Sequence[int]


@dataclass(frozen=True)
class Exhausted:
    """There was not enough memory for the measurement."""


@dataclass(frozen=True)
class Measured:
    """Bytes.

    Attributes:
        peaks: after the steps of each size.
        growth: a step, of the peak, in the steps that follow.
    """

    sizes: Sequence[int]
    peaks: Sequence[float]
    growth: float

    @property
    def line(self) -> tuple[float, float]:
        """(bytes an image, bytes of everything else) by least squares over the last three."""
        if len(self.sizes) < 2:
            return self.peaks[0] / self.sizes[0], 0.0
        slope, base = np.polyfit(self.sizes[-FITTED:], self.peaks[-FITTED:], 1)
        return max(float(slope), 1.0), float(base)

    def peak(self, size: int) -> float:
        """Tell of a batch; measured where it was."""
        slope, base = self.line
        return dict(zip(self.sizes, self.peaks, strict=True)).get(size, base + slope * size)

    def largest(self, free: float) -> int:
        """Return the largest batch with at most `free` bytes; 0 where not one image fits."""
        slope, base = self.line
        return max(0, min(LARGEST, math.floor((free - base) / slope)))


def run(bench: Bench) -> Finding:
    """See the module."""
    size = bench.config.batch_size
    most = bench.batch_size
    sizes = sorted({max(1, most // 4), max(1, most // 2), most})
    threads = torch.get_num_threads()
    request = MemoryRequest(bench.config, bench.parts, bench.task, bench.precision, threads, sizes)
    free = free_bytes(bench.device)
    found = in_process(request)
    if isinstance(found, str):
        return Finding.not_applicable(found)
    if isinstance(found, Exhausted):
        return _broken_off(sizes[0], free)
    peak, largest = found.peak(size), found.largest(free)
    image = found.line[0]
    leak = found.growth / (image * found.sizes[-1])
    fits = peak <= free
    causes = []
    if leak > GROWTH:
        causes.append(
            f"memory grows by {found.growth / MIB:.1f} MiB a step, {leak:.0%} of what a batch takes: something of each "
            "step is kept (a loss with its history in a list, outputs, hooks)"
        )
    if not fits:
        causes.append(
            f"the batch is too large: {size} images take {peak / MIB:,.0f} MiB, {free / MIB:,.0f} MiB are free; "
            f"{largest} would fit"
        )
    figures: dict[str, Figure] = {
        "peak MiB": peak / MIB,
        "free MiB": free / MIB,
        "MiB an image": image / MIB,
        "largest batch": largest,
        "growth MiB a step": found.growth / MIB,
        "growth share": leak,
    }
    figures |= {f"peak MiB of {one}": value / MIB for one, value in zip(found.sizes, found.peaks, strict=True)}
    return Finding.judged(
        not causes,
        expected=f"a peak within {free / MIB:,.0f} MiB, growth of at most {GROWTH:.0%} of a batch a step",
        measured=f"{peak / MIB:,.0f} MiB for {size} images, {image / MIB:.1f} MiB an image, the largest batch that "
        f"fits: {largest}; growth {leak:.1%}",
        figures=figures,
        causes=causes,
        remedy=f"--batch-size {max(1, largest)} or less, or a smaller --image-size"
        if not fits
        else "keep numbers (loss.item()) and no tensors of a step",
        evidence={"peak": lambda: _picture(found, size, free)},
    )


def _broken_off(size: int, free: float) -> Finding:
    """Return the process ran out of memory, or the system ended it for that."""
    return Finding.judged(
        False,
        expected=f"a few steps of {size} images and more in {free / MIB:,.0f} MiB",
        measured="the process that took them ran out of memory",
        figures={"free MiB": free / MIB},
        causes=[f"the batch is too large: not even {size} images and a few more fit into {free / MIB:,.0f} MiB"],
        remedy="a smaller --batch-size, --image-size or network",
    )


# --------------------------------------------------------------------------------------------- measurement


def free_bytes(device: torch.device) -> float:
    """Return bytes that a process may take on a device: on a processor, what is free without swapping, within its
    group.
    """
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    free = float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemAvailable:"):
            free = 1024.0 * int(line.split()[1])
    # What a container may take. Its own use counts pages of files too, which make room.
    for limit, used in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ):
        most, now = "".join(_lines(limit)).strip(), "".join(_lines(used)).strip()
        if most.isdigit() and now.isdigit():
            free = min(free, max(0.0, float(most) - float(now)))
    return free


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="ascii").splitlines()
    except OSError:
        return []


def in_process(request: MemoryRequest) -> Measured | Exhausted | str:
    """Return the measurement, made in a process of its own; or why it cannot be made.

    Raises:
        YoloProcError: what the pipeline raised there.
    """
    if sys.platform == "win32":
        return "the peak of a process is not known to Python on this system"
    try:
        pickle.dumps(request)
    except (pickle.PicklingError, AttributeError, TypeError):
        return "parts of this pipeline cannot be sent to another process"
    # Not forked from this process, whose memory would count, and whose threads would be missing there.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(request, there), daemon=True)
    process.start()
    there.close()
    try:
        answer = here.recv() if here.poll(PATIENCE) else f"no answer within {PATIENCE:.0f} s from what measures"
    except EOFError:
        process.join()
        # A positive code is an exception of ours, whose traceback is on stderr.
        assert process.exitcode == -signal.SIGKILL, f"the process that measures ended with {process.exitcode}"
        return Exhausted()
    finally:
        process.kill()
        process.join()
        here.close()
    if isinstance(answer, YoloProcError):
        raise answer
    assert isinstance(answer, Measured | Exhausted | str)
    return answer


def _child(request: MemoryRequest, answer: Connection) -> None:
    try:
        answer.send(measure(request))
    except YoloProcError as error:
        answer.send(portable_class(error)(str(error)))
    except (MemoryError, RuntimeError) as error:
        # torch has a class of its own for a device's memory, and a plain RuntimeError for the processor's.
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and "can't allocate memory" not in str(error):
            raise
        answer.send(Exhausted())


def measure(request: MemoryRequest) -> Measured:
    """Take the steps and read the peaks; in this process."""
    torch.set_num_threads(request.threads)
    bench = Bench(request.config, request.parts, task=request.task, precision=request.precision)
    state = bench.new_state()
    drawn = [bench.scene(index) for index in range(DISTINCT)]
    sizes, peaks = list(request.sizes), []
    for size in sizes:  # grows
        batch = batch_of(drawn, size)
        for _ in range(STEPS):
            bench.learn(state, batch)
        peaks.append(_peak(bench.device))
        if size == sizes[-1] and peaks[-1] - peaks[0] < VISIBLE and 2 * size <= MOST_DOUBLED:
            sizes.append(2 * size)
    for _ in range(MORE_STEPS):
        bench.learn(state, batch)
    return Measured(sizes, peaks, (_peak(bench.device) - peaks[-1]) / MORE_STEPS)


def batch_of(drawn: Sequence[Scene], size: int) -> Batch:
    """Return a batch of `size` scenes: those that were drawn, again and again."""
    return Batch.of([drawn[place % len(drawn)] for place in range(size)])


def _peak(device: torch.device) -> float:
    """Return the most bytes that this process has had so far."""
    if device.type == "cuda":
        return float(torch.cuda.max_memory_reserved(device))
    import resource  # not on every system

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(most if sys.platform == "darwin" else 1024 * most)


# ------------------------------------------------------------------------------------------------- evidence


def _picture(found: Measured, size: int, free: float) -> NDArray[np.uint8]:
    page = Page(1, 1, (760, 400), 0)
    plot = page.panel("Peak of memory by images in a batch")
    most = max(*found.sizes, size)
    top = 1.1 * max(found.peak(most), *found.peaks) / MIB
    plot.axes(Axis("images in a batch", 0, 1.05 * most), Axis("MiB", 0, top))
    slope, base = found.line
    plot.curve([0, most], [base / MIB, (base + slope * most) / MIB], BLUE)
    plot.crosses([(one, peak / MIB) for one, peak in zip(found.sizes, found.peaks, strict=True)], ORANGE)
    if free / MIB <= top:
        plot.curve([0, 1.05 * most], [free / MIB] * 2, RED)
    plot.note(f"{free / MIB:,.0f} MiB are free: {found.largest(free)} images")
    return page.finished()


CHECK = Check(
    "memory",
    group="optimisation",
    asserted="the configured batch fits into memory, and no step needs more than the one before",
    quick=False,
    run=run,
    any_task=True,
)
