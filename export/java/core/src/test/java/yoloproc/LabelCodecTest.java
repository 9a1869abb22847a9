package yoloproc;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;

import javax.tools.ToolProvider;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import yoloproc.LabelCodec.Candidates;
import yoloproc.LabelCodec.Grid;
import yoloproc.LabelCodec.Limits;
import yoloproc.LabelCodec.Objects;
import yoloproc.LabelCodec.Targets;

class LabelCodecTest {

    private static final Grid FINE = new Grid(8, 8, 6, List.of(new Grid.Anchor(8, 8), new Grid.Anchor(20, 10)));
    private static final Grid COARSE = new Grid(16, 4, 3, List.of(new Grid.Anchor(40, 30)));
    private static final LabelCodec CODEC = new LabelCodec(List.of(FINE, COARSE), 3);

    @Test
    void sizes() {
        assertEquals(8 * 6 * 2 + 4 * 3, CODEC.slots());
        assertEquals(8, CODEC.fields());
        assertEquals(64, CODEC.width());
        assertEquals(48, CODEC.height());
    }

    @Test
    void nothingIsNothing() {
        Targets targets = CODEC.assign(Objects.of(new double[0]), Limits.DEFAULT);
        assertArrayEquals(new float[CODEC.slots() * CODEC.fields()], targets.dense());
        float[] logits = new float[CODEC.slots() * CODEC.fields()];
        assertEquals(0, CODEC.decode(logits, 0.65).size());
        assertEquals(0, CODEC.decode(logits, 0.65).clipped(64, 48).pick().size());
        assertEquals(0, CODEC.activate(new float[0]).length);
        assertEquals(0, CODEC.deactivate(new double[0]).length);
    }

    @Test
    void aBoxGoesToItsSlotAndBack() {
        // Centre (37, 21): cell 4, 2 of stride 8; 20 x 10 is the second anchor of the fine grid.
        double[] box = {27, 16, 47, 26};
        Targets targets = CODEC.assign(Objects.of(box, 2), Limits.DEFAULT);
        int slot = (2 * 8 + 4) * 2 + 1;
        assertArrayEquals(new int[] {slot}, targets.slots());
        float[] values = new float[8];
        System.arraycopy(targets.dense(), slot * 8, values, 0, 8);
        assertArrayEquals(new float[] {0.625f, 0.625f, 1, 1, 1, 0, 0, 1}, values);
        Candidates found = CODEC.decode(targets.dense(), 0, 0.5, 10, true);
        assertArrayEquals(new int[] {slot}, found.slots());
        assertArrayEquals(box, found.boxesXyxy(), 1e-5);
        assertArrayEquals(new int[] {2}, found.classIds());
    }

    @Test
    void randomBoxesGoThereAndBackThroughLogits() {
        Random random = new Random(1);
        for (int round = 0; round < 200; round++) {
            double x = random.nextDouble() * 50;
            double y = random.nextDouble() * 40;
            double[] box = {x, y, x + 4 + random.nextDouble() * 10, y + 4 + random.nextDouble() * 4};
            int classId = random.nextInt(3);
            float[] dense = CODEC.assign(Objects.of(box, classId), Limits.DEFAULT).dense();
            double[] targets = new double[dense.length];
            for (int i = 0; i < dense.length; i++) {
                targets[i] = dense[i];
            }
            double[] raw = CODEC.deactivate(targets);
            float[] logits = new float[raw.length];
            for (int i = 0; i < raw.length; i++) {
                logits[i] = (float) raw[i];
            }
            Candidates found = CODEC.decode(logits, 0.65);
            assertEquals(1, found.size());
            assertArrayEquals(box, found.boxesXyxy(), 1e-4);
            assertEquals(classId, found.classIds()[0]);
            assertEquals(1, found.confidence()[0], 1e-6);
        }
    }

    @Test
    void theSurestObjectHasTheSlotAndTheOtherIsIgnored() {
        double[] twice = {27, 16, 47, 26, 28, 16, 48, 26};
        Targets targets = CODEC.assign(new Objects(twice, new int[] {0, 1}, new double[] {0.5, 0.9}, null, null, null),
                Limits.DEFAULT);
        assertEquals(-1, targets.slots()[0]);
        assertEquals(1, targets.slotTaken());
        int ignored = 0;
        for (int slot = 0; slot < CODEC.slots(); slot++) {
            ignored += targets.dense()[slot * 8 + LabelCodec.J] == -1 ? 1 : 0;
        }
        // The centres (28, 20), (36, 20), (44, 20) with two anchors each, less the taken slot, and (40, 24) of the
        // coarse grid.
        assertEquals(6 - 1 + 1, ignored);
    }

