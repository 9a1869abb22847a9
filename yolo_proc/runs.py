"""A run's folder: its name, `config.toml`, `metrics.csv`."""

import csv
import io
import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from yolo_proc.checkpoint import list_checkpoints
from yolo_proc.config import Config
from yolo_proc.configfile import config_to_toml
from yolo_proc.errors import ConfigError, DataError
from yolo_proc.files import write_new
from yolo_proc.generator import file_stem
from yolo_proc.locking import locked

METRICS = "metrics.csv"
CONFIG = "config.toml"
LOCK = ".lock"


def new_run_folder(config: Config) -> Path:
    """Makes the folder of a new run: `<runs_dir>/<run>`, or the generator's name with the next free number.

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


def locked_run(folder: Path) -> AbstractContextManager[None]:
    """Keeps other processes from training the run in the same folder.

    Raises:
        UserError: another one does it.
        DataError: nothing can be written there.
    """
    return locked(folder / LOCK, folder, "trains this run")


def write_config(folder: Path, config: Config) -> None:
    """Writes the whole configuration, ready for `--config`."""
    write_atomic(folder / CONFIG, config_to_toml(config).encode())


def write_metrics(folder: Path, history: Sequence[Mapping[str, float]]) -> None:
    """Writes `metrics.csv` whole, a row an epoch, from what the checkpoint holds: so no line is ever doubled.

    It has no times: a run that was interrupted and resumed leaves the same bytes as one that was not.
    """
    text = io.StringIO()
    if history:
        writer = csv.DictWriter(text, list(history[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)
    write_atomic(folder / METRICS, text.getvalue().encode())


def write_atomic(path: Path, content: bytes) -> None:
    """Writes a small file so that a reader sees the old or the new one, never a part.

    Raises:
        DataError: a full or read-only disk.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write_new(temporary, content)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise DataError(f"{path}: cannot be written: {error.strerror}") from error
