package yoloproc;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Inputs and what each stage between a picture's file and boxes must make of them, in files that any language reads.
 * {@link Replay} compares them with this library.
 *
 * @param model      what the model says of itself
 * @param onnx       the model's file
 * @param tolerances of "logits" and "activations" (relative above 1), and of "boxes" (pixels)
 * @param cases      all of them, in the file's order
 */
public record GoldenVectors(ModelSpec model, Path onnx, Map<String, Double> tolerances, List<Case> cases) {

    /** The version of the format that is read here. */
    public static final int VERSION = 1;

    /**
     * What one stage makes of some inputs. Values are {@link Array}, {@code Number}, {@code String} or {@code Map}.
     *
     * @param name    of the case
     * @param stage   of the ten
     * @param comment for people
     * @param in      inputs by name
     * @param out     outputs by name
     */
    public record Case(String name, String stage, String comment, Map<String, Object> in, Map<String, Object> out) {
    }

    /**
     * An array of numbers, the last axis fastest.
     *
     * @param type   u8, i32, f32 or f64
     * @param shape  lengths of the axes
     * @param values {@code byte[]}, {@code int[]}, {@code float[]} or {@code double[]}; not copied
     */
    public record Array(String type, List<Integer> shape, Object values) {

        /** Values of the type u8. */
        public byte[] bytes() {
            return (byte[]) values;
        }

        /** Values of the type i32. */
        public int[] ints() {
            return (int[]) values;
        }

        /** Values of the type f32. */
        public float[] floats() {
            return (float[]) values;
        }

        /** Values of the type f64. */
        public double[] doubles() {
            return (double[]) values;
        }
    }

    /**
     * Reads a set of cases, every file of it compared with its SHA-256.
     *
     * @param folder that holds {@code index.json}
     * @throws FormatException another version, or a file that is damaged or does not fit its description
     * @throws IOException     a file that is missing or cannot be read
     */
    public static GoldenVectors read(Path folder) throws IOException {
        Path place = folder.resolve("index.json");
        String where = place.toString();
        Object root = Json.read(new String(PlainFiles.read(place, PlainFiles.MAX_TEXT, "an index of golden vectors",
                "missing", "value"), StandardCharsets.UTF_8), where);
        JsonFields index = JsonFields.of(root, where);
        int version = index.whole("version", 0, Integer.MAX_VALUE);
        if (version != VERSION) {
            throw index.wrong("version", "version " + VERSION, version + "; take the release that it is of", "version");
        }
        ModelSpec model = ModelSpec.read(Json.write(index.object("model").values()), where);
        JsonFields onnx = index.object("onnx");
        Path file = beside(folder, onnx).normalize();
        verified(file, onnx.text("sha256"));
        Map<String, Array> arrays = new LinkedHashMap<>();
        JsonFields files = index.object("files");
        for (String name : files.values().keySet()) {
            arrays.put(name, array(folder, files.object(name)));
        }
        Map<String, Double> tolerances = new LinkedHashMap<>();
        for (String kind : List.of("logits", "activations", "boxes")) {
            tolerances.put(kind, index.object("tolerances").share(kind));
        }
        List<Case> cases = new ArrayList<>();
        for (Object each : index.list("cases")) {
            JsonFields fields = index.inside("cases[" + cases.size() + "]", each);
            cases.add(new Case(fields.text("name"), fields.text("stage"), fields.text("comment"),
                    resolved(fields.object("in"), arrays), resolved(fields.object("out"), arrays)));
        }
        return new GoldenVectors(model, file, tolerances, List.copyOf(cases));
    }

    private static Array array(Path folder, JsonFields entry) throws IOException {
        String name = entry.text("file");
        if (name.contains("/") || name.contains("\\")) {
            throw entry.wrong("file", "a file beside index.json", name, "value");
        }
        byte[] data = verified(beside(folder, entry), entry.text("sha256"));
        String type = entry.choice("type", List.of("u8", "i32", "f32", "f64"));
        List<Integer> shape = new ArrayList<>();
        long count = 1;
        for (Object side : entry.list("shape")) {
            if (!(side instanceof Long length) || length < 0 || length > Integer.MAX_VALUE) {
                throw entry.wrong("shape", "a list of lengths", JsonFields.shown(side), "value");
            }
            shape.add(length.intValue());
            count = Math.min(count * length, Integer.MAX_VALUE);
        }
        int size = type.equals("u8") ? 1 : type.equals("f64") ? 8 : 4;
        if (data.length != count * size) {
            throw entry.wrong("file", type + " of the shape " + shape, data.length + " bytes in " + name, "value");
        }
        return new Array(type, List.copyOf(shape), values(data, type, (int) count));
    }

    /** The path that an entry names, seen from the folder. */
    private static Path beside(Path folder, JsonFields entry) throws FormatException {
        try {
            return folder.resolve(entry.text("file"));
        } catch (InvalidPathException error) { // a character that no file's name has here
            throw entry.wrong("file", "a file's name", JsonFields.shown(entry.text("file")), "value");
        }
    }

    private static Object values(byte[] data, String type, int count) {
        ByteBuffer bytes = ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN);
        switch (type) {
            case "i32":
                int[] ints = new int[count];
                bytes.asIntBuffer().get(ints);
                return ints;
            case "f32":
                float[] floats = new float[count];
                bytes.asFloatBuffer().get(floats);
                return floats;
            case "f64":
                double[] doubles = new double[count];
                bytes.asDoubleBuffer().get(doubles);
                return doubles;
            default:
                return data;
        }
    }

    private static byte[] verified(Path file, String sha256) throws IOException {
        String what = "a file of golden vectors";
        if (!Files.exists(file)) {
            throw new FormatException(file.toString(), "", what, "none; restore it", "value");
        }
        byte[] data = PlainFiles.read(file, PlainFiles.MAX_BYTES, what, "value", "value");
        try {
            byte[] found = MessageDigest.getInstance("SHA-256").digest(data);
            if (!Arrays.equals(found, HexFormat.of().parseHex(sha256))) {
                throw new FormatException(file.toString(), "", "SHA-256 " + sha256,
                        HexFormat.of().formatHex(found) + "; the file was changed: restore it", "value");
            }
        } catch (NoSuchAlgorithmException error) {
            throw new IllegalStateException("every Java has SHA-256", error);
        } catch (IllegalArgumentException error) {
            throw new FormatException(file.toString(), "", "a SHA-256 in hexadecimal", sha256, "value");
        }
        return data;
    }

    /** Arrays in place of their names; the one key whose text is a word is {@code nms}. */
    private static Map<String, Object> resolved(JsonFields fields, Map<String, Array> arrays) throws FormatException {
        Map<String, Object> found = new LinkedHashMap<>();
        for (Map.Entry<String, Object> entry : fields.values().entrySet()) {
            Object value = entry.getValue();
            if (value instanceof String name && !entry.getKey().equals("nms")) {
                value = arrays.get(name);
                if (value == null) {
                    throw fields.wrong(entry.getKey(), "the name of an array in files", name, "value");
                }
            }
            found.put(entry.getKey(), value);
        }
        return found;
    }
}
