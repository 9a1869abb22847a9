"""Golden vectors: inputs and what each stage makes of them, in files that any language reads (docs/java.md).

`write_vectors` makes a set of an exported model, and `read_vectors` reads any set and believes no byte of it unchecked.
`stages.replay` runs every case through this package; the Java library does the same.
"""

import hashlib
import io
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from yolo_proc.errors import DataError
from yolo_proc.export.spec import value_of_json
from yolo_proc.export.stages import DEFAULT_TOLERANCES, Case, Run, Stages, Values, Vectors
from yolo_proc.system.files import GIB, MIB, UnreadableFileError, read_bytes

VERSION = 1
MAX_BYTES = 2 * GIB  # of one file; the model is the largest
MAX_INDEX_BYTES = 16 * MIB  # as in Java
TYPES = {"u8": "u1", "i32": "<i4", "f32": "<f4", "f64": "<f8"}
WORDS = ("nms",)  # the keys whose strings are words; all other strings name an array


# ---- reading


def read_vectors(folder: Path | str) -> Vectors:
    """Return a set of cases, every file of it compared with its SHA-256.

    Raises:
        DataError: a file that is missing, damaged, of another version, or that does not fit its description.
    """
    folder = Path(folder)
    place = folder / "index.json"
    try:
        index = value_of_json(_bytes_of(place, MAX_INDEX_BYTES).decode("ascii"))
        if index["version"] != VERSION:
            raise DataError(
                f"{place}: expected version {VERSION}, found {index['version']!r}; use the release it is of"
            )
        onnx = folder / str(index["onnx"]["file"])
        _verified(onnx, index["onnx"]["sha256"])
        arrays = {name: _array_of(folder, entry) for name, entry in index["files"].items()}
        cases = tuple(
            Case(
                str(case["name"]),
                str(case["stage"]),
                _resolved(case["in"], arrays),
                _resolved(case["out"], arrays),
                str(case["comment"]),
            )
            for case in index["cases"]
        )
        tolerances = {kind: float(index["tolerances"][kind]) for kind in DEFAULT_TOLERANCES}
        return Vectors(dict(index["model"]), onnx, cases, tolerances)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise DataError(
            f"{place}: expected the index of golden vectors, but its contents do not fit ({error!r}); make them anew"
        ) from error


def _bytes_of(path: Path, most: int = MAX_BYTES) -> bytes:
    try:
        return read_bytes(path, most, "a file of golden vectors")
    except UnreadableFileError as error:
        raise DataError(f"{error}; restore it") from error


def _verified(path: Path, sha256: str) -> bytes:
    data = _bytes_of(path)
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise DataError(f"{path}: expected SHA-256 {sha256}, found {found}; the file was changed: restore it")
    return data


def _array_of(folder: Path, entry: Mapping[str, Any]) -> NDArray[Any]:
    name, shape = str(entry["file"]), [int(side) for side in entry["shape"]]
    path = folder / name
    if Path(name).name != name:
        raise DataError(f"{folder / 'index.json'}: expected a file beside it, found {name!r}")
    data, kind = _verified(path, entry["sha256"]), np.dtype(TYPES[entry["type"]])
    if len(data) != math.prod(shape) * kind.itemsize:
        raise DataError(f"{path}: expected {entry['type']} {shape}, found {len(data)} bytes")
    return np.frombuffer(data, kind).reshape(shape)


