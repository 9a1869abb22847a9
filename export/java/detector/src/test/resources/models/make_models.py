"""Writes the small models of the tests beside this file: `python make_models.py`. Needs onnx, numpy and yolo_proc.

Every one looks at pictures of 32 x 32, in four cells of 16. A cell's mean colour decides: red gives class `red`, blue
gives class `blue`, grey and black give nothing, so that swapped colours or axes show. A box is as large as its cell.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from yolo_proc.export.digest import sealed, sealed_text

HERE = Path(__file__).resolve().parent
SIDE, STRIDE, FIELDS = 32, 16, 7
SLOTS = (SIDE // STRIDE) ** 2

# Rows x, y, w, h, J, red, blue; columns the means of red, green, blue, 0 to 1. J is sure of red and of blue alone.
WEIGHTS = np.array([[0, 0, 0]] * 4 + [[20, -40, 20], [10, 0, 0], [0, 0, 10]], dtype=np.float32)
BIASES = np.array([0, 0, 0, 0, -10, 0, 0], dtype=np.float32)


def spec(**changes: Any) -> dict[str, Any]:
    """What the model says of itself."""
    return {
        "version": 1,
        "classes": ["red", "blue"],
        "input": {
            "name": "images",
            "layout": "nhwc",
            "type": "uint8",
            "range": [0, 255],
            "color": "rgb",
            "width": SIDE,
            "height": SIDE,
        },
        "letterbox": {"rule": 1, "pad": [114, 114, 114]},
        "output": {"name": "logits", "activated": False},
        "grids": [{"stride": STRIDE, "columns": 2, "rows": 2, "anchors": [[16, 16]]}],
        "defaults": {
            "confidence": 0.65,
            "max_iou": 0.4,
            "nms": "class",
            "max_candidates": 1000,
            "max_detections": 300,
        },
        "training": {},
        **changes,
    }


def write(
    name: str,
    said: dict[str, Any] | None,
    *,
    layout: str = "nhwc",
    scale: float = 1 / 255,
    activated: bool = False,
    broken: bool = False,
    batch: str | int = "N",
    digests: bool = False,
) -> None:
    """One model; `broken` gives NaN where the picture is not black."""
    nodes, values = [], "images"
    if layout == "nhwc":
        nodes += [
            helper.make_node("Cast", [values], ["floats"], to=TensorProto.FLOAT),
            helper.make_node("Transpose", ["floats"], ["planes"], perm=[0, 3, 1, 2]),
        ]
        values = "planes"
    nodes += [
        helper.make_node("Mul", [values, "scale"], ["scaled"]),
        helper.make_node("AveragePool", ["scaled"], ["means"], kernel_shape=[16, 16], strides=[16, 16]),
        helper.make_node("Conv", ["means", "weights", "biases"], ["cells"]),
        helper.make_node("Transpose", ["cells"], ["last"], perm=[0, 2, 3, 1]),
        helper.make_node("Reshape", ["last", "shape"], ["raw"]),
    ]
    output = "raw"
    if broken:
        nodes.append(helper.make_node("Log", ["minus"], ["nan"]))
        nodes.append(helper.make_node("Mul", ["raw", "nan"], ["damaged"]))
        output = "damaged"
    if activated:
        nodes += [
            helper.make_node("Split", [output, "parts"], ["xy", "wh", "j", "classes"], axis=2),
            helper.make_node("Sigmoid", ["xy"], ["xy1"]),
            helper.make_node("Exp", ["wh"], ["wh1"]),
            helper.make_node("Sigmoid", ["j"], ["j1"]),
            helper.make_node("Softmax", ["classes"], ["classes1"], axis=2),
            helper.make_node("Concat", ["xy1", "wh1", "j1", "classes1"], ["activated"], axis=2),
        ]
        output = "activated"
    nodes.append(helper.make_node("Identity", [output], ["logits"]))
    constants = {
        "scale": np.float32(scale),
        "weights": WEIGHTS[:, :, None, None],
        "biases": BIASES,
        "shape": np.array([-1, SLOTS, FIELDS], dtype=np.int64),
        "minus": np.float32(-1),
        "parts": np.array([2, 2, 1, 2], dtype=np.int64),
    }
    used = {one for node in nodes for one in node.input}
    shape = [batch, SIDE, SIDE, 3] if layout == "nhwc" else [batch, 3, SIDE, SIDE]
    kind = TensorProto.UINT8 if layout == "nhwc" else TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "cells",
        [helper.make_tensor_value_info("images", kind, shape)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, SLOTS, FIELDS])],
        [numpy_helper.from_array(np.asarray(one), key) for key, one in constants.items() if key in used],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    if said is not None:
        text = json.dumps(said, separators=(",", ":"))
        helper.set_model_props(model, {"yolo_proc": sealed_text(text) if digests else text})
    onnx.checker.check_model(model)
    content = model.SerializeToString(deterministic=True)
    (HERE / f"{name}.onnx").write_bytes(sealed(content) if digests else content)


def write_classifier(name: str, *, activated: bool = False, broken: bool = False) -> None:
    """A classifier by the mean colour of the whole picture: red, blue or green; red and blue are equal on grey."""
    weights = np.array([[10, 0, 0], [0, 0, 10], [0, 10, 0]], dtype=np.float32)
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["floats"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("GlobalAveragePool", ["planes"], ["means"]),
        helper.make_node("Flatten", ["means"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weights", "biases"], ["raw"], transB=1, alpha=1 / 255),
    ]
    output = "raw"
    if broken:
        nodes += [helper.make_node("Log", ["minus"], ["nan"]), helper.make_node("Mul", ["raw", "nan"], ["damaged"])]
        output = "damaged"
    if activated:
        nodes.append(helper.make_node("Softmax", [output], ["shares"], axis=-1))
        output = "shares"
    nodes.append(helper.make_node("Identity", [output], ["logits"]))
    constants = {"weights": weights, "biases": np.array([0, 0, -5], np.float32), "minus": np.float32(-1)}
    used = {one for node in nodes for one in node.input}
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", SIDE, SIDE, 3])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 3])],
        [numpy_helper.from_array(np.asarray(one), key) for key, one in constants.items() if key in used],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    said = spec(task="classification", classes=["red", "blue", "green"])
    said["output"] = {"name": "logits", "activated": activated}
    del said["grids"], said["defaults"]
    helper.set_model_props(model, {"yolo_proc": json.dumps(said, separators=(",", ":"))})
    onnx.checker.check_model(model)
    (HERE / f"{name}.onnx").write_bytes(model.SerializeToString(deterministic=True))


def main() -> None:
    """All of them."""
    plain = spec()
    planes = {**plain["input"], "layout": "nchw", "type": "float32", "range": [0, 1]}
    write("cells", plain)
    write("sealed", plain, digests=True)
    write("planes", spec(input=planes), layout="nchw", scale=1)
    write("activated", spec(output={"name": "logits", "activated": True}), activated=True)
    write("one_picture", plain, batch=1)
    write("agnostic", spec(defaults={**plain["defaults"], "confidence": 0.99999, "nms": "agnostic"}))
    write("few", spec(defaults={**plain["defaults"], "max_candidates": 1}))
    write("nan", plain, broken=True)
    write("no_metadata", None)
    write("version_2", spec(version=2))
    write("three_classes", spec(classes=["red", "green", "blue"]))
    write("other_type", spec(input={**planes, "layout": "nhwc", "range": [0, 255]}))
    write_classifier("colours")
    write_classifier("colour_shares", activated=True)
    write_classifier("colours_nan", broken=True)
    write("other_name", spec(output={"name": "boxes", "activated": False}))


if __name__ == "__main__":
    main()
