"""What the README shows works, and its map has every room."""

import re
from pathlib import Path

from yolo_proc.generator import load_generator
from yolo_proc.stream import Stream

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_ten_line_generator_has_ten_lines_and_runs(tmp_path: Path) -> None:
    code = BLOCKS[0]
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    path = tmp_path / "dots.py"
    path.write_text(code)
    assert load_generator(f"{path}:Dots").classes == ("dot",)
    scene = Stream(f"{path}:Dots", 0, "train", image_size=128)[0]
    assert scene.image.shape == (128, 128, 3)
    assert 1 <= len(scene.objects) <= 3


def test_the_other_code_is_python() -> None:
    assert len(BLOCKS) > 1
    for code in BLOCKS:
        compile(code, "README.md", "exec")


def test_the_map_has_every_room() -> None:
    rooms = {path.name for path in (ROOT / "yolo_proc").glob("*.py") if not path.name.startswith("__")}
    tree = README[README.index("## Map of the code") :]
    assert rooms - set(re.findall(r"[a-z_]+\.py", tree)) == set()


def test_every_file_that_is_linked_exists() -> None:
    for link in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / link).exists(), link
