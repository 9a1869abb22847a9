"""Transforms of albumentations: where a pipeline's come from, and how they become one."""

import importlib
import io
import os
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from yolo_proc.config.options import shown
from yolo_proc.data.generator import load_file
from yolo_proc.errors import OptionError
from yolo_proc.system.files import MIB, UnreadableFileError, read_bytes

OPTION = "augment.pipeline"
_FORMATS = {".yaml": "yaml", ".yml": "yaml", ".json": "json"}
_EXPECTED = "FILE.yaml, FILE.json (as albumentations.save writes them) or file.py:name"


def is_code(spec: str) -> bool:
    """Return whether a pipeline is named by a Python file, whose code runs where it is loaded."""
    return ":" in spec and spec.rpartition(":")[0].endswith(".py")


def forbid_update_check() -> None:
    """Keep albumentations, in this process and those it starts, from asking PyPI for a newer version of itself."""
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")


def import_albumentations() -> Any:
    """Return the module; it takes seconds."""
    forbid_update_check()
    return importlib.import_module("albumentations")


def pipeline_bytes(spec: str) -> bytes:
    """Return the content of the file that a pipeline stands in.

    Raises:
        OptionError: it cannot be read.
    """
    if not is_code(spec) and Path(spec).suffix.lower() not in _FORMATS:
        raise OptionError(OPTION, f"expected {_EXPECTED}, found {shown(spec)}")
    path = spec.rpartition(":")[0] if is_code(spec) else spec
    try:
        return read_bytes(Path(path), MIB, "an albumentations pipeline", text=True)
    except UnreadableFileError as error:
        raise OptionError(OPTION, str(error)) from error


def load_transforms(module: Any, spec: str) -> Any:
    """Return what a pipeline's file holds: a Compose, a transform, or a list of them.

    Raises:
        OptionError: nothing of the kind.
    """
    if is_code(spec):
        path, _, name = spec.rpartition(":")
        user = load_file(spec, Path(path), "--augment.pipeline")
        if not hasattr(user, name):
            raise OptionError(OPTION, f"{path} has no {name}")
        found = getattr(user, name)
        composed = isinstance(found, module.BasicTransform | module.BaseCompose | list | tuple)
        try:
            return found() if callable(found) and not composed else found
        except Exception as error:
            raise OptionError(OPTION, f"{spec} failed: {type(error).__name__}: {error}") from error
    try:
        text = pipeline_bytes(spec).decode("utf-8")
        return module.load(io.StringIO(text), data_format=_FORMATS[Path(spec).suffix.lower()])
    except OptionError:
        raise
    except Exception as error:  # of YAML, JSON and whatever a transform says of its arguments
        what = str(error).strip().partition("\n")[0]
        raise OptionError(
            OPTION, f"{spec}: expected a pipeline as albumentations.save writes it: {type(error).__name__}: {what}"
        ) from error


def leaves(module: Any, transforms: Sequence[Any]) -> Iterator[Any]:
    """Yield the transforms that stand in others (Compose, OneOf, Sequential, ...)."""
    for one in transforms:
        if isinstance(one, module.BaseCompose):
            yield from leaves(module, one.transforms)
        elif isinstance(one, module.BasicTransform):
            yield one
        else:
            raise OptionError(OPTION, f"expected transforms of albumentations, found {shown(one)}")


def composed(module: Any, transforms: list[Any], *, moves: bool, share: float = 1.0) -> Any:
    """Return transforms as one, that takes keypoints where it may move things."""
    keypoints = module.KeypointParams(format="xy", remove_invisible=False) if moves else None
    return module.Compose(transforms, keypoint_params=keypoints, p=share)


def seed_transform(transform: Any, seed: int) -> None:
    """Set all of a transform's random states."""
    transform.set_random_state(np.random.Generator(np.random.SFC64(seed)), random.Random(seed))
