package yoloproc.cli;

import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.util.Locale;

/** Standard output that remembers why it failed: a print stream says only that it did. */
final class Output extends FilterOutputStream {

    /** 128 + SIGPIPE, as a shell has it. */
    static final int CLOSED_PIPE = 141;

    private IOException failure;

    Output(OutputStream out) {
        super(out);
    }

    @Override
    public void write(int one) throws IOException {
        write(new byte[] {(byte) one}, 0, 1);
    }

    @Override
    public void write(byte[] bytes, int from, int count) throws IOException {
        try {
            out.write(bytes, from, count);
        } catch (IOException error) {
            failure = failure == null ? error : failure;
            throw error;
        }
    }

    /** Why it failed, in a line; null if it did not, or if its reader has gone. */
    String problem() {
        return failure == null || isClosedPipe() ? null
                : "standard output: cannot be written: " + Main.oneLine(failure);
    }

    /** Whether nobody reads it any more, as behind {@code | head -1}. */
    boolean isClosedPipe() {
        return failure != null && String.valueOf(failure.getMessage()).toLowerCase(Locale.ROOT).contains("pipe");
    }
}
