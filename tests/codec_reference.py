"""What the codec and the loss must give, as plain loops, and batches to try them on."""

import math

import numpy as np
import torch

from yolo_proc.batch import Batch
from yolo_proc.detection.codec import Grid

ONE_GRID = (Grid(16, 6, 4, ((30.0, 30.0),)),)
TWO_ANCHORS = (Grid(16, 6, 4, ((20.0, 40.0), (40.0, 20.0))),)  # a square of 40 ties
THREE_GRIDS = (
    Grid(8, 12, 8, ((10.0, 14.0), (14.0, 10.0))),
    Grid(16, 6, 4, ((24.0, 24.0),)),
    Grid(32, 3, 2, ((40.0, 40.0), (24.0, 24.0), (60.0, 50.0))),  # (24, 24) again: the lower index wins
)
ALL_GRIDS = {"one": ONE_GRID, "two anchors": TWO_ANCHORS, "three": THREE_GRIDS}
WIDTH, HEIGHT = 96, 64  # of all of them


def make_batch(count, objects=(), ignore=(), frame=(WIDTH, HEIGHT)):
    """A batch of `count` empty pictures; objects: (image, xyxy, class, confidence, visible, in_frame), the last
    three 1 where left out; ignore: (image, xyxy)."""
    rows = [(*row, *[1.0] * (6 - len(row))) for row in objects]
    return Batch(
        images=torch.zeros((count, frame[1], frame[0], 3), dtype=torch.uint8),
        indices=np.arange(count),
        image_ids=np.array([row[0] for row in rows], dtype=np.int64),
        box_xyxy=np.array([row[1] for row in rows], dtype=np.float64).reshape(-1, 4),
        class_ids=np.array([row[2] for row in rows], dtype=np.int64),
        confidence=np.array([row[3] for row in rows], dtype=np.float64),
        visible=np.array([row[4] for row in rows], dtype=np.float64),
        in_frame=np.array([row[5] for row in rows], dtype=np.float64),
        ignore_image_ids=np.array([row[0] for row in ignore], dtype=np.int64),
        ignore_xyxy=np.array([row[1] for row in ignore], dtype=np.float64).reshape(-1, 4),
    )


def random_batch(seed, count=3, most=12, classes=3):
    """Crowded scenes on a raster of half pixels, so that borders, ties and taken slots are met."""
    rng = np.random.default_rng(seed)
    objects, ignore = [], []
    for image in range(count):
        for _ in range(rng.integers(0, most + 1)):
            objects.append((image, _random_box(rng), int(rng.integers(classes)), *_random_shares(rng)))
        ignore += [(image, _random_box(rng)) for _ in range(rng.integers(0, 2))]
    return make_batch(count, objects, ignore)


def _random_box(rng):
    x = np.sort(rng.choice(2 * WIDTH + 1, 2, replace=False)) / 2
    y = np.sort(rng.choice(2 * HEIGHT + 1, 2, replace=False)) / 2
    return (x[0], y[0], x[1], y[1])


def _random_shares(rng):
    confidence = rng.choice([0.5, 0.9, 1.0])
    visible, in_frame = rng.choice([0.39, 0.4, 1.0], 2, p=[0.1, 0.1, 0.8])
    return float(confidence), float(visible), float(in_frame)


def slot_table(grids):
    """[(grid, column, row, anchor)] in the order of the slots."""
    return [
        (grid, column, row, anchor)
        for grid in grids
        for row in range(grid.rows)
        for column in range(grid.columns)
        for anchor in grid.anchors
    ]


def reference_assign(grids, batch, limits):
    """({(image, slot): (class, x, y, w, h, stride / width, stride / height)}, ignored (image, slot)s, dropped)."""
    table = slot_table(grids)
    dropped = {"slot_taken": 0, "min_in_frame": 0, "min_visible": 0, "min_box_px": 0}
    found, ignored_boxes = {}, list(zip(batch.ignore_image_ids.tolist(), batch.ignore_xyxy.tolist(), strict=True))
    numbers = sorted(range(len(batch.class_ids)), key=lambda n: -batch.confidence[n])  # sorted is stable
    for n in numbers:
        image, (x0, y0, x1, y1) = int(batch.image_ids[n]), batch.box_xyxy[n].tolist()
        reason = None
        if batch.in_frame[n] < limits.min_in_frame:
            reason = "min_in_frame"
        elif batch.visible[n] < limits.min_visible:
            reason = "min_visible"
        elif x1 - x0 < limits.min_box_px or y1 - y0 < limits.min_box_px:
            reason = "min_box_px"
        else:
            slot = _reference_slot(table, x0, y0, x1, y1)
            if (image, slot) in found:
                reason = "slot_taken"
        if reason:
            dropped[reason] += 1
            ignored_boxes.append((image, (x0, y0, x1, y1)))
            continue
        grid, column, row, (anchor_w, anchor_h) = table[slot]
        found[image, slot] = (
            int(batch.class_ids[n]),
            (x0 + x1) / 2 / grid.stride - column,
            (y0 + y1) / 2 / grid.stride - row,
            (x1 - x0) / anchor_w,
            (y1 - y0) / anchor_h,
            grid.stride / (x1 - x0),
            grid.stride / (y1 - y0),
        )
    ignored = set()
    for image, (x0, y0, x1, y1) in ignored_boxes:
        for slot, (grid, column, row, _) in enumerate(table):
            cx, cy = (column + 0.5) * grid.stride, (row + 0.5) * grid.stride
            if x0 <= cx < x1 and y0 <= cy < y1 and (image, slot) not in found:
                ignored.add((image, slot))
    return found, ignored, dropped


