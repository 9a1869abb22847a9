"""u, the unit of speed of a machine: images/s at which the original's network trains on a fixed batch.

Run: python benchmarks/unit.py
The network is `--model original` at 416 x 416, batch 16, in the quickest precision and layout here; the first layout in
the table, float32 contiguous, is what plain PyTorch code does. Figures are medians of seven steps, taken in turn.
"""

import argparse
import json
import statistics
import time

import torch

from yolo_proc.batch import Batch
from yolo_proc.config.schema import LabelConfig, LossConfig, ModelConfig, OptimConfig
from yolo_proc.data.stream import Stream
from yolo_proc.detection.codec import LabelCodec
from yolo_proc.detection.grids import grids_for
from yolo_proc.detection.task import DetectionTask
from yolo_proc.models.network import Yolo
from yolo_proc.system.device import pick_device, processors
from yolo_proc.training.optim import build_optimizer
from yolo_proc.training.step import autocast_dtype, update_weights

IMAGE_SIZE = 416
BATCH = 16
STEPS = 7


class Candidate:
    """The original's network in one precision and layout, with a step that can be timed."""

    def __init__(self, precision: str, channels_last: bool, batch: Batch, device: torch.device) -> None:
        codec = LabelCodec(grids_for(IMAGE_SIZE, IMAGE_SIZE, [32], [(100.0, 100.0)]), 3)
        self.name = f"{precision} {'channels_last' if channels_last else 'contiguous'}"
        self.task = DetectionTask(codec, LabelConfig(), LossConfig())
        torch.manual_seed(0)
        self.model = Yolo(ModelConfig(name="original", strides=(32,)), codec).to(device)
        self.images = batch.images.to(device)
        if not channels_last:
            self.model.to(memory_format=torch.contiguous_format)
            # The same pictures, but planes in memory: what a loader of CHW tensors gives.
            self.images = self.images.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1)
        self.optimizer = build_optimizer(self.model, OptimConfig(name="adamw"))
        self.targets, _ = self.task.targets(batch, device)
        self.autocast = autocast_dtype(precision)
        self.seconds: list[float] = []

    def step(self) -> None:
        """One training step, timed; it waits for the device by itself."""
        start = time.perf_counter()
        update_weights(
            self.model, self.optimizer, self.task, self.images, self.targets, clip_norm=5.0, autocast=self.autocast
        )
        self.seconds.append(time.perf_counter() - start)

    @property
    def speed(self) -> float:
        """Images/s."""
        return BATCH / statistics.median(self.seconds[1:])


def measure(device: torch.device) -> list[Candidate]:
    """All candidates, their steps taken in turn so that a drift of the machine's speed meets all alike."""
    torch.set_num_threads(processors())
    stream = Stream("glyphs", 0, "probe", image_size=IMAGE_SIZE)
    batch = Batch.of([stream[index] for index in range(BATCH)])
    candidates = [Candidate(p, last, batch, device) for p in ("float32", "bf16") for last in (False, True)]
    for _ in range(1 + STEPS):
        for candidate in candidates:
            candidate.step()
    return candidates


def main() -> None:
    """Prints u and the table it comes from."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    candidates = measure(pick_device(arguments.device))
    u = max(candidate.speed for candidate in candidates)
    if arguments.json:
        print(json.dumps({"u": u, **{candidate.name: candidate.speed for candidate in candidates}}))
        return
    for candidate in candidates:
        print(f"{candidate.name:24} {candidate.speed:8.1f} images/s  {candidate.speed / candidates[0].speed:6.2f} x")
    print(f"u = {u:.1f} images/s; 14,000 / u = {14_000 / u:.0f} s")


if __name__ == "__main__":
    main()
