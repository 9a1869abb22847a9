"""What a user did wrong, told in one line.

A message says what was expected, what was found, where, and what to do. `cli.main` prints it without
a traceback and exits with the class's `exit_code`. Our own bugs are assertions and tracebacks instead.

    YoloProcError
    |-- UserError           2   a wrong option, file, generator or parameter
    |   |-- ConfigError         an option's name, type or range
    |   |-- GeneratorError      a generator that is not found, or draws what cannot be a label
    |   |-- DataError           a picture or an annotation that cannot be read
    |   `-- CheckpointError     a checkpoint that is missing, damaged, or of another run
    `-- TrainingError       1   the training itself failed: a non-finite loss, a failed check
"""


class YoloProcError(Exception):
    """Base of every error that is shown as one line."""

    exit_code = 2


class UserError(YoloProcError):
    """A mistake of the user; nothing was lost."""


class ConfigError(UserError):
    """An option with an unknown name, a wrong type or a value out of range."""


class GeneratorError(UserError):
    """A generator that cannot be found, or that draws what cannot be a label."""


class DataError(UserError):
    """A picture or an annotation that cannot be read."""


class CheckpointError(UserError):
    """A checkpoint that is missing, damaged, or does not fit the run."""


class TrainingError(YoloProcError):
    """The training failed: a loss or a gradient that is not finite, or a failed check."""

    exit_code = 1
