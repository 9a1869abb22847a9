"""Plots: a page of panels, each with a title, labelled axes, and bars, lines or a heat map, drawn by matplotlib.

This is the one style of ours on top of it. All lengths are pixels of the page: a figure of 72 dots an inch has one to a
point. matplotlib is imported when a page is begun, because it takes long.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import ImageFont

from yolo_proc.drawing.typefaces import find_face
from yolo_proc.errors import one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.font_manager import FontProperties

Rgb = tuple[int, int, int]

DPI = 72  # so that a point is a pixel
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
    """Return DejaVu Sans, which has most letters that a class may be called by."""
    return ImageFont.truetype(find_face("DejaVu Sans", bold).path, size)


def fitted(words: str, width: float, size: int, bold: bool = False) -> str:
    """Return the words, with an ellipsis in their middle where they are wider than `width`: both ends of a name
    tell it.

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
        """Return 0 at the low end, 1 at the high one."""
        low, high = self._inner(self.low), self._inner(self.high)
        return (self._inner(value) - low) / (high - low)

    def _inner(self, value: float) -> float:
        return math.log(max(value, 1e-12)) if self.log else value

    def ticks(self) -> list[float]:
        """Return about five round values between the ends."""
        if self.log:
            return _log_ticks(self.low, self.high)
        low, high = sorted((self.low, self.high))
        step = _round_step((high - low) / 5)
        first = math.ceil(low / step - 1e-9)
        return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]

    def edges(self, bins: int) -> NDArray[np.float64]:
        """Return (bins + 1,) ends of bins that are equally wide on paper."""
        if self.log:
            return np.geomspace(self.low, self.high, bins + 1)
        return np.linspace(self.low, self.high, bins + 1)


def _round_step(least: float) -> float:
    """Return 1, 2 or 5 times a power of ten, at least `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least * (1 - 1e-9))


def _log_ticks(low: float, high: float) -> list[float]:
    """Return powers of two, every second, fourth, ... of them where there would be more than eight."""
    first, last = math.ceil(math.log2(low) - 1e-9), math.floor(math.log2(high) + 1e-9)
    step = max(1, math.ceil((last - first + 1) / 8))
    return [2.0**power for power in range(first, last + 1) if power % step == 0]


def counts_axis(label: str, most: float, tell: Callable[[float], str] | None = None) -> Axis:
    """Return an axis from 0 to a little above the largest count."""
    return Axis(label, 0.0, 1.06 * max(most, 1.0), tell=tell or count_words)


def count_words(value: float) -> str:
    """Return `1.5k` for 1500: short enough for a tick."""
    if value >= 1e6:
        return f"{value / 1e6:g}M"
    return f"{value / 1e3:g}k" if value >= 1e4 else f"{value:,.0f}"


@cache
def _letters(size: float, bold: bool) -> "FontProperties":
    """Return the font of `font`, for matplotlib."""
    from matplotlib.font_manager import FontProperties

    return FontProperties(fname=find_face("DejaVu Sans", bold).path, size=size)


def _shade(colour: Rgb) -> tuple[float, float, float]:
    red, green, blue = colour
    return red / 255, green / 255, blue / 255


class Page:
    """A page of panels in rows.

    Args:
        columns, rows: of panels.
        panel: (width, height) of one.
        head: height of what stands above them.
    """

    def __init__(self, columns: int, rows: int, panel: tuple[int, int], head: int, gap: int = 14) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self._columns, self._panel, self._head, self._gap = columns, panel, head, gap
        self._size = columns * (panel[0] + gap) + gap, head + rows * (panel[1] + gap) + gap
        width, height = self._size
        figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor=_shade(DESK))
        self._canvas = FigureCanvasAgg(figure)
        self._sheet = _Sheet(figure, self._size)
        self._used = 0

    def write(self, x: float, y: float, words: str, size: int, colour: Rgb = INK, bold: bool = False) -> None:
        """Write words with their upper left corner at (x, y)."""
        self._sheet.write(x, y, words, "la", size, colour, bold)

    def panel(self, title: str) -> "Panel":
        """Return the next free panel."""
        row, column = divmod(self._used, self._columns)
        self._used += 1
        width, height = self._panel
        x = self._gap + column * (width + self._gap)
        y = self._head + self._gap + row * (height + self._gap)
        return Panel(self._sheet, (x, y, x + width, y + height), title)

    def finished(self) -> NDArray[np.uint8]:
        """Return the page (H, W, 3) uint8 RGB."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of letters that the font does not have: a box stands for them
            self._canvas.draw()  # type: ignore[no-untyped-call]
        return np.array(np.asarray(self._canvas.buffer_rgba())[..., :3])  # type: ignore[no-untyped-call]


