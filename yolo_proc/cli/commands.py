"""The commands: each has its flags, reads them, calls, and prints.

Imports of torch and OpenCV stand inside of functions: `--help` needs neither.
"""

import json
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from yolo_proc.cli.flags import (
    TRUST_HELP,
    FlagParser,
    Parsed,
    build_own,
)
from yolo_proc.config.options import nearest, option, shown
from yolo_proc.config.schema import Config
from yolo_proc.config.values import Given, config_options
from yolo_proc.data.configfile import read_config_file
from yolo_proc.data.run_config import config_from_values, resumed_config, start_folder, values_from_here
from yolo_proc.errors import CheckpointError, ConfigError

if TYPE_CHECKING:
    from yolo_proc.models.summary import Description

RUN_HELP = "run to take: its name, its folder, or one of its checkpoints; none: the newest run"


def names_of(*wanted: str) -> list[str]:
    """Return flat names of options: `*` for all, `model.` for a whole section."""
    known = config_options()
    if wanted == ("*",):
        return list(known)
    return [flat for flat in known if flat in wanted or f"{flat.partition('.')[0]}." in wanted]


def _config_of(parsed: Parsed, file: str | None) -> dict[str, Given]:
    """Return what the file gives and, stronger, what the flags give."""
    return {**(read_config_file(Path(file)) if file is not None else {}), **parsed.given}


# ------------------------------------------------------------------------------------------------ train


@dataclass(frozen=True)
class TrainFlags:
    """Options of `train` that are no part of a run's configuration."""

    config: str | None = option(None, help="TOML file with options; flags override it")
    resume: str | None = option(
        None,
        help="resume training from the newest checkpoint of the newest run, or of the run, folder or checkpoint named",
    )
    accept_changed_data: bool = option(
        False, help="resume although the scenes are no longer those the run was trained on"
    )
    trust: bool = option(False, help=TRUST_HELP)


def train_parser() -> FlagParser:
    """Return flags of `train`."""
    about = "Trains a detector or a classifier on generated scenes until a target loss is reached, or a budget ends."
    return FlagParser("train", about, TrainFlags, names_of("*"), parameters=True, bare={"resume": ""})


def train(parser: FlagParser, argv: Sequence[str]) -> int:
    """Train a new run, or go on with one; return the exit code of how it ended."""
    parsed = parser.read(argv)
    flags = build_own(TrainFlags, parsed.own)
    given = _config_of(parsed, flags.config)
    if flags.resume is None:
        if flags.accept_changed_data:
            raise ConfigError("--accept-changed-data: only a resumed run has data that can have changed; add --resume")
        config, place = config_from_values(given, trust=flags.trust), None
    else:
        place, config = _resume(flags.resume, given, flags.trust)
    from yolo_proc.checks.gate import quick_outcomes
    from yolo_proc.cli.console import run_training
    from yolo_proc.models.tasks import check_task
    from yolo_proc.training.session import checked_generator
    from yolo_proc.training.trainer import Command, Trainer

    if place is None:
        check_task(config)
        checked_generator(config)  # before anything is announced; what it reads is kept
    trainer = Trainer(config, resume_from=place, accept_changed_data=flags.accept_changed_data, checks=quick_outcomes)
    return run_training(trainer, lambda: trainer.commands.put(Command.STOP), end_process=os._exit)


def _resume(run: str, given: dict[str, Given], trust: bool) -> tuple[Path, Config]:
    """Return where a run goes on from, and its configuration with what is given now."""
    named = given.pop("run", None)
    if named is not None:
        if run not in ("", named.value):
            raise ConfigError(f"{named.where}: names the run {named.value}, but --resume names {run}; give one of them")
        run = str(named.value)
    runs_dir = str(given["runs-dir"].value) if "runs-dir" in given else Config().runs_dir
    place = run_place(run, runs_dir)
    from yolo_proc.models import checkpoint
    from yolo_proc.models.fields import check_training

    path, state, _ = checkpoint.to_resume(place, check_training)
    found = values_from_here(state["config"], path, state.get("started_in"))
    spec = state["config"].get("generator.name")
    if "generator.name" not in given and found.get("generator.name") != spec:
        base = start_folder(path, state.get("started_in"))
        raise ConfigError(
            f"{path.parent}: its generator {spec} is named from where the run was started; go on there: "
            f"cd {shlex.quote(str(base))}"
        )
    return place, resumed_config(state["config"], path, given, trust=trust)


def run_place(run: str, runs_dir: str) -> Path:
    """Return the folder or checkpoint that a user means by `run`; an empty one is the newest run. A run's folder is
    mended.

    Raises:
        CheckpointError: there is none of that name; the message has the nearest one.
    """
    from yolo_proc.training.runs import mend

    place = _run_place(run, runs_dir)
    if place.is_dir():
        mend(place)
    return place


def _run_place(run: str, runs_dir: str) -> Path:
    if not run:
        from yolo_proc.models import checkpoint

        return checkpoint.newest_run(runs_dir)
    for place in (Path(runs_dir) / run, Path(run)):
        if os.path.exists(place):  # noqa: PTH110 `Path.exists` raises for a name that no file can have
            return place
    folder = Path(runs_dir)
    known = sorted(one.name for one in folder.iterdir() if one.is_dir()) if folder.is_dir() else []
    listed = f"; there are: {', '.join(known)}" if known else "; it has no runs"
    name = run if run.isprintable() and len(run) < 200 else shown(run)
    raise CheckpointError(f"{name}: no such run in {runs_dir}{nearest(run, known)}{listed}")


