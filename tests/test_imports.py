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
    errors output files cpu device agreement
    locking options config config_values config_checks config_digest rng boxes finding
    picture_costs picture_headers jpeg_scans native_stderr picture_reading annotations.records pictures
    letterbox scene batch outlines typefaces raster painter canvas configfile generator trust run_config events
    augment workers datasets.pool stream fingerprint grids nms codec contract matching cocomap
    annotations.layout annotations.polygons annotations.common annotations.foreign annotations.checked_json
    annotations.classes annotations.passed_over
    annotations.about
    annotations.script_json annotations.script annotations.scredit
    annotations.yolo_yaml annotations.yolo_darknet annotations.yolo_folders annotations.yolo_lines annotations.yolo_txt
    annotations.voc_xml annotations.voc_layout annotations.voc_files annotations.voc
    annotations.coco_files annotations.coco_items annotations.coco_layout annotations.coco
    annotations.binary annotations.formats
    folder mix datasets.scenefiles datasets.setwriter datasets.chunk_records datasets.chunks datasets.generate
    datasets.targets datasets.convert
    inspection.duplicates inspection.measure inspection.outliers inspection.encoding inspection.statistics
    inspection.sources inspection.report exporting.stages exporting.digest exporting.spec exporting.vectors
    model parts loss fields weights task step stopping muon optim pacing archives checkpoint
    precision judge report runs state learn describe predict evaluate calibrate preview setup sheets
    inspection.charts inspection.plots
    exporting.place exporting.onnx_file exporting.seal_again exporting.session
    exporting.onnx_graph
    exporting.quantize exporting.verify exporting.readme exporting.export exporting.sources exporting.findings
    checks.bench checks.check checks.labels checks.round_trip checks.redraw checks.borders checks.mirrors checks.picture
    checks.determinism checks.variety checks.exported
    checks.initial_loss checks.loss_by_hand checks.gradients checks.logits_in checks.reach checks.dependence
    checks.parameters checks.modes
    checks.step checks.trial checks.overfit checks.baseline checks.updates checks.capacity checks.memory
    checks.registry shipping trainer checks.gate checks.table
    flags console set_flags commands data_commands inspect_command export_commands check_command cli __main__
"""
ROOMS = ORDER.split()
SUBPACKAGES = (
    "annotations",
    "checks",
    "datasets",
    "exporting",
    "inspection",
)  # their rooms are called as in `annotations.coco`
PACKAGES = ("yolo_proc", *(f"yolo_proc.{name}" for name in SUBPACKAGES))
TORCH_FREE = (
    "errors files options config rng boxes pictures letterbox scene outlines typefaces raster painter canvas generator"
    " trust"
)
TORCH_FREE += " augment grids nms configfile run_config events flags commands check_command cli finding contract"
TORCH_FREE += " exporting.digest exporting.onnx_file exporting.spec exporting.session exporting.sources"
TORCH_FREE += " exporting.findings export_commands"


def room_of(path: Path) -> str:
    """The name of a file of the package: `codec`, `annotations.coco`."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


def files_of_rooms() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path.stem != "__init__")


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
            if module in PACKAGES:
                yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def floors() -> dict[str, int]:
    return {room: floor for floor, room in enumerate(ROOMS)}


def lines_that_point_up(path: Path, room: str) -> list[str]:
    """The imports of a file that do not come from a room above `room`."""
    floor = floors()
    assert room in floor, f"yolo_proc.{room} is not in ROOMS: say where it belongs"
    wrong = []
    for line, module in imported(path):
        other = imported_room(module)
        if other is None:
            continue
        assert other in floor, f"{path.name}:{line}: {module} is not in ROOMS"
        if floor[other] >= floor[room]:
            wrong.append(f"{path.name}:{line} imports {other}, which is not above {room}")
    return wrong


def imported_room(module: str) -> str | None:
    """The room of a module's full name; None where it is not of the package, or a package alone."""
    top, *parts = module.split(".")
    if top != "yolo_proc" or module in PACKAGES:
        return None
    return ".".join(parts[:2] if parts[0] in SUBPACKAGES else parts[:1])


@pytest.mark.parametrize("path", files_of_rooms(), ids=room_of)
def test_a_room_imports_only_from_above(path: Path) -> None:
    assert lines_that_point_up(path, room_of(path)) == []


def private_names(path: Path) -> list[str]:
    """What a file takes from another room though its name begins with `_`."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    found = [node for node in nodes if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("yolo_proc")]
    return [name.name for node in found for name in node.names if name.name.startswith("_")]


def test_no_room_takes_what_another_keeps_for_itself(tmp_path: Path) -> None:
    assert {room_of(path): private_names(path) for path in files_of_rooms() if private_names(path)} == {}
    path = tmp_path / "one.py"
    path.write_text("import numpy as _np\n\n\ndef f():\n    from yolo_proc.boxes import _g, as_boxes\n")
    assert private_names(path) == ["_g"]


def test_importing_a_subpackage_imports_nothing_else() -> None:
    for name in SUBPACKAGES:
        assert list(imported(PACKAGE / name / "__init__.py")) == []


def test_a_line_that_points_up_is_found(tmp_path: Path) -> None:
    path = tmp_path / "boxes.py"
    path.write_text(
        "import yolo_proc.rng\nfrom yolo_proc import cli\n\n\ndef f():\n    from yolo_proc.codec import J\n"
    )
    assert lines_that_point_up(path, "boxes") == [
        "boxes.py:2 imports cli, which is not above boxes",
        "boxes.py:6 imports codec, which is not above boxes",
    ]
    path = tmp_path / "layout.py"
    path.write_text(
        "from yolo_proc.annotations.records import Item\nfrom yolo_proc.annotations import coco\n"
        "import yolo_proc.annotations.voc\nfrom yolo_proc.annotations.layout import Layout\n"
    )
    assert lines_that_point_up(path, "annotations.layout") == [
        f"layout.py:{line} imports annotations.{room}, which is not above annotations.layout"
        for line, room in ((2, "coco"), (3, "voc"), (4, "layout"))
    ]


@pytest.mark.parametrize("path", sorted((ROOT / "generators").glob("*.py")), ids=lambda path: path.stem)
def test_built_in_generators_use_what_any_generator_may(path: Path) -> None:
    allowed = floors()["generator"]
    for line, module in imported(path):
        room = imported_room(module)
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
    rooms = TORCH_FREE.split() + [room_of(path) for path in files_of_rooms() if path.parent.name == "annotations"]
    code = f"""
import importlib, sys
for room in {rooms!r}:
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
