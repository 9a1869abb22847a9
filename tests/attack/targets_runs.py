"""What our own commands write: checkpoints, models, test vectors; and single bits of them flipped."""

import json
import tempfile
import unicodedata
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import numpy as np
import torch
from tiny_export import network, pictures, spec_of, tiny_checkpoint
from tiny_run import run_tiny, tiny_config

from attack.engine import ACCEPTED, REFUSED, Target
from attack.mutate import flipped, one_of, truncate
from attack.mutate_formats import Raw, damage_value
from attack.targets_files import ConfigTarget
from attack.targets_sets import command
from attack.trees import Content, Room, Tree, damage_tree
from yolo_proc.config.schema import ModelConfig
from yolo_proc.errors import CheckpointError
from yolo_proc.evaluation.predict import Detector
from yolo_proc.export.digest import DIGEST_KEY, METADATA_KEY, sealed_text
from yolo_proc.export.onnx_graph import to_onnx
from yolo_proc.export.session import OnnxDetector, Settings
from yolo_proc.export.spec import ModelSpec
from yolo_proc.export.vectors import read_vectors
from yolo_proc.models import checkpoint

Rng = np.random.Generator

OTHER = "other values"  # accepted, and not what was written: a damage that nobody sees
VECTORS = Path(__file__).parents[2] / "export" / "vectors" / "v1"


class CheckpointTarget(Target):
    """A checkpoint's bytes: the digest finds every change."""

    name, about = "checkpoint-bytes", "damaged checkpoints"

    def prepare(self, room: Path) -> Sequence[Tree]:
        checkpoint.save(room / "small.pt", {"version": 1, "weights": {"a": torch.zeros(3)}, "history": [{"loss": 0.5}]})
        paths = (tiny_checkpoint(room / "tiny.pt"), room / "small.pt")
        return [{"a.pt": path.read_bytes()} for path in paths]

    def damage(self, tree: Tree, rng: Rng) -> tuple[dict[str, Content], str]:
        return damage_tree(tree, rng, whole=0.02)

    def read(self, tree: Tree, room: Room) -> str:
        checkpoint.load(room.put(tree) / "a.pt")
        assert any(tree.get("a.pt") == seed["a.pt"] for seed in self.seeds), "a damaged checkpoint was believed"
        return ACCEPTED


@cache
def _sound_states() -> Sequence[Mapping[str, Any]]:
    """What a made and a trained checkpoint of a small network hold. Whoever changes one takes a copy."""
    with tempfile.TemporaryDirectory() as name:
        place, small = Path(name), ModelConfig(width=0.125, depth=0)
        run_tiny(tiny_config(place, epochs=1, image_size=32, epoch_images=5, model=small))
        paths = (
            tiny_checkpoint(place / "a.pt", network(small, (32, 32))),
            *checkpoint.list_checkpoints(place / "tiny")[:1],
        )
        return tuple(checkpoint.load(path) for path in paths)


