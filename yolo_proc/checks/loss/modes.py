"""Hypothesis: training is done in training mode and judged in evaluation mode.

Source: Karpathy, "Most common neural net mistakes", 2018: "you forgot to toggle train/eval mode"; Ioffe and Szegedy,
"Batch normalization", 2015, algorithm 2: batches' statistics in training, running ones afterwards.

One step of training on 16 images, the loss of the averaged network as the stopping rule measures it (of eight images
together, again, and one by one), and one more step. In the steps every normalisation computes in training mode and its
running statistics move towards the batch's; the averaged network's move too. In between all is in evaluation mode and
stands still, and the loss is the same three times.

Thresholds: the running mean goes a tenth of its way to the batch's in a step; 0.02 to 0.5 is let pass, so that other
momenta can be tried (healthy: 0.100 in all of 36 configurations). The three losses agree within 2e-5 (healthy: 6e-8 at
most; sums over another number of images round otherwise). A network without such layers is asked for the losses alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from yolo_proc.checks.bench import Bench
from yolo_proc.checks.check import Check
from yolo_proc.models.network import Yolo
from yolo_proc.plotting.charts import BLUE, RED, Page
from yolo_proc.training.outcomes import Figure, Finding

IMAGES = 8
LEAST_MOVE, MOST_MOVE = 0.02, 0.5  # of the way to the batch's mean, in a step
SAME = 2e-5  # relative, of a loss


@dataclass
class _Watch:
    """The layers that compute otherwise in training, as they are seen to compute.

    Attributes:
        modes: of each layer, whether it was in training mode, at each time.
        means: of each normalisation, the means of what it was given, (K,) each: one a step and part of a batch.
    """

    modes: dict[str, list[bool]] = field(default_factory=dict)
    means: dict[str, list[Tensor]] = field(default_factory=dict)

    def on(self, model: Yolo) -> list[Any]:
        """Begin to watch; what it gives is to be removed."""
        return [module.register_forward_pre_hook(self._hook(name)) for name, module in _switching(model).items()]

    def _hook(self, name: str) -> Any:
        def hook(module: nn.Module, given: tuple[Any, ...]) -> None:
            self.modes.setdefault(name, []).append(module.training)
            if isinstance(module, _BatchNorm):
                x = given[0].detach().double()
                self.means.setdefault(name, []).append(x.mean(dim=[0, *range(2, x.ndim)]))

        return hook

    def those(self, training: bool) -> list[str]:
        """Return names of layers that were in that mode at any time."""
        return [name for name, modes in self.modes.items() if training in modes]


@dataclass
class _Modes:
    """Outputs of the network in its two modes, compared.

    Attributes:
        first, evaluated, second: the step, the evaluation, and the next step.
        moves: of each normalisation, the share of the way to the batch's mean that its running mean has gone.
        average_moved: whether the statistics of the averaged network moved, by normalisation.
        average_training: whether the averaged network was in training mode before it was evaluated.
        changed: names of tensors that an evaluation changed.
        losses: of the images together, again, and one by one.
        without: normalisations that keep no running statistics.
    """

    first: _Watch = field(default_factory=_Watch)
    evaluated: _Watch = field(default_factory=_Watch)
    second: _Watch = field(default_factory=_Watch)
    moves: dict[str, float] = field(default_factory=dict)
    average_moved: dict[str, bool] = field(default_factory=dict)
    average_training: bool = False
    changed: list[str] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    without: list[str] = field(default_factory=list)

    @property
    def spread(self) -> float:
        """Largest difference of the losses, relative."""
        whole = max(abs(self.losses[0]), 1e-12)
        off = max(abs(loss - self.losses[0]) for loss in self.losses) / whole
        return off if np.isfinite(off) else float("inf")


def run(bench: Bench) -> Finding:
    """See the module."""
    seen = _watch(bench)
    causes = [*_training_causes(seen), *_evaluation_causes(seen)]
    moves = list(seen.moves.values())
    still = sum(not moved for moved in seen.average_moved.values())
    figures: dict[str, Figure] = {
        "layers with statistics": len(seen.moves),
        "least move": min(moves, default=None),
        "largest move": max(moves, default=None),
        "averages that stand still": still,
        "tensors changed by evaluation": len(seen.changed),
        "losses' difference": seen.spread,
    }
    told = f"running means go {min(moves):.3g} to {max(moves):.3g} of their way" if moves else "no running means"
    return Finding.judged(
        not causes,
        expected=f"running means go {LEAST_MOVE:g} to {MOST_MOVE:g} of their way in a step, averages follow; "
        "evaluation changes nothing and gives one loss, whatever the batch",
        measured=f"{told}, {still} averages stand still; evaluation changes {len(seen.changed)} tensors, its losses "
        f"differ by {seen.spread:.1e}",
        figures=figures,
        causes=causes,
        remedy="model.train() before steps, model.eval() before judging; the averaged network stays in evaluation mode "
        "and averages the normalisation's statistics too (training/)",
        evidence={"moves": lambda: _picture(seen.moves)},
    )


def _switching(model: Yolo) -> dict[str, nn.Module]:
    """Return the layers that compute otherwise in training."""
    return {name: one for name, one in model.named_modules() if isinstance(one, _BatchNorm | _DropoutNd)}


# --------------------------------------------------------------------------------------------- measurement


def _watch(bench: Bench) -> _Modes:
    """Return a step, an evaluation, a step."""
    seen, state = _Modes(), bench.new_state()
    model, average = state.model, state.ema.model
    # So many that a run which trains in parts has two of them here.
    batch, evaluated = bench.batch(0, 2 * IMAGES), bench.batch(0, IMAGES)
    seen.without = [
        name for name, one in _switching(model).items() if isinstance(one, _BatchNorm) and one.running_mean is None
    ]
    before, average_before = _means(model), _means(average)

    handles = seen.first.on(model)
    bench.learn(state, batch)
    _remove(handles)
    after, average_after = _means(model), _means(average)
    for name, mean in before.items():
        aim = torch.stack(seen.first.means.get(name, [mean])).mean(dim=0) - mean
        seen.moves[name] = float((after[name] - mean) @ aim / (aim @ aim).clamp(min=1e-30))
        seen.average_moved[name] = not torch.equal(average_before[name], average_after[name])

    seen.average_training = average.training
    average.eval()
    tensors = {name: value.clone() for name, value in average.state_dict().items()}
    handles = seen.evaluated.on(average)
    for group in ([evaluated], [evaluated], [bench.batch(k, 1) for k in range(IMAGES)]):
        seen.losses.append(bench.measure_loss(state.averaged, group).mean)
    _remove(handles)
    seen.changed = [name for name, value in average.state_dict().items() if not torch.equal(value, tensors[name])]

    handles = seen.second.on(model)
    bench.learn(state, batch)
    _remove(handles)
    return seen


def _means(model: Yolo) -> dict[str, Tensor]:
    """Return copies of the running means, float64."""
    return {
        name: one.running_mean.detach().double().clone()
        for name, one in _switching(model).items()
        if isinstance(one, _BatchNorm) and one.running_mean is not None
    }


def _remove(handles: Sequence[Any]) -> None:
    for handle in handles:
        handle.remove()


# -------------------------------------------------------------------------------------------------- causes


def _training_causes(seen: _Modes) -> list[str]:
    """Tell of the steps."""
    causes = []
    if seen.without:
        causes.append(f"{_told(seen.without)} no running statistics: evaluation depends on what else is in the batch")
    for watch, when in ((seen.first, "during training"), (seen.second, "after the first evaluation")):
        if watch.those(False):
            causes.append(f"evaluation mode {when}: {_told(watch.those(False))} another mode than training")
            break
    else:
        slow = [name for name, move in seen.moves.items() if not move >= LEAST_MOVE]
        quick = [name for name, move in seen.moves.items() if move > MOST_MOVE]
        for names, word in ((slow, "hardly move"), (quick, "forget at once")):
            if names:
                causes.append(
                    f"the statistics of {names[0]}{_more(names)} {word}: {seen.moves[names[0]]:.2g} of their way to "
                    "the batch's in a step (momentum is the new batch's share in torch)"
                )
    standing = [name for name, moved in seen.average_moved.items() if not moved]
    if standing and all(seen.moves[name] for name in standing):
        causes.append(
            f"the averaged network leaves out the statistics of {standing[0]}{_more(standing)}: its weights are "
            "averaged, its normalisation is as it began"
        )
    return causes


def _evaluation_causes(seen: _Modes) -> list[str]:
    """Tell of what is between them."""
    if seen.evaluated.those(True):
        return [f"training mode during evaluation: {_told(seen.evaluated.those(True))} the mode of training"]
    if seen.average_training:
        return ["the averaged network is left in training mode: whoever judges it has to switch it"]
    if seen.changed:
        return [f"evaluation changes {seen.changed[0]}{_more(seen.changed)}: something learns, or moves, meanwhile"]
    if seen.spread <= SAME:
        return []
    together, again, alone = seen.losses
    if abs(again - together) > SAME * abs(together):
        return [
            f"two evaluations of one network give {together:.6g} and {again:.6g}: something is drawn at random in "
            "evaluation (dropout)"
        ]
    return [
        f"the loss of images one by one, {alone:.6g}, is not theirs together, {together:.6g}: images of a batch "
        "influence each other in evaluation"
    ]


def _told(names: Sequence[str]) -> str:
    return f"{names[0]}{_more(names)} {'has' if len(names) == 1 else 'have'}"


def _more(names: Sequence[str]) -> str:
    return f" and {len(names) - 1} more" if len(names) > 1 else ""


def _picture(moves: Mapping[str, float]) -> NDArray[np.uint8]:
    page = Page(1, 1, (820, max(200, 80 + 26 * len(moves))), 0)
    words = [f"{move:.3g}" for move in moves.values()]
    colours = [BLUE if LEAST_MOVE <= move <= MOST_MOVE else RED for move in moves.values()]
    lengths = [max(move, 0.0) for move in moves.values()]
    if not moves:
        page.panel("Running means").nothing("no layer keeps statistics")
        return page.finished()
    panel = page.panel("How far running means go to the batch's in a step (as a share)")
    panel.rows(list(moves), lengths, words, colours)
    return page.finished()


CHECK = Check(
    "modes",
    group="loss",
    asserted="statistics move in training and stand still in evaluation, and each is done in its own mode",
    quick=True,
    run=run,
    any_task=True,
)
