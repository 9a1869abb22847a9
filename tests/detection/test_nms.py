"""Suppression, against a plain loop and torchvision."""

import math

import numpy as np
import pytest
import torch
from codec_reference import reference_nms
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.ops import batched_nms
from torchvision.ops import nms as torchvision_nms

from yolo_proc.detection.nms import nms
from yolo_proc.errors import DataError


def random_boxes(seed, count, whole=False):
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 40, (count, 2))
    boxes = np.concatenate([low, low + rng.uniform(5, 30, (count, 2))], axis=1)
    return (np.round(boxes) if whole else boxes), rng.integers(0, 3, count)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(0, 300),
    max_iou=st.sampled_from([0, 0.25, 0.4, 0.5, 0.9, 1]),
    most=st.sampled_from([1, 20, 300]),
    agnostic=st.booleans(),
)
def test_nms_is_the_plain_loop(seed, count, max_iou, most, agnostic):
    boxes, classes = random_boxes(seed, count, whole=True)  # whole corners, so that overlaps of just max_iou are met
    chosen = None if agnostic else classes
    assert nms(boxes, chosen, max_iou, most).tolist() == reference_nms(boxes.tolist(), chosen, max_iou, most)


@pytest.mark.parametrize("max_iou", [0.2, 0.4, 0.7])
def test_nms_agrees_with_torchvision(max_iou):
    boxes, classes = random_boxes(7, 400)
    scores = torch.linspace(1, 0, 400, dtype=torch.float64)
    theirs = batched_nms(torch.tensor(boxes), scores, torch.tensor(classes), max_iou)
    assert nms(boxes, classes, max_iou, 1000).tolist() == theirs.tolist()
    assert 20 < len(theirs) < 400
    theirs = torchvision_nms(torch.tensor(boxes), scores, max_iou)
    assert nms(boxes, None, max_iou, 1000).tolist() == theirs.tolist()


def test_an_overlap_of_just_max_iou_is_dropped():
    boxes = np.array([[0.0, 0, 3, 1], [1, 0, 4, 1]])  # intersection 2, union 4
    assert nms(boxes, None, 0.5, 9).tolist() == [0]
    assert nms(boxes, None, math.nextafter(0.5, 1), 9).tolist() == [0, 1]


def test_a_dropped_box_drops_no_other():
    boxes = np.array([[0.0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10]])  # each overlaps the next
    assert nms(boxes, None, 0.4, 9).tolist() == [0, 2]


def test_classes_are_apart_unless_agnostic():
    boxes = np.array([[0.0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 10]])
    assert nms(boxes, np.array([0, 1, 0]), 0.4, 9).tolist() == [0, 1]
    assert nms(boxes, None, 0.4, 9).tolist() == [0]


def test_max_detections_counts_those_that_stay():
    boxes = np.array([[0.0, 0, 9, 9], [0, 0, 9, 9], [20, 0, 29, 9], [40, 0, 49, 9]])
    assert nms(boxes, None, 0.4, 2).tolist() == [0, 2]


def test_nothing_and_nan():
    assert nms(np.zeros((0, 4)), np.zeros(0, dtype=np.int64), 0.4, 9).tolist() == []
    with pytest.raises(DataError, match="NaN"):
        nms(np.array([[0, 0, math.nan, 1]]), None, 0.4, 9)
