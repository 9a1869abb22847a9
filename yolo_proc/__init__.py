"""yolo_proc trains an object detector from a generator of scenes, without a data set.

    from yolo_proc import Canvas, Config, Detector, Generator, Stream, circle, option, text, train

Names are loaded on first use, so that `import yolo_proc` costs nothing and only what needs torch imports it.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from yolo_proc.canvas import Canvas as Canvas
    from yolo_proc.checks.gate import train as train
    from yolo_proc.config import Config as Config
    from yolo_proc.generator import Generator as Generator
    from yolo_proc.generator import load_generator as load_generator
    from yolo_proc.options import option as option
    from yolo_proc.outlines import Shape as Shape
    from yolo_proc.outlines import circle as circle
    from yolo_proc.outlines import ellipse as ellipse
    from yolo_proc.outlines import line as line
    from yolo_proc.outlines import polygon as polygon
    from yolo_proc.outlines import rectangle as rectangle
    from yolo_proc.outlines import star as star
    from yolo_proc.predict import Detector as Detector
    from yolo_proc.scene import Scene as Scene
    from yolo_proc.scene import SceneObject as SceneObject
    from yolo_proc.stream import Stream as Stream
    from yolo_proc.typefaces import text as text

_ROOM_OF = {
    "Canvas": "canvas",
    "Config": "config",
    "Detector": "predict",
    "Generator": "generator",
    "Scene": "scene",
    "SceneObject": "scene",
    "Shape": "outlines",
    "Stream": "stream",
    "circle": "outlines",
    "ellipse": "outlines",
    "line": "outlines",
    "load_generator": "generator",
    "option": "options",
    "polygon": "outlines",
    "rectangle": "outlines",
    "star": "outlines",
    "text": "typefaces",
    "train": "checks.gate",
}
__all__ = sorted(_ROOM_OF)


def __getattr__(name: str) -> Any:
    """Loads a public name from its room; keeps it, since the rooms `text` and `train` have a name's name too."""
    if name not in _ROOM_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_ROOM_OF[name]}"), name)
    globals()[name] = value
    return value
