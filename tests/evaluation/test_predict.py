"""From a checkpoint alone to boxes on pictures of any size."""

from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import pytest
import torch
from oracle import SIDE, Oracle, scene_of
from tiny_run import run_tiny, tiny_config

from yolo_proc.config.schema import GeneratorConfig, ModelConfig
from yolo_proc.detection.codec import DecodeConfig, Grid, J, LabelCodec
from yolo_proc.detection.grids import grids_for
from yolo_proc.detection.task import DetectionTask
from yolo_proc.errors import CheckpointError, ConfigError, DataError
from yolo_proc.evaluation.predict import Detector, detect_pictures
from yolo_proc.models.checkpoint import checkpoint_path, save
from yolo_proc.models.network import Yolo

MODEL = ModelConfig(width=0.5, depth=0)
GRID = Grid(16, 4, 4, ((20.0, 20.0),))
CLASSES = ["A", "Ö"]


def checkpoint_state(seed: int = 0) -> dict[str, Any]:
    torch.manual_seed(seed)
    codec = LabelCodec((GRID,), len(CLASSES))
    raw, ema = Yolo(MODEL, DetectionTask(codec)), Yolo(MODEL, DetectionTask(codec))
    return {
        "version": 1,
        "task": "detect",
        "classes": CLASSES,
        "image_size": 64,
        "model": asdict(MODEL),
        "grids": [GRID.to_dict()],
        "weights": raw.state_dict(),
        "ema": ema.state_dict(),
        "calibration": [2.0, -0.5],
        "step": 1,
        "epoch": 1,
    }


def oracle_detector(scenes: list[Any]) -> Detector:
    detector = Detector.__new__(Detector)
    detector.model = cast(Yolo, Oracle(scenes))
    detector.classes = ("A", "B", "C")
    detector.device = torch.device("cpu")
    detector.own_shape = True
    return detector


def test_a_checkpoint_alone_rebuilds_the_network(tmp_path: Path) -> None:
    state = checkpoint_state()
    path = checkpoint_path(tmp_path, 1)
    save(path, state)
    detector = Detector.load(path, device="cpu")
    assert detector.classes == ("A", "Ö")
    assert detector.picture_size == (64, 64)
    assert not detector.model.training
    pictures = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    own = Yolo(MODEL, DetectionTask(LabelCodec((GRID,), 2))).eval()
    own.load_state_dict(state["ema"])
    with torch.inference_mode():
        expected = own(torch.from_numpy(pictures)).numpy()
    expected[..., J] = 2.0 * expected[..., J] - 0.5  # the calibration is folded in
    decoding = DecodeConfig(confidence=0.1)
    wanted = own.task.codec.decode(expected, decoding)
    for one, other in zip(detector.detect_batch(pictures, decoding), wanted, strict=True):
        assert len(one) > 0
        assert one.box_xyxy == pytest.approx(other.box_xyxy, abs=1e-3)
        assert one.confidence == pytest.approx(other.confidence, abs=1e-5)
    raw = Detector.load(path, weights="raw", device="cpu")
    assert not torch.equal(next(raw.model.parameters()), next(detector.model.parameters()))


def test_a_run_folder_gives_its_best_checkpoint(tmp_path: Path) -> None:
    save(checkpoint_path(tmp_path, 2), {**checkpoint_state(), "classes": ["new", "er"]})
    save(tmp_path / "best.pt", {**checkpoint_state(), "classes": ["the", "best"]})
    assert Detector.load(tmp_path).classes == ("the", "best")
    (tmp_path / "best.pt").write_bytes(b"")
    fallen_back = Detector.load(str(tmp_path))
    assert fallen_back.classes == ("new", "er")
    assert "best.pt" in fallen_back.notes[0]


