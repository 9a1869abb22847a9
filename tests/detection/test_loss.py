"""The loss, against a plain loop, and what it must not speak of."""

import math

import numpy as np
import pytest
import torch
from codec_reference import ALL_GRIDS, ONE_GRID, THREE_GRIDS, make_batch, random_batch, reference_assign, reference_loss
from hypothesis import given, settings
from hypothesis import strategies as st

from yolo_proc.config.schema import LabelConfig, LossConfig
from yolo_proc.detection.codec import Grid, J, LabelCodec, deactivate
from yolo_proc.detection.loss import TERMS, blame, detection_terms, term_weights
from yolo_proc.task import mean_terms, total

LIMITS = LabelConfig()
seeds = st.integers(0, 2**32 - 1)
grids_of = pytest.mark.parametrize("grids", ALL_GRIDS.values(), ids=ALL_GRIDS.keys())


def random_logits(seed, codec, count, dtype=torch.float64):
    rng = np.random.default_rng(seed)
    return torch.tensor(rng.normal(0, 2, (count, codec.slots, codec.fields)), dtype=dtype)


def loss_of(logits, targets):
    return total(mean_terms(detection_terms(logits, targets)), term_weights(LossConfig()))


def one_object(box=(20.0, 10.0, 50.0, 40.0), class_id=2, grids=ONE_GRID):
    """The targets of one image with one object, and logits that are perfect for it, float64."""
    codec = LabelCodec(grids, 3)
    targets = codec.assign(make_batch(1, [(0, box, class_id)]), LIMITS)
    return targets, torch.tensor(deactivate(codec.dense(targets)))


@grids_of
@settings(max_examples=25, deadline=None)
@given(seed=seeds)
def test_terms_are_the_plain_loop(grids, seed):
    codec = LabelCodec(grids, 3)
    batch = random_batch(seed, count=2)
    logits = random_logits(seed, codec, 2)
    found = detection_terms(logits, codec.assign(batch, LIMITS))
    expected = reference_loss(logits.numpy(), reference_assign(grids, batch, LIMITS))
    assert tuple(found) == TERMS
    for term, (value, count) in expected.items():
        assert found[term][0].item() == pytest.approx(value, rel=1e-8, abs=1e-12)
        assert found[term][1].item() == count


def test_terms_by_hand():
    """An object of 30 x 30 in cell (2, 1), of class 2 of 3: each term when one logit alone is wrong."""
    targets, perfect = one_object()
    slot = 6 + 2
    cases = {
        "class": ([5, 6, 7], [0.0, 0.0, 0.0], math.log(3)),
        "obj_t": ([J], [0.0], math.log(2)),
        "wh": ([2], [0.5], 0.25 / 2),  # the mean over both sides
        "xy": ([1], [0.0], ((0.5 - 9 / 16) * 16 / 30) ** 2 / 2),
    }
    for term, (fields, values, expected) in cases.items():
        logits = perfect.clone()
        logits[0, slot, fields] = torch.tensor(values, dtype=torch.float64)
        means = mean_terms(detection_terms(logits, targets))
        assert means.pop(term).item() == pytest.approx(expected, rel=1e-6)
        assert max(value.item() for value in means.values()) < 1e-8
    logits = perfect.clone()
    logits[0, 0, J] = 0.0
    means = mean_terms(detection_terms(logits, targets))
    assert means["obj_f"].item() == pytest.approx(math.log(2) / 23, rel=1e-6)


def test_a_wrong_width_and_a_wrong_height_cost_by_their_own_side():
    targets, perfect = one_object(box=(10.0, 20.0, 70.0, 40.0))  # 60 x 20
    slot, cell = int(targets.slot[0]), targets.xy[0]
    for field, side in ((0, 60), (1, 20)):
        logits = perfect.clone()
        moved = cell[field] + 1 / 16  # one pixel
        logits[0, slot, field] = math.log(moved / (1 - moved))
        value, _ = detection_terms(logits, targets)["xy"]
        assert value.item() == pytest.approx((1 / side) ** 2, rel=1e-5)


