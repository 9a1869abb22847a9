"""Characters as shapes: fonts, their glyphs' outlines, flattened and cached.

Only the fonts in `fonts/` are used unless the user names others, so that scenes are the same on every machine:

    "Lato"                  a bundled family
    "path/to/font.ttf"      a file (its first face, if it is a collection)
    "system:Ubuntu"         a family found by scanning the system's font folders
"""

from __future__ import annotations  # so that `help` shows ArrayLike by its name

import logging
import math
import os
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np

from yolo_proc.boxes import FloatArray
from yolo_proc.config.options import nearest
from yolo_proc.drawing.outlines import Shape
from yolo_proc.errors import GeneratorError

_FOLDER = Path(__file__).parent / "fonts"
_BUNDLED = {
    "DejaVu Sans": ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf"),
    "Liberation Serif": ("LiberationSerif-Regular.ttf", "LiberationSerif-Bold.ttf"),
    "Liberation Mono": ("LiberationMono-Regular.ttf", "LiberationMono-Bold.ttf"),
    "Lato": ("Lato-Regular.ttf", "Lato-Bold.ttf"),
    "Roboto Slab": ("RobotoSlab-Regular.otf", "RobotoSlab-Bold.otf"),
    "Comfortaa": ("Comfortaa-Regular.ttf", "Comfortaa-Bold.ttf"),
}
_SUFFIXES = (".ttf", ".otf", ".ttc", ".otc")
_FLATNESS = 6e-4  # largest distance of a chord from its curve, in ems: 0.1 px of a glyph of 150 px


@dataclass(frozen=True)
class Face:
    """One style of one font: a file, and which of the faces in it."""

    name: str
    path: str
    number: int = 0


def bundled_families() -> tuple[str, ...]:
    """Return the families that come with the package."""
    return tuple(_BUNDLED)


def find_face(family: str, bold: bool = False) -> Face:
    """Return the face of a family; a font file is one face whatever `bold` says, and a system family may lack bold.

    Raises:
        GeneratorError: no such family or file; the message names the nearest family.
    """
    if family in _BUNDLED:
        return Face(f"{family}{' Bold' if bold else ''}", str(_FOLDER / _BUNDLED[family][bold]))
    if family.lower().endswith(_SUFFIXES):
        path = Path(family).expanduser()
        if not path.is_file():
            raise GeneratorError(f"font {family}: no such file (looked in {Path.cwd()})")
        return Face(path.stem, str(path.resolve()))
    if family.startswith("system:"):
        return _find_system_face(family.removeprefix("system:").strip(), bold)
    raise GeneratorError(
        f"font {family}: no such family{nearest(family, _BUNDLED)}; expected {', '.join(_BUNDLED)}, "
        "the path of a .ttf or .otf file, or system:FAMILY"
    )


def faces_of(families: Iterable[str]) -> tuple[Face, ...]:
    """Return all faces, regular and bold, of the families named; of the bundled ones if none is.

    Raises:
        GeneratorError: see `find_face`.
    """
    faces = [find_face(family, bold) for family in (tuple(families) or _BUNDLED) for bold in (False, True)]
    return tuple(dict.fromkeys(faces))  # a file is its own bold


def text(characters: str, family: str = "DejaVu Sans", bold: bool = False, size: float = 1.0) -> Shape:
    """Return the characters on one line as a shape centred on its box at the origin.

    A character that the family lacks is taken from the first bundled family that has it. Left to right, without
    kerning or ligatures.

    Args:
        characters: at least one that leaves a mark.
        family: see the module's docstring.
        size: the em, in units of the frame's shorter side; capitals are about 0.7 of it.

    Raises:
        GeneratorError: no such font, a character that no font has, nothing to be seen, a size that is not above 0.
    """
    if not isinstance(characters, str) or not characters:
        raise GeneratorError(f"text: expected at least one character, found {characters!r}")
    if not isinstance(size, int | float | np.number) or not 0 < size < math.inf:
        raise GeneratorError(f"text: expected a size above 0, found {size!r}")
    return _unit_text(characters, find_face(family, bold), bold).transformed([[size, 0, 0], [0, size, 0]])


