"""The command `new`: writes a generator to begin with, a file that runs as it is."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from yolo_proc.cli.flags import FlagParser, build_own
from yolo_proc.config.options import option, shown
from yolo_proc.errors import ConfigError, DataError

TEMPLATES = ("shapes", "sprites", "page", "empty")
_FOLDER = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class NewFlags:
    """Options of `new`."""

    kind: str = option("shapes", help="what the generator begins with", choices=TEMPLATES)


def new_parser() -> FlagParser:
    """Return flags of `new`."""
    about = "Writes the file of a generator that runs, with comments, to begin from."
    return FlagParser("new", about, NewFlags, [], positional=("name", "of the generator's class, such as Signs"))


def new(parser: FlagParser, argv: Sequence[str]) -> int:
    """Write the file, never over another one; for sprites two pictures besides, where there are none."""
    parsed = parser.read(argv)
    name = str(parsed.own["name"].value) if "name" in parsed.own else ""
    flags = build_own(NewFlags, {flat: one for flat, one in parsed.own.items() if flat != "name"})
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        found = shown(name) if name else "none"
        raise ConfigError(f"expected the name of a class, letters and digits such as Signs, found {found}")
    class_name = name[0].upper() + name[1:]
    path = Path(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", class_name).lower() + ".py")
    template = (_FOLDER / f"{flags.kind}.txt").read_text(encoding="utf-8")
    content = template.replace("FILE", str(path)).replace("NAME", class_name)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(content)
        made = [str(path), *(_sprites(path.parent / "sprites") if flags.kind == "sprites" else [])]
    except FileExistsError:
        raise DataError(f"{path}: is there already; choose another name, or move it away") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror}") from error
    print(f"{', '.join(made)}: written; yolo_proc preview --generator {path}:{class_name}")
    return 0


def _sprites(folder: Path) -> list[str]:
    """Write two pictures to begin with; none where the folder has some."""
    from PIL import Image, ImageDraw

    folder.mkdir(exist_ok=True)
    if any(folder.glob("*.png")):
        return []
    made = []
    for name, corners, colour in (("gem", 6, "deepskyblue"), ("key", 3, "tomato")):
        picture = Image.new("RGBA", (48, 48))
        ImageDraw.Draw(picture).regular_polygon((24, 24, 20), corners, fill=colour, outline="black")
        picture.save(folder / f"{name}.png")
        made.append(str(folder / f"{name}.png"))
    return made
