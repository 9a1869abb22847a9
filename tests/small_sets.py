"""Data sets of a few small pictures on disk, and damage to their files: what the tests of the formats share."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import strategies as st

from yolo_proc.annotations import records
from yolo_proc.annotations.layout import Layout
from yolo_proc.annotations.records import Annotation, DataSet, Item
from yolo_proc.errors import DataError

GOLDEN = Path(__file__).parent / "golden"


def put_picture(path: Path, width: int = 64, height: int = 48) -> Path:
    """A black picture, with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    encoded = cv2.imencode(path.suffix.lower(), np.zeros((height, width, 3), np.uint8))[1]
    path.write_bytes(encoded.tobytes())
    return path


def put_text(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def set_files(layout: Layout, splits: Mapping[str, Sequence[Annotation]]) -> dict[str, bytes]:
    """The files of the whole set."""
    return layout.set_files({split: layout.listed(part) for split, part in splits.items()})


def put_set(root: Path, layout: Layout, splits: Mapping[str, Sequence[Annotation]]) -> Path:
    """Everything that a layout says, with black pictures."""
    root.mkdir(parents=True, exist_ok=True)
    for split, annotations in splits.items():
        for one in annotations:
            put_picture(root / layout.picture_file(split, one.name), one.width, one.height)
            labels = layout.label_file(split, one)
            if labels is not None:
                put_text(root / labels[0], labels[1])
    for path, data in set_files(layout, splits).items():
        put_text(root / path, data)
    return root


def plain(data_set: DataSet) -> dict[str, list[tuple[str, int, int, tuple[Item, ...]]]]:
    """What is in a data set, without the places where it was found."""
    return {
        split: [(one.name, one.width, one.height, one.items) for one in part] for split, part in data_set.splits.items()
    }


@st.composite
def annotations(draw: st.DrawFn, classes: int = 3, max_items: int = 4) -> Annotation:
    """A picture of up to 64 pixels a side with rectangles, the far edges and thin ones among them."""
    width, height = draw(st.integers(1, 64)), draw(st.integers(1, 64))
    items = []
    for _ in range(draw(st.integers(0, max_items))):
        x0, x1 = draw(_ends(width))
        y0, y1 = draw(_ends(height))
        items.append(Item((x0, y0, x1, y1), draw(st.integers(0, classes - 1)), ignore=draw(st.booleans())))
    return Annotation("picture.png", width, height, tuple(items))


def _ends(side: int) -> st.SearchStrategy[tuple[float, float]]:
    value = st.floats(0, side, allow_subnormal=False) | st.integers(0, 2 * side).map(lambda twice: twice / 2)
    return st.tuples(value, value).map(lambda two: (min(two), max(two))).filter(lambda two: two[1] - two[0] > 1e-3)


@contextmanager
def told_as_many() -> Iterator[None]:
    """Lines on one thing read like those on several: `1 boxes are`, so that they can be counted."""
    real = records._forms
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "_forms", lambda what: (real(what)[1], real(what)[1]))
        yield


def only_typed_errors(call: Callable[[], object]) -> bool:
    """Whether the error for users came. Any other error goes through, and fails the test."""
    try:
        call()
    except DataError as error:
        told = str(error)
        assert told.isprintable(), told  # one line
        return True
    return False


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """A valid file with one or two damages: bytes changed, cut out, doubled, or a word put in."""
    damaged = bytearray(data)
    words = [
        b"\0",
        b"\xff",
        b"nan",
        b"1e999",
        b"-1",
        b"../..",
        b"<",
        b"&a;",
        b'"',
        b"{",
        b"[",
        b"\xef\xbb\xbf",
        b"\r",
        b"9" * 400,
    ]
    for _ in range(1 + (rng.random() < 0.25)):
        at = int(rng.integers(0, len(damaged) + 1))
        end = at + int(rng.integers(1, 6))
        kind = rng.integers(0, 5)
        if kind == 0:
            damaged[at:end] = rng.bytes(len(damaged[at:end]))
        elif kind == 1:
            damaged[at : at + 1] = rng.integers(48, 58, 1, dtype=np.uint8).tobytes()  # a digit
        elif kind == 2:
            del damaged[at:end]
        elif kind == 3:
            damaged[at:at] = damaged[at : end * 3]
        else:
            damaged[at:at] = words[rng.integers(len(words))]
    return bytes(damaged)


def fuzz(files: Sequence[Path], read: Callable[[], object], rounds: int, seed: int = 5) -> int:
    """Damages one file after another, reads the set each time; how often that gave the error for users."""
    rng = np.random.default_rng(seed)
    refused = 0
    for number in range(rounds):
        file = files[number % len(files)]
        valid = file.read_bytes()
        file.write_bytes(mutated(valid, rng))
        try:
            refused += only_typed_errors(read)
        finally:
            file.write_bytes(valid)
    return refused


def link(path: Path, target: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)
    return path
