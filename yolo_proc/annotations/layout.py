"""What a format must be able to do to be written: say which files a data set has, and what is in them.

A layout writes nothing itself. `generate` and `convert` put the bytes in place, each file whole or not at all.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import ClassVar

from yolo_proc.annotations.records import Annotation, Item


class Layout(ABC):
    """How one format lays a data set out.

    Args:
        classes: names by class index.
        splits: the names of the parts that there will be: ("train",) or ("train", "val").

    Attributes:
        name: of the format.
        cannot_say: what is lost, by the words that are printed: "confidence", "rotation", ...
    """

    name: ClassVar[str]

    def __init__(self, classes: Sequence[str], splits: Sequence[str]) -> None:
        self.classes = tuple(classes)
        self.splits = tuple(splits)

    @abstractmethod
    def picture_file(self, split: str, name: str) -> PurePosixPath:
        """Where the picture `name` goes, relative to the root.

        Raises:
            DataError: a name that the format cannot have.
        """

    @abstractmethod
    def label_file(self, split: str, annotation: Annotation) -> tuple[PurePosixPath, bytes] | None:
        """The file of one picture's labels, relative to the root, with its bytes; None where a picture has none."""

    @abstractmethod
    def set_files(self, splits: Mapping[str, Sequence[Annotation]]) -> dict[PurePosixPath, bytes]:
        """The files of the whole set: lists, names, `data.yaml`; written last."""

    @abstractmethod
    def losses(self, item: Item) -> Sequence[str]:
        """What of an item this format cannot say: "confidence", "rotation", "visible", "in_frame", "ignore", "polygon",
        "mask", "point", "text", "outline", "anchor", "class"; empty mostly."""

    def lost(self, splits: Mapping[str, Sequence[Annotation]]) -> Counter[str]:
        """How often each kind of thing is lost."""
        return Counter(
            word for part in splits.values() for one in part for item in one.items for word in self.losses(item)
        )
