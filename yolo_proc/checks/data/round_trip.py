"""Hypothesis: what the network is told is what is read from it: a perfect network gives the scene's boxes back.

Source: the encoder and the decoder are two pieces of code for one rule. Where they disagree, the loss falls as it
should, and every box that is found is wrong (mAP near 0 at a low loss is how it shows, a training later).

The targets that the loss is given are turned into raw logits here, by the formulas of docs/labels.md and not by the
codec's own inverse; the codec decodes them. Besides the run's own scenes there are scenes of boxes of all sizes at all
places, on borders of cells and of the frame too. Threshold: 0.01 px. Targets are float32: that loses 1e-6 of a
cell and 6e-8 of a size; 2e-5 to 3e-5 px were seen, at 96 and 256 px, with one grid and with two.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo_proc.batch import Batch
from yolo_proc.boxes import FloatArray
from yolo_proc.checks.bench import Bench
from yolo_proc.checks.check import Check
from yolo_proc.config.schema import LabelConfig
from yolo_proc.detection.nms import DecodeConfig, Detections
from yolo_proc.plotting.preview import predictions_sheet
from yolo_proc.rng import rng_for
from yolo_proc.scene import Scene, SceneObject
from yolo_proc.training.outcomes import Finding

SCENES = 64
MADE = 16  # scenes of boxes at all places
MADE_OBJECTS = 12
TOLERANCE = 0.01  # px
SHOWN = 9
CERTAIN = 20.0
EDGE = 2.0**-20
_REMEDY = "compare LabelCodec.assign and LabelCodec.decode with the rules of docs/labels.md, one field after another"


@dataclass
class _RoundTrips:
    """Scenes against what was decoded of their targets.

    Attributes:
        pairs: (scene's box, decoded box) of an object each, where it is known which belongs to which.
        classes: (class of the scene, class decoded) of the same.
        strange: decoded boxes that no object has; missing: labelled objects that were not decoded.
        taken: objects that the encoder counts as dropped for want of a slot.
        worst: largest difference of a coordinate of what was found again, px.
        broken: images that do not come back as they were; shown: those first.
    """

    objects: int = 0
    pairs: list[tuple[FloatArray, FloatArray]] = field(default_factory=list)
    classes: list[tuple[int, int]] = field(default_factory=list)
    strange: int = 0
    missing: int = 0
    taken: int = 0
    worst: float = 0.0
    broken: int = 0
    shown: list[tuple[Scene, Detections]] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        return self.objects > 0 and not self.strange and self.missing == self.taken


def run(bench: Bench) -> Finding:
    """See the module."""
    seen = _RoundTrips()
    for batch in _batches(bench):
        _survey(bench, batch, seen)
    words = f"{seen.objects} objects: {seen.missing - seen.taken} lost, {seen.strange} boxes of no object"
    return Finding.judged(
        seen.sound,
        expected=f"every labelled box back within {TOLERANCE} px, of its class",
        measured=f"{words}, worst of the rest {seen.worst:.2g} px",
        figures={
            "objects": seen.objects,
            "lost": seen.missing - seen.taken,
            "strange": seen.strange,
            "slot taken": seen.taken,
            "worst px": seen.worst,
        },
        causes=_causes(seen, bench),
        remedy=_REMEDY,
        evidence={"boxes": lambda: _picture(seen, bench)},
    )


def _batches(bench: Bench) -> Iterator[Batch]:
    for k in range(-(-SCENES // bench.batch_size)):
        yield bench.batch(k)
    yield Batch.of(_made_scenes(bench))


def _made_scenes(bench: Bench) -> list[Scene]:
    """Return boxes of all sizes at all places on grey; each third one has its centre on a border of cells."""
    width, height = bench.codec.frame
    stride = bench.codec.grids[0].stride
    frame = np.array([width, height], dtype=np.float64)
    least = max(bench.config.labels.min_box_px, 1.0)
    scenes = []
    for index in range(MADE):
        rng = rng_for(bench.config.seed, "checks", index, "boxes")
        objects = []
        for number in range(MADE_OBJECTS):
            size = least * (frame / least) ** rng.random(2)
            corner = rng.random(2) * (frame - size)
            if number % 3 == 0:
                centre = np.clip(np.round((corner + size / 2) / stride) * stride, size / 2, frame - size / 2)
                corner = np.maximum(centre - size / 2, 0.0)
            box = np.minimum(np.concatenate([corner, corner + size]), np.tile(frame, 2)).tolist()
            class_id = int(rng.integers(len(bench.classes)))
            objects.append(SceneObject((box[0], box[1], box[2], box[3]), class_id))
        scenes.append(Scene(np.full((height, width, 3), 114, np.uint8), tuple(objects)))
    return scenes


def _survey(bench: Bench, batch: Batch, seen: _RoundTrips) -> None:
    targets, dropped = bench.task.targets(batch, bench.device)
    logits = _perfect_logits(targets, bench.codec.slots, bench.codec.fields)
    everything = DecodeConfig(confidence=0.5, max_iou=1.0, max_candidates=10**6, max_detections=10**6)
    found = bench.codec.decode(logits, everything)
    seen.taken += int(dropped.get("slot_taken", 0))
    labelled = _labelled(batch, bench.config.labels)
    row_images, row_slots = targets.image.cpu().numpy(), targets.slot.cpu().numpy()
    for image, one in enumerate(found):
        rows = np.arange(*batch.objects_of(image).indices(len(batch.class_ids)))
        rows = rows[labelled[rows]]
        boxes, classes = batch.box_xyxy[rows], batch.class_ids[rows]
        before = seen.strange + seen.missing
        _match(boxes, classes, one, seen)
        slots = row_slots[row_images == image]
        if len(slots) == len(rows) and len(rows):
            _pair(boxes, classes, slots, bench.codec.candidates(logits[image], everything), seen)
        broken = seen.strange + seen.missing > before
        if broken or (len(seen.shown) < SHOWN and len(rows)):
            shown = [SceneObject(tuple(box), int(kind)) for box, kind in zip(boxes.tolist(), classes, strict=True)]
            place = (Scene(np.asarray(batch.images[image].numpy()), tuple(shown)), one)
            # Broken ones come first, in their order: those of the run before those that were made here.
            seen.shown.insert(seen.broken if broken else len(seen.shown), place)
            seen.broken += broken
            del seen.shown[SHOWN:]


def _labelled(batch: Batch, limits: LabelConfig) -> NDArray[np.bool_]:
    """Return (N,) which objects are at or above the limits."""
    side = (batch.box_xyxy[:, 2:] - batch.box_xyxy[:, :2]).min(axis=1, initial=np.inf)
    big = (side >= limits.min_box_px) & (side > 0)
    return np.asarray((batch.visible >= limits.min_visible) & (batch.in_frame >= limits.min_in_frame) & big)


def _perfect_logits(targets: Any, slots: int, fields: int) -> NDArray[np.float32]:
    """Return (B, S, 5 + C) raw logits of a network that is sure of its targets (`TensorTargets`)."""
    image, slot, class_id = (part.cpu().numpy() for part in (targets.image, targets.slot, targets.class_id))
    xy, wh = (part.cpu().numpy().astype(np.float64) for part in (targets.xy, targets.wh))
    logits = np.zeros((targets.batch_size, slots, fields), dtype=np.float32)
    logits[:, :, 4] = -CERTAIN
    inside = np.clip(xy, EDGE, 1 - EDGE)
    logits[image, slot, 0:2] = np.log(inside / (1 - inside))
    logits[image, slot, 2:4] = np.log(wh)
    logits[image, slot, 4] = CERTAIN
    logits[image, slot, 5 + class_id] = CERTAIN
    return logits


def _match(boxes: FloatArray, classes: NDArray[np.int64], found: Detections, seen: _RoundTrips) -> None:
    """Count an image's objects (N, 4) that were found again, and what else was found."""
    seen.objects += len(boxes)
    free = np.ones(len(boxes), dtype=bool)
    for box, kind in zip(found.box_xyxy, found.class_ids, strict=True):
        apart = np.abs(boxes - box).max(axis=1)
        apart[~free | (classes != kind)] = np.inf
        best = int(apart.argmin()) if len(apart) else -1
        if best < 0 or apart[best] > TOLERANCE:
            seen.strange += 1
            continue
        free[best] = False
        seen.worst = max(seen.worst, float(apart[best]))
    seen.missing += int(free.sum())


def _pair(
    boxes: FloatArray, classes: NDArray[np.int64], slots: NDArray[np.int64], found: Detections, seen: _RoundTrips
) -> None:
    """Pairs each object of an image in which none was dropped with what its slot says, not clipped to the frame."""
    place = {int(slot): number for number, slot in enumerate(found.slots)}
    for box, kind, slot in zip(boxes, classes, slots, strict=True):
        number = place.get(int(slot))
        if number is not None:
            seen.pairs.append((box, found.box_xyxy[number]))
            seen.classes.append((int(kind), int(found.class_ids[number])))


def _causes(seen: _RoundTrips, bench: Bench) -> Sequence[str]:
    if seen.sound:
        return []
    if not seen.objects:
        return ["no object has a label, so nothing can come back"]
    causes = []
    if seen.pairs:
        scene, decoded = (np.stack(side) for side in zip(*seen.pairs, strict=True))
        causes += _of_boxes(scene, decoded, bench)
        wrong = sum(one != other for one, other in seen.classes)
        if wrong:
            causes.append(f"the class is read from, or written to, other fields: {wrong} of {len(seen.classes)} differ")
    if seen.missing - seen.taken < 0:
        causes.append("the encoder counts objects as dropped that have a slot")
    return [*causes, "the encoder and the decoder follow different rules for slots, anchors or fields"]


def _of_boxes(scene: FloatArray, decoded: FloatArray, bench: Bench) -> list[str]:
    """Return what turns the decoded boxes (N, 4), not clipped, into the scene's."""
    centres, other = (scene[:, :2] + scene[:, 2:]) / 2, (decoded[:, :2] + decoded[:, 2:]) / 2
    sizes, others = scene[:, 2:] - scene[:, :2], decoded[:, 2:] - decoded[:, :2]
    if np.abs(scene - decoded).max() <= TOLERANCE:
        return []
    stride = bench.codec.grids[0].stride
    away = other - centres  # (N, 2)
    found = []
    near = max(0.05, 0.02 * stride)

    def mostly(differences: FloatArray) -> bool:
        return bool((np.abs(differences).max(axis=1) <= near).mean() > 0.8)

    inside, insides = centres % stride, other % stride
    if mostly(other[:, ::-1] - centres) or mostly(insides[:, ::-1] - inside):
        found.append("x and y are swapped in the decoder or in the encoder")
    elif np.abs(np.median(away, axis=0)).max() > TOLERANCE and mostly(away - np.median(away, axis=0)):
        dx, dy = np.median(away, axis=0).tolist()
        cells = f"{dx / stride:.3g} and {dy / stride:.3g} cells of {stride} px"
        found.append(f"boxes come back shifted by ({dx:.3g}, {dy:.3g}) px, which is {cells}")
    elif not mostly(away):
        found.append("centres come back elsewhere: cells are numbered, or places in a cell activated, in two ways")
    ratios = others / np.maximum(sizes, 1e-9)
    factor = np.median(ratios, axis=0)
    if mostly(others[:, ::-1] - sizes) and not mostly(others - sizes):
        found.append("w and h are swapped in the decoder or in the encoder")
    elif np.abs(ratios / factor - 1).max() < max(0.1 * np.abs(factor - 1).max(), 1e-6):
        if np.abs(factor - 1).max() > 1e-6:
            found.append(f"sizes come back {factor[0]:.4g} x and {factor[1]:.4g} x: other anchors in one of the two")
    elif not mostly(others - sizes):
        found.append("sizes come back wrong: the logarithm of size / anchor is not undone by what the decoder does")
    if not found:
        found.append(f"boxes come back inexact, by up to {np.abs(scene - decoded).max():.2g} px: too few digits")
    return found


def _picture(seen: _RoundTrips, bench: Bench) -> NDArray[np.uint8]:
    scenes, found = zip(*seen.shown, strict=True) if seen.shown else ((), ())
    return predictions_sheet(scenes, found, bench.classes, limits=bench.config.labels)


CHECK = Check(
    "round-trip",
    group="data",
    asserted="scene, target, perfect logits, decoding: the scene's boxes and classes come back",
    quick=True,
    run=run,
)
