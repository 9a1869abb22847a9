"""The stages between a picture file and boxes on it, or its class, each alone: what the golden vectors hold.

    N pictures of H x W, S slots, C classes, K rows of 5 + C values, n boxes

docs/java.md lists the inputs and outputs of every stage.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo_proc.batch import Batch
from yolo_proc.classification.results import Classification
from yolo_proc.config.schema import LabelConfig
from yolo_proc.detection.codec import DecodeConfig, Detections, Grid, LabelCodec, activate, deactivate
from yolo_proc.errors import DataError, YoloProcError
from yolo_proc.export.spec import DETECTION
from yolo_proc.imaging.letterbox import Letterbox
from yolo_proc.imaging.pictures import read_picture

DEFAULT_TOLERANCES = {"logits": 1e-3, "activations": 1e-6, "boxes": 1e-3}

Run = Callable[[NDArray[np.uint8]], NDArray[np.float32]]  # (N, H, W, 3) letterboxed -> the network's outputs
Values = Mapping[str, Any]  # arrays, numbers and words by key


@dataclass(frozen=True, eq=False)
class Case:
    """Inputs of one stage, with the outputs that belong to them."""

    name: str
    stage: str
    inputs: Values
    outputs: Values
    comment: str = ""


@dataclass(frozen=True, eq=False)
class Vectors:
    """A set of cases, read and verified.

    Attributes:
        model: what model.json says.
        onnx: the model's file.
        tolerances: of "logits" and "activations" (relative above 1), and of "boxes" (pixels).
    """

    model: Mapping[str, Any]
    onnx: Path
    cases: tuple[Case, ...]
    tolerances: Mapping[str, float] = field(default_factory=lambda: dict(DEFAULT_TOLERANCES))


@dataclass(frozen=True, eq=False)
class Stages:
    """Every stage by its name, from inputs to outputs, as this package does it.

    Args:
        codec: of a detector; None: of a classifier.
        frame: (width, height) of the network's pictures.
        activated: the network gives predictions, not logits.
        run: the network; needed by the stage "model" alone.
    """

    codec: LabelCodec | None
    frame: tuple[int, int]
    activated: bool = False
    run: Run | None = None

    @classmethod
    def of_model(cls, model: Mapping[str, Any], run: Run | None = None) -> "Stages":
        """Return the stages of a model, from what its model.json says."""
        frame = (int(model["input"]["width"]), int(model["input"]["height"]))
        codec = None
        if model.get("task", DETECTION) == DETECTION:
            codec = LabelCodec(tuple(Grid.from_dict(grid) for grid in model["grids"]), len(model["classes"]))
        return cls(codec, frame, bool(model["output"]["activated"]), run)

    @property
    def outputs_key(self) -> str:
        """Name of the network's outputs."""
        return "predictions" if self.activated else "logits"

    def perform(self, stage: str, given: Values) -> dict[str, Any]:
        """Return the outputs of a stage.

        Raises:
            DataError: no such stage.
        """
        stages: dict[str, Callable[[Values], dict[str, Any]]] = {
            "picture": self._picture,
            "letterbox": self._letterbox,
            "model": self._model,
            "classify": self._classify,
            "activate": lambda given: {"predictions": activate(given["logits"])},
            "decode": self._decode,
            "nms": self._nms,
            "picture_boxes": self._picture_boxes,
            "deactivate": lambda given: {"logits": deactivate(given["predictions"])},
            "assign": self._assign,
        }
        if stage not in stages:
            raise DataError(f"golden vectors: expected a stage of {', '.join(stages)}, found {stage!r}")
        return stages[stage](given)

    def _picture(self, given: Values) -> dict[str, Any]:
        return {"rgb": read_picture(given["bytes"].tobytes())}

    def _letterbox(self, given: Values) -> dict[str, Any]:
        rgb = given["rgb"]
        box = Letterbox.of(rgb.shape[1], rgb.shape[0], given["width"], given["height"])
        return {"letterboxed": box.apply(rgb), "left": box.left, "top": box.top, "nw": box.nw, "nh": box.nh}

    def _model(self, given: Values) -> dict[str, Any]:
        assert self.run is not None, "the stage `model` needs a network"
        return {self.outputs_key: self.run(given["images"])}

    def _classify(self, given: Values) -> dict[str, Any]:
        outputs, activated = _outputs_of(given)
        found = Classification.of(outputs, activated=activated)
        return {"class_ids": found.class_ids, "confidences": found.confidence}

    @property
    def detector(self) -> LabelCodec:
        """The codec of a detector.

        Raises:
            DataError: the model is a classifier, and the case a detector's.
        """
        if self.codec is None:
            raise DataError("golden vectors: expected a case for a classifier, found one of a detector's stages")
        return self.codec

    def _decode(self, given: Values) -> dict[str, Any]:
        outputs, activated = _outputs_of(given)
        config = DecodeConfig(confidence=given["confidence"], max_candidates=given["max_candidates"])
        return _found(self.detector.candidates(outputs, config, activated=activated))

    def _nms(self, given: Values) -> dict[str, Any]:
        outputs, activated = _outputs_of(given)
        keys = ("confidence", "max_iou", "nms", "max_candidates", "max_detections")
        config = DecodeConfig(**{key: given[key] for key in keys})
        return _found(self.detector.decode(outputs[None], config, activated=activated)[0])

    def _picture_boxes(self, given: Values) -> dict[str, Any]:
        sizes = (given[key] for key in ("picture_width", "picture_height", "width", "height"))
        return {"boxes": Letterbox.of(*sizes).boxes_to_picture(given["boxes"])}

    def _assign(self, given: Values) -> dict[str, Any]:
        width, height = self.detector.frame
        images: Any = np.zeros((1, height, width, 3), dtype=np.uint8)
        batch = Batch(
            images=images,
            box_xyxy=given["boxes"],
            class_ids=given["class_ids"].astype(np.int64),
            image_ids=np.zeros(len(given["boxes"]), dtype=np.int64),
            confidence=given["confidences"],
            visible=given["visible"],
            in_frame=given["in_frame"],
            ignore_xyxy=given["ignore"],
            ignore_image_ids=np.zeros(len(given["ignore"]), dtype=np.int64),
            indices=np.zeros(1, dtype=np.int64),
        )
        limits = LabelConfig(given["min_visible"], given["min_in_frame"], given["min_box_px"])
        targets = self.detector.assign(batch, limits)
        return {"targets": self.detector.dense(targets)[0], "dropped": targets.dropped}


