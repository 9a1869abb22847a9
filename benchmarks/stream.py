"""What one core pays for a scene, against decoding the same picture from JPEG.

    python benchmarks/stream.py [--scenes 300] [--rounds 4] [--image-size 416] [--camera phone]

Both sides are measured in one run, in turns, scene by scene, in CPU time of this thread, and of each scene's rounds the
quickest counts: other programs on the machine then disturb little. Goal: Stream / decode <= 2.0 with the defaults at
416 x 416. A part's cost is what the stream saves without it, over the same scenes. With a camera the goal is 4.0 x the
stream without one.
"""

import argparse
import dataclasses
import time
from collections import Counter
from collections.abc import Callable

import cv2
import numpy as np

from yolo_proc.config.cameras import CAMERAS
from yolo_proc.config.schema import AugmentConfig
from yolo_proc.data.augment import GEOMETRY, PIXELS, Augmenter
from yolo_proc.data.stream import Stream
from yolo_proc.drawing.canvas import Canvas
from yolo_proc.rng import rng_for

SEED = 0


def measure(sides: dict[str, Callable[[int], object]], scenes: int, rounds: int) -> dict[str, float]:
    """Milliseconds a scene of each side: the mean over the scenes of the quickest round."""
    for call in sides.values():
        call(0)  # imports, tables
    spent = {name: np.full(scenes, np.inf) for name in sides}
    for _ in range(rounds):
        for index in range(scenes):
            for name, call in sides.items():
                start = time.thread_time()
                call(index)
                spent[name][index] = min(spent[name][index], time.thread_time() - start)
    return {name: 1000 * float(times.mean()) for name, times in spent.items()}


def stream_without(part: str, image_size: int, camera: str) -> Stream:
    off = {part if part.startswith("flip") else f"{part}_p": 0.0}
    augment = dataclasses.replace(AugmentConfig(camera=camera), **off)
    return Stream("glyphs", SEED, "train", image_size=image_size, augment=augment)


def main() -> None:
    parser = argparse.ArgumentParser(description="Stream against JPEG decoding, on one core")
    parser.add_argument("--scenes", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--image-size", type=int, default=416)
    parser.add_argument("--camera", default="none", choices=tuple(CAMERAS))
    arguments = parser.parse_args()
    scenes, size = arguments.scenes, arguments.image_size
    cv2.setNumThreads(0)

    stream = Stream("glyphs", SEED, "train", image_size=size, augment=AugmentConfig(camera=arguments.camera))
    without = Stream("glyphs", SEED, "train", image_size=size)
    plain = Stream("glyphs", SEED, "train", image_size=size, augment=AugmentConfig(enabled=False))
    quality = [cv2.IMWRITE_JPEG_QUALITY, 95]
    stored = [cv2.imencode(".jpg", stream[index].image[..., ::-1], quality)[1] for index in range(scenes)]
    generator, augmenter = stream.generator, Augmenter(stream.augment, SEED, "train")

    def record(index: int) -> None:
        generator.draw(Canvas(), rng_for(SEED, "train", index, "draw"))

    sides: dict[str, Callable[[int], object]] = {
        "stream": lambda index: stream[index],
        "without a camera": lambda index: without[index],
        "decode": lambda index: cv2.imdecode(stored[index], cv2.IMREAD_COLOR),
        "not augmented": lambda index: plain[index],
        "of that, the generator": record,
        "plan": lambda index: augmenter.plan(index, size),
    }
    shares = Counter(name for index in range(scenes) for name in augmenter.plan(index, size).parts())
    for part in (*GEOMETRY, *PIXELS):
        if shares[part] and not part.startswith("flip"):
            sides[part] = stream_without(part, size, arguments.camera).__getitem__
    spent = measure(sides, scenes, arguments.rounds)

    print(f"glyphs at {size} x {size}, camera {arguments.camera}, {scenes} scenes, one core, milliseconds a scene")
    for name in ("stream", "without a camera", "decode", "not augmented", "of that, the generator", "plan"):
        print(f"  {name:24s} {spent[name]:7.3f}")
    print("  part            cost   share of scenes")
    for part in [part for part in (*GEOMETRY, *PIXELS) if shares[part]]:
        cost = f"{spent['stream'] - spent[part]:7.3f}" if part in spent else "      -"
        print(f"  {part:12s} {cost}   {shares[part] / scenes:6.3f}")
    print(f"ratio without a camera / decode: {spent['without a camera'] / spent['decode']:.2f} (goal: at most 2.0)")
    print(f"ratio with / without camera: {spent['stream'] / spent['without a camera']:.2f} (goal: at most 4.0)")


if __name__ == "__main__":
    main()
