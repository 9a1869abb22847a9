"""Raw logits to detections (`LabelCodec.decode`), against a plain loop and on labels' own logits."""

import math

import numpy as np
import pytest
from codec_reference import (
    ALL_GRIDS,
    HEIGHT,
    ONE_GRID,
    THREE_GRIDS,
    TWO_ANCHORS,
    random_batch,
    reference_decode,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from yolo_proc.config.schema import LabelConfig
from yolo_proc.detection.codec import DecodeConfig, Grid, J, LabelCodec, activate, deactivate
from yolo_proc.errors import DataError

LIMITS = LabelConfig()
seeds = st.integers(0, 2**32 - 1)
grids_of = pytest.mark.parametrize("grids", ALL_GRIDS.values(), ids=ALL_GRIDS.keys())


def random_logits(seed, codec, count=1, scale=3.0):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, scale, (count, codec.slots, codec.fields)).astype(np.float32)
    logits[..., 2:4] /= 4  # sizes near the anchors, so that boxes overlap and differ
    logits[..., J] = np.round(logits[..., J])  # equal confidences are met
    return logits


@grids_of
@settings(max_examples=60, deadline=None)
@given(seed=seeds)
def test_objects_come_back_from_their_targets(grids, seed):
    """Objects -> targets -> dense float32 -> logits -> detections, to 1e-6 of a cell and of a side."""
    codec = LabelCodec(grids, 3)
    batch = random_batch(seed)
    targets = codec.assign(batch, LIMITS)
    config = DecodeConfig(max_iou=1.0, nms="agnostic")
    found = codec.decode(deactivate(codec.dense(targets)), config)
    assert sum(len(one) for one in found) == len(targets.slot)
    for image, one in enumerate(found):
        assert sorted(one.slots.tolist()) == sorted(targets.slot[targets.image == image].tolist())
        for slot, box, class_id, confidence in zip(one.slots, one.box_xyxy, one.class_ids, one.confidence, strict=True):
            row = np.flatnonzero((targets.image == image) & (targets.slot == slot))[0]
            assert class_id == targets.class_id[row]
            assert confidence == pytest.approx(1, abs=1e-8)
            near = np.abs(batch.box_xyxy - box).max(axis=1)[batch.image_ids == image].min()
            size = max(box[2] - box[0], box[3] - box[1])
            stride = targets.stride_over_size[row, 0] * (box[2] - box[0])
            assert near <= 1e-6 * stride + 1e-6 * size


@grids_of
@settings(max_examples=40, deadline=None)
@given(
    seed=seeds,
    confidence=st.sampled_from([0.001, 0.3, 0.65, 0.9]),
    max_iou=st.sampled_from([0.0, 0.2, 0.4, 0.8, 1.0]),
    nms=st.sampled_from(["class", "agnostic"]),
    max_candidates=st.sampled_from([1, 7, 50, 1000]),
    max_detections=st.sampled_from([1, 5, 300]),
)
def test_decode_is_the_plain_loop(grids, seed, confidence, max_iou, nms, max_candidates, max_detections):
    codec = LabelCodec(grids, 3)
    logits = random_logits(seed, codec)
    config = DecodeConfig(confidence, max_iou, nms, max_candidates, max_detections)
    (found,) = codec.decode(logits, config)
    expected = reference_decode(grids, logits[0], config)
    assert found.slots.tolist() == [row[0] for row in expected]
    assert found.class_ids.tolist() == [row[1] for row in expected]
    np.testing.assert_allclose(found.confidence, [row[2] for row in expected], rtol=1e-13)
    np.testing.assert_allclose(found.box_xyxy, np.array([row[3] for row in expected]).reshape(-1, 4), atol=1e-10)


def blank(codec, count=1):
    """Logits of nothing found."""
    logits = np.zeros((count, codec.slots, codec.fields), dtype=np.float32)
    logits[..., J] = -50
    return logits


def test_nothing_found_and_no_images():
    codec = LabelCodec(THREE_GRIDS, 3)
    (found,) = codec.decode(blank(codec))
    assert len(found) == 0
    assert found.box_xyxy.shape == (0, 4)
    assert codec.decode(blank(codec, 0)) == []


