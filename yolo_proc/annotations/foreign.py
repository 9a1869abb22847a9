"""Formats that are none of ours, known by their signs, so that a message can name them and say what to do."""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from yolo_proc.system.files import UnreadableFileError, read_bytes

MEND = "export it as COCO, YOLO or Pascal VOC"

_MOST_BYTES = 1 << 20  # of a file that is only looked at
_MOST_FILES = 20
_BY_SUFFIX = {
    ".csv": "a table (CSV)",
    ".tfrecord": "TFRecord files",
    ".tfrecords": "TFRecord files",
    ".manifest": "a SageMaker Ground Truth manifest",
    ".jsonl": "JSON lines",
    ".ndjson": "JSON lines (Labelbox and others)",
    ".parquet": "Parquet files",
    ".mat": "MATLAB files",
}


def _first(value: Any) -> Mapping[str, Any]:
    """Return the first object of a list, or of an object's values; an empty one where there is none."""
    values: Iterable[Any] = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    found = next(iter(values), None)
    return found if isinstance(found, Mapping) else {}


def _has(keys: str, **kinds: type) -> Callable[[Mapping[str, Any]], bool]:
    """Return whether an object has all the keys, some of them with values of a type."""
    wanted = {*keys.split(), *kinds}
    return lambda top: wanted <= top.keys() and all(isinstance(top[key], kind) for key, kind in kinds.items())


def _is_cvat_json(top: Mapping[str, Any]) -> bool:
    return _has("tags", shapes=list)(_first(top))


# What the object at the top of a file looks like, its keys in small letters. The first that fits counts.
_OBJECTS: tuple[tuple[str, Callable[[Mapping[str, Any]], bool]], ...] = (
    ("COCO panoptic segments", lambda top: "segments_info" in _first(top.get("annotations"))),
    ("COCO captions", lambda top: "caption" in _first(top.get("annotations"))),
    ("LabelMe", lambda top: _has("", shapes=list)(top) and bool({"imagepath", "imagedata", "imageheight"} & {*top})),
    ("Supervisely", _has("", objects=list, size=dict)),
    ("ISAT", _has("", objects=list, info=dict)),
    ("Cityscapes", _has("imgheight imgwidth", objects=list)),
    ("Mapillary Vistas", _has("height width", objects=list)),
    ("VIA (VGG Image Annotator)", lambda top: any(key.startswith("_via_") for key in top)),
    ("VIA (VGG Image Annotator)", lambda top: _has("filename regions")(_first(top))),
    ("VIA 3 (VGG Image Annotator)", _has("", project=dict, config=dict, file=dict)),
    ("BDD100K", lambda top: _has("", frames=list)(top) and bool({"name", "attributes", "config"} & {*top})),
    ("BDD100K", lambda top: _has("name", labels=list)(top)),
    ("Datumaro", _has("", categories=dict, items=list)),
    ("V7 Darwin", lambda top: _has("", annotations=list)(top) and ("item" in top or _has("", image=dict)(top))),
    ("SuperAnnotate", _has("", instances=list, metadata=dict)),
    ("Hasty", lambda top: "project_name" in top and "labels" in _first(top.get("images"))),
    ("Vertex AI", _has("imagegcsuri")),
    ("Labelbox", lambda top: bool({"data_row", "labeled data", "datarow id"} & {*top})),
    ("Scale AI", lambda top: _has("task_id")(top) or _has("", response=dict)(top)),
    ("Label Studio JSON", lambda top: _is_label_studio(top)),
    ("CreateML", lambda top: _is_create_ml(top)),
    ("GeoJSON", lambda top: top.get("type") == "FeatureCollection"),
    ("FiftyOne's own JSON", lambda top: _has("", samples=list)(top) or _has("", classes=list, labels=dict)(top)),
    ("Pascal VOC as JSON", lambda top: _has("", annotation=dict)(top)),
)


def _is_label_studio(top: Mapping[str, Any]) -> bool:
    return isinstance(top.get("data"), Mapping) and bool({"annotations", "completions", "predictions"} & {*top})


def _is_create_ml(top: Mapping[str, Any]) -> bool:
    named = bool({"image", "imagefilename"} & {*top})
    return named and bool({"coordinates", "label"} & {*_first(top.get("annotations"))})


# What the first object of a list at the top looks like.
_LISTS: tuple[tuple[str, Callable[[Mapping[str, Any]], bool]], ...] = (
    ("COCO results (predictions, no data set)", _has("image_id category_id")),
    ("Label Studio JSON", _is_label_studio),
    ("Label Studio JSON-MIN", lambda top: "annotation_id" in top and "id" in top),
    ("CreateML", _is_create_ml),
    ("CVAT's task JSON", _has("", shapes=list, tags=list)),
)


def json_format(value: Any) -> str | None:
    """Return the name of the format that a JSON file's value is of; None: none that is known here."""
    if isinstance(value, Mapping):
        top = {str(key).lower(): inner for key, inner in value.items()}
        return next((name for name, fits in _OBJECTS if fits(top)), None)
    first = _first(value) if isinstance(value, list) else {}
    named = next((name for name, fits in _LISTS if first and fits(first)), None)
    return named or (json_format(first) if first else None)


def shown_json(value: Any) -> str:
    """Return what a JSON file holds, for a message: a format by its name, with what to do; else the keys, or the
    kind.
    """
    name = json_format(value)
    if name is not None:
        return f"{name}; {MEND}"
    if isinstance(value, Mapping):
        keys = ", ".join(repr(key)[:24] for key in list(value)[:6])
        return f"the keys {keys}{', ...' if len(value) > 6 else ''}" if value else "an empty object"
    return "a list" if isinstance(value, list) else repr(value)[:60]


def xml_format(tag: str, children: Iterable[str]) -> str | None:
    """Return the name of the format of an XML file, by its outer element and those in it, in small letters."""
    inside = {*children}
    if tag == "annotations" and inside & {"image", "track", "meta", "version"}:
        return "CVAT's XML"
    if tag == "annotation" and "imagesize" in inside:
        return "LabelMe's XML"
    return {"dataset": "imglab's XML", "tagset": "an XML tag set", "kml": "KML"}.get(tag)


def format_in(root: Path) -> tuple[str, Path] | None:
    """Return the name of a format that is none of ours, of the first file in a folder that tells, and that file.

    Looks at a few files of the folder and of those in it.
    """
    folders = [root, *sorted(path for path in _inside(root) if path.is_dir() and not path.name.startswith("."))[:10]]
    for folder in folders:
        files = sorted(path for path in _inside(folder) if path.suffix.lower() in (".json", ".xml", *_BY_SUFFIX))
        for path in files[:_MOST_FILES]:
            name = _BY_SUFFIX.get(path.suffix.lower()) or _looked_at(path)
            if name is not None:
                return name, path
    return None


def _inside(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _looked_at(path: Path) -> str | None:
    try:
        data = read_bytes(path, _MOST_BYTES, "a text")
        if path.suffix.lower() == ".xml":
            return "CVAT's XML" if b"<annotations" in data[:400] else None
        return json_format(json.loads(data.decode("utf-8-sig")))
    except (UnreadableFileError, ValueError, RecursionError):
        return None
