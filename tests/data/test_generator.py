"""How a spec becomes a generator, and what is said when it does not."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from yolo_proc.data.generator import Generator, find_generator_class, generator_names, load_generator
from yolo_proc.drawing.canvas import Canvas
from yolo_proc.errors import ConfigError, GeneratorError

ROOT = Path(__file__).parents[2]

MODULE = '''
from dataclasses import dataclass
from yolo_proc.drawing.canvas import Canvas, circle
from yolo_proc.data.generator import Generator
from yolo_proc.config.options import option

@dataclass(frozen=True)
class Dots(Generator):
    """Round things."""
    classes = ("dot",)
    count: int = option(1, help="how many", low=1, high=9)
    def draw(self, canvas, rng):
        canvas.background((0, 0, 0))
        for _ in range(self.count):
            canvas.draw(circle(*rng.uniform(0.2, 0.8, 2), 0.1), (255, 255, 255), "dot")

class Half(Generator):
    classes = ("x",)

class Named(Generator):
    classes = ("a", "a")
    def draw(self, canvas, rng): ...

class Empty(Generator):
    classes = ()
    def draw(self, canvas, rng): ...

class Picky(Generator):
    classes = ("x",)
    def __init__(self):
        raise ValueError("never on a Monday")
    def draw(self, canvas, rng): ...

class NoGenerator: ...

class Text(Generator):
    classes = "dot"
    def draw(self, canvas, rng): ...
'''


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with `dots.py`, on the import path and current."""
    (tmp_path / "dots.py").write_text(MODULE)
    (tmp_path / "broken.py").write_text("def f(:\n")
    (tmp_path / "needs.py").write_text("import no_such_package\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name in ("dots", "broken", "needs"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def objects_of(generator: Generator) -> int:
    canvas = Canvas()
    generator.draw(canvas, np.random.default_rng(0))
    return len(canvas.render(64, 64, None, generator.classes).objects)


@pytest.mark.parametrize(("spec", "classes"), [("glyphs", ("A", "O", "M")), ("shapes", None)])
def test_built_in_names(spec: str, classes: tuple[str, ...] | None) -> None:
    generator = load_generator(spec)
    assert classes is None or generator.classes == classes
    assert len(generator.classes) >= 3
    assert spec in generator_names()


@pytest.mark.parametrize("spec", ["dots:Dots", "dots.py:Dots", "./dots.py:Dots"])
def test_a_module_and_a_file(place: Path, spec: str) -> None:
    assert objects_of(load_generator(spec)) == 1
    assert objects_of(load_generator(spec, {"count": "3"})) == 3
    assert load_generator(f"{place}/dots.py:Dots").classes == ("dot",)


def test_a_file_is_loaded_once(place: Path) -> None:
    assert find_generator_class("dots.py:Dots") is find_generator_class(f"{place}/dots.py:Dots")


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ("glyfs", r"generator glyfs: no such name \(did you mean glyphs\?\); expected .*shapes.*file.py:Name"),
        ("", "generator : no such name"),
        ("no_such_module:Name", "module no_such_module cannot be imported: No module named 'no_such_module'"),
        ("needs:Name", "module needs cannot be imported: No module named 'no_such_package'"),
        ("n.toml:Dots", "expected module:Name .*, found the file n.toml; options in TOML stand behind --config"),
        ("dots.pyx:Dots", "module dots.pyx cannot be imported"),
        (":Dots", "expected a name, module:Name or file.py:Name"),
        ("..dots:Dots", "expected a name, module:Name or file.py:Name"),
        ("nowhere.py:Dots", "generator nowhere.py:Dots: no file nowhere.py"),
        ("broken.py:Dots", "broken.py:1: invalid syntax"),
        ("broken:Dots", "broken.py:1: invalid syntax"),
        ("needs.py:Dots", "no_such_package"),
        ("dots:Dot", r"dots has no class Dot \(did you mean Dots\?\); it has Dots, Half"),
        ("dots:", "dots has no class"),
        ("json:loads", "expected a class derived from yolo_proc.Generator, found <function"),
        ("json:Name", "it has no generator"),
        ("dots:NoGenerator", "expected a class derived from yolo_proc.Generator"),
        ("dots:Generator", "expected a class derived from yolo_proc.Generator"),
        ("dots:Half", "generator dots:Half: the class defines no draw"),
        ("dots:Named", r"classes must be distinct names, at least one; found \('a', 'a'\)"),
        ("dots:Empty", r"at least one; found \(\)"),
    ],
)
def test_what_is_no_generator_is_refused(place: Path, spec: str, complaint: str) -> None:
    with pytest.raises(GeneratorError, match=complaint) as caught:
        load_generator(spec)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "parameters", "complaint"),
    [
        ("dots:Dots", {"cound": 1}, r"generator dots:Dots: cound: no such option \(did you mean count\?\)"),
        ("dots:Dots", {"count": 10}, "generator dots:Dots: count: expected a number from 1 to 9, found 10"),
        ("dots:Picky", {}, "generator dots:Picky: never on a Monday"),
        ("dots:Named", {"count": 1}, "there are none to set"),
    ],
)
def test_parameters_are_checked(place: Path, spec: str, parameters: dict[str, object], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        load_generator(spec, parameters)


def installed(place: Path, entry: str) -> None:
    """What an installed third-party package leaves on the path: its module and its metadata."""
    (place / "their_package.py").write_text(MODULE)
    info = place / "their_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[yolo_proc.generators]\n{entry}\n")


def test_a_third_party_package_registers_its_own(tmp_path: Path) -> None:
    installed(tmp_path, "their-dots = their_package:Dots")
    code = """
from yolo_proc.data.generator import generator_names, load_generator
assert "their-dots" in generator_names() and "glyphs" in generator_names(), generator_names()
print(load_generator("their-dots", {"count": 2}).count)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert run.stdout == "2\n", run.stderr


@pytest.mark.parametrize("target", ["no_such_module:Dots", "their_package:Nothing"])
def test_a_registration_that_leads_nowhere_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    installed(tmp_path, f"theirs = {target}")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "their_package", raising=False)
    with pytest.raises(GeneratorError, match=f"generator theirs: {target} does not load"):
        load_generator("theirs")


@pytest.mark.parametrize("spec", ["broken.py:Dots", "broken:Dots"])
def test_an_error_of_the_users_module_is_told_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str
) -> None:
    (tmp_path / "broken.py").write_text("import math\n\nraise ValueError('on purpose')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(GeneratorError, match=r"cannot be imported: ValueError: on purpose \(.*broken\.py:3\)"):
        load_generator(spec)


def test_a_forgotten_comma_is_told(tmp_path: Path) -> None:
    path = tmp_path / "comma.py"
    path.write_text(MODULE)
    with pytest.raises(GeneratorError, match=r"classes must be a tuple .* write \('dot',\)"):
        load_generator(f"{path}:Text")


def test_a_file_without_a_class_name_is_told(place: Path) -> None:
    with pytest.raises(GeneratorError, match=r"expected a class of that file too: dots\.py:Name"):
        load_generator("dots.py")
