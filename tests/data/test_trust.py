"""What a file names is not run, unless the user said so."""

import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_run import run_tiny, tiny_config

from yolo_proc.cli.main import main
from yolo_proc.config.schema import GeneratorConfig
from yolo_proc.data import trust
from yolo_proc.data.configfile import config_to_toml
from yolo_proc.data.generator import ENTRY_POINT_GROUP, load_generator
from yolo_proc.data.trust import remember, require_trust
from yolo_proc.errors import ConfigError, GeneratorError
from yolo_proc.models import checkpoint
from yolo_proc.training.trainer import Trainer

pytestmark = pytest.mark.slow

GENERATOR = """
from pathlib import Path
Path("pwned").write_text("")
from yolo_proc import Generator, circle

class Dots(Generator):
    classes = ("circle", "triangle", "square", "star")

    def draw(self, canvas, rng):
        canvas.background((90, 90, 90))
        canvas.draw(circle(*rng.uniform(0.3, 0.7, 2), 0.2), (200, 40, 40), "circle")
"""


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder and a memory of its own; a file that is run leaves `pwned`."""
    sys.modules.pop("dots", None)  # of another test
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "dots.py").write_text(GENERATOR)
    torch.set_num_threads(1)
    yield
    sys.modules.pop("dots", None)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a built-in generator, to be changed."""
    runs = tmp_path_factory.mktemp("runs")
    run_tiny(tiny_config(runs, epochs=1))
    return runs / "tiny"


def naming(spec: str, trained: Path, runs: Path = Path("runs")) -> Path:
    """A run's folder as somebody else may send it, whose checkpoints and configuration name `spec`."""
    folder = runs / "theirs"
    shutil.copytree(trained, folder)
    for path in (folder / "best.pt", folder / "000001.pt"):
        state = checkpoint.load(path)
        state["config"]["generator.name"] = spec
        checkpoint.save(path, state)
    (folder / "config.toml").write_text(config_to_toml(tiny_config(runs, generator=GeneratorConfig(spec))))
    return folder


def commands(folder: Path) -> list[list[str]]:
    """Every way to hand such a folder to the command line."""
    toml = str(folder / "config.toml")
    return [
        ["evaluate", "--run", str(folder), "--images", "1"],
        ["evaluate", "--checkpoint", str(folder / "best.pt"), "--images", "1"],
        ["train", "--resume", str(folder)],
        ["train", "--resume", str(folder / "000001.pt"), "--accept-changed-data"],
        ["train", "--config", toml],
        ["export", "--run", str(folder), "--out", "out", "--images", "200"],
        ["inspect", "--run", str(folder), "--count", "1"],
        ["inspect", "--config", toml, "--count", "1"],
        ["check", "--config", toml, "--only", "labels"],
        ["preview", "--config", toml, "--count", "1"],
        ["describe", "--config", toml],
        ["generate", "--config", toml, "--count", "1", "--out", "set"],
    ]


@pytest.mark.parametrize("spec", ["dots.py:Dots", "dots:Dots", "mix:shapes=1,dots.py:Dots=1"])
def test_no_command_runs_what_a_file_names(trained: Path, capsys: pytest.CaptureFixture[str], spec: str) -> None:
    for words in commands(naming(spec, trained)):
        assert main(words) == 2, words
        error = capsys.readouterr().err
        assert error.count("\n") == 1, error
        assert "generator.name: names the generator" in error
        assert str(Path("dots.py").resolve()) in error
        assert "add --trust, or set YOLO_PROC_TRUST=on" in error
        assert not Path("pwned").exists(), words


