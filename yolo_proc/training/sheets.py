"""The pictures that a run leaves in its folder: what the network saw, and what it finds on fresh images."""

import numpy as np

from yolo_proc.batch import Batch
from yolo_proc.data.stream import Stream
from yolo_proc.evaluation.predict import Detector
from yolo_proc.models.network import Yolo
from yolo_proc.plotting.preview import predictions_sheet, preview_sheet, write_png
from yolo_proc.scene import Scene, SceneObject
from yolo_proc.training.session import Session

SHOWN = 16
PREVIEW = "preview.png"
PREDICTIONS = "predictions.png"


def write_preview(session: Session, batch: Batch) -> None:
    """Writes `preview.png`: pictures of a batch as they reach the network, with the labels they are trained on."""
    scenes = [_scene(batch, image) for image in range(min(SHOWN, len(batch)))]
    write_png(session.folder / PREVIEW, preview_sheet(scenes, session.state.classes, limits=session.config.labels))


def write_predictions(session: Session, model: Yolo) -> None:
    """Writes `predictions.png`: what a calibrated model finds on fresh images at the default confidence."""
    stream = Stream.from_config(session.config, "predictions")
    scenes = [stream[index] for index in range(SHOWN)]
    detector = Detector(model, session.state.classes, device=session.device)
    found = [detector.detect(scene.image) for scene in scenes]
    sheet = predictions_sheet(scenes, found, session.state.classes, limits=session.config.labels)
    write_png(session.folder / PREDICTIONS, sheet)


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
