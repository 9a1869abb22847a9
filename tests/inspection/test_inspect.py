"""What `inspect` says of pictures whose contents are known."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from inspect_samples import CLASSES, GRID, collected, sample, summed

from yolo_proc.boxes import as_boxes, iou_xyxy
from yolo_proc.config.schema import LabelConfig
from yolo_proc.data.stream import Stream
from yolo_proc.imaging.letterbox import Letterbox
from yolo_proc.inspection.encoding import boxes_in_network, encode, labelled_sizes
from yolo_proc.inspection.measure import Sample, largest_overlaps
from yolo_proc.inspection.outliers import NAMED, find_outliers, robust_z
from yolo_proc.inspection.plots import most_unusual, plots_page, unusual_sheet
from yolo_proc.inspection.report import Inspection
from yolo_proc.inspection.sources import (
    scene_of,
)
from yolo_proc.inspection.statistics import Summary, statistics

# ------------------------------------------------------------------------------------------- measuring


def test_no_pictures_give_no_figures_and_no_error(tmp_path: Path) -> None:
    found = summed()
    assert (found.images, found.objects, found.box_side, found.channel_means) == (0, 0, Summary(0), None)
    assert found.never_drawn == CLASSES
    assert found.outliers == ()
    inspection = Inspection("nothing", "yolo", found)
    assert json.loads(json.dumps(inspection.to_dict(), allow_nan=False))["statistics"]["images"] == 0
    assert "there is no object" in inspection.text()
    assert plots_page(inspection, collected(), LabelConfig()).ndim == 3
    assert unusual_sheet((), lambda _: pytest.fail("no scene"), CLASSES, LabelConfig()).ndim == 3


def test_counts_by_hand() -> None:
    found = summed(
        sample("a", ((0, 0, 32, 16), 0), ((32, 32, 64, 64), 0), ((10, 10, 20, 20), 2)),
        sample("b", split="val", ignore_xyxy=as_boxes([(0, 0, 5, 5)]), others=2),
        sample("c", ((0, 0, 128, 32), 0), size=(128, 32)),
    )
    assert (found.images, found.objects, found.empty_images) == (3, 4, 1)
    assert found.splits == {"train": 2, "val": 1}
    assert (found.ignore_regions, found.other_items) == (1, 2)
    assert [(one.objects, one.images) for one in found.classes] == [(3, 2), (0, 0), (1, 1)]
    assert found.never_drawn == ("dog",)
    assert found.picture_sizes == ((64, 64, 2), (128, 32, 1))
    assert found.objects_per_image == Summary(3, 0, 0.1, 1, 4 / 3, 2.8, 3)
    assert (found.box_width.least, found.box_width.most) == (10, 128)
    assert (found.box_height.least, found.box_height.most) == (10, 32)
    assert found.box_side.most == 1.0
    assert (found.aspect.least, found.aspect.median, found.aspect.most) == (1.0, 1.5, 4.0)


def test_pixels_are_measured_over_all_pictures() -> None:
    one, other = sample("a", size=(8, 64)), sample("b", size=(32, 16))
    pixels = np.concatenate([one.image.reshape(-1, 3), other.image.reshape(-1, 3)]).astype(np.float64)
    found = summed(one, other)
    assert found.channel_means == pytest.approx(pixels.mean(axis=0))
    assert found.channel_deviations == pytest.approx(pixels.std(axis=0))
    grey = cv2.cvtColor(other.image, cv2.COLOR_RGB2GRAY)
    assert collected(other).brightness == pytest.approx([grey.mean()])
    assert collected(other).contrast == pytest.approx([grey.std()])


def planted(name: str, low: int, high: int, **given: Any) -> Sample:
    """A picture of noise between two levels."""
    rng = np.random.default_rng(list(name.encode()))
    return sample(name, ((10, 10, 30, 30), 0), image=rng.integers(low, high + 1, (64, 64, 3), dtype=np.uint8), **given)


def test_dark_and_flat_pictures_are_found_and_told() -> None:
    stars = planted("stars", 0, 12)
    stars.image[5, 5] = 255  # one pixel of 4,096
    lamps = planted("lamps", 0, 12)
    lamps.image[5, 5:15] = 255
    square = sample("square", ((20, 20, 24, 24), 0), image=np.full((64, 64, 3), 120, np.uint8))
    square.image[20:24, 20:24] = (120, 120, 150)
    blue = sample("blue", image=np.zeros((64, 64, 3), np.uint8))
    blue.image[:32, :, 2] = 255
    found = summed(
        *(sample(name) for name in "abc"),
        *(planted("twelve bits", 4, 15), planted("fourteen", 0, 63), planted("sixteen", 0, 64), stars, lamps),
        *(sample(name, image=np.full((64, 64, 3), 0, np.uint8)) for name in ("black", "black too")),
        *(sample(name, image=np.full((64, 64, 3), 250, np.uint8)) for name in ("white", "white too")),
        *(planted("fog", 120, 128), planted("thin fog", 120, 129), square, blue),
    )
    assert found.dark_images == ("twelve bits", "fourteen", "stars", "black", "black too")
    assert found.flat_images == ("white", "white too", "fog")
    inspection = Inspection("planted", "yolo", found)
    text = inspection.text()
    assert "  nearly black: 5 (31 %): twelve bits, fourteen, stars, black, black too" in text
    assert "  of one colour: 3 (19 %): white, white too, fog" in text
    dark, flat = inspection.findings[:2]
    assert dark.startswith("5 of 16 pictures are nearly black (first: twelve bits): hardly a pixel has a quarter")
    assert "--bit-depth" in dark
    assert flat.startswith("3 of 16 pictures are of one colour (first: white): nothing can be seen in them")
    told = json.loads(json.dumps(inspection.to_dict(), allow_nan=False))
    assert told["statistics"]["dark_images"] == list(found.dark_images)
    assert told["statistics"]["flat_images"] == list(found.flat_images)


def test_dark_and_flat_pictures_are_no_duplicates_of_each_other() -> None:
    """Nobody shall remove them as copies: what they show may be lost."""
    black = [sample(f"black {k}", image=np.zeros((64, 64, 3), np.uint8)) for k in range(3)]
    dark = [planted(f"dark {k}", 8, 10) for k in range(3)]
    found = summed(*black, *dark, sample("a"), sample("b"))
    assert (found.duplicates.exact, found.duplicates.near) == ((), ())
    assert not any("repeat" in line or "alike" in line for line in Inspection("x", "yolo", found).findings)
    night = planted("night", 0, 40)
    again = Sample(**{**vars(night), "name": "night again"})
    assert summed(night, again, sample("a")).duplicates.exact == (("night", "night again"),)  # these are copies


@pytest.mark.parametrize("generator", ["glyphs", "shapes"])
def test_no_scene_of_the_generators_is_dark_or_flat(generator: str) -> None:
    stream = Stream(generator, 1, "train", picture_size=(96, 96))
    scenes = (sample(f"{k}", image=stream[k].image) for k in range(150))
    found = summed(*scenes)
    assert (found.dark_images, found.flat_images) == ((), ())


def test_the_heat_map_holds_every_object_even_at_the_far_edge() -> None:
    heat = collected(sample("a", ((64, 0, 64, 0), 0), ((0, 60, 8, 64), 1), ((32, 32, 34, 34), 1))).heat(4)
    assert heat.sum() == 3
    assert (heat[0, 3], heat[3, 0], heat[2, 2]) == (1, 1, 1)


def test_a_share_that_no_file_says_is_not_counted() -> None:
    found = summed(sample("a", ((0, 0, 9, 9), 0), ((20, 20, 40, 40), 1), visible=np.array([np.nan, 0.5])))
    assert (found.visible.known, found.visible.mean) == (1, 0.5)
    text = Inspection("x", "yolo", summed(sample("a", ((0, 0, 9, 9), 0), visible=np.array([np.nan])))).text()
    assert "visible, % (no file says)" in text


@pytest.mark.parametrize("rows", [1, 2, 3, 512])
def test_overlap_is_the_largest_with_another(rows: int) -> None:
    boxes = as_boxes([(0, 0, 10, 10), (0, 0, 10, 5), (0, 0, 10, 10), (50, 50, 60, 60), (10, 0, 20, 10)])
    expected = iou_xyxy(boxes, boxes)
    np.fill_diagonal(expected, 0)
    assert largest_overlaps(boxes, rows_at_once=rows) == pytest.approx(expected.max(axis=1))
    assert largest_overlaps(boxes, rows_at_once=rows)[:4] == pytest.approx([1.0, 0.5, 1.0, 0.0])
    assert len(largest_overlaps(as_boxes([]))) == 0


def test_degenerate_and_outside_boxes_are_counted_with_those_left_out() -> None:
    found = summed(
        sample("a", ((5, 5, 5, 9), 0), ((60, 0, 66, 9), 0), ((0, 0, 64, 64), 1)),
        left_out={"outside": 2, "degenerate": 1, "picture": 7},
        left_out_lines=["x"] * 99,
    )
    assert (found.degenerate_boxes, found.outside_boxes) == (2, 3)
    assert len(found.left_out_lines) == 20
    assert (
        "10 of 11 pictures are left out (outside 2, degenerate 1, picture 7)" in Inspection("x", "coco", found).text()
    )


def test_duplicates_across_splits_and_with_other_labels_are_told() -> None:
    image = sample("a").image
    found = summed(
        sample("train/a", ((0, 0, 9, 9), 0), image=image),
        sample("val/a", ((0, 0, 9, 9), 0), image=image, split="val"),
        sample("train/b", ((0, 0, 9, 9), 1), image=image),
        sample("train/c", ((0, 0, 9, 9), 1)),
    ).duplicates
    assert found.exact == (("train/a", "val/a", "train/b"),)
    assert (found.superfluous, found.across_splits, found.other_labels) == (2, 1, 1)


# -------------------------------------------------------------------------------------------- outliers


def test_robust_z() -> None:
    values = np.array([1.0, 2, 3, 4, 100])
    assert robust_z(values) == pytest.approx(0.6745 * (values - 3) / 1.0)
    assert (robust_z(np.full(4, 7.0)) == 0).all()
    assert len(robust_z(np.zeros(0))) == 0
    mostly = np.array([0.0] * 9 + [1.0])  # the median deviation is 0
    assert robust_z(mostly)[-1] == pytest.approx(1 / (1.2533 * 0.1))


def test_what_stands_out_is_named_first() -> None:
    rng = np.random.default_rng(0)
    plain = []
    for number in range(20):
        side = 20 + rng.uniform(-2, 2)
        box = (5.0, 5.0, 5 + side, 5 + side * rng.uniform(0.95, 1.05))
        plain.append(sample(f"plain {number}", (box, 0)))
    black = np.zeros((64, 64, 3), np.uint8)
    odd = [
        sample("crowd", *[((5.0 + k, 5.0, 25.0 + k, 25.0), 0) for k in range(12)]),
        sample("tiny", ((5, 5, 6, 6), 0)),
        sample("huge", ((0, 0, 64, 64), 0)),
        sample("flat", ((0, 30, 64, 34), 0)),
        sample("dark", ((5, 5, 25, 25), 0), image=black),
        sample("bright", ((5, 5, 25, 25), 0), image=black + 255),
        sample("hidden", ((5, 5, 25, 25), 0), visible=np.array([0.1])),
        sample("panorama", ((5, 5, 25, 25), 0), size=(640, 64)),
    ]
    found = find_outliers(collected(*plain, *odd))
    first: dict[str, str] = {}
    for one in found:
        first.setdefault(one.kind, one.image)
    wanted = {"most objects": "crowd", "largest object": "huge", "extreme aspect": "flat", "most overlapped": "crowd"}
    wanted |= {"darkest": "dark", "brightest": "bright", "most hidden": "hidden", "largest picture": "panorama"}
    assert {kind: first[kind] for kind in wanted} == wanted
    smallest = [one.image for one in found if one.kind == "smallest object"]
    assert smallest[0] == "tiny"
    assert all(one.z > 0 for one in found)
    for kind in first:
        named = [one.image for one in found if one.kind == kind]
        assert len(named) == len(set(named)) <= NAMED
    chosen = most_unusual(found)
    assert len({number for number, _ in chosen}) == len(chosen)
    crowd = next(reasons for number, reasons in chosen if number == 20)
    assert {one.kind for one in crowd} >= {"most objects", "most overlapped"}


# -------------------------------------------------------------------------------------------- encoding


def test_every_object_is_encoded_or_dropped_for_a_reason_with_an_example() -> None:
    found = collected(
        sample("same cell", ((0, 0, 20, 20), 0), ((2, 2, 19, 19), 1)),
        sample("hidden", ((0, 0, 20, 20), 0), visible=np.array([0.1])),
        sample("cut", ((0, 0, 20, 20), 0), in_frame=np.array([0.1])),
        sample("small", ((0, 0, 20, 20), 0), size=(640, 640)),  # 2 pixels for the network
        sample("unknown", ((30, 30, 50, 50), 0), visible=np.array([np.nan]), confidence=np.array([np.nan])),
    )
    encoding = encode(found, [GRID], 3, LabelConfig(), "as given")
    assert encoding.encoded == 2
    assert encoding.dropped == {"slot_taken": 1, "min_in_frame": 1, "min_visible": 1, "min_box_px": 1}
    assert encoding.examples == {
        "slot_taken": ("same cell",),
        "min_in_frame": ("cut",),
        "min_visible": ("hidden",),
        "min_box_px": ("small",),
    }
    assert encoding.encoded + sum(encoding.dropped.values()) == len(found.box_xyxy)
    lines = Inspection("x", "yolo", statistics(found, CLASSES, encoding=encoding)).findings
    for words in ("share their slot", "--labels.min-visible", "--labels.min-in-frame", "--labels.min-box-px"):
        assert any(words in line for line in lines)


def test_encoding_in_parts_is_encoding_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    samples = []
    for number in range(7):
        corners = rng.uniform(0, 40, (number, 2))
        boxes = [((x, y, x + w, y + w), 0) for (x, y), w in zip(corners, rng.uniform(2, 24, number), strict=True)]
        samples.append(sample(f"p{number}", *boxes))
    found = collected(*samples)
    whole = encode(found, [GRID], 1, LabelConfig(), "")
    assert encode(found, [GRID], 1, LabelConfig(), "", images_at_once=2) == whole
    assert whole.dropped["slot_taken"] > 0


def test_boxes_of_pictures_of_any_size_are_letterboxed() -> None:
    found = collected(
        sample("a", ((0, 0, 100, 50), 0), size=(100, 50)), sample("b", ((8, 8, 16, 24), 0), size=(32, 32))
    )
    moved = boxes_in_network(found, 64, 64)
    assert moved[0] == pytest.approx(Letterbox.of(100, 50, 64, 64).boxes_to_network([(0, 0, 100, 50)])[0])
    assert moved[0] == pytest.approx([0, 16, 64, 48])
    assert moved[1] == pytest.approx([16, 16, 32, 48])
    assert labelled_sizes(found, 64, 64, LabelConfig(min_box_px=20)) == pytest.approx(np.array([[64, 32]]))


def test_the_pictures_show_what_is_there() -> None:
    samples = [sample(f"p{number}", ((4, 4, 30, 30), number % 2)) for number in range(6)]
    found = collected(*samples)
    figures = statistics(found, CLASSES, encoding=encode(found, [GRID], 3, LabelConfig(), ""))
    page = plots_page(Inspection("six", "yolo", figures), found, LabelConfig())
    assert page.dtype == np.uint8
    asked: list[int] = []

    def scene_at(number: int) -> Any:
        asked.append(number)
        return scene_of(samples[number])

    sheet = unusual_sheet(figures.outliers, scene_at, CLASSES, LabelConfig())
    assert asked == [number for number, _ in most_unusual(figures.outliers)]
    assert sheet.shape[1] > 260
