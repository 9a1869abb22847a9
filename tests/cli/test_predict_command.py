"""`predict` as a user meets it: pictures, folders and videos in; text, JSON, annotated files and data sets out."""

import json
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from tiny_export import CLASSES, network, pictures, spec_of, tiny_checkpoint

from yolo_proc.annotations.formats import read_data_set
from yolo_proc.annotations.records import ReadOptions
from yolo_proc.cli.main import main
from yolo_proc.detection.nms import DecodeConfig, Detections
from yolo_proc.errors import DataError
from yolo_proc.evaluation.predict import Detector
from yolo_proc.export.digest import sealed_text
from yolo_proc.export.findings import items_of
from yolo_proc.export.onnx_graph import to_onnx
from yolo_proc.export.sources import Frame, MediaSource, find_sources
from yolo_proc.export.views import annotated, detections_to_dict
from yolo_proc.imaging.pictures import picture_size, read_picture

ROOT = Path(__file__).parents[2]
MODEL = network()
CONTENT = to_onnx(MODEL, spec_of(MODEL))
LOW = ("--confidence", "0.5", "--threads", "1")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model and a folder with a picture of each kind, one of them damaged."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.onnx").write_bytes(CONTENT)
    (tmp_path / "in" / "deeper").mkdir(parents=True)
    save("in/a.png", pictures(1, (100, 60))[0])
    save("in/b.one.bmp", pictures(1, (30, 50), 1)[0])
    save("in/deeper/a.jpg", pictures(1, (64, 64), 2)[0])
    Path("in/bad.jpg").write_bytes(b"\xff\xd8\xff no picture")
    Path("in/notes.txt").write_text("no picture either")
    return tmp_path


def save(path: str, rgb: np.ndarray, **how: Any) -> None:
    Image.fromarray(rgb).save(path, **how)


def predict(*words: str) -> int:
    return main(["predict", *words, "--model", "model.onnx", *LOW])


