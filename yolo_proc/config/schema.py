"""Every option of a run, declared once.

A `Config` is a tree of frozen dataclasses; `options.py` says how a declaration becomes a flag, a TOML key and a
check. The sections of the tree are the tables of the TOML file and the prefixes of the flags:
`[augment] flip-x = 0.5` is `--augment.flip-x 0.5`. The parameters of the chosen generator are kept as they were
given, in `GeneratorConfig.parameters`; the generator's own class declares them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from yolo_proc.config.options import option

_DATA = "it defines the scenes, and with them the fingerprint of the run's data"


@dataclass(frozen=True)
class GeneratorConfig:
    """Which generator draws, and its parameters as the user gave them."""

    name: str = option(
        "glyphs", help="built-in name, module:Name, file.py:Name, folder:PATH or mix:A=0.8,B=0.2", reason=_DATA
    )
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class LabelConfig:
    """What is a label; an object below a limit is ignored: neither object nor background."""

    min_visible: float = option(0.4, help="least visible share of an object", low=0, high=1, reason=_DATA)
    min_in_frame: float = option(0.5, help="least share inside the frame", low=0, high=1, reason=_DATA)
    min_box_px: float = option(4.0, help="least side of a box, in network pixels", low=0, reason=_DATA)


@dataclass(frozen=True)
class AugmentConfig:
    """How scenes vary. A `..._p` is the share of scenes; 0 switches a part off, `enabled` all of them.

    Lengths are in units of the frame's shorter side.
    """

    enabled: bool = option(True, help="augment at all", reason=_DATA)
    flip_x: float | None = option(
        None, help="share mirrored; none: what the generator says", low=0, high=1, reason=_DATA
    )
    flip_y: float | None = option(
        None, help="share upside down; none: what the generator says", low=0, high=1, reason=_DATA
    )
    translate_p: float = option(0.6, help="share of scenes shifted", low=0, high=1, reason=_DATA)
    translate: float = option(0.08, help="largest shift each way", low=0, high=1, reason=_DATA)
    scale_p: float = option(0.6, help="share of scenes scaled", low=0, high=1, reason=_DATA)
    scale: float = option(1.2, help="largest factor of scaling; 1 / it is the smallest", low=1, high=10, reason=_DATA)
    rotate_p: float = option(0.2, help="share of scenes rotated", low=0, high=1, reason=_DATA)
    rotate: float = option(5.0, help="largest rotation, degrees", low=0, high=180, reason=_DATA)
    shear_p: float = option(0.2, help="share of scenes sheared", low=0, high=1, reason=_DATA)
    shear: float = option(0.05, help="largest shear", low=0, high=1, reason=_DATA)
    loose_boxes: bool = option(
        False, help="rotate and shear pasted or annotated objects without an outline too", reason=_DATA
    )
    colour_p: float = option(0.52, help="share with brightness and contrast changed", low=0, high=1, reason=_DATA)
    colour: float = option(0.15, help="largest change of both, as a share of the range", low=0, high=1, reason=_DATA)
    hue_p: float = option(0.05, help="share of scenes with hue and saturation changed", low=0, high=1, reason=_DATA)
    hue: float = option(12.0, help="largest turn of the hue, degrees", low=0, high=180, reason=_DATA)
    saturation: float = option(0.1, help="largest change of the saturation", low=0, high=1, reason=_DATA)
    blur_p: float = option(0.105, help="share of scenes blurred", low=0, high=1, reason=_DATA)
    blur: float = option(1.0, help="largest sigma of the blur, picture pixels", low=0, high=10, reason=_DATA)
    noise_p: float = option(0.105, help="share of scenes with Gaussian noise", low=0, high=1, reason=_DATA)
    noise: float = option(12.0, help="largest deviation of the noise, grey levels", low=0, high=100, reason=_DATA)
    compression_p: float = option(0.105, help="share of scenes through JPEG", low=0, high=1, reason=_DATA)
    compression: int = option(40, help="lowest JPEG quality", low=1, high=95, reason=_DATA)
    letterbox_p: float = option(
        0.2, help="share drawn at another size and aspect ratio and letterboxed", low=0, high=1, reason=_DATA
    )
    letterbox_aspect: float = option(1.78, help="largest ratio of the sides of those", low=1, high=10, reason=_DATA)
    letterbox_size: tuple[float, float] = option(
        (0.75, 1.0), help="range of the longer side of those, in network sides", low=0.125, high=10, reason=_DATA
    )


@dataclass(frozen=True)
class ModelConfig:
    """The network: its backbone, and the grids of a detector."""

    name: str = option("small", help="the backbone: small, original, or one of torchvision such as resnet18")
    width: float = option(1.0, help="factor on the channels of every layer", low=0.125, high=8)
    depth: int = option(2, help="residual blocks at the grid's stride", low=0, high=32)
    strides: tuple[int, ...] = option((16,), help="strides of the grids, ascending", low=4, high=64)
    anchors: str = option(
        "auto", help="auto, or sizes in pixels with commas between: 60x60,120x90; shared out over the grids by size"
    )
    anchors_per_grid: int = option(1, help="how many anchors auto finds a grid", low=1, high=16)
    batch_norm: bool = option(True, help="normalise batches")


@dataclass(frozen=True)
class LossConfig:
    """The weights of the loss's terms; the total is exactly their weighted sum."""

    weight_class: float = option(1.0, help="weight of the class term", low=0, high=1000)
    weight_obj_f: float = option(0.5, help="weight of the empty slots' term", low=0, high=1000)
    weight_obj_t: float = option(1.0, help="weight of the object slots' term", low=0, high=1000)
    weight_wh: float = option(5.0, help="weight of the size term", low=0, high=1000)
    weight_xy: float = option(5.0, help="weight of the place term", low=0, high=1000)
    weight_overlap: float = option(
        1.0, help="weight of the boxes' overlap, which training minimises beside the loss; 0: none", low=0, high=1000
    )
    weight_auxiliary: float = option(
        5.0, help="weight of the auxiliary loss that training minimises beside it; 0: none", low=0, high=1000
    )


