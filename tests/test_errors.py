import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolo_proc.errors import LONGEST, ConfigError, one_line


@given(st.text(), st.integers(0, 900))
def test_a_message_is_one_printable_line_and_stays_so(text: str, times: int) -> None:
    line = one_line(text * times)
    assert line == one_line(line) or len(line) > LONGEST
    assert len(line) < LONGEST + 20
    assert line.isprintable()
    assert len(line.splitlines()) <= 1


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("\x1b[31mred.jpg", "\\x1b[31mred.jpg"),  # colours the terminal
        ("\u202egpj.exe", "\\u202egpj.exe"),  # is written from right to left
        ("a\u2028b", "a\\u2028b"),  # some programs end a line here
        ("caf\udce9.jpg", "caf\\udce9.jpg"),  # a byte that is no UTF-8
        ("café 猫.jpg", "café 猫.jpg"),
        ("expected:\n  a\n  b\n", "expected: a b"),  # a library's message
        ("", ""),
    ],
)
def test_what_no_terminal_should_get_is_shown_as_its_escape(name: str, shown: str) -> None:
    assert str(ConfigError(name)) == shown


def test_a_long_message_keeps_its_beginning_and_its_end() -> None:
    line = str(ConfigError(f"--seed: expected a number, found {'9' * 100_000}; see --help"))
    assert len(line) < LONGEST + 20
    assert line.startswith("--seed: expected a number, found 999")
    assert line.endswith("999; see --help")
