"""Small annotated pictures on disk, for the tests of what reads them."""

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np

from yolo_proc.data.folder import stream_of


def png(number: int, size: tuple[int, int] = (16, 12)) -> bytes:
    """The file of a small picture (width, height) of chance."""
    pixels = np.random.default_rng(number).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return cv2.imencode(".png", pixels)[1].tobytes()


def numbers_for(stream: str, count: int, first: int = 0, share: float = 0.8) -> list[int]:
    """The first numbers whose pictures fall to a stream."""
    found, number = [], first
    while len(found) < count:
        if stream_of(hashlib.sha256(png(number)).digest(), share) == stream:
            found.append(number)
        number += 1
    return found


SCRIPT = '{"items":[{"bounds":[2,3,8,6],"p":{"category":1,"confidence":75}}],"usage":"nominal","widgets":{}}'


def write_set(
    root: Path, files: dict[str, bytes], script: str = SCRIPT, about: dict[str, object] | None = None
) -> Path:
    """An scredit project in which every picture has the same script."""
    (root / "annotations").mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (root / name).write_bytes(content)
        (root / "annotations" / f"{name.rpartition('.')[0]}.json").write_text(script)
    described = {"version": 1, "format": "scredit", "classes": ["cat", "dog"], **(about or {})}
    (root / "yolo_proc.json").write_text(json.dumps(described))
    return root
