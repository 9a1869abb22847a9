package yoloproc.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import yoloproc.Json;
import yoloproc.RgbImage;

class ClassifyCommandTest {

    private static final Path MODELS = Path.of("..", "detector", "src", "test", "resources", "models");
    private static final Path MODEL = MODELS.resolve("colours.onnx");

    @TempDir
    Path folder;
    private Path red;

    @BeforeEach
    void writePicture() throws IOException {
        byte[] rgb = new byte[32 * 32 * 3];
        for (int i = 0; i < rgb.length; i += 3) {
            rgb[i] = (byte) 255;
        }
        red = Files.write(folder.resolve("red.png"), DrawnPictures.png(new RgbImage(32, 32, rgb)));
    }

    @Test
    void linesForPeople() {
        CommandLine ran = CommandLine.run("classify", MODEL, red, "--top", "2");
        assertEquals(red + ": red 1.0000, blue 0.0000 (margin 10.00)", ran.out().strip());
        assertEquals(0, ran.code());
        assertEquals("", ran.err());
    }

    @Test
    void jsonOfPicturesAndOfThoseThatCannotBeRead() throws IOException {
        Path missing = folder.resolve("missing.png");
        CommandLine ran = CommandLine.run("classify", "--json", MODEL, red, missing, "--top", "1");
        assertEquals(0, ran.code());
        Object expected = Json.read(Json.write(List.of(
                Map.of("file", red.toString(), "width", 32, "height", 32, "classes",
                        List.of(Map.of("class_id", 0, "label", "red", "confidence", 0.999954)), "margin", 10.0),
                Map.of("file", missing.toString(), "error", missing + ": expected a picture, found no such file"))),
                "expected");
        assertEquals(expected, Json.read(ran.out(), "found"));
        assertEquals("yolo-proc: " + missing + ": expected a picture, found no such file", ran.err().strip());
        assertEquals(2, CommandLine.run("classify", MODEL, missing).code());
    }

    @Test
    void theOtherCommandsTakeAClassifierToo() throws IOException {
        String described = CommandLine.run("describe", MODEL).out();
        assertTrue(described.startsWith("task     classification"), described);
        assertTrue(described.contains("output   logits: N x 3 classes, raw logits"), described);
        CommandLine traced = CommandLine.run("trace", MODEL, red, "--outputs", folder.resolve("raw"));
        assertTrue(traced.out().contains("\"classes\":[{"), traced.out());
        assertEquals(3 * Float.BYTES, Files.size(folder.resolve("raw").resolve("red.png.f32")));
    }

    @Test
    void mistakesAreOneLine() {
        for (Object[] words : new Object[][] {{"classify", MODEL, red, "--top", "0"}, {"classify", MODEL},
            {"classify", MODELS.resolve("cells.onnx"), red}, {"detect", MODEL, red},
            {"classify", MODEL, red, "--confidence", "0.5"}, {"trace", MODEL, red, "--confidence", "0.5"}}) {
            CommandLine ran = CommandLine.run(words);
            assertEquals(2, ran.code(), List.of(words).toString());
            assertEquals(1, ran.err().strip().lines().count(), ran.err());
        }
    }
}
