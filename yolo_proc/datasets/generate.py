"""Writes scenes of a stream as a data set, in chunks, and goes on where an earlier run ended.

The files of the whole set are made from the chunks' records, and `yolo_proc.json` says "complete" at the very end.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from yolo_proc.annotations.about import VERSION, about_bytes, binary_to_about, read_about
from yolo_proc.annotations.classes import SET_FILE
from yolo_proc.annotations.layout import Listed
from yolo_proc.data.fingerprint import fingerprint
from yolo_proc.data.stream import Stream
from yolo_proc.datasets.chunks import RECORDS, SetRequest, WriteChunk, resumable
from yolo_proc.datasets.setwriter import counted, has_files, loss_lines, write_error, write_whole
from yolo_proc.errors import DataError
from yolo_proc.system.locking import locked
from yolo_proc.system.pool import unordered

_LIBRARY = "library "  # how `fingerprint` names versions


@dataclass
class Summary:
    """Content of a data set, or of as much of it as is written.

    Attributes:
        pictures: of each split.
        objects: of each class.
        below: objects below a limit of what is a label, by the limit.
        below_written: whether the format has ignore regions, so that those are written as such.
        lost: how often the format could not say something, by what.
        complete: whether all is written.
        made_before: nothing was left to do.
        notes: lines for the user on where the scenes come from.
    """

    request: SetRequest
    pictures: Counter[str] = field(default_factory=Counter)
    objects: Counter[str] = field(default_factory=Counter)
    below: Counter[str] = field(default_factory=Counter)
    below_written: bool = False
    lost: Counter[str] = field(default_factory=Counter)
    complete: bool = False
    made_before: bool = False
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Return lines for a terminal."""
        request = self.request
        if self.made_before:
            return [f"{request.out}: complete already, {request.count:,} pictures; nothing is done again"]
        done = self.pictures.total()
        if not self.complete:
            return [
                f"{request.out}: {done:,} of {request.count:,} pictures are written; the same command goes on "
                "from there"
            ]
        parts = f" ({', '.join(f'{count:,} {name}' for name, count in self.pictures.items())})" * (request.split < 1)
        classes = ", ".join(f"{name} {count:,}" for name, count in self.objects.items())
        lines = [
            f"{request.out}: {done:,} pictures{parts} in the format {request.format}",
            f"Objects: {self.objects.total():,} ({classes})",
        ]
        if self.below:
            fate = (
                "written as ignore regions"
                if self.below_written
                else f"{request.format} has no ignore regions: left out"
            )
            lines.append(f"Below a limit of what is a label: {counted(self.below)}; {fate}")
        return lines + loss_lines(request.format, self.lost)


