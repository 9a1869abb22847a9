package yoloproc;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import yoloproc.LabelCodec.Grid;

class ModelSpecTest {

    private static final String JSON = """
            {"version":1,"classes":["A","\\u00d6","\\ud83d\\ude00"],"news":{"x":[1,2]},
             "input":{"name":"images","layout":"nhwc","type":"uint8","range":[0,255],"color":"rgb","width":256,
                      "height":128},
             "letterbox":{"rule":1,"pad":[114,114,114]},
             "output":{"name":"logits","activated":false},
             "grids":[{"stride":16,"columns":16,"rows":8,"anchors":[[61.5,30],[8,8]]}],
             "defaults":{"confidence":0.65,"max_iou":0.4,"nms":"agnostic","max_candidates":1000,"max_detections":300},
             "training":{"images":500}}
            """;

    @Test
    void readsWhatAModelSays() throws FormatException {
        ModelSpec spec = ModelSpec.read(JSON, "model.json");
        assertEquals(List.of("A", "\u00d6", "\ud83d\ude00"), spec.classes());
        assertEquals(new ModelSpec.Input("images", ModelSpec.Layout.NHWC, ModelSpec.Type.UINT8, 0, 255, 256, 128),
                spec.input());
        assertArrayEquals(new long[] {2, 128, 256, 3}, spec.input().shape(2));
        assertEquals(List.of(new Grid(16, 16, 8, List.of(new Grid.Anchor(61.5, 30), new Grid.Anchor(8, 8)))),
                spec.grids());
        assertEquals(new ModelSpec.Defaults(0.65, 0.4, true, 1000, 300), spec.defaults());
        assertFalse(spec.output().activated());
        assertEquals(500L, spec.training().get("images"));
        assertEquals(256, spec.codec().slots());
        assertEquals(8, spec.codec().fields());
    }

    @Test
    void whatMayBeMissing() throws FormatException {
        String json = JSON.replaceAll("\"defaults\":\\{[^}]*\\},\\s*\"training\":\\{[^}]*\\}", "\"x\":null");
        assertEquals(ModelSpec.Defaults.USUAL, ModelSpec.read(json, "model.json").defaults());
    }

    @Test
    void floatsInPlanes() throws FormatException {
        String json = JSON.replace("nhwc", "nchw").replace("uint8", "float32").replace("[0,255]", "[0,1]");
        ModelSpec spec = ModelSpec.read(json, "model.json");
        assertArrayEquals(new long[] {1, 3, 128, 256}, spec.input().shape(1));
        assertEquals(1, spec.input().high());
    }

    @ParameterizedTest
    @CsvSource(delimiter = ';', quoteCharacter = '`', value = {
        "\"version\":1; \"version\":2; version; expected version 1, found 2",
        "\"version\":1; \"v\":1; version; found none",
        "\"A\",; 7,; classes; expected a list of names, found '7'",
        "\"nhwc\"; \"hwc\"; input.layout; expected nhwc or nchw, found 'hwc'",
        "\"rgb\"; \"bgr\"; input.color; expected rgb, found 'bgr'",
        "[0,255]; [0,1]; input.range; found '[0, 1]'",
        "\"width\":256; \"width\":0; input.width; found '0'",
        "\"width\":256; \"width\":240; grids[0]; a grid over 240 x 128",
        "\"rule\":1; \"rule\":2; letterbox.rule; expected 1, found '2'",
        "[114,114,114]; [0,0,0]; letterbox.pad; found '[0, 0, 0]'",
        "\"activated\":false; \"activated\":0; output.activated; expected true or false",
        "[61.5,30]; [61.5]; grids[0].anchors; expected a list of [width, height]",
        "[61.5,30]; [61.5,-3]; grids[0].anchors; positive anchors",
        "\"stride\":16; \"stride\":16.5; grids[0].stride; found '16.5'",
        "0.65; 65; defaults.confidence; expected a number, 0 to 1, found '65'",
        "\"agnostic\"; \"none\"; defaults.nms; expected class or agnostic, found 'none'",
        "\"max_detections\":300; \"max_detections\":0; defaults.max_detections; found '0'",
        "\"max_candidates\":1000; \"max_candidates\":1e18; defaults.max_candidates; found '1000000000000000000'",
        "0.65; NaN; line 7, column 27; a value, found 'NaN",
        "500; [Infinity]; line 8, column 24; a value, found 'Infinity",
        "\"A\",; \"a\\nb\",; classes[0]; expected text that fits a line, found U+000A in it",
        "\"A\",; \"\\u001b[2J\",; classes[0]; found U+001B in it",
        "\"A\",; \"\\u009b2J\",; classes[0]; found U+009B in it",
        "\"A\",; \"\\u2028\",; classes[0]; found U+2028 in it",
        "\"A\",; \"\\u202e\",; classes[0]; found U+202E in it",
        "\"A\",; \"\\ud800\",; classes[0]; found U+D800 in it",
        "\"A\",; \"\",; classes[0]; expected a name, found an empty text",
        "\"images\",\"layout\"; \"a\\r\",\"layout\"; input.name; expected text that fits a line, found U+000D",
        "\"logits\"; \"\\u0000\"; output.name; expected text that fits a line, found U+0000",
        "\"width\":256; \"width\":1e6; grids[0]; a grid over 1000000 x 128",
        "[61.5,30]; [61.5,1e7]; grids[0].anchors; sides of at most 1048576 pixels",
        "\"training\":; training; line 8, column 2; a key in",
    })
    void saysWhatIsWrong(String from, String to, String place, String told) {
        assertTrue(JSON.contains(from), from);
        FormatException error = assertThrows(FormatException.class,
                () -> ModelSpec.read(JSON.replace(from, to), "model.json"));
        assertEquals(place, error.place());
        assertTrue(error.getMessage().startsWith("model.json: " + place + ": expected "), error.getMessage());
        assertTrue(error.getMessage().contains(told), error.getMessage());
        assertEquals(place.equals("version") && to.endsWith("2") ? "version" : place.startsWith("line") ? "syntax"
                : "value", error.reason());
    }

