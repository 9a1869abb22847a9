"""Pictures in, detections out.

detector = Detector.load("checkpoints/glyphs-001")
found = detector.detect(rgb)
for box, confidence, class_id in zip(found.box_xyxy, found.confidence, found.class_ids):
    print(detector.classes[class_id], confidence, box)
"""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from yolo_proc.detection.codec import DecodeConfig, Detections
from yolo_proc.detection.grids import side_multiple
from yolo_proc.detection.task import DetectionTask
from yolo_proc.errors import ConfigError, DataError
from yolo_proc.evaluation.classifier import require_task
from yolo_proc.imaging.letterbox import Letterbox, frame_for
from yolo_proc.models import checkpoint
from yolo_proc.models.fields import check_state
from yolo_proc.models.network import Yolo, network_outputs
from yolo_proc.models.weights import model_from_checkpoint
from yolo_proc.system.device import pick_device


class Detector:
    """A trained network with its classes and everything between a picture and boxes on it.

    What a canvas draws has sizes in units of its shorter side. So a detector of such scenes shows a picture to the
    network in the picture's own shape, its shorter side with as many pixels as in training, see `letterbox.frame_for`:
    1920 x 1080 to a network of 256 x 256 with 448 x 256. A detector that learnt from whole pictures in their letterbox
    (`folder:`) shows all in the frame of training, as an exported model does.

    Args:
        model: in evaluation mode, its confidence calibrated.
        classes: names by class index.
        own_shape: whether pictures are shown in their own shape; ignored by networks that take one size.
        notes: lines for the user, for example that a damaged checkpoint was passed over.
    """

    def __init__(
        self,
        model: Yolo,
        classes: tuple[str, ...],
        *,
        own_shape: bool = False,
        device: torch.device | str = "cpu",
        notes: tuple[str, ...] = (),
    ) -> None:
        assert len(classes) == model.task.codec.class_count, (classes, model.task.codec.class_count)
        self.device = torch.device(device)
        self.model = model.to(self.device).eval()
        self.classes = classes
        self.own_shape = own_shape
        self.notes = notes

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        weights: Literal["ema", "raw"] = "ema",
        input_size: tuple[int, int] | None = None,
        device: str = "auto",
    ) -> "Detector":
        """Return the detector of a checkpoint, or of a run's folder: its best checkpoint, else its newest.

        Args:
            weights: "ema", the averaged ones that are shipped and calibrated, or "raw".
            input_size: (width, height) of the network's input for every picture; None: what suits what it has learnt
                from, see the class.
            device: "auto", "cpu", "cuda" or "cuda:N".

        Raises:
            CheckpointError: nothing readable there, or not of a detector.
            ConfigError: no such device, or an input size that the network cannot have.
        """
        found = checkpoint.shipped(path, check_state)
        return cls.of_checkpoint(found, weights=weights, input_size=input_size, device=device)

    @classmethod
    def of_checkpoint(
        cls,
        found: checkpoint.Found,
        *,
        weights: Literal["ema", "raw"] = "ema",
        input_size: tuple[int, int] | None = None,
        device: str = "auto",
    ) -> "Detector":
        """Return the detector of a checkpoint that was read already; see `load`."""
        if input_size is not None and [type(side) for side in np.atleast_1d(input_size).tolist()] != [int, int]:
            raise ConfigError(f"input-size: expected (width, height) such as (448, 256), found {input_size!r}")
        path, state, notes = found
        require_task(state["task"], DetectionTask.name, path)
        model = model_from_checkpoint(state, weights, path=path)
        own_shape = input_size is None and state.get("own_shape", False)
        classes = tuple(state["classes"])
        model = model if input_size is None else model.at(*input_size)
        return cls(model, classes, own_shape=own_shape, device=pick_device(device), notes=notes)

    @property
    def picture_size(self) -> tuple[int, int]:
        """Width and height that `detect_batch` takes: those of training, or the input size that was given."""
        return self.model.task.codec.frame

    def model_for(self, width: int, height: int) -> Yolo:
        """Return the network with the input that a picture of this size is shown with."""
        if not (self.own_shape and self.model.resizable):
            return self.model
        codec = self.model.task.codec
        return self.model.at(*frame_for(width, height, min(codec.frame), side_multiple(codec.grids)))

    def detect(
        self,
        rgb: NDArray[np.uint8],
        confidence: float = 0.65,
        max_iou: float = 0.4,
        *,
        nms: Literal["class", "agnostic"] = "class",
        max_candidates: int = 1000,
        max_detections: int = 300,
    ) -> Detections:
        """Return what is found in one picture of any size; boxes in that picture's own pixels, clipped to it.

        Args:
            rgb: uint8 (H, W, 3), red first (OpenCV reads blue first: `picture[..., ::-1]`).
            confidence: least probability of a box.
            max_iou: of two boxes (of one class, or of any for "agnostic") that overlap so much the more
                confident one stays.

        Raises:
            DataError: a picture of another shape or type.
            ConfigError: an argument out of range.
        """
        decoding = DecodeConfig(confidence, max_iou, nms, max_candidates, max_detections)
        picture = np.asarray(rgb)
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or 0 in picture.shape:
            raise DataError(f"detect: expected a uint8 RGB picture (H, W, 3), found {picture.dtype} {picture.shape}")
        height, width = picture.shape[:2]
        model = self.model_for(width, height)
        return detect_pictures(model, torch.from_numpy(picture.copy())[None], decoding, self.device)[0]

    def detect_batch(
        self, pictures: NDArray[np.uint8] | torch.Tensor, decoding: DecodeConfig | None = None
    ) -> list[Detections]:
        """Return what is found in each of some pictures of the network's own size, in network pixels.

        Args:
            pictures: uint8 RGB (B, H, W, 3), an array or a tensor.

        Raises:
            DataError: pictures of another size, shape or type.
        """
        # A copy, since torch takes no array that is read-only or counts backwards.
        images = pictures if isinstance(pictures, torch.Tensor) else torch.from_numpy(np.array(pictures))
        width, height = self.picture_size
        if images.dtype != torch.uint8 or images.ndim != 4 or tuple(images.shape[1:]) != (height, width, 3):
            raise DataError(
                f"detect_batch: expected uint8 RGB pictures (B, {height}, {width}, 3), found {images.dtype} "
                f"{tuple(images.shape)}; `detect` takes a picture of any size"
            )
        return self.model.task.codec.decode(network_outputs(self.model, images, self.device), decoding)


def detect_pictures(
    model: Yolo, pictures: torch.Tensor, decoding: DecodeConfig, device: torch.device | str
) -> list[Detections]:
    """Return what is found in pictures of one size, any size; boxes in the pictures' own pixels, clipped to them.

    Args:
        model: in evaluation mode, on `device`.
        pictures: uint8 RGB (B, H, W, 3).
    """
    height, width = pictures.shape[1:3]
    box = Letterbox.of(width, height, *model.task.codec.frame)
    if (width, height) == model.task.codec.frame:
        return model.task.codec.decode(network_outputs(model, pictures, device), decoding)
    fitted = np.stack([box.apply(picture) for picture in pictures.numpy()])  # (B, network H, network W, 3)
    found = model.task.codec.decode(network_outputs(model, torch.from_numpy(fitted), device), decoding)
    return [replace(one, box_xyxy=box.boxes_to_picture(one.box_xyxy)) for one in found]
