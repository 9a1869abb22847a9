"""Annotated pictures as a source of scenes."""

import hashlib
import json
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from picture_sets import SCRIPT, numbers_for, png, write_set

from yolo_proc.annotations.binary import label_records, picture_record, set_info
from yolo_proc.annotations.records import Annotation, BinaryLayout, Item
from yolo_proc.batch import Batch
from yolo_proc.config.schema import AugmentConfig, Config, GeneratorConfig
from yolo_proc.data.augment import GEOMETRY, PIXELS
from yolo_proc.data.fingerprint import changed_parts, fingerprint
from yolo_proc.data.folder import HELD_OUT, stream_of
from yolo_proc.data.generator import Place, Source, load_generator
from yolo_proc.data.run_config import config_from_values, generator_options
from yolo_proc.data.stream import Stream, batches
from yolo_proc.detection.codec import LabelCodec
from yolo_proc.detection.grids import Grid
from yolo_proc.errors import ConfigError, DataError, GeneratorError
from yolo_proc.imaging.letterbox import PAD, Letterbox
from yolo_proc.imaging.pictures import read_picture
from yolo_proc.scene import Scene

STREAMS = ("train", *HELD_OUT)
OFF = AugmentConfig(flip_x=0.0, flip_y=0.0, **{f"{part}_p": 0.0 for part in (*GEOMETRY[2:], *PIXELS)})
QUICK = AugmentConfig(flip_x=0.5, rotate_p=0.5, noise_p=0.3, colour_p=0, hue_p=0, blur_p=0, compression_p=0)


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eleven pictures to train on, two or three for each of the other streams."""
    numbers = numbers_for("train", 11) + [n for k, name in enumerate(HELD_OUT) for n in numbers_for(name, 2 + k % 2)]
    files = {f"image_{place:05d}.png": png(number) for place, number in enumerate(numbers)}
    return write_set(tmp_path_factory.mktemp("data") / "letters", files)


def opened(
    root: Path, stream: str = "train", *, augment: AugmentConfig = OFF, seed: int = 5, **others: object
) -> Stream:
    parameters = {key: others.pop(key) for key in list(others) if key not in ("image_size", "picture_size")}
    sizes = others or {"image_size": 32}
    return Stream(f"folder:{root}", seed, stream, parameters=parameters, augment=augment, **sizes)  # type: ignore[arg-type]


def source_of(stream: Stream) -> Source:
    assert isinstance(stream.generator, Source)
    return stream.generator


def titles(stream: Stream, indices: range) -> list[str]:
    return [source_of(stream).title(Place(stream.seed, stream.stream, index)) for index in indices]


def as_bytes(scene: Scene) -> bytes:
    others = repr([(t.class_id, t.visible, t.in_frame, t.confidence) for t in scene.objects]).encode()
    return scene.image.tobytes() + scene.boxes.tobytes() + others + scene.ignore.tobytes()


# ---------------------------------------------------------------------------------------------------------------
# The order of the pictures, and which stream they are in


def test_streams_get_their_shares() -> None:
    digests = [hashlib.sha256(bytes([a, b])).digest() for a in range(80) for b in range(250)]
    counts = Counter(stream_of(digest, 0.8) for digest in digests)
    assert abs(counts["train"] - 16000) < 300
    assert all(abs(counts[name] - 1000) < 150 for name in HELD_OUT)
    # A larger share takes pictures for training, and gives none of the training ones away.
    assert all(stream_of(digest, 0.9) == "train" for digest in digests if stream_of(digest, 0.8) == "train")


@pytest.mark.parametrize(
    ("share", "first", "last"), [(0.8, "train", "test"), (1.0, "train", "train"), (0.0, "validation", "test")]
)
def test_streams_at_the_ends(share: float, first: str, last: str) -> None:
    assert stream_of(bytes(32), share) == first
    assert stream_of(b"\xff" * 32, share) == last


def test_every_picture_comes_once_in_each_pass(letters: Path) -> None:
    stream = opened(letters)
    count = source_of(stream).count("train")
    assert count == 11
    passes = [titles(stream, range(k * count, (k + 1) * count)) for k in range(4)]
    assert all(len(set(one)) == count for one in passes)
    assert len({tuple(one) for one in passes}) == 4
    assert titles(opened(letters, seed=6), range(count)) != passes[0]
    assert sorted(titles(opened(letters, "anchors"), range(count))) == sorted(passes[0])  # not held out
    assert titles(opened(letters, "anchors"), range(count)) != passes[0]


def test_no_picture_is_in_two_streams(letters: Path) -> None:
    names = {name: set(titles(opened(letters, name), range(40))) for name in STREAMS}
    assert [len(names[name]) for name in STREAMS] == [11, 2, 3, 2, 3]
    assert len(set().union(*names.values())) == 21
    assert set(titles(opened(letters, "predictions"), range(40))) == names["validation"]


def test_equal_files_are_in_one_stream_and_stay_there(tmp_path: Path) -> None:
    (number,) = numbers_for("test", 1)
    root = write_set(tmp_path, {"a.png": png(number), "z.png": png(number)})
    assert source_of(opened(root, "test")).count("test") == 2
    write_set(root, {"m.png": png(numbers_for("train", 1)[0])})
    assert source_of(opened(root, "test")).count("test") == 2


# ---------------------------------------------------------------------------------------------------------------
# One scene


def test_the_pixels_are_the_files_own(letters: Path) -> None:
    stream = opened(letters, picture_size=(16, 12))
    for index, title in enumerate(titles(stream, range(11))):
        assert np.array_equal(stream[index].image, read_picture(title))
        thing = stream[index].objects[0]
        assert np.allclose(thing.box, (2, 3, 10, 9), atol=1e-9)
        assert (thing.class_id, thing.confidence, thing.outline) == (1, 0.75, None)
        assert (thing.visible, thing.in_frame) == (1.0, 1.0)


def test_another_size_is_letterboxed_by_rule_1(letters: Path) -> None:
    stream = opened(letters, image_size=40)
    box = Letterbox.of(16, 12, 40, 40)
    for index, title in enumerate(titles(stream, range(5))):
        assert np.array_equal(stream[index].image, box.apply(read_picture(title)))
        assert np.allclose(stream[index].boxes, box.boxes_to_network([(2, 3, 10, 9)]), atol=1e-9)


def test_labels_move_with_pixels_and_nothing_is_mirrored(tmp_path: Path) -> None:
    pixels = np.zeros((96, 96, 3), dtype=np.uint8)
    pixels[2:40, 4:50] = 255  # near the edge, where a mirrored copy would show
    script = '{"items":[{"bounds":[4,2,46,38]}]}'
    root = write_set(tmp_path, {"a.png": cv2.imencode(".png", pixels)[1].tobytes()}, script)
    moves = dict(vars(OFF), translate_p=1.0, translate=0.15, scale_p=1.0, scale=2.5, flip_x=0.5, rotate_p=1.0)
    stream = opened(root, augment=AugmentConfig(**moves), image_size=96, train_share=1)
    for index in range(12):
        scene = stream[index]
        rows, columns = np.nonzero(scene.image[..., 1] > 200)
        seen = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert np.allclose(scene.boxes[0], seen, atol=1.5), index
    shrunk = opened(
        root, augment=AugmentConfig(**dict(vars(OFF), scale_p=1.0, scale=3.0)), image_size=96, train_share=1
    )
    corners = [shrunk[index].image[0, 0].tolist() for index in range(12)]
    assert [PAD] * 3 in corners


def write_coco(root: Path, annotations: list[dict[str, object]]) -> Path:
    (root / "annotations").mkdir(parents=True)
    (root / "train").mkdir()
    (root / "train" / "a.png").write_bytes(png(1, (64, 64)))
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": 64, "height": 64}],
        "categories": [{"id": 7, "name": "cat"}, {"id": 9, "name": "dog"}],
        "annotations": [{"id": k, "image_id": 1, "iscrowd": 0, **one} for k, one in enumerate(annotations)],
    }
    (root / "annotations" / "instances_train.json").write_text(json.dumps(content))
    return root


DIAMOND = {"category_id": 9, "bbox": [12, 12, 40, 40], "segmentation": [[32, 12, 52, 32, 32, 52, 12, 32]]}
TURNED = AugmentConfig(**dict(vars(OFF), rotate_p=1.0, rotate=90.0))


def test_outlines_turn_and_bare_boxes_do_not(tmp_path: Path) -> None:
    outlined = opened(write_coco(tmp_path / "o", [DIAMOND]), augment=TURNED, image_size=64, train_share=1)
    sides = np.array([np.diff(outlined[k].boxes.reshape(2, 2), axis=0)[0] for k in range(8)])
    assert np.ptp(sides) > 5  # a square on its tip is smaller when it lies flat
    assert sides.max() < 41  # the box of the turned box would be larger
    assert outlined[0].objects[0].class_id == 1
    bare = {"category_id": 9, "bbox": [12, 12, 40, 40]}
    boxes = opened(write_coco(tmp_path / "b", [bare]), augment=TURNED, image_size=64, train_share=1)
    assert all(np.allclose(boxes[k].boxes[0], (12, 12, 52, 52)) for k in range(4))
    other = {**DIAMOND, "bbox": [12, 12, 30, 40]}  # the outline is not that of the box
    doubtful = opened(write_coco(tmp_path / "d", [other]), augment=OFF, image_size=64, train_share=1)
    assert doubtful[0].objects[0].outline is None
    assert np.allclose(doubtful[0].boxes[0], (12, 12, 42, 52))


def test_ignore_regions_reach_the_loss_as_ignored_slots(tmp_path: Path) -> None:
    crowd = {"category_id": 7, "bbox": [0, 0, 32, 16], "iscrowd": 1}
    stream = opened(write_coco(tmp_path, [DIAMOND, crowd]), image_size=64, train_share=1)
    scene = stream[0]
    assert scene.ignore.tolist() == [[0, 0, 32, 16]]
    assert len(scene.objects) == 1
    codec = LabelCodec((Grid(16, 4, 4, ((30.0, 30.0),)),), 2)
    targets = codec.assign(Batch.of([scene]), Config().labels)
    assert targets.ignored_slot.tolist() == [0, 1]


def test_only_rectangles_are_objects(tmp_path: Path) -> None:
    script = """{"items":[{"":"pt","loc":[3,4]},{"":"polygon","pt":[0,0,9,0,9,9]},{"":"mask","bounds":[1,1,5,5]},
        {"":"t","b":[1,1,5,5],"s":"A"},{"bounds":[2,3,8,6]}]}"""
    scene = opened(write_set(tmp_path, {"a.png": png(1)}, script), picture_size=(16, 12), train_share=1)[0]
    assert np.allclose(scene.boxes, [(2, 3, 10, 9)])
    assert scene.objects[0].class_id == 0
    assert scene.ignore.shape == (0, 4)


def test_pictures_without_objects_are_scenes(tmp_path: Path) -> None:
    scene = opened(write_set(tmp_path, {"a.png": png(1)}, '{"items":[]}'), train_share=1)[0]
    assert scene.objects == ()
    assert scene.ignore.shape == (0, 4)


@pytest.mark.parametrize("kind", ["yolo", "yaml", "voc", "binary"])
def test_every_format_gives_the_same_scene(tmp_path: Path, kind: str) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (32, 64, 3), dtype=np.uint8)
    picture = cv2.imencode(".png", pixels[..., ::-1])[1].tobytes()
    argument, parameters = tmp_path, {"train_share": 1}
    if kind in ("yolo", "yaml"):
        for folder in ("images/train", "labels/train"):
            (tmp_path / folder).mkdir(parents=True)
        (tmp_path / "images/train/a.png").write_bytes(picture)
        (tmp_path / "labels/train/a.txt").write_text("1 0.375 0.5 0.25 0.25\n")
        (tmp_path / "data.yaml").write_text("train: images/train\nval: images/train\nnames: {0: cat, 1: dog}\n")
        argument = tmp_path / "data.yaml" if kind == "yaml" else tmp_path
    elif kind == "voc":
        for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
            (tmp_path / folder).mkdir(parents=True)
        (tmp_path / "JPEGImages/a.png").write_bytes(picture)
        (tmp_path / "ImageSets/Main/train.txt").write_text("a\n")
        box = "<bndbox><xmin>17</xmin><ymin>13</ymin><xmax>32</xmax><ymax>20</ymax></bndbox>"
        (tmp_path / "Annotations/a.xml").write_text(
            "<annotation><filename>a.png</filename><size><width>64</width><height>32</height><depth>3</depth></size>"
            f"<object><name>dog</name>{box}</object></annotation>"
        )
        (tmp_path / "classes.txt").write_text("cat\ndog\n")
        parameters["class_file"] = str(tmp_path / "classes.txt")  # type: ignore[assignment]
    else:
        layout = BinaryLayout(64, 32, 16, ((16.0, 8.0),))
        annotation = Annotation("a.png", 64, 32, (Item((16, 12, 32, 20), 1),))
        (tmp_path / "images.bin").write_bytes(picture_record(pixels, layout))
        (tmp_path / "labels.bin").write_bytes(label_records([annotation], layout, 2)[0])
        (tmp_path / "image_set_info.json").write_bytes(set_info(1, layout, 2))
        parameters |= {"binary_size": "64,32", "binary_stride": 16, "binary_anchors": "16x8"}  # type: ignore[dict-item]
    stream = opened(argument, picture_size=(64, 32), **parameters)
    assert np.array_equal(stream[3].image, pixels)
    assert np.allclose(stream[3].boxes, [(16, 12, 32, 20)], atol=1e-5)
    assert stream[3].objects[0].class_id == 1
    assert len(stream.classes) == 2


# ---------------------------------------------------------------------------------------------------------------
# Streams


def digests(stream: Stream, workers: int, method: str | None = None) -> list[str]:
    found = batches(stream, 1, 4, count=5, workers=workers, start_method=method)
    return [hashlib.sha256(batch.images.numpy().tobytes() + batch.box_xyxy.tobytes()).hexdigest() for batch in found]


def test_workers_and_order_change_no_byte(letters: Path) -> None:
    stream = opened(letters, augment=QUICK)
    expected = digests(stream, 0)
    assert len(set(expected)) == 5
    assert digests(stream, 1, "fork") == digests(stream, 2, "fork") == expected
    forwards = [as_bytes(stream[index]) for index in range(15)]
    assert [as_bytes(opened(letters, augment=QUICK)[index]) for index in reversed(range(15))] == forwards[::-1]


def test_a_stream_without_a_picture_says_what_to_do(tmp_path: Path) -> None:
    root = write_set(tmp_path, {"a.png": png(numbers_for("train", 1)[0])})
    with pytest.raises(GeneratorError, match=r"for stream target, found none among 1 pictures \(train 1, validation 0"):
        opened(root, "target")
    with pytest.raises(GeneratorError, match=r"found none among 1 .*another --generator.train-share, or .*mix:"):
        opened(root, train_share=0)
    with pytest.raises(GeneratorError, match=r"with a chance of 0.05, so it takes about 60 of them; add pictures"):
        opened(root, "target")
    with pytest.raises(GeneratorError, match=r"of which --generator.train-share 0 gives it none"):
        opened(root, train_share=0)
    with pytest.raises(GeneratorError, match="found none among 0 pictures"):
        opened(write_set(tmp_path / "empty", {}))


def test_a_run_that_lacks_a_stream_fails_before_it_begins(tmp_path: Path) -> None:
    from yolo_proc.training.session import open_session

    root = write_set(tmp_path / "data", {"a.png": png(numbers_for("train", 1)[0])})
    config = Config(generator=GeneratorConfig(f"folder:{root}"), augment=OFF, runs_dir=str(tmp_path / "runs"))
    opening = open_session(config, None, False)
    with pytest.raises(GeneratorError, match="for stream validation, found none"), opening:
        pass
    assert not (tmp_path / "runs").exists()


def test_an_augmented_set_is_not_augmented_again(tmp_path: Path) -> None:
    root = write_set(tmp_path, {"a.png": png(1)}, about={"augmented": True})
    with pytest.raises(GeneratorError, match=r"augmented already.*--augment.enabled off.*--generator.augmented on"):
        opened(root, augment=QUICK, train_share=1)
    for augment, allowed in ((OFF, "off"), (AugmentConfig(enabled=False), "off"), (QUICK, "on")):
        assert opened(root, augment=augment, train_share=1, augmented=allowed)[0].image.shape == (32, 32, 3)


def test_the_user_is_told_what_there_is(tmp_path: Path) -> None:
    omitted = SCRIPT.replace("nominal", "omit")
    root = write_set(tmp_path, {"o.png": png(2)}, omitted)
    write_set(root, {"a.png": png(1), "bad.png": b"no picture"})
    with pytest.raises(DataError, match=r"generator folder:.*bad\.png: expected"):
        opened(root)
    stream = opened(root, skip_bad=True, train_share=1)
    first, *others = source_of(stream).notes()
    assert first == f"{root}: 1 pictures (train 1, validation 0, target 0, calibration 0, test 0)"
    assert any("1 bad pictures left out (picture 1)" in line for line in others)
    assert any("1 pictures left out, because their usage is omit" in line for line in others)
    assert titles(stream, range(3)) == [str(root / "a.png")] * 3


def test_damage_behind_the_header_names_the_file(tmp_path: Path) -> None:
    root = write_set(tmp_path, {"a.png": png(1)[:-30], "b.png": png(2), "c.png": png(3)})
    stream = opened(root, train_share=1)
    with pytest.raises(DataError, match=r"failed on scene \d of stream train \(.*a\.png\): "):
        [stream[index] for index in range(3)]
    skipping = opened(root, train_share=1, skip_bad=True)
    seen = {skipping[index].image.tobytes() for index in range(3)}
    assert seen == {opened(root, train_share=1, skip_bad=True)[index].image.tobytes() for index in range(3)}
    assert len(seen) == 2
    alone = opened(write_set(tmp_path / "alone", {"a.png": png(1)[:-30]}), train_share=1, skip_bad=True)
    with pytest.raises(GeneratorError, match="none of the pictures of stream train can be read"):
        alone[0]


def test_a_picture_that_changes_is_refused_and_a_new_stream_sees_it(tmp_path: Path) -> None:
    root = write_set(tmp_path, {"a.png": png(1)})
    stream = opened(root, train_share=1)
    before = as_bytes(stream[0])
    (root / "a.png").write_bytes(png(2, (20, 12)))
    with pytest.raises(DataError, match=r"a\.png: has changed since its folder was read"):
        stream[0]
    assert as_bytes(opened(root, train_share=1)[0]) != before
    (root / "a.png").unlink()
    with pytest.raises(DataError, match=r"a\.png: expected a picture, found no such file"):
        stream[0]


def test_what_is_no_data_set_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    for spec, parameters, complaint in [
        ("folder:", {}, "generator folder: expected the path of a data set behind it, folder:PATH, found none"),
        ("folder:nowhere", {}, "generator folder:nowhere: no such folder"),
        ("folder:empty", {}, "generator folder:empty: empty: no data set found in it; looked for scredit"),
        ("folder:empty", {"format": "vod"}, r"expected one of auto, .*did you mean voc"),
        ("folder:empty", {"train_share": 2}, "expected a number from 0 to 1"),
        ("folder:empty", {"binary_size": "8,8", "format": "binary"}, "binary-anchors: expected sizes such as 60x60"),
        ("folder:empty", {"format": "binary"}, "give --generator.binary-size, --generator.binary-stride and"),
    ]:
        with pytest.raises((GeneratorError, ConfigError, DataError), match=complaint) as caught:
            load_generator(spec, parameters)
        assert "\n" not in str(caught.value)
    root = write_set(tmp_path / "few", {"a.png": png(1)})
    (tmp_path / "one.txt").write_text("cat\n")
    with pytest.raises(DataError, match=r"a\.json: items\[0\]\.p\.category: expected a class below 1, found 1"):
        load_generator(f"folder:{root}", {"class-file": "one.txt"})
    nameless = write_set(tmp_path / "nameless", {"a.png": png(1)}, '{"items":[]}', {"classes": None})
    with pytest.raises(GeneratorError, match=r"no class names; --generator\.class-file"):
        load_generator(f"folder:{nameless}")


def test_a_relative_folder_is_that_of_the_current_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, number in (("x", 1), ("y", 2)):
        write_set(tmp_path / name / "data", {"a.png": png(number)})
        monkeypatch.chdir(tmp_path / name)
        got = opened(Path("data"), train_share=1, picture_size=(16, 12))[0].image
        assert np.array_equal(got, read_picture(png(number)))


# ---------------------------------------------------------------------------------------------------------------
# What a run knows of it


def test_the_fingerprint_covers_the_data(tmp_path: Path) -> None:
    numbers = numbers_for("train", 2) + numbers_for("test", 1)
    root = write_set(tmp_path, {f"{number}.png": png(number) for number in numbers})
    config = Config(generator=GeneratorConfig(f"folder:{root}"), augment=OFF, image_size=32)
    first = fingerprint(config)
    assert changed_parts(first, fingerprint(config)) == []
    (root / "annotations" / f"{numbers[2]}.json").write_text(SCRIPT.replace("3,8", "3,7"))  # of no probe scene
    assert [line.partition(":")[0] for line in changed_parts(first, fingerprint(config))] == ["data"]
    write_set(root, {f"{numbers[2]}.png": png(numbers_for("test", 1, numbers[2] + 1)[0])})
    changed = changed_parts(first, fingerprint(config))
    assert len(changed) == 1
    assert changed[0].startswith("data: pictures: ")


def test_parameters_are_options_of_the_command_line() -> None:
    assert "generator.train-share" in generator_options("folder:anywhere")
    from yolo_proc.config.values import as_given

    given_values = {"generator.name": "folder:data/letters", "generator.train-share": "0.5", "generator.skip-bad": "on"}
    config = config_from_values(as_given(given_values))
    assert config.generator == GeneratorConfig("folder:data/letters", {"train_share": 0.5, "skip_bad": True})
    with pytest.raises(ConfigError, match=r"has no such parameter \(did you mean generator.train-share"):
        config_from_values(as_given({"generator.name": "folder:x", "generator.train-shar": 1}))
