"""Writes a data set in another format, and reads it back to see that nothing is missing."""

import errno
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from yolo_proc.annotations import binary
from yolo_proc.annotations.about import VERSION, about_bytes, binary_from_about, binary_to_about, read_about
from yolo_proc.annotations.classes import SET_FILE
from yolo_proc.annotations.formats import FORMATS, find_format, read_data_set
from yolo_proc.annotations.layout import Layout, Listed
from yolo_proc.annotations.records import (
    SPLITS,
    Annotation,
    AnnotationError,
    BinaryLayout,
    DataSet,
    Problems,
    ReadOptions,
)
from yolo_proc.bit_depth import BitDepth
from yolo_proc.datasets.scenefiles import encode_picture
from yolo_proc.datasets.setwriter import BinarySet, FileSet, has_files, write_whole
from yolo_proc.errors import ConfigError, DataError
from yolo_proc.pictures import picture_bytes, read_picture

_TOGETHER = 1000  # pictures whose outlines become text at once

Images = Literal["copy", "link", "none"]


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """What is to be converted.

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
    """What is in a data set.

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
        """The counts of a data set."""
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
        """`100 pictures (90 train, 10 val), 230 objects (A 120, B 110), 3 ignore regions`."""
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
    """What a conversion did.

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
    """Reads a data set and writes it in another format.

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
    target = _BinaryTarget.of(work, data) if work.to == "binary" else _FileTarget.of(work, data)
    data = target.data
    written = _about(work, data, about)
    if isinstance(target, _BinaryTarget):
        written["binary"] = binary_to_about(target.layout)
    write_whole(work.out / SET_FILE, about_bytes(written | {"complete": False}))
    with _left_behind(work.out):
        data, lost = _write(target, layout, work.options, on_pictures)
        target.finish(data.splits)
        write_whole(work.out / SET_FILE, about_bytes(written))
    before = Counts.of(data)
    after = None if work.images == "none" else _read_back(work, before)
    notes = (*data.notes, *work.options.depth.notes())
    return Converted(data, before, after, lost, notes, work.options.problems)


def _about(work: Conversion, data: DataSet, about: Mapping[str, Any]) -> dict[str, Any]:
    """`yolo_proc.json` of what is written; `about` is that of the source."""
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
    """Says of a refusal of the disk, and of a signal, what to do with what is written."""
    what_to_do = f"{out} is not complete; delete it before you convert again"
    try:
        yield
    except DataError as error:
        error.args = (f"{error}; {what_to_do}",)
        raise
    except KeyboardInterrupt as signal:
        raise KeyboardInterrupt(f"stopped; {what_to_do}") from signal


