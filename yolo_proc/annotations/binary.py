"""The binary sets of the original: `images.bin`, `labels.bin` and `image_set_info.json`.

Records stand one after another without headers. A picture is height x width x channels: as `unsigned_byte` BGR, as
`float32` RGB / 255. A picture's labels are the slots of the network, float32 `[x | y | w | h | J | c_0 ... c_{C-1}]`:
the training target of `codec.py`, except that J is 1 or 0 and never -1. All numbers are little-endian.

The files say neither the pictures' size nor the grid, its anchors or the classes: a `BinaryLayout` does. A set without
a split lies in the root, one with a split in `train/` and `val/`.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from yolo_proc.annotations.checked_json import Entry, read_object
from yolo_proc.annotations.classes import SET_FILE, known_classes, resolve_classes
from yolo_proc.annotations.common import Folder, lost_details, tell_unread_split
from yolo_proc.annotations.passed_over import check_has_pictures, tell_unread_pictures
from yolo_proc.annotations.records import SPLITS, Annotation, BinaryLayout, DataSet, Item, ReadOptions, checked_box
from yolo_proc.batch import Batch
from yolo_proc.boxes import RgbImage, as_boxes, cxcywh_to_xyxy
from yolo_proc.config.schema import LabelConfig
from yolo_proc.detection.codec import CLASSES, SLOT_TAKEN, J, LabelCodec, W, X
from yolo_proc.detection.grids import Grid
from yolo_proc.errors import AnnotationError, ConfigError, DataError

if TYPE_CHECKING:
    from torch import Tensor

NAME = "binary"
SET_INFO, IMAGES, LABELS = "image_set_info.json", "images.bin", "labels.bin"
# The reasons of `label_records` that speak of a whole item; the others speak of something that is said about one.
LOST_ITEMS = frozenset({SLOT_TAKEN, "min_box_px", "ignore", "mask", "point", "polygon", "text"})

_BYTES = {"unsigned_byte": 1, "float32": 4}  # of one channel of one pixel
_NO_LIMITS = LabelConfig(min_visible=0.0, min_in_frame=0.0, min_box_px=0.0)
_ALMOST = 1e-6  # how near to 0 or 1 a J or a one-hot class is
_BELOW_ONE = np.nextafter(np.float32(1), np.float32(0))
_OPTIONS = "set --binary.size, --binary.stride, --binary.anchors or --classes"

Slots = NDArray[np.float32]  # (S, 5 + C)


# ---- lengths


@lru_cache(maxsize=8)
def codec_of(layout: BinaryLayout, classes: int) -> LabelCodec:
    """Return the slots of a set: one grid over its pictures.

    Raises:
        ConfigError: a size that is no multiple of the stride, an anchor that is not positive.
    """
    width, height, stride = layout.width, layout.height, layout.stride
    if min(width, height, stride) < 1 or width % stride or height % stride:
        raise ConfigError(f"--binary.size: expected multiples of the stride {stride}, found {width} x {height}")
    return LabelCodec((Grid(stride, width // stride, height // stride, layout.anchors),), classes)


def image_length(layout: BinaryLayout) -> int:
    """Return the bytes of a picture.

    Raises:
        ConfigError: an unknown type.
    """
    if layout.value_type not in _BYTES:
        raise ConfigError(f"--binary.type: expected one of {', '.join(_BYTES)}, found {layout.value_type}")
    return layout.width * layout.height * 3 * _BYTES[layout.value_type]


def label_length(layout: BinaryLayout, classes: int) -> int:
    """Return bytes of a picture's labels."""
    codec = codec_of(layout, classes)
    return codec.slots * codec.fields * 4


def set_info(count: int, layout: BinaryLayout, classes: int) -> bytes:
    """Return the bytes of `image_set_info.json` for a set of `count` pictures."""
    info = {
        "image_count": count,
        "image_length_bytes": image_length(layout),
        "label_length_bytes": label_length(layout, classes),
    }
    return (json.dumps(info) + "\n").encode("ascii")


# ---- writing


def picture_record(image: RgbImage, layout: BinaryLayout) -> memoryview:
    """Return the bytes of the record of one picture, (H, W, 3) uint8 RGB.

    Raises:
        AnnotationError: a picture of another size than the layout's ("size").
        ConfigError: an unknown type.
    """
    height, width = image.shape[:2]
    _check_picture("picture", width, height, layout)
    # Reversed strides cost ten times as much as OpenCV.
    is_bytes = image_length(layout) == image.size
    values = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if is_bytes else np.divide(image, np.float32(255), dtype="<f4")
    return values.reshape(-1).view(np.uint8).data  # no copy: a record of float32 is large


