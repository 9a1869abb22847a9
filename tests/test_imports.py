"""Rooms import only from rooms above them, and torch stays out of those that work without it."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "yolo_proc"

# From above to below.
ORDER = """
    errors options config rng boxes letterbox scene outlines typefaces raster painter canvas generator configfile events
    augment workers stream fingerprint grids nms codec matching cocomap
    model loss task step stopping optim pacing checkpoint
    runtime judge report runs state describe predict evaluate calibrate preview setup sheets trainer
    flags console commands cli __main__
"""
ROOMS = ORDER.split()
TORCH_FREE = (
    "errors options config rng boxes letterbox scene outlines typefaces raster painter canvas generator augment grids"
)
TORCH_FREE += " nms configfile events flags commands cli"


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """(line, module) of every import of the project in a file, those inside functions too, those for types not."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 or path.parent.name == "generators", f"{path}:{node.lineno}: import by full name"
            module = node.module or ""
            yield node.lineno, module
            if module == "yolo_proc":
                yield from ((node.lineno, f"yolo_proc.{alias.name}") for alias in node.names)


def floors() -> dict[str, int]:
    return {room: floor for floor, room in enumerate(ROOMS)}


def lines_that_point_up(path: Path, room: str) -> list[str]:
    """The imports of a file that do not come from a room above `room`."""
    floor = floors()
    assert room in floor, f"yolo_proc/{room}.py is not in ROOMS: say where it belongs"
    wrong = []
    for line, module in imported(path):
        parts = module.split(".")
        if parts[0] != "yolo_proc" or len(parts) == 1:
            continue
        assert parts[1] in floor, f"{path.name}:{line}: {module} is not in ROOMS"
        if floor[parts[1]] >= floor[room]:
            wrong.append(f"{path.name}:{line} imports {parts[1]}, which is not above {room}")
    return wrong


@pytest.mark.parametrize("room", sorted(path.stem for path in PACKAGE.glob("*.py") if path.stem != "__init__"))
def test_a_room_imports_only_from_above(room: str) -> None:
    assert lines_that_point_up(PACKAGE / f"{room}.py", room) == []


def test_a_line_that_points_up_is_found(tmp_path: Path) -> None:
    path = tmp_path / "boxes.py"
    path.write_text(
        "import yolo_proc.rng\nfrom yolo_proc import cli\n\n\ndef f():\n    from yolo_proc.codec import J\n"
    )
    assert lines_that_point_up(path, "boxes") == [
        "boxes.py:2 imports cli, which is not above boxes",
        "boxes.py:6 imports codec, which is not above boxes",
    ]


@pytest.mark.parametrize("path", sorted((ROOT / "generators").glob("*.py")), ids=lambda path: path.stem)
def test_built_in_generators_use_what_any_generator_may(path: Path) -> None:
    allowed = floors()["generator"]
    for line, module in imported(path):
        room = module.removeprefix("yolo_proc.") if module.startswith("yolo_proc.") else None
        assert room is None or floors()[room] <= allowed, f"{path.name}:{line}: {module}"


def test_the_package_never_imports_the_built_in_generators() -> None:
    for path in PACKAGE.rglob("*.py"):
        for line, module in imported(path):
            assert module.split(".")[0] not in ("generators", "yolo_proc_generators"), f"{path}:{line}"


def in_a_fresh_process(code: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_torch_free_rooms_stay_torch_free() -> None:
    code = f"""
import importlib, sys
for room in {TORCH_FREE.split()!r}:
    importlib.import_module("yolo_proc." + room)
    if "torch" in sys.modules:
        sys.exit("yolo_proc." + room + " imports torch")
import generators.glyphs, generators.shapes
if "torch" in sys.modules:
    sys.exit("a built-in generator imports torch")
"""
    assert in_a_fresh_process(code) == ""


def test_the_command_line_imports_nothing_heavy() -> None:
    code = """
import sys
from yolo_proc.cli import main
assert main(["train", "--help"]) == 0
heavy = {"torch", "numpy", "cv2", "albumentations", "PIL", "tqdm", "fontTools"} & set(sys.modules)
print("heavy:", sorted(heavy))
"""
    assert in_a_fresh_process(code).splitlines()[-1] == "heavy: []"
