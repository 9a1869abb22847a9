package yoloproc;

import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.CoderResult;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

import yoloproc.Scredit.Item;
import yoloproc.Scredit.Kind;
import yoloproc.Scredit.Point;
import yoloproc.Scredit.Script;

/** The bytes of a script to its items. */
final class ScreditReader {

    private static final Map<String, Kind> KINDS = Map.of("box", Kind.RECTANGLE, "object", Kind.RECTANGLE, // legacy
            "mask", Kind.MASK, "pt", Kind.POINT, "polygon", Kind.POLYGON, "t", Kind.TEXT);
    private static final Set<String> USAGES = Set.of("nominal", "omit", "retain");

    private final String where;

    ScreditReader(String where) {
        this.where = where;
    }

    Script script(byte[] data) throws FormatException {
        String text = text(data);
        if (text.startsWith("\ufeff")) {
            throw new FormatException(where, "", "no byte order mark (scredit's reader breaks on it)", "one", "syntax");
        }
        Object root = JsonReader.read(text, where, true);
        if (!(root instanceof Map)) {
            throw new FormatException(where, "", "an object in braces", shown(root), "syntax");
        }
        Map<String, Object> fields = object(root);
        Map<String, Object> extra = extra(fields);
        List<Item> items = new ArrayList<>();
        for (Object item : list(fields, "items", "items")) {
            items.add(item(item, "items[" + items.size() + "]"));
        }
        return new Script(items, extra);
    }

    private String text(byte[] data) throws FormatException {
        ByteBuffer bytes = ByteBuffer.wrap(data);
        CharBuffer chars = CharBuffer.allocate(data.length + 1);
        CoderResult result = StandardCharsets.UTF_8.newDecoder().onMalformedInput(CodingErrorAction.REPORT)
                .onUnmappableCharacter(CodingErrorAction.REPORT).decode(bytes, chars, true);
        if (result.isError()) {
            throw new FormatException(where, "byte " + bytes.position(), "UTF-8", "other bytes", "syntax");
        }
        return chars.flip().toString();
    }

    private Map<String, Object> extra(Map<String, Object> root) throws FormatException {
        Map<String, Object> extra = new TreeMap<>();
        String given = typed(root, "usage", String.class, "usage", "a text");
        String usage = given == null || given.isEmpty() ? "nominal" : given.toLowerCase(Locale.ROOT);
        if (!USAGES.contains(usage)) {
            throw new FormatException(where, "usage", "nominal or omit or retain", shown(usage), "value");
        }
        if (!usage.equals("nominal")) {
            extra.put("usage", usage);
        }
        Map<?, ?> metadata = typed(root, "metadata", Map.class, "metadata", "an object in braces");
        if (metadata != null) {
            extra.put("metadata", metadata(object(metadata)));
        }
        for (String key : List.of("omit", "retain")) {
            Boolean value = typed(root, key, Boolean.class, key, "true or false");
            if (value != null) {
                extra.put(key, value);
            }
        }
        Map<?, ?> widgets = typed(root, "widgets", Map.class, "widgets", "an object in braces");
        if (widgets != null && !widgets.isEmpty()) {
            extra.put("widgets", widgets);
        }
        return extra;
    }

    private Map<String, Object> metadata(Map<String, Object> fields) throws FormatException {
        Map<String, Object> found = new LinkedHashMap<>();
        found.put("source_image_file",
                typed(fields, "source_image_file", String.class, "metadata.source_image_file", "a text"));
        found.put("user_map", typed(fields, "user_map", Map.class, "metadata.user_map", "an object in braces"));
        String place = "metadata.source_transform";
        List<?> transform = typed(fields, "source_transform", List.class, place, "a list");
        if (transform != null) {
            List<Object> single = new ArrayList<>();
            for (Object value : transform) {
                // The editor keeps them in single precision, and writes them as doubles.
                double number = value instanceof Number given ? given.floatValue() : Double.NaN;
                if (Double.isFinite(number)) {
                    single.add(number);
                }
            }
            if (transform.size() != 6 || single.size() != 6) {
                throw new FormatException(where, place, "six numbers [a,b,c,d,tx,ty] in single precision",
                        shown(transform), "value");
            }
            found.put("source_transform", single);
        }
        found.values().removeIf(value -> value == null);
        return found;
    }

    private Item item(Object given, String place) throws FormatException {
        if (!(given instanceof Map)) {
            throw new FormatException(where, place, "an object in braces", shown(given), "value");
        }
        Map<String, Object> fields = object(given);
        Object tag = fields.getOrDefault("", "box");
        Kind kind = tag instanceof String ? KINDS.get(tag) : null;
        if (kind == null) {
            throw new FormatException(where, place, "a tag \"\" of mask, pt, polygon, t, or none", shown(tag), "value");
        }
        if (kind == Kind.POLYGON && !fields.containsKey("pt") && fields.get("p") instanceof List) {
            Map<String, Object> renamed = new LinkedHashMap<>(); // legacy: the key that properties have now
            renamed.put("pt", fields.get("p"));
            renamed.put("open", fields.get("open"));
            fields = renamed;
        }
        Map<String, Object> properties = properties(fields, kind, place);
        double[] box = box(fields, kind, place);
        List<Point> points = kind == Kind.POLYGON || kind == Kind.POINT ? points(fields, kind, place) : List.of();
        String text = kind == Kind.TEXT ? typed(fields, "s", String.class, place + ".s", "a text") : null;
        if (kind == Kind.TEXT && text == null) {
            throw new FormatException(where, place + ".s", "a text", "none", "value");
        }
        boolean open = kind == Kind.POLYGON
                && Boolean.TRUE.equals(typed(fields, "open", Boolean.class, place + ".open", "true or false"));
        Integer percent = property(properties, "confidence", 0, 100, place);
        return new Item(kind, box[0], box[1], box[2], box[3],
                property(properties, "category", 0, Integer.MAX_VALUE, place), percent == null ? null : percent / 100.0,
                property(properties, "rotation", -90, 90, place),
                property(properties, "anchor", 0, Integer.MAX_VALUE, place), points, open, text);
    }