def label_records(annotations: Sequence[Annotation], layout: BinaryLayout, classes: int) -> tuple[bytes, Counter[str]]:
    """Return the records of some pictures' labels, one after another.

    Args:
        annotations: several, because the slots of many objects cost as much as those of one.

    Returns:
        (records, lost): `lost` counts by reason: whole items by the words of `LOST_ITEMS`, and "confidence",
        "rotation", "visible", "in_frame", "outline", "anchor", "class".

    Raises:
        AnnotationError: a picture of another size than the layout's ("size").
        ConfigError: a layout that no set can have.
    """
    codec = codec_of(layout, classes)
    for one in annotations:
        _check_picture(one.path or one.name, one.width, one.height, layout)
    offered = [(number, item) for number, one in enumerate(annotations) for item in one.items if item.is_label]
    items = [item for _, item in offered]
    lost = Counter(word for one in annotations for item in one.items for word in losses(item))
    lost.update(word for one in annotations for word in one.extra)  # what a scredit script says of a picture
    ones = np.ones(len(items))
    targets = codec.assign(
        Batch(
            # Pictures without pixels: their shape alone counts.
            images=cast("Tensor", np.broadcast_to(np.uint8(0), (len(annotations), layout.height, layout.width, 3))),
            box_xyxy=as_boxes([item.xyxy for item in items]),
            class_ids=np.array([item.class_id for item in items], dtype=np.int64),
            image_ids=np.array([number for number, _ in offered], dtype=np.int64),
            confidence=np.array([1.0 if item.confidence is None else item.confidence for item in items]),
            visible=ones,
            in_frame=ones,
            ignore_xyxy=as_boxes([]),
            ignore_image_ids=np.zeros(0, dtype=np.int64),
            indices=np.arange(len(annotations)),
        ),
        _NO_LIMITS,
    )
    lost.update({reason: count for reason, count in targets.dropped.items() if count})
    slots = codec.dense(targets)  # (B, S, 5 + C)
    slots[..., J] = np.maximum(slots[..., J], 0)  # -1, ignored, is not known here
    slots[..., X:W] = np.minimum(slots[..., X:W], _BELOW_ONE)  # float32 may have rounded up to the next cell
    return slots.astype("<f4").tobytes(), lost


def _check_picture(picture: Path | str, width: int, height: int, layout: BinaryLayout) -> None:
    if (width, height) != (layout.width, layout.height):
        expected = f"a picture of {layout.width} x {layout.height} (--binary.size)"
        raise AnnotationError(picture, "", expected, f"{width} x {height}", reason="size")


def losses(item: Item) -> Sequence[str]:
    """Return what of an item a binary set cannot say, whether or not it gets a slot."""
    if not item.is_label:
        return ("ignore" if item.kind == "rectangle" else item.kind,)
    return lost_details(item)


# ---- reading


def looks_like(root: Path) -> bool:
    """Return whether the folder, or its `train/` or `val/`, holds a binary set."""
    return bool(_folders(root))


def _folders(root: Path) -> dict[str, Path]:
    """Return the folder of each part."""
    if (root / SET_INFO).is_file():
        return {"train": root}
    return {split: root / split for split in SPLITS if (root / split / SET_INFO).is_file()}


