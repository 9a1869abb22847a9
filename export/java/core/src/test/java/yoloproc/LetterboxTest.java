package yoloproc;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.Arrays;
import java.util.Random;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class LetterboxTest {

    /** The rule for one value, in plain loops: of {@code in} pixels to {@code out}, the value at {@code i}. */
    private static int value(int[] line, int out, int i) {
        double s = (double) line.length / out;
        double f = Math.max(s, 1);
        double c = (i + 0.5) * s;
        int low = Math.max(0, (int) (c - f + 0.5));
        int high = Math.min(line.length, (int) (c + f + 0.5));
        double sum = 0;
        for (int j = low; j < high; j++) {
            sum += Math.max(0, 1 - Math.abs((j - c + 0.5) * (1 / f)));
        }
        long total = 1 << 21;
        for (int j = low; j < high; j++) {
            double weight = Math.max(0, 1 - Math.abs((j - c + 0.5) * (1 / f))) / sum;
            total += (long) (int) (weight * (1 << 22) + 0.5) * line[j];
        }
        return (int) Math.min(Math.max(total >> 22, 0), 255);
    }

    private static byte[] byRule(byte[] rgb, Letterbox box) {
        int[][][] middle = new int[3][box.nw()][box.pictureHeight()];
        for (int y = 0; y < box.pictureHeight(); y++) {
            for (int channel = 0; channel < 3; channel++) {
                int[] line = new int[box.pictureWidth()];
                for (int x = 0; x < line.length; x++) {
                    line[x] = rgb[(y * line.length + x) * 3 + channel] & 255;
                }
                for (int x = 0; x < box.nw(); x++) {
                    middle[channel][x][y] = value(line, box.nw(), x);
                }
            }
        }
        byte[] frame = new byte[box.width() * box.height() * 3];
        Arrays.fill(frame, (byte) 114);
        for (int y = 0; y < box.nh(); y++) {
            for (int x = 0; x < box.nw(); x++) {
                for (int channel = 0; channel < 3; channel++) {
                    frame[((box.top() + y) * box.width() + box.left() + x) * 3 + channel] = (byte) value(
                            middle[channel][x], box.nh(), y);
                }
            }
        }
        return frame;
    }

    @ParameterizedTest
    @CsvSource({"64,48,64,48", "1,1,5,7", "97,31,32,32", "31,97,32,32", "5000,3,16,16", "3,500,16,16", "7,9,64,64",
        "64,64,1,1", "20,30,64,48", "640,480,60,50"})
    void givesTheBytesOfTheRule(int w, int h, int width, int height) {
        byte[] rgb = new byte[w * h * 3];
        new Random(w).nextBytes(rgb);
        Letterbox box = Letterbox.of(w, h, width, height);
        byte[] before = rgb.clone();
        assertArrayEquals(byRule(rgb, box), box.apply(rgb));
        assertArrayEquals(before, rgb);
    }

    @Test
    void brightPicturesDoNotOverflow() {
        byte[] white = new byte[301 * 211 * 3];
        Arrays.fill(white, (byte) 255);
        byte[] expected = new byte[50 * 35 * 3];
        Arrays.fill(expected, (byte) 255);
        assertArrayEquals(expected, Letterbox.of(301, 211, 50, 35).apply(white));
    }

    @Test
    void writesOverAnOldFrame() {
        byte[] rgb = new byte[10 * 4 * 3];
        Letterbox box = Letterbox.of(10, 4, 8, 8);
        byte[] frame = new byte[8 * 8 * 3];
        Arrays.fill(frame, (byte) 77);
        box.apply(rgb, frame);
        assertArrayEquals(box.apply(rgb), frame);
    }

    @Test
    void theOddRowOfPaddingIsBelow() {
        Letterbox box = Letterbox.of(10, 5, 10, 8);
        assertEquals(1, box.top());
        assertEquals(5, box.nh());
        assertEquals(3, Letterbox.of(4, 10, 10, 10).left());
        assertEquals(2, Letterbox.of(3, 2, 2, 9).nw());
        assertEquals(1, Letterbox.of(3, 2, 2, 9).nh()); // 2 * 2 / 3 = 1.33
        assertEquals(3, Letterbox.of(4, 5, 2, 9).nh()); // 2.5 rounds up
    }

    @Test
    void boxesGoThereAndBack() {
        Letterbox box = Letterbox.of(1000, 600, 256, 256);
        double[] corners = {0, 0, 1000, 600, 10.5, 20.25, 300, 400};
        double[] there = box.boxesToNetwork(corners);
        assertArrayEquals(new double[] {0, 51, 256, 205}, Arrays.copyOf(there, 4), 0);
        assertArrayEquals(corners, box.boxesToPicture(there), 1e-9);
        assertArrayEquals(new double[] {0, 0, 1000, 600}, box.boxesToPicture(new double[] {-9, -9, 999, 999}), 0);
        assertArrayEquals(new double[0], box.boxesToPicture(new double[0]));
        assertArrayEquals(new double[0], box.boxesToNetwork(new double[0]));
    }

    @Test
    void wrongCallsAreRefused() {
        assertThrows(IllegalArgumentException.class, () -> Letterbox.of(0, 5, 8, 8));
        assertThrows(IllegalArgumentException.class, () -> Letterbox.of(5, 5, 8, 0));
        Letterbox box = Letterbox.of(5, 5, 8, 8);
        assertThrows(IllegalArgumentException.class, () -> box.apply(new byte[74]));
        assertThrows(IllegalArgumentException.class, () -> box.apply(new byte[75], new byte[8]));
        assertThrows(IllegalArgumentException.class, () -> box.boxesToPicture(new double[5]));
    }
}
