"""Description of a network: layers, shapes, parameters, operations, receptive field, slots.

B images, H x W pixels, S slots, C classes
"""

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from yolo_proc.detection.codec import LabelCodec
from yolo_proc.detection.task import DetectionTask
from yolo_proc.models.network import Network


@dataclass(frozen=True)
class Layer:
    """One module without children, in the order in which it ran.

    Attributes:
        name: dotted path in the network.
        kind: the module's class.
        output_shape: of one image, without the batch.
        macs: multiplications with addition of one image; 0 for what is neither convolution nor matrix.
    """

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int
    macs: int


@dataclass(frozen=True)
class GridField:
    """A grid, and the pixels that its slots see.

    Attributes:
        receptive_field: width and height in pixels that the slots of a middle cell depend on; at most the picture.
        whole_picture: whether that is the whole picture.
    """

    stride: int
    columns: int
    rows: int
    anchors: tuple[tuple[float, float], ...]
    slots: int
    receptive_field: tuple[int, int]
    whole_picture: bool


@dataclass(frozen=True)
class Description:
    """A network on images of `image_size`; `as_dict` is what `--json` prints.

    Attributes:
        task: what it was made for.
        output_shape: of one image's raw logits.
        grids: of a detector; empty otherwise.
        slots, fields: of a detector, and the values of a slot; None otherwise.
    """

    task: str
    output_shape: tuple[int, ...]

    image_size: tuple[int, int]
    layers: tuple[Layer, ...]
    grids: tuple[GridField, ...]
    parameters: int
    macs: int
    slots: int | None
    fields: int | None

    @property
    def flops(self) -> int:
        """Floating-point operations of one image: a multiplication with addition is two."""
        return 2 * self.macs

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {**asdict(self), "flops": self.flops}

    def text(self) -> str:
        """Return a table of the layers, and the sums."""
        rows = [("layer", "kind", "output", "parameters", "MACs")]
        rows += [
            (one.name, one.kind, " x ".join(map(str, one.output_shape)), f"{one.parameters:,}", f"{one.macs:,}")
            for one in self.layers
        ]
        widths = [max(len(row[column]) for row in rows) for column in range(5)]
        lines = [
            "  ".join(
                cell.ljust(width) if column < 3 else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        ]
        width, height = self.image_size
        lines += [
            "",
            f"Task:       {self.task}",
            f"Image:      {width} x {height}",
            f"Parameters: {self.parameters:,}",
            f"Operations: {self.macs / 1e6:,.1f} million MACs, {self.flops / 1e6:,.1f} million FLOPs an image",
            f"Slots:      {self.slots:,} of {self.fields} values"
            if self.slots is not None
            else f"Output:     {' x '.join(map(str, self.output_shape))} logits, of the whole image",
        ]
        for grid in self.grids:
            seen = " x ".join(map(str, grid.receptive_field))
            field = f"{seen} pixels" + (" (the whole picture)" if grid.whole_picture else "")
            lines.append(
                f"Grid:       stride {grid.stride}, {grid.columns} x {grid.rows} cells, {len(grid.anchors)} anchors, "
                f"{grid.slots:,} slots; a middle cell sees {field}"
            )
        return "\n".join(lines)


def describe(model: Network[Any]) -> Description:
    """Run one grey image through a copy of the network and note what happens.

    Args:
        model: it is left as it is.
    """
    width, height = model.frame
    model = copy.deepcopy(model).cpu().eval()
    images = torch.full((1, height, width, 3), 128, dtype=torch.uint8)  # (1, H, W, 3)
    layers = layers_of(model, images)
    codec = model.task.codec if isinstance(model.task, DetectionTask) else None
    return Description(
        task=model.task.name,
        output_shape=model.task.output_shape,
        image_size=(width, height),
        layers=layers,
        grids=() if codec is None else _grid_fields(model, codec, images),
        parameters=sum(layer.parameters for layer in layers),  # what only training needs has not run
        macs=sum(layer.macs for layer in layers),
        slots=None if codec is None else codec.slots,
        fields=None if codec is None else codec.fields,
    )


def _grid_fields(model: nn.Module, codec: LabelCodec, images: Tensor) -> tuple[GridField, ...]:
    """Return what the slots of each grid's middle cell see."""
    width, height = codec.frame
    fields = []
    offset = 0
    for grid in codec.grids:
        anchors = len(grid.anchors)
        slots = grid.rows * grid.columns * anchors
        middle = offset + ((grid.rows // 2) * grid.columns + grid.columns // 2) * anchors
        seen = receptive_field(model, images, range(middle, middle + anchors))
        fields.append(
            GridField(grid.stride, grid.columns, grid.rows, tuple(grid.anchors), slots, seen, seen == (width, height))
        )
        offset += slots
    return tuple(fields)


def layers_of(model: nn.Module, images: Tensor) -> tuple[Layer, ...]:
    """Return the modules without children that ran on `images` (1, H, W, 3), in order; a module that ran twice stands
    twice.

    The parameters of a module that ran twice are counted at its first run.
    """
    layers: list[Layer] = []
    counted: set[nn.Parameter] = set()

    def note(name: str, module: nn.Module, output: Tensor) -> None:
        fresh = [parameter for parameter in module.parameters() if parameter not in counted]
        counted.update(fresh)
        numel = sum(parameter.numel() for parameter in fresh)
        layers.append(Layer(name, type(module).__name__, tuple(output.shape[1:]), numel, _macs(module, output)))

    hooks = []
    for name, module in model.named_modules():
        if not list(module.children()):
            hooks.append(module.register_forward_hook(lambda m, _i, o, name=name: note(name, m, o)))
    try:
        with torch.no_grad():
            model(images)
    finally:
        for hook in hooks:
            hook.remove()
    return tuple(layers)


def _macs(module: nn.Module, output: Tensor) -> int:
    """Return multiplications with addition for the one image of `output`."""
    if isinstance(module, nn.Conv2d):
        kernel = module.kernel_size[0] * module.kernel_size[1]
        return int(output.numel()) * kernel * module.in_channels // module.groups
    if isinstance(module, nn.Linear):
        return int(output.numel()) * module.in_features
    return 0


def _average_for_maximum(model: nn.Module) -> None:
    """Put an average in place of each maximum: of equal values that passes the gradient on to one alone."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.MaxPool2d):
                kernel, stride, padding = child.kernel_size, child.stride, child.padding
                setattr(module, name, nn.AvgPool2d(kernel, stride, padding, child.ceil_mode))


def receptive_field(model: nn.Module, images: Tensor, slots: Sequence[int]) -> tuple[int, int]:
    """Return width and height of the pixels of `images` (1, H, W, 3) that the outputs of `slots` depend on.

    Measured, so that it holds for any network: in a copy every weight is made positive and every normalisation the
    identity, so that no two paths cancel and no unit is dead; then a pixel matters if the gradient of the slots'
    sum is not zero. The gradient is taken where the first module takes its input, and an input
    folded into fewer, deeper pixels counts as the pixels that it was folded from.
    """
    model = copy.deepcopy(model).double().eval()
    _average_for_maximum(model)
    with torch.no_grad():
        for module in model.modules():
            for name, parameter in module.named_parameters(recurse=False):
                parameter.fill_(
                    0.0 if name == "bias" else parameter.shape[0] / parameter.numel() if parameter.ndim else 1.0
                )
            for name, buffer in module.named_buffers(recurse=False):
                if name.startswith("running_"):
                    buffer.fill_(1.0 if name == "running_var" else 0.0)
    leaves: list[Tensor] = []

    def open_input(_module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
        if leaves:
            return None
        leaves.append(torch.ones_like(inputs[0], dtype=torch.float64).requires_grad_())
        return (leaves[0] * 1.0, *inputs[1:])  # a copy, for activations that work in place

    hooks = [module.register_forward_pre_hook(open_input) for module in model.modules() if not list(module.children())]
    try:
        with torch.enable_grad():
            output = model(images)  # (1, S, 5 + C)
            output[0, list(slots)].sum().backward()
    finally:
        for hook in hooks:
            hook.remove()
    gradient = leaves[0].grad
    assert gradient is not None
    touched = gradient.abs().sum(dim=(0, 1)) > 0  # (H', W')
    height, width = images.shape[1:3]
    sides = []
    for axis, size in ((0, width), (1, height)):
        seen = torch.nonzero(touched.any(dim=axis)).flatten()
        extent = int(seen[-1] - seen[0] + 1) if len(seen) else 0
        sides.append(extent * size // touched.shape[1 - axis])
    return sides[0], sides[1]