def generate(
    request: SetRequest,
    *,
    on_pictures: Callable[[int], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> Summary:
    """Write the data set, or go on with it; what is written does not depend on the number of workers.

    Args:
        on_pictures: called with the number of pictures that are written so far.
        stop: asked between chunks.

    Raises:
        DataError: the folder holds something else, or cannot be written to.
        UserError: another process writes it.
        GeneratorError, ConfigError: as in `Stream`.
    """
    stream = Stream.from_config(request.config, request.stream, picture_size=request.picture_size)
    task = WriteChunk(request, stream)
    task.check()
    about = _about(request, stream)
    if _begun(request, about):
        shutil.rmtree(request.out / RECORDS, ignore_errors=True)
        return Summary(request, complete=True, made_before=True)
    with _locked(request):
        missing = [chunk for chunk in range(request.chunks) if not task.is_done(chunk)]
        task.begin_again(missing)
        done = request.count - sum(len(task.indices(chunk)) for chunk in missing)
        on_pictures(done)
        for pictures in unordered(task, missing, request.workers, stop=stop):
            done += pictures
            on_pictures(done)
        summary, splits = gathered(task)
        if summary.pictures.total() == request.count:
            with resumable():
                task.finish(splits)
                facts = {"pictures": dict(summary.pictures), "objects": dict(summary.objects), "complete": True}
                write_whole(request.out / SET_FILE, about_bytes(about | facts), durable=True)
            summary.complete = True
    if summary.complete:
        shutil.rmtree(request.out / RECORDS, ignore_errors=True)
    summary.notes = stream.notes
    return summary


def _locked(request: SetRequest) -> AbstractContextManager[bool]:
    """Keep other processes from writing the set meanwhile: both would put the same unfinished files in place."""
    records = request.out / RECORDS
    with resumable():
        try:
            records.mkdir(exist_ok=True)
        except OSError as error:
            raise write_error(records, error) from error
    return locked(records / "lock", request.out, "writes this data set")


def _about(request: SetRequest, stream: Stream) -> dict[str, Any]:
    """Return `yolo_proc.json` of a set that is not complete."""
    parts = fingerprint(request.config)
    versions = {name.removeprefix(_LIBRARY): value for name, value in parts.items() if name.startswith(_LIBRARY)}
    try:
        versions["yolo_proc"] = version("yolo-proc")
    except PackageNotFoundError:
        versions["yolo_proc"] = "not installed"
    generator = request.config.generator
    about = {
        "version": VERSION,
        "format": request.format,
        "classes": list(stream.classes),
        "generator": {
            "name": generator.name,
            "parameters": dict(generator.parameters),
            "seed": request.config.seed,
            "stream": request.stream,
        },
        "augmented": request.config.augment.enabled,
        "complete": False,
        "options": request.values(),
        "versions": versions,
        "fingerprint": {name: value for name, value in parts.items() if not name.startswith(_LIBRARY)},
    }
    if request.binary is not None:
        about["binary"] = binary_to_about(request.binary)
    return about


def _begun(request: SetRequest, about: Mapping[str, Any]) -> bool:
    """Make the folder ready; whether the set is complete already.

    Raises:
        DataError: the folder holds anything but this set.
    """
    occupied = has_files(request.out)
    found = read_about(request.out, above=False)
    if found is None:
        if occupied:
            raise DataError(
                f"{request.out}: expected an empty folder, or one where this command began; give another --out"
            )
        write_whole(request.out / SET_FILE, about_bytes(about))
        return False
    if not isinstance(found.get("options"), dict):
        raise DataError(f"{request.out}: holds a data set that `generate` did not make; give another --out")
    complete = found.get("complete") is True
    # Another library may change a picture's bytes, which matters while some of them are still to be written.
    for part in ("options", "fingerprint") if complete else ("options", "fingerprint", "versions"):
        then, now = found.get(part), about[part]
        changed = _changed(then if isinstance(then, dict) else {}, now)
        if changed:
            raise DataError(
                f"{request.out}: was {'made' if complete else 'begun'} with {'; '.join(changed)}; give another "
                "--out, or what it was made with"
            )
    return complete


def _changed(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    return [
        f"{name} {then.get(name, 'none')!s:.40}, now {now.get(name, 'none')!s:.40}"
        for name in dict.fromkeys([*now, *then])
        if then.get(name) != now.get(name)
    ]


def gathered(task: WriteChunk) -> tuple[Summary, dict[str, list[Listed]]]:
    """Return the sum of all records."""
    summary = Summary(task.request, below_written=task.says_ignore)
    classes = task.stream.classes
    summary.objects.update(dict.fromkeys(classes, 0))
    splits: dict[str, list[Listed]] = {split: [] for split in task.request.counts}
    for chunk in range(task.request.chunks):
        record = task.record(chunk)
        if record is None:
            continue
        for index, picture in zip(task.indices(chunk), record.pictures, strict=True):
            splits[task.request.place(index)[0]].append(picture)
        summary.objects.update({classes[number]: count for number, count in record.objects.items()})
        summary.below += record.below
        summary.lost += record.lost
    summary.pictures.update({split: len(part) for split, part in splits.items()})
    return summary, splits
