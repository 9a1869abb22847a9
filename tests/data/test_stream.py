import hashlib
import multiprocessing
import os
import pickle
import signal
import time

import numpy as np
import pytest
import torch

from yolo_proc.batch import Batch
from yolo_proc.config.schema import AugmentConfig, Config, GeneratorConfig
from yolo_proc.data.augment import GEOMETRY, PIXELS
from yolo_proc.data.stream import Stream, batches, letterboxed
from yolo_proc.errors import ConfigError, GeneratorError, TrainingError
from yolo_proc.scene import Scene, SceneObject
from yolo_proc.system import workers as workers_module

SOURCE = '''
import os
from dataclasses import dataclass
import numpy as np
from yolo_proc.drawing.canvas import circle, rectangle
from yolo_proc.errors import GeneratorError
from yolo_proc.data.generator import Generator
from yolo_proc.config.options import option


class TooMany(GeneratorError):
    """A class that no other process can import."""


@dataclass(frozen=True)
class Cards(Generator):
    """Up to three discs and cards on a plain ground, sometimes none; and ways to fail at one scene."""

    classes = ("disc", "card")
    flip_x = 0.5
    bad: float = option(-1.0, help="fails where the first draw is above; below 0: never")
    how: str = option("divide", help="the way to fail")

    def draw(self, canvas, rng):
        if 0 <= self.bad < rng.random():
            if self.how == "divide":
                1 / 0
            elif self.how == "raise":
                raise TooMany("too many cards")
            elif self.how == "label":
                canvas.draw(circle(0.5, 0.5, 0.1), (1, 2, 3), "crad")
            elif self.how == "exit":
                os._exit(9)
        canvas.background(rng.integers(0, 256, 3))
        for _ in range(rng.integers(0, 4)):
            x, y = rng.uniform(0.2, 0.8, 2) * (canvas.width, canvas.height)
            if rng.random() < 0.5:
                canvas.draw(circle(x, y, rng.uniform(0.05, 0.15)), rng.integers(0, 256, 3), "disc")
            else:
                canvas.draw(rectangle(x - 0.1, y - 0.15, x + 0.1, y + 0.15), rng.integers(0, 256, 3), "card")
        canvas.ignore((0.1, 0.1, 0.2, 0.3))


class Spot(Generator):
    """One white disc off the centre on black."""

    classes = ("spot",)

    def draw(self, canvas, rng):
        canvas.draw(circle(0.3 * canvas.width, 0.4 * canvas.height, 0.15), (255, 255, 255), "spot")


class Bar(Generator):
    """A long white bar, aslant."""

    classes = ("bar",)

    def draw(self, canvas, rng):
        canvas.draw(rectangle(0.2, 0.45, 0.8, 0.55), (255, 255, 255), "bar")


class Boxed(Generator):
    """A disc of which a box is known, but no outline."""

    classes = ("disc",)

    def draw(self, canvas, rng):
        canvas.draw(circle(0.5, 0.5, 0.15), (255, 255, 255))
        canvas.annotate((0.35, 0.35, 0.65, 0.65), "disc")


class Nothing(Generator):
    classes = ("nothing",)

    def draw(self, canvas, rng):
        canvas.background(rng.integers(0, 256, 3))
'''

OFF = AugmentConfig(flip_x=0.0, flip_y=0.0, **{f"{part}_p": 0.0 for part in (*GEOMETRY[2:], *PIXELS)})
# Everything that needs no import of several seconds in each spawned worker.
QUICK = AugmentConfig(
    flip_y=0.3, rotate=40.0, rotate_p=0.5, noise_p=0.3, colour_p=0, hue_p=0, blur_p=0, compression_p=0
)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("generators") / "cards.py"
    path.write_text(SOURCE)
    return str(path)


def cards(source, *, name="Cards", augment=QUICK, image_size=64, **others):
    return Stream(f"{source}:{name}", 5, "train", image_size=image_size, augment=augment, **others)


def only(**options):
    return AugmentConfig(**{**{key: getattr(OFF, key) for key in vars(OFF)}, **options})


