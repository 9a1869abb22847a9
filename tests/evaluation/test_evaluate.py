"""Figures of an evaluation: known answers, pycocotools, and plain loops."""

import contextlib
import importlib
import io
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray
from oracle import CODEC, SIDE, Oracle, Scenes, scene_of
from tiny_export import tiny_checkpoint

from yolo_proc.cli.main import main
from yolo_proc.config.schema import LabelConfig
from yolo_proc.data.stream import Stream
from yolo_proc.detection.codec import DecodeConfig, H, J, W
from yolo_proc.detection.matching import Truth
from yolo_proc.detection.nms import Detections
from yolo_proc.evaluation.cocomap import average_precisions, coco_annotations, coco_results
from yolo_proc.evaluation.evaluate import CALIBRATION_FLOOR, Evaluation, evaluate, expected_calibration_error, judge
from yolo_proc.models.network import Yolo
from yolo_proc.scene import Scene

LIMITS = LabelConfig(min_visible=0.4, min_in_frame=0.5, min_box_px=4)

SCENES = [
    scene_of(0, [((10, 10, 40, 40), 0), ((60, 60, 100, 90), 1)]),
    scene_of(1, []),
    scene_of(2, [((5, 50, 20, 95), 2)]),
    scene_of(3, [((70, 10, 100, 44), 0), ((20, 80, 50, 110), 0)]),
]


def run(scenes: list[Scene], model: Oracle, count: int | None = None, **options: Any) -> Evaluation:
    stream = cast(Stream, Scenes(scenes))
    count = len(scenes) if count is None else count
    return evaluate({"only": cast(Yolo, model)}, stream, count, LIMITS, **options)["only"]


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_perfect_answers_are_perfect(batch_size: int) -> None:
    done: list[int] = []
    result = run(SCENES, Oracle(SCENES), batch_size=batch_size, on_images=done.append)
    assert (result.map50, result.map50_95) == pytest.approx((1, 1))
    assert (result.overall.precision, result.overall.recall) == (1, 1)
    assert (result.overall.objects, result.overall.detections, result.images) == (5, 5, 4)
    assert result.calibration_error == pytest.approx(0, abs=1e-6)
    assert [figures.objects for figures in result.classes] == [3, 1, 1]
    assert [figures.ap50_95 for figures in result.classes] == pytest.approx([1, 1, 1])
    assert done[-1] == 4


