"""Shuffles of any length in constant time."""

from collections import Counter
from itertools import permutations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yolo_proc.rng import shuffled


@given(count=st.integers(1, 300), seed=st.integers(0, 2**64 - 1), name=st.text(max_size=5))
@settings(max_examples=60)
def test_a_shuffle_is_a_permutation(count: int, seed: int, name: str) -> None:
    assert sorted(shuffled(place, count, seed, name) for place in range(count)) == list(range(count))


def test_shuffles_of_huge_counts_stay_inside() -> None:
    for count in (2**31, 2**40 + 1, 10**15):
        found = {shuffled(place, count, 1) for place in (0, 1, count // 2, count - 1)}
        assert len(found) == 4
        assert all(0 <= place < count for place in found)


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_shuffles_of_a_few_are_even(count: int) -> None:
    orders = Counter(tuple(shuffled(place, count, seed, "train") for place in range(count)) for seed in range(1500))
    expected = 1500 / len(list(permutations(range(count))))
    misfit = sum((orders[order] - expected) ** 2 / expected for order in permutations(range(count)))
    assert misfit < 2.5 * max(len(orders) - 1, 4)  # chi squared


def test_addresses_are_no_sums() -> None:
    orders = [tuple(shuffled(place, 50, *address) for place in range(50)) for address in product((0, 1, 2), repeat=2)]
    assert len(set(orders)) == 9