def read(root: Path, options: ReadOptions) -> DataSet:
    """Return the binary set in `root`. Its pictures are named by their number, which is `Annotation.record`.

    An object is a slot with J = 1. Sets of the original also hold slots with fractions, of boxes that only overlap an
    object: they are passed over, and counted.

    Raises:
        ConfigError: `options.binary` is missing or wrong.
        AnnotationError: files that do not fit each other or the layout; with `options.problems` not skipping, a slot
            that says no box too.
        DataError: no binary set there.
    """
    if options.binary is None:
        raise ConfigError(
            f"{root}: a binary set says neither sizes nor classes; give --binary.size, --binary.stride and "
            "--binary.anchors (and --classes for the names)"
        )
    folders = _folders(root)
    if not folders:
        raise DataError(f"{root}: expected {SET_INFO} with {IMAGES} and {LABELS} in it, or in train/ and val/")
    border = Folder(root)
    infos = {split: _Info.of(border, folder, options.binary) for split, folder in folders.items()}
    counts = {info.classes for info in infos.values()}
    if len(counts) > 1:
        raise AnnotationError(root, "", "train and val of one number of classes", f"{sorted(counts)}", reason="class")
    (classes,) = counts
    known = known_classes(root, options, None)
    if known is not None and len(known) != classes:
        expected = f"labels for the {len(known)} classes of --classes or {SET_FILE}"
        raise AnnotationError(root, "", expected, f"labels for {classes}; {_OPTIONS}", reason="class")
    names, notes = resolve_classes(root, options, None, classes - 1)
    for split, info in infos.items():
        check_has_pictures(root, split, info.count, f"{info.folder / SET_INFO} counts none")
    splits = {split: tuple(_annotations(info, options)) for split, info in infos.items()}
    splits = {"train": (), **splits}  # a set of val alone has an empty train
    if (root / "test" / SET_INFO).is_file():
        test = _Info.of(border, root / "test", options.binary)
        tell_unread_split(options.tally, "test", test.folder, test.count)
    notes += tell_unread_pictures(border, set(), options.tally)
    return DataSet(root, NAME, names, splits, notes)


@dataclass(frozen=True)
class _Info:
    """Content of `image_set_info.json`, checked against the layout and the files' sizes."""

    folder: Path
    count: int
    classes: int

    @classmethod
    def of(cls, border: Folder, folder: Path, layout: BinaryLayout) -> "_Info":
        codec = codec_of(layout, 1)
        path = border.checked(folder / SET_INFO)
        entry = Entry(path, "", read_object(path))
        count = entry.whole("image_count", 0)
        image_bytes, label_bytes = entry.whole("image_length_bytes", 1), entry.whole("label_length_bytes", 1)
        if image_bytes != image_length(layout):
            size = f"{layout.width} x {layout.height} x 3 of {layout.value_type}"
            found = f"{image_bytes}; set --binary.size or --binary.type"
            raise entry.error("image_length_bytes", f"{image_length(layout)} = {size}", "size", found)
        fields, rest = divmod(label_bytes, 4 * codec.slots)
        if rest or fields <= CLASSES:
            slots = f"{codec.grids[0].columns} x {codec.grids[0].rows} x {len(layout.anchors)} slots"
            found = f"{label_bytes}; set --binary.size, --binary.stride or --binary.anchors"
            raise entry.error("label_length_bytes", f"4 x (5 + classes) bytes for each of {slots}", "size", found)
        for name, length in ((IMAGES, image_bytes), (LABELS, label_bytes)):
            _check_size(border.checked(folder / name), count, length)
        return cls(folder, count, fields - CLASSES)


def _check_size(path: Path, count: int, length: int) -> None:
    if not path.is_file():
        raise AnnotationError(path, "", "a file", "none", reason="missing-image" if path.name == IMAGES else "size")
    size = path.stat().st_size
    if size != count * length:
        expected = f"{count * length} bytes, {count} records of {length}"
        raise AnnotationError(path, "", expected, f"{size}", reason="size")


def _annotations(info: _Info, options: ReadOptions) -> Iterator[Annotation]:
    """Yield one picture after the other; the file is mapped, not loaded."""
    layout = options.binary
    assert layout is not None
    if not info.count:
        return  # no file of no bytes can be mapped
    codec = codec_of(layout, info.classes)
    path = info.folder / LABELS
    try:
        labels = np.memmap(path, dtype="<f4", mode="r", shape=(info.count, codec.slots, codec.fields))
    except OSError as error:
        found = (error.strerror or "an error").lower()
        raise AnnotationError(path, "", "a file that can be read", found, reason="value") from None
    digits = max(5, len(str(info.count - 1)))
    for record in range(info.count):
        slots = np.array(labels[record])
        try:
            items = _items(slots, codec, path, record, options)
        except AnnotationError as error:
            options.problems.met(error)
            continue
        beside = int(((slots[:, J] > _ALMOST) & (slots[:, J] < 1 - _ALMOST)).sum())
        what = (
            "(slot with a J between 0 and 1, a box beside an object, is|slots with a J between 0 and 1, boxes beside "
            "an object, are) passed over"
        )
        options.tally.add(what, f"{path}: record {record}", beside)
        yield Annotation(f"image_{record:0{digits}d}.png", layout.width, layout.height, items, record=record)


