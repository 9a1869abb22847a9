"""Scenes of pictures that are cut out already, without a line of code: `sprites:FOLDER`.

    sprites/
      coin/  a.png  b.png          a folder for each class; pictures with alpha,
      key/   key.jpg  key.mask.png or any picture with a mask beside it: white is the thing, black is not

Each scene has a ground (a folder of photographs, or drawn: clouds, paper, wood, cloth, tiles), things that are none of
the classes, and some of the pictures, turned, tilted, mirrored and placed as the options say. What hides a picture and
what is cut off is known, as of anything that is drawn.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from yolo_proc.boxes import FloatArray, RgbImage
from yolo_proc.config.options import option
from yolo_proc.data.generator import Place, Source
from yolo_proc.drawing.canvas import Canvas, gradient
from yolo_proc.drawing.clutter import cover, distractors
from yolo_proc.drawing.outlines import as_matrix, bounds_of, polygon
from yolo_proc.drawing.raster import Bytes, Texture, compose, opaque_hull
from yolo_proc.drawing.textures import ground
from yolo_proc.errors import AnnotationError, GeneratorError
from yolo_proc.imaging.pictures import SUFFIXES, read_picture
from yolo_proc.rng import rng_for

_LARGEST = 512  # pixels of the longer side that memory holds
_TRIES = 20  # places for a picture
_OPAQUE = 128
_MASK = ".mask"
_DISTANCE = 2.5  # of the eye from a tilted picture, its longer sides


@dataclass(frozen=True)
class _Sprite:
    """A picture with alpha, cut to its opaque pixels: uint8 (h, w, 4)."""

    path: Path
    rgba: Bytes


@dataclass(frozen=True)
class Sprites(Source):
    """Pictures with alpha on grounds with clutter; sizes are in units of the frame's shorter side."""

    objects: tuple[int, int] = option((1, 5), help="least and most pictures in a scene", low=0, high=200)
    size: tuple[float, float] = option(
        (0.1, 0.35),
        help="smallest and largest longer side of a picture, in shorter sides of the frame",
        low=0.01,
        high=2,
    )
    turn: float = option(10.0, help="largest turn of a picture each way, degrees; 180: any", low=0, high=180)
    tilt: float = option(0.0, help="largest lean of a picture each way, degrees: one side nearer", low=0, high=60)
    mirror: float = option(0.0, help="share of pictures mirrored left to right", low=0, high=1)
    placing: str = option(
        "anywhere",
        help="where pictures lie: anywhere, on a line, in a grid, or on a table that leads away (far ones smaller)",
        choices=("anywhere", "line", "grid", "table"),
    )
    overlap: float = option(0.3, help="most of an earlier picture's box that one covers", low=0, high=1)
    hidden: float = option(0.1, help="share of pictures that something else hides in part", low=0, high=1)
    clutter: int = option(6, help="most things in a scene that are none of the classes", low=0, high=200)
    empty: float = option(0.1, help="share of scenes without a picture", low=0, high=1)
    edges: str = option(
        "mixed",
        help="how a picture meets its ground: hard, soft (blurred alpha), or mixed, so that no edge gives it away",
        choices=("hard", "soft", "mixed"),
    )
    backgrounds: str | None = option(None, help="folder of photographs for grounds; none: drawn ones")

    _sprites: Mapping[str, tuple[_Sprite, ...]] = field(init=False, repr=False, compare=False)
    _grounds: tuple[Path, ...] = field(init=False, repr=False, compare=False, default=())

    def __post_init__(self) -> None:
        where = f"generator sprites:{self.argument}"
        for name in ("objects", "size"):
            low, high = getattr(self, name)
            if low > high:
                raise GeneratorError(f"{where}: {name}: expected the smallest before the largest, found {low}, {high}")
        root = Path(self.argument).expanduser()
        if not self.argument or not root.is_dir():
            raise GeneratorError(
                f"{where}: expected a folder with a folder for each class, found none (from {Path.cwd()})"
            )
        object.__setattr__(self, "_sprites", _read_all(root, where))
        if self.backgrounds is not None:
            object.__setattr__(
                self, "_grounds", _pictures_in(Path(self.backgrounds).expanduser(), f"{where}: backgrounds")
            )

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the folders, sorted."""
        return tuple(self._sprites)

    def contents(self) -> Mapping[str, str]:
        """Return digests of all pictures that scenes depend on."""
        sprites, grounds = hashlib.sha256(), hashlib.sha256()
        for name, those in self._sprites.items():
            for one in those:
                sprites.update(f"{name}\0{one.path.name}\0{one.rgba.shape}\0".encode(errors="surrogateescape"))
                sprites.update(one.rgba.tobytes())
        for path in self._grounds:
            grounds.update(path.read_bytes())
        return {"sprites": sprites.hexdigest(), "grounds": grounds.hexdigest()}

    def notes(self) -> tuple[str, ...]:
        """Return how many pictures each class has."""
        counts = ", ".join(f"{name} {len(those)}" for name, those in self._sprites.items())
        return (f"{self.argument}: {sum(map(len, self._sprites.values()))} pictures ({counts})",)

    @classmethod
    def stem(cls, argument: str) -> str:
        """Return the folder's name."""
        return Path(argument).expanduser().resolve().name or "sprites"

    def draw_at(self, canvas: Canvas, place: Place, size: tuple[int, int]) -> None:  # noqa: ARG002
        """One scene; see the module."""
        rng = rng_for(place.seed, place.stream, place.index, "draw")
        canvas.background(self._ground(canvas, rng))
        things = int(rng.integers(0, self.clutter + 1))
        distractors(canvas, rng, things - things // 4)
        if rng.random() >= self.empty:
            self._draw_sprites(canvas, rng)
        distractors(canvas, rng, things // 4, size=(0.02, 0.12))  # some lie before the pictures

    def _ground(self, canvas: Canvas, rng: np.random.Generator) -> RgbImage | Texture | NDArray[np.int64]:
        if self._grounds and rng.random() < 0.8:
            return _cropped(_photo(str(self._grounds[int(rng.integers(len(self._grounds)))])), canvas, rng)
        kind = rng.random()
        if kind < 0.2:
            return rng.integers(0, 256, 3)
        if kind < 0.4:
            return gradient(
                rng.integers(0, 256, 3).tolist(), rng.integers(0, 256, 3).tolist(), float(rng.uniform(0, 360))
            )
        return ground(rng)

    def _draw_sprites(self, canvas: Canvas, rng: np.random.Generator) -> None:
        taken: list[tuple[float, float, float, float]] = []
        wanted = int(rng.integers(self.objects[0], self.objects[1] + 1))
        names = self.classes
        for x, y, zoom in self._places(canvas, rng, wanted):
            name = names[int(rng.integers(len(names)))]
            sprite = self._sprites[name][int(rng.integers(len(self._sprites[name])))]
            rgba = _with_edges(sprite.rgba, self.edges, rng)
            side = float(self.size[0] * (self.size[1] / self.size[0]) ** rng.random()) * zoom
            matrix = self._matrix(rgba, side, rng)
            found = self._room(canvas, rng, rgba, matrix, (x, y), taken)
            if found is None:
                continue
            matrix, box = found
            taken.append(box)
            height, width = rgba.shape[:2]
            canvas.paste(rgba, (0, 0, width, height), name, transform=matrix)
            if rng.random() < self.hidden:
                cover(canvas, rng, box, float(rng.uniform(0.1, 0.45)))

    def _places(self, canvas: Canvas, rng: np.random.Generator, wanted: int) -> Iterator[tuple[float, float, float]]:
        """Yield (x, y, zoom) for each picture; NaN for anywhere."""
        width, height = canvas.width, canvas.height
        if self.placing == "line":
            angle, middle = rng.uniform(-0.3, 0.3), rng.uniform(0.25, 0.75) * height
            for step in range(wanted):
                x = (step + 0.5) / wanted * width
                yield x, middle + (x - width / 2) * math.tan(angle), 1.0
        elif self.placing == "grid":
            columns = max(1, math.ceil(math.sqrt(wanted * width / height)))
            rows = max(1, math.ceil(wanted / columns))
            for cell in range(wanted):
                row, column = divmod(cell, columns)
                yield (column + 0.5) / columns * width, (row + 0.5) / rows * height, 1.0
        elif self.placing == "table":
            for y in sorted(rng.uniform(0.25, 1, wanted).tolist()):  # far ones first
                yield float(rng.uniform(0, width)), y * height, 0.4 + 0.8 * y
        else:
            yield from [(math.nan, math.nan, 1.0)] * wanted

    def _matrix(self, rgba: Bytes, side: float, rng: np.random.Generator) -> FloatArray:
        """Return the matrix from a picture's pixels to units, its middle at the origin."""
        height, width = rgba.shape[:2]
        zoom = side / max(width, height)
        mirrored = -1.0 if rng.random() < self.mirror else 1.0
        onto = np.array([[mirrored * zoom, 0, -mirrored * zoom * width / 2], [0, zoom, -zoom * height / 2]])
        across, down = np.radians(rng.uniform(-self.tilt, self.tilt, 2)).tolist() if self.tilt else (0.0, 0.0)
        lean = np.array(
            [
                [math.cos(across), 0, 0],
                [0, math.cos(down), 0],
                [math.sin(across) / (_DISTANCE * side), math.sin(down) / (_DISTANCE * side), 1],
            ]
        )
        turn = math.radians(rng.uniform(-self.turn, self.turn)) if self.turn else 0.0
        cos, sin = math.cos(turn), math.sin(turn)
        return compose(np.array([[cos, -sin, 0.0], [sin, cos, 0.0]]), compose(as_matrix(lean), onto))

    def _room(
        self,
        canvas: Canvas,
        rng: np.random.Generator,
        rgba: Bytes,
        matrix: FloatArray,
        place: tuple[float, float],
        taken: list[tuple[float, float, float, float]],
    ) -> tuple[FloatArray, tuple[float, float, float, float]] | None:
        """Return the matrix and the box of a picture where it covers none too much; None where there is no room."""
        low_x, low_y, high_x, high_y = bounds_of(polygon(opaque_hull(rgba)).transformed(matrix).points)
        for attempt in range(_TRIES):
            if math.isnan(place[0]):  # a little of it may leave the frame
                x = float(rng.uniform(-0.2, 0.2) * high_x + rng.uniform(-low_x, max(canvas.width - high_x, -low_x)))
                y = float(rng.uniform(-0.2, 0.2) * high_y + rng.uniform(-low_y, max(canvas.height - high_y, -low_y)))
            else:
                x, y = (value + float(rng.normal(0, 0.01 * (1 + attempt))) for value in place)
            box = (low_x + x, low_y + y, high_x + x, high_y + y)
            if all(_covered(other, box) <= self.overlap for other in taken):
                return compose(np.array([[1, 0, x], [0, 1, y]], dtype=np.float64), matrix), box
        return None


def _covered(box: tuple[float, float, float, float], by: tuple[float, float, float, float]) -> float:
    """Return which share of a box another one covers."""
    width = min(box[2], by[2]) - max(box[0], by[0])
    height = min(box[3], by[3]) - max(box[1], by[1])
    return max(width, 0) * max(height, 0) / max((box[2] - box[0]) * (box[3] - box[1]), 1e-12)


def _with_edges(rgba: Bytes, edges: str, rng: np.random.Generator) -> Bytes:
    """Return a picture whose alpha ends as hard or as soft as `edges` says."""
    soft = edges == "soft" or (edges == "mixed" and rng.random() < 0.5)
    if not soft:
        return rgba
    reach = float(rng.uniform(0.003, 0.015)) * max(rgba.shape[:2])
    alpha = cv2.GaussianBlur(rgba[..., 3], (0, 0), max(reach, 0.5))
    return np.dstack([rgba[..., :3], np.minimum(alpha, rgba[..., 3])])  # never beyond its own edge: no halo


# --------------------------------------------------------------------------------------------------- reading


def _read_all(root: Path, where: str) -> dict[str, tuple[_Sprite, ...]]:
    folders = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not folders:
        raise GeneratorError(f"{where}: expected a folder for each class in it, found none")
    return {folder.name: _read_class(folder, where) for folder in folders}


def _read_class(folder: Path, where: str) -> tuple[_Sprite, ...]:
    paths = [path for path in _pictures_in(folder, where) if not path.stem.endswith(_MASK)]
    if not paths:
        raise GeneratorError(f"{where}: {folder}: expected pictures beside the masks, found none")
    return tuple(_Sprite(path, _read_sprite(path, where)) for path in paths)


def _pictures_in(folder: Path, where: str) -> tuple[Path, ...]:
    if not folder.is_dir():
        raise GeneratorError(f"{where}: {folder}: expected a folder of pictures, found none (from {Path.cwd()})")
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
    if not found:
        raise GeneratorError(f"{where}: {folder}: expected pictures ({', '.join(sorted(SUFFIXES))}), found none")
    return tuple(found)


def _read_sprite(path: Path, where: str) -> Bytes:
    """Return a picture with alpha, cut to its opaque pixels."""
    mask = path.with_name(f"{path.stem}{_MASK}.png")
    try:
        rgb = read_picture(path)  # refuses what is damaged, or too large
        grey = read_picture(mask)[..., 1] if mask.is_file() else _alpha(path)
    except AnnotationError as error:
        raise GeneratorError(f"{where}: {error}") from error
    if grey is None:
        raise GeneratorError(
            f"{where}: {path}: expected a picture with alpha, or a mask {mask.name} beside it, found neither"
        )
    if grey.shape != rgb.shape[:2]:
        raise GeneratorError(f"{where}: {mask}: expected the size of {path.name}, {_size(rgb)}, found {_size(grey)}")
    rows, columns = (np.flatnonzero((grey >= _OPAQUE).any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        raise GeneratorError(f"{where}: {path}: expected opaque pixels, found an alpha below {_OPAQUE} everywhere")
    part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return _shrunk(np.dstack([rgb, grey])[part])


def _alpha(path: Path) -> Bytes | None:
    """Return the alpha (h, w) of a picture that was read before; None where it has none."""
    with Image.open(path) as picture:
        if "A" not in picture.getbands() and "transparency" not in picture.info:
            return None
        return np.array(ImageOps.exif_transpose(picture).convert("RGBA"))[..., 3]


def _size(picture: Bytes) -> str:
    return f"{picture.shape[1]} x {picture.shape[0]}"


def _shrunk(rgba: Bytes) -> Bytes:
    """Return a picture of at most 512 pixels on its longer side."""
    height, width = rgba.shape[:2]
    zoom = _LARGEST / max(width, height)
    if zoom >= 1:
        return np.ascontiguousarray(rgba)
    size = (max(round(width * zoom), 1), max(round(height * zoom), 1))
    # Colours weigh by their alpha: what lies behind a transparent pixel must not come to the edge.
    alpha = rgba[..., 3:].astype(np.float32) / 255
    small = cv2.resize(np.dstack([rgba[..., :3] * alpha, alpha]), size, interpolation=cv2.INTER_AREA)
    colours = small[..., :3] / np.maximum(small[..., 3:], 1e-6)
    return np.asarray(np.clip(np.rint(np.dstack([colours, small[..., 3] * 255])), 0, 255), dtype=np.uint8)


@lru_cache(maxsize=64)
def _photo(path: str) -> RgbImage:
    picture = read_picture(path)
    height, width = picture.shape[:2]
    zoom = 2 * _LARGEST / max(width, height)
    if zoom >= 1:
        return picture
    size = (max(round(width * zoom), 1), max(round(height * zoom), 1))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _cropped(picture: RgbImage, canvas: Canvas, rng: np.random.Generator) -> RgbImage:
    """Return a piece of a photograph with the canvas' aspect, mirrored or not."""
    rows, columns = picture.shape[:2]
    share = float(rng.uniform(0.4, 1))
    width = min(columns, rows * canvas.width / canvas.height) * share
    height = width * canvas.height / canvas.width
    columns_cut, rows_cut = max(int(width), 1), max(int(height), 1)
    left, top = int(rng.integers(columns - columns_cut + 1)), int(rng.integers(rows - rows_cut + 1))
    piece = picture[top : top + rows_cut, left : left + columns_cut]
    return np.ascontiguousarray(piece[:, ::-1] if rng.random() < 0.5 else piece)
