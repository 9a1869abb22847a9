package yoloproc;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * The scripts of the scredit editor: read leniently, written byte for byte as its writer does.
 *
 * <pre>{"items":[{"bounds":[120,48,96,110],"p":{"category":2}}],"usage":"nominal","widgets":{}}</pre>
 *
 * <p>Pictures lie directly in a project's folder; the script of {@code a.jpg} is {@code annotations/a.json}.
 * Coordinates are pixels of the upright picture. Boxes are taken as the script has them, beyond the picture too.
 */
public final class Scredit {

    private Scredit() {
    }

    /** What an item is; only rectangles are labels of a detector. */
    public enum Kind {
        /** A box. */
        RECTANGLE,
        /** A box that hides what is behind it. */
        MASK,
        /** A place. */
        POINT,
        /** A line of points, closed or open. */
        POLYGON,
        /** A text in a box. */
        TEXT
    }

    /**
     * A place in a picture.
     *
     * @param x pixels from the left edge
     * @param y pixels from the upper edge
     */
    public record Point(double x, double y) {
    }

    /**
     * One annotated thing.
     *
     * @param kind       what it is
     * @param x0         left edge, pixels; of a polygon its bounds, of a point the point twice
     * @param y0         upper edge, pixels
     * @param x1         right edge, exclusive
     * @param y1         lower edge, exclusive
     * @param category   class from 0; null where the script has none, which counts as 0
     * @param confidence 0 to 1; null where the script has none
     * @param rotation   degrees, -90 to 90; null where the script has none
     * @param anchor     index of an anchor; null where the script has none
     * @param points     of a polygon or a point, else empty
     * @param open       whether a polygon does not close
     * @param text       of a text, else null
     */
    public record Item(Kind kind, double x0, double y0, double x1, double y1, Integer category, Double confidence,
            Integer rotation, Integer anchor, List<Point> points, boolean open, String text) {

        /** Checks nothing, copies the points. */
        public Item {
            points = List.copyOf(points);
        }

        /** A rectangle as a detector finds it. */
        public static Item of(Detection found) {
            return new Item(Kind.RECTANGLE, found.x0(), found.y0(), found.x1(), found.y1(), found.classId(),
                    (double) found.confidence(), null, null, List.of(), false, null);
        }
    }

    /**
     * A script.
     *
     * @param items in the file's order
     * @param extra what it says besides, as {@link Json} has it: {@code usage} where it is not {@code nominal},
     *              {@code metadata}, {@code omit}, {@code retain}, and {@code widgets} where there are any
     */
    public record Script(List<Item> items, Map<String, Object> extra) {

        /** Copies both. */
        public Script {
            items = List.copyOf(items);
            extra = Collections.unmodifiableMap(new TreeMap<>(extra));
        }
    }

    /**
     * The script of a picture: {@code annotations/a.json} beside {@code a.jpg}. It need not exist: that means no items.
     *
     * @param picture the picture's file
     * @throws IllegalArgumentException a name with another dot: the editor would take another script
     */
    public static Path scriptOf(Path picture) {
        String name = picture.getFileName().toString();
        int dot = name.indexOf('.');
        if (dot <= 0 || name.indexOf('.', dot + 1) >= 0) {
            throw new IllegalArgumentException(
                    picture + ": expected a name with one dot, as the scredit editor needs it, found another;"
                            + " rename it");
        }
        return picture.resolveSibling("annotations").resolve(name.substring(0, dot) + ".json");
    }

    /**
     * Reads a script's file.
     *
     * @throws FormatException not a script: {@code "syntax"}, or {@code "value"} and {@code "class"} with the place
     * @throws IOException     a file that cannot be read
     */
    public static Script read(Path file) throws IOException {
        byte[] data = PlainFiles.read(file, PlainFiles.MAX_TEXT, "a script", "missing", "syntax");
        return read(data, file.toString());
    }

    /**
     * Reads a script.
     *
     * @param data  its bytes, UTF-8
     * @param where what it is, for messages
     * @throws FormatException not a script: {@code "syntax"}, or {@code "value"} and {@code "class"} with the place
     */
    public static Script read(byte[] data, String where) throws FormatException {
        return new ScreditReader(where).script(data);
    }

    /**
     * The bytes of a script: compact, keys sorted, no line end. Bounds are rounded to whole pixels, corners first.
     *
     * @param script the items, and what else it says
     * @param width  of the upright picture, pixels; a side that rounds to nothing at its edge stays inside
     * @param height of the upright picture, pixels
     * @throws IllegalArgumentException text with control characters, which no script can have, or half of a character
     */
    public static byte[] write(Script script, int width, int height) {
        return ScreditWriter.write(script, width, height);
    }

    /** {@link #write(Script, int, int)} of what a detector has found. */
    public static byte[] write(List<Detection> found, int width, int height) {
        List<Item> items = new ArrayList<>();
        for (Detection detection : found) {
            items.add(Item.of(detection));
        }
        return write(new Script(items, Map.of()), width, height);
    }
}
