package yoloproc;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The digests of an exported model: what a flipped bit or a cut-off end would change is refused, not believed.
 *
 * <p>A description begins with {@code {"digest":"sha256",} and ends with {@code ,"sha256":"<64 hex digits>"}}, of the
 * text between. {@code model.onnx} ends with an entry of metadata, {@code yolo_proc.sha256}: 64 hex digits, of all
 * bytes before the entry. What an earlier release wrote has neither.
 */
final class Digest {

    static final String KEY = "yolo_proc.sha256";

    private static final String CHANGED = "it is damaged, or another tool changed it; export the model again, or, if it "
            + "was changed on purpose, run python -m yolo_proc.export.digest MODEL.onnx";
    private static final String OPENING = "{\"digest\":\"sha256\",";
    private static final Pattern CLOSING = Pattern.compile(",\"sha256\":\"([0-9a-f]{64})\"}[ \\t\\r\\n]*\\z");
    private static final int VALUE = 64;
    private static final byte[] ENTRY = entry();

    private Digest() {
    }

    /** The entry up to its value, as protocol buffers write it: field 14 of the model, key and value in it. */
    private static byte[] entry() {
        String head = (char) 0x72 + "" + (char) (4 + KEY.length() + VALUE) + (char) 0x0A + (char) KEY.length();
        return (head + KEY + (char) 0x12 + (char) VALUE).getBytes(StandardCharsets.ISO_8859_1);
    }

    /** Whether a text that {@link #checkText} let pass has a digest; the file that it stands in must have one too. */
    static boolean isSealed(String text) {
        return text.stripLeading().startsWith(OPENING);
    }

    /** Compares a text with its digest, if it has one or says that it has. */
    static void checkText(String text, String where) throws FormatException {
        int tail = Math.max(0, text.length() - 200); // of a long text only the end is searched
        Matcher closing = CLOSING.matcher(text).region(tail, text.length());
        boolean ends = closing.find();
        if (!ends && !isSealed(text)) {
            return;
        }
        int start = text.length() - text.stripLeading().length() + OPENING.length();
        if (!ends || !isSealed(text) || closing.start() < start
                || !hex(text.substring(start, closing.start()).getBytes(StandardCharsets.UTF_8)).equals(closing.group(1))) {
            throw new FormatException(where, "", "the text that belongs to its sha256", "another: " + CHANGED, "damaged");
        }
    }

    /** Refuses a text that was written anew, with its digest as one more value: nobody can tell what else changed. */
    static void checkKeys(String text, Set<String> keys, String where) throws FormatException {
        if (!isSealed(text) && (keys.contains("digest") || keys.contains("sha256"))) {
            throw new FormatException(where, "", "the text as `export` wrote it, with its sha256",
                    "it changed: " + CHANGED, "damaged");
        }
    }

    /** Compares a file with the digest at its end; whether there is one. */
    static boolean checkContent(byte[] content, String where) throws FormatException {
        int end = content.length - VALUE;
        int start = end - ENTRY.length;
        if (start < 0 || !Arrays.equals(content, start, end, ENTRY, 0, ENTRY.length)) {
            return false;
        }
        MessageDigest sum = sum();
        sum.update(content, 0, start);
        if (!HexFormat.of().formatHex(sum.digest()).equals(new String(content, end, VALUE, StandardCharsets.ISO_8859_1))) {
            throw new FormatException(where, "", "the bytes that belong to its sha256", "others: " + CHANGED, "damaged");
        }
        return true;
    }

    static FormatException missing(String where) {
        return new FormatException(where, "", "the file's sha256 at its end, as its metadata says", "none: " + CHANGED,
                "damaged");
    }

    private static String hex(byte[] bytes) {
        return HexFormat.of().formatHex(sum().digest(bytes));
    }

    private static MessageDigest sum() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException error) {
            throw new IllegalStateException("SHA-256: every Java has it", error);
        }
    }
}
