"""The training loop: what it leaves behind, and that an interruption leaves no trace."""

import contextlib
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from tiny_run import STEPS_PER_EPOCH, child, differing, run_tiny, timeless, tiny_config, tiny_trainer

from yolo_proc.batch import Batch
from yolo_proc.config.schema import Config, GeneratorConfig, LabelConfig, LossConfig, OptimConfig
from yolo_proc.data.stream import Stream
from yolo_proc.errors import CheckpointError, ConfigError, DataError, GeneratorError, TrainingError
from yolo_proc.evaluation.predict import Detector
from yolo_proc.models import checkpoint
from yolo_proc.training.events import CheckpointSaved, EpochEnd, Note, RunStarted, Step, Stopped, TargetTried
from yolo_proc.training.session import Session
from yolo_proc.training.stopping import Patience
from yolo_proc.training.trainer import Trainer

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nothing interrupted."""
    runs = tmp_path_factory.mktemp("whole")
    run_tiny(tiny_config(runs))
    return runs / "tiny"


def last_state(folder: Path) -> dict[str, Any]:
    """The newest checkpoint, without where the run lies."""
    state = checkpoint.newest_valid(folder)[1]
    state["config"] = {name: value for name, value in state["config"].items() if name != "runs-dir"}
    return state


def test_a_run_leaves_what_its_readme_promises(whole: Path) -> None:
    names = {path.name for path in whole.iterdir()}
    assert {"config.toml", "metrics.csv", "000003.pt", "best.pt", "preview.png", "predictions.png"} <= names
    assert not [name for name in names if name.endswith(".tmp")]
    rows = (whole / "metrics.csv").read_text().splitlines()
    assert len(rows) == 1 + 3
    assert rows[0].startswith("epoch,step,images,loss,")
    assert [row.partition(",")[0] for row in rows[1:]] == ["1", "2", "3"]


def test_the_events_tell_the_story_in_order(tmp_path: Path) -> None:
    events = run_tiny(tiny_config(tmp_path, epochs=2))
    assert isinstance(events[0], RunStarted)
    steps = [event for event in events if isinstance(event, Step)]
    assert [step.step for step in steps] == list(range(1, 9))
    assert [step.epoch for step in steps] == [1] * 4 + [2] * 4
    assert [step.images for step in steps] == [4 * k for k in range(1, 9)]
    for step in steps:
        assert step.loss == pytest.approx(sum(step.terms.values()), rel=1e-5)
    ends = [event for event in events if isinstance(event, EpochEnd)]
    assert [end.epoch for end in ends] == [1, 2]
    assert all(end.loss <= end.loss_upper for end in ends)
    last = events[-1]
    assert isinstance(last, Stopped)
    assert (last.reason, last.exit_code, last.epochs, last.images) == ("done", 0, 2, 32)


@pytest.mark.parametrize("stop_after", [1, 2, 4, 6, 7])
def test_a_run_stopped_anywhere_and_resumed_is_the_same_run_bit_for_bit(
    whole: Path, tmp_path: Path, stop_after: int
) -> None:
    config = tiny_config(tmp_path)
    events = run_tiny(config, stop_after=stop_after)
    assert isinstance(events[-1], Stopped)
    assert events[-1].reason == "signal"
    run_tiny(config, tmp_path / "tiny")
    assert list(differing(last_state(whole), last_state(tmp_path / "tiny"))) == []
    assert (tmp_path / "tiny" / "metrics.csv").read_bytes() == (whole / "metrics.csv").read_bytes()
    shipped = [checkpoint.load(folder / "best.pt")["ema"] for folder in (whole, tmp_path / "tiny")]
    assert list(differing(*shipped)) == []


# A part of the state, and what a run that forgot it would begin with.
FORGOTTEN: dict[str, Any] = {
    "weights": lambda state: {
        name: value // 2 if name.endswith("tracked") else value / 2 for name, value in state["weights"].items()
    },
    "ema": lambda state: state["weights"],
    "optimizer": lambda state: {**state["optimizer"], "state": {}},
    "ema_updates": lambda state: 0,
    "schedule": lambda state: {"since": 0, "longest": 0, "decay": None},
    "tries": lambda state: 0,
    "patience": lambda state: {"best": float("inf"), "waited": 0},
    "window": lambda state: [],
    "torch_random": lambda state: torch.Generator().manual_seed(1).get_state(),
    "step": lambda state: state["epoch"] * STEPS_PER_EPOCH,
    "history": lambda state: [],
    "clipped": lambda state: 0,
    "norms": lambda state: 0.0,
    "best_loss": lambda state: state["best_loss"] / 2,
    "dropped": lambda state: {},
}


def never_impatient(patience: Patience, upper: float) -> bool:
    """In place of `Patience.add`: remembers the first epoch and waits."""
    if patience.waited == 0 and patience.best == float("inf"):
        patience.best = upper
    else:
        patience.waited += 1
    return False


@contextlib.contextmanager
def in_vain() -> Iterator[None]:
    """No try meets the target, and no epoch's fall counts, so that the patience remembers the first epoch."""
    with (
        mock.patch("yolo_proc.training.stopping.TargetRule.judge", return_value=False),
        mock.patch("yolo_proc.training.stopping.Patience.add", never_impatient),
    ):
        yield


@pytest.fixture(scope="module")
def with_target(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A whole run with a target that each epoch tries in vain, and its state inside the third epoch."""
    runs = tmp_path_factory.mktemp("target")
    config = trying(runs)
    with in_vain():
        run_tiny(replace(config, run="whole"))
        run_tiny(replace(config, run="half"), stop_after=10)
    return runs / "whole", checkpoint.list_checkpoints(runs / "half")[0]


def trying(runs: Path) -> Config:
    """A configuration in which every part of the state matters by step 10."""
    optim = OptimConfig(warmup_steps=2, decay_steps=2, clip_norm=1.0)
    labels = replace(LabelConfig(), min_visible=0.999, min_in_frame=0.999)
    return tiny_config(runs, target_loss=100.0, optim=optim, labels=labels)


@pytest.mark.parametrize("part", [None, *FORGOTTEN])
def test_forgetting_any_part_of_the_state_shows(
    with_target: tuple[Path, Path], tmp_path: Path, part: str | None
) -> None:
    """The negative control of the test above: with nothing forgotten the states agree, else they do not."""
    whole, half = with_target
    state = checkpoint.load(half)
    if part is not None:
        forgotten = FORGOTTEN[part](state)
        assert list(differing(state[part], forgotten)), f"{part} is still at its beginning: the test would be blind"
        state[part] = forgotten
    folder = tmp_path / "half"
    folder.mkdir()
    checkpoint.save(folder / half.name, state)
    shutil.copy(half.with_name(checkpoint.BEST), folder)
    with in_vain():
        run_tiny(replace(trying(tmp_path), run="half"), folder)
    expected, found = last_state(whole), last_state(folder)
    for one in (expected, found):
        one["config"].pop("run")
    metrics_differ = (folder / "metrics.csv").read_bytes() != (whole / "metrics.csv").read_bytes()
    assert (bool(list(differing(expected, found))) or metrics_differ) == (part is not None)


def test_a_step_that_is_not_of_the_epoch_is_refused(with_target: tuple[Path, Path], tmp_path: Path) -> None:
    state = checkpoint.load(with_target[1])
    state["epoch"] = 0
    checkpoint.save(tmp_path / "half" / with_target[1].name, state)
    with pytest.raises(
        CheckpointError, match=r"step: expected one of the epoch after 0 whole ones of 4 steps, found 10"
    ):
        run_tiny(replace(trying(tmp_path), run="half"), tmp_path / "half")


def test_a_run_killed_at_20_random_moments_is_the_same_run(whole: Path, tmp_path: Path) -> None:
    """SIGKILL during steps and saves; a checkpoint is written after every step."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tiny_run"])
    rng = random.Random(0)
    marks = tmp_path / "marks"
    marks.touch()
    kills = 0
    for _ in range(200):
        resume = bool(checkpoint.list_checkpoints(tmp_path / "tiny"))
        process = context.Process(target=child, args=(tmp_path, resume, marks))
        size = marks.stat().st_size
        process.start()
        if kills < 20:
            while process.is_alive() and marks.stat().st_size == size:
                time.sleep(0.002)
            time.sleep(rng.uniform(0, 0.06))
            if process.is_alive():
                os.kill(process.pid or 0, signal.SIGKILL)
                kills += 1
        process.join()
        if process.exitcode == 0:
            break
    assert process.exitcode == 0
    assert kills >= 10, "it was too quick to be killed"
    expected, found = last_state(whole), last_state(tmp_path / "tiny")
    for one in (expected, found):
        one["config"].pop("save-minutes")
    assert list(differing(expected, found)) == []
    assert (tmp_path / "tiny" / "metrics.csv").read_bytes() == (whole / "metrics.csv").read_bytes()
    assert timeless(tmp_path / "tiny") == timeless(whole)


def test_the_target_stops_a_run_only_after_fresh_images_agree(tmp_path: Path) -> None:
    events = run_tiny(tiny_config(tmp_path, target_loss=100.0, epochs=None))
    tried = [event for event in events if isinstance(event, TargetTried)]
    assert [(event.k, event.reached) for event in tried] == [(1, True)]
    last = events[-1]
    assert isinstance(last, Stopped)
    assert (last.reason, last.exit_code, last.message) == ("target", 0, "Target loss reached, stopping training")
    state = checkpoint.load(tmp_path / "tiny" / "best.pt")
    assert state["calibration"] is not None
    assert state["epoch"] == last.epochs  # the judged weights are the ones that ship


def test_a_budget_that_ends_before_the_target_has_a_code_of_its_own(tmp_path: Path) -> None:
    last = run_tiny(tiny_config(tmp_path, target_loss=1e-6, epochs=1))[-1]
    assert isinstance(last, Stopped)
    assert (last.reason, last.exit_code) == ("budget", 4)


def test_no_fall_of_the_loss_ends_a_run_and_names_the_dominant_term(tmp_path: Path) -> None:
    optim = OptimConfig(lr=0.0)
    last = run_tiny(tiny_config(tmp_path, patience=2, epochs=50, optim=optim))[-1]
    assert isinstance(last, Stopped)
    assert (last.reason, last.exit_code) == ("plateau", 3)
    assert "largest term is" in last.message
    assert last.epochs < 50


def test_a_loss_that_is_not_finite_names_itself_and_spares_the_checkpoints(tmp_path: Path) -> None:
    optim = OptimConfig(lr=100.0, warmup_steps=0, clip_norm=0.0, name="sgd")
    with pytest.raises(TrainingError, match=r"not finite at step \d+: term .*; no weight was changed"):
        run_tiny(tiny_config(tmp_path, optim=optim, epochs=30))
    for path in checkpoint.list_checkpoints(tmp_path / "tiny"):
        weights = checkpoint.load(path)["weights"]
        assert all(torch.isfinite(value).all() for value in weights.values())


def test_only_the_newest_checkpoints_stay_and_the_best(tmp_path: Path) -> None:
    run_tiny(tiny_config(tmp_path, keep=2, epochs=4))
    names = sorted(path.name for path in (tmp_path / "tiny").glob("0*.pt"))
    assert names == ["000003.pt", "000004.pt"]
    assert (tmp_path / "tiny" / "best.pt").exists()


def test_a_damaged_checkpoint_is_passed_over(whole: Path, tmp_path: Path) -> None:
    config = tiny_config(tmp_path)
    run_tiny(replace(config, epochs=2))
    newest = checkpoint.list_checkpoints(tmp_path / "tiny")[0]
    newest.write_bytes(newest.read_bytes()[:-1])
    started = run_tiny(replace(config, epochs=1), tmp_path / "tiny")[0]
    assert isinstance(started, RunStarted)
    assert started.resumed_from is not None
    assert started.resumed_from.name == "000001.pt"
    assert any(newest.name in note for note in started.notes)


