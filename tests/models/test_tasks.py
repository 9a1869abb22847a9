"""Which options fit which task and which network."""

import pytest

from yolo_proc.config.schema import Config, LossConfig, ModelConfig
from yolo_proc.errors import ConfigError, OptionError
from yolo_proc.models.tasks import check_task, task_class, unread_options


def test_an_unknown_task_is_refused_with_the_nearest_name() -> None:
    assert task_class("detection").name == "detection"
    with pytest.raises(ConfigError, match=r"task: expected one of detection.*found 'detektion' \(did you mean"):
        task_class("detektion")


@pytest.mark.parametrize(
    "config",
    [
        Config(),
        Config(loss=LossConfig(weight_wh=1.0), model=ModelConfig(strides=(8,))),
        Config(model=ModelConfig(strides=(8, 16), anchors="20x20,9x9")),
        Config(task="classification", image_size=96),
        Config(model=ModelConfig(name="original", strides=(32,)), image_size=96),
    ],
)
def test_options_that_fit_are_taken(config: Config) -> None:
    check_task(config)


@pytest.mark.parametrize(
    ("config", "option", "complaint"),
    [
        (Config(image_size=250), "image-size", "expected a multiple of the stride 16, found 250; 240 and 256 are"),
        (
            Config(image_size=40, model=ModelConfig(strides=(4, 64))),
            "image-size",
            "expected a multiple of the stride 64, found 40; 64 is",
        ),
        (Config(task="classification", image_size=100), "image-size", "of the stride 32, found 100; 96 and 128 are"),
        (Config(model=ModelConfig(strides=(16, 8))), "model.strides", "ascending order, found 16,8"),
        (Config(model=ModelConfig(strides=(8, 8))), "model.strides", "distinct strides"),
        (Config(model=ModelConfig(strides=())), "model.strides", "distinct strides"),
        (Config(model=ModelConfig(strides=(24,)), image_size=240), "model.strides", "powers of two, found 24"),
        (Config(model=ModelConfig(name="original")), "model.strides", "original has strides 32, found 16"),
        (Config(model=ModelConfig(name="resnet18", width=2)), "model.width", "the layers of resnet18 are fixed"),
        (Config(model=ModelConfig(name="resnet81")), "model.name", r"\(did you mean resnet18\?\)"),
        (Config(model=ModelConfig(anchors="1")), "model.anchors", "expected auto, or sizes such as"),
        (Config(model=ModelConfig(anchors="9" * 401 + "x9")), "model.anchors", "expected auto, or sizes such as"),
        (Config(model=ModelConfig(anchors="999x9")), "model.anchors", "at most the picture's side 256"),
        (
            Config(model=ModelConfig(strides=(8, 16), anchors="20x20")),
            "model.anchors",
            "at least one size a grid, 2 grids, found 1",
        ),
        # What the task does not read is told before what is wrong with its value.
        (
            Config(task="classification", model=ModelConfig(anchors="1")),
            "model.anchors",
            "classification does not read",
        ),
        (Config(task="classification", loss=LossConfig(weight_wh=1)), "loss.weight-wh", "or take --task detection"),
    ],
)
def test_an_option_that_does_not_fit_is_named(config: Config, option: str, complaint: str) -> None:
    with pytest.raises(OptionError, match=complaint) as raised:
        check_task(config)
    assert raised.value.option == option
    assert str(raised.value).startswith(f"{option}: ")
    assert str(raised.value.named(f"run.toml: {option}")).startswith(f"run.toml: {option}: ")


def test_what_nothing_reads_is_known() -> None:
    assert unread_options(Config()) == frozenset()
    fixed = {"model.width", "model.depth", "model.batch-norm"}
    assert unread_options(Config(model=ModelConfig(name="resnet18"))) == fixed
    found = unread_options(Config(task="classification"))
    assert {"model.strides", "model.anchors", "loss.weight-wh"} <= found
    assert not {"model.width", "loss.weight-class", "image-size"} & found
