"""Optimizers and averaged weights."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from yolo_proc.config.options import shown
from yolo_proc.config.schema import OptimConfig
from yolo_proc.errors import CheckpointError
from yolo_proc.models.network import Network
from yolo_proc.training.muon import ADAM_BETAS, Muon

# The rate of AdamW beside Muon, as a share of Muon's.
ADAM_SHARE = 0.1


def build_optimizer(model: Network[Any], config: OptimConfig) -> torch.optim.Optimizer:
    """Return the optimizer over the model's own parameter groups."""
    leave_compiler_out()
    groups = model.parameter_groups(config.weight_decay)
    lr = config.peak_lr
    if config.name == "sgd":
        return torch.optim.SGD(groups, lr=lr, momentum=0.9, nesterov=True)
    if config.name == "adamw":
        return torch.optim.AdamW(groups, lr=lr, betas=ADAM_BETAS, fused=True)
    # Rows that mean different things: no rotation of them is natural, so AdamW trains the heads. It trains grouped
    # filters too: they are many small matrices, and as one they would connect channels that nothing connects.
    apart = {id(parameter) for parameter in model.head_parameters()}
    apart |= {id(layer.weight) for layer in model.modules() if isinstance(layer, nn.Conv2d) and layer.groups > 1}
    filters = [p for p in groups[0]["params"] if id(p) not in apart]
    others = [([p for p in groups[0]["params"] if id(p) in apart], config.weight_decay), (groups[1]["params"], 0.0)]
    return Muon(filters, others, lr=lr, adam_lr=lr * ADAM_SHARE, weight_decay=config.weight_decay)


def leave_compiler_out() -> None:
    """Let an optimizer be made without torch's compiler, whose import takes 2 s and serves nothing here.

    torch asks the compiler at the first call of these methods how to leave them out, and remembers the answer; here
    it is given beforehand. A torch that does this otherwise just imports it.
    """
    for name in ("add_param_group", "state_dict", "load_state_dict", "zero_grad"):
        plain = getattr(getattr(torch.optim.Optimizer, name), "__wrapped__", None)
        if plain is not None and not hasattr(plain, "__dynamo_disable"):
            setattr(plain, "__dynamo_disable", plain)


# What an optimizer keeps of a parameter: "like": a tensor of its shape, "count": updates, "step": the same as a tensor.
_KEPT: Mapping[type[torch.optim.Optimizer], Mapping[str, str]] = {
    Muon: {"momentum": "like", "first": "like", "second": "like", "updates": "count"},
    torch.optim.AdamW: {"step": "step", "exp_avg": "like", "exp_avg_sq": "like"},
    torch.optim.SGD: {"momentum_buffer": "like"},
}
_MOST_UPDATES = 2**40


@torch.no_grad()
def load_optimizer(optimizer: torch.optim.Optimizer, saved: Mapping[str, Any]) -> None:
    """Go on from what `optimizer.state_dict()` gave, which comes from a file and is compared with the optimizer.

    Rates and decays are the saved ones; what else a group says is the optimizer's own.

    Raises:
        CheckpointError: it is of another network or optimizer.
    """
    own = optimizer.state_dict()["param_groups"]
    groups = saved["param_groups"]
    if len(groups) != len(own):
        raise CheckpointError(f"optimizer: expected {len(own)} groups of parameters, found {len(groups)}; train anew")
    taken = [
        {**mine, **_rates(group, mine, number)} for number, (mine, group) in enumerate(zip(own, groups, strict=True))
    ]
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state = {}
    for number, kept in saved["state"].items():
        if type(number) is not int or not 0 <= number < len(parameters):
            raise CheckpointError(
                f"optimizer: expected parameters from 0 to {len(parameters) - 1}, found {shown(number)}; train anew"
            )
        state[number] = _kept_of(optimizer, number, parameters[number], kept)
    optimizer.load_state_dict({"state": state, "param_groups": taken})


def _rates(group: Mapping[str, Any], own: Mapping[str, Any], number: int) -> dict[str, float]:
    if list(group["params"]) != own["params"]:
        raise CheckpointError(f"optimizer: group {number} is not of the parameters of this network; train anew")
    rates: dict[str, float] = {}
    for name in ("lr", "weight_decay"):
        value: Any = group.get(name)
        if type(value) not in (int, float) or not 0 <= value <= 1e6:
            raise CheckpointError(
                f"optimizer: group {number}: {name}: expected a number of at least 0, found {shown(value)}"
            )
        rates[name] = value
    return rates


def _kept_of(optimizer: torch.optim.Optimizer, number: int, parameter: torch.Tensor, kept: Any) -> dict[str, Any]:
    """Return what was kept of a parameter, its tensors copied: those of a file may share memory in any way."""
    kinds = next(kinds for cls, kinds in _KEPT.items() if isinstance(optimizer, cls))
    where = f"optimizer: parameter {number}"
    whole = isinstance(optimizer, Muon)  # it makes what it lacks
    if not isinstance(kept, dict) or not (set(kept) <= set(kinds) if whole else set(kept) in (set(), set(kinds))):
        raise CheckpointError(f"{where}: expected {', '.join(kinds)}, found others; train anew")
    taken = dict(kept)
    for name, value in kept.items():
        if kinds[name] == "like":
            fits = isinstance(value, torch.Tensor) and value.shape == parameter.shape and value.dtype == parameter.dtype
            taken[name] = torch.empty_like(parameter).copy_(value) if fits else value
        elif kinds[name] == "count":
            fits = type(value) is int and 0 <= value <= _MOST_UPDATES
        else:
            fits = isinstance(value, torch.Tensor) and value.shape == () and 0 <= float(value) <= _MOST_UPDATES
        if not fits and not (value is None and name == "momentum_buffer"):
            raise CheckpointError(f"{where}: {name} does not fit a parameter of {tuple(parameter.shape)}; train anew")
    return taken


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set the rate of the coming update; what AdamW trains beside Muon has its own share of it."""
    beside = isinstance(optimizer, Muon)
    for group in optimizer.param_groups:
        group["lr"] = lr * ADAM_SHARE if beside and not group["orthogonal"] else lr


class Ema:
    """An exponential moving average of a model's weights and of its normalisation's statistics.

    decay_t = min(decay, (1 + t) / (10 + t)), so that the first steps are forgotten quickly.
    """

    def __init__(self, model: Network[Any], decay: float, average: Network[Any]) -> None:
        self.decay = decay
        self.updates = 0
        self.model = average
        self.model.load_state_dict(model.state_dict())
        self.model.eval().requires_grad_(False)
        self._pairs = self._float_pairs(model)

    def _float_pairs(self, model: nn.Module) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Return averaged and live tensors, side by side; the normalisation's counters of batches have no average."""
        average, live = self.model.state_dict(), model.state_dict()
        names = [name for name, value in live.items() if value.is_floating_point()]
        return [average[name] for name in names], [live[name] for name in names]

    @torch.no_grad()
    def update(self) -> None:
        """Take the live weights in."""
        weight = 1.0 - min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        average, live = self._pairs
        torch._foreach_lerp_(average, live, weight)
