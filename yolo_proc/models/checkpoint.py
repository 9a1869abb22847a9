"""Checkpoints: written whole or not at all, and verified before a byte of them is believed.

A file is one header line and the bytes of `torch.save`:

    yolo_proc checkpoint 1 sha256=<64 hex digits> bytes=<length of the payload>\\n
    <payload>

`torch.load` checks no checksum (a flipped bit loads as another weight), so the header does; and as anybody can
compute a checksum, the payload is still read with `weights_only`, which runs no code.

Names in a run's folder: `000012.pt` after epoch 12, `000012+00345.pt` inside the epoch after it, 345 steps in,
`best.pt` the best so far. Only the first two kinds are ever listed or pruned. One process writes into a folder.
"""

import hashlib
import io
import pickle
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch

from yolo_proc.errors import CheckpointError
from yolo_proc.models.archives import ArchiveError, check_archive
from yolo_proc.models.versions import upgraded
from yolo_proc.system.files import GIB, UnreadableFileError, half_written, read_bytes, read_start, replace_whole

BEST = "best.pt"
FORMAT = 1
MAX_BYTES = 8 * GIB  # 500 million parameters with two moments and an average of each

_MAGIC = b"yolo_proc checkpoint "
_HEADER = re.compile(rb"yolo_proc checkpoint (\d{1,9}) sha256=([0-9a-f]{64}) bytes=(\d{1,18})")
_NUMBERED = re.compile(r"(\d{6,})(?:\+(\d{5,}))?\.pt", re.ASCII)
TURN = ".turn"
# What the restricted unpickler and the archive reader raise on a payload that somebody made up.
_UNREADABLE = (
    pickle.UnpicklingError,
    RuntimeError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    EOFError,
    AssertionError,
    OverflowError,
)


Check = Callable[[Mapping[str, Any]], None]
# A checkpoint that was found: its path, its state, and a line for each damaged one that was passed over.
Found = tuple[Path, dict[str, Any], tuple[str, ...]]
_LISTINGS = 100  # of a folder whose files come and go


def _anything(_: Mapping[str, Any]) -> None:
    """No check."""


def checkpoint_path(folder: str | Path, epoch: int, step_in_epoch: int = 0) -> Path:
    """Return the file of the state after `epoch` complete epochs and `step_in_epoch` steps of the next."""
    assert epoch >= 0, epoch
    assert step_in_epoch >= 0, step_in_epoch
    inside = f"+{step_in_epoch:05d}" if step_in_epoch else ""
    return Path(folder) / f"{epoch:06d}{inside}.pt"


def checkpoint_position(path: str | Path) -> tuple[int, int] | None:
    """Return (epoch, step in epoch) of a numbered checkpoint's name, None for any other name."""
    match = _NUMBERED.fullmatch(Path(path).name)
    return (int(match[1]), int(match[2] or 0)) if match else None


def save(path: str | Path, state: Mapping[str, Any]) -> None:
    """Write `state` so that a reader, or a process killed at any moment, find the old file or the new one whole.

    Args:
        state: plain values and tensors, see `plain`.

    Raises:
        CheckpointError: the folder cannot be written, the disk is full; an older file at `path` is as it was.
        TypeError: a value that no checkpoint can hold.
    """
    path = Path(path)
    buffer = io.BytesIO()
    torch.save(plain(state), buffer)
    payload = buffer.getbuffer()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep_temporary(path.parent)  # before writing: what a killed process left may be what fills the disk
        replace_whole(path, _header(payload), payload, durable=True)
    except OSError as error:
        raise CheckpointError(
            f"{path}: the checkpoint cannot be written: {error.strerror or error}; make room or choose another "
            "--runs-dir; the checkpoints already there are untouched"
        ) from error


