"""What torch is given to read: an archive as `torch.save` writes it, and nothing else.

`torch.load` unpacks what is compressed (1 MB to 1 GB and more), and its restricted unpickler still makes objects of any
size by name (`bytearray(10**10)`). So the archive is looked at first, without unpacking or building anything:

- a zip archive whose parts are stored as they are and together no longer than the file;
- a pickle of plain values and of the names that make tensors.
"""

import io
import pickletools
import re
import zipfile

MOST_PARTS = 100_000
# The names that `torch.save` writes for tensors of any type, for dictionaries and for bytes.
_NAMES = re.compile(
    r"torch\._utils _rebuild_tensor_v[23]|torch \w+Storage|torch\.storage UntypedStorage"
    r"|torch (bfloat16|u?int\d+|float\d+)|collections OrderedDict|_codecs encode"
)
_OPCODES = frozenset("PROTO STOP MARK GLOBAL REDUCE BINPERSID BINPUT LONG_BINPUT BINGET LONG_BINGET".split())  # noqa: SIM905
_OPCODES |= frozenset("NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 LONG4 BINFLOAT BINUNICODE".split())  # noqa: SIM905
_OPCODES |= frozenset("EMPTY_DICT SETITEM SETITEMS EMPTY_LIST APPEND APPENDS".split())  # noqa: SIM905
_OPCODES |= frozenset("EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3".split())  # noqa: SIM905


class ArchiveError(Exception):
    """What was found in place of an archive of ours."""


def check_archive(payload: bytes | memoryview) -> None:
    """Refuses what `torch.save` does not write of plain values and tensors; runs and unpacks nothing.

    Raises:
        ArchiveError: says what was found.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(payload)) as archive:
            _check_parts(archive.infolist(), len(payload))
            pickles = [part for part in archive.infolist() if part.filename.endswith("/data.pkl")]
            if len(pickles) != 1:
                raise ArchiveError(f"{len(pickles)} pickles in an archive")
            _check_pickle(archive.read(pickles[0]))
    except ArchiveError:
        raise
    except (zipfile.BadZipFile, ValueError, OSError, EOFError, LookupError, RuntimeError, NotImplementedError) as error:
        # Whatever zipfile and pickletools make of bytes that somebody made up.
        raise ArchiveError(f"no archive of plain values ({type(error).__name__})") from error


def _check_parts(parts: list[zipfile.ZipInfo], size: int) -> None:
    if len(parts) > MOST_PARTS:
        raise ArchiveError(f"{len(parts)} parts in an archive")
    for part in parts:
        if part.compress_type != zipfile.ZIP_STORED or part.flag_bits & 1:
            raise ArchiveError("a compressed or encrypted part, which is never written here")
    if sum(part.file_size for part in parts) > size:
        raise ArchiveError(f"parts of {sum(part.file_size for part in parts)} bytes in a file of {size}")
    if len({part.filename for part in parts}) != len(parts):
        raise ArchiveError("two parts of one name")


def _check_pickle(content: bytes) -> None:
    for opcode, argument, _ in pickletools.genops(content):
        if opcode.name not in _OPCODES:
            raise ArchiveError(f"a pickle with {opcode.name}, which plain values do not need")
        if opcode.name == "GLOBAL" and not _NAMES.fullmatch(str(argument)):
            name = str(argument).replace(" ", ".")[:60]
            raise ArchiveError(f"a pickle that would use {name!r}")
