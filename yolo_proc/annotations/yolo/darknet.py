"""`obj.data` of Darknet, and of tools that write for it: lists of pictures, and a file of class names.

    classes = 2
    train = data/train.txt
    valid = data/valid.txt
    names = data/obj.names

Its paths were relative to Darknet's own folder: what follows `data/` counts, from the folder of the file.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from yolo_proc.annotations.classes import MAX_CLASSES, read_name_list
from yolo_proc.annotations.common import Folder, read_text, shown
from yolo_proc.annotations.yolo.data_yaml import VAL_IS_TRAIN, Description, after_data
from yolo_proc.errors import AnnotationError

USUAL = "obj.data"
MAX_BYTES = 1 << 16


def find_darknet(root: Path) -> Path | None:
    """Return the `obj.data` of a folder, the only other `.data` in it, or the file itself where the user named one.

    Darknet's own folder has it in `data` or in `cfg`.
    """
    if root.suffix.lower() == ".data" and root.is_file():
        return root
    for place in (root, root / "data", root / "cfg"):
        if (place / USUAL).is_file():
            return place / USUAL
        try:
            files = [place / name for name in sorted(os.listdir(place)) if name.lower().endswith(".data")]  # noqa: PTH208
        except OSError:
            continue
        files = [path for path in files if _describes(path)]
        if len(files) == 1:
            return files[0]
    return None


def _describes(path: Path) -> bool:
    try:
        return "train" in _values(path)
    except AnnotationError:
        return False


def _values(path: Path) -> dict[str, str]:
    pairs = (
        line.partition("=") for line in read_text(path, MAX_BYTES).split("\n") if not line.lstrip().startswith("#")
    )
    return {key.strip().lower(): value.strip().replace("\\", "/") for key, sign, value in pairs if sign}


def read_darknet(file: Path, folder: Folder) -> Description:
    """Return what `obj.data` says of the set in `folder`.

    Raises:
        AnnotationError: no list of pictures for training, other names than there are classes, paths that lead out of
            the folder.
    """
    values = _values(folder.checked(file))
    train = _path(values, "train", file, folder)
    if train is None:
        train = next((path for path in (folder.path / "obj_train_data",) if path.is_dir()), None)
    if train is None:
        expected, found = "a list of pictures", shown(values.get("train", ""))
        raise AnnotationError(file, "train", expected, f"no file {found}", reason="value")
    sources = {"train": (train,)}
    val = _path(values, "valid", file, folder)
    if val is not None and val != train:
        sources["val"] = (val,)
    test = _path(values, "test", file, folder)
    notes = [
        f"{file}: `{key}` names {values[key]}, which is not there"
        for key, path in (("valid", val), ("test", test))
        if values.get(key) and path is None
    ]
    if val == train:
        notes.append(f"{file}: {VAL_IS_TRAIN.format('valid')}")
    names, count = _names(values, file, folder)
    unread = () if test is None else (test,)
    return Description(folder.path, file, sources, names, count, unread=unread, notes=tuple(notes))


def _path(values: Mapping[str, str], key: str, file: Path, folder: Folder) -> Path | None:
    """Return the file or folder of a key; None where there is none."""
    name = values.get(key, "")
    if not name:
        return None
    try:
        found = folder.named(name, folder.path, file, key)
        if found.exists():
            return found
    except AnnotationError:
        if after_data(name) is None:
            raise
    inner = after_data(name)
    found = folder.named(inner, folder.path, file, key) if inner is not None else found
    return found if found.exists() else None


def _names(values: Mapping[str, str], file: Path, folder: Folder) -> tuple[tuple[str, ...] | None, int]:
    """Return the class names and, where there are none, how many classes there are."""
    said = values.get("classes", "")
    count = int(said) if said.isascii() and said.isdigit() and len(said) < 9 else 0
    if count > MAX_CLASSES:
        raise AnnotationError(file, "classes", f"a number up to {MAX_CLASSES}", said, reason="value")
    path = _path(values, "names", file, folder)
    if path is None:
        return None, count
    names = read_name_list(folder.checked(path))
    if said and count != len(names):
        expected = f"{len(names)}, as {path} has names"
        raise AnnotationError(file, "classes", expected, shown(said), reason="class")
    return names, 0
