"""Labels and slots: the rules by which objects become targets, and raw logits become detections.

Letters: B images of a batch, S slots of an image, C classes, N objects, A anchors of all grids, K rows.

A slot holds 5 + C values, `[x | y | w | h | J | c_0 ... c_{C-1}]`:

    field   training target                raw logit -> prediction          prediction -> pixels
    x, y    centre inside its cell, [0,1)  sigmoid(t)                       (x + column) * stride
    w, h    side / anchor, > 0             exp(clamp(t, -20, 9.2))          w * anchor width
    J       1 object, 0 empty, -1 ignored  sigmoid(t)                       the confidence of the box
    c_i     one-hot                        softmax over the C values        class: first maximum of the raw values

Slots are numbered grid by grid, then row by row, then anchor by anchor. The Java library follows the same rules,
so the order of every operation counts here. All arithmetic after the logits is in double precision.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from yolo_proc.boxes import FloatArray, IntArray, clip_xyxy, cxcywh_to_xyxy, iou_wh, xyxy_to_cxcywh
from yolo_proc.config.schema import LabelConfig
from yolo_proc.detection.grids import Grid
from yolo_proc.detection.nms import DecodeConfig, Detections, nms
from yolo_proc.errors import ConfigError, DataError
from yolo_proc.scene import LABEL_STATES, label_state_codes

if TYPE_CHECKING:
    import torch

    from yolo_proc.batch import Batch

__all__ = [
    "CLASSES",
    "SIZE_LOGIT_HIGH",
    "SIZE_LOGIT_LOW",
    "DecodeConfig",
    "Detections",
    "Grid",
    "H",
    "J",
    "LabelCodec",
    "Targets",
    "TensorTargets",
    "W",
    "X",
    "Y",
    "activate",
    "deactivate",
    "logit_of",
    "nms",
]


X, Y, W, H, J, CLASSES = 0, 1, 2, 3, 4, 5  # the fields of a slot; the classes begin at 5
SIZE_LOGIT_LOW, SIZE_LOGIT_HIGH = -20.0, 9.2  # what exp is given
CERTAIN = 20.0  # the logit of a certain J or class
EDGE = 2.0**-20  # how near to its cell's border a centre is put by the inverse, so that its logit is finite
SLOT_TAKEN = "slot_taken"
_BELOW_ONE = np.nextafter(1.0, 0.0)


@dataclass(frozen=True, eq=False)
class Targets:
    """Targets of the loss: one row an object that has a slot, and the ignored slots.

    Attributes:
        image, slot, class_id: (N,) int64.
        xy: (N, 2) float64, the centre inside its cell, 0 <= v < 1.
        wh: (N, 2) float64, side / anchor, > 0.
        stride_over_size: (N, 2) float64, stride / side of the box: an error in cells times this is one in boxes.
        ignored_image, ignored_slot: (K,) int64, the slots of which no term speaks, in ascending order.
        batch_size: images in the batch, those without objects too.
        dropped: how many objects got no slot, by reason: "slot_taken" or the name of a limit.
    """

    image: IntArray
    slot: IntArray
    class_id: IntArray
    xy: FloatArray
    wh: FloatArray
    stride_over_size: FloatArray
    ignored_image: IntArray
    ignored_slot: IntArray
    batch_size: int
    dropped: dict[str, int]

    def to(self, device: "torch.device | str", dtype: "torch.dtype | None" = None) -> "TensorTargets":
        """Return the same on `device`; floats as `dtype`, float32 unless given. Two copies, whatever the number of
        rows.
        """
        import torch

        counts = [len(self.image)] * 3 + [len(self.ignored_image)] * 2
        whole = np.concatenate([self.image, self.slot, self.class_id, self.ignored_image, self.ignored_slot])
        real = np.stack([self.xy, self.wh, self.stride_over_size])  # (3, N, 2)
        parts = torch.from_numpy(whole).to(device).split(counts)  # type: ignore[no-untyped-call]
        image, slot, class_id, ignored_image, ignored_slot = parts
        xy, wh, stride_over_size = torch.from_numpy(real).to(dtype or torch.float32).to(device)
        return TensorTargets(
            image, slot, class_id, xy, wh, stride_over_size, ignored_image, ignored_slot, self.batch_size
        )


class TensorTargets(NamedTuple):
    """`Targets` as torch tensors on one device."""

    image: "torch.Tensor"
    slot: "torch.Tensor"
    class_id: "torch.Tensor"
    xy: "torch.Tensor"
    wh: "torch.Tensor"
    stride_over_size: "torch.Tensor"
    ignored_image: "torch.Tensor"
    ignored_slot: "torch.Tensor"
    batch_size: int


@dataclass(frozen=True)
class LabelCodec:
    """Objects to slots, raw logits to detections, and the inverses.

    Raises:
        ConfigError: no grid, strides that do not ascend, grids over frames of different sizes, a grid without
            anchors or with an anchor that is not positive, no class.
    """

    grids: tuple[Grid, ...]
    class_count: int

    def __post_init__(self) -> None:
        strides = [grid.stride for grid in self.grids]
        if not strides or strides != sorted(set(strides)) or strides[0] < 1:
            raise ConfigError(f"grids: expected ascending strides of at least 1, found {strides}")
        frames = {(grid.columns * grid.stride, grid.rows * grid.stride) for grid in self.grids}
        if len(frames) > 1 or min(min(frame) for frame in frames) < 1:
            raise ConfigError(f"grids: expected all to cover one frame, found frames of {sorted(frames)} pixels")
        for grid in self.grids:
            sides = [side for anchor in grid.anchors for side in anchor]
            if not sides or not all(side > 0 and math.isfinite(side) for side in sides):
                raise ConfigError(f"grid of stride {grid.stride}: expected positive anchors, found {grid.anchors}")
        if self.class_count < 1:
            raise ConfigError(f"codec: expected at least one class, found {self.class_count}")

    @property
    def slots(self) -> int:
        """S, the slots of one image."""
        return self.grid_offsets[-1]

    @property
    def fields(self) -> int:
        """5 + C, the values of one slot."""
        return CLASSES + self.class_count

    @property
    def frame(self) -> tuple[int, int]:
        """Width and height of the network's pictures, pixels."""
        grid = self.grids[0]
        return grid.columns * grid.stride, grid.rows * grid.stride

    @cached_property
    def grid_offsets(self) -> tuple[int, ...]:
        """The first slot of each grid, and S."""
        counts = [grid.columns * grid.rows * len(grid.anchors) for grid in self.grids]
        return tuple(int(offset) for offset in np.cumsum([0, *counts]))

    @cached_property
    def anchors_wh(self) -> FloatArray:
        """(A, 2) pixels, grid by grid."""
        return np.array([anchor for grid in self.grids for anchor in grid.anchors], dtype=np.float64)

    @cached_property
    def _anchor_places(self) -> IntArray:
        """(A, 6): offset of the grid, stride, columns, rows, anchors in a cell, number in the cell."""
        places = [
            (offset, grid.stride, grid.columns, grid.rows, len(grid.anchors), number)
            for grid, offset in zip(self.grids, self.grid_offsets, strict=False)
            for number in range(len(grid.anchors))
        ]
        return np.array(places, dtype=np.int64)

    @cached_property
    def _slot_places(self) -> FloatArray:
        """(S, 5): column, row, stride, anchor width, anchor height."""
        places = []
        for grid in self.grids:
            row, column, anchor = np.indices((grid.rows, grid.columns, len(grid.anchors))).reshape(3, -1)
            sizes = np.array(grid.anchors, dtype=np.float64)[anchor]
            places.append(np.column_stack([column, row, np.full_like(row, grid.stride), sizes]))
        return np.concatenate(places).astype(np.float64)

    def initial_wh(self, sizes_wh: FloatArray) -> FloatArray:
        """Return (A, 2) raw w and h, the constant answers that cost least: the means of ln(side / anchor).

        Args:
            sizes_wh: (N, 2) sides of boxes, pixels; each speaks for the anchor it would be assigned to.
        """
        chosen = iou_wh(sizes_wh, self.anchors_wh).argmax(axis=1)
        logs = np.log(np.asarray(sizes_wh, dtype=np.float64).reshape(-1, 2) / self.anchors_wh[chosen])
        count = len(self.anchors_wh)
        sums = np.stack([np.bincount(chosen, logs[:, side], count) for side in (0, 1)], axis=1)
        means = sums / np.maximum(np.bincount(chosen, minlength=count), 1)[:, None]
        return np.clip(means, SIZE_LOGIT_LOW, SIZE_LOGIT_HIGH)

    # ---- objects to targets

    def assign(self, batch: "Batch", limits: LabelConfig) -> Targets:
        """Return the slot of every object: the cell that holds its centre, the anchor most like it in shape.

        An object below a limit, or whose slot is taken, is dropped and counted; the slots without an object whose
        cell centre lies in its box (half-open), or in an ignore region, are ignored. A taken slot keeps its first
        object: they are offered largest confidence first, then in drawn order. A size is clipped to what
        exp(clamp(t)) can say, which no box of a pixel or more meets.
        """
        count, height, width = batch.images.shape[:3]
        assert (width, height) == self.frame, f"pictures of {width} x {height} for a codec of {self.frame}"
        assert not len(batch.class_ids) or 0 <= batch.class_ids.min() <= batch.class_ids.max() < self.class_count
        codes = label_state_codes(batch.box_xyxy, batch.visible, batch.in_frame, limits)
        cxcywh = xyxy_to_cxcywh(batch.box_xyxy)  # (N, 4)
        anchor = iou_wh(cxcywh[:, 2:], self.anchors_wh).argmax(axis=1)  # (N,) the lowest index on ties
        offset, stride, columns, rows, per_cell, number = self._anchor_places[anchor].T
        place = cxcywh[:, :2] / stride[:, None]  # (N, 2) cells
        # A centre that rounding has put on the frame's far edge belongs to the last cell.
        cell = np.clip(np.floor(place).astype(np.int64), 0, np.stack([columns, rows], axis=1) - 1)
        slot = offset + (cell[:, 1] * columns + cell[:, 0]) * per_cell + number

        offered = np.flatnonzero(codes == 0)
        offered = offered[np.argsort(-batch.confidence[offered], kind="stable")]
        keys = batch.image_ids[offered] * self.slots + slot[offered]
        kept = np.sort(offered[np.unique(keys, return_index=True)[1]])  # return_index is of the first of equals

        dropped = np.ones(len(slot), dtype=bool)
        dropped[kept] = False
        ignored_image, ignored_slot = self._ignored(batch, dropped, batch.image_ids[kept], slot[kept], count)
        tallies = np.bincount(codes, minlength=len(LABEL_STATES))
        anchor_wh = self.anchors_wh[anchor[kept]]
        wh = np.clip(cxcywh[kept, 2:] / anchor_wh, math.exp(SIZE_LOGIT_LOW), math.exp(SIZE_LOGIT_HIGH))
        return Targets(
            image=batch.image_ids[kept],
            slot=slot[kept],
            class_id=batch.class_ids[kept],
            xy=np.clip(place[kept] - cell[kept], 0.0, _BELOW_ONE),
            wh=wh,
            stride_over_size=stride[kept, None] / (wh * anchor_wh),
            ignored_image=ignored_image,
            ignored_slot=ignored_slot,
            batch_size=count,
            dropped={
                SLOT_TAKEN: int(tallies[0]) - len(kept),
                **{LABEL_STATES[code]: int(tallies[code]) for code in range(1, len(LABEL_STATES))},
            },
        )

    def _ignored(
        self, batch: "Batch", dropped: NDArray[np.bool_], image: IntArray, slot: IntArray, count: int
    ) -> tuple[IntArray, IntArray]:
        """Return image and slot, (K,) each, of the empty slots whose cell centre lies in a dropped object or ignore
        region.
        """
        boxes = np.concatenate([batch.box_xyxy[dropped], batch.ignore_xyxy])  # (M, 4)
        if not len(boxes):
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        images = np.concatenate([batch.image_ids[dropped], batch.ignore_image_ids]).tolist()
        ignored = np.zeros((count, self.slots), dtype=bool)
        for grid, offset in zip(self.grids, self.grid_offsets, strict=False):
            shape = (count, grid.rows, grid.columns, len(grid.anchors))
            cells = ignored[:, offset : offset + math.prod(shape[1:])].reshape(shape)  # a view
            # The first cell centre at or beyond each border; the box is half-open, so both ends are found alike.
            across = np.searchsorted((np.arange(grid.columns) + 0.5) * grid.stride, boxes[:, 0::2]).tolist()  # (M, 2)
            down = np.searchsorted((np.arange(grid.rows) + 0.5) * grid.stride, boxes[:, 1::2]).tolist()
            for number, (x0, x1), (y0, y1) in zip(images, across, down, strict=True):
                cells[number, y0:y1, x0:x1] = True
        ignored[image, slot] = False
        return np.divmod(np.flatnonzero(ignored), self.slots)

    def dense(self, targets: Targets) -> NDArray[np.float32]:
        """Return the targets as one array (B, S, 5 + C): the classes one-hot, J 1, 0 or -1, the rest of empty slots
        0.
        """
        dense = np.zeros((targets.batch_size, self.slots, self.fields), dtype=np.float32)
        dense[targets.ignored_image, targets.ignored_slot, J] = -1
        dense[targets.image, targets.slot, X:W] = targets.xy
        dense[targets.image, targets.slot, W:J] = targets.wh
        dense[targets.image, targets.slot, J] = 1
        dense[targets.image, targets.slot, CLASSES + targets.class_id] = 1
        return dense

    # ---- raw logits to detections

    def decode(
        self, outputs: NDArray[Any], config: DecodeConfig | None = None, *, activated: bool = False
    ) -> list[Detections]:
        """Return the detections of each image, in network pixels clipped to the network's frame, the surest first.

        A slot stays if its raw J is at least the logit of `config.confidence`; of the surest `max_candidates` (ties:
        the lower slot) those that overlap a more confident one are dropped; `max_detections` remain.

        Args:
            outputs: (B, S, 5 + C) raw logits; predictions if `activated`.

        Raises:
            DataError: NaN among the outputs.
        """
        config = config or DecodeConfig()
        outputs = np.asarray(outputs)
        assert outputs.shape == (len(outputs), self.slots, self.fields), outputs.shape
        for image, values in enumerate(outputs):
            if np.isnan(values.min()):  # the minimum of anything with NaN is NaN
                slot, field = np.argwhere(np.isnan(values))[0]
                raise DataError(
                    f"expected numbers from the network, found NaN: image {image}, slot {slot}, field {field}; "
                    "its weights are damaged or its training diverged"
                )
        return [self._decode_image(values, config, activated) for values in outputs]

    def _decode_image(self, outputs: NDArray[Any], config: DecodeConfig, activated: bool) -> Detections:
        """Return `decode` of one image's (S, 5 + C) outputs."""
        found = self.candidates(outputs, config, activated=activated)
        compared = found.class_ids if config.nms == "class" else None
        kept = nms(found.box_xyxy, compared, config.max_iou, config.max_detections + 1)  # one more: is it cut?
        cut, kept = len(kept) > config.max_detections, kept[: config.max_detections]
        return Detections(
            box_xyxy=clip_xyxy(found.box_xyxy[kept], *self.frame),
            confidence=found.confidence[kept],
            class_ids=found.class_ids[kept],
            slots=found.slots[kept],
            uncompared=found.uncompared,
            cut=cut,
        )

    def candidates(self, outputs: NDArray[Any], config: DecodeConfig, *, activated: bool = False) -> Detections:
        """Return what `decode` compares: one image's (S, 5 + C) outputs before suppression, boxes not clipped."""
        least = config.confidence if activated else logit_of(config.confidence)
        confidence = outputs[:, J].astype(np.float64)  # else numpy would round the limit to float32
        slots = np.flatnonzero(confidence >= least)
        order = np.argsort(-confidence[slots], kind="stable")[: config.max_candidates]
        uncompared, slots = len(slots) - len(order), slots[order]  # (K,)
        raw = outputs[slots].astype(np.float64)  # (K, 5 + C)
        predictions = raw if activated else activate(raw)
        class_ids = raw[:, CLASSES:].argmax(axis=1)
        return Detections(self._boxes_xyxy(predictions, slots), predictions[:, J], class_ids, slots, uncompared)

    def _boxes_xyxy(self, predictions: FloatArray, slots: IntArray) -> FloatArray:
        """Return (K, 4) xyxy network pixels, not clipped, of the predictions (K, 5 + C) of some slots (K,)."""
        column, row, stride, anchor_w, anchor_h = self._slot_places[slots].T
        cx, cy = (predictions[:, X] + column) * stride, (predictions[:, Y] + row) * stride
        return cxcywh_to_xyxy(np.stack([cx, cy, predictions[:, W] * anchor_w, predictions[:, H] * anchor_h], axis=1))


