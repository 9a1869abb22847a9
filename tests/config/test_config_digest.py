"""A run's `config.toml`: what is damaged is refused, what is changed by hand is read once it says so."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_run import tiny_config

from yolo_proc.config.digest import check_digest, with_digest
from yolo_proc.config.schema import Config
from yolo_proc.data.configfile import config_to_toml
from yolo_proc.data.run_config import read_config
from yolo_proc.errors import ConfigError
from yolo_proc.training.runs import write_config


@pytest.fixture
def written(tmp_path: Path) -> tuple[Path, Config]:
    config = replace(tiny_config(tmp_path), epochs=7)
    write_config(tmp_path, config)
    return tmp_path / "config.toml", config


def test_what_a_run_writes_is_read(written: tuple[Path, Config]) -> None:
    path, config = written
    assert read_config(path) == config
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))  # as some editors and git on Windows do
    assert read_config(path) == config


def test_every_flip_is_refused_or_changes_nothing(written: tuple[Path, Config]) -> None:
    path, config = written
    whole = path.read_bytes()
    rng = random.Random(1)
    first = 8 * (whole.index(b"\n") + 1)
    for bit in [*range(0, first, 7), *(rng.randrange(first, 8 * len(whole)) for _ in range(60))]:
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        if bit < first:
            try:
                assert read_config(path) == config  # the words around the digest are a comment
            except ConfigError:
                continue
        else:
            with pytest.raises(ConfigError, match=r"config\.toml"):
                read_config(path)


def test_every_end_that_is_missing_is_seen(written: tuple[Path, Config]) -> None:
    path, _ = written
    whole = path.read_bytes()
    for length in [*range(1, 130), *range(130, len(whole), 17)]:
        path.write_bytes(whole[:length])
        with pytest.raises(ConfigError, match=r"config\.toml"):
            read_config(path)


def test_a_change_by_hand_is_told_how_to_be_meant(written: tuple[Path, Config]) -> None:
    path, config = written
    text = path.read_text().replace("epochs = 7", "epochs = 8")
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"config\.toml: expected the options .* by hand, delete its first line$"):
        read_config(path)
    assert "(changed by hand? delete this line)" in text.splitlines()[0]
    path.write_text(text.partition("\n")[2])
    assert read_config(path) == replace(config, epochs=8)


@pytest.mark.parametrize("text", ["epochs = 3\n", "# mine\nepochs = 3\n", "# see abc0123\n", "#\n", "\n", "# sha\n"])
def test_what_people_write_has_no_digest(text: str) -> None:
    check_digest(text, Path("mine.toml"))


def test_the_digest_is_of_all_that_follows() -> None:
    for text in ("", "a\n", "é = 1"):
        check_digest(with_digest(text), Path("a.toml"))
        with pytest.raises(ConfigError):
            check_digest(with_digest(text) + " ", Path("a.toml"))
    assert config_to_toml(Config()).count("sha256") == 1
