"""`python -m yolo_proc`, and the installed `yolo_proc`."""

import signal
from typing import NoReturn


def entry() -> NoReturn:
    """Run the command line; a Ctrl-C that comes before its modules are there ends it without a traceback."""
    heard = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # and not ignored, as in the background
    if heard:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from yolo_proc.cli import main

    if heard:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    main.entry()


if __name__ == "__main__":  # worker processes import this module too
    entry()
