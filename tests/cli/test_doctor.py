"""`doctor`: what a machine has, and what is missing."""

import json
from pathlib import Path

import pytest

from yolo_proc.cli import doctor_command
from yolo_proc.cli.main import main

pytestmark = pytest.mark.slow


def facts(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> dict[str, dict[str, str]]:
    assert main(["doctor", "--json", *words]) == code
    return {one["name"]: one for one in json.loads(capsys.readouterr().out)}


def test_the_report_names_what_a_problem_needs(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ["--image-size", "64", "--threads", "1", "--runs-dir", str(tmp_path / "runs"), "--device", "cpu"]
    assert main(["doctor", *words]) == 0
    printed = capsys.readouterr().out
    for name in ("processor", "memory", "torch", "onnxruntime", "device", "precision", "speed", "java"):
        assert f"\n  {name} " in printed
    assert [line for line in printed.splitlines() if line and line[0] != " "][:4] == [
        "Machine", "Packages", "Java", "Training",
    ]  # fmt: skip
    assert "images/s of 64 x 64" in printed


def test_java_that_is_missing_or_too_old_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = facts(capsys, "--speed", "off")
    assert found["java"]["value"] == found["mvn"]["value"] == "not found"
    assert "install a JDK of 17 or newer" in found["java"]["missing"]
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019' >&2\n")
    java.chmod(0o755)
    assert facts(capsys, "--speed", "off")["java"]["missing"]
    java.write_text("#!/bin/sh\necho 'openjdk version \"21.0.2\" 2024' >&2\n")
    assert facts(capsys, "--speed", "off")["java"]["missing"] == ""
    assert main(["doctor", "--speed", "off"]) == 0
    assert "\nMissing:\n  mvn " in capsys.readouterr().out


def test_a_device_that_is_not_there_stops_training(capsys: pytest.CaptureFixture[str]) -> None:
    found = facts(capsys, "--speed", "off", "--device", "cuda:99", code=1)
    assert found["device"]["missing"].startswith("training on it")


def test_a_package_that_is_not_there_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def version(name: str) -> str:
        if name == "torchvision":
            raise doctor_command.PackageNotFoundError
        return "1.0"

    monkeypatch.setattr(doctor_command, "version", version)
    assert facts(capsys, "--speed", "off", code=1)["torchvision"]["value"] == "not installed"
