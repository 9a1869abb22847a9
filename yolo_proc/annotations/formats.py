"""All annotation formats by name, and which of them a folder holds."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from yolo_proc.annotations import binary
from yolo_proc.annotations.about import binary_from_about, read_about
from yolo_proc.annotations.coco import reader as coco
from yolo_proc.annotations.foreign import MEND, format_in
from yolo_proc.annotations.layout import Layout
from yolo_proc.annotations.records import SPLITS, DataSet, ReadOptions, Tally
from yolo_proc.annotations.scredit import project as scredit
from yolo_proc.annotations.voc import reader as voc
from yolo_proc.annotations.yolo import reader as yolo_txt
from yolo_proc.config.options import nearest
from yolo_proc.errors import ConfigError, DataError

_LOOKED_INTO = 20  # folders


class Format(NamedTuple):
    """How a format is read and written.

    Attributes:
        read: a folder -> its data set.
        looks_like: whether a folder holds such a set; cheap.
        layout: how it is written; None for binary sets, whose pictures are no files.
        signs: what a folder of this format has, for a message.
    """

    read: Callable[[Path, ReadOptions], DataSet]
    looks_like: Callable[[Path], bool]
    layout: type[Layout] | None
    signs: str


FORMATS: Mapping[str, Format] = {
    "scredit": Format(
        scredit.read,
        scredit.looks_like,
        scredit.ScreditLayout,
        "pictures beside a folder annotations with their scripts",
    ),
    "yolo": Format(
        yolo_txt.read,
        yolo_txt.looks_like,
        yolo_txt.YoloLayout,
        "data.yaml, obj.data, images/ and labels/, or pictures with .txt beside them",
    ),
    "coco": Format(
        coco.read,
        coco.looks_like,
        coco.CocoLayout,
        "annotations/instances_train.json, or data/ and labels.json",
    ),
    "voc": Format(voc.read, voc.looks_like, voc.VocLayout, "JPEGImages/ and Annotations/, or pictures with .xml"),
    "binary": Format(binary.read, binary.looks_like, None, "images.bin, labels.bin and image_set_info.json"),
}


def read_data_set(root: Path | str, options: ReadOptions, format: str | None = None) -> DataSet:  # noqa: A002
    """Return the annotated pictures of a folder.

    Args:
        root: the folder; of a YOLO set also its `data.yaml`.
        options: of a binary set of ours, `binary` may be left out.
        format: one of `FORMATS`; None: what `yolo_proc.json` says, else what the folder looks like.

    Raises:
        DataError: no such folder, no format or more than one fits it.
        AnnotationError: a bad picture that is not to be skipped, or a damaged file of the whole set.
        ConfigError: an unknown format; options that the data set needs.
    """
    place = Path(root)
    if not place.exists():
        raise DataError(f"{place}: no such folder (looked in {Path.cwd()})")
    name = find_format(place) if format is None else format
    if name not in FORMATS:
        raise ConfigError(f"format {name}: expected one of {', '.join(FORMATS)}{nearest(name, FORMATS)}")
    about = read_about(place) or {}
    if name == "binary" and options.binary is None:
        options = replace(options, binary=binary_from_about(about, place))
    options = replace(options, tally=Tally())
    if about.get("complete") is not False:
        return _with_tally(FORMATS[name].read(place, options), options.tally)
    incomplete = f"{place}: not complete, the command that wrote it was interrupted"
    try:
        found = FORMATS[name].read(place, options)
    except DataError as error:
        error.args = (f"{error} ({incomplete})",)
        raise
    found = _with_tally(found, options.tally)
    return replace(found, notes=(*found.notes, incomplete))


def _with_tally(data: DataSet, tally: Tally) -> DataSet:
    """Return the data set with the lines of the tally; objects and pictures that are there twice are counted too."""
    train, val = ({one.path for one in data.splits.get(split, ())} for split in SPLITS)
    twice = sorted(path for path in train & val if path is not None)
    if twice:
        what = "(picture of val is a picture|pictures of val are pictures) of train too"
        tally.add(what, twice[0], len(twice))
    for annotation in data.annotations:
        if len({item.xyxy for item in annotation.items}) < len(annotation.items):
            labels = Counter((item.xyxy, item.category) for item in annotation.items if item.is_label)
            again = labels.total() - len(labels)
            tally.add(
                "(object is|objects are) there twice, with the same class and box; delete the (copy|copies)",
                annotation.path or annotation.name,
                again,
            )
    return replace(data, notes=(*data.notes, *tally.lines()))


def find_format(root: Path) -> str:
    """Return the name of the format of a folder.

    Raises:
        DataError: none fits, or more than one.
    """
    said = (read_about(root) or {}).get("format")
    if isinstance(said, str) and said in FORMATS:
        return said
    fitting = [name for name, one in FORMATS.items() if one.looks_like(root)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise DataError(
            f"{root}: looks like {' and like '.join(fitting)}; the format must be given "
            "(convert --from, inspect --format, --generator.format)"
        )
    looked = "; ".join(f"{name}: {one.signs}" for name, one in FORMATS.items())
    within = _sets_in(root)
    if within:
        raise DataError(f"{root}: no data set found in it itself, but {' and '.join(within)}: name that folder")
    foreign = format_in(root)
    named = "" if foreign is None else f"; {foreign[1]} is {foreign[0]}, which is not read: {MEND}"
    raise DataError(f"{root}: no data set found in it{named}; looked for {looked}")


def _sets_in(root: Path) -> list[str]:
    """Return what the folders in a folder look like: archives are often unpacked into one more."""
    try:
        folders = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError:
        return []
    looks = ((path, [name for name, one in FORMATS.items() if one.looks_like(path)]) for path in folders[:_LOOKED_INTO])
    return [f"{path} looks like {' and like '.join(names)}" for path, names in looks if names]
