"""The checks of the loss for classification: the same hypotheses, of one logit a class and cross-entropy.

B images, C classes
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from yolo_proc.checks.bench import Bench
from yolo_proc.plotting.charts import BLUE, MUTED, RED, Page
from yolo_proc.rng import rng_for
from yolo_proc.task import mean_terms
from yolo_proc.training.outcomes import Figure, Finding

IMAGES = 8
BATCHES_TRIED = 8  # until one has images with a class
SURE = 20.0  # a logit that softmax makes a probability of 1 - 1e-8 of
PERFECT = 1e-4
TOLERANCE = 0.01
FACTORS = (-1000.0, 3000.0)
SLOPES_OFF = 1e-6  # of the largest slope; central differences in double precision leave 1e-9
STEP = 1e-5
NOTHING = Finding.not_applicable(f"the first {BATCHES_TRIED} batches have no image with a class")
_REMEDY = (
    "the network gives raw logits and the loss takes them: no softmax between (it belongs to `Classifier`, outside)"
)


def initial_loss(bench: Bench) -> Finding:
    """Compare the loss before the first step with ln C, which a network that knows nothing must have."""
    batch = next((one for one in _batches(bench) if bool(bench.targets(one).known.any())), None)
    if batch is None:
        return NOTHING
    with torch.no_grad():
        loss, means, logits = bench.forward_loss(bench.new_model(), batch)
    classes = len(bench.classes)
    weight = bench.config.loss.weight_class
    expected, measured = math.log(classes), float(means["class"])
    spread = float(logits.double().std(dim=0).max())
    term_wrong = not abs(measured - expected) <= TOLERANCE * expected
    total_wrong = not abs(float(loss) - weight * measured) <= TOLERANCE * max(weight * measured, PERFECT)
    causes = []
    if total_wrong:
        causes.append("the total is not the weighted term: another reduction, or another weight than declared")
    if term_wrong and spread > TOLERANCE:
        causes.append(f"the output layer's weights start too large: the first logits have a deviation of {spread:.2g}")
    elif term_wrong:
        causes.append("the loss divides by another number, compares with other targets, or takes probabilities")
    return Finding.judged(
        not causes,
        expected=f"class {expected:.4f} (ln {classes}), total {weight * expected:.4f}",
        measured=f"class {measured:.4f}, total {float(loss):.4f}",
        figures={"total": float(loss), "class": measured, "expected class": expected, "logits' deviation": spread},
        causes=causes,
        remedy="the loss takes raw logits and the classes as they are; the output layer starts with weights of 1e-4",
        evidence={"terms": lambda: _picture({"class": (measured, expected)}, causes)},
    )


def logits_in(bench: Bench) -> Finding:
    """Score made predictions: right and sure, wrong and sure, and right as probabilities; and bend the network."""
    targets = _targets(bench)
    if targets is None:
        return NOTHING
    classes = len(bench.classes)
    ids = targets.class_ids.cpu().numpy()
    right = _sure(ids, classes)
    wrong = _sure(np.where(ids >= 0, (ids + 1) % classes, ids), classes)
    probabilities = _softmax(right)
    scores = {}
    for name, logits in (("right", right), ("wrong", wrong), ("right, as probabilities", probabilities)):
        outputs = torch.from_numpy(logits).float().to(bench.device)
        found = float(mean_terms(bench.task.loss(outputs, targets))["class"])
        scores[name] = (found, _cross_entropy(logits, ids))
    bent, told = _bend(bench)
    off = {name for name, (found, expected) in scores.items() if not _near(found, expected)}
    causes = [told] if bent > TOLERANCE else []
    if "right" in off:
        as_probabilities = _near(scores["right"][0], scores["right, as probabilities"][1])
        causes.append(
            f"a softmax before the loss: a perfect prediction costs {scores['right'][0]:.3g}, as probabilities would"
            if as_probabilities
            else "a perfect prediction is not free: other targets, or a smoothed loss"
        )
    elif "right, as probabilities" in off and _near(scores["right, as probabilities"][0], 0.0):
        causes.append("the loss takes probabilities: it finds them perfect, and not the logits")
    elif off:
        causes.append("a wrong and sure prediction costs another amount than cross-entropy: clipped, perhaps")
    figures: dict[str, Figure] = {name: found for name, (found, _) in scores.items()}
    return Finding.judged(
        not causes,
        expected=f"right and sure 0, wrong and sure {scores['wrong'][1]:.3g}; the output layer is linear",
        measured=f"right and sure {scores['right'][0]:.2g}, wrong and sure {scores['wrong'][0]:.3g}; the output is off "
        f"a linear one by {bent:.1e}",
        figures=figures | {"off linear": bent},
        causes=causes,
        remedy=_REMEDY,
        evidence={"scores": lambda: _picture(scores, sorted(off))},
    )


def gradients(bench: Bench) -> Finding:
    """Compare the loss's gradient with its slopes, and with softmax - target, in double precision."""
    targets = _targets(bench)
    if targets is None:
        return NOTHING
    ids = targets.class_ids.cpu().numpy()
    rng = rng_for(bench.config.seed, "checks", 0, "class gradients")
    logits = rng.normal(0, 2, (len(ids), len(bench.classes)))

    def value(array: NDArray[np.float64]) -> tuple[Tensor, Tensor]:
        leaf = torch.from_numpy(array).to(bench.device).requires_grad_(True)
        return leaf, mean_terms(bench.task.loss(leaf, targets))["class"]

    leaf, loss = value(logits)
    by_autograd = np.zeros(logits.shape)
    if loss.requires_grad:
        (slope,) = torch.autograd.grad(loss, leaf, allow_unused=True)
        by_autograd = by_autograd if slope is None else slope.double().cpu().numpy()
    known = ids >= 0
    by_hand = np.where(known[:, None], _softmax(logits) - np.eye(logits.shape[1])[ids], 0) / max(known.sum(), 1)
    numeric = np.zeros(logits.shape)
    for place in np.ndindex(*logits.shape):
        step = np.zeros(logits.shape)
        step[place] = STEP
        ends = [value(logits + sign * step)[1].item() for sign in (1, -1)]
        numeric[place] = (ends[0] - ends[1]) / (2 * STEP)
    size = float(np.abs(by_hand).max())
    of_slopes, of_formula = (float(np.abs(by_autograd - one).max()) / size for one in (numeric, by_hand))
    causes = []
    if loss.dtype != torch.float64:
        causes.append(f"the loss computes in {loss.dtype} where it was given float64")
    elif of_slopes > SLOPES_OFF:
        causes.append("the gradient is not the slope: something is detached, or has a backward pass of its own")
    if of_formula > SLOPES_OFF:
        causes.append("the loss is another function than the mean cross-entropy over images with a class")
    return Finding.judged(
        not causes,
        expected=f"gradients within {SLOPES_OFF:g} of their slopes and of softmax - target",
        measured=f"off the slopes by {of_slopes:.1e}, off the formula by {of_formula:.1e} of the largest",
        figures={"off the slopes": of_slopes, "off the formula": of_formula},
        causes=causes,
        remedy="compute the loss of raw logits by torch.nn.functional.cross_entropy, its sum and count apart",
    )


