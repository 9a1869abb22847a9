"""Random numbers that depend on nothing but their address: (seed, stream, index, op).

Philox is counter-based (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): the key and
the counter are the address, so any scene's draws can be made alone, in any order, in any process.
The address is never a sum: seed + index would give (0, 1) and (1, 0) the same scene.
"""

from functools import cache
from hashlib import blake2b

import numpy as np


@cache
def name_key(name: str) -> int:
    """A 64-bit number for a name, the same in every process and release (`hash` is salted)."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little")


def rng_for(seed: int, stream: str, index: int, op: str) -> np.random.Generator:
    """The generator of one operation `op` on element `index` of `stream` under `seed`.

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
        """The generator of `op` on element `index`, until the next call."""
        self._counter[:] = (0, 0, index, name_key(op))
        self._philox.state = self._state
        return self._generator
