"""Outlines as keypoints: what a user's pipeline carries along with the pixels, and what comes back."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from yolo_proc.annotations.polygons import clipped_polygon
from yolo_proc.boxes import FloatArray, clip_xyxy
from yolo_proc.scene import SceneObject


def corners(box: Sequence[float]) -> FloatArray:
    """Return a box, left, upper, right and lower edge, as a ring (4, 2)."""
    x0, y0, x1, y1 = box
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])


def visible_outline(thing: SceneObject, width: int, height: int) -> FloatArray:
    """Return what of an object's outline (K, 2) is on the picture: a pipeline has no more to move."""
    if thing.outline is None:
        return corners(thing.box)
    points = thing.outline
    if ((points >= 0) & (points <= (width, height))).all():
        return points
    clipped = clipped_polygon([(x, y) for x, y in points.tolist()], width, height)
    return np.array(clipped) if clipped else corners(thing.box)


def to_keypoints(points: FloatArray) -> NDArray[np.float32]:
    """Return points in albumentations' units: its pixel 0 has its centre at 0, ours at 0.5."""
    return (points - 0.5).astype(np.float32)


def from_keypoints(points: Any) -> FloatArray:
    """Return albumentations' keypoints as points (K, 2) of ours, pixels."""
    return np.asarray(points, dtype=np.float64).reshape(-1, 2) + 0.5


def box_of(ring: FloatArray, mask: NDArray[np.uint8]) -> FloatArray:
    """Return the box (4,) of a ring, clipped to the picture."""
    height, width = mask.shape[:2]
    bounds = np.concatenate([ring.min(axis=0), ring.max(axis=0)])
    return np.asarray(clip_xyxy(bounds[None], width, height)[0])


def shown_share(ring: FloatArray, box: FloatArray, mask: NDArray[np.uint8]) -> float:
    """Return the share of a ring's pixels in the picture that show the scene."""
    x0, y0 = np.floor(box[:2]).astype(int).tolist()
    x1, y1 = np.ceil(box[2:]).astype(int).tolist()
    part = mask[y0:y1, x0:x1]
    if part.all():
        return 1.0
    own = np.zeros(part.shape, np.uint8)
    cv2.fillPoly(own, [np.rint(ring - (x0, y0) - 0.5).astype(np.int32)], (1,))
    total = int(own.sum())
    return int((own & (part > 0)).sum()) / total if total else 1.0


def signed_area(ring: FloatArray) -> float:
    """Return the area within a ring (K, 2), negative where it runs the other way round (the shoelace formula)."""
    if len(ring) < 3:
        return 0.0
    x, y = ring[:, 0], ring[:, 1]
    return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2
