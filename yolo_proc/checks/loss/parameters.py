"""Hypothesis: everything that should train does, and nothing is there in vain.

Source: Karpathy, "A recipe for training neural networks", 2019, on bugs that let a network train a bit worse; Ioffe
and Szegedy, "Batch normalization", 2015, section 3.2: a bias in front of a normalisation is subtracted again; Glorot
and Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010, on units that are off.

Four steps of training on eight images each are watched at the update, not the first alone: residual blocks start as
the identity, so that at first some gradients are exactly 0 by design. Asserted:

    training       every parameter requires a gradient, has one that is not 0, is in the optimizer once, and moves
    decay          of matrices and filters as declared, of biases and the normalisation's parameters 0
    output         each field (places, sides, J, classes) has a gradient, where its term has a weight and, but for J,
                   where there are objects; one class alone has none by design. Its layers have a bias
    units          at most a tenth of a layer's units are off, which is to say without any gradient (healthy: none in 72
                   runs, without normalisation too); no two start alike
    normalisation  no bias in front of it
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from yolo_proc.checks.bench import Bench
from yolo_proc.checks.check import Check
from yolo_proc.detection.task import DetectionTask
from yolo_proc.models.network import Network
from yolo_proc.plotting.charts import BLUE, RED, Page
from yolo_proc.training.outcomes import Figure, Finding
from yolo_proc.training.state import TrainingState

STEPS = 4
IMAGES = 8
HEADS = ("head.", "auxiliary_head.")  # names of the layers whose rows are no units
DEAD_UNITS = 0.1  # of a layer
MOVES = 1e-6  # of a tensor's norm: what an update must reach to be seen
FIELDS = {"x, y": slice(0, 2), "w, h": slice(2, 4), "J": slice(4, 5), "classes": slice(5, None)}


@dataclass
class _Watched:
    """Gradients and weights that the updates were seen with.

    Attributes:
        live: of each parameter, (rows,) bool: whether a row has ever had a gradient that is not 0.
        norms: the largest norm of each parameter's gradient.
        moved: names of parameters that were changed.
        alike: of each filter, how many of its units are copies of others at first.
        objects: slots of objects in all batches, by grid.
        sizes: the norm of each parameter at first.
        rate: the lowest learning rate of any update.
        off: the first layer that gives nothing but 0 after the steps, empty if there is none.
        updates: that were made.
    """

    live: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    norms: dict[str, float] = field(default_factory=dict)
    moved: set[str] = field(default_factory=set)
    alike: dict[str, int] = field(default_factory=dict)
    objects: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    sizes: dict[str, float] = field(default_factory=dict)
    rate: float = float("inf")
    off: str = ""
    updates: int = 0


def run(bench: Bench) -> Finding:
    """See the module."""
    if bench.config.optim.peak_lr == 0:
        return Finding.not_applicable("the learning rate is declared to be 0: nothing is to train")
    state = bench.new_state()
    watched = _train(bench, state)
    detects = bench.config.task == DetectionTask.name
    if detects and bench.config.loss.weight_obj_f == 0 and not watched.objects.all():
        return Finding.not_applicable("empty slots are declared to cost nothing, and not every grid has an object")
    idle = _idle(bench, watched)
    names = [name for name, _ in state.model.named_parameters() if name not in idle]
    inner = [name for name in names if not name.startswith(HEADS) and name in watched.live]
    dead = {name: float(1 - watched.live[name].mean()) for name in inner}
    points = _of_points(bench.new_model(), bench.batch(0, IMAGES).images.to(bench.device))
    filters = {name: dead[name] for name in dead if state.model.get_parameter(name).ndim > 1 and name not in points}
    faults = [
        *_untrained(state, watched, names),
        *(_silent_fields(bench, watched) if detects else ()),
        *_biases(bench, state.model),
        *_units(watched, filters),
        *_decays(bench, state),
    ]
    worst = max(filters.values(), default=0.0)
    live = sum(bool(watched.live[name].any()) for name in names if name in watched.live)
    moved = len(watched.moved & set(names))
    figures: dict[str, Figure] = {
        "parameters": len(names),
        "with a gradient": live,
        "moved": moved,
        "largest share of dead units": worst,
        "units alike": sum(watched.alike.values()),
    }
    return Finding.judged(
        not faults,
        expected=f"{len(names)} tensors of {len(names)} have gradients and move; at most {DEAD_UNITS:.0%} of a layer's "
        "units off; a bias in the output and none before a normalisation",
        measured=f"{live} have gradients, {moved} move; at most {worst:.0%} of a layer's units off"
        + (f"; {len(faults)} faults" if faults else ""),
        figures=figures,
        causes=faults,
        remedy="look at the layer that is named: its initial weights, whether it is used, its requires_grad, and "
        "whether Yolo.parameter_groups gives it to the optimizer",
        evidence={"units": lambda: _picture(watched, filters)},
    )


def _idle(bench: Bench, watched: _Watched) -> set[str]:
    """Return parameters of the auxiliary head that nothing speaks of: without its loss, or without an object on its
    grid.
    """
    weight = bench.config.loss.weight_auxiliary
    grids = [grid for grid, count in enumerate(watched.objects) if weight == 0 or not count]
    return {f"auxiliary_head.layers.{grid}.{kind}" for grid in grids for kind in ("weight", "bias")}


# --------------------------------------------------------------------------------------------- measurement


def _train(bench: Bench, state: TrainingState) -> _Watched:
    """Return a few steps, watched at each update."""
    watched = _Watched()
    before = {name: parameter.detach().clone() for name, parameter in state.model.named_parameters()}

    def at_update(*_: Any) -> None:
        watched.updates += 1
        watched.rate = min(watched.rate, *(float(group["lr"]) for group in state.optimizer.param_groups))
        for name, parameter in state.model.named_parameters():
            if parameter.grad is None:
                continue
            rows = (parameter.grad.detach().flatten(1) if parameter.ndim > 1 else parameter.grad.detach()[:, None]) != 0
            live = rows.any(dim=1).cpu().numpy()
            watched.live[name] = live | watched.live.get(name, live)
            norm = float(parameter.grad.detach().double().norm())
            watched.norms[name] = max(norm, watched.norms.get(name, 0.0))

    handle = state.optimizer.register_step_pre_hook(at_update)
    slots = []
    try:
        for k in range(STEPS):
            batch = bench.batch(k, IMAGES)
            if bench.config.task == DetectionTask.name:
                slots.append(bench.targets(batch).slot.cpu().numpy())
            bench.learn(state, batch)
    finally:
        handle.remove()
    if slots:
        watched.objects = np.histogram(np.concatenate(slots), bins=np.array(bench.codec.grid_offsets))[0]
    for name, parameter in state.model.named_parameters():
        if not torch.equal(parameter.detach(), before[name]):
            watched.moved.add(name)
        watched.sizes[name] = float(before[name].double().norm())
        units = before[name].flatten(1) if parameter.ndim > 1 else before[name][:, None]
        if parameter.ndim > 1 and not name.startswith(HEADS) and bool(units.any()):
            watched.alike[name] = len(units) - len(torch.unique(units, dim=0))
    watched.off = _first_off(state.model, bench.batch(0, IMAGES).images.to(bench.device))
    return watched


@torch.no_grad()
def _of_points(model: Network[Any], images: Tensor) -> set[str]:
    """Return the weights of layers inside that give one value an image: so few may well be off for a few images."""
    found: set[str] = set()

    def after(name: str) -> Any:
        def hook(_: nn.Module, __: Any, result: Tensor) -> None:
            if result.shape[2:].numel() == 1:
                found.add(f"{name}.weight")

        return hook

    layers = [(name, module) for name, module in model.named_modules() if isinstance(module, nn.Conv2d)]
    handles = [module.register_forward_hook(after(name)) for name, module in layers]
    try:
        model(images)
    finally:
        for handle in handles:
            handle.remove()
    return found


@torch.no_grad()
def _first_off(model: Network[Any], images: Tensor) -> str:
    """Return the first layer, in the order in which they compute, that gives nothing but 0; empty if there is none."""
    found = []

    def after(name: str) -> Any:
        def hook(_: nn.Module, __: Any, result: Any) -> None:
            if isinstance(result, Tensor) and not bool(result.any()):
                found.append(name)

        return hook

    leaves = [(name, module) for name, module in model.named_modules() if not list(module.children())]
    handles = [module.register_forward_hook(after(name)) for name, module in leaves]
    try:
        model(images)
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else ""


# -------------------------------------------------------------------------------------------------- causes


def _untrained(state: TrainingState, watched: _Watched, names: Sequence[str]) -> Iterator[str]:
    """Tell of parameters that do not train."""
    if not watched.updates:
        yield "the optimizer's step is never called: no weight is changed"
        return
    parameters = {name: state.model.get_parameter(name) for name in names}
    frozen = [name for name, parameter in parameters.items() if not parameter.requires_grad]
    if frozen:
        yield f"{_told(frozen, names)} frozen: requires_grad is off"
    held = {id(parameter) for group in state.optimizer.param_groups for parameter in group["params"]}
    outside = [name for name, one in parameters.items() if id(one) not in held and name not in frozen]
    if outside:
        yield f"{_told(outside, names)} not in the optimizer: it is never updated"
    silent = [name for name in names if name not in frozen and not watched.norms.get(name)]
    if silent:
        yield _silence(watched, silent, names)
    still = [name for name in names if name not in {*watched.moved, *frozen, *silent, *outside}]
    # A step that is too small for the numbers' precision moves nothing, and is no fault of the optimizer.
    still = [name for name in still if watched.rate * watched.norms[name] > MOVES * watched.sizes[name]]
    if still:
        yield f"{_told(still, names)} not moved by the updates, in spite of gradients"


def _silence(watched: _Watched, silent: Sequence[str], names: Sequence[str]) -> str:
    """Tell of parameters without a gradient that is not 0."""
    body = {name for name in names if not name.startswith(HEADS)}
    if body <= set(silent) and not body & set(watched.norms):
        return "no gradient comes through to the body: its features are detached, or computed under no_grad"
    off = watched.off
    if off:
        return f"all units of {off} are off: it gives nothing but 0, so {_told(silent, names)} without a gradient"
    return f"{_told(silent, names)} without a gradient: the layer is never used, or detached from the loss"


def _silent_fields(bench: Bench, watched: _Watched) -> Iterator[str]:
    """Tell of fields that no output learns, where the loss speaks of them."""
    weights, objects = bench.config.loss, bool(watched.objects.any())
    spoken = {
        "x, y": objects and weights.weight_xy > 0,
        "w, h": objects and weights.weight_wh > 0,
        "J": weights.weight_obj_f > 0 or (objects and weights.weight_obj_t > 0),
        "classes": objects and weights.weight_class > 0 and len(bench.classes) > 1,
    }
    layers = [name for name in watched.live if name.startswith("head.") and name.endswith("weight")]
    live = [watched.live[name].reshape(-1, bench.codec.fields) for name in layers]  # (slots of a cell, 5 + C) each
    if not live or not any(one.any() for one in live):
        return
    silent = [name for name, part in FIELDS.items() if spoken[name] and not any(one[:, part].any() for one in live)]
    if silent:
        yield f"the outputs for {' and '.join(silent)} have no gradient: they are detached, or the loss leaves them out"


def _biases(bench: Bench, model: Network[Any]) -> Iterator[str]:
    """Tell of biases that are missing, or in vain."""
    linear = (nn.Conv2d, nn.Linear)
    bare = [name for name, one in model.head.named_modules() if isinstance(one, linear) and one.bias is None]
    if bare:
        yield f"the output layer has no bias ({', '.join(bare)}): it cannot say how rare objects are"
    spurious = _before_normalisation(bench)
    if spurious:
        yield (
            f"{', '.join(spurious[:4])}{' ...' if len(spurious) > 4 else ''}: a bias before a normalisation, which "
            "subtracts it again"
        )


def _before_normalisation(bench: Bench) -> list[str]:
    """Return names of layers with a bias whose result goes into a normalisation, found in a forward pass."""
    model = bench.new_model()
    results: dict[int, tuple[str, Any]] = {}  # the results are kept, so that no address is used twice
    found = []

    def after(name: str) -> Any:
        def hook(_: nn.Module, __: Any, result: Any) -> None:
            results[id(result)] = (name, result)

        return hook

    def before(_: nn.Module, given: tuple[Any, ...]) -> None:
        if id(given[0]) in results:
            found.append(results[id(given[0])][0])

    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
            module.register_forward_hook(after(name))
        elif isinstance(module, _BatchNorm):
            module.register_forward_pre_hook(before)
    with torch.no_grad():
        model(bench.batch(0, IMAGES).images[:2].to(bench.device))
    return found


def _units(watched: _Watched, filters: Mapping[str, float]) -> Iterator[str]:
    """Tell of units that are off, or alike."""
    dead = {name: share for name, share in filters.items() if DEAD_UNITS < share < 1}
    if dead:
        worst = max(dead, key=lambda name: dead[name])
        yield (
            f"{dead[worst]:.0%} of the units of {worst} are off: no image of {STEPS * IMAGES} switches them on "
            f"(in {len(dead)} layers; too large a rate, or biases that start far below 0)"
        )
    alike = {name: count for name, count in watched.alike.items() if count and filters.get(name, 1.0) < 1}
    if alike:
        worst = max(alike, key=lambda name: alike[name])
        yield (
            f"{alike[worst]} units of {worst} are copies of others: they start alike (a constant start), so they learn "
            "the same"
        )


def _decays(bench: Bench, state: TrainingState) -> Iterator[str]:
    """Tell of weight decay where it is not declared."""
    wrong = []
    names = {id(parameter): name for name, parameter in state.model.named_parameters()}
    for group in state.optimizer.param_groups:
        for parameter in group["params"]:
            declared = bench.config.optim.weight_decay if parameter.ndim > 1 else 0.0
            if group["weight_decay"] != declared and id(parameter) in names:
                wrong.append((names[id(parameter)], group["weight_decay"], declared))
    if wrong:
        name, found, declared = wrong[0]
        yield f"{name} decays by {found:g}, {declared:g} is declared ({len(wrong)} tensors have another weight decay)"


def _told(some: Sequence[str], every: Sequence[str]) -> str:
    """Return names in short, as the beginning of a sentence."""
    if len(some) == 1:
        return f"{some[0]} is"
    return f"{some[0]} and {len(some) - 1} more of {len(every)} tensors are"


def _picture(watched: _Watched, filters: Mapping[str, float]) -> NDArray[np.uint8]:
    page = Page(1, 1, (900, max(200, 80 + 26 * len(filters))), 0)
    norms = [watched.norms.get(name, 0.0) for name in filters]
    words = [
        f"norm {norm:.3g}, {share:.0%} of the units off" for norm, share in zip(norms, filters.values(), strict=True)
    ]
    colours = [RED if share > DEAD_UNITS else BLUE for share in filters.values()]
    panel = page.panel("Gradients of the filters, their logarithm, and units that are off")
    least = min((norm for norm in norms if norm > 0), default=1.0)
    lengths = [float(np.log10(norm / least)) + 0.1 if norm > 0 else 0.0 for norm in norms]
    panel.rows(list(filters), lengths, words, colours)
    return page.finished()


CHECK = Check(
    "parameters",
    group="loss",
    asserted="every parameter trains, no layer is dead, biases are where they count",
    quick=True,
    run=run,
    any_task=True,
)
