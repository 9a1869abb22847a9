"""Generators: the protocol, and how a name becomes one.

    class Dots(Generator):
        classes = ("dot",)

        def draw(self, canvas, rng):
            canvas.background(rng.integers(0, 256, 3))
            canvas.draw(circle(*rng.uniform(0.2, 0.8, 2), 0.1), rng.integers(0, 256, 3), "dot")

A generator is known by its spec, a string: `glyphs` (the entry-point group `yolo_proc.generators`),
`module:Name`, `path/to/file.py:Name`, or a source: `folder:PATH` (annotated pictures), `sprites:PATH` (pictures with
alpha) and `mix:A=0.8,B=0.2`. Worker
processes get the spec and the parameters, never an object: a class from a file does not unpickle where processes are
spawned.
"""

import hashlib
import importlib
import importlib.util
import inspect
import re
import sys
import sysconfig
import traceback
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from importlib.metadata import entry_points
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, ClassVar

import numpy as np

from yolo_proc.config.options import build, nearest
from yolo_proc.config.schema import Config
from yolo_proc.drawing.canvas import Canvas
from yolo_proc.errors import CheckpointError, ConfigError, GeneratorError

ENTRY_POINT_GROUP = "yolo_proc.generators"
# What a spec may begin with, and the `Source` that is meant. They are built of generators, so they are found by name.
SOURCES: Mapping[str, str] = {
    "folder": "yolo_proc.data.folder:Folder",
    "mix": "yolo_proc.data.mix:Mix",
    "sprites": "yolo_proc.data.sprites:Sprites",
}
_EXPECTED = "module:Name or file.py:Name; or folder:PATH, sprites:PATH, or mix:NAME=WEIGHT,NAME=WEIGHT"
_LONGEST_STEM = 60


class Generator(ABC):
    """Base of every scene generator. Parameters: a frozen dataclass whose fields are `option(...)`.

    Attributes:
        classes: the names of the classes, in order; a class variable or a property.
        flip_x, flip_y: the share of scenes that augmentation may mirror. Mirroring changes letters, so 0.
    """

    flip_x: ClassVar[float] = 0.0
    flip_y: ClassVar[float] = 0.0

    @property
    @abstractmethod
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in order."""

    @abstractmethod
    def draw(self, canvas: Canvas, rng: np.random.Generator) -> None:
        """Draw one scene. Every draw of chance comes from `rng`, so that the scene is a function of its index."""


@dataclass(frozen=True, slots=True)
class Place:
    """The address of a scene.

    Attributes:
        seed, stream: of the stream.
        index: of the scene in it, from 0.
    """

    seed: int
    stream: str
    index: int


@dataclass(frozen=True)
class Source(Generator):
    """A generator whose scenes depend on their address in other ways than by chance alone; its spec is a scheme
    and an argument: `folder:data/letters`.

    Attributes:
        argument: what follows the scheme.
    """

    argument: str

    @abstractmethod
    def draw_at(self, canvas: Canvas, place: Place, size: tuple[int, int]) -> None:
        """Draw one scene.

        Args:
            size: (width, height) of the canvas in pixels, as it will be rendered.
        """

    def draw(self, canvas: Canvas, rng: np.random.Generator) -> None:  # noqa: ARG002
        """Not for a source: a scene of it needs an address.

        Raises:
            GeneratorError: always.
        """
        raise GeneratorError("a source draws scenes by their address: use Stream(spec, seed, stream)[index]")

    def check(self, stream: str, augmented: bool) -> None:
        """Asked when a stream is opened.

        Args:
            augmented: whether the stream augments.

        Raises:
            GeneratorError: there is nothing to draw in this stream, or it must not be augmented.
        """

    @property
    def letterboxed(self) -> bool:
        """Whether whole pictures are shrunk into the frame: sizes are then not in units of a picture's shorter side."""
        return False

    def count(self, stream: str) -> int | None:  # noqa: ARG002
        """Return how many different scenes a stream has before they repeat; None: without end."""
        return None

    def flips(self, place: Place) -> tuple[float, float]:  # noqa: ARG002
        """Return the share of scenes like this one that augmentation may mirror: across, upside down."""
        return self.flip_x, self.flip_y

    def title(self, place: Place) -> str:  # noqa: ARG002
        """Return what a person would call that scene, for messages: a picture's path; empty where there is nothing."""
        return ""

    def members(self) -> Mapping[str, Generator]:
        """Return the generators that this one draws from, by spec."""
        return {}

    def contents(self) -> Mapping[str, str]:
        """Return digests of the data that are drawn, by what they are: "pictures", "labels". They define the scenes."""
        return {}

    def notes(self) -> tuple[str, ...]:
        """Return lines for the user: what there is, and what was assumed."""
        return ()

    @classmethod
    def stem(cls, argument: str) -> str:
        """Return a short name for the files and folders of a run; see `file_stem`."""
        return argument

    @classmethod
    def drawn_by(cls, argument: str) -> tuple[str, ...]:  # noqa: ARG003
        """Return the specs of the generators that the argument names; see `code_specs`."""
        return ()