def _reference_slot(table, x0, y0, x1, y1):
    best, best_iou = None, -1.0
    width, height = x1 - x0, y1 - y0
    for slot, (grid, column, row, (anchor_w, anchor_h)) in enumerate(table):
        if column != (x0 + x1) / 2 // grid.stride or row != (y0 + y1) / 2 // grid.stride:
            continue
        shared = min(width, anchor_w) * min(height, anchor_h)
        iou = shared / (width * height + anchor_w * anchor_h - shared)
        if iou > best_iou:
            best, best_iou = slot, iou
    return best


def reference_overlap(a, b, max_iou):
    """Whether two boxes xyxy cannot both stay."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0.0) * max(height, 0.0)
    return shared >= max_iou * ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def reference_nms(boxes, classes, max_iou, max_detections):
    """Indices of the boxes that stay."""
    kept = []
    for n, box in enumerate(boxes):
        rivals = [k for k in kept if classes is None or classes[k] == classes[n]]
        if not any(reference_overlap(boxes[k], box, max_iou) for k in rivals):
            kept.append(n)
    return kept[:max_detections]


def reference_decode(grids, logits, config):
    """[(slot, class, confidence, box xyxy)] of one image's logits (S, 5 + C)."""
    rows = []
    for slot, (grid, column, row, (anchor_w, anchor_h)) in enumerate(slot_table(grids)):
        x, y, w, h, j, *scores = (float(value) for value in logits[slot])
        if j < math.log(config.confidence / (1 - config.confidence)):
            continue
        cx, cy = (_sigmoid(x) + column) * grid.stride, (_sigmoid(y) + row) * grid.stride
        width = math.exp(min(max(w, -20), 9.2)) * anchor_w
        height = math.exp(min(max(h, -20), 9.2)) * anchor_h
        box = (cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2)
        rows.append((-j, slot, scores.index(max(scores)), box))
    rows = sorted(rows)[: config.max_candidates]
    classes = [row[2] for row in rows] if config.nms == "class" else None
    kept = reference_nms([row[3] for row in rows], classes, config.max_iou, config.max_detections)
    found = []
    for j, slot, class_id, (x0, y0, x1, y1) in (rows[k] for k in kept):
        clipped = (max(x0, 0.0), max(y0, 0.0), min(x1, WIDTH), min(y1, HEIGHT))
        found.append((slot, class_id, _sigmoid(-j), clipped))
    return found


def _sigmoid(t):
    return 1 / (1 + math.exp(-t)) if t > -700 else 0.0


def reference_loss(logits, assigned):
    """{term: (sum, count)} of logits (B, S, 5 + C) and what `reference_assign` gave."""
    found, ignored, _ = assigned
    sums = {term: [0.0, 0] for term in ("class", "obj_f", "obj_t", "wh", "xy")}

    def add(term, value):
        sums[term][0] += value
        sums[term][1] += 1

    for image in range(len(logits)):
        for slot in range(len(logits[image])):
            x, y, w, h, j, *scores = (float(value) for value in logits[image][slot])
            if (image, slot) in found:
                class_id, vx, vy, vw, vh, over_w, over_h = found[image, slot]
                add("class", -math.log(math.exp(scores[class_id]) / sum(math.exp(score) for score in scores)))
                add("obj_t", -math.log(_sigmoid(j)))
                add("wh", (w - math.log(vw)) ** 2)
                add("wh", (h - math.log(vh)) ** 2)
                add("xy", ((_sigmoid(x) - vx) * over_w) ** 2)
                add("xy", ((_sigmoid(y) - vy) * over_h) ** 2)
            elif (image, slot) not in ignored:
                add("obj_f", -math.log(1 - _sigmoid(j)))
    return {term: tuple(pair) for term, pair in sums.items()}
