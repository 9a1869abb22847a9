"""Classes that a mirror turns into one another: an arrow to the left becomes one to the right, a b becomes a d.

Used by the check `picture`. Each object that is whole is cut out of its scene, made small, and compared with all others
by the size of their correlation, so that neither colours nor what is brighter matter. Objects whose nearest other is of
their own class are told apart by this; where the mirrored ones of such a class are nearest to one other class, which is
told apart too, and as near as its own are to each other, a mirror changes what the picture shows, and the label stays.
The nearest alone would not do: an A upside down is an M, for want of a better, but half as near.

Measured with three seeds at 96 and at 256 px: of bdpq, bd, <> and () a pair is found in each of 24 runs, of CD, CO, SZ,
25 and the ten digits none in 30. Among many letters a J turns into an L, and at times a C into a D: as good as that.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from yolo_proc.boxes import FloatArray
from yolo_proc.data.stream import Stream
from yolo_proc.scene import Scene

SIDE = 16  # px of a cutting
CUTTINGS, LEAST_CUTTINGS = 48, 8  # of a class
SCENES = 200
WHOLE = 0.99  # of an object, in the frame and to be seen
TOLD_APART = 0.7  # share of a class's cuttings
USUAL = 0.25  # quantile of how like a class's own are to each other
ALIKE = 0.98  # of that
_AXES = {"left and right": 2, "top and bottom": 1}


def turned_classes(stream: Stream, axes: Sequence[str]) -> list[tuple[str, str, str]]:
    """Return (class, the class that it becomes, axis) for each class that a mirror turns into another one.

    Args:
        stream: scenes as they are drawn, none mirrored.
        axes: those along which scenes may be mirrored, of "left and right", "top and bottom".
    """
    cuttings = {class_id: cut for class_id, cut in _cuttings(stream).items() if len(cut) >= LEAST_CUTTINGS}
    if len(cuttings) < 2:
        return []
    classes = np.repeat(list(cuttings), [len(cut) for cut in cuttings.values()])  # (N,)
    pictures = np.concatenate(list(cuttings.values()))  # (N, SIDE, SIDE)
    plain, likeness = _nearest(pictures, pictures, classes)
    usual = {one: float(np.quantile(likeness[classes == one], USUAL)) for one in cuttings}
    apart = {one: float((plain[classes == one] == one).mean()) >= TOLD_APART for one in cuttings}
    found = []
    for axis in axes:
        turned, likeness = _nearest(np.flip(pictures, _AXES[axis]), pictures, classes)
        for one in cuttings:
            others, counts = np.unique(turned[classes == one], return_counts=True)
            other = int(others[counts.argmax()])
            share = float(counts.max() / counts.sum())
            alike = float(np.median(likeness[classes == one])) >= ALIKE * usual[other]
            if other != one and share >= TOLD_APART and alike and apart[one] and apart[other]:
                found.append((stream.classes[one], stream.classes[other], axis))
    return found


def _cuttings(stream: Stream) -> dict[int, NDArray[np.float64]]:
    """Return, by class, (N, SIDE, SIDE): mean 0, length 1."""
    found: dict[int, list[NDArray[np.float64]]] = {number: [] for number in range(len(stream.classes))}
    for index in range(SCENES):
        scene = stream[index]
        for thing, box in zip(scene.objects, scene.boxes, strict=True):
            if min(thing.visible, thing.in_frame) >= WHOLE and len(found.get(thing.class_id, ())) < CUTTINGS:
                cutting = _cutting(scene, box)
                if cutting is not None and thing.class_id in found:
                    found[thing.class_id].append(cutting)
        if all(len(cut) >= CUTTINGS for cut in found.values()):
            break
    return {number: np.array(cut) for number, cut in found.items()}


def _cutting(scene: Scene, box: FloatArray) -> NDArray[np.float64] | None:
    """Return none where there is nothing to be seen."""
    picture = Image.fromarray(scene.image).convert("L").resize((SIDE, SIDE), Image.Resampling.BOX, tuple(box.tolist()))
    values = np.asarray(picture, dtype=np.float64)
    values = values - values.mean()
    length = float(np.linalg.norm(values))
    return values / length if length > 1 else None


def _nearest(
    asked: NDArray[np.float64], known: NDArray[np.float64], classes: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return (N,) for each the class of the known one that is most like it, itself left out; (N,) how like it is, 0 to
    1.
    """
    likeness = np.abs(asked.reshape(len(asked), -1) @ known.reshape(len(known), -1).T)  # (N, N)
    np.fill_diagonal(likeness, -1.0)
    return classes[likeness.argmax(axis=1)], likeness.max(axis=1)
