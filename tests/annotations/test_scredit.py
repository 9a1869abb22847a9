"""Scripts and projects of scredit: the golden scripts, round trips, projects on disk, bad input."""

import json
import math
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_sets import set_files

from yolo_proc.annotations.records import Annotation, Item, Problems, ReadOptions
from yolo_proc.annotations.scredit import project as scredit
from yolo_proc.annotations.scredit import script_json
from yolo_proc.errors import AnnotationError, ConfigError, DataError

GOLDEN = Path(__file__).parents[1] / "golden" / "scredit"
INDEX = json.loads((GOLDEN / "index.json").read_text(encoding="utf-8"))
VALID = [entry for entry in INDEX if entry["valid"]]
INVALID = [entry for entry in INDEX if not entry["valid"]]
EMPTY = b'{"items":[],"usage":"nominal","widgets":{}}'


def named(entry):
    return entry["file"]


def normal_form(item):
    form = {"kind": item.kind, "xyxy": list(item.xyxy)}
    for key in ("category", "confidence", "rotation", "anchor", "text"):
        if getattr(item, key) is not None:
            form[key] = getattr(item, key)
    if item.points:
        form["points"] = [list(point) for point in item.points]
    return {**form, "open": True} if item.open else form


def from_normal_form(form):
    points = tuple(tuple(point) for point in form.get("points", ()))
    return Item(**{**form, "xyxy": tuple(form["xyxy"]), "points": points})


def picture_of(items, extra=None, width=640, height=480):
    return Annotation("a.png", width, height, tuple(items), extra=extra or {})


# --- scripts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("entry", VALID, ids=named)
def test_valid_scripts(entry):
    items, extra = scredit.parse((GOLDEN / entry["file"]).read_bytes(), entry["file"])
    assert [normal_form(item) for item in items] == entry["items"]
    assert extra == entry.get("extra", {})
    written = scredit.write(picture_of(items, extra))
    assert written == (GOLDEN / entry["rewritten"]).read_bytes()
    assert scredit.parse(written, "again") == (items, extra)


@pytest.mark.parametrize("entry", INVALID, ids=named)
def test_malformed_scripts(entry):
    with pytest.raises(AnnotationError) as caught:
        scredit.parse((GOLDEN / entry["file"]).read_bytes(), entry["file"])
    assert (caught.value.reason, caught.value.place) == (entry["reason"], entry["place"])
    message = str(caught.value)
    assert message.startswith(entry["file"])
    assert ": expected " in message
    assert ", found " in message
    assert "\n" not in message


def test_every_golden_script_is_listed():
    listed = {"index.json", "writing.json"} | {entry["file"] for entry in INDEX}
    listed |= {entry["rewritten"] for entry in VALID}
    listed |= {entry["file"] for entry in json.loads((GOLDEN / "writing.json").read_text(encoding="utf-8"))}
    assert {path.name for path in GOLDEN.glob("*.json")} == listed


@pytest.mark.parametrize("entry", json.loads((GOLDEN / "writing.json").read_text(encoding="utf-8")), ids=named)
def test_what_no_script_can_say_is_rounded(entry):
    items = [from_normal_form(form) for form in entry["items"]]
    written = scredit.write(picture_of(items, width=entry["width"], height=entry["height"]))
    assert written == (GOLDEN / entry["file"]).read_bytes()


def test_an_ignore_region_does_not_become_a_label():
    region = Item((1.0, 2.0, 4.0, 6.0), category=0, ignore=True)
    assert scredit.write(picture_of([region])) == EMPTY
    assert scredit.ScreditLayout(("a",), ("train",)).losses(region) == ("ignore",)