    @Test
    void anEmptyGridCellsEdgeIsHalfOpen() {
        double[] region = {4, 4, 12, 12}; // from the centre of the first cell to that of its neighbours
        Objects none = new Objects(new double[0], new int[0], null, null, null, region);
        Targets targets = CODEC.assign(none, Limits.DEFAULT);
        List<Integer> ignored = new ArrayList<>();
        for (int slot = 0; slot < CODEC.slots(); slot++) {
            if (targets.dense()[slot * 8 + LabelCodec.J] == -1) {
                ignored.add(slot);
            }
        }
        assertEquals(List.of(0, 1, FINE.slots()), ignored);
    }

    @Test
    void ofTwoImagesTheSecondIsDecodedByItsOffset() {
        int size = CODEC.slots() * CODEC.fields();
        float[] logits = new float[2 * size];
        java.util.Arrays.fill(logits, -9);
        logits[size + 5 * 8 + LabelCodec.J] = 3;
        assertEquals(0, CODEC.decode(logits, 0, 0.65, 10, false).size());
        assertArrayEquals(new int[] {5}, CODEC.decode(logits, size, 0.65, 10, false).slots());
    }

    @Test
    void ordersByConfidenceThenSlotAndBothZerosAreEqual() {
        float[] logits = new float[CODEC.slots() * 8];
        java.util.Arrays.fill(logits, -9);
        float[] js = {0.0f, -0.0f, 5, Float.POSITIVE_INFINITY, -1, 5, 0.0f, -2};
        for (int slot = 0; slot < js.length; slot++) {
            logits[slot * 8 + LabelCodec.J] = js[slot];
        }
        assertArrayEquals(new int[] {3, 2, 5, 0, 1, 6, 4}, CODEC.decode(logits, 0, 0.2, 100, false).slots());
        assertArrayEquals(new int[] {3, 2, 5, 0, 1}, CODEC.decode(logits, 0, 0.2, 5, false).slots());
        assertArrayEquals(new int[] {3, 2, 5, 0, 1, 6}, CODEC.decode(logits, 0, 0.5, 100, false).slots());
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 4, 7, 863})
    void notANumberIsRefusedAndSaysWhere(int at) {
        float[] logits = new float[CODEC.slots() * 8];
        logits[at] = Float.NaN;
        String told = assertThrows(IllegalArgumentException.class, () -> CODEC.decode(logits, 0.65)).getMessage();
        assertTrue(told.contains("NaN: slot " + at / 8 + ", field " + at % 8), told);
    }

    @Test
    void wrongCallsAreRefused() {
        float[] logits = new float[CODEC.slots() * 8];
        for (double confidence : new double[] {-0.1, 1.1, Double.NaN}) {
            assertThrows(IllegalArgumentException.class, () -> CODEC.decode(logits, confidence));
        }
        assertThrows(IllegalArgumentException.class, () -> CODEC.decode(logits, 1, 0.5, 10, false));
        assertThrows(IllegalArgumentException.class, () -> CODEC.decode(logits, 0, 0.5, 0, false));
        assertThrows(IllegalArgumentException.class, () -> CODEC.activate(new float[9]));
        assertThrows(IllegalArgumentException.class, () -> CODEC.assign(Objects.of(new double[4], 3), Limits.DEFAULT));
        assertThrows(IllegalArgumentException.class, () -> CODEC.assign(Objects.of(new double[3], 0), Limits.DEFAULT));
        double[] notANumber = {0, 0, Double.NaN, 9};
        assertThrows(IllegalArgumentException.class, () -> CODEC.assign(Objects.of(notANumber, 0), Limits.DEFAULT));
        assertThrows(IllegalArgumentException.class, () -> new LabelCodec(List.of(), 1));
        assertThrows(IllegalArgumentException.class, () -> new LabelCodec(List.of(FINE), 0));
        assertThrows(IllegalArgumentException.class, () -> new LabelCodec(List.of(COARSE, FINE), 1));
        Grid other = new Grid(16, 4, 4, COARSE.anchors());
        assertThrows(IllegalArgumentException.class, () -> new LabelCodec(List.of(FINE, other), 1));
        assertThrows(IllegalArgumentException.class, () -> new Grid(8, 1, 1, List.of()));
        assertThrows(IllegalArgumentException.class, () -> new Grid(8, 1, 1, List.of(new Grid.Anchor(0, 1))));
    }

    @Test
    void needsNoOtherFile(@TempDir Path folder) throws IOException {
        Path copy = folder.resolve("LabelCodec.java");
        String source = Files.readString(TestFiles.module().resolve("src/main/java/yoloproc/LabelCodec.java"));
        Files.writeString(copy, source.replaceFirst("package yoloproc;", "package somewhere.else_;"));
        int status = ToolProvider.getSystemJavaCompiler().run(null, null, null, "-d", folder.toString(), "-classpath",
                folder.toString(), "-implicit:none", "-sourcepath", folder.toString(), "-encoding", "UTF-8",
                copy.toString());
        assertEquals(0, status, "LabelCodec alone does not compile");
    }
}
