"""Contact sheets: scenes with what is in them, and with what was found.

A labelled object has a thin box in its class's colour and its name, an object below a limit a grey dashed one, an
ignore region is hatched in grey; a detection has a bold box with its confidence.
"""

import colorsys
import io
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from yolo_proc.boxes import FloatArray
from yolo_proc.config.schema import LabelConfig
from yolo_proc.detection.nms import Detections
from yolo_proc.drawing.typefaces import find_face
from yolo_proc.errors import UserError
from yolo_proc.scene import LABELLED, Scene, label_states
from yolo_proc.system.files import replace_whole

Rgb = tuple[int, int, int]

TILE = 320  # longest side of a scene on a sheet, pixels
GAP = 4
THIN, BOLD = 1, 3
FONT_SIZE = 13
_LINE = FONT_SIZE + 6  # of the legend, pixels
_GREY: Rgb = (150, 150, 150)
_PAPER: Rgb = (32, 32, 32)
_DASH = 5  # pixels of a dash, and of the gap after it
_HATCH = 10
_WHOLE = [0.0, 0.0, 1.0, 1.0]  # where the name of a whole scene stands: in its upper left corner
RIGHT: Rgb = (90, 220, 90)
WRONG: Rgb = (255, 110, 90)


def preview_sheet(
    scenes: Sequence[Scene],
    classes: Sequence[str],
    *,
    columns: int | None = None,
    limits: LabelConfig | None = None,
    tile: int = TILE,
) -> NDArray[np.uint8]:
    """Return scenes side by side with their objects, as a uint8 RGB picture (H, W, 3).

    Args:
        classes: names by class index.
        columns: scenes a row; none: a sheet about as wide as high.
        limits: what is a label; the rest is drawn as ignored.
        tile: longest side of a scene on the sheet, pixels.
    """
    limits = limits or LabelConfig()
    tiles = [_scene_tile(scene, classes, limits, tile, THIN) for scene in scenes]
    return _sheet(tiles, columns, tile, _legend(scenes, limits))


def predictions_sheet(
    scenes: Sequence[Scene],
    detections: Sequence[Detections],
    classes: Sequence[str],
    *,
    columns: int | None = None,
    limits: LabelConfig | None = None,
    tile: int = TILE,
) -> NDArray[np.uint8]:
    """Return scenes side by side, their objects thin and unnamed, detections bold with confidence; see `preview_sheet`.

    Args:
        detections: of each scene, in its pixels.
    """
    assert len(scenes) == len(detections), (len(scenes), len(detections))
    limits = limits or LabelConfig()
    tiles = []
    for scene, found in zip(scenes, detections, strict=True):
        picture = _scene_tile(scene, None, limits, tile, THIN)
        draw = ImageDraw.Draw(picture)
        boxes = _scaled(found.box_xyxy, scene, tile)
        for box, class_id, confidence in zip(boxes, found.class_ids.tolist(), found.confidence.tolist(), strict=True):
            colour = class_colour(class_id)
            _outline(draw, box, colour, BOLD)
            _write(draw, box, f"{classes[class_id]} {confidence:.2f}", colour)
        tiles.append(picture)
    return _sheet(
        tiles, columns, tile, ("thin: labels", "bold: predictions, with confidence", *_legend(scenes, limits))
    )


def captions_sheet(
    scenes: Sequence[Scene], captions: Sequence[tuple[str, Rgb]], *, columns: int | None = None, tile: int = TILE
) -> NDArray[np.uint8]:
    """Return scenes side by side, each with words in its upper left corner, as uint8 RGB (H, W, 3).

    Args:
        captions: of each scene: words, and the colour behind them.
    """
    assert len(scenes) == len(captions), (len(scenes), len(captions))
    tiles = []
    for scene, (words, colour) in zip(scenes, captions, strict=True):
        picture = _scene_tile(Scene(scene.image), None, LabelConfig(), tile, THIN)
        _write(ImageDraw.Draw(picture), _WHOLE, words, colour)
        tiles.append(picture)
    return _sheet(tiles, columns, tile)


