"""Plots without a plotting library: a page of panels, each with a title, labelled axes, and bars, lines or a heat map.

All lengths are pixels of the finished page. It is drawn `SCALE` times as large and averaged down, which
smooths lines and letters alike.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont

from yolo_proc.drawing.typefaces import find_face
from yolo_proc.errors import one_line

Rgb = tuple[int, int, int]

SCALE = 2
INK: Rgb = (31, 41, 51)
MUTED: Rgb = (110, 122, 135)
LINES: Rgb = (228, 231, 235)
PAPER: Rgb = (255, 255, 255)
DESK: Rgb = (240, 242, 245)
BLUE: Rgb = (59, 111, 182)
ORANGE: Rgb = (222, 132, 28)
RED: Rgb = (205, 60, 60)
GREEN: Rgb = (52, 146, 88)
# From little to much; a cell with nothing stays paper.
_HEAT = np.array([(222, 235, 247), (158, 202, 225), (66, 146, 198), (8, 81, 156), (8, 36, 85)], dtype=np.float64)

TITLE, TEXT = 17, 13  # sizes of letters
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 22, 46, 50  # between a panel's edge and what is plotted


@cache
def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which has most letters that a class may be called by."""
    return ImageFont.truetype(find_face("DejaVu Sans", bold).path, size)


def fitted(words: str, width: float, size: int, bold: bool = False) -> str:
    """The words, with an ellipsis in their middle where they are wider than `width`: both ends of a name tell it.

    What is not printable, as a line end in a file's name, is escaped: no font can set it.
    """
    words = one_line(words)
    if font(size, bold).getlength(words) <= width:
        return words
    kept = len(words) - 1
    while kept > 1:
        short = f"{words[: (kept + 1) // 2]}…{words[len(words) - kept // 2 :]}"
        if font(size, bold).getlength(short) <= width:
            return short
        kept -= 1
    return "…"


@dataclass(frozen=True)
class Axis:
    """Values along one side of a panel.

    Attributes:
        label: what they are, with their unit.
        low, high: the ends; both are above 0 where `log` is. An axis may run downwards, from a larger value.
        log: equal ratios are equally long.
        tell: a tick's value in words.
    """

    label: str
    low: float
    high: float
    log: bool = False
    tell: Callable[[float], str] = "{:g}".format

    def share(self, value: float) -> float:
        """0 at the low end, 1 at the high one."""
        low, high = self._inner(self.low), self._inner(self.high)
        return (self._inner(value) - low) / (high - low)

    def _inner(self, value: float) -> float:
        return math.log(max(value, 1e-12)) if self.log else value

    def ticks(self) -> list[float]:
        """About five round values between the ends."""
        if self.log:
            return _log_ticks(self.low, self.high)
        low, high = sorted((self.low, self.high))
        step = _round_step((high - low) / 5)
        first = math.ceil(low / step - 1e-9)
        return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]

    def edges(self, bins: int) -> NDArray[np.float64]:
        """(bins + 1,) ends of bins that are equally wide on paper."""
        if self.log:
            return np.geomspace(self.low, self.high, bins + 1)
        return np.linspace(self.low, self.high, bins + 1)


