package yoloproc.cli;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

import yoloproc.BitDepth;
import yoloproc.Classification;
import yoloproc.Classifier;
import yoloproc.InferenceException;
import yoloproc.Options;
import yoloproc.Pictures;
import yoloproc.RgbImage;

/** The classes of some pictures: lines or JSON. A picture that cannot be read is named and passed over. */
final class ClassifyCommand {

    private static final int TOP = 3;

    private final PrintStream out;
    private final PrintStream err;
    private final JsonArray json; // null: lines for people
    private final BitDepth depth;
    private final int top;
    private int read;

    private ClassifyCommand(Arguments arguments, PrintStream out, PrintStream err) throws Mistake {
        this.out = out;
        this.err = err;
        json = arguments.has("--json") ? new JsonArray(out) : null;
        depth = DetectCommand.depth(arguments);
        Integer wanted = arguments.whole("--top");
        top = wanted == null ? TOP : wanted;
        if (top < 1) {
            throw new Mistake("--top: expected at least 1, found " + top);
        }
    }

    static int run(List<String> words, PrintStream out, PrintStream err) throws Mistake, IOException {
        Arguments arguments = new Arguments(words, Set.of("--top", "--threads", DetectCommand.DEPTH), Set.of("--json"));
        Options options = DetectCommand.options(arguments);
        PictureFiles pictures = PictureFiles.behindModel("classify", arguments.values());
        ClassifyCommand command = new ClassifyCommand(arguments, out, err);
        pictures.notes().forEach(note -> Main.tell(err, note));
        try (Classifier classifier = Classifier.load(Arguments.path("", arguments.values().get(0)), options)) {
            for (Path picture : pictures.files()) {
                command.classify(classifier, picture);
                if (out.checkError()) { // nobody reads on, or the device is full: Main says which
                    break;
                }
            }
        }
        if (command.json != null) {
            command.json.end();
        }
        command.depth.notes(DetectCommand.DEPTH).forEach(note -> Main.tell(err, note));
        return command.read > 0 ? Main.DONE : Main.MISTAKE;
    }

    private void classify(Classifier classifier, Path file) {
        try {
            RgbImage picture = Pictures.read(file, depth);
            Classification found = classifier.classify(picture);
            read++;
            tell(file, picture, found);
        } catch (IOException | InferenceException error) { // NaN may come for one picture alone
            String line = Main.oneLine(error);
            Main.tell(err, line);
            if (json != null) {
                json.add(file, Map.of("error", line));
            }
        }
    }

    private void tell(Path file, RgbImage picture, Classification found) {
        List<Classification.Score> first = found.top(top);
        if (json == null) {
            String classes = first.stream().map(Classification.Score::toString).collect(Collectors.joining(", "));
            out.println(Names.onALine(file) + ": " + classes
                    + String.format(Locale.ROOT, " (margin %.2f)", found.margin()));
            return;
        }
        List<Object> list = new ArrayList<>();
        for (Classification.Score one : first) {
            list.add(fields(one));
        }
        Map<String, Object> fields = new LinkedHashMap<>();
        fields.put("width", picture.width());
        fields.put("height", picture.height());
        fields.put("classes", list);
        fields.put("margin", Double.isFinite(found.margin()) ? JsonArray.rounded(found.margin(), 1e4) : null);
        json.add(file, fields);
    }

    static Map<String, Object> fields(Classification.Score score) {
        Map<String, Object> fields = new LinkedHashMap<>();
        fields.put("class_id", score.classId());
        fields.put("label", score.label());
        fields.put("confidence", JsonArray.rounded(score.confidence(), 1e6));
        return fields;
    }
}
