"""Targets of a conversion: a set of files or a binary set, and the pictures that it takes from the source."""

import errno
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from yolo_proc.annotations import binary
from yolo_proc.annotations.formats import FORMATS
from yolo_proc.annotations.layout import Layout, Listed
from yolo_proc.annotations.records import SPLITS, Annotation, BinaryLayout, DataSet
from yolo_proc.datasets.scenefiles import encode_picture
from yolo_proc.datasets.setwriter import BinarySet, FileSet
from yolo_proc.errors import AnnotationError, ConfigError, DataError
from yolo_proc.imaging.pictures import check_unread, picture_bytes, read_picture
from yolo_proc.imaging.reading import PictureReading

TOGETHER = 1000  # pictures whose outlines become text at once

Images = Literal["copy", "link", "none"]


class Work(Protocol):
    """The part of a `Conversion` that a target needs."""

    @property
    def out(self) -> Path: ...
    @property
    def to(self) -> str: ...
    @property
    def images(self) -> Images: ...
    @property
    def binary(self) -> BinaryLayout | None: ...


@dataclass(frozen=True)
class Picture:
    """A picture of the source, wherever it is."""

    root: Path
    split: str
    annotation: Annotation
    layout: BinaryLayout | None
    reading: PictureReading

    def pixels(self) -> Any:
        """Return (H, W, 3) uint8 RGB, upright."""
        if self.annotation.path is not None:
            return read_picture(self.annotation.path, reading=self.reading)
        assert self.layout is not None, "only a binary set has pictures without files"
        assert self.annotation.record is not None, "and they have numbers"
        folder = binary.record_folder(self.root, self.split)
        return binary.read_picture_record(folder, self.annotation.record, self.layout)

    def content(self) -> bytes:
        """Return the bytes of its file; PNG where it has none.

        Raises:
            AnnotationError: it cannot be read, or costs more than whoever decodes it allows.
        """
        path = self.annotation.path
        if path is None:
            return encode_picture(self.pixels(), "png", 0)
        data = picture_bytes(path)
        check_unread(data, path, self.reading)
        return data

    def link(self, part: str) -> None:
        """Make `part` another name of the file."""
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
class FileTarget:
    """A set of files that is written."""

    files: FileSet
    images: Images
    data: DataSet

    @classmethod
    def of(cls, work: Work, data: DataSet) -> "FileTarget":
        """Check every name before anything is written."""
        make = FORMATS[work.to].layout
        assert make is not None, f"{work.to} has files"
        layout = make(data.classes, tuple(data.splits))
        return cls(FileSet(work.out, layout), work.images, _with_names(layout, data))

    def put(self, split: str, number: int, annotation: Annotation, picture: Picture) -> Counter[str]:  # noqa: ARG002
        """Write one picture with its labels."""
        if self.images == "none":
            return self.files.put([(split, annotation, None)])
        content = picture.content()
        if self.images == "link":
            return self.files.put([(split, annotation, picture.link)])
        return self.files.put([(split, annotation, content)])

    def finish(self, splits: Mapping[str, Sequence[Annotation]]) -> None:
        """Write the files of the whole set, of what was put."""
        listed: dict[str, list[Listed]] = {split: [] for split in splits}
        for split, part in splits.items():
            for first in range(0, len(part), TOGETHER):
                listed[split] += self.files.layout.listed(part[first : first + TOGETHER])
        self.files.finish(listed)


def _with_names(layout: Layout, data: DataSet) -> DataSet:
    """Return the data set with names that its pictures can have in the layout.

    A format may have one folder for all splits: then a picture whose name an earlier split has gets `val_` before it.

    Raises:
        DataError: two pictures of a split, or their labels, would be one file; a name that is none of the format's.
    """
    owners: dict[str, tuple[str, Annotation]] = {}
    splits: dict[str, tuple[Annotation, ...]] = {}
    taken: list[str] = []
    respelled: list[str] = []
    for split, part in data.splits.items():
        named = []
        for annotation in part:
            files = _files_of(layout, split, annotation)
            if any(owners[file][0] != split for file in files if file in owners):
                annotation = replace(annotation, name=f"{split}_{annotation.name}")
                taken.append(annotation.name)
                files = _files_of(layout, split, annotation)
            name = files[0].rpartition("/")[2]
            if name != annotation.name:  # scredit lists suffixes in small letters alone
                annotation = replace(annotation, name=name)
                respelled.append(name)
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
    for why, renamed in (("has one folder for all splits", taken), ("has suffixes in small letters alone", respelled)):
        if renamed:
            notes = (*notes, f"{layout.name} {why}: {len(renamed):,} pictures are renamed, such as {renamed[0]}")
    return replace(data, splits=splits, notes=notes)


def _files_of(layout: Layout, split: str, annotation: Annotation) -> list[str]:
    """Return the files that a picture has of its own."""
    label = layout.label_file(split, replace(annotation, items=(), extra={}))
    return [layout.picture_file(split, annotation.name), *([] if label is None else [label[0]])]


@dataclass
class BinaryTarget:
    """A binary set that is written."""

    layout: BinaryLayout
    records: BinarySet
    data: DataSet

    @classmethod
    def of(cls, work: Work, data: DataSet) -> "BinaryTarget":
        """Check the sizes of all pictures before anything is written."""
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

    def put(self, split: str, number: int, annotation: Annotation, picture: Picture) -> Counter[str]:
        """Write one record."""
        self.records.put_picture(split, number, picture.pixels())
        return self.records.put_labels(split, number, [annotation])

    def finish(self, splits: Mapping[str, Sequence[Annotation]]) -> None:
        """Give the files their names, when so many records of each split were put."""
        self.records.counts.update({split: len(part) for split, part in splits.items() if split in self.records.counts})
        self.records.finish()
