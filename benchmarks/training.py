"""What the framework costs on top of the bare network, and how well drawing overlaps training.

Run: python benchmarks/training.py
All figures are from one run, in turn:

    whole       forward, a stand-in loss, backward and optimizer step of the default network on a fixed batch, with all
                threads in each operation, as PyTorch does it
    bare        the same, the batch in parts of one thread each where that is how `train` does it (see parts.py)
    step        the same as `bare` with the real loss, clipping and averaged weights: what `train` does, workers idle
    contract    what judging a batch's labels takes of that step
    draw        core-seconds to draw one image of the default stream
    end to end  images/s of batches from the workers through the step
    bound       1 / (1 / step + draw / cores), what perfect overlap of drawing and training gives

Goals: step >= 0.95 x bare; contract <= 0.01 of a step; end to end >= 0.92 x the bound with `bare` in it.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch
from torch import nn

from yolo_proc.batch import Batch
from yolo_proc.config.schema import Config
from yolo_proc.data.stream import Stream, batches
from yolo_proc.detection.codec import LabelCodec
from yolo_proc.detection.grids import grids_for
from yolo_proc.detection.label_checks import require_sound_labels, require_sound_targets
from yolo_proc.detection.task import DetectionTask
from yolo_proc.models.network import Yolo
from yolo_proc.system.device import pick_device, processors
from yolo_proc.training.optim import Ema, build_optimizer
from yolo_proc.training.replicas import replica_count, replicated
from yolo_proc.training.step import autocast_dtype, update_weights

ROUNDS = 15
CONTRACTS = 10


def timed(action: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


class Bench:
    """The default run's network with a batch of its stream."""

    def __init__(self, config: Config, device: torch.device) -> None:
        self.config, self.device = config, device
        self.stream = Stream.from_config(config, "train")
        codec = LabelCodec(
            grids_for(config.image_size, config.image_size, config.model.strides, [(60.0, 60.0)]),
            len(self.stream.classes),
        )
        self.task = DetectionTask(codec, config.labels, config.loss)
        self.model = Yolo(config.model, DetectionTask(codec)).to(device)
        self.threads = processors()
        self.replicas = replica_count(device, self.threads, config.batch_size)
        torch.set_num_threads(self.threads // self.replicas)
        self.network = replicated(self.model, self.replicas)
        self.optimizer = build_optimizer(self.model, config.optim)
        self.ema = Ema(self.model, config.optim.ema, Yolo(config.model, DetectionTask(codec)).to(device))
        self.batch = Batch.of([self.stream[index] for index in range(config.batch_size)])
        self.assigned = codec.assign(self.batch, config.labels)
        self.autocast = autocast_dtype("float32" if config.precision == "auto" else config.precision)

    def whole(self) -> None:
        """The network alone, all threads in each operation."""
        torch.set_num_threads(self.threads)
        self._bare(self.model)
        torch.set_num_threads(self.threads // self.replicas)

    def bare(self) -> None:
        """The network alone, as it is split for training."""
        self._bare(self.network)

    def _bare(self, network: nn.Module) -> None:
        """The mean square of the output stands in for the loss."""
        images = self.batch.images.to(self.device)
        with torch.autocast(self.device.type, dtype=self.autocast, enabled=self.autocast is not None):
            output = network(images)
        self.optimizer.zero_grad(set_to_none=True)
        output.float().square().mean().backward()
        self.optimizer.step()
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def step(self, batch: Batch | None = None) -> None:
        """What `train` does with a batch."""
        batch = batch or self.batch
        targets, _ = self.task.targets(batch, self.device)
        update_weights(
            self.network,
            self.optimizer,
            self.task,
            batch.images.to(self.device),
            targets,
            clip_norm=self.config.optim.clip_norm,
            autocast=self.autocast,
        )
        self.ema.update()

    def contract(self) -> None:
        """Judges the labels and the targets of the batch, ten times."""
        codec = self.task.codec
        for _ in range(CONTRACTS):
            require_sound_labels(self.batch, codec.class_count)
            require_sound_targets(self.batch, self.assigned, codec.slots, codec.class_count)

    def draw(self, first: int) -> None:
        """One batch, drawn here."""
        for index in range(first, first + self.config.batch_size):
            self.stream[index]

    def end_to_end(self, count: int, workers: int) -> float:
        """Images/s over `count` batches, after as many that fill the pipeline."""
        drawn = batches(self.stream, 0, self.config.batch_size, count=2 * count, workers=workers)
        for number, batch in enumerate(drawn):
            self.step(batch)
            if number == count - 1:
                start = time.perf_counter()
        return count * self.config.batch_size / (time.perf_counter() - start)


def main() -> None:
    """Prints the figures and the two ratios."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="float32", choices=("float32", "bf16"))
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    config = Config(precision=arguments.precision)
    bench = Bench(config, pick_device(arguments.device))
    actions: dict[str, Callable[[], object]] = {
        "whole": bench.whole,
        "bare": bench.bare,
        "step": bench.step,
        "contract": bench.contract,
        "draw": lambda: bench.draw(0),
    }
    rows: dict[str, list[float]] = {name: [] for name in actions}
    for number in range(1 + ROUNDS):
        taken = {name: timed(action) for name, action in actions.items()}
        if number:  # the first is a warm-up
            for name, seconds in taken.items():
                rows[name].append(seconds / config.batch_size)
    whole, bare, step, contract, draw = (statistics.median(taken) for taken in rows.values())
    contract /= CONTRACTS
    cores = processors()
    end_to_end = bench.end_to_end(2 * ROUNDS, cores)
    bound = 1 / (bare + draw / cores)
    figures = {
        "whole images/s": 1 / whole,
        "bare images/s": 1 / bare,
        "step images/s": 1 / step,
        "draw ms": 1000 * draw,
        "end to end images/s": end_to_end,
        "bound images/s": bound,
        "bare / whole": whole / bare,
        "step / bare": bare / step,
        "contract / step": contract / step,
        "end to end / bound": end_to_end / bound,
    }
    if arguments.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:22} {value:9.4f}")


if __name__ == "__main__":
    main()