def test_text_that_no_script_can_have_is_refused():
    text = Item((0.0, 0.0, 9.0, 9.0), kind="text", text="bell \x07")
    with pytest.raises(AnnotationError, match=r"a\.png: expected text that can be written, found .*x07"):
        scredit.write(picture_of([text]))
    with pytest.raises(AnnotationError, match="ud800"):
        scredit.write(picture_of([replace(text, text="half \ud800")]))


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1.0, "1.0"),
        (-0.0, "-0.0"),
        (0.001, "0.001"),
        (0.00099, "9.9E-4"),
        (9999999.5, "9999999.5"),
        (1e7, "1.0E7"),
        (99999999.9, "9.99999999E7"),
        (-1.25e-7, "-1.25E-7"),
        (1e22, "1.0E22"),
        (0.1 + 0.2, "0.30000000000000004"),
        (1.7976931348623157e308, "1.7976931348623157E308"),
    ],
)
def test_floats_are_written_as_java_writes_them(number, text):
    assert script_json.dumps([number], "a") == f"[{text}]".encode()
    if not number.is_integer():
        assert script_json.loads(f"[{text}]", "a") == [number]


def test_whole_numbers_are_integers_of_64_bits():
    found = script_json.loads("[1.0, -0.0, 1e3, 9223372036854775808, 1e19]", "a")
    assert script_json.dumps(found, "a") == b"[1,0,1000,9223372036854775807,1.0E19]"


def test_depth_is_bounded_just_there():
    deepest = "[" * script_json.MAX_DEPTH + "]" * script_json.MAX_DEPTH
    assert script_json.dumps(script_json.loads(deepest, "a"), "a").decode() == deepest
    with pytest.raises(AnnotationError, match="at most 64"):
        script_json.loads(f"[{deepest}]", "a")


def test_long_texts_take_linear_time():
    long = 100_000
    for text in (
        "/*" * long,
        '{"a":"' + "\\n" * long,
        "[" + "1," * long,
        "# \n" * long,
        "/* */" * long,
        "[" + "9" * long,
    ):
        with pytest.raises(AnnotationError):
            script_json.loads(text, "a")


# --- round trips -----------------------------------------------------------------------------------------------------

