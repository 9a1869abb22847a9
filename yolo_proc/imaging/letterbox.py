"""Rule 1: how a picture of any size is fitted into the network's frame, and boxes back again.

Picture w x h into W x H: r = min(W / w, H / h); nw = clamp(floor(w * r + 0.5), 1, W), nh alike;
left = (W - nw) div 2, top = (H - nh) div 2; what remains is filled with RGB 114. The resampling is Pillow's
antialiased `resize(..., BILINEAR)`, one axis after the other: integer weights of 22 bits, horizontal pass, then
vertical, uint8 between. The Java library has the same rule, byte for byte.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from yolo_proc.boxes import FloatArray, as_boxes, clip_xyxy
from yolo_proc.errors import DataError

# OpenCV's weights have 8 bits, so these are the denominators (of the input's length by the output's) with exact ones.
_EXACT = frozenset(1 << bits for bits in range(8))

PAD = 114  # the grey around the picture, in all three channels
MAX_ASPECT_RATIO = 16  # of a frame that follows the picture's shape


@dataclass(frozen=True)
class Letterbox:
    """The place of a picture inside the network's frame; all lengths in pixels.

    Attributes:
        picture_width, picture_height: the picture (w, h).
        width, height: the frame (W, H).
        r: min(W / w, H / h).
        nw, nh: size of the picture inside the frame.
        left, top: its upper left corner there.
    """

    picture_width: int
    picture_height: int
    width: int
    height: int
    r: float
    nw: int
    nh: int
    left: int
    top: int

    @classmethod
    def of(cls, picture_width: int, picture_height: int, width: int, height: int) -> "Letterbox":
        """Return the letterbox of a picture in a frame.

        Raises:
            DataError: a side that is less than 1.
        """
        if min(picture_width, picture_height, width, height) < 1:
            raise DataError(
                f"letterbox: expected sides of at least 1 pixel, found a picture of {picture_width} x "
                f"{picture_height} and a frame of {width} x {height}"
            )
        r = min(width / picture_width, height / picture_height)
        nw = min(max(math.floor(picture_width * r + 0.5), 1), width)
        nh = min(max(math.floor(picture_height * r + 0.5), 1), height)
        return cls(picture_width, picture_height, width, height, r, nw, nh, (width - nw) // 2, (height - nh) // 2)

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the picture (h, w, 3) uint8 RGB inside its frame: a new array (H, W, 3) uint8 RGB.

        Raises:
            DataError: an image of another size or type.
        """
        expected = (self.picture_height, self.picture_width, 3)
        if image.shape != expected or image.dtype != np.uint8:
            raise DataError(f"letterbox: expected uint8 {expected}, found {image.dtype} {image.shape}")
        frame = np.full((self.height, self.width, 3), PAD, dtype=np.uint8)
        inside = frame[self.top : self.top + self.nh, self.left : self.left + self.nw]
        if (self.nh, self.nw) == expected[:2]:
            inside[:] = image  # at its own size every weight is 0 or 1
        else:
            inside[:] = _resize_axis(_resize_axis(image, self.nw, 1), self.nh, 0)
        return frame

    def points_to_network(self, points: ArrayLike) -> FloatArray:
        """Return (K, 2) picture pixels -> (K, 2) frame pixels."""
        xy = np.asarray(points, dtype=np.float64).reshape(-1, 2)
        # Multiplied before it is divided, so that a picture's corner lands on a whole pixel.
        return xy * (self.nw, self.nh) / (self.picture_width, self.picture_height) + (self.left, self.top)

    def boxes_to_network(self, xyxy: ArrayLike) -> FloatArray:
        """Return (N, 4) xyxy picture pixels -> (N, 4) xyxy frame pixels."""
        return self.points_to_network(as_boxes(xyxy).reshape(-1, 2)).reshape(-1, 4)

    def boxes_to_picture(self, xyxy: ArrayLike) -> FloatArray:
        """Return (N, 4) xyxy frame pixels -> (N, 4) xyxy picture pixels, clipped to the picture."""
        corners = as_boxes(xyxy).reshape(-1, 2)
        sizes = (self.picture_width, self.picture_height)
        back = (corners - (self.left, self.top)) * sizes / (self.nw, self.nh)
        return clip_xyxy(back.reshape(-1, 4), *sizes)


def frame_for(picture_width: int, picture_height: int, side: int, multiple: int) -> tuple[int, int]:
    """Return the frame (W, H) that shows a picture in its own shape: its shorter side with `side` pixels.

    The longer side is the nearest multiple, so a picture is padded by half a multiple at most, or shrunk by as much. It
    is `MAX_ASPECT_RATIO` times `side` at most: a longer picture is shrunk into that.

    Args:
        side: of the square frame that a network was trained with, itself a multiple.
        multiple: that both sides must be of, see `grids.side_multiple`.

    Raises:
        DataError: a side of the picture that is less than 1.
    """
    shorter, longer = sorted((picture_width, picture_height))
    if shorter < 1:
        raise DataError(f"expected a picture with sides of at least 1 pixel, found {picture_width} x {picture_height}")
    steps = (2 * longer * side + shorter * multiple) // (2 * shorter * multiple)  # rounded half up, exactly
    long = min(steps * multiple, MAX_ASPECT_RATIO * side)
    return (side, long) if picture_height > picture_width else (long, side)


def _resize_axis(image: NDArray[np.uint8], length: int, axis: int) -> NDArray[np.uint8]:
    """Return one pass of rule 1's resampling along axis 0 (vertical) or 1 (horizontal) of (h, w, 3) uint8.

    One axis a call: from Pillow 13 on, one call for both may take the vertical pass first. Where a picture is
    enlarged and the rule's weights are multiples of 1 / 256, OpenCV's bit-exact interpolation gives the same bytes in
    a third of the time; that is why augmentation prefers such sizes.
    """
    before = image.shape[axis]
    if before == length:
        return image
    size = (length, image.shape[0]) if axis == 1 else (image.shape[1], length)
    if before < length and length // math.gcd(before, length) in _EXACT:
        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR_EXACT), dtype=np.uint8)
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
