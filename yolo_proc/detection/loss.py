"""The loss: raw logits and targets in, named sums and counts out. The only place that sees both.

Letters: B images, S slots of an image, C classes, N objects with a slot.

    class   cross-entropy of the class logits                          over object slots
    obj_f   binary cross-entropy of J with 0                           over empty slots
    obj_t   binary cross-entropy of J with 1                           over object slots
    wh      (t - ln(side / anchor))^2                                  over both sides of object slots
    xy      ((sigmoid(t) - v) * stride / side)^2                       over both coordinates of object slots

`wh` and `xy` are means over the two coordinates too: each coordinate counts as one, so their counts are 2 N.
`xy` is the error in units of the object's own side, so it means the same at every stride. No term speaks of an
ignored slot. The total is exactly the weighted sum of the terms.

Besides the loss, and no part of it, training minimises an auxiliary loss so that an image teaches more:
`overlap_loss` and `auxiliary_loss`. Both judge a box as a whole, by `one_minus_giou`.

Terms travel as (sum, count), see `task.mean_terms`: a batch without objects counts for nothing.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from yolo_proc.config.schema import LossConfig
from yolo_proc.detection.codec import CLASSES, SIZE_LOGIT_HIGH, SIZE_LOGIT_LOW, J, Targets, TensorTargets, W, X
from yolo_proc.detection.grids import Grid

TERMS = ("class", "obj_f", "obj_t", "wh", "xy")


def detection_terms(logits: Tensor, targets: Targets | TensorTargets) -> dict[str, tuple[Tensor, Tensor]]:
    """Return {term: (sum, count)}, scalars, differentiable in the logits; float32 whatever autocast says.

    Args:
        logits: (B, S, 5 + C) raw, of any float type; float64 is computed in float64 (to check gradients).
        targets: of the same batch; `Targets.to` puts them on the device ahead of time.
    """
    # Objects and ignored slots are distinct, so the empty ones need no counting on the device.
    empty = logits.shape[0] * logits.shape[1] - len(targets.image) - len(targets.ignored_image)
    terms = {}
    for term, (values, _) in _elements(logits, targets).items():
        terms[term] = values.sum(), values.new_full((), empty if term == "obj_f" else values.numel())
    return terms


def term_weights(config: LossConfig) -> dict[str, float]:
    """Return {term: its weight in the total}."""
    return {term: getattr(config, f"weight_{term}") for term in TERMS}


# How far from its centre an object's cells reach, as a share of its sides; and at least, in cells.
REACH, LEAST_REACH = 0.35, 0.75
# ln of how many times larger or smaller than its object a box is judged to be, at most: far from any overflow.
MOST_LOG = 10.0


def one_minus_giou(places: Tensor, logs: Tensor) -> Tensor:
    """Return 1 - GIoU of boxes and their objects (Rezatofighi et al., "Generalized intersection over union", 2019);
    (...).

    With I for the area that both share, U for that of either and H for that of the smallest box around both, GIoU is
    I / U - (H - U) / H, so this is 2 - I / U - U / H: 0 for the object's own box, 2 for one far away. Near the object
    it slopes as much as elsewhere, where a square is flat: that is what small errors are worth in IoU. And a box that
    shares nothing with its object is still drawn towards it.

    Args:
        places: (..., 2) the box's centre less the object's, in units of the object's sides.
        logs: (..., 2) ln(side of the box / side of the object), clipped to +-`MOST_LOG`.
    """
    halves = logs.clamp(-MOST_LOG, MOST_LOG).exp() / 2  # the object itself is the unit square around 0
    low, high = places - halves, places + halves
    shared = (high.clamp(max=0.5) - low.clamp(min=-0.5)).clamp(min=0).prod(-1)
    union = (2 * halves).prod(-1) + 1 - shared
    hull = (high.clamp(min=0.5) - low.clamp(max=-0.5)).prod(-1)
    return 2 - shared / union - union / hull


def overlap_loss(logits: Tensor, targets: TensorTargets) -> Tensor:
    """Return a scalar for training alone: the mean over objects with a slot of 1 - GIoU of the box that the slot says.

    `wh` and `xy` hardly slope any more where a box is off by a fiftieth of its side, which mAP at high IoU still sees.

    Args:
        logits: (B, S, 5 + C) raw, float32 or float64.
        targets: of the same batch.
    """
    places, logs = _box_errors(logits[targets.image, targets.slot], targets)
    return one_minus_giou(places, logs).sum() / max(1, len(targets.slot))


def auxiliary_loss(values: Tensor, targets: TensorTargets, grids: Sequence[Grid]) -> Tensor:
    """Return a scalar for training alone: each cell near an object's centre is to say where that is, and how large the
    object.

    An image has few objects, and of each a single slot learns its box. That more cells learn it too is worth as much as
    a larger batch (Liu et al., "Training-Time-Friendly Network for Real-Time Object Detection", 2020), and it costs
    next to nothing; what they say is not used afterwards.

    The value of a cell: the place of the object's centre seen from its own centre, in units of a reference; and
    ln(side / reference), where the reference (w, h) is the geometric mean of the grid's anchors. The loss is 1 - GIoU
    of the box that they say; a mean over the cells of an object, and over the objects.

    Args:
        values: (B, M, 4) cx, cy, w, h of each cell, grid by grid, row by row.
        targets: of the same batch.
        grids: that slots and cells are numbered by.
    """
    total, first_slot, first_cell = values.new_zeros(()), 0, 0
    for grid in grids:
        cells, anchors = grid.columns * grid.rows, len(grid.anchors)
        mine = (targets.slot >= first_slot) & (targets.slot < first_slot + cells * anchors)
        slot = targets.slot[mine] - first_slot  # (N,)
        sizes = torch.tensor(grid.anchors, dtype=values.dtype, device=values.device) / grid.stride  # (A, 2) cells
        reference = sizes.log().mean(0).exp()  # (2,)
        place = torch.stack([slot // anchors % grid.columns, slot // anchors // grid.columns], dim=1)
        centre = place + targets.xy[mine].to(values.dtype)  # (N, 2) cells
        size = targets.wh[mine].to(values.dtype) * sizes[slot % anchors]  # (N, 2) cells
        number = torch.arange(cells, device=values.device)
        middle = torch.stack([number % grid.columns, number // grid.columns], dim=1) + 0.5  # (cells, 2)
        away = centre[:, None] - middle  # (N, cells, 2)
        near = (away.abs() < (REACH * size).clamp(min=LEAST_REACH)[:, None]).all(2)  # (N, cells)
        said = values[targets.image[mine], first_cell : first_cell + cells]  # (N, cells, 4)
        places = (said[..., :2] * reference - away) / size[:, None]
        logs = said[..., 2:] - (size / reference).log()[:, None]
        errors = one_minus_giou(places, logs)  # (N, cells)
        total = total + ((errors * near).sum(1) / near.sum(1)).sum()
        first_slot, first_cell = first_slot + cells * anchors, first_cell + cells
    return total / max(1, len(targets.slot))


def blame(logits: Tensor, targets: Targets | TensorTargets) -> list[tuple[str, int]]:
    """Return (term, image in the batch) of every value that is not finite, in the order of `TERMS`, then of images.

    Empty where each value is finite and only their sum overflows.
    """
    with torch.no_grad():
        elements = _elements(logits, targets)
    found = []
    for term, (values, image) in elements.items():
        found += [(term, k) for k in sorted(set(image[~values.isfinite()].tolist()))]
    return found


def _elements(logits: Tensor, targets: Targets | TensorTargets) -> dict[str, tuple[Tensor, Tensor]]:
    """Return {term: (its values, the image of each, alike in shape)}, in the order of `TERMS`."""
    if isinstance(targets, Targets):
        targets = targets.to(logits.device, logits.dtype if logits.dtype == torch.float64 else torch.float32)
    assert len(logits) == targets.batch_size, f"logits {tuple(logits.shape)} for {targets.batch_size} images"
    with torch.autocast(logits.device.type, enabled=False):
        logits = logits if logits.dtype == torch.float64 else logits.float()
        image, slot = targets.image, targets.slot
        objects = logits[image, slot]  # (N, 5 + C)
        empty = torch.ones(logits.shape[:2], dtype=torch.bool, device=logits.device)  # (B, S)
        empty[image, slot] = False
        empty[targets.ignored_image, targets.ignored_slot] = False
        # The others become -inf, of which softplus and its slope are exactly 0: no difference of large numbers.
        nothing = logits[..., J].masked_fill(~empty, -torch.inf)  # (B, S)
        places, logs = _box_errors(objects, targets)
        both = image[:, None].expand(-1, 2)
        every = torch.arange(len(logits), device=logits.device)[:, None].expand_as(nothing)
        return {
            "class": (F.cross_entropy(objects[:, CLASSES:], targets.class_id, reduction="none"), image),
            "obj_f": (F.softplus(nothing), every),
            "obj_t": (F.softplus(-objects[:, J]), image),
            "wh": (logs.square(), both),
            "xy": (places.square(), both),
        }


def _box_errors(objects: Tensor, targets: TensorTargets) -> tuple[Tensor, Tensor]:
    """Return how far boxes are off, each (N, 2): the centre, in units of the object's sides; and ln(side of the box /
    its).

    Args:
        objects: (N, 5 + C) logits of the objects' slots.
    """
    sizes = targets.wh.log().clamp(SIZE_LOGIT_LOW, SIZE_LOGIT_HIGH)
    return (objects[:, X:W].sigmoid() - targets.xy) * targets.stride_over_size, objects[:, W:J] - sizes
