"""An input: the files that one reader is given, in memory and on disk, and damage to them.

A tree is a mapping of relative paths to bytes or to something that is no regular file. A reader of one file has a tree
of one entry.
"""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from attack.mutate import one_of
from attack.mutate_formats import damage_file

Rng = np.random.Generator

NAMES = (
    *("a b.jpg", " a.jpg", "a.jpg ", "-v.jpg", "a\nb.jpg", "a\tb.jpg", "\x1b[31m.jpg", "\u202egpj.a.jpg", "\u00e9.jpg"),
    *(
        "e\u0301.jpg",
        "\udcff\udcfe.jpg",
        "%s.jpg",
        "a'b.jpg",
        'a"b.jpg',
        "$(id).jpg",
        "a\\b.jpg",
        ".jpg",
        ".a.jpg",
        "a",
        "a.",
    ),
    *(
        "A.JPG",
        "a.b.jpg",
        "a.jpg.txt",
        "a.jpeg",
        "a.jfif",
        "con.jpg",
        "x" * 200 + ".jpg",
        "\U0001f600.png",
        "a.txt",
        "a.json",
    ),
    *("a.xml", "classes.txt", "data.yaml", "train.txt", "Thumbs.db", "a.gif", "a.heic", "a.mp4", "a.tif", "\u2028.jpg"),
)


@dataclass(frozen=True)
class Special:
    """What is no regular file: a folder, a symbolic link, a named pipe, or a sparse file of so many bytes."""

    kind: Literal["folder", "link", "pipe", "sparse"]
    target: str = ""
    size: int = 0


Content = bytes | Special
Tree = Mapping[str, Content]


class Room:
    """A folder in memory whose content is one tree after another; only what differs is written.

    `place/tree` is what the reader is given. Beside it lies a file that no reader may reach.
    """

    OUTSIDE = b"nobody reads this"

    def __init__(self, place: Path) -> None:
        self.place = place
        self.root = place / "tree"
        self._there: dict[str, Content] = {}
        (place / "outside.txt").write_bytes(self.OUTSIDE)
        self.root.mkdir()

    def put(self, tree: Tree) -> Path:
        """Makes the folder the tree; its path."""
        if not (_is_plain(self._there) and _is_plain(tree)) or _folders(self._there) != _folders(tree):
            self.clear()
        for gone in self._there.keys() - tree.keys():
            (self.root / gone).unlink()
            del self._there[gone]
        for path, content in tree.items():
            if self._there.get(path) is not content:
                _write(self.root / path, content)
                self._there[path] = content
        return self.root

    def clear(self) -> None:
        """Removes everything, also what a command wrote there."""
        shutil.rmtree(self.root, ignore_errors=True)
        self.root.mkdir(exist_ok=True)
        self._there = {}


def _is_plain(tree: Tree) -> bool:
    """Whether all of it are regular files, and none is where a folder must be."""
    if any(isinstance(content, Special) for content in tree.values()):
        return False
    folders = _folders(tree)
    return not any(path in folders or any(folder.startswith(f"{path}/") for folder in folders) for path in tree)


def _folders(tree: Tree) -> set[str]:
    """What the files lie in."""
    return {path.rpartition("/")[0] for path in tree}


def _write(path: Path, content: Content) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif content.kind == "folder":
            path.mkdir()
        elif content.kind == "link":
            path.symlink_to(content.target)
        elif content.kind == "pipe":
            os.mkfifo(path)
        else:
            with path.open("wb") as file:
                file.truncate(content.size)
    except (FileExistsError, NotADirectoryError, IsADirectoryError, ValueError):
        pass  # a damage has put a file where a folder was: what cannot be there is not


def put_tree(root: Path, tree: Tree) -> Path:
    """Writes a tree to a folder."""
    root.mkdir(parents=True, exist_ok=True)
    for path, content in tree.items():
        _write(root / path, content)
    return root


