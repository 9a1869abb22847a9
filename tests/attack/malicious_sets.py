"""Malicious data sets: what their texts, pictures, names and links can do."""

import json
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from tiny_sets import write_set

from attack.malicious import Malicious
from attack.malicious_pictures import PICTURES
from attack.targets_sets import CLASSES, some_annotations

LABELS, YAML, COCO = "labels/train/b.txt", "data.yaml", "annotations/instances_train.json"
VOC, SCRIPT, ABOUT = "Annotations/b.xml", "annotations/b.json", "yolo_proc.json"
HEAD = "train: images/train\nval: images/val\n"
LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{b}: &{b} [{','.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdefghi", "bcdefghij", strict=True)
)
ENTITIES = "".join(f"<!ENTITY l{n} '{f'&l{n - 1};' * 10}'>" for n in range(1, 11))
DEEP = 100_000

# (name, the text of data.yaml)
YAMLS = (
    ("an object that runs a command", HEAD + "names: !!python/object/apply:os.system ['touch RAN']\n"),
    ("a new object", HEAD + "names: !!python/object/new:os.system ['touch RAN']\n"),
    ("a module", HEAD + "names: !!python/module:antigravity\n"),
    ("a name of Python", HEAD + "names: !!python/name:os.system\n"),
    ("a tag that nobody knows", HEAD + "names: !evil [a]\n"),
    ("a billion laughs", HEAD + LAUGHS + "names: *j\n"),
    ("an alias of itself", HEAD + "names: &a [*a]\n"),
    ("merged keys without end", HEAD + "a: &a {<<: *a}\nnames: [a]\n"),
    ("brackets in brackets", HEAD + "names: " + "[" * DEEP + "]" * DEEP + "\n"),
    ("maps in maps", HEAD + "names: " + "{a: " * 20_000 + "1" + "}" * 20_000 + "\n"),
    ("a number of 5,000 digits", HEAD + "nc: " + "9" * 5000 + "\nnames: [a, b, c]\n"),
    ("a number of 401 digits", HEAD + "nc: " + "9" * 401 + "\n"),
    ("a number of base 60", HEAD + "nc: " + "1:" * 20_000 + "1\n"),
    ("10^12 classes", HEAD + "nc: 1000000000000\n"),
    ("class number 10^18", HEAD + "names: {1000000000000000000: a}\n"),
    ("a class with an escape", HEAD + 'names: ["\\e[31ma", "b", "c"]\n'),
    ("a class of two lines", HEAD + 'names: ["a\\nyolo_proc: all is well", "b", "c"]\n'),
    ("pictures of the system", "train: /etc\nval: /etc\nnames: [a]\n"),
    ("pictures from outside", "train: ../outside\nval: ../outside\nnames: [a]\n"),
    ("a list from outside", "train: ../outside/secret.txt\nval: images/val\nnames: [a]\n"),
    ("pictures from a server", "train: http://127.0.0.1:9/x\nval: images/val\nnames: [a]\n"),
    ("a path of 70,000 signs", "train: " + "a/" * 35_000 + "\nval: images/val\nnames: [a]\n"),
    ("100,000 folders", "train: [" + "images/train," * DEEP + "]\nval: images/val\nnames: [a, b, c]\n"),
    ("a day that is none", HEAD + "names: [2001-99-99]\n"),
    ("bytes that are no base 64", HEAD + "names: !!binary ()\n"),
    ("a document after it", HEAD + "names: [a, b, c]\n---\n- x\n"),
    ("another root", "- a\n"),
    ("20 MB", HEAD + "names: [a, b, c]\nx: " + "y" * 20_000_000 + "\n"),
)

XMLS = (
    ("a file of the system", "<!DOCTYPE a [<!ENTITY x SYSTEM 'file:OUTSIDE'>]><annotation><filename>&x;</filename>"
     "</annotation>"),
    ("a billion laughs in XML", f"<!DOCTYPE a [<!ENTITY l0 'l'>{ENTITIES}]><annotation>&l10;</annotation>"),
    ("quadratic entities", f"<!DOCTYPE a [<!ENTITY x '{'x' * 50_000}'>]><annotation>{'&x;' * 50_000}</annotation>"),
    ("a document type elsewhere", "<!DOCTYPE a SYSTEM 'http://127.0.0.1:9/x.dtd'><annotation/>"),
    ("a parameter entity", "<!DOCTYPE a [<!ENTITY % x SYSTEM 'file:OUTSIDE'> %x;]><annotation/>"),
    ("included XML", "<annotation xmlns:x='http://www.w3.org/2001/XInclude'><x:include href='OUTSIDE' parse='text'/>"
     "</annotation>"),
    ("elements in elements", "<annotation>" + "<a>" * DEEP + "</a>" * DEEP + "</annotation>"),
    ("an encoding of Python", "<?xml version='1.0' encoding='hex'?><annotation/>"),
    ("a size of 5,000 digits", f"<annotation><size><width>{'9' * 5000}</width><height>24</height></size></annotation>"),
    ("a corner of 401 digits", "<annotation><object><name>a</name><bndbox><xmin>" + "9" * 401 + "</xmin><ymin>1</ymin>"
     "<xmax>2</xmax><ymax>2</ymax></bndbox></object></annotation>"),
    ("another picture by its name", "<annotation><filename>../../outside/secret.txt</filename></annotation>"),
    ("a class with an escape in XML", "<annotation><object><name>&#155;31m</name></object></annotation>"),
    ("100,000 attributes", "<annotation " + " ".join(f"a{n}='1'" for n in range(DEEP)) + "/>"),
)  # fmt: skip

LINES = (
    ("a class of 5,000 digits", "9" * 5000 + " 0.5 0.5 0.5 0.5\n"),
    ("class 10^18 in a line", "1000000000000000000 0.5 0.5 0.5 0.5\n"),
    ("class 10^8 in a line", "100000000 0.5 0.5 0.5 0.5\n"),
    ("a side of 401 digits", "0 0.5 0.5 0.5 " + "9" * 401 + "\n"),
    ("a line of 15 MB", "0 " + "0.5 " * 3_750_000 + "\n"),
    ("a million lines", "0 0.5 0.5 0.5 0.5\n" * 800_000),
    ("NUL in a line", "0 0.5 0.5 0.5 0.5\0\n"),
    ("an escape in a line", "0 0.5 0.5 0.5 \x1b]0;x\x07\n"),
)

SCRIPTS = (
    ("brackets in brackets in a script", '{"items":' + "[" * DEEP),
    ("5,000 digits in a script", '{"items":[{"bounds":[1,1,2,' + "9" * 5000 + "]}]}"),
    ("category 10^9 in a script", '{"items":[{"bounds":[1,1,2,2],"p":{"category":1000000000}}]}'),
    ("a comment of 10 MB", "/*" + "*" * 10_000_000 + "*/{}"),
    ("a comment without an end", "/*" * 1_000_000),
    ("a text of backslashes", '{"items":[{"":"t","s":"' + "\\\\" * 1_000_000),
)

ABOUTS = (
    ("brackets in brackets in yolo_proc.json", "[" * DEEP),
    ("5,000 digits in yolo_proc.json", '{"version":' + "1" * 5000 + "}"),
    ("a class with an escape in yolo_proc.json", '{"version":1,"classes":["\\u001b[31m","b","c"]}'),
    ("half a sign in yolo_proc.json", '{"version":1,"classes":["\\ud800","b","c"]}'),
    (
        "a binary set without end",
        '{"version":1,"format":"binary","binary":{"size":[1e9,1e9],"stride":1,"anchors":[[1,1]]}}',
    ),
)


def _coco(**changes: Any) -> dict[str, Any]:
    """COCO with one annotation, whose fields are changed; `image` changes the picture, `category` the category."""
    image = {"id": 1, "file_name": "b.png", "width": 24, "height": 32, **changes.pop("image", {})}
    category = {"id": 1, "name": "a", **changes.pop("category", {})}
    one = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "area": 12, "iscrowd": 0, "segmentation": []}
    return {"images": [image], "categories": [category], "annotations": [{**one, **changes}]}


