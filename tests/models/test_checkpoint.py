"""Checkpoints: whole or absent, verified, never trusted."""

import hashlib
import io
import os
import pickle
import random
import re
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections import OrderedDict
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from yolo_proc.errors import CheckpointError
from yolo_proc.models import checkpoint
from yolo_proc.models.checkpoint import (
    checkpoint_path,
    list_checkpoints,
    load,
    newest_run,
    newest_valid,
    prune,
    save,
    shipped,
)


class Colour(IntEnum):
    RED = 7


def example() -> dict[str, Any]:
    return {
        "version": 1,
        "classes": ["A", "Ö", "日"],
        "weights": OrderedDict(w=torch.arange(12.0).reshape(3, 4), empty=torch.zeros(0, 2)),
        "rng": {"state": 2**127 + 5, "bytes": bytes(range(256))},
        "nested": [(1, 2.5, None, True), {3: float("inf")}, []],
    }


def container(payload: bytes) -> bytes:
    """What an attacker can do as well as we: a header that fits its payload."""
    digest = hashlib.sha256(payload).hexdigest()
    return f"yolo_proc checkpoint 1 sha256={digest} bytes={len(payload)}\n".encode() + payload


def test_round_trip_gives_equal_values_and_types(tmp_path: Path) -> None:
    path = tmp_path / "000001.pt"
    save(path, example())
    state = load(path)
    assert state["classes"] == ["A", "Ö", "日"]
    assert state["rng"] == {"state": 2**127 + 5, "bytes": bytes(range(256))}
    assert state["nested"] == [(1, 2.5, None, True), {3: float("inf")}, []]
    assert state["nested"][0][3] is True
    assert torch.equal(state["weights"]["w"], torch.arange(12.0).reshape(3, 4))
    assert state["weights"]["empty"].shape == (0, 2)


def test_empty_state(tmp_path: Path) -> None:
    save(tmp_path / "a.pt", {})
    assert load(tmp_path / "a.pt") == {}


def test_numpy_subclasses_and_views_become_plain(tmp_path: Path) -> None:
    big = torch.zeros(1_000_000)
    weights = torch.arange(120.0).reshape(2, 3, 4, 5).to(memory_format=torch.channels_last)
    save(
        tmp_path / "a.pt",
        {
            "float": np.float64(0.1),
            "int": np.uint64(2**64 - 1),
            "array": np.arange(6, dtype=np.uint64).reshape(2, 3),
            "enum": Colour.RED,
            "view": big[:3],
            "parameter": torch.nn.Parameter(torch.ones(2)),
            "weights": weights,
        },
    )
    state = load(tmp_path / "a.pt")
    assert state["float"] == 0.1
    assert type(state["float"]) is float
    assert state["int"] == 2**64 - 1
    assert type(state["enum"]) is int
    assert np.array_equal(state["array"].numpy(), np.arange(6, dtype=np.uint64).reshape(2, 3))
    assert not state["parameter"].requires_grad
    assert type(state["parameter"]) is torch.Tensor
    assert (tmp_path / "a.pt").stat().st_size < 100_000  # not the million values behind the view
    assert torch.equal(state["weights"], weights)
    assert state["weights"].stride() == weights.stride()  # a resumed run sums in the same order


@pytest.mark.parametrize("value", [object(), {1, 2}, torch.nn.ReLU(), np.array(["text"]), Path("x")])
def test_what_no_checkpoint_can_hold_is_named_when_saved(tmp_path: Path, value: Any) -> None:
    with pytest.raises(TypeError, match=r"state\['a'\]\[1\]"):
        save(tmp_path / "a.pt", {"a": [0, value]})
    assert list(tmp_path.iterdir()) == []


