"""Annotated pictures as scenes: `folder:data/letters`.

A picture belongs to one stream, by the digest of its file: equal files are never in two, and a picture stays where it
is when others come or go. In a stream every picture comes once in each pass, and each pass has an order of its own.
The picture is decoded where the scene is drawn, and letterboxed by rule 1.
"""

import hashlib
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import numpy as np

from yolo_proc.annotations import binary, formats
from yolo_proc.annotations.about import binary_from_about, read_about
from yolo_proc.annotations.classes import SET_FILE, read_class_file
from yolo_proc.annotations.records import YOLO_LINES, Annotation, BinaryLayout, Item, Problems, ReadOptions, YoloLines
from yolo_proc.boxes import FloatArray, RgbImage
from yolo_proc.config.options import option
from yolo_proc.config.values import parse_anchors
from yolo_proc.data.generator import Place, Source
from yolo_proc.drawing.canvas import Canvas
from yolo_proc.errors import AnnotationError, ConfigError, DataError, GeneratorError, UserError
from yolo_proc.imaging.letterbox import PAD, Letterbox
from yolo_proc.imaging.pictures import is_deep, picture_bytes, read_picture
from yolo_proc.imaging.reading import HELP as BIT_DEPTH_HELP
from yolo_proc.imaging.reading import LEAST, MOST, PictureReading
from yolo_proc.rng import shuffled

HELD_OUT = ("validation", "target", "calibration", "test")  # the streams whose pictures are not trained on
_NEARLY_SURE = 3  # pictures to be expected in a stream, for one to be there in 19 of 20 sets
# A run's sheet of predictions shows pictures that are new to the network; all other streams may show trained ones.
_SHARES_WITH = {"predictions": "validation"}
_DEEP_SEEN = 16  # pictures of 16 bits a sample that are looked at, to say what they use
_SAME_BOUNDS_PX = 0.1  # files round: an outline whose bounds are this close to the box is the outline of that box


