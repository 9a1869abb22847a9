"""Reads an ONNX file before a runtime does: its metadata, and whether everything is inside of it.

A runtime tells of a damaged file in its own words, on the console too, and copies metadata of any size. So the
file's fields are walked here first (protocol buffers: a tag, and a number or a length with so many bytes), as deep as
tensors lie. Nothing is copied but our own text.
"""

from collections.abc import Iterator, Mapping

from yolo_proc.export.digest import METADATA_KEY, ModelError
from yolo_proc.export.spec import MAX_BYTES
from yolo_proc.system.files import GIB

MAX_MODEL = 2 * GIB  # bytes; no protobuf has more
EXPORTED = "use a model that `yolo_proc export` wrote"
_MAX_DEPTH = 64  # messages inside each other
_NUMBERS = 1 << 29  # of fields; protocol buffers have none from here on

# By message, the fields that lead to tensors, by their numbers in onnx.proto.
_INSIDE: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "function": {7: "node", 11: "attribute"},
    "training": {1: "graph", 2: "graph"},
}
_GRAPH, _METADATA, _KEY, _VALUE = 7, 14, 1, 2  # fields of the model, and of an entry of metadata
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14  # fields of a tensor
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # how a value is stored


def read_metadata(content: bytes, where: str) -> str:
    """Return our text in the metadata of an ONNX file.

    Args:
        where: the content comes from, for messages.

    Raises:
        ModelError: no ONNX file, or a part of one; tensors in other files; no such text, two, or a huge one.
    """
    if not content:
        raise ModelError(f"{where}: expected an ONNX file, found an empty one; export the model again")
    found: list[tuple[int, int]] = []
    graphs = 0
    for number, stored, start, end in _fields(content, 0, len(content), where):
        if number == _METADATA and stored == _BYTES:
            found += _our_value(content, start, end, where)
        graphs += number == _GRAPH and stored == _BYTES
    if not graphs:
        raise ModelError(f"{where}: expected an ONNX file that is whole, found no graph in it; {EXPORTED}")
    _check_tensors(content, where)
    if len(found) != 1:
        number_of = "none" if not found else f"{len(found)}"
        raise ModelError(f"{where}: expected metadata of the key {METADATA_KEY}, found {number_of}; {EXPORTED}")
    start, end = found[0]
    if end - start > MAX_BYTES:
        raise ModelError(f"{where}: metadata: expected at most {MAX_BYTES} bytes, found {end - start}; {EXPORTED}")
    try:
        return content[start:end].decode()
    except UnicodeDecodeError:
        raise ModelError(f"{where}: metadata: expected UTF-8, found something else; {EXPORTED}") from None


def _our_value(content: bytes, start: int, end: int, where: str) -> list[tuple[int, int]]:
    """Return where the value of an entry of metadata lies, if its key is ours."""
    ours, value = False, (start, start)
    for number, stored, first, last in _fields(content, start, end, where):
        if number == _KEY and stored == _BYTES:
            ours = content[first : min(last, first + 64)] == METADATA_KEY.encode()
        elif number == _VALUE and stored == _BYTES:
            value = first, last
    return [value] if ours else []


def _check_tensors(content: bytes, where: str) -> None:
    """Raise `ModelError` where a tensor's values lie in another file: a model is one file, and reads no other."""
    waiting = [("model", 0, len(content), 0)]
    while waiting:
        message, first, last, depth = waiting.pop()
        if depth > _MAX_DEPTH:
            raise ModelError(f"{where}: expected at most {_MAX_DEPTH} messages inside each other; {EXPORTED}")
        for number, stored, start, end in _fields(content, first, last, where):
            if message == "tensor":
                away = number == _DATA_LOCATION and stored == _VARINT and end != 0
                if away or (number == _EXTERNAL_DATA and stored == _BYTES):
                    raise ModelError(
                        f"{where}: expected one file with all of its weights in it, found weights in other files "
                        f"(external data), which are not read; {EXPORTED}"
                    )
            elif stored == _BYTES and number in _INSIDE[message]:
                waiting.append((_INSIDE[message][number], start, end, depth + 1))


def _fields(content: bytes, at: int, end: int, where: str) -> Iterator[tuple[int, int, int, int]]:
    """Yield number and storage of each field of a message, and where its bytes begin and end; of a number, its value
    last.
    """
    while at < end:
        tag, at = _varint(content, at, end, where)
        number, stored = tag >> 3, tag & 7
        if not 0 < number < _NUMBERS:
            raise _broken(where, at)
        if stored == _VARINT:
            value, start = _varint(content, at, end, where)
            yield number, stored, at, value
            at = start
            continue
        length = 8 if stored == _FIXED64 else 4
        if stored == _BYTES:
            length, at = _varint(content, at, end, where)
        elif stored not in (_FIXED64, _FIXED32):
            raise _broken(where, at)
        if length > end - at:
            raise _broken(where, at)
        yield number, stored, at, at + length
        at += length


def _varint(content: bytes, at: int, end: int, where: str) -> tuple[int, int]:
    """Return a number of seven bits a byte, the lowest first, of which 64 count, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            break
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & ((1 << 64) - 1), at
    raise _broken(where, at)


def _broken(where: str, at: int) -> ModelError:
    return ModelError(f"{where}: expected an ONNX file that is whole, found other bytes at {at}; {EXPORTED}")
