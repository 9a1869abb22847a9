"""Contact sheets: pixels where the boxes are said to be."""

from pathlib import Path

import numpy as np
import pytest
from oracle import scene_of
from PIL import Image

from yolo_proc.config.schema import LabelConfig
from yolo_proc.detection.nms import Detections
from yolo_proc.errors import UserError
from yolo_proc.plotting.preview import GAP, class_colour, predictions_sheet, preview_sheet, write_png
from yolo_proc.system import files

CLASSES = ("A", "Ö", "日本")


def coloured(sheet: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """(H, W): where the sheet has exactly this colour."""
    return np.asarray((sheet == colour).all(axis=-1))


def test_a_labelled_object_has_a_box_and_a_name_in_its_colour() -> None:
    box = (40.0, 60.0, 120.0, 150.0)
    scene = scene_of(100, [(box, 1)], size=(200, 200))
    mine = coloured(preview_sheet([scene], CLASSES, tile=200), class_colour(1))[GAP:-GAP, GAP:-GAP]
    assert mine.shape == (200, 200)
    assert mine[60:150, 40].all()
    assert mine[60:150, 119].all()
    assert mine[60, 40:120].all()
    assert mine[149, 40:120].all()
    assert not mine[62:148, 42:118].any()  # hollow
    assert not mine[151:].any()
    assert mine[:60].sum() > 50  # the name above it
    ink = preview_sheet([scene], CLASSES, tile=200)[GAP : GAP + 60, GAP:-GAP]
    assert (ink.max(axis=-1) < 80).sum() > 5


def test_names_stay_inside_the_scene() -> None:
    things = [((0.0, 0.0, 60.0, 60.0), 2), ((150.0, 0.0, 200.0, 30.0), 0), ((190.0, 190.0, 200.0, 200.0), 1)]
    sheet = preview_sheet([scene_of(100, things, size=(200, 200))], CLASSES, tile=200)
    border = sheet.copy()
    border[GAP:-GAP, GAP:-GAP] = sheet[0, 0]
    assert (border == sheet[0, 0]).all()
    for class_id in range(3):
        assert coloured(sheet, class_colour(class_id)).any()


def test_an_object_below_a_limit_is_grey_dashed_and_nameless() -> None:
    scene = scene_of(100, [((40, 60, 120, 150), 1)], size=(200, 200), visible=[0.2])
    sheet = preview_sheet([scene], CLASSES, tile=200)[GAP:-GAP, GAP:-GAP]
    assert not coloured(sheet, class_colour(1)).any()
    side = (sheet[60:150, 40] != 100).any(axis=-1)
    assert 0.3 < side.mean() < 0.8
    whole = preview_sheet([scene], CLASSES, tile=200, limits=LabelConfig(min_visible=0.1))
    assert coloured(whole, class_colour(1)).any()


def test_ignore_regions_are_hatched() -> None:
    sheet = preview_sheet([scene_of(100, [], size=(200, 200), ignore=[(50, 50, 100, 90)])], CLASSES, tile=200)
    changed = (sheet[GAP : GAP + 200, GAP:-GAP] != 100).any(axis=-1)
    assert 0.05 < changed[50:90, 50:100].mean() < 0.5
    changed[50:90, 50:100] = False
    assert not changed.any()


def test_what_is_ignored_has_a_legend_and_nothing_else_has() -> None:
    plain = scene_of(100, [((10, 20, 60, 80), 0)], size=(200, 200))
    hidden = scene_of(100, [((10, 20, 12, 22), 0)], size=(200, 200))  # too small
    heights = [preview_sheet([scene], CLASSES, tile=200).shape[0] for scene in (plain, hidden)]
    assert heights[0] == 200 + 2 * GAP
    assert heights[1] > heights[0]
    legend = preview_sheet([hidden], CLASSES, tile=200)[heights[0] :]
    assert (legend > 100).any()
    narrow, wide = (preview_sheet([hidden], CLASSES, tile=tile) for tile in (60, 600))
    assert narrow.shape[0] - 60 >= wide.shape[0] - 600


def test_boxes_scale_with_the_tile() -> None:
    scene = scene_of(100, [((10, 20, 30, 40), 0)], size=(100, 50))
    sheet = preview_sheet([scene], CLASSES, tile=400)
    assert sheet.shape == (200 + 2 * GAP, 400 + 2 * GAP, 3)
    mine = coloured(sheet, class_colour(0))[GAP:-GAP, GAP:-GAP]
    assert mine[80:160, 40].all()
    assert mine[80:160, 119].all()


def test_predictions_are_bolder_than_the_truth() -> None:
    scene = scene_of(100, [((20, 60, 80, 150), 0)], size=(200, 200))
    found = Detections(np.array([[120.0, 60, 180, 150]]), np.array([0.987]), np.array([2]), np.array([0]))
    sheet = predictions_sheet([scene], [found], CLASSES, tile=200)[GAP:-GAP, GAP:-GAP]
    truth, bold = coloured(sheet, class_colour(0)), coloured(sheet, class_colour(2))
    assert truth[100, :].sum() == 2
    assert bold[100, :].sum() == 6
    assert not truth[:60].any()  # its name would hide the prediction's
    assert bold[:60].any()


def test_scenes_stand_row_by_row() -> None:
    scenes = [scene_of(40 * number, [], size=(40, 40)) for number in range(5)]
    sheet = preview_sheet(scenes, CLASSES, columns=2, tile=40)
    step = 40 + GAP
    assert sheet.shape == (3 * step + GAP, 2 * step + GAP, 3)
    for number in range(5):
        row, column = divmod(number, 2)
        assert (sheet[row * step + 20, column * step + 20] == 40 * number).all()
    assert preview_sheet(scenes, CLASSES, columns=50, tile=40).shape == (step + GAP, 5 * step + GAP, 3)
    assert preview_sheet(scenes[:4], CLASSES, tile=40).shape == (2 * step + GAP, 2 * step + GAP, 3)


def test_no_scenes_give_an_empty_sheet() -> None:
    assert preview_sheet([], CLASSES).ndim == 3
    assert predictions_sheet([], [], CLASSES).dtype == np.uint8


def test_a_degenerate_box_is_drawn_without_a_fuss() -> None:
    scene = scene_of(100, [((200, 200, 200, 200), 0), ((0, 5, 0, 9), 1)], size=(200, 200), ignore=[(3, 3, 3, 3)])
    nothing = Detections(np.array([[200.0, 0, 200, 0]]), np.array([0.5]), np.array([1]), np.array([0]))
    drawn = preview_sheet([scene], CLASSES, limits=LabelConfig(min_box_px=0))
    assert drawn.shape[1] == predictions_sheet([scene], [nothing], CLASSES).shape[1]
    plain = preview_sheet([scene_of(100, [], size=(200, 200))], CLASSES)
    assert (drawn[: len(plain)] != plain).any()


def test_colours_of_classes_differ() -> None:
    colours = np.array([class_colour(number) for number in range(12)])
    apart = np.abs(colours[:, None] - colours[None]).sum(axis=-1) + 1000 * np.eye(12)
    assert apart.min() > 40


def test_png_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "new" / "sheet.png"
    sheet = preview_sheet([scene_of(7, [])], CLASSES)
    write_png(path, sheet)
    assert np.array_equal(np.array(Image.open(path)), sheet)

    def full(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "write_new", full)
    with pytest.raises(UserError, match=r"sheet\.png: the picture cannot be written: No space left on device"):
        write_png(path, sheet + 1)
    assert list(path.parent.iterdir()) == [path]
    assert np.array_equal(np.array(Image.open(path)), sheet)
