"""The digests of an exported model: what a flipped bit or a cut-off end would change is refused, not believed.

The text of `model.json`, which `model.onnx` has in its metadata, says at its beginning that it has a digest and ends
with it; the digest is of the text without both:

    {"digest":"sha256",  "version":1, ... ,"training":{}  ,"sha256":"<64 hex digits>"}

`model.onnx` ends with one more entry of metadata, `yolo_proc.sha256`: 64 hex digits, of all bytes before the entry. So
one file still holds everything, and its digest is checked before a runtime sees it. A file whose text says that there
is a digest, and that has none, is damaged too; a file of an earlier release has neither, and is read as it was.

`python -m yolo_proc.export.digest model.onnx` writes both anew, for a model that another tool changed on purpose.
"""

import hashlib
import re
import runpy
from collections.abc import Collection

from yolo_proc.errors import DataError

METADATA_KEY = "yolo_proc"
DIGEST_KEY = "yolo_proc.sha256"
CHANGED = (
    "it is damaged, or another tool changed it; export the model again, or, if it was changed on purpose, run "
    "python -m yolo_proc.export.digest MODEL.onnx"
)

_OPENING = '{"digest":"sha256",'
_CLOSING = re.compile(r',"sha256":"([0-9a-f]{64})"\}\s*\Z', re.ASCII)
_KEYS = frozenset({"digest", "sha256"})
# The entry as protocol buffers write it: field 14 of the model, in it the key (field 1) and the value (field 2).
_VALUE = 64
_ENTRY = (
    bytes([0x72, 4 + len(DIGEST_KEY) + _VALUE, 0x0A, len(DIGEST_KEY)]) + DIGEST_KEY.encode() + bytes([0x12, _VALUE])
)


class ModelError(DataError):
    """An exported model that cannot be used: not ours, damaged, or of another version."""


def sealed_text(text: str) -> str:
    """Return the text of a JSON object, which is not empty, with its digest."""
    assert text[:1] + text[-1:] == "{}", "expected one object in braces"
    return f'{_OPENING}{text[1:-1]},"sha256":"{_digest_of(text[1:-1])}"}}'


def is_sealed(text: str) -> bool:
    """Return whether a text that `check_text` let pass has a digest; the file that it stands in must have one too."""
    return text.lstrip().startswith(_OPENING)


def check_text(text: str, where: str) -> None:
    """Compare a text with its digest, if it has one or say that it has.

    Raises:
        ModelError: they differ.
    """
    start, end = text.lstrip(), _CLOSING.search(text)
    if not start.startswith(_OPENING) and end is None:
        return
    inside = start[len(_OPENING) : len(start) - len(end[0])] if end is not None else ""
    if end is None or not start.startswith(_OPENING) or _digest_of(inside) != end[1]:
        raise ModelError(f"{where}: expected the text that belongs to its sha256, found another: {CHANGED}")


def check_keys(text: str, keys: Collection[str], where: str) -> None:
    """Refuse a text that was written anew, with its digest as one more value: nobody can tell what else changed.

    Args:
        keys: of the object that the text holds.

    Raises:
        ModelError: it has a digest's keys, and they do not stand where `sealed_text` writes them.
    """
    if not is_sealed(text) and not _KEYS.isdisjoint(keys):
        raise ModelError(
            f"{where}: expected the text as `export` wrote it, with its sha256, found it changed: {CHANGED}"
        )


def sealed(content: bytes) -> bytes:
    """Return the content of an ONNX file with its digest behind it."""
    return content + _ENTRY + hashlib.sha256(content).hexdigest().encode()


def check_content(content: bytes, where: str) -> bool:
    """Compare an ONNX file's content with the digest at its end; whether there is one.

    Raises:
        ModelError: they differ.
    """
    end = len(content) - _VALUE
    start = end - len(_ENTRY)
    if start < 0 or content[start:end] != _ENTRY:
        return False
    if hashlib.sha256(memoryview(content)[:start]).hexdigest().encode() != content[end:]:
        raise ModelError(f"{where}: expected the bytes that belong to its sha256, found others: {CHANGED}")
    return True


def _digest_of(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


if __name__ == "__main__":
    runpy.run_module("yolo_proc.export.seal_again", run_name="__main__")  # it needs what needs this