def test_a_checkpoint_of_something_else_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    wrong: list[dict[str, Any]] = [
        {"task": "classify"},
        {"version": 9},
        {"grids": [{"stride": 16}]},
        {"classes": ["A", "B", "C"]},
        {"model": {**asdict(MODEL), "width": 1.0}},
        {"model": {"layers": 3}},
    ]
    for change in wrong:
        save(path, {**checkpoint_state(), **change})
        with pytest.raises(CheckpointError, match=r"a\.pt"):
            Detector.load(path)
    save(path, {})
    with pytest.raises(CheckpointError, match=r"a\.pt"):
        Detector.load(path)
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        Detector.load(tmp_path / "b.pt")


@pytest.mark.parametrize("size", [(384, 216), (200, 300), (SIDE, SIDE), (64, 64)])
def test_boxes_are_in_the_pictures_own_pixels(size: tuple[int, int]) -> None:
    width, height = size
    box = (0.3 * width, 0.25 * height, 0.3 * width + 0.3 * height, 0.6 * height)
    scene = scene_of(0, [(box, 2)], size=size)
    found = oracle_detector([scene]).detect(scene.image)
    assert found.box_xyxy == pytest.approx(np.array([box]), abs=1e-3)
    assert found.class_ids.tolist() == [2]
    assert found.confidence == pytest.approx([1.0])


def test_boxes_are_clipped_to_the_picture_not_to_the_frame() -> None:
    scene = scene_of(0, [((0, 0, 120, 216), 0)], size=(384, 216))
    model = Oracle([scene], lambda _, logits: logits + np.eye(8)[2:4].sum(axis=0))  # boxes 2.7 times as large
    found = detect_pictures(cast(Yolo, model), torch.from_numpy(scene.image)[None], DecodeConfig(), "cpu")[0]
    assert found.box_xyxy[0, 1::2].tolist() == [0, 216]


def test_the_arguments_reach_the_decoder() -> None:
    scenes = [scene_of(0, [((10, 10, 40, 40), 0), ((10, 30, 40, 60), 1)])]
    detector = oracle_detector(scenes)
    picture = scenes[0].image
    assert len(detector.detect(picture)) == 2
    assert len(detector.detect(picture, max_iou=0.15)) == 2  # of two classes
    assert len(detector.detect(picture, max_iou=0.15, nms="agnostic")) == 1
    assert len(detector.detect(picture, max_detections=1)) == 1
    assert len(detector.detect(picture, confidence=1.0)) == 0
    with pytest.raises(ConfigError, match="confidence"):
        detector.detect(picture, confidence=1.5)


def test_read_only_and_reversed_pictures_are_taken() -> None:
    scene = scene_of(0, [((10, 10, 40, 40), 0)])
    picture = scene.image[..., ::-1]
    picture.flags.writeable = False
    assert len(oracle_detector([scene]).detect(picture)) == 1
    assert len(oracle_detector([scene]).detect_batch(picture[None])[0]) == 1


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((8, 8), np.uint8),
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((8, 8, 3), np.float32),
        np.zeros((0, 8, 3), np.uint8),
    ],
)
def test_what_is_no_picture_is_refused(picture: Any) -> None:
    detector = oracle_detector([])
    with pytest.raises(DataError, match=r"expected a uint8 RGB picture \(H, W, 3\), found"):
        detector.detect(picture)
    with pytest.raises(DataError, match="expected uint8 RGB pictures"):
        detector.detect_batch(picture[None])


def test_nothing_to_find_and_no_pictures() -> None:
    detector = oracle_detector([])
    assert len(detector.detect(np.zeros((50, 70, 3), np.uint8))) == 0
    assert detector.detect_batch(np.zeros((0, SIDE, SIDE, 3), np.uint8)) == []