def text_pieces(
    characters: str,
    by: Literal["word", "character"],
    family: str = "DejaVu Sans",
    bold: bool = False,
    size: float = 1.0,
) -> list[tuple[str, Shape]]:
    """Return the words or the characters of a line with their shapes, each where `text` has it.

        for word, shape in text_pieces("Total 12", "word", size=0.1):
            canvas.draw(shape.shifted(0.5, 0.2), (0, 0, 0), "word")

    Raises:
        GeneratorError: see `text`; neither words nor characters.
    """
    if by not in ("word", "character"):
        raise GeneratorError(f"text_pieces: expected word or character, found {by!r}")
    text(characters, family, bold, size)  # says what is wrong
    glyphs = _laid_out(characters, find_face(family, bold), bold)
    x0, y0, x1, y1 = Shape([contour for glyph in glyphs for contour in glyph]).bounds
    onto = np.array([[size, 0, -size * (x0 + x1) / 2], [0, size, -size * (y0 + y1) / 2]])
    pieces = re.finditer(r"\S+" if by == "word" else r"\S", characters)
    found = [(piece[0], [contour for glyph in glyphs[slice(*piece.span())] for contour in glyph]) for piece in pieces]
    return [(piece, Shape(contours).transformed(onto)) for piece, contours in found if contours]


@lru_cache(maxsize=4096)
def _unit_text(characters: str, first: Face, bold: bool) -> Shape:
    """Return `text` with an em of 1."""
    contours = [contour for glyph in _laid_out(characters, first, bold) for contour in glyph]
    if not contours:
        raise blank_character(characters, first)
    return _centred(Shape(contours))


def _laid_out(characters: str, first: Face, bold: bool) -> list[list[FloatArray]]:
    """Return the contours of each character along a line, ems."""
    faces = tuple(dict.fromkeys([first, *(find_face(family, bold) for family in _BUNDLED)]))
    glyphs: list[list[FloatArray]] = []
    pen_x = 0.0
    for character in characters:
        face = next((face for face in faces if has_character(face, character)), None)
        if face is None:
            raise missing_character(character, faces)
        glyph = _glyph(face, character)
        glyphs.append([contour + np.array([pen_x, 0.0]) for contour in glyph.contours])
        pen_x += glyph.advance
    return glyphs


@lru_cache(maxsize=16384)
def glyph_shape(face: Face, character: str) -> Shape:
    """Return one character of one face, no fallback: the longer side of its box is 1, centred at the origin.

    Raises:
        GeneratorError: the face lacks the character, or it is blank or only a coloured picture there.
    """
    if not has_character(face, character):
        raise missing_character(character, [face])
    glyph = _glyph(face, character)
    if not glyph.contours:
        raise blank_character(character, face)
    shape = _centred(Shape(glyph.contours))
    x0, y0, x1, y1 = shape.bounds
    scale = 1 / max(x1 - x0, y1 - y0)
    return shape.transformed([[scale, 0, 0], [0, scale, 0]])


def has_character(face: Face, character: str) -> bool:
    """Return whether the face maps the character to a glyph, be it a blank one."""
    return ord(character) in _open_font(face).characters


def is_blank(face: Face, character: str) -> bool:
    """Return whether the face, which has the character, draws nothing for it (a space, a coloured emoji)."""
    return not _glyph(face, character).contours


def describe_character(character: str) -> str:
    """Return a character for messages: 'A' (U+0041 LATIN CAPITAL LETTER A)."""
    return f"{character!r} (U+{ord(character):04X} {unicodedata.name(character, 'without a name')})"


def missing_character(character: str, faces: Iterable[Face]) -> GeneratorError:
    """Return the error for a character that none of the faces has."""
    names = ", ".join(face.name for face in faces)
    return GeneratorError(
        f"character {describe_character(character)} is in none of the fonts tried ({names}); "
        "leave it out, or name a font that has it (a path, or system:FAMILY)"
    )


def blank_character(characters: str, face: Face) -> GeneratorError:
    """Return the error for characters that leave no mark."""
    what = describe_character(characters) if len(characters) == 1 else repr(characters)
    return GeneratorError(
        f"character {what} has no outline in {face.name}: it is blank, or a coloured picture; "
        "leave it out, or name a font that draws it as an outline"
    )


def _centred(shape: Shape) -> Shape:
    x0, y0, x1, y1 = shape.bounds
    if not (x1 > x0 and y1 > y0):
        raise GeneratorError("text: the outline has no area")
    return shape.transformed([[1, 0, -(x0 + x1) / 2], [0, 1, -(y0 + y1) / 2]])


# ---------------------------------------------------------------------------------------------------------------
# Font files


@dataclass(frozen=True)
class _Glyph:
    contours: list[FloatArray]  # ems, y down, the origin on the base line
    advance: float  # ems


@dataclass(frozen=True)
class _Font:
    characters: dict[int, str]  # code point -> glyph name
    glyphs: Any  # fontTools' glyph set
    em: float


