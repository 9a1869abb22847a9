"""`model.json`: what is written is read, what is not understood is refused in one line."""

import copy
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolo_proc.detection.codec import DecodeConfig, Grid
from yolo_proc.export.spec import ModelError, ModelSpec

GRIDS = (Grid(8, 12, 8, ((10.5, 20.0), (3.0, 4.0))), Grid(16, 6, 4, ((61.5, 60.25),)))
SPEC = ModelSpec(
    classes=("A", "Ö", "😀", "a \"b'"),
    width=96,
    height=64,
    grids=GRIDS,
    layout="nchw",
    value_type="float32",
    output_name="predictions",
    activated=True,
    defaults=DecodeConfig(0.5, 0.45, "agnostic", 500, 20),
    training={"generator": "glyphs"},
)


def changed(path: str, value: Any) -> dict[str, Any]:
    """The spec's dictionary with a value put at `input.width` or `grids.0.stride`; `del` takes it out."""
    values = json.loads(SPEC.to_json())
    *parents, last = path.split(".")
    place: Any = values
    for name in parents:
        place = place[int(name) if name.isdigit() else name]
    if value == "del":
        del place[last]
    else:
        place[int(last) if last.isdigit() else last] = value
    return values  # type: ignore[no-any-return]


def test_what_is_written_is_read() -> None:
    assert ModelSpec.from_json(SPEC.to_json()) == SPEC
    plain = ModelSpec(("A",), 32, 32, (Grid(16, 2, 2, ((9.0, 9.0),)),))
    assert ModelSpec.from_json(plain.to_json()) == plain
    assert plain.input_shape == (32, 32, 3)
    assert SPEC.input_shape == (3, 64, 96)
    assert SPEC.output_shape == (2 * 96 + 24, 9)


def test_the_text_is_that_of_the_format() -> None:
    plain = ModelSpec(("A", "O", "M"), 256, 256, (Grid(16, 16, 16, ((61.5, 61.5),)),))
    assert plain.to_json() == (
        '{"version":1,"classes":["A","O","M"],"input":{"name":"images","layout":"nhwc","type":"uint8",'
        '"range":[0,255],"color":"rgb","width":256,"height":256},"letterbox":{"rule":1,"pad":[114,114,114]},'
        '"output":{"name":"logits","activated":false},"grids":[{"stride":16,"columns":16,"rows":16,'
        '"anchors":[[61.5,61.5]]}],"defaults":{"confidence":0.65,"max_iou":0.4,"nms":"class",'
        '"max_candidates":1000,"max_detections":300},"training":{}}'
    )


def test_it_is_pure_ascii() -> None:
    text = SPEC.to_json()
    assert text.isascii()
    assert "\\ud83d\\ude00" in text
    assert "\n" not in text


def test_what_a_later_release_adds_is_ignored() -> None:
    values = {**SPEC.to_dict(), "new": {"a": 1}}
    values["input"]["dtype"] = "more"
    values["grids"][0]["name"] = "fine"
    assert ModelSpec.from_dict(values) == SPEC


def test_what_is_not_there_is_usual() -> None:
    values = SPEC.to_dict()
    del values["defaults"], values["training"]
    read = ModelSpec.from_dict(values)
    assert read.defaults == DecodeConfig()
    assert read.training == {}


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("version", 2, "version: expected 1, found 2; use the release"),
        ("version", "1", 'version: expected a whole number, found "1"'),
        ("version", True, "version: expected a whole number, found true"),
        ("version", "del", "expected a value 'version', found none"),
        ("classes", [], "at least one class"),
        ("classes", ["A", 1], r"classes\[1\]: expected text, found 1"),
        ("classes", {"0": "A"}, "classes: expected a list"),
        ("input.type", "uint16", "type: expected 'uint8' or 'float32', found \"uint16\""),
        ("input.layout", "nwhc", "layout: expected 'nhwc' or 'nchw'"),
        ("input.color", "bgr", "color: expected 'rgb', found \"bgr\""),
        ("input.range", [255, 0], "range: expected two numbers, the lower first"),
        ("input.range", [0], "range: expected two numbers"),
        ("input.width", 0, "width: expected a number from 1 to"),
        ("input.width", 95, "grids: expected to cover 95 x 64 pixels, found 96 x 64"),
        ("input.width", 96.5, "width: expected a whole number, found 96.5"),
        ("input", [], "input: expected an object in braces"),
        ("letterbox.rule", 2, "rule: expected 1, found 2"),
        ("letterbox.pad", [0, 0, 0], r"pad: expected \[114, 114, 114\]"),
        ("output.activated", 1, "activated: expected true or false, found 1"),
        ("grids", [], "ascending strides"),
        ("grids.0.stride", 16, "ascending strides"),
        ("grids.0.columns", 1 << 40, "columns: expected a number from 1 to"),
        ("grids.0.anchors", [], "expected positive anchors"),
        ("grids.0.anchors.0", [1, 0], r"grids\[0\].anchors\[0\]: expected \[width, height\]"),
        ("grids.0.anchors.0", [1, 2, 3], r"expected \[width, height\]"),
        ("grids.0.anchors.0", [1, 10**400], "expected"),
        ("defaults.confidence", 1.5, "confidence: expected a number from 0 to 1"),
        ("defaults.confidence", math.nan, "confidence: expected a number"),
        ("defaults.nms", "soft", "expected one of class, agnostic"),
        ("defaults.confidence", math.inf, "confidence: expected a number"),
        ("defaults.max_iou", -0.1, "max-iou: expected a number from 0 to 1"),
        ("defaults.max_detections", 0, "max_detections: expected a number from 1 to 2147483647, found 0"),
        ("defaults.max_candidates", 10**18, "max_candidates: expected a number from 1 to 2147483647, found 1000000000"),
        (
            "defaults.max_candidates",
            10**401,
            r"max_candidates: expected a number from 1 to 2147483647, found 10*\.\.\.",
        ),
        ("version", 10**401, r"version: expected 1, found 10*\.\.\.; use"),
        ("input.width", 10**401, r"width: expected a number from 1 to 1048576, found 10*\.\.\."),
        ("input.range", [0, math.inf], r"range\[1\]: expected a number"),
        ("classes.0", "a\nb", r'classes\[0\]: expected text that fits a line, found U\+000A in "a'),
        ("classes.1", "\x1b[2J", r"classes\[1\]: expected text that fits a line, found U\+001B in"),
        ("classes.2", "a\u2028", r"classes\[2\]: expected text that fits a line, found U\+2028 in"),
        ("classes.3", "\u202egpj", r"found U\+202E in"),
        ("classes.3", "\x9b2J", r"found U\+009B in"),
        ("classes.3", "\ud800", r"found U\+D800 in"),
        ("classes.3", "", r"classes\[3\]: expected a name, found an empty text"),
        ("input.name", "a\rb", r"input: name: expected text that fits a line"),
        ("output.name", "\0", r"output: name: expected text that fits a line"),
        ("training", 3, "training: expected an object"),
    ],
)
def test_what_no_model_has_is_refused(path: str, value: Any, words: str) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        ModelSpec.from_dict(changed(path, value), "a/model.json")
    assert str(caught.value).startswith("a/model.json: ")
    assert "\n" not in str(caught.value)