def test_the_input_takes_the_shape_of_the_picture_unless_it_is_given(tmp_path: Path) -> None:
    path = checkpoint_path(tmp_path, 1)
    save(path, {**checkpoint_state(), "own_shape": True})
    fitted = Detector.load(path, device="cpu")
    given = {size: Detector.load(path, device="cpu", input_size=size) for size in ((64, 64), (112, 64), (64, 112))}
    for size, detector in given.items():
        assert detector.picture_size == size
    rng = np.random.default_rng(0)
    for (width, height), size in {(70, 40): (112, 64), (40, 70): (64, 112), (50, 50): (64, 64)}.items():
        picture = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        found = {key: one.detect(picture, 0.1) for key, one in given.items()}
        own = fitted.detect(picture, 0.1)
        for key, other in found.items():
            same = len(own) == len(other) and np.array_equal(own.box_xyxy, other.box_xyxy)
            assert same == (key == size)
    assert fitted.picture_size == (64, 64)
    save(path, {**checkpoint_state(), "own_shape": False})
    assert Detector.load(path, device="cpu").model_for(70, 40).frame == (64, 64)
    save(path, checkpoint_state())  # of an older release
    assert Detector.load(path, device="cpu").model_for(70, 40).frame == (64, 64)
    with pytest.raises(ConfigError, match=r"input-size: .* stride 16, found 100x64; the nearest is 96x64"):
        Detector.load(path, input_size=(100, 64))
    for wrong in (64, "64x64", (64,), (64.0, 64.0), (64, 64, 64), ((64, 64),)):
        with pytest.raises(ConfigError, match=r"input-size: expected \(width, height\) such as \(448, 256\), found"):
            Detector.load(path, input_size=wrong)  # type: ignore[arg-type]


def test_the_shape_suits_every_stride() -> None:
    codec = LabelCodec(grids_for(64, 64, (8, 32), [(10.0, 10.0), (30.0, 30.0)]), len(CLASSES))
    model = Yolo(ModelConfig(width=0.25, depth=0, strides=(8, 32)), DetectionTask(codec))
    detector = Detector(model, tuple(CLASSES), own_shape=True)
    assert detector.model_for(70, 40).frame == (128, 64)
    assert detector.model_for(64, 64) is detector.model
    assert len(detector.detect(np.zeros((40, 70, 3), np.uint8), 0.9)) == 0


def test_scenes_that_are_drawn_are_shown_in_their_own_shape_and_pictures_as_they_were_learnt(tmp_path: Path) -> None:
    run_tiny(tiny_config(tmp_path / "drawn", epochs=1))
    assert Detector.load(tmp_path / "drawn" / "tiny", device="cpu").model_for(40, 24).frame == (112, 64)
    picture = np.full((24, 40, 3), 200, dtype=np.uint8)
    picture[6:18, 10:25] = 20
    for number in range(40):
        picture[0, 0] = number  # no two files alike
        cv2.imwrite(str(tmp_path / f"{number}.png"), picture)
        script = tmp_path / "annotations" / f"{number}.json"
        script.parent.mkdir(exist_ok=True)
        script.write_text('{"items":[{"bounds":[10,6,15,12]}]}')
    run_tiny(tiny_config(tmp_path / "runs", epochs=1, generator=GeneratorConfig(f"folder:{tmp_path}")))
    assert Detector.load(tmp_path / "runs" / "tiny", device="cpu").model_for(40, 24).frame == (64, 64)


def test_a_fully_connected_network_keeps_its_input(tmp_path: Path) -> None:
    model = ModelConfig(name="original", strides=(32,))
    grid = Grid(32, 2, 2, ((20.0, 20.0),))
    weights = Yolo(model, DetectionTask(LabelCodec((grid,), len(CLASSES)))).state_dict()
    changes = {"own_shape": True, "model": asdict(model), "grids": [grid.to_dict()], "weights": weights, "ema": weights}
    path = checkpoint_path(tmp_path, 1)
    save(path, {**checkpoint_state(), **changes})
    detector = Detector.load(path, device="cpu")
    assert detector.model_for(700, 400) is detector.model
    assert Detector.load(path, device="cpu", input_size=(64, 64)).picture_size == (64, 64)
    with pytest.raises(ConfigError, match=r"original has a fully connected head: expected 64x64, found 128x64"):
        Detector.load(path, input_size=(128, 64))
