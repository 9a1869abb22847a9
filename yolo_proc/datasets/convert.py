"""Writes a data set in another format, and reads it back to see that nothing is missing."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from yolo_proc.annotations import binary
from yolo_proc.annotations.about import VERSION, about_bytes, binary_from_about, binary_to_about, read_about
from yolo_proc.annotations.classes import SET_FILE
from yolo_proc.annotations.formats import FORMATS, find_format, read_data_set
from yolo_proc.annotations.records import Annotation, BinaryLayout, DataSet, Problems, ReadOptions
from yolo_proc.annotations.scredit import project as scredit
from yolo_proc.datasets.setwriter import has_files, write_whole
from yolo_proc.datasets.targets import BinaryTarget, FileTarget, Images, Picture
from yolo_proc.detection.codec import SLOT_TAKEN
from yolo_proc.errors import AnnotationError, ConfigError, DataError


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """Request for a conversion.

    Attributes:
        source, out: folders.
        source_format, to: of `FORMATS`; None: what the source looks like.
        images: "copy", "link" (hard links: both names are one file), or "none", which leaves them where they are.
        options: how the source is read.
        binary: of the binary set that is written; its width and height 0: the pictures' own.
    """

    source: Path
    out: Path
    to: str
    source_format: str | None = None
    images: Images = "copy"
    options: ReadOptions = field(default_factory=ReadOptions)
    binary: BinaryLayout | None = None


@dataclass(frozen=True)
class Counts:
    """Numbers of pictures and objects in a data set.

    Attributes:
        pictures: of each split.
        objects: of each class, all of them.
        ignored: regions to ignore.
        others: masks, polygons, points and texts, by kind.
    """

    pictures: Mapping[str, int]
    objects: Mapping[str, int]
    ignored: int
    others: Mapping[str, int]

    @classmethod
    def of(cls, data: DataSet) -> "Counts":
        """Return the counts of a data set."""
        items = [item for one in data.annotations for item in one.items]
        objects = Counter(data.classes[item.class_id] for item in items if item.is_label)
        others = Counter(item.kind for item in items if item.kind != "rectangle")
        return cls(
            pictures={split: len(part) for split, part in data.splits.items()},
            objects={name: objects[name] for name in data.classes},
            ignored=sum(item.ignore for item in items),
            others=dict(sorted(others.items())),
        )

    def text(self) -> str:
        """Return `100 pictures (90 train, 10 val), 230 objects (A 120, B 110), 3 ignore regions`."""
        parts = f" ({', '.join(f'{count:,} {name}' for name, count in self.pictures.items())})"
        classes = f" ({', '.join(f'{name} {count:,}' for name, count in self.objects.items())})"
        words = [
            f"{sum(self.pictures.values()):,} pictures{parts if len(self.pictures) > 1 else ''}",
            f"{sum(self.objects.values()):,} objects{classes if self.objects else ''}",
        ]
        words += [f"{self.ignored:,} ignore regions"] * (self.ignored > 0)
        words += [f"{count:,} {kind} items" for kind, count in self.others.items()]
        return ", ".join(words)


@dataclass(frozen=True)
class Converted:
    """Result of a conversion.

    Attributes:
        before, after: `after` is read from what was written; None where no pictures were, so that it cannot be read.
        lost: how often the format could not say something, by what.
        notes: lines of the reader.
        problems: the pictures that were left out.
    """

    source: DataSet
    before: Counts
    after: Counts | None
    lost: Counter[str]
    notes: tuple[str, ...]
    problems: Problems


def convert(work: Conversion, *, on_pictures: Callable[[int, int], None] = lambda *_: None) -> Converted:
    """Read a data set and write it in another format.

    Args:
        on_pictures: called with the number of pictures that are written, and that of all.

    Raises:
        DataError: the folder to write to is not empty, a name that the format cannot have, the disk refuses.
        AnnotationError: a bad source, unless it is to be skipped.
        ConfigError: options that do not go together.
    """
    _check_place(work)
    name = work.source_format or find_format(work.source)
    about = read_about(work.source) or {}
    layout = binary_from_about(about, work.source) or work.options.binary if name == "binary" else None
    if name == "binary" and work.images == "link":
        raise ConfigError("--images link: the pictures of a binary set are no files; expected copy or none")
    data = read_data_set(work.source, replace(work.options, binary=layout), name)
    work.options.problems.check_some_left(len(data.annotations))
    target = BinaryTarget.of(work, data) if work.to == "binary" else FileTarget.of(work, data)
    data = target.data
    written = _about(work, data, about)
    if isinstance(target, BinaryTarget):
        written["binary"] = binary_to_about(target.layout)
    write_whole(work.out / SET_FILE, about_bytes(written | {"complete": False}))
    with _left_behind(work.out):
        data, lost = _write(target, layout, work.options, on_pictures)
        work.options.problems.check_some_left(len(data.annotations))
        target.finish(data.splits)
        write_whole(work.out / SET_FILE, about_bytes(written))
    before = Counts.of(data)
    after = None if work.images == "none" else _read_back(work, before, lost)
    notes = (*data.notes, *_changes(work, data), *_notes_on_pictures(work))
    return Converted(data, before, after, lost, notes, work.options.problems)


def _notes_on_pictures(work: Conversion) -> Iterator[str]:
    """Return what was seen of the pictures; files are copied as they are, so that only their readers need the bit
    depth.
    """
    reading = work.options.reading
    return reading.notes() if work.to == binary.NAME else reading.notes("where the copies are read, with --bit-depth")


def _changes(work: Conversion, data: DataSet) -> list[str]:
    """Return lines on what the other format makes of pictures as a whole."""
    lines = []
    omitted = sum(map(scredit.is_omitted, data.annotations))
    if omitted and work.to != "scredit":
        lines.append(f"{omitted:,} pictures are omitted in the editor, and are ordinary ones in {work.to}")
    named = sum(one.record is None for one in data.annotations)
    if named and work.to == binary.NAME:
        lines.append(f"{named:,} pictures lose their names: a binary set numbers them, by name in each part")
    return lines


def _about(work: Conversion, data: DataSet, about: Mapping[str, Any]) -> dict[str, Any]:
    """Return `yolo_proc.json` of what is written; `about` is that of the source."""
    return {
        "version": VERSION,
        "format": work.to,
        "classes": list(data.classes),
        "generator": about.get("generator"),
        "augmented": about.get("augmented") is True,
        "complete": about.get("complete") is not False,
        "converted_from": data.format,
    }


@contextmanager
def _left_behind(out: Path) -> Iterator[None]:
    """Say of a refusal of the disk, and of a signal, what to do with what is written."""
    what_to_do = f"{out} is not complete; delete it before you convert again"
    try:
        yield
    except DataError as error:
        error.args = (f"{error}; {what_to_do}",)
        raise
    except KeyboardInterrupt as signal:
        raise KeyboardInterrupt(f"stopped; {what_to_do}") from signal


def _write(
    target: FileTarget | BinaryTarget,
    layout: BinaryLayout | None,
    options: ReadOptions,
    on_pictures: Callable[[int, int], None],
) -> tuple[DataSet, Counter[str]]:
    """Write all pictures; those that were written, and what could not be said.

    Raises:
        AnnotationError: a picture that cannot be read, unless it is to be skipped.
        WriteError: the system refuses.
    """
    data = target.data
    lost: Counter[str] = Counter()
    total = len(data.annotations)
    done = 0
    on_pictures(done, total)
    splits: dict[str, tuple[Annotation, ...]] = {}
    for split, part in data.splits.items():
        written: list[Annotation] = []
        for annotation in part:
            picture = Picture(data.root, split, annotation, layout, options.reading)
            try:
                lost += target.put(split, len(written), annotation, picture)
                written.append(annotation)
            except AnnotationError as error:
                options.problems.met(error)
            done += 1
            on_pictures(done, total)
        splits[split] = tuple(written)
    return replace(data, splits=splits), lost


def _check_place(work: Conversion) -> None:
    for name in (work.source_format, work.to):
        if name is not None and name not in FORMATS:
            raise ConfigError(f"format {name}: expected one of {', '.join(FORMATS)}")
    if work.to == "binary" and work.images != "copy":
        raise ConfigError(f"--images {work.images}: a binary set holds its pictures itself; expected copy")
    if not work.source.exists():
        raise DataError(f"{work.source}: no such folder (looked in {Path.cwd()})")
    if has_files(work.out):
        raise DataError(f"{work.out}: expected an empty folder or none, found files in it; give another --out")
    if work.out.resolve().is_relative_to(work.source.resolve()):
        raise DataError(f"{work.out}: expected a folder outside of the data set {work.source}; give another --out")


def _read_back(work: Conversion, before: Counts, lost: Counter[str]) -> Counts:
    """Return the counts of what was written.

    Raises:
        DataError: it cannot be read, or things are missing that are not counted in `lost`.
    """
    try:
        after = Counts.of(read_data_set(work.out, ReadOptions(max_pixels=work.options.max_pixels), work.to))
    except AnnotationError as error:
        raise DataError(f"{work.out}: was written, but does not read back: {error}") from error
    if not _is_explained(before, after, lost):
        raise DataError(f"{work.out}: was written, but reads back as {after.text()}; expected {before.text()}")
    return after


def _is_explained(before: Counts, after: Counts, lost: Counter[str]) -> bool:
    """Return whether all that was there is there, or was counted as lost."""
    no_slot = sum(lost[word] for word in (SLOT_TAKEN, "min_box_px"))  # of binary sets
    objects = Counter(before.objects)
    objects.subtract(after.objects)
    return (
        {split: count for split, count in after.pictures.items() if count}
        == {split: count for split, count in before.pictures.items() if count}
        and min(objects.values(), default=0) >= 0
        and objects.total() == no_slot
        and after.ignored == before.ignored - lost["ignore"]
        and dict(after.others)
        == {kind: count - lost[kind] for kind, count in before.others.items() if count > lost[kind]}
    )
