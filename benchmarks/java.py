"""What the Java library costs besides the network, against the bare run of the same model and against Pillow.

    python benchmarks/java.py [--model export/letters/model.onnx] [--picture photo.png] [--rounds 40]

It needs the jar: cd export/java && mvn -q package. Without --model it takes the default network as it is before
training, which finds nothing; its speed is that of a trained one. All figures are from one run: the sides take turns,
each round is some 20 ms of each, and medians count. Goals:

    end to end   a picture of the network's size to boxes: at most 1.15 x the bare session run, on one thread
    letterbox    1920 x 1080 into the network's frame: at most 2 x Pillow's resize
    boxes        decoding and suppression of 10,000 slots, 100 of them sure: at most 0.1 x the bare run
    four callers the same boxes as one, and at least 1.5 x as many of them on two cores
    memory       heap after collection, and resident memory, after 2,000 and after 20,000 detections: within 5 %
                 (and after 38,000: what a leak would be is seen there, when the JVM has compiled what it will)
"""

import argparse
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from yolo_proc.config.schema import Config
from yolo_proc.detection.codec import LabelCodec
from yolo_proc.detection.grids import grids_for
from yolo_proc.detection.task import DetectionTask
from yolo_proc.export.onnx_graph import to_onnx
from yolo_proc.export.spec import ModelSpec
from yolo_proc.imaging.letterbox import Letterbox
from yolo_proc.models.network import Yolo

JAR = Path(__file__).parents[1] / "export/java/target/yolo-proc.jar"
ROUND_SECONDS = 0.02
WARM_UP = 2.0  # seconds of each side: the JVM compiles
LARGE = (1920, 1080)
# Memory: a JVM by itself compiles what is called often, until some 10,000 detections, and touches the heap that it was
# given bit by bit; the memory for both stays resident. Of a heap that is touched at the start, and with code that is
# compiled ten times as early, what grows between the two moments is what the library or the runtime hold.
SETTLED = ("-Xms32m", "-Xmx32m", "-XX:+AlwaysPreTouch", "-XX:CompileThresholdScaling=0.1")


