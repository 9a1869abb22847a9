"""Muon for the filters, AdamW for everything else, as one optimizer.

Muon (Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024,
https://kellerjordan.github.io/posts/muon) takes the momentum of a weight matrix and replaces it by the nearest
orthogonal matrix, so that every direction learns at one pace. torch's own takes matrices only, and rounds them to
bfloat16, which processors without units for it do slowly; this one takes filters, in float32.

Letters: G filters of one shape, R x C the shape of a filter as a matrix (outputs x everything else).
"""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

# The quintic's coefficients, chosen in the source for the steepest slope at 0: after five rounds all singular values
# lie between 0.7 and 1.2.
QUINTIC = (3.4445, -4.7750, 2.0315)
ROUNDS = 5
MOMENTUM = 0.95
ADAM_BETAS = (0.9, 0.99)
ADAM_EPS = 1e-8


def orthogonalised(matrices: Tensor) -> Tensor:
    """Return (G, R, C) -> (G, R, C): the same singular vectors, all singular values near 1; zeros stay zeros.

    The Newton-Schulz rounds run on the Gram matrix, the shorter side squared, because all that they do to X is to
    multiply it by a polynomial of X X^T: less work for filters, which are much longer than they are high.
    """
    if matrices.shape[1] > matrices.shape[2]:
        return orthogonalised(matrices.mT).mT
    x = matrices / (matrices.norm(dim=(1, 2), keepdim=True) + 1e-7)  # the largest singular value is at most 1
    gram = x @ x.mT  # (G, R, R)
    first, second, third = QUINTIC
    identity = torch.eye(gram.shape[-1], dtype=x.dtype, device=x.device)
    product = identity.expand_as(gram)
    for _ in range(ROUNDS):
        polynomial = first * identity + second * gram + third * (gram @ gram)
        product = polynomial @ product
        gram = polynomial @ gram @ polynomial
    result: Tensor = product @ x
    return result


class Muon(torch.optim.Optimizer):
    """Muon and AdamW side by side.

    Args:
        filters: weights of at least two axes; the first counts the outputs.
        others: (parameters, weight decay) pairs for AdamW: output layer, normalisation, biases.
        lr: of the filters.
        adam_lr: of the others.
        weight_decay: of the filters, decoupled: w <- w - lr * weight_decay * w.
    """

    def __init__(
        self,
        filters: Iterable[Tensor],
        others: Iterable[tuple[Iterable[Tensor], float]],
        *,
        lr: float,
        adam_lr: float,
        weight_decay: float,
    ) -> None:
        groups: list[dict[str, Any]] = [
            {"params": list(filters), "orthogonal": True, "lr": lr, "weight_decay": weight_decay}
        ]
        for parameters, decay in others:
            groups.append({"params": list(parameters), "orthogonal": False, "lr": adam_lr, "weight_decay": decay})
        super().__init__([group for group in groups if group["params"]], {})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Make one update from the gradients."""
        assert closure is None, "a closure is not supported"
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            if group["orthogonal"]:
                self._update_filters(parameters, group["lr"], group["weight_decay"])
            else:
                self._update_others(parameters, group["lr"], group["weight_decay"])

    def _update_filters(self, parameters: list[Tensor], lr: float, weight_decay: float) -> None:
        by_shape: dict[tuple[int, ...], list[tuple[Tensor, Tensor]]] = {}
        for parameter in parameters:
            assert parameter.grad is not None
            momentum = self._buffers_of(parameter, "momentum")[0].lerp_(parameter.grad, 1 - MOMENTUM)
            ahead = parameter.grad.lerp(momentum, MOMENTUM)  # Nesterov's
            by_shape.setdefault(tuple(parameter.shape), []).append((parameter, ahead.flatten(1)))
        for shape, pairs in by_shape.items():
            updates = orthogonalised(torch.stack([matrix for _, matrix in pairs]))  # (G, R, C)
            step = lr * math.sqrt(max(1.0, updates.shape[1] / updates.shape[2]))
            for (parameter, _), update in zip(pairs, updates, strict=True):
                parameter.mul_(1 - lr * weight_decay).sub_(update.view(shape), alpha=step)

    def _update_others(self, parameters: list[Tensor], lr: float, weight_decay: float) -> None:
        beta1, beta2 = ADAM_BETAS
        for parameter in parameters:
            assert parameter.grad is not None
            first, second = self._buffers_of(parameter, "first", "second")
            state = self.state[parameter]
            state["updates"] = state.get("updates", 0) + 1
            first.lerp_(parameter.grad, 1 - beta1)
            second.mul_(beta2).addcmul_(parameter.grad, parameter.grad, value=1 - beta2)
            root = (second / (1 - beta2 ** state["updates"])).sqrt_().add_(ADAM_EPS)
            parameter.mul_(1 - lr * weight_decay)
            parameter.addcdiv_(first, root, value=-lr / (1 - beta1 ** state["updates"]))

    def _buffers_of(self, parameter: Tensor, *names: str) -> list[Tensor]:
        """Return the parameter's running averages, zeros before its first update."""
        state = self.state[parameter]
        for name in names:
            if name not in state:
                state[name] = torch.zeros_like(parameter)
        return [state[name] for name in names]
