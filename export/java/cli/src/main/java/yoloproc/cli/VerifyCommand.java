package yoloproc.cli;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

import yoloproc.GoldenVectors;
import yoloproc.ModelSpec;
import yoloproc.Replay;

/** Replays the golden vectors of an exported folder, and says where this JVM differs. */
final class VerifyCommand {

    private static final int SHOWN = 20; // lines of differences

    private final Map<String, int[]> tally = new LinkedHashMap<>(); // by stage: cases, and those that differ
    private final List<String> lines = new ArrayList<>();

    private VerifyCommand() {
    }

    static int run(List<String> words, PrintStream out) throws Mistake, IOException {
        Arguments arguments = new Arguments(words, Set.of(), Set.of());
        if (arguments.values().size() != 1) {
            throw new Mistake("verify: expected one folder, found " + arguments.values().size() + "; see --help");
        }
        Path folder = Arguments.path("", arguments.values().get(0));
        Path place = Files.exists(folder.resolve("index.json")) ? folder : folder.resolve("vectors");
        if (!Files.exists(place.resolve("index.json"))) {
            throw new Mistake(place.resolve("index.json") + ": expected golden vectors, found none; export the model again");
        }
        GoldenVectors vectors = GoldenVectors.read(place);
        VerifyCommand command = new VerifyCommand();
        try (Model model = Model.load(vectors.onnx())) {
            if (!model.spec().equals(vectors.model())) {
                throw new Mistake(place.resolve("index.json") + ": model: expected what " + vectors.onnx()
                        + " says of itself, found something else; export the model again");
            }
            checkDescription(vectors.onnx(), place, model.spec());
            Replay replay = new Replay(vectors, (images, pictures) -> model.run(images));
            for (GoldenVectors.Case one : vectors.cases()) {
                command.verify(one, replay);
            }
        }
        return command.tell(out);
    }

    /** Compares {@code model.json} with the model that it lies beside. Vectors that hold their model have none. */
    private static void checkDescription(Path onnx, Path vectors, ModelSpec spec) throws Mistake, IOException {
        Path file = onnx.resolveSibling("model.json");
        boolean inside = onnx.toAbsolutePath().normalize().startsWith(vectors.toAbsolutePath().normalize());
        if (inside && !Files.exists(file)) {
            return;
        }
        List<String> differing = ModelSpec.read(file).differences(spec);
        if (!differing.isEmpty()) {
            throw new Mistake(file + ": expected what " + onnx + " says of itself, found another "
                    + String.join(", ", differing) + "; it is of another model, or was edited; export the model again");
        }
    }

    private void verify(GoldenVectors.Case one, Replay replay) {
        List<String> found = replay.differences(one);
        lines.addAll(found);
        int[] counts = tally.computeIfAbsent(one.stage(), stage -> new int[2]);
        counts[0]++;
        counts[1] += found.isEmpty() ? 0 : 1;
    }

    private int tell(PrintStream out) {
        int cases = 0;
        int different = 0;
        for (Map.Entry<String, int[]> entry : tally.entrySet()) {
            int[] counts = entry.getValue();
            cases += counts[0];
            different += counts[1];
            out.println(entry.getKey() + ": " + (counts[0] - counts[1]) + " of " + counts[0] + " as expected");
        }
        lines.stream().limit(SHOWN).forEach(out::println);
        if (lines.size() > SHOWN) {
            out.println("... and " + (lines.size() - SHOWN) + " more");
        }
        out.println(different == 0 ? "verified: this JVM agrees in all " + cases + " cases"
                : "not verified: " + different + " of " + cases + " cases differ");
        return different == 0 ? Main.DONE : Main.DIFFERENT;
    }
}
