"""Tells the kinds of YOLO label lines apart: the number of fields alone does not say it.

    class cx cy w h                          a box, with a confidence after it or not
    class cx cy w h confidence id            a box of a tracker
    class cx cy w h x y x y x y ...          keypoints, `kpt_shape: [K, 2]`; a visibility each in [K, 3]
    class x y x y x y ...                    a polygon, with a confidence and an id after it or not

Seven fields may be a polygon of three points as well as a tracker's box; a pose line may be read as a polygon. So all
label files of a set are looked at together before the first such line is read. What stays open is refused, and the user
says which it is: `--yolo-lines`.
"""

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from yolo_proc.annotations.common import parse_number, read_text
from yolo_proc.annotations.records import YoloLines
from yolo_proc.errors import AnnotationError

MEANINGS: dict[str, str] = {
    "box": "a box, and keypoints or other fields that are left out",
    "track": "a box with a confidence and a track id",
    "segments": "a polygon",
    "segments+confidence": "a polygon with a confidence",
    "segments+track": "a polygon with a confidence and a track id",
}
# A box reaches over the border of its picture by less than this share of it; two points of a polygon, taken for a box,
# do not know of the border.
_SLACK = 0.25
_MOST_KEYPOINTS = 300  # of one object; a longer line is a polygon, and is not searched for sides that cross
# A box and the keypoints in it: by this share of the picture a point lies beside its box, or a box over the border.
_MARGIN = 0.02
_SAME = 1e-3  # share of a picture: how well the corners of a turned box fit, after rounding and clipping


class Fields(NamedTuple):
    """Which fields of a line are what; they count from 0, the class.

    Attributes:
        is_box: fields 1 to 4 are the box; else points stand from field 1 on.
        end: the first field behind the box, or the points.
        confidence: which field it is; None: there is none.
        left_out: words for what is not kept, after a number; empty: nothing.
    """

    is_box: bool
    end: int
    confidence: int | None = None
    left_out: str = ""


_BOX = Fields(True, 5)
_BOX_CONFIDENCE = Fields(True, 5, 5)
_KEYPOINTS = "(object has|objects have) keypoints, which are left out"
_TRACK = "(object has|objects have) a track id, which is left out"


def split_fields(line: str) -> tuple[list[str], bool]:
    """Return the fields of a line, without the comment that `#` begins; and whether there is one."""
    fields = line.split()
    if "#" not in line:
        return fields, False
    at = next((number for number, one in enumerate(fields) if one.startswith("#")), None)
    return (fields, False) if at is None else (fields[:at], True)


@dataclass
class LineReader:
    """Says of every line of a set what its fields are.

    Attributes:
        files: the label files of the set.
        lines: what the user says.
        keypoints: (K, D) of `kpt_shape`: how many keypoints an object has, and how many numbers each.
        described: there is a `data.yaml`; a set of poses has `kpt_shape` in it.
    """

    files: Sequence[Path] = ()
    lines: YoloLines = "auto"
    keypoints: tuple[int, int] | None = None
    described: bool = False
    _possible: tuple[str, ...] = field(default=(), init=False, repr=False)

    def fields(self, count: int, path: Path | str, place: str) -> Fields:
        """Return what the fields of a line are.

        Args:
            count: of its fields, with the class.
            path, place: of the line, for messages.

        Raises:
            AnnotationError: no line has so many ("syntax"), or it may be one thing as well as another ("ambiguous").
        """
        if count == 5:
            return _BOX
        found = None
        if self.lines != "auto":
            found = _as_said(self.lines, count)
        elif self.keypoints is not None:
            found = self._as_pose(count)
        elif count == 6:
            found = _BOX_CONFIDENCE
        elif count >= 7 and count % 2:
            found = self._as_set(count, path, place)
        if found is None:
            expected, shown = self._expected(count)
            raise AnnotationError(path, place, expected, shown, reason="syntax")
        return found

    def _as_pose(self, count: int) -> Fields | None:
        assert self.keypoints is not None, "only a set with `kpt_shape` is read so"
        more = count - 5 - math.prod(self.keypoints)
        if count == 6:
            return _BOX_CONFIDENCE
        if more not in (0, 1, 2):
            return None
        return Fields(True, 5, count - more if more else None, _KEYPOINTS)

    def _as_set(self, count: int, path: Path | str, place: str) -> Fields | None:
        if not self._possible:
            self._possible = _possible(self.files, self.described)
        if len(self._possible) == 1:
            return _as_said(self._possible[0], count)
        readings = [one for one in self._possible if _as_said(one, count) is not None]
        both = " or ".join(f"{MEANINGS[one]} (--yolo-lines {one})" for one in readings)
        expected = "a line that can be read in one way"
        raise AnnotationError(path, place, expected, f"{count} fields: {both}; say which", reason="ambiguous")

    def _expected(self, count: int) -> tuple[str, str]:
        shown = f"{count} fields"
        if self.lines != "auto":
            return f"{MEANINGS[self.lines]}, as --yolo-lines {self.lines} says", shown
        others = [one for one in MEANINGS if count > 5 and _as_said(one, count) is not None]
        choice = f" ({'; '.join(f'--yolo-lines {one}: {MEANINGS[one]}' for one in others)})" if others else ""
        if self.keypoints is not None:
            number, each = self.keypoints
            total = 5 + number * each
            return f"a box, or {total} fields, as `kpt_shape: [{number}, {each}]` says", shown + choice
        expected = "`class cx cy w h`, the same with a confidence, or a class and at least three points"
        return expected, shown + choice


