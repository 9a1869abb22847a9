"""Classes that a mirror turns into one another."""

from pathlib import Path

import pytest

from yolo_proc.checks.data.mirrors import turned_classes
from yolo_proc.config.schema import AugmentConfig, Config, GeneratorConfig
from yolo_proc.data.stream import Stream

ARROWS = f"{Path(__file__).parents[1] / 'faults_scenes.py'}:Arrows"
ACROSS, DOWN = "left and right", "top and bottom"


def plain(generator: GeneratorConfig, side: int = 96) -> Stream:
    return Stream.from_config(
        Config(generator=generator, image_size=side, augment=AugmentConfig(enabled=False)), "train"
    )


def test_a_mirror_turns_arrows_along_its_axis_alone() -> None:
    stream = plain(GeneratorConfig(ARROWS))
    assert turned_classes(stream, [ACROSS]) == [("left", "right", ACROSS), ("right", "left", ACROSS)]
    assert turned_classes(stream, [DOWN]) == [("up", "down", DOWN), ("down", "up", DOWN)]
    assert turned_classes(stream, []) == []


def test_letters_of_many_typefaces_are_found_too() -> None:
    pairs = turned_classes(plain(GeneratorConfig("glyphs", {"category": "bd"})), [ACROSS])
    assert pairs == [("b", "d", ACROSS), ("d", "b", ACROSS)]


@pytest.mark.parametrize(
    "generator",
    [
        GeneratorConfig("shapes"),  # symmetrical
        GeneratorConfig("glyphs"),  # an A upside down is nearest to an M, but is none
        GeneratorConfig("glyphs", {"category": "CD"}),  # nor is a mirrored C a D
        GeneratorConfig("glyphs", {"category": "O0"}),  # not told apart in the first place
        GeneratorConfig("glyphs", {"category": "O"}),  # nothing to become
    ],
    ids=lambda generator: f"{generator.name} {generator.parameters}",
)
def test_other_classes_are_left_alone(generator: GeneratorConfig) -> None:
    assert turned_classes(plain(generator), [ACROSS, DOWN]) == []
