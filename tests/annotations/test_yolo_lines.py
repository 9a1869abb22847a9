"""YOLO label lines: boxes, confidences, ids, keypoints, polygons, and what is refused because it may be two things."""

import itertools
import math
import random
from pathlib import Path
from typing import Any

import pytest
from small_sets import put_picture, put_text

from yolo_proc.annotations.formats import read_data_set
from yolo_proc.annotations.records import YOLO_LINES, Box, DataSet, ReadOptions
from yolo_proc.annotations.yolo import lines as yolo_lines
from yolo_proc.annotations.yolo.lines import MEANINGS, LineReader, crosses_itself
from yolo_proc.annotations.yolo.reader import parse_labels
from yolo_proc.cli.main import main
from yolo_proc.errors import AnnotationError

YAML = "train: images/train\nval: images/train\nnames: [nut, bolt]\n"
BOX = "0 0.375 0.375 0.5 0.5"  # of 64 x 48 pixels
B1 = (8.0, 6.0, 40.0, 30.0)
QUAD = "0 .125 .25 .5 .125 .625 .5 .25 .75"  # 8, 6, 40, 36


def read_lines(root: Path, *labels: str, yaml: str | None = YAML, **options: Any) -> DataSet:
    """A set of a picture for each text."""
    for number, text in enumerate(labels):
        put_picture(root / f"images/train/{number}.png")
        put_text(root / f"labels/train/{number}.txt", text)
    if yaml is not None:
        put_text(root / "data.yaml", yaml)
    return read_data_set(root, ReadOptions(**options))


def boxes(data: DataSet) -> list[Box]:
    return [item.xyxy for one in data.annotations for item in one.items]


def confidences(data: DataSet) -> list[float | None]:
    return [item.confidence for one in data.annotations for item in one.items]


def told(data: DataSet) -> list[str]:
    """The lines on objects, without the places."""
    return [note.partition(" (first")[0] for note in data.notes if note[0].isdigit() and "object" in note]


def refused(root: Path, *labels: str, reason: str = "ambiguous", **given: Any) -> str:
    with pytest.raises(AnnotationError) as caught:
        read_lines(root, *labels, **given)
    assert caught.value.reason == reason, str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def pose(number: int, each: int, *, tail: str = "", seed: int = 1) -> str:
    """B1 with keypoints in it, the visibility of the last is 2."""
    rng = random.Random(seed)
    fields = [BOX]
    for one in range(number):
        fields += [f"{rng.uniform(0.15, 0.6):.3f} {rng.uniform(0.15, 0.6):.3f}"]
        fields += [str(2 if one == number - 1 else rng.randrange(3))] * (each == 3)
    return " ".join(fields) + tail


# Keypoints


@pytest.mark.parametrize(("number", "each"), [(1, 2), (1, 3), (2, 2), (4, 3), (5, 2), (8, 2), (17, 3), (21, 3)])
@pytest.mark.parametrize(("tail", "confidence"), [("", None), (" 0.75", 0.75), (" 0.75 3", 0.75)])
def test_the_box_of_a_pose_is_fields_1_to_4(
    number: int, each: int, tail: str, confidence: float | None, tmp_path: Path
) -> None:
    yaml = f"{YAML}kpt_shape: [{number}, {each}]\n"
    data = read_lines(tmp_path, pose(number, each, tail=tail), f"{BOX}\n{BOX} 0.5\n", yaml=yaml)
    assert boxes(data) == [B1] * 3
    assert confidences(data) == [confidence, None, 0.5]
    assert "1 object has keypoints, which are left out" in told(data)
    assert all(item.points == () for one in data.annotations for item in one.items)


def test_a_line_of_another_length_than_kpt_shape_says_is_refused(tmp_path: Path) -> None:
    yaml = f"{YAML}kpt_shape:\n- 4\n- 3\n"
    line = refused(tmp_path, QUAD, yaml=yaml, reason="syntax")
    assert "17 fields, as `kpt_shape: [4, 3]` says, found 9 fields" in line
    assert "--yolo-lines segments: a polygon" in line
    assert boxes(read_lines(tmp_path, QUAD, yaml=yaml, yolo_lines="segments")) == [(8.0, 6.0, 40.0, 36.0)]