class _Sheet:
    """A figure on which things lie at pixels, counted from the upper left corner.

    Args:
        size: (width, height).
    """

    def __init__(self, figure: Any, size: tuple[int, int]) -> None:
        from matplotlib.transforms import Affine2D

        self.figure = figure
        self.size = size
        self.pixels = Affine2D().scale(1, -1).translate(0, size[1])

    def write(
        self, x: float, y: float, words: str, anchor: str, size: float = TEXT, colour: Rgb = INK, bold: bool = False
    ) -> None:
        """Write words; `anchor` says what of them is at (x, y), as in Pillow: l, m or r, then a or t (top), or m."""
        self.figure.text(
            x,
            y,
            words,
            transform=self.pixels,
            ha={"l": "left", "m": "center", "r": "right"}[anchor[0]],
            va="center" if anchor[1] == "m" else "top",
            color=_shade(colour),
            fontproperties=_letters(size, bold),
            parse_math=False,
        )

    def box(self, x0: float, y0: float, x1: float, y1: float, colour: Rgb, radius: float = 0.0) -> None:
        """Fill a box."""
        from matplotlib.patches import FancyBboxPatch

        style = f"round,pad=0,rounding_size={radius}" if radius else "square,pad=0"
        patch = FancyBboxPatch(
            (x0, y0), x1 - x0, y1 - y0, style, transform=self.pixels, fc=_shade(colour), lw=0, antialiased=radius > 0
        )
        patch.set_zorder(-1 if radius else 1)  # a panel lies behind its axes
        self.figure.add_artist(patch)

    def axes(self, x0: float, y0: float, x1: float, y1: float) -> "Axes":
        """Return axes over a box, without a ground of their own."""
        width, height = self.size
        axes: Axes = self.figure.add_axes((x0 / width, 1 - y1 / height, (x1 - x0) / width, (y1 - y0) / height))
        axes.patch.set_visible(False)
        return axes


