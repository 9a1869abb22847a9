"""Fonts: what is bundled, outlines that are what the font says, and what is refused."""

import importlib
from pathlib import Path

import numpy as np
import pytest
from fontTools.pens.boundsPen import BoundsPen
from fontTools.ttLib import TTFont

from yolo_proc.drawing.canvas import Canvas
from yolo_proc.drawing.typefaces import Face, bundled_families, faces_of, find_face, glyph_shape, text, text_pieces
from yolo_proc.errors import GeneratorError

fonts = importlib.import_module("yolo_proc.drawing.typefaces")
FOLDER = Path(str(fonts.__file__)).parent / "fonts"


def ink(face: Face, character: str) -> float:
    """The share of the unit square that a glyph fills."""
    canvas = Canvas()
    canvas.draw(glyph_shape(face, character).shifted(0.5, 0.5), (255, 255, 255))
    return float(canvas.render(64, 64, None, []).image.mean()) / 255


def test_at_least_four_families_come_regular_and_bold_with_licences() -> None:
    families = bundled_families()
    assert len(families) >= 4
    for family in families:
        regular, bold = find_face(family), find_face(family, bold=True)
        assert regular.path != bold.path
        assert ink(bold, "M") > ink(regular, "M")
    licences = {path.stem for path in (FOLDER / "LICENSES").iterdir()}
    for path in FOLDER.glob("*.?tf"):
        assert any(path.stem.startswith(licence) for licence in licences), f"{path.name} has no licence"
    assert sum(path.stat().st_size for path in FOLDER.glob("*.?tf")) < 5e6


@pytest.mark.parametrize("face", faces_of(()), ids=lambda face: face.name)
def test_boxes_are_those_of_the_curves(face: Face) -> None:
    font = TTFont(face.path)
    glyphs, names, em = font.getGlyphSet(), font.getBestCmap(), font["head"].unitsPerEm
    for character in "AOMgß&":
        pen = BoundsPen(glyphs)
        glyphs[names[ord(character)]].draw(pen)
        width, height = (pen.bounds[2] - pen.bounds[0]) / em, (pen.bounds[3] - pen.bounds[1]) / em
        x0, y0, x1, y1 = fonts._unit_text(character, face, False).bounds
        assert (x1 - x0, y1 - y0) == pytest.approx((width, height), abs=1e-3)
        assert (x0 + x1, y0 + y1) == pytest.approx((0, 0), abs=1e-9)


def test_glyphs_stand_upright() -> None:
    """An A is broader at its foot, an L has its foot below and to the right."""
    for face in faces_of(()):
        points = glyph_shape(face, "A").points
        assert np.ptp(points[points[:, 1] > 0.3][:, 0]) > 2 * np.ptp(points[points[:, 1] < -0.35][:, 0])
        canvas = Canvas()
        canvas.draw(glyph_shape(face, "L").shifted(0.5, 0.5), (255, 255, 255))
        image = canvas.render(64, 64, None, []).image[..., 0].astype(float)
        assert image[32:].sum() > image[:32].sum()
        assert image[48:, 32:].sum() > image[:16, 32:].sum()


def test_holes_stay_open_and_overlaps_stay_filled() -> None:
    face = find_face("Lato")
    assert len(glyph_shape(face, "O").contours) == 2
    assert len(glyph_shape(face, "8").contours) == 3
    for family in bundled_families():  # drawn from overlapping parts in some fonts
        canvas = Canvas()
        canvas.draw(glyph_shape(find_face(family), "O").shifted(0.5, 0.5), (255, 255, 255))
        assert canvas.render(64, 64, None, []).image[32, 32, 0] == 0


def test_glyph_shapes_have_a_longer_side_of_one() -> None:
    for character in "AOM.-l":
        x0, y0, x1, y1 = glyph_shape(find_face("DejaVu Sans"), character).bounds
        assert max(x1 - x0, y1 - y0) == pytest.approx(1)
        assert (x0 + x1, y0 + y1) == pytest.approx((0, 0), abs=1e-9)


