"""One XML file of Pascal VOC: what it says, in whatever encoding it declares, whatever the case of its tags."""

import codecs
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from yolo_proc.annotations.classes import wrong_names
from yolo_proc.annotations.common import is_not_finite, parse_number, read_file, shown
from yolo_proc.annotations.foreign import MEND, xml_format
from yolo_proc.annotations.records import Box
from yolo_proc.errors import AnnotationError

_FLAGS = {"": False, "0": False, "1": True, "false": False, "true": True, "no": False, "yes": True}
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_DECLARED = re.compile(rb"""\s*<\?xml[^>]{0,100}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
# Encodings of Python that are none of texts in files.
_NO_ENCODINGS = {"idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined", "utf-7", "mbcs", "oem"}


@dataclass(frozen=True)
class VocObject:
    """One `<object>`: its class by name, its box as the file counts it, and whether it is `difficult`."""

    name: str
    corners: Box
    difficult: bool


@dataclass(frozen=True)
class VocFile:
    """One XML file.

    Attributes:
        filename: of the picture; empty where the file says none.
        size: (width, height) pixels; None where the file says none, or 0.
        objects: in the file's order.
        left: what is not kept, with the number of objects, by the words of a `Tally`.
    """

    filename: str
    size: tuple[int, int] | None
    objects: tuple[VocObject, ...]
    left: Mapping[str, int] = field(default_factory=dict)


def read_voc(path: Path) -> VocFile:
    """Return the content of one XML file.

    Raises:
        AnnotationError: as of `parse_voc`; it cannot be read, or is not in the encoding that it declares.
    """
    return parse_voc(decoded(read_file(path, what="an XML file"), path), path)


def decoded(data: bytes, path: Path | str) -> str:
    """Return the text of an XML file, in the encoding that its first bytes or its first line say, else UTF-8.

    Raises:
        AnnotationError: an unknown encoding, or bytes that are none of it ("syntax").
    """
    declared = _DECLARED.match(data)
    name = declared[1].decode() if declared is not None else "utf-8"
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            data, name = data[len(mark) :], encoding
    try:
        codec = codecs.lookup(name)
        if codec.name.replace("_", "-") in _NO_ENCODINGS or not getattr(codec, "_is_text_encoding", True):
            raise LookupError
    except LookupError:
        raise AnnotationError(path, "line 1", "an encoding of texts", shown(name), reason="syntax") from None
    try:
        text = data.decode(name)
    except UnicodeDecodeError as error:
        found = f"byte {data[error.start]:#04x} at offset {error.start}"
        mend = "" if declared is not None else " (declare another one in its first line, or save it as UTF-8)"
        raise AnnotationError(path, "", f"text in {name.upper()}{mend}", found, reason="syntax") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parse_voc(text: str, path: Path | str) -> VocFile:
    """Return the content of one XML file.

    Raises:
        AnnotationError: no XML ("syntax"), XML with a document type ("bomb"), or not what VOC demands.
    """
    try:
        root = fromstring(text, forbid_dtd=True)  # where entities and references to other files would stand
    except DefusedXmlException:
        raise AnnotationError(path, "", "XML without a document type", "one", reason="bomb") from None
    except ParseError as error:
        line = error.position[0]
        raise AnnotationError(path, f"line {line}", "XML", str(error).partition(":")[0], reason="syntax") from None
    except (ValueError, LookupError) as error:  # a declaration that says nonsense
        raise AnnotationError(path, "line 1", "XML", str(error)[:80], reason="syntax") from None
    for element in root.iter():
        # `<Annotation>` and `<BndBox>` mean the same; so do tags in a namespace.
        element.tag = f"{element.tag}".rpartition("}")[2].lower()
    foreign = xml_format(root.tag, [child.tag for child in root])
    if root.tag != "annotation" or foreign is not None:
        found = shown(f"<{root.tag}>") if foreign is None else f"{foreign}; {MEND}"
        raise AnnotationError(path, "", "an element <annotation>", found, reason="syntax")
    left: dict[str, int] = {}
    objects = []
    for number, element in enumerate(_objects(root, path)):
        objects.append(_parse_object(element, path, f"object {number}"))
        for what in _left(element):
            left[what] = left.get(what, 0) + 1
    return VocFile(_text(root, "filename", path, ""), _size(root, path), tuple(objects), left)


def _objects(root: Element, path: Path | str) -> list[Element]:
    """Return the `<object>` elements: those of the file, or all of one element in it, such as `<objects>`.

    Raises:
        AnnotationError: objects or boxes elsewhere, which would be lost ("syntax").
    """
    holders = [root, *root]
    with_objects = [holder for holder in holders if holder.find("object") is not None and holder.tag != "object"]
    found = with_objects[0].findall("object") if with_objects else []
    inside = {each for element in found for each in element.iter() if each is element or each.tag != "object"}
    above = {child: parent for parent in root.iter() for child in parent}
    for element in root.iter():
        if element.tag in ("object", "bndbox", "robndbox") and element not in inside:
            where = above[element].tag
            expected = "every <object> in <annotation>, with its box in it"
            raise AnnotationError(path, "", expected, f"<{element.tag}> in <{where}>", reason="syntax")
    return found


def _size(root: Element, path: Path | str) -> tuple[int, int] | None:
    size = _one(root, "size", path, "")
    if size is None:
        return None
    sides = [_whole(size, tag, path) if _text(size, tag, path, "size") else 0 for tag in ("width", "height")]
    return (sides[0], sides[1]) if all(sides) else None


def _parse_object(element: Element, path: Path | str, place: str) -> VocObject:
    name = _text(element, "name", path, place)
    if wrong_names([name]):
        raise AnnotationError(path, place, "a class in <name>", shown(name), reason="class")
    box = _one(element, "bndbox", path, place)
    if box is not None:
        x0, y0, x1, y1 = (_number(box, tag, path, place) for tag in ("xmin", "ymin", "xmax", "ymax"))
    else:
        x0, y0, x1, y1 = _bounds(element, path, place)
    difficult = _text(element, "difficult", path, place).lower()
    if difficult not in _FLAGS:
        raise AnnotationError(path, place, "0 or 1 in <difficult>", shown(difficult), reason="value")
    return VocObject(name, (x0, y0, x1, y1), _FLAGS[difficult])


def _bounds(element: Element, path: Path | str, place: str) -> Box:
    """Tell of an object without `<bndbox>` the bounds of its `<polygon>`.

    Raises:
        AnnotationError: none, or a turned box.
    """
    turned = _one(element, "robndbox", path, place)
    polygon = _one(element, "polygon", path, place)
    if polygon is None:
        found = "none" if turned is None else "a <robndbox>, a turned box; export upright ones"
        raise AnnotationError(path, place, "a <bndbox>", found, reason="value")
    xs: list[float] = []
    ys: list[float] = []
    for child in polygon.iter():  # `<pt><x/><y/></pt>`, or `<x1/><y1/><x2/><y2/>`
        if re.fullmatch(r"[xy]\d*", child.tag):
            (xs if child.tag[0] == "x" else ys).append(_number_of(child.text or "", child.tag, path, place))
    if len(xs) < 3 or len(xs) != len(ys):
        raise AnnotationError(path, place, "a <bndbox>, or a <polygon> of points", "neither", reason="value")
    return min(xs), min(ys), max(xs), max(ys)


def _left(element: Element) -> list[str]:
    """Return what an object says that is not kept."""
    tags = {child.tag for child in element}
    found = []
    if "polygon" in tags:
        box = "(its box is|their boxes are)"
        box = box if "bndbox" in tags else "(its bounds are the box|their bounds are the boxes)"
        found.append(f"(object has an outline|objects have outlines), which (is|are) not kept; {box}")
    if "part" in tags:
        found.append("(object has|objects have) parts with boxes of their own, which are left out")
    for tag in ("truncated", "occluded"):
        if (element.findtext(tag) or "").strip().lower() in ("1", "true", "yes"):
            found.append(f"(object is|objects are) marked {tag}, which is not kept, because it is no share")
    turned = (each.findtext("value") for each in element.iter("attribute") if each.findtext("name") == "rotation")
    if any(value and value.strip("0. ") for value in turned):
        found.append(
            "(object is marked as turned; its box is read as it stands|objects are marked as turned; their boxes "
            "are read as they stand)"
        )
    return found


def _one(element: Element, tag: str, path: Path | str, place: str) -> Element | None:
    """Return the element of that tag.

    Raises:
        AnnotationError: several that say different things: one of them would be lost.
    """
    found = element.findall(tag)
    if len(found) > 1 and len({_content(each) for each in found}) > 1:
        raise AnnotationError(path, place, f"one <{tag}>", f"{len(found)} that differ", reason="value")
    return found[0] if found else None


def _content(element: Element) -> tuple[tuple[str, str], ...]:
    return tuple((each.tag, (each.text or "").strip()) for each in element.iter())


def _text(element: Element, tag: str, path: Path | str, place: str) -> str:
    found = _one(element, tag, path, place)
    return "" if found is None else (found.text or "").strip()


def _number(element: Element, tag: str, path: Path | str, place: str) -> float:
    return _number_of(_text(element, tag, path, place), tag, path, place)


def _number_of(text: str, tag: str, path: Path | str, place: str) -> float:
    try:
        return parse_number(text)
    except ValueError:
        if is_not_finite(text):
            expected = f"a finite number in <{tag}>"
            raise AnnotationError(path, place, expected, shown(text), reason="not-finite") from None
        raise AnnotationError(path, place, f"a number in <{tag}>", shown(text), reason="value") from None


def _whole(element: Element, tag: str, path: Path | str) -> int:
    value = _number(element, tag, path, "size")
    if value != int(value):
        raise AnnotationError(path, "size", f"a whole number in <{tag}>", f"{value:g}", reason="value")
    return int(value)
