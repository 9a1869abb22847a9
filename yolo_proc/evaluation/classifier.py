"""Images in, classes out.

classifier = Classifier.load("checkpoints/glyphs-001")
found = classifier.classify(rgb)
print(classifier.classes[found.class_id], found.confidence[0])
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from yolo_proc.classification.results import Classification
from yolo_proc.classification.task import ClassificationTask
from yolo_proc.errors import CheckpointError, DataError
from yolo_proc.imaging.letterbox import Letterbox
from yolo_proc.models import checkpoint
from yolo_proc.models.fields import check_state
from yolo_proc.models.network import Network, network_outputs
from yolo_proc.models.weights import model_from_checkpoint
from yolo_proc.system.device import pick_device


class Classifier:
    """A trained network with its classes and everything between an image and its class.

    An image of another size is shown to the network in its letterbox, as an exported model shows it.

    Args:
        model: in evaluation mode, its confidence calibrated.
        notes: lines for the user, for example that a damaged checkpoint was passed over.
    """

    def __init__(
        self,
        model: Network[ClassificationTask],
        *,
        device: torch.device | str = "cpu",
        notes: tuple[str, ...] = (),
    ) -> None:
        self.device = torch.device(device)
        self.model = model.to(self.device).eval()
        self.classes = model.task.classes
        self.notes = notes

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        weights: Literal["ema", "raw"] = "ema",
        input_size: tuple[int, int] | None = None,
        device: str = "auto",
    ) -> "Classifier":
        """Return the classifier of a checkpoint, or of a run's folder: its best checkpoint, else its newest.

        Args:
            weights: "ema", the averaged ones that are shipped and calibrated, or "raw".
            input_size: (width, height) of the network's input; None: as in training.
            device: "auto", "cpu", "cuda" or "cuda:N".

        Raises:
            CheckpointError: nothing readable there, or not of a classifier.
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
    ) -> "Classifier":
        """Return the classifier of a checkpoint that was read already; see `load`."""
        path, state, notes = found
        require_task(state["task"], ClassificationTask.name, path)
        model = model_from_checkpoint(state, weights, path=path)
        model = model if input_size is None else model.at(*input_size)
        return cls(model, device=pick_device(device), notes=notes)

    @property
    def picture_size(self) -> tuple[int, int]:
        """Width and height of the network's input."""
        return self.model.frame

    def model_for(self, width: int, height: int) -> Network[ClassificationTask]:  # noqa: ARG002 one for all
        """Return the network that an image of this size is shown to: every image goes through its letterbox."""
        return self.model

    def classify(self, rgb: NDArray[np.uint8]) -> Classification:
        """Return the classes of one image of any size, the most likely first.

        Args:
            rgb: uint8 (H, W, 3), red first (OpenCV reads blue first: `image[..., ::-1]`).

        Raises:
            DataError: an image of another shape or type.
        """
        image = np.asarray(rgb)
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
            raise DataError(f"classify: expected a uint8 RGB image (H, W, 3), found {image.dtype} {image.shape}")
        return self.classify_batch([image])[0]

    def classify_batch(self, images: Sequence[NDArray[np.uint8]]) -> list[Classification]:
        """Return the classes of each of some images; see `classify`."""
        if not len(images):
            return []
        logits = logits_of(self.model, images, self.device)
        return [Classification.of(values) for values in logits]


def logits_of(
    model: Network[ClassificationTask], images: Sequence[NDArray[np.uint8]], device: torch.device | str
) -> NDArray[np.float32]:
    """Return raw logits (N, C) of uint8 RGB images (H, W, 3) of any sizes, each in its letterbox."""
    width, height = model.frame
    fitted = [Letterbox.of(image.shape[1], image.shape[0], width, height).apply(image) for image in images]
    return network_outputs(model, torch.from_numpy(np.stack(fitted)), device)


def require_task(found: str, wanted: str, where: Path | str) -> None:
    """Refuse a checkpoint of another task.

    Raises:
        CheckpointError: names what reads it.
    """
    reader = {"detection": "Detector", "classification": "Classifier"}
    if found != wanted:
        raise CheckpointError(
            f"{where}: expected a checkpoint of the task {wanted}, found one of {found}; "
            f"{reader.get(found, 'its own task')} reads it"
        )
