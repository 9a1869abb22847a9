"""From what a checkpoint holds to a network: saved weights in, or a line that says why they do not fit."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from yolo_proc.config.options import build
from yolo_proc.config.schema import ModelConfig
from yolo_proc.errors import CheckpointError, ConfigError
from yolo_proc.models.fields import check_state
from yolo_proc.models.network import Network, build_model
from yolo_proc.models.tasks import task_class
from yolo_proc.task import Task


def load_weights(model: Network[Any], weights: Mapping[str, Tensor] | None) -> None:
    """Give a network saved weights.

    Raises:
        CheckpointError: they are of another network; it names the first tensor that differs.
    """
    require_weights_of(model, weights)
    assert weights is not None
    model.load_state_dict(weights)


def require_weights_of(model: Network[Any], weights: Mapping[str, Tensor] | None) -> None:
    """Refuse weights that are not those of a network, by names, shapes and types, or not finite.

    Raises:
        CheckpointError: see `load_weights`.
    """
    if not isinstance(weights, Mapping):
        raise CheckpointError(f"expected weights by name, found {type(weights).__name__}; train anew")
    own = model.state_dict()
    for name in dict.fromkeys([*own, *weights]):
        here, there = (_shape_of(of.get(name)) for of in (own, weights))
        if here != there:
            raise CheckpointError(
                f"the weights are not those of the network {model.config.name} as this release builds it: expected "
                f"{name} of {here}, found {there}; use the release that wrote them, or train anew"
            )
    for name, tensor in weights.items():
        if not torch.isfinite(tensor).all():
            raise CheckpointError(f"expected finite weights, found {name} with others; use an earlier checkpoint")


def require_weights_for(config: ModelConfig, task: Task, weights: Mapping[str, Tensor] | None) -> None:
    """Refuse weights that are not those of a network, before it is built: a few bytes can describe gigabytes.

    Raises:
        CheckpointError: see `load_weights`.
        ConfigError: there is no such network.
    """
    with torch.device("meta"):
        require_weights_of(build_model(config, task), weights)


def _shape_of(value: object) -> str:
    if not isinstance(value, Tensor):
        return "none" if value is None else "no tensor"
    if value.layout is not torch.strided:
        return "a sparse tensor"
    size = "x".join(map(str, value.shape)) or "one value"
    return size if value.dtype in (torch.float32, torch.int64) else f"{size} in {value.dtype}".replace("torch.", "")


def model_from_checkpoint(
    state: Mapping[str, Any], weights: Literal["ema", "raw"] = "ema", *, path: Path | None = None
) -> Network[Any]:
    """Return the network that a checkpoint holds, in evaluation mode, with its calibration folded in.

    Args:
        state: as `checkpoint.load` gives it.
        weights: "ema", the averaged ones that are shipped, or "raw".
        path: of the checkpoint, for messages.

    Raises:
        CheckpointError: another task or version, or weights that do not fit the network.
    """
    try:
        check_state(state)
        model = _built(state, "ema" if weights == "ema" and state.get("ema") is not None else "weights")
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}" if path is not None else str(error)) from error
    # Calibrated for the weights that ship; the raw ones have other logits.
    if weights == "ema" and state.get("calibration") is not None:
        model.head.calibrate(*state["calibration"])
    return model.eval()


def _built(state: Mapping[str, Any], key: str) -> Network[Any]:
    try:
        config = build(ModelConfig, state["model"], where="model.")
        task = task_class(state["task"]).restore(state)
        require_weights_for(config, task, state[key])
        model = build_model(config, task)
    except ConfigError as error:
        raise CheckpointError(f"its network cannot be built: {error}") from error
    load_weights(model, state[key])
    return model
