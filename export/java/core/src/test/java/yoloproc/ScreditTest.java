package yoloproc;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;

import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

import yoloproc.Scredit.Item;
import yoloproc.Scredit.Kind;
import yoloproc.Scredit.Point;
import yoloproc.Scredit.Script;

class ScreditTest {

    private static final Path FOLDER = TestFiles.scripts();

    private static List<Map<?, ?>> list(String file) throws IOException {
        List<Map<?, ?>> entries = new ArrayList<>();
        for (Object each : (List<?>) Json.read(Files.readString(FOLDER.resolve(file), StandardCharsets.UTF_8), file)) {
            entries.add((Map<?, ?>) each);
        }
        assertFalse(entries.isEmpty());
        return entries;
    }

    @TestFactory
    Stream<DynamicTest> goldenScripts() throws IOException {
        return list("index.json").stream()
                .map(entry -> DynamicTest.dynamicTest((String) entry.get("file"), () -> check(entry)));
    }

    private static void check(Map<?, ?> entry) throws IOException {
        byte[] data = Files.readAllBytes(FOLDER.resolve((String) entry.get("file")));
        if (!(Boolean) entry.get("valid")) {
            FormatException error = assertThrows(FormatException.class, () -> Scredit.read(data, "a.json"));
            assertEquals(entry.get("reason"), error.reason(), error.getMessage());
            assertEquals(entry.get("place"), error.place(), error.getMessage());
            assertFalse(error.getMessage().contains("\n"), error.getMessage());
            return;
        }
        Script script = Scredit.read(data, "a.json");
        assertEquals(items(entry), script.items());
        Map<?, ?> extra = entry.get("extra") == null ? Map.of() : (Map<?, ?>) entry.get("extra");
        assertEquals(numbers(extra), numbers(script.extra()));
        byte[] expected = Files.readAllBytes(FOLDER.resolve((String) entry.get("rewritten")));
        assertEquals(text(expected), text(Scredit.write(script, 0, 0)));
        assertArrayEquals(expected, Scredit.write(Scredit.read(expected, "b.json"), 0, 0));
    }

    @TestFactory
    Stream<DynamicTest> goldenWriting() throws IOException {
        return list("writing.json").stream().map(entry -> DynamicTest.dynamicTest((String) entry.get("file"), () -> {
            byte[] found = Scredit.write(new Script(items(entry), Map.of()), ((Long) entry.get("width")).intValue(),
                    ((Long) entry.get("height")).intValue());
            assertEquals(text(Files.readAllBytes(FOLDER.resolve((String) entry.get("file")))), text(found));
        }));
    }

    private static List<Item> items(Map<?, ?> entry) {
        List<Item> items = new ArrayList<>();
        for (Object each : (List<?>) entry.get("items")) {
            Map<?, ?> fields = (Map<?, ?>) each;
            List<?> box = (List<?>) fields.get("xyxy");
            List<Point> points = new ArrayList<>();
            for (Object point : fields.get("points") == null ? List.of() : (List<?>) fields.get("points")) {
                points.add(new Point(number(((List<?>) point).get(0)), number(((List<?>) point).get(1))));
            }
            items.add(new Item(Kind.valueOf(((String) fields.get("kind")).toUpperCase(Locale.ROOT)), number(box.get(0)),
                    number(box.get(1)), number(box.get(2)), number(box.get(3)), whole(fields.get("category")),
                    fields.get("confidence") == null ? null : number(fields.get("confidence")),
                    whole(fields.get("rotation")), whole(fields.get("anchor")), points,
                    Boolean.TRUE.equals(fields.get("open")), (String) fields.get("text")));
        }
        return items;
    }

    private static double number(Object value) {
        return ((Number) value).doubleValue();
    }

    private static Integer whole(Object value) {
        return value == null ? null : ((Number) value).intValue();
    }

    /** The same with every number a double, so that equal numbers are equal. */
    private static Object numbers(Object value) {
        if (value instanceof Map<?, ?> map) {
            Map<Object, Object> found = new HashMap<>();
            map.forEach((key, inner) -> found.put(key, numbers(inner)));
            return found;
        }
        if (value instanceof List<?> list) {
            List<Object> found = new ArrayList<>();
            list.forEach(inner -> found.add(numbers(inner)));
            return found;
        }
        return value instanceof Number number ? number.doubleValue() : value;
    }

    private static String text(byte[] data) {
        return new String(data, StandardCharsets.UTF_8);
    }

    @Test
    void detectionsBecomeRectangles() {
        List<Detection> found = List.of(new Detection(2, "C", 0.874f, 10.4, 20.5, 30.6, 40.2));
        assertEquals("{\"items\":[{\"bounds\":[10,21,21,19],\"p\":{\"category\":2,\"confidence\":87}}],"
                + "\"usage\":\"nominal\",\"widgets\":{}}", text(Scredit.write(found, 100, 100)));
        assertEquals("{\"items\":[],\"usage\":\"nominal\",\"widgets\":{}}", text(Scredit.write(List.of(), 100, 100)));
    }

    @Test
    void scriptsLieBesideTheirPictures() {
        assertEquals(Path.of("x", "annotations", "a.json"), Scredit.scriptOf(Path.of("x", "a.jpg")));
        assertThrows(IllegalArgumentException.class, () -> Scredit.scriptOf(Path.of("img.0001.jpg")));
        assertThrows(IllegalArgumentException.class, () -> Scredit.scriptOf(Path.of("none")));
    }

    @Test
    void whatNoScriptCanHaveIsRefused() {
        for (String text : List.of("a\u0001", "\ud83d", "\ude00")) {
            Item item = new Item(Kind.TEXT, 0, 0, 9, 9, null, null, null, null, List.of(), false, text);
            Script script = new Script(List.of(item), Map.of());
            assertThrows(IllegalArgumentException.class, () -> Scredit.write(script, 9, 9));
        }
        Item item = new Item(Kind.RECTANGLE, 0, 0, Double.NaN, 9, null, null, null, null, List.of(), false, null);
        assertThrows(IllegalArgumentException.class, () -> Scredit.write(new Script(List.of(item), Map.of()), 9, 9));
    }

    @Test
    void doublesHaveTheirShortestDigits() {
        assertEquals("0.002", ScreditWriter.shortest(2e-3)); // Java 17 itself: 0.0020
        assertEquals("2.0E-4", ScreditWriter.shortest(2e-4));
        assertEquals("2.0E23", ScreditWriter.shortest(2e23));
        assertEquals("-1.0E7", ScreditWriter.shortest(-1e7));
        assertEquals("9999999.5", ScreditWriter.shortest(9999999.5));
        assertEquals("-120.0", ScreditWriter.shortest(-120));
        assertEquals("0.30000000000000004", ScreditWriter.shortest(0.1 + 0.2));
    }
}