def load_generator(spec: str, parameters: Mapping[str, Any] | None = None) -> Generator:
    """Return the generator that `spec` names, made with `parameters` (checked against its declaration).

    Raises:
        GeneratorError: no such entry point, module, file or class, or the class is no generator.
        ConfigError: a parameter that is not declared or out of range.
    """
    cls = find_generator_class(spec)
    given = {"argument": spec.partition(":")[2]} if issubclass(cls, Source) else {}
    try:
        generator = build(cls, parameters or {}, where=f"generator {spec}: ", **given)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"generator {spec}: {error}") from error
    names: object = generator.classes
    if isinstance(names, str):
        raise GeneratorError(f"generator {spec}: classes must be a tuple of names, found a text: write ({names!r},)")
    names = tuple(generator.classes)
    if not names or len(set(names)) != len(names) or not all(isinstance(name, str) and name for name in names):
        raise GeneratorError(f"generator {spec}: classes must be distinct names, at least one; found {names!r}")
    return generator


def check_class_count(path: Path, trained: Sequence[str], config: Config) -> None:
    """Refuse a generator that has more or fewer classes than a checkpoint.

    Raises:
        CheckpointError: see above.
    """
    drawn = load_generator(config.generator.name, config.generator.parameters).classes
    if len(drawn) != len(trained):
        raise CheckpointError(
            f"{path}: expected its generator {config.generator.name} to draw {len(trained)} classes, as it did in "
            f"training ({', '.join(trained)}), found {len(drawn)} ({', '.join(drawn)})"
        )


def generator_names() -> list[str]:
    """Return the names that are registered as entry points, built-in ones and those of other packages."""
    return sorted({entry.name for entry in entry_points(group=ENTRY_POINT_GROUP)})


def file_stem(spec: str) -> str:
    """Return a name for files, short and without signs that a file system could mind: `folder:data/letters` ->
    `letters`.

    Raises:
        GeneratorError: see `load_generator`.
    """
    scheme, _, rest = spec.partition(":")
    if scheme in SOURCES:
        cls = find_generator_class(spec)
        assert issubclass(cls, Source)
        stem = cls.stem(rest)
    else:
        stem = spec.rpartition(":")[2]
    return re.sub(r"[^\w.-]+", "-", stem).strip("-.")[:_LONGEST_STEM] or scheme


def code_specs(spec: str) -> list[str]:
    """Return the specs whose code would run where `spec` is loaded: itself, or those that a source names. Loads none of
    them.

    Raises:
        GeneratorError: a source whose argument cannot be read.
    """
    scheme, colon, argument = spec.partition(":")
    if not colon or scheme not in SOURCES:
        return [spec]
    source = find_generator_class(spec)  # one of this package
    assert issubclass(source, Source)
    return [code for member in source.drawn_by(argument) for code in code_specs(member)]


def rebased(spec: str, base: Path) -> str:
    """Return a spec whose relative paths count from `base`, where they lead to something there; else the spec itself.

    It may also be that of a pipeline, see `pipeline.py`.
    """
    scheme, colon, rest = spec.partition(":")
    if scheme == "mix" and colon:
        parts = (part.rpartition("=") for part in rest.split(","))
        return "mix:" + ",".join(f"{rebased(name, base)}{equals}{weight}" for name, equals, weight in parts)
    if scheme in ("folder", "sprites") and colon:
        place, behind = rest, ""
    elif spec.rpartition(":")[0].endswith(".py"):
        place, _, name = spec.rpartition(":")
        scheme, behind = "", f":{name}"
    else:
        scheme, place, behind = "", spec, ""
    path = Path(place).expanduser()
    try:
        found = bool(place) and not path.is_absolute() and (base / path).exists()
    except (OSError, ValueError):
        found = False
    return f"{scheme}{':' if scheme else ''}{base / path}{behind}" if found else spec


