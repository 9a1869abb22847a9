package yoloproc;

import java.io.IOException;
import java.util.Locale;

/**
 * A file that does not say what its format demands: a picture, a model's description, a script.
 *
 * <p>The message is one line: where, what was expected, what was found.
 */
public final class FormatException extends IOException {

    private static final long serialVersionUID = 1;

    private static final int LONGEST = 1000; // characters of a message; names and values may have any number

    private final String reason;
    private final String place;

    /**
     * Makes one.
     *
     * @param where    the file, as its user knows it
     * @param place    where in the file, such as {@code items[2].bounds}; empty for the whole file
     * @param expected what should be there
     * @param found    what is there
     * @param reason   one word, for counting: see {@link #reason()}
     */
    public FormatException(String where, String place, String expected, String found, String reason) {
        super(oneLine(where + (place.isEmpty() ? "" : ": " + place) + ": expected " + expected + ", found " + found));
        this.reason = reason;
        this.place = place;
    }

    /**
     * One word, for counting: {@code "syntax"}, {@code "value"}, {@code "class"}, {@code "version"},
     * {@code "missing-image"}, {@code "bomb"}, {@code "picture"} or {@code "damaged"} (another digest).
     */
    public String reason() {
        return reason;
    }

    /**
     * A text on one line: what is not printable as its escape, and what is too long without its middle. Names and
     * values in a file may hold line ends, orders to a console, or signs that turn the direction of writing.
     */
    public static String oneLine(String text) {
        StringBuilder line = new StringBuilder();
        for (int i = 0; i < text.length();) {
            int sign = text.codePointAt(i);
            if (isPrintable(sign)) {
                line.appendCodePoint(sign);
            } else {
                line.append(String.format(Locale.ROOT,
                        sign < 0x100 ? "\\x%02x" : sign < 0x10000 ? "\\u%04x" : "\\U%08x", sign));
            }
            i += Character.charCount(sign);
        }
        int length = line.length();
        return length <= LONGEST ? line.toString()
                : line.substring(0, LONGEST * 3 / 4) + " [...] " + line.substring(length - LONGEST / 4);
    }

    private static boolean isPrintable(int sign) {
        switch (Character.getType(sign)) {
            case Character.CONTROL:
            case Character.FORMAT:
            case Character.SURROGATE:
            case Character.PRIVATE_USE:
            case Character.UNASSIGNED:
            case Character.LINE_SEPARATOR:
            case Character.PARAGRAPH_SEPARATOR:
                return false;
            case Character.SPACE_SEPARATOR:
                return sign == ' ';
            default:
                return true;
        }
    }

    /** Where in the file: {@code line 3, column 7}, {@code byte 20}, {@code grids[0].stride}; empty for all of it. */
    public String place() {
        return place;
    }
}
