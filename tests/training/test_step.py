"""The training step: it learns, it clips gradients and not the loss, and it refuses to go on from nonsense."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from yolo_proc.batch import Batch
from yolo_proc.config.schema import LabelConfig, LossConfig, ModelConfig, OptimConfig
from yolo_proc.detection.codec import LabelCodec
from yolo_proc.detection.grids import grids_for
from yolo_proc.detection.loss import TERMS
from yolo_proc.detection.task import DetectionTask
from yolo_proc.models.network import Yolo
from yolo_proc.scene import Scene, SceneObject
from yolo_proc.training.optim import build_optimizer, set_lr
from yolo_proc.training.step import NotFiniteError, StepResult, update_weights


def square_batch(count: int = 8, size: int = 64) -> Batch:
    """Bright squares (class 0) and dark ones (class 1) on grey; the last picture is empty."""
    rng = np.random.default_rng(0)
    scenes = []
    for index in range(count):
        image = np.full((size, size, 3), 128, dtype=np.uint8)
        objects = []
        if index < count - 1:
            side = int(rng.integers(12, 28))
            x, y = (int(v) for v in rng.integers(0, size - side, 2))
            image[y : y + side, x : x + side] = 255 if index % 2 == 0 else 0
            objects = [SceneObject((x, y, x + side, y + side), index % 2)]
        scenes.append(Scene(image, tuple(objects)))
    return Batch.of(scenes)


class Setup:
    def __init__(self, **loss: float) -> None:
        codec = LabelCodec(grids_for(64, 64, [16], [(20.0, 20.0)]), 2)
        self.batch = square_batch()
        self.task = DetectionTask(codec, LabelConfig(), replace(LossConfig(), **loss))
        torch.manual_seed(0)
        self.model = Yolo(ModelConfig(width=0.5, depth=1), DetectionTask(codec)).train()
        self.optimizer = build_optimizer(self.model, OptimConfig(weight_decay=0.0))
        self.targets, _ = self.task.targets(self.batch, torch.device("cpu"))

    def step(self, clip_norm: float = 5.0) -> StepResult:
        return update_weights(
            self.model, self.optimizer, self.task, self.batch.images, self.targets, clip_norm=clip_norm, autocast=None
        )

    def weights(self) -> list[torch.Tensor]:
        return [parameter.detach().clone() for parameter in self.model.parameters()]


@pytest.mark.slow
def test_it_overfits_one_batch() -> None:
    """The rate falls at the end: what stands beside the loss has no flat bottom."""
    setup = Setup()
    losses = []
    for step in range(500):
        set_lr(setup.optimizer, OptimConfig().peak_lr * min(1.0, (500 - step) / 250))
        losses.append(setup.step().loss)
    assert losses[0] > 1.0
    assert losses[-1] < 0.01


def test_the_loss_is_the_weighted_sum_of_the_terms_that_are_reported() -> None:
    result = Setup(weight_wh=3.0).step()
    weights = {"class": 1.0, "obj_f": 0.5, "obj_t": 1.0, "wh": 3.0, "xy": 5.0}
    parts = [weights[term] * s / n for term, s, n in zip(TERMS, result.sums, result.counts, strict=True)]
    assert result.loss == pytest.approx(sum(parts), rel=1e-6)
    assert result.counts[0] == 7  # an object a picture, but for the empty one


def test_gradients_are_clipped_and_the_loss_is_not() -> None:
    """With SGD of rate 1 the step is the clipped gradient itself, however large the loss."""
    setup = Setup(weight_obj_t=1e6)
    setup.optimizer = torch.optim.SGD(setup.model.parameters(), lr=1.0)
    before = setup.weights()
    result = setup.step(clip_norm=0.1)
    assert result.loss > 1e5
    assert result.clipped
    assert result.grad_norm > 1e3
    moved = torch.stack([(a - b).norm() for a, b in zip(setup.weights(), before, strict=True)]).norm()
    assert float(moved) == pytest.approx(0.1, rel=1e-3)


def test_without_a_limit_nothing_is_clipped() -> None:
    setup = Setup(weight_obj_t=1e6)
    setup.optimizer = torch.optim.SGD(setup.model.parameters(), lr=1e-9)
    assert not setup.step(clip_norm=0.0).clipped


def test_a_loss_that_is_not_finite_names_the_term_and_the_picture_and_changes_nothing() -> None:
    setup = Setup()
    setup.targets = setup.targets._replace(xy=setup.targets.xy.clone())
    setup.targets.xy[3, 0] = float("nan")
    before = setup.weights()
    with pytest.raises(NotFiniteError) as error:
        setup.step()
    assert error.value.blamed == (("xy", int(setup.targets.image[3])),)
    assert all(torch.equal(a, b) for a, b in zip(setup.weights(), before, strict=True))


def test_a_gradient_that_is_not_finite_changes_nothing() -> None:
    setup = Setup()
    setup.model.head.layers[0].weight.register_hook(lambda gradient: gradient * float("inf"))
    before = setup.weights()
    with pytest.raises(NotFiniteError, match="gradient"):
        setup.step()
    assert all(torch.equal(a, b) for a, b in zip(setup.weights(), before, strict=True))


def test_a_batch_without_objects_has_a_finite_loss_and_learns_emptiness() -> None:
    setup = Setup()
    setup.batch = Batch.of([Scene(np.zeros((64, 64, 3), dtype=np.uint8))] * 4)
    setup.targets, _ = setup.task.targets(setup.batch, torch.device("cpu"))
    first, later = setup.step().loss, [setup.step().loss for _ in range(20)][-1]
    assert 0 < later < first


def test_gradients_do_not_pile_up_from_step_to_step() -> None:
    setup = Setup()
    setup.optimizer = torch.optim.SGD(setup.model.parameters(), lr=0.0)
    norms = [setup.step().grad_norm for _ in range(3)]
    assert norms == pytest.approx([norms[0]] * 3, rel=1e-4)