def as_bytes(scene):
    outlines = b"".join(b"-" if thing.outline is None else thing.outline.tobytes() for thing in scene.objects)
    others = repr([(t.class_id, t.visible, t.in_frame, t.confidence) for t in scene.objects]).encode()
    return scene.image.tobytes() + scene.boxes.tobytes() + outlines + others + scene.ignore.tobytes()


def digest(batch):
    arrays = [getattr(batch, name) for name in vars(batch) if name != "images"]
    parts = [batch.images.numpy().tobytes(), *[f"{a.dtype}{a.shape}".encode() + a.tobytes() for a in arrays]]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def white_box(image):
    """The tight box of the white pixels, in pixels."""
    rows, columns = np.nonzero(image[..., 1] > 127)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


# ---------------------------------------------------------------------------------------------------------------
# One scene


def test_a_scene_depends_on_its_address_only(source):
    one, two = cards(source), cards(source)
    forwards = [as_bytes(one[index]) for index in range(30)]
    assert [as_bytes(two[index]) for index in reversed(range(30))] == forwards[::-1]
    assert as_bytes(one[7]) == forwards[7]
    assert len(set(forwards)) == 30
    assert as_bytes(Stream(f"{source}:Cards", 5, "test", image_size=64, augment=QUICK)[0]) != forwards[0]
    assert as_bytes(Stream(f"{source}:Cards", 6, "train", image_size=64, augment=QUICK)[0]) != forwards[0]


def test_a_pickled_stream_is_the_same(source):
    one = cards(source, parameters={"bad": "1"})
    two = pickle.loads(pickle.dumps(one))
    assert b"Cards object" not in pickle.dumps(one)
    assert two.classes == ("disc", "card")
    assert as_bytes(one[3]) == as_bytes(two[3])


def test_from_config_takes_what_the_run_says(source):
    generator = GeneratorConfig(f"{source}:Cards", {"bad": 1})
    config = Config(seed=5, image_size=64, generator=generator, augment=QUICK)
    got = Stream.from_config(config, "train")
    assert got.parameters == {"bad": 1}
    assert as_bytes(got[4]) == as_bytes(cards(source, parameters={"bad": 1})[4])


def test_every_scene_has_the_networks_size(source):
    stream = cards(source, augment=only(letterbox_p=0.5), image_size=48)
    scenes = [stream[index] for index in range(20)]
    assert {scene.image.shape for scene in scenes} == {(48, 48, 3)}
    bars = [(scene.image[0] == 114).all() or (scene.image[:, 0] == 114).all() for scene in scenes]
    assert 3 < sum(bars) < 17


def test_picture_size_draws_that_and_letterboxes_none(source):
    stream = cards(source, name="Spot", augment=only(letterbox_p=1), picture_size=(96, 54))
    scene = stream[0]
    assert scene.image.shape == (54, 96, 3)
    assert np.allclose(scene.boxes, white_box(scene.image), atol=1)
    assert stream.scene_size == (96, 54)


@pytest.mark.parametrize(
    ("name", "augment"),
    [
        ("Spot", only(flip_x=1.0)),
        ("Spot", only(flip_y=1.0)),
        ("Spot", only(translate_p=1, translate=0.1)),
        ("Spot", only(scale_p=1, scale=1.5)),
        ("Bar", only(rotate_p=1, rotate=45.0)),
        ("Bar", only(shear_p=1, shear=0.3)),
        ("Spot", only(letterbox_p=1, letterbox_size=(0.5, 2.0))),
        ("Bar", only(letterbox_p=1, rotate_p=1, rotate=45.0, flip_x=0.5, scale_p=1)),
        ("Spot", only(colour_p=1, hue_p=1, blur_p=1, noise_p=1, compression_p=1)),
    ],
)
def test_labels_move_with_pixels(source, name, augment):
    stream = cards(source, name=name, augment=augment, image_size=128)
    for index in range(6):
        scene = stream[index]
        assert np.allclose(scene.boxes[0], white_box(scene.image), atol=1.5)
        outline = scene.objects[0].outline
        unclipped = np.array([*outline.min(0), *outline.max(0)])
        assert np.allclose(unclipped.clip(0, 128), scene.boxes[0], atol=1e-6)


