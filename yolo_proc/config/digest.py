"""The digest of a run's `config.toml`: a flipped bit in it is another value, and a file that is cut off other defaults.

The first line is a comment with the SHA-256 of all lines after it. Whoever changes the file by hand deletes that line,
as it says itself; a file without one is read as it is.
"""

import hashlib
import re
from pathlib import Path

from yolo_proc.errors import ConfigError

_OPENING = "# sha256 of what follows: "
_CLOSING = " (changed by hand? delete this line)"
_LINE = re.compile(re.escape(_OPENING) + "([0-9a-f]{64})" + re.escape(_CLOSING) + "\n", re.ASCII)
_LIKE_ONE = re.compile(r"#.*[0-9a-f]{20}", re.ASCII)


def with_digest(text: str) -> str:
    """Return the text behind the line with its digest."""
    return f"{_OPENING}{_digest_of(text)}{_CLOSING}\n{text}"


def check_digest(text: str, path: Path) -> None:
    """Compare a file's text with its first line, if that is a digest or was one.

    Raises:
        ConfigError: they differ, or the file ends in its first line.
    """
    text = text.replace("\r\n", "\n")
    line = _LINE.match(text)
    if line is not None:
        damaged = _digest_of(text[line.end() :]) != line[1]
    else:
        first = text.partition("\n")[0]
        cut_off = bool(text) and text == first == _OPENING[: len(first)]
        damaged = cut_off or first.startswith(_OPENING) or _LIKE_ONE.match(first) is not None
    if damaged:
        raise ConfigError(
            f"--config {path}: expected the options that the sha256 in its first line belongs to, found others: it is "
            "damaged; if it was changed by hand, delete its first line"
        )


def _digest_of(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