WHOLE = st.integers(-(2**31) // 4, 2**31 // 4)
TEXT = st.text(st.characters(exclude_categories=("Cs",), min_codepoint=32), max_size=20) | st.sampled_from(
    ["\n\t\r\b\f"]
)
PROPERTIES = st.fixed_dictionaries(
    {},
    optional={
        "category": st.integers(0, 99),
        "confidence": st.integers(0, 100).map(lambda percent: percent / 100),
        "rotation": st.integers(-90, 90),
        "anchor": st.integers(0, 9),
    },
)


@st.composite
def whole_items(draw):
    """An item that a script can say exactly."""
    kind = draw(st.sampled_from(["rectangle", "mask", "point", "polygon", "text"]))
    properties = draw(PROPERTIES)
    if kind in ("point", "polygon"):
        count = 1 if kind == "point" else draw(st.integers(0, 6))
        points = tuple((float(draw(WHOLE)), float(draw(WHOLE))) for _ in range(count))
        xs, ys = [x for x, _ in points] or [0.0], [y for _, y in points] or [0.0]
        is_open = kind == "polygon" and draw(st.booleans())
        return Item((min(xs), min(ys), max(xs), max(ys)), kind=kind, points=points, open=is_open, **properties)
    x, y = float(draw(WHOLE)), float(draw(WHOLE))
    xyxy = (x, y, x + draw(st.integers(1, 999)), y + draw(st.integers(1, 999)))
    return Item(xyxy, kind=kind, text=draw(TEXT) if kind == "text" else None, **properties)


JSON = st.recursive(
    st.booleans() | st.integers(-(2**53), 2**53) | TEXT | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
).map(lambda value: json.loads(json.dumps(value), parse_float=lambda text: whole_if_it_can(float(text))))
SINGLE = st.floats(allow_nan=False, allow_infinity=False, width=32)
EXTRA = st.fixed_dictionaries(
    {},
    optional={
        "usage": st.sampled_from(["omit", "retain"]),
        "omit": st.booleans(),
        "retain": st.booleans(),
        "widgets": st.dictionaries(TEXT, JSON, min_size=1, max_size=3),
        "metadata": st.fixed_dictionaries(
            {},
            optional={
                "source_image_file": TEXT,
                "source_transform": st.lists(
                    st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=6, max_size=6
                ),
                "user_map": st.dictionaries(TEXT, JSON, max_size=3),
            },
        ),
    },
)


def whole_if_it_can(number):
    return int(number) if number.is_integer() and abs(number) < 2**63 else number


@given(items=st.lists(whole_items(), max_size=5), extra=EXTRA)
@settings(max_examples=150)
def test_items_survive_a_script(items, extra):
    written = scredit.write(picture_of(items, extra))
    assert scredit.parse(written, "a.json") == (tuple(items), extra)
    json.loads(written)  # it is plain JSON too


@given(
    ends=st.tuples(*[st.floats(0, 50)] * 4),
    confidence=st.none() | st.floats(0, 1),
)
@settings(max_examples=200)
def test_rectangles_survive_to_within_half_a_pixel(ends, confidence):
    (x0, x1), (y0, y1) = sorted(ends[:2]), sorted(ends[2:])
    written = scredit.write(picture_of([Item((x0, y0, x1, y1), confidence=confidence)], width=50, height=50))
    (item,), _ = scredit.parse(written, "a.json")
    for low, high, start, end in ((x0, x1, item.xyxy[0], item.xyxy[2]), (y0, y1, item.xyxy[1], item.xyxy[3])):
        assert 0 <= start < end <= 50
        if end - start > 1:
            assert abs(start - low) <= 0.5
            assert abs(end - high) <= 0.5
        else:  # at least one pixel, and inside the picture
            assert abs(start - low) <= 1
            assert abs(end - high) <= 1.5
    if confidence is not None:
        assert item.confidence == math.floor(confidence * 100 + 0.5) / 100


# --- fuzzing ---------------------------------------------------------------------------------------------------------

SEEDS = [(GOLDEN / entry["file"]).read_bytes() for entry in INDEX if not entry["file"].startswith("61")]


def only_typed_errors(parse, data):
    try:
        items, extra = parse(data, "fuzzed.json")
    except DataError:
        return
    # What is accepted can be written, and reads the same.
    assert scredit.parse(scredit.write(picture_of(items, extra)), "again")[1] == extra


def mutated(seed, cuts):
    data = bytearray(seed)
    for place, length, new in cuts:
        at = place % (len(data) + 1)
        data[at : at + length] = new
    return bytes(data)


PIECES = st.binary(max_size=3) | st.sampled_from(
    [b'"', b"{", b"[", b"]", b"}", b",", b":", b"null", b"true", b"1e400", b"-", b"\\u0041", b"/*", b"*/", b"//", b"#"]
)
CUTS = st.lists(st.tuples(st.integers(0, 9999), st.integers(0, 8), PIECES), min_size=1, max_size=4)


@given(seed=st.sampled_from(SEEDS), cuts=CUTS)
@settings(max_examples=600)
def test_mutated_scripts_raise_typed_errors_only(seed, cuts):
    only_typed_errors(scredit.parse, mutated(seed, cuts))


def test_the_fuzz_test_would_see_another_error():
    def broken(data, path):
        raise KeyError("bounds")

    with pytest.raises(KeyError):
        only_typed_errors(broken, SEEDS[0])


# --- projects on disk ------------------------------------------------------------------------------------------------


def put_picture(path, width=64, height=48):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.zeros((height, width, 3), np.uint8))
    return path


def put_script(project, stem, text):
    path = project / "annotations" / f"{stem}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def a_box(bounds="1,2,3,4", category=0):
    return f'{{"items":[{{"bounds":[{bounds}],"p":{{"category":{category}}}}}]}}'


@pytest.fixture
def project(tmp_path):
    put_picture(tmp_path / "b.png")
    put_picture(tmp_path / "a.JPG", 32, 16)
    put_script(tmp_path, "b", a_box(category=1))
    return tmp_path


def skipping():
    return ReadOptions(problems=Problems(skip=True))


def refused(root, options=None):
    with pytest.raises(AnnotationError) as caught:
        scredit.read(root, options or ReadOptions())
    return caught.value


