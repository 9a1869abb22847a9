"""Every command and every block of code on the pages for users is run, in the order of the page, in an empty folder."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
JAR = ROOT / "export" / "java" / "target" / "yolo-proc.jar"
PAGES = ("README.md", "docs/tutorial.md", "docs/classification.md", "docs/labels.md", "docs/java.md", *(
    f"docs/guides/{path.name}" for path in sorted((ROOT / "docs" / "guides").glob("*.md"))
))  # fmt: skip
# Small, so that a page takes seconds; what a page says itself is stronger.
AROUND = {
    "YOLO_PROC_THREADS": "1", "YOLO_PROC_WORKERS": "0", "YOLO_PROC_IMAGE_SIZE": "64", "YOLO_PROC_MODEL_WIDTH": "0.25",
    "YOLO_PROC_MAX_TIME": "0.04", "YOLO_PROC_NO_CHECK": "on", "YOLO_PROC_VALIDATION_IMAGES": "20",
    "YOLO_PROC_CALIBRATION_IMAGES": "40",
    "YOLO_PROC_PRECISION": "float32",
}  # fmt: skip
# What a page stands on.
BEFORE = {"docs/java.md": "yolo_proc train --generator shapes --epochs 1 --epoch-images 640 --run letters --no-check"}
ELSEWHERE = {"docs/java.md": ("python",)}  # its programs need files of their own: tests/export/test_java.py runs them
SAVED = re.compile(r"[Ss]ave\s+(?:this|it)\s+as\s+`([\w./]+)`")
# Seen elsewhere: set-up that the tests themselves stand on, and shells' own words.
NOT_RUN = re.compile(r"make |mvn |\. \.venv|git |cd ")


@dataclass(frozen=True)
class Block:
    """A piece of a page that can be run: `python`, `java` or `shell`, and where it is to be saved, if anywhere."""

    kind: str
    text: str
    saved: str | None = None


def blocks(page: str) -> list[Block]:
    """The blocks of a page, in order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found, before = [], ""
    for match in re.finditer(r"```(\w+)\n(.*?)```|((?:^ {4}\S[^\n]*\n)+)", text, re.DOTALL | re.MULTILINE):
        between = text[: match.start()][-200:]
        after = text[match.end() :][:60].strip()
        if match[1] in ("python", "java"):
            named = SAVED.findall(between.rpartition("```")[2]) or SAVED.findall(after.partition("\n")[0])
            found.append(Block(match[1], match[2], named[-1] if named else None))
        elif match[3]:
            found += [Block("shell", line.strip()) for line in match[3].splitlines()]
        before = match[0]
    assert before, page
    return found


def is_command(line: str) -> bool:
    return re.match(r"(?:[A-Z_]+=\S+ )*(?:yolo_proc|python -m yolo_proc|java|make|mvn)\b|\. \.venv", line) is not None


@pytest.mark.slow
@pytest.mark.java
@pytest.mark.parametrize("page", PAGES)
def test_the_page_runs_from_an_empty_folder(page: str, tmp_path: Path) -> None:
    folder = tmp_path / "page"
    (folder / "export" / "java" / "target").mkdir(parents=True)
    (folder / "export" / "java" / "target" / JAR.name).symlink_to(JAR)
    scene = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(scene).save(folder / "photo.jpg")
    environment = {**os.environ, **AROUND, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    environment["XDG_STATE_HOME"] = str(tmp_path / "state")
    if page in BEFORE:
        subprocess.run(BEFORE[page], shell=True, cwd=folder, env=environment, check=True, capture_output=True)
    ran = 0
    for number, block in enumerate(blocks(page)):
        if block.kind == "shell":
            if not is_command(block.text) or NOT_RUN.match(block.text):
                continue
            done = subprocess.run(block.text, shell=True, cwd=folder, env=environment, capture_output=True, text=True)
            # A target that the short time does not reach has a code of its own.
            allowed = (0, 4) if "--target-loss" in block.text else (0,)
            assert done.returncode in allowed, f"{page}: {block.text}\n{done.stdout}\n{done.stderr}"
            ran += 1
        elif block.kind in ELSEWHERE.get(page, ()):
            continue
        elif block.saved is not None:
            (folder / block.saved).write_text(block.text)
        elif block.kind == "java":
            if "class " in block.text:
                name = re.search(r"class (\w+)", block.text)
                assert name is not None
                (folder / f"{name[1]}.java").write_text(block.text)
        elif "(rgb)" in block.text:
            compile(block.text, page, "exec")  # a picture of the reader's
        else:
            script = folder / f"block{number}.py"
            script.write_text(f"if __name__ == '__main__':\n{_indented(block.text)}")
            done = subprocess.run(
                [sys.executable, script.name], cwd=folder, env=environment, capture_output=True, text=True
            )
            assert done.returncode == 0, f"{page}: {block.text}\n{done.stdout}\n{done.stderr}"
            ran += 1
    assert ran >= 2, page
    shutil.rmtree(folder)


@pytest.mark.slow
def test_the_backbone_of_the_page_on_networks_is_one(tmp_path: Path) -> None:
    (code,) = (block.text for block in blocks("docs/models.md") if block.kind == "python")
    (tmp_path / "tiny_of_the_page.py").write_text(code)
    about = tmp_path / "tiny_of_the_page-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny_of_the_page\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[yolo_proc.backbones]\ntiny = tiny_of_the_page\n")
    words = [sys.executable, "-m", "yolo_proc", "describe", "--model", "tiny", "--model.strides", "8"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "stride 8" in done.stdout


def _indented(text: str) -> str:
    return "".join(f"    {line}\n" if line else "\n" for line in text.splitlines())


def test_blocks_are_found() -> None:
    kinds = [block.kind for block in blocks("docs/tutorial.md")]
    assert kinds.count("python") == 2
    assert kinds.count("shell") >= 12
    assert [block.saved for block in blocks("docs/tutorial.md") if block.saved] == ["coins.py"]
    assert [block.saved for block in blocks("README.md") if block.saved] == ["dots.py"]


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= 700


@pytest.mark.slow
def test_the_site_is_built_without_a_broken_link(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", "docs", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) >= 20
    loaded = re.compile(r"<(?:script|img)[^>]+src=\"(https?:)?//|<link[^>]+rel=\"stylesheet\"[^>]+href=\"(https?:)?//")
    for path in pages:
        assert not loaded.search(path.read_text(encoding="utf-8")), f"{path} loads something from another host"
    assert "batch-size" in (tmp_path / "site" / "reference" / "options.html").read_text(encoding="utf-8")
