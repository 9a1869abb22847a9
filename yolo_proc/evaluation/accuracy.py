"""How good a classifier is, on scenes it has never seen.

- Top-1 and top-k accuracy: the share of images whose class is the first, or among the first k.
- Precision and recall of a class: of the images that are predicted to be of it, and of those that are.
- Margin: the logit of the true class less the largest other one; an image is right where it is above 0. Its quantiles
  say how far from the cut-off the images are: a loss may fall for long while all of them are below it.
- Expected calibration error: as for detections, of the confidence of the first class.

    N images, C classes
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from yolo_proc.boxes import FloatArray
from yolo_proc.classification.labels import IGNORED, image_classes
from yolo_proc.classification.results import softmax
from yolo_proc.classification.task import ClassificationTask
from yolo_proc.config.schema import LabelConfig
from yolo_proc.data.stream import Stream, batches
from yolo_proc.evaluation.classifier import logits_of
from yolo_proc.evaluation.evaluate import expected_calibration_error, matched_classes, without_nan
from yolo_proc.models.network import Network

TOP = 5
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class ClassAccuracy:
    """Of one class. A share of nothing is NaN.

    Attributes:
        images: that are of the class; called: that are predicted to be.
    """

    name: str
    precision: float
    recall: float
    images: int
    called: int


@dataclass(frozen=True)
class Accuracy:
    """The result of `evaluate_classifier`.

    Attributes:
        images: that were judged; ignored: others, by reason.
        top1, top_k: shares of the images whose class is the first, or among the first k; k is 5, or one less than the
            classes where there are fewer.
        loss: mean cross-entropy.
        calibration_error: expected calibration error of the first class's confidence.
        margins: {quantile: margin}.
        confusion: (C, C) images: row the true class, column the predicted class.
    """

    images: int
    top1: float
    top_k: float
    k: int
    loss: float
    calibration_error: float
    margins: Mapping[str, float]
    classes: tuple[ClassAccuracy, ...]
    confusion: tuple[tuple[int, ...], ...]
    ignored: Mapping[str, int]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; null for a figure that has nothing to speak of."""
        plain: dict[str, Any] = without_nan(asdict(self))
        return {**plain, "confusion": [list(row) for row in self.confusion]}

    def table(self) -> str:
        """Return the figures as text: a line a class, then the confusion of up to twenty classes."""
        width = max(5, *(len(one.name) for one in self.classes))
        lines = [f"{'class':{width}}  images  precision  recall"]
        lines += [
            f"{one.name:{width}}  {one.images:6d}  {_figure(one.precision):>9}  {_figure(one.recall):>6}"
            for one in self.classes
        ]
        top_k = f", top-{self.k} {_figure(self.top_k)}" if self.k > 1 else ""
        reasons = ", ".join(f"{count} {reason}" for reason, count in self.ignored.items() if count)
        lines += [
            f"{self.images} images; not judged: {reasons or 'none'}",
            f"top-1 accuracy {_figure(self.top1)}{top_k}, cross-entropy {_figure(self.loss)}",
            f"expected calibration error {_figure(self.calibration_error)}",
            "margin (logit of the true class less the largest other; right above 0), by quantile: "
            + ", ".join(f"{quantile} {value:.2f}" for quantile, value in self.margins.items()),
        ]
        return "\n".join([*lines, *self._confusion_lines()])

    def _confusion_lines(self) -> list[str]:
        if len(self.classes) > 20:
            return ["confusion: too many classes for a table; --json has it"]
        names = [one.name for one in self.classes]
        width = max(5, *(len(name) for name in names), *(len(f"{count}") for row in self.confusion for count in row))
        lines = ["confusion: a row for each true class, a column for each predicted class"]
        lines.append(" ".join([" " * width, *(f"{name:>{width}}" for name in names)]))
        lines += [
            " ".join([f"{name:{width}}", *(f"{count:{width}d}" for count in row)])
            for name, row in zip(names, self.confusion, strict=True)
        ]
        return lines


def _figure(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4f}"


