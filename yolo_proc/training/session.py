"""Builds a training session: device, scenes, network, and the state of a new or a resumed run."""

import copy
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from yolo_proc.batch import Batch
from yolo_proc.config.schema import Config
from yolo_proc.config.validation import validate
from yolo_proc.config.values import config_options
from yolo_proc.data.fingerprint import changed_parts, fingerprint
from yolo_proc.data.generator import Source
from yolo_proc.data.run_config import compare_on_resume, saved_config
from yolo_proc.data.stream import Stream, batches
from yolo_proc.data.transforms import is_code
from yolo_proc.data.trust import remember
from yolo_proc.errors import CheckpointError, ConfigError
from yolo_proc.models import checkpoint
from yolo_proc.models.fields import check_training
from yolo_proc.models.network import Network, build_model
from yolo_proc.models.tasks import check_task, task_class
from yolo_proc.models.weights import require_weights_for
from yolo_proc.system.device import differences, environment, pick_device, processors
from yolo_proc.task import Task
from yolo_proc.training.events import StopReason
from yolo_proc.training.optim import Ema, build_optimizer
from yolo_proc.training.precision import pick_precision
from yolo_proc.training.replicas import replica_count
from yolo_proc.training.runs import locked_run, new_run_folder, put_right, remove_unused, write_config
from yolo_proc.training.schedule import Schedule
from yolo_proc.training.state import TrainingState
from yolo_proc.training.stopping import LossWindow, Patience, TargetRule
from yolo_proc.training.validation import VALIDATION_BATCH

TIMED_IMAGES = 8
SAMPLE_BATCH = 50  # scenes drawn at once to look at their labels
# The file that holds a run's state before its learning rate decayed; a run that ended goes on from there.
BEFORE_DECAY = "before_decay.pt"


# Told what is done, how much of it, and of how much (None: nobody knows).
OnProgress = Callable[[str, int, int | None], None]
_ENDS = {
    "target": "the target was reached",
    "done": "its budget was used up",
    "budget": "its budget was used up",
    "plateau": "the loss stood still",
}
_DOING = {"validation": "validation images", "target": "trying the target", "calibration": "calibrating"}


def nobody(_what: str, _done: int, _of: int | None) -> None:
    """Take progress that nobody wants to see."""


