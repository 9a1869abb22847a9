"""Packages import only from lower rows, and torch stays out of what works without it."""

import ast
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "yolo_proc"

# From the foundation up. A file of the package itself stands beside the packages; a row imports from rows below alone.
ROWS = """
    errors boxes rng
    system
    config imaging
    scene
    batch drawing
    task
    detection
    annotations classification
    models data
    plotting
    datasets evaluation inspection
    training
    export
    checks
    cli
"""
MOST_FILES = 25  # of one folder
TORCH_FREE = """
    errors boxes rng scene config.options config.schema config.values config.validation data.configfile system.files
    imaging.pictures imaging.letterbox drawing.canvas drawing.outlines drawing.painter drawing.raster drawing.typefaces
    detection.grids detection.nms detection.label_checks data.augment data.generator data.run_config data.trust
    export.digest export.findings export.onnx_file export.session export.sources export.spec
    training.events training.outcomes
    cli.check_command cli.commands cli.export_command cli.flags cli.main cli.predict_command
"""


def row_of() -> dict[str, int]:
    """The row of each package."""
    lines = ROWS.split("\n")
    return {name: row for row, line in enumerate(lines) for name in line.split()}


def name_of(path: Path) -> str:
    """The name of a file of the package: `detection.codec`."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


def files() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path.stem not in ("__init__", "__main__"))


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
            if module == "yolo_proc":
                yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)
            else:
                yield node.lineno, module


def package_of(module: str) -> str | None:
    """The package of a module's full name, or the file beside the packages; None where it is not of the project."""
    top, *parts = module.split(".")
    return parts[0] if top == "yolo_proc" and parts else None


def lines_that_point_up(path: Path, package: str) -> list[str]:
    """The imports of a file of `package` that come from its own row, unless from the package itself, or from above."""
    rows = row_of()
    found = []
    for line, module in imported(path):
        other = package_of(module)
        if other is None or other == package:
            continue
        assert other in rows, f"{path.name}:{line}: {module} is in no row"
        if rows[other] >= rows[package]:
            found.append(f"{path.name}:{line} imports {other}, which is not below {package}")
    return found


@pytest.mark.parametrize("path", files(), ids=name_of)
def test_a_package_imports_only_from_rows_below(path: Path) -> None:
    package = name_of(path).split(".")[0]
    assert package in row_of(), f"yolo_proc.{package} is in no row: say where it belongs"
    assert lines_that_point_up(path, package) == []


def test_every_row_is_there() -> None:
    tops = {path.stem for path in PACKAGE.glob("*.py")} | {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert set(row_of()) == tops - {"__init__", "__main__"}


def test_an_import_that_points_up_is_found(tmp_path: Path) -> None:
    path = tmp_path / "codec.py"
    path.write_text(
        "import yolo_proc.rng\nfrom yolo_proc import cli\nfrom yolo_proc.detection.grids import Grid\n\n\n"
        "def f():\n    from yolo_proc.annotations import coco\n    from yolo_proc.models.network import Yolo\n"
    )
    assert lines_that_point_up(path, "detection") == [
        "codec.py:2 imports cli, which is not below detection",
        "codec.py:7 imports annotations, which is not below detection",
        "codec.py:8 imports models, which is not below detection",
    ]


def imports_between_files() -> Mapping[str, set[str]]:
    """For each file of the package those that it imports, inside of functions too."""
    names = {name_of(path) for path in files()}
    found: dict[str, set[str]] = defaultdict(set)
    for path in files():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        inside = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
        for _, module in imported(path):
            name = module.removeprefix("yolo_proc.")
            found[name_of(path)] |= {one for one in (name, *(f"{name}.{alias}" for alias in inside)) if one in names}
    return found


def circle_in(arrows: Mapping[str, set[str]]) -> list[str]:
    """Some files that import each other in a circle; none where there is none."""
    done: set[str] = set()

    def follow(name: str, way: list[str]) -> list[str]:
        if name in way:
            return way[way.index(name) :]
        if name in done:
            return []
        for other in sorted(arrows.get(name, ())):
            found = follow(other, [*way, name])
            if found:
                return found
        done.add(name)
        return []

    return next((found for name in sorted(arrows) if (found := follow(name, []))), [])


def test_no_files_import_each_other() -> None:
    assert circle_in(imports_between_files()) == []
    assert circle_in({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c"]


def test_no_folder_is_too_wide() -> None:
    for folder in {path.parent for path in files()}:
        assert len(list(folder.glob("*.py"))) <= MOST_FILES, folder


def private_names(path: Path) -> list[str]:
    """What a file takes from another file though its name begins with `_`."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    found = [node for node in nodes if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("yolo_proc")]
    return [name.name for node in found for name in node.names if name.name.startswith("_")]


def test_no_file_takes_what_another_keeps_for_itself(tmp_path: Path) -> None:
    assert {name_of(path): private_names(path) for path in files() if private_names(path)} == {}
    path = tmp_path / "one.py"
    path.write_text("import numpy as _np\n\n\ndef f():\n    from yolo_proc.boxes import _g, as_boxes\n")
    assert private_names(path) == ["_g"]


def test_importing_a_package_imports_nothing_else() -> None:
    for path in PACKAGE.glob("*/**/__init__.py"):
        assert list(imported(path)) == [], path


@pytest.mark.parametrize("path", sorted((ROOT / "generators").glob("*.py")), ids=lambda path: path.stem)
def test_built_in_generators_use_what_any_generator_may(path: Path) -> None:
    allowed = row_of()["data"]
    for line, module in imported(path):
        package = package_of(module)
        assert package is None or row_of()[package] <= allowed, f"{path.name}:{line}: {module}"


def test_the_package_never_imports_the_built_in_generators() -> None:
    for path in PACKAGE.rglob("*.py"):
        for line, module in imported(path):
            assert module.split(".")[0] not in ("generators", "yolo_proc_generators"), f"{path}:{line}"


def in_a_fresh_process(code: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_what_works_without_torch_imports_none() -> None:
    names = TORCH_FREE.split() + [name_of(path) for path in files() if name_of(path).startswith("annotations.")]
    code = f"""
import importlib, sys
for name in {names!r}:
    importlib.import_module("yolo_proc." + name)
    if "torch" in sys.modules:
        sys.exit("yolo_proc." + name + " imports torch")
import generators.glyphs, generators.shapes
if "torch" in sys.modules:
    sys.exit("a built-in generator imports torch")
"""
    assert in_a_fresh_process(code) == ""


def test_predicting_imports_no_training() -> None:
    code = """
import sys
import yolo_proc.evaluation.predict
print(sorted(name for name in sys.modules if name.startswith("yolo_proc.training")))
"""
    assert in_a_fresh_process(code) == "[]"


def test_the_command_line_imports_nothing_heavy() -> None:
    code = """
import sys
from yolo_proc.cli.main import main
assert main(["train", "--help"]) == 0
heavy = {"torch", "numpy", "cv2", "albumentations", "PIL", "tqdm", "fontTools"} & set(sys.modules)
print("heavy:", sorted(heavy))
"""
    assert in_a_fresh_process(code).splitlines()[-1] == "heavy: []"
