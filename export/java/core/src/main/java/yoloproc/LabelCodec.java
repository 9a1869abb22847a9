package yoloproc;

import java.util.Arrays;
import java.util.List;

/**
 * Labels and slots: objects to training targets, raw logits to boxes, and the inverses.
 *
 * <p>This file needs no other, so that it can be copied alone into an application that has its own runtime, or that reads
 * labels of this layout from files; that is why it is longer than others.
 *
 * <p>A slot holds 5 + C values, {@code [x | y | w | h | J | c_0 ... c_(C-1)]}; one picture is a flat array of
 * {@link #slots()} x {@link #fields()} values, indexed {@code slot * fields + field}:
 * <pre>
 * field   training target                raw logit t -> prediction        prediction -> network pixels
 * x, y    centre inside its cell, [0,1)  sigmoid(t)                       (x + column) * stride
 * w, h    side / anchor, above 0         exp(clamp(t, -20, 9.2))          w * anchor width
 * J       1 object, 0 empty, -1 ignored  sigmoid(t)                       the confidence of the box
 * c_i     one-hot                        softmax over the C values        class: first maximum of the raw values
 * </pre>
 * Slots are numbered grid by grid, then row by row, then anchor by anchor. All arithmetic after the logits is in double
 * precision. Instances are immutable; any number of threads may share one.
 */
public final class LabelCodec {

    /** The fields of a slot; the classes begin at {@link #CLASSES}. */
    public static final int X = 0, Y = 1, W = 2, H = 3, J = 4, CLASSES = 5;

    private static final double SIZE_LOGIT_LOW = -20;
    private static final double SIZE_LOGIT_HIGH = 9.2;
    private static final double CERTAIN = 20; // the logit of a certain J or class
    private static final double EDGE = 0x1p-20; // how near to its cell's border the inverse puts a centre

    private final List<Grid> grids;
    private final int classCount;
    private final int slots;

    /**
     * One grid of cells over the network's picture.
     *
     * @param stride  side of a cell, network pixels
     * @param columns cells across
     * @param rows    cells down
     * @param anchors sizes that boxes are measured against; one slot each in every cell
     */
    public record Grid(int stride, int columns, int rows, List<Anchor> anchors) {

        /**
         * The size of an anchor.
         *
         * @param width  network pixels, above 0
         * @param height network pixels, above 0
         */
        public record Anchor(double width, double height) {
        }

        /**
         * Checks the values.
         *
         * @throws IllegalArgumentException a number that is less than 1, no anchor, or an anchor that is not positive
         */
        public Grid {
            if (stride < 1 || columns < 1 || rows < 1) {
                throw new IllegalArgumentException("grid: expected stride, columns and rows of at least 1, found "
                        + stride + ", " + columns + ", " + rows);
            }
            anchors = List.copyOf(anchors);
            boolean positive = !anchors.isEmpty();
            for (Anchor anchor : anchors) {
                positive &= anchor.width > 0 && anchor.height > 0 && Double.isFinite(anchor.width * anchor.height);
            }
            if (!positive) {
                throw new IllegalArgumentException(
                        "grid of stride " + stride + ": expected positive anchors, found " + anchors);
            }
        }

        /** The slots of this grid: one for each cell and anchor. */
        public int slots() {
            return Math.multiplyExact(Math.multiplyExact(columns, rows), anchors.size());
        }
    }

    /**
     * What is a label; an object below a limit is neither object nor background.
     *
     * @param minVisible least visible share, 0 to 1
     * @param minInFrame least share inside the frame, 0 to 1
     * @param minBoxPx   least side of a box, network pixels
     */
    public record Limits(double minVisible, double minInFrame, double minBoxPx) {
        /** The limits that training has unless it is told otherwise. */
        public static final Limits DEFAULT = new Limits(0.4, 0.5, 4);
    }

    /**
     * The annotated objects of one picture.
     *
     * @param boxesXyxy  n x 4 network pixels x0, y0, x1, y1, clipped to the frame
     * @param classIds   n, from 0
     * @param confidence n, 0 to 1; null for all 1
     * @param visible    n, the visible share of each, 0 to 1; null for all 1
     * @param inFrame    n, the share of each inside the frame, 0 to 1; null for all 1
     * @param ignoreXyxy k x 4 network pixels: regions of which nothing is said; null for none
     */
    public record Objects(double[] boxesXyxy, int[] classIds, double[] confidence, double[] visible, double[] inFrame,
            double[] ignoreXyxy) {

        /** Objects that are certain, wholly visible and inside the frame. */
        public static Objects of(double[] boxesXyxy, int... classIds) {
            return new Objects(boxesXyxy, classIds, null, null, null, null);
        }
    }

