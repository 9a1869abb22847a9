"""Scenes of one size as arrays: what crosses from the stream to labels, losses and metrics.

Letters of the shapes: B scenes of a batch, N objects, M ignore regions, H x W pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from yolo_proc.boxes import FloatArray, as_boxes
from yolo_proc.scene import Scene

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Batch:
    """Scenes of one size as arrays. Objects stand image by image, in drawn order.

    Attributes:
        images: (B, H, W, 3) uint8 RGB tensor.
        box_xyxy: (N, 4) float64 pixels.
        class_ids: (N,) int64.
        image_ids: (N,) int64, ascending: the place of each object's image in this batch.
        confidence, visible, in_frame: (N,) float64, as in `SceneObject`.
        ignore_xyxy: (M, 4) float64 pixels.
        ignore_image_ids: (M,) int64.
        indices: (B,) int64: which scenes of the stream these are.
        scene_class_ids: (B,) int64: the class that each scene as a whole was labelled with, -1 for none; empty where
            no scene was.
    """

    images: "Tensor"
    box_xyxy: FloatArray
    class_ids: NDArray[np.int64]
    image_ids: NDArray[np.int64]
    confidence: FloatArray
    visible: FloatArray
    in_frame: FloatArray
    ignore_xyxy: FloatArray
    ignore_image_ids: NDArray[np.int64]
    indices: NDArray[np.int64]
    scene_class_ids: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    @classmethod
    def of(cls, scenes: Sequence[Scene], indices: Sequence[int] | None = None, *, shared: bool = False) -> "Batch":
        """Return the batch of some scenes.

        Args:
            indices: which scenes of a stream they are; 0 ... B - 1 if not given.
            shared: put the images into memory that another process can map.
        """
        import torch

        assert scenes, "a batch has at least one scene"
        objects = [thing for scene in scenes for thing in scene.objects]
        counts = [len(scene.objects) for scene in scenes]
        ignored = [len(scene.ignore) for scene in scenes]
        images = torch.empty((len(scenes), *scenes[0].image.shape), dtype=torch.uint8)  # (B, H, W, 3)
        if shared:
            images.share_memory_()  # type: ignore[no-untyped-call]
        np.stack([scene.image for scene in scenes], out=images.numpy())
        places = np.arange(len(scenes), dtype=np.int64)
        return cls(
            images=images,
            box_xyxy=as_boxes([thing.box for thing in objects]),
            class_ids=np.array([thing.class_id for thing in objects], dtype=np.int64),
            image_ids=np.repeat(places, counts),
            confidence=np.array([thing.confidence for thing in objects], dtype=np.float64),
            visible=np.array([thing.visible for thing in objects], dtype=np.float64),
            in_frame=np.array([thing.in_frame for thing in objects], dtype=np.float64),
            ignore_xyxy=np.concatenate([as_boxes(scene.ignore) for scene in scenes]),
            ignore_image_ids=np.repeat(places, ignored),
            indices=places if indices is None else np.array(indices, dtype=np.int64),
            scene_class_ids=_scene_classes(scenes),
        )

    def __len__(self) -> int:
        return len(self.indices)

    def objects_of(self, image: int) -> slice:
        """Return where the objects of one image stand in the arrays of N."""
        first, end = np.searchsorted(self.image_ids, [image, image + 1])
        return slice(int(first), int(end))


def _scene_classes(scenes: Sequence[Scene]) -> NDArray[np.int64]:
    """Return the classes of whole scenes; empty where none has one."""
    if all(scene.class_id is None for scene in scenes):
        return np.zeros(0, dtype=np.int64)
    return np.array([-1 if scene.class_id is None else scene.class_id for scene in scenes], dtype=np.int64)
