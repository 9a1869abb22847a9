"""The class of a whole image: what the scene was labelled with, or its only object."""

import numpy as np
from numpy.typing import NDArray

from yolo_proc.batch import Batch
from yolo_proc.config.schema import LabelConfig
from yolo_proc.detection.label_checks import LabelError, LabelProblem, require_sound_labels
from yolo_proc.scene import LABEL_STATES, label_state_codes

IGNORED = -1  # the class of an image of which no loss and no metric speaks
NO_OBJECT = "no_object"
_EXPECTED = "expected one object, or a scene that draw() labels: canvas.label_scene(name)"


def image_classes(batch: Batch, limits: LabelConfig, class_count: int) -> tuple[NDArray[np.int64], dict[str, int]]:
    """Return the class of each image (B,) int64, and how many have none, by reason.

    The scene's own label counts; without one the class of its only object. An image whose only object is below a limit,
    or was moved out of the frame, is `IGNORED`.

    Raises:
        LabelError: labels that break their contract, several objects without a label of the scene, or no image with a
            class in the whole batch.
    """
    require_sound_labels(batch, class_count)
    images = len(batch)
    of_scene = batch.scene_class_ids if len(batch.scene_class_ids) else np.full(images, IGNORED)
    _require_known(batch, of_scene, class_count)
    counts = np.bincount(batch.image_ids, minlength=images)
    unclear = np.flatnonzero((of_scene == IGNORED) & (counts > 1))
    if len(unclear):
        raise LabelError(
            [
                LabelProblem("class", int(batch.indices[image]), f"{counts[image]} objects and no label; {_EXPECTED}")
                for image in unclear.tolist()
            ]
        )
    codes = label_state_codes(batch.box_xyxy, batch.visible, batch.in_frame, limits)
    of_object = np.full(images, IGNORED)
    of_object[batch.image_ids[codes == 0]] = batch.class_ids[codes == 0]
    classes = np.where(of_scene == IGNORED, of_object, of_scene)
    if images and (classes == IGNORED).all() and not counts.any():
        raise LabelError([LabelProblem("class", int(batch.indices[0]), f"no object and no label; {_EXPECTED}")])
    alone = (of_scene[batch.image_ids] == IGNORED) if len(batch.image_ids) else np.zeros(0, dtype=bool)
    dropped = {state: int((codes[alone] == code).sum()) for code, state in enumerate(LABEL_STATES) if code}
    dropped[NO_OBJECT] = int(((of_scene == IGNORED) & (counts == 0)).sum())
    return classes.astype(np.int64), dropped


def _require_known(batch: Batch, of_scene: NDArray[np.int64], class_count: int) -> None:
    wrong = np.flatnonzero((of_scene < IGNORED) | (of_scene >= class_count))
    if len(wrong) or len(of_scene) != len(batch):
        image = int(wrong[0]) if len(wrong) else 0
        words = f"its class id is {of_scene[image] if len(wrong) else 'missing'}; expected 0 to {class_count - 1}"
        raise LabelError([LabelProblem("class", int(batch.indices[image]), words)])
