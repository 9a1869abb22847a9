"""Sources of frames: pictures, folders of them, video files, cameras, one frame after another."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from yolo_proc.errors import AnnotationError, DataError
from yolo_proc.imaging.pictures import OTHER_SUFFIXES, SUFFIXES, read_picture, unread_pictures
from yolo_proc.imaging.reading import PictureReading
from yolo_proc.system.files import UnreadableFileError, check_regular
from yolo_proc.system.native_stderr import caught
from yolo_proc.system.output import encodable

VIDEO_SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".ts"})
_ADDRESS = re.compile(r" @ 0x[0-9a-f]+")  # of FFmpeg's decoder, another one in each run
USUAL_FPS = 25.0  # where a video does not say

Kind = Literal["picture", "video", "camera"]


@dataclass(frozen=True)
class MediaSource:
    """One thing to look at.

    Attributes:
        name: as the user named it, or the path of a file in a folder that was named.
        camera: its index; -1 for a file.
    """

    kind: Kind
    name: str
    camera: int = -1

    @property
    def stem(self) -> str:
        """A name for files."""
        return f"camera{self.camera}" if self.kind == "camera" else Path(self.name).stem


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a source, or why there is none.

    Attributes:
        number: of the frame from 0; None for a picture.
        rgb: uint8 (H, W, 3); None where `error` says why.
        fps: frames a second of a video.
    """

    source: MediaSource
    rgb: NDArray[np.uint8] | None
    number: int | None = None
    error: str = ""
    fps: float = USUAL_FPS


def find_sources(
    words: Sequence[str], out: Path | None = None, say: Callable[[str], None] = lambda _: None
) -> list[MediaSource]:
    """Return what some words name; folders are searched with all folders in them, in the order of their names.

    Args:
        words: files, folders, or numbers of cameras.
        out: a folder whose files are results, and no sources.
        say: takes a line about what is passed over in a folder.

    Raises:
        DataError: no such file, or a folder without a picture or a video.
    """
    found: list[MediaSource] = []
    for word in words:
        path = Path(word)
        if path.is_dir():
            linked: list[str] = []
            files = list(_files_in(path, out, linked))
            if linked:
                of = "folders are links and are" if len(linked) > 1 else "folder is a link and is"
                say(f"{word}: {len(linked):,} {of} not searched (first: {linked[0]}); name it to have it searched")
            unread = unread_pictures(files)
            inside = [_file(one) for one in files if one.suffix.lower() not in OTHER_SUFFIXES]
            if not inside:
                none = "none in it" if unread is None else f"none that is read: {unread}"
                raise DataError(f"{word}: expected a folder with pictures or videos, found {none}")
            if unread is not None:
                say(f"{word}: {unread}")
            found += inside
        elif path.exists():
            found.append(_file(path))
        elif word.isascii() and word.isdigit() and len(word) < 4:
            found.append(MediaSource("camera", word, int(word)))
        else:
            raise DataError(f"{word}: no such picture, folder, video or camera (looked in {Path.cwd()})")
    return found


def _file(path: Path) -> MediaSource:
    return MediaSource("video" if path.suffix.lower() in VIDEO_SUFFIXES else "picture", str(path))


def _files_in(folder: Path, out: Path | None, linked: list[str]) -> Iterator[Path]:
    """Yield videos, and pictures of any kind; folders that are links, which may lead in a circle, are added to
    `linked`.
    """
    wanted = SUFFIXES | OTHER_SUFFIXES | VIDEO_SUFFIXES
    left_out = None if out is None else out.resolve()
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if left_out is not None:
            folders[:] = [name for name in folders if Path(place, name).resolve() != left_out]
        linked += [f"{place}/{name}" for name in folders if Path(place, name).is_symlink()]
        for name in sorted(names):
            if not name.startswith(".") and Path(name).suffix.lower() in wanted:
                yield Path(place, name)


