"""The loss, the figures and the head of classification, against torch and plain loops."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from yolo_proc.classification.heads import ClassificationHead
from yolo_proc.classification.metrics import fit_temperature, margins_of
from yolo_proc.classification.results import Classification, softmax
from yolo_proc.classification.task import ClassificationTask, ImageClasses
from yolo_proc.config.schema import LossConfig, ModelConfig
from yolo_proc.errors import ConfigError, DataError
from yolo_proc.models.network import build_model
from yolo_proc.task import mean_terms

TASK = ClassificationTask(("a", "b", "c"), (64, 64))
LOGITS = st.lists(st.lists(st.floats(-50, 50), min_size=3, max_size=3), min_size=1, max_size=6)


@given(LOGITS, st.data())
def test_the_loss_is_the_mean_cross_entropy_of_the_images_that_count(
    rows: list[list[float]], data: st.DataObject
) -> None:
    classes = data.draw(st.lists(st.integers(-1, 2), min_size=len(rows), max_size=len(rows)))
    logits, targets = torch.tensor(rows, dtype=torch.float64), ImageClasses(torch.tensor(classes))
    found = float(mean_terms(TASK.loss(logits, targets))["class"])
    values = [-math.log(max(softmax(np.array(row))[k], 1e-300)) for row, k in zip(rows, classes, strict=True) if k >= 0]
    assert found == pytest.approx(sum(values) / len(values) if values else 0.0, rel=1e-6, abs=1e-9)


def test_logits_go_in_and_no_probabilities() -> None:
    right, wrong = torch.tensor([[20.0, 0, 0]]), torch.tensor([[0.0, 20, 0]])
    targets = ImageClasses(torch.tensor([0]))
    assert float(TASK.loss(right, targets)["class"][0]) < 1e-6
    assert float(TASK.loss(wrong, targets)["class"][0]) > 19


def test_figures_say_what_is_right_and_how_far() -> None:
    logits = torch.tensor([[3.0, 1, 0], [0, 1, 2], [5, 5, 0], [9, 0, 0]])
    found = TASK.figures(logits, ImageClasses(torch.tensor([0, 0, 1, -1])))
    assert [float(one) for one in found["accuracy"]] == [1, 3]  # a tie is not right
    assert [float(one) for one in found["margin"]] == [2.0 - 2.0 + 0.0, 3]
    assert margins_of(torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64)).shape == (0,)
    nobody = TASK.figures(logits[:1], ImageClasses(torch.tensor([-1])))
    assert float(nobody["accuracy"][1]) == 0


def test_a_loss_that_is_not_finite_is_blamed_on_its_images() -> None:
    logits = torch.tensor([[0.0, 0, 0], [math.nan, 0, 0], [math.inf, 0, 0], [math.nan, 0, 0]])
    assert TASK.blame(logits, ImageClasses(torch.tensor([0, 0, 0, -1]))) == [("class", 1), ("class", 2)]


def test_what_classification_cannot_do_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 2 classes apart, found 1"):
        ClassificationTask(("a",), (64, 64))
    with pytest.raises(ConfigError, match="frame: expected multiples of 32, found 72x64"):
        ClassificationTask(("a", "b"), (72, 64))
    with pytest.raises(ConfigError, match="the nearest is 96x64"):
        TASK.resized(100, 64)
    assert TASK.resized(96, 32).frame == (96, 32)


@pytest.mark.parametrize("name", ["small", "original"])
def test_an_untrained_network_says_that_all_classes_are_alike(name: str) -> None:
    torch.manual_seed(0)
    model = build_model(ModelConfig(name=name), TASK).eval()
    images = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8)
    logits = model(images)
    assert logits.shape == (2, 3)
    assert logits.abs().max() < 0.05
    assert model.auxiliary_head is None
    assert model.resizable == (name == "small")
    if name == "small":
        wide = model.at(96, 32)
        assert wide(torch.zeros(1, 32, 96, 3, dtype=torch.uint8)).shape == (1, 3)


def test_the_head_reads_the_maximum_and_the_average_of_the_map() -> None:
    head = ClassificationHead(4, 3)
    x = torch.randn(2, 4, 3, 5)
    pooled = torch.cat([F.adaptive_max_pool2d(x, 1).flatten(1), F.adaptive_avg_pool2d(x, 1).flatten(1)], dim=1)
    assert torch.allclose(head([x]), F.linear(pooled, head.layers[0].weight, head.layers[0].bias), atol=1e-6)
    before = head([x])
    head.calibrate(2.0, 0.5)
    assert torch.allclose(head([x]), 2 * before + 0.5, atol=1e-5)


def test_a_temperature_is_found_again() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (20_000, 3))
    classes = np.array([rng.choice(3, p=row) for row in softmax(logits)])
    assert fit_temperature([((logits / 3).astype(np.float32), classes)]) == pytest.approx(3.0, rel=0.05)
    assert fit_temperature([]) == 1.0
    assert fit_temperature([(logits[:5].astype(np.float32), np.full(5, -1))]) == 1.0
    # All right: as certain as so many images allow, here 1 - 1 / 302.
    found = fit_temperature([(np.tile(np.eye(3, dtype=np.float32), (100, 1)), np.tile(np.arange(3), 100))])
    assert softmax(found * np.eye(3))[0, 0] == pytest.approx(1 - 1 / 302, rel=1e-3)


@given(st.lists(st.floats(-700, 700), min_size=2, max_size=5))
def test_classes_are_ranked_and_their_confidences_sum_to_one(values: list[float]) -> None:
    found = Classification.of(np.array(values))
    assert sorted(found.class_ids.tolist()) == list(range(len(values)))
    assert found.confidence.sum() == pytest.approx(1.0)
    assert (np.diff(found.confidence) <= 0).all()
    assert found.class_id == values.index(max(values))
    assert found.margin == max(values) - sorted(values)[-2]
    given_probabilities = Classification.of(softmax(np.array(values)), activated=True)
    assert given_probabilities.confidence == pytest.approx(found.confidence)


def test_nan_is_refused() -> None:
    with pytest.raises(DataError, match="found NaN: class 1"):
        Classification.of(np.array([0.0, np.nan]))


def test_the_weight_of_the_loss_is_the_users() -> None:
    task = ClassificationTask(("a", "b"), (64, 64), loss=LossConfig(weight_class=0.25))
    assert task.weights == {"class": 0.25}
