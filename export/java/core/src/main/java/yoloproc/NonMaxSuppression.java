package yoloproc;

import java.util.Arrays;

/** Of boxes that overlap, the surest. */
public final class NonMaxSuppression {

    private NonMaxSuppression() {
    }

    /**
     * Indices of the boxes that stay, ascending: greedy, in the order given.
     *
     * <p>A box is dropped if {@code intersection >= maxIou * union} with one that stays, of its class. Written without
     * a division, so that every language rounds alike.
     *
     * @param boxesXyxy     n x 4 pixels x0, y0, x1, y1, the surest box first
     * @param classIds      n; or null, so that boxes of all classes are compared
     * @param maxIou        0 to 1
     * @param maxDetections how many stay at most
     * @return the indices, 0 to n - 1
     * @throws IllegalArgumentException arrays that do not fit each other, a limit out of range, or NaN among the boxes
     */
    public static int[] kept(double[] boxesXyxy, int[] classIds, double maxIou, int maxDetections) {
        int count = boxesXyxy.length / 4;
        if (boxesXyxy.length % 4 != 0 || (classIds != null && classIds.length != count)) {
            throw new IllegalArgumentException("suppression: expected n x 4 coordinates and n classes, found "
                    + boxesXyxy.length + " and " + (classIds == null ? "none" : classIds.length));
        }
        if (!(maxIou >= 0 && maxIou <= 1) || maxDetections < 1) {
            throw new IllegalArgumentException("suppression: expected a largest IoU of 0 to 1 and at least 1 detection,"
                    + " found " + maxIou + " and " + maxDetections);
        }
        for (double value : boxesXyxy) {
            if (Double.isNaN(value)) {
                throw new IllegalArgumentException(
                        "suppression: expected boxes of numbers, found NaN; the network's outputs are damaged");
            }
        }
        double[] areas = new double[count];
        int[] kept = new int[Math.min(count, maxDetections)];
        int stay = 0;
        for (int box = 0; box < count && stay < kept.length; box++) {
            areas[box] = Math.max(boxesXyxy[4 * box + 2] - boxesXyxy[4 * box], 0)
                    * Math.max(boxesXyxy[4 * box + 3] - boxesXyxy[4 * box + 1], 0);
            boolean stays = true;
            for (int i = 0; i < stay && stays; i++) {
                int other = kept[i];
                stays = (classIds != null && classIds[box] != classIds[other])
                        || !overlap(boxesXyxy, areas, box, other, maxIou);
            }
            if (stays) {
                kept[stay++] = box;
            }
        }
        return Arrays.copyOf(kept, stay);
    }

    private static boolean overlap(double[] xyxy, double[] areas, int a, int b, double maxIou) {
        double width = Math.min(xyxy[4 * a + 2], xyxy[4 * b + 2]) - Math.max(xyxy[4 * a], xyxy[4 * b]);
        double height = Math.min(xyxy[4 * a + 3], xyxy[4 * b + 3]) - Math.max(xyxy[4 * a + 1], xyxy[4 * b + 1]);
        double intersection = Math.max(width, 0) * Math.max(height, 0);
        return intersection >= maxIou * (areas[a] + areas[b] - intersection);
    }
}
