"""The command line of the attack: see `__main__.py`."""

import argparse
import hashlib
import shutil
import sys
import tempfile
import time
from pathlib import Path

from attack.campaign import Campaign
from attack.catalogue import target_named, target_names
from attack.engine import FINDING, Judge
from attack.kills import MOST
from attack.report import findings_lines, table_lines, write_docs
from attack.trees import Room, put_tree
from attack.worker import memory_folder

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "attack"
CODE = ("yolo_proc/**/*.py", "generators/*.py", "tests/attack/*.py", "export/java/core/src/main/**/*.java")
MINUTES = 5.0


def code_digest(root: Path = ROOT) -> str:
    """Of all that an outcome depends on in this repository."""
    digest = hashlib.sha256()
    for path in sorted(path for pattern in CODE for path in root.glob(pattern)):
        digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def main(about: str) -> int:
    """Runs what is missing; 1 where there are findings."""
    parser = argparse.ArgumentParser(
        "make attack", description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--inputs", type=int, help="in all, as many for each reader; none: as the time allows")
    parser.add_argument("--minutes", type=float, help=f"at most; default {MINUTES:g}, with --inputs no end")
    parser.add_argument("--only", help="names of readers with commas between; neither malicious files nor kills")
    parser.add_argument("--seed", type=int, default=0, help="of the inputs")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--out", type=Path, default=BUILD, help="folder of what is done")
    parser.add_argument("--replay", metavar="READER:SEED:INDEX", help="one input again")
    parser.add_argument("--kills", type=int, default=MOST, help="of each command that writes, at most")
    parser.add_argument("--list", action="store_true", help="names of the readers")
    flags = parser.parse_args()
    if flags.list:
        print("\n".join(f"{name:20}{target_named(name).about}" for name in target_names()))
        return 0
    if flags.replay:
        return replay(flags.replay, flags.out)
    names = flags.only.split(",") if flags.only else list(target_names())
    unknown = [name for name in names if name not in target_names()]
    if unknown:
        parser.error(f"--only: no such reader {unknown[0]}; --list names them")
    minutes = flags.minutes or (float("inf") if flags.inputs else MINUTES)
    return _attack(flags, names, minutes)


def _attack(flags: argparse.Namespace, names: list[str], minutes: float) -> int:
    end = time.monotonic() + 60 * minutes
    campaign = Campaign(flags.out / f"{code_digest()}-{flags.seed}", names, flags.seed)
    once = []
    if not flags.only:
        from attack import once as room

        once = room.done_once(campaign.folder, flags.workers, flags.kills)
    each = -(-flags.inputs // len(names)) if flags.inputs else None
    bar = _Bar(campaign, flags.inputs)
    try:
        campaign.run(
            workers=flags.workers, inputs=each, seconds=max(30 * minutes, end - time.monotonic()), on_report=bar.show
        )
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on")
    bar.close()
    print("\n".join([*table_lines(campaign), "", *findings_lines(campaign, once)]))
    if not flags.only:
        print(write_docs(campaign, once, flags.inputs))
    found = any(progress.findings for progress in campaign.progress.values()) or any(not one.held for one in once)
    return 1 if found else 0


class _Bar:
    """How far a campaign is, on stderr, once in a while."""

    def __init__(self, campaign: Campaign, inputs: int | None) -> None:
        from tqdm import tqdm

        self._campaign = campaign
        self._bar = tqdm(
            total=inputs, initial=self._done(), unit=" inputs", mininterval=2.0, disable=not sys.stderr.isatty()
        )

    def _done(self) -> int:
        return sum(progress.inputs for progress in self._campaign.progress.values())

    def show(self) -> None:
        self._bar.update(self._done() - self._bar.n)

    def close(self) -> None:
        self._bar.close()


def replay(address: str, out: Path) -> int:
    """Gives one input again and shows what was done to it and what came of it; its files stay in a folder."""
    name, seed, index = address.rsplit(":", 2)
    target = target_named(name)
    place = Path(tempfile.mkdtemp(prefix="attack-", dir=memory_folder()))
    try:
        (place / "prepared").mkdir()
        target.seeds = list(target.prepare(place / "prepared"))
        given = target.input(int(seed), int(index))
        kept = out / "replay" / f"{name}-{seed}-{index}"
        shutil.rmtree(kept, ignore_errors=True)
        put_tree(kept, given.tree)
        judge = Judge(target, Room(place))
        with judge.listening():
            outcome = judge.judge(given.tree)
    finally:
        target.close()
        shutil.rmtree(place, ignore_errors=True)
    text = "\n".join(
        [address, *given.steps, *target.told(given.tree), "", outcome.kind, outcome.signature, outcome.text]
    )
    print(text.encode("utf-8", "backslashreplace").decode())
    print(f"files: {kept}")
    return 1 if outcome.kind == FINDING else 0
