"""Pictures that are the same, or nearly: by a hash of the pixels, and by a hash of what they look like.

The second is a difference hash (N. Krawetz, "Kind of like that", 2013): the picture as 16 x 17 grey means, and a bit
for each neighbouring pair that says whether the right one is brighter. Copies in another size, compression or
brightness differ in few of the 256 bits. What the bits find is confirmed by the means themselves, because pictures on
one plain background have most bits in common.
"""

import hashlib
from collections.abc import Container, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

ROWS, COLUMNS = 16, 17
# Two hashes that differ in at most 15 bits are equal in one of 16 bands of 16 bits at least, so none is missed.
BANDS = 16
NEAR_BITS = BANDS - 1
# Of a bucket with more members each is compared with so many neighbours only, or time would grow with the square.
MOST_COMPARED = 32
PAIRS_AT_ONCE = 8192
STEP = 1.0  # grey levels by which a neighbour must be brighter: less is noise
FLAT = 2.0  # rms of the means below which a picture shows nothing to compare but its colour
MOST_RESIDUAL = 0.25  # rms of what differs, as a share of the contrast
SAME_COLOUR = 3.0  # grey levels

_ONES = np.array([value.bit_count() for value in range(256)], dtype=np.int64)  # bits of a byte


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """The part of a picture that is kept, to find it again.

    Attributes:
        digest: SHA-256 of size and pixels.
        bits: (16, 16) bool, the difference hash.
        means: (16, 17) float32 grey means.
        colour: (3,) float32 mean RGB.
    """

    digest: bytes
    bits: NDArray[np.bool_]
    means: NDArray[np.float32]
    colour: NDArray[np.float32]


def look_of(image: NDArray[np.uint8]) -> Look:
    """Return the look of a picture (H, W, 3) uint8 RGB."""
    image = np.ascontiguousarray(image)
    digest = hashlib.sha256(f"{image.shape[1]}x{image.shape[0]};".encode())
    digest.update(image.tobytes())
    small = cv2.resize(image, (COLUMNS, ROWS), interpolation=cv2.INTER_AREA).astype(np.float32)  # (16, 17, 3)
    means = np.asarray(small @ np.array([0.299, 0.587, 0.114], dtype=np.float32))  # (16, 17)
    return Look(digest.digest(), np.diff(means, axis=1) > STEP, means, small.mean(axis=(0, 1)))


@dataclass(frozen=True)
class Duplicates:
    """Groups of pictures, each by its numbers in ascending order.

    Attributes:
        exact: equal pixels.
        near: alike, but not all of equal pixels; a group of equal ones counts as one of its members.
    """

    exact: tuple[tuple[int, ...], ...] = ()
    near: tuple[tuple[int, ...], ...] = ()

    @property
    def superfluous(self) -> int:
        """How many pictures are an exact copy of an earlier one."""
        return sum(len(group) - 1 for group in self.exact)


def find_duplicates(looks: Sequence[Look], *, nothing: Container[int] = (), hardly: Container[int] = ()) -> Duplicates:
    """Return the duplicates among pictures; time grows with their number, not with its square.

    Args:
        nothing: numbers of pictures that show nothing, and so are no copies of each other.
        hardly: of those that show too little to say that they are nearly alike.
    """
    by_digest: dict[bytes, list[int]] = {}
    for number, look in enumerate(looks):
        if number not in nothing:
            by_digest.setdefault(look.digest, []).append(number)
    firsts = [group[0] for group in by_digest.values() if group[0] not in hardly]
    members = {group[0]: group for group in by_digest.values()}
    near = []
    for group in _near_groups([looks[first] for first in firsts]):
        near.append(tuple(sorted(number for place in group for number in members[firsts[place]])))
    return Duplicates(tuple(tuple(group) for group in by_digest.values() if len(group) > 1), tuple(sorted(near)))


def _near_groups(looks: Sequence[Look]) -> list[list[int]]:
    """Return groups of at least two looks that are alike, directly or through others of the group."""
    if len(looks) < 2:
        return []
    packed = np.packbits(np.stack([look.bits for look in looks]).reshape(len(looks), -1), axis=1)  # (N, 32)
    pairs = _candidates(packed)
    if len(pairs):
        pairs = pairs[_alike(looks, pairs)]
    root = np.arange(len(looks))

    def find(number: int) -> int:
        while root[number] != number:
            root[number] = root[root[number]]
            number = int(root[number])
        return number

    for a, b in pairs.tolist():
        first, second = sorted((find(a), find(b)))
        root[second] = first
    groups: dict[int, list[int]] = {}
    for number in np.unique(pairs).tolist():
        groups.setdefault(find(number), []).append(number)
    return list(groups.values())


def _candidates(packed: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return (P, 2) distinct pairs, the lower number first, whose hashes (N, 32) differ in at most `NEAR_BITS` bits."""
    width = packed.shape[1] // BANDS
    found = [np.zeros((0, 2), dtype=np.int64)]
    for band in range(BANDS):
        # Sorted by this band first, so that a bucket is a run, and near neighbours in it are alike elsewhere too.
        turned = np.roll(packed, -band * width, axis=1)
        order = np.lexsort(np.ascontiguousarray(turned).view(">u8").astype(np.uint64).T[::-1])
        keys = turned[order, :width]
        for apart in range(1, min(MOST_COMPARED, len(order) - 1) + 1):
            same = (keys[apart:] == keys[:-apart]).all(axis=1)
            if not same.any():
                break  # no bucket is that long
            a, b = order[:-apart][same], order[apart:][same]
            near = _ONES[packed[a] ^ packed[b]].sum(axis=1) <= NEAR_BITS
            found.append(np.sort(np.stack([a[near], b[near]], axis=1), axis=1))
    return np.unique(np.concatenate(found), axis=0)


def _alike(looks: Sequence[Look], pairs: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return (P,) whether the means of each pair say the same, up to brightness; of plain pictures whether the colours
    do.
    """
    means = np.stack([look.means for look in looks]).reshape(len(looks), -1)  # (N, 272)
    means -= means.mean(axis=1, keepdims=True)
    contrast = np.sqrt(np.square(means).mean(axis=1))  # (N,)
    colours = np.stack([look.colour for look in looks])  # (N, 3)
    alike = [np.zeros(0, dtype=bool)]
    for chunk in np.array_split(pairs, -(-len(pairs) // PAIRS_AT_ONCE)):
        a, b = chunk.T
        larger = np.maximum(contrast[a], contrast[b])
        residual = np.sqrt(np.square(means[a] - means[b]).mean(axis=1))
        one_colour = np.abs(colours[a] - colours[b]).max(axis=1) <= SAME_COLOUR
        alike.append(np.where(larger < FLAT, one_colour, residual <= MOST_RESIDUAL * larger))
    return np.concatenate(alike)