@pytest.mark.parametrize(
    "shape", ["17", "[17]", "[17, 3, 1]", "[17, 4]", "[0, 3]", "[x, 3]", "[[1], 3]", "{a: 1}", "[²,3]"]
)
def test_a_kpt_shape_that_is_none_is_refused(shape: str, tmp_path: Path) -> None:
    line = refused(tmp_path, BOX, yaml=f"{YAML}kpt_shape: {shape}\n", reason="value")
    assert "kpt_shape: expected how many keypoints" in line


@pytest.mark.parametrize(("number", "each"), [(1, 2), (2, 2), (2, 3), (4, 3), (8, 2), (17, 2)])
@pytest.mark.parametrize("count", [1, 4])
def test_a_pose_without_data_yaml_is_never_read_as_a_polygon(
    number: int, each: int, count: int, tmp_path: Path
) -> None:
    lines = [pose(number, each, seed=seed) for seed in range(count)]
    line = refused(tmp_path, *lines, yaml=None)
    assert f"{tmp_path}/labels/train/0.txt: line 1: expected a line that can be read in one way" in line
    assert "(--yolo-lines box)" in line
    data = read_lines(tmp_path, *lines, yaml=None, yolo_lines="box")
    assert boxes(data) == [B1] * count
    objects = "1 object has" if count == 1 else f"{count} objects have"
    assert told(data) == [f"{objects} fields behind the box, which are left out"]


@pytest.mark.parametrize(("number", "each"), [(4, 2), (2, 3), (4, 3), (8, 2), (17, 2)])
def test_a_pose_whose_data_yaml_has_lost_kpt_shape_is_refused(number: int, each: int, tmp_path: Path) -> None:
    # Taken for polygons, some of these cross themselves, or every third number is a visibility.
    assert "--yolo-lines box" in refused(tmp_path, *[pose(number, each, seed=seed) for seed in range(4)])


def test_every_third_number_may_be_a_visibility(tmp_path: Path) -> None:
    text = "0 0.4 0.4 0.3 0.2 0.5 0.1 1 0.9 1 1"
    points = [(0.4, 0.4), (0.3, 0.2), (0.5, 0.1), (1.0, 0.9), (1.0, 1.0)]
    assert not crosses_itself(points)
    line = refused(tmp_path, text)
    for one in ("segments", "segments+track", "box"):
        assert f"(--yolo-lines {one})" in line


def test_poses_of_an_odd_number_of_keypoints_are_no_polygons(tmp_path: Path) -> None:
    line = refused(tmp_path, pose(3, 3), reason="syntax")
    assert "14 fields (--yolo-lines box: " in line
    assert "--yolo-lines segments+confidence: a polygon with a confidence" in line


def held(number: int, rng: random.Random, blank: bool = False) -> tuple[str, Box]:
    """A line of a box with keypoints in it, as shares, and its box in pixels of 64 x 48."""
    w, h = rng.uniform(0.05, 0.3), rng.uniform(0.05, 0.3)
    cx, cy = rng.uniform(w / 2, 1 - w / 2), rng.uniform(h / 2, 1 - h / 2)
    points = [(cx + w * rng.uniform(-0.5, 0.5), cy + h * rng.uniform(-0.5, 0.5)) for _ in range(number)]
    points[-1] = (0.0, 0.0) if blank else points[-1]
    numbers = [cx, cy, w, h, *itertools.chain.from_iterable(points)]
    box = ((cx - w / 2) * 64, (cy - h / 2) * 48, (cx + w / 2) * 64, (cy + h / 2) * 48)
    return "0 " + " ".join(f"{one:.6f}" for one in numbers), box