def dependence(bench: Bench) -> Finding:
    """Look whether the logits of an image depend on itself alone, in evaluation mode; of any task."""
    rng = rng_for(bench.config.seed, "checks", 0, "class dependence")
    width, height = bench.task.frame
    noise = torch.from_numpy(rng.integers(0, 256, (3, height, width, 3))).double().to(bench.device)
    model = bench.new_model().double()
    with torch.no_grad():
        model.train()(noise)  # so that normalisations have statistics
    model.eval()
    pixels = noise.requires_grad_(True)
    outputs = model(pixels).flatten(1)  # (B, C), or (B, S (5 + C))
    mixture = torch.from_numpy(rng.standard_normal(outputs.shape[1])).to(outputs)
    owns, leaks = [], []
    for image in range(len(outputs)):
        largest = np.zeros(len(outputs))
        if outputs.requires_grad:
            (slope,) = torch.autograd.grad(outputs[image] @ mixture, pixels, retain_graph=True, allow_unused=True)
            largest = largest if slope is None else slope.abs().flatten(1).amax(1).cpu().numpy()
        owns.append(float(largest[image]))
        leaks.append(float(np.delete(largest, image).max()))
    training = [name for name, module in model.named_modules() if module.training]
    causes = []
    if max(leaks) > 0:
        causes.append(
            f"{training[0]} stays in training mode in evaluation: batch statistics join the images"
            if training
            else "images leak into each other: a reshape or a statistic mixes the batch's axis with others"
        )
    if min(owns) == 0:
        causes.append("outputs do not depend on the picture: pixels are detached, or all units of a layer are 0")
    return Finding.judged(
        not causes,
        expected="logits that depend on their own image, and on no other one",
        measured=f"largest derivative of another image {max(leaks):.2g}, of the own one {min(owns):.2g} at least",
        figures={"of another image": max(leaks), "of the own image": min(owns)},
        causes=causes,
        remedy="keep the batch the first axis, and use no statistic of the batch in evaluation mode",
    )


