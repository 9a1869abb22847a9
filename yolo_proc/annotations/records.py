"""The one form that annotations have in memory, whatever file they came from.

    DataSet      a root folder, class names, and for each split its pictures
    Annotation   one picture: its file, its upright size, its items
    Item         one annotated thing: a rectangle, and what only some formats can say besides

A reader turns files into a `DataSet`, a format's layout turns it into files again; neither knows the others.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

from yolo_proc.errors import AnnotationError, one_line
from yolo_proc.imaging.costs import MAX_PIXELS
from yolo_proc.imaging.reading import PictureReading

Kind = Literal["rectangle", "mask", "point", "polygon", "text"]
Box = tuple[float, float, float, float]
YoloLines = Literal["auto", "box", "track", "segments", "segments+confidence", "segments+track"]
YOLO_LINES = get_args(YoloLines)

SPLITS = ("train", "val")  # the names of the parts of a data set, in order
# Files round their coordinates: a box this far outside of its picture is clipped, not refused. Pixels.
TOLERANCE = 1.0
_ONE_OR_MANY = re.compile(r"\(([^()|]*)\|([^()|]*)\)")
_NOTHING_PX = 0.01  # what nine digits, or single precision, make of a box at the border; not worth a line


@dataclass(frozen=True, slots=True)
class Item:
    """One annotated thing.

    Attributes:
        xyxy: half-open float pixels of the upright picture; of a polygon its bounds, of a point the point twice.
        category: index into the data set's classes; None where the file says none (`class_id` is 0 then).
        kind: only rectangles are labels of a detector; the others survive a round trip through formats that have them.
        points: corners of a polygon, the place of a point, or the outline of a rectangle, pixels; mostly empty.
        open: a polygon that does not close.
        text: of a text.
        confidence: 0 to 1; None where the file says nothing.
        rotation: degrees, -90 to 90, as the file says; the box is upright all the same.
        anchor: index of an anchor, as the file says.
        visible, in_frame: shares, 0 to 1; None where the file says nothing.
        ignore: a region of which no loss term and no metric speaks (COCO `iscrowd`, VOC `difficult`).
    """

    xyxy: Box
    category: int | None = None
    kind: Kind = "rectangle"
    points: tuple[tuple[float, float], ...] = ()
    open: bool = False
    text: str | None = None
    confidence: float | None = None
    rotation: float | None = None
    anchor: int | None = None
    visible: float | None = None
    in_frame: float | None = None
    ignore: bool = False

    @property
    def class_id(self) -> int:
        """The category, 0 where the file says none."""
        return self.category or 0

    @property
    def is_label(self) -> bool:
        """Whether a detector learns it."""
        return self.kind == "rectangle" and not self.ignore


@dataclass(frozen=True, slots=True)
class Annotation:
    """One picture with its items.

    Attributes:
        name: of the picture's file, without folders: `image_00001.jpg`.
        width, height: pixels of the upright picture.
        items: in the file's order.
        path: where the picture lies; None where it has no file of its own (binary sets).
        record: which record of a binary set it is; None elsewhere.
        extra: what only the scredit format has (`usage`, `metadata`, ...), kept for the way back.
    """

    name: str
    width: int
    height: int
    items: tuple[Item, ...] = ()
    path: Path | None = None
    record: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def stem(self) -> str:
        """The name without its last suffix."""
        return stem_of(self.name)


def stem_of(name: str) -> str:
    """Return the name of a file without its last suffix."""
    return name.rpartition(".")[0] or name


@dataclass
class Problems:
    """The way to treat a picture whose annotation is bad: stop at the first, or go on without the picture and count.

    A picture is skipped as a whole: without one of its objects the rest would teach that the object is background.

    Attributes:
        skip: go on.
        errors: those met so far.
    """

    skip: bool = False
    errors: list[AnnotationError] = field(default_factory=list)

    def met(self, error: AnnotationError) -> None:
        """Raise the error, or count it."""
        if not self.skip:
            raise error
        self.errors.append(error)

    def check_some_left(self, count: int) -> None:
        """Refuse a set all of whose pictures were skipped: what is written of it would be empty.

        Args:
            count: of the pictures that are left.

        Raises:
            AnnotationError: the first that was met, with how many there are.
        """
        if self.errors and not count:
            first = self.errors[0]
            others = f"; nothing is left of the set, {len(self.errors):,} are bad" if len(self.errors) > 1 else ""
            first.args = (f"{first}{others or '; nothing is left of the set'}",)
            raise first

    @property
    def by_reason(self) -> Counter[str]:
        """How many errors of each reason were skipped."""
        return Counter(error.reason for error in self.errors)


@dataclass
class Tally:
    """Changes and losses of a reading, by kind: each with its number and the first place.

    Attributes:
        counts: by words that follow a number: "boxes reach over the border and are clipped".
        first: the place of the first, by the same words.
        ones: the words that follow 1, by the same words.
    """

    counts: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)
    ones: dict[str, str] = field(default_factory=dict)

    def add(self, what: str, where: Path | str, count: int = 1) -> None:
        """Count more.

        Args:
            what: words that follow a number, with both forms where they differ: "(box is|boxes are) clipped".
            where: the file, with the place in it where there is one.
            count: how many.
        """
        if count:
            one, many = _forms(what)
            self.counts[many] += count
            self.first.setdefault(many, f"{where}")
            self.ones[many] = one

    def lines(self) -> tuple[str, ...]:
        """Return lines for the user: `7 boxes reached over the border and are clipped (first: a.txt: line 3)`."""
        return tuple(
            f"{count:,} {self.ones[what] if count == 1 else what} (first: {self.first[what]})"
            for what, count in sorted(self.counts.items())
        )


@lru_cache(maxsize=1024)
def _forms(what: str) -> tuple[str, str]:
    """Return the words that follow 1, and those that follow other numbers."""
    return _ONE_OR_MANY.sub(r"\1", what), _ONE_OR_MANY.sub(r"\2", what)


@dataclass(frozen=True)
class BinaryLayout:
    """Facts about a binary set that its files do not state.

    Attributes:
        width, height: pixels of its pictures.
        stride: of its one grid, pixels.
        anchors: (w, h) pixels.
        value_type: of its pictures.
    """

    width: int
    height: int
    stride: int
    anchors: tuple[tuple[float, float], ...]
    value_type: Literal["unsigned_byte", "float32"] = "unsigned_byte"


@dataclass(frozen=True)
class ReadOptions:
    """How files are read.

    Attributes:
        classes: names given by the user; None: what the data set says.
        problems: what to do with a bad picture.
        tally: what is changed or left out; `read_data_set` takes a new one and puts its lines among the notes.
        clip: a box that reaches over the border of its picture is clipped; else it is refused.
        voc_from_zero: the writer of VOC files counted pixels from 0.
        yolo_lines: what the lines of YOLO label files are, where their number of fields leaves it open.
        binary: of a binary set.
        max_pixels: a picture that claims more is refused by its header.
        reading: how pictures are read where pixels are needed; it learns what was seen.
    """

    classes: tuple[str, ...] | None = None
    problems: Problems = field(default_factory=Problems)
    tally: Tally = field(default_factory=Tally)
    clip: bool = False
    voc_from_zero: bool = False
    yolo_lines: YoloLines = "auto"
    binary: BinaryLayout | None = None
    max_pixels: int = MAX_PIXELS
    reading: PictureReading = field(default_factory=PictureReading)


@dataclass(frozen=True)
class DataSet:
    """Annotated pictures.

    Attributes:
        root: the folder.
        format: "scredit", "yolo", "coco", "voc" or "binary".
        classes: names by class index.
        splits: by name, in the order of `SPLITS`; a data set without a split has "train" alone.
        notes: lines for the user, for example that class names were made up; what names of files make unprintable in
            them is escaped here.
    """

    root: Path
    format: str
    classes: tuple[str, ...]
    splits: Mapping[str, tuple[Annotation, ...]]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "notes", tuple(map(one_line, self.notes)))

    @property
    def annotations(self) -> tuple[Annotation, ...]:
        """Of all splits, in order."""
        return tuple(one for part in self.splits.values() for one in part)


def checked_box(
    xyxy: Box, width: int, height: int, path: Path | str, place: str, options: ReadOptions | None = None
) -> Box | None:
    """Return the box clipped to its picture; None where `options.clip` leaves nothing of it.

    What is clipped is counted in `options.tally`.

    Raises:
        AnnotationError: not finite, swapped corners, no area, or outside by more than `TOLERANCE` pixels where
            `options.clip` is not set.
    """
    options = options or ReadOptions()
    x0, y0, x1, y1 = xyxy
    shown = f"x0, y0, x1, y1 = {x0:g}, {y0:g}, {x1:g}, {y1:g}"
    if not all(math.isfinite(value) for value in xyxy):
        raise AnnotationError(path, place, "finite coordinates", shown, reason="not-finite")
    if x1 < x0 or y1 < y0:
        raise AnnotationError(path, place, "x0 < x1 and y0 < y1", shown, reason="swapped")
    if x1 == x0 or y1 == y0:
        raise AnnotationError(path, place, "a box with an area", shown, reason="degenerate")
    clipped = (max(x0, 0.0), max(y0, 0.0), min(x1, float(width)), min(y1, float(height)))
    over = max(-x0, -y0, x1 - width, y1 - height)
    is_empty = clipped[0] >= clipped[2] or clipped[1] >= clipped[3]
    if (is_empty or over > TOLERANCE) and not options.clip:
        found = f"{shown}; --clip clips such boxes, and leaves out those that lie outside"
        raise AnnotationError(path, place, f"a box inside the {width} x {height} picture", found, reason="outside")
    where = f"{path}: {place}"
    if is_empty:
        options.tally.add(
            "(box lies outside of its picture and is|boxes lie outside of their pictures and are) left out", where
        )
        return None
    if over > _NOTHING_PX:
        options.tally.add(
            "(box reaches over the border of its picture and is|boxes reach over the border of their pictures "
            "and are) clipped",
            where,
        )
    return clipped
