package yoloproc;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Files that others may have put there: what is no plain file, or is too large, is refused before it is read. */
final class PlainFiles {

    /** Of text: a model's description, a script, an index. */
    static final long MAX_TEXT = 16L << 20;
    /** Of anything else: arrays end there. */
    static final long MAX_BYTES = Integer.MAX_VALUE - 8L;

    private PlainFiles() {
    }

    /**
     * The bytes of a file; a named pipe would wait for ever, and a sparse file fill the memory.
     *
     * @param limit   bytes; a longer file is refused unread
     * @param what    it is expected to be, with its article
     * @param missing the reason where there is none
     * @param wrong   the reason where it is no plain file
     * @throws FormatException none, no plain file, or too large ({@code "bomb"})
     * @throws IOException     a file that cannot be read
     */
    static byte[] read(Path file, long limit, String what, String missing, String wrong) throws IOException {
        if (!Files.exists(file)) {
            throw new FormatException(file.toString(), "", what, "no such file", missing);
        }
        if (!Files.isRegularFile(file)) {
            throw new FormatException(file.toString(), "", what,
                    Files.isDirectory(file) ? "a folder" : "no plain file", wrong);
        }
        long size = Files.size(file);
        if (size <= limit) {
            byte[] data = Files.readAllBytes(file);
            if (data.length <= limit) { // it may have grown
                return data;
            }
            size = data.length;
        }
        throw new FormatException(file.toString(), "", what + " of at most " + limit + " bytes", size + " bytes", "bomb");
    }
}
