"""How good a detector is, on scenes it has never seen.

Judged is what an application gets: boxes after NMS in the picture's own pixels, compared with the scene's objects
before any encoding. Objects below a label limit and ignore regions are ignored as COCO ignores `iscrowd`.

- mAP50 and mAP50-95: COCO's, from all detections of a confidence of 0.001 or more, at most 300 a picture.
- Precision and recall: at one confidence (0.65) and IoU 0.5, see `matching.py`.
- Expected calibration error (Guo et al., "On calibration of modern neural networks", 2017): the detections with
  a confidence of 0.05 or more stand in 15 bins of equal width over 0 to 1; the mean, weighted by their number, of
  |share that is right - mean confidence|. Below 0.05 lie so many boxes nobody would take, nearly all as wrong as they
  say, that with them the figure would always be small.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from yolo_proc.batch import Batch
from yolo_proc.boxes import FloatArray
from yolo_proc.config.options import nearest
from yolo_proc.config.schema import LabelConfig
from yolo_proc.data.stream import Stream, batches
from yolo_proc.detection.codec import DecodeConfig, Detections
from yolo_proc.detection.matching import IGNORED, RIGHT, Truth, ignored_by_reason, match, truths_of
from yolo_proc.errors import DataError
from yolo_proc.evaluation.cocomap import average_precisions
from yolo_proc.evaluation.predict import detect_pictures
from yolo_proc.imaging.letterbox import Letterbox
from yolo_proc.models.network import Yolo

FLOOR = 0.001  # least confidence that counts for mAP
CALIBRATION_FLOOR = 0.05
CALIBRATION_BINS = 15


@dataclass(frozen=True)
class Figures:
    """Of one class, or of all. A figure that has nothing to speak of is NaN.

    Attributes:
        ap50, ap50_95: average precision; for all classes their mean over those with objects.
        precision, recall: at the evaluation's confidence and IoU 0.5.
        objects: labelled ones.
        detections: with at least the evaluation's confidence, ignored ones left out.
    """

    name: str
    ap50: float
    ap50_95: float
    precision: float
    recall: float
    objects: int
    detections: int


@dataclass(frozen=True)
class CalibrationBin:
    """Detections whose confidence lies in [low, high): how many, their mean confidence, the share that is right."""

    low: float
    high: float
    detections: int
    confidence: float
    right: float


@dataclass(frozen=True)
class Evaluation:
    """The result of `evaluate`.

    Attributes:
        images: how many pictures were judged.
        confidence: at which precision and recall are given.
        overall: all classes together.
        classes: each class.
        calibration_error: expected calibration error of the confidences.
        calibration: its bins that are not empty.
        ignored: objects that are no label, by the limit that they are below.
        cut: pictures of which detections were left out, because there were more than `DecodeConfig` allows.
    """

    images: int
    confidence: float
    overall: Figures
    classes: tuple[Figures, ...]
    calibration_error: float
    calibration: tuple[CalibrationBin, ...]
    ignored: Mapping[str, int]
    cut: int = 0

    @property
    def map50(self) -> float:
        """Mean average precision at IoU 0.5."""
        return self.overall.ap50

    @property
    def map50_95(self) -> float:
        """Mean average precision over IoU 0.5 to 0.95."""
        return self.overall.ap50_95

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; null for a figure that has nothing to speak of."""
        overall = {key: value for key, value in asdict(self.overall).items() if key not in ("name", "ap50", "ap50_95")}
        values = {
            "images": self.images,
            "map50": self.map50,
            "map50_95": self.map50_95,
            "confidence": self.confidence,
            **overall,
            "calibration_error": self.calibration_error,
            "ignored": dict(self.ignored),
            "cut": self.cut,
            "classes": [asdict(figures) for figures in self.classes],
            "calibration": [asdict(one) for one in self.calibration],
        }
        plain: dict[str, Any] = without_nan(values)
        return plain

    def table(self) -> str:
        """Return the figures as text, a line a class."""
        rows = [*self.classes, self.overall] if len(self.classes) > 1 else [self.overall]
        width = max(5, *(len(row.name) for row in rows))
        lines = [f"{'class':{width}}  objects  mAP50  mAP50-95  precision  recall"]
        lines += [
            f"{row.name:{width}}  {row.objects:7d}  {_figure(row.ap50):>5}  {_figure(row.ap50_95):>8}  "
            f"{_figure(row.precision):>9}  {_figure(row.recall):>6}"
            for row in rows
        ]
        reasons = ", ".join(f"{count} below {limit}" for limit, count in self.ignored.items() if count)
        judged = sum(one.detections for one in self.calibration)
        lines += [
            f"{self.images} images; ignored objects: {reasons or 'none'}; precision and recall at confidence "
            f"{self.confidence:g}",
            f"expected calibration error {_figure(self.calibration_error)} ({judged} detections of confidence >= "
            f"{CALIBRATION_FLOOR:g})",
        ]
        if self.cut:
            lines.append(
                f"images with more detections than are judged: {self.cut:,}; the least confident of them are left out"
            )
        return "\n".join(lines)


