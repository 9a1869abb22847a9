"""A checkpoint with a right digest and wrong fields: one line, whatever is wrong, and nothing large is built."""

import copy
import io
import math
import random
import resource
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from test_checkpoint import container
from tiny_run import run_tiny, tiny_config

from yolo_proc.config.schema import Config, OptimConfig
from yolo_proc.data.run_config import resumed_config
from yolo_proc.errors import CheckpointError, YoloProcError
from yolo_proc.evaluation.predict import Detector
from yolo_proc.models import checkpoint
from yolo_proc.models.archives import ArchiveError, check_archive
from yolo_proc.models.fields import MODEL, TASK_FIELDS, TRAINING, check_state, check_training
from yolo_proc.training.trainer import Trainer

pytestmark = pytest.mark.slow

HUGE = 10**400
WRONG: list[Any] = [
    None, True, -1, 0, 7, HUGE, 10**5000, 10**6, 1.5, math.nan, math.inf, -math.inf, "", "text", "\x1b[2J", "9" * 401,
    b"", [], [0], [[]], [HUGE], (), {}, {"a": 1}, {1: 2}, {"a": torch.zeros(2)}, torch.zeros(()), torch.zeros(3),
    torch.zeros(1).expand(10**9), torch.zeros(0, dtype=torch.uint8), torch.full((5056,), 255, dtype=torch.uint8),
]  # fmt: skip


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The state of a run inside its last epoch, with a decay."""
    torch.set_num_threads(1)
    runs = tmp_path_factory.mktemp("runs")
    run_tiny(tiny_config(runs), stop_after=10)
    return checkpoint.load(runs / "tiny" / "000002+00002.pt")


def places(value: Any, depth: int = 3) -> Iterator[tuple[Any, ...]]:
    """The way to every value inside of a state, a few of each long list or table."""
    if depth == 0:
        return
    keys = (
        list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list | tuple) else []
    )
    for key in keys if depth == 3 or len(keys) < 12 else keys[:2]:
        yield (key,)
        yield from ((key, *rest) for rest in places(value[key], depth - 1))


def changed(state: Any, place: tuple[Any, ...], change: Callable[[Any, Any], None]) -> Any:
    """A copy of a state with one value changed; tuples on the way become lists."""
    key, *rest = place
    state = list(state) if isinstance(state, tuple) else copy.copy(state)
    if rest:
        state[key] = changed(state[key], tuple(rest), change)
    else:
        change(state, key)
    return state


def outcome(work: Callable[[], object]) -> str:
    """What was said; an error that is not ours goes through."""
    said = ""
    try:
        work()
    except YoloProcError as error:
        said = str(error)
    assert "\n" not in said
    assert len(said) < 1500
    return said


def write(path: Path, state: Any) -> None:
    """A checkpoint with a right digest, its values as they are: `checkpoint.save` would make them plain."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(container(buffer.getvalue()))


def resume(path: Path, config: Config | None = None) -> None:
    """Goes on from a checkpoint until its first event and a step."""
    trainer = Trainer(config or tiny_config(path.parent.parent, run=path.parent.name, epochs=4), path)
    events = trainer.run()
    for _ in range(3):
        next(events)
    events.close()  # type: ignore[attr-defined]


def test_a_state_of_ours_passes(saved: dict[str, Any]) -> None:
    check_state(saved)
    check_training(saved)
    declared = {*MODEL, *TRAINING, *TASK_FIELDS["detection"], "window"}
    assert set(saved) - declared == {"version", "task", "images"}, "a field that nobody checks"


def test_what_older_releases_did_not_write_may_be_missing(saved: dict[str, Any], tmp_path: Path) -> None:
    state = {name: value for name, value in saved.items() if name not in ("own_shape", "started_in")}
    write(tmp_path / "tiny" / "000002+00002.pt", state)
    resume(tmp_path / "tiny" / "000002+00002.pt")
    few = {name: saved[name] for name in ("version", "task", "classes", "model", "grids", "weights")}
    write(tmp_path / "few.pt", few)
    assert Detector.load(tmp_path / "few.pt", device="cpu").classes == tuple(saved["classes"])


@pytest.mark.parametrize("field", sorted({*MODEL, *TRAINING, "version", "task"}))
def test_a_field_that_is_missing_is_named(saved: dict[str, Any], tmp_path: Path, field: str) -> None:
    state = {name: value for name, value in saved.items() if name != field}
    path = tmp_path / "tiny" / "000002+00002.pt"
    write(path, state)
    said = outcome(lambda: resume(path))
    if field in ("image_size", "own_shape", "started_in"):
        assert said == ""
    else:
        assert field in said
        assert str(path) in said


def mutations(state: dict[str, Any], each: int, seed: int) -> Iterator[tuple[tuple[Any, ...], Any, dict[str, Any]]]:
    """Place, value and state for every place in a state with `each` of the wrong values."""
    rng = random.Random(seed)
    for place in places(state):
        for value in rng.sample(WRONG, each):

            def put(holder: Any, key: Any, value: Any = value) -> None:
                holder[key] = value

            yield place, value, changed(state, place, put)


def test_wrong_values_anywhere_are_told_in_a_line(saved: dict[str, Any], tmp_path: Path) -> None:
    """Every field and value inside of it with three of the wrong values each; what passes is used."""
    path = tmp_path / "tiny" / "000002+00002.pt"
    passed = 0
    for number, (_, _, state) in enumerate(mutations(saved, 3, seed=0)):
        if outcome(partial(check_training, state)) == "" or number % 50 == 0:
            passed += 1
            write(path, state)
            outcome(lambda: resume(path))
            outcome(lambda: Detector.load(path, device="cpu"))
    assert passed > 30, "the check refuses all, and what comes after it was not tried"