def count_frames(sources: Sequence[MediaSource], limit: int | None = None) -> int | None:
    """Return how many frames there will be, by what the videos say of themselves; None where a camera has no end."""
    total = 0
    for source in sources:
        if source.kind == "picture" or _bad_name(source):
            total += 1
            continue
        if source.kind == "camera":
            if limit is None:
                return None
            total += limit
            continue
        try:
            with caught():
                capture = _opened(source)
                count = max(1, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
                capture.release()
        except UnreadableFileError:
            total += 1
            continue
        total += count if limit is None else min(count, limit)
    return total


def frames_of(
    source: MediaSource,
    *,
    limit: int | None = None,
    stop: Callable[[], bool] = lambda: False,
    reading: PictureReading | None = None,
) -> Iterator[Frame]:
    """Yield the frames of a source; one with an `error` for what cannot be read.

    Args:
        reading: how pictures are read; it learns what was seen.
        limit: how many of a video or camera.
        stop: asked before each frame of a video or camera.
    """
    if source.kind == "picture":
        try:
            yield Frame(source, read_picture(source.name, reading=reading))
        except AnnotationError as error:
            yield Frame(source, None, error=str(error))
        return
    if _bad_name(source):
        yield Frame(source, None, error=_bad_name(source))
        return
    try:
        with caught():
            capture = _opened(source)
    except UnreadableFileError as error:
        yield Frame(source, None, error=str(error))
        return
    try:
        fps = float(capture.get(cv2.CAP_PROP_FPS))
        fps = fps if 1 <= fps <= 1000 else USUAL_FPS
        number = 0
        while (limit is None or number < limit) and not stop():
            with caught() as complaints:  # FFmpeg's
                there, bgr = capture.read()
            if not there:
                break
            if complaints and reading is not None:
                reading.is_damaged(f"{source.name}: frame {number}", _ADDRESS.sub("", complaints[0]))
            yield Frame(source, cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), number, fps=fps)
            number += 1
        if number == 0 and not stop():
            yield Frame(source, None, error=_nothing_in(source))
    finally:
        with caught():
            capture.release()


def missing_frames(source: MediaSource, read: int, limit: int | None = None) -> str:
    """Return a line for a video that ended well before its header says; empty for any other source."""
    if source.kind != "video" or read < 2 or _bad_name(source) or (limit is not None and read >= limit):
        return ""
    with caught():
        capture = _opened(source)
        promised = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        capture.release()
    if promised - read < max(2, promised // 50):  # some headers only estimate
        return ""
    return f"{source.name}: {read:,} frames could be read of the {promised:,} that its header promises"


def _nothing_in(source: MediaSource) -> str:
    if source.kind == "video":
        return f"{source.name}: expected a video that OpenCV can read, found no frame in it"
    return (
        f"camera {source.camera}: expected one that gives pictures, found none; is it there, in use by another "
        "program, or not yours to read?"
    )


def _bad_name(source: MediaSource) -> str:
    """Return why OpenCV must not get a video's name; empty where it may: a name that is no UTF-8 ends the process."""
    if encodable(source.name) == source.name:
        return ""
    return f"{source.name}: expected a video's name in UTF-8, found another, which OpenCV cannot take; rename the file"


def _opened(source: MediaSource) -> cv2.VideoCapture:
    """Return the video or camera, as OpenCV has it.

    Raises:
        UnreadableFileError: no plain file; OpenCV would wait for a pipe.
    """
    if source.kind == "video":
        check_regular(source.name, "a video")
    # What is wrong with a file is said once, by us.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    if source.kind == "camera":
        return cv2.VideoCapture(source.camera)
    # Threads of FFmpeg's would print while nobody catches it, and of another frame than the one that is read.
    capture = cv2.VideoCapture(source.name, cv2.CAP_ANY, [cv2.CAP_PROP_N_THREADS, 1])
    return capture if capture.isOpened() else cv2.VideoCapture(source.name)  # by what knows no such setting
