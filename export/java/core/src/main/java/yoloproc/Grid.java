package yoloproc;

import java.util.List;

/**
 * One grid of cells over the network's picture.
 *
 * @param stride  side of a cell, network pixels
 * @param columns cells across
 * @param rows    cells down
 * @param anchors sizes that boxes are measured against; one slot each in every cell
 */
public record Grid(int stride, int columns, int rows, List<Anchor> anchors) {

    /**
     * The size of an anchor.
     *
     * @param width  network pixels, above 0
     * @param height network pixels, above 0
     */
    public record Anchor(double width, double height) {
    }

    /**
     * Checks the values.
     *
     * @throws IllegalArgumentException a number that is less than 1, no anchor, or an anchor that is not positive
     */
    public Grid {
        if (stride < 1 || columns < 1 || rows < 1) {
            throw new IllegalArgumentException("grid: expected stride, columns and rows of at least 1, found "
                    + stride + ", " + columns + ", " + rows);
        }
        anchors = List.copyOf(anchors);
        boolean positive = !anchors.isEmpty();
        for (Anchor anchor : anchors) {
            positive &= anchor.width > 0 && anchor.height > 0 && Double.isFinite(anchor.width * anchor.height);
        }
        if (!positive) {
            throw new IllegalArgumentException(
                    "grid of stride " + stride + ": expected positive anchors, found " + anchors);
        }
    }

    /** The slots of this grid: one for each cell and anchor. */
    public int slots() {
        return Math.multiplyExact(Math.multiplyExact(columns, rows), anchors.size());
    }
}