COCOS: tuple[tuple[str, str], ...] = (
    ("brackets in brackets in COCO", '{"images":' + "[" * DEEP),
    ("5,000 digits in COCO", json.dumps(_coco()).replace("12", "9" * 5000)),
    ("401 digits in COCO", json.dumps(_coco()).replace("[1, 2", "[" + "9" * 401 + ", 2")),
    ("no number in COCO", json.dumps(_coco(bbox=[float("nan")] * 4))),
    *((f"{name} in COCO", json.dumps(_coco(**changes))) for name, changes in (
        ("a picture from outside", {"image": {"file_name": "../../outside/secret.txt"}}),
        ("a picture of the system", {"image": {"file_name": "/etc/passwd"}}),
        ("a picture with NUL", {"image": {"file_name": "b\0.png"}}),
        ("a picture with an escape", {"image": {"file_name": "\x1b]0;x\x07.png"}}),
        ("a picture of two lines", {"image": {"file_name": "b\nyolo_proc: all is well.png"}}),
        ("half a sign", {"image": {"file_name": "\ud800.png"}}),
        ("a picture of 10^18", {"image": {"width": 10**18, "height": 10**18}}),
        ("a class with an escape", {"category": {"name": "\x1b[31m"}}),
        ("a category of 10^30", {"category": {"id": 10**30}, "category_id": 10**30}),
        ("runs of 10^18", {"iscrowd": 1, "segmentation": {"size": [32, 24], "counts": [10**18, 10**18]}}),
        ("a mask of 10^9 squared", {"iscrowd": 1, "segmentation": {"size": [10**9, 10**9], "counts": [5, 5]}}),
        ("a million runs", {"iscrowd": 1, "segmentation": {"size": [32, 24], "counts": [0] * 1_000_000}}),
        ("runs as a long text", {"iscrowd": 1, "segmentation": {"size": [32, 24], "counts": "o" * 1_000_000}}),
        ("a polygon of a million", {"segmentation": [[1.0, 2.0] * 500_000]}),
        ("100,000 polygons", {"segmentation": [[1, 2, 3, 2, 3, 4]] * DEEP}),
    )),
)  # fmt: skip


