"""Malicious configurations, class lists, checkpoints, models and videos."""

import hashlib
import io
import json
import os
import pickle
import pickletools
import struct
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from archive_files import name_in_capitals, two_directories
from tiny_sets import write_set

from attack.malicious import Malicious
from attack.malicious_sets import ODD
from attack.targets_sets import CLASSES, some_annotations

EVIL = """
import pathlib
pathlib.Path({ran!r}).touch()
from yolo_proc import Generator
class Evil(Generator):
    @property
    def classes(self):
        return ("A", "B", "C", "four")
    def draw(self, canvas, rng):
        canvas.background((0, 0, 0))
"""


class Sound:
    """A model and a checkpoint that are sound, made when they are first asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __call__(self) -> Path:
        with self._lock:
            if self._folder is None:
                self._folder = tempfile.TemporaryDirectory(prefix="attack-sound-")
                path = Path(self._folder.name)
                (path / "model.onnx").write_bytes(_model())
                _checkpoint(path / "run.pt")
            return Path(self._folder.name)


def _model(change: "Callable[[Any], None]" = lambda _: None, **metadata: Any) -> bytes:
    """`model.onnx` of a small network; its graph changed, or what stands in its metadata. Its digests are right."""
    import onnx
    from tiny_export import network, spec_of

    from yolo_proc.export.digest import METADATA_KEY, sealed, sealed_text
    from yolo_proc.export.onnx_graph import to_onnx

    model = network()
    graph = onnx.load_from_string(to_onnx(model, spec_of(model)))
    values = spec_of(model).to_dict()
    for name, value in metadata.items():
        (values if name in values else values["defaults"])[name] = value
    del graph.metadata_props[:]
    graph.metadata_props.add(key=METADATA_KEY, value=sealed_text(json.dumps(values)))
    change(graph)
    content: bytes = graph.SerializeToString(deterministic=True)
    return sealed(content)


def _checkpoint(path: Path, **changes: Any) -> None:
    from tiny_export import tiny_checkpoint

    tiny_checkpoint(path, **changes)


def sealed_again(content: bytes) -> bytes:
    """The same with a right digest at its end."""
    from yolo_proc.export.digest import DIGEST_KEY, sealed

    return sealed(content[: content.rindex(DIGEST_KEY.encode()) - 4])


class _Touch:
    """Unpickled by a careless reader, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.system, (f"touch {self.path}",)


def signed(payload: bytes) -> bytes:
    """A checkpoint with a right digest."""
    digest = hashlib.sha256(payload).hexdigest()
    return f"yolo_proc checkpoint 1 sha256={digest} bytes={len(payload)}\n".encode() + payload