def test_text_has_its_size_its_order_and_its_spaces() -> None:
    small, large = text("Ab", size=0.1).bounds, text("Ab", size=0.2).bounds
    assert large == pytest.approx([2 * value for value in small])
    assert len(text("iil").contours) == 5
    assert text("A A").bounds[2] > text("AA").bounds[2]
    narrow_left = text("lM")
    first = narrow_left.contours[0]
    assert first[:, 0].max() < 0, "the l comes first, on the left"


def test_another_family_lends_what_one_lacks() -> None:
    face = find_face("Comfortaa")
    assert not fonts.has_character(face, "☃")
    assert text("☃", "Comfortaa").points.shape == text("☃", "DejaVu Sans").points.shape


def test_a_font_file_is_a_face(tmp_path: Path) -> None:
    path = tmp_path / "mine.ttf"
    path.write_bytes((FOLDER / "Lato-Bold.ttf").read_bytes())
    np.testing.assert_array_equal(text("Q", str(path)).points, text("Q", "Lato", bold=True).points)
    assert len(faces_of([str(path)])) == 1


def test_system_fonts_are_found_by_scanning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("Lato-Regular.ttf", "Lato-Bold.ttf"):
        (tmp_path / "deep" / name).write_bytes((FOLDER / name).read_bytes())
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    monkeypatch.setattr(fonts, "_system_folders", lambda: [tmp_path])
    fonts._system_faces.cache_clear()
    try:
        assert find_face("system:lato").path.endswith("Lato-Regular.ttf")
        assert find_face("system:Lato", bold=True).path.endswith("Lato-Bold.ttf")
        with pytest.raises(GeneratorError, match="did you mean lato"):
            find_face("system:Latto")
    finally:
        fonts._system_faces.cache_clear()


def test_an_unknown_family_names_the_nearest() -> None:
    with pytest.raises(GeneratorError, match="did you mean Lato"):
        find_face("Latto")
    with pytest.raises(GeneratorError, match="no such file"):
        find_face("nowhere/font.ttf")


def test_a_damaged_font_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "broken.ttf"
    path.write_bytes(b"no font at all")
    with pytest.raises(GeneratorError, match="cannot be read"):
        text("A", str(path))


def test_a_character_that_no_font_has_is_named_with_the_fonts_tried() -> None:
    with pytest.raises(GeneratorError, match=r"U\+F8D0.*Lato.*DejaVu Sans"):
        text("A\uf8d0", "Lato")
    with pytest.raises(GeneratorError, match=r"none of the fonts tried \(Lato\)"):
        glyph_shape(find_face("Lato"), "☃")


@pytest.mark.parametrize("blank", [" ", "\u2003", "   "])
def test_blanks_are_refused(blank: str) -> None:
    with pytest.raises(GeneratorError, match="no outline"):
        text(blank)


@pytest.mark.parametrize(("characters", "size"), [("", 1.0), ("A", 0.0), ("A", float("nan")), (7, 1.0)])
def test_bad_arguments(characters: str, size: float) -> None:
    with pytest.raises(GeneratorError, match="expected"):
        text(characters, size=size)


@pytest.mark.parametrize(("by", "wanted"), [("word", ["Total", "1,2", "Ö"]), ("character", list("Total1,2Ö"))])
def test_pieces_of_a_line_lie_where_the_line_has_them(by: str, wanted: list[str]) -> None:
    line = "Total  1,2 Ö"
    pieces = text_pieces(line, by, "Lato", True, 0.2)  # type: ignore[arg-type]
    assert [piece for piece, _ in pieces] == wanted
    whole = text(line, "Lato", True, 0.2)
    bounds = np.array([shape.bounds for _, shape in pieces])
    assert (bounds[:, :2].min(axis=0), bounds[:, 2:].max(axis=0)) == (
        pytest.approx(whole.bounds[:2]),
        pytest.approx(whole.bounds[2:]),
    )
    assert (np.diff(bounds[:, 0]) > 0).all()
    assert sum(len(shape.points) for _, shape in pieces) == len(whole.points)


def test_pieces_of_nothing() -> None:
    with pytest.raises(GeneratorError, match="no outline"):
        text_pieces("  ", "word")
    with pytest.raises(GeneratorError, match="word or character"):
        text_pieces("a", "line")  # type: ignore[arg-type]