def _figure(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


def without_nan(value: Any) -> Any:
    """Return plain values with None in place of NaN."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def evaluate(
    models: Mapping[str, Yolo],
    stream: Stream,
    count: int,
    limits: LabelConfig,
    *,
    classes: Sequence[str] | None = None,
    batch_size: int = 32,
    workers: int = 0,
    device: torch.device | str = "cpu",
    decoding: DecodeConfig | None = None,
    on_images: Callable[[int], None] = lambda _: None,
) -> dict[str, Evaluation]:
    """Judge one or several models, such as raw and averaged weights, on the first `count` scenes of a stream.

    A scene of another size than the network's (`Stream(picture_size=...)`) goes through the letterbox, and its boxes
    are compared in its own pixels.

    Args:
        models: by name; in evaluation mode, of one network size.
        limits: what is a label; `min_box_px` is in network pixels, whatever the size of the scenes.
        classes: names of the models' classes, where the stream is not of their own generator: its classes are matched
            by name, and objects of others are left out. None: the stream's.
        batch_size: scenes drawn, and pictures given to the network, at once.
        workers: processes that draw.
        decoding: its `confidence` is where precision and recall are given; the rest decides NMS.
        on_images: called with the number of pictures done.

    Returns:
        An `Evaluation` for each model.
    """
    assert count >= 0, count
    decoding = decoding or DecodeConfig()
    floor = replace(decoding, confidence=min(FLOOR, decoding.confidence))
    names = tuple(stream.classes if classes is None else classes)
    own = np.arange(len(names)) if classes is None else matched_classes(names, stream.classes, stream.spec)
    truths: list[Truth] = []
    found: dict[str, list[Detections]] = {name: [] for name in models}
    for batch in _first(stream, count, batch_size, workers):
        shrink = 1.0
        for name, model in models.items():
            found[name] += detect_pictures(model, batch.images, floor, device)[: count - len(truths)]
            height, width = batch.images.shape[1:3]
            shrink = Letterbox.of(width, height, *model.task.codec.frame).r
        truths += [one.of_classes(own) for one in truths_of(batch, limits, shrink)[: count - len(truths)]]
        on_images(len(truths))
    return {name: judge(truths, one, names, decoding) for name, one in found.items()}


def matched_classes(own: Sequence[str], theirs: Sequence[str], source: str) -> NDArray[np.int64]:
    """Return for each class of a source its index among a model's own classes, -1 where the model has none such.

    Raises:
        DataError: no class has the same name.
    """
    found = np.array([own.index(name) if name in own else -1 for name in theirs], dtype=np.int64)
    if (found < 0).all():
        hint = nearest(theirs[0], list(own)) if len(theirs) else ""
        raise DataError(
            f"{source}: expected a class of the model ({', '.join(own)}), found {', '.join(theirs) or 'none'}{hint}; "
            "classes are matched by name"
        )
    return found


def _first(stream: Stream, count: int, batch_size: int, workers: int) -> Iterator[Batch]:
    """Yield batches that hold the first `count` scenes; the last may hold more."""
    size = max(1, min(batch_size, count))
    yield from batches(stream, 0, size, count=-(-count // size), workers=workers)


def judge(
    truths: Sequence[Truth], found: Sequence[Detections], classes: Sequence[str], decoding: DecodeConfig
) -> Evaluation:
    """Return the evaluation of the detections of some pictures, those of `FLOOR` confidence or more, the surest
    first.
    """
    precisions = average_precisions(truths, found, len(classes), decoding.max_detections)
    outcome = _joined((match(one, truth) for one, truth in zip(found, truths, strict=True)), np.int64)
    confidence = _joined((one.confidence for one in found), np.float64)
    class_ids = _joined((one.class_ids for one in found), np.int64)
    object_ids = _joined((truth.class_ids[truth.labelled] for truth in truths), np.int64)

    counts = (outcome != IGNORED) & (confidence >= decoding.confidence)
    right = outcome == RIGHT

    def figures(name: str, ap: tuple[float, float], mine: NDArray[np.bool_], objects: int) -> Figures:
        hits, total = int((mine & right).sum()), int(mine.sum())
        return Figures(name, *ap, _share(hits, total), _share(hits, objects), objects, total)

    means = [_mean(precisions.ap50), _mean(precisions.ap50_95)]
    error, bins = expected_calibration_error(confidence[outcome != IGNORED], right[outcome != IGNORED])
    return Evaluation(
        images=len(truths),
        confidence=decoding.confidence,
        overall=figures("all", (means[0], means[1]), counts, len(object_ids)),
        classes=tuple(
            figures(
                name,
                (float(precisions.ap50[number]), float(precisions.ap50_95[number])),
                counts & (class_ids == number),
                int((object_ids == number).sum()),
            )
            for number, name in enumerate(classes)
        ),
        calibration_error=error,
        calibration=bins,
        ignored=ignored_by_reason(truths),
        cut=sum(one.cut or one.uncompared > 0 for one in found),
    )


def _joined(parts: Iterable[NDArray[Any]], kind: type) -> NDArray[Any]:
    return np.concatenate([np.zeros(0, dtype=kind), *parts])


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


def _mean(values: FloatArray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else math.nan


def expected_calibration_error(
    confidence: FloatArray, right: NDArray[np.bool_]
) -> tuple[float, tuple[CalibrationBin, ...]]:
    """Return the error and the bins that are not empty, of the detections with `CALIBRATION_FLOOR` confidence or more.

    Args:
        confidence: (N,) 0 to 1.
        right: (N,) whether each matches an object.
    """
    enough = confidence >= CALIBRATION_FLOOR
    confidence, right = confidence[enough], right[enough]
    place = np.minimum((confidence * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
    bins = []
    for number in np.unique(place).tolist():
        mine = place == number
        bins.append(
            CalibrationBin(
                low=number / CALIBRATION_BINS,
                high=(number + 1) / CALIBRATION_BINS,
                detections=int(mine.sum()),
                confidence=float(confidence[mine].mean()),
                right=float(right[mine].mean()),
            )
        )
    if not bins:
        return math.nan, ()
    return sum(one.detections * abs(one.right - one.confidence) for one in bins) / len(confidence), tuple(bins)
