"""Scenes of several generators by weight."""

import pickle
from collections import Counter
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from picture_sets import numbers_for, png, write_set

from yolo_proc.config.schema import AugmentConfig, Config, GeneratorConfig
from yolo_proc.config.values import as_given
from yolo_proc.data.augment import GEOMETRY, PIXELS, Augmenter
from yolo_proc.data.fingerprint import changed_parts, fingerprint
from yolo_proc.data.folder import HELD_OUT
from yolo_proc.data.generator import Place, file_stem, load_generator
from yolo_proc.data.mix import BLOCK, Mix, largest_remainders, parse_mix
from yolo_proc.data.run_config import config_from_values
from yolo_proc.data.stream import Stream, batches
from yolo_proc.drawing.canvas import Canvas, circle
from yolo_proc.errors import ConfigError, DataError, GeneratorError
from yolo_proc.scene import Scene

OFF = AugmentConfig(**{f"{part}_p": 0.0 for part in (*GEOMETRY[2:], *PIXELS)})
SOURCE = """
import numpy as np
from yolo_proc.drawing.canvas import circle
from yolo_proc.data.generator import Generator


class Red(Generator):
    '''A red disc in the left half.'''
    classes = ("red", "both")
    flip_x = 1.0

    def draw(self, canvas, rng):
        canvas.draw(circle(0.25, rng.uniform(0.2, 0.8), 0.1), (255, 0, 0), 0)


class Blue(Generator):
    '''A blue disc in the left half, labelled by an index or a name.'''
    classes = ("both", "blue")

    def draw(self, canvas, rng):
        canvas.background((0, 255, 0))
        canvas.draw(circle(0.25, rng.uniform(0.2, 0.8), 0.1), (0, 0, 255), "both" if rng.random() < 0.5 else 1)


class Stray(Generator):
    '''Its label is a class of Red only.'''
    classes = ("blue",)

    def draw(self, canvas, rng):
        canvas.draw(circle(0.5, 0.5, 0.1), (0, 0, 255), "red")
"""


def write_real(root: Path, numbers: list[int], **about: object) -> Path:
    """An scredit project with a cat in each picture."""
    files = {f"{number:03d}.png": png(number) for number in numbers}
    return write_set(root, files, '{"items":[{"bounds":[2,3,8,6]}]}', {"classes": ["cat"], **about})


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `discs.py`, and `real/` with 7 pictures to train on and 2 to validate."""
    root = tmp_path_factory.mktemp("mix")
    (root / "discs.py").write_text(SOURCE)
    write_real(root / "real", numbers_for("train", 7) + numbers_for("validation", 2))
    return root


def spec_of(place: Path, red: float = 0.5, blue: float = 0.3, real: float = 0.2) -> str:
    return f"mix:{place}/discs.py:Red={red},{place}/discs.py:Blue={blue},folder:{place}/real={real}"


def opened(spec: str, stream: str = "train", augment: AugmentConfig = OFF, seed: int = 3) -> Stream:
    return Stream(spec, seed, stream, image_size=32, augment=augment)


def mix_of(stream: Stream) -> Mix:
    assert isinstance(stream.generator, Mix)
    return stream.generator


def turns(stream: Stream, indices: range) -> list[tuple[str, int]]:
    """(the member's kind, its own index) of each scene."""
    found = [mix_of(stream)._turn(Place(stream.seed, stream.stream, index)) for index in indices]
    return [(name.replace("/", ":").rpartition(":")[2], own.index) for name, own in found]


def as_bytes(scene: Scene) -> bytes:
    return scene.image.tobytes() + scene.boxes.tobytes() + scene.class_ids.tobytes() + scene.ignore.tobytes()


def test_it_is_of_letterboxed_pictures_where_a_member_is(place: Path) -> None:
    assert mix_of(opened(spec_of(place))).letterboxed
    assert not mix_of(opened("mix:glyphs=0.5,shapes=0.5")).letterboxed


# ---------------------------------------------------------------------------------------------------------------
# The spec


def test_names_may_hold_colons_slashes_and_equals_signs() -> None:
    assert parse_mix("glyphs=0.8,folder:data/real=0.2") == {
        "glyphs": Fraction(4, 5),
        "folder:data/real": Fraction(1, 5),
    }
    assert parse_mix(" a/b=c.py:X = 3 , shapes=1e0") == {"a/b=c.py:X": Fraction(3), "shapes": Fraction(1)}
    assert list(parse_mix("b=1,a=1")) == ["b", "a"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "expected NAME=WEIGHT with commas between, found ''"),
        ("glyphs", "expected NAME=WEIGHT with commas between, found 'glyphs'"),
        ("glyphs,shapes=1", "expected NAME=WEIGHT with commas between, found 'glyphs'"),
        ("glyphs=1,", "found ''"),
        ("=1", "found '=1'"),
        ("glyphs=", "glyphs: expected a weight above 0, found ''"),
        ("glyphs=0", "expected a weight above 0, found '0'"),
        ("glyphs=-1", "found '-1'"),
        ("glyphs=nan", "found 'nan'"),
        ("glyphs=1e400", "found '1e400'"),
        ("glyphs=1,glyphs=2", "glyphs occurs twice"),
        ("mix:glyphs=1", "expected members that are no mixes"),
        ("glyphs=1,shapes=0.0005", "shapes: expected at least 1 / 1000 of the scenes, found 0.00049975"),
    ],
)
def test_what_is_no_mix_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(GeneratorError, match=complaint) as caught:
        load_generator(f"mix:{text}")
    assert str(caught.value).startswith(f"generator mix:{text}: ")


