"""What an attack found, as a table on the screen and as docs/attack.md."""

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from attack.campaign import Campaign, Progress
from attack.catalogue import target_named
from attack.engine import ACCEPTED, FINDING, REFUSED
from attack.once import Once

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs" / "attack.md"
WHOLE_RUN = 1_000_000  # inputs of a run that is written to the docs


def table_lines(campaign: Campaign) -> list[str]:
    """A line for each reader."""
    heads = ("reader", "inputs", "accepted", "refused", "other", "findings", "inputs/s")
    rows = [heads, *((name, *figures(found)) for name, found in campaign.progress.items())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    return ["  ".join(map(_padded, row, widths, range(len(heads)))) for row in rows]


def _padded(cell: str, width: int, column: int) -> str:
    return cell.rjust(width) if column else cell.ljust(width)


def figures(found: Progress) -> tuple[str, ...]:
    """Inputs, accepted, refused, accepted as something else, findings, inputs a second."""
    counts = found.counts
    other = found.inputs - counts[ACCEPTED] - counts[REFUSED] - counts[FINDING]
    speed = f"{found.inputs / found.seconds:,.0f}" if found.seconds else ""
    return (*(f"{n:,}" for n in (found.inputs, counts[ACCEPTED], counts[REFUSED], other, counts[FINDING])), speed)


def findings_lines(campaign: Campaign, once: Sequence[Once]) -> Iterator[str]:
    """A line for each cause of a finding, with the addresses of the first inputs."""
    for name, found in campaign.progress.items():
        for signature, (times, indices) in sorted(found.findings.items(), key=lambda one: -one[1][0]):
            addresses = ", ".join(f"{name}:{campaign.seed}:{index}" for index in indices)
            yield f"{name}: {times:,} x {signature}; {addresses}"
    for one in once:
        if not one.held:
            yield f"{one.group}: {one.name}: {one.told}"
    yield f"findings and their files: {campaign.findings}"


def write_docs(campaign: Campaign, once: Sequence[Once], wanted: int | None) -> Path:
    """Writes what there is; to docs where it is of committed code and of a whole run."""
    commit, committed = _commit()
    done = sum(found.inputs for found in campaign.progress.values())
    whole = committed and wanted is not None and wanted >= WHOLE_RUN and done >= wanted
    path = DOCS if whole else campaign.folder / "attack.md"
    path.write_text("\n".join(docs_lines(campaign, once, commit, committed)) + "\n", encoding="utf-8")
    return path


def _commit() -> tuple[str, bool]:
    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=ROOT, check=False, capture_output=True, text=True)
        return done.stdout.strip()

    return git("rev-parse", "--short=12", "HEAD"), not git(
        "status", "--porcelain", "--", "yolo_proc", "tests", "export"
    )


def docs_lines(campaign: Campaign, once: Sequence[Once], commit: str, committed: bool) -> Iterator[str]:
    """docs/attack.md."""
    plain = {name: found for name, found in campaign.progress.items() if target_named(name).group != "flips"}
    flips = {name: found for name, found in campaign.progress.items() if name not in plain}
    total = sum(found.inputs for found in campaign.progress.values())
    findings = sum(found.counts[FINDING] for found in campaign.progress.values())
    yield "# What was thrown at the readers"
    yield ""
    state = "" if committed else " with changes that are not committed"
    yield f"Commit {commit}{state}; {total:,} inputs, seed {campaign.seed}, {findings:,} findings."
    yield "Made by `make attack`."
    yield ""
    yield "A reader may return, or raise a `UserError` of one printable line. Another exception, a line of a library on"
    yield "the screen, a warning, a hang, a crash, 5 s of processor time, 700 MiB for one input, or a result that is"
    yield "not sound is a finding. An input is a valid one with one to four damages, a function of (reader, seed,"
    yield 'number): `make attack ARGS="--replay READER:SEED:NUMBER"` makes it again.'
    yield ""
    yield "| reader | what | inputs | accepted | refused | read as something else | findings | inputs/s |"
    yield "|---|---|---|---|---|---|---|---|"
    for name, found in plain.items():
        yield f"| {name} | {target_named(name).about} | {' | '.join(figures(found))} |"
    yield from _flip_lines(flips)
    yield from _once_lines(once)
    yield ""
    yield "## Findings"
    yield ""
    lines = list(findings_lines(campaign, once))[:-1]
    yield from [f"- {line}".replace("|", "/") for line in lines] or ["None."]


def _flip_lines(flips: Mapping[str, Progress]) -> Iterator[str]:
    yield from ("", "## Single bits and truncations of our own files", "")
    yield "Read as it was: the damage is where nothing depends on it. Read as something else: other values, or outputs"
    yield "off by more than 1e-3, and no word."
    yield ""
    yield "| file | damages | read as it was | refused | read as something else | findings |"
    yield "|---|---|---|---|---|---|"
    for name, found in flips.items():
        yield f"| {target_named(name).about} | {' | '.join(figures(found)[:-1])} |"


def _once_lines(once: Sequence[Once]) -> Iterator[str]:
    groups: dict[str, list[Once]] = {}
    for one in once:
        groups.setdefault(one.group, []).append(one)
    yield from ("", "## Malicious files and kills", "")
    yield "Each malicious file is given to the command line once: one line, exit code 2, nothing written outside,"
    yield "nothing run. Each command is killed before operations on files, then run again: all is as if nothing had"
    yield "happened."
    yield ""
    yield "| what | tried | held | most seconds | most MiB |"
    yield "|---|---|---|---|---|"
    for group, ones in groups.items():
        most = max(one.seconds for one in ones), max(one.mib for one in ones)
        yield f"| {group} | {len(ones)} | {sum(one.held for one in ones)} | {most[0]:.1f} | {most[1]:.0f} |"