@pytest.mark.parametrize("number", [1, 2, 3, 5, 8, 17])
@pytest.mark.parametrize("blank", [False, True])
@pytest.mark.parametrize("tail", ["", " 0.75 3"])
def test_points_in_a_box_may_be_keypoints(number: int, blank: bool, tail: str, tmp_path: Path) -> None:
    """Without `kpt_shape`; the last keypoint of some sets is 0, 0: not seen. With a confidence and an id as well."""
    rng = random.Random(number)
    made = [held(number, rng, blank and number > 1) for _ in range(6)]
    lines = [line + tail for line, _ in made]
    polygon = "segments+track" if tail else "segments"
    line = refused(tmp_path, *lines)
    assert f"(--yolo-lines {polygon}) or " in line
    assert "or a box, and keypoints or other fields that are left out (--yolo-lines box); say which" in line
    found = boxes(read_lines(tmp_path, *lines, yolo_lines="box"))
    for one, (_, right) in zip(found, made, strict=True):
        assert one == pytest.approx(right, abs=1e-3)


@pytest.mark.parametrize("corners", [3, 4, 6])
def test_polygons_of_one_number_of_points_all_over_the_picture_are_read(corners: int, tmp_path: Path) -> None:
    """Forty of a set: some lie where their first points, taken for a box, reach over the border."""
    rng = random.Random(corners)
    lines = []
    for _ in range(40):
        x, y, radius = rng.uniform(0.1, 0.9), rng.uniform(0.1, 0.9), rng.uniform(0.02, 0.1)
        turns = sorted(rng.uniform(0, 2 * math.pi) for _ in range(corners))
        points = [(x + radius * math.cos(turn), y + radius * math.sin(turn)) for turn in turns]
        lines.append("0 " + " ".join(f"{one:.6f} {other:.6f}" for one, other in points))
    items = [item for one in read_lines(tmp_path, "\n".join(lines)).annotations for item in one.items]
    assert [len(item.points) for item in items] == [corners] * 40


def test_polygons_of_various_numbers_of_points_are_never_taken_for_poses(tmp_path: Path) -> None:
    rng = random.Random(5)
    lines = [held(number, rng)[0] for number in (2, 3, 4)]
    items = [item for one in read_lines(tmp_path, *lines).annotations for item in one.items]
    assert [len(item.points) for item in items] == [4, 5, 6]


# Confidences and track ids


def test_ids_that_count_on_show_a_tracker(tmp_path: Path) -> None:
    data = read_lines(tmp_path, f"{BOX} 0.87 1\n", f"{BOX} 0.5 1\n{BOX} 1 2.0\n{BOX}")
    assert boxes(data) == [B1] * 4
    assert confidences(data) == [0.87, 0.5, 1.0, None]
    assert "3 objects have a track id, which is left out" in told(data)


@pytest.mark.parametrize("number", ["1", "0", "1.0"])
def test_a_tracker_of_one_object_may_be_a_triangle(number: str, tmp_path: Path) -> None:
    text = f"{BOX} 0.87 {number}\n"
    line = refused(tmp_path, text, text)
    assert (
        "7 fields: a polygon (--yolo-lines segments) or a box with a confidence and a track id (--yolo-lines track)"
        in line
    )
    assert boxes(read_lines(tmp_path, text, text, yolo_lines="track")) == [B1] * 2
    triangle = parse_labels(text, "x", 64, 48, options=ReadOptions(yolo_lines="segments"))[0]
    assert triangle.points == ((24.0, 18.0), (32.0, 24.0), (0.87 * 64, float(number) * 48))


def test_polygons_of_a_tracker(tmp_path: Path) -> None:
    data = read_lines(tmp_path, f"{QUAD} 0.5 1\n", "0 .125 .25 .5 .125 .625 .5 0.25 7\n")
    assert boxes(data) == [(8.0, 6.0, 40.0, 36.0), (8.0, 6.0, 40.0, 24.0)]
    assert confidences(data) == [0.5, 0.25]
    assert told(data) == ["2 objects have a track id, which is left out"]
    (tmp_path / "labels/train/1.txt").write_text(f"{QUAD} .1 .2 0.5 1\n")
    with pytest.raises(AnnotationError, match=r"\(--yolo-lines segments\).*\(--yolo-lines segments\+track\)"):
        read_data_set(tmp_path, ReadOptions())
    data = read_data_set(tmp_path, ReadOptions(yolo_lines="segments"))
    assert boxes(data)[0] == (8.0, 6.0, 40.0, 48.0)


