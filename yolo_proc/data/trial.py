"""Whether a transform of albumentations keeps labels: each is tried on known shapes before it is used.

Nobody can say by a transform's name; keypoints and pixels must end up at the same place.
"""

import hashlib
import importlib
import math
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from yolo_proc.boxes import FloatArray, RgbImage
from yolo_proc.data.keypoints import corners, from_keypoints, signed_area, to_keypoints
from yolo_proc.data.transforms import (
    OPTION,
    composed,
    import_albumentations,
    leaves,
    load_transforms,
    pipeline_bytes,
    seed_transform,
)
from yolo_proc.drawing.view import dense
from yolo_proc.errors import OptionError

_TRIES = 8
_TURNS = 30  # of the search for where a distortion puts a point; each brings it several times nearer
_UNFOUND = 0.75  # pixels; a point that is further from where it should be was not found
_SIZE = (112, 144)  # rows, columns
# Pixels that only one has of the shape that keypoints draw and of the shape that pixels show, per pixel of its border:
# drawing a polygon by whole pixels alone makes one. Enlarged pictures may have more: some transforms count pixels from
# their centres there, and others from their edges.
_MOST_APART = 1.2
_LEAST_BOX = 0.97  # share of its bounding box that the moved outline of a box fills, where boxes stay boxes


@dataclass(frozen=True)
class Tried:
    """Transforms that keep labels.

    Attributes:
        share: of the scenes on which they act at all.
        moves: whether one of them may move things.
        turning: the name of one that turns or bends, so that a box does not stay a box; empty for none.
    """

    albumentations: Any
    transforms: list[Any]
    share: float
    moves: bool
    turning: str


def tried_transforms(spec: str) -> Tried:
    """Load a pipeline and try its transforms, each alone; once for each content of its file.

    Raises:
        OptionError: nothing that can be loaded, or a transform that does not keep labels.
    """
    return _tried(spec, hashlib.sha256(pipeline_bytes(spec)).digest())


@cache
def _tried(spec: str, _content: bytes) -> Tried:
    module = import_albumentations()
    found = load_transforms(module, spec)
    outer = isinstance(found, module.Compose)
    transforms = list(found.transforms) if outer else list(found) if isinstance(found, list | tuple) else [found]
    turning, moves = "", False
    for leaf in leaves(module, transforms):
        if isinstance(leaf, module.ImageOnlyTransform):
            _try_pixels(module, leaf)
        else:
            moves = True
            boxes_stay = _try_moves(module, leaf)
            turning = turning if turning or boxes_stay else type(leaf).__name__
    return Tried(module, transforms, found.p if outer else 1.0, moves, turning)


class FoldedError(Exception):
    """A distortion lays one part of the picture over another, and nobody can say where a point went."""


def _covers(leaf: Any) -> bool:
    """Return whether a transform puts something over parts of the picture."""
    return isinstance(leaf, _base("dropout.transforms", "BaseDropout"))


def _distorts(leaf: Any) -> bool:
    """Return whether a transform bends the picture by a map of its pixels."""
    return isinstance(leaf, _base("geometric.distortion", "BaseDistortion"))


def _base(module: str, name: str) -> type:
    """Return a class of albumentations that only its own rooms name."""
    found: type = getattr(importlib.import_module(f"albumentations.augmentations.{module}"), name)
    return found


def _distorted(
    keypoints: NDArray[Any], map_x: NDArray[np.float32], map_y: NDArray[np.float32], **_others: Any
) -> NDArray[Any]:
    """Return keypoints (K, 2 + ...) under a distortion that says for each pixel where its colour comes from.

    It takes the place of albumentations' own, which loses some of them and knows whole pixels alone. A point p goes to
    the q with map(q) = p, found by q <- q + p - map(q): a fixed point as long as the distortion folds nothing.
    """
    goal = keypoints[:, :2].astype(np.float32)
    place = goal.copy()
    maps = [np.ascontiguousarray(one, dtype=np.float32) for one in (map_x, map_y)]
    last = np.array([map_x.shape[1] - 1, map_x.shape[0] - 1], dtype=np.float32)
    for _turn in range(_TURNS):
        x, y = place[None, :, 0].copy(), place[None, :, 1].copy()
        now = [cv2.remap(one, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0] for one in maps]
        beyond = place - np.clip(place, np.float32(0), last)  # out there everything moves as the border does
        place = place + goal - np.stack(now, axis=1) - beyond
    if np.abs(goal - np.stack(now, axis=1) - beyond).max(initial=0.0) > _UNFOUND:
        raise FoldedError
    return np.concatenate([place, keypoints[:, 2:]], axis=1).astype(keypoints.dtype)


@dataclass(frozen=True)
class _Sheet:
    """A picture of known shapes.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        numbers: (H, W) uint8: which shape a pixel shows, from 1.
        rings: the outline (K, 2) of each shape, a box.
    """

    image: RgbImage
    numbers: NDArray[np.uint8]
    rings: tuple[FloatArray, ...]


