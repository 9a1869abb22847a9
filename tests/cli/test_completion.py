"""Completion, in the shells themselves where they are found."""

import shutil
import subprocess
from pathlib import Path

import pytest

from yolo_proc.cli.main import COMMANDS, main


def script(shell: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert main(["completion", shell]) == 0
    path = folder / f"completion.{shell}"
    path.write_text(capsys.readouterr().out)
    for run in ("first", "second"):
        (folder / "checkpoints" / run).mkdir(parents=True)
    (folder / "photo.jpg").touch()
    return path


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["ex"], ["export"]),
        (["train", "--prec"], ["--precision"]),
        (["train", "--precision", ""], ["auto", "float32", "bf16"]),
        (["train", "--precision", "=", "f"], ["float32"]),
        (["train", "--augment.enabled", "o"], ["on", "off"]),
        (["evaluate", "--run", ""], ["first", "second"]),
        (["train", "--resume", "f"], ["first"]),
        (["predict", "ph"], ["photo.jpg"]),
        (["evaluate", "--augment.flip"], []),  # another command's
    ],
)
def test_bash(words: list[str], expected: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = script("bash", tmp_path, capsys)
    line = " ".join(f"'{word}'" for word in ["yolo_proc", *words])
    code = (
        f"source {path}; COMP_WORDS=({line}); COMP_CWORD={len(words)}; _yolo_proc; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    )
    done = subprocess.run(["bash", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.split() == expected


def test_bash_knows_every_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = script("bash", tmp_path, capsys).read_text()
    assert all(f"            {name}) words=" in text for name in COMMANDS)


@pytest.mark.skipif(shutil.which("zsh") is None, reason="there is no zsh")
def test_zsh_takes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = script("zsh", tmp_path, capsys)
    code = f"autoload -U compinit; compinit -u -d {tmp_path}/dump; source {path}; echo $_comps[yolo_proc]"
    done = subprocess.run(["zsh", "-fc", code], capture_output=True, text=True, check=True)
    assert (done.stdout.split()[-1], done.stderr) == ("_yolo_proc", "")


@pytest.mark.skipif(shutil.which("fish") is None, reason="there is no fish")
def test_fish(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = script("fish", tmp_path, capsys)
    for line, expected in (
        ("yolo_proc ex", {"export"}),
        ("yolo_proc train --precision ", {"auto", "float32", "bf16"}),
        ("yolo_proc evaluate --run ", {"first", "second"}),
    ):
        code = f'source {path}; complete -C"{line}"'
        done = subprocess.run(["fish", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert {row.partition("\t")[0] for row in done.stdout.splitlines()} == expected


@pytest.mark.parametrize(("words", "found"), [([], "none"), (["csh"], "csh"), (["fisch"], "did you mean fish")])
def test_another_shell_is_refused(words: list[str], found: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("yolo_proc completion: expected a shell, one of bash, zsh, fish, found ")
    assert found in line