def test_flips_mirror_exactly(source):
    plain = cards(source, name="Spot", augment=OFF)[0]
    x0, y0, x1, y1 = plain.boxes[0]
    across = cards(source, name="Spot", augment=only(flip_x=1.0))[0]
    assert np.allclose(across.boxes[0], (64 - x1, y0, 64 - x0, y1))
    assert np.abs(across.image[:, ::-1].astype(int) - plain.image).mean() < 1
    below = cards(source, name="Spot", augment=only(flip_y=1.0))[0]
    assert np.allclose(below.boxes[0], (x0, 64 - y1, x1, 64 - y0))


def test_pixel_changes_move_no_box(source):
    plain = cards(source, augment=OFF)
    changed = cards(source, augment=only(colour_p=1, hue_p=1, blur_p=1, noise_p=1, compression_p=1))
    for index in range(8):
        assert np.array_equal(plain[index].boxes, changed[index].boxes)
        assert not np.array_equal(plain[index].image, changed[index].image)


def test_rotation_boxes_come_from_outlines(source):
    # A disc's box stays its own size at any angle; the box of its turned box would grow to 1.41 of it.
    stream = cards(source, name="Spot", augment=only(rotate_p=1, rotate=180.0), image_size=256)
    for index in range(8):
        x0, y0, x1, y1 = stream[index].boxes[0]
        assert abs(x1 - x0 - 0.3 * 256) < 0.5
        assert abs(y1 - y0 - 0.3 * 256) < 0.5


def test_loose_boxes_are_not_rotated(source):
    config = {"rotate_p": 1.0, "rotate": 45.0, "shear_p": 1.0, "shear": 0.3, "translate_p": 1.0, "tilt_p": 1.0}
    config |= {"lens_p": 1.0}
    stream = cards(source, name="Boxed", augment=only(**config), image_size=256)
    turned = cards(source, name="Boxed", augment=only(**config, loose_boxes=True), image_size=256)
    boxes, loose = np.array([[stream[i].boxes[0], turned[i].boxes[0]] for i in range(6)]).transpose(1, 0, 2)
    sides = boxes[:, 2:] - boxes[:, :2]
    assert np.abs(sides / (0.3 * 256) - 1).max() < 0.05
    assert np.ptp(boxes[:, 0]) > 5  # shifted they are
    assert ((loose[:, 2:] - loose[:, :2]).max(axis=0) > 1.2 * 0.3 * 256).all()


def test_letterboxed_moves_everything():
    image = np.zeros((50, 100, 3), dtype=np.uint8)
    image[10:40, 20:60] = 255
    outline = np.array([[20.0, 10], [60, 10], [60, 40], [20, 40]])
    thing = SceneObject((20, 10, 60, 40), 3, outline, 0.5, 0.6, 0.7)
    scene = letterboxed(Scene(image, (thing,), np.array([[0.0, 0, 100, 50]])), 64, 64)
    got = scene.objects[0]
    assert (got.class_id, got.visible, got.in_frame, got.confidence) == (3, 0.5, 0.6, 0.7)
    assert np.allclose(got.box, (12.8, 16 + 6.4, 38.4, 16 + 25.6))
    assert np.allclose([*got.outline.min(0), *got.outline.max(0)], got.box)
    assert scene.ignore.tolist() == [[0, 16, 64, 48]]
    assert np.allclose(got.box, white_box(np.where(scene.image == 114, 0, scene.image)), atol=1)
    assert letterboxed(Scene(image), 64, 64).objects == ()


# ---------------------------------------------------------------------------------------------------------------
# Batches


def test_batch_holds_what_the_scenes_hold(source):
    stream = cards(source)
    scenes = [stream[index] for index in range(40, 52)]
    batch = Batch.of(scenes, range(40, 52))
    assert len(batch) == 12
    assert batch.images.dtype == torch.uint8
    assert batch.indices.tolist() == list(range(40, 52))
    assert any(not scene.objects for scene in scenes)
    for image, scene in enumerate(scenes):
        assert np.array_equal(batch.images[image].numpy(), scene.image)
        here = batch.objects_of(image)
        assert np.array_equal(batch.box_xyxy[here], scene.boxes)
        assert np.array_equal(batch.class_ids[here], scene.class_ids)
        assert (batch.image_ids[here] == image).all()
        for name in ("visible", "in_frame", "confidence"):
            assert getattr(batch, name)[here].tolist() == [getattr(thing, name) for thing in scene.objects]
        assert np.array_equal(batch.ignore_xyxy[batch.ignore_image_ids == image], scene.ignore)
    assert len(batch.box_xyxy) == sum(len(scene.objects) for scene in scenes)


