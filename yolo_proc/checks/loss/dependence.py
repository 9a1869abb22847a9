"""Hypothesis: a slot looks at its own picture, around its own cell, and as far as the layers reach.

Source: Karpathy, "A recipe for training neural networks", 2019: "use backprop to chart dependencies" (a view in place
of a transpose mixes what should be apart, and the network still trains); Luo et al., "Understanding the effective
receptive field", 2016, for centre and extent.

Three pictures of noise, where no part is flat, go through a network in evaluation mode and float64, whose
normalisations have been given the statistics of this noise. All slots of each are differentiated together with respect
to all pixels of all three, and one slot of each for each grid alone: in the network as it begins, where residual blocks
add nothing, so that it sees little; and once more with these blocks woken. Expected:

    other images   exactly 0: no arithmetic joins them
    extent         no pixel outside of what the layers reach (`reach.py`), and 90 % of it, along both sides; of
                   `original`, whose output is fully connected, 99 % of all pixels
    centre         of the squared derivatives, as the network begins, within a stride of the coarsest features of the
                   cell's own middle (3 x 3 convolutions of stride 2 look half a stride up and to the left, and a
                   border pushes inwards). Not of `original`

How far other networks reach is not worked out by hand: of them the first line alone is looked at, and that an image
counts at all.

Healthy (36 configurations at 96 px, as many at 256 px): 0 and no pixel beyond; all of the reach; centres off by
0.29 to 0.78 strides.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor, nn

from yolo_proc.checks.bench import Bench
from yolo_proc.checks.check import Check
from yolo_proc.checks.loss import class_loss
from yolo_proc.checks.loss.reach import BY_HAND, Span, coarsest_stride, reached
from yolo_proc.models.network import Yolo
from yolo_proc.rng import rng_for
from yolo_proc.training.outcomes import Figure, Finding

# Row and column of the slots, as shares of the grid: none on the diagonal, none another's mirror image.
PLACES = ((0.25, 0.6), (0.7, 0.3), (0.45, 0.85))
COVERED = 0.9
EVERYTHING = 0.99
CENTRE = 1.0  # strides of the coarsest features

Array = NDArray[np.float64]


@dataclass(frozen=True)
class _SlotView:
    """The pixels that one slot depends on.

    Attributes:
        woken: whether residual blocks added anything.
        row, column: of its cell.
        own: (H, W), the sum of the derivatives' sizes over the channels, of its own image.
        elsewhere: whether it depends on another image.
        declared: the rows, then the columns that the layers reach.
    """

    woken: bool
    stride: int
    row: int
    column: int
    own: Array
    elsewhere: bool
    declared: tuple[Span, Span]

    @property
    def spans(self) -> tuple[Span, Span]:
        """The rows, then the columns of the outermost pixels that count; empty ones where none does."""
        found = [np.flatnonzero(self.own.any(axis=axis)) for axis in (1, 0)]
        rows, columns = ((int(one[0]), int(one[-1]) + 1) if len(one) else (0, 0) for one in found)
        return rows, columns

    @property
    def beyond(self) -> int:
        """Pixels by which the extent leaves the declared one, at the side where it is most."""
        if not self.own.any():
            return 0
        pairs = zip(self.spans, self.declared, strict=True)
        return max(0, *(max(meant[0] - found[0], found[1] - meant[1]) for found, meant in pairs))

    @property
    def covered(self) -> float:
        """The share of the declared rows, or columns, that it reaches: the lesser."""
        pairs = zip(self.spans, self.declared, strict=True)
        return min((found[1] - found[0]) / (meant[1] - meant[0]) for found, meant in pairs)

    @property
    def offset(self) -> tuple[float, float]:
        """From the middle of the cell to the centre of mass, in strides of the grid: rows, columns."""
        mass = self.own**2 / max(float((self.own**2).sum()), 1e-300)
        places = np.arange(max(self.own.shape)) + 0.5
        down, across = (float(mass.sum(axis=axis) @ places[: mass.shape[1 - axis]]) for axis in (1, 0))
        return down / self.stride - self.row - 0.5, across / self.stride - self.column - 0.5


@dataclass(frozen=True)
class _Looks:
    """All that was measured.

    Attributes:
        seen: by single slots.
        leaks: of each image, the largest derivative of all its outputs with respect to another one.
        owns: the same with respect to itself.
        training: modules that stay in training mode in evaluation.
    """

    seen: tuple[_SlotView, ...]
    leaks: tuple[float, ...]
    owns: tuple[float, ...]
    training: tuple[str, ...]


def run(bench: Bench) -> Finding:
    """See the module."""
    if bench.config.model.name not in BY_HAND:
        return class_loss.dependence(bench)
    whole = bench.config.model.name == "original"
    coarsest = coarsest_stride(bench.config.model)
    fresh, woken = _look(bench, woken=False), _look(bench, woken=True)
    looks = replace(fresh, seen=(*fresh.seen, *woken.seen))
    leak = max(looks.leaks)
    beyond = max(one.beyond for one in looks.seen)
    covered = min(float((one.own > 0).mean()) if whole else one.covered for one in looks.seen)
    centre = 0.0 if whole else max(abs(part) * one.stride / coarsest for one in fresh.seen for part in one.offset)
    sound = not leak and beyond == 0 and covered >= (EVERYTHING if whole else COVERED) and centre <= CENTRE
    figures: dict[str, Figure] = {
        "largest derivative of another image": leak,
        "pixels beyond the layers' reach": beyond,
        "least share of the reach": covered,
        "centre off its cell, coarsest strides": None if whole else centre,
    }
    parts = "all pixels" if whole else f"the layers' reach and no pixel beyond, centres within {coarsest} px"
    centres = "" if whole else f", centres off by {centre * coarsest:.1f} px"
    return Finding.judged(
        sound,
        expected=f"0 of other images; {parts}",
        measured=f"{leak:.2g} of other images; {covered:.0%} of the reach, {beyond} px beyond it{centres}",
        figures=figures,
        causes=_causes(looks, whole, coarsest),
        remedy="in evaluation mode an image's outputs come from it alone: keep the batch the first axis, permute "
        "(B, K, Gy, Gx) to (B, Gy, Gx, K) before it is reshaped to slots, and pad alike at all sides "
        "(models/layers.py)",
        evidence={"dependence": lambda: _picture(looks.seen)},
    )


def _look(bench: Bench, *, woken: bool) -> _Looks:
    """Return what outputs depend on, in a network with or without the residual blocks' part."""
    config = bench.config.model
    rng = rng_for(bench.config.seed, "checks", int(woken), "dependence")
    width, height = bench.codec.frame
    noise = torch.from_numpy(rng.integers(0, 256, (len(PLACES), height, width, 3))).double().to(bench.device)
    model = bench.new_model().double()
    if woken:
        _wake(model, rng)
    _know(model, noise)
    model.eval()
    pixels = noise.requires_grad_(True)
    outputs = model(pixels)  # (B, S, 5 + C)
    mixture = torch.from_numpy(rng.standard_normal(outputs.shape[1:])).to(outputs)  # (S, 5 + C)
    leaks, owns = [], []
    for image in range(len(PLACES)):
        largest = _derivatives((outputs[image] * mixture).sum(), pixels).max(axis=(1, 2))
        owns.append(float(largest[image]))
        leaks.append(float(np.delete(largest, image).max()))
    seen = []
    for grid, first in zip(bench.codec.grids, bench.codec.grid_offsets, strict=False):
        for image, (down, across) in enumerate(PLACES):
            row, column = int(down * grid.rows), int(across * grid.columns)
            anchor = int(rng.integers(len(grid.anchors)))
            slot = first + (row * grid.columns + column) * len(grid.anchors) + anchor
            sizes = _derivatives(outputs[image, slot] @ mixture[slot], pixels)
            rows = reached(config, grid.stride, row, height, residuals=woken)
            columns = reached(config, grid.stride, column, width, residuals=woken)
            elsewhere = bool(np.delete(sizes, image, axis=0).any())
            seen.append(_SlotView(woken, grid.stride, row, column, sizes[image], elsewhere, (rows, columns)))
    training = tuple(name for name, module in model.named_modules() if module.training)
    return _Looks(tuple(seen), tuple(leaks), tuple(owns), training)