def evaluate_classifier(
    models: Mapping[str, Network[ClassificationTask]],
    stream: Stream,
    count: int,
    limits: LabelConfig,
    *,
    classes: Sequence[str] | None = None,
    batch_size: int = 32,
    workers: int = 0,
    device: torch.device | str = "cpu",
    on_images: Callable[[int], None] = lambda _: None,
) -> dict[str, Accuracy]:
    """Judge one or several classifiers on the first `count` scenes of a stream.

    Args:
        models: by name; in evaluation mode.
        limits: what is a label, for scenes that are known by their only object.
        classes: names of the models' classes, where the stream is not of their own generator: its classes are matched
            by name, and images of others are left out. None: the stream's.
        on_images: called with the number of images done.

    Raises:
        LabelError: scenes without a class.
    """
    names = tuple(stream.classes if classes is None else classes)
    own = np.arange(len(names)) if classes is None else matched_classes(names, stream.classes, stream.spec)
    own = np.append(own, IGNORED)  # the last is what -1 takes
    truth: list[NDArray[np.int64]] = [np.zeros(0, dtype=np.int64)]
    logits: dict[str, list[NDArray[np.float32]]] = {name: [np.zeros((0, len(names)), np.float32)] for name in models}
    ignored: dict[str, int] = {}
    done = 0
    size = max(1, min(batch_size, count))
    for batch in batches(stream, 0, size, count=-(-count // size), workers=workers):
        kept = min(len(batch), count - done)
        found, dropped = image_classes(batch, limits, len(stream.classes))
        truth.append(own[found[:kept]])
        for reason, number in dropped.items():
            ignored[reason] = ignored.get(reason, 0) + number
        for name, model in models.items():
            logits[name].append(logits_of(model, list(batch.images.numpy()[:kept]), device))
        done += kept
        on_images(done)
    labels = np.concatenate(truth)
    return {name: judge(labels, np.concatenate(one), names, ignored) for name, one in logits.items()}


def judge(
    truth: NDArray[np.int64], logits: NDArray[np.float32], classes: Sequence[str], ignored: Mapping[str, int]
) -> Accuracy:
    """Return the figures of raw logits (N, C) for images of the classes `truth` (N,); -1 does not count."""
    known = truth != IGNORED
    labels, raw = truth[known], logits[known].astype(np.float64)
    count, number = len(labels), len(classes)
    order = np.argsort(-raw, axis=1, kind="stable")  # (N, C)
    said = order[:, 0]
    right = said == labels
    probabilities = softmax(raw) if count else np.zeros((0, number))
    confusion = np.zeros((number, number), dtype=np.int64)
    np.add.at(confusion, (labels, said), 1)
    hits = np.diag(confusion)
    k = min(TOP, number - 1)  # of all classes one is always the true one
    error, _ = expected_calibration_error(probabilities.max(axis=1, initial=0.0), right)
    return Accuracy(
        images=count,
        top1=_mean(right),
        top_k=_mean((order[:, :k] == labels[:, None]).any(axis=1)),
        k=k,
        loss=_mean(-np.log(np.maximum(probabilities[np.arange(count), labels], 1e-300))),
        calibration_error=error,
        margins=_margins(raw, labels),
        classes=tuple(
            ClassAccuracy(
                name,
                _share(int(hits[place]), int(confusion[:, place].sum())),
                _share(int(hits[place]), int(confusion[place].sum())),
                int(confusion[place].sum()),
                int(confusion[:, place].sum()),
            )
            for place, name in enumerate(classes)
        ),
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        ignored=dict(ignored),
    )


def _margins(raw: FloatArray, labels: NDArray[np.int64]) -> dict[str, float]:
    if not len(labels):
        return {}
    rows = np.arange(len(labels))
    others = raw.copy()
    others[rows, labels] = -np.inf
    margins = raw[rows, labels] - others.max(axis=1)
    return {f"{100 * one:g} %": float(np.quantile(margins, one)) for one in QUANTILES}


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean()) if len(values) else math.nan


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan
