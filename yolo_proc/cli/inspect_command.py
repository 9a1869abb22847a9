"""The command `inspect`: what is in a data set, or in what a generator draws.

As in `commands.py`, imports of what draws and decodes stand inside of functions.
"""

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from yolo_proc.annotations.records import YOLO_LINES, BinaryLayout, Problems, ReadOptions, YoloLines
from yolo_proc.cli.commands import run_place
from yolo_proc.cli.flags import TRUST_HELP, FlagParser, Parsed, build_own, parse_size
from yolo_proc.cli.set_flags import FORMAT_NAMES, SetParser, binary_layout, by_field
from yolo_proc.config.options import option
from yolo_proc.config.schema import Config
from yolo_proc.config.values import Given, config_options, parse_anchors
from yolo_proc.data.configfile import read_config_file
from yolo_proc.data.run_config import config_from_values, resumed_config, values_from_here
from yolo_proc.errors import ConfigError
from yolo_proc.imaging.reading import HELP as BIT_DEPTH_HELP
from yolo_proc.imaging.reading import LEAST, MOST, PictureReading
from yolo_proc.system.progress import Progress

if TYPE_CHECKING:
    from yolo_proc.detection.grids import Grid
    from yolo_proc.inspection.encoding import Encoding
    from yolo_proc.inspection.measure import Measured
    from yolo_proc.inspection.report import Inspection
    from yolo_proc.inspection.sources import SampleSource

PLOTS, UNUSUAL = "plots.png", "unusual.png"
COMPARED = 16  # scenes that are drawn again to see whether they are the same
_OF_GENERATORS = ("count", "stream", "augment")
_OF_DATA_SETS = ("format", "classes", "clip", "voc-from-zero", "yolo-lines", "bit-depth", "binary.")
_OF_RUNS = ("image-size", "model.strides", "model.anchors", "model.anchors-per-grid")


@dataclass(frozen=True)
class InspectFlags:
    """Options of `inspect`."""

    config: str | None = option(None, help="TOML file with options; flags override it")
    run: str | None = option(
        None, help="inspect with the scenes or the grids of a run: its name, its folder, or one of its checkpoints"
    )
    count: int = option(1000, help="how many scenes of a generator to inspect", low=1, high=10_000_000)
    stream: str = option(
        "train",
        help="which stream of scenes to inspect",
        choices=("train", "validation", "target", "calibration", "test"),
    )
    augment: bool = option(True, help="augment the scenes; off: inspect them as they are drawn")
    out: str | None = option(None, help="output folder for the plots; none: inspect_NAME, after what is inspected")
    trust: bool = option(False, help=TRUST_HELP)
    json: bool = option(False, help="print the result as JSON")
    format: str | None = option(
        None, help="annotation format of the data set; none: found from the folder's contents", choices=FORMAT_NAMES
    )
    classes: str | None = option(None, help="file with class names, one a line; none: what the data set says")
    clip: bool = option(False, help="clip boxes that reach over the border of their image, and count them")
    voc_from_zero: bool = option(False, help="read VOC files whose writer counted pixels from 0, not from 1")
    yolo_lines: str = option(
        "auto", help="what the lines of YOLO label files hold, where that is not clear", choices=YOLO_LINES
    )
    bit_depth: int | None = option(None, help=BIT_DEPTH_HELP, low=LEAST, high=MOST)
    binary_size: str | None = option(None, help="binary set: size of its images, WxH; none: what yolo_proc.json says")
    binary_stride: int = option(32, help="binary set: stride of the grid, pixels", low=1, high=4096)
    binary_anchors: str = option("100x100", help="binary set: anchor sizes in pixels, with commas between")
    binary_type: str = option(
        "unsigned_byte", help="binary set: type of the pixel values", choices=("unsigned_byte", "float32")
    )


def inspect_parser() -> FlagParser:
    """Return flags of `inspect`."""
    about = "Shows what is in a data set, or in what a generator draws: tables, plots, and the strangest scenes."
    wanted = ("seed", "runs-dir", "generator.name", *_OF_RUNS)
    names = [flat for flat in config_options() if flat in wanted or flat.partition(".")[0] in ("labels", "augment")]
    names.remove("augment.enabled")  # that is --augment here
    positional = ("folder", "a data set; without one a generator is inspected")
    return SetParser("inspect", about, InspectFlags, names, parameters=True, positional=positional)


