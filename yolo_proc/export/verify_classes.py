"""Whether an exported classifier does what the network does: outputs, the class of each picture, and accuracy."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from yolo_proc.classification.labels import IGNORED, image_classes
from yolo_proc.classification.results import softmax
from yolo_proc.classification.task import ClassificationTask
from yolo_proc.config.schema import Config
from yolo_proc.export.session import OnnxClassifier
from yolo_proc.export.verify import Comparison, Gate, figure, fresh_batches
from yolo_proc.imaging.letterbox import Letterbox
from yolo_proc.models.network import Network, network_outputs

NEAR = 2e-3  # two logits of the network that are so near may change places by rounding
LITTLE = 0.5  # of the way from chance to certainty: a network that has hardly learnt has no accuracy to lose


@dataclass
class ClassComparison(Comparison):
    """How far the classes of an exported classifier are from the network's.

    Attributes:
        near: pictures that get another class, where the network's first two are as near as rounding is;
            differing: the other ones that get another class.
        judged: pictures that have a class; right: of them, those that the model calls so; reference_right: those that
            the network calls so.
        classes: C.
    """

    HEADER: ClassVar[str] = "changed   top-1      drop"
    near: int = 0
    differing: int = 0
    judged: int = 0
    right: int = 0
    reference_right: int = 0
    classes: int = 2

    @property
    def top1(self) -> float:
        """The share of pictures whose class is right; NaN where none has one."""
        return self.right / self.judged if self.judged else math.nan

    @property
    def drop(self) -> float:
        """How much lower the top-1 accuracy is than the network's; 0 where no picture has a class."""
        return (self.reference_right - self.right) / self.judged if self.judged else 0.0

    @property
    def columns(self) -> str:
        """See `Comparison`."""
        return f"{self.near + self.differing:7d}  {figure(self.top1):>6}  {self.drop:8.5f}"

    @property
    def doubt(self) -> str:
        """See `Comparison`."""
        chance = 1 / self.classes
        reached = self.reference_right / self.judged if self.judged else 0.0
        enough = chance + LITTLE * (1 - chance)
        return "" if reached >= enough else f"the network itself reaches top-1 {reached:.3f} here"

    def own_problems(self, gate: Gate) -> list[str]:
        """See `Comparison`."""
        lines = []
        if gate.boxes and self.differing:
            lines.append(f"classes: expected those of the network, found {self.differing} pictures with another")
        if not self.drop <= gate.drop:
            lines.append(f"top-1: expected at most {gate.drop:g} lower, found {self.drop:.4f}")
        return lines


def compare_classes(
    model: Network[ClassificationTask],
    exported: Mapping[str, OnnxClassifier],
    config: Config,
    count: int,
    *,
    on_images: Callable[[int], None] = lambda _: None,
) -> dict[str, ClassComparison]:
    """Return how far exported models are from the network, on `count` fresh pictures, half not of the network's size.

    Args:
        model: in evaluation mode, on the CPU.
        exported: by precision.
        config: of the run, for its generator and limits.
        on_images: called with the number of pictures done.
    """
    width, height = model.frame
    results = {name: ClassComparison(classes=len(model.task.classes)) for name in exported}
    done = 0
    for batch in fresh_batches(config, (width, height), count):
        box = Letterbox.of(batch.images.shape[2], batch.images.shape[1], width, height)
        letterboxed = np.stack([box.apply(image) for image in batch.images.numpy()])  # (B, H, W, 3)
        logits = network_outputs(model, torch.from_numpy(letterboxed), "cpu")
        truth, _ = image_classes(batch, config.labels, len(model.task.classes))
        for name, classifier in exported.items():
            _compare_batch(results[name], classifier, classifier.run(letterboxed), logits, truth)
        done += len(batch)
        on_images(done)
    return results


def _compare_batch(
    result: ClassComparison,
    classifier: OnnxClassifier,
    outputs: NDArray[np.float32],
    logits: NDArray[np.float32],
    truth: NDArray[np.int64],
) -> None:
    activated = classifier.spec.activated
    result.compare_outputs(outputs, softmax(logits) if activated else logits.astype(np.float64), activated=activated)
    mine, theirs = logits.argmax(axis=1), outputs.argmax(axis=1)
    first_two = np.sort(logits, axis=1)[:, -2:]
    near = first_two[:, 1] - first_two[:, 0] <= NEAR
    result.near += int((near & (mine != theirs)).sum())
    result.differing += int((~near & (mine != theirs)).sum())
    known = truth != IGNORED
    result.judged += int(known.sum())
    result.right += int((theirs == truth)[known].sum())
    result.reference_right += int((mine == truth)[known].sum())
