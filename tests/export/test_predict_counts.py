"""What `predict` leaves out, renames or cannot say is counted, in a line each."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from tiny_export import CLASSES, network, pictures, spec_of

from yolo_proc.cli.main import main
from yolo_proc.detection.codec import DecodeConfig, LabelCodec
from yolo_proc.detection.grids import grids_for
from yolo_proc.detection.nms import Detections, nms
from yolo_proc.errors import DataError
from yolo_proc.export.findings import AnnotatedWriter, SetWriter
from yolo_proc.export.onnx_graph import to_onnx
from yolo_proc.export.session import OnnxDetector
from yolo_proc.export.sources import Frame, MediaSource
from yolo_proc.export.views import DetectionView

MODEL = network()
CONTENT = to_onnx(MODEL, spec_of(MODEL))


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.onnx").write_bytes(CONTENT)
    (tmp_path / "in" / "deeper").mkdir(parents=True)
    for number, name in enumerate(("in/a.png", "in/my photo.png", "in/deeper/a.png")):
        Image.fromarray(pictures(1, (64, 64), number)[0]).save(name)
    return tmp_path


def notes(capsys: pytest.CaptureFixture[str], *words: str, model: str = "model.onnx") -> list[str]:
    """The lines on stderr in front of the last one."""
    assert main(["predict", "in", "--model", model, "--threads", "1", "--confidence", "0.3", *words]) == 0
    return capsys.readouterr().err.splitlines()[:-1]


def test_nothing_is_said_where_nothing_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert notes(capsys) == []
    assert notes(capsys, "--json") == []


def test_more_objects_than_may_stay_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert notes(capsys, "--max-detections", "1") == [
        "pictures with more than 1 objects: 3; the rest is left out (--max-detections)"
    ]
    found = OnnxDetector.load(Path("model.onnx")).detect(pictures(1)[0], 0.3)
    assert not found.cut
    exact = str(max(len(OnnxDetector.load(CONTENT).detect(pictures(1, seed=n)[0], 0.3)) for n in range(3)))
    assert notes(capsys, "--max-detections", exact) == []


def test_more_candidates_than_are_looked_at_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    few = to_onnx(MODEL, spec_of(MODEL, defaults=DecodeConfig(max_candidates=2)))
    Path("few.onnx").write_bytes(few)
    assert notes(capsys, model="few.onnx") == [
        "pictures with more than 2 candidates: 3; the least confident are not looked at (--confidence)"
    ]


def test_the_counts_are_right() -> None:
    codec = LabelCodec(grids_for(64, 64, (16,), ((16.0, 16.0),)), 1)
    outputs = np.zeros((1, codec.slots, 6), np.float32)  # boxes side by side, of 16 pixels
    outputs[..., 4] = -9
    outputs[0, :5, 4] = 5
    for candidates, most, uncompared, cut, left in (
        (1000, 300, 0, False, 5),
        (5, 5, 0, False, 5),
        (5, 4, 0, True, 4),
        (4, 4, 1, False, 4),
        (3, 1, 2, True, 1),
    ):
        found = codec.decode(outputs, DecodeConfig(0.5, 0.4, "class", candidates, most))[0]
        assert (found.uncompared, found.cut, len(found)) == (uncompared, cut, left)
    boxes = np.array([[0.0, 0, 9, 9]] * 3)
    assert nms(boxes, None, 0.5, 2).tolist() == [0]  # what a better one covers is not cut


def test_one_picture_with_nan_does_not_end_the_others(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = OnnxDetector.detect, []

    def sometimes(self: OnnxDetector, rgb: Any, **how: Any) -> Detections:
        calls.append(1)
        if len(calls) == 3:
            raise DataError("model.onnx: expected numbers from the network, found NaN")
        return real(self, rgb, **how)

    monkeypatch.setattr(OnnxDetector, "detect", sometimes)
    assert main(["predict", "in", "--model", "model.onnx", "--json"]) == 0
    captured = capsys.readouterr()
    entries = json.loads(captured.out)
    assert ["error" in entry for entry in entries].count(True) == 1
    assert captured.err.splitlines()[0].startswith("skipped: in/deeper/a.png: model.onnx: expected numbers from the")
    assert captured.err.splitlines()[-1].endswith(", 1 skipped")
    monkeypatch.setattr(OnnxDetector, "detect", lambda *_, **__: (_ for _ in ()).throw(DataError("NaN")))
    assert main(["predict", "in", "--model", "model.onnx", "--json"]) == 2
    assert len(json.loads(capsys.readouterr().out)) == 3


@pytest.mark.parametrize("name", ["scredit", "yolo", "coco"])
def test_what_a_data_set_cannot_say_is_told(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = notes(capsys, "--out", "set", "--format", name)
    assert lines[-1] == "pictures with another name in set: 2 (my photo.png as my_photo.png, ...)"
    what = "percent fractions " if name == "scredit" else "confidence "
    assert lines[0].startswith(f"What {name} cannot say: {what}")
    assert len(lines) == 2


def test_what_lies_beside_its_picture_is_told() -> None:
    boxes = np.array([[0.0, 0, 0, 5], [1, 2, 3, 4], [0, 7, 5, 7]])
    found = Detections(boxes, np.array([0.9, 0.8, 0.7]), np.array([0, 1, 0]), np.arange(3))
    writer = SetWriter(Path("set"), "scredit", CLASSES)
    writer.add(Frame(MediaSource("picture", "in/a.png"), pictures(1)[0]), found)
    writer.close()
    assert writer.notes() == ["objects wholly beside their picture, left out: 2"]


def test_results_that_get_another_name_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert notes(capsys, "--out", "drawn") == ["results with a number behind their name, because another has it: 1"]


def test_frames_of_another_size_are_told() -> None:
    writer = AnnotatedWriter(Path("drawn"), DetectionView(CLASSES))
    source = MediaSource("camera", "0", 0)
    none = Detections(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int), np.zeros(0, int))
    for number, size in enumerate([(64, 64), (32, 64), (64, 64), (64, 32)]):
        writer.add(Frame(source, pictures(1, size)[0], number), none)
    writer.close()
    assert writer.notes() == ["frames of another size than the first, drawn in its size: 2"]


def test_a_video_that_ends_early_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    out = cv2.VideoWriter("in/clip.avi", cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (64, 64))
    for frame in pictures(40):
        out.write(frame)
    out.release()
    assert notes(capsys) == []
    whole = Path("in/clip.avi").read_bytes()
    Path("in/clip.avi").write_bytes(whole[: len(whole) // 2])
    lines = notes(capsys)
    assert len(lines) == 2
    assert lines[0].startswith("in/clip.avi: ")
    assert lines[0].endswith(" frames could be read of the 40 that its header promises")
    assert lines[1].startswith("1 pictures are damaged inside")
    assert notes(capsys, "--frames", "3") == []
