"""Description of an exported model: `model.json`, and the same text in `model.onnx` under the key `yolo_proc`.

Readers ignore keys that they do not know, and refuse another version: what they would misread gives wrong boxes.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from yolo_proc.detection.codec import Grid, LabelCodec
from yolo_proc.detection.nms import DecodeConfig
from yolo_proc.errors import ConfigError
from yolo_proc.export.digest import METADATA_KEY, ModelError, check_keys, check_text
from yolo_proc.imaging.letterbox import PAD
from yolo_proc.system.files import UnreadableFileError, read_bytes

__all__ = ["METADATA_KEY", "VERSION", "ModelError", "ModelSpec", "description_note"]

VERSION = 1
DETECTION, CLASSIFICATION = "detection", "classification"
TASKS = (DETECTION, CLASSIFICATION)
LETTERBOX_RULE = 1
# Java's reader has the same limits: what is beyond them is damage, or meant to harm.
MAX_SIDE = 1 << 20  # of a picture or an anchor
MAX_PIXELS = 1 << 28  # of a picture
MAX_VALUES = 1 << 28  # of the output for a picture
MAX_COUNT = (1 << 31) - 1  # of candidates and detections
MAX_BYTES = 16 << 20  # of the text, and of metadata that it stands in
MAX_DEPTH = 64  # braces and brackets inside each other

Layout = Literal["nhwc", "nchw"]
ValueType = Literal["uint8", "float32"]
T = TypeVar("T")


@dataclass(frozen=True)
class ModelSpec:
    """Everything that a reader must know besides the network's weights.

    Attributes:
        classes: names by class index.
        width, height: pixels of the network's pictures.
        grids: of a detector, in ascending stride; they say what slot a value belongs to. A classifier has none.
        task: of `TASKS`; a description without one is of a detector.
        input_name: of the graph's input.
        layout: "nhwc" (N x H x W x 3) or "nchw" (N x 3 x H x W).
        value_type: "uint8", or "float32".
        value_range: what a picture's 0 and 255 become on the way in.
        output_name: of the graph's output, N x slots x (5 + C), or N x C of a classifier.
        activated: the output holds predictions, not raw logits.
        defaults: how the boxes are decoded unless the application says otherwise.
        training: where the weights come from, for people.

    Raises:
        ConfigError: grids or classes that no codec has.
        ModelError: grids of another size than the pictures; names that no console should get.
    """

    classes: tuple[str, ...]
    width: int
    height: int
    grids: tuple[Grid, ...] = ()
    task: str = DETECTION
    input_name: str = "images"
    layout: Layout = "nhwc"
    value_type: ValueType = "uint8"
    value_range: tuple[float, float] = (0, 255)
    output_name: str = "logits"
    activated: bool = False
    defaults: DecodeConfig = field(default_factory=DecodeConfig)
    training: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for number, name in enumerate(self.classes):
            _check_name(name, f"classes[{number}]")
        _check_name(self.input_name, "input: name")
        _check_name(self.output_name, "output: name")
        if self.width * self.height > MAX_PIXELS:
            raise ModelError(f"input: expected at most {MAX_PIXELS} pixels, found {self.width} x {self.height}")
        if self.task == CLASSIFICATION:
            if self.grids or len(self.classes) < 2:
                found = "grids" if self.grids else f"{len(self.classes)} classes"
                raise ModelError(f"task: expected a classifier of two classes or more without grids, found {found}")
            return
        values = self.codec.slots * self.codec.fields
        if values > MAX_VALUES:
            raise ModelError(f"grids: expected at most {MAX_VALUES} values for a picture, found {values}")
        if self.codec.frame != (self.width, self.height):
            covered = "{} x {}".format(*self.codec.frame)
            raise ModelError(f"grids: expected to cover {self.width} x {self.height} pixels, found {covered}")

    @cached_property
    def codec(self) -> LabelCodec:
        """The rules of a detector's slots."""
        assert self.task == DETECTION, "a classifier has no slots"
        return LabelCodec(self.grids, len(self.classes))

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Of one picture, as the graph takes it."""
        return (self.height, self.width, 3) if self.layout == "nhwc" else (3, self.height, self.width)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Of one image: (S, 5 + C) of a detector, (C,) of a classifier."""
        return (self.codec.slots, self.codec.fields) if self.task == DETECTION else (len(self.classes),)

    def to_dict(self) -> dict[str, Any]:
        """As it stands in `model.json`."""
        low, high = (int(limit) if limit == int(limit) else limit for limit in self.value_range)
        detector = self.task == DETECTION
        of_detector = {"grids": [grid.to_dict() for grid in self.grids], "defaults": asdict(self.defaults)}
        return {
            "version": VERSION,
            **({} if detector else {"task": self.task}),
            "classes": list(self.classes),
            "input": {
                "name": self.input_name,
                "layout": self.layout,
                "type": self.value_type,
                "range": [low, high],
                "color": "rgb",
                "width": self.width,
                "height": self.height,
            },
            "letterbox": {"rule": LETTERBOX_RULE, "pad": [PAD] * 3},
            "output": {"name": self.output_name, "activated": self.activated},
            **(of_detector if detector else {}),
            "training": dict(self.training),
        }

    def to_json(self) -> str:
        """Return one line of pure ASCII: Java's reader of metadata corrupts what lies beyond the first 65,536 signs."""
        return json.dumps(self.to_dict(), ensure_ascii=True, separators=(",", ":"), allow_nan=False)

    @classmethod
    def from_json(cls, text: str, where: str = "model.json") -> "ModelSpec":
        """Return the inverse of `to_json`.

        Args:
            where: the text comes from, for the message.

        Raises:
            ModelError: not that JSON, another version, or values that no model has.
        """
        if len(text) > MAX_BYTES:
            raise ModelError(f"{where}: expected at most {MAX_BYTES} characters, found {len(text)}")
        check_text(text, where)
        try:
            values = value_of_json(text)
        except ValueError as error:
            raise ModelError(
                f"{where}: expected JSON, found something else ({str(error)[:120]}); export the model again"
            ) from None
        if isinstance(values, dict):
            check_keys(text, values, where)
        return cls.from_dict(values, where)

    @classmethod
    def from_dict(cls, values: Any, where: str = "model.json") -> "ModelSpec":
        """Return the inverse of `to_dict`.

        Raises:
            ModelError: as of `from_json`.
        """
        top = _Reader(values, where)
        version = top.take("version", int)
        if version != VERSION:
            raise ModelError(
                f"{where}: version: expected {VERSION}, found {_shown(version)}; use the release of yolo_proc that "
                "wrote it"
            )
        given, output, letterbox = (top.inside(name) for name in ("input", "output", "letterbox"))
        letterbox.one_of("rule", (LETTERBOX_RULE,))
        letterbox.one_of("pad", ([PAD] * 3,))
        given.one_of("color", ("rgb",))
        task = top.one_of("task", TASKS, DETECTION)
        classes = top.each("classes", str)
        cells = top.take("grids", list) if task == DETECTION else []
        grids = tuple(_grid_of(_Reader(one, f"{where}: grids[{n}]")) for n, one in enumerate(cells))
        try:
            return cls(
                classes=classes,
                width=given.side("width"),
                height=given.side("height"),
                grids=grids,
                task=task,
                input_name=given.take("name", str),
                layout=given.one_of("layout", ("nhwc", "nchw")),
                value_type=given.one_of("type", ("uint8", "float32")),
                value_range=_range_of(given),
                output_name=output.take("name", str),
                activated=output.take("activated", bool),
                defaults=_defaults_of(top.inside("defaults", {})),
                training=top.take("training", dict, {}),
            )
        except ConfigError as error:
            raise ModelError(f"{where}: {error}") from error
        except ModelError as error:
            raise error if str(error).startswith(where) else ModelError(f"{where}: {error}") from error


