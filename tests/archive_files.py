"""Archives in which `zipfile` finds a good pickle, and torch another one."""

import io
import pickle
import struct
import zipfile
from collections.abc import Mapping

GOOD = b"\x80\x02}."  # an empty dictionary
EVIL = pickle.dumps(bytearray(1000), 2)


def packed(parts: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as file:
        for name, content in parts.items():
            file.writestr(zipfile.ZipInfo(f"archive/{name}"), content)
    return stream.getvalue()


def whole(data: bytes) -> bytes:
    return packed({"data.pkl": data, "byteorder": b"little", "version": b"3\n"})


def end_of(archive: bytes) -> tuple[int, int]:
    """Size and offset of the directory."""
    size, offset = struct.unpack_from("<2L", archive, len(archive) - 10)
    return size, offset


def two_directories(evil_pickle: bytes = EVIL) -> bytes:
    """Torch reads the first one, where the end record points; zipfile the last, right before the end record."""
    evil, good = whole(evil_pickle), bytearray(whole(GOOD))
    (evil_size, evil_at), (size, at) = end_of(evil), end_of(bytes(good))
    entry = at
    while good[entry : entry + 4] == b"PK\1\2":
        (local,) = struct.unpack_from("<L", good, entry + 42)
        struct.pack_into("<L", good, entry + 42, local + evil_at - at)  # zipfile adds what seems to be before
        entry += 46 + struct.unpack_from("<H", good, entry + 28)[0]
    return evil[: evil_at + evil_size] + good[: at + size] + good[-22:-10] + struct.pack("<2LH", size, evil_at, 0)


def name_in_capitals(evil_pickle: bytes = EVIL) -> bytes:
    """Torch looks for names without regard to case; in this order it finds the wrong one."""
    return packed({"data.pkl": GOOD, "version": b"3\n", "DATA.PKL": evil_pickle, "byteorder": b"little"})
