"""A batch's forward and backward pass by data-parallel replicas, one thread each: how a processor trains quickest.

Threads that share every single operation meet at its end, some hundred times a step, and wait there for the slowest; a
thread that has a share of the batch to itself meets the others twice. On two cores that is 1.1 to 2 x as quick, most
where other processes (the workers that draw) want some of the time (docs/log.md).

In training a replica normalises its own images ("ghost batch normalisation", Hoffer et al., "Train longer, generalize
better", 2017, section 4), so a replica has at least `LEAST_IMAGES`; the running statistics are the mean over them.

    B images, P replicas, S slots, C classes, M cells of all grids
"""

import copy
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from yolo_proc.models.network import Network

R = TypeVar("R")
# Fewer images make the statistics of a normalisation too rough.
LEAST_IMAGES = 8


def replica_count(device: torch.device, threads: int, batch_size: int) -> int:
    """Return how many replicas train: on a processor one a thread, as long as each has `LEAST_IMAGES`."""
    return max(1, min(threads, batch_size // LEAST_IMAGES)) if device.type == "cpu" else 1


def replicated(model: Network[Any], replicas: int, *, least_images: int = LEAST_IMAGES) -> "Network[Any] | Replicated":
    """Return the network with so many data-parallel replicas, or itself where one is all."""
    return Replicated(model, replicas, least_images=least_images) if replicas > 1 else model


class Replicated(nn.Module):
    """A network whose batch is shared out among data-parallel replicas; as a function of images it is the network.

    Its parameters and buffers are the network's own. Each replica computes with as many threads as torch has been given
    when this is made.

    Args:
        model: the network; on the CPU.
        replicas: how many, 2 or more.
        least_images: that a replica is given; a smaller batch is trained by fewer of them.
    """

    def __init__(self, model: Network[Any], replicas: int, *, least_images: int = LEAST_IMAGES) -> None:
        super().__init__()
        assert replicas > 1, f"expected 2 replicas or more, found {replicas}"
        self.model = model
        self.replicas = replicas
        self.least_images = least_images
        self._replicas: tuple[Network[Any], ...] = ()  # a tuple, so that they are no modules of this one
        threads = torch.get_num_threads()
        self._pool = ThreadPoolExecutor(replicas, "replica", torch.set_num_threads, (threads,))
        barriers = [Barrier(replicas)] * replicas
        list(self._pool.map(lambda barrier: barrier.wait(), barriers))  # all of them start now ...
        torch.set_num_threads(threads)  # ... because MKL has one number for all, and the last word is this thread's
        self.train(model.training)

    def forward(self, images: Tensor) -> Tensor:
        """Return uint8 RGB (B, H, W, 3) -> raw logits (B, ...), differentiable in the parameters."""
        if self.training and torch.is_grad_enabled():
            return self.with_auxiliary(images)[0]
        replicas = min(self.replicas, max(1, len(images)))
        return torch.cat(self.each(lambda images: self.model(images), images.tensor_split(replicas)))

    def with_auxiliary(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Do as that of the network."""
        if self.replicas_of(images) > 1:
            logits, values = _Training.apply(self, images, *self.model.parameters())
        else:
            logits, values = self.model.with_auxiliary(images)
            self.gather_statistics(1)
        return logits, values

    def replicas_of(self, images: Tensor) -> int:
        """Return over how many replicas a batch is trained: fewer where it is smaller than what this was made for."""
        return max(1, min(self.replicas, len(images) // self.least_images))

    @property
    def networks(self) -> tuple[Network[Any], ...]:
        """The network of each replica: the same parameters, but running statistics of its own."""
        if not self._replicas:
            self._replicas = tuple(_replica(self.model) for _ in range(self.replicas - 1))
        return (self.model, *self._replicas)

    def each(self, action: Callable[..., R], *arguments: Sequence[Any]) -> list[R]:
        """Return what the action gives for each replica, in order, computed at once; torch's modes are those of this
        thread.
        """
        gradients, inference = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        enabled, dtype = torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")

        def run(*of_a_replica: Any) -> R:
            modes = torch.inference_mode(inference), torch.set_grad_enabled(gradients)
            with modes[0], modes[1], torch.autocast("cpu", dtype=dtype, enabled=enabled):
                return action(*of_a_replica)

        return list(self._pool.map(run, *arguments))

    def gather_statistics(self, replicas: int) -> None:
        """Give all networks the mean of the running statistics of the first ones, those that have just trained."""
        # `.data`, because the backward pass has yet to come; a normalisation in training does not read them there.
        every = [[b.data for b in network.buffers() if b.is_floating_point()] for network in self.networks]
        mean = every[0]
        for others in every[1:replicas]:
            torch._foreach_add_(mean, others)
        torch._foreach_mul_(mean, 1 / replicas)
        for others in every[1:]:
            torch._foreach_copy_(others, mean)


class _Training(torch.autograd.Function):
    """The replicas' passes as one differentiable operation; gradients are summed in the order of the replicas."""

    @staticmethod
    def forward(ctx: Any, split: Replicated, images: Tensor, *parameters: Tensor) -> tuple[Tensor, Tensor | None]:
        ctx.split, ctx.parameters, replicas = split, parameters, split.replicas_of(images)
        with torch.enable_grad():
            ctx.outputs = split.each(_train, split.networks[:replicas], images.tensor_split(replicas))
        split.gather_statistics(replicas)
        joined = [torch.cat([one.detach() for one in output]) for output in zip(*ctx.outputs, strict=True)]
        return joined[0], joined[1] if len(joined) > 1 else None  # of detection (B, S, 5 + C), (B, M, 4)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        def run(outputs: list[Tensor], *of_outputs: Tensor) -> tuple[Tensor, ...]:
            return torch.autograd.grad(outputs, ctx.parameters, of_outputs)  # type: ignore[no-any-return]

        split_gradients = [one.tensor_split(len(ctx.outputs)) for one in gradients if one is not None]
        first, *others = ctx.split.each(run, ctx.outputs, *split_gradients)
        for found in others:
            torch._foreach_add_(first, found)
        del ctx.outputs
        return None, None, *first


def _train(network: Network[Any], images: Tensor) -> list[Tensor]:
    logits, values = network.train().with_auxiliary(images)
    return [logits] if values is None else [logits, values]


def _replica(model: Network[Any]) -> Network[Any]:
    """Return a network with the same parameters (not copies of them) and buffers of its own."""
    twin = copy.deepcopy(model)
    for ours, theirs in zip(model.modules(), twin.modules(), strict=True):
        for name, parameter in ours._parameters.items():
            theirs._parameters[name] = parameter
    return twin