def test_polygons_with_a_confidence_are_read_where_the_user_says_so(tmp_path: Path) -> None:
    assert "--yolo-lines segments+confidence" in refused(tmp_path, f"{QUAD} 0.5", reason="syntax")
    data = read_lines(tmp_path, f"{QUAD} 0.5", yolo_lines="segments+confidence")
    assert (boxes(data), confidences(data)) == ([(8.0, 6.0, 40.0, 36.0)], [0.5])
    line = refused(tmp_path, QUAD, yolo_lines="segments+confidence", reason="syntax")
    assert "expected a polygon with a confidence, as --yolo-lines segments+confidence says, found 9 fields" in line


def test_a_sixth_field_that_is_no_confidence_names_the_option(tmp_path: Path) -> None:
    line = refused(tmp_path, f"{BOX} 7", reason="value")
    assert "line 1: expected a confidence from 0 to 1 as field 6, found 7; --yolo-lines box" in line
    data = read_lines(tmp_path, f"{BOX} 7", yolo_lines="box")
    assert (boxes(data), confidences(data)) == ([B1], [None])


# Polygons


def test_ordinary_polygons_are_read(tmp_path: Path) -> None:
    """Sets of polygons as people have them: as many points as each needs, with a description or without."""
    rng = random.Random(3)
    lines, expected = [], []
    for corners in (3, 4, 4, 7, 12, 30):
        x, y, radius = rng.uniform(0.3, 0.7), rng.uniform(0.3, 0.7), rng.uniform(0.05, 0.2)
        turns = [2 * math.pi * corner / corners for corner in range(corners)]
        points = [(x + radius * math.cos(turn), y + radius * math.sin(turn)) for turn in turns]
        lines.append("1 " + " ".join(f"{one:.9f} {other:.9f}" for one, other in points))
        xs, ys = [64 * one for one, _ in points], [48 * one for _, one in points]
        expected.append((min(xs), min(ys), max(xs), max(ys)))
    for yaml in (YAML, None):
        data = read_lines(tmp_path / str(yaml is None), *lines, BOX, yaml=yaml)
        for found, right in zip(boxes(data), [*expected, B1], strict=True):
            assert found == pytest.approx(right, abs=1e-6)
        assert told(data) == []


@pytest.mark.parametrize("yaml", [YAML, None])
def test_turned_boxes_are_read_by_their_bounds(yaml: str | None, tmp_path: Path) -> None:
    """Four corners of a rectangle, turned on a picture that is not square."""
    lines, expected = [], []
    for turn in (0.0, 0.3, 1.0, 2.5):
        corners = []
        for x, y in ((-10, -5), (10, -5), (10, 5), (-10, 5)):
            along, across = math.cos(turn), math.sin(turn)
            corners.append((20 + x * along - y * across, 18 + x * across + y * along))
        lines.append("0 " + " ".join(f"{x / 64:.6f} {y / 48:.6f}" for x, y in corners))
        xs, ys = [x for x, _ in corners], [y for _, y in corners]
        expected.append((min(xs), min(ys), max(xs), max(ys)))
    for found, right in zip(boxes(read_lines(tmp_path, *lines, yaml=yaml)), expected, strict=True):
        assert found == pytest.approx(right, abs=1e-3)


def test_a_single_polygon_with_data_yaml_is_one(tmp_path: Path) -> None:
    assert boxes(read_lines(tmp_path, QUAD)) == [(8.0, 6.0, 40.0, 36.0)]


def test_a_polygon_over_the_border_is_clipped_where_the_user_says_so(tmp_path: Path) -> None:
    text = "0 -.125 .25 .5 -.5 .625 .5 .25 .75"
    assert "--clip" in refused(tmp_path, text, reason="outside")
    data = read_lines(tmp_path, text, clip=True)
    assert boxes(data) == [(0.0, 0.0, 40.0, 36.0)]
    assert data.notes[-1].startswith("1 box reaches over the border of its picture and is clipped (first: ")


