"""Options from environment variables."""

import pytest

from yolo_proc.config.environment import environment_values, variable_of
from yolo_proc.config.values import SHORTHANDS, config_options
from yolo_proc.data.run_config import config_from_values
from yolo_proc.errors import ConfigError

ALL = list(config_options())


def test_no_two_options_have_one_variable() -> None:
    names = [variable_of(flat) for flat in (*ALL, *SHORTHANDS)]
    assert len(set(names)) == len(names)
    assert all(name.replace("_", "A").isalnum() and name.isupper() for name in names)


def test_values_are_those_of_options_and_named_as_the_user_did() -> None:
    around = {
        "YOLO_PROC_BATCH_SIZE": "8", "YOLO_PROC_AUGMENT_FLIP_X": "0.5", "YOLO_PROC_MODEL": "resnet18",
        "YOLO_PROC_GENERATOR_MAX_OBJECTS": "2", "YOLO_PROC_TRUST": "on", "PATH": "/bin", "OTHER": "1",
    }  # fmt: skip
    found = environment_values(around, ALL, parameters=True)
    assert {flat: (one.value, one.where) for flat, one in found.items()} == {
        "batch-size": ("8", "YOLO_PROC_BATCH_SIZE"),
        "augment.flip-x": ("0.5", "YOLO_PROC_AUGMENT_FLIP_X"),
        "model.name": ("resnet18", "YOLO_PROC_MODEL"),
        "generator.max-objects": ("2", "YOLO_PROC_GENERATOR_MAX_OBJECTS"),
    }
    assert not any(one.of_file for one in found.values())
    config = config_from_values(found)
    assert (config.batch_size, config.augment.flip_x, config.generator.parameters) == (8, 0.5, {"max_objects": 2})


def test_a_command_gets_what_it_takes_and_nothing_else() -> None:
    around = {"YOLO_PROC_BATCH_SIZE": "8", "YOLO_PROC_DEVICE": "cpu", "YOLO_PROC_GENERATOR_COUNT": "3"}
    assert list(environment_values(around, ["device"])) == ["device"]
    assert environment_values({}, ALL, parameters=True) == {}


@pytest.mark.parametrize("variable", ["YOLO_PROC_BATCH_SISE", "YOLO_PROC_", "YOLO_PROC_batch_size"])
def test_a_variable_of_no_option_is_refused(variable: str) -> None:
    with pytest.raises(ConfigError, match=f"{variable}: no option has such a variable"):
        environment_values({variable: "1"}, ALL)


def test_a_wrong_value_names_its_variable() -> None:
    with pytest.raises(ConfigError, match="YOLO_PROC_BATCH_SIZE: expected a whole number, found 'many'"):
        config_from_values(environment_values({"YOLO_PROC_BATCH_SIZE": "many"}, ALL))
