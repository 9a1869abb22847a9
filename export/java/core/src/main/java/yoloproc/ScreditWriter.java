package yoloproc;

import java.math.BigDecimal;
import java.math.MathContext;
import java.math.RoundingMode;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

import yoloproc.Scredit.Item;
import yoloproc.Scredit.Kind;
import yoloproc.Scredit.Point;
import yoloproc.Scredit.Script;

/** Items to the bytes that the editor's writer produces. */
final class ScreditWriter {

    private static final Map<Kind, String> TAGS = Map.of(Kind.MASK, "mask", Kind.POINT, "pt", Kind.POLYGON, "polygon",
            Kind.TEXT, "t"); // a rectangle has none

    private ScreditWriter() {
    }

    static byte[] write(Script script, int width, int height) {
        Map<String, Object> root = new TreeMap<>(Map.of("usage", "nominal", "widgets", Map.of()));
        root.putAll(script.extra());
        List<Object> items = new ArrayList<>();
        for (Item item : script.items()) {
            items.add(fields(item, width, height));
        }
        root.put("items", items);
        StringBuilder out = new StringBuilder();
        dump(root, out);
        return out.toString().getBytes(StandardCharsets.UTF_8);
    }

    private static Map<String, Object> fields(Item item, int width, int height) {
        Map<String, Object> fields = new TreeMap<>();
        if (TAGS.containsKey(item.kind())) {
            fields.put("", TAGS.get(item.kind()));
        }
        if (item.kind() == Kind.POINT) {
            fields.put("loc", flat(item.points().isEmpty() ? List.of(new Point(item.x0(), item.y0())) : item.points()));
        } else if (item.kind() == Kind.POLYGON) {
            fields.put("pt", flat(item.points()));
            if (item.open()) {
                fields.put("open", true);
            }
        } else {
            int least = item.kind() == Kind.RECTANGLE ? 1 : 0;
            long[] across = span(item.x0(), item.x1(), width, least);
            long[] down = span(item.y0(), item.y1(), height, least);
            fields.put(item.kind() == Kind.TEXT ? "b" : "bounds", List.of(across[0], down[0], across[1], down[1]));
        }
        if (item.kind() == Kind.TEXT) {
            fields.put("s", item.text() == null ? "" : item.text());
        }
        Map<String, Object> properties = new TreeMap<>();
        properties.put("category", item.category());
        properties.put("confidence", item.confidence() == null ? null : rounded(item.confidence() * 100));
        properties.put("rotation", item.rotation());
        properties.put("anchor", item.anchor());
        properties.values().removeIf(value -> value == null);
        if (!properties.isEmpty()) {
            fields.put("p", properties);
        }
        return fields;
    }

    /** Start and length in whole pixels: both ends rounded, then subtracted; at least {@code least} long. */
    private static long[] span(double low, double high, int limit, int least) {
        long start = rounded(low);
        long end = rounded(high);
        if (end - start < least) {
            if (0 < limit && start == limit) {
                start = limit - 1L; // at the far edge: stay inside
            }
            end = start + least;
        }
        return new long[] {start, end - start};
    }

    private static List<Long> flat(List<Point> points) {
        List<Long> flat = new ArrayList<>();
        for (Point point : points) {
            flat.add(rounded(point.x()));
            flat.add(rounded(point.y()));
        }
        return flat;
    }

    private static long rounded(double value) {
        if (!Double.isFinite(value)) {
            throw new IllegalArgumentException("script: expected numbers, found " + value);
        }
        return (long) Math.floor(value + 0.5);
    }

    private static void dump(Object value, StringBuilder out) {
        if (value instanceof Map<?, ?> map) {
            String before = "{";
            for (Map.Entry<?, ?> entry : new TreeMap<>(map).entrySet()) { // sorted by UTF-16 units, as the editor does
                quote((String) entry.getKey(), out.append(before));
                dump(entry.getValue(), out.append(':'));
                before = ",";
            }
            out.append(map.isEmpty() ? "{}" : "}");
        } else if (value instanceof List<?> list) {
            String before = "[";
            for (Object inner : list) {
                dump(inner, out.append(before));
                before = ",";
            }
            out.append(list.isEmpty() ? "[]" : "]");
        } else if (value instanceof String text) {
            quote(text, out);
        } else if (value instanceof Double number) {
            out.append(shortest(number));
        } else {
            out.append(value);
        }
    }

    private static void quote(String text, StringBuilder out) {
        out.append('"');
        for (int i = 0; i < text.length(); i++) {
            char here = text.charAt(i);
            int escape = "\"\\\b\f\n\r\t".indexOf(here);
            boolean pair = Character.isHighSurrogate(here) && i + 1 < text.length()
                    && Character.isLowSurrogate(text.charAt(i + 1));
            if (escape >= 0) {
                out.append('\\').append("\"\\bfnrt".charAt(escape));
            } else if (here < ' ' || (Character.isSurrogate(here) && !pair)) {
                throw new IllegalArgumentException("script: expected text that can be written, found the character "
                        + Integer.toHexString(here) + " (hexadecimal)");
            } else {
                out.append(here);
                if (pair) {
                    out.append(text.charAt(++i));
                }
            }
        }
        out.append('"');
    }

    /** As {@code Double.toString} has it from Java 19 on: older ones write more digits than a number needs. */
    static String shortest(double number) {
        if (number == 0) {
            return Double.toString(number);
        }
        if (!Double.isFinite(number)) {
            throw new IllegalArgumentException("script: expected numbers, found " + number);
        }
        BigDecimal exact = new BigDecimal(number);
        BigDecimal decimal = exact;
        for (int digits = 1; digits <= 17; digits++) {
            decimal = exact.round(new MathContext(digits, RoundingMode.HALF_EVEN));
            if (decimal.doubleValue() == number) {
                break;
            }
        }
        decimal = decimal.stripTrailingZeros();
        if (Math.abs(number) >= 1e-3 && Math.abs(number) < 1e7) {
            String plain = decimal.toPlainString();
            return plain.indexOf('.') < 0 ? plain + ".0" : plain;
        }
        String digits = decimal.unscaledValue().abs().toString();
        int exponent = decimal.precision() - decimal.scale() - 1;
        return (number < 0 ? "-" : "") + digits.charAt(0) + "." + (digits.length() > 1 ? digits.substring(1) : "0")
                + "E" + exponent;
    }
}
