package yoloproc.cli;

import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CoderResult;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/** The names of files in what is printed: two names stay two, as in Python, whatever their bytes are. */
final class Names {

    private Names() {
    }

    /** A file's name; bytes that are no UTF-8 stand as Python writes them, such as {@code \udce9}. */
    static String shown(Path path) {
        String text = path.toString();
        return text.indexOf('\ufffd') < 0 ? text : decoded(bytes(path));
    }

    /** A name as it may stand in a line for people: it ends no line, and gives the console no orders. */
    static String onALine(Path path) {
        StringBuilder line = new StringBuilder();
        for (char sign : shown(path).toCharArray()) {
            boolean control = sign < ' ' || (sign >= 0x7F && sign < 0xA0);
            line.append(control ? String.format(Locale.ROOT, "\\x%02x", (int) sign) : String.valueOf(sign));
        }
        return line.toString();
    }

    /** What the system calls the file. A path keeps its bytes to itself, but for its URI. */
    private static byte[] bytes(Path path) {
        List<String> parts = Arrays.asList(path.toUri().getRawPath().replaceAll("/+$", "").split("/"));
        String raw = String.join("/", parts.subList(Math.max(0, parts.size() - path.getNameCount()), parts.size()));
        byte[] bytes = new byte[raw.length() + 1];
        int length = 0;
        if (path.isAbsolute()) {
            bytes[length++] = '/';
        }
        for (int i = 0; i < raw.length(); i++) {
            if (raw.charAt(i) == '%') {
                bytes[length++] = (byte) Integer.parseInt(raw.substring(i + 1, i + 3), 16);
                i += 2;
            } else {
                bytes[length++] = (byte) raw.charAt(i);
            }
        }
        return Arrays.copyOf(bytes, length);
    }

    static String decoded(byte[] bytes) {
        CharsetDecoder decoder = StandardCharsets.UTF_8.newDecoder();
        ByteBuffer from = ByteBuffer.wrap(bytes);
        CharBuffer to = CharBuffer.allocate(6 * bytes.length + 6);
        for (CoderResult result = decoder.decode(from, to, true); result.isError();
                result = decoder.decode(from, to, true)) {
            for (int i = 0; i < result.length(); i++) {
                to.put(String.format(Locale.ROOT, "\\udc%02x", from.get() & 255));
            }
        }
        return to.flip().toString();
    }
}
