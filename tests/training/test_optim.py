"""How an optimizer is made."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_a_run_starts_without_torchs_compiler(tmp_path: Path) -> None:
    """Its import takes 2 s."""
    lines = (
        "import sys; from pathlib import Path; from tiny_run import run_tiny, tiny_config",
        f"config = tiny_config(Path({str(tmp_path)!r}), epochs=1)",
        "run_tiny(config); run_tiny(config.__class__(**{**vars(config), 'epochs': 2}), Path(config.runs_dir) / 'tiny')",
        "assert 'torch._dynamo' not in sys.modules",
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    subprocess.run([sys.executable, "-c", "\n".join(lines)], env=environment, check=True)
