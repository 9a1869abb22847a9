"""The commands `generate` and `convert`: data sets on disk.

As in `commands.py`, imports of what draws and decodes stand inside of functions.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from yolo_proc.annotations.records import YOLO_LINES, BinaryLayout, Problems, ReadOptions, YoloLines
from yolo_proc.cli.flags import TRUST_HELP, FlagParser, Parsed, build_own, parse_size, read_picture_size
from yolo_proc.cli.set_flags import (
    BINARY,
    FORMAT_NAMES,
    SetParser,
    binary_flags,
    binary_layout,
    by_field,
)
from yolo_proc.config.options import option
from yolo_proc.config.values import Given, config_options
from yolo_proc.data.configfile import read_config_file
from yolo_proc.data.run_config import config_from_values
from yolo_proc.errors import ConfigError
from yolo_proc.imaging.reading import HELP as BIT_DEPTH_HELP
from yolo_proc.imaging.reading import LEAST, MOST, PictureReading
from yolo_proc.system.progress import Progress

if TYPE_CHECKING:
    from yolo_proc.datasets.chunks import SetRequest
    from yolo_proc.datasets.convert import Converted

_SHOWN_PROBLEMS = 20  # of the pictures that were skipped; the counts say how many there are


def _required_folder(text: str | None, flag: str) -> Path:
    if not text:
        raise ConfigError(f"{flag}: expected a folder to write to")
    return Path(text)


# ------------------------------------------------------------------------------------------------- generate


@dataclass(frozen=True)
class GenerateFlags:
    """Options of `generate`."""

    config: str | None = option(None, help="TOML file with options; flags override it")
    count: int = option(1000, help="how many scenes to write", low=1, high=100_000_000)
    format: str = option("scredit", help="annotation format to write", choices=FORMAT_NAMES)
    out: str | None = option(None, help="output folder (an unfinished one is resumed)")
    split: float = option(1.0, help="share of the scenes for training; the rest is for validation", low=0, high=1)
    picture_type: str = option("jpg", help="image file type", choices=("png", "jpg"))
    quality: int = option(95, help="JPEG quality", low=1, high=100)
    augment: bool = option(False, help="augment the scenes; off: write them as they are drawn")
    stream: str = option(
        "train",
        help="which stream of scenes to write",
        choices=("train", "validation", "target", "calibration", "test"),
    )
    picture_size: str | None = option(None, help="size of the images, WxH pixels; none: a square of --image-size")
    trust: bool = option(False, help=TRUST_HELP)
    binary_stride: int = option(32, help="format binary: stride of the grid, pixels", low=1, high=4096)
    binary_anchors: str = option("100x100", help="format binary: anchor sizes in pixels, with commas between")
    binary_type: str = option(
        "unsigned_byte", help="format binary: type of the pixel values", choices=("unsigned_byte", "float32")
    )


def generate_parser() -> FlagParser:
    """Return flags of `generate`."""
    about = "Writes scenes of a generator as a data set; goes on where an interrupted run ended."
    wanted = ("seed", "workers", "image-size", "generator.name")
    names = [flat for flat in config_options() if flat in wanted or flat.partition(".")[0] in ("labels", "augment")]
    names.remove("augment.enabled")  # that is --augment here
    return SetParser("generate", about, GenerateFlags, names, parameters=True)


def generate(parser: FlagParser, argv: Sequence[str]) -> int:
    """Write a data set; 130 or 143 where a signal stopped it."""
    parsed = parser.read(argv)
    request = _request(parsed)
    from yolo_proc.cli.console import Interrupt, signals_to
    from yolo_proc.datasets.generate import generate as write

    stopping: list[bool] = []

    def stop() -> bool:
        stopping.append(True)
        return True

    with signals_to(stop, "finishes the pictures in hand and stops; once more stops at once") as signal_number:
        try:
            with Progress(request.count) as progress:
                summary = write(
                    request, on_pictures=lambda done: progress.show(done, request.count), stop=lambda: bool(stopping)
                )
        except Interrupt:
            print(f"{request.out}: stopped at once; the same command goes on from there", file=sys.stderr)
            return 128 + (signal_number() or 2)
    for note in summary.notes:
        print(note, file=sys.stderr)
    for line in summary.lines():
        print(line)
    return 0 if summary.complete else 128 + (signal_number() or 2)


def _request(parsed: Parsed) -> "SetRequest":
    flags = build_own(GenerateFlags, by_field(parsed.own))
    out = _required_folder(flags.out, "--out")
    given = {**(read_config_file(Path(flags.config)) if flags.config is not None else {}), **parsed.given}
    given["augment.enabled"] = parsed.own.get("augment", Given(False, "--augment"))
    unused = [one.where for flat, one in parsed.given.items() if flat.startswith("augment.")]
    if unused and not flags.augment:
        raise ConfigError(f"{unused[0]}: has no effect without --augment on")
    if flags.format != BINARY and binary_flags(parsed):
        raise ConfigError(f"{binary_flags(parsed)[0]}: only a binary set is like that; add --format binary")
    config = config_from_values(given, trust=flags.trust)
    size = read_picture_size(flags.picture_size)
    from yolo_proc.datasets.chunks import SetRequest
    from yolo_proc.system.device import processors

    layout = None
    if flags.format == BINARY:
        width, height = size or (config.image_size, config.image_size)
        layout = _layout(flags, width, height)
    picture_type: Literal["png", "jpg"] = "png" if flags.picture_type == "png" else "jpg"
    return SetRequest(
        config=config,
        count=flags.count,
        format=flags.format,
        out=out,
        split=flags.split,
        picture_type=picture_type,
        quality=flags.quality,
        stream=flags.stream,
        picture_size=size,
        binary=layout,
        workers=config.workers if config.workers >= 0 else _workers(processors()),
    )


def _workers(processors: int) -> int:
    """Return a process beside this one gains nothing where there is one processor."""
    return processors if processors > 1 else 0


# -------------------------------------------------------------------------------------------------- convert


@dataclass(frozen=True)
class ConvertFlags:
    """Options of `convert`."""

    to: str | None = option(None, help="annotation format to write", choices=FORMAT_NAMES)
    out: str | None = option(None, help="output folder; it must be empty or not exist")
    from_: str | None = option(
        None, help="annotation format to read; none: found from the folder's contents", choices=FORMAT_NAMES
    )
    images: str = option(
        "copy",
        help="what to do with the image files: copy, link (hard links) or none",
        choices=("copy", "link", "none"),
    )
    classes: str | None = option(None, help="file with class names, one a line; none: what the data set says")
    skip_bad: bool = option(False, help="leave out images whose files are damaged, and count them")
    clip: bool = option(False, help="clip boxes that reach over the border of their image, and count them")
    voc_from_zero: bool = option(False, help="read VOC files whose writer counted pixels from 0, not from 1")
    yolo_lines: str = option(
        "auto", help="what the lines of YOLO label files hold, where that is not clear", choices=YOLO_LINES
    )
    bit_depth: int | None = option(None, help=BIT_DEPTH_HELP, low=LEAST, high=MOST)
    binary_size: str | None = option(None, help="binary set: size of its images, WxH; none: the images' own")
    binary_stride: int = option(32, help="binary set: stride of the grid, pixels", low=1, high=4096)
    binary_anchors: str = option("100x100", help="binary set: anchor sizes in pixels, with commas between")
    binary_type: str = option(
        "unsigned_byte", help="binary set: type of the pixel values", choices=("unsigned_byte", "float32")
    )


def convert_parser() -> FlagParser:
    """Return flags of `convert`."""
    about = "Writes a data set in another annotation format, and reads it back."
    return _ConvertParser("convert", about, ConvertFlags, [], positional=("folder", "the data set to read"))


class _ConvertParser(SetParser):
    """Spells `from`, which is no name in Python."""

    def _fill(self) -> None:
        self.own = {flat.rstrip("-"): declared for flat, declared in self.own.items()}
        super()._fill()


def convert(parser: FlagParser, argv: Sequence[str]) -> int:
    """Convert a data set and print what it has before and after."""
    parsed = parser.read(argv)
    own = {("from-" if flat == "from" else flat): one for flat, one in by_field(parsed.own).items()}
    folder = own.pop("folder", None)
    if folder is None:
        raise ConfigError("expected the folder of a data set: yolo_proc convert FOLDER --to FORMAT --out FOLDER")
    flags = build_own(ConvertFlags, own)
    if flags.to is None:
        raise ConfigError(f"--to: expected a format, one of {', '.join(FORMAT_NAMES)}")
    out = _required_folder(flags.out, "--out")
    size = (0, 0) if flags.binary_size is None else parse_size(flags.binary_size, "--binary.size", 1, 16384)
    layout = _layout(flags, *size)
    from yolo_proc.annotations.classes import read_class_file
    from yolo_proc.datasets.convert import Conversion
    from yolo_proc.datasets.convert import convert as write

    images: Any = flags.images
    work = Conversion(
        source=Path(folder.value),
        out=out,
        to=flags.to,
        source_format=flags.from_,
        images=images,
        options=ReadOptions(
            classes=None if flags.classes is None else read_class_file(Path(flags.classes)),
            problems=Problems(skip=flags.skip_bad),
            clip=flags.clip,
            voc_from_zero=flags.voc_from_zero,
            yolo_lines=cast(YoloLines, flags.yolo_lines),
            binary=layout if flags.binary_size is not None else None,
            reading=PictureReading(flags.bit_depth),
        ),
        binary=layout,
    )
    with Progress() as progress:
        done = write(work, on_pictures=progress.show)
    _print_converted(done, work.source, out, flags.to)
    return 0


def _layout(flags: GenerateFlags | ConvertFlags, width: int, height: int) -> BinaryLayout:
    return binary_layout((width, height), flags.binary_stride, flags.binary_anchors, flags.binary_type)


def _print_converted(done: "Converted", source: Path, out: Path, to: str) -> None:
    from yolo_proc.datasets.setwriter import loss_lines

    for note in done.notes:
        print(note, file=sys.stderr)
    for error in done.problems.errors[:_SHOWN_PROBLEMS]:
        print(f"left out: {error}", file=sys.stderr)
    if done.problems.errors:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in sorted(done.problems.by_reason.items()))
        print(f"Left out because they are bad: {len(done.problems.errors):,} ({reasons})")
    print(f"Before: {source}: {done.source.format}, {done.before.text()}")
    if done.after is None:
        print(f"After:  {out}: {to}, annotations alone; without pictures it is not read back")
    else:
        print(f"After:  {out}: {to}, {done.after.text()}")
    for line in loss_lines(to, done.lost):
        print(line)