def test_crossing_is_found_as_by_a_grid_of_cuts() -> None:
    """Sides that share an inner point, against lines that are cut by solving for it."""
    rng = random.Random(7)
    seen = set()
    for _ in range(300):
        points = [(rng.random(), rng.random()) for _ in range(rng.randint(3, 6))]
        found = False
        sides = list(zip(points, [*points[1:], points[0]], strict=True))
        for ((ax, ay), (bx, by)), ((cx, cy), (dx, dy)) in itertools.combinations(sides, 2):
            ux, uy, vx, vy = bx - ax, by - ay, dx - cx, dy - cy
            det = vx * uy - ux * vy
            if abs(det) > 1e-12:
                s = (vx * (cy - ay) - vy * (cx - ax)) / det
                t = (ux * (cy - ay) - uy * (cx - ax)) / det
                found |= 1e-9 < s < 1 - 1e-9 and 1e-9 < t < 1 - 1e-9
        assert crosses_itself(points) == found
        seen.add(found)
    assert seen == {False, True}
    closed = [(0.1, 0.1), (0.5, 0.1), (0.5, 0.5), (0.1, 0.5), (0.1, 0.1)]
    assert not crosses_itself(closed)


# What a field is written like


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff0 0.375 0.375 0.5 0.5",
        "0\t0.375\t0.375\t0.5\t0.5\r\n\r\n",
        "0.0 3.75e-1 +3.75E-01 .5 5.0e-1",
        "  0   0.375 0.375 0.5 0.5  # the left one",
        "# class cx cy w h\n0 0.375 0.375 0.5 0.5",
        "nut 0.375 0.375 0.5 0.5",
    ],
)
def test_a_box_however_it_is_written(text: str, tmp_path: Path) -> None:
    data = read_lines(tmp_path, text)
    assert boxes(data) == [B1]
    assert [note for note in data.notes if "comment" in note][:1] == (
        [f"1 comment in a label file is not read (first: {tmp_path}/labels/train/0.txt: line 1)"] if "#" in text else []
    )


@pytest.mark.parametrize(
    ("text", "reason", "expected"),
    [
        ("0,0.375,0.375,0.5,0.5", "syntax", "fields with blanks between, and numbers with points"),
        ("0;0.375;0.375;0.5;0.5", "syntax", "fields with blanks between, and numbers with points"),
        ("0 0,375 0,375 0,5 0,5", "syntax", "expected numbers with points"),
        ("0 24 18 32 24", "outside", "which looks like pixels; divide them by 64 and 48"),
        ("0 37.5 37.5 50 50", "outside", "which looks like pixels"),
        ("0 8 6 40 6 40 30", "outside", "which looks like pixels"),
        ("screw 0.375 0.375 0.5 0.5", "class", "a class from 0 to 1, found 'screw'"),
        (BOX.encode("utf-16"), "syntax", "UTF-16; save it as UTF-8"),
    ],
)
@pytest.mark.parametrize("clip", [False, True])
def test_what_is_refused_says_what_to_do(text: Any, reason: str, expected: str, clip: bool, tmp_path: Path) -> None:
    assert expected in refused(tmp_path, text, reason=reason, clip=clip)


def test_names_in_place_of_indices_need_a_list(tmp_path: Path) -> None:
    line = refused(tmp_path, "nut 0.375 0.375 0.5 0.5", yaml=None, reason="class")
    assert "names are read where --classes FILE says which classes there are" in line
    data = read_lines(tmp_path, "nut 0.375 0.375 0.5 0.5", yaml=None, classes=("bolt", "nut"))
    assert data.annotations[0].items[0].category == 1


# The option


def test_every_kind_of_line_has_words() -> None:
    assert ("auto", *MEANINGS) == YOLO_LINES


