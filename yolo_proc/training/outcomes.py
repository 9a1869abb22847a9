"""Results of checks, and how they are told."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from yolo_proc.errors import number_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Verdict = Literal["pass", "warning", "fail", "not applicable"]
Group = Literal["data", "loss", "optimisation"]
Figure = float | int | bool | str | None
Picture = Callable[[], "NDArray[np.uint8]"]  # draws one, uint8 RGB (H, W, 3)


@dataclass(frozen=True)
class Finding:
    """Result of one check.

    A failure would ruin a training, which does not begin then; a warning costs it something, and is told.

    Attributes:
        expected, measured: in words, with figures.
        figures: what was measured, by name, for programs.
        reason: why the check is not applicable; empty otherwise.
        causes: of a failure or a warning, the likeliest first: the one that the measurement points at.
        remedy: what to do about it.
        evidence: pictures by name, drawn when they are wanted.
    """

    verdict: Verdict
    expected: str = ""
    measured: str = ""
    figures: Mapping[str, Figure] = field(default_factory=dict)
    reason: str = ""
    causes: tuple[str, ...] = ()
    remedy: str = ""
    evidence: Mapping[str, Picture] = field(default_factory=dict)

    @classmethod
    def judged(
        cls,
        sound: bool,
        *,
        expected: str,
        measured: str,
        figures: Mapping[str, Figure],
        causes: Sequence[str],
        remedy: str,
        evidence: Mapping[str, Picture] | None = None,
        mild: bool = False,
    ) -> "Finding":
        """Return a pass, or a failure, or, where it is mild, a warning; a pass has no causes and no remedy."""
        assert sound or causes, "a failure names its likeliest cause"
        return cls(
            "pass" if sound else "warning" if mild else "fail",
            expected,
            measured,
            dict(figures),
            causes=() if sound else tuple(causes),
            remedy="" if sound else remedy,
            evidence=dict(evidence or {}),
        )

    @classmethod
    def not_applicable(cls, reason: str) -> "Finding":
        """Return the question makes no sense here."""
        return cls("not applicable", reason=reason)


@dataclass(frozen=True)
class Outcome:
    """A finding with the check that it is of.

    Attributes:
        check: its name.
        asserted: what is to hold.
        seconds: that the check took.
        pictures: files of the evidence that was written.
    """

    check: str
    group: Group
    asserted: str
    finding: Finding
    seconds: float
    pictures: tuple[Path, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether training is not to be trusted."""
        return self.finding.verdict == "fail"

    @property
    def is_told(self) -> bool:
        """Whether people are told at length: a failure or a warning."""
        return self.finding.verdict in ("fail", "warning")

    def lines(self) -> list[str]:
        """Return a failure or a warning, or why a check is not applicable, for people."""
        found = self.finding
        if found.verdict == "not applicable":
            return [f"{self.check}: not applicable: {found.reason}"]
        told = [f"{self.check}: {found.verdict}: {self.asserted}"]
        told += [f"  expected: {found.expected}", f"  measured: {found.measured}"]
        told += [f"  {'likely cause' if place == 0 else 'or'}: {cause}" for place, cause in enumerate(found.causes)]
        told += [f"  what to do: {found.remedy}"] if found.remedy else []
        return told + [f"  picture: {path}" for path in self.pictures]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, all of which JSON can say: what is not finite becomes a text."""
        found = self.finding
        return {
            "check": self.check,
            "group": self.group,
            "asserted": self.asserted,
            "verdict": found.verdict,
            "expected": found.expected,
            "measured": found.measured,
            "figures": {name: _plain(value) for name, value in found.figures.items()},
            "reason": found.reason,
            "causes": list(found.causes),
            "remedy": found.remedy,
            "pictures": [str(path) for path in self.pictures],
            "seconds": round(self.seconds, 3),
        }


def _plain(value: Figure) -> Figure:
    if isinstance(value, float) and not (float("-inf") < value < float("inf")):
        return str(value)
    return value


def tally(outcomes: Sequence[Outcome]) -> str:
    """Return `12 passed, 1 warning, 1 failed, 2 not applicable`."""
    counts = {verdict: sum(one.finding.verdict == verdict for one in outcomes) for verdict in get_args(Verdict)}
    words = {
        "pass": f"{counts['pass']} passed",
        "warning": number_of(counts["warning"], "warning"),
        "fail": f"{counts['fail']} failed",
        "not applicable": f"{counts['not applicable']} not applicable",
    }
    return ", ".join(words[verdict] for verdict in words if counts[verdict]) or "none"


def failure_line(outcomes: Sequence[Outcome]) -> str:
    """Return why a run stops before its first step; empty where no check failed."""
    failed = ", ".join(outcome.check for outcome in outcomes if outcome.failed)
    line = f"nothing was trained, because a check failed: {failed}; --no-check trains all the same"
    return line if failed else ""
