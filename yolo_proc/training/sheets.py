"""The pictures that a run leaves in its folder: what the network saw, and what it finds on fresh images."""

import numpy as np

from yolo_proc.batch import Batch
from yolo_proc.data.stream import Stream
from yolo_proc.evaluation.predict import Detector
from yolo_proc.models.network import Yolo
from yolo_proc.plotting.preview import predictions_sheet, preview_sheet, write_png
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


def write_predictions(run: RunStarted, model: Yolo, images: int) -> None:
    """Write `predictions.png`: what a calibrated model finds on fresh images at the default confidence.

    Args:
        images: on the sheet.
    """
    stream = Stream.from_config(run.config, "predictions")
    scenes = [stream[index] for index in range(images)]
    detector = Detector(model, run.classes, device=run.device)
    found = [detector.detect(scene.image) for scene in scenes]
    sheet = predictions_sheet(scenes, found, run.classes, limits=run.config.labels)
    write_png(run.run_dir / PREDICTIONS, sheet)


def _scene(batch: Batch, image: int) -> Scene:
    """One image of a batch as a scene again."""
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
    return Scene(np.asarray(batch.images[image].numpy()), objects, ignored)
