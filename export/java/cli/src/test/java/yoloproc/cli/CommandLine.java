package yoloproc.cli;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * What the command line did.
 *
 * @param code the exit code
 * @param out  standard output
 * @param err  standard error
 */
record CommandLine(int code, String out, String err) {

    /** The committed golden vectors, with a small model of two grids. */
    static final Path VECTORS = Path.of("..", "..", "vectors", "v1");

    /** Runs the command line in this JVM. */
    static CommandLine run(Object... words) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        List<String> texts = new ArrayList<>();
        for (Object word : words) {
            texts.add(word.toString());
        }
        int code = Main.run(texts, new PrintStream(out, true, StandardCharsets.UTF_8),
                new PrintStream(err, true, StandardCharsets.UTF_8));
        return new CommandLine(code, out.toString(StandardCharsets.UTF_8), err.toString(StandardCharsets.UTF_8));
    }
}
