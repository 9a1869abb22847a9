"""Labels to slots and back, against plain loops."""

import json
import math

import numpy as np
import pytest
import torch
from codec_reference import (
    ALL_GRIDS,
    HEIGHT,
    ONE_GRID,
    THREE_GRIDS,
    TWO_ANCHORS,
    WIDTH,
    make_batch,
    random_batch,
    reference_assign,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import special

from yolo_proc.config.schema import LabelConfig
from yolo_proc.detection.codec import DecodeConfig, Grid, LabelCodec, activate, deactivate, logit_of
from yolo_proc.errors import ConfigError

LIMITS = LabelConfig()
seeds = st.integers(0, 2**32 - 1)
grids_of = pytest.mark.parametrize("grids", ALL_GRIDS.values(), ids=ALL_GRIDS.keys())


def rows_of(targets):
    """What `reference_assign` gives, of `Targets`."""
    values = np.concatenate([targets.xy, targets.wh, targets.stride_over_size], axis=1).tolist()
    keys = zip(targets.image.tolist(), targets.slot.tolist(), strict=True)
    ids = targets.class_id.tolist()
    found = {key: (class_id, *row) for key, class_id, row in zip(keys, ids, values, strict=True)}
    ignored = list(zip(targets.ignored_image.tolist(), targets.ignored_slot.tolist(), strict=True))
    return found, ignored, targets.dropped


# ---- slots


def test_slots_are_numbered_by_grid_row_column_and_anchor():
    codec = LabelCodec(THREE_GRIDS, 3)
    assert (codec.slots, codec.fields, codec.frame) == (12 * 8 * 2 + 6 * 4 + 3 * 2 * 3, 8, (96, 64))
    assert codec.grid_offsets == (0, 192, 216, 234)
    # Centre (70, 40), 40 x 40: stride 32, column 2, row 1, anchor 0.
    targets = codec.assign(make_batch(1, [(0, (50, 20, 90, 60), 1)]), LIMITS)
    assert targets.slot.tolist() == [216 + (1 * 3 + 2) * 3 + 0]
    np.testing.assert_allclose(targets.xy, [[70 / 32 - 2, 40 / 32 - 1]])
    # Centre (12, 20), 14 x 9: stride 8, column 1, row 2, anchor 1.
    targets = codec.assign(make_batch(1, [(0, (5, 15.5, 19, 24.5), 1)]), LIMITS)
    assert targets.slot.tolist() == [(2 * 12 + 1) * 2 + 1]
    np.testing.assert_allclose(targets.wh, [[1.0, 0.9]])
    np.testing.assert_allclose(targets.stride_over_size, [[8 / 14, 8 / 9]])


@grids_of
@settings(max_examples=60, deadline=None)
@given(seed=seeds)
def test_assign_is_the_plain_loop(grids, seed):
    batch = random_batch(seed)
    targets = LabelCodec(grids, 3).assign(batch, LIMITS)
    found, ignored, dropped = rows_of(targets)
    expected, expected_ignored, expected_dropped = reference_assign(grids, batch, LIMITS)
    assert found.keys() == expected.keys()
    for key, row in expected.items():
        assert found[key] == pytest.approx(row, rel=1e-12, abs=1e-12)
    assert ignored == sorted(expected_ignored)
    assert dropped == expected_dropped
    assert sum(dropped.values()) + len(found) == len(batch.class_ids)


def test_the_random_batches_meet_every_case():
    """Else the comparison with the loop would prove little."""
    seen = dict.fromkeys(("slot_taken", "min_in_frame", "min_visible", "min_box_px", "ignored"), 0)
    for seed in range(20):
        targets = LabelCodec(THREE_GRIDS, 3).assign(random_batch(seed), LIMITS)
        for reason, count in targets.dropped.items():
            seen[reason] += count
        seen["ignored"] += len(targets.ignored_slot)
    assert min(seen.values()) > 0, seen


def test_of_equal_anchors_the_lowest_index_wins():
    square = make_batch(1, [(0, (20, 10, 60, 50), 0)])
    assert LabelCodec(TWO_ANCHORS, 1).assign(square, LIMITS).slot.tolist() == [(1 * 6 + 2) * 2]
    # 24 x 24 is an anchor of the second grid and of the third.
    small = make_batch(1, [(0, (20, 10, 44, 34), 0)])
    assert LabelCodec(THREE_GRIDS, 1).assign(small, LIMITS).slot.tolist() == [192 + 1 * 6 + 2]


def test_a_taken_slot_keeps_the_surest_then_the_first_drawn():
    box = (20, 10, 50, 40)
    codec = LabelCodec(ONE_GRID, 3)
    first = codec.assign(make_batch(1, [(0, box, 0), (0, box, 1), (0, box, 2)]), LIMITS)
    assert (first.class_id.tolist(), first.dropped["slot_taken"]) == ([0], 2)
    surest = codec.assign(make_batch(1, [(0, box, 0, 0.5), (0, box, 1, 0.9), (0, box, 2, 0.9)]), LIMITS)
    assert surest.class_id.tolist() == [1]
    # One below a limit takes no slot from others, and another image's objects none either.
    below = codec.assign(make_batch(2, [(0, box, 0, 1.0, 0.1), (0, box, 1), (1, box, 2)]), LIMITS)
    assert below.class_id.tolist() == [1, 2]
    assert below.dropped == {"slot_taken": 0, "min_in_frame": 0, "min_visible": 1, "min_box_px": 0}


def test_rows_stand_in_drawn_order():
    """The order of a sum is part of bit-exactness, so confidences must not change it."""
    batch = make_batch(2, [(0, (50, 30, 80, 60), 0, 0.5), (0, (0, 0, 20, 20), 1, 1.0), (1, (0, 0, 9, 9), 2, 0.7)])
    assert LabelCodec(ONE_GRID, 3).assign(batch, LIMITS).class_id.tolist() == [0, 1, 2]


def test_a_dropped_box_is_half_open_where_it_ignores_slots():
    # Cell centres at 8, 24, 40, ...: from 8 (within) to 40 (without).
    targets = LabelCodec(ONE_GRID, 1).assign(make_batch(1, ignore=[(0, (8, 8, 40, 24))]), LIMITS)
    assert targets.ignored_slot.tolist() == [0, 1]
    # A hair's breadth more or less changes that.
    wider = (math.nextafter(8, 9), 8, math.nextafter(40, 41), 24)
    targets = LabelCodec(ONE_GRID, 1).assign(make_batch(1, ignore=[(0, wider)]), LIMITS)
    assert targets.ignored_slot.tolist() == [1, 2]


def test_ignore_regions_never_hide_an_object():
    batch = make_batch(2, [(1, (20, 10, 50, 40), 0)], ignore=[(1, (-5, -5, 500, 500))])
    targets = LabelCodec(ONE_GRID, 1).assign(batch, LIMITS)
    slot = int(targets.slot[0])
    assert set(targets.ignored_image.tolist()) == {1}
    assert targets.ignored_slot.tolist() == [number for number in range(24) if number != slot]
    assert sum(targets.dropped.values()) == 0  # a region is no object


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_batch_without_objects_has_no_rows(count):
    codec = LabelCodec(THREE_GRIDS, 2)
    targets = codec.assign(make_batch(count), LIMITS)
    assert [len(part) for part in (targets.image, targets.xy, targets.ignored_slot)] == [0, 0, 0]
    assert set(targets.dropped) == {"slot_taken", "min_in_frame", "min_visible", "min_box_px"}
    assert not any(targets.dropped.values())
    dense = codec.dense(targets)
    assert dense.shape == (count, codec.slots, 7)
    assert not dense.any()
    assert targets.to("cpu").xy.shape == (0, 2)


def test_a_centre_rounded_onto_the_far_edge_stays_in_the_last_cell():
    box = (math.nextafter(WIDTH, 0), math.nextafter(HEIGHT, 0), WIDTH, HEIGHT)
    assert (box[0] + box[2]) / 2 == WIDTH
    targets = LabelCodec(ONE_GRID, 1).assign(make_batch(1, [(0, box, 0)]), LabelConfig(min_box_px=0))
    assert targets.slot.tolist() == [23]
    assert (targets.xy < 1).all()
    assert np.isfinite(np.square(targets.stride_over_size, dtype=np.float32)).all()


def test_a_box_without_area_is_no_label_whatever_the_limit():
    targets = LabelCodec(ONE_GRID, 1).assign(make_batch(1, [(0, (20, 10, 20, 40), 0)]), LabelConfig(min_box_px=0))
    assert targets.dropped["min_box_px"] == 1
    assert len(targets.image) == 0


def test_limits_are_closed_below():
    at = make_batch(1, [(0, (20, 10, 24, 40), 0, 1.0, 0.4, 0.5)])
    assert len(LabelCodec(ONE_GRID, 1).assign(at, LIMITS).image) == 1
    for reason, change in [
        ("min_visible", (4, 0.39)),
        ("min_in_frame", (5, 0.49)),
        ("min_box_px", (1, (20, 10, 23, 40))),
    ]:
        row = [0, (20, 10, 24, 40), 0, 1.0, 0.4, 0.5]
        row[change[0]] = change[1]
        targets = LabelCodec(ONE_GRID, 1).assign(make_batch(1, [tuple(row)]), LIMITS)
        assert targets.dropped[reason] == 1 == sum(targets.dropped.values())


# ---- the dense form, tensors


def test_dense_form_by_hand():
    codec = LabelCodec(ONE_GRID, 3)
    batch = make_batch(1, [(0, (20, 10, 50, 40), 2)], ignore=[(0, (0, 0, 10, 10))])
    dense = codec.dense(codec.assign(batch, LIMITS))
    assert dense.dtype == np.float32
    np.testing.assert_array_equal(dense[0, 6 + 2], np.float32([35 / 16 - 2, 25 / 16 - 1, 1, 1, 1, 0, 0, 1]))
    np.testing.assert_array_equal(dense[0, 0], [0, 0, 0, 0, -1, 0, 0, 0])
    assert np.count_nonzero(dense) == 7


def test_tensors_hold_the_same_rows():
    targets = LabelCodec(THREE_GRIDS, 3).assign(random_batch(3), LIMITS)
    for dtype in (torch.float32, torch.float64):
        tensors = targets.to("cpu", dtype)
        for name in ("image", "slot", "class_id", "ignored_image", "ignored_slot"):
            assert getattr(tensors, name).dtype == torch.int64
            np.testing.assert_array_equal(getattr(tensors, name), getattr(targets, name))
        for name in ("xy", "wh", "stride_over_size"):
            assert getattr(tensors, name).dtype == dtype
            np.testing.assert_allclose(getattr(tensors, name), getattr(targets, name), rtol=1e-7, atol=1e-7)
    assert targets.to("cpu").wh.dtype == torch.float32


# ---- activate and its inverse


@given(
    hnp.arrays(np.float64, hnp.array_shapes(max_dims=2, max_side=4).map(lambda s: (*s, 8)), elements=st.floats(-60, 60))
)
def test_activate_follows_the_table(logits):
    found = activate(logits)
    np.testing.assert_allclose(found[..., :2], special.expit(logits[..., :2]), rtol=1e-14)
    np.testing.assert_allclose(found[..., 2:4], np.exp(np.clip(logits[..., 2:4], -20, 9.2)), rtol=1e-14)
    np.testing.assert_allclose(found[..., 4], special.expit(logits[..., 4]), rtol=1e-14)
    np.testing.assert_allclose(found[..., 5:], special.softmax(logits[..., 5:], axis=-1), rtol=1e-12)


def test_activate_takes_any_float_and_huge_logits():
    logits = np.float32([[1e30, -1e30, 1e30, -1e30, -1e4, 1e30, -1e30]])
    found = activate(logits)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, [[1, 0, math.exp(9.2), math.exp(-20), 0, 1, 0]])
    assert activate(np.zeros((0, 7), dtype=np.float32)).shape == (0, 7)
    assert activate(np.zeros((2, 0, 7))).shape == (2, 0, 7)


