"""Plots: ticks are round, bars stand where their values are, names fit."""

import subprocess
import sys
import warnings

import numpy as np
import pytest

from yolo_proc.plotting.charts import BLUE, ORANGE, PAPER, RED, Axis, Page, counts_axis, fitted, font, heat_colour


def coloured(page: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return np.asarray((page == colour).all(axis=-1))


@pytest.mark.parametrize(
    ("axis", "ticks"),
    [
        (Axis("", 0, 10), [0, 2, 4, 6, 8, 10]),
        (Axis("", 1, 0), [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (Axis("", 0, 1.06), [0, 0.5, 1]),
        (Axis("", -0.5, 3.5), [0, 1, 2, 3]),
        (Axis("", 3, 70, log=True), [4, 8, 16, 32, 64]),
        (Axis("", 0.25, 4, log=True), [0.25, 0.5, 1, 2, 4]),
    ],
)
def test_ticks_are_round_and_inside(axis: Axis, ticks: list[float]) -> None:
    assert axis.ticks() == pytest.approx(ticks)


def test_a_wide_logarithmic_axis_has_few_ticks() -> None:
    assert len(Axis("", 1e-3, 1e6, log=True).ticks()) <= 8


def test_a_share_is_measured_in_ratios_on_a_logarithmic_axis() -> None:
    assert Axis("", 1, 16, log=True).share(4) == pytest.approx(0.5)
    assert Axis("", 1, 0).share(0.25) == pytest.approx(0.75)
    assert Axis("", 1, 16, log=True).edges(4) == pytest.approx([1, 2, 4, 8, 16])


def test_bars_stand_where_their_values_are() -> None:
    page = Page(1, 1, (300, 240), 0)
    panel = page.panel("Title")
    panel.axes(Axis("x", 0.0, 4.0), counts_axis("count", 10))
    panel.bars([0, 1, 2, 3, 4], [10, 0, 5, 0])
    blue = coloured(page.finished(), BLUE)
    columns = np.flatnonzero(blue.any(axis=0))
    first, second = columns[columns < columns.min() + 60], columns[columns >= columns.min() + 60]
    heights = blue[:, int(first.mean())].sum(), blue[:, int(second.mean())].sum()
    assert heights[0] == pytest.approx(2 * heights[1], abs=2)
    assert len(first) == pytest.approx(len(second), abs=2)


def test_a_rare_value_beside_a_frequent_one_is_seen() -> None:
    page = Page(1, 1, (300, 240), 0)
    panel = page.panel("Title")
    panel.axes(Axis("x", 0.0, 2.0), counts_axis("count", 1e6))
    panel.bars([0, 1, 2], [1, 1e6])
    # A bar of one pixel may share it with the axis.
    left = page.finished()[:, 20:150].astype(int)
    assert (left[..., 2] - left[..., 0] > 60).any()


def test_a_heat_map_leaves_empty_cells_and_has_its_first_row_at_the_top() -> None:
    page = Page(1, 1, (300, 240), 0)
    panel = page.panel("Title")
    panel.axes(Axis("x", 0.0, 1.0), Axis("y", 1.0, 0.0), square=True)
    panel.heat(np.array([[9, 0], [0, 0]]))
    dark = coloured(page.finished(), heat_colour(1.0))
    rows, columns = np.nonzero(dark)
    assert 0.2 < dark.sum() / (144 * 144) < 0.3  # a quarter of the square
    assert rows.max() < 134
    assert columns.max() < 184


def test_more_is_darker() -> None:
    light = [sum(heat_colour(share)) for share in np.linspace(0, 1, 20)]
    assert light == sorted(light, reverse=True)
    assert heat_colour(-1) == heat_colour(0)
    assert heat_colour(7) == heat_colour(1)


def test_rows_of_nothing_are_told_in_red_if_that_is_an_alarm() -> None:
    for alarm in (True, False):
        page = Page(1, 1, (300, 240), 0)
        page.panel("Title").rows(["some", "none"], [5, 0], ["5", "0"], [ORANGE, ORANGE], alarm=alarm)
        drawn = page.finished().astype(int)
        reddish = (drawn[..., 0] - drawn[..., 2] > 100) & (drawn[..., 1] < 110)
        assert reddish.any() == alarm
        assert coloured(page.finished(), ORANGE).any()


def test_an_empty_panel_says_why() -> None:
    page = Page(2, 1, (300, 240), 0)
    page.panel("A").nothing("no object")
    drawn = page.finished()
    assert coloured(drawn, PAPER).sum() > 50_000
    assert (drawn[110:145, 100:220].max(axis=-1) < 160).any()
    assert not coloured(drawn, RED).any()


def test_long_names_keep_both_ends() -> None:
    name = "a_very_long_folder/with_a_picture_of_number_00017.jpg"
    short = fitted(name, 150, 13)
    assert font(13).getlength(short) <= 150
    assert short.startswith("a_ve")
    assert short.endswith("17.jpg")
    assert "…" in short
    assert fitted("short", 150, 13) == "short"
    assert fitted("anything", 1, 13) == "…"
    assert fitted("a\nb\x1b.jpg", 150, 13) == "a\\nb\\x1b.jpg"  # no font can set a line end


def test_a_page_is_the_same_bytes_again_and_names_are_plain_text() -> None:
    def drawn(names: list[str]) -> np.ndarray:
        page = Page(2, 1, (300, 240), 20)
        page.write(5, 2, "$x_1$", 12)
        page.panel("$a_b$ \\alpha").rows(names, [2, 1], ["2", "1"], [BLUE, BLUE])
        panel = page.panel("B")
        panel.axes(Axis("$x$", 1, 8, log=True), Axis("y", 0, 2))
        panel.curve([1, 2, 4, 8], [0.0, np.nan, np.inf, 1.0], RED)
        panel.legend([("$l$", RED)])
        return page.finished()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one = drawn(["a$b$c_d", "\u4e00\U0001f600"])  # the font has no such letters
        assert (one == drawn(["a$b$c_d", "\u4e00\U0001f600"])).all()
    assert one.shape == (20 + 240 + 2 * 14, 2 * 300 + 3 * 14, 3)
    assert (one != drawn(["a$b$c", "\u4e00\U0001f600"])).any()


def test_values_that_are_not_finite_have_no_bar() -> None:
    page = Page(1, 1, (300, 240), 0)
    page.panel("A").rows(["a", "b"], [float("inf"), float("nan")], ["inf", "nan"], [BLUE, BLUE])
    assert coloured(page.finished(), BLUE).sum() < 60


def test_crosses_lie_over_a_heat_map_and_only_on_the_plot() -> None:
    page = Page(1, 1, (300, 240), 0)
    panel = page.panel("A")
    panel.axes(Axis("x", 1, 16, log=True), Axis("y", 1, 16, log=True), square=True)
    panel.heat(np.ones((4, 4), dtype=np.int64))
    panel.crosses([(4.0, 4.0), (99.0, 2.0)])
    rows, columns = np.nonzero(coloured(page.finished(), ORANGE))
    assert len(rows) > 20
    assert np.ptp(rows) < 14
    assert np.ptp(columns) < 14


def test_nothing_is_imported_before_a_page_is_drawn() -> None:
    code = "import sys, yolo_proc.plotting.charts; print('matplotlib' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
