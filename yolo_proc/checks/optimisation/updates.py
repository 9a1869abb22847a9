"""Hypothesis: each update changes each layer a little: neither nothing nor much, and no unit has stopped to answer.

Source: Karpathy, "Neural networks: zero to hero", 2022, part 3 (the ratio of updates to weights, about 1e-3 for SGD and
Adam; activations and gradients by layer), and CS231n, "Neural networks part 3", "Ratio of weights:updates" and
"Activation / gradient distributions per layer". Dead units: Lu et al., "Dying ReLU and initialization", 2019.

A network from its start takes 40 steps on new scenes, with a warm-up of 10 at most. Of the last 20, for each weight
matrix: norm of the change / norm of the weights at the start, the median over steps (of the weights now it would hide
a rate that is far too high: they grow with it); judged is the median over layers, since single layers (zeros at first,
the output's small weights) may have any ratio. Units are judged on what the network answers to the last batch: one that
gives the same everywhere is dead (it gives 0) or saturated (it gives something else).

Thresholds: 100 healthy runs an optimizer at 96 px (ten kinds: both generators, one class, two grids, no normalisation,
wider, smaller batches, other weights of the loss, no decay of weights, no warm-up; `benchmarks/update_ratio.py`) had
ratios of 1.85e-2 to 2.04e-2 with Muon, 1.04e-2 to 2.80e-2 with AdamW, 1.05e-3 to 1.38e-2 with SGD. The bands leave a
factor of four and more on both sides, for other sizes and for rates that somebody chose (AdamW's upper end: 3.6). With
normalisation no layer had such units; without it up to 83 % died in a layer (AdamW).
"""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from yolo_proc.batch import Batch
from yolo_proc.checks.bench import Bench
from yolo_proc.checks.check import Check
from yolo_proc.checks.optimisation.trial import begin
from yolo_proc.models.network import Yolo
from yolo_proc.plotting.charts import BLUE, MUTED, RED, Axis, Page
from yolo_proc.training.outcomes import Figure, Finding
from yolo_proc.training.step import NotFiniteError

IMAGES = 16
STEPS, MEASURED = 40, 20
# Lowest and highest median ratio that is taken for healthy, by optimizer.
BANDS: Mapping[str, tuple[float, float]] = {"muon": (4e-3, 8e-2), "adamw": (2e-3, 1e-1), "sgd": (2.5e-4, 6e-2)}
STANDS_STILL = 1e-9
SAME = 1e-5  # of a layer's deviation: a unit with less does not vary
MOST_STILL_UNITS = 0.5  # of a layer's
MOST_STILL_UNITS_PLAIN = 0.85  # without normalisation
HE_FACTOR = 8.0
BINS = 48
LOWEST, HIGHEST = 1e-10, 1e2  # of the pictures' axes


@dataclass
class _Layer:
    """One activation's answers to a batch.

    Attributes:
        units, dead, saturated: how many.
        counts: (BINS,) of the answers' sizes.
    """

    name: str
    units: int
    dead: int
    saturated: int
    counts: NDArray[np.int64]

    @property
    def share(self) -> float:
        """Of units that do not vary."""
        return (self.dead + self.saturated) / self.units


@dataclass
class _Updates:
    """Result of a trial.

    Attributes:
        ratios: by weight matrix, the median over steps.
        scales: by weight matrix at the start, deviation / that of He's initialisation; zeros left out.
        gradients: by weight matrix, (BINS,) counts of the last gradient's sizes.
        layers: activations, in the order of the computation.
        still_at_start: share of units that do not vary, by layer, before the first step.
        diverged: whether a loss was not finite.
    """

    ratios: dict[str, float] = field(default_factory=dict)
    scales: dict[str, float] = field(default_factory=dict)
    gradients: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    layers: list[_Layer] = field(default_factory=list)
    still_at_start: dict[str, float] = field(default_factory=dict)
    diverged: bool = False

    @property
    def ratio(self) -> float:
        """The median over layers; infinite where training broke down."""
        return math.inf if self.diverged or not self.ratios else statistics.median(self.ratios.values())

    @property
    def still(self) -> list[str]:
        """Weight matrices that no update changes."""
        return [name for name, ratio in self.ratios.items() if ratio <= STANDS_STILL]

    def unwell(self, most: float) -> list[_Layer]:
        """Return layers of which a larger share of the units does not vary."""
        return [layer for layer in self.layers if layer.share > most]


