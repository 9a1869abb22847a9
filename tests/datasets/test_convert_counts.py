"""Between every pair of formats: what is there before, what is there after and the printed losses add up."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_sets import BINARY, SIDE, read_options, write_set

from yolo_proc.annotations.formats import FORMATS, read_data_set
from yolo_proc.annotations.records import Annotation, DataSet, Item, Kind, ReadOptions
from yolo_proc.datasets.convert import Conversion, convert
from yolo_proc.datasets.setwriter import loss_lines

CLASSES = ("A", "Ö", "M")
KINDS: tuple[Kind, ...] = ("mask", "point", "polygon", "text")
EXTRAS = ({}, {"usage": "omit"}, {"omit": True, "widgets": {"a": 1}}, {"metadata": {"source_image_file": "x"}})
HAS_KINDS = "scredit"
HAS_IGNORE = ("coco", "voc")

Rng = np.random.Generator


def random_item(rng: Rng) -> Item:
    step = rng.choice([1.0, 0.25, 0.3])
    x0, y0 = (float(rng.integers(0, 90) * step) % 28 for _ in range(2))
    x1, y1 = (float(min(SIDE, low + 2 + rng.integers(0, 40) * step)) for low in (x0, y0))
    kind: Kind = "rectangle" if rng.random() < 0.75 else KINDS[rng.integers(0, 4)]
    outline = ((x0, y0), (x1, y0), (x1, y1))
    maybe = lambda value: value if rng.random() < 0.2 else None  # noqa: E731
    item = Item((x0, y0, x1, y1), maybe(None) if rng.random() < 0.1 else int(rng.integers(0, 3)), kind)
    item = replace(
        item, confidence=maybe(float(rng.choice([0.5, 0.123, 1]))), rotation=maybe(float(rng.choice([30, 2.5])))
    )
    item = replace(item, anchor=maybe(1))
    if kind == "rectangle":
        shares = {"visible": maybe(0.5), "in_frame": maybe(0.75), "ignore": bool(rng.random() < 0.2)}
        return replace(item, points=outline if rng.random() < 0.3 else (), **shares)
    if kind == "point":
        return replace(item, xyxy=(x0, y0, x0, y0), points=((x0, y0),))
    return replace(item, points=outline if kind == "polygon" else (), text="x" if kind == "text" else None)


def random_splits(rng: Rng, name: str) -> dict[str, list[Annotation]]:
    def pictures(first: str) -> list[Annotation]:
        return [
            Annotation(
                f"{first}{number}.{rng.choice(['png', 'PNG'])}",
                SIDE,
                SIDE,
                tuple(random_item(rng) for _ in range(rng.integers(0, 6))),
                extra=EXTRAS[rng.integers(0, 4)],
            )
            for number in range(rng.integers(1, 3))
        ]

    # Of equal names where that can be, so that a format with one folder has to rename.
    return {"train": pictures("p"), **({"val": pictures("q" if name == "voc" else "p")} if rng.random() < 0.5 else {})}


def expected_losses(item: Item, to: str) -> Counter[str]:
    """What must be counted of an item on the way to a format, said once more, without the layouts."""
    if item.kind != "rectangle" and to != HAS_KINDS:
        return Counter([item.kind])
    if item.ignore and to not in HAS_IGNORE:
        return Counter(["ignore"])
    lost = Counter[str]()
    numbers = [*item.xyxy, *(value for point in item.points for value in point)]
    lost["pixel fractions"] = to in ("scredit", "voc") and any(
        abs(value - round(value)) > 0.01 for value in (numbers if to == "scredit" else item.xyxy)
    )
    lost["visible"], lost["in_frame"] = item.visible not in (None, 1), item.in_frame not in (None, 1)
    lost["outline"] = bool(item.points) and item.kind == "rectangle" and (to != "coco" or item.ignore)
    if to == "scredit":
        lost["percent fractions"] = item.confidence is not None and abs(item.confidence * 100 % 1 - 0.5) < 0.49
        lost["degree fractions"] = item.rotation is not None and item.rotation % 1 != 0
    else:
        lost["confidence"], lost["rotation"] = item.confidence not in (None, 1), item.rotation not in (None, 0)
        lost["anchor"], lost["class"] = item.anchor is not None, item.category is None
    return +lost


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("to", FORMATS)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1))
def test_nothing_is_lost_but_what_is_printed(
    tmp_path_factory: pytest.TempPathFactory, name: str, to: str, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("set")
    splits = random_splits(np.random.default_rng(seed), name)
    if name == "scredit":  # the other suffix is none of the editor's own
        splits = {key: [replace(one, name=one.name.lower()) for one in part] for key, part in splits.items()}
    write_set(folder / "set", name, splits, CLASSES)
    source = read_data_set(folder / "set", read_options(name), name)
    work = Conversion(source=folder / "set", out=folder / "out", to=to, binary=BINARY, options=read_options(name))
    done = convert(replace(work, source_format=name))
    after = read_data_set(folder / "out", ReadOptions())
    items = [item for one in source.annotations for item in one.items]
    expected = sum((expected_losses(item, to) for item in items), Counter[str]())
    expected += Counter(key for one in source.annotations if to != "scredit" for key in one.extra)

    assert {split: len(part) for split, part in after.splits.items()} == {
        split: len(part) for split, part in source.splits.items()
    }
    labels = Counter(item.class_id for item in items if item.is_label)
    labels.subtract(item.class_id for one in after.annotations for item in one.items if item.is_label)
    assert min(labels.values(), default=0) >= 0
    no_slot = {"slot_taken": labels.total()} if to == "binary" else {}
    assert to == "binary" or not labels.total()
    assert done.lost == expected + Counter(no_slot)
    printed = "\n".join(loss_lines(to, done.lost))
    assert all(f"{word} {count}" in printed for word, count in done.lost.items())

    kept = [item for item in items if item.kind == "rectangle" or to == HAS_KINDS]
    kept = [item for item in kept if not item.ignore or to in HAS_IGNORE]
    if to == "binary":
        return
    found = [item for one in in_order(after) for item in one.items]
    assert len(found) == len(kept)
    moved = {"scredit": 0.5, "voc": 0.5}.get(to, 1e-4)
    for one, other in zip(kept, found, strict=True):
        assert (one.class_id, one.ignore, one.kind) == (other.class_id, other.ignore, other.kind)
        assert np.abs(np.subtract(one.xyxy, other.xyxy)).max() <= moved + 1e-6
        if "pixel fractions" not in expected_losses(one, to):
            assert np.abs(np.subtract(one.xyxy, other.xyxy)).max() <= 0.01

    renamed = sum(
        Path(one.name).name != other.name for one, other in zip(source.annotations, in_order(after), strict=True)
    )
    told = sum(int(note.split(": ")[1].split()[0]) for note in done.notes if "pictures are renamed" in note)
    assert renamed == told


def in_order(data: DataSet) -> list[Annotation]:
    """By name in each split, as they were called before they were renamed."""
    return [one for part in data.splits.values() for one in sorted(part, key=lambda one: one.stem.removeprefix("val_"))]