    @Test
    void whatNoMemoryHolds() {
        String[] told = {"input: expected at most 268435456 pixels, found 1048576 x 1048576",
            "grids: expected at most 268435456 values for a picture, found 536870912"};
        String large = JSON.replace("\"width\":256", "\"width\":1048576").replace("\"height\":128", "\"height\":1048576");
        String many = JSON.replace("\"width\":256", "\"width\":8192").replace("\"height\":128", "\"height\":4096")
                .replace("\"stride\":16,\"columns\":16,\"rows\":8", "\"stride\":1,\"columns\":8192,\"rows\":4096");
        assertTrue(assertThrows(FormatException.class, () -> ModelSpec.read(large, "m")).getMessage().contains(told[0]));
        assertTrue(assertThrows(FormatException.class, () -> ModelSpec.read(many, "m")).getMessage().contains(told[1]));
        assertThrows(FormatException.class, () -> ModelSpec.read(" ".repeat(1 << 25), "m"));
        String deep = JSON.replace("{\"images\":500}", "{\"a\":" + "[".repeat(5000) + "]".repeat(5000) + "}");
        assertThrows(FormatException.class, () -> ModelSpec.read(deep, "m"));
        for (String number : new String[] {"1e400", "-1e400", "1".repeat(310)}) {
            String json = JSON.replace("0.65", number);
            String said = assertThrows(FormatException.class, () -> ModelSpec.read(json, "m")).getMessage();
            assertTrue(said.startsWith("m: line 7, column 27: expected a number of 64 bits, found '"), said);
        }
        String digits = JSON.replace("500", "1".repeat(401));
        assertThrows(FormatException.class, () -> ModelSpec.read(digits, "m"));
    }

    @Test
    void theOutputsShapeIsCompared() throws FormatException {
        ModelSpec spec = ModelSpec.read(JSON, "model.json");
        spec.checkOutput(new long[] {-1, 256, 8}, "model.onnx");
        spec.checkInput(new long[] {7, 128, 256, 3}, "model.onnx");
        for (long[] shape : new long[][] {{-1, 256, 7}, {-1, 255, 8}, {256, 8}, {-1, 256, 8, 1}, {}}) {
            String told = assertThrows(FormatException.class, () -> spec.checkOutput(shape, "model.onnx")).getMessage();
            assertTrue(told.contains("expected the shape [N, 256, 8], found ["), told);
        }
        assertThrows(FormatException.class, () -> spec.checkInput(new long[] {-1, 3, 128, 256}, "model.onnx"));
    }

    @Test
    void thresholdsOutOfRange() {
        for (double share : new double[] {-0.01, 1.01, Double.NaN}) {
            assertThrows(IllegalArgumentException.class, () -> new ModelSpec.Defaults(share, 0.4, false, 1, 1));
            assertThrows(IllegalArgumentException.class, () -> new ModelSpec.Defaults(0.5, share, false, 1, 1));
        }
        assertThrows(IllegalArgumentException.class, () -> new ModelSpec.Defaults(0.5, 0.4, false, 0, 1));
        assertThrows(IllegalArgumentException.class, () -> new ModelSpec.Defaults(0.5, 0.4, false, 1, 0));
    }
}