def run(bench: Bench) -> Finding:
    """See the module."""
    seen = _watch(bench)
    low, high = BANDS[bench.config.optim.name]
    most = MOST_STILL_UNITS if bench.config.model.batch_norm else MOST_STILL_UNITS_PLAIN
    causes = _causes(bench, seen, most)
    worst = max(seen.layers, key=lambda layer: layer.share, default=None)
    figures: dict[str, Figure] = {"ratio": seen.ratio, "lowest": low, "highest": high, "layers": len(seen.ratios)}
    figures |= {f"ratio {name}": ratio for name, ratio in seen.ratios.items()}
    figures |= {"largest share of units without change": worst.share if worst is not None else 0.0}
    for layer in seen.layers:
        if layer.share:
            figures |= {f"dead {layer.name}": layer.dead, f"saturated {layer.name}": layer.saturated}
    told = f"{worst.share:.0%} in {worst.name}" if worst is not None and worst.share else "0 %"
    return Finding.judged(
        not causes,
        expected=f"a median ratio of {low:.0e} to {high:.0e} ({bench.config.optim.name}), every layer moves, at most "
        f"{most:.0%} of a layer's units dead or saturated",
        measured=f"median {seen.ratio:.2e} over {len(seen.ratios)} layers, {len(seen.still)} stand still, most units "
        f"without change: {told}",
        figures=figures,
        causes=causes,
        remedy="set another --optim.lr (or none: the default suits the optimizer); see the picture for the layer where "
        "answers or gradients vanish",
        evidence={"layers": lambda: _picture(seen, low, high, most)},
    )


# --------------------------------------------------------------------------------------------- measurement


def _watch(bench: Bench) -> _Updates:
    state, seen = begin(bench), _Updates()
    size = min(IMAGES, bench.batch_size)
    seen.scales = dict(_scales(state.model))
    ratios: dict[str, list[float]] = {name: [] for name, _ in matrices(state.model)}
    sizes = {name: float(weight.detach().norm()) for name, weight in matrices(state.model)}
    last: Batch | None = None
    try:
        for step, batch in enumerate(bench.drawn(STEPS * size, size)):
            if last is None:
                seen.still_at_start = {layer.name: layer.share for layer in _answers(bench, bench.new_model(), batch)}
            before = {name: weight.detach().clone() for name, weight in matrices(state.model)}
            bench.learn(state, batch)
            if step >= STEPS - MEASURED:
                for name, weight in matrices(state.model):
                    ratios[name].append(_ratio(before[name], weight.detach(), sizes[name]))
            last = batch
    except NotFiniteError:
        seen.diverged = True
    seen.ratios = {name: statistics.median(values) for name, values in ratios.items() if values}
    for name, weight in matrices(state.model):
        if weight.grad is not None:
            seen.gradients[name] = _counts(weight.grad)
    if last is not None:
        seen.layers = list(_answers(bench, state.model, last))
    return seen