def _as_said(lines: str, count: int) -> Fields | None:
    """Return the fields of a line of 6 or more, where the kind of the lines is known; None: no such line has so
    many.
    """
    if lines == "box":
        return (
            Fields(True, 5, None, "(object has|objects have) fields behind the box, which are left out")
            if count > 5
            else None
        )
    if count == 6:
        return _BOX_CONFIDENCE
    if lines == "track":
        return Fields(True, 5, 5, _TRACK) if count == 7 else None
    if lines == "segments":
        return Fields(False, count) if count >= 7 and count % 2 else None
    if lines == "segments+confidence":
        return Fields(False, count - 1, count - 1) if count >= 8 and count % 2 == 0 else None
    return Fields(False, count - 2, count - 2, _TRACK) if count >= 9 and count % 2 else None


# ---- judging a whole set


def _possible(files: Iterable[Path], described: bool) -> tuple[str, ...]:
    """Return what the lines of 7, 9, 11, ... fields of a set may be, by all of them together."""
    evidence = _Evidence()
    for path in files:
        try:
            text = read_text(path)
        except AnnotationError:
            continue  # it is refused where its picture is read
        for line in text.split("\n"):
            fields = split_fields(line)[0]
            if len(fields) >= 7 and len(fields) % 2:
                evidence.add(fields[1:])
        if evidence.sure:
            break
    return evidence.readings(described)


