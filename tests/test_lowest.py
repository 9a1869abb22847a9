"""The lowest versions that pyproject.toml allows: what they must not be below, and that they do."""

import os
import re
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BOUND = re.compile(r"([A-Za-z0-9._-]+)>=([0-9.]+)(?:,<[0-9.]+)?")


def version(text: str) -> tuple[int, ...]:
    return tuple(map(int, re.match(r"\d+(?:\.\d+)*", text)[0].split(".")))  # type: ignore[index]


def bounds() -> dict[str, tuple[int, ...]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found = {}
    for line in project["dependencies"]:
        match = BOUND.fullmatch(line)
        assert match is not None, f"{line}: expected a lower bound"
        found[match[1]] = version(match[2])
    return found


def test_no_torch_that_runs_code_in_spite_of_weights_only() -> None:
    """CVE-2025-32434 before 2.6, CVE-2026-24747 before 2.10."""
    assert bounds()["torch"] >= (2, 10)
    # torchvision 0.N+15 is built for torch 2.N.
    assert bounds()["torchvision"][1] == bounds()["torch"][1] + 15


def test_what_the_tests_run_with_is_allowed() -> None:
    pinned = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split() if "==" in line)
    low = bounds()
    assert set(low) <= set(pinned)
    assert all(version(pinned[name]) >= bound for name, bound in low.items())


def test_the_install_waits_for_a_busy_machine() -> None:
    (line,) = [line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith("INSTALL :=")]
    assert "UV_COMPILE_BYTECODE_TIMEOUT=0 " in line


COMMANDS = """
train --run a --epochs 1 --epoch-images 64 --batch-size 8 --image-size 64 --model.width 0.25 --workers 1
train --resume a --epochs 2 --workers 1
evaluate --images 20 --workers 0
export --run a --out exported --images 200 --precision all
predict checkpoints/a/preview.png --model exported/model.onnx --confidence 0.001
predict checkpoints/a/preview.png --model a --confidence 0.001
generate --generator glyphs --count 4 --format yolo --out yolo --augment on
convert yolo --to coco --out coco
inspect coco --out inspected
"""


@pytest.mark.lowest
def test_the_lowest_versions_do(tmp_path: Path) -> None:
    """A new environment with `--resolution lowest-direct`, and every command in it."""
    place = tmp_path / "venv"
    venv.create(place, with_pip=False)
    python = place / "bin" / "python"
    uv = Path(sys.executable).with_name("uv")
    install = [uv, "pip", "install", "--quiet", "--python", python, "--resolution", "lowest-direct", "--editable", ROOT]
    subprocess.run(install, check=True)
    found = subprocess.run([uv, "pip", "freeze", "--python", python], capture_output=True, text=True, check=True).stdout
    installed = dict(line.split("==") for line in found.split() if "==" in line)
    for name, bound in bounds().items():
        assert version(installed[name])[: len(bound)] == bound, f"{name}: a dependency wants a higher one"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    for line in COMMANDS.strip().splitlines():
        done = subprocess.run(
            [python, "-m", "yolo_proc", *line.split()], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