def _derivatives(value: Tensor, pixels: Tensor) -> Array:
    """Return (B, H, W) float64, summed sizes over the channels; 0 where there is no way back."""
    if not value.requires_grad:
        return np.zeros(pixels.shape[:3])
    (gradient,) = torch.autograd.grad(value, pixels, retain_graph=True, allow_unused=True)
    return np.zeros(pixels.shape[:3]) if gradient is None else gradient.abs().sum(dim=-1).cpu().numpy()


@torch.no_grad()
def _wake(model: Yolo, rng: np.random.Generator) -> None:
    """Give weights to what starts with zeros: the last scales, or filters, of residual blocks."""
    for module in model.modules():
        weight = getattr(module, "weight", None)
        if not isinstance(weight, Tensor) or bool(weight.any()):
            continue
        if isinstance(module, nn.BatchNorm2d):
            weight.fill_(1.0)
        else:
            draw = rng.standard_normal(tuple(weight.shape)) * (2 / weight[0].numel()) ** 0.5
            weight.copy_(torch.from_numpy(draw))


@torch.no_grad()
def _know(model: Yolo, pixels: Tensor) -> None:
    """Give every normalisation the statistics of these pixels, so that its units are neither all on nor all off."""
    layers = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 1.0
    model.train()(pixels)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum


# -------------------------------------------------------------------------------------------------- causes


def _causes(looks: _Looks, whole: bool, coarsest: int) -> list[str]:
    """Return why, the likeliest first."""
    causes = []
    if any(looks.leaks):
        statistics = "statistics of the whole batch enter an image's outputs"
        reshape = "images leak into each other: a wrong reshape or view mixes the batch's axis with others"
        if not any(looks.owns):
            causes.append("images are mixed up: an image's outputs come from another image of the batch")
        elif looks.training:
            causes.append(f"{looks.training[0]} stays in training mode in evaluation: batch statistics join the images")
        elif any(one.elsewhere and one.own.any() for one in looks.seen):
            causes += [statistics, reshape]
        else:
            causes += [reshape, statistics]
    elif any(not one.own.any() for one in looks.seen):
        causes.append("outputs do not depend on the picture: pixels are detached, or all units of a layer are 0")
    seeing = [one for one in looks.seen if one.own.any()]
    fresh = [one for one in seeing if not one.woken]
    limit = CENTRE * coarsest
    if not whole and any(abs(part) * one.stride > limit for one in fresh for part in one.offset):
        centre, extents = [_centre_cause(fresh)], _extent_causes(seeing, whole)
        # Where nothing was moved away, the layers are larger.
        return causes + (extents + centre if extents and all(map(_grown, fresh)) else centre + extents)
    return causes + _extent_causes(seeing, whole)


def _grown(one: _SlotView) -> bool:
    """Return whether it sees what it should, but for a few pixels at the edges, and maybe more."""
    room = one.stride // 4
    pairs = zip(one.spans, one.declared, strict=True)
    return all(found[0] <= meant[0] + room and found[1] >= meant[1] - room for found, meant in pairs)


def _centre_cause(fresh: Sequence[_SlotView]) -> str:
    """Tell of outputs that look elsewhere than at their cells."""
    swapped = [(one.row + 0.5 + one.offset[0], one.column + 0.5 + one.offset[1]) for one in fresh]
    if all(max(abs(down - one.column - 0.5), abs(across - one.row - 0.5)) * one.stride < 16 + one.stride / 2
           for one, (down, across) in zip(fresh, swapped, strict=True)):  # fmt: skip
        return "rows and columns are swapped between the map and the slots"
    offsets = np.array([one.offset for one in fresh])
    if float(np.ptp(offsets, axis=0).max()) < 1.5:
        down, across = offsets.mean(axis=0)
        return (
            f"slots are shifted by about {across:+.1f} columns and {down:+.1f} rows against what they look at: a wrong "
            "offset, padding or roll"
        )
    return (
        "slots look at places that are not theirs: a view or reshape in place of a permute mixes channels with places, "
        "or slots are numbered in another order"
    )


