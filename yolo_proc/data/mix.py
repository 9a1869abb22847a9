"""Scenes of several generators by weight: `mix:glyphs=0.8,folder:data/real=0.2`.

Scenes come in blocks of a thousand. In each block a member has the largest-remainder share of its weight, at places
that a shuffle chooses, and they are the member's own scenes in the member's own order. So any scene is found in
constant time, and a folder's pictures come once in each of the folder's passes.
"""

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import accumulate

from yolo_proc.data.folder import HELD_OUT
from yolo_proc.data.generator import Generator, Place, Source, file_stem, load_generator
from yolo_proc.drawing.canvas import Canvas
from yolo_proc.errors import GeneratorError
from yolo_proc.rng import rng_for, shuffled

BLOCK = 1000


@dataclass(frozen=True)
class Mix(Source):
    """Scenes of several generators by weight, classes joined by name.

    The members have their default parameters; there is no option for others. A folder without a picture in a stream
    is left out of that stream, and the others take its weight.
    """

    _members: Mapping[str, Generator] = field(init=False, repr=False, compare=False)
    _weights: Mapping[str, Fraction] = field(init=False, repr=False, compare=False)
    _blocks: "dict[str, _Block]" = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        weights = parse_mix(self.argument)
        object.__setattr__(self, "_weights", weights)
        object.__setattr__(self, "_members", {name: load_generator(name) for name in weights})

    @property
    def classes(self) -> tuple[str, ...]:
        """The members', in order of first appearance."""
        return tuple(dict.fromkeys(name for member in self._members.values() for name in member.classes))

    def members(self) -> Mapping[str, Generator]:
        """Return the members by name, in order."""
        return self._members

    def check(self, stream: str, augmented: bool) -> None:
        """Refuse what a member refuses that has scenes in the stream, and a stream in which none has.

        Raises:
            GeneratorError: see above.
        """
        names = self._present(stream)
        for name in names or self._members:  # where none has scenes, the first one says why
            member = self._members[name]
            if isinstance(member, Source):
                member.check(stream, augmented)

    @property
    def letterboxed(self) -> bool:
        """Where those of a member are."""
        return any(isinstance(member, Source) and member.letterboxed for member in self._members.values())

    def flips(self, place: Place) -> tuple[float, float]:
        """Return those of the member whose scene it is."""
        name, own = self._turn(place)
        member = self._members[name]
        return member.flips(own) if isinstance(member, Source) else (member.flip_x, member.flip_y)

    def draw_at(self, canvas: Canvas, place: Place, size: tuple[int, int]) -> None:
        """The scene that the member itself would draw; see `Source`."""
        name, own = self._turn(place)
        member = self._members[name]
        if isinstance(member, Source):
            member.draw_at(canvas, own, size)
        else:
            member.draw(canvas, rng_for(own.seed, own.stream, own.index, "draw"))
        canvas.name_labels(member.classes)

    def title(self, place: Place) -> str:
        """Return the member, and which of its scenes it is."""
        name, own = self._turn(place)
        member = self._members[name]
        told = member.title(own) if isinstance(member, Source) else ""
        return f"{name}, its scene {own.index}{': ' if told else ''}{told}"

    def contents(self) -> Mapping[str, str]:
        """Return those of the members."""
        return {
            f"{name}: {what}": digest
            for name, member in self._members.items()
            if isinstance(member, Source)
            for what, digest in member.contents().items()
        }

    def notes(self) -> tuple[str, ...]:
        """Return those of the members, and who is missing where."""
        sources = [member for member in self._members.values() if isinstance(member, Source)]
        absent = [
            f"{name}: no picture in stream {stream}; the other members take its share"
            for stream in ("train", *HELD_OUT)
            for name in self._members
            if name not in self._present(stream)
        ]
        return (*(note for source in sources for note in source.notes()), *absent)

    @classmethod
    def stem(cls, argument: str) -> str:
        """Return `mix-glyphs-real`."""
        return "-".join(["mix", *map(file_stem, parse_mix(argument))])

    @classmethod
    def drawn_by(cls, argument: str) -> tuple[str, ...]:
        """Return the members."""
        return tuple(parse_mix(argument))

    def _present(self, stream: str) -> list[str]:
        """Return the members that have scenes in a stream."""
        return [
            name
            for name, member in self._members.items()
            if not isinstance(member, Source) or member.count(stream) != 0
        ]

    def _turn(self, place: Place) -> tuple[str, Place]:
        """Return the member whose scene it is, and the address of that scene there."""
        if place.stream not in self._blocks:
            present = self._present(place.stream)
            assert present, "the stream was not checked"
            self._blocks[place.stream] = _Block.of({name: self._weights[name] for name in present})
        block = self._blocks[place.stream]
        number, rank = divmod(place.index, BLOCK)
        rank = shuffled(rank, BLOCK, place.seed, place.stream, number, "mix")
        turn = bisect_right(block.starts, rank) - 1
        own = number * block.counts[turn] + rank - block.starts[turn]
        return block.names[turn], Place(place.seed, place.stream, own)


@dataclass(frozen=True, slots=True)
class _Block:
    """The members of a block before it is shuffled: `counts[k]` scenes of member k from `starts[k]` on."""

    names: Sequence[str]
    counts: Sequence[int]
    starts: Sequence[int]

    @classmethod
    def of(cls, weights: Mapping[str, Fraction]) -> "_Block":
        counts = largest_remainders(list(weights.values()), BLOCK)
        return cls(list(weights), counts, [0, *accumulate(counts)][:-1])


def largest_remainders(weights: Sequence[Fraction], total: int) -> list[int]:
    """Return `total` shared out in whole numbers by weight; what is left goes to the largest fractions, the first on
    ties.
    """
    quotas = [weight * total / sum(weights) for weight in weights]
    counts = [math.floor(quota) for quota in quotas]
    by_remainder = sorted(range(len(weights)), key=lambda k: counts[k] - quotas[k])
    for k in by_remainder[: total - sum(counts)]:
        counts[k] += 1
    return counts


def parse_mix(text: str) -> dict[str, Fraction]:
    """Return the weights by name of `A=0.8,B=0.2`. A name may hold colons, slashes and equals signs, but no comma.

    Raises:
        GeneratorError: no name, a name twice, a weight that is no number above 0 or less than a thousandth of all.
    """
    weights: dict[str, Fraction] = {}
    for part in text.split(","):
        name, _, weight = (word.strip() for word in part.rpartition("="))
        where = f"generator mix:{text}"
        if not name:
            raise GeneratorError(f"{where}: expected NAME=WEIGHT with commas between, found {part!r}")
        if name.startswith("mix:"):
            raise GeneratorError(f"{where}: expected members that are no mixes, found {name}")
        if name in weights:
            raise GeneratorError(f"{where}: {name} occurs twice; give it one weight")
        weights[name] = _weight(weight, f"{where}: {name}")
    for name, one in weights.items():
        if one * BLOCK < sum(weights.values()):
            share = float(one / sum(weights.values()))
            raise GeneratorError(f"{where}: {name}: expected at least 1 / {BLOCK} of the scenes, found {share:g}")
    return weights


def _weight(text: str, where: str) -> Fraction:
    try:
        if 0 < float(text) < math.inf:
            return Fraction(text)
    except ValueError:
        pass
    raise GeneratorError(f"{where}: expected a weight above 0, found {text!r}")
