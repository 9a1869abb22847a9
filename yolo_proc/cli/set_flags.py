"""Flags that describe a data set, shared by the commands about data sets."""

import re
from collections.abc import Mapping
from typing import Literal

from yolo_proc.annotations.records import BinaryLayout
from yolo_proc.cli.flags import FlagParser, Parsed
from yolo_proc.config.values import Given, parse_anchors
from yolo_proc.errors import ConfigError

FORMAT_NAMES = ("scredit", "yolo", "coco", "voc", "binary")
BINARY = "binary"


class SetParser(FlagParser):
    """Spells what describes a binary set as a section: `--binary.stride`, of the field `binary_stride`."""

    def _fill(self) -> None:
        self.own = {re.sub(f"^{BINARY}-", f"{BINARY}.", flat): declared for flat, declared in self.own.items()}
        super()._fill()


def by_field(own: Mapping[str, Given]) -> dict[str, Given]:
    """Return what a `SetParser` read, by the names that `build_own` takes."""
    return {flat.replace(f"{BINARY}.", f"{BINARY}-"): one for flat, one in own.items()}


def binary_flags(parsed: Parsed) -> list[str]:
    """Return the flags given that describe a binary set."""
    return [one.where for flat, one in parsed.own.items() if flat.startswith(f"{BINARY}.")]


def binary_layout(size: tuple[int, int], stride: int, anchors: str, value_type: str) -> BinaryLayout:
    """Return what the flags say of a binary set.

    Raises:
        ConfigError: `anchors` are no sizes.
    """
    kind: Literal["unsigned_byte", "float32"] = "float32" if value_type == "float32" else "unsigned_byte"
    try:
        sizes = parse_anchors(anchors)
    except ConfigError:
        sizes = None
    if sizes is None:
        raise ConfigError(f"--binary.anchors: expected sizes in pixels such as 60x60,120x90, found {anchors!r}")
    return BinaryLayout(*size, stride, sizes, kind)
