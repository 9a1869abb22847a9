"""The command `export`: a trained network out of Python.

As in `commands.py`, imports of what draws and computes stand inside of functions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from yolo_proc.cli.commands import run_place
from yolo_proc.cli.flags import TRUST_HELP, FlagParser, build_own, read_input_size
from yolo_proc.config.options import option
from yolo_proc.data.run_config import config_from_values
from yolo_proc.errors import ConfigError
from yolo_proc.system.progress import Progress


@dataclass(frozen=True)
class ExportFlags:
    """Options of `export`."""

    run: str | None = option(
        None, help="run to export: its name, its folder, or one of its checkpoints; none: the newest run"
    )
    checkpoint: str | None = option(None, help="checkpoint file to export, instead of --run")
    out: str | None = option(None, help="output folder; an earlier export there is replaced")
    input: str = option(
        "uint8-nhwc",
        help="what the model takes: bytes as images have them, or floats from 0 to 255",
        choices=("uint8-nhwc", "float-nchw"),
    )
    outputs: str = option(
        "logits",
        help="what the model gives: raw logits, or predictions with the activations in the graph",
        choices=("logits", "predictions"),
    )
    precision: str = option(
        "fp32", help="precision of the weights; all: one file for each", choices=("fp32", "fp16", "int8", "all")
    )
    input_size: str | None = option(
        None, help="size of the model's input, WxH, such as 448x256 for wide images; none: as trained"
    )
    ir_version: int = option(
        10,
        help="version of the ONNX file: 10 for ONNX Runtime 1.18 or newer, 9 for 1.15, 8 for 1.10, 7 for older",
        low=7,
        high=10,
    )
    images: int = option(500, help="how many fresh images the export is verified on", low=200, high=1_000_000)
    trust: bool = option(False, help=TRUST_HELP)


def export_parser() -> FlagParser:
    """Return flags of `export`."""
    about = "Writes a trained network as ONNX for Java and others, compares it with the network, adds test vectors."
    return FlagParser("export", about, ExportFlags, ["runs-dir", "threads"])


def export(parser: FlagParser, argv: Sequence[str]) -> int:
    """Write the folder and print how near the exported model is to the network."""
    parsed = parser.read(argv)
    flags = build_own(ExportFlags, parsed.own)
    if not flags.out:
        raise ConfigError("--out: expected a folder to write to, such as export/letters")
    if flags.run is not None and flags.checkpoint is not None:
        raise ConfigError("--run and --checkpoint: both say what to export; give one of them")
    ours = config_from_values(parsed.given)
    input_size = read_input_size(flags.input_size)
    place = Path(flags.checkpoint) if flags.checkpoint is not None else run_place(flags.run or "", ours.runs_dir)
    import torch

    from yolo_proc.export.export import ExportRequest
    from yolo_proc.export.export import export as write
    from yolo_proc.system.device import processors

    threads = ours.threads or processors()
    torch.set_num_threads(threads)
    request = ExportRequest(
        place,
        Path(flags.out),
        input=flags.input,
        outputs=flags.outputs,
        precision=flags.precision,
        input_size=input_size,
        ir_version=flags.ir_version,
        images=flags.images,
        threads=threads,
        trust=flags.trust,
    )
    with Progress(flags.images) as progress:
        done = write(request, say=progress.say, on_images=progress.show)
    names = ", ".join(request.file_of(precision) for precision in request.precisions)
    compared = f"compared on {flags.images} fresh images"
    print(f"{request.out}: {names}, model.json, vectors/, README.md from {done.checkpoint}, {compared}")
    return 0
