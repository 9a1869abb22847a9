"""The command `cutout`: photographs of things in, pictures with alpha out, for scenes of `sprites:FOLDER`."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from yolo_proc.cli.flags import FlagParser, WordsParser, build_own
from yolo_proc.config.options import option, shown
from yolo_proc.errors import ConfigError, DataError, UserError, number_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from yolo_proc.boxes import FloatArray
    from yolo_proc.datasets.cutout import Cutout, Method


@dataclass(frozen=True)
class CutoutFlags:
    """Options of `cutout`."""

    out: str | None = option(None, help="folder for the pictures: sprites/CLASS; nothing in it is overwritten")
    method: str = option(
        "auto",
        help="auto: by colour, then GrabCut settles the edge; colour: by colour alone",
        choices=("auto", "colour"),
    )
    box: str | None = option(
        None, help="x0,y0,x1,y1 in pixels around the one thing that is wanted, of a single photograph; none: all things"
    )
    least: float = option(0.2, help="smallest thing, per cent of the photograph", low=0.001, high=90)


def cutout_parser() -> FlagParser:
    """Return flags of `cutout`."""
    about = "Cuts things out of photographs on a more or less plain ground, as pictures with alpha for sprites:FOLDER."
    place = ("photos", "files, or folders of them")
    parser = WordsParser("cutout", about, CutoutFlags, [], positional=place)
    parser.usage = "yolo_proc cutout PHOTOS... --out sprites/CLASS [options]"
    return parser


def cutout(parser: FlagParser, argv: Sequence[str]) -> int:
    """Write a picture for each thing, and a sheet of all; 1 where a photograph gives none."""
    parsed = parser.read(argv)
    own = dict(parsed.own)
    words = own.pop("photos", None)
    flags = build_own(CutoutFlags, own)
    if words is None or flags.out is None:
        raise ConfigError("expected photographs and a folder: yolo_proc cutout coin1.jpg photos/ --out sprites/coin")
    out = Path(flags.out)
    photos = _photos(cast("list[str]", words.value))
    region = _region(flags.box, photos)
    from yolo_proc.datasets.cutout import cut_out
    from yolo_proc.imaging.pictures import read_picture
    from yolo_proc.plotting.preview import write_png

    made: list[tuple[str, Cutout]] = []
    failed = 0
    for photo in photos:
        try:
            found = cut_out(
                read_picture(photo), method=cast("Method", flags.method), region=region, least=flags.least / 100
            )
        except UserError as error:
            failed += 1
            print(f"{photo}: {str(error).removeprefix(f'{photo}: ')}", file=sys.stderr)
            continue
        for number, one in enumerate(found, 1):
            name = photo.stem if len(found) == 1 else f"{photo.stem}-{number}"
            path = _free(out, name)
            write_png(path, one.rgba)
            made.append((path.name, one))
            for doubt in one.doubts:
                print(f"{path}: doubtful: {doubt}", file=sys.stderr)
    if made:
        sheet = out.with_name(f"{out.name}.png")
        write_png(sheet, _sheet(made))
        doubtful = sum(bool(one.doubts) for _, one in made)
        told = f", {doubtful} of them doubtful" if doubtful else ""
        print(f"{out}: {number_of(len(made), 'picture')} with alpha{told}; {sheet} shows them")
    return 1 if failed else 0


def _photos(words: Sequence[str]) -> list[Path]:
    from yolo_proc.imaging.pictures import SUFFIXES

    found: list[Path] = []
    for word in words:
        path = Path(word)
        if path.is_dir():
            inside = sorted(one for one in path.iterdir() if one.suffix.lower() in SUFFIXES and one.is_file())
            if not inside:
                raise DataError(f"{path}: expected photographs in it, found none")
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            raise DataError(f"{path}: no such file or folder (looked in {Path.cwd()})")
    return found


def _region(text: str | None, photos: Sequence[Path]) -> "FloatArray | None":
    if text is None:
        return None
    import numpy as np

    if len(photos) != 1:
        raise ConfigError(f"--box: expected one photograph with it, found {len(photos)}")
    try:
        x0, y0, x1, y1 = (float(word) for word in text.split(","))
    except ValueError:
        raise ConfigError(f"--box: expected x0,y0,x1,y1 in pixels, found {shown(text)}") from None
    if not (x0 < x1 and y0 < y1):
        raise ConfigError(f"--box: expected x0 < x1 and y0 < y1, found {shown(text)}")
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])


def _free(folder: Path, name: str) -> Path:
    """Return the first path of that name that is not there."""
    path, number = folder / f"{name}.png", 1
    while path.exists():
        number += 1
        path = folder / f"{name}_{number}.png"
    return path


def _sheet(made: "Sequence[tuple[str, Cutout]]") -> "NDArray[np.uint8]":
    """Return the cut-out things on a chequered ground, doubtful ones with a red caption."""
    import numpy as np

    from yolo_proc.plotting.preview import captions_sheet
    from yolo_proc.scene import Scene

    side = 160
    chequers = np.where(np.indices((side, side)).sum(axis=0) // 10 % 2, 150, 110).astype(np.uint8)
    scenes, captions = [], []
    for name, one in made:
        scenes.append(Scene(_laid_on(one.rgba, np.repeat(chequers[..., None], 3, axis=2))))
        captions.append((f"{name}{' ?' if one.doubts else ''}", (190, 40, 40) if one.doubts else (40, 120, 60)))
    return captions_sheet(scenes, captions, tile=side)


def _laid_on(rgba: "NDArray[np.uint8]", ground: "NDArray[np.uint8]") -> "NDArray[np.uint8]":
    import cv2
    import numpy as np

    side = len(ground)
    height, width = rgba.shape[:2]
    zoom = (side - 20) / max(height, width)
    size = (max(round(width * zoom), 1), max(round(height * zoom), 1))
    small = cv2.resize(rgba, size, interpolation=cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR)
    top, left = (side - size[1]) // 2, (side - size[0]) // 2
    alpha = small[..., 3:].astype(np.float64) / 255
    laid = ground.copy()
    part = laid[top : top + size[1], left : left + size[0]]
    part[:] = np.rint(small[..., :3] * alpha + part * (1 - alpha)).astype(np.uint8)
    return laid
