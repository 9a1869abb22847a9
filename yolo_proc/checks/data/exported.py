"""Hypothesis: the exported network sees a picture as the trained one did: same pixels in, same numbers out.

Source: what is got wrong around most exported detectors: BGR for RGB, a division by 255 that is missing or done twice,
another mean, rows for columns, another letterbox. The network works "a bit worse", or finds nothing.

Pictures of coloured noise on coloured grounds go through the network in evaluation mode and through the exported file
as an application runs it. The network is a new one whose output layer is as loud as the others and whose normalisation
has seen a batch, so that every pixel counts; the pictures are made here, because colours are asked for that the scenes
may not have. Thresholds: 0.1 % of the outputs' deviation (healthy: 6e-7 to 2e-6, rounding in another order; a mean that
is off by 0.1 grey levels: 0.3 %), and 0.05 px for boxes (healthy: 3e-4 at most).

A failure is explained by trial: which change of the pixels makes the trained network say what the exported one said? If
none does, a gain and an offset are fitted to it (Gauss-Newton).
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from yolo_proc.boxes import FloatArray
from yolo_proc.checks.bench import Bench
from yolo_proc.checks.check import Check
from yolo_proc.data.stream import letterboxed
from yolo_proc.models.network import Yolo
from yolo_proc.plotting.charts import BLUE, MUTED, Axis, Page
from yolo_proc.rng import rng_for
from yolo_proc.scene import Scene
from yolo_proc.training.outcomes import Finding

if TYPE_CHECKING:
    from yolo_proc.export.session import OnnxDetector

PICTURES = 4
LOUDNESS = 0.5  # deviation of the outputs: sizes are exponentials of them
TOLERANCE = 1e-3  # of the deviation of the outputs
BOX_TOLERANCE = 0.05  # px
EXPLAINED = 0.02  # of a difference may remain where it is explained
ROUNDS = 12  # of Gauss-Newton
_REMEDY = (
    "compare Yolo.forward with what the export writes in front of the first layer, and with the reader's letterbox"
)
_PLAIN: Mapping[str, Callable[[Tensor], Tensor]] = {
    "BGR at inference: red and blue are swapped": lambda x: x.flip(-1),
    "pixels are divided by 255 once more": lambda x: x / 255,
    "pixels are multiplied by 255, or not divided where they should be": lambda x: x * 255,
    "rows and columns are swapped": lambda x: x.transpose(1, 2),
    "the picture is mirrored": lambda x: x.flip(2),
    "the picture is upside down": lambda x: x.flip(1),
    "the layout is read wrong: N x H x W x 3 as N x 3 x H x W": lambda x: x.reshape(
        -1, 3, x.shape[1], x.shape[2]
    ).permute(0, 2, 3, 1),
    "signed bytes: pixels above 127 are read as negative": lambda x: x - 256 * (x > 127),
    "the picture is inverted": lambda x: 255 - x,
    "colours are lost: the picture is made grey": lambda x: x.mean(-1, keepdim=True).expand_as(x),
}


@dataclass(frozen=True)
class _Boxes:
    """Boxes of a picture of another size, by slot.

    Attributes:
        worst: largest difference of a coordinate, px; infinite where other slots were found.
        shift: median difference (4,) of coordinates.
    """

    worst: float
    shift: FloatArray


@torch.no_grad()
def run(bench: Bench) -> Finding:
    """See the module."""
    from yolo_proc.export.session import OnnxDetector

    model = _loud(bench)
    width, height = bench.task.frame
    pictures = _pictures(bench, PICTURES, width, height)
    detector = bench.exported(model)
    expected = _outputs(model, torch.from_numpy(pictures).to(bench.device))
    found = np.asarray(detector.run(pictures), dtype=np.float64)
    alike = found.shape == expected.shape
    spread = float(expected.std(axis=tuple(range(expected.ndim - 1))).mean())
    off = float(np.sqrt(np.mean((found - expected) ** 2))) / spread if alike else np.inf
    names = tuple(detector.classes) == tuple(bench.classes)
    boxes = _Boxes(0.0 if alike else np.inf, np.zeros(4))
    if alike and isinstance(detector, OnnxDetector):
        boxes = _compare_boxes(bench, model, detector)
    sound = off <= TOLERANCE and boxes.worst <= BOX_TOLERANCE and names
    causes = []
    if not sound:
        causes = [*_causes(bench, model, pictures, expected, found, off), *_box_causes(off, boxes)]
        if not names:
            causes.append(f"the exported file names other classes: {', '.join(detector.classes)}")
    return Finding.judged(
        sound,
        expected=f"outputs equal within {100 * TOLERANCE:g} % of their deviation, boxes within {BOX_TOLERANCE} px",
        measured=f"outputs differ by {100 * off:.2g} % of their deviation, boxes by {boxes.worst:.2g} px",
        figures={"pictures": PICTURES, "difference / deviation": off, "worst box px": boxes.worst, "classes": names},
        causes=causes,
        remedy=_REMEDY,
        evidence={"outputs": lambda: _picture(expected, found)},
    )


def _loud(bench: Bench) -> Yolo:
    """Return a new network in evaluation mode that depends on all of its pixels, and on how bright they are."""
    model = bench.new_model()
    model.train()
    batch = torch.from_numpy(_pictures(bench, 8, bench.task.frame[0], bench.task.frame[1], first=100)).to(bench.device)
    for layer in model.head.layers:
        weight = layer.weight
        assert isinstance(weight, Tensor)
        draws = rng_for(bench.config.seed, "checks", 0, "output").standard_normal(tuple(weight.shape))
        weight.copy_(torch.from_numpy(draws / np.sqrt(weight[0].numel())).to(weight))
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # the plain mean of what it has seen: that of this batch
    model(batch)
    model.eval()
    # Features without normalisation may be of any size.
    outputs = model(batch).double()
    scale = LOUDNESS / float(outputs.flatten(0, -2).std(dim=0).mean().clamp(min=1e-12))
    for layer in model.head.layers:
        assert isinstance(layer.weight, Tensor)
        layer.weight.mul_(scale)
    return model


def _pictures(bench: Bench, count: int, width: int, height: int, first: int = 0) -> NDArray[np.uint8]:
    """Return (count, height, width, 3) RGB: noise in blocks of several sizes on a ground, each channel with its own
    ground.
    """
    pictures = np.empty((count, height, width, 3), dtype=np.uint8)
    for number in range(count):
        rng = rng_for(bench.config.seed, "checks", first + number, "pictures")
        levels = rng.uniform(30, 225, 3) + np.zeros((height, width, 3))
        for block in (1, 8, 32):
            noise = rng.normal(0, 25, (-(-height // block), -(-width // block), 3))
            levels += np.kron(noise, np.ones((block, block, 1)))[:height, :width]
        pictures[number] = levels.clip(0, 255).round()
    return pictures


def _outputs(model: Yolo, images: Tensor) -> FloatArray:
    return model(images).double().cpu().numpy()  # type: ignore[no-any-return]


# ------------------------------------------------------------------------------------------------------- boxes


def _sizes(width: int, height: int) -> Iterator[tuple[int, int]]:
    yield width, height
    yield max(8, width * 5 // 7), max(8, height // 2)  # enlarged, padded above and below
    yield width, height * 3 // 2 + 1  # shrunk, padded at the sides


def _compare_boxes(bench: Bench, model: Yolo, detector: "OnnxDetector") -> _Boxes:
    """Return every slot's box in pictures of other sizes, through the reader and through what training does to a
    scene.
    """
    width, height = bench.codec.frame
    worst, shifts = 0.0, []
    slots = bench.codec.slots
    for number, (wide, high) in enumerate(_sizes(width, height)):
        rgb = _pictures(bench, 1, wide, high, first=200 + number)[0]
        found = detector.detect(rgb, 0.0, 1.0, max_candidates=slots, max_detections=slots)
        fitted = letterboxed(Scene(rgb), width, height).image
        logits = _outputs(model, torch.from_numpy(fitted.copy())[None].to(bench.device))
        decoding = detector.decoding(0.0, 1.0, max_candidates=slots, max_detections=slots)
        boxes = bench.codec.candidates(logits[0], decoding)
        place = {int(slot): box for slot, box in zip(boxes.slots, boxes.box_xyxy, strict=True)}
        back = _to_picture(np.stack([place[int(slot)] for slot in found.slots]), (wide, high), (width, height))
        away = found.box_xyxy - back
        worst = max(worst, float(np.abs(away).max(initial=0.0)))
        shifts.append(np.median(away, axis=0))
        # Boxes that are equal suppress each other, which the comparison slot by slot does not mind.
        if len(found) < 0.9 * slots:
            worst = np.inf
    return _Boxes(worst, np.median(shifts, axis=0))


def _to_picture(boxes: FloatArray, picture: tuple[int, int], frame: tuple[int, int]) -> FloatArray:
    """Return boxes (N, 4) of the frame in a picture's own pixels, clipped to it: rule 1 of docs/labels.md backwards."""
    ratio = min(frame[0] / picture[0], frame[1] / picture[1])
    inner = [min(max(int(side * ratio + 0.5), 1), most) for side, most in zip(picture, frame, strict=True)]
    start = [(most - side) // 2 for side, most in zip(inner, frame, strict=True)]
    clipped = np.clip(boxes, 0, np.tile(frame, 2))
    back = (clipped - np.tile(start, 2)) * np.tile(picture, 2) / np.tile(inner, 2)
    return np.asarray(np.clip(back, 0, np.tile(picture, 2)))


def _box_causes(off: float, boxes: _Boxes) -> list[str]:
    if boxes.worst <= BOX_TOLERANCE or off > TOLERANCE:
        return []
    shift = ", ".join(f"{value:.3g}" for value in boxes.shift)
    return [
        f"equal outputs, other boxes (median difference {shift} px): the reader's letterbox, its inverse, the grids or "
        "the anchors in the file's metadata are not those of training"
    ]


# ------------------------------------------------------------------------------------------------------ causes


def _causes(
    bench: Bench, model: Yolo, pictures: NDArray[np.uint8], expected: FloatArray, found: FloatArray, off: float
) -> list[str]:
    """Return which change of the pixels makes the network say what the exported one said."""
    if found.shape != expected.shape:
        return [f"outputs of the shape {found.shape} where the network has {expected.shape}"]
    if off <= TOLERANCE:
        return []
    if not np.isfinite(found).all():
        return ["the exported network gives numbers that are not finite"]
    images = torch.from_numpy(pictures).to(bench.device).float()
    whole = np.linalg.norm(found - expected)
    for words, change in _PLAIN.items():
        with suppress(RuntimeError):  # a change that these sizes do not allow
            if np.linalg.norm(_outputs(model, change(images)) - found) <= EXPLAINED * whole:
                return [words]
    gain, offset, left = _fitted(model, images, found)
    if left <= 5 * EXPLAINED * whole:
        words = f"the exported network sees {gain:.4g} x a pixel {offset:+.3g} grey levels"
        return [f"another mean or standard deviation: {words}, the trained one the pixel itself"]
    return [
        "the exported graph computes something else than the network, whatever its pixels: weights or normalisation"
    ]


def _fitted(model: Yolo, images: Tensor, found: FloatArray) -> tuple[float, float, float]:
    """Return the gain and the offset of pixels that explain outputs best, and the norm of what remains."""
    wanted = torch.from_numpy(found).to(images.device)
    best = (1.0, 0.0, float(np.inf))
    gain, offset = 1.0, 0.0
    step = 0.05
    for _ in range(ROUNDS):
        now = model(gain * images + offset).double()
        left = float((now - wanted).norm())
        if left >= best[2]:
            break
        best = (gain, offset, left)
        by_gain = (model((gain + step / 50) * images + offset).double() - now) / (step / 50)
        by_offset = (model(gain * images + offset + step).double() - now) / step
        slopes = torch.stack([by_gain.flatten(), by_offset.flatten()], dim=1)
        move = torch.linalg.lstsq(slopes.cpu(), (wanted - now).flatten()[:, None].cpu()).solution[:, 0]
        gain, offset = gain + float(move[0]), offset + float(move[1])
    return best


def _picture(expected: FloatArray, found: FloatArray) -> NDArray[np.uint8]:
    page = Page(1, 1, (560, 500), 0)
    panel = page.panel("Outputs: exported against trained")
    if found.shape != expected.shape:
        panel.nothing(f"shapes differ: {expected.shape} and {found.shape}")
        return page.finished()
    picks = np.linspace(0, expected.size - 1, 300).astype(int)
    points = [(float(a), float(b)) for a, b in zip(expected.ravel()[picks], found.ravel()[picks], strict=True)]
    low, high = (float(limit([limit(expected), limit(found)])) for limit in (np.min, np.max))
    room = 0.05 * max(high - low, 1e-6)
    ends = (low - room, high + room)
    panel.axes(Axis("network", *ends), Axis("exported", *ends), square=True)
    panel.curve(ends, ends, MUTED, 1.0)
    panel.crosses(points, BLUE)
    return page.finished()


CHECK = Check(
    "export",
    group="data",
    asserted="the exported network, as an application runs it, makes of the same pixels what the trained network makes",
    quick=False,
    run=run,
    any_task=True,
)
