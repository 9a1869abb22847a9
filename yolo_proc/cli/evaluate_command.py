"""The command `evaluate`: judges a model on fresh scenes, and on pictures from elsewhere.

Imports of torch and OpenCV stand inside of functions: `--help` needs neither.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from yolo_proc.cli.commands import RUN_HELP, names_of, print_notes, run_place
from yolo_proc.cli.flags import (
    INPUT_SIZE_HELP,
    TRUST_HELP,
    FlagParser,
    build_own,
    read_input_size,
    read_picture_size,
)
from yolo_proc.config.options import option
from yolo_proc.config.schema import Config
from yolo_proc.data.run_config import config_from_values, saved_config, values_from_here
from yolo_proc.errors import ConfigError

if TYPE_CHECKING:
    from yolo_proc.data.stream import Stream
    from yolo_proc.evaluation.accuracy import Accuracy
    from yolo_proc.evaluation.evaluate import Evaluation

    Results = Mapping[str, Evaluation | Accuracy]  # by kind of weights
    Size = tuple[int, int] | None


@dataclass(frozen=True)
class EvaluateFlags:
    """Options of `evaluate`."""

    run: str | None = option(None, help=RUN_HELP)
    checkpoint: str | None = option(None, help="checkpoint file to evaluate, instead of --run")
    images: int = option(1000, help="how many fresh images to evaluate on", low=1, high=10_000_000)
    on: str | None = option(
        None,
        help="judge on other pictures too, and tell the difference: folder:PATH (all labelled pictures of a data set), "
        "or another generator (its own defaults, fresh scenes)",
    )
    weights: str = option(
        "ema",
        help="which weights to evaluate: ema (averaged, those that ship), raw, or both",
        choices=("ema", "raw", "both"),
    )
    picture_size: str | None = option(
        None,
        help="size of the images to evaluate on, WxH, shown to the network as `predict` does; none: the network's",
    )
    input_size: str | None = option(None, help=INPUT_SIZE_HELP)
    trust: bool = option(False, help=TRUST_HELP)
    json: bool = option(False, help="print the result as JSON")


def evaluate_parser() -> FlagParser:
    """Return flags of `evaluate`."""
    about = "Evaluates a model on scenes of the test stream: mAP or accuracy, precision, recall, calibration."
    names = names_of("runs-dir", "device", "threads", "workers", "batch-size")
    return FlagParser("evaluate", about, EvaluateFlags, names)


def evaluate(parser: FlagParser, argv: Sequence[str]) -> int:
    """Print the figures of a run's model."""
    parsed = parser.read(argv)
    flags = build_own(EvaluateFlags, parsed.own)
    size, input_size = read_picture_size(flags.picture_size), read_input_size(flags.input_size)
    if flags.run is not None and flags.checkpoint is not None:
        raise ConfigError("--run and --checkpoint: both say what to judge; give one of them")
    ours = config_from_values(parsed.given)
    place = Path(flags.checkpoint) if flags.checkpoint is not None else run_place(flags.run or "", ours.runs_dir)
    judge = _Judge.of(place, ours, flags, input_size)
    elsewhere = judge.open_elsewhere(flags.on, size) if flags.on is not None else None
    own, frame = judge.own_scenes(size, flags.images)
    there = elsewhere.judged(flags.images) if elsewhere is not None else None
    if flags.json:
        plain = {name: _plain(found, frame, there and there[name], flags.on) for name, found in own.items()}
        print(json.dumps(plain if flags.weights == "both" else plain[flags.weights]))
        return 0
    for name, found in own.items():
        print("averaged weights, which ship:" if name == "ema" else "raw weights, of the last step:")
        print(found.table())
        if there is not None and flags.on is not None:
            print(f"\non {flags.on}:\n{there[name].table()}\n")
            print("\n".join(_compared(found, there[name], flags.on).lines()))
    return 0


def _plain(own: "Evaluation | Accuracy", frame: tuple[int, int], there: Any, source: str | None) -> dict[str, Any]:
    plain = {**own.to_dict(), "input_size": list(frame)}
    return plain if there is None or source is None else {**plain, **_compared(own, there, source).to_dict()}


def _compared(own: Any, there: Any, source: str) -> Any:
    from yolo_proc.evaluation.elsewhere import AccuracyComparison, Comparison
    from yolo_proc.evaluation.evaluate import Evaluation

    return (Comparison if isinstance(own, Evaluation) else AccuracyComparison)(own, there, source)


