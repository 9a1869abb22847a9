"""An exported model on ONNX Runtime: pictures in, detections or classes out. Needs no torch.

detector = OnnxDetector.load("export/letters/model.onnx")
found = detector.detect(rgb)
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as runtime_state

from yolo_proc.classification.results import Classification
from yolo_proc.detection.nms import DecodeConfig, Detections
from yolo_proc.errors import ConfigError, DataError
from yolo_proc.export.digest import CHANGED, check_content, is_sealed
from yolo_proc.export.onnx_file import EXPORTED, MAX_MODEL, read_metadata
from yolo_proc.export.spec import CLASSIFICATION, DETECTION, ModelError, ModelSpec
from yolo_proc.imaging.letterbox import Letterbox
from yolo_proc.system.files import UnreadableFileError, read_bytes, read_start

# The runtime's errors have no base of their own.
RUNTIME_ERRORS: tuple[type[Exception], ...] = tuple(
    kind
    for kind in vars(runtime_state).values()
    if isinstance(kind, type) and issubclass(kind, Exception) and kind.__module__ == runtime_state.__name__
)
# Of a model; ValueError: the message itself is no UTF-8.
_REFUSALS: tuple[type[Exception], ...] = (*RUNTIME_ERRORS, ValueError)
_QUIET = 4  # only what is fatal; the runtime's warnings are not for our users
_TYPES = {"uint8": "tensor(uint8)", "float32": "tensor(float)"}
_A_MODEL = "a model, such as model.onnx"


@dataclass(frozen=True)
class Settings:
    """How the runtime works.

    Attributes:
        threads: of one run; 0: one a processor.
        providers: what it computes on, first choice first, such as "CUDAExecutionProvider".
    """

    threads: int = 0
    providers: tuple[str, ...] = ("CPUExecutionProvider",)


class OnnxModel:
    """An exported network on ONNX Runtime; a subclass knows what its outputs mean.

    Attributes:
        task: of the models that it reads.
        spec: what the model says of itself.
        classes: names by class index.
    """

    task: ClassVar[str]
    takes_any_size: ClassVar[str]  # its method that does, for messages

    def __init__(self, content: bytes, where: str = "model.onnx", settings: Settings | None = None) -> None:
        """Open a model's bytes; see `load`.

        Args:
            where: they come from, for messages.
        """
        self.where = where
        settings = settings or Settings()
        self.spec = read_spec(content, where)
        if self.spec.task != self.task:
            reader = READERS[self.spec.task].__name__
            raise ModelError(
                f"{where}: expected a model of the task {self.task}, found one of {self.spec.task}; {reader} reads it"
            )
        self.session = _session(content, where, settings)
        self.classes = self.spec.classes
        _check_graph(self.session, self.spec, where)

    @classmethod
    def load(cls, source: str | Path | bytes, *, settings: Settings | None = None) -> Self:
        """Return the model in `model.onnx`, given as a path or as the file's bytes.

        Raises:
            ModelError: no such file, not an ONNX file, a damaged one, not a model that `export` wrote, or one of
                another task.
        """
        content, where = _content_of(source)
        return cls(content, where, settings)

    @property
    def picture_size(self) -> tuple[int, int]:
        """Width and height of the network's pictures; any other size is fitted into it."""
        return self.spec.width, self.spec.height

    def fitted(self, rgb: NDArray[np.uint8]) -> tuple[Letterbox, NDArray[np.uint8]]:
        """Return a picture's letterbox, and the picture in it.

        Args:
            rgb: uint8 (H, W, 3), red first, of any size.

        Raises:
            DataError: a picture of another shape or type.
        """
        picture = np.asarray(rgb)
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or 0 in picture.shape:
            raise DataError(
                f"{self.takes_any_size}: expected a uint8 RGB picture (H, W, 3), found {picture.dtype} {picture.shape}"
            )
        box = Letterbox.of(picture.shape[1], picture.shape[0], *self.picture_size)
        return box, box.apply(np.ascontiguousarray(picture))

    def run(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the network's outputs float32 (B, ...), raw logits or predictions; none for no pictures.

        Args:
            pictures: uint8 RGB (B, H, W, 3) of the network's size.

        Raises:
            DataError: pictures of another size, shape or type.
        """
        images = np.asarray(pictures)
        width, height = self.picture_size
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != (height, width, 3):
            raise DataError(
                f"expected uint8 RGB pictures (B, {height}, {width}, 3), found {images.dtype} {images.shape}; "
                f"`{self.takes_any_size}` takes a picture of any size"
            )
        if not len(images):
            return np.zeros((0, *self.spec.output_shape), dtype=np.float32)
        try:
            outputs = self.session.run([self.spec.output_name], {self.spec.input_name: as_input(images, self.spec)})[0]
        except RUNTIME_ERRORS as error:
            raise ModelError(f"{self.where}: the network cannot be run: {_one_line(error)}") from error
        found: NDArray[np.float32] = np.asarray(outputs, dtype=np.float32)
        if found.shape != (len(images), *self.spec.output_shape):
            expected = (len(images), *self.spec.output_shape)
            raise ModelError(f"{self.where}: expected outputs of the shape {expected}, found {found.shape}; {EXPORTED}")
        return found


class OnnxDetector(OnnxModel):
    """An exported detector with everything between a picture and boxes on it."""

    task = DETECTION
    takes_any_size = "detect"

    def decoding(
        self,
        confidence: float | None = None,
        max_iou: float | None = None,
        *,
        nms: Literal["class", "agnostic"] | None = None,
        max_candidates: int | None = None,
        max_detections: int | None = None,
    ) -> DecodeConfig:
        """Return the model's own defaults, but for what is given.

        Raises:
            ConfigError: a value out of range.
        """
        given = {
            "confidence": confidence,
            "max_iou": max_iou,
            "nms": nms,
            "max_candidates": max_candidates,
            "max_detections": max_detections,
        }
        changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        return replace(self.spec.defaults, **changes)

    def detect(
        self,
        rgb: NDArray[np.uint8],
        confidence: float | None = None,
        max_iou: float | None = None,
        *,
        nms: Literal["class", "agnostic"] | None = None,
        max_candidates: int | None = None,
        max_detections: int | None = None,
    ) -> Detections:
        """Return what is found in one picture of any size; boxes in that picture's own pixels, clipped to it.

        Args:
            rgb: uint8 (H, W, 3), red first.
            confidence: least probability of a box; None: what the model's file says, as of the other arguments.
            max_iou: of two boxes (of one class, or of any for "agnostic") that overlap so much the more
                confident one stays.

        Raises:
            DataError: a picture of another shape or type; NaN from the network.
            ConfigError: an argument out of range.
        """
        decoding = self.decoding(
            confidence, max_iou, nms=nms, max_candidates=max_candidates, max_detections=max_detections
        )
        box, fitted = self.fitted(rgb)
        found = self.detect_batch(fitted[None], decoding)[0]
        return replace(found, box_xyxy=box.boxes_to_picture(found.box_xyxy))

    def detect_batch(self, pictures: NDArray[np.uint8], decoding: DecodeConfig | None = None) -> list[Detections]:
        """Return what is found in each of some pictures of the network's own size, in network pixels.

        Args:
            pictures: uint8 RGB (B, H, W, 3).

        Raises:
            DataError: pictures of another size, shape or type; NaN from the network.
        """
        outputs = self.run(pictures)
        try:
            return self.spec.codec.decode(outputs, decoding or self.spec.defaults, activated=self.spec.activated)
        except DataError as error:
            raise DataError(f"{self.where}: {error}") from error


class OnnxClassifier(OnnxModel):
    """An exported classifier with everything between a picture and its class."""

    task = CLASSIFICATION
    takes_any_size = "classify"

    def classify(self, rgb: NDArray[np.uint8]) -> Classification:
        """Return the classes of one picture of any size, the most likely first.

        Args:
            rgb: uint8 (H, W, 3), red first.

        Raises:
            DataError: a picture of another shape or type; NaN from the network.
        """
        return self.classify_batch(self.fitted(rgb)[1][None])[0]

    def classify_batch(self, pictures: NDArray[np.uint8]) -> list[Classification]:
        """Return the classes of each of some pictures of the network's own size.

        Args:
            pictures: uint8 RGB (B, H, W, 3).

        Raises:
            DataError: pictures of another size, shape or type; NaN from the network.
        """
        try:
            return [Classification.of(values, activated=self.spec.activated) for values in self.run(pictures)]
        except DataError as error:
            raise DataError(f"{self.where}: {error}") from error


READERS: Mapping[str, type[OnnxModel]] = {one.task: one for one in (OnnxDetector, OnnxClassifier)}


def load_model(source: str | Path | bytes, *, settings: Settings | None = None) -> OnnxModel:
    """Return the detector or the classifier in `model.onnx`; see `OnnxModel.load`."""
    content, where = _content_of(source)
    return READERS[read_spec(content, where).task](content, where, settings)


def _content_of(source: str | Path | bytes) -> tuple[bytes, str]:
    """Return a model's bytes, and where they come from."""
    if isinstance(source, bytes):
        return source, "(bytes)"
    try:
        content = read_start(source, 16, _A_MODEL)
        if content[:1] != b"\0":  # nothing in an ONNX file begins so: a sparse file need not be read
            content = read_bytes(source, MAX_MODEL, _A_MODEL)
    except UnreadableFileError as error:
        raise ModelError(str(error)) from error
    return content, str(source)


def as_input(images: NDArray[np.uint8], spec: ModelSpec) -> NDArray[Any]:
    """Return uint8 RGB (B, H, W, 3) as the graph takes it: its layout, type and range."""
    values: NDArray[Any] = images if spec.layout == "nhwc" else images.transpose(0, 3, 1, 2)
    if spec.value_type == "float32":
        low, high = spec.value_range
        values = values.astype(np.float32)
        if (low, high) != (0, 255):
            values = values * np.float32((high - low) / 255) + np.float32(low)
    return np.ascontiguousarray(values)


def read_spec(content: bytes, where: str) -> ModelSpec:
    """Return what a model's bytes say of themselves, after their digest: of a damaged file the runtime sees nothing.

    Raises:
        ModelError: no ONNX file, a damaged one, or not one that `export` wrote.
    """
    has_digest = check_content(content, where)
    text = read_metadata(content, where)
    spec = ModelSpec.from_json(text, f"{where}: metadata")
    if is_sealed(text) and not has_digest:
        raise ModelError(f"{where}: expected the file's sha256 at its end, as its metadata says, found none: {CHANGED}")
    return spec


def _session(content: bytes, where: str, settings: Settings) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _QUIET
    options.intra_op_num_threads = settings.threads
    missing = [name for name in settings.providers if name not in onnxruntime.get_available_providers()]
    if missing:
        here = ", ".join(onnxruntime.get_available_providers())
        raise ConfigError(f"provider {missing[0]}: this ONNX Runtime does not have it, it has {here}")
    try:
        # Where there is nothing to fall back to, the runtime's own second try only prints.
        fallback = int(len(settings.providers) > 1)
        return onnxruntime.InferenceSession(
            content, options, providers=list(settings.providers), enable_fallback=fallback
        )
    except _REFUSALS as error:
        raise ModelError(
            f"{where}: expected an ONNX file that is whole, found what ONNX Runtime refuses ({_one_line(error)}); "
            f"{EXPORTED}"
        ) from error


def _check_graph(session: onnxruntime.InferenceSession, spec: ModelSpec, where: str) -> None:
    """Compare the graph's input and output with what the metadata says of them.

    Raises:
        ModelError: they differ.
    """
    try:
        inputs = {one.name: one for one in session.get_inputs()}
        outputs = {one.name: one for one in session.get_outputs()}
    except UnicodeDecodeError:
        raise ModelError(f"{where}: expected names in UTF-8, found something else; {EXPORTED}") from None
    expected = {
        ("input", spec.input_name): (inputs, _TYPES[spec.value_type], spec.input_shape),
        ("output", spec.output_name): (outputs, "tensor(float)", spec.output_shape),
    }
    for (kind, name), (there, value_type, shape) in expected.items():
        if name not in there or (kind == "input" and len(there) != 1):
            raise ModelError(f"{where}: expected an {kind} {name}, found {', '.join(there) or 'none'}; {EXPORTED}")
        found = there[name]
        fits = len(found.shape) == 1 + len(shape) and all(
            one == other for one, other in zip(found.shape[1:], shape, strict=True) if isinstance(one, int)
        )
        if found.type != value_type or not fits:
            words = " x ".join(str(side) for side in ("N", *shape))
            raise ModelError(
                f"{where}: {kind} {name}: expected {value_type} {words}, as its metadata says, found {found.type} "
                f"{' x '.join(str(side) for side in found.shape)}; export the model again"
            )


def _one_line(error: Exception, longest: int = 200) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= longest else text[:longest] + "..."
