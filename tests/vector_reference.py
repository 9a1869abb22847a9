"""What the golden vectors say, worked out without the code that they check.

Activations and boxes with 50 decimal digits, rounded once to a double; suppression and assignment by plain loops.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal, localcontext

import numpy as np
from codec_reference import make_batch, reference_assign, reference_nms, slot_table
from vector_model import FIELDS, GRIDS, HEIGHT, SLOTS, WIDTH

from yolo_proc.config.schema import LabelConfig

DIGITS = 50
SIZE_LOW, SIZE_HIGH = Decimal(-20), Decimal("9.2")
FAR = Decimal(10_000)  # beyond it a sigmoid is 0 or 1 in any double, and e^t would leave what Decimal can hold


def _sigmoid(t: Decimal) -> Decimal:
    return 1 / (1 + (-_within(t, -FAR, FAR)).exp())


def _within(value: Decimal, low: Decimal, high: Decimal) -> Decimal:
    return min(max(value, low), high)


def _activated(row: Iterable[float]) -> list[Decimal]:
    x, y, w, h, j, *scores = (Decimal(float(value)) for value in row)
    powers = [(score - max(scores)).exp() for score in scores]
    sizes = [_within(side, SIZE_LOW, SIZE_HIGH).exp() for side in (w, h)]
    return [_sigmoid(x), _sigmoid(y), *sizes, _sigmoid(j), *(power / sum(powers) for power in powers)]


def activate(logits: np.ndarray) -> np.ndarray:
    """(K, 5 + C) -> float64."""
    with localcontext(prec=DIGITS):
        return np.array([[float(value) for value in _activated(row)] for row in logits]).reshape(-1, FIELDS)


def _logit(p: Decimal) -> Decimal:
    return (p / (1 - p)).ln()


def _deactivated(row: Iterable[float]) -> list[Decimal]:
    x, y, w, h, j, *classes = (Decimal(float(value)) for value in row)
    edge, far = Decimal(2) ** -20, Decimal(20)
    centre = [_logit(_within(v, edge, 1 - edge)) for v in (x, y)]
    sizes = [_within(side.ln(), SIZE_LOW, SIZE_HIGH) if side > 0 else SIZE_LOW for side in (w, h)]
    sure = far if j >= 1 else -far if j <= 0 else _within(_logit(j), -far, far)
    scores = [_within(far + p.ln(), Decimal(0), far) if p > 0 else Decimal(0) for p in classes]
    return [*centre, *sizes, sure, *scores]


def deactivate(predictions: np.ndarray) -> np.ndarray:
    """(K, 5 + C) -> float64."""
    with localcontext(prec=DIGITS):
        return np.array([[float(value) for value in _deactivated(row)] for row in predictions]).reshape(-1, FIELDS)


def decode(
    outputs: np.ndarray, confidence: float, max_candidates: int, *, activated: bool = False
) -> dict[str, np.ndarray]:
    """The candidates of one picture's outputs (S, 5 + C), in order, boxes not clipped."""
    rows, table = [], slot_table(GRIDS)
    with localcontext(prec=DIGITS):
        for slot in sorted(range(SLOTS), key=lambda slot: -outputs[slot, 4]):  # sorted is stable
            if not _is_sure(float(outputs[slot, 4]), confidence, activated):
                continue
            grid, column, row, (anchor_w, anchor_h) = table[slot]
            given = outputs[slot]
            x, y, w, h, j = (list(map(Decimal, map(float, given))) if activated else _activated(given))[:5]
            cx, cy = (x + column) * grid.stride, (y + row) * grid.stride
            half_w, half_h = w * Decimal(anchor_w) / 2, h * Decimal(anchor_h) / 2
            box = [float(side) for side in (cx - half_w, cy - half_h, cx + half_w, cy + half_h)]
            scores = given[5:].tolist()
            rows.append((slot, box, float(j), scores.index(max(scores))))
    return _columns(rows[:max_candidates])


def _is_sure(j: float, confidence: float, activated: bool) -> bool:
    if activated or confidence in (0, 1):
        return j >= confidence if activated else confidence == 0
    return Decimal(j) >= _logit(Decimal(confidence))


def _columns(rows: Sequence[tuple[int, list[float], float, int]]) -> dict[str, np.ndarray]:
    return {
        "slots": np.array([row[0] for row in rows], np.int32),
        "boxes": np.array([row[1] for row in rows], np.float64).reshape(-1, 4),
        "confidences": np.array([row[2] for row in rows], np.float64),
        "class_ids": np.array([row[3] for row in rows], np.int32),
    }


def suppress(candidates: dict[str, np.ndarray], nms: str, max_iou: float, max_detections: int) -> dict[str, np.ndarray]:
    """What stays of the candidates, boxes clipped to the frame."""
    boxes = candidates["boxes"].tolist()
    classes = candidates["class_ids"].tolist() if nms == "class" else None
    kept = np.array(reference_nms(boxes, classes, max_iou, max_detections), np.int64)
    found = {key: values[kept] for key, values in candidates.items()}
    found["boxes"] = np.array([clipped(box, WIDTH, HEIGHT) for box in found["boxes"]]).reshape(-1, 4)
    return found


def clipped(box: Iterable[float], width: float, height: float) -> list[float]:
    """A box xyxy inside a frame."""
    return [min(max(float(v), 0.0), float(limit)) for v, limit in zip(box, (width, height) * 2, strict=True)]


def boxes_to_picture(boxes: np.ndarray, picture: tuple[int, int], frame: tuple[int, int]) -> np.ndarray:
    """(n, 4) network pixels -> (n, 4) picture pixels, clipped to the picture."""
    w, h = picture
    place = letterbox_place(picture, frame)
    rows = []
    with localcontext(prec=DIGITS):
        for box in boxes:
            x0, y0, x1, y1 = (Decimal(float(v)) for v in box)
            back = [(x - place["left"]) * w / place["nw"] for x in (x0, x1)]
            down = [(y - place["top"]) * h / place["nh"] for y in (y0, y1)]
            rows.append(clipped([float(v) for v in (back[0], down[0], back[1], down[1])], w, h))
    return np.array(rows, np.float64).reshape(-1, 4)


def letterbox_place(picture: tuple[int, int], frame: tuple[int, int]) -> dict[str, int]:
    """left, top, nw, nh."""
    (w, h), (width, height) = picture, frame
    r = min(width / w, height / h)
    nw, nh = (min(max(int(side * r + 0.5), 1), limit) for side, limit in ((w, width), (h, height)))
    return {"left": (width - nw) // 2, "top": (height - nh) // 2, "nw": nw, "nh": nh}


def assign(
    objects: Sequence[tuple[tuple[float, ...], int, float, float, float]],
    ignore: Sequence[tuple[float, ...]],
    limits: LabelConfig,
) -> tuple[np.ndarray, dict[str, int]]:
    """Dense targets float32 (S, 5 + C) of objects (box, class, confidence, visible, in_frame), and what was dropped."""
    batch = make_batch(1, [(0, *thing) for thing in objects], [(0, box) for box in ignore], (WIDTH, HEIGHT))
    found, ignored, dropped = reference_assign(GRIDS, batch, limits)
    targets = np.zeros((SLOTS, FIELDS), np.float32)
    for _, slot in ignored:
        targets[slot, 4] = -1
    for (_, slot), (class_id, x, y, w, h, *_) in found.items():
        targets[slot, :5] = x, y, w, h, 1
        targets[slot, 5 + class_id] = 1
    return targets, dropped
