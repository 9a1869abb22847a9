"""What the README shows works, and its map is true."""

import re
from pathlib import Path

from yolo_proc.data.generator import load_generator
from yolo_proc.data.stream import Stream

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CODE = (ROOT / "docs" / "code.md").read_text(encoding="utf-8")
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


def test_the_map_has_every_package_and_nothing_that_is_not_there() -> None:
    package = ROOT / "yolo_proc"
    there = {path.name for path in package.glob("*.py") if not path.name.startswith("__")}
    there |= {f"{path.parent.name}/" for path in package.glob("*/__init__.py")}
    text = CODE[CODE.index("    yolo_proc/\n") + 15 : CODE.index("    generators/  ")]
    named = {word for line in text.splitlines() for word in re.split(r"\s{3,}", line.strip())[0].split()}
    assert named == there


# Files of a user, in examples.
_EXAMPLES = {"dots.py", "file.py", "my_scenes.py", "cards.py", "shapes.py", "tiny.py", "coins.py", "rain.py"}
_EXAMPLES |= {"signs.py"}


def test_every_module_that_is_spoken_of_exists() -> None:
    files = [*(ROOT / "yolo_proc").rglob("*.py"), *ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    known = {
        path.name
        for folder in ("yolo_proc", "generators", "tests", "benchmarks")
        for path in (ROOT / folder).rglob("*.py")
    }
    for path in [*files, ROOT / "export" / "README.md"]:
        if path.name in ("log.md", "CHANGELOG.md"):  # which speak of the past
            continue
        named = set(re.findall(r"\b(?:[\w-]+/)*([a-z_]+\.py)\b", path.read_text(encoding="utf-8")))
        assert named <= known | _EXAMPLES, (path, named - known - _EXAMPLES)


def test_the_reading_order_is_there() -> None:
    order = CODE[CODE.index("Reading order:") :]
    names = re.findall(r"`([a-z_/]+\.py)`", order)
    assert len(names) >= 5
    for name in names:
        assert (ROOT / name).is_file() or (ROOT / "yolo_proc" / name).is_file(), name


def test_every_file_that_is_linked_exists() -> None:
    for link in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / link).exists(), link
