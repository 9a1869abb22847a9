"""From what a checkpoint holds to a network: saved weights in, or a line that says why they do not fit."""

from collections.abc import Mapping
from typing import Any, Literal

from torch import Tensor

from yolo_proc.codec import Grid, LabelCodec
from yolo_proc.config import ModelConfig
from yolo_proc.errors import CheckpointError
from yolo_proc.model import Yolo


def load_weights(model: Yolo, weights: Mapping[str, Tensor] | None) -> None:
    """Gives a network saved weights.

    Raises:
        CheckpointError: they are of another network; it names the first tensor that differs.
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
    model.load_state_dict(weights)


def _shape_of(value: object) -> str:
    if not isinstance(value, Tensor):
        return "none" if value is None else "no tensor"
    return "x".join(map(str, value.shape)) or "one value"


def model_from_checkpoint(state: Mapping[str, Any], weights: Literal["ema", "raw"] = "ema") -> Yolo:
    """The network that a checkpoint holds, in evaluation mode, with its calibration folded in.

    Args:
        state: as `checkpoint.load` gives it.
        weights: "ema", the averaged ones that are shipped, or "raw".

    Raises:
        CheckpointError: another task or version, or weights that do not fit the network.
    """
    if state.get("task") != "detect" or state.get("version") != 1:
        raise CheckpointError(
            f"expected a checkpoint of task detect, version 1; found task {state.get('task')!r}, "
            f"version {state.get('version')!r}: use the release that wrote it"
        )
    fields = dict(state["model"])
    fields["strides"] = tuple(fields["strides"])
    codec = LabelCodec(tuple(Grid.from_dict(grid) for grid in state["grids"]), len(state["classes"]))
    model = Yolo(ModelConfig(**fields), codec)
    key = "ema" if weights == "ema" and state.get("ema") is not None else "weights"
    load_weights(model, state.get(key))
    # Calibrated for the weights that ship; the raw ones have other logits.
    if weights == "ema" and state.get("calibration") is not None:
        scale, bias = state["calibration"]
        model.calibrate(scale, bias)
    return model.eval()
