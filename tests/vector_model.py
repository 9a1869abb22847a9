"""The network of the golden vectors: two grids, weights from a hash, its outputs worked out in whole numbers.

Every weight is a small whole number over a power of two, so that each sum is a whole number of at most 60 bits: the
logits are exact before their one rounding to float32, on every machine and without any library's convolution.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from yolo_proc.detection.codec import Grid

WIDTH, HEIGHT = 64, 48
GRIDS = (
    Grid(8, 8, 6, ((8.0, 8.0), (32.0, 8.0))),
    Grid(16, 4, 3, ((20.0, 16.0), (20.0, 22.0), (20.0, 40.0))),
)
CLASSES = ("A", "\N{LATIN CAPITAL LETTER O WITH DIAERESIS}", "\N{GRINNING FACE}")  # the last: beyond 16 bits
FIELDS = 5 + len(CLASSES)
SLOTS = sum(grid.columns * grid.rows * len(grid.anchors) for grid in GRIDS)
MODEL = {
    "version": 1,
    "classes": list(CLASSES),
    "input": {
        "name": "images",
        "layout": "nhwc",
        "type": "uint8",
        "range": [0, 255],
        "color": "rgb",
        "width": WIDTH,
        "height": HEIGHT,
    },
    "letterbox": {"rule": 1, "pad": [114, 114, 114]},
    "output": {"name": "logits", "activated": False},
    "grids": [grid.to_dict() for grid in GRIDS],
    "defaults": {"confidence": 0.65, "max_iou": 0.4, "nms": "class", "max_candidates": 1000, "max_detections": 300},
    "training": {},
}

# name, channels in, channels out, size, stride; the unit of a weight is 2^-BITS
LAYERS = (
    ("stem", 3, 8, 3, 2),
    ("second", 8, 12, 3, 2),
    ("third", 12, 16, 3, 2),
    ("fourth", 16, 16, 3, 2),
    ("fine", 16, 2 * FIELDS, 1, 1),
    ("coarse", 16, 3 * FIELDS, 1, 1),
)
BITS = 5
# What the outputs' weights are multiplied by, and their biases: sizes near the anchors, few objects.
FIELD_FACTORS = (4, 4, 2, 2, 8, 4, 4, 4)
FIELD_BIASES = (0, 0, 0, 0, -1, 0, 0, 0)


def _whole_numbers(name: str, count: int) -> np.ndarray:
    """`count` whole numbers from -7 to 7, from a hash of the name."""
    data = b"".join(hashlib.sha256(f"{name} {number}".encode()).digest() for number in range(count // 32 + 1))
    return np.frombuffer(data, np.uint8)[:count].astype(np.int64) % 15 - 7


def weights() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """For each layer its filters (out, in, size, size) in units of 2^-BITS, and its biases (out,); int64."""
    found = {}
    for name, k_in, k_out, size, _ in LAYERS:
        filters = _whole_numbers(name, k_out * k_in * size * size).reshape(k_out, k_in, size, size)
        biases = np.zeros(k_out, np.int64)
        if name in ("fine", "coarse"):
            filters = filters * np.tile(FIELD_FACTORS, k_out // FIELDS)[:, None, None, None]
            biases = np.tile(np.array(FIELD_BIASES, np.int64), k_out // FIELDS)
        found[name] = filters, biases
    return found


def logits_of(images: np.ndarray) -> np.ndarray:
    """uint8 (N, H, W, 3) -> float32 (N, S, 5 + C), exact but for the last rounding."""
    layers = weights()
    x, bits = 2 * images.astype(np.int64) - 255, 7  # (p - 127.5) / 64 in units of 2^-7
    maps = {}
    for name, _, _, size, stride in LAYERS:
        if name in ("fine", "coarse"):
            x, bits = maps["third" if name == "fine" else "fourth"]
        y, below = _convolved(x, layers[name], size, stride, bits), bits + BITS
        maps[name] = (y if name in ("fine", "coarse") else np.maximum(y, 0), below)
        x, bits = maps[name]
    outputs = []
    for name in ("fine", "coarse"):
        y, bits = maps[name]
        outputs.append((y / 2.0**bits).astype(np.float32).reshape(len(images), -1, FIELDS))
    return np.concatenate(outputs, axis=1)


def _convolved(x: np.ndarray, layer: tuple[np.ndarray, np.ndarray], size: int, stride: int, bits: int) -> np.ndarray:
    """(N, H, W, in) in units of 2^-bits -> (N, H / stride, W / stride, out) in units of 2^-(bits + BITS)."""
    filters, biases = layer
    pad = size // 2
    padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    rows, columns = -(-x.shape[1] // stride), -(-x.shape[2] // stride)
    y = np.zeros((len(x), rows, columns, len(filters)), np.int64) + biases * 2 ** (bits + BITS)
    for dy in range(size):
        for dx in range(size):
            seen = padded[:, dy : dy + stride * rows : stride, dx : dx + stride * columns : stride]
            y += seen @ filters[:, :, dy, dx].T
    assert np.abs(y).max(initial=0) < 2**53, "too large to be exact in a double"
    return y


def model_json() -> str:
    """The text of model.json: compact, pure ASCII."""
    return json.dumps(MODEL, separators=(",", ":"))


def write_onnx(path: Path) -> None:
    """The same network as a file; built node by node, so that no exporter's version changes it."""
    initializers = [
        _constant("middle", np.array(127.5, np.float32)),
        _constant("scale", np.array(1 / 64, np.float32)),
        _constant("slots", np.array([0, -1, FIELDS], np.int64)),
    ]
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["floats", "middle"], ["centred"]),
        helper.make_node("Mul", ["centred", "scale"], ["scaled"]),
        helper.make_node("Transpose", ["scaled"], ["x"], perm=[0, 3, 1, 2]),
    ]
    layers, given = weights(), {"stem": "x", "fine": "third", "coarse": "fourth"}
    before = ""
    for name, _, _, size, stride in LAYERS:
        filters, biases = layers[name]
        initializers.append(_constant(f"{name}_filters", (filters / 2.0**BITS).astype(np.float32)))
        initializers.append(_constant(f"{name}_biases", biases.astype(np.float32)))
        inputs = [given.get(name, before), f"{name}_filters", f"{name}_biases"]
        options = {"kernel_shape": [size] * 2, "strides": [stride] * 2, "pads": [size // 2] * 4}
        nodes.append(helper.make_node("Conv", inputs, [f"{name}_sums"], **options))
        if name in ("fine", "coarse"):
            nodes.append(helper.make_node("Transpose", [f"{name}_sums"], [f"{name}_last"], perm=[0, 2, 3, 1]))
            nodes.append(helper.make_node("Reshape", [f"{name}_last", "slots"], [f"{name}_slots"]))
        else:
            nodes.append(helper.make_node("Relu", [f"{name}_sums"], [name]))
        before = name
    nodes.append(helper.make_node("Concat", ["fine_slots", "coarse_slots"], ["logits"], axis=1))
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", HEIGHT, WIDTH, 3])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", SLOTS, FIELDS])
    graph = helper.make_graph(nodes, "vectors", [images], [logits], initializers)
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10, producer_name="yolo_proc"
    )
    helper.set_model_props(model, {"yolo_proc": model_json()})
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString(deterministic=True))


def _constant(name: str, values: np.ndarray) -> TensorProto:
    return numpy_helper.from_array(values, name)
