"""Writes results down: as JSON, as annotated pictures and videos, or as a data set."""

import json
import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, TextIO

import cv2
import numpy as np
from numpy.typing import NDArray

from yolo_proc.annotations.about import VERSION, about_bytes
from yolo_proc.annotations.classes import SET_FILE
from yolo_proc.annotations.formats import FORMATS
from yolo_proc.annotations.layout import Listed
from yolo_proc.annotations.records import Annotation, Item
from yolo_proc.datasets.scenefiles import encode_picture
from yolo_proc.datasets.setwriter import FileSet, has_files, loss_lines, write_error, write_whole
from yolo_proc.detection.nms import DecodeConfig, Detections
from yolo_proc.errors import DataError, one_line
from yolo_proc.export.sources import Frame, MediaSource
from yolo_proc.export.views import View
from yolo_proc.imaging.pictures import orientation_of, picture_bytes
from yolo_proc.system.files import create
from yolo_proc.system.output import encodable

QUALITY = 95  # of JPEG
_JPEG = (".jpg", ".jpeg")


class Writer(Protocol):
    """Takes what was found, frame by frame."""

    def add(self, frame: Frame, found: Any) -> None:
        """Take a frame that was read."""

    def close(self) -> None:
        """Do what is left after the last one."""

    def notes(self) -> list[str]:
        """Return what it has left out or changed, lines for the user."""


class Cuts:
    """How many pictures had more than the limits let through: what is left out must not look like nothing."""

    def __init__(self, limits: DecodeConfig) -> None:
        self._limits = limits
        self._cut = 0
        self._uncompared = 0

    def count(self, found: Detections) -> Detections:
        """Look at a picture's detections, and give them back."""
        self._cut += found.cut
        self._uncompared += found.uncompared > 0
        return found

    def notes(self) -> list[str]:
        """Return a line for each limit that was met."""
        lines = []
        if self._cut:
            most = f"{self._limits.max_detections:,} objects"
            lines.append(f"pictures with more than {most}: {self._cut:,}; the rest is left out (--max-detections)")
        if self._uncompared:
            most = f"{self._limits.max_candidates:,} candidates"
            lines.append(
                f"pictures with more than {most}: {self._uncompared:,}; the least confident are not looked at "
                "(--confidence)"
            )
        return lines


class JsonWriter:
    """One array, a line a frame; a frame that cannot be read has an "error" in place of its result."""

    def __init__(self, out: TextIO, view: View) -> None:
        self._out = out
        self._view = view
        self._before = "[\n"

    def add(self, frame: Frame, found: Any) -> None:
        """Print it."""
        self._print(self._view.to_dict(frame, found))

    def add_error(self, frame: Frame) -> None:
        """Print what cannot be read."""
        self._print({"file": encodable(frame.source.name), "error": encodable(frame.error)})

    def close(self) -> None:
        """End the array."""
        print("[]" if self._before == "[\n" else "\n]", file=self._out)

    def notes(self) -> list[str]:
        """Return none: it has everything."""
        return []

    def _print(self, entry: dict[str, Any]) -> None:
        print(self._before + json.dumps(entry, allow_nan=False), end="", file=self._out, flush=True)
        self._before = ",\n"


class TextWriter:
    """A line a frame, for people."""

    def __init__(self, out: TextIO, view: View) -> None:
        self._out = out
        self._view = view

    def add(self, frame: Frame, found: Any) -> None:
        """Print it."""
        name = one_line(frame.source.name)
        where = name if frame.number is None else f"{name} frame {frame.number}"
        print(f"{where}: {self._view.words(found)}", file=self._out, flush=True)

    def close(self) -> None:
        """Nothing is left to do."""

    def notes(self) -> list[str]:
        """Return none: it has everything."""
        return []


# ------------------------------------------------------------------------------------------------ annotated