def _archive(data: bytes, *, more: Mapping[str, bytes] | None = None) -> bytes:
    """What `torch.save` writes around a pickle."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as file:
        for name, content in {"data.pkl": data, "version": b"3\n", "byteorder": b"little", **(more or {})}.items():
            packed = zipfile.ZIP_DEFLATED if len(content) > 1 << 20 else zipfile.ZIP_STORED
            file.writestr(zipfile.ZipInfo(f"archive/{name}"), content, packed)
    return stream.getvalue()


def _nested(depth: int) -> bytes:
    return b"\x80\x02" + b"]" * (depth + 1) + b"a" * depth + b"."


def _bomb() -> bytes:
    """1 MB that unpacks to 1.3 GB."""
    import torch

    stream = io.BytesIO()
    torch.save({"version": 1, "weights": torch.zeros(1)}, stream)
    data = zipfile.ZipFile(stream).read("archive/data.pkl")
    count = 325 << 20
    return _archive(
        data.replace(b"K\x01QK\x00", b"J" + struct.pack("<i", count) + b"QK\x00"), more={"data/0": bytes(4 * count)}
    )


def _view() -> bytes:
    """A few bytes that claim to be a tensor of 10^12."""
    import torch

    stream = io.BytesIO()
    torch.save({"version": 1, "weights": {"a": torch.zeros(1).expand(10**6, 10**6)}}, stream)
    return stream.getvalue()


RAW: dict[str, Callable[[Path], bytes]] = {
    "a pickle": lambda ran: pickle.dumps(_Touch(ran)),
    "an archive with a pickle": lambda ran: _archive(pickle.dumps(_Touch(ran), 2)),
    "a signed pickle": lambda ran: signed(pickle.dumps(_Touch(ran), 2)),
    "a signed archive with a pickle": lambda ran: signed(_archive(pickle.dumps(_Touch(ran), 2))),
    "an optimised pickle": lambda ran: signed(_archive(pickletools.optimize(pickle.dumps({"a": _Touch(ran)}, 2)))),
    "lists a million deep": lambda ran: signed(_archive(_nested(1_000_000))),
    "lists 5,000 deep": lambda ran: signed(_archive(_nested(5_000))),
    "1 MB that are 1.3 GB": lambda ran: signed(_bomb()),
    "a view of 10^12": lambda ran: signed(_view()),
    "a name that leads out": lambda ran: signed(_archive(b"\x80\x02}.", more={"../../../ran": b"a", "/ran": b"a"})),
    "a length of 10^18": lambda ran: b"yolo_proc checkpoint 1 sha256=" + b"0" * 64 + b" bytes=" + b"9" * 18 + b"\n",
    "a header without an end": lambda ran: b"yolo_proc checkpoint " + b"1" * 1_000_000,
    "format 999999999": lambda ran: b"yolo_proc checkpoint 999999999 sha256=" + b"0" * 64 + b" bytes=1\n\0",
    "a ZIP of nothing": lambda ran: signed(b"PK\5\6" + bytes(18)),
    "a name in capitals": lambda ran: signed(name_in_capitals(pickle.dumps(bytearray(1 << 28), 2))),
    "two directories": lambda ran: signed(two_directories(pickle.dumps(bytearray(1 << 28), 2))),
    "an old TorchScript": lambda ran: signed(
        _archive(b"\x80\x02}.", more={"constants.pkl": b"\x80\x02).", "code/__torch__.py": b"x"})
    ),
}

# Values of a checkpoint with a right digest.
VALUES: dict[str, dict[str, Any]] = {
    "a version of the future": {"version": 2},
    "no classes": {"classes": []},
    "a class with an escape in a checkpoint": {"classes": ["\x1b[31m", "B", "C", "D"]},
    "a number of 401 digits in a checkpoint": {"image_size": 10**400},
    "a network without end": {"model": {"name": "small", "width": 1e9, "depth": 10**9, "strides": (16,)}},
    "grids of 10^9": {"grids": [{"stride": 1, "columns": 10**9, "rows": 10**9, "anchors": [[1.0, 1.0]]}]},
    "no configuration": {"config": None},
    "a configuration of another kind": {"config": {"batch-size": "x" * 100_000}},
    "calibrated to NaN": {"calibration": (float("nan"), float("nan"))},
    "weights that are none": {"ema": {"a": 1}, "weights": {"a": 1}},
}

MODELS: dict[str, Callable[[], bytes]] = {
    "a pickle for a model": lambda: pickle.dumps({"a": 1}),
    "nothing": lambda: b"",
    "a class with an escape in a model": lambda: _model(classes=["\x1b[31m", "B", "C", "D"]),
    "a class of two lines in a model": lambda: _model(classes=["a\nb", "B", "C", "D"]),
    "10^18 candidates": lambda: _model(max_candidates=10**18),
    "10^18 detections": lambda: _model(max_detections=10**18),
    "a confidence of NaN": lambda: _model(confidence=float("nan")),
    "a confidence of 401 digits": lambda: _model(confidence=10**400),
    "an overlap of infinity": lambda: _model(max_iou=float("inf")),
    "a model without metadata": lambda: _model(lambda graph: graph.ClearField("metadata_props")),
    "external data": lambda: _model(_external),
    "an operator that nobody has": lambda: _model(lambda graph: setattr(graph.graph.node[0], "op_type", "Evil")),
    "a name that is no UTF-8": lambda: sealed_again(_model().replace(b"logits", b"log\xff\xfes")),
    "deep metadata": lambda: _model(_deep_metadata),
    "twice the metadata": lambda: _model(lambda graph: graph.metadata_props.extend(list(graph.metadata_props))),
}


def _external(graph: Any) -> None:
    import onnx

    tensor = graph.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../outside/secret.txt"


def _deep_metadata(graph: Any) -> None:
    for entry in graph.metadata_props:
        entry.value = "[" * 100_000


TOMLS: dict[str, str] = {
    "5,000 digits in TOML": "seed = " + "9" * 5000,
    "401 digits in TOML": "seed = " + "9" * 401,
    "401 digits for a side in TOML": "image-size = " + "9" * 401,
    "brackets 5,000 deep in TOML": "model.strides = " + "[" * 5000 + "]" * 5000,
    "a table 50,000 deep": "[" + "a." * 50_000 + "a]\n",
    "a key 50,000 deep": "a." * 50_000 + "a = 1\n",
    "a NUL in TOML": 'run = "a\\u0000b"\n',
    "an escape in TOML": 'run = "\\u001b[31m"\n',
    "a run that leads out": 'run = "../../outside/x"\n',
    "10^15 workers": "workers = 1000000000000000\n",
    "a day for a number": "seed = 1979-05-27\n",
    "infinity in TOML": "[model]\nwidth = inf\n",
    "20 MB of TOML": 'run = "' + "a" * 20_000_000 + '"\n',
}

LISTS: dict[str, bytes] = {
    "NUL for a class": b"a\0b\nb\nc\n",
    "an escape for a class": b"\x1b]0;x\x07\nb\nc\n",
    "half a sign for a class": b"\xed\xa0\x80\nb\nc\n",
    "a million classes": b"".join(b"c%d\n" % number for number in range(1_000_000)),
    "a class of 10 MB": b"a" * 10_000_000 + b"\nb\nc\n",
    "UTF-16": "a\nb\nc\n".encode("utf-16"),
}

EVALUATE = ("evaluate", "--images", "2", "--workers", "0", "--checkpoint", "{in}/a.pt")
DESCRIBE = ("describe", "--run", "{in}/a.pt")
RESUME = ("train", "--resume", "{in}/a.pt", "--workers", "0")
EXPORT = ("export", "--checkpoint", "{in}/a.pt", "--images", "200", "--out", "{out}")
PREDICT = ("predict", "{in}/a.png", "--model", "{in}/a.onnx", "--json")


def cases() -> Iterator[Malicious]:
    """All of this module."""
    for name, raw in RAW.items():
        yield Malicious(f"{name}, described", "checkpoints", partial(_raw, raw), DESCRIBE)
    yield Malicious(
        "a signed pickle, resumed", "checkpoints", partial(_raw, RAW["a signed archive with a pickle"]), RESUME
    )
    for name, changes in VALUES.items():
        make = partial(_valued, changes)
        for command, words in (("evaluated", EVALUATE), ("resumed", RESUME)):
            codes = (1, 2) if command == "resumed" else (0, 2) if name == "calibrated to NaN" else (2,)
            yield Malicious(f"{name}, {command}", "checkpoints", make, words, codes)
    for command, words in (("evaluated", EVALUATE), ("resumed", RESUME), ("exported", EXPORT)):
        for spelling in ("{ran}.py:Evil", "evil_module:Evil", "mix:{ran}.py:Evil"):
            yield Malicious(f"a generator {spelling}, {command}", "checkpoints", partial(_generator, spelling), words)
    for name, model in MODELS.items():
        codes = (0, 2) if name in ("twice the metadata",) else (2,)
        yield Malicious(name, "models", partial(_predicted, model), PREDICT, codes)
    for name, text in TOMLS.items():
        words = ("describe", "--config", "{in}/a.toml")
        codes = (0, 2) if name == "20 MB of TOML" else (2,)
        yield Malicious(name, "configurations", partial(_file, "a.toml", text.encode()), words, codes)
    for name, content in LISTS.items():
        words = ("convert", "{in}/set", "--to", "coco", "--out", "{out}", "--classes", "{in}/classes.txt")
        codes = (0, 2) if name in ("a million classes", "a class of 10 MB") else (2,)
        yield Malicious(name, "class lists", partial(_listed, content), words, codes)
    for name, make in ODD.items():
        for file, words in (
            ("classes.txt", ("convert", "{in}/set", "--to", "coco", "--out", "{out}", "--classes", "{in}/classes.txt")),
            ("a.toml", ("describe", "--config", "{in}/a.toml")),
            ("a.pt", DESCRIBE),
            ("a.onnx", PREDICT),
            ("a.mp4", ("predict", "{in}/a.mp4", "--model", "{model}")),
        ):
            yield Malicious(f"{file} is {name}", "pipes, devices, links", partial(_odd_file, file, make), words)
    for name, content in VIDEOS.items():
        words = ("predict", "{in}/a.mp4", "--model", "{model}")
        yield Malicious(name, "videos", partial(_file, "a.mp4", content), words)
    for flag in (
        "--seed",
        "--image-size",
        "--augment.blur-p",
        "--model.strides",
        "--model.anchors",
        "--epochs",
        "--batch-size",
    ):
        for number in ("9" * 401, "9" * 5000, "1e400", "nan"):
            words = ("describe" if flag.startswith(("--image", "--model")) else "train", flag, number)
            yield Malicious(f"{flag} {number[:5]} ({len(number)})", "flags", lambda folder: None, words)


VIDEOS: dict[str, bytes] = {
    "a list of segments for a video": b"#EXTM3U\n#EXTINF:10.0,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
    "a list of files for a video": b"ffconcat version 1.0\nfile '/etc/passwd'\n",
    "a description of a stream for a video": b"v=0\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n",
    "an empty video": b"",
    "a box of 2^63 in a video": struct.pack(">I4sQ", 1, b"moov", 2**63 - 1),
    "boxes in boxes in a video": b"".join(struct.pack(">I4s", 8 * (20_000 - n), b"moov") for n in range(20_000)),
}


def _file(name: str, content: bytes, root: Path) -> None:
    (root / name).write_bytes(content)


def _raw(content: Callable[[Path], bytes], root: Path) -> None:
    (root / "a.pt").write_bytes(content(root.parent / "ran"))


def _valued(changes: dict[str, Any], root: Path) -> None:
    from yolo_proc.models import checkpoint

    _checkpoint(root / "a.pt")
    checkpoint.save(root / "a.pt", {**checkpoint.load(root / "a.pt"), **changes})


def _generator(spelling: str, root: Path) -> None:
    """A checkpoint that names a generator beside it, and the module too where Python looks."""
    from tiny_run import tiny_config

    from yolo_proc.config.values import config_values

    code = EVIL.format(ran=str(root.parent / "ran"))
    for path in (root / "evil.py", root.parent / "evil_module.py"):
        path.write_text(code)
    name = spelling.replace("{ran}.py", str(root / "evil.py"))
    _checkpoint(root / "a.pt", config={**config_values(tiny_config(root)), "generator.name": name})


def _predicted(model: Callable[[], bytes], root: Path) -> None:
    from picture_files import WHOLE

    (root / "a.png").write_bytes(WHOLE["png"])
    (root / "a.onnx").write_bytes(model())


def _listed(content: bytes, root: Path) -> None:
    _set(root / "set")
    (root / "classes.txt").write_bytes(content)


def _odd_file(name: str, make: Callable[[Path], None], root: Path) -> None:
    from picture_files import WHOLE

    _set(root / "set")
    (root / "a.png").write_bytes(WHOLE["png"])
    make(root / name)


def _set(root: Path) -> None:
    root.mkdir()
    write_set(root, "yolo", some_annotations(), CLASSES)
