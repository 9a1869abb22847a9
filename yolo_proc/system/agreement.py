"""What the processes of a run decide together."""

from typing import TypeVar

T = TypeVar("T")


def agree(local: T) -> T:
    """What all processes of a run decide, given this one's opinion: on one process, that opinion.

    Every decision that ends or alters the loop passes here, so that several processes can never part ways.
    """
    return local
