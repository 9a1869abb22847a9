package yoloproc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.zip.CRC32;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What users give by mistake: each gives one line that says what is wrong. */
class BadInputTest {

    private static void assertLine(String part, Throwable error) {
        String message = error.getMessage();
        assertTrue(message.contains(part), message);
        assertFalse(message.contains("\n"), message);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "no_metadata   | expected metadata of the key yolo_proc, found none",
        "version_2     | expected version 1, found 2",
        "three_classes | output logits: expected the shape [N, 4, 8]",
        "other_type    | input images: expected FLOAT, as its metadata says, found UINT8",
        "other_name    | expected a tensor as output boxes, found logits",
    })
    void modelsThatAreNotOurs(String name, String part) throws IOException {
        byte[] model = Models.bytes(name);
        assertLine(part, assertThrows(FormatException.class, () -> Detector.load(model)));
    }

    @Test
    void noModelAtAll() {
        byte[] text = "<html>not found</html>".getBytes(StandardCharsets.UTF_8);
        assertLine("expected an ONNX model", assertThrows(FormatException.class, () -> Detector.load(text)));
        assertLine("an empty file", assertThrows(FormatException.class, () -> Detector.load(new byte[0])));
        InputStream none = BadInputTest.class.getResourceAsStream("/no/such/model.onnx");
        assertLine("found null", assertThrows(NullPointerException.class, () -> Detector.load(none)));
    }

    @Test
    void truncatedModels() throws IOException {
        byte[] model = Models.bytes("cells");
        for (int length = 1; length < model.length; length += 61) {
            byte[] part = Arrays.copyOf(model, length);
            FormatException error = assertThrows(FormatException.class, () -> Detector.load(part), "" + length);
            assertLine("expected ", error);
        }
    }

    @Test
    void filesThatAreNoModel(@TempDir Path folder) {
        Path missing = folder.resolve("m.onnx");
        assertLine("m.onnx: expected a model such as model.onnx, found no such file",
                assertThrows(FormatException.class, () -> Detector.load(missing)));
        assertLine("a folder", assertThrows(IOException.class, () -> Detector.load(folder)));
    }

    @ParameterizedTest
    @ValueSource(doubles = {-0.01, 1.01, Double.NaN, Double.POSITIVE_INFINITY})
    void thresholdsOutOfRange(double value) {
        assertLine("confidence: expected 0 to 1, found " + value,
                assertThrows(IllegalArgumentException.class, () -> Options.DEFAULT.confidence(value)));
        assertLine("maxIou: expected 0 to 1, found " + value,
                assertThrows(IllegalArgumentException.class, () -> Options.DEFAULT.maxIou(value)));
    }

    @Test
    void countsOutOfRange() {
        assertLine("maxDetections: expected at least 1, found 0",
                assertThrows(IllegalArgumentException.class, () -> Options.DEFAULT.maxDetections(0)));
        assertLine("threads: expected 0 (one a processor) or more, found -1",
                assertThrows(IllegalArgumentException.class, () -> Options.DEFAULT.threads(-1)));
    }

    @Test
    void networksThatGiveNaN() throws IOException {
        try (Detector detector = Models.load("nan")) {
            InferenceException error = assertThrows(InferenceException.class,
                    () -> detector.detect(Models.redAndBlue()));
            assertLine("expected numbers from the network, found NaN: slot 0, field 0", error);
            // The memory is given back all the same.
            assertThrows(InferenceException.class, () -> detector.detectAll(List.of(Models.redAndBlue())));
        }
    }

    @Test
    void thingsThatAreNoPicture(@TempDir Path folder) throws IOException {
        byte[] text = "not a picture".getBytes(StandardCharsets.UTF_8);
        try (Detector detector = Models.load("cells")) {
            assertLine("expected", assertThrows(FormatException.class, () -> detector.detect(text)));
            assertLine("expected", assertThrows(FormatException.class, () -> detector.detect(new byte[0])));
            assertLine("expected a picture, found no such file",
                    assertThrows(FormatException.class, () -> detector.detect(folder.resolve("a.png"))));
            assertLine("expected a Path, byte[], BufferedImage or RgbImage, found java.lang.String",
                    assertThrows(IllegalArgumentException.class, () -> detector.detectAll(List.of("photo.jpg"))));
            assertLine("found null", assertThrows(IllegalArgumentException.class,
                    () -> detector.detectAll(Arrays.asList((Object) null))));
            assertLine("expected sides of at least 1 pixel, found 0 x 5",
                    assertThrows(IllegalArgumentException.class, () -> new RgbImage(0, 5, new byte[0])));
            // None of them did harm.
            assertEquals(2, detector.detect(Models.redAndBlue()).size());
        }
    }

    @Test
    void nothingAtAll() throws IOException {
        try (Detector detector = Models.load("cells")) {
            // ImageIO.read gives null for what it does not know, and users pass it on.
            String[] told = {"picture: expected a BufferedImage, found null; ImageIO.read gives null",
                "expected a Path, byte[], BufferedImage or RgbImage, found null", "expected an RgbImage, found null",
                "pictures: expected a list, found null"};
            List<Executable> calls = List.of(() -> detector.detect((BufferedImage) null),
                    () -> detector.detect((Path) null), () -> detector.detect((RgbImage) null),
                    () -> detector.detectAll(null));
            for (int i = 0; i < told.length; i++) {
                assertLine(told[i], assertThrows(IllegalArgumentException.class, calls.get(i)));
            }
            assertLine(told[1], assertThrows(IllegalArgumentException.class, () -> detector.detect((byte[]) null)));
            assertEquals(2, detector.detect(Models.redAndBlue()).size());
        }
        byte[] model = Models.bytes("cells");
        assertLine("expected a path, found null",
                assertThrows(NullPointerException.class, () -> Detector.load((Path) null)));
        assertLine("expected bytes, found null",
                assertThrows(NullPointerException.class, () -> Detector.load((byte[]) null)));
        assertLine("options: expected some, found null",
                assertThrows(NullPointerException.class, () -> Detector.load(model, null)));
    }

    @Test
    void pictureBombs() throws IOException {
        try (Detector detector = Models.load("cells")) {
            for (int side : new int[] {20_000, Integer.MAX_VALUE}) {
                FormatException error = assertThrows(FormatException.class, () -> detector.detect(pngOf(side, side)));
                assertEquals("bomb", error.reason());
            }
            assertThrows(FormatException.class, () -> detector.detect(pngOf(0, 5)));
        }
    }

    /** The beginning of a PNG that promises so many pixels. */
    private static byte[] pngOf(int width, int height) throws IOException {
        ByteArrayOutputStream header = new ByteArrayOutputStream();
        DataOutputStream data = new DataOutputStream(header);
        data.write("IHDR".getBytes(StandardCharsets.US_ASCII));
        data.writeInt(width);
        data.writeInt(height);
        data.write(new byte[] {8, 2, 0, 0, 0});
        CRC32 sum = new CRC32();
        sum.update(header.toByteArray());
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        DataOutputStream file = new DataOutputStream(bytes);
        file.write(new byte[] {(byte) 0x89, 'P', 'N', 'G', 13, 10, 26, 10});
        file.writeInt(13);
        file.write(header.toByteArray());
        file.writeInt((int) sum.getValue());
        file.write(new byte[100]);
        return bytes.toByteArray();
    }
}