@dataclass(frozen=True)
class Folder(Source):
    """Annotated pictures of a folder; the format is found out. Its own split, if it has one, is not used.

    Its files may not change while it is in use: a picture that did is refused.
    """

    format: str = option(
        "auto", help="of the annotations", choices=("auto", "scredit", "yolo", "coco", "voc", "binary")
    )
    train_share: float = option(0.8, help="share of the pictures that is trained on", low=0, high=1)
    skip_bad: bool = option(False, help="leave out pictures that are damaged or badly annotated")
    augmented: bool = option(False, help="augment even pictures that are marked as augmented already")
    class_file: str | None = option(None, help="file with a class name a line; none: the data set's names")
    clip: bool = option(False, help="clip boxes that reach over the border of their picture")
    voc_from_zero: bool = option(False, help="the writer of these VOC files counted pixels from 0")
    yolo_lines: str = option(
        "auto", help="what the lines of these YOLO label files are, where that is not clear", choices=YOLO_LINES
    )
    bit_depth: int | None = option(None, help=BIT_DEPTH_HELP, low=LEAST, high=MOST)
    binary_size: tuple[int, int] | None = option(None, help="of a binary set's pictures: width,height in px", low=1)
    binary_stride: int = option(32, help="of a binary set's grid, px", low=1)
    binary_anchors: str | None = option(None, help="of a binary set, px: 60x60,120x90")
    binary_type: str = option("unsigned_byte", help="of a binary set's pictures", choices=("unsigned_byte", "float32"))

    _set: "_PictureSet" = field(init=False, repr=False, compare=False)
    _streams: "Mapping[str, Sequence[_Picture]]" = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        root = Path(self.argument).expanduser()
        if not self.argument:
            raise GeneratorError("generator folder: expected the path of a data set behind it, folder:PATH, found none")
        if not root.exists():
            raise GeneratorError(f"generator folder:{self.argument}: no such folder (looked in {Path.cwd()})")
        names = None if self.class_file is None else read_class_file(Path(self.class_file).expanduser())
        lines = cast(YoloLines, self.yolo_lines)
        settings = _Settings(
            self.format, self.skip_bad, names, self.clip, self.voc_from_zero, lines, self._binary(), self.bit_depth
        )
        try:
            found = _read(root, Path.cwd(), settings, _signature(root))
        except UserError as error:
            kind = ConfigError if isinstance(error, ConfigError) else DataError
            raise kind(f"generator folder:{self.argument}: {_with_our_options(str(error))}") from error
        if not found.classes:
            raise GeneratorError(
                f"generator folder:{self.argument}: no class names; --generator.class-file names a file of them"
            )
        streams: dict[str, list[_Picture]] = {name: [] for name in ("train", *HELD_OUT)}
        for picture in found.pictures:
            streams[stream_of(picture.digest, self.train_share)].append(picture)
        object.__setattr__(self, "_set", found)
        object.__setattr__(self, "_streams", streams)

    def _binary(self) -> BinaryLayout | None:
        if self.binary_size is None:
            return None
        anchors = parse_anchors(self.binary_anchors) if self.binary_anchors is not None else None
        if anchors is None:
            raise GeneratorError(f"binary-anchors: expected sizes such as 60x60, found {self.binary_anchors!r}")
        width, height = self.binary_size
        is_float = self.binary_type == "float32"
        return BinaryLayout(width, height, self.binary_stride, anchors, "float32" if is_float else "unsigned_byte")

    @property
    def classes(self) -> tuple[str, ...]:
        """The data set's."""
        return self._set.classes

    @property
    def letterboxed(self) -> bool:
        """They are."""
        return True

    def count(self, stream: str) -> int:
        """Return the number of pictures that a stream has."""
        return len(self._pictures(stream))

    def check(self, stream: str, augmented: bool) -> None:
        """Refuse a stream without a picture, and to augment twice.

        Raises:
            GeneratorError: see above.
        """
        where = f"generator folder:{self.argument}"
        if not self.count(stream):
            raise GeneratorError(
                f"{where}: expected pictures for stream {stream}, found none among {self._shares()}"
                f"{self._chance(stream)}; add pictures, choose another --generator.train-share, or other scenes beside "
                "them (mix:NAME=0.8,folder:PATH=0.2)"
            )
        if augmented and self._set.augmented and not self.augmented:
            raise GeneratorError(
                f"{where}: its pictures are augmented already, says its {SET_FILE}; switch augmentation off "
                "(--augment.enabled off), or augment twice (folder: alone, --generator.augmented on)"
            )

    def draw_at(self, canvas: Canvas, place: Place, size: tuple[int, int]) -> None:
        """The picture in its letterbox, with its labels and ignore regions; see `Source`."""
        picture, pixels = self._picture_at(place)
        box = Letterbox.of(pixels.shape[1], pixels.shape[0], *size)
        canvas.background(box.apply(pixels), beyond=(PAD, PAD, PAD))
        unit = canvas.width / size[0]
        for item in picture.annotation.items:
            if not (item.is_label or item.ignore):
                continue
            x0, y0, x1, y1 = xyxy = box.boxes_to_network(item.xyxy)[0] * unit
            if not (x0 < x1 and y0 < y1):
                continue  # smaller than a float can say once it is shrunk
            if item.ignore:
                canvas.ignore(xyxy)
                continue
            outline = _outline(item)
            canvas.annotate(
                xyxy if outline is None else box.points_to_network(outline) * unit,
                self._set.classes[item.class_id],
                confidence=_share(item.confidence),
                visible=_share(item.visible),
                in_frame=_share(item.in_frame),
            )

    def labelled_pictures(self) -> Iterator[tuple[RgbImage, Sequence[Item]]]:
        """Yield all pictures, of every stream, in the order of the data set, with what is annotated on them.

        Raises:
            AnnotationError: one cannot be read, and bad ones are not skipped.
            DataError: one has changed.
        """
        for picture in self._set.pictures:
            try:
                yield picture.read(self.bit_depth), picture.annotation.items
            except AnnotationError:
                if not self.skip_bad:
                    raise

    @property
    def total(self) -> int:
        """How many pictures there are, of all streams."""
        return len(self._set.pictures)

    def title(self, place: Place) -> str:
        """Return the picture's path."""
        return self._chosen(place, 0).title

    def contents(self) -> Mapping[str, str]:
        """Return digests of the pictures' bytes and of the labels, in the order that the scenes depend on."""
        pictures, labels = hashlib.sha256(), hashlib.sha256()
        for picture in self._set.pictures:
            pictures.update(picture.digest)
            labels.update(repr(picture.annotation.items).encode())
        return {"pictures": pictures.hexdigest(), "labels": labels.hexdigest()}

    def notes(self) -> tuple[str, ...]:
        """Return how the pictures are shared out, and what was left out or assumed."""
        return (f"{self.argument}: {self._shares()}", *map(_with_our_options, self._set.notes))

    @classmethod
    def stem(cls, argument: str) -> str:
        """Return the folder's name."""
        return os.path.basename(os.path.abspath(Path(argument).expanduser())) or "folder"  # noqa: PTH100, PTH119

    def _pictures(self, stream: str) -> "Sequence[_Picture]":
        return self._streams.get(_SHARES_WITH.get(stream, stream), self._streams["train"])

    def _shares(self) -> str:
        counts = ", ".join(f"{name} {len(pictures)}" for name, pictures in self._streams.items())
        return f"{len(self._set.pictures)} pictures ({counts})"

    def _chance(self, stream: str) -> str:
        """Return how many pictures there should be for one in this stream, in words; empty where none can ever be in
        it.
        """
        held_out = _SHARES_WITH.get(stream, stream) in HELD_OUT
        share = (1 - self.train_share) / len(HELD_OUT) if held_out else self.train_share
        if share <= 0:
            return f", of which --generator.train-share {self.train_share:g} gives it none"
        enough = math.ceil(_NEARLY_SURE / share - 1e-9)
        return f": each picture is in it with a chance of {share:.2g}, so it takes about {enough:,} of them"

    def _chosen(self, place: Place, further: int) -> "_Picture":
        pictures = self._pictures(place.stream)
        turn, rank = divmod(place.index, len(pictures))
        return pictures[shuffled((rank + further) % len(pictures), len(pictures), place.seed, place.stream, turn)]

    def _picture_at(self, place: Place) -> "tuple[_Picture, RgbImage]":
        """Return the picture of a scene; where damaged ones are skipped, the next one of the same pass in its stead."""
        for further in range(self.count(place.stream)):
            picture = self._chosen(place, further)
            try:
                return picture, picture.read(self.bit_depth)
            except AnnotationError:
                if not self.skip_bad:
                    raise
        raise GeneratorError(f"folder {self.argument}: none of the pictures of stream {place.stream} can be read")


