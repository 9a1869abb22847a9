"""Where class names come from, in which order, and what is said when there are none."""

import json

import pytest

from yolo_proc.annotations.classes import MAX_NAMES, known_classes, read_class_file, resolve_classes
from yolo_proc.annotations.records import ReadOptions
from yolo_proc.errors import AnnotationError, ConfigError


def put_set_file(root, content):
    text = content if isinstance(content, str | bytes) else json.dumps(content)
    (root / "yolo_proc.json").write_bytes(text.encode() if isinstance(text, str) else text)


def test_the_first_source_counts(tmp_path):
    given = ReadOptions(classes=("user",))
    assert resolve_classes(tmp_path, ReadOptions(), ["own"], 0) == (("own",), ())
    put_set_file(tmp_path, {"version": 1, "classes": ["set", "second"]})
    assert resolve_classes(tmp_path, ReadOptions(), ["own"], 0) == (("set", "second"), ())
    assert resolve_classes(tmp_path, given, ["own"], 0) == (("user",), ())
    assert known_classes(tmp_path, given, None) == ("user",)


def test_names_are_made_up_with_a_note(tmp_path):
    assert known_classes(tmp_path, ReadOptions(), None) is None
    names, notes = resolve_classes(tmp_path, ReadOptions(), None, 2)
    assert names == ("class_0", "class_1", "class_2")
    assert len(notes) == 1
    assert "class_0 to class_2" in notes[0]
    assert "--classes FILE" in notes[0]
    assert resolve_classes(tmp_path, ReadOptions(), None, 0)[0] == ("class_0",)
    names, notes = resolve_classes(tmp_path, ReadOptions(), None, -1)
    assert (names, len(notes)) == ((), 1)
    with pytest.raises(AnnotationError, match="indices below 10000"):
        resolve_classes(tmp_path, ReadOptions(), None, 2_000_000_000)


def test_a_set_file_without_classes_is_passed_over(tmp_path):
    put_set_file(tmp_path, {"version": 1, "format": "yolo"})
    assert resolve_classes(tmp_path, ReadOptions(), ["own"], 0) == (("own",), ())


def test_too_few_names(tmp_path):
    with pytest.raises(ConfigError, match=r"--classes: expected at least 3 class names.*found 2"):
        resolve_classes(tmp_path, ReadOptions(classes=("a", "b")), None, 2)
    with pytest.raises(AnnotationError, match="at least 3 class names") as caught:
        resolve_classes(tmp_path, ReadOptions(), ["a", "b"], 2)
    assert (caught.value.reason, caught.value.path) == ("class", tmp_path)
    put_set_file(tmp_path, {"version": 1, "classes": []})
    with pytest.raises(AnnotationError, match="at least 1 class") as caught:
        resolve_classes(tmp_path, ReadOptions(), ["a", "b"], 0)
    assert (caught.value.reason, caught.value.path) == ("class", tmp_path / "yolo_proc.json")
    assert resolve_classes(tmp_path, ReadOptions(classes=("a", "b")), None, 1)[0] == ("a", "b")


def test_names_that_are_not_names(tmp_path):
    with pytest.raises(ConfigError, match="'a' twice"):
        resolve_classes(tmp_path, ReadOptions(classes=("a", "b", "a")), None, 0)
    with pytest.raises(AnnotationError, match="' '"):
        resolve_classes(tmp_path, ReadOptions(), ["a", " "], 0)
    with pytest.raises(AnnotationError, match="x1b"):
        resolve_classes(tmp_path, ReadOptions(), ["a\x1b[2J"], 0)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "syntax"),
        ("{", "syntax"),
        (b"\xff\xfe", "syntax"),
        ("[" * 100_000, "syntax"),
        ("1" * 10_000, "syntax"),
        ("[]", "value"),
        ("{}", "value"),  # no version
        ({"version": 2, "classes": ["a"]}, "value"),
        ({"version": True, "classes": ["a"]}, "value"),
        ({"version": 1, "classes": "ab"}, "class"),
        ({"version": 1, "classes": ["a", 1]}, "class"),
        ({"version": 1, "classes": ["a", "a"]}, "class"),
    ],
)
def test_a_damaged_set_file_is_refused(tmp_path, content, reason):
    put_set_file(tmp_path, content)
    with pytest.raises(AnnotationError) as caught:
        resolve_classes(tmp_path, ReadOptions(), ["own"], 0)
    assert caught.value.reason == reason
    assert "\n" not in str(caught.value)


def test_a_set_file_elsewhere_is_refused(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    put_set_file(tmp_path, {"version": 1, "classes": ["a"]})
    (root / "yolo_proc.json").symlink_to(tmp_path / "yolo_proc.json")
    with pytest.raises(AnnotationError) as caught:
        resolve_classes(root, ReadOptions(), None, 0)
    assert caught.value.reason == "escape"


def test_a_class_file_is_read(tmp_path):
    path = tmp_path / "names.txt"
    path.write_bytes("\ufeffÄpfel \r\n  tea pot\r\n#1\r\n\r\n".encode())
    assert read_class_file(path) == ("Äpfel", "tea pot", "#1")
    path.write_bytes(b"one")
    assert read_class_file(path) == ("one",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "line 1: expected a class name, found an empty file"),
        (b"\n\n", "found an empty file"),
        (b"a\n\nb\n", "line 2: expected a class name, found an empty line"),
        (b"a\nb\na\n", "line 3: expected another name than 'a', that of line 1"),
        (b"a\xff\n", "expected class names, one a line"),
        (b"a\x00b\n", "line 1: expected a class name"),
    ],
)
def test_a_class_file_that_is_none(tmp_path, content, message):
    path = tmp_path / "names.txt"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message) as caught:
        read_class_file(path)
    assert str(caught.value).startswith(str(path))


def test_no_class_file(tmp_path):
    for path in (tmp_path / "none.txt", tmp_path):
        with pytest.raises(ConfigError, match="expected class names"):
            read_class_file(path)


def test_more_names_than_a_checkpoint_can_have(tmp_path):
    names = [f"c{number}" for number in range(MAX_NAMES + 1)]
    path = tmp_path / "classes.txt"
    path.write_text("\n".join(names[:-1]))
    assert len(read_class_file(path)) == MAX_NAMES
    path.write_text("\n".join(names))
    with pytest.raises(ConfigError, match="line 65537: expected the end of the file: a data set has at most 65,536"):
        read_class_file(path)
    with pytest.raises(AnnotationError, match="65,537 of them, more than 65,536"):
        known_classes(tmp_path, ReadOptions(), names)
