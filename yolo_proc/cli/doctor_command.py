"""The command `doctor`: what this machine has, what training will choose on it, and what is missing for which command.

Its output is what a report of a problem needs. Imports of torch stand inside of functions.
"""

import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from yolo_proc.cli.flags import FlagParser, build_own
from yolo_proc.config.options import option
from yolo_proc.config.schema import Config
from yolo_proc.data.run_config import config_from_values
from yolo_proc.errors import YoloProcError

PACKAGES = (
    "yolo-proc",
    "torch",
    "torchvision",
    "numpy",
    "opencv-python-headless",
    "albumentations",
    "onnx",
    "onnxruntime",
    "pillow",
    "scipy",
)
_INSTRUCTIONS = ("amx_bf16", "avx512_bf16", "avx512f", "avx2", "asimd")
LEAST_JAVA = 17


@dataclass(frozen=True)
class DoctorFlags:
    """Options of `doctor`."""

    speed: bool = option(True, help="time training steps, for some seconds; off: say only what is there")
    json: bool = option(False, help="print the result as JSON")


@dataclass(frozen=True)
class Fact:
    """A line of the report.

    Attributes:
        missing: what cannot be done without it, and how to get it; empty where all is well.
    """

    topic: str
    name: str
    value: str
    missing: str = ""


def doctor_parser() -> FlagParser:
    """Return flags of `doctor`."""
    about = "Says what this machine has, what training will choose on it, and what is missing for which command."
    return FlagParser("doctor", about, DoctorFlags, ["device", "threads", "runs-dir", "batch-size", "image-size"])


def doctor(parser: FlagParser, argv: Sequence[str]) -> int:
    """Print the report; 1 where something is missing that every training needs."""
    parsed = parser.read(argv)
    flags = build_own(DoctorFlags, parsed.own)
    config = config_from_values(parsed.given)
    facts: list[Fact] = []
    for part in (_machine, _packages, _java, _torch, _folders):
        facts += part(config)
    if flags.speed and not any(fact.name == "torch" and fact.missing for fact in facts):
        facts += _speed(config)
    if flags.json:
        print(json.dumps([vars(fact) for fact in facts], indent=1))
    else:
        _print(facts)
    return 1 if any(fact.missing.startswith("training") for fact in facts) else 0


def _print(facts: Sequence[Fact]) -> None:
    width = max(len(fact.name) for fact in facts)
    topic = ""
    for fact in facts:
        if fact.topic != topic:
            print(f"{'' if not topic else chr(10)}{fact.topic}")
            topic = fact.topic
        print(f"  {fact.name:{width}}  {fact.value}")
    missing = [fact for fact in facts if fact.missing]
    print("\nNothing is missing." if not missing else "\nMissing:")
    for fact in missing:
        print(f"  {fact.name:{width}}  {fact.missing}")


# ---------------------------------------------------------------------------------------------------- facts


def _machine(_: Config) -> Iterator[Fact]:
    from yolo_proc.system.device import processors

    yield Fact("Machine", "system", f"{platform.system()} {platform.release()}, {platform.machine()}")
    model, flags = _processor()
    known = [name for name in _INSTRUCTIONS if name in flags]
    yield Fact("Machine", "processor", f"{model} ({', '.join(known)})" if known else model)
    yield Fact("Machine", "processors", f"{processors()} usable of {os.cpu_count()}")
    memory = _memory()
    if memory:
        yield Fact("Machine", "memory", memory)


def _processor() -> tuple[str, frozenset[str]]:
    """Return its name, and the instructions that it has; both from the system, empty where it does not tell."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor() or "unknown", frozenset()
    name = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.MULTILINE)
    return name[1] if name else "unknown", frozenset(flags[1].split()) if flags else frozenset()


def _memory() -> str:
    try:
        pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
        free = os.sysconf("SC_AVPHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return ""
    return f"{pages * size / 2**30:.1f} GiB, {free * size / 2**30:.1f} free"


def _packages(_: Config) -> Iterator[Fact]:
    yield Fact("Packages", "python", f"{platform.python_version()}, {sys.executable}")
    for name in PACKAGES:
        try:
            yield Fact("Packages", name, version(name))
        except PackageNotFoundError:
            yield Fact("Packages", name, "not installed", "training and all else: pip install yolo-proc")
    for name, use in (("tensorboard", "train --tensorboard"), ("onnxscript", "export of networks with unusual layers")):
        there = importlib.util.find_spec(name) is not None
        yield Fact("Packages", name, version(name) if there else "not installed (optional)", "" if there else
                   f"{use}: pip install {name}")  # fmt: skip


def _torch(config: Config) -> Iterator[Fact]:
    import torch

    from yolo_proc.system.device import pick_device

    try:
        yield Fact("Training", "device", str(pick_device(config.device)))
    except YoloProcError as error:
        yield Fact("Training", "device", config.device, f"training on it: {error}")
    for number in range(torch.cuda.device_count()):
        found = torch.cuda.get_device_properties(number)
        yield Fact("Training", f"cuda:{number}", f"{found.name}, {found.total_memory / 2**30:.1f} GiB")
    import onnxruntime

    yield Fact("Training", "onnxruntime", ", ".join(onnxruntime.get_available_providers()))


def _folders(config: Config) -> Iterator[Fact]:
    place = Path(config.runs_dir).absolute()
    there = next(folder for folder in (place, *place.parents) if folder.is_dir())
    free = shutil.disk_usage(there).free / 2**30
    writable = os.access(there, os.W_OK)
    yield Fact(
        "Training",
        "runs",
        f"{place}, {free:.1f} GiB free",
        "" if writable else f"training: {there} cannot be written; name another folder with --runs-dir",
    )


def _java(_: Config) -> Iterator[Fact]:
    for name, use, pattern in (
        ("java", f"using an export from Java: install a JDK of {LEAST_JAVA} or newer", r'version "([^"]+)"'),
        ("mvn", "building the Java library: install Maven", r"Apache Maven ([\w.-]+)"),
    ):
        path = shutil.which(name)
        if path is None:
            yield Fact("Java", name, "not found", use)
            continue
        found = _told_version([path, "-version"], pattern)
        major = re.match(r"(?:1\.)?(\d+)", found)
        old = name == "java" and major is not None and int(major[1]) < LEAST_JAVA
        yield Fact("Java", name, f"{found}, {path}", use if old else "")


def _told_version(command: Sequence[str], pattern: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"does not answer ({error})"
    found = re.search(pattern, done.stdout + done.stderr)
    return found[1] if found else "of unknown version"


def _speed(config: Config) -> Iterator[Fact]:
    """Time training steps of the default network, as `train` does before it chooses the precision."""
    from yolo_proc.data.stream import Stream
    from yolo_proc.system.device import pick_device
    from yolo_proc.training.precision import choose, time_steps
    from yolo_proc.training.replicas import replica_count
    from yolo_proc.training.session import build_task, first_model, timing_batch, use_threads

    device = pick_device(config.device)
    threads = use_threads(config.threads, device, config.batch_size)
    replicas = replica_count(device, threads, config.batch_size)
    task = build_task(config, Stream.from_config(config, "anchors"), 0)
    images, targets = timing_batch(Stream.from_config(config, "probe"), task, device)
    seconds = time_steps(first_model(config, task, device), task, (images, targets), replicas)
    precision, why = choose(seconds)
    yield Fact("Training", "precision", f"{precision}: {why.partition(': ')[2]}")
    size = f"{config.image_size} x {config.image_size}"
    yield Fact("Training", "speed", f"{len(images) / seconds[precision]:.0f} images/s of {size}, the network alone")
