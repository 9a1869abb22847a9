"""yolo_proc trains an object detector, or a classifier, from a generator of scenes, without a data set.

    from yolo_proc import Canvas, Config, Detector, Generator, Stream, circle, option, text, train

Names are loaded on first use, so that `import yolo_proc` costs nothing and only what needs torch imports it.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from yolo_proc.checks.gate import train as train
    from yolo_proc.config.options import option as option
    from yolo_proc.config.schema import Config as Config
    from yolo_proc.config.schema import GeneratorConfig as GeneratorConfig
    from yolo_proc.data.generator import Generator as Generator
    from yolo_proc.data.generator import load_generator as load_generator
    from yolo_proc.data.stream import Stream as Stream
    from yolo_proc.drawing.canvas import Canvas as Canvas
    from yolo_proc.drawing.clutter import cover as cover
    from yolo_proc.drawing.clutter import distractors as distractors
    from yolo_proc.drawing.outlines import Shape as Shape
    from yolo_proc.drawing.outlines import circle as circle
    from yolo_proc.drawing.outlines import ellipse as ellipse
    from yolo_proc.drawing.outlines import line as line
    from yolo_proc.drawing.outlines import polygon as polygon
    from yolo_proc.drawing.outlines import quadrilateral as quadrilateral
    from yolo_proc.drawing.outlines import rectangle as rectangle
    from yolo_proc.drawing.outlines import star as star
    from yolo_proc.drawing.raster import Texture as Texture
    from yolo_proc.drawing.raster import gradient as gradient
    from yolo_proc.drawing.textures import ground as ground
    from yolo_proc.drawing.typefaces import text as text
    from yolo_proc.drawing.typefaces import text_pieces as text_pieces
    from yolo_proc.evaluation.classifier import Classifier as Classifier
    from yolo_proc.evaluation.predict import Detector as Detector
    from yolo_proc.export.session import OnnxClassifier as OnnxClassifier
    from yolo_proc.export.session import OnnxDetector as OnnxDetector
    from yolo_proc.imaging.pictures import read_picture as read_picture
    from yolo_proc.scene import Scene as Scene
    from yolo_proc.scene import SceneObject as SceneObject

_ROOM_OF = {
    "Canvas": "drawing.canvas",
    "Classifier": "evaluation.classifier",
    "Config": "config.schema",
    "Detector": "evaluation.predict",
    "Generator": "data.generator",
    "GeneratorConfig": "config.schema",
    "OnnxClassifier": "export.session",
    "OnnxDetector": "export.session",
    "Scene": "scene",
    "SceneObject": "scene",
    "Shape": "drawing.outlines",
    "Stream": "data.stream",
    "Texture": "drawing.raster",
    "circle": "drawing.outlines",
    "cover": "drawing.clutter",
    "distractors": "drawing.clutter",
    "ellipse": "drawing.outlines",
    "gradient": "drawing.raster",
    "ground": "drawing.textures",
    "line": "drawing.outlines",
    "load_generator": "data.generator",
    "option": "config.options",
    "polygon": "drawing.outlines",
    "quadrilateral": "drawing.outlines",
    "read_picture": "imaging.pictures",
    "rectangle": "drawing.outlines",
    "star": "drawing.outlines",
    "text": "drawing.typefaces",
    "text_pieces": "drawing.typefaces",
    "train": "checks.gate",
}
__all__ = sorted(_ROOM_OF)


def __getattr__(name: str) -> Any:
    """Load a public name from its room; keep it, since the rooms `text` and `train` have a name's name too."""
    if name not in _ROOM_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_ROOM_OF[name]}"), name)
    globals()[name] = value
    return value
