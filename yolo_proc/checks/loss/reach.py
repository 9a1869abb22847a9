"""Which pixels the layers of a network can reach from a cell, worked out by hand from what `models/` declares."""

from yolo_proc.config.schema import ModelConfig

COARSEST_AT_LEAST = 16  # features of this stride exist even where no grid is so coarse
STEM_STRIDE = 4
BY_HAND = ("small", "original")  # the networks whose layers are declared here
FOLD = 2  # pixels folded into channels before the stem
Span = tuple[int, int]  # half-open, in cells of one map


def coarsest_stride(model: ModelConfig) -> int:
    """Tell of all features that a grid's output is made of, pixels."""
    return 32 if model.name == "original" else max(*model.strides, COARSEST_AT_LEAST)


def reached(model: ModelConfig, stride: int, cell: int, side: int, *, residuals: bool) -> Span:
    """Return the pixels along one side that a cell's outputs depend on, half-open.

    Args:
        stride: of the cell's grid, pixels.
        cell: its row, or its column.
        side: of the picture, pixels.
        residuals: whether residual blocks add anything; at first they do not.
    """
    if model.name == "original":
        return 0, side  # one fully connected layer sees the whole map
    coarsest = coarsest_stride(model)

    def on_map(span: Span, of_stride: int) -> Span:
        return max(span[0], 0), min(span[1], side // of_stride)

    def through_blocks(span: Span, of_stride: int, count: int) -> Span:
        """Return a residual block is two 3 x 3 convolutions."""
        room = 2 * count if residuals else 0
        return on_map((span[0] - room, span[1] + room), of_stride)

    def of_stage(span: Span, of_stride: int) -> Span:
        """Return pixels behind the features that come from above only; a 3 x 3 convolution of stride 2 begins each
        stage.
        """
        if of_stride > STEM_STRIDE:
            deep = of_stride in model.strides or of_stride == coarsest
            span = through_blocks(span, of_stride, model.depth if deep else 1)
        span = on_map((2 * span[0] - 1, 2 * span[1]), of_stride // 2)
        if of_stride == STEM_STRIDE:
            return FOLD * span[0], FOLD * span[1]
        return of_stage(span, of_stride // 2)

    def of_grid(span: Span, of_stride: int) -> Span:
        """Return the same with coarser features added to finer ones: a block behind a sum."""
        if of_stride == coarsest:
            return of_stage(span, of_stride)
        span = through_blocks(span, of_stride, 1)
        fine = of_stage(span, of_stride)
        coarse = of_grid((span[0] // 2, (span[1] - 1) // 2 + 1), 2 * of_stride)
        return min(fine[0], coarse[0]), max(fine[1], coarse[1])

    return of_grid((cell, cell + 1), stride)