def predicted(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert predict(*words, "--json") == 0
    return json.loads(capsys.readouterr().out)


def test_json_has_what_the_network_finds(capsys: pytest.CaptureFixture[str]) -> None:
    entries = predicted(capsys, "in")
    assert [entry["file"] for entry in entries] == ["in/a.png", "in/b.one.bmp", "in/bad.jpg", "in/deeper/a.jpg"]
    assert list(entries[2]) == ["file", "error"]
    reference = Detector(MODEL, CLASSES)
    total = 0
    for entry in (entries[0], entries[1], entries[3]):
        found = reference.detect(read_picture(entry["file"]), 0.5)
        assert (entry["width"], entry["height"]) == picture_size(entry["file"])
        assert list(entry) == ["file", "width", "height", "detections"]
        assert [one["class_id"] for one in entry["detections"]] == found.class_ids.tolist()
        for one, box, confidence in zip(entry["detections"], found.box_xyxy, found.confidence, strict=True):
            assert list(one) == ["class_id", "label", "confidence", "box"]
            assert one["label"] == CLASSES[one["class_id"]]
            assert one["box"] == pytest.approx(box.tolist(), abs=2e-3)
            assert one["confidence"] == pytest.approx(float(confidence), abs=1e-5)
        total += len(found)
    assert total > 3


def test_what_cannot_be_read_is_named_and_skipped(capsys: pytest.CaptureFixture[str]) -> None:
    assert predict("in") == 0
    captured = capsys.readouterr()
    assert [line.partition(":")[0] for line in captured.out.splitlines()] == [
        "in/a.png",
        "in/b.one.bmp",
        "in/deeper/a.jpg",
    ]
    assert captured.err.splitlines()[0].startswith("skipped: in/bad.jpg: expected ")
    assert captured.err.splitlines()[-1].startswith("3 pictures, ")
    assert captured.err.splitlines()[-1].endswith(" objects, 1 skipped")
    assert predict("in/bad.jpg") == 2
    assert predict("in/notes.txt", "--json") == 2
    assert [list(entry) for entry in json.loads(capsys.readouterr().out)] == [["file", "error"]]


def test_a_picture_bomb_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 20000, 20000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    Path("bomb.png").write_bytes(bomb)
    assert predict("bomb.png") == 2
    assert "skipped: bomb.png: expected" in capsys.readouterr().err


def test_boxes_are_those_of_the_upright_picture(capsys: pytest.CaptureFixture[str]) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    save("turned.png", pictures(1, (100, 60))[0], exif=exif)
    entry = predicted(capsys, "turned.png")[0]
    assert (entry["width"], entry["height"]) == (60, 100)


def test_nothing_found_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["predict", "in/a.png", "--model", "model.onnx", "--confidence", "1"]
    assert main(command) == 0
    assert capsys.readouterr().out == "in/a.png: nothing\n"
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["detections"] == []


def test_checkpoints_and_models_find_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    tiny_checkpoint(Path("runs/tiny/best.pt"), MODEL, own_shape=True)
    tiny_checkpoint(Path("runs/tiny/000001.pt"), MODEL)
    Path("exported").mkdir()
    Path("exported/model.onnx").write_bytes(CONTENT)
    expected = predicted(capsys, "in/a.png")
    size = ["--input-size", "64x64"]  # an exported model has one input, a checkpoint takes the picture's shape
    for model in ("exported", "runs/tiny", "runs/tiny/best.pt", "tiny", None):
        named = [] if model is None else ["--model", model]
        assert main(["predict", "in/a.png", "--json", "--runs-dir", "runs", *named, *size, *LOW]) == 0
        found = json.loads(capsys.readouterr().out)
        for one, other in zip(found[0]["detections"], expected[0]["detections"], strict=True):
            assert one["class_id"] == other["class_id"]
            assert one["box"] == pytest.approx(other["box"], abs=2e-3)
    main(["predict", "in/a.png", "--json", "--model", "runs/tiny", *LOW])
    fitted = json.loads(capsys.readouterr().out)
    main(["predict", "in/a.png", "--json", "--model", "runs/tiny", "--input-size", "112x64", *LOW])
    assert json.loads(capsys.readouterr().out) == fitted != expected


def test_a_description_that_is_not_the_models_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path("exported")
    folder.mkdir()
    (folder / "model.onnx").write_bytes(CONTENT)
    text = sealed_text(spec_of(MODEL).to_json())
    other = sealed_text(spec_of(MODEL, defaults=DecodeConfig(0.9)).to_json())
    flipped = text.replace("nhwc", "nhwb")
    words = ["predict", "in/a.png", "--model", "exported", *LOW]
    for content, line in (
        (None, ""),
        (text, ""),
        (flipped, "model.json: expected the text that belongs to its sha256, found another"),
        (other, "model.json: expected what exported/model.onnx says of itself, found another defaults; "),
        ("", "model.json: expected JSON, found something else"),
    ):
        if content is not None:
            (folder / "model.json").write_text(content)
        assert main(words) == 0
        captured = capsys.readouterr()
        assert captured.err.count("model.json") == (line != ""), captured.err
        assert line in captured.err
    assert main(["predict", "in/a.png", "--model", "exported/model.onnx", *LOW]) == 0
    assert "model.json" not in capsys.readouterr().err
    (folder / "model.json").unlink()
    (folder / "model.json").mkdir()
    assert main(words) == 0
    assert "model.json: expected a description" in capsys.readouterr().err


def test_annotated_pictures(capsys: pytest.CaptureFixture[str]) -> None:
    assert predict("in", "--out", "in/found") == 0
    names = sorted(path.name for path in Path("in/found").iterdir())
    assert names == ["a.png", "a_2.jpg", "b.one.png"]
    for name, source in (("a.png", "in/a.png"), ("b.one.png", "in/b.one.bmp")):
        before, after = read_picture(source), read_picture(f"in/found/{name}")
        assert before.shape == after.shape
        assert (before != after).any()
    assert predict("in", "--out", "in/found") == 0  # what lies there is no source, and is written over
    assert len(list(Path("in/found").iterdir())) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines()[-1].endswith(" objects, 1 skipped; see in/found")


def test_a_box_is_drawn_where_it_is() -> None:
    picture = np.full((100, 200, 3), 128, np.uint8)
    box = np.array([[50.0, 40.0, 150.0, 80.0]])
    found = Detections(box, np.array([0.987]), np.array([1]), np.array([0]))
    drawn = annotated(picture, found, ("A", "Ö"))
    assert (picture == 128).all()
    changed = (drawn != 128).any(axis=2)
    assert changed[40, 50:150].all()
    assert changed[79, 50:150].all()
    assert changed[40:80, 50].all()
    assert changed[40:80, 149].all()
    assert not changed[45:75, 55:145].any()
    assert not changed[81:].any()
    assert changed[:40].any()  # the words
    nothing = Detections(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int), np.zeros(0, int))
    assert np.array_equal(annotated(picture, nothing, ("A",)), picture)