def _outputs_of(given: Values) -> tuple[NDArray[Any], bool]:
    """Return a picture's outputs, (S, 5 + C) or (C,), and whether they are predictions."""
    activated = "predictions" in given
    return given["predictions" if activated else "logits"], activated


def _found(found: Detections) -> dict[str, Any]:
    return {
        "slots": found.slots,
        "boxes": found.box_xyxy,
        "confidences": found.confidence,
        "class_ids": found.class_ids,
    }


def replay(vectors: Vectors, run: Run | None = None) -> list[str]:
    """Return every case through this package: one line for each difference, none where all is well.

    Args:
        run: the network; without it the cases of the stage "model" are left out.
    """
    stages = Stages.of_model(vectors.model, run)
    lines = []
    for case in vectors.cases:
        if case.stage == "model" and run is None:
            continue
        try:
            found = stages.perform(case.stage, case.inputs)
        except YoloProcError as error:
            lines.append(f"{case.name}: {error}")
            continue
        if sorted(found) != sorted(case.outputs):
            lines.append(f"{case.name}: expected outputs {sorted(case.outputs)}, found {sorted(found)}")
        for key in sorted(set(found) & set(case.outputs)):
            told = difference(case.outputs[key], found[key], key, case.stage, vectors.tolerances)
            lines += [f"{case.name}: {key}: {told}"] if told else []
    return lines


def difference(expected: Any, found: Any, key: str, stage: str, tolerances: Mapping[str, float]) -> str:
    """Return what is wrong with an output, in words; nothing where it is as expected."""
    if not isinstance(expected, np.ndarray):
        return "" if expected == found else f"expected {expected}, found {found}"
    found = np.asarray(found)
    if found.shape != expected.shape:
        return f"expected shape {expected.shape}, found {found.shape}"
    if expected.dtype.kind != "f":
        wrong = np.argwhere(expected != found)
        limit = 0.0
    else:
        kind = "boxes" if key == "boxes" else "logits" if stage == "model" else "activations"
        limit = tolerances[kind]
        scale = 1.0 if kind == "boxes" else np.maximum(1.0, np.abs(expected.astype(np.float64)))
        apart = np.abs(expected.astype(np.float64) - found.astype(np.float64))
        wrong = np.argwhere(~(apart <= limit * scale))  # so that NaN is wrong
    if not len(wrong):
        return ""
    first = tuple(int(index) for index in wrong[0])
    return (
        f"expected {expected[first]} at {list(first)}, found {found[first]} "
        f"({len(wrong)} of {expected.size} values are wrong, tolerance {limit:g})"
    )
