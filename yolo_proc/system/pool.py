"""Pieces of work done in other processes, in no order, without torch.

`workers.py` feeds the training loop, in order and through shared memory. Here a piece of work leaves its result in
files, so little comes back, and the order of the pieces does not matter.
"""

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

import cv2

from yolo_proc.errors import YoloProcError
from yolo_proc.system.workers import Failure, WorkerTraceback, check_start_method, end_with_parent, failure_of

J = TypeVar("J")
R = TypeVar("R")
AHEAD = 2  # pieces that wait for each worker

# In a worker: the task, which would be costly to send with every piece.
_task: Callable[[Any], Any] | None = None


def unordered(
    task: Callable[[J], R],
    jobs: Sequence[J],
    workers: int,
    *,
    stop: Callable[[], bool] = lambda: False,
    start_method: str | None = None,
) -> Iterator[R]:
    """Yield the results of a task on each job, as they come.

    Args:
        task: picklable where processes are not forked.
        workers: processes; 0: the work is done here.
        stop: asked before each piece; once it says yes, what runs is finished and nothing else begun.
        start_method: as in `workers.check_start_method`.

    Raises:
        YoloProcError: what the task raised, or a worker died.
    """
    if workers == 0 or not jobs:
        for job in jobs:
            if stop():
                return
            yield task(job)
        return
    context = multiprocessing.get_context(check_start_method(start_method))
    executor = ProcessPoolExecutor(
        min(workers, len(jobs)), mp_context=context, initializer=_begin_worker, initargs=(task,)
    )
    at_once = True
    try:
        yield from _completed(executor, jobs, AHEAD * workers, stop)
        at_once = False
    except BrokenProcessPool as error:
        at_once = False
        raise YoloProcError(
            "a process that draws was killed or ran out of memory; fewer --workers need less; what was written stays"
        ) from error
    except YoloProcError:
        at_once = False
        raise
    finally:
        # Python's own end of a pool that still ends may write to a pipe that is closed by then: a traceback.
        executor.shutdown(wait=not at_once, cancel_futures=True)


def _completed(
    executor: ProcessPoolExecutor, jobs: Sequence[Any], most: int, stop: Callable[[], bool]
) -> Iterator[Any]:
    rest = iter(jobs)
    running: set[Future[Any]] = set()
    while True:
        while len(running) < most and not stop():
            job = next(rest, None)
            if job is None:
                break
            running.add(executor.submit(_work, job))
        if not running:
            return
        done, running = wait(running, return_when=FIRST_COMPLETED)
        if stop():
            running = {one for one in running if not one.cancel()}
        for one in done:
            found = one.result()
            if isinstance(found, Failure):
                raise found.kind(found.message) from WorkerTraceback(found.trace)
            yield found


def _begin_worker(task: Callable[[Any], Any]) -> None:
    global _task
    _task = task
    cv2.setNumThreads(0)
    # Both reach the whole group of processes; the parent lets the piece in hand be finished.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: signal.signal(signal.SIGTERM, signal.SIG_DFL))
    end_with_parent()


def _work(job: Any) -> Any:
    assert _task is not None
    try:
        return _task(job)
    except YoloProcError as error:
        return failure_of(error)
