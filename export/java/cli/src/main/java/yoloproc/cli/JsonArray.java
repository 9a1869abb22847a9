package yoloproc.cli;

import java.io.PrintStream;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;

import yoloproc.Json;

/** A JSON array of one line a picture, printed as they come: of a long run what is done is seen. */
final class JsonArray {

    private final PrintStream out;
    private int count;

    JsonArray(PrintStream out) {
        this.out = out;
    }

    void add(Path file, Map<String, Object> fields) {
        Map<String, Object> all = new LinkedHashMap<>();
        all.put("file", Names.shown(file));
        all.putAll(fields);
        out.print((count++ == 0 ? "[\n" : ",\n") + Json.write(all));
    }

    void end() {
        out.println(count == 0 ? "[]" : "\n]");
    }

    /** A number with so many parts of one, such as 1000. */
    static double rounded(double value, double parts) {
        return Math.round(value * parts) / parts;
    }
}
