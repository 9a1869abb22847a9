"""The command line as a user meets it: what it prints, on which stream, and its exit code."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from yolo_proc.cli.commands import preview_parser, train_parser
from yolo_proc.cli.main import COMMANDS, main
from yolo_proc.config.schema import Config
from yolo_proc.config.values import config_options
from yolo_proc.data.configfile import config_to_toml
from yolo_proc.data.run_config import config_from_values

ROOT = Path(__file__).parents[2]


def run(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "yolo_proc", *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=environment, check=False)


@pytest.mark.parametrize(
    "words",
    [
        ("predict", "x" * 401),
        ("predict", ".", "--model", "x" * 401),
        ("predict", ".", "--model", "x" * 401 + ".onnx"),
        ("export", "--out", "x" * 401, "--checkpoint", "a.pt"),
        ("export", "--out", "x", "--checkpoint", "x" * 401),
        ("export", "--out", "x", "--runs-dir", "x" * 401),
        ("evaluate", "--checkpoint", "x" * 401),
        ("inspect", "x" * 401),
    ],
)
def test_names_that_no_system_has_are_one_line(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").write_bytes(b"")
    assert main(list(words)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"yolo_proc {words[0]}: ")
    assert "x" * 401 in line
    assert list(tmp_path.iterdir()) == [tmp_path / "a.png"]


def refused(*words: str, cwd: Path) -> str:
    """The one line on stderr of a command that a user's mistake ended."""
    ended = run(*words, cwd=cwd)
    assert (ended.returncode, ended.stdout) == (2, ""), ended
    (line,) = ended.stderr.splitlines()
    return line


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], "yolo_proc: no command given; expected one of train, check, evaluate, export, predict, "),
        (["trian"], "yolo_proc: trian: no such command (did you mean train?); expected one of train,"),
        (["train", "--batch-sise", "8"], "yolo_proc train: --batch-sise: no such option (did you mean --batch-size?)"),
        (["train", "--batch_size=8"], "yolo_proc train: --batch_size: no such option (did you mean --batch-size?)"),
        (["train", "--flip-x", "1"], "yolo_proc train: --flip-x: no such option (did you mean --augment.flip-x?)"),
        (["train", "--batch", "8"], "yolo_proc train: --batch: no such option"),
        (["train", "-x"], "yolo_proc train: -x: no such option"),
        (["evaluate", "--config", "x"], "yolo_proc evaluate: --config: no such option; --help lists them"),
        (
            ["describe", "--loss.weight-wh", "3"],
            "yolo_proc describe: --loss.weight-wh: no such option here; train has it",
        ),
        (
            ["describe", "--task", "classification", "--model.anchors", "1"],
            "yolo_proc describe: --model.anchors: the task classification does not read it, detection does",
        ),
        (
            ["check", "--task", "classification", "--image-size", "100"],
            "yolo_proc check: --image-size: expected a multiple of the stride 32, found 100; 96 and 128 are",
        ),
        (
            ["train", "--model", "resnet18", "--model.strides", "64"],
            "yolo_proc train: --model.strides: the network resnet18 has strides 4, 8, 16, 32, found 64",
        ),
        (["train", "--generator", "nowhere.py:Dots"], "yolo_proc train: generator nowhere.py:Dots: no file"),
        (["train", "--generator", "folder:"], "yolo_proc train: generator folder: expected the path of a data set"),
        (["train", "glyphs"], "yolo_proc train: glyphs: expected an option, which starts with --"),
        (["train", "--batch-size"], "yolo_proc train: --batch-size: expected a value"),
        (["train", "--batch-size", "--seed", "1"], "yolo_proc train: --batch-size: expected a value"),
        (["train", "--batch-size", "x"], "yolo_proc train: --batch-size: expected a whole number, found 'x'"),
        (["train", "--batch-size", "0"], "yolo_proc train: --batch-size: expected a number from 1 to 65536, found '0'"),
        (["train", "--seed", "-1"], "yolo_proc train: --seed: expected a number from 0"),
        (["train", "--target-loss", "nan"], "yolo_proc train: --target-loss: expected a number of at least 0"),
        (["train", "--precision", "fp32"], "yolo_proc train: --precision: expected one of auto, float32, bf16, found"),
        (["train", "--model", "orignal"], "yolo_proc train: --model: expected one of "),
        (["train", "--image-size", "250"], "yolo_proc train: --image-size: expected a multiple of the stride 16"),
        (["train", "--model.strides", "16,8"], "yolo_proc train: --model.strides: expected distinct strides"),
        (["train", "--model.anchors", "big"], "yolo_proc train: --model.anchors: expected auto, or sizes"),
        (["train", "--device", "gpu"], "yolo_proc train: --device: expected auto, cpu, cuda or cuda:N, found 'gpu'"),
        (["train", "--augment.enabled", "maybe"], "yolo_proc train: --augment.enabled: expected on or off"),
        (
            ["train", "--config", "no.toml"],
            "yolo_proc train: --config no.toml: expected a TOML file with options, found no such file",
        ),
        (
            ["train", "--config", "bad.toml"],
            "yolo_proc train: bad.toml: batch-sise: no such option (did you mean batch",
        ),
        (["train", "--config", "no-toml.toml"], "yolo_proc train: no-toml.toml: expected TOML"),
        (["train", "--accept-changed-data"], "yolo_proc train: --accept-changed-data: only a resumed run"),
        (["train", "--run", "a/b"], "yolo_proc train: --run: expected a plain folder name"),
        (
            ["train", "--generator.max-object", "3"],
            "yolo_proc train: --generator.max-object: generator glyphs has no such parameter "
            "(did you mean --generator.max-objects?)",
        ),
        (
            ["train", "--generator.max-objects", "0"],
            "yolo_proc train: --generator.max-objects: expected a number from 1 to",
        ),
        (
            ["preview", "--generator", "glyfs", "--generator.x", "1"],
            "yolo_proc preview: generator glyfs: no such name (did you mean glyphs?); expected ",
        ),
        (["preview", "--batch-size", "3"], "yolo_proc preview: --batch-size: no such option"),
        (["preview", "--count", "0"], "yolo_proc preview: --count: expected a number from 1 to"),
        (["preview", "--generator", "no.py:Dots"], "yolo_proc preview: generator no.py:Dots: no file no.py"),
        (["preview", "--stream", "tests"], "yolo_proc preview: --stream: expected one of train,"),
        (["evaluate", "--picture-size", "1920"], "yolo_proc evaluate: --picture-size: expected WIDTHxHEIGHT"),
        (["evaluate", "--input-size", "256,256"], "yolo_proc evaluate: --input-size: expected WIDTHxHEIGHT"),
        (["evaluate", "--weights", "best"], "yolo_proc evaluate: --weights: expected one of ema, raw, both"),
        (["evaluate", "--run", "a", "--checkpoint", "b"], "yolo_proc evaluate: --run and --checkpoint: both say"),
        (["evaluate", "--run", "b-1"], "yolo_proc evaluate: b-1: no such run in checkpoints (did you mean a-1?)"),
        (["train", "--resume", "a", "--run", "b"], "yolo_proc train: --run: names the run b, but --resume names a"),
        (["describe", "--run", "nope"], "yolo_proc describe: nope: no such run in checkpoints"),
        (
            ["describe", "--model", "original", "--model.width", "2"],
            "yolo_proc describe: --model.width: the layers of original",
        ),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else "",
)
def test_a_users_mistake_is_one_line(tmp_path: Path, words: list[str], line: str) -> None:
    (tmp_path / "bad.toml").write_text("batch-sise = 8\n")
    (tmp_path / "no-toml.toml").write_text("batch-size\n")
    (tmp_path / "checkpoints" / "a-1").mkdir(parents=True)
    assert refused(*words, cwd=tmp_path).startswith(line)
    # A refused command leaves nothing behind.
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a-1", "bad.toml", "checkpoints", "no-toml.toml"]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["evaluate", "--checkpoint", "no.pt"], "yolo_proc evaluate: no.pt: no such checkpoint"),
        (["evaluate", "--checkpoint", "bad.toml"], "yolo_proc evaluate: bad.toml: expected a checkpoint of yolo_proc"),
        (["evaluate"], "yolo_proc evaluate: checkpoints: expected a folder with runs, found no checkpoint in it"),
        (["train", "--resume"], "yolo_proc train: checkpoints: expected a folder with runs, found no checkpoint"),
        (["train", "--resume", "a-1"], "yolo_proc train: checkpoints/a-1: expected a run's folder with checkpoints"),
    ],
)
def test_a_mistake_with_checkpoints_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], line: str
) -> None:
    monkeypatch.chdir(tmp_path)  # in this process, which imports torch but once
    (tmp_path / "bad.toml").write_text("batch-sise = 8\n")
    (tmp_path / "checkpoints" / "a-1").mkdir(parents=True)
    assert main(words) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (found,) = printed.err.splitlines()
    assert found.startswith(line)


