"""One pass over a whole configuration: every value, and options against each other."""

import dataclasses
import re

from yolo_proc.config.options import check_value, nearest, shown
from yolo_proc.config.schema import Config
from yolo_proc.config.values import (
    assemble,
    config_options,
    config_values,
    value_text,
)
from yolo_proc.errors import ConfigError, OptionError


def validate(config: Config) -> Config:
    """Return `config` with every value checked and of its declared type, and options checked against each other.

    What its task and its network ask besides, `models.tasks.check_task` says.

    Raises:
        ConfigError: names the option, what is expected and what was found.
    """
    values = config_values(config)
    checked = {flat: check_value(declared, values[flat], flat) for flat, declared in config_options().items()}
    config = assemble(checked, config.generator.parameters)
    _check_run(config)
    if config.epoch_images <= config.batch_size:
        # The bound of a mean, which target and patience are judged by, needs two steps.
        raise OptionError(
            "epoch-images",
            f"expected more than one batch of {config.batch_size}, found {config.epoch_images}; raise epoch-images or "
            "lower batch-size",
        )
    if config.augment.letterbox_size[0] > config.augment.letterbox_size[1]:
        raise OptionError(
            "augment.letterbox-size",
            f"expected the smallest before the largest, found {value_text(config.augment.letterbox_size)}",
        )
    weights = dataclasses.asdict(config.loss)
    del weights["weight_overlap"], weights["weight_auxiliary"]  # what stands beside the loss is not it
    if not any(weights.values()):
        raise ConfigError("loss: expected at least one weight above 0, found none; nothing would be learned")
    return config


def _check_run(config: Config) -> None:
    if config.run is not None and not re.fullmatch(r"[\w+][\w.+ -]*", config.run):
        raise OptionError(
            "run",
            f"expected a plain folder name of letters, digits and .-_+, found {shown(config.run)}; "
            "runs-dir says where the folder lies",
        )
    if not re.fullmatch(r"auto|cpu|cuda(:\d{1,3})?", config.device):
        hint = nearest(config.device, ("auto", "cpu", "cuda"))
        raise OptionError("device", f"expected auto, cpu, cuda or cuda:N, found {shown(config.device)}{hint}")


def require_multiple(image_size: int, stride: int) -> None:
    """Refuse an image size that is no multiple of a stride.

    Raises:
        OptionError: names the nearest sizes that are.
    """
    if image_size % stride:
        below = image_size // stride * stride
        sizes = f"{below} and {below + stride} are" if below else f"{stride} is"
        raise OptionError("image-size", f"expected a multiple of the stride {stride}, found {image_size}; {sizes}")