@dataclass(frozen=True)
class OptimConfig:
    """The optimizer and its schedule."""

    name: str = option("muon", help="muon, adamw or sgd", choices=("muon", "adamw", "sgd"))
    lr: float | None = option(
        None, help="peak learning rate; none: what suits the optimizer", low=0, high=100, on_resume="inexact"
    )
    weight_decay: float = option(0.02, help="decay of weight matrices", low=0, high=10, on_resume="inexact")
    warmup_steps: int = option(100, help="steps of linear warm-up", low=0, on_resume="inexact")
    decay_steps: int = option(250, help="steps of the decay at the end, at least", low=1, on_resume="inexact")
    clip_norm: float = option(20.0, help="largest global norm of the gradients", low=0, on_resume="inexact")
    ema: float = option(0.995, help="decay of the averaged weights; 0 for none", low=0, high=0.999999)

    @property
    def peak_lr(self) -> float:
        """The learning rate that is meant: as given, or the optimizer's (Muon's and AdamW's by measurement)."""
        return {"muon": 0.03, "adamw": 6e-3, "sgd": 5e-3}[self.name] if self.lr is None else self.lr


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything that defines a run."""

    run: str | None = option(None, help="name of the run; none: generator and a number", on_resume="free")
    runs_dir: str = option("checkpoints", help="folder of the runs", on_resume="free")
    task: str = option("detection", help="what is learned: detection or classification")
    seed: int = option(0, help="seed of scenes and weights", low=0, high=2**63 - 1)
    device: str = option("auto", help="auto, cpu, cuda or cuda:N", on_resume="inexact")
    precision: str = option("auto", help="auto times both", choices=("auto", "float32", "bf16"), on_resume="inexact")
    threads: int = option(0, help="torch threads; 0: the processors at hand", low=0, high=1024, on_resume="inexact")
    workers: int = option(
        -1, help="processes that draw; 0: none; -1: the processors at hand", low=-1, high=1024, on_resume="free"
    )
    batch_size: int = option(32, help="images a step", low=1, high=65536)
    image_size: int = option(256, help="side of the network's pictures, a multiple of every stride", low=32, high=8192)
    target_loss: float | None = option(
        None, help="stop when the loss is surely at or below it", low=0, on_resume="free"
    )
    epochs: int | None = option(None, help="stop after so many epochs", low=1, on_resume="free")
    epoch_images: int = option(4096, help="images an epoch", low=1)
    max_time: float | None = option(
        None, help="stop after so many minutes, counted anew by a resumed run", low=0.01, on_resume="free"
    )
    patience: int = option(
        20, help="stop when the loss has not fallen by 1 % in so many epochs; 0: never", low=0, on_resume="free"
    )
    keep: int = option(3, help="how many of the newest checkpoints stay", low=1, on_resume="free")
    no_check: bool = option(
        False, help="do not check scenes, labels, loss and step before the first step", on_resume="free"
    )
    save_minutes: float = option(5.0, help="minutes between checkpoints inside an epoch", low=0, on_resume="free")
    generator: GeneratorConfig = field(default_factory=GeneratorConfig)
    labels: LabelConfig = field(default_factory=LabelConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
