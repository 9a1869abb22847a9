"""Declarations: text, TOML and Python values become typed values, or one line says why not."""

import math
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolo_proc.config.options import Declared, Option, build, check_value, declared_options, nearest, option, shown
from yolo_proc.config.values import value_text
from yolo_proc.errors import ConfigError


@dataclass(frozen=True)
class Cards:
    max_cards: int = option(5, help="cards on a table", low=1, high=52)
    suit: str = option("hearts", help="which suit", choices=("hearts", "spades"))
    scale: float | None = option(None, help="size", low=0)
    sizes: tuple[float, ...] = option((1.0, 2.0), help="sizes", low=0, high=10)
    place: tuple[int, float] = option((1, 0.5), help="place")
    marked: bool = option(False, help="marked cards")
    not_an_option: int = 3


def declared(kind: Any, **rule: Any) -> Declared:
    return Declared("some_name", kind, None, Option("help", **rule))


WHOLE = st.integers(-(2**63) + 1, 2**63 - 1)
KINDS = [
    (int, WHOLE),
    (float, st.floats(allow_nan=False, allow_infinity=False)),
    (bool, st.booleans()),
    (int | None, st.none() | WHOLE),
    (tuple[int, ...], st.lists(WHOLE).map(tuple)),
    (tuple[str, ...], st.lists(st.text("abc é:/", min_size=1)).map(tuple)),
    (tuple[float, float], st.tuples(*[st.floats(allow_nan=False, allow_infinity=False)] * 2)),
    (tuple[bool, int], st.tuples(st.booleans(), WHOLE)),
]


@pytest.mark.parametrize(("kind", "values"), KINDS, ids=[str(kind) for kind, _ in KINDS])
def test_text_and_back(kind: Any, values: st.SearchStrategy[Any]) -> None:
    @given(values)
    def round_trip(value: Any) -> None:
        found = check_value(declared(kind), value_text(value), "--x")
        assert found == value
        assert type(found) is type(value)

    round_trip()


@given(st.text(st.characters(exclude_characters="\0")))
def test_text_stays_text(text: str) -> None:
    assert check_value(declared(str), text, "--x") == text


@given(
    st.one_of(st.integers(), st.floats(), st.text(), st.booleans(), st.none(), st.lists(WHOLE)),
    st.sampled_from([kind for kind, _ in KINDS] + [str]),
)
def test_any_value_is_converted_or_refused_in_one_line(value: Any, kind: Any) -> None:
    complaint = "--x: expected "
    try:
        check_value(declared(kind, low=-5, high=5), value, "--x")
    except ConfigError as error:
        complaint = str(error)
    assert complaint.startswith("--x: expected ")
    assert "\n" not in complaint


@given(st.floats(allow_nan=False))
def test_range_is_closed(number: float) -> None:
    rule = declared(float, low=0, high=1)
    if 0 <= number <= 1:
        assert check_value(rule, number, "x") == number
    else:
        with pytest.raises(ConfigError, match="from 0 to 1"):
            check_value(rule, number, "x")


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, "nan", "inf"])
def test_numbers_are_finite(number: Any) -> None:
    with pytest.raises(ConfigError, match="expected a number"):
        check_value(declared(float), number, "x")


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("max_cards", 0, r"from 1 to 52, found 0"),
        ("max_cards", "many", "a whole number, found 'many'"),
        ("max_cards", 2.5, "a whole number, found 2.5"),
        ("max_cards", True, "a whole number, found True"),
        ("max_cards", math.inf, "a whole number, found inf"),
        ("max_cards", [1], "a whole number"),
        ("suit", "heart", r"one of hearts, spades, found 'heart' \(did you mean hearts\?\)"),
        ("suit", 3, "expected text, found 3"),
        ("scale", -1, "of at least 0, found -1"),
        ("sizes", [1, 11], "from 0 to 10"),
        ("sizes", 3, "values with commas between, found 3"),
        ("sizes", "1,,2", "a number, found ''"),
        ("place", "1", "expected 2 values, found 1"),
        ("marked", "maybe", "on or off, found 'maybe'"),
        ("marked", 1, "on or off, found 1"),
    ],
)
def test_refusals_say_what_was_expected_and_found(field: str, value: Any, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        build(Cards, {field: value}, "cards: ")


def test_build_takes_both_spellings_and_keeps_defaults() -> None:
    assert build(Cards, {"max-cards": "7", "sizes": [3]}) == Cards(max_cards=7, sizes=(3.0,))
    assert build(Cards, {"max_cards": 7}) == Cards(max_cards=7)
    assert build(Cards, {}) == Cards()


def test_none_only_where_it_is_allowed() -> None:
    assert build(Cards, {"scale": "none"}).scale is None
    with pytest.raises(ConfigError, match="max_cards: expected a whole number"):
        build(Cards, {"max_cards": "none"})


def test_unknown_names_get_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"cards: max-card: no such option \(did you mean max-cards\?\); known: max-"):
        build(Cards, {"max-card": 3}, "cards: ")
    with pytest.raises(ConfigError, match="there are none to set"):
        build(object, {"x": 1})
    assert nearest("zzzzz", ["max-cards"]) == ""
    assert nearest("config", ["on"]) == ""
    assert nearest("om", ["on"]) == " (did you mean on?)"


def test_only_options_are_declared() -> None:
    assert list(declared_options(Cards)) == ["max_cards", "suit", "scale", "sizes", "place", "marked"]
    assert declared_options(Cards)["max_cards"].spelling == "max-cards"
    assert declared_options(int) == {}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (10**400, "a number of about 400 digits"),
        (7, "7"),
        ("a" * 61, f"{'a' * 60!r}... of 61 characters"),
        ("\x1b[2J\n", "'\\x1b[2J\\n'"),
        ([1, "a", None], "[1, 'a', None]"),
        ([[1]], "a list of 1"),
        (list(range(9)), "a list of 9"),
        ({}, "a dict of 0"),
        (object(), "a value of type object"),
    ],
)
def test_any_value_is_shown_short_and_on_one_line(value: Any, expected: str) -> None:
    assert shown(value) == expected
    assert shown(-(10**5000)) == "a number of about 5000 digits"
