"""Guards `torch.load`: it is given an archive as `torch.save` writes it, and nothing else.

`torch.load` unpacks what is compressed (1 MB to 1 GB and more), and its restricted unpickler still makes objects of any
size by name (`bytearray(10**10)`). So the archive is looked at first; nothing of it is unpacked or built:

- a zip archive whose parts are stored as they are and together no longer than the file;
- in which torch's zip reader finds the same parts as `zipfile`: one directory, at the place that the end record names,
  and no two names that differ in case alone;
- a pickle of plain values and of the names that make tensors.
"""

import io
import pickletools
import re
import struct
import zipfile

MOST_PARTS = 100_000
# The names that `torch.save` writes for tensors of any type, for dictionaries and for bytes.
_NAMES = re.compile(
    r"torch\._utils _rebuild_tensor_v[23]|torch \w+Storage|torch\.storage UntypedStorage"
    r"|torch (bfloat16|u?int\d+|float\d+)|collections OrderedDict|_codecs encode"
)
# torch reads a name to its first byte 0, and without regard to case.
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_./+-]+")
# The records at a zip archive's end: "disk" numbers, entries, and the directory's size and offset.
_END, _LOCATOR, _END64 = struct.Struct("<4s4H2LH"), struct.Struct("<4sLQL"), struct.Struct("<4sQ2H2L4Q")
_OPCODES = frozenset("PROTO STOP MARK GLOBAL REDUCE BINPERSID BINPUT LONG_BINPUT BINGET LONG_BINGET".split())  # noqa: SIM905
_OPCODES |= frozenset("NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 LONG4 BINFLOAT BINUNICODE".split())  # noqa: SIM905
_OPCODES |= frozenset("EMPTY_DICT SETITEM SETITEMS EMPTY_LIST APPEND APPENDS".split())  # noqa: SIM905
_OPCODES |= frozenset("EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3".split())  # noqa: SIM905


class ArchiveError(Exception):
    """A file that is no archive of ours."""


def check_archive(payload: bytes | memoryview) -> None:
    """Refuse what `torch.save` does not write of plain values and tensors; it runs and unpacks nothing.

    Raises:
        ArchiveError: says what was found.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(payload)) as archive:
            _check_parts(archive.infolist(), len(payload))
            _check_directory(memoryview(payload), archive)
            pickles = [part for part in archive.infolist() if part.filename.lower().endswith("/data.pkl")]
            if len(pickles) != 1:
                raise ArchiveError(f"{len(pickles)} pickles in an archive")
            _check_pickle(archive.read(pickles[0]))
    except ArchiveError:
        raise
    except (zipfile.BadZipFile, ValueError, OSError, EOFError, LookupError, RuntimeError, struct.error) as error:
        # Whatever zipfile and pickletools make of bytes that somebody made up.
        raise ArchiveError(f"no archive of plain values ({type(error).__name__})") from error


def _check_parts(parts: list[zipfile.ZipInfo], size: int) -> None:
    if len(parts) > MOST_PARTS:
        raise ArchiveError(f"{len(parts)} parts in an archive")
    for part in parts:
        if part.compress_type != zipfile.ZIP_STORED or part.flag_bits & 1:
            raise ArchiveError("a compressed or encrypted part, which is never written here")
        if part.compress_size != part.file_size:
            raise ArchiveError("a part of two sizes")
        if not _PLAIN_NAME.fullmatch(part.orig_filename) or part.orig_filename != part.filename:
            raise ArchiveError(f"a part named {part.orig_filename[:60]!r}")
    if sum(part.file_size for part in parts) > size:
        raise ArchiveError(f"parts of {sum(part.file_size for part in parts)} bytes in a file of {size}")
    if len({part.filename.lower() for part in parts}) != len(parts):
        raise ArchiveError("two parts of one name")


def _check_directory(payload: memoryview, archive: zipfile.ZipFile) -> None:
    """Refuse an archive in which two readers may find two directories.

    `zipfile` looks for the directory right before the end record, and moves all offsets by what was put before the
    archive; torch reads it where the end record says.
    """
    ends = len(payload) - _END.size
    mark, *numbers, comment = _END.unpack(payload[ends:])
    if mark != b"PK\5\6" or comment:
        raise ArchiveError("other bytes behind the archive")
    values = tuple(numbers)
    at = ends - _LOCATOR.size
    if bytes(payload[at : at + 4]) == b"PK\6\7":
        ends = at - _END64.size
        mark, length, *_, disk, start_disk, here, entries, size, offset = _END64.unpack(payload[ends:at])
        if (mark, length) != (b"PK\6\6", _END64.size - 12) or _LOCATOR.unpack_from(payload, at)[2] != ends:
            raise ArchiveError("a damaged end")
        large = (disk, start_disk, here, entries, size, offset)
        mosts = (0xFFFF,) * 4 + (0xFFFFFFFF,) * 2
        if any(small not in (value, most) for small, value, most in zip(values, large, mosts, strict=True)):
            raise ArchiveError("two ends that differ")
        values = large
    parts = archive.infolist()
    disk, start_disk, here, entries, size, offset = values
    if disk or start_disk or here != entries or entries != len(parts):
        raise ArchiveError(f"{len(parts)} parts in an archive of {entries}")
    if offset + size != ends or archive.start_dir != offset:
        raise ArchiveError("a directory that is not where the archive's end says")
    if bytes(payload[:4]) != b"PK\3\4" or min(part.header_offset for part in parts) != 0:
        raise ArchiveError("other bytes before the archive")
    if any(_count_sizes(part.extra) > 1 for part in parts):
        raise ArchiveError("a part of two sizes")


def _count_sizes(extra: bytes) -> int:
    """Return how many of a part's extra fields say how large it is: one if it is beyond 4 GB."""
    count = at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        count += kind == 1
        at += 4 + length
    return count


def _check_pickle(content: bytes) -> None:
    for opcode, argument, _ in pickletools.genops(content):
        if opcode.name not in _OPCODES:
            raise ArchiveError(f"a pickle with {opcode.name}, which plain values do not need")
        if opcode.name == "GLOBAL" and not _NAMES.fullmatch(str(argument)):
            name = str(argument).replace(" ", ".")[:60]
            raise ArchiveError(f"a pickle that would use {name!r}")
