"""The device at hand, and what bit-exactness depends on."""

import os
import platform
from importlib.metadata import version

import torch

from yolo_proc.errors import ConfigError, OptionError

LIBRARIES = ("torch", "numpy", "opencv-python-headless", "albumentations", "pillow", "fonttools", "skia-pathops")


def pick_device(name: str) -> torch.device:
    """Return the device that the option names; "auto" is CUDA where there is one.

    Raises:
        ConfigError: a name torch does not know, or a device that is not here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise OptionError("device", f"expected auto, cpu, cuda or cuda:N, found {name!r}") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(
            f"device: {name} is not here, torch sees {torch.cuda.device_count()} CUDA devices; use --device cpu"
        )
    if device.type not in ("cpu", "cuda"):
        raise OptionError("device", f"expected auto, cpu, cuda or cuda:N, found {name!r}")
    return device


def environment(device: torch.device, precision: str, threads: int) -> dict[str, str]:
    """Return what a bit-exact resume depends on besides the options, by name."""
    facts = {name: version(name) for name in LIBRARIES}
    facts["python"] = platform.python_version()
    facts["processor"] = f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
    facts["device"] = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    facts["precision"] = precision
    facts["torch threads"] = str(threads)
    return facts


def differences(then: dict[str, str], now: dict[str, str]) -> list[str]:
    """Return one `name: then -> now` for each fact that differs."""
    names = sorted({*then, *now})
    return [
        f"{name}: {then.get(name, '-')} -> {now.get(name, '-')}" for name in names if then.get(name) != now.get(name)
    ]


def processors() -> int:
    """Return how many processors this process may use (a container may be given fewer than the machine has)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
