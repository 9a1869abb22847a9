"""Puts a data set in place: each file whole or not at all."""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from yolo_proc.annotations import binary
from yolo_proc.annotations.layout import Layout, Listed
from yolo_proc.annotations.records import Annotation, BinaryLayout
from yolo_proc.boxes import RgbImage
from yolo_proc.errors import DataError
from yolo_proc.system.files import open_own, replace_by, write_new

# A file that is being written. Always the same name, so that what a killed process leaves is written over.
PART = ".{}.part"
OUTSIDE = "outside"  # what is lost of a scene whatever the format: objects that are not in the picture
SCENE_LABEL = "label of the whole scene"
# The bytes of a file, or what puts it under the name that it is given.
_Content = bytes | Callable[[str], None]


class WriteError(DataError):
    """The disk is full, read-only, gone, or denies: a file was not written."""


def write_whole(path: Path | str, content: bytes, *, durable: bool = False) -> None:
    """Write a file under another name beside it and rename it; make its folder.

    Args:
        durable: the disk has it before it has its name; this costs milliseconds.

    Raises:
        WriteError: the system refuses.
    """

    save_whole(path, lambda part: write_new(part, content), durable=durable)


def save_whole(path: Path | str, save: Callable[[str], None], *, durable: bool = False) -> None:
    """As `write_whole`, of what `save` puts under the name that it is given.

    Raises:
        WriteError: the system refuses.
    """
    # Texts and no paths: this is done for every picture, and the system's part of it takes a tenth of a millisecond.
    folder, name = os.path.split(path)
    part = os.path.join(folder, PART.format(name))  # noqa: PTH118

    def saved(name: str) -> None:
        try:
            save(name)
        except FileNotFoundError:
            os.makedirs(folder, exist_ok=True)  # noqa: PTH103
            save(name)
        if durable:
            _sync(name)

    try:
        replace_by(path, part, saved)
    except OSError as error:
        raise write_error(path, error) from error


def _sync(path: str) -> None:
    file = os.open(path, os.O_RDWR)  # what is open for reading alone cannot be synced everywhere
    try:
        os.fsync(file)
    finally:
        os.close(file)


def remove(path: Path) -> None:
    """Remove a file of ours, if it is there; a folder in its place too.

    Raises:
        WriteError: the system refuses.
    """
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise write_error(path, error) from error


def write_error(path: Path | str, error: OSError) -> WriteError:
    """Return the system's refusal as one line."""
    return WriteError(f"{path}: cannot be written: {error.strerror or error}")


def has_files(root: Path) -> bool:
    """Return whether a folder has anything in it but what a killed process left half-written.

    Raises:
        DataError: it is no folder, or cannot be read.
    """
    try:
        names = os.listdir(root)  # noqa: PTH208 the names alone
    except FileNotFoundError:
        return False
    except OSError as error:
        raise DataError(f"{root}: expected a folder to write to: {error.strerror}") from error
    return any(not (name.startswith(".") and name.endswith(".part")) for name in names)


def loss_lines(format_name: str, lost: Mapping[str, int]) -> list[str]:
    """Return lines for a terminal: how many objects of a binary set are lost, by reason, and what the format could not
    say.
    """
    objects = {word: count for word, count in lost.items() if word in binary.LOST_ITEMS and format_name == binary.NAME}
    words = {word: count for word, count in lost.items() if word not in objects and word != OUTSIDE}
    lines = [f"Lost: {counted(objects)}"] if objects else []
    if lost.get(OUTSIDE):
        lines.append(f"Objects of which nothing is in the picture, left out: {lost[OUTSIDE]:,}")
    return lines + ([f"What {format_name} cannot say: {counted(words)}"] if words else [])


def counted(counts: Mapping[str, int]) -> str:
    """Return `outline 7, visible 1`."""
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))


# ------------------------------------------------------------------------------------------ the set's files


class FileSet:
    """A set whose pictures and labels are files of their own.

    Args:
        layout: of the format.
    """

    def __init__(self, root: Path, layout: Layout) -> None:
        self.root = root
        self.layout = layout
        self._start = f"{root}{os.sep}"

    def put(self, pictures: Iterable[tuple[str, Annotation, _Content | None]]) -> Counter[str]:
        """Write some pictures, each after its labels: it never lies there without them.

        One step is done for all of them, then the next: what a step needs is then at hand in the processor's caches.

        Args:
            pictures: for each its split, its annotation, and the file's bytes, or what puts it under the name that it
                is given; None: it is not written.

        Returns:
            What the format cannot say of them.

        Raises:
            WriteError: the system refuses.
        """
        lost: Counter[str] = Counter()
        files: list[tuple[tuple[str, bytes] | None, tuple[str, _Content] | None]] = []
        for split, annotation, content in pictures:
            label = self.layout.label_file(split, annotation)
            place = "" if content is None else self.layout.picture_file(split, annotation.name)
            files.append(
                (
                    None if label is None else (f"{self._start}{label[0]}", label[1]),
                    None if content is None else (f"{self._start}{place}", content),
                )
            )
            for word in self.layout.picture_losses(annotation):
                lost[word] += 1
            for item in annotation.items:
                for word in self.layout.losses(item):
                    lost[word] += 1
        for label, picture in files:
            if label is not None:
                write_whole(*label)
            if picture is not None:
                self._put_picture(*picture, label_path=None if label is None else label[0])
        return lost

    def _put_picture(self, path: str, content: _Content, *, label_path: str | None) -> None:
        try:
            if isinstance(content, bytes):
                write_whole(path, content)
            else:
                save_whole(path, content)
        except BaseException:
            # Labels of a picture that is not there make the set unreadable for whoever would use what is written.
            if label_path is not None and not os.path.exists(path):  # noqa: PTH110
                with suppress(OSError):
                    os.unlink(label_path)  # noqa: PTH108
            raise

    def finish(self, splits: Mapping[str, Sequence[Listed]]) -> None:
        """Make every folder, of empty splits too, and write the files of the whole set."""
        blank = Annotation("blank.jpg", 1, 1)
        for split in splits:
            label = self.layout.label_file(split, blank)
            for place in (self.layout.picture_file(split, blank.name), *([label[0]] if label is not None else [])):
                folder = (self.root / place).parent
                try:
                    folder.mkdir(parents=True, exist_ok=True)
                except OSError as error:
                    raise write_error(folder, error) from error
        for path, content in self.layout.set_files(splits).items():
            write_whole(self.root / path, content, durable=True)

    def lengths(self, split: str, name: str) -> tuple[int, int]:
        """Return bytes of the files of a picture and of its labels; 0 where there is none."""
        label = self.layout.label_file(split, Annotation(name, 1, 1))
        picture = _length(f"{self._start}{self.layout.picture_file(split, name)}")
        return picture, 0 if label is None else _length(f"{self._start}{label[0]}")