# ---- helpers


def _batches(bench: Bench) -> Any:
    return (bench.batch(k, IMAGES) for k in range(BATCHES_TRIED))


def _targets(bench: Bench) -> Any:
    """Return targets of the first batch that has an image with a class; None where none has."""
    made = (bench.targets(batch) for batch in _batches(bench))
    return next((one for one in made if bool(one.known.any())), None)


def _sure(ids: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
    """Return logits (B, C) of a network that is sure of these classes."""
    logits = np.full((len(ids), classes), -SURE)
    known = ids >= 0
    logits[np.flatnonzero(known), ids[known]] = SURE
    return logits


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _cross_entropy(logits: NDArray[np.float64], ids: NDArray[np.int64]) -> float:
    known = ids >= 0
    largest = logits.max(axis=1)
    sums = largest + np.log(np.exp(logits - largest[:, None]).sum(axis=1))
    return float((sums[known] - logits[np.flatnonzero(known), ids[known]]).mean())


def _near(found: float, expected: float) -> bool:
    return abs(found - expected) <= max(TOLERANCE * abs(expected), PERFECT)


@torch.no_grad()
def _bend(bench: Bench) -> tuple[float, str]:
    """Return how far logits are off linear answers of the output layer, and what that means."""
    images = bench.batch(0, IMAGES).images.to(bench.device)
    plain = bench.new_model()(images).double().cpu().numpy()
    worst, others = 0.0, []
    for factor in FACTORS:
        model = bench.new_model()
        for parameter in model.head.parameters():
            parameter.mul_(factor)
        other = model(images).double().cpu().numpy()
        straight = factor * plain
        reach = max(float(np.abs(straight).max()), 1.0)
        worst = max(worst, float(np.nan_to_num(np.abs(other - straight).max() / reach, nan=np.inf)))
        others.append(other)
    every = np.concatenate(others)
    if np.allclose(every.sum(axis=1), 1, atol=1e-4) and every.min() >= 0:
        return worst, "a softmax in the network: it gives probabilities in place of logits"
    return worst, "the network clips or bends its logits behind the output layer"


def _picture(values: Mapping[str, tuple[float, float]], wrong: Sequence[str]) -> NDArray[np.uint8]:
    page = Page(1, 1, (760, 300), 0)
    names, lengths, words, colours = [], [], [], []
    for name, (found, expected) in values.items():
        names += [name, ""]
        lengths += [found if math.isfinite(found) else 0.0, expected]
        words += [f"{found:.4g} measured", f"{expected:.4g} expected"]
        colours += [RED if wrong else BLUE, MUTED]
    page.panel("What the loss says, and what it should say").rows(names, lengths, words, colours, alarm=False)
    return page.finished()
