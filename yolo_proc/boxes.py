"""Boxes: float64 arrays of shape (N, 4); the format stands in every name. And the types of arrays that all share.

xyxy    x0, y0, x1, y1   half-open pixels: a box of one pixel at the origin is 0, 0, 1, 1
cxcywh  centre x, centre y, width, height
xywh    x0, y0, width, height
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
RgbImage = NDArray[np.uint8]  # (H, W, 3), red first


def as_boxes(boxes: ArrayLike) -> FloatArray:
    """Return `boxes` as float64 (N, 4); an empty sequence gives (0, 4)."""
    return np.asarray(boxes, dtype=np.float64).reshape(-1, 4)


def xyxy_to_cxcywh(xyxy: ArrayLike) -> FloatArray:
    """Return (N, 4) xyxy -> (N, 4) cxcywh."""
    boxes = as_boxes(xyxy)
    return np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], axis=1)


def cxcywh_to_xyxy(cxcywh: ArrayLike) -> FloatArray:
    """Return (N, 4) cxcywh -> (N, 4) xyxy."""
    boxes = as_boxes(cxcywh)
    half = boxes[:, 2:] / 2
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)


def xyxy_to_xywh(xyxy: ArrayLike) -> FloatArray:
    """Return (N, 4) xyxy -> (N, 4) xywh."""
    boxes = as_boxes(xyxy)
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)


def clip_xyxy(xyxy: ArrayLike, width: float, height: float) -> FloatArray:
    """Return boxes clipped to the frame [0, width] x [0, height]; one wholly outside has zero area."""
    return np.clip(as_boxes(xyxy), 0.0, np.array([width, height, width, height], dtype=np.float64))


def area_xyxy(xyxy: ArrayLike) -> FloatArray:
    """Return (N,) areas; 0 where corners are swapped."""
    sides = np.diff(as_boxes(xyxy).reshape(-1, 2, 2), axis=1)[:, 0].clip(min=0.0)  # (N, 2)
    return np.asarray(sides[:, 0] * sides[:, 1])


def intersection_xyxy(a: ArrayLike, b: ArrayLike) -> FloatArray:
    """Return (N, M) areas of the intersections of N with M boxes."""
    left, right = as_boxes(a).T[:, :, None], as_boxes(b).T[:, None, :]  # (4, N, 1), (4, 1, M): the axes last are long
    width = np.minimum(left[2], right[2]) - np.maximum(left[0], right[0])  # (N, M)
    height = np.minimum(left[3], right[3]) - np.maximum(left[1], right[1])
    return np.asarray(np.maximum(width, 0.0) * np.maximum(height, 0.0))


def iou_xyxy(a: ArrayLike, b: ArrayLike) -> FloatArray:
    """Return (N, M) intersection over union; 0 where the union is empty."""
    intersection = intersection_xyxy(a, b)
    union = area_xyxy(a)[:, None] + area_xyxy(b)[None, :] - intersection
    return np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0)


def iou_wh(a: ArrayLike, b: ArrayLike) -> FloatArray:
    """Return (N, M) IoU of shapes: boxes of sizes a (N, 2) and b (M, 2), all centred at one point."""
    left = np.asarray(a, dtype=np.float64).reshape(-1, 1, 2)
    right = np.asarray(b, dtype=np.float64).reshape(1, -1, 2)
    intersection = np.minimum(left, right).prod(axis=-1)
    union = left.prod(axis=-1) + right.prod(axis=-1) - intersection
    return np.asarray(np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0))
