package yoloproc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A classifier whose logits are 10 times the mean of red, of blue, and of green less 5. */
class ClassifierTest {

    private static Classifier load(String name) throws IOException {
        return Classifier.load(Models.bytes(name), Options.DEFAULT.threads(1));
    }

    private static RgbImage plain(int width, int height, int colour) {
        return Models.with(Models.black(width, height), 0, 0, width, height, colour);
    }

    @Test
    void theFirstClassIsTheLikeliest() throws IOException {
        try (Classifier classifier = load("colours")) {
            Classification blue = classifier.classify(plain(32, 32, 0x0000ff));
            assertEquals("blue", blue.best().label());
            assertEquals(1, blue.best().classId());
            assertEquals(10, blue.margin(), 1e-4);
            assertEquals(1 / (1 + Math.exp(-10) + Math.exp(-15)), blue.best().confidence(), 1e-6);
            assertEquals(List.of("blue", "red", "green"), blue.scores().stream().map(Classification.Score::label).toList());
            assertEquals(1, blue.scores().stream().mapToDouble(Classification.Score::confidence).sum(), 1e-12);
            assertEquals(List.of(blue.best()), blue.top(1));
            assertEquals(3, blue.top(10).size());
            assertEquals("blue 1.0000", blue.toString());
        }
    }

    @Test
    void equalClassesComeInTheirOrder() throws IOException {
        try (Classifier classifier = load("colours")) {
            Classification grey = classifier.classify(plain(32, 32, 0x808080));
            assertEquals(List.of(0, 1, 2), grey.scores().stream().map(Classification.Score::classId).toList());
            assertEquals(0, grey.margin());
        }
    }

    @Test
    void aPictureOfAnotherShapeIsLetterboxed() throws IOException {
        try (Classifier classifier = load("colours")) {
            RgbImage wide = plain(64, 32, 0xff0000); // half of the frame is grey then
            float[] raw = classifier.run(Letterbox.of(64, 32, 32, 32).apply(wide.rgb()));
            assertEquals(10 * (0.5 + 0.5 * 114 / 255), raw[0], 1e-4);
            assertEquals("red", classifier.classify(wide).best().label());
            BufferedImage image = new BufferedImage(8, 8, BufferedImage.TYPE_INT_RGB);
            image.setRGB(0, 0, 0xff);
            assertEquals("blue", classifier.classify(image).best().label()); // by one pixel
        }
    }

    @Test
    void probabilitiesInTheGraphGiveTheSame() throws IOException {
        try (Classifier raw = load("colours"); Classifier shares = load("colour_shares")) {
            for (int colour : new int[] {0xff0000, 0x0000ff, 0x00ff00, 0x123456}) {
                Classification one = raw.classify(plain(32, 32, colour));
                Classification other = shares.classify(plain(32, 32, colour));
                assertEquals(one.best().classId(), other.best().classId());
                assertEquals(one.best().confidence(), other.best().confidence(), 1e-6);
                assertEquals(one.margin(), other.margin(), 1e-3);
            }
        }
    }

    @Test
    void manyPicturesAreEachAlone() throws IOException {
        try (Classifier classifier = load("colours")) {
            List<RgbImage> pictures = new ArrayList<>();
            for (int i = 0; i < 19; i++) { // two batches and three more
                pictures.add(plain(32, 32, i % 3 == 0 ? 0xff : i % 3 == 1 ? 0xff00 : 0xff0000));
            }
            List<Classification> found = classifier.classifyAll(pictures);
            assertEquals(19, found.size());
            for (int i = 0; i < 19; i++) {
                assertEquals(classifier.classify(pictures.get(i)), found.get(i));
            }
            assertEquals(List.of(), classifier.classifyAll(List.of()));
            assertEquals(0, classifier.run(new byte[0]).length);
            assertEquals(19 * 3, classifier.run(new byte[19 * 32 * 32 * 3]).length);
        }
    }

    @Test
    void itLoadsFromAPathBytesOrAStream(@TempDir Path folder) throws IOException {
        byte[] model = Models.bytes("colours");
        Path file = Files.write(folder.resolve("model.onnx"), model);
        try (Classifier one = Classifier.load(file); Classifier other = Classifier.load(new ByteArrayInputStream(model))) {
            assertEquals(one.spec(), other.spec());
            assertEquals(ModelSpec.Task.CLASSIFICATION, one.spec().task());
            assertEquals(one.spec(), ModelSpec.ofModel(file));
        }
    }

    @Test
    void mistakesAreOneLine() throws IOException {
        byte[] detector = Models.bytes("cells");
        byte[] classifier = Models.bytes("colours");
        String told = assertThrows(FormatException.class, () -> Classifier.load(detector)).getMessage();
        assertTrue(told.contains("expected classification, found detection; Detector reads it"), told);
        told = assertThrows(FormatException.class, () -> Detector.load(classifier)).getMessage();
        assertTrue(told.contains("expected detection, found classification; Classifier reads it"), told);
        told = assertThrows(IllegalArgumentException.class,
                () -> Classifier.load(classifier, Options.DEFAULT.confidence(0.5))).getMessage();
        assertTrue(told.contains("confidence: expected none for a classifier"), told);
        try (Classifier broken = load("colours_nan")) {
            told = assertThrows(InferenceException.class, () -> broken.classify(plain(32, 32, 0))).getMessage();
            assertTrue(told.contains("found NaN of class 0"), told);
        }
        Classifier closed = load("colours");
        closed.close();
        told = assertThrows(IllegalStateException.class, () -> closed.classify(plain(32, 32, 0))).getMessage();
        assertTrue(told.contains("classifier: expected an open one"), told);
        try (Classifier open = load("colours")) {
            assertThrows(IllegalStateException.class, () -> open.spec().codec());
            assertThrows(IllegalArgumentException.class, () -> open.classify((RgbImage) null));
            assertThrows(IllegalArgumentException.class, () -> open.classifyAll(null));
            assertThrows(IllegalArgumentException.class, () -> open.classifyAll(Collections.singletonList("photo.jpg")));
        }
    }
}
