"""Right, wrong and ignored detections, compared with pycocotools."""

import contextlib
import importlib
import io
from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import scene_of

from yolo_proc.batch import Batch
from yolo_proc.config.schema import LabelConfig
from yolo_proc.detection.matching import IGNORED, RIGHT, WRONG, Truth, ignored_by_reason, match, truths_of
from yolo_proc.detection.nms import Detections
from yolo_proc.evaluation.cocomap import coco_annotations, coco_results

CLASSES = 2


def detections(boxes: list[tuple[float, ...]], classes: list[int], confidence: list[float] | None = None) -> Detections:
    sure = np.linspace(0.9, 0.1, len(boxes)) if confidence is None else np.array(confidence)
    slots = np.arange(len(boxes))
    return Detections(np.array(boxes, dtype=float).reshape(-1, 4), sure, np.array(classes, dtype=np.int64), slots)


def truth(
    boxes: list[tuple[float, ...]],
    classes: list[int],
    states: list[int] | None = None,
    ignore: Sequence[tuple[float, ...]] = (),
) -> Truth:
    return Truth(
        np.array(boxes, dtype=float).reshape(-1, 4),
        np.array(classes, dtype=np.int64),
        np.array([0] * len(boxes) if states is None else states, dtype=np.int64),
        np.array(ignore, dtype=float).reshape(-1, 4),
    )


def coco_outcomes(found: Detections, shown: Truth, min_iou: float) -> np.ndarray:
    """What pycocotools makes of each detection."""
    coco = importlib.import_module("pycocotools.coco")
    cocoeval = importlib.import_module("pycocotools.cocoeval")
    with contextlib.redirect_stdout(io.StringIO()):
        truths = coco.COCO()
        truths.dataset = coco_annotations([shown], CLASSES)
        truths.createIndex()
        judged = cocoeval.COCOeval(truths, truths.loadRes(coco_results([found])), "bbox")
        judged.params.areaRng, judged.params.areaRngLbl = [[0, 1e12]], ["all"]
        judged.params.iouThrs = np.array([min_iou])
        judged.params.maxDets = [300]
        judged.evaluate()
    outcomes = np.full(len(found), 99)
    for one in judged.evalImgs:
        if one is None:
            continue
        for number, matched, ignored in zip(one["dtIds"], one["dtMatches"][0], one["dtIgnore"][0], strict=True):
            outcomes[number - 1] = IGNORED if ignored else RIGHT if matched else WRONG
    return outcomes


# Halves, so that ties and exact thresholds come up often.
side = st.integers(0, 20).map(lambda half: half / 2)
box = st.tuples(side, side, side, side).map(lambda b: (b[0], b[1], b[0] + b[2] + 0.5, b[1] + b[3] + 0.5))
class_id = st.integers(0, CLASSES - 1)


@settings(max_examples=150, deadline=None)
@given(
    objects=st.lists(st.tuples(box, class_id, st.sampled_from([0, 0, 1, 2])), max_size=6),
    regions=st.lists(box, max_size=2),
    found=st.lists(st.tuples(box, class_id), min_size=1, max_size=8),
    min_iou=st.sampled_from([0.25, 0.5, 0.75]),
)
def test_as_pycocotools(objects: list, regions: list, found: list, min_iou: float) -> None:
    shown = truth([o[0] for o in objects], [o[1] for o in objects], [o[2] for o in objects], regions)
    mine = detections([f[0] for f in found], [f[1] for f in found])
    assert match(mine, shown, min_iou).tolist() == coco_outcomes(mine, shown, min_iou).tolist()


def test_an_object_is_found_once() -> None:
    shown = truth([(0, 0, 10, 10)], [0])
    found = detections([(0, 0, 10, 9), (0, 0, 10, 10)], [0, 0])
    assert match(found, shown).tolist() == [RIGHT, WRONG]


def test_the_second_best_object_is_taken_if_the_best_is_gone() -> None:
    shown = truth([(0, 0, 10, 10), (0, 2, 10, 12)], [0, 0])
    found = detections([(0, 0, 10, 10), (0, 1, 10, 11), (50, 50, 60, 60)], [0, 0, 0])
    assert match(found, shown).tolist() == [RIGHT, RIGHT, WRONG]


def test_another_class_is_wrong_and_an_iou_of_exactly_a_half_is_right() -> None:
    shown = truth([(0, 0, 10, 10)], [1])
    assert match(detections([(0, 0, 10, 10)], [0]), shown).tolist() == [WRONG]
    assert match(detections([(0, 0, 10, 5)], [1]), shown).tolist() == [RIGHT]
    assert match(detections([(0, 0, 10, 4.99)], [1]), shown).tolist() == [WRONG]


def test_ignored_objects_excuse_any_number_of_their_class_and_regions_every_class() -> None:
    shown = truth([(0, 0, 10, 10)], [1], [2], [(20, 0, 30, 10)])
    boxes = [(0, 0, 10, 10), (2, 2, 4, 4), (0, 0, 10, 10), (22, 2, 24, 4), (22, 2, 24, 4), (27, 0, 37, 10)]
    found = detections(boxes, [1, 1, 0, 0, 1, 0])
    assert match(found, shown).tolist() == [IGNORED, IGNORED, WRONG, IGNORED, IGNORED, WRONG]


def test_nothing_found_and_nothing_shown() -> None:
    assert match(detections([], []), truth([(0, 0, 1, 1)], [0])).shape == (0,)
    assert match(detections([(0, 0, 1, 1)], [0]), truth([], [])).tolist() == [WRONG]
    assert match(detections([(3, 3, 3, 3)], [0]), truth([], [], [], [(0, 0, 9, 9)])).tolist() == [WRONG]
    assert ignored_by_reason([]) == {"min_in_frame": 0, "min_visible": 0, "min_box_px": 0}


def test_truths_are_taken_apart_by_picture_and_limits_are_in_network_pixels() -> None:
    scenes = [
        scene_of(0, [((0, 0, 6, 20), 0), ((30, 30, 60, 60), 1)], visible=[1.0, 0.1]),
        scene_of(1, [], ignore=[(0, 0, 5, 5)]),
        scene_of(2, [((1, 2, 30, 40), 2)]),
    ]
    truths = truths_of(Batch.of(scenes), LabelConfig(min_visible=0.4, min_box_px=4))
    assert [one.labelled.tolist() for one in truths] == [[True, False], [], [True]]
    assert [len(one.ignore_xyxy) for one in truths] == [0, 1, 0]
    assert truths[2].box_xyxy.tolist() == [[1, 2, 30, 40]]
    assert truths[2].class_ids.tolist() == [2]
    # At half the size on the network, 6 pixels are 3.
    halved = truths_of(Batch.of(scenes), LabelConfig(min_visible=0.4, min_box_px=4), shrink=0.5)
    assert [one.labelled.tolist() for one in halved] == [[False, False], [], [True]]
    assert ignored_by_reason(halved) == {"min_in_frame": 0, "min_visible": 1, "min_box_px": 1}
