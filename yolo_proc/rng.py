"""Random numbers that depend on nothing but their address: (seed, stream, index, op).

Philox is counter-based (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): the key and
the counter are the address, so any scene's draws can be made alone, in any order, in any process.
The address is never a sum: seed + index would give (0, 1) and (1, 0) the same scene.
"""

import struct
from functools import cache, lru_cache
from hashlib import blake2b

import numpy as np


@cache
def name_key(name: str) -> int:
    """Return a 64-bit number for a name, the same in every process and release (`hash` is salted)."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little")


def rng_for(seed: int, stream: str, index: int, op: str) -> np.random.Generator:
    """Return the generator of one operation `op` on element `index` of `stream` under `seed`.

    The key is (seed, stream). Of the 256-bit counter the upper half is (index, op), so that each address owns
    2^128 blocks of its own and no two addresses overlap.

    Args:
        seed: 0 <= seed < 2^64.
        stream: "train", "validation", "target", "calibration", "test", or a name of the caller's.
        index: 0 <= index < 2^64.
        op: what is drawn, for example "draw" or "colour"; one op more changes no other op's draws.
    """
    key = np.array([seed, name_key(stream)], dtype=np.uint64)
    counter = np.array([0, 0, index, name_key(op)], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


class Addresses:
    """`rng_for(seed, stream, ...)` at a tenth of its price, for code that needs one generator after another.

    `at` gives the draws that `rng_for` gives. There is one generator behind all calls: the next call moves it on,
    so nobody may keep it.
    """

    def __init__(self, seed: int, stream: str) -> None:
        self._philox = np.random.Philox(key=np.array([seed, name_key(stream)], dtype=np.uint64))
        self._generator = np.random.Generator(self._philox)
        # A fresh Philox's state: counter and key are in it, and its buffer of four words is used up.
        self._state = self._philox.state
        self._counter = self._state["state"]["counter"]

    def at(self, index: int, op: str) -> np.random.Generator:
        """Return the generator of `op` on element `index`, until the next call."""
        self._counter[:] = (0, 0, index, name_key(op))
        self._philox.state = self._state
        return self._generator


def shuffled(place: int, count: int, *address: int | str) -> int:
    """Return where `place` goes when `range(count)` is shuffled; each address is a shuffle of its own.

    A keyed permutation in constant time and memory: a Feistel network (Luby and Rackoff, "How to construct
    pseudorandom permutations from pseudorandom functions", 1988) on the smallest 4^k >= count, gone through again
    while the result is not below `count` (Black and Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002),
    which takes less than four turns on average. Four rounds are enough for large counts; with eight the shuffles of
    a handful are as good as even too.

    Args:
        place: 0 <= place < count.
        address: for example (seed, stream, pass).
    """
    assert 0 <= place < count, (place, count)
    half = ((count - 1).bit_length() + 1) // 2
    mask = (1 << half) - 1
    keys = _round_keys(address)
    while True:
        left, right = place >> half, place & mask
        for key in keys:
            # The finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014), of which the highest bits are taken.
            mixed = (right ^ key) * 0xBF58476D1CE4E5B9 & _WORD
            mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB & _WORD
            left, right = right, left ^ (((mixed ^ mixed >> 31) >> 33) & mask)
        place = left << half | right
        if place < count:
            return place


_WORD = (1 << 64) - 1


@lru_cache(maxsize=64)
def _round_keys(address: tuple[int | str, ...]) -> tuple[int, ...]:
    """Return eight numbers of 64 bits."""
    return struct.unpack("<8Q", blake2b(repr(address).encode()).digest())
