"""A network of replicas is the network: the same function, the gradients of shares taken one after the other."""

import copy
from pathlib import Path

import pytest
import torch
from tiny_run import differing, run_tiny, tiny_config
from torch import Tensor, nn

from yolo_proc.config.schema import ModelConfig
from yolo_proc.detection.codec import LabelCodec
from yolo_proc.detection.grids import grids_for
from yolo_proc.detection.task import DetectionTask
from yolo_proc.models import checkpoint
from yolo_proc.models.network import Network, Yolo
from yolo_proc.training.events import Stopped
from yolo_proc.training.replicas import Replicated, replica_count, replicated


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def network(**changes: bool) -> Yolo:
    torch.manual_seed(3)
    codec = LabelCodec(grids_for(64, 64, [16], [(20.0, 20.0)]), 2)
    model = Yolo(ModelConfig(width=0.5, depth=1, **changes), DetectionTask(codec))  # type: ignore[arg-type]
    assert model.auxiliary_head is not None
    nn.init.normal_(model.auxiliary_head.layers[0].weight)
    nn.init.normal_(model.head.layers[0].weight)  # so that every layer has a gradient that is worth comparing
    return model


def pictures(count: int) -> Tensor:
    return torch.randint(0, 256, (count, 64, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(count))


def loss_of(logits: Tensor) -> Tensor:
    return (logits * torch.linspace(-1, 1, logits.numel()).view_as(logits)).square().mean()


def gradients(model: nn.Module, images: Tensor) -> list[Tensor]:
    model.zero_grad()
    assert isinstance(model, Network | Replicated)
    logits, values = model.with_auxiliary(images)
    assert values is not None
    (loss_of(logits) + loss_of(values)).backward()
    found = [parameter.grad for parameter in model.parameters()]
    assert all(gradient is not None for gradient in found)
    return [gradient.clone() for gradient in found if gradient is not None]


def close(a: list[Tensor], b: list[Tensor]) -> bool:
    return len(a) == len(b) and all(torch.allclose(x, y, rtol=1e-3, atol=1e-5) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize(("number", "count"), [(2, 8), (2, 7), (3, 8)])
def test_without_normalisation_gradients_are_those_of_the_whole_batch(number: int, count: int) -> None:
    model = network(batch_norm=False)
    split = Replicated(copy.deepcopy(model), number, least_images=2)
    assert close(gradients(split, pictures(count)), gradients(model, pictures(count)))


def test_each_part_normalises_its_own_images() -> None:
    model = network().train()
    images = pictures(8)
    split = Replicated(copy.deepcopy(model), 2, least_images=2)
    found = gradients(split, images)
    # The reference: two networks, one after the other.
    halves = [copy.deepcopy(model), copy.deepcopy(model)]
    outputs = [half.with_auxiliary(part) for half, part in zip(halves, images.split(4), strict=True)]
    joined = [torch.cat(list(of_both)) for of_both in zip(*outputs, strict=True)]
    (loss_of(joined[0]) + loss_of(joined[1])).backward()
    grads = [[p.grad for p in half.parameters() if p.grad is not None] for half in halves]
    assert close(found, [a + b for a, b in zip(*grads, strict=True)])
    assert not close(found, gradients(copy.deepcopy(model), images))
    for ours, *theirs in zip(split.model.buffers(), *(half.buffers() for half in halves), strict=True):
        if ours.is_floating_point():
            assert torch.allclose(ours, (theirs[0] + theirs[1]) / 2, rtol=1e-5, atol=1e-6)
    for replica in split.networks:
        assert list(differing(replica.state_dict(), split.model.state_dict())) == []


def test_an_update_reaches_every_part_and_parameters_are_found_once() -> None:
    model = network()
    split = Replicated(model, 3, least_images=2)
    gradients(split, pictures(6))
    assert [id(p) for p in split.parameters()] == [id(p) for p in model.parameters()]
    torch.optim.SGD(split.parameters(), lr=0.1).step()
    for replica in split.networks[1:]:
        assert all(torch.equal(a, b) for a, b in zip(replica.parameters(), model.parameters(), strict=True))


def test_judging_is_that_of_the_network_and_changes_nothing() -> None:
    model = network().eval()
    split = Replicated(model, 2, least_images=2)
    assert not split.training
    before = copy.deepcopy(model.state_dict())
    with torch.inference_mode():
        found = split(pictures(5))
        assert torch.allclose(found, model(pictures(5)), atol=1e-5)
    assert found.is_inference()
    assert split(pictures(1)).shape == (1, 16, 7)  # fewer images than replicas
    assert list(differing(model.state_dict(), before)) == []


def test_autocast_reaches_the_replicas() -> None:
    split = Replicated(network(), 2, least_images=2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert split(pictures(4)).dtype == torch.bfloat16
    assert split(pictures(4)).dtype == torch.float32


def test_what_goes_wrong_in_a_part_is_raised_here() -> None:
    with pytest.raises(RuntimeError, match="shape"):
        Replicated(network(), 2, least_images=2)(pictures(4)[:, :, :, :2])


def test_a_batch_too_small_for_its_parts_is_trained_in_fewer() -> None:
    model = network().train()
    split = Replicated(copy.deepcopy(model), 3, least_images=2)
    assert [split.replicas_of(pictures(count)) for count in (1, 3, 4, 6, 9)] == [1, 1, 2, 3, 3]
    assert close(gradients(split, pictures(3)), gradients(split.model, pictures(3)))
    means = [[b for n, b in replica.named_buffers() if n.endswith("running_mean")] for replica in split.networks]
    gradients(split, pictures(3))
    assert all(torch.equal(a, b) and torch.equal(a, c) for a, b, c in zip(*means, strict=True))


def test_a_replica_is_never_too_small() -> None:
    cpu = torch.device("cpu")
    assert [replica_count(cpu, threads, 32) for threads in (1, 2, 3, 16)] == [1, 2, 3, 4]
    assert [replica_count(cpu, 2, batch) for batch in (1, 8, 15, 16)] == [1, 1, 1, 2]
    assert replica_count(torch.device("cuda"), 16, 32) == 1
    model = network()
    assert replicated(model, 1) is model


def test_a_run_with_replicas_resumes_bit_for_bit(tmp_path: Path) -> None:
    changes = {"threads": 2, "batch_size": 16, "epoch_images": 64, "epochs": 2}
    run_tiny(tiny_config(tmp_path / "whole", **changes))
    events = run_tiny(tiny_config(tmp_path / "cut", **changes), stop_after=3)
    assert isinstance(events[-1], Stopped)
    torch.set_num_threads(1)
    run_tiny(tiny_config(tmp_path / "cut", **changes), tmp_path / "cut" / "tiny")
    whole, cut = (checkpoint.newest_valid(tmp_path / name / "tiny")[1] for name in ("whole", "cut"))
    for state in (whole, cut):
        del state["config"]  # where the run lies
    assert list(differing(whole, cut)) == []
