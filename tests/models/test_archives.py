"""Archives in which torch would find another pickle than the one that was looked at."""

import io
import struct
from collections.abc import Callable

import pytest
import torch
from archive_files import EVIL, GOOD, end_of, name_in_capitals, packed, two_directories, whole

from yolo_proc.models.archives import ArchiveError, check_archive


def saved() -> bytes:
    stream = io.BytesIO()
    torch.save({"a": torch.zeros(3)}, stream)
    return stream.getvalue()


def two_ends() -> bytes:
    """The large end record names a directory before the one of the small record."""
    archive, evil = saved(), whole(EVIL)
    size, at = end_of(evil)
    large = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 3, 3, size, at)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, at + size, 1)
    return evil[: at + size] + large + archive[:-98] + archive[-98:-42] + locator + archive[-22:]


def with_name(old: bytes, new: bytes) -> bytes:
    assert len(old) == len(new)
    return packed({"data.pkl": GOOD, "DATA2PKL": EVIL, "version": b"3\n"}).replace(old, new)


def two_sizes() -> bytes:
    archive = bytearray(whole(GOOD))
    _, at = end_of(bytes(archive))
    struct.pack_into("<L", archive, at + 20, 3)  # as packed; unpacked it has 4
    return bytes(archive)


ATTACKS: dict[str, Callable[[], bytes]] = {
    "a name in capitals": name_in_capitals,
    "two names that differ in case": lambda: packed({"data.pkl": GOOD, "data/0": b"a", "Data/0": b"b"}),
    "a name with a byte 0": lambda: with_name(b"archive/DATA2PKL", b"archive/DATA2\0KL"),
    "two directories": two_directories,
    "two ends": two_ends,
    "bytes before": lambda: EVIL + whole(GOOD),
    "bytes behind": lambda: whole(GOOD) + b"a",
    "a comment": lambda: whole(GOOD)[:-2] + b"\1\0a",
    "another count": lambda: whole(GOOD)[:-14] + struct.pack("<2H", 2, 2) + whole(GOOD)[-10:],
    "no parts": lambda: b"PK\5\6" + bytes(18),
    "two sizes": two_sizes,
}


@pytest.mark.parametrize("name", ATTACKS)
def test_what_two_readers_read_in_two_ways_is_refused(name: str) -> None:
    archive = ATTACKS[name]()
    assert archive != whole(GOOD)
    with pytest.raises(ArchiveError):
        check_archive(archive)


@pytest.mark.parametrize("name", ["two directories", "a name in capitals"])
def test_torch_builds_what_the_attacker_wants(name: str) -> None:
    """Else nothing is shown by the refusal."""
    assert torch.load(io.BytesIO(ATTACKS[name]()), weights_only=True) == bytearray(1000)


def test_what_torch_writes_is_read() -> None:
    check_archive(saved())
    check_archive(memoryview(saved()))
    check_archive(whole(GOOD))
