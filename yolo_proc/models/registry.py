"""The registry of backbones, and how a network is built of one.

A backbone is a file in `models/backbones/` with a decorated class:

    @register_backbone("tiny", options={"width"})
    class Tiny(Backbone):
        def __init__(self, config: ModelConfig, strides: tuple[int, ...]) -> None: ...

One of your own lies in an installed package that names its module in its pyproject.toml:

    [project.entry-points."yolo_proc.backbones"]
    tiny = "my_package.tiny"
"""

import pkgutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from typing import ClassVar, TypeVar

from torch import Tensor, nn

from yolo_proc.config.options import nearest
from yolo_proc.config.schema import ModelConfig
from yolo_proc.errors import ConfigError, OptionError
from yolo_proc.models.layers import initialise_for_relu


class Backbone(nn.Module):
    """Images to feature maps. A subclass is made with the options and the strides that the head reads.

    Attributes:
        strides: of the maps that it gives, ascending; they hold every stride that the head reads. Coarser ones are
            added to finer ones by the neck.
        channels: K of each of them.
        space_to_depth: F; the input is (B, 3 F^2, H / F, W / F), F x F pixels in one.
        dense_head: whether a fully connected head belongs to it.
    """

    space_to_depth: ClassVar[int] = 1
    dense_head: ClassVar[bool] = False

    strides: tuple[int, ...]
    channels: tuple[int, ...]

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return (B, 3 F^2, H / F, W / F) normalised floats -> for each stride (B, K, H / stride, W / stride)."""
        raise NotImplementedError

    def initialise(self) -> None:
        """Give the weights their first values; by default He's for ReLU."""
        initialise_for_relu(self)


BackboneT = TypeVar("BackboneT", bound=type[Backbone])
# Options of `ModelConfig` that shape a backbone, and that it refuses unless it says that it reads them.
SHAPING = ("width", "depth", "batch_norm")


@dataclass(frozen=True)
class BackboneEntry:
    """A backbone of the registry.

    Attributes:
        name: what `--model` takes.
        build: the class.
        options: those of `SHAPING` that it reads.
        head_strides: that a head may read.
    """

    name: str
    build: Callable[[ModelConfig, tuple[int, ...]], Backbone]
    options: frozenset[str]
    head_strides: tuple[int, ...]


GROUP = "yolo_proc.backbones"  # of entry points
_BACKBONES: dict[str, BackboneEntry] = {}


def register_backbone(
    name: str, *, options: Iterable[str] = (), strides: Iterable[int] = (4, 8, 16, 32, 64)
) -> Callable[[BackboneT], BackboneT]:
    """Return a decorator that makes a class known as the backbone `name`.

    Args:
        options: of `SHAPING`, those that it reads.
        strides: that a head may read.
    """
    read = frozenset(options)
    assert read <= set(SHAPING), read

    def register(cls: BackboneT) -> BackboneT:
        assert name not in _BACKBONES, f"two backbones named {name}"
        _BACKBONES[name] = BackboneEntry(name, cls, read, tuple(strides))
        return cls

    return register


def backbone_names() -> tuple[str, ...]:
    """Return the names that `--model` takes, in the order of registration."""
    from yolo_proc.models import backbones

    for module in pkgutil.iter_modules(backbones.__path__, f"{backbones.__name__}."):
        import_module(module.name)  # it registers itself
    load_installed(GROUP)
    return tuple(_BACKBONES)


def load_installed(group: str) -> None:
    """Import what installed packages offer under the name of a group of entry points; it registers itself.

    Raises:
        ConfigError: it cannot be imported.
    """
    for entry in entry_points(group=group):
        try:
            entry.load()
        except Exception as error:  # of whatever the package does
            raise ConfigError(
                f"{entry.name}: expected an installed package that can be imported ({entry.value}), found: {error}; "
                "mend it, or remove it"
            ) from error


def find_backbone(config: ModelConfig) -> BackboneEntry:
    """Return the backbone that the options name.

    Raises:
        ConfigError: there is none of that name, or an option that it does not read is set.
    """
    names = backbone_names()
    entry = _BACKBONES.get(config.name)
    if entry is None:
        raise OptionError(
            "model.name",
            f"expected one of {', '.join(names)}, found {config.name!r}{nearest(config.name, names)}; any other takes "
            "the package that defines it",
        )
    plain = ModelConfig()
    for option in SHAPING:
        if option not in entry.options and getattr(config, option) != getattr(plain, option):
            raise OptionError(
                f"model.{option.replace('_', '-')}",
                f"the layers of {entry.name} are fixed; leave it out, or take --model small",
            )
    return entry


def require_strides(entry: BackboneEntry, strides: Sequence[int]) -> None:
    """Refuse strides of which a backbone has no maps.

    Raises:
        ConfigError: names them, and those that there are.
    """
    missing = [stride for stride in strides if stride not in entry.head_strides]
    if missing or not strides:
        raise OptionError(
            "model.strides",
            f"the network {entry.name} has strides {', '.join(map(str, entry.head_strides))}, found "
            f"{', '.join(map(str, missing)) or 'none'}; take some of those, or --model small",
        )


def build_backbone(config: ModelConfig, strides: tuple[int, ...]) -> Backbone:
    """Build the backbone for a head that reads maps of these strides.

    Raises:
        ConfigError: see `find_backbone`; or strides that it does not have.
    """
    entry = find_backbone(config)
    require_strides(entry, strides)
    backbone = entry.build(config, strides)
    assert set(strides) <= set(backbone.strides), (strides, backbone.strides)
    assert len(backbone.channels) == len(backbone.strides), (backbone.channels, backbone.strides)
    return backbone