class Jvm:
    """A JVM with the benchmark's steps, that does what it is told."""

    def __init__(self, model: Path, picture: Path | None, *flags: str) -> None:
        words = [str(word) for word in (model, picture) if word is not None]
        self.process = subprocess.Popen(
            ["java", *flags, "-cp", str(JAR), "yoloproc.cli.Benchmark", *words, "--serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._answer()

    def ask(self, line: str) -> str:
        """The answer to one line."""
        assert self.process.stdin is not None
        print(line, file=self.process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        if not line:
            raise SystemExit(f"the benchmark in {JAR} ended; what it said stands above")
        return line

    def __enter__(self) -> "Jvm":
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


class Pillow:
    """The resizing that rule 1 is defined by, into the part of the frame that the letterbox fills."""

    def __init__(self, frame: tuple[int, int]) -> None:
        box = Letterbox.of(*LARGE, *frame)
        noise = np.random.default_rng(0).integers(0, 256, (LARGE[1], LARGE[0], 3), dtype=np.uint8)
        self.image, self.size = Image.fromarray(noise), (box.nw, box.nh)

    def seconds(self, count: int) -> float:
        start = time.perf_counter()
        for _ in range(count):
            self.image.resize(self.size, Image.Resampling.BILINEAR)
        return time.perf_counter() - start


def untrained_model() -> bytes:
    """The default network with its three classes."""
    config = Config()
    torch.manual_seed(0)
    grids = grids_for(config.image_size, config.image_size, config.model.strides, [(60.0, 60.0)])
    codec = LabelCodec(grids, 3)
    model = Yolo(config.model, DetectionTask(codec)).eval()
    return to_onnx(model, ModelSpec(("A", "O", "M"), config.image_size, config.image_size, codec.grids))


def frame_of(model: Path) -> tuple[int, int]:
    """Width and height of its pictures."""
    from yolo_proc.export.session import OnnxDetector

    return OnnxDetector.load(model).picture_size


def in_turns(jvm: Jvm, pillow: Pillow, rounds: int) -> dict[str, float]:
    """Median milliseconds of each step."""

    def seconds(name: str, count: int) -> float:
        return pillow.seconds(count) if name == "pillow" else float(jvm.ask(f"{name} {count}"))

    names = ("bare", "detect", "letterbox", "pillow", "boxes")
    counts = {}
    for name in names:
        done, spent = 1, seconds(name, 1)
        while spent < WARM_UP:
            spent += seconds(name, done)
            done *= 2
        counts[name] = max(1, round(ROUND_SECONDS / (seconds(name, 20) / 20)))
    spent_in = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            spent_in[name].append(1000 * seconds(name, counts[name]) / counts[name])
    return {name: statistics.median(values) for name, values in spent_in.items()}


def callers_gain(jvm: Jvm, rounds: int) -> float:
    """How many more detections four threads make than one, in turns."""
    count = max(40, round(0.5 / (float(jvm.ask("callers 1 40")) / 40)))
    spent = {1: [], 4: []}
    for _ in range(rounds):
        for callers, values in spent.items():
            values.append(float(jvm.ask(f"callers {callers} {count}")))
    return statistics.median(spent[1]) / statistics.median(spent[4])


def memory(model: Path, picture: Path | None, *flags: str) -> str:
    """Heap and resident memory after 2,000, 20,000 and 38,000 detections, in words."""
    with Jvm(model, picture, *flags) as jvm:
        found = [[int(number) for number in jvm.ask(f"memory {count}").split()] for count in (2_000, 18_000, 18_000)]
    told = []
    for name, taken in zip(("heap", "resident"), zip(*found, strict=True), strict=True):
        megabytes = ", ".join(f"{one / 1e6:.1f}" for one in taken)
        told.append(f"{name} {megabytes} MB ({100 * (taken[1] / taken[0] - 1):+.1f} % to the second)")
    return ", ".join(told)


def main() -> None:
    parser = argparse.ArgumentParser(description="the Java library against the bare run and Pillow")
    parser.add_argument("--model", type=Path, help="with bytes as input")
    parser.add_argument("--picture", type=Path, help="shown to the network; without it noise")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--parts", default="speed,callers,memory")
    arguments = parser.parse_args()
    if not JAR.is_file():
        raise SystemExit(f"{JAR}: expected the jar, found none; build it: cd export/java && mvn -q package")
    with tempfile.TemporaryDirectory() as folder:
        model = arguments.model or Path(folder, "model.onnx")
        if arguments.model is None:
            model.write_bytes(untrained_model())
        frame = frame_of(model)
        print(f"{arguments.model or 'the default network, not trained'}, {frame[0]} x {frame[1]}")
        with Jvm(model, arguments.picture) as jvm:
            if "speed" in arguments.parts:
                spent = in_turns(jvm, Pillow(frame), arguments.rounds)
                for name, milliseconds in spent.items():
                    print(f"  {name:10s} {milliseconds:8.3f} ms")
                print(f"end to end / bare run: {spent['detect'] / spent['bare']:.3f} (goal: at most 1.15)")
                print(
                    f"letterbox of 1920 x 1080 / Pillow: {spent['letterbox'] / spent['pillow']:.2f} (goal: at most 2)"
                )
                print(f"boxes of 10,000 slots / bare run: {spent['boxes'] / spent['bare']:.3f} (goal: at most 0.1)")
            if "callers" in arguments.parts:
                print(f"four callers give the boxes of one: {jvm.ask('same 4 400')}")
                print(
                    f"four callers / one: {callers_gain(jvm, max(3, arguments.rounds // 8)):.2f} x (goal: at least 1.5)"
                )
        if "memory" in arguments.parts:
            print("after 2,000, 20,000 and 38,000 detections (goal: the first two within 5 %)")
            print(f"  settled early    {memory(model, arguments.picture, *SETTLED)}")
            print(f"  JVM's own choice {memory(model, arguments.picture)}")


if __name__ == "__main__":
    main()