def test_a_project_is_read(project):
    (project / "notes.txt").write_text("no picture")
    (project / "c.jpg").mkdir()
    found = scredit.read(project, ReadOptions())
    assert (found.root, found.format, list(found.splits)) == (project, "scredit", ["train"])
    assert [(one.name, one.width, one.height, len(one.items)) for one in found.annotations] == [
        ("a.JPG", 32, 16, 0),  # no script: no items
        ("b.png", 64, 48, 1),
    ]
    assert found.annotations[1].path == project / "b.png"
    assert found.annotations[1].items == (Item((1.0, 2.0, 4.0, 6.0), category=1),)
    assert found.classes == ("class_0", "class_1")
    assert "class_0 to class_1" in found.notes[0]
    assert scredit.looks_like(project)


LABELME = '{"version":"5.0.1","flags":{},"shapes":[{"label":"nut","points":[[8,6],[40,30]]}],"imagePath":"a.jpg"}'
VIA = '{"a.jpg1234":{"filename":"a.jpg","size":1234,"regions":[{"shape_attributes":{"name":"rect","x":8}}]}}'


@pytest.mark.parametrize(
    ("script", "found"),
    [
        (LABELME, "LabelMe"),
        (VIA, "VIA"),
        (f'{{"_via_settings":{{}},"_via_img_metadata":{VIA}}}', "VIA"),
        (
            '{"description":"","tags":[],"size":{"height":48,"width":64},"objects":[{"classTitle":"nut"}]}',
            "Supervisely",
        ),
        ('{"name":"a.jpg","frames":[{"objects":[{"category":"car"}]}],"attributes":{}}', "BDD100K"),
        ('{"info":{},"categories":{"label":{}},"items":[{"id":"a","annotations":[]}]}', "Datumaro"),
        ('{"info":{},"categories":{"label":{}},"items":[]}', "Datumaro"),
        ('[{"id":1,"annotations":[{"result":[]}],"data":{"image":"a.jpg"}}]', "Label Studio JSON"),
        ('[{"image":"a.jpg","annotations":[{"label":"nut","coordinates":{"x":1}}]}]', "CreateML"),
        ('{"metadata":{"name":"a.jpg"},"instances":[{"type":"bbox"}],"tags":[]}', "SuperAnnotate"),
        ('{"version":"2.0","item":{"name":"a"},"annotations":[{"name":"nut"}]}', "V7 Darwin"),
        ('{"imgHeight":48,"imgWidth":64,"objects":[{"label":"car","polygon":[[1,2]]}]}', "Cityscapes"),
        ('[{"image_id":1,"category_id":1,"bbox":[1,2,3,4],"score":0.5}]', "COCO results"),
        ('{"boxes":[[1,2,3,4]],"labels":["nut"]}', "the keys 'boxes', 'labels'"),
        ('{"usage":"nominal","boxes":[[1,2,3,4]]}', "the keys 'usage', 'boxes'"),
    ],
)
def test_json_of_other_programs_is_no_script(project, script, found):
    put_script(project, "b", script)
    error = refused(project)
    assert (error.reason, error.path) == ("syntax", project / "annotations/b.json")
    assert f"found {found}" in str(error)
    assert ("export it as COCO, YOLO or Pascal VOC" in str(error)) == ("keys" not in found)
    options = skipping()
    assert [one.name for one in scredit.read(project, options).annotations] == ["a.JPG"]
    assert options.problems.by_reason == {"syntax": 1}


@pytest.mark.parametrize("script", ["{}", '{"items":[]}', '{"items":null}', '{"usage":"retain"}', '{"items":[],"x":1}'])
def test_what_is_a_script_without_items(project, script):
    put_script(project, "b", script)
    assert scredit.read(project, ReadOptions()).annotations[1].items == ()


