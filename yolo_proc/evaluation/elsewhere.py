"""A model on other pictures than its own scenes: `evaluate --on folder:PATH` or `--on GENERATOR`.

What a model does on scenes of its own generator says little about pictures that somebody else made. So both are
judged in the same way, and told side by side.

- A folder's pictures are all judged, whatever stream a training would put them into, each in its own pixels and shown
  to the network as `Detector.detect` shows it.
- Classes are matched by name. Objects of a class that the model does not know are no objects; what it says of them is
  wrong.
- Shares have Wilson's interval of 95 % (Wilson, "Probable inference, the law of succession, and statistical
  inference", 1927): with few pictures it is wide, and says so.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from yolo_proc.boxes import RgbImage, as_boxes
from yolo_proc.config.schema import LabelConfig
from yolo_proc.data.folder import Folder
from yolo_proc.detection.codec import DecodeConfig, Detections
from yolo_proc.detection.matching import Truth
from yolo_proc.evaluation.accuracy import Accuracy
from yolo_proc.evaluation.evaluate import FLOOR, Evaluation, Figures, judge, matched_classes, without_nan
from yolo_proc.evaluation.predict import Detector, detect_pictures
from yolo_proc.imaging.letterbox import Letterbox
from yolo_proc.scene import label_state_codes

Z95 = 1.959964  # of a normal distribution 95 % lie within so many deviations
_CLEAR = 0.05  # a share that is lower by so much is worth a word


def unknown_classes(own: Sequence[str], theirs: Sequence[str], source: str) -> tuple[str, ...]:
    """Return lines for the user on classes that only one of the two has."""
    strange = [name for name in theirs if name not in own]
    absent = [name for name in own if name not in theirs]
    notes = [f"{source}: the model does not know {', '.join(strange)}; such objects are left out"] if strange else []
    return (*notes, f"{source}: there is no {', '.join(absent)} to be found") if absent else tuple(notes)


def evaluate_folder(
    readers: Mapping[str, Detector],
    folder: Folder,
    limits: LabelConfig,
    *,
    decoding: DecodeConfig | None = None,
    on_images: Callable[[int], None] = lambda _: None,
) -> dict[str, Evaluation]:
    """Judge detectors on all pictures of a folder.

    Args:
        readers: by name; of one network.
        limits: what is a label; `min_box_px` is in network pixels.
        on_images: called with the number of pictures done.

    Raises:
        DataError: no class in common.
        AnnotationError: a picture that cannot be read, where bad ones are not skipped.
    """
    decoding = decoding or DecodeConfig()
    floor = replace(decoding, confidence=min(FLOOR, decoding.confidence))
    first = next(iter(readers.values()))
    classes = first.classes
    own = matched_classes(classes, folder.classes, f"folder:{folder.argument}")
    truths: list[Truth] = []
    found: dict[str, list[Detections]] = {name: [] for name in readers}
    for rgb, truth in _labelled(folder, own, limits, first):
        height, width = rgb.shape[:2]
        for name, reader in readers.items():
            model = reader.model_for(width, height)
            found[name] += detect_pictures(model, torch.from_numpy(rgb)[None], floor, reader.device)
        truths.append(truth)
        on_images(len(truths))
    return {name: judge(truths, one, classes, decoding) for name, one in found.items()}


def _labelled(
    folder: Folder, own: NDArray[np.int64], limits: LabelConfig, reader: Detector
) -> Iterator[tuple[RgbImage, Truth]]:
    for rgb, items in folder.labelled_pictures():
        height, width = rgb.shape[:2]
        things = [item for item in items if item.is_label and own[item.class_id] >= 0]
        boxes = as_boxes([item.xyxy for item in things])
        shrink = Letterbox.of(width, height, *reader.model_for(width, height).task.codec.frame).r
        scaled = replace(limits, min_box_px=limits.min_box_px / shrink)
        visible, in_frame = (
            np.array([1.0 if share is None else share for share in shares], dtype=np.float64)
            for shares in ([item.visible for item in things], [item.in_frame for item in things])
        )
        truth = Truth(
            boxes,
            own[np.array([item.class_id for item in things], dtype=np.int64)],
            label_state_codes(boxes, visible, in_frame, scaled),
            as_boxes([item.xyxy for item in items if item.ignore]),
        )
        yield rgb, truth


def wilson(part: int, whole: int) -> tuple[float, float]:
    """Return the interval in which a share lies with 95 %, of which `part` of `whole` were seen; NaN for none."""
    if not whole:
        return math.nan, math.nan
    share, square = part / whole, Z95 * Z95 / whole
    middle = share + square / 2
    half = Z95 * math.sqrt(share * (1 - share) / whole + square / (4 * whole))
    return (middle - half) / (1 + square), (middle + half) / (1 + square)


@dataclass(frozen=True)
class Comparison:
    """An evaluation on own scenes beside one elsewhere.

    Attributes:
        source: where `there` was judged.
    """

    own: Evaluation
    there: Evaluation
    source: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        differences = {name: there - own for name, own, there, _ in self._rows()}
        return {
            **self.own.to_dict(),
            "on": {"source": self.source, **self.there.to_dict()},
            "difference": without_nan(differences),
        }

    def _rows(self) -> list[tuple[str, float, float, tuple[float, float] | None]]:
        """Return (name, own, there, interval of there) for each figure."""
        own, there = self.own.overall, self.there.overall
        return [
            ("mAP50", own.ap50, there.ap50, None),
            ("mAP50-95", own.ap50_95, there.ap50_95, None),
            ("precision", own.precision, there.precision, wilson(_right(there), there.detections)),
            ("recall", own.recall, there.recall, wilson(_right(there), there.objects)),
        ]

    def lines(self) -> list[str]:
        """Return the comparison as text, and what it points at."""
        width = max(10, len(self.source))
        lines = [f"{'':9}  own scenes  {self.source:>{width}}  difference  95 %"]
        for name, own, there, interval in self._rows():
            known = interval is not None and not math.isnan(interval[0])
            ends = f"  {interval[0]:.2f} to {interval[1]:.2f}" if known and interval is not None else ""
            difference = "-" if math.isnan(there - own) else f"{there - own:+.3f}"
            lines.append(f"{name:9}  {_figure(own):>10}  {_figure(there):>{width}}  {difference:>10}{ends}")
        return lines + self._hints()

    def _hints(self) -> list[str]:
        own, there = self.own.overall, self.there.overall
        hints = []
        if wilson(_right(there), there.detections)[1] < own.precision - _CLEAR:
            hints.append(
                f"{there.detections - _right(there)} of {there.detections} boxes are wrong there: scenes have too few "
                "of the things that are taken for objects; draw them without a label, or mix in scenes without objects"
            )
        if wilson(_right(there), there.objects)[1] < own.recall - _CLEAR:
            hints.append(
                f"{there.objects - _right(there)} of {there.objects} objects are not found there: they look other "
                "than in the scenes (size, light, blur, turn); compare them by `predict` and `preview`"
            )
        return hints


@dataclass(frozen=True)
class AccuracyComparison:
    """As `Comparison`, of a classifier."""

    own: Accuracy
    there: Accuracy
    source: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        difference = {"top1": self.there.top1 - self.own.top1}
        there = {"source": self.source, **self.there.to_dict()}
        return {**self.own.to_dict(), "on": there, "difference": without_nan(difference)}

    def lines(self) -> list[str]:
        """Return the comparison as text."""
        own, there = self.own.top1, self.there.top1
        if math.isnan(there):
            return [f"top-1 accuracy: own scenes {_figure(own)}, {self.source}: no image of a known class"]
        low, high = wilson(round(there * self.there.images), self.there.images)
        found = f"{self.source} {_figure(there)} (95 %: {low:.2f} to {high:.2f})"
        return [f"top-1 accuracy: own scenes {_figure(own)}, {found}, difference {there - own:+.3f}"]


def _right(figures: Figures) -> int:
    return 0 if math.isnan(figures.recall) else round(figures.recall * figures.objects)


def _figure(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"
