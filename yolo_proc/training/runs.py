"""A run's folder: its name, `config.toml`, `metrics.csv`."""

import csv
import io
import shutil
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from yolo_proc.config.schema import Config
from yolo_proc.data.configfile import config_to_toml
from yolo_proc.data.generator import file_stem
from yolo_proc.errors import ConfigError, DataError, UserError
from yolo_proc.models.checkpoint import TURN, checkpoint_position, list_checkpoints, newest_valid, sweep_temporary
from yolo_proc.models.fields import check_training
from yolo_proc.models.tasks import unread_options
from yolo_proc.system.files import GIB, UnreadableFileError, half_written, read_bytes, replace_whole
from yolo_proc.system.locking import locked

METRICS = "metrics.csv"
CONFIG = "config.toml"
LOCK = ".lock"


def remove_unused(folder: Path) -> None:
    """Remove the folder of a run that failed before it had anything to keep."""
    with suppress(OSError):
        if {path.name for path in folder.iterdir()} <= {LOCK, TURN}:
            shutil.rmtree(folder)


def new_run_folder(config: Config) -> Path:
    """Make the folder of a new run: `<runs_dir>/<run>`, or the generator's name with the next free number.

    Raises:
        ConfigError: the named run has checkpoints already.
        DataError: the folder cannot be made.
    """
    runs_dir = Path(config.runs_dir)
    try:
        if config.run is not None:
            folder = runs_dir / config.run
            if list_checkpoints(folder):
                raise ConfigError(
                    f"run: {folder} has checkpoints already; go on with --resume {config.run}, or choose another --run"
                )
            folder.mkdir(parents=True, exist_ok=True)
            return folder
        stem = file_stem(config.generator.name)
        runs_dir.mkdir(parents=True, exist_ok=True)
        number = 1
        while True:
            folder = runs_dir / f"{stem}-{number:03d}"
            try:
                folder.mkdir()
            except FileExistsError:
                number += 1
                continue
            return folder
    except OSError as error:
        raise DataError(f"{runs_dir}: a run's folder cannot be made there: {error.strerror}") from error


def locked_run(folder: Path) -> AbstractContextManager[bool]:
    """Keep other processes from training the run in the same folder.

    Raises:
        UserError: another one does it.
        DataError: nothing can be written there.
    """
    return locked(folder / LOCK, folder, "trains this run")


def mend(folder: Path) -> None:
    """Put right what a killed process left in a run's folder: half-written files, a table that lacks its last rows.

    Nothing is done where nothing is wrong, where a process trains the run, or where nothing can be written.
    """
    if half_written(folder) or _table_is_short(folder):
        with suppress(UserError), locked_run(folder) as alone:
            if alone:  # else a half-written file may be somebody's who writes it now
                put_right(folder)


def put_right(folder: Path) -> None:
    """Do what `mend` promises; only the run's one writer may call this. What cannot be done is left."""
    sweep_temporary(folder)
    if _table_is_short(folder):
        with suppress(UserError):
            _, state, _ = newest_valid(folder, check_training)
            write_metrics(folder, state["history"])


def _table_is_short(folder: Path) -> bool:
    """Return whether `metrics.csv` has fewer rows than the newest checkpoint has epochs."""
    numbered = [checkpoint_position(path) for path in list_checkpoints(folder)[:1]]
    epochs = numbered[0][0] if numbered and numbered[0] is not None else 0
    if not epochs:
        return False
    try:
        table = read_bytes(folder / METRICS, GIB, "a table", text=True)
    except UnreadableFileError as error:
        return error.reason == "missing"
    return len(table.splitlines()) < 1 + epochs


def write_config(folder: Path, config: Config) -> None:
    """Write the whole configuration, ready for `--config`."""
    _write(folder / CONFIG, config_to_toml(config, unread_options(config)))


def write_metrics(folder: Path, history: Sequence[Mapping[str, float]]) -> None:
    """Write `metrics.csv` whole, a row an epoch, from what the checkpoint holds: so no line is ever doubled.

    It has no times: a run that was interrupted and resumed leaves the same bytes as one that was not.
    """
    text = io.StringIO()
    if history:
        writer = csv.DictWriter(text, list(history[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)
    _write(folder / METRICS, text.getvalue())


def _write(path: Path, text: str) -> None:
    """Write a small file; raise `DataError` on a full or read-only disk."""
    try:
        replace_whole(path, text.encode())
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror}") from error
