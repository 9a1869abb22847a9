"""Things that were laid on a ground come back with their outlines, and what is doubtful is said."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from yolo_proc.boxes import RgbImage
from yolo_proc.cli.main import main
from yolo_proc.data.generator import load_generator
from yolo_proc.datasets.cutout import cut_out
from yolo_proc.errors import DataError

RED, BLUE, GREEN = (200, 40, 40), (30, 60, 190), (30, 130, 60)


def photo(
    things: Sequence[tuple[tuple[int, int], int, tuple[int, int, int]]], *, noise: float = 3.0, seed: int = 0
) -> tuple[RgbImage, list[NDArray[np.bool_]]]:
    """Ellipses (middle, radius, colour) with soft shadows on an unevenly lit ground, and their masks."""
    rng = np.random.default_rng(seed)
    height, width = 240, 360
    x = np.arange(width)[None, :, None] / width
    picture = np.array([205.0, 200, 190]) + 30 * x - 15 + rng.normal(0, noise, (height, width, 1))
    masks = []
    for (across, down), radius, colour in things:
        mask = np.zeros((height, width), np.uint8)
        cv2.ellipse(mask, (across, down), (radius, int(radius * 0.7)), 25, 0, 360, 255, -1)
        shadow = cv2.GaussianBlur(np.roll(mask, (4, 4), (0, 1)), (0, 0), 5)[..., None] / 255 * 0.15
        soft = cv2.GaussianBlur(mask, (0, 0), 0.8)[..., None] / 255
        inner = np.array(colour) + rng.normal(0, 8, (height, width, 1))
        picture = picture * (1 - shadow) * (1 - soft) + inner * soft
        masks.append(mask > 0)
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8), masks


THREE = [((80, 80), 45, RED), ((250, 90), 40, BLUE), ((170, 185), 40, GREEN)]


@pytest.mark.parametrize("method", ["auto", "colour"])
def test_things_come_back_with_their_outlines(method: str) -> None:
    picture, masks = photo(THREE)
    found = cut_out(picture, method=method)  # type: ignore[arg-type]
    assert [one.doubts for one in found] == [(), (), ()]
    for one in found:
        x0, y0, x1, y1 = one.box
        whole = np.zeros(picture.shape[:2], bool)
        opaque = one.rgba[..., 3] >= 128
        rows, columns = np.flatnonzero(opaque.any(axis=1)), np.flatnonzero(opaque.any(axis=0))
        whole[y0:y1, x0:x1] = opaque[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        overlap = max((whole & mask).sum() / (whole | mask).sum() for mask in masks)
        assert overlap > 0.93
    # No halo: what is half transparent has the colour of the thing, and not that of the ground.
    edge = found[0].rgba[(found[0].rgba[..., 3] > 20) & (found[0].rgba[..., 3] < 230)]
    assert np.abs(edge[:, :3].mean(axis=0) - RED).max() < 30


def test_the_same_photograph_gives_the_same_pictures() -> None:
    picture, _ = photo(THREE)
    for one, other in zip(cut_out(picture), cut_out(picture), strict=True):
        np.testing.assert_array_equal(one.rgba, other.rgba)


def test_the_one_inside_of_a_region() -> None:
    picture, masks = photo(THREE)
    (only,) = cut_out(picture, region=np.array([(200, 40), (300, 40), (300, 140), (200, 140)], dtype=float))
    rows, columns = np.nonzero(masks[1])
    assert only.box == pytest.approx((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1), abs=3)


@pytest.mark.parametrize(
    ("things", "doubt"),
    [
        ([((10, 120), 60, RED)], "the border of the photograph cuts it"),
        ([((180, 120), 50, (188, 184, 172))], "hardly differs"),
    ],
)
def test_what_is_doubtful_is_said(things: list[tuple[tuple[int, int], int, tuple[int, int, int]]], doubt: str) -> None:
    picture, _ = photo(things, noise=0.5)
    assert any(doubt in line for one in cut_out(picture) for line in one.doubts)


def test_a_ground_that_is_not_plain() -> None:
    rng = np.random.default_rng(0)
    cells = rng.integers(0, 256, (12, 18, 3), dtype=np.uint8)
    picture = np.asarray(cv2.resize(cells, (360, 240), interpolation=cv2.INTER_NEAREST), dtype=np.uint8)
    assert any("not plain" in line for one in cut_out(picture) for line in one.doubts)


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (100, 100)])
def test_nothing_on_a_photograph(size: tuple[int, int]) -> None:
    with pytest.raises(DataError, match="nothing stands out"):
        cut_out(np.full((*size, 3), 190, np.uint8))


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fotos ü").mkdir()
    Image.fromarray(photo(THREE)[0]).save("fotos ü/three.png")
    Image.fromarray(photo(THREE[:1])[0]).save("one.jpg", quality=95)
    Image.fromarray(np.full((50, 60, 3), 200, np.uint8)).save("blank.png")
    assert main(["cutout", "fotos ü", "one.jpg", "--out", "sprites/thing"]) == 0
    assert "sprites/thing: 4 pictures with alpha; sprites/thing.png shows them" in capsys.readouterr().out
    names = ["one.png", "three-1.png", "three-2.png", "three-3.png"]
    assert sorted(path.name for path in Path("sprites/thing").iterdir()) == names
    before = Path("sprites/thing/one.png").read_bytes()
    assert main(["cutout", "one.jpg", "blank.png", "--out", "sprites/thing"]) == 1
    captured = capsys.readouterr()
    assert "blank.png: nothing stands out from the ground" in captured.err
    assert Path("sprites/thing/one.png").read_bytes() == before
    assert Path("sprites/thing/one_2.png").is_file()
    generator = load_generator("sprites:sprites")
    assert generator.classes == ("thing",)
    assert len(generator._sprites["thing"]) == 5  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "expected photographs and a folder"),
        (["one.png"], "expected photographs and a folder"),
        (["none.png", "--out", "x"], "none.png: no such file or folder"),
        (["empty", "--out", "x"], "empty: expected photographs in it"),
        (["one.png", "--out", "x", "--box", "1,2,3"], "--box: expected x0,y0,x1,y1"),
        (["one.png", "--out", "x", "--box", "5,2,3,9"], "--box: expected x0 < x1"),
        (["one.png", "one.png", "--out", "x", "--box", "1,2,3,4"], "--box: expected one photograph"),
        (["one.png", "--oout", "x"], "--oout: no such option (did you mean --out?)"),
    ],
)
def test_mistakes(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Image.fromarray(photo(THREE[:1])[0]).save("one.png")
    assert main(["cutout", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not Path("x").exists()


def test_a_damaged_photograph_is_told_and_the_others_are_cut_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(photo(THREE[:1])[0]).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    assert main(["cutout", str(tmp_path), "--out", str(tmp_path / "sprites" / "thing")]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith(f"{tmp_path / 'b.png'}: ")
    assert "1 picture with alpha" in captured.out
