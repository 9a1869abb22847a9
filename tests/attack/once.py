"""What is done once for a state of the code: the malicious files and the kills. Results are kept as they come."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Once:
    """One thing that was tried.

    Attributes:
        group: a line of the table: "malicious pictures", "killed generate".
        held: whether nothing happened that must not.
        told: what did, or the line that the user saw.
        seconds: of processor time; mib: of memory, at most.
    """

    group: str
    name: str
    held: bool
    told: str
    seconds: float = 0.0
    mib: float = 0.0


Trial = Callable[[], Sequence[Once]]


def done_once(folder: Path, workers: int, kills: int) -> list[Once]:
    """The results of all trials; those that are not in the folder yet are made now.

    Args:
        kills: of each command, at most.
    """
    from attack.kills import kill_trials
    from attack.malicious import malicious_trials

    path = folder / "once.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    known = dict(json.loads(line) for line in lines if line.endswith("]]"))
    trials = {**malicious_trials(), **{f"{name}, {kills}": trial for name, trial in kill_trials(kills).items()}}
    missing = {name: trial for name, trial in trials.items() if name not in known}
    with path.open("a", encoding="utf-8") as file:
        for name, made in _made(missing, workers):
            known[name] = [asdict(one) for one in made]
            file.write(json.dumps([name, known[name]]) + "\n")
            file.flush()
    return [Once(**one) for name in trials for one in known[name]]


def _made(trials: Mapping[str, Trial], workers: int) -> Iterator[tuple[str, Sequence[Once]]]:
    """The results, in the order in which they come; the longest are begun first."""
    from tqdm import tqdm

    pool = ThreadPoolExecutor(workers)
    try:
        made = {pool.submit(trial): name for name, trial in reversed(trials.items())}
        for done in tqdm(
            as_completed(made), total=len(made), unit=" trials", leave=False, disable=not sys.stderr.isatty()
        ):
            yield made[done], done.result()
    finally:
        pool.shutdown(cancel_futures=True)