class StateTarget(Target):
    """A checkpoint with a right digest and other values: made up by somebody, or by another release.

    One of `FILES` inputs is written and read as a file; the readers get the others as if that had been done, since
    files of that kind alone would take most of the time.
    """

    name, about, edits, seconds = "checkpoint-values", "checkpoints with a right digest and other values", 2, 10.0
    FILES = 8

    def prepare(self, room: Path) -> Sequence[Tree]:
        self._states = _sound_states()
        self._shown = pictures(1, (32, 32))[0]
        return [{"a.pt": str(number).encode()} for number in range(len(self._states))]

    def damage(self, tree: Tree, rng: Rng) -> tuple[dict[str, Content], str]:
        content = tree["a.pt"]
        assert isinstance(content, bytes)
        # The tree says which state and with which draws it is damaged: states themselves are no files yet.
        number, *draws = content.decode().split()
        return {"a.pt": " ".join([number, *draws, str(rng.integers(1 << 62))]).encode()}, "a value of the state"

    def state_of(self, tree: Tree) -> tuple[Mapping[str, Any], list[str]]:
        """The damaged state, and what was done to it."""
        content = tree["a.pt"]
        assert isinstance(content, bytes)
        number, *draws = content.decode().split()
        state: Any = self._states[int(number)]
        notes = []
        for draw in draws:
            state, note = damage_state(state, np.random.default_rng(int(draw)))
            notes.append(note)
        return state, notes

    def told(self, tree: Tree) -> Sequence[str]:
        return self.state_of(tree)[1]

    def read(self, tree: Tree, room: Room) -> str:
        state, _ = self.state_of(tree)
        path = room.root / "a.pt"
        if not isinstance(state, dict):
            return ACCEPTED
        with self.written(tree, state, path) as is_file:
            Detector.load(path, device="cpu").detect(self._shown)
            if is_file:  # it takes as long as all else
                command(["describe", "--run", str(path)])
        return ACCEPTED

    @contextmanager
    def written(self, tree: Tree, state: dict[str, Any], path: Path) -> Iterator[bool]:
        """A file of the state, or what is read in its place; whether it is a file."""
        is_file = zlib.crc32(repr(tree["a.pt"]).encode()) % self.FILES == 0
        if is_file:
            checkpoint.save(path, state)
            yield True
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

        def loaded(_path: str | Path) -> Any:
            try:
                return checkpoint.plain(state)  # a copy
            except RecursionError:  # no file of ours can be nested so deep
                raise CheckpointError(f"{path}: expected a state that can be saved, found brackets too deep") from None

        with mock.patch.object(checkpoint, "load", loaded):
            yield False


class ResumeTarget(StateTarget):
    """As `StateTarget`, for `train --resume` and `evaluate`, which read all of it."""

    name, about, edits, seconds = "checkpoint-resumed", "resume and evaluate of such checkpoints", 2, 30.0

    def read(self, tree: Tree, room: Room) -> str:
        state, _ = self.state_of(tree)
        if not isinstance(state, dict):
            return ACCEPTED
        room.clear()
        path = room.root / "tiny" / "000001.pt"
        common = ["--runs-dir", str(room.root), "--workers", "0", "--threads", "1"]
        with self.written(tree, state, path):
            code, told = command(["evaluate", "--checkpoint", str(path), "--images", "2", *common])
            assert code in (0, 2), f"evaluate: exit code {code}: {told}"
            again, told = command(["train", "--resume", str(path), "--epochs", "1", *common])
            assert again in (0, 1, 2), f"resume: exit code {again}: {told}"
        return ACCEPTED if 0 in (code, again) else REFUSED


def damage_state(state: Any, rng: Rng) -> tuple[Any, str]:
    """One damage to a checkpoint's state: to a tensor, or to a value as in JSON."""
    if rng.random() < 0.25:
        kind, tensors = one_of(("weights", "ema"), rng), dict(state) if isinstance(state, dict) else {}
        held = tensors.get(kind)
        if isinstance(held, dict) and held:
            name = one_of(list(held), rng)
            tensors[kind] = {**held, name: _other_tensor(held[name], rng)}
            return tensors, f"{kind}[{name!r}]"
    damaged, note = damage_value(state, rng)
    return _without_raw(damaged), note


def _other_tensor(tensor: Any, rng: Rng) -> Any:
    if not isinstance(tensor, torch.Tensor) or tensor.layout is not torch.strided or tensor.is_complex():
        return None
    wide = tensor.new_zeros(()).expand(3, 100_000, 5)
    return one_of(
        (tensor.double(), tensor.long(), tensor.half(), tensor * float("nan"), tensor.flatten(), tensor[None],
         tensor[..., :0] if tensor.ndim else tensor[None][:0], tensor.bool(), tensor.to(torch.complex64), wide,
         torch.zeros(0), tensor + float("inf"), tensor.tolist(), torch.ones(1).to_sparse(), "a"),
        rng,
    )  # fmt: skip


