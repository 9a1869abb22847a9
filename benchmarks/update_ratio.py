"""The ratio of updates to weights in healthy runs, by optimizer: where the bands of the check `updates` come from.

Run: python benchmarks/update_ratio.py --runs 100 [--optimizer sgd]
Each run is a small one (96 px, batches of 8, 40 steps) with another seed and one of the kinds below, in turn; the
figure is the check's own: the median over layers of the median over the last 20 steps.
"""

import argparse
import itertools
import statistics
from collections.abc import Iterator
from dataclasses import replace

import torch

from yolo_proc.checks.bench import Bench
from yolo_proc.checks.optimisation.updates import run
from yolo_proc.config.schema import AugmentConfig, Config, GeneratorConfig, LossConfig, ModelConfig, OptimConfig

GLYPHS = GeneratorConfig("glyphs")
KINDS = {
    "shapes": {},
    "glyphs": {"generator": GLYPHS},
    "wider": {"generator": GLYPHS, "model": ModelConfig(width=0.5, anchors="40x40")},
    "one class": {"generator": GeneratorConfig("glyphs", {"category": "O"})},
    "no normalisation": {"model": ModelConfig(width=0.25, batch_norm=False, anchors="40x40")},
    "two grids": {"model": ModelConfig(width=0.25, depth=1, strides=(8, 16), anchors="20x20,40x40")},
    "batches of 4": {"batch_size": 4},
    "weights of the loss": {"loss": LossConfig(weight_xy=1.0, weight_wh=1.0)},
    "no decay of weights": {"optim": OptimConfig(weight_decay=0.0)},
    "no warm-up": {"optim": OptimConfig(warmup_steps=0)},
}


def configs(optimizer: str, seed: int) -> Iterator[tuple[str, Config]]:
    """One of each kind, each with a seed of its own."""
    base = Config(
        device="cpu",
        precision="float32",
        threads=1,
        workers=0,
        batch_size=8,
        image_size=96,
        generator=GeneratorConfig("shapes"),
        augment=AugmentConfig(colour_p=0.0, blur_p=0.0, compression_p=0.0),
        model=ModelConfig(width=0.25, depth=1, anchors="40x40"),
    )
    for number, (kind, changes) in enumerate(KINDS.items()):
        config = replace(base, seed=seed + number, **changes)  # type: ignore[arg-type]
        yield kind, replace(config, optim=replace(config.optim, name=optimizer))


def main() -> None:
    """Prints a line a kind, then one of all runs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--optimizer", default="muon,adamw,sgd")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for optimizer in arguments.optimizer.split(","):
        found: dict[str, list[float]] = {kind: [] for kind in KINDS}
        still: dict[str, float] = dict.fromkeys(KINDS, 0.0)
        endless = (one for seed in itertools.count(0, len(KINDS)) for one in configs(optimizer, seed))
        for kind, config in itertools.islice(endless, arguments.runs):
            figures = run(Bench(config)).figures
            found[kind].append(float(figures["ratio"] or 0))
            still[kind] = max(still[kind], float(figures["largest share of units without change"] or 0))
        for kind, ratios in found.items():
            if ratios:
                print(
                    f"{optimizer:6} {_told(kind, ratios)}  units without change at most {still[kind]:.0%}", flush=True
                )
        print(f"{optimizer:6} {_told('all', [ratio for ratios in found.values() for ratio in ratios])}", flush=True)


def _told(kind: str, ratios: list[float]) -> str:
    return (
        f"{kind:22} {len(ratios):4} runs  lowest {min(ratios):.2e}  median {statistics.median(ratios):.2e}  "
        f"highest {max(ratios):.2e}"
    )


if __name__ == "__main__":
    main()
