"""Markers that OpenCV's own detectors find where the boxes say they are."""

import cv2
import numpy as np
import pytest

from yolo_proc.config.schema import AugmentConfig
from yolo_proc.data.generator import load_generator
from yolo_proc.data.stream import Stream
from yolo_proc.errors import GeneratorError

STILL = AugmentConfig(enabled=False)


def clean(**parameters: object) -> Stream:
    given = {"worn": 0.0, "size": (0.2, 0.3), "tilt": 0.1, "max_objects": 1, **parameters}
    return Stream("markers", 0, "train", parameters=given, image_size=640, augment=STILL)


def test_aruco_markers_lie_where_opencv_finds_them() -> None:
    stream = clean(qr=0.0, dictionaries=("5x5",))
    detector = cv2.aruco.ArucoDetector(cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_5X5_250))
    seen = found = 0
    for index in range(24):
        scene = stream[index]
        corners, _, _ = detector.detectMarkers(cv2.cvtColor(scene.image, cv2.COLOR_RGB2GRAY))
        for thing in scene.objects:
            assert thing.class_id == 0
            seen += 1
            boxes = [np.concatenate([one[0].min(axis=0), one[0].max(axis=0)]) for one in corners]
            # OpenCV counts pixel centres from 0, and finds corners to a pixel or so.
            found += any(np.abs(box + 0.5 - thing.box).max() < 3 for box in boxes)
    assert seen >= 8
    assert found >= 0.7 * seen, (found, seen)


def test_qr_codes_can_be_read_in_their_boxes() -> None:
    stream = clean(qr=1.0, tilt=0.05, size=(0.3, 0.3))
    reader = cv2.QRCodeDetector()
    seen = read = 0
    for index in range(16):
        scene = stream[index]
        for thing in scene.objects:
            assert thing.class_id == 1
            x0, y0, x1, y1 = np.rint(thing.box).astype(int) + np.array([-24, -24, 24, 24])
            part = scene.image[max(y0, 0) : y1, max(x0, 0) : x1]
            words, _, _ = reader.detectAndDecode(cv2.resize(part, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC))
            seen, read = seen + 1, read + bool(words)
    assert seen >= 5
    assert read >= 0.5 * seen, (read, seen)


def test_scenes_are_functions_of_their_index_and_some_are_empty() -> None:
    one, other = (Stream("markers", 3, "train", image_size=96) for _ in range(2))
    for index in reversed(range(8)):
        np.testing.assert_array_equal(one[index].image, other[index].image)
    counts = [len(one[index].objects) for index in range(40)]
    assert min(counts) == 0
    assert {thing.class_id for index in range(40) for thing in one[index].objects} == {0, 1}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"dictionaries": ("8x8",)}, "found 8x8"),
        ({"dictionaries": ()}, "found none"),
        ({"size": (0.3, 0.1)}, "smallest"),
    ],
)
def test_options_that_make_no_sense(parameters: dict[str, object], message: str) -> None:
    with pytest.raises(GeneratorError, match=message):
        load_generator("markers", parameters)
