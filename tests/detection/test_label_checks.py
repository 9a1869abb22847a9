"""The contract of labels: every problem is found and named, and what is sound passes, the empty batch too."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from codec_reference import ALL_GRIDS, make_batch, random_batch

from yolo_proc.batch import Batch
from yolo_proc.config.schema import LabelConfig, LossConfig
from yolo_proc.detection.codec import LabelCodec, Targets
from yolo_proc.detection.label_checks import (
    LabelError,
    label_problems,
    require_sound_labels,
    require_sound_targets,
    target_problems,
)
from yolo_proc.detection.task import DetectionTask

CLASSES = 3
LIMITS = LabelConfig()
CODEC = LabelCodec(next(iter(ALL_GRIDS.values())), CLASSES)


def sample() -> Batch:
    """Three images: two objects, none, three objects."""
    boxes = [(0, (10, 10, 40, 30), 0), (0, (50, 20, 90, 60), 1), (2, (0, 0, 20, 20), 2), (2, (30, 30, 60, 60), 0)]
    batch = make_batch(3, [*boxes, (2, (70, 10, 96, 64), 1)])
    return replace(batch, indices=np.array([700, 701, 702]))


def changed(values: np.ndarray, place: Any, value: float) -> np.ndarray:
    copy = values.copy()
    copy[place] = value
    return copy


def kinds(batch: Batch) -> list[str]:
    return [problem.kind for problem in label_problems(batch, CLASSES)]


@pytest.mark.parametrize("grids", ALL_GRIDS.values(), ids=ALL_GRIDS)
@pytest.mark.parametrize("seed", range(8))
def test_what_the_codec_makes_of_any_batch_is_sound(grids: Any, seed: int) -> None:
    codec = LabelCodec(grids, CLASSES)
    batch = random_batch(seed, classes=CLASSES)
    assert kinds(batch) == []
    assert target_problems(batch, codec.assign(batch, LIMITS), codec.slots, CLASSES) == []


def test_nothing_is_sound_and_so_is_a_box_of_no_area() -> None:
    for batch in (make_batch(2, []), make_batch(1, [(0, (10, 10, 10, 30), 0)])):
        require_sound_labels(batch, CLASSES)
        require_sound_targets(batch, CODEC.assign(batch, LIMITS), CODEC.slots, CLASSES)


@pytest.mark.parametrize(
    ("change", "kind", "scene"),
    [
        (lambda b: replace(b, box_xyxy=changed(b.box_xyxy, (1, 2), np.nan)), "finite", 700),
        (lambda b: replace(b, box_xyxy=changed(b.box_xyxy, (2, 0), -np.inf)), "finite", 702),
        (lambda b: replace(b, box_xyxy=changed(b.box_xyxy, (0, 0), 41)), "order", 700),
        (lambda b: replace(b, box_xyxy=changed(b.box_xyxy, (4, 3), 64.01)), "frame", 702),
        (lambda b: replace(b, box_xyxy=changed(b.box_xyxy, (2, 1), -0.01)), "frame", 702),
        (lambda b: replace(b, class_ids=changed(b.class_ids, 3, 3)), "class", 702),
        (lambda b: replace(b, class_ids=changed(b.class_ids, 0, -1)), "class", 700),
        (lambda b: replace(b, visible=changed(b.visible, 0, 1.1)), "share", 700),
        (lambda b: replace(b, confidence=changed(b.confidence, 4, np.nan)), "share", 702),
        (lambda b: replace(b, in_frame=changed(b.in_frame, 4, -0.5)), "share", 702),
        (lambda b: replace(b, class_ids=b.class_ids[:-1]), "shape", None),
        (lambda b: replace(b, image_ids=changed(b.image_ids, 4, 3)), "shape", None),
        (lambda b: replace(b, image_ids=b.image_ids[::-1]), "shape", None),
        (lambda b: replace(b, images=b.images[:2]), "shape", None),
    ],
)
def test_a_breach_of_an_object_names_its_scene(change: Callable[[Batch], Batch], kind: str, scene: int | None) -> None:
    assert kinds(sample()) == []
    (problem,) = label_problems(change(sample()), CLASSES)
    assert (problem.kind, problem.scene) == (kind, scene)


def test_normalised_units_are_seen_in_enough_boxes_only() -> None:
    many = [(0, (0.1 * k, 0.2, 0.1 * k + 0.1, 0.4), 0) for k in range(9)]
    assert kinds(make_batch(1, many)) == ["units"]
    assert kinds(make_batch(1, many[:3])) == []
    assert kinds(make_batch(1, [*many, (0, (0, 0, 5, 5), 0)])) == []


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda t: replace(t, dropped={**t.dropped, "slot_taken": 1}), "count"),
        (lambda t: replace(t, dropped={}, **{name: getattr(t, name)[:-1] for name in ROWS}), "count"),
        (lambda t: replace(t, slot=changed(t.slot, 0, CODEC.slots)), "slot"),
        (lambda t: replace(t, image=changed(t.image, 0, 3)), "slot"),
        (lambda t: replace(t, slot=changed(t.slot, 0, t.slot[1])), "slot"),
        (lambda t: replace(t, xy=changed(t.xy, (1, 0), 1.0)), "slot"),
        (lambda t: replace(t, xy=changed(t.xy, (1, 1), np.nan)), "slot"),
        (lambda t: replace(t, wh=changed(t.wh, (1, 1), 0.0)), "finite"),
        (lambda t: replace(t, stride_over_size=changed(t.stride_over_size, (1, 1), np.inf)), "finite"),
        (lambda t: replace(t, class_id=changed(t.class_id, 0, CLASSES)), "class"),
        (lambda t: replace(t, class_id=(t.class_id + 1) % CLASSES), "class"),
        (lambda t: replace(t, ignored_image=t.image[:1], ignored_slot=t.slot[:1]), "slot"),
        (lambda t: replace(t, batch_size=2), "count"),
    ],
)
def test_a_breach_of_the_targets_is_named(change: Callable[[Targets], Targets], kind: str) -> None:
    batch = sample()
    sound = CODEC.assign(batch, LIMITS)
    assert target_problems(batch, sound, CODEC.slots, CLASSES) == []
    found = target_problems(batch, change(sound), CODEC.slots, CLASSES)
    assert {problem.kind for problem in found} == {kind}


ROWS = ("image", "slot", "class_id", "xy", "wh", "stride_over_size")


def test_the_task_refuses_what_breaks_the_contract_in_one_line() -> None:
    task = DetectionTask(CODEC, LIMITS, LossConfig())
    batch = sample()
    assert len(task.targets(batch, torch.device("cpu"))[0].slot) == 5
    broken = replace(batch, box_xyxy=np.full_like(batch.box_xyxy, np.nan))
    with pytest.raises(
        LabelError, match=r"^scene 700: object 0: its box \(nan, nan, nan, nan\) is not finite"
    ) as caught:
        task.targets(broken, torch.device("cpu"))
    assert "and 4 more" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 1
    (problem,) = label_problems(replace(batch, class_ids=changed(batch.class_ids, 4, 9)), CLASSES)
    assert str(problem) == "scene 702: object 2: its class id is 9; expected 0 to 2, counted from 0"
