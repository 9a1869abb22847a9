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

import yoloproc.BitDepth;
import yoloproc.Detection;
import yoloproc.Detector;
import yoloproc.InferenceException;
import yoloproc.ModelSpec;
import yoloproc.Options;
import yoloproc.Pictures;
import yoloproc.RgbImage;

/** What is in some pictures: lines or JSON, drawn boxes, scripts. A picture that cannot be read is named and passed over. */
final class DetectCommand {

    /** The bits that samples of 16-bit pictures use. */
    static final String DEPTH = "--bit-depth";

    private final PrintStream out;
    private final PrintStream err;
    private final JsonArray json; // null: lines for people
    private final DrawnPictures drawn;
    private final ScreditProject project;
    private final BitDepth depth;
    private int read;

    private DetectCommand(Arguments arguments, PictureFiles pictures, PrintStream out, PrintStream err)
            throws Mistake {
        this.out = out;
        this.err = err;
        json = arguments.has("--json") ? new JsonArray(out) : null;
        Path annotated = arguments.path("--annotated");
        drawn = annotated == null ? null : DrawnPictures.at(annotated, pictures.isOne());
        Path folder = arguments.path("--scredit");
        project = folder == null ? null : new ScreditProject(folder);
        depth = depth(arguments);
    }

    static int run(List<String> words, PrintStream out, PrintStream err) throws Mistake, IOException {
        Arguments arguments = new Arguments(words, Set.of("--annotated", "--scredit", "--confidence", "--max-iou",
                "--max-detections", "--threads", DEPTH), Set.of("--json", "--agnostic"));
        Options options = options(arguments);
        PictureFiles pictures = PictureFiles.behindModel("detect", arguments.values());
        DetectCommand command = new DetectCommand(arguments, pictures, out, err);
        pictures.notes().forEach(note -> Main.tell(err, note));
        try (Detector detector = Detector.load(Arguments.path("", arguments.values().get(0)), options)) {
            for (Path picture : pictures.files()) {
                command.detect(detector, picture);
                if (out.checkError()) { // nobody reads on, or the device is full: Main says which
                    break;
                }
            }
            command.tellCuts(detector);
        }
        if (command.json != null) {
            command.json.end();
        }
        command.depth.notes(DEPTH).forEach(note -> Main.tell(err, note));
        return command.read > 0 ? Main.DONE : Main.MISTAKE;
    }

    static Options options(Arguments arguments) throws Mistake {
        Integer threads = arguments.whole("--threads");
        try {
            return new Options(arguments.number("--confidence"), arguments.number("--max-iou"),
                    arguments.has("--agnostic") ? Boolean.TRUE : null, arguments.whole("--max-detections"),
                    threads == null ? 0 : threads, null);
        } catch (IllegalArgumentException error) { // it begins with the option's name in Java, such as maxIou
            String[] parts = error.getMessage().split(":", 2);
            throw new Mistake("--" + parts[0].replaceAll("([A-Z])", "-$1").toLowerCase(Locale.ROOT) + ":" + parts[1]);
        }
    }

    /** What the command line says of pictures of 16 bits a sample. */
    static BitDepth depth(Arguments arguments) throws Mistake {
        Integer bits = arguments.whole(DEPTH);
        try {
            return bits == null ? new BitDepth() : new BitDepth(bits);
        } catch (IllegalArgumentException error) {
            throw new Mistake(DEPTH + ": expected a number from 8 to 16, found " + bits);
        }
    }

    private void detect(Detector detector, Path file) {
        try {
            RgbImage picture = Pictures.read(file, depth);
            List<Detection> found = detector.detect(picture);
            if (drawn != null) {
                drawn.write(file, Annotator.draw(picture, found));
            }
            if (project != null) {
                project.write(file, picture, found);
            }
            read++;
            tell(file, picture, found);
        } catch (IOException | Mistake | InferenceException error) { // NaN may come for one picture alone
            String line = Main.oneLine(error);
            Main.tell(err, line);
            if (json != null) {
                json.add(file, Map.of("error", line));
            }
        }
    }

    /** What was left out or changed: a line each, none where there is nothing. */
    private void tellCuts(Detector detector) {
        Detector.Cuts cuts = detector.cuts();
        ModelSpec.Defaults limits = detector.limits();
        if (cuts.detections() > 0) {
            err.println("pictures with more than " + limits.maxDetections() + " objects: " + cuts.detections()
                    + "; the rest is left out (--max-detections)");
        }
        if (cuts.candidates() > 0) {
            err.println("pictures with more than " + limits.maxCandidates() + " candidates: " + cuts.candidates()
                    + "; the least confident are not looked at (--confidence)");
        }
        if (project != null) {
            project.notes().forEach(err::println);
        }
    }

    private void tell(Path file, RgbImage picture, List<Detection> found) {
        if (json == null) {
            out.println(Names.onALine(file) + ": " + (found.isEmpty() ? "nothing" : found.size()) + " found");
            found.forEach(one -> out.println("  " + one));
            return;
        }
        List<Object> list = new ArrayList<>();
        for (Detection one : found) {
            Map<String, Object> fields = new LinkedHashMap<>();
            fields.put("class_id", one.classId());
            fields.put("label", one.label());
            fields.put("confidence", JsonArray.rounded(one.confidence(), 1e6));
            fields.put("box", List.of(JsonArray.rounded(one.x0(), 1e3), JsonArray.rounded(one.y0(), 1e3), JsonArray.rounded(one.x1(), 1e3),
                    JsonArray.rounded(one.y1(), 1e3)));
            list.add(fields);
        }
        Map<String, Object> fields = new LinkedHashMap<>();
        fields.put("width", picture.width());
        fields.put("height", picture.height());
        fields.put("detections", list);
        json.add(file, fields);
    }
}
