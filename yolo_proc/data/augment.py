"""How scenes vary: a plan of geometry and pixel changes, every draw of which has an address of its own.

Geometry is planned before drawing: one camera goes to `Canvas.render`, so pixels are resampled once and boxes come from
the moved outlines. Pixel changes (light, lens, sensor, file: `pixels.py`, `photo.py`) act on the rendered picture and
never move a box. A user's own pipeline comes after them (`pipeline.py`). A share of the scenes is drawn at another size
and aspect ratio; the stream letterboxes them after the pixel changes, because an application's camera works before its
letterbox too.

Whether a part acts has a place of its own in one draw, and what it does has an op of its own: so switching one part
off leaves all others as they were.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from yolo_proc.boxes import FloatArray, RgbImage
from yolo_proc.config.cameras import PARTS as CAMERA_PARTS
from yolo_proc.config.cameras import camera_value
from yolo_proc.config.schema import AugmentConfig
from yolo_proc.data.photo import PARTS as PHOTO
from yolo_proc.data.pipeline import Pipeline
from yolo_proc.data.pixels import add_noise, blur, change_colour, change_hue, compress
from yolo_proc.drawing.view import Camera
from yolo_proc.rng import Addresses

GEOMETRY = ("flip_x", "flip_y", "translate", "scale", "rotate", "shear", "letterbox", "tilt", "lens")
# In the order in which they act: light, the lens, what is left of earlier releases, the sensor, the file.
PIXELS = (
    *("light", "exposure", "balance", "aberration", "defocus", "motion"),
    *("colour", "hue", "blur", "grain", "mosaic", "sharpen", "noise", "moire", "banding"),
    *("resample", "compression", "recompress"),
)
# Their places in the draw that says which act: a new part goes to the end.
_PARTS = (
    *("flip_x", "flip_y", "translate", "scale", "rotate", "shear", "letterbox"),
    *("colour", "hue", "blur", "noise", "compression"),
    *("tilt", "lens", *PHOTO),
)

BEST_QUALITY = 90  # of JPEG; pictures are seldom stored with more
LEAST_SIGMA = 0.3  # of a blur that can be seen
LEAST_DEVIATION = 2.0  # of noise that can be seen, grey levels
_DISTANCE = 2.0  # of the camera, longer sides of the frame: it sees 28 degrees, as a phone does that comes close


@dataclass(frozen=True)
class Plan:
    """The changes that one scene will get.

    Attributes:
        width, height: size of the picture that is drawn, pixels.
        letterboxed: whether that picture is then letterboxed into the network's frame.
        flip_x, flip_y: whether the scene is mirrored.
        translate: shift (x, y) in units of the shorter side.
        scale: factor about the centre.
        rotate: degrees, clockwise on the screen.
        shear: (x per y, y per x).
        tilt: degrees by which the camera leans across and down.
        lens: how much the lens bends, see `drawing/view.py`.
        pixels: (part, seed) for each pixel change, in order.
        pipeline: seed of the user's own pipeline; None where there is none.
    """

    width: int
    height: int
    letterboxed: bool = False
    flip_x: bool = False
    flip_y: bool = False
    translate: tuple[float, float] = (0.0, 0.0)
    scale: float = 1.0
    rotate: float = 0.0
    shear: tuple[float, float] = (0.0, 0.0)
    tilt: tuple[float, float] = (0.0, 0.0)
    lens: float = 0.0
    pixels: tuple[tuple[str, int], ...] = ()
    pipeline: int | None = None

    def parts(self, loose: bool = False) -> frozenset[str]:
        """Return the names of the parts that act; `loose` as in `matrix`."""
        acts = {
            "flip_x": self.flip_x,
            "flip_y": self.flip_y,
            "translate": self.translate != (0.0, 0.0),
            "scale": self.scale != 1.0,
            "rotate": self.rotate != 0.0 and not loose,
            "shear": self.shear != (0.0, 0.0) and not loose,
            "tilt": self.tilt != (0.0, 0.0) and not loose,
            "lens": self.lens != 0.0 and not loose,
            "letterbox": self.letterboxed,
        }
        return frozenset([part for part, does in acts.items() if does] + [part for part, _ in self.pixels])

    def camera(self, loose: bool = False) -> Camera | None:
        """Return how the scene is seen; None where nothing moves. `loose` as in `matrix`."""
        matrix = self.matrix(loose)
        lens = 0.0 if loose else self.lens
        return None if matrix is None and lens == 0 else Camera(matrix, lens)

    def matrix(self, loose: bool = False) -> FloatArray | None:
        """Return the geometry as one matrix (3, 3) in units of the shorter side; None where it is the identity.

        Mirror, then scale, shear, rotate about the frame's centre, then translate, then tilt.

        Args:
            loose: leave out what turns or bends, because a labelled object has a box but no outline: the box of
                a turned box is not the box of the turned object.
        """
        parts = self.parts(loose)
        if not parts - {"letterbox", "lens", *PIXELS}:
            return None
        scale_x = -self.scale if self.flip_x else self.scale
        scale_y = -self.scale if self.flip_y else self.scale
        shear_x, shear_y = (0.0, 0.0) if loose else self.shear
        turn = 0.0 if loose else math.radians(self.rotate)
        cos, sin = math.cos(turn), math.sin(turn)
        # rotation @ [[1, shear_x], [shear_y, 1]] @ diag(scale_x, scale_y), written out: it runs for every scene
        a, b = (cos - sin * shear_y) * scale_x, (cos * shear_x - sin) * scale_y
        c, d = (sin + cos * shear_y) * scale_x, (sin * shear_x + cos) * scale_y
        shorter = min(self.width, self.height)
        x, y = self.width / shorter / 2, self.height / shorter / 2
        e, f = x + self.translate[0] - a * x - b * y, y + self.translate[1] - c * x - d * y
        matrix = np.array([[a, b, e], [c, d, f], [0.0, 0.0, 1.0]])
        return _tilted(self.tilt, (x, y)) @ matrix if "tilt" in parts else matrix


def _tilted(degrees: tuple[float, float], middle: tuple[float, float]) -> FloatArray:
    """Return the homography (3, 3) of a camera that leans across and down; what is in the middle keeps its place, and
    its size across the lean.

    Args:
        middle: of the frame, units.
    """
    across, down = map(math.radians, degrees)
    distance = _DISTANCE * 2 * max(middle)
    lean = np.array(
        [
            [math.cos(across), 0.0, 0.0],
            [0.0, math.cos(down), 0.0],
            [math.sin(across) / distance, math.sin(down) / distance, 1.0],
        ]
    )
    there, back = np.eye(3), np.eye(3)
    there[:2, 2], back[:2, 2] = middle, (-middle[0], -middle[1])
    tilted: FloatArray = there @ lean @ back
    return tilted


class Augmenter:
    """Plans scenes and changes pixels, as an `AugmentConfig` says.

    Args:
        flip_x, flip_y: the generator's shares, where the configuration has none.
    """

    def __init__(
        self, config: AugmentConfig, seed: int, stream: str, *, flip_x: float = 0.0, flip_y: float = 0.0
    ) -> None:
        self.config = config
        self._addresses = Addresses(seed, stream)
        self._values = {name: camera_value(name, getattr(config, name), config.camera) for name in CAMERA_PARTS}
        own = {part: getattr(config, f"{part}_p") for part in _PARTS[2:] if f"{part}_p" not in self._values}
        shares = {**own, **{part: self._values[f"{part}_p"] for part in _PARTS if f"{part}_p" in self._values}}
        shares["flip_x"] = flip_x if config.flip_x is None else config.flip_x
        shares["flip_y"] = flip_y if config.flip_y is None else config.flip_y
        self._shares = {part: share if config.enabled else 0.0 for part, share in shares.items()}
        self.pipeline: Pipeline | None = None
        if config.enabled and config.pipeline is not None:
            self.pipeline = Pipeline(config.pipeline, loose_boxes=config.loose_boxes)

    @property
    def acts(self) -> bool:
        """Whether any part may act on a scene."""
        return any(self._shares.values()) or self.pipeline is not None

    def plan(
        self,
        index: int,
        side: int,
        picture_size: tuple[int, int] | None = None,
        flips: tuple[float, float] | None = None,
    ) -> Plan:
        """Return the plan of scene `index` for a network of `side` x `side` pixels.

        Args:
            picture_size: (w, h): draw at this size and do not letterbox.
            flips: this scene's shares across and upside down, where they are not the generator's; those of the
                configuration come first all the same.
        """
        config = self.config
        width, height = picture_size or (side, side)
        acting = self._acting(index, flips)
        values: dict[str, Any] = {"flip_x": "flip_x" in acting, "flip_y": "flip_y" in acting}
        if "translate" in acting:
            x, y = self._addresses.at(index, "translate").uniform(-config.translate, config.translate, 2).tolist()
            values["translate"] = (x, y)
        if "scale" in acting:
            values["scale"] = config.scale ** self._addresses.at(index, "scale").uniform(-1, 1)
        if "rotate" in acting:
            values["rotate"] = self._addresses.at(index, "rotate").uniform(-config.rotate, config.rotate)
        if "shear" in acting:
            x, y = self._addresses.at(index, "shear").uniform(-config.shear, config.shear, 2).tolist()
            values["shear"] = (x, y)
        if "tilt" in acting:
            x, y = self._addresses.at(index, "tilt").uniform(-1, 1, 2).tolist()
            values["tilt"] = (x * self._values["tilt"], y * self._values["tilt"])
        if "lens" in acting:
            values["lens"] = self._addresses.at(index, "lens").uniform(-1, 1) * self._values["lens"]
        if picture_size is None and "letterbox" in acting:
            width, height = _other_size(config, side, self._addresses.at(index, "letterbox"))
            values["letterboxed"] = True
        pixels = tuple(
            (part, int(self._addresses.at(index, part).integers(2**63))) for part in PIXELS if part in acting
        )
        if self.pipeline is not None:
            values["pipeline"] = int(self._addresses.at(index, "pipeline").integers(2**63))
        return Plan(width, height, pixels=pixels, **values)

    def _acting(self, index: int, flips: tuple[float, float] | None) -> frozenset[str]:
        """Return the parts that act on a scene. One draw for all, in which each part has a place of its own."""
        shares = self._shares
        if flips is not None and self.config.enabled:
            across = flips[0] if self.config.flip_x is None else shares["flip_x"]
            below = flips[1] if self.config.flip_y is None else shares["flip_y"]
            shares = {**shares, "flip_x": across, "flip_y": below}
        if not any(shares.values()):
            return frozenset()
        chances = self._addresses.at(index, "acting").random(len(_PARTS)).tolist()
        return frozenset(part for part, chance in zip(_PARTS, chances, strict=True) if chance < shares[part])

    def change_pixels(self, image: RgbImage, plan: Plan) -> RgbImage:
        """Return the picture (H, W, 3) uint8 RGB with the plan's pixel changes; a new array if there are any."""
        for part, seed in plan.pixels:
            image = self._changed(part, image, np.random.SFC64(seed))
        return image

    def _changed(self, part: str, image: RgbImage, bits: np.random.BitGenerator) -> RgbImage:
        config, draws = self.config, np.random.Generator(bits)
        if part in PHOTO:
            return PHOTO[part](image, self._values.get(part, 1.0), draws)
        match part:
            case "colour":
                contrast, brightness = draws.uniform(-config.colour, config.colour, 2).tolist()
                return change_colour(image, contrast, brightness)
            case "hue":
                turn, saturation = draws.uniform(-1, 1, 2).tolist()
                return change_hue(image, turn * config.hue, saturation * config.saturation)
            case "blur":
                return blur(image, draws.uniform(min(LEAST_SIGMA, config.blur), config.blur)) if config.blur else image
            case "noise":
                return add_noise(image, draws.uniform(min(LEAST_DEVIATION, config.noise), config.noise), bits)
            case _:
                best = max(BEST_QUALITY, config.compression)
                return compress(image, int(draws.integers(config.compression, best, endpoint=True)))


def _other_size(config: AugmentConfig, side: int, draws: np.random.Generator) -> tuple[int, int]:
    """Return a picture's (w, h): the longer side in eighths of the network's, the ratio of the sides log-uniform.

    Eighths, and a shorter side that fits them, because the letterbox then enlarges with exact weights: that takes
    a third of the time. A network whose side is no multiple of 8 gets the same, rounded.
    """
    size, ratio, upright = draws.random(3).tolist()
    low, high = (max(1, math.floor(8 * factor + 0.5)) for factor in config.letterbox_size)
    eighths = low + int(size * (max(low, high) + 1 - low))
    shorter = max(1, math.floor(side / config.letterbox_aspect**ratio / 8 + 0.5))  # of the network, in 8 pixels
    width, height = math.floor(side * eighths / 8 + 0.5), shorter * eighths
    return (height, width) if upright < 0.5 else (width, height)
