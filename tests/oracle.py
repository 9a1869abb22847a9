"""A network that knows the answers: it reads a scene's number from the picture and gives the logits of its truth."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from yolo_proc.batch import Batch
from yolo_proc.config.schema import LabelConfig
from yolo_proc.data.stream import letterboxed
from yolo_proc.detection.codec import Grid, LabelCodec, deactivate
from yolo_proc.detection.task import DetectionTask
from yolo_proc.imaging.letterbox import Letterbox
from yolo_proc.scene import Scene, SceneObject

Box = tuple[float, float, float, float]
SIDE = 128
CODEC = LabelCodec((Grid(16, 8, 8, ((30.0, 30.0), (15.0, 45.0))),), 3)


def scene_of(
    number: int,
    things: Sequence[tuple[Box, int]],
    *,
    size: tuple[int, int] = (SIDE, SIDE),
    visible: Sequence[float] | None = None,
    ignore: Sequence[Box] = (),
) -> Scene:
    """A grey picture (width, height) whose brightness is the number of the scene."""
    shares = visible or [1.0] * len(things)
    objects = [SceneObject(box, k, visible=share) for (box, k), share in zip(things, shares, strict=True)]
    image = np.full((size[1], size[0], 3), number, dtype=np.uint8)
    return Scene(image, tuple(objects), np.array(ignore, dtype=np.float64).reshape(-1, 4))


class Scenes:
    """Looks like a Stream of a few scenes; further ones are empty."""

    classes = ("A", "B", "C")

    def __init__(self, scenes: Sequence[Scene]) -> None:
        self.scenes = scenes

    def __getitem__(self, index: int) -> Scene:
        return self.scenes[index] if index < len(self.scenes) else scene_of(250, [])


class Oracle:
    """Looks like a Yolo. `change` may spoil the perfect answers (S, 5 + C) of a scene, logits in, logits out."""

    task = DetectionTask(CODEC, classes=("A", "B", "C"))
    frame = task.frame
    training = False
    resizable = False

    def __init__(
        self,
        scenes: Sequence[Scene],
        change: Callable[[int, NDArray[np.float64]], NDArray[np.float64]] = lambda _, logits: logits,
    ) -> None:
        self.scenes = scenes
        self.change = change
        self.calls: list[tuple[int, ...]] = []

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        self.calls.append(tuple(images.shape))
        assert images.dtype == torch.uint8
        assert torch.is_inference_mode_enabled()
        return torch.from_numpy(np.stack([self._answer(int(image[SIDE // 2, SIDE // 2, 0])) for image in images]))

    def _answer(self, number: int) -> NDArray[np.float32]:
        known = self.scenes[number] if number < len(self.scenes) else scene_of(number, [])
        if known.image.shape[:2] != (SIDE, SIDE):
            known = letterboxed(known, SIDE, SIDE)
        everything = LabelConfig(min_visible=0, min_in_frame=0, min_box_px=0)
        dense = CODEC.dense(CODEC.assign(Batch.of([known]), everything))
        return self.change(number, deactivate(dense)[0]).astype(np.float32)


def shrink_of(size: tuple[int, int]) -> float:
    return Letterbox.of(*size, SIDE, SIDE).r