@given(st.text("ab=,.:0123456789e-/ \x00", max_size=12))
@settings(max_examples=200)
def test_any_text_is_a_mix_or_refused(text: str) -> None:
    try:
        weights = parse_mix(text)
    except GeneratorError:
        return
    assert weights
    assert all(weight > 0 for weight in weights.values())


def test_a_member_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(GeneratorError, match=r"generator glyfs: no such name \(did you mean glyphs"):
        load_generator("mix:glyfs=1,shapes=1")
    with pytest.raises(GeneratorError, match=r"generator folder:.*nowhere: no such folder"):
        load_generator(f"mix:folder:{tmp_path}/nowhere=1,shapes=1")


def test_members_have_no_parameters() -> None:
    given_values = {"generator.name": "mix:glyphs=1", "generator.max-objects": 3}
    with pytest.raises(ConfigError, match="it has: none, and those of its members keep"):
        config_from_values(as_given(given_values))


@pytest.mark.parametrize(
    ("spec", "stem"),
    [
        ("folder:data/letters", "letters"),
        ("folder:data/letters/", "letters"),
        ("folder:/x/with space: & signs", "with-space-signs"),
        ("folder:/", "folder"),
        ("folder:a/..hidden", "hidden"),
        ("folder:" + "x" * 300, "x" * 60),
        ("mix:glyphs=0.8,folder:data/real=0.2", "mix-glyphs-real"),
        ("mix:a.py:X=1", "mix-X"),
        ("glyphs", "glyphs"),
        ("my/dots.py:Dots", "Dots"),
    ],
)
def test_runs_are_called_after_what_they_draw(spec: str, stem: str) -> None:
    assert file_stem(spec) == stem


# ---------------------------------------------------------------------------------------------------------------
# Whose turn it is


@given(st.lists(st.fractions(Fraction(1, 100), 5), min_size=1, max_size=6), st.integers(1, 200))
@settings(max_examples=40)
def test_remainders_share_out_everything(weights: list[Fraction], total: int) -> None:
    counts = largest_remainders(weights, total)
    assert sum(counts) == total
    assert all(abs(count - weight * total / sum(weights)) < 1 for count, weight in zip(counts, weights, strict=True))


def test_remainders_by_hand() -> None:
    assert largest_remainders([Fraction(1)] * 3, 1000) == [334, 333, 333]
    assert largest_remainders([Fraction(1), Fraction(2)], 4) == [1, 3]
    assert largest_remainders([Fraction(7)], 9) == [9]


