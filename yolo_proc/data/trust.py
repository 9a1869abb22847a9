"""Whose code may run. A file that somebody else may have written is data: naming a generator in it runs nothing.

A checkpoint and a configuration file name the generator that draws their scenes, and to load a generator is to run its
code. That happens only where the code is

- registered by an installed package (the built-in generators are), by name, by module or by the path of that module;
- named by the user: on the command line, in Python, or by `--trust` or `YOLO_PROC_TRUST=on` for what a file names;
- what `train` has run for this user before: the same file or module at its place, or a file with the same content.

What `train` has run is remembered in `$XDG_STATE_HOME/yolo_proc/trusted` (`~/.local/state/...`), an empty file each,
named by a digest. It lies outside of every run's folder, so nothing in a run can claim it; a folder that others could
write to is not believed.
"""

import hashlib
import importlib.util
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

from yolo_proc.config.options import SWITCH_WORDS, shown
from yolo_proc.data.generator import ENTRY_POINT_GROUP, code_specs, is_file
from yolo_proc.errors import ConfigError, GeneratorError
from yolo_proc.system.files import GIB, UnreadableFileError, read_bytes

VARIABLE = "YOLO_PROC_TRUST"
HINT = f"if you trust it, add --trust, or set {VARIABLE}=on"
_LONGEST_PATH = 500
_WORDS = {**SWITCH_WORDS, "1": True, "0": False, "": False}


def require_trust(spec: str, where: str, what: str = "generator") -> None:
    """Refuse a generator whose code nobody has allowed; load nothing.

    Args:
        where: what names it, for the message: "run.toml: generator.name".
        what: the kind of code that it names.

    Raises:
        GeneratorError: it says what would be run, and how to allow it.
        ConfigError: the environment variable has no such value.
    """
    if _trusted_by_environment():
        return
    for code in map(_Code.of, code_specs(spec)):
        if code is not None and not code.is_installed() and not any(map(_is_remembered, code.marks())):
            if code.file is not None and not is_file(code.file):
                raise GeneratorError(
                    f"{where}: names the {what} {shown(spec, _LONGEST_PATH)}, and there is no file {code.place}"
                )
            raise GeneratorError(
                f"{where}: names the {what} {shown(spec, _LONGEST_PATH)}, whose code would be run: {code.place}; it "
                f"belongs to no installed package, and {_why_unknown()}, so nothing of it was run; {HINT}"
            )


def remember(spec: str) -> str:
    """Keep in mind that this user trained with a generator; return a line where that cannot be kept, else nothing."""
    marks = [
        mark
        for code in map(_Code.of, code_specs(spec))
        if code is not None and not code.is_installed()
        for mark in code.marks()
    ]
    if not marks:
        return ""
    folder = _state_folder()
    try:
        if folder is None:
            raise OSError("there is no home folder")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _is_ours(folder):
            raise OSError("the folder is not yours alone")
        for mark in marks:
            with suppress(FileExistsError):
                os.close(os.open(_record(folder, mark), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as error:
        if _trusted_by_environment():
            return ""
        place = folder or "XDG_STATE_HOME"
        return (
            f"{place}: cannot be written ({error.strerror or error}), so it is not remembered that you trained with "
            f"{spec}: commands that take this run will ask for --trust or {VARIABLE}=on"
        )
    return ""


def _trusted_by_environment() -> bool:
    word = os.environ.get(VARIABLE, "")
    if word.lower() not in _WORDS:
        raise ConfigError(f"{VARIABLE}: expected on or off, found {shown(word)}")
    return _WORDS[word.lower()]


# ------------------------------------------------------------------------------------------- what would run


@dataclass(frozen=True)
class _Code:
    """The code that a spec names.

    Attributes:
        module: its dotted name, empty for a file.
        file: where it lies; None for a module that is not found without importing anything.
    """

    module: str
    file: Path | None

    @classmethod
    def of(cls, spec: str) -> "_Code | None":
        """Return none for a spec that runs nothing which is not installed: a registered name, or one that is not
        found.
        """
        place, colon, _ = spec.rpartition(":")
        if not colon:
            return None
        if place.endswith(".py"):
            return cls("", _resolved(Path(place)))
        return cls(place, _module_file(place))

    @property
    def place(self) -> str:
        """For messages."""
        return (
            shown(str(self.file), _LONGEST_PATH)
            if self.file is not None
            else f"module {shown(self.module, _LONGEST_PATH)}"
        )

    def is_installed(self) -> bool:
        """Return whether it is a module that an installed package registers."""
        modules = {entry.module for entry in entry_points(group=ENTRY_POINT_GROUP)}
        return self.module in modules or (self.file is not None and self.file in map(_module_file, modules))

    def marks(self) -> Iterator[str]:
        """Yield what it is remembered by: its place, and of a file its content, which may have moved."""
        yield f"module {self.module} at {self.file}" if self.module else f"file {self.file}"
        if not self.module and self.file is not None and is_file(self.file):
            with suppress(UnreadableFileError):
                content = read_bytes(self.file, GIB, "a generator", text=True)
                yield f"content {hashlib.sha256(content).hexdigest()}"


def _resolved(path: Path) -> Path:
    """Return the file behind links; a path that no file can have is given back."""
    try:
        return path.resolve()
    except (OSError, ValueError, RuntimeError):
        return path


def _module_file(name: str) -> Path | None:
    """Return the file of a module, found without running anything: of `a.b`, `find_spec` would import `a`."""
    top, *rest = name.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError, AttributeError):
        return None
    if spec is None:
        return None
    if not rest:
        return _resolved(Path(spec.origin)) if spec.has_location and spec.origin is not None else None
    for folder in spec.submodule_search_locations or ():
        stem = Path(folder).joinpath(*rest)
        for file in (stem / "__init__.py", stem.with_name(f"{stem.name}.py")):
            if file.is_file():
                return _resolved(file)
    return None


# ---------------------------------------------------------------------------------------- what is remembered


def _state_folder() -> Path | None:
    """Return where the records lie; None where this user has no home."""
    given = os.environ.get("XDG_STATE_HOME", "")
    try:
        base = Path(given) if given and Path(given).is_absolute() else Path.home() / ".local" / "state"
    except RuntimeError:  # a user that the system does not know, as in containers
        return None
    return base / "yolo_proc" / "trusted" if base.is_absolute() else None


def _why_unknown() -> str:
    """Return why it is not known that this user trained with a generator."""
    folder, given = _state_folder(), os.environ.get("XDG_STATE_HOME", "")
    if folder is None:
        return "there is no home folder with a record of what you have trained with"
    if folder.exists() and not _is_ours(folder):
        return (
            f"the record of what you have trained with is not believed, because others may write to {folder} (chmod "
            "go-w it, or own it)"
        )
    if given and not Path(given).is_absolute():
        return f"{folder} does not say that you have trained with it (XDG_STATE_HOME={shown(given)} is not absolute)"
    return "you have not trained with it here"


def _is_ours(folder: Path) -> bool:
    """Return whether nobody else can have put something there."""
    try:
        about = folder.stat()
    except OSError:
        return False
    if not hasattr(os, "geteuid"):
        return True
    return about.st_uid == os.geteuid() and not about.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _record(folder: Path, mark: str) -> Path:
    return folder / hashlib.sha256(mark.encode(errors="surrogateescape")).hexdigest()


def _is_remembered(mark: str) -> bool:
    folder = _state_folder()
    return folder is not None and _is_ours(folder) and _record(folder, mark).is_file()
