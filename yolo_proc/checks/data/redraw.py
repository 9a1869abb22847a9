"""Finds the pixels that change when one object is left out, and measures them against that object's box.

Used by the check `picture`. Lengths are pixels; what changes is the largest difference over the three channels.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from yolo_proc.boxes import FloatArray
from yolo_proc.data.stream import Stream
from yolo_proc.scene import Scene

LEAST_PEAK = 8  # grey levels: a smaller change is no object to be seen
# What is drawn covers a pixel at the border of its shape by half, on the mean; what is pasted counts from there on too.
HALF = 0.5
TOUCHED = 0.15  # of the peak: above what JPEG at quality 40 leaves around an object
OUTSIDE, OUTSIDE_SHARE = 2.5, 0.08  # px, and share of the longer side: a change beyond both is outside of a box
STRAY, STRAY_PIXELS = 0.3, 12  # share of the peak, and how many pixels of it, that are an object of their own
SCENES_TRIED = 60

Placement = Callable[[FloatArray, tuple[int, int]], FloatArray]  # (boxes, (width, height) of the frame) -> boxes


@dataclass(frozen=True)
class Redrawn:
    """One object of a scene, and what changed without it.

    Attributes:
        box: its label's.
        core: box of what changed by at least half of the peak; touched: of what changed at all. None: too little did.
        whole: nothing covers it.
        others: (M, 4) boxes of the scene's other objects.
    """

    scene: Scene
    index: int
    number: int
    box: FloatArray
    core: FloatArray | None
    touched: FloatArray | None
    change: NDArray[np.uint8]
    whole: bool
    others: FloatArray

    @property
    def room(self) -> float:
        """How far a change may reach beyond the box."""
        return _room(self.box)

    @property
    def outside(self) -> float:
        """How far the change reaches beyond the box."""
        assert self.core is not None
        return float(np.concatenate([self.box[:2] - self.core[:2], self.core[2:] - self.box[2:]]).max())

    @property
    def short(self) -> float:
        """How far the change stays inside of the box, where nothing covers the object."""
        assert self.touched is not None
        away = np.concatenate([self.touched[:2] - self.box[:2], self.box[2:] - self.touched[2:]])
        return float(away.max()) if self.whole else 0.0

    @property
    def misplaced(self) -> bool:
        """Whether the label is elsewhere than what it labels, or of another size."""
        return self.outside > self.room or self.short > 2 * self.room


@dataclass(frozen=True)
class Unlabelled:
    """A scene that shows an object which no label tells of.

    Attributes:
        change: without all objects, (H, W); box: of what changed beyond the labels' boxes.
    """

    scene: Scene
    change: NDArray[np.uint8]
    box: FloatArray


@dataclass
class Redrawing:
    """Scenes whose objects were left out one by one.

    Attributes:
        scenes: that were drawn; unequal: those that have more or fewer labels than objects.
        unlabelled: those where more than what lies in a box is gone when all that was labelled is left out.
    """

    objects: list[Redrawn]
    scenes: int = 0
    unequal: int = 0
    unlabelled: list[Unlabelled] = field(default_factory=list)


def redraw(stream: Stream, wanted: int, least_visible: float) -> Redrawing:
    """Leave out painted objects of a stream's first scenes, at least `wanted` of them if there are as many.

    Args:
        least_visible: objects of which less is to be seen are not asked for; their change says little.
    """
    found = Redrawing([])
    for index in range(SCENES_TRIED):
        scene = stream[index]
        painted = stream.painted(index)
        found.scenes += 1
        if len(painted) != len(scene.objects):
            found.unequal += 1
            continue
        stray = _unlabelled(scene, stream.bare(index))
        if stray is not None:
            found.unlabelled.append(stray)
        for number, thing in enumerate(scene.objects):
            if painted[number] and thing.visible >= max(least_visible, 0.5) and thing.in_frame > 0.5:
                found.objects.append(_compared(scene, stream.without(index, number), index, number))
        if len(found.objects) >= wanted:
            break
    return found


def _room(box: FloatArray) -> float:
    """Return how far a change may reach beyond a box (4,)."""
    return max(OUTSIDE, OUTSIDE_SHARE * float((box[2:] - box[:2]).max()))


def _change(scene: Scene, other: Scene) -> NDArray[np.uint8]:
    """Return (H, W) grey levels."""
    high, low = np.maximum(scene.image, other.image), np.minimum(scene.image, other.image)
    change: NDArray[np.uint8] = (high - low).max(axis=2)
    return change


def _unlabelled(scene: Scene, bare: Scene) -> Unlabelled | None:
    """Return what else is gone when all that was labelled is, if there is any."""
    change = _change(scene, bare)
    least = max(STRAY * float(change.max()), 2 * LEAST_PEAK)
    beyond = change.copy()
    for box in np.concatenate([scene.boxes, scene.ignore]):
        room = _room(box)
        x0, y0 = np.floor(box[:2] - room).astype(int).clip(0)
        x1, y1 = np.ceil(box[2:] + room).astype(int)
        beyond[y0:y1, x0:x1] = 0
    if int((beyond >= least).sum()) < STRAY_PIXELS:
        return None
    return Unlabelled(scene, change, _extent(beyond, least))


def _compared(scene: Scene, without: Scene, index: int, number: int) -> Redrawn:
    change = _change(scene, without)
    peak = float(change.max())
    seen = peak >= LEAST_PEAK
    thing = scene.objects[number]
    boxes = scene.boxes
    return Redrawn(
        scene,
        index,
        number,
        boxes[number],
        _extent(change, HALF * peak) if seen else None,
        _extent(change, max(TOUCHED * peak, LEAST_PEAK / 2)) if seen else None,
        change,
        thing.visible >= 0.999,
        np.delete(boxes, number, axis=0),
    )


def _extent(change: NDArray[np.uint8], least: float) -> FloatArray:
    """Return the box (4,) of the pixels that changed by at least so much."""
    mask = change >= least
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], dtype=np.float64)


# ------------------------------------------------------------------------------------------------------ causes

_MIRRORED = "labels are not mirrored with the image"
HYPOTHESES: Mapping[str, Placement] = {
    f"{_MIRRORED} (left and right)": lambda boxes, frame: mirrored(boxes, frame, across=True, down=False),
    f"{_MIRRORED} (top and bottom)": lambda boxes, frame: mirrored(boxes, frame, across=False, down=True),
    f"{_MIRRORED} (both ways)": lambda boxes, frame: mirrored(boxes, frame, across=True, down=True),
    "x and y of the boxes are swapped": lambda boxes, _: boxes[:, [1, 0, 3, 2]],
}


def mirrored(boxes: FloatArray, frame: tuple[int, int], *, across: bool, down: bool) -> FloatArray:
    """Return boxes (N, 4) mirrored in a frame (width, height)."""
    found = boxes.copy()
    if across:
        found[:, [0, 2]] = frame[0] - boxes[:, [2, 0]]
    if down:
        found[:, [1, 3]] = frame[1] - boxes[:, [3, 1]]
    return found


def explained(objects: Sequence[Redrawn], neighbours: Callable[[int], FloatArray]) -> list[str]:
    """Return what most of some misplaced objects have in common; empty where it is nothing that is known.

    Args:
        neighbours: (index of a scene) -> (M, 4) boxes of the scenes beside it.
    """
    boxes = np.stack([one.box for one in objects])
    cores = np.stack([one.core for one in objects if one.core is not None])
    rooms = np.array([one.room for one in objects]) + 1
    height, width = objects[0].scene.image.shape[:2]

    def explains(candidates: FloatArray) -> bool:
        return bool((np.abs(candidates - cores).max(axis=1) <= rooms).mean() > 0.6)

    for words, change in HYPOTHESES.items():
        if explains(change(boxes, (width, height))):
            return [words]
    if explains(_nearest(cores, [one.others for one in objects])):
        return ["labels of a scene are in another order than its objects"]
    if explains(_nearest(cores, [neighbours(one.index) for one in objects])):
        return ["labels belong to another scene than the image: the two are numbered in two ways"]
    words, moved = moved_or_scaled(boxes, cores)
    if explains(moved):
        return [words]
    growth = np.median((boxes[:, 2:] - boxes[:, :2]) - (cores[:, 2:] - cores[:, :2]), axis=0)
    centred = np.abs((boxes - cores).reshape(-1, 2, 2).mean(axis=1)).max(axis=1) <= rooms
    if centred.mean() > 0.6 and growth.max() > 0:
        return [
            f"boxes are too large, by {growth[0]:.1f} and {growth[1]:.1f} px on the median: the box of a turned box "
            "in place of the turned object's, or one that was never fitted"
        ]
    if centred.mean() > 0.6 and growth.min() < 0:
        return [f"boxes are too small, by {-growth[0]:.1f} and {-growth[1]:.1f} px on the median"]
    return []


def moved_or_scaled(boxes: FloatArray, cores: FloatArray) -> tuple[str, FloatArray]:
    """Return the shift or the factor, whichever fits better, that leads from boxes (N, 4) to changes (N, 4).

    Returns the words, and the boxes after it.
    """
    shift = np.median((cores - boxes).reshape(-1, 2, 2).mean(axis=1), axis=0)
    moved = boxes + np.tile(shift, 2)
    ends, wanted = boxes.reshape(-1, 2), cores.reshape(-1, 2)
    scale = (ends * wanted).sum(axis=0) / np.maximum((ends**2).sum(axis=0), 1e-9)
    scaled = boxes * np.tile(scale, 2)
    off_scaled, off_moved = (float(np.median(np.abs(one - cores).max(axis=1))) for one in (scaled, moved))
    if off_scaled < 0.8 * off_moved:  # a shift below a pixel fits either way
        told = f"{1 / scale[0]:.3g} x and {1 / scale[1]:.3g} x"
        return f"boxes are of a picture of another size: their coordinates are {told} the image's", scaled
    return f"boxes are shifted by ({-shift[0]:.1f}, {-shift[1]:.1f}) px against the image", moved


def _nearest(cores: FloatArray, others: Sequence[FloatArray]) -> FloatArray:
    """Return (N, 4) for each change the nearest of some boxes; far away where there is none."""
    found = np.full_like(cores, np.inf)
    for number, (core, boxes) in enumerate(zip(cores, others, strict=True)):
        if len(boxes):
            found[number] = boxes[np.abs(boxes - core).max(axis=1).argmin()]
    return found
