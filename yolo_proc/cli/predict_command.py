"""The command `predict`: images, videos and cameras in, what a model says of them out.

As in `commands.py`, imports of torch and OpenCV stand inside of functions; on an ONNX model torch is never imported.
"""

import itertools
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from yolo_proc.cli.commands import run_place
from yolo_proc.cli.flags import INPUT_SIZE_HELP, FlagParser, WordsParser, build_own, read_input_size
from yolo_proc.config.options import option
from yolo_proc.config.schema import Config
from yolo_proc.data.run_config import config_from_values
from yolo_proc.errors import ConfigError, DataError, number_of, one_line
from yolo_proc.imaging.reading import HELP as BIT_DEPTH_HELP
from yolo_proc.imaging.reading import LEAST, MOST, PictureReading
from yolo_proc.system.progress import Progress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from yolo_proc.export.findings import Cuts, JsonWriter, Writer
    from yolo_proc.export.sources import Frame
    from yolo_proc.export.views import View

MODEL_FILE = "model.onnx"
TOP = 3  # classes of an image that are told

_Tally = Literal["read", "skipped", "found"]


@dataclass(frozen=True)
class PredictFlags:
    """Options of `predict`; those of the decoding are the model's own unless given."""

    model: str | None = option(
        None, help="model to use: model.onnx, its folder, a run, a run's folder or a checkpoint; none: the newest run"
    )
    out: str | None = option(
        None, help="output folder for annotated images and videos, or for the data set of --format"
    )
    format: str | None = option(
        None, help="write the detections as a data set of this annotation format", choices=("scredit", "yolo", "coco")
    )
    json: bool = option(False, help="print the result as JSON")
    input_size: str | None = option(None, help=INPUT_SIZE_HELP)
    confidence: float | None = option(
        None, help="least confidence of a detection; none: the model's own", low=0, high=1
    )
    max_iou: float | None = option(
        None,
        help="drop a box whose IoU with a more confident one is this or more; none: the model's own",
        low=0,
        high=1,
    )
    nms: str | None = option(
        None,
        help="suppress overlapping boxes within a class, or among all classes; none: the model's own",
        choices=("class", "agnostic"),
    )
    max_detections: int | None = option(None, help="most detections in an image; none: the model's own", low=1)
    top: int | None = option(None, help="how many classes of an image a classifier tells; none: 3", low=1)
    bit_depth: int | None = option(None, help=BIT_DEPTH_HELP, low=LEAST, high=MOST)
    frames: int | None = option(None, help="read at most this many frames of a video or camera; none: all", low=1)


def predict_parser() -> FlagParser:
    """Return flags of `predict`."""
    about = (
        "Finds objects, or tells the class of the whole image, in pictures, folders of pictures, videos, or what a "
        "camera sees (its number, such as 0)."
    )
    place = ("pictures", "files, folders, or numbers of cameras")
    names = ["runs-dir", "device", "threads"]
    parser = WordsParser("predict", about, PredictFlags, names, positional=place)
    parser.usage = "yolo_proc predict PICTURES... [options]"
    return parser


def predict(parser: FlagParser, argv: Sequence[str]) -> int:
    """Print or write what was found; 2 where nothing could be read."""
    parsed = parser.read(argv)
    own = dict(parsed.own)
    words = own.pop("pictures", None)
    flags = build_own(PredictFlags, own)
    if words is None:
        raise ConfigError("expected pictures: yolo_proc predict photo.jpg folder/ clip.mp4 [--model model.onnx]")
    if flags.format is not None and not flags.out:
        raise ConfigError(f"--format {flags.format}: expected a folder to write to; add --out")
    out = Path(flags.out) if flags.out else None
    config = config_from_values(parsed.given)
    from yolo_proc.export.sources import find_sources

    sources = find_sources(words.value, out, lambda line: print(line, file=sys.stderr))
    _check_out(out, [source.name for source in sources if source.kind != "camera"])
    finder = _finder(flags, config)
    writers: list[Writer] = []
    reading = PictureReading(flags.bit_depth)
    said = _open_writers(flags, out, finder, writers)
    tally, interrupted = _run(sources, finder, writers, said, flags.frames, reading)
    notes = (reading.notes(), finder.notes(), *(writer.notes() for writer in writers))
    for note in itertools.chain(*notes):
        print(note, file=sys.stderr)
    _print_tally(tally, out, finder.counts_objects)
    if interrupted and all(source.kind != "camera" for source in sources):
        return 130
    return 0 if tally["read"] else 2


