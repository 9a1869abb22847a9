"""Cuts things out of photographs on a more or less plain ground, for scenes of `sprites:FOLDER`.

    the ground is what the border of the photograph shows: its colours in Lab, as a plane over the picture
    a pixel's distance from that is cut in two by Otsu's threshold (1979); GrabCut (Rother et al., 2004) then settles
    what is near the edge
    each piece that is large enough is a thing; what looks doubtful is said with its cause

Alpha ends softly over about a pixel. A transparent pixel has the colour of the nearest opaque one, so that no halo of
the ground comes along when the picture is scaled.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from yolo_proc.boxes import FloatArray, RgbImage
from yolo_proc.errors import DataError

Method = Literal["auto", "colour"]
_SIDE = 640  # pixels of the longer side at which things are looked for
_BORDER = 0.04  # share of the side that counts as the border
_LEAST, _MOST = 0.002, 0.85  # shares of the picture that a thing may have
_PLAIN = 12.0  # Lab units: what the border strays from its plane on a plain ground
_CLEAR = 18.0  # Lab units between a thing and its ground, on the median
_TURNS = 3  # of GrabCut
_OPAQUE = 128


@dataclass(frozen=True)
class Cutout:
    """One thing.

    Attributes:
        rgba: (h, w, 4) uint8, cut to what is opaque.
        box: x0, y0, x1, y1 in the photograph, pixels.
        doubts: why it may be wrong; empty for a good one.
    """

    rgba: NDArray[np.uint8]
    box: tuple[int, int, int, int]
    doubts: tuple[str, ...] = ()


def cut_out(
    rgb: RgbImage, *, method: Method = "auto", region: FloatArray | None = None, least: float = _LEAST
) -> tuple[Cutout, ...]:
    """Return the things on a photograph, from the upper left to the lower right.

    Args:
        rgb: (H, W, 3) uint8.
        method: "auto", or "colour" without GrabCut.
        region: (K, 2) pixels, a polygon around the one thing that is wanted; None: all there are.
        least: share of the picture that a thing has at least.

    Raises:
        DataError: nothing that could be told from the ground.
    """
    height, width = rgb.shape[:2]
    zoom = min(1.0, _SIDE / max(height, width))
    size = (max(round(width * zoom), 1), max(round(height * zoom), 1))
    small = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    inside = _inside(region, size, zoom) if region is not None else None
    distance, unrest = _from_ground(small, inside)
    mask = _split(distance, inside)
    doubts = (f"the ground is not plain ({unrest:.0f})",) if unrest > _PLAIN else ()
    pieces = list(_pieces(mask, least))
    if region is not None:
        pieces = [mask] if mask.any() else []
    if not pieces:
        raise DataError("nothing stands out from the ground; give a box around the thing, or take a plainer ground")
    found = []
    for piece in pieces:
        settled = _settled(small, piece) if method == "auto" else piece
        own = (*doubts, *_doubts(settled, distance))
        whole = cv2.resize(settled.astype(np.float32) * 255, (width, height), interpolation=cv2.INTER_LINEAR)
        cut = _with_alpha(rgb, cv2.GaussianBlur(whole, (0, 0), max(0.7, 0.5 / zoom)), own)
        if cut is not None:
            found.append(cut)
    return tuple(sorted(found, key=lambda one: (one.box[1] // max(height // 8, 1), one.box[0])))


def _inside(region: FloatArray, size: tuple[int, int], zoom: float) -> NDArray[np.bool_]:
    mask = np.zeros((size[1], size[0]), np.uint8)
    cv2.fillPoly(mask, [np.rint(region * zoom).astype(np.int32)], (1,))
    if not mask.any():
        raise DataError("the region has no pixel of the photograph")
    return np.asarray(mask > 0)


def _from_ground(rgb: RgbImage, inside: NDArray[np.bool_] | None) -> tuple[NDArray[np.float32], float]:
    """Return each pixel's distance from the ground (H, W), Lab units, and how much the border strays from it."""
    lab = cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    lab = cv2.GaussianBlur(lab, (0, 0), 1.0)
    height, width = rgb.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    terms = np.stack([np.ones_like(x), x / width - 0.5, y / height - 0.5], axis=2)
    reach = max(2, round(_BORDER * max(height, width)))
    ground = np.zeros((height, width), bool)
    ground[:reach] = ground[-reach:] = True
    ground[:, :reach] = ground[:, -reach:] = True
    if inside is not None:  # what is around the region, wherever it lies
        ground = ~inside if (~inside).any() else ground
    for _ in range(3):  # what stands out of the border is no ground: a thing that the border cuts
        plane = np.linalg.lstsq(terms[ground], lab[ground], rcond=None)[0]
        away = np.linalg.norm(lab - terms @ plane, axis=2)
        typical = float(np.median(away[ground]))
        kept = ground & (away <= max(3 * typical, 2.0))
        if kept.sum() < 0.3 * ground.sum():
            break
        ground = kept
    return np.asarray(away, dtype=np.float32), float(np.percentile(away[ground], 90))