def test_what_a_project_holds_besides_is_counted(project):
    put_script(project, "b", '{"items":[{"bounds":[1.5,2,3,4],"label":"nut","p":{"score":3}}],"x":{},"y":2}')
    (project / "annotations/a.JSON").write_text(a_box())
    (project / "annotations/c.xml").write_text("<annotation/>")
    for name in ("c.png", "d.bmp", "more/e.jpg", "test/f.jpg", "annotations/g.png", ".h.png"):
        put_picture(project / name)
    options = ReadOptions()
    found = scredit.read(project, options)
    assert [len(one.items) for one in found.annotations] == [1, 1, 0]
    assert options.tally.lines() == (
        f"1 file in annotations is no script (.json) and is not read (first: {project}/annotations/c.xml)",
        f"1 item has numbers with fractions, which are cut off as the editor does (first: {project}/annotations/"
        "b.json: items[0])",
        f"2 keys of items are not known and not kept, such as 'label' (first: {project}/annotations/b.json: items[0])",
        f"2 keys of scripts are not known and not kept, such as 'x' (first: {project}/annotations/b.json)",
        f"1 of 3 pictures of train has no label file and is taken as showing no object (first: {project}/c.png)",
        f"3 pictures belong to no split and are not read (first: {project}/d.bmp)",
        f"1 picture of test is not read, because only train and val are (first: {project}/test/f.jpg)",
    )
    (project / "annotations/b.Json").write_text("{}")
    assert refused(project).reason == "duplicate-name"


def test_projects_called_by_other_words(tmp_path):
    for name in ("training", "valid"):
        put_picture(tmp_path / name / "a.png")
        put_script(tmp_path / name, "a", a_box())
    assert scredit.looks_like(tmp_path)
    assert list(scredit.read(tmp_path, ReadOptions()).splits) == ["train", "val"]
    put_script(tmp_path / "validation", "a", a_box())
    with pytest.raises(DataError, match="expected one project of val, found valid and validation"):
        scredit.read(tmp_path, ReadOptions())


def test_two_projects_are_a_split(tmp_path):
    for split, stem in (("train", "a"), ("val", "a")):
        put_picture(tmp_path / split / f"{stem}.png")
        put_script(tmp_path / split, stem, a_box())
    found = scredit.read(tmp_path, ReadOptions(classes=("thing", "other")))
    assert {split: [one.name for one in part] for split, part in found.splits.items()} == {
        "train": ["a.png"],
        "val": ["a.png"],
    }
    assert (found.classes, found.notes) == (("thing", "other"), ())
    assert scredit.looks_like(tmp_path)
    assert list(scredit.read(tmp_path / "val", ReadOptions()).splits) == ["train"]


def test_an_empty_project(tmp_path):
    (tmp_path / "annotations").mkdir()
    with pytest.raises(DataError, match=r"expected pictures of train, found none: .* has none"):
        scredit.read(tmp_path, ReadOptions())
    (tmp_path / "yolo_proc.json").write_text('{"version":1,"classes":[]}')  # ours may be empty
    found = scredit.read(tmp_path, ReadOptions())
    assert (found.annotations, found.classes) == ((), ())
    assert not scredit.looks_like(tmp_path)


def test_what_is_no_project(tmp_path):
    for root in (tmp_path, tmp_path / "nothing"):
        assert not scredit.looks_like(root)
        with pytest.raises(DataError, match="expected a scredit project"):
            scredit.read(root, ReadOptions())
    # COCO keeps its annotations in a folder of that name too.
    put_picture(tmp_path / "train" / "a.png")
    put_script(tmp_path, "instances_train", "{}")
    assert not scredit.looks_like(tmp_path)


def test_omitted_pictures_are_there_and_known(project):
    put_script(project, "a", '{"usage":"omit"}')
    put_script(project, "b", '{"omit":true,"retain":false}')
    put_picture(project / "c.png")
    found = scredit.read(project, ReadOptions()).annotations
    assert [scredit.is_omitted(one) for one in found] == [True, True, False]
    assert scredit.write(found[1]) == b'{"items":[],"omit":true,"retain":false,"usage":"nominal","widgets":{}}'


def test_only_rectangles_are_checked_and_clipped(project):
    polygon = '{"":"polygon","pt":[-9,0,999,0,0,999]}'
    put_script(project, "b", f'{{"items":[{{"bounds":[-1,0,66,48]}},{polygon}]}}')
    rectangle, polygon = scredit.read(project, ReadOptions()).annotations[1].items
    assert rectangle.xyxy == (0.0, 0.0, 64.0, 48.0)
    assert polygon.xyxy == (-9.0, 0.0, 999.0, 999.0)


