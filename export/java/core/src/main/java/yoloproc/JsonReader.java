package yoloproc;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * JSON's text to values, in one of two dialects.
 *
 * <p>Lenient is what the scredit editor reads: trailing commas, {@code //}, {@code /* *}{@code /} and {@code #}
 * comments; keys with null are left out; but no {@code \}{@code uXXXX} escapes, on which its reader breaks. Depth is
 * bounded, and time is linear in the text's length, whatever the text is.
 */
final class JsonReader {

    private static final int MAX_DEPTH = 64; // braces and brackets inside each other
    private static final String ESCAPES = "\"\\/bfnrt";
    private static final String MEANT = "\"\\/\b\f\n\r\t";

    private final String text;
    private final String where;
    private final boolean lenient;
    private int at;

    private JsonReader(String text, String where, boolean lenient) {
        this.text = text;
        this.where = where;
        this.lenient = lenient;
    }

    /** The value of a text; the types are those of {@link Json}. */
    static Object read(String text, String where, boolean lenient) throws FormatException {
        JsonReader reader = new JsonReader(text, where, lenient);
        reader.skip();
        Object value = reader.value(0);
        if (reader.at < text.length()) {
            throw reader.fail("the end of the file");
        }
        return value;
    }

    private Object value(int depth) throws FormatException {
        switch (peek()) {
            case '{':
                return members(depth + 1);
            case '[':
                return elements(depth + 1);
            case '"':
                return string();
            default:
                break;
        }
        if (word("true")) {
            return true;
        }
        if (word("false")) {
            return false;
        }
        return word("null") ? null : number();
    }

    private boolean word(String word) throws FormatException {
        if (!text.startsWith(word, at)) {
            return false;
        }
        at += word.length();
        skip();
        return true;
    }

    private Map<String, Object> members(int depth) throws FormatException {
        open(depth);
        Map<String, Object> found = new LinkedHashMap<>();
        boolean first = true;
        while (!((first || lenient) && accept('}'))) {
            first = false;
            if (peek() != '"') {
                throw fail("a key in \"double quotes\" or }");
            }
            String key = string();
            if (!accept(':')) {
                throw fail("a colon");
            }
            Object value = value(depth);
            if (value != null || !lenient) {
                found.put(key, value);
            }
            if (!accept(',')) {
                if (!accept('}')) {
                    throw fail("a comma or }");
                }
                break;
            }
        }
        return found;
    }

    private List<Object> elements(int depth) throws FormatException {
        open(depth);
        List<Object> found = new ArrayList<>();
        boolean first = true;
        while (!((first || lenient) && accept(']'))) {
            first = false;
            found.add(value(depth));
            if (!accept(',')) {
                if (!accept(']')) {
                    throw fail("a comma or ]");
                }
                break;
            }
        }
        return found;
    }

    private void open(int depth) throws FormatException {
        if (depth > MAX_DEPTH) {
            throw fail("at most " + MAX_DEPTH + " braces and brackets inside each other");
        }
        at++;
        skip();
    }

    private boolean accept(char wanted) throws FormatException {
        if (at >= text.length() || text.charAt(at) != wanted) {
            return false;
        }
        at++;
        skip();
        return true;
    }

    /** The character here; 0, which nothing begins with, at the end. */
    private char peek() {
        return at < text.length() ? text.charAt(at) : 0;
    }

    private String string() throws FormatException {
        at++;
        StringBuilder found = new StringBuilder();
        while (peek() != '"') {
            char here = peek();
            if (here < ' ') {
                throw fail("a closing double quote on the same line, and no control characters");
            }
            if (here == '\\') {
                found.append(escape());
            } else {
                found.append(here);
                at++;
            }
        }
        at++;
        skip();
        return found.toString();
    }

    private char escape() throws FormatException {
        char kind = at + 1 < text.length() ? text.charAt(at + 1) : 0;
        if (kind == 'u' && lenient) {
            throw fail("the character itself in UTF-8 (scredit's reader breaks on \\u escapes)");
        }
        if (kind == 'u') {
            int unit = 0;
            for (int i = 2; i < 6; i++) {
                int digit = at + i < text.length() ? Character.digit(text.charAt(at + i), 16) : -1;
                if (digit < 0 || text.charAt(at + i) > 'f') { // digits of other scripts are digits too
                    throw fail("four hexadecimal digits after \\u");
                }
                unit = unit << 4 | digit;
            }
            at += 6;
            return (char) unit;
        }
        int number = kind == 0 ? -1 : ESCAPES.indexOf(kind);
        if (number < 0) {
            throw fail("one of the escapes \\\" \\\\ \\/ \\b \\f \\n \\r \\t" + (lenient ? "" : " \\u"));
        }
        at += 2;
        return MEANT.charAt(number);
    }

    /** A whole number is a Long, any other a Double. */
    private Number number() throws FormatException {
        int start = at;
        int end = at;
        if (is(end, '-')) {
            end++;
        }
        int whole = digits(end);
        if (whole == end) {
            throw fail("a value");
        }
        end = is(end, '0') ? end + 1 : whole;
        if (is(end, '.') && digits(end + 1) > end + 1) {
            end = digits(end + 1);
        }
        if (is(end, 'e') || is(end, 'E')) {
            int exponent = is(end + 1, '+') || is(end + 1, '-') ? end + 2 : end + 1;
            end = digits(exponent) > exponent ? digits(exponent) : end;
        }
        String shown = text.substring(start, end);
        double number = Double.parseDouble(shown);
        if (Double.isInfinite(number)) {
            throw new FormatException(where, place(start), "a number of 64 bits", shorten(shown), "value");
        }
        at = end;
        skip();
        // Numbers are read as doubles, and those that are whole are taken for integers, whatever their spelling.
        if (number == Math.rint(number) && Math.abs(number) <= 0x1p63) {
            return (long) number;
        }
        return number;
    }

    private boolean is(int place, char wanted) {
        return place < text.length() && text.charAt(place) == wanted;
    }

    /** The end of the digits that begin here. */
    private int digits(int from) {
        int end = from;
        while (end < text.length() && text.charAt(end) >= '0' && text.charAt(end) <= '9') {
            end++;
        }
        return end;
    }

    /** Goes on behind blanks, and comments if they are allowed. */
    private void skip() throws FormatException {
        while (at < text.length()) {
            char here = text.charAt(at);
            if (here == ' ' || here == '\t' || here == '\n' || here == '\r' || (here == '\f' && lenient)) {
                at++;
            } else if (lenient && (here == '#' || text.startsWith("//", at))) {
                int end = text.indexOf('\n', at);
                at = end < 0 ? text.length() : end;
            } else if (lenient && text.startsWith("/*", at)) {
                int end = text.indexOf("*/", at + 2);
                if (end < 0) {
                    throw fail("a comment that ends with */");
                }
                at = end + 2;
            } else {
                return;
            }
        }
    }

    private FormatException fail(String expected) {
        String rest = text.substring(at, Math.min(text.length(), at + 24));
        int end = rest.indexOf('\n');
        String found = at < text.length() ? shorten(end < 0 ? rest : rest.substring(0, end)) : "the end of the file";
        return new FormatException(where, place(at), expected, found, "syntax");
    }

    /** Line and column from 1, columns in code points. */
    private String place(int here) {
        int line = 1;
        int start = 0;
        for (int end = text.indexOf('\n'); end >= 0 && end < here; end = text.indexOf('\n', start)) {
            line++;
            start = end + 1;
        }
        return String.format(Locale.ROOT, "line %d, column %d", line, text.codePointCount(start, here) + 1);
    }

    /** A text for a message: in quotes, short, on one line. */
    static String shorten(String text) {
        String shown = text.length() <= 40 ? text : text.substring(0, 37) + "...";
        return "'" + shown.strip().replaceAll("[\\x00-\\x1f]", "?") + "'";
    }
}