def cases() -> Iterator[Malicious]:
    """All of this module."""
    for format_name, group, path, texts in (
        ("yolo", "data.yaml", YAML, YAMLS),
        ("yolo", "label lines", LABELS, LINES),
        ("voc", "Pascal VOC", VOC, XMLS),
        ("coco", "COCO", COCO, COCOS),
        ("scredit", "scredit", "train/" + SCRIPT, SCRIPTS),
        ("yolo", "yolo_proc.json", ABOUT, ABOUTS),
    ):
        for name, text in texts:
            codes = (0, 2) if name in HARMLESS else (2,)
            yield Malicious(name, group, partial(_text, format_name, path, text), _convert(format_name), codes)
    for name, content in PICTURES.items():
        # One bad picture of a set is a finding of `inspect`; `predict` of it alone has nothing left.
        yield Malicious(f"{name}, inspected", "pictures", partial(_picture, content), INSPECT, (0,))
        codes = (0,) if name in HARMLESS else (2,)
        yield Malicious(f"{name}, predicted", "pictures", partial(_picture, content), PREDICT, codes)
    yield from _odd_files()
    yield from _names()


INSPECT = ("inspect", "{in}", "--out", "{out}")  # reads every pixel
PREDICT = ("predict", "{in}/images/train/b.png", "--model", "{model}", "--json")

# What may be read: nothing in it does any harm.
HARMLESS = frozenset({
    "a number of base 60", "100,000 folders", "a day that is none", "a document after it", "20 MB", "included XML",
    "100,000 attributes", "another picture by its name",
    "a file of the system", "a million lines", "a comment of 10 MB",
    "a million runs in COCO", "100,000 polygons in COCO", "a polygon of a million in COCO", "merged keys without end",
    "a mask of 10^9 squared in COCO", "an encoding of Python", "5,000 digits in COCO", "elements in elements",
    "a class with an escape in XML", "a number of 401 digits", "a binary set without end", "a TIFF in a circle",
    "text of 100 MB in a PNG", "9,999 squared in few bytes", "a JPEG of 9,999 squared",
    "100,000 chunks in a PNG", "EXIF in a circle", "runs of 10^18 in COCO",
    "runs as a long text in COCO", "a name of Python",
    "a module",
})  # fmt: skip


def _convert(format_name: str) -> tuple[str, ...]:
    return ("convert", "{in}", "--to", "yolo" if format_name == "coco" else "coco", "--out", "{out}")


