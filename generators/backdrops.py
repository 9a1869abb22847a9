"""What lies behind the objects: a plain colour, a gradient, a texture or a photograph; and stray lines."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from yolo_proc.drawing.canvas import Canvas, Texture, gradient
from yolo_proc.errors import DataError, GeneratorError
from yolo_proc.imaging.costs import MAX_PIXELS
from yolo_proc.imaging.pictures import SUFFIXES, read_picture

_KEPT_SIDE = 640  # pixels of the shorter side, which is what memory holds
_CELLS = 8  # cells of a texture, each way, at most
_SPREAD = 56  # how far a texture's cells stray from its colour, grey levels

FloatArray = NDArray[np.float64]
Samples = NDArray[np.float32]

# Distances of colours count channels as the eye does: weights of luma, ITU-R BT.601.
LUMA = np.sqrt(np.array([0.299, 0.587, 0.114], dtype=np.float32))


@dataclass(frozen=True)
class Backdrop:
    """What was painted behind, as samples for choosing colours that stand out.

    Attributes:
        samples: (R, C, 3) colours times `LUMA`.
        extent: xyxy units over which the samples are a grid; None where any may come to lie anywhere.
    """

    samples: Samples
    extent: tuple[float, float, float, float] | None = None

    def under(self, x0: float, y0: float, x1: float, y1: float) -> Samples:
        """(K, 3) the samples under a box in units, colours times `LUMA`."""
        if self.extent is None:
            return self.samples.reshape(-1, 3)
        rows, columns = self.samples.shape[:2]
        low_x, low_y, high_x, high_y = self.extent
        left, right = _cells((x0 - low_x) / (high_x - low_x), (x1 - low_x) / (high_x - low_x), columns)
        top, bottom = _cells((y0 - low_y) / (high_y - low_y), (y1 - low_y) / (high_y - low_y), rows)
        return self.samples[top:bottom, left:right].reshape(-1, 3)


def _cells(low: float, high: float, count: int) -> tuple[int, int]:
    first = min(max(int(low * count), 0), count - 1)
    return first, min(max(int(high * count) + 1, first + 1), count)


def paint_backdrop(canvas: Canvas, rng: np.random.Generator, photos: tuple[Path, ...]) -> Backdrop:
    """Paints a background of a random kind, all kinds equally often; photographs only if there are any."""
    kind, cells_x, cells_y, spread, angle, *channels = rng.random(11).tolist()
    number = int(kind * (4 if photos else 3))
    if number == 3:
        return _paint_photo(canvas, str(photos[int(angle * len(photos))]))
    first, second = ([channel * 255 for channel in channels[at : at + 3]] for at in (0, 3))
    if number == 0:
        canvas.background(first)
        return Backdrop(np.array([[first]], dtype=np.float32) * LUMA)
    if number == 1:
        fill = gradient(first, second, angle * 360)
    else:
        grid = (2 + int(cells_y * (_CELLS - 1)), 2 + int(cells_x * (_CELLS - 1)), 3)
        stray = (rng.random(grid) * 2 - 1) * (spread * _SPREAD)
        fill = Texture((stray + first).clip(0, 255).astype(np.uint8))
    canvas.background(fill)
    # These do not move with the matrix but the objects do, so any cell may come to lie under any object.
    return Backdrop(fill.cells.astype(np.float32) * LUMA)


def _paint_photo(canvas: Canvas, path: str) -> Backdrop:
    picture, samples = read_photo(path)
    canvas.background(picture)
    height, width = picture.shape[:2]
    zoom = max(canvas.width / width, canvas.height / height) / 2  # half a unit a picture pixel: it covers the canvas
    x, y = canvas.width / 2, canvas.height / 2
    return Backdrop(samples, (x - width * zoom, y - height * zoom, x + width * zoom, y + height * zoom))


@dataclass(frozen=True)
class NoiseLines:
    """Stray lines: ends (N, 4) and widths (N,) in units, colours (N, 3)."""

    ends: FloatArray
    widths: FloatArray
    colours: NDArray[np.uint8]

    @classmethod
    def of(cls, canvas: Canvas, rng: np.random.Generator, most: int) -> "NoiseLines":
        """0 to `most` lines of random place, width (0.0015 to 0.006 units, the thin ones more often) and colour."""
        count = int(rng.integers(most + 1))
        numbers = rng.random((count, 8))
        ends = numbers[:, :4] * (canvas.width, canvas.height, canvas.width, canvas.height)
        return cls(ends, 0.0015 + 0.0045 * numbers[:, 4] ** 2, (numbers[:, 5:] * 256).astype(np.uint8))

    def draw(self, canvas: Canvas, start: int, stop: int) -> None:
        """Draws some of them."""
        if start < stop:
            canvas.strokes(self.ends[start:stop], self.widths[start:stop], self.colours[start:stop])


def find_photos(folder: str) -> tuple[Path, ...]:
    """The pictures of a folder and the folders below it, by name.

    Raises:
        GeneratorError: no such folder, or no picture in it.
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise GeneratorError(
            f"backgrounds {folder}: expected a folder of pictures, found no folder (from {Path.cwd()})"
        )
    found = sorted(path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not found:
        raise GeneratorError(f"backgrounds {folder}: expected pictures ({', '.join(sorted(SUFFIXES))}), found none")
    return tuple(found)


@lru_cache(maxsize=64)
def read_photo(path: str, max_pixels: int = MAX_PIXELS) -> tuple[NDArray[np.uint8], Samples]:
    """A photograph, upright RGB, at most 640 pixels on its shorter side; and 16 x 16 samples of it.

    Raises:
        GeneratorError: not a picture, or one that is too large; the header is looked at before decoding.
    """
    try:
        upright = Image.fromarray(read_picture(path, max_pixels=max_pixels))
    except DataError as error:
        raise GeneratorError(f"background cannot be read: {error}") from error
    scale = _KEPT_SIDE / min(upright.size)
    if scale < 1:
        upright = upright.resize((round(upright.width * scale), round(upright.height * scale)), Image.Resampling.BOX)
    picture = np.array(upright, dtype=np.uint8)
    picture.setflags(write=False)
    return picture, np.array(upright.resize((16, 16), Image.Resampling.BOX), dtype=np.float32) * LUMA