def find_generator_class(spec: str) -> type[Generator]:
    """Return the class that a spec names.

    Raises:
        GeneratorError: see `load_generator`.
    """
    if spec.partition(":")[0] in SOURCES and ":" in spec:
        spec = SOURCES[spec.partition(":")[0]]
    if ":" not in spec:
        found: Any = _load_entry_point(spec)
    else:
        place, _, name = spec.rpartition(":")
        module = load_file(spec, Path(place)) if place.endswith(".py") else _load_module(spec, place)
        if not hasattr(module, name):
            known = [key for key, value in vars(module).items() if _is_generator_class(value)]
            listed = f"; it has {', '.join(known)}" if known else "; it has no generator"
            raise GeneratorError(f"generator {spec}: {place} has no class {name}{nearest(name, known)}{listed}")
        found = getattr(module, name)
    if not _is_generator_class(found):
        raise GeneratorError(f"generator {spec}: expected a class derived from yolo_proc.Generator, found {found!r}")
    cls: type[Generator] = found
    missing: frozenset[str] = getattr(cls, "__abstractmethods__", frozenset())
    if missing:
        raise GeneratorError(f"generator {spec}: the class defines no {' and no '.join(sorted(missing))}")
    return cls


def _is_generator_class(value: Any) -> bool:
    return inspect.isclass(value) and issubclass(value, Generator) and value not in (Generator, Source)


def _load_entry_point(name: str) -> Any:
    matches = [entry for entry in entry_points(group=ENTRY_POINT_GROUP) if entry.name == name]
    if not matches and name.endswith(".py") and is_file(Path(name)):
        raise GeneratorError(f"generator {name}: expected a class of that file too: {name}:Name")
    if not matches:
        known = generator_names()
        raise GeneratorError(
            f"generator {name}: no such name{nearest(name, known)}; expected {', '.join([*known, _EXPECTED])}"
        )
    try:
        return matches[0].load()
    except (ImportError, AttributeError) as error:
        raise GeneratorError(f"generator {name}: {matches[0].value} does not load: {error}") from error


def _load_module(spec: str, name: str) -> ModuleType:
    if not all(part.isidentifier() for part in name.split(".")):
        raise GeneratorError(f"generator {spec}: expected a name, {_EXPECTED}")
    try:
        return importlib.import_module(name)
    except Exception as error:
        toml = name.endswith(".toml")
        if isinstance(error, ModuleNotFoundError) and (toml or is_file(Path(name))):
            hint = "; options in TOML stand behind --config" if toml else ""
            raise GeneratorError(f"generator {spec}: expected {_EXPECTED}, found the file {name}{hint}") from error
        hint = "; a file is named file.py:Name" if is_file(Path(f"{name}.py")) else ""
        raise GeneratorError(f"generator {spec}: module {name} cannot be imported: {_told(error)}{hint}") from error


def load_file(spec: str, path: Path, what: str = "generator") -> ModuleType:
    """Return the module of a user's file, run once a process.

    Args:
        spec: how the user named it; what: what it is to give, for messages.

    Raises:
        GeneratorError: there is no such file, or it fails.
    """
    if not is_file(path):
        raise GeneratorError(f"{what} {spec}: no file {path} (looked in {Path.cwd()})")
    key = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
    module_name = f"_yolo_proc_file_{key}"
    if module_name in sys.modules:
        return sys.modules[module_name]
    module_spec = importlib.util.spec_from_file_location(module_name, path, loader=_FromSource(module_name, str(path)))
    assert module_spec is not None
    assert module_spec.loader is not None
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[module_name] = module  # dataclasses look their own module up
    try:
        module_spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[module_name]
        raise GeneratorError(f"{what} {spec}: {path} cannot be imported: {_told(error)}") from error
    return module


def is_file(path: Path) -> bool:
    """Return whether it is a file; a path that no file can have is none, where `Path.is_file` may raise."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


class _FromSource(SourceFileLoader):
    """Runs the file that was named, and not byte code that somebody put into a `__pycache__` beside it."""

    def get_code(self, fullname: str) -> CodeType:
        """Return the compiled source."""
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code


def _told(error: Exception) -> str:
    """Return `ValueError: text (file.py:3)`: an error of the user's module, with the line of it that failed."""
    if isinstance(error, ImportError):
        return str(error)
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}: {error.msg}"
    frame = user_frame(error)
    place = f" ({frame.filename}:{frame.lineno})" if frame is not None else ""
    return f"{type(error).__name__}: {error}{place}"


def user_frame(error: BaseException) -> traceback.FrameSummary | None:
    """Return the last line of an error's trace that is the user's own: not of Python, a library or this package."""
    others = (Path(__file__).parents[1], *map(Path, {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}))
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        installed = {"site-packages", "dist-packages"} & set(path.parts)
        if not installed and not frame.filename.startswith("<") and not any(one in path.parents for one in others):
            return frame
    return None
