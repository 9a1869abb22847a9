package yoloproc;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

import javax.imageio.ImageIO;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class DetectorTest {

    // sigmoid(10): J of a cell that has one colour
    private static final float SURE = (float) (1 / (1 + Math.exp(-10)));

    private static Detection red(double x0, double y0, double x1, double y1) {
        return new Detection(0, "red", SURE, x0, y0, x1, y1);
    }

    private static Detection blue(double x0, double y0, double x1, double y1) {
        return new Detection(1, "blue", SURE, x0, y0, x1, y1);
    }

    /** The same boxes, by where they begin; confidences of different kernels differ in their last digits. */
    private static void assertFound(List<Detection> expected, List<Detection> found) {
        assertEquals(expected.size(), found.size(), found::toString);
        List<Detection> sorted = new ArrayList<>(found);
        sorted.sort(Comparator.comparingDouble(Detection::y0).thenComparingDouble(Detection::x0));
        for (int i = 0; i < sorted.size(); i++) {
            Detection one = expected.get(i);
            Detection other = sorted.get(i);
            assertEquals(one.label(), other.label());
            assertEquals(one.classId(), other.classId());
            assertEquals(one.confidence(), other.confidence(), 1e-4);
            double[] wanted = {one.x0(), one.y0(), one.x1(), one.y1()};
            assertArrayEquals(wanted, new double[] {other.x0(), other.y0(), other.x1(), other.y1()}, 1e-4);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"cells", "planes", "activated", "one_picture"})
    void everyKindOfInputAndOutputGivesTheSameBoxes(String model) throws IOException {
        try (Detector detector = Models.load(model)) {
            assertFound(List.of(red(16, 0, 32, 16), blue(0, 16, 16, 32)), detector.detect(Models.redAndBlue()));
            List<List<Detection>> found = detector.detectAll(List.of(Models.black(32, 32), Models.redAndBlue()));
            assertEquals(List.of(), found.get(0));
            assertFound(List.of(red(16, 0, 32, 16), blue(0, 16, 16, 32)), found.get(1));
        }
    }

    @Test
    void boxesAreInThePicturesOwnPixels() throws IOException {
        // 64 x 32 in 32 x 32: halved, with 8 rows of grey (114) above and below. It is red, so that the means of each cell
        // are (255 + 114) / 2, 57, 57, and J is 20 * (184.5 - 57) / 255 - 10 = 0.
        RgbImage picture = Models.with(Models.black(64, 32), 0, 0, 64, 32, 0xff0000);
        try (Detector detector = Detector.load(Models.bytes("cells"), Options.DEFAULT.confidence(0.4))) {
            // Cells of 16 network pixels; y less 8, doubled, clipped to the picture.
            assertFound(List.of(new Detection(0, "red", 0.5f, 0, 0, 32, 16), new Detection(0, "red", 0.5f, 32, 0, 64, 16),
                    new Detection(0, "red", 0.5f, 0, 16, 32, 32), new Detection(0, "red", 0.5f, 32, 16, 64, 32)),
                    detector.detect(picture));
        }
        try (Detector detector = Detector.load(Models.bytes("cells"), Options.DEFAULT.confidence(0.6))) {
            assertEquals(List.of(), detector.detect(picture));
        }
    }

    @Test
    void allWaysToGiveAPictureAreOne(@TempDir Path folder) throws IOException {
        BufferedImage image = Pictures.toBufferedImage(Models.redAndBlue());
        ByteArrayOutputStream stream = new ByteArrayOutputStream();
        ImageIO.write(image, "png", stream);
        Path file = Files.write(folder.resolve("\u00e4 picture.png"), stream.toByteArray());
        try (Detector detector = Models.load("cells")) {
            List<Detection> expected = detector.detect(Models.redAndBlue());
            assertEquals(2, expected.size());
            assertEquals(expected, detector.detect(image));
            assertEquals(expected, detector.detect(stream.toByteArray()));
            assertEquals(expected, detector.detect(file));
            List<Object> all = List.of(image, stream.toByteArray(), file, Models.redAndBlue());
            assertEquals(List.of(expected, expected, expected, expected), detector.detectAll(all));
        }
    }

    @Test
    void allWaysToLoadAModelAreOne(@TempDir Path folder) throws IOException {
        Path file = Files.write(folder.resolve("model.onnx"), Models.bytes("cells"));
        try (Detector one = Detector.load(file);
                Detector other = Detector.load(new ByteArrayInputStream(Models.bytes("cells")))) {
            assertEquals(2, one.detect(Models.redAndBlue()).size());
            assertEquals(one.detect(Models.redAndBlue()), other.detect(Models.redAndBlue()));
            assertEquals(List.of("red", "blue"), one.spec().classes());
        }
    }

    @Test
    void manyPicturesKeepTheirOrder() throws IOException {
        // 21: two batches of eight, and five alone. Each has its own number of boxes in its own place.
        List<RgbImage> pictures = new ArrayList<>();
        for (int i = 0; i < 21; i++) {
            RgbImage picture = Models.black(32 + 2 * i, 32 + 2 * i);
            int half = 16 + i;
            picture = i % 2 == 0 ? picture : Models.with(picture, 0, 0, half, half, 0xff0000);
            picture = i % 3 == 0 ? picture : Models.with(picture, half, half, 2 * half, 2 * half, 0x0000ff);
            pictures.add(picture);
        }
        try (Detector detector = Models.load("cells")) {
            List<List<Detection>> found = detector.detectAll(pictures);
            assertEquals(21, found.size());
            for (int i = 0; i < 21; i++) {
                assertEquals((i % 2 == 0 ? 0 : 1) + (i % 3 == 0 ? 0 : 1), found.get(i).size());
                List<Detection> alone = new ArrayList<>(detector.detect(pictures.get(i)));
                alone.sort(Comparator.comparingDouble(Detection::y0).thenComparingDouble(Detection::x0));
                assertFound(alone, found.get(i));
            }
        }
    }

    @Test
    void noPicturesAndNoDetections() throws IOException {
        try (Detector detector = Models.load("cells")) {
            assertEquals(List.of(), detector.detectAll(List.of()));
            assertEquals(List.of(), detector.detect(Models.black(7, 1)));
            assertEquals(0, detector.run(new byte[0]).length);
        }
    }

    @Test
    void optionsGoBeforeWhatTheModelSays() throws IOException {
        assertEquals(0, found(Options.DEFAULT)); // the model's confidence is 0.99999, above that of its boxes
        Options unsure = Options.DEFAULT.confidence(0.9);
        assertEquals(2, found(unsure));
        assertEquals(1, found(unsure.maxDetections(1)));
        // At a largest IoU of 0 any two boxes that are compared are too many, even apart; the model compares all.
        assertEquals(1, found(unsure.maxIou(0)));
        assertEquals(2, found(unsure.maxIou(0).classAgnostic(false)));
        assertEquals(2, found(unsure.maxIou(1).threads(2)));
    }

    private static int found(Options options) throws IOException {
        try (Detector detector = Detector.load(Models.bytes("agnostic"), options)) {
            return detector.detect(Models.redAndBlue()).size();
        }
    }

    @Test
    void theRuntimesOwnOptionsCanBeChanged() throws IOException {
        List<String> seen = new ArrayList<>();
        Options options = Options.DEFAULT.session(settings -> seen.add(settings.getClass().getSimpleName()));
        try (Detector detector = Detector.load(Models.bytes("cells"), options)) {
            assertEquals(List.of("SessionOptions"), seen);
            assertEquals(2, detector.detect(Models.redAndBlue()).size());
        }
        RuntimeException mine = new RuntimeException("mine");
        Options failing = Options.DEFAULT.session(settings -> {
            throw mine;
        });
        byte[] model = Models.bytes("cells");
        assertEquals(mine, assertThrows(RuntimeException.class, () -> Detector.load(model, failing)));
    }

    @Test
    void theNetworkAlone() throws IOException {
        try (Detector detector = Models.load("cells")) {
            byte[] three = new byte[3 * 3 * 32 * 32];
            System.arraycopy(Models.redAndBlue().rgb(), 0, three, 3 * 32 * 32, 3 * 32 * 32);
            float[] logits = detector.run(three);
            assertEquals(3 * 4 * 7, logits.length);
            assertEquals(-10, logits[4], 1e-4); // black
            float[] second = {0, 0, 0, 0, 10, 10, 0}; // slot 1 of picture 1 is red
            float[] found = new float[7];
            System.arraycopy(logits, (4 + 1) * 7, found, 0, 7);
            assertArrayEquals(second, found, 1e-4f);
            assertThrows(IllegalArgumentException.class, () -> detector.run(new byte[3 * 32 * 32 + 1]));
        }
    }
}
