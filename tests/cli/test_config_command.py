"""`config`: what flags, the environment and a file make together."""

import json
from pathlib import Path

import pytest

from yolo_proc.cli.main import main
from yolo_proc.config.values import config_options
from yolo_proc.data.run_config import read_config


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def rows(printed: str) -> dict[str, tuple[str, str]]:
    return {line.split()[0]: (line.split()[1], " ".join(line.split()[2:])) for line in printed.splitlines()}


def test_each_value_has_its_origin(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    Path("run.toml").write_text("batch-size = 8\nseed = 4\nepochs = 2\n[generator]\nmax-objects = 2\n")
    monkeypatch.setenv("YOLO_PROC_SEED", "5")
    monkeypatch.setenv("YOLO_PROC_EPOCHS", "3")
    assert main(["config", "--config", "run.toml", "--epochs", "4", "--model", "original", "--origin"]) == 0
    found = rows(capsys.readouterr().out)
    assert set(found) == {*config_options(), "generator.max-objects"}
    assert found["batch-size"] == ("8", "run.toml: batch-size")
    assert found["seed"] == ("5", "YOLO_PROC_SEED")  # stronger than a file
    assert found["epochs"] == ("4", "--epochs")  # stronger than both
    assert found["image-size"] == ("416", "--model original")
    assert found["model.name"] == ("original", "--model")
    assert found["generator.max-objects"] == ("2", "run.toml: generator.max-objects")
    assert found["keep"] == ("3", "default")


def test_what_is_printed_is_a_file_that_gives_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "--batch-size", "8", "--generator", "shapes", "--augment.flip-x", "0.5"]) == 0
    printed = capsys.readouterr().out
    Path("again.toml").write_text(printed)
    config = read_config(Path("again.toml"))
    assert (config.batch_size, config.generator.name, config.augment.flip_x) == (8, "shapes", 0.5)
    assert main(["config", "--config", "again.toml"]) == 0
    assert capsys.readouterr().out == printed


def test_json_has_values_and_origins_and_the_schema_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "--json", "--seed", "3"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["seed"] == {"value": 3, "origin": "--seed"}
    assert found["target-loss"] == {"value": None, "origin": "default"}
    assert main(["config", "--schema"]) == 0
    assert "batch-size" in json.loads(capsys.readouterr().out)["properties"]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--origin", "--json"], "--origin and --json: JSON has the origins too"),
        (["--batch-size", "0"], "--batch-size: expected a number from 1"),
        (["--config", "no.toml"], "--config no.toml: expected a TOML file"),
    ],
)
def test_a_mistake_is_one_line(words: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", *words]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"yolo_proc config: {line}")


def test_a_wrong_variable_stops_any_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("YOLO_PROC_BATCH_SISE", "8")
    assert main(["describe"]) == 2
    assert "YOLO_PROC_BATCH_SISE: no option has such a variable (did you mean YOLO_PROC_BATCH_SIZE?)" in (
        capsys.readouterr().err
    )
