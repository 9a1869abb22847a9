"""The scans of a JPEG, counted without decoding: each costs a pass over all pixels and may have 20 bytes."""

import io
import re

from yolo_proc.imaging.costs import MAX_SCANS
from yolo_proc.imaging.headers import WrongFileError, jpeg_segments

_MARKER = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]")  # in or behind the scans


def first_scan(jpeg: bytes) -> int:
    """Return where the segments before the first scan end.

    Raises:
        WrongFileError: something else stands between them.
    """
    stream = io.BytesIO(jpeg)
    at = 2
    for _, length in jpeg_segments(stream):
        at = stream.tell() + length
    return at


def check_scans(jpeg: bytes, at: int) -> None:
    """Refuse a JPEG of more than `MAX_SCANS`.

    Args:
        at: as of `first_scan`.

    Raises:
        WrongFileError: more ("bomb").
    """
    # The marker's bytes may stand elsewhere too, in a comment or behind the end, but they are soon counted.
    if jpeg.count(b"\xff\xda", at) > MAX_SCANS and _has_many_scans(jpeg, at):
        raise WrongFileError(f"a JPEG of at most {MAX_SCANS} scans", "more; write it anew", "bomb")


def _has_many_scans(jpeg: bytes, at: int) -> bool:
    """Return whether more than `MAX_SCANS` come before the end; the first one begins at `at`."""
    scans = 0
    while scans <= MAX_SCANS:
        marker = _MARKER.search(jpeg, at)
        if marker is None or marker[0][-1] == 0xD9:
            return False
        at = marker.end()
        if marker[0][-1] not in (0x01, 0xD8):  # these have no content
            at += int.from_bytes(jpeg[at : at + 2], "big")
        scans += marker[0][-1] == 0xDA
    return True
