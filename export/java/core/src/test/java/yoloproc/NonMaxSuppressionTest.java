package yoloproc;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;

class NonMaxSuppressionTest {

    // 10 x 10; shifted by 4 the intersection is 60, the union 140.
    private static final double[] PAIR = {0, 0, 10, 10, 4, 0, 14, 10};

    @Test
    void anOverlapOfTheLimitItselfIsDropped() {
        double iou = 60.0 / 140;
        assertArrayEquals(new int[] {0}, NonMaxSuppression.kept(PAIR, null, 0.42, 10));
        assertArrayEquals(new int[] {0, 1}, NonMaxSuppression.kept(PAIR, null, Math.nextUp(iou) + 1e-9, 10));
        double[] half = {0, 0, 2, 1, 1, 0, 2, 1}; // intersection 1, union 2
        assertArrayEquals(new int[] {0}, NonMaxSuppression.kept(half, null, 0.5, 10));
    }

    @Test
    void boxesOfOtherClassesStay() {
        assertArrayEquals(new int[] {0, 1}, NonMaxSuppression.kept(PAIR, new int[] {1, 2}, 0.1, 10));
        assertArrayEquals(new int[] {0}, NonMaxSuppression.kept(PAIR, new int[] {1, 1}, 0.1, 10));
    }

    @Test
    void whatIsDroppedDropsNothing() {
        double[] chain = {0, 0, 10, 10, 4, 0, 14, 10, 8, 0, 18, 10};
        assertArrayEquals(new int[] {0, 2}, NonMaxSuppression.kept(chain, null, 0.4, 10));
        assertArrayEquals(new int[] {0}, NonMaxSuppression.kept(chain, null, 0.4, 1));
    }

    @Test
    void nothingIsNothing() {
        assertArrayEquals(new int[0], NonMaxSuppression.kept(new double[0], new int[0], 0.4, 10));
        assertArrayEquals(new int[] {0}, NonMaxSuppression.kept(new double[8], null, 0.4, 10));
    }

    @Test
    void wrongCallsAreRefused() {
        double[] notANumber = {0, 0, 1, Double.NaN};
        assertThrows(IllegalArgumentException.class, () -> NonMaxSuppression.kept(notANumber, null, 0.4, 10));
        assertThrows(IllegalArgumentException.class, () -> NonMaxSuppression.kept(PAIR, new int[1], 0.4, 10));
        assertThrows(IllegalArgumentException.class, () -> NonMaxSuppression.kept(new double[3], null, 0.4, 10));
        assertThrows(IllegalArgumentException.class, () -> NonMaxSuppression.kept(PAIR, null, 1.5, 10));
        assertThrows(IllegalArgumentException.class, () -> NonMaxSuppression.kept(PAIR, null, Double.NaN, 10));
        assertThrows(IllegalArgumentException.class, () -> NonMaxSuppression.kept(PAIR, null, 0.4, 0));
    }
}
