"""An exported model on ONNX Runtime: the detections of the network, and one line for every file that is none."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from tiny_export import CLASSES, ONE, exported, network, pictures, spec_of

from yolo_proc.detection.codec import DecodeConfig
from yolo_proc.errors import ConfigError, DataError
from yolo_proc.evaluation.predict import Detector
from yolo_proc.export.onnx_graph import IR_VERSION, OPSET, to_onnx
from yolo_proc.export.session import OnnxDetector, Settings, as_input
from yolo_proc.export.spec import METADATA_KEY, ModelError

MODEL = network()
CONTENT = to_onnx(MODEL, spec_of(MODEL))


@pytest.fixture(scope="module")
def detector() -> OnnxDetector:
    return OnnxDetector.load(CONTENT, settings=ONE)


def constant_model(logits: np.ndarray, **metadata: str) -> bytes:
    """A graph that gives the same logits (S, 5 + C) for every picture, with the metadata of `MODEL`."""
    spec = spec_of(MODEL)
    rows = numpy_helper.from_array(logits.astype(np.float32)[None], "values")
    nodes = [
        helper.make_node("Shape", ["images"], ["batch"], start=0, end=1),
        helper.make_node("Concat", ["batch", "ones"], ["times"], axis=0),
        helper.make_node("Tile", ["values", "times"], ["logits"]),
    ]
    ones = numpy_helper.from_array(np.ones(2, np.int64), "ones")
    graph = helper.make_graph(
        nodes,
        "constant",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", *spec.input_shape])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", *logits.shape])],
        [rows, ones],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    for key, value in (metadata or {METADATA_KEY: spec.to_json()}).items():
        model.metadata_props.add(key=key, value=value)
    return model.SerializeToString()  # type: ignore[no-any-return]


def empty_logits() -> np.ndarray:
    return np.full(spec_of(MODEL).output_shape, -9.0)


@pytest.mark.parametrize("size", [(64, 64), (100, 40), (30, 31), (1, 200), (500, 300)])
def test_it_finds_what_the_network_finds(detector: OnnxDetector, size: tuple[int, int]) -> None:
    picture = pictures(1, size)[0]
    reference = Detector(MODEL, CLASSES)
    for how in ({}, {"confidence": 0.3}, {"confidence": 0.3, "nms": "agnostic"}, {"confidence": 0.3, "max_iou": 0.1}):
        expected, found = reference.detect(picture, **how), detector.detect(picture, **how)  # type: ignore[arg-type]
        assert found.slots.tolist() == expected.slots.tolist()
        assert found.class_ids.tolist() == expected.class_ids.tolist()
        assert found.box_xyxy == pytest.approx(expected.box_xyxy, abs=1e-3)
        assert found.confidence == pytest.approx(expected.confidence, abs=1e-5)
    assert len(detector.detect(picture, confidence=0.3)) > 1
    assert len(detector.detect(picture, confidence=0.3, max_detections=1)) == 1


def test_it_says_what_it_is(detector: OnnxDetector) -> None:
    assert detector.classes == CLASSES
    assert detector.picture_size == (64, 64)


def test_the_models_own_defaults_hold_unless_something_is_given() -> None:
    own = exported(MODEL, defaults=DecodeConfig(0.2, 0.9, "agnostic", 700, 3))
    picture = pictures(1)[0]
    assert own.decoding() == DecodeConfig(0.2, 0.9, "agnostic", 700, 3)
    assert own.decoding(0.1, nms="class") == DecodeConfig(0.1, 0.9, "class", 700, 3)
    assert len(own.detect(picture)) == 3
    assert len(own.detect_batch(picture[None])[0]) == 3
    assert len(own.detect(picture, max_detections=4)) == 4


def test_a_batch_is_its_pictures(detector: OnnxDetector) -> None:
    several = pictures(7)
    together = detector.run(several)
    assert together.dtype == np.float32
    for picture, outputs in zip(several, together, strict=True):
        assert detector.run(picture[None])[0] == pytest.approx(outputs, abs=1e-4)


def test_no_picture_and_nothing_to_find(detector: OnnxDetector) -> None:
    assert detector.run(np.zeros((0, 64, 64, 3), np.uint8)).shape == (0, 16, 9)
    assert detector.detect_batch(np.zeros((0, 64, 64, 3), np.uint8)) == []
    none = OnnxDetector(constant_model(empty_logits()), settings=ONE)
    found = none.detect(pictures(1)[0])
    assert len(found) == 0
    assert found.box_xyxy.shape == (0, 4)


def test_threads_may_share_one(detector: OnnxDetector) -> None:
    several = [pictures(1, (80, 50), seed)[0] for seed in range(8)]
    alone = [detector.detect(picture, confidence=0.3) for picture in several]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda picture: detector.detect(picture, confidence=0.3), several * 4))
    for number, found in enumerate(together):
        assert np.array_equal(found.box_xyxy, alone[number % 8].box_xyxy)


def test_read_only_and_reversed_pictures_are_taken(detector: OnnxDetector) -> None:
    picture = pictures(1)[0]
    expected = detector.detect(np.ascontiguousarray(picture[..., ::-1]), confidence=0.3)
    picture.flags.writeable = False
    found = detector.detect(picture[..., ::-1], confidence=0.3)
    assert np.array_equal(found.box_xyxy, expected.box_xyxy)


def test_values_go_in_as_the_spec_says() -> None:
    picture = pictures(2, (32, 16))
    spec = spec_of(network(size=(32, 16)), layout="nchw", value_type="float32", value_range=(-1, 1))
    values = as_input(picture, spec)
    assert values.shape == (2, 3, 16, 32)
    assert values.dtype == np.float32
    assert values[1, 2, 3, 4] == pytest.approx(picture[1, 3, 4, 2] / 127.5 - 1, abs=1e-6)


# ---- what is refused


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((8, 8), np.uint8),
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((8, 8, 3), np.float32),
        np.zeros((0, 8, 3), np.uint8),
        np.zeros((8, 0, 3), np.uint8),
    ],
)
def test_what_is_no_picture_is_refused(detector: OnnxDetector, picture: Any) -> None:
    with pytest.raises(DataError, match=r"expected a uint8 RGB picture \(H, W, 3\), found"):
        detector.detect(picture)
    with pytest.raises(DataError, match=r"expected uint8 RGB pictures \(B, 64, 64, 3\), found"):
        detector.run(picture[None])


@pytest.mark.parametrize(
    "wrong", [{"confidence": 1.5}, {"confidence": -0.1}, {"max_iou": 2}, {"max_detections": 0}, {"nms": "soft"}]
)
def test_arguments_out_of_range_are_refused(detector: OnnxDetector, wrong: dict[str, Any]) -> None:
    name = next(iter(wrong)).replace("_", "-")
    with pytest.raises(ConfigError, match=f"{name}: expected"):
        detector.detect(pictures(1)[0], **wrong)


def test_nan_from_the_network_is_told() -> None:
    logits = empty_logits()
    logits[3, 4] = np.nan
    with pytest.raises(DataError, match=r"^model\.onnx: .*found NaN: image 0, slot 3, field 4"):
        OnnxDetector(constant_model(logits), settings=ONE).detect(pictures(1)[0])


@pytest.mark.parametrize("content", [b"", b"\x00", b"not an ONNX file", b"\x89PNG\r\n\x1a\n", bytes(1000)])
def test_what_is_no_onnx_file_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(content)
    with pytest.raises(ModelError, match=r"a\.onnx: expected an ONNX file") as caught:
        OnnxDetector.load(tmp_path / "a.onnx")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("share", [0.01, 0.3, 0.6, 0.9, 0.99, 0.9999])
def test_a_truncated_file_is_refused(share: float) -> None:
    with pytest.raises(ModelError, match=r"^\(bytes\): expected"):
        OnnxDetector.load(CONTENT[: int(share * len(CONTENT))])


def test_another_ones_model_is_refused() -> None:
    with pytest.raises(ModelError, match="expected metadata of the key yolo_proc, found none; use a model that"):
        OnnxDetector.load(constant_model(empty_logits(), author="somebody"))


def test_a_newer_model_is_refused() -> None:
    newer = spec_of(MODEL).to_json().replace('"version":1', '"version":2')
    with pytest.raises(ModelError, match="metadata: version: expected 1, found 2; use the release"):
        OnnxDetector.load(constant_model(empty_logits(), yolo_proc=newer))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"output_name": "scores"}, "expected an output scores, found logits"),
        ({"input_name": "x"}, "expected an input x, found images"),
        ({"layout": "nchw"}, r"input images: expected tensor\(uint8\) N x 3 x 64 x 64, as its metadata says"),
        ({"value_type": "float32"}, r"input images: expected tensor\(float\) N x 64 x 64 x 3"),
        ({"classes": ("A", "B")}, r"output logits: expected tensor\(float\) N x 16 x 7, as its metadata says"),
    ],
)
def test_metadata_of_another_graph_are_refused(change: dict[str, Any], words: str) -> None:
    from dataclasses import replace

    text = replace(spec_of(MODEL), **change).to_json()
    with pytest.raises(ModelError, match=words):
        OnnxDetector.load(constant_model(empty_logits(), yolo_proc=text))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for wrong in (tmp_path / "none.onnx", tmp_path):
        with pytest.raises(ModelError, match=r"expected a model, such as model\.onnx, found (no such file|a folder)"):
            OnnxDetector.load(wrong)
    with pytest.raises(ConfigError, match="provider Abacus: this ONNX Runtime does not have it, it has"):
        OnnxDetector.load(CONTENT, settings=Settings(providers=("Abacus",)))


def test_it_loads_from_bytes_alone_without_torch(tmp_path: Path) -> None:
    (tmp_path / "alone").mkdir()
    code = """
import sys
from yolo_proc.export.session import OnnxDetector, Settings
import numpy as np
found = OnnxDetector.load(sys.stdin.buffer.read(), settings=Settings(1)).detect(np.zeros((40, 50, 3), np.uint8), 0.01)
assert "torch" not in sys.modules, "torch was imported"
print(len(found))
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    run = subprocess.run(
        [sys.executable, "-c", code], input=CONTENT, capture_output=True, cwd=tmp_path / "alone", env=environment
    )
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) > 0
    assert list((tmp_path / "alone").iterdir()) == []


def test_onnx_itself_finds_no_fault() -> None:
    onnx.checker.check_model(CONTENT, full_check=True)
    with torch.inference_mode():
        expected = MODEL(torch.from_numpy(pictures(2))).numpy()
    assert OnnxDetector(CONTENT, settings=ONE).run(pictures(2)) == pytest.approx(expected, abs=1e-4)
