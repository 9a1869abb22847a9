"""The wheel, installed alone into a clean environment."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]


def check_run(*words: str | Path, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    run = subprocess.run([*map(str, words)], cwd=cwd, capture_output=True, text=True, env=environment, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that the project's folder stays as it is."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("yolo_proc", "generators"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    check_run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", source / "out", cwd=source)
    (built,) = (source / "out").iterdir()
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a new environment that holds the wheel and sees the dependencies."""
    place = tmp_path_factory.mktemp("clean")
    venv.create(place, with_pip=False)
    python = place / "bin" / "python"
    check_run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel, cwd=place)
    # Paths that a .pth file adds run no .pth files of their own, so an editable install there stays asleep.
    site = Path(check_run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=place).strip())
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def test_it_holds_what_it_needs_and_no_common_name(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"yolo_proc", "yolo_proc_generators"}
    held = set(names)
    for path in (
        *ROOT.glob("yolo_proc/*.py"),
        *ROOT.glob("yolo_proc/drawing/fonts/*.?tf"),
        ROOT / "yolo_proc/py.typed",
    ):
        assert str(path.relative_to(ROOT)) in held
    for path in ROOT.glob("generators/*.py"):
        assert f"yolo_proc_generators/{path.name}" in held
    for path in ROOT.glob("yolo_proc/drawing/fonts/LICENSES/*"):
        assert any(name.endswith(f"fonts/LICENSES/{path.name}") for name in names)
    families = {path.stem.partition("-")[0] for path in ROOT.glob("yolo_proc/drawing/fonts/*.?tf")}
    assert len(families) >= 4
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_built_in_generators_draw(python: Path, tmp_path: Path) -> None:
    code = """
import importlib.util, sys
import numpy as np, yolo_proc
from yolo_proc.drawing.canvas import Canvas
from yolo_proc.data.generator import find_generator_class, load_generator
assert yolo_proc.__file__.startswith(sys.prefix), yolo_proc.__file__
for name in ("glyphs", "shapes", "markers"):
    generator = load_generator(name)
    assert type(generator).__module__ == f"yolo_proc_generators.{name}"
    assert sys.modules[type(generator).__module__].__file__.startswith(sys.prefix)
    canvas = Canvas()
    generator.draw(canvas, np.random.default_rng(2))
    print(name, len(canvas.render(64, 64, None, generator.classes).objects) > 0)
assert importlib.util.find_spec("generators") is None
"""
    assert check_run(python, "-c", code, cwd=tmp_path) == "glyphs True\nshapes True\nmarkers True\n"


def test_the_command_is_installed(python: Path, tmp_path: Path) -> None:
    assert check_run(python.parent / "yolo_proc", "--version", cwd=tmp_path).startswith("yolo_proc 0.")
    assert "--target-loss" in check_run(python, "-m", "yolo_proc", "train", "--help", cwd=tmp_path)
