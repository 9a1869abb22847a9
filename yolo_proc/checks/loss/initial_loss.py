"""Hypothesis: an untrained network answers with its biases, so the first loss can be computed by hand.

Source: Karpathy, "A recipe for training neural networks", 2019: "verify loss @ init"; for a bias that says how rare
objects are, Lin et al., "Focal loss for dense object detection", 2017, section 4.1.

With C classes, the bias b of objectness, and targets v (centre in its cell), l = ln(side / anchor):

    class   ln C                        obj_f   ln(1 + e^b)         obj_t   ln(1 + e^-b)
    wh      mean of l^2                 xy      mean of ((1/2 - v) * stride / side)^2

and the total is their sum with the weights of the configuration. Threshold: 1 % of each term. Output weights start at
1e-4 (not at 0, so that gradients pass), and 42 healthy networks of 21 kinds at two sizes were within 0.14 %; with 1e-3,
as it was once, sizes were off by up to 7 %. Probabilities in place of logits are off by 0.5, a missing bias by 0.69.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from yolo_proc.checks.bench import Bench
from yolo_proc.checks.check import Check
from yolo_proc.checks.loss import class_loss
from yolo_proc.config.schema import LossConfig
from yolo_proc.plotting.charts import BLUE, MUTED, RED, Page
from yolo_proc.training.outcomes import Figure, Finding

TOLERANCE = 0.01  # relative
ALMOST_NOTHING = 1e-5  # absolute, of a term: that of the class is 0 where there is one class
BATCHES_TRIED = 8  # until one has an object
SPREAD = 0.01  # deviation of a logit over slots; twice what any healthy network has


def run(bench: Bench) -> Finding:
    """See the module."""
    batch = next((one for one in map(bench.batch, range(BATCHES_TRIED)) if len(bench.targets(one).slot)), None)
    if batch is None:
        return Finding.not_applicable(f"the first {BATCHES_TRIED} batches have no object with a slot")
    targets = bench.targets(batch)
    xy, wh, scale = (part.double().cpu().numpy() for part in (targets.xy, targets.wh, targets.stride_over_size))
    objects = _Objects(xy, wh, scale, len(bench.classes))
    with torch.no_grad():
        loss, means, logits = bench.forward_loss(bench.new_model(), batch)
    measured = {term: float(value) for term, value in means.items()}
    bias = declared_bias(bench.config.loss)
    expected = expected_terms(bias, objects)
    weights = {term: getattr(bench.config.loss, f"weight_{term}") for term in expected}
    expected_total = sum(weights[term] * value for term, value in expected.items())
    wrong = [term for term, value in expected.items() if not near(measured.get(term, math.nan), value)]
    total_wrong = not near(float(loss), sum(weights[term] * measured.get(term, math.nan) for term in expected))
    spread = float(logits.double().flatten(0, 1).std(dim=0).max())
    figures: dict[str, Figure] = {"total": float(loss), "expected total": expected_total, "logits' deviation": spread}
    figures |= {**measured, **{f"expected {term}": value for term, value in expected.items()}}
    causes = [*_weight_causes(weights, bench.task.weights, total_wrong)]
    if wrong:
        activated = expected_terms(bias, objects, activated=True)
        as_activated = all(near(measured.get(term, math.nan), value) for term, value in activated.items())
        causes += _term_causes(wrong, as_activated, spread, logits)
    return Finding.judged(
        not wrong and not total_wrong,
        expected=f"total {expected_total:.4f}: {_told(expected)}",
        measured=f"total {float(loss):.4f}: {_told(measured)}",
        figures=figures,
        causes=causes,
        remedy="the loss takes raw logits and the targets as they are; the output layer starts with weights of 1e-4 "
        "and its biases as they are declared (detection/heads.py)",
        evidence={"terms": lambda: _picture(expected, measured, wrong)},
    )


def declared_bias(loss: LossConfig) -> float:
    """Return the J that costs least as a constant answer, ln(w_t / w_f), where both weights are above 0; else 0."""
    if loss.weight_obj_t <= 0 or loss.weight_obj_f <= 0:
        return 0.0
    return math.log(loss.weight_obj_t / loss.weight_obj_f)


@dataclass(frozen=True)
class _Objects:
    """The targets of the batch.

    Attributes:
        xy, wh, scale: (N, 2) as in `Targets`.
        classes: how many there are.
    """

    xy: NDArray[np.float64]
    wh: NDArray[np.float64]
    scale: NDArray[np.float64]
    classes: int


def expected_terms(bias: float, objects: _Objects, *, activated: bool = False) -> dict[str, float]:
    """Return the terms of a network that answers with its biases: 0 but for J.

    Args:
        activated: what they would be if a sigmoid stood between the network and the loss.
    """

    def sigmoid(t: float) -> float:
        return 1 / (1 + math.exp(-t))

    zero, j = (sigmoid(0.0), sigmoid(bias)) if activated else (0.0, bias)
    return {
        "class": math.log(objects.classes),
        "obj_f": math.log1p(math.exp(j)),
        "obj_t": math.log1p(math.exp(-j)),
        "wh": float(np.mean((zero - np.log(objects.wh)) ** 2)),
        "xy": float(np.mean(((sigmoid(zero) - objects.xy) * objects.scale) ** 2)),
    }


def near(measured: float, expected: float) -> bool:
    """Return whether a figure is the expected one within the tolerance; false for NaN."""
    return abs(measured - expected) <= max(TOLERANCE * abs(expected), ALMOST_NOTHING)


def _weight_causes(declared: Mapping[str, float], used: Mapping[str, float], wrong: bool) -> list[str]:
    """Return why the total is not the weighted sum of its terms."""
    if not wrong:
        return []
    changed = [f"{term} {used.get(term, 0):g} in place of {weight:g}" for term, weight in declared.items()
               if used.get(term, 0.0) != weight]  # fmt: skip
    if changed:
        return [f"terms have other weights than declared: {', '.join(changed)}"]
    return ["the total is not the weighted sum of its terms: another reduction, a term left out or counted twice"]


def _term_causes(wrong: Sequence[str], as_activated: bool, spread: float, logits: torch.Tensor) -> list[str]:
    """Return why terms are not what biases alone give; the likeliest first."""
    told = ", ".join(wrong)
    sigmoid = f"a sigmoid before the loss: {told} are what they would be if it took probabilities in place of logits"
    large = (
        f"the output layer's weights start too large: the first logits have a deviation of {spread:.2g}, so they are "
        f"not the biases ({told})"
    )
    missing = f"the output layer has no bias, or starts with another one than declared ({told})"
    reduced = f"the loss divides by another number, or compares with other targets than declared ({told})"
    if as_activated:
        return [sigmoid, reduced]
    if spread > SPREAD or not bool(logits.isfinite().all()):
        return [large, missing, reduced]
    if set(wrong) <= {"obj_f", "obj_t"}:
        return [missing, sigmoid, reduced]
    return [reduced, sigmoid, missing]


def _told(terms: Mapping[str, float]) -> str:
    return ", ".join(f"{term} {value:.4f}" for term, value in terms.items())


def _picture(expected: Mapping[str, float], measured: Mapping[str, float], wrong: Sequence[str]) -> NDArray[np.uint8]:
    page = Page(1, 1, (760, 400), 0)
    names, values, words, colours = [], [], [], []
    for term, value in expected.items():
        found = measured.get(term, math.nan)
        names += [term, ""]
        values += [found if math.isfinite(found) else 0.0, value]
        words += [f"{found:.4f} measured", f"{value:.4f} expected"]
        colours += [RED if term in wrong else BLUE, MUTED]
    page.panel("The loss before the first step, by term").rows(names, values, words, colours, alarm=False)
    return page.finished()


CHECK = Check(
    "initial-loss",
    group="loss",
    asserted="the loss before the first step is what the biases alone give, term by term",
    quick=True,
    run=run,
    other_tasks={"classification": class_loss.initial_loss},
)
