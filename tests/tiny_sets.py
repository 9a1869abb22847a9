"""Data sets small enough for tests, and a generator that draws them quickly."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from yolo_proc.annotations.formats import FORMATS
from yolo_proc.annotations.records import Annotation, BinaryLayout, DataSet, ReadOptions
from yolo_proc.config.schema import AugmentConfig, Config, GeneratorConfig
from yolo_proc.data.stream import Stream
from yolo_proc.datasets.chunks import SetRequest
from yolo_proc.datasets.scenefiles import encode_picture
from yolo_proc.datasets.setwriter import BinarySet, FileSet

# Discs and bars; in every scene a bar of which a part is outside, on every fourth an ignore region.
GENERATOR = """
from dataclasses import dataclass

from yolo_proc import Generator, circle, option, rectangle


@dataclass(frozen=True)
class Tiny(Generator):
    discs: int = option(2, help="discs", low=0, high=9)

    @property
    def classes(self):
        return ("disc", "bar")

    def draw(self, canvas, rng):
        canvas.background(rng.integers(0, 256, 3))
        for x, y in rng.uniform(0.2, 0.8, (self.discs, 2)):
            canvas.draw(circle(x, y, 0.15), rng.integers(0, 256, 3), "disc")
        out = float(rng.uniform(0, 0.2))
        canvas.draw(rectangle(-out, 0.1, 0.2 - out, 0.3), (250, 250, 250), "bar")
        if rng.random() < 0.25:
            canvas.ignore((0.5, 0.5, 0.75, 1.25))
"""
SIDE = 32
BINARY = BinaryLayout(SIDE, SIDE, 8, ((8.0, 8.0), (12.0, 6.0)))


def tiny_generator(folder: Path) -> str:
    """The spec of the generator, whose file is written to the folder."""
    path = folder / "tiny_generator.py"
    path.write_text(GENERATOR)
    return f"{path}:Tiny"


def tiny_config(spec: str, **changes: Any) -> Config:
    """32 x 32 pixels, not augmented."""
    base = Config(image_size=SIDE, seed=3, generator=GeneratorConfig(spec), augment=AugmentConfig(enabled=False))
    return replace(base, **changes)


def tiny_request(spec: str, out: Path, format_name: str, **changes: Any) -> SetRequest:
    """20 scenes: more than a chunk."""
    layout = BINARY if format_name == "binary" else None
    base = SetRequest(
        config=tiny_config(spec), count=20, format=format_name, out=out, binary=layout, picture_type="png"
    )
    return replace(base, **changes)


def stream_of(request: SetRequest) -> Stream:
    """The scenes that an order writes."""
    return Stream.from_config(request.config, request.stream, picture_size=request.picture_size)


def tree(root: Path) -> dict[str, bytes]:
    """Every file of a folder with its bytes."""
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def noise(width: int, height: int, seed: int = 0) -> Any:
    """(H, W, 3) uint8 RGB."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def write_set(
    root: Path, format_name: str, splits: Mapping[str, Sequence[Annotation]], classes: Sequence[str] | None
) -> None:
    """A data set with pictures of noise; without `yolo_proc.json` where `classes` is None."""
    names = classes or tuple(f"class_{number}" for number in range(10))
    layout = FORMATS[format_name].layout
    if layout is None:
        counts = {split: len(part) for split, part in splits.items()}
        records = BinarySet(root, BINARY, counts, len(names))
        for split, part in splits.items():
            for number, one in enumerate(part):
                records.put_picture(split, number, noise(one.width, one.height, number))
                records.put_labels(split, number, [one])
        records.finish()
    else:
        files = FileSet(root, layout(names, tuple(splits)))
        for split, part in splits.items():
            for number, one in enumerate(part):
                content = encode_picture(noise(one.width, one.height, number), one.name.rpartition(".")[2], 95)
                files.put([(split, one, content)])
        files.finish({split: files.layout.listed(part) for split, part in splits.items()})
    if classes is not None:
        (root / "yolo_proc.json").write_text(json.dumps({"version": 1, "classes": list(classes)}))


def read_options(format_name: str, **changes: Any) -> ReadOptions:
    """What a format needs to be read."""
    return ReadOptions(binary=BINARY if format_name == "binary" else None, **changes)


def pixels(path: Path) -> Any:
    """(H, W, 3) uint8 RGB of a file, decoded by OpenCV as it is."""
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[..., ::-1]


def labels(data: DataSet) -> dict[str, list[tuple[int, tuple[float, float, float, float]]]]:
    """Class and box of the labels of each picture, by split and name."""
    return {
        f"{split}/{one.stem}": [(item.class_id, item.xyxy) for item in one.items if item.is_label]
        for split, part in data.splits.items()
        for one in part
    }