@pytest.mark.parametrize(
    ("bounds", "reason"),
    [
        ("60,2,9,4", "outside"),
        ("-3,2,9,4", "outside"),
        ("1,2,0,4", "degenerate"),
        ("9,2,-3,4", "swapped"),
        ("1,2,0.9,4", "degenerate"),
    ],
)
def test_bad_rectangles(project, bounds, reason):
    path = put_script(project, "b", f'{{"items":[{{"bounds":[0,0,1,1]}},{{"bounds":[{bounds}]}}]}}')
    error = refused(project)
    assert (error.reason, error.place, error.path) == (reason, "items[1]", path)
    options = skipping()
    assert [one.name for one in scredit.read(project, options).annotations] == ["a.JPG"]  # as a whole
    assert options.problems.by_reason == Counter({reason: 1})


def test_unknown_classes(project):
    error = refused(project, ReadOptions(classes=("only",)))
    assert (error.reason, error.place) == ("class", "items[0].p.category")
    options = replace(skipping(), classes=("only",))
    found = scredit.read(project, options)
    assert ([one.name for one in found.annotations], found.classes) == (["a.JPG"], ("only",))
    put_script(project, "b", a_box(category=2_000_000_000))
    assert refused(project).reason == "class"  # and no two billion names
    put_script(project, "b", a_box(category=1))
    (project / "yolo_proc.json").write_text('{"version":1,"classes":["x","y"]}')
    assert scredit.read(project, ReadOptions()).classes == ("x", "y")
    with pytest.raises(ConfigError):
        scredit.read(project, ReadOptions(classes=("x", "x")))


def test_two_pictures_with_one_base_name(project):
    put_picture(project / "b.jpg")
    error = refused(project)
    assert error.reason == "duplicate-name"
    assert "b.jpg and b.png" in str(error)
    options = skipping()
    assert [one.name for one in scredit.read(project, options).annotations] == ["a.JPG"]
    assert options.problems.by_reason == Counter({"duplicate-name": 2})


def test_base_names_with_dots(project):
    put_picture(project / "img.0001.jpg")
    put_script(project, "img.0001", a_box())
    error = refused(project)
    assert (error.reason, error.path) == ("name", project / "img.0001.jpg")
    assert "annotations/img.json" in str(error)
    options = skipping()
    assert len(scredit.read(project, options).annotations) == 2
    assert options.problems.by_reason == Counter({"name": 1})


def test_a_script_without_picture(project):
    path = put_script(project, "gone", "{}")
    error = refused(project)
    assert (error.reason, error.path) == ("missing-image", path)
    options = skipping()
    assert len(scredit.read(project, options).annotations) == 2
    assert options.problems.by_reason == Counter({"missing-image": 1})


def test_pictures_that_cannot_be_read(project):
    (project / "a.JPG").write_bytes(b"no picture")
    assert refused(project).path == project / "a.JPG"
    options = replace(skipping(), max_pixels=64 * 48 - 1)
    assert scredit.read(project, options).annotations == ()
    assert options.problems.by_reason["bomb"] == 1


@pytest.mark.parametrize("script", ["", "[]", "\ufeff{}", b"\xff", '{"items":[{"bounds":[NaN,1,1,1]}]}'])
def test_malformed_scripts_are_skipped_or_stop(project, script):
    path = put_script(project, "b", script)
    error = refused(project)
    assert (error.reason, error.path) == ("syntax", path)
    options = skipping()
    assert [one.name for one in scredit.read(project, options).annotations] == ["a.JPG"]


