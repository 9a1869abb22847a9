"""A lock keeps others out, in this process and in others, and ends with the process that holds it."""

import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from tiny_run import STEPS_PER_EPOCH, run_tiny, tiny_config

from yolo_proc.errors import DataError, UserError
from yolo_proc.system.locking import locked
from yolo_proc.training.events import Step, Stopped
from yolo_proc.training.trainer import Trainer

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def test_the_second_is_refused_and_told_who_has_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_text("a line of somebody who has ended long ago\n")
    with locked(path, tmp_path, "trains this run"):
        assert path.read_text() == f"{os.getpid()}\n"
        with pytest.raises(UserError, match=rf"^{tmp_path}: process {os.getpid()} trains this run; wait until"):
            locked(path, tmp_path, "trains this run").__enter__()
        path.write_text("")  # as if the other one had not come to say who it is
        with pytest.raises(UserError, match="another process trains"):
            locked(path, tmp_path, "trains this run").__enter__()
    with locked(path, tmp_path, "trains this run"), locked(tmp_path / "other", tmp_path, "trains this run"):
        pass


def test_an_error_inside_lets_go(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="inside"), locked(tmp_path / "lock", tmp_path, "works"):
        raise ValueError("inside")
    with locked(tmp_path / "lock", tmp_path, "works"):
        pass


def test_a_killed_process_lets_go_though_its_children_live(tmp_path: Path) -> None:
    code = (
        "import os, sys, time\n"
        "from pathlib import Path\n"
        "from yolo_proc.system.locking import locked\n"
        "with locked(Path(sys.argv[1]), Path('a'), 'works'):\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        print(os.getpid(), flush=True)\n"  # it has let go: what a fork registers runs before this
        "        time.sleep(60)\n"
        "        os._exit(0)\n"
        "    time.sleep(60)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as holder:
        assert holder.stdout is not None
        child = int(holder.stdout.readline())
        try:
            with pytest.raises(UserError, match=f"process {holder.pid} works"):
                locked(tmp_path / "lock", tmp_path, "works").__enter__()
            holder.kill()
            holder.wait(10)
            os.kill(child, 0)  # it lives
            with locked(tmp_path / "lock", tmp_path, "works"):
                pass
        finally:
            holder.kill()
            os.kill(child, signal.SIGKILL)


def test_where_there_are_no_locks_nobody_is_kept_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: int) -> None:
        raise OSError(95, "Operation not supported")

    with monkeypatch.context() as patched:
        patched.setattr("fcntl.flock", refuse)
        with locked(tmp_path / "lock", tmp_path, "works"), locked(tmp_path / "lock", tmp_path, "works"):
            pass


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a/lock: cannot be written: No such file"):
        locked(tmp_path / "a" / "lock", tmp_path, "works").__enter__()


# ------------------------------------------------------------------------------------------------ a run


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


def test_a_run_that_is_trained_is_not_resumed_beside_it(tmp_path: Path) -> None:
    run_tiny(tiny_config(tmp_path, epochs=1))
    folder = tmp_path / "tiny"
    before = {path: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}
    going_on = tiny_config(tmp_path, epochs=2)
    with ExitStack() as held:
        events = Trainer(going_on, folder).run()
        held.callback(events.close)  # type: ignore[attr-defined]
        while not isinstance(next(events), Step):
            pass
        for place in ("tiny", str(folder), str(folder / "000001.pt")):
            command = [sys.executable, "-m", "yolo_proc", "train", "--resume", place, "--runs-dir", str(tmp_path)]
            second = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
            assert second.returncode == 2
            assert second.stderr.count("\n") == 1, second.stderr
            assert f"{folder}: process {os.getpid()} trains this run" in second.stderr
        with pytest.raises(UserError, match="trains this run"):
            next(Trainer(going_on, folder).run())
        changed = [path.name for path, content in before.items() if path.read_bytes() != content]
        assert set(changed) <= {"config.toml", "steps.csv", ".turn"}  # by the first one
    assert sum(isinstance(event, Step) for event in run_tiny(going_on, folder)) == STEPS_PER_EPOCH


def test_a_new_run_keeps_others_out_before_it_has_a_checkpoint(tmp_path: Path) -> None:
    first = Trainer(tiny_config(tmp_path)).run()
    next(first)
    with pytest.raises(UserError, match="trains this run"):
        next(Trainer(tiny_config(tmp_path)).run())
    first.close()  # type: ignore[attr-defined]
    assert isinstance(run_tiny(tiny_config(tmp_path, epochs=1))[-1], Stopped)