def _set(format_name: str, root: Path) -> None:
    write_set(root, format_name, some_annotations(), CLASSES)
    if format_name == "voc":
        (root / "yolo_proc.json").unlink()


def _text(format_name: str, path: str, text: str, root: Path) -> None:
    _set(format_name, root)
    if path == YAML:
        (root / "yolo_proc.json").unlink()
    for word, meant in (("RAN", root.parent / "ran"), ("OUTSIDE", root.parent / "outside" / "secret.txt")):
        text = text.replace(word, str(meant))
    assert (root / path).exists(), path
    (root / path).write_bytes(text.encode("utf-8", "surrogatepass"))


def _picture(content: Callable[[], bytes], root: Path) -> None:
    _set("yolo", root)
    (root / "images/train/b.png").write_bytes(content())


def _odd_files() -> Iterator[Malicious]:
    """Pipes, devices, links, folders and huge files in place of each kind of file."""
    for format_name, path in (
        *(("yolo", YAML), ("yolo", LABELS), ("yolo", ABOUT), ("yolo", "images/train/b.png"), ("coco", COCO)),
        *(("voc", VOC), ("voc", "ImageSets/Main/train.txt"), ("scredit", "train/" + SCRIPT), ("coco", "train/b.png")),
    ):
        for name, make in ODD.items():
            # A set without its label file, or with a link inside of itself, is one that can be read.
            yield Malicious(
                f"{path} is {name}",
                "pipes, devices, links",
                partial(_odd, format_name, path, make),
                _convert(format_name),
                (0, 2),
            )


def _odd(format_name: str, path: str, make: Callable[[Path], None], root: Path) -> None:
    _set(format_name, root)
    (root / path).unlink()
    make(root / path)


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(3 << 30)


ODD: dict[str, Callable[[Path], None]] = {
    "a pipe": os.mkfifo,
    "a link to a device": lambda path: path.symlink_to("/dev/zero"),
    "a link outside": lambda path: path.symlink_to(
        os.path.relpath(_root(path) / "outside" / "secret.txt", path.parent)
    ),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a folder": lambda path: path.mkdir(),
    "3 GB of nothing": _sparse,
}


def _root(path: Path) -> Path:
    """The folder that holds `in` and `outside`."""
    return next(above for above in path.parents if (above / "outside").is_dir())


def _names() -> Iterator[Malicious]:
    """Pictures with names that a console, a shell or a file system takes for something else."""
    names = {
        "colour": "\x1b[31ma.png", "a title": "\x1b]0;x\x07.png", "two lines": "a\nyolo_proc: all is well.png",
        "bytes": "\udcff\udcfe.png",
        "the other direction": "\u202egnp.a.png", "a line separator": "a\u2028b.png", "a command": "$(touch RAN).png",
        "an option": "--out=x.png", "a format": "%s%n{0}.png", "250 bytes": "a" * 246 + ".png", "blanks": " a .png",
    }  # fmt: skip
    for name, file in names.items():
        yield Malicious(f"a picture called by {name}", "names", partial(_named, file), _convert("yolo"), (0, 2))
        yield Malicious(
            f"a damaged picture called by {name}",
            "names",
            partial(_named, file, damaged=True),
            _convert("yolo"),
            (0, 2),
        )
    for link in (
        ".yolo_proc.json.part",
        "yolo_proc.json",
        "data.yaml",
        ".data.yaml.part",
        "images",
        ".lock",
        ".chunks",
    ):
        words = (
            "generate",
            "--count",
            "2",
            "--format",
            "yolo",
            "--out",
            "{in}",
            "--generator",
            "shapes",
            "--image-size",
            "64",
        )
        yield Malicious(f"a link called {link} in the output", "planted links", partial(_planted, link), words, (0, 2))


def _named(name: str, root: Path, *, damaged: bool = False) -> None:
    _set("yolo", root)
    there = root / "images/train"
    content = (there / "b.png").read_bytes()
    (there / name.replace("RAN", "ran")).write_bytes(content[:40] if damaged else content)


def _planted(name: str, root: Path) -> None:
    (root / name).symlink_to("../outside" if name == "images" else "../outside/secret.txt")
