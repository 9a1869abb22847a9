package yoloproc;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Map;

/**
 * What an ONNX file says before a runtime reads it: its metadata, and whether everything is inside of it.
 *
 * <p>A runtime tells of a damaged file in its own words, and copies metadata of any size. So the file's fields are
 * walked here first (protocol buffers: a tag, and a number or a length with so many bytes), as deep as tensors lie.
 */
public final class OnnxFile {

    private static final String EXPORTED = "use a model that `yolo_proc export` wrote";
    private static final int MAX_DEPTH = 64; // messages inside each other
    private static final int VARINT = 0;
    private static final int BYTES = 2;

    /** By message, the fields that lead to tensors, by their numbers in onnx.proto. */
    private static final Map<String, Map<Integer, String>> INSIDE = Map.of(
            "model", Map.of(7, "graph", 20, "training", 25, "function"),
            "graph", Map.of(1, "node", 5, "tensor", 15, "sparse"),
            "node", Map.of(5, "attribute"),
            "attribute", Map.of(5, "tensor", 6, "graph", 10, "tensor", 11, "graph", 22, "sparse", 23, "sparse"),
            "sparse", Map.of(1, "tensor", 2, "tensor"),
            "function", Map.of(7, "node", 11, "attribute"),
            "training", Map.of(1, "graph", 2, "graph"));

    private final byte[] content;
    private final String where;
    private int at;

    private OnnxFile(byte[] content, String where) {
        this.content = content;
        this.where = where;
    }

    /**
     * What a model's file says of itself, after its digest was checked.
     *
     * @param content of {@code model.onnx}
     * @param where   it is from, for messages
     * @throws FormatException no ONNX file, a damaged one, weights in other files, or no description that is read
     */
    public static ModelSpec read(byte[] content, String where) throws FormatException {
        boolean sealed = Digest.checkContent(content, where);
        OnnxFile file = new OnnxFile(content, where);
        String text = file.metadata();
        file.checkTensors();
        ModelSpec spec = ModelSpec.read(text, where + ": metadata");
        if (!sealed && Digest.isSealed(text)) {
            throw Digest.missing(where);
        }
        return spec;
    }

    /** A field of a message: its number, how it is stored, where its bytes lie; of a number its value. */
    private record Field(int number, int stored, int start, int end, long value) {
    }

    /** A message that is to be walked. */
    private record Part(String message, int start, int end, int depth) {
    }

    private String metadata() throws FormatException {
        Field found = null;
        int ours = 0;
        boolean graph = false;
        at = 0;
        while (at < content.length) {
            Field field = next(content.length);
            graph |= field.number == 7 && field.stored == BYTES;
            if (field.number == 14 && field.stored == BYTES) {
                int after = at;
                Field value = ourValue(field);
                at = after;
                found = value == null ? found : value;
                ours += value == null ? 0 : 1;
            }
        }
        if (!graph) {
            throw wrong("an ONNX model that is whole", "no graph in it; " + EXPORTED, "syntax");
        }
        if (ours != 1) {
            throw wrong("metadata of the key " + ModelSpec.METADATA_KEY, (ours == 0 ? "none" : ours) + "; " + EXPORTED,
                    "value");
        }
        if (found.end - found.start > ModelSpec.MAX_BYTES) {
            throw wrong("metadata of at most " + ModelSpec.MAX_BYTES + " bytes", (found.end - found.start) + "; " + EXPORTED,
                    "value");
        }
        try {
            return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(content, found.start, found.end - found.start))
                    .toString();
        } catch (CharacterCodingException error) {
            throw wrong("metadata in UTF-8", "something else; " + EXPORTED, "syntax");
        }
    }

    /** The value of an entry of metadata if its key is ours, else null. */
    private Field ourValue(Field entry) throws FormatException {
        boolean ours = false;
        Field value = new Field(2, BYTES, entry.start, entry.start, 0);
        at = entry.start;
        while (at < entry.end) {
            Field field = next(entry.end);
            if (field.number == 1 && field.stored == BYTES) {
                String key = new String(content, field.start, Math.min(64, field.end - field.start),
                        StandardCharsets.ISO_8859_1);
                ours = key.equals(ModelSpec.METADATA_KEY);
            } else if (field.number == 2 && field.stored == BYTES) {
                value = field;
            }
        }
        return ours ? value : null;
    }

    /** A model is one file, and reads no other. */
    private void checkTensors() throws FormatException {
        Deque<Part> waiting = new ArrayDeque<>();
        waiting.push(new Part("model", 0, content.length, 0));
        while (!waiting.isEmpty()) {
            Part part = waiting.pop();
            if (part.depth > MAX_DEPTH) {
                throw wrong("at most " + MAX_DEPTH + " messages inside each other", "more; " + EXPORTED, "value");
            }
            at = part.start;
            while (at < part.end) {
                Field field = next(part.end);
                if (part.message.equals("tensor")) {
                    if ((field.number == 14 && field.stored == VARINT && field.value != 0)
                            || (field.number == 13 && field.stored == BYTES)) {
                        throw wrong("one file with all of its weights in it",
                                "weights in other files (external data), which are not read; " + EXPORTED, "value");
                    }
                } else if (field.stored == BYTES && INSIDE.get(part.message).containsKey(field.number)) {
                    waiting.push(new Part(INSIDE.get(part.message).get(field.number), field.start, field.end,
                            part.depth + 1));
                }
            }
        }
    }

    /** The field that begins here; {@link #at} is behind it then. */
    private Field next(int end) throws FormatException {
        long tag = varint(end);
        int stored = (int) (tag & 7);
        long number = tag >>> 3;
        if (number == 0 || number >= 1 << 29) {
            throw broken();
        }
        if (stored == VARINT) {
            return new Field((int) number, stored, at, at, varint(end));
        }
        long length;
        if (stored == BYTES) {
            length = varint(end);
        } else if (stored == 1 || stored == 5) {
            length = stored == 1 ? 8 : 4;
        } else {
            throw broken();
        }
        if (length < 0 || length > end - at) {
            throw broken();
        }
        int start = at;
        at += (int) length;
        return new Field((int) number, stored, start, at, 0);
    }

    /** A number of seven bits a byte, the lowest first. */
    private long varint(int end) throws FormatException {
        long value = 0;
        for (int shift = 0; shift < 70 && at < end; shift += 7) {
            int here = content[at++];
            value |= (long) (here & 0x7F) << shift;
            if (here >= 0) {
                return value;
            }
        }
        throw broken();
    }

    private FormatException broken() {
        return wrong("an ONNX model that is whole", "other bytes at " + at + "; " + EXPORTED, "syntax");
    }

    private FormatException wrong(String expected, String found, String reason) {
        return new FormatException(where, "", expected, found, reason);
    }
}
