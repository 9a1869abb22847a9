"""Healthy runs of many kinds, on which no check may fail; at default size, or small as the tests are."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tiny_run import tiny_config

from yolo_proc.cli.main import main
from yolo_proc.config.schema import AugmentConfig, Config, GeneratorConfig, ModelConfig, OptimConfig

SEEDS = range(5)
SMALL_SIDE = 96
SCENES = Path(__file__).with_name("variant_scenes.py")
PICTURES = 400  # of the data set on disk


def base_config(small: bool) -> Config:
    """What all are variants of."""
    if small:
        config = tiny_config(Path("nowhere"), image_size=SMALL_SIDE, batch_size=8)
        return replace(config, model=replace(config.model, anchor_scenes=200))
    return Config(generator=GeneratorConfig("shapes"))


def healthy_variants(small: bool, folder: Path) -> Iterator[tuple[str, Config]]:
    """(name, configuration) of each.

    Args:
        folder: where a data set may be written.
    """
    base = base_config(small)
    for name in ("glyphs", "shapes"):
        for seed in SEEDS:
            yield f"{name}, seed {seed}", replace(base, seed=seed, generator=GeneratorConfig(name))
    yield "one class", replace(base, generator=GeneratorConfig("glyphs", {"category": "O"}))
    yield "40 % empty scenes", replace(base, generator=GeneratorConfig(f"{SCENES}:HalfEmpty"))
    # A small picture has no room for sixty.
    small_objects = {"generator": GeneratorConfig(f"{SCENES}:Small", {"count": 20} if small else {})}
    if small:
        small_objects |= {"model": replace(base.model, strides=(8,))}
    yield "60 small objects" if not small else "20 small objects", replace(base, **small_objects)
    yield "grey pictures", replace(base, generator=GeneratorConfig(f"{SCENES}:Grey"))
    yield "no batch normalisation", replace(base, model=replace(base.model, batch_norm=False))
    yield "--model original", replace(base, model=ModelConfig("original", strides=(32,)))
    yield "a folder", replace(base, generator=GeneratorConfig(f"folder:{data_set(folder, base)}"))
    yield "a constant rate", replace(base, optim=replace(base.optim, warmup_steps=0, decay_steps=1))
    yield "adamw", replace(base, optim=OptimConfig("adamw"))
    yield "sgd", replace(base, optim=OptimConfig("sgd"))
    yield "no augmentation", replace(base, augment=AugmentConfig(enabled=False))


def data_set(folder: Path, base: Config) -> Path:
    """A data set of shapes, written once for a size of pictures."""
    out = folder / f"shapes-{base.image_size}"
    words = ["generate", "--generator", "shapes", "--count", str(PICTURES), "--format", "yolo", "--out", str(out)]
    words += ["--image-size", str(base.image_size), "--workers", "0"]
    assert main(words) == 0
    return out
