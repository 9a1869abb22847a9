"""Pictures of 16 bits a sample, and how many of the bits they use.

Cameras of 10, 12 and 14 bits write their samples into files of 16, most of them as they are. v >> 8, which is right for
16 bits, then leaves a picture that is nearly black. Whether a picture is dark or its camera has 12 bits cannot be seen
from its samples, and a rule by the largest one would give the pictures of one set different brightness. So:

- Sure, and done: a PNG's sBIT says n bits, and its samples show that they are as they were taken. By the standard they
  are scaled to all 16 bits; samples that are all below 2^n, some with lower bits that no scaling gives, are not.
- Likely, and told: pictures below a quarter of the brightness that 16 bits can say. The user then says how many bits
  there are.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from yolo_proc.errors import one_line

LEAST, MOST = 8, 16  # bits that the user may give
HELP = "bits that 16-bit images use, such as 12 of many cameras; none: all 16, or what the file says"
_FEW = 14  # bits; whatever uses no more is told
_USUAL = (8, 10, 12, 14)


@dataclass
class PictureReading:
    """How pictures are read, and what was seen of them.

    Attributes:
        bits: that samples of 16 bits use, as the user says; None: all, or what is sure.
    """

    bits: int | None = None
    _deep: int = field(default=0, init=False)
    _few: int = field(default=0, init=False)
    _first_few: str = field(default="", init=False)
    _most: int = field(default=0, init=False)
    _sure: dict[int, list[str]] = field(default_factory=dict, init=False)
    _damaged: int = field(default=0, init=False)
    _first_damage: str = field(default="", init=False)

    def saw(self, name: str, used: int) -> None:
        """Count a picture of 16 bits whose largest sample has `used` bits."""
        self._deep += 1
        if used <= _FEW:
            self._few += 1
            self._first_few = self._first_few or name
            self._most = max(self._most, used)

    def is_sure(self, name: str, bits: int) -> None:
        """Count a picture of which it is sure that its samples have so many bits."""
        self._sure.setdefault(bits, []).append(name)

    def is_damaged(self, name: str, words: str) -> None:
        """Count a picture whose decoder complained, and decoded on."""
        self._damaged += 1
        self._first_damage = self._first_damage or f"{name}: {words}"

    def notes(self, option: str = "--bit-depth") -> Iterator[str]:
        """Return lines for the user on what was seen; `option` is how `bits` are given."""
        return map(one_line, self._lines(option))

    def _lines(self, option: str) -> Iterator[str]:
        for bits, names in sorted(self._sure.items()):
            yield (
                f"{len(names):,} pictures of 16 bits a sample say and show that they use {bits}: read so (first: "
                f"{names[0]})"
            )
        if self._few:
            usual = next(bits for bits in _USUAL if bits >= self._most)
            yield (
                f"{self._few:,} of {self._deep:,} pictures of 16 bits a sample use {self._most} of them or fewer "
                f"(first: {self._first_few}) and are read dark; if their camera has {usual} bits, say so: {option} "
                f"{usual}"
            )
        if self._damaged:
            yield (
                f"{self._damaged:,} pictures are damaged inside, so that parts of them may be wrong (first: "
                f"{self._first_damage})"
            )