@pytest.mark.parametrize("name", ["scredit", "yolo", "coco"])
def test_a_data_set_of_what_was_found(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    entries = [entry for entry in predicted(capsys, "in") if "error" not in entry]
    assert predict("in", "--out", "set", "--format", name) == 0
    data = read_data_set(Path("set"), ReadOptions())
    assert data.format == name
    assert data.classes == CLASSES
    by_name = {one.name: one for one in data.annotations}
    assert sorted(by_name) == ["a.png", "a_2.jpg", "b_one.png"]
    assert by_name["a_2.jpg"].path is not None
    assert by_name["a_2.jpg"].path.read_bytes() == Path("in/deeper/a.jpg").read_bytes()
    for entry, file in zip(entries, ("a.png", "b_one.png", "a_2.jpg"), strict=True):
        items = by_name[file].items
        assert [item.class_id for item in items] == [one["class_id"] for one in entry["detections"]]
        for item, one in zip(items, entry["detections"], strict=True):
            # scredit has whole pixels
            assert item.xyxy == pytest.approx(one["box"], abs=0.51 if name == "scredit" else 0.01)
            if name == "scredit":
                assert item.confidence == pytest.approx(one["confidence"], abs=0.006)
    assert predict("in", "--out", "set", "--format", name) == 2
    assert "set: expected an empty folder or none" in capsys.readouterr().err


def test_scredit_gets_turned_pictures_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    save("turned.jpg", pictures(1, (100, 60))[0], exif=exif)
    for name, file, size in (("scredit", "turned.png", (60, 100)), ("coco", "turned.jpg", (60, 100))):
        assert predict("turned.jpg", "--out", name, "--format", name) == 0
        one = read_data_set(Path(name), ReadOptions()).annotations[0]
        assert (one.name, (one.width, one.height)) == (file, size)
    assert Image.open("scredit/turned.png").size == (60, 100)  # as it is stored: its editor knows nothing of EXIF
    assert np.array_equal(read_picture("scredit/turned.png"), read_picture("turned.jpg"))


def test_a_box_without_area_is_no_item() -> None:
    boxes = np.array([[0.0, 0, 0, 5], [1, 2, 3, 4], [0, 7, 5, 7]])
    found = Detections(boxes, np.array([0.9, 0.8, 0.7]), np.array([0, 1, 0]), np.arange(3))
    assert [(item.xyxy, item.category, item.confidence) for item in items_of(found)] == [((1, 2, 3, 4), 1, 0.8)]
    frame = Frame(MediaSource("video", "a.mp4"), np.zeros((9, 8, 3), np.uint8), 4)
    entry = detections_to_dict(frame, found, ("A", "B"))
    assert {key: value for key, value in entry.items() if key != "detections"} == {
        "file": "a.mp4",
        "frame": 4,
        "width": 8,
        "height": 9,
    }
    assert len(entry["detections"]) == 3


def write_video(path: str, frames: np.ndarray) -> None:
    height, width = frames.shape[1:3]
    writer = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*"mp4v"), 10.0, (width, height))
    for frame in frames:
        writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    writer.release()


def test_videos(capsys: pytest.CaptureFixture[str]) -> None:
    write_video("clip.mp4", pictures(5, (96, 64)))
    Path("broken.mp4").write_bytes(b"no video")
    entries = predicted(capsys, "clip.mp4", "broken.mp4", "--out", "found")
    assert [entry.get("frame") for entry in entries] == [0, 1, 2, 3, 4, None]
    assert entries[0]["width"] == 96
    assert "broken.mp4: expected a video that OpenCV can read" in entries[-1]["error"]
    assert [path.name for path in Path("found").iterdir()] == ["clip.mp4"]
    video = cv2.VideoCapture("found/clip.mp4")
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == 5
    assert video.get(cv2.CAP_PROP_FPS) == 10
    there, frame = video.read()
    assert there
    assert frame.shape == (64, 96, 3)
    assert len(predicted(capsys, "clip.mp4", "--frames", "2")) == 2
    assert predict("clip.mp4", "--format", "yolo", "--out", "set", "--frames", "2") == 0
    names = [one.name for one in read_data_set(Path("set"), ReadOptions()).annotations]
    assert names == ["clip_000000.jpg", "clip_000001.jpg"]


def test_a_camera_that_is_not_there(capfd: pytest.CaptureFixture[str]) -> None:
    assert predict("97", "--frames", "2") == 2
    captured = capfd.readouterr()
    assert captured.err.splitlines() == [
        "skipped: camera 97: expected one that gives pictures, found none; is it there, in use by another program, "
        "or not yours to read?",
        "0 pictures, 0 objects, 1 skipped",
    ]