def test_larger_boxes_lower_the_strict_figure_first() -> None:
    def larger(_: int, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        logits[:, W : H + 1] += math.log(1.2)  # IoU 1 / 1.44 = 0.694
        return logits

    result = run(SCENES, Oracle(SCENES, larger))
    assert result.map50 == pytest.approx(1)
    assert result.map50_95 == pytest.approx(0.4)  # 0.5, 0.55, 0.6, 0.65 of ten
    assert result.overall.recall == 1


def test_wrong_classes_and_misses_are_told_by_class() -> None:
    def spoil(number: int, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        if number == 2:
            logits[:, 5:] = np.roll(logits[:, 5:], 1, axis=1)  # C is called A
        if number == 3:
            logits[:, J] = -20
        return logits

    result = run(SCENES, Oracle(SCENES, spoil))
    a, b, c = result.classes
    assert (a.precision, a.recall) == (0.5, pytest.approx(1 / 3))
    assert (b.precision, b.recall, b.ap50) == (1, 1, pytest.approx(1))
    assert math.isnan(c.precision)
    assert (c.recall, c.ap50, c.detections, c.objects) == (0, 0, 0, 1)
    assert (result.overall.precision, result.overall.recall) == (pytest.approx(2 / 3), pytest.approx(2 / 5))


def test_unsure_boxes_count_for_map_but_not_at_the_confidence() -> None:
    def unsure(_: int, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        logits[:, J] = np.where(logits[:, J] > 0, -1.0, -20)  # 0.27
        return logits

    result = run(SCENES, Oracle(SCENES, unsure))
    assert result.map50 == pytest.approx(1)
    assert (result.overall.recall, result.overall.detections) == (0, 0)
    assert math.isnan(result.overall.precision)
    assert result.calibration_error == pytest.approx(1 - 1 / (1 + math.e), abs=1e-6)
    assert run(SCENES, Oracle(SCENES, unsure), decoding=DecodeConfig(0.2)).overall.recall == 1


def test_objects_below_a_limit_and_regions_count_neither_way() -> None:
    hidden = [((10.0, 10.0, 40.0, 40.0), 0), ((60.0, 60.0, 100.0, 90.0), 1)]
    scenes = [
        scene_of(0, hidden, visible=[0.1, 1.0]),  # found, though hardly visible
        scene_of(1, [((100, 100, 103, 120), 1)]),  # 3 pixels wide
        scene_of(2, [], ignore=[(30, 30, 70, 70)]),
        scene_of(3, [((60, 20, 90, 50), 0)]),
    ]
    shown = [*scenes[:2], scene_of(2, [((32, 32, 62, 62), 2)]), scenes[3]]  # something is found in the region
    result = run(scenes, Oracle(shown))
    assert (result.overall.precision, result.overall.recall, result.overall.objects) == (1, 1, 2)
    assert (result.map50, result.map50_95) == pytest.approx((1, 1))
    assert result.ignored == {"min_in_frame": 0, "min_visible": 1, "min_box_px": 1}
    assert math.isnan(result.classes[2].ap50)
    # Nothing found there costs nothing either.
    blind = [scene_of(0, hidden[1:]), scene_of(1, []), scene_of(2, []), scenes[3]]
    assert run(scenes, Oracle(blind)).to_dict() == {**result.to_dict(), "detections": result.overall.detections}
    # The same box where nothing is ignored is wrong.
    clear = [*scenes[:2], scene_of(2, []), scenes[3]]
    assert run(clear, Oracle(shown)).overall.precision == pytest.approx(2 / 3)


def test_empty_sets() -> None:
    for scenes in ([], [scene_of(0, [])]):
        result = run(scenes, Oracle(scenes))
        assert result.images == len(scenes)
        for value in (result.map50, result.map50_95, result.overall.recall, result.calibration_error):
            assert math.isnan(value)
        json.dumps(result.to_dict(), allow_nan=False)
        assert "all" in result.table()
    seen_where_nothing_is = run([scene_of(0, [])], Oracle([SCENES[0]]))
    assert seen_where_nothing_is.overall.precision == 0
    assert math.isnan(seen_where_nothing_is.map50)
    blind = run(SCENES, Oracle([scene_of(number, []) for number in range(4)]))
    assert (blind.map50, blind.overall.recall) == (0, 0)


def test_the_surplus_of_the_last_batch_does_not_count() -> None:
    result = run(SCENES, Oracle(SCENES), count=3, batch_size=2)
    assert (result.images, result.overall.objects) == (3, 3)


def test_several_models_see_the_same_scenes() -> None:
    blind = Oracle([scene_of(number, []) for number in range(4)])
    both = {"ema": cast(Yolo, Oracle(SCENES)), "raw": cast(Yolo, blind)}
    results = evaluate(both, cast(Stream, Scenes(SCENES)), 4, LIMITS)
    assert (results["ema"].map50, results["raw"].map50) == (pytest.approx(1), 0)


def test_larger_pictures_go_through_the_letterbox_and_are_compared_in_their_own_pixels() -> None:
    size = (384, 216)  # a third of it is 128 x 72
    scenes = [
        scene_of(0, [((30, 30, 120, 120), 0), ((200, 40, 320, 130), 1)], size=size),
        scene_of(1, [((90, 80, 180, 170), 2), ((300, 50, 309, 140), 0)], size=size),  # the last: 3 network pixels
    ]
    model = Oracle(scenes)
    result = run(scenes, model)
    assert model.calls == [(2, SIDE, SIDE, 3)]
    assert result.map50_95 == pytest.approx(1)
    assert (result.overall.objects, result.ignored["min_box_px"]) == (3, 1)

    def shifted(_: int, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        logits[:, W : H + 1] += math.log(1.2)
        return logits

    assert run(scenes, Oracle(scenes, shifted)).map50_95 == pytest.approx(0.4)


def random_case(seed: int, images: int) -> tuple[list[Truth], list[Detections]]:
    """Objects, ignored ones and regions, and detections near them of any class."""
    rng = np.random.default_rng(seed)
    truths, found = [], []
    for _ in range(images):
        count, regions = rng.integers(1, 6), rng.integers(0, 2)
        corner = rng.uniform(0, 80, (count + regions, 2))
        boxes = np.concatenate([corner, corner + rng.uniform(10, 48, (count + regions, 2))], axis=1)
        classes = rng.integers(0, 3, count + regions)
        truths.append(Truth(boxes[:count], classes[:count], rng.choice([0, 0, 0, 2], count), boxes[count:]))
        meant = rng.integers(0, count + regions, 8)
        near = boxes[meant] + rng.normal(0, 3, (8, 4))
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)
        called = np.where(rng.uniform(0, 1, 8) < 0.8, classes[meant], rng.integers(0, 3, 8))
        found.append(Detections(near, np.sort(rng.uniform(0, 1, 8))[::-1], called, np.arange(8)))
    return truths, found


@pytest.mark.parametrize("seed", range(3))
def test_average_precision_as_pycocotools_has_it(seed: int) -> None:
    coco = importlib.import_module("pycocotools.coco")
    cocoeval = importlib.import_module("pycocotools.cocoeval")
    truths, found = random_case(seed, 25)
    with contextlib.redirect_stdout(io.StringIO()):
        expected = coco.COCO()
        expected.dataset = coco_annotations(truths, 3)
        expected.createIndex()
        judged = cocoeval.COCOeval(expected, expected.loadRes(coco_results(found)), "bbox")
        judged.params.areaRng, judged.params.areaRngLbl = [[0, 1e12]], ["all"]
        judged.params.maxDets = [5]
        judged.evaluate()
        judged.accumulate()
    precision = judged.eval["precision"][:, :, :, 0, 0].mean(axis=1)  # (IoU, class)
    mine = average_precisions(truths, found, 3, 5)
    assert mine.ap50 == pytest.approx(precision[0], abs=1e-9)
    assert mine.ap50_95 == pytest.approx(precision.mean(axis=0), abs=1e-9)
    assert 0.02 < mine.ap50_95.min() < mine.ap50.max() < 0.98


def test_calibration_error_as_a_loop_has_it() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0, 1, 500)
    confidence[:2] = 1.0, CALIBRATION_FLOOR
    right = rng.uniform(0, 1, 500) < confidence**2
    error, bins = expected_calibration_error(confidence, right)
    total, sums = 0, 0.0
    for low in range(15):
        mine = [n for n in range(500) if confidence[n] >= 0.05 and min(int(confidence[n] * 15), 14) == low]
        total += len(mine)
        sums += abs(sum(float(right[n]) - confidence[n] for n in mine))
    assert error == pytest.approx(sums / total)
    assert sum(one.detections for one in bins) == total
    assert error > 0.1  # squares are not calibrated
    fair, _ = expected_calibration_error(confidence, rng.uniform(0, 1, 500) < confidence)
    assert fair < 0.08
    nothing, none = expected_calibration_error(np.zeros(3), np.zeros(3, dtype=bool))
    assert math.isnan(nothing)
    assert none == ()


def test_json_and_table() -> None:
    truths, found = random_case(7, 10)
    result = judge(truths, found, ("A", "Ö", "日"), DecodeConfig())
    values = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert {"map50", "map50_95", "precision", "recall", "images", "classes", "calibration_error"} <= set(values)
    assert values["map50"] == result.map50
    assert [one["name"] for one in values["classes"]] == ["A", "Ö", "日"]
    table = result.table().splitlines()
    assert table[0].split() == ["class", "objects", "mAP50", "mAP50-95", "precision", "recall"]
    assert table[4].split()[:3] == ["all", str(result.overall.objects), f"{result.map50:.3f}"]
    assert len(table) == 7


def test_pictures_with_more_detections_than_are_judged_are_told() -> None:
    truths, found = random_case(7, 10)
    cut = [replace(found[0], cut=True), replace(found[1], uncompared=3), *found[2:]]
    result = judge(truths, cut, ("A", "Ö", "日"), DecodeConfig())
    assert result.to_dict()["cut"] == 2
    assert result.table().splitlines()[-1].startswith("images with more detections than are judged: 2;")


def test_the_codec_of_the_oracle_holds_all_its_objects() -> None:
    assert CODEC.frame == (SIDE, SIDE)


def test_the_command_shows_pictures_in_their_own_shape(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = str(tiny_checkpoint(tmp_path / "a.pt", own_shape=True))

    def evaluated(*words: str) -> tuple[dict[str, Any], str]:
        assert main(["evaluate", "--checkpoint", checkpoint, "--images", "3", "--json", "--workers", "0", *words]) == 0
        captured = capsys.readouterr()
        return json.loads(captured.out), captured.err

    own, line = evaluated()
    assert own["input_size"] == [64, 64]
    assert "of generator shapes, 64 x 64, shown to the network with 64 x 64\n" in line
    wide, line = evaluated("--picture-size", "210x120")
    assert wide["input_size"] == [112, 64]
    assert "210 x 120, shown to the network with 112 x 64; an export needs --input-size 112x64 for that" in line
    square, line = evaluated("--picture-size", "210x120", "--input-size", "64x64")
    assert square["input_size"] == [64, 64]
    assert "export" not in line
    assert square["objects"] < wide["objects"]  # more are below the least size that is a label
    assert evaluated("--picture-size", "210x120", "--input-size", "112x64")[0] == wide
    tiny_checkpoint(tmp_path / "a.pt", own_shape=False)
    assert evaluated("--picture-size", "210x120")[0] == square