def side_by_side(*sheets: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return sheets (H, W, 3) of any heights in one row, dark paper below the shorter ones."""
    size = (sum(sheet.shape[1] for sheet in sheets), max(sheet.shape[0] for sheet in sheets))
    joined = Image.new("RGB", size, _PAPER)
    left = 0
    for sheet in sheets:
        joined.paste(Image.fromarray(sheet), (left, 0))
        left += sheet.shape[1]
    return np.array(joined)


def write_png(path: str | Path, picture: NDArray[np.uint8]) -> None:
    """Write a uint8 RGB picture (H, W, 3) as PNG: whole, or not at all.

    Raises:
        UserError: the file cannot be written.
    """
    path = Path(path)
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_whole(path, buffer.getbuffer())
    except OSError as error:
        raise UserError(f"{path}: the picture cannot be written: {error.strerror or error}") from error


def class_colour(class_id: int) -> Rgb:
    """Return a bright colour; those of neighbouring classes are far apart (steps of the golden ratio around the
    hues).
    """
    red, green, blue = colorsys.hsv_to_rgb(class_id * 0.618034 % 1.0, 0.75, 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)


def _scene_tile(scene: Scene, classes: Sequence[str] | None, limits: LabelConfig, tile: int, width: int) -> Image.Image:
    """Return a scene scaled to the tile with its objects' boxes; their names too if `classes` are given."""
    rows, columns = scene.image.shape[:2]
    scale = _scale(scene, tile)
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    picture = Image.fromarray(scene.image).resize(size, Image.Resampling.BILINEAR)
    draw = ImageDraw.Draw(picture)
    for box in _scaled(scene.ignore, scene, tile):
        _hatch(draw, box)
    states = label_states(scene.objects, limits)
    boxes = _scaled(scene.boxes, scene, tile)
    for box, class_id, state in zip(boxes, scene.class_ids.tolist(), states, strict=True):
        if state != LABELLED:
            _dashed(draw, box)
            continue
        colour = class_colour(class_id)
        _outline(draw, box, colour, width)
        if classes is not None:
            # A generator that is wrong is looked at too.
            known = 0 <= class_id < len(classes)
            _write(draw, box, classes[class_id] if known else f"class {class_id}?", colour)
    if scene.class_id is not None and classes is not None:
        _write(draw, _WHOLE, classes[scene.class_id], class_colour(scene.class_id))
    return picture


def _legend(scenes: Sequence[Scene], limits: LabelConfig) -> tuple[str, ...]:
    """Return what the grey signs on these scenes mean; nothing where there are none."""
    words = []
    if any(state != LABELLED for scene in scenes for state in label_states(scene.objects, limits)):
        words.append("grey dashes: ignored, because hidden, cut off or too small")
    if any(len(scene.ignore) for scene in scenes):
        words.append("hatched: a region that is ignored")
    return tuple(words)


def _lines(words: Sequence[str], width: int) -> list[str]:
    """Return phrases on as many lines as a width in pixels asks for; one that is too long is broken between words."""
    lines: list[str] = []
    for phrase in words:
        gap = "    "
        whole = f"{lines[-1]}{gap}{phrase}" if lines else phrase
        if lines and _font(FONT_SIZE).getlength(whole) <= width:
            lines[-1] = whole
            continue
        lines.append("")
        for word in phrase.split():
            joined = f"{lines[-1]} {word}".strip()
            if lines[-1] and _font(FONT_SIZE).getlength(joined) > width:
                lines.append(word)
            else:
                lines[-1] = joined
    return lines


def _sheet(
    tiles: Sequence[Image.Image], columns: int | None, tile: int, legend: Sequence[str] = ()
) -> NDArray[np.uint8]:
    """Return the tiles row by row on dark paper, a legend below; empty paper of one tile if there are none."""
    across = max(1, columns or int(np.ceil(np.sqrt(len(tiles)))))
    across = min(across, max(1, len(tiles)))
    down = max(1, -(-len(tiles) // across))
    high = max((picture.height for picture in tiles), default=tile)
    wide = max((picture.width for picture in tiles), default=tile)
    size = (across * (wide + GAP) + GAP, down * (high + GAP) + GAP)
    lines = _lines(legend, size[0] - 2 * GAP)
    sheet = Image.new("RGB", (size[0], size[1] + len(lines) * _LINE), _PAPER)
    for number, words in enumerate(lines):
        place = (GAP, size[1] + number * _LINE)
        ImageDraw.Draw(sheet).text(place, words, fill=_GREY, font=_font(FONT_SIZE))
    for number, picture in enumerate(tiles):
        row, column = divmod(number, across)
        sheet.paste(picture, (GAP + column * (wide + GAP), GAP + row * (high + GAP)))
    return np.array(sheet)


def _scale(scene: Scene, tile: int) -> float:
    height, width = scene.image.shape[:2]
    return float(tile / max(height, width))


def _scaled(box_xyxy: FloatArray, scene: Scene, tile: int) -> list[list[float]]:
    boxes: list[list[float]] = (box_xyxy * _scale(scene, tile)).tolist()
    return boxes


def _corners(box: list[float]) -> tuple[int, int, int, int]:
    """Return first and last pixel of a half-open box, ordered even where the box is thinner than a pixel."""
    x0, y0 = int(np.floor(box[0])), int(np.floor(box[1]))
    return x0, y0, max(x0, int(np.ceil(box[2])) - 1), max(y0, int(np.ceil(box[3])) - 1)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(find_face("DejaVu Sans").path, size)


def _write(draw: ImageDraw.ImageDraw, box: list[float], words: str, colour: Rgb) -> None:
    """Write black words on the colour: above the box, or inside where there is no room above."""
    left, top, right, bottom = _font(FONT_SIZE).getbbox(words)
    width, height = right - left + 4, bottom - top + 4
    sheet = draw.im.size
    x = min(max(0.0, np.floor(box[0])), max(0.0, sheet[0] - width))
    y = np.floor(box[1]) - height
    if y < 0:
        y = min(np.floor(box[1]), max(0.0, sheet[1] - height))
    draw.rectangle((x, y, x + width - 1, y + height - 1), fill=colour)
    draw.text((x + 2 - left, y + 2 - top), words, fill=(0, 0, 0), font=_font(FONT_SIZE))


def _outline(draw: ImageDraw.ImageDraw, box: list[float], colour: Rgb, width: int) -> None:
    """Draw the box in its colour, with a dark line around it: a class's colour may be that of what is behind."""
    x0, y0, x1, y1 = _corners(box)
    draw.rectangle((x0 - 1, y0 - 1, x1 + 1, y1 + 1), outline=(0, 0, 0))
    draw.rectangle((x0, y0, x1, y1), outline=colour, width=width)


def _dashed(draw: ImageDraw.ImageDraw, box: list[float]) -> None:
    x0, y0, x1, y1 = _corners(box)
    for x in range(x0, x1 + 1, 2 * _DASH):
        for y in (y0, y1):
            draw.line((x, y, min(x + _DASH - 1, x1), y), fill=_GREY)
    for y in range(y0, y1 + 1, 2 * _DASH):
        for x in (x0, x1):
            draw.line((x, y, x, min(y + _DASH - 1, y1)), fill=_GREY)


def _hatch(draw: ImageDraw.ImageDraw, box: list[float]) -> None:
    """Draw diagonals x + y = k inside the box, and its outline."""
    x0, y0, x1, y1 = _corners(box)
    for k in range(x0 + y0 + _HATCH, x1 + y1, _HATCH):
        draw.line((max(x0, k - y1), min(y1, k - x0), min(x1, k - y0), max(y0, k - x1)), fill=_GREY)
    draw.rectangle((x0, y0, x1, y1), outline=_GREY)
