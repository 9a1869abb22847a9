package yoloproc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class JsonTest {

    @Test
    void valuesGoThereAndBack() throws FormatException {
        Map<String, Object> value = new LinkedHashMap<>();
        value.put("z \"\\ \u0001 \u00d6 \ud83d\ude00",
                Arrays.asList(1L, -2.5, 1e300, null, true, false, "", List.of()));
        value.put("a", Map.of());
        String text = Json.write(value);
        assertEquals("{\"z \\\"\\\\ \\u0001 \u00d6 \ud83d\ude00\":[1,-2.5,1.0E300,null,true,false,\"\",[]],\"a\":{}}",
                text);
        assertEquals(value, Json.read(text, "x"));
    }

    @Test
    void blanksAndEscapes() throws FormatException {
        assertEquals(Map.of("a", List.of(1L, 2L)), Json.read(" \n{ \"\\u0061\" :\t[ 1 , 2.0 ]\r}\n", "x"));
        assertEquals("/\b\f\n\r\t\ud83d\ude00", Json.read("\"\\/\\b\\f\\n\\r\\t\\ud83d\\uDE00\"", "x"));
        assertEquals(0L, Json.read("-0", "x"));
        assertEquals(1e-7, Json.read("1E-7", "x"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "{", "[1,]", "{\"a\":1,}", "{,}", "[1 2]", "01", "+1", "1.", ".5", "NaN", "tru", "'a'",
        "\"a", "\"\\x\"", "\"\\u12\"", "\"\\u12\uff11\uff11\"", "\"\t\"", "// a\n1", "1 # a", "{} {}", "{1:2}",
        "[1e999]", "\ufeff1"})
    void whatIsNoJsonIsRefused(String text) {
        String told = assertThrows(FormatException.class, () -> Json.read(text, "some.json")).getMessage();
        assertTrue(told.startsWith("some.json: line ") && !told.contains("\n"), told);
    }

    @ParameterizedTest
    @ValueSource(strings = {"\u007f,", "\ufeff1", "[1, \u001b[31m", "{\"a\": \u202e", "\u2028", "\ud83d", "\ue000", "\u00a0"})
    void messagesHaveNoOrdersToAConsole(String text) {
        String told = assertThrows(FormatException.class, () -> Json.read(text, "a\u001b[31m\nb")).getMessage();
        assertTrue(told.startsWith("a\\x1b[31m\\x0ab: line 1"), told);
        assertTrue(told.codePoints().allMatch(sign -> sign >= ' ' && sign < 0x7f), told);
    }

    @Test
    void messagesEnd() {
        String told = assertThrows(FormatException.class, () -> Json.read("[", "a".repeat(5000) + "b")).getMessage();
        assertTrue(told.length() < 1100 && told.startsWith("aaa") && told.endsWith("found the end of the file"), told);
        assertEquals("\u00d6 \ud83d\ude00 \\U000e0001", FormatException.oneLine("\u00d6 \ud83d\ude00 \udb40\udc01"));
    }

    @Test
    void depthIsBounded() throws FormatException {
        Json.read("[".repeat(64) + "]".repeat(64), "x");
        assertThrows(FormatException.class, () -> Json.read("[".repeat(65) + "]".repeat(65), "x"));
        assertThrows(FormatException.class, () -> Json.read("[".repeat(1_000_000), "x"));
    }

    @Test
    void notANumberIsNotWritten() {
        assertThrows(IllegalArgumentException.class, () -> Json.write(Double.NaN));
        assertThrows(IllegalArgumentException.class, () -> Json.write(List.of(Float.POSITIVE_INFINITY)));
        assertThrows(IllegalArgumentException.class, () -> Json.write(new int[1]));
    }
}