def test_the_commands_have_the_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "set"
    with pytest.raises(AnnotationError):
        read_lines(root, f"{BOX} 0.87 1")
    out = str(tmp_path / "out")
    assert main(["convert", str(root), "--to", "coco", "--out", out]) == 2
    assert "(--yolo-lines track); say which" in capsys.readouterr().err
    assert main(["convert", str(root), "--to", "coco", "--out", out, "--yolo-lines", "track"]) == 0
    assert "1 object has a track id, which is left out" in capsys.readouterr().err
    inspect = ["inspect", str(root), "--out", str(tmp_path / "pictures")]
    assert main(inspect) == 2  # nothing is left to look at
    assert "(--yolo-lines track); say which" in capsys.readouterr().out
    assert main([*inspect, "--yolo-lines", "track"]) == 0
    assert "1 object has a track id, which is left out" in capsys.readouterr().out
    preview = ["preview", "--generator", f"folder:{root}", "--generator.train-share", "1", "--count", "1"]
    preview += ["--image-size", "64", "--augment", "off", "--out", str(tmp_path / "preview.png")]
    assert main(preview) == 2
    assert "(--generator.yolo-lines track)" in capsys.readouterr().err
    assert main([*preview, "--generator.yolo-lines", "track"]) == 0
    assert "1 object has a track id, which is left out" in capsys.readouterr().err
    words = [
        "generate",
        "--generator",
        f"folder:{root}",
        "--generator.train-share",
        "1",
        "--generator.yolo-lines",
        "track",
    ]
    words += ["--count", "1", "--image-size", "64", "--workers", "0", "--out", str(tmp_path / "generated")]
    assert main(words) == 0
    assert "1 object has a track id, which is left out" in capsys.readouterr().err


def test_a_line_longer_than_any_pose_is_not_searched_for_crossings(tmp_path, monkeypatch):
    def search(_):
        raise AssertionError("quadratic in the number of points")

    monkeypatch.setattr(yolo_lines, "crosses_itself", search)
    path = tmp_path / "a.txt"
    path.write_text("0 0.5 0.5 0.5 0.5 " + "0.25 0.5 " * 998 + "\n")  # begins with a box, as a pose does
    assert LineReader([path]).fields(2001, path, "line 1").is_box is False


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0 0.375 0.375 0.5 0_5", "syntax"),
        ("0 0.375 0.375 0.5 0.\u0665", "syntax"),
        ("0 0.375 nan 0.5 0.5", "not-finite"),
        ("0 0.375 0.375 Infinity 0.5", "not-finite"),
        ("0 0.375 0.375 1e999 0.5", "not-finite"),
        ("0_1 0.375 0.375 0.5 0.5", "class"),
        ("\u0661 0.375 0.375 0.5 0.5", "class"),
    ],
)
def test_what_python_alone_takes_for_a_number_is_none(text: str, reason: str, tmp_path: Path) -> None:
    refused(tmp_path, text, reason=reason)


@pytest.mark.parametrize("name", ["nan", "inf", "infinity", "1_0"])
def test_a_class_may_be_called_what_python_takes_for_a_number(name: str, tmp_path: Path) -> None:
    data = read_lines(tmp_path, f"{name} 0.375 0.375 0.5 0.5", classes=("nut", name))
    assert data.annotations[0].items[0].category == 1


def test_the_confidence_that_is_none_is_shown(tmp_path: Path) -> None:
    line = refused(tmp_path, f"{BOX} 1.7 3", reason="value", yolo_lines="track")
    assert "expected a confidence from 0 to 1 as field 6, found 1.7;" in line


def test_a_polygon_is_clipped_with_its_box(tmp_path: Path) -> None:
    data = read_lines(tmp_path, "0 -.125 .25 .5 .25 .5 .75 -.125 .75", clip=True)
    (item,) = data.annotations[0].items
    assert item.xyxy == (0.0, 12.0, 32.0, 36.0)
    assert sorted(item.points) == [(0.0, 12.0), (0.0, 36.0), (32.0, 12.0), (32.0, 36.0)]
