package yoloproc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.List;
import java.util.Random;
import java.util.function.IntUnaryOperator;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** 10, 12 and 14 bits in files of 16: what is sure is scaled, what is likely is told, and the user can say it. */
class BitDepthTest {

    private static final int WIDTH = 20;
    private static final int HEIGHT = 15;

    /** A camera's samples: noise over all its bits. */
    private static int[] samples(int bits) {
        int[] values = new Random(bits).ints((long) WIDTH * HEIGHT, 0, 1 << bits).toArray();
        values[0] = 0;
        values[1] = (1 << bits) - 1;
        return values;
    }

    /** A grey PNG of 16 bits; {@code said} is its sBIT, negative for none. */
    private static byte[] png(int[] values, int said) {
        byte[] rows = new byte[(1 + 2 * WIDTH) * HEIGHT];
        for (int i = 0; i < values.length; i++) {
            int at = i / WIDTH * (1 + 2 * WIDTH) + 1 + i % WIDTH * 2;
            rows[at] = (byte) (values[i] >> 8);
            rows[at + 1] = (byte) values[i];
        }
        byte[] before = said < 0 ? new byte[0] : TestPng.chunk("sBIT", new byte[] {(byte) said});
        return TestPng.of(WIDTH, HEIGHT, 16, 0, rows, before);
    }

    private static void assertGrey(int[] values, IntUnaryOperator expected, RgbImage found) {
        for (int i = 0; i < values.length; i++) {
            for (int channel = 0; channel < 3; channel++) {
                assertEquals((byte) expected.applyAsInt(values[i]), found.rgb()[3 * i + channel], "sample " + i);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {10, 12, 14})
    void whatIsLikelyIsToldAndNotDone(int bits) throws IOException {
        BitDepth depth = new BitDepth();
        assertGrey(samples(bits), v -> v >> 8, Pictures.read(png(samples(bits), -1), "a.png", depth));
        assertEquals(List.of("1 of 1 pictures of 16 bits a sample use " + bits + " of them or fewer (first: a.png) and are"
                + " read dark; if their camera has " + bits + " bits, say so: --bit-depth " + bits),
                depth.notes("--bit-depth"));
    }

    @ParameterizedTest
    @ValueSource(ints = {8, 9, 10, 12, 14, 15, 16})
    void whatTheUserSaysIsDone(int bits) throws IOException {
        BitDepth depth = new BitDepth(bits);
        assertGrey(samples(bits), v -> v >> bits - 8, Pictures.read(png(samples(bits), -1), "a.png", depth));
        assertEquals(List.of(), depth.notes("--bit-depth"));
    }

    @Test
    void moreBitsThanTheUserSaysAreRefused() {
        int[] values = samples(12);
        values[100] = 4096;
        FormatException error = assertThrows(FormatException.class,
                () -> Pictures.read(png(values, -1), "a.png", new BitDepth(12)));
        assertEquals("value", error.reason());
        assertEquals("a.png: expected samples of at most 4,095, as a bit depth of 12 has them, found 4,096",
                error.getMessage());
        for (int bits : new int[] {-1, 0, 7, 17}) {
            assertThrows(IllegalArgumentException.class, () -> new BitDepth(bits));
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {9, 10, 12, 14})
    void whatAFileSaysAndShowsIsDone(int bits) throws IOException {
        BitDepth depth = new BitDepth();
        assertGrey(samples(bits), v -> v >> bits - 8, Pictures.read(png(samples(bits), bits), "a.png", depth));
        assertEquals(List.of("1 pictures of 16 bits a sample say and show that they use " + bits
                + ": read so (first: a.png)"), depth.notes("--bit-depth"));
        int[] scaled = samples(bits);
        for (int i = 0; i < scaled.length; i++) {
            scaled[i] <<= 16 - bits;
        }
        assertGrey(scaled, v -> v >> 8, Pictures.read(png(scaled, bits)));
        assertGrey(samples(bits), v -> v >> 8,
                Pictures.read(png(samples(bits), bits), "a.png", new BitDepth(16))); // the user's word is stronger
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 8, 15, 16, 200})
    void whatAFileSaysCountsOnlyWhereItsSamplesAgree(int said) throws IOException {
        assertGrey(samples(10), v -> v >> 8, Pictures.read(png(samples(10), said)));
    }

    @Test
    void notesCountOverASet() throws IOException {
        BitDepth depth = new BitDepth();
        for (int bits : new int[] {16, 10, 11, 15}) {
            Pictures.read(png(samples(bits), -1), bits + ".png", depth);
        }
        Pictures.read(png(new int[WIDTH * HEIGHT], -1), "black.png", depth);
        List<String> notes = depth.notes("--d");
        assertEquals(1, notes.size());
        assertTrue(notes.get(0).startsWith("3 of 5 pictures of 16 bits a sample use 11 of them or fewer (first: 10.png)"),
                notes.get(0));
        assertTrue(notes.get(0).endsWith("has 12 bits, say so: --d 12"), notes.get(0));
    }
}
