"""The names that `from yolo_proc import ...` promises, whatever was imported before."""

import subprocess
import sys

import pytest

import yolo_proc

pytestmark = pytest.mark.slow


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_every_public_name_is_what_it_says_after_everything_was_loaded() -> None:
    names = ", ".join(yolo_proc.__all__)
    code = f"from yolo_proc import {names}; import yolo_proc, types; from yolo_proc import {names}; "
    code += f"print([type(x).__name__ for x in ({names},) if isinstance(x, types.ModuleType)])"
    assert run(code) == "[]"


def test_importing_the_package_alone_imports_nothing_heavy() -> None:
    code = "import sys, yolo_proc; print([m for m in ('torch', 'cv2', 'numpy', 'albumentations') if m in sys.modules])"
    assert run(code) == "[]"


def test_the_docstrings_import_line_works() -> None:
    line = next(line.strip() for line in (yolo_proc.__doc__ or "").splitlines() if "import" in line)
    assert run(f"{line}; print('ok')") == "ok"