    private Map<String, Object> properties(Map<String, Object> fields, Kind kind, String place) throws FormatException {
        Map<?, ?> given = typed(fields, "p", Map.class, place + ".p", "an object in braces");
        Map<String, Object> found = given == null ? new LinkedHashMap<>() : new LinkedHashMap<>(object(given));
        if (kind == Kind.RECTANGLE && fields.containsKey("rot")) {
            found.put("rotation", fields.get("rot")); // legacy
        }
        return found;
    }

    private Integer property(Map<String, Object> fields, String key, int low, int high, String place)
            throws FormatException {
        if (!fields.containsKey(key)) {
            return null;
        }
        String at = place + ".p." + key;
        int number = whole(fields.get(key), at);
        if (number < low || number > high) {
            throw new FormatException(where, at, high < Integer.MAX_VALUE ? low + " to " + high : "at least " + low,
                    "" + number, key.equals("category") ? "class" : "value");
        }
        return number;
    }

    /** The item's bounds, x0, y0, x1, y1. */
    private double[] box(Map<String, Object> fields, Kind kind, String place) throws FormatException {
        if (kind == Kind.POLYGON || kind == Kind.POINT) {
            List<Point> points = points(fields, kind, place);
            return points.isEmpty() ? new double[4] : new double[] {
                points.stream().mapToDouble(Point::x).min().getAsDouble(),
                points.stream().mapToDouble(Point::y).min().getAsDouble(),
                points.stream().mapToDouble(Point::x).max().getAsDouble(),
                points.stream().mapToDouble(Point::y).max().getAsDouble()};
        }
        if (kind == Kind.RECTANGLE && !fields.containsKey("bounds")) {
            List<String> legacy = List.of("x0", "y0", "x1", "y1");
            if (legacy.stream().anyMatch(fields::containsKey)) {
                double[] corners = new double[4];
                for (int i = 0; i < 4; i++) {
                    corners[i] = whole(fields.get(legacy.get(i)), place + "." + legacy.get(i));
                }
                return corners;
            }
        }
        int[] bounds = wholes(fields, kind == Kind.TEXT ? "b" : "bounds", 4, place);
        return new double[] {bounds[0], bounds[1], (double) bounds[0] + bounds[2], (double) bounds[1] + bounds[3]};
    }

    private List<Point> points(Map<String, Object> fields, Kind kind, String place) throws FormatException {
        int[] flat = kind == Kind.POINT ? wholes(fields, "loc", 2, place) : wholes(fields, "pt", 0, place);
        List<Point> points = new ArrayList<>();
        for (int i = 0; i < flat.length; i += 2) {
            points.add(new Point(flat[i], flat[i + 1]));
        }
        return points;
    }

    /** The whole numbers of a list; `count` of them, or any even number if it is 0. */
    private int[] wholes(Map<String, Object> fields, String key, int count, String place) throws FormatException {
        String at = place + "." + key;
        List<?> values = typed(fields, key, List.class, at, "a list");
        if (values == null || (count > 0 ? values.size() != count : values.size() % 2 != 0)) {
            String wanted = count > 0 ? "a list of " + count + " numbers" : "a list of coordinates x0, y0, x1, y1, ...";
            throw new FormatException(where, at, wanted, values == null ? "none" : shown(values), "value");
        }
        int[] found = new int[values.size()];
        for (int i = 0; i < found.length; i++) {
            found[i] = whole(values.get(i), at);
        }
        return found;
    }

    /** A number, its fraction cut off, as the editor's reader does. */
    private int whole(Object value, String at) throws FormatException {
        if (!(value instanceof Number number) || Math.abs(number.doubleValue()) > Integer.MAX_VALUE) {
            throw new FormatException(where, at, "a whole number of 32 bits", value == null ? "none" : shown(value),
                    "value");
        }
        return (int) number.doubleValue();
    }

    private List<?> list(Map<String, Object> fields, String key, String at) throws FormatException {
        List<?> found = typed(fields, key, List.class, at, "a list");
        return found == null ? List.of() : found;
    }

    /** The value of a key, null where it is missing. */
    private <T> T typed(Map<String, Object> fields, String key, Class<T> type, String at, String wanted)
            throws FormatException {
        Object value = fields.get(key);
        if (value != null && !type.isInstance(value)) {
            throw new FormatException(where, at, wanted, shown(value), "value");
        }
        return type.cast(value);
    }

    @SuppressWarnings("unchecked") // the reader of JSON makes no other maps
    private static Map<String, Object> object(Object map) {
        return (Map<String, Object>) map;
    }

    private static String shown(Object value) {
        return JsonReader.shorten(String.valueOf(value));
    }
}