    /**
     * What training compares with, and the objects that got no slot, by reason.
     *
     * @param dense      slots x (5 + C): the classes one-hot, J 1, 0 or -1, the rest of empty slots 0
     * @param slots      n, the slot of each object; -1 where it has none
     * @param slotTaken  objects whose slot another one has
     * @param minInFrame objects of which too little is inside the frame
     * @param minVisible objects of which too little is visible
     * @param minBoxPx   objects that are too small
     */
    public record Targets(float[] dense, int[] slots, int slotTaken, int minInFrame, int minVisible, int minBoxPx) {
    }

    /**
     * The boxes of one picture before non-maximum suppression, the surest first; ties in ascending slots.
     *
     * @param slots      n, where each came from
     * @param boxesXyxy  n x 4 network pixels x0, y0, x1, y1, neither rounded nor clipped
     * @param confidence n, 0 to 1
     * @param classIds   n, from 0
     */
    public record Candidates(int[] slots, double[] boxesXyxy, double[] confidence, int[] classIds) {

        /** How many there are. */
        public int size() {
            return slots.length;
        }

        /**
         * Some of them.
         *
         * @param indices 0 to n - 1, as non-maximum suppression gives them
         */
        public Candidates pick(int... indices) {
            Candidates some = new Candidates(new int[indices.length], new double[4 * indices.length],
                    new double[indices.length], new int[indices.length]);
            for (int to = 0; to < indices.length; to++) {
                int from = indices[to];
                some.slots[to] = slots[from];
                System.arraycopy(boxesXyxy, 4 * from, some.boxesXyxy, 4 * to, 4);
                some.confidence[to] = confidence[from];
                some.classIds[to] = classIds[from];
            }
            return some;
        }

        /** The same with boxes clipped to a frame, in pixels. */
        public Candidates clipped(int width, int height) {
            double[] inside = new double[boxesXyxy.length];
            for (int i = 0; i < inside.length; i++) {
                inside[i] = Math.min(Math.max(boxesXyxy[i], 0), i % 2 == 0 ? width : height);
            }
            return new Candidates(slots, inside, confidence, classIds);
        }
    }

    /**
     * A codec.
     *
     * @param grids      in ascending stride, all over the same frame
     * @param classCount C, at least 1
     * @throws IllegalArgumentException anything else
     */
    public LabelCodec(List<Grid> grids, int classCount) {
        this.grids = List.copyOf(grids);
        this.classCount = classCount;
        if (this.grids.isEmpty() || classCount < 1) {
            throw new IllegalArgumentException("codec: expected at least one grid and one class, found "
                    + this.grids.size() + " and " + classCount);
        }
        int count = 0;
        Grid before = null;
        for (Grid grid : this.grids) {
            if (before != null && before.stride() >= grid.stride()) {
                throw new IllegalArgumentException("grids: expected ascending strides, found " + before.stride()
                        + " in front of " + grid.stride());
            }
            if ((long) grid.columns() * grid.stride() != width() || (long) grid.rows() * grid.stride() != height()) {
                throw new IllegalArgumentException("grids: expected all to cover one frame of " + width() + " x "
                        + height() + " pixels, found another at stride " + grid.stride());
            }
            count = Math.addExact(count, grid.slots());
            before = grid;
        }
        slots = count;
        Math.multiplyExact(slots, fields()); // a picture must fit into an array
    }

    /** The grids, in ascending stride. */
    public List<Grid> grids() {
        return grids;
    }

    /** C, the number of classes. */
    public int classCount() {
        return classCount;
    }

    /** The slots of one picture. */
    public int slots() {
        return slots;
    }

    /** 5 + C, the values of one slot. */
    public int fields() {
        return CLASSES + classCount;
    }

    /** Width of the network's pictures, pixels. */
    public int width() {
        return Math.multiplyExact(grids.get(0).columns(), grids.get(0).stride());
    }

