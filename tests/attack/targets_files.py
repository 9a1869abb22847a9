"""Single files: pictures, videos, configurations, flags, checkpoints, models, test vectors, and unfinished sets."""

import itertools
import json
import shutil
import struct
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import torch
from picture_files import WHOLE
from PIL import Image
from tiny_export import network, pictures, spec_of, tiny_checkpoint
from tiny_run import run_tiny, tiny_config
from tiny_sets import noise, tiny_generator, tiny_order

from attack.engine import ACCEPTED, Target
from attack.mutate import NUMBERS, TEXTS, Raw, damage_value, flipped, one_of, truncate
from attack.targets_sets import check_sound, command
from attack.trees import Content, Room, Tree, damage_tree, tree_of
from yolo_proc import checkpoint
from yolo_proc.annotations.formats import read_data_set
from yolo_proc.annotations.records import ReadOptions
from yolo_proc.cli import COMMANDS
from yolo_proc.config import Config
from yolo_proc.configfile import config_from_values, config_to_toml, config_values, read_config
from yolo_proc.datasets.generate import generate
from yolo_proc.errors import UserError
from yolo_proc.exporting.onnx_graph import to_onnx
from yolo_proc.exporting.session import OnnxDetector, Settings
from yolo_proc.exporting.sources import find_sources, frames_of
from yolo_proc.exporting.spec import ModelSpec
from yolo_proc.exporting.vectors import read_vectors
from yolo_proc.options import check_value
from yolo_proc.pictures import picture_size, read_picture
from yolo_proc.predict import Detector

Rng = np.random.Generator

OTHER = "other values"  # accepted, and not what was written: a damage that nobody sees
VECTORS = Path(__file__).parents[2] / "export" / "vectors" / "v1"


class PictureTarget(Target):
    """Picture files of one kind.

    Args:
        names: of the files of `picture_files.WHOLE`.
    """

    def __init__(self, name: str, about: str, suffix: str, names: Sequence[str]) -> None:
        super().__init__()
        self.name, self.about, self.file, self.names = name, about, f"a{suffix}", names

    def prepare(self, room: Path) -> Sequence[Tree]:
        return [{self.file: content} for content in (*(WHOLE[name] for name in self.names), *self._more())]

    def _more(self) -> list[bytes]:
        """Larger ones and other modes, as Pillow writes them."""
        kind = {".jpg": "JPEG", ".png": "PNG", ".webp": "WEBP", ".bmp": "BMP", ".tif": "TIFF"}[self.file[1:]]
        rgb = Image.fromarray(noise(40, 30))
        modes = {"JPEG": "L", "PNG": "LA RGBA I;16 1 P", "WEBP": "RGBA", "BMP": "L 1 P", "TIFF": "L I;16 1 P CMYK"}[
            kind
        ]
        images = [
            rgb,
            *(Image.new("I;16", (9, 7), 700) if mode == "I;16" else rgb.convert(mode) for mode in modes.split()),
        ]
        return [_encoded(image, kind) for image in images]

    def damage(self, tree: Tree, rng: Rng) -> tuple[dict[str, Content], str]:
        damaged, note = damage_tree(tree, rng, whole=0.0)
        content = damaged[self.file]
        if self.file.endswith(".png") and isinstance(content, bytes) and rng.random() < 0.5:
            return {self.file: _with_png_sums(content)}, f"{note}; checksums made anew"
        return damaged, note

    def read(self, tree: Tree, room: Room) -> str:
        path = room.put(tree) / self.file
        try:
            width, height = picture_size(path)
        except UserError:
            width, height = 0, 0
        pixels = read_picture(path)
        assert pixels.dtype == np.uint8, pixels.dtype
        assert pixels.shape == (height, width, 3), f"{pixels.shape}, by its header {width} x {height}"
        return ACCEPTED


