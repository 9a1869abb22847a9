"""The pictures that a run leaves in its folder: what the network saw, and what it finds on fresh images."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo_proc.batch import Batch
from yolo_proc.classification.labels import IGNORED, image_classes
from yolo_proc.data.stream import Stream
from yolo_proc.evaluation.classifier import Classifier
from yolo_proc.evaluation.predict import Detector
from yolo_proc.models.network import Network
from yolo_proc.plotting.preview import RIGHT, WRONG, captions_sheet, predictions_sheet, preview_sheet, write_png
from yolo_proc.scene import Scene, SceneObject
from yolo_proc.training.events import RunStarted

PREVIEW = "preview.png"
PREDICTIONS = "predictions.png"


def write_preview(run: RunStarted, batch: Batch, images: int) -> None:
    """Write `preview.png`: images of a batch as they reach the network, with the labels they are trained on.

    Args:
        images: on the sheet, at most.
    """
    scenes = [_scene(batch, image) for image in range(min(images, len(batch)))]
    write_png(run.run_dir / PREVIEW, preview_sheet(scenes, run.classes, limits=run.config.labels))


def write_predictions(run: RunStarted, model: Network[Any], images: int) -> None:
    """Write `predictions.png`: what a calibrated model says of fresh images. A task of the user's own has none.

    Args:
        images: on the sheet.
    """
    draw = {"detection": _detections, "classification": _classes}.get(model.task.name)
    if draw is not None:
        stream = Stream.from_config(run.config, "predictions")
        write_png(run.run_dir / PREDICTIONS, draw(run, model, [stream[index] for index in range(images)]))


def _classes(run: RunStarted, model: Network[Any], scenes: list[Scene]) -> NDArray[np.uint8]:
    """Return the class of each image and its confidence, green where it is right; the true class where it is not."""
    classifier = Classifier(model, device=run.device)
    captions = []
    truth, _ = image_classes(Batch.of(scenes), run.config.labels, len(run.classes))
    for scene, true in zip(scenes, truth.tolist(), strict=True):
        found = classifier.classify(scene.image)
        words = f"{run.classes[found.class_id]} {found.confidence[0]:.2f}"
        right = true in (found.class_id, IGNORED)
        captions.append((words, RIGHT) if right else (f"{words}, not {run.classes[true]}", WRONG))
    return captions_sheet(scenes, captions)


def _detections(run: RunStarted, model: Network[Any], scenes: list[Scene]) -> NDArray[np.uint8]:
    """Return boxes at the default confidence."""
    detector = Detector(model, run.classes, device=run.device)
    found = [detector.detect(scene.image) for scene in scenes]
    return predictions_sheet(scenes, found, run.classes, limits=run.config.labels)


def _scene(batch: Batch, image: int) -> Scene:
    """Return one image of a batch as a scene again."""
    rows = batch.objects_of(image)
    objects = tuple(
        SceneObject(
            (box[0], box[1], box[2], box[3]), int(class_id), None, float(visible), float(in_frame), float(confidence)
        )
        for box, class_id, visible, in_frame, confidence in zip(
            batch.box_xyxy[rows].tolist(),
            batch.class_ids[rows],
            batch.visible[rows],
            batch.in_frame[rows],
            batch.confidence[rows],
            strict=True,
        )
    )
    ignored = batch.ignore_xyxy[batch.ignore_image_ids == image]
    of_scene = int(batch.scene_class_ids[image]) if len(batch.scene_class_ids) else -1
    return Scene(np.asarray(batch.images[image].numpy()), objects, ignored, None if of_scene < 0 else of_scene)