def test_links_that_lead_out_are_refused(project, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    put_picture(outside / "c.png")
    put_script(outside, "c", "{}")
    (project / "c.png").symlink_to(outside / "c.png")
    assert (refused(project).reason, refused(project).path) == ("escape", project / "c.png")
    (project / "c.png").unlink()
    put_picture(project / "c.png")
    (project / "annotations" / "c.json").symlink_to(outside / "annotations" / "c.json")
    assert refused(project).path == project / "annotations" / "c.json"
    options = skipping()
    assert len(scredit.read(project, options).annotations) == 2
    assert options.problems.by_reason == Counter({"escape": 1})
    # A whole folder elsewhere is damage of the set, not of a picture.
    other = tmp_path_factory.mktemp("other")
    (other / "annotations").symlink_to(outside / "annotations")
    assert refused(other, skipping()).reason == "escape"


def test_links_inside_the_project_are_followed(project):
    (project / "c.png").symlink_to("b.png")
    (project / "d.png").symlink_to(project / "nothing.png")
    options = skipping()
    assert [one.name for one in scredit.read(project, options).annotations] == ["a.JPG", "b.png", "c.png"]
    assert options.problems.by_reason == Counter({"missing-image": 1})
    linked = project.parent / "linked"
    os.symlink(project, linked)  # noqa: PTH211
    assert len(scredit.read(linked, skipping()).annotations) == 3


# --- the layout ------------------------------------------------------------------------------------------------------


def test_the_layout_of_one_project_and_of_two():
    one = scredit.ScreditLayout(("a",), ("train",))
    assert one.picture_file("train", "x.JPG") == "x.jpg"
    assert one.label_file("train", replace(picture_of([]), name="x.JPG")) == (
        "annotations/x.json",
        EMPTY,
    )
    two = scredit.ScreditLayout(("a",), ("train", "val"))
    assert two.picture_file("val", "x.png") == "val/x.png"
    assert two.label_file("val", picture_of([])) == ("val/annotations/a.json", EMPTY)
    assert set_files(two, {"train": [picture_of([])], "val": [picture_of([])]}) == {}


@pytest.mark.parametrize("name", ["img.0001.jpg", "a.bmp", "a", ".jpg", "../a.jpg", "b\\a.jpg", ""])
def test_names_that_a_project_cannot_have(name):
    layout = scredit.ScreditLayout(("a",), ("train",))
    with pytest.raises(AnnotationError) as caught:
        layout.picture_file("train", name)
    assert caught.value.reason == "name"


def test_two_names_for_one_script_are_refused():
    layout = scredit.ScreditLayout(("a",), ("train",))
    part = [replace(picture_of([]), name=name) for name in ("b.png", "a.png", "b.jpg")]
    with pytest.raises(AnnotationError, match=r"b\.png and b\.jpg"):
        set_files(layout, {"train": part})


def test_what_is_lost():
    layout = scredit.ScreditLayout(("a",), ("train",))
    box = (0.0, 0.0, 9.0, 9.0)
    assert list(layout.losses(Item(box, confidence=0.5, rotation=3, anchor=1, visible=1.0, in_frame=1.0))) == []
    assert list(layout.losses(Item(box, visible=0.5, in_frame=0.9, points=((0.0, 0.0),)))) == [
        "visible",
        "in_frame",
        "outline",
    ]
    assert list(layout.losses(Item(box, kind="polygon", points=((0.0, 0.0),)))) == []


def test_what_was_written_is_read(tmp_path):
    layout = scredit.ScreditLayout(("a", "b"), ("train", "val"))
    items = (Item((0.0, 0.0, 64.0, 48.0), category=1, confidence=0.5), Item((63.0, 47.0, 64.0, 48.0), category=0))
    wanted = {}
    for split in layout.splits:
        one = Annotation(f"{split}_1.png", 64, 48, items if split == "val" else (), extra={"usage": "retain"})
        placed = layout.label_file(split, one)
        put_picture(tmp_path / layout.picture_file(split, one.name))
        put_script(tmp_path / split, one.stem, placed[1])
        wanted[split] = (replace(one, path=tmp_path / split / one.name),)
    assert scredit.read(tmp_path, ReadOptions()).splits == wanted


def test_a_link_that_leads_to_itself_is_refused(tmp_path):
    (tmp_path / "annotations").mkdir()
    (tmp_path / "a.jpg").symlink_to("a.jpg")
    with pytest.raises(DataError, match=r"a\.jpg"):
        scredit.read(tmp_path, ReadOptions())


def test_a_transform_beyond_single_precision_is_refused():
    script = '{"items":[],"metadata":{"source_transform":[1,0,0,1,0,1e308]}}'
    with pytest.raises(AnnotationError, match="six numbers in single precision"):
        scredit.parse(script, "a.json")