@cache
def _sheet() -> _Sheet:
    rows, columns = _SIZE
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (rows // 8, columns // 8, 3), dtype=np.uint8)
    image = np.ascontiguousarray(cv2.resize(coarse, (columns, rows), interpolation=cv2.INTER_LINEAR))
    numbers = np.zeros(_SIZE, np.uint8)
    boxes = ((12, 14, 46, 40), (84, 20, 128, 52), (40, 62, 76, 98))
    for number, (x0, y0, x1, y1) in enumerate(boxes, 1):
        numbers[y0:y1, x0:x1] = number
        image[y0:y1, x0:x1] = (255 - 60 * number, 80 * number, 40)
    return _Sheet(image, numbers, tuple(dense(corners(box)) for box in boxes))


def _attempts(module: Any, leaf: Any) -> Iterator[dict[str, Any]]:
    """Yield what a transform makes of the sheet, each time under another seed."""
    name, sheet, share = type(leaf).__name__, _sheet(), leaf.p
    if _covers(leaf):
        leaf.fill_mask = 0.0  # so it is known where
    if _distorts(leaf):
        leaf.apply_to_keypoints = _distorted
        leaf._set_keys()
    leaf.p = 1.0
    moves = not isinstance(leaf, module.ImageOnlyTransform)
    try:
        alone, folded = composed(module, [leaf], moves=moves), 0
        for seed in range(_TRIES):
            results = []
            for _ in range(2):
                seed_transform(alone, seed)
                data: dict[str, Any] = {"image": sheet.image.copy(), "mask": sheet.numbers.copy()}
                if moves:
                    data["keypoints"] = to_keypoints(np.concatenate(sheet.rings))
                with warnings.catch_warnings(action="ignore"), suppress(FoldedError):
                    results.append(alone(**data))
            if not results:
                folded += 1
                continue
            if not np.array_equal(results[0]["image"], results[1]["image"]):
                raise OptionError(
                    OPTION, f"{name} draws chance of its own, so that a scene is not the same twice; leave it out"
                )
            yield results[0]
        if folded > _TRIES // 2:
            raise OptionError(
                OPTION, f"{name} does not keep labels: it folds the picture in {folded} of {_TRIES} draws; weaken it"
            )
    except OptionError:
        raise
    except Exception as error:  # a transform that wants other pictures, boxes, volumes
        what = str(error).strip().partition("\n")[0]
        raise OptionError(
            OPTION, f"{name} cannot be used on generated scenes ({type(error).__name__}: {what}); leave it out"
        ) from error
    finally:
        leaf.p = share


def _try_pixels(module: Any, leaf: Any) -> None:
    for result in _attempts(module, leaf):
        image = result["image"]
        if image.dtype != np.uint8 or image.shape != _sheet().image.shape:
            raise OptionError(
                OPTION,
                f"{type(leaf).__name__} gives {image.dtype} of shape {image.shape} in place of uint8 RGB pixels; the "
                "network normalises by itself, leave it out",
            )


def _border(region: NDArray[np.bool_]) -> int:
    """Return the length of the border of a region's box, pixels; 0 for nothing."""
    rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    return 2 * int(np.ptp(rows) + np.ptp(columns) + 2) if len(rows) else 0


def _try_moves(module: Any, leaf: Any) -> bool:
    """Return whether boxes stay boxes under a transform that may move things; refuse one that loses them."""
    boxes_stay = True
    for result in _attempts(module, leaf):
        name, points = type(leaf).__name__, from_keypoints(result["keypoints"])
        if len(points) != sum(map(len, _sheet().rings)):
            raise OptionError(OPTION, f"{name} does not keep labels: keypoints are lost; leave it out")
        if result["image"].dtype != np.uint8 or result["image"].ndim != 3:
            raise OptionError(OPTION, f"{name} gives no uint8 RGB picture; leave it out")
        numbers = np.asarray(result["mask"])
        ends = np.cumsum([len(ring) for ring in _sheet().rings])[:-1]
        for number, ring in enumerate(np.split(points, ends), 1):
            drawn = np.zeros(numbers.shape, np.uint8)
            cv2.fillPoly(drawn, [np.rint(ring - 0.5).clip(-30000, 30000).astype(np.int32)], (1,))
            seen = numbers == number
            if _covers(leaf):  # holes in it are no fault
                drawn[numbers == 0] = 0
            apart = int((seen != (drawn > 0)).sum())
            still_box = abs(signed_area(ring)) >= _LEAST_BOX * float(np.ptp(ring, axis=0).prod())
            boxes_stay = boxes_stay and still_box
            before = _sheet().rings[number - 1]
            larger = math.sqrt(abs(signed_area(ring) / signed_area(before))) if still_box else 1.0
            if apart > _MOST_APART * max(1.0, larger) * _border(seen | (drawn > 0)):
                raise OptionError(
                    OPTION,
                    f"{name} does not keep labels: its pixels and its keypoints end up at different places; leave it "
                    "out",
                )
    return boxes_stay
