"""ArUco markers and QR codes on sheets of paper, tilted, printed well or badly, among print that is neither.

The classes are `aruco` and `qr`; which number or text one carries is for a decoder, which is good at that once it knows
where to look. The box is that of the pattern, without the white zone around it.
"""

import string
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from yolo_proc.config.options import option
from yolo_proc.data.generator import Generator
from yolo_proc.drawing.canvas import Canvas, rectangle, text
from yolo_proc.drawing.clutter import distractors
from yolo_proc.drawing.outlines import quadrilateral
from yolo_proc.drawing.textures import ground
from yolo_proc.errors import GeneratorError

_DICTIONARIES = {
    "4x4": cv2.aruco.DICT_4X4_250,
    "5x5": cv2.aruco.DICT_5X5_250,
    "6x6": cv2.aruco.DICT_6X6_250,
    "7x7": cv2.aruco.DICT_7X7_250,
}
_PIXELS = 8  # of a module: its edges stay sharp when it is enlarged
_LETTERS = string.ascii_letters + string.digits + "/:.-"


@dataclass(frozen=True)
class Markers(Generator):
    """Markers of 6 to 30 % of the frame's shorter side, up to 50 degrees from the camera's axis."""

    max_objects: int = option(4, help="most markers in a scene", low=1, high=50)
    size: tuple[float, float] = option(
        (0.06, 0.3), help="smallest and largest side, in shorter sides of the frame", low=0.02, high=1
    )
    tilt: float = option(0.35, help="how far the corners move, as a share of the side, 0.5 at most", low=0, high=0.5)
    dictionaries: tuple[str, ...] = option(tuple(_DICTIONARIES), help="ArUco dictionaries: 4x4, 5x5, 6x6, 7x7")
    worn: float = option(0.3, help="share of markers that are badly printed, or worn", low=0, high=1)
    qr: float = option(0.5, help="share of QR codes", low=0, high=1)

    def __post_init__(self) -> None:
        unknown = [name for name in self.dictionaries if name not in _DICTIONARIES]
        if unknown or not self.dictionaries:
            found = ", ".join(unknown) or "none"
            raise GeneratorError(f"dictionaries: expected some of {', '.join(_DICTIONARIES)}, found {found}")
        if self.size[0] > self.size[1]:
            raise GeneratorError(f"size: expected the smallest before the largest, found {self.size}")

    @property
    def classes(self) -> tuple[str, ...]:
        """aruco, qr."""
        return ("aruco", "qr")

    def draw(self, canvas: Canvas, rng: np.random.Generator) -> None:
        """One scene; see the class."""
        canvas.background(ground(rng))
        distractors(canvas, rng, int(rng.integers(6)))
        taken: list[tuple[float, float, float]] = []
        for _ in range(int(rng.integers(self.max_objects + 1))):
            side = float(self.size[0] * (self.size[1] / self.size[0]) ** rng.random())
            x, y = rng.uniform(0.6 * side, 1 - 0.6 * side, 2) * (canvas.width, canvas.height)
            if any(np.hypot(x - a, y - b) < 0.8 * (side + s) for a, b, s in taken):
                continue
            taken.append((x, y, side))
            self._draw_sheet(canvas, rng, x, y, side)

    def _draw_sheet(self, canvas: Canvas, rng: np.random.Generator, x: float, y: float, side: float) -> None:
        """Draw a sheet with a marker; units on it: the marker is 1 x 1 around the origin."""
        label = "qr" if rng.random() < self.qr else "aruco"
        turn = rng.uniform(0, 2 * np.pi)
        corners = np.array([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)])
        corners = corners + rng.uniform(-0.5, 0.5, (4, 2)) * self.tilt
        rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        onto = quadrilateral((-0.5, -0.5, 0.5, 0.5), corners @ rotation.T * side + (x, y))
        white, black = rng.uniform(190, 255), rng.uniform(0, 60)
        zone = float(rng.uniform(0.1, 0.3))
        with canvas.group(onto):
            canvas.draw(rectangle(-0.5 - zone, -0.5 - zone, 0.5 + zone, 0.5 + zone), np.full(3, white))
            modules = _qr(_words(rng)) if label == "qr" else self._aruco(rng)
            if rng.random() < self.worn:
                modules = _worn(modules, rng)
            levels = np.where(modules > 0, white, black).astype(np.uint8)
            rgba = np.dstack([levels] * 3 + [np.full_like(levels, 255)])
            canvas.paste(rgba, (-0.5, -0.5, 0.5, 0.5), label)
            if rng.random() < 0.3:  # what stands below it
                words = text(_words(rng)[:8], family="Liberation Mono", size=0.12)
                canvas.draw(words.shifted(0, 0.5 + zone / 2), np.full(3, black))

    def _aruco(self, rng: np.random.Generator) -> NDArray[np.uint8]:
        name = self.dictionaries[int(rng.integers(len(self.dictionaries)))]
        return _marker(name, int(rng.integers(250)))


def _words(rng: np.random.Generator) -> str:
    return "".join(rng.choice(list(_LETTERS), int(rng.integers(4, 40))))


@lru_cache(maxsize=1024)
def _marker(name: str, number: int) -> NDArray[np.uint8]:
    """Return an ArUco marker with its black border, `_PIXELS` pixels a module, 255 for white."""
    modules = int(name[0]) + 2
    dictionary = cv2.aruco.getPredefinedDictionary(_DICTIONARIES[name])
    return np.asarray(cv2.aruco.generateImageMarker(dictionary, number, modules * _PIXELS), dtype=np.uint8)


def _qr(words: str) -> NDArray[np.uint8]:
    """Return a QR code without its white zone, `_PIXELS` pixels a module, 255 for white."""
    code = np.asarray(cv2.QRCodeEncoder.create().encode(words), dtype=np.uint8)
    rows, columns = np.flatnonzero((code == 0).any(axis=1)), np.flatnonzero((code == 0).any(axis=0))
    inner = code[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return np.repeat(np.repeat(inner, _PIXELS, axis=0), _PIXELS, axis=1)


def _worn(modules: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a pattern with specks in it, and edges that ran or that lack ink."""
    side = int(rng.integers(2, 5))
    kernel = np.ones((side, side), np.uint8)
    ink = cv2.erode(modules, kernel) if rng.random() < 0.5 else cv2.dilate(modules, kernel)
    specks = cv2.resize(rng.random((24, 24), dtype=np.float32), ink.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.where(specks > rng.uniform(0.85, 1), 255, ink).astype(np.uint8)
