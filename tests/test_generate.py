"""Data sets that `generate` writes: their bytes, and that no interruption harms them."""

import errno
import json
import math
import os
import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pathops
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_sets import BINARY, GENERATOR, labels, pixels, tiny_config, tiny_generator, tiny_order, tree

from yolo_proc.annotations import binary
from yolo_proc.annotations.formats import FORMATS, read_data_set
from yolo_proc.annotations.records import ReadOptions
from yolo_proc.chunks import CHUNK, RECORDS, Order, WriteChunk
from yolo_proc.config import AugmentConfig, GeneratorConfig, LabelConfig
from yolo_proc.errors import ConfigError, DataError, GeneratorError, YoloProcError
from yolo_proc.generate import generate
from yolo_proc.pool import unordered
from yolo_proc.scene import Scene, SceneObject, label_verdicts
from yolo_proc.scenefiles import clipped_polygon, items_of
from yolo_proc.stream import Stream


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_generator(tmp_path_factory.mktemp("generator"))


def stream_of(order: Order) -> Stream:
    return Stream.from_config(order.config, order.stream, picture_size=order.picture_size)


# -------------------------------------------------------------------------------------------------- pictures


def test_png_has_the_streams_pixels_and_jpeg_the_bytes_of_imencode(tmp_path: Path, spec: str) -> None:
    for picture_type in ("png", "jpg"):
        order = tiny_order(
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
    order = tiny_order(spec, tmp_path / "set", "binary", split=0.5)
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
    order = tiny_order(spec, tmp_path / "set", name, split=0.65)
    summary = generate(order)
    data = read_data_set(order.out, ReadOptions())
    assert data.classes == ("disc", "bar")
    assert {split: len(part) for split, part in data.splits.items()} == {"train": 13, "val": 7}
    stream = stream_of(order)
    taken = found = 0
    for index, boxes in enumerate(labels(data).values()):
        scene = stream[index]
        verdicts = label_verdicts(scene.objects, order.config.labels)
        expected = [
            (one.class_id, one.box) for one, said in zip(scene.objects, verdicts, strict=True) if said == "labelled"
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
    verdicts = [one for index in range(20) for one in label_verdicts(stream[index].objects, limits)]
    cut, regions = verdicts.count("min_in_frame"), sum(len(stream[index].ignore) for index in range(20))
    assert 0 < cut < verdicts.count("labelled")
    assert regions > 0
    for name in FORMATS:
        summary = generate(tiny_order(spec, tmp_path / name, name, config=tiny_config(spec, labels=limits)))
        items = [item for one in read_data_set(tmp_path / name, ReadOptions()).annotations for item in one.items]
        assert summary.below["min_in_frame"] == cut
        (line,) = [line for line in summary.lines() if line.startswith("Below a limit")]
        if name in ("coco", "voc"):
            assert sum(item.ignore for item in items) == cut + verdicts.count("min_visible") + regions
            assert line.endswith("; written as ignore regions")
        else:
            assert not any(item.ignore for item in items)
            assert line.endswith(f"; {name} has no ignore regions: left out")
            assert summary.lost["ignore"] == cut + verdicts.count("min_visible") + regions


def test_items_say_what_is_not_whole() -> None:
    outline = np.array([[-2.0, 1.0], [4.0, 1.0], [4.0, 5.0], [-2.0, 5.0]])
    scene = Scene(
        np.zeros((10, 10, 3), dtype=np.uint8),
        (
            SceneObject((0.0, 1.0, 4.0, 5.0), 1, outline, visible=0.75, in_frame=2 / 3, confidence=0.5),
            SceneObject((0.0, 0.0, 9.5, 10.0), 0),
            SceneObject((2.0, 0.0, 2.0, 10.0), 0),  # nothing of it is in the picture
            SceneObject((5.0, 5.0, 9.0, 9.0), 0, visible=0.1),
        ),
        np.array([[1.0, 2.0, 3.0, 4.0]]),
    )
    items, below = items_of(scene, LabelConfig())
    first, second, hidden, region = items
    assert (first.xyxy, first.category) == ((0, 1, 4, 5), 1)
    assert (first.visible, first.in_frame, first.confidence) == (0.75, 2 / 3, 0.5)
    assert sorted(first.points) == [(0, 1), (0, 5), (4, 1), (4, 5)]
    assert (second.visible, second.in_frame, second.confidence, second.points) == (None, None, None, ())
    assert hidden.ignore
    assert hidden.category == 0
    assert (region.xyxy, region.category, region.ignore) == ((1, 2, 3, 4), None, True)
    assert below == {"min_visible": 1}
    assert items_of(Scene(scene.image), LabelConfig()) == ([], {})


@given(st.lists(st.tuples(st.floats(1, 30), st.floats(0.1, 0.9)), min_size=3, max_size=9), st.data())
@settings(max_examples=60)
def test_a_clipped_outline_has_the_area_inside(spokes: list[tuple[float, float]], data: st.DataObject) -> None:
    middle = data.draw(st.tuples(st.floats(-10, 30), st.floats(-10, 20)))
    turns = np.cumsum([share for _, share in spokes])
    angles = turns / turns[-1] * 2 * math.pi
    points = [
        (middle[0] + radius * math.cos(angle), middle[1] + radius * math.sin(angle))
        for (radius, _), angle in zip(spokes, angles.tolist(), strict=True)
    ]
    found = clipped_polygon(points, 20, 12)
    assert all(-1e-9 <= x <= 20 + 1e-9 and -1e-9 <= y <= 12 + 1e-9 for x, y in found)
    frame = [(0, 0), (20, 0), (20, 12), (0, 12)]
    reference = pathops.op(path_of(points), path_of(frame), pathops.PathOp.INTERSECTION)
    assert shoelace(found) == pytest.approx(abs(reference.area), abs=0.02)


def path_of(points: Any) -> Any:
    path = pathops.Path()
    pen = path.getPen()
    pen.moveTo(points[0])
    for point in points[1:]:
        pen.lineTo(point)
    pen.closePath()
    return path


def shoelace(points: Any) -> float:
    if not points:
        return 0.0
    x, y = np.array(points).T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


# -------------------------------------------------------------------------------------------- names and splits


@pytest.mark.parametrize(
    ("count", "split", "train"),
    [(10, 1.0, 10), (10, 0.9, 9), (10, 0.99, 9), (100, 0.29, 29), (10, 0.0, 0), (3, 1 / 3, 0), (1, 0.5, 0)],
)
def test_the_first_floor_count_split_are_for_training(spec: str, count: int, split: float, train: int) -> None:
    order = tiny_order(spec, Path("nowhere"), "yolo", count=count, split=split)
    assert order.counts == {"train": train, **({} if split == 1 else {"val": count - train})}
    places = [order.place(index) for index in range(count)]
    assert places == [("train", i) for i in range(train)] + [("val", i) for i in range(count - train)]


def test_names_have_as_many_digits_as_are_needed(spec: str) -> None:
    order = tiny_order(spec, Path("nowhere"), "yolo", picture_type="jpg")
    assert order.name(7) == "image_00007.jpg"
    assert tiny_order(spec, Path("nowhere"), "yolo", count=100_001).name(7) == "image_000007.png"


def test_a_binary_set_needs_its_layout_and_no_other_has_one(spec: str) -> None:
    with pytest.raises(ConfigError, match="format binary"):
        tiny_order(spec, Path("nowhere"), "binary", binary=None)
    with pytest.raises(ConfigError, match="format yolo"):
        tiny_order(spec, Path("nowhere"), "yolo", binary=BINARY)
    with pytest.raises(ConfigError, match="format kokko: expected one of scredit"):
        tiny_order(spec, Path("nowhere"), "kokko")


def test_a_layout_that_no_set_can_have_leaves_nothing_behind(tmp_path: Path, spec: str) -> None:
    order = tiny_order(spec, tmp_path / "set", "binary", picture_size=(36, 32), binary=replace(BINARY, width=36))
    with pytest.raises(ConfigError, match="multiples of the stride 8, found 36 x 32"):
        generate(order)
    assert not order.out.exists()


# ------------------------------------------------------------------------------------------- what it is about


def test_the_set_says_how_it_was_made(tmp_path: Path, spec: str) -> None:
    config = tiny_config(spec, generator=GeneratorConfig(spec, {"discs": 1}))
    generate(tiny_order(spec, tmp_path / "set", "voc", config=config, split=0.5))
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
    order = tiny_order(spec, tmp_path / "set", "yolo", config=tiny_config(spec, augment=augment), count=3)
    generate(order)
    about = json.loads((tmp_path / "set" / "yolo_proc.json").read_text())
    assert about["augmented"] is True
    assert about["options"]["augment.rotate"] == "5.0"
    image = stream_of(order)[2].image
    np.testing.assert_array_equal(pixels(order.out / "images/train/image_00002.png"), image)


# ------------------------------------------------------------------------------------ workers, going on, refusing


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, spec: str) -> dict[str, dict[str, bytes]]:
    """For each format the files of a set that was written without a pause, in this process."""
    found = {}
    for name in FORMATS:
        out = tmp_path_factory.mktemp("whole") / name
        generate(tiny_order(spec, out, name, split=0.65))
        found[name] = tree(out)
    return found


@pytest.mark.parametrize("name", FORMATS)
def test_two_workers_write_the_same_bytes(
    tmp_path: Path, spec: str, name: str, whole: dict[str, dict[str, bytes]]
) -> None:
    told: list[int] = []
    summary = generate(tiny_order(spec, tmp_path / "set", name, split=0.65, workers=2), on_pictures=told.append)
    assert tree(tmp_path / "set") == whole[name]
    assert summary.complete
    assert (told[0], told[-1], sorted(told)) == (0, 20, told)


def test_a_task_that_is_pickled_writes_the_same(tmp_path: Path, spec: str, whole: dict[str, dict[str, bytes]]) -> None:
    order = tiny_order(spec, tmp_path / "set", "yolo", split=0.65)
    task = pickle.loads(pickle.dumps(WriteChunk(order, stream_of(order))))  # as a spawned process gets it
    assert task(1) == CHUNK
    written = {name: content for name, content in tree(tmp_path / "set").items() if not name.startswith(RECORDS)}
    assert len(written) == 2 * CHUNK
    assert written.items() <= whole["yolo"].items()


class DrawnTwiceError(Exception):
    """A scene was drawn that was written before."""


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("workers", [0, 2])
def test_an_interrupted_run_goes_on_where_it_stopped(
    tmp_path: Path, spec: str, name: str, workers: int, whole: dict[str, dict[str, bytes]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    order = tiny_order(spec, tmp_path / "set", name, split=0.65, workers=0)
    asked = iter([False, True])
    summary = generate(order, stop=lambda: next(asked))
    assert not summary.complete
    assert summary.pictures.total() == CHUNK
    assert summary.lines() == [f"{order.out}: 8 of 20 pictures are written; the same command goes on from there"]
    assert json.loads((order.out / "yolo_proc.json").read_text())["complete"] is False
    draw = Stream.__getitem__

    def draw_once(stream: Stream, index: int) -> Scene:
        if stream.stream == "train" and index < CHUNK:
            raise DrawnTwiceError(index)
        return draw(stream, index)

    monkeypatch.setattr(Stream, "__getitem__", draw_once)
    assert generate(tiny_order(spec, order.out, name, split=0.65, workers=workers)).complete
    assert tree(order.out) == whole[name]


def test_what_a_killed_process_leaves_is_drawn_again_and_gone_at_the_end(
    tmp_path: Path, spec: str, whole: dict[str, dict[str, bytes]]
) -> None:
    order = tiny_order(spec, tmp_path / "set", "yolo", split=0.65)
    asked = iter([False, True])
    generate(order, stop=lambda: next(asked))
    record = order.out / RECORDS / "chunk_0000000.json"
    record.write_bytes(record.read_bytes()[:-5])  # as if it were half-written, which it never is
    (order.out / "images/train/.image_00009.png.part").write_bytes(b"half a picture")
    (order.out / "labels/train/image_00008.txt").write_bytes(b"")
    assert generate(order).complete
    assert tree(order.out) == whole["yolo"]


def test_a_binary_set_that_was_killed_while_it_was_named_is_finished(
    tmp_path: Path, spec: str, whole: dict[str, dict[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    order = tiny_order(spec, tmp_path / "set", "binary", split=0.65)

    def fail(*_: Any) -> bytes:
        raise DrawnTwiceError

    with monkeypatch.context() as patched:
        patched.setattr(binary, "set_info", lambda *_: b"" if not order.out.exists() else fail())
        with pytest.raises(DrawnTwiceError):
            generate(order)
    assert not (order.out / "train" / binary.SET_INFO).exists()
    assert generate(order).complete
    assert tree(order.out) == whole["binary"]


def test_a_finished_set_is_not_done_again(tmp_path: Path, spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    order = tiny_order(spec, tmp_path / "set", "coco")
    generate(order)
    before = {path: path.stat().st_mtime_ns for path in order.out.rglob("*")}
    monkeypatch.setattr(WriteChunk, "__call__", None)
    summary = generate(order)
    assert summary.made_before
    assert summary.lines() == [f"{order.out}: complete already, 20 pictures; nothing is done again"]
    assert {path: path.stat().st_mtime_ns for path in order.out.rglob("*")} == before


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"count": 21}, "count 20, now 21"),
        ({"split": 0.5}, "split 1.0, now 0.5"),
        ({"picture_type": "jpg"}, "picture-type png, now jpg"),
        ({"picture_size": (40, 40)}, "picture-size none, now 40x40"),
        ({"stream": "test"}, "stream train, now test"),
    ],
)
def test_other_options_are_refused_by_name(tmp_path: Path, spec: str, changes: dict[str, Any], told: str) -> None:
    order = tiny_order(spec, tmp_path / "set", "yolo")
    generate(order, stop=lambda: True)
    before = tree(order.out)
    with pytest.raises(DataError, match=f"set: was begun with {told}.*; give another --out"):
        generate(tiny_order(spec, order.out, "yolo", **changes))
    assert tree(order.out) == before


def test_another_seed_parameter_or_source_is_refused_by_name(tmp_path: Path) -> None:
    spec = tiny_generator(tmp_path)
    order = tiny_order(spec, tmp_path / "set", "yolo", count=4)
    generate(order)
    for config, told in (
        (tiny_config(spec, seed=4), "was made with seed 3, now 4"),
        (tiny_config(spec, generator=GeneratorConfig(spec, {"discs": 3})), r"was made with generator\.discs 2, now 3"),
        (tiny_config(spec, image_size=64), "was made with image-size 32, now 64"),
        (tiny_config(spec, labels=LabelConfig(min_visible=0.5)), r"was made with labels\.min-visible 0\.4, now 0\.5"),
    ):
        with pytest.raises(DataError, match=told):
            generate(tiny_order(spec, order.out, "yolo", count=4, config=config))
    # A parameter that is given as its default is no change.
    same = tiny_config(spec, generator=GeneratorConfig(spec, {"discs": 2}))
    about = json.loads((order.out / "yolo_proc.json").read_text())
    assert tiny_order(spec, order.out, "yolo", count=4, config=same).values() == about["options"]
    about["fingerprint"]["generator source"] = "that of last week"
    (order.out / "yolo_proc.json").write_text(json.dumps(about))
    with pytest.raises(DataError, match="was made with generator source that of last week, now "):
        generate(order)


def test_another_library_is_refused_only_while_pictures_are_missing(tmp_path: Path, spec: str) -> None:
    order = tiny_order(spec, tmp_path / "set", "yolo")
    for stop in (True, False):
        generate(order, stop=lambda stop=stop: stop)
        about = json.loads((order.out / "yolo_proc.json").read_text())
        old = {**about, "versions": {**about["versions"], "numpy": "1.0"}}
        (order.out / "yolo_proc.json").write_text(json.dumps(old))
        if stop:
            with pytest.raises(DataError, match=r"was begun with numpy 1\.0, now "):
                generate(order)
            (order.out / "yolo_proc.json").write_text(json.dumps(about))
        else:
            assert generate(order).made_before


def test_a_folder_with_anything_else_is_left_alone(tmp_path: Path, spec: str) -> None:
    (tmp_path / "thesis.txt").write_text("all of it")
    with pytest.raises(DataError, match="expected an empty folder, or one where this command began"):
        generate(tiny_order(spec, tmp_path, "yolo"))
    assert tree(tmp_path) == {"thesis.txt": b"all of it"}
    (tmp_path / "yolo_proc.json").write_text('{"version":1,"format":"yolo","classes":["a"]}')
    with pytest.raises(DataError, match="that `generate` did not make"):
        generate(tiny_order(spec, tmp_path, "yolo"))
    with pytest.raises(DataError, match="expected a folder to write to: Not a directory"):
        generate(tiny_order(spec, tmp_path / "thesis.txt", "yolo"))


# ------------------------------------------------------------------------------------------------ what goes wrong


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Lets so many files be renamed, then the disk is full."""
    left = [10**9]
    rename = Path.replace

    def refuse(path: Path, target: Any) -> Path:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return rename(path, target)

    monkeypatch.setattr(Path, "replace", refuse)

    def fill(files: int) -> None:
        left[0] = files

    return fill


@pytest.mark.parametrize("name", FORMATS)
def test_a_full_disk_is_one_line_and_harms_nothing(
    tmp_path: Path, spec: str, name: str, full_disk: Callable[[int], None], whole: dict[str, dict[str, bytes]]
) -> None:
    order = tiny_order(spec, tmp_path / "set", name, split=0.65)
    # A binary set has few files, and each of the others one or two a picture.
    for files in (0, 1, 2, 1, 0) if name == "binary" else (0, 1, 2, 12, 13, 2, 1, 0):
        full_disk(files)
        with pytest.raises(DataError) as caught:
            generate(order)
        assert str(caught.value).startswith(f"{order.out}/")
        assert "cannot be written: No space left on device" in str(caught.value)
        assert "\n" not in str(caught.value)
        # What has its final name is what it will be; but what says what the set is about.
        final = {path: content for path, content in tree(order.out).items() if not is_unfinished(path)}
        assert final.items() <= whole[name].items() if order.out.exists() else True
    full_disk(10**9)
    assert generate(order).complete
    assert tree(order.out) == whole[name]


def is_unfinished(path: str) -> bool:
    return path == "yolo_proc.json" or path.startswith(RECORDS) or path.endswith(".part")


def test_a_real_full_disk_is_told(tmp_path: Path, spec: str) -> None:
    """/dev/full refuses every byte."""
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    order = tiny_order(spec, tmp_path / "set", "binary")
    order.out.mkdir()
    (order.out / ".images.bin.part").symlink_to("/dev/full")
    with pytest.raises(DataError, match=r"images\.bin: cannot be written: No space left on device; what was written"):
        generate(order)


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path: Path, spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(DataError, match=r"yolo_proc\.json: cannot be written: Read-only file system$"):
        generate(tiny_order(spec, tmp_path / "set", "yolo"))


def test_a_file_in_the_way_of_a_folder_is_told(tmp_path: Path, spec: str) -> None:
    order = tiny_order(spec, tmp_path / "set", "yolo", workers=2)
    generate(order, stop=lambda: True)
    (order.out / "labels").write_text("in the way")
    with pytest.raises(DataError, match="cannot be written: Not a directory; what was written stays"):
        generate(order)


def test_a_generator_that_fails_is_told_from_a_worker(tmp_path: Path) -> None:
    path = tmp_path / "tiny_generator.py"
    # Seldom, so that the scenes that identify the data do not fail.
    path.write_text(GENERATOR.replace("        out = ", "        if rng.random() < 0.02: self.nothing\n        out = "))
    order = tiny_order(f"{path}:Tiny", tmp_path / "set", "yolo", workers=2, count=400)
    with pytest.raises(GeneratorError, match=r"failed on scene \d+ of stream train: AttributeError: .*nothing"):
        generate(order)


# ------------------------------------------------------------------------------------------------------ the pool


def _square(number: int) -> int:
    if number == 13:
        raise ConfigError("thirteen")
    if number == 66:
        os._exit(1)
    return number * number


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_the_pool_does_every_piece(workers: int) -> None:
    assert sorted(unordered(_square, range(10), workers)) == [number * number for number in range(10)]
    assert list(unordered(_square, [], workers)) == []
    with pytest.raises(ConfigError, match="thirteen"):
        list(unordered(_square, range(20), workers))


def test_a_worker_that_dies_is_told() -> None:
    with pytest.raises(YoloProcError, match="was killed or ran out of memory"):
        list(unordered(_square, [66], 1))


@pytest.mark.parametrize("workers", [0, 2])
def test_the_pool_stops_when_it_is_asked_to(workers: int) -> None:
    done: list[int] = []
    for found in unordered(_square, range(100, 10_000), workers, stop=lambda: len(done) >= 3):
        done.append(found)
    assert 3 <= len(done) <= 3 + 3 * workers


def test_nothing_is_left_of_a_set_that_is_removed(tmp_path: Path, spec: str) -> None:
    order = tiny_order(spec, tmp_path / "set", "scredit", count=1)
    generate(order)
    shutil.rmtree(order.out)
    assert generate(order).complete
    assert sorted(tree(order.out)) == ["annotations/image_00000.json", "image_00000.png", "yolo_proc.json"]
