"""The files that `new` writes run as they are."""

from pathlib import Path

import numpy as np
import pytest

from yolo_proc.cli.main import main
from yolo_proc.cli.new_command import TEMPLATES
from yolo_proc.config.schema import LabelConfig
from yolo_proc.data.stream import Stream
from yolo_proc.scene import LABELLED, label_states


@pytest.mark.parametrize("kind", TEMPLATES)
def test_a_new_generator_draws_all_its_classes(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new", "myScreen2Signs", "--kind", kind]) == 0
    said = capsys.readouterr().out
    assert said.endswith("written; yolo_proc preview --generator my_screen2_signs.py:MyScreen2Signs\n")
    content = Path("my_screen2_signs.py").read_text()
    assert "NAME" not in content
    assert "FILE" not in content
    assert len(content.splitlines()) <= 36
    stream = Stream("my_screen2_signs.py:MyScreen2Signs", 0, "train", image_size=256)
    scenes = [stream[index] for index in range(40)]
    assert {thing.class_id for scene in scenes for thing in scene.objects} == set(range(len(stream.classes)))
    states = [state for scene in scenes for state in label_states(scene.objects, LabelConfig())]
    assert np.mean([state == LABELLED for state in states]) > 0.6
    before = content
    assert main(["new", "MyScreen2Signs"]) == 2
    assert "is there already" in capsys.readouterr().err
    assert Path("my_screen2_signs.py").read_text() == before


@pytest.mark.parametrize("name", [[], ["9x"], ["a-b"], ["a b"], ["../x"], ["x/y"], ["ä"]])
def test_what_is_no_name_of_a_class(
    name: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new", *name]) == 2
    assert "expected the name of a class" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_own_sprites_stay_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("sprites").mkdir()
    Path("sprites/mine.png").write_bytes(b"mine")
    assert main(["new", "Mine", "--kind", "sprites"]) == 0
    assert [path.name for path in Path("sprites").iterdir()] == ["mine.png"]
