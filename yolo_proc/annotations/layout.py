"""The contract of a format that can be written: which files a data set has, and their content.

A layout writes nothing itself. `generate` and `convert` put the bytes in place, each file whole or not at all.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

from yolo_proc.annotations.records import Annotation, Item, stem_of


class Listed(NamedTuple):
    """A picture as the files of the whole set speak of it.

    Attributes:
        name: of its file.
        text: what they say of it besides, as `Layout.listed` has put it; mostly empty.
    """

    name: str
    text: str = ""

    @property
    def stem(self) -> str:
        """The name without its last suffix."""
        return stem_of(self.name)


class Layout(ABC):
    """How one format lays a data set out.

    Places are relative to the root, with "/" between, and are texts: a path object would cost as much as the file.

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
    def picture_file(self, split: str, name: str) -> str:
        """Return where the picture `name` goes.

        Raises:
            DataError: a name that the format cannot have.
        """

    @abstractmethod
    def label_file(self, split: str, annotation: Annotation) -> tuple[str, bytes] | None:
        """Return the file of one picture's labels, with its bytes; None where a picture has none."""

    def listed(self, annotations: Sequence[Annotation]) -> list[Listed]:
        """Return what `set_files` needs of some pictures: several, because one may cost as much as many."""
        return [Listed(one.name) for one in annotations]

    def has_listed(self, picture: Listed) -> bool:
        """Return whether `listed` may have said so, of a picture that was read from a file: `set_files` can take it."""
        return not picture.text

    @abstractmethod
    def set_files(self, splits: Mapping[str, Sequence[Listed]]) -> dict[str, bytes]:
        """Return the files of the whole set: lists, names, `data.yaml`; written last."""

    @abstractmethod
    def losses(self, item: Item) -> Sequence[str]:
        """Return what of an item this format cannot say: "confidence", "rotation", "visible", "in_frame", "ignore",
        "polygon", "mask", "point", "text", "outline", "anchor", "class", "pixel fractions", "percent fractions"; empty
        mostly.
        """

    def picture_losses(self, annotation: Annotation) -> Sequence[str]:
        """Return what of a picture itself this format cannot say: the keys of `extra`, which scredit alone has."""
        return tuple(annotation.extra)