def test_every_block_has_the_weights_and_every_scene_comes_once(place: Path) -> None:
    stream = opened(spec_of(place))
    found = turns(stream, range(2 * BLOCK))
    for block in (found[:BLOCK], found[BLOCK:]):
        assert Counter(name for name, _ in block) == {"Red": 500, "Blue": 300, "real": 200}
    for name, count in (("Red", 500), ("Blue", 300), ("real", 200)):
        assert sorted(own for one, own in found if one == name) == list(range(2 * count))
        assert {own for one, own in found[:BLOCK] if one == name} == set(range(count))
    first, second = ([name for name, _ in block] for block in (found[:BLOCK], found[BLOCK:]))
    assert first != second
    longest = max(len(run) for run in "".join(name[0] for name, _ in found).replace("B", "R").split("r"))
    assert longest < 100  # the folder's scenes are spread out
    assert turns(opened(spec_of(place), seed=4), range(BLOCK)) != found[:BLOCK]
    assert turns(opened(spec_of(place), "anchors"), range(BLOCK)) != found[:BLOCK]


def test_a_folders_pictures_come_once_in_each_pass(place: Path) -> None:
    stream = opened(spec_of(place))
    own = [(own, index) for index, (name, own) in enumerate(turns(stream, range(BLOCK))) if name == "real"]
    shown = [mix_of(stream).title(Place(3, "train", index)).rpartition("/")[2] for _, index in sorted(own)]
    assert len(shown) == 200
    assert all(len(set(shown[first : first + 7])) == 7 for first in range(0, 196, 7))


def test_a_scene_is_the_members_own(place: Path) -> None:
    mixed = opened(spec_of(place))
    for index, (name, own) in enumerate(turns(mixed, range(30))):
        spec = f"folder:{place}/real" if name == "real" else f"{place}/discs.py:{name}"
        alone = opened(spec, augment=AugmentConfig(enabled=False))[own]
        here = opened(spec_of(place), augment=AugmentConfig(enabled=False))[index]
        assert np.array_equal(here.image, alone.image)
        assert np.array_equal(here.boxes, alone.boxes)


def test_classes_are_joined_by_name(place: Path) -> None:
    stream = opened(spec_of(place))
    assert stream.classes == ("red", "both", "blue", "cat")
    seen: dict[str, set[str]] = {"Red": set(), "Blue": set(), "real": set()}
    for index, (name, _) in enumerate(turns(stream, range(40))):
        seen[name] |= {stream.classes[thing.class_id] for thing in stream[index].objects}
    assert seen == {"Red": {"red"}, "Blue": {"both", "blue"}, "real": {"cat"}}


def test_a_label_of_another_member_is_no_label(place: Path) -> None:
    spec = f"mix:{place}/discs.py:Red=0.5,{place}/discs.py:Stray=0.5"
    stream = opened(spec)
    index = next(k for k, (name, _) in enumerate(turns(stream, range(40))) if name == "Stray")
    message = rf"scene {index} of stream train \(.*Stray, its scene \d+\): label 'red' is no class of this generator"
    with pytest.raises(GeneratorError, match=message):
        stream[index]


def test_each_member_keeps_its_own_flips(place: Path) -> None:
    def sides(augment: AugmentConfig) -> dict[str, set[bool]]:
        stream = opened(spec_of(place), augment=augment)
        found: dict[str, set[bool]] = {"Red": set(), "Blue": set(), "real": set()}
        for index, (name, _) in enumerate(turns(stream, range(40))):
            found[name].add(bool(stream[index].boxes[0, 0] > 15))
        return found

    assert sides(OFF) == {"Red": {True}, "Blue": {False}, "real": {False}}
    assert sides(AugmentConfig(enabled=False)) == {"Red": {False}, "Blue": {False}, "real": {False}}
    given_one = AugmentConfig(**{**vars(OFF), "flip_x": 0.0})
    assert sides(given_one) == {"Red": {False}, "Blue": {False}, "real": {False}}


def test_flips_of_a_scene_draw_what_the_generators_would() -> None:
    ours, whole = (Augmenter(OFF, 1, "train", flip_x=share) for share in (0.0, 0.5))
    for index in range(50):
        assert ours.plan(index, 32, flips=(0.5, 0.0)) == whole.plan(index, 32)
    assert whole.acts
    assert not ours.acts


# ---------------------------------------------------------------------------------------------------------------
# Streams


def test_a_folder_without_a_picture_gives_its_share_away(place: Path) -> None:
    stream = opened(spec_of(place), "target")
    assert Counter(name for name, _ in turns(stream, range(BLOCK))) == {"Red": 625, "Blue": 375}
    assert stream.classes == ("red", "both", "blue", "cat")
    absent = [line for line in mix_of(stream).notes() if "no picture in stream" in line]
    assert len(absent) == 3
    assert f"folder:{place}/real: no picture in stream target; the other members take its share" in absent
    assert "7, validation 2, target 0" in mix_of(stream).notes()[0]


