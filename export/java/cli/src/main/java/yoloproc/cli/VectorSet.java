package yoloproc.cli;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;

import yoloproc.FormatException;
import yoloproc.Json;
import yoloproc.ModelSpec;

/**
 * Golden vectors: inputs, and what each stage must make of them. Every file's length and SHA-256 are checked.
 *
 * @param spec       of the model
 * @param onnx       the model's file
 * @param tolerances of {@code logits} and {@code activations} (relative above 1), and of {@code boxes} (pixels)
 * @param cases      in the index's order
 */
record VectorSet(ModelSpec spec, Path onnx, Map<String, Double> tolerances, List<Case> cases) {

    /**
     * An array.
     *
     * @param shape  its axes
     * @param values {@code byte[]}, {@code int[]}, {@code float[]} or {@code double[]}
     */
    record Values(List<Integer> shape, Object values) {
    }

    /**
     * What one stage makes of some inputs: {@link Values}, {@code Long}, {@code Double}, {@code String} or {@code Map}.
     */
    record Case(String name, String stage, Map<String, Object> in, Map<String, Object> out) {
    }

    /** Reads a set. */
    static VectorSet read(Path folder) throws IOException {
        Path index = folder.resolve("index.json");
        Map<?, ?> root = map(Json.read(new String(bytes(index), StandardCharsets.UTF_8), index.toString()), index, "");
        if (!Long.valueOf(1).equals(root.get("version"))) {
            throw new FormatException(index.toString(), "version", "version 1", root.get("version")
                    + "; take the library of the vectors' release", "version");
        }
        ModelSpec spec = ModelSpec.read(Json.write(root.get("model")), index + ": model");
        Map<?, ?> onnx = map(root.get("onnx"), index, "onnx");
        Path model = folder.resolve(text(onnx, "file", index));
        verified(model, text(onnx, "sha256", index));
        Map<String, Double> tolerances = new HashMap<>();
        for (String kind : List.of("logits", "activations", "boxes")) {
            if (!(map(root.get("tolerances"), index, "tolerances").get(kind) instanceof Number number)) {
                throw wrong(index, "tolerances." + kind, "a number");
            }
            tolerances.put(kind, number.doubleValue());
        }
        return new VectorSet(spec, model, tolerances, cases(root, arrays(root, folder, index), index));
    }

    private static Map<String, Values> arrays(Map<?, ?> root, Path folder, Path index) throws IOException {
        Map<String, Values> arrays = new HashMap<>();
        for (Map.Entry<?, ?> entry : map(root.get("files"), index, "files").entrySet()) {
            Map<?, ?> fields = map(entry.getValue(), index, "files." + entry.getKey());
            List<Integer> shape = new ArrayList<>();
            if (!(fields.get("shape") instanceof List<?> sides)) {
                throw wrong(index, "files." + entry.getKey() + ".shape", "a list");
            }
            long count = 1;
            for (Object side : sides) {
                if (!(side instanceof Long length) || length < 0 || length > Integer.MAX_VALUE) {
                    throw wrong(index, "files." + entry.getKey() + ".shape", "lengths of axes");
                }
                shape.add(length.intValue());
                count = Math.multiplyExact(count, (long) length);
            }
            Path file = folder.resolve(text(fields, "file", index));
            byte[] data = verified(file, text(fields, "sha256", index));
            arrays.put((String) entry.getKey(), new Values(shape, values(data, text(fields, "type", index), count, file)));
        }
        return arrays;
    }

    private static Object values(byte[] data, String type, long count, Path file) throws FormatException {
        int size = switch (type) {
            case "u8" -> 1;
            case "i32", "f32" -> 4;
            case "f64" -> 8;
            default -> throw wrong(file, "type", "u8, i32, f32 or f64");
        };
        if (data.length != count * size) {
            throw new FormatException(file.toString(), "", count * size + " bytes", String.valueOf(data.length), "value");
        }
        ByteBuffer buffer = ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN);
        int length = (int) count;
        switch (type) {
            case "i32":
                int[] wholes = new int[length];
                buffer.asIntBuffer().get(wholes);
                return wholes;
            case "f32":
                float[] floats = new float[length];
                buffer.asFloatBuffer().get(floats);
                return floats;
            case "f64":
                double[] doubles = new double[length];
                buffer.asDoubleBuffer().get(doubles);
                return doubles;
            default:
                return data;
        }
    }

    private static List<Case> cases(Map<?, ?> root, Map<String, Values> arrays, Path index) throws FormatException {
        if (!(root.get("cases") instanceof List<?> list) || list.isEmpty()) {
            throw wrong(index, "cases", "a list of cases");
        }
        List<Case> cases = new ArrayList<>();
        for (Object each : list) {
            Map<?, ?> fields = map(each, index, "cases");
            String name = text(fields, "name", index);
            cases.add(new Case(name, text(fields, "stage", index),
                    resolved(map(fields.get("in"), index, name + ".in"), arrays, index),
                    resolved(map(fields.get("out"), index, name + ".out"), arrays, index)));
        }
        return cases;
    }

    /** The values of a case: a string is the name of an array, but that of {@code nms} is a word. */
    private static Map<String, Object> resolved(Map<?, ?> fields, Map<String, Values> arrays, Path index)
            throws FormatException {
        Map<String, Object> found = new HashMap<>();
        for (Map.Entry<?, ?> entry : fields.entrySet()) {
            Object value = entry.getValue();
            if (value instanceof String name && !entry.getKey().equals("nms")) {
                value = arrays.get(name);
                if (value == null) {
                    throw wrong(index, "files", "an array " + name);
                }
            }
            found.put((String) entry.getKey(), value);
        }
        return found;
    }

    private static byte[] bytes(Path file) throws IOException {
        if (!Files.isRegularFile(file)) {
            throw new FormatException(file.toString(), "", "a file of golden vectors", "none; export the model again",
                    "missing");
        }
        return Files.readAllBytes(file);
    }

    private static byte[] verified(Path file, String sha256) throws IOException {
        byte[] data = bytes(file);
        String found;
        try {
            found = HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(data));
        } catch (NoSuchAlgorithmException error) {
            throw new IllegalStateException(error); // every JVM has it
        }
        if (!found.equals(sha256)) {
            throw new FormatException(file.toString(), "", "SHA-256 " + sha256, found
                    + "; the file was changed: restore it", "value");
        }
        return data;
    }

    private static Map<?, ?> map(Object value, Path index, String place) throws FormatException {
        if (value instanceof Map<?, ?> map) {
            return map;
        }
        throw wrong(index, place, "an object in braces");
    }

    private static String text(Map<?, ?> fields, String key, Path index) throws FormatException {
        if (fields.get(key) instanceof String text) {
            return text;
        }
        throw wrong(index, key, "a text");
    }

    private static FormatException wrong(Path file, String place, String expected) {
        return new FormatException(file.toString(), place, expected, "something else; export the model again", "value");
    }
}
