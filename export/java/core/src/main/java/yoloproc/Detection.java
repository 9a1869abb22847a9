package yoloproc;

import java.util.Locale;

/**
 * One thing found in a picture.
 *
 * @param classId    index into the model's classes, from 0
 * @param label      name of the class
 * @param confidence 0 to 1
 * @param x0         left edge, pixels of the picture itself; 0 is the picture's left edge
 * @param y0         upper edge, pixels of the picture; 0 is the picture's upper edge
 * @param x1         right edge, exclusive: a box of one pixel at the origin is 0, 0, 1, 1
 * @param y1         lower edge, exclusive
 */
public record Detection(int classId, String label, float confidence, double x0, double y0, double x1, double y1) {

    /** Width in pixels of the picture. */
    public double width() {
        return x1 - x0;
    }

    /** Height in pixels of the picture. */
    public double height() {
        return y1 - y0;
    }

    /** For people: {@code A 0.98 [120.5, 48.0, 216.0, 158.2]}; the same in every locale. */
    @Override
    public String toString() {
        return String.format(Locale.ROOT, "%s %.2f [%.1f, %.1f, %.1f, %.1f]", label, confidence, x0, y0, x1, y1);
    }
}