def _split(distance: NDArray[np.float32], inside: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    scaled = np.clip(np.rint(distance * 2), 0, 255).astype(np.uint8)
    level, _ = cv2.threshold(scaled, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    mask = (scaled > max(level, 10)).astype(np.uint8)
    if inside is not None:
        mask &= inside.astype(np.uint8)
    side = max(3, round(max(distance.shape) / 100) | 1)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    mask = cv2.morphologyEx(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, kernel), cv2.MORPH_OPEN, kernel)
    return np.asarray(_filled(mask) > 0)


def _filled(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a mask with its holes filled: what looks like the ground inside of a thing is the thing's."""
    borders, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    whole = np.zeros_like(mask)
    cv2.drawContours(whole, borders, -1, (1,), -1)
    return whole


def _pieces(mask: NDArray[np.bool_], least: float) -> Iterator[NDArray[np.bool_]]:
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    for number in range(1, count):
        if statistics[number, cv2.CC_STAT_AREA] >= least * mask.size:
            yield np.asarray(labels == number)


def _settled(rgb: RgbImage, piece: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return a piece with its edge as GrabCut sees it; the piece itself where that loses most of it."""
    mask = piece.astype(np.uint8)
    reach = max(3, round(np.sqrt(mask.sum()) / 12))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    core, around = cv2.erode(mask, kernel), cv2.dilate(mask, kernel)
    if not core.any() or around.all():
        return piece
    marks = np.full(mask.shape, cv2.GC_BGD, np.uint8)
    marks[around > 0] = cv2.GC_PR_BGD
    marks[piece] = cv2.GC_PR_FGD
    marks[core > 0] = cv2.GC_FGD
    cv2.setRNGSeed(0)  # its colour models begin at random
    cv2.grabCut(rgb[..., ::-1].copy(), marks, None, np.zeros((1, 65)), np.zeros((1, 65)), _TURNS, cv2.GC_INIT_WITH_MASK)
    settled = _filled(np.isin(marks, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)) > 0
    overlap = (settled & piece).sum() / max((settled | piece).sum(), 1)
    return np.asarray(settled) if overlap > 0.7 else piece


def _doubts(piece: NDArray[np.bool_], distance: NDArray[np.float32]) -> tuple[str, ...]:
    found = []
    if piece[0].any() or piece[-1].any() or piece[:, 0].any() or piece[:, -1].any():
        found.append("the border of the photograph cuts it")
    if piece.mean() > _MOST:
        found.append("it is nearly the whole photograph")
    contrast = float(np.median(distance[piece]))
    if contrast < _CLEAR:
        found.append(f"it hardly differs from the ground ({contrast:.0f})")
    hull = cv2.convexHull(cv2.findNonZero(piece.astype(np.uint8)))
    if piece.sum() < 0.35 * max(cv2.contourArea(hull), 1):
        found.append("it is frayed, or several things in one")
    return tuple(found)


def _with_alpha(rgb: RgbImage, alpha: NDArray[np.float32], doubts: tuple[str, ...]) -> Cutout | None:
    levels = np.clip(np.rint(alpha), 0, 255).astype(np.uint8)
    rows, columns = (np.flatnonzero((levels >= _OPAQUE).any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return None
    y0, y1 = max(int(rows[0]) - 2, 0), min(int(rows[-1]) + 3, len(levels))
    x0, x1 = max(int(columns[0]) - 2, 0), min(int(columns[-1]) + 3, levels.shape[1])
    part, colours = levels[y0:y1, x0:x1], rgb[y0:y1, x0:x1]
    sure = part >= 250
    if sure.any():
        # For each pixel the nearest sure one: its colour has none of the ground in it.
        _, nearest = cv2.distanceTransformWithLabels(
            (~sure).astype(np.uint8), cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
        )
        table = np.zeros((int(nearest.max()) + 1, 3), np.uint8)
        table[nearest[sure]] = colours[sure]
        colours = np.where(sure[..., None], colours, table[nearest])
    box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    return Cutout(np.ascontiguousarray(np.dstack([colours, part])), box, doubts)
