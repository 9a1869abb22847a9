package yoloproc;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;

import yoloproc.LabelCodec.Grid;

/**
 * What a model says of itself: the JSON under the metadata key {@link #METADATA_KEY} of {@code model.onnx}, and in
 * {@code model.json}.
 *
 * @param task      what it does; a description without one is of a detector
 * @param classes   their names; a class id is an index into them
 * @param input     what goes in
 * @param output    what comes out
 * @param grids     of a detector, in ascending stride, all over the input's picture; a classifier has none
 * @param defaults  how its boxes are chosen unless the user says otherwise
 * @param training  what is known of its training; for people
 */
public record ModelSpec(Task task, List<String> classes, Input input, Output output, List<Grid> grids, Defaults defaults,
        Map<String, Object> training) {

    /** The version of the JSON that is read here. */
    public static final int VERSION = 1;

    // Python's reader has the same limits: what is beyond them is damage, or meant to harm.
    private static final int MAX_SIDE = 1 << 20; // of a picture, an anchor, or cells
    private static final int MAX_PIXELS = 1 << 28; // of a picture
    private static final int MAX_VALUES = 1 << 28; // of the output for a picture
    static final int MAX_BYTES = 16 << 20; // of the text

    /** Where the JSON stands in the metadata of {@code model.onnx}. */
    public static final String METADATA_KEY = "yolo_proc";

    /** What a model does. */
    public enum Task {
        /** Boxes with classes, see {@link LabelCodec}. */
        DETECTION,
        /** The class of the whole picture. */
        CLASSIFICATION;

        /** As it stands in the JSON. */
        public String word() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /** The order of the input's axes: N pictures, H rows, W columns, C = 3 colours, red first. */
    public enum Layout {
        /** N x H x W x 3: the picture's own bytes. */
        NHWC,
        /** N x 3 x H x W. */
        NCHW
    }

    /** The type of the input's numbers. */
    public enum Type {
        /** Bytes, 0 to 255. */
        UINT8,
        /** Single precision. */
        FLOAT32
    }

    /**
     * What goes into the network: letterboxed pictures in RGB.
     *
     * @param name   of the tensor
     * @param layout order of its axes
     * @param type   of its numbers
     * @param low    the number for black
     * @param high   the number for white
     * @param width  pixels
     * @param height pixels
     */
    public record Input(String name, Layout layout, Type type, double low, double high, int width, int height) {

        /** The shape for some pictures. */
        public long[] shape(int pictures) {
            return layout == Layout.NHWC ? new long[] {pictures, height, width, 3}
                    : new long[] {pictures, 3, height, width};
        }
    }

    /**
     * What comes out, in single precision: of a detector N x slots x (5 + classes), see {@link LabelCodec}; of a
     * classifier N x classes.
     *
     * @param name      of the tensor
     * @param activated whether they are predictions and not raw logits
     */
    public record Output(String name, boolean activated) {
    }

    /**
     * How boxes are chosen.
     *
     * @param confidence    least confidence, 0 to 1
     * @param maxIou        a box that overlaps a surer one by so much is dropped, 0 to 1
     * @param agnostic      whether boxes of all classes are compared, and not those of one class
     * @param maxCandidates slots compared in a picture, at least 1
     * @param maxDetections boxes left in a picture, at least 1
     */
    public record Defaults(double confidence, double maxIou, boolean agnostic, int maxCandidates, int maxDetections) {

        /** For what a model does not say. */
        public static final Defaults USUAL = new Defaults(0.65, 0.4, false, 1000, 300);

        /**
         * Checks the values.
         *
         * @throws IllegalArgumentException one out of range
         */
        public Defaults {
            check("confidence", "0 to 1", confidence >= 0 && confidence <= 1, confidence);
            check("max_iou", "0 to 1", maxIou >= 0 && maxIou <= 1, maxIou);
            check("max_candidates", "at least 1", maxCandidates >= 1, maxCandidates);
            check("max_detections", "at least 1", maxDetections >= 1, maxDetections);
        }

        private static void check(String name, String expected, boolean right, Number found) {
            if (!right) {
                throw new IllegalArgumentException(name + ": expected " + expected + ", found " + found);
            }
        }
    }

    /** Copies the lists. */
    public ModelSpec {
        classes = List.copyOf(classes);
        grids = List.copyOf(grids);
    }

    /**
     * The codec of a detector's labels.
     *
     * @throws IllegalStateException a classifier, which has none
     */
    public LabelCodec codec() {
        if (task != Task.DETECTION) {
            throw new IllegalStateException("codec: expected a detector, found a classifier, which has no slots");
        }
        return new LabelCodec(grids, classes.size());
    }

    /**
     * The shape of the output.
     *
     * @param pictures how many; -1 for any number
     */
    public long[] outputShape(int pictures) {
        if (task == Task.CLASSIFICATION) {
            return new long[] {pictures, classes.size()};
        }
        LabelCodec codec = codec();
        return new long[] {pictures, codec.slots(), codec.fields()};
    }

    /** How many values the output has for one picture. */
    public int outputValues() {
        return Math.toIntExact(Arrays.stream(outputShape(1)).reduce(1, Math::multiplyExact));
    }

    /**
     * Compares the output's shape with what the task needs.
     *
     * @param shape of the tensor; -1 for an axis of any length
     * @param where what has the shape, for messages
     * @throws FormatException another shape
     */
    public void checkOutput(long[] shape, String where) throws FormatException {
        checkShape(shape, outputShape(-1), where, "output " + output.name);
    }

    /**
     * Compares the input's shape with what its layout and size need.
     *
     * @param shape of the tensor; -1 for an axis of any length
     * @param where what has the shape, for messages
     * @throws FormatException another shape
     */
    public void checkInput(long[] shape, String where) throws FormatException {
        checkShape(shape, input.shape(-1), where, "input " + input.name);
    }

    private static void checkShape(long[] shape, long[] expected, String where, String place) throws FormatException {
        boolean fits = shape.length == expected.length;
        for (int axis = 1; fits && axis < shape.length; axis++) {
            fits = shape[axis] == expected[axis];
        }
        if (!fits) {
            throw new FormatException(where, place, "the shape " + Arrays.toString(expected).replace("-1", "N"),
                    Arrays.toString(shape) + "; the model and its description do not belong together", "value");
        }
    }

    /** What of two descriptions is not the same, by the keys of the JSON; empty if they are equal. */
    public List<String> differences(ModelSpec other) {
        List<String> names = new ArrayList<>();
        addIf(task != other.task, "task", names);
        addIf(!classes.equals(other.classes), "classes", names);
        addIf(!input.equals(other.input), "input", names);
        addIf(!output.equals(other.output), "output", names);
        addIf(!grids.equals(other.grids), "grids", names);
        addIf(!defaults.equals(other.defaults), "defaults", names);
        addIf(!training.equals(other.training), "training", names);
        return names;
    }

    private static void addIf(boolean differs, String name, List<String> names) {
        if (differs) {
            names.add(name);
        }
    }

    /**
     * Reads what a model's file such as {@code model.onnx} says of itself; no runtime is needed.
     *
     * @throws FormatException not an ONNX model, a damaged one, or one that yolo_proc did not export
     * @throws IOException     a file that cannot be read
     */
    public static ModelSpec ofModel(Path model) throws IOException {
        byte[] content = PlainFiles.read(model, PlainFiles.MAX_BYTES, "a model such as model.onnx", "missing", "value");
        return OnnxFile.read(content, model.toString());
    }

    /**
     * Reads a file such as {@code model.json}.
     *
     * @throws FormatException as of {@link #read(String, String)}; no plain file ({@code "value"})
     * @throws IOException     a file that cannot be read
     */
    public static ModelSpec read(Path file) throws IOException {
        byte[] content = PlainFiles.read(file, MAX_BYTES, "the description that export wrote", "value", "value");
        return read(new String(content, StandardCharsets.UTF_8), file.toString());
    }

    /**
     * Reads the JSON. Unknown keys are ignored.
     *
     * @param json  the text
     * @param where what it is, for messages: a file's name
     * @throws FormatException not JSON, another version, a key that is missing or has a value out of range, or a text
     *                         that its digest does not belong to
     */
    public static ModelSpec read(String json, String where) throws FormatException {
        if (json.length() > MAX_BYTES) {
            throw new FormatException(where, "", "at most " + MAX_BYTES + " characters", json.length() + "", "value");
        }
        Digest.checkText(json, where);
        JsonFields root = JsonFields.of(Json.read(json, where), where);
        Digest.checkKeys(json, root.values().keySet(), where);
        int version = root.whole("version", 1, Integer.MAX_VALUE);
        if (version != VERSION) {
            throw root.wrong("version", "version " + VERSION, version + "; take the library of the model's release",
                    "version");
        }
        JsonFields letterbox = root.object("letterbox");
        letterbox.only("rule", 1L);
        letterbox.only("pad", List.of((long) Letterbox.PAD, (long) Letterbox.PAD, (long) Letterbox.PAD));
        Input input = input(root.object("input"));
        JsonFields output = root.object("output");
        Task task = root.has("task") && root.choice("task", List.of("detection", "classification"))
                .equals("classification") ? Task.CLASSIFICATION : Task.DETECTION;
        boolean detector = task == Task.DETECTION;
        ModelSpec spec = new ModelSpec(task, classes(root, detector ? 1 : 2), input,
                new Output(output.name("name", output.text("name")), output.flag("activated")),
                detector ? grids(root, input) : List.of(),
                detector && root.has("defaults") ? defaults(root.object("defaults")) : Defaults.USUAL,
                root.has("training") ? root.object("training").values() : Map.of());
        if (!detector) {
            return spec;
        }
        try {
            LabelCodec codec = spec.codec();
            if ((long) codec.slots() * codec.fields() > MAX_VALUES) {
                throw root.wrong("grids", "at most " + MAX_VALUES + " values for a picture",
                        (long) codec.slots() * codec.fields() + "", "value");
            }
        } catch (IllegalArgumentException | ArithmeticException error) {
            throw root.wrong("grids", "grids that fit each other", error.getMessage(), "value");
        }
        return spec;
    }

    private static List<String> classes(JsonFields root, int least) throws FormatException {
        List<String> classes = new ArrayList<>();
        for (Object name : root.list("classes")) {
            if (!(name instanceof String text)) {
                throw root.wrong("classes", "a list of names", JsonFields.shown(name), "value");
            }
            classes.add(root.name("classes[" + classes.size() + "]", text));
        }
        if (classes.size() < least) {
            String found = classes.isEmpty() ? "none" : classes.size() + "";
            throw root.wrong("classes", least == 1 ? "at least one name" : "at least two names", found, "value");
        }
        return classes;
    }

    private static Input input(JsonFields fields) throws FormatException {
        fields.only("color", "rgb");
        String layout = fields.choice("layout", List.of("nhwc", "nchw"));
        String type = fields.choice("type", List.of("uint8", "float32"));
        List<?> range = fields.list("range");
        if (range.size() != 2 || !(range.get(0) instanceof Number low) || !(range.get(1) instanceof Number high)
                || low.doubleValue() >= high.doubleValue()) {
            throw fields.wrong("range", "the numbers for black and white", JsonFields.shown(range), "value");
        }
        boolean bytes = type.equals("uint8");
        if (bytes && (low.doubleValue() != 0 || high.doubleValue() != 255)) {
            throw fields.wrong("range", "[0, 255] of uint8", JsonFields.shown(range), "value");
        }
        int width = fields.whole("width", 1, MAX_SIDE);
        int height = fields.whole("height", 1, MAX_SIDE);
        if ((long) width * height > MAX_PIXELS) {
            throw fields.wrong("", "at most " + MAX_PIXELS + " pixels", width + " x " + height, "value");
        }
        return new Input(fields.name("name", fields.text("name")), layout.equals("nhwc") ? Layout.NHWC : Layout.NCHW,
                bytes ? Type.UINT8 : Type.FLOAT32, low.doubleValue(), high.doubleValue(), width, height);
    }

    private static List<Grid> grids(JsonFields root, Input input) throws FormatException {
        List<Grid> grids = new ArrayList<>();
        for (Object each : root.list("grids")) {
            JsonFields fields = root.inside("grids[" + grids.size() + "]", each);
            List<Grid.Anchor> anchors = new ArrayList<>();
            for (Object anchor : fields.list("anchors")) {
                if (!(anchor instanceof List<?> sides) || sides.size() != 2
                        || !(sides.get(0) instanceof Number width) || !(sides.get(1) instanceof Number height)) {
                    throw fields.wrong("anchors", "a list of [width, height]", JsonFields.shown(anchor), "value");
                }
                if (width.doubleValue() > MAX_SIDE || height.doubleValue() > MAX_SIDE) {
                    throw fields.wrong("anchors", "sides of at most " + MAX_SIDE + " pixels", JsonFields.shown(anchor), "value");
                }
                anchors.add(new Grid.Anchor(width.doubleValue(), height.doubleValue()));
            }
            int stride = fields.whole("stride", 1, MAX_SIDE);
            int columns = fields.whole("columns", 1, MAX_SIDE);
            int rows = fields.whole("rows", 1, MAX_SIDE);
            if ((long) columns * stride != input.width || (long) rows * stride != input.height) {
                throw fields.wrong("", "a grid over " + input.width + " x " + input.height + " pixels",
                        columns + " x " + rows + " cells of " + stride, "value");
            }
            try {
                grids.add(new Grid(stride, columns, rows, anchors));
            } catch (IllegalArgumentException error) {
                throw fields.wrong("anchors", "positive anchors", error.getMessage(), "value");
            }
        }
        if (grids.isEmpty()) {
            throw root.wrong("grids", "at least one grid", "none", "value");
        }
        return grids;
    }

    private static Defaults defaults(JsonFields fields) throws FormatException {
        return new Defaults(
                fields.has("confidence") ? fields.share("confidence") : Defaults.USUAL.confidence,
                fields.has("max_iou") ? fields.share("max_iou") : Defaults.USUAL.maxIou,
                fields.has("nms") && fields.choice("nms", List.of("class", "agnostic")).equals("agnostic"),
                fields.has("max_candidates") ? fields.whole("max_candidates", 1, Integer.MAX_VALUE)
                        : Defaults.USUAL.maxCandidates,
                fields.has("max_detections") ? fields.whole("max_detections", 1, Integer.MAX_VALUE)
                        : Defaults.USUAL.maxDetections);
    }
}