    /** Height of the network's pictures, pixels. */
    public int height() {
        return Math.multiplyExact(grids.get(0).rows(), grids.get(0).stride());
    }

    // ---- objects to targets

    /**
     * The slot of every object: the cell that holds its centre, the anchor most like it in shape.
     *
     * <p>A taken slot keeps its first object: they are offered largest confidence first, then in the order given. Slots
     * without an object whose cell centre lies in an object that got no slot, or in an ignore region, are ignored.
     *
     * @throws IllegalArgumentException arrays that do not fit each other, a class out of range, or NaN
     */
    public Targets assign(Objects objects, Limits limits) {
        int count = checkedCount(objects);
        int[] taken = new int[slots]; // number of the object + 1
        int[] slotOf = new int[count];
        int[] dropped = new int[4];
        for (int object : offered(objects, count)) {
            int verdict = verdict(objects, object, limits);
            int slot = verdict == 0 ? slotOf(objects.boxesXyxy, object) : -1;
            if (slot >= 0 && taken[slot] == 0) {
                taken[slot] = object + 1;
            } else {
                slot = -1;
                dropped[verdict]++;
            }
            slotOf[object] = slot;
        }
        float[] dense = new float[slots * fields()];
        for (int object = 0; object < count; object++) {
            if (slotOf[object] < 0) {
                ignore(objects.boxesXyxy, object, dense);
            }
        }
        for (int region = 0; objects.ignoreXyxy != null && region < objects.ignoreXyxy.length / 4; region++) {
            ignore(objects.ignoreXyxy, region, dense);
        }
        for (int object = 0; object < count; object++) {
            if (slotOf[object] >= 0) {
                fill(objects, object, slotOf[object], dense);
            }
        }
        return new Targets(dense, slotOf, dropped[0], dropped[1], dropped[2], dropped[3]);
    }

    private int checkedCount(Objects objects) {
        int count = objects.classIds.length;
        double[][] shares = {objects.confidence, objects.visible, objects.inFrame};
        boolean fits = objects.boxesXyxy.length == 4 * count;
        boolean finite = finite(objects.boxesXyxy) && finite(objects.ignoreXyxy);
        for (double[] share : shares) {
            fits &= share == null || share.length == count;
            finite &= finite(share);
        }
        fits &= objects.ignoreXyxy == null || objects.ignoreXyxy.length % 4 == 0;
        if (!fits) {
            throw new IllegalArgumentException("objects: expected n classes, n x 4 coordinates, n of each share and"
                    + " k x 4 coordinates of ignore regions, found " + count + " classes and "
                    + objects.boxesXyxy.length + " coordinates");
        }
        if (!finite) {
            throw new IllegalArgumentException("objects: expected numbers, found NaN or an infinite one");
        }
        for (int classId : objects.classIds) {
            if (classId < 0 || classId >= classCount) {
                throw new IllegalArgumentException(
                        "objects: expected classes from 0 to " + (classCount - 1) + ", found " + classId);
            }
        }
        return count;
    }

    private static boolean finite(double[] values) {
        return values == null || Arrays.stream(values).allMatch(Double::isFinite);
    }

    /** The objects' numbers, largest confidence first, then in the order given. */
    private static int[] offered(Objects objects, int count) {
        Integer[] order = new Integer[count];
        Arrays.setAll(order, i -> i);
        if (objects.confidence != null) {
            // 0.0 - c makes one zero of both zeros; the sort is stable.
            Arrays.sort(order, (a, b) -> Double.compare(0.0 - objects.confidence[a], 0.0 - objects.confidence[b]));
        }
        return Arrays.stream(order).mapToInt(Integer::intValue).toArray();
    }

    /** 0 for a label; else 1, 2 or 3, the first limit that it is below: in frame, visible, least side. */
    private static int verdict(Objects objects, int object, Limits limits) {
        double[] xyxy = objects.boxesXyxy;
        double side = Math.min(xyxy[4 * object + 2] - xyxy[4 * object], xyxy[4 * object + 3] - xyxy[4 * object + 1]);
        if (objects.inFrame != null && objects.inFrame[object] < limits.minInFrame) {
            return 1;
        }
        if (objects.visible != null && objects.visible[object] < limits.minVisible) {
            return 2;
        }
        return side < limits.minBoxPx || side <= 0 ? 3 : 0;
    }