def _without_raw(value: Any) -> Any:
    """What `damage_value` made for text files, as values."""
    if isinstance(value, Raw):
        text = str(value)
        if text.startswith(("[", "{")):
            nested: Any = 1
            for _ in range(min(text.count("[") + text.count("{"), 300)):
                nested = [nested]
            return nested
        try:
            return int(text) if len(text) < 4000 else 10**400
        except ValueError:
            pass
        try:
            return float(text)
        except ValueError:
            return text
    if isinstance(value, dict):
        return {key: _without_raw(inner) for key, inner in value.items()}
    return [_without_raw(inner) for inner in value] if isinstance(value, list) else value


# ---------------------------------------------------------------------------------------------------- models


class ModelTarget(Target):
    """`model.onnx`: whatever is accepted computes what the model computed.

    Args:
        digest: as `export` writes it; without, as earlier releases wrote it, so that what is behind it is reached.
    """

    seconds = 10.0

    def __init__(self, *, digest: bool = True) -> None:
        super().__init__()
        self.digest = digest
        self.name = "model-onnx" if digest else "model-onnx-old"
        self.about = "damaged model.onnx" if digest else "damaged model.onnx without a digest"

    def prepare(self, room: Path) -> Sequence[Tree]:
        model = network()
        self._content = to_onnx(model, spec_of(model))
        if not self.digest:
            self._content = _without_digest(self._content)
        self._shown = pictures(2)
        self._said, self._found = self._run(self._content)
        return [{"model.onnx": self._content}]

    def _run(self, content: bytes) -> tuple[str, Any]:
        (detector,) = (OnnxDetector.load(content, settings=Settings(threads=1)),)
        return detector.spec.to_json(), detector.run(self._shown)

    def read(self, tree: Tree, room: Room) -> str:
        path = room.put(tree) / "model.onnx"
        detector = OnnxDetector.load(path, settings=Settings(threads=1))
        said, found = detector.spec.to_json(), detector.run(self._shown)
        detector.detect(self._shown[0])
        if tree["model.onnx"] == self._content:
            return ACCEPTED
        assert not self.digest, "a damaged model was believed"
        same = said == self._said and found.shape == self._found.shape and np.allclose(found, self._found, atol=1e-3)
        return ACCEPTED if same else OTHER


def _without_digest(content: bytes) -> bytes:
    import onnx

    model = onnx.load_from_string(content)
    plain = spec_of(network()).to_json()
    del model.metadata_props[:]
    model.metadata_props.add(key=METADATA_KEY, value=plain)
    assert DIGEST_KEY not in {entry.key for entry in model.metadata_props}
    written: bytes = model.SerializeToString(deterministic=True)
    return written


class MetadataTarget(Target):
    """`model.json`, which is also the metadata of `model.onnx`; for `digest` see `ModelTarget`."""

    def __init__(self, *, digest: bool = True) -> None:
        super().__init__()
        self.digest = digest
        self.name = "model-json" if digest else "model-json-old"
        self.about = "model.json and metadata" + ("" if digest else " without a digest")

    def prepare(self, room: Path) -> Sequence[Tree]:
        model = network()
        texts = (
            spec_of(model).to_json(),
            spec_of(model, layout="nchw", value_type="float32", value_range=(0, 1)).to_json(),
        )
        return [{"model.json": (sealed_text(text) if self.digest else text).encode()} for text in texts]

    def damage(self, tree: Tree, rng: Rng) -> tuple[dict[str, Content], str]:
        return damage_tree(tree, rng, whole=0.0)

    def read(self, tree: Tree, room: Room) -> str:
        content = tree["model.json"]
        assert isinstance(content, bytes)
        spec = ModelSpec.from_json(content.decode("utf-8", "replace"), "model.json")
        assert ModelSpec.from_json(spec.to_json()) == spec, "another when it is read again"
        # Signs that join others or that a later Unicode has are no harm.
        kinds = {unicodedata.category(sign) for name in spec.classes for sign in name}
        assert not kinds & {"Cc", "Cs", "Zl", "Zp"}, spec.classes
        assert not set("".join(spec.classes)) & set("\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2069"), spec.classes
        assert 0 < spec.codec.slots < 1 << 40, spec.codec.slots
        seeds = [seed["model.json"] for seed in self.seeds]
        if not self.digest or content.decode("utf-8", "replace").strip().encode() in seeds:  # an editor ends lines
            return ACCEPTED
        # Whoever takes both marks of the digest away has an old file.
        assert not {"digest", "sha256"} & set(json.loads(content)), "a damaged description was believed"
        return OTHER