def test_a_bug_of_ours_is_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("yolo_proc.cli.commands.build_own", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["train"])


def test_ctrl_c_before_training_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("yolo_proc.cli.commands.build_own", interrupt)
    assert main(["train"]) == 130


# ------------------------------------------------------------------------------------------------- help


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    printed = capsys.readouterr().out
    assert all(f"\n  {name} " in printed for name in COMMANDS)
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("yolo_proc ")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    words = r"( \[(FOLDER|SHELL|NAME)\]| (PICTURES|PHOTOS)\.\.\.)?"
    assert re.match(rf"usage: yolo_proc {command}{words}.* \[options\]\n", capsys.readouterr().out)


def test_help_of_train_has_every_option_with_default_and_range(capsys: pytest.CaptureFixture[str]) -> None:
    main(["train", "--help"])
    printed = " ".join(capsys.readouterr().out.split())
    for flat in config_options():
        assert f"--{flat} " in printed
    assert "--batch-size N batch size: images of a training step (default 32; 1 to 65536)" in printed
    assert "--generator TEXT, --generator.name TEXT" in printed
    assert "stop when the loss has not fallen by 1 % in this many epochs; 0: never (default 20; at least 0)" in printed
    for group in ("augment:", "model:", "loss:", "optim:", "labels:"):
        assert group in printed


