import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from letterbox_reference import apply_by_rule

from yolo_proc.errors import DataError
from yolo_proc.imaging.letterbox import PAD, Letterbox, frame_for

SIDES = st.integers(1, 300)


@pytest.mark.parametrize(
    ("size", "frame"),
    [
        ((1920 // 8, 1080 // 8), (64, 64)),  # a large picture, antialiased
        ((31, 47), (96, 96)),  # enlarged, upright
        ((100, 75), (416, 416)),
        ((64, 64), (64, 64)),  # its own size
        ((64, 40), (64, 64)),  # only padded
        ((40, 64), (128, 96)),
        ((1, 1), (32, 64)),
        ((2, 999), (32, 32)),  # the narrow side rounds to 0 and is kept at 1
        ((33, 32), (32, 32)),
        ((65, 97), (64, 64)),
        ((2, 4), (1, 1)),  # where Pillow 13 alone would take the vertical pass first
        ((30, 90), (40, 50)),
    ],
)
def test_apply_gives_the_bytes_of_the_rule(size, frame):
    image = np.random.default_rng(size[0]).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    got = Letterbox.of(*size, *frame).apply(image)
    assert np.array_equal(got, apply_by_rule(image, *frame))


@settings(max_examples=25, deadline=None)
@given(SIDES, SIDES, st.integers(1, 80), st.integers(1, 80), st.integers(0, 2**32))
def test_apply_gives_the_bytes_of_the_rule_at_any_size(w, h, width, height, seed):
    # Black and white noise has the largest sums: where clamping and rounding show.
    image = np.random.default_rng(seed).choice(np.array([0, 255], dtype=np.uint8), (h, w, 3))
    assert np.array_equal(Letterbox.of(w, h, width, height).apply(image), apply_by_rule(image, width, height))


def test_padding_is_split_with_the_odd_row_below():
    box = Letterbox.of(100, 49, 100, 100)
    assert (box.nw, box.nh, box.left, box.top) == (100, 49, 0, 25)
    frame = box.apply(np.zeros((49, 100, 3), dtype=np.uint8))
    assert (frame[:25] == PAD).all()
    assert (frame[25:74] == 0).all()
    assert (frame[74:] == PAD).all()


def test_half_a_pixel_rounds_up():
    assert Letterbox.of(4, 1, 10, 10).nh == 3  # 2.5: half to even would give 2


@given(SIDES, SIDES, SIDES, SIDES, st.lists(st.tuples(*[st.floats(0, 1)] * 4), max_size=5))
def test_boxes_go_there_and_back(w, h, width, height, shares):
    corners = np.sort(np.array(shares, dtype=np.float64).reshape(-1, 2, 2), axis=1)
    boxes = (corners * (w, h)).reshape(-1, 4)
    box = Letterbox.of(w, h, width, height)
    inside = box.boxes_to_network(boxes)
    assert inside.shape == (len(shares), 4)
    assert (inside[:, :2] >= (box.left, box.top)).all()
    assert (inside[:, 2:] <= (box.left + box.nw, box.top + box.nh)).all()
    assert np.allclose(box.boxes_to_picture(inside), boxes, atol=1e-9)


def test_the_whole_picture_is_the_whole_inside():
    box = Letterbox.of(640, 361, 256, 256)
    inside = [box.left, box.top, box.left + box.nw, box.top + box.nh]
    assert box.boxes_to_network([0, 0, 640, 361]).tolist() == [inside]
    assert box.boxes_to_picture(inside).tolist() == [[0, 0, 640, 361]]


def test_the_inverse_clips_to_the_picture():
    box = Letterbox.of(200, 100, 100, 100)
    assert box.boxes_to_picture([-5, 0, 120, 100]).tolist() == [[0, 0, 200, 100]]


def test_boxes_follow_pixels():
    image = np.zeros((90, 160, 3), dtype=np.uint8)
    image[20:60, 40:100] = 255
    box = Letterbox.of(160, 90, 320, 320)
    rows, columns = np.nonzero(box.apply(image)[..., 0] > 180)
    got = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    assert np.allclose(got, box.boxes_to_network([40, 20, 100, 60])[0], atol=1)


def test_nothing_is_nothing():
    box = Letterbox.of(10, 20, 30, 40)
    assert box.boxes_to_network([]).shape == (0, 4)
    assert box.boxes_to_picture(np.zeros((0, 4))).shape == (0, 4)
    assert box.points_to_network([]).shape == (0, 2)


def test_apply_leaves_its_input_alone():
    image = np.full((8, 8, 3), 7, dtype=np.uint8)
    frame = Letterbox.of(8, 8, 8, 8).apply(image)
    frame[:] = 0
    assert (image == 7).all()


def test_wrong_pictures_are_refused():
    with pytest.raises(DataError, match=r"found a picture of 0 x 5"):
        Letterbox.of(0, 5, 10, 10)
    box = Letterbox.of(4, 5, 10, 10)
    with pytest.raises(DataError, match=r"expected uint8 \(5, 4, 3\), found uint8 \(4, 5, 3\)"):
        box.apply(np.zeros((4, 5, 3), dtype=np.uint8))
    with pytest.raises(DataError, match="found float32"):
        box.apply(np.zeros((5, 4, 3), dtype=np.float32))


def test_a_frame_has_the_shape_of_the_picture():
    expected = {
        (1920, 1080): (448, 256),
        (1080, 1920): (256, 448),
        (1080, 1080): (256, 256),
        (64, 48): (336, 256),  # 341.3: the nearest of 336 and 352
        (33, 32): (272, 256),  # exactly between: up
        (257, 256): (256, 256),
        (5000, 300): (4096, 256),
        (4000, 300): (3408, 256),
        (1, 1): (256, 256),
    }
    assert {size: frame_for(*size, 256, 16) for size in expected} == expected
    with pytest.raises(DataError, match="expected a picture with sides of at least 1 pixel, found 0 x 5"):
        frame_for(0, 5, 256, 16)


@given(SIDES, SIDES, st.integers(1, 8), st.sampled_from([8, 16, 32]))
def test_a_frame_wastes_little_and_shrinks_little(w, h, sides, multiple):
    side = sides * multiple
    width, height = frame_for(w, h, side, multiple)
    assert min(width, height) == side
    assert width % multiple == height % multiple == 0
    assert frame_for(h, w, side, multiple) == (height, width)
    if max(w, h) < 16 * min(w, h):
        exact = side * max(w, h) / min(w, h)
        assert abs(max(width, height) - exact) <= multiple / 2
    else:
        assert max(width, height) == 16 * side