    private int slotOf(double[] xyxy, int object) {
        double width = xyxy[4 * object + 2] - xyxy[4 * object];
        double height = xyxy[4 * object + 3] - xyxy[4 * object + 1];
        double best = -1;
        int found = -1;
        int offset = 0;
        for (Grid grid : grids) {
            for (int number = 0; number < grid.anchors().size(); number++) {
                Grid.Anchor anchor = grid.anchors().get(number);
                double intersection = Math.min(width, anchor.width()) * Math.min(height, anchor.height());
                double union = width * height + anchor.width() * anchor.height() - intersection;
                double iou = union > 0 ? intersection / union : 0;
                if (iou > best) { // the lowest index on ties
                    best = iou;
                    int cell = cellOf(centre(xyxy, 4 * object + 1), grid.stride(), grid.rows()) * grid.columns()
                            + cellOf(centre(xyxy, 4 * object), grid.stride(), grid.columns());
                    found = offset + cell * grid.anchors().size() + number;
                }
            }
            offset += grid.slots();
        }
        return found;
    }

    private static double centre(double[] xyxy, int at) {
        return (xyxy[at] + xyxy[at + 2]) / 2;
    }

    /** The cell of a coordinate; what rounding has put on the frame's far edge belongs to the last one. */
    private static int cellOf(double pixels, int stride, int cells) {
        return Math.min(Math.max((int) Math.floor(pixels / stride), 0), cells - 1);
    }

    private void fill(Objects objects, int object, int slot, float[] dense) {
        double[] xyxy = objects.boxesXyxy;
        Place place = place(slot);
        int at = slot * fields();
        double least = Math.exp(SIZE_LOGIT_LOW);
        double most = Math.exp(SIZE_LOGIT_HIGH); // what exp(clamp(t)) can say; no box of a pixel or more meets it
        dense[at + X] = (float) inside(centre(xyxy, 4 * object) / place.stride - place.column);
        dense[at + Y] = (float) inside(centre(xyxy, 4 * object + 1) / place.stride - place.row);
        double width = xyxy[4 * object + 2] - xyxy[4 * object];
        double height = xyxy[4 * object + 3] - xyxy[4 * object + 1];
        dense[at + W] = (float) clamp(width / place.anchor.width(), least, most);
        dense[at + H] = (float) clamp(height / place.anchor.height(), least, most);
        dense[at + J] = 1;
        dense[at + CLASSES + objects.classIds[object]] = 1;
    }

    private static double inside(double share) {
        return clamp(share, 0, Math.nextDown(1.0));
    }

    private static double clamp(double value, double low, double high) {
        return Math.min(Math.max(value, low), high);
    }

    private void ignore(double[] xyxy, int box, float[] dense) {
        int offset = 0;
        for (Grid grid : grids) {
            int perCell = grid.anchors().size();
            for (int cell = 0; cell < grid.columns() * grid.rows(); cell++) {
                double x = (cell % grid.columns() + 0.5) * grid.stride();
                double y = (cell / grid.columns() + 0.5) * grid.stride();
                if (x >= xyxy[4 * box] && x < xyxy[4 * box + 2] && y >= xyxy[4 * box + 1] && y < xyxy[4 * box + 3]) {
                    for (int number = 0; number < perCell; number++) {
                        dense[(offset + cell * perCell + number) * fields() + J] = -1;
                    }
                }
            }
            offset += grid.slots();
        }
    }

    // ---- raw logits to boxes

