package yoloproc;

import java.util.List;
import java.util.Locale;
import java.util.Map;

/** An object of a JSON text with its place there: values of the types meant, or a line that says what is wrong. */
final class JsonFields {

    private final Map<?, ?> values;
    private final String where;
    private final String path; // ends with a dot unless it is empty

    private JsonFields(Map<?, ?> values, String where, String path) {
        this.values = values;
        this.where = where;
        this.path = path;
    }

    /** The object that is the whole text. */
    static JsonFields of(Object root, String where) throws FormatException {
        return new JsonFields(Map.of(), where, "").inside("", root);
    }

    /** A value of this object as an object. */
    JsonFields inside(String place, Object value) throws FormatException {
        if (!(value instanceof Map<?, ?> map)) {
            throw wrong(place, "an object in braces", shown(value), "value");
        }
        return new JsonFields(map, where, place.isEmpty() ? path : path + place + ".");
    }

    boolean has(String key) {
        return values.get(key) != null;
    }

    @SuppressWarnings("unchecked") // the reader of JSON makes no other maps
    Map<String, Object> values() {
        return (Map<String, Object>) values;
    }

    JsonFields object(String key) throws FormatException {
        return inside(key, values.get(key));
    }

    List<?> list(String key) throws FormatException {
        if (values.get(key) instanceof List<?> list) {
            return list;
        }
        throw wrong(key, "a list", shown(values.get(key)), "value");
    }

    String text(String key) throws FormatException {
        if (values.get(key) instanceof String text) {
            return text;
        }
        throw wrong(key, "a text", shown(values.get(key)), "value");
    }

    /** A name that a console may get, and that fits a line: Python's reader refuses the same. */
    String name(String key, String text) throws FormatException {
        if (text.isEmpty()) {
            throw wrong(key, "a name", "an empty text", "value");
        }
        for (int i = 0; i < text.length();) {
            int code = text.codePointAt(i);
            boolean half = code >= 0xD800 && code <= 0xDFFF;
            if (code < 0x20 || (code >= 0x7F && code < 0xA0) || (code >= 0x2028 && code <= 0x202E)
                    || (code >= 0x2066 && code <= 0x2069) || half) {
                throw wrong(key, "text that fits a line", String.format(Locale.ROOT, "U+%04X in it", code), "value");
            }
            i += Character.charCount(code);
        }
        return text;
    }

    boolean flag(String key) throws FormatException {
        if (values.get(key) instanceof Boolean flag) {
            return flag;
        }
        throw wrong(key, "true or false", shown(values.get(key)), "value");
    }

    int whole(String key, int low, int high) throws FormatException {
        if (values.get(key) instanceof Long number && number >= low && number <= high) {
            return number.intValue();
        }
        throw wrong(key, "a whole number, " + low + " to " + high, shown(values.get(key)), "value");
    }

    double share(String key) throws FormatException {
        if (values.get(key) instanceof Number number && number.doubleValue() >= 0 && number.doubleValue() <= 1) {
            return number.doubleValue();
        }
        throw wrong(key, "a number, 0 to 1", shown(values.get(key)), "value");
    }

    String choice(String key, List<String> choices) throws FormatException {
        if (values.get(key) instanceof String text && choices.contains(text)) {
            return text;
        }
        throw wrong(key, String.join(" or ", choices), shown(values.get(key)), "value");
    }

    /** Checks that a value is the only one that is known. */
    void only(String key, Object expected) throws FormatException {
        if (!expected.equals(values.get(key))) {
            throw wrong(key, String.valueOf(expected), shown(values.get(key)), "value");
        }
    }

    FormatException wrong(String key, String expected, String found, String reason) {
        String place = path + key;
        return new FormatException(where, place.endsWith(".") ? place.substring(0, place.length() - 1) : place,
                expected, found, reason);
    }

    /** A value for a message: in quotes, and short. */
    static String shown(Object value) {
        return value == null ? "none" : JsonReader.shorten(value.toString());
    }
}