def test_a_large_network_of_few_bytes_is_not_built(saved: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "tiny" / "000002+00002.pt"
    for model in ({"width": 8.0, "depth": 32}, {"width": 8.0}, {"depth": 32}):
        state = copy.copy(saved)
        state["model"] = {**saved["model"], **model}
        config = resumed_config(saved["config"], path, {})
        config = replace(config, model=replace(config.model, **model))
        state["config"] = {**saved["config"], **{f"model.{name}": value for name, value in model.items()}}
        write(path, state)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for work in (lambda: Detector.load(path), partial(resume, path, config)):
            assert str(path) in outcome(work)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB
    with pytest.raises(CheckpointError, match=r"model\.depth: expected a number from 0 to 32, found 1000000"):
        check_state({**saved, "model": {**saved["model"], "depth": 10**6}})
    grid = {**saved["grids"][0], "columns": 8192, "rows": 8192, "stride": 1}
    with pytest.raises(CheckpointError, match="grids: expected at most 8388608 slots, found 67108864"):
        check_state({**saved, "grids": [grid]})


@pytest.mark.parametrize("name", ["adamw", "sgd", "muon"])
def test_an_optimizer_of_a_file_is_compared_with_the_runs(tmp_path: Path, name: str) -> None:
    config = tiny_config(tmp_path, optim=OptimConfig(name=name, warmup_steps=2, decay_steps=2))
    run_tiny(config, stop_after=6)
    path = tmp_path / "tiny" / "000001+00002.pt"
    state = checkpoint.load(path)
    kept = state["optimizer"]["state"]

    def told(optimizer: dict[str, Any]) -> str:
        write(path, {**state, "optimizer": optimizer})
        return outcome(lambda: next(Trainer(config, path).run()))

    groups = state["optimizer"]["param_groups"]
    some = next(iter(kept[0]))
    shared = torch.zeros(1).expand(kept[0][some].shape) if kept[0][some].ndim else torch.zeros(())
    assert told({"state": {**kept, 0: {**kept[0], some: shared}}, "param_groups": groups}) == ""
    wrong = [
        ({**kept, 0: {**kept[0], some: torch.zeros(2, 2)}}, groups),
        ({**kept, 0: {**kept[0], "more": 1}}, groups),
        ({**kept, 0: []}, groups),
        ({**kept, 10**400: {}}, groups),
        ({**kept, "a": {}}, groups),
        (kept, groups[:-1]),
        (kept, [{**groups[0], "params": [0]}, *groups[1:]]),
        (kept, [{**groups[0], "lr": HUGE}, *groups[1:]]),
        (kept, [{**groups[0], "weight_decay": math.nan}, *groups[1:]]),
    ]
    for number, (one, many) in enumerate(wrong):
        assert f"{path}: optimizer: " in told({"state": one, "param_groups": many}), number
    for params in (None, False, 3, "ab", {}, [0, True], [0, "1"], [-1], [0, torch.zeros(2)], [0, 10**400]):
        group = {**groups[0], "params": params}
        assert f"{path}: optimizer.param_groups[0].params" in told(
            {"state": kept, "param_groups": [group, *groups[1:]]}
        ), params
    assert "optimizer.param_groups[0].params: expected a value" in told({"state": kept, "param_groups": [{}]})


# ------------------------------------------------------------------------------------------- the archive


def repacked(state: Any, change: Callable[[str, bytes], bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """An archive with its parts changed."""
    buffer, out = io.BytesIO(), io.BytesIO()
    torch.save(state, buffer)
    with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(out, "w", compression) as target:
        for part in source.infolist():
            target.writestr(part.filename, change(part.filename, source.read(part)))
    return out.getvalue()


def test_what_inflates_is_refused_before_torch_sees_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("torch was given it"))
    for content, words in (
        (repacked({"a": torch.zeros(1_000_000)}, lambda _, part: part, zipfile.ZIP_DEFLATED), "a compressed"),
        (crafted(b"\x80\x02cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R."), "'builtins.bytearray'"),
        (crafted(b"\x80\x02cposix\nsystem\nX\x04\x00\x00\x00trueq\x00\x85R."), "'posix.system'"),
        (crafted(b"\x80\x04\x8c\x05posix\x8c\x06system\x93."), "which plain values do not need"),
        (crafted(b"\x80\x02ccollections\nOrderedDict\n)R}b."), "a pickle with BUILD"),
        (crafted(b"(((("), "no archive of plain values"),
        (b"PK\x05\x06" + bytes(18), "other bytes before the archive"),
        (b"\x80\x02.", "no archive of plain values (BadZipFile)"),
    ):
        path = tmp_path / "a.pt"
        path.write_bytes(container(content))
        with pytest.raises(CheckpointError, match=r"expected plain values and tensors only, found") as refused:
            checkpoint.load(path)
        assert words in str(refused.value)
        assert "weights_only" not in str(refused.value)


def crafted(pickle: bytes) -> bytes:
    return repacked({}, lambda name, part: pickle if name.endswith("data.pkl") else part)


def test_parts_that_lie_over_each_other_are_refused() -> None:
    content = bytearray(repacked({"a": torch.zeros(10_000)}, lambda _, part: part))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        part = next(part for part in archive.infolist() if part.filename.endswith("data/0"))
    # In the central directory every small part claims the size of the large one.
    for name in (b"/version", b"/byteorder", b"/.format_version"):
        at = content.rindex(name)
        start = content.rindex(b"PK\x01\x02", 0, at)
        for offset in (20, 24):
            content[start + offset : start + offset + 4] = part.file_size.to_bytes(4, "little")
    with pytest.raises(ArchiveError, match=r"parts of \d+ bytes in a file of \d+"):
        check_archive(bytes(content))
