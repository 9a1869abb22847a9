"""A user's own albumentations pipeline behind the built-in changes: `--augment.pipeline FILE`.

    blur.yaml, blur.json    as `albumentations.save` writes it
    file.py:name            a Compose, a transform, a list of them, or a function that returns one

Transforms of pixels act as they are. Transforms that move things carry the outline of each object along as keypoints,
so that boxes stay tight. Nobody can say of any transform whether it keeps labels by looking at its name, so each is
tried before it is used: on pictures of known shapes, keypoints and pixels must end up at the same place.

The random state is set anew for every scene, from the scene's address: so a scene stays a function of its index.
"""

import hashlib
import importlib
import io
import math
import os
import random
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from yolo_proc.annotations.polygons import clipped_polygon
from yolo_proc.boxes import FloatArray, RgbImage, clip_xyxy
from yolo_proc.config.options import shown
from yolo_proc.data.generator import load_file
from yolo_proc.errors import GeneratorError, OptionError
from yolo_proc.scene import Scene, SceneObject
from yolo_proc.system.files import MIB, UnreadableFileError, read_bytes

OPTION = "augment.pipeline"
_FORMATS = {".yaml": "yaml", ".yml": "yaml", ".json": "json"}
_EXPECTED = "FILE.yaml, FILE.json (as albumentations.save writes them) or file.py:name"
_LONGEST_EDGE = 8.0  # pixels; between two keypoints a bent edge is taken for straight

# How a transform is tried.
_TRIES = 8
_TURNS = 30  # of the search for where a distortion puts a point; each brings it several times nearer
_UNFOUND = 0.75  # pixels; a point that is further from where it should be was not found
_SIZE = (112, 144)  # rows, columns
# Pixels that only one has of the shape that keypoints draw and of the shape that pixels show, per pixel of its border:
# drawing a polygon by whole pixels alone makes one. Enlarged pictures may have more: some transforms count pixels from
# their centres there, and others from their edges.
_MOST_APART = 1.2
_LEAST_BOX = 0.97  # share of its bounding box that the moved outline of a box fills, where boxes stay boxes


def is_code(spec: str) -> bool:
    """Return whether a pipeline is named by a Python file, whose code runs where it is loaded."""
    return ":" in spec and spec.rpartition(":")[0].endswith(".py")


def forbid_update_check() -> None:
    """Keep albumentations, in this process and those it starts, from asking PyPI for a newer version of itself."""
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")


def import_albumentations() -> Any:
    """Return the module; it takes seconds."""
    forbid_update_check()
    return importlib.import_module("albumentations")


def pipeline_bytes(spec: str) -> bytes:
    """Return the content of the file that a pipeline stands in.

    Raises:
        OptionError: it cannot be read.
    """
    if not is_code(spec) and Path(spec).suffix.lower() not in _FORMATS:
        raise OptionError(OPTION, f"expected {_EXPECTED}, found {shown(spec)}")
    path = spec.rpartition(":")[0] if is_code(spec) else spec
    try:
        return read_bytes(Path(path), MIB, "an albumentations pipeline", text=True)
    except UnreadableFileError as error:
        raise OptionError(OPTION, str(error)) from error


@dataclass(frozen=True)
class Moved:
    """A scene that went through a pipeline.

    Attributes:
        kept: for each object of `scene` its place among the objects before; those that left the frame are none.
    """

    scene: Scene
    kept: tuple[int, ...]