def _length(path: str) -> int:
    try:
        return os.lstat(path).st_size  # a link in its place is another file
    except OSError:
        return 0


class BinarySet:
    """A binary set: each record at its place in two files that get their names when all are there.

    Args:
        counts: records of each split.
        classes: how many there are.
    """

    def __init__(self, root: Path, layout: BinaryLayout, counts: Mapping[str, int], classes: int) -> None:
        self.layout = layout
        self.counts = dict(counts)
        self.classes = classes
        # Without a split the root itself is the set.
        self.folders = {split: root / split if len(counts) > 1 else root for split in counts}

    def check(self) -> None:
        """Raise `ConfigError` for a layout that no set can have."""
        binary.set_info(0, self.layout, self.classes)

    def put_picture(self, split: str, number: int, image: RgbImage) -> None:
        """Write picture `number` of a split, (H, W, 3) uint8 RGB.

        Raises:
            AnnotationError: a picture of another size.
            WriteError: the system refuses.
        """
        content = binary.picture_record(image, self.layout)
        self._put(split, binary.IMAGES, number * len(content), content)

    def put_labels(self, split: str, first: int, annotations: Sequence[Annotation]) -> Counter[str]:
        """Write the labels of some pictures of a split that follow each other; `first` is the first one's number.

        Returns:
            What was lost, by reason.

        Raises:
            AnnotationError, WriteError: as in `put_picture`.
        """
        content, lost = binary.label_records(annotations, self.layout, self.classes)
        self._put(split, binary.LABELS, first * len(content) // len(annotations), content)
        return lost

    def _put(self, split: str, name: str, offset: int, content: bytes | memoryview) -> None:
        path = self.folders[split] / name
        try:
            with _open_part(path) as file:
                file.seek(offset)
                file.write(content)
        except OSError as error:
            raise write_error(path, error) from error

    def sync(self, split: str) -> None:
        """Wait until the disk has what was put in a split, so that a record may say so.

        Raises:
            WriteError: the system refuses.
        """
        for name in (binary.IMAGES, binary.LABELS):
            path = self.folders[split] / name
            try:
                with _open_part(path) as file:
                    os.fsync(file.fileno())
            except OSError as error:
                raise write_error(path, error) from error

    def holds(self, split: str, number: int) -> bool:
        """Return whether the files of a split, finished or not, are long enough to have picture `number`."""
        return all(_length(f"{path}") >= (number + 1) * self._length_of(path.name) for path in self._present(split))

    def begin_again(self) -> None:
        """Make finished files unfinished ones, so that records can be put in them.

        Raises:
            WriteError: the system refuses.
        """
        for split in self.folders:
            for path in self._present(split):
                if path.name in (binary.IMAGES, binary.LABELS) and path.exists():
                    try:
                        path.replace(path.with_name(PART.format(path.name)))
                    except OSError as error:
                        raise write_error(path, error) from error

    def _present(self, split: str) -> list[Path]:
        """Return the two files of a split, each by the name that it has: an unfinished one counts more than a finished
        one.
        """
        paths = [self.folders[split] / name for name in (binary.IMAGES, binary.LABELS)]
        parts = [path.with_name(PART.format(path.name)) for path in paths]
        return [part if os.path.lexists(part) else path for part, path in zip(parts, paths, strict=True)]

    def _length_of(self, name: str) -> int:
        """Return bytes of a record of a file."""
        if binary.IMAGES in name:
            return binary.image_length(self.layout)
        return binary.label_length(self.layout, self.classes)

    def finish(self) -> None:
        """Give the files their names; the one that says that there is a set comes last."""
        for split, folder in self.folders.items():
            for name in (binary.IMAGES, binary.LABELS):
                path = folder / name
                try:
                    if self.counts[split] == 0:
                        _open_part(path).close()
                    part = path.with_name(PART.format(name))
                    # A run that was killed right here has renamed it before.
                    if part.exists() or not path.exists():
                        part.replace(path)
                except OSError as error:
                    raise write_error(path, error) from error
            info = binary.set_info(self.counts[split], self.layout, self.classes)
            write_whole(folder / binary.SET_INFO, info)


def _open_part(path: Path) -> BinaryIO:
    """Return the unfinished file, made if it is not there and left as it is if it is: other processes write to it
    too.
    """
    part = path.with_name(PART.format(path.name))
    try:
        file = open_own(part, os.O_WRONLY)
    except FileNotFoundError:
        part.parent.mkdir(parents=True, exist_ok=True)
        file = open_own(part, os.O_WRONLY)
    return os.fdopen(file, "wb")
