"""Hypothesis: one step does what it says: new gradients, clipped by their norm, declared rate and decay of weights.

Source: Karpathy, "A recipe for training neural networks", 2019, and "Most common neural net mistakes", 2018 (forgotten
zero_grad); Pascanu et al., "On the difficulty of training recurrent neural networks", 2013, section 3.2, for clipping
by the norm, which keeps the direction; the schedule as in `optim.py`.

Four steps on one batch of eight images, each on a network as it begins, are watched at the moment of the update:

    first step      with old gradients left behind; the update must see the gradient that a plain backward pass gives
    end of warm-up  with the loss x 1e6; the update must see the same direction with the norm of the limit
    inside a decay  for the rate alone
    without a loss  with the loss x 1e-25; weights must shrink by rate x decay, and all else must stand still

Thresholds: a cosine of 0.99 with the plain gradient, since the same operations give 1 - 1e-6 on a processor and
nearly so with unordered sums; norms, losses and rates within 1 %, what weights shrink by within 5 % (42
healthy networks: 0.05 % off at most). A forgotten zero_grad gives cosines near 0, a loss that is clipped gives norms of
0 or off by the factor.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from yolo_proc.batch import Batch
from yolo_proc.checks.bench import Bench
from yolo_proc.checks.check import Check
from yolo_proc.config.schema import OptimConfig
from yolo_proc.detection.task import DetectionTask
from yolo_proc.plotting.charts import BLUE, GREEN, RED, Axis, Page
from yolo_proc.training.optim import ADAM_SHARE
from yolo_proc.training.outcomes import Figure, Finding
from yolo_proc.training.schedule import FLOOR, Decay
from yolo_proc.training.state import TrainingState
from yolo_proc.training.step import StepResult

IMAGES = 8
PROVOCATION = 1e6
SILENCE = 1e-25  # so that even what is divided by its own size is nothing beside an epsilon of 1e-8
COSINE = 0.99
TOLERANCE = 0.01
_BY_VALUE = "clipped value by value perhaps, in place of by their norm"
SGD_MOMENTUM = 0.9
SHRINKING_TOLERANCE, LEAST_SHRINKING = 0.05, 1e-6  # share, and share of a weight
CONSTANT_STEPS = 10  # between the end of the warm-up and the decay that is tried


@dataclass(frozen=True)
class _Watched:
    """Gradients and weights that an update was seen with.

    Attributes:
        step: its number.
        gradient: (P,) of all parameters, float64; empty where no update was made.
        rates: of each group, as shares of what the group has of the schedule's.
        counted: whether the state's step went on by one.
    """

    step: int
    result: StepResult
    gradient: Tensor
    rates: tuple[float, ...]
    counted: bool

    @property
    def norm(self) -> float:
        return float(self.gradient.norm())

    def cosine(self, other: Tensor) -> float:
        """Return the cosine with another gradient; 0 where one of them vanishes."""
        if self.gradient.shape != other.shape:
            return 0.0
        product = float(self.gradient.norm() * other.norm())
        return float(self.gradient @ other) / product if product > 0 else 0.0


def run(bench: Bench) -> Finding:
    """See the module."""
    batch, optim = bench.batch(0, IMAGES), bench.config.optim
    plain, loss = _plain_gradient(bench, batch)
    decay = Decay(optim.warmup_steps + CONSTANT_STEPS, optim.decay_steps)
    steps = (0, optim.warmup_steps, decay.start + decay.steps // 2)
    first = _watch(bench, batch, steps[0], stale=True)
    provoked = _watch(bench, batch, steps[1], task=_louder(bench.task, PROVOCATION))
    decaying = _watch(bench, batch, steps[2], decay=decay)
    declared = [declared_rate(optim, step, decay) for step in steps]
    watched = (first, provoked, decaying)
    shrinking = _shrinking(bench, batch, steps[1])
    causes = [*_gradient_causes(first, plain, loss), *_clipping_causes(provoked, first, plain, loss, optim.clip_norm)]
    causes += _rate_causes(watched, declared)
    causes += _shrinking_causes(shrinking)
    figures: dict[str, Figure] = {
        "gradient norm": float(plain.norm()),
        "cosine of the first step": first.cosine(plain),
        "norm under provocation": provoked.norm,
        "cosine under provocation": provoked.cosine(plain),
        "loss under provocation": provoked.result.loss,
    }
    for step, one, rate in zip(steps, watched, declared, strict=True):
        figures |= {f"rate at step {step}": one.rates[0] if one.rates else None, f"declared rate at step {step}": rate}
    most = max(shrinking.matrices, key=lambda pair: abs(pair[0] - pair[1]), default=(0.0, 0.0))
    figures |= {"shrinking farthest from declared": most[0], "declared there": most[1]}
    limit = f"norm {optim.clip_norm:g}" if optim.clip_norm > 0 else "no limit of the norm"
    return Finding.judged(
        not causes,
        expected=f"cosine 1 with the plain gradient; with the loss x 1e6 cosine 1 and {limit}; rates {_told(declared)} "
        f"at steps {', '.join(map(str, steps))}; weights shrink by {most[1]:.2g} without a loss",
        measured=f"cosine {first.cosine(plain):.4f}; with the loss x 1e6 cosine {provoked.cosine(plain):.4f} and norm "
        f"{provoked.norm:.4g}; rates {_told([one.rates[0] if one.rates else math.nan for one in watched])}; weights "
        f"shrink by {most[0]:.2g}",
        figures=figures,
        causes=causes,
        remedy="a step zeroes gradients, goes backward from the loss as it is, clips the gradients' norm and updates "
        "at the schedule's rate, in this order (training/step.py)",
        evidence={"rates": lambda: _picture(optim, decay, watched, declared)},
    )


def declared_rate(optim: OptimConfig, step: int, decay: Decay | None) -> float:
    """Return the rate that the configuration declares for an update: linear warm-up, constant, linear decay."""
    rate = optim.peak_lr
    if step < optim.warmup_steps:
        rate *= (step + 1) / (optim.warmup_steps + 1)
    if decay is not None and step >= decay.start:
        rate *= max(FLOOR, 1 - (1 - FLOOR) * (step - decay.start + 1) / decay.steps)
    return rate


# --------------------------------------------------------------------------------------------- measurement


def _plain_gradient(bench: Bench, batch: Batch) -> tuple[Tensor, float]:
    """Return the gradient of the first loss, (P,) float64, and that loss."""
    model = bench.new_model()
    bench.objective(model, batch).backward()  # type: ignore[no-untyped-call]
    with torch.no_grad():
        loss, _, _ = bench.forward_loss(bench.new_model(), batch)
    return _flat([parameter.grad for parameter in model.parameters() if parameter.requires_grad]), loss.item()


def _watch(
    bench: Bench,
    batch: Batch,
    step: int,
    *,
    task: DetectionTask | None = None,
    decay: Decay | None = None,
    stale: bool = False,
) -> _Watched:
    """Update `step` of a network as it begins.

    Args:
        stale: whether old gradients are left behind.
    """
    state = bench.new_state()
    state.step = step
    if decay is not None:
        state.schedule.begin_decay(decay)
    parameters = [parameter for parameter in state.model.parameters() if parameter.requires_grad]
    if stale:
        for parameter in parameters:
            parameter.grad = torch.ones_like(parameter)
    seen: list[tuple[Tensor, tuple[float, ...]]] = []

    def at_update(*_: Any) -> None:
        seen.append((_flat([parameter.grad for parameter in parameters]), _rates(state)))

    handle = state.optimizer.register_step_pre_hook(at_update)
    try:
        result = bench.learn(state, batch, task)
    finally:
        handle.remove()
    gradient, rates = seen[-1] if seen else (torch.zeros(0, dtype=torch.float64), ())
    return _Watched(step, result, gradient, rates, state.step == step + 1)


@dataclass(frozen=True)
class _Shrinking:
    """Change of weights that an update makes without a gradient.

    Attributes:
        matrices: (share that is lost, declared share) of each weight matrix that is not 0.
        moved: how many biases and parameters of a normalisation changed.
        decay: what is multiplied by the rate.
    """

    matrices: tuple[tuple[float, float], ...]
    moved: int
    decay: float


def _shrinking(bench: Bench, batch: Batch, step: int) -> _Shrinking:
    optim, state = bench.config.optim, bench.new_state()
    state.step = step
    before = {id(parameter): parameter.detach().clone() for parameter in state.model.parameters()}
    bench.learn(state, batch, _louder(bench.task, SILENCE))
    # SGD takes the decay for a gradient, which Nesterov's momentum makes 1.9 times as large at first.
    factor = optim.weight_decay * (1 + SGD_MOMENTUM if optim.name == "sgd" else 1.0)
    matrices, moved = [], 0
    for group in state.optimizer.param_groups:
        for parameter in group["params"]:
            old, new = before[id(parameter)].double(), parameter.detach().double()
            square = float(old.square().sum())
            if parameter.ndim <= 1:
                moved += float((new - old).abs().max()) > LEAST_SHRINKING
            elif square > 0:
                matrices.append((1 - float((old * new).sum()) / square, float(group["lr"]) * factor))
    return _Shrinking(tuple(matrices), moved, factor)


def _flat(gradients: Sequence[Tensor | None]) -> Tensor:
    """Return all gradients as one vector (P,), float64 on the processor."""
    found = [gradient.detach().double().flatten().cpu() for gradient in gradients if gradient is not None]
    return torch.cat(found) if found else torch.zeros(0, dtype=torch.float64)


def _rates(state: TrainingState) -> tuple[float, ...]:
    """Return the rate of each group; AdamW's groups beside Muon are declared to have a share of the schedule's."""
    return tuple(
        float(group["lr"]) / (1.0 if group.get("orthogonal", True) else ADAM_SHARE)
        for group in state.optimizer.param_groups
    )


def _louder(task: DetectionTask, factor: float) -> DetectionTask:
    """Return the same task with every weight of the loss times `factor`."""
    louder: DetectionTask = object.__new__(type(task))
    vars(louder).update(vars(task))
    louder.weights = {term: factor * weight for term, weight in task.weights.items()}
    loss = task.loss_config
    louder.loss_config = replace(
        loss, weight_overlap=factor * loss.weight_overlap, weight_auxiliary=factor * loss.weight_auxiliary
    )
    return louder


# -------------------------------------------------------------------------------------------------- causes


def _near(measured: float, expected: float) -> bool:
    return abs(measured - expected) <= TOLERANCE * abs(expected)


def _gradient_causes(first: _Watched, plain: Tensor, loss: float) -> list[str]:
    if not len(first.gradient):
        return ["the optimizer's step is never called: no weight is changed"]
    if first.cosine(plain) < COSINE:
        if _stale_share(first.gradient, plain) > 1 - COSINE:
            return ["gradients are not zeroed before the backward pass (no zero_grad): the update saw old ones too"]
        return [f"gradients are turned before the update, {_BY_VALUE}"]
    if not _near(first.result.loss, loss):
        return [f"the step reports a loss of {first.result.loss:.4g}, the loss is {loss:.4g}: it is changed on the way"]
    return []


def _stale_share(gradient: Tensor, plain: Tensor) -> float:
    """Return how much of a gradient is the one that was left behind, all ones; 0 if it is no mixture of it and the
    plain.
    """
    if gradient.shape != plain.shape:
        return 0.0
    parts = torch.stack([plain / plain.norm().clamp(min=1e-30), torch.full_like(plain, len(plain) ** -0.5)], dim=1)
    shares = torch.linalg.lstsq(parts, gradient[:, None]).solution[:, 0]  # (2,)
    left = gradient - parts @ shares
    return float(shares[1].abs() / gradient.norm()) if left.norm() <= (1 - COSINE) * gradient.norm() else 0.0


def _clipping_causes(provoked: _Watched, first: _Watched, plain: Tensor, loss: float, limit: float) -> list[str]:
    """Tell of the step with the loss x 1e6."""
    whole = PROVOCATION * float(plain.norm())
    expected = min(whole, limit) if limit > 0 else whole
    right_way = provoked.cosine(plain) >= COSINE
    if right_way and _near(provoked.norm, expected) and _near(provoked.result.loss, PROVOCATION * loss):
        return []
    if not right_way and first.cosine(plain) < COSINE:
        return []  # that has been told already
    if provoked.norm == 0 or not _near(provoked.result.loss, PROVOCATION * loss) or provoked.norm < 0.99 * expected:
        return ["the loss is clipped in place of the gradients: beyond the limit nothing, or too little, is learned"]
    if not right_way:
        return [f"gradients are turned where they are large, {_BY_VALUE}"]
    return [f"gradients are not clipped, or after the update: their norm is {provoked.norm:.3g}, the limit {limit:g}"]


def _rate_causes(watched: Sequence[_Watched], declared: Sequence[float]) -> list[str]:
    """Tell of the rates of all groups at all steps."""
    moved = [one for one in watched if one.rates]
    if not all(one.counted for one in watched):
        return ["the schedule is never stepped: the number of the step does not go on"]
    pairs = [(rate, wanted) for one, wanted in zip(watched, declared, strict=True) for rate in one.rates]
    if all(_near(rate, wanted) for rate, wanted in pairs):
        return []
    ratios = [rate / wanted if wanted > 0 else math.inf for rate, wanted in pairs]
    if max(ratios) <= 1.01 * min(ratios):
        return [f"the learning rate is {ratios[0]:.4g} x the declared one at every step"]
    if len({one.rates for one in moved}) == 1 and len(set(declared)) > 1:
        return [f"the schedule is never stepped: the rate is {moved[0].rates[0]:.4g} at every step"]
    worst = max(pairs, key=lambda pair: abs(math.log(max(pair[0], 1e-30) / max(pair[1], 1e-30))))
    return [
        f"the learning rate is {worst[0]:.4g} where {worst[1]:.4g} is declared: another schedule, or a group without it"
    ]


def _shrinking_causes(seen: _Shrinking) -> list[str]:
    """Tell of an update without a gradient."""
    wrong = [pair for pair in seen.matrices if abs(pair[0] - pair[1]) > SHRINKING_TOLERANCE * pair[1] + LEAST_SHRINKING]
    if wrong:
        lost, wanted = max(wrong, key=lambda pair: abs(pair[0] - pair[1]))
        words = f"weights shrink by {lost:.3g} a step where {wanted:.3g} is declared"
        if abs(lost - seen.decay) <= SHRINKING_TOLERANCE * seen.decay:
            return [f"the decay of weights is not multiplied by the learning rate: {words}"]
        return [f"the decay of weights is another than declared: {words}"]
    if seen.moved:
        return [f"{seen.moved} biases or parameters of a normalisation change without a gradient: they decay too"]
    return []


def _told(rates: Sequence[float]) -> str:
    return ", ".join(f"{rate:.3g}" for rate in rates)


def _picture(
    optim: OptimConfig, decay: Decay, watched: Sequence[_Watched], declared: Sequence[float]
) -> NDArray[np.uint8]:
    last = decay.start + decay.steps
    xs = np.unique(np.linspace(0, last, 200).astype(int))
    measured = [one.rates[0] if one.rates else 0.0 for one in watched]
    panel = Page(1, 1, (760, 400), 0)
    plot = panel.panel("Learning rate: declared, and at the updates that were watched")
    plot.axes(Axis("step", 0, float(last)), Axis("rate", 0, 1.1 * max(*measured, *declared, 1e-12)))
    plot.curve(xs, [declared_rate(optim, int(x), decay) for x in xs], BLUE)
    same = all(_near(rate, wanted) for rate, wanted in zip(measured, declared, strict=True))
    plot.crosses([(one.step, rate) for one, rate in zip(watched, measured, strict=True)], GREEN if same else RED)
    return panel.finished()


CHECK = Check(
    "step",
    group="optimisation",
    asserted="one step zeroes gradients, clips their norm and not the loss, and updates at the declared rate",
    quick=True,
    run=run,
    any_task=True,
)