def _write(
    target: "_FileTarget | _BinaryTarget",
    layout: BinaryLayout | None,
    options: ReadOptions,
    on_pictures: Callable[[int, int], None],
) -> tuple[DataSet, Counter[str]]:
    """Writes all pictures; those that were written, and what could not be said.

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
            picture = _Picture(data.root, split, annotation, layout, options.depth)
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


def _read_back(work: Conversion, before: Counts) -> Counts:
    """The counts of what was written.

    Raises:
        DataError: it cannot be read, or objects are missing.
    """
    try:
        after = Counts.of(read_data_set(work.out, ReadOptions(max_pixels=work.options.max_pixels), work.to))
    except AnnotationError as error:
        raise DataError(f"{work.out}: was written, but does not read back: {error}") from error
    same = after.objects == before.objects and sum(after.pictures.values()) == sum(before.pictures.values())
    if not same and work.to != "binary":
        raise DataError(f"{work.out}: was written, but reads back as {after.text()}; expected {before.text()}")
    return after


# ------------------------------------------------------------------------------------------------- pictures


@dataclass(frozen=True)
class _Picture:
    """A picture of the source, wherever it is."""

    root: Path
    split: str
    annotation: Annotation
    layout: BinaryLayout | None
    depth: BitDepth

    def pixels(self) -> Any:
        """(H, W, 3) uint8 RGB, upright."""
        if self.annotation.path is not None:
            return read_picture(self.annotation.path, depth=self.depth)
        assert self.layout is not None, "only a binary set has pictures without files"
        assert self.annotation.record is not None, "and they have numbers"
        folder = binary.record_folder(self.root, self.split)
        return binary.read_picture_record(folder, self.annotation.record, self.layout)

    def content(self) -> bytes:
        """The bytes of its file; PNG where it has none."""
        path = self.annotation.path
        if path is None:
            return encode_picture(self.pixels(), "png", 0)
        return picture_bytes(path)

    def link(self, part: str) -> None:
        """Makes `part` another name of the file."""
        path = self.annotation.path
        assert path is not None, "a picture of a binary set is copied"
        try:
            Path(part).unlink(missing_ok=True)
            os.link(path.resolve(), part)
        except OSError as error:
            if error.errno in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP):
                raise DataError(
                    f"{path}: cannot be linked from {Path(part).parent}: {error.strerror}; --images copy"
                ) from error
            raise


@dataclass
class _FileTarget:
    """A set of files that is written."""

    files: FileSet
    images: Images
    data: DataSet

    @classmethod
    def of(cls, work: Conversion, data: DataSet) -> "_FileTarget":
        """Checks every name before anything is written."""
        make = FORMATS[work.to].layout
        assert make is not None, f"{work.to} has files"
        layout = make(data.classes, tuple(data.splits))
        return cls(FileSet(work.out, layout), work.images, _with_names(layout, data))

    def put(self, split: str, number: int, annotation: Annotation, picture: _Picture) -> Counter[str]:  # noqa: ARG002
        """Writes one picture with its labels."""
        if self.images == "none":
            return self.files.put([(split, annotation, None)])
        if self.images == "link":
            return self.files.put([(split, annotation, picture.link)])
        return self.files.put([(split, annotation, picture.content())])

    def finish(self, splits: Mapping[str, Sequence[Annotation]]) -> None:
        """Writes the files of the whole set, of what was put."""
        listed: dict[str, list[Listed]] = {split: [] for split in splits}
        for split, part in splits.items():
            for first in range(0, len(part), _TOGETHER):
                listed[split] += self.files.layout.listed(part[first : first + _TOGETHER])
        self.files.finish(listed)


def _with_names(layout: Layout, data: DataSet) -> DataSet:
    """The data set with names that its pictures can have in the layout.

    A format may have one folder for all splits: then a picture whose name an earlier split has gets `val_` before it.

    Raises:
        DataError: two pictures of a split, or their labels, would be one file; a name that is none of the format's.
    """
    owners: dict[str, tuple[str, Annotation]] = {}
    splits: dict[str, tuple[Annotation, ...]] = {}
    renamed: list[str] = []
    for split, part in data.splits.items():
        named = []
        for annotation in part:
            files = _files_of(layout, split, annotation)
            if any(owners[file][0] != split for file in files if file in owners):
                annotation = replace(annotation, name=f"{split}_{annotation.name}")
                renamed.append(annotation.name)
                files = _files_of(layout, split, annotation)
            for file in files:
                _, other = owners.setdefault(file, (split, annotation))
                if other is not annotation:
                    raise AnnotationError(
                        annotation.path or annotation.name,
                        "",
                        f"a name of its own in {layout.name}, where it is {file}",
                        f"that of {other.path or other.name}; rename one of them",
                        reason="duplicate-name",
                    )
            named.append(annotation)
        splits[split] = tuple(named)
    notes = data.notes
    if renamed:
        many = f"{len(renamed):,} pictures are renamed, such as {renamed[0]}"
        notes = (*notes, f"{layout.name} has one folder for all splits: {many}")
    return replace(data, splits=splits, notes=notes)


def _files_of(layout: Layout, split: str, annotation: Annotation) -> list[str]:
    """The files that a picture has of its own."""
    label = layout.label_file(split, replace(annotation, items=(), extra={}))
    return [layout.picture_file(split, annotation.name), *([] if label is None else [label[0]])]


@dataclass
class _BinaryTarget:
    """A binary set that is written."""

    layout: BinaryLayout
    records: BinarySet
    data: DataSet

    @classmethod
    def of(cls, work: Conversion, data: DataSet) -> "_BinaryTarget":
        """Checks the sizes of all pictures before anything is written."""
        assert work.binary is not None, "the command has a layout"
        layout, all_of_them = work.binary, data.annotations
        if layout.width < 1 and all_of_them:
            layout = replace(layout, width=all_of_them[0].width, height=all_of_them[0].height)
        if layout.width < 1:
            raise ConfigError("--binary.size: a data set without pictures does not say it; give WxH")
        binary.label_length(layout, len(data.classes))  # raises where no set can be like that
        for one in all_of_them:
            if (one.width, one.height) != (layout.width, layout.height):
                expected = f"a picture of {layout.width} x {layout.height} like all others of a binary set"
                found = f"{one.width} x {one.height}"
                raise AnnotationError(one.path or one.name, "", expected, found, reason="size")
        counts = {split: len(data.splits[split]) for split in SPLITS if split in data.splits}
        return cls(layout, BinarySet(work.out, layout, counts, len(data.classes)), data)

    def put(self, split: str, number: int, annotation: Annotation, picture: _Picture) -> Counter[str]:
        """Writes one record."""
        self.records.put_picture(split, number, picture.pixels())
        return self.records.put_labels(split, number, [annotation])

    def finish(self, splits: Mapping[str, Sequence[Annotation]]) -> None:
        """Gives the files their names, when so many records of each split were put."""
        self.records.counts.update({split: len(part) for split, part in splits.items() if split in self.records.counts})
        self.records.finish()
