"""Pictures that a reader passes over, and parts that have none: nothing of a data set is left out in silence."""

import os
from collections.abc import Set
from pathlib import Path

from yolo_proc.annotations.classes import set_file
from yolo_proc.annotations.common import Folder, split_of, tell_passed_over, tell_unread_split
from yolo_proc.annotations.records import Tally
from yolo_proc.errors import DataError
from yolo_proc.imaging.pictures import OTHER_SUFFIXES, SUFFIXES, unread_pictures


def check_has_pictures(root: Path, split: str, count: int, found: str) -> None:
    """Refuse a part that says that it is there and has no pictures; a set that we wrote may have such a part.

    Args:
        count: of the pictures that the part names, bad ones too.
        found: what was found in their place, for the message.

    Raises:
        DataError: none.
    """
    if not count and not set_file(root).is_file():
        raise DataError(f"{root}: expected pictures of {split}, found none: {found}")


def tell_unread_pictures(folder: Folder, read: Set[Path], tally: Tally) -> tuple[str, ...]:
    """Count the pictures in the folder and in those below that are not among `read`; hidden ones do not count.

    Returns:
        A line on those of kinds that are not read; empty where there are none.
    """
    left: list[Path] = []
    has_links = False
    for place, folders, names in os.walk(folder.path):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        has_links = has_links or any(os.path.islink(os.path.join(place, name)) for name in folders)  # noqa: PTH114 PTH118
        for name in sorted(names):
            suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122 a path object for every file costs ten times as much
            if (suffix in SUFFIXES or suffix in OTHER_SUFFIXES) and not name.startswith("."):
                path = Path(place, name)
                if path not in read:
                    left.append(path)
    if left and has_links:  # they may have been read by another way
        real = {os.path.realpath(path) for path in read}
        left = [path for path in left if os.path.realpath(path) not in real]
    tests = [path for path in left if _is_test(path.relative_to(folder.path))]
    if tests:
        tell_unread_split(tally, "test", tests[0], len(tests))
    rest = [path for path in left if path not in {*tests}]
    tell_passed_over(tally, [path for path in rest if path.suffix.lower() in SUFFIXES])
    line = unread_pictures(rest)
    return () if line is None else (f"{folder.path}: {line}",)


def _is_test(path: Path) -> bool:
    return any(split_of(part) == "test" for part in path.parts[:-1])