class _Names:
    """File names that are given out once."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self.numbered = 0

    def of(self, stem: str) -> str:
        """Return the stem, with a number behind it if it was given out before."""
        name, number = stem, 2
        while name.casefold() in self._taken:
            name, number = f"{stem}_{number}", number + 1
        self._taken.add(name.casefold())
        self.numbered += number > 2
        return name


class AnnotatedWriter:
    """Pictures with what was found on them: JPEG for JPEG, else PNG; a video for a video or camera."""

    def __init__(self, root: Path, view: View) -> None:
        self.root = root
        self._view = view
        self._names = _Names()
        self._video: _Video | None = None
        self._resized = 0
        if root.exists() and not root.is_dir():
            raise DataError(f"{root}: expected a folder to write to, found a file")

    def add(self, frame: Frame, found: Any) -> None:
        """Write the picture, or the next frame of its video.

        Raises:
            DataError: it cannot be written.
        """
        assert frame.rgb is not None, "only a frame that was read is drawn"
        picture = self._view.drawn(frame.rgb, found)
        if frame.number is not None:
            self._add_to_video(frame, picture)
            return
        kind = "jpg" if Path(frame.source.name).suffix.lower() in _JPEG else "png"
        path = self.root / f"{self._names.of(frame.source.stem)}.{kind}"
        write_whole(path, encode_picture(picture, kind, QUALITY))

    def close(self) -> None:
        """End a video that is being written."""
        if self._video is not None:
            self._video.close()
            self._video = None

    def notes(self) -> list[str]:
        """Return results that got another name, frames that got another size."""
        named, sized = self._names.numbered, self._resized
        lines = [f"results with a number behind their name, because another has it: {named:,}"] if named else []
        return lines + ([f"frames of another size than the first, drawn in its size: {sized:,}"] if sized else [])

    def _add_to_video(self, frame: Frame, picture: NDArray[np.uint8]) -> None:
        if self._video is None or self._video.source is not frame.source:
            self.close()
            path = self.root / f"{self._names.of(frame.source.stem)}.mp4"
            self._video = _Video(path, frame.source, frame.fps, (picture.shape[1], picture.shape[0]))
        self._resized += self._video.add(picture)


class _Video:
    """A video file, whole under its name when it is closed."""

    def __init__(self, path: Path, source: MediaSource, fps: float, size: tuple[int, int]) -> None:
        self.source = source
        self._path = path
        self._part = path.with_name(f".{path.stem}.part{path.suffix}")
        self._size = size
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise write_error(path, error) from error
        if encodable(str(path)) != str(path):
            raise DataError(f"{path}: cannot be written: OpenCV takes only names in UTF-8; give another --out")
        try:
            os.close(create(self._part))  # OpenCV would write through a link
        except OSError as error:
            raise write_error(path, error) from error
        self._writer = cv2.VideoWriter(str(self._part), cv2.VideoWriter.fourcc(*"mp4v"), fps, size)
        if not self._writer.isOpened():
            raise DataError(f"{path}: cannot be written as a video of {size[0]} x {size[1]}")

    def add(self, picture: NDArray[np.uint8]) -> bool:
        """Return one more frame; whether it had another size, as a camera's may."""
        other = (picture.shape[1], picture.shape[0]) != self._size
        if other:
            picture = np.asarray(cv2.resize(picture, self._size), dtype=np.uint8)
        self._writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        return other

    def close(self) -> None:
        """Give the file its name."""
        self._writer.release()
        try:
            self._part.replace(self._path)
        except OSError as error:
            raise write_error(self._path, error) from error


# ------------------------------------------------------------------------------------------------- data set


class SetWriter:
    """A data set of what was found: the pictures themselves with their annotations; frames of videos as JPEG."""

    def __init__(self, root: Path, format_name: str, classes: Sequence[str]) -> None:
        if has_files(root):
            raise DataError(f"{root}: expected an empty folder or none, found files in it; give another --out")
        make = FORMATS[format_name].layout
        assert make is not None, f"{format_name} has files"
        self.root = root
        self._format = format_name
        self._classes = tuple(classes)
        self._files = FileSet(root, make(self._classes, ("train",)))
        self._listed: list[Listed] = []
        self._names = _Names()
        self._renamed: list[str] = []
        self._lost: Counter[str] = Counter()
        self._outside = 0

    def add(self, frame: Frame, found: Detections) -> None:
        """Write a picture with its labels.

        Raises:
            DataError: it cannot be written.
        """
        assert frame.rgb is not None, "only a frame that was read is labelled"
        suffix, content = _content_of(frame, upright=self._format == "scredit")
        stem = re.sub(r"[^\w-]+", "_", frame.source.stem) or "picture"  # no format minds these
        if frame.number is not None:
            stem = f"{stem}_{frame.number:06d}"
        name, items = f"{self._names.of(stem)}{suffix}", tuple(items_of(found))
        own = Path(frame.source.name).name
        if frame.number is None and name != own:
            self._renamed.append(f"{one_line(own)} as {name}")
        self._outside += len(found) - len(items)
        annotation = Annotation(name, frame.rgb.shape[1], frame.rgb.shape[0], items)
        self._lost += self._files.put([("train", annotation, content)])
        self._listed += self._files.layout.listed([annotation])

    def close(self) -> None:
        """Write the files of the whole set."""
        self._files.finish({"train": self._listed})
        about = {
            "version": VERSION,
            "format": self._format,
            "classes": list(self._classes),
            "generator": None,
            "augmented": False,
            "complete": True,
        }
        write_whole(self.root / SET_FILE, about_bytes(about))

    def notes(self) -> list[str]:
        """Return pictures of another name, objects without a label, and what the format cannot say."""
        lines = loss_lines(self._format, self._lost)
        if self._renamed:
            lines.append(f"pictures with another name in {self.root}: {len(self._renamed):,} ({self._renamed[0]}, ...)")
        if self._outside:
            lines.append(f"objects wholly beside their picture, left out: {self._outside:,}")
        return lines


def items_of(found: Detections) -> list[Item]:
    """Return detections as annotations; a box that lies wholly in what surrounds a picture has no area, and is no
    item.
    """
    rows = zip(found.box_xyxy.tolist(), found.class_ids.tolist(), found.confidence.tolist(), strict=True)
    return [
        Item((x0, y0, x1, y1), category=class_id, confidence=confidence)
        for (x0, y0, x1, y1), class_id, confidence in rows
        if x0 < x1 and y0 < y1
    ]


def _content_of(frame: Frame, *, upright: bool) -> tuple[str, bytes]:
    """Return suffix and bytes of a frame's picture: its own file's where every format takes it.

    Args:
        upright: the format's readers know nothing of EXIF, and must get what the boxes mean.
    """
    assert frame.rgb is not None, "only a frame that was read has content"
    if frame.number is not None:
        return ".jpg", encode_picture(frame.rgb, "jpg", QUALITY)
    path = Path(frame.source.name)
    if path.suffix.lower() in (*_JPEG, ".png"):
        content = picture_bytes(path)
        if not upright or orientation_of(content) == 1:
            return path.suffix.lower(), content
    return ".png", encode_picture(frame.rgb, "png", 0)
