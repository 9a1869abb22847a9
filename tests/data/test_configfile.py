"""Flat names, TOML, named configurations, checks across options, and what a resume may change."""

import types
import typing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from yolo_proc.config.environment import environment_values
from yolo_proc.config.options import Declared
from yolo_proc.config.schema import AugmentConfig, Config, GeneratorConfig, LossConfig, ModelConfig
from yolo_proc.config.validation import validate
from yolo_proc.config.values import Given, as_given, config_options, config_values, parse_anchors, value_text
from yolo_proc.data.configfile import config_to_toml, read_config_file
from yolo_proc.data.run_config import DATA_REASON, compare_on_resume, config_from_values, read_config, resumed_config
from yolo_proc.errors import ConfigError, GeneratorError

OPTIONS = config_options()
SIGNS = st.characters(exclude_categories=("Cs",), exclude_characters="\0")


def numbers(declared: Declared, kind: type) -> st.SearchStrategy[Any]:
    low, high = declared.option.low, declared.option.high
    if kind is int:
        return st.integers(-(2**63) + 1 if low is None else int(low), 2**63 - 1 if high is None else int(high))
    return st.floats(low, high, allow_nan=False, allow_infinity=False)


def values_of(declared: Declared) -> st.SearchStrategy[Any]:
    """Values that pass an option's own check."""
    kind = declared.type
    if declared.option.choices:
        return st.sampled_from(declared.option.choices)
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        kind = next(member for member in typing.get_args(kind) if member is not type(None))
        inner = st.text(SIGNS, min_size=1).filter(lambda text: text.lower() != "none") if kind is str else None
        return st.none() | (inner if inner is not None else numbers(declared, kind))
    if kind is bool:
        return st.booleans()
    return st.text(SIGNS) if kind is str else numbers(declared, kind)


# Options that `validate` checks against others, or that have a form of their own.
OF_A_FORM = {
    "run": st.none() | st.sampled_from(["a", "run-1", "Größe 2", "x.y_z+1"]),
    "device": st.sampled_from(["auto", "cpu", "cuda", "cuda:3"]),
    "model.name": st.just("small"),
    "model.strides": st.sets(st.sampled_from([4, 8, 16, 32, 64]), min_size=1).map(lambda s: tuple(sorted(s))),
    "model.anchors": st.sampled_from(["auto", "1x1,2x2,3x3,4x4,5x5.5"]),
    "image-size": st.integers(1, 128).map(lambda n: 64 * n),
    "batch-size": st.integers(1, 500),
    "epoch-images": st.integers(501, 10**9),
    "generator.name": st.text(SIGNS),
    "loss.weight-class": st.floats(0.1, 1000),
    "augment.letterbox-size": st.tuples(st.floats(0.125, 1), st.floats(1, 10)),
}
configs = st.fixed_dictionaries(
    {}, optional={flat: OF_A_FORM.get(flat, values_of(declared)) for flat, declared in OPTIONS.items()}
).map(lambda values: config_from_values(as_given(values)))


@given(configs)
@settings(max_examples=30)
def test_values_and_back(config: Config) -> None:
    assert config_from_values(as_given(config_values(config))) == config


@given(configs)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_toml_and_back(tmp_path: Path, config: Config) -> None:
    path = tmp_path / "config.toml"
    path.write_text(config_to_toml(config), encoding="utf-8")
    assert config_from_values(read_config_file(path), trust=True) == config