def load(path: str | Path) -> dict[str, Any]:
    """Return the state that `save` wrote, its tensors on the CPU; that of an earlier release as this one writes it.

    Raises:
        CheckpointError: missing, damaged, cut short, of another format, or not a checkpoint at all.
    """
    path = Path(path)
    try:
        content = read_start(path, 256, "a checkpoint file")
        if content.startswith(_MAGIC):
            content = read_bytes(path, MAX_BYTES, "a checkpoint file")
    except UnreadableFileError as error:
        if error.reason == "missing":
            raise CheckpointError(f"{path}: no such checkpoint (looked in {path.parent.absolute()})") from None
        raise CheckpointError(str(error)) from error
    payload = _verified(content, path)
    try:
        check_archive(payload)
        state = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
    except (ArchiveError, *_UNREADABLE) as error:
        # Not torch's own words, which advise to switch the protection off.
        found = str(error) if isinstance(error, ArchiveError) else f"something else ({type(error).__name__})"
        raise CheckpointError(
            f"{path}: expected plain values and tensors only, found {found}; nothing of it was run; use a checkpoint "
            "that yolo_proc wrote"
        ) from error
    if not isinstance(state, dict):
        raise CheckpointError(f"{path}: expected a mapping, found {type(state).__name__}; yolo_proc did not write it")
    return upgraded(state)


def _header(payload: bytes | memoryview) -> bytes:
    digest = hashlib.sha256(payload).hexdigest()
    return _MAGIC + f"{FORMAT} sha256={digest} bytes={len(payload)}\n".encode()


def _verified(content: bytes, path: Path) -> memoryview:
    """Return the payload of a file's content, its checksum compared."""
    line, _, _ = content[:256].partition(b"\n")
    match = _HEADER.fullmatch(line)
    if match is None:
        found = "an empty file" if not content else "other content"
        if content and (content.startswith(_MAGIC) or _MAGIC.startswith(content)):
            found = "a damaged or incomplete header"
        raise CheckpointError(f"{path}: expected a checkpoint of yolo_proc, found {found}; use another checkpoint")
    if int(match[1]) != FORMAT:
        raise CheckpointError(
            f"{path}: expected checkpoint format {FORMAT}, found {int(match[1])}; use the version of yolo_proc "
            "that wrote it"
        )
    payload = memoryview(content)[len(line) + 1 :]
    if len(payload) < int(match[3]):
        raise CheckpointError(
            f"{path}: the checkpoint is cut short: expected {int(match[3])} bytes after the header, found "
            f"{len(payload)}; use another checkpoint"
        )
    # The header is a function of the payload, so that a flipped bit in either shows.
    if content[: len(line) + 1] != _header(payload):
        raise CheckpointError(f"{path}: the checkpoint is damaged: its SHA-256 does not match; use another checkpoint")
    return payload


def plain(value: Any, where: str = "state") -> Any:
    """Return `value` in the types that `weights_only` reads back: dict, list, tuple, str, bytes, numbers, None,
    tensors.

    NumPy numbers become Python's and arrays become tensors (so an array comes back as a tensor); tensors are
    detached, moved to the CPU and freed of the rest of the storage that they are a view of.

    Raises:
        TypeError: anything else; the message names the place.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, bytes):
        return bytes(value)
    for kind in (int, float, str):
        if isinstance(value, kind):
            return kind(value)  # a subclass (an enum, a NumPy float) would be pickled by its own class
    if isinstance(value, torch.Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, np.generic):
        return plain(value.item(), where)
    if isinstance(value, np.ndarray):
        try:
            return torch.from_numpy(value.copy())
        except TypeError as error:
            raise TypeError(f"{where}: an array of {value.dtype} has no place in a checkpoint") from error
    if isinstance(value, Mapping):
        return {plain(key, f"{where} key"): plain(item, f"{where}[{key!r}]") for key, item in value.items()}
    if isinstance(value, list | tuple):
        items = [plain(item, f"{where}[{number}]") for number, item in enumerate(value)]
        return tuple(items) if isinstance(value, tuple) else items
    raise TypeError(f"{where}: {type(value).__name__} has no place in a checkpoint")


def sweep_temporary(folder: str | Path) -> list[Path]:
    """Remove what a killed process left half written in `folder`; only its one writer may call this."""
    swept = half_written(Path(folder))
    for path in swept:
        with suppress(OSError):  # what cannot be removed is left
            path.unlink()
    return swept


def list_checkpoints(folder: str | Path) -> list[Path]:
    """Return the numbered checkpoints of a run's folder, newest first; empty where there is no such folder."""
    folder = Path(folder)
    if not folder.is_dir():
        return []
    numbered = [(checkpoint_position(path), path) for path in folder.iterdir()]
    return [path for _, path in sorted(((at, path) for at, path in numbered if at is not None), reverse=True)]


