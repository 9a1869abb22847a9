"""Results of a task computed in other processes, in order, while this one does something else.

What crosses to a worker is the task, pickled where processes are spawned; what comes back is its results. A user's
mistake comes back as the one line it is. Workers take what processor time is left, and leave signals to their parent.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import connection, queues
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import cv2

from yolo_proc import errors
from yolo_proc.errors import ConfigError, TrainingError, YoloProcError

MOST_PREFETCHED = 4  # results that a worker keeps ready
NICENESS = 19  # the training step's threads come first, else they wait for each other
SHARED_MEMORY = Path("/dev/shm")
_LOST = (ConnectionError, EOFError)  # what a connection raises whose other end is gone


class Task(Protocol):
    """The work of a worker process: `task(job, shared)`.

    `shared` says whether tensors of the result may lie in shared memory. If not, the result has no tensors.
    """

    def __call__(self, job: Any, shared: bool, /) -> Any: ...


@dataclass(frozen=True)
class Failure:
    """A user's mistake on its way from a worker: its class, its line, and the worker's traceback."""

    kind: type[YoloProcError]
    message: str
    trace: str


class WorkerTraceback(Exception):  # noqa: N818 it is not raised, it is the cause of what is
    """The traceback of a worker process, as text."""


def portable_class(error: YoloProcError) -> type[YoloProcError]:
    """Return the class of errors.py that an error is of: it is known in every process and takes one message."""
    known = {
        cls
        for cls in vars(errors).values()
        if isinstance(cls, type) and issubclass(cls, YoloProcError) and "__init__" not in vars(cls)
    }
    return next(cls for cls in type(error).__mro__ if cls in known)


def failure_of(error: YoloProcError) -> Failure:
    """Return an error as it crosses to another process; to be called where it is handled."""
    return Failure(portable_class(error), str(error), traceback.format_exc())


@dataclass(frozen=True)
class _Indexed:
    """The task as a DataLoader wants it: something that is indexed by a job."""

    task: Task
    shared: bool

    def __getitem__(self, job: Any) -> Any:
        try:
            return self.task(job, self.shared)
        except YoloProcError as error:
            return failure_of(error)


def check_start_method(name: str | None) -> str:
    """Return the way to start processes: as named, or for None fork on Linux (a spawned process imports all anew), else
    spawn.

    Raises:
        ConfigError: a name that this system does not have.
    """
    if name is None:
        return "fork" if sys.platform == "linux" else "spawn"
    known = multiprocessing.get_all_start_methods()
    if name not in known:
        raise ConfigError(f"workers: expected a start method of {', '.join(known)}; found {name!r}")
    return name


def in_processes(
    task: Task, jobs: Iterable[Any], workers: int, method: str, *, result_bytes: int, preload: Sequence[str] = ()
) -> Iterator[Any]:
    """Return the results of a task on each job, in the order of the jobs. The workers begin at once.

    Closing or dropping the iterator ends the workers.

    Args:
        jobs: picklable, possibly without end.
        method: as from `check_start_method`.
        result_bytes: what a result takes of shared memory.
        preload: modules that are imported once, not once a worker, where a forkserver starts the workers.

    Raises:
        YoloProcError: (from `next`) what the task raised; any other exception arrives with the worker's traceback.
        TrainingError: (from `next`) a worker died.
    """
    import torch
    from torch.utils.data import DataLoader

    context = multiprocessing.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload([__name__, "torch", *preload])
    prefetch = prefetched(workers, result_bytes)

    def make() -> Iterator[Any]:
        loader: DataLoader[Any] = DataLoader(
            _Indexed(task, shared=prefetch > 0),  # type: ignore[arg-type]  # it asks for __getitem__ only
            batch_size=None,
            sampler=jobs,
            num_workers=workers,
            collate_fn=_as_it_is,
            multiprocessing_context=context,
            worker_init_fn=_prepare_worker,
            prefetch_factor=prefetch or 2,
            generator=torch.Generator(),  # else it would draw from the global generator, and training would differ
        )
        return iter(loader)

    return _results(_quietly(make))


def prefetched(workers: int, result_bytes: int) -> int:
    """Return how many results each worker may keep in shared memory; 0 if there is too little of it for one.

    Containers often have 64 MiB, and a process that writes beyond is killed.
    """
    if not SHARED_MEMORY.is_dir():
        return MOST_PREFETCHED
    free = os.statvfs(SHARED_MEMORY).f_bavail * os.statvfs(SHARED_MEMORY).f_frsize
    # Two more: the one in use, and the one that is being replaced.
    return max(0, min(MOST_PREFETCHED, (int(0.9 * free / result_bytes) - 2) // workers))


def _quietly(make: Callable[[], Iterator[Any]]) -> Iterator[Any]:
    """Return what `make` starts, without the DataLoader's warning and without its signal handler.

    The handler would raise wherever this process is when a worker dies; the DataLoader also notices by itself when
    the next result is asked for, and there the error can be told.
    """
    main = threading.current_thread() is threading.main_thread()
    previous = signal.getsignal(signal.SIGCHLD) if main and hasattr(signal, "SIGCHLD") else None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="This DataLoader will create")  # more than there are processors
        iterator = make()
    if previous is not None:
        signal.signal(signal.SIGCHLD, previous)
    return iterator


def _as_it_is(result: Any) -> Any:
    return result


def _prepare_worker(_: int) -> None:
    import torch

    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "SIGHUP"):  # a terminal that closes tells the whole group; the parent saves first
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # A service manager sends SIGTERM to the whole group: the parent then saves and ends its workers, by a second one.
    signal.signal(signal.SIGTERM, lambda *_: signal.signal(signal.SIGTERM, signal.SIG_DFL))
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.nice(NICENESS)


def end_with_parent() -> None:
    """Make this worker end without a word once its parent is gone, which may be killed at any time.

    Waiting for its next job it would not notice, and a connection that breaks while a result is handed over would be
    told with a traceback, by threads of `multiprocessing`: whoever has lost a connection has lost the parent.
    """
    told, fed = sys.excepthook, queues.Queue._on_queue_feeder_error  # type: ignore[attr-defined]

    def unless_lost(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not isinstance(error, _LOST):
            told(kind, error, trace)

    def unless_lost_in_feeder(error: BaseException, item: object) -> None:
        if not isinstance(error, _LOST):
            fed(error, item)

    sys.excepthook = unless_lost
    queues.Queue._on_queue_feeder_error = staticmethod(unless_lost_in_feeder)  # type: ignore[attr-defined]
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    with contextlib.suppress(OSError):
        connection.wait([parent.sentinel])
    os._exit(1)


def _results(iterator: Iterator[Any]) -> Iterator[Any]:
    died = ""
    try:
        while True:
            try:
                found = next(iterator)
            except StopIteration:
                return
            except (RuntimeError, OSError, EOFError) as error:
                # A worker hands its tensors over itself, so one that died shows as a lost connection too.
                raised_there = str(error).startswith("Caught ")
                if raised_there or (isinstance(error, RuntimeError) and "exited unexpectedly" not in str(error)):
                    raise
                died = str(error) or type(error).__name__
            if died:  # outside of the handler, so that no traceback keeps the iterator and its workers alive
                raise TrainingError(
                    f"a process that draws scenes was killed or ran out of memory ({died}); fewer --workers or a "
                    "smaller --batch-size need less"
                )
            if isinstance(found, Failure):
                raise found.kind(found.message) from WorkerTraceback(found.trace)
            yield found
    finally:
        del iterator  # the workers end with the last reference to it