def logit_of(probability: float) -> float:
    """Return ln(p / (1 - p)); infinite at 0 and 1."""
    if probability <= 0 or probability >= 1:
        return -math.inf if probability <= 0 else math.inf
    return math.log(probability / (1 - probability))


def _sigmoid(t: FloatArray) -> FloatArray:
    with np.errstate(over="ignore"):  # exp(-t) = inf gives 0, which is right
        return np.asarray(1.0 / (1.0 + np.exp(-t)))


def activate(logits: NDArray[Any]) -> FloatArray:
    """Return predictions (..., 5 + C) float64 from raw logits (..., 5 + C): sigmoid, exp, sigmoid, softmax."""
    raw = np.asarray(logits, dtype=np.float64)
    predictions = np.empty_like(raw)
    predictions[..., X:W] = _sigmoid(raw[..., X:W])
    predictions[..., W:J] = np.exp(np.clip(raw[..., W:J], SIZE_LOGIT_LOW, SIZE_LOGIT_HIGH))
    predictions[..., J] = _sigmoid(raw[..., J])
    powers = np.exp(raw[..., CLASSES:] - raw[..., CLASSES:].max(axis=-1, keepdims=True))
    predictions[..., CLASSES:] = powers / powers.sum(axis=-1, keepdims=True)
    return predictions


def deactivate(predictions: NDArray[Any]) -> FloatArray:
    """Return raw logits (..., 5 + C) float64 from predictions or dense targets (..., 5 + C): the inverse of `activate`.

    A centre is put at least 2^-20 cells inside its cell; the logit of a size lies in [-20, 9.2], that of J in
    [-20, 20]. A class of probability p gets 20 + ln(p), at least 0: of one-hot classes the one meant gets 20.
    An ignored J (-1) counts as empty.
    """
    given = np.asarray(predictions, dtype=np.float64)
    raw = np.empty_like(given)
    inside = np.clip(given[..., X:W], EDGE, 1 - EDGE)
    raw[..., X:W] = np.log(inside / (1 - inside))
    with np.errstate(divide="ignore"):  # ln(0) and ln(1 / 0) are clipped
        raw[..., W:J] = np.clip(np.log(given[..., W:J]), SIZE_LOGIT_LOW, SIZE_LOGIT_HIGH)
        sure = np.clip(given[..., J], 0.0, 1.0)
        raw[..., J] = np.clip(np.log(sure) - np.log1p(-sure), -CERTAIN, CERTAIN)
        raw[..., CLASSES:] = np.clip(CERTAIN + np.log(given[..., CLASSES:]), 0.0, CERTAIN)
    return raw
