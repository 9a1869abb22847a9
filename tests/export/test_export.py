"""The export: compared with the network before anybody gets it, written whole or not at all."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from tiny_export import CLASSES, ONE, SIZE, exported, network, pictures, tiny_checkpoint
from tiny_run import tiny_config

from yolo_proc.cli.main import main
from yolo_proc.config.schema import GeneratorConfig
from yolo_proc.config.values import config_values
from yolo_proc.errors import CheckpointError, ConfigError, DataError
from yolo_proc.evaluation.predict import Detector
from yolo_proc.export import export as room
from yolo_proc.export import verify
from yolo_proc.export.export import Exported, ExportRequest, export
from yolo_proc.export.onnx_graph import to_onnx
from yolo_proc.export.session import OnnxDetector
from yolo_proc.export.spec import ModelSpec
from yolo_proc.export.stages import replay
from yolo_proc.export.vectors import read_vectors
from yolo_proc.export.verify import GATES, VerificationError, fresh_batches, table
from yolo_proc.export.verify_boxes import BoxComparison, compare_boxes
from yolo_proc.models.network import Yolo, network_outputs


def graph_of(content: bytes) -> onnx.ModelProto:
    return onnx.load_from_string(content)


# ---- the comparison


def tiny_comparison(change: Callable[[Yolo], None], count: int = 12, **spec: Any) -> BoxComparison:
    """A network against the export of a changed copy of it."""
    other = network()
    change(other)
    config = replace(tiny_config(Path("none")), image_size=SIZE[0])
    return compare_boxes(network(), {"fp32": exported(other, **spec)}, config, count)["fp32"]


def test_a_right_model_has_no_problem() -> None:
    for spec in ({}, {"activated": True, "output_name": "predictions"}, {"layout": "nchw", "value_type": "float32"}):
        result = tiny_comparison(lambda _: None, **spec)
        assert result.images == 12
        assert result.problems(GATES["fp32"]) == []
        assert result.matched > 0
        assert 0 < result.outputs < 1e-4
        assert result.map50_95 == pytest.approx(result.reference_map50_95, abs=1e-6)


def scaled_output(model: Yolo) -> None:
    model.head.layers[0].weight.data *= 1.05  # type: ignore[operator]


def swapped_sides(model: Yolo) -> None:
    for values in (model.head.layers[0].weight.data, model.head.layers[0].bias.data):  # type: ignore[union-attr]
        values[2:4] = values[[3, 2]]  # type: ignore[index, call-overload, operator]


def blue_first(model: Yolo) -> None:
    stem = model.backbone.stem[0]  # type: ignore[union-attr, index]
    stem.weight.data = stem.weight.data.view(-1, 4, 3, 3, 3).flip(2).reshape(stem.weight.shape)  # type: ignore[union-attr, operator]


@pytest.mark.parametrize("mistake", [scaled_output, swapped_sides, blue_first])
def test_a_mistake_in_the_model_is_seen(mistake: Callable[[Yolo], None]) -> None:
    problems = " ".join(tiny_comparison(mistake).problems(GATES["fp32"]))
    assert "outputs: expected within 0.001 of the network's, found" in problems
    assert "boxes: expected" in problems


def test_the_gates_hold_where_they_are_put() -> None:
    fine = BoxComparison(outputs=1e-3, box_share=1.0, map50_95=0.5, reference_map50_95=0.5)
    assert fine.problems(GATES["fp32"]) == []
    assert len(replace(fine, outputs=1.1e-3).problems(GATES["fp32"])) == 1
    assert len(replace(fine, outputs=float("nan")).problems(GATES["fp32"])) == 1
    assert len(replace(fine, box_share=1.01).problems(GATES["fp32"])) == 1
    assert len(replace(fine, one_sided=1).problems(GATES["fp32"])) == 1
    assert replace(fine, near=1).problems(GATES["fp32"]) == []
    assert replace(fine, outputs=0.049, one_sided=1).problems(GATES["fp16"]) == []
    assert len(replace(fine, outputs=0.051).problems(GATES["fp16"])) == 1
    assert len(replace(fine, map50_95=0.4979).problems(GATES["fp16"])) == 1
    assert replace(fine, map50_95=0.4981).problems(GATES["fp16"]) == []
    assert replace(fine, outputs=3.0, map50_95=0.4901).problems(GATES["int8"]) == []
    assert len(replace(fine, map50_95=0.4899).problems(GATES["int8"])) == 1
    assert BoxComparison().map_drop == 0  # nothing to find


def test_half_of_the_pictures_are_of_other_sizes() -> None:
    config = replace(tiny_config(Path("none")), image_size=SIZE[0])
    for count in (1, 3, 8, 45):
        batches = list(fresh_batches(config, SIZE, count))
        sizes = [tuple(batch.images.shape[1:3]) for batch in batches for _ in range(len(batch))]
        assert len(sizes) == count
        assert abs(sizes.count((64, 64)) - count / 2) <= max(1, verify.BATCH / 2)
        indices = [int(index) for batch in batches for index in batch.indices]
        assert indices == list(range(count))  # no scene is drawn at two sizes
    assert len(set(sizes)) >= 3


# Networks of random weights lose more by int8 than trained ones.
LOOSE = {**GATES, "int8": verify.Gate(np.inf, False, 1.0)}


# ---- the folder


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    tiny_checkpoint(tmp_path / "runs" / "tiny" / "best.pt")
    return tmp_path


def run_export(place: Path, **changes: Any) -> tuple[Exported, str]:
    said: list[str] = []
    request = ExportRequest(
        place / "runs" / "tiny", place / "out" / "letters", images=12, range_images=12, threads=1, **changes
    )
    return export(request, say=said.append), "\n".join(said)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_folder_is_whole(place: Path) -> None:
    done, said = run_export(place)
    out = place / "out" / "letters"
    assert names(out) == ["README.md", "model.json", "model.onnx", "vectors"]
    assert names(place / "out") == ["letters"]
    content = (out / "model.onnx").read_bytes()
    metadata = graph_of(content).metadata_props[0]
    assert (out / "model.json").read_text() == metadata.value
    spec = ModelSpec.from_json(metadata.value)
    assert spec == done.spec
    assert spec.classes == CLASSES
    assert spec.training == {"generator": "shapes", "checkpoint": "best.pt", "epoch": 3, "images": 48}
    assert str(place).encode() not in content
    detector = OnnxDetector.load(content, settings=ONE)
    assert replay(read_vectors(out / "vectors"), detector.run) == []
    assert "mAP50-95" in said
    assert done.results["fp32"].size_bytes == len(content)
    readme = (out / "README.md").read_text(encoding="utf-8")
    assert "N x 64 x 64 x 3" in readme
    assert "`Ö`" in readme
    assert "min(W / w, H / h)" in readme
    assert "sigmoid(J), at least 0.65" in readme
    assert "anchors 20.0 x 24.0" in readme
    assert all(f"    {line}" in readme.splitlines() for line in said.splitlines()[:2])
    assert said.splitlines()[2].startswith("note: the network itself reaches mAP50-95 0.000 here")
    assert re.search(r"\{[a-z_]+[:}]", readme) is None  # every value has its place


def test_the_averaged_and_calibrated_weights_are_shipped(place: Path) -> None:
    other = network(seed=1)
    tiny_checkpoint(place / "runs" / "tiny" / "best.pt", ema=other.state_dict(), calibration=[2.0, -0.5])
    run_export(place)
    detector = OnnxDetector.load(place / "out" / "letters" / "model.onnx", settings=ONE)
    other.head.calibrate(2.0, -0.5)
    images = pictures(2)
    expected = network_outputs(other, torch.from_numpy(images), "cpu")
    assert detector.run(images) == pytest.approx(expected, abs=1e-4)


def test_all_precisions_side_by_side(place: Path) -> None:
    done, said = run_export(place, precision="all", gates=LOOSE)
    out = place / "out" / "letters"
    assert [name for name in names(out) if name.endswith(".onnx")] == [
        "model-fp16.onnx",
        "model-int8.onnx",
        "model.onnx",
    ]
    assert [line.split()[0] for line in said.splitlines()] == ["precision", "fp32", "fp16", "int8", "note:"]
    sizes = [done.results[precision].size_bytes for precision in ("fp32", "fp16", "int8")]
    assert sizes[0] > sizes[1]
    readme = (out / "README.md").read_text(encoding="utf-8")
    assert "`model-fp16.onnx` (fp16) and `model-int8.onnx` (int8)" in readme
    for name in ("model.onnx", "model-fp16.onnx", "model-int8.onnx"):
        assert OnnxDetector.load(out / name, settings=ONE).spec == done.spec


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_one_precision_is_the_folders_model(place: Path, precision: str) -> None:
    done, said = run_export(place, precision=precision, outputs="predictions", input="float-nchw", gates=LOOSE)
    assert [line.split()[0] for line in said.splitlines()[:4]] == ["precision", "fp32", "fp16", "int8"]
    out = place / "out" / "letters"
    assert names(out) == ["README.md", "model.json", "model.onnx", "vectors"]
    spec = ModelSpec.from_json((out / "model.json").read_text())
    assert (spec.layout, spec.value_type, spec.output_name, spec.activated) == ("nchw", "float32", "predictions", True)
    detector = OnnxDetector.load(out / "model.onnx", settings=ONE)
    assert replay(read_vectors(out / "vectors"), detector.run) == []
    sizes = {name: one.size_bytes for name, one in done.results.items()}
    assert (out / "model.onnx").stat().st_size == sizes[precision]
    assert len(set(sizes.values())) == 3
    assert f"{precision} weights in `model.onnx`" in (out / "README.md").read_text(encoding="utf-8")


def test_a_gate_holds_for_what_is_written_alone(place: Path) -> None:
    unreachable = {**GATES, "int8": verify.Gate(0.0, False, 1.0)}  # none is so good
    run_export(place, precision="fp16", gates=unreachable)
    for precision in ("int8", "all"):
        with pytest.raises(VerificationError, match="the int8 model is not good enough"):
            run_export(place, precision=precision, gates=unreachable)


def wrong_graph(model: Yolo, spec: ModelSpec, **how: Any) -> bytes:
    scaled_output(model)
    content = to_onnx(model, spec, **how)
    model.head.layers[0].weight.data /= 1.05  # type: ignore[operator]
    return content


def test_beyond_a_gate_nothing_is_written(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(room, "to_onnx", wrong_graph)
    with pytest.raises(VerificationError, match=r"the fp32 model is not good enough on 12 fresh images: outputs: exp"):
        run_export(place)
    assert list((place / "out").iterdir()) == []
    command = [
        "export",
        "--checkpoint",
        "runs/tiny/best.pt",
        "--out",
        "out/letters",
        "--images",
        "200",
        "--threads",
        "1",
    ]
    assert main(command) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("precision")
    assert "nothing was written" in captured.err.splitlines()[-1]
    assert list((place / "out").iterdir()) == []


def test_an_earlier_export_is_replaced_and_a_failed_one_leaves_it(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_export(place)
    out = place / "out" / "letters"
    before = (out / "model.onnx").read_bytes()
    (place / "out" / ".letters.part").mkdir()
    (place / "out" / ".letters.part" / "README.md").write_text("by a killed process")
    tiny_checkpoint(place / "runs" / "tiny" / "best.pt", network(seed=1))
    with monkeypatch.context() as patched:
        patched.setattr(room, "to_onnx", wrong_graph)
        with pytest.raises(VerificationError):
            run_export(place)
    assert (out / "model.onnx").read_bytes() == before
    with monkeypatch.context() as patched:
        patched.setattr(room, "write_vectors", lambda *_, **__: (_ for _ in ()).throw(OSError(28, "No space left")))
        with pytest.raises(DataError, match="letters: cannot be written: No space left"):
            run_export(place)
    assert (out / "model.onnx").read_bytes() == before
    run_export(place)
    assert (out / "model.onnx").read_bytes() != before
    assert names(place / "out") == ["letters"]
    assert names(out) == ["README.md", "model.json", "model.onnx", "vectors"]


def test_somebodys_folder_is_left_alone(place: Path) -> None:
    out = place / "out" / "letters"
    out.mkdir(parents=True)
    (out / "model.onnx").write_text("mine")
    (out / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"expected a new folder, or that of an earlier export, found thesis\.txt"):
        run_export(place)
    assert names(out) == ["model.onnx", "thesis.txt"]
    for wrong in (".", "..", "/", str(place)):
        with pytest.raises(ConfigError, match="expected a folder of its own"):
            export(ExportRequest(place / "runs" / "tiny", Path(wrong)))


def test_a_link_stays_a_link(place: Path) -> None:
    (place / "real").mkdir()
    (place / "out").mkdir()
    (place / "out" / "letters").symlink_to(place / "real")
    run_export(place)
    run_export(place)
    assert (place / "out" / "letters").is_symlink()
    assert "model.onnx" in names(place / "real")
    assert names(place / "out") == ["letters"]
    assert names(place) == ["out", "real", "runs"]


def test_what_is_no_checkpoint_is_told(place: Path) -> None:
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        export(ExportRequest(place / "none.pt", place / "out"))
    few = network()
    tiny_checkpoint(place / "few.pt", few, classes=["A", "B"])
    with pytest.raises(CheckpointError, match=r"few\.pt: "):
        export(ExportRequest(place / "few.pt", place / "out"))
    config = config_values(replace(tiny_config(place), generator=GeneratorConfig("glyphs")))
    tiny_checkpoint(place / "other.pt", few, config=config)
    with pytest.raises(
        CheckpointError, match=r"expected its generator glyphs to draw 4 classes, as it did in training .*, found 3 \(A"
    ):
        export(ExportRequest(place / "other.pt", place / "out"))
    assert not (place / "out").exists()


def test_the_command_says_what_it_did(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["export", "--runs-dir", "runs", "--run", "tiny", "--out", "x", "--images", "200", "--threads", "1"]
    assert main(command) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("x: model.onnx, model.json, vectors/, README.md from runs/tiny/best.pt, compared")
    assert captured.err.splitlines()[0].startswith("precision")
    assert json.loads((place / "x" / "model.json").read_text())["version"] == 1


@pytest.mark.parametrize("version", [7, 9])
def test_a_file_for_an_older_runtime(place: Path, version: int) -> None:
    done, _ = run_export(place, precision="all", ir_version=version, gates=LOOSE)
    assert done.results["fp32"].problems(GATES["fp32"]) == []
    for name in ("model.onnx", "model-fp16.onnx", "model-int8.onnx"):
        graph = graph_of((place / "out" / "letters" / name).read_bytes())
        assert (graph.ir_version, graph.opset_import[0].version) == (version, 13)


def test_an_input_of_another_shape(place: Path) -> None:
    done, _ = run_export(place, input_size=(112, 64), precision="all")
    assert done.results["fp32"].one_sided == 0
    assert done.results["int8"].outputs < 1  # quantised by pictures of this shape
    detector = OnnxDetector.load(place / "out" / "letters" / "model.onnx", settings=ONE)
    assert replay(read_vectors(place / "out" / "letters" / "vectors"), detector.run) == []
    spec = detector.spec
    assert (spec.width, spec.height) == (112, 64)
    assert [(grid.columns, grid.rows) for grid in spec.grids] == [(7, 4)]
    picture = pictures(1, (210, 121), seed=5)[0]
    found = detector.detect(picture, 0.3)
    expected = Detector.load(place / "runs" / "tiny", input_size=(112, 64), device="cpu").detect(picture, 0.3)
    assert len(expected) > 0
    assert found.box_xyxy == pytest.approx(expected.box_xyxy, abs=2e-3)
    assert found.class_ids.tolist() == expected.class_ids.tolist()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], "yolo_proc export: --out: expected a folder to write to"),
        (["--out", "x", "--precision", "fp8"], "yolo_proc export: --precision: expected one of fp32, fp16, int8, all"),
        (["--out", "x", "--images", "199"], "yolo_proc export: --images: expected a number from 200 to"),
        (["--out", "x", "--ir-version", "6"], "yolo_proc export: --ir-version: expected a number from 7 to 10, found"),
        (["--out", "x", "--ir-version", "11"], "yolo_proc export: --ir-version: expected a number from 7 to 10, found"),
        (["--out", "x", "--input-size", f"{'9' * 401}x64"], "yolo_proc export: --input-size: expected WIDTHxHEIGHT"),
        (["--out", "x", "--run", "a", "--checkpoint", "b"], "yolo_proc export: --run and --checkpoint: both say"),
        (["--out", "x", "--run", "tinny", "--runs-dir", "runs"], "yolo_proc export: tinny: no such run in runs (did"),
        (["--out", "runs/tiny/best.pt", "--runs-dir", "runs", "--run", "tiny"], "yolo_proc export: --out runs/tiny/be"),
        (["--out", "x", "--input-size", "big"], "yolo_proc export: --input-size: expected WIDTHxHEIGHT"),
        (
            ["--out", "x", "--runs-dir", "runs", "--run", "tiny", "--input-size", "100x64"],
            "yolo_proc export: input-size: expected multiples of the stride 16, found 100x64; the nearest is 96x64",
        ),
        (["x"], "yolo_proc export: x: expected an option"),
    ],
)
def test_mistakes_are_one_line(place: Path, words: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", *words]) == 2
    assert capsys.readouterr().err.startswith(line)
    assert not (place / "x").exists()


def test_a_table_of_nothing_found_prints() -> None:
    assert table({"fp32": BoxComparison()}).splitlines()[1].startswith("fp32")