def test_a_pixel_costs_the_same_at_every_stride():
    costs = []
    for stride in (8, 16, 32):
        grids = (Grid(stride, 96 // stride, 64 // stride, ((30.0, 30.0),)),)
        targets, logits = one_object(box=(22.0, 11.0, 52.0, 41.0), grids=grids)
        moved = targets.xy[0, 0] + 1 / stride
        logits[0, int(targets.slot[0]), 0] = math.log(moved / (1 - moved))
        costs.append(detection_terms(logits, targets)["xy"][0].item())
    assert costs == pytest.approx([(1 / 30) ** 2] * 3, rel=1e-6)


@grids_of
@settings(max_examples=25, deadline=None)
@given(seed=seeds)
def test_a_perfect_prediction_costs_nothing(grids, seed):
    codec = LabelCodec(grids, 3)
    targets = codec.assign(random_batch(seed), LIMITS)
    perfect = torch.tensor(deactivate(codec.dense(targets)), dtype=torch.float32)
    assert 0 <= loss_of(perfect, targets).item() < 1e-6


@grids_of
def test_gradients_are_those_of_the_values(grids):
    codec = LabelCodec(grids, 2)
    batch = random_batch(11, count=2, most=4, classes=2)
    targets = codec.assign(batch, LIMITS).to("cpu", torch.float64)
    logits = random_logits(1, codec, 2).requires_grad_()
    for term in TERMS:
        assert torch.autograd.gradcheck(
            lambda x, term=term: detection_terms(x, targets)[term][0], logits, fast_mode=True
        )
    assert torch.autograd.gradcheck(lambda x: loss_of(x, targets), logits, fast_mode=True)


@pytest.mark.parametrize("strange", [0.0, 1e30, -1e30, math.inf, math.nan])
def test_ignored_slots_have_exactly_no_say(strange):
    codec = LabelCodec(THREE_GRIDS, 3)
    targets = codec.assign(random_batch(2), LIMITS)
    assert len(targets.ignored_slot) > 0
    logits = random_logits(4, codec, 3, torch.float32)
    expected = loss_of(logits, targets)
    logits[targets.ignored_image, targets.ignored_slot] = strange
    logits.requires_grad_()
    found = loss_of(logits, targets)
    assert found.item() == expected.item()
    found.backward()
    assert (logits.grad[targets.ignored_image, targets.ignored_slot] == 0).all()
    assert logits.grad.isfinite().all()


def test_empty_slots_speak_of_confidence_only():
    codec = LabelCodec(THREE_GRIDS, 3)
    targets = codec.assign(random_batch(2), LIMITS)
    logits = random_logits(4, codec, 3, torch.float32).requires_grad_()
    loss_of(logits, targets).backward()
    empty = torch.tensor(codec.dense(targets)[..., J] == 0)
    assert (logits.grad[empty][:, J] > 0).all()
    assert (logits.grad[empty][:, [0, 1, 2, 3, 5, 6, 7]] == 0).all()
    assert (logits.grad[targets.image, targets.slot][:, J] < 0).all()


def test_a_sure_object_leaves_the_empty_slots_sum_alone():
    """As a difference of sums, a logit of 1e8 in an object's slot would swallow the others' cost."""
    targets, logits = one_object()
    logits = logits.float()
    logits[0, :, J] = -3.0
    expected = detection_terms(logits, targets)["obj_f"][0].item()
    logits[0, int(targets.slot[0]), J] = 1e8
    assert detection_terms(logits, targets)["obj_f"][0].item() == expected


@pytest.mark.parametrize("size", [1e4, -1e4, 1e8, -1e8])
def test_huge_logits_have_finite_loss_and_gradient(size):
    targets, _ = one_object()
    logits = torch.full((1, 24, 8), size, dtype=torch.float32, requires_grad=True)
    terms = detection_terms(logits, targets)
    means = mean_terms(terms)
    assert all(value.isfinite() for value in means.values())
    assert means["obj_f"].item() == pytest.approx(max(size, 0))
    assert means["obj_t"].item() == pytest.approx(max(-size, 0))
    assert means["class"].item() == pytest.approx(math.log(3))
    total(means, term_weights(LossConfig())).backward()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("count", [0, 2])
def test_a_batch_without_objects_counts_for_nothing(count):
    codec = LabelCodec(ONE_GRID, 3)
    logits = torch.zeros((count, 24, 8), requires_grad=True)
    terms = detection_terms(logits, codec.assign(make_batch(count), LIMITS))
    assert {term: pair[1].item() for term, pair in terms.items()} == {
        "class": 0, "obj_f": 24 * count, "obj_t": 0, "wh": 0, "xy": 0,
    }  # fmt: skip
    means = mean_terms(terms)
    assert {means[term].item() for term in ("class", "obj_t", "wh", "xy")} == {0.0}
    assert means["obj_f"].item() == pytest.approx(math.log(2) if count else 0)
    total(means, term_weights(LossConfig())).backward()
    assert logits.grad.isfinite().all()


def test_an_image_ignored_as_a_whole_costs_nothing():
    codec = LabelCodec(ONE_GRID, 3)
    logits = torch.zeros((1, 24, 8), requires_grad=True)
    targets = codec.assign(make_batch(1, ignore=[(0, (0, 0, 96, 64))]), LIMITS)
    loss = loss_of(logits, targets)
    loss.backward()
    assert loss.item() == 0
    assert (logits.grad == 0).all()


def test_sums_and_counts_of_parts_add_up_to_the_whole():
    codec = LabelCodec(THREE_GRIDS, 3)
    logits = random_logits(9, codec, 2)
    box, other = (20, 10, 50, 40), (60, 10, 72, 24)
    objects = [(0, box, 0), (1, box, 1), (1, other, 2), (1, other, 0)]
    whole = detection_terms(logits, codec.assign(make_batch(2, objects), LIMITS))
    parts = [
        detection_terms(logits[:1], codec.assign(make_batch(1, objects[:1]), LIMITS)),
        detection_terms(logits[1:], codec.assign(make_batch(1, [(0, *row[1:]) for row in objects[1:]]), LIMITS)),
    ]
    for term in TERMS:
        for k in (0, 1):
            assert sum(part[term][k] for part in parts).item() == pytest.approx(whole[term][k].item())


def test_the_total_is_exactly_the_weighted_sum():
    means = {term: torch.tensor(value) for term, value in zip(TERMS, (0.1, 0.2, 0.3, 0.4, 0.7), strict=True)}
    ones = LossConfig(weight_class=1, weight_obj_f=1, weight_obj_t=1, weight_wh=1, weight_xy=1)
    assert total(means, term_weights(LossConfig())).item() == pytest.approx(0.1 + 0.5 * 0.2 + 0.3 + 5 * 0.4 + 5 * 0.7)
    for term in TERMS:
        config = LossConfig(**{f"weight_{name}": 3.0 if name == term else 1.0 for name in TERMS})
        rise = total(means, term_weights(config)) - total(means, term_weights(ones))
        assert rise.item() == pytest.approx(2 * means[term].item(), rel=1e-5)
        only = LossConfig(**{f"weight_{name}": float(name == term) for name in TERMS})
        assert total(means, term_weights(only)).item() == means[term].item()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_terms_are_float32_under_autocast(dtype):
    codec = LabelCodec(THREE_GRIDS, 3)
    targets = codec.assign(random_batch(2), LIMITS).to("cpu")
    logits = random_logits(4, codec, 3, torch.float32).to(dtype)
    expected = detection_terms(logits.float(), targets)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = detection_terms(logits.requires_grad_(), targets)
    for term in TERMS:
        assert found[term][0].dtype == found[term][1].dtype == torch.float32
        assert found[term][0].item() == expected[term][0].item()
    total(mean_terms(found), term_weights(LossConfig())).backward()
    assert logits.grad.dtype == dtype


def test_blame_names_the_term_and_the_image():
    codec = LabelCodec(ONE_GRID, 3)
    box = (20, 10, 50, 40)
    targets = codec.assign(make_batch(4, [(k, box, 0) for k in range(4)]), LIMITS)
    logits = torch.zeros((4, 24, 8))
    assert blame(logits, targets) == []
    logits[1, 8, 0] = math.nan
    logits[3, 8, 2] = math.inf
    logits[2, 0, J] = math.nan
    logits[0, 1, 6] = math.nan  # an empty slot's class: nobody looks
    assert blame(logits, targets) == [("obj_f", 2), ("wh", 3), ("xy", 1)]
    assert not loss_of(logits, targets).isfinite()
    logits = torch.zeros((4, 24, 8))
    logits[2, 8, J:] = math.nan
    assert blame(logits, targets) == [("class", 2), ("obj_t", 2)]
