"""The registries of backbones and of tasks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_run import run_tiny, tiny_config

from yolo_proc.config.schema import ModelConfig
from yolo_proc.errors import ConfigError
from yolo_proc.models.registry import backbone_names, build_backbone, find_backbone


def test_an_unknown_network_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    assert {"small", "original"} <= set(backbone_names())
    with pytest.raises(ConfigError, match=r"found 'orignal' \(did you mean original\?\)"):
        find_backbone(ModelConfig(name="orignal"))
    with pytest.raises(ConfigError, match=r"model.name: expected one of .*small"):
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


TINY = """
from torch import nn
from yolo_proc.models.layers import ConvNormAct
from yolo_proc.models.registry import Backbone, register_backbone

@register_backbone("tiny_of_a_package", strides=(8,))
class Tiny(Backbone):
    def __init__(self, config, strides):
        super().__init__()
        self.layers = nn.Sequential(*(ConvNormAct(k, 2 * k, stride=2) for k in (3, 6, 12)))
        self.strides, self.channels = strides, (24,)

    def forward(self, x):
        return [self.layers(x)]
"""


def install(folder: Path, module: str, source: str) -> dict[str, str]:
    """A package as `pip install` leaves it, in a folder on the path; gives the environment."""
    (folder / f"{module}.py").write_text(source)
    about = folder / f"{module}-1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1\n")
    (about / "entry_points.txt").write_text(f"[yolo_proc.backbones]\nx = {module}\n")
    return {**os.environ, "PYTHONPATH": str(folder)}


@pytest.mark.slow
def test_a_backbone_of_an_installed_package_trains_and_is_exported(tmp_path: Path) -> None:
    environment = install(tmp_path, "tiny_package", TINY)
    common = ["--runs-dir", str(tmp_path / "runs")]
    words = ["train", "--generator", "shapes", "--model", "tiny_of_a_package", "--model.strides", "8", "--run", "a"]
    words += ["--image-size", "64", "--epochs", "1", "--epoch-images", "64", "--workers", "0", "--no-check", *common]
    words += ["--validation-images", "20", "--calibration-images", "20", "--model.anchor-scenes", "20"]
    export = ["export", "--run", "a", "--out", str(tmp_path / "out"), "--images", "200", *common]
    for command in (words, export):
        done = subprocess.run(
            [sys.executable, "-m", "yolo_proc", *command], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    done = subprocess.run([sys.executable, "-m", "yolo_proc", *export], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "found 'tiny_of_a_package'" in done.stderr


def test_a_package_that_cannot_be_imported_is_one_line(tmp_path: Path) -> None:
    environment = install(tmp_path, "broken_package", "import nothing_of_this_name")
    command = [sys.executable, "-m", "yolo_proc", "describe"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "x: expected an installed package that can be imported (broken_package)" in done.stderr
    assert len(done.stderr.splitlines()) == 1
