"""Mistakes of a user, told in one line.

A message says what was expected, what was found, where, and what to do. `cli.main` prints it without
a traceback and exits with the class's `exit_code`. Our own bugs are assertions and tracebacks instead.

    YoloProcError
    |-- UserError           2   a wrong option, file, generator or parameter
    |   |-- ConfigError         an option's name, type or range
    |   |   `-- OptionError         with the option apart, so that it is named as it was given
    |   |-- GeneratorError      a generator that is not found, or draws what cannot be a label
    |   |-- DataError           a picture or an annotation that cannot be read
    |   |   `-- AnnotationError     with the file, the place in it, and the reason in a word
    |   `-- CheckpointError     a checkpoint that is missing, damaged, or of another run
    `-- TrainingError       1   the training itself failed: a non-finite loss, a failed check
"""

from pathlib import Path

LONGEST = 1000  # characters of a message; names and values come from files and command lines, as long as they like


class YoloProcError(Exception):
    """Base of every error that is shown as one line."""

    exit_code = 2

    def __str__(self) -> str:
        """Return the message as one line that a terminal can show."""
        lines = super().__str__().split("\n")  # a library's own message may have several
        return one_line(" ".join(line.strip() for line in lines if line.strip()))


class UserError(YoloProcError):
    """A mistake of the user; nothing was lost."""


class ConfigError(UserError):
    """An option with an unknown name, a wrong type or a value out of range."""


class OptionError(ConfigError):
    """An option that does not fit the others, or the machine.

    Attributes:
        option: its flat name, such as `model.strides`.
        text: what is wrong with it.
        where: how the user named it; None where only its flat name is known.
    """

    def __init__(self, option: str, text: str, where: str | None = None) -> None:
        self.option = option
        self.text = text
        self.where = where
        super().__init__(f"{where or option}: {text}")

    def named(self, where: str) -> "OptionError":
        """Return the same error with the option as the user named it: `--model.strides`, `run.toml: model.strides`."""
        return OptionError(self.option, self.text, where)

    def as_flag(self) -> "OptionError":
        """Return the same error with the option as a flag, unless the user named it otherwise."""
        return self.named(f"--{self.option.removesuffix('.name')}") if self.where is None else self


class GeneratorError(UserError):
    """A generator that cannot be found, or that draws what cannot be a label."""


class DataError(UserError):
    """A picture or an annotation that cannot be read."""


class AnnotationError(DataError):
    """A file that does not say what its format demands.

    Attributes:
        reason: one word for counting: "syntax", "missing-image", "outside", "degenerate", "not-finite", "swapped",
            "class", "duplicate-name", "name", "escape", "bomb", "picture", "size", "value", "ambiguous".
        path: the file.
        place: where in it: "line 3", "items[2].bounds", "object 1"; empty for the whole file.
    """

    def __init__(self, path: Path | str, place: str, expected: str, found: str, *, reason: str) -> None:
        self.reason = reason
        self.path = Path(path)
        self.place = place
        where = f"{path}: {place}" if place else f"{path}"
        super().__init__(f"{where}: expected {expected}, found {found}")


class CheckpointError(UserError):
    """A checkpoint that is missing, damaged, or does not fit the run."""


class TrainingError(YoloProcError):
    """The training failed: a loss or a gradient that is not finite, or a failed check."""

    exit_code = 1


def one_line(text: str) -> str:
    """Return a text on one line: what is not printable as its escape, and what is too long without its middle.

    A file's name may hold the escape sequence of a terminal, a sign that turns the direction of writing, or bytes that
    are no text. A line end becomes an escape too; `YoloProcError.__str__` joins the lines of a message before.
    """
    if not text.isprintable():
        text = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    return text if len(text) <= LONGEST else f"{text[: LONGEST * 3 // 4]} [...] {text[-LONGEST // 4 :]}"


def number_of(count: float, noun: str) -> str:
    """Return a count with its noun, for a message: `1 step`, `1,204 steps`."""
    number = f"{count:,}" if isinstance(count, int) else f"{count:,g}"
    return f"{number} {noun}" if count == 1 else f"{number} {noun}s"
