"""One pass over a whole configuration: every value, and options against each other."""

import dataclasses
import itertools
import re

from yolo_proc.config.options import check_value, nearest, shown
from yolo_proc.config.schema import Config, ModelConfig
from yolo_proc.config.values import (
    assemble,
    config_options,
    config_values,
    parse_anchors,
    value_text,
)
from yolo_proc.errors import ConfigError


def validate(config: Config) -> Config:
    """Return `config` with every value checked and of its declared type, and options checked against each other.

    Raises:
        ConfigError: names the option, what is expected and what was found.
    """
    values = config_values(config)
    checked = {flat: check_value(declared, values[flat], flat) for flat, declared in config_options().items()}
    config = assemble(checked, config.generator.parameters)
    _check_run(config)
    _check_model(config.model, config.image_size)
    if config.epoch_images <= config.batch_size:
        # The bound of a mean, which target and patience are judged by, needs two steps.
        raise ConfigError(
            f"epoch-images: expected more than one batch of {config.batch_size}, found {config.epoch_images}; "
            "raise epoch-images or lower batch-size"
        )
    if config.augment.letterbox_size[0] > config.augment.letterbox_size[1]:
        raise ConfigError(
            "augment.letterbox-size: expected the smallest before the largest, found "
            f"{value_text(config.augment.letterbox_size)}"
        )
    weights = dataclasses.asdict(config.loss)
    del weights["weight_overlap"], weights["weight_auxiliary"]  # what stands beside the loss is not it
    if not any(weights.values()):
        raise ConfigError("loss: expected at least one weight above 0, found none; nothing would be learned")
    return config


def _check_run(config: Config) -> None:
    if config.run is not None and not re.fullmatch(r"[\w+][\w.+ -]*", config.run):
        raise ConfigError(
            f"run: expected a plain folder name of letters, digits and .-_+, found {shown(config.run)}; "
            "runs-dir says where the folder lies"
        )
    if not re.fullmatch(r"auto|cpu|cuda(:\d{1,3})?", config.device):
        hint = nearest(config.device, ("auto", "cpu", "cuda"))
        raise ConfigError(f"device: expected auto, cpu, cuda or cuda:N, found {shown(config.device)}{hint}")


def _check_model(model: ModelConfig, image_size: int) -> None:
    strides = model.strides
    if not strides or any(a >= b for a, b in itertools.pairwise(strides)):
        raise ConfigError(f"model.strides: expected distinct strides in ascending order, found {value_text(strides)}")
    for stride in strides:
        if stride & (stride - 1):
            raise ConfigError(f"model.strides: expected powers of two, found {value_text(strides)}")
        if image_size % stride:
            below = max(image_size // stride * stride, stride)
            raise ConfigError(
                f"image-size: expected a multiple of the stride {stride}, found {image_size}; "
                f"{below} and {below + stride} are"
            )
    sizes = parse_anchors(model.anchors)
    if sizes is not None and max(max(size) for size in sizes) > image_size:
        raise ConfigError(
            f"model.anchors: expected sizes of at most the picture's side {image_size}, found {shown(model.anchors)}; "
            "give smaller ones, `auto`, or a larger --image-size"
        )
    if sizes is not None and len(sizes) < len(strides):
        raise ConfigError(
            f"model.anchors: expected at least one size a grid, {len(strides)} grids, found {len(sizes)}: "
            f"{shown(model.anchors)}"
        )