@dataclass
class _Evidence:
    """Properties that all lines so far have in common.

    Attributes:
        counts: of their fields: that of a pose set never varies, polygons have as many points as they need.
        tails: the last two fields may be a confidence and an id.
        highest: the largest last field, where `tails`: from 2 on it is no coordinate.
        lines: how many there are.
        boxed: fields 1 to 4 are a box in its picture, and not too many follow for keypoints.
        held: they are one to the border, and all further points lie in it, as keypoints do.
        held_before_tail: the same of the points before the last two fields.
        visible: every third field behind those is 0, 1 or 2, as the visibility of keypoints.
        turned: the points are the corners of a turned box.
        crossing: some line, taken for a polygon, crosses itself.
    """

    counts: set[int] = field(default_factory=set)
    tails: bool = True
    highest: float = 0
    lines: int = 0
    boxed: bool = True
    held: bool = True
    held_before_tail: bool = True
    visible: bool = True
    turned: bool = True
    crossing: bool = False

    @property
    def sure(self) -> bool:
        """Whether they are polygons, whatever comes."""
        return len(self.counts) > 1 and not self.tails

    def add(self, fields: Sequence[str]) -> None:
        """Take the fields of a line behind its class; what are no numbers says nothing."""
        try:
            numbers = [parse_number(one) for one in fields]
        except ValueError:
            return
        self.counts.add(len(numbers) + 1)
        self.lines += 1
        confidence, track = numbers[-2:]
        self.tails = self.tails and 0 <= confidence <= 1 and track >= 0 and track.is_integer()
        self.highest = max(self.highest, track) if self.tails else 0
        cx, cy, w, h = numbers[:4]
        sides = (w / 2 - cx, h / 2 - cy, cx + w / 2 - 1, cy + h / 2 - 1)
        self.boxed = self.boxed and w > 0 and h > 0 and max(sides) <= _SLACK and len(numbers) <= 4 + 3 * _MOST_KEYPOINTS
        self.held = self.held and _holds(numbers)
        self.held_before_tail = self.held_before_tail and self.tails and _holds(numbers[:-2])
        self.visible = self.visible and len(numbers) >= 10 and all(one in (0, 1, 2) for one in numbers[6::3])
        self.visible = self.visible and (len(numbers) - 4) % 3 == 0
        self.turned = self.turned and _is_parallelogram(numbers)
        if len(self.counts) == 1 and self.boxed and not self.crossing:
            self.crossing = crosses_itself(list(zip(numbers[::2], numbers[1::2], strict=True)))

    def readings(self, described: bool) -> tuple[str, ...]:
        """Return what all of them may be; one where it is clear."""
        if self.turned and self.highest <= 1:
            return ("segments",)
        is_held = self.lines > 1 and (self.held or self.held_before_tail)  # one polygon may look so by chance
        is_pose = self.boxed and (self.visible or self.crossing or is_held or not described)
        is_track = self.tails and self.counts == {7}
        is_segment_track = self.tails and min(self.counts, default=0) >= 9
        readings = ["segments"] * (self.highest <= 1)
        readings += ["track"] * is_track + ["segments+track"] * is_segment_track
        # A tracker counts on; the visibility of a keypoint ends with 2, and another keypoint with a coordinate.
        ends_so = self.highest <= 1 or (self.visible and self.highest == 2) or self.held_before_tail
        if len(self.counts) == 1 and is_pose and ends_so:
            readings.append("box")
        return tuple(readings) or ("track", "segments+track")


def _is_parallelogram(numbers: Sequence[float]) -> bool:
    if len(numbers) != 8:
        return False
    x0, y0, x1, y1, x2, y2, x3, y3 = numbers
    return abs(x0 + x2 - x1 - x3) <= _SAME and abs(y0 + y2 - y1 - y3) <= _SAME


def _holds(numbers: Sequence[float]) -> bool:
    """Return whether the first four are a box in its picture that has all further points in it; 0, 0 is no keypoint at
    all.
    """
    if len(numbers) < 6:
        return False
    cx, cy, w, h = numbers[:4]
    half_w, half_h = w / 2 + _MARGIN, h / 2 + _MARGIN
    if w <= 0 or h <= 0 or max(w / 2 - cx, h / 2 - cy, cx + w / 2 - 1, cy + h / 2 - 1) > _MARGIN:
        return False
    points = zip(numbers[4::2], numbers[5::2], strict=True)
    return all((abs(x - cx) <= half_w and abs(y - cy) <= half_h) or x == y == 0 for x, y in points)


def crosses_itself(points: Sequence[tuple[float, float]]) -> bool:
    """Return whether two sides of a closed polygon cross; sides that touch or lie on each other do not."""
    sides = list(zip(points, [*points[1:], points[0]], strict=True))
    return any(_cross(*one, *other) for one, other in itertools.combinations(sides, 2))


def _cross(a: Sequence[float], b: Sequence[float], c: Sequence[float], d: Sequence[float]) -> bool:
    return _turn(a, b, c) * _turn(a, b, d) < 0 and _turn(c, d, a) * _turn(c, d, b) < 0


def _turn(a: Sequence[float], b: Sequence[float], c: Sequence[float]) -> float:
    """Return twice the signed area of a triangle; 0 where it is nothing but rounding."""
    area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    return area if abs(area) > 1e-12 else 0.0