def tree_of(root: Path) -> dict[str, Content]:
    """The regular files of a folder, and its empty folders."""
    found: dict[str, Content] = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_file():
            found[name] = path.read_bytes()
        elif path.is_dir() and not any(path.iterdir()):
            found[name] = Special("folder")
    return found


def damage_tree(tree: Tree, rng: Rng, *, only: str = "", whole: float = 0.3) -> tuple[dict[str, Content], str]:
    """One damage to a tree: to the content of a file, or to which files there are.

    Args:
        only: a part of the path of the files whose content may be damaged; all of them where it is empty.
        whole: how often the damage is to which files there are.
    """
    damaged = dict(tree)
    files = [path for path, content in damaged.items() if isinstance(content, bytes) and only in path]
    if not files:
        return damaged, "nothing to damage"
    if rng.random() < whole:
        return damaged, _damage_files(damaged, rng)
    # Texts more often than pictures, of which there are more and which have readers of their own.
    texts = [path for path in files if path.rpartition(".")[2].lower() in ("json", "yaml", "xml", "txt", "toml", "csv")]
    path = one_of(texts if texts and rng.random() < 0.7 else files, rng)
    content = damaged[path]
    assert isinstance(content, bytes)
    damaged[path], note = damage_file(path, content, rng)
    return damaged, f"{path}: {note}"


def _damage_files(tree: dict[str, Content], rng: Rng) -> str:
    """Changes which files there are; what was done."""
    path, other = one_of(list(tree), rng), one_of(list(tree), rng)
    folder = path.rpartition("/")[0]
    below = f"{folder}/" if folder else ""
    kind = int(rng.integers(12))
    if kind == 0:
        del tree[path]
        return f"{path}: missing"
    if kind == 1:
        tree[path] = b""
        return f"{path}: empty"
    if kind == 2:
        tree[path], tree[other] = tree[other], tree[path]
        return f"{path}: swapped with {other}"
    if kind == 3:
        tree[path] = Special("folder")
        return f"{path}: a folder"
    if kind == 4:
        up = "../" * path.count("/")
        to = one_of(
            (f"{up}../outside.txt", "/etc/hostname", path.rpartition("/")[2], ".", "..", "/dev/zero", "/", "x", up), rng
        )
        tree[path] = Special("link", to or ".")
        return f"{path}: a link to {to}"
    if kind == 5:
        tree[path] = Special("pipe")
        return f"{path}: a pipe"
    if kind == 6:
        name = below + one_of(NAMES, rng)
        tree[name] = tree.pop(path)
        return f"{path}: is called {name!r}"
    if kind == 7:
        name = below + one_of(NAMES, rng)
        tree[name] = tree[other]
        return f"{name!r}: a copy of {other}"
    if kind == 8:
        tree[path] = Special("sparse", size=int(one_of((1, 5000, 20 << 20, 3 << 30), rng)))
        return f"{path}: sparse"
    if kind == 9 and folder:
        return _move_folder(
            tree, folder, one_of((f"{folder}s", folder.upper(), "x", "..x", "\u00e9", "a b", "train"), rng)
        )
    if kind == 10 and folder:
        for inside in [one for one in tree if one.startswith(below)]:
            del tree[inside]
        tree[folder] = one_of((b"", b"a", Special("folder"), Special("link", "."), Special("pipe")), rng)
        return f"{folder}: {tree[folder]!r} in place of the folder"
    tree[path.rpartition(".")[0] + one_of((".txt", ".jpg", ".png", ".json", ".xml", ".yaml", ""), rng)] = tree.pop(path)
    return f"{path}: another suffix"


def _move_folder(tree: dict[str, Content], folder: str, name: str) -> str:
    for inside in [one for one in tree if one.startswith(f"{folder}/")]:
        tree[name + inside[len(folder) :]] = tree.pop(inside)
    return f"{folder}: is called {name!r}"