def stream_of(digest: bytes, train_share: float) -> str:
    """Return the stream that a picture belongs to: train, or in equal shares one of `HELD_OUT`.

    Args:
        digest: SHA-256 of the picture's file.
    """
    share = (int.from_bytes(digest[:8], "big") >> 11) / 2**53  # evenly from 0 to below 1
    if share < train_share:
        return "train"
    rank = int((share - train_share) / (1 - train_share) * len(HELD_OUT))
    return HELD_OUT[min(rank, len(HELD_OUT) - 1)]


def _share(value: float | None) -> float:
    return 1.0 if value is None else value


def _outline(item: Item) -> FloatArray | None:
    """Return (K, 2) pixels; None where there is none that fits the box."""
    if len(item.points) < 3:
        return None
    points = np.array(item.points, dtype=np.float64)
    bounds = np.concatenate([points.min(axis=0), points.max(axis=0)])
    return points if np.abs(bounds - item.xyxy).max() <= _SAME_BOUNDS_PX else None


# ---------------------------------------------------------------------------------------------------------------
# Reading. The result is kept: a run opens several streams of one folder, and workers that are forked share it.


@dataclass(frozen=True)
class _Settings:
    format: str
    skip_bad: bool
    classes: tuple[str, ...] | None
    clip: bool
    voc_from_zero: bool
    yolo_lines: YoloLines
    binary: BinaryLayout | None
    bit_depth: int | None


