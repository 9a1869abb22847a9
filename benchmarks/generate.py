"""What writing a data set costs beside drawing and encoding its pictures, and what a second process gains.

    python benchmarks/generate.py [--scenes 96] [--rounds 4] [--image-size 416] [--format yolo] [--wall-scenes 2000]
        [--binary-type float32] [--picture-type png]

The first ratio: all that `generate` does for a scene, against the stream and `cv2.imencode` of the same scenes, chunk
by chunk in turns, in CPU time of this thread; of each chunk's rounds the quickest counts, so other programs on the
machine disturb little. Goal: at most 1.15. The second: a whole run with one process and with two, in wall time, in
turns, the quickest of the rounds; it needs two idle processors. Goal: at least 1.7.

The files lie in memory where there is /dev/shm: on a disk each new file takes the system another 0.05 to 0.15 ms. Give
--out a folder on the disk that you mean.
"""

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from yolo_proc.annotations.records import BinaryLayout
from yolo_proc.config.schema import AugmentConfig, Config
from yolo_proc.data.stream import Stream
from yolo_proc.datasets.chunks import CHUNK, SetRequest, WriteChunk
from yolo_proc.datasets.generate import gathered, generate


def one_core(request: SetRequest, rounds: int) -> float:
    """CPU time of writing a set against that of drawing and encoding its scenes."""
    stream = Stream.from_config(request.config, request.stream)
    quality = [cv2.IMWRITE_JPEG_QUALITY, request.quality] if request.picture_type == "jpg" else []

    def draw_and_encode(chunk: int) -> None:
        for index in range(chunk * CHUNK, min((chunk + 1) * CHUNK, request.count)):
            image = stream[index].image
            cv2.imencode(f".{request.picture_type}", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), quality)

    spent = {name: np.full(request.chunks, np.inf) for name in ("drawn and encoded", "written in chunks")}
    last = np.inf
    for number in range(rounds + 1):
        # A fresh folder: to put a file in another's place is dearer.
        task = WriteChunk(replace(request, out=request.out / f"{number}"), stream)
        sides: list[Callable[[int], object]] = [draw_and_encode, task]
        for chunk in range(request.chunks):
            for times, call in zip(spent.values(), sides, strict=True):
                start = time.thread_time()
                call(chunk)
                times[chunk] = min(times[chunk], time.thread_time() - start) if number else np.inf  # 0 warms up
        start = time.thread_time()
        task.finish(gathered(task)[1])
        last = min(last, time.thread_time() - start)
        shutil.rmtree(task.request.out)
    each = {name: 1000 * float(times.sum()) / request.count for name, times in spent.items()}
    each["files of the set"] = 1000 * last / request.count
    for name, milliseconds in each.items():
        print(f"  {name:18s} {milliseconds:7.3f} ms a scene")
    return (each["written in chunks"] + each["files of the set"]) / each["drawn and encoded"]


def two_processes(make: Callable[[Path, int], SetRequest], folder: Path, rounds: int) -> float:
    """Wall time of the command with one process against two."""
    spent = {1: np.inf, 2: np.inf}
    for _ in range(rounds):
        for workers in spent:
            request = make(folder / f"of-{workers}", workers)
            start = time.perf_counter()
            generate(request)
            spent[workers] = min(spent[workers], time.perf_counter() - start)
            shutil.rmtree(request.out)
    for workers, seconds in spent.items():
        print(f"  {workers} process{'es' if workers > 1 else '  '}        {seconds:7.2f} s")
    return spent[1] / spent[2]


def main() -> None:
    parser = argparse.ArgumentParser(description="generate against stream and encoding")
    parser.add_argument("--scenes", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--image-size", type=int, default=416)
    parser.add_argument("--format", default="yolo")
    parser.add_argument("--binary-type", choices=("unsigned_byte", "float32"), default="unsigned_byte")
    parser.add_argument("--picture-type", choices=("jpg", "png"), default="jpg")
    parser.add_argument("--wall-scenes", type=int, default=2000)
    parser.add_argument("--wall-rounds", type=int, default=2)
    parser.add_argument("--out", default="/dev/shm" if Path("/dev/shm").is_dir() else None)
    arguments = parser.parse_args()
    cv2.setNumThreads(0)
    size = arguments.image_size
    config = Config(image_size=size, augment=AugmentConfig(enabled=False))
    layout = None
    if arguments.format == "binary":
        layout = BinaryLayout(size, size, 32, ((100.0, 100.0),), arguments.binary_type)
    with tempfile.TemporaryDirectory(dir=arguments.out) as name:

        def make(out: Path, workers: int, count: int = arguments.wall_scenes) -> SetRequest:
            return SetRequest(
                config=config,
                count=count,
                format=arguments.format,
                out=out,
                picture_type=arguments.picture_type,
                binary=layout,
                workers=workers,
            )

        shown = f"{arguments.binary_type if layout else arguments.picture_type} in the format {arguments.format}"
        print(f"glyphs at {size} x {size}, not augmented, {shown}")
        ratio = one_core(make(Path(name) / "one", 0, arguments.scenes), arguments.rounds)
        print(f"ratio written / (drawn and encoded): {ratio:.3f} (goal: at most 1.15)")
        if arguments.wall_scenes:
            gain = two_processes(make, Path(name), arguments.wall_rounds)
            print(f"two processes against one: {gain:.2f} x (goal: at least 1.7)")


if __name__ == "__main__":
    main()
