"""The machine at hand: device, threads, precision by timing, and what bit-exactness depends on."""

import copy
import os
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import TypeVar

import torch

from yolo_proc.errors import ConfigError
from yolo_proc.model import Yolo
from yolo_proc.parts import InParts, in_parts
from yolo_proc.step import train_step
from yolo_proc.task import Task

T = TypeVar("T")
# bf16 must win clearly: it is 4 x quicker with matrix units, but a sixth without, and costs accuracy.
BF16_GAIN = 1.3
TIMED_STEPS = 5
LIBRARIES = ("torch", "numpy", "opencv-python-headless", "albumentations", "pillow", "fonttools", "skia-pathops")


def processors() -> int:
    """How many processors this process may use (a container may be given fewer than the machine has)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def pick_device(name: str) -> torch.device:
    """The device that the option names; "auto" is CUDA where there is one.

    Raises:
        ConfigError: a name torch does not know, or a device that is not here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device: expected auto, cpu, cuda or cuda:N, found {name!r}") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(
            f"device: {name} is not here, torch sees {torch.cuda.device_count()} CUDA devices; use --device cpu"
        )
    if device.type not in ("cpu", "cuda"):
        raise ConfigError(f"device: expected auto, cpu, cuda or cuda:N, found {name!r}")
    return device


def agree(local: T) -> T:
    """What all processes of a run decide, given this one's opinion: on one process, that opinion.

    Every decision that ends or alters the loop passes here, so that several processes can never part ways.
    """
    return local


def environment(device: torch.device, precision: str, threads: int) -> dict[str, str]:
    """What a bit-exact resume depends on besides the options, by name."""
    facts = {name: version(name) for name in LIBRARIES}
    facts["python"] = platform.python_version()
    facts["processor"] = f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
    facts["device"] = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    facts["precision"] = precision
    facts["torch threads"] = str(threads)
    return facts


def differences(then: dict[str, str], now: dict[str, str]) -> list[str]:
    """One `name: then -> now` for each fact that differs."""
    names = sorted({*then, *now})
    return [
        f"{name}: {then.get(name, '-')} -> {now.get(name, '-')}" for name in names if then.get(name) != now.get(name)
    ]


def pick_precision(
    name: str, model: Yolo, task: Task, make_batch: Callable[[], tuple[torch.Tensor, object]], parts: int = 1
) -> tuple[str, str]:
    """The precision to train in, and a line that says why.

    "auto" times a training step of a copy of the model in both: a warm-up, then the median of five. float32 stays
    unless bf16 is 1.3 x quicker.

    Args:
        make_batch: gives uint8 images (B, H, W, 3) and targets on the model's device.
        parts: in how many parts it will be trained.
    """
    if name != "auto":
        return name, f"precision {name}, as asked"
    images, targets = make_batch()
    copies = {precision: in_parts(copy.deepcopy(model), parts) for precision in ("float32", "bf16")}
    timed = {precision: _TimedStep(network, precision) for precision, network in copies.items()}
    for _ in range(1 + TIMED_STEPS):
        for one in timed.values():  # in turn, so that a drift of the machine's speed meets both
            one.step(task, images, targets)
    seconds = {precision: statistics.median(one.taken[1:]) for precision, one in timed.items()}
    gain = seconds["float32"] / seconds["bf16"]
    chosen = "bf16" if gain >= BF16_GAIN else "float32"
    why = f"a step in bf16 runs at {gain:.2f} x the speed of one in float32, and is taken from {BF16_GAIN} x on"
    return chosen, f"precision {chosen}: {why}"


def autocast_dtype(precision: str) -> torch.dtype | None:
    """The dtype for `torch.autocast`, None for float32."""
    return torch.bfloat16 if precision == "bf16" else None


class _TimedStep:
    """Steps that change nothing, timed."""

    def __init__(self, model: Yolo | InParts, precision: str) -> None:
        self.model = model
        self.autocast = autocast_dtype(precision)
        self.optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
        self.taken: list[float] = []

    def step(self, task: Task, images: torch.Tensor, targets: object) -> None:
        start = time.perf_counter()
        # It waits for the device by itself.
        train_step(self.model, self.optimizer, task, images, targets, clip_norm=1.0, autocast=self.autocast)
        self.taken.append(time.perf_counter() - start)