@dataclass(frozen=True, slots=True)
class _Picture:
    """A picture of the folder.

    Attributes:
        digest: SHA-256 of its file; of a record of a binary set that of its pixels.
        records: the folder of the binary set's files, and their layout; None where the picture is a file.
    """

    annotation: Annotation
    digest: bytes
    records: tuple[Path, BinaryLayout] | None = None

    @property
    def title(self) -> str:
        if self.records is None:
            return str(self.annotation.path)
        return f"record {self.annotation.record} of {self.records[0]}"

    def read(self, bit_depth: int | None) -> RgbImage:
        """Return (H, W, 3) uint8 RGB, upright.

        Raises:
            AnnotationError: it cannot be read.
            DataError: it has changed.
        """
        digest, pixels = _load(self.annotation, self.records)
        if digest != self.digest:
            raise DataError(f"{self.title}: has changed since its folder was read; the run would be another one")
        if not isinstance(pixels, bytes):
            return pixels
        return read_picture(pixels, reading=PictureReading(bit_depth), name=self.title)


@dataclass(frozen=True)
class _PictureSet:
    classes: tuple[str, ...]
    pictures: tuple[_Picture, ...]
    augmented: bool
    notes: tuple[str, ...]


@lru_cache(maxsize=4)
def _read(root: Path, _folder: Path, settings: _Settings, _signature: str) -> _PictureSet:
    """Return the pictures of a data set; `_folder` is where a relative root begins, `_signature` what it looks like."""
    problems = Problems(skip=settings.skip_bad)
    options = ReadOptions(
        classes=settings.classes,
        problems=problems,
        clip=settings.clip,
        voc_from_zero=settings.voc_from_zero,
        yolo_lines=settings.yolo_lines,
        binary=settings.binary,
    )
    data = formats.read_data_set(root, options, None if settings.format == "auto" else settings.format)
    about: Mapping[str, Any] = read_about(root) or {}
    layout = settings.binary or binary_from_about(about, root)
    pictures, omitted = [], 0
    reading, seen = PictureReading(settings.bit_depth), 0
    for split, annotations in data.splits.items():
        for annotation in annotations:
            if annotation.extra.get("usage") == "omit":
                omitted += 1
                continue
            records = None
            if annotation.path is None:
                assert layout is not None, "a binary set was read without a layout"
                records = (binary.record_folder(root, split), layout)
            try:
                digest, content = _load(annotation, records)
                if seen < _DEEP_SEEN and isinstance(content, bytes) and is_deep(content):
                    seen += 1
                    read_picture(content, reading=reading, name=str(annotation.path))
                pictures.append(_Picture(annotation, digest, records))
            except AnnotationError as error:
                problems.met(error)
    notes = [*data.notes, *reading.notes()]
    if problems.errors:
        reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(problems.by_reason.items()))
        notes.append(f"{root}: {len(problems.errors)} bad pictures left out ({reasons})")
    if omitted:
        notes.append(f"{root}: {omitted} pictures left out, because their usage is omit")
    return _PictureSet(data.classes, tuple(pictures), about.get("augmented") is True, tuple(notes))


def _load(annotation: Annotation, records: tuple[Path, BinaryLayout] | None) -> tuple[bytes, bytes | RgbImage]:
    """Return the digest of a picture, and its file or (of a binary set) its pixels.

    Raises:
        AnnotationError: it cannot be read.
    """
    if records is not None:
        assert annotation.record is not None
        pixels = binary.read_picture_record(records[0], annotation.record, records[1])
        return hashlib.sha256(pixels.tobytes()).digest(), pixels
    assert annotation.path is not None
    data = picture_bytes(annotation.path)
    return hashlib.sha256(data).digest(), data


def _signature(root: Path) -> str:
    """Return what changes whenever a file of the folder does: names, sizes, times."""
    digest = hashlib.sha256()
    for place, folders, files in os.walk(root.parent if root.is_file() else root):
        folders.sort()
        for name in sorted(files):
            path = f"{place}/{name}"
            try:
                about = os.stat(path)  # noqa: PTH116 a hundred thousand paths
            except OSError:
                continue
            digest.update(f"{path}\0{about.st_size}\0{about.st_mtime_ns}\0".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _with_our_options(line: str) -> str:
    """Return a reader's line with the options as they are called here."""
    line = re.sub(r"--binary\.(\w+)", r"--generator.binary-\1", line)
    line = re.sub("--(clip|skip-bad|voc-from-zero|yolo-lines|bit-depth)", r"--generator.\1", line)
    return line.replace("--classes", "--generator.class-file")
