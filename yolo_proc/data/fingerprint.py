"""Everything that the scenes of a run depend on, in a form to compare: a resume must go on with the same data."""

import hashlib
import inspect
import struct
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from typing import Any

from yolo_proc.config.schema import Config
from yolo_proc.data.generator import Generator, Source, find_generator_class
from yolo_proc.data.stream import Stream
from yolo_proc.data.transforms import pipeline_bytes
from yolo_proc.errors import GeneratorError
from yolo_proc.scene import Scene

PROBES = 16
LIBRARIES = ("numpy", "opencv-python-headless", "pillow", "fonttools", "skia-pathops")


def fingerprint(config: Config) -> dict[str, str]:
    """Return the data's identity by part: generator, its source and parameters, the data it draws, libraries, 16 probe
    scenes.

    The probes are drawn from a stream that nothing else uses, so of a generator they are never trained on.

    Raises:
        GeneratorError: the generator is not a function of its address.
    """
    cls = find_generator_class(config.generator.name)
    probes = Stream.from_config(config, "probe")
    parts = {
        "generator": config.generator.name,
        "generator source": _sha256(_source(cls)),
        "generator parameters": repr(sorted(config.generator.parameters.items())),
        "classes": ", ".join(probes.classes),
    }
    parts |= _source_parts(probes.generator)
    parts |= _libraries()
    pipeline = config.augment.pipeline
    if pipeline is not None and config.augment.enabled:
        parts["augment pipeline"] = _sha256(pipeline_bytes(pipeline))
        parts["library albumentations"] = version("albumentations")
    first, again = (scene_digest(Stream.from_config(config, "probe")[0]) for _ in range(2))
    if first != again:
        raise GeneratorError(
            f"generator {config.generator.name}: scene 0 drawn twice gives two scenes; every draw of chance must come "
            "from the `rng` that draw() is given, and nothing may be kept from scene to scene"
        )
    parts["probe scenes"] = _sha256(b"".join(scene_digest(probes[index]) for index in range(PROBES)))
    return parts


@cache
def _libraries() -> dict[str, str]:
    """Return their versions; each is a text of many kilobytes to parse, and stays the same."""
    return {f"library {name}": version(name) for name in LIBRARIES}


def _source_parts(generator: Generator) -> dict[str, str]:
    """Return the data of a source, and how its members draw."""
    if not isinstance(generator, Source):
        return {}
    members = generator.members().items()
    parts = {f"generator source of {name}": _sha256(_source(type(member))) for name, member in members}
    return {**parts, **{f"data: {what}": digest for what, digest in generator.contents().items()}}


def changed_scenes(then: Mapping[str, str], config: Config) -> tuple[str, ...]:
    """Return a line for the user where a configuration's scenes are not those of a run's fingerprint any more.

    Other versions of libraries alone are no other scenes.
    """
    if not then:
        return ()
    now = fingerprint(config)
    parts = [name for name in sorted({*then, *now}) if then.get(name) != now.get(name) and name != "generator"]
    if not any(name.startswith(("probe", "data")) for name in parts):
        return ()
    told = "; ".join(name for name in parts if not name.startswith("library"))
    return (f"the scenes are not those that the run was trained on; what changed: {told}",)


def changed_parts(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return one `name: then -> now` for each part that differs."""
    return [
        f"{name}: {then.get(name, '-')} -> {now.get(name, '-')}"
        for name in sorted({*then, *now})
        if then.get(name) != now.get(name)
    ]


def scene_digest(scene: Scene) -> bytes:
    """Return SHA-256 of a scene's pixels and labels."""
    digest = hashlib.sha256(repr(scene.image.shape).encode())
    digest.update(scene.image.tobytes())
    for thing in scene.objects:
        digest.update(struct.pack("<q7d", thing.class_id, *thing.box, thing.visible, thing.in_frame, thing.confidence))
    digest.update(scene.ignore.tobytes())
    if scene.class_id is not None:
        digest.update(struct.pack("<q", scene.class_id))
    return digest.digest()


def _source(cls: type[Any]) -> bytes:
    """Return the whole module of the class, since helpers beside it draw too; its name where there is no source."""
    module = inspect.getmodule(cls)
    try:
        return inspect.getsource(module).encode() if module is not None else cls.__qualname__.encode()
    except OSError:
        return cls.__qualname__.encode()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
