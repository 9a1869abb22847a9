"""Duplicates: copies are found however they were stored, and pictures that only look plain alike are not."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yolo_proc.inspection import duplicates
from yolo_proc.inspection.duplicates import NEAR_BITS, Duplicates, Look, find_duplicates, look_of


def texture(seed: int, width: int = 96, height: int = 64) -> np.ndarray:
    """A picture with things in it: random patches, smoothed."""
    patches = np.random.default_rng(seed).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(patches, (width, height), interpolation=cv2.INTER_CUBIC))


def groups_of(*pictures: np.ndarray) -> Duplicates:
    return find_duplicates([look_of(picture) for picture in pictures])


def test_nothing_and_one_have_no_duplicates() -> None:
    assert find_duplicates([]) == Duplicates()
    assert groups_of(texture(0)) == Duplicates()


def test_equal_pixels_are_one_group_whose_first_is_not_superfluous() -> None:
    found = groups_of(texture(0), texture(1), texture(0), texture(2), texture(0), texture(2))
    assert found.exact == ((0, 2, 4), (3, 5))
    assert found.superfluous == 3
    assert found.near == ()


def test_equal_bytes_of_another_size_are_not_equal() -> None:
    row = np.arange(48, dtype=np.uint8).repeat(4)
    assert groups_of(row.reshape(4, 16, 3), row.reshape(8, 8, 3)).exact == ()


def test_copies_are_near() -> None:
    picture = texture(3)
    jpeg = cv2.imdecode(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], cv2.IMREAD_COLOR)
    copies = [
        picture,
        jpeg,
        cv2.resize(picture, (144, 96), interpolation=cv2.INTER_AREA),
        np.clip(picture.astype(np.int64) + 12, 0, 255).astype(np.uint8),
    ]
    found = groups_of(texture(4), *copies, texture(5))
    assert found.near == ((1, 2, 3, 4),)
    assert found.exact == ()


def test_a_near_group_has_the_equal_ones_too() -> None:
    picture = texture(6)
    changed = picture.copy()
    changed[0, 0] ^= 1
    found = groups_of(picture, changed, picture)
    assert found.exact == ((0, 2),)
    assert found.near == ((0, 1, 2),)


def test_objects_in_other_places_of_a_plain_background_are_other_pictures() -> None:
    pictures = []
    for x, y in ((4, 4), (40, 8), (20, 40)):
        plain = np.full((64, 64, 3), 90, dtype=np.uint8)
        plain[y : y + 16, x : x + 16] = (250, 240, 20)
        pictures.append(plain)
    assert groups_of(*pictures) == Duplicates()


def test_plain_pictures_are_told_apart_by_their_colour() -> None:
    def plain(*colour: int) -> np.ndarray:
        return np.full((16, 16, 3), colour, dtype=np.uint8)

    assert groups_of(plain(200, 10, 10), plain(10, 200, 10), plain(201, 10, 11)).near == ((0, 2),)


def look(bits: np.ndarray) -> Look:
    return Look(bits.tobytes(), bits, np.zeros((16, 17), np.float32), np.zeros(3, np.float32))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 25))
def test_no_pair_of_hashes_is_missed(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    base = rng.random((16, 16)) < 0.5
    hashes = [base ^ (rng.random((16, 16)) < rng.uniform(0, 0.12)) for _ in range(count)]
    packed = np.packbits(np.stack(hashes).reshape(count, -1), axis=1)
    found = {(int(a), int(b)) for a, b in duplicates._candidates(packed)}
    expected = {(a, b) for a in range(count) for b in range(a + 1, count) if (hashes[a] ^ hashes[b]).sum() <= NEAR_BITS}
    assert found == expected


@pytest.mark.slow
def test_many_plain_pictures_do_not_take_the_square_of_their_number() -> None:
    """Every hash is the same: with all pairs compared this would be two million of them in each band."""
    packed = np.zeros((2000, 32), dtype=np.uint8)
    pairs = duplicates._candidates(packed)
    assert len(pairs) <= 2000 * duplicates.MOST_COMPARED
    rng = np.random.default_rng(0)
    looks = [look(rng.random((16, 16)) < 0.01) for _ in range(300)]
    assert len(find_duplicates(looks).near) == 1
