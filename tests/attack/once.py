"""What is done once for a state of the code: the malicious files and the kills. Results are kept as they come."""

import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
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


Trial = Callable[[], Once]


def done_once(folder: Path, workers: int) -> list[Once]:
    """The results of all trials; those that are not in the folder yet are made now."""
    from attack.kills import kill_trials
    from attack.malicious import malicious_trials

    path = folder / "once.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    known = {one.name: one for one in (Once(**json.loads(line)) for line in lines if line.endswith("}"))}
    trials = {**malicious_trials(), **kill_trials()}
    missing = {name: trial for name, trial in trials.items() if name not in known}
    with path.open("a", encoding="utf-8") as file:
        for one in _made(missing, workers):
            known[one.name] = one
            file.write(json.dumps(asdict(one)) + "\n")
            file.flush()
    return [known[name] for name in trials]


def _made(trials: Mapping[str, Trial], workers: int) -> Iterator[Once]:
    from tqdm import tqdm

    with ThreadPoolExecutor(workers) as pool:
        yield from tqdm(
            pool.map(lambda trial: trial(), trials.values()), total=len(trials), unit=" trials", leave=False
        )
