"""The registries of backbones and of tasks."""

from pathlib import Path

import pytest
from tiny_run import run_tiny, tiny_config

from yolo_proc.config.schema import Config, LossConfig, ModelConfig
from yolo_proc.errors import ConfigError
from yolo_proc.models.registry import backbone_names, build_backbone, find_backbone
from yolo_proc.models.tasks import refuse_options_of_other_tasks, task_class


def test_an_unknown_network_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    assert {"small", "original"} <= set(backbone_names())
    with pytest.raises(ConfigError, match=r"found 'orignal' \(did you mean original\?\)"):
        find_backbone(ModelConfig(name="orignal"))
    with pytest.raises(ConfigError, match=r"model: expected one of .*small"):
        run_tiny(tiny_config(tmp_path, model=ModelConfig(name="")))
    assert list(tmp_path.iterdir()) == [], "nothing is made for a run that cannot begin"


def test_options_that_a_backbone_does_not_read_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"model\.width: the layers of original are fixed"):
        find_backbone(ModelConfig(name="original", width=2.0))
    assert find_backbone(ModelConfig(name="original", batch_norm=False)).name == "original"
    assert find_backbone(ModelConfig(width=2.0, depth=1)).name == "small"


@pytest.mark.parametrize("strides", [(), (2,), (16, 128)])
def test_strides_that_a_backbone_does_not_have_are_refused(strides: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="the network small has strides 4, 8, 16, 32, 64, found"):
        build_backbone(ModelConfig(), strides)


def test_an_unknown_task_is_refused_with_the_nearest_name() -> None:
    assert task_class("detection").name == "detection"
    with pytest.raises(ConfigError, match=r"task: expected one of detection.*found 'detektion' \(did you mean"):
        task_class("detektion")


def test_a_task_takes_its_own_options() -> None:
    refuse_options_of_other_tasks(Config(loss=LossConfig(weight_wh=1.0), model=ModelConfig(strides=(8,))))