@dataclass(frozen=True)
class _Judge:
    """A model, with all kinds of its weights that are asked for.

    Attributes:
        readers: a `Detector` or a `Classifier` for each kind.
        run: the configuration that it was trained with.
        ours: how to work: device, threads, workers, batch size.
    """

    path: Path
    readers: Mapping[str, Any]
    run: Config
    ours: Config

    @classmethod
    def of(cls, place: Path, ours: Config, flags: EvaluateFlags, input_size: "Size") -> "_Judge":
        import torch

        from yolo_proc.data.fingerprint import changed_scenes
        from yolo_proc.data.generator import check_class_count
        from yolo_proc.evaluation.classifier import Classifier
        from yolo_proc.evaluation.predict import Detector
        from yolo_proc.models import checkpoint
        from yolo_proc.models.fields import check_state, saved_values
        from yolo_proc.system.device import processors

        found = path, state, notes = checkpoint.shipped(place, check_state)
        print_notes(notes)
        run = saved_config(
            values_from_here(saved_values(state, path), path, state.get("started_in")), path, trust=flags.trust
        )
        check_class_count(path, state["classes"], run)
        print_notes(changed_scenes(state.get("fingerprint", {}), run))
        kinds: list[Literal["ema", "raw"]] = [kind for kind in ("ema", "raw") if flags.weights in (kind, "both")]
        loader: Any = Classifier if state["task"] == "classification" else Detector
        torch.set_num_threads(ours.threads or processors())
        return cls(
            path,
            {
                kind: loader.of_checkpoint(found, weights=kind, input_size=input_size, device=ours.device)
                for kind in kinds
            },
            run,
            ours,
        )

    @property
    def first(self) -> Any:
        """One of the readers, for what all have alike."""
        return next(iter(self.readers.values()))

    def own_scenes(self, size: "Size", count: int) -> "tuple[Results, tuple[int, int]]":
        """Return the results on scenes of the run's own test stream, and the size of the network's input."""
        from yolo_proc.data.stream import Stream

        stream = Stream.from_config(self.run, "test", picture_size=size)
        print_notes(stream.notes)
        return self.scenes(stream, count, f"scenes of generator {self.run.generator.name}")

    def scenes(
        self, stream: "Stream", count: int, what: str, classes: Sequence[str] | None = None
    ) -> "tuple[Results, tuple[int, int]]":
        """Return the results on the first scenes of a stream, and the size of the network's input; progress goes to
        stderr.

        Args:
            classes: the model's, where the stream may have others.
        """
        from yolo_proc.evaluation.accuracy import evaluate_classifier
        from yolo_proc.evaluation.evaluate import evaluate as evaluate_detector
        from yolo_proc.evaluation.predict import Detector
        from yolo_proc.system.device import processors
        from yolo_proc.system.progress import Progress

        models: dict[str, Any] = {kind: one.model_for(*stream.scene_size) for kind, one in self.readers.items()}
        frame = next(iter(models.values())).frame
        sizes = "{} x {}, shown to the network with {} x {}".format(*stream.scene_size, *frame)
        # An exported model has this size, unless it is told otherwise.
        same = frame == self.first.picture_size
        hint = "" if same else "; an export needs --input-size {}x{} for that".format(*frame)
        print(f"{self.path}: {count} {what}, {sizes}{hint}", file=sys.stderr)
        with Progress(count) as progress:
            judge: Any = evaluate_detector if isinstance(self.first, Detector) else evaluate_classifier
            results = judge(
                models,
                stream,
                count,
                self.run.labels,
                classes=classes,
                batch_size=self.ours.batch_size,
                workers=processors() if self.ours.workers < 0 else self.ours.workers,
                device=self.first.device,
                on_images=progress.show,
            )
        return results, frame

    def open_elsewhere(self, spec: str, size: "Size") -> "_Elsewhere":
        """Return what `--on` names, before time is spent on anything else.

        Raises:
            UserError: nothing of the kind, or it has no class of the model.
        """
        from yolo_proc.config.schema import AugmentConfig
        from yolo_proc.data.folder import Folder
        from yolo_proc.data.generator import load_generator
        from yolo_proc.data.stream import Stream
        from yolo_proc.evaluation.evaluate import matched_classes
        from yolo_proc.evaluation.predict import Detector

        source = load_generator(spec)
        matched_classes(self.first.classes, source.classes, spec)
        if not isinstance(source, Folder):
            seed, side = self.run.seed, self.run.image_size
            stream = Stream(spec, seed, "test", image_size=side, augment=self.run.augment, picture_size=size)
            return _Elsewhere(self, spec, stream=stream)
        if isinstance(self.first, Detector):
            return _Elsewhere(self, spec, folder=source)
        still = AugmentConfig(enabled=False)
        everything = {"train_share": 1.0}
        stream = Stream(spec, 0, "train", parameters=everything, image_size=self.run.image_size, augment=still)
        return _Elsewhere(self, spec, stream=stream, total=source.total)


@dataclass(frozen=True)
class _Elsewhere:
    """Pictures that are not the run's own scenes: of a folder, or of a stream.

    Attributes:
        total: how many pictures the stream has; None: it has no end.
    """

    judge: _Judge
    spec: str
    folder: Any = None
    stream: "Stream | None" = None
    total: int | None = None

    def judged(self, count: int) -> "Results":
        """Return the results on all pictures, or on so many scenes of a stream without an end."""
        from yolo_proc.evaluation.elsewhere import evaluate_folder, unknown_classes
        from yolo_proc.system.progress import Progress

        theirs = self.stream if self.stream is not None else self.folder
        classes = self.judge.first.classes
        print_notes(unknown_classes(classes, theirs.classes, self.spec))
        if self.stream is not None:
            return self.judge.scenes(self.stream, self.total or count, f"scenes of {self.spec}", classes)[0]
        print(f"{self.judge.path}: {self.folder.total} pictures of {self.spec}, each in its own size", file=sys.stderr)
        with Progress(self.folder.total) as progress:
            return evaluate_folder(self.judge.readers, self.folder, self.judge.run.labels, on_images=progress.show)