@dataclass(frozen=True)
class _Work:
    """A source to inspect, and the means for it.

    Attributes:
        grids: of the run; None: found from the boxes, as a new run does.
        classes: of the run.
    """

    flags: InspectFlags
    config: Config
    folder: Path | None
    grids: "tuple[Grid, ...] | None" = None
    classes: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()


def inspect(parser: FlagParser, argv: Sequence[str]) -> int:
    """Print what is found, and write two pictures; 2 where all pictures are left out."""
    work = _work(parser.read(argv))
    inspection = _inspect_generator(work) if work.folder is None else _inspect_data_set(work, work.folder)
    print(json.dumps(inspection.to_dict(), allow_nan=False) if work.flags.json else inspection.text())
    if not inspection.statistics.nothing_read:
        return 0
    print(f"yolo_proc inspect: {inspection.source}: {inspection.findings[0]}", file=sys.stderr)
    return 2


def _work(parsed: Parsed) -> _Work:
    """Return what the command line asks for.

    Raises:
        ConfigError: options that do not go together.
    """
    own = dict(by_field(parsed.own))
    place = own.pop("folder", None)
    flags = build_own(InspectFlags, own)
    given = {**(read_config_file(Path(flags.config)) if flags.config is not None else {}), **parsed.given}
    _check_together(parsed, given, None if place is None else str(place.value), flags)
    if "augment" in own or flags.run is None:
        given["augment.enabled"] = own.get("augment", Given(True, "--augment"))
    folder = None if place is None else Path(str(place.value))
    if flags.run is None:
        return _Work(flags, config_from_values(given, trust=flags.trust), folder)
    from yolo_proc.detection.grids import Grid
    from yolo_proc.models import checkpoint
    from yolo_proc.models.fields import check_state, saved_values

    runs_dir = str(given["runs-dir"].value) if "runs-dir" in given else Config().runs_dir
    path, state, notes = checkpoint.shipped(run_place(flags.run, runs_dir), check_state)
    grids = tuple(Grid.from_dict(grid) for grid in state["grids"])
    values = values_from_here(saved_values(state, path), path, state.get("started_in"))
    config = resumed_config(values, path, given, trust=flags.trust)
    return _Work(flags, config, folder, grids, tuple(state["classes"]), notes)


def _check_together(parsed: Parsed, given: dict[str, Given], folder: str | None, flags: InspectFlags) -> None:
    unused = [one.where for flat, one in parsed.own.items() if flat.startswith(_OF_DATA_SETS)]
    if folder is None and unused:
        raise ConfigError(f"{unused[0]}: only a data set is read; name its folder: yolo_proc inspect FOLDER")
    if folder is not None:
        unused = [one.where for flat, one in parsed.own.items() if flat in _OF_GENERATORS]
        unused += [one.where for flat, one in parsed.given.items() if flat.startswith(("generator.", "augment."))]
        if unused:
            raise ConfigError(
                f"{unused[0]}: has no effect on the data set {folder}, whose pictures are inspected as they are; "
                f"--generator folder:{folder} without a folder inspects them as they are trained on"
            )
    fixed = [given[flat].where for flat in _OF_RUNS if flat in given]
    if flags.run is not None and fixed:
        raise ConfigError(f"{fixed[0]}: that is what the run says; leave it out, or leave out --run")


def _inspect_generator(work: _Work) -> "Inspection":
    from yolo_proc.data.generator import file_stem
    from yolo_proc.data.stream import Stream
    from yolo_proc.inspection.report import Inspection
    from yolo_proc.inspection.sources import StreamSource, check_determinism

    flags = work.flags
    stream = Stream.from_config(work.config, flags.stream)
    determinism = check_determinism(stream, min(flags.count, COMPARED))
    source = StreamSource(stream, flags.count)
    found = _measure(source)
    name = work.config.generator.name
    inspection = Inspection(name, "generator", _sum_up(work, found, source.classes), (*work.notes, *stream.notes))
    inspection = replace(inspection, timing=source.timing, determinism=determinism)
    return _with_pictures(work, inspection, found, source, file_stem(name))