def _extent_causes(seen: Sequence[_SlotView], whole: bool) -> list[str]:
    """Tell of outputs that see more, or less, than the layers say."""
    if whole:
        least = min((float((one.own > 0).mean()) for one in seen), default=1.0)
        told = f"a slot sees {least:.0%} of the pixels, a fully connected output sees all"
        return [] if least >= EVERYTHING else [f"{told}: units are 0, or a part of the map is left out"]
    causes = []
    beyond = [one for one in seen if one.beyond]
    if beyond:
        moves = [_moved(one) for one in beyond if not one.woken]
        worst = max(beyond, key=lambda one: one.beyond)
        if moves and all(move is not None for move in moves):
            down, across = moves[0] or (0, 0)
            causes.append(
                f"what slots see is moved by {across:+d} px across and {down:+d} px down: padding at one side"
            )
        else:
            causes.append(
                f"a slot sees {worst.beyond} px more than its layers reach: larger or dilated kernels, pooling, or "
                "statistics over the picture"
            )
    if any(one.covered < COVERED for one in seen):
        share = min(one.covered for one in seen)
        causes.append(
            f"a slot sees {share:.0%} of what its layers reach: layers are skipped or smaller than declared, or most "
            "of their units are 0"
        )
    return causes


def _moved(one: _SlotView) -> tuple[int, int] | None:
    """Return down and across: how far the extent is the declared one moved; None if it is no such thing."""
    moves = [(found[0] - meant[0], found[1] - meant[1]) for found, meant in zip(one.spans, one.declared, strict=True)]
    (top, bottom), (left, right) = moves
    near = all(abs(a - b) <= 2 or 0 in (a, b) for a, b in moves)  # a border holds one end
    return (max(top, bottom, key=abs), max(left, right, key=abs)) if near else None


# ------------------------------------------------------------------------------------------------- picture


def _picture(seen: Sequence[_SlotView]) -> NDArray[np.uint8]:
    """Return one row a grid and network: what a slot depends on, its cell as a white frame, the layers' reach as a
    green.
    """
    zoom = max(1, -(-240 // max(seen[0].own.shape)))
    tiles = [_tile(one, zoom) for one in seen]
    rows = [np.concatenate(tiles[k : k + len(PLACES)], axis=1) for k in range(0, len(tiles), len(PLACES))]
    return np.concatenate(rows)


def _tile(one: _SlotView, zoom: int) -> NDArray[np.uint8]:
    strength = np.sqrt(one.own / max(float(one.own.max()), 1e-300))[..., None]
    colours = (1 - strength) * np.array([24.0, 28.0, 40.0]) + strength * np.array([255.0, 150.0, 40.0])
    large = np.repeat(np.repeat(colours.astype(np.uint8), zoom, axis=0), zoom, axis=1)
    picture = Image.fromarray(np.pad(large, ((4, 4), (4, 4), (0, 0)), constant_values=255))
    draw = ImageDraw.Draw(picture)
    (top, bottom), (left, right) = one.declared
    draw.rectangle([zoom * left + 4, zoom * top + 4, zoom * right + 3, zoom * bottom + 3], outline=(90, 220, 120))
    x, y, size = one.column * one.stride, one.row * one.stride, one.stride
    draw.rectangle([zoom * x + 4, zoom * y + 4, zoom * (x + size) + 3, zoom * (y + size) + 3], outline=(255, 255, 255))
    return np.array(picture)


CHECK = Check(
    "dependence",
    group="loss",
    asserted="a slot depends on its own image alone, around its cell, as far as the layers reach",
    quick=True,
    run=run,
    other_tasks={"classification": class_loss.dependence},
)