def _items(slots: Slots, codec: LabelCodec, path: Path, record: int, options: ReadOptions) -> tuple[Item, ...]:
    """Return the objects of one record, in the order of their slots.

    Args:
        slots: (S, 5 + C) float32.

    Raises:
        AnnotationError: a value that is not finite, or a slot that says no box or no class.
    """

    def check(held: NDArray[np.int64], good: NDArray[np.bool_] | np.bool_, expected: str, reason: str) -> None:
        """Raise about the first of the slots (N,) that is not good, (N,)."""
        if not good.all():
            slot = int(held[good.argmin()])
            found = " ".join(f"{value:g}" for value in slots[slot, : CLASSES + 8])
            raise AnnotationError(
                path, f"record {record}, slot {slot}", expected, f"x y w h J c = {found}", reason=reason
            )

    every = np.arange(len(slots))
    check(every, np.isfinite(slots).all(axis=1), "finite numbers", "not-finite")
    check(every, (slots[:, J] >= -_ALMOST) & (slots[:, J] <= 1 + _ALMOST), "a J from 0 to 1", "value")
    held = np.flatnonzero(slots[:, J] >= 1 - _ALMOST)
    values = slots[held].astype(np.float64)  # (N, 5 + C)
    xy, wh, classes = values[:, X:W], values[:, W:J], values[:, CLASSES:]
    # 1 itself is what float32 makes of a centre just before the next cell.
    check(held, ((xy >= 0) & (xy <= 1)).all(axis=1), "a centre inside its cell, 0 to 1", "value")
    check(held, (wh > 0).all(axis=1), "sides above 0", "degenerate")
    class_ids = classes.argmax(axis=1)
    one_hot = np.eye(codec.class_count)[class_ids]
    check(held, (np.abs(classes - one_hot) <= _ALMOST).all(axis=1), "one class of 1, the others 0", "class")

    grid = codec.grids[0]
    cells, anchors = np.divmod(held, len(grid.anchors))
    rows, columns = np.divmod(cells, grid.columns)
    cxcy = (xy + np.stack([columns, rows], axis=1)) * grid.stride  # (N, 2) pixels
    boxes_xyxy = cxcywh_to_xyxy(np.concatenate([cxcy, wh * codec.anchors_wh[anchors]], axis=1))
    items = []
    for slot, class_id, (x0, y0, x1, y1) in zip(held.tolist(), class_ids.tolist(), boxes_xyxy.tolist(), strict=True):
        place = f"record {record}, slot {slot}"
        box = checked_box((x0, y0, x1, y1), *codec.frame, path, place, options)
        items += [] if box is None else [Item(box, class_id)]
    return tuple(items)


def record_folder(root: Path, split: str) -> Path:
    """Return the folder that holds the files of a part: what `read_picture_record` wants."""
    return _folders(root).get(split, root)


def read_picture_record(root: Path, record: int, layout: BinaryLayout) -> RgbImage:
    """Return (H, W, 3) uint8 RGB of the picture with that number.

    Args:
        root: the folder with `images.bin`, see `record_folder`.

    Raises:
        AnnotationError: no such file or record, or float32 values that are no levels from 0 to 1.
    """
    path = Folder(root).checked(root / IMAGES)
    length = image_length(layout)
    place = f"record {record}"
    try:
        with path.open("rb") as file:
            file.seek(record * length)
            data = file.read(length)
    except OSError as error:
        found = (error.strerror or "an error").lower()
        raise AnnotationError(path, place, "a file that can be read", found, reason="missing-image") from None
    if len(data) != length:
        raise AnnotationError(path, place, f"{length} bytes", f"{len(data)}", reason="size")
    shape = (layout.height, layout.width, 3)
    if layout.value_type == "unsigned_byte":
        return np.ascontiguousarray(np.frombuffer(data, dtype=np.uint8).reshape(shape)[..., ::-1])
    levels = np.frombuffer(data, dtype="<f4").reshape(shape).astype(np.float64) * 255
    if not np.isfinite(levels).all():
        raise AnnotationError(path, place, "finite numbers", "NaN or infinity", reason="not-finite")
    if levels.min() < -0.5 or levels.max() > 255.5:
        found = f"{levels.min() / 255:g} to {levels.max() / 255:g}"
        raise AnnotationError(path, place, "levels from 0 to 1", found, reason="value")
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)