def test_a_finished_run_goes_on_from_before_its_decay(tmp_path: Path) -> None:
    config = tiny_config(tmp_path)
    events = run_tiny(config)
    saved = [event.path.name for event in events if isinstance(event, CheckpointSaved) and event.reason == "decay"]
    assert saved == ["before_decay.pt"]
    started = run_tiny(replace(config, epochs=5), tmp_path / "tiny")[0]
    assert isinstance(started, RunStarted)
    assert started.epochs_done < 3
    assert last_state(tmp_path / "tiny")["epoch"] == 5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, "seed: was 0, now 1"),
        ({"batch_size": 8}, "batch-size: was 4, now 8"),
        ({"loss": LossConfig(weight_wh=4.0)}, "loss.weight-wh"),
        ({"generator": GeneratorConfig("shapes", {"max-objects": 2})}, "generator.max-objects"),
    ],
)
def test_a_resume_with_another_task_is_refused_by_name(
    whole: Path, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        run_tiny(tiny_config(whole.parent, **change), whole)


def test_changed_scenes_are_refused_by_name(whole: Path, tmp_path: Path) -> None:
    state = checkpoint.load(checkpoint.list_checkpoints(whole)[0])
    state["fingerprint"]["probe scenes"] = "0" * 64
    path = tmp_path / "tiny" / "000003.pt"
    path.parent.mkdir()
    checkpoint.save(path, state)
    with pytest.raises(CheckpointError, match="probe scenes"):
        run_tiny(tiny_config(tmp_path, epochs=4), path.parent)


def test_weights_of_another_network_are_refused_by_their_file(whole: Path, tmp_path: Path) -> None:
    state = checkpoint.load(checkpoint.list_checkpoints(whole)[0])
    path = tmp_path / "tiny" / "000003.pt"
    path.parent.mkdir()
    for part in ("weights", "ema"):
        name = next(iter(state[part]))
        checkpoint.save(path, {**state, part: {**state[part], name: torch.zeros(5)}})
        with pytest.raises(
            CheckpointError, match=rf"000003\.pt: the weights are not .* expected {name} of .*, found 5;"
        ):
            run_tiny(tiny_config(tmp_path, epochs=4), path.parent)


def test_other_classes_are_refused_whatever_else_is_accepted(whole: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(whole, tmp_path / "tiny"))
    config = tiny_config(tmp_path, epochs=4)
    for names in (("circle", "triangle", "square", "star", "more"), ("star", "circle", "triangle", "square")):
        for accepted in (False, True):
            with mock.patch("yolo_proc_generators.shapes.Shapes.classes", names):
                events = Trainer(config, folder, accept_changed_data=accepted).run()
                with pytest.raises(
                    CheckpointError, match=rf"000003\.pt: its classes are .*, .* are {', '.join(names)};"
                ):
                    next(events)


def test_a_run_of_that_name_is_never_overwritten(whole: Path) -> None:
    with pytest.raises(ConfigError, match="--resume tiny"):
        run_tiny(tiny_config(whole.parent))


def test_going_on_from_an_older_checkpoint_has_a_future_of_its_own(tmp_path: Path) -> None:
    """The old future would be taken for the newest state, and pruning would remove the new one."""
    config = tiny_config(tmp_path, keep=2)
    run_tiny(replace(config, epochs=4))
    folder = tmp_path / "tiny"
    state = checkpoint.load(folder / "000003.pt")
    run_tiny(replace(config, epochs=5), folder / "000003.pt", stop_after=14)
    assert [path.name for path in checkpoint.list_checkpoints(folder)] == ["000003+00002.pt", "000003.pt"]
    assert checkpoint.load(folder / "000004.pt.aside")["epoch"] == 4
    assert checkpoint.load(folder / "000003.pt")["step"] == state["step"]


def after_steps(minutes: float) -> Any:
    """A clock on which each step takes a minute."""
    return mock.patch(
        "yolo_proc.training.trainer.Trainer._training_seconds", lambda trainer: 60.0 * minutes * trainer.state.step
    )


def test_time_that_is_over_ends_a_run_inside_an_epoch(tmp_path: Path) -> None:
    with after_steps(1):
        last = run_tiny(tiny_config(tmp_path, epochs=None, max_time=5.5))[-1]
    assert isinstance(last, Stopped)
    assert (last.reason, last.images) == ("done", 4 * 6)
    assert last.message == "5.5 minutes of training are over, as was asked"
    assert checkpoint.list_checkpoints(tmp_path / "tiny")[0].name == "000001+00002.pt"
    assert checkpoint.load(tmp_path / "tiny" / "best.pt")["calibration"] is not None


def test_time_that_is_over_before_the_first_epoch_leaves_a_row_and_weights(whole: Path, tmp_path: Path) -> None:
    config = tiny_config(tmp_path, epochs=3, max_time=1.0)
    with after_steps(1):
        events = run_tiny(config)
    ends = [event for event in events if isinstance(event, EpochEnd)]
    assert [(end.epoch, end.images, end.share) for end in ends] == [(1, 4, 0.25)]
    table = (tmp_path / "tiny" / "metrics.csv").read_text().splitlines()
    assert len(table) == 2
    assert table[1].startswith("1,1,4,")
    assert any(isinstance(event, Note) and "its confidence is not calibrated" in event.text for event in events)
    assert checkpoint.load(tmp_path / "tiny" / "best.pt")["calibration"] is None
    Detector.load(tmp_path / "tiny", device="cpu")
    # It goes on, and the row of a part of an epoch gives way to that of the whole.
    run_tiny(replace(config, max_time=None), tmp_path / "tiny")
    assert (tmp_path / "tiny" / "metrics.csv").read_bytes() == (whole / "metrics.csv").read_bytes()


def test_only_training_counts_as_time(tmp_path: Path) -> None:
    """A clock that is over before the first step, if it began with the process."""
    with mock.patch("yolo_proc.training.trainer.Trainer._seconds", return_value=1e6):
        last = run_tiny(tiny_config(tmp_path, epochs=1, max_time=60.0))[-1]
    assert isinstance(last, Stopped)
    assert (last.epochs, last.message) == (1, "1 epoch is over, as was asked")


def test_progress_is_told_of_what_brings_no_event(tmp_path: Path) -> None:
    told: list[tuple[str, int, int | None]] = []
    trainer = tiny_trainer(tiny_config(tmp_path, epochs=1))
    trainer.on_progress = lambda *progress: told.append(progress)
    list(trainer.run())
    assert ("scenes for anchors", 50, 50) in told
    assert ("validation images", 20, 20) in told
    assert ("calibrating", 20, 20) in told
    assert all(of is None or 0 < done <= of for _, done, of in told)


@pytest.mark.parametrize(
    ("change", "reason", "code"), [({}, "done", 0), ({"target_loss": 1e-9}, "budget", 4), ({"epochs": 2}, "done", 0)]
)
def test_a_run_with_nothing_left_to_do_stays_as_it_is(
    whole: Path, change: dict[str, Any], reason: str, code: int
) -> None:
    before = {path.name: path.read_bytes() for path in whole.glob("*.pt")}
    events = run_tiny(tiny_config(whole.parent, **change), whole)
    last = events[-1]
    assert isinstance(last, Stopped)
    assert (last.reason, last.exit_code, len(events)) == (reason, code, 2)
    assert "larger --epochs" in last.message
    assert {path.name: path.read_bytes() for path in whole.glob("*.pt")} == before


def test_a_reached_target_is_reached_until_a_lower_one_is_asked_for(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, target_loss=100.0, epochs=None)
    run_tiny(config)
    again = run_tiny(config, tmp_path / "tiny")[-1]
    assert isinstance(again, Stopped)
    assert (again.reason, again.exit_code) == ("target", 0)
    assert "reached already" in again.message
    lower = run_tiny(replace(config, target_loss=50.0), tmp_path / "tiny")
    assert any(isinstance(event, Step) for event in lower)


GENERATOR = """
from yolo_proc import Generator, circle

class Dots(Generator):
    classes = ("dot",)
    calls = 0

    def draw(self, canvas, rng):
        Dots.calls += 1
        canvas.draw(circle({x}, 0.5, 0.1), (255, 0, 0), {label})
"""


@pytest.mark.parametrize(
    ("x", "label", "message"),
    [
        ("0.3 + 0.01 * (Dots.calls % 7)", "'dot'", "drawn twice gives two scenes"),
        ("0.5", "None", "have no label"),
        ("5.0", "'dot'", "have no label"),
    ],
)
def test_a_generator_that_cannot_be_trained_on_is_refused(tmp_path: Path, x: str, label: str, message: str) -> None:
    path = tmp_path / "dots.py"
    path.write_text(GENERATOR.format(x=x, label=label))
    with pytest.raises(GeneratorError, match=message):
        run_tiny(tiny_config(tmp_path, generator=GeneratorConfig(f"{path}:Dots")))


# -------------------------------------------------------------------------------- what can be saved is saved


def run_with_kill(config: Config, kill: Callable[[Step], bool]) -> str:
    """Runs with a process that draws, which is killed after a step; gives the line that ends the run."""

    def run() -> None:
        for event in Trainer(config).run():
            if isinstance(event, Step) and kill(event):
                for worker in multiprocessing.active_children():
                    os.kill(worker.pid or 0, signal.SIGKILL)

    with pytest.raises(TrainingError) as ended:
        run()
    return str(ended.value)


def test_a_killed_worker_ends_a_run_that_is_saved(whole: Path, tmp_path: Path) -> None:
    config = tiny_config(tmp_path, workers=1)
    line = run_with_kill(config, lambda step: step.step == 5)
    assert "a process that draws scenes was killed" in line
    saved = checkpoint.list_checkpoints(tmp_path / "tiny")[0]
    assert f"the state is saved in {saved}, and the run goes on with: python -m yolo_proc train --resume tiny" in line
    assert checkpoint.load(saved)["step"] >= 5
    run_tiny(tiny_config(tmp_path), tmp_path / "tiny")
    assert list(differing(last_state(whole), last_state(tmp_path / "tiny"))) == []


@pytest.mark.parametrize("name", ["validation", "calibration", "target"])
@pytest.mark.parametrize("error", [TrainingError, GeneratorError, MemoryError])
def test_an_epoch_that_cannot_be_judged_is_judged_by_the_resumed_run(
    tmp_path: Path, name: str, error: type[Exception]
) -> None:
    """Whatever decision comes first, none is made twice: the resumed run is the uninterrupted one."""
    config = tiny_config(tmp_path, epochs=2, target_loss=100.0)
    with in_vain():
        run_tiny(replace(config, run="whole"))
        draw = Session.batches

        def fail(self: Session, stream: str, *rest: Any) -> Iterator[Batch]:
            if stream == name and self.state.step == (8 if name == "calibration" else 4):
                raise error
            return draw(self, stream, *rest)

        with mock.patch.object(Session, "batches", fail), pytest.raises(error) as ended:
            run_tiny(config)
        folder = tmp_path / "tiny"
        saved = checkpoint.list_checkpoints(folder)[0]
        assert saved.name == ("000001+00004.pt" if name == "calibration" else "000000+00004.pt")
        assert str(saved) in (str(ended.value) or ended.value.__notes__[-1])
        run_tiny(config, folder)
    expected, found = last_state(tmp_path / "whole"), last_state(folder)
    for one in (expected, found):
        one["config"].pop("run")
    assert list(differing(expected, found)) == []
    assert (folder / "metrics.csv").read_bytes() == (tmp_path / "whole" / "metrics.csv").read_bytes()


def test_a_scene_that_cannot_be_drawn_ends_a_run_that_is_saved(tmp_path: Path) -> None:
    draw = Stream.__getitem__

    def fail(self: Stream, index: int) -> Any:
        if self.stream == "train" and index == 22:
            raise DataError("a picture has changed")
        return draw(self, index)

    with (
        mock.patch.object(Stream, "__getitem__", fail),
        pytest.raises(DataError, match="a picture has changed; the state"),
    ):
        run_tiny(tiny_config(tmp_path))
    assert checkpoint.list_checkpoints(tmp_path / "tiny")[0].name == "000001+00001.pt"


def test_a_disk_that_is_full_by_then_is_told_too(tmp_path: Path) -> None:
    def fail(*_: Any) -> None:
        raise CheckpointError("no room")

    draw = Stream.__getitem__

    def draw_two(self: Stream, index: int) -> Any:
        if self.stream == "train" and index == 8:
            raise DataError("a picture has changed")
        return draw(self, index)

    with (
        mock.patch.object(Stream, "__getitem__", draw_two),
        mock.patch.object(checkpoint, "save", fail),
        pytest.raises(DataError, match="a picture has changed; the state could not be saved either: no room"),
    ):
        run_tiny(tiny_config(tmp_path))


@pytest.mark.parametrize("kind", ["pipe", "hang up"])
def test_a_training_goes_on_or_saves_without_its_console(tmp_path: Path, kind: str) -> None:
    """The command itself: `| head -1`, and a terminal that is closed, which tells the whole group."""
    words = "train --generator shapes --run a --epochs 2 --epoch-images 16 --batch-size 4 --image-size 64 --no-check"
    code = (
        "import signal; signal.signal(signal.SIGHUP, signal.SIG_DFL)  # even if the tests run under nohup\n"
        "from yolo_proc.cli.main import entry; entry()"
    )
    few = "--validation-images 20 --calibration-images 20 --model.anchor-scenes 50 --model.width 0.25 --workers 1"
    command = [sys.executable, "-c", code, *words.split(), *few.split()]
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{root / 'tests'}", "OMP_NUM_THREADS": "1"}
    with (
        (tmp_path / "errors").open("w+") as errors,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=tmp_path,
            env=environment,
            start_new_session=True,
        ) as process,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            if kind == "pipe" or line.startswith("Epoch: 1"):
                break
        process.stdout.close()
        if kind == "hang up":
            os.killpg(process.pid, signal.SIGHUP)
        code_of_end = process.wait(120)
        errors.seek(0)
        said = errors.read()
    assert "Traceback" not in said, said
    assert code_of_end == (129 if kind == "hang up" else 0), said
    saved = checkpoint.list_checkpoints(tmp_path / "checkpoints" / "a")
    assert saved, said
    assert kind == "hang up" or saved[0].name == "000002.pt"
