"""What `check` prints in short."""

from yolo_proc.checks.table import summary_text
from yolo_proc.training.outcomes import Finding, Group, Outcome


def outcome(name: str, group: Group, sound: bool | None = True) -> Outcome:
    if sound is None:
        return Outcome(name, group, "it holds", Finding.not_applicable("no"), 0.5)
    causes = ["a cause", "another"]
    found = Finding.judged(
        sound, expected="this", measured=f"that of {name}", figures={}, causes=causes, remedy="mend it"
    )
    return Outcome(name, group, f"{name} holds", found, 1.0)


def test_scenes_come_first_in_words_and_the_rest_is_a_line() -> None:
    outcomes = [outcome("step", "optimisation"), outcome("labels", "data"), outcome("modes", "loss")]
    lines = summary_text(outcomes, 100).splitlines()
    assert lines[0] == "Your scenes:"
    assert lines[1] == "  ok    labels  labels holds: that of labels"
    assert lines[3] == "2 checks of loss, network and optimisation passed (--verbose lists all)"
    assert lines[-1] == "Checks: 3 passed, in 3 s"


def test_failures_are_told_in_full_whatever_they_are_of() -> None:
    outcomes = [outcome("labels", "data", sound=False), outcome("step", "optimisation", sound=False)]
    text = summary_text(outcomes, 80)
    assert "  FAIL  labels  labels holds" in text
    assert text.count("likely cause: a cause") == text.count("what to do: mend it") == 2
    assert "passed" not in text
    assert text.endswith("Checks: 2 failed, in 2 s")


def test_what_does_not_apply_and_nothing_at_all() -> None:
    assert summary_text([outcome("round-trip", "data", None)], 80) == "\nChecks: 1 not applicable, in 0 s"
    assert summary_text([], 80) == "\nChecks: none, in 0 s"


def test_one_check_is_one_and_long_words_are_wrapped() -> None:
    assert "1 check of loss" in summary_text([outcome("step", "optimisation")], 80)
    found = Finding.judged(True, expected="", measured="word " * 40, figures={}, causes=[], remedy="")
    lines = summary_text([Outcome("labels", "data", "it holds", found, 1.0)], 80).splitlines()
    assert len(lines) > 4
    assert max(map(len, lines)) <= 80