def _resolved(values: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """Return arrays in place of their names."""
    return {
        key: arrays[value] if isinstance(value, str) and key not in WORDS else value for key, value in values.items()
    }


# ---- writing


def save_vectors(
    folder: Path | str,
    model: Mapping[str, Any],
    cases: Sequence[Case],
    *,
    onnx: str = "../model.onnx",
    suffixes: Mapping[str, str] | None = None,
    tolerances: Mapping[str, float] | None = None,
) -> None:
    """Write a set of cases; equal arrays share a file. The index comes last.

    Args:
        model: what model.json says.
        onnx: where the model's file lies, seen from the folder; it must be there.
        suffixes: of the files that are not raw values, by case: {"picture_grey": "png"}.
        tolerances: those that differ from the usual.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, dict[str, Any]] = {}
    known: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def stored(case: str, key: str, value: Any) -> Any:
        if not isinstance(value, np.ndarray):
            return value
        kind = _kind_of(value)
        data = np.ascontiguousarray(value, dtype=TYPES[kind]).tobytes()
        digest = hashlib.sha256(data).digest()
        name = known.setdefault((kind, value.shape, digest), f"{case}.{key}")
        if name not in files:
            suffix = (suffixes or {}).get(case, kind) if key == "bytes" else kind
            file = f"{name}.{suffix}"
            (folder / file).write_bytes(data)
            files[name] = {"file": file, "type": kind, "shape": list(value.shape), "sha256": digest.hex()}
        return name

    rows: list[dict[str, Any]] = []
    for case in cases:
        assert not any(row["name"] == case.name for row in rows), f"two cases {case.name}"
        sides = [
            {key: stored(case.name, f"{prefix}{key}", value) for key, value in values.items()}
            for prefix, values in (("", case.inputs), ("out.", case.outputs))
        ]
        rows.append({"name": case.name, "stage": case.stage, "comment": case.comment, "in": sides[0], "out": sides[1]})
    index = {
        "version": VERSION,
        "model": dict(model),
        "onnx": {"file": onnx, "sha256": hashlib.sha256((folder / onnx).read_bytes()).hexdigest()},
        "tolerances": {**DEFAULT_TOLERANCES, **(tolerances or {})},
        "files": files,
        "cases": rows,
    }
    (folder / "index.json").write_text("".join(_laid_out(index)), encoding="ascii", newline="\n")


def _kind_of(array: NDArray[Any]) -> str:
    kinds = {"u1": "u8", "i4": "i32", "i8": "i32", "f4": "f32", "f8": "f64"}
    return kinds[f"{array.dtype.kind}{array.dtype.itemsize}"]


def _laid_out(index: Mapping[str, Any]) -> Iterator[str]:
    """Yield JSON in pure ASCII, one line a file and a case: a change of one is a change of one line."""
    separator = "{"
    for key, value in index.items():
        yield f"{separator}\n{json.dumps(key)}: "
        separator = ","
        if key == "files":
            yield "{" + ",".join(f"\n  {json.dumps(name)}: {json.dumps(entry)}" for name, entry in value.items()) + "}"
        elif key == "cases":
            yield "[" + ",".join(f"\n  {json.dumps(case)}" for case in value) + "]"
        else:
            yield json.dumps(value)
    yield "}\n"


def write_vectors(
    folder: Path | str,
    model: Mapping[str, Any],
    run: Run,
    pictures: Sequence[NDArray[np.uint8]],
    *,
    onnx: str = "../model.onnx",
    tolerances: Mapping[str, float] | None = None,
) -> None:
    """Write what an exported model makes of some pictures, every stage apart.

    Args:
        model: what model.json says.
        run: the exported model itself, on letterboxed uint8 pictures (N, H, W, 3).
        pictures: uint8 RGB (h, w, 3), of any sizes.
        onnx: where the model's file lies, seen from the folder; it must be there.
    """
    stages = Stages.of_model(model, run)
    cases: list[Case] = []

    def add(name: str, stage: str, given: Values, comment: str = "") -> dict[str, Any]:
        outputs = stages.perform(stage, given)
        cases.append(Case(name, stage, given, outputs, comment))
        return outputs

    width, height = stages.frame
    fitted = []
    for number, rgb in enumerate(pictures):
        read = add(f"picture_{number}", "picture", {"bytes": np.frombuffer(_png_of(rgb), np.uint8)})["rgb"]
        given = {"rgb": read, "width": width, "height": height}
        fitted.append(add(f"letterbox_{number}", "letterbox", given)["letterboxed"])
    images = np.stack(fitted) if fitted else np.zeros((0, height, width, 3), np.uint8)
    if fitted:
        add("model_of_one", "model", {"images": images[:1]})
        outputs = add("model", "model", {"images": images}, "all pictures at once")[stages.outputs_key]
        for number, (rgb, values) in enumerate(zip(pictures, outputs, strict=True)):
            if stages.codec is None:
                add(f"classify_{number}", "classify", {stages.outputs_key: values})
            else:
                _add_boxes(add, stages, model, number, rgb, values)
    suffixes = {case.name: "png" for case in cases}
    save_vectors(folder, model, cases, onnx=onnx, suffixes=suffixes, tolerances=tolerances)


def _add_boxes(
    add: Callable[..., dict[str, Any]],
    stages: Stages,
    model: Mapping[str, Any],
    number: int,
    rgb: NDArray[np.uint8],
    values: NDArray[np.float32],
) -> None:
    """Add the cases behind the network, of one picture's outputs (S, 5 + C)."""
    defaults, (width, height) = model["defaults"], stages.frame
    given = {stages.outputs_key: values, "confidence": defaults["confidence"]}
    given["max_candidates"] = defaults["max_candidates"]
    rest = {key: defaults[key] for key in ("nms", "max_iou", "max_detections")}
    if not stages.activated:
        predictions = add(f"activate_{number}", "activate", {"logits": values})["predictions"]
        add(f"deactivate_{number}", "deactivate", {"predictions": predictions})
    add(f"decode_{number}", "decode", given)
    add(f"decode_all_{number}", "decode", {**given, "confidence": 0.001}, "at the confidence of an evaluation")
    boxes = add(f"nms_{number}", "nms", {**given, **rest})
    found = add(f"nms_all_{number}", "nms", {**given, **rest, "confidence": 0.001})
    other = "agnostic" if rest["nms"] == "class" else "class"
    add(f"nms_{other}_{number}", "nms", {**given, **rest, "confidence": 0.001, "nms": other})
    sizes = {"picture_width": rgb.shape[1], "picture_height": rgb.shape[0], "width": width, "height": height}
    add(f"picture_boxes_{number}", "picture_boxes", {"boxes": boxes["boxes"], **sizes})
    shares = np.ones(len(found["boxes"]))
    objects = {"class_ids": found["class_ids"], "confidences": found["confidences"], "visible": shares}
    limits = {"min_visible": 0.4, "min_in_frame": 0.5, "min_box_px": 4.0, "ignore": np.zeros((0, 4))}
    add(f"assign_{number}", "assign", {"boxes": found["boxes"], **objects, "in_frame": shares, **limits})


def _png_of(rgb: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "PNG")
    return buffer.getvalue()