def _inspect_data_set(work: _Work, folder: Path) -> "Inspection":
    from yolo_proc.annotations.about import binary_from_about, read_about
    from yolo_proc.annotations.classes import read_class_file
    from yolo_proc.annotations.formats import find_format, read_data_set
    from yolo_proc.inspection.report import Inspection
    from yolo_proc.inspection.sources import DataSetSource

    flags = work.flags
    options = ReadOptions(
        classes=None if flags.classes is None else read_class_file(Path(flags.classes)),
        problems=Problems(skip=True),
        clip=flags.clip,
        voc_from_zero=flags.voc_from_zero,
        yolo_lines=cast(YoloLines, flags.yolo_lines),
        binary=_binary_layout(flags),
        reading=PictureReading(flags.bit_depth),
    )
    if options.binary is None and folder.is_dir() and (flags.format or find_format(folder)) == "binary":
        options = replace(options, binary=binary_from_about(read_about(folder) or {}, folder))
    data = read_data_set(folder, options, flags.format)
    source = DataSetSource(data, options)
    found = _measure(source)
    problems = options.problems
    lines = [str(error) for error in problems.errors]
    statistics = _sum_up(work, found, source.classes, left_out=dict(problems.by_reason), left_out_lines=lines)
    notes = [*work.notes, *data.notes, *options.reading.notes()]
    if work.classes is not None and work.classes != data.classes:
        notes.append(
            f"the class names differ from the run's: {', '.join(data.classes)} here, {', '.join(work.classes)} there"
        )
    inspection = Inspection(str(folder), data.format, statistics, tuple(notes))
    return _with_pictures(work, inspection, found, source, folder.resolve().name)


def _binary_layout(flags: InspectFlags) -> BinaryLayout | None:
    if flags.binary_size is None:
        return None
    size = parse_size(flags.binary_size, "--binary.size", 1, 16384)
    return binary_layout(size, flags.binary_stride, flags.binary_anchors, flags.binary_type)


def _measure(source: "SampleSource") -> "Measured":
    """Go through all pictures, with a progress bar."""
    from yolo_proc.inspection.measure import Collector

    collector = Collector()
    with Progress(len(source)) as progress:
        for done, sample in enumerate(source.samples(), 1):
            if sample is not None:
                collector.add(sample)
            progress.show(done, len(source))
    return collector.measured()


def _sum_up(work: _Work, found: "Measured", classes: tuple[str, ...], **left_out: Any) -> Any:
    from yolo_proc.inspection.statistics import statistics

    return statistics(found, classes, encoding=_encoding(work, found, len(classes)), **left_out)


def _encoding(work: _Work, found: "Measured", class_count: int) -> "Encoding | None":
    """Return what the encoder would do: with the run's grids, or with those that a new run would get."""
    from yolo_proc.detection.grids import grids_for, kmeans_anchors
    from yolo_proc.inspection.encoding import encode, labelled_sizes
    from yolo_proc.rng import rng_for

    config, model = work.config, work.config.model
    if work.grids is not None:
        return encode(found, work.grids, class_count, config.labels, f"of the run {work.flags.run or 'that is newest'}")
    size = config.image_size
    anchors: Any = parse_anchors(model.anchors)
    anchors_from = "as given"
    if anchors is None:
        sizes = labelled_sizes(found, size, size, config.labels)
        if not len(sizes):
            return None
        wanted = model.anchors_per_grid * len(model.strides)
        anchors = kmeans_anchors(sizes, wanted, rng_for(config.seed, "anchors", 0, "kmeans"))
        anchors_from = "found from these boxes, as a new run does"
    return encode(found, grids_for(size, size, model.strides, anchors), class_count, config.labels, anchors_from)


def _with_pictures(
    work: _Work, inspection: "Inspection", found: "Measured", source: "SampleSource", name: str
) -> "Inspection":
    """Return the inspection with its two pictures written."""
    from yolo_proc.inspection.plots import plots_page, unusual_sheet
    from yolo_proc.inspection.sources import scene_of
    from yolo_proc.plotting.preview import write_png

    stem = re.sub(r"[^\w.+=-]+", "_", name).strip("_.") or "data"
    folder = Path(work.flags.out) if work.flags.out is not None else Path(f"inspect_{stem}")
    limits = work.config.labels
    write_png(folder / PLOTS, plots_page(inspection, found, limits))
    sheet = unusual_sheet(
        inspection.statistics.outliers, lambda number: scene_of(source.sample(number)), source.classes, limits
    )
    write_png(folder / UNUSUAL, sheet)
    return replace(inspection, files={"plots": str(folder / PLOTS), "the strangest scenes": str(folder / UNUSUAL)})
