package yoloproc;

import java.io.IOException;

/**
 * A file that does not say what its format demands: a picture, a model's description, a script.
 *
 * <p>The message is one line: where, what was expected, what was found.
 */
public final class FormatException extends IOException {

    private static final long serialVersionUID = 1;

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
        super(where + (place.isEmpty() ? "" : ": " + place) + ": expected " + expected + ", found " + found);
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

    /** Where in the file: {@code line 3, column 7}, {@code byte 20}, {@code grids[0].stride}; empty for all of it. */
    public String place() {
        return place;
    }
}
