"""Hypothesis: logits go into the loss: a perfect prediction scores 0, a sure wrong one much, probabilities neither.

Source: Karpathy, "Most common neural net mistakes", 2018: "you passed softmaxed outputs to a loss that expects raw
logits". With C = 3 a loss that takes a softmax of a softmax still learns, but cannot fall below ln(1 + 2/e) = 0.55.

For the targets of eight images three predictions are made by hand and scored: perfect logits (J and classes +-20, the
inverses of the targets); the same with one thing wrong at a time (J turned round, the next class, sides e times too
large, centres at the other side of the cell); and the perfect prediction as probabilities, which a loss that takes
logits does not find perfect. The network is asked too: its output layer is linear, so that weights and biases times k
give logits times k, which no activation does (k = -1000 and 3000).

Thresholds: perfect terms below 1e-4 (healthy: 2e-9, what softplus leaves of 20); the others within 1 % of what
`loss_by_hand.py` says; logits within 1 % of the linear answer (healthy: 7e-7 at most in 36
configurations at 96 px and at 256 px).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from yolo_proc.checks.bench import Bench
from yolo_proc.checks.check import Check
from yolo_proc.checks.loss import class_loss
from yolo_proc.checks.loss.loss_by_hand import Aims, Array, activated, perfect_logits, terms_by_hand
from yolo_proc.plotting.charts import BLUE, MUTED, RED, Page
from yolo_proc.task import mean_terms
from yolo_proc.training.outcomes import Figure, Finding

IMAGES = 8
IMAGES_THROUGH = 4  # the network
BATCHES_TRIED = 8  # until one has an object
PERFECT = 1e-4
TOLERANCE = 0.01
FACTORS = (-1000.0, 3000.0)
FIELDS = {"x, y": slice(0, 2), "w, h": slice(2, 4), "J": slice(4, 5), "classes": slice(5, None)}


@dataclass(frozen=True)
class _Scored:
    """A prediction and what the loss says of it.

    Attributes:
        term: that is to notice; empty for all.
        found, expected: the mean of each term.
    """

    name: str
    term: str
    found: Mapping[str, float]
    expected: Mapping[str, float]

    def told(self, term: str) -> str:
        return f"{self.name}: {term} {self.found.get(term, float('nan')):.4g}"

    def wrong(self) -> list[str]:
        """Return the terms that are not as expected."""
        return [term for term, value in self.expected.items() if not _near(self.found.get(term, np.nan), value)]


def _near(found: float, expected: float) -> bool:
    return abs(found - expected) <= max(TOLERANCE * abs(expected), PERFECT)


def run(bench: Bench) -> Finding:
    """See the module."""
    made = (bench.targets(bench.batch(k, IMAGES)) for k in range(BATCHES_TRIED))
    targets = next((one for one in made if len(one.slot)), None)
    if targets is None:
        return Finding.not_applicable(f"the first {BATCHES_TRIED} batches have no object with a slot")
    scored = _scores(bench, targets)
    crooked = _crooked(bench)
    perfect, *others = scored
    wrong = [(one, term) for one in scored for term in one.wrong()]
    figures: dict[str, Figure] = {f"{one.name}: {term}": value for one in scored for term, value in one.found.items()}
    figures |= {f"{name} off linear": off for name, (off, _) in crooked.items()}
    bent = {name: told for name, (off, told) in crooked.items() if off > TOLERANCE}
    worst = max(perfect.found.values())
    of_wrong = [one for one in others if one.term]
    return Finding.judged(
        not wrong and not bent,
        expected=f"a perfect prediction scores 0; {_told(of_wrong, True)}; the output layer is linear",
        measured=f"a perfect prediction {worst:.2g}; {_told(of_wrong, False)}; the output is off a linear one by "
        f"{max(off for off, _ in crooked.values()):.1e}",
        figures=figures,
        causes=[*bent.values(), *_score_causes(scored)],
        remedy="the network gives raw logits and the loss takes them: no sigmoid, softmax or exp anywhere between "
        "(they belong to codec.activate, outside)",
        evidence={"scores": lambda: _picture(scored)},
    )


# --------------------------------------------------------------------------------------------------- scores


def _scores(bench: Bench, targets: Any) -> list[_Scored]:
    """Return the perfect prediction, one thing wrong at a time, and the perfect one as probabilities."""
    aims = Aims.of(targets)
    shape = (IMAGES, bench.codec.slots, bench.codec.fields)
    perfect = perfect_logits(aims, shape)
    mistakes = {
        "J turned round": ("obj_t", _turned(perfect)),
        "sides e times too large": ("wh", _larger(perfect, aims)),
        "centres across the cell": ("xy", _across(perfect, aims)),
    }
    if shape[2] > 6:
        next_class = replace(aims, class_id=(aims.class_id + 1) % (shape[2] - 5))
        mistakes["the next class"] = ("class", perfect_logits(next_class, shape))
    predictions = {"perfect": ("", perfect), **mistakes, "perfect, as probabilities": ("", activated(perfect))}
    scored = []
    for name, (term, logits) in predictions.items():
        with torch.no_grad():
            outputs = torch.from_numpy(logits).float().to(bench.device)
            found = {one: float(mean) for one, mean in mean_terms(bench.task.loss(outputs, targets)).items()}
        expected = {one: mean for one, (mean, _) in terms_by_hand(logits, aims).items()}
        scored.append(_Scored(name, term, found, expected))
    return scored


def _turned(perfect: Array) -> Array:
    logits = perfect.copy()
    logits[..., 4] *= -1
    return logits


def _larger(perfect: Array, aims: Aims) -> Array:
    logits = perfect.copy()
    logits[aims.image, aims.slot, 2:4] += 1
    return logits


def _across(perfect: Array, aims: Aims) -> Array:
    logits = perfect.copy()
    logits[aims.image, aims.slot, :2] = np.where(aims.xy < 0.5, 20.0, -20.0)
    return logits


def _score_causes(scored: Sequence[_Scored]) -> list[str]:
    """Return why the scores are not as declared, the likeliest first."""
    causes = []
    perfect, probabilities = scored[0], scored[-1]
    for term in perfect.expected:
        wrong = [one for one in scored if term in one.wrong()]
        if not wrong:
            continue
        if perfect in wrong and _near(perfect.found.get(term, np.nan), probabilities.expected[term]):
            name = "a softmax" if term == "class" else "an exp" if term == "wh" else "a sigmoid"
            causes.append(
                f"{name} before the loss: a perfect prediction costs {perfect.found[term]:.3g} in {term}, as its "
                "probabilities would in place of logits"
            )
        elif _near(probabilities.found.get(term, np.nan), 0.0) and probabilities in wrong:
            causes.append(f"the loss takes probabilities for {term}: it finds them perfect, and not the logits")
        elif perfect in wrong:
            causes.append(
                f"a perfect prediction costs {perfect.found.get(term, np.nan):.3g} in {term}: the loss compares with "
                "other targets than the encoder's, or clips or smooths what it is given"
            )
        else:
            one = max(wrong, key=lambda one: one.expected[term])
            causes.append(
                f"{one.name}, {term} costs {one.found.get(term, np.nan):.3g} in place of {one.expected[term]:.3g}: "
                "clipped, or another function than declared"
            )
    return causes


# -------------------------------------------------------------------------------------------------- network


@torch.no_grad()
def _crooked(bench: Bench) -> dict[str, tuple[float, str]]:
    """Return {fields: (how far logits are off linear answers of the output layer, what that means)}."""
    images = bench.batch(0, IMAGES).images[:IMAGES_THROUGH].to(bench.device)
    plain = bench.new_model()(images).double().cpu().numpy()
    others = []
    for factor in FACTORS:
        model = bench.new_model()
        for parameter in model.head.parameters():
            parameter.mul_(factor)
        others.append(model(images).double().cpu().numpy())
    found = {}
    for name, part in FIELDS.items():
        off = 0.0
        for factor, other in zip(FACTORS, others, strict=True):
            straight = factor * plain[..., part]
            reach = max(float(np.abs(straight).max()), 1.0)
            off = max(off, float(np.nan_to_num(np.abs(other[..., part] - straight).max() / reach, nan=np.inf)))
        found[name] = off, _bend([other[..., part] for other in others], name)
    return found


def _bend(logits: Sequence[Array], name: str) -> str:
    """Return what a network did to logits that should reach far below and above 0."""
    every = np.concatenate([one.reshape(-1, one.shape[-1]) for one in logits])
    low, high = float(every.min()), float(every.max())
    seen = f"(its {name} lie between {low:.3g} and {high:.3g} whatever its weights)"
    if every.shape[1] > 1 and np.allclose(every.sum(axis=1), 1, atol=1e-4) and low >= 0:
        return f"a softmax in the network: it gives probabilities in place of logits {seen}"
    if low >= 0 and high <= 1:
        return f"a sigmoid before the loss, in the network: it gives probabilities in place of logits {seen}"
    if low >= -1 and high <= 1:
        return f"a tanh in the network, in place of logits {seen}"
    if low >= 0:
        return f"an exp, or a rectifier, behind the output layer: it gives no raw logits {seen}"
    return f"the network clips or bends its logits behind the output layer {seen}"


def _told(scored: Sequence[_Scored], expected: bool) -> str:
    scores = ((one.name, (one.expected if expected else one.found).get(one.term, np.nan)) for one in scored)
    return ", ".join(f"{name} {score:.3g}" for name, score in scores)


def _picture(scored: Sequence[_Scored]) -> NDArray[np.uint8]:
    page = Page(1, 1, (900, 500), 0)
    names, values, words, colours = [], [], [], []
    for one in scored:
        wrong = one.wrong()
        for term in [one.term] if one.term else list(one.expected):
            found = one.found.get(term, np.nan)
            names.append(f"{one.name}: {term}")
            values.append(float(np.log1p(found)) if np.isfinite(found) and found > 0 else 0.0)
            words.append(f"{found:.4g}, expected {one.expected[term]:.4g}")
            colours.append(RED if term in wrong else BLUE if one.term else MUTED)
    page.panel("What the loss says of made predictions (lengths: ln(1 + score))").rows(
        names, values, words, colours, alarm=False
    )
    return page.finished()


CHECK = Check(
    "logits",
    group="loss",
    asserted="the loss takes raw logits and the network gives them: perfect ones score 0, sure wrong ones much",
    quick=True,
    run=run,
    other_tasks={"classification": class_loss.logits_in},
)