@given(configs)
@settings(max_examples=30)
def test_text_of_flags_and_back(config: Config) -> None:
    texts = {flat: value_text(value) for flat, value in config_values(config).items()}
    assert config_from_values(as_given(texts)) == config


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "run.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_has_the_names_of_the_flags(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        'batch-size = 8\ngenerator = "shapes"\nmodel.strides = [8, 16]\n[augment]\nflip-x = 0.5\nenabled = false\n',
    )
    assert read_config(path) == Config(
        batch_size=8,
        generator=GeneratorConfig("shapes"),
        model=ModelConfig(strides=(8, 16)),
        augment=AugmentConfig(flip_x=0.5, enabled=False),
    )


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    assert read_config(write(tmp_path, "")) == Config()
    assert config_from_values({}) == Config()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("batch-sise = 8", r"run.toml: batch-sise: no such option \(did you mean batch-size\?\)"),
        ("batch_size = 8", r"run.toml: batch_size: no such option \(did you mean batch-size\?\)"),
        ("[augment]\nflip-z = 1", r"run.toml: augment.flip-z: no such option \(did you mean augment.flip-[xy]\?\)"),
        ("[agument]\nflip-x = 1", r"run.toml: agument: no such table \(did you mean augment\?\)"),
        ("[agument]", "run.toml: agument: no such table"),
        ("augment = 5", r"run.toml: augment: expected a table \[augment\] with options, found 5"),
        ("generator = 5", "run.toml: generator: expected text, found 5"),
        ('batch-size = "x"', "run.toml: batch-size: expected a whole number, found 'x'"),
        ("batch-size = 0", "run.toml: batch-size: expected a number from 1 to 65536, found 0"),
        ("batch-size = true", "run.toml: batch-size: expected a whole number, found True"),
        ("max-time = nan", "run.toml: max-time: expected a number of at least 0"),
        ("max-time = 1979-05-27", "run.toml: max-time: expected a number"),
        ("[batch-size]\nx = 1", "run.toml: batch-size.x: no such option"),
        ('precision = "bf61"', r"one of auto, float32, bf16, found 'bf61' \(did you mean bf16\?\)"),
        ("batch-size = ", "run.toml: expected TOML"),
        (f"batch-size = {'9' * 401}", "run.toml: batch-size: expected a number .*, found a number of about 401 digits"),
        (f"batch-size = {'9' * 5000}", "run.toml: expected TOML, found a number of thousands of digits"),
        (f"keep = -{'9' * 401}", "run.toml: keep: expected a number .*, found a number of about 401 digits"),
        (
            f"keep = {'9' * 401}",
            "run.toml: keep: expected a number from 1 to 9.22337e\\+18, found a number",
        ),
        (f"max-time = {'9' * 401}", "run.toml: max-time: expected a number, found a number of about 401 digits"),
        (f"max-time = {'9' * 401}.5", "run.toml: max-time: expected a number of at least 0.01, found inf"),
        (f"model.strides = [{'9' * 401}]", "run.toml: model.strides: expected a number from 4 to 64"),
        (f'device = "cuda:{"9" * 401}"', "run.toml: device: expected auto, cpu, cuda or cuda:N, found 'cuda:999"),
        (f'epochs = "{"9" * 5000}"', "run.toml: epochs: expected a whole number, found '999"),
        (f"a = {'[' * 5000}", "run.toml: expected TOML with tables of options, found keys or brackets nested too deep"),
        (f"[augment{'.b' * 30}]\nc = 1", r"run.toml: augment.b.b: no such option"),
        (f"[augment{'.b' * 50_000}]\nc = 1", "run.toml: expected TOML .*, found keys or brackets nested too deep"),
        (f"[[ a{'.b' * 5000}]]\nc = 1", "run.toml: expected TOML .*, found keys or brackets nested too deep"),
        (f"a{'.b' * 50_000} = 1", "run.toml: expected TOML .*, found keys or brackets nested too deep"),
        (
            "seed = 1\n  a" + ' . "b.c"' * 5000 + " = 1",
            "run.toml: expected TOML .*, found keys or brackets nested too deep",
        ),
        (
            f"a = {{ b = 1, 'c'{'.d' * 5000} = 1 }}",
            "run.toml: expected TOML .*, found keys or brackets nested too deep",
        ),
        ('runs-dir = "a\\u0000b"', r"run.toml: runs-dir: expected text without the character 0, found 'a\\x00b'"),
        (f'run = "{"a/" * 3000}"', "run.toml: run: expected a plain folder name .*, found 'a/a/"),
        ("augment.letterbox-size = [2, 1]", "run.toml: augment.letterbox-size: expected the smallest before"),
    ],
)
def test_a_file_is_refused_by_name(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        read_config(write(tmp_path, text))


def test_a_missing_or_binary_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected a TOML file with options, found no such file"):
        read_config(tmp_path / "no.toml")
    (tmp_path / "b.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="expected TOML"):
        read_config(tmp_path / "b.toml")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "latin-1"])
def test_another_encoding_is_told_in_our_words(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "b.toml").write_bytes('run = "é"\n'.encode(encoding))
    with pytest.raises(ConfigError, match=r"expected TOML in UTF-8, found .*; save it as UTF-8") as caught:
        read_config(tmp_path / "b.toml")
    assert "codec" not in str(caught.value)


GENERATOR = """
from dataclasses import dataclass
from yolo_proc.data.generator import Generator
from yolo_proc.config.options import option

@dataclass(frozen=True)
class Cards(Generator):
    classes = ("card",)
    max_cards: int = option(5, help="cards on a table", low=1, high=52)
    def draw(self, canvas, rng): ...
"""


