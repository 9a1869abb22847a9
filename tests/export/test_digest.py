"""A damaged model is refused before a runtime sees it; an old one, without a digest, is read as it was."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper
from tiny_export import ONE, network, pictures, spec_of

from yolo_proc.config.schema import ModelConfig
from yolo_proc.export import onnx_file, seal_again
from yolo_proc.export.digest import DIGEST_KEY, METADATA_KEY, ModelError, sealed_text
from yolo_proc.export.onnx_graph import to_onnx
from yolo_proc.export.session import OnnxDetector
from yolo_proc.export.spec import ModelSpec

MODEL = network(ModelConfig(width=0.25, depth=1))
SPEC = spec_of(MODEL)
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
CONTENT = to_onnx(MODEL, SPEC)
TEXT = sealed_text(SPEC.to_json())
ENTRY = len(CONTENT) - 64 - 4 - len(DIGEST_KEY) - 2  # where the last entry of the metadata begins


def flipped(content: bytes, bit: int) -> bytes:
    damaged = bytearray(content)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


def flips(content: bytes, count: int, start: int = 0) -> list[bytes]:
    """Copies with a bit flipped each: in all of the bytes from `start` on."""
    rng = random.Random(1)
    return [flipped(content, rng.randrange(8 * start, 8 * len(content))) for _ in range(count)]


def without_digests() -> bytes:
    """As an earlier release wrote it."""
    model = onnx.load_from_string(CONTENT)
    del model.metadata_props[:]
    model.metadata_props.add(key=METADATA_KEY, value=SPEC.to_json())
    return bytes(model.SerializeToString(deterministic=True))


def refused(content: bytes) -> str:
    with pytest.raises(ModelError, match=r"^m\.onnx: ") as caught:
        OnnxDetector(content, "m.onnx", ONE)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_every_flip_in_a_model_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    for damaged in flips(CONTENT, 40):
        refused(damaged)
    assert capfd.readouterr() == ("", "")  # nor says the runtime a word


def test_every_flip_in_what_says_that_there_is_a_digest_is_refused() -> None:
    for bit in range(8 * ENTRY, 8 * (ENTRY + 4 + len(DIGEST_KEY) + 2)):  # all bits of the entry but its value
        refused(flipped(CONTENT, bit))
    for damaged in [*flips(CONTENT, 10, ENTRY), CONTENT[:ENTRY]]:
        assert "sha256" in refused(damaged) or "whole" in refused(damaged)
    assert "expected the file's sha256 at its end, as its metadata says, found none" in refused(CONTENT[:ENTRY])


def test_every_flip_in_model_json_is_refused() -> None:
    opening = len('{"digest":"sha256",')
    closing = len(TEXT) - len(',"sha256":""}') - 64
    every = [*range(8 * opening), *range(8 * closing, 8 * len(TEXT))]
    for damaged in [flipped(TEXT.encode(), bit) for bit in every] + flips(TEXT.encode(), 60):
        with pytest.raises(ModelError, match=r"^model\.json: expected") as caught:
            ModelSpec.from_json(damaged.decode("utf-8", "replace"))
        assert "\n" not in str(caught.value)
    for length in range(len(TEXT)):
        with pytest.raises(ModelError):
            ModelSpec.from_json(TEXT[:length])


@pytest.mark.parametrize("change", [lambda t: t + "\n", lambda t: " " + t, lambda t: t + "\r\n"])
def test_what_an_editor_adds_at_the_ends_is_no_damage(change: object) -> None:
    assert callable(change)
    assert ModelSpec.from_json(change(TEXT)) == SPEC


def test_a_text_that_was_written_anew_is_refused() -> None:
    values = json.loads(TEXT)
    other = {key: value for key, value in values.items() if key != "sha256"}
    for text in (
        json.dumps(values),
        json.dumps(values, indent=2),
        json.dumps({**values, "training": {"more": 1}}),
        json.dumps(values, sort_keys=True, separators=(",", ":")),
        json.dumps(other),
        json.dumps({key: value for key, value in values.items() if key != "digest"}),
        json.dumps({**other, "digest": "sha512"}),
    ):
        with pytest.raises(ModelError, match=r"^model\.json: expected the text .*python -m yolo_proc\.export\.digest"):
            ModelSpec.from_json(text)


def test_only_a_file_gets_a_digest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")
    for name, words in (("pipe.onnx", "a named pipe"), (".", "a folder"), ("none.onnx", "no such file")):
        assert seal_again.main([str(tmp_path / name)]) == 2
        assert words in capsys.readouterr().err


def test_models_of_earlier_releases_are_read(capfd: pytest.CaptureFixture[str]) -> None:
    old, new = (OnnxDetector(content, settings=ONE) for content in (without_digests(), CONTENT))
    assert old.spec == new.spec
    assert np.array_equal(old.run(pictures(2)), new.run(pictures(2)))
    assert ModelSpec.from_json(SPEC.to_json()) == SPEC
    assert capfd.readouterr() == ("", "")


def test_a_model_that_went_through_onnx_unchanged_is_read() -> None:
    again = onnx.load_from_string(CONTENT).SerializeToString(deterministic=True)
    assert again == CONTENT
    onnx.checker.check_model(CONTENT, full_check=True)


def test_a_tools_change_is_refused_until_it_is_said_to_be_meant(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "m.onnx"
    model = onnx.load_from_string(CONTENT)
    model.graph.initializer[0].CopyFrom(
        numpy_helper.from_array(
            numpy_helper.to_array(model.graph.initializer[0]) * np.float32(1.5), model.graph.initializer[0].name
        )
    )
    model.metadata_props.add(key="author", value="somebody")
    path.write_bytes(model.SerializeToString())
    assert "run python -m yolo_proc.export.digest MODEL.onnx" in refused(path.read_bytes())
    assert seal_again.main([str(path)]) == 0
    assert OnnxDetector.load(path, settings=ONE).spec == SPEC
    assert [one.key for one in onnx.load(path).metadata_props] == [METADATA_KEY, "author", DIGEST_KEY]
    (tmp_path / "none.onnx").write_bytes(b"none")
    assert seal_again.main([str(tmp_path / "none.onnx")]) == 2
    assert seal_again.main([]) == 2
    assert capsys.readouterr().err.count("\n") == 2


@pytest.mark.parametrize("text", ["abc", "", " ", "{}", "[1]", "{", "[" * 100_000, "null"])
def test_a_description_that_is_none_gets_no_digest(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "m.onnx"
    before = changed(lambda model: setattr(model.metadata_props[0], "value", text))
    path.write_bytes(before)
    assert seal_again.main([str(path)]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"digest: {path}: metadata: expected ")
    assert told.count("\n") == 1
    assert path.read_bytes() == before


def test_a_description_that_was_laid_out_anew_gets_one_digest(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    for text in (json.dumps(json.loads(TEXT)), json.dumps(json.loads(TEXT), indent=1), TEXT + "\n", SPEC.to_json()):
        path.write_bytes(changed(lambda model, text=text: setattr(model.metadata_props[0], "value", text)))
        assert seal_again.main([str(path)]) == 0
        assert path.read_bytes() == CONTENT


def test_the_command_that_messages_name_writes_digests(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(without_digests())
    command = [sys.executable, "-m", "yolo_proc.export.digest"]
    done = subprocess.run([*command, "m.onnx"], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "m.onnx").read_bytes() == CONTENT
    assert subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True).returncode == 2


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes there")
def test_what_is_no_plain_file_gets_no_digest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "m.onnx")
    assert seal_again.main([str(tmp_path / "m.onnx")]) == 2
    assert "expected an ONNX file, found a named pipe" in capsys.readouterr().err
    assert seal_again.main([str(tmp_path / "none.onnx")]) == 2


# ---- what a file says before a runtime reads it


def changed(change: object) -> bytes:
    model = onnx.load_from_string(without_digests())
    assert callable(change)
    change(model)
    return bytes(model.SerializeToString())


def away(tensor: TensorProto) -> None:
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")


def in_an_attribute(model: onnx.ModelProto) -> None:
    attribute = model.graph.node[0].attribute.add(name="value", type=onnx.AttributeProto.TENSOR)
    attribute.t.CopyFrom(numpy_helper.from_array(np.zeros(2, np.float32)))
    away(attribute.t)


def in_a_branch(model: onnx.ModelProto) -> None:
    attribute = model.graph.node[0].attribute.add(name="then", type=onnx.AttributeProto.GRAPH)
    attribute.g.initializer.add(name="w")
    away(attribute.g.initializer[0])


def in_a_function(model: onnx.ModelProto) -> None:
    node = model.functions.add(name="f").node.add(op_type="Constant")
    away(node.attribute.add(name="value").t)


def in_sparse_values(model: onnx.ModelProto) -> None:
    away(model.graph.sparse_initializer.add().values)


@pytest.mark.parametrize(
    "change",
    [
        lambda model: away(model.graph.initializer[1]),
        in_an_attribute,
        in_a_branch,
        in_a_function,
        in_sparse_values,
        lambda model: setattr(model.graph.initializer[0], "data_location", TensorProto.EXTERNAL),
    ],
)
def test_weights_in_other_files_are_not_read(
    change: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "weights.bin").write_bytes(bytes(10000))
    monkeypatch.chdir(tmp_path)
    assert "found weights in other files (external data), which are not read" in refused(changed(change))
    assert capfd.readouterr() == ("", "")


def twice(model: onnx.ModelProto) -> None:
    model.metadata_props.add(key=METADATA_KEY, value=SPEC.to_json())


def without_graph(model: onnx.ModelProto) -> None:
    model.ClearField("graph")


def deep(model: onnx.ModelProto) -> None:
    graph = model.graph
    for _ in range(40):
        graph = graph.node.add().attribute.add().g


def huge(model: onnx.ModelProto) -> None:
    model.metadata_props[0].value = "x" * ((16 << 20) + 1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (twice, "expected metadata of the key yolo_proc, found 2"),
        (without_graph, "found no graph in it"),
        (deep, "expected at most 64 messages inside each other"),
        (huge, "metadata: expected at most 16777216 bytes, found 16777217"),
    ],
)
def test_files_that_no_export_has(change: object, words: str) -> None:
    assert words in refused(changed(change))


FIELDS_BEHIND = Path(__file__).parents[2] / "export/java/detector/src/test/resources/models/fields_behind.txt"


@pytest.mark.parametrize("line", FIELDS_BEHIND.read_text(encoding="ascii").splitlines())
def test_fields_have_the_bounds_of_java(line: str) -> None:
    """Fields in hexadecimal behind a model, and whether it is read then; `OnnxFileTest.java` reads the same file."""
    verdict, behind, _ = line.split("; ")
    content = without_digests() + bytes.fromhex(behind)
    if verdict == "read":
        assert onnx_file.read_metadata(content, "m.onnx") == SPEC.to_json()
    else:
        with pytest.raises(ModelError, match="expected an ONNX file that is whole, found other bytes"):
            onnx_file.read_metadata(content, "m.onnx")


def test_what_is_no_text_is_told_in_a_line(capfd: pytest.CaptureFixture[str]) -> None:
    content = without_digests()
    graph = content[: content.index(b"yolo_proc", 20)]  # the metadata follows
    for name in (b"images", b"logits", b"Conv", b"backbone.stem.0.weight"):  # in the runtime's messages and answers
        damaged = graph.replace(name, b"\xf0\x28" + name[2:], 1) + content[len(graph) :]
        assert damaged != content
        refused(damaged)
    text = SPEC.to_json().encode()
    assert "metadata: expected UTF-8" in refused(content.replace(text[:20], b"\xff" + text[1:20]))
    assert capfd.readouterr() == ("", "")


def test_the_fields_are_those_of_onnx() -> None:
    names = {
        "model": onnx.ModelProto,
        "graph": onnx.GraphProto,
        "node": onnx.NodeProto,
        "attribute": onnx.AttributeProto,
        "sparse": onnx.SparseTensorProto,
        "function": onnx.FunctionProto,
        "training": onnx.TrainingInfoProto,
        "tensor": onnx.TensorProto,
    }
    known = {kind.DESCRIPTOR.name: name for name, kind in names.items()}
    for name, inside in onnx_file._INSIDE.items():
        # Types, which tensors do not lie in, are left out.
        expected = {
            one.number: known[one.message_type.name]
            for one in names[name].DESCRIPTOR.fields
            if one.message_type is not None and one.message_type.name in known
        }
        assert inside == expected, name
    tensor = {one.name: one.number for one in onnx.TensorProto.DESCRIPTOR.fields}
    assert (tensor["external_data"], tensor["data_location"]) == (13, 14)