def matrices(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield filters and matrices, by the name of their layer."""
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1:
            yield name.removesuffix(".weight"), parameter


def _scales(model: nn.Module) -> Iterator[tuple[str, float]]:
    """Yield deviations as multiples of sqrt(2 / inputs); zeros and the output layer have reasons of their own."""
    for name, weight in matrices(model):
        size = float(weight.detach().square().mean().sqrt())
        if size > 0 and not name.startswith("head."):
            yield name, size / math.sqrt(2 / weight[0].numel())


def _ratio(before: Tensor, after: Tensor, size: float) -> float:
    """Return norm of the change / `size`, or where that is 0 / the norm of the weights now."""
    change = float((after - before).norm())
    size = size or float(after.norm())
    return change / size if size > 0 else 0.0


def _counts(values: Tensor) -> NDArray[np.int64]:
    """Return (BINS,) of the sizes; zeros count for the smallest."""
    sizes = values.detach().abs().flatten().float().cpu().numpy()
    sizes = sizes[:: max(1, len(sizes) // 100_000)]
    places = np.log(np.clip(np.nan_to_num(sizes, nan=HIGHEST), LOWEST, HIGHEST) / LOWEST)
    places *= BINS / math.log(HIGHEST / LOWEST)
    return np.bincount(np.minimum(places.astype(np.int64), BINS - 1), minlength=BINS)


@torch.no_grad()
def _answers(bench: Bench, model: Yolo, batch: Batch) -> Iterator[_Layer]:
    """Yield what each activation gives for a batch, in the order of the computation."""
    found: list[_Layer] = []

    def watch(name: str, module: nn.Module) -> torch.utils.hooks.RemovableHandle:
        return module.register_forward_hook(lambda *given: found.append(_layer(name, given[-1])))

    handles = [watch(name, module) for name, module in model.named_modules() if _activates(module)]
    try:
        bench.forward_loss(model, batch)
    finally:
        for handle in handles:
            handle.remove()
    yield from found


def _activates(module: nn.Module) -> bool:
    """Return whether a module is an activation: nothing in it, nothing to be learned, and not the identity."""
    inner = next(module.children(), None) is not None or next(module.parameters(recurse=False), None) is not None
    return not inner and not isinstance(module, nn.Identity | nn.ModuleList | nn.ModuleDict | nn.Sequential)


def _layer(name: str, output: Tensor) -> _Layer:
    """Tell of answers (B, K, ...)."""
    answers = output.detach().float().transpose(0, 1).flatten(1)  # (K, everything else)
    spread = answers.amax(dim=1) - answers.amin(dim=1)
    usual = float(answers.std())
    still = spread <= SAME * usual
    nothing = answers.abs().amax(dim=1) <= SAME * usual
    dead, saturated = int((still & nothing).sum()), int((still & ~nothing).sum())
    return _Layer(name, len(answers), dead, saturated, _counts(answers))


# -------------------------------------------------------------------------------------------------- causes


def _causes(bench: Bench, seen: _Updates, most: float) -> list[str]:
    """Return what is wrong, the likeliest first; nothing where all is well."""
    low, high = BANDS[bench.config.optim.name]
    rate = bench.config.optim.peak_lr
    if seen.diverged:
        return [f"the loss is not finite after a few steps: the learning rate is too high ({rate:g})"]
    causes = []
    scale = statistics.median(seen.scales.values()) if seen.scales else 1.0
    if not low <= seen.ratio <= high and not 1 / HE_FACTOR <= scale <= HE_FACTOR:
        causes.append(
            f"weights start {scale:.3g} x as large as they should (deviation sqrt(2 / inputs)), so that updates are "
            f"{seen.ratio:.1e} of them"
        )
    if seen.ratio > high:
        causes.append(f"the learning rate is too high ({rate:g}): updates are {seen.ratio:.1e} of the weights")
    unwell = seen.unwell(most)
    if unwell:
        told = ", ".join(_told(layer) for layer in unwell[:4])
        if all(seen.still_at_start.get(layer.name, 0.0) <= most for layer in unwell):
            causes.append(
                f"the learning rate is too high ({rate:g}): units died or saturated within {STEPS} steps: {told}"
            )
        else:
            causes.append(f"units that answer the same to everything: {told}; what they should pass on is lost")
    if seen.still and len(seen.still) < len(seen.ratios):
        told = ", ".join(seen.still[:4]) + (", ..." if len(seen.still) > 4 else "")
        causes.append(
            f"{len(seen.still)} of {len(seen.ratios)} weight matrices stand still ({told}): they are frozen, not given "
            "to the optimizer, or have no gradient"
        )
    elif seen.ratio < low:
        causes.append(f"the learning rate is too low ({rate:g}): updates are {seen.ratio:.1e} of the weights")
    return causes


def _told(layer: _Layer) -> str:
    kinds = [f"{count} {kind}" for count, kind in ((layer.dead, "dead"), (layer.saturated, "saturated")) if count]
    return f"{' and '.join(kinds)} of {layer.units} units in {layer.name}"


# ------------------------------------------------------------------------------------------------- evidence


def _picture(seen: _Updates, low: float, high: float, most: float) -> NDArray[np.uint8]:
    """Return ratios by layer; sizes of activations and of gradients by layer, the first layer at the top."""
    rows = max(len(seen.ratios), len(seen.layers), 1)
    page = Page(3, 1, (560, 100 + 22 * max(rows, 8)), 0)
    panel = page.panel("Update / weights")
    panel.note(f"median {seen.ratio:.1e}, healthy {low:.0e} to {high:.0e}")
    names = list(seen.ratios)
    words = [f"{seen.ratios[name]:.1e}" for name in names]
    lengths = [max(0.0, math.log10(min(max(seen.ratios[name], 1e-8), 1e2)) + 8) for name in names]
    panel.rows(names, lengths, words, [RED if name in seen.still else BLUE for name in names])
    told = [(layer.name, layer.counts, layer.share > most) for layer in seen.layers]
    _sizes(page, "Activations", "size of an answer", told)
    _sizes(page, "Gradients", "size of a gradient", [(name, one, False) for name, one in seen.gradients.items()])
    return page.finished()


def _sizes(page: Page, title: str, label: str, rows: Sequence[tuple[str, NDArray[np.int64], bool]]) -> None:
    panel = page.panel(title)
    if not rows:
        panel.nothing("there are none")
        return
    panel.note(f"{rows[0][0]} at the top, {rows[-1][0]} at the bottom")
    panel.axes(Axis(label, LOWEST, HIGHEST, log=True, tell="{:.0e}".format), Axis("layer", float(len(rows)), 0.0))
    panel.heat(np.stack([counts for _, counts, _ in rows]))
    for place, (_, _, unwell) in enumerate(rows):
        panel.curve([LOWEST, HIGHEST], [place, place], RED if unwell else MUTED, 2.0 if unwell else 0.5)


CHECK = Check(
    "updates",
    group="optimisation",
    asserted="updates change each layer by a healthy share of its weights; units answer to what they see",
    quick=False,
    run=run,
    any_task=True,
)
