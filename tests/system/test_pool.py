"""Pieces of work in other processes."""

import os
import socket
import struct
import sys
from multiprocessing import resource_sharer
from multiprocessing.reduction import DupFd
from typing import Any

import pytest

from yolo_proc.errors import ConfigError, YoloProcError
from yolo_proc.system.pool import unordered
from yolo_proc.system.workers import check_start_method, in_processes


def _square(number: int) -> int:
    if number == 13:
        raise ConfigError("thirteen")
    if number == 66:
        os._exit(1)
    return number * number


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_the_pool_does_every_piece(workers: int) -> None:
    assert sorted(unordered(_square, range(10), workers)) == [number * number for number in range(10)]
    assert list(unordered(_square, [], workers)) == []
    with pytest.raises(ConfigError, match="thirteen"):
        list(unordered(_square, range(20), workers))


def test_a_worker_that_dies_is_told() -> None:
    with pytest.raises(YoloProcError, match="was killed or ran out of memory"):
        list(unordered(_square, [66], 1))


@pytest.mark.parametrize("workers", [0, 2])
def test_the_pool_stops_when_it_is_asked_to(workers: int) -> None:
    done: list[int] = []
    for found in unordered(_square, range(100, 10_000), workers, stop=lambda: len(done) >= 3):
        done.append(found)
    assert 3 <= len(done) <= 3 + 3 * workers


def _lose_a_connection(job: int) -> int:
    """A worker whose parent is killed while a tensor is handed over: the sharer's thread loses its connection."""
    shared: Any = DupFd(0)
    address, _ = shared._id
    with socket.socket(socket.AF_UNIX) as there:
        there.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        there.connect(address)
    sharer: Any = resource_sharer
    sharer._resource_sharer.stop(timeout=5)
    return job


def _lose_it_with_torch(job: int, shared: bool) -> int:
    return _lose_a_connection(job) if shared else job


@pytest.mark.skipif(sys.platform != "linux", reason="its sockets have paths in the file system")
def test_a_lost_connection_is_no_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    assert list(unordered(_lose_a_connection, [5], 1)) == [5]
    method = check_start_method(None)
    assert list(in_processes(_lose_it_with_torch, [6], 1, method, result_bytes=8)) == [6]
    assert capfd.readouterr().err == ""


def _fail_in_a_thread(job: int) -> int:
    sys.excepthook(ValueError, ValueError("something else"), None)
    return job


def test_other_failures_of_threads_are_told(capfd: pytest.CaptureFixture[str]) -> None:
    assert list(unordered(_fail_in_a_thread, [5], 1)) == [5]
    assert "ValueError: something else" in capfd.readouterr().err
