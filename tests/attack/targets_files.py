"""Single files: pictures, videos, configurations, flags; and unfinished sets."""

import itertools
import json
import shutil
import struct
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cv2
import numpy as np
from picture_files import WHOLE
from PIL import Image
from tiny_run import tiny_config
from tiny_sets import noise, tiny_generator, tiny_request

from attack.engine import ACCEPTED, Target
from attack.mutate import NUMBERS, TEXTS, one_of
from attack.targets_sets import check_sound
from attack.trees import Content, Room, Tree, damage_tree, tree_of
from yolo_proc.annotations.formats import read_data_set
from yolo_proc.annotations.records import ReadOptions
from yolo_proc.cli.main import COMMANDS
from yolo_proc.config.options import check_value
from yolo_proc.config.schema import Config
from yolo_proc.config.values import config_values
from yolo_proc.data.configfile import config_to_toml
from yolo_proc.data.fingerprint import fingerprint
from yolo_proc.data.run_config import config_from_values, read_config
from yolo_proc.datasets import generate as generating
from yolo_proc.datasets.chunk_records import signed
from yolo_proc.datasets.generate import generate
from yolo_proc.errors import UserError
from yolo_proc.export.sources import find_sources, frames_of
from yolo_proc.imaging.pictures import picture_size, read_picture

Rng = np.random.Generator


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


class UnfinishedTarget(Target):
    """A set that `generate` was interrupted in, whose files were damaged meanwhile: the same command goes on."""

    name, about, seconds = "unfinished-set", "unfinished sets, gone on with", 20.0

    def prepare(self, room: Path) -> Sequence[Tree]:
        spec = tiny_generator(room)
        formats = ("yolo", "coco", "scredit", "binary")
        # As large as one chunk and a bit, so that one is there and one is missing.
        self._orders = [tiny_request(spec, room / name, name, split=0.5) for name in formats]
        trees = []
        for order in self._orders:
            stops = itertools.chain([False], itertools.repeat(True))
            generate(order, stop=lambda stops=stops: next(stops))  # type: ignore[misc]
            trees.append({**tree_of(order.out), "which": order.format.encode()})
            shutil.rmtree(order.out)
        self._known = fingerprint(self._orders[0].config)  # the same for all; it costs as much as all the rest
        return trees

    def damage(self, tree: Tree, rng: Rng) -> tuple[dict[str, Content], str]:
        named = {path: content for path, content in tree.items() if path != "which"}
        damaged, note = damage_tree(named, rng)
        for path, content in damaged.items():
            if "chunk_" in path and content != tree.get(path) and isinstance(content, bytes) and rng.random() < 0.7:
                damaged[path] = signed(content.partition(b"\n")[2])  # else its digest refuses all there is
                note += ", with a right digest"
        return {**damaged, "which": tree["which"]}, note

    def read(self, tree: Tree, room: Room) -> str:
        named = {path: content for path, content in tree.items() if path != "which"}
        room.clear()
        room.put(named)
        order = next(order for order in self._orders if order.format.encode() == tree["which"])
        with patch.object(generating, "fingerprint", lambda _: dict(self._known)):
            summary = generate(replace(order, out=room.root))
        try:
            assert summary.complete, "not complete, and no word"
            check_sound(read_data_set(room.root, ReadOptions()), room.root)
        finally:
            room.clear()
        return ACCEPTED


def targets() -> list[Target]:
    """All of this module."""
    return [
        PictureTarget("picture-jpeg", "JPEG files", ".jpg", ("jpeg", "progressive jpeg")),
        PictureTarget("picture-png", "PNG files", ".png", ("png", "palette png")),
        PictureTarget("picture-webp", "WebP files", ".webp", ("webp", "lossless webp")),
        PictureTarget("picture-tiff", "TIFF files", ".tif", ("tiff", "packed tiff")),
        PictureTarget("picture-bmp", "BMP files", ".bmp", ("bmp",)),
        SourcesTarget(),
        ConfigTarget(),
        FlagsTarget(),
        UnfinishedTarget(),
    ]
