"""The attack: what it must find, an address is one input, nothing is read twice or left out; and a little of it."""

import re
import shutil
import time
from pathlib import Path

import pytest
import torch
from attack import malicious
from attack.campaign import Campaign, Progress
from attack.catalogue import target_named, target_names
from attack.engine import ACCEPTED, FINDING, REFUSED, Input, Judge, attacked
from attack.malicious import Malicious, malicious_trials
from attack.mutate_formats import damage_file
from attack.planted import BUGS, PlantedTarget
from attack.report import docs_lines, table_lines
from attack.trees import Room, Special, damage_tree, put_tree, tree_of

from yolo_proc.rng import rng_for

pytestmark = pytest.mark.slow

# ---------------------------------------------------------------------------------------------- the engine


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize("bug", [bug for bug in BUGS if bug not in ("none", "the end")])
def test_a_planted_bug_is_found_and_is_there_again_at_its_address(bug: str, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    counts, findings = attacked(PlantedTarget(bug), tmp_path / "a", 3, range(40))
    assert 0 < counts[FINDING] < 40
    first = min(findings)
    _, again = attacked(PlantedTarget(bug), tmp_path / "b", 3, range(first, first + 1))
    assert list(again) == [first]
    assert again[first].signature == findings[first].signature


def test_a_reader_without_a_bug_has_no_finding(tmp_path: Path) -> None:
    counts, findings = attacked(PlantedTarget("none"), tmp_path, 3, range(60))
    assert findings == {}
    assert counts[ACCEPTED] + counts[REFUSED] == 60
    assert min(counts.values()) > 5


def test_a_reader_that_waits_is_not_waited_for(tmp_path: Path) -> None:
    target = PlantedTarget("none")
    target.bug = lambda: time.sleep(60)
    counts, findings = attacked(target, tmp_path, 3, range(10), wall=1)
    assert counts[FINDING]
    assert all(one.signature.startswith("hangs") for one in findings.values())


def inputs(name: str, room: Path, seed: int, indices: range) -> list[Input]:
    target = target_named(name)
    room.mkdir()
    target.seeds = list(target.prepare(room))
    try:
        return [target.input(seed, index) for index in indices]
    finally:
        target.close()


@pytest.mark.parametrize("name", ["yolo-set", "coco-json", "flags", "picture-png", "config-toml"])
def test_an_input_is_a_function_of_its_address(name: str, tmp_path: Path) -> None:
    found = inputs(name, tmp_path / "a", 1, range(30))
    backwards = inputs(name, tmp_path / "b", 1, range(29, -1, -1))
    # A configuration names the folder that it was made in.
    assert [len(one.tree) for one in found] == [len(one.tree) for one in reversed(backwards)]
    if name != "config-toml":
        assert found == backwards[::-1]
    assert found != inputs(name, tmp_path / "c", 2, range(30))
    assert len({str(one) for one in found}) > 25


def test_a_folder_is_the_tree_whatever_was_there_before(tmp_path: Path) -> None:
    valid = {"a/b.txt": b"0 0.5 0.5 1 1", "a/c/d.json": b'{"a": [1, "b"]}', "e.png": b"\x89PNG", "f.yaml": b"a: 1"}
    room = Room(tmp_path)
    seen = set()
    for index in range(80):
        tree, note = damage_tree(valid, rng_for(0, "trees", index, "attack"), whole=0.8)
        if any(isinstance(content, Special) and content.size > 1 << 20 for content in tree.values()):
            continue
        (tmp_path / "alone").mkdir()
        alone = put_tree(tmp_path / "alone" / "tree", tree)
        kinds = [sorted((str(path.relative_to(root)), path.lstat().st_mode) for path in root.rglob("*"))
                 for root in (alone, room.put(tree))]  # fmt: skip
        assert kinds[0] == kinds[1], note
        if all(isinstance(content, bytes) for content in tree.values()):
            assert tree_of(alone) == tree_of(room.root), note
        seen.add(re.sub(r".*: ", "", note)[:12])
        shutil.rmtree(tmp_path / "alone")
    assert len(seen) > 20


@pytest.mark.parametrize("name", ["a.json", "a.yaml", "a.toml", "a.xml", "a.txt", "a.png"])
@pytest.mark.parametrize("data", [b"", b"[1, 2", b"a: &a [*a]", b"\xff\xfe", b"[" * 3000, b"{}", b"1", b"<a>1</a>"])
def test_damage_is_made_to_whatever_is_there(name: str, data: bytes) -> None:
    results = {damage_file(name, data, rng_for(0, "any", index, "attack"))[0] for index in range(60)}
    assert len(results) > 10


# ---------------------------------------------------------------------------------------------- the campaign


def test_ranges_are_given_once_and_what_was_left_open_comes_first() -> None:
    progress = Progress()
    assert progress.take(5000, []) == (0, 2000)
    assert progress.take(5000, [0]) == (2000, 4000)
    progress.report(0, 700, {ACCEPTED: 700}, {})
    assert progress.take(5000, [2000]) == (700, 2000)
    progress.report(900, 901, {FINDING: 1}, {"killed": [900]})  # a worker died: what was before it is read again
    assert sorted(map(tuple, progress.open)) == [(700, 900), (901, 2000), (2000, 4000)]
    for first, end in [(700, 900), (901, 2000), (2000, 4000)]:
        progress.report(first, end, {REFUSED: end - first}, {})
    assert progress.take(5000, []) == (4000, 5000)
    progress.report(4000, 5000, {REFUSED: 1000}, {"killed": [4001, 4002, 4003]})
    assert progress.take(5000, []) is None
    assert progress.inputs == 5000
    assert progress.findings == {"killed": (4, [900, 4001, 4002])}


def test_a_campaign_reads_every_input_once_though_it_is_stopped_and_a_worker_dies(tmp_path: Path) -> None:
    names = ["planted-the-end", "planted-none"]
    for inputs_each in (6, 14):
        campaign = Campaign(tmp_path, names, seed=3)  # what an earlier one did is read from the folder
        campaign.run(workers=1, inputs=inputs_each, seconds=600)
        assert [found.inputs for found in campaign.progress.values()] == [inputs_each] * 2
    place = tmp_path / "again"
    place.mkdir()
    counts, _ = attacked(target_named("planted-none"), place, 3, range(14))
    found = campaign.progress["planted-none"]
    assert found.counts == counts
    died = campaign.progress["planted-the-end"]
    assert set(died.findings) == {"killed by SIGSEGV"}
    assert died.counts[FINDING] == died.findings["killed by SIGSEGV"][0] > 0
    first = died.findings["killed by SIGSEGV"][1][0]
    assert f"planted-the-end:3:{first}" in (campaign.findings / f"planted-the-end-3-{first}.txt").read_text()
    assert table_lines(campaign)[1].split()[:2] == ["planted-the-end", "14"]
    text = "\n".join(docs_lines(campaign, [], "abc", False))
    assert "| planted-none | a reader with a bug | 14 |" in text
    assert f"planted-the-end:3:{first}" in text


# ---------------------------------------------------------------------------------------------- a little of it

FEW = 30
SLOW = {"inspect": 2, "convert": 5, "checkpoint-resumed": 2, "unfinished-set": 4, "checkpoint-values": 8, "sources": 10}


@pytest.mark.parametrize("name", [name for name in target_names() if not name.startswith("java-")])
def test_few_inputs_have_no_finding_and_valid_ones_are_accepted(name: str, tmp_path: Path) -> None:
    target = target_named(name)
    _, findings = attacked(target, tmp_path, 0, range(SLOW.get(name, FEW)))
    told = [(index, target.input(0, index).steps, one.signature, one.text[-500:]) for index, one in findings.items()]
    assert told == []
    judge = Judge(target, Room(tmp_path / "prepared"))
    with judge.listening():
        outcomes = {judge.judge(seed) for seed in target.seeds[:3]}
    if name not in ("flags", "picture-tiff"):  # some of those are refused, and are meant to be
        assert {one.kind for one in outcomes} == {ACCEPTED}, outcomes


QUICK = ("an object that runs a command", "a billion laughs", "a picture from outside in COCO", "a file of the system")


@pytest.mark.parametrize("name", QUICK)
def test_malicious_files_do_no_harm(name: str) -> None:
    (one,) = malicious_trials()[name]()
    assert one.held, one.told


def test_harm_is_seen() -> None:
    """What a careless reader would do, done by a command that is none of ours."""

    def make(root: Path) -> None:
        code = "from pathlib import Path; import sys\nroot = Path(sys.argv[1])\n(root.parent / 'ran').touch()\n"
        code += "(root.parent / 'out').mkdir()\n(root.parent / 'out' / 'a').write_bytes((root.parent / 'outside' / "
        code += (
            "'secret.txt').read_bytes())\n(root.parent / 'outside' / 'b').touch()\nprint('\\x1b', file=sys.stderr)\n"
        )
        code += "1 / 0\n"
        (root / "careless.py").write_text(code)

    (one,) = malicious.run(Malicious("careless", "test", make, ("{in}",)), Path, "in.careless")
    assert not one.held
    for word in (
        "CODE WAS RUN",
        "exit code 1",
        "a traceback",
        "not printable",
        "from outside is in the output",
        "changed: outside",
    ):
        assert word in one.told