def _check_out(out: Path | None, files: Sequence[str]) -> None:
    """Raise `ConfigError` where what is written would lie among, or over, what is read."""
    for file in files:
        if out is not None and Path(file).resolve().parent == out.resolve():
            raise ConfigError(f"--out {out}: {file} lies in it; give another folder")


@dataclass(frozen=True)
class _Finder:
    """A detector or a classifier, whatever it runs on.

    Attributes:
        classes: names by class index.
        run: an image (H, W, 3) to its result.
        view: how results are told and drawn.
        cuts: counts what limits leave out; None for a classifier, which leaves nothing out.
    """

    classes: tuple[str, ...]
    run: "Callable[[NDArray[np.uint8]], Any]"
    view: "View"
    cuts: "Cuts | None" = None

    @property
    def counts_objects(self) -> bool:
        """Whether a result is a number of objects."""
        return self.cuts is not None

    def notes(self) -> Sequence[str]:
        """Return lines on what limits left out."""
        return self.cuts.notes() if self.cuts is not None else ()

    def detect(self, frame: "Frame") -> "tuple[Frame, Any]":
        """Return the frame with what is found in it, or with an error: a network may give NaN for one picture alone."""
        if frame.rgb is None:
            return frame, None
        try:
            found = self.run(frame.rgb)
            return frame, self.cuts.count(found) if self.cuts is not None else found
        except DataError as error:
            return replace(frame, error=f"{frame.source.name}: {error}"), None


def _finder(flags: PredictFlags, config: Config) -> _Finder:
    """Return the detector that `--model` names."""
    given = {name: getattr(flags, name) for name in ("confidence", "max_iou", "nms", "max_detections")}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    onnx = _onnx_file(flags.model)
    from yolo_proc.detection.nms import DecodeConfig
    from yolo_proc.export.findings import Cuts
    from yolo_proc.export.views import ClassView, DetectionView

    input_size = read_input_size(flags.input_size)
    if onnx is not None:
        from yolo_proc.export.session import OnnxClassifier, OnnxDetector, Settings, load_model
        from yolo_proc.export.spec import description_note

        settings = Settings(threads=config.threads)
        if config.device.startswith("cuda"):
            settings = Settings(config.threads, ("CUDAExecutionProvider", "CPUExecutionProvider"))
        model = load_model(onnx, settings=settings)
        if flags.model is not None and Path(flags.model).is_dir():
            note = description_note(onnx.with_name("model.json"), model.spec, onnx)
            if note is not None:
                print(note, file=sys.stderr)
        if input_size not in (None, model.picture_size):
            own = "{}x{}".format(*model.picture_size)
            raise ConfigError(
                f"--input-size: {onnx} has one input, {own}, found {flags.input_size}; export it again with another"
            )
        if isinstance(model, OnnxClassifier):
            _refuse_options_of_boxes(flags)
            return _Finder(model.classes, model.classify, ClassView(model.classes, flags.top or TOP))
        assert isinstance(model, OnnxDetector)
        _refuse_top(flags)
        limits = model.decoding(**changes)
        found = partial(model.detect, **changes)
        return _Finder(model.classes, found, DetectionView(model.classes), Cuts(limits))
    import torch

    from yolo_proc.evaluation.classifier import Classifier
    from yolo_proc.evaluation.predict import Detector
    from yolo_proc.models import checkpoint
    from yolo_proc.models.fields import check_state
    from yolo_proc.system.device import processors

    torch.set_num_threads(config.threads or processors())
    place = run_place(flags.model or "", config.runs_dir)
    shipped = checkpoint.shipped(place, check_state)
    if shipped[1]["task"] == "classification":
        _refuse_options_of_boxes(flags)
        classifier = Classifier.of_checkpoint(shipped, input_size=input_size, device=config.device)
        _print_notes(classifier.notes)
        return _Finder(classifier.classes, classifier.classify, ClassView(classifier.classes, flags.top or TOP))
    _refuse_top(flags)
    detector = Detector.of_checkpoint(shipped, input_size=input_size, device=config.device)
    _print_notes(detector.notes)
    cuts = Cuts(DecodeConfig(**changes))
    return _Finder(detector.classes, lambda rgb: detector.detect(rgb, **changes), DetectionView(detector.classes), cuts)