    /**
     * The boxes of one picture before non-maximum suppression.
     *
     * <p>A slot stays if its raw J is at least ln(c / (1 - c)), c being the confidence; the {@code maxCandidates} with
     * the largest J stay, of equal ones those in lower slots.
     *
     * @param outputs       raw logits; predictions if {@code activated}
     * @param offset        where the picture's slots x (5 + C) values begin
     * @param confidence    0 to 1
     * @param maxCandidates at least 1
     * @param activated     whether the values are predictions (or targets) and not logits
     * @throws IllegalArgumentException too few values, a limit out of range, or NaN among the outputs
     */
    public Candidates decode(float[] outputs, int offset, double confidence, int maxCandidates, boolean activated) {
        int values = slots * fields();
        if (offset < 0 || offset > outputs.length - values) {
            throw new IllegalArgumentException("decode: expected " + slots + " x " + fields() + " values from "
                    + offset + " on, found an array of " + outputs.length);
        }
        if (!(confidence >= 0 && confidence <= 1) || maxCandidates < 1) {
            throw new IllegalArgumentException("decode: expected a confidence of 0 to 1 and at least 1 candidate,"
                    + " found " + confidence + " and " + maxCandidates);
        }
        for (int i = offset; i < offset + values; i++) {
            if (Float.isNaN(outputs[i])) {
                throw new IllegalArgumentException("decode: expected numbers from the network, found NaN: slot "
                        + (i - offset) / fields() + ", field " + (i - offset) % fields()
                        + "; its weights are damaged or its training diverged");
            }
        }
        int[] order = order(outputs, offset, activated ? confidence : logitOf(confidence), maxCandidates);
        Candidates found = new Candidates(order, new double[4 * order.length], new double[order.length],
                new int[order.length]);
        for (int i = 0; i < order.length; i++) {
            box(outputs, offset + order[i] * fields(), activated, i, found);
        }
        return found;
    }

    /** {@link #decode(float[], int, double, int, boolean)} of the raw logits of one picture, 1,000 candidates. */
    public Candidates decode(float[] logits, double confidence) {
        return decode(logits, 0, confidence, 1000, false);
    }

    /**
     * How many slots have enough confidence: what {@link #decode} leaves out is what is beyond its candidates.
     *
     * @param outputs    slots x (5 + C) from {@code offset} on
     * @param confidence 0 to 1
     * @param activated  whether they are predictions and not raw logits
     */
    public int count(float[] outputs, int offset, double confidence, boolean activated) {
        double least = activated ? confidence : logitOf(confidence);
        int count = 0;
        for (int slot = 0; slot < slots; slot++) {
            count += outputs[offset + slot * fields() + J] >= least ? 1 : 0;
        }
        return count;
    }

    /** The slots with a J of at least {@code least}, by descending J, then ascending; at most {@code most}. */
    private int[] order(float[] outputs, int offset, double least, int most) {
        long[] keys = new long[16];
        int count = 0;
        for (int slot = 0; slot < slots; slot++) {
            float j = outputs[offset + slot * fields() + J];
            if (j >= least) {
                if (count == keys.length) {
                    keys = Arrays.copyOf(keys, 2 * count);
                }
                // One integer that ascends as J descends, then as the slot ascends; + 0 makes one of both zeros.
                int bits = Float.floatToIntBits(j + 0.0f);
                keys[count++] = (long) ~(bits ^ (bits >> 31 & Integer.MAX_VALUE)) << 32 | slot;
            }
        }
        Arrays.sort(keys, 0, count);
        int[] found = new int[Math.min(count, most)];
        for (int i = 0; i < found.length; i++) {
            found[i] = (int) keys[i]; // the lower half
        }
        return found;
    }

    /** Writes candidate {@code to}, whose slot's values begin at {@code at}. */
    private void box(float[] outputs, int at, boolean activated, int to, Candidates found) {
        Place place = place(found.slots[to]);
        double x = activated ? outputs[at + X] : sigmoid(outputs[at + X]);
        double y = activated ? outputs[at + Y] : sigmoid(outputs[at + Y]);
        double w = activated ? outputs[at + W] : size(outputs[at + W]);
        double h = activated ? outputs[at + H] : size(outputs[at + H]);
        double cx = (x + place.column) * place.stride;
        double cy = (y + place.row) * place.stride;
        double halfWidth = w * place.anchor.width() / 2;
        double halfHeight = h * place.anchor.height() / 2;
        found.boxesXyxy[4 * to] = cx - halfWidth;
        found.boxesXyxy[4 * to + 1] = cy - halfHeight;
        found.boxesXyxy[4 * to + 2] = cx + halfWidth;
        found.boxesXyxy[4 * to + 3] = cy + halfHeight;
        found.confidence[to] = activated ? outputs[at + J] : sigmoid(outputs[at + J]);
        int best = 0;
        for (int i = 1; i < classCount; i++) {
            if (outputs[at + CLASSES + i] > outputs[at + CLASSES + best]) {
                best = i;
            }
        }
        found.classIds[to] = best;
    }

    private record Place(int column, int row, int stride, Grid.Anchor anchor) {
    }

