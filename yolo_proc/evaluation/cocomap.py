"""COCO's mean average precision, by faster-coco-eval: the one border to that library."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo_proc.boxes import FloatArray, xyxy_to_xywh
from yolo_proc.detection.matching import Truth
from yolo_proc.detection.nms import Detections

# No area is too small or too large, as there is one range.
_ALL_AREAS = [0.0, 1e12]


@dataclass(frozen=True, eq=False)
class AveragePrecisions:
    """Average precision of each class, (C,); NaN for a class without labelled objects.

    Attributes:
        ap50: at IoU 0.5.
        ap50_95: mean over IoU 0.5, 0.55 ... 0.95.
    """

    ap50: FloatArray
    ap50_95: FloatArray


def coco_annotations(truths: Sequence[Truth], class_count: int) -> dict[str, Any]:
    """Return the truths as a COCO data set; ids count from 1, since COCO's code takes 0 for "no match".

    An object that is below a limit is `iscrowd` of its class, an ignore region `iscrowd` of every class.
    """
    annotations: list[dict[str, Any]] = []

    def add(image: int, boxes: FloatArray, class_ids: NDArray[np.int64], crowd: NDArray[np.bool_]) -> None:
        for box, class_id, is_crowd in zip(xyxy_to_xywh(boxes).tolist(), class_ids.tolist(), crowd, strict=True):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": class_id + 1,
                    "bbox": box,
                    "area": box[2] * box[3],
                    "iscrowd": int(is_crowd),
                }
            )

    for image, truth in enumerate(truths, start=1):
        add(image, truth.box_xyxy, truth.class_ids, ~truth.labelled)
        classes = np.repeat(np.arange(class_count), len(truth.ignore_xyxy))
        add(image, np.tile(truth.ignore_xyxy, (class_count, 1)), classes, np.ones(len(classes), dtype=bool))
    return {
        "info": {},
        "images": [{"id": image, "width": 1, "height": 1} for image in range(1, len(truths) + 1)],
        "categories": [{"id": number, "name": str(number)} for number in range(1, class_count + 1)],
        "annotations": annotations,
    }


def coco_results(found: Sequence[Detections]) -> list[dict[str, Any]]:
    """Return the detections as COCO results."""
    return [
        {"image_id": image, "category_id": class_id + 1, "bbox": box, "score": score}
        for image, one in enumerate(found, start=1)
        for box, class_id, score in zip(
            xyxy_to_xywh(one.box_xyxy).tolist(), one.class_ids.tolist(), one.confidence.tolist(), strict=True
        )
    ]


def average_precisions(
    truths: Sequence[Truth], found: Sequence[Detections], class_count: int, max_detections: int
) -> AveragePrecisions:
    """Return COCO's average precisions of the detections of some pictures.

    Args:
        max_detections: the surest so many of a picture and class count.
    """
    from faster_coco_eval import COCO, COCOeval_faster

    assert len(truths) == len(found), (len(truths), len(found))
    annotations = coco_annotations(truths, class_count)
    labels = [truth.class_ids[truth.labelled] for truth in truths]
    present = np.bincount(np.concatenate([np.zeros(0, dtype=np.int64), *labels]), minlength=class_count) > 0
    results = coco_results(found)
    if not results or not present.any():  # nothing for the library to look at
        none = np.where(present, 0.0, np.nan)
        return AveragePrecisions(none, none)
    truth_set = COCO(annotations)
    judged = COCOeval_faster(truth_set, truth_set.loadRes(results), iouType="bbox")
    judged.params.areaRng, judged.params.areaRngLbl = [_ALL_AREAS], ["all"]
    judged.params.maxDets = [max_detections]
    judged.evaluate()
    judged.accumulate()
    # (IoU, recall, class, area, max detections); -1 where a class has no objects
    precision = np.asarray(judged.eval["precision"], dtype=np.float64)[:, :, :, 0, 0]
    means = np.where(present, precision.mean(axis=1), np.nan)  # (IoU, C)
    return AveragePrecisions(means[0], means.mean(axis=0))