class Panel:
    """One plot. `axes` comes first, then what is plotted.

    Args:
        box: x0, y0, x1, y1 of the panel on the page.
    """

    _axes: "Axes"

    def __init__(self, sheet: _Sheet, box: tuple[int, int, int, int], title: str) -> None:
        self._sheet, self.box, self._title = sheet, box, title
        x0, y0, x1, y1 = box
        self._inside = (x0 + _LEFT, y0 + _TOP, x1 - _RIGHT, y1 - _BOTTOM)
        sheet.box(*box, PAPER, radius=8)
        sheet.write(x0 + 18, y0 + 22, title, "lm", TITLE, bold=True)

    def nothing(self, why: str) -> None:
        """Say why there is no plot."""
        x0, y0, x1, y1 = self.box
        words = fitted(why, x1 - x0 - 30, TEXT)
        self._sheet.write((x0 + x1) / 2, (y0 + y1) / 2, words, "mm", colour=MUTED)

    def note(self, words: str) -> None:
        """Write a line in the upper right corner, beside the title."""
        x0, y0, x1, _ = self.box
        room = x1 - x0 - 18 - font(TITLE, bold=True).getlength(self._title) - 16 - 18
        self._sheet.write(x1 - 18, y0 + 22, fitted(words, room, TEXT), "rm", colour=MUTED)

    def axes(self, x: Axis, y: Axis, square: bool = False) -> None:
        """Draw axes with ticks, grid lines and labels; `square` plots into a square in the middle."""
        x0, y0, x1, y1 = self._inside
        if square:
            side = min(x1 - x0, y1 - y0)
            middle = (x0 + x1) // 2
            x0, x1 = middle - side // 2, middle - side // 2 + side
            self._inside = (x0, y0, x1, y1)
        self.x, self.y = x, y
        axes = self._axes = self._sheet.axes(*self._inside)
        axes.set(xscale="log" if x.log else "linear", yscale="log" if y.log else "linear")
        axes.set(xlim=(x.low, x.high), ylim=(y.low, y.high))
        axes.minorticks_off()
        axes.set_axisbelow(True)
        axes.grid(color=_shade(LINES), linewidth=1)
        axes.tick_params(length=0, pad=6)
        for place, spine in axes.spines.items():
            spine.set(visible=place == "bottom", color=_shade(MUTED), linewidth=1)
        axes.set_xticks(x.ticks(), [x.tell(value) for value in x.ticks()])
        axes.set_yticks(y.ticks(), [y.tell(value) for value in y.ticks()])
        for words in (*axes.get_xticklabels(), *axes.get_yticklabels()):
            words.set(fontproperties=_letters(TEXT, False), color=_shade(MUTED), parse_math=False)
        self._sheet.write((x0 + x1) / 2, y1 + 26, x.label, "mt")
        axes.text(
            -46 / (x1 - x0),
            0.5,
            y.label,
            transform=axes.transAxes,
            rotation=90,
            ha="center",
            va="center",
            color=_shade(INK),
            fontproperties=_letters(TEXT, False),
            parse_math=False,
        )

    def bars(self, edges: ArrayLike, heights: ArrayLike, colour: Rgb = BLUE) -> None:
        """Draw a bar between each two of the edges (K + 1,), of heights (K,)."""
        bottom = self._inside[3]
        ends = [self._at_x(float(value)) for value in np.asarray(edges)]
        for left, right, height in zip(ends, ends[1:], np.asarray(heights).tolist(), strict=False):
            gap = 0.5 if right - left > 4 else 0.0
            if height > 0:
                top = min(self._at_y(height), bottom - 1.5)  # a rare value is seen all the same
                self._sheet.box(left + gap, top, right - gap, bottom, colour)

    def _at_x(self, value: float) -> float:
        x0, _, x1, _ = self._inside
        return x0 + self.x.share(value) * (x1 - x0)

    def _at_y(self, value: float) -> float:
        _, y0, _, y1 = self._inside
        return y1 - self.y.share(value) * (y1 - y0)

    def curve(self, xs: ArrayLike, ys: ArrayLike, colour: Rgb, width: float = 2.0) -> None:
        """Draw a line through the points; one that is not finite interrupts it."""
        self._axes.plot(np.asarray(xs), np.asarray(ys), color=_shade(colour), linewidth=width, clip_on=False)

    def upright(self, value: float, words: str, colour: Rgb = RED, *, line: int = 0, left: bool = False) -> None:
        """Draw a dashed line across the plot at x = value, with words beside it, `line` lines from the top.

        Args:
            left: the words stand at its left; they do anyway where there is no room at its right.
        """
        if not self.x.low <= value <= self.x.high:
            return
        self._axes.axvline(value, color=_shade(colour), linewidth=1.5, linestyle=(0, (2.7, 2.7)))
        x0, y0, x1, _ = self._inside
        at = self._at_x(value)
        at_left = left or at > x0 + 0.7 * (x1 - x0)
        self._sheet.write(
            at + (-5 if at_left else 5), y0 + 2 + 18 * line, words, "ra" if at_left else "la", colour=colour
        )

    def legend(self, entries: Sequence[tuple[str, Rgb]]) -> None:
        """Write names in their colours, in the upper left corner of the plot."""
        from matplotlib.patches import Patch

        handles = [Patch(color=_shade(colour), label=name) for name, colour in entries]
        room = {"handlelength": 1.1, "handleheight": 0.8, "labelspacing": 0.35, "borderaxespad": 0.2, "borderpad": 0.3}
        letters = _letters(TEXT, False)
        made = self._axes.legend(handles=handles, loc="upper left", prop=letters, frameon=False, **room)
        for words in made.get_texts():
            words.set_parse_math(False)

    def crosses(self, points: Sequence[tuple[float, float]], colour: Rgb = ORANGE) -> None:
        """Draw a cross at each point that lies on the plot."""
        from matplotlib.lines import Line2D

        on = [(x, y) for x, y in points if self.x.low <= x <= self.x.high and self.y.low <= y <= self.y.high]
        xs, ys = [self._at_x(x) for x, _ in on], [self._at_y(y) for _, y in on]
        for width, shade in ((5.0, PAPER), (2.5, colour)):
            line = Line2D(xs, ys, ls="none", marker="+", ms=12, mew=width, color=_shade(shade))
            line.set(transform=self._sheet.pixels, zorder=5)  # over a heat map
            self._sheet.figure.add_artist(line)

    def heat(self, counts: NDArray[np.int64]) -> None:
        """Draw counts (rows, columns), the first row at the top, over the whole plot; a cell of none stays as it is."""
        # The square root, so that what is rare can be seen beside what is frequent.
        shares = np.sqrt(counts / max(int(counts.max()), 1))
        cells = np.zeros((*counts.shape, 4), dtype=np.uint8)  # with alpha: grid lines show through where there is none
        for row, column in np.argwhere(counts > 0).tolist():
            cells[row, column] = (*heat_colour(float(shares[row, column])), 255)
        over = self._sheet.axes(*self._inside)  # its axes are linear, whatever those of the plot are
        over.set_axis_off()
        over.imshow(cells, aspect="auto", interpolation="nearest")

    def rows(
        self,
        names: Sequence[str],
        values: Sequence[float],
        words: Sequence[str],
        colours: Sequence[Rgb],
        *,
        alarm: bool = True,
    ) -> None:
        """Draw horizontal bars with a name at their left and words at their right, from the top; instead of `axes`.

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
        most = max([*(value for value in values if math.isfinite(value)), 1e-12])
        for place, (name, value, word, colour) in enumerate(zip(names, values, words, colours, strict=True)):
            middle = y0 + (place + 0.5) * pitch
            ink = RED if alarm and not value else INK
            self._sheet.write(left - 10, middle, fitted(name, aside, size), "rm", size, ink)
            length = max(0.0, room - left) * min(value, most) / most if math.isfinite(value) else 0.0
            end = max(left + length, left + 1) if value else left
            if end > left:
                self._sheet.box(left, middle - 0.36 * pitch, end, middle + 0.36 * pitch, colour)
            self._sheet.write(end + 7, middle, word, "lm", size, MUTED)


def heat_colour(share: float) -> Rgb:
    """Return the colour of a share, 0 to 1, of the most."""
    place = min(max(share, 0.0), 1.0) * (len(_HEAT) - 1)
    below = min(int(place), len(_HEAT) - 2)
    red, green, blue = (_HEAT[below] + (place - below) * (_HEAT[below + 1] - _HEAT[below])).tolist()
    return round(red), round(green), round(blue)
