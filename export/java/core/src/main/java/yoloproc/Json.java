package yoloproc;

import java.util.List;
import java.util.Map;

/**
 * A small reader and writer of JSON.
 *
 * <p>Values are {@code Map<String, Object>} in the text's order, {@code List<Object>}, {@code String}, {@code Long} (a
 * whole number, however it is spelled), {@code Double}, {@code Boolean} and null.
 */
public final class Json {

    private Json() {
    }

    /**
     * The value of a JSON text.
     *
     * @param text  the text
     * @param where what it is, for messages
     * @throws FormatException not JSON: with line and column
     */
    public static Object read(String text, String where) throws FormatException {
        return JsonReader.read(text, where, false);
    }

    /**
     * The JSON text of a value, on one line. Characters beyond ASCII stand as they are.
     *
     * @param value of the types above; any other {@code Number} is written as its type does
     * @throws IllegalArgumentException a value of another type, NaN or an infinite number
     */
    public static String write(Object value) {
        StringBuilder out = new StringBuilder();
        write(value, out);
        return out.toString();
    }

    private static void write(Object value, StringBuilder out) {
        if (value instanceof Map<?, ?> map) {
            String before = "{";
            for (Map.Entry<?, ?> entry : map.entrySet()) {
                quote((String) entry.getKey(), out.append(before));
                write(entry.getValue(), out.append(':'));
                before = ",";
            }
            out.append(map.isEmpty() ? "{}" : "}");
        } else if (value instanceof List<?> list) {
            String before = "[";
            for (Object inner : list) {
                write(inner, out.append(before));
                before = ",";
            }
            out.append(list.isEmpty() ? "[]" : "]");
        } else if (value instanceof String string) {
            quote(string, out);
        } else if (value instanceof Number number && Double.isFinite(number.doubleValue())) {
            out.append(number);
        } else if (value == null || value instanceof Boolean) {
            out.append(value);
        } else {
            throw new IllegalArgumentException("JSON: expected a value that it can hold, found " + value);
        }
    }

    private static void quote(String text, StringBuilder out) {
        out.append('"');
        for (int i = 0; i < text.length(); i++) {
            char here = text.charAt(i);
            int escape = "\"\\\b\f\n\r\t".indexOf(here);
            if (escape >= 0) {
                out.append('\\').append("\"\\bfnrt".charAt(escape));
            } else if (here < ' ') {
                out.append("\\u00").append(here < 16 ? '0' : '1').append("0123456789abcdef".charAt(here & 15));
            } else {
                out.append(here);
            }
        }
        out.append('"');
    }
}
