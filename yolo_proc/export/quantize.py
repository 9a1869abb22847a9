"""int8: the network's body computes with whole numbers of 8 bits; the first and the last layer stay in float32.

One scale for all raw logits would leave 247 steps for values as different as a box's size and its confidence, so what
makes them is left as it is. The first layer, of three channels, would gain no time. Weights have a scale a channel,
and 7 bits: processors without VNNI add pairs of products in 16 bits, which 8 would overflow.
"""

import logging
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from yolo_proc.export.onnx_graph import HEAD_NODES, INPUT_NODES, IR_VERSION, OUTPUT_NODES, finished
from yolo_proc.export.session import as_input
from yolo_proc.export.spec import ModelSpec


def to_int8(
    content: bytes, spec: ModelSpec, pictures: Iterable[NDArray[np.uint8]], ir_version: int = IR_VERSION
) -> bytes:
    """Return a float32 model in int8: static, with the ranges that its values have on some pictures (QDQ).

    Args:
        content: of the float32 file that `to_onnx` made.
        ir_version: of that file.
        pictures: batches (B, H, W, 3) uint8 RGB of the network's size; a few hundred pictures in all.
    """
    # It takes seconds to import, and most exports do without.
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    model = onnx.load_from_string(content)

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        """Batches as the runtime asks for them."""

        def __init__(self) -> None:
            self.batches: Iterator[NDArray[np.uint8]] = iter(pictures)

        def get_next(self) -> dict[str, Any] | None:
            """Return the next batch by the input's name; None at the end."""
            batch = next(self.batches, None)
            return None if batch is None else {spec.input_name: as_input(batch, spec)}

    first = next(node.name for node in model.graph.node if node.op_type == "Conv")
    kept = [one.name for one in model.graph.node if one.name.startswith((INPUT_NODES, HEAD_NODES, OUTPUT_NODES))]
    with tempfile.TemporaryDirectory() as folder, _silent():
        path = Path(folder, "int8.onnx")
        quantize_static(
            model,
            path,
            Reader(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=[first, *kept],
        )
        made = onnx.load_from_string(path.read_bytes())
    used = {node.domain for node in made.graph.node}
    for one in [one for one in made.opset_import if one.domain not in used]:
        made.opset_import.remove(one)
    return finished(made, spec, ir_version)


@contextmanager
def _silent() -> Iterator[None]:
    """Keep quiet: without the advice to prepare the graph by other tools, which speaks of what has been done
    already.
    """

    def refuse(_: logging.LogRecord) -> bool:
        return False

    root = logging.getLogger()
    root.addFilter(refuse)
    try:
        yield
    finally:
        root.removeFilter(refuse)
