"""The checks: nothing fails on healthy runs, every fault is caught by name, and what people and programs are told."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from faults import Fault, catalogue, with_batches, with_scenes
from PIL import Image
from tiny_run import tiny_config

from yolo_proc.checks.bench import Bench, Parts
from yolo_proc.checks.check import Check, run_checks
from yolo_proc.checks.optimisation.step import declared_rate
from yolo_proc.checks.registry import CHECKS, checks_named, quick_checks
from yolo_proc.checks.table import table_text
from yolo_proc.cli import check_command
from yolo_proc.cli.check_command import check_parser
from yolo_proc.cli.main import main
from yolo_proc.config.schema import (
    AugmentConfig,
    Config,
    GeneratorConfig,
    LabelConfig,
    LossConfig,
    ModelConfig,
    OptimConfig,
)
from yolo_proc.data.stream import Stream
from yolo_proc.errors import ConfigError, GeneratorError
from yolo_proc.scene import Scene
from yolo_proc.training.outcomes import Finding, Outcome, tally
from yolo_proc.training.schedule import Decay, Schedule

pytestmark = pytest.mark.slow

FAULTS = catalogue()
BY_NAME = {check.name: check for check in CHECKS}
SIDE = 96


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> None:
    torch.set_num_threads(1)


def small_config(**changes: object) -> Config:
    config = replace(tiny_config(Path("nowhere"), image_size=SIDE, batch_size=8), **changes)  # type: ignore[arg-type]
    return replace(config, model=replace(config.model, anchor_scenes=200))


@pytest.fixture(scope="module")
def healthy() -> Bench:
    return Bench(small_config())


def outcome_of(bench: Bench, check: str, out: Path | None = None) -> Outcome:
    (outcome,) = run_checks(bench, [BY_NAME[check]], out)
    return outcome


# ------------------------------------------------------------------------------------------------- healthy

VARIANTS = {
    "shapes": {},
    "glyphs": {"generator": GeneratorConfig("glyphs")},
    "original": {"model": ModelConfig("original", strides=(32,), anchors="50x50")},
    "no normalisation": {"model": ModelConfig(width=0.25, depth=1, batch_norm=False)},
    "two grids": {"model": ModelConfig(width=0.25, depth=1, strides=(8, 16), anchors_per_grid=2)},
    "a precision to be found": {"precision": "auto"},
    "one class": {"generator": GeneratorConfig("glyphs", {"category": "O"})},
    "adamw, a constant rate": {"optim": OptimConfig("adamw", warmup_steps=0, decay_steps=1)},
    "sgd": {"optim": OptimConfig("sgd")},
    "a weight of 0 that is declared": {"loss": LossConfig(weight_obj_f=0.0, weight_xy=0.0)},
}


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_nothing_fails_on_a_healthy_run(changes: dict[str, object], tmp_path: Path) -> None:
    bench = Bench(small_config(**changes), Parts(trial_steps=6))
    outcomes = list(run_checks(bench, CHECKS, tmp_path))
    assert [one.check for one in outcomes] == [check.name for check in CHECKS]
    assert [line for one in outcomes if one.finding.verdict != "pass" for line in one.lines()] == []
    for one in outcomes:
        assert one.finding.expected
        assert one.finding.measured
        assert one.finding.figures
        for path in one.pictures:
            assert Image.open(path).size > (100, 100)


# -------------------------------------------------------------------------------------------------- faults


def test_faults_are_named_apart_and_name_checks_that_exist() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
    assert {fault.check for fault in FAULTS} <= set(BY_NAME)
    never_fails = {"capacity"}
    assert set(BY_NAME) - never_fails <= {fault.check for fault in FAULTS}, "a check that no fault was tried on"


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_caught_by_name(healthy: Bench, fault: Fault, tmp_path: Path) -> None:
    for size in [size for size in fault.sizes if size >= fault.must] or [1.0]:
        outcome = outcome_of(fault.inject(healthy, size), fault.check, tmp_path)  # what is broken can be drawn too
        assert outcome.is_told, f"size {size}: {outcome.finding.measured}"
        assert fault.names(outcome.finding.causes[0]), outcome.finding.causes


# -------------------------------------------------------------------------------------------------- labels


def scenes_of_one(healthy: Bench, keep: int) -> Bench:
    """Scenes with an object only where their index is a multiple of `keep`."""
    return with_scenes(healthy, lambda scene, index: scene if index % keep == 0 else Scene(scene.image))


def test_scenes_without_objects_are_sound_and_none_with_objects_are_not(healthy: Bench) -> None:
    assert not outcome_of(scenes_of_one(healthy, 3), "labels").failed
    none = with_batches(
        healthy, lambda batch: type(batch).of([Scene(np.zeros((SIDE, SIDE, 3), np.uint8))] * len(batch))
    )
    found = outcome_of(none, "labels").finding
    assert found.verdict == "fail"
    assert "label" in found.causes[0]
    assert outcome_of(none, "initial-loss").finding.verdict == "not applicable"


def test_too_many_dropped_objects_fail_and_name_the_limit() -> None:
    model = ModelConfig(width=0.25, depth=1, anchors="40x40")
    bench = Bench(small_config(labels=LabelConfig(min_box_px=40.0), model=model))
    found = outcome_of(bench, "labels").finding
    assert found.verdict == "fail"
    assert "too small" in found.causes[0]
    assert found.figures["dropped min_box_px"] > 0.2 * found.figures["objects"]  # type: ignore[operator]


def test_the_evidence_of_broken_labels_can_be_drawn(healthy: Bench, tmp_path: Path) -> None:
    fault = next(fault for fault in FAULTS if fault.name == "a NaN box")
    (outcome,) = run_checks(fault.inject(healthy, 1.0), [BY_NAME["labels"]], tmp_path)
    assert outcome.pictures == (tmp_path / "labels.png",)
    assert Image.open(outcome.pictures[0]).size > (100, 100)


# ---------------------------------------------------------------------------------------------------- step


@pytest.mark.parametrize("optim", [OptimConfig(), OptimConfig(warmup_steps=0, decay_steps=1), OptimConfig(lr=0.0)])
def test_the_declared_rate_is_the_schedules(optim: OptimConfig) -> None:
    schedule, decay = Schedule(optim), Decay(optim.warmup_steps + 3, optim.decay_steps)
    schedule.begin_decay(decay)
    for step in range(decay.start + decay.steps):
        assert declared_rate(optim, step, decay) == pytest.approx(schedule.lr(step), rel=1e-12)


# --------------------------------------------------------------------------------------------------- bench


def test_the_bench_is_the_pipeline_that_trains(healthy: Bench) -> None:
    stream = Stream.from_config(healthy.config, "train")
    assert np.array_equal(healthy.scene(3).image, stream[3].image)
    assert np.array_equal(healthy.batch(1).images[0].numpy(), stream[8].image)
    (drawn,) = healthy.drawn(32)
    assert np.array_equal(drawn.images[8].numpy(), stream[8].image)
    plain = Stream.from_config(replace(healthy.config, augment=AugmentConfig(enabled=False)), "train")
    assert np.array_equal(healthy.scene(3, augmented=False).image, plain[3].image)
    first, second = healthy.new_model(), healthy.new_model()
    assert first is not second
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    state = healthy.new_state()
    result = healthy.learn(state, healthy.batch())
    assert result.loss == pytest.approx(healthy.forward_loss(first, healthy.batch())[0].item())
    assert state.step == 1
    assert not torch.equal(state.model.head.layers[0].weight, first.head.layers[0].weight)
    assert healthy.measure_loss(state.ema.model, [healthy.batch()]).groups == 1


def test_the_exported_network_of_a_bench_does_what_the_network_does(healthy: Bench) -> None:
    model = healthy.new_model().eval()
    images = healthy.batch().images
    with torch.no_grad():
        expected = model(images).numpy()
    assert healthy.exported(model).run(images.numpy()) == pytest.approx(expected, abs=1e-4)


def test_a_part_that_is_replaced_shows_in_what_is_made_of_it(healthy: Bench) -> None:
    black = with_scenes(healthy, lambda scene, index: Scene(np.zeros_like(scene.image), scene.objects))
    assert not black.scene(0).image.any()
    assert not black.scene_without(0, 0).image.any()
    assert not black.scene(0, augmented=False).image.any()
    assert not black.batch().images.any()
    assert healthy.batch().images.any()
    kept = healthy.with_parts(build_model=healthy.parts.build_model)
    assert kept.codec is healthy.codec
    assert black.codec is not healthy.codec


# -------------------------------------------------------------------------------------------------- running


def a_check(name: str, finding: Finding | Exception) -> Check:
    def run(_: Bench) -> Finding:
        torch.rand(3)
        if isinstance(finding, Exception):
            raise finding
        return finding

    return Check(name, "data", "it holds", True, run)


def judged(sound: bool) -> Finding:
    return Finding.judged(
        sound, expected="1", measured="2", figures={"x": float("nan")}, causes=["a cause", "another"], remedy="mend it"
    )


def test_an_error_of_the_pipeline_fails_the_check_that_meets_it_first(healthy: Bench) -> None:
    error = GeneratorError("scene 3\nis broken")
    found = [one.finding for one in run_checks(healthy, [a_check("a", error), a_check("b", error)])]
    assert [one.verdict for one in found] == ["fail", "not applicable"]
    assert found[0].causes == ("scene 3 is broken",)
    assert "the check a" in found[1].reason
    with pytest.raises(ConfigError):
        list(run_checks(healthy, [a_check("a", ConfigError("a mistake of the user"))]))


def test_checks_leave_the_random_state_as_it_was(healthy: Bench) -> None:
    before = torch.get_rng_state()
    assert len(list(run_checks(healthy, [a_check("a", judged(True)), *CHECKS]))) == 1 + len(CHECKS)
    assert torch.equal(torch.get_rng_state(), before)


def test_what_people_are_told(healthy: Bench) -> None:
    checks = [
        a_check("good", judged(True)),
        a_check("bad", judged(False)),
        a_check("idle", Finding.not_applicable("no")),
    ]
    outcomes = list(run_checks(healthy, checks))
    assert tally(outcomes) == "1 passed, 1 failed, 1 not applicable"
    assert outcomes[0].finding.causes == ()
    text = table_text(outcomes, 140)
    assert max(map(len, text.splitlines())) <= 140
    for words in ("good", "FAIL", "n/a", "likely cause: a cause", "or: another", "what to do: mend it"):
        assert words in text
    assert "likely cause" not in table_text(outcomes[:1], 80)
    assert table_text([], 80).splitlines()[0].startswith("check")


def test_a_finding_without_a_cause_is_no_failure() -> None:
    with pytest.raises(AssertionError, match="cause"):
        Finding.judged(False, expected="", measured="", figures={}, causes=[], remedy="")


def test_names_of_checks() -> None:
    assert checks_named(None) == CHECKS
    assert [check.name for check in checks_named("step, labels")] == ["labels", "step"]
    for wrong, line in (("lables", r"did you mean labels\?"), (",", "expected names")):
        with pytest.raises(ConfigError, match=line):
            checks_named(wrong)
    assert set(quick_checks()) <= set(CHECKS)


# -------------------------------------------------------------------------------------------------- command

WORDS = ["check", "--generator", "shapes", "--image-size", "96", "--batch-size", "8", "--device", "cpu"]
WORDS += ["--model.width", "0.25", "--model.anchors", "40x40", "--precision", "float32", "--threads", "1"]
WORDS += ["--workers", "0", "--augment.enabled", "off"]


def test_the_command_prints_a_table_and_writes_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*WORDS, "--only", "labels,step"]) == 0
    printed = capsys.readouterr()
    assert "Checks: 2 passed" in printed.out
    assert [line.partition(" (")[0] for line in printed.err.splitlines()] == ["1/2 labels: pass", "2/2 step: pass"]
    folder = tmp_path / "checks" / "shapes"  # one for each generator
    (folder / "round-trip-old.png").touch()
    (folder / "mine.png").touch()
    assert sorted(path.name for path in folder.iterdir() if path.stat().st_size) == ["labels.png", "step.png"]
    assert main([*WORDS, "--only", "step"]) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["mine.png", "step.png"]  # of this check alone


def test_the_command_fails_and_says_so_in_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*WORDS, "--only", "labels", "--labels.min-box-px", "60", "--out", str(tmp_path / "out"), "--json"]
    assert main(words) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["generator"], found["failed"]) == ("shapes", True)
    (row,) = found["checks"]
    assert (row["check"], row["verdict"]) == ("labels", "fail")
    assert row["pictures"] == [str(tmp_path / "out" / "labels.png")]
    assert row["causes"]
    assert row["figures"]["objects"] > 0


def test_what_is_not_finite_is_json_all_the_same() -> None:
    outcome = Outcome("a", "data", "it holds", judged(True), 0.1)
    assert json.loads(json.dumps(outcome.to_dict(), allow_nan=False))["figures"] == {"x": "nan"}


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--only", "lables"], "yolo_proc check: --only: no check 'lables' (did you mean labels?); there are: labels,"),
        (["--generator", "glyfs"], "yolo_proc check: generator glyfs: no such name (did you mean glyphs?)"),
        (["--epochs", "3"], "yolo_proc check: --epochs: no such option"),
        (["--image-size", "250"], "yolo_proc check: --image-size: expected a multiple of the stride 16"),
    ],
)
def test_a_users_mistake_is_one_line(words: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", *words]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(line)
    assert len(printed.err.splitlines()) == 1


def test_an_interrupted_command_tells_what_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def outcomes(*_: object) -> Iterator[Outcome]:
        yield Outcome("labels", "data", "it holds", judged(True), 0.1)
        raise KeyboardInterrupt

    monkeypatch.setattr(check_command, "_outcomes", outcomes)
    assert check_command.check(check_parser(), []) == 130
    assert "Checks: 1 passed" in capsys.readouterr().out