def test_a_scene_redrawn_without_an_object_lacks_its_pixels_and_its_label(source):
    stream = Stream(
        f"{source}:Cards", 3, "train", image_size=64, augment=AugmentConfig(colour_p=0.0, hue_p=0.0, compression_p=0.0)
    )
    redrawn = 0
    for index in range(40):
        scene = stream[index]
        for number, left_out in enumerate(scene.objects):
            found = stream.without(index, number)
            redrawn += 1
            others = [thing.box for thing in scene.objects if thing is not left_out]
            assert [thing.box for thing in found.objects] == others
            changed = np.argwhere((found.image != scene.image).any(axis=2))[:, ::-1] + 0.5
            if not len(changed):
                assert left_out.visible < 0.1
                continue
            x0, y0, x1, y1 = left_out.box
            assert ((changed > (x0 - 5, y0 - 5)) & (changed < (x1 + 5, y1 + 5))).all()  # a blur reaches further
        with pytest.raises(GeneratorError, match=f"scene {index} of stream train.*expected an object from 0"):
            stream.without(index, len(scene.objects))
    assert redrawn > 20


@pytest.mark.parametrize("workers", [0, 1])
def test_scenes_without_objects(source, workers):
    batch = next(batches(cards(source, name="Nothing"), 0, 3, workers=workers))
    assert batch.images.shape == (3, 64, 64, 3)
    assert batch.box_xyxy.shape == batch.ignore_xyxy.shape == (0, 4)
    assert batch.box_xyxy.dtype == np.float64
    for name in ("class_ids", "image_ids", "ignore_image_ids"):
        assert getattr(batch, name).shape == (0,)
        assert getattr(batch, name).dtype == np.int64
    assert batch.objects_of(2) == slice(0, 0)


@pytest.mark.parametrize(("workers", "method"), [(1, "fork"), (2, "fork"), (4, "fork"), (2, "spawn")])
def test_workers_change_no_byte(source, workers, method):
    stream = cards(source)
    expected = [digest(batch) for batch in batches(stream, 3, 5, count=7)]
    assert len(set(expected)) == 7
    with_workers = batches(stream, 3, 5, count=7, workers=workers, start_method=method)
    assert [digest(batch) for batch in with_workers] == expected


def test_workers_change_no_byte_of_pixel_changes(source):
    augment = only(colour_p=1, hue_p=0.5, blur_p=0.5, noise_p=0.5, compression_p=0.5)
    stream = cards(source, name="Spot", augment=augment, image_size=32)
    expected = list(batches(stream, 0, 4, count=6))
    assert len({image.tobytes() for batch in expected for image in batch.images.numpy()}) == 24
    assert [digest(batch) for batch in batches(stream, 0, 4, count=6, workers=3)] == [digest(b) for b in expected]


@pytest.mark.parametrize("ranks", [1, 2, 3, 7])
def test_ranks_share_a_batch(source, ranks):
    stream = cards(source, image_size=32)
    whole = next(batches(stream, 2, 7))
    parts = [next(batches(stream, 2, 7, rank=rank, ranks=ranks)) for rank in range(ranks)]
    for name in ("images", "box_xyxy", "class_ids", "visible", "ignore_xyxy", "indices"):
        joined = np.concatenate([np.asarray(getattr(part, name)) for part in parts])
        assert np.array_equal(joined, np.asarray(getattr(whole, name))), name
    firsts = np.cumsum([0, *[len(part) for part in parts[:-1]]])
    ids = [part.image_ids + first for part, first in zip(parts, firsts, strict=True)]
    assert np.array_equal(np.concatenate(ids), whole.image_ids)
    assert max(len(part) for part in parts) - min(len(part) for part in parts) <= 1


