"""Hypothesis: labels follow the picture: where a box is, there is its object, after augmentation too.

Source: an image that is mirrored without its boxes, boxes of another size of the picture, swapped axes: all are sound
boxes in form, and only pixels tell. Karpathy, "A recipe for training neural networks", 2019: "visualize just before the
net"; this looks at hundreds of boxes instead of a person, who looks at ten.

What a canvas has painted is redrawn without one object: what changes is the object. It is asked of scenes as they are
drawn, as they are augmented, and of scenes that are all mirrored both ways where augmentation may mirror. Thresholds
(healthy: both generators, 5 seeds each at 256 px, 3 at 96 px, and the variants of the tests):

- shift: the median over all objects of the middle of the change against that of the box, at most 0.5 px (healthy:
  0.03 to 0.17). What that costs is told as the IoU of a box so shifted with the true one; from 0.9 on it is a warning,
  because the network learns the shift and finds everything: a carton warped by OpenCV's own function, whose pixels have
  their centre at 0, lies 0.5 to 0.8 px beside its label;
- an object is misplaced where its change reaches further out of the box than 2.5 px and 8 % of its longer side, or, of
  one that nothing covers, stays twice as far inside; at most 6 % of them (healthy: none, but 1 of 122
  glyphs in one of 10 runs at 256 px, and 2 of 120 glyphs in grey, which hardly differ from their ground);
- slack: by how much a box is larger than all that changed, the median: at most 4 % of its side or 0.75 px (healthy:
  below 0: what is drawn touches pixels beyond its outline); a warning from an IoU of 0.9 on, too;
- unlabelled: a scene where pixels change beyond all boxes when all that was labelled is left out; more than one scene,
  and more than 3 % (healthy: none);
- mirrored: no class may look like another one in a mirror that augmentation holds up (`mirrors.py`): of both classes
  70 % are told apart as they are, and 70 % of the one, mirrored, are nearest to the other, and as near as its own are;
- unseen: an object that changes no pixel by 8 grey levels, though it counts as visible; at most 10 % (healthy:
  none; 3 % in grey).

What is known by a label alone (a picture of a folder) cannot be redrawn; there `borders.py` asks whether any other
placement fits the pictures better, at 5 deviations (pictures of shapes in a folder: none fits better at all, and other
pictures than their own fit worse by 13 to 15). If pictures say nothing about their boxes, this is not applicable.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from yolo_proc.boxes import FloatArray
from yolo_proc.checks.bench import STREAM, Bench
from yolo_proc.checks.check import Check
from yolo_proc.checks.data.borders import LEAST_OBJECTS, SIGNIFICANT, Compared, compare
from yolo_proc.checks.data.mirrors import turned_classes
from yolo_proc.checks.data.redraw import Redrawing, Redrawn, Unlabelled, explained, moved_or_scaled, redraw
from yolo_proc.config.schema import AugmentConfig
from yolo_proc.data.generator import Source
from yolo_proc.data.stream import Stream
from yolo_proc.scene import LABELLED, Scene, label_states
from yolo_proc.training.outcomes import Figure, Finding

OBJECTS = 60  # that are redrawn of each stream
PICTURES = 64  # annotated ones that are compared
MOST_SHIFT = 0.5  # px
MOST_SLACK, MOST_SLACK_PX = 0.04, 0.75  # of a box's side, and px
MOST_MISPLACED, MOST_UNSEEN = 0.06, 0.1  # shares of objects
MILD_IOU = 0.9  # of boxes that lie so well that training goes on
MOST_UNLABELLED = 0.03  # share of scenes, and more than one
LEAST_OF_KIND = 8  # objects, to judge any
SHOWN, SIDE = 6, 300
_REMEDY = (
    "move image and boxes by one and the same matrix; label with the shape that is drawn; look at the picture, and at "
    "`preview` with --augment.enabled off and on"
)
_LABEL, _CHANGED = (60, 220, 90), (255, 70, 70)


@dataclass(frozen=True)
class _Redrawing:
    """Result of redrawing objects of one stream."""

    name: str
    redrawing: Redrawing

    @property
    def objects(self) -> list[Redrawn]:
        return self.redrawing.objects

    @property
    def unequal(self) -> bool:
        """Whether too many scenes have more or fewer labels than objects."""
        return self.redrawing.unequal > MOST_MISPLACED * self.redrawing.scenes

    @property
    def unlabelled(self) -> bool:
        """Whether too many scenes show what no label tells of."""
        return len(self.redrawing.unlabelled) > max(1.0, MOST_UNLABELLED * self.redrawing.scenes)

    @property
    def seen(self) -> list[Redrawn]:
        return [one for one in self.objects if one.core is not None]

    @property
    def unseen(self) -> list[Redrawn]:
        return [one for one in self.objects if one.core is None]

    @property
    def misplaced(self) -> list[Redrawn]:
        return [one for one in self.seen if one.misplaced]

    @property
    def shift(self) -> FloatArray:
        """(2,) px from the middle of the box to that of the change, the median over objects that nothing covers."""
        whole = [one for one in self.seen if one.whole]
        middles = [(one.core - one.box).reshape(2, 2).mean(axis=0) for one in whole if one.core is not None]
        return np.median(middles, axis=0) if len(middles) >= LEAST_OF_KIND else np.zeros(2)

    @property
    def slack(self) -> tuple[float, float]:
        """By what share of its side, and how many px, a box is larger than all that changed; medians as of `shift`."""
        whole = [one for one in self.seen if one.whole]
        if len(whole) < LEAST_OF_KIND:
            return 0.0, 0.0
        sides = np.array([one.box[2:] - one.box[:2] for one in whole])
        changed = np.array([one.touched[2:] - one.touched[:2] for one in whole if one.touched is not None])
        return float(np.median((sides - changed) / np.maximum(sides, 1e-9))), float(np.median(sides - changed))

    @property
    def is_misplaced(self) -> bool:
        """Whether too many boxes are elsewhere than their objects."""
        return len(self.misplaced) > MOST_MISPLACED * max(len(self.seen), 1) and len(self.misplaced) > 1

    @property
    def shifted(self) -> bool:
        """Whether boxes lie beside their objects."""
        return bool(np.abs(self.shift).max() > MOST_SHIFT)

    @property
    def loose(self) -> bool:
        """Whether boxes are larger than their objects."""
        return self.slack[0] > MOST_SLACK and self.slack[1] > MOST_SLACK_PX

    @property
    def least_iou(self) -> float:
        """The IoU of a box with the true one, where all are as far away, or as much too large, as they are here."""
        whole = [one for one in self.seen if one.whole]
        if len(whole) < LEAST_OF_KIND or not (self.shifted or self.loose):
            return 1.0
        width, height = np.median([one.box[2:] - one.box[:2] for one in whole], axis=0).tolist()
        if not self.shifted:
            return float(max(1 - self.slack[0], 0.0) ** 2)
        across, down = np.abs(self.shift).tolist()
        shared = max(width - across, 0.0) * max(height - down, 0.0)
        return float(shared / max(2 * width * height - shared, 1e-9))


def run(bench: Bench) -> Finding:
    """See the module."""
    streams = _streams(bench)
    redrawings = [
        _Redrawing(name, redraw(one, OBJECTS, bench.config.labels.min_visible)) for name, one in streams.items()
    ]
    redrawings = [one for one in redrawings if len(one.objects) >= LEAST_OF_KIND or one.unequal or one.unlabelled]
    borders, scenes = _borders(bench)
    if not redrawings and not borders.decided:
        return Finding.not_applicable(_why_not(borders))
    causes = [cause for one in redrawings for cause in _causes(one, bench)]
    if borders.wrong:
        causes.append(borders.better[0][0])
    causes += _mirror_causes(bench)
    inexact = [cause for one in redrawings for cause in _inexact(one)]
    mild = not causes and all(one.least_iou >= MILD_IOU for one in redrawings)
    causes += inexact
    total = sum(len(one.objects) for one in redrawings)
    misplaced, unseen = (sum(len(getattr(one, kind)) for one in redrawings) for kind in ("misplaced", "unseen"))
    shift = max((float(np.abs(one.shift).max()) for one in redrawings), default=0.0)
    words = f"{total} objects redrawn: {misplaced} misplaced, {unseen} unseen, median shift {shift:.2f} px"
    told = f"{borders.objects} annotated: their own picture fits by {borders.strange:.1f} deviations"
    best = borders.better[0] if borders.better else ("nothing else", 0.0)
    figures: dict[str, Figure] = {"redrawn": total, "misplaced": misplaced, "unseen": unseen, "shift px": shift}
    figures |= {"unlabelled scenes": sum(len(one.redrawing.unlabelled) for one in redrawings)}
    figures |= {"slack": max((one.slack[0] for one in redrawings), default=0.0)}
    figures |= {"slack px": max((one.slack[1] for one in redrawings), default=0.0)}
    figures |= {"IoU of the boxes": min((one.least_iou for one in redrawings), default=1.0)}
    figures |= {"annotated": borders.objects, "own picture, deviations": borders.strange}
    figures |= {"best alternative": best[0], "best alternative, deviations": best[1]}
    return Finding.judged(
        not causes,
        expected=f"changes inside of the boxes: at most {100 * MOST_MISPLACED:g} % misplaced, shift {MOST_SHIFT} px"
        if redrawings
        else f"no other placement of the boxes fits better by {SIGNIFICANT:g} deviations",
        measured="; ".join(line for line, there in ((words, redrawings), (told, borders.decided)) if there),
        figures=figures,
        causes=list(dict.fromkeys(causes)),
        remedy=_REMEDY,
        evidence={"objects": lambda: _picture(redrawings, scenes)},
        mild=mild,
    )


def _streams(bench: Bench) -> dict[str, Stream]:
    """Return scenes as they are drawn, as they are augmented, and all mirrored, where that may happen."""
    augment = bench.config.augment
    if not augment.enabled:
        return {"plain": bench.stream}
    flips = _flips(bench)
    streams = {"plain": bench.plain_stream}
    if any(flips):  # before the augmented ones: here nothing but the mirror moves, so it can be told by name
        mirrored = replace(_still(augment), flip_x=float(flips[0] > 0), flip_y=float(flips[1] > 0))
        streams["mirrored"] = bench.parts.open_stream(replace(bench.config, augment=mirrored), STREAM)
    # The transforms of a pipeline were tried alone (`data/trial.py`). Here one such as Equalize, which looks at
    # the whole picture, would change it everywhere when an object is left out.
    own = replace(bench.config, augment=replace(augment, pipeline=None))
    streams["augmented"] = bench.stream if augment.pipeline is None else bench.parts.open_stream(own, STREAM)
    return streams


def _flips(bench: Bench) -> tuple[float, float]:
    """Return the share of scenes that augmentation mirrors: across, upside down."""
    augment, generator = bench.config.augment, bench.stream.generator
    if not augment.enabled:
        return 0.0, 0.0
    across, down = augment.flip_x, augment.flip_y
    return generator.flip_x if across is None else across, generator.flip_y if down is None else down


def _mirror_causes(bench: Bench) -> list[str]:
    axes = [axis for axis, share in zip(("left and right", "top and bottom"), _flips(bench), strict=True) if share > 0]
    if not axes:
        return []
    pairs = turned_classes(bench.plain_stream, axes)
    told = ", ".join(f"{one} looks like {other} ({axis})" for one, other, axis in pairs)
    return (
        [f"mirrored, a class becomes another, and its label stays: {told}; set flip_x or flip_y to 0"] if pairs else []
    )


def _still(augment: AugmentConfig) -> AugmentConfig:
    """Return it with every part of the augmentation off."""
    changes: dict[str, Any] = {field.name: 0.0 for field in fields(augment) if field.name.endswith("_p")}
    return replace(augment, pipeline=None, **changes)


def _causes(found: _Redrawing, bench: Bench) -> list[str]:
    causes = []
    if found.unequal:
        counts = f"{found.redrawing.unequal} of {found.redrawing.scenes} scenes"
        causes.append(
            f"labels belong to another scene than the image, or are lost or doubled on the way: {counts} have more or "
            f"fewer labels than objects that were drawn ({found.name} scenes)"
        )
    if len(found.unseen) > MOST_UNSEEN * len(found.objects):
        what = f"{len(found.unseen)} of {len(found.objects)} labelled objects change no pixel"
        causes.append(f"{what}: they are not drawn, transparent, of the ground's colour, or the images are blank")
    misplaced = found.misplaced
    if found.is_misplaced:
        known = explained(misplaced, lambda index: _neighbours(bench, found.name, index))
        general = f"{len(misplaced)} of {len(found.seen)} boxes do not lie where their objects are drawn"
        causes += [f"{words} ({found.name} scenes: {general})" for words in known] or [
            f"{general} ({found.name} scenes)"
        ]
    if found.unlabelled and not causes and not found.shifted:  # a box in a wrong place leaves its object without one
        counts = f"{len(found.redrawing.unlabelled)} of {found.redrawing.scenes} scenes"
        causes.append(
            f"objects are drawn without a label: in {counts} more changes than what lies in a box when all that was "
            f"labelled is left out (objects that the border cuts, or that are covered?) ({found.name} scenes)"
        )
    return causes


def _inexact(found: _Redrawing) -> list[str]:
    """Return what is wrong with boxes that lie where their objects are, but not exactly."""
    if found.is_misplaced:
        return []
    price = f"an IoU of {found.least_iou:.2f} with the true boxes, {found.name} scenes"
    if found.shifted:
        whole = [one for one in found.seen if one.whole]
        boxes = np.stack([one.box for one in whole])
        cores = np.stack([one.core for one in whole if one.core is not None])
        return [f"{moved_or_scaled(boxes, cores)[0]} ({price})"]
    if found.loose:
        return [
            f"boxes are too large, by {found.slack[1]:.1f} px or {100 * found.slack[0]:.0f} % on the median: the box "
            f"of a turned box in place of the turned object's, or one that was never fitted ({price})"
        ]
    return []


def _neighbours(bench: Bench, name: str, index: int) -> FloatArray:
    """Return the boxes of the scenes before and after one."""
    stream = _streams(bench)[name]
    return np.concatenate([stream[one].boxes for one in (index - 1, index + 1) if one >= 0])


# --------------------------------------------------------------------------------------------------- annotated


def _borders(bench: Bench) -> tuple[Compared, list[Scene]]:
    """Return the boxes of what was annotated against other placements, and some of the scenes."""
    scenes: list[Scene] = []
    boxes: list[FloatArray] = []
    generator = bench.stream.generator
    # Only of a source of pictures: any other may have a parameter of that name.
    most = generator.count(STREAM) if isinstance(generator, Source) else None
    for index in range(min(PICTURES, most or PICTURES)):
        scene = bench.scene(index)
        painted = bench.stream.painted(index) if scene.objects else ()
        if len(painted) != len(scene.objects):
            continue
        states = label_states(scene.objects, bench.config.labels)
        rows = [number for number, own in enumerate(painted) if not own and states[number] == LABELLED]
        if rows:
            scenes.append(scene)
            boxes.append(scene.boxes[rows])
        elif index >= 8 and not scenes:
            break
    return compare(scenes, boxes) if scenes else Compared(0, 0.0, ()), scenes[:SHOWN]


def _why_not(borders: Compared) -> str:
    if borders.objects < LEAST_OBJECTS:
        return f"too few objects to tell: {borders.objects} annotated ones, fewer than {LEAST_OF_KIND} painted"
    return (
        f"objects are known by their boxes alone, and {borders.objects} boxes fit their own pictures no better "
        f"than others ({borders.strange:.1f} deviations): look at `preview`"
    )


# ---------------------------------------------------------------------------------------------------- evidence


def _picture(redrawings: Sequence[_Redrawing], scenes: Sequence[Scene]) -> NDArray[np.uint8]:
    """Return objects with their label (green) and their change (red), each beside what changed; the worst first."""
    objects = [thing for one in redrawings for thing in one.objects]
    objects.sort(key=lambda one: (one.core is not None, not (one.core is not None and one.misplaced)))
    rows = [_whole(one) for redrawing in redrawings for one in redrawing.redrawing.unlabelled[:SHOWN]]
    rows += [_pair(one) for one in _spread(objects)]
    rows += [_tile(scene.image, [(box, _LABEL) for box in scene.boxes]) for scene in scenes]
    if not rows:
        return np.full((SIDE, SIDE, 3), 32, np.uint8)
    wide = max(row.shape[1] for row in rows)
    padded = [np.pad(row, ((2, 2), (2, 2 + wide - row.shape[1]), (0, 0)), constant_values=32) for row in rows]
    if len(padded) % 2:
        padded.append(np.full_like(padded[0], 32))
    return np.vstack([np.hstack(padded[place : place + 2]) for place in range(0, len(padded), 2)])


def _spread(objects: Sequence[Redrawn]) -> Iterable[Redrawn]:
    """Return the first ones, but no more than one a scene."""
    found: dict[int, Redrawn] = {}
    for one in objects:
        found.setdefault(id(one.scene), one)
    return list(found.values())[:SHOWN]


def _pair(one: Redrawn) -> NDArray[np.uint8]:
    boxes = [(one.box, _LABEL), *([(one.core, _CHANGED)] if one.core is not None else [])]
    peak = max(int(one.change.max()), 1)
    change = (one.change.astype(np.float64) * 255 / peak).astype(np.uint8)
    return np.hstack([_tile(one.scene.image, boxes), _tile(np.repeat(change[..., None], 3, axis=2), boxes)])


def _whole(one: Unlabelled) -> NDArray[np.uint8]:
    boxes = [*((box, _LABEL) for box in one.scene.boxes), (one.box, _CHANGED)]
    change = np.repeat(one.change[..., None], 3, axis=2)
    return np.hstack([_tile(one.scene.image, boxes), _tile(change, boxes)])


def _tile(image: NDArray[np.uint8], boxes: Sequence[tuple[FloatArray, tuple[int, int, int]]]) -> NDArray[np.uint8]:
    scale = SIDE / max(image.shape[:2])
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    tile = Image.fromarray(image).resize(size, Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(tile)
    for box, colour in boxes:
        x0, y0, x1, y1 = (box * scale).tolist()
        draw.rectangle((x0, y0, max(x0, x1 - 1), max(y0, y1 - 1)), outline=colour, width=2)
    square = np.full((SIDE, SIDE, 3), 32, np.uint8)
    square[: size[1], : size[0]] = np.asarray(tile)
    return square


CHECK = Check(
    "picture",
    group="data",
    asserted="labels follow the picture: without an object, pixels change inside of its box and (nearly) none outside",
    quick=True,
    run=run,
    any_task=True,
)
