"""Commands that write, killed before any operation on files, and run again: nothing is lost, nothing is half.

Run by hand: python tests/attack --kills generate-yolo 40        one command, so many kills at most; a line of JSON each
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

from attack.once import Once, Trial

MOST = 24  # kills of a command by default; hundreds are possible
LEFT = (".tmp", ".part")  # what unfinished files are called

Tree = Mapping[str, bytes]


@dataclass(frozen=True)
class Command:
    """A command that is killed.

    Attributes:
        begin: makes what it needs, and what is there before, in a folder.
        work: the command; what it writes lies in `out` of the folder.
        wrong: what is wrong with what is there after the kill; told of the trees of before and of an undisturbed run.
        again: what a user does next; the output is then that of an undisturbed run.
        look: what is compared of the output.
    """

    begin: Callable[[Path], None]
    work: Callable[[Path], object]
    wrong: Callable[[Tree, Tree, Tree], str]
    again: Callable[[Path], object]
    look: Callable[[Path], Tree]


def kill_trials(most: int = MOST) -> dict[str, Trial]:
    """A trial for each command, in a process of its own: it forks."""
    return {f"kills of {name}": partial(_in_process, name, most) for name in COMMANDS}


def _in_process(name: str, most: int) -> list[Once]:
    words = [sys.executable, str(Path(__file__).parent), "--kills", name, str(most)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        return [Once(f"kills of {name}", f"{name}: all", False, done.stderr[-600:])]
    return [Once(**json.loads(line)) for line in lines]


def main(name: str, most: int) -> int:
    """Kills one command; prints a line for each kill."""
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="kills-") as place:
        for one in killed(name, Path(place), most):
            print(json.dumps(asdict(one)), flush=True)
    return 0


def killed(name: str, place: Path, most: int) -> Iterator[Once]:
    """Kills a command at up to so many of its operations, evenly."""
    from kill_points import killed_at, operations

    command = COMMANDS[name]
    here = place / "here"
    _fresh(command, here)
    command.work(here)
    expected = command.look(here / "out")
    _fresh(command, here)
    work = partial(command.work, here)
    found = operations(work, here)
    assert found, f"{name} wrote nothing"
    for number in sorted({round(at * (len(found) - 1) / max(1, most - 1)) for at in range(most)}):
        began = time.process_time()
        _fresh(command, here)
        before = command.look(here / "out")
        wrong = []
        if not killed_at(work, here, number, torn=number % 2 == 1):
            wrong.append("it ended before")
        left = command.wrong(before, expected, command.look(here / "out"))
        if left:
            wrong.append(f"after the kill: {left}")
        command.again(here)
        differ = _difference(expected, command.look(here / "out"))
        if differ:
            wrong.append(f"after it was run again: {differ}")
        told = "; ".join(wrong) or found[number]
        spent = time.process_time() - began
        yield Once(
            f"kills of {name}", f"{name}, before {number} of {len(found)}: {found[number]}", not wrong, told, spent
        )


def _fresh(command: Command, place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    command.begin(place)


def tree(root: Path) -> dict[str, bytes]:
    """The files of a folder with their bytes: not locks, which stay, and not what was measured while it was written."""
    found = {}
    for path in root.rglob("*"):
        hidden = path.name.startswith(".") and not path.name.endswith(LEFT)
        if path.is_file() and not hidden and path.name not in ("lock", "README.md"):
            found[path.relative_to(root).as_posix()] = path.read_bytes()
    return found


def _difference(expected: Tree, found: Tree) -> str:
    """The first file that differs."""
    return next((name for name in sorted({*expected, *found}) if expected.get(name) != found.get(name)), "")


def _no_halves(_before: Tree, expected: Tree, found: Tree) -> str:
    """Every file with a final name is whole; the one that says whether the set is complete may say that it is not."""
    for name, content in found.items():
        if name in expected and content != expected[name] and name != "yolo_proc.json":
            return f"{name} is another"
        if name not in expected and not name.endswith(LEFT) and not name.startswith("."):
            return f"{name} is there"
    if found.get("yolo_proc.json") == expected["yolo_proc.json"] and any(name not in found for name in expected):
        return "it says that it is complete, and is not"
    return ""


def _one_or_other(before: Tree, expected: Tree, found: Tree) -> str:
    """The whole of the earlier one, or the whole of the new one."""
    differ = [_difference(one, found) for one in (before, expected)]
    return "" if not all(differ) else f"neither the old nor the new one: {differ[0]}, {differ[1]}"


def _main(words: Sequence[str], codes: Sequence[int] = (0,)) -> int:
    """The command line, silently."""
    from yolo_proc.cli.main import main as command

    said = StringIO()
    with redirect_stderr(said), redirect_stdout(StringIO()):
        code = command(words)
    assert code in codes, f"exit code {code}: {said.getvalue()}"
    return code


# ---------------------------------------------------------------------------------------------------- commands


def _generate(format_name: str, place: Path) -> None:
    words = ["generate", "--generator", "shapes", "--image-size", "64", "--count", "20", "--split", "0.5"]
    words += ["--format", format_name, "--workers", "0", "--out", str(place / "out")]
    _main([*words, *(["--binary.stride", "32"] if format_name == "binary" else [])])


def _source(place: Path) -> None:
    from tiny_sets import write_set

    from attack.targets_sets import CLASSES, some_annotations

    (place / "in").mkdir()
    write_set(place / "in", "yolo", some_annotations(), CLASSES)


def _convert(format_name: str, place: Path) -> None:
    _main(["convert", str(place / "in"), "--to", format_name, "--out", str(place / "out")])


def _convert_again(format_name: str, place: Path) -> None:
    """What the user is told to do: another folder, or this one empty."""
    words = ["convert", str(place / "in"), "--to", format_name, "--out", str(place / "out")]
    if _main(words, (0, 2)) == 2:
        shutil.rmtree(place / "out")
        _main(words)


def _two_checkpoints(place: Path) -> None:
    """One that was exported, and one that is to be."""
    from tiny_export import network, tiny_checkpoint

    for number in range(2):
        # Beside each other, so that what the exports say of them differs in nothing else.
        tiny_checkpoint(place / f"{number}.pt", network(seed=number), config=_config())
    _export(place, 0)


def _config() -> dict[str, object]:
    from tiny_run import tiny_config

    from yolo_proc.config.values import config_values

    return config_values(tiny_config(Path("runs")))


def _export(place: Path, number: int = 1) -> None:
    checkpoint = str(place / f"{number}.pt")
    _main(
        ["export", "--checkpoint", checkpoint, "--images", "200", "--threads", "1", "--out", str(place / "out")], (0, 1)
    )


def _train(place: Path) -> None:
    from tiny_run import run_tiny, tiny_config

    from yolo_proc.models import checkpoint

    config = tiny_config(place, run="out", epochs=2, keep=1, save_minutes=1e-9)
    run_tiny(config, place / "out" if checkpoint.list_checkpoints(place / "out") else None)


def _nothing(_place: Path) -> None:
    pass


def _run_of(root: Path) -> Tree:
    """What a run is: its newest state and its table. The bytes of a checkpoint also say which of its texts are one."""
    from yolo_proc.models import checkpoint

    if not checkpoint.list_checkpoints(root):
        return {}
    left = {path.name: b"" for path in root.iterdir() if path.name.endswith(LEFT)}
    table = root / "metrics.csv"
    state = _said(checkpoint.newest_valid(root)[1])
    return {"state": state.encode(), "metrics.csv": table.read_bytes() if table.exists() else b"", **left}


def _said(value: Any) -> str:
    """A state as text, bit for bit."""
    import torch

    if isinstance(value, torch.Tensor):
        return f"{value.dtype} {tuple(value.shape)} {value.numpy(force=True).tobytes().hex()}"
    if isinstance(value, dict):
        return "".join(f"{key!r}: {_said(inner)}\n" for key, inner in value.items())
    return "".join(map(_said, value)) if isinstance(value, list | tuple) else f"{value!r},"


COMMANDS: dict[str, Command] = {
    **{
        f"generate-{name}": Command(_nothing, partial(_generate, name), _no_halves, partial(_generate, name), tree)
        for name in ("yolo", "coco", "binary")
    },
    **{
        f"convert-{name}": Command(_source, partial(_convert, name), _no_halves, partial(_convert_again, name), tree)
        for name in ("coco", "scredit")
    },
    "export": Command(_two_checkpoints, _export, _one_or_other, _export, tree),
    "train": Command(_nothing, _train, lambda before, expected, found: "", _train, _run_of),
}