def description_note(file: Path, spec: ModelSpec, onnx: Path) -> str | None:
    """Return a line for the user on a `model.json` that is damaged, or that says something else than the model beside
    it.

    Args:
        spec: what `onnx` says of itself, which is what counts.
    """
    try:
        found = ModelSpec.from_json(read_bytes(file, MAX_BYTES, "a description").decode("utf-8", "replace"), str(file))
    except UnreadableFileError as error:
        return None if error.reason == "missing" else f"{error}; {onnx} is used as it says of itself"
    except ModelError as error:
        return f"{error}; {onnx} is used as it says of itself"
    own, other = spec.to_dict(), found.to_dict()
    differing = ", ".join(name for name in {**own, **other} if own.get(name) != other.get(name))
    if not differing:
        return None
    return (
        f"{file}: expected what {onnx} says of itself, found another {differing}; it is of another model, or was "
        f"edited; {onnx} is used as it says of itself"
    )


def _grid_of(values: "_Reader") -> Grid:
    anchors = []
    for number, pair in enumerate(values.take("anchors", list)):
        sides = _Reader({"anchor": pair}, f"{values.where}.anchors[{number}]").each("anchor", float)
        if len(sides) != 2 or not all(0 < side <= MAX_SIDE for side in sides):
            raise ModelError(
                f"{values.where}.anchors[{number}]: expected [width, height] in pixels, found {_shown(pair)}"
            )
        anchors.append((sides[0], sides[1]))
    return Grid(values.side("stride"), values.side("columns"), values.side("rows"), tuple(anchors))


def _range_of(values: "_Reader") -> tuple[float, float]:
    limits = values.each("range", float)
    if len(limits) != 2 or limits[0] >= limits[1]:
        raise ModelError(f"{values.where}.range: expected two numbers, the lower first, found {_shown(list(limits))}")
    if values.take("type", str) == "uint8" and limits != (0, 255):
        raise ModelError(f"{values.where}.range: expected [0, 255] for uint8, found {_shown(list(limits))}")
    return limits[0], limits[1]


def _defaults_of(values: "_Reader") -> DecodeConfig:
    usual = DecodeConfig()
    return DecodeConfig(
        confidence=values.take("confidence", float, usual.confidence),
        max_iou=values.take("max_iou", float, usual.max_iou),
        nms=values.take("nms", str, usual.nms),
        max_candidates=values.within("max_candidates", MAX_COUNT, usual.max_candidates),
        max_detections=values.within("max_detections", MAX_COUNT, usual.max_detections),
    )


