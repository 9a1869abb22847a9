"""Hypothesis: what is drawn is worth learning from: images differ, show something, and have all classes; the grid and
its anchors can say their sizes.

Source: a class that is never drawn, blank images, or anchors in another unit raise nothing: the loss falls (there is
less to learn), and only an application notices. Anchors: Redmon and Farhadi, "YOLO9000", 2017, section 2, where the
mean IoU with the best of five anchors is 0.61.

Thresholds, and what healthy runs have (both generators, 5 seeds each at 256 px; at 96 or 160 px 40 % empty scenes, 60
small objects, grey images, a folder of pictures):

- blank: an image with labels whose pixels all lie within 4 grey levels; at most 2 % (healthy: none). More than 90 %
  blank images, labelled or not, say nothing either.
- repeated: an image that was there before, byte for byte, and has labels; at most 2 % (healthy: none). A source with
  a limited number of pictures repeats them by design, and is asked for their number at most.
- a class never drawn: not one in so many objects that a class of a twentieth of its even share would be missed once in
  a thousand times; scenes are drawn until there are as many objects. A class that is rarer than that is unbalanced; of
  annotated pictures that is how the world is, and is told only.
- anchors: the mean IoU of shapes with the best anchor at least 0.1 (healthy: 0.55 to 0.83; 0.17 where one of
  50 px is given by hand for boxes of 9 to 35 px; 10 x too large or too small have 0.01 to 0.02).
- size: half of the objects have a longer side of at least a quarter of the finest stride (healthy: 0.5 to 4.1 strides).
- place: boxes that all lie within a pixel of each other, of at least 20 objects.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from yolo_proc.batch import Batch
from yolo_proc.boxes import FloatArray, iou_wh
from yolo_proc.checks.bench import Bench
from yolo_proc.checks.check import Check
from yolo_proc.classification.task import ClassificationTask
from yolo_proc.data.generator import Generator, Source
from yolo_proc.detection.task import DetectionTask
from yolo_proc.plotting.charts import BLUE, ORANGE, RED, Axis, Page
from yolo_proc.plotting.preview import preview_sheet
from yolo_proc.scene import Scene
from yolo_proc.training.outcomes import Figure, Finding

SCENES = 256
SCENES_IN_DOUBT = 1024  # where a class is rare, but chance may have made it so
MOST_SCENES = 4096  # where none of a class is there
BLANK_RANGE = 4  # grey levels between the darkest and the brightest value of a channel
MOST_BLANK, MOST_BLANK_OF_ALL = 0.02, 0.9  # shares of images
MOST_REPEATED = 0.02
LEAST_SHARE = 1 / 20  # of the even share of a class
MISSED = 1e-3  # probability of a false alarm for a class of that share
LEAST_IOU = 0.1
LEAST_STRIDES = 0.25
SAME_PLACE = 1.0  # px
ENOUGH = 20  # objects
SHOWN = 9


@dataclass
class _Survey:
    """Counts over the scenes that were looked at.

    Attributes:
        boxes: (n, 4) of each batch, of labelled objects.
        counts: (C,) labelled objects of each class.
        blank, repeated: images with labels that are; empty_blank: blank ones without.
        shown: broken scenes; others only while there are none.
    """

    counts: NDArray[np.int64]
    scenes: int = 0
    boxes: list[FloatArray] = field(default_factory=list)
    marks: set[bytes] = field(default_factory=set)
    blank: int = 0
    empty_blank: int = 0
    repeated: int = 0
    shown: list[Scene] = field(default_factory=list)

    @property
    def objects(self) -> int:
        return int(self.counts.sum())

    @property
    def enough(self) -> bool:
        """Whether a class that is not there yet can be said to be missing."""
        return math.exp(-self.objects * LEAST_SHARE / len(self.counts)) < MISSED

    @property
    def wanted(self) -> int:
        """How many scenes it takes to judge the classes."""
        if self.objects and not self.counts.min() and not self.enough:
            return MOST_SCENES
        doubt = not self.rare and self.counts.min() < 3 * self.objects * LEAST_SHARE / len(self.counts)
        return SCENES_IN_DOUBT if doubt else SCENES

    @property
    def rare(self) -> list[int]:
        """Classes of which there are fewer than chance would leave of a twentieth of the even share."""
        mean = self.objects * LEAST_SHARE / len(self.counts)
        return [number for number, count in enumerate(self.counts.tolist()) if _at_most(count, mean) < MISSED]


def run(bench: Bench) -> Finding:
    """See the module."""
    limit = _limit(bench.stream.generator, bench)
    seen = _survey(bench, limit)
    boxes = np.concatenate(seen.boxes) if seen.boxes else np.zeros((0, 4))
    sizes = boxes[:, 2:] - boxes[:, :2]
    causes = [*_image_causes(seen), *_class_causes(seen, bench.classes, limit)]
    overlap = strides = math.nan  # of no grid
    if bench.config.task == DetectionTask.name:
        overlap = float(iou_wh(sizes, bench.codec.anchors_wh).max(axis=1).mean()) if len(sizes) else 0.0
        stride = min(grid.stride for grid in bench.codec.grids)
        strides = float(np.median(sizes.max(axis=1))) / stride if len(sizes) else 0.0
        causes += _box_causes(boxes, overlap, strides, stride, bench.codec.anchors_wh)
    figures: dict[str, Figure] = {"scenes": seen.scenes, "objects": seen.objects, "repeated": seen.repeated}
    figures |= {"blank": seen.blank, "blank without labels": seen.empty_blank, "best-anchor IoU": overlap}
    figures |= {"median size in strides": strides}
    figures |= {f"class {name}": int(count) for name, count in zip(bench.classes, seen.counts, strict=True)}
    least, most = int(seen.counts.min()), int(seen.counts.max())
    return Finding.judged(
        not causes,
        expected=f"images that differ and are not blank, every class, best-anchor IoU from {LEAST_IOU}, sizes from "
        f"{LEAST_STRIDES} strides",
        measured=f"{seen.scenes} scenes: {seen.repeated} repeated, {seen.blank} blank with labels; {least} to {most} "
        f"objects a class; best-anchor IoU {overlap:.2f}, median size {strides:.1f} strides",
        figures=figures,
        causes=[one for one, _ in causes],
        remedy=causes[0][1] if causes else "",
        evidence={
            "scenes": lambda: preview_sheet(seen.shown, bench.classes, limits=bench.config.labels),
            "figures": lambda: _picture(seen, bench, sizes),
        },
    )


def _limit(generator: Generator, bench: Bench) -> int | None:
    """Return how many different scenes a source has; None: without end."""
    if not isinstance(generator, Source):
        return None
    parts = [_limit(member, bench) for member in generator.members().values()]
    counts = [count for count in (generator.count(bench.stream.stream), *parts) if count is not None]
    return min(counts, default=None)


def _survey(bench: Bench, limit: int | None) -> _Survey:
    """Draw scenes until there are enough objects to miss a class, or no further pictures."""
    seen = _Survey(np.zeros(len(bench.classes), dtype=np.int64))
    most = MOST_SCENES if limit is None else min(limit, MOST_SCENES)
    drawn = bench.drawn(MOST_SCENES)
    try:
        for batch in drawn:
            _add(seen, batch, bench, most)
            if seen.scenes >= min(most, seen.wanted):
                break
    finally:
        if hasattr(drawn, "close"):
            drawn.close()
    return seen


def _add(seen: _Survey, batch: Batch, bench: Bench, most: int) -> None:
    limits = bench.config.labels
    side = (batch.box_xyxy[:, 2:] - batch.box_xyxy[:, :2]).min(axis=1, initial=np.inf)
    labelled = (batch.visible >= limits.min_visible) & (batch.in_frame >= limits.min_in_frame)
    labelled &= (side >= limits.min_box_px) & (side > 0)
    known = labelled & (batch.class_ids >= 0) & (batch.class_ids < len(seen.counts))
    images = batch.images.numpy()
    of_scenes = batch.scene_class_ids if bench.config.task == ClassificationTask.name else ()
    of_scenes = of_scenes if len(of_scenes) else np.full(len(batch), -1)
    for image in range(min(len(batch), most - seen.scenes)):
        rows = np.arange(*batch.objects_of(image).indices(len(known)))
        rows = rows[known[rows]]
        seen.scenes += 1
        seen.boxes.append(batch.box_xyxy[rows])
        said = of_scenes[image]  # what a scene is labelled with counts before its objects
        seen.counts += np.bincount(batch.class_ids[rows] if said < 0 else [said], minlength=len(seen.counts))
        mark = hashlib.blake2b(images[image].tobytes(), digest_size=16).digest()
        flat = images[image].reshape(-1, 3)
        blank = int((flat.max(axis=0).astype(int) - flat.min(axis=0)).max()) <= BLANK_RANGE
        repeated = mark in seen.marks
        seen.marks.add(mark)
        seen.blank += blank and len(rows) > 0
        seen.empty_blank += blank and not len(rows)
        seen.repeated += repeated and len(rows) > 0
        broken = (blank or repeated) and len(rows) > 0
        if len(seen.shown) < SHOWN or broken:
            scene = bench.scene(int(batch.indices[image]))
            seen.shown = ([scene, *seen.shown] if broken else [*seen.shown, scene])[:SHOWN]


def _at_most(count: int, mean: float) -> float:
    """Return the probability of at most `count` events where `mean` are expected (Poisson)."""
    term = total = math.exp(-mean)
    for number in range(1, count + 1):
        if number > mean and total > 0.5:
            return 1.0
        term *= mean / number
        total += term
    return total


# ------------------------------------------------------------------------------------- (cause, what to do)

Cause = tuple[str, str]


def _image_causes(seen: _Survey) -> list[Cause]:
    found = []
    blank = seen.blank + seen.empty_blank
    if seen.blank > MOST_BLANK * seen.scenes or blank > MOST_BLANK_OF_ALL * seen.scenes:
        found.append(
            (
                f"blank images: {blank} of {seen.scenes} have one colour, {seen.blank} of them with labels; what is "
                "drawn is covered, transparent, or never reaches the image",
                "look at the picture; draw the background first, with colours from 0 to 255 and not from 0 to 1",
            )
        )
    elif seen.repeated > MOST_REPEATED * seen.scenes:
        found.append(
            (
                f"the same images again: {seen.repeated} of {seen.scenes} were there before; the generator draws its "
                "chance from a seed of its own, or has few scenes to choose from",
                "draw all chance from the `rng` that `draw` is given",
            )
        )
    return found


def _class_causes(seen: _Survey, classes: Sequence[str], limit: int | None) -> list[Cause]:
    if not seen.objects:
        return [("nothing that is drawn has a label", "give the objects a label: canvas.draw(shape, colour, label)")]
    all_seen = limit is not None and seen.scenes >= limit
    missing = [number for number, count in enumerate(seen.counts.tolist()) if not count]
    if missing and (seen.enough or all_seen):
        names = ", ".join(classes[number] for number in missing[:5])
        return [
            (
                f"never drawn: {names} ({len(missing)} of {len(classes)} classes, none among {seen.objects} objects)",
                "leave the class out of `classes` (of pictures: of the class file), or draw it",
            )
        ]
    if limit is None and seen.rare:
        number = seen.rare[0]
        return [
            (
                f"hardly ever drawn: {classes[number]} is {seen.counts[number]} of {seen.objects} objects, less than a "
                "twentieth of an even share",
                "draw the classes about equally often: rng.integers(len(self.classes))",
            )
        ]
    return []


def _box_causes(boxes: FloatArray, overlap: float, strides: float, stride: int, anchors: FloatArray) -> list[Cause]:
    if not len(boxes):
        return []
    found = []
    if overlap < LEAST_IOU:
        ratio = float(np.exp(np.log((boxes[:, 2:] - boxes[:, :2]).mean() / anchors.mean())))
        found.append(
            (
                f"wrong anchors: boxes are {ratio:.2g} x as large as the mean anchor; the anchors are of another "
                "picture size, unit or data set",
                "--model.anchors auto finds them among the labels",
            )
        )
    if strides < LEAST_STRIDES:
        found.append(
            (
                f"objects too small for the stride: half of them are smaller than {strides * stride:.1f} px, a cell "
                f"has {stride} px",
                "a larger --image-size, smaller --model.strides, or larger objects",
            )
        )
    if len(boxes) >= ENOUGH and np.ptp(boxes, axis=0).max() < SAME_PLACE:
        found.append(
            (
                f"every object lies at the same place: all {len(boxes)} boxes are equal to a pixel",
                "draw place and size from the `rng` that `draw` is given",
            )
        )
    return found


def _picture(seen: _Survey, bench: Bench, sizes: FloatArray) -> NDArray[np.uint8]:
    page = Page(2, 1, (520, 400), 0)
    panel = page.panel("Objects of each class")
    counts = seen.counts.tolist()
    colours = [RED if number in seen.rare else BLUE for number in range(len(counts))]
    panel.rows(bench.classes, counts, [str(count) for count in counts], colours)
    detects = bench.config.task == DetectionTask.name
    panel = page.panel("Sizes of boxes, and the anchors" if detects else "Sizes of boxes")
    anchors = bench.codec.anchors_wh if detects else np.zeros((0, 2))
    most = 1.1 * max(float(sizes.max(initial=1.0)), float(anchors.max(initial=1.0)))
    panel.axes(Axis("width, px", 0, most), Axis("height, px", 0, most), square=True)
    across = np.histogram2d(sizes[:, 1], sizes[:, 0], bins=32, range=[[0, most], [0, most]])[0]
    panel.heat(across[::-1].astype(np.int64))
    panel.crosses([(float(width), float(height)) for width, height in anchors], ORANGE)
    return page.finished()


CHECK = Check(
    "variety",
    group="data",
    asserted="images differ and show something, all classes are drawn, and boxes have sizes that the grid and its "
    "anchors can say",
    quick=True,
    run=run,
    any_task=True,
)