class Pipeline:
    """Transforms that were tried, ready to act on scenes.

    Args:
        spec: see the module.
        loose_boxes: whether objects of which only a box is known may be turned, which makes their boxes loose.

    Raises:
        OptionError: nothing that can be loaded, or a transform that does not keep labels.
    """

    def __init__(self, spec: str, *, loose_boxes: bool = False) -> None:
        self.spec = spec
        self._loose_boxes = loose_boxes
        tried = _tried(spec, hashlib.sha256(pipeline_bytes(spec)).digest())
        self._turning = tried.turning
        self._moves = tried.moves
        self._compose = _composed(tried.albumentations, tried.transforms, moves=tried.moves, share=tried.share)

    def apply(self, scene: Scene, seed: int) -> Moved:
        """Return the scene with the pipeline's changes; the picture may get another size.

        Raises:
            GeneratorError: a transform fails, or turns a box whose outline nobody knows.
        """
        try:
            return self._moved(scene, seed) if self._moves else self._changed(scene, seed)
        except GeneratorError:
            raise
        except Exception as error:  # of whatever the user's transforms do
            what = str(error).strip().partition("\n")[0]
            raise GeneratorError(f"--{OPTION} {self.spec}: {type(error).__name__}: {what}") from error

    def _run(self, seed: int, **data: Any) -> dict[str, Any]:
        _seed(self._compose, seed)
        result: dict[str, Any] = self._compose(**data)
        return result

    def _unfolded(self, seed: int, **data: Any) -> dict[str, Any]:
        """Run the transforms; where they fold the picture, draw their chance again."""
        for attempt in range(_TRIES):
            try:
                return self._run(seed ^ attempt, **data)
            except _FoldedError:
                continue
        raise GeneratorError(f"--{OPTION} {self.spec}: a distortion folds the picture in each of {_TRIES} draws")

    def _changed(self, scene: Scene, seed: int) -> Moved:
        image = self._run(seed, image=scene.image)["image"]
        return Moved(replace(scene, image=_as_rgb(image)), tuple(range(len(scene.objects))))

    def _moved(self, scene: Scene, seed: int) -> Moved:
        if self._turning and not self._loose_boxes and any(thing.outline is None for thing in scene.objects):
            raise GeneratorError(
                f"--{OPTION} {self.spec}: {self._turning} turns or bends objects of which only a box is known, so that "
                "their boxes would be loose; leave it out, or allow that by --augment.loose-boxes on"
            )
        height, width = scene.image.shape[:2]
        outlines = [_visible_outline(thing, width, height) for thing in scene.objects]
        rings = [_dense(points) for points in (*outlines, *map(_corners, scene.ignore.tolist()))]
        result = self._unfolded(
            seed,
            image=scene.image,
            mask=np.ones((height, width), np.uint8),
            keypoints=_to_keypoints(np.concatenate([np.zeros((0, 2)), *rings])),
        )
        points = _from_keypoints(result["keypoints"])
        moved = np.split(points, np.cumsum([len(ring) for ring in rings])[:-1]) if rings else []
        image, mask = _as_rgb(result["image"]), np.asarray(result["mask"], np.uint8)
        pairs = zip(scene.objects, moved, strict=False)
        objects = [_moved_object(thing, ring, mask) for thing, ring in pairs]
        kept = tuple(number for number, thing in enumerate(objects) if thing is not None)
        regions = [_box_of(ring, mask) for ring in moved[len(objects) :]]
        ignore = np.array([box for box in regions if box[0] < box[2] and box[1] < box[3]]).reshape(-1, 4)
        found = tuple(thing for thing in objects if thing is not None)
        return Moved(Scene(image, found, ignore, scene.class_id), kept)


def _composed(module: Any, transforms: list[Any], *, moves: bool, share: float = 1.0) -> Any:
    """Return transforms as one, that takes keypoints where it may move things."""
    keypoints = module.KeypointParams(format="xy", remove_invisible=False) if moves else None
    return module.Compose(transforms, keypoint_params=keypoints, p=share)


def _seed(transform: Any, seed: int) -> None:
    transform.set_random_state(np.random.Generator(np.random.SFC64(seed)), random.Random(seed))


def _as_rgb(found: Any) -> RgbImage:
    image: RgbImage = np.ascontiguousarray(found)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise GeneratorError(
            f"--{OPTION}: expected a uint8 RGB picture (H, W, 3) from the pipeline, found {image.dtype} of shape "
            f"{image.shape}; the network normalises by itself, leave such a transform out"
        )
    return image


# ------------------------------------------------------------------------------------------------ geometry


def _corners(box: Sequence[float]) -> FloatArray:
    x0, y0, x1, y1 = box
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])


def _visible_outline(thing: SceneObject, width: int, height: int) -> FloatArray:
    """Return what of an object's outline (K, 2) is on the picture: a pipeline has no more to move."""
    if thing.outline is None:
        return _corners(thing.box)
    points = thing.outline
    if ((points >= 0) & (points <= (width, height))).all():
        return points
    clipped = clipped_polygon([(x, y) for x, y in points.tolist()], width, height)
    return np.array(clipped) if clipped else _corners(thing.box)


def _dense(points: FloatArray) -> FloatArray:
    """Return a ring (K, 2) with points added to its long edges, because a transform may bend them."""
    after = np.roll(points, -1, axis=0)
    parts = np.maximum(np.ceil(np.linalg.norm(after - points, axis=1) / _LONGEST_EDGE).astype(int), 1)
    shares = np.concatenate([np.arange(count) / count for count in parts.tolist()])[:, None]
    dense: FloatArray = np.repeat(points, parts, axis=0) * (1 - shares) + np.repeat(after, parts, axis=0) * shares
    return dense


def _to_keypoints(points: FloatArray) -> NDArray[np.float32]:
    """Return points in albumentations' units: its pixel 0 has its centre at 0, ours at 0.5."""
    return (points - 0.5).astype(np.float32)


def _from_keypoints(points: Any) -> FloatArray:
    return np.asarray(points, dtype=np.float64).reshape(-1, 2) + 0.5


def _box_of(ring: FloatArray, mask: NDArray[np.uint8]) -> FloatArray:
    """Return the box (4,) of a ring, clipped to the picture."""
    height, width = mask.shape[:2]
    bounds = np.concatenate([ring.min(axis=0), ring.max(axis=0)])
    return np.asarray(clip_xyxy(bounds[None], width, height)[0])