_ABSENT: Any = object()


class _Reader:
    """A JSON object whose values are asked for by name and kind."""

    def __init__(self, values: Any, where: str) -> None:
        self.where = where
        if not isinstance(values, dict):
            raise ModelError(f"{where}: expected an object in braces, found {_shown(values)}")
        self.values: dict[str, Any] = values

    def take(self, name: str, kind: type[T], usual: Any = _ABSENT) -> T:
        """Return the value, or `usual` where there is none."""
        value = self.values.get(name, usual)
        if value is _ABSENT:
            raise ModelError(f"{self.where}: expected a value {name!r}, found none; export the model again")
        return _checked(value, kind, f"{self.where}: {name}")

    def inside(self, name: str, usual: Any = _ABSENT) -> "_Reader":
        """Return an object inside."""
        return _Reader(self.take(name, dict, usual), f"{self.where}: {name}")

    def each(self, name: str, kind: type[T]) -> tuple[T, ...]:
        """Return the values of a list."""
        return tuple(
            _checked(value, kind, f"{self.where}: {name}[{number}]")
            for number, value in enumerate(self.take(name, list))
        )

    def within(self, name: str, high: int, usual: Any = _ABSENT) -> int:
        """Return a whole number from 1 on."""
        value = self.take(name, int, usual)
        if not 0 < value <= high:
            raise ModelError(f"{self.where}: {name}: expected a number from 1 to {high}, found {_shown(value)}")
        return value

    def side(self, name: str) -> int:
        """Return a length in pixels, or a number of cells."""
        return self.within(name, MAX_SIDE)

    def one_of(self, name: str, allowed: Sequence[Any], usual: Any = _ABSENT) -> Any:
        """Return a value of which only some are known, or `usual` where there is none."""
        value = self.take(name, type(allowed[0]), usual)
        if value not in allowed:
            known = " or ".join(repr(one) for one in allowed)
            raise ModelError(f"{self.where}: {name}: expected {known}, found {_shown(value)}")
        return value


_KINDS: Mapping[type, tuple[str, Callable[[Any], bool]]] = {
    str: ("text", lambda value: isinstance(value, str)),
    bool: ("true or false", lambda value: isinstance(value, bool)),
    int: ("a whole number", lambda value: isinstance(value, int) and not isinstance(value, bool)),
    float: (
        "a number",
        lambda value: isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < math.inf,
    ),
    list: ("a list", lambda value: isinstance(value, list)),
    dict: ("an object in braces", lambda value: isinstance(value, dict)),
}


def _checked(value: Any, kind: type[T], where: str) -> T:
    words, fits = _KINDS[kind]
    if not fits(value):
        raise ModelError(f"{where}: expected {words}, found {_shown(value)}")
    try:
        return cast(T, float(value)) if kind is float else cast(T, value)
    except OverflowError:
        raise ModelError(f"{where}: expected {words}, found {_shown(value)}") from None


def _check_name(name: str, where: str) -> None:
    """Refuse what would break a line in two, or give orders to a console: Java's reader refuses the same.

    These are the control characters, the line separators, what turns the direction of writing, and halves of pairs.
    """
    for sign in name:
        code = ord(sign)
        if code < 0x20 or 0x7F <= code < 0xA0 or 0x2028 <= code <= 0x202E or 0x2066 <= code <= 0x2069 or _is_half(code):
            raise ModelError(f"{where}: expected text that fits a line, found U+{code:04X} in {_shown(name)}")
    if not name:
        raise ModelError(f"{where}: expected a name, found an empty text")


def _is_half(code: int) -> bool:
    return 0xD800 <= code <= 0xDFFF  # a surrogate: no character


def value_of_json(text: str) -> Any:
    """Return the value of a JSON text, with the limits of Java's reader.

    Raises:
        ValueError: not JSON, a number beyond 64 bits, or more than `MAX_DEPTH` braces and brackets inside each other.
    """
    try:
        value = json.loads(text, parse_constant=_finite, parse_float=_finite, parse_int=_whole)
        deep = _depth(value) > MAX_DEPTH
    except RecursionError:
        deep = True
    if deep:
        raise ValueError(f"more than {MAX_DEPTH} braces and brackets inside each other: nested too deep")
    return value


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits[:40]} is no number of 64 bits")
    return number


def _whole(digits: str) -> int:
    _finite(digits)
    return int(digits)


def _depth(values: Any) -> int:
    """Return how many lists and objects lie inside each other at most, as far as it matters."""
    level, depth = [values], 0
    while depth <= MAX_DEPTH:
        outer = [one for one in level if isinstance(one, dict | list)]
        if not outer:
            break
        level = [inner for one in outer for inner in (one.values() if isinstance(one, dict) else one)]
        depth += 1
    return depth


def _shown(value: Any, longest: int = 80) -> str:
    try:
        text = json.dumps(value, ensure_ascii=True)
    except ValueError:  # more digits than Python writes
        return "a number of thousands of digits"
    return text if len(text) <= longest else text[:longest] + "..."