def test_batches_start_anywhere_and_need_not_end(source):
    stream = cards(source, image_size=32)
    endless = batches(stream, 0, 3)
    first = [digest(next(endless)) for _ in range(4)]
    assert [digest(batch) for batch in batches(stream, 2, 3, count=2)] == first[2:]
    assert list(batches(stream, 2, 3, count=0)) == []
    assert list(batches(stream, 2, 3, count=0, workers=1)) == []


def test_wrong_arguments_are_refused(source):
    stream = cards(source)
    for arguments in [{"rank": 2, "ranks": 2}, {"ranks": 9}, {"workers": -1}, {"rank": -1}]:
        with pytest.raises(ConfigError, match="expected batch_size >= ranks > rank"):
            batches(stream, 0, 8, **arguments)
    with pytest.raises(ConfigError, match=r"expected a start method of .*fork.*; found 'forks'"):
        batches(stream, 0, 8, workers=1, start_method="forks")
    with pytest.raises(ConfigError, match="sides of at least 1 pixel"):
        cards(source, image_size=0)
    with pytest.raises(IndexError, match="found -1"):
        stream[-1]


def test_the_callers_random_numbers_stay(source):
    torch.manual_seed(3)
    expected = torch.rand(2).tolist()
    torch.manual_seed(3)
    next(batches(cards(source), 0, 2, workers=1))
    assert torch.rand(2).tolist() == expected


# ---------------------------------------------------------------------------------------------------------------
# When it goes wrong


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("divide", r"ZeroDivisionError: division by zero \(cards\.py:27 in draw\)"),
        ("raise", r"too many cards"),
        ("label", r"label 'crad' is no class of this generator \(did you mean card\?\)"),
    ],
)
def test_a_failing_generator_is_named_with_its_scene(source, how, message, workers):
    stream = cards(source, parameters={"bad": 0.9, "how": how})
    with pytest.raises(GeneratorError) as caught:
        list(batches(stream, 0, 4, count=20, workers=workers))
    number = int(str(caught.value).split("scene ")[1].split(" ")[0])
    assert str(caught.value).startswith(f"generator {source}:Cards failed on scene {number} of stream train: ")
    caught.match(message)
    assert "\n" not in str(caught.value)
    with pytest.raises(GeneratorError, match=f"scene {number} of"):  # it is that scene, not just a scene
        stream[number]
    if workers:
        assert "in draw" in str(caught.value.__cause__) or how == "label"
        assert "Traceback" in str(caught.value.__cause__)


def test_a_dying_worker_is_told(source):
    stream = cards(source, parameters={"bad": 0.9, "how": "exit"})
    with pytest.raises(TrainingError, match=r"was killed or ran out of memory .* fewer --workers"):
        list(batches(stream, 0, 4, count=20, workers=2))


def test_closing_ends_the_workers(source):
    stream = cards(source)
    before = set(multiprocessing.active_children())
    one, two = batches(stream, 0, 4, workers=2), batches(stream, 0, 4, workers=1)
    next(one)
    assert len(set(multiprocessing.active_children()) - before) == 3  # they draw ahead before they are asked
    one.close()
    assert len(set(multiprocessing.active_children()) - before) == 1
    del two
    assert set(multiprocessing.active_children()) <= before


def test_workers_outlive_the_signals_of_their_group(source):
    before = set(multiprocessing.active_children())
    running = batches(cards(source), 0, 4, workers=1)
    next(running)
    (worker,) = set(multiprocessing.active_children()) - before
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
        os.kill(worker.pid, number)
        time.sleep(0.05)
    for _ in range(8):
        next(running)
    assert worker.is_alive()
    os.kill(worker.pid, signal.SIGTERM)  # the second one is meant
    worker.join(5)
    assert not worker.is_alive()
    running.close()


def test_little_shared_memory_is_enough(source, monkeypatch):
    stream = cards(source)
    expected = [digest(batch) for batch in batches(stream, 0, 3, count=4)]
    assert workers_module.prefetched(2, 10**15) == 0
    assert workers_module.prefetched(2, 1000) == workers_module.MOST_PREFETCHED
    monkeypatch.setattr(workers_module, "prefetched", lambda *_: 0)
    assert [digest(batch) for batch in batches(stream, 0, 3, count=4, workers=2)] == expected
