"""Saved weights: a checkpoint alone rebuilds its network, and another one's are told by name."""

from dataclasses import asdict

import pytest
import torch
from test_model import images, make

from yolo_proc.config.schema import ModelConfig
from yolo_proc.errors import CheckpointError
from yolo_proc.models.network import Yolo
from yolo_proc.models.versions import VERSION
from yolo_proc.models.weights import load_weights, model_from_checkpoint


def checkpoint_of(model: Yolo, **changes: object) -> dict[str, object]:
    state = {
        "version": VERSION,
        "task": "detection",
        "classes": ["a", "b", "c"],
        "model": asdict(model.config),
        "grids": [grid.to_dict() for grid in model.task.codec.grids],
        "weights": model.state_dict(),
        "ema": {name: value * 0.5 for name, value in model.state_dict().items()},
        "calibration": None,
    }
    return {**state, **changes}


def test_a_checkpoint_alone_rebuilds_its_model() -> None:
    model = make(ModelConfig(width=0.5, strides=(8, 16))).eval()
    x = images(2)
    assert torch.equal(model_from_checkpoint(checkpoint_of(model), "raw")(x), model(x))
    assert not torch.equal(model_from_checkpoint(checkpoint_of(model))(x), model(x))
    rebuilt = model_from_checkpoint(checkpoint_of(model, calibration=(2.0, 1.0), ema=model.state_dict()))
    assert torch.allclose(rebuilt(x)[..., 4], 2 * model(x)[..., 4] + 1, atol=1e-4)


@pytest.mark.parametrize("change", [{"version": VERSION + 1}, {"task": "classify"}, {"weights": {}, "ema": None}])
def test_a_checkpoint_of_something_else_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(CheckpointError):
        model_from_checkpoint(checkpoint_of(make(), **change))


def test_weights_of_another_network_are_told_by_their_first_difference() -> None:
    own = make().state_dict()
    stem, bias = "backbone.stem.0.weight", "head.layers.0.bias"
    changes = {
        f"expected {stem} of .*, found 1x2;": {**own, stem: torch.zeros(1, 2)},
        f"expected {bias} of .*, found none;": {name: value for name, value in own.items() if name != bias},
        "expected more of none, found one value;": {**own, "more": torch.tensor(1)},
        f"expected {stem} of .*, found one value;": {**own, stem: torch.tensor(1.0)},
        f"expected {bias} of .*, found no tensor;": {**own, bias: 3},
        f"expected {bias} of .*, found a sparse tensor;": {**own, bias: own[bias].to_sparse()},
        f"expected finite weights, found {bias} with others;": {**own, bias: own[bias] + float("inf")},
        f"expected finite weights, found {stem} with others;": {**own, stem: own[stem] * float("nan")},
    }
    for words, weights in changes.items():
        with pytest.raises(CheckpointError, match=words):
            load_weights(make(), weights)
    with pytest.raises(CheckpointError, match="expected weights by name, found NoneType"):
        load_weights(make(), None)  # type: ignore[arg-type]
    load_weights(make(), own)