def test_what_no_memory_holds_is_refused() -> None:
    values = SPEC.to_dict()
    values["input"].update(width=1 << 20, height=1 << 20)
    values["grids"] = [{"stride": 1 << 16, "columns": 16, "rows": 16, "anchors": [[1, 1]]}]
    with pytest.raises(ModelError, match="input: expected at most 268435456 pixels, found 1048576 x 1048576"):
        ModelSpec.from_dict(values)
    values["input"].update(width=1 << 14, height=1 << 14)
    values["grids"] = [{"stride": 1, "columns": 1 << 14, "rows": 1 << 14, "anchors": [[1, 1]]}]
    with pytest.raises(ModelError, match="grids: expected at most 268435456 values for a picture, found 2415919104"):
        ModelSpec.from_dict(values)


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "1e999", "1" * 401])
def test_what_is_no_number_of_json_is_refused(word: str) -> None:
    text = SPEC.to_json()
    for old, new in [('"confidence":0.5', f'"confidence":{word}'), ('"training":{', f'"training":{{"a":{word},')]:
        assert old in text
        with pytest.raises(ModelError, match=r"model\.json: expected JSON, found .*is no number of 64 bits"):
            ModelSpec.from_json(text.replace(old, new))


def test_deep_brackets_are_refused() -> None:
    for depth, fits in ((60, True), (64, False), (400, False), (5000, False)):
        text = SPEC.to_json().replace('"training":{', '"training":{"a":' + "[" * depth + "]" * depth + ",")
        if fits:
            assert ModelSpec.from_json(text).classes == SPEC.classes
        else:
            with pytest.raises(ModelError, match="expected"):
                ModelSpec.from_json(text)


def test_a_range_of_bytes_is_that_of_bytes() -> None:
    values = changed("input.type", "uint8")
    values["input"]["range"] = [0, 1]
    with pytest.raises(ModelError, match=r"range: expected \[0, 255\] for uint8"):
        ModelSpec.from_dict(values)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\ufeff{}", "{} {}", "[" * 100_000, "1" * 5000, "NaN"])
def test_what_is_no_json_object_is_refused(text: str) -> None:
    with pytest.raises(ModelError, match=r"model\.json: expected"):
        ModelSpec.from_json(text)


def places(value: Any, path: str = "") -> list[str]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = []
    for key, one in inner:
        found += [f"{path}{key}", *places(one, f"{path}{key}.")]
    return found


@given(st.data())
def test_whatever_is_changed_is_read_or_refused_in_a_line(data: st.DataObject) -> None:
    values = copy.deepcopy(SPEC.to_dict())
    path = data.draw(st.sampled_from(places(values)))
    values = changed(
        path, data.draw(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.none())))
    )
    read = read_or_refused(json.dumps(values))
    if isinstance(read, str):
        assert "\n" not in read
    else:
        assert ModelSpec.from_json(read.to_json()) == read


def read_or_refused(text: str) -> ModelSpec | str:
    try:
        return ModelSpec.from_json(text)
    except ModelError as error:
        return str(error)