def test_what_takes_no_generator_of_a_run_runs_none_and_works(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = naming("dots.py:Dots", trained)
    picture = trained / "preview.png"
    assert main(["describe", "--run", str(folder)]) == 0
    assert main(["predict", str(picture), "--model", str(folder)]) == 0
    assert not Path("pwned").exists(), capsys.readouterr()


def test_each_command_runs_it_with_trust(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = naming("dots.py:Dots", trained)
    wanted = {"evaluate", "preview", "describe"}
    for words in [words for words in commands(folder) if words[0] in wanted]:
        for extra, word in ((["--trust"], ""), ([], "on"), ([], "1")):
            monkeypatch.setenv("YOLO_PROC_TRUST", word)
            assert main([*words, *extra]) == 0, words
            assert Path("pwned").exists(), words
            Path("pwned").unlink()
            sys.modules.pop(f"_yolo_proc_file_{file_key('dots.py')}")
    monkeypatch.setenv("YOLO_PROC_TRUST", "off")
    assert main(["describe", "--config", str(folder / "config.toml")]) == 2


def file_key(path: str) -> str:
    import hashlib

    return hashlib.sha256(str(Path(path).resolve()).encode()).hexdigest()[:16]


def test_the_users_own_name_for_it_is_enough(trained: Path) -> None:
    folder = naming("dots.py:Dots", trained)
    assert main(["describe", "--config", str(folder / "config.toml"), "--generator", "dots.py:Dots"]) == 0
    assert Path("pwned").exists()


def test_another_generator_leaves_the_files_alone(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = naming("dots.py:Dots", trained)
    # Refused for other scenes, by the trainer: what the checkpoint names is compared and never run.
    assert main(["train", "--resume", str(folder), "--generator", "shapes"]) == 2
    assert "generator.name: was dots.py:Dots, now shapes" in capsys.readouterr().err
    assert not Path("pwned").exists()


def test_what_one_trained_with_is_run_again_wherever_the_run_lies(capsys: pytest.CaptureFixture[str]) -> None:
    run_tiny(tiny_config(Path("mine"), epochs=1, generator=GeneratorConfig("dots.py:Dots")))
    Path("pwned").unlink()
    shutil.copytree("mine", "copy")  # a copied run
    for folder in ("mine/tiny", "copy/tiny"):
        assert main(["evaluate", "--run", folder, "--images", "1"]) == 0
        assert main(["describe", "--config", f"{folder}/config.toml"]) == 0
    assert main(["train", "--resume", "copy/tiny", "--epochs", "2"]) == 0
    Path("dots.py").write_text(GENERATOR + "\n# mended\n")  # the same place, so it is still the user's own
    assert main(["evaluate", "--run", "mine/tiny", "--images", "1"]) == 0
    shutil.copytree("mine", "moved/mine")
    os.chdir("moved")  # a moved project
    Path("dots.py").write_text(GENERATOR)
    assert main(["evaluate", "--run", "mine/tiny", "--images", "1"]) == 0
    Path("dots.py").write_text(GENERATOR + "\n# somebody else's\n")
    capsys.readouterr()
    assert main(["evaluate", "--run", "mine/tiny", "--images", "1"]) == 2
    assert "moved/dots.py" in capsys.readouterr().err


def test_byte_code_beside_a_known_file_is_not_run(tmp_path: Path) -> None:
    import py_compile

    source = tmp_path / "dots.py"
    times = source.stat()
    evil = tmp_path / "evil.py"
    text = GENERATOR.replace('"pwned"', '"owned"')
    assert len(text) == len(GENERATOR)
    evil.write_text(text)
    os.utime(evil, ns=(times.st_atime_ns, times.st_mtime_ns))
    cached = importlib.util.cache_from_source(str(source))
    py_compile.compile(str(evil), cfile=cached, doraise=True)
    load_generator(f"{source}:Dots")
    assert (tmp_path / "pwned").exists()
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    "spec",
    [
        "glyphs",
        "shapes",
        "folder:anywhere",
        "mix:glyphs=0.8,folder:data=0.2",
        "{module}:Shapes",
        "{file}:Shapes",
        "nobody",
        "dots.py",
    ],
)
def test_what_is_installed_or_runs_nothing_needs_no_trust(spec: str) -> None:
    module = next(entry.module for entry in entry_points(group=ENTRY_POINT_GROUP) if entry.name == "shapes")
    file = importlib.import_module(module).__file__
    require_trust(spec.format(module=module, file=file), "a")


@pytest.mark.parametrize(
    "spec",
    [
        "./dots.py:Dots",
        "nowhere.py:Dots",
        "this:s",
        "os.path:join",
        "dots:Dots:Dots",
        "\0.py:X",
        f"{'a' * 5000}.py:X",
        "é.py:X",
        "\udcff.py:X",
        "__main__:X",
        "..:X",
        ":",
        "mix:folder:a=1,dots:Dots=1",
    ],
)
def test_everything_else_does(spec: str) -> None:
    with pytest.raises(GeneratorError, match=r"^a: names the generator") as refused:
        require_trust(spec, "a")
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 1500
    assert not Path("pwned").exists()


@pytest.mark.parametrize("word", ["maybe", "9" * 401, "\udcff"])
def test_the_variable_is_checked(monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    monkeypatch.setenv("YOLO_PROC_TRUST", word)
    with pytest.raises(ConfigError, match="YOLO_PROC_TRUST: expected on or off, found"):
        require_trust("dots.py:Dots", "a")


def test_a_memory_that_others_can_write_is_not_believed(tmp_path: Path) -> None:
    assert remember("dots.py:Dots") == ""
    require_trust("dots.py:Dots", "a")
    folder = tmp_path / "state" / "yolo_proc" / "trusted"
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o777)
    with pytest.raises(GeneratorError, match=r"is not believed, because others may write to .*trusted") as caught:
        require_trust("dots.py:Dots", "a")
    assert "you have not trained with it here" not in str(caught.value)
    assert "is not yours alone" in remember("dots.py:Dots")


def test_a_relative_place_of_records_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(GeneratorError, match="and you have not trained with it here, so nothing of it was run"):
        require_trust("dots.py:Dots", "a")
    assert remember("dots.py:Dots") == ""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", "state")
    with pytest.raises(GeneratorError, match="XDG_STATE_HOME='state' is not absolute"):
        require_trust("dots.py:Dots", "a")


@pytest.mark.parametrize("kind", ["file", "no home", "relative"])
def test_without_a_place_to_remember_training_goes_on_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", {"file": str(tmp_path / "dots.py"), "no home": "", "relative": "x"}[kind])
    if kind != "file":

        def fail() -> Path:
            raise RuntimeError("Could not determine home directory.")

        monkeypatch.setattr(Path, "home", fail)
    trainer = Trainer(tiny_config(tmp_path / "runs", epochs=1, generator=GeneratorConfig("dots.py:Dots")))
    started: Any = next(trainer.run())
    assert any("not remembered that you trained with dots.py:Dots" in note for note in started.notes)
    monkeypatch.setenv("YOLO_PROC_TRUST", "on")
    assert remember("dots.py:Dots") == ""
    require_trust("dots.py:Dots", "a")


def test_built_in_generators_leave_no_record(tmp_path: Path) -> None:
    assert remember("mix:glyphs=1,shapes=1") == ""
    assert not (tmp_path / "state").exists()


def test_another_users_records_are_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remember("dots.py:Dots")
    monkeypatch.setattr(trust.os, "geteuid", lambda: 12345)
    with pytest.raises(GeneratorError):
        require_trust("dots.py:Dots", "a")


def test_a_run_made_by_python_is_trusted_by_a_command_of_another_process(tmp_path: Path) -> None:
    run_tiny(tiny_config(Path("mine"), epochs=1, generator=GeneratorConfig("dots:Dots")))
    environment = {**os.environ, "PYTHONPATH": f"{Path(__file__).parents[2]}{os.pathsep}{tmp_path}"}
    command = [sys.executable, "-m", "yolo_proc", "describe", "--config", "mine/tiny/config.toml"]
    assert subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0
