"""TensorBoard, an optional package: found when it is asked for, and not before."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from yolo_proc.errors import ConfigError


def require_tensorboard() -> None:
    """Refuse to go on without the package.

    Raises:
        ConfigError: it is not installed.
    """
    if find_spec("tensorboard") is None:
        raise ConfigError(
            "tensorboard: expected the package tensorboard, found none; install it: "
            "pip install tensorboard, or leave --tensorboard out"
        )


class SummaryWriter:
    """Scalars by step in a folder.

    Args:
        folder: made where it is not there.
        purge_step: from here on TensorBoard forgets what an earlier process wrote.
    """

    def __init__(self, folder: Path, *, purge_step: int) -> None:
        from torch.utils import tensorboard

        writer: Any = tensorboard.SummaryWriter  # type: ignore[attr-defined, unused-ignore]
        self._writer = writer(str(folder), purge_step=purge_step)

    def add(self, group: str, values: Mapping[str, float], step: int) -> None:
        """Write scalars as `group/name` at a step."""
        for name, value in values.items():
            self._writer.add_scalar(f"{group}/{name}", value, step)

    def close(self) -> None:
        """Write what waits."""
        self._writer.close()