    private Place place(int slot) {
        int left = slot;
        int number = 0;
        while (left >= grids.get(number).slots()) {
            left -= grids.get(number++).slots();
        }
        Grid grid = grids.get(number);
        int cell = left / grid.anchors().size();
        Grid.Anchor anchor = grid.anchors().get(left % grid.anchors().size());
        return new Place(cell % grid.columns(), cell / grid.columns(), grid.stride(), anchor);
    }

    // ---- the functions of the network's outputs, and their inverses

    /** ln(p / (1 - p)); infinite at 0 and 1. */
    public static double logitOf(double probability) {
        if (probability <= 0 || probability >= 1) {
            return probability <= 0 ? Double.NEGATIVE_INFINITY : Double.POSITIVE_INFINITY;
        }
        return Math.log(probability / (1 - probability));
    }

    private static double sigmoid(double logit) {
        return 1 / (1 + Math.exp(-logit));
    }

    private static double size(double logit) {
        return Math.exp(clamp(logit, SIZE_LOGIT_LOW, SIZE_LOGIT_HIGH));
    }

    /**
     * Predictions from raw logits: sigmoid, exp, sigmoid, softmax.
     *
     * @param logits any number of slots of 5 + C values
     * @return as many values
     * @throws IllegalArgumentException a number of values that is no multiple of 5 + C
     */
    public double[] activate(float[] logits) {
        double[] values = new double[logits.length];
        Arrays.setAll(values, i -> logits[i]);
        return activate(values);
    }

    /** {@link #activate(float[])} of values in double precision. */
    public double[] activate(double[] logits) {
        checkFields(logits.length);
        double[] predictions = new double[logits.length];
        for (int at = 0; at < logits.length; at += fields()) {
            predictions[at + X] = sigmoid(logits[at + X]);
            predictions[at + Y] = sigmoid(logits[at + Y]);
            predictions[at + W] = size(logits[at + W]);
            predictions[at + H] = size(logits[at + H]);
            predictions[at + J] = sigmoid(logits[at + J]);
            double most = Double.NEGATIVE_INFINITY;
            for (int i = at + CLASSES; i < at + fields(); i++) {
                most = Math.max(most, logits[i]);
            }
            double sum = 0;
            for (int i = at + CLASSES; i < at + fields(); i++) {
                predictions[i] = Math.exp(logits[i] - most); // the largest is 1: no overflow
                sum += predictions[i];
            }
            for (int i = at + CLASSES; i < at + fields(); i++) {
                predictions[i] /= sum;
            }
        }
        return predictions;
    }

    /**
     * Raw logits from predictions or training targets: the inverse of {@link #activate(double[])}.
     *
     * <p>A centre is put at least 2^-20 cells inside its cell; the logit of a size lies in [-20, 9.2], that of J in
     * [-20, 20]. A class of probability p gets 20 + ln(p), at least 0: of one-hot classes the one meant gets 20. An
     * ignored J (-1) counts as empty.
     *
     * @param predictions any number of slots of 5 + C values
     * @return as many values
     * @throws IllegalArgumentException a number of values that is no multiple of 5 + C
     */
    public double[] deactivate(double[] predictions) {
        checkFields(predictions.length);
        double[] logits = new double[predictions.length];
        for (int at = 0; at < predictions.length; at += fields()) {
            for (int i = at + X; i <= at + Y; i++) {
                double inside = clamp(predictions[i], EDGE, 1 - EDGE);
                logits[i] = Math.log(inside / (1 - inside));
            }
            for (int i = at + W; i <= at + H; i++) {
                logits[i] = clamp(Math.log(predictions[i]), SIZE_LOGIT_LOW, SIZE_LOGIT_HIGH);
            }
            double sure = clamp(predictions[at + J], 0, 1);
            logits[at + J] = clamp(Math.log(sure) - Math.log1p(-sure), -CERTAIN, CERTAIN);
            for (int i = at + CLASSES; i < at + fields(); i++) {
                logits[i] = clamp(CERTAIN + Math.log(predictions[i]), 0, CERTAIN);
            }
        }
        return logits;
    }

    private void checkFields(int values) {
        if (values % fields() != 0) {
            throw new IllegalArgumentException("slots: expected a multiple of " + fields() + " values (5 + "
                    + classCount + " classes), found " + values);
        }
    }
}