@cache
def _open_font(face: Face) -> _Font:
    from fontTools.ttLib import TTFont, TTLibError  # 0.1 s, and only needed once a character is drawn

    # It would warn, on each start, of a date in the bundled fonts that nobody asked for.
    logging.getLogger("fontTools.ttLib.tables._h_e_a_d").setLevel(logging.ERROR)
    try:
        font = TTFont(face.path, fontNumber=face.number, lazy=True)
        return _Font(font.getBestCmap() or {}, font.getGlyphSet(), float(font["head"].unitsPerEm))
    except (TTLibError, OSError, KeyError) as error:
        raise GeneratorError(f"font {face.path}: cannot be read as an outline font: {error}") from error


@lru_cache(maxsize=16384)
def _glyph(face: Face, character: str) -> _Glyph:
    import pathops

    font = _open_font(face)
    glyph = font.glyphs[font.characters[ord(character)]]
    path = pathops.Path()
    glyph.draw(path.getPen(glyphSet=font.glyphs))
    # Parts of a glyph may overlap; even-odd filling would leave holes there.
    path.simplify(fix_winding=True)
    contours = [_flatten(contour, font.em) / font.em * (1.0, -1.0) for contour in path.contours]
    return _Glyph([contour for contour in contours if len(contour) >= 3], glyph.width / font.em)


def _flatten(contour: Any, em: float) -> FloatArray:
    """Return (K, 2) the points of a closed contour of lines and Bezier curves, in font units."""
    from pathops import PathVerb

    points: list[FloatArray] = []
    for verb, arguments in contour:
        ends = np.array(arguments, dtype=np.float64).reshape(-1, 2)
        if verb in (PathVerb.MOVE, PathVerb.LINE):
            points.append(ends)
        elif verb in (PathVerb.QUAD, PathVerb.CUBIC):
            points.append(_curve(np.concatenate([points[-1][-1:], ends]), _FLATNESS * em))
        else:
            assert verb == PathVerb.CLOSE, verb
    flat = np.concatenate(points)
    keep = np.any(flat != np.roll(flat, 1, axis=0), axis=1)  # no point twice in a row
    return np.asarray(flat[keep])


def _curve(controls: FloatArray, tolerance: float) -> FloatArray:
    """Return points after the first of a quadratic (3, 2) or cubic (4, 2) Bezier curve.

    The number of chords: a chord over a share 1/n of a curve strays from it by at most d / (8 n^2), d the largest
    second derivative (Wang's formula, Goldman 2003, "Pyramid Algorithms", 5.6.3).
    """
    degree = len(controls) - 1
    bend = np.abs(np.diff(controls, n=2, axis=0)).max() * degree * (degree - 1)
    count = max(1, math.ceil(math.sqrt(bend / (8 * tolerance))))
    t = (np.arange(1, count + 1) / count)[:, None]  # (n, 1)
    level = list(controls)
    while len(level) > 1:  # de Casteljau, for all t at once
        level = [a + (b - a) * t for a, b in pairwise(level)]
    return np.asarray(level[0])


# ---------------------------------------------------------------------------------------------------------------
# Fonts of the system, by option only


def _system_folders() -> list[Path]:
    home = Path.home()
    folders = [Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), home / ".fonts", home / ".local/share/fonts"]
    folders += [Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library/Fonts"]
    if "WINDIR" in os.environ:
        folders.append(Path(os.environ["WINDIR"]) / "Fonts")
    return folders


@cache
def _system_faces() -> dict[str, dict[bool, Face]]:
    """Return family in lower case -> bold -> face, of all upright fonts in the system's folders."""
    from fontTools.ttLib import TTFont, TTLibError

    families: dict[str, dict[bool, Face]] = {}
    for folder in _system_folders():
        paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)
        for path in paths:
            try:
                font = TTFont(path, fontNumber=0, lazy=True)
                family, style = font["name"].getBestFamilyName(), font["name"].getBestSubFamilyName() or "Regular"
            except (TTLibError, OSError, KeyError):
                continue  # a font that cannot be read is as good as none
            if family and style.lower() in ("regular", "book", "roman", "normal", "medium", "bold"):
                bold = style.lower() == "bold"
                families.setdefault(family.lower(), {}).setdefault(bold, Face(f"{family} {style}", str(path)))
    return families


def _find_system_face(family: str, bold: bool) -> Face:
    families = _system_faces()
    found = families.get(family.lower())
    if not found:
        folders = ", ".join(str(folder) for folder in _system_folders() if folder.is_dir()) or "no folder that exists"
        hint = nearest(family.lower(), families)
        raise GeneratorError(f"font system:{family}: no such family{hint}; {len(families)} found in {folders}")
    return found.get(bold) or next(iter(found.values()))
