"""Pieces of work in other processes."""

import os

import pytest

from yolo_proc.datasets.pool import unordered
from yolo_proc.errors import ConfigError, YoloProcError


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
