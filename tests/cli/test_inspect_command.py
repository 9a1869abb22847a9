"""`inspect` on data sets and generators: what it reads, times, checks, writes and refuses."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from inspect_samples import GRID, collected, sample, summed
from PIL import Image
from small_sets import put_picture, put_text

from yolo_proc.annotations.records import Annotation, Item, Problems, ReadOptions
from yolo_proc.annotations.yolo.reader import read as read_yolo
from yolo_proc.cli import inspect_command
from yolo_proc.cli.flags import FlagParser
from yolo_proc.cli.inspect_command import InspectFlags, inspect_parser
from yolo_proc.cli.main import main
from yolo_proc.config.schema import AugmentConfig
from yolo_proc.data.fingerprint import scene_digest
from yolo_proc.data.stream import Stream
from yolo_proc.errors import ConfigError
from yolo_proc.inspection.report import Inspection
from yolo_proc.inspection.sources import (
    DataSetSource,
    Determinism,
    StreamSource,
    TimedStream,
    check_determinism,
    sample_of,
    scene_of,
)
from yolo_proc.plotting.charts import RED

# ---------------------------------------------------------------------------------------------- sources


def write_module(folder: Path, draw: str) -> str:
    (folder / "dots.py").write_text(
        "import os, time\nfrom yolo_proc import Generator, circle\n\n\n"
        "class Dots(Generator):\n    classes = ('dot', 'ring')\n    drawn = 0\n\n"
        "    def draw(self, canvas, rng):\n        canvas.background((9, 9, 9))\n"
        f"        {draw}\n"
        "        colour = (level % 256, level // 256 % 256, level // 65536)\n"
        "        canvas.draw(circle(float(rng.uniform(0.2, 0.8)), 0.5, 0.2), colour, 'dot')\n"
    )
    return f"{folder / 'dots.py'}:Dots"


PLAIN = AugmentConfig(enabled=False)


def stream_of(folder: Path, draw: str = "level = 200", augment: AugmentConfig = PLAIN) -> Stream:
    return Stream(write_module(folder, draw), 0, "train", image_size=32, augment=augment)


def test_a_timed_stream_is_the_stream_and_its_stages_are_the_whole(tmp_path: Path) -> None:
    quiet = {f"{part}_p": 0.0 for part in ("colour", "hue", "blur", "compression")}
    stream = stream_of(tmp_path, augment=AugmentConfig(noise_p=0.5, letterbox_p=0.5, **quiet))
    timed = TimedStream(stream.spec, 0, "train", image_size=32, augment=stream.augment)
    assert [scene_digest(timed[k]) for k in range(12)] == [scene_digest(stream[k]) for k in range(12)]
    timing = timed.clock.timing()
    acted = {stage.name: stage.scenes for stage in timing.stages}
    assert acted["plan"] == acted["draw"] == acted["render"] == timing.scenes == 12
    assert 0 < acted["pixel changes"] < 12
    assert 0 < acted["letterbox"] < 12
    assert timing.seconds == pytest.approx(sum(stage.seconds for stage in timing.stages))
    assert all(stage.seconds > 0 for stage in timing.stages)


def test_slow_drawing_is_told_from_rendering(tmp_path: Path) -> None:
    source = StreamSource(stream_of(tmp_path, "level = 200; time.sleep(0.02)"), 4)
    assert len([one for one in source.samples() if one is not None]) == 4
    seconds = {stage.name: stage.seconds for stage in source.timing.stages}
    assert source.timing.scenes == 3  # the first one loads things
    assert seconds["draw"] >= 0.06
    assert seconds["plan"] < 0.06


def test_a_generator_that_keeps_state_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("yolo_proc.inspection.sources._in_another_process", lambda *_: "no process today")
    found = check_determinism(stream_of(tmp_path, "type(self).drawn += 1; level = self.drawn"), 3)
    assert found.again == (0, 1, 2)
    assert not found.holds
    text = Inspection("x", "generator", summed(), determinism=found).text()
    assert "draw every random number from the rng" in text
    assert "not checked, no process today" in text


def test_a_generator_that_depends_on_its_process_is_found_out(tmp_path: Path) -> None:
    found = check_determinism(stream_of(tmp_path, "level = os.getpid()"), 2)
    assert (found.again, found.other_order) == ((), ())
    assert (found.other_process, found.not_checked) == ((0, 1), "")
    lines = Inspection("x", "generator", summed(), determinism=Determinism(2, (), (), (1,))).findings
    assert "scenes 1 differ in another process" in lines[0]


def test_items_become_a_sample() -> None:
    items = (
        Item((0, 0, 10, 10), 2, visible=0.5),
        Item((5, 5, 9, 9), ignore=True),
        Item((1, 1, 1, 1), kind="point"),
        Item((1, 2, 3, 4)),
    )
    one = sample_of("a", "val", Annotation("a.png", 16, 16, items), np.zeros((16, 16, 3), np.uint8))
    assert one.class_ids.tolist() == [2, 0]
    assert one.visible[0] == 0.5
    assert np.isnan(one.visible[1])
    assert one.ignore_xyxy.tolist() == [[5, 5, 9, 9]]
    assert one.others == 1
    scene = scene_of(one)
    assert [(thing.box, thing.visible) for thing in scene.objects] == [((0, 0, 10, 10), 0.5), ((1, 2, 3, 4), 1.0)]


def yolo_set(root: Path) -> Path:
    """Two splits: `same.png` is the same picture in both, `cut.png` ends in its middle, `far.png` has a box outside."""
    rng = np.random.default_rng(5)
    put_text(root / "data.yaml", "train: images/train\nval: images/val\nnames: {0: cat, 1: dog, 2: emu}\n")
    for number in range(6):
        pixels = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
        for name in [f"train/p{number}", *(["val/same", "train/same"] if number == 0 else [])]:
            path = root / "images" / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels + np.uint8(number == 0 and name.endswith("p0"))).save(path)
            put_text(root / "labels" / f"{name}.txt", "0 0.5 0.5 0.25 0.5\n1 0.25 0.25 0.25 0.25\n")
    whole = put_picture(root / "images/train/cut.png", 64, 64).read_bytes()
    (root / "images/train/cut.png").write_bytes(whole[: len(whole) // 2])
    put_picture(root / "images/train/far.png")
    put_text(root / "labels/train/far.txt", "0 0.9 0.5 0.5 0.5\n")
    return root


def test_a_data_set_goes_on_without_what_is_bad(tmp_path: Path) -> None:
    options = ReadOptions(problems=Problems(skip=True))
    source = DataSetSource(read_yolo(yolo_set(tmp_path), options), options)
    taken = list(source.samples())
    names = [one.name for one in taken if one is not None]
    assert names == [*(f"train/p{number}.png" for number in range(6)), "train/same.png", "val/same.png"]
    assert len(taken) == len(source)
    assert options.problems.by_reason == {"outside": 1, "picture": 1}
    again = source.sample(names.index("val/same.png"))
    assert again.name == "val/same.png"
    assert (again.image == taken[-1].image).all()  # type: ignore[union-attr]


# ------------------------------------------------------------------------------------------ the command


def test_a_data_set_is_inspected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, out = yolo_set(tmp_path / "pets"), tmp_path / "out"
    assert main(["inspect", "--json", str(root), "--image-size", "64", "--out", str(out)]) == 0
    told = json.loads(capsys.readouterr().out)
    found = told["statistics"]
    assert (told["kind"], found["images"], found["objects"]) == ("yolo", 8, 16)
    assert found["left_out"] == {"outside": 1, "picture": 1}
    assert found["never_drawn"] == ["emu"]
    assert found["duplicates"]["exact"] == [["train/same.png", "val/same.png"]]
    assert found["duplicates"]["across_splits"] == 1
    assert found["encoding"]["encoded"] == 16
    assert any("more than one split" in line for line in told["findings"])
    assert any("never drawn: emu" in line for line in told["findings"])
    for name in ("plots.png", "unusual.png"):
        picture = np.array(Image.open(out / name))
        assert picture.std() > 5
    assert (np.array(Image.open(out / "plots.png")) == RED).all(axis=-1).any()  # "emu", red channel


def test_the_same_for_people(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["inspect", str(yolo_set(tmp_path / "pets"))]) == 0
    told = capsys.readouterr().out
    assert (tmp_path / "inspect_pets" / "plots.png").exists()
    for words in ("8 pictures, format yolo, 16 objects of 3 classes", "train: 7, val: 1", "far.txt", "Findings"):
        assert words in told
    assert max(map(len, told.splitlines())) < 300


def test_an_empty_data_set_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "empty"
    put_text(root / "data.yaml", "train: images/train\nval: images/train\nnames: {0: cat}\n")
    (root / "images/train").mkdir(parents=True)
    (root / "labels/train").mkdir(parents=True)
    assert main(["inspect", str(root), "--out", str(tmp_path / "out")]) == 2
    captured = capsys.readouterr()
    told = captured.out
    assert "0 pictures, format yolo, 0 objects of 1 class" in told
    assert "there is no object" not in told
    assert captured.err.startswith(
        f"yolo_proc inspect: {root}: nothing can be read: all is left out (value 1), first: "
    )
    assert "expected pictures in" in captured.err


def test_a_set_of_bad_pictures_alone_is_a_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "bad"
    put_text(root / "data.yaml", "train: images/train\nval: images/train\nnames: {0: cat}\n")
    for name in ("a", "b"):
        put_picture(root / f"images/train/{name}.png")
        put_text(root / f"labels/train/{name}.txt", "0 0.5 0.5 nan 0.5\n")
    assert main(["inspect", str(root), "--out", str(tmp_path / "out")]) == 2
    captured = capsys.readouterr()
    assert "  - nothing can be read: all is left out (not-finite 2), first: " in captured.out
    assert "no object" not in captured.out
    assert captured.err.count("\n") == 1
    assert captured.err.startswith(
        f"yolo_proc inspect: {root}: nothing can be read: all is left out (not-finite 2), first: "
    )
    assert "a.txt: line 1" in captured.err
    (root / "labels/train/b.txt").write_text("0 0.5 0.5 0.25 0.5\n")
    assert main(["inspect", str(root), "--out", str(tmp_path / "out")]) == 0


def test_what_reading_told_is_a_finding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = yolo_set(tmp_path / "pets")
    (root / "labels/train/p3.txt").unlink()
    put_text(root / "images/train/q.heic", "no picture that is read")
    assert main(["inspect", str(root), "--out", str(tmp_path / "out")]) == 0
    findings = capsys.readouterr().out.partition("Findings")[2]
    assert "a kind that is not read: .heic 1" in findings
    assert "no label file" in findings
    assert "nothing stands out" not in findings


def test_a_generator_is_inspected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("yolo_proc.inspection.sources._in_another_process", lambda stream, numbers: "not in a test")
    spec = write_module(tmp_path, "level = 200")
    words = ["inspect", "--generator", spec, "--count", "5", "--augment", "off", "--image-size", "64", "--json"]
    assert main(words) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["kind"], told["statistics"]["images"], told["statistics"]["objects"]) == ("generator", 5, 5)
    assert told["statistics"]["never_drawn"] == ["ring"]
    assert told["timing"]["scenes"] == 4
    assert told["determinism"]["holds"] is True
    assert told["determinism"]["scenes"] == 5
    assert (tmp_path / "inspect_Dots" / "unusual.png").exists()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["data", "--count", "5"], "--count: has no effect on the data set data"),
        (["data", "--generator", "shapes"], "--generator: has no effect on the data set data"),
        (["data", "--augment.noise-p", "1"], "--augment.noise-p: has no effect"),
        (["--classes", "names.txt"], "--classes: only a data set is read"),
        (["--binary.stride", "8"], "--binary.stride: only a data set is read"),
        (["--run", "a", "--image-size", "64"], "--image-size: that is what the run says"),
        (["data", "more"], "more: expected one folder at most"),
        (["no/such/folder"], "no/such/folder: no such folder"),
        (["data", "--cound", "5"], "--cound: no such option (did you mean --count?)"),
    ],
)
def test_what_does_not_go_together_is_one_line(words: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", *words]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"yolo_proc inspect: {line}")
    assert told.count("\n") == 1


def test_the_folder_may_stand_anywhere_among_the_flags() -> None:
    for words in (["data", "--json"], ["--json", "data"], ["--json", "on", "data"], ["--out", "x", "data"]):
        assert inspect_parser().read(words).own["folder"].value == "data"
    assert inspect_parser().read(["--json", "data"]).own["json"].value == "on"
    assert inspect_parser().read(["--json", "off"]).own["json"].value == "off"
    assert "folder" not in inspect_parser().read([]).own
    plain = FlagParser("x", "Does.", InspectFlags, [])
    with pytest.raises(ConfigError, match="data: expected an option, which starts with --"):
        plain.read(["data"])


def test_a_run_gives_its_grids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = {"config": {"image-size": 64}, "grids": [GRID.to_dict()], "classes": ["cat", "dog"]}
    monkeypatch.setitem(sys.modules, "yolo_proc.models.checkpoint", _Checkpoints(state))  # without torch
    monkeypatch.setattr("yolo_proc.models.checkpoint", _Checkpoints(state), raising=False)
    monkeypatch.setattr(inspect_command, "run_place", lambda run, _: Path(run))
    work = inspect_command._work(inspect_parser().read([str(tmp_path), "--run", "mine"]))
    assert work.grids == (GRID,)
    assert work.classes == ("cat", "dog")
    assert work.config.image_size == 64
    found = collected(sample("a", ((0, 0, 20, 20), 0), size=(128, 128)))
    encoding = inspect_command._encoding(work, found, 3)
    assert encoding is not None
    assert encoding.grids == (GRID,)
    assert "of the run mine" in encoding.anchors_from


class _Checkpoints:
    def __init__(self, state: dict[str, Any]) -> None:
        self.state = state

    def shipped(self, place: Path, _: Any) -> tuple[Path, dict[str, Any], tuple[str, ...]]:
        return place, self.state, ()
