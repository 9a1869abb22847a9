"""Scenes of a stream as files, chunk by chunk: a chunk is finished or not begun.

Whoever draws a chunk writes its pictures and labels, and at last its record; the record says that the chunk is done,
so a run that was ended in any way goes on with the chunks that have none.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from yolo_proc.annotations.about import binary_to_about
from yolo_proc.annotations.formats import FORMATS
from yolo_proc.annotations.layout import Layout, Listed
from yolo_proc.annotations.records import SPLITS, Annotation, BinaryLayout, Item
from yolo_proc.config.schema import Config
from yolo_proc.config.values import config_values, value_text
from yolo_proc.data.run_config import generator_options
from yolo_proc.data.stream import Stream
from yolo_proc.datasets.chunk_records import Record
from yolo_proc.datasets.scenefiles import Drawn, encode_picture, items_of
from yolo_proc.datasets.setwriter import OUTSIDE, SCENE_LABEL, BinarySet, FileSet, WriteError, remove, write_whole
from yolo_proc.errors import ConfigError, DataError
from yolo_proc.system.files import MIB, UnreadableFileError, read_bytes

CHUNK = 16  # scenes: little is lost by an interruption, and a record costs little beside them
MAX_RECORD_BYTES = 16 * MIB  # of a chunk's scenes
RECORDS = ".yolo_proc.partial"  # folder of the chunks' records, while the set is not complete


@dataclass(frozen=True, kw_only=True)
class SetRequest:
    """A request for a data set: what is to be written.

    Attributes:
        config: generator, seed, image size, limits of labels, augmentation.
        count: how many pictures.
        format: one of `FORMATS`.
        out: the folder.
        split: share of the pictures that are for training, 0 to 1; the rest is for validation.
        picture_type, quality: of the picture files; the quality is JPEG's.
        stream: which scenes.
        picture_size: (width, height) pixels; None: the config's image size.
        binary: what a binary set is like; its size is set to the pictures'.
        workers: processes that draw; 0: this one.

    Raises:
        ConfigError: an unknown format, or a binary set without its layout.
    """

    config: Config
    count: int
    format: str
    out: Path
    split: float = 1.0
    picture_type: Literal["png", "jpg"] = "jpg"
    quality: int = 95
    stream: str = "train"
    picture_size: tuple[int, int] | None = None
    binary: BinaryLayout | None = None
    workers: int = 0

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise ConfigError(f"format {self.format}: expected one of {', '.join(FORMATS)}")
        said = None if self.binary is None else (self.binary.width, self.binary.height)
        if said != (self.size if self.format == "binary" else None):
            raise ConfigError(f"format {self.format}: a binary set, and no other, has a layout of the pictures' size")

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) pixels of every picture."""
        return self.picture_size or (self.config.image_size, self.config.image_size)

    @property
    def train_count(self) -> int:
        """floor(count * split), of the share as it is typed: 100 * 0.29 is 29, not 28.999."""
        return int(self.count * Fraction(repr(self.split)))

    @property
    def counts(self) -> dict[str, int]:
        """Pictures of each split; without a split "train" alone."""
        if self.split == 1:
            return {SPLITS[0]: self.count}
        return {SPLITS[0]: self.train_count, SPLITS[1]: self.count - self.train_count}

    @property
    def chunks(self) -> int:
        """How many chunks."""
        return -(-self.count // CHUNK)

    def place(self, index: int) -> tuple[str, int]:
        """Return the split of a scene, and its number there."""
        first = self.counts[SPLITS[0]]
        return (SPLITS[0], index) if index < first else (SPLITS[1], index - first)

    def name(self, index: int) -> str:
        """Return `image_00017.jpg`."""
        return f"image_{index:0{max(5, len(str(self.count - 1)))}d}.{self.picture_type}"

    def values(self) -> dict[str, str]:
        """Return everything that the written bytes depend on, by the name of its option, as a user types it."""
        wanted: dict[str, Any] = {
            flat: declared.default for flat, declared in generator_options(self.config.generator.name).items()
        }
        sections = {"generator", "labels"} | ({"augment"} if self.config.augment.enabled else set())
        for flat, value in config_values(self.config).items():
            if flat.partition(".")[0] in sections or flat in ("seed", "image-size"):
                wanted[flat] = value
        wanted |= {"augment": self.config.augment.enabled, "stream": self.stream, "count": self.count}
        wanted |= {"split": self.split, "format": self.format}
        wanted["picture-size"] = None if self.picture_size is None else "x".join(map(str, self.picture_size))
        if self.binary is not None:
            wanted |= {f"binary.{name}": str(value) for name, value in binary_to_about(self.binary).items()}
        else:
            wanted |= {"picture-type": self.picture_type}
            wanted |= {"quality": self.quality} if self.picture_type == "jpg" else {}
        return {flat: value_text(value) for flat, value in wanted.items()}


@contextmanager
def resumable() -> Iterator[None]:
    """Say of a refusal of the disk that nothing is lost by it."""
    try:
        yield
    except WriteError as error:
        raise DataError(f"{error}; what was written stays, the same command goes on from there") from error


@dataclass(frozen=True)
class WriteChunk:
    """The task of a worker: number of a chunk -> how many pictures it wrote."""

    request: SetRequest
    stream: Stream

    @cached_property
    def _layout(self) -> Layout | None:
        layout = FORMATS[self.request.format].layout
        return None if layout is None else layout(self.stream.classes, tuple(self.request.counts))

    @cached_property
    def _files(self) -> FileSet | None:
        return None if self._layout is None else FileSet(self.request.out, self._layout)

    @cached_property
    def _binary(self) -> BinarySet:
        assert self.request.binary is not None, "a binary set has a layout"
        return BinarySet(self.request.out, self.request.binary, self.request.counts, len(self.stream.classes))

    @property
    def says_ignore(self) -> bool:
        """Whether the format has ignore regions."""
        return self._says(Item((0.0, 0.0, 1.0, 1.0), 0, ignore=True))

    @cached_property
    def _says_outlines(self) -> bool:
        return self._says(Item((0.0, 0.0, 1.0, 1.0), 0, points=((0.0, 0.0), (1.0, 0.0), (1.0, 1.0))))

    def _says(self, item: Item) -> bool:
        return self._layout is not None and not self._layout.losses(item)

    def check(self) -> None:
        """Raise `ConfigError` for a layout that no set can have, before anything is written."""
        if self._files is None:
            self._binary.check()

    def indices(self, chunk: int) -> range:
        """Return the scenes of a chunk."""
        return range(chunk * CHUNK, min((chunk + 1) * CHUNK, self.request.count))

    def __call__(self, chunk: int, /) -> int:
        """Raise `DataError` if the disk refuses."""
        indices = self.indices(chunk)
        request = self.request
        contents: list[bytes] = []
        drawn = []
        scene_labels = 0  # what `canvas.label_scene` said, for which no format has a word
        for index in indices:
            scene = self.stream[index]
            scene_labels += scene.class_id is not None
            drawn.append(Drawn(scene.objects, scene.ignore))
            if self._files is None:
                with resumable():
                    self._binary.put_picture(*request.place(index), scene.image)
            else:
                contents.append(encode_picture(scene.image, request.picture_type, request.quality))
        said = items_of(drawn, request.size, request.config.labels, outlines=self._says_outlines)
        annotations = [self._annotation(index, items) for index, items in zip(indices, said.items, strict=True)]
        with resumable():
            lost = Counter({"outline": said.outlines_left, OUTSIDE: said.outside, SCENE_LABEL: scene_labels})
            if self._files is None:
                for split, first, part in self._runs(indices, annotations):
                    lost += self._binary.put_labels(split, first, part)
                    self._binary.sync(split)
            else:
                splits = [request.place(index)[0] for index in indices]
                lost += self._files.put(zip(splits, annotations, contents, strict=True))
            self._write_record(chunk, annotations, said.below, +lost)
        return len(indices)

    def _runs(
        self, indices: range, annotations: Sequence[Annotation]
    ) -> Iterator[tuple[str, int, Sequence[Annotation]]]:
        """Yield the split, the first number there, and the annotations, of each split that a chunk has a part in."""
        border = max(self.request.counts[SPLITS[0]] - indices.start, 0)
        for part in (slice(0, border), slice(border, None)):
            if annotations[part]:
                yield *self.request.place(indices[part][0]), annotations[part]

    def _write_record(
        self, chunk: int, annotations: Sequence[Annotation], below: Counter[str], lost: Counter[str]
    ) -> None:
        objects = Counter(item.class_id for one in annotations for item in one.items if item.is_label)
        record = Record(self._listed(annotations), objects, below, lost, self._lengths(chunk))
        write_whole(self._record_path(chunk), record.to_bytes())

    def _lengths(self, chunk: int) -> Sequence[tuple[int, int]]:
        """Tell of the files of a chunk's pictures; see `Record`."""
        if self._files is None:
            return ()
        places = [self.request.place(index)[0] for index in self.indices(chunk)]
        names = [self.request.name(index) for index in self.indices(chunk)]
        return [self._files.lengths(split, name) for split, name in zip(places, names, strict=True)]

    def _listed(self, annotations: Sequence[Annotation]) -> list[Listed]:
        return [Listed(one.name) for one in annotations] if self._layout is None else self._layout.listed(annotations)

    def _annotation(self, index: int, items: Sequence[Item]) -> Annotation:
        width, height = self.request.size
        return Annotation(self.request.name(index), width, height, tuple(items))

    def _record_path(self, chunk: int) -> Path:
        return self.request.out / RECORDS / f"chunk_{chunk:07d}.json"

    def record(self, chunk: int) -> Record | None:
        """Return what is known of a chunk that is done; None if it is not."""
        try:
            data = read_bytes(self._record_path(chunk), MAX_RECORD_BYTES, "a chunk's record")
        except UnreadableFileError:
            return None
        found = Record.from_bytes(data, len(self.stream.classes))
        names = [self.request.name(index) for index in self.indices(chunk)]
        if found is None or [one.name for one in found.pictures] != names:
            return None
        if self._layout is None:
            return found if not any(one.text for one in found.pictures) else None
        return found if all(map(self._layout.has_listed, found.pictures)) else None

    def is_done(self, chunk: int) -> bool:
        """Return whether a chunk has a record, and its files are as long as they were: a disk that lost its power may
        have kept the one without the others.
        """
        record = self.record(chunk)
        if record is None:
            return False
        if self._files is not None:
            return record.lengths == tuple(self._lengths(chunk))
        return all(self._binary.holds(*self.request.place(index)) for index in self.indices(chunk))

    def begin_again(self, chunks: Sequence[int]) -> None:
        """Forget what is said of chunks that are not done, before one of them is drawn: their files may grow to the
        length that is expected of them before all of them are there.

        Raises:
            DataError: the disk refuses.
        """
        for chunk in chunks:
            path = self._record_path(chunk)
            with resumable():
                remove(path)
        if chunks and self._files is None:
            with resumable():
                self._binary.begin_again()

    def finish(self, splits: Mapping[str, Sequence[Listed]]) -> None:
        """Write the files of the whole set."""
        if self._files is None:
            self._binary.finish()
        else:
            self._files.finish(splits)
