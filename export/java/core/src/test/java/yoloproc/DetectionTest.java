package yoloproc;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

class DetectionTest {

    @Test
    void looksTheSameEverywhere() {
        Detection found = new Detection(1, "\u00d6", 0.987f, 1.25, 2, 1234567.5, 4.75);
        assertEquals("\u00d6 0.99 [1.3, 2.0, 1234567.5, 4.8]", found.toString());
        assertEquals(1234566.25, found.width());
        assertEquals(2.75, found.height());
    }
}