def test_a_mix_of_nothing_is_refused(place: Path) -> None:
    with pytest.raises(GeneratorError, match=r"folder:.*real: expected pictures for stream target, found none"):
        opened(f"mix:folder:{place}/real=1", "target")
    assert opened(f"mix:folder:{place}/real=1", "validation")[2].class_ids.tolist() == [0]


def test_an_augmented_member_is_refused_where_it_would_be_drawn(tmp_path: Path) -> None:
    marked = write_real(tmp_path / "marked", numbers_for("train", 2), augmented=True)
    spec = f"mix:folder:{marked}=0.5,shapes=0.5"
    with pytest.raises(GeneratorError, match="augmented already"):
        opened(spec, augment=AugmentConfig())
    assert opened(spec, augment=AugmentConfig(enabled=False))[0].image.shape == (32, 32, 3)
    assert mix_of(opened(spec, "test", augment=AugmentConfig())).count("test") is None


def test_damage_names_member_and_file(tmp_path: Path) -> None:
    real = write_real(tmp_path / "real", numbers_for("train", 1))
    (path,) = real.glob("*.png")
    stream = opened(f"mix:folder:{real}=1")
    path.write_bytes(b"x")
    with pytest.raises(
        DataError, match=rf"scene 5 of stream train \(folder:.*real, its scene \d+: {path}\): .*changed"
    ):
        stream[5]


@pytest.mark.parametrize(("workers", "method"), [(1, "fork"), (2, "fork"), (1, "spawn")])
def test_workers_change_no_byte(place: Path, workers: int, method: str) -> None:
    augment = AugmentConfig(noise_p=0.3, colour_p=0, hue_p=0, blur_p=0, compression_p=0)
    stream = opened(spec_of(place), augment=augment)

    def found(workers: int, method: str | None) -> list[bytes]:
        drawn = batches(stream, 249, 4, count=3, workers=workers, start_method=method)  # over a block's border
        return [
            batch.images.numpy().tobytes() + batch.box_xyxy.tobytes() + batch.class_ids.tobytes() for batch in drawn
        ]

    assert found(workers, method) == found(0, None)


def test_a_scene_depends_on_its_address_only(place: Path) -> None:
    stream = opened(spec_of(place))
    forwards = [as_bytes(stream[index]) for index in range(990, 1010)]
    again = pickle.loads(pickle.dumps(stream))
    assert [as_bytes(again[index]) for index in reversed(range(990, 1010))] == forwards[::-1]
    assert len(set(forwards)) > 15


def test_the_fingerprint_covers_every_member(tmp_path: Path) -> None:
    (tmp_path / "discs.py").write_text(SOURCE)
    numbers = numbers_for("train", 2)
    write_real(tmp_path / "real", numbers)
    config = Config(generator=GeneratorConfig(spec_of(tmp_path)), augment=OFF, image_size=32)
    first = fingerprint(config)
    assert {f"generator source of {name}" for name in parse_mix(spec_of(tmp_path)[4:])} <= set(first)
    (tmp_path / "real" / "annotations" / f"{numbers[0]:03d}.json").write_text('{"items":[]}')
    changed = changed_parts(first, fingerprint(config))
    assert any(line.startswith(f"data: folder:{tmp_path}/real: labels: ") for line in changed)


def test_labels_become_names() -> None:
    canvas = Canvas()
    canvas.draw(circle(0.5, 0.5, 0.1), (1, 2, 3), 1)
    canvas.draw(circle(0.5, 0.5, 0.1), (1, 2, 3))
    canvas.annotate((0.1, 0.1, 0.3, 0.3), "a")
    canvas.name_labels(("a", "b"))
    assert canvas.render(32, 32, None, ("x", "b", "a")).class_ids.tolist() == [1, 2]
    canvas.draw(circle(0.5, 0.5, 0.1), (1, 2, 3), 2)
    with pytest.raises(GeneratorError, match="expected an index from 0 to 1"):
        canvas.name_labels(("a", "b"))


def test_streams_that_are_held_out_are_those_of_folders() -> None:
    assert HELD_OUT == ("validation", "target", "calibration", "test")