def newest_valid(folder: str | Path, check: Check = _anything) -> Found:
    """Return the newest readable checkpoint of a run: its path, its state, and a line for each newer one that is not.

    Args:
        check: raises `CheckpointError` for a state that is not to be taken.

    Raises:
        CheckpointError: there is none, or none is readable.
    """
    for _ in range(_LISTINGS):
        notes: list[str] = []
        gone = False
        for path in list_checkpoints(folder):
            try:
                return path, _checked(path, check), tuple(notes)
            except CheckpointError as error:
                gone = not path.exists()  # its run goes on and has pruned it, for a newer one
                if gone:
                    break
                notes.append(str(error))
        if not gone:
            break
    if notes:
        raise CheckpointError(f"{folder}: none of its {len(notes)} checkpoints is readable; the newest: {notes[0]}")
    raise CheckpointError(f"{folder}: expected a run's folder with checkpoints such as 000001.pt, found none")


def shipped(path: str | Path, check: Check = _anything) -> Found:
    """Return the checkpoint that evaluate, predict and export take: the file itself, or of a run's folder the best.

    A folder without a readable `best.pt` gives its newest readable one. For `check` and what is returned see
    `newest_valid`.

    Raises:
        CheckpointError: nothing readable.
    """
    path = Path(path)
    if not path.is_dir():
        return path, _checked(path, check), ()
    notes: tuple[str, ...] = ()
    if (path / BEST).exists():
        try:
            return path / BEST, _checked(path / BEST, check), ()
        except CheckpointError as error:
            notes = (str(error),)
    found, state, more = newest_valid(path, check)
    return found, state, notes + more


def to_resume(path: str | Path, check: Check = _anything) -> Found:
    """Return the checkpoint that a run goes on from: the file itself, or of a run's folder the newest readable one.

    For `check`, what is returned and what is raised see `newest_valid`.
    """
    path = Path(path)
    return newest_valid(path, check) if path.is_dir() else (path, _checked(path, check), ())


def _checked(path: Path, check: Check) -> dict[str, Any]:
    state = load(path)
    try:
        check(state)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    return state


def prune(folder: str | Path, keep: int) -> list[Path]:
    """Remove all but the newest `keep` numbered checkpoints; files with other names stay. Returns the removed."""
    assert keep >= 1, keep
    old = list_checkpoints(folder)[keep:]
    for path in old:
        path.unlink(missing_ok=True)
    return old


def set_aside(folder: str | Path, position: tuple[int, int], written: str | Path) -> list[Path]:
    """Rename the numbered checkpoints after `position` (epoch, step in epoch) to `*.pt.aside`, but for `written`.

    A run that went on from an older checkpoint has another future; its old one would be taken for the newest state, and
    pruning would keep it and remove the new one. Returns the new names.
    """
    aside = []
    for path in list_checkpoints(folder):
        at = checkpoint_position(path)
        if at is not None and at > position and path != Path(written):
            aside.append(path.replace(path.with_name(f"{path.name}.aside")))
    return aside


def newest_run(runs_dir: str | Path) -> Path:
    """Return the folder under `runs_dir` that was trained last; runs without a checkpoint do not count.

    Each training takes a number, see `take_turn`, because clocks are set back. Runs without one are older; among
    them, and where two are equal, the time of the newest checkpoint decides.

    Raises:
        CheckpointError: there is none.
    """
    runs = []
    for folder in _folders(runs_dir):
        written = [_written(path) for path in list_checkpoints(folder)]
        if written:
            runs.append((_turn(folder), max(written), folder))
    if not runs:
        raise CheckpointError(
            f"{runs_dir}: expected a folder with runs, found no checkpoint in it; train first, or name another "
            "folder with --runs-dir"
        )
    return max(runs)[2]


def take_turn(folder: Path) -> None:
    """Make `folder` the newest of the runs beside it, by a number in its file `.turn`.

    Where that cannot be written, the clock decides.
    """
    turn = 1 + max((_turn(run) for run in _folders(folder.parent)), default=0)
    with suppress(OSError):
        replace_whole(folder / TURN, f"{turn}\n".encode())


def _folders(place: str | Path) -> list[Path]:
    try:
        return [path for path in Path(place).iterdir() if path.is_dir()]
    except OSError:
        return []


def _turn(folder: Path) -> int:
    try:
        words = read_start(folder / TURN, 20, "a number")
    except UnreadableFileError:
        return 0
    match = re.fullmatch(rb"(\d{1,15})\n", words)
    return int(match[1]) if match else 0


def _written(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:  # pruned meanwhile
        return 0