def test_help_shows_the_parameters_of_a_named_generator(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["preview", "--generator", "glyphs", "--help"]) == 0
    assert "--generator.max-objects N" in capsys.readouterr().out


# ------------------------------------------------------------------------------------------------ flags


def config_of(*words: str) -> Config:
    return config_from_values(train_parser().read(words).given)


def test_flags_become_a_configuration() -> None:
    config = config_of(
        "--batch-size=8", "--seed", "7", "--seed", "8", "--model.strides", "8,16", "--augment.flip-x", "0.5",
        "--model.batch-norm", "off", "--augment.loose-boxes", "--generator", "glyphs", "--generator.category=ÄÖ",
        "--generator.max-objects", "2", "--target-loss", "none",
    )  # fmt: skip
    assert config.batch_size == 8
    assert config.seed == 8  # the last one counts
    assert config.model.strides == (8, 16)
    assert config.augment.flip_x == 0.5
    assert config.model.batch_norm is False
    assert config.augment.loose_boxes is True
    assert config.generator.parameters == {"category": "ÄÖ", "max_objects": 2}
    assert config.target_loss is None


def test_no_flags_are_the_defaults() -> None:
    assert config_of() == Config()


def test_resume_stands_alone_or_with_a_name() -> None:
    for words, expected in ((["--resume"], ""), (["--resume", "a-1"], "a-1"), (["--resume", "--epochs", "3"], "")):
        assert train_parser().read(words).own["resume"].value == expected
    assert "resume" not in train_parser().read([]).own


def test_a_negative_value_of_a_parameter_is_a_value() -> None:
    given = preview_parser().read(["--generator.x", "-5", "--generator.y", "--generator.z=--a"]).given
    assert {flat: one.value for flat, one in given.items()} == {
        "generator.x": "-5",
        "generator.y": "on",
        "generator.z": "--a",
    }


# --------------------------------------------------------------------------------------------- commands


def test_flags_are_stronger_than_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "run.toml"
    path.write_text("image-size = 64\n[model]\nwidth = 0.25\ndepth = 0\nstrides = [8, 16]\n")
    assert main(["describe", "--json", "--config", str(path), "--model.strides", "16"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["image_size"] == [64, 64]
    assert [grid["stride"] for grid in found["grids"]] == [16]
    assert found["slots"] == 16


def test_describe_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe", "--model.width", "0.25", "--model.depth", "0", "--image-size", "64"]) == 0
    printed = capsys.readouterr().out
    assert "Parameters:" in printed
    assert "Slots:      16 of 8 values" in printed


def test_describe_takes_the_file_of_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "config.toml"
    path.write_text(config_to_toml(Config(image_size=64)))
    assert main(["describe", "--json", "--config", str(path)]) == 0
    assert json.loads(capsys.readouterr().out)["slots"] == 16


def test_preview_writes_a_sheet(tmp_path: Path) -> None:
    (tmp_path / "dots.py").write_text(
        "from yolo_proc import Generator, circle\n\n\n"
        "class Dots(Generator):\n    classes = ('dot',)\n\n"
        "    def draw(self, canvas, rng):\n        canvas.background((9, 9, 9))\n"
        "        canvas.draw(circle(0.5, 0.5, 0.2), (250, 0, 0), 'dot')\n"
    )
    ended = run(
        "preview", "--generator", "dots.py:Dots", "--count", "3", "--out", "sheet.png", "--augment", "off", cwd=tmp_path
    )
    assert ended.stderr == ""
    assert ended.stdout == "sheet.png: 3 scenes of generator dots.py:Dots with 3 objects\n"
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")
