package yoloproc.cli;

import java.io.IOException;
import java.io.PrintStream;
import java.lang.reflect.Array;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

import yoloproc.Detector;
import yoloproc.cli.VectorSet.Case;
import yoloproc.cli.VectorSet.Values;

/** Replays the golden vectors of an exported folder, and says where this JVM differs. */
final class VerifyCommand {

    private static final int SHOWN = 20; // lines of differences

    private final Map<String, Double> tolerances;
    private final Map<String, int[]> tally = new LinkedHashMap<>(); // by stage: cases, and those that differ
    private final List<String> lines = new ArrayList<>();

    private VerifyCommand(Map<String, Double> tolerances) {
        this.tolerances = tolerances;
    }

    static int run(List<String> words, PrintStream out) throws Mistake, IOException {
        Arguments arguments = new Arguments(words, Set.of(), Set.of());
        if (arguments.values().size() != 1) {
            throw new Mistake("verify: expected one folder, found " + arguments.values().size() + "; see --help");
        }
        Path folder = Arguments.path("", arguments.values().get(0));
        Path vectors = Files.exists(folder.resolve("index.json")) ? folder : folder.resolve("vectors");
        VectorSet set = VectorSet.read(vectors);
        VerifyCommand command = new VerifyCommand(set.tolerances());
        try (Detector detector = Detector.load(set.onnx())) {
            if (!detector.spec().equals(set.spec())) {
                throw new Mistake(vectors.resolve("index.json") + ": model: expected what " + set.onnx()
                        + " says of itself, found something else; export the model again");
            }
            Replay replay = new Replay(set.spec(), detector);
            for (Case one : set.cases()) {
                command.verify(one, replay);
            }
        }
        return command.tell(out);
    }

    private void verify(Case one, Replay replay) {
        int before = lines.size();
        try {
            compare(one, replay.perform(one.stage(), one.in()));
        } catch (IOException | RuntimeException error) { // what the library refuses here it took in Python
            lines.add(one.name() + ": " + Main.oneLine(error));
        }
        int[] counts = tally.computeIfAbsent(one.stage(), stage -> new int[2]);
        counts[0]++;
        counts[1] += lines.size() > before ? 1 : 0;
    }

    private void compare(Case one, Map<String, Object> found) {
        Set<String> keys = new TreeSet<>(one.out().keySet());
        if (!keys.equals(found.keySet())) {
            lines.add(one.name() + ": expected outputs " + keys + ", found " + new TreeSet<>(found.keySet()));
        }
        keys.retainAll(found.keySet());
        for (String key : keys) {
            String kind = key.equals("boxes") ? "boxes" : one.stage().equals("model") ? "logits" : "activations";
            String told = difference(one.out().get(key), found.get(key), tolerances.get(kind), kind.equals("boxes"));
            if (!told.isEmpty()) {
                lines.add(one.name() + ": " + key + ": " + told);
            }
        }
    }

    /** What is wrong with an output, in words; nothing where it is as expected. */
    static String difference(Object expected, Object found, double tolerance, boolean absolute) {
        if (!(expected instanceof Values wanted) || !(found instanceof Values given)) {
            return expected.equals(found) ? "" : "expected " + expected + ", found " + found;
        }
        if (!wanted.shape().equals(given.shape())) {
            return "expected the shape " + wanted.shape() + ", found " + given.shape();
        }
        boolean exact = wanted.values() instanceof byte[] || wanted.values() instanceof int[];
        int count = Array.getLength(wanted.values());
        int wrong = 0;
        int first = -1;
        for (int i = 0; i < count; i++) {
            double a = Array.getDouble(wanted.values(), i);
            double b = Array.getDouble(given.values(), i);
            double limit = exact ? 0 : tolerance * (absolute ? 1 : Math.max(1, Math.abs(a)));
            if (!(Math.abs(a - b) <= limit) && a != b) { // so that NaN is wrong, and infinity is like itself
                first = wrong++ == 0 ? i : first;
            }
        }
        return wrong == 0 ? "" : "expected " + Array.get(wanted.values(), first) + " at " + first + ", found "
                + Array.get(given.values(), first) + " (" + wrong + " of " + count + " values are wrong, tolerance "
                + (exact ? 0 : tolerance) + ")";
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