def test_the_confidence_limit_is_not_rounded_to_float32():
    codec = LabelCodec(ONE_GRID, 1)
    rounded_down = 0
    for confidence in (0.001, 0.1, 0.3, 0.65, 0.7, 0.9):
        limit = math.log(confidence / (1 - confidence))
        rounded_down += float(np.float32(limit)) < limit
        for j in (np.float32(limit), np.nextafter(np.float32(limit), np.float32(-99)), np.float32(limit + 1e-3)):
            logits = blank(codec)
            logits[0, 5, J] = j
            (found,) = codec.decode(logits, DecodeConfig(confidence=confidence))
            assert len(found) == (float(j) >= limit)
    assert rounded_down > 0


def test_confidence_may_be_nought_or_one():
    codec = LabelCodec(ONE_GRID, 1)
    logits = blank(codec)
    logits[0, 3, J] = 1e4
    config = DecodeConfig(confidence=0, max_iou=1)
    assert len(codec.decode(logits, config)[0]) == codec.slots
    assert codec.decode(logits)[0].confidence.tolist() == [1.0]  # saturated, not overflown
    logits[0, 3, J] = np.inf
    assert codec.decode(logits, DecodeConfig(confidence=1))[0].slots.tolist() == [3]
    logits[0, 3, J] = -1e4
    assert codec.decode(logits, config)[0].confidence.min() == 0.0


def test_of_equal_confidence_the_lower_slot_comes_first_and_candidates_are_cut_before_nms():
    codec = LabelCodec(ONE_GRID, 1)
    logits = blank(codec)
    logits[0, [2, 9, 17], J] = 3.0
    logits[0, 17, J] = 4.0
    logits[..., 2:4] = -2  # small: none overlap
    assert codec.decode(logits)[0].slots.tolist() == [17, 2, 9]
    assert codec.decode(logits, DecodeConfig(max_candidates=2))[0].slots.tolist() == [17, 2]
    logits[..., 2:4] = 1  # neighbours overlap: slot 3 falls to 2, and 17 is beyond the candidates
    logits[0, [2, 3, 17], J] = 5.0, 4.5, 4.0
    assert codec.decode(logits, DecodeConfig(max_candidates=2))[0].slots.tolist() == [2]
    assert codec.decode(logits, DecodeConfig(max_candidates=3, max_detections=2))[0].slots.tolist() == [2, 17]


def test_boxes_are_clipped_after_suppression():
    """Two boxes that agree inside the picture, and differ beyond it, both stay."""
    codec = LabelCodec((Grid(16, 6, 4, ((30.0, 30.0), (30.0, 400.0))),), 1)
    logits = blank(codec)
    logits[0, :2, J] = 3.0, 2.0
    logits[0, 0, 3] = math.log(120 / 30)
    (found,) = codec.decode(logits)
    assert found.slots.tolist() == [0, 1]
    np.testing.assert_allclose(found.box_xyxy, [[0, 0, 23, HEIGHT]] * 2)


def test_the_first_of_equal_classes_is_the_class():
    codec = LabelCodec(ONE_GRID, 3)
    logits = blank(codec)
    logits[0, 4, J:] = 5, 1, 2, 2
    assert codec.decode(logits)[0].class_ids.tolist() == [1]


@pytest.mark.parametrize("field", [0, 3, 4, 6])
def test_nan_is_refused_wherever_it_stands(field):
    codec = LabelCodec(ONE_GRID, 3)
    logits = blank(codec, 2)
    logits[1, 7, field] = np.nan
    with pytest.raises(DataError, match=f"NaN: image 1, slot 7, field {field}"):
        codec.decode(logits)


def test_activated_outputs_decode_alike():
    codec = LabelCodec(THREE_GRIDS, 3)
    logits = random_logits(5, codec, 2)
    for one, other in zip(codec.decode(logits), codec.decode(activate(logits), activated=True), strict=True):
        np.testing.assert_array_equal(one.slots, other.slots)
        np.testing.assert_allclose(one.box_xyxy, other.box_xyxy)
        np.testing.assert_allclose(one.confidence, other.confidence)
        np.testing.assert_array_equal(one.class_ids, other.class_ids)
        assert len(one) > 0


def test_initial_wh_is_the_mean_log_of_those_an_anchor_gets():
    codec = LabelCodec(TWO_ANCHORS, 1)
    sizes = np.array([[20.0, 40.0], [22.0, 50.0], [41.0, 20.0]])
    expected = [[math.log(1.1) / 2, math.log(50 / 40) / 2], [math.log(41 / 40), 0]]
    np.testing.assert_allclose(codec.initial_wh(sizes), expected, atol=1e-15)
    np.testing.assert_array_equal(codec.initial_wh(np.zeros((0, 2))), np.zeros((2, 2)))