def test_an_interrupt_keeps_what_is_done(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from yolo_proc.export import sources

    read = sources.read_picture

    def interrupted(path: Any, **_: Any) -> Any:
        if "deeper" in str(path):
            raise KeyboardInterrupt
        return read(path)

    monkeypatch.setattr(sources, "read_picture", interrupted)
    assert predict("in", "--json", "--out", "set", "--format", "coco") == 130
    assert len(json.loads(capsys.readouterr().out)) == 3
    assert len(read_data_set(Path("set"), ReadOptions()).annotations) == 2


def test_folders_are_searched_in_order(place: Path) -> None:
    Path("in/.hidden").mkdir()
    save("in/.hidden/x.png", pictures(1)[0])
    Path("in/Z.MP4").write_bytes(b"")
    Path("7").write_bytes(b"")
    found = [(source.kind, source.name) for source in find_sources(["in", "8", "7"])]
    assert found == [
        ("video", "in/Z.MP4"),
        ("picture", "in/a.png"),
        ("picture", "in/b.one.bmp"),
        ("picture", "in/bad.jpg"),
        ("picture", "in/deeper/a.jpg"),
        ("camera", "8"),
        ("picture", "7"),
    ]


def test_folders_that_are_links_are_told(place: Path) -> None:
    (place / "in" / "round").symlink_to(place / "in")
    (place / "in" / "deeper" / "elsewhere").symlink_to(place)
    lines: list[str] = []
    assert len(find_sources(["in"], say=lines.append)) == 4
    assert lines == [
        "in: 2 folders are links and are not searched (first: in/round); name it to have it searched",
    ]
    assert len(find_sources(["in/round"])) == 4


def test_pictures_of_kinds_that_are_not_read_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    Path("in/deeper/a.jpg").rename("in/deeper/a.JFIF")
    for name in ("in/b.HEIC", "in/deeper/c.heic", "in/notes.txt"):
        Path(name).write_bytes(b"some")
    assert "in/deeper/a.JFIF" in {one["file"] for one in predicted(capsys, "in")}
    lines: list[str] = []
    find_sources(["in"], say=lines.append)
    assert lines == [
        "in: 2 files are pictures of a kind that is not read: .heic 2 (first: in/b.HEIC); convert them to PNG or JPEG"
    ]
    Path("gifs").mkdir()
    Path("gifs/a.gif").write_bytes(b"GIF89a")
    with pytest.raises(DataError, match=r"none that is read: 1 file is a picture .* \.gif 1 \(first: gifs/a.gif\)"):
        find_sources(["gifs"])


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], "expected pictures: yolo_proc predict photo.jpg"),
        (["none.jpg"], "none.jpg: no such picture, folder, video or camera"),
        (["empty"], "empty: expected a folder with pictures or videos, found none in it"),
        (["in", "--confidence", "1.5"], "--confidence: expected a number from 0 to 1"),
        (["in", "--max-iou", "-1"], "--max-iou: expected"),
        (["in", "--nms", "soft"], "--nms: expected one of class, agnostic"),
        (["in", "--format", "voc"], "--format: expected one of scredit, yolo, coco"),
        (["in", "--format", "coco"], "--format coco: expected a folder to write to; add --out"),
        (["in", "--out", "in"], "--out in: in/a.png lies in it; give another folder"),
        (["in", "--out", "model.onnx"], "model.onnx: expected a folder to write to, found a file"),
        (["in", "--model", "in/a.png"], "in/a.png: expected an ONNX file that is whole, found"),
        (["in", "--model", "none.onnx"], "none.onnx: expected a model, such as model.onnx, found no such file"),
        (["in", "--model", "nobody"], "nobody: no such run in checkpoints"),
        (["in", "--input-size", "64"], "--input-size: expected WIDTHxHEIGHT"),
        (["in", "--input-size", "128x64"], "--input-size: model.onnx has one input, 64x64, found 128x64; export it"),
        (["in", "--colour", "red"], "--colour: no such option"),
    ],
)
def test_mistakes_are_one_line(words: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("empty").mkdir()
    model = [] if "--model" in words else ["--model", "model.onnx"]
    assert main(["predict", *words, *model]) == 2
    captured = capsys.readouterr()
    assert captured.err.splitlines()[-1].startswith(f"yolo_proc predict: {line}")
    assert captured.out == ""


def test_an_onnx_model_needs_no_torch() -> None:
    code = """
import sys
from yolo_proc.cli.main import main
assert main(["predict", "in", "--model", "model.onnx", "--out", "found", "--json", "--threads", "1"]) == 0
assert main(["predict", "in", "--model", "model.onnx", "--out", "set", "--format", "coco"]) == 0
print("torch" in sys.modules, file=sys.stderr)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stderr.splitlines()[-1] == "False"


def test_gpu_or_none(capsys: pytest.CaptureFixture[str]) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    assert predict("in/a.png", "--device", "cuda") == 2
    assert "provider CUDAExecutionProvider: this ONNX Runtime does not have it" in capsys.readouterr().err