@given(
    st.lists(st.floats(-13, 13), min_size=2, max_size=2),
    st.lists(st.floats(-20, 9.2), min_size=2, max_size=2),
    st.floats(-19, 19),
    st.lists(st.floats(-6, 6), min_size=1, max_size=4),
)
def test_deactivate_inverts_activate(xy, wh, j, scores):
    logits = np.array([*xy, *wh, j, *scores])
    back = deactivate(activate(logits))
    np.testing.assert_allclose(back[:4], logits[:4], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(back[4], j, rtol=1e-6, atol=1e-6)  # near 1 a probability has few digits left
    np.testing.assert_allclose(back[5:] - back[5], logits[5:] - logits[5], atol=1e-9)
    np.testing.assert_allclose(activate(back), activate(logits), rtol=1e-6, atol=1e-9)


def test_deactivate_of_certain_labels():
    edge = math.log(2**-20 / (1 - 2**-20))
    found = deactivate(np.float32([[0, 0.5, 1, math.e, 1, 0, 1], [0, 0, 0, 0, 0, 0, 0], [1, 0, 0, 0, -1, 0, 0]]))
    np.testing.assert_allclose(found[0], [edge, 0, 0, 1, 20, 0, 20], rtol=1e-7)
    np.testing.assert_allclose(found[1], [edge, edge, -20, -20, -20, 0, 0], rtol=1e-12)
    np.testing.assert_allclose(found[2, [0, 4]], [-edge, -20], rtol=1e-9)
    assert np.isfinite(found).all()


def test_logit_of_its_ends():
    assert logit_of(0.5) == 0
    assert logit_of(0.65) == math.log(0.65 / (1 - 0.65))
    assert (logit_of(0.0), logit_of(1.0)) == (-math.inf, math.inf)


# ---- what is refused


@pytest.mark.parametrize(
    ("grids", "classes", "said"),
    [
        ((), 1, "ascending strides"),
        ((THREE_GRIDS[1], THREE_GRIDS[0]), 1, "ascending strides"),
        ((THREE_GRIDS[0], THREE_GRIDS[0]), 1, "ascending strides"),
        ((Grid(8, 12, 8, ((9, 9),)), Grid(16, 6, 5, ((9, 9),))), 1, "one frame"),
        ((Grid(8, 12, 8, ()),), 1, "positive anchors"),
        ((Grid(8, 12, 8, ((9, 0),)),), 1, "positive anchors"),
        ((Grid(8, 12, 8, ((9, math.nan),)),), 1, "positive anchors"),
        (ONE_GRID, 0, "at least one class"),
    ],
)
def test_impossible_codecs_are_refused(grids, classes, said):
    with pytest.raises(ConfigError, match=said):
        LabelCodec(grids, classes)


@pytest.mark.parametrize(
    "values",
    [{"confidence": 1.01}, {"confidence": math.nan}, {"max_iou": -0.1}, {"nms": "soft"}, {"max_detections": 0}],
)
def test_impossible_decoding_is_refused_by_name(values):
    with pytest.raises(ConfigError, match=f"decoding: {next(iter(values)).replace('_', '-')}"):
        DecodeConfig(**values)


def test_a_codec_is_its_grids_and_classes():
    back = tuple(Grid.from_dict(json.loads(json.dumps(grid.to_dict()))) for grid in THREE_GRIDS)
    assert LabelCodec(back, 3) == LabelCodec(THREE_GRIDS, 3)
    assert LabelCodec(back, 3) != LabelCodec(THREE_GRIDS, 2)
