package yoloproc;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/**
 * How pictures of 16 bits a sample become pictures of 8, and what was seen of them. Threads may share one.
 *
 * <p>Cameras of 10, 12 and 14 bits write their samples into files of 16, most of them as they are; v &gt;&gt; 8 then
 * leaves a picture that is nearly black. A picture whose file says its bits (sBIT) and shows them is scaled; of what is
 * only likely the {@link #notes} tell, and {@link #BitDepth(int)} says it.
 */
public final class BitDepth {

    static final int ALL = 16;
    private static final int FEW = 14; // bits; whatever uses no more is told
    private static final int[] USUAL = {8, 10, 12, 14};

    private final int bits; // 0 where the user says nothing
    private int deep;
    private int few;
    private int most;
    private String firstFew;
    private final Map<Integer, List<String>> sure = new TreeMap<>();

    /** All bits count, or those of which it is sure. */
    public BitDepth() {
        bits = 0;
    }

    /**
     * So many bits count; a picture whose samples have more is refused.
     *
     * @param bits 8 to 16
     * @throws IllegalArgumentException another number
     */
    public BitDepth(int bits) {
        if (bits < 8 || bits > ALL) {
            throw new IllegalArgumentException("bitDepth: expected 8 to 16 bits, found " + bits);
        }
        this.bits = bits;
    }

    /** What the user said; 0 for nothing. */
    int bits() {
        return bits;
    }

    /** Counts a picture of 16 bits whose largest sample has {@code used} bits. */
    synchronized void saw(String name, int used) {
        deep++;
        if (used <= FEW) {
            firstFew = few++ == 0 ? name : firstFew;
            most = Math.max(most, used);
        }
    }

    /** Counts a picture of which it is sure that its samples have so many bits. */
    synchronized void isSure(String name, int used) {
        sure.computeIfAbsent(used, key -> new ArrayList<>()).add(name);
    }

    /**
     * Lines for the user on what was seen; empty where nothing asks for one.
     *
     * @param option how the user says how many bits there are, such as {@code --bit-depth}
     */
    public synchronized List<String> notes(String option) {
        List<String> lines = new ArrayList<>();
        sure.forEach((used, names) -> lines.add(String.format(Locale.ROOT,
                "%,d pictures of 16 bits a sample say and show that they use %d: read so (first: %s)", names.size(),
                used, names.get(0))));
        if (few > 0) {
            int usual = 0;
            while (USUAL[usual] < most) {
                usual++;
            }
            lines.add(String.format(Locale.ROOT, "%,d of %,d pictures of 16 bits a sample use %d of them or fewer (first:"
                    + " %s) and are read dark; if their camera has %d bits, say so: %s %d", few, deep, most, firstFew,
                    USUAL[usual], option, USUAL[usual]));
        }
        return lines;
    }
}
