"""Data sets that `generate` writes: their bytes, and what they say."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from tiny_sets import BINARY, labels, pixels, stream_of, tiny_config, tiny_generator, tiny_request

from yolo_proc.annotations import binary
from yolo_proc.annotations.formats import FORMATS, read_data_set
from yolo_proc.annotations.records import ReadOptions
from yolo_proc.config.schema import AugmentConfig, GeneratorConfig, LabelConfig
from yolo_proc.data.stream import Stream
from yolo_proc.datasets.chunks import RECORDS
from yolo_proc.datasets.generate import generate
from yolo_proc.errors import ConfigError
from yolo_proc.scene import label_states


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_generator(tmp_path_factory.mktemp("generator"))


# -------------------------------------------------------------------------------------------------- pictures


def test_png_has_the_streams_pixels_and_jpeg_the_bytes_of_imencode(tmp_path: Path, spec: str) -> None:
    for picture_type in ("png", "jpg"):
        order = tiny_request(
            spec, tmp_path / picture_type, "yolo", picture_type=picture_type, quality=71, picture_size=(40, 24)
        )
        generate(order)
        stream = stream_of(order)
        for index in range(order.count):
            image = stream[index].image
            path = order.out / "images" / "train" / f"image_{index:05d}.{picture_type}"
            if picture_type == "png":
                np.testing.assert_array_equal(pixels(path), image)
            else:
                expected = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 71])[1]
                assert path.read_bytes() == expected.tobytes()


def test_binary_pictures_are_the_streams(tmp_path: Path, spec: str) -> None:
    order = tiny_request(spec, tmp_path / "set", "binary", split=0.5)
    generate(order)
    stream = stream_of(order)
    for index, (split, record) in ((0, ("train", 0)), (9, ("train", 9)), (10, ("val", 0)), (19, ("val", 9))):
        found = binary.read_picture_record(order.out / split, record, BINARY)
        np.testing.assert_array_equal(found, stream[index].image)


# ---------------------------------------------------------------------------------------------------- labels

# How far a box may be off: whole pixels, 9 digits, float32 of x + w, ...
PRECISION = {"scredit": 0.5, "voc": 0.5, "yolo": 1e-6, "coco": 1e-9, "binary": 1e-5}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_has_the_streams_labels(tmp_path: Path, spec: str, name: str) -> None:
    order = tiny_request(spec, tmp_path / "set", name, split=0.65)
    summary = generate(order)
    data = read_data_set(order.out, ReadOptions())
    assert data.classes == ("disc", "bar")
    assert {split: len(part) for split, part in data.splits.items()} == {"train": 13, "val": 7}
    stream = stream_of(order)
    taken = found = 0
    for index, boxes in enumerate(labels(data).values()):
        scene = stream[index]
        states = label_states(scene.objects, order.config.labels)
        expected = [
            (one.class_id, one.box) for one, said in zip(scene.objects, states, strict=True) if said == "labelled"
        ]
        found += len(boxes)
        taken += len(expected)
        if name == "binary":  # two discs may share a slot
            expected = [one for one in expected if any(close(one, box, name) for box in boxes)]
        assert len(boxes) == len(expected)
        for one, box in zip(sorted(expected), sorted(boxes), strict=True):
            assert close(one, box, name), (index, one, box)
    assert summary.objects.total() == taken
    assert found == taken - summary.lost["slot_taken"]


def close(one: tuple[int, Any], other: tuple[int, Any], name: str) -> bool:
    return one[0] == other[0] and np.allclose(one[1], other[1], rtol=0, atol=PRECISION[name])


def test_what_is_below_a_limit_is_ignored_where_the_format_can_say_so(tmp_path: Path, spec: str) -> None:
    limits = LabelConfig(min_in_frame=0.9)
    stream = Stream.from_config(tiny_config(spec), "train")
    states = [one for index in range(20) for one in label_states(stream[index].objects, limits)]
    cut, regions = states.count("min_in_frame"), sum(len(stream[index].ignore) for index in range(20))
    assert 0 < cut < states.count("labelled")
    assert regions > 0
    for name in FORMATS:
        summary = generate(tiny_request(spec, tmp_path / name, name, config=tiny_config(spec, labels=limits)))
        items = [item for one in read_data_set(tmp_path / name, ReadOptions()).annotations for item in one.items]
        assert summary.below["min_in_frame"] == cut
        (line,) = [line for line in summary.lines() if line.startswith("Below a limit")]
        if name in ("coco", "voc"):
            assert sum(item.ignore for item in items) == cut + states.count("min_visible") + regions
            assert line.endswith("; written as ignore regions")
        else:
            assert not any(item.ignore for item in items)
            assert line.endswith(f"; {name} has no ignore regions: left out")
            assert summary.lost["ignore"] == cut + states.count("min_visible") + regions


# -------------------------------------------------------------------------------------------- names and splits


@pytest.mark.parametrize(
    ("count", "split", "train"),
    [(10, 1.0, 10), (10, 0.9, 9), (10, 0.99, 9), (100, 0.29, 29), (10, 0.0, 0), (3, 1 / 3, 0), (1, 0.5, 0)],
)
def test_the_first_floor_count_split_are_for_training(spec: str, count: int, split: float, train: int) -> None:
    order = tiny_request(spec, Path("nowhere"), "yolo", count=count, split=split)
    assert order.counts == {"train": train, **({} if split == 1 else {"val": count - train})}
    places = [order.place(index) for index in range(count)]
    assert places == [("train", i) for i in range(train)] + [("val", i) for i in range(count - train)]


def test_names_have_as_many_digits_as_are_needed(spec: str) -> None:
    order = tiny_request(spec, Path("nowhere"), "yolo", picture_type="jpg")
    assert order.name(7) == "image_00007.jpg"
    assert tiny_request(spec, Path("nowhere"), "yolo", count=100_001).name(7) == "image_000007.png"


def test_a_binary_set_needs_its_layout_and_no_other_has_one(spec: str) -> None:
    with pytest.raises(ConfigError, match="format binary"):
        tiny_request(spec, Path("nowhere"), "binary", binary=None)
    with pytest.raises(ConfigError, match="format yolo"):
        tiny_request(spec, Path("nowhere"), "yolo", binary=BINARY)
    with pytest.raises(ConfigError, match="format kokko: expected one of scredit"):
        tiny_request(spec, Path("nowhere"), "kokko")


def test_a_layout_that_no_set_can_have_leaves_nothing_behind(tmp_path: Path, spec: str) -> None:
    order = tiny_request(spec, tmp_path / "set", "binary", picture_size=(36, 32), binary=replace(BINARY, width=36))
    with pytest.raises(ConfigError, match="multiples of the stride 8, found 36 x 32"):
        generate(order)
    assert not order.out.exists()


# ------------------------------------------------------------------------------------------- what it is about


def test_the_set_says_how_it_was_made(tmp_path: Path, spec: str) -> None:
    config = tiny_config(spec, generator=GeneratorConfig(spec, {"discs": 1}))
    generate(tiny_request(spec, tmp_path / "set", "voc", config=config, split=0.5))
    about = json.loads((tmp_path / "set" / "yolo_proc.json").read_text())
    assert (about["version"], about["format"], about["classes"]) == (1, "voc", ["disc", "bar"])
    assert about["generator"] == {"name": spec, "parameters": {"discs": 1}, "seed": 3, "stream": "train"}
    assert (about["augmented"], about["complete"]) == (False, True)
    assert about["pictures"] == {"train": 10, "val": 10}
    assert set(about["objects"]) == {"disc", "bar"}
    assert about["options"]["generator.discs"] == "1"
    assert about["versions"]["numpy"] == np.__version__
    assert not (tmp_path / "set" / RECORDS).exists()


def test_augmentation_is_marked(tmp_path: Path, spec: str) -> None:
    # What needs no albumentations, which takes seconds to import.
    augment = AugmentConfig(colour_p=0.0, blur_p=0.0, compression_p=0.0, hue_p=0.0)
    order = tiny_request(spec, tmp_path / "set", "yolo", config=tiny_config(spec, augment=augment), count=3)
    generate(order)
    about = json.loads((tmp_path / "set" / "yolo_proc.json").read_text())
    assert about["augmented"] is True
    assert about["options"]["augment.rotate"] == "5.0"
    image = stream_of(order)[2].image
    np.testing.assert_array_equal(pixels(order.out / "images/train/image_00002.png"), image)


LABELLED_SCENES = """
from dataclasses import dataclass
from yolo_proc import Generator, circle

@dataclass(frozen=True)
class Labelled(Generator):
    classes = ("day", "night")

    def draw(self, canvas, rng):
        canvas.draw(circle(0.5, 0.5, 0.2), (255, 0, 0), "day")
        if rng.random() < 0.5:
            canvas.label_scene("night")
"""


@pytest.mark.parametrize("format_name", ["coco", "binary"])
def test_labels_of_whole_scenes_are_counted(tmp_path: Path, format_name: str) -> None:
    (tmp_path / "labelled.py").write_text(LABELLED_SCENES)
    request = tiny_request(f"{tmp_path / 'labelled.py'}:Labelled", tmp_path / "out", format_name)
    summary = generate(request)
    stream = Stream(request.config.generator.name, request.config.seed, "train", image_size=32)
    labelled = sum(stream[index].class_id is not None for index in range(20))
    assert 0 < labelled < 20
    assert summary.lost["label of the whole scene"] == labelled
    assert f"What {format_name} cannot say: " in "\n".join(summary.lines())