def _encoded(image: Image.Image, kind: str) -> bytes:
    import io

    stream = io.BytesIO()
    image.save(stream, kind)
    return stream.getvalue()


def _with_png_sums(data: bytes) -> bytes:
    """The chunks of a PNG with right checksums, so that the damage behind them is reached."""
    import zlib

    damaged, at = bytearray(data), 8
    while at + 12 <= len(damaged):
        end = at + 8 + int.from_bytes(damaged[at : at + 4], "big")
        if end + 4 > len(damaged):
            break
        damaged[end : end + 4] = struct.pack(">I", zlib.crc32(damaged[at + 4 : end]))
        at = end + 4
    return bytes(damaged)


class SourcesTarget(Target):
    """A folder for `predict`: pictures, videos, and names."""

    name, about = "sources", "folders of pictures and videos for predict"

    def prepare(self, room: Path) -> Sequence[Tree]:
        for suffix, code in ((".avi", "MJPG"), (".mp4", "mp4v")):
            writer = cv2.VideoWriter(str(room / f"v{suffix}"), cv2.VideoWriter_fourcc(*code), 10.0, (32, 32))
            for number in range(3):
                writer.write(noise(32, 32, number))
            writer.release()
        videos = {name: content for name, content in tree_of(room).items() if content}
        stills = {"b/a.jpg": WHOLE["jpeg"], "b/\u00e9.png": WHOLE["png"]}
        return [stills, *({**stills, name: content} for name, content in videos.items())]

    def read(self, tree: Tree, room: Room) -> str:
        for source in find_sources([str(room.put(tree))]):
            for frame in frames_of(source, limit=5):
                assert (frame.rgb is None) == bool(frame.error), frame
                assert frame.error.encode("utf-8", "replace").decode().isprintable(), repr(frame.error)
        return ACCEPTED


class ConfigTarget(Target):
    """`config.toml`."""

    name, about = "config-toml", "configurations in TOML (--config)"

    def prepare(self, room: Path) -> Sequence[Tree]:
        short = b'generator = "shapes"\nbatch-size = 8\n[model]\nstrides = [8, 16]\n[labels]\nmin-visible = 0.25\n'
        dotted = b'model.width = 0.5\ngenerator.name = "glyphs"\ngenerator.category = "AOM"\nseed = 7 # seven\n'
        texts = (config_to_toml(Config()).encode(), config_to_toml(tiny_config(room)).encode(), short, dotted)
        return [{"config.toml": text} for text in texts]

    def damage(self, tree: Tree, rng: Rng) -> tuple[dict[str, Content], str]:
        return damage_tree(tree, rng, whole=0.03)

    def read(self, tree: Tree, room: Room) -> str:
        config = read_config(room.put(tree) / "config.toml")
        # What is accepted can be written down and is the same when it is read again.
        again = config_from_values_of(config_to_toml(config), room)
        assert config_values(again) == config_values(config), "another configuration when it is read again"
        return ACCEPTED


def config_from_values_of(text: str, room: Room) -> Config:
    """The configuration of a text, through a file."""
    path = room.place / "again.toml"
    path.write_bytes(text.encode())
    return read_config(path)


