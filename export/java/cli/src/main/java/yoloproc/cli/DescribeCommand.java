package yoloproc.cli;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

import ai.onnxruntime.OrtEnvironment;

import yoloproc.Json;
import yoloproc.LabelCodec.Grid;
import yoloproc.ModelSpec;

/** What a model says of itself, in lines for people. */
final class DescribeCommand {

    private DescribeCommand() {
    }

    static int run(List<String> words, PrintStream out) throws Mistake, IOException {
        Arguments arguments = new Arguments(words, Set.of(), Set.of());
        if (arguments.values().size() != 1) {
            throw new Mistake("describe: expected one model, found " + arguments.values().size() + "; see --help");
        }
        Path path = Arguments.path("", arguments.values().get(0));
        try (Model model = Model.load(path)) {
            describe(model.spec(), out);
        }
        line(out, "file", "%s, %d bytes; loads with ONNX Runtime %s", path, Files.size(path),
                OrtEnvironment.getEnvironment().getVersion());
        return Main.DONE;
    }

    private static void describe(ModelSpec spec, PrintStream out) {
        line(out, "task", "%s", spec.task().word());
        line(out, "classes", "%d: %s", spec.classes().size(), String.join(", ", spec.classes()));
        ModelSpec.Input input = spec.input();
        line(out, "input", "%s: %s %s, N pictures of %d x %d (width x height) in RGB, black %s, white %s", input.name(),
                input.type().name().toLowerCase(Locale.ROOT), input.layout().name().toLowerCase(Locale.ROOT),
                input.width(), input.height(), number(input.low()), number(input.high()));
        String kind = spec.output().activated() ? "predictions" : "raw logits";
        if (spec.task() == ModelSpec.Task.DETECTION) {
            line(out, "output", "%s: N x %d slots x %d values, %s", spec.output().name(), spec.codec().slots(),
                    spec.codec().fields(), kind);
            boxes(spec, out);
        } else {
            line(out, "output", "%s: N x %d classes, %s", spec.output().name(), spec.classes().size(), kind);
        }
        for (Map.Entry<String, Object> entry : spec.training().entrySet()) {
            Object value = entry.getValue();
            line(out, "training", "%s: %s", entry.getKey(), value instanceof String ? value : Json.write(value));
        }
    }

    private static void boxes(ModelSpec spec, PrintStream out) {
        for (Grid grid : spec.grids()) {
            StringBuilder anchors = new StringBuilder();
            for (Grid.Anchor anchor : grid.anchors()) {
                anchors.append(anchors.length() == 0 ? "" : ", ").append(number(anchor.width())).append(" x ")
                        .append(number(anchor.height()));
            }
            line(out, "grid", "%d x %d cells of %d pixels, anchors %s", grid.columns(), grid.rows(), grid.stride(),
                    anchors);
        }
        ModelSpec.Defaults defaults = spec.defaults();
        line(out, "boxes", "confidence %s, max IoU %s, %s, at most %d candidates and %d detections",
                defaults.confidence(), defaults.maxIou(), defaults.agnostic() ? "all classes compared" : "class by class",
                defaults.maxCandidates(), defaults.maxDetections());
    }

    private static void line(PrintStream out, String name, String format, Object... values) {
        out.println(String.format(Locale.ROOT, "%-9s", name) + String.format(Locale.ROOT, format, values));
    }

    private static String number(double value) {
        return value == Math.rint(value) ? String.valueOf((long) value) : String.valueOf(value);
    }
}
