"""A user's own albumentations pipeline behind the built-in changes: `--augment.pipeline FILE`.

    blur.yaml, blur.json    as `albumentations.save` writes it
    file.py:name            a Compose, a transform, a list of them, or a function that returns one

Transforms of pixels act as they are. Transforms that move things carry the outline of each object along as keypoints,
so that boxes stay tight. Each is tried before it is used (`data/trial.py`).

The random state is set anew for every scene, from the scene's address: so a scene stays a function of its index.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo_proc.annotations.polygons import clipped_polygon
from yolo_proc.boxes import FloatArray, RgbImage
from yolo_proc.data.keypoints import (
    box_of,
    corners,
    from_keypoints,
    shown_share,
    signed_area,
    to_keypoints,
    visible_outline,
)
from yolo_proc.data.transforms import OPTION, composed, seed_transform
from yolo_proc.data.trial import FoldedError, tried_transforms
from yolo_proc.drawing.view import dense
from yolo_proc.errors import GeneratorError
from yolo_proc.scene import Scene, SceneObject

_DRAWS = 8  # of a distortion's chance, until it folds nothing


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
        found = tried_transforms(spec)
        self._turning = found.turning
        self._moves = found.moves
        self._compose = composed(found.albumentations, found.transforms, moves=found.moves, share=found.share)

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
        seed_transform(self._compose, seed)
        result: dict[str, Any] = self._compose(**data)
        return result

    def _unfolded(self, seed: int, **data: Any) -> dict[str, Any]:
        """Run the transforms; where they fold the picture, draw their chance again."""
        for attempt in range(_DRAWS):
            try:
                return self._run(seed ^ attempt, **data)
            except FoldedError:
                continue
        raise GeneratorError(f"--{OPTION} {self.spec}: a distortion folds the picture in each of {_DRAWS} draws")

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
        outlines = [visible_outline(thing, width, height) for thing in scene.objects]
        rings = [dense(points) for points in (*outlines, *map(corners, scene.ignore.tolist()))]
        result = self._unfolded(
            seed,
            image=scene.image,
            mask=np.ones((height, width), np.uint8),
            keypoints=to_keypoints(np.concatenate([np.zeros((0, 2)), *rings])),
        )
        points = from_keypoints(result["keypoints"])
        moved = np.split(points, np.cumsum([len(ring) for ring in rings])[:-1]) if rings else []
        image, mask = _as_rgb(result["image"]), np.asarray(result["mask"], np.uint8)
        pairs = zip(scene.objects, moved, strict=False)
        objects = [_moved_object(thing, ring, mask) for thing, ring in pairs]
        kept = tuple(number for number, thing in enumerate(objects) if thing is not None)
        regions = [box_of(ring, mask) for ring in moved[len(objects) :]]
        ignore = np.array([box for box in regions if box[0] < box[2] and box[1] < box[3]]).reshape(-1, 4)
        found = tuple(thing for thing in objects if thing is not None)
        return Moved(Scene(image, found, ignore, scene.class_id), kept)


def _moved_object(thing: SceneObject, ring: FloatArray, mask: NDArray[np.uint8]) -> SceneObject | None:
    """Return an object with its moved outline; None where it has left the picture.

    Args:
        mask: (H, W) 1 where the picture shows what the scene showed, 0 where a transform put something else.
    """
    box = box_of(ring, mask)
    area = abs(signed_area(ring))
    if not (box[0] < box[2] and box[1] < box[3] and area > 0):
        return None
    height, width = mask.shape[:2]
    inside = 1.0
    if not ((ring >= 0) & (ring <= (width, height))).all():
        inside = abs(signed_area(np.array(clipped_polygon([(x, y) for x, y in ring.tolist()], width, height)))) / area
    if inside <= 0:
        return None
    x0, y0, x1, y1 = box.tolist()
    return replace(
        thing,
        box=(x0, y0, x1, y1),
        outline=ring if thing.outline is not None else None,
        visible=thing.visible * shown_share(ring, box, mask),
        in_frame=thing.in_frame * min(inside, 1.0),
    )


def _as_rgb(found: Any) -> RgbImage:
    image: RgbImage = np.ascontiguousarray(found)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise GeneratorError(
            f"--{OPTION}: expected a uint8 RGB picture (H, W, 3) from the pipeline, found {image.dtype} of shape "
            f"{image.shape}; the network normalises by itself, leave such a transform out"
        )
    return image