class FlagsTarget(Target):
    """Command lines: flags and their values, as far as they are checked before anything is done."""

    name, about, edits = "flags", "flags of all commands", 3

    def prepare(self, room: Path) -> Sequence[Tree]:
        seeds = []
        for name, one in COMMANDS.items():
            parser = one.parser()
            known = [action for action in parser._actions if action.option_strings and action.nargs != 0]
            words = [[action.option_strings[-1], _usual(action.metavar)] for action in known]
            seeds += [
                {"words": json.dumps([name, *itertools.chain(*words[at : at + 3])]).encode()}
                for at in range(len(words))
            ]
        return seeds

    def damage(self, tree: Tree, rng: Rng) -> tuple[dict[str, Content], str]:
        content = tree["words"]
        assert isinstance(content, bytes)
        words, kind = json.loads(content), int(rng.integers(6))
        at = int(rng.integers(1, max(2, len(words))))
        word = str(one_of(NUMBERS if rng.random() < 0.5 else TEXTS, rng))
        if kind == 0:
            words[at : at + 1] = []
        elif kind == 1:
            words.insert(at, word)
        elif kind == 2 and words[at:]:
            words[at] = f"{words[at]}={word}"
        elif kind == 3 and words[at:]:
            words[at] = words[at] + one_of((",", "x", "=", " ", "-", "1", "\0", "\udcff", "\n"), rng)
        elif words[at:]:
            at = at + 1 if words[at].startswith("--") and at + 1 < len(words) and kind == 4 else at
            words[at] = word
        return {"words": json.dumps(words).encode()}, f"word {at}: {words[at : at + 1]!r}"[:90]

    def read(self, tree: Tree, room: Room) -> str:
        content = tree["words"]
        assert isinstance(content, bytes)
        name, *words = json.loads(content)
        if {"-h", "--help"} & set(words):
            return ACCEPTED
        parser = COMMANDS[name].parser()
        parsed = parser.read(words)
        for flat, given in parsed.own.items():
            if flat in parser.own:
                check_value(parser.own[flat], given.value, given.where)
        config_from_values({flat: one for flat, one in parsed.given.items() if not _imports(flat, one.value)})
        return ACCEPTED


def _imports(flat: str, value: object) -> bool:
    """Whether a generator's name would run a file."""
    return flat == "generator.name" and (":" in str(value) or "." in str(value))


def _usual(metavar: Any) -> str:
    """A value for a flag that its help calls so."""
    first = str(metavar or "").partition("|")[0]
    return {"N": "8", "X": "0.5", "TEXT": "a", "WxH": "64x64", "on": "on", "N,N": "8,16", "X,X": "0.5,1"}.get(
        first, first or "1"
    )


# ------------------------------------------------------------------------------------------------ checkpoints


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


class StateTarget(Target):
    """A checkpoint with a right digest and other values: made up by somebody, or by another release."""

    name, about, edits, seconds = "checkpoint-values", "checkpoints with a right digest and other values", 2, 10.0

    def prepare(self, room: Path) -> Sequence[Tree]:
        run_tiny(tiny_config(room, epochs=1, image_size=32))
        paths = [tiny_checkpoint(room / "a.pt"), *checkpoint.list_checkpoints(room / "tiny")[:1]]
        self._states = [checkpoint.load(path) for path in paths]
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
        path = room.put({}) / "a.pt"
        if not isinstance(state, dict):
            return ACCEPTED
        checkpoint.save(path, state)
        shown = pictures(1)[0]
        Detector.load(path, device="cpu").detect(shown)
        command(["describe", "--run", str(path)])
        room.clear()
        return ACCEPTED


class ResumeTarget(StateTarget):
    """As `StateTarget`, for `train --resume` and `evaluate`, which read all of it."""

    name, about, edits, seconds = "checkpoint-resumed", "resume and evaluate of such checkpoints", 2, 30.0

    def read(self, tree: Tree, room: Room) -> str:
        state, _ = self.state_of(tree)
        if not isinstance(state, dict):
            return ACCEPTED
        room.clear()
        path = room.root / "tiny" / "000001.pt"
        checkpoint.save(path, state)
        common = ["--runs-dir", str(room.root)]
        code, told = command(["evaluate", "--checkpoint", str(path), "--images", "2", "--workers", "0", *common])
        assert code in (0, 2), f"evaluate: exit code {code}: {told}"
        again, told = command(["train", "--resume", str(path), "--epochs", "1", "--workers", "0", *common])
        assert again in (0, 1, 2), f"resume: exit code {again}: {told}"
        return ACCEPTED if 0 in (code, again) else "refused"


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
    if not isinstance(tensor, torch.Tensor):
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
    """`model.onnx`: whatever is accepted computes what the model computed."""

    name, about, seconds = "model-onnx", "damaged model.onnx", 10.0

    def prepare(self, room: Path) -> Sequence[Tree]:
        model = network()
        self._content = to_onnx(model, spec_of(model))
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
        same = said == self._said and found.shape == self._found.shape and np.allclose(found, self._found, atol=1e-3)
        return ACCEPTED if same else OTHER


