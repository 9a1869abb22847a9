"""Hypothesis: the loss learns what it says: autograd's gradients are its slopes, and both are the declared formula's.

Source: Karpathy et al., CS231n, "Gradient checks": central differences in double precision; Goodfellow et al., "Deep
Learning", 2016, section 11.5. The formulas are those that `loss.py` declares, differentiated by hand
(`loss_by_hand.py`).

Logits are drawn around 0 with a deviation of 2, one in eight with one of 8 to find limits, for the targets of eight
images; eight slots are declared ignored besides. Each term is then differentiated three ways: by autograd, by central
differences of step 1e-4 in 48 logits and along one direction through all of them, and by hand. So what stops a gradient
(detach, rounding) differs from the differences, and what is another function (a clipped logit, a softmax too many,
another slot) from the formula; a first loss of equal logits shows neither.

What training minimises beside the loss is in no term that is told, and has large weights: its value and its gradients,
those of the boxes' overlap and of the auxiliary output, are compared with the formulas too, object by object and cell
by cell. The latter is computed in float32; threshold 1e-4 (healthy: 4e-7 at most, 33 configurations).

Threshold: 1e-5 of the largest derivative of the term. Healthy losses are off the formula by 2e-9 at most and off the
differences by 4e-8 at most (36 configurations at 96 px and at 256 px: both generators with five seeds each, one class,
empty scenes, several grids, `original`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from yolo_proc.checks.bench import Bench
from yolo_proc.checks.check import Check
from yolo_proc.checks.loss import class_loss
from yolo_proc.checks.loss.loss_by_hand import Aims, Array, activated, auxiliary_by_hand, overlap_by_hand, terms_by_hand
from yolo_proc.detection.task import DetectionTask
from yolo_proc.plotting.charts import GREEN, RED, Axis, Page
from yolo_proc.rng import rng_for
from yolo_proc.task import mean_terms, total
from yolo_proc.training.outcomes import Figure, Finding

IMAGES = 8
BATCHES_TRIED = 8  # until one has an object
IGNORED = 8  # slots that are declared ignored besides
DEVIATION, LARGE_DEVIATION, ONE_IN = 2.0, 8.0, 8
STEP = 1e-4
LOGITS = 48  # that are moved alone
TOLERANCE = 1e-5  # of a term's largest derivative
ALMOST_NOTHING = 1e-12
BESIDE_TOLERANCE = 1e-4  # in float32
TOTAL = "total"
_CANT = "the loss gives no gradient at all: it is detached, or computed under no_grad"


@dataclass(frozen=True)
class _Slopes:
    """One term, or the total, differentiated.

    Attributes:
        value, by_hand_value: of the term.
        autograd, by_hand: (B, S, 5 + C).
        moved: (K,) flat indices of logits that were moved alone.
        numeric: (K,) of these.
        along, along_numeric: the derivative in the drawn direction, by autograd and by differences.
        scale: the largest derivative.
    """

    value: float
    by_hand_value: float
    autograd: Array
    by_hand: Array
    moved: NDArray[np.int64]
    numeric: Array
    along: float
    along_numeric: float

    @property
    def scale(self) -> float:
        return max(float(np.abs(self.by_hand).max()), float(np.abs(self.numeric).max()), ALMOST_NOTHING)

    @property
    def off_numeric(self) -> float:
        """Largest difference of autograd and central differences, as a share of the largest derivative."""
        alone = np.abs(self.autograd.ravel()[self.moved] - self.numeric).max()
        # A direction sums many derivatives: its size is the root of their squares.
        length = max(float(np.linalg.norm(self.by_hand)), self.scale)
        return max(_number(alone / self.scale), _number(abs(self.along - self.along_numeric) / length))

    @property
    def off_hand(self) -> float:
        """Largest difference of autograd and the formula, alike."""
        return _number(np.abs(self.autograd - self.by_hand).max() / self.scale)


def _number(share: float) -> float:
    return float(share) if np.isfinite(share) else float("inf")


def run(bench: Bench) -> Finding:
    """See the module."""
    made = (bench.targets(bench.batch(k, IMAGES)) for k in range(BATCHES_TRIED))
    targets = next((one for one in made if len(one.slot)), None)
    if targets is None:
        return Finding.not_applicable(f"the first {BATCHES_TRIED} batches have no object with a slot")
    rng = rng_for(bench.config.seed, "checks", 0, "gradients")
    shape = (IMAGES, bench.codec.slots, bench.codec.fields)
    targets = _with_ignored(targets, shape, rng)
    deviation = np.where(rng.integers(ONE_IN, size=shape) == 0, LARGE_DEVIATION, DEVIATION)
    logits = deviation * rng.standard_normal(shape)
    weights = {term: getattr(bench.config.loss, f"weight_{term}") for term in bench.task.terms}
    dtypes, slopes = _differentiate(bench, targets, logits, weights, rng)
    wrong = [term for term, one in slopes.items() if max(one.off_numeric, one.off_hand) > TOLERANCE]
    beside, told = _beside(bench, targets, logits, rng)
    figures: dict[str, Figure] = {}
    for term, one in slopes.items():
        figures |= {f"{term} off differences": one.off_numeric, f"{term} off formula": one.off_hand}
    figures |= {f"{name} off formula": off for name, off in beside.items()}
    causes = _causes(wrong, slopes, dtypes, Aims.of(targets), logits) if wrong else []
    causes += told
    measured = [f"{term} {one.off_numeric:.1e} and {one.off_hand:.1e}" for term, one in slopes.items()]
    return Finding.judged(
        not causes,
        expected=f"autograd's derivatives within {TOLERANCE:g} of central differences and of the declared formula "
        f"(what stands beside the loss within {BESIDE_TOLERANCE:g})",
        measured=", ".join([*measured, *(f"{name} {off:.1e}" for name, off in beside.items())]),
        figures=figures,
        causes=causes,
        remedy="compute every term from the raw logits as loss.py declares it, with differentiable operations alone",
        evidence={"slopes": lambda: _picture(slopes, wrong)},
    )


# --------------------------------------------------------------------------------------------- measurement


def _with_ignored(targets: Any, shape: tuple[int, int, int], rng: np.random.Generator) -> Any:
    """Return the targets in float64, with some empty slots ignored besides, so that there are any."""
    taken = np.zeros(shape[:2], dtype=bool)
    for image, slot in ((targets.image, targets.slot), (targets.ignored_image, targets.ignored_slot)):
        taken[image.cpu().numpy(), slot.cpu().numpy()] = True
    free = np.flatnonzero(~taken)
    chosen = np.divmod(rng.choice(free, min(IGNORED, len(free) // 2), replace=False), shape[1])
    more = [torch.from_numpy(one).to(targets.ignored_image) for one in chosen]
    return targets._replace(
        ignored_image=torch.cat([targets.ignored_image, more[0]]),
        ignored_slot=torch.cat([targets.ignored_slot, more[1]]),
        **{name: getattr(targets, name).double() for name in ("xy", "wh", "stride_over_size")},
    )


def _differentiate(
    bench: Bench, targets: Any, logits: Array, weights: Mapping[str, float], rng: np.random.Generator
) -> tuple[dict[str, torch.dtype], dict[str, _Slopes]]:
    """Return the dtype of each term, and the slopes of each and of the total.

    Args:
        weights: as they are declared.
    """
    task, device = bench.task, bench.device
    leaf = torch.from_numpy(logits).to(device).requires_grad_(True)
    values = _values(task, leaf, targets)
    autograd = {term: _gradient(value, leaf) for term, value in values.items()}
    by_hand = terms_by_hand(logits, Aims.of(targets))
    whole = sum(weights[term] * by_hand[term][0] for term in weights)
    by_hand[TOTAL] = whole, np.sum([weights[term] * by_hand[term][1] for term in weights], axis=0)
    moved = _chosen(Aims.of(targets), logits.shape, rng)
    direction = rng.standard_normal(logits.shape)

    def differences(towards: Array) -> dict[str, float]:
        ends = []
        for sign in (1, -1):
            with torch.no_grad():
                there = _values(task, torch.from_numpy(logits + sign * STEP * towards).to(device), targets)
            ends.append({term: float(value) for term, value in there.items()})
        return {term: (ends[0][term] - ends[1][term]) / (2 * STEP) for term in ends[0]}

    alone = [differences(_unit(logits.shape, place)) for place in moved]
    along = differences(direction)
    slopes = {
        term: _Slopes(
            value=float(values[term].detach()),
            by_hand_value=by_hand[term][0],
            autograd=autograd[term],
            by_hand=by_hand[term][1],
            moved=moved,
            numeric=np.array([one[term] for one in alone]),
            along=float((autograd[term] * direction).sum()),
            along_numeric=along[term],
        )
        for term in by_hand
    }
    return {term: value.dtype for term, value in values.items()}, slopes


def _values(task: DetectionTask, logits: Tensor, targets: Any) -> dict[str, Tensor]:
    """Return the mean of each term, and the total."""
    means = mean_terms(task.loss(logits, targets))
    return {**means, TOTAL: total(means, task.weights)}


def _gradient(value: Tensor, leaf: Tensor) -> Array:
    if not value.requires_grad:
        return np.zeros(leaf.shape)
    (gradient,) = torch.autograd.grad(value, leaf, retain_graph=True, allow_unused=True)
    return np.zeros(leaf.shape) if gradient is None else gradient.double().cpu().numpy()


def _chosen(aims: Aims, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.int64]:
    """Return logits to be moved alone: all fields of some objects, the J of some empty slots, an ignored slot, any
    others.
    """
    objects = rng.permutation(len(aims.image))[:3]
    slots = [(int(aims.image[k]), int(aims.slot[k])) for k in objects]
    slots += [(int(image), int(slot)) for image, slot in aims.ignored[:1]]
    places = [np.ravel_multi_index((image, slot, field), shape) for image, slot in slots for field in range(shape[2])]
    js = rng.integers(shape[0] * shape[1], size=8) * shape[2] + 4
    others = rng.integers(np.prod(shape), size=LOGITS)
    return np.unique(np.concatenate([places[: LOGITS - 16], js, others])[:LOGITS]).astype(np.int64)


def _unit(shape: tuple[int, ...], place: int) -> Array:
    vector = np.zeros(shape)
    vector.flat[place] = 1
    return vector


def _beside(bench: Bench, targets: Any, logits: Array, rng: np.random.Generator) -> tuple[dict[str, float], list[str]]:
    """Return how far what stands beside the loss is off its formulas, as shares: each part's gradient, and the value of
    all.

    Returns:
        The shares, and why, where they are too large.
    """
    cells = sum(grid.columns * grid.rows for grid in bench.codec.grids)
    values = rng.standard_normal((IMAGES, cells, 4))
    outputs = torch.from_numpy(logits).to(bench.device).requires_grad_(True)
    said = torch.from_numpy(values).float().to(bench.device).requires_grad_(True)
    whole = bench.task.auxiliary_loss(outputs, said, targets)
    aims, weights = Aims.of(targets), bench.config.loss
    overlap, of_overlap = overlap_by_hand(logits, aims)
    auxiliary, of_auxiliary = auxiliary_by_hand(values, aims, bench.codec.grids)
    expected = weights.weight_overlap * overlap + weights.weight_auxiliary * auxiliary
    slopes = {
        "overlap": (_gradient(whole, outputs), weights.weight_overlap * of_overlap),
        "auxiliary": (_gradient(whole, said), weights.weight_auxiliary * of_auxiliary),
    }
    off = {
        name: _number(np.abs(found - meant).max() / max(float(np.abs(meant).max()), ALMOST_NOTHING))
        for name, (found, meant) in slopes.items()
    }
    off["beside"] = _number(abs(float(whole.detach()) - expected) / max(abs(expected), ALMOST_NOTHING))
    causes = [_beside_cause(name, *slopes[name]) for name in slopes if off[name] > BESIDE_TOLERANCE]
    if not causes and off["beside"] > BESIDE_TOLERANCE:
        causes = ["what stands beside the loss slopes as declared, but has another value"]
    return off, causes


def _beside_cause(name: str, found: Array, meant: Array) -> str:
    """Return why a part of what stands beside the loss has another gradient than declared."""
    if not found.any() and meant.any():
        return f"the {name} loss gives no gradient: it is detached, or never asked for"
    if not np.isfinite(found).all():
        return f"the {name} loss, or its gradient, is not a number"
    ratio = _ratio(found.ravel(), meant.ravel(), BESIDE_TOLERANCE)
    if ratio is not None:
        return f"it is {ratio:.6g} x the declared {name} loss: another weight, or another number to divide by"
    if ((found != 0).any(-1) & ~(meant != 0).any(-1)).any():
        places = "slots than its objects'" if name == "overlap" else "cells than those around its objects"
        why = "rows and columns swapped, another image of the batch, another grid"
        return f"the {name} loss speaks of other {places}: {why}"
    return f"the {name} loss is another function than declared, or compares with other targets"


# -------------------------------------------------------------------------------------------------- causes


def _causes(
    wrong: list[str], slopes: Mapping[str, _Slopes], dtypes: Mapping[str, torch.dtype], aims: Aims, logits: Array
) -> list[str]:
    """Return why, the likeliest first."""
    coarse = [term for term, dtype in dtypes.items() if dtype != torch.float64]
    if coarse:
        return [f"the loss computes {', '.join(coarse)} in less than float64, whatever it is given"]
    if all(not one.autograd.any() for one in slopes.values()):
        return [_CANT]
    if wrong == [TOTAL]:
        return ["terms have other weights than declared, or the total is not their weighted sum"]
    causes = []
    for term in [one for one in wrong if one != TOTAL]:
        one = slopes[term]
        if one.off_numeric > TOLERANCE:
            causes.append(_backward_cause(term, one))
        else:
            causes.append(_formula_cause(term, one, aims, logits))
    return list(dict.fromkeys(causes))


def _backward_cause(term: str, one: _Slopes) -> str:
    """Tell of a gradient that is not the slope of the loss."""
    autograd, numeric = one.autograd.ravel()[one.moved], one.numeric
    lost = (autograd == 0) & (np.abs(numeric) > TOLERANCE * one.scale)
    if lost.any():
        return f"the gradient of {term} stops on its way back: part of it is detached (detach, no_grad, .data, item)"
    if not numeric.any() or not np.isfinite(one.value):
        return f"{term} is flat, or not a number, where it should slope: rounded, or an index in place of a value"
    ratio = _ratio(autograd, numeric)
    if ratio is not None:
        return f"the gradient of {term} is {ratio:.6g} x its slope: scaled on its way back"
    return f"the gradient of {term} is not its slope: a backward pass written by hand, or a flat or rounded function"


def _formula_cause(term: str, one: _Slopes, aims: Aims, logits: Array) -> str:
    """Tell of a gradient that is the slope of another function than the declared one."""
    others = terms_by_hand(activated(logits), aims)
    if term in others and abs(one.value - others[term][0]) <= 1e-6 * max(abs(others[term][0]), 1e-6):
        name = "softmax" if term == "class" else "sigmoid (or exp)"
        return f"a {name} before the loss: {term} is what it would be of probabilities in place of logits"
    ratio = _ratio(one.autograd.ravel(), one.by_hand.ravel())
    if ratio is not None:
        return f"{term} is {ratio:.4g} x the declared one: it divides by another number, or has a weight of its own"
    meant = np.abs(one.by_hand) > TOLERANCE * one.scale
    silent = meant & (one.autograd == 0)
    spoken = ~meant & (np.abs(one.autograd) > TOLERANCE * one.scale)
    if silent.any() and spoken.any():
        return f"{term} reads other slots or fields than the targets': an index is off"
    if silent.any():
        return f"{term} is flat where logits are large: they are clipped before the loss, or values left out of it"
    if one.autograd[aims.ignored[:, 0], aims.ignored[:, 1]].any():
        return f"{term} speaks of ignored slots"
    if spoken.any():
        return f"{term} speaks of slots or fields that it should leave alone"
    return f"{term} is another function than declared, or compares with other targets"


def _ratio(found: Array, expected: Array, tolerance: float = TOLERANCE) -> float | None:
    """Return the one factor between two vectors, None if there is none (or it is 1)."""
    square = float(expected @ expected)
    if square == 0:
        return None
    ratio = float(found @ expected) / square
    same = np.abs(found - ratio * expected).max() <= tolerance * np.abs(expected).max()
    return ratio if same and abs(ratio - 1) > tolerance else None


def _picture(slopes: Mapping[str, _Slopes], wrong: list[str]) -> NDArray[np.uint8]:
    page = Page(3, 2, (360, 330), 0)
    for term, one in slopes.items():
        plot = page.panel(f"{term}: {'wrong' if term in wrong else 'sound'}")
        xs, ys = one.numeric, one.autograd.ravel()[one.moved]
        finite = np.isfinite(xs) & np.isfinite(ys)
        low, high = -one.scale, one.scale
        plot.axes(Axis("central difference", 1.1 * low, 1.1 * high, tell=_short),
                  Axis("autograd", 1.1 * low, 1.1 * high, tell=_short))  # fmt: skip
        plot.curve([low, high], [low, high], GREEN, 1.0)
        points = zip(xs[finite].tolist(), ys[finite].tolist(), strict=True)
        plot.crosses(list(points), RED if term in wrong else GREEN)
    return page.finished()


def _short(value: float) -> str:
    return f"{value:.2g}"


CHECK = Check(
    "gradients",
    group="loss",
    asserted="the loss's gradients are its slopes, and the declared formula's, in double precision",
    quick=True,
    run=run,
    other_tasks={"classification": class_loss.gradients},
)
