"""Outcomes for people: in short, or one row a check; then what is to be said of the failures."""

import textwrap
from collections.abc import Sequence
from itertools import zip_longest

from yolo_proc.errors import number_of
from yolo_proc.training.outcomes import Outcome, tally

HEAD = ("check", "asserted", "expected", "measured", "verdict")
LEAST_WIDTH = 100
_GAP = "  "
_WORDS = {"pass": "ok", "warning": "WARN", "fail": "FAIL", "not applicable": "n/a"}
_SHARES = (0.36, 0.28, 0.36)  # of what the first and the last column leave: asserted, expected, measured


def summary_text(outcomes: Sequence[Outcome], width: int) -> str:
    """Return what concerns the user's scenes in words, the rest in a line, and failures and warnings in full.

    Args:
        width: of the terminal, in characters; a narrower one than 60 is taken as that.
    """
    data = [one for one in outcomes if one.group == "data" and one.finding.verdict != "not applicable"]
    others = [one for one in outcomes if one.group != "data" and one.finding.verdict == "pass"]
    name = max((len(one.check) for one in data), default=0)
    lines = ["Your scenes:"] if data else []
    for one in data:
        begin = f"  {_WORDS[one.finding.verdict]:4}  {one.check:{name}}  "
        words = one.asserted if one.is_told or not one.finding.measured else f"{one.asserted}: {one.finding.measured}"
        lines += textwrap.wrap(words, max(width, 60), initial_indent=begin, subsequent_indent=" " * len(begin))
    if others:
        lines += [
            "",
            f"{number_of(len(others), 'check')} of loss, network and optimisation passed (--verbose lists all)",
        ]
    for one in outcomes:
        if one.is_told:
            lines += ["", *one.lines()]
    seconds = sum(one.seconds for one in outcomes)
    return "\n".join([*lines, "", f"Checks: {tally(outcomes)}, in {seconds:.0f} s"])


def table_text(outcomes: Sequence[Outcome], width: int) -> str:
    """Return the whole table.

    Args:
        width: of the terminal, in characters; a narrower one than 100 is taken as that.
    """
    name = max(len(HEAD[0]), *(len(one.check) for one in outcomes)) if outcomes else len(HEAD[0])
    verdict = len("PASS 100.0 s")
    room = max(width, LEAST_WIDTH) - name - verdict - 4 * len(_GAP)
    widths = [name, *(int(share * room) for share in _SHARES), verdict]
    blocks = [_block(HEAD, widths), ["-" * (sum(widths) + 4 * len(_GAP))]]
    blocks += [_block(_cells(one), widths) for one in outcomes]
    lines = [line for block in blocks for line in block]
    for one in outcomes:
        if one.is_told:
            lines += ["", *one.lines()]
    return "\n".join([*lines, "", f"Checks: {tally(outcomes)}"])


def _cells(one: Outcome) -> tuple[str, ...]:
    found = one.finding
    verdict = {**_WORDS, "pass": "pass"}[found.verdict]
    measured = found.measured or found.reason
    return one.check, one.asserted, found.expected, measured, f"{verdict:4} {one.seconds:5.1f} s"


def _block(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    """Return the lines of one row, its cells wrapped."""
    columns = [textwrap.wrap(cell, size) or [""] for cell, size in zip(cells, widths, strict=True)]
    return [
        _GAP.join(cell.ljust(size) for cell, size in zip(row, widths, strict=True)).rstrip()
        for row in zip_longest(*columns, fillvalue="")
    ]