def _refuse_options_of_boxes(flags: PredictFlags) -> None:
    """Refuse options that speak of boxes, of which a classifier has none.

    Raises:
        ConfigError: names the option.
    """
    for name in ("confidence", "max_iou", "nms", "max_detections", "format"):
        if getattr(flags, name) is not None:
            raise ConfigError(
                f"--{name.replace('_', '-')}: the model is a classifier, which finds no boxes; leave it out"
            )


def _refuse_top(flags: PredictFlags) -> None:
    if flags.top is not None:
        raise ConfigError("--top: the model is a detector, which tells one class a box; leave it out")


def _print_notes(notes: Sequence[str]) -> None:
    for note in notes:
        print(note, file=sys.stderr)


def _onnx_file(model: str | None) -> Path | None:
    """Return the ONNX file that is meant, if one is: every file but a checkpoint."""
    if model is None:
        return None
    path = Path(model)
    if not os.path.lexists(path):  # which takes any name
        from yolo_proc.export.place import recover

        recover(path.parent if path.name == MODEL_FILE else path)
    if path.is_dir():
        return path / MODEL_FILE if (path / MODEL_FILE).is_file() else None
    return path if path.suffix.lower() == ".onnx" or (path.is_file() and path.suffix != ".pt") else None


def _open_writers(
    flags: PredictFlags, out: Path | None, finder: _Finder, writers: "list[Writer]"
) -> "JsonWriter | None":
    """Add those that are asked for; give the one that takes errors too."""
    from yolo_proc.export.findings import AnnotatedWriter, JsonWriter, SetWriter, TextWriter

    if out is not None:
        named = flags.format
        writers.append(SetWriter(out, named, finder.classes) if named else AnnotatedWriter(out, finder.view))
    if flags.json:
        said = JsonWriter(sys.stdout, finder.view)
        writers.append(said)
        return said
    if out is None or not finder.counts_objects:  # the classes of an image are one short line
        writers.append(TextWriter(sys.stdout, finder.view))
    return None


def _run(
    sources: Sequence[Any],
    finder: _Finder,
    writers: "Sequence[Writer]",
    said: "JsonWriter | None",
    limit: int | None,
    reading: PictureReading,
) -> tuple[dict[_Tally, int], bool]:
    """Show every frame to the detector. An interrupt ends it like the last frame: a camera has no other end.

    Returns:
        How much was read, skipped and found, and whether it was interrupted.
    """
    from yolo_proc.export.sources import count_frames, frames_of, missing_frames

    tally: dict[_Tally, int] = {"read": 0, "skipped": 0, "found": 0}
    interrupted = False
    printing = sys.stdout.isatty()  # on the bar's own screen
    with Progress(count_frames(sources, limit)) as progress:
        try:
            for source in sources:
                before = tally["read"] + tally["skipped"]
                for read in frames_of(source, limit=limit, reading=reading):
                    frame, found = finder.detect(read)
                    if found is None:
                        tally["skipped"] += 1
                        progress.say(f"skipped: {one_line(frame.error)}")
                        if said is not None:
                            said.add_error(frame)
                        continue
                    if printing:
                        progress.make_room()
                    for writer in writers:
                        writer.add(frame, found)
                    tally["read"] += 1
                    tally["found"] += len(found) if finder.counts_objects else 0
                    progress.show(tally["read"] + tally["skipped"])
                missing = missing_frames(source, tally["read"] + tally["skipped"] - before, limit)
                if missing:
                    progress.say(one_line(missing))
        except KeyboardInterrupt:
            interrupted = True
    for writer in writers:
        writer.close()
    return tally, interrupted


def _print_tally(tally: Mapping[_Tally, int], out: Path | None, counts_objects: bool) -> None:
    skipped = f", {tally['skipped']:,} skipped" if tally["skipped"] else ""
    written = f"; see {out}" if out is not None and tally["read"] else ""
    objects = f", {number_of(tally['found'], 'object')}" if counts_objects else ""
    print(f"{number_of(tally['read'], 'picture')}{objects}{skipped}{written}", file=sys.stderr)
