package yoloproc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;

import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

import yoloproc.GoldenVectors.Array;

class VectorsTest {

    private static final GoldenVectors VECTORS = read();

    private static GoldenVectors read() {
        try {
            return GoldenVectors.read(TestFiles.vectors());
        } catch (IOException error) {
            throw new AssertionError("the golden vectors must be there", error);
        }
    }

    @TestFactory
    Stream<DynamicTest> everyStageGivesWhatItMust() {
        Replay replay = new Replay(VECTORS, null);
        return VECTORS.cases().stream().filter(each -> !each.stage().equals("model"))
                .map(each -> DynamicTest.dynamicTest(each.name(),
                        () -> assertEquals(List.of(), replay.differences(each))));
    }

    @Test
    void noStageIsLeftOut() {
        Set<String> stages = new TreeSet<>();
        VECTORS.cases().forEach(each -> stages.add(each.stage()));
        assertEquals(new TreeSet<>(Set.of("picture", "letterbox", "model", "activate", "decode", "nms", "picture_boxes",
                "deactivate", "assign")), stages);
        assertTrue(VECTORS.cases().size() >= 20);
        assertEquals(2, VECTORS.model().grids().size());
    }

    @Test
    void filesThatAreMissingOrChangedAreRefused(@TempDir Path folder) throws IOException {
        assertThrows(IOException.class, () -> GoldenVectors.read(folder));
        try (Stream<Path> files = Files.list(TestFiles.vectors())) {
            for (Path file : (Iterable<Path>) files::iterator) {
                Files.copy(file, folder.resolve(file.getFileName()));
            }
        }
        assertEquals(VECTORS.cases().size(), GoldenVectors.read(folder).cases().size());
        Path file = folder.resolve("decode_tie.logits.f32");
        byte[] data = Files.readAllBytes(file);
        data[7] ^= 1;
        Files.write(file, data);
        String told = assertThrows(FormatException.class, () -> GoldenVectors.read(folder)).getMessage();
        assertTrue(told.contains("decode_tie.logits.f32") && told.contains("SHA-256"), told);
        Files.delete(file);
        told = assertThrows(FormatException.class, () -> GoldenVectors.read(folder)).getMessage();
        assertTrue(told.contains("decode_tie.logits.f32") && told.contains("none"), told);
        Files.writeString(folder.resolve("index.json"), "{\"version\": 2}");
        assertEquals("version", assertThrows(FormatException.class, () -> GoldenVectors.read(folder)).reason());
    }

    @Test
    void theStageOfTheNetworkIsCompared() throws Exception {
        GoldenVectors.Case each = VECTORS.cases().stream().filter(one -> one.stage().equals("model")).findFirst().get();
        float[] right = ((Array) each.out().get("logits")).floats();
        assertEquals(List.of(), new Replay(VECTORS, (images, pictures) -> right.clone()).differences(each));
        float[] wrong = right.clone();
        wrong[wrong.length - 1] += 0.01f * Math.max(1, Math.abs(wrong[wrong.length - 1]));
        assertEquals(1, new Replay(VECTORS, (images, pictures) -> wrong).differences(each).size());
        assertEquals(1, new Replay(VECTORS, (images, pictures) -> new float[right.length]).differences(each).size());
    }

    @Test
    void differencesAreMeasured() {
        Array expected = new Array("f64", List.of(3), new double[] {0, 100, -0.5});
        assertEquals("", difference(expected, 0.0005, 100.05, -0.5, false));
        assertTrue(difference(expected, 0.0005, 100.05, -0.5, true).startsWith("expected 100.0 at 1, found 100.05"));
        assertTrue(difference(expected, 0.002, 100, -0.5, false).startsWith("expected 0.0 at 0, found 0.002"));
        assertTrue(difference(expected, 0, 100, Double.NaN, false).contains("1 of 3 values are wrong"));
        assertTrue(difference(expected, Double.POSITIVE_INFINITY, 0, 0, false).contains("3 of 3 values are wrong"));
        assertTrue(Replay.difference(expected, new Array("f64", List.of(1, 3), new double[3]), 1, false)
                .contains("[1, 3]"));
        Array endless = new Array("f64", List.of(1), new double[] {Double.POSITIVE_INFINITY});
        assertEquals("", Replay.difference(endless, endless, 0, false));
        Array finite = new Array("f64", List.of(1), new double[] {1e300});
        assertTrue(Replay.difference(endless, finite, 1, false).contains("1 of 1 values are wrong"));
        Array bytes = new Array("u8", List.of(1), new byte[] {7});
        assertTrue(Replay.difference(bytes, new Array("u8", List.of(1), new byte[] {8}), 10, false)
                .startsWith("expected 7.0 at 0, found 8.0"));
        assertEquals("", Replay.difference(3L, 3, 0, false));
        assertEquals("expected 3, found 4", Replay.difference(3L, 4L, 0, false));
    }

    private static String difference(Array expected, double a, double b, double c, boolean absolute) {
        return Replay.difference(expected, new Array("f64", List.of(3), new double[] {a, b, c}), 1e-3, absolute);
    }
}