def _moved_object(thing: SceneObject, ring: FloatArray, mask: NDArray[np.uint8]) -> SceneObject | None:
    """Return an object with its moved outline; None where it has left the picture.

    Args:
        mask: (H, W) 1 where the picture shows what the scene showed, 0 where a transform put something else.
    """
    box = _box_of(ring, mask)
    area = abs(_area(ring))
    if not (box[0] < box[2] and box[1] < box[3] and area > 0):
        return None
    height, width = mask.shape[:2]
    inside = 1.0
    if not ((ring >= 0) & (ring <= (width, height))).all():
        inside = abs(_area(np.array(clipped_polygon([(x, y) for x, y in ring.tolist()], width, height)))) / area
    if inside <= 0:
        return None
    x0, y0, x1, y1 = box.tolist()
    return replace(
        thing,
        box=(x0, y0, x1, y1),
        outline=ring if thing.outline is not None else None,
        visible=thing.visible * _shown_share(ring, box, mask),
        in_frame=thing.in_frame * min(inside, 1.0),
    )


def _shown_share(ring: FloatArray, box: FloatArray, mask: NDArray[np.uint8]) -> float:
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


def _area(ring: FloatArray) -> float:
    if len(ring) < 3:
        return 0.0
    x, y = ring[:, 0], ring[:, 1]
    return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


# ------------------------------------------------------------------------------------------ loading and trying


@dataclass(frozen=True)
class _Tried:
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


@cache
def _tried(spec: str, _content: bytes) -> _Tried:
    """Load a pipeline and try its transforms, each alone; once for each content of its file."""
    module = import_albumentations()
    found = _loaded(module, spec)
    outer = isinstance(found, module.Compose)
    transforms = list(found.transforms) if outer else list(found) if isinstance(found, list | tuple) else [found]
    turning, moves = "", False
    for leaf in _leaves(module, transforms):
        if isinstance(leaf, module.ImageOnlyTransform):
            _try_pixels(module, leaf)
        else:
            moves = True
            boxes_stay = _try_moves(module, leaf)
            turning = turning if turning or boxes_stay else type(leaf).__name__
    return _Tried(module, transforms, found.p if outer else 1.0, moves, turning)


def _loaded(module: Any, spec: str) -> Any:
    if is_code(spec):
        path, _, name = spec.rpartition(":")
        user = load_file(spec, Path(path), "--augment.pipeline")
        if not hasattr(user, name):
            raise OptionError(OPTION, f"{path} has no {name}")
        found = getattr(user, name)
        composed = isinstance(found, module.BasicTransform | module.BaseCompose | list | tuple)
        try:
            return found() if callable(found) and not composed else found
        except Exception as error:
            raise OptionError(OPTION, f"{spec} failed: {type(error).__name__}: {error}") from error
    try:
        text = pipeline_bytes(spec).decode("utf-8")
        return module.load(io.StringIO(text), data_format=_FORMATS[Path(spec).suffix.lower()])
    except OptionError:
        raise
    except Exception as error:  # of YAML, JSON and whatever a transform says of its arguments
        what = str(error).strip().partition("\n")[0]
        raise OptionError(
            OPTION, f"{spec}: expected a pipeline as albumentations.save writes it: {type(error).__name__}: {what}"
        ) from error


def _leaves(module: Any, transforms: Sequence[Any]) -> Iterator[Any]:
    """Yield the transforms that stand in others (Compose, OneOf, Sequential, ...)."""
    for one in transforms:
        if isinstance(one, module.BaseCompose):
            yield from _leaves(module, one.transforms)
        elif isinstance(one, module.BasicTransform):
            yield one
        else:
            raise OptionError(OPTION, f"expected transforms of albumentations, found {shown(one)}")


class _FoldedError(Exception):
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
        raise _FoldedError
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
    return _Sheet(image, numbers, tuple(_dense(_corners(box)) for box in boxes))


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
        alone, folded = _composed(module, [leaf], moves=moves), 0
        for seed in range(_TRIES):
            results = []
            for _ in range(2):
                _seed(alone, seed)
                data: dict[str, Any] = {"image": sheet.image.copy(), "mask": sheet.numbers.copy()}
                if moves:
                    data["keypoints"] = _to_keypoints(np.concatenate(sheet.rings))
                with warnings.catch_warnings(action="ignore"), suppress(_FoldedError):
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
        name, points = type(leaf).__name__, _from_keypoints(result["keypoints"])
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
            still_box = abs(_area(ring)) >= _LEAST_BOX * float(np.ptp(ring, axis=0).prod())
            boxes_stay = boxes_stay and still_box
            larger = math.sqrt(abs(_area(ring)) / abs(_area(_sheet().rings[number - 1]))) if still_box else 1.0
            if apart > _MOST_APART * max(1.0, larger) * _border(seen | (drawn > 0)):
                raise OptionError(
                    OPTION,
                    f"{name} does not keep labels: its pixels and its keypoints end up at different places; leave it "
                    "out",
                )
    return boxes_stay