@dataclass
class Session:
    """A run that can be trained.

    Attributes:
        config: of this session; a resumed run's may differ from the one it was begun with.
        folder: of the run.
        workers: processes that draw; 0 for none.
        notes: lines for the user.
        resumed_from: the checkpoint, None for a new run.
        nothing_left: why a resumed run is over before it goes on, None where it is not.
        on_progress: told how far drawing is.
    """

    config: Config
    folder: Path
    device: torch.device
    task: Task
    state: TrainingState
    workers: int
    notes: list[str] = field(default_factory=list)
    resumed_from: Path | None = None
    nothing_left: tuple[StopReason, str] | None = None
    on_progress: OnProgress = nobody

    def batches(self, stream: str, first_image: int, count: int, group: int = VALIDATION_BATCH) -> Iterator[Batch]:
        """Yield images `first_image` to `first_image + count` of a stream, in batches of `group`, drawn by the
        workers.
        """
        assert first_image % group == 0, "a try begins at a whole batch"
        source = Stream.from_config(self.config, stream)
        done = 0
        for batch in batches(source, first_image // group, group, count=-(-count // group), workers=self.workers):
            yield batch
            done += len(batch)
            self.on_progress(_DOING.get(stream, stream), min(done, count), count)

    @cached_property
    def validation(self) -> list[Batch]:
        """The validation images, the same at each epoch, so they are drawn once: 500 of 256 x 256 take 100 MB."""
        return list(self.batches("validation", 0, self.config.validation_images))


@contextmanager
def open_session(
    config: Config, resume_from: Path | None, accept_changed_data: bool, on_progress: OnProgress = nobody
) -> Iterator[Session]:
    """Return a session for `config`: new, or going on from a run's folder or checkpoint; it alone trains the run
    meanwhile.

    Raises:
        UserError: options that do not fit each other, the machine or the checkpoint; another process trains the run.
    """
    config = validate(config)
    check_task(config)
    device = pick_device(config.device)
    with ExitStack() as held:
        if resume_from is None:
            yield _new_session(config, device, held, on_progress)
            return
        folder = resume_from if resume_from.is_dir() else resume_from.parent
        if folder.is_dir():  # before the newest checkpoint is looked for: whoever has the lock may be writing it
            held.enter_context(locked_run(folder))
        session = _resumed_session(config, device, resume_from, accept_changed_data)
        session.on_progress = on_progress
        yield session


def worker_count(config: Config) -> int:
    """Return how many processes draw scenes: as asked, or one a processor."""
    return processors() if config.workers < 0 else config.workers


def _new_session(config: Config, device: torch.device, held: ExitStack, on_progress: OnProgress) -> Session:
    workers = worker_count(config)
    threads = use_threads(config.threads, device, config.batch_size)
    stream, notes = checked_generator(config)
    folder = new_run_folder(config)  # what can fail at once comes before what takes seconds
    if config.run is None:  # nobody else knows its number
        held.callback(remove_unused, folder)
    held.enter_context(locked_run(folder))
    put_right(folder)
    checkpoint.take_turn(folder)
    config = replace(config, run=folder.name)
    task = build_task(config, Stream.from_config(config, "anchors"), workers, on_progress)
    model = first_model(config, task, device)
    probes = Stream.from_config(config, "probe")
    replicas = replica_count(device, threads, config.batch_size)
    on_progress("timing steps", 0, None)
    precision, why = pick_precision(config.precision, model, task, lambda: timing_batch(probes, task, device), replicas)
    state = _state(config, model, stream, precision, threads, device)
    with suppress(ValueError):  # on another drive
        state.started_in = os.path.relpath(Path.cwd(), folder.resolve())
    write_config(folder, config)
    lines = [*notes, why, *_remembered(config)]
    return Session(config, folder, device, task, state, workers, lines, on_progress=on_progress)


def checked_generator(config: Config) -> tuple[Stream, tuple[str, ...]]:
    """Return the stream of a new run's scenes, and the lines of a source for the user.

    Raises:
        UserError: the generator does not load, or has nothing in a stream that the run will need later.
    """
    stream = Stream.from_config(config, "train")
    if not isinstance(stream.generator, Source):
        return stream, ()
    for name in ("validation", "calibration", *(["target"] if config.target_loss is not None else [])):
        stream.generator.check(name, augmented=False)
    return stream, stream.notes


def _resumed_session(config: Config, device: torch.device, resume_from: Path, accept_changed_data: bool) -> Session:
    path, saved, notes = checkpoint.to_resume(resume_from, check_training)
    old = _old_config(path, saved["config"], config)
    folder = path.parent
    config = replace(config, run=folder.name, runs_dir=str(folder.parent))
    refusals, inexact = compare_on_resume(old, config, accept_changed_data=accept_changed_data)
    if refusals:
        raise ConfigError("; ".join(refusals))
    threads = use_threads(config.threads or saved["threads"], device, config.batch_size)
    precision = saved["precision"] if config.precision == "auto" else config.precision
    stream = Stream.from_config(config, "train")
    _check_classes(path, saved["classes"], stream.classes)
    _check_data(saved["fingerprint"], fingerprint(config), accept_changed_data)
    nothing_left = _nothing_left(saved, config)
    lines = [*notes, *inexact]
    if saved["finished"] and nothing_left is None:
        saved, line = _before_decay(folder, saved)
        lines.append(line)
    try:
        task = task_class(config.task).restore(saved, config)
        require_weights_for(config.model, task, saved["weights"])
        model = build_model(config.model, task).to(device)
        state = _state(config, model, stream, precision, threads, device)
        state.started_in = saved.get("started_in", "")
        state.load_state_dict(saved)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    put_right(folder)
    checkpoint.take_turn(folder)
    changed = differences(saved["environment"], state.environment)
    if changed:
        lines.append(f"not bit for bit the uninterrupted run, the environment differs: {'; '.join(changed)}")
    write_config(folder, config)
    lines.extend(_remembered(config))
    return Session(config, folder, device, task, state, worker_count(config), lines, path, nothing_left)


def _remembered(config: Config) -> Iterator[str]:
    """Keep in mind whose code this user trained with; yield a line for what cannot be kept."""
    pipeline = config.augment.pipeline
    codes = [config.generator.name, *([pipeline] if pipeline is not None and is_code(pipeline) else [])]
    yield from filter(None, map(remember, codes))


def _old_config(path: Path, values: Mapping[str, Any], config: Config) -> Config:
    """Return the configuration of the checkpoint, for comparing. Of another generator than the session's nothing is
    run.
    """
    if values.get("generator.name") != config.generator.name:
        values = {flat: value for flat, value in values.items() if flat in config_options()}
    return saved_config(values, path, trust=True)  # the session's own generator was named, or allowed, by its caller


def _nothing_left(saved: Mapping[str, Any], config: Config) -> tuple[StopReason, str] | None:
    """Return why a resumed run has nothing to do, or None."""
    old_target, target = saved["config"].get("target-loss"), config.target_loss
    if saved["finished"] == "target" and target is not None and old_target is not None and target >= old_target:
        return "target", f"the target loss {target:g} was reached already; go on to a lower --target-loss"
    if config.epochs is not None and saved["epoch"] >= config.epochs:
        # The decision is the one that the last epoch would have given.
        reason: StopReason = "done" if target is None else "budget"
        return reason, f"{saved['epoch']} epochs were trained already; go on with a larger --epochs, or --epochs none"
    return None


def _before_decay(folder: Path, saved: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Return the state that a run which ended goes on from: before its learning rate decayed, if it did; and a line.

    What was learned of the outside stays: the best loss, so that `best.pt` is only replaced by a better one, and the
    tries at the target, so that no image is judged twice.
    """
    path, why = folder / BEFORE_DECAY, _ENDS.get(saved["finished"], saved["finished"])
    if saved["schedule"]["decay"] is None or not path.exists():
        return {**saved, "finished": ""}, f"the run had ended ({why}); it goes on from epoch {saved['epoch']}"
    _, earlier, _ = checkpoint.to_resume(path, check_training)
    earlier |= {"best_loss": saved["best_loss"], "tries": saved["tries"]}
    return earlier, (
        f"the run had ended ({why}); it goes on from epoch {earlier['epoch']}, before its learning rate decayed"
    )


def _check_classes(path: Path, then: Sequence[str], now: Sequence[str]) -> None:
    """Refuse other classes, which nobody can accept: the network would have wrong names, or too few outputs."""
    if list(then) != list(now):
        raise CheckpointError(
            f"{path}: its classes are {', '.join(then)}, those of the scenes are {', '.join(now)}; give the scenes the "
            "same names in the same order, or start a new run"
        )


def _check_data(then: Mapping[str, str], now: Mapping[str, str], accepted: bool) -> None:
    changed = changed_parts(then, now)
    if changed and not accepted:
        shown = "; ".join(part if len(part) < 100 else part.partition(":")[0] for part in changed)
        raise CheckpointError(
            f"the scenes are not those the run was trained on: {shown}; restore them, start a new run, "
            "or go on all the same with --accept-changed-data"
        )


def _state(
    config: Config, model: Network[Any], stream: Stream, precision: str, threads: int, device: torch.device
) -> TrainingState:
    state = build_state(config, model, stream.classes, precision=precision, threads=threads)
    state.environment = environment(device, precision, threads)
    state.fingerprint = fingerprint(config)
    state.own_shape = not (isinstance(stream.generator, Source) and stream.generator.letterboxed)
    return state


def build_task(config: Config, source: Stream, workers: int, on_progress: OnProgress = nobody) -> Task:
    """Build the task of a new run; what it looks for among scenes (anchors), it finds in `source`.

    Raises:
        UserError: options or scenes that do not suit the task.
    """

    def sample(count: int) -> Iterator[Batch]:
        drawn = batches(source, 0, SAMPLE_BATCH, count=-(-count // SAMPLE_BATCH), workers=workers)
        for number, batch in enumerate(drawn, 1):
            on_progress("scenes for anchors", min(number * SAMPLE_BATCH, count), count)
            yield batch

    return task_class(config.task).begin(config, source.classes, sample)


def first_model(config: Config, task: Task, device: torch.device) -> Network[Any]:
    """Build the network of a new run. It seeds torch: the weights depend on the configuration alone."""
    torch.manual_seed(config.seed)
    return build_model(config.model, task).to(device)


def build_state(
    config: Config, model: Network[Any], classes: tuple[str, ...], *, precision: str, threads: int
) -> TrainingState:
    """Return the state of a run before its first step; what identifies machine and scenes is left empty."""
    return TrainingState(
        config=config,
        classes=classes,
        model=model,
        ema=Ema(model, config.optim.ema, copy.deepcopy(model)),
        optimizer=build_optimizer(model, config.optim),
        schedule=Schedule(config.optim),
        rule=TargetRule(config.target_loss),
        patience=Patience(config.patience),
        window=LossWindow(-(-config.epoch_images // config.batch_size), len(model.task.terms)),
        precision=precision,
        threads=threads,
        replicas=replica_count(next(model.parameters()).device, threads, config.batch_size),
        environment={},
        fingerprint={},
    )


def use_threads(asked: int, device: torch.device, batch_size: int) -> int:
    """Return the threads that were asked for or are at hand; each operation gets the share of one part of a batch."""
    threads = asked or processors()
    torch.set_num_threads(threads // replica_count(device, threads, batch_size))
    return threads


def timing_batch(source: Stream, task: Task, device: torch.device) -> tuple[torch.Tensor, Any]:
    """Return images and targets on the device, for `pick_precision`."""
    batch = Batch.of([source[index] for index in range(TIMED_IMAGES)], range(TIMED_IMAGES))
    targets, _ = task.targets(batch, device)
    return batch.images.to(device), targets