def test_every_flipped_bit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    save(path, example())
    good = path.read_bytes()
    header = good.index(b"\n") + 1
    rng = random.Random(0)
    places = [8 * byte + bit for byte in range(header) for bit in range(8)]
    places += [rng.randrange(8 * header, 8 * len(good)) for _ in range(300)]
    for place in places:
        bad = bytearray(good)
        bad[place // 8] ^= 1 << place % 8
        path.write_bytes(bad)
        with pytest.raises(CheckpointError) as refused:
            load(path)
        assert "\n" not in str(refused.value)


def test_every_truncation_and_a_longer_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    save(path, example())
    good = path.read_bytes()
    for length in [*range(150), *range(150, len(good), 37), len(good) - 1]:
        path.write_bytes(good[:length])
        with pytest.raises(CheckpointError):
            load(path)
    path.write_bytes(good + b"\0")
    with pytest.raises(CheckpointError, match="damaged"):
        load(path)
    path.write_bytes(good)
    load(path)


def test_messages_say_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        load(path)
    with pytest.raises(CheckpointError, match="found a folder"):
        load(tmp_path)
    path.write_bytes(b"")
    with pytest.raises(CheckpointError, match="found an empty file"):
        load(path)
    torch.save({"a": 1}, path)
    with pytest.raises(CheckpointError, match="found other content"):
        load(path)
    save(path, example())
    path.write_bytes(path.read_bytes().replace(b"checkpoint 1 ", b"checkpoint 2 ", 1))
    with pytest.raises(CheckpointError, match="expected checkpoint format 1, found 2; use the version"):
        load(path)
    save(path, example())
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(CheckpointError, match="cut short"):
        load(path)


class Attack:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch pwned",)


@pytest.mark.parametrize("kind", ["torch", "pickle", "list", "noise"])
def test_a_payload_with_a_right_checksum_is_still_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    buffer = io.BytesIO()
    if kind == "torch":
        torch.save({"a": Attack()}, buffer)
    elif kind == "pickle":
        pickle.dump(Attack(), buffer)
    elif kind == "list":
        torch.save([1, 2], buffer)
    else:
        buffer.write(random.Random(0).randbytes(1000))
    path = tmp_path / "a.pt"
    path.write_bytes(container(buffer.getvalue()))
    with pytest.raises(CheckpointError) as refused:
        load(path)
    assert "\n" not in str(refused.value)
    assert "weights_only" not in str(refused.value)  # torch's advice is to switch the protection off
    assert not (tmp_path / "pwned").exists()


def test_names_and_order(tmp_path: Path) -> None:
    assert checkpoint_path(tmp_path, 12).name == "000012.pt"
    assert checkpoint_path(tmp_path, 12, 345).name == "000012+00345.pt"
    order = [(0, 7), (9, 0), (12, 0), (12, 345), (12, 100_000), (13, 0), (1_000_000, 0)]
    for epoch, step in random.Random(0).sample(order, len(order)):
        save(checkpoint_path(tmp_path, epoch, step), {"at": (epoch, step)})
    for other in ("best.pt", "12.pt", "000012+.pt", "000012.pth", "x000012.pt"):
        (tmp_path / other).write_bytes(b"")
    (tmp_path / ".000012.pt.tmp").write_bytes(b"")
    assert [load(path)["at"] for path in list_checkpoints(tmp_path)] == order[::-1]
    assert [checkpoint.checkpoint_position(path) for path in list_checkpoints(tmp_path)] == order[::-1]
    assert list_checkpoints(tmp_path / "missing") == []


def test_newest_valid_skips_damaged_ones_and_says_so(tmp_path: Path) -> None:
    for epoch in range(4):
        save(checkpoint_path(tmp_path, epoch), {"epoch": epoch})
    (tmp_path / "000003.pt").write_bytes(b"")
    (tmp_path / "000002.pt").write_bytes((tmp_path / "000002.pt").read_bytes()[:-1])
    path, state, notes = newest_valid(tmp_path)
    assert path.name == "000001.pt"
    assert state == {"epoch": 1}
    assert [("000003.pt" in note, "000002.pt" in note) for note in notes] == [(True, False), (False, True)]
    for damaged in tmp_path.iterdir():
        damaged.write_bytes(b"x")
    with pytest.raises(CheckpointError, match="none of its 4 checkpoints is readable"):
        newest_valid(tmp_path)
    with pytest.raises(CheckpointError, match="expected a run's folder"):
        newest_valid(tmp_path / "missing")


def test_shipped_takes_the_best_else_the_newest(tmp_path: Path) -> None:
    save(checkpoint_path(tmp_path, 1), {"epoch": 1})
    save(checkpoint_path(tmp_path, 2), {"epoch": 2})
    assert shipped(tmp_path)[0].name == "000002.pt"
    save(tmp_path / checkpoint.BEST, {"epoch": 1})
    assert shipped(tmp_path) == (tmp_path / "best.pt", {"epoch": 1}, ())
    assert shipped(tmp_path / "000002.pt")[1] == {"epoch": 2}
    (tmp_path / "best.pt").write_bytes(b"x")
    path, state, notes = shipped(tmp_path)
    assert (path.name, state) == ("000002.pt", {"epoch": 2})
    assert "best.pt" in notes[0]


def test_prune_keeps_the_newest_and_every_other_file(tmp_path: Path) -> None:
    for epoch, step in [(1, 0), (1, 5), (2, 0), (3, 0)]:
        save(checkpoint_path(tmp_path, epoch, step), {})
    save(tmp_path / "best.pt", {})
    (tmp_path / "config.toml").write_text("")
    assert sorted(path.name for path in prune(tmp_path, 2)) == ["000001+00005.pt", "000001.pt"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000002.pt", "000003.pt", "best.pt", "config.toml"]
    assert prune(tmp_path, 5) == []
    assert prune(tmp_path / "missing", 1) == []


def test_newest_run_is_the_last_written(tmp_path: Path) -> None:
    for number, name in enumerate(["b", "a", "c"]):
        save(checkpoint_path(tmp_path / name, 9 - number), {})
        os.utime(checkpoint_path(tmp_path / name, 9 - number), (100 + number, 100 + number))
    (tmp_path / "later and empty").mkdir()
    (tmp_path / "README.md").write_text("")
    assert newest_run(tmp_path).name == "c"
    os.utime(checkpoint_path(tmp_path / "a", 8), (200, 200))
    assert newest_run(tmp_path).name == "a"
    with pytest.raises(CheckpointError, match="train first"):
        newest_run(tmp_path / "missing")


def test_the_newest_run_is_known_though_the_clock_was_set_back(tmp_path: Path) -> None:
    for number, name in enumerate(["old", "a", "b", "c"]):
        save(checkpoint_path(tmp_path / name, 1), {})
        if name != "old":
            checkpoint.take_turn(tmp_path / name)
        os.utime(checkpoint_path(tmp_path / name, 1), (1000 - number, 1000 - number))
    assert newest_run(tmp_path).name == "c"
    checkpoint.take_turn(tmp_path / "a")  # resumed
    assert newest_run(tmp_path).name == "a"
    for content in (b"", b"x", b"9" * 401 + b"\n", b"-1\n"):
        (tmp_path / "a" / ".turn").write_bytes(content)
        assert newest_run(tmp_path).name == "c"
    (tmp_path / "a" / ".turn").unlink()
    (tmp_path / "a" / ".turn").mkdir()
    checkpoint.take_turn(tmp_path / "a")
    assert newest_run(tmp_path).name == "c"
    assert not list((tmp_path / "a").glob(".*.tmp"))


def test_a_checkpoint_pruned_while_the_newest_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for epoch in range(3):
        save(checkpoint_path(tmp_path / "run", epoch), {"epoch": epoch})
    read = checkpoint.load
    raced: list[int] = []

    def load_while_it_trains(path: Path) -> dict[str, Any]:
        if len(raced) < 3:  # its run saves the next checkpoint and keeps one
            raced.append(len(raced))
            save(checkpoint_path(tmp_path / "run", 3 + len(raced)), {"epoch": 3 + len(raced)})
            prune(tmp_path / "run", 1)
        return read(path)

    monkeypatch.setattr(checkpoint, "load", load_while_it_trains)
    path, state, notes = newest_valid(tmp_path / "run")
    assert (path.name, state, notes) == ("000006.pt", {"epoch": 6}, ())
    stat = Path.stat

    def gone(self: Path, **how: Any) -> os.stat_result:
        if self.suffix == ".pt":
            raise FileNotFoundError(2, "No such file or directory")
        return stat(self, **how)

    monkeypatch.setattr(Path, "stat", gone)
    assert newest_run(tmp_path).name == "run"


def test_no_other_room_takes_a_state_unchecked() -> None:
    package = Path(checkpoint.__file__).parent
    for file in package.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        calls = re.findall(r"checkpoint\.(load|newest_valid|shipped|to_resume)\(([^()]*(?:\([^()]*\))?[^()]*)\)", text)
        assert all(name != "load" and "check_" in words for name, words in calls), file


def test_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.pt"
    save(path, {"a": 1})

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(CheckpointError, match=r"cannot be written: No space left on device; make room"):
            save(path, {"a": 2})

    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", interrupted)
        with pytest.raises(KeyboardInterrupt):
            save(path, {"a": 3})
    assert load(path) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_that_takes_no_more_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    save(path, {"a": 1})
    script = """
        import resource, sys, torch
        from yolo_proc import errors
        from yolo_proc.models import checkpoint
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
        try:
            checkpoint.save(sys.argv[1], {"a": torch.zeros(100_000)})
        except errors.CheckpointError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(path)], capture_output=True, text=True, check=True
    )
    assert "cannot be written: File too large; make room" in done.stdout
    assert load(path) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_a_read_only_folder() -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "a.pt"
        save(path, {"a": 1})
        Path(name).chmod(0o555)
        root = os.geteuid() == 0
        if root:
            os.seteuid(65534)  # root may write anywhere
        try:
            with pytest.raises(CheckpointError, match="cannot be written: Permission denied"):
                save(path, {"a": 2})
        finally:
            if root:
                os.seteuid(0)
            Path(name).chmod(0o755)
        assert load(path) == {"a": 1}


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(CheckpointError, match="cannot be written"):
        save(tmp_path / "run" / "a.pt", {})


def save_until_killed(folder: Path, epoch: int, reports: int) -> None:
    """Saves, prunes and reports each whole round, as a run does."""
    torch.set_num_threads(1)  # a forked child has no thread pool
    while True:
        epoch += 1
        state = {"epoch": epoch, "w": torch.full((100_000,), float(epoch))}
        save(checkpoint_path(folder, epoch), state)
        save(folder / checkpoint.BEST, state)
        prune(folder, 2)
        os.write(reports, b"%d\n" % epoch)


@pytest.mark.slow
def test_kill_9_at_random_moments_leaves_what_was_saved(tmp_path: Path) -> None:
    # Forked, so that twenty kills cost no twenty imports of torch.
    rng = random.Random(1)
    epoch = 0
    torn = 0
    for _ in range(20):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                save_until_killed(tmp_path, epoch, writer)
            finally:
                os._exit(1)
        os.close(writer)
        with os.fdopen(reader) as lines:
            reported = int(lines.readline())  # at least one whole round
            time.sleep(rng.uniform(0, 0.02))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            reported = max([reported, *map(int, lines.read().split())])
        torn += any(path.name.endswith(".tmp") for path in tmp_path.iterdir())
        path, state, notes = newest_valid(tmp_path)
        assert notes == ()
        assert reported <= state["epoch"] <= reported + 1
        assert bool((state["w"] == state["epoch"]).all())
        assert reported <= load(tmp_path / "best.pt")["epoch"] <= reported + 1
        epoch = state["epoch"]
    assert torn > 0, "no kill fell into a save"
    save(path, {})
    assert not any(left.name.endswith(".tmp") for left in tmp_path.iterdir())
