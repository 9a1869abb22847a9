"""Pictures of an inspection: plots on one page, and a sheet of the scenes that stand out."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from yolo_proc.boxes import FloatArray
from yolo_proc.config.schema import LabelConfig
from yolo_proc.inspection.encoding import boxes_in_network
from yolo_proc.inspection.measure import HEAT, Measured
from yolo_proc.inspection.outliers import Outlier
from yolo_proc.inspection.report import Inspection
from yolo_proc.plotting.charts import (
    BLUE,
    GREEN,
    MUTED,
    ORANGE,
    RED,
    Axis,
    Page,
    Panel,
    Rgb,
    counts_axis,
    fitted,
    font,
)
from yolo_proc.plotting.preview import GAP, preview_sheet
from yolo_proc.scene import Scene

PANEL = (480, 330)
COLUMNS, ROWS = 3, 4
HEAD = 84
MOST_ROWS = 12  # bars of a panel
SHOWN = 24  # scenes on the sheet
TILE = 260
CAPTION = 46  # pixels below a tile
_PAPER: Rgb = (32, 32, 32)
_BINS = 36


def plots_page(inspection: Inspection, found: Measured, limits: LabelConfig) -> NDArray[np.uint8]:
    """Return twelve plots as a uint8 RGB picture (H, W, 3).

    Args:
        limits: what is a label; drawn as lines.
    """
    page = Page(COLUMNS, ROWS, PANEL, HEAD)
    one = inspection.statistics
    encoding = one.encoding
    width, height = encoding.image_size if encoding is not None else (0, 0)
    if encoding is None and len(found):
        width, height = found.sizes.max(axis=0).tolist()
    boxes = boxes_in_network(found, width, height) if len(found) else np.zeros((0, 4))
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0.5)
    anchors = [anchor for grid in encoding.grids for anchor in grid.anchors] if encoding is not None else []

    page.write(18, 16, fitted(inspection.source, 1400, 26, bold=True), 26, bold=True)
    what = "scenes" if inspection.kind == "generator" else "pictures"
    left_out = sum(one.left_out.values())
    words = [f"{one.images:,} {what}", f"{one.objects:,} objects", f"{len(one.classes)} classes"]
    words += [f"{left_out:,} pictures left out"] if left_out else []
    page.write(18, 54, "   ·   ".join(words), 16, MUTED)

    _counts(page.panel("Objects a picture"), found.counts)
    _class_rows(page.panel("Objects of each class"), inspection)
    _fate(page.panel("What becomes of the objects"), inspection)
    _positions(page.panel("Places of the boxes' centres"), found)
    _sizes(page.panel("Box sizes"), sides, anchors)
    _aspects(page.panel("Box shapes"), found.aspects)
    _lengths(page.panel("Box sides"), sides, limits)
    _overlaps(page.panel("Overlap"), found.overlap)
    _shares(page.panel("Hidden and cut off"), found, limits)
    _levels(page.panel("Pixel values"), inspection, found.levels)
    _light(page.panel("Light of the pictures"), found)
    if inspection.timing is not None:
        _stages(page.panel("Time of a scene"), inspection)
    else:
        _picture_sizes(page.panel("Picture sizes"), inspection)
    return page.finished()


def _histogram(panel: Panel, values: FloatArray, x: Axis, bins: int = _BINS, colour: Rgb = BLUE) -> None:
    edges = x.edges(bins)
    # What lies beyond the axis belongs to its last bar.
    counts, _ = np.histogram(np.clip(values, x.low, x.high), edges)
    panel.axes(x, counts_axis("objects", counts.max(initial=0)))
    panel.bars(edges, counts, colour)


def _counts(panel: Panel, counts: NDArray[np.int64]) -> None:
    if not len(counts):
        panel.nothing("no picture")
        return
    most = int(counts.max())
    width = -(-(most + 1) // 40)  # objects a bar
    edges = np.arange(0, most + width + 1, width) - 0.5
    heights, _ = np.histogram(counts, edges)
    panel.axes(
        Axis("objects", edges[0], edges[-1], tell=lambda value: f"{value:.0f}" if value == int(value) else ""),
        counts_axis("pictures", heights.max()),
    )
    panel.bars(edges, heights)
    panel.note(f"median {np.median(counts):g}, mean {counts.mean():.3g}")


def _class_rows(panel: Panel, inspection: Inspection) -> None:
    classes = inspection.statistics.classes
    shown = list(classes)
    if len(classes) > MOST_ROWS:
        ordered = sorted(classes, key=lambda one: -one.objects)
        shown = ordered[: MOST_ROWS - 1]
    rest = [one.objects for one in ordered[MOST_ROWS - 1 :]] if len(classes) > MOST_ROWS else []
    names = [one.name for one in shown] + ([f"{len(rest)} more"] if rest else [])
    values = [one.objects for one in shown] + ([sum(rest)] if rest else [])
    never = len(inspection.statistics.never_drawn)
    if never:
        panel.note(f"{never} never drawn")
    _rows(panel, names, values, [BLUE] * len(shown) + [MUTED] * bool(rest), inspection.statistics.objects)


def _rows(panel: Panel, names: Sequence[str], values: Sequence[int], colours: Sequence[Rgb], whole: int) -> None:
    if not names:
        panel.nothing("nothing")
        return
    words = [f"{value:,}  {100 * value / whole:.3g} %" if whole else f"{value:,}" for value in values]
    panel.rows(names, values, words, colours)


def _fate(panel: Panel, inspection: Inspection) -> None:
    encoding = inspection.statistics.encoding
    if encoding is None:
        panel.nothing("no object to encode")
        return
    words = {
        "slot_taken": "slot taken",
        "min_in_frame": "cut off",
        "min_visible": "hidden",
        "min_box_px": "too small",
    }
    names = ["encoded", *(words[reason] for reason in encoding.dropped)]
    values = [encoding.encoded, *encoding.dropped.values()]
    whole = sum(values)
    told = [f"{value:,}  {100 * value / whole:.3g} %" if whole else "0" for value in values]
    panel.rows(names, values, told, [GREEN] + [ORANGE] * len(encoding.dropped), alarm=False)
    grids = ", ".join(f"stride {grid.stride}" for grid in encoding.grids)
    panel.note(f"{encoding.image_size[0]} px, {grids}")


def _positions(panel: Panel, found: Measured) -> None:
    if not len(found.box_xyxy):
        panel.nothing("no object")
        return
    heat = found.heat()
    across = Axis("share of the width", 0.0, 1.0)
    down = Axis("share of the height", 1.0, 0.0)
    panel.axes(across, down, square=True)
    panel.heat(heat)
    panel.note(f"at most {heat.max():,} in 1 / {HEAT * HEAT}")


def _sizes(panel: Panel, sides: FloatArray, anchors: Sequence[tuple[float, float]]) -> None:
    if not len(sides):
        panel.nothing("no object")
        return
    ends = _log_ends(np.concatenate([sides.reshape(-1), np.array(anchors).reshape(-1)]))
    across, down = Axis("width, network pixels", *ends, log=True), Axis("height, network pixels", *ends, log=True)
    panel.axes(across, down, square=True)
    edges = across.edges(HEAT)
    counts, _, _ = np.histogram2d(sides[:, 1], sides[:, 0], bins=(edges, edges))
    panel.heat(counts[::-1].astype(np.int64))  # the first row is the top one, the largest heights
    panel.crosses(anchors)
    if anchors:
        panel.note(f"+ {'anchor' if len(anchors) == 1 else 'anchors'}")


def _log_ends(values: FloatArray) -> tuple[float, float]:
    """Return powers of the square root of two around the values, at least a factor of two apart."""
    low, high = np.log2(values.min()), np.log2(values.max())
    low, high = np.floor(2 * low - 0.2) / 2, np.ceil(2 * high + 0.2) / 2
    return float(2.0**low), float(2.0 ** max(high, low + 1))


def _aspects(panel: Panel, aspects: FloatArray) -> None:
    if not len(aspects):
        panel.nothing("no object")
        return
    most = max(2.0, min(64.0, _log_ends(np.maximum(aspects, 1 / aspects))[1]))

    def tell(value: float) -> str:
        return f"{value:g}:1" if value >= 1 else f"1:{1 / value:g}"

    _histogram(panel, aspects, Axis("width : height", 1 / most, most, log=True, tell=tell))
    panel.note(f"median {np.median(aspects):.3g}")


def _lengths(panel: Panel, sides: FloatArray, limits: LabelConfig) -> None:
    if not len(sides):
        panel.nothing("no object")
        return
    lengths = np.sqrt(sides.prod(axis=1))
    low, high = _log_ends(np.append(lengths, max(limits.min_box_px, 1.0)))
    _histogram(panel, lengths, Axis("square root of the area, network pixels", low, high, log=True))
    if limits.min_box_px > 0:
        panel.upright(limits.min_box_px, "min-box-px")
    panel.note(f"median {np.median(lengths):.3g} px")


def _overlaps(panel: Panel, overlap: FloatArray) -> None:
    if not len(overlap):
        panel.nothing("no object")
        return
    touching = overlap[overlap > 0]
    share = 100 * (1 - len(touching) / len(overlap))
    if len(touching):
        _histogram(panel, touching, Axis("largest IoU with another object of the picture", 0.0, 1.0), 25)
        panel.note(f"{share:.3g} % touch no other (not drawn)")
    else:
        panel.nothing("no object touches another")


def _shares(panel: Panel, found: Measured, limits: LabelConfig) -> None:
    """Draw the visible shares of objects; whole ones would tower above the rest, so they are told in words."""
    edges = np.linspace(0.0, 1.0, 26)
    curves, words = [], []
    for name, values, colour in (("visible", found.visible, BLUE), ("in frame", found.in_frame, ORANGE)):
        known = values[np.isfinite(values)]
        if len(known):
            below = known[known < 1 - 1e-9]
            curves.append((np.histogram(below, edges)[0], colour, name))
            words.append(f"{100 * (1 - len(below) / len(known)):.3g} % {name}")
    if not curves:
        panel.nothing("no file says it" if len(found.box_xyxy) else "no object")
        return
    most = max(int(heights.max()) for heights, _, _ in curves)
    panel.axes(Axis("share of the object, below 1", 0.0, 1.0), counts_axis("objects", most))
    for heights, colour, _ in curves:
        # A step a bin, as bars without a filling.
        panel.curve(np.repeat(edges, 2)[1:-1], np.repeat(heights, 2), colour)
    panel.legend([(name, colour) for _, colour, name in curves])
    panel.upright(limits.min_visible, "min-visible", BLUE, line=2, left=limits.min_visible <= limits.min_in_frame)
    panel.upright(limits.min_in_frame, "min-in-frame", ORANGE, line=3)
    panel.note(f"whole: {', '.join(words)}")


def _levels(panel: Panel, inspection: Inspection, levels: NDArray[np.int64]) -> None:
    if not levels.any():
        panel.nothing("no picture")
        return
    four = levels.reshape(3, 64, 4).sum(axis=2)  # (3, 64): drawn scenes have few colours, and single values are spikes
    shares = 100 * four / levels.sum(axis=1, keepdims=True)
    # One value may tower above all, a background for example; the axis ends where the others do.
    top = max(1.2 * float(np.percentile(shares, 98)), 0.5)
    panel.axes(Axis("value", 0.0, 255.0), Axis("% of the pixels, by fours", 0.0, top))
    for share, colour in zip(shares, (RED, GREEN, BLUE), strict=True):
        panel.curve(4 * np.arange(64) + 1.5, np.minimum(share, top), colour, 1.5)
    means = inspection.statistics.channel_means or ()
    panel.note("means " + ", ".join(f"{value:.0f}" for value in means))


def _light(panel: Panel, found: Measured) -> None:
    if not len(found):
        panel.nothing("no picture")
        return
    across, down = Axis("mean grey", 0.0, 255.0), Axis("deviation", 0.0, 128.0)
    panel.axes(across, down)
    counts, _, _ = np.histogram2d(
        found.contrast, found.brightness, bins=(np.linspace(0, 128, 25), np.linspace(0, 255, 41))
    )
    panel.heat(counts[::-1].astype(np.int64))
    panel.note("pictures by brightness and contrast")


def _stages(panel: Panel, inspection: Inspection) -> None:
    timing = inspection.timing
    assert timing is not None
    if not timing.scenes:
        panel.nothing("no scene")
        return
    milliseconds = [1000 * stage.seconds / timing.scenes for stage in timing.stages]
    words = [f"{value:.3g} ms" for value in milliseconds]
    names = [stage.name for stage in timing.stages]
    panel.rows(names, milliseconds, words, [BLUE] * len(names), alarm=False)
    panel.note(f"{timing.images_per_second:,.0f} images/s in one process")


def _picture_sizes(panel: Panel, inspection: Inspection) -> None:
    sizes = inspection.statistics.picture_sizes[:MOST_ROWS]
    names = [f"{width} x {height}" for width, height, _ in sizes]
    _rows(panel, names, [count for _, _, count in sizes], [BLUE] * len(sizes), inspection.statistics.images)


# --------------------------------------------------------------------------------------------- the sheet


def most_unusual(outliers: Sequence[Outlier], most: int = SHOWN) -> list[tuple[int, list[Outlier]]]:
    """Return the numbers of the pictures that stand out most, each with why; the strangest first."""
    reasons: dict[int, list[Outlier]] = {}
    for one in sorted(outliers, key=lambda one: -one.z):
        reasons.setdefault(one.number, []).append(one)
    return list(reasons.items())[:most]


def unusual_sheet(
    outliers: Sequence[Outlier], scene_at: Callable[[int], Scene], classes: Sequence[str], limits: LabelConfig
) -> NDArray[np.uint8]:
    """Return the scenes that stand out most with their boxes, and below each its name and why, (H, W, 3) uint8 RGB.

    Args:
        scene_at: gives the picture of a number once more.
    """
    chosen = most_unusual(outliers)
    across = min(6, max(1, len(chosen)))
    down = max(1, -(-len(chosen) // across))
    pitch = (TILE + 2 * GAP, TILE + 2 * GAP + CAPTION)
    sheet = Image.new("RGB", (across * pitch[0] + GAP, down * pitch[1] + GAP), _PAPER)
    draw = ImageDraw.Draw(sheet)
    if not chosen:
        draw.text((TILE / 2, TILE / 2), "nothing stands out", fill=(200, 200, 200), font=font(15), anchor="mm")
    for place, (number, reasons) in enumerate(chosen):
        row, column = divmod(place, across)
        x, y = GAP + column * pitch[0], GAP + row * pitch[1]
        tile = Image.fromarray(preview_sheet([scene_at(number)], classes, limits=limits, tile=TILE))
        sheet.paste(tile, (x + (TILE + 2 * GAP - tile.width) // 2, y + (TILE + 2 * GAP - tile.height) // 2))
        left, top = x + GAP, y + TILE + 2 * GAP
        strange = reasons[0]
        more = f" +{len(reasons) - 1}" if len(reasons) > 1 else ""
        draw.text((left, top), fitted(strange.image, TILE, 14, bold=True), fill=(255, 255, 255), font=font(14, True))
        why = f"{strange.kind}{more}: {strange.found}"
        draw.text((left, top + 20), fitted(why, TILE, 12), fill=(200, 205, 212), font=font(12))
    return np.array(sheet)