class VectorsTarget(Target):
    """The test vectors beside a model."""

    name, about = "vectors", "test vectors"

    def prepare(self, room: Path) -> Sequence[Tree]:
        index = json.loads((VECTORS / "index.json").read_bytes())
        cases = index["cases"][:6]
        files = {name: entry for name, entry in index["files"].items() if f'"{name}"' in json.dumps(cases)}
        tree: dict[str, Content] = {"index.json": json.dumps({**index, "cases": cases, "files": files}).encode()}
        names = [index["onnx"]["file"], *(entry["file"] for entry in files.values())]
        return [tree | {name: (VECTORS / name).read_bytes() for name in names}]

    def read(self, tree: Tree, room: Room) -> str:
        read_vectors(room.put(tree))
        return ACCEPTED


# ---------------------------------------------------------------------------------------------- single damages


class FlipTarget(Target):
    """Single bits flipped, or the end cut off, of our own files: refused, read as it was, or read as something else."""

    group = "flips"
    about = "single bits and truncations"
    reads: ClassVar[Mapping[str, type[Target]]] = {
        "checkpoint": CheckpointTarget,
        "model.onnx": ModelTarget,
        "model.json": MetadataTarget,
        "config.toml": ConfigTarget,
    }

    def __init__(self, file: str, *, cut: bool) -> None:
        super().__init__()
        self.name = f"{'cut' if cut else 'flip'}-{file}"
        self.file, self.cut, self.edits = file, cut, 1
        self.about = f"{file}, {'cut off' if cut else 'one bit flipped'}"

    def prepare(self, room: Path) -> Sequence[Tree]:
        self._inner = self.reads[self.file]()
        self._inner.seeds = list(self._inner.prepare(room))
        return self._inner.seeds[:1]

    def damage(self, tree: Tree, rng: Rng) -> tuple[dict[str, Content], str]:
        ((path, content),) = tree.items()
        assert isinstance(content, bytes)
        if self.cut:
            damaged, note = truncate(content[:-1], rng)
            return {path: damaged}, note
        bit = int(rng.integers(8 * len(content)))
        return {path: flipped(content, bit)}, f"bit {bit}"

    def read(self, tree: Tree, room: Room) -> str:
        kind = self._inner.read(tree, room)
        ((path, content),) = self.seeds[0].items()
        if kind == ACCEPTED and path in ("model.json", "config.toml"):
            assert isinstance(content, bytes)
            return ACCEPTED if self._values(tree[path]) == self._values(content) else OTHER
        return kind

    def _values(self, content: Content) -> Any:
        assert isinstance(content, bytes)
        if self.file == "model.json":
            return ModelSpec.from_json(content.decode("utf-8", "replace"))
        import tomllib

        return tomllib.loads(content.decode())


def targets() -> list[Target]:
    """All of this module."""
    flips = [FlipTarget(file, cut=cut) for file in FlipTarget.reads for cut in (False, True)]
    checkpoints = [CheckpointTarget(), StateTarget(), ResumeTarget()]
    models = [ModelTarget(), ModelTarget(digest=False), MetadataTarget(), MetadataTarget(digest=False)]
    return [*checkpoints, *models, VectorsTarget(), *flips]