class MetadataTarget(Target):
    """`model.json`, which is also the metadata of `model.onnx`."""

    name, about = "model-json", "model.json and metadata"

    def prepare(self, room: Path) -> Sequence[Tree]:
        model = network()
        texts = (
            spec_of(model).to_json(),
            spec_of(model, layout="nchw", value_type="float32", value_range=(0, 1)).to_json(),
        )
        return [{"model.json": text.encode()} for text in texts]

    def damage(self, tree: Tree, rng: Rng) -> tuple[dict[str, Content], str]:
        return damage_tree(tree, rng, whole=0.0)

    def read(self, tree: Tree, room: Room) -> str:
        content = tree["model.json"]
        assert isinstance(content, bytes)
        spec = ModelSpec.from_json(content.decode("utf-8", "replace"), "model.json")
        assert ModelSpec.from_json(spec.to_json()) == spec, "another when it is read again"
        assert all(name.isprintable() for name in spec.classes), spec.classes
        assert 0 < spec.codec.slots < 1 << 40, spec.codec.slots
        return ACCEPTED


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


class UnfinishedTarget(Target):
    """A set that `generate` was interrupted in, whose files were damaged meanwhile: the same command goes on."""

    name, about, seconds = "unfinished-set", "unfinished sets, gone on with", 20.0

    def prepare(self, room: Path) -> Sequence[Tree]:
        spec = tiny_generator(room)
        formats = ("yolo", "coco", "scredit", "binary")
        # As large as one chunk and a bit, so that one is there and one is missing.
        self._orders = [tiny_order(spec, room / name, name, split=0.5) for name in formats]
        trees = []
        for order in self._orders:
            stops = itertools.chain([False], itertools.repeat(True))
            generate(order, stop=lambda stops=stops: next(stops))  # type: ignore[misc]
            trees.append({**tree_of(order.out), "which": order.format.encode()})
            shutil.rmtree(order.out)
        return trees

    def damage(self, tree: Tree, rng: Rng) -> tuple[dict[str, Content], str]:
        named = {path: content for path, content in tree.items() if path != "which"}
        damaged, note = damage_tree(named, rng)
        return {**damaged, "which": tree["which"]}, note

    def read(self, tree: Tree, room: Room) -> str:
        named = {path: content for path, content in tree.items() if path != "which"}
        room.clear()
        room.put(named)
        order = next(order for order in self._orders if order.format.encode() == tree["which"])
        summary = generate(replace(order, out=room.root))
        try:
            assert summary.complete, "not complete, and no word"
            check_sound(read_data_set(room.root, ReadOptions()), room.root)
        finally:
            room.clear()
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
    return [
        PictureTarget("picture-jpeg", "JPEG files", ".jpg", ("jpeg", "progressive jpeg")),
        PictureTarget("picture-png", "PNG files", ".png", ("png", "palette png")),
        PictureTarget("picture-webp", "WebP files", ".webp", ("webp", "lossless webp")),
        PictureTarget("picture-tiff", "TIFF files", ".tif", ("tiff", "packed tiff")),
        PictureTarget("picture-bmp", "BMP files", ".bmp", ("bmp",)),
        SourcesTarget(),
        ConfigTarget(),
        FlagsTarget(),
        CheckpointTarget(),
        StateTarget(),
        ResumeTarget(),
        ModelTarget(),
        MetadataTarget(),
        VectorsTarget(),
        UnfinishedTarget(),
        *flips,
    ]