# ---------------------------------------------------------------------------------------------- preview


@dataclass(frozen=True)
class PreviewFlags:
    """Options of `preview`."""

    config: str | None = option(None, help="TOML file with options; flags override it")
    count: int = option(16, help="how many scenes to draw", low=1, high=1000)
    out: str = option("preview.png", help="PNG file to write")
    augment: bool = option(True, help="augment the scenes; off: show them as they are drawn")
    stream: str = option(
        "train",
        help="which stream of scenes to draw from",
        choices=("train", "validation", "target", "calibration", "test"),
    )
    trust: bool = option(False, help=TRUST_HELP)


def preview_parser() -> FlagParser:
    """Return flags of `preview`."""
    about = "Draws scenes of a generator with their labels on one sheet."
    names = names_of("seed", "image-size", "generator.name", "labels.", "augment.")
    return FlagParser("preview", about, PreviewFlags, names, parameters=True)


def preview(parser: FlagParser, argv: Sequence[str]) -> int:
    """Write a sheet of scenes."""
    parsed = parser.read(argv)
    flags = build_own(PreviewFlags, parsed.own)
    given = _config_of(parsed, flags.config)
    if "augment" in parsed.own:
        given["augment.enabled"] = parsed.own["augment"]
    config = config_from_values(given, trust=flags.trust)
    from yolo_proc.data.stream import Stream
    from yolo_proc.plotting.preview import preview_sheet, write_png

    if Path(flags.out).suffix.lower() != ".png":
        raise ConfigError(f"--out: expected the name of a PNG file such as preview.png, found {shown(flags.out)}")
    stream = Stream.from_config(config, flags.stream)
    print_notes(stream.notes)
    scenes = [stream[index] for index in range(flags.count)]
    write_png(flags.out, preview_sheet(scenes, stream.classes, limits=config.labels))
    labels = sum(len(scene.objects) for scene in scenes)
    print(f"{flags.out}: {flags.count} scenes of generator {config.generator.name} with {labels} objects")
    if not labels:
        print(
            "nothing in these frames has a label: give what is drawn one, canvas.draw(shape, colour, label), inside of "
            "the frame; coordinates are units of its shorter side, 0 to 1, and no pixels",
            file=sys.stderr,
        )
    return 0


# --------------------------------------------------------------------------------------------- describe


@dataclass(frozen=True)
class DescribeFlags:
    """Options of `describe`."""

    run: str | None = option(None, help=f"describe the network of a run: {RUN_HELP}")
    config: str | None = option(None, help="TOML file with options; flags override it")
    trust: bool = option(False, help=TRUST_HELP)
    json: bool = option(False, help="print the result as JSON")


def describe_parser() -> FlagParser:
    """Return flags of `describe`."""
    about = "Describes a network: layers, shapes, parameters, operations, receptive field, output."
    names = names_of("runs-dir", "task", "image-size", "generator.name", "model.")
    return FlagParser("describe", about, DescribeFlags, names, parameters=True, bare={"run": ""})


def describe(parser: FlagParser, argv: Sequence[str]) -> int:
    """Print what a network consists of."""
    parsed = parser.read(argv)
    flags = build_own(DescribeFlags, parsed.own)
    given = _config_of(parsed, flags.config)
    config = config_from_values(given, trust=flags.trust)
    if flags.run is not None:
        description = _describe_run(run_place(flags.run, config.runs_dir))
    else:
        description = _describe_config(config)
    print(json.dumps(description.as_dict()) if flags.json else description.text())
    return 0


def _describe_run(place: Path) -> "Description":
    from yolo_proc.models import checkpoint
    from yolo_proc.models import summary as room
    from yolo_proc.models.fields import check_state
    from yolo_proc.models.weights import model_from_checkpoint

    path, state, notes = checkpoint.shipped(place, check_state)
    print_notes(notes)
    model = model_from_checkpoint(state, path=path)
    return room.describe(model)


def _describe_config(config: Config) -> "Description":
    from yolo_proc.config.values import parse_anchors
    from yolo_proc.data.generator import load_generator
    from yolo_proc.models import summary as room
    from yolo_proc.models.network import build_model
    from yolo_proc.models.tasks import check_task, task_class

    check_task(config)
    classes = load_generator(config.generator.name, config.generator.parameters).classes
    model = config.model
    if parse_anchors(model.anchors) is None:
        # `auto` anchors are found from scenes when a run starts; here only their number matters.
        sizes = [f"{2 * stride}x{2 * stride}" for stride in model.strides for _ in range(model.anchors_per_grid)]
        config = replace(config, model=replace(model, anchors=",".join(sizes)))
    task = task_class(config.task).begin(config, classes, lambda _: iter(()))
    return room.describe(build_model(config.model, task))


def print_notes(notes: Sequence[str]) -> None:
    for note in notes:
        print(note, file=sys.stderr)
