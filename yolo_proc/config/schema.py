"""Every option of a run, declared once.

A `Config` is a tree of frozen dataclasses; `options.py` says how a declaration becomes a flag, a TOML key and a
check. The sections of the tree are the tables of the TOML file and the prefixes of the flags:
`[augment] flip-x = 0.5` is `--augment.flip-x 0.5`. The parameters of the chosen generator are kept as they were
given, in `GeneratorConfig.parameters`; the generator's own class declares them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from yolo_proc.config.cameras import CAMERAS
from yolo_proc.config.options import option

_DATA = "it defines the scenes, and with them the fingerprint of the run's data"


@dataclass(frozen=True)
class GeneratorConfig:
    """Which generator draws, and its parameters as the user gave them."""

    name: str = option(
        "glyphs",
        help="what draws the scenes: a built-in name, module:Name, file.py:Name, folder:PATH, sprites:PATH or "
        "mix:A=0.8,B=0.2",
        reason=_DATA,
    )
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class LabelConfig:
    """Limits of a label. An object below one of them is ignored: it is neither object nor background."""

    min_visible: float = option(
        0.4,
        help="least visible share of an object that is a label; the rest may be covered",
        low=0,
        high=1,
        reason=_DATA,
    )
    min_in_frame: float = option(
        0.5, help="least share of an object inside the frame for it to be a label", low=0, high=1, reason=_DATA
    )
    min_box_px: float = option(
        4.0, help="least side of a label's box, in pixels of the network's image", low=0, reason=_DATA
    )


def _of_camera(text: str, high: float, low: float = 0) -> Any:
    """Declare an option that has the value of the camera where it is not given."""
    return option(None, help=f"{text}; none: the camera's", low=low, high=high, reason=_DATA)


@dataclass(frozen=True)
class AugmentConfig:
    """How scenes vary. A `..._p` is the share of scenes that are changed so; 0 switches that change off.

    Lengths are in units of the frame's shorter side, unless it is said that they are pixels.
    """

    enabled: bool = option(True, help="augment the scenes; off: as they are drawn", reason=_DATA)
    flip_x: float | None = option(
        None, help="share of scenes mirrored left to right; none: what the generator says", low=0, high=1, reason=_DATA
    )
    flip_y: float | None = option(
        None, help="share of scenes turned upside down; none: what the generator says", low=0, high=1, reason=_DATA
    )
    translate_p: float = option(0.6, help="share of scenes shifted", low=0, high=1, reason=_DATA)
    translate: float = option(
        0.08, help="largest shift of a scene each way, in shorter sides of the frame", low=0, high=1, reason=_DATA
    )
    scale_p: float = option(0.6, help="share of scenes scaled", low=0, high=1, reason=_DATA)
    scale: float = option(
        1.2, help="largest factor by which a scene is scaled; the smallest is 1 / this", low=1, high=10, reason=_DATA
    )
    rotate_p: float = option(0.2, help="share of scenes rotated", low=0, high=1, reason=_DATA)
    rotate: float = option(5.0, help="largest rotation of a scene, degrees", low=0, high=180, reason=_DATA)
    shear_p: float = option(0.2, help="share of scenes sheared", low=0, high=1, reason=_DATA)
    shear: float = option(
        0.05, help="largest shear of a scene: the shift of a side as a share of the other", low=0, high=1, reason=_DATA
    )
    camera: str = option(
        "none",
        help="what the parts from tilt to recompress do where nothing else is said, as an ordinary device does it",
        choices=tuple(CAMERAS),
        reason=_DATA,
    )
    tilt_p: float | None = _of_camera("share of scenes seen by a camera that leans", 1)
    tilt: float | None = _of_camera("largest lean of the camera across and down, degrees", 45)
    lens_p: float | None = _of_camera("share of scenes bent by a lens", 1)
    lens: float | None = _of_camera("how much the lens bends at most, as a barrel or a pincushion", 0.3)
    light_p: float | None = _of_camera("share of scenes lit from one side, with dark corners", 1)
    light: float | None = _of_camera("largest share by which a place is darker than the brightest", 1)
    exposure_p: float | None = _of_camera("share of scenes with more or less light, and another gamma", 1)
    exposure: float | None = _of_camera("largest change of the light, stops", 4)
    balance_p: float | None = _of_camera("share of scenes with a white balance that is off", 1)
    balance: float | None = _of_camera("largest share by which red and blue are off", 1)
    aberration_p: float | None = _of_camera("share of scenes with coloured fringes of a lens", 1)
    aberration: float | None = _of_camera("largest shift of red and blue at the corners, pixels", 8)
    defocus_p: float | None = _of_camera("share of scenes out of focus", 1)
    defocus: float | None = _of_camera("largest radius of the disc that a point becomes, pixels", 10)
    motion_p: float | None = _of_camera("share of scenes of a camera that moved", 1)
    motion: float | None = _of_camera("longest way, pixels", 40)
    grain_p: float | None = _of_camera("share of scenes with a sensor's noise, of photons and of reading", 1)
    grain: float | None = _of_camera("largest deviation at middle grey, levels", 40)
    mosaic_p: float | None = _of_camera("share of scenes seen by a sensor of one colour a pixel", 1)
    sharpen_p: float | None = _of_camera("share of scenes sharpened, with halos", 1)
    sharpen: float | None = _of_camera("largest amount", 5)
    moire_p: float | None = _of_camera("share of scenes with the pattern of two grids, as of a photographed screen", 1)
    moire: float | None = _of_camera("largest amplitude, as a share of the brightness", 1)
    banding_p: float | None = _of_camera("share of scenes striped by a lamp that flickers", 1)
    banding: float | None = _of_camera("largest amplitude, as a share of the brightness", 1)
    resample_p: float | None = _of_camera("share of scenes stored smaller and enlarged again", 1)
    resample: float | None = _of_camera("smallest size, as a share of the side", 1, low=0.05)
    recompress_p: float | None = _of_camera("share of scenes compressed as JPEG once more", 1)
    recompress: float | None = _of_camera("lowest quality", 95, low=1)
    pipeline: str | None = option(
        None,
        help="albumentations pipeline that acts after the other changes: FILE.yaml, FILE.json or file.py:name",
        reason=_DATA,
    )
    loose_boxes: bool = option(
        False,
        help="rotate, shear, tilt and bend objects of which only a box is known too; their boxes become loose",
        reason=_DATA,
    )
    colour_p: float = option(
        0.52, help="share of scenes with brightness and contrast changed", low=0, high=1, reason=_DATA
    )
    colour: float = option(
        0.15, help="largest change of brightness and contrast, as a share of the range", low=0, high=1, reason=_DATA
    )
    hue_p: float = option(0.05, help="share of scenes with hue and saturation changed", low=0, high=1, reason=_DATA)
    hue: float = option(12.0, help="largest change of the hue, degrees", low=0, high=180, reason=_DATA)
    saturation: float = option(0.1, help="largest change of the saturation, as a share", low=0, high=1, reason=_DATA)
    blur_p: float = option(0.105, help="share of scenes blurred", low=0, high=1, reason=_DATA)
    blur: float = option(1.0, help="largest standard deviation of the blur, pixels", low=0, high=10, reason=_DATA)
    noise_p: float = option(0.105, help="share of scenes with Gaussian noise", low=0, high=1, reason=_DATA)
    noise: float = option(
        12.0, help="largest standard deviation of the noise, grey levels of 255", low=0, high=100, reason=_DATA
    )
    compression_p: float = option(0.105, help="share of scenes compressed as JPEG", low=0, high=1, reason=_DATA)
    compression: int = option(40, help="lowest JPEG quality of the compressed scenes", low=1, high=95, reason=_DATA)
    letterbox_p: float = option(
        0.2,
        help="share of scenes drawn at another size and aspect ratio, then letterboxed",
        low=0,
        high=1,
        reason=_DATA,
    )
    letterbox_aspect: float = option(
        1.78, help="largest aspect ratio of the letterboxed scenes", low=1, high=10, reason=_DATA
    )
    letterbox_size: tuple[float, float] = option(
        (0.75, 1.0),
        help="smallest and largest longer side of the letterboxed scenes, as shares of the image size",
        low=0.125,
        high=10,
        reason=_DATA,
    )


@dataclass(frozen=True)
class ModelConfig:
    """The network: its backbone, and the grids of a detector."""

    name: str = option("small", help="the backbone: small, original, or one of torchvision such as resnet18")
    width: float = option(1.0, help="factor on the channels of every layer of the backbone small", low=0.125, high=8)
    depth: int = option(
        2, help="residual blocks a stage of the backbone small, at the strides of the grids", low=0, high=32
    )
    strides: tuple[int, ...] = option(
        (16,), help="strides of the detection grids, pixels, ascending powers of two", low=4, high=64
    )
    anchors: str = option(
        "auto",
        help="anchor sizes: auto finds them among the scenes; or pixels, such as 60x60,120x90",
    )
    anchors_per_grid: int = option(1, help="how many anchors auto finds for each grid", low=1, high=16)
    anchor_scenes: int = option(2000, help="scenes among which auto anchors are found", low=1, high=1_000_000)
    batch_norm: bool = option(True, help="batch normalisation; off only to see what it is worth")


@dataclass(frozen=True)
class LossConfig:
    """The weights of the terms of the loss. The loss is exactly their weighted sum."""

    weight_class: float = option(1.0, help="weight of the loss term class: which class an object has", low=0, high=1000)
    weight_obj_f: float = option(0.5, help="weight of the loss term obj_f: objectness of empty slots", low=0, high=1000)
    weight_obj_t: float = option(
        1.0, help="weight of the loss term obj_t: objectness of slots with an object", low=0, high=1000
    )
    weight_wh: float = option(5.0, help="weight of the loss term wh: width and height of boxes", low=0, high=1000)
    weight_xy: float = option(5.0, help="weight of the loss term xy: centres of boxes", low=0, high=1000)
    weight_overlap: float = option(
        1.0,
        help="weight of 1 - GIoU of the boxes in the auxiliary loss, which training minimises besides; 0: none",
        low=0,
        high=1000,
    )
    weight_auxiliary: float = option(
        5.0,
        help="weight of the auxiliary head in the auxiliary loss, which training minimises besides; 0: none",
        low=0,
        high=1000,
    )


@dataclass(frozen=True)
class OptimConfig:
    """The optimizer and its learning-rate schedule."""

    name: str = option("muon", help="the optimizer: muon, adamw or sgd", choices=("muon", "adamw", "sgd"))
    lr: float | None = option(
        None,
        help="peak learning rate; none: 0.03 for muon, 0.006 for adamw, 0.005 for sgd",
        low=0,
        high=100,
        on_resume="inexact",
    )
    weight_decay: float = option(0.02, help="weight decay of matrices and filters", low=0, high=10, on_resume="inexact")
    warmup_steps: int = option(
        100, help="steps over which the learning rate rises from 0 to its peak", low=0, on_resume="inexact"
    )
    decay_steps: int = option(
        250, help="least number of steps over which the learning rate decays at the end", low=1, on_resume="inexact"
    )
    clip_norm: float = option(
        20.0, help="gradient clipping: largest global norm of the gradients; 0: no clipping", low=0, on_resume="inexact"
    )
    ema: float = option(
        0.995,
        help="decay of the moving average of the weights, which is what ships; 0: no average",
        low=0,
        high=0.999999,
    )

    @property
    def peak_lr(self) -> float:
        """The learning rate that is meant: as given, or the optimizer's (Muon's and AdamW's by measurement)."""
        return {"muon": 0.03, "adamw": 6e-3, "sgd": 5e-3}[self.name] if self.lr is None else self.lr


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything that defines a run."""

    run: str | None = option(None, help="name of the run; none: the generator's name and a number", on_resume="free")
    runs_dir: str = option("checkpoints", help="folder that holds the runs", on_resume="free")
    task: str = option(
        "detection",
        help="what is learned: detection (boxes of objects), or classification (one class for a whole image)",
    )
    seed: int = option(0, help="seed of the scenes and of the first weights", low=0, high=2**63 - 1)
    device: str = option(
        "auto",
        help="device to compute on: auto, cpu, cuda or cuda:N; auto takes cuda where there is one",
        on_resume="inexact",
    )
    precision: str = option(
        "auto",
        help="arithmetic of the network; auto times both and takes bf16 where it is clearly faster",
        choices=("auto", "float32", "bf16"),
        on_resume="inexact",
    )
    threads: int = option(0, help="threads of torch; 0: one a processor", low=0, high=1024, on_resume="inexact")
    workers: int = option(
        -1,
        help="worker processes that draw scenes; 0: draw in this process; -1: one a processor",
        low=-1,
        high=1024,
        on_resume="free",
    )
    batch_size: int = option(32, help="batch size: images of a training step", low=1, high=65536)
    image_size: int = option(
        256,
        help="side of the square images that the network is trained on, pixels; a multiple of every stride, for "
        "classification of 32",
        low=32,
        high=8192,
    )
    target_loss: float | None = option(
        None, help="stop when the loss is at or below this with 95 % confidence", low=0, on_resume="free"
    )
    epochs: int | None = option(None, help="stop after this many epochs", low=1, on_resume="free")
    epoch_images: int = option(4096, help="images of an epoch", low=1)
    max_time: float | None = option(
        None,
        help="stop after this many minutes of training; what comes before it does not count, a resumed run counts anew",
        low=0.01,
        on_resume="free",
    )
    patience: int = option(
        20, help="stop when the loss has not fallen by 1 % in this many epochs; 0: never", low=0, on_resume="free"
    )
    keep: int = option(3, help="how many of the newest checkpoints are kept", low=1, on_resume="free")
    no_check: bool = option(
        False, help="leave out the quick checks of scenes, labels, loss and step before training", on_resume="free"
    )
    validation_images: int = option(
        500,
        help="images of the validation stream, on which the averaged weights are evaluated after each epoch",
        low=1,
        high=1_000_000,
        reason="the best weights so far were chosen on other images",
    )
    target_images: int = option(
        1000,
        help="fresh images on which each try at the target loss is judged, in whole groups of 20",
        low=1,
        high=1_000_000,
        reason="each try is judged on images that no other try had",
    )
    calibration_images: int = option(
        1000,
        help="fresh images on which the confidence is calibrated at the end",
        low=1,
        high=1_000_000,
        on_resume="free",
    )
    tensorboard: bool = option(
        False, help="write the figures of every step and epoch for TensorBoard too", on_resume="free"
    )
    save_minutes: float = option(
        5.0, help="minutes between checkpoints inside an epoch; 0: none inside", low=0, on_resume="free"
    )
    generator: GeneratorConfig = field(default_factory=GeneratorConfig)
    labels: LabelConfig = field(default_factory=LabelConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