def _round_step(least: float) -> float:
    """1, 2 or 5 times a power of ten, at least `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least * (1 - 1e-9))


def _log_ticks(low: float, high: float) -> list[float]:
    """Powers of two, every second, fourth, ... of them where there would be more than eight."""
    first, last = math.ceil(math.log2(low) - 1e-9), math.floor(math.log2(high) + 1e-9)
    step = max(1, math.ceil((last - first + 1) / 8))
    return [2.0**power for power in range(first, last + 1) if power % step == 0]


def counts_axis(label: str, most: float, tell: Callable[[float], str] | None = None) -> Axis:
    """From 0 to a little above the largest count."""
    return Axis(label, 0.0, 1.06 * max(most, 1.0), tell=tell or count_words)


def count_words(value: float) -> str:
    """`1.5k` for 1500: short enough for a tick."""
    if value >= 1e6:
        return f"{value / 1e6:g}M"
    return f"{value / 1e3:g}k" if value >= 1e4 else f"{value:,.0f}"


class Page:
    """A page of panels in rows.

    Args:
        columns, rows: of panels.
        panel: (width, height) of one.
        head: height of what stands above them.
    """

    def __init__(self, columns: int, rows: int, panel: tuple[int, int], head: int, gap: int = 14) -> None:
        self._columns, self._panel, self._head, self._gap = columns, panel, head, gap
        width = columns * (panel[0] + gap) + gap
        height = head + rows * (panel[1] + gap) + gap
        self._image = Image.new("RGB", (SCALE * width, SCALE * height), DESK)
        self._draw = ImageDraw.Draw(self._image)
        self._used = 0

    def write(self, x: float, y: float, words: str, size: int, colour: Rgb = INK, bold: bool = False) -> None:
        """Words with their upper left corner at (x, y)."""
        self._draw.text((SCALE * x, SCALE * y), words, fill=colour, font=font(SCALE * size, bold))

    def panel(self, title: str) -> "Panel":
        """The next free panel."""
        row, column = divmod(self._used, self._columns)
        self._used += 1
        width, height = self._panel
        x = self._gap + column * (width + self._gap)
        y = self._head + self._gap + row * (height + self._gap)
        return Panel(self._image, self._draw, (x, y, x + width, y + height), title)

    def finished(self) -> NDArray[np.uint8]:
        """The page (H, W, 3) uint8 RGB."""
        return np.array(self._image.reduce(SCALE))


class Panel:
    """One plot. `axes` comes first, then what is plotted.

    Args:
        box: x0, y0, x1, y1 of the panel on the page.
    """

    def __init__(
        self, image: Image.Image, draw: ImageDraw.ImageDraw, box: tuple[int, int, int, int], title: str
    ) -> None:
        self._image, self._draw, self.box, self._title = image, draw, box, title
        x0, y0, x1, y1 = box
        self._inside = (x0 + _LEFT, y0 + _TOP, x1 - _RIGHT, y1 - _BOTTOM)
        draw.rounded_rectangle([SCALE * value for value in box], radius=SCALE * 8, fill=PAPER)
        self._write(x0 + 18, y0 + 22, title, "lm", TITLE, bold=True)

    def _write(
        self, x: float, y: float, words: str, anchor: str, size: int = TEXT, colour: Rgb = INK, bold: bool = False
    ) -> None:
        place = (SCALE * x, SCALE * y)
        self._draw.text(place, words, fill=colour, font=font(SCALE * size, bold), anchor=anchor)

    def _line(self, points: Sequence[tuple[float, float]], colour: Rgb, width: float = 1.0) -> None:
        flat = [(SCALE * x, SCALE * y) for x, y in points]
        self._draw.line(flat, fill=colour, width=max(1, round(SCALE * width)), joint="curve")

    def _box(self, x0: float, y0: float, x1: float, y1: float, colour: Rgb) -> None:
        """A filled box; one of no height is left out, one of little has a pixel."""
        left, top, right, bottom = (round(SCALE * value) for value in (x0, y0, x1, y1))
        if x1 > x0 and y1 > y0:
            self._draw.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), fill=colour)

    def nothing(self, why: str) -> None:
        """A plot of nothing says why."""
        x0, y0, x1, y1 = self.box
        self._write((x0 + x1) / 2, (y0 + y1) / 2, fitted(why, x1 - x0 - 30, TEXT), "mm", colour=MUTED)

    def note(self, words: str) -> None:
        """A line in the upper right corner, beside the title."""
        x0, y0, x1, _ = self.box
        room = x1 - x0 - 18 - font(TITLE, bold=True).getlength(self._title) - 16 - 18
        self._write(x1 - 18, y0 + 22, fitted(words, room, TEXT), "rm", colour=MUTED)

    def axes(self, x: Axis, y: Axis, square: bool = False) -> None:
        """Axes with ticks, grid lines and labels; `square` plots into a square in the middle."""
        x0, y0, x1, y1 = self._inside
        if square:
            side = min(x1 - x0, y1 - y0)
            middle = (x0 + x1) // 2
            x0, x1 = middle - side // 2, middle - side // 2 + side
            self._inside = (x0, y0, x1, y1)
        self.x, self.y = x, y
        for value in x.ticks():
            across = self._at_x(value)
            self._line([(across, y0), (across, y1)], LINES)
            self._write(across, y1 + 6, x.tell(value), "mt", colour=MUTED)
        for value in y.ticks():
            down = self._at_y(value)
            self._line([(x0, down), (x1, down)], LINES)
            self._write(x0 - 7, down, y.tell(value), "rm", colour=MUTED)
        self._write((x0 + x1) / 2, y1 + 26, x.label, "mt")
        self._turned(y.label, x0 - 52, (y0 + y1) / 2)
        self._line([(x0, y1), (x1, y1)], MUTED)

    def _turned(self, words: str, x: float, y: float) -> None:
        """Words that run upwards, their left edge at x, their middle at y."""
        left, top, right, bottom = font(SCALE * TEXT).getbbox(words)
        size = (math.ceil(right - left), math.ceil(bottom - top))
        upright = Image.new("L", size)
        ImageDraw.Draw(upright).text((-left, -top), words, fill=255, font=font(SCALE * TEXT))
        turned = upright.transpose(Image.Transpose.ROTATE_90)
        self._image.paste(INK, (round(SCALE * x), round(SCALE * y - turned.height / 2)), turned)

    def _at_x(self, value: float) -> float:
        x0, _, x1, _ = self._inside
        return x0 + self.x.share(value) * (x1 - x0)

    def _at_y(self, value: float) -> float:
        _, y0, _, y1 = self._inside
        return y1 - self.y.share(value) * (y1 - y0)

    def bars(self, edges: ArrayLike, heights: ArrayLike, colour: Rgb = BLUE) -> None:
        """A bar between each two of the edges (K + 1,), of heights (K,)."""
        ends = [self._at_x(float(value)) for value in np.asarray(edges)]
        for left, right, height in zip(ends, ends[1:], np.asarray(heights).tolist(), strict=False):
            gap = 0.5 if right - left > 4 else 0.0
            if height > 0:
                top = min(self._at_y(height), self._inside[3] - 1.0)  # a rare value is seen all the same
                self._box(left + gap, top, right - gap, self._inside[3], colour)

    def curve(self, xs: ArrayLike, ys: ArrayLike, colour: Rgb, width: float = 2.0) -> None:
        """A line through the points."""
        points = zip(np.asarray(xs).tolist(), np.asarray(ys).tolist(), strict=True)
        self._line([(self._at_x(x), self._at_y(y)) for x, y in points], colour, width)

    def upright(self, value: float, words: str, colour: Rgb = RED, *, line: int = 0, left: bool = False) -> None:
        """A dashed line across the plot at x = value, with words beside it, `line` lines from the top.

        Args:
            left: the words stand at its left; they do anyway where there is no room at its right.
        """
        x0, y0, x1, y1 = self._inside
        if not self.x.low <= value <= self.x.high:
            return
        at = self._at_x(value)
        for top in range(y0, y1, 8):
            self._line([(at, top), (at, min(top + 4, y1))], colour, 1.5)
        anchor, side = ("ra", -5) if left or at > x0 + 0.7 * (x1 - x0) else ("la", 5)
        self._write(at + side, y0 + 2 + 18 * line, words, anchor, colour=colour)

    def legend(self, entries: Sequence[tuple[str, Rgb]]) -> None:
        """Names in their colours, in the upper left corner of the plot."""
        x0, y0, _, _ = self._inside
        for place, (name, colour) in enumerate(entries):
            self._box(x0 + 10, y0 + 6 + 18 * place, x0 + 24, y0 + 16 + 18 * place, colour)
            self._write(x0 + 30, y0 + 11 + 18 * place, name, "lm")

    def crosses(self, points: Sequence[tuple[float, float]], colour: Rgb = ORANGE) -> None:
        """A cross at each point that lies on the plot."""
        for x, y in points:
            if self.x.low <= x <= self.x.high and self.y.low <= y <= self.y.high:
                across, down = self._at_x(x), self._at_y(y)
                for width, shade in ((5.0, PAPER), (2.5, colour)):
                    self._line([(across - 6, down), (across + 6, down)], shade, width)
                    self._line([(across, down - 6), (across, down + 6)], shade, width)

    def heat(self, counts: NDArray[np.int64]) -> None:
        """Counts (rows, columns), the first row at the top, over the whole plot; a cell of none is left as it is."""
        rows, columns = counts.shape
        x0, y0, x1, y1 = self._inside
        most = max(int(counts.max()), 1)
        for row, column in np.argwhere(counts > 0).tolist():
            # The square root, so that what is rare can be seen beside what is frequent.
            colour = heat_colour(math.sqrt(counts[row, column] / most))
            left, right = (x0 + (x1 - x0) * one / columns for one in (column, column + 1))
            top, bottom = (y0 + (y1 - y0) * one / rows for one in (row, row + 1))
            self._box(left, top, right, bottom, colour)

    def rows(
        self,
        names: Sequence[str],
        values: Sequence[float],
        words: Sequence[str],
        colours: Sequence[Rgb],
        *,
        alarm: bool = True,
    ) -> None:
        """Horizontal bars with a name at their left and words at their right, from the top; instead of `axes`.

        Args:
            alarm: write the names of those that are 0 in red.
        """
        x0, y0, x1, y1 = self.box
        y0, y1 = y0 + _TOP + 2, y1 - 16
        pitch = min(30.0, (y1 - y0) / max(len(names), 1))
        size = TEXT if pitch >= 17 else 11
        aside = min(max((font(size).getlength(name) for name in names), default=0.0), 0.34 * (x1 - x0))
        told = max((font(size).getlength(word) for word in words), default=0.0)
        left, room = x0 + 18 + aside + 10, x1 - 18 - told - 8
        most = max([*values, 1e-12])
        for place, (name, value, word, colour) in enumerate(zip(names, values, words, colours, strict=True)):
            middle = y0 + (place + 0.5) * pitch
            self._write(left - 10, middle, fitted(name, aside, size), "rm", size, RED if alarm and not value else INK)
            end = left + max(0.0, room - left) * value / most
            self._box(left, middle - 0.36 * pitch, max(end, left + 1) if value else left, middle + 0.36 * pitch, colour)
            self._write((end if value else left) + 7, middle, word, "lm", size, MUTED)


def heat_colour(share: float) -> Rgb:
    """The colour of a share, 0 to 1, of the most."""
    place = min(max(share, 0.0), 1.0) * (len(_HEAT) - 1)
    below = min(int(place), len(_HEAT) - 2)
    red, green, blue = (_HEAT[below] + (place - below) * (_HEAT[below + 1] - _HEAT[below])).tolist()
    return round(red), round(green), round(blue)
