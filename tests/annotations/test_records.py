import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolo_proc.annotations.records import DataSet, ReadOptions, Tally, checked_box
from yolo_proc.errors import AnnotationError

SIDE = st.floats(-200, 300, allow_nan=False)


def boxed(xyxy: tuple[float, float, float, float], *, clip: bool) -> tuple[object, dict[str, int]]:
    options = ReadOptions(clip=clip)
    found = checked_box(xyxy, 64, 48, "a.txt", "line 3", options)
    return found, dict(options.tally.counts)


@given(st.tuples(SIDE, SIDE), st.tuples(SIDE, SIDE))
def test_a_clipped_box_is_the_part_in_the_picture_and_what_changed_is_counted(
    xs: tuple[float, float], ys: tuple[float, float]
) -> None:
    x0, x1 = sorted(xs)
    y0, y1 = sorted(ys)
    if x0 == x1 or y0 == y1:
        return
    found, counts = boxed((x0, y0, x1, y1), clip=True)
    part = (max(x0, 0), max(y0, 0), min(x1, 64), min(y1, 48))
    if part[0] < part[2] and part[1] < part[3]:
        assert found == part
        over = max(-x0, -y0, x1 - 64, y1 - 48)
        assert sum(counts.values()) == (over > 0.01)
    else:
        assert found is None
        assert counts == {"boxes lie outside of their pictures and are left out": 1}


def test_what_clipping_would_mend_is_refused_with_its_flag_and_the_rest_without() -> None:
    for box in ((-20, 6, 40, 30), (8, 6, 40, 60), (70, 6, 80, 30)):
        with pytest.raises(AnnotationError, match=r"a\.txt: line 3: .* 64 x 48 picture.*--clip") as caught:
            boxed(box, clip=False)
        assert caught.value.reason == "outside"
    for box, reason in (
        ((8, 6, 8, 30), "degenerate"),
        ((40, 6, 8, 30), "swapped"),
        ((8, math.nan, 9, 30), "not-finite"),
    ):
        with pytest.raises(AnnotationError) as caught:
            boxed(box, clip=True)
        assert caught.value.reason == reason
        assert "--clip" not in str(caught.value)


def test_up_to_a_pixel_is_rounding_which_is_told_where_it_is_more_than_digits() -> None:
    assert boxed((-1, 0, 64, 48), clip=False) == (
        (0, 0, 64, 48),
        {"boxes reach over the border of their pictures and are clipped": 1},
    )
    assert boxed((-1e-5, 0, 64, 48), clip=False) == ((0, 0, 64, 48), {})


def test_a_tally_says_how_many_and_where_the_first_is() -> None:
    tally = Tally()
    assert tally.lines() == ()
    tally.add("boxes are turned", "a.txt: line 1", 0)
    assert tally.lines() == ()
    tally.add("boxes are turned", "b.txt: line 1", 1200)
    tally.add("boxes are turned", "c.txt: line 1")
    assert tally.lines() == ("1,201 boxes are turned (first: b.txt: line 1)",)


@pytest.mark.parametrize(
    "name", ["a\nb.jpg", "\x1b[31m.jpg", "\u2028.jpg", "\u202egpj.a.jpg", "\udcff.jpg", "a\tb.jpg"]
)
def test_notes_are_lines_that_a_terminal_can_show(name):
    tally = Tally()
    tally.add("pictures belong to no split and are not read", name)
    (note,) = replace(DataSet(Path(), "yolo", (), {}), notes=tally.lines()).notes
    assert note.isprintable()
    assert note.startswith("1 pictures belong to no split and are not read (first: ")
    assert note.endswith("jpg)")