@pytest.fixture
def cards(tmp_path: Path) -> str:
    (tmp_path / "cards.py").write_text(GENERATOR)
    return f"{tmp_path / 'cards.py'}:Cards"


def test_parameters_of_the_generator_are_typed_and_written(tmp_path: Path, cards: str) -> None:
    given_values = as_given({"generator.name": cards, "generator.max-cards": "7"})
    config = config_from_values(given_values)
    assert config.generator.parameters == {"max_cards": 7}
    path = write(tmp_path, config_to_toml(config))
    assert "max-cards = 7" in path.read_text()
    assert config_from_values(read_config_file(path), trust=True) == config


@pytest.mark.parametrize(
    ("flat", "value", "complaint"),
    [
        (
            "generator.max-card",
            7,
            r"--generator.max-card: .* no such parameter \(did you mean --generator.max-cards\?\)",
        ),
        ("generator.max-cards", "x", "--generator.max-cards: expected a whole number, found 'x'"),
        ("generator.max-cards", 53, "--generator.max-cards: expected a number from 1 to 52, found 53"),
    ],
)
def test_parameters_of_the_generator_are_refused_by_name(cards: str, flat: str, value: Any, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        config_from_values(as_given({"generator.name": cards, flat: value}, "--"))


def test_an_unknown_generator_with_parameters_is_named() -> None:
    with pytest.raises(GeneratorError, match="generator glyfs: no such name"):
        config_from_values(as_given({"generator.name": "glyfs", "generator.max-objects": 3}))


def test_a_named_configuration_is_a_set_of_defaults(tmp_path: Path) -> None:
    config = config_from_values(as_given({"model.name": "original"}))
    assert (config.image_size, config.model.strides, config.model.anchors) == (416, (32,), "100x100")
    given_size = config_from_values(as_given({"model.name": "original", "image-size": "224"}))
    assert given_size.image_size == 224
    assert given_size.model.strides == (32,)
    assert read_config(write(tmp_path, 'model = "original"')) == config
    assert read_config(write(tmp_path, config_to_toml(given_size))) == given_size


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        (Config(device="gpu"), "device: expected auto, cpu, cuda or cuda:N, found 'gpu'"),
        (Config(device="cuda:x"), r"found 'cuda:x' \(did you mean cuda\?\)"),
        (Config(batch_size=64, epoch_images=63), "epoch-images: expected more than one batch of 64, found 63"),
        (Config(run="a/b"), "run: expected a plain folder name"),
        (Config(run=".."), "run: expected a plain folder name"),
        (Config(run=""), "run: expected a plain folder name"),
        (Config(loss=LossConfig(0, 0, 0, 0, 0)), "loss: expected at least one weight above 0"),
        (Config(augment=AugmentConfig(letterbox_size=(2.0, 1.0))), "augment.letterbox-size: .* found 2.0,1.0"),
        (Config(batch_size="many"), "batch-size: expected a whole number, found 'many'"),
        (Config(seed=-1), "seed: expected a number"),
    ],
)
def test_validate_names_what_does_not_fit(config: Config, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        validate(config)


def test_validate_gives_the_declared_types() -> None:
    config = validate(Config(model=ModelConfig(strides=[8, 16]), max_time=3))
    assert config.model.strides == (8, 16)
    assert isinstance(config.max_time, float)


def test_anchors() -> None:
    assert parse_anchors("auto") is None
    assert parse_anchors("60x60, 120x90.5") == ((60.0, 60.0), (120.0, 90.5))
    for wrong in ("", "60", "60x", "60x60,", "0x10", "-1x2", "axb", "60x60;1x1"):
        with pytest.raises(ConfigError, match="expected auto, or sizes"):
            parse_anchors(wrong)


# ----------------------------------------------------------------------------------------------- resume


def another(flat: str) -> Any:
    """A value of an option that is not its default."""
    declared = OPTIONS[flat]
    default = declared.default
    if declared.option.choices:
        return next(choice for choice in declared.option.choices if choice != default)
    of_a_form = {
        "device": "cpu",
        "task": "classification",
        "model.name": "original",
        "model.strides": (32,),
        "model.anchors": "50x50",
        "generator.name": "shapes",
        "augment.letterbox-size": (0.5, 1.0),
        "runs-dir": "elsewhere",
        "run": "other",
    }
    if flat in of_a_form:
        return of_a_form[flat]
    if isinstance(default, bool):
        return not default
    kinds = str(declared.type)
    if default is None:
        return 1 if "int" in kinds else 0.5
    smaller = declared.option.high is not None and default * 2 + 1 > declared.option.high
    return (default // 2 if smaller else default * 2 + 1) if isinstance(default, int) else default / 2


@pytest.mark.parametrize("flat", OPTIONS)
def test_every_option_is_treated_as_it_declares(flat: str) -> None:
    old = Config()
    values = {**config_values(old), flat: another(flat)}
    section, _, name = flat.rpartition(".")
    name = name.replace("-", "_")
    changed = replace(getattr(old, section), **{name: another(flat)}) if section else another(flat)
    new = replace(old, **{section or name: changed})
    assert config_values(new) == values
    rule = OPTIONS[flat].option
    refusals, notes = compare_on_resume(old, new)
    assert (len(refusals), len(notes)) == {"free": (0, 0), "inexact": (0, 1), "refused": (1, 0)}[rule.on_resume]
    for line in (*refusals, *notes):
        assert line.startswith(f"{flat}: was {value_text(OPTIONS[flat].default)}, now {value_text(another(flat))}")
    if refusals:
        assert rule.reason in refusals[0]
        accepted, noted = compare_on_resume(old, new, accept_changed_data=True)
        assert (len(accepted), len(noted)) == ((0, 1) if rule.reason == DATA_REASON else (1, 0))
        assert ("--accept-changed-data" in refusals[0]) == (rule.reason == DATA_REASON)


def test_nothing_changed_says_nothing() -> None:
    assert compare_on_resume(Config(), Config()) == ((), ())


def test_parameters_of_the_generator_define_the_data() -> None:
    old = Config(generator=GeneratorConfig("glyphs", {"max_objects": 3}))
    for parameters, line in (
        ({"max_objects": 4}, "generator.max-objects: was 3, now 4: refused"),
        ({"max_objects": 3, "category": "AO"}, "generator.category: was AOM, now AO: refused"),
        ({"max_objects": 3, "category": "AOM"}, None),  # the default
        ({}, None),
    ):
        new = Config(generator=GeneratorConfig("glyphs", parameters))
        refusals, _ = compare_on_resume(old, new)
        assert len(refusals) == (line is not None)
        assert line is None or refusals[0].startswith(line)
        assert compare_on_resume(old, new, accept_changed_data=True)[0] == ()


def test_several_changes_give_a_line_each() -> None:
    new = Config(seed=1, keep=9, threads=2, image_size=512)
    refusals, notes = compare_on_resume(Config(), new)
    assert [line.partition(":")[0] for line in refusals] == ["seed", "image-size"]
    assert [line.partition(":")[0] for line in notes] == ["threads"]


def test_a_resumed_configuration_keeps_what_is_not_given(cards: str) -> None:
    old = config_from_values(as_given({"generator.name": cards, "generator.max-cards": 7, "batch-size": 8}))
    path, saved = Path("1.pt"), config_values(old)
    resumed = resumed_config(saved, path, {"target-loss": Given("0.1", "--target-loss")}, trust=True)
    assert resumed == replace(old, target_loss=0.1)
    assert resumed_config(saved, path, {}, trust=True) == old
    with pytest.raises(GeneratorError, match=r"^1\.pt: generator\.name: names the generator .*cards\.py"):
        resumed_config(saved, path, {})
    named = {"generator.name": Given(cards, "--generator")}
    assert resumed_config(saved, path, named) == old
    other = resumed_config(saved, path, {"generator.name": Given("shapes", "--generator")})
    assert other.generator == GeneratorConfig("shapes", {})
    with pytest.raises(ConfigError, match="--epochs: expected a whole number"):
        resumed_config(saved, path, {"epochs": Given("x", "--epochs")}, trust=True)


def test_reading_keeps_where_a_value_stands(tmp_path: Path) -> None:
    path = write(tmp_path, "[augment]\nflip-x = 0.5\n")
    assert read_config_file(path) == {"augment.flip-x": Given(0.5, f"{path}: augment.flip-x", of_file=True)}


def test_the_environment_changes_of_a_resumed_run_only_what_is_free() -> None:
    old = config_values(Config(batch_size=8, seed=1))
    around = environment_values(
        {"YOLO_PROC_BATCH_SIZE": "16", "YOLO_PROC_EPOCHS": "9", "YOLO_PROC_GENERATOR_MAX_OBJECTS": "1"},
        list(config_options()),
        parameters=True,
    )
    config = resumed_config(old, Path("a.pt"), {**around, "seed": Given("2", "--seed")})
    assert (config.batch_size, config.epochs, config.seed, config.generator.parameters) == (8, 9, 2, {})
